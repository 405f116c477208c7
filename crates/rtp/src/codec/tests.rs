use proptest::prelude::*;

use super::*;
use crate::codec::vp9::Vp9Structure;
use crate::testing::{inspect, vp8};

mod dependency;

#[test]
fn names_and_clocks_find_the_codec() {
    let table = [
        ("opus", 48_000, Some(Codec::Opus)),
        ("OPUS", 48_000, Some(Codec::Opus)),
        ("opus", 16_000, None),
        ("multiopus", 48_000, Some(Codec::MultiOpus)),
        ("pcmu", 8_000, Some(Codec::Pcmu)),
        ("PCMA", 8_000, Some(Codec::Pcma)),
        ("G722", 8_000, Some(Codec::G722)),
        ("isac", 16_000, Some(Codec::Isac16)),
        ("ISAC", 32_000, Some(Codec::Isac32)),
        ("L16", 16_000, Some(Codec::L16)),
        ("l16", 48_000, Some(Codec::L16At48k)),
        ("L16", 44_100, None),
        ("red", 48_000, Some(Codec::Red)),
        ("telephone-event", 8_000, Some(Codec::TelephoneEvent)),
        ("telephone-event", 48_000, Some(Codec::TelephoneEvent)),
        ("vp8", 90_000, Some(Codec::Vp8)),
        ("VP9", 90_000, Some(Codec::Vp9)),
        ("h264", 90_000, Some(Codec::H264)),
        ("H265", 90_000, Some(Codec::H265)),
        ("av1", 90_000, Some(Codec::Av1)),
        ("rtx", 90_000, None),
        ("CN", 8_000, None),
    ];
    for (name, clock, expected) in table {
        assert_eq!(Codec::from_sdp(name, clock), expected, "{name}/{clock}");
    }
    for codec in Codec::ALL {
        assert_eq!(Codec::from_sdp(codec.sdp_name(), codec.clock_rate()), Some(codec));
        assert_eq!(Codec::from_janus(&codec.janus_name().to_uppercase()), Some(codec));
    }
}

