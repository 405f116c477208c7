//! Where no transport-wide feedback comes: the receiver's own estimate (REMB) and its reports.
//!
//! A receiver's estimate stays near what it receives. While more is wanted, padding fills up to the estimate, so that
//! the receiver can see more; in bouts, which become rare when they do not help.

use crate::SECOND_US;
use crate::num::{bytes_of, narrow};
use crate::probe::Probe;

/// A REMB holds so long.
const REMB_FOR_US: u64 = 10 * SECOND_US;
const BOUT_US: u64 = 5 * SECOND_US;
const PAUSE_US: u64 = 4 * SECOND_US;
const MOST_PAUSE_US: u64 = 32 * SECOND_US;
/// Padding leaves in steps of this time; no more is saved up.
const STEP_US: u64 = 20_000;
/// A bout that gains less was in vain, percent.
const GAIN_PERCENT: u64 = 110;

#[derive(Debug, Clone, Default)]
pub(crate) struct Blind {
    remb: Option<(u64, u64)>,
    bout: Option<Bout>,
    /// No bout before.
    pause_until_us: u64,
    pause_us: u64,
}

#[derive(Debug, Clone, Copy)]
struct Bout {
    since_us: u64,
    /// The estimate it began with.
    from: u64,
    /// Budget in bytes, refilled at the estimate, taken by all that is sent.
    room: u64,
    filled_us: u64,
}

impl Blind {
    pub(crate) fn on_remb(&mut self, rate: u64, now_us: u64) {
        self.remb = Some((rate, now_us));
    }

    /// What the receiver says it can receive.
    pub(crate) fn remb(&self, now_us: u64) -> Option<u64> {
        self.remb.filter(|(_, at)| now_us.saturating_sub(*at) < REMB_FOR_US).map(|(rate, _)| rate)
    }

    #[inline]
    pub(crate) fn on_sent(&mut self, bytes: u64) {
        if let Some(bout) = &mut self.bout {
            bout.room = bout.room.saturating_sub(bytes);
        }
    }

    pub(crate) fn plan(&mut self, estimate: u64, wanted: u64, calm: bool, now_us: u64) {
        match self.bout {
            None if estimate < wanted && calm && now_us >= self.pause_until_us => {
                self.bout = Some(Bout { since_us: now_us, from: estimate, room: 0, filled_us: now_us });
            }
            Some(bout) => {
                let over = now_us.saturating_sub(bout.since_us) >= BOUT_US;
                if over || !calm || estimate >= wanted {
                    let gained = estimate >= bout.from.saturating_mul(GAIN_PERCENT) / 100;
                    self.pause_us =
                        if gained { PAUSE_US } else { (self.pause_us * 2).clamp(PAUSE_US, MOST_PAUSE_US) };
                    self.pause_until_us = if gained && calm { now_us } else { now_us + self.pause_us };
                    self.bout = None;
                }
            }
            None => {}
        }
    }

    pub(crate) fn poll(&mut self, estimate: u64, wanted: u64, now_us: u64) -> Option<Probe> {
        let bout = self.bout.as_mut()?;
        let rate = estimate.min(wanted);
        let gained = bytes_of(rate, now_us.saturating_sub(bout.filled_us));
        if gained > 0 {
            bout.filled_us = now_us;
            bout.room = (bout.room + gained).min(bytes_of(rate, 2 * STEP_US));
        }
        (bout.room >= bytes_of(rate, STEP_US)).then_some(Probe { cluster: 1, rate, bytes: narrow(bout.room) })
    }

    pub(crate) fn next_us(&self, now_us: u64) -> u64 {
        if self.bout.is_some() { now_us + STEP_US } else { self.pause_until_us }
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.bout.is_some()
    }

    pub(crate) fn cancel(&mut self) {
        self.bout = None;
    }
}
