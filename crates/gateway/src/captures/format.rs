//! How captures are written: as pcap, or as the text that `text2pcap` takes.
//!
//! There were no such datagrams: what is captured was decrypted, or is not encrypted yet. Their IP and UDP headers are made
//! up: 10.0.0.1 is the client, 10.0.0.2 the gateway; port 5004 is RTP and RTCP, port 9 data channels.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Raw IPv4 or IPv6 packets (LINKTYPE_RAW).
const LINK_TYPE: u32 = 101;
/// Largest record.
const SNAP_LENGTH: u32 = 65_535;
const IP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const CLIENT: [u8; 4] = [10, 0, 0, 1];
const GATEWAY: [u8; 4] = [10, 0, 0, 2];

/// Binary or text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Pcap,
    Text,
}

/// A packet.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) at: SystemTime,
    /// From the client.
    pub(super) incoming: bool,
    /// A message of a data channel.
    pub(super) data: bool,
    /// Its whole length.
    pub(super) whole: usize,
    /// What was kept of it.
    pub(super) bytes: Box<[u8]>,
}

impl Format {
    /// What stands at the beginning of a file.
    pub(super) fn begin(self, out: &mut Vec<u8>) {
        if self == Self::Pcap {
            // Native byte order is told by the magic number; microseconds.
            out.extend(0xa1b2_c3d4_u32.to_le_bytes());
            out.extend(2_u16.to_le_bytes());
            out.extend(4_u16.to_le_bytes());
            out.extend([0; 8]);
            out.extend(SNAP_LENGTH.to_le_bytes());
            out.extend(LINK_TYPE.to_le_bytes());
        }
    }

    pub(super) fn packet(self, record: &Record, out: &mut Vec<u8>) {
        let at = record.at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        match self {
            Self::Pcap => pcap(record, at, out),
            Self::Text => text(record, at, out),
        }
    }
}

fn pcap(record: &Record, at: Duration, out: &mut Vec<u8>) {
    // Data messages may be longer than a datagram.
    let room = usize::from(u16::MAX) - IP_HEADER - UDP_HEADER;
    let kept = record.bytes.get(..room).unwrap_or(&record.bytes);
    let whole = record.whole.min(room);
    let length = |n: usize| u32::try_from(n + IP_HEADER + UDP_HEADER).unwrap_or(u32::MAX);
    out.extend(u32::try_from(at.as_secs()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend(at.subsec_micros().to_le_bytes());
    out.extend(length(kept.len()).to_le_bytes());
    out.extend(length(whole).to_le_bytes());
    let (from, to) = if record.incoming { (CLIENT, GATEWAY) } else { (GATEWAY, CLIENT) };
    let port: u16 = if record.data { 9 } else { 5004 };
    let short = |n: usize| u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes();
    let mut ip = [0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    ip[2..4].copy_from_slice(&short(whole + IP_HEADER + UDP_HEADER));
    ip[12..16].copy_from_slice(&from);
    ip[16..20].copy_from_slice(&to);
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    out.extend(ip);
    out.extend(port.to_be_bytes());
    out.extend(port.to_be_bytes());
    out.extend(short(whole + UDP_HEADER));
    // No checksum (RFC 768).
    out.extend([0, 0]);
    out.extend(kept);
}

/// RFC 1071.
fn checksum(header: &[u8; IP_HEADER]) -> u16 {
    let words =
        header.chunks(2).map(|pair| pair.iter().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// `I 14:05:00.123456`, and the bytes behind it: for `text2pcap -D -n -l 1 -i 17 -u 5004,5004 -t '%H:%M:%S.%f'`.
fn text(record: &Record, at: Duration, out: &mut Vec<u8>) {
    let day = at.as_secs() % 86_400;
    let way = if record.incoming { 'I' } else { 'O' };
    let time = format!("{:02}:{:02}:{:02}.{:06}", day / 3600, day / 60 % 60, day % 60, at.subsec_micros());
    out.extend(format!("{way} {time} 000000").into_bytes());
    for byte in &record.bytes {
        out.extend(format!(" {byte:02x}").into_bytes());
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            at: UNIX_EPOCH + Duration::from_micros(3_723_000_004),
            incoming: true,
            data: false,
            whole: 6,
            bytes: [0x80, 0x6f, 1, 2].into(),
        }
    }

    #[test]
    fn a_pcap_has_headers_that_tools_believe() {
        let mut out = Vec::new();
        Format::Pcap.begin(&mut out);
        assert_eq!(out.len(), 24);
        out.clear();
        Format::Pcap.packet(&record(), &mut out);
        assert_eq!(out[..16], [0x8b, 0x0e, 0, 0, 4, 0, 0, 0, 32, 0, 0, 0, 34, 0, 0, 0]);
        let ip: &[u8; IP_HEADER] = out[16..36].try_into().unwrap();
        assert_eq!(checksum(ip), 0, "the sum over everything is all ones");
        assert_eq!(out[36..44], [0x13, 0x8c, 0x13, 0x8c, 0, 14, 0, 0]);
        assert_eq!(out[44..], [0x80, 0x6f, 1, 2]);
    }

    #[test]
    fn text_is_a_line_a_packet() {
        let mut out = Vec::new();
        Format::Text.packet(&record(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "I 01:02:03.000004 000000 80 6f 01 02\n");
    }
}
