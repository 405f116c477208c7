//! STUN and TURN on the wire (RFC 8489, RFC 8656): as much as a client of TURN needs.
//!
//! The parser is total; it looks at nothing that stands behind the integrity of a message.

use aws_lc_rs::{constant_time, hmac};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What every header has (RFC 8489 section 5).
pub(crate) const MAGIC: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// Length of a header.
pub(crate) const HEADER: usize = 20;
/// Length of a header of channel data.
pub(crate) const CHANNEL_HEADER: usize = 4;
/// The first of the channel numbers (RFC 8656 section 12), and how many there are.
pub(crate) const FIRST_CHANNEL: u16 = 0x4000;
pub(crate) const CHANNELS: u16 = 0x1000;

/// What a message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Allocate,
    Refresh,
    CreatePermission,
    ChannelBind,
}

impl Method {
    pub(crate) const fn code(self) -> u16 {
        match self {
            Self::Allocate => 0x003,
            Self::Refresh => 0x004,
            Self::CreatePermission => 0x008,
            Self::ChannelBind => 0x009,
        }
    }
}

const SEND_INDICATION: u16 = 0x016;
const DATA_INDICATION: u16 = 0x017;
const SUCCESS: u16 = 0x100;
const ERROR: u16 = 0x110;

/// Attributes.
pub(crate) mod attribute {
    pub(crate) const USERNAME: u16 = 0x0006;
    pub(crate) const INTEGRITY: u16 = 0x0008;
    pub(crate) const ERROR_CODE: u16 = 0x0009;
    pub(crate) const CHANNEL_NUMBER: u16 = 0x000c;
    pub(crate) const LIFETIME: u16 = 0x000d;
    pub(crate) const PEER_ADDRESS: u16 = 0x0012;
    pub(crate) const DATA: u16 = 0x0013;
    pub(crate) const REALM: u16 = 0x0014;
    pub(crate) const NONCE: u16 = 0x0015;
    pub(crate) const RELAYED_ADDRESS: u16 = 0x0016;
    pub(crate) const REQUESTED_TRANSPORT: u16 = 0x0019;
    pub(crate) const INTEGRITY_SHA256: u16 = 0x001c;
    pub(crate) const PASSWORD_ALGORITHM: u16 = 0x001d;
    pub(crate) const USERHASH: u16 = 0x001e;
    pub(crate) const MAPPED_ADDRESS: u16 = 0x0020;
    pub(crate) const FINGERPRINT: u16 = 0x8028;
    pub(crate) const PASSWORD_ALGORITHMS: u16 = 0x8002;
    pub(crate) const ALTERNATE_SERVER: u16 = 0x8023;
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Success,
    Error,
    Data,
}

/// A message that came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) class: Class,
    pub(crate) transaction: [u8; 12],
    whole: &'a [u8],
}

impl<'a> Message<'a> {
    /// `None`: not a whole STUN message, or none that a server sends to a client.
    pub(crate) fn parse(whole: &'a [u8]) -> Option<Self> {
        let (&[t0, t1, l0, l1, m0, m1, m2, m3, ref transaction @ ..], body) =
            whole.split_first_chunk::<HEADER>()?;
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        if [m0, m1, m2, m3] != MAGIC || len != body.len() || !len.is_multiple_of(4) {
            return None;
        }
        let class = match u16::from_be_bytes([t0, t1]) {
            DATA_INDICATION => Class::Data,
            kind if kind & 0xc110 == SUCCESS => Class::Success,
            kind if kind & 0xc110 == ERROR => Class::Error,
            _ => return None,
        };
        Some(Self { class, transaction: *transaction, whole })
    }

