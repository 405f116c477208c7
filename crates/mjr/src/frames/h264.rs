//! H.264 (RFC 6184): single units, STAP-A and FU-A, as packetization modes 0 and 1 have them.

use super::nal::{self, Sets};
use super::{Building, Codec, Config};
use crate::bits::Bits;
use crate::num;

const SLICE: u8 = 1;
const IDR: u8 = 5;
const SEI: u8 = 6;
pub(super) const SPS: u8 = 7;
pub(super) const PPS: u8 = 8;
const DELIMITER: u8 = 9;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
/// Profiles whose SPS tells more of the samples (H.264 section 7.3.2.1.1).
const HIGH: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

fn kind(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |head| head & 0x1f)
}

/// Whether a picture can begin with this payload.
pub(super) fn begins(payload: &[u8]) -> bool {
    let starts = |kind: u8, slice: Option<&u8>| match kind {
        // first_mb_in_slice is 0.
        SLICE | IDR => slice.is_some_and(|byte| byte & 0x80 != 0),
        SEI | SPS | PPS | DELIMITER => true,
        _ => false,
    };
    match kind(payload) {
        STAP_A => nal::aggregated(payload.get(1..).unwrap_or_default())
            .and_then(|units| units.first().map(|unit| starts(kind(unit), unit.get(1))))
            .unwrap_or(false),
        FU_A => payload.get(1).is_some_and(|head| head & 0x80 != 0 && starts(head & 0x1f, payload.get(2))),
        single => starts(single, payload.get(1)),
    }
}

pub(super) fn add(to: &mut Building, sets: &mut Sets, payload: &[u8]) -> Option<()> {
    let (head, rest) = payload.split_first()?;
    match head & 0x1f {
        1..=23 => whole(to, sets, payload),
        STAP_A => nal::aggregated(rest)?.into_iter().try_for_each(|unit| whole(to, sets, unit)),
        FU_A => {
            let (fragment, rest) = rest.split_first()?;
            if fragment & 0x80 != 0 {
                to.open.is_none().then_some(())?;
                nal::open(to, &[head & 0xe0 | fragment & 0x1f]);
            }
            if let Some(at) = nal::go_on(to, rest, fragment & 0x40 != 0)? {
                let unit = to.bytes.get(at..)?.to_vec();
                look(to, sets, &unit);
            }
            Some(())
        }
        _ => None,
    }
}

fn whole(to: &mut Building, sets: &mut Sets, unit: &[u8]) -> Option<()> {
    to.open.is_none().then_some(())?;
    nal::append(to, unit);
    look(to, sets, unit);
    Some(())
}

fn look(to: &mut Building, sets: &mut Sets, unit: &[u8]) {
    let kind = kind(unit);
    to.keyframe |= matches!(kind, IDR | SPS);
    if kind == SPS
        && let Some(sps) = Sps::parse(unit)
    {
        nal::keep(sets, SPS, sps.id, unit);
    } else if kind == PPS
        && let Some(id) = Bits::new(&nal::plain(unit.get(1..).unwrap_or_default())).golomb()
    {
        nal::keep(sets, PPS, id, unit);
    }
}

/// What the sets tell; `None` before there is one of each.
pub(super) fn config(sets: &Sets) -> Option<Config> {
    let (all_sps, all_pps) = (nal::of_kind(sets, SPS), nal::of_kind(sets, PPS));
    let first = all_sps.first()?;
    all_pps.first()?;
    let sps = Sps::parse(first)?;
    let [_, profile, compatibility, level] = *first.first_chunk()?;
    // AVCDecoderConfigurationRecord (ISO/IEC 14496-15 section 5.3.3.1), lengths of four bytes.
    let mut record = vec![1, profile, compatibility, level, 0xff];
    record.push(0xe0 | num::byte(all_sps.len()).min(31));
    let append = |units: &[&[u8]], record: &mut Vec<u8>| {
        for unit in units {
            record.extend(num::short(unit.len()).to_be_bytes());
            record.extend_from_slice(unit);
        }
    };
    append(all_sps.get(..31).unwrap_or(&all_sps), &mut record);
    record.push(num::byte(all_pps.len()));
    append(&all_pps, &mut record);
    if HIGH.contains(&profile) {
        record.extend([0xfc | sps.chroma, 0xf8 | sps.depth_luma, 0xf8 | sps.depth_chroma, 0]);
    }
    Some(Config { codec: Codec::H264, width: sps.width, height: sps.height, record })
}

struct Sps {
    id: u32,
    chroma: u8,
    depth_luma: u8,
    depth_chroma: u8,
    width: u16,
    height: u16,
}

