//! A clapper: a white picture and a tone at the same time, each second. They must be at the same time in the file, too.

#![allow(clippy::print_stdout)]

mod studio;

use portunus_mjr::Medium;
use std::path::Path;
use studio::packets::{beeps, encode, opus, packetize, packets_of_20_ms};
use studio::{Folder, Way, decodes, probe, record, run, tool};

const FRAME_US: u64 = 40_000;
/// Seen and heard apart by no more than this, in seconds.
const APART: f64 = 0.04;
const SIZE: usize = 160 * 120;

/// Frames from the `first` on; white for three of them at each second. Each is a keyframe.
fn flashes(codec: &str, first: usize, seconds: usize) -> Option<Vec<Vec<u8>>> {
    let raw: Vec<u8> =
        (first..seconds * 25).flat_map(|n| [if n % 25 < 3 { 235 } else { 16 }; SIZE]).collect();
    let input = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", "160x120", "-r", "25", "-i", "-", "-g", "1"];
    encode(codec, &input, &raw)
}

/// When pictures become white.
fn seen(file: &Path) -> Option<Vec<f64>> {
    let graph = format!("movie={},signalstats", file.display());
    let entries = "frame=pts_time:frame_tags=lavfi.signalstats.YAVG";
    let said = run(
        "ffprobe",
        &["-v", "error", "-f", "lavfi", "-i", &graph, "-show_entries", entries, "-of", "csv=p=0"],
        b"",
    )?;
    let mut was_white = true;
    let mut found = Vec::new();
    for line in String::from_utf8(said).unwrap().lines() {
        let (time, bright) = line.split_once(',').unwrap();
        let is_white = bright.parse::<f64>().unwrap() > 120.0;
        found.extend((is_white && !was_white).then(|| time.parse::<f64>().unwrap()));
        was_white = is_white;
    }
    Some(found)
}

/// When tones begin, after at least 300 ms of silence.
fn heard(file: &Path, start: f64) -> Option<Vec<f64>> {
    let args = [
        "-v",
        "error",
        "-i",
        file.to_str().unwrap(),
        "-map",
        "0:a",
        "-ac",
        "1",
        "-ar",
        "48000",
        "-f",
        "s16le",
        "-",
    ];
    let raw = run("ffmpeg", &args, b"")?;
    let (mut found, mut quiet) = (Vec::new(), 0);
    for (n, sample) in raw.chunks_exact(2).enumerate() {
        if i16::from_le_bytes([sample[0], sample[1]]).unsigned_abs() < 2_000 {
            quiet += 1;
            continue;
        }
        found.extend((quiet > 14_400).then(|| start + n as f64 / 48_000.0));
        quiet = 0;
    }
    Some(found)
}

/// Makes a file of sound and of pictures that begin later; gives how far each flash is from its tone, in seconds.
fn apart(codec: &str, ending: &str, seconds: usize, sound_way: Way, picture_way: Way) -> Option<Vec<f64>> {
    let folder = Folder::new();
    let mut sound = packets_of_20_ms(opus(&beeps(seconds, 100))?);
    // Where a tone or a flash begins cannot be told if it was lost.
    sound.iter_mut().for_each(|packet| packet.dear = packet.us % 1_000_000 < 40_000);
    // 720 ms later.
    let first = 18;
    let mut pictures = packetize(codec, &flashes(codec, first, seconds)?, |n| n as u64 * FRAME_US);
    for packet in &mut pictures {
        packet.dear = (packet.us / FRAME_US + first as u64).is_multiple_of(25);
    }
    let begin = first as u64 * FRAME_US;
    let audio = folder.put("a.mjr", &record(Medium::Audio, "opus", 48_000, &sound, 0, sound_way));
    let video = folder.put("v.mjr", &record(Medium::Video, codec, 90_000, &pictures, begin, picture_way));
    let file = folder.file(&format!("both.{ending}"));
    let (done, said) = tool("portunus-pp-rec", &[&audio, &video, &file]);
    assert!(done, "{said}");
    let of_sound = probe(&file, "a")?;
    assert!((of_sound.duration - seconds as f64).abs() < 0.1, "{} s: {said}", of_sound.duration);
    let times = probe(&file, "v")?.packets;
    assert!(times.windows(2).all(|w| w[0] < w[1]), "{times:?}");
    decodes(&file);
    let (seen, heard) = (seen(&file)?, heard(&file, of_sound.start)?);
    assert_eq!(seen.len(), seconds - 1, "{seen:?}");
    let nearest = |at: &f64| heard.iter().map(|tone| tone - at).min_by(|a, b| a.abs().total_cmp(&b.abs()));
    Some(seen.iter().filter_map(nearest).collect())
}

fn close(apart: Option<Vec<f64>>, most: f64) {
    let Some(apart) = apart else { return };
    println!("apart: {apart:.3?}");
    assert!(apart.iter().all(|a| a.abs() <= most), "{apart:.3?}");
}

#[test]
fn sound_and_pictures_are_together_after_a_bad_way() {
    let sound = Way { jitter_ms: 60, loss: 50, drift_ppm: 100, ..Way::WRAPS };
    let pictures = Way { loss: 50, drift_ppm: -100, ..Way::WRAPS };
    close(apart("vp8", "webm", 8, sound, pictures), APART);
}

#[test]
fn sound_and_pictures_are_together_in_mp4_and_mkv() {
    for ending in ["mp4", "mkv"] {
        close(apart("h264", ending, 4, Way::GOOD, Way { jitter_ms: 20, ..Way::GOOD }), APART);
    }
}

#[test]
fn clocks_that_drift_apart_are_brought_together() {
    let way = |drift_ppm| Way { drift_ppm, jitter_ms: 30, ..Way::GOOD };
    // Without a correction they would be 180 ms apart at the end.
    close(apart("vp8", "webm", 30, way(3000), way(-3000)), APART);
}
