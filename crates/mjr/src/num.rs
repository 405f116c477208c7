//! Lengths and times in the widths of formats; what does not fit is the largest that does.

pub(crate) fn long(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

pub(crate) fn word(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

pub(crate) fn short(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

pub(crate) fn byte(n: usize) -> u8 {
    u8::try_from(n).unwrap_or(u8::MAX)
}

/// The low bits of a number: what a field of a byte holds.
pub(crate) fn low(n: u32) -> u8 {
    let [.., low] = n.to_be_bytes();
    low
}

/// A size of pictures.
pub(crate) fn side(n: u32) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

/// Ticks of a clock, from microseconds, rounded.
pub(crate) fn ticks(us: u64, rate: u32) -> u64 {
    rescale(us, 1_000_000, rate)
}

/// Ticks of one clock in those of another, rounded.
pub(crate) fn rescale(ticks: u64, from: u32, to: u32) -> u64 {
    let from = u128::from(from.max(1));
    let ticks = (u128::from(ticks) * u128::from(to) + from / 2) / from;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}
