//! What a worker leaves out when it has more to send than it has time for.
//!
//! While a worker is behind (`intake`) it takes one step after the other: subscribers get the lowest layers of what has layers,
//! a sixteenth of them at a time, then only the keyframes of what has none. Sound is never touched. Who has subscribed first
//! keeps what he has for longest. When there is time again the steps are taken back, slowly: what is left out is work, and comes
//! back with it. Without this the system would drop what comes in, of all streams alike, and everybody would ask for it again.

use super::Worker;
use crate::peer::{Peer, Shed};
use std::time::{Duration, Instant};

/// Further behind than that is overload: a burst of keyframes is over by then.
const BEHIND: Duration = Duration::from_millis(80);
/// From one step up to the next: long enough to see what the last one did.
const UP: Duration = Duration::from_millis(100);
/// From one step down to the next, if there is time to spare.
const DOWN: Duration = Duration::from_millis(300);
/// So much of the time must be left for a step down: percent.
const SPARE: u32 = 10;
/// From one picture to the next for those who get nothing else.
const PICTURES: Duration = Duration::from_secs(10);
/// Shares of the subscribers.
const SHARES: u32 = 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Overload {
    /// Up to [`SHARES`] it is layers, beyond it whole frames.
    step: u32,
    moved: Instant,
    watched: Instant,
    slept: Duration,
    /// The furthest it was behind meanwhile.
    worst: Duration,
    /// How far it was behind when that was last weighed.
    before: Duration,
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
            moved: now,
            watched: now,
            slept: Duration::ZERO,
            worst: Duration::ZERO,
            before: Duration::ZERO,
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
        let before = self.step;
        if behind > BEHIND && now.saturating_duration_since(self.moved) >= UP {
            // What has piled up takes its time to go; no more is left out while it does.
            let shrinks = behind < self.before * 9 / 10;
            if !shrinks {
                self.step = (self.step + 1).min(2 * SHARES);
                if before == 0 && !layered() {
                    self.step = SHARES + 1;
                }
            }
            self.before = behind;
            self.moved = now;
            self.watch_anew(now);
        }
        let watched = now.saturating_duration_since(self.watched);
        if watched >= DOWN {
            if self.worst < BEHIND / 2 && self.slept * 100 > watched * SPARE {
                self.step = self.step.saturating_sub(1);
                if self.step == SHARES && !layered() {
                    self.step = 0;
                }
                (self.before, self.moved) = (Duration::ZERO, now);
            }
            self.watch_anew(now);
        }
        match (before, self.step) {
            (0, 1..) => Some(Turn::Begun),
            (1.., 0) => Some(Turn::Over),
            _ => None,
        }
    }

    const fn watch_anew(&mut self, now: Instant) {
        self.watched = now;
        self.slept = Duration::ZERO;
        self.worst = Duration::ZERO;
    }

    /// What subscriber `n` of `all` does not get of the source with this number. Sources with few subscribers take turns by
    /// their number.
    pub(super) fn shed(&self, n: usize, all: usize, source: usize) -> Shed {
        if self.step == 0 {
            return Shed::Nothing;
        }
        let shares = usize::try_from(SHARES).unwrap_or(1);
        let place = (n * shares + source * 11 % shares) / all.max(1);
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

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// So many turns of 10 ms, all of them busy or half of them slept.
    fn turns(o: &mut Overload, now: &mut Instant, n: u32, behind: Duration, busy: bool) -> Vec<Turn> {
        let mut seen = Vec::new();
        for _ in 0..n {
            *now += MS * 10;
            let slept = if busy { Duration::ZERO } else { MS * 5 };
            seen.extend(o.observe(slept, behind, || true, *now));
        }
        seen
    }

    #[test]
    fn who_came_last_is_shed_first_and_layers_before_frames() {
        let mut now = Instant::now();
        let mut o = Overload::new(now);
        assert_eq!(o.shed(99, 100, 0), Shed::Nothing);
        assert_eq!(turns(&mut o, &mut now, 10, MS * 100, true), [Turn::Begun]);
        let shed = |o: &Overload| (0..100).map(|n| o.shed(n, 100, 0)).collect::<Vec<_>>();
        let first = shed(&o);
        assert!(first.iter().take(93).all(|s| *s == Shed::Nothing), "{first:?}");
        assert!(first.iter().skip(94).all(|s| *s == Shed::Layers), "{first:?}");
        turns(&mut o, &mut now, 10 * 15, MS * 100, true);
        assert!(shed(&o).iter().all(|s| *s == Shed::Layers));
        turns(&mut o, &mut now, 10 * 8, MS * 100, true);
        let half = shed(&o);
        assert!(half.iter().take(50).all(|s| *s == Shed::Layers), "{half:?}");
        assert!(half.iter().skip(50).all(|s| *s == Shed::Frames), "{half:?}");
        turns(&mut o, &mut now, 1000, MS * 100, true);
        assert!(shed(&o).iter().all(|s| *s == Shed::Frames));
        assert!((o.level() - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn it_comes_back_when_there_is_time_to_spare_and_not_before() {
        let mut now = Instant::now();
        let mut o = Overload::new(now);
        turns(&mut o, &mut now, 40, MS * 100, true);
        let level = o.level();
        turns(&mut o, &mut now, 1000, Duration::ZERO, true);
        assert!((o.level() - level).abs() < f64::EPSILON, "busy, but not behind");
        let seen = turns(&mut o, &mut now, 50 * 32, Duration::ZERO, false);
        assert_eq!((seen, o.level()), (vec![Turn::Over], 0.0));
    }

    #[test]
    fn what_has_piled_up_may_go_before_more_is_left_out() {
        let mut now = Instant::now();
        let mut o = Overload::new(now);
        turns(&mut o, &mut now, 50, MS * 200, true);
        let level = o.level();
        for behind in [170, 150, 130, 110, 90] {
            turns(&mut o, &mut now, 10, MS * behind, true);
        }
        assert!((o.level() - level).abs() < f64::EPSILON);
        turns(&mut o, &mut now, 20, MS * 90, true);
        assert!(o.level() > level);
    }

    #[test]
    fn a_burst_is_no_overload() {
        let mut now = Instant::now();
        let mut o = Overload::new(now);
        assert_eq!(turns(&mut o, &mut now, 100, MS * 50, true), []);
        assert_eq!(o.shed(0, 1, 0), Shed::Nothing);
    }

    #[test]
    fn without_layers_frames_are_left_out_at_once() {
        let mut now = Instant::now();
        let mut o = Overload::new(now);
        now += MS * 100;
        assert_eq!(o.observe(Duration::ZERO, MS * 100, || false, now), Some(Turn::Begun));
        assert_eq!((o.shed(99, 100, 0), o.shed(0, 100, 0)), (Shed::Frames, Shed::Layers));
        assert!(!o.wants_pictures(now));
        now += PICTURES;
        assert!(o.wants_pictures(now) && !o.wants_pictures(now));
    }

    #[test]
    fn sources_with_one_subscriber_each_share_the_loss() {
        let now = Instant::now();
        let mut o = Overload::new(now);
        o.force(8);
        let shed = (0..160).filter(|source| o.shed(0, 1, *source) == Shed::Layers).count();
        assert_eq!(shed, 80);
    }
}
