//! Lines that are recorded: packets go to a tape as they would go to a receiver, but for seals and stamps.
//!
//! Of simulcast the best layer is recorded, as one stream: numbered through, and begun with a keyframe at each change.
//! Padding does not get onto a tape, and what is lost before us stays a gap.

use super::line::{Choice, Layout, Line};
use super::{Peer, PeerCx, Ready};
use portunus_plugin::media::Tapped;
use portunus_plugin::recording::Tape;
use portunus_rtp::codec::dependency::DependencyStructure;
use portunus_rtp::extension::{ExtensionKind, ExtensionMap};
use portunus_rtp::layers::{LayerEvent, Verdict};
use portunus_rtp::mapping::SinkStream;
use portunus_rtp::packet::{MAX_PACKET, RtpView};
use portunus_rtp::write::{Rewrite, SinkExtensions, SourcePacket, Stamp, write_packet};
use portunus_sdp::MediaKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Highest layers there are.
const BEST: (u8, u8) = (2, 2);
/// Without packets of the best substream for so long, a lower one is recorded.
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

/// A tape and how packets get onto it.
pub(crate) struct Recorded {
    tape: Arc<dyn Tape>,
    /// Packets are left out.
    paused: bool,
    layout: Option<Layout>,
    choice: Choice,
    /// Begins with the first packet, and its numbers.
    stream: Option<(SinkStream, u32)>,
    buffer: Box<[u8; MAX_PACKET]>,
}

impl Recorded {
    fn new(tape: Arc<dyn Tape>) -> Self {
        let buffer = Box::new([0; MAX_PACKET]);
        Self { tape, paused: false, layout: None, choice: Choice::All, stream: None, buffer }
    }

    fn set_layout(&mut self, layout: Option<Layout>) {
        if self.layout == layout {
            return;
        }
        self.layout = layout;
        self.choice = Choice::new(layout, BEST, FALLBACK);
    }

    /// Puts a packet that was chosen onto the tape.
    fn put(
        &mut self,
        packet: &Ready,
        view: RtpView<'_>,
        marker: bool,
        extensions: ExtensionMap,
        now: (Instant, u64),
    ) {
        let Some(clock_rate) = self.layout.map(|l| l.codec.clock_rate()) else { return };
        let header = packet.header;
        let (stream, ssrc) = self.stream.get_or_insert_with(|| {
            (SinkStream::new(clock_rate, header.sequence, header.timestamp), header.ssrc)
        });
        let Some(mapped) = stream.try_map(&packet.arrival(), now.1) else { return };
        let rewrite = Rewrite {
            ssrc: *ssrc,
            payload_type: header.payload_type,
            sequence: mapped.sequence,
            timestamp: mapped.timestamp,
            marker,
            payload: mapped.payload,
            frame_number: mapped.frame_number,
        };
        let source = SourcePacket { view, extensions: packet.extensions };
        let kept = SinkExtensions::new(extensions, None);
        if let Ok(len) = write_packet(self.buffer.as_mut_slice(), &source, &rewrite, &Stamp::default(), &kept)
            && let Some(bytes) = self.buffer.get(..len)
        {
            self.tape.packet(now.0, Tapped::Rtp(bytes));
        }
    }
}

impl Peer {
    /// What comes in on a line is put onto a tape from now on, or no longer.
    pub(crate) fn record(
        &mut self,
        cx: &mut PeerCx<'_>,
        line: usize,
        tape: Option<Arc<dyn Tape>>,
        now: Instant,
    ) {
        let Some(l) = self.lines.get_mut(line) else { return };
        let begins = tape.is_some();
        l.recorded = tape.map(|tape| Box::new(Recorded::new(tape)));
        if begins {
            self.request_keyframe(cx, line, None, now);
        }
    }

    /// Leaves packets out, or takes them again: from a keyframe on, without a gap in the numbers.
    pub(crate) fn pause_recording(&mut self, cx: &mut PeerCx<'_>, line: usize, paused: bool, now: Instant) {
        let Some(recorded) = self.lines.get_mut(line).and_then(|l| l.recorded.as_mut()) else { return };
        recorded.paused = paused;
        match (&mut recorded.stream, paused) {
            (Some((stream, _)), true) => stream.pause(),
            (_, true) => {}
            (_, false) => self.request_keyframe(cx, line, None, now),
        }
    }

    pub(crate) fn is_recorded(&self, line: usize) -> bool {
        self.lines.get(line).and_then(|l| l.recorded.as_ref()).is_some_and(|r| !r.paused)
    }

    /// A packet of a line that is recorded.
    pub(crate) fn put_on_tape(
        &mut self,
        cx: &mut PeerCx<'_>,
        line: usize,
        packet: &Ready,
        structure: Option<&DependencyStructure>,
        bytes: &[u8],
        now: Instant,
    ) {
        let Some(l) = self.lines.get_mut(line) else { return };
        let (layout, extensions) = (l.layout(), l.recorded_extensions());
        let Some(recorded) = &mut l.recorded else { return };
        let Ok(view) = RtpView::with_header(bytes, packet.header) else { return };
        recorded.set_layout(layout);
        let now_us = cx.clock.micros(now);
        match recorded.choice.on_packet(packet, structure, now_us) {
            Verdict::Forward { set_marker } if !view.payload().is_empty() => {
                let marker = packet.header.marker || set_marker;
                recorded.put(packet, view, marker, extensions, (now, now_us));
            }
            Verdict::Forward { .. } | Verdict::Discard => {
                if let Some((stream, _)) = &mut recorded.stream {
                    stream.on_drop(&packet.arrival());
                }
            }
            Verdict::Ignore => {}
        }
        let wishes = recorded.wishes();
        for substream in wishes.into_iter().flatten() {
            self.request_keyframe(cx, line, substream, now);
        }
    }
}

/// Puts a message of a data channel onto the tape, if there is one.
pub(super) fn put_message_on_tape(lines: &[Line], payload: &[u8], now: Instant) {
    let data = lines.iter().filter(|l| matches!(l.kind, MediaKind::Data));
    for recorded in data.filter_map(|l| l.recorded.as_ref()).filter(|r| !r.paused) {
        recorded.tape.packet(now, Tapped::Data(payload));
    }
}

impl Recorded {
    /// The substreams of which keyframes are needed.
    fn wishes(&mut self) -> [Option<Option<u8>>; 3] {
        let mut wishes = [None; 3];
        let mut n = 0;
        loop {
            let (event, simulcast) = match &mut self.choice {
                Choice::All => return wishes,
                Choice::Simulcast(s) => (s.poll_event(), true),
                Choice::Svc(s) => (s.poll_event(), false),
            };
            match event {
                None => return wishes,
                Some(LayerEvent::NeedKeyframe { substream }) => {
                    if let Some(place) = wishes.get_mut(n) {
                        *place = Some(simulcast.then_some(substream));
                        n += 1;
                    }
                }
                Some(_) => {}
            }
        }
    }
}

impl Line {
    /// The extensions that packets keep on a tape, with the client's ids.
    fn recorded_extensions(&self) -> ExtensionMap {
        let mut map = self.extensions;
        LEFT_OUT.into_iter().for_each(|kind| map.remove(kind));
        map
    }
}
