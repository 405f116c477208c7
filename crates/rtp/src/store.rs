//! What was received and what was sent, for retransmission.
//!
//! Purpose: [`SourceStore`] holds the payloads of one source stream once; [`RetransmitIndex`] holds, per sink, the
//! few values that rebuild a sent packet from them.
//! Invariants: a stored packet never changes; an entry rebuilds the identical packet (same rewrite, same stamp) or
//! nothing; every ring is bounded, and resends are bounded per packet and by a byte budget.
//! Deliberately absent: sealing, and RTX numbering (the caller's own stream).

use crate::codec::PayloadRewrite;
use crate::extension::ExtensionOffsets;
use crate::mapping::SourceId;
use crate::num::{len16, low16, low32, narrow, wide};
use crate::packet::{MAX_PACKET, RtpHeader, RtpView};
use crate::write::{Rewrite, SourcePacket, Stamp};

/// Fewest and most packets a [`SourceStore`] has room for.
pub const STORE_PACKETS: (usize, usize) = (32, 1024);
/// Fewest and most packets a [`RetransmitIndex`] remembers.
pub const INDEX_PACKETS: (usize, usize) = (128, 1024);
/// Shortest time between two transmissions of a packet; it doubles each time, and is never less than the round trip.
pub const RESEND_FLOOR_US: u64 = 40_000;
/// Longest time between two transmissions of a packet that still applies after doubling.
pub const RESEND_CEILING_US: u64 = 1_000_000;
/// A packet older than this is not sent again.
pub const RESEND_MAX_AGE_US: u64 = 1_000_000;
/// Resent bytes allowed for each 100 bytes sent first.
pub const RESEND_PERCENT: u64 = 25;
/// Resent bytes allowed at once.
pub const RESEND_BURST: u64 = 48_000;

/// What [`SourceStore::insert`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// Kept.
    New,
    /// The number is there already: drop this copy (an original and its RTX can both arrive).
    Duplicate,
    /// Too old for the ring, or too large; not kept.
    Refused,
}

#[derive(Debug)]
struct Slot {
    sequence: u64,
    received_us: u64,
    len: u16,
    header: RtpHeader,
    extensions: ExtensionOffsets,
    bytes: [u8; MAX_PACKET],
}

/// Ring of the packets of one source stream. Slots are allocated when first used, then reused; there are more of them only
/// while the packet in the way of another is young enough to be asked for.
#[derive(Debug)]
pub struct SourceStore {
    slots: Vec<Option<Box<Slot>>>,
    /// As many slots as there may be.
    capacity: usize,
    max_age_us: u64,
    newest: Option<u64>,
}

impl SourceStore {
    /// For at most `packets` packets (clamped to [`STORE_PACKETS`], rounded up to a power of two) of at most `max_age_us`.
    #[must_use]
    pub fn new(packets: usize, max_age_us: u64) -> Self {
        let capacity = packets.clamp(STORE_PACKETS.0, STORE_PACKETS.1).next_power_of_two();
        let slots = (0..STORE_PACKETS.0).map(|_| None).collect();
        Self { slots, capacity, max_age_us, newest: None }
    }

