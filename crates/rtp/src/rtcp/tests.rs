use core::time::Duration;

use proptest::prelude::*;

use super::*;

fn one(bytes: &[u8]) -> Result<Rtcp<'_>, RtpError> {
    Compound::parse(bytes)?.next().unwrap()
}

fn written(write: impl FnOnce(&mut RtcpWriter<'_>)) -> Vec<u8> {
    let mut out = [0xee; 1400];
    let mut writer = RtcpWriter::new(&mut out);
    assert!(writer.is_empty());
    write(&mut writer);
    let len = writer.len();
    assert_eq!(len % 4, 0);
    out[..len].to_vec()
}

const BLOCK: ReportBlock = ReportBlock {
    ssrc: 0x0102_0304,
    fraction_lost: 64,
    cumulative_lost: -2,
    highest_sequence: 0x0001_ffff,
    jitter: 77,
    last_sr: 0xaabb_ccdd,
    delay_since_last_sr: 65_536,
};

const SENDER: SenderInfo =
    SenderInfo { ssrc: 9, ntp: 0x0102_0304_0506_0708, rtp_timestamp: 0xffff_0000, packets: 10, octets: 11 };

#[test]
fn hand_made_packets_are_read() {
    // A receiver report with one block, as it lies on the wire.
    let rr = [
        0x81, 201, 0, 7, 0, 0, 0, 9, 1, 2, 3, 4, 64, 0xff, 0xff, 0xfe, 0, 1, 0xff, 0xff, 0, 0, 0, 77, 0xaa,
        0xbb, 0xcc, 0xdd, 0, 1, 0, 0,
    ];
    let Ok(Rtcp::ReceiverReport { ssrc: 9, mut blocks }) = one(&rr) else { panic!() };
    assert_eq!((blocks.next(), blocks.next()), (Some(BLOCK), None));
    assert_eq!(written(|w| w.receiver_report(9, &[BLOCK]).unwrap()), rr);

    let nack = [0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xfe, 0x80, 0x03];
    let Ok(Rtcp::Nack { sender: 1, media: 2, lost }) = one(&nack) else { panic!() };
    assert_eq!(lost.collect::<Vec<_>>(), [65_534, 65_535, 0, 14]);

    let pli = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
    assert!(matches!(one(&pli), Ok(Rtcp::Pli { sender: 1, media: 2 })));

    let fir = [0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 7, 0, 0, 0];
    let Ok(Rtcp::Fir { sender: 1, entries }) = one(&fir) else { panic!() };
    assert_eq!(entries.collect::<Vec<_>>(), [(2, 7)]);

    // 1.5 Mbit/s: mantissa 187500, exponent 3.
    let remb =
        [0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1, 0x0e, 0xdc, 0x6c, 0, 0, 0, 2];
    let Ok(Rtcp::Remb { sender: 1, bitrate: 1_500_000, ssrcs }) = one(&remb) else { panic!() };
    assert_eq!(ssrcs.collect::<Vec<_>>(), [2]);
    assert_eq!(written(|w| w.remb(1, 1_500_000, &[2]).unwrap()), remb);

    let sdes = [0x81, 202, 0, 3, 0, 0, 0, 9, 1, 5, b'j', b'a', b'n', b'u', b's', 0];
    let Ok(Rtcp::Sdes(items)) = one(&sdes) else { panic!() };
    assert_eq!(items.collect::<Vec<_>>(), [SdesItem { ssrc: 9, kind: 1, text: b"janus" }]);
    assert_eq!(written(|w| w.cname(9, "janus").unwrap()), sdes);

    let two = [0x82, 202, 0, 4, 0, 0, 0, 9, 1, 1, b'a', 0, 0, 0, 0, 8, 2, 1, b'b', 0];
    let Ok(Rtcp::Sdes(items)) = one(&two) else { panic!() };
    assert_eq!(
        items.map(|i| (i.ssrc, i.kind, i.text)).collect::<Vec<_>>(),
        [(9, 1, &b"a"[..]), (8, 2, b"b")]
    );

    let bye = [0x82, 203, 0, 2, 0, 0, 0, 9, 0, 0, 0, 8];
    let Ok(Rtcp::Bye(ssrcs)) = one(&bye) else { panic!() };
    assert_eq!(ssrcs.collect::<Vec<_>>(), [9, 8]);

    let app = [0x83, 204, 0, 2, 0, 0, 0, 9, b'n', b'a', b'm', b'e'];
    assert!(matches!(one(&app), Ok(Rtcp::Other { packet_type: 204, format: 3 })));
    let afb = [0x8f, 206, 0, 3, 0, 0, 0, 9, 0, 0, 0, 0, b'A', b'L', b'F', b'X'];
    assert!(matches!(one(&afb), Ok(Rtcp::Other { packet_type: 206, format: 15 })));
}

#[test]
fn remb_values_saturate() {
    let body = |bytes: [u8; 3]| {
        let [a, b, c] = bytes;
        [0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 0, a, b, c]
    };
    let table = [
        ([0, 0, 0], 0),
        ([0, 0, 1], 1),
        ([0xfc, 0, 0], 0),
        ([0xfc, 0, 1], 1 << 63),
        ([0xff, 0xff, 0xff], u64::MAX),
    ];
    for (bytes, expected) in table {
        let bytes = body(bytes);
        let Ok(Rtcp::Remb { bitrate, .. }) = one(&bytes) else { panic!() };
        assert_eq!(bitrate, expected);
    }
}

#[test]
fn broken_compounds_are_refused() {
    let table: &[(&str, &[u8], RtpError)] = &[
        ("empty", &[], RtpError::Truncated),
        ("three bytes", &[0x80, 201, 0], RtpError::Truncated),
        ("version", &[0x40, 201, 0, 1, 0, 0, 0, 9], RtpError::Version),
        ("longer than the datagram", &[0x80, 201, 0, 2, 0, 0, 0, 9], RtpError::RtcpLength),
        ("rest", &[0x80, 201, 0, 1, 0, 0, 0, 9, 1, 2], RtpError::Truncated),
        ("padding 0", &[0xa0, 201, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0], RtpError::Padding),
        ("padding too long", &[0xa0, 201, 0, 2, 0, 0, 0, 9, 0, 0, 0, 9], RtpError::Padding),
        ("padding of nothing", &[0xa0, 201, 0, 0], RtpError::Padding),
        (
            "padding inside the compound",
            &[0xa0, 201, 0, 2, 0, 0, 0, 9, 0, 0, 0, 4, 0x80, 201, 0, 1, 0, 0, 0, 9],
            RtpError::Padding,
        ),
    ];
    for (name, bytes, error) in table {
        assert_eq!(Compound::parse(bytes).err(), Some(*error), "{name}");
    }
    let bodies: &[(&str, &[u8], RtpError)] = &[
        ("four bytes", &[0x80, 201, 0, 0], RtpError::Truncated),
        ("SR without sender part", &[0x80, 200, 0, 1, 0, 0, 0, 9], RtpError::Truncated),
        ("RR with blocks announced", &[0x82, 201, 0, 1, 0, 0, 0, 9], RtpError::RtcpLength),
        ("BYE for more than there are", &[0x9f, 203, 0, 1, 0, 0, 0, 9], RtpError::RtcpLength),
        ("NACK without media", &[0x81, 205, 0, 1, 0, 0, 0, 9], RtpError::Truncated),
        ("REMB cut", &[0x8f, 206, 0, 3, 0, 0, 0, 9, 0, 0, 0, 0, b'R', b'E', b'M', b'B'], RtpError::Truncated),
        (
            "REMB for more than there are",
            &[0x8f, 206, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 255, 0, 0, 1],
            RtpError::RtcpLength,
        ),
    ];
    for (name, bytes, error) in bodies {
        assert_eq!(one(bytes).err(), Some(*error), "{name}");
        let both = [bytes, &[0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2][..]].concat();
        let mut compound = Compound::parse(&both).unwrap();
        assert!(compound.next().unwrap().is_err());
        assert!(matches!(compound.next(), Some(Ok(Rtcp::Pli { .. }))), "{name}: the next one is read");
    }
}

#[test]
fn a_compound_is_written_and_read() {
    let body = [0, 100, 0, 1, 0, 0, 1, 0, 0x20, 1, 4];
    let bytes = written(|w| {
        w.sender_report(&SENDER, &[BLOCK, BLOCK]).unwrap();
        w.cname(9, "a-name").unwrap();
        w.pli(9, 5).unwrap();
        w.fir(9, 5, 200).unwrap();
        w.bye(9).unwrap();
        w.transport_cc(9, 5, &body).unwrap();
    });
    let list: Vec<_> = Compound::parse(&bytes).unwrap().map(Result::unwrap).collect();
    let [sr, sdes, pli, fir, bye, cc] = list.as_slice() else { panic!("{list:?}") };
    let Rtcp::SenderReport { sender, blocks } = sr else { panic!() };
    assert_eq!((*sender, blocks.collect::<Vec<_>>()), (SENDER, vec![BLOCK, BLOCK]));
    let Rtcp::Sdes(items) = sdes else { panic!() };
    assert_eq!(items.map(|i| i.text).collect::<Vec<_>>(), [b"a-name"]);
    assert!(matches!(pli, Rtcp::Pli { sender: 9, media: 5 }));
    let Rtcp::Fir { entries, .. } = fir else { panic!() };
    assert_eq!(entries.collect::<Vec<_>>(), [(5, 200)]);
    let Rtcp::Bye(ssrcs) = bye else { panic!() };
    assert_eq!(ssrcs.collect::<Vec<_>>(), [9]);
    let Rtcp::TransportCc { sender: 9, media: 5, body: read } = cc else { panic!() };
    assert_eq!(*read, body, "padding is taken off");
}

#[test]
fn cnames_of_every_length_end_at_a_word() {
    for len in 0..20 {
        let name = "x".repeat(len);
        let bytes = written(|w| w.cname(1, &name).unwrap());
        let Ok(Rtcp::Sdes(items)) = one(&bytes) else { panic!() };
        assert_eq!(items.map(|i| i.text.len()).collect::<Vec<_>>(), [len]);
    }
    let mut out = [0; 600];
    assert_eq!(RtcpWriter::new(&mut out).cname(1, &"x".repeat(256)), Err(RtpError::TooLong));
}

#[test]
fn nothing_half_is_written() {
    let mut out = [0; 40];
    let mut writer = RtcpWriter::new(&mut out);
    writer.receiver_report(1, &[BLOCK]).unwrap();
    let before = writer.len();
    assert_eq!(writer.receiver_report(1, &[BLOCK]), Err(RtpError::BufferTooSmall));
    assert_eq!(writer.pli(1, 2), Err(RtpError::BufferTooSmall));
    assert_eq!(writer.nack(1, 2, &[3]), Err(RtpError::BufferTooSmall));
    assert_eq!(writer.len(), before);
    writer.bye(1).unwrap();
    assert_eq!(Compound::parse(&out).unwrap().count(), 2);
    let mut out = [0; 2000];
    assert_eq!(RtcpWriter::new(&mut out).receiver_report(1, &[BLOCK; 32]), Err(RtpError::TooMany));
}

#[test]
fn a_long_nack_is_split() {
    let lost: Vec<u16> = (0..400).map(|n| n * 17).collect();
    let mut out = [0; 12 + 4 * 10];
    let taken = RtcpWriter::new(&mut out).nack(1, 2, &lost).unwrap();
    assert_eq!(taken, 10);
    let mut out = [0; 1400];
    assert_eq!(RtcpWriter::new(&mut out).nack(1, 2, &lost), Ok(MAX_NACK_ITEMS));
    assert_eq!(RtcpWriter::new(&mut out).nack(1, 2, &[]), Ok(0));
}

#[test]
fn ntp_time_and_round_trip() {
    let ntp = ntp_time(Duration::from_micros(1_500_000));
    assert_eq!(ntp, (2_208_988_801 << 32) | 0x8000_0000);
    assert_eq!(ntp_middle(ntp), (2_208_988_801u64 as u16 as u32) << 16 | 0x8000);
    // RFC 3550 figure 2: A = b710:8000, LSR = b705:2000, DLSR = 5:4000, round trip 6.125 s.
    assert_eq!(rtt_us(0xb710_8000, 0xb705_2000, 0x0005_4000), Some(6_125_000));
    let table = [
        (1000, 0, 0, None),
        (1000, 1000, 0, Some(0)),
        (1000, 1000, 1, Some(0)),
        (1000, 1000, 65_536, Some(0)),
        (1000, 1000, 10 * 65_536, None),
        (5, u32::MAX - 4, 0, Some(10 * 1_000_000 / 65_536)),
    ];
    for (now, lsr, dlsr, expected) in table {
        assert_eq!(rtt_us(now, lsr, dlsr), expected, "{now} {lsr} {dlsr}");
    }
}

fn drain(bytes: &[u8]) {
    let Ok(compound) = Compound::parse(bytes) else { return };
    for packet in compound.flatten() {
        match packet {
            Rtcp::SenderReport { blocks, .. } | Rtcp::ReceiverReport { blocks, .. } => {
                assert!(blocks.count() <= MAX_REPORT_BLOCKS);
            }
            Rtcp::Sdes(items) => assert!(items.count() <= bytes.len()),
            Rtcp::Bye(ssrcs) | Rtcp::Remb { ssrcs, .. } => assert!(ssrcs.count() <= 255),
            Rtcp::Nack { lost, .. } => assert!(lost.count() <= bytes.len() / 4 * 17),
            Rtcp::Fir { entries, .. } => assert!(entries.count() <= bytes.len() / 8),
            Rtcp::TransportCc { body, .. } => {
                if let Ok(feedback) = crate::twcc::Feedback::parse(body) {
                    assert_eq!(feedback.results().count(), usize::from(feedback.count));
                }
            }
            Rtcp::Pli { .. } | Rtcp::Other { .. } => {}
        }
    }
}

proptest! {
    #[test]
    fn nacks_read_back(first: u16, gaps in proptest::collection::vec(1u16..60, 0..100)) {
        let mut lost = vec![first];
        lost.extend(gaps.iter().scan(first, |n, gap| {
            *n = n.wrapping_add(*gap);
            Some(*n)
        }));
        let mut read = vec![];
        let mut rest = lost.as_slice();
        while !rest.is_empty() {
            let mut taken = 0;
            let bytes = written(|w| taken = w.nack(1, 2, rest).unwrap());
            let Ok(Rtcp::Nack { lost, .. }) = one(&bytes) else { panic!() };
            read.extend(lost);
            rest = &rest[taken..];
        }
        prop_assert_eq!(read, lost);
    }

    #[test]
    fn remb_keeps_18_significant_bits(bitrate: u64) {
        let bytes = written(|w| w.remb(1, bitrate, &[1, 2, 3]).unwrap());
        let Ok(Rtcp::Remb { bitrate: read, ssrcs, .. }) = one(&bytes) else { panic!() };
        prop_assert!(read <= bitrate && bitrate - read <= bitrate >> 17);
        prop_assert_eq!(ssrcs.count(), 3);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        drain(&bytes);
    }

    #[test]
    fn any_bodies_are_read_without_panic(
        packets in proptest::collection::vec(
            (0u8..32, prop_oneof![Just(200u8), Just(201), Just(202), Just(203), Just(205), Just(206), Just(207)],
             proptest::collection::vec(any::<u8>(), 0..40), any::<bool>()), 1..5),
    ) {
        let mut bytes = vec![];
        for (format, packet_type, mut body, remb) in packets {
            body.resize(body.len().next_multiple_of(4), 0);
            if remb && body.len() >= 12 {
                body[8..12].copy_from_slice(b"REMB");
            }
            bytes.extend([0x80 | format, packet_type, 0, (body.len() / 4) as u8]);
            bytes.extend(body);
        }
        prop_assert!(Compound::parse(&bytes).is_ok());
        drain(&bytes);
    }
}
