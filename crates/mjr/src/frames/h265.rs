//! H.265 (RFC 7798): single units, aggregation packets and fragmentation units, without decoding order numbers
//! (`sprop-max-don-diff=0`, which is what browsers send).

use super::nal::{self, Sets};
use super::{Building, Codec, Config};
use crate::bits::Bits;
use crate::num;

const LAST_SLICE: u8 = 31;
const IRAP_FIRST: u8 = 16;
const IRAP_LAST: u8 = 23;
pub(super) const VPS: u8 = 32;
pub(super) const SPS: u8 = 33;
pub(super) const PPS: u8 = 34;
const DELIMITER: u8 = 35;
const PREFIX_SEI: u8 = 39;
const AGGREGATION: u8 = 48;
const FRAGMENT: u8 = 49;
/// Of units in the file format: the sets stand in the record, and may stand in the stream as well.
const SETS: [u8; 3] = [VPS, SPS, PPS];

fn kind(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |head| head >> 1 & 0x3f)
}

/// Whether a picture can begin with this payload.
pub(super) fn begins(payload: &[u8]) -> bool {
    let starts = |kind: u8, slice: Option<&u8>| match kind {
        // first_slice_segment_in_pic_flag.
        0..=LAST_SLICE => slice.is_some_and(|byte| byte & 0x80 != 0),
        VPS..=DELIMITER | PREFIX_SEI => true,
        _ => false,
    };
    match kind(payload) {
        AGGREGATION => nal::aggregated(payload.get(2..).unwrap_or_default())
            .and_then(|units| units.first().map(|unit| starts(kind(unit), unit.get(2))))
            .unwrap_or(false),
        FRAGMENT => {
            payload.get(2).is_some_and(|head| head & 0x80 != 0 && starts(head & 0x3f, payload.get(3)))
        }
        single => starts(single, payload.get(2)),
    }
}

