//! H.264 payloads (RFC 6184): where a decoder can start.

use crate::num::be16;

const IDR: u8 = 5;
const SPS: u8 = 7;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// Units looked at inside one aggregation packet.
const MAX_UNITS: usize = 32;

/// Whether a decoder can start at this payload: a parameter set, or the first slice of an IDR picture, alone,
/// aggregated or as the first fragment.
#[must_use]
pub fn is_keyframe(payload: &[u8]) -> bool {
    let Some(first) = payload.first() else { return false };
    match first & 0x1f {
        STAP_A => {
            let mut at = 1;
            for _ in 0..MAX_UNITS {
                let Some(size) = be16(payload, at).filter(|size| *size > 0) else { return false };
                let Some(unit) = payload.get(at + 2..at + 2 + usize::from(size)) else { return false };
                if starts_keyframe(unit.first().copied().unwrap_or(0) & 0x1f, unit.get(1)) {
                    return true;
                }
                at += 2 + usize::from(size);
            }
            false
        }
        FU_A => match payload.get(1) {
            Some(head) if head & 0x80 != 0 => starts_keyframe(head & 0x1f, payload.get(2)),
            _ => false,
        },
        kind => starts_keyframe(kind, payload.get(1)),
    }
}

/// `slice` is the first byte after the unit's header. A slice of an IDR picture counts only if its
/// `first_mb_in_slice` is 0 (first bit of the Exp-Golomb code set): a later slice is no place to start.
fn starts_keyframe(kind: u8, slice: Option<&u8>) -> bool {
    match kind {
        SPS => true,
        IDR => slice.is_some_and(|byte| byte & 0x80 != 0),
        _ => false,
    }
}
