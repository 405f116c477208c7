use proptest::prelude::*;

use super::*;
use crate::extension::Extensions;
use crate::testing::{Packet, map, one_byte, two_byte, vp8};

const REWRITE: Rewrite = Rewrite {
    ssrc: 0xaabb_ccdd,
    payload_type: 100,
    sequence: 500,
    timestamp: 9000,
    marker: true,
    payload: PayloadRewrite::Keep,
    frame_number: None,
};
const STAMP: Stamp = Stamp { transport_cc: 0x0102, abs_send_time: 0x0a0b0c, padding: 0 };

fn all_kinds() -> ExtensionMap {
    map(&[
        (ExtensionKind::Mid, 1),
        (ExtensionKind::Rid, 2),
        (ExtensionKind::RepairedRid, 3),
        (ExtensionKind::AudioLevel, 4),
        (ExtensionKind::VideoOrientation, 5),
        (ExtensionKind::PlayoutDelay, 6),
        (ExtensionKind::TransportCc, 7),
        (ExtensionKind::AbsSendTime, 8),
        (ExtensionKind::AbsCaptureTime, 9),
        (ExtensionKind::DependencyDescriptor, 10),
        (ExtensionKind::VideoLayersAllocation, 11),
    ])
}

fn sink(entries: &[(ExtensionKind, u8)]) -> SinkExtensions {
    SinkExtensions::new(map(entries), IdText::new("v1"))
}

fn write(
    bytes: &[u8],
    from: &ExtensionMap,
    rewrite: &Rewrite,
    stamp: &Stamp,
    to: &SinkExtensions,
) -> Vec<u8> {
    let source = SourcePacket::parse(bytes, from).unwrap();
    let mut out = [0xee; 1600];
    let len = write_packet(&mut out, &source, rewrite, stamp, to).unwrap();
    assert_eq!(len, packet_len(&source, to) + usize::from(stamp.padding), "planned length");
    out[..len].to_vec()
}

fn extensions(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    Extensions::of(&RtpView::parse(bytes).unwrap()).map(|(id, v)| (id, v.to_vec())).collect()
}

#[test]
fn header_is_rewritten_and_csrcs_and_padding_stay_behind() {
    let source = Packet { csrcs: vec![7, 8], payload: vec![9; 50], padding: 7, ..Packet::default() }.bytes();
    let out = write(&source, &all_kinds(), &REWRITE, &STAMP, &SinkExtensions::default());
    assert_eq!(&out[..12], [0x80, 0xe4, 0x01, 0xf4, 0, 0, 0x23, 0x28, 0xaa, 0xbb, 0xcc, 0xdd]);
    assert_eq!(&out[12..], [9; 50]);
}

#[test]
fn extensions_are_renumbered_inserted_and_left_out() {
    let source = Packet {
        extension: Some(one_byte(&[
            (1, b"pub"),
            (2, b"h"),
            (4, &[0x85]),
            (5, &[3]),
            (6, &[1, 2, 3]),
            (7, &[0xff, 0xff]),
            (8, &[9, 9, 9]),
            (9, &[1; 8]),
            (10, &[0xc0, 0x12, 0x34]),
            (11, &[1]),
        ])),
        ..Packet::default()
    }
    .bytes();
    let to = sink(&[
        (ExtensionKind::Mid, 14),
        (ExtensionKind::Rid, 13),
        (ExtensionKind::AudioLevel, 12),
        (ExtensionKind::PlayoutDelay, 3),
        (ExtensionKind::TransportCc, 2),
        (ExtensionKind::AbsSendTime, 1),
        (ExtensionKind::DependencyDescriptor, 4),
        (ExtensionKind::VideoLayersAllocation, 5),
    ]);
    let rewrite = Rewrite { frame_number: Some(0xbeef), ..REWRITE };
    let out = write(&source, &all_kinds(), &rewrite, &STAMP, &to);
    assert_eq!(&out[12..14], [0xbe, 0xde]);
    let expected: Vec<(u8, Vec<u8>)> = vec![
        (14, b"v1".to_vec()),
        (12, vec![0x85]),
        (3, vec![1, 2, 3]),
        (2, vec![1, 2]),
        (1, vec![0x0a, 0x0b, 0x0c]),
        (4, vec![0xc0, 0xbe, 0xef]),
    ];
    assert_eq!(extensions(&out), expected);
}

