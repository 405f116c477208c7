use proptest::prelude::*;

use crate::codec::{Codec, PayloadInfo};
use crate::layers::LayerEvent::{NeedKeyframe, SubstreamChanged, TemporalChanged};
use crate::layers::{DEFAULT_FALLBACK_US, LayerEvent, SimulcastSelector, Verdict};
use crate::testing::{inspect, vp8};

const MS: u64 = 1000;

fn frame(key: bool, tid: u8, sync: bool) -> PayloadInfo {
    inspect(Codec::Vp8, &vp8(1, 1, tid, sync, 0, true, key))
}

fn delta() -> PayloadInfo {
    frame(false, 0, false)
}

fn key() -> PayloadInfo {
    frame(true, 0, false)
}

fn events(selector: &mut SimulcastSelector) -> Vec<LayerEvent> {
    std::iter::from_fn(|| selector.poll_event()).collect()
}

/// All three substreams deliver a frame every 33 ms from `from` to `to`; `silent` ones do not.
fn play(s: &mut SimulcastSelector, from: u64, to: u64, silent: &[u8]) -> Vec<(u8, Verdict)> {
    let mut out = vec![];
    let mut now = from;
    while now < to {
        for substream in (0..3).filter(|n| !silent.contains(n)) {
            out.push((substream, s.on_packet(substream, (now * 90 / 1000) as u32, &delta(), now)));
        }
        now += 33 * MS;
    }
    out
}

/// A selector that sends substream `current`.
fn settled(current: u8) -> SimulcastSelector {
    let mut s = SimulcastSelector::default();
    play(&mut s, 0, 1, &[]);
    (0..=current).for_each(|n| {
        s.on_packet(n, 1, &key(), 100);
    });
    events(&mut s);
    s
}

#[test]
fn starts_with_the_first_keyframe_of_any_substream_and_climbs() {
    let mut s = SimulcastSelector::default();
    assert_eq!((s.substream(), s.substream_target(), s.temporal_target()), (None, 2, 2));
    assert_eq!(s.on_packet(1, 0, &delta(), 0), Verdict::Ignore);
    assert_eq!(events(&mut s), [NeedKeyframe { substream: 1 }], "the best that is alive");
    assert_eq!(s.on_packet(2, 0, &delta(), 0), Verdict::Ignore);
    assert_eq!(events(&mut s), [], "asked already");
    assert_eq!(s.on_packet(0, 10, &key(), 10 * MS), Verdict::FORWARD);
    assert_eq!(events(&mut s), [SubstreamChanged(0)]);
    assert_eq!(s.on_packet(2, 10, &delta(), 11 * MS), Verdict::Ignore);
    assert_eq!(s.on_packet(1, 10, &key(), 12 * MS), Verdict::FORWARD, "a step on the way");
    assert_eq!(s.on_packet(0, 20, &delta(), 13 * MS), Verdict::Ignore, "the one that was left");
    assert_eq!(s.on_packet(2, 20, &key(), 14 * MS), Verdict::FORWARD);
    assert_eq!(events(&mut s), [SubstreamChanged(2)]);
    assert_eq!(s.on_packet(1, 30, &key(), 15 * MS), Verdict::Ignore, "arrived: no way down");
    assert_eq!(s.substream(), Some(2));
}

#[test]
fn a_lower_target_waits_for_its_keyframe_and_does_not_stop_on_the_way() {
    let mut s = settled(2);
    s.set_substream(0);
    assert_eq!(s.on_packet(2, 10, &delta(), 10 * MS), Verdict::FORWARD);
    assert_eq!(events(&mut s), [NeedKeyframe { substream: 0 }]);
    assert_eq!(s.on_packet(1, 10, &key(), 11 * MS), Verdict::Ignore);
    assert_eq!(s.on_packet(2, 11, &delta(), 11 * MS), Verdict::FORWARD, "goes on meanwhile");
    assert_eq!(s.on_packet(0, 10, &key(), 12 * MS), Verdict::FORWARD);
    assert_eq!((events(&mut s), s.substream()), (vec![SubstreamChanged(0)], Some(0)));
}

