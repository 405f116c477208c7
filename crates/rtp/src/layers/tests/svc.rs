use crate::codec::{Codec, PayloadInspector};
use crate::layers::LayerEvent::{NeedKeyframe, SpatialChanged, TemporalChanged};
use crate::layers::{LayerEvent, SvcSelector, Verdict};
use crate::testing::dependency::{l2t2, l2t2_key, mandatory};
use crate::testing::inspect;

const MS: u64 = 1000;
const FORWARD: Verdict = Verdict::FORWARD;
const LAST: Verdict = Verdict::Forward { set_marker: true };

fn events(selector: &mut SvcSelector) -> Vec<LayerEvent> {
    std::iter::from_fn(|| selector.poll_event()).collect()
}

/// A VP9 layer frame in one packet.
#[derive(Clone, Copy)]
struct Vp9 {
    sid: u8,
    tid: u8,
    inter: bool,
    up: bool,
    start: bool,
    end: bool,
}

const KEY: Vp9 = Vp9 { sid: 0, tid: 0, inter: false, up: false, start: true, end: true };
const DELTA: Vp9 = Vp9 { inter: true, ..KEY };

impl Vp9 {
    fn at(self, sid: u8) -> Self {
        Self { sid, ..self }
    }

    fn send(self, s: &mut SvcSelector, ts: u32) -> Verdict {
        let first = 0xa0 | u8::from(self.inter) << 6 | u8::from(self.start) << 3 | u8::from(self.end) << 2;
        let layer = self.tid << 5 | u8::from(self.up) << 4 | self.sid << 1 | u8::from(self.sid > 0);
        let info = inspect(Codec::Vp9, &[first, 0x80, 0x01, layer, 0, 0xff]);
        s.on_packet(ts, &info, None, u64::from(ts) * MS)
    }
}

/// One picture of three spatial layers.
fn picture(s: &mut SvcSelector, ts: u32, frame: Vp9) -> [Verdict; 3] {
    [0, 1, 2].map(|sid| frame.at(sid).send(s, ts))
}

#[test]
fn vp9_starts_with_a_keyframe_and_climbs_within_it() {
    let mut s = SvcSelector::default();
    assert_eq!(picture(&mut s, 0, DELTA), [Verdict::Ignore; 3]);
    assert_eq!(events(&mut s), [NeedKeyframe { substream: 0 }]);
    assert_eq!(picture(&mut s, 33, KEY), [FORWARD, FORWARD, LAST]);
    assert_eq!(events(&mut s), [], "one event for the climb, with the next picture");
    assert_eq!(picture(&mut s, 66, DELTA), [FORWARD, FORWARD, LAST]);
    assert_eq!(events(&mut s), [SpatialChanged(2)]);
    assert_eq!((s.spatial(), s.temporal()), (Some(2), None), "no upper temporal layer was seen");
}

#[test]
fn vp9_spatial_target_is_lowered_with_the_next_picture() {
    let mut s = SvcSelector::default();
    picture(&mut s, 0, KEY);
    assert_eq!(DELTA.send(&mut s, 33), FORWARD);
    s.set_spatial(1);
    assert_eq!([1, 2].map(|sid| DELTA.at(sid).send(&mut s, 33)), [FORWARD, LAST], "this picture is finished");
    assert_eq!(picture(&mut s, 66, DELTA), [FORWARD, LAST, Verdict::Discard]);
    assert_eq!(DELTA.at(2).send(&mut s, 33), LAST, "late packet of the last full picture");
    s.set_spatial(0);
    assert_eq!(picture(&mut s, 99, DELTA), [LAST, Verdict::Discard, Verdict::Discard]);
    picture(&mut s, 132, DELTA);
    assert_eq!(s.spatial(), Some(0));
}

