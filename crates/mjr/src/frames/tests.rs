use super::*;
use proptest::prelude::*;

fn packet(index: u64, time: u64, marker: bool, payload: &[u8]) -> Packet<'_> {
    Packet { index, time, ms: 0, marker, payload_type: 96, payload }
}

/// 320x180, after a descriptor of one byte.
const KEY: &[u8] = &[0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00, 7];
const DELTA: &[u8] = &[0x10, 0x11, 8];
const MORE: &[u8] = &[0x00, 9];

struct Found {
    frames: Vec<Frame>,
    counts: Counts,
}

fn pictures(codec: Codec, packets: Vec<Packet<'_>>) -> Found {
    let timeline = Timeline { packets, ..Timeline::default() };
    let mut pictures = read(codec, &timeline);
    Found { frames: pictures.by_ref().collect(), counts: pictures.counts() }
}

#[test]
fn packets_of_one_time_are_one_frame() {
    let found = pictures(
        Codec::Vp8,
        vec![packet(1, 0, false, KEY), packet(2, 0, true, MORE), packet(3, 3000, true, DELTA)],
    );
    let config = found.frames[0].config.clone().unwrap();
    assert_eq!((config.width, config.height), (320, 180));
    let frames: Vec<_> = found.frames.iter().map(|f| (f.time, f.keyframe, f.bytes.last().copied())).collect();
    assert_eq!(frames, [(0, true, Some(9)), (3000, false, Some(8))]);
    assert_eq!(found.frames[0].bytes.len(), KEY.len() - 1 + 1);
    assert_eq!(found.frames[1].config, None);
}

#[test]
fn what_is_not_whole_is_left_out_and_counted() {
    let found = pictures(
        Codec::Vp8,
        vec![
            packet(1, 0, true, DELTA),
            packet(2, 3000, true, KEY),
            // Its middle is missing, then its beginning, then its end.
            packet(3, 6000, false, DELTA),
            packet(5, 6000, true, MORE),
            packet(7, 9000, true, MORE),
            packet(8, 12_000, true, DELTA),
            packet(9, 15_000, false, DELTA),
        ],
    );
    assert_eq!(found.counts, Counts { frames: 2, incomplete: 3, early: 1 });
    assert_eq!(found.frames.len(), 2);
}

#[test]
fn a_frame_without_a_marker_is_whole_if_no_packet_is_missing_behind_it() {
    let behind = |index| {
        let packets =
            vec![packet(1, 0, true, KEY), packet(2, 3000, false, DELTA), packet(index, 6000, true, DELTA)];
        let found = pictures(Codec::Vp8, packets);
        (found.counts.frames, found.counts.incomplete)
    };
    assert_eq!((behind(3), behind(4)), ((3, 0), (2, 1)));
}

#[test]
fn another_size_is_told_with_the_keyframe_that_has_it() {
    let mut wide = KEY.to_vec();
    wide[7..9].copy_from_slice(&640_u16.to_le_bytes());
    let found = pictures(
        Codec::Vp8,
        vec![packet(1, 0, true, KEY), packet(2, 3000, true, KEY), packet(3, 6000, true, &wide)],
    );
    let told: Vec<_> = found.frames.iter().map(|f| f.config.as_ref().map(|c| c.width)).collect();
    assert_eq!(told, [Some(320), None, Some(640)]);
}

#[test]
fn packets_of_the_past_are_ignored() {
    let (mut assembler, mut frames) = (Assembler::new(Codec::Vp8), Vec::new());
    for packet in [packet(5, 0, true, KEY), packet(4, 0, true, KEY), packet(5, 0, true, KEY)] {
        assembler.push(&packet, &mut frames);
    }
    assert_eq!((frames.len(), assembler.counts().frames), (1, 1));
}

#[test]
fn parameter_sets_are_taken_out_of_frames() {
    let unit = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let frame = [unit(&[0x67, 1]), unit(&[0x68, 2]), unit(&[0x65, 3])].concat();
    assert_eq!(without_sets(Codec::H264, &frame), unit(&[0x65, 3]));
    let frame = [unit(&[0x40, 1]), unit(&[0x42, 1]), unit(&[0x44, 1]), unit(&[0x26, 1])].concat();
    assert_eq!(without_sets(Codec::H265, &frame), unit(&[0x26, 1]));
}

proptest! {
    #[test]
    fn any_packets_are_taken(
        packets in proptest::collection::vec(
            (0..4_u64, 0..3_u64, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..60),
    ) {
        for codec in [Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H264, Codec::H265] {
            let (mut assembler, mut frames) = (Assembler::new(codec), Vec::new());
            let (mut index, mut time) = (0, 0);
            for (skip, later, marker, payload) in &packets {
                index += skip;
                time += later;
                assembler.push(&packet(index, time, *marker, payload), &mut frames);
            }
            assembler.flush(&mut frames);
            prop_assert_eq!(u64::try_from(frames.len()).unwrap(), assembler.counts().frames);
            prop_assert!(frames.first().is_none_or(|frame| frame.config.is_some()));
        }
    }
}
