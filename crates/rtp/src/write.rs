//! Outgoing packets: one pass from a source packet and a sink's values into the caller's buffer.
//!
//! Purpose: header, re-numbered and inserted header extensions, payload with its descriptor patched, padding; the
//! same for RTX (RFC 4588) and for padding-only probes; and the way back from an RTX packet.
//! Invariants: the bytes depend on the arguments alone, so equal arguments give the identical packet (law of one
//! index, one byte string); nothing is allocated; the source's own padding never travels on.
//! Deliberately absent: CSRC lists (not forwarded), unknown extensions, sealing.

use crate::codec::PayloadRewrite;
use crate::error::RtpError;
use crate::extension::{
    ExtensionKind, ExtensionMap, ExtensionOffsets, IdText, ONE_BYTE_PROFILE, PlayoutDelay, TWO_BYTE_PROFILE,
};
use crate::num::{be16, len16, low8, to_be24, wide};
use crate::packet::{FIXED_HEADER, RtpHeader, RtpView};

/// A source packet with its extension elements located.
#[derive(Debug, Clone, Copy)]
pub struct SourcePacket<'a> {
    /// The packet.
    pub view: RtpView<'a>,
    /// Where its known extensions lie.
    pub extensions: ExtensionOffsets,
}

impl<'a> SourcePacket<'a> {
    /// Parses a packet of a sender that negotiated `map`.
    ///
    /// # Errors
    /// As [`RtpView::parse`].
    #[inline(always)]
    pub fn parse(packet: &'a [u8], map: &ExtensionMap) -> Result<Self, RtpError> {
        let view = RtpView::parse(packet)?;
        Ok(Self { view, extensions: ExtensionOffsets::find(&view, map) })
    }

    /// The raw value of an extension.
    #[must_use]
    #[inline]
    pub fn extension(&self, kind: ExtensionKind) -> Option<&'a [u8]> {
        self.extensions.get(kind, self.view.bytes())
    }
}

/// What changes between the source's packet and the sink's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewrite {
    /// SSRC of the leg.
    pub ssrc: u32,
    /// Payload type the sink negotiated.
    pub payload_type: u8,
    /// Sink sequence number.
    pub sequence: u16,
    /// Sink timestamp.
    pub timestamp: u32,
    /// Marker bit.
    pub marker: bool,
    /// Descriptor fields to patch.
    pub payload: PayloadRewrite,
    /// Frame number for the dependency descriptor, when it differs from the source's.
    pub frame_number: Option<u16>,
}

/// Values that belong to one transmission of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Transport-wide sequence number; written if the sink negotiated the extension.
    pub transport_cc: u16,
    /// 24-bit absolute send time; written if the sink negotiated the extension.
    pub abs_send_time: u32,
    /// Bytes of RTP padding to append, its count byte included; 0 for none.
    pub padding: u8,
}

/// What one sink negotiated about header extensions. Every change gives a new [`SinkExtensions::revision`]: packets
/// sent under another revision cannot be rebuilt identically and are not resent plainly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SinkExtensions {
    map: ExtensionMap,
    mid: IdText,
    playout_delay: Option<[u8; 3]>,
    one_byte_only: bool,
    form: Form,
    revision: u16,
}

/// The form of the extension block, as far as the configuration decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Form {
    #[default]
    OneByte,
    TwoByte,
    /// Elements are copied that may be longer than 16 bytes.
    ByLength,
}

impl SinkExtensions {
    /// With the ids of `map` and the sink's own mid.
    #[must_use]
    pub fn new(map: ExtensionMap, mid: Option<IdText>) -> Self {
        let mut sink = Self { map, mid: mid.unwrap_or_default(), ..Self::default() };
        sink.form = sink.choose_form();
        sink
    }

    /// The ids.
    #[must_use]
    pub fn map(&self) -> &ExtensionMap {
        &self.map
    }

