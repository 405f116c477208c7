//! Choice among the spatial and temporal layers of one SVC stream, for one sink.
//!
//! With a dependency descriptor (AV1, VP9) a decode target is chosen and its frames are forwarded: up only where
//! the target's indication says "switch", down where the target's chain is unbroken at this sink. With the VP9
//! descriptor alone, layers are numbers: up at a layer frame without reference to earlier pictures, down with the
//! next picture.

use super::temporal::TemporalFilter;
use super::{ASK_INTERVAL_US, LayerEvent, Pending, Verdict, is_later};
use crate::codec::dependency::{DecodeTarget, DependencyFrame, DependencyStructure, Indication, MAX_CHAINS};
use crate::codec::{Descriptor, PayloadInfo};
use crate::num::low16;
use crate::window::{BitWindow, WINDOW};

/// A decode target is waited for this long before a keyframe is asked for.
const SHORT_GRACE_US: u64 = 500_000;

/// The selector of one sink stream.
#[derive(Debug, Clone)]
pub struct SvcSelector {
    spatial_target: u8,
    temporal: TemporalFilter,
    layers: SpatialLimit,
    targets: TargetChoice,
    spatial_reported: Option<u8>,
    temporal_reported: Option<u8>,
    newest: Option<u32>,
    started: bool,
    /// The spatial target changed, or nothing was sent yet: a keyframe is asked for at once.
    urgent: bool,
    short_since_us: Option<u64>,
    asked_us: Option<u64>,
    pending: Pending,
}

impl Default for SvcSelector {
    /// Targets 2 and 2, as Janus starts.
    fn default() -> Self {
        Self::new(2, 2)
    }
}

impl SvcSelector {
    /// With spatial and temporal target (larger values count as 2).
    #[must_use]
    pub fn new(spatial: u8, temporal: u8) -> Self {
        Self {
            spatial_target: spatial.min(2),
            temporal: TemporalFilter::new(temporal.min(2)),
            layers: SpatialLimit::default(),
            targets: TargetChoice::new(),
            spatial_reported: None,
            temporal_reported: None,
            newest: None,
            started: false,
            urgent: true,
            short_since_us: None,
            asked_us: None,
            pending: Pending::default(),
        }
    }

    /// Aims at another spatial layer.
    pub fn set_spatial(&mut self, target: u8) {
        if self.spatial_target != target.min(2) {
            self.spatial_target = target.min(2);
            self.asked_us = None;
            self.urgent = true;
        }
    }

    /// Aims at another temporal layer.
    pub fn set_temporal(&mut self, target: u8) {
        self.temporal.set_target(target.min(2));
    }

    /// Another publisher takes over: begin anew, keep the targets.
    pub fn restart(&mut self) {
        *self = Self::new(self.spatial_target, self.temporal.target());
    }

    /// The spatial layer reached.
    #[must_use]
    pub fn spatial(&self) -> Option<u8> {
        self.spatial_reported
    }

    /// The spatial layer aimed at.
    #[must_use]
    pub fn spatial_target(&self) -> u8 {
        self.spatial_target
    }

