//! Probes: short bursts of padding that show whether the network carries more than is sent.
//!
//! Invariants: one probe at a time; at most [`LONGEST_US`] of it; its rate at most three times the
//! estimate and hardly more than what is wanted; without success the time to the next one grows.

use crate::arrival::difference;
use crate::num::{bytes_of, narrow, rate_of};
use crate::{SECOND_US, bounded};

/// A probe is so long, or as long as [`LEAST_BYTES`] take.
const LENGTH_US: u64 = 40_000;
const LONGEST_US: u64 = 150_000;
const LEAST_BYTES: u64 = 6_000;
/// Padding is sent in steps of about this time.
const STEP_US: u64 = 5_000;
/// Less is not worth a packet.
const LEAST_PIECE: u64 = 100;
/// The first probe goes far, as nothing is known, the later ones less; least where media itself tries the estimate.
/// In halves of the estimate.
const FIRST_FACTOR: u64 = 6;
const FACTOR: u64 = 4;
const BUSY_FACTOR: u64 = 3;
/// A probe ends this much above what is wanted, percent: its result is rather below its rate.
const BEYOND_PERCENT: u64 = 112;
/// Between probes that did not help: from, to.
const INTERVAL_US: u64 = 2 * SECOND_US;
const MOST_INTERVAL_US: u64 = 5 * SECOND_US;
/// After one that did, where media tries its result.
const TRIED_US: u64 = SECOND_US;
/// Feedback about the last packet of a probe comes within a round trip and this.
const ANSWER_US: u64 = 400_000;
/// So much of a probe has to arrive, percent.
const ARRIVED_PERCENT: u64 = 80;
/// Packets this close are one step.
const TOGETHER_US: u64 = 1_000;
/// Shorter measurements tell nothing.
const LEAST_SPAN_US: u64 = 8_000;

/// Padding to send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Which probe it belongs to, never 0.
    pub cluster: u8,
    /// The rate that is tried, bits per second.
    pub rate: u64,
    /// Bytes of padding that are due now.
    pub bytes: usize,
}

