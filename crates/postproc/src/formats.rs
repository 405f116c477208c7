//! Which file holds what.

use anyhow::bail;
use portunus_mjr::track::{Audio, Track};

/// Codecs that can be read.
pub const KNOWN: &str =
    "opus, multiopus, pcmu, pcma, g711, g722, l16, l16-48, vp8, vp9, av1, h264, h265, text and binary";

/// What `-F` prints.
pub const ENDINGS: &str = "\
Opus:   opus, ogg, mka, webm, mkv, m4a, mp4
G.711:  wav, mka, mkv
G.722:  wav, mka, mkv
L16:    wav, mka, mkv
VP8:    webm, mkv
VP9:    webm, mkv, mp4
AV1:    webm, mkv, mp4
H.264:  mp4, mkv
H.265:  mp4, mkv
Several recordings: mkv, and webm or mp4 where all of them fit
Text:   srt
Binary: any";

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Ogg,
    Wav,
    Matroska,
    Mp4,
}

/// The format of an ending that can hold these tracks.
///
/// # Errors
/// It cannot, or is not known.
pub fn choose(ending: &str, tracks: &[Track]) -> anyhow::Result<Format> {
    let all = |fits: fn(&Track) -> bool| tracks.iter().all(fits);
    let sound = |track: &Track| matches!(track, Track::Audio(_));
    let (format, fits) = match ending {
        "opus" | "ogg" => (Format::Ogg, matches!(tracks, [Track::Audio(Audio::Opus(_))])),
        "wav" => (Format::Wav, matches!(tracks, [Track::Audio(Audio::Pcm { .. })])),
        "webm" => (Format::Matroska, all(Track::fits_webm)),
        "mkv" => (Format::Matroska, true),
        "mka" => (Format::Matroska, all(sound)),
        "mp4" => (Format::Mp4, all(Track::fits_mp4)),
        "m4a" => (Format::Mp4, all(Track::fits_mp4) && all(sound)),
        _ => bail!("nothing can be made a .{ending}; what can be made:\n{ENDINGS}"),
    };
    if !fits {
        bail!("a .{ending} does not hold this; what does:\n{ENDINGS}");
    }
    Ok(format)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portunus_mjr::frames::{Codec, Config};
    use portunus_mjr::opus::Head;
    use portunus_mjr::track::Video;
    use std::sync::Arc;

    #[test]
    fn each_ending_holds_what_it_can() {
        let video = |codec| {
            let config = Config { codec, width: 2, height: 2, record: Vec::new() };
            Track::Video(Video::new(Arc::new(config)))
        };
        let opus = || Track::Audio(Audio::Opus(Head::plain(1)));
        let pcm = || Track::Audio(Audio::Pcm { rate: 8_000, channels: 1 });
        let endings = |tracks: &[Track]| {
            let all = ["opus", "ogg", "wav", "webm", "mkv", "mka", "mp4", "m4a"];
            all.into_iter().filter(|ending| choose(ending, tracks).is_ok()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(endings(&[opus()]), "opus ogg webm mkv mka mp4 m4a");
        assert_eq!(endings(&[pcm()]), "wav mkv mka");
        assert_eq!(endings(&[video(Codec::Vp8), opus()]), "webm mkv");
        assert_eq!(endings(&[video(Codec::H264), opus()]), "mkv mp4");
        assert_eq!(endings(&[video(Codec::Av1), opus(), opus()]), "webm mkv mp4");
        assert_eq!(endings(&[video(Codec::H265), pcm()]), "mkv");
        assert!(choose("avi", &[opus()]).unwrap_err().to_string().contains("G.722:  wav"));
    }
}
