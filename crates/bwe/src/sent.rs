//! What was sent, by transport-wide number, until feedback about it comes.
//!
//! Invariants: entries of eight bytes, [`HISTORY`] at most and no more than packets wait for feedback; an older packet is
//! forgotten; a packet is settled as received at most once, and as lost at most once (a late arrival takes the loss back).

use crate::num::{low16, low32, narrow, wide};

/// Packets remembered: more than a second at 20 Mbit/s.
pub const HISTORY: usize = 2048;
/// Packets remembered at first: more than a second of a call. Most subscribers never need more, and there are many of them.
const FIRST: usize = 256;
/// A packet that is older makes no more room for itself: its feedback is long overdue.
const WAITS_US: u32 = 2_000_000;

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
    entries: Vec<Entry>,
    highest: Option<u64>,
}

impl SentHistory {
    pub(crate) fn new() -> Self {
        Self { entries: vec![Entry::default(); FIRST], highest: None }
    }

    #[inline]
    pub(crate) fn record(&mut self, number: u16, bytes: usize, cluster: u8, now_us: u64) {
        let extended = match self.highest {
            None => (1 << 16) + u64::from(number),
            Some(highest) => {
                let ahead = u64::from(number.wrapping_sub(low16(highest)));
                while self.entries.len() < HISTORY && self.is_in_the_way(highest + ahead, now_us) {
                    self.grow(highest);
                }
                if ahead > 1 {
                    self.skip(highest, ahead);
                }
                highest + ahead
            }
        };
        self.highest = Some(extended);
        let place = self.place(extended);
        if let Some(entry) = self.entries.get_mut(place) {
            let bytes = u16::try_from(bytes).unwrap_or(u16::MAX);
            *entry = Entry { at: low32(now_us), bytes, cluster, state: State::Pending };
        }
    }

    /// Whether a packet that still waits for feedback has the place of this one.
    fn is_in_the_way(&self, number: u64, now_us: u64) -> bool {
        let there = self.entries.get(self.place(number));
        there.is_some_and(|e| {
            matches!(e.state, State::Pending | State::Lost) && low32(now_us).wrapping_sub(e.at) < WAITS_US
        })
    }

    /// Twice the room; what is known goes to its new place.
    #[cold]
    fn grow(&mut self, highest: u64) {
        let larger = vec![Entry::default(); self.entries.len() * 2];
        let known = std::mem::replace(&mut self.entries, larger);
        let oldest = (highest + 1).saturating_sub(wide(known.len()));
        for number in oldest..=highest {
            let (from, to) = (place(number, known.len()), self.place(number));
            if let (Some(from), Some(to)) = (known.get(from), self.entries.get_mut(to)) {
                *to = *from;
            }
        }
    }

    fn place(&self, number: u64) -> usize {
        place(number, self.entries.len())
    }

    /// Numbers that were never sent may not be taken for those of the last round.
    fn skip(&mut self, highest: u64, ahead: u64) {
        for number in (highest + 1..highest + ahead).take(self.entries.len()) {
            let place = self.place(number);
            if let Some(entry) = self.entries.get_mut(place) {
                entry.state = State::Free;
            }
        }
    }

    /// What feedback says of a number; `None` if nothing new, or nothing of ours.
    #[inline]
    pub(crate) fn settle(&mut self, number: u16, arrived: bool, now_us: u64) -> Option<Settled> {
        let highest = self.highest?;
        let behind = u64::from(low16(highest).wrapping_sub(number));
        if behind >= wide(self.entries.len()) {
            return None;
        }
        let place = self.place(highest.checked_sub(behind)?);
        let entry = self.entries.get_mut(place)?;
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

fn place(number: u64, places: usize) -> usize {
    narrow(number % wide(places.max(1)))
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
    fn there_is_room_for_what_waits_and_no_more() {
        // Feedback ten packets later: nothing is ever in the way.
        let mut history = SentHistory::new();
        for n in 0..5000_u16 {
            history.record(n, 1000, 0, u64::from(n) * 1000);
            if n >= 10 {
                assert_eq!(history.settle(n - 10, true, 0).unwrap().outcome, Outcome::Received);
            }
        }
        assert_eq!(history.entries.len(), FIRST);
        // Feedback a second later, at 1,000 packets a second.
        let mut history = SentHistory::new();
        for n in 0..5000_u16 {
            history.record(n, 1000, 0, u64::from(n) * 1000);
            if n >= 1000 {
                let settled = history.settle(n - 1000, true, u64::from(n) * 1000).unwrap();
                assert_eq!(settled.at_us, u64::from(n - 1000) * 1000);
            }
        }
        assert_eq!(history.entries.len(), 1024);
        // No feedback at all, for hours.
        let mut history = SentHistory::new();
        for n in 0..100_000_u64 {
            history.record(low16(n), 1000, 0, n * 100_000);
        }
        assert_eq!(history.entries.len(), FIRST);
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
