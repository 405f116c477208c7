//! One m-line of a peer: what was negotiated, the sources it receives, the sink it sends.

use super::burst::Bursts;
use super::forwarded::Outlet;
use super::keyframe::KeyframeRequests;
use super::recorded::Recorded;
use super::speaker::SpeakerLevel;
use super::{Feeder, Ready};
use crate::meter::LayerMeter;
use portunus_bwe::Layer;
use portunus_plugin::media::LayerTarget;
use portunus_rtp::codec::dependency::DependencyStructure;
use portunus_rtp::codec::{Codec, PayloadInspector};
use portunus_rtp::extension::{ExtensionKind, ExtensionMap, IdText};
use portunus_rtp::layers::{SimulcastSelector, SvcSelector, Verdict};
use portunus_rtp::mapping::{SinkStream, SourceId};
use portunus_rtp::receive::{NackGenerator, ReceiverStats, SequenceUnwrapper};
use portunus_rtp::store::{RetransmitIndex, SourceStore};
use portunus_rtp::write::SinkExtensions;
use portunus_sdp::{MediaKind, Negotiated};
use portunus_srtp::SendState;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Simulcast layers of one m-line.
pub(crate) const MAX_SOURCES: usize = 3;
/// Packets a sink can resend.
const KEPT_PACKETS: usize = 512;

/// See the module.
pub(crate) struct Line {
    pub(crate) mid: String,
    pub(crate) kind: MediaKind,
    pub(crate) active: bool,
    pub(crate) receive: bool,
    pub(crate) send: bool,
    /// Both sides have said what they want of it.
    pub(crate) settled: bool,
    pub(crate) codec: Option<Codec>,
    pub(crate) payload_types: PayloadTypes,
    pub(crate) feedback: Feedback,
    pub(crate) extensions: ExtensionMap,
    /// By substream, 0 the lowest; one entry without simulcast.
    pub(crate) sources: Vec<Source>,
    pub(crate) rids: Vec<String>,
    /// What the layers of the sources take.
    pub(crate) meter: LayerMeter,
    pub(crate) sink: Option<Sink>,
    /// The sinks that get what comes in here: peer and line.
    pub(crate) subscribers: Vec<(usize, usize)>,
    /// Whether somebody listens for the speaker's level.
    pub(crate) level: Option<SpeakerLevel>,
    /// It is recorded.
    pub(crate) recorded: Option<Box<Recorded>>,
    /// It is forwarded.
    pub(crate) outlets: Vec<Outlet>,
    /// It is neither recorded nor forwarded now.
    pub(crate) withheld: bool,
    /// Slow link, on what comes in and on what goes out.
    pub(crate) slow_up: bool,
    pub(crate) slow_down: bool,
}

/// Payload types of one m-line: one codec, and what may accompany it.
#[derive(Clone, Debug, Default)]
pub(crate) struct PayloadTypes {
    pub(crate) main: u8,
    pub(crate) rtx: Option<u8>,
    /// Others that are forwarded as they are: red, telephone-event.
    pub(crate) others: Vec<u8>,
}

/// The RTCP feedback that was negotiated.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Feedback {
    pub(crate) nack: bool,
    pub(crate) pli: bool,
    pub(crate) fir: bool,
    pub(crate) remb: bool,
    pub(crate) transport_cc: bool,
}

/// One received stream.
pub(crate) struct Source {
    pub(crate) id: SourceId,
    pub(crate) ssrc: Option<u32>,
    pub(crate) rtx: Option<u32>,
    pub(crate) unwrapper: SequenceUnwrapper,
    pub(crate) inspector: PayloadInspector,
    pub(crate) stats: ReceiverStats,
    pub(crate) nacks: NackGenerator,
    pub(crate) store: Option<SourceStore>,
    pub(crate) keyframes: KeyframeRequests,
    pub(crate) bursts: Bursts,
    pub(crate) last_packet: Option<Instant>,
    pub(crate) receiving: bool,
    pub(crate) nacks_sent: u64,
    pub(crate) fir_number: u8,
    pub(crate) last_keyframe: Option<Instant>,
    pub(crate) second: Second,
    /// The dependency structure in force, for the sinks' choice among SVC layers.
    pub(crate) structure: Option<Arc<DependencyStructure>>,
}

