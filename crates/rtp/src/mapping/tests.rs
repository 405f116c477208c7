use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::codec::Codec;
use crate::testing::{dependency, inspect, vp8};

const A: SourceId = SourceId(1);
const B: SourceId = SourceId(2);

fn arrival(source: SourceId, sequence: u64, timestamp: u32, info: &PayloadInfo) -> Arrival<'_> {
    Arrival { source, sequence, timestamp, info }
}

fn plain() -> PayloadInfo {
    PayloadInfo::default()
}

fn picture(rewrite: PayloadRewrite) -> Option<(u16, u8, u8)> {
    match rewrite {
        PayloadRewrite::Vp8 { picture_id, tl0, keyidx } => Some((picture_id, tl0, keyidx)),
        _ => None,
    }
}

#[test]
fn first_packet_takes_the_first_numbers() {
    let mut sink = SinkStream::new(90_000, 65_535, 1000);
    assert_eq!((sink.newest_index(), sink.source()), (None, None));
    let info = plain();
    let first = sink.try_map(&arrival(A, 70_000, 555, &info), 0).unwrap();
    assert_eq!((first.index, first.sequence, first.timestamp, first.restarted), (65_535, 65_535, 1000, true));
    let next = sink.try_map(&arrival(A, 70_001, 555 + 3000, &info), 33_000).unwrap();
    assert_eq!((next.index, next.sequence, next.timestamp, next.restarted), (65_536, 0, 4000, false));
    assert_eq!((sink.newest_index(), sink.source()), (Some(65_536), Some(A)));
}

#[test]
fn a_switch_continues_number_and_time() {
    // (clock, elapsed us, expected ticks)
    for (clock, elapsed, ticks) in
        [(90_000, 20_000, 1800), (48_000, 20_000, 960), (8_000, 20_000, 160), (90_000, 0, 1)]
    {
        let mut sink = SinkStream::new(clock, 10, 1000);
        let info = plain();
        sink.try_map(&arrival(A, 70_000, 0, &info), 1_000_000).unwrap();
        let switched = sink.try_map(&arrival(B, 90_000, 0xffff_0000, &info), 1_000_000 + elapsed).unwrap();
        assert_eq!((switched.sequence, switched.timestamp, switched.restarted), (11, 1000 + ticks, true));
        let next = sink.try_map(&arrival(B, 90_001, 0xffff_0000 + 7, &info), 2_000_000).unwrap();
        assert_eq!((next.sequence, next.timestamp), (12, 1000 + ticks + 7));
        assert_eq!(sink.try_map(&arrival(B, 89_999, 0, &info), 2_000_000), None, "from before the switch");
    }
}

#[test]
fn a_pause_is_time_that_passed() {
    let mut sink = SinkStream::new(90_000, 10, 0);
    let info = plain();
    sink.try_map(&arrival(A, 70_000, 0, &info), 0).unwrap();
    sink.pause();
    assert_eq!(sink.on_drop(&arrival(A, 70_001, 0, &info)), Dropped::Removed);
    assert_eq!(sink.try_map(&arrival(A, 70_000, 0, &info), 10), None, "a duplicate from before the pause");
    let resumed = sink.try_map(&arrival(A, 71_000, 5, &info), 10_000_000).unwrap();
    assert_eq!((resumed.sequence, resumed.timestamp, resumed.restarted), (11, 900_000, true));
    assert_eq!(sink.timestamp_at(11_000_000), 990_000);
    assert_eq!(sink.translate_timestamp(A, 6), Some(900_001));
    assert_eq!(sink.translate_timestamp(B, 6), None);
}

#[test]
fn another_clock_is_a_break() {
    let mut sink = SinkStream::new(48_000, 10, 0);
    let info = plain();
    sink.try_map(&arrival(A, 70_000, 0, &info), 0).unwrap();
    sink.set_clock_rate(8_000);
    let next = sink.try_map(&arrival(A, 70_001, 77, &info), 1_000_000).unwrap();
    assert_eq!((next.sequence, next.timestamp), (11, 8_000));
}

