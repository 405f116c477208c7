//! Encoders are simulated with the references of every frame; whatever the targets do, a frame that is forwarded
//! must find all its references forwarded too, and after a keyframe the targets are reached.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::codec::{Codec, PayloadInfo, PayloadInspector};
use crate::layers::{SimulcastSelector, SvcSelector, Verdict};
use crate::testing::dependency::{l2t2, l2t2_key, mandatory};
use crate::testing::{inspect, vp8};

/// What happens before a picture.
#[derive(Debug, Clone, Copy)]
enum Wish {
    Nothing,
    Spatial(u8),
    Temporal(u8),
    Keyframe,
}

fn wishes(layers: u8) -> impl Strategy<Value = Vec<Wish>> {
    let wish = prop_oneof![
        12 => Just(Wish::Nothing),
        2 => (0..layers).prop_map(Wish::Spatial),
        2 => (0u8..3).prop_map(Wish::Temporal),
        1 => Just(Wish::Keyframe),
    ];
    proptest::collection::vec(wish, 1..200)
}

/// Forwarded frames by id; checks references.
#[derive(Debug, Default)]
struct Decoder {
    got: BTreeSet<u64>,
}

impl Decoder {
    fn take(&mut self, verdict: Verdict, id: u64, references: &[u64]) {
        if matches!(verdict, Verdict::Forward { .. }) {
            for reference in references {
                assert!(self.got.contains(reference), "frame {id} needs {reference}");
            }
            self.got.insert(id);
        }
    }
}

/// Temporal ids of a picture by its distance from the keyframe: 0 2 1 2.
fn temporal_id(n: u64) -> u8 {
    [0, 2, 1, 2][(n % 4) as usize]
}

/// The picture a picture refers to, in that pattern; distances from the keyframe.
fn reference(n: u64) -> u64 {
    match n % 4 {
        0 => n - 4,
        2 => n - 2,
        _ => n - 1,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn vp8_temporal_layers(list in wishes(1)) {
        let (mut s, mut decoder) = (SimulcastSelector::default(), Decoder::default());
        let (mut n, mut id) = (0, 0);
        for wish in list {
            match wish {
                Wish::Temporal(t) => s.set_temporal(t),
                Wish::Keyframe => n = 0,
                _ => {}
            }
            // Only the T2 picture behind a T1 needs more than the base layer.
            let sync = matches!(n % 4, 1 | 2);
            let info = inspect(Codec::Vp8, &vp8(id as u16, 0, temporal_id(n), sync, 0, true, n == 0));
            let verdict = s.on_packet(0, id as u32 * 3000, &info, id * 33_000);
            let references = if n == 0 { vec![] } else { vec![id - (n - reference(n))] };
            decoder.take(verdict, id, &references);
            (n, id) = (n + 1, id + 1);
        }
    }

    #[test]
    fn vp9_layers_by_descriptor(list in wishes(3), only_keyframes_predict_upwards: bool) {
        let (mut s, mut decoder) = (SvcSelector::default(), Decoder::default());
        let (mut n, mut id) = (0, 0);
        for wish in list {
            match wish {
                Wish::Spatial(l) => s.set_spatial(l),
                Wish::Temporal(t) => s.set_temporal(t),
                Wish::Keyframe => n = 0,
                Wish::Nothing => {}
            }
            for sid in 0..3u8 {
                let upwards = sid > 0 && (n == 0 || !only_keyframes_predict_upwards);
                let head = 0xac | u8::from(n > 0) << 6;
                // Every picture is a switching point: none needs an upper layer from before the last base picture
                // but T2 behind T1, which is of the same group.
                let up = n % 4 != 3;
                let layer = temporal_id(n) << 5 | u8::from(up) << 4 | sid << 1 | u8::from(upwards);
                let info = inspect(Codec::Vp9, &[head, 0x80, 0x01, layer, 0, 0xff]);
                let verdict = s.on_packet(id as u32 * 3000, &info, None, id * 33_000);
                let mut references = vec![];
                if n > 0 {
                    references.push((id - (n - reference(n))) * 3 + u64::from(sid));
                }
                if upwards {
                    references.push(id * 3 + u64::from(sid) - 1);
                }
                decoder.take(verdict, id * 3 + u64::from(sid), &references);
            }
            (n, id) = (n + 1, id + 1);
        }
    }

    #[test]
    fn decode_targets_by_dependency_descriptor(list in wishes(2), full: bool) {
        let (mut s, mut decoder) = (SvcSelector::default(), Decoder::default());
        let mut inspector = PayloadInspector::new(Codec::Av1);
        let structure = if full { l2t2 } else { l2t2_key };
        let (mut n, mut number, mut wish_now) = (0u64, 65_000u64, (1, 1));
        for (picture, wish) in list.into_iter().enumerate() {
            match wish {
                Wish::Spatial(l) => (wish_now.0 = l, s.set_spatial(l)).1,
                Wish::Temporal(t) => (wish_now.1 = t.min(1), s.set_temporal(t)).1,
                Wish::Keyframe => n = 0,
                Wish::Nothing => {}
            }
            // (template, distances) of the two frames of the picture.
            let frames: [(u64, Vec<u64>); 2] = match (n, n % 2, full) {
                (0, _, _) => [(0, vec![]), (3, vec![1])],
                (_, 0, false) => [(1, vec![4]), (4, vec![4])],
                (_, 0, true) => [(1, vec![4]), (4, vec![4, 1])],
                (_, _, false) => [(2, vec![2]), (5, vec![2])],
                (_, _, true) => [(2, vec![2]), (5, vec![2, 1])],
            };
            let mut sent: Vec<(PayloadInfo, Verdict)> = vec![];
            for (template, distances) in frames {
                let raw = if template == 0 {
                    structure(0, number as u16)
                } else {
                    mandatory(true, true, template, number as u16)
                };
                let info = inspector.inspect(&[0x10, 0x30], false, Some(&raw));
                let kept = inspector.dependency().structure();
                let verdict = s.on_packet(picture as u32 * 3000, &info, kept, picture as u64 * 33_000);
                let references: Vec<u64> = distances.iter().map(|d| number - d).collect();
                decoder.take(verdict, number, &references);
                sent.push((info, verdict));
                number += 1;
            }
            // With a keyframe the wish is fulfilled at once: the wished spatial layer ends the picture.
            if n == 0 {
                let forwarded = sent.iter().filter(|(_, v)| matches!(v, Verdict::Forward { .. })).count();
                prop_assert_eq!(forwarded, usize::from(wish_now.0) + 1);
            }
            n += 1;
        }
    }
}
