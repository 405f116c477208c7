//! The clock of a worker: monotonic microseconds for the packet code, wall-clock time for sender reports.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Both clocks, read together once: a wall clock that is set later changes no running stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    unix_at_start: Duration,
}

impl Clock {
    pub(crate) fn new(now: Instant) -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // A second of room before the start, for what lies a little in the past.
        let start = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
        Self { start, unix_at_start: unix.saturating_sub(now.saturating_duration_since(start)) }
    }

    /// Microseconds of the monotonic clock.
    pub(crate) fn micros(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX)
    }

    /// The instant of a microsecond count.
    pub(crate) fn instant(&self, micros: u64) -> Instant {
        self.start + Duration::from_micros(micros)
    }

    /// Time since 1970.
    pub(crate) fn unix(&self, now: Instant) -> Duration {
        self.unix_at_start + now.saturating_duration_since(self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_is_what_the_wall_clock_says() {
        let wall = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let before = wall();
        let now = Instant::now();
        let unix = Clock::new(now).unix(now);
        assert!(unix >= before && unix <= wall(), "{unix:?} against {before:?}");
    }
}