/// What a probe has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) rate: u64,
    /// The network was the limit, not the probe.
    pub(crate) limited: bool,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Idle,
    /// Until so many bytes have left, media included.
    Sending {
        since_us: u64,
        target: u64,
    },
    Waiting {
        until_us: u64,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Prober {
    phase: Phase,
    cluster: Cluster,
    /// The next probe is not before.
    next_us: u64,
    interval_us: u64,
    probed: bool,
    busy: bool,
    /// While our own probe may explain a growing delay.
    blamed_until_us: u64,
}

impl Prober {
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Idle,
            cluster: Cluster::default(),
            next_us: 0,
            interval_us: INTERVAL_US,
            probed: false,
            busy: false,
            blamed_until_us: 0,
        }
    }

    /// The number packets that leave now are marked with.
    #[inline]
    pub(crate) fn marker(&self) -> u8 {
        if matches!(self.phase, Phase::Sending { .. }) { self.cluster.id } else { 0 }
    }

    /// Whether growing delay may be the probe's doing.
    pub(crate) fn is_blamed(&self, now_us: u64) -> bool {
        now_us < self.blamed_until_us
    }

    /// Begins a probe if more is wanted than the estimate and it is time. `busy`: what is sent comes near to the
    /// estimate.
    pub(crate) fn plan(&mut self, estimate: u64, wanted: u64, calm: bool, busy: bool, now_us: u64) {
        if let Phase::Waiting { until_us } = self.phase
            && now_us >= until_us
        {
            self.finish(false, now_us);
        }
        if !matches!(self.phase, Phase::Idle) || estimate >= wanted || !calm || now_us < self.next_us {
            return;
        }
        let factor = match (self.probed, busy) {
            (false, _) => FIRST_FACTOR,
            (true, false) => FACTOR,
            (true, true) => BUSY_FACTOR,
        };
        self.busy = busy && self.probed;
        self.probed = true;
        let rate = bounded((estimate * factor / 2).min(wanted.saturating_mul(BEYOND_PERCENT) / 100));
        let most = bytes_of(rate, LONGEST_US);
        let target = bytes_of(rate, LENGTH_US).max(LEAST_BYTES).min(most);
        let id = self.cluster.id.checked_add(1).unwrap_or(1);
        self.cluster = Cluster { id, rate, ..Cluster::default() };
        self.phase = Phase::Sending { since_us: now_us, target };
        self.blamed_until_us = now_us + LONGEST_US + ANSWER_US;
    }

    pub(crate) fn is_busy(&self) -> bool {
        !matches!(self.phase, Phase::Idle)
    }

    /// Ends a probe that padding cannot be sent for.
    pub(crate) fn cancel(&mut self, now_us: u64) {
        if !matches!(self.phase, Phase::Idle) {
            self.finish(false, now_us);
        }
    }

    pub(crate) fn poll(&mut self, rtt_us: u64, now_us: u64) -> Option<Probe> {
        let Phase::Sending { since_us, target } = self.phase else { return None };
        let since = now_us.saturating_sub(since_us);
        let sent = self.cluster.sent_bytes;
        if sent >= target || since > 2 * LONGEST_US {
            self.phase = Phase::Waiting { until_us: now_us + rtt_us + ANSWER_US };
            self.blamed_until_us = now_us + rtt_us + ANSWER_US / 2;
            return None;
        }
        let due = bytes_of(self.cluster.rate, since + STEP_US).min(target).saturating_sub(sent);
        let piece = due.min(bytes_of(self.cluster.rate, 4 * STEP_US));
        (piece >= LEAST_PIECE || sent + piece >= target).then_some(Probe {
            cluster: self.cluster.id,
            rate: self.cluster.rate,
            bytes: narrow(piece),
        })
    }

    /// When [`plan`](Self::plan) or [`poll`](Self::poll) has something to do.
    pub(crate) fn next_us(&self, now_us: u64) -> u64 {
        match self.phase {
            Phase::Idle => self.next_us,
            Phase::Sending { .. } => now_us + STEP_US,
            Phase::Waiting { until_us } => until_us,
        }
    }

    #[inline]
    pub(crate) fn on_sent(&mut self, bytes: u64, now_us: u64) {
        self.cluster.on_sent(bytes, now_us);
    }

    /// A packet of a probe arrived.
    pub(crate) fn on_arrival(&mut self, id: u8, bytes: u64, sent_us: u64, arrival_us: u64) {
        if self.cluster.id == id {
            self.cluster.on_arrival(bytes, sent_us, arrival_us);
        }
    }

    /// What the probe that is waited for has shown.
    pub(crate) fn poll_result(&mut self, now_us: u64) -> Option<Shown> {
        if !matches!(self.phase, Phase::Waiting { .. }) {
            return None;
        }
        let result = self.cluster.result()?;
        self.finish(result.rate >= self.cluster.rate * 7 / 10, now_us);
        Some(result)
    }

    fn finish(&mut self, reached: bool, now_us: u64) {
        self.phase = Phase::Idle;
        if reached {
            // Further at once; but where media can try the result, it does so first.
            self.interval_us = INTERVAL_US;
            self.next_us = if self.busy { now_us + TRIED_US } else { now_us };
        } else {
            self.next_us = now_us + self.interval_us;
            self.interval_us = (self.interval_us * 3 / 2).min(MOST_INTERVAL_US);
        }
    }
}

/// Sums over one probe. Steps leave as bursts, so rates count the time from the first step to the last, and the
/// bytes but for those of one of the two.
#[derive(Debug, Clone, Copy, Default)]
struct Cluster {
    id: u8,
    rate: u64,
    sent_bytes: u64,
    first_sent_us: u64,
    step_us: u64,
    step_bytes: u64,
    arrived_bytes: u64,
    /// Of the first step.
    first_bytes: u64,
    first_arrival_us: Option<u64>,
    last_arrival_us: Option<u64>,
}

