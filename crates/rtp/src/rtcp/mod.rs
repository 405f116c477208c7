//! RTCP: a zero-copy view of compound packets, and a writer.
//!
//! Purpose: read what peers send (RFC 3550, 4585, 5104, 5506, REMB, transport-wide feedback) and write what we send.
//! Invariants: the chain of headers is checked before anything is read; a packet whose body does not fit its type
//! is an error of its own and does not hide its neighbours. Deliberately absent: XR and APP bodies (skipped), and
//! whom a packet concerns: the caller acts only on SSRCs of its own.

mod ntp;
mod write;

pub use ntp::{ntp_middle, ntp_time, rtt_us};
pub use write::{MAX_NACK_ITEMS, RtcpWriter};

use crate::error::RtpError;
use crate::num::{be16, be24, be32, low16};

/// Report blocks one SR or RR can hold (5-bit count).
pub const MAX_REPORT_BLOCKS: usize = 31;

pub(crate) const SR: u8 = 200;
pub(crate) const RR: u8 = 201;
pub(crate) const SDES: u8 = 202;
pub(crate) const BYE: u8 = 203;
pub(crate) const RTPFB: u8 = 205;
pub(crate) const PSFB: u8 = 206;
pub(crate) const FMT_NACK: u8 = 1;
pub(crate) const FMT_TRANSPORT_CC: u8 = 15;
pub(crate) const FMT_PLI: u8 = 1;
pub(crate) const FMT_FIR: u8 = 4;
pub(crate) const FMT_AFB: u8 = 15;

/// One reception report block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream it is about.
    pub ssrc: u32,
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost in total, 24-bit signed.
    pub cumulative_lost: i32,
    /// Highest sequence number with cycles.
    pub highest_sequence: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the last SR's NTP time, 0 if none.
    pub last_sr: u32,
    /// Since that SR, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

/// The sender's part of an SR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderInfo {
    /// Who sends.
    pub ssrc: u32,
    /// NTP time, 32.32.
    pub ntp: u64,
    /// The same moment in RTP time.
    pub rtp_timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload octets sent, padding excluded.
    pub octets: u32,
}

/// One packet of a compound.
#[derive(Debug, Clone, Copy)]
pub enum Rtcp<'a> {
    /// Sender report.
    SenderReport {
        /// The sender's part.
        sender: SenderInfo,
        /// What the sender receives.
        blocks: ReportBlocks<'a>,
    },
    /// Receiver report.
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
        /// What it receives.
        blocks: ReportBlocks<'a>,
    },
    /// Source description.
    Sdes(SdesItems<'a>),
    /// Goodbye.
    Bye(Ssrcs<'a>),
    /// Generic NACK.
    Nack {
        /// Who asks.
        sender: u32,
        /// Stream asked for.
        media: u32,
        /// What is missing.
        lost: LostSequences<'a>,
    },
    /// Picture loss indication.
    Pli {
        /// Who asks.
        sender: u32,
        /// Stream asked for.
        media: u32,
    },
    /// Full intra request.
    Fir {
        /// Who asks.
        sender: u32,
        /// (SSRC, command number) of each stream asked for.
        entries: FirEntries<'a>,
    },
    /// Receiver estimated maximum bitrate.
    Remb {
        /// Who estimates.
        sender: u32,
        /// Bits per second; saturates.
        bitrate: u64,
        /// Streams it is about.
        ssrcs: Ssrcs<'a>,
    },
    /// Transport-wide feedback; read the body with [`crate::twcc::Feedback::parse`].
    TransportCc {
        /// Who reports.
        sender: u32,
        /// A stream of the transport.
        media: u32,
        /// From the base sequence number on.
        body: &'a [u8],
    },
    /// A type or format that is not looked at (APP, XR, ...).
    Other {
        /// RTCP packet type.
        packet_type: u8,
        /// Count or format field.
        format: u8,
    },
}

/// A compound packet (also a reduced-size one, RFC 5506) whose chain of headers is sound.
#[derive(Debug, Clone, Copy)]
pub struct Compound<'a> {
    rest: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Checks the chain of headers.
    ///
    /// # Errors
    /// [`RtpError::Truncated`], [`RtpError::Version`], [`RtpError::RtcpLength`], [`RtpError::Padding`] (padding on
    /// another packet than the last, RFC 3550 section 6.4.1).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtpError> {
        if bytes.is_empty() {
            return Err(RtpError::Truncated);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let (packet, after) = split(rest)?;
            if packet.padded && !after.is_empty() {
                return Err(RtpError::Padding);
            }
            rest = after;
        }
        Ok(Self { rest: bytes })
    }
}