    /// Keeps a copy of a decrypted packet under its extended sequence number.
    #[inline]
    pub fn insert(&mut self, sequence: u64, packet: &SourcePacket<'_>, now_us: u64) -> Stored {
        let bytes = packet.view.bytes();
        while self.slots.len() < self.capacity && self.is_in_the_way(sequence, now_us) {
            if self.newest.is_some_and(|newest| sequence + wide(self.capacity) <= newest) {
                return Stored::Refused;
            }
            self.grow();
        }
        let count = wide(self.slots.len());
        if bytes.len() > MAX_PACKET || self.newest.is_some_and(|newest| sequence + count <= newest) {
            return Stored::Refused;
        }
        let place = narrow(sequence % count);
        let Some(entry) = self.slots.get_mut(place) else { return Stored::Refused };
        let slot = entry.get_or_insert_with(|| {
            Box::new(Slot {
                sequence: u64::MAX,
                received_us: 0,
                len: 0,
                header: *packet.view.header(),
                extensions: packet.extensions,
                bytes: [0; MAX_PACKET],
            })
        });
        if slot.sequence == sequence {
            return Stored::Duplicate;
        }
        slot.sequence = sequence;
        slot.received_us = now_us;
        slot.len = len16(bytes.len());
        slot.header = *packet.view.header();
        slot.extensions = packet.extensions;
        if let Some(room) = slot.bytes.get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
        }
        self.newest = Some(self.newest.map_or(sequence, |newest| newest.max(sequence)));
        Stored::New
    }

    /// Whether another packet that may still be asked for has the place of this one.
    #[inline]
    fn is_in_the_way(&self, sequence: u64, now_us: u64) -> bool {
        let there = self.slots.get(narrow(sequence % wide(self.slots.len()).max(1)));
        let there = there.and_then(Option::as_deref);
        there.is_some_and(|slot| {
            slot.sequence != sequence && now_us.saturating_sub(slot.received_us) <= self.max_age_us
        })
    }

    /// Twice the room; every packet goes to its new place, where no other was.
    #[cold]
    fn grow(&mut self) {
        let count = self.slots.len() * 2;
        let larger = (0..count).map(|_| None).collect();
        for slot in std::mem::replace(&mut self.slots, larger).into_iter().flatten() {
            if let Some(place) = self.slots.get_mut(narrow(slot.sequence % wide(count))) {
                *place = Some(slot);
            }
        }
    }

    /// The packet of an extended sequence number, if it is still there and young enough.
    #[must_use]
    pub fn get(&self, sequence: u64, now_us: u64) -> Option<SourcePacket<'_>> {
        let place = narrow(sequence % wide(self.slots.len()).max(1));
        let slot = self.slots.get(place)?.as_deref().filter(|slot| slot.sequence == sequence)?;
        if now_us.saturating_sub(slot.received_us) > self.max_age_us {
            return None;
        }
        let bytes = slot.bytes.get(..usize::from(slot.len))?;
        let view = RtpView::with_header(bytes, slot.header).ok()?;
        Some(SourcePacket { view, extensions: slot.extensions })
    }

    /// As [`SourceStore::get`], by the low 32 bits of the number, as [`Resend`] names it.
    #[must_use]
    pub fn get_low(&self, sequence: u32, now_us: u64) -> Option<SourcePacket<'_>> {
        let newest = self.newest?;
        let back = low32(newest).wrapping_sub(sequence);
        self.get(newest.checked_sub(u64::from(back))?, now_us)
    }

    /// The newest number stored.
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// Bytes held, for the memory metric.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.slots.iter().flatten().count() * size_of::<Slot>() + self.slots.capacity() * size_of::<usize>()
    }
}

/// Why a NACKed packet is not sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Never sent, or forgotten.
    Unknown,
    /// Older than [`RESEND_MAX_AGE_US`].
    TooOld,
    /// Sent again less than the back-off ago.
    TooSoon,
    /// The byte budget of this sink is used up.
    Budget,
    /// The sink renegotiated since: the packet cannot be rebuilt identically.
    Revised,
}

/// A packet to be sent again: what to fetch and how to write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resend {
    /// The source stream whose store holds it.
    pub source: SourceId,
    /// Low 32 bits of the extended source sequence number, for [`SourceStore::get_low`].
    pub source_sequence: u32,
    /// Extended sink number: SRTP index of a plain resend.
    pub index: u64,
    /// As it was sent.
    pub rewrite: Rewrite,
    /// As it was sent; a plain resend uses it, RTX takes a new one.
    pub stamp: Stamp,
}

/// A packet that leaves, as the index remembers it.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// Extended sink number.
    pub index: u64,
    /// The source stream.
    pub source: SourceId,
    /// Extended source number.
    pub source_sequence: u64,
    /// As it was written.
    pub rewrite: &'a Rewrite,
    /// As it was written.
    pub stamp: &'a Stamp,
    /// [`crate::write::SinkExtensions::revision`] it was written under.
    pub revision: u16,
    /// Length as written.
    pub len: usize,
}

/// 40 bytes a packet.
#[derive(Debug, Clone, Copy)]
struct Entry {
    source: u32,
    source_sequence: u32,
    timestamp: u32,
    abs_send_time: u32,
    /// Milliseconds, wrapping: first and latest transmission.
    sent_ms: u32,
    resent_ms: u32,
    sequence: u16,
    transport_cc: u16,
    picture_id: u16,
    frame_number: u16,
    revision: u16,
    len: u16,
    tl0: u8,
    keyidx: u8,
    padding: u8,
    /// Marker in the top bit.
    payload_type: u8,
    resends: u8,
    kind: Kind,
    has_frame: bool,
    used: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Keep,
    Vp8,
    Vp9,
}