#[test]
fn a_large_jump_of_the_source_is_closed() {
    let mut sink = SinkStream::new(90_000, 10, 0);
    let info = plain();
    sink.try_map(&arrival(A, 70_000, 0, &info), 0).unwrap();
    let lost = sink.try_map(&arrival(A, 70_000 + MAX_JUMP, 3000, &info), 33_333).unwrap();
    assert_eq!(lost.index, 10 + MAX_JUMP, "loss leaves its gap");
    let jump = sink.try_map(&arrival(A, 90_000, 9, &info), 66_666).unwrap();
    assert_eq!((jump.index, jump.restarted), (11 + MAX_JUMP, true));
}

#[test]
fn drops_leave_no_gap_and_late_packets_find_their_place() {
    let mut sink = SinkStream::new(90_000, 100, 0);
    let info = plain();
    let mut map = |s: u64| sink.try_map(&arrival(A, s, 0, &info), 0).map(|m| m.index);
    assert_eq!(map(1000), Some(100));
    // 1001 is late; 1002 and 1003 are dropped; 1004 goes on.
    assert_eq!(sink.on_drop(&arrival(A, 1002, 1, &info)), Dropped::Removed);
    assert_eq!(sink.on_drop(&arrival(A, 1003, 2, &info)), Dropped::Removed);
    let mut map = |s: u64| sink.try_map(&arrival(A, s, 0, &info), 0).map(|m| m.index);
    assert_eq!(map(1004), Some(102));
    assert_eq!(map(1001), Some(101), "before the dropped run");
    assert_eq!(map(1003), None, "dropped");
    assert_eq!(map(1001), None, "twice");
    assert_eq!(map(999), None, "before the first");
    assert_eq!(map(1006), Some(104));
    assert_eq!(map(1005), Some(103));
}

#[test]
fn a_late_packet_that_is_not_wanted_leaves_a_hole_to_fill_once() {
    let mut sink = SinkStream::new(90_000, 100, 0);
    let info = plain();
    sink.try_map(&arrival(A, 1000, 0, &info), 0).unwrap();
    sink.try_map(&arrival(A, 1002, 90, &info), 0).unwrap();
    let late = arrival(A, 1001, 45, &info);
    assert_eq!(sink.on_drop(&late), Dropped::Hole { index: 101, timestamp: 45 });
    assert_eq!(sink.on_drop(&late), Dropped::Removed, "filled");
    assert_eq!(sink.on_drop(&arrival(A, 1002, 90, &info)), Dropped::Removed, "it was sent");
    assert_eq!(sink.try_map(&late, 0), None, "the number is gone");
}

#[test]
fn loss_inside_a_dropped_frame_leaves_no_gap() {
    let mut sink = SinkStream::new(90_000, 100, 0);
    let info = plain();
    sink.try_map(&arrival(A, 1000, 0, &info), 0).unwrap();
    sink.on_drop(&arrival(A, 1001, 3000, &info));
    // 1002 of the same frame is lost.
    sink.on_drop(&arrival(A, 1003, 3000, &info));
    // 1004 of another frame is lost: nobody knows whether it would be wanted.
    sink.on_drop(&arrival(A, 1005, 6000, &info));
    assert_eq!(sink.try_map(&arrival(A, 1006, 9000, &info), 0).unwrap().index, 102);
    assert_eq!(sink.try_map(&arrival(A, 1002, 3000, &info), 0), None);
    assert_eq!(sink.try_map(&arrival(A, 1004, 6000, &info), 0).unwrap().index, 101);
}

#[test]
fn history_is_bounded_and_what_fell_out_is_refused() {
    let mut sink = SinkStream::new(90_000, 0, 0);
    let info = plain();
    let mut next = 1000;
    for _ in 0..MAX_RUNS + 10 {
        sink.try_map(&arrival(A, next, 0, &info), 0).unwrap();
        // next + 1 is late.
        sink.on_drop(&arrival(A, next + 2, 1, &info));
        next += 3;
    }
    let newest = sink.try_map(&arrival(A, next, 0, &info), 0).unwrap().index;
    assert_eq!(sink.try_map(&arrival(A, next - 2, 0, &info), 0).unwrap().index, newest - 1);
    let oldest_kept = 1000 + 3 * 10 + 1;
    assert!(sink.try_map(&arrival(A, oldest_kept, 0, &info), 0).is_some());
    assert!(sink.try_map(&arrival(A, oldest_kept - 3, 0, &info), 0).is_none());
}

