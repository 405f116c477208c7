//! A compound RTCP packet with everything in it, and what is written from what was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portunus_rtp::rtcp::{Compound, Rtcp, RtcpWriter};
use portunus_rtp::twcc::Feedback;

fuzz_target!(|data: &[u8]| {
    read_feedback(data);
    let Ok(compound) = Compound::parse(data) else { return };
    let mut words = 0;
    for packet in compound {
        // A packet whose inside is unsound does not hide those behind it.
        words += 1;
        assert!(4 * words <= data.len(), "more packets than headers fit");
        let Ok(packet) = packet else { continue };
        read(packet, data.len());
    }
});

fn read(packet: Rtcp<'_>, len: usize) {
    let mut out = vec![0; len + 64];
    let mut writer = RtcpWriter::new(&mut out);
    match packet {
        Rtcp::SenderReport { sender, blocks } => {
            let blocks: Vec<_> = blocks.collect();
            assert!(blocks.len() <= 31 && 24 * blocks.len() <= len);
            writer.sender_report(&sender, &blocks).expect("what was read can be written");
            let Some(Ok(Rtcp::SenderReport { sender: s, blocks: b })) = first(writer.len(), &out) else {
                panic!("not the report that was written");
            };
            assert_eq!((s, b.collect::<Vec<_>>()), (sender, blocks));
        }
        Rtcp::ReceiverReport { ssrc, blocks } => {
            let blocks: Vec<_> = blocks.collect();
            writer.receiver_report(ssrc, &blocks).expect("what was read can be written");
            let Some(Ok(Rtcp::ReceiverReport { ssrc: s, blocks: b })) = first(writer.len(), &out) else {
                panic!("not the report that was written");
            };
            assert_eq!((s, b.collect::<Vec<_>>()), (ssrc, blocks));
        }
        Rtcp::Sdes(items) => {
            assert!(items.map(|item| item.text.len() + 2).sum::<usize>() <= len);
        }
        Rtcp::Bye(ssrcs) => assert!(ssrcs.count() <= 31),
        Rtcp::Nack { lost, .. } => assert!(lost.count() <= 17 * len / 4),
        Rtcp::Fir { entries, .. } => assert!(8 * entries.count() <= len),
        Rtcp::Remb { ssrcs, .. } => assert!(4 * ssrcs.count() <= len),
        Rtcp::TransportCc { body, .. } => read_feedback(body),
        Rtcp::Pli { .. } | Rtcp::Other { .. } => {}
    }
}

fn first(len: usize, out: &[u8]) -> Option<Result<Rtcp<'_>, portunus_rtp::RtpError>> {
    Compound::parse(&out[..len]).expect("what is written parses").next()
}

fn read_feedback(body: &[u8]) {
    let Ok(feedback) = Feedback::parse(body) else { return };
    let mut number = feedback.base;
    let mut count = 0;
    for result in feedback.results() {
        assert_eq!(result.number, number);
        number = number.wrapping_add(1);
        count += 1;
    }
    assert_eq!(count, usize::from(feedback.count), "a checked feedback is complete");
}