    /// Counts changes.
    #[must_use]
    pub fn revision(&self) -> u16 {
        self.revision
    }

    /// Replaces ids and mid (renegotiation).
    pub fn set_map(&mut self, map: ExtensionMap, mid: Option<IdText>) {
        let mid = mid.unwrap_or_default();
        if (self.map, self.mid) != (map, mid) {
            (self.map, self.mid) = (map, mid);
            self.revise();
        }
    }

    /// Sends this playout delay instead of the source's; `None` lets the source's pass.
    pub fn set_playout_delay(&mut self, delay: Option<PlayoutDelay>) {
        let delay = delay.map(PlayoutDelay::to_bytes);
        if self.playout_delay != delay {
            self.playout_delay = delay;
            self.revise();
        }
    }

    /// For a sink that negotiated no mixed forms: elements that need the two-byte form are then left out.
    pub fn set_one_byte_only(&mut self, on: bool) {
        if self.one_byte_only != on {
            self.one_byte_only = on;
            self.revise();
        }
    }

    fn revise(&mut self) {
        self.form = self.choose_form();
        self.revision = self.revision.wrapping_add(1);
    }

    fn choose_form(&self) -> Form {
        let has = |kind| self.map.id(kind).is_some();
        if self.one_byte_only {
            Form::OneByte
        } else if self.map.has_large_id() || (has(ExtensionKind::Mid) && self.mid.as_bytes().len() > 16) {
            Form::TwoByte
        } else if has(ExtensionKind::DependencyDescriptor) || has(ExtensionKind::AbsCaptureTime) {
            Form::ByLength
        } else {
            Form::OneByte
        }
    }
}

/// Writes a source packet for a sink; returns its length.
///
/// # Errors
/// [`RtpError::BufferTooSmall`].
#[inline]
pub fn write_packet(
    out: &mut [u8],
    source: &SourcePacket<'_>,
    rewrite: &Rewrite,
    stamp: &Stamp,
    sink: &SinkExtensions,
) -> Result<usize, RtpError> {
    let mut out = Out { bytes: out, at: 0 };
    out.header(rewrite, rewrite.sequence)?;
    out.extensions(Some(source), rewrite, stamp, sink)?;
    out.payload(source.view.payload(), rewrite)?;
    out.padding(stamp.padding)?;
    Ok(out.at)
}

/// Length [`write_packet`] would give with `stamp.padding == 0`; for planning runs of equal size.
#[must_use]
pub fn packet_len(source: &SourcePacket<'_>, sink: &SinkExtensions) -> usize {
    let elements = Elements::new(Some(source), sink);
    FIXED_HEADER + elements.block_len(source, sink) + source.view.payload_range().len()
}

/// The RTX stream of a leg (RFC 4588): a stream of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtxTarget {
    /// SSRC of the RTX stream.
    pub ssrc: u32,
    /// Its payload type.
    pub payload_type: u8,
    /// Its sequence number for this packet.
    pub sequence: u16,
}

/// Writes the retransmission of a packet that was sent with `rewrite`; returns its length. `stamp` is that of the
/// new packet: own transport-wide number, send time and padding.
///
/// # Errors
/// [`RtpError::BufferTooSmall`].
pub fn write_rtx(
    out: &mut [u8],
    source: &SourcePacket<'_>,
    rewrite: &Rewrite,
    rtx: &RtxTarget,
    stamp: &Stamp,
    sink: &SinkExtensions,
) -> Result<usize, RtpError> {
    let mut out = Out { bytes: out, at: 0 };
    let header = Rewrite { ssrc: rtx.ssrc, payload_type: rtx.payload_type, ..*rewrite };
    out.header(&header, rtx.sequence)?;
    out.extensions(Some(source), rewrite, stamp, sink)?;
    out.push(&rewrite.sequence.to_be_bytes())?;
    out.payload(source.view.payload(), rewrite)?;
    out.padding(stamp.padding)?;
    Ok(out.at)
}

