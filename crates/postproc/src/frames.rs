//! Pictures from RTP packets: VP8 (RFC 7741) and VP9 (RFC 9628).

use crate::timeline::{Packet, Timeline};
use portunus_rtp::codec::vp8::Vp8Descriptor;
use portunus_rtp::codec::vp9::Vp9Descriptor;

/// Ticks a second of every video codec.
pub const CLOCK_RATE: u32 = 90_000;

/// The codecs that can be made pictures of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Vp8,
    Vp9,
}

impl Codec {
    /// By Janus' name.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "vp8" => Some(Self::Vp8),
            "vp9" => Some(Self::Vp9),
            _ => None,
        }
    }
}

/// One picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Ticks since the first packet.
    pub time: u64,
    /// It needs no other to be decoded.
    pub keyframe: bool,
    pub bytes: Vec<u8>,
}

/// The pictures of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pictures {
    /// From the first keyframe on.
    pub frames: Vec<Frame>,
    /// Width and height, of each keyframe that has others than the one before.
    pub sizes: Vec<(u64, u16, u16)>,
    /// Frames of which packets are missing.
    pub incomplete: u64,
    /// Frames before the first keyframe.
    pub early: u64,
}

/// Puts the frames of a timeline together.
pub fn read(codec: Codec, timeline: &Timeline<'_>) -> Pictures {
    let mut pictures = Pictures::default();
    for group in timeline.packets.chunk_by(|a, b| a.time == b.time) {
        let Some(frame) = assemble(codec, group).filter(|_| is_whole(codec, group)) else {
            pictures.incomplete += 1;
            continue;
        };
        if frame.keyframe
            && let Some((width, height)) = size(codec, &frame.bytes)
            && pictures.sizes.last().is_none_or(|(_, w, h)| (*w, *h) != (width, height))
        {
            pictures.sizes.push((frame.time, width, height));
        }
        if pictures.frames.is_empty() && !frame.keyframe {
            pictures.early += 1;
            continue;
        }
        pictures.frames.push(frame);
    }
    pictures
}

/// A group of one timestamp begins with a frame's first packet, ends with the marker, and has all between.
fn is_whole(codec: Codec, group: &[Packet<'_>]) -> bool {
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return false };
    let gapless = group.iter().zip(first.index..).all(|(packet, index)| packet.index == index);
    let begins = match codec {
        Codec::Vp8 => Vp8Descriptor::parse(first.payload).is_some_and(|d| d.starts_frame()),
        Codec::Vp9 => Vp9Descriptor::parse(first.payload).is_some_and(|d| d.frame_start),
    };
    gapless && begins && last.marker
}

fn assemble(codec: Codec, group: &[Packet<'_>]) -> Option<Frame> {
    let time = group.first()?.time;
    let mut bytes = Vec::new();
    let mut keyframe = false;
    for packet in group {
        let len = match codec {
            Codec::Vp8 => {
                let descriptor = Vp8Descriptor::parse(packet.payload)?;
                keyframe |= descriptor.keyframe && descriptor.starts_frame();
                descriptor.len
            }
            Codec::Vp9 => {
                let descriptor = Vp9Descriptor::parse(packet.payload)?;
                keyframe |= descriptor.starts_keyframe();
                descriptor.len
            }
        };
        bytes.extend_from_slice(packet.payload.get(usize::from(len)..)?);
    }
    (!bytes.is_empty()).then_some(Frame { time, keyframe, bytes })
}

/// Width and height that a keyframe tells.
fn size(codec: Codec, frame: &[u8]) -> Option<(u16, u16)> {
    match codec {
        // RFC 6386 section 9.1.
        Codec::Vp8 => {
            let word = |at: usize| Some(u16::from_le_bytes([*frame.get(at)?, *frame.get(at + 1)?]) & 0x3fff);
            (frame.get(3..6)? == [0x9d, 0x01, 0x2a]).then_some((word(6)?, word(8)?))
        }
        Codec::Vp9 => vp9_size(frame),
    }
}

/// The uncompressed header of a VP9 keyframe.
fn vp9_size(frame: &[u8]) -> Option<(u16, u16)> {
    let mut bits = Bits { bytes: frame, at: 0 };
    if bits.take(2)? != 2 {
        return None;
    }
    let profile = bits.take(1)? | bits.take(1)? << 1;
    if profile == 3 {
        bits.take(1)?;
    }
    // Not one that is shown again; a keyframe.
    if bits.take(1)? != 0 || bits.take(1)? != 0 {
        return None;
    }
    bits.take(2)?;
    if bits.take(24)? != 0x49_8342 {
        return None;
    }
    if profile >= 2 {
        bits.take(1)?;
    }
    if bits.take(3)? != 7 {
        bits.take(1)?;
        if profile & 1 == 1 {
            bits.take(3)?;
        }
    } else if profile & 1 == 1 {
        bits.take(1)?;
    }
    let (width, height) = (bits.take(16)? + 1, bits.take(16)? + 1);
    Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?))
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(index: u64, time: u64, marker: bool, payload: &'static [u8]) -> Packet<'static> {
        Packet { index, time, ms: 0, marker, payload_type: 96, payload }
    }

    /// 320x180, after a descriptor of one byte.
    const KEY: &[u8] = &[0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00, 7];
    const DELTA: &[u8] = &[0x10, 0x11, 8];
    const MORE: &[u8] = &[0x00, 9];

    fn pictures(packets: Vec<Packet<'_>>) -> Pictures {
        read(Codec::Vp8, &Timeline { packets, ..Timeline::default() })
    }

    #[test]
    fn packets_of_one_time_are_one_frame() {
        let found =
            pictures(vec![packet(1, 0, false, KEY), packet(2, 0, true, MORE), packet(3, 3000, true, DELTA)]);
        assert_eq!(found.sizes, [(0, 320, 180)]);
        let frames: Vec<_> =
            found.frames.iter().map(|f| (f.time, f.keyframe, f.bytes.last().copied())).collect();
        assert_eq!(frames, [(0, true, Some(9)), (3000, false, Some(8))]);
        assert_eq!(found.frames[0].bytes.len(), KEY.len() - 1 + 1);
    }

    #[test]
    fn what_is_not_whole_is_left_out_and_counted() {
        let found = pictures(vec![
            packet(1, 0, true, DELTA),
            packet(2, 3000, true, KEY),
            // Its middle is missing, then its beginning, then its end.
            packet(3, 6000, false, DELTA),
            packet(5, 6000, true, MORE),
            packet(7, 9000, true, MORE),
            packet(8, 12_000, true, DELTA),
        ]);
        assert_eq!((found.early, found.incomplete, found.frames.len()), (1, 2, 2));
    }

    #[test]
    fn a_vp9_keyframe_tells_its_size() {
        // Marker 2, profile 0, keyframe, shown; sync code; colour space 1; 640x360.
        let mut bits = String::from("10000010");
        bits += &format!("{:024b}", 0x49_8342);
        bits += "0010";
        bits += &format!("{:016b}{:016b}", 639, 359);
        let bytes: Vec<u8> = bits
            .as_bytes()
            .chunks(8)
            .map(|c| u8::from_str_radix(&format!("{:0<8}", std::str::from_utf8(c).unwrap()), 2).unwrap())
            .collect();
        assert_eq!(vp9_size(&bytes), Some((640, 360)));
        assert_eq!(vp9_size(&bytes[..7]), None);
        assert_eq!(vp9_size(&[0xff; 20]), None);
    }
}
