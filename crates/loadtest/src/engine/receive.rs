//! One received stream: what came of what was sent, and what is asked for again.

use super::frames::{Frames, Freeze};
use super::shared::{Shared, Source};
use super::tally::{Counters, Phase};
use crate::histogram::Histogram;
use crate::seen::{Order, Seen};
use crate::stamp::Stamp;
use portunus_rtp::packet::RtpView;
use portunus_rtp::receive::{ReceiverStats, SequenceUnwrapper};
use std::sync::Arc;

/// As libwebrtc: so many times, so far apart, and no longer than this.
const NACK_TRIES: u8 = 10;
const NACK_AGAIN_NS: u64 = 50_000_000;
const NACK_AGE_NS: u64 = 1_000_000_000;
const MAX_MISSING: usize = 1000;

#[derive(Clone, Copy, Debug)]
struct Missing {
    sequence: u64,
    since_ns: u64,
    asked_ns: Option<u64>,
    tries: u8,
}

/// What packets count for.
pub(crate) struct Account<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) counters: &'a mut Counters,
    pub(crate) latency: &'a mut Histogram,
    pub(crate) phase: &'a mut Phase,
}

/// One SSRC.
pub(crate) struct Receiver {
    pub(crate) ssrc: u32,
    pub(crate) video: bool,
    /// The gateway may change between sources with counters of their own: sequence numbers count then.
    layered: bool,
    unwrapper: SequenceUnwrapper,
    pub(crate) stats: ReceiverStats,
    missing: Vec<Missing>,
    nack: bool,
    seen: Seen,
    frames: Option<Box<Frames>>,
    source: Option<(u32, Option<Arc<Source>>)>,
    /// The first packet of all.
    first: Option<u64>,
    /// What counts for the measurement that is on.
    phase: u32,
    received: u64,
    recovered: u64,
    /// The lowest and highest number that counted.
    span: Option<(u64, u64)>,
}

/// What a packet brought about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Happened {
    /// When the first packet of the first frame that could be decoded came; for audio, of all.
    pub(crate) first_ns: Option<u64>,
    /// Packets are missing that were not before.
    pub(crate) gap: bool,
}

impl Receiver {
    pub(crate) fn new(ssrc: u32, video: bool, clock_rate: u32, nack: bool, layered: bool) -> Self {
        Self {
            ssrc,
            video,
            layered,
            unwrapper: SequenceUnwrapper::new(),
            stats: ReceiverStats::new(clock_rate),
            missing: Vec::new(),
            nack,
            seen: Seen::new(),
            frames: video.then(|| Box::new(Frames::new())),
            source: None,
            first: None,
            phase: 0,
            received: 0,
            recovered: 0,
            span: None,
        }
    }

    /// Takes a packet, `repaired` if it came as a retransmission of `sequence`.
    pub(crate) fn on_packet(
        &mut self,
        view: &RtpView<'_>,
        payload: &[u8],
        sequence: u16,
        repaired: bool,
        now_ns: u64,
        account: &mut Account<'_>,
    ) -> Happened {
        let mut happened = Happened::default();
        let before = self.unwrapper.highest();
        let Some(extended) = self.unwrapper.unwrap(sequence) else { return happened };
        happened.gap = self.note_gap(before, extended, now_ns);
        if repaired {
            self.stats.on_repair(extended, payload.len(), now_ns / 1000);
        } else {
            self.stats.on_packet(extended, view.timestamp(), payload.len(), now_ns / 1000);
        }
        if payload.is_empty() {
            account.counters.padding_received += 1;
            return happened;
        }
        let Some(stamp) = Stamp::read(payload) else {
            account.counters.unstamped += 1;
            return happened;
        };
        self.on_stamp(&stamp, extended, repaired, now_ns, account, &mut happened);
        happened
    }

    fn on_stamp(
        &mut self,
        stamp: &Stamp,
        extended: u64,
        repaired: bool,
        now_ns: u64,
        account: &mut Account<'_>,
        happened: &mut Happened,
    ) {
        if self.source.as_ref().is_none_or(|(number, _)| *number != stamp.source) {
            self.source = Some((stamp.source, account.shared.source(stamp.source)));
            if !self.layered {
                (self.seen, self.first) = (Seen::new(), None);
            }
        }
        let number = if self.layered { extended } else { stamp.counter };
        match self.seen.add(number) {
            Order::Again => {
                account.counters.duplicates += 1;
                return;
            }
            Order::Ahead { skipped } => account.counters.missing += skipped,
            Order::Late => {
                account.counters.found += 1;
                account.counters.reordered += u64::from(!repaired);
            }
        }
        if self.first.is_none() {
            self.first = Some(number);
            happened.first_ns = Some(now_ns).filter(|_| !self.video);
        }
        let latency = now_ns.saturating_sub(stamp.sent_ns);
        account.latency.add(latency);
        if stamp.phase != 0 && stamp.phase == account.phase.number {
            account.phase.latency.add(latency);
            if self.phase != stamp.phase {
                (self.phase, self.received, self.recovered, self.span) = (stamp.phase, 0, 0, None);
            }
            self.received += 1;
            self.recovered += u64::from(repaired);
            let (low, high) = self.span.unwrap_or((number, number));
            self.span = Some((low.min(number), high.max(number)));
        }
        self.on_frame(stamp, now_ns, account, happened);
    }

