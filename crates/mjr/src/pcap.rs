//! Classic captures (libpcap's format): what was sent over UDP, and writing it.
//!
//! Read are microseconds and nanoseconds in either byte order; Ethernet (with VLAN tags), Linux cooked captures of both
//! versions, BSD loopback and raw IP; IPv4 and IPv6 with UDP. Whatever is something else is passed over.

use crate::num;

/// Before all packets.
const HEAD: usize = 24;
const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// What pcapng files begin with, in either byte order.
const NEXT_GENERATION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// More than any packet there is: a length beyond it is none.
const LONGEST: usize = 1 << 18;
const UDP: u8 = 17;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// Why bytes are no capture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PcapError {
    /// They begin otherwise.
    #[error("this is no capture")]
    Magic,
    /// The newer format.
    #[error("this is a pcapng capture: `tshark -F pcap -r in.pcapng -w out.pcap` makes it a classic one")]
    NextGeneration,
    /// What the packets begin with is not known.
    #[error("captures of link type {0} are not read: known are Ethernet, Linux cooked, loopback and raw IP")]
    Link(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Loopback,
    Ethernet,
    Raw,
    Cooked,
    Cooked2,
}

/// A capture that lies in memory: the contents of its UDP datagrams, as far as it goes.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    little: bool,
    nanoseconds: bool,
    link: Link,
    /// Packets that hold no whole UDP datagram.
    pub passed_over: u64,
}

/// A datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Microseconds since 1970.
    pub time: u64,
    /// What it carries.
    pub bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads the head.
    ///
    /// # Errors
    /// The bytes do not begin like a classic capture of a known link.
    pub fn new(bytes: &'a [u8]) -> Result<Self, PcapError> {
        let (head, rest) = bytes.split_first_chunk::<HEAD>().ok_or(PcapError::Magic)?;
        let [magic, .., link] = *head.as_chunks::<4>().0 else { return Err(PcapError::Magic) };
        let (little, nanoseconds) = match magic {
            NEXT_GENERATION => return Err(PcapError::NextGeneration),
            m if u32::from_le_bytes(m) == MICROSECONDS => (true, false),
            m if u32::from_le_bytes(m) == NANOSECONDS => (true, true),
            m if u32::from_be_bytes(m) == MICROSECONDS => (false, false),
            m if u32::from_be_bytes(m) == NANOSECONDS => (false, true),
            _ => return Err(PcapError::Magic),
        };
        // The upper bits tell of checksums at the end of frames.
        let link = match number(link, little) & 0xffff {
            0 | 108 => Link::Loopback,
            1 => Link::Ethernet,
            12 | 14 | 101 | 228 | 229 => Link::Raw,
            113 => Link::Cooked,
            276 => Link::Cooked2,
            other => return Err(PcapError::Link(other)),
        };
        Ok(Self { rest, little, nanoseconds, link, passed_over: 0 })
    }

    /// Bytes at the end that are no whole packet; once all were taken.
    pub fn left_over(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Datagram<'a>;

    fn next(&mut self) -> Option<Datagram<'a>> {
        loop {
            let (head, behind) = self.rest.split_first_chunk::<16>()?;
            let [seconds, fraction, length, _] = *head.as_chunks::<4>().0 else { return None };
            let [seconds, fraction, length] = [seconds, fraction, length].map(|n| number(n, self.little));
            let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST)?;
            let (packet, rest) = behind.split_at_checked(length)?;
            self.rest = rest;
            let fraction = if self.nanoseconds { fraction / 1000 } else { fraction };
            match ip(self.link, packet).and_then(udp) {
                Some(bytes) => {
                    let time = u64::from(seconds) * 1_000_000 + u64::from(fraction);
                    return Some(Datagram { time, bytes });
                }
                None => self.passed_over += 1,
            }
        }
    }
}

fn number(bytes: [u8; 4], little: bool) -> u32 {
    if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }
}

