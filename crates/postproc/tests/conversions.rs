//! Files made of recordings of real streams, as ffmpeg sees them. Without ffmpeg the tests say so and prove nothing.

mod studio;

use portunus_mjr::Medium;
use std::path::Path;
use studio::packets::{beeps, opus, packetize, packets_of_20_ms, pictures};
use studio::{Folder, Way, decodes, probe, record, run, tool};

const FRAME_US: u64 = 33_333;

/// A recording of pictures alone, made each kind of file: codec, size, length, count, times, and all of it decodes.
fn plays(codec: &str, name_of_ffmpeg: &str, endings: &[&str], way: Way) {
    let Some(frames) = pictures(codec, 3, "320x180") else { return };
    let sent = packetize(codec, &frames, |n| n as u64 * FRAME_US);
    let folder = Folder::new();
    let recording = folder.put("video.mjr", &record(Medium::Video, codec, 90_000, &sent, 0, way));
    for ending in endings {
        let file = folder.file(&format!("video.{ending}"));
        let (done, said) = tool("portunus-pp-rec", &[&recording, &file]);
        assert!(done, "{said}");
        let Some(played) = probe(&file, "v") else { return };
        assert_eq!((played.codec.as_str(), played.size), (name_of_ffmpeg, (320, 180)), "{ending}");
        assert_eq!(played.packets.len(), frames.len(), "{ending}: {said}");
        assert!(played.packets.windows(2).all(|w| w[0] < w[1]), "{ending}: {:?}", played.packets);
        assert!((played.duration - 3.0).abs() < 0.1, "{ending}: {} s", played.duration);
        decodes(&file);
    }
}

#[test]
fn vp8_plays() {
    plays("vp8", "vp8", &["webm", "mkv"], Way::WRAPS);
}

#[test]
fn vp9_plays() {
    plays("vp9", "vp9", &["webm", "mkv", "mp4"], Way::WRAPS);
}

#[test]
fn av1_plays() {
    plays("av1", "av1", &["webm", "mkv", "mp4"], Way::GOOD);
}

#[test]
fn h264_plays() {
    plays("h264", "h264", &["mp4", "mkv"], Way::WRAPS);
}

#[test]
fn h265_plays() {
    plays("h265", "hevc", &["mp4", "mkv"], Way::GOOD);
}

#[test]
fn opus_plays() {
    let Some(packets) = opus(&beeps(3, 100)) else { return };
    let count = packets.len();
    let sent = packets_of_20_ms(packets);
    let folder = Folder::new();
    let recording = folder.put("a.mjr", &record(Medium::Audio, "opus", 48_000, &sent, 0, Way::WRAPS));
    for ending in ["opus", "webm", "mka", "mp4"] {
        let file = folder.file(&format!("a.{ending}"));
        let (done, said) = tool("portunus-pp-rec", &[&recording, &file]);
        assert!(done, "{said}");
        let Some(played) = probe(&file, "a") else { return };
        assert_eq!((played.codec.as_str(), played.packets.len()), ("opus", count), "{ending}");
        assert!((played.duration - 3.0).abs() < 0.1, "{ending}: {} s", played.duration);
        decodes(&file);
    }
}

#[test]
fn a_comment_is_in_the_file() {
    let Some(packets) = opus(&beeps(1, 100)) else { return };
    let folder = Folder::new();
    let sent = packets_of_20_ms(packets);
    let recording = folder.put("a.mjr", &record(Medium::Audio, "opus", 48_000, &sent, 0, Way::GOOD));
    for ending in ["opus", "webm", "mkv", "mp4"] {
        let file = folder.file(&format!("a.{ending}"));
        let (done, said) =
            tool("portunus-pp-rec", &[Path::new("-ma caf\u{e9}"), Path::new("-t"), &recording, &file]);
        assert!(done, "{said}");
        let args = ["-v", "error", "-show_entries", "format_tags:stream_tags", "-of", "default=nw=1"];
        let Some(tags) = run("ffprobe", &[&args[..], &[file.to_str().unwrap()]].concat(), b"") else {
            return;
        };
        let tags = String::from_utf8(tags).unwrap().to_lowercase();
        assert!(tags.contains("tag:comment=a caf\u{e9}"), "{ending}: {tags}");
        decodes(&file);
    }
}