    fn on_frame(&mut self, stamp: &Stamp, now_ns: u64, account: &mut Account<'_>, happened: &mut Happened) {
        let Some(frames) = &mut self.frames else { return };
        let done = frames.on_packet(stamp, now_ns, &freeze(account.shared));
        account.counters.frames_decoded += done.frames;
        if done.frozen_ns > 0 && account.phase.number != 0 {
            account.phase.frozen_ns += done.frozen_ns;
            account.phase.freezes += 1;
        }
        happened.first_ns = happened.first_ns.or(done.first_ns);
    }

    /// Notes what is missing between the newest packet before and this one.
    fn note_gap(&mut self, before: Option<u64>, extended: u64, now_ns: u64) -> bool {
        if !self.nack {
            return false;
        }
        let Some(before) = before else { return false };
        if extended <= before {
            self.missing.retain(|m| m.sequence != extended);
            return false;
        }
        if extended - before == 1 {
            return false;
        }
        if extended - before > MAX_MISSING as u64 || self.missing.len() > MAX_MISSING {
            self.missing.clear();
            return false;
        }
        let new = |sequence| Missing { sequence, since_ns: now_ns, asked_ns: None, tries: 0 };
        self.missing.extend((before + 1..extended).map(new));
        true
    }

    /// Sequence numbers to ask for now; how many.
    pub(crate) fn poll_nacks(&mut self, now_ns: u64, out: &mut [u16]) -> usize {
        self.missing.retain(|m| m.tries < NACK_TRIES && now_ns < m.since_ns + NACK_AGE_NS);
        let due = |m: &&mut Missing| m.asked_ns.is_none_or(|asked| now_ns >= asked + NACK_AGAIN_NS);
        let mut n = 0;
        for (missing, place) in self.missing.iter_mut().filter(due).zip(out) {
            *place = (missing.sequence & 0xffff) as u16;
            missing.asked_ns = Some(now_ns);
            missing.tries += 1;
            n += 1;
        }
        n
    }

    pub(crate) fn is_missing_any(&self) -> bool {
        !self.missing.is_empty()
    }

    pub(crate) fn wants_keyframe(&mut self, now_ns: u64) -> bool {
        self.frames.as_mut().is_some_and(|frames| frames.wants_keyframe(now_ns))
    }

    /// Media of ours came on it.
    pub(crate) const fn was_heard(&self) -> bool {
        self.first.is_some()
    }

    /// What became of this stream in the measurement. `left`: its subscriber goes now, so that what is under way to it is
    /// no loss.
    pub(crate) fn settle(&self, phase: &mut Phase, now_ns: u64, shared: &Shared, left: bool) {
        let Some(first) = self.first else { return };
        let (received, recovered, span) = if self.phase == phase.number {
            (self.received, self.recovered, self.span)
        } else {
            (0, 0, None)
        };
        let counted = span.map_or(0, |(low, high)| high - low + 1);
        let source = self.source.as_ref().and_then(|(_, source)| source.as_ref());
        let expected = match source.and_then(|source| source.sent_in(phase.number)) {
            _ if self.layered || left => counted,
            Some((start, end)) => end.saturating_sub(start.max(first)),
            None => counted,
        };
        // Nobody can say what should have come, but something should.
        phase.silent += u64::from(received == 0 && !left && (self.layered || source.is_none()));
        phase.add_stream(expected, received, recovered, self.video);
        if let Some(frames) = &self.frames {
            let standing = if left { 0 } else { frames.standing(now_ns, &freeze(shared)) };
            phase.frozen_ns += standing;
            phase.freezes += u64::from(standing > 0);
        }
    }
}

fn freeze(shared: &Shared) -> Freeze {
    Freeze { limit_ns: shared.settings.freeze_ns, measured: shared.measured() }
}

#[cfg(test)]
#[path = "receive_tests.rs"]
mod tests;
