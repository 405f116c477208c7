//! What was sent, by transport-wide number, until feedback about it comes.
//!
//! Invariants: [`HISTORY`] entries of eight bytes; an older packet is forgotten; a packet is settled as received at
//! most once, and as lost at most once (a late arrival takes the loss back).

use crate::num::{low16, low32, narrow, wide};

/// Packets remembered: more than a second at 20 Mbit/s.
pub const HISTORY: usize = 2048;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Free,
    Pending,
    Lost,
    Received,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// Low half of the time: an entry is younger than its wrap of 71 minutes, or is not believed.
    at: u32,
    bytes: u16,
    cluster: u8,
    state: State,
}

/// What feedback settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) at_us: u64,
    pub(crate) bytes: u64,
    /// The probe it belonged to; 0 for none.
    pub(crate) cluster: u8,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Lost,
    Received,
    /// Reported as lost before.
    Late,
}

#[derive(Debug)]
pub(crate) struct SentHistory {
    entries: Box<[Entry]>,
    highest: Option<u64>,
}

impl SentHistory {
    pub(crate) fn new() -> Self {
        Self { entries: vec![Entry::default(); HISTORY].into_boxed_slice(), highest: None }
    }

    #[inline]
    pub(crate) fn record(&mut self, number: u16, bytes: usize, cluster: u8, now_us: u64) {
        let extended = match self.highest {
            None => (1 << 16) + u64::from(number),
            Some(highest) => {
                let ahead = u64::from(number.wrapping_sub(low16(highest)));
                if ahead > 1 {
                    self.skip(highest, ahead);
                }
                highest + ahead
            }
        };
        self.highest = Some(extended);
        if let Some(entry) = self.entries.get_mut(place(extended)) {
            let bytes = u16::try_from(bytes).unwrap_or(u16::MAX);
            *entry = Entry { at: low32(now_us), bytes, cluster, state: State::Pending };
        }
    }

    /// Numbers that were never sent may not be taken for those of the last round.
    fn skip(&mut self, highest: u64, ahead: u64) {
        for number in (highest + 1..highest + ahead).take(HISTORY) {
            if let Some(entry) = self.entries.get_mut(place(number)) {
                entry.state = State::Free;
            }
        }
    }

    /// What feedback says of a number; `None` if nothing new, or nothing of ours.
    #[inline]
    pub(crate) fn settle(&mut self, number: u16, arrived: bool, now_us: u64) -> Option<Settled> {
        let highest = self.highest?;
        let behind = u64::from(low16(highest).wrapping_sub(number));
        if behind >= wide(HISTORY) {
            return None;
        }
        let entry = self.entries.get_mut(place(highest.checked_sub(behind)?))?;
        let (state, outcome) = match (entry.state, arrived) {
            (State::Pending, false) => (State::Lost, Outcome::Lost),
            (State::Pending, true) => (State::Received, Outcome::Received),
            (State::Lost, true) => (State::Received, Outcome::Late),
            _ => return None,
        };
        entry.state = state;
        let age = u64::from(low32(now_us).wrapping_sub(entry.at));
        let at_us = now_us.saturating_sub(age);
        Some(Settled { at_us, bytes: u64::from(entry.bytes), cluster: entry.cluster, outcome })
    }
}

fn place(number: u64) -> usize {
    narrow(number % wide(HISTORY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_settled_once_and_a_late_one_taken_back() {
        let mut history = SentHistory::new();
        history.record(65_535, 1000, 0, 5);
        history.record(0, 1100, 3, 6);
        let lost = history.settle(65_535, false, 100).unwrap();
        assert_eq!((lost.at_us, lost.bytes, lost.outcome), (5, 1000, Outcome::Lost));
        assert_eq!(history.settle(65_535, false, 100), None);
        assert_eq!(history.settle(65_535, true, 100).unwrap().outcome, Outcome::Late);
        let got = history.settle(0, true, 100).unwrap();
        assert_eq!((got.cluster, got.outcome), (3, Outcome::Received));
        assert_eq!(history.settle(0, true, 100), None);
        assert_eq!(history.settle(1, true, 100), None);
    }

    #[test]
    fn skipped_and_forgotten_numbers_are_nobodys() {
        let mut history = SentHistory::new();
        for n in 0..2048 {
            history.record(n, 1000, 0, 5);
        }
        history.record(3000, 1000, 0, 6);
        assert_eq!(history.settle(2500, true, 10), None);
        assert_eq!(history.settle(100, true, 10), None);
        assert!(history.settle(1500, true, 10).is_some());
        assert!(history.settle(3000, true, 10).is_some());
    }
}
