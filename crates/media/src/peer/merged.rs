//! The layers of a line as one stream, for what is no peer: a recording, a forwarder.
//!
//! Of simulcast the best layer there is makes the stream: numbered through, and begun with a keyframe at each change.
//! Padding does not get into it, and what is lost before us stays a gap.

use super::Ready;
use super::line::{Choice, Layout};
use portunus_rtp::codec::dependency::DependencyStructure;
use portunus_rtp::extension::{ExtensionKind, ExtensionMap};
use portunus_rtp::layers::{LayerEvent, Verdict};
use portunus_rtp::mapping::SinkStream;
use portunus_rtp::packet::RtpView;
use portunus_rtp::write::Rewrite;
use std::time::Duration;

/// Highest layers there are.
const BEST: (u8, u8) = (2, 2);
/// Without packets of the best substream for so long, a lower one is taken.
const FALLBACK: Duration = Duration::from_millis(250);
/// Extensions that belong to one transmission or its receiver, or name a stream among others.
const LEFT_OUT: [ExtensionKind; 6] = [
    ExtensionKind::TransportCc,
    ExtensionKind::AbsSendTime,
    ExtensionKind::PlayoutDelay,
    ExtensionKind::Mid,
    ExtensionKind::Rid,
    ExtensionKind::RepairedRid,
];

/// See the module.
pub(crate) struct Merged {
    layout: Option<Layout>,
    choice: Choice,
    /// Begins with the first packet, and its numbers.
    stream: Option<SinkStream>,
    /// That of the first packet, unless another is wanted.
    ssrc: Option<u32>,
}

impl Merged {
    pub(crate) const fn new(ssrc: Option<u32>) -> Self {
        Self { layout: None, choice: Choice::All, stream: None, ssrc }
    }

    /// No packets for a while: the numbers go on without a gap.
    pub(crate) fn pause(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.pause();
        }
    }

    /// What becomes of a packet; `None` if it is left out.
    pub(crate) fn take(
        &mut self,
        packet: &Ready,
        view: &RtpView<'_>,
        layout: Option<Layout>,
        structure: Option<&DependencyStructure>,
        now_us: u64,
    ) -> Option<Rewrite> {
        if self.layout != layout {
            self.layout = layout;
            self.choice = Choice::new(layout, BEST, FALLBACK);
        }
        match self.choice.on_packet(packet, structure, now_us) {
            Verdict::Forward { set_marker } if !view.payload().is_empty() => {
                self.number(packet, packet.header.marker || set_marker, now_us)
            }
            Verdict::Forward { .. } | Verdict::Discard => {
                if let Some(stream) = &mut self.stream {
                    stream.on_drop(&packet.arrival());
                }
                None
            }
            Verdict::Ignore => None,
        }
    }

    fn number(&mut self, packet: &Ready, marker: bool, now_us: u64) -> Option<Rewrite> {
        let (clock_rate, header) = (self.layout?.codec.clock_rate(), packet.header);
        let begin = || SinkStream::new(clock_rate, header.sequence, header.timestamp);
        let mapped = self.stream.get_or_insert_with(begin).try_map(&packet.arrival(), now_us)?;
        Some(Rewrite {
            ssrc: *self.ssrc.get_or_insert(header.ssrc),
            payload_type: header.payload_type,
            sequence: mapped.sequence,
            timestamp: mapped.timestamp,
            marker,
            payload: mapped.payload,
            frame_number: mapped.frame_number,
        })
    }

    /// The substreams of which keyframes are needed, as [`super::Peer::request_keyframe`] takes them.
    pub(crate) fn wishes(&mut self) -> impl Iterator<Item = Option<u8>> + use<> {
        let mut wishes = [None; 3];
        let mut places = wishes.iter_mut();
        loop {
            let (event, simulcast) = match &mut self.choice {
                Choice::All => break,
                Choice::Simulcast(s) => (s.poll_event(), true),
                Choice::Svc(s) => (s.poll_event(), false),
            };
            match event {
                None => break,
                Some(LayerEvent::NeedKeyframe { substream }) => {
                    if let Some(place) = places.next() {
                        *place = Some(simulcast.then_some(substream));
                    }
                }
                Some(_) => {}
            }
        }
        wishes.into_iter().flatten()
    }
}

/// The extensions that packets keep, with the ids they came with.
pub(crate) fn kept_extensions(mut map: ExtensionMap) -> ExtensionMap {
    LEFT_OUT.into_iter().for_each(|kind| map.remove(kind));
    map
}
