//! Opus in Ogg (RFC 7845, RFC 3533).

use crate::timeline::Timeline;
use std::io::{self, Write};

/// Ticks a second of Opus, whatever it was sampled at.
pub const CLOCK_RATE: u32 = 48_000;
/// A page holds about a second.
const PAGE_PACKETS: usize = 50;
const SERIAL: u32 = 0x504f_5254;
/// Missing time up to which it is filled: an hour of silence is not a mistake, ten are.
const FILLED_S: u64 = 10 * 3600;
const FIRST: u8 = 0x02;
const LAST: u8 = 0x04;

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Packets of the recording.
    pub packets: u64,
    /// Packets put in for what is missing: silence, or losses for the decoder to conceal.
    pub filled: u64,
    /// Samples in all, 48,000 a second.
    pub samples: u64,
}

/// Writes a timeline of Opus packets as an Ogg file.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, timeline: &Timeline<'_>) -> io::Result<Written> {
    let packets = timeline.packets.iter().filter(|p| duration(p.payload) > 0);
    let mut ogg = Pages::new(out);
    ogg.page(&[&head(channels(timeline))], 0, FIRST)?;
    ogg.page(&[&tags()], 0, 0)?;
    let mut written = Written::default();
    let mut waiting: Vec<Vec<u8>> = Vec::new();
    for packet in packets {
        let length = duration(packet.payload);
        let missing = packet.time.saturating_sub(written.samples).min(FILLED_S * u64::from(CLOCK_RATE));
        // A packet of the same kind without a frame in it: decoders make up for what is not there (RFC 7845 section 4.1).
        let empty = vec![packet.payload.first().copied().unwrap_or(0) & 0xfc];
        for _ in 0..missing / length {
            written.filled += 1;
            written.samples += length;
            waiting.push(empty.clone());
            ogg.flush_at(PAGE_PACKETS, &mut waiting, written.samples)?;
        }
        written.packets += 1;
        written.samples += length;
        waiting.push(packet.payload.to_vec());
        ogg.flush_at(PAGE_PACKETS, &mut waiting, written.samples)?;
    }
    let all: Vec<&[u8]> = waiting.iter().map(Vec::as_slice).collect();
    ogg.page(&all, written.samples, LAST)?;
    Ok(written)
}

/// Channels of a timeline of Opus packets.
pub fn channels(timeline: &Timeline<'_>) -> u8 {
    let stereo = timeline.packets.iter().filter_map(|p| p.payload.first()).any(|toc| toc & 0x04 != 0);
    if stereo { 2 } else { 1 }
}

/// Samples of a packet at 48 kHz (RFC 6716 section 3.1); 0 if it is none.
pub fn duration(packet: &[u8]) -> u64 {
    let Some((toc, rest)) = packet.split_first() else { return 0 };
    let config = toc >> 3;
    let frame = match config {
        0..=11 => frame_of(&[480, 960, 1920, 2880], config & 3),
        12..=15 => frame_of(&[480, 960], config & 1),
        _ => frame_of(&[120, 240, 480, 960], config & 3),
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => rest.first().map_or(0, |count| u64::from(count & 0x3f)),
    };
    // No packet is longer than 120 ms.
    if frame * frames <= 5760 { frame * frames } else { 0 }
}

fn frame_of(lengths: &[u64], n: u8) -> u64 {
    lengths.get(usize::from(n)).copied().unwrap_or(0)
}

pub fn head(channels: u8) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels);
    // The beginning of a call is no encoder's warming up: nothing is skipped.
    head.extend(0_u16.to_le_bytes());
    head.extend(CLOCK_RATE.to_le_bytes());
    head.extend([0, 0, 0]);
    head
}

fn tags() -> Vec<u8> {
    let vendor = concat!("portunus-pp-rec ", env!("CARGO_PKG_VERSION"));
    let mut tags = b"OpusTags".to_vec();
    tags.extend(u32::try_from(vendor.len()).unwrap_or(0).to_le_bytes());
    tags.extend(vendor.as_bytes());
    tags.extend(0_u32.to_le_bytes());
    tags
}