/// Writes a packet of padding only, `stamp.padding` bytes (at least 1 is written): probes, and fillers for numbers
/// that turned out to have no packet. Returns its length.
///
/// # Errors
/// [`RtpError::BufferTooSmall`].
pub fn write_padding(
    out: &mut [u8],
    rewrite: &Rewrite,
    stamp: &Stamp,
    sink: &SinkExtensions,
) -> Result<usize, RtpError> {
    let mut out = Out { bytes: out, at: 0 };
    out.header(rewrite, rewrite.sequence)?;
    out.extensions(None, rewrite, stamp, sink)?;
    out.padding(stamp.padding.max(1))?;
    Ok(out.at)
}

/// Turns an RTX packet back into the packet it repeats, in place; returns the new length, or `None` for an RTX
/// packet without an original (padding used as a probe).
///
/// The header extensions stay: the transport-wide number is the RTX packet's own and is to be recorded before.
///
/// # Errors
/// As [`RtpView::parse`].
pub fn unwrap_rtx(packet: &mut [u8], ssrc: u32, payload_type: u8) -> Result<Option<usize>, RtpError> {
    let (header, payload) = {
        let view = RtpView::parse(packet)?;
        (*view.header(), view.payload_range())
    };
    let Some(original) = be16(packet, payload.start).filter(|_| payload.len() >= 2) else { return Ok(None) };
    if payload.len() == 2 {
        // Chromium probes with RTX packets whose original had no payload: nothing to give back.
        return Ok(None);
    }
    let end = packet.len();
    packet.copy_within(payload.start + 2..end, payload.start);
    if let Some(head) = packet.first_chunk_mut::<FIXED_HEADER>() {
        let [_, b1, s0, s1, _, _, _, _, c0, c1, c2, c3] = head;
        *b1 = u8::from(header.marker) << 7 | (payload_type & 0x7f);
        [*s0, *s1] = original.to_be_bytes();
        [*c0, *c1, *c2, *c3] = ssrc.to_be_bytes();
    }
    Ok(Some(end - 2))
}

/// Patches SSRC and payload type of an owned packet in place (RTP forwarders, recordings).
///
/// # Errors
/// [`RtpError::Truncated`].
pub fn patch_header(packet: &mut [u8], header: &RtpHeader) -> Result<(), RtpError> {
    let head = packet.first_chunk_mut::<FIXED_HEADER>().ok_or(RtpError::Truncated)?;
    let [_, b1, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = head;
    *b1 = u8::from(header.marker) << 7 | (header.payload_type & 0x7f);
    [*s0, *s1] = header.sequence.to_be_bytes();
    [*t0, *t1, *t2, *t3] = header.timestamp.to_be_bytes();
    [*c0, *c1, *c2, *c3] = header.ssrc.to_be_bytes();
    Ok(())
}

/// Which form the extension block takes.
#[derive(Debug, Clone, Copy)]
struct Elements {
    two_byte: bool,
}

impl Elements {
    #[inline]
    fn new(source: Option<&SourcePacket<'_>>, sink: &SinkExtensions) -> Self {
        let two_byte = match sink.form {
            Form::OneByte => false,
            Form::TwoByte => true,
            Form::ByLength => [ExtensionKind::DependencyDescriptor, ExtensionKind::AbsCaptureTime]
                .into_iter()
                .filter(|kind| sink.map.id(*kind).is_some())
                .filter_map(|kind| source?.extension(kind))
                .any(|value| value.len() > 16),
        };
        Self { two_byte }
    }

    #[inline]
    fn fits(self, id: u8, len: usize) -> bool {
        if self.two_byte { len <= 255 } else { id <= 14 && (1..=16).contains(&len) }
    }

    fn block_len(self, source: &SourcePacket<'_>, sink: &SinkExtensions) -> usize {
        let head = if self.two_byte { 2 } else { 1 };
        let sum: usize = sink
            .map
            .entries()
            .iter()
            .filter_map(|(kind, id)| {
                let len = match kind {
                    ExtensionKind::TransportCc => 2,
                    ExtensionKind::AbsSendTime => 3,
                    ExtensionKind::Mid => sink.mid.as_bytes().len(),
                    kind => copied(*kind, Some(source), sink)?.len(),
                };
                (len > 0 && self.fits(*id, len)).then_some(head + len)
            })
            .sum();
        if sum == 0 { 0 } else { 4 + sum.next_multiple_of(4) }
    }
}

/// The value of a kind that comes from the source, or instead of the source's.
#[inline]
fn copied<'a>(
    kind: ExtensionKind,
    source: Option<&SourcePacket<'a>>,
    sink: &'a SinkExtensions,
) -> Option<&'a [u8]> {
    match (kind, &sink.playout_delay) {
        (ExtensionKind::PlayoutDelay, Some(delay)) => Some(delay),
        (
            ExtensionKind::AudioLevel
            | ExtensionKind::VideoOrientation
            | ExtensionKind::PlayoutDelay
            | ExtensionKind::AbsCaptureTime
            | ExtensionKind::DependencyDescriptor,
            _,
        ) => source?.extension(kind),
        // Of the publisher's leg alone, or wrong once a layer was chosen; or the sink's own.
        (
            ExtensionKind::Rid
            | ExtensionKind::RepairedRid
            | ExtensionKind::VideoLayersAllocation
            | ExtensionKind::Mid
            | ExtensionKind::TransportCc
            | ExtensionKind::AbsSendTime,
            _,
        ) => None,
    }
}

