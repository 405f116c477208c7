use proptest::prelude::*;

use super::*;
use crate::testing::{Packet, map, one_byte, two_byte};

fn elements(profile: u16, block: &[u8]) -> Vec<(u8, Vec<u8>)> {
    Extensions::new(Some(profile), block).map(|(id, v)| (id, v.to_vec())).collect()
}

/// Name, profile, block, the elements in it.
type Case<'a> = (&'a str, u16, &'a [u8], &'a [(u8, &'a [u8])]);

#[test]
fn elements_of_both_forms_are_found() {
    let table: &[Case<'_>] = &[
        ("one byte", 0xbede, &[0x10, 0xaa, 0x21, 1, 2, 0, 0, 0], &[(1, &[0xaa]), (2, &[1, 2])]),
        ("padding between", 0xbede, &[0x10, 0xaa, 0, 0, 0x20, 7, 0, 0], &[(1, &[0xaa]), (2, &[7])]),
        ("id 15 ends", 0xbede, &[0x10, 0xaa, 0xf0, 1, 0x20, 7, 0, 0], &[(1, &[0xaa])]),
        ("id 0 with a length is void", 0xbede, &[0x01, 1, 2, 0x20, 7, 0, 0, 0], &[(2, &[7])]),
        ("too long ends", 0xbede, &[0x10, 0xaa, 0x2f, 1], &[(1, &[0xaa])]),
        (
            "two byte",
            0x1000,
            &[1, 1, 0xaa, 15, 0, 200, 2, 1, 2, 0, 0, 0],
            &[(1, &[0xaa]), (15, &[]), (200, &[1, 2])],
        ),
        ("two byte with application bits", 0x100f, &[1, 1, 0xaa, 0], &[(1, &[0xaa])]),
        ("two byte, length cut off", 0x1000, &[1, 1, 0xaa, 2], &[(1, &[0xaa])]),
        ("unknown profile", 0x1234, &[0x10, 0xaa, 0, 0], &[]),
    ];
    for (name, profile, block, expected) in table {
        let expected: Vec<_> = expected.iter().map(|(id, v)| (*id, v.to_vec())).collect();
        assert_eq!(elements(*profile, block), expected, "{name}");
    }
    assert_eq!(Extensions::new(None, &[0x10, 0xaa]).count(), 0);
}

#[test]
fn uris_go_both_ways() {
    for kind in ExtensionKind::ALL {
        assert_eq!(ExtensionKind::from_uri(kind.uri()), Some(kind));
    }
    assert_eq!(ExtensionKind::from_uri("urn:ietf:params:rtp-hdrext:toffset"), None);
}

#[test]
fn the_map_binds_and_forgets() {
    let mut m = ExtensionMap::new();
    assert!(m.try_insert(ExtensionKind::Mid, 4));
    assert!(!m.try_insert(ExtensionKind::Rid, 4), "the id is taken");
    assert!(!m.try_insert(ExtensionKind::Rid, 0));
    assert!(!m.try_insert(ExtensionKind::Rid, 15));
    assert!(m.try_insert(ExtensionKind::Mid, 4), "again the same");
    assert!(!m.has_large_id());
    assert!(m.try_insert(ExtensionKind::Rid, 200));
    assert!(m.has_large_id());
    assert_eq!(m.kind(200), Some(ExtensionKind::Rid));
    assert_eq!(m.entries(), [(ExtensionKind::Mid, 4), (ExtensionKind::Rid, 200)]);
    assert!(m.try_insert(ExtensionKind::Rid, 5));
    assert!(!m.has_large_id());
    assert_eq!((m.kind(200), m.kind(5)), (None, Some(ExtensionKind::Rid)));
    m.remove(ExtensionKind::Mid);
    assert_eq!((m.id(ExtensionKind::Mid), m.kind(4)), (None, None));
}

#[test]
fn values_are_read() {
    assert_eq!(AudioLevel::parse(&[0x85]), Some(AudioLevel { voice: true, level: 5 }));
    assert_eq!(AudioLevel::parse(&[127, 0]), Some(AudioLevel { voice: false, level: 127 }));
    assert_eq!(AudioLevel::parse(&[]), None);
    let turned = VideoOrientation { back_camera: true, flipped: false, degrees: 270 };
    assert_eq!(VideoOrientation::parse(&[0b1011]), Some(turned));
    let flipped = VideoOrientation { back_camera: false, flipped: true, degrees: 0 };
    assert_eq!(VideoOrientation::parse(&[0b0100]), Some(flipped));
    let delay = PlayoutDelay { min: 10, max: 0xfff };
    assert_eq!(delay.to_bytes(), [0x00, 0xaf, 0xff]);
    assert_eq!(PlayoutDelay::parse(&delay.to_bytes()), Some(delay));
    assert_eq!(PlayoutDelay::parse(&[0, 1]), None);
    assert_eq!(parse_transport_cc(&[0x12, 0x34]), Some(0x1234));
    assert_eq!(parse_abs_send_time(&[1, 2, 3]), Some(0x010203));
}

#[test]
fn identifiers_are_checked() {
    let table: &[(&[u8], Option<&str>)] = &[
        (b"0", Some("0")),
        (b"video\0\0", Some("video")),
        (b"", None),
        (b"\0", None),
        (b"a b", None),
        (b"a\xffb", None),
        (b"0123456789abcdef0123456789abcdef", Some("0123456789abcdef0123456789abcdef")),
        (b"0123456789abcdef0123456789abcdefX", None),
    ];
    for (bytes, expected) in table {
        assert_eq!(parse_id_text(bytes), *expected);
    }
    assert_eq!(IdText::new("mid0").unwrap().as_bytes(), b"mid0");
    assert!(IdText::new("").is_none());
    assert!(IdText::new("a\0").is_none());
}

#[test]
fn abs_send_time_wraps_after_64_seconds() {
    assert_eq!(abs_send_time(0), 0);
    assert_eq!(abs_send_time(1_000_000), 1 << 18);
    assert_eq!(abs_send_time(63_999_999), 0xff_ffff);
    assert_eq!(abs_send_time(64_000_000), 0);
    assert_eq!(abs_send_time(u64::MAX - u64::MAX % 64_000_000 + 500_000), 1 << 17);
}

#[test]
fn offsets_point_into_the_packet_and_the_first_of_a_kind_wins() {
    let map = map(&[(ExtensionKind::Mid, 1), (ExtensionKind::Rid, 2), (ExtensionKind::TransportCc, 20)]);
    let bytes = Packet {
        csrcs: vec![1],
        extension: Some(two_byte(&[(1, b"a"), (20, &[1, 2]), (1, b"b"), (9, b"zz")])),
        ..Packet::default()
    }
    .bytes();
    let found = ExtensionOffsets::find(&RtpView::parse(&bytes).unwrap(), &map);
    assert_eq!(found.get(ExtensionKind::Mid, &bytes), Some(&b"a"[..]));
    assert_eq!(found.get(ExtensionKind::TransportCc, &bytes), Some(&[1, 2][..]));
    assert_eq!(found.get(ExtensionKind::Rid, &bytes), None);
    assert_eq!(found.get(ExtensionKind::AudioLevel, &bytes), None);
}

proptest! {
    #[test]
    fn written_elements_are_found_again(
        values in proptest::collection::btree_map(1u8..=14, proptest::collection::vec(any::<u8>(), 1..=16), 0..10),
        two: bool,
    ) {
        let list: Vec<(u8, &[u8])> = values.iter().map(|(id, v)| (*id, v.as_slice())).collect();
        let (profile, block) = if two { two_byte(&list) } else { one_byte(&list) };
        let expected: Vec<_> = values.into_iter().collect();
        prop_assert_eq!(elements(profile, &block), expected);
    }

    #[test]
    fn any_block_is_walked_without_panic(
        profile in prop_oneof![Just(0xbede), Just(0x1000), any::<u16>()],
        block in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        for (id, value) in Extensions::new(Some(profile), &block) {
            prop_assert!(id != 0 && value.len() <= 255);
            let _ = (AudioLevel::parse(value), VideoOrientation::parse(value), PlayoutDelay::parse(value));
            let _ = (parse_id_text(value), parse_transport_cc(value), parse_abs_send_time(value));
        }
    }
}
