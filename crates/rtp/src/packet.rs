//! The RTP packet as it lies in memory, and the first-byte demultiplexer.
//!
//! Purpose: a total, borrow-only parser (RFC 3550 section 5.1, RFC 8285 block bounds). [`RtpHeader`] is plain
//! values and offsets, so it can be kept next to the bytes; [`RtpView`] joins it with the bytes.
//! Invariants: every offset of a parsed header lies inside the packet it was parsed from; the payload range of a
//! view excludes padding. Deliberately absent: CSRC semantics (mixers' lists are counted, not forwarded).

use core::ops::Range;

use crate::error::RtpError;
use crate::num::{be32, len16, low16};

/// Largest datagram that is taken; Janus drops larger ones too.
pub const MAX_PACKET: usize = 1500;
/// Length of the fixed RTP header.
pub const FIXED_HEADER: usize = 12;

/// What a datagram is, by its first bytes (RFC 7983, RFC 5761 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demux {
    /// First byte 0..=3.
    Stun,
    /// First byte 20..=63.
    Dtls,
    /// First byte 64..=79: TURN channel data.
    TurnChannel,
    /// RTP or SRTP.
    Rtp,
    /// RTCP or SRTCP.
    Rtcp,
    /// Anything else, and the empty datagram.
    Other,
}

impl Demux {
    /// Classifies a datagram; total.
    #[must_use]
    pub fn classify(datagram: &[u8]) -> Self {
        match *datagram {
            [0..=3, ..] => Self::Stun,
            [20..=63, ..] => Self::Dtls,
            [64..=79, ..] => Self::TurnChannel,
            [first @ 128..=191, second, ..] if is_rtcp([first, second]) => Self::Rtcp,
            [128..=191, _, ..] => Self::Rtp,
            _ => Self::Other,
        }
    }
}

/// Whether a packet of the RTP range is RTCP: its second byte is 192..=223 (RFC 5761 section 4).
#[must_use]
pub const fn is_rtcp(first_two: [u8; 2]) -> bool {
    let [first, second] = first_two;
    first & 0xc0 == 0x80 && second >= 192 && second <= 223
}

/// Header fields and offsets of one RTP packet. Also valid for SRTP, whose header is in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpHeader {
    /// Synchronisation source.
    pub ssrc: u32,
    /// Media timestamp in the codec's clock.
    pub timestamp: u32,
    /// Sequence number.
    pub sequence: u16,
    /// Payload type, 0..=127.
    pub payload_type: u8,
    /// Marker bit.
    pub marker: bool,
    /// The P bit; the padding itself is only looked at by [`RtpView`].
    pub has_padding: bool,
    /// Number of contributing sources, 0..=15.
    pub csrc_count: u8,
    /// The X bit.
    pub has_extension: bool,
    profile: u16,
    extension_at: u16,
    extension_len: u16,
    header_len: u16,
}

/// Offsets of a packet, checked against its length. Small enough to stay in registers: building the larger structs
/// only once all checks are done spares copies between half-written ones, which cost more than the parsing.
#[derive(Debug, Clone, Copy)]
struct Shape {
    fixed: [u8; FIXED_HEADER],
    profile: u16,
    extension_at: usize,
    header_len: usize,
}

impl Shape {
    #[inline(always)]
    fn of(packet: &[u8]) -> Result<Self, RtpError> {
        if packet.len() > MAX_PACKET {
            return Err(RtpError::TooLong);
        }
        let fixed = *packet.first_chunk::<FIXED_HEADER>().ok_or(RtpError::Truncated)?;
        let [first, ..] = fixed;
        if first >> 6 != 2 {
            return Err(RtpError::Version);
        }
        let end = FIXED_HEADER + 4 * usize::from(first & 0x0f);
        let (mut header_len, mut extension_at, mut profile) = (end, end, 0);
        if first & 0x10 != 0 {
            let word = be32(packet, end).ok_or(RtpError::Truncated)?;
            profile = low16(u64::from(word >> 16));
            extension_at = end + 4;
            header_len = extension_at + 4 * usize::from(low16(u64::from(word)));
        }
        if packet.len() < header_len {
            return Err(RtpError::Truncated);
        }
        Ok(Self { fixed, profile, extension_at, header_len })
    }

