//! What comes in on a line is put onto a tape.

use super::*;
use portunus_plugin::media::Tapped;
use portunus_plugin::recording::Tape;
use portunus_rtp::packet::RtpView;
use std::sync::Mutex;

/// Keeps what it gets: when, and the packet.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<(Instant, Vec<u8>)>>);

impl Tape for Kept {
    fn packet(&self, now: Instant, packet: Tapped<'_>) {
        let (Tapped::Rtp(bytes) | Tapped::Rtcp(bytes) | Tapped::Data(bytes)) = packet;
        self.0.lock().unwrap().push((now, bytes.to_vec()));
    }
}

/// What one RTP packet of a tape is.
#[derive(Debug, PartialEq, Eq)]
struct Packet {
    pt: u8,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    extension: bool,
    payload: Vec<u8>,
}

impl Kept {
    fn packets(&self) -> Vec<Packet> {
        let read = |bytes: &[u8]| {
            let view = RtpView::parse(bytes).unwrap();
            let h = *view.header();
            Packet {
                pt: h.payload_type,
                ssrc: h.ssrc,
                sequence: h.sequence,
                timestamp: h.timestamp,
                extension: bytes[0] & 0x10 != 0,
                payload: view.payload().to_vec(),
            }
        };
        self.0.lock().unwrap().iter().map(|(_, bytes)| read(bytes)).collect()
    }
}

fn record(s: &mut Simulation, mid: &str) -> Arc<Kept> {
    let tape = Arc::new(Kept::default());
    let source = RouteEnd::new(s.handles[SERVER], mid);
    s.command(SERVER, MediaCommand::Record { source, tape: Some(tape.clone()) });
    tape
}

#[test]
fn a_tape_gets_each_packet_as_it_came_but_for_what_belongs_to_its_way() {
    let mut s = Simulation::new(vec![audio(0), video(1, Some(RTX))], |_| {});
    s.connect();
    let tape = record(&mut s, "0");
    let began = s.now;
    for n in 0..50_u16 {
        // Number 20 is lost before us.
        if n == 20 {
            continue;
        }
        s.send(&rtp("0", "", OPUS, 0x1111, 65_510_u16.wrapping_add(n), u32::from(n) * 960, &[7; 80]));
        s.send(&rtp("1", "", VP8, 0x2222, n, 0, &vp8(true, n, 100)));
        s.run(MS * 20);
    }
    let packets = tape.packets();
    assert_eq!(packets.len(), 49);
    let first = Packet {
        pt: OPUS,
        ssrc: 0x1111,
        sequence: 65_510,
        timestamp: 0,
        extension: false,
        payload: vec![7; 80],
    };
    assert_eq!(packets[0], first, "the mid is left out");
    let numbers: Vec<u16> = packets.iter().map(|p| p.sequence.wrapping_sub(65_510)).collect();
    let wanted: Vec<u16> = (0..50).filter(|n| *n != 20).collect();
    assert_eq!(numbers, wanted, "a gap stays a gap");
    assert!(packets.iter().all(|p| p.timestamp == u32::from(p.sequence.wrapping_sub(65_510)) * 960));
    let times: Vec<_> = tape.0.lock().unwrap().iter().map(|(at, _)| *at - began).collect();
    assert!(times.windows(2).all(|w| w[1] > w[0]) && times[48] > MS * 900, "{times:?}");
}

#[test]
fn a_tape_ends_when_it_is_told_to_and_with_its_peer() {
    let mut s = Simulation::new(vec![audio(0)], |_| {});
    s.connect();
    let tape = record(&mut s, "0");
    s.send(&rtp("0", "", OPUS, 1, 1, 0, &[1]));
    s.run(MS * 50);
    let source = RouteEnd::new(s.handles[SERVER], "0");
    s.command(SERVER, MediaCommand::Record { source, tape: None });
    s.send(&rtp("0", "", OPUS, 1, 2, 0, &[1]));
    s.run(MS * 50);
    assert_eq!(tape.packets().len(), 1);
    assert_eq!(Arc::strong_count(&tape), 1, "nobody keeps it");
    let tape = record(&mut s, "0");
    let handle = s.handles[SERVER];
    s.command(SERVER, MediaCommand::Hangup { handle, reason: "x".to_owned() });
    assert_eq!(Arc::strong_count(&tape), 1);
}