pub(super) fn add(to: &mut Building, sets: &mut Sets, payload: &[u8]) -> Option<()> {
    let ([high, low], rest) = payload.split_first_chunk()?;
    match kind(payload) {
        AGGREGATION => nal::aggregated(rest)?.into_iter().try_for_each(|unit| whole(to, sets, unit)),
        FRAGMENT => {
            let (fragment, rest) = rest.split_first()?;
            if fragment & 0x80 != 0 {
                to.open.is_none().then_some(())?;
                nal::open(to, &[high & 0x81 | (fragment & 0x3f) << 1, *low]);
            }
            if let Some(at) = nal::go_on(to, rest, fragment & 0x40 != 0)? {
                let unit = to.bytes.get(at..)?.to_vec();
                look(to, sets, &unit);
            }
            Some(())
        }
        0..AGGREGATION => whole(to, sets, payload),
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
    to.keyframe |= (IRAP_FIRST..=IRAP_LAST).contains(&kind);
    if !SETS.contains(&kind) {
        return;
    }
    let plain = nal::plain(unit.get(2..).unwrap_or_default());
    let id = match kind {
        VPS => Bits::new(&plain).take(4),
        SPS => Sps::parse(unit).map(|sps| sps.id),
        _ => Bits::new(&plain).golomb(),
    };
    if let Some(id) = id {
        nal::keep(sets, kind, id, unit);
    }
}

/// What the sets tell; `None` before there is one of each.
pub(super) fn config(sets: &Sets) -> Option<Config> {
    let all = SETS.map(|kind| (kind, nal::of_kind(sets, kind)));
    if all.iter().any(|(_, units)| units.is_empty()) {
        return None;
    }
    let sps = nal::of_kind(sets, SPS).first().and_then(|unit| Sps::parse(unit))?;
    // HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 section 8.3.3.1).
    let mut record = vec![1];
    record.extend(sps.profile);
    // No spatial segmentation, parallelism and frame rate known.
    record.extend([0xf0, 0, 0xfc, 0xfc | sps.chroma, 0xf8 | sps.depth_luma, 0xf8 | sps.depth_chroma, 0, 0]);
    // Layers of time, nested or not, and lengths of four bytes.
    record.extend([sps.layers << 3 | u8::from(sps.nested) << 2 | 3, 3]);
    for (kind, units) in all {
        record.push(kind);
        record.extend(num::short(units.len()).to_be_bytes());
        for unit in units {
            record.extend(num::short(unit.len()).to_be_bytes());
            record.extend_from_slice(unit);
        }
    }
    Some(Config { codec: Codec::H265, width: sps.width, height: sps.height, record })
}

struct Sps {
    id: u32,
    layers: u8,
    nested: bool,
    /// Profile, tier and level as the record has them.
    profile: [u8; 12],
    chroma: u8,
    depth_luma: u8,
    depth_chroma: u8,
    width: u16,
    height: u16,
}

impl Sps {
    /// H.265 section 7.3.2.2.1.
    fn parse(unit: &[u8]) -> Option<Self> {
        let plain = nal::plain(unit.get(2..)?);
        let mut bits = Bits::new(&plain);
        bits.skip(4)?;
        let (above, nested) = (bits.take(3)?, bits.flag()?);
        let profile: [u8; 12] = plain.get(1..13)?.try_into().ok()?;
        bits.skip(96)?;
        skip_layers(&mut bits, above)?;
        let id = bits.golomb()?;
        let chroma = bits.golomb()?;
        let planes = chroma == 3 && bits.flag()?;
        let (wide, high) = (bits.golomb()?, bits.golomb()?);
        let mut crop = [0; 4];
        if bits.flag()? {
            for side in &mut crop {
                *side = bits.golomb()?;
            }
        }
        let (depth_luma, depth_chroma) = (bits.golomb()?, bits.golomb()?);
        let [left, right, top, bottom] = crop;
        let (across, down) = match chroma {
            _ if planes => (1, 1),
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let width = wide.checked_sub(left.checked_add(right)?.checked_mul(across)?)?;
        let height = high.checked_sub(top.checked_add(bottom)?.checked_mul(down)?)?;
        let (width, height) = (u16::try_from(width).ok()?, u16::try_from(height).ok()?);
        let layers = num::low(above + 1);
        let [chroma, depth_luma, depth_chroma] = [chroma, depth_luma, depth_chroma].map(num::low);
        let chroma = chroma & 3;
        let (depth_luma, depth_chroma) = (depth_luma & 7, depth_chroma & 7);
        Some(Self { id, layers, nested, profile, chroma, depth_luma, depth_chroma, width, height })
    }
}

/// Profiles and levels of layers of time (section 7.3.3).
fn skip_layers(bits: &mut Bits<'_>, above: u32) -> Option<()> {
    let mut told = Vec::new();
    for _ in 0..above {
        told.push((bits.flag()?, bits.flag()?));
    }
    if above > 0 {
        (above..8).try_for_each(|_| bits.skip(2))?;
    }
    told.into_iter().try_for_each(|(profile, level)| {
        bits.skip(if profile { 88 } else { 0 })?;
        bits.skip(if level { 8 } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// libx265, Main profile, 320x180, four lines of 184 cropped.
    const VPS_0: &[u8] = &[
        0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00,
        0x00, 0x03, 0x00, 0x3c, 0x95, 0x98, 0x09,
    ];
    const SPS_180: &[u8] = &[
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00,
        0x3c, 0xa0, 0x0a, 0x08, 0x0b, 0x9f, 0x79, 0x65, 0x66, 0x92, 0x4c, 0xaf, 0x01, 0x68, 0x08, 0x00, 0x00,
        0x03, 0x00, 0x08, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x40,
    ];
    const PPS_0: &[u8] = &[0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40];

    #[test]
    fn the_size_is_that_after_cropping() {
        let sps = Sps::parse(SPS_180).unwrap();
        assert_eq!((sps.id, sps.width, sps.height, sps.chroma, sps.layers), (0, 320, 180, 1, 1));
        (0..20).for_each(|cut| assert!(Sps::parse(&SPS_180[..cut]).is_none()));
    }

    #[test]
    fn fragments_and_aggregates_become_units_behind_their_lengths() {
        let (mut to, mut sets) = (Building::default(), Sets::new());
        let mut together = vec![0x60, 1];
        for unit in [VPS_0, SPS_180, PPS_0] {
            together.extend(u16::try_from(unit.len()).unwrap().to_be_bytes());
            together.extend(unit);
        }
        assert!(begins(&together));
        add(&mut to, &mut sets, &together).unwrap();
        let before = to.bytes.len();
        assert!(begins(&[0x62, 1, 0x93, 0x80]) && !begins(&[0x62, 1, 0x93, 0]));
        for fragment in [&[0x62, 1, 0x93, 0x80, 1][..], &[0x62, 1, 0x13, 2], &[0x62, 1, 0x53, 3]] {
            add(&mut to, &mut sets, fragment).unwrap();
        }
        assert_eq!(&to.bytes[before..], [0, 0, 0, 6, 0x26, 1, 0x80, 1, 2, 3]);
        assert!(to.keyframe && to.open.is_none());
        let config = config(&sets).unwrap();
        assert_eq!((config.width, config.height, config.record[1], config.record[12]), (320, 180, 1, 60));
        assert_eq!(config.record[21..28], [0x0f, 3, 32, 0, 1, 0, 24]);
        assert_eq!(add(&mut to, &mut sets, &[0x62, 1, 0x13, 2]), None);
        assert_eq!(add(&mut to, &mut sets, &[0x64, 1, 0x13, 2]), None);
    }
}