#[test]
fn vp9_spatial_target_is_raised_where_nothing_earlier_is_needed() {
    let mut s = SvcSelector::new(0, 2);
    assert_eq!(picture(&mut s, 0, KEY), [LAST, Verdict::Discard, Verdict::Discard]);
    picture(&mut s, 33, DELTA);
    events(&mut s);
    s.set_spatial(2);
    assert_eq!(picture(&mut s, 66, DELTA), [LAST, Verdict::Discard, Verdict::Discard]);
    assert_eq!(events(&mut s), [NeedKeyframe { substream: 0 }]);
    picture(&mut s, 99, DELTA);
    assert_eq!(events(&mut s), [], "asked already");
    picture(&mut s, 1100, DELTA);
    assert_eq!(events(&mut s), [NeedKeyframe { substream: 0 }], "asked again");
    // A layer that begins anew upon the lower one of the same picture; the one above has no ground to stand on.
    assert_eq!(DELTA.send(&mut s, 1200), LAST);
    assert_eq!(KEY.at(2).send(&mut s, 1200), Verdict::Discard);
    assert_eq!(KEY.at(1).send(&mut s, 1233), FORWARD);
    assert_eq!(KEY.at(2).send(&mut s, 1233), LAST);
    picture(&mut s, 1266, DELTA);
    assert_eq!(events(&mut s), [SpatialChanged(2)]);
}

#[test]
fn vp9_middle_packets_share_the_verdict_of_their_frame() {
    let mut s = SvcSelector::new(1, 2);
    let part = |frame: Vp9, start, end| Vp9 { start, end, ..frame };
    assert_eq!(part(KEY, true, false).send(&mut s, 0), FORWARD);
    assert_eq!(part(KEY, false, true).send(&mut s, 0), FORWARD);
    assert_eq!(part(KEY.at(1), true, false).send(&mut s, 0), FORWARD);
    assert_eq!(part(KEY.at(1), false, true).send(&mut s, 0), LAST);
    assert_eq!(part(KEY.at(2), true, false).send(&mut s, 0), Verdict::Discard);
    assert_eq!(part(KEY.at(2), false, true).send(&mut s, 0), Verdict::Discard);
}

#[test]
fn vp9_temporal_layers_follow_the_switching_bit() {
    let mut s = SvcSelector::new(0, 2);
    let frame = |tid, up| Vp9 { tid, up, ..DELTA };
    KEY.send(&mut s, 0);
    assert_eq!(frame(2, false).send(&mut s, 1), LAST);
    s.set_temporal(0);
    assert_eq!(
        [(0, 2), (1, 3), (2, 4)].map(|(tid, ts)| frame(tid, false).send(&mut s, ts)),
        [LAST, Verdict::Discard, Verdict::Discard]
    );
    s.set_temporal(1);
    assert_eq!(frame(1, true).send(&mut s, 5), Verdict::Discard, "its own references may be missing");
    assert_eq!(frame(0, true).send(&mut s, 6), LAST);
    assert_eq!(frame(1, false).send(&mut s, 7), LAST);
    assert_eq!(frame(2, true).send(&mut s, 8), Verdict::Discard);
    frame(0, false).send(&mut s, 9);
    assert_eq!(events(&mut s), [SpatialChanged(0), TemporalChanged(1)]);
}

/// A source with dependency descriptors: two spatial, two temporal layers.
struct Source {
    inspector: PayloadInspector,
    number: u16,
    ts: u32,
}

/// Templates of the structures in `testing::dependency`.
const S0_T0: u64 = 1;
const S0_T1: u64 = 2;
const S1_KEY: u64 = 3;
const S1_T0: u64 = 4;
const S1_T1: u64 = 5;

impl Source {
    fn new() -> Self {
        Self { inspector: PayloadInspector::new(Codec::Av1), number: 60_000, ts: 0 }
    }

    fn packet(&mut self, s: &mut SvcSelector, raw: &[u8]) -> Verdict {
        let info = self.inspector.inspect(&[0x10, 0x30], false, Some(raw));
        s.on_packet(self.ts, &info, self.inspector.dependency().structure(), u64::from(self.ts) * MS)
    }