#[test]
fn falls_after_the_fallback_and_comes_back() {
    let mut s = settled(2);
    let start = 100;
    s.on_packet(2, 50, &delta(), start);
    // Substream 2 is silent from now on.
    let before = play(&mut s, start, start + DEFAULT_FALLBACK_US, &[2]);
    assert!(before.iter().all(|(_, v)| *v == Verdict::Ignore));
    assert_eq!(events(&mut s), [], "not yet");
    play(&mut s, start + DEFAULT_FALLBACK_US, start + DEFAULT_FALLBACK_US + 40 * MS, &[2]);
    assert_eq!(events(&mut s), [NeedKeyframe { substream: 1 }]);
    assert_eq!(s.on_packet(0, 900, &key(), 300 * MS), Verdict::Ignore, "the higher of the two is alive");
    assert_eq!(s.on_packet(1, 900, &key(), 301 * MS), Verdict::FORWARD);
    assert_eq!(events(&mut s), [SubstreamChanged(1)]);
    play(&mut s, 310 * MS, 1000 * MS, &[2]);
    assert_eq!(events(&mut s), [], "content with 1 while 2 is silent");
    // 2 comes again: asked for once a second until its keyframe is there.
    play(&mut s, 1400 * MS, 1500 * MS, &[]);
    assert_eq!(events(&mut s), [NeedKeyframe { substream: 2 }]);
    play(&mut s, 1500 * MS, 2300 * MS, &[]);
    assert_eq!(events(&mut s), []);
    play(&mut s, 2300 * MS, 2500 * MS, &[]);
    assert_eq!(events(&mut s), [NeedKeyframe { substream: 2 }]);
    assert_eq!(s.on_packet(2, 999_999, &key(), 2500 * MS), Verdict::FORWARD);
    assert_eq!((events(&mut s), s.substream()), (vec![SubstreamChanged(2)], Some(2)));
}

#[test]
fn the_current_substream_coming_back_cancels_the_fall() {
    let mut s = settled(2);
    play(&mut s, 100, 400 * MS, &[2]);
    assert_eq!(events(&mut s), [NeedKeyframe { substream: 1 }]);
    assert_eq!(s.on_packet(2, 77_777, &delta(), 400 * MS), Verdict::FORWARD);
    assert_eq!(s.on_packet(1, 77_777, &key(), 401 * MS), Verdict::Ignore);
    assert_eq!(s.substream(), Some(2));
}

#[test]
fn another_fallback_time_is_honoured() {
    let mut s = settled(2);
    s.set_fallback(1000 * MS);
    play(&mut s, 100, 990 * MS, &[2]);
    assert_eq!(events(&mut s), []);
    play(&mut s, 1000 * MS, 1100 * MS, &[2]);
    assert_eq!(events(&mut s), [NeedKeyframe { substream: 1 }]);
}

#[test]
fn a_slow_source_does_not_make_it_fall() {
    let mut s = settled(2);
    // Three frames a second, substreams one after the other.
    for n in 1..20u64 {
        let now = n * 333 * MS;
        for substream in 0..3 {
            s.on_packet(substream, (now * 90 / 1000) as u32, &delta(), now + u64::from(substream));
        }
    }
    assert_eq!((events(&mut s), s.substream()), (vec![], Some(2)));
}

#[test]
fn silence_of_everything_changes_nothing() {
    let mut s = settled(2);
    assert_eq!(s.on_packet(2, 5_000_000, &delta(), 60_000 * MS), Verdict::FORWARD);
    assert_eq!((events(&mut s), s.substream()), (vec![], Some(2)));
}

#[test]
fn what_is_not_sent_is_not_waited_for() {
    // Only the highest is sent, the target is the lowest.
    let mut s = SimulcastSelector::new(0, 2, DEFAULT_FALLBACK_US);
    assert_eq!(s.on_packet(2, 0, &key(), 0), Verdict::FORWARD);
    assert_eq!(s.on_packet(2, 10, &delta(), 10 * MS), Verdict::FORWARD);
    assert_eq!(events(&mut s), [SubstreamChanged(2)], "no keyframe is asked for");
    // The lowest begins: it is wanted.
    assert_eq!(s.on_packet(0, 10, &delta(), 11 * MS), Verdict::Ignore);
    assert_eq!(events(&mut s), [NeedKeyframe { substream: 0 }]);
    assert_eq!(s.on_packet(0, 20, &key(), 12 * MS), Verdict::FORWARD);
}

