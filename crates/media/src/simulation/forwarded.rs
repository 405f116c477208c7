//! What comes in on a line leaves as plain UDP.

use super::*;
use portunus_plugin::forward::{Family, Feedback, FeedbackPort, Forward, ForwardKey, KEY_AND_SALT, Layers};
use portunus_rtp::packet::RtpView;
use portunus_rtp::rtcp::RtcpWriter;
use portunus_srtp::{MasterKey, Opener, Profile, Sealer};
use std::net::UdpSocket;

const THERE: &str = "192.0.2.7:5004";

fn forward(id: u32) -> Forward {
    let to = THERE.parse().unwrap();
    Forward { id, to, payload_type: None, ssrc: None, layers: Layers::All, key: None, feedback: None }
}

fn begin(s: &mut Simulation, mid: &str, forward: Forward) {
    let source = RouteEnd::new(s.handles[SERVER], mid);
    s.command(SERVER, MediaCommand::Forward { source, forward: Box::new(forward) });
}

fn stop(s: &mut Simulation, mid: &str, id: u32) {
    let source = RouteEnd::new(s.handles[SERVER], mid);
    s.command(SERVER, MediaCommand::StopForward { source, id });
}

/// What came to an address, and is taken from there.
fn came(s: &mut Simulation, to: &str) -> Vec<Vec<u8>> {
    s.run(MS * 30);
    let to: SocketAddr = to.parse().unwrap();
    let (here, rest) = std::mem::take(&mut s.outside).into_iter().partition(|(at, _)| *at == to);
    s.outside = rest;
    let here: Vec<(SocketAddr, Vec<u8>)> = here;
    here.into_iter().map(|(_, bytes)| bytes).collect()
}

fn keyframe_requests(s: &mut Simulation) -> u64 {
    let mut n = 0;
    let handle = s.handles[SERVER];
    s.workers[SERVER].on_peer(handle, s.now, |peer, _| n = peer.keyframe_requests(0));
    n
}

#[test]
fn packets_leave_as_they_came_but_for_what_is_overridden() {
    let mut s = Simulation::new(vec![audio(0)], |_| {});
    s.connect();
    begin(&mut s, "0", forward(1));
    begin(
        &mut s,
        "0",
        Forward {
            payload_type: Some(97),
            ssrc: Some(7),
            to: "[2001:db8::1]:9".parse().unwrap(),
            ..forward(2)
        },
    );
    let mut sent = Vec::new();
    for n in 0..5_u16 {
        let packet = rtp("0", "", OPUS, 0x1111, 65_533_u16.wrapping_add(n), u32::from(n) * 960, &[7; 80]);
        s.send(&packet);
        sent.push(packet);
        s.run(MS * 20);
    }
    assert_eq!(came(&mut s, THERE), sent);
    let others = came(&mut s, "[2001:db8::1]:9");
    assert_eq!(others.len(), 5);
    for (other, sent) in others.iter().zip(&sent) {
        let view = RtpView::parse(other).unwrap();
        assert_eq!((view.payload_type(), view.ssrc()), (97, 7));
        assert_eq!((&other[2..8], &other[12..]), (&sent[2..8], &sent[12..]), "nothing else changed");
    }
    stop(&mut s, "0", 1);
    s.send(&rtp("0", "", OPUS, 0x1111, 9, 0, &[1]));
    assert_eq!((came(&mut s, THERE).len(), came(&mut s, "[2001:db8::1]:9").len()), (0, 1));
}

#[test]
fn sealed_packets_open_with_the_key_also_those_that_came_late() {
    for (short_tag, profile) in [(true, Profile::Aes128CmSha1_32), (false, Profile::Aes128CmSha1_80)] {
        let mut s = Simulation::new(vec![audio(0)], |_| {});
        s.connect();
        let bytes: [u8; KEY_AND_SALT] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        begin(&mut s, "0", Forward { key: Some(ForwardKey { short_tag, bytes }), ..forward(1) });
        // Another SSRC in between, and back to the first.
        for (n, ssrc) in [(1, 5), (2, 5), (4, 5), (5, 5), (3, 5), (6, 5), (7, 6), (9, 5), (8, 5)] {
            let packet = rtp("0", "", OPUS, ssrc, n, u32::from(n) * 960, &[7; 80]);
            s.workers[SERVER].feed(s.handles[SERVER], &packet, s.now);
            s.collect(SERVER);
        }
        let mut opener = Opener::new(&MasterKey::new(profile, &bytes[..16], &bytes[16..]).unwrap()).unwrap();
        let opened: Vec<u16> = came(&mut s, THERE)
            .iter_mut()
            .map(|packet| {
                let len = packet.len();
                let opened = opener.unprotect_rtp(packet).unwrap().len;
                assert_eq!(len - opened, if short_tag { 4 } else { 10 });
                RtpView::parse(&packet[..opened]).unwrap().sequence()
            })
            .collect();
        assert_eq!(opened, [1, 2, 4, 5, 3, 6, 7, 9, 8]);
    }
}