/// What one sink sent, by its own sequence numbers.
#[derive(Debug)]
pub struct RetransmitIndex {
    ssrc: u32,
    entries: Vec<Entry>,
    capacity: usize,
    newest: Option<u64>,
    budget: u64,
}

impl RetransmitIndex {
    /// For the leg with `ssrc`, remembering `packets` packets (clamped to [`INDEX_PACKETS`], rounded up to a power
    /// of two). Memory is taken with the first packet, and more only while what it has no room for is young enough to
    /// be asked for.
    #[must_use]
    pub fn new(ssrc: u32, packets: usize) -> Self {
        let capacity = packets.clamp(INDEX_PACKETS.0, INDEX_PACKETS.1).next_power_of_two();
        Self { ssrc, entries: Vec::new(), capacity, newest: None, budget: RESEND_BURST }
    }

    /// Remembers a packet that leaves for the first time.
    #[inline]
    pub fn record(&mut self, sent: &Sent<'_>, now_us: u64) {
        if self.entries.is_empty() {
            self.entries.resize(INDEX_PACKETS.0, Entry::EMPTY);
        }
        self.budget = (self.budget + wide(sent.len) * RESEND_PERCENT / 100).min(RESEND_BURST);
        while self.entries.len() < self.capacity && self.is_in_the_way(sent.index, now_us) {
            self.grow(now_us);
        }
        if self.newest.is_some_and(|newest| sent.index + wide(self.entries.len()) <= newest) {
            return;
        }
        let place = self.place(sent.index);
        if let Some(entry) = self.entries.get_mut(place) {
            *entry = Entry::of(sent, now_us);
        }
        self.newest = Some(self.newest.map_or(sent.index, |newest| newest.max(sent.index)));
    }

    fn place(&self, index: u64) -> usize {
        narrow(index % wide(self.entries.len()).max(1))
    }

    /// Whether another packet that may still be asked for has the place of this one.
    fn is_in_the_way(&self, index: u64, now_us: u64) -> bool {
        let there = self.entries.get(self.place(index));
        there.is_some_and(|e| e.sequence != low16(index) && e.is_young(now_us))
    }

    /// Twice the room; every packet that may still be asked for goes to its new place.
    fn grow(&mut self, now_us: u64) {
        let larger = vec![Entry::EMPTY; self.entries.len() * 2];
        let known = std::mem::replace(&mut self.entries, larger);
        let Some(newest) = self.newest else { return };
        for entry in known.into_iter().filter(|e| e.is_young(now_us)) {
            let back = low16(newest).wrapping_sub(entry.sequence);
            let place = newest.checked_sub(u64::from(back)).map(|index| self.place(index));
            if let Some(to) = place.and_then(|place| self.entries.get_mut(place)) {
                *to = entry;
            }
        }
    }

    /// A receiver asks for a sink sequence number again. On success the resend counts as done.
    ///
    /// # Errors
    /// The [`Refusal`]; the caller counts it.
    pub fn try_resend(
        &mut self,
        sequence: u16,
        rtt_us: u64,
        revision: u16,
        now_us: u64,
    ) -> Result<Resend, Refusal> {
        let newest = self.newest.ok_or(Refusal::Unknown)?;
        let back = low16(newest).wrapping_sub(sequence);
        let index = newest.checked_sub(u64::from(back)).ok_or(Refusal::Unknown)?;
        let place = self.place(index);
        let entry = self.entries.get_mut(place).ok_or(Refusal::Unknown)?;
        if !entry.used || entry.sequence != sequence || usize::from(back) >= self.capacity {
            return Err(Refusal::Unknown);
        }
        if entry.revision != revision {
            return Err(Refusal::Revised);
        }
        let now_ms = low32(now_us / 1000);
        if u64::from(now_ms.wrapping_sub(entry.sent_ms)) * 1000 > RESEND_MAX_AGE_US {
            return Err(Refusal::TooOld);
        }
        if entry.resends > 0 {
            // An answer that was lost must be given again within the time that the receiver asks: the round trip
            // alone is no reason to wait longer each time.
            let doubled = RESEND_FLOOR_US << (entry.resends - 1).min(8);
            let wait = doubled.max(rtt_us).min(RESEND_CEILING_US);
            if u64::from(now_ms.wrapping_sub(entry.resent_ms)) * 1000 < wait {
                return Err(Refusal::TooSoon);
            }
        }
        let cost = u64::from(entry.len);
        self.budget = self.budget.checked_sub(cost).ok_or(Refusal::Budget)?;
        entry.resends = entry.resends.saturating_add(1);
        entry.resent_ms = now_ms;
        Ok(entry.resend(self.ssrc, index))
    }

