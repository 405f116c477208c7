//! Codecs: names as in SDP and in Janus, and what a payload tells about its frame.
//!
//! Purpose: everything a router must know of a payload without decoding it: keyframe, frame borders, layer ids,
//! and the few descriptor fields that must stay continuous for a receiver. [`PayloadInspector`] is kept per source
//! stream; its [`PayloadInfo`] is made once per packet and shared by all sinks.
//! Deliberately absent: decoding, and rebuilding descriptors (fields are patched in place, widths stay).

pub mod av1;
pub mod dependency;
pub mod h264;
pub mod h265;
pub mod vp8;
pub mod vp9;

use dependency::{DependencyFrame, DependencyReader};
use vp8::Vp8Descriptor;
use vp9::Vp9Descriptor;

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Picture.
    Video,
}

/// A payload format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// opus/48000/2
    Opus,
    /// multiopus/48000/N (surround, Chromium)
    MultiOpus,
    /// PCMU/8000
    Pcmu,
    /// PCMA/8000
    Pcma,
    /// G722/8000
    G722,
    /// ISAC/16000
    Isac16,
    /// ISAC/32000
    Isac32,
    /// L16/16000
    L16,
    /// L16/48000
    L16At48k,
    /// red/48000 (RFC 2198 around Opus)
    Red,
    /// telephone-event (RFC 4733), any clock
    TelephoneEvent,
    /// VP8/90000
    Vp8,
    /// VP9/90000
    Vp9,
    /// H264/90000
    H264,
    /// H265/90000
    H265,
    /// AV1/90000
    Av1,
}

impl Codec {
    /// All codecs.
    pub const ALL: [Self; 16] = [
        Self::Opus,
        Self::MultiOpus,
        Self::Pcmu,
        Self::Pcma,
        Self::G722,
        Self::Isac16,
        Self::Isac32,
        Self::L16,
        Self::L16At48k,
        Self::Red,
        Self::TelephoneEvent,
        Self::Vp8,
        Self::Vp9,
        Self::H264,
        Self::H265,
        Self::Av1,
    ];

    /// From an `a=rtpmap` encoding name (any case) and clock rate.
    #[must_use]
    pub fn from_sdp(name: &str, clock: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| {
            let clock_fits = match codec {
                Self::TelephoneEvent => true,
                codec => codec.clock_rate() == clock,
            };
            clock_fits && codec.sdp_name().eq_ignore_ascii_case(name)
        })
    }

    /// From the name Janus uses in requests, events and recordings ("l16-48", "isac32", ...); any case.
    #[must_use]
    pub fn from_janus(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.janus_name().eq_ignore_ascii_case(name))
    }

    /// Encoding name for `a=rtpmap`.
    #[must_use]
    pub const fn sdp_name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::MultiOpus => "multiopus",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Isac16 | Self::Isac32 => "ISAC",
            Self::L16 | Self::L16At48k => "L16",
            Self::Red => "red",
            Self::TelephoneEvent => "telephone-event",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::H264 => "H264",
            Self::H265 => "H265",
            Self::Av1 => "AV1",
        }
    }

    /// The name in Janus' requests, events and recordings.
    #[must_use]
    pub const fn janus_name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::MultiOpus => "multiopus",
            Self::Pcmu => "pcmu",
            Self::Pcma => "pcma",
            Self::G722 => "g722",
            Self::Isac16 => "isac16",
            Self::Isac32 => "isac32",
            Self::L16 => "l16",
            Self::L16At48k => "l16-48",
            Self::Red => "red",
            Self::TelephoneEvent => "dtmf",
            Self::Vp8 => "vp8",
            Self::Vp9 => "vp9",
            Self::H264 => "h264",
            Self::H265 => "h265",
            Self::Av1 => "av1",
        }
    }

    /// RTP clock rate in Hz. G.722 counts 8000 although it samples at 16 kHz (RFC 3551 section 4.5.2).
    #[must_use]
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Opus | Self::MultiOpus | Self::L16At48k | Self::Red => 48_000,
            Self::Pcmu | Self::Pcma | Self::G722 | Self::TelephoneEvent => 8_000,
            Self::Isac16 | Self::L16 => 16_000,
            Self::Isac32 => 32_000,
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::H265 | Self::Av1 => 90_000,
        }
    }

    /// Audio or video.
    #[must_use]
    pub const fn media(self) -> MediaKind {
        match self {
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::H265 | Self::Av1 => MediaKind::Video,
            _ => MediaKind::Audio,
        }
    }

    /// Whether a decoder can start at this payload. Audio always can.
    #[must_use]
    pub fn is_keyframe(self, payload: &[u8]) -> bool {
        match self {
            Self::Vp8 => Vp8Descriptor::parse(payload).is_some_and(|d| d.keyframe),
            Self::Vp9 => Vp9Descriptor::parse(payload).is_some_and(|d| d.starts_keyframe()),
            Self::H264 => h264::is_keyframe(payload),
            Self::H265 => h265::is_keyframe(payload),
            Self::Av1 => av1::is_keyframe(payload),
            _ => true,
        }
    }
}

/// Spatial and temporal layer of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Layer {
    /// Spatial layer, 0 lowest.
    pub spatial: u8,
    /// Temporal layer, 0 lowest.
    pub temporal: u8,
}

/// The payload descriptor, for codecs whose descriptor is rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Descriptor {
    /// The payload needs no rewriting.
    None,
    /// VP8.
    Vp8(Vp8Descriptor),
    /// VP9.
    Vp9(Vp9Descriptor),
}

