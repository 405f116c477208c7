//! What H.264 and H.265 have in common: units, each behind its length of four bytes, and parameter sets.

use super::Building;
use crate::num;
use std::collections::BTreeMap;

/// Sets of a kind; a stream has one of each, and may have 16 or 256.
const MOST_SETS: usize = 32;
/// Files give the length of a set in 16 bits.
const LARGEST_SET: usize = 65_535;

/// Parameter sets by kind of unit, then by their own id.
pub(super) type Sets = BTreeMap<(u8, u32), Vec<u8>>;

/// Keeps a set; the newest of an id counts.
pub(super) fn keep(sets: &mut Sets, kind: u8, id: u32, unit: &[u8]) {
    if unit.len() > LARGEST_SET {
        return;
    }
    let known = sets.get(&(kind, id)).is_some_and(|old| old == unit);
    if !known && (sets.contains_key(&(kind, id)) || sets.len() < MOST_SETS) {
        sets.insert((kind, id), unit.to_vec());
    }
}

/// Sets of one kind.
pub(super) fn of_kind(sets: &Sets, kind: u8) -> Vec<&[u8]> {
    sets.iter().filter(|((of, _), _)| *of == kind).map(|(_, unit)| unit.as_slice()).collect()
}

/// Appends a whole unit.
pub(super) fn append(to: &mut Building, unit: &[u8]) {
    to.bytes.extend(num::word(unit.len()).to_be_bytes());
    to.bytes.extend_from_slice(unit);
}

/// Begins a unit that comes in fragments; `head` is its header.
pub(super) fn open(to: &mut Building, head: &[u8]) {
    to.open = Some(to.bytes.len());
    to.bytes.extend([0; 4]);
    to.bytes.extend_from_slice(head);
}

/// A fragment of the open unit; with the last one its length is known. Gives where the unit begins when it is whole.
pub(super) fn go_on(to: &mut Building, fragment: &[u8], last: bool) -> Option<Option<usize>> {
    let at = to.open?;
    to.bytes.extend_from_slice(fragment);
    if !last {
        return Some(None);
    }
    let length = num::word(to.bytes.len().checked_sub(at + 4)?);
    to.bytes.get_mut(at..at + 4)?.copy_from_slice(&length.to_be_bytes());
    to.open = None;
    Some(Some(at + 4))
}

/// The units of an aggregation packet, each behind a length of two bytes; `None` if one is cut off.
pub(super) fn aggregated(mut rest: &[u8]) -> Option<Vec<&[u8]>> {
    let mut units = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (unit, after) = behind.split_at_checked(u16::from_be_bytes(*length).into())?;
        if !unit.is_empty() {
            units.push(unit);
        }
        rest = after;
    }
    Some(units)
}

/// The units of a frame, behind lengths of four bytes.
pub(crate) fn units(mut frame: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, behind) = frame.split_first_chunk()?;
        let (unit, rest) = behind.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        frame = rest;
        Some(unit)
    })
}

/// What a unit holds, without the bytes that keep it from looking like a start code (H.264 section 7.4.1).
pub(super) fn plain(unit: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for byte in unit {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        plain.push(*byte);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_against_start_codes_are_taken_out() {
        assert_eq!(plain(&[1, 0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 3]), [1, 0, 0, 1, 0, 0, 0, 0, 3]);
    }

    #[test]
    fn sets_are_bounded_and_the_newest_counts() {
        let mut sets = Sets::new();
        for id in 0..100 {
            keep(&mut sets, 7, id, &[1]);
        }
        keep(&mut sets, 7, 3, &[2]);
        // A length of 16 bits could not say how long it is.
        keep(&mut sets, 7, 4, &vec![2; 65_536]);
        assert_eq!(sets[&(7, 4)], [1]);
        assert_eq!((sets.len(), sets[&(7, 3)].as_slice()), (MOST_SETS, &[2][..]));
    }

    #[test]
    fn units_that_are_cut_off_are_none() {
        assert_eq!(aggregated(&[0, 1, 7, 0, 2, 8, 9]), Some(vec![&[7][..], &[8, 9]]));
        assert_eq!(aggregated(&[0, 1, 7, 0, 2, 8]), None);
        assert_eq!(units(&[0, 0, 0, 1, 7, 0, 0, 0, 9, 8]).count(), 1);
    }
}