#[test]
fn two_byte_form_is_taken_when_needed() {
    let long = [0x80; 20];
    let source = Packet { extension: Some(two_byte(&[(10, &long), (4, &[1])])), ..Packet::default() }.bytes();
    let plain = [(ExtensionKind::AudioLevel, 4), (ExtensionKind::DependencyDescriptor, 10)];
    let out = write(&source, &all_kinds(), &REWRITE, &STAMP, &sink(&plain));
    assert_eq!(&out[12..14], [0x10, 0]);
    assert_eq!(extensions(&out), [(4, vec![1]), (10, long.to_vec())]);

    let mut narrow = sink(&plain);
    narrow.set_one_byte_only(true);
    let out = write(&source, &all_kinds(), &REWRITE, &STAMP, &narrow);
    assert_eq!(&out[12..14], [0xbe, 0xde]);
    assert_eq!(extensions(&out), [(4, vec![1])], "what does not fit is left out");

    let out = write(&source, &all_kinds(), &REWRITE, &STAMP, &sink(&[(ExtensionKind::AudioLevel, 16)]));
    assert_eq!(extensions(&out), [(16, vec![1])], "a large id");

    let mid = IdText::new("a-mid-of-more-than-16-bytes");
    let out = write(
        &source,
        &all_kinds(),
        &REWRITE,
        &STAMP,
        &SinkExtensions::new(map(&[(ExtensionKind::Mid, 1)]), mid),
    );
    assert_eq!(extensions(&out), [(1, b"a-mid-of-more-than-16-bytes".to_vec())]);
}

#[test]
fn an_element_without_a_value_stays_behind_and_is_not_planned_for() {
    let to = sink(&[(ExtensionKind::AudioLevel, 20), (ExtensionKind::DependencyDescriptor, 21)]);
    let source = Packet {
        extension: Some(two_byte(&[(4, &[]), (10, &[]), (5, &[1])])),
        payload: vec![1; 20],
        ..Packet::default()
    };
    // `write` compares the length with the planned one.
    assert_eq!(extensions(&write(&source.bytes(), &all_kinds(), &REWRITE, &STAMP, &to)), []);
}

#[test]
fn playout_delay_of_the_sink_wins() {
    let source = Packet { extension: Some(one_byte(&[(6, &[1, 2, 3])])), ..Packet::default() }.bytes();
    let mut to = sink(&[(ExtensionKind::PlayoutDelay, 6)]);
    let before = to.revision();
    to.set_playout_delay(Some(PlayoutDelay { min: 0, max: 0 }));
    assert_ne!(to.revision(), before);
    let out = write(&source, &all_kinds(), &REWRITE, &STAMP, &to);
    assert_eq!(extensions(&out), [(6, vec![0, 0, 0])]);
    let bare = Packet::default().bytes();
    let out = write(&bare, &all_kinds(), &REWRITE, &STAMP, &to);
    assert_eq!(extensions(&out), [(6, vec![0, 0, 0])]);
}

#[test]
fn a_change_of_configuration_is_a_new_revision() {
    let mut to = sink(&[(ExtensionKind::Mid, 1)]);
    let first = to.revision();
    to.set_map(map(&[(ExtensionKind::Mid, 1)]), IdText::new("v1"));
    assert_eq!(to.revision(), first, "nothing changed");
    to.set_map(map(&[(ExtensionKind::Mid, 2)]), IdText::new("v1"));
    to.set_map(map(&[(ExtensionKind::Mid, 2)]), IdText::new("v2"));
    to.set_one_byte_only(true);
    assert_eq!(to.revision(), first + 3);
}

#[test]
fn descriptor_is_patched_and_padding_appended() {
    let source = Packet { payload: vp8(5, 1, 0, false, 2, true, true), ..Packet::default() }.bytes();
    let payload = PayloadRewrite::Vp8 { picture_id: 0x1234, tl0: 77, keyidx: 9 };
    let stamp = Stamp { padding: 3, ..STAMP };
    let out =
        write(&source, &all_kinds(), &Rewrite { payload, ..REWRITE }, &stamp, &SinkExtensions::default());
    assert_eq!(out[0], 0xa0);
    let view = RtpView::parse(&out).unwrap();
    assert_eq!(view.payload(), vp8(0x1234, 77, 0, false, 9, true, true));
    assert_eq!(view.padding_len(), 3);
    assert_eq!(out.last(), Some(&3));
}