#[test]
fn vp8_picture_ids_close_up_behind_dropped_frames() {
    let mut sink = SinkStream::new(90_000, 100, 0);
    let key = inspect(Codec::Vp8, &vp8(0x7ffe, 5, 0, false, 3, true, true));
    let top = inspect(Codec::Vp8, &vp8(0x7fff, 5, 2, false, 3, true, false));
    let rest = inspect(Codec::Vp8, &vp8(0x7fff, 5, 2, false, 3, false, false));
    let base = inspect(Codec::Vp8, &vp8(0, 6, 0, false, 3, true, false));
    assert_eq!(sink.try_map(&arrival(A, 10, 0, &key), 0).unwrap().payload, PayloadRewrite::Keep);
    sink.on_drop(&arrival(A, 11, 1, &top));
    sink.on_drop(&arrival(A, 12, 1, &rest));
    let mapped = sink.try_map(&arrival(A, 14, 2, &base), 0).unwrap();
    assert_eq!(picture(mapped.payload), Some((0x7fff, 6, 3)), "the id of the dropped frame is used again");
    // A packet of the first frame that comes late keeps that frame's id.
    let late = inspect(Codec::Vp8, &vp8(0x7ffe, 5, 0, false, 3, false, false));
    assert_eq!(sink.try_map(&arrival(A, 9, 0, &late), 0), None, "but not from before the start");
    let mapped = sink.try_map(&arrival(A, 13, 2, &base), 0).unwrap();
    assert_eq!((mapped.index, picture(mapped.payload)), (101, Some((0x7fff, 6, 3))));
}

#[test]
fn vp8_fields_continue_over_a_switch() {
    let mut sink = SinkStream::new(90_000, 100, 0);
    let last = inspect(Codec::Vp8, &vp8(100, 255, 1, false, 31, true, false));
    let key = inspect(Codec::Vp8, &vp8(9000, 7, 0, false, 4, true, true));
    let next = inspect(Codec::Vp8, &vp8(9001, 8, 0, false, 4, true, false));
    sink.try_map(&arrival(A, 10, 0, &last), 0).unwrap();
    let mapped = sink.try_map(&arrival(B, 500, 0, &key), 0).unwrap();
    assert_eq!(picture(mapped.payload), Some((101, 0, 0)), "each one up, wrapped at its width");
    let mapped = sink.try_map(&arrival(B, 501, 0, &next), 0).unwrap();
    assert_eq!(picture(mapped.payload), Some((102, 1, 0)));
}

#[test]
fn short_picture_ids_wrap_at_their_width() {
    let short = |id: u8| inspect(Codec::Vp8, &[0x90, 0x80, id, 0x11]);
    let mut sink = SinkStream::new(90_000, 100, 0);
    sink.try_map(&arrival(A, 1, 0, &short(126)), 0).unwrap();
    sink.on_drop(&arrival(A, 2, 1, &short(127)));
    let mapped = sink.try_map(&arrival(A, 3, 2, &short(0)), 0).unwrap();
    assert_eq!(picture(mapped.payload).unwrap().0, 127);
    let mapped = sink.try_map(&arrival(A, 4, 3, &short(1)), 0).unwrap();
    assert_eq!(picture(mapped.payload).unwrap().0, 0);
}

#[test]
fn vp9_picture_ids_keep_their_gaps_but_continue_over_a_switch() {
    let vp9 = |id: u16, tl0: u8| {
        let [h, l] = id.to_be_bytes();
        inspect(Codec::Vp9, &[0xac, h | 0x80, l, 0x00, tl0, 0xff])
    };
    let mut sink = SinkStream::new(90_000, 100, 0);
    sink.try_map(&arrival(A, 1, 0, &vp9(50, 9)), 0).unwrap();
    sink.on_drop(&arrival(A, 2, 1, &vp9(51, 9)));
    let mapped = sink.try_map(&arrival(A, 3, 2, &vp9(52, 10)), 0).unwrap();
    assert_eq!(mapped.payload, PayloadRewrite::Keep, "receivers infer references from the distance");
    let mapped = sink.try_map(&arrival(B, 7, 2, &vp9(1000, 77)), 0).unwrap();
    assert_eq!(mapped.payload, PayloadRewrite::Vp9 { picture_id: 53, tl0: 11 });
}

