//! Integer narrowing and big-endian reads without `as` and without indexing.
//!
//! Everything here compiles to the plain move or bounds check; the functions exist because ring 0 denies the
//! conversions that could hide a truncation.

/// The lowest 8 bits.
pub(crate) const fn low8(v: u64) -> u8 {
    let [a, ..] = v.to_le_bytes();
    a
}

/// The lowest 16 bits.
pub(crate) const fn low16(v: u64) -> u16 {
    let [a, b, ..] = v.to_le_bytes();
    u16::from_le_bytes([a, b])
}

/// The lowest 32 bits.
pub(crate) const fn low32(v: u64) -> u32 {
    let [a, b, c, d, ..] = v.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// A length as `u16`: callers have bounded it by the packet limit before.
pub(crate) const fn len16(n: usize) -> u16 {
    let [a, b, ..] = n.to_le_bytes();
    u16::from_le_bytes([a, b])
}

/// A count as `u64`; `usize` is never wider here.
pub(crate) fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// A 64-bit value as an offset, saturating.
pub(crate) fn narrow(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

pub(crate) fn be16(buf: &[u8], at: usize) -> Option<u16> {
    buf.get(at..)?.first_chunk().map(|c| u16::from_be_bytes(*c))
}

pub(crate) fn be24(buf: &[u8], at: usize) -> Option<u32> {
    buf.get(at..)?.first_chunk().map(|&[a, b, c]| u32::from_be_bytes([0, a, b, c]))
}

pub(crate) fn be32(buf: &[u8], at: usize) -> Option<u32> {
    buf.get(at..)?.first_chunk().map(|c| u32::from_be_bytes(*c))
}

/// `v` as three big-endian bytes; the top byte is cut.
pub(crate) const fn to_be24(v: u32) -> [u8; 3] {
    let [_, a, b, c] = v.to_be_bytes();
    [a, b, c]
}

/// `us` microseconds in ticks of a clock of `rate` Hz, modulo 2^32. Seconds go apart, so that no wide product (and
/// no 128-bit division) is needed.
pub(crate) const fn ticks(us: u64, rate: u32) -> u32 {
    let [r0, r1, r2, r3] = rate.to_le_bytes();
    let rate = u64::from_le_bytes([r0, r1, r2, r3, 0, 0, 0, 0]);
    let (seconds, rest) = (us / 1_000_000, us % 1_000_000);
    low32(seconds.wrapping_mul(rate).wrapping_add(rest.wrapping_mul(rate) / 1_000_000))
}
