//! The timer wheel of a worker: which peer wants to be called when.
//!
//! Coarse on purpose (5 ms): nothing in ICE, DTLS or RTCP is more precise than that, and a thousand idle peers
//! must cost nothing between their deadlines. A key may stand in several slots; whoever fires checks the
//! peer's own deadline, so a stale entry is only a look. It is put where the live one is, and of those that meet there one
//! comes out: or a key whose deadline moves often would have more and more of them. Absent on purpose: removal.

use std::time::{Duration, Instant};

/// The grain.
const TICK: Duration = Duration::from_millis(5);
/// Slots in the wheel: deadlines further away than `SLOTS * TICK` are looked at once a turn.
const SLOTS: usize = 512;

/// A wheel of keys.
#[derive(Debug)]
pub(crate) struct Wheel {
    start: Instant,
    /// The next tick to fire.
    next: u64,
    slots: Box<[Vec<usize>]>,
    waiting: usize,
}

impl Wheel {
    pub(crate) fn new(now: Instant) -> Self {
        Self { start: now, next: 0, slots: vec![Vec::new(); SLOTS].into_boxed_slice(), waiting: 0 }
    }

    /// Calls for `key` at `at`, or up to one turn earlier if that is far away.
    pub(crate) fn schedule(&mut self, key: usize, at: Instant) {
        let tick = self.tick_of(at).clamp(self.next, self.next.saturating_add(num(SLOTS) - 1));
        if let Some(slot) = self.slot(tick) {
            slot.push(key);
            self.waiting += 1;
        }
    }

    /// Moves the keys that are due into `due`, each once.
    pub(crate) fn advance(&mut self, now: Instant, due: &mut Vec<usize>) {
        let target = num(now.saturating_duration_since(self.start).as_micros() / TICK.as_micros());
        // After a long sleep one turn visits every slot; more would visit them again.
        let last = target.min(self.next.saturating_add(num(SLOTS) - 1));
        while self.next <= last {
            let tick = self.next;
            self.next += 1;
            let Some(slot) = self.slot(tick) else { break };
            let n = slot.len();
            due.append(slot);
            self.waiting -= n;
        }
        self.next = self.next.max(target + 1);
        due.sort_unstable();
        due.dedup();
    }

    /// How long to sleep at most.
    pub(crate) fn sleep(&self, now: Instant) -> Duration {
        if self.waiting == 0 {
            return TICK * u32::try_from(SLOTS).unwrap_or(u32::MAX);
        }
        for ahead in 0..num(SLOTS) {
            let tick = self.next + ahead;
            let index = usize::try_from(tick % num(SLOTS)).unwrap_or(0);
            if self.slots.get(index).is_some_and(|s| !s.is_empty()) {
                let at = self.start + TICK * u32::try_from(tick).unwrap_or(u32::MAX);
                return at.saturating_duration_since(now);
            }
        }
        TICK
    }

    /// The first tick whose firing is not before `at`.
    fn tick_of(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.start).as_micros();
        num(since.div_ceil(TICK.as_micros()))
    }

    fn slot(&mut self, tick: u64) -> Option<&mut Vec<usize>> {
        let index = usize::try_from(tick % num(SLOTS)).ok()?;
        self.slots.get_mut(index)
    }
}

fn num<T: TryInto<u64>>(n: T) -> u64 {
    n.try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn due(w: &mut Wheel, now: Instant) -> Vec<usize> {
        let mut v = Vec::new();
        w.advance(now, &mut v);
        v
    }

    #[test]
    fn a_key_fires_not_before_its_time_and_within_a_tick() {
        let t = Instant::now();
        for ms in [0, 1, 5, 12, 50, 155, 1000, 2000] {
            let mut w = Wheel::new(t);
            w.schedule(7, t + MS * ms);
            if ms > 0 {
                assert!(due(&mut w, t + MS * ms - Duration::from_micros(1)).is_empty(), "{ms}");
            }
            assert_eq!(due(&mut w, t + MS * ms + TICK), [7], "{ms}");
        }
    }

    #[test]
    fn a_far_deadline_is_looked_at_once_a_turn() {
        let t = Instant::now();
        let mut w = Wheel::new(t);
        w.schedule(1, t + Duration::from_secs(60));
        assert_eq!(due(&mut w, t + TICK * 600), [1]);
    }

    #[test]
    fn a_deadline_in_the_past_fires_at_once() {
        let t = Instant::now();
        let mut w = Wheel::new(t);
        due(&mut w, t + MS * 100);
        w.schedule(3, t);
        assert_eq!(due(&mut w, t + MS * 105), [3]);
    }

    #[test]
    fn a_long_stop_fires_everything_once() {
        let t = Instant::now();
        let mut w = Wheel::new(t);
        for k in 0..100 {
            w.schedule(k, t + MS * 20 * u32::try_from(k).unwrap());
        }
        let mut got = due(&mut w, t + Duration::from_secs(3600));
        got.sort_unstable();
        assert_eq!(got, (0..100).collect::<Vec<_>>());
        assert!(due(&mut w, t + Duration::from_secs(3601)).is_empty());
    }

    #[test]
    fn entries_of_one_key_become_one_where_they_meet() {
        let t = Instant::now();
        let mut w = Wheel::new(t);
        // A deadline that moves forward a hundred times: entries fire, and are put where the newest is.
        for early in 0..100 {
            w.schedule(7, t + MS * (2000 - early * 10));
        }
        let (mut now, mut looks) = (t, 0);
        while now < t + MS * 2500 {
            now += TICK;
            for key in due(&mut w, now) {
                looks += 1;
                if now < t + MS * 2100 {
                    w.schedule(key, t + MS * 2100);
                }
            }
        }
        assert!(looks <= 101, "{looks}");
        assert_eq!(w.waiting, 0);
    }

    #[test]
    fn sleep_ends_at_the_next_deadline() {
        let t = Instant::now();
        let mut w = Wheel::new(t);
        w.schedule(1, t + MS * 100);
        assert_eq!(w.sleep(t), MS * 100);
        assert_eq!(w.sleep(t + MS * 97), MS * 3);
        let mut w = Wheel::new(t);
        assert!(w.sleep(t) > Duration::from_secs(2));
        w.schedule(1, t + Duration::from_secs(60));
        assert!(w.sleep(t) > Duration::from_secs(2));
    }
}
