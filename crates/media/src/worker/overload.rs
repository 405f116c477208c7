//! What a worker leaves out when it has more to send than it has time for.
//!
//! While a worker is behind (`intake`) and does not catch up, it takes one step after the other: subscribers get the lowest layers of
//! what has layers, then only the keyframes of what has none. How much further behind it falls in a tenth of a second says how much
//! too much there is, and so how many subscribers a step is for. Sound is never touched. Who has subscribed first keeps what he has
//! for longest. When there is time again the steps are taken back: what is left out is work, and comes back with it. Without this the
//! system would drop what comes in, of all streams alike, and everybody would ask for it again.

use super::Worker;
use crate::peer::{Peer, Shed};
use std::time::{Duration, Instant};

/// Further behind than that is overload, if it lasts: a burst of keyframes takes as long, and then it shrinks.
const BEHIND: Duration = Duration::from_millis(80);
/// So far behind is too far, also while it shrinks, if that takes its time.
const FAR: Duration = Duration::from_millis(400);
/// From one look to the next: long enough to see what the last step did.
const LOOK: Duration = Duration::from_millis(100);
/// Time without overload before a step back, if there is time to spare.
const CALM: Duration = Duration::from_millis(500);
/// So much of the time stays free when steps are taken back: percent.
const SPARE: u32 = 6;
/// More growth than that is a burst, too, such as of people who join: thousandths.
const STEEP: u32 = 300;
/// From one picture to the next for those who get nothing else.
const PICTURES: Duration = Duration::from_secs(10);
/// Shares of the subscribers.
const SHARES: u32 = 64;

/// See the module.
#[derive(Debug)]
pub(super) struct Overload {
    /// Up to [`SHARES`] it is layers, beyond it whole frames.
    step: u32,
    /// When it was looked last, the furthest that the worker was behind since, and before.
    looked: Instant,
    worst: Duration,
    before: Duration,
    /// Since when there is no overload, and what was slept of that time.
    calm: Instant,
    slept: Duration,
    /// When pictures were last asked for.
    pictures: Instant,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Begun,
    Over,
}

impl Overload {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            step: 0,
            looked: now,
            worst: Duration::ZERO,
            before: Duration::ZERO,
            calm: now,
            slept: Duration::ZERO,
            pictures: now,
        }
    }

    /// Called each turn, with the time that was slept before it and how far the worker is behind.
    pub(super) fn observe(
        &mut self,
        slept: Duration,
        behind: Duration,
        layered: impl Fn() -> bool,
        now: Instant,
    ) -> Option<Turn> {
        self.slept += slept;
        self.worst = self.worst.max(behind);
        let passed = now.saturating_duration_since(self.looked);
        if passed < LOOK {
            return None;
        }
        let (worst, before, step) = (self.worst, self.before, self.step);
        (self.looked, self.worst, self.before) = (now, Duration::ZERO, worst);
        let calm = now.saturating_duration_since(self.calm);
        if worst > BEHIND {
            self.step_up(worst, before, passed, layered);
            (self.calm, self.slept) = (now, Duration::ZERO);
        } else if calm >= CALM {
            self.step_back(permille(self.slept, calm), layered);
            (self.calm, self.slept) = (now, Duration::ZERO);
        }
        match (step, self.step) {
            (0, 1..) => Some(Turn::Begun),
            (1.., 0) => Some(Turn::Over),
            _ => None,
        }
    }

    /// It was so far behind in this time, and so far in that before it.
    fn step_up(&mut self, worst: Duration, before: Duration, passed: Duration, layered: impl Fn() -> bool) {
        let goes_soon = worst < before * 9 / 10;
        let shrinks = worst < before;
        let first_seen = before <= BEHIND;
        if goes_soon || (shrinks || first_seen) && worst < FAR {
            return;
        }
        if self.step < SHARES && !layered() {
            self.step = SHARES;
        }
        // What comes is 1 + growth times what goes.
        let growth = if first_seen { 0 } else { permille(worst.saturating_sub(before), passed).min(STEEP) };
        let left = if self.step < SHARES { SHARES } else { 2 * SHARES - self.step };
        let more = (left * growth).div_ceil(1000 + growth).max(1);
        self.step = (self.step + more).min(2 * SHARES);
    }

    /// So much of the last time was slept, in thousandths: what is free beyond [`SPARE`] is used, but for a part: pictures begin anew
    /// with a keyframe for everybody.
    fn step_back(&mut self, slept: u32, layered: impl Fn() -> bool) {
        let Some(free) = slept.checked_sub(SPARE * 10).filter(|_| self.step > 0) else { return };
        let left = if self.step < SHARES { SHARES } else { 2 * SHARES - self.step };
        let busy = 1000_u32.saturating_sub(slept).max(1);
        self.step = self.step.saturating_sub((left * free * 7 / busy / 10).max(1));
        if self.step <= SHARES && !layered() {
            self.step = 0;
        }
    }

    /// What subscriber `n` of `all` does not get of the source with this number. Sources with few subscribers take turns by
    /// their number.
    pub(super) fn shed(&self, n: usize, all: usize, source: usize) -> Shed {
        if self.step == 0 {
            return Shed::Nothing;
        }
        let shares = usize::try_from(SHARES).unwrap_or(1);
        let place = (n * shares + source * 37 % shares) / all.max(1);
        let of =
            |step: u32| place >= shares.saturating_sub(usize::try_from(step.min(SHARES)).unwrap_or(shares));
        if self.step > SHARES && of(self.step - SHARES) {
            Shed::Frames
        } else if of(self.step) {
            Shed::Layers
        } else {
            Shed::Nothing
        }
    }

    /// Some subscribers see keyframes only, and it is time for one.
    fn wants_pictures(&mut self, now: Instant) -> bool {
        let due = self.step > SHARES && now.saturating_duration_since(self.pictures) >= PICTURES;
        if due {
            self.pictures = now;
        }
        due
    }

    /// How much is left out: 1 when everybody has the lowest layers, 2 when nobody has more than keyframes.
    pub(super) fn level(&self) -> f64 {
        f64::from(self.step) / f64::from(SHARES)
    }

    #[cfg(test)]
    pub(super) const fn force(&mut self, step: u32) {
        self.step = step;
    }
}

