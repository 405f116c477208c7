//! Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01).
//!
//! Purpose: [`FeedbackRecorder`] notes arrivals of one transport and writes the feedback bodies; [`Feedback`] reads
//! the bodies receivers send us, packet by packet.
//! Invariants: a recorder remembers at most [`MAX_SPAN`] numbers; a parsed feedback covers exactly the number of
//! packets it announces. Deliberately absent: estimation (the `bwe` crate), and the RTCP frame around the body.

use crate::error::RtpError;
use crate::num::{be16, be24, len16, low8, low16, narrow, to_be24, wide};
use crate::receive::SequenceUnwrapper;

/// Transport-wide numbers remembered; a longer span between two feedbacks loses its oldest part.
pub const MAX_SPAN: usize = 1024;
/// One delta unit.
pub const TICK_US: u64 = 250;
/// Ticks in one unit of the reference time (64 ms).
const REFERENCE_TICKS: u64 = 256;
/// Statuses one feedback packet reports at most.
const MAX_STATUSES: usize = 512;
/// Base, count, reference time, feedback count.
const HEAD: usize = 8;

/// Arrivals of one transport, waiting to be reported.
#[derive(Debug)]
pub struct FeedbackRecorder {
    unwrapper: SequenceUnwrapper,
    /// Arrival in ticks plus one by number modulo the span; 0 for none.
    arrivals: Vec<(u64, u64)>,
    /// The next number to report.
    next: u64,
    highest: u64,
    fresh: bool,
    feedbacks: u8,
}

impl Default for FeedbackRecorder {
    fn default() -> Self {
        Self::new()
    }
}

impl FeedbackRecorder {
    /// Before the first packet; memory is taken with it.
    #[must_use]
    pub fn new() -> Self {
        Self {
            unwrapper: SequenceUnwrapper::new(),
            arrivals: Vec::new(),
            next: 0,
            highest: 0,
            fresh: false,
            feedbacks: 0,
        }
    }

    /// Notes the arrival of a transport-wide number.
    #[inline]
    pub fn on_packet(&mut self, number: u16, now_us: u64) {
        let Some(number) = self.unwrapper.unwrap(number) else { return };
        if self.arrivals.is_empty() {
            self.arrivals.resize(MAX_SPAN, (0, 0));
            (self.next, self.highest) = (number, number);
        }
        if number + wide(MAX_SPAN) <= self.highest {
            return;
        }
        let Some(place) = self.arrivals.get_mut(narrow(number % wide(MAX_SPAN))) else { return };
        if place.0 == number && place.1 != 0 {
            return;
        }
        *place = (number, now_us / TICK_US + 1);
        self.highest = self.highest.max(number);
        // A packet that comes after its feedback went out is reported again with all that followed.
        self.next = self.next.min(number).max((self.highest + 1).saturating_sub(wide(MAX_SPAN)));
        self.fresh = true;
    }

    /// Writes the next feedback body into `out`; `None` when nothing new came. Call until `None`: a long span takes
    /// several packets.
    ///
    /// # Errors
    /// [`RtpError::BufferTooSmall`] if not even one status fits.
    pub fn poll_feedback(&mut self, out: &mut [u8]) -> Result<Option<usize>, RtpError> {
        if !self.fresh {
            return Ok(None);
        }
        let Some(first) = (self.next..=self.highest).find_map(|n| self.arrival(n)) else {
            self.fresh = false;
            return Ok(None);
        };
        let reference = first / REFERENCE_TICKS;
        let mut statuses = [Status::Missing; MAX_STATUSES];
        let mut previous = reference * REFERENCE_TICKS;
        let (mut count, mut used, mut deltas) = (0, 0, 0);
        for (number, place) in (self.next..=self.highest).zip(statuses.iter_mut()) {
            let status = match self.arrival(number) {
                None => Status::Missing,
                Some(at) => match Status::of(previous, at) {
                    Some(status) => {
                        previous = at;
                        status
                    }
                    // The delta does not fit 16 bits: a new packet with its own reference time begins here.
                    None => break,
                },
            };
            deltas += status.len();
            // Chunks of seven statuses are the worst case.
            if HEAD + 2 * (count / 7 + 1) + deltas > out.len() {
                break;
            }
            *place = status;
            count += 1;
            if status != Status::Missing {
                used = count;
            }
        }
        // Trailing gaps are left to the next feedback, which may know more; but a gap that fills the packet goes.
        let used = if used == 0 { count } else { used };
        let statuses = statuses.get(..used).filter(|s| !s.is_empty()).ok_or(RtpError::BufferTooSmall)?;
        let len = self.write(out, reference, statuses)?;
        self.next += wide(used);
        self.fresh = self.next <= self.highest;
        self.feedbacks = self.feedbacks.wrapping_add(1);
        Ok(Some(len))
    }