/// One sent stream. It keeps its SSRC and goes on counting for the life of the m-line, whatever feeds it.
pub(crate) struct Sink {
    pub(crate) ssrc: u32,
    pub(crate) rtx_ssrc: u32,
    pub(crate) rtx_sequence: u16,
    /// What feeds it, and its line.
    pub(crate) from: Option<(Feeder, usize)>,
    pub(crate) stream: SinkStream,
    pub(crate) extensions: SinkExtensions,
    pub(crate) choice: Choice,
    pub(crate) target: LayerTarget,
    /// What the client's network carries of it, if it is automatic.
    pub(crate) allowed: Layer,
    /// That it changed is why the next layers are reached.
    pub(crate) moved: bool,
    /// The wish is new: what the next choice brings is its doing.
    pub(crate) fresh: bool,
    /// A layer was reported.
    pub(crate) reported: bool,
    pub(crate) shed: Shed,
    /// Frames were left out: nothing can be decoded until a keyframe comes.
    pub(crate) torn: bool,
    /// The timestamp of the keyframe that is let through.
    pub(crate) whole: Option<u32>,
    pub(crate) state: Option<SendState>,
    pub(crate) rtx_state: Option<SendState>,
    pub(crate) index: RetransmitIndex,
    pub(crate) packets: u32,
    pub(crate) octets: u32,
    /// Newest timestamp sent and when: a sender report extrapolates from it.
    pub(crate) newest: Option<(u32, Instant)>,
    pub(crate) round_trip: Duration,
    /// Losses the receiver reported in this second, and in total before; reports may take losses back.
    pub(crate) lost_now: i64,
    pub(crate) lost_before: Option<i64>,
    pub(crate) fraction_lost: u8,
    /// Packets asked for again, and sent again.
    pub(crate) nacked: u64,
    pub(crate) resent: u64,
    /// Payload bytes sent, and what the receiver told of its jitter, in timestamp units.
    pub(crate) bytes: u64,
    pub(crate) remote_jitter: u32,
    pub(crate) second: Second,
}

/// What a sink does not get because its worker has no time for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shed {
    #[default]
    Nothing,
    /// All but the lowest layers.
    Layers,
    /// All but keyframes.
    Frames,
}

/// Bytes of a stream, second by second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Second {
    before: u64,
    pub(crate) bytes: u64,
    packets_before: u64,
    lost_before: u64,
    repaired_before: u64,
    /// Percent of the packets that came by themselves.
    pub(crate) quality: Option<u8>,
    /// Percent of the packets that came, repaired ones among them.
    pub(crate) media_quality: Option<u8>,
}

impl Second {
    /// A second is over; since the beginning so many bytes and packets came, so many of those as repairs, and so many
    /// packets were lost, repaired or not.
    pub(crate) fn end(&mut self, bytes: u64, packets: u64, repaired: u64, lost: u64) {
        self.bytes = bytes.saturating_sub(self.before);
        let came = packets.saturating_sub(self.packets_before);
        let by_themselves = came.saturating_sub(repaired.saturating_sub(self.repaired_before));
        let expected = by_themselves + lost.saturating_sub(self.lost_before);
        // A repair may come a second after its loss: more than all is all.
        let percent =
            |n: u64| (n.min(expected) * 100).checked_div(expected).and_then(|q| u8::try_from(q).ok());
        self.quality = percent(by_themselves).or(self.quality);
        self.media_quality = percent(came).or(self.media_quality);
        (self.before, self.packets_before, self.lost_before) = (bytes, packets, lost);
        self.repaired_before = repaired;
    }
}

/// How a sink chooses among the layers of its source.
pub(crate) enum Choice {
    /// Everything is taken.
    All,
    /// One of several streams.
    Simulcast(Box<SimulcastSelector>),
    /// Layers of one stream.
    Svc(Box<SvcSelector>),
}

impl Choice {
    /// For a source of that layout: at most these spatial and temporal layers.
    pub(crate) fn new(layout: Option<Layout>, (spatial, temporal): (u8, u8), fallback: Duration) -> Self {
        match layout {
            Some(l) if l.simulcast => {
                Self::Simulcast(Box::new(SimulcastSelector::new(spatial, temporal, micros(fallback))))
            }
            Some(l) if l.scalable => Self::Svc(Box::new(SvcSelector::new(spatial, temporal))),
            _ => Self::All,
        }
    }