    /// Kind, where the value begins, and the value of each attribute; ends where they make no sense.
    fn attributes(&self) -> impl Iterator<Item = (u16, usize, &'a [u8])> + use<'a> {
        let whole = self.whole;
        let mut at = HEADER;
        std::iter::from_fn(move || {
            let (&[k0, k1, l0, l1], tail) = whole.get(at..)?.split_first_chunk::<4>()?;
            let len = usize::from(u16::from_be_bytes([l0, l1]));
            let start = at + 4;
            at = start + len.next_multiple_of(4);
            Some((u16::from_be_bytes([k0, k1]), start, tail.get(..len)?))
        })
    }

    fn find(&self, wanted: u16) -> Option<(usize, &'a [u8])> {
        let ends = |kind| {
            matches!(kind, attribute::INTEGRITY | attribute::INTEGRITY_SHA256 | attribute::FINGERPRINT)
        };
        let mut protected = self.attributes().take_while(|(kind, ..)| !ends(*kind));
        protected.find(|(kind, ..)| *kind == wanted).map(|(_, start, value)| (start, value))
    }

    /// The value of an attribute.
    pub(crate) fn get(&self, wanted: u16) -> Option<&'a [u8]> {
        self.find(wanted).map(|(_, value)| value)
    }

    /// An attribute that is an address xored with the header.
    pub(crate) fn address(&self, wanted: u16) -> Option<SocketAddr> {
        xor_address(self.get(wanted)?, &self.transaction)
    }

    /// Where to go instead: an address in the clear.
    pub(crate) fn alternate(&self) -> Option<SocketAddr> {
        let (&[_, family, p0, p1], ip) = self.get(attribute::ALTERNATE_SERVER)?.split_first_chunk::<4>()?;
        let ip = match family {
            1 => IpAddr::V4(Ipv4Addr::from(*ip.first_chunk::<4>()?)),
            2 => IpAddr::V6(Ipv6Addr::from(*ip.first_chunk::<16>()?)),
            _ => return None,
        };
        let port = u16::from_be_bytes([p0, p1]);
        let usable = port != 0 && !ip.is_unspecified() && !ip.is_multicast();
        usable.then(|| SocketAddr::new(ip, port))
    }

    /// The seconds of LIFETIME.
    pub(crate) fn lifetime(&self) -> Option<u32> {
        self.get(attribute::LIFETIME)?.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// The number of an error.
    pub(crate) fn error(&self) -> Option<u16> {
        let [_, _, class, number] = self.get(attribute::ERROR_CODE)?.first_chunk::<4>()?;
        Some(u16::from(class & 7) * 100 + u16::from(*number))
    }

    /// Whose data it carries, and where they lie.
    pub(crate) fn data(&self) -> Option<(SocketAddr, std::ops::Range<usize>)> {
        let peer = self.address(attribute::PEER_ADDRESS)?;
        let (start, value) = self.find(attribute::DATA)?;
        Some((peer, start..start + value.len()))
    }

    /// Whether it says that it is authentic; [`Self::verify`] checks it.
    pub(crate) fn is_signed(&self) -> bool {
        let signs = |kind| matches!(kind, attribute::INTEGRITY | attribute::INTEGRITY_SHA256);
        self.attributes().any(|(kind, ..)| signs(kind))
    }

    pub(crate) fn verify(&self, integrity: Integrity, key: &[u8]) -> bool {
        let Some((_, start, value)) = self.attributes().find(|(kind, ..)| *kind == integrity.attribute())
        else {
            return false;
        };
        let Some(covered) = start.checked_sub(4).and_then(|end| self.whole.get(..end)) else { return false };
        let tag = integrity.sign(key, covered, value.len());
        // RFC 8489 section 14.6: the longer one may be truncated, to 16 bytes and more.
        let least = if integrity == Integrity::Sha1 { 20 } else { 16 };
        let expected = tag.as_ref().get(..value.len()).filter(|_| value.len() >= least);
        expected.is_some_and(|tag| constant_time::verify_slices_are_equal(tag, value).is_ok())
    }
}

/// An address that is xored with the header (RFC 8489 section 14.2); none that nothing can be sent to.
pub(crate) fn xor_address(value: &[u8], transaction: &[u8; 12]) -> Option<SocketAddr> {
    let (&[_, family, p0, p1], address) = value.split_first_chunk::<4>()?;
    let [m0, m1, ..] = MAGIC;
    let port = u16::from_be_bytes([p0 ^ m0, p1 ^ m1]);
    let key = MAGIC.iter().chain(transaction);
    let ip = match family {
        1 => {
            let mut octets = *address.first_chunk::<4>()?;
            octets.iter_mut().zip(key).for_each(|(o, k)| *o ^= k);
            IpAddr::V4(Ipv4Addr::from(octets))
        }
        2 => {
            let mut octets = *address.first_chunk::<16>()?;
            octets.iter_mut().zip(key).for_each(|(o, k)| *o ^= k);
            IpAddr::V6(Ipv6Addr::from(octets))
        }
        _ => return None,
    };
    let usable = port != 0 && !ip.is_unspecified() && !ip.is_multicast();
    usable.then(|| SocketAddr::new(ip, port))
}

/// Which of the two attributes signs a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Integrity {
    Sha1,
    Sha256,
}

