//! How the packets of a source's frames come: at once, or spread over time.
//!
//! Browsers send a frame within a fraction of a millisecond. To wait for the rest of it, once, lets each receiver's share leave
//! in one call. Publishers that spread a frame over the time to the next one are not waited for.

/// Beyond this a frame took too long to say more than that.
const LONG_US: u32 = 4_000;
/// Frames that the average remembers.
const MEMORY: u32 = 8;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bursts {
    timestamp: u32,
    began_us: u64,
    ended: bool,
    /// From the first packet of a frame to the last one.
    spread_us: u32,
}

impl Bursts {
    pub(crate) const fn new() -> Self {
        Self { timestamp: 0, began_us: 0, ended: true, spread_us: LONG_US }
    }

    /// A packet of the newest frame, or of an older one.
    #[inline]
    pub(crate) fn on_packet(&mut self, timestamp: u32, last: bool, now_us: u64) {
        if timestamp != self.timestamp {
            if timestamp.wrapping_sub(self.timestamp) > 1 << 31 && !self.ended {
                return;
            }
            if !self.ended {
                self.average(LONG_US);
            }
            *self = Self { timestamp, began_us: now_us, ended: false, ..*self };
        }
        if last && !self.ended {
            self.ended = true;
            self.average(u32::try_from(now_us.saturating_sub(self.began_us)).unwrap_or(LONG_US));
        }
    }

    fn average(&mut self, spread_us: u32) {
        self.spread_us = self.spread_us - self.spread_us / MEMORY + spread_us.min(LONG_US) / MEMORY;
    }

    /// When the rest of a frame should be there that has begun, if frames of this source come within `most_us` as a rule.
    pub(crate) fn complete_at(&self, most_us: u32) -> Option<u64> {
        let known = !self.ended && self.spread_us <= most_us;
        known.then(|| self.began_us + u64::from(self.spread_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(bursts: &mut Bursts, numbers: std::ops::Range<u32>, apart_us: u64) {
        for n in numbers {
            for packet in 0..5_u64 {
                let now_us = u64::from(n) * 33_000 + packet * apart_us;
                bursts.on_packet(n.wrapping_mul(3000), packet == 4, now_us);
            }
        }
    }

    #[test]
    fn only_frames_that_come_at_once_are_waited_for() {
        let mut bursts = Bursts::new();
        frames(&mut bursts, 1..30, 50);
        assert_eq!(bursts.complete_at(500), None, "it is complete");
        bursts.on_packet(90_000, false, 1_000_000);
        assert!(bursts.complete_at(500).is_some_and(|at| (1_000_200..1_000_500).contains(&at)));
        assert_eq!(bursts.complete_at(0), None, "switched off");
        bursts.on_packet(90_000, true, 1_000_100);
        assert_eq!(bursts.complete_at(500), None);
        frames(&mut bursts, 31..60, 6_000);
        bursts.on_packet(180_000, false, 2_000_000);
        assert_eq!(bursts.complete_at(500), None, "it is spread");
    }

    #[test]
    fn frames_whose_ends_are_lost_are_waited_for_no_longer() {
        let mut bursts = Bursts::new();
        frames(&mut bursts, 1..30, 50);
        for n in 30..60_u32 {
            bursts.on_packet(n * 3000, false, u64::from(n) * 33_000);
        }
        assert_eq!(bursts.complete_at(500), None);
    }

    #[test]
    fn a_repaired_packet_of_an_older_frame_changes_nothing() {
        let mut bursts = Bursts::new();
        frames(&mut bursts, 1..30, 50);
        bursts.on_packet(90_000, false, 1_000_000);
        bursts.on_packet(84_000, false, 1_000_050);
        assert!(bursts.complete_at(500).is_some());
    }

    #[test]
    fn a_new_source_proves_itself_first() {
        let mut bursts = Bursts::new();
        bursts.on_packet(1, false, 0);
        assert_eq!(bursts.complete_at(500), None);
    }
}
