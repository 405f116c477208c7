//! RTP that comes in: opened in place, matched to its stream, counted, stored, and handed on.

use super::line::{Line, Source};
use super::negotiate::bind;
use super::{Peer, PeerCx, Stage, Stream};
use portunus_plugin::media::{MediaEvent, Tapped};
use portunus_rtp::codec::PayloadInfo;
use portunus_rtp::extension::{ExtensionKind, ExtensionOffsets};
use portunus_rtp::mapping::{Arrival, SourceId};
use portunus_rtp::packet::RtpHeader;
use portunus_rtp::receive::Gap;
use portunus_rtp::store::Stored;
use portunus_rtp::write::{SourcePacket, unwrap_rtx};
use portunus_srtp::Error as SrtpError;
use std::sync::Arc;
use std::time::Instant;

/// SSRCs of one peer; one more pushes out the one that is known longest.
pub(super) const MAX_STREAMS: usize = 64;

/// A packet that is on its way to its sinks. Its bytes lie in the worker's batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    /// Whose it is: peer, line, and which simulcast layer.
    pub(crate) peer: usize,
    pub(crate) line: usize,
    pub(crate) source: usize,
    /// Where its bytes lie.
    pub(crate) slot: usize,
    pub(crate) len: usize,
    pub(crate) id: SourceId,
    pub(crate) sequence: u64,
    pub(crate) header: RtpHeader,
    pub(crate) extensions: ExtensionOffsets,
    pub(crate) info: PayloadInfo,
    /// It has the payload type of the line's codec, not of a companion (red, telephone-event).
    pub(crate) main: bool,
    /// RTP padding to send it with.
    pub(crate) padding: u8,
}

/// Padding that is spent on a longer `UDP_SEGMENT` run, per packet.
const MAX_EQUALISING: usize = 32;

/// Makes the packets of a batch equally long, so that they leave in one call. Packetizers split a frame into parts
/// that differ by a byte, the longer ones last; `UDP_SEGMENT` allows only the last one to differ, and only to be
/// shorter. A packet grows to the longest behind it in the batch, if that is near; the last one stays.
pub(crate) fn equalise(packets: &mut [Ready]) {
    let mut longest = 0_usize;
    for (i, packet) in packets.iter_mut().rev().enumerate() {
        let missing = longest.saturating_sub(packet.len);
        let near = i > 0 && missing <= MAX_EQUALISING;
        packet.padding = if near { u8::try_from(missing).unwrap_or(0) } else { 0 };
        longest = if i == 0 || missing <= MAX_EQUALISING { longest.max(packet.len) } else { packet.len };
    }
}

impl Ready {
    /// The packet as the numbering of a sink sees it.
    pub(super) fn arrival(&self) -> Arrival<'_> {
        let timestamp = self.header.timestamp;
        Arrival { source: self.id, sequence: self.sequence, timestamp, info: &self.info }
    }
}

impl Peer {
    /// One SRTP packet.
    pub(crate) fn handle_rtp(
        &mut self,
        cx: &mut PeerCx<'_>,
        key: usize,
        bytes: &mut [u8],
        slot: usize,
        now: Instant,
    ) {
        if self.stage != Stage::Up {
            self.refused.early += 1;
            return;
        }
        let Some(srtp) = &mut self.srtp else { return };
        let opened = match srtp.opener.unprotect_rtp(bytes) {
            Ok(opened) => opened,
            Err(SrtpError::Replay | SrtpError::TooOld) => return self.refused.replayed += 1,
            Err(SrtpError::Malformed) => return self.refused.malformed += 1,
            Err(_) => return self.refused.forged += 1,
        };
        let Some(packet) = bytes.get_mut(..opened.len) else { return };
        if let Some(tap) = &srtp.tap {
            tap.packet(true, Tapped::Rtp(packet));
        }
        let Ok(parsed) = SourcePacket::parse(packet, &self.extensions) else {
            self.refused.malformed += 1;
            return;
        };
        let header = *parsed.view.header();
        self.record_transport_cc(cx, &parsed, now);
        let Some(stream) = self.stream_of(&parsed, &header) else {
            self.refused.unknown_stream += 1;
            return;
        };
        let now_us = cx.clock.micros(now);
        if stream.rtx {
            self.handle_rtx(cx, key, stream, packet, slot, now_us, now);
        } else {
            self.accept(cx, Place { key, stream, slot }, packet, false, now_us, now);
        }
    }

    /// A packet of a line that was never sealed. Peer and slot are its place in the worker.
    #[cfg(any(test, feature = "bench"))]
    pub(crate) fn feed_rtp(
        &mut self,
        cx: &mut PeerCx<'_>,
        (key, slot): (usize, usize),
        line: usize,
        packet: &[u8],
        now: Instant,
    ) {
        let stream = Stream { ssrc: 0, line, source: 0, rtx: false };
        let now_us = cx.clock.micros(now);
        self.accept(cx, Place { key, stream, slot }, packet, false, now_us, now);
    }