#[test]
fn keyframes_are_told_apart() {
    let cases: &[(&str, Codec, &[u8], bool)] = &[
        ("audio", Codec::Opus, &[1], true),
        ("VP8 key, no extension", Codec::Vp8, &[0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a], true),
        ("VP8 delta", Codec::Vp8, &[0x10, 0x11], false),
        ("VP8 not the start", Codec::Vp8, &[0x00, 0x10], false),
        ("VP8 other partition", Codec::Vp8, &[0x11, 0x10], false),
        ("VP8 short picture id", Codec::Vp8, &[0x90, 0x80, 0x05, 0x10], true),
        ("VP8 long picture id", Codec::Vp8, &[0x90, 0x80, 0x85, 0x01, 0x10], true),
        ("VP8 cut after the descriptor", Codec::Vp8, &[0x90, 0x80, 0x85, 0x01], false),
        ("VP8 empty", Codec::Vp8, &[], false),
        ("VP9 key", Codec::Vp9, &[0x8c, 0x85, 0x01, 0xaa], true),
        ("VP9 inter picture", Codec::Vp9, &[0xcc, 0x85, 0x01, 0xaa], false),
        ("VP9 key, second packet", Codec::Vp9, &[0x84, 0x85, 0x01, 0xaa], false),
        ("VP9 key, spatial layer 1", Codec::Vp9, &[0xac, 0x85, 0x01, 0x03, 0x00, 0xaa], false),
        ("H264 SPS", Codec::H264, &[0x67, 0x42], true),
        ("H264 PPS", Codec::H264, &[0x68, 0xce], false),
        ("H264 IDR", Codec::H264, &[0x65, 0x88], true),
        ("H264 IDR, later slice", Codec::H264, &[0x65, 0x0f], false),
        ("H264 slice", Codec::H264, &[0x41, 0x9a], false),
        ("H264 STAP-A with SPS", Codec::H264, &[0x78, 0, 2, 0x68, 1, 0, 2, 0x67, 0x42], true),
        ("H264 STAP-A with AUD and IDR", Codec::H264, &[0x78, 0, 2, 0x09, 0xf0, 0, 2, 0x65, 0x88], true),
        ("H264 STAP-A without", Codec::H264, &[0x78, 0, 2, 0x68, 1, 0, 1, 0x06], false),
        ("H264 STAP-A cut", Codec::H264, &[0x78, 0, 9, 0x67], false),
        ("H264 STAP-A of nothing", Codec::H264, &[0x78, 0, 0, 0x67], false),
        ("H264 FU-A start of IDR", Codec::H264, &[0x7c, 0x85, 0x88], true),
        ("H264 FU-A middle of IDR", Codec::H264, &[0x7c, 0x05, 0x88], false),
        ("H264 FU-A start of a slice", Codec::H264, &[0x7c, 0x81, 0x9a], false),
        ("H265 VPS", Codec::H265, &[0x40, 0x01, 0x0c], true),
        ("H265 SPS", Codec::H265, &[0x42, 0x01, 0x01], true),
        ("H265 PPS", Codec::H265, &[0x44, 0x01, 0xc0], false),
        ("H265 IDR_W_RADL", Codec::H265, &[0x26, 0x01, 0xaf], true),
        ("H265 CRA", Codec::H265, &[0x2a, 0x01, 0xaf], true),
        ("H265 IDR, later slice", Codec::H265, &[0x26, 0x01, 0x2f], false),
        ("H265 TRAIL_R", Codec::H265, &[0x02, 0x01, 0xd0], false),
        ("H265 AP with VPS", Codec::H265, &[0x60, 0x01, 0, 3, 0x40, 0x01, 0x0c], true),
        ("H265 AP without", Codec::H265, &[0x60, 0x01, 0, 3, 0x44, 0x01, 0x0c], false),
        ("H265 FU start of IDR", Codec::H265, &[0x62, 0x01, 0x93, 0xaf], true),
        ("H265 FU end of IDR", Codec::H265, &[0x62, 0x01, 0x53, 0xaf], false),
        ("H265 one byte", Codec::H265, &[0x40], false),
        ("AV1 N bit", Codec::Av1, &[0x18, 0x0a, 0x0b], true),
        ("AV1 sequence header, W=0", Codec::Av1, &[0x00, 0x02, 0x12, 0x00, 0x02, 0x0a, 0x0b], true),
        ("AV1 sequence header as second of two", Codec::Av1, &[0x20, 0x02, 0x30, 0x00, 0x08, 0x00], true),
        ("AV1 frame", Codec::Av1, &[0x10, 0x30, 0x00], false),
        ("AV1 continuation looks like a header", Codec::Av1, &[0x90, 0x08, 0x00], false),
        ("AV1 Z and N", Codec::Av1, &[0x98, 0x08, 0x00], false),
        ("AV1 empty", Codec::Av1, &[], false),
    ];
    for (name, codec, payload, expected) in cases {
        assert_eq!(codec.is_keyframe(payload), *expected, "{name}");
        assert_eq!(inspect(*codec, payload).keyframe, *expected, "{name} (inspected)");
    }
}

