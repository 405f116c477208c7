//! How much may wait: in one queue, and in all of them together.

use crate::Limits;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a queue may hold when all together hold too much.
const LITTLE: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Room {
    items: usize,
    bytes: usize,
    total: usize,
    used: AtomicUsize,
}

impl Room {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            items: limits.queued_events,
            bytes: limits.queued_bytes,
            total: limits.queued_bytes_total,
            used: AtomicUsize::new(0),
        }
    }

    /// Whether a queue with `items` of `bytes` has room for `weight` more. An empty queue always has.
    pub(super) fn fits(&self, items: usize, bytes: usize, weight: usize) -> bool {
        let used = self.used.load(Ordering::Relaxed);
        let most = if used.saturating_add(weight) > self.total { LITTLE.min(self.bytes) } else { self.bytes };
        items == 0 || (items < self.items && bytes.saturating_add(weight) <= most)
    }

    pub(super) fn take(&self, weight: usize) {
        self.used.fetch_add(weight, Ordering::Relaxed);
    }

    pub(super) fn give_back(&self, weight: usize) {
        self.used.fetch_sub(weight, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}