    /// A keyframe on both spatial layers.
    fn key(&mut self, s: &mut SvcSelector, structure: fn(u64, u16) -> Vec<u8>) -> [Verdict; 2] {
        self.ts += 33;
        let raw = structure(0, self.number);
        let lower = self.packet(s, &raw);
        let upper = self.packet(s, &mandatory(true, true, S1_KEY, self.number.wrapping_add(1)));
        self.number = self.number.wrapping_add(2);
        [lower, upper]
    }

    /// Pictures T1, T0, T1, T0, ... of both spatial layers. Frame numbers run S0, S1, S0, S1.
    fn delta(&mut self, s: &mut SvcSelector, temporal: u8) -> [Verdict; 2] {
        self.ts += 33;
        let templates = if temporal == 0 { [S0_T0, S1_T0] } else { [S0_T1, S1_T1] };
        templates.map(|template| {
            let raw = mandatory(true, true, template, self.number);
            self.number = self.number.wrapping_add(1);
            self.packet(s, &raw)
        })
    }
}

#[test]
fn a_decode_target_is_chosen_and_only_its_frames_are_sent() {
    let (mut s, mut source) = (SvcSelector::default(), Source::new());
    // A frame before any structure cannot be understood.
    assert_eq!(source.packet(&mut s, &mandatory(true, true, S0_T0, 59_999)), Verdict::Ignore);
    assert_eq!(events(&mut s), [NeedKeyframe { substream: 0 }]);
    assert_eq!(source.key(&mut s, l2t2_key), [FORWARD, LAST]);
    // Behind the keyframe the upper layer does without the lower one.
    assert_eq!(source.delta(&mut s, 1), [Verdict::Discard, LAST]);
    assert_eq!(source.delta(&mut s, 0), [Verdict::Discard, LAST]);
    assert_eq!(events(&mut s), [SpatialChanged(1), TemporalChanged(1)]);

    let (mut s, mut source) = (SvcSelector::default(), Source::new());
    assert_eq!(source.key(&mut s, l2t2), [FORWARD, LAST]);
    assert_eq!(source.delta(&mut s, 1), [FORWARD, LAST]);
    assert_eq!(source.delta(&mut s, 0), [FORWARD, LAST]);
}

#[test]
fn a_lower_target_is_taken_at_once_if_its_chain_is_whole() {
    let (mut s, mut source) = (SvcSelector::default(), Source::new());
    source.key(&mut s, l2t2);
    source.delta(&mut s, 1);
    events(&mut s);
    s.set_spatial(0);
    assert_eq!(source.delta(&mut s, 0), [LAST, Verdict::Discard]);
    assert_eq!(source.delta(&mut s, 1), [LAST, Verdict::Discard]);
    assert_eq!(events(&mut s), [SpatialChanged(0)]);
    s.set_temporal(0);
    assert_eq!(source.delta(&mut s, 0), [LAST, Verdict::Discard]);
    assert_eq!(source.delta(&mut s, 1), [Verdict::Discard, Verdict::Discard]);
    assert_eq!(events(&mut s), [TemporalChanged(0)]);
}

#[test]
fn a_lower_target_with_a_broken_chain_waits_for_a_keyframe() {
    let (mut s, mut source) = (SvcSelector::default(), Source::new());
    source.key(&mut s, l2t2_key);
    source.delta(&mut s, 1);
    source.delta(&mut s, 0);
    events(&mut s);
    s.set_spatial(0);
    // In this structure a frame of the lower layer is a switch point only with its own references, and those
    // were not sent.
    assert_eq!(source.delta(&mut s, 1), [Verdict::Discard, LAST]);
    assert_eq!(events(&mut s), [NeedKeyframe { substream: 0 }]);
    assert_eq!(source.key(&mut s, l2t2_key), [LAST, Verdict::Discard]);
    source.delta(&mut s, 1);
    assert_eq!(events(&mut s), [SpatialChanged(0)]);
}