/// The IP packet of a frame.
fn ip(link: Link, frame: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| Some(u16::from_be_bytes(*frame.get(at..)?.first_chunk()?));
    let is_ip = |kind: u16| matches!(kind, IPV4 | IPV6);
    match link {
        Link::Raw => Some(frame),
        // The family of addresses, in four bytes of the machine's order.
        Link::Loopback => frame.get(4..),
        Link::Cooked => frame.get(16..).filter(|_| word(14).is_some_and(is_ip)),
        Link::Cooked2 => frame.get(20..).filter(|_| word(0).is_some_and(is_ip)),
        Link::Ethernet => {
            let mut at = 12;
            // Tags of virtual networks (IEEE 802.1Q, 802.1ad).
            while matches!(word(at)?, 0x8100 | 0x88a8) {
                at += 4;
            }
            frame.get(at + 2..).filter(|_| word(at).is_some_and(is_ip))
        }
    }
}

/// What a UDP datagram in an IP packet carries; `None` for fragments, and what was not captured wholly.
fn udp(packet: &[u8]) -> Option<&[u8]> {
    let first = *packet.first()?;
    let datagram = match first >> 4 {
        4 => {
            let more = u16::from_be_bytes(*packet.get(6..)?.first_chunk()?) & 0x3fff;
            (packet.get(9) == Some(&UDP) && more == 0).then_some(())?;
            packet.get(usize::from(first & 0x0f) * 4..)?
        }
        6 => {
            let (mut kind, mut at) = (*packet.get(6)?, 40);
            // Hop-by-hop, routing and destination options (RFC 8200 section 4).
            while matches!(kind, 0 | 43 | 60) {
                let [next, length] = *packet.get(at..)?.first_chunk()?;
                (kind, at) = (next, at + 8 + usize::from(length) * 8);
            }
            (kind == UDP).then_some(())?;
            packet.get(at..)?
        }
        _ => return None,
    };
    let length = u16::from_be_bytes(*datagram.get(4..)?.first_chunk()?);
    datagram.get(8..usize::from(length))
}

/// Appends the head of a capture: microseconds, little-endian, Ethernet.
pub fn write_head(out: &mut Vec<u8>) {
    out.extend(MICROSECONDS.to_le_bytes());
    out.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.extend(0xffff_u32.to_le_bytes());
    out.extend(1_u32.to_le_bytes());
}

/// Appends a datagram that came at `time`, in microseconds since 1970, from `10.1.1.1:1000` to `10.2.2.2:2000`; one that
/// is longer than UDP can be is cut.
pub fn write_datagram(out: &mut Vec<u8>, time: u64, bytes: &[u8]) {
    let bytes = bytes.get(..65_507).unwrap_or(bytes);
    let word = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let (of_udp, of_ip) = (num::short(bytes.len() + 8), num::short(bytes.len() + 28));
    out.extend(word(time / 1_000_000));
    out.extend(word(time % 1_000_000));
    out.extend([num::word(bytes.len() + 42).to_le_bytes(); 2].concat());
    out.extend([0; 12]);
    out.extend(IPV4.to_be_bytes());
    let mut ip = vec![0x45, 0];
    ip.extend(of_ip.to_be_bytes());
    ip.extend([0, 0, 0x40, 0, 64, UDP, 0, 0, 10, 1, 1, 1, 10, 2, 2, 2]);
    let sum = checksum(&ip).to_be_bytes();
    ip.splice(10..12, sum);
    out.extend(ip);
    for n in [1000, 2000, of_udp, 0] {
        out.extend(n.to_be_bytes());
    }
    out.extend_from_slice(bytes);
}