    #[inline(always)]
    fn header(&self) -> RtpHeader {
        let [b0, b1, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = self.fixed;
        RtpHeader {
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            sequence: u16::from_be_bytes([s0, s1]),
            payload_type: b1 & 0x7f,
            marker: b1 & 0x80 != 0,
            has_padding: b0 & 0x20 != 0,
            csrc_count: b0 & 0x0f,
            has_extension: b0 & 0x10 != 0,
            profile: self.profile,
            extension_at: len16(self.extension_at),
            extension_len: len16(self.header_len - self.extension_at),
            header_len: len16(self.header_len),
        }
    }
}

/// The padding count, checked against the bytes behind the header.
#[inline(always)]
fn check_padding(packet: &[u8], has_padding: bool, header_len: usize) -> Result<u8, RtpError> {
    let body = packet.len().checked_sub(header_len).ok_or(RtpError::Truncated)?;
    if !has_padding {
        return Ok(0);
    }
    match packet.last() {
        Some(count) if *count > 0 && usize::from(*count) <= body => Ok(*count),
        _ => Err(RtpError::Padding),
    }
}

impl RtpHeader {
    /// Reads the header of an RTP or SRTP packet.
    ///
    /// # Errors
    /// [`RtpError::TooLong`], [`RtpError::Version`], [`RtpError::Truncated`].
    #[inline(always)]
    pub fn parse(packet: &[u8]) -> Result<Self, RtpError> {
        Ok(Shape::of(packet)?.header())
    }

    /// Length of the header with CSRCs and extension block.
    #[must_use]
    pub fn header_len(&self) -> usize {
        usize::from(self.header_len)
    }

    /// "Defined by profile" of the extension block, when the X bit is set.
    #[must_use]
    #[inline]
    pub fn extension_profile(&self) -> Option<u16> {
        self.has_extension.then_some(self.profile)
    }

    /// Where the extension elements lie (without the four bytes of the block's own header); empty without X bit.
    #[must_use]
    pub fn extension_range(&self) -> Range<usize> {
        let at = usize::from(self.extension_at);
        at..at + usize::from(self.extension_len)
    }
}

/// One RTP packet, decrypted, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct RtpView<'a> {
    packet: &'a [u8],
    header: RtpHeader,
    padding: u8,
}

impl<'a> RtpView<'a> {
    /// Parses a whole packet.
    ///
    /// # Errors
    /// As [`RtpHeader::parse`], and [`RtpError::Padding`] for a padding count of zero or beyond the payload.
    #[inline(always)]
    pub fn parse(packet: &'a [u8]) -> Result<Self, RtpError> {
        let shape = Shape::of(packet)?;
        let [first, ..] = shape.fixed;
        let padding = check_padding(packet, first & 0x20 != 0, shape.header_len)?;
        Ok(Self { packet, header: shape.header(), padding })
    }

    /// Joins bytes with the header parsed from them before (after decryption in place, or from a store).
    ///
    /// # Errors
    /// [`RtpError::Truncated`] if the bytes are shorter than the header, [`RtpError::Padding`] as in
    /// [`RtpView::parse`].
    #[inline(always)]
    pub fn with_header(packet: &'a [u8], header: RtpHeader) -> Result<Self, RtpError> {
        let padding = check_padding(packet, header.has_padding, header.header_len())?;
        Ok(Self { packet, header, padding })
    }

    /// The parsed header.
    #[must_use]
    pub fn header(&self) -> &RtpHeader {
        &self.header
    }

    /// The whole packet.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.packet
    }

    /// Marker bit.
    #[must_use]
    pub fn marker(&self) -> bool {
        self.header.marker
    }

    /// Payload type, 0..=127.
    #[must_use]
    pub fn payload_type(&self) -> u8 {
        self.header.payload_type
    }

    /// Sequence number.
    #[must_use]
    pub fn sequence(&self) -> u16 {
        self.header.sequence
    }

    /// Media timestamp.
    #[must_use]
    pub fn timestamp(&self) -> u32 {
        self.header.timestamp
    }

    /// Synchronisation source.
    #[must_use]
    pub fn ssrc(&self) -> u32 {
        self.header.ssrc
    }

    /// Number of contributing sources.
    #[must_use]
    pub fn csrc_count(&self) -> u8 {
        self.header.csrc_count
    }

    /// The `index`th contributing source.
    #[must_use]
    pub fn csrc(&self, index: u8) -> Option<u32> {
        (index < self.header.csrc_count).then(|| be32(self.packet, FIXED_HEADER + 4 * usize::from(index)))?
    }

    /// "Defined by profile" of the extension block.
    #[must_use]
    pub fn extension_profile(&self) -> Option<u16> {
        self.header.extension_profile()
    }

    /// The extension elements, without the block's own header.
    #[must_use]
    pub fn extension_block(&self) -> &'a [u8] {
        self.packet.get(self.header.extension_range()).unwrap_or_default()
    }

    /// Length of the header with CSRCs and extension block.
    #[must_use]
    pub fn header_len(&self) -> usize {
        self.header.header_len()
    }

    /// Bytes of padding at the end, its count byte included; 0 without P bit.
    #[must_use]
    pub fn padding_len(&self) -> usize {
        usize::from(self.padding)
    }

    /// Where the payload lies, padding excluded.
    #[must_use]
    pub fn payload_range(&self) -> Range<usize> {
        self.header.header_len()..self.packet.len().saturating_sub(self.padding_len())
    }

    /// The payload, padding excluded. Empty for a padding-only packet.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.packet.get(self.payload_range()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