#[test]
fn a_small_buffer_is_refused_at_every_length() {
    let source = Packet { payload: vec![1; 30], ..Packet::default() }.bytes();
    let source = SourcePacket::parse(&source, &all_kinds()).unwrap();
    let to = sink(&[(ExtensionKind::Mid, 1), (ExtensionKind::TransportCc, 2)]);
    let stamp = Stamp { padding: 4, ..STAMP };
    let full = packet_len(&source, &to) + 4;
    let rtx = RtxTarget { ssrc: 1, payload_type: 97, sequence: 1 };
    let mut out = [0; 200];
    for len in 0..full {
        let room = &mut out[..len];
        assert_eq!(write_packet(room, &source, &REWRITE, &stamp, &to), Err(RtpError::BufferTooSmall));
        assert_eq!(write_rtx(room, &source, &REWRITE, &rtx, &stamp, &to), Err(RtpError::BufferTooSmall));
    }
    assert_eq!(write_packet(&mut out[..full], &source, &REWRITE, &stamp, &to), Ok(full));
}

#[test]
fn rtx_goes_there_and_back() {
    let source = Packet {
        payload: vp8(5, 1, 0, false, 2, true, false),
        padding: 9,
        extension: Some(one_byte(&[(4, &[0x11])])),
        ..Packet::default()
    }
    .bytes();
    let source = SourcePacket::parse(&source, &all_kinds()).unwrap();
    let to = sink(&[(ExtensionKind::AudioLevel, 1), (ExtensionKind::TransportCc, 2)]);
    let rewrite = Rewrite { payload: PayloadRewrite::Vp8 { picture_id: 6, tl0: 2, keyidx: 3 }, ..REWRITE };
    let rtx = RtxTarget { ssrc: 0x55, payload_type: 97, sequence: 4711 };
    let mut out = [0; 200];
    let stamp = Stamp { transport_cc: 99, abs_send_time: 0, padding: 5 };
    let len = write_rtx(&mut out, &source, &rewrite, &rtx, &stamp, &to).unwrap();
    let view = RtpView::parse(&out[..len]).unwrap();
    assert_eq!((view.ssrc(), view.payload_type(), view.sequence()), (0x55, 97, 4711));
    assert_eq!((view.timestamp(), view.marker(), view.padding_len()), (9000, true, 5));
    assert_eq!(view.payload()[..2], 500u16.to_be_bytes());

    let len = unwrap_rtx(&mut out[..len], REWRITE.ssrc, REWRITE.payload_type).unwrap().unwrap();
    let back = RtpView::parse(&out[..len]).unwrap();
    assert_eq!((back.ssrc(), back.payload_type(), back.sequence()), (REWRITE.ssrc, 100, 500));
    assert_eq!(back.payload(), vp8(6, 2, 0, false, 3, true, false));
    assert!(back.marker());
}

#[test]
fn rtx_without_an_original_gives_nothing() {
    for payload in [vec![], vec![1], vec![1, 2]] {
        let mut bytes = Packet { payload, padding: 20, ..Packet::default() }.bytes();
        assert_eq!(unwrap_rtx(&mut bytes, 1, 96), Ok(None));
    }
    assert_eq!(unwrap_rtx(&mut [0x80; 5], 1, 96), Err(RtpError::Truncated));
}

#[test]
fn padding_only_packets_carry_the_transport_extensions() {
    let to =
        sink(&[(ExtensionKind::Mid, 1), (ExtensionKind::TransportCc, 2), (ExtensionKind::AudioLevel, 3)]);
    let mut out = [0; 300];
    let len = write_padding(&mut out, &REWRITE, &Stamp { padding: 255, ..STAMP }, &to).unwrap();
    let view = RtpView::parse(&out[..len]).unwrap();
    assert_eq!((view.payload().len(), view.padding_len()), (0, 255));
    assert_eq!(extensions(&out[..len]), [(1, b"v1".to_vec()), (2, vec![1, 2])]);
    let len = write_padding(&mut out, &REWRITE, &STAMP, &SinkExtensions::default()).unwrap();
    assert_eq!((len, out[12]), (13, 1), "at least the count byte");
}