#[test]
fn vp8_descriptor_is_read_in_all_its_shapes() {
    let full = Vp8Descriptor::parse(&vp8(0x1234, 9, 2, true, 17, true, true)).unwrap();
    let expected = Vp8Descriptor {
        len: 6,
        partition_start: true,
        partition: 0,
        non_reference: false,
        picture_id: Some(PictureId { value: 0x1234, long: true }),
        tl0: Some(9),
        temporal: Some(2),
        layer_sync: true,
        keyidx: Some(17),
        keyframe: true,
    };
    assert_eq!(full, expected);
    // Only TL0PICIDX; only TID; only KEYIDX; N bit and PID.
    let d = Vp8Descriptor::parse(&[0xb3, 0x40, 7, 1]).unwrap();
    assert_eq!((d.len, d.tl0, d.temporal, d.keyidx, d.non_reference), (3, Some(7), None, None, true));
    assert_eq!((d.partition, d.starts_frame()), (3, false));
    let d = Vp8Descriptor::parse(&[0x90, 0x20, 0x7f, 1]).unwrap();
    assert_eq!((d.temporal, d.layer_sync, d.keyidx), (Some(1), true, None));
    let d = Vp8Descriptor::parse(&[0x90, 0x10, 0x7f, 1]).unwrap();
    assert_eq!((d.temporal, d.layer_sync, d.keyidx), (None, false, Some(31)));
    let whole = vp8(0x1234, 9, 2, true, 17, true, true);
    for len in 0..6 {
        assert_eq!(Vp8Descriptor::parse(&whole[..len]), None, "cut to {len}");
    }
}

#[test]
fn vp8_rewriting_keeps_widths_and_other_bits() {
    let mut long = vp8(0x1234, 9, 2, true, 17, true, false);
    PayloadRewrite::Vp8 { picture_id: 0xffff, tl0: 200, keyidx: 0xff }.apply(&mut long);
    assert_eq!(long, vp8(0x7fff, 200, 2, true, 31, true, false));
    let mut short = vec![0x90, 0x80, 0x05, 0x10];
    PayloadRewrite::Vp8 { picture_id: 0x1ff, tl0: 1, keyidx: 1 }.apply(&mut short);
    assert_eq!(short, [0x90, 0x80, 0x7f, 0x10]);
    let mut bare = vec![0x10, 0x10];
    PayloadRewrite::Vp8 { picture_id: 1, tl0: 1, keyidx: 1 }.apply(&mut bare);
    assert_eq!(bare, [0x10, 0x10]);
}

#[test]
fn vp9_descriptor_is_read_in_both_modes() {
    // Non-flexible: I L B E, 15-bit picture id, TID 1 U SID 2 D, TL0PICIDX.
    let d = Vp9Descriptor::parse(&[0xec, 0x92, 0x34, 0x35, 0x09, 0xff]).unwrap();
    assert_eq!(d.picture_id, Some(PictureId { value: 0x1234, long: true }));
    assert_eq!(
        (d.len, d.inter_picture, d.flexible, d.frame_start, d.frame_end),
        (5, true, false, true, true)
    );
    assert_eq!((d.temporal, d.switch_up, d.spatial, d.inter_layer, d.tl0), (1, true, 2, true, Some(9)));
    // Flexible: I P L F B E, 7-bit picture id, two references.
    let d = Vp9Descriptor::parse(&[0xfc, 0x12, 0x20, 0x03, 0x04, 0xff]).unwrap();
    assert_eq!(d.picture_id, Some(PictureId { value: 0x12, long: false }));
    assert_eq!((d.len, d.flexible, d.temporal, d.switch_up, d.spatial, d.tl0), (5, true, 1, false, 0, None));
    assert_eq!(Vp9Descriptor::parse(&[0xfc, 0x12, 0x20, 0x03, 0x05, 0x07, 0x01]), None, "a fourth reference");
    assert_eq!(Vp9Descriptor::parse(&[0xfc, 0x12, 0x20, 0x03]), None, "cut");
}

#[test]
fn vp9_structure_is_read() {
    // V with 3 spatial layers with sizes, and a group of 4 pictures on 3 temporal layers.
    let mut payload = vec![0x8e, 0x05, 0b0101_1000];
    for size in [320u16, 180, 640, 360, 1280, 720] {
        payload.extend(size.to_be_bytes());
    }
    payload.extend([4, 0x00, 0b0101_0100, 1, 0b0011_0100, 2, 0b0100_1000, 1, 2]);
    let d = Vp9Descriptor::parse(&payload).unwrap();
    let expected =
        Vp9Structure { spatial_layers: 3, pictures: 4, temporal_layers: 3, resolution: Some((1280, 720)) };
    assert_eq!(d.structure, Some(expected));
    assert_eq!(usize::from(d.len), payload.len());
    for len in 0..payload.len() {
        assert_eq!(Vp9Descriptor::parse(&payload[..len]), None, "cut to {len}");
    }
}

