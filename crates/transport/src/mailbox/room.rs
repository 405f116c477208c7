//! How much may wait: in one queue, and in all of them together.

use crate::Limits;
use portunus_api::Value;
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

/// About how many bytes `value` is when written: cheap, since every event is weighed on the control task.
pub(super) fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 16,
        Value::String(s) => s.len() + 2,
        Value::Array(a) => 2 + a.iter().map(|v| weight(v) + 1).sum::<usize>(),
        Value::Object(o) => 2 + o.iter().map(|(k, v)| k.len() + 4 + weight(v)).sum::<usize>(),
    }
}
