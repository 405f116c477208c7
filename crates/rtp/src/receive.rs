//! Reception of one source SSRC: extended sequence numbers, jitter, loss, report blocks, and NACK generation.
//!
//! Purpose: the receiver's side of RFC 3550 (appendix A.1, A.3, A.8) and RFC 4585 section 6.2.1.
//! Invariants: extended numbers only grow with the newest packet; the list of missing packets is bounded by
//! [`MAX_MISSING`], a larger gap asks for a keyframe instead.
//! Deliberately absent: timers (the caller polls), audio NACK (Janus does not nack audio either).

use crate::num::{low8, low16, low32, ticks};
use crate::rtcp::ReportBlock;
use crate::window::BitWindow;

/// A packet this far behind the newest is taken for a restarted sender if its successor comes too.
pub const MAX_MISORDER: u16 = 3000;
/// Missing packets remembered per source; a gap beyond it asks for a keyframe.
pub const MAX_MISSING: usize = 256;
/// After the packet was noticed missing: the first NACK. It may only be late.
pub const NACK_AFTER_US: u64 = 12_000;
/// Between two NACKs for a packet: at least so much longer each time, and long enough for an answer. NACKs and answers are
/// lost, too: with two tries, 5 % loss each way leaves a hole for ever in one of a hundred cases, several a minute.
pub const NACK_STEP_US: u64 = 40_000;
/// The round trip until one is known.
pub const NACK_ROUND_TRIP_US: u64 = 100_000;
/// A packet missing for longer is given up.
pub const NACK_GIVE_UP_US: u64 = 1_000_000;

/// So far above what was another stream's numbers begin, at least: also what comes of it late is above.
const RESTART_GAP: u64 = 8192;

/// Extends 16-bit sequence numbers to 64 bits.
#[derive(Debug, Clone, Default)]
pub struct SequenceUnwrapper {
    highest: Option<u64>,
    suspect: Option<u16>,
    /// The next packet is the first of another stream.
    restarts: bool,
}

impl SequenceUnwrapper {
    /// Before the first packet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Extended number of a packet. The first one lies in the second cycle, so that earlier packets which come
    /// late have a number too. `None` for a packet far behind (a single stray, or the first of a restart).
    #[inline]
    pub fn unwrap(&mut self, sequence: u16) -> Option<u64> {
        let Some(highest) = self.highest else {
            let first = (1 << 16) + u64::from(sequence);
            self.highest = Some(first);
            return Some(first);
        };
        if std::mem::take(&mut self.restarts) {
            let above = highest + RESTART_GAP;
            let extended = above + u64::from(sequence.wrapping_sub(low16(above)));
            self.highest = Some(extended);
            return Some(extended);
        }
        let ahead = sequence.wrapping_sub(low16(highest));
        if ahead < 0x8000 {
            self.suspect = None;
            let extended = highest + u64::from(ahead);
            self.highest = Some(extended);
            return Some(extended);
        }
        let behind = ahead.wrapping_neg();
        if behind <= MAX_MISORDER {
            return highest.checked_sub(u64::from(behind));
        }
        // RFC 3550 appendix A.1: two packets in a row after a large jump mean that the sender restarted.
        if self.suspect == Some(sequence) {
            self.suspect = None;
            let extended = highest + u64::from(ahead);
            self.highest = Some(extended);
            return Some(extended);
        }
        self.suspect = Some(sequence.wrapping_add(1));
        None
    }

    /// The numbers that follow are those of another stream in the same place: they go on above all that were, far enough to be
    /// taken for a restart ([`crate::mapping::MAX_JUMP`]).
    pub const fn restart(&mut self) {
        self.restarts = true;
        self.suspect = None;
    }

    /// The highest number so far.
    #[must_use]
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }
}

