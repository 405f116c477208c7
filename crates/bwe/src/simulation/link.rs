//! A link with a capacity, a queue, a delay, jitter and losses.

/// Seeded numbers (xorshift).
#[derive(Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % n.max(1)
    }
}

#[derive(Clone)]
pub(super) struct Link {
    pub(super) capacity: u64,
    /// Longer queues drop.
    pub(super) queue_bytes: u64,
    pub(super) delay_us: u64,
    pub(super) jitter_us: u64,
    pub(super) loss_permille: u64,
    pub(super) random: Random,
    free_us: u64,
    last_us: u64,
}

impl Link {
    pub(super) fn new(capacity: u64, seed: u64) -> Self {
        Self {
            capacity,
            queue_bytes: 60_000,
            delay_us: 25_000,
            jitter_us: 0,
            loss_permille: 0,
            random: Random::new(seed),
            free_us: 0,
            last_us: 0,
        }
    }

    pub(super) fn set_capacity(&mut self, capacity: u64, now_us: u64) {
        let queued = self.queue_us(now_us) * self.capacity / capacity;
        self.free_us = now_us + queued;
        self.capacity = capacity;
    }

    /// How long a packet waits that comes now.
    pub(super) fn queue_us(&self, now_us: u64) -> u64 {
        self.free_us.saturating_sub(now_us)
    }

    /// When a packet arrives, if it does.
    pub(super) fn send(&mut self, bytes: u64, now_us: u64) -> Option<u64> {
        let queued = self.queue_us(now_us);
        if queued * self.capacity / 8_000_000 + bytes > self.queue_bytes {
            return None;
        }
        self.free_us = now_us.max(self.free_us) + bytes * 8_000_000 / self.capacity;
        if self.random.below(1000) < self.loss_permille {
            return None;
        }
        let jitter = self.random.below(self.jitter_us + 1);
        self.last_us = self.last_us.max(self.free_us + self.delay_us + jitter);
        Some(self.last_us)
    }
}
