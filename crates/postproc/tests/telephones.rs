//! Sound of telephones against what ffmpeg makes of the same bytes; messages; what can be made of what.

mod studio;

use portunus_mjr::{Header, MAGIC, Medium, write_data, write_header};
use studio::packets::{Codes, beeps, opus, packets_of_20_ms};
use studio::{Folder, Sent, Way, probe, record, run, tool};

/// Samples of the file that is made of codes, and those ffmpeg decodes of the same codes.
fn both(codec: &str, codes: &Codes) -> Option<(Vec<i16>, Vec<i16>)> {
    let folder = Folder::new();
    let sent: Vec<Sent> = packets_of_20_ms(codes.packets.clone());
    let recording = record(Medium::Audio, codec, codes.clock_rate, &sent, 0, Way::WRAPS);
    let recording = folder.put("a.mjr", &recording);
    let file = folder.file("a.wav");
    let (done, said) = tool("portunus-pp-rec", &[&recording, &file]);
    assert!(done, "{said}");
    let played = probe(&file, "a")?;
    assert_eq!(played.codec, "pcm_s16le");
    assert!((played.duration - 2.0).abs() < 0.1, "{} s", played.duration);
    let samples = |bytes: &[u8]| -> Vec<i16> {
        bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect()
    };
    let raw = codes.packets.concat();
    // G.722 has one rate only.
    let rate = if codec == "g722" { &[][..] } else { &["-ar", codes.rate, "-ac", "1"] };
    let args = [&["-v", "error", "-f", codes.format], rate, &["-i", "-", "-f", "s16le", "-"]].concat();
    let wanted = run("ffmpeg", &args, &raw)?;
    Some((samples(&std::fs::read(&file).unwrap()[44..]), samples(&wanted)))
}

#[test]
fn samples_are_those_that_ffmpeg_decodes() {
    for (codec, how) in
        [("pcmu", Codes::MULAW), ("pcma", Codes::ALAW), ("l16", Codes::L16), ("g722", Codes::G722)]
    {
        let Some(codes) = how() else { return };
        let Some((got, wanted)) = both(codec, &codes) else { return };
        assert_eq!(got.len(), wanted.len(), "{codec}");
        let off = got.iter().zip(&wanted).position(|(a, b)| a != b);
        assert_eq!(off, None, "{codec}: the first sample that differs");
    }
}

#[test]
fn telephones_are_a_track_of_matroska_and_of_nothing_else() {
    let Some(codes) = Codes::ALAW() else { return };
    let folder = Folder::new();
    let sent = packets_of_20_ms(codes.packets);
    let phone = folder.put("p.mjr", &record(Medium::Audio, "pcma", 8_000, &sent, 0, Way::GOOD));
    let Some(packets) = opus(&beeps(2, 100)) else { return };
    let sent = packets_of_20_ms(packets);
    let opus = folder.put("o.mjr", &record(Medium::Audio, "opus", 48_000, &sent, 300_000, Way::GOOD));
    let file = folder.file("both.mka");
    let (done, said) = tool("portunus-pp-rec", &[&phone, &opus, &file]);
    assert!(done, "{said}");
    let (Some(first), Some(second)) = (probe(&file, "a:0"), probe(&file, "a:1")) else { return };
    assert_eq!((first.codec.as_str(), second.codec.as_str()), ("pcm_s16le", "opus"));
    assert!((second.start - first.start - 0.3).abs() < 0.01, "{} and {}", first.start, second.start);
    for ending in ["mp4", "webm", "opus", "avi"] {
        let (done, said) = tool("portunus-pp-rec", &[&phone, &folder.file(&format!("x.{ending}"))]);
        assert!(!done && said.contains("G.711:  wav"), "{said}");
    }
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 3, "nothing is left behind");
}

#[test]
fn lost_packets_come_out_of_redundant_ones() {
    let Some(packets) = opus(&beeps(2, 100)) else { return };
    let folder = Folder::new();
    // Each carries the one before it; two of three are lost in turn with the next.
    let red = |n: usize| {
        let (Some(before), now) = (n.checked_sub(1).map(|b| &packets[b]), &packets[n]) else {
            return [&[111][..], &packets[n]].concat();
        };
        let head = 0x8000_0000 | 111 << 24 | 960 << 10 | before.len() as u32;
        [&head.to_be_bytes()[..], &[111], before, now].concat()
    };
    let sent = packets_of_20_ms((0..packets.len()).map(red).collect());
    let whole = record(Medium::Audio, "opus", 48_000, &sent, 0, Way { loss: 0, ..Way::GOOD });
    let mut header = Header::new(Medium::Audio, "opus");
    (header.created, header.first_frame, header.red) = (1, 1, Some(96));
    let mut bytes = MAGIC.to_vec();
    write_header(&mut bytes, &header).unwrap();
    let frames: Vec<_> = portunus_mjr::Reader::new(&whole).unwrap().enumerate().collect();
    for (n, frame) in frames {
        if n % 2 == 0 || n + 1 == packets.len() {
            portunus_mjr::write_frame(&mut bytes, frame.ms.unwrap(), frame.bytes).unwrap();
        }
    }
    let recording = folder.put("red.mjr", &bytes);
    let (done, said) = tool("portunus-pp-rec", &[&recording, &folder.file("red.opus")]);
    assert!(done && !said.contains("filled in") && !said.contains("gaps"), "{said}");
    let Some(played) = probe(&folder.file("red.opus"), "a") else { return };
    assert_eq!(played.packets.len(), packets.len(), "{said}");
}

#[test]
fn messages_become_subtitles_or_bytes() {
    let folder = Folder::new();
    for (codec, name, wanted) in [
        (
            "text",
            "m.srt",
            "1\n00:00:00.000 --> 00:00:01.999\nhello\n\n2\n00:00:02.000 --> 00:00:07.000\nthere\n\n",
        ),
        ("binary", "m.bin", "hellothere"),
    ] {
        let mut bytes = MAGIC.to_vec();
        write_header(&mut bytes, &Header::new(Medium::Data, codec)).unwrap();
        write_data(&mut bytes, 0, 5_000_000, b"hello").unwrap();
        write_data(&mut bytes, 2_000, 7_000_000, b"there").unwrap();
        let recording = folder.put("m.mjr", &bytes);
        let (done, said) = tool("portunus-pp-rec", &[&recording, &folder.file(name)]);
        assert!(done && said.contains("2 messages"), "{said}");
        assert_eq!(std::fs::read_to_string(folder.file(name)).unwrap(), wanted);
        let (done, said) = tool("portunus-pp-rec", &[&recording, &recording.with_extension("mp4")]);
        assert_eq!(done, codec == "binary", "{said}");
    }
}
