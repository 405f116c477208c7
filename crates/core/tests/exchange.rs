//! Offer and answer: what is told to the media engine, when the client hears of it, and what is refused.

mod common;

use common::{Rig, error_in, sdp};
use portunus_core::Settings;
use portunus_plugin::{MediaEvent, Value, json};
use std::time::Duration;

const ACK: &str = r#"reply {"janus":"ack","session_id":1,"transaction":"m"}"#;

fn offer() -> Value {
    json!({"type": "offer", "sdp": sdp::offer(&["0"])})
}

fn answer() -> Value {
    json!({"type": "answer", "sdp": sdp::answer()})
}

/// The media engine answers the newest exchange.
fn local(rig: &mut Rig, handle: u64) {
    let exchange = rig.negotiations.iter().filter_map(|n| n.exchange).next_back().expect("an exchange");
    rig.media(handle, MediaEvent::Local { exchange, transport: sdp::local() });
}

fn hangup(reason: &str) -> MediaEvent {
    MediaEvent::Hangup { reason: reason.into() }
}

/// A handle whose offer was answered and that is up.
fn connected() -> (Rig, u64, u64) {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "answer", offer());
    local(&mut rig, handle);
    rig.media(handle, MediaEvent::Up);
    rig.take();
    rig.take_calls();
    (rig, session, handle)
}

/// The `sdp` of an event, and the event without it.
fn split_sdp(line: &str) -> (String, String) {
    let mut event: Value = serde_json::from_str(line.strip_prefix("event ").expect("an event")).unwrap();
    let sdp = event["jsep"]["sdp"].take().as_str().unwrap().to_owned();
    (event.to_string(), sdp)
}

