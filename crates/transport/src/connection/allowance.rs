//! What a connection may take: time, and memory for what it has sent but not been answered for.
//!
//! A slow or endless request holds what has been read of it. Each connection has a little for free; beyond that all
//! share one [`Limits::unanswered_bytes`], so thousands of half-sent megabytes cannot add up.

use crate::{Limits, Times};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of a request that count for nothing.
const FREE: usize = 16 << 10;

#[derive(Debug)]
pub(crate) struct Allowance {
    pub(super) times: Arc<Times>,
    /// The most one connection may hold, framing included.
    most: usize,
    shared: usize,
    used: AtomicUsize,
}

impl Allowance {
    pub(crate) fn new(times: Arc<Times>, limits: &Limits) -> Self {
        // Framing may double a request, but not more: nobody needs one-byte chunks or fragments.
        let most = limits.body.max(limits.message).saturating_mul(2).saturating_add(64 << 10);
        Self { times, most, shared: limits.unanswered_bytes, used: AtomicUsize::new(0) }
    }

    /// A connection that held `before` bytes wants to hold `after`.
    pub(super) fn try_grow(&self, before: usize, after: usize) -> bool {
        let more = after.saturating_sub(FREE) - before.saturating_sub(FREE);
        if after > self.most {
            return false;
        }
        if more == 0 {
            return true;
        }
        let add = |used: usize| used.checked_add(more).filter(|used| *used <= self.shared);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    /// It holds only `after` now.
    pub(super) fn shrink(&self, before: usize, after: usize) {
        let less = before.saturating_sub(FREE) - after.saturating_sub(FREE);
        if less > 0 {
            self.used.fetch_sub(less, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_a_little_each_all_share() {
        let limits = Limits { unanswered_bytes: 1000, body: 1 << 20, ..Limits::default() };
        let allowance = Allowance::new(Arc::default(), &limits);
        assert!(allowance.try_grow(0, FREE) && allowance.try_grow(0, FREE), "free for everybody");
        assert!(allowance.try_grow(FREE, FREE + 600));
        assert!(!allowance.try_grow(FREE, FREE + 600));
        assert!(allowance.try_grow(0, FREE + 400));
        allowance.shrink(FREE + 600, 0);
        assert!(allowance.try_grow(10, FREE + 600));
        allowance.shrink(FREE + 400, FREE);
        allowance.shrink(FREE + 600, 10);
        assert_eq!(allowance.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_connection_has_a_limit_of_its_own() {
        let limits = Limits { body: 1000, message: 1000, ..Limits::default() };
        let allowance = Allowance::new(Arc::default(), &limits);
        assert!(allowance.try_grow(0, 2000 + (64 << 10)));
        assert!(!allowance.try_grow(0, 2001 + (64 << 10)));
    }
}
