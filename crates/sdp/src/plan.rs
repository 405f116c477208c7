//! What we are going to write: the plugin's part of a description.
//!
//! A plan knows codecs, directions and names; credentials, candidates and SSRCs come from the worker as a
//! [`crate::LocalTransport`]. Texts may come from anywhere: writing leaves out control characters.

use crate::{Bandwidth, Direction, Extension, MediaKind, Msid, Origin, Payload, Sctp};

/// Which side of the exchange a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// We offer.
    Offer,
    /// We answer.
    Answer,
}

impl Kind {
    /// The jsep `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Offer => "offer",
            Kind::Answer => "answer",
        }
    }
}

/// An offer or answer of ours, without its transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Offer or answer.
    pub kind: Kind,
    /// o= line: answers copy id and version of the offer, our own offers count versions from 1.
    pub origin: Origin,
    /// s= line: plugins choose it (`VideoRoom 1234`).
    pub session_name: String,
    /// The m-lines in their order.
    pub media: Vec<PlanMedia>,
    /// What should share a worker: the room or call. `None`: any worker.
    pub affinity: Option<String>,
}

/// One m-line of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanMedia {
    /// Audio, video, data or something else (only to reject it).
    pub kind: MediaKind,
    /// Its mid.
    pub mid: String,
    /// Transport protocol; answers copy the offer's.
    pub protocol: String,
    /// `false`: rejected, written as port 0, payload 0, inactive.
    pub accepted: bool,
    /// Direction as seen from us.
    pub direction: Direction,
    /// Codecs; exactly one in answers, with red before and telephone-event behind it.
    pub payloads: Vec<Payload>,
    /// Header extensions.
    pub extensions: Vec<Extension>,
    /// `a=msid`; `None` is written as Janus' `janus janus<index>`.
    pub msid: Option<Msid>,
    /// rids we receive, in the offer's order.
    pub rids: Vec<String>,
    /// SCTP parameters of a data m-line.
    pub sctp: Option<Sctp>,
    /// b= lines.
    pub bandwidth: Vec<Bandwidth>,
    /// Further attributes as `name` or `name:value`, passed on from another peer's description.
    pub attributes: Vec<String>,
}