#[test]
fn vp9_rewriting_keeps_widths() {
    let mut long = vec![0xec, 0x92, 0x34, 0x35, 0x09, 0xff];
    PayloadRewrite::Vp9 { picture_id: 0x7ffe, tl0: 33 }.apply(&mut long);
    assert_eq!(long, [0xec, 0xff, 0xfe, 0x35, 33, 0xff]);
    let mut short = vec![0xfc, 0x12, 0x20, 0x02, 0xff];
    PayloadRewrite::Vp9 { picture_id: 0x101, tl0: 33 }.apply(&mut short);
    assert_eq!(short, [0xfc, 0x01, 0x20, 0x02, 0xff]);
}

#[test]
fn layers_and_frame_borders_are_reported() {
    let info = inspect(Codec::Vp8, &vp8(1, 2, 1, true, 0, true, false));
    assert_eq!(info.layer, Some(Layer { spatial: 0, temporal: 1 }));
    assert_eq!((info.frame_start, info.switch_up), (Some(true), SwitchUp::Here));
    let info = inspect(Codec::Vp9, &[0xec, 0x92, 0x34, 0x35, 0x09, 0xff]);
    assert_eq!(info.layer, Some(Layer { spatial: 2, temporal: 1 }));
    assert_eq!((info.frame_start, info.frame_end), (Some(true), true));
    assert_eq!(info.switch_up, SwitchUp::After(u8::MAX));
    let info = inspect(Codec::H265, &[0x04, 0x03, 0xd0]);
    assert_eq!(info.layer, Some(Layer { spatial: 0, temporal: 2 }));
    assert_eq!(info.switch_up, SwitchUp::Here, "TSA_N");
    let info = inspect(Codec::H265, &[0x02, 0x00, 0xd0]);
    assert_eq!(info.layer, None, "temporal id plus one of zero is void");
    let info = inspect(Codec::Av1, &[0x10, 0x34, 0b0100_1000, 0xff]);
    assert_eq!(info.layer, Some(Layer { spatial: 1, temporal: 2 }));
    let mut inspector = PayloadInspector::new(Codec::H264);
    assert!(inspector.inspect(&[0x41, 0x9a], true, None).frame_end);
    assert!(!inspector.inspect(&[0x41, 0x9a], false, None).frame_end);
}

proptest! {
    #[test]
    fn any_payload_is_inspected_and_patched_without_panic(
        codec in proptest::sample::select(Codec::ALL.to_vec()),
        mut payload in proptest::collection::vec(any::<u8>(), 0..64),
        descriptor in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..64)),
        marker: bool,
    ) {
        let info = PayloadInspector::new(codec).inspect(&payload, marker, descriptor.as_deref());
        if let Descriptor::Vp8(d) = info.descriptor {
            prop_assert!(usize::from(d.len) < payload.len());
        }
        if let Descriptor::Vp9(d) = info.descriptor {
            prop_assert!(usize::from(d.len) <= payload.len());
        }
        let before = payload.len();
        PayloadRewrite::Vp8 { picture_id: 1, tl0: 2, keyidx: 3 }.apply(&mut payload);
        PayloadRewrite::Vp9 { picture_id: 1, tl0: 2 }.apply(&mut payload);
        prop_assert_eq!(payload.len(), before);
    }

    #[test]
    fn rewritten_descriptors_read_back(picture: u16, tl0: u8, keyidx in 0u8..32, tid in 0u8..4, sync: bool, key: bool) {
        let mut payload = vp8(0, 0, tid, sync, 0, true, key);
        PayloadRewrite::Vp8 { picture_id: picture, tl0, keyidx }.apply(&mut payload);
        prop_assert_eq!(payload, vp8(picture, tl0, tid, sync, keyidx, true, key));
    }
}
