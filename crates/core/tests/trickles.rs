//! Candidates, both ways.

mod common;

use common::{Rig, error_in, sdp};
use portunus_core::{Settings, limits};
use portunus_plugin::{MediaEvent, Value, json};
use std::time::Duration;

const TEXT: &str = "candidate:1 1 udp 2015363327 192.0.2.9 5000 typ host";

fn offer() -> Value {
    json!({"type": "offer", "sdp": sdp::offer(&["0", "1"])})
}

fn trickle(rig: &mut Rig, what: Value) -> String {
    let mut body = json!({"janus": "trickle", "transaction": "t"});
    body.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
    rig.at(1, 2, body)
}

fn candidates(rig: &mut Rig) -> Vec<String> {
    let out = rig.take();
    out.iter().filter_map(|l| l.strip_prefix("media candidate 2 ")).map(str::to_owned).collect()
}

fn answered(settings: Settings) -> Rig {
    let (mut rig, session, handle) = Rig::attached_with(settings);
    rig.message(session, handle, "answer", offer());
    rig.take();
    rig
}

#[test]
fn candidates_go_on_as_soon_as_offer_and_answer_are_there() {
    let mut rig = answered(Settings::default());
    for (candidate, passed) in [
        (json!({"sdpMid": "0", "sdpMLineIndex": 0, "candidate": TEXT}), Some(TEXT)),
        (json!({"sdpMid": "0", "candidate": &TEXT[10..]}), Some(TEXT)),
        (json!({"sdpMLineIndex": 0, "candidate": TEXT}), Some(TEXT)),
        (json!({"sdpMid": "1", "candidate": TEXT}), None),
        (json!({"sdpMLineIndex": 1, "candidate": TEXT}), None),
        (json!({"sdpMid": "0", "candidate": "candidate:nonsense"}), None),
        (json!({"sdpMid": "0", "candidate": ""}), None),
        (json!({"completed": false}), Some("end")),
        (json!(null), Some("end")),
        (json!(5), Some("end")),
    ] {
        let text = trickle(&mut rig, json!({"candidate": candidate}));
        assert_eq!(text, r#"{"janus":"ack","session_id":1,"transaction":"t"}"#);
        assert_eq!(candidates(&mut rig), passed.into_iter().collect::<Vec<_>>(), "{candidate}");
    }
}

#[test]
fn bad_candidates_are_refused_once_they_are_read() {
    for (what, code, reason) in [
        (json!({"candidates": {}}), 467, "candidates is not an array"),
        (
            json!({"candidate": {"sdpMid": 0}}),
            467,
            "Trickle error: invalid element type (sdpMid should be a string)",
        ),
        (
            json!({"candidate": {"candidate": TEXT}}),
            456,
            "Trickle error: missing mandatory element (sdpMid or sdpMLineIndex)",
        ),
    ] {
        let mut rig = answered(Settings::default());
        assert_eq!(error_in(&trickle(&mut rig, what.clone())), (code, reason.to_owned()));
        // Without a PeerConnection nobody reads them.
        let (mut rig, ..) = Rig::attached();
        assert_eq!(error_in(&trickle(&mut rig, what)).0, 0);
    }
}

#[test]
fn the_request_itself_is_checked_always() {
    let (mut rig, ..) = Rig::attached();
    for (what, code, reason) in [
        (json!({}), 456, "Missing mandatory element (candidate|candidates)"),
        (json!({"candidate": 1, "candidates": 1}), 454, "Can't have both candidate and candidates"),
    ] {
        assert_eq!(error_in(&trickle(&mut rig, what)), (code, reason.to_owned()));
    }
}

#[test]
fn early_candidates_wait_for_the_answer_and_turn_trickling_on() {
    let (mut rig, session, handle) = Rig::attached();
    trickle(&mut rig, json!({"candidate": {"sdpMid": "0", "candidate": TEXT}}));
    trickle(&mut rig, json!({"candidates": [{"sdpMid": "0", "candidate": TEXT}, {"sdpMid": 9}, null]}));
    trickle(&mut rig, json!({"candidate": {"sdpMid": 9}}));
    rig.take();
    let whole = json!({"type": "offer", "sdp": sdp::offer(&["0"]), "trickle": false});
    rig.message(session, handle, "answer", whole.clone());
    assert!(rig.negotiations[0].trickle);
    assert_eq!(candidates(&mut rig), [TEXT, TEXT, "end"]);

    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "answer", whole);
    assert!(!rig.negotiations[0].trickle);
}