#[test]
fn substreams_go_each_their_own_way_or_the_best_as_one_stream() {
    let layered = Negotiated { rids: vec!["l".to_owned(), "h".to_owned()], ..video(0, None) };
    let mut s = Simulation::new(vec![layered], |_| {});
    s.connect();
    let to = |port: u16| SocketAddr::new([192, 0, 2, 7].into(), port);
    begin(&mut s, "0", Forward { layers: Layers::Substream(0), to: to(1), ..forward(1) });
    begin(&mut s, "0", Forward { layers: Layers::Substream(1), to: to(2), ..forward(2) });
    begin(&mut s, "0", Forward { layers: Layers::Best, to: to(3), payload_type: Some(120), ..forward(3) });
    begin(&mut s, "0", Forward { layers: Layers::Best, to: to(4), ssrc: Some(44), ..forward(4) });
    for n in 0..60_u16 {
        let key = n % 10 == 0;
        s.send(&rtp("0", "l", VP8, 10, n, u32::from(n) * 3000, &vp8(key, n, 200)));
        s.send(&rtp("0", "h", VP8, 20, 500 + n, u32::from(n) * 3000, &vp8(key, n, 800)));
        s.run(MS * 33);
    }
    let ssrcs = |packets: &[Vec<u8>]| {
        let mut all: Vec<u32> = packets.iter().map(|p| RtpView::parse(p).unwrap().ssrc()).collect();
        all.dedup();
        all
    };
    let [low, high, best, named] = [1, 2, 3, 4].map(|port| came(&mut s, &to(port).to_string()));
    assert_eq!((low.len(), ssrcs(&low)), (60, vec![10]));
    assert_eq!((high.len(), ssrcs(&high)), (60, vec![20]));
    assert_eq!((ssrcs(&best), ssrcs(&named)), (vec![3], vec![44]));
    let views: Vec<_> = best.iter().map(|p| RtpView::parse(p).unwrap()).collect();
    assert!(views.len() >= 55 && views.iter().all(|v| v.payload_type() == 120), "{}", views.len());
    assert!(views.windows(2).all(|w| w[1].sequence() == w[0].sequence().wrapping_add(1)), "one stream");
    assert!(views.iter().filter(|v| v.payload().len() == 800).count() >= 50, "of the best layer");
    assert!(views.iter().all(|v| v.header_len() == 12), "its extensions named another stream");
}

#[test]
fn what_is_withheld_does_not_leave() {
    let mut s = Simulation::new(vec![audio(0)], |_| {});
    s.connect();
    let source = RouteEnd::new(s.handles[SERVER], "0");
    // Before there is anything to forward it to, too.
    s.command(SERVER, MediaCommand::Withhold { source: source.clone(), withheld: true });
    begin(&mut s, "0", forward(1));
    for n in 0..30_u16 {
        if n == 10 {
            s.command(SERVER, MediaCommand::Withhold { source: source.clone(), withheld: false });
        }
        s.send(&rtp("0", "", OPUS, 5, n, u32::from(n) * 960, &[7; 80]));
        s.run(MS * 20);
    }
    let came = came(&mut s, THERE);
    assert!((20..=21).contains(&came.len()), "{}", came.len());
}

fn feedback(port: FeedbackPort) -> Option<Feedback> {
    Some(Feedback { port, to: "192.0.2.7:5005".parse().unwrap() })
}

#[test]
fn whoever_it_is_forwarded_to_may_ask_for_keyframes_and_nothing_else() {
    let mut s = Simulation::new(vec![video(0, None)], |_| {});
    s.connect();
    let port = FeedbackPort::open(Family::V4).unwrap();
    let to = SocketAddr::new([127, 0, 0, 1].into(), port.port());
    begin(&mut s, "0", Forward { feedback: feedback(port), ..forward(1) });
    s.send(&rtp("0", "", VP8, 5, 1, 0, &vp8(true, 1, 100)));
    s.run(MS * 2000);
    assert_eq!(came(&mut s, "192.0.2.7:5005"), [[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]; 2], "where it is");
    let them = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut room = [0; 256];
    let mut tell = |s: &mut Simulation, write: &dyn Fn(&mut RtcpWriter<'_>)| {
        let mut writer = RtcpWriter::new(&mut room);
        write(&mut writer);
        let len = writer.len();
        them.send_to(&room[..len], to).unwrap();
        let before = keyframe_requests(s);
        assert_eq!(s.workers[SERVER].simulate_feedback(s.now).0, 1);
        s.run(MS * 2000);
        keyframe_requests(s) - before
    };
    assert_eq!(tell(&mut s, &|w| w.nack(9, 5, &[1, 2]).map(drop).unwrap()), 0);
    assert_eq!(tell(&mut s, &|w| w.remb(9, 10, &[5]).unwrap()), 0);
    assert_eq!(tell(&mut s, &|w| w.receiver_report(9, &[]).unwrap()), 0);
    assert_ne!(tell(&mut s, &|w| w.pli(9, 5).unwrap()), 0);
    s.send(&rtp("0", "", VP8, 5, 2, 3000, &vp8(true, 2, 100)));
    s.run(MS * 1000);
    assert_ne!(
        tell(&mut s, &|w| {
            w.receiver_report(9, &[]).unwrap();
            w.fir(9, 5, 1).unwrap();
        }),
        0
    );
    for bytes in [&b""[..], b"x", &[0x81; 1400], &[0x81, 206, 0, 200]] {
        them.send_to(bytes, to).unwrap();
    }
    assert_eq!(s.workers[SERVER].simulate_feedback(s.now).0, 1);
}

