use proptest::prelude::*;

use super::*;
use crate::testing::{Packet, one_byte};

#[test]
fn first_bytes_tell_the_protocol() {
    let table: &[(&[u8], Demux)] = &[
        (&[], Demux::Other),
        (&[0], Demux::Stun),
        (&[3, 1], Demux::Stun),
        (&[4, 1], Demux::Other),
        (&[16, 0], Demux::Other),
        (&[19, 0], Demux::Other),
        (&[20], Demux::Dtls),
        (&[22, 254, 253], Demux::Dtls),
        (&[63], Demux::Dtls),
        (&[64, 0], Demux::TurnChannel),
        (&[79, 0], Demux::TurnChannel),
        (&[80, 0], Demux::Other),
        (&[127, 0], Demux::Other),
        (&[128], Demux::Other),
        (&[128, 96], Demux::Rtp),
        (&[128, 191], Demux::Rtp),
        (&[128, 192], Demux::Rtcp),
        (&[129, 200], Demux::Rtcp),
        (&[191, 223], Demux::Rtcp),
        (&[143, 224], Demux::Rtp),
        (&[192, 96], Demux::Other),
        (&[255, 255], Demux::Other),
    ];
    for (bytes, expected) in table {
        assert_eq!(Demux::classify(bytes), *expected, "{bytes:?}");
    }
}

#[test]
fn all_fields_are_read() {
    let packet = Packet {
        marker: true,
        payload_type: 111,
        sequence: 0xfffe,
        timestamp: 0xdead_beef,
        ssrc: 0x0102_0304,
        csrcs: vec![5, 6],
        extension: Some(one_byte(&[(3, &[9])])),
        payload: vec![7; 20],
        padding: 4,
    };
    let bytes = packet.bytes();
    let view = RtpView::parse(&bytes).unwrap();
    assert!(view.marker());
    assert_eq!(view.payload_type(), 111);
    assert_eq!(view.sequence(), 0xfffe);
    assert_eq!(view.timestamp(), 0xdead_beef);
    assert_eq!(view.ssrc(), 0x0102_0304);
    assert_eq!(view.csrc_count(), 2);
    assert_eq!((view.csrc(0), view.csrc(1), view.csrc(2)), (Some(5), Some(6), None));
    assert_eq!(view.extension_profile(), Some(0xbede));
    assert_eq!(view.extension_block(), [0x30, 9, 0, 0]);
    assert_eq!(view.header_len(), 12 + 8 + 8);
    assert_eq!(view.payload(), [7; 20]);
    assert_eq!(view.payload_range(), 28..48);
    assert_eq!(view.padding_len(), 4);
    assert_eq!(view.bytes().len(), 52);
}

#[test]
fn broken_packets_are_refused() {
    let good = Packet::default().bytes();
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let table: &[(&str, Vec<u8>, RtpError)] = &[
        ("empty", vec![], RtpError::Truncated),
        ("eleven bytes", good[..11].to_vec(), RtpError::Truncated),
        ("version 1", with(0, 0x40), RtpError::Version),
        ("CSRCs beyond the end", with(0, 0x8f), RtpError::Truncated),
        ("extension without header", with(0, 0x90), RtpError::Truncated),
        (
            "extension beyond the end",
            Packet { extension: Some((0xbede, vec![])), payload: vec![], ..Packet::default() }
                .bytes()
                .into_iter()
                .enumerate()
                .map(|(i, b)| if i == 15 { 200 } else { b })
                .collect(),
            RtpError::Truncated,
        ),
        (
            "padding 0",
            {
                let mut b = with(0, 0xa0);
                *b.last_mut().unwrap() = 0;
                b
            },
            RtpError::Padding,
        ),
        (
            "padding longer than the payload",
            with(0, 0xa0).into_iter().chain([5]).collect(),
            RtpError::Padding,
        ),
        ("padding without a byte", vec![0xa0, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9], RtpError::Padding),
        ("1501 bytes", Packet { payload: vec![0; 1489], ..Packet::default() }.bytes(), RtpError::TooLong),
        ("65507 bytes", vec![0x80; 65_507], RtpError::TooLong),
    ];
    for (name, bytes, error) in table {
        assert_eq!(RtpView::parse(bytes).err(), Some(*error), "{name}");
    }
}

#[test]
fn padding_255_and_zero_payload_are_legal() {
    let bytes = Packet { payload: vec![], padding: 255, ..Packet::default() }.bytes();
    let view = RtpView::parse(&bytes).unwrap();
    assert_eq!((view.payload().len(), view.padding_len()), (0, 255));
    let bytes = Packet { payload: vec![], ..Packet::default() }.bytes();
    assert_eq!(RtpView::parse(&bytes).unwrap().payload(), []);
    let bytes = Packet { payload: vec![0; 1488], ..Packet::default() }.bytes();
    assert_eq!(RtpView::parse(&bytes).unwrap().payload().len(), 1488);
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), rtp: bool) {
        if rtp && let Some(first) = bytes.first_mut() {
            *first = *first & 0x3f | 0x80;
        }
        let _ = Demux::classify(&bytes);
        if let Ok(view) = RtpView::parse(&bytes) {
            prop_assert!(view.payload_range().end <= bytes.len());
            prop_assert_eq!(view.header_len() + view.payload().len() + view.padding_len(), bytes.len());
            prop_assert!(view.header().extension_range().end <= view.header_len());
        }
    }
}
