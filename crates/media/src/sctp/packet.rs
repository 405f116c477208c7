//! Views over SCTP packets and chunks (RFC 9260 section 3). Total: malformed input yields `None` or an early end.

use bytes::{BufMut, Bytes, BytesMut};

pub(super) const COMMON_HEADER: usize = 12;
const CHUNK_HEADER: usize = 4;

pub(super) const DATA: u8 = 0;
pub(super) const INIT: u8 = 1;
pub(super) const INIT_ACK: u8 = 2;
pub(super) const SACK: u8 = 3;
pub(super) const HEARTBEAT: u8 = 4;
pub(super) const ABORT: u8 = 6;
pub(super) const SHUTDOWN_ACK: u8 = 8;
pub(super) const ERROR: u8 = 9;
pub(super) const COOKIE_ACK: u8 = 11;
pub(super) const SHUTDOWN_COMPLETE: u8 = 14;
pub(super) const RE_CONFIG: u8 = 130;
pub(super) const FORWARD_TSN: u8 = 192;
/// The chunk types rtc-sctp knows.
const KNOWN: [u8; 14] = [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 14, RE_CONFIG, FORWARD_TSN];

/// Outgoing SSN reset request (RFC 6525 section 4.1).
pub(super) const RESET_REQUEST: u16 = 13;

/// The common header without its checksum, which DTLS makes superfluous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) source: u16,
    pub(super) destination: u16,
    pub(super) tag: u32,
}

/// One chunk, without padding.
#[derive(Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub(super) kind: u8,
    pub(super) raw: &'a [u8],
    pub(super) value: &'a [u8],
}

impl Chunk<'_> {
    pub(super) fn is_known(&self) -> bool {
        KNOWN.contains(&self.kind)
    }

    /// A 32-bit field of the value.
    pub(super) fn u32(&self, at: usize) -> Option<u32> {
        self.value.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// A 16-bit field of the value.
    pub(super) fn u16(&self, at: usize) -> Option<u16> {
        self.value.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
    }
}

/// Whether the checksum is right (RFC 9260 section 6.8).
pub(super) fn is_intact(packet: &[u8]) -> bool {
    let Some((header, chunks)) = packet.split_first_chunk::<COMMON_HEADER>() else { return false };
    let [ports_and_tag @ .., a, b, c, d] = header;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(ports_and_tag), &[0; 4]);
    crc32c::crc32c_append(checksum, chunks).to_le_bytes() == [*a, *b, *c, *d]
}

/// Splits a packet into its header and its chunks.
pub(super) fn parse(packet: &[u8]) -> Option<(Header, Chunks<'_>)> {
    let (header, chunks) = packet.split_first_chunk::<COMMON_HEADER>()?;
    let [a, b, c, d, t0, t1, t2, t3, ..] = *header;
    let header = Header {
        source: u16::from_be_bytes([a, b]),
        destination: u16::from_be_bytes([c, d]),
        tag: u32::from_be_bytes([t0, t1, t2, t3]),
    };
    Some((header, Chunks(chunks)))
}

/// Whether a packet begins with DATA.
pub(super) fn is_data(packet: &[u8]) -> bool {
    packet.get(COMMON_HEADER) == Some(&DATA)
}

/// The chunks of a packet up to the first malformed one.
#[derive(Default)]
pub(super) struct Chunks<'a>(&'a [u8]);

impl Chunks<'_> {
    /// Bytes not split yet; none if the packet was well formed.
    pub(super) fn rest(&self) -> usize {
        self.0.len()
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let [kind, _flags, high, low] = *self.0.first_chunk::<CHUNK_HEADER>()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let raw = self.0.get(..length)?;
        let value = raw.get(CHUNK_HEADER..)?;
        // The padding of the last chunk may be missing.
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Chunk { kind, raw, value })
    }
}

/// A packet of these chunks, with padding and checksum.
pub(super) fn build<'a>(header: Header, chunks: impl IntoIterator<Item = &'a [u8]>) -> Bytes {
    let mut packet = BytesMut::new();
    packet.put_u16(header.source);
    packet.put_u16(header.destination);
    packet.put_u32(header.tag);
    packet.put_u32(0);
    for chunk in chunks {
        packet.extend_from_slice(chunk);
        packet.resize(packet.len().next_multiple_of(4), 0);
    }
    let checksum = crc32c::crc32c(&packet).to_le_bytes();
    if let Some(field) = packet.get_mut(8..COMMON_HEADER) {
        field.copy_from_slice(&checksum);
    }
    packet.freeze()
}

/// Whether serial number `a` comes after `b` (RFC 1982).
pub(super) fn is_after(a: u32, b: u32) -> bool {
    let distance = a.wrapping_sub(b);
    distance != 0 && distance < 1 << 31
}
