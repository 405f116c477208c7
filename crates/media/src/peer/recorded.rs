//! Lines that are recorded: packets go to a tape as they would go to a receiver, but for seals and stamps.

use super::line::Line;
use super::merged::{Merged, kept_extensions};
use super::{Peer, PeerCx, Ready};
use portunus_plugin::media::Tapped;
use portunus_plugin::recording::Tape;
use portunus_rtp::codec::dependency::DependencyStructure;
use portunus_rtp::packet::{MAX_PACKET, RtpView};
use portunus_rtp::write::{SinkExtensions, SourcePacket, Stamp, write_packet};
use portunus_sdp::MediaKind;
use std::sync::Arc;
use std::time::Instant;

/// A tape and how packets get onto it.
pub(crate) struct Recorded {
    tape: Arc<dyn Tape>,
    merged: Merged,
    buffer: Box<[u8; MAX_PACKET]>,
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
        l.recorded = tape.map(|tape| {
            Box::new(Recorded { tape, merged: Merged::new(None), buffer: Box::new([0; MAX_PACKET]) })
        });
        if begins {
            self.request_keyframe(cx, line, None, now);
        }
    }

    /// Neither records nor forwards what comes in on a line, or does so again: from a keyframe on, without a gap in the
    /// numbers.
    pub(crate) fn withhold(&mut self, cx: &mut PeerCx<'_>, line: usize, withheld: bool, now: Instant) {
        let Some(l) = self.lines.get_mut(line) else { return };
        let resumes = std::mem::replace(&mut l.withheld, withheld) && !withheld;
        let merged = l.recorded.iter_mut().map(|r| &mut r.merged);
        for merged in merged.chain(l.outlets.iter_mut().filter_map(|o| o.merged())) {
            merged.pause();
        }
        if resumes && (l.recorded.is_some() || !l.outlets.is_empty()) {
            self.request_keyframe(cx, line, None, now);
        }
    }

    pub(crate) fn is_recorded(&self, line: usize) -> bool {
        self.lines.get(line).is_some_and(|l| l.recorded.is_some() && !l.withheld)
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
        let (layout, extensions) = (l.layout(), kept_extensions(l.extensions));
        let Some(recorded) = &mut l.recorded else { return };
        let Ok(view) = RtpView::with_header(bytes, packet.header) else { return };
        if let Some(rewrite) = recorded.merged.take(packet, &view, layout, structure, cx.clock.micros(now)) {
            let source = SourcePacket { view, extensions: packet.extensions };
            let kept = SinkExtensions::new(extensions, None);
            let room = recorded.buffer.as_mut_slice();
            if let Ok(len) = write_packet(room, &source, &rewrite, &Stamp::default(), &kept)
                && let Some(bytes) = recorded.buffer.get(..len)
            {
                recorded.tape.packet(now, Tapped::Rtp(bytes));
            }
        }
        for substream in recorded.merged.wishes() {
            self.request_keyframe(cx, line, substream, now);
        }
    }
}

/// Puts a message of a data channel onto the tape, if there is one.
pub(super) fn put_message_on_tape(lines: &[Line], payload: &[u8], now: Instant) {
    let data = lines.iter().filter(|l| matches!(l.kind, MediaKind::Data) && !l.withheld);
    for recorded in data.filter_map(|l| l.recorded.as_ref()) {
        recorded.tape.packet(now, Tapped::Data(payload));
    }
}