#[test]
fn header_is_patched_in_place() {
    let mut bytes = Packet { payload: vec![5; 4], ..Packet::default() }.bytes();
    let mut header = RtpHeader::parse(&bytes).unwrap();
    (header.ssrc, header.payload_type, header.sequence, header.timestamp) = (9, 33, 10, 11);
    header.marker = true;
    patch_header(&mut bytes, &header).unwrap();
    let view = RtpView::parse(&bytes).unwrap();
    assert_eq!(
        (view.ssrc(), view.payload_type(), view.sequence(), view.timestamp(), view.marker()),
        (9, 33, 10, 11, true)
    );
    assert_eq!(patch_header(&mut [0; 11], &header), Err(RtpError::Truncated));
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let element = (1u8..=14, proptest::collection::vec(any::<u8>(), 1..=16));
    (
        any::<(bool, u16, u32, u32)>(),
        0u8..128,
        proptest::option::of(proptest::collection::vec(element, 0..8)),
        proptest::collection::vec(any::<u8>(), 0..60),
        any::<u8>(),
    )
        .prop_map(|((marker, sequence, timestamp, ssrc), payload_type, elements, payload, padding)| {
            Packet {
                marker,
                payload_type,
                sequence,
                timestamp,
                ssrc,
                csrcs: vec![],
                extension: elements.map(|list| {
                    one_byte(&list.iter().map(|(id, v)| (*id, v.as_slice())).collect::<Vec<_>>())
                }),
                payload,
                padding,
            }
        })
}

fn any_sink() -> impl Strategy<Value = SinkExtensions> {
    (proptest::sample::subsequence(ExtensionKind::ALL.to_vec(), 0..=11), any::<bool>(), any::<bool>())
        .prop_flat_map(|(kinds, large, one_byte_only)| {
            let ids = proptest::sample::subsequence((1u8..=14).collect::<Vec<_>>(), kinds.len());
            ids.prop_shuffle().prop_map(move |ids| {
                let mut map = ExtensionMap::new();
                for (kind, id) in kinds.iter().zip(ids) {
                    assert!(map.try_insert(*kind, if large { id + 100 } else { id }));
                }
                let mut sink = SinkExtensions::new(map, IdText::new("mid"));
                sink.set_one_byte_only(one_byte_only);
                sink
            })
        })
}

proptest! {
    #[test]
    fn what_is_written_parses_back(packet in any_packet(), to in any_sink(), pad in 0u8..40, number: u16) {
        let bytes = packet.bytes();
        let stamp = Stamp { transport_cc: number, abs_send_time: u32::from(number), padding: pad };
        let out = write(&bytes, &all_kinds(), &REWRITE, &stamp, &to);
        let view = RtpView::parse(&out).unwrap();
        prop_assert_eq!(view.payload(), packet.payload.as_slice());
        prop_assert_eq!(view.padding_len(), usize::from(pad));
        let read = SourcePacket::parse(&out, to.map()).unwrap();
        let source = SourcePacket::parse(&bytes, &all_kinds()).unwrap();
        let fits = |kind| to.map().id(kind).is_some_and(|id| id <= 14 || !to.one_byte_only);
        for kind in [
            ExtensionKind::AudioLevel,
            ExtensionKind::VideoOrientation,
            ExtensionKind::PlayoutDelay,
            ExtensionKind::AbsCaptureTime,
            ExtensionKind::DependencyDescriptor,
        ] {
            let expected = source.extension(kind).filter(|_| fits(kind));
            prop_assert_eq!(read.extension(kind), expected, "{:?}", kind);
        }
        let number = number.to_be_bytes();
        let expected = fits(ExtensionKind::TransportCc).then_some(&number[..]);
        prop_assert_eq!(read.extension(ExtensionKind::TransportCc), expected);
        prop_assert_eq!(read.extension(ExtensionKind::Rid), None);
        prop_assert_eq!(&write(&bytes, &all_kinds(), &REWRITE, &stamp, &to), &out, "same arguments, same bytes");
    }

    #[test]
    fn any_bytes_are_unwrapped_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        if let Some(first) = bytes.first_mut() {
            *first = *first & 0x3f | 0x80;
        }
        if let Ok(Some(len)) = unwrap_rtx(&mut bytes, 1, 2) {
            prop_assert!(RtpView::parse(&bytes[..len]).is_ok());
        }
    }
}
