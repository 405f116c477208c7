//! The RTP packet as it lies in memory, and the first-byte demultiplexer.
//!
//! Purpose: a total, borrow-only parser (RFC 3550 section 5.1, RFC 8285 block bounds). [`RtpHeader`] is plain
//! values and offsets, so it can be kept next to the bytes; [`RtpView`] joins it with the bytes.
//! Invariants: every offset of a parsed header lies inside the packet it was parsed from; the payload range of a
//! view excludes padding. Deliberately absent: CSRC semantics (mixers' lists are counted, not forwarded).

use core::ops::Range;

use crate::error::RtpError;
use crate::num::{be16, be32, len16};

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
    /// "Defined by profile" of the extension block, when the X bit is set.
    pub extension_profile: Option<u16>,
    extension_at: u16,
    extension_len: u16,
    header_len: u16,
}

impl RtpHeader {
    /// Reads the header of an RTP or SRTP packet.
    ///
    /// # Errors
    /// [`RtpError::TooLong`], [`RtpError::Version`], [`RtpError::Truncated`].
    #[inline]
    pub fn parse(packet: &[u8]) -> Result<Self, RtpError> {
        if packet.len() > MAX_PACKET {
            return Err(RtpError::TooLong);
        }
        let &[b0, b1, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] =
            packet.first_chunk::<FIXED_HEADER>().ok_or(RtpError::Truncated)?;
        if b0 >> 6 != 2 {
            return Err(RtpError::Version);
        }
        let csrc_count = b0 & 0x0f;
        let fixed = FIXED_HEADER + 4 * usize::from(csrc_count);
        let mut header_len = fixed;
        let mut extension_profile = None;
        if b0 & 0x10 != 0 {
            extension_profile = Some(be16(packet, fixed).ok_or(RtpError::Truncated)?);
            let words = be16(packet, fixed + 2).ok_or(RtpError::Truncated)?;
            header_len = fixed + 4 + 4 * usize::from(words);
        }
        if packet.len() < header_len {
            return Err(RtpError::Truncated);
        }
        let extension_at = if extension_profile.is_some() { fixed + 4 } else { header_len };
        Ok(Self {
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            sequence: u16::from_be_bytes([s0, s1]),
            payload_type: b1 & 0x7f,
            marker: b1 & 0x80 != 0,
            has_padding: b0 & 0x20 != 0,
            csrc_count,
            extension_profile,
            extension_at: len16(extension_at),
            extension_len: len16(header_len - extension_at),
            header_len: len16(header_len),
        })
    }

    /// Length of the header with CSRCs and extension block.
    #[must_use]
    pub fn header_len(&self) -> usize {
        usize::from(self.header_len)
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
    #[inline]
    pub fn parse(packet: &'a [u8]) -> Result<Self, RtpError> {
        Self::with_header(packet, RtpHeader::parse(packet)?)
    }

    /// Joins bytes with the header parsed from them before (after decryption in place, or from a store).
    ///
    /// # Errors
    /// [`RtpError::Truncated`] if the bytes are shorter than the header, [`RtpError::Padding`] as in
    /// [`RtpView::parse`].
    #[inline]
    pub fn with_header(packet: &'a [u8], header: RtpHeader) -> Result<Self, RtpError> {
        let body = packet.len().checked_sub(header.header_len()).ok_or(RtpError::Truncated)?;
        let mut padding = 0;
        if header.has_padding {
            padding = packet.last().copied().unwrap_or(0);
            if padding == 0 || usize::from(padding) > body {
                return Err(RtpError::Padding);
            }
        }
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
        self.header.extension_profile
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
