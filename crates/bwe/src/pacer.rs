//! The budget of a sender: what is within the estimate leaves at once, what exceeds it is spread.

use crate::num::{bytes_of, narrow, wide};
use crate::{SECOND_US, bounded};

/// So much time of the rate may leave in one burst: a frame three times the usual size does.
const BURST_US: u64 = 100_000;
/// However low the rate, one small frame is no burst.
const LEAST_BURST: u64 = 6_000;
/// The queue drains at this part of the estimate, percent: the estimate is meant for the long run.
const DRAIN_PERCENT: u64 = 150;

/// A leaky bucket: filled by what is sent, drained by the rate, full at the burst allowance.
#[derive(Debug, Clone)]
pub struct Pacer {
    rate: u64,
    burst: u64,
    level: u64,
    /// The level at which the debt is full.
    most: u64,
    drained_us: u64,
}

impl Pacer {
    /// An empty bucket.
    #[must_use]
    pub fn new(estimate: u64) -> Self {
        let mut pacer = Self { rate: 0, burst: 0, level: 0, most: 0, drained_us: 0 };
        pacer.set_estimate(estimate);
        pacer
    }

    /// The estimate changed, bits per second.
    pub fn set_estimate(&mut self, estimate: u64) {
        let estimate = bounded(estimate);
        self.rate = estimate * DRAIN_PERCENT / 100;
        self.burst = bytes_of(estimate, BURST_US).max(LEAST_BURST);
        // The debt is bounded by one second.
        self.most = self.burst + bytes_of(self.rate, SECOND_US);
        self.level = self.level.min(self.most);
    }

    /// Bytes that may leave now.
    #[inline]
    pub fn allowance(&mut self, now_us: u64) -> usize {
        self.drain(now_us);
        narrow(self.burst.saturating_sub(self.level))
    }

    /// Something left, whether it was allowed or not (audio does not wait).
    #[inline]
    pub fn on_sent(&mut self, bytes: usize, now_us: u64) {
        self.drain(now_us);
        self.level = self.level.saturating_add(wide(bytes)).min(self.most);
    }

    /// When so many bytes may leave; what is larger than the burst allowance leaves from an empty bucket.
    #[must_use]
    pub fn next_us(&self, bytes: usize) -> u64 {
        let room = self.burst.saturating_sub(wide(bytes));
        let excess = self.level.saturating_sub(room);
        self.drained_us + (excess * 8_000_000).div_ceil(self.rate.max(1))
    }

    #[inline]
    fn drain(&mut self, now_us: u64) {
        if now_us <= self.drained_us {
            return;
        }
        let gone = bytes_of(self.rate, now_us.saturating_sub(self.drained_us).min(10 * SECOND_US));
        // Less than a byte waits for the next time.
        if gone > 0 || self.level == 0 {
            self.level = self.level.saturating_sub(gone);
            self.drained_us = now_us;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_within_the_estimate_leave_at_once() {
        let mut pacer = Pacer::new(1_000_000);
        for i in 0..300 {
            let now = i * 33_333;
            let frame = if i % 10 == 0 { 12_000 } else { 2_800 };
            assert!(pacer.allowance(now) >= frame, "frame {i}");
            pacer.on_sent(frame, now);
        }
    }

    #[test]
    fn what_exceeds_it_is_spread() {
        let mut pacer = Pacer::new(1_000_000);
        let (mut now, mut left) = (SECOND_US, 100_000_usize);
        let mut waits = 0;
        while left > 0 {
            if pacer.allowance(now) >= 1_000 {
                pacer.on_sent(1_000, now);
                left -= 1_000;
            } else {
                let next = pacer.next_us(1_000);
                assert!(next > now && next < now + 10_000, "{next} {now}");
                now = next;
                waits += 1;
            }
        }
        // 87.5 kB beyond the burst at 1.5 Mbit/s.
        assert!((440_000..500_000).contains(&(now - SECOND_US)), "{}", now - SECOND_US);
        assert!(waits > 50);
    }

    #[test]
    fn no_number_breaks_it() {
        let mut pacer = Pacer::new(u64::MAX);
        pacer.on_sent(usize::MAX, u64::MAX / 2);
        assert_eq!(pacer.allowance(0), 0);
        assert!(pacer.next_us(usize::MAX) > 0);
        pacer.set_estimate(0);
        assert!(pacer.allowance(u64::MAX / 2 + 100 * SECOND_US) > 0);
    }
}