    /// The temporal layer reached.
    #[must_use]
    pub fn temporal(&self) -> Option<u8> {
        self.temporal_reported
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

    /// Judges a packet. `structure` is that of the source's [`crate::codec::PayloadInspector`].
    pub fn on_packet(
        &mut self,
        timestamp: u32,
        info: &PayloadInfo,
        structure: Option<&DependencyStructure>,
        now_us: u64,
    ) -> Verdict {
        let new_picture = self.newest.is_none_or(|newest| is_later(timestamp, newest));
        if new_picture {
            self.newest = Some(timestamp);
            self.report();
        }
        match (&info.dependency, structure, info.descriptor) {
            (Some(frame), Some(structure), _) => {
                let wish = (self.spatial_target, self.temporal.target());
                let verdict = self.targets.judge(frame, structure, wish, new_picture);
                self.ask_if_short(now_us);
                verdict
            }
            (_, _, Descriptor::Vp9(_)) => self.judge_layers(timestamp, info, new_picture, now_us),
            _ => self.judge_plain(info, now_us),
        }
    }

    /// A packet without layer ids: nothing to choose from, but a receiver can only begin with a keyframe. Also one
    /// whose dependency structure is still on its way (reordered): leaving it out would tear the keyframe.
    fn judge_plain(&mut self, info: &PayloadInfo, now_us: u64) -> Verdict {
        self.started |= info.keyframe || self.targets.chosen().is_some();
        if self.started {
            return Verdict::FORWARD;
        }
        self.ask(now_us);
        Verdict::Ignore
    }

    fn judge_layers(&mut self, timestamp: u32, info: &PayloadInfo, new: bool, now_us: u64) -> Verdict {
        let Descriptor::Vp9(d) = info.descriptor else { return Verdict::FORWARD };
        let limit = self.layers.limit_for(timestamp, &d, self.spatial_target, new);
        let Some(limit) = limit else {
            self.ask(now_us);
            return Verdict::Ignore;
        };
        if d.spatial > limit {
            if d.spatial <= self.spatial_target {
                self.ask(now_us);
            }
            return Verdict::Discard;
        }
        let (pass, _) = self.temporal.admit(timestamp, info);
        if !pass {
            return Verdict::Discard;
        }
        // In a picture without references to earlier ones the climb may go on: its end is where the source says.
        let top = d.spatial == limit && (limit >= self.spatial_target || d.inter_picture);
        Verdict::Forward { set_marker: d.frame_end && top }
    }

    /// Once a picture, so that the climb through the layers of a keyframe is one event.
    fn report(&mut self) {
        let (spatial, temporal) = match self.targets.chosen() {
            Some(target) => (Some(target.spatial), Some(target.temporal)),
            None => (self.layers.limit, self.temporal.reached()),
        };
        if spatial.is_some() && spatial != self.spatial_reported {
            self.spatial_reported = spatial;
            self.pending.spatial = spatial;
        }
        if temporal.is_some() && temporal != self.temporal_reported {
            self.temporal_reported = temporal;
            self.pending.temporal = temporal;
        }
    }

    /// Decode targets are usually entered without a keyframe within a few frames; ask at once only if the wish
    /// itself changed.
    fn ask_if_short(&mut self, now_us: u64) {
        if !self.targets.short {
            (self.short_since_us, self.urgent) = (None, false);
            return;
        }
        let since = *self.short_since_us.get_or_insert(now_us);
        if self.urgent || now_us.saturating_sub(since) >= SHORT_GRACE_US {
            self.urgent = false;
            self.ask(now_us);
        }
    }

    fn ask(&mut self, now_us: u64) {
        if self.asked_us.is_none_or(|at| now_us.saturating_sub(at) >= ASK_INTERVAL_US) {
            self.asked_us = Some(now_us);
            self.pending.keyframe = Some(0);
        }
    }
}

/// The spatial limit by VP9 layer numbers.
#[derive(Debug, Clone, Copy, Default)]
struct SpatialLimit {
    limit: Option<u8>,
    since: u32,
    previous: u8,
}

impl SpatialLimit {
    /// The limit for a packet; `None` until the first keyframe.
    fn limit_for(
        &mut self,
        timestamp: u32,
        d: &crate::codec::vp9::Vp9Descriptor,
        target: u8,
        new_picture: bool,
    ) -> Option<u8> {
        let Some(limit) = self.limit else {
            if !d.starts_keyframe() {
                return None;
            }
            (self.since, self.previous) = (timestamp, 0);
            self.limit = Some(0);
            return Some(0);
        };
        if is_later(self.since, timestamp) {
            return Some(self.previous);
        }
        let next = if new_picture && limit > target {
            target
        } else if d.frame_start && !d.inter_picture && d.spatial > limit && d.spatial <= target {
            // RFC 9628: without P the layer frame needs only lower layers of this picture. It must stand directly
            // upon what is being sent.
            if d.spatial == limit + 1 || !d.inter_layer { d.spatial } else { limit }
        } else {
            limit
        };
        if next != limit {
            if self.since != timestamp {
                (self.previous, self.since) = (limit, timestamp);
            }
            self.limit = Some(next);
        }
        Some(next)
    }
}

/// What this sink got of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chain {
    /// Every frame since the chain began.
    Whole,
    /// All but this one, which may still come.
    Waiting(u64),
    /// Frames are missing; until the chain begins anew.
    Broken,
}

/// The decode target in force, by dependency descriptor.
#[derive(Debug, Clone)]
struct TargetChoice {
    current: Option<(u8, DecodeTarget)>,
    /// Frames judged, and those of them forwarded, by extended frame number.
    judged: BitWindow,
    forwarded: BitWindow,
    newest: Option<u64>,
    chains: [Chain; MAX_CHAINS],
    /// A better target than the one in force is wished for.
    short: bool,
}

impl TargetChoice {
    const fn new() -> Self {
        Self {
            current: None,
            judged: BitWindow::new(),
            forwarded: BitWindow::new(),
            newest: None,
            chains: [Chain::Broken; MAX_CHAINS],
            short: false,
        }
    }