struct Pages<'w, W> {
    out: &'w mut W,
    number: u32,
}

impl<'w, W: Write> Pages<'w, W> {
    fn new(out: &'w mut W) -> Self {
        Self { out, number: 0 }
    }

    fn flush_at(&mut self, most: usize, waiting: &mut Vec<Vec<u8>>, granule: u64) -> io::Result<()> {
        let lacing: usize = waiting.iter().map(|p| p.len() / 255 + 1).sum();
        if waiting.len() < most && lacing < 240 {
            return Ok(());
        }
        let all: Vec<&[u8]> = waiting.iter().map(Vec::as_slice).collect();
        self.page(&all, granule, 0)?;
        waiting.clear();
        Ok(())
    }

    /// One page of whole packets; `granule` is the number of samples at its end.
    fn page(&mut self, packets: &[&[u8]], granule: u64, flags: u8) -> io::Result<()> {
        let mut lacing = Vec::new();
        for packet in packets {
            lacing.extend(std::iter::repeat_n(255, packet.len() / 255));
            lacing.push(u8::try_from(packet.len() % 255).unwrap_or(0));
        }
        let segments =
            u8::try_from(lacing.len()).map_err(|_| io::Error::other("a page of Ogg is too long"))?;
        let mut page = b"OggS\0".to_vec();
        page.push(flags);
        page.extend(granule.to_le_bytes());
        page.extend(SERIAL.to_le_bytes());
        page.extend(self.number.to_le_bytes());
        page.extend([0; 4]);
        page.push(segments);
        page.extend(lacing);
        packets.iter().for_each(|packet| page.extend(*packet));
        let sum = checksum(&page);
        page.splice(22..26, sum.to_le_bytes());
        self.number += 1;
        self.out.write_all(&page)
    }
}

/// CRC-32 as Ogg has it: not reflected, begun and ended with 0.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ (u32::from(*byte) << 24), |sum, _| {
            if sum & 0x8000_0000 != 0 { (sum << 1) ^ 0x04c1_1db7 } else { sum << 1 }
        })
    };
    bytes.iter().fold(0, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::Packet;

    #[test]
    fn packets_tell_how_long_they_are() {
        for (packet, samples) in [
            (&[0x78][..], 960),
            (&[0x79], 1920),
            (&[0x7a, 1], 1920),
            (&[0x7b, 3], 2880),
            (&[0x7b, 0x3f], 0),
            (&[0x7b], 0),
            (&[], 0),
            (&[0x18], 2880),
            (&[0x60], 480),
            (&[0xe0], 120),
        ] {
            assert_eq!(duration(packet), samples, "{packet:?}");
        }
    }

    #[test]
    fn the_checksum_is_that_of_ogg() {
        // That of POSIX' cksum, before it is turned over.
        assert_eq!(checksum(b"123456789"), 0x89a1_897f);
    }

    #[test]
    fn what_is_missing_is_filled() {
        let packet = |time, payload: &'static [u8]| Packet {
            index: 0,
            time,
            ms: 0,
            marker: false,
            payload_type: 111,
            payload,
        };
        let timeline = Timeline {
            packets: vec![packet(0, &[0x78, 1]), packet(960, &[0x78, 2]), packet(960 * 5, &[0x7c, 3])],
            ..Timeline::default()
        };
        let mut out = Vec::new();
        let written = write(&mut out, &timeline).unwrap();
        assert_eq!(written, Written { packets: 3, filled: 3, samples: 960 * 6 });
        assert!(out.starts_with(b"OggS") && out.windows(8).any(|w| w == b"OpusHead"));
        assert!(out.ends_with(&[0x78, 1, 0x78, 2, 0x7c, 0x7c, 0x7c, 0x7c, 3]));
    }
}
