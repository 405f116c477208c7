//! What the worker that owns a peer contributes to a written description.
//!
//! Values only: how candidates are gathered or certificates made is the media engine's business.

use std::net::IpAddr;

use crate::{Candidate, Setup};

/// The local end of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalTransport {
    /// ICE username fragment.
    pub ufrag: String,
    /// ICE password.
    pub pwd: String,
    /// sha-256 fingerprint of our certificate as text: upper-case hex pairs, colons between.
    pub fingerprint: String,
    /// Our DTLS role; [`Setup::answer_to`] chooses it for answers, offers say actpass.
    pub setup: Setup,
    /// We are ICE-lite.
    pub lite: bool,
    /// Our candidates. Written into every m-line, none in full-trickle mode.
    pub candidates: Vec<Candidate>,
    /// Address of the c= and o= lines.
    pub address: IpAddr,
    /// All candidates are listed: `a=end-of-candidates` is written.
    pub end_of_candidates: bool,
    /// Candidates follow by trickle: none is written, whatever `candidates` holds.
    pub full_trickle: bool,
    /// Our SSRCs, at most one entry for each m-line.
    pub ssrcs: Vec<LocalSsrc>,
}

/// Our SSRC of one m-line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalSsrc {
    /// Index of the m-line.
    pub mindex: u16,
    /// SSRC of the media.
    pub ssrc: u32,
    /// SSRC of the retransmissions (RFC 4588).
    pub rtx: Option<u32>,
}

impl LocalTransport {
    /// The SSRCs of one m-line.
    pub fn ssrc_of(&self, mindex: u16) -> Option<LocalSsrc> {
        self.ssrcs.iter().copied().find(|s| s.mindex == mindex)
    }
}
