//! Conversions without `as`.

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

/// A count as `u64`; `usize` is never wider here.
pub(crate) fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// A 64-bit value as a length, saturating.
pub(crate) fn narrow(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// Microseconds as milliseconds with their fraction; beyond half an hour they saturate.
pub(crate) fn millis(us: i64) -> f64 {
    let clamped = us.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    f64::from(i32::try_from(clamped).unwrap_or(0)) / 1000.0
}

/// A bitrate for statistics, in kbit/s.
pub(crate) fn kilobits(rate: u64) -> f64 {
    f64::from(u32::try_from(rate).unwrap_or(u32::MAX)) / 1000.0
}

/// Bits per second of so many bytes in so many microseconds.
pub(crate) fn rate_of(bytes: u64, us: u64) -> u64 {
    bytes.saturating_mul(8_000_000) / us.max(1)
}

/// Bytes that a rate carries in so many microseconds.
pub(crate) fn bytes_of(rate: u64, us: u64) -> u64 {
    rate.saturating_mul(us) / 8_000_000
}