#[test]
fn a_higher_target_waits_for_its_switch_indication() {
    let (mut s, mut source) = (SvcSelector::new(0, 0), Source::new());
    assert_eq!(source.key(&mut s, l2t2), [LAST, Verdict::Discard]);
    assert_eq!(source.delta(&mut s, 1), [Verdict::Discard, Verdict::Discard]);
    source.delta(&mut s, 0);
    events(&mut s);
    s.set_temporal(1);
    assert_eq!(source.delta(&mut s, 1), [Verdict::Discard, Verdict::Discard], "not at a T1 frame");
    assert_eq!(source.delta(&mut s, 0), [LAST, Verdict::Discard]);
    assert_eq!(source.delta(&mut s, 1), [LAST, Verdict::Discard]);
    assert_eq!(events(&mut s), [TemporalChanged(1)], "without a keyframe");
    s.set_spatial(1);
    source.delta(&mut s, 1);
    assert_eq!(events(&mut s), [NeedKeyframe { substream: 0 }], "the wish changed: at once");
    assert_eq!(source.key(&mut s, l2t2), [FORWARD, LAST]);
    source.delta(&mut s, 1);
    assert_eq!(events(&mut s), [SpatialChanged(1)]);
}

#[test]
fn targets_the_source_switched_off_are_not_waited_for() {
    let (mut s, mut source) = (SvcSelector::default(), Source::new());
    source.key(&mut s, l2t2);
    source.delta(&mut s, 0);
    events(&mut s);
    source.ts += 33;
    let mut bits = crate::testing::BitWriter::default();
    bits.put(0b11, 2).put(S0_T0, 6).put(u64::from(source.number), 16).put(0b01000, 5).put(0b0011, 4);
    source.number += 1;
    assert_eq!(source.packet(&mut s, &bits.bytes()), LAST);
    source.ts += 33;
    let raw = mandatory(true, true, S0_T0, source.number);
    source.packet(&mut s, &raw);
    assert_eq!(events(&mut s), [SpatialChanged(0)]);
    assert_eq!(s.spatial(), Some(0));
}

#[test]
fn late_packets_get_the_verdict_of_their_frame() {
    let (mut s, mut source) = (SvcSelector::default(), Source::new());
    source.key(&mut s, l2t2);
    let first = source.number;
    source.delta(&mut s, 1);
    s.set_spatial(0);
    source.delta(&mut s, 0);
    // More packets of the picture before the change.
    let late = mandatory(false, true, S1_T1, first + 1);
    assert!(matches!(source.packet(&mut s, &late), Verdict::Forward { .. }));
    let late = mandatory(false, true, S1_T0, first + 3);
    assert_eq!(source.packet(&mut s, &late), Verdict::Discard);
}

#[test]
fn streams_without_layers_pass_from_their_keyframe_on() {
    let mut s = SvcSelector::default();
    let delta = inspect(Codec::Av1, &[0x10, 0x30]);
    assert_eq!(s.on_packet(0, &delta, None, 0), Verdict::Ignore);
    assert_eq!(s.on_packet(1, &inspect(Codec::Av1, &[0x18, 0x0a]), None, 0), FORWARD);
    assert_eq!(s.on_packet(2, &delta, None, 0), FORWARD);
    s.restart();
    assert_eq!(s.on_packet(3, &delta, None, 0), Verdict::Ignore);
}

#[test]
fn frame_numbers_may_wrap_and_jump() {
    let (mut s, mut source) = (SvcSelector::default(), Source::new());
    source.number = 65_534;
    source.key(&mut s, l2t2);
    for n in 0..2000u16 {
        assert_eq!(source.delta(&mut s, u8::from(n % 2 == 0)), [FORWARD, LAST], "{n}");
    }
    source.number = 100;
    assert_eq!(source.key(&mut s, l2t2), [FORWARD, LAST], "another encoder");
    assert_eq!(source.delta(&mut s, 1), [FORWARD, LAST]);
}
