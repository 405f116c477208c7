//! The trend of the delay and what it means: draft-ietf-rmcat-gcc-02 section 5.4 with the slope of a line through
//! the last groups in place of the Kalman filter, as senders in the field have it.

use crate::arrival::Variation;
use crate::num::millis;

/// Points the line goes through.
const POINTS: usize = 20;
/// Weight of the past in the smoothed delay.
const SMOOTHING: f64 = 0.9;
/// Brings a slope into the range of the threshold.
const GAIN: f64 = 4.0;
/// The trend counts in full after so many groups.
const MOST_GROUPS: u8 = 60;
const FIRST_THRESHOLD: f64 = 12.5;
const LEAST_THRESHOLD: f64 = 6.0;
const MOST_THRESHOLD: f64 = 600.0;
/// How quickly the threshold rises above a trend that exceeds it, and falls again, per millisecond.
const RISE: f64 = 0.0087;
const FALL: f64 = 0.039;
/// A trend so far above the threshold is a change of route: the threshold does not follow it.
const OUTLIER: f64 = 15.0;
/// The shortest delay is looked for in the last five to ten seconds: clocks drift, routes change.
const BASE_US: u64 = 5_000_000;
/// Over-use lasts at least so long before it is one, ms.
const OVERUSE_MS: f64 = 10.0;

/// What the delay says of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Usage {
    #[default]
    Normal,
    /// Queues grow.
    Over,
    /// Queues empty.
    Under,
}

#[derive(Debug, Clone)]
pub(crate) struct Trend {
    /// (time of arrival, smoothed delay), both ms.
    points: [(f64, f64); POINTS],
    /// Points there are, and where the next one goes.
    len: usize,
    next: usize,
    first_us: Option<u64>,
    accumulated: f64,
    /// The least of it: in this period, in the one before; and when this one began.
    base: (f64, f64, u64),
    smoothed: f64,
    groups: u8,
    threshold: f64,
    threshold_at_us: Option<u64>,
    over_ms: Option<f64>,
    over_groups: u8,
    previous: f64,
    usage: Usage,
}

impl Default for Trend {
    fn default() -> Self {
        Self {
            points: [(0.0, 0.0); POINTS],
            len: 0,
            next: 0,
            first_us: None,
            accumulated: 0.0,
            base: (0.0, 0.0, 0),
            smoothed: 0.0,
            groups: 0,
            threshold: FIRST_THRESHOLD,
            threshold_at_us: None,
            over_ms: None,
            over_groups: 0,
            previous: 0.0,
            usage: Usage::Normal,
        }
    }
}

impl Trend {
    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    pub(crate) fn on_variation(&mut self, variation: Variation) -> Usage {
        let first = *self.first_us.get_or_insert(variation.at_us);
        let delay = millis(variation.arrival_us.saturating_sub(variation.send_us));
        self.groups = self.groups.saturating_add(1).min(MOST_GROUPS);
        self.accumulated += delay;
        self.note_base(variation.at_us);
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.accumulated;
        let at = f64::from(u32::try_from(variation.at_us.saturating_sub(first) / 1000).unwrap_or(u32::MAX));
        if let Some(point) = self.points.get_mut(self.next) {
            *point = (at, self.smoothed);
        }
        self.next = (self.next + 1) % POINTS;
        self.len = (self.len + 1).min(POINTS);
        let slope = if self.len == POINTS { self.slope().unwrap_or(self.previous) } else { 0.0 };
        self.detect(slope, millis(variation.send_us), variation.at_us);
        self.usage
    }

    /// How much longer than the shortest lately the newest delay was, ms: about the queue.
    pub(crate) fn queue_ms(&self) -> f64 {
        self.accumulated - self.base.0.min(self.base.1)
    }

    fn note_base(&mut self, at_us: u64) {
        let (least, _, since) = self.base;
        if at_us.saturating_sub(since) >= BASE_US {
            self.base =
                (self.accumulated, if since == 0 { least.min(self.accumulated) } else { least }, at_us);
        } else {
            self.base.0 = least.min(self.accumulated);
        }
    }

    /// Least squares; `None` if all points stand at one time.
    fn slope(&self) -> Option<f64> {
        let points = || self.points.iter().take(self.len);
        let n = f64::from(u32::try_from(self.len).ok()?);
        let (x, y) = points().fold((0.0, 0.0), |(x, y), p| (x + p.0, y + p.1));
        let (x, y) = (x / n, y / n);
        let (above, below) = points().fold((0.0, 0.0), |(above, below), p| {
            (above + (p.0 - x) * (p.1 - y), below + (p.0 - x) * (p.0 - x))
        });
        (below > 0.0).then(|| above / below)
    }

    fn detect(&mut self, slope: f64, send_ms: f64, at_us: u64) {
        let trend = f64::from(self.groups) * slope * GAIN;
        if trend > self.threshold {
            let over = self.over_ms.map_or(send_ms / 2.0, |over| over + send_ms);
            self.over_ms = Some(over);
            self.over_groups = self.over_groups.saturating_add(1);
            if over > OVERUSE_MS && self.over_groups > 1 && slope >= self.previous {
                (self.over_ms, self.over_groups) = (Some(0.0), 0);
                self.usage = Usage::Over;
            }
        } else {
            (self.over_ms, self.over_groups) = (None, 0);
            self.usage = if trend < -self.threshold { Usage::Under } else { Usage::Normal };
        }
        self.previous = slope;
        self.adapt(trend, at_us);
    }

    fn adapt(&mut self, trend: f64, at_us: u64) {
        let since = at_us.saturating_sub(self.threshold_at_us.unwrap_or(at_us));
        self.threshold_at_us = Some(at_us);
        let distance = trend.abs() - self.threshold;
        if distance > OUTLIER {
            return;
        }
        let pace = if distance < 0.0 { FALL } else { RISE };
        let ms = f64::from(u32::try_from(since / 1000).unwrap_or(u32::MAX)).min(100.0);
        self.threshold = (self.threshold + pace * distance * ms).clamp(LEAST_THRESHOLD, MOST_THRESHOLD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(trend: &mut Trend, from: u64, groups: u64, longer_us: i64) -> Vec<Usage> {
        let step = |i: u64| (33_000 + longer_us).unsigned_abs() * i;
        (0..groups)
            .map(|i| {
                let at_us = from + step(i);
                trend.on_variation(Variation { send_us: 33_000, arrival_us: 33_000 + longer_us, at_us })
            })
            .collect()
    }

    #[test]
    fn growing_delay_is_overuse_and_falling_delay_underuse() {
        let mut trend = Trend::default();
        assert!(feed(&mut trend, 0, 60, 0).iter().all(|u| *u == Usage::Normal));
        assert!(feed(&mut trend, 2_000_000, 10, 10_000).contains(&Usage::Over));
        assert!(feed(&mut trend, 3_000_000, 30, -10_000).contains(&Usage::Under));
    }
}
