//! How much a worker takes from its sockets at a time.
//!
//! A datagram of a source with a thousand sinks is a thousand to send: a whole batch of them would be a tenth of a second in
//! which timers, messages and other sockets wait. So a worker keeps in mind what a datagram has cost lately, and takes no more
//! than a turn has time for, but always enough for a frame to stay together.

use crate::socket::RECEIVE_BATCH;
use std::time::{Duration, Instant};

/// What a turn should take at most.
pub(super) const TURN: Duration = Duration::from_millis(5);
/// Datagrams taken in any case: a frame of a 1080p stream.
const FEWEST: usize = 16;
/// Batches that the average remembers.
const MEMORY: u64 = 8;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Intake {
    /// Of each datagram lately.
    nanos: u64,
    /// Since when a socket has not been empty, and which.
    busy: Option<(usize, Instant)>,
    /// How long the oldest datagram of this turn had waited.
    waited: Duration,
}

impl Intake {
    /// Datagrams that a turn has time for.
    pub(super) fn most(&self) -> usize {
        let budget = u64::try_from(TURN.as_nanos()).unwrap_or(u64::MAX);
        let most = budget.checked_div(self.nanos).and_then(|n| usize::try_from(n).ok());
        most.unwrap_or(RECEIVE_BATCH).clamp(FEWEST, RECEIVE_BATCH)
    }

    /// So many datagrams of a socket took so long, of as many as there might have been.
    pub(super) fn took(
        &mut self,
        socket: usize,
        (datagrams, most): (usize, usize),
        spent: Duration,
        now: Instant,
    ) {
        let count = u64::try_from(datagrams.max(1)).unwrap_or(u64::MAX);
        let each = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX) / count;
        self.nanos = self.nanos.saturating_sub(self.nanos / MEMORY).saturating_add(each / MEMORY);
        match self.busy {
            // That another one is empty says nothing of this one.
            Some((busy, _)) if busy == socket && datagrams < most => self.busy = None,
            None if datagrams >= most => self.busy = Some((socket, now)),
            _ => {}
        }
    }

    /// The oldest datagram of a batch had waited so long.
    pub(super) fn waited(&mut self, waited: Duration) {
        self.waited = self.waited.max(waited);
    }

    /// How far the worker is behind, told once a turn. That datagrams wait does not say it, for it may have been the system that
    /// woke it late; nor does it that there are always some, if they do not wait. Both together do.
    pub(super) fn take_behind(&mut self, now: Instant) -> Duration {
        let busy = self.busy.map_or(Duration::ZERO, |(_, since)| now.saturating_duration_since(since));
        busy.min(std::mem::take(&mut self.waited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dear_datagrams_are_taken_a_few_at_a_time() {
        let now = Instant::now();
        let mut intake = Intake::default();
        assert_eq!(intake.most(), RECEIVE_BATCH);
        for _ in 0..100 {
            intake.took(0, (64, 64), Duration::from_micros(64), now);
        }
        assert_eq!(intake.most(), RECEIVE_BATCH);
        for _ in 0..100 {
            intake.took(0, (10, 64), Duration::from_millis(2), now);
        }
        assert!((20..=26).contains(&intake.most()), "{}", intake.most());
        for _ in 0..100 {
            intake.took(0, (10, 64), Duration::from_millis(100), now);
        }
        assert_eq!(intake.most(), FEWEST);
    }

    #[test]
    fn a_worker_is_behind_when_datagrams_wait_and_its_sockets_are_never_empty() {
        let now = Instant::now();
        let (wait, later) = (Duration::from_millis(70), now + Duration::from_millis(70));
        let mut intake = Intake::default();
        // Woken late.
        intake.waited(wait);
        intake.took(0, (3, 64), Duration::ZERO, now);
        assert_eq!(intake.take_behind(later), Duration::ZERO);
        // Busy, but in time.
        intake.took(0, (64, 64), Duration::ZERO, now);
        intake.took(0, (16, 16), Duration::ZERO, later);
        assert_eq!(intake.take_behind(later), Duration::ZERO);
        // Both.
        intake.waited(wait / 2);
        intake.waited(wait);
        intake.waited(Duration::ZERO);
        intake.took(0, (16, 16), Duration::ZERO, later);
        // Of another socket.
        intake.took(1, (1, 16), Duration::ZERO, later);
        assert_eq!(intake.take_behind(later), wait);
        assert_eq!(intake.take_behind(later), Duration::ZERO, "of another turn");
    }
}