    fn arrival(&self, number: u64) -> Option<u64> {
        let place = self.arrivals.get(narrow(number % wide(MAX_SPAN)))?;
        (place.0 == number).then(|| place.1.checked_sub(1))?
    }

    fn write(&self, out: &mut [u8], reference: u64, statuses: &[Status]) -> Result<usize, RtpError> {
        let mut out = Bytes { out, at: 0 };
        out.push(&low16(self.next).to_be_bytes())?;
        out.push(&len16(statuses.len()).to_be_bytes())?;
        out.push(&to_be24(crate::num::low32(reference)))?;
        out.push(&[self.feedbacks])?;
        write_chunks(&mut out, statuses)?;
        let mut previous = reference * REFERENCE_TICKS;
        for (number, status) in (self.next..).zip(statuses) {
            let Some(at) = self.arrival(number).filter(|_| *status != Status::Missing) else { continue };
            let delta = at.wrapping_sub(previous);
            previous = at;
            match status {
                Status::Small => out.push(&[low8(delta)])?,
                _ => out.push(&low16(delta).to_be_bytes())?,
            }
        }
        Ok(out.at)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Missing,
    Small,
    Large,
}

impl Status {
    fn of(previous: u64, at: u64) -> Option<Self> {
        let delta = i64::try_from(at).ok()? - i64::try_from(previous).ok()?;
        match delta {
            0..=255 => Some(Self::Small),
            -32_768..=32_767 => Some(Self::Large),
            _ => None,
        }
    }

    const fn len(self) -> usize {
        match self {
            Self::Missing => 0,
            Self::Small => 1,
            Self::Large => 2,
        }
    }

    const fn symbol(self) -> u16 {
        match self {
            Self::Missing => 0,
            Self::Small => 1,
            Self::Large => 2,
        }
    }

    const fn from_symbol(symbol: u16) -> Option<Self> {
        match symbol {
            0 => Some(Self::Missing),
            1 => Some(Self::Small),
            2 => Some(Self::Large),
            _ => None,
        }
    }
}

/// Greedy: a run where it is at least as long as the vector it replaces, else 14 one-bit or 7 two-bit symbols.
fn write_chunks(out: &mut Bytes<'_>, mut rest: &[Status]) -> Result<(), RtpError> {
    while let Some(first) = rest.first() {
        let run = rest.iter().take_while(|s| *s == first).count();
        let narrow = rest.iter().take(14).all(|s| *s != Status::Large);
        let vector = if narrow { 14 } else { 7 };
        let (chunk, taken) = if run >= vector.min(rest.len()) {
            (first.symbol() << 13 | len16(run), run)
        } else {
            let bits = if narrow { 1 } else { 2 };
            let symbols = rest.iter().map(|s| s.symbol()).chain(core::iter::repeat(0)).take(vector);
            let packed = symbols.fold(0, |packed, symbol| packed << bits | symbol);
            (if narrow { 0x8000 } else { 0xc000 } | packed, vector.min(rest.len()))
        };
        out.push(&chunk.to_be_bytes())?;
        rest = rest.get(taken..).unwrap_or_default();
    }
    Ok(())
}

struct Bytes<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Bytes<'_> {
    fn push(&mut self, bytes: &[u8]) -> Result<(), RtpError> {
        let end = self.at + bytes.len();
        self.out.get_mut(self.at..end).ok_or(RtpError::BufferTooSmall)?.copy_from_slice(bytes);
        self.at = end;
        Ok(())
    }
}

/// What a receiver says about one of our packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketResult {
    /// Transport-wide number.
    pub number: u16,
    /// Arrival in microseconds of the receiver's clock (modulo about 12 days); `None` if it did not arrive.
    pub arrival_us: Option<i64>,
}