    /// Whether a packet is taken.
    #[inline]
    pub(crate) fn on_packet(
        &mut self,
        packet: &Ready,
        structure: Option<&DependencyStructure>,
        now_us: u64,
    ) -> Verdict {
        let timestamp = packet.header.timestamp;
        match self {
            Self::All => Verdict::FORWARD,
            Self::Simulcast(s) => {
                let substream = u8::try_from(packet.source).unwrap_or(0);
                s.on_packet(substream, timestamp, &packet.info, now_us)
            }
            Self::Svc(s) => s.on_packet(timestamp, &packet.info, structure, now_us),
        }
    }
}

/// What a sink must know of the source it is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) codec: Codec,
    pub(crate) simulcast: bool,
    /// The negotiated extensions or the codec allow scalable layers in one stream.
    pub(crate) scalable: bool,
}

impl Line {
    pub(crate) fn new(n: &Negotiated) -> Self {
        let mut line = Self {
            mid: n.mid.clone(),
            kind: n.kind.clone(),
            active: false,
            receive: false,
            send: false,
            settled: false,
            codec: None,
            payload_types: PayloadTypes::default(),
            feedback: Feedback::default(),
            extensions: ExtensionMap::new(),
            sources: Vec::new(),
            rids: Vec::new(),
            meter: LayerMeter::default(),
            sink: None,
            subscribers: Vec::new(),
            level: None,
            recorded: None,
            outlets: Vec::new(),
            withheld: false,
            slow_up: false,
            slow_down: false,
        };
        line.update(n);
        line
    }

    /// Takes what was negotiated, first or again.
    pub(crate) fn update(&mut self, n: &Negotiated) {
        self.active = n.active;
        self.receive = n.active && n.receive;
        self.send = n.active && n.send;
        self.rids.clone_from(&n.rids);
        self.extensions = extension_map(n);
        let known = |p: &&portunus_sdp::NegotiatedPayload| {
            Codec::from_sdp(&p.name, p.clock_rate)
                .is_some_and(|c| !matches!(c, Codec::Red | Codec::TelephoneEvent))
        };
        if let Some(p) = n.payloads.iter().find(known) {
            self.codec = Codec::from_sdp(&p.name, p.clock_rate);
            let others = n.payloads.iter().map(|o| o.pt).filter(|pt| *pt != p.pt).collect();
            self.payload_types = PayloadTypes { main: p.pt, rtx: p.rtx, others };
            self.feedback =
                Feedback { nack: p.nack, pli: p.pli, fir: p.fir, remb: p.remb, transport_cc: p.twcc };
        }
        if let Some(sink) = &mut self.sink {
            sink.extensions.set_map(self.extensions, IdText::new(&self.mid));
            if let Some(codec) = self.codec {
                sink.stream.set_clock_rate(codec.clock_rate());
            }
        }
    }

    pub(crate) const fn is_video(&self) -> bool {
        matches!(self.kind, MediaKind::Video)
    }

    pub(crate) const fn is_simulcast(&self) -> bool {
        self.sources.len() > 1
    }

    /// We offer again. What was idle may come back: as another stream, since browsers have forgotten the old one and
    /// take its SSRC for nothing new.
    pub(crate) fn renew_if_idle(&mut self, random: &mut crate::random::Random) {
        let (Some(codec), true) = (self.codec, self.settled && !self.send) else { return };
        if let Some(old) = self.sink.take() {
            let mut sink = Sink::new(self, codec, random);
            if old.from.is_some() {
                (sink.from, sink.target, sink.choice) = (old.from, old.target, old.choice);
            }
            self.sink = Some(sink);
        }
    }

    /// If this feeds our sink: it is gone.
    pub(crate) fn lose_source(&mut self, feeder: Feeder) {
        if let Some(sink) = &mut self.sink
            && sink.from.is_some_and(|(f, _)| f == feeder)
        {
            sink.from = None;
            sink.stream.pause();
        }
    }

    pub(crate) fn layout(&self) -> Option<Layout> {
        let codec = self.codec?;
        let scalable = match codec {
            Codec::Vp9 => true,
            Codec::Av1 => self.extensions.id(ExtensionKind::DependencyDescriptor).is_some(),
            _ => false,
        };
        Some(Layout { codec, simulcast: self.is_simulcast(), scalable: scalable && !self.is_simulcast() })
    }
}

/// A place for the packets of a stream, if they can be asked for again.
pub(crate) fn source_store(codec: Codec, nack_queue: Duration) -> Option<SourceStore> {
    // Kept as long as a sink could ask for it, and the packets of the wire's worst second.
    let age = nack_queue.max(Duration::from_secs(1));
    matches!(codec.media(), portunus_rtp::codec::MediaKind::Video)
        .then(|| SourceStore::new(KEPT_PACKETS, micros(age)))
}

