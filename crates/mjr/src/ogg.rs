//! Opus in Ogg (RFC 7845, RFC 3533).

use crate::num;
use crate::opus::Head;
use std::io::{self, Write};

/// A page holds about a second.
const PAGE_PACKETS: usize = 50;
/// A page has 255 lengths at most; so many leave room for the longest packet.
const PAGE_LENGTHS: usize = 200;
const SERIAL: u32 = 0x504f_5254;
const FIRST: u8 = 0x02;
const LAST: u8 = 0x04;

/// Writes packets as they come.
#[derive(Debug)]
pub struct Writer<W> {
    pages: Pages<W>,
    waiting: Vec<Vec<u8>>,
    samples: u64,
}

impl<W: Write> Writer<W> {
    /// Writes what is before the first packet.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: W, head: &Head) -> io::Result<Self> {
        Self::with_comment(out, head, None)
    }

    /// Writes what is before the first packet, a comment with it.
    ///
    /// # Errors
    /// Those of `out`, or the comment is longer than a page.
    pub fn with_comment(out: W, head: &Head, comment: Option<&str>) -> io::Result<Self> {
        let mut pages = Pages { out, number: 0 };
        pages.page(&[&head.to_bytes()], 0, FIRST)?;
        pages.page(&[&tags(comment)], 0, 0)?;
        Ok(Self { pages, waiting: Vec::new(), samples: 0 })
    }

    /// Takes a packet of so many samples.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn push(&mut self, packet: &[u8], samples: u64) -> io::Result<()> {
        let lengths: usize = self.waiting.iter().map(|p| p.len() / 255 + 1).sum();
        if self.waiting.len() >= PAGE_PACKETS || lengths + packet.len() / 255 >= PAGE_LENGTHS {
            self.write_waiting(0)?;
        }
        self.samples += samples;
        self.waiting.push(packet.to_vec());
        Ok(())
    }

    /// Writes the last page; gives the number of samples.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(mut self) -> io::Result<u64> {
        self.write_waiting(LAST)?;
        self.pages.out.flush()?;
        Ok(self.samples)
    }

    fn write_waiting(&mut self, flags: u8) -> io::Result<()> {
        let all: Vec<&[u8]> = self.waiting.iter().map(Vec::as_slice).collect();
        self.pages.page(&all, self.samples, flags)?;
        self.waiting.clear();
        Ok(())
    }
}

/// RFC 7845 section 5.2.
fn tags(comment: Option<&str>) -> Vec<u8> {
    let vendor = concat!("portunus ", env!("CARGO_PKG_VERSION"));
    let mut tags = b"OpusTags".to_vec();
    tags.extend(num::word(vendor.len()).to_le_bytes());
    tags.extend(vendor.as_bytes());
    let comment = comment.map(|text| format!("COMMENT={text}"));
    tags.extend(u32::from(comment.is_some()).to_le_bytes());
    if let Some(comment) = comment {
        tags.extend(num::word(comment.len()).to_le_bytes());
        tags.extend(comment.as_bytes());
    }
    tags
}

#[derive(Debug)]
struct Pages<W> {
    out: W,
    number: u32,
}

impl<W: Write> Pages<W> {
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

    #[test]
    fn the_checksum_is_that_of_ogg() {
        // That of POSIX' cksum, before it is turned over.
        assert_eq!(checksum(b"123456789"), 0x89a1_897f);
    }

    #[test]
    fn packets_are_put_on_pages_with_the_samples_so_far() {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, &Head::plain(1)).unwrap();
        (0..120_u8).for_each(|n| writer.push(&[0x78, n], 960).unwrap());
        assert_eq!(writer.finish().unwrap(), 120 * 960);
        let pages: Vec<usize> = (0..out.len()).filter(|at| out[*at..].starts_with(b"OggS")).collect();
        assert_eq!(pages.len(), 5);
        let granules: Vec<u64> =
            pages.iter().map(|at| u64::from_le_bytes(out[at + 6..at + 14].try_into().unwrap())).collect();
        assert_eq!(granules, [0, 0, 50 * 960, 100 * 960, 120 * 960]);
        assert_eq!(out[pages[4] + 5], LAST);
    }

    #[test]
    fn a_comment_stands_among_the_tags_or_is_refused() {
        let mut out = Vec::new();
        Writer::with_comment(&mut out, &Head::plain(1), Some("a call")).unwrap().finish().unwrap();
        assert!(out.windows(18).any(|w| w == b"\x0e\0\0\0COMMENT=a call"));
        let long = "x".repeat(70_000);
        assert!(Writer::with_comment(Vec::new(), &Head::plain(1), Some(&long)).is_err());
    }

    #[test]
    fn a_page_has_room_for_long_packets() {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, &Head::plain(1)).unwrap();
        (0..9).for_each(|_| writer.push(&[0x78; 1276 * 6], 960).unwrap());
        writer.finish().unwrap();
        assert!(out.len() > 9 * 1276 * 6);
    }
}