#[test]
fn targets_above_two_count_as_two_and_strange_substreams_are_ignored() {
    let mut s = SimulcastSelector::new(9, 9, DEFAULT_FALLBACK_US);
    assert_eq!((s.substream_target(), s.temporal_target()), (2, 2));
    assert_eq!(s.on_packet(3, 0, &key(), 0), Verdict::Ignore);
    assert_eq!(s.substream(), None);
}

#[test]
fn restart_keeps_the_targets() {
    let mut s = settled(2);
    s.set_substream(1);
    s.restart();
    assert_eq!((s.substream(), s.substream_target()), (None, 1));
    assert_eq!(s.on_packet(1, 0, &delta(), 5000 * MS), Verdict::Ignore);
    assert_eq!(s.on_packet(1, 1, &key(), 5000 * MS), Verdict::FORWARD);
}

/// Sends frames of (timestamp, temporal id, sync or key) on substream 0 and tells which pass.
fn passes(s: &mut SimulcastSelector, list: &[(u32, u8, bool, bool)]) -> Vec<bool> {
    list.iter()
        .map(|(ts, tid, sync, key)| match s.on_packet(0, *ts, &frame(*key, *tid, *sync), u64::from(*ts)) {
            Verdict::Forward { .. } => true,
            Verdict::Discard => false,
            Verdict::Ignore => panic!("substream 0 is in force"),
        })
        .collect()
}

#[test]
fn temporal_layers_are_cut_at_once_and_added_at_a_sync_frame() {
    let mut s = SimulcastSelector::new(0, 2, DEFAULT_FALLBACK_US);
    let all = passes(
        &mut s,
        &[(0, 0, false, true), (1, 2, true, false), (2, 1, true, false), (3, 2, false, false)],
    );
    assert_eq!(all, [true; 4]);
    assert_eq!(events(&mut s), [SubstreamChanged(0), TemporalChanged(2)]);
    s.set_temporal(0);
    assert_eq!(
        passes(&mut s, &[(4, 0, false, false), (5, 2, false, false), (6, 1, false, false)]),
        [true, false, false]
    );
    assert_eq!((events(&mut s), s.temporal()), (vec![TemporalChanged(0)], Some(0)));
    s.set_temporal(2);
    // Without the sync bit an upper frame may need one that was left out.
    let pass = passes(
        &mut s,
        &[
            (7, 2, false, false),
            (8, 0, false, false),
            (9, 1, true, false),
            (10, 2, false, false),
            (11, 2, true, false),
        ],
    );
    assert_eq!(pass, [false, true, true, false, true]);
    assert_eq!(events(&mut s), [TemporalChanged(2)]);
    s.set_temporal(0);
    passes(&mut s, &[(12, 0, false, false)]);
    s.set_temporal(1);
    let pass = passes(
        &mut s,
        &[(13, 2, true, false), (14, 0, false, true), (15, 1, false, false), (16, 2, true, false)],
    );
    assert_eq!(pass, [false, true, true, false], "a keyframe opens up to the target, not beyond");
}

#[test]
fn a_frame_is_never_cut_in_two() {
    let mut s = SimulcastSelector::new(0, 2, DEFAULT_FALLBACK_US);
    assert_eq!(passes(&mut s, &[(10, 0, false, true), (20, 2, true, false)]), [true, true]);
    s.set_temporal(0);
    assert_eq!(passes(&mut s, &[(20, 2, true, false), (30, 2, false, false)]), [true, false]);
    // A packet of the frame before the change comes late.
    assert_eq!(passes(&mut s, &[(20, 2, true, false)]), [true]);
    assert_eq!(passes(&mut s, &[(40, 2, false, false), (50, 0, false, false)]), [false, true]);
    s.set_temporal(2);
    assert_eq!(
        passes(&mut s, &[(60, 1, true, false), (40, 2, false, false), (60, 1, true, false)]),
        [true, false, true]
    );
}

