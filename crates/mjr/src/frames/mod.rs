//! Pictures from RTP packets: VP8, VP9, AV1, H.264 and H.265, in the form files hold them.
//!
//! An [`Assembler`] takes packets in the order of their numbers and gives frames as they become whole. A frame of which
//! a packet is missing is left out and counted; those behind it are given although they may refer to it, since a picture
//! with a flaw is more than none.

mod av1;
mod h264;
mod h265;
pub(crate) mod nal;
mod vpx;

use crate::timeline::{Packet, Timeline};
use nal::Sets;
use std::collections::VecDeque;
use std::sync::Arc;

/// Ticks a second of every video codec.
pub const CLOCK_RATE: u32 = 90_000;
/// Bytes of a frame at most; what goes on for longer has no end.
pub const LARGEST_FRAME: usize = 32 << 20;

/// The codecs that can be made pictures of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// RTP payload format for AV1, version 1.0.
    Av1,
    /// RFC 6184.
    H264,
    /// RFC 7798.
    H265,
}

impl Codec {
    /// By Janus' name.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "vp8" => Some(Self::Vp8),
            "vp9" => Some(Self::Vp9),
            "av1" => Some(Self::Av1),
            "h264" => Some(Self::H264),
            "h265" => Some(Self::H265),
            _ => None,
        }
    }

    /// Janus' name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vp8 => "vp8",
            Self::Vp9 => "vp9",
            Self::Av1 => "av1",
            Self::H264 => "h264",
            Self::H265 => "h265",
        }
    }
}

/// What a decoder must know before the first frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The codec.
    pub codec: Codec,
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// The codec's record: `avcC`, `hvcC`, `av1C`, or `vpcC` without its version; empty for VP8.
    pub record: Vec<u8>,
}

/// One picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Ticks since the first packet, when it is to be seen.
    pub time: u64,
    /// It needs no other to be decoded.
    pub keyframe: bool,
    /// With a keyframe: what it and those behind it are, if that is other than before. The first frame has one.
    pub config: Option<Arc<Config>>,
    /// H.264 and H.265: units behind their lengths of four bytes, parameter sets among them. AV1: OBUs with sizes,
    /// without the delimiter. VP9: a superframe if there are several layers.
    pub bytes: Vec<u8>,
}

/// What became of frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that were given.
    pub frames: u64,
    /// Those of which packets are missing, or make no sense.
    pub incomplete: u64,
    /// Those before the first keyframe.
    pub early: u64,
}

/// A frame of which not all packets are there yet.
#[derive(Debug, Default)]
struct Building {
    time: u64,
    bytes: Vec<u8>,
    keyframe: bool,
    broken: bool,
    /// H.264, H.265: where the unit begins whose fragments come.
    open: Option<usize>,
    /// AV1: an OBU that goes on in the next packet.
    partial: Option<Vec<u8>>,
    /// AV1: the sequence header.
    sequence: Option<Vec<u8>>,
    /// AV1: the first frame header is known.
    has_picture: bool,
    /// VP9: where layer frames begin.
    layers: Vec<usize>,
    /// VP9: of the highest layer.
    resolution: Option<(u16, u16)>,
}

/// See the module.
#[derive(Debug)]
pub struct Assembler {
    codec: Codec,
    building: Option<Building>,
    /// The number after that of the last packet.
    next: Option<u64>,
    sets: Sets,
    config: Option<Arc<Config>>,
    counts: Counts,
}

impl Assembler {
    /// Before the first packet.
    pub fn new(codec: Codec) -> Self {
        Self { codec, building: None, next: None, sets: Sets::new(), config: None, counts: Counts::default() }
    }

    /// Takes the packet with the next number there is, and appends the frames that are whole with it: mostly one with
    /// the marker, and one before if that had no marker. A packet that is not newer than the one before is ignored.
    pub fn push(&mut self, packet: &Packet<'_>, frames: &mut Vec<Frame>) {
        if self.next.is_some_and(|next| packet.index < next) {
            return;
        }
        let gap = self.next != Some(packet.index);
        if packet.payload.is_empty() && gap {
            // The packet behind it must still see the gap.
            return;
        }
        self.next = Some(packet.index.saturating_add(1));
        if packet.payload.is_empty() {
            // Padding that only fills a rate is no part of a frame.
            return;
        }
        if self.building.as_ref().is_some_and(|b| b.time != packet.time) {
            // Without a gap all of it is there, marker or not.
            self.end(!gap, frames);
        }
        let codec = self.codec;
        let is_first = self.building.is_none();
        let building =
            self.building.get_or_insert_with(|| Building { time: packet.time, ..Building::default() });
        building.broken |= if is_first { !begins(codec, packet.payload, gap) } else { gap };
        let partial = building.partial.as_ref().map_or(0, Vec::len);
        building.broken |= building.bytes.len() + partial > LARGEST_FRAME;
        if !building.broken && add(codec, building, &mut self.sets, packet.payload).is_none() {
            building.broken = true;
        }
        if packet.marker {
            self.end(true, frames);
        }
    }

