//! Views over DTLS records and handshake fragments (RFC 6347 sections 4.1 and 4.2.2). Total: malformed input yields `None`.

pub(super) const RECORD_HEADER: usize = 13;
pub(super) const HANDSHAKE_HEADER: usize = 12;

pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;

pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const HELLO_VERIFY_REQUEST: u8 = 3;
pub(super) const CERTIFICATE: u8 = 11;
pub(super) const SERVER_HELLO_DONE: u8 = 14;
pub(super) const CERTIFICATE_VERIFY: u8 = 15;
pub(super) const CLIENT_KEY_EXCHANGE: u8 = 16;

/// The DTLS 1.2 version bytes, which every record we build carries.
const VERSION: [u8; 2] = [0xfe, 0xfd];

/// A byte reader that never fails loudly.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let (head, tail) = self.0.split_first()?;
        self.0 = tail;
        Some(*head)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        let (head, tail) = self.0.split_first_chunk::<2>()?;
        self.0 = tail;
        Some(u16::from_be_bytes(*head))
    }

    /// A 24-bit length.
    pub(super) fn u24(&mut self) -> Option<usize> {
        let ([a, b, c], tail) = self.0.split_first_chunk::<3>()?;
        self.0 = tail;
        usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).ok()
    }

    /// A block prefixed by its 8-bit length.
    pub(super) fn block8(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.u8()?);
        self.take(length)
    }

    /// A block prefixed by its 16-bit length.
    pub(super) fn block16(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.u16()?);
        self.take(length)
    }
}

/// One record of a datagram.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) content: u8,
    pub(super) epoch: u16,
    /// Header and body.
    pub(super) raw: &'a [u8],
    pub(super) body: &'a [u8],
}

/// The records of a datagram, up to the first malformed one.
pub(super) struct Records<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let mut reader = Reader(self.0);
        let content = reader.u8()?;
        let [major, minor] = *reader.take(2)?.first_chunk::<2>()?;
        let epoch = reader.u16()?;
        reader.take(6)?;
        let length = usize::from(reader.u16()?);
        let known = (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&content);
        // DTLS 1.0 is what a first ClientHello may carry in the record layer.
        let version = major == 0xfe && (minor == 0xff || minor == 0xfd);
        if !known || !version || length == 0 {
            self.0 = &[];
            return None;
        }
        let (raw, rest) = self.0.split_at_checked(RECORD_HEADER + length)?;
        self.0 = rest;
        Some(Record { content, epoch, raw, body: raw.get(RECORD_HEADER..)? })
    }
}

/// One handshake fragment of a plaintext record.
#[derive(Clone, Copy)]
pub(super) struct Fragment<'a> {
    pub(super) kind: u8,
    /// Length of the whole message body.
    pub(super) length: usize,
    pub(super) sequence: u16,
    pub(super) offset: usize,
    pub(super) bytes: &'a [u8],
}

/// The fragments of one plaintext handshake record; a record may carry several (BoringSSL packs them).
pub(super) struct Fragments<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fragments<'a> {
    type Item = Fragment<'a>;

    fn next(&mut self) -> Option<Fragment<'a>> {
        let mut reader = Reader(self.0);
        self.0 = &[];
        let kind = reader.u8()?;
        let length = reader.u24()?;
        let sequence = reader.u16()?;
        let offset = reader.u24()?;
        let size = reader.u24()?;
        let bytes = reader.take(size)?;
        self.0 = reader.0;
        (offset + size <= length).then_some(Fragment { kind, length, sequence, offset, bytes })
    }
}

/// Appends a plaintext (epoch 0) record. `body` is at most 65,535 bytes; a longer one is left out.
pub(super) fn write_record(out: &mut impl Extend<u8>, content: u8, sequence: u64, body: &[u8]) {
    let Ok(length) = u16::try_from(body.len()) else { return };
    let [_, _, number @ ..] = sequence.to_be_bytes();
    out.extend([content]);
    out.extend(VERSION);
    out.extend([0, 0]);
    out.extend(number);
    out.extend(length.to_be_bytes());
    out.extend(body.iter().copied());
}

/// A whole handshake message, header (with the fragment fields of an unfragmented message) and body.
pub(super) fn handshake_message(kind: u8, sequence: u16, body: &[u8]) -> Option<Vec<u8>> {
    let [zero, length @ ..] = u32::try_from(body.len()).ok()?.to_be_bytes();
    if zero != 0 {
        return None;
    }
    let mut message = Vec::with_capacity(HANDSHAKE_HEADER + body.len());
    message.push(kind);
    message.extend_from_slice(&length);
    message.extend_from_slice(&sequence.to_be_bytes());
    message.extend_from_slice(&[0, 0, 0]);
    message.extend_from_slice(&length);
    message.extend_from_slice(body);
    Some(message)
}
