//! AV1 (RTP payload format for AV1, section 4): elements become OBUs that carry their sizes, which is what files hold.

use super::{Building, Codec, Config};
use crate::bits::Bits;
use crate::num;
use portunus_rtp::codec::av1::AggregationHeader;

const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const TILE_GROUP: u8 = 4;
const FRAME: u8 = 6;
const TILE_LIST: u8 = 8;
const PADDING: u8 = 15;

fn kind(obu: &[u8]) -> u8 {
    obu.first().map_or(0, |head| head >> 3 & 0x0f)
}

/// Whether a temporal unit can begin with this payload: what a packet begins with that continues another, or with
/// tiles, lacks what was before it.
pub(super) fn begins(payload: &[u8]) -> bool {
    AggregationHeader::parse(payload).is_some_and(|header| !header.continued)
        && elements(payload)
            .and_then(|elements| elements.first().map(|obu| !matches!(kind(obu), TILE_GROUP | TILE_LIST)))
            .unwrap_or(false)
}

pub(super) fn add(to: &mut Building, payload: &[u8]) -> Option<()> {
    let header = AggregationHeader::parse(payload)?;
    let elements = elements(payload)?;
    let last = elements.len().checked_sub(1)?;
    for (n, element) in elements.into_iter().enumerate() {
        match (n == 0 && header.continued, to.partial.as_mut()) {
            (true, Some(partial)) => partial.extend_from_slice(element),
            (false, None) => to.partial = Some(element.to_vec()),
            // It continues nothing, or what should go on does not.
            _ => return None,
        }
        if !(n == last && header.continues) {
            let obu = to.partial.take()?;
            append(to, &obu)?;
        }
    }
    Some(())
}

/// Appends an OBU with its size.
fn append(to: &mut Building, obu: &[u8]) -> Option<()> {
    let (head, rest) = obu.split_first()?;
    let (has_extension, has_size) = (head & 0x04 != 0, head & 0x02 != 0);
    let (extension, rest) = rest.split_at_checked(usize::from(has_extension))?;
    let content = if has_size {
        let (size, taken) = leb128(rest)?;
        rest.get(taken..taken.checked_add(size)?)?
    } else {
        rest
    };
    let kind = kind(obu);
    if matches!(kind, TEMPORAL_DELIMITER | TILE_LIST | PADDING) {
        return Some(());
    }
    let at = to.bytes.len();
    to.bytes.push(head | 0x02);
    to.bytes.extend_from_slice(extension);
    write_leb128(&mut to.bytes, content.len());
    to.bytes.extend_from_slice(content);
    if kind == SEQUENCE_HEADER {
        // The first one: those of other layers are the same but for the operating points.
        to.sequence.get_or_insert_with(|| to.bytes.get(at..).unwrap_or_default().to_vec());
    } else if matches!(kind, FRAME_HEADER | FRAME) && !to.has_picture {
        to.has_picture = true;
        // Not shown again, and of the type of keyframes (section 5.9.2).
        to.keyframe = content.first().is_some_and(|first| first & 0xe0 == 0);
    }
    Some(())
}

/// The elements of a payload; `None` if one is cut off.
fn elements(payload: &[u8]) -> Option<Vec<&[u8]>> {
    let header = AggregationHeader::parse(payload)?;
    let mut rest = payload.get(1..)?;
    let mut elements = Vec::new();
    while !rest.is_empty() {
        let last = header.elements != 0 && elements.len() + 1 == usize::from(header.elements);
        let (length, taken) = if last { (rest.len(), 0) } else { leb128(rest)? };
        let (element, behind) = rest.get(taken..)?.split_at_checked(length)?;
        // An element may be empty; it is nothing then.
        if !element.is_empty() || elements.is_empty() {
            elements.push(element);
        }
        rest = behind;
    }
    Some(elements)
}

/// A number of up to four bytes of seven bits, the lowest first, and how many they are.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (n, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((value, n + 1));
        }
    }
    None
}

fn write_leb128(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let seven = num::byte(value & 0x7f);
        value >>= 7;
        out.push(if value == 0 { seven } else { seven | 0x80 });
        if value == 0 {
            return;
        }
    }
}

/// What a sequence header OBU tells.
pub(super) fn config(obu: &[u8]) -> Option<Config> {
    let (_, rest) = obu.split_first()?;
    let rest = rest.get(usize::from(obu.first()? & 0x04 != 0)..)?;
    let (_, taken) = leb128(rest)?;
    let s = Sequence::parse(rest.get(taken..)?)?;
    // AV1CodecConfigurationRecord (AV1 codec ISO media file format binding, section 2.3).
    let mut record = vec![0x81, s.profile << 5 | s.level, s.colour, 0];
    record.extend_from_slice(obu);
    Some(Config { codec: Codec::Av1, width: s.width, height: s.height, record })
}

struct Sequence {
    profile: u8,
    level: u8,
    /// Tier, depth, monochrome and subsampling as the record has them.
    colour: u8,
    width: u16,
    height: u16,
}

