//! What control and media tell each other: values only, no shared state.
//!
//! [`MediaCommand`] goes to the worker that owns the handle's peer, [`MediaEvent`] comes back. Neither waits
//! for the other.

use crate::HandleId;
use crate::forward::Forward;
use crate::recording::{RecordingNews, Tape};
use crate::report::{LineReport, PeerReport, SelectedPair};
use portunus_sdp::{Candidate, LocalTransport, MediaKind, Negotiated, RemoteTransport};
use std::sync::Arc;
use std::time::Duration;

/// One end of a route: a medium of a peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteEnd {
    /// The handle whose peer it is.
    pub handle: HandleId,
    /// The m-line.
    pub mid: String,
}

impl RouteEnd {
    /// The medium `mid` of `handle`.
    pub fn new(handle: HandleId, mid: impl Into<String>) -> Self {
        Self { handle, mid: mid.into() }
    }
}

/// Which layers a sink wants of a simulcast or SVC source. For simulcast, `spatial` is the substream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerTarget {
    /// Substream or spatial layer, 0 the lowest.
    pub spatial: u8,
    /// Temporal layer, 0 the lowest.
    pub temporal: u8,
    /// Without packets of the wanted substream for so long, a lower one is taken.
    pub fallback: Duration,
    /// The wanted layers are the highest allowed: lower ones are taken while the client's network carries no more.
    pub automatic: bool,
}

/// How to tell from the audio-level extension (RFC 6464) whether somebody is talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioWatch {
    /// Packets the level is averaged over.
    pub packets: u32,
    /// Talking is below this average: 0 is loud, 127 silent (-dBov).
    pub level: u8,
}

/// Limits of the playout-delay header extension, in units of 10 ms, each at most 4095.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutDelay {
    /// At least.
    pub min: u16,
    /// At most.
    pub max: u16,
}

/// A message of a data channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataMessage {
    /// The channel's label.
    pub label: String,
    /// The channel's sub-protocol.
    pub protocol: String,
    /// Binary, or UTF-8 text.
    pub binary: bool,
    /// The message.
    pub payload: Vec<u8>,
}