impl Source {
    pub(crate) fn new(id: u32, codec: Codec, nack_queue: Duration) -> Self {
        Self {
            id: SourceId(id),
            ssrc: None,
            rtx: None,
            unwrapper: SequenceUnwrapper::new(),
            inspector: PayloadInspector::new(codec),
            stats: ReceiverStats::new(codec.clock_rate()),
            nacks: NackGenerator::new(),
            store: source_store(codec, nack_queue),
            keyframes: KeyframeRequests::new(),
            bursts: Bursts::new(),
            last_packet: None,
            receiving: false,
            nacks_sent: 0,
            fir_number: 0,
            last_keyframe: None,
            second: Second::default(),
            structure: None,
        }
    }
}

impl Sink {
    pub(crate) fn new(line: &Line, codec: Codec, random: &mut crate::random::Random) -> Self {
        let ssrc = random.next_u32() | 1;
        // RFC 3711 section 3.3.1: begin below 2^15, so that loss at the start cannot hide a wrap.
        let (first, rtx_first) = (random.next_u16() >> 1, random.next_u16() >> 1);
        Self {
            ssrc,
            rtx_ssrc: ssrc.wrapping_add(0x1000_0001 | (random.next_u32() >> 4)) | 1,
            rtx_sequence: rtx_first,
            from: None,
            stream: SinkStream::new(codec.clock_rate(), first, random.next_u32()),
            extensions: SinkExtensions::new(line.extensions, IdText::new(&line.mid)),
            choice: Choice::All,
            target: LayerTarget {
                spatial: 2,
                temporal: 2,
                fallback: Duration::from_millis(250),
                automatic: false,
            },
            allowed: Layer::default(),
            moved: false,
            fresh: false,
            reported: false,
            shed: Shed::Nothing,
            torn: false,
            whole: None,
            state: None,
            rtx_state: None,
            index: RetransmitIndex::new(ssrc, if line.is_video() { KEPT_PACKETS } else { 0 }),
            packets: 0,
            octets: 0,
            newest: None,
            round_trip: Duration::ZERO,
            lost_now: 0,
            lost_before: None,
            fraction_lost: 0,
            nacked: 0,
            resent: 0,
            bytes: 0,
            remote_jitter: 0,
            second: Second::default(),
        }
    }

    /// A packet left, with so many octets of payload: for the sender reports.
    pub(crate) fn count(&mut self, octets: usize, timestamp: u32, now: Instant) {
        self.packets = self.packets.wrapping_add(1);
        let octets = u32::try_from(octets).unwrap_or(0);
        self.octets = self.octets.wrapping_add(octets);
        self.bytes += u64::from(octets);
        if self.newest.is_none_or(|(newest, _)| timestamp.wrapping_sub(newest) < 1 << 31) {
            self.newest = Some((timestamp, now));
        }
    }

    /// How many sent packets SRTP remembers for resending.
    pub(crate) const fn kept(is_video: bool) -> usize {
        if is_video { KEPT_PACKETS } else { 64 }
    }

    /// Prepares for a source, or for another layout of the same one.
    pub(crate) fn set_layout(&mut self, layout: Option<Layout>) {
        self.choice = Choice::new(layout, self.limit(), self.target.fallback);
    }
}

pub(crate) fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

fn extension_map(n: &Negotiated) -> ExtensionMap {
    let mut map = ExtensionMap::new();
    for (id, uri) in &n.extensions {
        if let Some(kind) = ExtensionKind::from_uri(uri) {
            map.try_insert(kind, *id);
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn an_m_line_that_comes_back_is_another_stream() {
        let mut random = Random::new();
        let agreed = crate::simulation::video(0, Some(97));
        let mut line = Line::new(&agreed);
        line.sink = Some(Sink::new(&line, Codec::Vp8, &mut random));
        let ssrc = |line: &Line| line.sink.as_ref().map(|s| (s.ssrc, s.rtx_ssrc));
        let first = ssrc(&line);
        line.renew_if_idle(&mut random);
        assert_eq!(ssrc(&line), first, "it was never answered");
        line.settled = true;
        line.renew_if_idle(&mut random);
        assert_eq!(ssrc(&line), first, "it is in use");
        line.update(&Negotiated { send: false, ..agreed });
        line.renew_if_idle(&mut random);
        let second = ssrc(&line);
        assert!(second.is_some() && second != first);
    }
}