impl Worker {
    /// Looks, once a turn, whether there is time for everything.
    pub(super) fn weigh(&mut self, slept: Duration, now: Instant) {
        let peers = &self.peers;
        let layered = || peers.iter().any(|(_, p)| p.has_layers());
        let behind = self.intake.take_behind(now);
        self.furthest_behind = self.furthest_behind.max(behind);
        match self.overload.observe(slept, behind, layered, now) {
            Some(Turn::Begun) => tracing::warn!(
                worker = self.index,
                "more to send than there is time for: some subscribers get lower layers or fewer pictures"
            ),
            Some(Turn::Over) => {
                tracing::info!(worker = self.index, "there is time for everything again");
            }
            None => {}
        }
    }

    /// Who gets keyframes only gets one now and then.
    pub(super) fn refresh_pictures(&mut self, now: Instant) {
        if !self.overload.wants_pictures(now) {
            return;
        }
        let shown =
            |(key, peer): (usize, &Peer)| peer.shown_lines().map(|line| (key, line)).collect::<Vec<_>>();
        let sources: Vec<(usize, usize)> =
            self.peers.iter().map(|(key, peer)| (key, &**peer)).flat_map(shown).collect();
        for (key, line) in sources {
            self.with_peer(key, now, |peer, cx| peer.request_keyframe(cx, line, None, now));
        }
        let mirrors: Vec<usize> = self.mirrors.iter().map(|(key, _)| key).collect();
        for key in mirrors {
            self.wish_keyframe(key, None);
        }
    }
}

