//! The codecs of Janus' API: names, default payload types, and which payload type of an offer is which.

use crate::{Media, MediaKind, Payload};

/// A codec Janus can negotiate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Opus, 48 kHz
    Opus,
    /// Opus with more than two channels
    MultiOpus,
    /// G.711 µ-law
    Pcmu,
    /// G.711 A-law
    Pcma,
    /// G.722
    G722,
    /// iSAC, 32 kHz
    Isac32,
    /// iSAC, 16 kHz
    Isac16,
    /// Linear PCM, 48 kHz
    L16At48,
    /// Linear PCM, 16 kHz
    L16,
    /// VP8
    Vp8,
    /// VP9
    Vp9,
    /// H.264
    H264,
    /// AV1
    Av1,
    /// H.265
    H265,
}

/// Name, payload type and parameters of one codec.
struct Facts {
    api_name: &'static str,
    rtp_name: &'static str,
    clock_rate: u32,
    channels: u8,
    payload_type: u8,
}

impl Codec {
    /// Order in which Janus looks for an audio codec when none is wanted.
    pub const AUDIO: &'static [Codec] = &[
        Codec::Opus,
        Codec::Pcmu,
        Codec::Pcma,
        Codec::G722,
        Codec::Isac32,
        Codec::Isac16,
        Codec::MultiOpus,
        Codec::L16At48,
        Codec::L16,
    ];
    /// The same for video.
    pub const VIDEO: &'static [Codec] = &[Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1, Codec::H265];

    /// Reads a name of the API (`opus`, `vp8`, `l16-48`...), case-insensitively.
    pub fn from_api_name(name: &str) -> Option<Self> {
        let all = Codec::AUDIO.iter().chain(Codec::VIDEO);
        all.copied().find(|codec| codec.api_name().eq_ignore_ascii_case(name))
    }

    /// The codec of a payload; `None` for red, telephone-event, comfort noise and strangers.
    pub fn of(payload: &Payload) -> Option<Self> {
        Codec::AUDIO.iter().chain(Codec::VIDEO).copied().find(|codec| codec.is(payload))
    }

    /// The payload is of this codec.
    pub fn is(self, payload: &Payload) -> bool {
        let facts = self.facts();
        // AV1X is what Chromium called AV1 before the specification was ready.
        let named = payload.is(facts.rtp_name) || (self == Codec::Av1 && payload.is("AV1X"));
        named
            && payload.clock_rate == facts.clock_rate
            && (self != Codec::Opus || payload.channels == facts.channels)
    }

    /// The name of Janus' API.
    pub fn api_name(self) -> &'static str {
        self.facts().api_name
    }

    /// The encoding name of rtpmap lines.
    pub fn rtp_name(self) -> &'static str {
        self.facts().rtp_name
    }

    /// Clock rate in Hz.
    pub fn clock_rate(self) -> u32 {
        self.facts().clock_rate
    }

    /// Audio channels of our own rtpmap lines.
    pub fn channels(self) -> u8 {
        self.facts().channels
    }

    /// The payload type of our own offers.
    pub fn payload_type(self) -> u8 {
        self.facts().payload_type
    }

    /// Audio or video.
    pub fn kind(self) -> MediaKind {
        if Codec::VIDEO.contains(&self) { MediaKind::Video } else { MediaKind::Audio }
    }

    /// The dependency descriptor is worth negotiating.
    pub fn has_dependency_descriptor(self) -> bool {
        matches!(self, Codec::Av1 | Codec::Vp9)
    }

    /// The first payload of an m-line with this codec and, for H.264 and VP9, the wanted profile.
    ///
    /// A wanted H.264 profile (`profile-level-id`, case-insensitive) also needs packetization-mode 1, or none
    /// written, since the answer says 1. A missing VP9 `profile-id` is profile 0 (RFC 9628 section 6).
    pub fn find<'m>(self, media: &'m Media, profile: Option<&str>) -> Option<&'m Payload> {
        let fits = |payload: &&Payload| match (self, profile) {
            (Codec::H264, Some(wanted)) => {
                let profile = payload.parameter("profile-level-id");
                let mode = payload.parameter("packetization-mode");
                profile.is_some_and(|p| p.eq_ignore_ascii_case(wanted)) && mode.is_none_or(|m| m == "1")
            }
            (Codec::Vp9, Some(wanted)) => payload.parameter("profile-id").unwrap_or("0") == wanted,
            _ => true,
        };
        media.payloads.iter().filter(|p| self.is(p)).find(fits)
    }

    fn facts(self) -> Facts {
        let facts = |api_name, rtp_name, clock_rate, channels, payload_type| Facts {
            api_name,
            rtp_name,
            clock_rate,
            channels,
            payload_type,
        };
        match self {
            Codec::Opus => facts("opus", "opus", 48_000, 2, 111),
            Codec::MultiOpus => facts("multiopus", "multiopus", 48_000, 6, 111),
            Codec::Pcmu => facts("pcmu", "PCMU", 8_000, 1, 0),
            Codec::Pcma => facts("pcma", "PCMA", 8_000, 1, 8),
            Codec::G722 => facts("g722", "G722", 8_000, 1, 9),
            Codec::Isac32 => facts("isac32", "ISAC", 32_000, 1, 104),
            Codec::Isac16 => facts("isac16", "ISAC", 16_000, 1, 103),
            Codec::L16At48 => facts("l16-48", "L16", 48_000, 1, 105),
            Codec::L16 => facts("l16", "L16", 16_000, 1, 106),
            Codec::Vp8 => facts("vp8", "VP8", 90_000, 1, 96),
            Codec::Vp9 => facts("vp9", "VP9", 90_000, 1, 101),
            Codec::H264 => facts("h264", "H264", 90_000, 1, 107),
            Codec::Av1 => facts("av1", "AV1", 90_000, 1, 98),
            Codec::H265 => facts("h265", "H265", 90_000, 1, 100),
        }
    }
}

/// Payload type of opus/red in our own offers.
pub const RED_PAYLOAD_TYPE: u8 = 120;
/// Payload type of telephone-event in our own offers.
pub const TELEPHONE_EVENT_PAYLOAD_TYPE: u8 = 126;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_is_found_by_its_api_name_and_by_its_own_payload() {
        for codec in Codec::AUDIO.iter().chain(Codec::VIDEO).copied() {
            assert_eq!(Codec::from_api_name(&codec.api_name().to_uppercase()), Some(codec));
            let payload = Payload {
                name: codec.rtp_name().to_lowercase(),
                clock_rate: codec.clock_rate(),
                channels: codec.channels(),
                ..Payload::default()
            };
            assert_eq!(Codec::of(&payload), Some(codec));
        }
        assert_eq!(Codec::from_api_name("speex"), None);
    }
}
