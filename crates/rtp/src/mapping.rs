//! Continuity of one outgoing stream: sequence numbers, timestamps, picture ids and frame numbers across source
//! switches, dropped packets and pauses.
//!
//! Purpose: give every forwarded source packet its sink number, the same one whenever it comes.
//! Invariants: a sink number is given out once, so two source packets never share one and a duplicate gets none; a
//! packet dropped on purpose leaves no gap
//! unless later packets already left (then the number is reported as a [`Dropped::Hole`] to be filled); a packet
//! older than the remembered history, or of a source that was left, gets no number.
//! Deliberately absent: the choice what to drop (`layers`), and what was sent (`store`).

use std::collections::VecDeque;

use crate::codec::{Descriptor, Layer, PayloadInfo, PayloadRewrite, PictureId};
use crate::num::{low16, ticks};
use crate::window::BitWindow;

/// Runs of dropped packets remembered per sink; a reordered packet older than all of them is refused.
pub const MAX_RUNS: usize = 64;

/// A forward jump of the source by more than this is taken for a restarted sender: the sink goes on by one.
pub const MAX_JUMP: u64 = 2048;

/// Names a source stream (one SSRC) of the caller; a change of it is a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// A source packet as the mapping sees it.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The stream it belongs to.
    pub source: SourceId,
    /// Extended source sequence number ([`crate::receive::SequenceUnwrapper`]).
    pub sequence: u64,
    /// Source timestamp.
    pub timestamp: u32,
    /// What its payload says.
    pub info: &'a PayloadInfo,
}

/// The numbers of a forwarded packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapped {
    /// Extended sink sequence number: the SRTP index of the packet on this leg.
    pub index: u64,
    /// Sink sequence number, the low 16 bits of `index`.
    pub sequence: u16,
    /// Sink timestamp.
    pub timestamp: u32,
    /// Descriptor fields to patch.
    pub payload: PayloadRewrite,
    /// Frame number for the dependency descriptor.
    pub frame_number: Option<u16>,
    /// This is the first packet after a switch or pause.
    pub restarted: bool,
}

/// What became of the number of a packet that was dropped on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// Mapped away, or it never had one.
    Removed,
    /// Later packets already left: this sink number (timestamp with it) stays empty. A padding-only packet with it
    /// spares the receiver a NACK that can never be answered.
    Hole {
        /// Extended sink sequence number.
        index: u64,
        /// Sink timestamp.
        timestamp: u32,
    },
}

/// A run of dropped packets and the offsets in force behind it.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: u64,
    end: u64,
    after: Offsets,
}

/// Source value minus sink value.
#[derive(Debug, Clone, Copy, Default)]
struct Offsets {
    sequence: u64,
    picture: u16,
}

/// Mapping of the source in force.
#[derive(Debug, Clone)]
struct Current {
    source: SourceId,
    /// The oldest source number that maps, and the offsets in force there.
    base: u64,
    base_offsets: Offsets,
    offsets: Offsets,
    /// Highest source number seen, forwarded or dropped.
    newest: u64,
    newest_timestamp: u32,
    newest_layer: Option<Layer>,
    newest_dropped: bool,
    /// Newest source picture id seen.
    newest_picture: Option<PictureId>,
    timestamp: u32,
    tl0: u8,
    keyidx: u8,
    frame: u16,
}

/// What left last, by number; a switch goes on from here.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    timestamp: u32,
    at_us: u64,
    picture: Option<u16>,
    tl0: u8,
    keyidx: u8,
    frame: Option<u16>,
}

/// The mapping of one outgoing stream.
#[derive(Debug, Clone)]
pub struct SinkStream {
    clock_rate: u32,
    current: Option<Current>,
    restart: bool,
    runs: VecDeque<Run>,
    /// Extended number the next new packet takes.
    next_index: u64,
    started: bool,
    used: BitWindow,
    last: Last,
}

impl SinkStream {
    /// A stream that begins with the given sequence number and timestamp (random ones, RFC 3550 section 5.1).
    #[must_use]
    pub fn new(clock_rate: u32, first_sequence: u16, first_timestamp: u32) -> Self {
        Self {
            clock_rate,
            current: None,
            restart: false,
            runs: VecDeque::new(),
            next_index: u64::from(first_sequence),
            started: false,
            used: BitWindow::new(),
            last: Last { timestamp: first_timestamp, ..Last::default() },
        }
    }

    /// The source in force.
    #[must_use]
    pub fn source(&self) -> Option<SourceId> {
        self.current.as_ref().map(|c| c.source)
    }

    /// Extended number of the newest packet that left, if any did.
    #[must_use]
    pub fn newest_index(&self) -> Option<u64> {
        self.started.then(|| self.next_index.wrapping_sub(1))
    }

    /// The next forwarded packet continues after a break: sequence +1, timestamp by the elapsed time. Packets from
    /// before it no longer map.
    pub fn pause(&mut self) {
        self.restart = true;
    }