struct Out<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Out<'_> {
    #[inline]
    fn push(&mut self, bytes: &[u8]) -> Result<(), RtpError> {
        let end = self.at + bytes.len();
        self.bytes.get_mut(self.at..end).ok_or(RtpError::BufferTooSmall)?.copy_from_slice(bytes);
        self.at = end;
        Ok(())
    }

    #[inline]
    fn header(&mut self, rewrite: &Rewrite, sequence: u16) -> Result<(), RtpError> {
        let [s0, s1] = sequence.to_be_bytes();
        let [t0, t1, t2, t3] = rewrite.timestamp.to_be_bytes();
        let [c0, c1, c2, c3] = rewrite.ssrc.to_be_bytes();
        let b1 = u8::from(rewrite.marker) << 7 | (rewrite.payload_type & 0x7f);
        self.push(&[0x80, b1, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3])
    }

    fn set_bit(&mut self, bit: u8) {
        if let Some(first) = self.bytes.first_mut() {
            *first |= bit;
        }
    }

    #[inline]
    fn extensions(
        &mut self,
        source: Option<&SourcePacket<'_>>,
        rewrite: &Rewrite,
        stamp: &Stamp,
        sink: &SinkExtensions,
    ) -> Result<(), RtpError> {
        if sink.map.entries().is_empty() {
            return Ok(());
        }
        let elements = Elements::new(source, sink);
        let block = self.at;
        self.push(&[0; 4])?;
        for &(kind, id) in sink.map.entries() {
            match kind {
                ExtensionKind::TransportCc => {
                    let [a, b] = stamp.transport_cc.to_be_bytes();
                    self.element_head(elements, id, 2, |head| [head, a, b])?;
                }
                ExtensionKind::AbsSendTime => {
                    let [a, b, c] = to_be24(stamp.abs_send_time);
                    self.element_head(elements, id, 3, |head| [head, a, b, c])?;
                }
                ExtensionKind::Mid => self.mid(elements, id, sink)?,
                kind => {
                    let Some(value) = copied(kind, source, sink) else { continue };
                    let start = self.at;
                    self.element(elements, id, value)?;
                    if kind == ExtensionKind::DependencyDescriptor {
                        self.patch_frame_number(start, elements, rewrite.frame_number);
                    }
                }
            }
        }
        let len = self.at - block - 4;
        if len == 0 {
            self.at = block;
            return Ok(());
        }
        let pad = len.next_multiple_of(4) - len;
        for _ in 0..pad {
            self.push(&[0])?;
        }
        let profile = if elements.two_byte { TWO_BYTE_PROFILE } else { ONE_BYTE_PROFILE };
        let [p0, p1] = profile.to_be_bytes();
        let [l0, l1] = len16((len + pad) / 4).to_be_bytes();
        if let Some(head) = self.bytes.get_mut(block..block + 4) {
            head.copy_from_slice(&[p0, p1, l0, l1]);
        }
        self.set_bit(0x10);
        Ok(())
    }

    /// An element of a known length, whose bytes behind the head are `bytes(head)` without the first.
    #[inline]
    fn element_head<const N: usize>(
        &mut self,
        elements: Elements,
        id: u8,
        len: u8,
        bytes: impl FnOnce(u8) -> [u8; N],
    ) -> Result<(), RtpError> {
        if elements.two_byte {
            // The id goes first, then what is the head of the one-byte form becomes the length.
            self.push(&[id])?;
            return self.push(&bytes(len));
        }
        if id > 14 {
            return Ok(());
        }
        self.push(&bytes(id << 4 | (len - 1)))
    }

    #[inline]
    fn mid(&mut self, elements: Elements, id: u8, sink: &SinkExtensions) -> Result<(), RtpError> {
        let (bytes, len) = sink.mid.first_16();
        let end = self.at + 1 + len;
        // A copy of a fixed size is cheaper; what is too much is overwritten by what follows.
        if !elements.two_byte
            && (1..=16).contains(&len)
            && id <= 14
            && let Some([head, room @ ..]) = self.bytes.get_mut(self.at..self.at + 17)
        {
            *head = id << 4 | (low8(wide(len)) - 1);
            room.copy_from_slice(bytes);
            self.at = end;
            return Ok(());
        }
        match sink.mid.as_bytes() {
            [] => Ok(()),
            mid => self.element(elements, id, mid),
        }
    }

    #[inline]
    fn element(&mut self, elements: Elements, id: u8, value: &[u8]) -> Result<(), RtpError> {
        // An empty element says nothing, and only the two-byte form could hold it.
        if value.is_empty() || !elements.fits(id, value.len()) {
            return Ok(());
        }
        let len = low8(wide(value.len()));
        if elements.two_byte {
            self.push(&[id, len])?;
        } else {
            self.push(&[id << 4 | (len.wrapping_sub(1) & 0x0f)])?;
        }
        self.push(value)
    }

    /// Bytes 1 and 2 of a dependency descriptor are its frame number.
    fn patch_frame_number(&mut self, start: usize, elements: Elements, number: Option<u16>) {
        let at = start + if elements.two_byte { 3 } else { 2 };
        if let (Some(number), true) = (number, at + 2 <= self.at)
            && let Some(field) = self.bytes.get_mut(at..at + 2)
        {
            field.copy_from_slice(&number.to_be_bytes());
        }
    }

    #[inline]
    fn payload(&mut self, payload: &[u8], rewrite: &Rewrite) -> Result<(), RtpError> {
        let start = self.at;
        self.push(payload)?;
        if rewrite.payload != PayloadRewrite::Keep
            && let Some(copied) = self.bytes.get_mut(start..self.at)
        {
            rewrite.payload.apply(copied);
        }
        Ok(())
    }

    #[inline]
    fn padding(&mut self, count: u8) -> Result<(), RtpError> {
        if count == 0 {
            return Ok(());
        }
        let end = self.at + usize::from(count);
        let room = self.bytes.get_mut(self.at..end).ok_or(RtpError::BufferTooSmall)?;
        room.fill(0);
        if let Some(last) = room.last_mut() {
            *last = count;
        }
        self.at = end;
        self.set_bit(0x20);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
