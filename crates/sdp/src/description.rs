//! A parsed offer or answer.
//!
//! Session-level lines that count for every m-line (direction, header extensions, DTLS and ICE) are folded into the
//! m-lines and the one transport while parsing: BUNDLE and rtcp-mux are forced, so there is only one.

use crate::limits::MAX_SUBSTREAMS;
use crate::{
    Bandwidth, Candidate, Direction, Extension, Fingerprint, MediaKind, Msid, Origin, Payload, Rid,
    RidDirection, RidOrder, Sctp, Setup, SimulcastLine, SsrcGroup, SsrcSemantics,
};

/// A parsed offer or answer of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The o= line.
    pub origin: Origin,
    /// The s= line.
    pub session_name: String,
    /// Mids of the first `a=group:BUNDLE`.
    pub bundle: Vec<String>,
    /// The m-lines in their order.
    pub media: Vec<Media>,
    /// `a=extmap-allow-mixed` of the session.
    pub extmap_allow_mixed: bool,
    /// Value of `a=msid-semantic`.
    pub msid_semantic: Option<String>,
    /// Which rid is the best; not in the text, the caller sets it from the jsep field `rid_order`.
    pub rid_order: RidOrder,
    pub(crate) transport: RemoteTransport,
}

impl Description {
    /// The peer's end of the one transport: what the first m-line says, with the session's lines as defaults.
    pub fn transport(&self) -> &RemoteTransport {
        &self.transport
    }

    /// The m-line with this mid.
    pub fn by_mid(&self, mid: &str) -> Option<&Media> {
        self.media.iter().find(|m| m.mid == mid)
    }

    /// The simulcast layers of an m-line, if the peer sends any.
    pub fn simulcast(&self, mindex: usize) -> Option<Simulcast> {
        self.media.get(mindex).and_then(|m| m.simulcast(self.rid_order))
    }
}

/// The peer's end of the transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteTransport {
    /// ICE username fragment.
    pub ufrag: String,
    /// ICE password.
    pub pwd: String,
    /// Fingerprint of the peer's certificate: the first with sha-256, else the strongest of the others.
    pub fingerprint: Fingerprint,
    /// DTLS role the peer asks for.
    pub setup: Option<Setup>,
    /// Words of `a=ice-options` (`trickle`, `renomination`).
    pub ice_options: Vec<String>,
    /// Candidates of the first m-line.
    pub candidates: Vec<Candidate>,
    /// The peer has no further candidates.
    pub end_of_candidates: bool,
    /// The peer is ICE-lite.
    pub lite: bool,
}

impl RemoteTransport {
    /// The peer says that it trickles.
    pub fn trickle(&self) -> bool {
        self.ice_options.iter().any(|o| o == "trickle")
    }
}

/// One m-line with its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Place in the description, from 0.
    pub index: u16,
    /// Audio, video, data or something else.
    pub kind: MediaKind,
    /// Port as written; use [`Media::is_active`] to know whether the m-line is meant.
    pub port: u16,
    /// Transport protocol as written (`UDP/TLS/RTP/SAVPF`, `UDP/DTLS/SCTP`).
    pub protocol: String,
    /// Direction as the peer wrote it.
    pub direction: Direction,
    /// Its mid; the index as text if the line is missing.
    pub mid: String,
    /// Codecs in their order of preference. Retransmission payload types stand in [`Payload::rtx`]; red, ulpfec and
    /// flexfec of video are gone, `red` of audio stays.
    pub payloads: Vec<Payload>,
    /// Header extensions; encrypted ones are gone.
    pub extensions: Vec<Extension>,
    /// SSRCs in the order of their first line.
    pub ssrcs: Vec<u32>,
    /// ssrc-group lines.
    pub ssrc_groups: Vec<SsrcGroup>,
    /// `a=msid`, or what the ssrc lines say instead.
    pub msid: Option<Msid>,
    /// The first cname of the ssrc lines.
    pub cname: Option<String>,
    /// rid lines in their order.
    pub rids: Vec<Rid>,
    /// The `a=simulcast` line; [`Media::simulcast`] is what to use.
    pub simulcast_line: Option<SimulcastLine>,
    /// SCTP parameters of a data m-line.
    pub sctp: Option<Sctp>,
    /// `a=bundle-only`
    pub bundle_only: bool,
    /// b= lines.
    pub bandwidth: Vec<Bandwidth>,
    /// `a=rtcp-mux`
    pub rtcp_mux: bool,
    /// `a=rtcp-rsize`
    pub rtcp_rsize: bool,
    /// Other attribute lines as `name` or `name:value`, without control characters; bounded.
    pub unknown: Vec<String>,
    pub(crate) carrier: bool,
}

