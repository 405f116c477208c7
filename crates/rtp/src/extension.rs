//! Header extensions (RFC 8285): both forms, the kinds this gateway knows, and their values.
//!
//! Purpose: find the elements of a packet once ([`ExtensionOffsets`]) and read or copy them for every sink.
//! Invariants: iteration ends at the first element that does not fit; a later element of the same kind is ignored.
//! Deliberately absent: elements of unknown kinds are not forwarded, because ids differ between the two ends.

use crate::num::{be16, be24, low8, low16, low32, to_be24, wide};
use crate::packet::RtpView;

/// Profile of the one-byte form.
pub const ONE_BYTE_PROFILE: u16 = 0xbede;
/// Profile of the two-byte form; its lowest four bits are application bits.
pub const TWO_BYTE_PROFILE: u16 = 0x1000;
/// Number of [`ExtensionKind`]s.
pub const KINDS: usize = 11;

/// A header extension this gateway understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExtensionKind {
    /// `sdes:mid`, RFC 9143.
    Mid,
    /// `sdes:rtp-stream-id`, RFC 8852.
    Rid,
    /// `sdes:repaired-rtp-stream-id`, RFC 8852.
    RepairedRid,
    /// `ssrc-audio-level`, RFC 6464.
    AudioLevel,
    /// `3gpp:video-orientation`, 3GPP TS 26.114 section 7.4.5.
    VideoOrientation,
    /// `playout-delay`, webrtc.org experiment.
    PlayoutDelay,
    /// `transport-wide-cc-extensions-01`.
    TransportCc,
    /// `abs-send-time`, webrtc.org experiment.
    AbsSendTime,
    /// `abs-capture-time`, webrtc.org experiment.
    AbsCaptureTime,
    /// Dependency descriptor, AV1 RTP specification appendix A.
    DependencyDescriptor,
    /// `video-layers-allocation00`, webrtc.org experiment.
    VideoLayersAllocation,
}

impl ExtensionKind {
    /// All kinds, in the order in which they are written.
    pub const ALL: [Self; KINDS] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::AudioLevel,
        Self::VideoOrientation,
        Self::PlayoutDelay,
        Self::TransportCc,
        Self::AbsSendTime,
        Self::AbsCaptureTime,
        Self::DependencyDescriptor,
        Self::VideoLayersAllocation,
    ];

    /// The URI as it stands in `a=extmap`.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::VideoOrientation => "urn:3gpp:video-orientation",
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Self::TransportCc => "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
            Self::VideoLayersAllocation => {
                "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00"
            }
        }
    }

    /// The kind of a URI; `None` for one that is not known.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.uri() == uri)
    }

    const fn place(self) -> usize {
        match self {
            Self::Mid => 0,
            Self::Rid => 1,
            Self::RepairedRid => 2,
            Self::AudioLevel => 3,
            Self::VideoOrientation => 4,
            Self::PlayoutDelay => 5,
            Self::TransportCc => 6,
            Self::AbsSendTime => 7,
            Self::AbsCaptureTime => 8,
            Self::DependencyDescriptor => 9,
            Self::VideoLayersAllocation => 10,
        }
    }
}

/// The ids one m-line negotiated: kind to id and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtensionMap {
    ids: [u8; KINDS],
    /// Place of the kind by id for the ids of the one-byte form, [`NO_PLACE`] for none; other ids are searched.
    small: [u8; 16],
    /// The bound kinds in writing order, so that writers walk no gaps.
    order: [(ExtensionKind, u8); KINDS],
    count: u8,
    large: bool,
}

/// No kind.
const NO_PLACE: u8 = u8::MAX;

impl Default for ExtensionMap {
    fn default() -> Self {
        Self {
            ids: [0; KINDS],
            small: [NO_PLACE; 16],
            order: [(ExtensionKind::Mid, 0); KINDS],
            count: 0,
            large: false,
        }
    }
}

impl ExtensionMap {
    /// Without any extension.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Binds `kind` to `id`. Refuses (false) id 0 and 15, and an id that another kind already has.
    pub fn try_insert(&mut self, kind: ExtensionKind, id: u8) -> bool {
        if id == 0 || id == 15 || self.kind(id).is_some_and(|other| other != kind) {
            return false;
        }
        if let Some(place) = self.ids.get_mut(kind.place()) {
            *place = id;
        }
        self.index();
        true
    }

    /// Forgets `kind`.
    pub fn remove(&mut self, kind: ExtensionKind) {
        if let Some(place) = self.ids.get_mut(kind.place()) {
            *place = 0;
        }
        self.index();
    }

    /// Derives the look-up tables from the ids.
    fn index(&mut self) {
        let ids = self.ids;
        *self = Self { ids, ..Self::default() };
        for (kind, id) in ExtensionKind::ALL.into_iter().zip(ids).filter(|(_, id)| *id != 0) {
            if let Some(place) = self.order.get_mut(usize::from(self.count)) {
                *place = (kind, id);
                self.count += 1;
            }
            if let Some(entry) = self.small.get_mut(usize::from(id)) {
                *entry = low8(wide(kind.place()));
            }
            self.large |= id > 14;
        }
    }