#[test]
fn feedback_about_sealed_packets_may_be_sealed_with_any_key_or_none() {
    let mut s = Simulation::new(vec![video(0, None)], |_| {});
    s.connect();
    let port = FeedbackPort::open(Family::V4).unwrap();
    let to = SocketAddr::new([127, 0, 0, 1].into(), port.port());
    let key = ForwardKey { short_tag: false, bytes: [9; KEY_AND_SALT] };
    begin(&mut s, "0", Forward { feedback: feedback(port), key: Some(key), ..forward(1) });
    let them = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sealer = |key: u8| {
        let master = MasterKey::new(Profile::Aes128CmSha1_80, &[key; 16], &[key; 14]).unwrap();
        Sealer::new(master).unwrap()
    };
    let (mut own, mut other) = (sealer(9), sealer(8));
    // In the clear; sealed with its key; with another one; with its key behind a report, which hides it.
    for (n, (seal, report)) in [(None, false), (Some(&mut own), false), (Some(&mut other), false)]
        .into_iter()
        .chain([(Some(&mut sealer(9)), true)])
        .enumerate()
    {
        let mut room = [0; 256];
        let mut writer = RtcpWriter::new(&mut room);
        if report {
            writer.receiver_report(10, &[]).unwrap();
        }
        writer.pli(9, 5).unwrap();
        let len = writer.len();
        let len = seal.map_or(len, |sealer| sealer.protect_rtcp(&mut room, len).unwrap());
        let sequence = u16::try_from(n).unwrap();
        s.send(&rtp("0", "", VP8, 5, sequence, u32::from(sequence) * 3000, &vp8(true, sequence, 100)));
        s.run(MS * 2000);
        let before = keyframe_requests(&mut s);
        them.send_to(&room[..len], to).unwrap();
        s.workers[SERVER].simulate_feedback(s.now);
        s.run(MS * 200);
        assert_ne!(keyframe_requests(&mut s), before, "{n}");
    }
}

#[test]
fn a_feedback_port_is_closed_with_its_forwarder_and_with_its_peer() {
    let mut s = Simulation::new(vec![video(0, None)], |_| {});
    s.connect();
    let (_, sockets) = s.workers[SERVER].simulate_feedback(s.now);
    for id in 1..=3 {
        let port = FeedbackPort::open(Family::V4).unwrap();
        begin(&mut s, "0", Forward { feedback: feedback(port), ..forward(id) });
    }
    assert_eq!(s.workers[SERVER].simulate_feedback(s.now), (3, sockets + 4), "one to send from");
    stop(&mut s, "0", 2);
    stop(&mut s, "0", 2);
    assert_eq!(s.workers[SERVER].simulate_feedback(s.now), (2, sockets + 3));
    let handle = s.handles[SERVER];
    s.command(SERVER, MediaCommand::Hangup { handle, reason: "x".to_owned() });
    assert_eq!(s.workers[SERVER].simulate_feedback(s.now), (0, sockets + 1));
    // Whoever comes too late finds nothing.
    begin(&mut s, "0", Forward { feedback: feedback(FeedbackPort::open(Family::V4).unwrap()), ..forward(4) });
    assert_eq!(s.workers[SERVER].simulate_feedback(s.now), (0, sockets + 1));
}

#[test]
fn the_sockets_of_forwarders_are_no_candidates() {
    let mut s = Simulation::new(vec![audio(0)], |_| {});
    let [_, before] = s.exchange(false);
    let port = FeedbackPort::open(Family::V4).unwrap();
    begin(&mut s, "0", Forward { feedback: feedback(port), ..forward(1) });
    begin(&mut s, "0", Forward { to: "[2001:db8::1]:9".parse().unwrap(), ..forward(2) });
    let late = HandleId::from_random(3);
    s.handles[SERVER] = late;
    let [_, after] = s.exchange(true);
    let addresses = |t: &RemoteTransport| t.candidates.iter().map(|c| c.address.clone()).collect::<Vec<_>>();
    assert_eq!(addresses(&after), addresses(&before));
}