#[test]
fn a_pause_leaves_no_gap_in_the_numbers_and_takes_its_time() {
    let mut s = Simulation::new(vec![audio(0)], |_| {});
    s.connect();
    let tape = record(&mut s, "0");
    let source = RouteEnd::new(s.handles[SERVER], "0");
    for n in 0..150_u16 {
        if let Some(withheld) =
            [(50, true), (100, false)].iter().find(|(at, _)| *at == n).map(|(_, withheld)| *withheld)
        {
            s.command(SERVER, MediaCommand::Withhold { source: source.clone(), withheld });
        }
        s.send(&rtp("0", "", OPUS, 5, n, u32::from(n) * 960, &[7; 80]));
        s.run(MS * 20);
    }
    let packets = tape.packets();
    assert!((98..=102).contains(&packets.len()), "{}", packets.len());
    assert!(packets.windows(2).all(|w| w[1].sequence == w[0].sequence.wrapping_add(1)));
    let jumps: Vec<u32> = packets
        .windows(2)
        .map(|w| w[1].timestamp.wrapping_sub(w[0].timestamp))
        .filter(|j| *j != 960)
        .collect();
    assert!(jumps.len() == 1 && (45_000..52_000).contains(&jumps[0]), "{jumps:?}");
}

#[test]
fn what_a_sender_pads_with_does_not_get_onto_a_tape() {
    let mut s = Simulation::new(vec![video(0, Some(RTX))], |_| {});
    s.connect();
    let tape = record(&mut s, "0");
    for n in 0..10_u16 {
        let payload = if n % 2 == 1 { Vec::new() } else { vp8(n == 0, n, 300) };
        s.send(&rtp("0", "", VP8, 5, n, u32::from(n) * 3000, &payload));
        s.run(MS * 33);
    }
    let packets = tape.packets();
    assert_eq!(packets.iter().map(|p| p.sequence).collect::<Vec<_>>(), [0, 1, 2, 3, 4], "without a gap");
    assert!(packets.iter().all(|p| p.payload.len() >= 300));
}

#[test]
fn of_simulcast_the_best_layer_is_recorded_as_one_stream() {
    let layered = Negotiated { rids: vec!["l".to_owned(), "h".to_owned()], ..video(0, None) };
    let mut s = Simulation::new(vec![layered], |_| {});
    s.connect();
    let tape = record(&mut s, "0");
    let send = |s: &mut Simulation, rid: &str, ssrc: u32, n: u16, key: bool| {
        s.send(&rtp(
            "0",
            rid,
            VP8,
            ssrc,
            n,
            u32::from(n) * 3000,
            &vp8(key, n, if rid == "h" { 800 } else { 200 }),
        ));
    };
    for n in 0..90_u16 {
        send(&mut s, "l", 10, n, n % 10 == 0);
        // The better layer begins later, and pauses at the end.
        if (30..60).contains(&n) {
            send(&mut s, "h", 20, 500 + n, n == 30);
        }
        s.run(MS * 33);
    }
    let packets = tape.packets();
    assert!(packets.windows(2).all(|w| w[1].sequence == w[0].sequence.wrapping_add(1)), "one stream");
    assert!(packets.iter().all(|p| p.ssrc == packets[0].ssrc));
    let big = packets.iter().filter(|p| p.payload.len() > 700).count();
    assert_eq!(big, 30, "all of the better layer");
    assert!(packets.len() > 75, "{}", packets.len());
    assert!(packets.last().unwrap().payload.len() < 300, "the lower one when the better one is gone");
}