/// Statistics of one received SSRC.
#[derive(Debug, Clone)]
pub struct ReceiverStats {
    clock_rate: u32,
    base: u64,
    highest: u64,
    received: u64,
    repaired: u64,
    bytes: u64,
    /// Of streams that had the place before: received, repaired, bytes, lost.
    earlier: [u64; 4],
    duplicates: u64,
    seen: BitWindow,
    transit: Option<u32>,
    /// Jitter in timestamp units, times 16.
    jitter16: u64,
    last_packet_us: Option<u64>,
    report: Snapshot,
    second: Snapshot,
    sender_report: Option<(u32, u64)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Snapshot {
    expected: u64,
    received: u64,
}

impl Snapshot {
    fn since(self, earlier: Self) -> (u64, u64) {
        let expected = self.expected.saturating_sub(earlier.expected);
        (expected, expected.saturating_sub(self.received.saturating_sub(earlier.received)))
    }
}

impl ReceiverStats {
    /// For a stream of the given clock.
    #[must_use]
    pub fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate,
            base: 0,
            highest: 0,
            received: 0,
            repaired: 0,
            bytes: 0,
            earlier: [0; 4],
            duplicates: 0,
            seen: BitWindow::new(),
            transit: None,
            jitter16: 0,
            last_packet_us: None,
            report: Snapshot::default(),
            second: Snapshot::default(),
            sender_report: None,
        }
    }

    /// What comes from now on is another stream's: reports begin anew, and totals go on.
    pub fn restart(&mut self) {
        let earlier = [self.received(), self.repaired(), self.bytes(), self.lost()];
        *self = Self { earlier, duplicates: self.duplicates, ..Self::new(self.clock_rate) };
    }

    /// Counts a packet; false for a duplicate or one far too old. `len` is the payload's length.
    #[inline]
    pub fn on_packet(&mut self, sequence: u64, timestamp: u32, len: usize, now_us: u64) -> bool {
        if !self.is_new(sequence, len, now_us) {
            return false;
        }
        if sequence >= self.highest {
            self.highest = sequence;
            self.on_transit(timestamp, now_us);
        }
        true
    }

    /// Counts a packet that came as a retransmission in a stream of its own (RFC 4588); false for one that is here
    /// already or is far too old. It was lost all the same: reports tell the sender what the path does, and a repair
    /// that hid it would keep its rate too high.
    pub fn on_repair(&mut self, sequence: u64, len: usize, now_us: u64) -> bool {
        if !self.is_new(sequence, len, now_us) {
            return false;
        }
        self.repaired += 1;
        self.highest = self.highest.max(sequence);
        true
    }

    /// Counts a packet, unless it is a duplicate or far too old.
    #[inline]
    fn is_new(&mut self, sequence: u64, len: usize, now_us: u64) -> bool {
        if self.last_packet_us.is_none() {
            self.base = sequence;
            self.highest = sequence;
        }
        if !self.seen.try_set(sequence) {
            self.duplicates += 1;
            return false;
        }
        // A packet from before the first one widens the range, or the loss would turn negative.
        self.base = self.base.min(sequence);
        self.received += 1;
        self.bytes += crate::num::wide(len);
        self.last_packet_us = Some(now_us);
        true
    }

    /// RFC 3550 appendix A.8.
    fn on_transit(&mut self, timestamp: u32, now_us: u64) {
        let transit = ticks(now_us, self.clock_rate).wrapping_sub(timestamp);
        if let Some(last) = self.transit.replace(transit) {
            let distance = transit.wrapping_sub(last).cast_signed().unsigned_abs();
            self.jitter16 = self.jitter16 + u64::from(distance) - ((self.jitter16 + 8) >> 4);
        }
    }

    /// Remembers a sender report: middle 32 bits of its NTP time.
    pub fn on_sender_report(&mut self, ntp_middle: u32, now_us: u64) {
        self.sender_report = Some((ntp_middle, now_us));
    }

    /// The report block about `ssrc`; starts a new reporting interval. `None` before the first packet.
    pub fn report(&mut self, ssrc: u32, now_us: u64) -> Option<ReportBlock> {
        self.last_packet_us?;
        let now = self.snapshot();
        let (expected, lost) = now.since(self.report);
        self.report = now;
        let fraction = (lost << 8).checked_div(expected).unwrap_or(0);
        let (last_sr, delay) = self.sender_report.map_or((0, 0), |(middle, at)| {
            let elapsed = u128::from(now_us.saturating_sub(at)) * 65_536 / 1_000_000;
            (middle, u32::try_from(elapsed).unwrap_or(u32::MAX))
        });
        Some(ReportBlock {
            ssrc,
            fraction_lost: low8(fraction.min(255)),
            cumulative_lost: i32::try_from(self.lost_now()).unwrap_or(i32::MAX).min(0x7f_ffff),
            highest_sequence: low32(self.highest.wrapping_sub(1 << 16)),
            jitter: self.jitter(),
            last_sr,
            delay_since_last_sr: delay,
        })
    }

    /// Packets that went missing since this was called last; call it once a second for the slow-link rule.
    pub fn take_lost(&mut self) -> u64 {
        let now = self.snapshot();
        let (_, lost) = now.since(self.second);
        self.second = now;
        lost
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot { expected: self.expected(), received: self.in_time() }
    }

    fn expected(&self) -> u64 {
        if self.last_packet_us.is_none() { 0 } else { self.highest - self.base + 1 }
    }

    /// Interarrival jitter in timestamp units.
    #[must_use]
    pub fn jitter(&self) -> u32 {
        low32(self.jitter16 >> 4)
    }

    /// Packets lost so far, those that a repair brought among them; never negative because duplicates do not count.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.earlier[3] + self.lost_now()
    }

    fn lost_now(&self) -> u64 {
        self.expected().saturating_sub(self.in_time())
    }

    /// Packets that came by themselves.
    fn in_time(&self) -> u64 {
        self.received.saturating_sub(self.repaired)
    }

    /// Packets that came as retransmissions.
    #[must_use]
    pub fn repaired(&self) -> u64 {
        self.earlier[1] + self.repaired
    }

    /// Packets received, repaired ones among them, duplicates excluded.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.earlier[0] + self.received
    }

    /// Payload bytes received.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.earlier[2] + self.bytes
    }

    /// Duplicates and strays that were not counted.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// When the newest packet came: for "no media" timers.
    #[must_use]
    pub fn last_packet_us(&self) -> Option<u64> {
        self.last_packet_us
    }
}

