//! ICE: lite and full, restart, and what happens when a peer falls silent.

use super::*;

#[test]
fn a_lite_agent_sends_no_checks() {
    let mut s = Simulation::new(vec![audio(0)], |settings| settings.ice_lite = true);
    s.keep_log = true;
    s.connect();
    s.run(MS * 10_000);
    let requests =
        |side| s.log.iter().filter(|(from, b)| *from == side && b.starts_with(&[0x00, 0x01])).count();
    assert_eq!(requests(SERVER), 0);
    assert!(requests(CLIENT) > 2);
}

#[test]
fn after_an_ice_restart_media_goes_on() {
    for lite in [false, true] {
        let mut s = Simulation::new(vec![audio(0)], |settings| settings.ice_lite = lite);
        s.connect();
        s.echo("0");
        let [before, _] = s.exchange(true);
        s.run(MS * 1000);
        let [after, _] = s.exchange(true);
        assert_ne!(before.ufrag, after.ufrag);
        s.run(MS * 40_000);
        for i in 0..50_u16 {
            s.send(&rtp("0", "", OPUS, 1, i, 0, &[1]));
            s.run(MS * 20);
        }
        assert_eq!(s.received.len(), 50, "lite {lite}");
        assert_eq!(s.hangup(SERVER), None);
    }
}

#[test]
fn without_consent_media_stops_within_thirty_seconds_and_the_peer_is_freed_later() {
    for lite in [false, true] {
        let mut s = Simulation::new(vec![audio(0)], |settings| settings.ice_lite = lite);
        s.connect();
        s.run(MS * 3000);
        s.cut = true;
        s.run(MS * 25_000);
        assert!(!s.has(SERVER, &MediaEvent::IceFailed), "lite {lite}: too early");
        s.run(MS * 8_000);
        assert!(s.has(SERVER, &MediaEvent::IceFailed), "lite {lite}: no word of it");
        assert_eq!(s.hangup(SERVER), None);
        s.run(MS * 31_000);
        assert_eq!(s.hangup(SERVER).as_deref(), Some("ICE failed"));
    }
}

#[test]
fn hangup_on_failed_closes_at_once() {
    let mut s = Simulation::new(vec![audio(0)], |settings| settings.hangup_on_failed = true);
    s.connect();
    s.cut = true;
    s.run(MS * 33_000);
    assert_eq!(s.hangup(SERVER).as_deref(), Some("ICE failed"));
    assert!(!s.has(SERVER, &MediaEvent::IceFailed));
}

#[test]
fn a_partition_of_twenty_five_seconds_is_survived() {
    let mut s = Simulation::new(vec![audio(0)], |_| {});
    s.connect();
    s.echo("0");
    s.run(MS * 3000);
    s.cut = true;
    s.run(MS * 25_000);
    s.cut = false;
    s.run(MS * 4000);
    s.received.clear();
    for i in 0..50_u16 {
        s.send(&rtp("0", "", OPUS, 1, i, 0, &[1]));
        s.run(MS * 20);
    }
    assert_eq!(s.received.len(), 50);
}

#[test]
fn a_client_that_never_checks_is_given_up() {
    let mut s = Simulation::new(vec![audio(0)], |_| {});
    s.cut = true;
    s.exchange(false);
    s.run(MS * 31_000);
    assert_eq!(s.hangup(SERVER).as_deref(), Some("ICE failed"));
}

/// The server offers with its candidates, and hears of the answer so much later: how long after that both are up.
fn late_answer(lite: bool, late: Duration) -> Duration {
    let mut s = Simulation::new(vec![audio(0)], |settings| settings.ice_lite = lite);
    let offer = s.negotiate(SERVER, None, true, false, true).expect("an offer");
    let answer = s.negotiate(CLIENT, Some(offer), false, false, true).expect("an answer");
    s.run(late);
    s.negotiate(SERVER, Some(answer), true, false, false);
    let begun = s.now;
    s.run_until(MS * 5000, "up", |s| s.events.iter().all(|e| e.contains(&MediaEvent::Up)));
    s.now - begun
}

#[test]
fn checks_that_came_before_the_answer_are_not_waited_for_again() {
    for late in [100, 300, 900, 2000] {
        for lite in [true, false] {
            // 10 ms each way: an answer to the check, the handshake, and half a second for what is repeated.
            let took = late_answer(lite, MS * late);
            assert!(took < MS * 700, "lite {lite}, {late} ms late: {took:?}");
        }
    }
}

#[test]
fn a_request_of_somebody_else_before_the_answer_opens_nothing() {
    let mut s = Simulation::new(vec![audio(0)], |settings| settings.ice_lite = true);
    let offer = s.negotiate(SERVER, None, true, false, true).expect("an offer");
    let mut answer = s.negotiate(CLIENT, Some(offer), false, false, true).expect("an answer");
    s.run(MS * 100);
    s.cut = true;
    answer.ufrag = "somebodyelse".to_owned();
    s.negotiate(SERVER, Some(answer), true, false, false);
    s.run(MS * 1000);
    let handle = s.handles[SERVER];
    s.command(SERVER, MediaCommand::Report { handle, question: 1 });
    let selected = s.events[SERVER].iter().find_map(|e| match e {
        MediaEvent::Report { report, .. } => Some(report.ice.selected.is_some()),
        _ => None,
    });
    assert_eq!(selected, Some(false));
}
