//! What a file of several tracks holds.

use crate::frames::{Codec, Config};
use crate::opus;
use std::sync::Arc;

/// A track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Track {
    /// Pictures.
    Video(Video),
    /// Sound.
    Audio(Audio),
}

/// Pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Video {
    /// What the first of them is.
    pub config: Arc<Config>,
    /// H.264 and H.265: parameter sets stand in the frames, too.
    pub in_band: bool,
    /// Degrees that they are to be turned clockwise to be seen as they were taken: 0, 90, 180 or 270.
    pub rotation: u16,
}

impl Video {
    /// Upright, with all sets in the frames: what an assembler gives.
    pub const fn new(config: Arc<Config>) -> Self {
        Self { config, in_band: true, rotation: 0 }
    }
}

/// Sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audio {
    /// Opus packets.
    Opus(opus::Head),
    /// Samples of 16 bits, the lower byte first.
    Pcm {
        /// Samples a second.
        rate: u32,
        /// Channels.
        channels: u8,
    },
}

impl Audio {
    pub(crate) fn channels(&self) -> u8 {
        match self {
            Self::Opus(head) => head.channels,
            Self::Pcm { channels, .. } => *channels,
        }
    }

    pub(crate) const fn rate(&self) -> u32 {
        match self {
            Self::Opus(_) => opus::CLOCK_RATE,
            Self::Pcm { rate, .. } => *rate,
        }
    }

    /// How long a sample is that holds these bytes, in ticks of [`Self::rate`].
    pub(crate) fn length(&self, bytes: &[u8]) -> u64 {
        match self {
            Self::Opus(_) => opus::duration(bytes),
            Self::Pcm { channels, .. } => crate::num::long(bytes.len()) / (2 * u64::from((*channels).max(1))),
        }
    }
}

impl Track {
    pub(crate) const fn is_video(&self) -> bool {
        matches!(self, Self::Video(_))
    }

    /// Whether WebM may hold it; Matroska holds all.
    pub fn fits_webm(&self) -> bool {
        match self {
            Self::Video(video) => matches!(video.config.codec, Codec::Vp8 | Codec::Vp9 | Codec::Av1),
            Self::Audio(audio) => matches!(audio, Audio::Opus(_)),
        }
    }

    /// Whether MP4 can hold it.
    pub fn fits_mp4(&self) -> bool {
        match self {
            Self::Video(video) => video.config.codec != Codec::Vp8,
            Self::Audio(audio) => matches!(audio, Audio::Opus(_)),
        }
    }
}

/// A frame or packet of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample<'a> {
    /// Which of the tracks, from 0.
    pub track: usize,
    /// Microseconds since the beginning of the file, when it is to be seen or heard.
    pub time: u64,
    /// It needs no other to be decoded.
    pub keyframe: bool,
    /// As the codec's container wants it.
    pub bytes: &'a [u8],
}