#[test]
fn candidates_for_an_unanswered_offer_wait() {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "ack", offer());
    trickle(&mut rig, json!({"candidate": {"sdpMid": "0", "candidate": TEXT}}));
    assert!(candidates(&mut rig).is_empty());
    rig.message(session, handle, "answer", offer());
    assert_eq!(candidates(&mut rig), [TEXT]);
}

#[test]
fn candidates_for_our_offer_wait_for_its_answer() {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "offer", json!(null));
    trickle(&mut rig, json!({"candidate": {"sdpMid": "0", "candidate": TEXT}}));
    assert!(candidates(&mut rig).is_empty());
    rig.message(session, handle, "ack", json!({"type": "answer", "sdp": sdp::answer()}));
    let out = rig.take();
    assert!(out[0].starts_with("media negotiate 2 exchange=false"));
    assert_eq!(out[1], format!("media candidate 2 {TEXT}"));
}

#[test]
fn early_candidates_grow_old() {
    let (mut rig, session, handle) = Rig::attached();
    trickle(&mut rig, json!({"candidate": {"sdpMid": "0", "candidate": TEXT}}));
    rig.pass(Duration::from_secs(46));
    trickle(&mut rig, json!({"candidate": null}));
    rig.message(session, handle, "answer", offer());
    assert_eq!(candidates(&mut rig), ["end"]);
    assert_eq!(rig.core.counters().trickles_expired, 1);
}

#[test]
fn only_so_many_early_candidates_are_kept() {
    let (mut rig, session, handle) = Rig::attached();
    for port in 1..=limits::EARLY_TRICKLES + 2 {
        let text = TEXT.replace("5000", &port.to_string());
        trickle(&mut rig, json!({"candidate": {"sdpMid": "0", "candidate": text}}));
    }
    rig.message(session, handle, "answer", offer());
    let passed = candidates(&mut rig);
    assert_eq!(passed.len(), limits::EARLY_TRICKLES);
    assert!(passed[0].contains(" 3 typ"), "the oldest are gone: {}", passed[0]);
    assert_eq!(rig.core.counters().trickles_dropped, 2);
}

#[test]
fn a_hangup_forgets_early_candidates() {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "ack", offer());
    trickle(&mut rig, json!({"candidate": {"sdpMid": "0", "candidate": TEXT}}));
    rig.at(session, handle, json!({"janus": "hangup", "transaction": "h"}));
    rig.message(session, handle, "answer", offer());
    assert!(candidates(&mut rig).is_empty());
}

#[test]
fn ours_are_told_one_by_one_only_with_full_trickle() {
    let ours = || MediaEvent::Candidate(Some(Box::new(sdp::candidate())));
    let mut rig = answered(Settings { full_trickle: true, ..Settings::default() });
    rig.media(2, ours());
    rig.media(2, MediaEvent::Candidate(None));
    assert_eq!(
        rig.take(),
        [
            r#"event {"janus":"trickle","session_id":1,"sender":2,"candidate":{"sdpMid":"0","sdpMLineIndex":0,"candidate":"candidate:1 1 udp 2015363327 192.0.2.7 10000 typ host"}}"#,
            r#"event {"janus":"trickle","session_id":1,"sender":2,"candidate":{"completed":true}}"#,
        ]
    );
    let mut rig = answered(Settings::default());
    rig.media(2, ours());
    assert!(rig.take().is_empty());
}

#[test]
fn a_heavy_trickle_is_not_kept_while_it_waits() {
    let (mut rig, session, handle) = Rig::attached();
    for (candidate, kept) in [("x".repeat(20_000), false), ("x".repeat(200), true)] {
        let before = rig.core.counters().trickles_dropped;
        let trickle = json!({"janus": "trickle", "transaction": "t", "candidate": {"candidate": candidate}});
        assert!(rig.at(session, handle, trickle).contains(r#""janus":"ack""#));
        assert_eq!(rig.core.counters().trickles_dropped == before, kept);
    }
}
