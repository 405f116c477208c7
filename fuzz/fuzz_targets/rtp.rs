//! An RTP packet: views, extensions, payload descriptors of every codec, and what is written from it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portunus_rtp::codec::{Codec, Descriptor, PayloadInspector, PayloadRewrite};
use portunus_rtp::extension::{
    AudioLevel, ExtensionKind, ExtensionMap, Extensions, IdText, PlayoutDelay, VideoOrientation,
    parse_abs_send_time, parse_id_text, parse_transport_cc,
};
use portunus_rtp::packet::{Demux, RtpHeader, RtpView};
use portunus_rtp::write::{
    Rewrite, RtxTarget, SinkExtensions, SourcePacket, Stamp, packet_len, unwrap_rtx, write_packet,
    write_padding, write_rtx,
};

/// Room for a packet of the largest size with extensions and padding of ours.
const ROOM: usize = 2500;

fuzz_target!(|data: &[u8]| {
    let _ = Demux::classify(data);
    for codec in Codec::ALL {
        let mut inspector = PayloadInspector::new(codec);
        let info = inspector.inspect(data, false, Some(data));
        assert!(!info.keyframe || codec.is_keyframe(data));
        // A second frame finds the structure of the first.
        let _ = inspector.inspect(data, true, data.get(..3));
    }
    rewritten(data);
    let (control, packet) = data.split_first_chunk::<4>().map_or(([0; 4], data), |(c, p)| (*c, p));
    read(packet);
    if let Ok(source) = SourcePacket::parse(packet, &map(1)) {
        write(&source, control);
    }
    let mut copy = packet.to_vec();
    if let Ok(Some(len)) = unwrap_rtx(&mut copy, 7, 96) {
        let view = RtpView::parse(&copy[..len]).expect("an unwrapped packet is a packet");
        assert_eq!((view.ssrc(), view.payload_type()), (7, 96));
        let rtx = RtpView::parse(packet).expect("it was one before");
        assert_eq!(view.payload(), &rtx.payload()[2..]);
        assert_eq!(view.extension_block(), rtx.extension_block());
    }
});

fn map(first: u8) -> ExtensionMap {
    let mut map = ExtensionMap::new();
    for (kind, id) in ExtensionKind::ALL.into_iter().zip(first..) {
        map.try_insert(kind, id);
    }
    map
}

fn read(packet: &[u8]) {
    let Ok(view) = RtpView::parse(packet) else { return };
    assert_eq!(RtpHeader::parse(packet).as_ref(), Ok(view.header()));
    assert_eq!(view.header_len() + view.payload().len() + view.padding_len(), packet.len());
    assert_eq!((0..=15).filter_map(|n| view.csrc(n)).count(), usize::from(view.csrc_count()));
    let block = view.extension_block().len();
    assert!(Extensions::of(&view).map(|(_, value)| value.len() + 1).sum::<usize>() <= block);
    for (_, value) in Extensions::of(&view) {
        let _ = AudioLevel::parse(value);
        let _ = VideoOrientation::parse(value);
        let _ = parse_transport_cc(value);
        let _ = parse_abs_send_time(value);
        if let Some(text) = parse_id_text(value) {
            let _ = IdText::new(text);
        }
        if let Some(delay) = PlayoutDelay::parse(value) {
            assert_eq!(PlayoutDelay::parse(&delay.to_bytes()), Some(delay));
        }
    }
}

/// Patching a descriptor changes nothing about its shape.
fn rewritten(payload: &[u8]) {
    for (codec, rewrite) in [
        (Codec::Vp8, PayloadRewrite::Vp8 { picture_id: 0x7abc, tl0: 200, keyidx: 31 }),
        (Codec::Vp9, PayloadRewrite::Vp9 { picture_id: 0x7abc, tl0: 200 }),
    ] {
        let mut patched = payload.to_vec();
        rewrite.apply(&mut patched);
        assert_eq!(patched.len(), payload.len());
        let before = PayloadInspector::new(codec).inspect(payload, false, None);
        let after = PayloadInspector::new(codec).inspect(&patched, false, None);
        assert_eq!(
            (before.keyframe, before.frame_start, before.frame_end, before.layer),
            (after.keyframe, after.frame_start, after.frame_end, after.layer)
        );
        assert_eq!(before.descriptor == Descriptor::None, after.descriptor == Descriptor::None);
    }
}

/// What is written for a sink is a packet with the source's payload.
fn write(source: &SourcePacket<'_>, [a, b, c, d]: [u8; 4]) {
    let mut sink = SinkExtensions::new(map(1 + a % 20), IdText::new("audio0"));
    sink.set_one_byte_only(b & 1 != 0);
    let rewrite = Rewrite {
        ssrc: 0xa1b2_c3d4,
        payload_type: b & 0x7f,
        sequence: u16::from_be_bytes([a, b]),
        timestamp: 90_000,
        marker: source.view.marker(),
        payload: PayloadRewrite::Keep,
        frame_number: (d & 1 != 0).then_some(77),
    };
    let stamp = Stamp { transport_cc: 5, abs_send_time: 6, padding: c };
    let mut out = vec![0xee; ROOM];
    let len = write_packet(&mut out, source, &rewrite, &stamp, &sink).expect("there is room");
    let mut again = vec![0x11; ROOM];
    assert_eq!(write_packet(&mut again, source, &rewrite, &stamp, &sink), Ok(len));
    assert_eq!(out[..len], again[..len], "equal arguments, one byte string");
    let written = check(&out[..len], &rewrite, source.view.payload());
    assert_eq!(written.padding_len(), usize::from(c));
    assert_eq!(len, packet_len(source, &sink) + usize::from(c));
    let short = write_packet(&mut out[..len - 1], source, &rewrite, &stamp, &sink);
    assert!(short.is_err(), "too small a buffer is noticed");

    let rtx = RtxTarget { ssrc: 9, payload_type: 97, sequence: 1 };
    let len = write_rtx(&mut out, source, &rewrite, &rtx, &stamp, &sink).expect("there is room");
    if len <= portunus_rtp::packet::MAX_PACKET
        && let Ok(Some(original)) = unwrap_rtx(&mut out[..len], rewrite.ssrc, rewrite.payload_type)
    {
        check(&out[..original], &rewrite, source.view.payload());
    }
    let len = write_padding(&mut out, &rewrite, &stamp, &sink).expect("there is room");
    check(&out[..len], &rewrite, &[]);
}

fn check<'a>(packet: &'a [u8], rewrite: &Rewrite, payload: &[u8]) -> RtpView<'a> {
    if packet.len() > portunus_rtp::packet::MAX_PACKET {
        // Ours may be larger than what we take; look at it without its end.
        let header = RtpHeader::parse(&packet[..portunus_rtp::packet::MAX_PACKET]).expect("a header");
        let view = RtpView::with_header(packet, header).expect("a packet");
        assert_eq!(view.payload(), payload);
        return view;
    }
    let view = RtpView::parse(packet).expect("what is written is a packet");
    assert_eq!(view.payload(), payload);
    assert_eq!(
        (view.ssrc(), view.payload_type(), view.sequence(), view.timestamp(), view.marker()),
        (rewrite.ssrc, rewrite.payload_type, rewrite.sequence, rewrite.timestamp, rewrite.marker)
    );
    view
}
