//! What a client sends comes back to it.

use super::*;

#[test]
fn packets_come_back_in_order_with_our_ssrc_and_without_a_gap() {
    let mut s = Simulation::new(vec![audio(0), video(1, Some(RTX))], |_| {});
    s.connect();
    s.echo("0");
    s.echo("1");
    for i in 0..200_u16 {
        s.send(&rtp("0", "", OPUS, 0x1111, 65_500_u16.wrapping_add(i), u32::from(i) * 960, &[7; 80]));
        s.send(&rtp("1", "", VP8, 0x2222, i, u32::from(i) * 3000, &vp8(i == 0, i, 900)));
        s.run(MS * 20);
    }
    for (line, pt_step) in [(0, 960), (1, 3000)] {
        let got: Vec<_> = s.received.iter().filter(|r| r.line == line).collect();
        assert_eq!(got.len(), 200);
        assert!(got.windows(2).all(|w| w[1].sequence == w[0].sequence.wrapping_add(1)));
        assert!(got.windows(2).all(|w| w[1].timestamp == w[0].timestamp.wrapping_add(pt_step)));
        assert!(got.iter().all(|r| r.ssrc == got[0].ssrc && ![0x1111, 0x2222].contains(&r.ssrc)));
    }
}

#[test]
fn a_sender_that_begins_anew_with_another_ssrc_is_received_on() {
    let mut s = Simulation::new(vec![audio(0), video(1, Some(RTX))], |_| {});
    s.connect();
    s.echo("0");
    s.echo("1");
    let mut sent = 0;
    // Numbers that lie behind, far behind, ahead and far ahead of those before.
    for (ssrc, first) in
        [(0x2222, 40_000_u16), (0x3333, 100), (0x4444, 65_500), (0x5555, 64_000), (0x6666, 1000)]
    {
        for i in 0..100_u16 {
            let (n, timestamp) = (first.wrapping_add(i), ssrc * 77 + u32::from(i) * 3000);
            s.send(&rtp("0", "", OPUS, ssrc + 1, n, timestamp, &[7; 80]));
            s.send(&rtp("1", "", VP8, ssrc, n, timestamp, &vp8(i == 0, i, 900)));
            s.run(MS * 20);
            sent += 1;
        }
    }
    for line in [0, 1] {
        let got: Vec<_> = s.received.iter().filter(|r| r.line == line).collect();
        assert_eq!(got.len(), sent, "line {line}");
        assert!(got.windows(2).all(|w| w[1].sequence == w[0].sequence.wrapping_add(1)));
        assert!(got.iter().all(|r| r.ssrc == got[0].ssrc));
    }
    let mut lost = 1;
    s.workers[SERVER].on_peer(s.handles[SERVER], s.now, |peer, _| lost = peer.totals().lost);
    assert_eq!(lost, 0);
}

#[test]
fn the_first_packet_of_a_medium_is_told_and_so_is_its_silence() {
    let mut s = Simulation::new(vec![audio(0)], |_| {});
    s.connect();
    for i in 0..10_u16 {
        s.send(&rtp("0", "", OPUS, 1, i, 0, &[1]));
        s.run(MS * 20);
    }
    let told = |receiving, seconds| MediaEvent::Receiving {
        mid: "0".to_owned(),
        kind: MediaKind::Audio,
        substream: None,
        receiving,
        seconds,
    };
    assert!(s.has(SERVER, &told(true, 0)));
    assert!(!s.has(SERVER, &told(false, 1)));
    s.run(MS * 2500);
    assert!(s.has(SERVER, &told(false, 1)));
}

#[test]
fn switching_a_medium_off_and_on_leaves_no_gap() {
    let mut s = Simulation::new(vec![video(0, Some(RTX))], |_| {});
    s.connect();
    s.echo("0");
    let mut n = 0_u16;
    let mut burst = |s: &mut Simulation| {
        for _ in 0..30 {
            s.send(&rtp("0", "", VP8, 5, n, u32::from(n) * 3000, &vp8(n.is_multiple_of(30), n, 500)));
            n += 1;
            s.run(MS * 33);
        }
    };
    burst(&mut s);
    let sink = RouteEnd::new(s.handles[SERVER], "0");
    s.command(SERVER, MediaCommand::Unroute { sink });
    let before = s.received.len();
    assert_eq!(before, 30);
    burst(&mut s);
    assert_eq!(s.received.len(), before, "nothing comes while it is off");
    s.echo("0");
    burst(&mut s);
    assert_eq!(s.received.len(), 60);
    assert!(s.received.windows(2).all(|w| w[1].sequence == w[0].sequence.wrapping_add(1)));
    // Half a minute of video at 90 kHz went by in between.
    let jump = s.received[30].timestamp.wrapping_sub(s.received[29].timestamp);
    assert!((80_000..110_000).contains(&jump), "{jump}");
}

#[test]
fn a_hangup_closes_the_other_side_by_an_alert() {
    let mut s = Simulation::new(vec![audio(0)], |_| {});
    s.connect();
    let handle = s.handles[SERVER];
    s.command(SERVER, MediaCommand::Hangup { handle, reason: "Janus API".to_owned() });
    assert_eq!(s.hangup(SERVER).as_deref(), Some("Janus API"));
    s.run(MS * 100);
    assert_eq!(s.hangup(CLIENT).as_deref(), Some("DTLS alert"));
}

#[test]
fn a_handle_can_connect_again_after_a_hangup() {
    let mut s = Simulation::new(vec![audio(0)], |_| {});
    s.connect();
    for side in [CLIENT, SERVER] {
        let handle = s.handles[side];
        s.command(side, MediaCommand::Hangup { handle, reason: "x".to_owned() });
        s.events[side].clear();
    }
    s.run(MS * 200);
    s.events = [Vec::new(), Vec::new()];
    s.connect();
}

#[test]
fn a_first_flight_that_overtakes_our_check_is_not_lost() {
    // We offer; the client's check is here before its answer, and its handshake before the answer to our check.
    let mut s = Simulation::new(vec![audio(0)], |_| {});
    let offer = s.negotiate(SERVER, None, true, false, true).unwrap();
    let answer = s.negotiate(CLIENT, Some(offer), false, false, true).unwrap();
    assert_eq!(answer.setup, Some(Setup::Active));
    s.run(MS * 15);
    s.negotiate(SERVER, Some(answer), true, false, false);
    let began = s.now;
    s.run_until(MS * 5000, "both up", |s| s.events.iter().all(|e| e.contains(&MediaEvent::Up)));
    // Seven journeys of 10 ms; a lost first flight costs 50 ms more.
    let took = s.now - began;
    assert!(took <= MS * 85, "{took:?}");
}