/// What a [`Tap`] gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tapped<'a> {
    /// An RTP packet.
    Rtp(&'a [u8]),
    /// A compound RTCP packet.
    Rtcp(&'a [u8]),
    /// A message of a data channel.
    Data(&'a [u8]),
}

/// Gets a copy of every packet of a peer, before it is sealed or after it was opened: for captures.
pub trait Tap: Send + Sync + std::fmt::Debug {
    /// On the worker's thread: must neither wait nor take long.
    fn packet(&self, incoming: bool, packet: Tapped<'_>);
}

/// What the control task tells the worker of a handle.
#[derive(Debug)]
pub enum MediaCommand {
    /// Make a peer, or change what it has negotiated.
    Negotiate(Box<Negotiation>),
    /// A candidate of the client.
    Candidate {
        /// The handle.
        handle: HandleId,
        /// The candidate; `None` is the end of candidates.
        candidate: Option<Candidate>,
    },
    /// See [`Effect::Route`](crate::Effect::Route).
    Route {
        /// Where packets come from.
        source: RouteEnd,
        /// Where they go.
        sink: RouteEnd,
    },
    /// See [`Effect::Unroute`](crate::Effect::Unroute).
    Unroute {
        /// Where packets went.
        sink: RouteEnd,
    },
    /// See [`Effect::Select`](crate::Effect::Select).
    Select {
        /// The sink.
        sink: RouteEnd,
        /// The wanted layers.
        target: LayerTarget,
    },
    /// See [`Effect::Keyframe`](crate::Effect::Keyframe).
    Keyframe {
        /// The source.
        source: RouteEnd,
    },
    /// See [`Effect::Cap`](crate::Effect::Cap).
    Cap {
        /// The handle.
        handle: HandleId,
        /// Bits per second, 0 for no limit.
        bitrate: u32,
    },
    /// See [`Effect::PlayoutDelay`](crate::Effect::PlayoutDelay).
    PlayoutDelay {
        /// The sink.
        sink: RouteEnd,
        /// The limits.
        delay: Option<PlayoutDelay>,
    },
    /// See [`Effect::WatchAudio`](crate::Effect::WatchAudio).
    WatchAudio {
        /// The source.
        source: RouteEnd,
        /// How to tell.
        watch: Option<AudioWatch>,
    },
    /// Send a data channel message.
    Data {
        /// The handle.
        handle: HandleId,
        /// The message.
        message: DataMessage,
    },
    /// Close the peer, tell the client by a DTLS alert. Answered by [`MediaEvent::Hangup`] with `reason`, if
    /// there was a peer.
    Hangup {
        /// The handle.
        handle: HandleId,
        /// What the event shall say.
        reason: String,
    },
    /// Shows a tap every packet of the peer from now on; `None` ends that.
    Capture {
        /// The handle.
        handle: HandleId,
        /// Who gets them.
        tap: Option<Arc<dyn Tap>>,
    },
    /// See [`Effect::Record`](crate::Effect::Record): what comes in goes onto a tape, `None` ends that.
    Record {
        /// The source.
        source: RouteEnd,
        /// Who gets the packets.
        tape: Option<Arc<dyn Tape>>,
    },
    /// See [`Effect::Withhold`](crate::Effect::Withhold).
    Withhold {
        /// The source.
        source: RouteEnd,
        /// Whether packets are left out.
        withheld: bool,
    },
    /// See [`Effect::Forward`](crate::Effect::Forward).
    Forward {
        /// The source.
        source: RouteEnd,
        /// What, and where to.
        forward: Box<Forward>,
    },
    /// See [`Effect::StopForward`](crate::Effect::StopForward).
    StopForward {
        /// The source.
        source: RouteEnd,
        /// Which one.
        id: u32,
    },
    /// Tell what is known of a peer. Answered by [`MediaEvent::Report`], if there is a peer.
    Report {
        /// The handle.
        handle: HandleId,
        /// Comes back with the answer.
        question: u64,
    },
    /// The handle is gone: close its peer without an event and forget it.
    Forget {
        /// The handle.
        handle: HandleId,
    },
}

impl MediaCommand {
    /// Whose worker it is for: for a route, the sink's.
    pub fn handle(&self) -> HandleId {
        match self {
            Self::Negotiate(n) => n.handle,
            Self::Candidate { handle, .. }
            | Self::Cap { handle, .. }
            | Self::Data { handle, .. }
            | Self::Hangup { handle, .. }
            | Self::Report { handle, .. }
            | Self::Capture { handle, .. }
            | Self::Forget { handle } => *handle,
            Self::Route { sink, .. }
            | Self::Unroute { sink }
            | Self::Select { sink, .. }
            | Self::PlayoutDelay { sink, .. } => sink.handle,
            Self::Keyframe { source }
            | Self::WatchAudio { source, .. }
            | Self::Record { source, .. }
            | Self::Withhold { source, .. }
            | Self::Forward { source, .. }
            | Self::StopForward { source, .. } => source.handle,
        }
    }
}

/// One step of offer and answer, as the peer needs it.
#[derive(Clone, Debug)]
pub struct Negotiation {
    /// Whose peer.
    pub handle: HandleId,
    /// Set if the control task waits for [`MediaEvent::Local`]; it comes back with it.
    pub exchange: Option<u64>,
    /// The client's ICE and DTLS part; absent in our own first offer.
    pub remote: Option<RemoteTransport>,
    /// We made the offer of this exchange (decides the ICE and DTLS roles of a new peer).
    pub offering: bool,
    /// New ICE credentials are wanted in our offer. (A client's restart shows in `remote`.)
    pub restart: bool,
    /// The client sends candidates later.
    pub trickle: bool,
    /// A new peer uses nothing but relays of TURN servers of ours.
    pub relay_only: bool,
    /// The m-lines, in order.
    pub media: Vec<Negotiated>,
    /// Handles with the same affinity share a worker while it is not busy.
    pub affinity: Option<String>,
    /// The worker the client asked for (`loop_index`), where that is allowed.
    pub worker: Option<usize>,
}

/// What a worker tells the control task of a handle.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaEvent {
    /// Our ICE, DTLS and SSRC part of a description.
    Local {
        /// From the [`Negotiation`].
        exchange: u64,
        /// The values to write.
        transport: Box<LocalTransport>,
    },
    /// A candidate of ours, for a trickle event; `None` is the end. Only with full trickle.
    Candidate(Option<Box<Candidate>>),
    /// ICE, DTLS and SRTP are ready.
    Up,
    /// Packets of a medium began to come, or stopped.
    Receiving {
        /// The m-line.
        mid: String,
        /// Audio or video.
        kind: MediaKind,
        /// The simulcast layer, 0 the lowest.
        substream: Option<u8>,
        /// Whether they come.
        receiving: bool,
        /// After how long a silence, in seconds.
        seconds: u64,
    },
    /// Many packets were lost in the last second.
    SlowLink {
        /// The m-line.
        mid: String,
        /// Audio or video.
        kind: MediaKind,
        /// The losses are on what the client sends.
        uplink: bool,
        /// Packets lost.
        lost: u32,
    },
    /// A sink reached another layer.
    Layer {
        /// The sink's m-line.
        mid: String,
        /// Codec, as in SDP, lower case.
        codec: &'static str,
        /// What changed.
        change: LayerChange,
        /// Why.
        cause: LayerCause,
    },
    /// Somebody began to talk, or stopped. See [`AudioWatch`].
    Talking {
        /// The source's m-line.
        mid: String,
        /// Which of the two.
        talking: bool,
        /// The average level that told, -dBov.
        level: f64,
    },
    /// What the client's network is estimated to carry, bits per second; told when it has changed noticeably.
    Estimate(u32),
    /// The client says how much it can receive (REMB), bits per second.
    PeerBitrate(u32),
    /// The data channel transport is up.
    DataReady,
    /// A data channel message of the client.
    Data(DataMessage),
    /// What became of a recording of a medium.
    Recording {
        /// The m-line.
        mid: String,
        /// What became of it.
        news: RecordingNews,
    },
    /// Packets go this way from now on. This and the next two only if the engine was asked to narrate.
    Path(Box<SelectedPair>),
    /// A DTLS handshake began, or is done: then [`MediaEvent::Up`] follows.
    Handshake {
        /// It is done.
        done: bool,
        /// Flights of ours that were repeated.
        retransmissions: u32,
    },
    /// Statistics: from time to time while the peer is up, and before it ends.
    Stats(Vec<LineReport>),
    /// What is known of a peer.
    Report {
        /// From [`MediaCommand::Report`].
        question: u64,
        /// The answer.
        report: Box<PeerReport>,
    },
    /// The client stopped answering consent checks.
    IceFailed,
    /// The peer is closed. The worker has forgotten it, and its routes.
    Hangup {
        /// `DTLS alert`, `ICE failed`, ...
        reason: String,
    },
}

/// What a sink reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerChange {
    /// A simulcast substream.
    Substream(u8),
    /// A temporal layer of a simulcast stream.
    Temporal(u8),
    /// Spatial and temporal layer of an SVC stream.
    Svc {
        /// Spatial layer.
        spatial: u8,
        /// Temporal layer.
        temporal: u8,
    },
}

/// Why a sink changed its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerCause {
    /// It is what was asked for.
    Wanted,
    /// The client's network carries no more, or carries more again.
    Bandwidth,
    /// The source did not send what was asked for.
    Starved,
    /// The gateway has more to send than it has time for.
    Overload,
}

impl LayerCause {
    /// The word for events and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Bandwidth => "bandwidth",
            Self::Starved => "starved",
            Self::Overload => "overload",
        }
    }
}