impl<'a> Iterator for Compound<'a> {
    type Item = Result<Rtcp<'a>, RtpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match split(self.rest) {
            Ok((packet, after)) => {
                self.rest = after;
                Some(packet.read())
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

struct Packet<'a> {
    packet_type: u8,
    format: u8,
    padded: bool,
    /// Behind the four header bytes, padding excluded.
    body: &'a [u8],
}

fn split(bytes: &[u8]) -> Result<(Packet<'_>, &[u8]), RtpError> {
    let &[first, packet_type, l0, l1] = bytes.first_chunk().ok_or(RtpError::Truncated)?;
    if first >> 6 != 2 {
        return Err(RtpError::Version);
    }
    let len = 4 + 4 * usize::from(u16::from_be_bytes([l0, l1]));
    let (packet, after) = bytes.split_at_checked(len).ok_or(RtpError::RtcpLength)?;
    let mut body = packet.get(4..).unwrap_or_default();
    let padded = first & 0x20 != 0;
    if padded {
        let count = usize::from(body.last().copied().unwrap_or(0));
        let end = body.len().checked_sub(count).filter(|_| count > 0).ok_or(RtpError::Padding)?;
        body = body.get(..end).unwrap_or_default();
    }
    Ok((Packet { packet_type, format: first & 0x1f, padded, body }, after))
}

impl<'a> Packet<'a> {
    fn read(&self) -> Result<Rtcp<'a>, RtpError> {
        let Self { packet_type, format, body, .. } = *self;
        match (packet_type, format) {
            (SR, count) => {
                let sender = SenderInfo {
                    ssrc: word(body, 0)?,
                    ntp: u64::from(word(body, 4)?) << 32 | u64::from(word(body, 8)?),
                    rtp_timestamp: word(body, 12)?,
                    packets: word(body, 16)?,
                    octets: word(body, 20)?,
                };
                Ok(Rtcp::SenderReport { sender, blocks: ReportBlocks::new(body, 24, count)? })
            }
            (RR, count) => {
                Ok(Rtcp::ReceiverReport { ssrc: word(body, 0)?, blocks: ReportBlocks::new(body, 4, count)? })
            }
            (SDES, count) => Ok(Rtcp::Sdes(SdesItems { rest: body, ssrc: None, chunks: count })),
            (BYE, count) => Ok(Rtcp::Bye(Ssrcs::new(body, 0, usize::from(count))?)),
            (RTPFB, FMT_NACK) => Ok(Rtcp::Nack {
                sender: word(body, 0)?,
                media: word(body, 4)?,
                lost: LostSequences { rest: body.get(8..).unwrap_or_default(), pid: 0, bits: 0 },
            }),
            (RTPFB, FMT_TRANSPORT_CC) => Ok(Rtcp::TransportCc {
                sender: word(body, 0)?,
                media: word(body, 4)?,
                body: body.get(8..).unwrap_or_default(),
            }),
            (PSFB, FMT_PLI) => Ok(Rtcp::Pli { sender: word(body, 0)?, media: word(body, 4)? }),
            (PSFB, FMT_FIR) => {
                word(body, 4)?;
                Ok(Rtcp::Fir {
                    sender: word(body, 0)?,
                    entries: FirEntries { rest: body.get(8..).unwrap_or_default() },
                })
            }
            (PSFB, FMT_AFB) if body.get(8..12) == Some(b"REMB") => read_remb(body),
            _ => Ok(Rtcp::Other { packet_type, format }),
        }
    }
}

fn read_remb(body: &[u8]) -> Result<Rtcp<'_>, RtpError> {
    let count = *body.get(12).ok_or(RtpError::Truncated)?;
    let field = be24(body, 13).ok_or(RtpError::Truncated)?;
    let (exponent, mantissa) = (field >> 18, u64::from(field & 0x3ffff));
    let bitrate = if mantissa == 0 {
        0
    } else if mantissa.leading_zeros() < exponent {
        u64::MAX
    } else {
        mantissa << exponent
    };
    Ok(Rtcp::Remb { sender: word(body, 0)?, bitrate, ssrcs: Ssrcs::new(body, 16, usize::from(count))? })
}