    /// Changes the clock rate when the codec of the leg changes; takes effect as a break.
    pub fn set_clock_rate(&mut self, clock_rate: u32) {
        if self.clock_rate != clock_rate {
            self.clock_rate = clock_rate;
            self.restart = true;
        }
    }

    /// Numbers for a packet to be forwarded; `None` if it cannot be numbered (too old, dropped before, or of a
    /// source or time that was left).
    #[inline(always)]
    pub fn try_map(&mut self, packet: &Arrival<'_>, now_us: u64) -> Option<Mapped> {
        let restarted = self.restart || !self.continues(packet);
        if restarted {
            let stale = |c: &Current| c.source == packet.source && packet.sequence <= c.newest;
            if self.current.as_ref().is_some_and(stale) {
                return None;
            }
            self.switch(packet, now_us);
        }
        let current = self.current.as_mut()?;
        let newer = restarted || packet.sequence > current.newest;
        let offsets =
            if newer { current.offsets } else { current.offsets_at(packet.sequence, &self.runs)? };
        let index = packet.sequence.wrapping_sub(offsets.sequence);
        if !self.used.try_set(index) {
            return None;
        }
        let own = Fields::of(packet.info);
        let fields = own.shifted(offsets.picture, current);
        let mapped = Mapped {
            index,
            sequence: low16(index),
            timestamp: packet.timestamp.wrapping_sub(current.timestamp),
            payload: if fields == own { PayloadRewrite::Keep } else { fields.rewrite(packet.info) },
            frame_number: packet.info.dependency.map(|d| d.number.wrapping_sub(current.frame)),
            restarted,
        };
        if newer {
            current.advance(packet, false);
            self.next_index = index.wrapping_add(1);
            self.started = true;
            self.last.remember(&mapped, &fields, now_us);
        }
        Some(mapped)
    }

    /// Takes out a packet of the source in force that is not forwarded (upper temporal layer, padding only).
    pub fn on_drop(&mut self, packet: &Arrival<'_>) -> Dropped {
        if self.restart || !self.continues(packet) {
            return Dropped::Removed;
        }
        let Some(current) = self.current.as_mut() else { return Dropped::Removed };
        if packet.sequence <= current.newest {
            let Some(offsets) = current.offsets_at(packet.sequence, &self.runs) else {
                return Dropped::Removed;
            };
            let index = packet.sequence.wrapping_sub(offsets.sequence);
            if !self.used.try_set(index) {
                return Dropped::Removed;
            }
            return Dropped::Hole { index, timestamp: packet.timestamp.wrapping_sub(current.timestamp) };
        }
        // What is missing between two dropped packets of one frame belongs to that frame too.
        let same_frame = current.newest_dropped
            && current.newest_timestamp == packet.timestamp
            && current.newest_layer == packet.info.layer;
        let start = if same_frame { current.newest + 1 } else { packet.sequence };
        let count = packet.sequence - start + 1;
        current.offsets.sequence = current.offsets.sequence.wrapping_add(count);
        if current.is_new_picture(packet.info) {
            current.offsets.picture = current.offsets.picture.wrapping_add(1);
        }
        current.advance(packet, true);
        let after = current.offsets;
        match self.runs.back_mut() {
            Some(run) if run.end + 1 == start => (run.end, run.after) = (packet.sequence, after),
            _ => {
                if self.runs.len() >= MAX_RUNS
                    && let Some(oldest) = self.runs.pop_front()
                {
                    (current.base, current.base_offsets) = (oldest.end + 1, oldest.after);
                }
                self.runs.push_back(Run { start, end: packet.sequence, after });
            }
        }
        Dropped::Removed
    }

    /// The sink timestamp that stands for `now_us`; for sender reports.
    #[must_use]
    pub fn timestamp_at(&self, now_us: u64) -> u32 {
        self.last.timestamp.wrapping_add(self.ticks(now_us))
    }

    /// A source timestamp in the sink's time; `None` if `source` is not in force.
    #[must_use]
    pub fn translate_timestamp(&self, source: SourceId, timestamp: u32) -> Option<u32> {
        let current = self.current.as_ref().filter(|c| c.source == source)?;
        Some(timestamp.wrapping_sub(current.timestamp))
    }

    /// Whether a packet belongs to the numbering in force.
    fn continues(&self, packet: &Arrival<'_>) -> bool {
        self.current.as_ref().is_some_and(|c| {
            c.source == packet.source && packet.sequence.saturating_sub(c.newest) <= MAX_JUMP
        })
    }

    /// Clock ticks from the last packet to `now_us`.
    fn ticks(&self, now_us: u64) -> u32 {
        ticks(now_us.saturating_sub(self.last.at_us), self.clock_rate)
    }

