//! When to ask a source for a keyframe: at once, unless a request is in flight; on average no more often than browsers listen,
//! so that a hundred joining subscribers cost the publisher one keyframe (decision 013).

use std::time::{Duration, Instant};

/// A request counts as in flight for so long at least.
const IN_FLIGHT: Duration = Duration::from_millis(100);
/// Requests allowed at once.
const BURST: u32 = 2;
/// One more is allowed after this long: libwebrtc sends no two keyframes that were asked for within it.
const REFILL: Duration = Duration::from_millis(300);

/// The keyframe requests of one source.
#[derive(Debug)]
pub(crate) struct KeyframeRequests {
    wanted: bool,
    in_flight: Option<Instant>,
    tokens: u32,
    refilled: Option<Instant>,
    pub(crate) sent: u64,
}

impl KeyframeRequests {
    pub(crate) const fn new() -> Self {
        Self { wanted: false, in_flight: None, tokens: BURST, refilled: None, sent: 0 }
    }

    /// Somebody needs a keyframe.
    pub(crate) const fn want(&mut self) {
        self.wanted = true;
    }

    /// A keyframe came: nobody waits any more.
    pub(crate) const fn on_keyframe(&mut self) {
        self.wanted = false;
        self.in_flight = None;
    }

    /// Whether to send a request now. It is repeated until a keyframe comes.
    pub(crate) fn poll(&mut self, now: Instant, round_trip: Duration) -> bool {
        if !self.wanted || self.next(now, round_trip).is_some_and(|at| now < at) {
            return false;
        }
        self.refill(now);
        if self.tokens == 0 {
            return false;
        }
        self.tokens -= 1;
        self.in_flight = Some(now);
        self.sent += 1;
        true
    }

    /// When [`Self::poll`] may say yes.
    pub(crate) fn next(&self, now: Instant, round_trip: Duration) -> Option<Instant> {
        if !self.wanted {
            return None;
        }
        let answered = self.in_flight.map_or(now, |sent| sent + IN_FLIGHT.max(round_trip * 2));
        let allowed = match self.refilled {
            Some(at) if self.tokens == 0 => at + REFILL,
            _ => now,
        };
        Some(answered.max(allowed))
    }

    fn refill(&mut self, now: Instant) {
        let since = self.refilled.get_or_insert(now);
        while self.tokens < BURST && now.saturating_duration_since(*since) >= REFILL {
            self.tokens += 1;
            *since += REFILL;
        }
        if self.tokens == BURST {
            *since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_request_leaves_at_once_and_the_next_waits_for_the_answer() {
        let (t, rtt) = (Instant::now(), MS * 80);
        let mut k = KeyframeRequests::new();
        assert!(!k.poll(t, rtt));
        k.want();
        assert!(k.poll(t, rtt));
        k.want();
        assert!(!k.poll(t + MS * 159, rtt));
        assert!(k.poll(t + MS * 160, rtt));
        k.on_keyframe();
        assert!(!k.poll(t + MS * 1000, rtt));
    }

    #[test]
    fn a_storm_of_wishes_costs_a_keyframe_every_300_ms() {
        let t = Instant::now();
        let mut k = KeyframeRequests::new();
        let mut sent = 0;
        for ms in 0..10_000 {
            k.want();
            if k.poll(t + MS * ms, Duration::ZERO) {
                sent += 1;
                k.on_keyframe();
            }
        }
        assert!((33..=36).contains(&sent), "{sent}");
    }
}