/// RFC 1071.
fn checksum(header: &[u8]) -> u16 {
    let sum: u32 = header.as_chunks().0.iter().map(|b| u32::from(u16::from_be_bytes(*b))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(packets: &[(u64, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        write_head(&mut out);
        packets.iter().for_each(|(time, bytes)| write_datagram(&mut out, *time, bytes));
        out
    }

    fn read(bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        Reader::new(bytes).unwrap().map(|d| (d.time, d.bytes.to_vec())).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        let time = 1_795_239_710_484_961;
        let bytes = written(&[(time, b"one"), (time + 20_000, b"")]);
        assert_eq!(read(&bytes), [(time, b"one".to_vec()), (time + 20_000, Vec::new())]);
        assert_eq!(checksum(&bytes[24 + 16 + 14..][..20]), 0, "the sum with itself");
    }

    /// A capture of one frame.
    fn capture(link: u32, big: bool, magic: u32, frame: &[u8]) -> Vec<u8> {
        let word = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
        let length = u32::try_from(frame.len()).unwrap();
        let mut out = word(magic).to_vec();
        out.extend([0; 16]);
        for n in [link, 7, 5_000, length, length] {
            out.extend(word(n));
        }
        out.extend(frame);
        out
    }

    #[test]
    fn each_kind_of_capture_is_read() {
        let ip = written(&[(0, b"x")])[24 + 16 + 14..].to_vec();
        let mut ip6 = vec![0x60, 0, 0, 0, 0, 17, 0, 64];
        ip6.extend([0; 32]);
        // Destination options of eight bytes, then UDP.
        ip6.extend([UDP, 0, 0, 0, 0, 0, 0, 0]);
        ip6.extend(&ip[20..]);
        ip6[6] = 60;
        let frame = |front: &[u8], ip: &[u8]| [front, ip].concat();
        for (link, front, ip) in [
            (1, [&[0; 12][..], &[8, 0]].concat(), &ip),
            (1, [&[0; 12][..], &[0x81, 0, 0, 7, 0x86, 0xdd]].concat(), &ip6),
            (101, Vec::new(), &ip),
            (229, Vec::new(), &ip6),
            (113, [&[0; 14][..], &[8, 0]].concat(), &ip),
            (276, [&[8, 0][..], &[0; 18]].concat(), &ip),
            (0, vec![2, 0, 0, 0], &ip),
        ] {
            for big in [false, true] {
                for (magic, time) in [(MICROSECONDS, 7_005_000), (NANOSECONDS, 7_000_005)] {
                    let bytes = capture(link, big, magic, &frame(&front, ip));
                    assert_eq!(read(&bytes), [(time, b"x".to_vec())], "link {link}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_datagram_is_passed_over() {
        let whole = written(&[(0, b"x")])[24 + 16 + 14..].to_vec();
        let mut fragment = whole.clone();
        fragment[6] = 0x20;
        let mut tcp = whole.clone();
        tcp[9] = 6;
        for ip in [fragment, tcp, whole[..whole.len() - 1].to_vec(), Vec::new()] {
            let bytes = capture(101, false, MICROSECONDS, &ip);
            let mut reader = Reader::new(&bytes).unwrap();
            assert_eq!((reader.next(), reader.passed_over), (None, 1));
        }
    }

    #[test]
    fn what_is_no_capture_is_said() {
        let mut next = vec![0x0a, 0x0d, 0x0d, 0x0a];
        next.extend([0; 40]);
        assert!(Reader::new(&next).unwrap_err().to_string().contains("tshark -F pcap"));
        assert_eq!(Reader::new(b"MJR00002................").unwrap_err(), PcapError::Magic);
        assert_eq!(Reader::new(b"").unwrap_err(), PcapError::Magic);
        let radio = capture(127, false, MICROSECONDS, b"");
        assert_eq!(Reader::new(&radio).unwrap_err(), PcapError::Link(127));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), link in 0..300_u32) {
            let _ = Reader::new(&bytes).map(|r| r.count());
            bytes.splice(0..0, capture(link, false, MICROSECONDS, b"..")[..24].to_vec());
            let _ = Reader::new(&bytes).map(|r| r.count());
        }
    }
}