    fn record_transport_cc(&mut self, cx: &PeerCx<'_>, packet: &SourcePacket<'_>, now: Instant) {
        let Some(recorder) = &mut self.twcc else { return };
        if let Some(&[high, low]) =
            packet.extension(ExtensionKind::TransportCc).and_then(|v| v.first_chunk::<2>())
        {
            recorder.on_packet(u16::from_be_bytes([high, low]), cx.clock.micros(now));
        }
    }

    /// An RTX packet: what it repeats takes the way of any packet, if it is still missing.
    #[allow(clippy::too_many_arguments)]
    fn handle_rtx(
        &mut self,
        cx: &mut PeerCx<'_>,
        key: usize,
        stream: Stream,
        packet: &mut [u8],
        slot: usize,
        now_us: u64,
        now: Instant,
    ) {
        let Some(line) = self.lines.get(stream.line) else { return };
        let Some(ssrc) = line.sources.get(stream.source).and_then(|s| s.ssrc) else { return };
        let pt = line.payload_types.main;
        match unwrap_rtx(packet, ssrc, pt) {
            Ok(Some(len)) => {
                if let Some(original) = packet.get_mut(..len) {
                    self.accept(cx, Place { key, stream, slot }, original, true, now_us, now);
                }
            }
            Ok(None) => {}
            Err(_) => self.refused.malformed += 1,
        }
    }

    /// Counts, stores and hands on a packet of a known stream.
    fn accept(
        &mut self,
        cx: &mut PeerCx<'_>,
        place: Place,
        packet: &[u8],
        repaired: bool,
        now_us: u64,
        now: Instant,
    ) {
        let Ok(parsed) = SourcePacket::parse(packet, &self.extensions) else {
            self.refused.malformed += 1;
            return;
        };
        let Stream { line: line_index, source: source_index, .. } = place.stream;
        let Some(line) = self.lines.get_mut(line_index) else { return };
        let simulcast = line.is_simulcast();
        let nack = line.feedback.nack;
        let (main, others) = (line.payload_types.main, &line.payload_types.others);
        let header = *parsed.view.header();
        if header.payload_type != main && !others.contains(&header.payload_type) {
            self.refused.unknown_stream += 1;
            return;
        }
        let is_main = header.payload_type == main;
        let Some(source) = line.sources.get_mut(source_index) else { return };
        let Some(arrived) = source.on_packet(&parsed, is_main, nack, repaired, now_us) else { return };
        self.stirred |= arrived.gap;
        source.last_packet = Some(now);
        if arrived.info.keyframe {
            source.last_keyframe = Some(now);
        }
        let id = source.id;
        if let Some(level) = &mut line.level
            && let Some(value) = parsed.extension(ExtensionKind::AudioLevel)
            && let Some((talking, average)) = level.on_packet(value)
        {
            let event = MediaEvent::Talking { mid: line.mid.clone(), talking, level: average };
            cx.events.push_back((self.handle, event));
        }
        if !source.receiving {
            source.receiving = true;
            let substream = simulcast.then(|| u8::try_from(source_index).unwrap_or(0));
            let (mid, kind) = (line.mid.clone(), line.kind.clone());
            let event = MediaEvent::Receiving { mid, kind, substream, receiving: true, seconds: 0 };
            cx.events.push_back((self.handle, event));
        }
        cx.ready.push(Ready {
            peer: place.key,
            line: line_index,
            source: source_index,
            slot: place.slot,
            len: packet.len(),
            id,
            sequence: arrived.sequence,
            header,
            extensions: parsed.extensions,
            info: arrived.info,
            main: is_main,
            padding: 0,
        });
    }

    /// The stream a packet belongs to: its SSRC, or, for a new one, the mid and rid it carries.
    fn stream_of(&mut self, packet: &SourcePacket<'_>, header: &RtpHeader) -> Option<Stream> {
        if let Some(stream) = self.streams.iter().find(|s| s.ssrc == header.ssrc) {
            return Some(*stream);
        }
        let text = |kind| packet.extension(kind).and_then(|v| std::str::from_utf8(v).ok());
        let line = match text(ExtensionKind::Mid) {
            Some(mid) => self.lines.iter().position(|l| l.receive && l.mid == mid)?,
            None => only_line(&self.lines, header.payload_type)?,
        };
        let l = self.lines.get_mut(line)?;
        let rtx = l.payload_types.rtx == Some(header.payload_type);
        let rid = text(ExtensionKind::RepairedRid).filter(|_| rtx).or_else(|| text(ExtensionKind::Rid));
        let source = match rid {
            Some(rid) if !l.rids.is_empty() => l.rids.iter().position(|r| r == rid)?,
            None if l.sources.len() > 1 => return None,
            _ => 0,
        };
        let s = l.sources.get_mut(source)?;
        learn(s, header.ssrc, rtx);
        let stream = Stream { ssrc: header.ssrc, line, source, rtx };
        bind(&mut self.streams, stream);
        Some(stream)
    }
}

