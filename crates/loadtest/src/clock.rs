//! `CLOCK_MONOTONIC` in nanoseconds: the same for all processes of a machine, so that a stamp can be read by another
//! process than the one that wrote it.

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// Nanoseconds of the monotonic clock.
pub(crate) fn now_ns() -> u64 {
    let t = clock_gettime(ClockId::Monotonic);
    u64::try_from(t.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec).unwrap_or(0)
}

/// Both of the clocks that this program needs, read together once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    instant: Instant,
    ns: u64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { instant: Instant::now(), ns: now_ns() }
    }

    /// The instant of a nanosecond count.
    pub(crate) fn instant(&self, ns: u64) -> Instant {
        match ns.checked_sub(self.ns) {
            Some(ahead) => self.instant + Duration::from_nanos(ahead),
            None => self.instant.checked_sub(Duration::from_nanos(self.ns - ns)).unwrap_or(self.instant),
        }
    }

    /// The nanosecond count of an instant.
    pub(crate) fn ns(&self, instant: Instant) -> u64 {
        let ahead = instant.saturating_duration_since(self.instant).as_nanos();
        let behind = self.instant.saturating_duration_since(instant).as_nanos();
        let ns = u128::from(self.ns) + ahead;
        u64::try_from(ns.saturating_sub(behind)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_nanoseconds_are_the_same_clock() {
        let clock = Clock::new();
        for ns in [now_ns(), now_ns() + 5_000_000_000, now_ns() - 1_000_000] {
            assert_eq!(clock.ns(clock.instant(ns)), ns);
        }
        let now = Instant::now();
        assert!(clock.ns(now).abs_diff(now_ns()) < 100_000_000);
    }
}
