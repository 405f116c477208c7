//! VP8 (RFC 7741) and VP9 (RFC 9628).

use super::{Building, Codec, Config};
use crate::bits::Bits;
use crate::num;
use portunus_rtp::codec::vp8::Vp8Descriptor;
use portunus_rtp::codec::vp9::Vp9Descriptor;

/// Whether a frame can begin with this payload.
pub(super) fn begins(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::Vp8 => Vp8Descriptor::parse(payload).is_some_and(|d| d.starts_frame()),
        _ => Vp9Descriptor::parse(payload).is_some_and(|d| d.frame_start),
    }
}

pub(super) fn add_vp8(to: &mut Building, payload: &[u8]) -> Option<()> {
    let descriptor = Vp8Descriptor::parse(payload)?;
    to.keyframe |= descriptor.keyframe && descriptor.starts_frame();
    to.bytes.extend_from_slice(payload.get(usize::from(descriptor.len)..)?);
    Some(())
}

pub(super) fn add_vp9(to: &mut Building, payload: &[u8]) -> Option<()> {
    let descriptor = Vp9Descriptor::parse(payload)?;
    to.keyframe |= descriptor.starts_keyframe();
    if descriptor.frame_start {
        to.layers.push(to.bytes.len());
    }
    if let Some(resolution) = descriptor.structure.and_then(|s| s.resolution) {
        to.resolution = Some(resolution);
    }
    to.bytes.extend_from_slice(payload.get(usize::from(descriptor.len)..)?);
    Some(())
}

/// Several layer frames of one picture are a superframe: an index behind them tells their lengths (VP9 bitstream
/// specification, annex B).
pub(super) fn join_layers(bytes: &mut Vec<u8>, begins: &[usize]) {
    if begins.len() < 2 || begins.len() > 8 {
        return;
    }
    let ends = begins.iter().skip(1).copied().chain([bytes.len()]);
    let lengths: Vec<u32> =
        begins.iter().zip(ends).map(|(begin, end)| num::word(end.saturating_sub(*begin))).collect();
    // Four bytes for each length, and how many there are less one.
    let mark = 0b1101_1000 | num::byte(begins.len() - 1);
    bytes.push(mark);
    lengths.iter().for_each(|length| bytes.extend(length.to_le_bytes()));
    bytes.push(mark);
}

/// What a VP8 keyframe tells (RFC 6386 section 9.1).
pub(super) fn vp8_config(frame: &[u8]) -> Option<Config> {
    let word = |at: usize| Some(u16::from_le_bytes([*frame.get(at)?, *frame.get(at + 1)?]) & 0x3fff);
    let (width, height) = (frame.get(3..6)? == [0x9d, 0x01, 0x2a]).then_some((word(6)?, word(8)?))?;
    Some(Config { codec: Codec::Vp8, width, height, record: Vec::new() })
}

/// What the uncompressed header of a VP9 keyframe tells. With several layers, `resolution` is that of the highest.
pub(super) fn vp9_config(frame: &[u8], resolution: Option<(u16, u16)>) -> Option<Config> {
    let header = Vp9Header::parse(frame)?;
    let (width, height) = resolution.unwrap_or((header.width, header.height));
    let record = header.record(width, height);
    Some(Config { codec: Codec::Vp9, width, height, record })
}

struct Vp9Header {
    profile: u8,
    depth: u8,
    full_range: bool,
    colour: u8,
    /// As vpcC counts them.
    subsampling: u8,
    width: u16,
    height: u16,
}

impl Vp9Header {
    /// VP9 bitstream specification, section 6.2.
    fn parse(frame: &[u8]) -> Option<Self> {
        let mut bits = Bits::new(frame);
        if bits.take(2)? != 2 {
            return None;
        }
        let profile = bits.take(1)? | bits.take(1)? << 1;
        if profile == 3 {
            bits.take(1)?;
        }
        // Not one that is shown again; a keyframe.
        if bits.flag()? || bits.flag()? {
            return None;
        }
        bits.take(2)?;
        if bits.take(24)? != 0x49_8342 {
            return None;
        }
        let depth = match profile >= 2 && bits.flag()? {
            true => 12,
            false if profile >= 2 => 10,
            false => 8,
        };
        let (colour, mut full_range, mut subsampling) = (num::low(bits.take(3)?), true, 3);
        if colour != 7 {
            full_range = bits.flag()?;
            subsampling = 1;
            if profile & 1 == 1 {
                subsampling = match (bits.flag()?, bits.flag()?) {
                    (true, true) => 1,
                    (true, false) => 2,
                    _ => 3,
                };
                bits.take(1)?;
            }
        } else if profile & 1 == 1 {
            bits.take(1)?;
        }
        let (width, height) = (num::side(bits.take(16)? + 1), num::side(bits.take(16)? + 1));
        Some(Self { profile: num::low(profile), depth, full_range, colour, subsampling, width, height })
    }

    /// `vpcC` (VP codec ISO media file format binding), without the version and flags.
    fn record(&self, width: u16, height: u16) -> Vec<u8> {
        // Samples of luma that each level allows.
        const LEVELS: [(u32, u8); 9] = [
            (36_864, 10),
            (73_728, 11),
            (122_880, 20),
            (245_760, 21),
            (552_960, 30),
            (983_040, 31),
            (2_228_224, 40),
            (8_912_896, 50),
            (u32::MAX, 60),
        ];
        let samples = u32::from(width) * u32::from(height);
        let level = LEVELS.iter().find(|(most, _)| samples <= *most).map_or(60, |(_, level)| *level);
        // Colour primaries, transfer and matrix of ITU-T H.273; 2 says that they are not known.
        let [primaries, transfer, matrix] = match self.colour {
            1 => [6, 6, 6],
            2 => [1, 1, 1],
            3 => [6, 6, 6],
            5 => [9, 14, 9],
            7 => [1, 13, 0],
            _ => [2, 2, 2],
        };
        let packed = self.depth << 4 | self.subsampling << 1 | u8::from(self.full_range);
        vec![self.profile, level, packed, primaries, transfer, matrix, 0, 0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let config = vp9_config(&bytes, None).unwrap();
        assert_eq!((config.width, config.height), (640, 360));
        assert_eq!(config.record, [0, 21, 0x82, 6, 6, 6, 0, 0]);
        let layered = vp9_config(&bytes, Some((1280, 720))).unwrap();
        assert_eq!((layered.width, layered.height, layered.record[1]), (1280, 720, 31));
        assert_eq!(vp9_config(&bytes[..7], None), None);
        assert_eq!(vp9_config(&[0xff; 20], None), None);
    }

    #[test]
    fn layers_of_a_picture_are_joined_to_a_superframe() {
        let mut bytes = b"aabbb".to_vec();
        join_layers(&mut bytes, &[0, 2]);
        assert_eq!(bytes, b"aabbb\xd9\x02\0\0\0\x03\0\0\0\xd9");
        let mut one = b"aa".to_vec();
        join_layers(&mut one, &[0]);
        assert_eq!(one, b"aa");
    }
}