    /// The id of `kind`, 1..=255 without 15.
    #[must_use]
    #[inline]
    pub fn id(&self, kind: ExtensionKind) -> Option<u8> {
        self.ids.get(kind.place()).copied().filter(|id| *id != 0)
    }

    /// The kind an id stands for.
    #[must_use]
    #[inline]
    pub fn kind(&self, id: u8) -> Option<ExtensionKind> {
        ExtensionKind::ALL.get(self.place(id)).copied()
    }

    /// Place of an id's kind; beyond all places for none.
    #[inline]
    fn place(&self, id: u8) -> usize {
        match self.small.get(usize::from(id)) {
            Some(place) => usize::from(*place),
            None => self.ids.iter().position(|other| *other == id).unwrap_or(usize::MAX),
        }
    }

    /// The bound kinds with their ids, in writing order.
    #[must_use]
    #[inline]
    pub fn entries(&self) -> &[(ExtensionKind, u8)] {
        self.order.get(..usize::from(self.count)).unwrap_or_default()
    }

    /// Whether an id needs the two-byte form.
    #[must_use]
    pub fn has_large_id(&self) -> bool {
        self.large
    }
}

/// The elements of one extension block, as `(id, value)`.
#[derive(Debug, Clone)]
pub struct Extensions<'a> {
    block: &'a [u8],
    at: usize,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    OneByte,
    TwoByte,
    Unknown,
}

impl<'a> Extensions<'a> {
    /// Over a block with its profile; an unknown profile has no elements.
    #[must_use]
    pub fn new(profile: Option<u16>, block: &'a [u8]) -> Self {
        let form = match profile {
            Some(ONE_BYTE_PROFILE) => Form::OneByte,
            Some(p) if p & 0xfff0 == TWO_BYTE_PROFILE => Form::TwoByte,
            _ => Form::Unknown,
        };
        Self { block, at: 0, form }
    }

    /// Over the block of a packet.
    #[must_use]
    pub fn of(view: &RtpView<'a>) -> Self {
        Self::new(view.extension_profile(), view.extension_block())
    }

    /// The next element with the offset of its value inside the block.
    #[inline]
    fn next_at(&mut self) -> Option<(u8, usize, &'a [u8])> {
        loop {
            let first = *self.block.get(self.at)?;
            if self.form == Form::Unknown {
                return None;
            }
            if first == 0 {
                self.at += 1;
                continue;
            }
            let (id, start, len) = if self.form == Form::OneByte {
                (first >> 4, self.at + 1, usize::from(first & 0x0f) + 1)
            } else {
                (first, self.at + 2, usize::from(*self.block.get(self.at + 1)?))
            };
            // RFC 8285 section 4.2: id 15 ends the processing of a one-byte block; id 0 with a length is void.
            if self.form == Form::OneByte && id == 15 {
                self.at = self.block.len();
                return None;
            }
            let Some(value) = self.block.get(start..start + len) else {
                self.at = self.block.len();
                return None;
            };
            self.at = start + len;
            if id != 0 {
                return Some((id, start, value));
            }
        }
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.next_at().map(|(id, _, value)| (id, value))
    }
}

/// Where the known elements of one packet lie; found once, kept with the packet's bytes.
///
/// Offsets and lengths are packed into two words, by place of the kind: that keeps them in registers on the packet
/// path, where an array would be copied through memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExtensionOffsets {
    /// Offset in the packet, [`OFFSET_BITS`] each; 0 means absent.
    offsets: u128,
    /// Length, 8 bits each.
    lengths: u128,
}

/// Enough for every offset in a packet of [`crate::packet::MAX_PACKET`] bytes, and for all kinds in 128 bits.
const OFFSET_BITS: usize = 11;
const OFFSET_MASK: u128 = (1 << OFFSET_BITS) - 1;
const _: () = assert!(crate::packet::MAX_PACKET < 1 << OFFSET_BITS && KINDS * OFFSET_BITS <= 128);

impl ExtensionOffsets {
    /// Finds the elements of a packet whose sender negotiated `map`.
    #[must_use]
    #[inline(always)]
    pub fn find(view: &RtpView<'_>, map: &ExtensionMap) -> Self {
        let mut found = Self::default();
        match view.extension_profile() {
            None => {}
            Some(ONE_BYTE_PROFILE) => found.find_one_byte(view, map),
            Some(_) => found.find_two_byte(view, map),
        }
        found
    }

    /// The form of almost every packet, without the generality of [`Extensions`].
    #[inline(always)]
    fn find_one_byte(&mut self, view: &RtpView<'_>, map: &ExtensionMap) {
        let range = view.header().extension_range();
        let Some(block) = view.bytes().get(..range.end) else { return };
        let mut at = range.start;
        while let Some(head) = block.get(at) {
            at += 1;
            if *head == 0 {
                continue;
            }
            let len = (head & 0x0f) + 1;
            let end = at + usize::from(len);
            if head >> 4 == 15 || end > block.len() {
                return;
            }
            self.note(map.place(head >> 4), at, len);
            at = end;
        }
    }