impl Integrity {
    const fn attribute(self) -> u16 {
        match self {
            Self::Sha1 => attribute::INTEGRITY,
            Self::Sha256 => attribute::INTEGRITY_SHA256,
        }
    }

    /// Signs `covered`, whose header gets the length up to the end of a signature of `len` bytes.
    fn sign(self, key: &[u8], covered: &[u8], len: usize) -> hmac::Tag {
        let algorithm = match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        };
        let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
        let length = u16::try_from((covered.len() + 4 + len).saturating_sub(HEADER)).unwrap_or(u16::MAX);
        context.update(covered.get(..2).unwrap_or_default());
        context.update(&length.to_be_bytes());
        context.update(covered.get(4..).unwrap_or_default());
        context.sign()
    }
}

/// A request that is being written.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn request(method: Method, transaction: [u8; 12]) -> Self {
        Self::of_kind(method.code(), transaction)
    }

    fn of_kind(kind: u16, transaction: [u8; 12]) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&transaction);
        Self(bytes)
    }

    pub(crate) fn put(&mut self, kind: u16, value: &[u8]) {
        let Ok(len) = u16::try_from(value.len()) else { return };
        self.0.extend_from_slice(&kind.to_be_bytes());
        self.0.extend_from_slice(&len.to_be_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// An address xored with the header.
    pub(crate) fn put_address(&mut self, kind: u16, address: SocketAddr) {
        let transaction = self.0.get(8..HEADER).and_then(|t| t.first_chunk::<12>().copied());
        let (value, len) = xored(address, &transaction.unwrap_or_default());
        self.put(kind, value.get(..len).unwrap_or_default());
    }

    pub(crate) fn sign(&mut self, integrity: Integrity, key: &[u8]) {
        let len = if integrity == Integrity::Sha1 { 20 } else { 32 };
        let tag = integrity.sign(key, &self.0, len);
        self.put(integrity.attribute(), tag.as_ref());
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let length = u16::try_from(self.0.len().saturating_sub(HEADER)).unwrap_or(0);
        if let Some(place) = self.0.get_mut(2..4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        self.0
    }
}

/// The value of an address attribute, and its length.
fn xored(address: SocketAddr, transaction: &[u8; 12]) -> ([u8; 20], usize) {
    let (family, octets, len) = match address.ip() {
        IpAddr::V4(ip) => (1, ip.to_ipv6_mapped().octets(), 4),
        IpAddr::V6(ip) => (2, ip.octets(), 16),
    };
    let ([m0, m1, ..], [p0, p1]) = (MAGIC, address.port().to_be_bytes());
    let head = [0, family, p0 ^ m0, p1 ^ m1];
    let masked = octets.iter().skip(16 - len).zip(MAGIC.iter().chain(transaction)).map(|(o, k)| o ^ k);
    let mut value = [0; 20];
    value.iter_mut().zip(head.into_iter().chain(masked)).for_each(|(to, from)| *to = from);
    (value, 4 + len)
}

/// Makes channel data of the first `len` bytes of `room`, in place. Streams want it padded (RFC 8656 section 12.5).
/// The new length, if there is room.
pub(crate) fn wrap_in_channel(room: &mut [u8], len: usize, channel: u16, padded: bool) -> Option<usize> {
    let end = CHANNEL_HEADER + len;
    let whole = if padded { end.next_multiple_of(4) } else { end };
    let room = room.get_mut(..whole)?;
    room.copy_within(..len, CHANNEL_HEADER);
    let length = u16::try_from(len).ok()?;
    let head = channel.to_be_bytes().into_iter().chain(length.to_be_bytes());
    room.iter_mut().zip(head).for_each(|(to, from)| *to = from);
    room.get_mut(end..)?.fill(0);
    Some(whole)
}

/// Makes a Send indication of the first `len` bytes of `room`, in place.
pub(crate) fn wrap_in_indication(
    room: &mut [u8],
    len: usize,
    peer: SocketAddr,
    transaction: [u8; 12],
) -> Option<usize> {
    let (address, address_len) = xored(peer, &transaction);
    let data = HEADER + 4 + address_len + 4;
    let end = data + len;
    let whole = end.next_multiple_of(4);
    let room = room.get_mut(..whole)?;
    room.copy_within(..len, data);
    let [length, address_length, data_length] =
        [whole - HEADER, address_len, len].map(|n| u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes());
    let head = SEND_INDICATION.to_be_bytes().into_iter().chain(length).chain(MAGIC).chain(transaction);
    let head = head.chain(attribute::PEER_ADDRESS.to_be_bytes()).chain(address_length);
    let head = head.chain(address.into_iter().take(address_len));
    let head = head.chain(attribute::DATA.to_be_bytes()).chain(data_length);
    room.iter_mut().zip(head).for_each(|(to, from)| *to = from);
    room.get_mut(end..)?.fill(0);
    Some(whole)
}

/// The number and the data of channel data; of a datagram, whose padding is not said.
pub(crate) fn parse_channel(datagram: &[u8]) -> Option<(u16, std::ops::Range<usize>)> {
    let (&[c0, c1, l0, l1], data) = datagram.split_first_chunk::<CHANNEL_HEADER>()?;
    let channel = u16::from_be_bytes([c0, c1]);
    let len = usize::from(u16::from_be_bytes([l0, l1]));
    let is_channel = (FIRST_CHANNEL..FIRST_CHANNEL + CHANNELS).contains(&channel);
    (is_channel && len <= data.len()).then(|| (channel, CHANNEL_HEADER..CHANNEL_HEADER + len))
}

/// How long the frame is that a stream begins with; `Ok(None)`: that is not to be seen yet.
///
/// # Errors
/// It is neither STUN nor channel data.
pub(crate) fn frame_length(stream: &[u8]) -> Result<Option<usize>, ()> {
    let Some(&[first, _, l0, l1]) = stream.first_chunk::<4>() else { return Ok(None) };
    let len = usize::from(u16::from_be_bytes([l0, l1]));
    match first >> 6 {
        0 => Ok(Some(HEADER + len)),
        1 => Ok(Some(CHANNEL_HEADER + len.next_multiple_of(4))),
        _ => Err(()),
    }
}

/// What a server reads.
#[cfg(test)]
impl<'a> Message<'a> {
    /// The kind of a request or indication, and its parts.
    pub(crate) fn parse_request(whole: &'a [u8]) -> Option<(u16, Self)> {
        let mut answer = whole.to_vec();
        answer[..2].copy_from_slice(&SUCCESS.to_be_bytes());
        let Message { class, transaction, .. } = Message::parse(&answer)?;
        Some((u16::from_be_bytes([whole[0], whole[1]]), Self { class, transaction, whole }))
    }
}

/// What a server writes.
#[cfg(test)]
impl Writer {
    pub(crate) fn answer(kind: u16, transaction: [u8; 12]) -> Self {
        Self::of_kind(kind, transaction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrapped_for_a_server_is_read_as_it_was() {
        for peer in ["192.0.2.7:4242", "[2001:db8::7]:4242"] {
            for len in [0_usize, 1, 3, 4, 1200] {
                let packet: Vec<u8> = (0..len).map(|i| i.to_le_bytes()[0]).collect();
                let mut room = packet.clone();
                room.resize(1600, 0xee);
                let whole = wrap_in_indication(&mut room, len, peer.parse().unwrap(), [9; 12]).unwrap();
                // A Data indication differs in its kind only.
                room[1] = 0x17;
                let message = Message::parse(&room[..whole]).unwrap();
                let (from, data) = message.data().unwrap();
                assert_eq!((from, &room[data]), (peer.parse().unwrap(), &packet[..]));
            }
        }
        for (len, padded, expected) in [(5, false, 9), (5, true, 12), (8, true, 12), (0, true, 4)] {
            let mut room = vec![7; 1600];
            let whole = wrap_in_channel(&mut room, len, 0x4001, padded).unwrap();
            assert_eq!(whole, expected);
            assert_eq!(parse_channel(&room[..whole]), Some((0x4001, 4..4 + len)));
            assert_eq!(&room[4..4 + len], vec![7; len]);
        }
        assert_eq!(wrap_in_channel(&mut [0; 10], 8, 0x4001, false), None);
        assert_eq!(wrap_in_indication(&mut [0; 40], 8, "192.0.2.7:1".parse().unwrap(), [0; 12]), None);
    }

    #[test]
    fn a_cut_or_padded_message_is_no_message() {
        let mut w = Writer::answer(0x103, [5; 12]);
        w.put_address(attribute::RELAYED_ADDRESS, "192.0.2.1:50000".parse().unwrap());
        w.put(attribute::LIFETIME, &600_u32.to_be_bytes());
        w.sign(Integrity::Sha1, b"key");
        let whole = w.finish();
        let message = Message::parse(&whole).unwrap();
        assert_eq!(message.address(attribute::RELAYED_ADDRESS), Some("192.0.2.1:50000".parse().unwrap()));
        assert_eq!(message.lifetime(), Some(600));
        assert!(message.verify(Integrity::Sha1, b"key"));
        assert!(!message.verify(Integrity::Sha1, b"other") && !message.verify(Integrity::Sha256, b"key"));
        for n in 0..whole.len() {
            assert!(Message::parse(&whole[..n]).is_none());
        }
        let mut longer = whole.clone();
        longer.extend_from_slice(&[0; 4]);
        assert!(Message::parse(&longer).is_none());
    }

    #[test]
    fn what_stands_behind_the_signature_is_not_believed() {
        let mut w = Writer::answer(0x103, [5; 12]);
        w.sign(Integrity::Sha256, b"key");
        w.put_address(attribute::RELAYED_ADDRESS, "192.0.2.1:50000".parse().unwrap());
        let whole = w.finish();
        let message = Message::parse(&whole).unwrap();
        assert!(message.verify(Integrity::Sha256, b"key"));
        assert_eq!(message.address(attribute::RELAYED_ADDRESS), None);
    }

    #[test]
    fn the_sample_request_of_rfc_5769_is_signed_as_ours_are() {
        // Section 2.4: key = MD5 of "user:realm:pass" with long-term credentials.
        let mut w = Writer::of_kind(0x0001, *b"\x78\xad\x34\x33\xc6\xad\x72\xc0\x29\xda\x41\x2e");
        w.put(attribute::USERNAME, "マトリックス".as_bytes());
        w.put(attribute::NONCE, b"f//499k954d6OL34oL9FSTvy64sA");
        w.put(attribute::REALM, b"example.org");
        let key = super::super::credentials::md5_key("マトリックス", b"example.org", "TheMatrIX");
        w.sign(Integrity::Sha1, &key);
        let whole = w.finish();
        let tag = [
            0xf6, 0x70, 0x24, 0x65, 0x6d, 0xd6, 0x4a, 0x3e, 0x02, 0xb8, 0xe0, 0x71, 0x2e, 0x85, 0xc9, 0xa2,
            0x8c, 0xa8, 0x96, 0x66,
        ];
        assert_eq!(whole[whole.len() - 20..], tag);
    }

    #[test]
    fn frames_of_a_stream_are_told_apart_by_their_first_bits() {
        assert_eq!(frame_length(&[0x01, 0x03, 0, 8, 0]), Ok(Some(28)));
        assert_eq!(frame_length(&[0x40, 0, 0, 5]), Ok(Some(12)));
        assert_eq!(frame_length(&[0x40, 0, 0]), Ok(None));
        assert_eq!(frame_length(&[0x80, 0, 0, 0]), Err(()));
    }
}
