//! Times of arrival: of the receiver's clock, unwrapped, and their variation between groups of packets.

use crate::SECOND_US;

/// The reference time of transport-wide feedback counts 2^24 units of 64 ms.
const PERIOD_US: i64 = (1 << 24) * 64_000;
/// Packets sent within this time are one group.
const BURST_US: u64 = 5_000;
/// Packets that arrive with their group although sent later are of it for so long.
const BURST_LONGEST_US: i64 = 100_000;
/// A receiver's clock that jumps by more than this is another clock.
const JUMP_US: i64 = 3_000_000;
/// So many groups in a row that arrived before their predecessor mean that the clock was set back.
const MAX_BACKWARDS: u8 = 3;

/// Unwraps the receiver's clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct ArrivalClock {
    last: Option<(i64, u64)>,
}

impl ArrivalClock {
    pub(crate) fn unwrap(&mut self, arrival_us: i64) -> u64 {
        let Some((raw, at)) = self.last else {
            // An hour of room for what was sent before.
            let at = 3600 * SECOND_US;
            self.last = Some((arrival_us, at));
            return at;
        };
        let mut delta = arrival_us.wrapping_sub(raw).rem_euclid(PERIOD_US);
        if delta > PERIOD_US / 2 {
            delta -= PERIOD_US;
        }
        let at = at.saturating_add_signed(delta);
        self.last = Some((arrival_us, at));
        at
    }
}

#[derive(Debug, Clone, Copy)]
struct Group {
    first_send: u64,
    last_send: u64,
    first_arrival: u64,
    last_arrival: u64,
}

/// How much longer than the time between sending two groups took the time between their arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Variation {
    pub(crate) send_us: i64,
    pub(crate) arrival_us: i64,
    /// When the newer group had arrived.
    pub(crate) at_us: u64,
}

/// Gathers packets into groups and compares each with the one before.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups {
    previous: Option<Group>,
    current: Option<Group>,
    backwards: u8,
}

/// What a packet completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grouped {
    Nothing,
    Variation(Variation),
    /// The receiver's clock jumped: what was learnt of the trend is void.
    Jump,
}

impl Groups {
    /// A packet, in the order of sending.
    pub(crate) fn on_packet(&mut self, send: u64, arrival: u64) -> Grouped {
        let Some(group) = &mut self.current else {
            self.current = Some(Group::new(send, arrival));
            return Grouped::Nothing;
        };
        if send < group.first_send {
            return Grouped::Nothing;
        }
        if group.takes(send, arrival) {
            group.last_send = group.last_send.max(send);
            group.last_arrival = group.last_arrival.max(arrival);
            return Grouped::Nothing;
        }
        let done = *group;
        let before = self.previous.replace(done);
        self.current = Some(Group::new(send, arrival));
        let Some(before) = before else { return Grouped::Nothing };
        let send_us = difference(done.last_send, before.last_send);
        let arrival_us = difference(done.last_arrival, before.last_arrival);
        if arrival_us.saturating_sub(send_us).abs() > JUMP_US {
            *self = Self::default();
            return Grouped::Jump;
        }
        if arrival_us < 0 {
            self.backwards += 1;
            if self.backwards >= MAX_BACKWARDS {
                *self = Self::default();
                return Grouped::Jump;
            }
            return Grouped::Nothing;
        }
        self.backwards = 0;
        Grouped::Variation(Variation { send_us, arrival_us, at_us: done.last_arrival })
    }
}

impl Group {
    const fn new(send: u64, arrival: u64) -> Self {
        Self { first_send: send, last_send: send, first_arrival: arrival, last_arrival: arrival }
    }

    fn takes(&self, send: u64, arrival: u64) -> bool {
        if send - self.first_send <= BURST_US {
            return true;
        }
        // What queued up together on the way (a radio that sleeps) arrives together, and says nothing of a trend.
        let sent = difference(send, self.last_send);
        let arrived = difference(arrival, self.last_arrival);
        arrived <= 5_000 && arrived < sent && difference(arrival, self.first_arrival) < BURST_LONGEST_US
    }
}

pub(crate) fn difference(a: u64, b: u64) -> i64 {
    a.wrapping_sub(b).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_on_over_its_wrap() {
        let mut clock = ArrivalClock::default();
        let half = PERIOD_US / 2;
        let first = clock.unwrap(half - 10_000);
        assert_eq!(clock.unwrap(10_000 - half), first + 20_000);
        assert_eq!(clock.unwrap(half - 10_000), first);
    }

    #[test]
    fn the_variation_is_between_the_last_packets_of_two_groups() {
        let mut groups = Groups::default();
        for (send, arrival) in [(0, 100_000), (2_000, 103_000), (33_000, 140_000), (34_000, 147_000)] {
            assert_eq!(groups.on_packet(send, arrival), Grouped::Nothing);
        }
        let variation = Variation { send_us: 32_000, arrival_us: 44_000, at_us: 147_000 };
        assert_eq!(groups.on_packet(66_000, 190_000), Grouped::Variation(variation));
        assert_eq!(
            groups.on_packet(99_000, 9_000_000),
            Grouped::Variation(Variation { send_us: 32_000, arrival_us: 43_000, at_us: 190_000 })
        );
        assert_eq!(groups.on_packet(130_000, 9_100_000), Grouped::Jump);
    }
}
