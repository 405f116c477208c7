//! Choice among the substreams of a simulcast publisher, for one sink.
//!
//! Starts with the first keyframe of any substream, then moves towards the target on keyframes; without packets of
//! the substream in force for the fallback time, a lower one that is alive is taken instead (a keyframe of it is
//! asked for), and the way back up is open as soon as packets of a higher one come again.

use super::temporal::TemporalFilter;
use super::{ASK_INTERVAL_US, DEFAULT_FALLBACK_US, LayerEvent, MAX_LAYERS, Pending, Verdict};
use crate::codec::PayloadInfo;

/// A higher substream counts as alive for at least this long after its last packet, so that a slow screen share
/// does not flicker between its layers.
const ALIVE_FLOOR_US: u64 = 500_000;

/// Frames of a lower substream that must have come since the one in force fell silent. One is not enough: a source
/// with few frames a second delivers the lower layers of each frame first.
const FRESH_FRAMES: u8 = 2;

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    at_us: Option<u64>,
    timestamp: u32,
    /// Frames since the last packet of the substream in force.
    fresh: u8,
}

/// The selector of one sink stream. Substreams are numbered 0 (lowest) to 2.
#[derive(Debug, Clone)]
pub struct SimulcastSelector {
    target: u8,
    temporal: TemporalFilter,
    fallback_us: u64,
    current: Option<u8>,
    seen: [Seen; MAX_LAYERS],
    asked: Option<(u8, u64)>,
    pending: Pending,
}

impl Default for SimulcastSelector {
    /// Targets 2 and 2, as Janus starts.
    fn default() -> Self {
        Self::new(2, 2, DEFAULT_FALLBACK_US)
    }
}

impl SimulcastSelector {
    /// With substream and temporal target (larger values count as 2), and the fallback time.
    #[must_use]
    pub fn new(substream: u8, temporal: u8, fallback_us: u64) -> Self {
        Self {
            target: clamp(substream),
            temporal: TemporalFilter::new(clamp(temporal)),
            fallback_us,
            current: None,
            seen: [Seen::default(); MAX_LAYERS],
            asked: None,
            pending: Pending::default(),
        }
    }

    /// Aims at another substream.
    pub fn set_substream(&mut self, target: u8) {
        if self.target != clamp(target) {
            self.target = clamp(target);
            self.asked = None;
        }
    }

    /// Aims at another temporal layer.
    pub fn set_temporal(&mut self, target: u8) {
        self.temporal.set_target(clamp(target));
    }

    /// Changes the fallback time.
    pub fn set_fallback(&mut self, fallback_us: u64) {
        self.fallback_us = fallback_us;
    }

    /// Another publisher takes over: begin anew, keep the targets.
    pub fn restart(&mut self) {
        self.current = None;
        self.seen = [Seen::default(); MAX_LAYERS];
        self.asked = None;
        self.temporal = TemporalFilter::new(self.temporal.target());
        self.pending = Pending::default();
    }

    /// The substream in force.
    #[must_use]
    pub fn substream(&self) -> Option<u8> {
        self.current
    }

    /// The substream aimed at.
    #[must_use]
    pub fn substream_target(&self) -> u8 {
        self.target
    }

    /// Whether the substream aimed at does not come: another one is taken, or is to be.
    #[must_use]
    pub fn is_starved(&self, now_us: u64) -> bool {
        self.wanted(now_us) != self.target
    }

    /// The temporal layer reached.
    #[must_use]
    pub fn temporal(&self) -> Option<u8> {
        self.temporal.reached()
    }

    /// The temporal layer aimed at.
    #[must_use]
    pub fn temporal_target(&self) -> u8 {
        self.temporal.target()
    }

    /// The next thing to tell.
    pub fn poll_event(&mut self) -> Option<LayerEvent> {
        self.pending.poll()
    }

    /// Judges a packet of a substream.
    #[inline]
    pub fn on_packet(&mut self, substream: u8, timestamp: u32, info: &PayloadInfo, now_us: u64) -> Verdict {
        self.note(substream, timestamp, now_us);
        let wanted = self.wanted(now_us);
        if self.current != Some(wanted) {
            if info.keyframe && self.may_switch(substream, wanted) {
                self.switch(substream);
            } else {
                self.ask(wanted, now_us);
            }
        }
        if self.current != Some(substream) {
            return Verdict::Ignore;
        }
        let (pass, reached) = self.temporal.admit(timestamp, info);
        if reached.is_some() {
            self.pending.temporal = reached;
        }
        if pass { Verdict::FORWARD } else { Verdict::Discard }
    }

    #[inline]
    fn note(&mut self, substream: u8, timestamp: u32, now_us: u64) {
        if self.current == Some(substream) {
            self.seen.iter_mut().for_each(|seen| seen.fresh = 0);
        }
        if let Some(seen) = self.seen.get_mut(usize::from(substream)) {
            if seen.at_us.is_none() || seen.timestamp != timestamp {
                seen.fresh = seen.fresh.saturating_add(1);
                seen.timestamp = timestamp;
            }
            seen.at_us = Some(now_us);
        }
    }

    /// The substream to be in force: the best that is alive.
    #[inline]
    fn wanted(&self, now_us: u64) -> u8 {
        // The usual case: in force is what is aimed at, and it lives.
        if self.current == Some(self.target) && self.age(self.target, now_us) < self.fallback_us {
            return self.target;
        }
        let silent = self.current.is_some_and(|c| self.age(c, now_us) >= self.fallback_us);
        let alive = self.fallback_us.max(ALIVE_FLOOR_US);
        let usable = |s: u8| {
            if silent {
                Some(s) != self.current && self.fresh(s) >= FRESH_FRAMES && self.age(s, now_us) < alive
            } else {
                Some(s) == self.current || self.age(s, now_us) < alive
            }
        };
        let below = (0..=self.target).rev().find(|s| usable(*s));
        let above = || (self.target..3).find(|s| usable(*s));
        below.or_else(above).or(self.current).unwrap_or(self.target)
    }

    /// Whether a keyframe of `substream` is a step towards `wanted`.
    fn may_switch(&self, substream: u8, wanted: u8) -> bool {
        match self.current {
            None => usize::from(substream) < MAX_LAYERS,
            Some(current) => substream == wanted || (current < substream && substream < wanted),
        }
    }

    fn switch(&mut self, substream: u8) {
        self.current = Some(substream);
        self.seen.iter_mut().for_each(|seen| seen.fresh = 0);
        self.temporal.restart();
        self.pending.substream = Some(substream);
        self.pending.keyframe = None;
    }

    fn ask(&mut self, wanted: u8, now_us: u64) {
        let due = match self.asked {
            None => true,
            Some((_, at)) if now_us.saturating_sub(at) >= ASK_INTERVAL_US => true,
            // A fall is urgent: the sink gets nothing until the keyframe comes.
            Some((last, _)) => last != wanted && self.current.is_some_and(|current| wanted < current),
        };
        if due {
            self.asked = Some((wanted, now_us));
            self.pending.keyframe = Some(wanted);
        }
    }

    fn age(&self, substream: u8, now_us: u64) -> u64 {
        let at = self.seen.get(usize::from(substream)).and_then(|seen| seen.at_us);
        at.map_or(u64::MAX, |at| now_us.saturating_sub(at))
    }

    fn fresh(&self, substream: u8) -> u8 {
        self.seen.get(usize::from(substream)).map_or(0, |seen| seen.fresh)
    }
}

fn clamp(layer: u8) -> u8 {
    layer.min(2)
}