#[test]
fn frame_numbers_continue_over_a_switch() {
    let mut inspector = crate::codec::PayloadInspector::new(Codec::Av1);
    let mut frame = |n| inspector.inspect(&[0x10, 0x30], false, Some(&dependency::l1t3(0, n)));
    let (a, b, c) = (frame(65_535), frame(300), frame(301));
    let mut sink = SinkStream::new(90_000, 100, 0);
    assert_eq!(sink.try_map(&arrival(A, 1, 0, &a), 0).unwrap().frame_number, Some(65_535));
    assert_eq!(sink.try_map(&arrival(B, 1, 0, &b), 0).unwrap().frame_number, Some(0));
    assert_eq!(sink.try_map(&arrival(B, 2, 0, &c), 0).unwrap().frame_number, Some(1));
}

/// One packet of a generated call.
#[derive(Debug, Clone)]
struct Generated {
    source: SourceId,
    sequence: u64,
    timestamp: u32,
    picture: u16,
    info: PayloadInfo,
    /// A layer that is dropped.
    unwanted: bool,
}

/// Frames of 1 to 4 packets, some of them of a layer that is dropped.
fn frames(max: usize) -> impl Strategy<Value = Vec<(usize, bool)>> {
    proptest::collection::vec((1usize..=4, proptest::bool::weighted(0.4)), 1..max)
}

fn generate(source: SourceId, first: u64, picture: u16, frames: &[(usize, bool)]) -> Vec<Generated> {
    let mut packets = vec![];
    let mut sequence = first;
    for (n, (count, unwanted)) in frames.iter().enumerate() {
        let picture = picture.wrapping_add(n as u16) & 0x7fff;
        for packet in 0..*count {
            // The first frame is a keyframe, which is always wanted.
            let unwanted = *unwanted && n > 0;
            let tid = if unwanted { 2 } else { 0 };
            let payload = vp8(picture, 1, tid, false, 0, packet == 0, n == 0);
            packets.push(Generated {
                source,
                sequence,
                timestamp: n as u32 * 3000,
                picture,
                info: inspect(Codec::Vp8, &payload),
                unwanted,
            });
            sequence += 1;
        }
    }
    packets
}

/// Moves each packet back by a few places; the first one stays, it starts the stream.
fn shuffle(packets: &[Generated], delays: &[usize]) -> Vec<Generated> {
    let mut order: Vec<_> = packets.iter().cloned().enumerate().collect();
    order.sort_by_key(|(i, _)| {
        if *i == 0 { 0 } else { i + delays.get(i % delays.len().max(1)).copied().unwrap_or(0) }
    });
    order.into_iter().map(|(_, p)| p).collect()
}

#[derive(Debug, Default)]
struct Checked {
    /// Source packet by sink index.
    used: BTreeMap<u64, (SourceId, u64)>,
    mapped: Vec<(SourceId, u64, Mapped)>,
    holes: BTreeSet<u64>,
}

/// Runs packets through a sink and checks that no number is given out twice.
fn run(sink: &mut SinkStream, packets: &[Generated], checked: &mut Checked) {
    for (at, p) in packets.iter().enumerate() {
        let a = arrival(p.source, p.sequence, p.timestamp, &p.info);
        let index = if p.unwanted {
            match sink.on_drop(&a) {
                Dropped::Removed => continue,
                Dropped::Hole { index, .. } => {
                    checked.holes.insert(index);
                    index
                }
            }
        } else {
            let Some(mapped) = sink.try_map(&a, at as u64 * 1000) else { continue };
            assert_eq!(mapped.sequence, mapped.index as u16);
            checked.mapped.push((p.source, p.sequence, mapped));
            mapped.index
        };
        let twice = checked.used.insert(index, (p.source, p.sequence));
        assert_eq!(twice, None, "sink number {index} was given out twice");
    }
}

