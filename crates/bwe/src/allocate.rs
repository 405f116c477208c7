//! Which layers of several streams fit into an estimate.
//!
//! The lowest layer of every stream comes first, then one step up for each in their order, again and again while it
//! fits. Down goes at once; up only with some room, and not soon after a fall: a step up that did not hold makes the
//! next one wait longer.

use crate::SECOND_US;

/// Spatial (or simulcast) layers, and temporal layers of each.
pub const MAX_LAYERS: usize = 3;
/// A step up needs so much of its bitrate, percent.
const ROOM_PERCENT: u64 = 112;
/// After a fall nothing goes up for so long; twice as long each time that a step up did not hold.
const HOLD_US: u64 = 2 * SECOND_US;
const MOST_HOLD_US: u64 = 10 * SECOND_US;
/// A fall so soon after a step up is that step's failure.
const FAILED_US: u64 = 8 * SECOND_US;
const RUNGS: usize = MAX_LAYERS * MAX_LAYERS;

/// A layer of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Layer {
    /// Simulcast substream or spatial layer, 0 the lowest.
    pub spatial: u8,
    /// Temporal layer, 0 the lowest.
    pub temporal: u8,
}

/// What sending a layer takes, bits per second, by spatial and temporal layer, with all it depends on; 0 for one that
/// is not there. Equal values of neighbouring temporal layers mean that there is no choice between them.
pub type Costs = [[u64; MAX_LAYERS]; MAX_LAYERS];

/// A stream to choose a layer of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// What its layers take.
    pub costs: Costs,
    /// The highest layer allowed.
    pub max: Layer,
    /// The layer in force, and the one chosen.
    pub current: Layer,
    /// Rungs of the ladder: the one chosen, and the highest allowed in a fall.
    chosen: u8,
    limit: u8,
}

impl Stream {
    /// A stream whose layer in force is `current`; the lowest for one that begins.
    #[must_use]
    pub const fn new(costs: Costs, max: Layer, current: Layer) -> Self {
        Self { costs, max, current, chosen: 0, limit: 0 }
    }

    /// What the layer in force takes.
    fn cost(&self) -> u64 {
        let row = self.costs.get(usize::from(self.current.spatial));
        row.and_then(|row| row.get(usize::from(self.current.temporal))).copied().unwrap_or(0)
    }

    fn rungs(&self) -> Ladder {
        let mut ladder = Ladder { rungs: [Rung::default(); RUNGS], len: 0 };
        let temporals = usize::from(self.max.temporal) + 1;
        for (spatial, costs) in (0..=self.max.spatial).zip(&self.costs) {
            let bottom = ladder.len == 0;
            let layered = temporals > 1 && matches!(costs, [a, b, _] if *a != 0 && b > a);
            for (temporal, cost) in (0..).zip(costs).take(temporals) {
                // A larger picture at the lowest frame rate is no step up.
                if *cost > 0 && (bottom || temporal > 0 || !layered) {
                    ladder.push(Rung { layer: Layer { spatial, temporal }, cost: *cost });
                }
            }
        }
        ladder
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Rung {
    layer: Layer,
    cost: u64,
}

/// The layers worth choosing from, each dearer and better than the one before.
struct Ladder {
    rungs: [Rung; RUNGS],
    len: usize,
}

impl Ladder {
    fn push(&mut self, rung: Rung) {
        // What is not dearer and better replaces what was there.
        while self.top().is_some_and(|top| top.cost >= rung.cost) {
            self.len -= 1;
        }
        if let Some(place) = self.rungs.get_mut(self.len) {
            *place = rung;
            self.len += 1;
        }
    }

    fn top(&self) -> Option<Rung> {
        self.rungs.get(self.len.checked_sub(1)?).copied()
    }

    fn get(&self, n: u8) -> Option<Rung> {
        self.rungs.get(..self.len)?.get(usize::from(n)).copied()
    }

    fn cost(&self, n: u8) -> u64 {
        self.get(n).map_or(0, |rung| rung.cost)
    }

    /// The rung of a layer: the highest that is not above it.
    fn place(&self, layer: Layer) -> u8 {
        let below = self.rungs.iter().take(self.len).filter(|rung| rung.layer <= layer).count();
        u8::try_from(below.saturating_sub(1)).unwrap_or(0)
    }
}

/// What an allocation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocation {
    /// A stream has another layer than before.
    pub changed: bool,
    /// What is sent now, bits per second.
    pub used: u64,
    /// What the estimate has to reach for all that is allowed, bits per second: probe for it.
    pub wanted: u64,
}

/// Chooses layers; remembers what did not hold.
#[derive(Debug, Clone)]
pub struct Allocator {
    hold_until_us: u64,
    hold_us: u64,
    up_us: Option<u64>,
}

impl Default for Allocator {
    fn default() -> Self {
        Self::new()
    }
}

impl Allocator {
    /// Nothing has failed yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { hold_until_us: 0, hold_us: HOLD_US, up_us: None }
    }