impl Sequence {
    /// AV1 section 5.5.1.
    fn parse(content: &[u8]) -> Option<Self> {
        let mut bits = Bits::new(content);
        let profile = bits.take(3)?;
        bits.skip(1)?;
        let reduced = bits.flag()?;
        let (mut level, mut tier) = (0, false);
        if reduced {
            level = bits.take(5)?;
        } else {
            let (mut delay_length, mut models) = (0, false);
            if bits.flag()? {
                bits.skip(64)?;
                if bits.flag()? {
                    bits.golomb()?;
                }
                models = bits.flag()?;
                if models {
                    delay_length = usize::try_from(bits.take(5)? + 1).ok()?;
                    bits.skip(32 + 10)?;
                }
            }
            let delays = bits.flag()?;
            for point in 0..=bits.take(5)? {
                bits.skip(12)?;
                let its_level = bits.take(5)?;
                let its_tier = its_level > 7 && bits.flag()?;
                if point == 0 {
                    (level, tier) = (its_level, its_tier);
                }
                if models && bits.flag()? {
                    bits.skip(2 * delay_length + 1)?;
                }
                if delays && bits.flag()? {
                    bits.skip(4)?;
                }
            }
        }
        let (wide, high) = (bits.take(4)? + 1, bits.take(4)? + 1);
        let width = bits.take(usize::try_from(wide).ok()?)?.checked_add(1)?;
        let height = bits.take(usize::try_from(high).ok()?)?.checked_add(1)?;
        skip_tools(&mut bits, reduced)?;
        let colour = u8::from(tier) << 7 | colour(&mut bits, profile)?;
        let (width, height) = (u16::try_from(width).ok()?, u16::try_from(height).ok()?);
        Some(Self { profile: num::low(profile), level: num::low(level), colour, width, height })
    }
}

/// From frame ids to film grain: all that lies between the size and the colours.
fn skip_tools(bits: &mut Bits<'_>, reduced: bool) -> Option<()> {
    if !reduced && bits.flag()? {
        bits.skip(7)?;
    }
    bits.skip(3)?;
    if reduced {
        return bits.skip(3);
    }
    bits.skip(4)?;
    let order_hint = bits.flag()?;
    if order_hint {
        bits.skip(2)?;
    }
    // Screen content tools are on or off, or each frame says so; then whether motion vectors are whole numbers.
    let screen = if bits.flag()? { 2 } else { bits.take(1)? };
    if screen > 0 && !bits.flag()? {
        bits.skip(1)?;
    }
    if order_hint {
        bits.skip(3)?;
    }
    bits.skip(3)
}

/// Section 5.5.2, packed as in the record.
fn colour(bits: &mut Bits<'_>, profile: u32) -> Option<u8> {
    let high = bits.flag()?;
    let twelve = profile == 2 && high && bits.flag()?;
    let mono = profile != 1 && bits.flag()?;
    let kinds = if bits.flag()? { bits.take(24)? } else { 0x02_0202 };
    let (across, down, position);
    if mono {
        (across, down, position) = (true, true, 0);
    } else if kinds == 0x01_0d00 {
        // sRGB.
        (across, down, position) = (false, false, 0);
    } else {
        bits.skip(1)?;
        (across, down) = match profile {
            0 => (true, true),
            1 => (false, false),
            _ if twelve => {
                let across = bits.flag()?;
                (across, across && bits.flag()?)
            }
            _ => (true, false),
        };
        position = if across && down { num::low(bits.take(2)?) } else { 0 };
    }
    let flags = [(high, 6), (twelve, 5), (mono, 4), (across, 3), (down, 2)];
    Some(flags.iter().fold(position, |packed, (flag, at)| packed | u8::from(*flag) << at))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// libaom, main profile, 320x180.
    pub(crate) const SEQUENCE: &[u8] =
        &[0x0a, 0x0b, 0x00, 0x00, 0x00, 0x04, 0x3c, 0xfe, 0xcc, 0xda, 0xf9, 0x00, 0x40];

    #[test]
    fn a_sequence_header_tells_the_size() {
        let config = config(SEQUENCE).unwrap();
        assert_eq!((config.width, config.height), (320, 180));
        assert_eq!(config.record[..4], [0x81, 0x00, 0x0c, 0]);
        (0..10).for_each(|cut| assert!(super::config(&SEQUENCE[..cut]).is_none()));
    }

    #[test]
    fn elements_become_obus_with_sizes() {
        let mut to = Building::default();
        // Three elements, the last goes on: a delimiter, an OBU with its size, one without.
        let first = [&[0x78, 2, 0x12, 0, 13][..], SEQUENCE, &[0x30, 0x10, 1]].concat();
        assert!(begins(&first));
        add(&mut to, &first).unwrap();
        assert_eq!((to.bytes.as_slice(), to.keyframe), (SEQUENCE, false));
        // It goes on, and ends; another one with its extension.
        let second = [0xa0, 2, 2, 3, 0x34, 0x08, 9];
        assert!(!begins(&second));
        add(&mut to, &second).unwrap();
        assert_eq!(&to.bytes[SEQUENCE.len()..], [0x32, 4, 0x10, 1, 2, 3, 0x36, 0x08, 1, 9]);
        assert!(to.keyframe && to.partial.is_none() && to.sequence.is_some());
    }

    #[test]
    fn what_continues_nothing_is_broken() {
        assert_eq!(add(&mut Building::default(), &[0x90, 1, 2]), None);
        let mut to = Building::default();
        add(&mut to, &[0x50, 0x30, 1]).unwrap();
        assert_eq!(add(&mut to, &[0x10, 0x30, 1]), None);
        assert_eq!(add(&mut to, &[0x20, 9, 1]), None);
        assert_eq!(add(&mut to, &[0x10]), None);
        assert!(!begins(&[0x10, 0x20]));
    }

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for n in [0, 127, 128, 16_383, 16_384, 2_000_000] {
            let mut out = Vec::new();
            write_leb128(&mut out, n);
            assert_eq!(leb128(&out), Some((n, out.len())));
        }
    }
}