#[test]
fn payloads_without_layers_pass() {
    let mut s = SimulcastSelector::new(0, 0, DEFAULT_FALLBACK_US);
    let sps = inspect(Codec::H264, &[0x67, 0x42]);
    assert_eq!(s.on_packet(0, 0, &sps, 0), Verdict::FORWARD);
    assert_eq!(s.on_packet(0, 1, &inspect(Codec::H264, &[0x41, 0x9a]), 0), Verdict::FORWARD);
    assert_eq!(s.temporal(), None);
}

#[test]
fn switch_indications_of_a_descriptor_open_upper_layers() {
    use crate::testing::dependency::{l1t3, mandatory};
    let mut inspector = crate::codec::PayloadInspector::new(Codec::Av1);
    let mut s = SimulcastSelector::new(0, 0, DEFAULT_FALLBACK_US);
    let mut send = |s: &mut SimulcastSelector, ts: u32, raw: &[u8], n: u8| {
        let info = inspector.inspect(&[if n == 0 { 0x18 } else { 0x10 }, 0x30], true, Some(raw));
        s.on_packet(0, ts, &info, u64::from(ts)) == Verdict::FORWARD
    };
    assert!(send(&mut s, 0, &l1t3(0, 0), 0));
    assert!(!send(&mut s, 1, &mandatory(true, true, 3, 1), 1), "T2");
    s.set_temporal(2);
    assert!(!send(&mut s, 2, &mandatory(true, true, 2, 2), 1), "T1: not before a switch point");
    assert!(send(&mut s, 3, &mandatory(true, true, 1, 3), 1), "T0 says switch");
    assert!(send(&mut s, 4, &mandatory(true, true, 3, 4), 1), "T2");
    assert!(send(&mut s, 5, &mandatory(true, true, 2, 5), 1), "T1");
}

#[derive(Debug, Clone)]
enum Step {
    Frame { substream: u8, key: bool, tid: u8, sync: bool, packets: u8 },
    Substream(u8),
    Temporal(u8),
    Wait(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0u8..3, proptest::bool::weighted(0.15), 0u8..3, any::<bool>(), 1u8..4).prop_map(
            |(substream, key, tid, sync, packets)| Step::Frame {
                substream,
                key,
                tid: if key { 0 } else { tid },
                sync,
                packets,
            }
        ),
        1 => (0u8..3).prop_map(Step::Substream),
        1 => (0u8..3).prop_map(Step::Temporal),
        1 => (0u64..400).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn a_receiver_can_always_follow(steps in proptest::collection::vec(any_step(), 1..300)) {
        let mut s = SimulcastSelector::default();
        let (mut now, mut ts) = (0, 0);
        let mut current = None;
        for step in steps {
            match step {
                Step::Substream(n) => s.set_substream(n),
                Step::Temporal(n) => s.set_temporal(n),
                Step::Wait(ms) => now += ms * MS,
                Step::Frame { substream, key, tid, sync, packets } => {
                    (now, ts) = (now + 10 * MS, ts + 900);
                    let mut verdicts = vec![];
                    for n in 0..packets {
                        let info = inspect(Codec::Vp8, &vp8(1, 1, tid, sync, 0, n == 0, key));
                        verdicts.push(s.on_packet(substream, ts, &info, now));
                    }
                    prop_assert!(verdicts.windows(2).all(|w| w[0] == w[1]), "one frame, one verdict: {:?}", verdicts);
                    if matches!(verdicts[0], Verdict::Forward { .. }) {
                        prop_assert!(current == Some(substream) || key, "a switch needs a keyframe");
                        current = Some(substream);
                    }
                    prop_assert_eq!(s.substream(), current);
                    if key && verdicts[0] == Verdict::Discard {
                        prop_assert!(false, "keyframes are of the lowest temporal layer");
                    }
                }
            }
        }
    }
}
