//! The delay-based rate: additive or multiplicative increase, multiplicative decrease (draft-ietf-rmcat-gcc-02
//! section 5.5).

use crate::num::kilobits;
use crate::trend::Usage;
use crate::{MAX_BITRATE, SECOND_US, bounded};

/// What is left of the acknowledged bitrate after over-use, percent.
const BETA_PERCENT: u64 = 85;
/// Multiplicative increase, per mille a second.
const GROWTH: u64 = 80;
const LEAST_GROWTH: u64 = 1_000;
const LEAST_ADDITIVE: u64 = 4_000;
/// The rate does not grow beyond what an acknowledged bitrate gives reason for: one and a half times, and this.
const HEADROOM: u64 = 10_000;
const PACKET_BITS: u64 = 1200 * 8;
const FRAMES: u64 = 30;
/// A response to over-use takes a round trip and this.
const DETECTION_US: u64 = 100_000;
const REDUCE_LEAST_US: u64 = 10_000;
const REDUCE_MOST_US: u64 = 200_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    Hold,
    #[default]
    Increase,
}

#[derive(Debug, Clone)]
pub(crate) struct RateControl {
    rate: u64,
    state: State,
    link: LinkCapacity,
    changed_us: Option<u64>,
    decreased_us: Option<u64>,
}

impl RateControl {
    pub(crate) fn new(rate: u64) -> Self {
        Self {
            rate: bounded(rate),
            state: State::Increase,
            link: LinkCapacity::default(),
            changed_us: None,
            decreased_us: None,
        }
    }

    pub(crate) fn rate(&self) -> u64 {
        self.rate
    }

    /// A probe has shown that the network carries so much.
    pub(crate) fn raise(&mut self, rate: u64, now_us: u64) {
        if rate > self.rate {
            self.rate = bounded(rate);
            self.changed_us = Some(now_us);
            self.state = State::Increase;
            // What was learnt of a smaller link is void.
            self.link.forget_below(rate);
        }
    }

    /// A probe has shown that the network carries no more. One measurement may err: a part of the way, and not below
    /// what is getting through.
    pub(crate) fn correct(&mut self, rate: u64, acked: Option<u64>) {
        let towards = (self.rate * 3 + rate) / 4;
        self.rate = bounded(towards.max(acked.unwrap_or(0))).min(self.rate);
    }

    /// Nothing is heard of the receiver.
    pub(crate) fn lower(&mut self, rate: u64) {
        self.rate = bounded(rate).min(self.rate);
    }

    pub(crate) fn update(&mut self, usage: Usage, acked: Option<u64>, rtt_us: u64, now_us: u64) {
        match usage {
            Usage::Over => self.decrease(acked, rtt_us, now_us),
            Usage::Under => self.hold(now_us),
            Usage::Normal => match self.state {
                State::Hold => {
                    self.hold(now_us);
                    self.state = State::Increase;
                }
                State::Increase => self.increase(acked, rtt_us, now_us),
            },
        }
    }

    /// Neither up nor down: an over-use that our own probe explains.
    pub(crate) fn hold(&mut self, now_us: u64) {
        self.state = State::Hold;
        self.changed_us = Some(now_us);
    }

    fn increase(&mut self, acked: Option<u64>, rtt_us: u64, now_us: u64) {
        let since = now_us.saturating_sub(self.changed_us.unwrap_or(now_us)).min(SECOND_US);
        self.changed_us = Some(now_us);
        let Some(acked) = acked else { return };
        self.link.forget_below(acked);
        let pace = if self.link.is_known() {
            self.additive(rtt_us)
        } else {
            (self.rate * GROWTH / 1000).max(LEAST_GROWTH)
        };
        let grown = self.rate + pace * since / SECOND_US;
        let limit = acked.saturating_mul(3) / 2 + HEADROOM;
        self.rate = bounded(grown.min(limit).max(self.rate));
    }

    /// About one packet each response time.
    fn additive(&self, rtt_us: u64) -> u64 {
        let frame = self.rate / FRAMES;
        let packet = frame / frame.div_ceil(PACKET_BITS).max(1);
        (packet * SECOND_US / (rtt_us + DETECTION_US)).max(LEAST_ADDITIVE)
    }

