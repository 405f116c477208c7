//! Packet indices: the 48-bit count behind the 16-bit sequence number, and the set of recent ones.

/// Index of an RTP packet within its SSRC: roll-over count * 2^16 + sequence number (RFC 3711, 3.3.1), 48 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketIndex(u64);

impl PacketIndex {
    /// The last index a key may be used for.
    pub const MAX: Self = Self((1 << 48) - 1);

    /// An index, if it has at most 48 bits.
    pub const fn new(index: u64) -> Option<Self> {
        if index <= Self::MAX.0 { Some(Self(index)) } else { None }
    }

    /// The index of a sequence number within a roll-over period.
    pub const fn from_parts(roc: u32, seq: u16) -> Self {
        let [a, b, c, d] = roc.to_be_bytes();
        let [e, f] = seq.to_be_bytes();
        Self(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The roll-over count.
    pub const fn roc(self) -> u32 {
        let [_, _, a, b, c, d, _, _] = self.0.to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    /// The sequence number.
    pub const fn seq(self) -> u16 {
        let [_, _, _, _, _, _, e, f] = self.0.to_be_bytes();
        u16::from_be_bytes([e, f])
    }
}

/// The index meant by a sequence number, given the highest index so far (RFC 3711, 3.3.1 and appendix A).
/// `None` if it lies beyond [`PacketIndex::MAX`].
pub(crate) fn estimate(highest: Option<PacketIndex>, seq: u16) -> Option<PacketIndex> {
    const HALF: u16 = 0x8000;
    // There is no period before the first: in its lower half every sequence number belongs to it. libsrtp
    // decides so too, and a stream that begins just below a wrap, reordered, needs it.
    let Some(highest) = highest.filter(|h| h.get() > u64::from(HALF)) else {
        return Some(PacketIndex::from_parts(0, seq));
    };
    let (roc, last) = (highest.roc(), highest.seq());
    let roc = if last < HALF {
        if seq.saturating_sub(last) > HALF { roc.checked_sub(1)? } else { roc }
    } else if last - HALF > seq {
        roc.checked_add(1)?
    } else {
        roc
    };
    Some(PacketIndex::from_parts(roc, seq))
}

/// What a [`Window`] knows of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Above the highest.
    Ahead,
    /// Below the highest and not seen.
    Gap,
    Seen,
    TooOld,
}

/// The highest index and which of the last `n` were seen. `n` is 0 or a power of two from 64 on.
#[derive(Debug)]
pub(crate) struct Window {
    highest: Option<u64>,
    bits: Box<[u64]>,
}

impl Window {
    /// A window of at least `len` indices (0: keeps only the highest).
    pub(crate) fn new(len: usize) -> Self {
        let words = if len == 0 { 0 } else { len.next_power_of_two().max(64) / 64 };
        Self { highest: None, bits: vec![0; words].into_boxed_slice() }
    }

    pub(crate) fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Number of indices remembered, the highest included.
    pub(crate) fn len(&self) -> usize {
        self.bits.len() * 64
    }

    /// The place of an index in a ring of [`Self::len`] entries.
    pub(crate) fn slot(&self, index: u64) -> usize {
        // Only the low bits count, so cutting the index first is harmless, also where usize has 32 bits.
        usize::try_from(index & 0xffff).unwrap_or(0) & self.len().wrapping_sub(1)
    }

    pub(crate) fn clear(&mut self) {
        self.highest = None;
        self.bits.fill(0);
    }

    /// Makes everything up to the highest count as seen.
    pub(crate) fn seen_up_to(highest: Option<u64>, len: usize) -> Self {
        let mut window = Self::new(len);
        window.highest = highest;
        if highest.is_some() {
            window.bits.fill(u64::MAX);
        }
        window
    }

    pub(crate) fn standing(&self, index: u64) -> Standing {
        match self.highest {
            None => Standing::Ahead,
            Some(h) if index > h => Standing::Ahead,
            Some(h) if h - index >= self.span() => Standing::TooOld,
            Some(_) if self.word(index).is_some_and(|w| w & bit(index) != 0) => Standing::Seen,
            Some(_) => Standing::Gap,
        }
    }

    /// Remembers `index`; it must not be [`Standing::TooOld`].
    pub(crate) fn mark(&mut self, index: u64) {
        match self.highest {
            Some(h) if index <= h => {}
            Some(h) if index - h < self.span() => {
                // The slots of the indices skipped still hold those of one round ago.
                for skipped in h + 1..index {
                    if let Some(word) = self.word_mut(skipped) {
                        *word &= !bit(skipped);
                    }
                }
                self.highest = Some(index);
            }
            _ => {
                self.bits.fill(0);
                self.highest = Some(index);
            }
        }
        if let Some(word) = self.word_mut(index) {
            *word |= bit(index);
        }
    }

    fn word(&self, index: u64) -> Option<&u64> {
        self.bits.get(self.slot(index) / 64)
    }

    fn word_mut(&mut self, index: u64) -> Option<&mut u64> {
        let at = self.slot(index) / 64;
        self.bits.get_mut(at)
    }

    fn span(&self) -> u64 {
        u64::try_from(self.len()).unwrap_or(0)
    }
}

fn bit(index: u64) -> u64 {
    1 << (index & 63)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn index_splits_into_roll_over_count_and_sequence_number() {
        let index = PacketIndex::from_parts(0x0102_0304, 0x0506);
        assert_eq!(index.get(), 0x0102_0304_0506);
        assert_eq!((index.roc(), index.seq()), (0x0102_0304, 0x0506));
        assert_eq!(PacketIndex::new(1 << 48), None);
        assert_eq!(PacketIndex::new((1 << 48) - 1), Some(PacketIndex::MAX));
    }

    #[test]
    fn estimate_follows_appendix_a() {
        let p = PacketIndex::from_parts;
        let cases = [
            (None, 0, Some(p(0, 0))),
            (None, 65_535, Some(p(0, 65_535))),
            (Some(p(0, 3)), 65_534, Some(p(0, 65_534))),
            (Some(p(0, 0x8000)), 0, Some(p(0, 0))),
            (Some(p(0, 0x8001)), 0, Some(p(1, 0))),
            (Some(p(0, 0x8001)), 1, Some(p(0, 1))),
            (Some(p(0, 65_535)), 0, Some(p(1, 0))),
            (Some(p(1, 0)), 65_535, Some(p(0, 65_535))),
            (Some(p(1, 0)), 0x8000, Some(p(1, 0x8000))),
            (Some(p(1, 0)), 0x8001, Some(p(0, 0x8001))),
            (Some(p(7, 40_000)), 39_990, Some(p(7, 39_990))),
            (Some(p(u32::MAX, 65_535)), 65_534, Some(p(u32::MAX, 65_534))),
            (Some(p(u32::MAX, 65_535)), 0, None),
        ];
        for (highest, seq, expected) in cases {
            assert_eq!(estimate(highest, seq), expected, "{highest:?} {seq}");
        }
    }

    #[test]
    fn window_agrees_with_a_set_of_all_indices() {
        for len in [0u64, 64, 128, 512] {
            let mut window = Window::new(usize::try_from(len).unwrap());
            let mut all = BTreeSet::new();
            let mut x = 0x9e37_79b9_7f4a_7c15u64;
            let mut at = 1_000_000u64;
            for _ in 0..20_000 {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                at += [0, 1, 1, 1, 2, 5, 70][(x % 7) as usize];
                let index = at - (x >> 32) % (len * 2 + 2);
                let highest = all.last().copied();
                let expected = match highest {
                    None => Standing::Ahead,
                    Some(h) if index > h => Standing::Ahead,
                    Some(h) if h - index >= len => Standing::TooOld,
                    Some(_) if all.contains(&index) => Standing::Seen,
                    Some(_) => Standing::Gap,
                };
                assert_eq!(window.standing(index), expected, "{index} below {highest:?}, window {len}");
                if matches!(expected, Standing::Ahead | Standing::Gap) {
                    window.mark(index);
                    all.insert(index);
                }
            }
        }
    }
}