    #[inline(never)]
    fn find_two_byte(&mut self, view: &RtpView<'_>, map: &ExtensionMap) {
        let base = view.header().extension_range().start;
        let mut elements = Extensions::of(view);
        while let Some((id, start, value)) = elements.next_at() {
            self.note(map.place(id), base + start, u8::try_from(value.len()).unwrap_or(u8::MAX));
        }
    }

    #[inline]
    fn note(&mut self, place: usize, at: usize, len: u8) {
        let shift = place.wrapping_mul(OFFSET_BITS);
        if place < KINDS && self.offsets >> shift & OFFSET_MASK == 0 {
            self.offsets |= u128::from(wide(at)) << shift;
            self.lengths |= u128::from(len) << (8 * place);
        }
    }

    /// The value of `kind` in the packet these offsets were found in.
    #[must_use]
    #[inline]
    pub fn get<'a>(&self, kind: ExtensionKind, packet: &'a [u8]) -> Option<&'a [u8]> {
        let place = kind.place();
        let [at_low, at_high, ..] = (self.offsets >> (OFFSET_BITS * place) & OFFSET_MASK).to_le_bytes();
        let [len, ..] = (self.lengths >> (8 * place)).to_le_bytes();
        let at = usize::from(u16::from_le_bytes([at_low, at_high]));
        if at == 0 {
            return None;
        }
        packet.get(at..at + usize::from(len))
    }
}

/// RFC 6464: is it voice, and how loud, in -dBov (0 loudest, 127 silence).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioLevel {
    /// The V bit.
    pub voice: bool,
    /// 0..=127, minus dBov.
    pub level: u8,
}

impl AudioLevel {
    /// Reads the one-byte value (also of the two-byte form, whose second byte is padding).
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        value.first().map(|b| Self { voice: b & 0x80 != 0, level: b & 0x7f })
    }
}

/// 3GPP coordination of video orientation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoOrientation {
    /// Back camera.
    pub back_camera: bool,
    /// Mirrored horizontally.
    pub flipped: bool,
    /// Clockwise rotation to apply: 0, 90, 180 or 270 degrees.
    pub degrees: u16,
}

impl VideoOrientation {
    /// Reads the one-byte value.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        value.first().map(|b| Self {
            back_camera: b & 0x08 != 0,
            flipped: b & 0x04 != 0,
            degrees: u16::from(b & 0x03) * 90,
        })
    }
}

/// Minimum and maximum playout delay, in units of 10 ms, each 0..=4095.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlayoutDelay {
    /// Minimum, 10 ms units.
    pub min: u16,
    /// Maximum, 10 ms units.
    pub max: u16,
}

impl PlayoutDelay {
    /// Reads the three-byte value.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let v = be24(value, 0)?;
        Some(Self { min: low16(u64::from(v >> 12)), max: low16(u64::from(v & 0xfff)) })
    }

    /// The three-byte value; each delay is capped at 4095.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 3] {
        let (min, max) = (u32::from(self.min.min(0xfff)), u32::from(self.max.min(0xfff)));
        to_be24(min << 12 | max)
    }
}

/// The transport-wide sequence number.
#[must_use]
pub fn parse_transport_cc(value: &[u8]) -> Option<u16> {
    be16(value, 0)
}

/// The 24-bit absolute send time: seconds modulo 64 in 6.18 fixed point.
#[must_use]
pub fn parse_abs_send_time(value: &[u8]) -> Option<u32> {
    be24(value, 0)
}

/// `mid`, `rid` or `repaired-rid` as text: 1..=32 bytes of printable ASCII, else `None`.
#[must_use]
pub fn parse_id_text(value: &[u8]) -> Option<&str> {
    // The two-byte form may pad with zeros; the identifier itself never holds any.
    let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
    let text = value.get(..end)?;
    if text.is_empty() || text.len() > MAX_ID_TEXT || !text.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    core::str::from_utf8(text).ok()
}

/// Longest `mid`/`rid` that is read or written.
pub const MAX_ID_TEXT: usize = 32;

/// Microseconds (any clock that does not jump) as a 24-bit absolute send time.
#[must_use]
pub fn abs_send_time(us: u64) -> u32 {
    // The value wraps every 64 s, so the whole seconds above that are cut first to keep the shift exact.
    low32(((us % 64_000_000) << 18) / 1_000_000) & 0x00ff_ffff
}

/// A short text held in place: `mid` of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IdText {
    bytes: [u8; MAX_ID_TEXT],
    len: u8,
}

impl IdText {
    /// Takes 1..=32 bytes of printable ASCII.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = parse_id_text(text.as_bytes()).filter(|t| t.len() == text.len())?;
        let mut bytes = [0; MAX_ID_TEXT];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { bytes, len: low8(wide(text.len())) })
    }

    /// The first 16 bytes with what follows the text, and the text's length; for copies of a fixed size.
    #[must_use]
    pub(crate) fn first_16(&self) -> (&[u8; 16], usize) {
        (self.bytes.first_chunk().unwrap_or(&[0; 16]), usize::from(self.len))
    }

    /// The text's bytes; empty for the default value.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
