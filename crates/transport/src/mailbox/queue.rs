//! A bounded queue of events.

use super::kept::Kept;
use super::room::Room;
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Queue {
    room: Arc<Room>,
    events: VecDeque<Kept>,
    bytes: usize,
}

impl Queue {
    pub(super) fn new(room: Arc<Room>) -> Self {
        Self { room, events: VecDeque::new(), bytes: 0 }
    }

    /// Adds at the end; drops the oldest until it fits and says how many went. The newest always stays.
    pub(super) fn push(&mut self, event: Kept) -> u64 {
        let weight = event.weight();
        let mut dropped = 0;
        while !self.room.fits(self.events.len(), self.bytes, weight) {
            self.pop();
            dropped += 1;
        }
        let event = event.behind(self.events.len(), self.bytes);
        self.hold(event.weight());
        self.events.push_back(event);
        dropped
    }

    /// Adds at the front unless the queue is full: what would be dropped first anyway is this very event.
    pub(super) fn put_back(&mut self, event: Kept) -> bool {
        let weight = event.weight();
        let fits = self.room.fits(self.events.len(), self.bytes, weight);
        if fits {
            let event = event.behind(self.events.len(), self.bytes);
            self.hold(event.weight());
            self.events.push_front(event);
        }
        fits
    }

    pub(super) fn pop(&mut self) -> Option<Kept> {
        let event = self.events.pop_front()?;
        self.bytes -= event.weight();
        self.room.give_back(event.weight());
        Some(event)
    }

    /// At most `max` events and about `bytes` bytes, but one at least if there is one.
    pub(super) fn take(&mut self, max: usize, bytes: usize) -> Vec<Kept> {
        let mut taken = Vec::new();
        let mut left = bytes;
        while taken.len() < max {
            let Some(weight) = self.events.front().map(Kept::weight) else { break };
            if weight > left && !taken.is_empty() {
                break;
            }
            left = left.saturating_sub(weight);
            taken.extend(self.pop());
        }
        taken
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    fn hold(&mut self, weight: usize) {
        self.bytes += weight;
        self.room.take(weight);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.room.give_back(self.bytes);
    }
}
