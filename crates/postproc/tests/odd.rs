//! Recordings that are not as they should be: cut off, of several sizes, turned, without a beginning.

mod studio;

use portunus_mjr::{Header, MAGIC, Medium, Reader, write_frame, write_header};
use std::path::Path;
use studio::packets::{beeps, opus, packetize, packets_of_20_ms, pictures};
use studio::{Dice, Folder, Sent, Way, decodes, probe, record, run, tool};

fn seconds(codec: &str, size: &str) -> Option<Vec<Sent>> {
    Some(packetize(codec, &pictures(codec, 1, size)?, |n| n as u64 * 33_333))
}

/// How many pictures a decoder gives.
fn decoded(file: &Path) -> Option<usize> {
    let args =
        ["-v", "error", "-count_frames", "-select_streams", "v", "-show_entries", "stream=nb_read_frames"];
    let said = run("ffprobe", &[&args[..], &["-of", "csv=p=0", file.to_str().unwrap()]].concat(), b"")?;
    String::from_utf8(said).unwrap().trim().parse().ok()
}

#[test]
fn another_size_in_the_middle_is_decoded_wholly() {
    for (codec, endings) in [
        ("vp8", &["webm"][..]),
        ("vp9", &["webm", "mp4"]),
        ("av1", &["mp4"]),
        ("h264", &["mp4", "mkv"]),
        ("h265", &["mp4", "mkv"]),
    ] {
        let (Some(mut sent), Some(wide)) = (seconds(codec, "320x180"), seconds(codec, "640x360")) else {
            return;
        };
        sent.extend(wide.into_iter().map(|packet| Sent { us: packet.us + 1_000_000, ..packet }));
        let folder = Folder::new();
        let recording = folder.put("v.mjr", &record(Medium::Video, codec, 90_000, &sent, 0, Way::GOOD));
        for ending in endings {
            let file = folder.file(&format!("v.{ending}"));
            let (done, said) = tool("portunus-pp-rec", &[&recording, &file]);
            assert!(done && said.contains("320x180, 640x360"), "{said}");
            decodes(&file);
            let Some(count) = decoded(&file) else { return };
            assert_eq!(count, 60, "{codec} in {ending}");
            let tag = probe(&file, "v").map(|p| p.tag).unwrap_or_default();
            assert!(*ending != "mp4" || ["avc3", "hev1", "av01", "vp09"].contains(&tag.as_str()), "{tag}");
        }
    }
}

#[test]
fn pictures_that_were_turned_are_marked() {
    let Some(sent) = seconds("h264", "320x180") else { return };
    let folder = Folder::new();
    let plain = record(Medium::Video, "h264", 90_000, &sent, 0, Way::GOOD);
    for (turn, wanted) in [(1, "-90"), (2, "180"), (3, "90")] {
        let mut header = Header::new(Medium::Video, "h264");
        header.extensions = vec![(4, "urn:3gpp:video-orientation".into())];
        let mut bytes = MAGIC.to_vec();
        write_header(&mut bytes, &header).unwrap();
        for frame in Reader::new(&plain).unwrap() {
            let (head, payload) = frame.bytes.split_at(12);
            let mut packet = [head, &[0xbe, 0xde, 0, 1, 0x40, turn, 0, 0], payload].concat();
            packet[0] |= 0x10;
            write_frame(&mut bytes, frame.ms.unwrap(), &packet).unwrap();
        }
        let recording = folder.put(&format!("{turn}.mjr"), &bytes);
        for ending in ["mp4", "mkv"] {
            let file = folder.file(&format!("{turn}.{ending}"));
            let (done, said) = tool("portunus-pp-rec", &[&recording, &file]);
            assert!(done && said.contains("turned by"), "{said}");
            let args = ["-v", "error", "-show_entries", "stream_side_data=rotation", "-of", "csv=p=0"];
            let Some(said) = run("ffprobe", &[&args[..], &[file.to_str().unwrap()]].concat(), b"") else {
                return;
            };
            let said = String::from_utf8(said).unwrap();
            let said = said.trim().trim_end_matches(',');
            assert!(said == wanted || (wanted == "180" && said == "-180"), "{turn} in {ending}: {said}");
        }
    }
}

#[test]
fn a_recording_that_was_cut_off_anywhere_is_read_to_there() {
    let Some(pictures) = seconds("h264", "320x180") else { return };
    let Some(sound) = opus(&beeps(1, 100)).map(packets_of_20_ms) else { return };
    let recordings = [
        ("mp4", record(Medium::Video, "h264", 90_000, &pictures, 0, Way::WRAPS)),
        ("webm", record(Medium::Audio, "opus", 48_000, &sound, 0, Way::WRAPS)),
        ("srt", record(Medium::Data, "text", 90_000, &sound, 0, Way::WRAPS)),
    ];
    let mut dice = Dice(99);
    for (ending, whole) in recordings {
        let folder = Folder::new();
        let file = folder.file(&format!("cut.{ending}"));
        let mut made = 0;
        for n in 0..120 {
            let cut = if n < 60 { n * 4 } else { dice.roll(whole.len() as u64) as usize };
            let recording = folder.put("cut.mjr", &whole[..cut.min(whole.len())]);
            let (done, said) = tool("portunus-pp-rec", &[&recording, &file]);
            assert!(!said.contains("panicked"), "{ending} at {cut}: {said}");
            made += u32::from(done);
            assert_eq!(done, file.exists(), "{said}");
            let _ = std::fs::remove_file(&file);
            let (_, said) = tool("portunus-pp-rec", &[Path::new("-p"), &recording]);
            assert!(!said.contains("panicked"), "{ending} at {cut}: {said}");
        }
        assert!(made > 40, "{ending}: {made} were made");
    }
}

#[test]
fn bytes_that_were_changed_do_no_harm() {
    let mut dice = Dice(5);
    for codec in ["vp8", "vp9", "av1", "h264", "h265"] {
        let Some(sent) = seconds(codec, "160x120") else { return };
        let whole = record(Medium::Video, codec, 90_000, &sent, 0, Way::GOOD);
        let folder = Folder::new();
        for _ in 0..15 {
            let mut bytes = whole.clone();
            for _ in 0..1 + dice.roll(200) {
                let at = 60 + dice.roll(bytes.len() as u64 - 60) as usize;
                bytes[at] = dice.roll(256) as u8;
            }
            let recording = folder.put("changed.mjr", &bytes);
            let file = folder.file("changed.mkv");
            let (_, said) = tool("portunus-pp-rec", &[&recording, &file]);
            assert!(!said.contains("panicked"), "{codec}: {said}");
            let _ = std::fs::remove_file(&file);
        }
    }
}

#[test]
fn nothing_is_written_over() {
    let Some(sound) = opus(&beeps(1, 100)).map(packets_of_20_ms) else { return };
    let folder = Folder::new();
    let recording = folder.put("a.mjr", &record(Medium::Audio, "opus", 48_000, &sound, 0, Way::GOOD));
    let file = folder.put("a.opus", b"mine");
    let (done, said) = tool("portunus-pp-rec", &[&recording, &file]);
    assert!(!done && said.contains("cannot make"), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}
