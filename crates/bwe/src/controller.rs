//! The estimate of one receiver's network: what was sent and what was heard of it go in, a bitrate comes out.

use crate::arrival::{ArrivalClock, Grouped, Groups};
use crate::blind::Blind;
use crate::loss::LossControl;
use crate::num::wide;
use crate::probe::{Probe, Prober};
use crate::rate::RateControl;
use crate::sent::{HISTORY, Outcome, SentHistory, Settled};
use crate::trend::{Trend, Usage};
use crate::window::{RateWindow, WINDOW_US};
use crate::{MAX_BITRATE, SAFE_BITRATE, SECOND_US, START_BITRATE, bounded};

/// Without transport-wide feedback for so long the estimate falls.
pub const FEEDBACK_TIMEOUT_US: u64 = 2 * SECOND_US;
/// Without receiver reports for so long, where they are all there is, the estimate falls.
pub const REPORT_TIMEOUT_US: u64 = 8 * SECOND_US;
/// Transport-wide feedback that was negotiated and does not come, while reports do, is given up.
const GIVE_UP_US: u64 = 5 * SECOND_US;
/// While nothing is heard, the estimate is halved once in this time.
const FALL_EVERY_US: u64 = SECOND_US;
/// After over-use nothing is probed for so long.
const CALM_US: u64 = 2 * SECOND_US;
/// Without probes: see [`Controller::guess`].
const GUESS_EVERY_US: u64 = 5 * SECOND_US;
const MOST_GUESS_EVERY_US: u64 = 40 * SECOND_US;
/// Over-use with so long a queue counts at once,
const LONG_QUEUE_MS: f64 = 100.0;
/// with a shorter one when it stays for some time.
const QUEUE_MS: f64 = 25.0;
const CONFIRM_US: u64 = 300_000;
/// When nothing else is due.
const IDLE_US: u64 = SECOND_US;
/// When something is due that cannot begin.
const RETRY_US: u64 = 50_000;
/// Before anything is known of the round trip.
const FIRST_RTT_US: u64 = 100_000;
const MOST_RTT_US: u64 = 2 * SECOND_US;

/// How a controller begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The first estimate, bits per second.
    pub start: u64,
    /// Transport-wide feedback was negotiated.
    pub transport_feedback: bool,
    /// Padding can be sent.
    pub probing: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { start: START_BITRATE, transport_feedback: true, probing: true }
    }
}

/// Estimates what the network towards one receiver carries.
#[derive(Debug)]
pub struct Controller {
    settings: Settings,
    sending: Sending,
    clock: ArrivalClock,
    groups: Groups,
    trend: Trend,
    acked: RateWindow,
    sent: RateWindow,
    rate: RateControl,
    loss: LossControl,
    prober: Prober,
    blind: Blind,
    wanted: u64,
    rtt_us: u64,
    feedback_us: Option<u64>,
    report_us: Option<u64>,
    first_sent_us: Option<u64>,
    over_us: Option<u64>,
    /// The first sign of over-use that goes on.
    suspected_us: Option<u64>,
    fallen_us: u64,
    /// When the last guess was made, and how long the next one waits.
    guessed: (u64, u64),
}

/// All that a packet touches when it leaves, in one cache line: that is most of what recording it costs.
#[derive(Debug)]
#[repr(align(64))]
struct Sending {
    history: SentHistory,
    /// The first packet that nothing was heard of yet.
    waiting_us: Option<u64>,
    /// The probe that packets belong to now; 0 for none.
    marker: u8,
    /// Transport-wide feedback is what the estimate is made of.
    transport: bool,
}

