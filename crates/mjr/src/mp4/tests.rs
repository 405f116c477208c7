use super::*;
use crate::frames::{Codec, Config};
use crate::opus::Head;
use crate::track::{Audio, Video};
use std::sync::Arc;

fn tracks() -> [Track; 2] {
    let config = Config { codec: Codec::H264, width: 320, height: 180, record: vec![1, 2, 3] };
    [Track::Video(Video::new(Arc::new(config))), Track::Audio(Audio::Opus(Head::plain(1)))]
}

fn picture(ms: u64, keyframe: bool) -> Sample<'static> {
    Sample { track: 0, time: ms * 1000, keyframe, bytes: b"picture" }
}

fn sound(ms: u64) -> Sample<'static> {
    Sample { track: 1, time: ms * 1000, keyframe: true, bytes: &[0x78, 1] }
}

/// The content of the first box of a kind, wherever it is.
fn find<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> &'a [u8] {
    let at = bytes.windows(4).position(|w| w == kind).unwrap();
    let length = u32::from_be_bytes(bytes[at - 4..at].try_into().unwrap());
    &bytes[at + 4..at - 4 + usize::try_from(length).unwrap()]
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|n| u32::from_be_bytes(n.try_into().unwrap())).collect()
}

#[test]
fn a_live_file_is_made_of_whole_fragments() {
    let (mut out, mut fragments) = (Vec::new(), Vec::new());
    let mut live = Live::new(&tracks(), &mut out).unwrap();
    let head = out.len();
    assert!(out.windows(4).any(|w| w == b"mvex") && out.windows(4).any(|w| w == b"avc3"));
    for sample in [picture(0, true), sound(0), picture(40, false), sound(20), sound(40)] {
        live.push(&sample, &mut out);
    }
    assert_eq!(out.len(), head);
    live.push(&picture(100, true), &mut fragments);
    // Two pictures, the second until the keyframe; its place is behind the fragment's head.
    let rows = numbers(&find(&fragments, b"trun")[4..]);
    let data = u32::try_from(fragments.windows(4).position(|w| w == b"mdat").unwrap() + 4).unwrap();
    assert_eq!(rows[..10], [2, data, 3600, 7, SYNC, 0, 5400, 7, NO_SYNC, 0]);
    assert_eq!(find(&fragments, b"mdat"), b"picturepicture\x78\x01\x78\x01\x78\x01");
    let before = fragments.len();
    live.flush(&mut fragments);
    live.flush(&mut fragments);
    assert_eq!(find(&fragments[before..], b"tfdt")[4..], 9000_u64.to_be_bytes());
}

#[test]
fn what_is_not_whole_can_be_cut_off() {
    let mut out = Vec::new();
    let mut live = Live::new(&tracks(), &mut out).unwrap();
    let mut ends = vec![0, 32, out.len()];
    for ms in [0, 100, 200] {
        live.push(&picture(ms, true), &mut out);
        live.flush(&mut out);
        ends.push(out.len());
    }
    for cut in 0..=out.len() {
        let wanted = ends.iter().rev().find(|end| **end <= cut);
        assert_eq!(Some(&whole(&out[..cut])), wanted, "{cut}");
    }
}

#[test]
fn a_fragment_ends_after_a_second_without_keyframes_too() {
    let mut out = Vec::new();
    let mut live = Live::new(&tracks(), &mut out).unwrap();
    let head = out.len();
    (0..60).for_each(|n| live.push(&sound(n * 20), &mut out));
    assert_eq!(out.len(), head);
    (60..101).for_each(|n| live.push(&sound(n * 20), &mut out));
    assert!(out.len() > head, "no picture came for two seconds");
}

#[test]
fn tables_tell_where_each_sample_is() {
    let samples = [picture(0, true), sound(0), sound(20), picture(40, false), sound(60)];
    let mut movie = Movie::new(&tracks()).unwrap();
    samples.iter().for_each(|sample| movie.add(sample));
    let mut file = movie.head(80_000);
    samples.iter().for_each(|sample| file.extend(sample.bytes));
    assert_eq!(numbers(&find(&file, b"stts")[4..]), [1, 2, 3600]);
    assert_eq!(numbers(&find(&file, b"stss")[4..]), [1, 1]);
    let places = &find(&file, b"co64")[8..];
    for at in places.chunks_exact(8) {
        let at = usize::try_from(u64::from_be_bytes(at.try_into().unwrap())).unwrap();
        assert!(file[at..].starts_with(b"picture"));
    }
    let media = file.windows(4).position(|w| w == b"mdat").unwrap();
    let length = u64::from_be_bytes(file[media + 4..media + 12].try_into().unwrap());
    assert_eq!(usize::try_from(length).unwrap(), file.len() - media + 4);
}

#[test]
fn what_begins_later_waits() {
    let mut movie = Movie::new(&tracks()).unwrap();
    [sound(0), picture(700, true), picture(740, false)].iter().for_each(|sample| movie.add(sample));
    let edits = find(&movie.head(780_000), b"elst").to_vec();
    assert_eq!(numbers(&edits[4..])[..10], [2, 0, 63_000, u32::MAX, u32::MAX, 0x1_0000, 0, 7200, 0, 0]);
}

#[test]
fn frames_that_are_shown_in_another_order_are_decoded_first() {
    let mut movie = Movie::new(&tracks()[..1]).unwrap();
    for ms in [0, 120, 40, 80] {
        movie.add(&picture(ms, ms == 0));
    }
    let head = movie.head(160_000);
    assert_eq!(numbers(&find(&head, b"stts")[4..]), [1, 4, 3600]);
    let offsets = numbers(&find(&head, b"ctts")[4..]);
    assert_eq!(offsets, [3, 1, 0, 1, 7200, 2, (-3600_i32).cast_unsigned()]);
}

#[test]
fn vp8_is_no_part_of_mp4() {
    let config = Config { codec: Codec::Vp8, width: 2, height: 2, record: Vec::new() };
    let track = Track::Video(Video::new(Arc::new(config)));
    assert_eq!(Movie::new(&[track]).unwrap_err(), Unfit);
}