    /// The `n`th newest packet that is still young, and its length: what a probe may send once more as RTX. It does
    /// not count as a resend.
    #[must_use]
    pub fn repeat(&self, n: usize, revision: u16, now_us: u64) -> Option<(Resend, usize)> {
        let index = self.newest?.checked_sub(wide(n))?;
        let entry = self.entries.get(self.place(index))?;
        let age = u64::from(low32(now_us / 1000).wrapping_sub(entry.sent_ms)) * 1000;
        let known = n < self.capacity && entry.used && entry.sequence == low16(index);
        (known && entry.revision == revision && age <= RESEND_MAX_AGE_US)
            .then(|| (entry.resend(self.ssrc, index), usize::from(entry.len)))
    }

    /// Forgets everything (a keyframe made older packets useless: `nack_optimizations`).
    pub fn clear(&mut self) {
        self.entries.fill(Entry::EMPTY);
    }

    /// Bytes that may be resent now.
    #[must_use]
    pub fn budget(&self) -> u64 {
        self.budget
    }
}

impl Entry {
    const EMPTY: Self = Self {
        source: 0,
        source_sequence: 0,
        timestamp: 0,
        abs_send_time: 0,
        sent_ms: 0,
        resent_ms: 0,
        sequence: 0,
        transport_cc: 0,
        picture_id: 0,
        frame_number: 0,
        revision: 0,
        len: 0,
        tl0: 0,
        keyidx: 0,
        padding: 0,
        payload_type: 0,
        resends: 0,
        kind: Kind::Keep,
        has_frame: false,
        used: false,
    };

    #[inline]
    /// It may still be asked for.
    fn is_young(&self, now_us: u64) -> bool {
        self.used && u64::from(low32(now_us / 1000).wrapping_sub(self.sent_ms)) * 1000 <= RESEND_MAX_AGE_US
    }

    fn of(sent: &Sent<'_>, now_us: u64) -> Self {
        let Rewrite { payload_type, sequence, timestamp, marker, payload, frame_number, .. } = *sent.rewrite;
        let (kind, picture_id, tl0, keyidx) = match payload {
            PayloadRewrite::Keep => (Kind::Keep, 0, 0, 0),
            PayloadRewrite::Vp8 { picture_id, tl0, keyidx } => (Kind::Vp8, picture_id, tl0, keyidx),
            PayloadRewrite::Vp9 { picture_id, tl0 } => (Kind::Vp9, picture_id, tl0, 0),
        };
        Self {
            source: sent.source.0,
            source_sequence: low32(sent.source_sequence),
            timestamp,
            abs_send_time: sent.stamp.abs_send_time,
            sent_ms: low32(now_us / 1000),
            resent_ms: 0,
            sequence,
            transport_cc: sent.stamp.transport_cc,
            picture_id,
            frame_number: frame_number.unwrap_or(0),
            revision: sent.revision,
            len: len16(sent.len),
            tl0,
            keyidx,
            padding: sent.stamp.padding,
            payload_type: u8::from(marker) << 7 | (payload_type & 0x7f),
            resends: 0,
            kind,
            has_frame: frame_number.is_some(),
            used: true,
        }
    }

    fn resend(&self, ssrc: u32, index: u64) -> Resend {
        let payload = match self.kind {
            Kind::Keep => PayloadRewrite::Keep,
            Kind::Vp8 => {
                PayloadRewrite::Vp8 { picture_id: self.picture_id, tl0: self.tl0, keyidx: self.keyidx }
            }
            Kind::Vp9 => PayloadRewrite::Vp9 { picture_id: self.picture_id, tl0: self.tl0 },
        };
        Resend {
            source: SourceId(self.source),
            source_sequence: self.source_sequence,
            index,
            rewrite: Rewrite {
                ssrc,
                payload_type: self.payload_type & 0x7f,
                sequence: self.sequence,
                timestamp: self.timestamp,
                marker: self.payload_type & 0x80 != 0,
                payload,
                frame_number: self.has_frame.then_some(self.frame_number),
            },
            stamp: Stamp {
                transport_cc: self.transport_cc,
                abs_send_time: self.abs_send_time,
                padding: self.padding,
            },
        }
    }
}

#[cfg(test)]
mod tests;