    fn decrease(&mut self, acked: Option<u64>, rtt_us: u64, now_us: u64) {
        let acked = acked.unwrap_or(self.rate).min(MAX_BITRATE);
        let gap = rtt_us.clamp(REDUCE_LEAST_US, REDUCE_MOST_US);
        let recently = self.decreased_us.is_some_and(|at| now_us.saturating_sub(at) < gap);
        if recently && acked >= self.rate / 2 {
            return;
        }
        let mut rate = acked * BETA_PERCENT / 100;
        if rate > self.rate
            && let Some(link) = self.link.average()
        {
            rate = link * BETA_PERCENT / 100;
        }
        self.link.on_overuse(acked);
        self.rate = bounded(rate.min(self.rate));
        self.decreased_us = Some(now_us);
        self.hold(now_us);
    }

    pub(crate) fn decreased_us(&self) -> Option<u64> {
        self.decreased_us
    }
}

/// What the network carried whenever it was over-used: near it the rate grows slowly.
#[derive(Debug, Clone, Default)]
struct LinkCapacity {
    known: Option<Capacity>,
}

#[derive(Debug, Clone, Copy)]
struct Capacity {
    average: u64,
    /// Of the average in kbit/s, and relative to it.
    variance: f64,
}

/// The part of a new sample in the average and in the variance.
const CAPACITY_PERCENT: u64 = 5;
const CAPACITY_WEIGHT: f64 = 0.05;
const LEAST_VARIANCE: f64 = 0.4;
const MOST_VARIANCE: f64 = 2.5;

impl Capacity {
    /// Three standard deviations, kbit/s.
    fn margin(&self) -> f64 {
        3.0 * (self.variance * kilobits(self.average)).sqrt()
    }
}

impl LinkCapacity {
    fn is_known(&self) -> bool {
        self.known.is_some()
    }

    fn average(&self) -> Option<u64> {
        self.known.map(|known| known.average)
    }

    fn on_overuse(&mut self, acked: u64) {
        let sample = kilobits(acked);
        let Some(known) = self.known.filter(|k| sample >= kilobits(k.average) - k.margin()) else {
            self.known = Some(Capacity { average: acked, variance: LEAST_VARIANCE });
            return;
        };
        let error = kilobits(known.average.abs_diff(acked));
        let average = ((100 - CAPACITY_PERCENT) * known.average + CAPACITY_PERCENT * acked) / 100;
        let relative = error * error / kilobits(average).max(1.0);
        let variance = (1.0 - CAPACITY_WEIGHT) * known.variance + CAPACITY_WEIGHT * relative;
        self.known = Some(Capacity { average, variance: variance.clamp(LEAST_VARIANCE, MOST_VARIANCE) });
    }

    /// So much got through: if that is more than the link was thought to carry, it is another link.
    fn forget_below(&mut self, acked: u64) {
        let sample = kilobits(acked);
        if self.known.is_some_and(|k| sample > kilobits(k.average) + k.margin()) {
            self.known = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overuse_takes_the_rate_below_what_arrived() {
        let mut control = RateControl::new(1_000_000);
        control.update(Usage::Over, Some(500_000), 50_000, 1_000_000);
        assert_eq!(control.rate(), 425_000);
        control.update(Usage::Over, Some(400_000), 50_000, 1_010_000);
        assert_eq!(control.rate(), 425_000, "once in a round trip");
    }

    #[test]
    fn growth_ends_at_what_the_acknowledged_rate_gives_reason_for() {
        let mut control = RateControl::new(300_000);
        for i in 0..600 {
            control.update(Usage::Normal, Some(300_000), 50_000, i * 100_000);
        }
        assert_eq!(control.rate(), 460_000);
    }

    #[test]
    fn near_a_known_capacity_it_grows_slowly() {
        let mut control = RateControl::new(1_000_000);
        control.update(Usage::Over, Some(1_000_000), 50_000, 0);
        assert_eq!(control.link.average(), Some(1_000_000));
        control.update(Usage::Normal, Some(850_000), 50_000, 100_000);
        control.update(Usage::Normal, Some(850_000), 50_000, 200_000);
        let before = control.rate();
        control.update(Usage::Normal, Some(850_000), 50_000, 1_200_000);
        assert!((20_000..65_000).contains(&(control.rate() - before)));
    }
}