    /// Chooses for all streams, whose order is their priority. `reserved` is what is sent beside them.
    pub fn allocate(
        &mut self,
        estimate: u64,
        reserved: u64,
        streams: &mut [Stream],
        now_us: u64,
    ) -> Allocation {
        for stream in streams.iter_mut() {
            stream.chosen = stream.rungs().place(stream.current);
        }
        let budget = estimate.saturating_sub(reserved);
        let used = total(streams);
        if used > budget {
            self.fall(budget, streams, now_us);
        } else if now_us >= self.hold_until_us {
            self.rise(budget, streams, now_us);
        }
        let mut changed = false;
        for stream in streams.iter_mut() {
            let ladder = stream.rungs();
            // A source that pauses its layer has not become too dear: the choice stays.
            if stream.chosen == ladder.place(stream.current) && stream.cost() == 0 {
                continue;
            }
            // A rung may have got another number although nothing moved: what costs nothing more is given.
            if let Some(rung) = ladder.get(stream.chosen) {
                changed |= stream.current != rung.layer;
                stream.current = rung.layer;
            }
        }
        let used = reserved.saturating_add(total(streams));
        let most = streams.iter().fold(reserved, |sum, s| {
            let top = s.rungs().top().map_or(0, |rung| rung.cost);
            sum.saturating_add(top)
        });
        let wanted = if most > used { most.saturating_mul(ROOM_PERCENT).div_ceil(100) } else { used };
        Allocation { changed, used, wanted }
    }

    fn fall(&mut self, budget: u64, streams: &mut [Stream], now_us: u64) {
        let mut sum = streams.iter().fold(0_u64, |sum, s| sum.saturating_add(s.rungs().cost(0)));
        // The lowest of all, then up again as far as it fits, never above what was.
        for stream in streams.iter_mut() {
            (stream.limit, stream.chosen) = (stream.chosen, 0);
        }
        climb(streams, &mut sum, budget, 100);
        if streams.iter().all(|s| s.chosen == s.limit) {
            return;
        }
        let failed = self.up_us.take().is_some_and(|at| now_us.saturating_sub(at) < FAILED_US);
        self.hold_us = if failed {
            (self.hold_us * 2).min(MOST_HOLD_US)
        } else if now_us < self.hold_until_us {
            // The same fall goes on.
            self.hold_us
        } else {
            HOLD_US
        };
        self.hold_until_us = now_us.saturating_add(self.hold_us);
    }

    fn rise(&mut self, budget: u64, streams: &mut [Stream], now_us: u64) {
        let mut sum = total(streams);
        streams.iter_mut().for_each(|s| s.limit = u8::MAX);
        if climb(streams, &mut sum, budget, ROOM_PERCENT) {
            self.up_us = Some(now_us);
        }
    }
}

/// One step for each stream in its order, again and again, while it fits.
fn climb(streams: &mut [Stream], sum: &mut u64, budget: u64, percent: u64) -> bool {
    let mut climbed = false;
    for _ in 0..RUNGS {
        let mut stepped = false;
        for stream in streams.iter_mut() {
            let ladder = stream.rungs();
            let Some(next) = ladder.get(stream.chosen + 1).filter(|_| stream.chosen < stream.limit) else {
                continue;
            };
            let more = sum.saturating_sub(ladder.cost(stream.chosen)).saturating_add(next.cost);
            if more.saturating_mul(percent) / 100 <= budget {
                *sum = more;
                stream.chosen += 1;
                stepped = true;
            }
        }
        if !stepped {
            break;
        }
        climbed = true;
    }
    climbed
}