impl Controller {
    /// Before the first packet. All memory is taken here.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let start = bounded(settings.start);
        Self {
            settings,
            sending: Sending {
                history: SentHistory::new(),
                waiting_us: None,
                marker: 0,
                transport: settings.transport_feedback,
            },
            clock: ArrivalClock::default(),
            groups: Groups::default(),
            trend: Trend::default(),
            acked: RateWindow::default(),
            sent: RateWindow::default(),
            rate: RateControl::new(start),
            loss: LossControl::new(start),
            prober: Prober::new(),
            blind: Blind::default(),
            wanted: 0,
            rtt_us: FIRST_RTT_US,
            feedback_us: None,
            report_us: None,
            first_sent_us: None,
            over_us: None,
            suspected_us: None,
            fallen_us: 0,
            guessed: (0, GUESS_EVERY_US),
        }
    }

    // === in ===

    /// Another negotiation: whether transport-wide feedback comes, and whether padding can be sent.
    pub fn set_settings(&mut self, settings: Settings) {
        if self.settings.transport_feedback != settings.transport_feedback {
            self.sending.transport = settings.transport_feedback;
        }
        self.settings = settings;
    }

    /// What would be sent if the network carried it, bits per second: the reason to probe for more than the
    /// estimate. 0 for no reason.
    pub fn set_wanted(&mut self, wanted: u64) {
        self.wanted = wanted.min(MAX_BITRATE);
    }

    /// A packet left, padding or not, with this transport-wide number and size on the wire.
    #[inline]
    pub fn on_sent(&mut self, number: u16, bytes: usize, now_us: u64) {
        let sending = &mut self.sending;
        sending.history.record(number, bytes, sending.marker, now_us);
        if sending.waiting_us.is_none() || sending.marker != 0 || !sending.transport {
            self.on_special(wide(bytes), now_us);
        }
    }

    /// The first packet since feedback, one of a probe, or one where there is no transport-wide feedback.
    fn on_special(&mut self, bytes: u64, now_us: u64) {
        self.sending.waiting_us.get_or_insert(now_us);
        self.first_sent_us.get_or_insert(now_us);
        if self.sending.marker != 0 {
            self.prober.on_sent(bytes, now_us);
        }
        if !self.sending.transport {
            self.sent.add(now_us, bytes);
            self.blind.on_sent(bytes);
        }
    }

    /// A packet left that bears no transport-wide number: no feedback will speak of it.
    #[inline]
    pub fn on_unnumbered(&mut self, bytes: usize, now_us: u64) {
        if !self.sending.transport {
            self.on_special(wide(bytes), now_us);
        }
    }

    /// Transport-wide feedback: numbers, and when they arrived by the receiver's clock (microseconds modulo 2^24
    /// times 64 ms), if they did. Results beyond [`HISTORY`] of one call do not count.
    pub fn on_feedback(&mut self, results: impl IntoIterator<Item = (u16, Option<i64>)>, now_us: u64) {
        let (mut known, mut over) = (false, false);
        let mut newest = None;
        for (number, arrival) in results.into_iter().take(HISTORY) {
            let Some(settled) = self.sending.history.settle(number, arrival.is_some(), now_us) else {
                continue;
            };
            known = true;
            // A probe may lose packets: that is its result, and no congestion that media caused.
            if settled.cluster == 0 {
                match settled.outcome {
                    Outcome::Lost => self.loss.on_lost(),
                    Outcome::Received => self.loss.on_received(),
                    Outcome::Late => self.loss.on_late(),
                }
            }
            if let Some(arrival) = arrival {
                newest = newest.max(Some(settled.at_us));
                over |= self.on_arrival(&settled, arrival) == Usage::Over;
            }
        }
        if !known {
            return;
        }
        self.feedback_us = Some(now_us);
        self.sending.waiting_us = None;
        self.sending.transport = true;
        if let Some(sent) = newest {
            let sample = now_us.saturating_sub(sent).min(MOST_RTT_US);
            self.rtt_us = (self.rtt_us * 7 + sample) / 8;
        }
        self.judge(over, now_us);
        self.sending.marker = self.prober.marker();
    }

    fn on_arrival(&mut self, settled: &Settled, arrival: i64) -> Usage {
        let at_us = self.clock.unwrap(arrival);
        self.acked.add(at_us, settled.bytes);
        if settled.cluster != 0 {
            self.prober.on_arrival(settled.cluster, settled.bytes, settled.at_us, at_us);
            return Usage::Normal;
        }
        match self.groups.on_packet(settled.at_us, at_us) {
            Grouped::Nothing => Usage::Normal,
            Grouped::Variation(variation) => self.trend.on_variation(variation),
            Grouped::Jump => {
                self.trend = Trend::default();
                self.acked = RateWindow::default();
                Usage::Normal
            }
        }
    }

    /// What a batch of feedback changes.
    fn judge(&mut self, over: bool, now_us: u64) {
        if let Some(shown) = self.prober.poll_result(now_us) {
            self.rate.raise(shown.rate, now_us);
            self.loss.raise(shown.rate);
            if shown.limited {
                self.rate.correct(shown.rate, self.acked.rate());
            }
        }
        let usage = match self.trend.usage() {
            Usage::Normal if over => Usage::Over,
            usage => usage,
        };
        let blamed = self.prober.is_blamed(now_us);
        // What a probe brought through is no reason to grow: its result is.
        let probed = blamed || self.prober.is_blamed(now_us.saturating_sub(WINDOW_US));
        let confirmed = self.is_confirmed(usage, now_us) && !blamed;
        if (usage == Usage::Over && !confirmed) || (usage == Usage::Normal && probed) {
            self.rate.hold(now_us);
        } else {
            self.rate.update(usage, self.acked.rate(), self.rtt_us, now_us);
            if usage == Usage::Over {
                self.over_us = Some(now_us);
                self.prober.cancel(now_us);
            }
        }
        self.loss.update(self.acked.rate(), self.rtt_us, now_us);
        // Losses alone do not lead far away from what the delay says.
        self.loss.lower(self.rate.rate() * 5 / 4);
    }

    /// A keyframe makes a queue that empties again, and over-use takes the estimate below what is sent, which costs a
    /// layer: so it counts when the queue is long, or does not go away.
    fn is_confirmed(&mut self, usage: Usage, now_us: u64) -> bool {
        if usage != Usage::Over {
            self.suspected_us = None;
            return false;
        }
        let since = now_us.saturating_sub(*self.suspected_us.get_or_insert(now_us));
        let queue = self.trend.queue_ms();
        queue >= LONG_QUEUE_MS || (queue >= QUEUE_MS && since >= CONFIRM_US)
    }

    /// A report block about one of our video streams: the fraction lost of 256, and the round trip if it is known.
    pub fn on_receiver_report(&mut self, fraction_lost: u8, rtt_us: Option<u64>, now_us: u64) {
        self.report_us = Some(now_us);
        if let Some(rtt) = rtt_us {
            self.rtt_us = rtt.min(MOST_RTT_US);
        }
        if self.sending.transport {
            return;
        }
        self.sending.waiting_us = None;
        let before = self.loss.rate();
        let sent = self.sent.rate_at(now_us);
        let arrived = sent.map(|sent| sent.saturating_mul(256 - u64::from(fraction_lost)) / 256);
        self.loss.on_report(fraction_lost, arrived, self.rtt_us, now_us);
        // Nothing but what was sent has shown that it arrives.
        let limit = sent.unwrap_or(0).saturating_mul(3) / 2 + 10_000;
        self.loss.lower(limit.max(before));
        self.rate.lower(self.loss.rate());
    }

    /// The receiver's own estimate (REMB), bits per second.
    pub fn on_remb(&mut self, rate: u64, now_us: u64) {
        self.report_us = Some(now_us);
        self.blind.on_remb(rate, now_us);
        if !self.sending.transport {
            self.sending.waiting_us = None;
            if self.loss.is_low() && !self.loss.is_warned(now_us) {
                let sent = self.sent.rate_at(now_us).unwrap_or(0);
                self.loss.raise(rate.min(sent.saturating_mul(3) / 2));
            }
        }
    }

    /// Time goes on: call it when [`next_us`](Self::next_us) says so, or oftener.
    pub fn tick(&mut self, now_us: u64) {
        self.check_silence(now_us);
        if self.first_sent_us.is_none() {
            return;
        }
        let calm = self.is_calm(now_us);
        let estimate = self.estimate(now_us);
        if !self.settings.probing {
            return self.guess(estimate, calm, now_us);
        }
        if !self.sending.transport {
            self.prober.cancel(now_us);
            self.blind.plan(estimate, self.wanted, calm, now_us);
        } else if self.feedback_us.is_some() {
            self.blind.cancel();
            let busy = self.acked.rate().is_some_and(|acked| acked * 4 >= estimate * 3);
            self.prober.plan(estimate, self.wanted, calm, busy, now_us);
        }
        self.sending.marker = self.prober.marker();
    }

    /// Without padding only media can show that more fits: after some calm the estimate doubles, and what is sent then
    /// confirms it or brings it down.
    fn guess(&mut self, estimate: u64, calm: bool, now_us: u64) {
        let (at, wait) = self.guessed;
        if estimate >= self.wanted || !self.is_informed() {
            self.guessed = (now_us, GUESS_EVERY_US);
        } else if calm && now_us.saturating_sub(at) >= wait {
            let failed = self.over_us.is_some_and(|over| over > at);
            let longer = if failed { (wait * 2).min(MOST_GUESS_EVERY_US) } else { GUESS_EVERY_US };
            self.guessed = (now_us, longer);
            let rate = (estimate * 2).min(self.wanted);
            self.rate.raise(rate, now_us);
            self.loss.raise(rate);
        }
    }

    fn is_calm(&self, now_us: u64) -> bool {
        let long_ago = |at: Option<u64>| at.is_none_or(|at| now_us.saturating_sub(at) >= CALM_US);
        let heard =
            self.sending.waiting_us.is_none_or(|at| now_us.saturating_sub(at) < self.timeout_us() / 2);
        heard && self.loss.is_low() && long_ago(self.over_us) && long_ago(self.rate.decreased_us())
    }

    const fn timeout_us(&self) -> u64 {
        if self.sending.transport { FEEDBACK_TIMEOUT_US } else { REPORT_TIMEOUT_US }
    }

    fn check_silence(&mut self, now_us: u64) {
        let Some(waiting) = self.sending.waiting_us else { return };
        let silence = now_us.saturating_sub(waiting);
        if self.sending.transport && silence >= GIVE_UP_US && self.report_us.is_some_and(|at| at > waiting) {
            self.sending.transport = false;
            self.sending.waiting_us = Some(now_us);
            return;
        }
        let due = now_us.saturating_sub(self.fallen_us) >= FALL_EVERY_US;
        let estimate = self.estimate(now_us);
        if silence >= self.timeout_us() && due && estimate > SAFE_BITRATE {
            self.fallen_us = now_us;
            let lower = (estimate / 2).max(SAFE_BITRATE);
            self.rate.lower(lower);
            self.loss.lower(lower);
        }
    }

    // === out ===

    /// What the network is estimated to carry, bits per second.
    #[must_use]
    pub fn estimate(&self, now_us: u64) -> u64 {
        let own =
            if self.sending.transport { self.rate.rate().min(self.loss.rate()) } else { self.loss.rate() };
        bounded(self.blind.remb(now_us).map_or(own, |remb| own.min(remb)))
    }

    /// Padding that is due now: send at least so much, in packets of any size, each told to
    /// [`on_sent`](Self::on_sent).
    pub fn poll_probe(&mut self, now_us: u64) -> Option<Probe> {
        if !self.settings.probing {
            return None;
        }
        if self.sending.transport {
            let probe = self.prober.poll(self.rtt_us, now_us);
            self.sending.marker = self.prober.marker();
            probe
        } else {
            let estimate = self.estimate(now_us);
            self.blind.poll(estimate, self.wanted, now_us)
        }
    }

    /// When [`tick`](Self::tick) and [`poll_probe`](Self::poll_probe) are due again.
    #[must_use]
    pub fn next_us(&self, now_us: u64) -> u64 {
        let idle = now_us + IDLE_US;
        let busy = if self.sending.transport { self.prober.is_busy() } else { self.blind.is_busy() };
        if !busy && (!self.settings.probing || self.estimate(now_us) >= self.wanted) {
            return idle;
        }
        let at =
            if self.sending.transport { self.prober.next_us(now_us) } else { self.blind.next_us(now_us) };
        // What is due and cannot begin yet is looked at again soon.
        if at <= now_us { now_us + RETRY_US } else { at.min(idle) }
    }

    /// Whether anything was heard of the receiver: before that the estimate is a guess.
    #[must_use]
    pub const fn is_informed(&self) -> bool {
        self.feedback_us.is_some() || self.report_us.is_some()
    }

    /// The bitrate the receiver acknowledged lately, bits per second.
    #[must_use]
    pub fn acknowledged(&self) -> Option<u64> {
        self.acked.rate()
    }

    /// The round trip, microseconds.
    #[must_use]
    pub const fn rtt_us(&self) -> u64 {
        self.rtt_us
    }
}
