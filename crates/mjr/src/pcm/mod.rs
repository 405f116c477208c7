//! Sound of telephones as samples: G.711, G.722 and L16.

pub mod g722;

/// Missing time that is filled, in all, in seconds; see [`crate::opus::Filler`].
const FILLED_S: u64 = 6 * 3600;

/// Makes samples of payloads.
#[derive(Clone, Debug)]
pub struct Decoder {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    MuLaw,
    ALaw,
    /// Either law, as the payload type says.
    Either,
    G722(Box<g722::Decoder>),
    L16(u32),
}

impl Decoder {
    /// By Janus' name of the codec.
    pub fn of(codec: &str) -> Option<Self> {
        let kind = match codec {
            "pcmu" => Kind::MuLaw,
            "pcma" => Kind::ALaw,
            "g711" => Kind::Either,
            "g722" => Kind::G722(Box::default()),
            "l16" => Kind::L16(16_000),
            "l16-48" => Kind::L16(48_000),
            _ => return None,
        };
        Some(Self { kind })
    }

    /// Samples a second, of one channel.
    pub const fn rate(&self) -> u32 {
        match self.kind {
            Kind::MuLaw | Kind::ALaw | Kind::Either => 8_000,
            Kind::G722(_) => 16_000,
            Kind::L16(rate) => rate,
        }
    }

    /// Ticks of RTP a second. G.722 counts half its samples (RFC 3551 section 4.5.2).
    pub const fn clock_rate(&self) -> u32 {
        match self.kind {
            Kind::G722(_) => 8_000,
            _ => self.rate(),
        }
    }

    /// Appends the samples of a payload.
    pub fn decode(&mut self, payload_type: u8, payload: &[u8], out: &mut Vec<i16>) {
        match &mut self.kind {
            Kind::Either if payload_type == 8 => out.extend(payload.iter().map(|b| a_law(*b))),
            Kind::ALaw => out.extend(payload.iter().map(|b| a_law(*b))),
            Kind::MuLaw | Kind::Either => out.extend(payload.iter().map(|b| mu_law(*b))),
            Kind::G722(decoder) => out.extend(payload.iter().flat_map(|b| decoder.decode(*b))),
            Kind::L16(_) => out.extend(payload.as_chunks().0.iter().map(|b| i16::from_be_bytes(*b))),
        }
    }
}

/// ITU-T G.711, table 2: 14 bits, shifted to 16.
fn mu_law(byte: u8) -> i16 {
    let code = !byte;
    let size = ((i16::from(code & 0x0f) << 3) + 0x84) << (code >> 4 & 7);
    if code & 0x80 != 0 { 0x84 - size } else { size - 0x84 }
}

/// ITU-T G.711, table 1: 13 bits, shifted to 16.
fn a_law(byte: u8) -> i16 {
    let code = byte ^ 0x55;
    let step = i16::from(code & 0x0f) << 4;
    let size = match code >> 4 & 7 {
        0 => step + 8,
        segment => (step + 0x108) << (segment - 1),
    };
    if code & 0x80 != 0 { size } else { -size }
}

/// Makes each piece begin where the one before it ends, as [`crate::opus::Filler`] does: with silence for what is
/// missing.
#[derive(Clone, Debug)]
pub struct Filler {
    rate: u32,
    end: Option<u64>,
    /// How much may still be filled.
    room: u64,
    /// Samples of silence put in.
    pub filled: u64,
    /// Pieces left out.
    pub left_out: u64,
}

/// A piece of sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Samples since the beginning of the timeline.
    pub time: u64,
    /// The samples.
    pub samples: Vec<i16>,
}

impl Filler {
    /// For so many samples a second.
    pub fn new(rate: u32) -> Self {
        Self { rate, end: None, room: FILLED_S * u64::from(rate), filled: 0, left_out: 0 }
    }

    /// Takes a piece that was sent at `time`; appends it, and the silence before it in pieces of a second at most.
    pub fn push(&mut self, time: u64, samples: Vec<i16>, out: &mut Vec<Piece>) {
        let length = crate::num::long(samples.len());
        let mut end = self.end.unwrap_or(time);
        if length == 0 || end.saturating_sub(time) > length / 2 {
            self.left_out += 1;
            return;
        }
        let mut missing = time.saturating_sub(end).min(self.room);
        // Less than half a piece is a clock that is not quite even.
        if missing <= length / 2 {
            missing = 0;
        }
        self.filled += missing;
        self.room -= missing;
        while missing > 0 {
            let now = missing.min(self.rate.into());
            out.push(Piece { time: end, samples: vec![0; usize::try_from(now).unwrap_or(0)] });
            end += now;
            missing -= now;
        }
        if time.saturating_sub(end) > length {
            end = time;
        }
        out.push(Piece { time: end, samples });
        self.end = Some(end + length);
    }
}

#[cfg(test)]
mod tests;