fn word(body: &[u8], at: usize) -> Result<u32, RtpError> {
    be32(body, at).ok_or(RtpError::Truncated)
}

/// The report blocks of an SR or RR.
#[derive(Debug, Clone, Copy)]
pub struct ReportBlocks<'a> {
    rest: &'a [u8],
}

impl<'a> ReportBlocks<'a> {
    fn new(body: &'a [u8], at: usize, count: u8) -> Result<Self, RtpError> {
        let rest = body.get(at..at + 24 * usize::from(count)).ok_or(RtpError::RtcpLength)?;
        Ok(Self { rest })
    }
}

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (block, rest) = self.rest.split_at_checked(24)?;
        self.rest = rest;
        let lost = be24(block, 5)?;
        Some(ReportBlock {
            ssrc: be32(block, 0)?,
            fraction_lost: *block.get(4)?,
            cumulative_lost: (lost << 8).cast_signed() >> 8,
            highest_sequence: be32(block, 8)?,
            jitter: be32(block, 12)?,
            last_sr: be32(block, 16)?,
            delay_since_last_sr: be32(block, 20)?,
        })
    }
}

/// One SDES item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SdesItem<'a> {
    /// The chunk's source.
    pub ssrc: u32,
    /// Item type; 1 is CNAME.
    pub kind: u8,
    /// Its text, not checked for UTF-8.
    pub text: &'a [u8],
}

/// The items of an SDES packet; ends at the first that does not fit.
#[derive(Debug, Clone, Copy)]
pub struct SdesItems<'a> {
    rest: &'a [u8],
    ssrc: Option<u32>,
    chunks: u8,
}

impl<'a> Iterator for SdesItems<'a> {
    type Item = SdesItem<'a>;

    fn next(&mut self) -> Option<SdesItem<'a>> {
        loop {
            let Some(ssrc) = self.ssrc else {
                self.chunks = self.chunks.checked_sub(1)?;
                self.ssrc = Some(be32(self.rest, 0)?);
                self.rest = self.rest.get(4..)?;
                continue;
            };
            let kind = *self.rest.first()?;
            if kind == 0 {
                // The chunk ends with zeros up to the next word; packets are whole words, so count from the end.
                self.ssrc = None;
                let pad = match self.rest.len() % 4 {
                    0 => 4,
                    n => n,
                };
                self.rest = self.rest.get(pad..)?;
                continue;
            }
            let len = usize::from(*self.rest.get(1)?);
            let text = self.rest.get(2..2 + len)?;
            self.rest = self.rest.get(2 + len..)?;
            return Some(SdesItem { ssrc, kind, text });
        }
    }
}

/// A list of SSRCs.
#[derive(Debug, Clone, Copy)]
pub struct Ssrcs<'a> {
    rest: &'a [u8],
}

impl<'a> Ssrcs<'a> {
    fn new(body: &'a [u8], at: usize, count: usize) -> Result<Self, RtpError> {
        Ok(Self { rest: body.get(at..at + 4 * count).ok_or(RtpError::RtcpLength)? })
    }
}

impl Iterator for Ssrcs<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let ssrc = be32(self.rest, 0)?;
        self.rest = self.rest.get(4..).unwrap_or_default();
        Some(ssrc)
    }
}

/// The sequence numbers of a NACK, up to 17 for each of its words.
#[derive(Debug, Clone, Copy)]
pub struct LostSequences<'a> {
    rest: &'a [u8],
    pid: u16,
    bits: u32,
}

impl Iterator for LostSequences<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.bits == 0 {
            self.pid = be16(self.rest, 0)?;
            self.bits = u32::from(be16(self.rest, 2)?) << 1 | 1;
            self.rest = self.rest.get(4..).unwrap_or_default();
        }
        let offset = self.bits.trailing_zeros();
        self.bits &= self.bits - 1;
        Some(self.pid.wrapping_add(low16(u64::from(offset))))
    }
}

/// The entries of a FIR: (SSRC, command sequence number).
#[derive(Debug, Clone, Copy)]
pub struct FirEntries<'a> {
    rest: &'a [u8],
}

impl Iterator for FirEntries<'_> {
    type Item = (u32, u8);

    fn next(&mut self) -> Option<(u32, u8)> {
        let (entry, rest) = self.rest.split_at_checked(8)?;
        self.rest = rest;
        Some((be32(entry, 0)?, *entry.get(4)?))
    }
}

#[cfg(test)]
mod tests;