    /// There are no more packets.
    pub fn flush(&mut self, frames: &mut Vec<Frame>) {
        self.end(false, frames);
    }

    /// What became of frames so far.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// What the frames are since the last keyframe.
    pub fn config(&self) -> Option<&Arc<Config>> {
        self.config.as_ref()
    }

    fn end(&mut self, is_whole: bool, frames: &mut Vec<Frame>) {
        let Some(mut done) = self.building.take() else { return };
        let open = done.open.is_some() || done.partial.is_some();
        if !is_whole || done.broken || open || done.bytes.is_empty() {
            self.counts.incomplete += 1;
            return;
        }
        let mut config = None;
        if done.keyframe
            && let Some(found) = self.read_config(&done)
            && self.config.as_deref() != Some(&found)
        {
            config = Some(Arc::new(found));
            self.config.clone_from(&config);
        }
        if self.config.is_none() {
            self.counts.early += 1;
            return;
        }
        if self.codec == Codec::Vp9 {
            vpx::join_layers(&mut done.bytes, &done.layers);
        }
        self.counts.frames += 1;
        frames.push(Frame { time: done.time, keyframe: done.keyframe, config, bytes: done.bytes });
    }

    fn read_config(&self, done: &Building) -> Option<Config> {
        match self.codec {
            Codec::Vp8 => vpx::vp8_config(&done.bytes),
            Codec::Vp9 => vpx::vp9_config(&done.bytes, done.resolution.filter(|_| done.layers.len() > 1)),
            Codec::Av1 => av1::config(done.sequence.as_ref()?),
            Codec::H264 => h264::config(&self.sets),
            Codec::H265 => h265::config(&self.sets),
        }
    }
}

/// Whether a frame begins with a payload; after a gap that must show in the payload itself.
fn begins(codec: Codec, payload: &[u8], gap: bool) -> bool {
    match codec {
        Codec::Vp8 | Codec::Vp9 => vpx::begins(codec, payload),
        Codec::Av1 => !gap || av1::begins(payload),
        Codec::H264 => !gap || h264::begins(payload),
        Codec::H265 => !gap || h265::begins(payload),
    }
}

fn add(codec: Codec, to: &mut Building, sets: &mut Sets, payload: &[u8]) -> Option<()> {
    match codec {
        Codec::Vp8 => vpx::add_vp8(to, payload),
        Codec::Vp9 => vpx::add_vp9(to, payload),
        Codec::Av1 => av1::add(to, payload),
        Codec::H264 => h264::add(to, sets, payload),
        Codec::H265 => h265::add(to, sets, payload),
    }
}

/// The pictures of a whole recording, one after the other: only the one that is asked for is in memory.
#[derive(Debug)]
pub struct Pictures<'a> {
    packets: std::slice::Iter<'a, Packet<'a>>,
    assembler: Assembler,
    /// Those that are whole already.
    ready: VecDeque<Frame>,
}

/// Puts the frames of a timeline together.
pub fn read<'a>(codec: Codec, timeline: &'a Timeline<'a>) -> Pictures<'a> {
    Pictures { packets: timeline.packets.iter(), assembler: Assembler::new(codec), ready: VecDeque::new() }
}

impl Pictures<'_> {
    /// What became of frames so far.
    pub const fn counts(&self) -> Counts {
        self.assembler.counts()
    }
}

impl Iterator for Pictures<'_> {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        let mut frames = Vec::new();
        while self.ready.is_empty() {
            let Some(packet) = self.packets.next() else {
                self.assembler.flush(&mut frames);
                break;
            };
            self.assembler.push(packet, &mut frames);
            self.ready.extend(frames.drain(..));
        }
        self.ready.extend(frames);
        self.ready.pop_front()
    }
}

/// H.264 and H.265: a frame without the parameter sets that are in the record already.
pub fn without_sets(codec: Codec, frame: &[u8]) -> Vec<u8> {
    let is_set = |unit: &&[u8]| match (codec, unit.first()) {
        (Codec::H264, Some(head)) => matches!(head & 0x1f, h264::SPS | h264::PPS),
        (Codec::H265, Some(head)) => matches!(head >> 1 & 0x3f, h265::VPS | h265::SPS | h265::PPS),
        _ => false,
    };
    let mut out = Vec::with_capacity(frame.len());
    for unit in nal::units(frame).filter(|unit| !is_set(unit)) {
        out.extend(crate::num::word(unit.len()).to_be_bytes());
        out.extend_from_slice(unit);
    }
    out
}

#[cfg(test)]
mod tests;
