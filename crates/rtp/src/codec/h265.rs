//! H.265 payloads (RFC 7798): where a decoder can start, and the temporal id.
//!
//! Assumes `sprop-max-don-diff=0` (no DONL fields), which is what browsers send.

use super::{Layer, PayloadInfo, SwitchUp};
use crate::num::be16;

const IRAP_FIRST: u8 = 16;
const IRAP_LAST: u8 = 23;
const VPS: u8 = 32;
const SPS: u8 = 33;
const AGGREGATION: u8 = 48;
const FRAGMENT: u8 = 49;

/// Units looked at inside one aggregation packet.
const MAX_UNITS: usize = 32;

/// Whether a decoder can start at this payload: VPS, SPS, or the first slice of an IRAP picture, alone,
/// aggregated or as the first fragment.
#[must_use]
pub fn is_keyframe(payload: &[u8]) -> bool {
    let Some(kind) = unit_kind(payload) else { return false };
    match kind {
        AGGREGATION => {
            let mut at = 2;
            for _ in 0..MAX_UNITS {
                let Some(size) = be16(payload, at).filter(|size| *size > 1) else { return false };
                let Some(unit) = payload.get(at + 2..at + 2 + usize::from(size)) else { return false };
                if unit_kind(unit).is_some_and(|kind| starts_keyframe(kind, unit.get(2))) {
                    return true;
                }
                at += 2 + usize::from(size);
            }
            false
        }
        FRAGMENT => match payload.get(2) {
            Some(head) if head & 0x80 != 0 => starts_keyframe(head & 0x3f, payload.get(3)),
            _ => false,
        },
        kind => starts_keyframe(kind, payload.get(2)),
    }
}

fn unit_kind(unit: &[u8]) -> Option<u8> {
    unit.get(..2)?.first().map(|byte| (byte >> 1) & 0x3f)
}

/// A slice counts only with `first_slice_segment_in_pic_flag`, its first bit.
fn starts_keyframe(kind: u8, slice: Option<&u8>) -> bool {
    match kind {
        VPS | SPS => true,
        IRAP_FIRST..=IRAP_LAST => slice.is_some_and(|byte| byte & 0x80 != 0),
        _ => false,
    }
}

#[inline]
pub(super) fn inspect(payload: &[u8], info: &mut PayloadInfo) {
    info.keyframe = is_keyframe(payload);
    // nuh_temporal_id_plus1 of the payload header; for an aggregation it is the lowest of its units.
    info.layer = payload
        .get(1)
        .and_then(|byte| (byte & 0x07).checked_sub(1))
        .map(|temporal| Layer { spatial: 0, temporal });
    // TSA (2, 3) and STSA (4, 5) pictures permit to begin with their temporal layer.
    if unit_kind(payload).is_some_and(|kind| (2..=5).contains(&kind)) {
        info.switch_up = SwitchUp::Here;
    }
}
