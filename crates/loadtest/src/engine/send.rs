//! One stream that we send: VP8 or Opus in form, stamps in content.

use super::pace::{Piece, Schedule};
use super::shared::{Shared, Source};
use super::tally::Counters;
use crate::stamp::{self, Stamp};
use portunus_rtp::extension::abs_send_time;
use portunus_rtp::rtcp::{SenderInfo, ntp_time};
use portunus_sdp::{MediaKind, Negotiated, ext};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Sent packets that can be sent again: more than a second of 3 Mbit/s.
const KEPT: usize = 512;
const FILLER: u8 = 0x55;
/// 16 bits of extension head, the rest of the elements below, padded.
const MAX_EXTENSIONS: usize = 64;
/// Sequence numbers begin low, so that none wraps before SRTP has its roll-over count.
const FIRST_SEQUENCE: u16 = 0x7fff;

/// What a stream is to be.
#[derive(Clone, Debug)]
pub(crate) struct SendSpec {
    /// The m-line.
    pub(crate) line: usize,
    pub(crate) ssrc: u32,
    pub(crate) rtx_ssrc: Option<u32>,
    pub(crate) rid: Option<String>,
    pub(crate) schedule: Schedule,
}

/// What is needed to make a packet again.
#[derive(Clone, Copy, Debug)]
struct Sent {
    sequence: u16,
    timestamp: u32,
    picture: u16,
    piece: Piece,
    stamp: Stamp,
}

/// Ids of header extensions; 0: not agreed on.
#[derive(Clone, Debug, Default)]
struct Ids {
    mid: u8,
    transport_cc: u8,
    abs_send_time: u8,
    audio_level: u8,
    rid: u8,
    repaired_rid: u8,
}

pub(crate) struct Sender {
    pub(crate) ssrc: u32,
    rtx: Option<(u32, u8)>,
    payload_type: u8,
    clock_rate: u64,
    video: bool,
    mid: String,
    rid: Option<String>,
    ids: Ids,
    pub(crate) schedule: Schedule,
    number: u32,
    source: Arc<Source>,
    counter: u64,
    sequence: u16,
    rtx_sequence: u16,
    picture: u16,
    wants_keyframe: bool,
    keyframe: bool,
    packets: u32,
    octets: u32,
    timestamp: u32,
    kept: Vec<Option<Sent>>,
}

impl Sender {
    /// `None`: nothing was agreed on for that line.
    pub(crate) fn new(spec: SendSpec, media: &[Negotiated], shared: &Shared) -> Option<Self> {
        let line = media.get(spec.line).filter(|line| line.send)?;
        let payload = line.payloads.iter().find(|p| p.codec.is_some())?;
        let (number, source) = shared.add_source();
        let video = line.kind == MediaKind::Video;
        let id = |uri: &str| line.extension(uri).unwrap_or(0);
        let kept = if video && shared.settings.nack && payload.nack { KEPT } else { 0 };
        Some(Self {
            ssrc: spec.ssrc,
            rtx: spec.rtx_ssrc.zip(payload.rtx),
            payload_type: payload.pt,
            clock_rate: u64::from(payload.clock_rate),
            video,
            mid: line.mid.clone(),
            rid: spec.rid,
            ids: Ids {
                mid: id(ext::MID),
                transport_cc: id(ext::TRANSPORT_WIDE_CC),
                abs_send_time: id(ext::ABS_SEND_TIME),
                audio_level: if video { 0 } else { id(ext::AUDIO_LEVEL) },
                rid: id(ext::RID),
                repaired_rid: id(ext::REPAIRED_RID),
            },
            schedule: spec.schedule,
            number,
            source,
            counter: 0,
            sequence: FIRST_SEQUENCE,
            rtx_sequence: FIRST_SEQUENCE,
            picture: 0,
            wants_keyframe: true,
            keyframe: false,
            packets: 0,
            octets: 0,
            timestamp: 0,
            kept: vec![None; kept],
        })
    }

    pub(crate) const fn is_video(&self) -> bool {
        self.video
    }

    /// The next frame is to be a keyframe.
    pub(crate) const fn want_keyframe(&mut self) {
        self.wants_keyframe = true;
    }

    /// Writes the next packet into `room` if it is due: its length, and how late it is.
    pub(crate) fn poll(
        &mut self,
        room: &mut [u8],
        now_ns: u64,
        transport_sequence: &mut u16,
        shared: &Shared,
        counters: &mut Counters,
    ) -> Option<(usize, u64)> {
        let first = self.schedule.at_frame();
        let piece = self.schedule.next(now_ns, self.wants_keyframe && self.video)?;
        if first {
            counters.frames_skipped += self.schedule.take_skipped();
            counters.frames_sent += u64::from(self.video);
            self.keyframe = self.video && std::mem::take(&mut self.wants_keyframe);
            counters.keyframes_sent += u64::from(self.keyframe);
            self.picture = self.picture.wrapping_add(1);
            // Of the schedule, not of the clock: what a camera took then is only late.
            self.timestamp = (u128::from(piece.due_ns) * u128::from(self.clock_rate) / 1_000_000_000) as u32;
        }
        let phase = shared.phase();
        if phase != 0 {
            self.source.on_sent(phase, self.counter);
        }
        let stamp = Stamp {
            source: self.number,
            counter: self.counter,
            sent_ns: now_ns,
            frame: piece.frame,
            packets: piece.packets,
            phase,
            keyframe: self.keyframe || !self.video,
        };
        let sent =
            Sent { sequence: self.sequence, timestamp: self.timestamp, picture: self.picture, piece, stamp };
        let len = self.write(room, &sent, None, now_ns, transport_sequence)?;
        let kept = self.kept.len().max(1);
        if let Some(place) = self.kept.get_mut(usize::from(sent.sequence) % kept) {
            *place = Some(sent);
        }
        self.counter += 1;
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(piece.payload as u32);
        Some((len, now_ns.saturating_sub(piece.due_ns)))
    }

