//! The bitrate of the last half second.

use crate::num::{narrow, rate_of, wide};

const BUCKET_US: u64 = 50_000;
const BUCKETS: usize = 10;
/// The whole.
pub(crate) const WINDOW_US: u64 = 500_000;
/// Over a shorter time no rate is told.
const LEAST_US: u64 = 150_000;

/// Bytes by time, in buckets. Times may come in any order; those before the window do not count.
#[derive(Debug, Clone, Default)]
pub(crate) struct RateWindow {
    buckets: [u64; BUCKETS],
    /// Number of the newest bucket.
    head: u64,
    first_us: Option<u64>,
    last_us: u64,
    sum: u64,
}

impl RateWindow {
    #[inline]
    pub(crate) fn add(&mut self, at_us: u64, bytes: u64) {
        let bucket = at_us / BUCKET_US;
        if self.first_us.is_none() {
            (self.first_us, self.head) = (Some(at_us), bucket);
        }
        if bucket > self.head {
            self.advance(bucket);
        } else if bucket + wide(BUCKETS) <= self.head {
            return;
        }
        self.last_us = self.last_us.max(at_us);
        if let Some(sum) = self.buckets.get_mut(narrow(bucket % wide(BUCKETS))) {
            *sum += bytes;
            self.sum += bytes;
        }
    }

    fn advance(&mut self, bucket: u64) {
        if bucket - self.head >= wide(2 * BUCKETS) {
            // After a silence the rate begins anew.
            *self = Self { head: bucket, first_us: Some(bucket * BUCKET_US), ..Self::default() };
            return;
        }
        for old in self.head + 1..=bucket {
            if let Some(sum) = self.buckets.get_mut(narrow(old % wide(BUCKETS))) {
                self.sum -= std::mem::take(sum);
            }
        }
        self.head = bucket;
    }

    /// Bits per second up to the newest time known.
    pub(crate) fn rate(&self) -> Option<u64> {
        let oldest = (self.head + 1).saturating_sub(wide(BUCKETS)) * BUCKET_US;
        let span = self.last_us.saturating_sub(oldest.max(self.first_us?));
        (span >= LEAST_US).then(|| rate_of(self.sum, span))
    }

    /// Bits per second up to now: silence counts.
    pub(crate) fn rate_at(&mut self, now_us: u64) -> Option<u64> {
        self.first_us?;
        self.add(now_us, 0);
        self.rate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_window() {
        let mut window = RateWindow::default();
        assert_eq!(window.rate(), None);
        for i in 0..200 {
            window.add(i * 10_000, if i < 100 { 125 } else { 1250 });
        }
        let rate = window.rate().unwrap();
        assert!((980_000..1_050_000).contains(&rate), "{rate}");
        assert!(window.rate_at(2_400_000).unwrap() < 400_000);
        assert_eq!(window.rate_at(9_000_000), None);
    }

    #[test]
    fn times_before_the_window_do_not_count() {
        let mut window = RateWindow::default();
        window.add(10_000_000, 1000);
        window.add(1, 1_000_000);
        window.add(10_200_000, 1000);
        assert_eq!(window.rate(), Some(80_000));
    }
}