#[test]
fn an_answer_leaves_when_the_media_engine_has_told_its_part() {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "answer", offer());
    assert_eq!(rig.take(), [ACK, "media negotiate 2 exchange=true remote=true offering=false trickle=true"]);
    assert_eq!(rig.take_calls(), [r#"message 2 Some(("offer", false))"#]);
    local(&mut rig, handle);
    let out = rig.take();
    assert_eq!(out.len(), 1);
    let (event, sdp) = split_sdp(&out[0]);
    assert_eq!(
        event,
        r#"{"janus":"event","session_id":1,"transaction":"m","sender":2,"plugindata":{"plugin":"janus.plugin.script","data":{"script":"event"}},"jsep":{"type":"answer","sdp":null}}"#
    );
    for line in
        ["o=- 4611 2 IN IP4 192.0.2.7", "a=setup:active", "a=ice-ufrag:ours", "a=mid:0", "a=ssrc:1234"]
    {
        assert!(sdp.contains(line), "{line} in\n{sdp}");
    }
}

#[test]
fn end_to_end_encryption_is_told_back() {
    let (mut rig, session, handle) = Rig::attached();
    let mut body = json!({
        "janus": "message", "transaction": "m", "body": {"do": "answer", "e2ee": 1}, "jsep": offer(),
    });
    body["jsep"]["e2ee"] = json!(true);
    rig.at(session, handle, body);
    rig.take();
    local(&mut rig, handle);
    assert!(rig.take()[0].ends_with(r#","e2ee":true}}"#));
}

#[test]
fn events_behind_one_that_waits_for_its_description_stay_behind_it() {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "answer", offer());
    rig.message(session, handle, "event", json!(null));
    rig.take();
    local(&mut rig, handle);
    let out = rig.take();
    assert!(out[0].contains(r#""jsep""#) && !out[1].contains(r#""jsep""#), "{out:?}");
}

#[test]
fn an_event_whose_peer_closes_before_its_description_is_there_comes_without_it() {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "answer", offer());
    rig.take();
    rig.at(session, handle, json!({"janus": "hangup", "transaction": "h"}));
    let out = rig.take();
    assert!(out[2].contains(r#""transaction":"m""#) && !out[2].contains("jsep"), "{out:?}");
    assert!(out[4].contains(r#""janus":"hangup""#), "{out:?}");
}

#[test]
fn what_a_plugin_offers_after_a_hangup_is_for_the_next_peer() {
    let (mut rig, session, handle) = connected();
    rig.at(session, handle, json!({"janus": "hangup", "transaction": "h"}));
    assert_eq!(rig.take_calls(), ["media 2 hangup Janus API"], "it knows before it offers");
    rig.take();
    rig.message(session, handle, "offer", json!(null));
    assert_eq!(rig.take(), [ACK]);
    rig.media(handle, hangup("Janus API"));
    assert_eq!(
        rig.take(),
        ["media forget 2", "media negotiate 2 exchange=true remote=false offering=true trickle=true"]
    );
}

#[test]
fn what_a_plugin_offers_after_a_hangup_and_takes_back_is_never_made() {
    let (mut rig, session, handle) = connected();
    let other = rig.attach(session);
    rig.at(session, handle, json!({"janus": "hangup", "transaction": "h"}));
    rig.message(session, handle, "offer", json!(null));
    rig.take();
    let close = json!({"janus": "message", "transaction": "n", "body": {"do": "close", "other": handle}});
    rig.at(session, other, close);
    let told = rig.take();
    assert!(
        told.iter().any(|line| line.contains(r#""transaction":"m""#) && !line.contains("jsep")),
        "{told:?}"
    );
    rig.media(handle, hangup("Janus API"));
    assert_eq!(rig.take(), ["media forget 2"]);
}

#[test]
fn the_plugin_hears_that_media_is_up_before_the_client() {
    let (mut rig, session, handle) = Rig::attached();
    let other = rig.attach(session);
    rig.message(session, handle, "answer", offer());
    local(&mut rig, handle);
    rig.take();
    rig.media(handle, MediaEvent::Up);
    assert_eq!(
        rig.take(),
        [
            format!(
                r#"event {{"janus":"event","session_id":1,"sender":{other},"plugindata":{{"plugin":"janus.plugin.script","data":{{"script":"up"}}}}}}"#
            ),
            r#"event {"janus":"webrtcup","session_id":1,"sender":2}"#.to_owned(),
        ]
    );
    rig.media(handle, MediaEvent::Up);
    assert!(rig.take().is_empty(), "once in a life");
}

#[test]
fn an_offer_of_ours_is_answered_by_the_client() {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "offer", json!(null));
    assert_eq!(rig.take(), [ACK, "media negotiate 2 exchange=true remote=false offering=true trickle=true"]);
    let media = &rig.negotiations[0].media;
    assert_eq!(
        (media.len(), media[0].active, media[0].send),
        (1, true, false),
        "nothing is sent before the answer"
    );
    local(&mut rig, handle);
    let (event, _) = split_sdp(&rig.take()[0]);
    assert!(event.ends_with(r#""jsep":{"type":"offer","sdp":null}}"#));
    rig.take_calls();
    rig.message(session, handle, "now", answer());
    let out = rig.take();
    assert_eq!(out[0], "media negotiate 2 exchange=false remote=true offering=true trickle=true");
    assert!(out[1].starts_with(r#"reply {"janus":"success""#));
    assert!(rig.negotiations[1].media[0].send && rig.negotiations[1].media[0].receive);
    assert_eq!(rig.take_calls(), [r#"message 2 Some(("answer", false))"#]);
}

#[test]
fn what_cannot_be_taken_is_refused_in_the_words_of_janus() {
    let jsep = |kind: &str, sdp: &str| json!({"type": kind, "sdp": sdp});
    let no_ufrag = sdp::offer(&["0"]).replace("a=ice-ufrag:abcd\r\n", "");
    for (value, code, reason) in [
        (json!(5), 455, "Invalid jsep object"),
        (jsep("rollback", "v=0"), 464, "JSEP error: unknown message type 'rollback'"),
        (jsep("offer", "o=x"), 465, "Invalid SDP (doesn't start with v=)"),
        (jsep("offer", "v=0\r\n"), 465, "Missing mandatory lines (o=, s= or m=)"),
        (jsep("offer", &no_ufrag), 465, "Error processing SDP"),
        (jsep("answer", &sdp::answer()), 469, "Unexpected ANSWER (did we offer?)"),
    ] {
        let (mut rig, session, handle) = Rig::attached();
        let body = json!({"janus": "message", "transaction": "m", "body": {}, "jsep": value});
        assert_eq!(error_in(&rig.at(session, handle, body)), (code, reason.to_owned()));
        assert!(rig.take_calls().is_empty(), "the plugin is not asked");
        // Nothing is left behind: a good offer works, a stray answer does not.
        rig.message(session, handle, "ack", answer());
        assert_eq!(error_in(rig.take()[1].strip_prefix("reply ").unwrap()).0, 469);
        rig.message(session, handle, "answer", offer());
        assert_eq!(rig.take()[0], ACK);
    }
}

#[test]
fn an_offer_the_plugin_refused_leaves_the_handle_free() {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "event", offer());
    rig.message(session, handle, "answer", offer());
    assert!(
        rig.take()
            .contains(&"media negotiate 2 exchange=true remote=true offering=false trickle=true".to_owned())
    );
}

#[test]
fn a_first_offer_of_both_sides_is_490_and_later_the_clients_wins() {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "offer", json!(null));
    rig.take();
    rig.message(session, handle, "answer", offer());
    let text = rig.take().remove(0);
    assert_eq!(error_in(text.strip_prefix("reply ").unwrap()), (490, "Error setting ICE locally".to_owned()));

    let (mut rig, session, handle) = connected();
    rig.message(session, handle, "offer", json!(null));
    rig.message(session, handle, "answer", offer());
    assert_eq!(rig.take_calls().last().unwrap(), r#"message 2 Some(("offer", true))"#);
    rig.take();
    rig.message(session, handle, "ack", answer());
    assert_eq!(error_in(rig.take()[0].strip_prefix("reply ").unwrap()).0, 469);
}

#[test]
fn a_renegotiation_is_told_as_such_and_keeps_its_m_lines() {
    let (mut rig, session, handle) = connected();
    let two = json!({"type": "offer", "sdp": sdp::offer(&["0", "1"])});
    rig.message(session, handle, "answer", two);
    assert_eq!(rig.take_calls(), [r#"message 2 Some(("offer", true))"#]);
    assert_eq!(rig.negotiations.last().unwrap().media.len(), 2);
    rig.take();
    rig.message(session, handle, "answer", offer());
    let text = rig.take().remove(0);
    assert_eq!(error_in(text.strip_prefix("reply ").unwrap()), (469, "Error processing SDP".to_owned()));
}

#[test]
fn a_renewed_offer_of_ours_leaves_running_media_alone() {
    let (mut rig, session, handle) = connected();
    rig.message(session, handle, "offer", json!(null));
    let media = &rig.negotiations.last().unwrap().media;
    assert!(media[0].send && media[0].receive);
}

#[test]
fn an_answer_must_have_the_m_lines_of_our_offer() {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "offer", json!(null));
    rig.take();
    rig.message(session, handle, "ack", json!({"type": "answer", "sdp": sdp::offer(&["0", "1"])}));
    let text = rig.take().remove(0);
    assert_eq!(error_in(text.strip_prefix("reply ").unwrap()), (465, "Error processing SDP".to_owned()));
    rig.message(session, handle, "ack", answer());
    assert_eq!(rig.take().last().unwrap(), ACK, "the offer still waits");
}

#[test]
fn an_offer_the_plugin_refused_does_not_keep_it_from_offering() {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "ack", offer());
    rig.take();
    rig.message(session, handle, "offer", json!(null));
    local(&mut rig, handle);
    let out = rig.take();
    assert!(out.last().unwrap().contains(r#""jsep":{"type":"offer""#), "{out:?}");
    rig.message(session, handle, "ack", answer());
    assert_eq!(rig.take().last().unwrap(), ACK);
}

#[test]
fn the_hangup_verb_is_answered_then_the_plugin_speaks_then_the_event_comes() {
    let (mut rig, session, handle) = connected();
    rig.at(session, handle, json!({"janus": "hangup", "transaction": "h"}));
    assert_eq!(
        rig.take(),
        [
            r#"reply {"janus":"success","session_id":1,"transaction":"h"}"#,
            "media hangup 2 Janus API",
            r#"event {"janus":"event","session_id":1,"sender":2,"plugindata":{"plugin":"janus.plugin.script","data":{"script":"done"}}}"#,
            r#"event {"janus":"hangup","session_id":1,"sender":2,"reason":"Janus API"}"#,
        ]
    );
    assert_eq!(rig.take_calls(), ["media 2 hangup Janus API"]);
    rig.media(handle, hangup("Janus API"));
    assert_eq!(rig.take(), ["media forget 2"], "they know already");
    assert!(rig.take_calls().is_empty());
}

#[test]
fn an_idle_handle_hangs_up_without_an_event() {
    let (mut rig, session, handle) = Rig::attached();
    rig.at(session, handle, json!({"janus": "hangup", "transaction": "h"}));
    let out = rig.take();
    assert_eq!(out.len(), 2);
    assert!(out[1].contains(r#""data":{"script":"done"}"#), "the plugin speaks: {out:?}");
}

#[test]
fn an_offer_without_an_answer_hangs_up_with_an_event() {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "ack", offer());
    rig.take();
    rig.message(session, handle, "close", json!(null));
    let out = rig.take();
    assert_eq!(
        out[3], r#"event {"janus":"hangup","session_id":1,"sender":2,"reason":"Close PC"}"#,
        "{out:?}"
    );
}

#[test]
fn a_peer_that_closes_is_told_to_the_plugin_first() {
    let (mut rig, session, handle) = connected();
    rig.media(handle, hangup("DTLS alert"));
    let out = rig.take();
    assert_eq!(out[0], "media forget 2", "of a peer that a negotiation on its way may make");
    assert!(out[1].contains(r#"{"script":"done"}"#));
    assert_eq!(out[2], r#"event {"janus":"hangup","session_id":1,"sender":2,"reason":"DTLS alert"}"#);
    rig.message(session, handle, "answer", offer());
    assert_eq!(rig.take_calls().last().unwrap(), r#"message 2 Some(("offer", false))"#, "as good as new");
    rig.media(handle, hangup("late"));
    assert_eq!(
        rig.take().last().unwrap(),
        r#"event {"janus":"hangup","session_id":1,"sender":2,"reason":"late"}"#
    );
}

#[test]
fn a_plugin_that_closes_speaks_first() {
    let (mut rig, session, handle) = connected();
    rig.message(session, handle, "close", json!(null));
    let out = rig.take();
    assert!(out[1].contains(r#"{"script":"closing"}"#));
    assert_eq!(out[2], "media hangup 2 Close PC");
    assert!(out[4].ends_with(r#""reason":"Close PC"}"#));
}

#[test]
fn detaching_a_live_handle_gives_no_hangup() {
    let (mut rig, session, handle) = connected();
    let other = rig.attach(session);
    rig.take();
    rig.at(session, handle, json!({"janus": "detach", "transaction": "d"}));
    assert_eq!(
        rig.take(),
        [
            r#"reply {"janus":"success","session_id":1,"transaction":"d"}"#.to_owned(),
            "media forget 2".to_owned(),
            format!(
                r#"event {{"janus":"event","session_id":1,"sender":{other},"plugindata":{{"plugin":"janus.plugin.script","data":{{"script":"left"}}}}}}"#
            ),
            r#"event {"janus":"detached","session_id":1,"sender":2}"#.to_owned(),
        ]
    );
    rig.media(handle, hangup("late"));
    assert!(rig.take().is_empty());
}

#[test]
fn an_offer_right_behind_a_hangup_waits_for_the_old_peer_to_close() {
    let (mut rig, session, handle) = connected();
    rig.at(session, handle, json!({"janus": "hangup", "transaction": "h"}));
    let out = rig.take();
    assert!(out[2].contains("done") && out[3].contains(r#""janus":"hangup""#));
    rig.message(session, handle, "answer", offer());
    rig.input_request(
        common::WS,
        json!({"janus": "trickle", "transaction": "t", "session_id": 1, "handle_id": 2, "candidate": null}),
    );
    assert!(rig.take().is_empty(), "both wait");
    rig.media(handle, hangup("Janus API"));
    assert_eq!(
        rig.take(),
        [
            "media forget 2",
            ACK,
            "media negotiate 2 exchange=true remote=true offering=false trickle=true",
            "media candidate 2 end",
            r#"reply {"janus":"ack","session_id":1,"transaction":"t"}"#,
        ]
    );
}

#[test]
fn while_the_old_peer_closes_only_so_much_may_wait() {
    let (mut rig, session, handle) = connected();
    rig.at(session, handle, json!({"janus": "hangup", "transaction": "h"}));
    let text = rig.at(session, handle, json!({"janus": "trickle", "transaction": "t", "candidate": null}));
    assert_eq!(error_in(&text), (471, "Still cleaning a previous session".to_owned()));
    rig.take();
    for _ in 0..portunus_core::limits::WAITING_REQUESTS {
        rig.message(session, handle, "answer", offer());
    }
    assert!(rig.take().is_empty());
    rig.message(session, handle, "answer", offer());
    assert_eq!(error_in(rig.take()[0].strip_prefix("reply ").unwrap()).0, 471);
    // Whoever waits is answered even if the handle goes.
    rig.at(session, handle, json!({"janus": "detach", "transaction": "d"}));
    let refused = rig.take().iter().filter(|l| l.contains(r#""code":459"#)).count();
    assert_eq!(refused, portunus_core::limits::WAITING_REQUESTS);
}

#[test]
fn a_peer_that_never_closes_counts_as_closed_after_a_while() {
    let (mut rig, session, handle) = connected();
    rig.at(session, handle, json!({"janus": "hangup", "transaction": "h"}));
    rig.message(session, handle, "answer", offer());
    rig.take();
    rig.pass(Duration::from_secs(4));
    let out = rig.take();
    assert_eq!(out[..2], ["media forget 2", ACK]);
    assert_eq!(rig.core.counters().closing_timeouts, 1);
}

#[test]
fn a_description_that_never_gets_its_transport_is_given_up() {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "answer", offer());
    rig.take();
    rig.pass(Duration::from_secs(6));
    let out = rig.take();
    assert_eq!(out[0], "media hangup 2 Gathering error");
    assert!(out[1].contains(r#""transaction":"m""#) && !out[1].contains("jsep"), "the event is not lost");
    assert!(out.last().unwrap().ends_with(r#""reason":"Gathering error"}"#));
    assert_eq!(rig.core.counters().gathering_timeouts, 1);
}

#[test]
fn a_worker_that_cannot_make_a_peer_hangs_up() {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "answer", offer());
    rig.take();
    rig.media(handle, hangup("Gathering error"));
    assert!(rig.take().last().unwrap().ends_with(r#""reason":"Gathering error"}"#));
    rig.message(session, handle, "answer", offer());
    assert_eq!(rig.take()[0], ACK);
}

#[test]
fn a_client_may_choose_its_worker_where_that_is_allowed() {
    for (allowed, wanted, worker) in [(false, 1, None), (true, 1, Some(1)), (true, 7, None)] {
        let settings = Settings { allow_loop_indication: allowed, workers: 2, ..Settings::default() };
        let mut rig = Rig::new(settings);
        let session = rig.create();
        let attach = json!({
            "janus": "attach", "transaction": "a", "session_id": session, "plugin": "janus.plugin.script",
            "loop_index": wanted,
        });
        let handle = common::id_in(&rig.ask(common::WS, attach));
        rig.message(session, handle, "answer", offer());
        assert_eq!(rig.negotiations[0].worker, worker);
    }
}

#[test]
fn a_panic_in_a_media_call_ends_that_handle() {
    let (mut rig, _, handle) = connected();
    rig.media(handle, MediaEvent::DataReady);
    assert_eq!(rig.take(), ["media forget 2", r#"event {"janus":"detached","session_id":1,"sender":2}"#]);
    assert_eq!((rig.core.handles(), rig.core.counters().plugin_panics), (0, 1));
}

#[test]
fn only_who_is_allowed_to_can_force_the_relay() {
    for (allowed, asked, expected) in [(false, true, false), (true, false, false), (true, true, true)] {
        let settings = Settings { allow_force_relay: allowed, ..Settings::default() };
        let (mut rig, session, handle) = Rig::attached_with(settings);
        let jsep = json!({"type": "offer", "sdp": sdp::offer(&["0"]), "force_relay": asked});
        rig.message(session, handle, "answer", jsep);
        assert_eq!(rig.negotiations.last().map(|n| n.relay_only), Some(expected));
    }
}