fn total(streams: &[Stream]) -> u64 {
    streams.iter().fold(0, |sum, s| sum.saturating_add(s.rungs().cost(s.chosen)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOP: Layer = Layer { spatial: 2, temporal: 2 };
    const LOW: Layer = Layer { spatial: 0, temporal: 0 };

    fn simulcast(current: Layer) -> Stream {
        Stream::new([[150_000; 3], [500_000; 3], [1_500_000; 3]], TOP, current)
    }

    fn layer(spatial: u8, temporal: u8) -> Layer {
        Layer { spatial, temporal }
    }

    fn chosen(streams: &[Stream]) -> Vec<Layer> {
        streams.iter().map(|s| s.current).collect()
    }

    #[test]
    fn everybody_has_the_lowest_before_anybody_has_more() {
        let mut streams = [simulcast(LOW), simulcast(LOW), simulcast(LOW)];
        let allocation = Allocator::new().allocate(1_200_000, 40_000, &mut streams, 0);
        assert_eq!(chosen(&streams), [layer(1, 2), layer(0, 2), layer(0, 2)]);
        assert_eq!((allocation.changed, allocation.used), (true, 840_000));
        assert_eq!(allocation.wanted, 4_540_000 * 112 / 100);
        Allocator::new().allocate(10_000, 40_000, &mut streams, 0);
        assert_eq!(chosen(&streams), [layer(0, 2); 3], "the lowest is never taken away");
    }

    #[test]
    fn down_at_once_and_up_after_a_hold_that_grows() {
        let mut allocator = Allocator::new();
        let mut streams = [simulcast(TOP)];
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..5 {
            assert!(allocator.allocate(600_000, 0, &mut streams, now).changed);
            assert_eq!(chosen(&streams), [layer(1, 2)]);
            let fell = now;
            while chosen(&streams) != [TOP] {
                now += 100_000;
                allocator.allocate(2_000_000, 0, &mut streams, now);
            }
            waits.push((now - fell) / SECOND_US);
            now += SECOND_US;
        }
        assert_eq!(waits, [2, 4, 8, 10, 10]);
        now += 20 * SECOND_US;
        allocator.allocate(600_000, 0, &mut streams, now);
        allocator.allocate(2_000_000, 0, &mut streams, now + HOLD_US);
        assert_eq!(chosen(&streams), [TOP], "a step that held is forgotten");
    }

    #[test]
    fn a_step_up_needs_room_and_staying_does_not() {
        let mut streams = [simulcast(LOW)];
        Allocator::new().allocate(550_000, 0, &mut streams, 0);
        assert_eq!(chosen(&streams), [layer(0, 2)]);
        Allocator::new().allocate(560_000, 0, &mut streams, 0);
        assert_eq!(chosen(&streams), [layer(1, 2)]);
        Allocator::new().allocate(500_000, 0, &mut streams, 0);
        assert_eq!(chosen(&streams), [layer(1, 2)]);
    }

    #[test]
    fn a_layer_that_pauses_keeps_its_place() {
        let mut streams = [simulcast(layer(1, 2))];
        streams[0].costs[1] = [0; 3];
        assert!(!Allocator::new().allocate(600_000, 0, &mut streams, 0).changed);
        assert_eq!(chosen(&streams), [layer(1, 2)]);
    }

    #[test]
    fn temporal_layers_are_steps_and_limits_are_kept() {
        let costs = [[60_000, 100_000, 150_000], [200_000, 350_000, 500_000], [0, 0, 0]];
        let choose = |estimate, max| {
            let mut streams = [Stream::new(costs, max, LOW)];
            Allocator::new().allocate(estimate, 0, &mut streams, 0);
            streams[0].current
        };
        assert_eq!(choose(80_000, TOP), layer(0, 0));
        assert_eq!(choose(130_000, TOP), layer(0, 1));
        assert_eq!(choose(300_000, TOP), layer(0, 2), "not a larger picture at the lowest frame rate");
        assert_eq!(choose(400_000, TOP), layer(1, 1));
        assert_eq!(choose(9_000_000, TOP), layer(1, 2), "what the source does not send is no choice");
        assert_eq!(choose(9_000_000, layer(1, 0)), layer(1, 0));
        assert_eq!(choose(9_000_000, layer(0, 1)), layer(0, 1));
    }
}
