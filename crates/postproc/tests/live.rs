//! Files that are written while they are recorded, as ffmpeg sees them, whole and cut off.

mod studio;

use portunus_mjr::frames::{Assembler, Codec, Frame};
use portunus_mjr::opus::{Filler, Head};
use portunus_mjr::timeline::Packet;
use portunus_mjr::track::{Audio, Sample, Track, Video};
use portunus_mjr::{mp4, webm};
use std::path::Path;
use studio::packets::{beeps, opus, packetize, packets_of_20_ms, pictures};
use studio::{Dice, Folder, decodes, probe, run};

/// A sample that owns its bytes.
struct Owned {
    track: usize,
    time: u64,
    keyframe: bool,
    bytes: Vec<u8>,
}

/// What a live recorder would push: frames as they become whole, sound in between.
fn call(codec: Codec) -> Option<(Vec<Track>, Vec<Owned>)> {
    let sent = packetize(codec.name(), &pictures(codec.name(), 3, "320x180")?, |n| n as u64 * 33_333);
    let (mut assembler, mut samples, mut track) = (Assembler::new(codec), Vec::new(), None);
    for (n, packet) in sent.iter().enumerate() {
        let mut frames: Vec<Frame> = Vec::new();
        let packet = Packet {
            index: 65_536 + n as u64,
            time: packet.us * 9 / 100,
            ms: 0,
            marker: packet.marker,
            payload_type: 96,
            payload: &packet.payload,
        };
        assembler.push(&packet, &mut frames);
        for frame in frames {
            if let Some(config) = frame.config {
                track.get_or_insert(Track::Video(Video::new(config)));
            }
            let time = frame.time * 100 / 9;
            samples.push(Owned { track: 0, time, keyframe: frame.keyframe, bytes: frame.bytes });
        }
    }
    let (mut filler, mut sounds) = (Filler::new(1), Vec::new());
    for packet in packets_of_20_ms(opus(&beeps(3, 100))?) {
        filler.push(packet.us * 48 / 1000, &packet.payload, &mut sounds);
    }
    samples.extend(sounds.into_iter().map(|s| Owned {
        track: 1,
        time: s.time * 1000 / 48,
        keyframe: true,
        bytes: s.bytes,
    }));
    samples.sort_by_key(|s| s.time);
    Some((vec![track?, Track::Audio(Audio::Opus(Head::plain(1)))], samples))
}

/// The bytes of a live file, and where each piece of it ends.
fn written(ending: &str, tracks: &[Track], samples: &[Owned]) -> (Vec<u8>, Vec<usize>) {
    let mut out = Vec::new();
    let (mut as_webm, mut as_mp4) = (None, None);
    match ending {
        "mp4" => as_mp4 = Some(mp4::Live::new(tracks, &mut out).unwrap()),
        _ => as_webm = Some(webm::Live::new(tracks, &mut out)),
    }
    let mut ends = vec![out.len()];
    for Owned { track, time, keyframe, bytes } in samples {
        let sample = Sample { track: *track, time: *time, keyframe: *keyframe, bytes };
        as_mp4.iter_mut().for_each(|live| live.push(&sample, &mut out));
        as_webm.iter_mut().for_each(|live| live.push(&sample, &mut out));
        if ends.last() != Some(&out.len()) {
            ends.push(out.len());
        }
    }
    as_mp4.iter_mut().for_each(|live| live.flush(&mut out));
    as_webm.iter_mut().for_each(|live| live.flush(&mut out));
    ends.push(out.len());
    (out, ends)
}

fn frames(file: &Path) -> Option<(usize, usize)> {
    let (pictures, sound) = (probe(file, "v")?, probe(file, "a")?);
    for times in [&pictures.packets, &sound.packets] {
        assert!(times.windows(2).all(|w| w[0] < w[1]), "{times:?}");
    }
    Some((pictures.packets.len(), sound.packets.len()))
}

fn live(codec: Codec, ending: &str) {
    let Some((tracks, samples)) = call(codec) else { return };
    let (bytes, ends) = written(ending, &tracks, &samples);
    assert!(ends.len() >= 4, "a piece is a second long: {ends:?}");
    let folder = Folder::new();
    let file = folder.put(&format!("live.{ending}"), &bytes);
    let Some(all) = frames(&file) else { return };
    let of = |track| samples.iter().filter(|s| s.track == track).count();
    assert_eq!(all, (of(0), of(1)), "{ending}");
    decodes(&file);
    // The machine stopped: what had been written plays.
    for end in [ends[2], ends[ends.len() / 2]] {
        let file = folder.put(&format!("part.{ending}"), &bytes[..end]);
        assert!(frames(&file).unwrap() > (0, 0));
        decodes(&file);
    }
    // In the middle of writing, too; in MP4 once the half of a fragment was cut off.
    let mut dice = Dice(7);
    for _ in 0..2 {
        let end = ends[2] + dice.roll((bytes.len() - ends[2]) as u64) as usize;
        let end = if ending == "mp4" { mp4::whole(&bytes[..end]) } else { end };
        let file = folder.put(&format!("cut.{ending}"), &bytes[..end]);
        let args = ["-v", "fatal", "-i", file.to_str().unwrap(), "-f", "null", "-"];
        run("ffmpeg", &args, b"");
    }
}

#[test]
fn live_webm_plays_wherever_it_ends() {
    live(Codec::Vp8, "webm");
}

#[test]
fn live_matroska_plays_wherever_it_ends() {
    live(Codec::H264, "mkv");
}

#[test]
fn live_mp4_plays_wherever_it_ends() {
    for codec in [Codec::H264, Codec::H265] {
        live(codec, "mp4");
    }
}

#[test]
fn live_mp4_of_newer_codecs_plays_wherever_it_ends() {
    for codec in [Codec::Av1, Codec::Vp9] {
        live(codec, "mp4");
    }
}