    /// Writes the retransmission of a packet, if it is still there.
    pub(crate) fn repeat(
        &mut self,
        room: &mut [u8],
        sequence: u16,
        now_ns: u64,
        transport_sequence: &mut u16,
    ) -> Option<usize> {
        let rtx = self.rtx?;
        let kept = self.kept.len().max(1);
        let sent = (*self.kept.get(usize::from(sequence) % kept)?).filter(|s| s.sequence == sequence)?;
        let len = self.write(room, &sent, Some(rtx), now_ns, transport_sequence)?;
        self.rtx_sequence = self.rtx_sequence.wrapping_add(1);
        Some(len)
    }

    fn write(
        &self,
        room: &mut [u8],
        sent: &Sent,
        rtx: Option<(u32, u8)>,
        now_ns: u64,
        transport_sequence: &mut u16,
    ) -> Option<usize> {
        let (ssrc, payload_type, sequence) = match rtx {
            Some((ssrc, payload_type)) => (ssrc, payload_type, self.rtx_sequence),
            None => (self.ssrc, self.payload_type, sent.sequence),
        };
        let first = sent.piece.index == 0;
        let last = sent.piece.index + 1 == sent.piece.packets;
        // Opus marks the start of a talk spurt only.
        let marker = if self.video { last } else { sent.stamp.counter == 0 };
        let mut extensions = [0; MAX_EXTENSIONS];
        let extended = self.write_extensions(&mut extensions, rtx.is_some(), now_ns, transport_sequence);
        let head = 12 + extended;
        let original = if rtx.is_some() { 2 } else { 0 };
        let end = head + original + sent.piece.payload;
        let room = room.get_mut(..end)?;
        let [s0, s1] = sequence.to_be_bytes();
        let [t0, t1, t2, t3] = sent.timestamp.to_be_bytes();
        let [c0, c1, c2, c3] = ssrc.to_be_bytes();
        let b1 = payload_type | if marker { 0x80 } else { 0 };
        let fixed = [0x80 | if extended > 0 { 0x10 } else { 0 }, b1, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3];
        room.get_mut(..12)?.copy_from_slice(&fixed);
        room.get_mut(12..head)?.copy_from_slice(extensions.get(..extended)?);
        if rtx.is_some() {
            room.get_mut(head..head + 2)?.copy_from_slice(&sent.sequence.to_be_bytes());
        }
        let payload = room.get_mut(head + original..)?;
        payload.fill(FILLER);
        if self.video {
            write_vp8(payload, first, sent.picture, sent.stamp.keyframe);
        } else if let Some(toc) = payload.first_mut() {
            // CELT, full band, 20 ms, stereo.
            *toc = 0xfc;
        }
        sent.stamp.write(payload);
        Some(end)
    }

    /// The block of RFC 8285 in its one-byte form; its length.
    fn write_extensions(
        &self,
        out: &mut [u8; MAX_EXTENSIONS],
        repair: bool,
        now_ns: u64,
        transport_sequence: &mut u16,
    ) -> usize {
        let mut at = 4;
        let mut element = |id: u8, value: &[u8]| {
            if id == 0 || id > 14 || value.is_empty() || value.len() > 16 || at + 1 + value.len() > out.len()
            {
                return;
            }
            out[at] = id << 4 | (value.len() - 1) as u8;
            out[at + 1..at + 1 + value.len()].copy_from_slice(value);
            at += 1 + value.len();
        };
        element(self.ids.mid, self.mid.as_bytes());
        if self.ids.transport_cc != 0 {
            element(self.ids.transport_cc, &transport_sequence.to_be_bytes());
            *transport_sequence = transport_sequence.wrapping_add(1);
        }
        let [_, time @ ..] = abs_send_time(now_ns / 1000).to_be_bytes();
        element(self.ids.abs_send_time, &time);
        // Somebody talks, not loud.
        element(self.ids.audio_level, &[0x80 | 40]);
        if let Some(rid) = &self.rid {
            element(if repair { self.ids.repaired_rid } else { self.ids.rid }, rid.as_bytes());
        }
        if at == 4 {
            return 0;
        }
        let end = at.next_multiple_of(4);
        let [l0, l1] = ((end - 4) as u16 / 4).to_be_bytes();
        out[..4].copy_from_slice(&[0xbe, 0xde, l0, l1]);
        end
    }

    /// The sender's part of a report.
    pub(crate) fn report(&self, now_ns: u64) -> SenderInfo {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        SenderInfo {
            ssrc: self.ssrc,
            ntp: ntp_time(since),
            rtp_timestamp: (u128::from(now_ns) * u128::from(self.clock_rate) / 1_000_000_000) as u32,
            packets: self.packets,
            octets: self.octets,
        }
    }
}

/// RFC 7741: the payload descriptor with a picture id; then, at the start, the frame's own header.
fn write_vp8(payload: &mut [u8], first: bool, picture: u16, keyframe: bool) {
    let [high, low] = (picture | 0x8000).to_be_bytes();
    let start = [if first { 0x90 } else { 0x80 }, 0x80, high, low];
    let frame = [if keyframe { 0 } else { 1 }, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01];
    let frame = match (first, keyframe) {
        (true, true) => &frame[..],
        (true, false) => &frame[..3],
        (false, _) => &[],
    };
    let bytes = start.iter().chain(frame);
    let limit = payload.len().saturating_sub(stamp::LEN);
    payload.iter_mut().take(limit).zip(bytes).for_each(|(to, from)| *to = *from);
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
