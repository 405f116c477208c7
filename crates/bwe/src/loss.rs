//! The loss-based rate: below 2 % loss it grows, above 10 % it shrinks (draft-ietf-rmcat-gcc-02 section 6).

use crate::{MAX_BITRATE, SECOND_US, bounded};

/// Fewer packets tell no fraction.
const LEAST_PACKETS: u64 = 20;
/// So many are judged at once; fewer when the time is over.
const PACKETS: u64 = 100;
const JUDGED_AFTER_US: u64 = SECOND_US;
/// Between two reductions: a round trip and this.
const REDUCE_GAP_US: u64 = 300_000;
/// Of 256: 2 % and 10 %.
const LOW: u64 = 5;
const HIGH: u64 = 26;
/// 20 %.
const HEAVY: u64 = 51;
/// Of what arrived, no more is taken away at once.
const KEPT_PERCENT: u64 = 85;
const WARNED_US: u64 = 5 * SECOND_US;
/// Per mille a second.
const GROWTH: u64 = 80;

#[derive(Debug, Clone)]
pub(crate) struct LossControl {
    rate: u64,
    lost: u64,
    total: u64,
    since_us: Option<u64>,
    grown_us: Option<u64>,
    reduced_us: Option<u64>,
    /// The newest fraction, of 256.
    fraction: u64,
}

impl LossControl {
    pub(crate) fn new(rate: u64) -> Self {
        Self {
            rate: bounded(rate),
            lost: 0,
            total: 0,
            since_us: None,
            grown_us: None,
            reduced_us: None,
            fraction: 0,
        }
    }

    pub(crate) fn rate(&self) -> u64 {
        self.rate
    }

    pub(crate) fn raise(&mut self, rate: u64) {
        self.rate = bounded(rate).max(self.rate);
    }

    pub(crate) fn lower(&mut self, rate: u64) {
        self.rate = bounded(rate).min(self.rate);
    }

    /// Losses allow more than it takes.
    pub(crate) fn is_low(&self) -> bool {
        self.fraction <= HIGH / 2
    }

    pub(crate) fn on_lost(&mut self) {
        self.lost += 1;
        self.total += 1;
    }

    pub(crate) fn on_received(&mut self) {
        self.total += 1;
    }

    /// It was counted as lost.
    pub(crate) fn on_late(&mut self) {
        self.lost = self.lost.saturating_sub(1);
    }

    /// Judges what was counted, if it is enough.
    pub(crate) fn update(&mut self, arrived: Option<u64>, rtt_us: u64, now_us: u64) {
        let since = now_us.saturating_sub(*self.since_us.get_or_insert(now_us));
        let enough = self.total >= PACKETS || (self.total >= LEAST_PACKETS && since >= JUDGED_AFTER_US);
        if enough {
            self.fraction = self.lost * 256 / self.total.max(1);
            (self.lost, self.total, self.since_us) = (0, 0, Some(now_us));
            self.judge(arrived, rtt_us, now_us);
        }
    }

    /// A receiver report's fraction.
    pub(crate) fn on_report(&mut self, fraction: u8, arrived: Option<u64>, rtt_us: u64, now_us: u64) {
        self.fraction = u64::from(fraction);
        self.judge(arrived, rtt_us, now_us);
    }

    /// Losses took the rate down not long ago.
    pub(crate) fn is_warned(&self, now_us: u64) -> bool {
        self.reduced_us.is_some_and(|at| now_us.saturating_sub(at) < WARNED_US)
    }

    /// `arrived` is the bitrate that came through.
    fn judge(&mut self, arrived: Option<u64>, rtt_us: u64, now_us: u64) {
        let since = now_us.saturating_sub(self.grown_us.unwrap_or(now_us)).min(SECOND_US);
        self.grown_us = Some(now_us);
        if self.fraction < LOW {
            let growth = self.rate * GROWTH / 1000 + 1_000;
            self.rate = bounded(self.rate + growth * since / SECOND_US);
        } else if self.fraction > HIGH {
            let due = self.reduced_us.is_none_or(|at| now_us.saturating_sub(at) >= REDUCE_GAP_US + rtt_us);
            if due {
                self.reduced_us = Some(now_us);
                let mut reduced = self.rate * (512 - self.fraction.min(256)) / 512;
                if let Some(arrived) = arrived.map(|a| a.min(MAX_BITRATE)) {
                    // So much is lost only beyond a capacity, and what came through shows it.
                    if self.fraction > HEAVY {
                        reduced = reduced.min(arrived);
                    }
                    reduced = reduced.max(arrived * KEPT_PERCENT / 100);
                }
                self.rate = bounded(reduced.min(self.rate));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(fraction: u8, reports: u64) -> u64 {
        let mut loss = LossControl::new(1_000_000);
        (0..reports).for_each(|i| loss.on_report(fraction, None, 50_000, i * SECOND_US));
        loss.rate()
    }

    #[test]
    fn low_loss_grows_some_holds_and_much_reduces() {
        assert!((1_081_000..1_082_000).contains(&after(0, 2)));
        assert_eq!(after(13, 20), 1_000_000);
        assert_eq!(after(64, 1), 875_000);
        assert!(after(255, 100) >= crate::MIN_BITRATE);
    }

    #[test]
    fn heavy_loss_leads_to_what_arrives_and_no_further() {
        let mut loss = LossControl::new(2_000_000);
        loss.on_report(180, Some(400_000), 50_000, 0);
        assert_eq!(loss.rate(), 400_000);
        loss.on_report(180, Some(400_000), 50_000, SECOND_US);
        assert_eq!(loss.rate(), 340_000);
    }

    #[test]
    fn a_late_packet_was_not_lost() {
        let mut loss = LossControl::new(1_000_000);
        for i in 0..100 {
            if i % 5 == 0 {
                loss.on_lost();
                loss.on_late();
            } else {
                loss.on_received();
            }
        }
        loss.update(None, 50_000, SECOND_US);
        assert!(loss.rate() >= 1_000_000);
    }
}
