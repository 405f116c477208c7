//! The clock of a sender, seen from ours.

use super::micros;
use std::collections::VecDeque;

/// A timestamp that is off from the time of arrival by more than this is none of the same clock.
const LEAP_US: i64 = 5_000_000;
/// The least delay is looked for in so many seconds: jitter is over by then, drift is not.
const WINDOW: usize = 10;
const SECOND_US: u64 = 1_000_000;
/// A clock that is off by less is let be.
const OFF_US: i64 = 5_000;
/// By so much times are drawn along in a second: 0.2 %, more than clocks drift and less than is heard.
const DRAWN_US: i64 = 2_000;

/// See the module.
#[derive(Debug)]
pub(super) struct SenderClock {
    rate: u32,
    /// The last packet: its timestamp, when it came, and its ticks since the first.
    last: Option<(u32, u64, i64)>,
    /// When tick 0 was, by our clock.
    base: i64,
    /// The least delay of each of the last seconds, and when the current one began.
    least: VecDeque<i64>,
    second: Option<u64>,
    /// The timestamp that was placed last, and where: packets of one frame are at one time.
    placed: Option<(u32, u64)>,
}

impl SenderClock {
    pub(super) const fn new(rate: u32) -> Self {
        Self { rate, last: None, base: 0, least: VecDeque::new(), second: None, placed: None }
    }

    /// Looks at the first packets, in the order of their numbers: timestamps, and when they came.
    pub(super) fn begin(&mut self, packets: impl Iterator<Item = (u32, u64)>) {
        let mut least: Option<i64> = None;
        for (timestamp, arrival) in packets {
            let delay = signed(arrival).saturating_sub(self.sent(timestamp, arrival));
            least = Some(least.map_or(delay, |least| least.min(delay)));
        }
        self.last = None;
        self.base = least.unwrap_or(0);
    }

    /// When a packet was sent, by our clock; packets come in the order of their numbers.
    pub(super) fn time(&mut self, timestamp: u32, arrival: u64) -> u64 {
        let sent = self.sent(timestamp, arrival);
        if let Some((_, time)) = self.placed.filter(|(placed, _)| *placed == timestamp) {
            return time;
        }
        let late = signed(arrival).saturating_sub(self.base.saturating_add(sent));
        if late.abs() > LEAP_US {
            // Each step was small, and together they are far from our clock: what is ahead of it would wait in memory for ever.
            self.base = signed(arrival).saturating_sub(sent);
            self.least.clear();
        }
        self.watch(signed(arrival).saturating_sub(self.base.saturating_add(sent)), arrival);
        let time = u64::try_from(self.base.saturating_add(sent)).unwrap_or(0);
        self.placed = Some((timestamp, time));
        time
    }

    /// Microseconds since the first packet, by the sender's clock.
    fn sent(&mut self, timestamp: u32, arrival: u64) -> i64 {
        let ticks = match self.last {
            None => 0,
            Some((last, then, ticks)) => {
                // The difference of two numbers that wrap, up to half of their range either way.
                let more = i64::from(timestamp.wrapping_sub(last).cast_signed());
                let passed = signed(arrival).saturating_sub(signed(then));
                let leaps = micros(more, self.rate).saturating_sub(passed).abs() > LEAP_US;
                let more = if leaps { passed.max(0) * i64::from(self.rate) / 1_000_000 } else { more };
                ticks.saturating_add(more)
            }
        };
        self.last = Some((timestamp, arrival, ticks));
        micros(ticks, self.rate)
    }

    /// How late a packet is, against the one that was on its way for the shortest time.
    fn watch(&mut self, late: i64, arrival: u64) {
        let begun = *self.second.get_or_insert(arrival);
        if self.least.is_empty() || arrival.saturating_sub(begun) >= SECOND_US {
            self.second = Some(arrival);
            self.draw();
            self.least.push_back(late);
            if self.least.len() > WINDOW {
                self.least.pop_front();
            }
        }
        if let Some(least) = self.least.back_mut() {
            *least = late.min(*least);
        }
    }

    fn draw(&mut self) {
        let least = self.least.iter().copied().min().unwrap_or(0);
        if self.least.len() == WINDOW && least.abs() > OFF_US {
            let step = least.clamp(-DRAWN_US, DRAWN_US);
            self.base = self.base.saturating_add(step);
            self.least.iter_mut().for_each(|late| *late = late.saturating_sub(step));
        }
    }
}

fn signed(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packet_that_was_least_on_its_way_tells_when_it_began() {
        let mut clock = SenderClock::new(48_000);
        clock.begin([(960, 1_060_000), (1920, 1_030_000), (2880, 1_090_000)].into_iter());
        let times: Vec<u64> = [(960, 1_060_000), (1920, 1_030_000), (2880, 1_090_000)]
            .map(|(timestamp, arrival)| clock.time(timestamp, arrival))
            .to_vec();
        assert_eq!(times, [1_010_000, 1_030_000, 1_050_000]);
    }

    #[test]
    fn wraps_go_on_and_leaps_take_the_time_that_passed() {
        let mut clock = SenderClock::new(48_000);
        let all = [(u32::MAX - 959, 0), (0, 20_000), (3_000_000_000, 1_020_000), (3_000_000_960, 1_040_000)];
        clock.begin(all.into_iter());
        let times = all.map(|(timestamp, arrival)| clock.time(timestamp, arrival));
        assert_eq!(times, [0, 20_000, 1_020_000, 1_040_000]);
    }

    #[test]
    fn packets_of_one_frame_are_at_one_time() {
        let mut clock = SenderClock::new(90_000);
        clock.begin([(0, 0)].into_iter());
        for n in 0..3000_u32 {
            let (timestamp, arrival) = (n * 3000, u64::from(n) * 33_000);
            let first = clock.time(timestamp, arrival);
            assert_eq!(clock.time(timestamp, arrival + 5000), first);
        }
    }

    #[test]
    fn a_clock_that_drifts_is_drawn_along_slowly() {
        for ppm in [-300_i64, 300] {
            let mut clock = SenderClock::new(48_000);
            clock.begin([(0, 100_000)].into_iter());
            let (mut last, mut worst): (Option<i64>, i64) = (None, 0);
            // Ten minutes, each packet late by a bit.
            for n in 0..30_000_i64 {
                let sent = n * 20_000;
                let timestamp =
                    u32::try_from((n * 960 * (1_000_000 + ppm) / 1_000_000) & 0xffff_ffff).unwrap();
                let late = n * 7919 % 30_000;
                let time = signed(clock.time(timestamp, u64::try_from(100_000 + sent + late).unwrap()));
                if let Some(last) = last {
                    assert!((time - last - 20_000_i64).abs() < 2_100, "{n}: {}", time - last);
                }
                last = Some(time);
                worst = worst.max((time - 100_000 - sent).abs());
            }
            assert!(worst < 20_000, "{ppm}: {worst} us off");
        }
    }
}
