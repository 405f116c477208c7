//! Writes compound RTCP packets into a caller's buffer.

use super::{
    BYE, FMT_AFB, FMT_FIR, FMT_NACK, FMT_PLI, FMT_TRANSPORT_CC, MAX_REPORT_BLOCKS, PSFB, RR, RTPFB,
    ReportBlock, SDES, SR, SenderInfo,
};
use crate::error::RtpError;
use crate::num::{len16, low8, low32, to_be24, wide};

/// Words one NACK packet is given at most; the rest goes into the next.
pub const MAX_NACK_ITEMS: usize = 128;

/// Appends RTCP packets one after the other.
#[derive(Debug)]
pub struct RtcpWriter<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> RtcpWriter<'a> {
    /// Into `out`, from its start.
    #[must_use]
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0 }
    }

    /// Bytes written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.at
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at == 0
    }

    /// Sender report.
    ///
    /// # Errors
    /// [`RtpError::BufferTooSmall`] (nothing is written then), [`RtpError::TooMany`] blocks.
    pub fn sender_report(&mut self, sender: &SenderInfo, blocks: &[ReportBlock]) -> Result<(), RtpError> {
        self.packet(SR, count(blocks.len())?, |w| {
            w.word(sender.ssrc)?;
            w.push(&sender.ntp.to_be_bytes())?;
            w.word(sender.rtp_timestamp)?;
            w.word(sender.packets)?;
            w.word(sender.octets)?;
            w.blocks(blocks)
        })
    }

    /// Receiver report.
    ///
    /// # Errors
    /// As [`RtcpWriter::sender_report`].
    pub fn receiver_report(&mut self, ssrc: u32, blocks: &[ReportBlock]) -> Result<(), RtpError> {
        self.packet(RR, count(blocks.len())?, |w| {
            w.word(ssrc)?;
            w.blocks(blocks)
        })
    }

    /// SDES with one CNAME of at most 255 bytes.
    ///
    /// # Errors
    /// [`RtpError::BufferTooSmall`], [`RtpError::TooLong`].
    pub fn cname(&mut self, ssrc: u32, cname: &str) -> Result<(), RtpError> {
        let len = u8::try_from(cname.len()).map_err(|_| RtpError::TooLong)?;
        self.packet(SDES, 1, |w| {
            w.word(ssrc)?;
            w.push(&[1, len])?;
            w.push(cname.as_bytes())?;
            // One to four zeros: the list ends with at least one, at a word border.
            let end = 2 + cname.len();
            w.push([0u8; 4].get(..4 - end % 4).unwrap_or_default())
        })
    }

    /// BYE of one source.
    ///
    /// # Errors
    /// [`RtpError::BufferTooSmall`].
    pub fn bye(&mut self, ssrc: u32) -> Result<(), RtpError> {
        self.packet(BYE, 1, |w| w.word(ssrc))
    }

    /// Generic NACK of `lost`, ascending modulo 2^16; returns how many of them went in.
    ///
    /// # Errors
    /// [`RtpError::BufferTooSmall`] if not even one item fits.
    pub fn nack(&mut self, sender: u32, media: u32, lost: &[u16]) -> Result<usize, RtpError> {
        let room = self.out.len().saturating_sub(self.at + 12) / 4;
        let room = room.min(MAX_NACK_ITEMS);
        if room == 0 || lost.is_empty() {
            return if lost.is_empty() { Ok(0) } else { Err(RtpError::BufferTooSmall) };
        }
        let mut taken = 0;
        self.packet(RTPFB, FMT_NACK, |w| {
            w.word(sender)?;
            w.word(media)?;
            let mut rest = lost.iter().copied().peekable();
            for _ in 0..room {
                let Some(pid) = rest.next() else { break };
                taken += 1;
                let mut bits = 0u16;
                while let Some(next) = rest.peek() {
                    let distance = next.wrapping_sub(pid);
                    if distance > 16 {
                        break;
                    }
                    if distance > 0 {
                        bits |= 1 << (distance - 1);
                    }
                    rest.next();
                    taken += 1;
                }
                w.push(&pid.to_be_bytes())?;
                w.push(&bits.to_be_bytes())?;
            }
            Ok(())
        })?;
        Ok(taken)
    }

    /// Picture loss indication.
    ///
    /// # Errors
    /// [`RtpError::BufferTooSmall`].
    pub fn pli(&mut self, sender: u32, media: u32) -> Result<(), RtpError> {
        self.packet(PSFB, FMT_PLI, |w| {
            w.word(sender)?;
            w.word(media)
        })
    }

    /// Full intra request; `command` grows by one with each new request (RFC 5104 section 4.3.1).
    ///
    /// # Errors
    /// [`RtpError::BufferTooSmall`].
    pub fn fir(&mut self, sender: u32, media: u32, command: u8) -> Result<(), RtpError> {
        self.packet(PSFB, FMT_FIR, |w| {
            w.word(sender)?;
            w.word(0)?;
            w.word(media)?;
            w.push(&[command, 0, 0, 0])
        })
    }

    /// REMB for up to 255 streams. The bitrate is rounded down to 18 significant bits.
    ///
    /// # Errors
    /// [`RtpError::BufferTooSmall`], [`RtpError::TooMany`] streams.
    pub fn remb(&mut self, sender: u32, bitrate: u64, ssrcs: &[u32]) -> Result<(), RtpError> {
        let streams = u8::try_from(ssrcs.len()).map_err(|_| RtpError::TooMany)?;
        let exponent = (64 - bitrate.leading_zeros()).saturating_sub(18);
        let field = exponent << 18 | low32(bitrate >> exponent);
        self.packet(PSFB, FMT_AFB, |w| {
            w.word(sender)?;
            w.word(0)?;
            w.push(b"REMB")?;
            w.push(&[streams])?;
            w.push(&to_be24(field))?;
            ssrcs.iter().try_for_each(|ssrc| w.word(*ssrc))
        })
    }

    /// Transport-wide feedback with a body made by [`crate::twcc::FeedbackRecorder`]; padded to a word border.
    ///
    /// # Errors
    /// [`RtpError::BufferTooSmall`].
    pub fn transport_cc(&mut self, sender: u32, media: u32, body: &[u8]) -> Result<(), RtpError> {
        let start = self.at;
        let pad = body.len().next_multiple_of(4) - body.len();
        self.packet(RTPFB, FMT_TRANSPORT_CC, |w| {
            w.word(sender)?;
            w.word(media)?;
            w.push(body)?;
            match pad {
                1 => w.push(&[1]),
                2 => w.push(&[0, 2]),
                3 => w.push(&[0, 0, 3]),
                _ => Ok(()),
            }
        })?;
        if pad > 0
            && let Some(first) = self.out.get_mut(start)
        {
            *first |= 0x20;
        }
        Ok(())
    }

    fn packet(
        &mut self,
        packet_type: u8,
        format: u8,
        body: impl FnOnce(&mut Self) -> Result<(), RtpError>,
    ) -> Result<(), RtpError> {
        let start = self.at;
        let written = self.push(&[0x80 | format, packet_type, 0, 0]).and_then(|()| body(self));
        if let Err(error) = written {
            self.at = start;
            return Err(error);
        }
        let words = len16((self.at - start) / 4 - 1);
        if let Some(field) = self.out.get_mut(start + 2..start + 4) {
            field.copy_from_slice(&words.to_be_bytes());
        }
        Ok(())
    }

    fn blocks(&mut self, blocks: &[ReportBlock]) -> Result<(), RtpError> {
        for block in blocks {
            self.word(block.ssrc)?;
            let lost = block.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff).cast_unsigned() & 0xff_ffff;
            self.word(u32::from(block.fraction_lost) << 24 | lost)?;
            self.word(block.highest_sequence)?;
            self.word(block.jitter)?;
            self.word(block.last_sr)?;
            self.word(block.delay_since_last_sr)?;
        }
        Ok(())
    }

    fn word(&mut self, value: u32) -> Result<(), RtpError> {
        self.push(&value.to_be_bytes())
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), RtpError> {
        let end = self.at + bytes.len();
        self.out.get_mut(self.at..end).ok_or(RtpError::BufferTooSmall)?.copy_from_slice(bytes);
        self.at = end;
        Ok(())
    }
}

fn count(blocks: usize) -> Result<u8, RtpError> {
    if blocks > MAX_REPORT_BLOCKS {
        return Err(RtpError::TooMany);
    }
    Ok(low8(wide(blocks)))
}