impl Media {
    /// The m-line is meant: it has a port, or port 0 with bundle-only, or it is the one whose transport lines count
    /// (Janus never takes port 0 of that one for a rejection).
    pub fn is_active(&self) -> bool {
        self.port != 0 || self.bundle_only || self.carrier
    }

    /// The codec with this name, first in the order of the m-line.
    pub fn codec(&self, name: &str) -> Option<&Payload> {
        self.payloads.iter().find(|p| p.is(name))
    }

    /// The extension with this URI.
    pub fn extension(&self, uri: &str) -> Option<&Extension> {
        self.extensions.iter().find(|e| e.uri == uri)
    }

    /// The layers the peer sends: by rid, else by the old `ssrc-group:SIM`.
    pub fn simulcast(&self, order: RidOrder) -> Option<Simulcast> {
        if !self.kind.is_rtp() {
            return None;
        }
        let offered = self.send_rids();
        if !offered.is_empty() {
            let mut rids: Vec<String> = offered.iter().map(|r| (*r).to_owned()).collect();
            if order == RidOrder::HighFirst {
                rids.reverse();
            }
            return Some(Simulcast { rids, ssrcs: Vec::new() });
        }
        let group = self.ssrc_groups.iter().find(|g| g.semantics == SsrcSemantics::Sim)?;
        let ssrcs = group.ssrcs.iter().take(MAX_SUBSTREAMS).map(|&s| (s, self.rtx_ssrc(s))).collect();
        Some(Simulcast { rids: Vec::new(), ssrcs })
    }

    /// The rids the peer sends, at most [`MAX_SUBSTREAMS`], in the order of the rid lines (as Janus takes them; RFC
    /// 8853 gives the order of neither line a meaning). Rids that a simulcast line leaves out are left out.
    pub fn send_rids(&self) -> Vec<&str> {
        let listed = self.simulcast_line.as_ref().map(|line| line.send.as_slice()).unwrap_or_default();
        self.rids
            .iter()
            .filter(|r| r.direction == RidDirection::Send && (listed.is_empty() || listed.contains(&r.id)))
            .map(|r| r.id.as_str())
            .take(MAX_SUBSTREAMS)
            .collect()
    }

    /// The SSRCs of the peer's media with those of their retransmissions, in the order of substreams.
    pub fn media_ssrcs(&self) -> Vec<(u32, Option<u32>)> {
        if let Some(group) = self.ssrc_groups.iter().find(|g| g.semantics == SsrcSemantics::Sim) {
            return group.ssrcs.iter().take(MAX_SUBSTREAMS).map(|&s| (s, self.rtx_ssrc(s))).collect();
        }
        let repairs: Vec<u32> = self.fid_groups().map(|(_, rtx)| rtx).collect();
        let main = self.ssrcs.iter().copied().filter(|s| !repairs.contains(s));
        main.take(MAX_SUBSTREAMS).map(|s| (s, self.rtx_ssrc(s))).collect()
    }

    fn rtx_ssrc(&self, ssrc: u32) -> Option<u32> {
        self.fid_groups().find(|(main, _)| *main == ssrc).map(|(_, rtx)| rtx)
    }

    fn fid_groups(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.ssrc_groups.iter().filter(|g| g.semantics == SsrcSemantics::Fid).filter_map(|g| {
            match g.ssrcs.as_slice() {
                [main, rtx, ..] => Some((*main, *rtx)),
                _ => None,
            }
        })
    }
}

/// The simulcast layers of one m-line. Index 0 is the poorest layer (substream 0 of Janus' API).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulcast {
    /// rids in substream order; empty for the old style.
    pub rids: Vec<String>,
    /// SSRC and retransmission SSRC in substream order; empty with rids (packets tell them).
    pub ssrcs: Vec<(u32, Option<u32>)>,
}

impl Simulcast {
    /// Number of layers, 1 to 3.
    pub fn layers(&self) -> usize {
        self.rids.len().max(self.ssrcs.len())
    }
}