/// A share in thousandths.
fn permille(part: Duration, whole: Duration) -> u32 {
    let share = part.as_micros() * 1000 / whole.as_micros().max(1);
    u32::try_from(share).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// So many turns of 10 ms, busy but for so many percent, the worker behind by what `behind` makes of the time in ms.
    fn turns(
        o: &mut Overload,
        now: &mut Instant,
        n: u32,
        behind: impl Fn(u32) -> u32,
        idle: u32,
        layered: bool,
    ) -> Vec<Turn> {
        let mut seen = Vec::new();
        for i in 0..n {
            *now += MS * 10;
            seen.extend(o.observe(MS * idle / 10, MS * behind(i * 10), || layered, *now));
        }
        seen
    }

    fn shed_of_a_hundred(o: &Overload) -> [usize; 3] {
        let of = |what| (0..100).filter(|n| o.shed(*n, 100, 0) == what).count();
        [of(Shed::Nothing), of(Shed::Layers), of(Shed::Frames)]
    }

    #[test]
    fn who_came_last_is_shed_first_and_layers_before_frames() {
        let mut now = Instant::now();
        let mut o = Overload::new(now);
        assert_eq!(shed_of_a_hundred(&o), [100, 0, 0]);
        // It stays at 100 ms: a little more each time.
        assert_eq!(turns(&mut o, &mut now, 41, |_| 100, 0, true), [Turn::Begun]);
        let [whole, layers, frames] = shed_of_a_hundred(&o);
        assert!((1..10).contains(&layers) && frames == 0, "{whole} {layers}");
        assert_eq!((o.shed(whole - 1, 100, 0), o.shed(whole, 100, 0)), (Shed::Nothing, Shed::Layers));
        turns(&mut o, &mut now, 10 * 61, |_| 100, 0, true);
        assert_eq!(shed_of_a_hundred(&o), [0, 100, 0]);
        turns(&mut o, &mut now, 10 * 32, |_| 100, 0, true);
        assert_eq!(shed_of_a_hundred(&o), [0, 50, 50]);
        assert_eq!((o.shed(49, 100, 0), o.shed(50, 100, 0)), (Shed::Layers, Shed::Frames));
        turns(&mut o, &mut now, 1000, |_| 100, 0, true);
        assert_eq!(shed_of_a_hundred(&o), [0, 0, 100]);
        assert!((o.level() - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn how_fast_it_falls_behind_says_how_many_are_left_out() {
        let mut now = Instant::now();
        let mut o = Overload::new(now);
        // A quarter more than there is time for: 25 ms more every 100 ms. A fifth is too much.
        turns(&mut o, &mut now, 21, |ms| 75 + ms / 4, 0, false);
        let [_, layers, frames] = shed_of_a_hundred(&o);
        assert_eq!(layers + frames, 100);
        assert!((19..24).contains(&frames), "{frames}");
    }

    #[test]
    fn it_comes_back_when_there_is_time_to_spare_and_not_before() {
        let mut now = Instant::now();
        let mut o = Overload::new(now);
        turns(&mut o, &mut now, 400, |_| 100, 0, true);
        let level = o.level();
        turns(&mut o, &mut now, 1000, |_| 0, 5, true);
        assert!((o.level() - level).abs() < f64::EPSILON, "busy, but not behind");
        // Much to spare is much back.
        turns(&mut o, &mut now, 61, |_| 0, 20, true);
        assert!(o.level() > 0.0 && o.level() < level - 1.5 / f64::from(SHARES), "{}", o.level());
        let seen = turns(&mut o, &mut now, 51 * 70, |_| 0, 10, true);
        assert_eq!((seen, o.level()), (vec![Turn::Over], 0.0));
    }

    #[test]
    fn what_has_piled_up_may_go_before_more_is_left_out() {
        let mut now = Instant::now();
        let mut o = Overload::new(now);
        turns(&mut o, &mut now, 50, |ms| 100 + ms / 5, 0, true);
        let level = o.level();
        assert!(level > 0.0);
        turns(&mut o, &mut now, 100, |ms| 195 - ms / 10, 0, true);
        assert!((o.level() - level).abs() < f64::EPSILON, "it shrinks slowly, and is not far behind");
        turns(&mut o, &mut now, 30, |_| 100, 0, true);
        assert!(o.level() > level, "it does not shrink any more");
        let level = o.level();
        turns(&mut o, &mut now, 30, |ms| 900 - ms / 10, 0, true);
        assert!(o.level() > level, "it shrinks too slowly for how far behind it is");
    }

    #[test]
    fn a_burst_is_no_overload() {
        let mut now = Instant::now();
        let mut o = Overload::new(now);
        assert_eq!(turns(&mut o, &mut now, 100, |_| 50, 0, true), []);
        // Keyframes for a thousand: a fifth of a second, which goes slowly where little time is free.
        assert_eq!(turns(&mut o, &mut now, 300, |ms| 220 - (ms / 20).min(220), 0, false), []);
        assert_eq!(shed_of_a_hundred(&o), [100, 0, 0]);
    }

    #[test]
    fn without_layers_frames_are_left_out_at_once() {
        let mut now = Instant::now();
        let mut o = Overload::new(now);
        assert_eq!(turns(&mut o, &mut now, 41, |_| 100, 0, false), [Turn::Begun]);
        assert_eq!((o.shed(99, 100, 0), o.shed(0, 100, 0)), (Shed::Frames, Shed::Layers));
        assert!(!o.wants_pictures(now));
        now += PICTURES;
        assert!(o.wants_pictures(now) && !o.wants_pictures(now));
        assert_eq!(turns(&mut o, &mut now, 62, |_| 0, 50, false), [Turn::Over]);
    }

    #[test]
    fn sources_with_one_subscriber_each_share_the_loss() {
        let now = Instant::now();
        let mut o = Overload::new(now);
        o.force(32);
        let shed = (0..160).filter(|source| o.shed(0, 1, *source) == Shed::Layers).count();
        assert_eq!(shed, 80);
    }
}