/// A feedback body that was checked; iterates over its packets.
#[derive(Debug, Clone, Copy)]
pub struct Feedback<'a> {
    /// First number reported.
    pub base: u16,
    /// Packets reported.
    pub count: u16,
    /// Feedback packet count.
    pub sequence: u8,
    reference_us: i64,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl<'a> Feedback<'a> {
    /// Reads a body: what stands behind the media SSRC.
    ///
    /// # Errors
    /// [`RtpError::Truncated`] if chunks or deltas are missing, [`RtpError::Malformed`] for a reserved symbol.
    pub fn parse(body: &'a [u8]) -> Result<Self, RtpError> {
        let base = be16(body, 0).ok_or(RtpError::Truncated)?;
        let count = be16(body, 2).ok_or(RtpError::Truncated)?;
        let reference = be24(body, 4).ok_or(RtpError::Truncated)?;
        let sequence = *body.get(7).ok_or(RtpError::Truncated)?;
        let rest = body.get(HEAD..).unwrap_or_default();
        let (chunk_len, delta_len) = measure(rest, usize::from(count))?;
        let (chunks, deltas) = rest.split_at_checked(chunk_len).ok_or(RtpError::Truncated)?;
        let deltas = deltas.get(..delta_len).ok_or(RtpError::Truncated)?;
        let reference_us = i64::from((reference << 8).cast_signed() >> 8) * 64_000;
        Ok(Self { base, count, sequence, reference_us, chunks, deltas })
    }

    /// The packets, in order of their numbers.
    #[must_use]
    pub fn results(&self) -> Results<'a> {
        Results {
            statuses: Statuses { chunks: self.chunks, chunk: Chunk::EMPTY, left: usize::from(self.count) },
            deltas: self.deltas,
            number: self.base,
            at_us: self.reference_us,
        }
    }
}

/// Lengths of the chunks and of the deltas they call for.
fn measure(rest: &[u8], count: usize) -> Result<(usize, usize), RtpError> {
    let (mut at, mut left, mut deltas) = (0, count, 0usize);
    while left > 0 {
        let chunk = Chunk::parse(be16(rest, at).ok_or(RtpError::Truncated)?);
        at += 2;
        let taken = chunk.left.min(left);
        // A run can cover 8191 packets: count it at once instead of walking it.
        if chunk.bits == 0 {
            let status = chunk.status().ok_or(RtpError::Malformed)?;
            deltas += status.len() * taken;
        } else {
            let mut chunk = chunk;
            for _ in 0..taken {
                deltas += chunk.status().ok_or(RtpError::Malformed)?.len();
                chunk.advance();
            }
        }
        left -= taken;
    }
    Ok((at, deltas))
}

/// One status chunk: a run (bits 0) or a vector of 1- or 2-bit symbols.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    word: u16,
    bits: u32,
    left: usize,
}

impl Chunk {
    const EMPTY: Self = Self { word: 0, bits: 0, left: 0 };

    fn parse(word: u16) -> Self {
        match word >> 14 {
            0 | 1 => Self { word: word >> 13, bits: 0, left: usize::from(word & 0x1fff) },
            2 => Self { word: word & 0x3fff, bits: 1, left: 14 },
            _ => Self { word: word & 0x3fff, bits: 2, left: 7 },
        }
    }

    /// The symbol in front.
    fn status(&self) -> Option<Status> {
        let symbol = match self.bits {
            0 => self.word,
            1 => self.word >> 13 & 1,
            _ => self.word >> 12 & 3,
        };
        Status::from_symbol(symbol)
    }

    fn advance(&mut self) {
        self.left = self.left.saturating_sub(1);
        self.word <<= self.bits;
    }
}

#[derive(Debug, Clone, Copy)]
struct Statuses<'a> {
    chunks: &'a [u8],
    chunk: Chunk,
    left: usize,
}

impl Statuses<'_> {
    fn next(&mut self) -> Option<Status> {
        self.left = self.left.checked_sub(1)?;
        while self.chunk.left == 0 {
            self.chunk = Chunk::parse(be16(self.chunks, 0)?);
            self.chunks = self.chunks.get(2..)?;
        }
        let status = self.chunk.status();
        self.chunk.advance();
        status
    }
}

/// Iterates over the packets of a [`Feedback`].
#[derive(Debug, Clone, Copy)]
pub struct Results<'a> {
    statuses: Statuses<'a>,
    deltas: &'a [u8],
    number: u16,
    at_us: i64,
}

impl Iterator for Results<'_> {
    type Item = PacketResult;

    fn next(&mut self) -> Option<PacketResult> {
        let status = self.statuses.next()?;
        let number = self.number;
        self.number = number.wrapping_add(1);
        let ticks = match status {
            Status::Missing => return Some(PacketResult { number, arrival_us: None }),
            Status::Small => i64::from(*self.deltas.first()?),
            Status::Large => i64::from(be16(self.deltas, 0)?.cast_signed()),
        };
        self.deltas = self.deltas.get(status.len()..)?;
        self.at_us += ticks * 250;
        Some(PacketResult { number, arrival_us: Some(self.at_us) })
    }
}

#[cfg(test)]
mod tests;