impl Cluster {
    #[inline]
    fn on_sent(&mut self, bytes: u64, now_us: u64) {
        if self.sent_bytes == 0 {
            (self.first_sent_us, self.step_us) = (now_us, now_us);
        }
        if now_us.saturating_sub(self.step_us) > TOGETHER_US {
            (self.step_us, self.step_bytes) = (now_us, 0);
        }
        self.step_bytes += bytes;
        self.sent_bytes += bytes;
    }

    fn on_arrival(&mut self, bytes: u64, sent_us: u64, arrival_us: u64) {
        self.arrived_bytes += bytes;
        // The first step, or the first that arrived at all.
        let first = sent_us.saturating_sub(self.first_sent_us) <= TOGETHER_US;
        if first || self.first_arrival_us.is_none() {
            self.first_bytes += bytes;
            self.first_arrival_us = self.first_arrival_us.max(Some(arrival_us));
        }
        self.last_arrival_us = self.last_arrival_us.max(Some(arrival_us));
    }

    fn result(&self) -> Option<Shown> {
        if self.arrived_bytes * 100 < self.sent_bytes * ARRIVED_PERCENT {
            return None;
        }
        let sent_span = self.step_us.saturating_sub(self.first_sent_us);
        let span = u64::try_from(difference(self.last_arrival_us?, self.first_arrival_us?)).ok()?;
        if sent_span < LEAST_SPAN_US || span == 0 {
            return None;
        }
        let sent = rate_of(self.sent_bytes.saturating_sub(self.step_bytes), sent_span);
        let arrived = rate_of(self.arrived_bytes.saturating_sub(self.first_bytes), span);
        if arrived > sent.saturating_mul(2) {
            return None;
        }
        // Where the network was the limit, a little is left to it.
        let limited = arrived < sent * 9 / 10;
        let rate = if limited { arrived * 19 / 20 } else { sent.min(arrived) };
        Some(Shown { rate: bounded(rate), limited })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One probe at 800 kbit/s over a link; what it has shown.
    fn probe(link: u64) -> Option<Shown> {
        let mut prober = Prober::new();
        prober.plan(800_000 * 2 / FIRST_FACTOR + 1, 2_000_000, true, false, SECOND_US);
        let mut free = 0;
        let mut arrived = Vec::new();
        for now in (SECOND_US..2 * SECOND_US).step_by(5_000) {
            let mut left = prober.poll(50_000, now).map_or(0, |p| p.bytes);
            while left > 0 {
                let marker = prober.marker();
                prober.on_sent(250, now);
                free = now.max(free) + 250 * 8_000_000 / link;
                arrived.push((marker, now, free));
                left = left.saturating_sub(250);
            }
        }
        assert!(matches!(prober.phase, Phase::Waiting { .. }));
        arrived.iter().for_each(|(id, at, arrival)| prober.on_arrival(*id, 250, *at, *arrival));
        prober.poll_result(2 * SECOND_US)
    }

    #[test]
    fn a_probe_shows_its_rate_or_the_links() {
        let wide = probe(50_000_000).unwrap();
        assert!((720_000..880_000).contains(&wide.rate) && !wide.limited, "{wide:?}");
        let narrow = probe(400_000).unwrap();
        assert!((330_000..410_000).contains(&narrow.rate) && narrow.limited, "{narrow:?}");
    }

    #[test]
    fn probes_that_show_nothing_become_rare() {
        let mut prober = Prober::new();
        let mut begun = Vec::new();
        for now in (0..60 * SECOND_US).step_by(5_000) {
            let before = prober.cluster.id;
            prober.plan(300_000, 1_000_000, true, false, now);
            if prober.cluster.id != before {
                begun.push(now);
            }
            if let Some(p) = prober.poll(50_000, now) {
                prober.on_sent(crate::num::wide(p.bytes), now);
            }
        }
        assert!((10..=16).contains(&begun.len()), "{begun:?}");
    }

    #[test]
    fn none_is_wanted_beyond_what_is_wanted() {
        let mut prober = Prober::new();
        prober.plan(300_000, 300_000, true, false, 0);
        assert_eq!(prober.poll(0, 0), None);
    }
}
