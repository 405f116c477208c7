//! NTP timestamps and the round trip time from reports (RFC 3550 sections 4 and 6.4.1).

use core::time::Duration;

use crate::num::low32;

/// Seconds from the NTP epoch (1900) to the Unix epoch.
const NTP_OFFSET: u64 = 2_208_988_800;

/// 32.32 NTP time of a moment given as time since the Unix epoch.
#[must_use]
pub fn ntp_time(since_epoch: Duration) -> u64 {
    let seconds = since_epoch.as_secs().wrapping_add(NTP_OFFSET);
    let fraction = (u64::from(since_epoch.subsec_nanos()) << 32) / 1_000_000_000;
    seconds << 32 | fraction
}

/// The middle 32 bits, as LSR carries them.
#[must_use]
pub fn ntp_middle(ntp: u64) -> u32 {
    low32(ntp >> 16)
}

/// Round trip time in microseconds from a report block received at `now` (its middle NTP bits); `None` if the block
/// names no SR or its times contradict each other.
#[must_use]
pub fn rtt_us(now_middle: u32, last_sr: u32, delay_since_last_sr: u32) -> Option<u64> {
    if last_sr == 0 {
        return None;
    }
    let ticks = now_middle.wrapping_sub(last_sr).wrapping_sub(delay_since_last_sr);
    // Clock rounding may give a tick or two below zero; a real round trip is far below half the range (9 hours).
    if ticks > u32::MAX - 65_536 {
        return Some(0);
    }
    (ticks < 1 << 31).then(|| u64::from(ticks) * 1_000_000 / 65_536)
}
