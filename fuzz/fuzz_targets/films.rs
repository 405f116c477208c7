//! A recording from anywhere made files of: packets on a line of time, frames, sound, and each of the writers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portunus_mjr::frames::{self, Codec};
use portunus_mjr::timeline::Timeline;
use portunus_mjr::track::{Audio, Sample, Track, Video};
use portunus_mjr::{
    Header, MAGIC, Medium, Reader, live, mp4, ogg, opus, pcap, pcm, srt, webm, write_frame, write_header,
};
use std::io::Cursor;

const CODECS: [Codec; 5] = [Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H264, Codec::H265];
/// Ticks after which silence is no more filled here: it would only cost time.
const SHORT: u64 = 48_000 * 60;

fuzz_target!(|data: &[u8]| {
    let _ = pcap::Reader::new(data).map(|capture| capture.count());
    let bytes = recording(data);
    let Ok(reader) = Reader::new(&bytes) else { return };
    let messages: Vec<_> = reader.clone().filter_map(|frame| frame.message()).collect();
    let _ = srt::write(&messages);
    film(reader.clone());
    let timeline = Timeline::read(reader, frames::CLOCK_RATE);
    for codec in CODECS {
        pictures(codec, &timeline);
    }
    if timeline.packets.iter().all(|p| p.time < SHORT) {
        sound(&timeline);
    }
});

/// Bytes that begin like a recording are one; others are cut into packets that follow each other.
fn recording(data: &[u8]) -> Vec<u8> {
    if data.starts_with(b"MJR") {
        return data.to_vec();
    }
    let mut out = MAGIC.to_vec();
    let mut header = Header::new(Medium::Video, "vp8");
    header.red = Some(63);
    write_header(&mut out, &header).expect("it is short");
    let (mut rest, mut sequence, mut time) = (data, 0_u16, 0_u32);
    while let [how, length, behind @ ..] = rest {
        let (payload, after) = behind.split_at(usize::from(*length).min(behind.len()));
        sequence = sequence.wrapping_add(1 + u16::from(how & 0x10 != 0));
        time = time.wrapping_add(u32::from(how & 0x0f) * 300);
        let mut packet = vec![0x80, how & 0x80 | if how & 0x20 != 0 { 63 } else { 96 }];
        packet.extend(sequence.to_be_bytes());
        packet.extend(time.to_be_bytes());
        packet.extend([0, 0, 0, 1]);
        packet.extend(payload);
        write_frame(&mut out, time / 90, &packet).expect("it is short");
        rest = after;
    }
    out
}

/// The same packets as media of a film: they begin and end at any time.
fn film(reader: Reader<'_>) {
    let (mut film, mut pieces, mut now) = (live::Film::new(), Vec::new(), 0);
    let codecs = ["vp8", "opus", "h264", "pcmu", "av1", "vp9", "g722", "h265"];
    for (n, frame) in reader.enumerate() {
        let id = n as u64 % 3;
        if n % 50 == 0 {
            film.end(id + n as u64 / 200);
            let codec = codecs[n / 50 % codecs.len()];
            film.add(id + n as u64 / 200, &live::Kind { codec, fmtp: None, red: Some(63) });
        }
        now += u64::from(frame.bytes.get(1).copied().unwrap_or(0)) * 300;
        film.packet(id + n as u64 / 200, now, frame.bytes);
        if n % 7 == 0 {
            film.poll(now, &mut pieces);
        }
    }
    film.finish(&mut pieces);
    let begun = |piece: &live::Piece| matches!(piece, live::Piece::Begin { .. });
    assert!(pieces.first().is_none_or(begun), "bytes before a file has begun");
}

fn pictures(codec: Codec, timeline: &Timeline<'_>) {
    let found: Vec<_> = frames::read(codec, timeline).collect();
    let Some(config) = found.first().and_then(|f| f.config.clone()) else {
        assert!(found.is_empty());
        return;
    };
    let tracks = [Track::Video(Video::new(config))];
    let (mut as_webm, mut as_mp4) = (Vec::new(), Vec::new());
    let mut live = webm::Live::new(&tracks, &mut as_webm);
    let mut fragments = mp4::Live::new(&tracks, &mut as_mp4).ok();
    let mut movie = mp4::Movie::new(&tracks).ok();
    let mut finished = webm::Writer::new(Cursor::new(Vec::new()), &tracks, 1).expect("memory takes it");
    for frame in &found {
        frames::without_sets(codec, &frame.bytes);
        let sample =
            Sample { track: 0, time: frame.time * 100 / 9, keyframe: frame.keyframe, bytes: &frame.bytes };
        live.push(&sample, &mut as_webm);
        finished.push(&sample).expect("memory takes it");
        fragments.iter_mut().for_each(|f| f.push(&sample, &mut as_mp4));
        movie.iter_mut().for_each(|m| m.add(&sample));
    }
    live.flush(&mut as_webm);
    fragments.iter_mut().for_each(|f| f.flush(&mut as_mp4));
    finished.finish().expect("memory takes it");
    movie.iter().for_each(|m| drop(m.head(1)));
}

fn sound(timeline: &Timeline<'_>) {
    let (mut filler, mut sounds) = (opus::Filler::new(2), Vec::new());
    timeline.packets.iter().for_each(|p| filler.push(p.time, p.payload, &mut sounds));
    assert!(sounds.windows(2).all(|w| w[0].time + w[0].length <= w[1].time));
    let mut out = Vec::new();
    let mut writer = ogg::Writer::new(&mut out, &opus::Head::plain(2)).expect("memory takes it");
    for sound in &sounds {
        // What does not fit on a page is refused.
        if writer.push(&sound.bytes, sound.length).is_err() {
            break;
        }
    }
    let _ = writer.finish();
    let mut live = webm::Live::new(&[Track::Audio(Audio::Opus(opus::Head::plain(2)))], &mut out);
    for sound in &sounds {
        live.push(&Sample { track: 0, time: sound.time, keyframe: true, bytes: &sound.bytes }, &mut out);
    }
    for codec in ["pcmu", "pcma", "g711", "g722", "l16", "l16-48"] {
        let mut decoder = pcm::Decoder::of(codec).expect("it is known");
        let (mut filler, mut pieces) = (pcm::Filler::new(decoder.rate()), Vec::new());
        for packet in &timeline.packets {
            let mut samples = Vec::new();
            decoder.decode(packet.payload_type, packet.payload, &mut samples);
            filler.push(packet.time, samples, &mut pieces);
        }
    }
}