impl Sps {
    /// H.264 section 7.3.2.1.1.
    fn parse(unit: &[u8]) -> Option<Self> {
        let plain = nal::plain(unit.get(1..)?);
        let profile = *plain.first()?;
        let mut bits = Bits::new(&plain);
        bits.skip(24)?;
        let id = bits.golomb()?;
        let (mut chroma, mut planes, mut depth_luma, mut depth_chroma) = (1, false, 0, 0);
        if HIGH.contains(&profile) {
            chroma = bits.golomb()?;
            planes = chroma == 3 && bits.flag()?;
            (depth_luma, depth_chroma) = (bits.golomb()?, bits.golomb()?);
            bits.skip(1)?;
            if bits.flag()? {
                skip_scaling(&mut bits, if chroma == 3 { 12 } else { 8 })?;
            }
        }
        bits.golomb()?;
        match bits.golomb()? {
            0 => {
                bits.golomb()?;
            }
            1 => {
                bits.skip(1)?;
                bits.signed_golomb()?;
                bits.signed_golomb()?;
                for _ in 0..bits.golomb()?.min(255) {
                    bits.signed_golomb()?;
                }
            }
            _ => {}
        }
        bits.golomb()?;
        bits.skip(1)?;
        let (wide, high) = (bits.golomb()?.checked_add(1)?, bits.golomb()?.checked_add(1)?);
        let fields = u32::from(!bits.flag()?);
        if fields == 1 {
            bits.skip(1)?;
        }
        bits.skip(1)?;
        let mut crop = [0; 4];
        if bits.flag()? {
            for side in &mut crop {
                *side = bits.golomb()?;
            }
        }
        let [left, right, top, bottom] = crop;
        // In samples of luma: table 6-1.
        let (across, down) = match chroma {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let (across, down) = if planes { (1, 1) } else { (across, down) };
        let width = wide.checked_mul(16)?.checked_sub(left.checked_add(right)?.checked_mul(across)?)?;
        let down = down * (1 + fields);
        let height =
            high.checked_mul(16 * (1 + fields))?.checked_sub(top.checked_add(bottom)?.checked_mul(down)?)?;
        let (width, height) = (u16::try_from(width).ok()?, u16::try_from(height).ok()?);
        let [chroma, depth_luma, depth_chroma] = [chroma, depth_luma, depth_chroma].map(num::low);
        Some(Self { id, chroma, depth_luma, depth_chroma, width, height })
    }
}

fn skip_scaling(bits: &mut Bits<'_>, lists: usize) -> Option<()> {
    for list in 0..lists {
        if !bits.flag()? {
            continue;
        }
        let (mut last, mut next) = (8, 8);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = bits.signed_golomb()?.wrapping_add(last).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// libx264, High profile, 320x180: 12 rows of blocks, 12 lines cropped.
    const SPS_180: &[u8] = &[
        0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x41, 0x9f, 0x9f, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
        0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x42, 0x99, 0x60,
    ];
    const PPS_0: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

    #[test]
    fn the_size_is_that_after_cropping() {
        let sps = Sps::parse(SPS_180).unwrap();
        assert_eq!((sps.id, sps.width, sps.height, sps.chroma), (0, 320, 180, 1));
        (0..8).for_each(|cut| assert!(Sps::parse(&SPS_180[..cut]).is_none()));
    }

    #[test]
    fn fragments_and_aggregates_become_units_behind_their_lengths() {
        let (mut to, mut sets) = (Building::default(), Sets::new());
        let mut stap = vec![0x78];
        for unit in [SPS_180, PPS_0] {
            stap.extend(u16::try_from(unit.len()).unwrap().to_be_bytes());
            stap.extend(unit);
        }
        assert!(begins(&stap));
        add(&mut to, &mut sets, &stap).unwrap();
        let before = to.bytes.len();
        assert_eq!(before, SPS_180.len() + PPS_0.len() + 8);
        assert!(begins(&[0x7c, 0x85, 0x88]) && !begins(&[0x7c, 0x85, 0x08]) && !begins(&[0x7c, 0x05, 0x88]));
        for fragment in [&[0x7c, 0x85, 0x88, 1][..], &[0x7c, 0x05, 2], &[0x7c, 0x45, 3]] {
            add(&mut to, &mut sets, fragment).unwrap();
        }
        assert_eq!(&to.bytes[before..], [0, 0, 0, 5, 0x65, 0x88, 1, 2, 3]);
        assert!(to.keyframe && to.open.is_none());
        let config = config(&sets).unwrap();
        assert_eq!((config.width, config.height), (320, 180));
        assert_eq!(config.record[..8], [1, 0x64, 0, 0x0d, 0xff, 0xe1, 0, 26]);
        assert_eq!(config.record[config.record.len() - 4..], [0xfd, 0xf8, 0xf8, 0]);
        // The middle of a fragmented unit without its beginning, or a unit inside of one.
        assert_eq!(add(&mut to, &mut sets, &[0x7c, 0x05, 2]), None);
        add(&mut to, &mut sets, &[0x7c, 0x85, 0x88]).unwrap();
        assert_eq!(add(&mut to, &mut sets, &[0x41, 0x80]), None);
    }
}