fn assert_contiguous(checked: &Checked, first: u64) {
    let expected: Vec<u64> = (first..).take(checked.used.len()).collect();
    assert_eq!(checked.used.keys().copied().collect::<Vec<_>>(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn in_order_delivery_gives_consecutive_numbers(list in frames(60), first in 60_000u64..140_000, picture: u16, sink_first: u16) {
        let packets = generate(A, first, picture, &list);
        let mut sink = SinkStream::new(90_000, sink_first, 7);
        let mut checked = Checked::default();
        run(&mut sink, &packets, &mut checked);
        prop_assert!(checked.holes.is_empty());
        assert_contiguous(&checked, u64::from(sink_first));
        prop_assert_eq!(checked.mapped.len(), packets.iter().filter(|p| !p.unwanted).count());
        // Picture ids of forwarded frames follow each other.
        let mut expected = picture & 0x7fff;
        let mut last_source = packets[0].picture;
        for ((_, sequence, mapped), _) in checked.mapped.iter().zip(0..) {
            let source = packets.iter().find(|p| p.sequence == *sequence).unwrap();
            if source.picture != last_source {
                expected = expected.wrapping_add(1) & 0x7fff;
                last_source = source.picture;
            }
            let got = match mapped.payload {
                PayloadRewrite::Vp8 { picture_id, .. } => picture_id,
                _ => source.picture,
            };
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn reordering_without_loss_leaves_no_gap(
        list in frames(60),
        first in 60_000u64..140_000,
        delays in proptest::collection::vec(0usize..8, 1..40),
        sink_first: u16,
    ) {
        let packets = generate(A, first, 0, &list);
        let mut sink = SinkStream::new(90_000, sink_first, 7);
        let mut checked = Checked::default();
        run(&mut sink, &shuffle(&packets, &delays), &mut checked);
        assert_contiguous(&checked, u64::from(sink_first));
        // Every wanted packet was forwarded, in the order of the source.
        let mut mapped: Vec<_> = checked.mapped.iter().map(|(_, s, m)| (*s, m.index)).collect();
        prop_assert_eq!(mapped.len(), packets.iter().filter(|p| !p.unwanted).count());
        mapped.sort_unstable();
        prop_assert!(mapped.windows(2).all(|w| w[0].1 < w[1].1));
    }

    #[test]
    fn nothing_breaks_the_numbering(
        parts in proptest::collection::vec((frames(25), 0u32..3, any::<u64>(), any::<bool>()), 1..6),
        delays in proptest::collection::vec(0usize..12, 1..40),
        lost in proptest::collection::vec(proptest::bool::weighted(0.1), 1..60),
        copies in proptest::collection::vec(proptest::bool::weighted(0.1), 1..60),
        sink_first: u16,
    ) {
        let mut sink = SinkStream::new(90_000, sink_first, 7);
        let mut checked = Checked::default();
        let mut sources: BTreeMap<u32, u64> = BTreeMap::new();
        let mut n = 0;
        for (list, source, jump, pause) in parts {
            let next = sources.entry(source).or_insert(60_000 + jump % 10_000);
            let packets = generate(SourceId(source), *next, 0, &list);
            *next += packets.len() as u64 + jump % 3;
            let mut delivered = vec![];
            for p in shuffle(&packets, &delays) {
                n += 1;
                if !lost[n % lost.len()] {
                    delivered.push(p.clone());
                }
                if copies[n % copies.len()] {
                    delivered.push(p);
                }
            }
            if pause {
                sink.pause();
            }
            let before = checked.mapped.len();
            run(&mut sink, &delivered, &mut checked);
            // Inside one part the source's order is kept.
            let mut part: Vec<_> = checked.mapped[before..].iter().map(|(_, s, m)| (*s, m.index)).collect();
            part.sort_unstable();
            prop_assert!(part.windows(2).all(|w| w[0].1 < w[1].1));
        }
        // A source packet never has two numbers either.
        let packets: BTreeSet<_> = checked.used.values().collect();
        prop_assert_eq!(packets.len(), checked.used.len());
    }
}
