//! A peer as operators see it: what the media engine knows at one moment, for `handle_info`.
//!
//! What was agreed on in descriptions (codecs, directions, extensions) is not repeated here: the control task knows it.

use crate::HandleId;
use portunus_sdp::{Candidate, MediaKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerReport {
    /// The path.
    pub ice: IceReport,
    /// Its encryption.
    pub dtls: DtlsReport,
    /// What the client's network is estimated to carry, bits per second.
    pub estimate: Option<u32>,
    /// The client's m-lines, in order.
    pub lines: Vec<LineReport>,
}

/// ICE.
#[derive(Clone, Debug, PartialEq)]
pub struct IceReport {
    /// `gathering`, `connecting`, `connected`, `ready` or `failed`.
    pub state: &'static str,
    /// We decide which pair is used.
    pub controlling: bool,
    /// When there was a path first.
    pub connected: Option<Instant>,
    /// When the client last consented to being sent to.
    pub heard: Option<Instant>,
    /// Ours.
    pub local: Vec<Candidate>,
    /// The client's, as candidate lines without a prefix.
    pub remote: Vec<String>,
    /// The pair in use.
    pub selected: Option<SelectedPair>,
    /// How our candidates are told, where that is one by one.
    pub trickle: Option<TrickleReport>,
    /// An address that the client was told, and the one with another port that it saw instead: a NAT changed it.
    pub remapped: Option<(SocketAddr, SocketAddr)>,
}

/// Our candidates, told one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrickleReport {
    /// So long after our first checks; zero for no such thing.
    pub hold: Duration,
    /// So long after our description.
    pub delay: Duration,
    /// They are kept back now.
    pub holding: bool,
    /// For how long they were.
    pub kept_back: Option<Duration>,
}

/// The pair in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectedPair {
    /// Our address.
    pub local: SocketAddr,
    /// What it is: `host`, or `relay` for one on a TURN server.
    pub local_kind: &'static str,
    /// The client's.
    pub remote: SocketAddr,
    /// How the client got its address: `host`, `srflx`, `prflx` or `relay`.
    pub remote_kind: &'static str,
    /// `udp` or `tcp`
    pub transport: &'static str,
}

/// DTLS and what it carries.
#[derive(Clone, Debug, PartialEq)]
pub struct DtlsReport {
    /// Of our certificate (SHA-256).
    pub fingerprint: String,
    /// Of the client's, with its hash function.
    pub remote_fingerprint: Option<(String, String)>,
    /// `active`, `passive` or `actpass`
    pub role: &'static str,
    /// `created`, `trying`, `connected` or `failed`
    pub state: &'static str,
    /// Flights of ours that were repeated.
    pub retransmissions: u32,
    /// The SRTP profile, in Janus' spelling.
    pub profile: Option<&'static str>,
    /// When it began.
    pub started: Option<Instant>,
    /// When it was done.
    pub connected: Option<Instant>,
    /// There is an SCTP association.
    pub sctp: bool,
}

/// One m-line.
#[derive(Clone, Debug, PartialEq)]
pub struct LineReport {
    /// Its mid.
    pub mid: String,
    /// Its place among the m-lines.
    pub mindex: u16,
    /// Audio, video or data.
    pub kind: MediaKind,
    /// Its codec, as in SDP, lower case.
    pub codec: Option<&'static str>,
    /// Of the codec; 1 without one.
    pub clock_rate: u32,
    /// Lost packets are asked for again.
    pub nacks: bool,
    /// How long sent packets are kept.
    pub nack_queue: Duration,
    /// What comes in, by substream; one without simulcast.
    pub sources: Vec<SourceReport>,
    /// What goes out.
    pub sink: Option<SinkReport>,
}

/// Packets and payload bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Bytes of the last whole second.
    pub last_second: u64,
}

/// A received stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceReport {
    /// Its SSRC, once it is known.
    pub ssrc: Option<u32>,
    /// That of its retransmissions.
    pub rtx: Option<u32>,
    /// What came.
    pub traffic: Traffic,
    /// Packets that were lost on the way, also when they came again later.
    pub lost: u64,
    /// Interarrival jitter, milliseconds.
    pub jitter: u32,
    /// Percent of the packets of the last second that came by themselves.
    pub quality: u8,
    /// The same, with those that came again.
    pub media_quality: u8,
    /// NACK messages sent.
    pub nacks: u64,
    /// Packets that came back.
    pub repaired: u64,
    /// Keyframe requests sent.
    pub keyframe_requests: u64,
    /// When the last packet came.
    pub last_packet: Option<Instant>,
    /// When the last keyframe came.
    pub last_keyframe: Option<Instant>,
}

/// What feeds a sink: a stream of another peer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeederReport {
    /// Its handle.
    pub handle: Option<HandleId>,
    /// Its m-line.
    pub mid: String,
    /// When the last packet of the stream that is taken came.
    pub last_packet: Option<Instant>,
    /// When its last keyframe came.
    pub last_keyframe: Option<Instant>,
    /// Its packets that were lost on the way, also when they came again later.
    pub lost: u64,
}

/// A sent stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SinkReport {
    /// Its SSRC.
    pub ssrc: u32,
    /// That of its retransmissions.
    pub rtx: Option<u32>,
    /// What went.
    pub traffic: Traffic,
    /// Packets the client says it lost.
    pub lost: i64,
    /// Jitter the client told, milliseconds.
    pub jitter: u32,
    /// Percent of the packets of the client's last report that arrived.
    pub quality: u8,
    /// Round trip, from the client's reports.
    pub round_trip: Option<Duration>,
    /// When the last packet went.
    pub last_sent: Option<Instant>,
    /// Substream (or spatial) and temporal layer that go, of a stream with layers.
    pub layer: Option<(u8, u8)>,
    /// The same as it is wished for.
    pub wanted: (u8, u8),
    /// The layers follow the client's network.
    pub automatic: bool,
    /// What it is estimated to carry of them.
    pub allowed: (u8, u8),
    /// What feeds it, if anything does and it is on the same worker.
    pub feeder: Option<FeederReport>,
    /// Nothing feeds it.
    pub unfed: bool,
    /// Packets the client asked for again.
    pub nacked: u64,
    /// Those of them that were sent again.
    pub resent: u64,
}