/// How a frame lets a receiver take more temporal layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SwitchUp {
    /// It does not.
    #[default]
    No,
    /// The frame's own layer may be entered with it (VP8 Y bit, H.265 TSA and STSA).
    Here,
    /// Whoever receives this frame may take layers up to this one from the next frame on (VP9 U bit, switch
    /// indications of a dependency descriptor).
    After(u8),
}

/// What one packet tells about its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadInfo {
    /// A decoder can start here: first packet of a keyframe.
    pub keyframe: bool,
    /// First packet of a (layer) frame; `None` where the codec does not say.
    pub frame_start: Option<bool>,
    /// Last packet of a (layer) frame; the RTP marker where the codec does not say.
    pub frame_end: bool,
    /// Layer ids, where the codec or the dependency descriptor carries them.
    pub layer: Option<Layer>,
    /// Whether a receiver of fewer temporal layers may take more from here on.
    pub switch_up: SwitchUp,
    /// For rewriting.
    pub descriptor: Descriptor,
    /// The frame's dependency descriptor, if there was one and its structure is known.
    pub dependency: Option<DependencyFrame>,
}

impl Default for PayloadInfo {
    fn default() -> Self {
        Self {
            keyframe: false,
            frame_start: None,
            frame_end: false,
            layer: None,
            switch_up: SwitchUp::No,
            descriptor: Descriptor::None,
            dependency: None,
        }
    }
}

/// Reads the payloads of one source stream; remembers its dependency structure.
#[derive(Debug, Clone)]
pub struct PayloadInspector {
    codec: Codec,
    dependency: DependencyReader,
}

impl PayloadInspector {
    /// For a stream of `codec`.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        Self { codec, dependency: DependencyReader::new() }
    }

    /// The stream's codec.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The dependency structure received last, if any.
    #[must_use]
    pub fn dependency(&self) -> &DependencyReader {
        &self.dependency
    }

    /// Inspects one packet: its payload without padding, marker, and dependency descriptor (raw value).
    ///
    /// Malformed payloads give an info without keyframe and layer: they travel like any other packet.
    #[inline]
    pub fn inspect(&mut self, payload: &[u8], marker: bool, descriptor: Option<&[u8]>) -> PayloadInfo {
        let mut info = PayloadInfo { frame_end: marker, ..PayloadInfo::default() };
        match self.codec {
            Codec::Vp8 => vp8::inspect(payload, &mut info),
            Codec::Vp9 => vp9::inspect(payload, &mut info),
            Codec::H264 => info.keyframe = h264::is_keyframe(payload),
            Codec::H265 => h265::inspect(payload, &mut info),
            Codec::Av1 => av1::inspect(payload, &mut info),
            _ => info.keyframe = true,
        }
        if let Some(raw) = descriptor
            && let Ok(frame) = self.dependency.read(raw)
        {
            info.frame_start = Some(frame.start);
            info.frame_end = frame.end;
            info.layer = Some(Layer { spatial: frame.spatial, temporal: frame.temporal });
            info.switch_up = self.dependency.switch_up(&frame);
            info.dependency = Some(frame);
        }
        info
    }
}

/// Descriptor fields to patch in a copied payload so that they stay continuous for the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PayloadRewrite {
    /// Copy as it is.
    #[default]
    Keep,
    /// VP8 picture id (cut to the width that is there), TL0PICIDX and KEYIDX (where present).
    Vp8 {
        /// Picture id.
        picture_id: u16,
        /// TL0PICIDX.
        tl0: u8,
        /// KEYIDX, 0..=31.
        keyidx: u8,
    },
    /// VP9 picture id (cut to the width that is there) and TL0PICIDX (where present).
    Vp9 {
        /// Picture id.
        picture_id: u16,
        /// TL0PICIDX.
        tl0: u8,
    },
}

impl PayloadRewrite {
    /// Patches a payload in place. A payload whose descriptor does not parse stays as it is.
    #[inline]
    pub fn apply(&self, payload: &mut [u8]) {
        match *self {
            Self::Keep => {}
            Self::Vp8 { picture_id, tl0, keyidx } => vp8::rewrite(payload, picture_id, tl0, keyidx),
            Self::Vp9 { picture_id, tl0 } => vp9::rewrite(payload, picture_id, tl0),
        }
    }
}

/// A picture id with the width its descriptor gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureId {
    /// The value, 7 or 15 bits.
    pub value: u16,
    /// 15 bits instead of 7.
    pub long: bool,
}

impl PictureId {
    /// All bits of this width.
    #[must_use]
    pub const fn mask(self) -> u16 {
        if self.long { 0x7fff } else { 0x7f }
    }

    /// Reads the one- or two-byte field at `at`.
    fn parse(payload: &[u8], at: usize) -> Option<Self> {
        let first = *payload.get(at)?;
        if first & 0x80 == 0 {
            return Some(Self { value: u16::from(first), long: false });
        }
        Some(Self { value: crate::num::be16(payload, at)? & 0x7fff, long: true })
    }

    /// Length of the field.
    const fn len(self) -> usize {
        if self.long { 2 } else { 1 }
    }
}

/// Overwrites the picture id field at `at`, keeping its width.
fn patch_picture_id(payload: &mut [u8], at: usize, value: u16) {
    let Some(first) = payload.get(at).copied() else { return };
    let [high, low] = value.to_be_bytes();
    if first & 0x80 == 0 {
        if let Some(byte) = payload.get_mut(at) {
            *byte = low & 0x7f;
        }
    } else if let Some(field) = payload.get_mut(at..at + 2) {
        field.copy_from_slice(&[high | 0x80, low]);
    }
}

#[cfg(test)]
mod tests;