    #[cold]
    fn switch(&mut self, packet: &Arrival<'_>, now_us: u64) {
        let timestamp = if self.started {
            self.last.timestamp.wrapping_add(self.ticks(now_us).max(1))
        } else {
            self.last.timestamp
        };
        let mut offsets = Offsets { sequence: packet.sequence.wrapping_sub(self.next_index), picture: 0 };
        let (mut tl0, mut keyidx) = (0, 0);
        let own = Fields::of(packet.info);
        if let (Some(id), Some(last)) = (own.picture, self.last.picture) {
            offsets.picture = id.value.wrapping_sub(last.wrapping_add(1));
            tl0 = own.tl0.wrapping_sub(self.last.tl0.wrapping_add(1));
            keyidx = own.keyidx.wrapping_sub(self.last.keyidx.wrapping_add(1));
        }
        let frame = match (packet.info.dependency, self.last.frame) {
            (Some(d), Some(last)) => d.number.wrapping_sub(last.wrapping_add(1)),
            _ => 0,
        };
        self.restart = false;
        self.runs.clear();
        self.current = Some(Current {
            source: packet.source,
            base: packet.sequence,
            base_offsets: offsets,
            offsets,
            newest: packet.sequence,
            newest_timestamp: packet.timestamp,
            newest_layer: packet.info.layer,
            newest_dropped: false,
            newest_picture: own.picture,
            timestamp: packet.timestamp.wrapping_sub(timestamp),
            tl0,
            keyidx,
            frame,
        });
    }
}

impl Current {
    /// Offsets for a packet that is not newer than the newest; `None` if it was dropped or is too old.
    #[cold]
    fn offsets_at(&self, sequence: u64, runs: &VecDeque<Run>) -> Option<Offsets> {
        if sequence < self.base {
            return None;
        }
        for run in runs.iter().rev() {
            if sequence > run.end {
                return Some(run.after);
            }
            if sequence >= run.start {
                return None;
            }
        }
        Some(self.base_offsets)
    }

    #[inline(always)]
    fn advance(&mut self, packet: &Arrival<'_>, dropped: bool) {
        self.newest = packet.sequence;
        self.newest_timestamp = packet.timestamp;
        self.newest_layer = packet.info.layer;
        self.newest_dropped = dropped;
        if self.is_new_picture(packet.info) {
            self.newest_picture = Fields::of(packet.info).picture;
        }
    }

    /// Whether a VP8 packet begins a picture id that is newer than all before.
    #[inline(always)]
    fn is_new_picture(&self, info: &PayloadInfo) -> bool {
        // VP9 receivers infer references from picture id distances (RFC 9628 section 4.2.1): its gaps must stay.
        let Descriptor::Vp8(d) = info.descriptor else { return false };
        match (d.picture_id, self.newest_picture) {
            (Some(id), Some(newest)) => {
                let ahead = id.value.wrapping_sub(newest.value) & id.mask();
                ahead != 0 && ahead <= id.mask() / 2
            }
            (Some(_), None) => true,
            _ => false,
        }
    }
}

/// The continuous fields of a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fields {
    picture: Option<PictureId>,
    tl0: u8,
    keyidx: u8,
}

impl Fields {
    #[inline(always)]
    fn of(info: &PayloadInfo) -> Self {
        match info.descriptor {
            Descriptor::Vp8(d) => {
                Self { picture: d.picture_id, tl0: d.tl0.unwrap_or(0), keyidx: d.keyidx.unwrap_or(0) }
            }
            Descriptor::Vp9(d) => Self { picture: d.picture_id, tl0: d.tl0.unwrap_or(0), keyidx: 0 },
            Descriptor::None => Self { picture: None, tl0: 0, keyidx: 0 },
        }
    }

    /// In the sink's numbering.
    #[inline(always)]
    fn shifted(self, picture: u16, current: &Current) -> Self {
        Self {
            picture: self
                .picture
                .map(|id| PictureId { value: id.value.wrapping_sub(picture) & id.mask(), ..id }),
            tl0: self.tl0.wrapping_sub(current.tl0),
            keyidx: self.keyidx.wrapping_sub(current.keyidx) & 0x1f,
        }
    }

    #[inline(always)]
    fn rewrite(self, info: &PayloadInfo) -> PayloadRewrite {
        let picture_id = self.picture.map_or(0, |id| id.value);
        match info.descriptor {
            Descriptor::Vp8(_) => PayloadRewrite::Vp8 { picture_id, tl0: self.tl0, keyidx: self.keyidx },
            Descriptor::Vp9(_) => PayloadRewrite::Vp9 { picture_id, tl0: self.tl0 },
            Descriptor::None => PayloadRewrite::Keep,
        }
    }
}

impl Last {
    #[inline(always)]
    fn remember(&mut self, mapped: &Mapped, fields: &Fields, now_us: u64) {
        (self.timestamp, self.at_us) = (mapped.timestamp, now_us);
        if let Some(id) = fields.picture {
            (self.picture, self.tl0, self.keyidx) = (Some(id.value), fields.tl0, fields.keyidx);
        }
        self.frame = mapped.frame_number.or(self.frame);
    }
}

#[cfg(test)]
mod tests;