/// Where a packet is on its way through the worker.
#[derive(Clone, Copy)]
struct Place {
    key: usize,
    stream: Stream,
    slot: usize,
}

/// A packet that its source had not seen before.
struct Arrived {
    sequence: u64,
    info: PayloadInfo,
    /// Something is missing, or a keyframe is wanted: a timer may have moved.
    gap: bool,
}

impl Source {
    /// Another stream takes its place: its packets follow all that were, and are counted from new.
    pub(super) fn restart(&mut self) {
        self.unwrapper.restart();
        self.stats.restart();
        self.nacks = portunus_rtp::receive::NackGenerator::new();
        self.keyframes.want();
    }

    /// Counts, inspects and stores a packet; `None` for one that is here already or far too old.
    fn on_packet(
        &mut self,
        packet: &SourcePacket<'_>,
        is_main: bool,
        nack: bool,
        repaired: bool,
        now_us: u64,
    ) -> Option<Arrived> {
        let header = packet.view.header();
        let payload = packet.view.payload();
        let sequence = self.unwrapper.unwrap(header.sequence)?;
        let is_new = if repaired {
            self.stats.on_repair(sequence, payload.len(), now_us)
        } else {
            self.stats.on_packet(sequence, header.timestamp, payload.len(), now_us)
        };
        if !is_new {
            return None;
        }
        let info = if is_main {
            let descriptor = packet.extension(ExtensionKind::DependencyDescriptor);
            self.inspector.inspect(payload, header.marker, descriptor)
        } else {
            PayloadInfo { keyframe: true, frame_end: header.marker, ..PayloadInfo::default() }
        };
        if info.dependency.is_some_and(|d| d.has_structure) {
            self.structure = self.inspector.dependency().structure().cloned().map(Arc::new);
        }
        if info.keyframe {
            self.keyframes.on_keyframe();
            self.nacks.on_keyframe(sequence);
        }
        let gap = nack
            && match self.nacks.on_packet(sequence, now_us) {
                Gap::None => false,
                Gap::TooLarge => {
                    self.keyframes.want();
                    true
                }
                _ => true,
            };
        self.bursts.on_packet(header.timestamp, header.marker, now_us);
        if let Some(store) = &mut self.store
            && store.insert(sequence, packet, now_us) == Stored::Duplicate
        {
            return None;
        }
        Some(Arrived { sequence, info, gap })
    }
}

/// A source shows its SSRC. Another one than before is a restarted sender: it counts from new.
fn learn(source: &mut Source, ssrc: u32, rtx: bool) {
    if rtx {
        source.rtx = Some(ssrc);
        return;
    }
    if source.ssrc.is_some_and(|old| old != ssrc) {
        source.restart();
    }
    source.ssrc = Some(ssrc);
}

/// Without a mid, the payload type tells, if only one m-line has it.
fn only_line(lines: &[Line], payload_type: u8) -> Option<usize> {
    let takes = |l: &Line| {
        let p = &l.payload_types;
        l.receive
            && (p.main == payload_type || p.rtx == Some(payload_type) || p.others.contains(&payload_type))
    };
    let mut found = lines.iter().enumerate().filter(|(_, l)| takes(l)).map(|(i, _)| i);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padding(lengths: &[usize]) -> Vec<u8> {
        let header = RtpHeader::parse(&[0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]).unwrap();
        let ready = |len: &usize| Ready {
            peer: 0,
            line: 0,
            source: 0,
            slot: 0,
            len: *len,
            id: SourceId(1),
            sequence: 1,
            header,
            extensions: ExtensionOffsets::default(),
            info: PayloadInfo::default(),
            main: true,
            padding: 7,
        };
        let mut packets: Vec<Ready> = lengths.iter().map(ready).collect();
        equalise(&mut packets);
        packets.iter().map(|p| p.padding).collect()
    }

    #[test]
    fn a_frame_split_about_equally_leaves_in_packets_of_one_size() {
        for (lengths, expected) in [
            (&[862, 862, 863][..], &[1, 1, 0][..]),
            (&[1013, 1014, 1014, 1014], &[1, 0, 0, 0]),
            (&[970, 970, 971], &[1, 1, 0]),
            (&[1014, 1013], &[0, 0]),
            (&[900, 1100], &[0, 0]),
            (&[300, 1013, 1014], &[0, 1, 0]),
            (&[862], &[0]),
            (&[], &[]),
        ] {
            assert_eq!(padding(lengths), expected, "{lengths:?}");
        }
    }
}
