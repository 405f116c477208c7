//! What we are going to write: the plugin's part of a description.
//!
//! A plan knows codecs, directions and names; credentials, candidates and SSRCs come from the worker as a
//! [`crate::LocalTransport`]. Texts may come from anywhere: writing leaves out control characters.

mod answer;
mod offer;
mod relay;

pub use answer::{AnswerDirections, AnswerOptions};
pub use offer::{OfferCodec, OfferMedia};
pub use relay::SentLayers;

use crate::{Bandwidth, Codec, Direction, Extension, MediaKind, Msid, Origin, Payload, Sctp};

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

impl Plan {
    /// The codec chosen for an m-line: the first payload that is one (red and telephone-event are none).
    pub fn codec(&self, mindex: usize) -> Option<Codec> {
        self.media.get(mindex).and_then(PlanMedia::codec)
    }

    /// The m-line with this mid.
    pub fn by_mid(&self, mid: &str) -> Option<&PlanMedia> {
        self.media.iter().find(|m| m.mid == mid)
    }
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
    /// `a=msid`; `None` is written as Janus' `janus janus<mid>`.
    pub msid: Option<Msid>,
    /// rids we receive, in the offer's order.
    pub rids: Vec<String>,
    /// SCTP parameters of a data m-line.
    pub sctp: Option<Sctp>,
    /// b= lines.
    pub bandwidth: Vec<Bandwidth>,
    /// Further attributes as `name` or `name:value`, passed on from another peer's description.
    pub attributes: Vec<String>,
    /// Order of the codec lines.
    pub layout: Layout,
    /// A rejected first m-line that does not carry the transport: written with port 0 like any other.
    pub stopped: bool,
}

impl PlanMedia {
    /// An m-line with nothing in it, accepted.
    pub fn new(kind: MediaKind, mid: impl Into<String>, protocol: impl Into<String>) -> Self {
        PlanMedia {
            kind,
            mid: mid.into(),
            protocol: protocol.into(),
            accepted: true,
            direction: Direction::Inactive,
            payloads: Vec::new(),
            extensions: Vec::new(),
            msid: None,
            rids: Vec::new(),
            sctp: None,
            bandwidth: Vec::new(),
            attributes: Vec::new(),
            layout: Layout::FmtpFirst,
            stopped: false,
        }
    }

    /// Its codec: the first payload that is one.
    pub fn codec(&self) -> Option<Codec> {
        self.payloads.iter().find_map(Codec::of)
    }

    /// opus/red is among its payloads.
    pub fn has_red(&self) -> bool {
        self.payloads.iter().any(|p| p.is("red"))
    }

    /// Makes it a rejected m-line.
    pub fn reject(&mut self) {
        self.accepted = false;
        self.direction = Direction::Inactive;
        self.payloads.clear();
        self.extensions.clear();
        self.rids.clear();
        self.attributes.clear();
    }

    /// It is written with a port. A first audio m-line is even if rejected, as long as it carries the transport, as with
    /// Janus. Not so video, where Janus does the same: browsers refuse its payload type 0, which is an audio codec.
    pub(crate) fn has_port(&self, index: usize) -> bool {
        self.accepted || (index == 0 && self.kind == MediaKind::Audio && !self.stopped)
    }
}

/// Order of the codec lines of an m-line. Peers do not care; people who compare with Janus do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// rtpmap, rtcp-fb, fmtp, transport-cc, extmap: answers whose fmtp we made.
    FmtpFirst,
    /// rtpmap, rtcp-fb, extmap, fmtp: own offers, and answers that copy the offered fmtp.
    FmtpLast,
    /// extmap, other attributes, then every payload with its lines: descriptions that are passed on.
    Relayed,
}
