use proptest::prelude::*;

use crate::RtpError;
use crate::codec::dependency::*;
use crate::codec::{Codec, Layer, PayloadInspector, SwitchUp};
use crate::testing::dependency::{Template, l1t3, l2t2_key, mandatory, structure};

fn all(frame: &DependencyFrame, targets: u8) -> String {
    (0..targets)
        .map(|t| match frame.indications.get(t) {
            Indication::NotPresent => '-',
            Indication::Discardable => 'D',
            Indication::Switch => 'S',
            Indication::Required => 'R',
        })
        .collect()
}

#[test]
fn a_structure_is_kept_and_later_frames_refer_to_it() {
    let mut reader = DependencyReader::new();
    assert_eq!(reader.read(&mandatory(true, true, 5, 7)), Err(RtpError::NoStructure));

    let key = reader.read(&l2t2_key(3, 100)).unwrap();
    assert!(key.start && key.end && key.has_structure);
    assert_eq!((key.number, key.spatial, key.temporal, key.active_targets), (100, 0, 0, 0b1111));
    assert_eq!((all(&key, 4), &key.chains[..2]), ("SSSS".to_owned(), &[0, 0][..]));

    let kept = reader.structure().unwrap();
    let targets: Vec<_> = kept.targets().iter().map(|t| (t.spatial, t.temporal, t.chain)).collect();
    let expected = [(0, 0, Some(0)), (0, 1, Some(0)), (1, 0, Some(1)), (1, 1, Some(1))];
    assert_eq!(targets, expected);
    assert_eq!((kept.spatial_layers(), kept.temporal_layers(), kept.chain_count()), (2, 2, 2));
    assert_eq!((kept.resolution(0), kept.resolution(1)), (Some((320, 180)), Some((640, 360))));
    assert_eq!(kept.resolution(2), None);

    // Template ids count from the structure's offset and wrap at 64.
    let upper = reader.read(&mandatory(true, false, 3 + 3, 101)).unwrap();
    assert_eq!((upper.spatial, upper.temporal, upper.start, upper.end), (1, 0, true, false));
    assert_eq!(all(&upper, 4), "--SS");
    assert_eq!(reader.read(&mandatory(true, true, 2, 101)), Err(RtpError::NoStructure));
    assert_eq!(reader.read(&mandatory(true, true, 40, 101)), Err(RtpError::NoStructure));

    let mut reader = DependencyReader::new();
    reader.read(&l2t2_key(62, 100)).unwrap();
    assert_eq!(reader.read(&mandatory(true, true, 1, 101)).unwrap().spatial, 1);
}

#[test]
fn custom_fields_and_active_targets_are_read() {
    let mut reader = DependencyReader::new();
    reader.read(&l2t2_key(0, 1)).unwrap();
    let mut bits = crate::testing::BitWriter::default();
    bits.put(0b11, 2).put(0, 6).put(2, 16);
    // No structure, active targets, custom indications, differences and chains.
    bits.put(0b01111, 5).put(0b0011, 4);
    bits.put(0b11_10_01_00, 8);
    bits.put(1, 2).put(0, 4).put(3, 2).put(0xabc, 12).put(0, 2);
    bits.put(200, 8).put(1, 8);
    let frame = reader.read(&bits.bytes()).unwrap();
    assert_eq!(frame.active_targets, 0b0011);
    assert_eq!(all(&frame, 4), "RSD-");
    assert_eq!(frame.chains[..3], [200, 1, 0]);
    // The mask stays until it is replaced.
    assert_eq!(reader.read(&mandatory(true, true, 0, 3)).unwrap().active_targets, 0b0011);
}

#[test]
fn switch_points_name_the_highest_layer() {
    let mut reader = DependencyReader::new();
    let key = reader.read(&l1t3(0, 1)).unwrap();
    assert_eq!(reader.switch_up(&key), SwitchUp::After(2));
    let t0 = reader.read(&mandatory(true, true, 1, 2)).unwrap();
    assert_eq!((t0.temporal, reader.switch_up(&t0)), (0, SwitchUp::After(2)));
    let t2 = reader.read(&mandatory(true, true, 3, 3)).unwrap();
    assert_eq!((t2.temporal, reader.switch_up(&t2)), (2, SwitchUp::No));

    let mut inspector = PayloadInspector::new(Codec::Vp8);
    let info = inspector.inspect(&[0x10, 0x10], false, Some(&l1t3(0, 9)));
    assert_eq!(info.layer, Some(Layer { spatial: 0, temporal: 0 }));
    assert_eq!((info.frame_start, info.frame_end), (Some(true), true));
    assert_eq!(info.dependency.unwrap().number, 9);
}

#[test]
fn a_cut_structure_changes_nothing() {
    let mut reader = DependencyReader::new();
    reader.read(&l1t3(0, 1)).unwrap();
    let kept = reader.structure().cloned();
    let other = l2t2_key(7, 1);
    // The last byte may hold nothing but zero padding.
    for len in 0..other.len() - 1 {
        assert!(reader.read(&other[..len]).is_err(), "cut to {len}");
        assert_eq!(reader.structure().cloned(), kept, "cut to {len}");
    }
}

#[test]
fn structures_out_of_bounds_are_refused() {
    let same = Template { next: 0, ..Template::default() };
    let mut list = vec![same; 64];
    list.push(Template { next: 3, ..Template::default() });
    assert_eq!(DependencyReader::new().read(&structure(0, 1, 1, &list, 0)), Err(RtpError::Malformed));
    let mut list = vec![Template { next: 2, ..Template::default() }; 4];
    list.push(Template { next: 3, ..Template::default() });
    assert_eq!(DependencyReader::new().read(&structure(0, 1, 1, &list, 0)), Err(RtpError::Malformed));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 1..4)) {
        let mut reader = DependencyReader::new();
        for value in &values {
            let _ = reader.read(value);
        }
    }

    #[test]
    fn a_damaged_structure_is_read_without_panic(at in 0usize..40, byte: u8, number: u16) {
        let mut reader = DependencyReader::new();
        let mut value = l2t2_key(0, number);
        let len = value.len();
        value[at % len] = byte;
        if let Ok(frame) = reader.read(&value) {
            prop_assert!(frame.spatial <= 3 && frame.temporal <= 7);
            let _ = reader.switch_up(&frame);
        }
    }
}
