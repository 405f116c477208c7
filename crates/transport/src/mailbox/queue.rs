//! A bounded queue of events.

use crate::Limits;
use portunus_api::Value;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct Queue {
    events: VecDeque<(usize, Value)>,
    bytes: usize,
}

impl Queue {
    /// Adds at the end; drops the oldest until it fits and says how many went. The newest always stays.
    pub(super) fn push(&mut self, event: Value, limits: &Limits) -> u64 {
        let weight = weight(&event);
        let mut dropped = 0;
        while !self.events.is_empty() && !self.has_room(weight, limits) {
            self.pop();
            dropped += 1;
        }
        self.bytes += weight;
        self.events.push_back((weight, event));
        dropped
    }

    /// Adds at the front unless the queue is full: what would be dropped first anyway is this very event.
    pub(super) fn put_back(&mut self, event: Value, limits: &Limits) -> bool {
        let weight = weight(&event);
        let fits = self.events.is_empty() || self.has_room(weight, limits);
        if fits {
            self.bytes += weight;
            self.events.push_front((weight, event));
        }
        fits
    }

    pub(super) fn pop(&mut self) -> Option<Value> {
        let (weight, event) = self.events.pop_front()?;
        self.bytes -= weight;
        Some(event)
    }

    pub(super) fn take(&mut self, max: usize) -> Vec<Value> {
        std::iter::from_fn(|| self.pop()).take(max).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    fn has_room(&self, weight: usize, limits: &Limits) -> bool {
        self.events.len() < limits.queued_events && self.bytes.saturating_add(weight) <= limits.queued_bytes
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