    fn chosen(&self) -> Option<DecodeTarget> {
        self.current.map(|(_, target)| target)
    }

    fn judge(
        &mut self,
        frame: &DependencyFrame,
        structure: &DependencyStructure,
        wish: (u8, u8),
        new_picture: bool,
    ) -> Verdict {
        let number = self.extend(frame.number);
        if self.judged.try_set(number) {
            if self.newest <= Some(number) {
                self.newest = Some(number);
                self.follow_chains(frame, number);
                self.short = !self.choose(frame, structure, wish, new_picture);
            }
            let needed = |(index, _)| frame.indications.get(index) != Indication::NotPresent;
            if self.current.is_some_and(needed) {
                self.forwarded.try_set(number);
            }
        }
        let Some((_, target)) = self.current else { return Verdict::Ignore };
        if !self.forwarded.contains(number) {
            return Verdict::Discard;
        }
        Verdict::Forward { set_marker: frame.end && frame.spatial == target.spatial }
    }

    /// At the first packet of a frame newer than all before: whether the best target is in force then.
    fn choose(
        &mut self,
        frame: &DependencyFrame,
        structure: &DependencyStructure,
        wish: (u8, u8),
        new_picture: bool,
    ) -> bool {
        let Some((index, target)) = best_target(structure, frame.active_targets, wish) else { return true };
        let may_enter = match self.current {
            // Target numbers of an older structure mean nothing any more.
            _ if frame.has_structure => true,
            Some((current, _)) if current == index => return true,
            held => {
                let switch = frame.start && frame.indications.get(index) == Indication::Switch;
                self.may_enter(frame, &target, held, switch, new_picture)
            }
        };
        if may_enter {
            self.current = Some((index, target));
        }
        may_enter
    }

    fn may_enter(
        &self,
        frame: &DependencyFrame,
        target: &DecodeTarget,
        held: Option<(u8, DecodeTarget)>,
        switch: bool,
        new_picture: bool,
    ) -> bool {
        let chain = target.chain.and_then(|chain| self.chains.get(usize::from(chain)));
        let whole = chain == Some(&Chain::Whole);
        let Some((current, held)) = held else { return switch && whole };
        // A switch indication speaks of a frame that can be decoded: one of the target in force, or one whose chain
        // this sink received.
        if switch {
            return whole || frame.indications.get(current) != Indication::NotPresent;
        }
        let down = target.spatial <= held.spatial && target.temporal <= held.temporal;
        down && new_picture && (whole || target.spatial == held.spatial)
    }

    /// Follows what this sink got of each chain; with each frame newer than all before.
    fn follow_chains(&mut self, frame: &DependencyFrame, number: u64) {
        for (chain, distance) in self.chains.iter_mut().zip(frame.chains) {
            let before = number.wrapping_sub(u64::from(distance));
            let got = self.forwarded.contains(before);
            *chain = match *chain {
                _ if distance == 0 && frame.start => Chain::Whole,
                Chain::Whole if !got => Chain::Waiting(before),
                Chain::Waiting(missing) if self.forwarded.contains(missing) && got => Chain::Whole,
                Chain::Waiting(missing) if missing != before => Chain::Broken,
                other => other,
            };
        }
    }

    /// Frame numbers in 64 bits. What is too far behind to be late is a jump ahead: the source was replaced.
    fn extend(&mut self, number: u16) -> u64 {
        let Some(newest) = self.newest else {
            let first = (1 << 16) + u64::from(number);
            self.newest = Some(first);
            return first;
        };
        let ahead = number.wrapping_sub(low16(newest));
        let behind = u64::from(ahead.wrapping_neg());
        if behind > 0 && behind < WINDOW { newest - behind } else { newest + u64::from(ahead) }
    }
}

/// The highest active target within the wish; the lowest active one if none is.
fn best_target(
    s: &DependencyStructure,
    active: u32,
    (spatial, temporal): (u8, u8),
) -> Option<(u8, DecodeTarget)> {
    let rank = |(_, t): &(u8, DecodeTarget)| (t.spatial, t.temporal);
    let targets =
        || (0u8..32).zip(s.targets().iter().copied()).filter(|(i, _)| active >> u32::from(*i) & 1 == 1);
    targets()
        .filter(|(_, t)| t.spatial <= spatial && t.temporal <= temporal)
        .max_by_key(rank)
        .or_else(|| targets().min_by_key(rank))
}