/// What the NACK generator makes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// Nothing new is missing.
    None,
    /// This packet was missing and is here now.
    Recovered,
    /// So many packets are missing now, from before this one.
    Missing(u16),
    /// Too many are missing: ask for a keyframe.
    TooLarge,
}

/// Finds missing packets of one video source and says when to ask for them.
#[derive(Debug, Clone, Default)]
pub struct NackGenerator {
    highest: Option<u64>,
    missing: Vec<Missing>,
    /// The newest packet that begins a keyframe.
    keyframe: Option<u64>,
    given_up: bool,
}

#[derive(Debug, Clone, Copy)]
struct Missing {
    sequence: u64,
    since_us: u64,
    asked: u8,
    /// When to ask next.
    ask_us: u64,
}

impl Missing {
    fn gives_up_us(&self) -> u64 {
        self.since_us + NACK_GIVE_UP_US
    }
}

impl NackGenerator {
    /// Before the first packet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of a packet that arrived (original or recovered by RTX).
    #[inline]
    pub fn on_packet(&mut self, sequence: u64, now_us: u64) -> Gap {
        let Some(highest) = self.highest else {
            self.highest = Some(sequence);
            return Gap::None;
        };
        if sequence <= highest {
            return match self.missing.binary_search_by_key(&sequence, |m| m.sequence) {
                Ok(at) => {
                    self.missing.remove(at);
                    Gap::Recovered
                }
                Err(_) => Gap::None,
            };
        }
        self.highest = Some(sequence);
        if sequence - highest == 1 {
            return Gap::None;
        }
        self.on_gap(highest + 1, sequence, now_us)
    }

    #[cold]
    fn on_gap(&mut self, from: u64, to: u64, now_us: u64) -> Gap {
        let count = to - from;
        let room = MAX_MISSING - self.missing.len().min(MAX_MISSING);
        if count > crate::num::wide(room) {
            self.missing.clear();
            return Gap::TooLarge;
        }
        let (since_us, ask_us) = (now_us, now_us + NACK_AFTER_US);
        self.missing.extend((from..to).map(|sequence| Missing { sequence, since_us, asked: 0, ask_us }));
        Gap::Missing(low16(count))
    }

    /// Sequence numbers to ask for now, in ascending order of extended number, into `out`; returns how many. What
    /// does not fit is asked for at the next call. `round_trip_us` is 0 while it is not known.
    pub fn poll_nacks(&mut self, now_us: u64, round_trip_us: u64, out: &mut [u16]) -> usize {
        self.give_up(now_us);
        let known = if round_trip_us == 0 { NACK_ROUND_TRIP_US } else { round_trip_us };
        // A sender does not send a packet twice within what it believes is the round trip.
        let answered = known.saturating_add(known / 4);
        let mut count = 0;
        for missing in &mut self.missing {
            if now_us < missing.ask_us {
                continue;
            }
            let Some(place) = out.get_mut(count) else { break };
            *place = low16(missing.sequence);
            missing.asked = missing.asked.saturating_add(1);
            missing.ask_us = now_us.saturating_add(answered.max(u64::from(missing.asked) * NACK_STEP_US));
            count += 1;
        }
        count
    }

    fn give_up(&mut self, now_us: u64) {
        let (keyframe, given_up) = (self.keyframe, &mut self.given_up);
        self.missing.retain(|m| {
            let waits = now_us < m.gives_up_us();
            *given_up |= !waits && keyframe.is_none_or(|keyframe| m.sequence >= keyframe);
            waits
        });
    }

    /// Whether a packet was given up since the last call that no keyframe has made needless.
    pub fn take_given_up(&mut self) -> bool {
        std::mem::take(&mut self.given_up)
    }

    /// When [`NackGenerator::poll_nacks`] has something to do next.
    #[must_use]
    pub fn next_us(&self) -> Option<u64> {
        self.missing.iter().map(|m| m.ask_us.min(m.gives_up_us())).min()
    }

    /// Whether a packet is being waited for.
    #[must_use]
    pub fn is_missing(&self, sequence: u64) -> bool {
        self.missing.binary_search_by_key(&sequence, |m| m.sequence).is_ok()
    }

    /// Number of packets being waited for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.missing.len()
    }

    /// Whether nothing is being waited for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty()
    }

    /// A keyframe begins at `sequence`. What is missing from before it is still asked for (receivers show those
    /// frames, too), but nothing hangs on it any more.
    #[inline]
    pub fn on_keyframe(&mut self, sequence: u64) {
        self.keyframe = self.keyframe.max(Some(sequence));
    }
}

#[cfg(test)]
mod tests;
