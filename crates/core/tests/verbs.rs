//! Which verb is answered how, at which level, and what is checked first.

mod common;

use common::{HTTP, Rig, WS, error_in};
use portunus_core::Settings;
use portunus_plugin::json;
use serde_json::Value;

/// Request and reply of a session 1 with a handle 2, as text.
fn golden(cases: &[(Value, &str)]) {
    for (body, reply) in cases {
        let (mut rig, session, handle) = Rig::attached();
        assert_eq!((session, handle), (1, 2));
        assert_eq!(rig.ask(WS, body.clone()), *reply, "{body}");
    }
}

#[test]
fn every_verb_is_answered_in_the_words_of_janus() {
    golden(&[
        (json!({"janus": "ping", "transaction": "a"}), r#"{"janus":"pong","transaction":"a"}"#),
        (
            json!({"janus": "CREATE", "transaction": "a"}),
            r#"{"janus":"success","transaction":"a","data":{"id":3}}"#,
        ),
        (
            json!({"janus": "create", "transaction": "a", "id": 77}),
            r#"{"janus":"success","transaction":"a","data":{"id":77}}"#,
        ),
        (
            json!({"janus": "create", "transaction": "a", "id": 0}),
            r#"{"janus":"success","transaction":"a","data":{"id":3}}"#,
        ),
        (
            json!({"janus": "keepalive", "transaction": "a", "session_id": 1}),
            r#"{"janus":"ack","session_id":1,"transaction":"a"}"#,
        ),
        (
            json!({"janus": "keepalive", "transaction": "a", "session_id": 1, "handle_id": 2}),
            r#"{"janus":"ack","session_id":1,"transaction":"a"}"#,
        ),
        (
            json!({"janus": "attach", "transaction": "a", "session_id": 1, "plugin": "janus.plugin.script"}),
            r#"{"janus":"success","session_id":1,"transaction":"a","data":{"id":3}}"#,
        ),
        (
            json!({"janus": "claim", "transaction": "a", "session_id": 1}),
            r#"{"janus":"success","session_id":1,"transaction":"a"}"#,
        ),
        (
            json!({"janus": "destroy", "transaction": "a", "session_id": 1}),
            r#"{"janus":"success","session_id":1,"transaction":"a"}"#,
        ),
        (
            json!({"janus": "detach", "transaction": "a", "session_id": 1, "handle_id": 2}),
            r#"{"janus":"success","session_id":1,"transaction":"a"}"#,
        ),
        (
            json!({"janus": "hangup", "transaction": "a", "session_id": 1, "handle_id": 2}),
            r#"{"janus":"success","session_id":1,"transaction":"a"}"#,
        ),
        (
            json!({"janus": "message", "transaction": "a", "session_id": 1, "handle_id": 2, "body": {}}),
            r#"{"janus":"ack","session_id":1,"transaction":"a"}"#,
        ),
        (
            json!({"janus": "trickle", "transaction": "a", "session_id": 1, "handle_id": 2, "candidate": null}),
            r#"{"janus":"ack","session_id":1,"transaction":"a"}"#,
        ),
    ]);
}

#[test]
fn what_is_refused_is_refused_in_the_words_of_janus() {
    golden(&[
        (
            json!({}),
            r#"{"janus":"error","error":{"code":456,"reason":"Missing mandatory element (transaction)"}}"#,
        ),
        (
            json!([1]),
            r#"{"janus":"error","error":{"code":456,"reason":"Missing mandatory element (transaction)"}}"#,
        ),
        (
            json!({"transaction": "a", "session_id": 9}),
            r#"{"janus":"error","session_id":9,"error":{"code":456,"reason":"Missing mandatory element (janus)"}}"#,
        ),
        (
            json!({"janus": "foo", "transaction": "a"}),
            r#"{"janus":"error","transaction":"a","error":{"code":457,"reason":"Unhandled request 'foo' at this path"}}"#,
        ),
        (
            json!({"janus": "keepalive", "transaction": "a", "session_id": 0}),
            r#"{"janus":"error","transaction":"a","error":{"code":457,"reason":"Unhandled request 'keepalive' at this path"}}"#,
        ),
        (
            json!({"janus": "create", "transaction": "a", "id": -1}),
            r#"{"janus":"error","error":{"code":467,"reason":"Invalid element type (id should be a positive integer)"}}"#,
        ),
        (
            json!({"janus": "create", "transaction": "a", "id": 1}),
            r#"{"janus":"error","session_id":1,"transaction":"a","error":{"code":468,"reason":"Session ID already in use"}}"#,
        ),
        (
            json!({"janus": "detach", "transaction": "a", "handle_id": 2}),
            r#"{"janus":"error","transaction":"a","error":{"code":458,"reason":"Session not found"}}"#,
        ),
        (
            json!({"janus": "detach", "transaction": "a", "session_id": 1, "handle_id": 0}),
            r#"{"janus":"error","session_id":1,"transaction":"a","error":{"code":459,"reason":"Handle not found"}}"#,
        ),
        (
            json!({"janus": "keepalive", "transaction": "a", "session_id": 1, "handle_id": "2"}),
            r#"{"janus":"error","session_id":1,"transaction":"a","error":{"code":459,"reason":"Handle not found"}}"#,
        ),
        (
            json!({"janus": "ping", "transaction": "a", "session_id": 9, "id": "x"}),
            r#"{"janus":"error","session_id":9,"error":{"code":467,"reason":"Invalid element type (id should be a positive integer)"}}"#,
        ),
        (
            json!({"janus": "keepalive", "transaction": "a", "session_id": 9}),
            r#"{"janus":"error","session_id":9,"transaction":"a","error":{"code":458,"reason":"No such session 9"}}"#,
        ),
        (
            json!({"janus": "foo", "transaction": "a", "session_id": 1, "handle_id": 9}),
            r#"{"janus":"error","session_id":1,"transaction":"a","error":{"code":459,"reason":"No such handle 9 in session 1"}}"#,
        ),
        (
            json!({"janus": "attach", "transaction": "a", "session_id": 1, "plugin": "janus.plugin.nope"}),
            r#"{"janus":"error","session_id":1,"transaction":"a","error":{"code":460,"reason":"No such plugin 'janus.plugin.nope'"}}"#,
        ),
        (
            json!({"janus": "attach", "transaction": "a", "session_id": 1, "plugin": "janus.plugin.shut"}),
            r#"{"janus":"error","session_id":1,"transaction":"a","error":{"code":461,"reason":"Not today"}}"#,
        ),
    ]);
}

#[test]
fn a_verb_at_the_wrong_level_is_told_so() {
    let (mut rig, session, handle) = Rig::attached();
    for verb in ["attach", "destroy"] {
        let text = rig.at(session, handle, json!({"janus": verb, "transaction": "a", "plugin": 5}));
        let reason = format!("Unhandled request '{verb}' at this path");
        assert_eq!(error_in(&text), (457, reason), "{verb} at a handle");
    }
    for verb in ["detach", "hangup", "message", "trickle"] {
        let text = rig.ask(WS, json!({"janus": verb, "transaction": "a", "session_id": session}));
        let reason = format!("Unhandled request '{verb}' at this path");
        assert_eq!(error_in(&text), (457, reason), "{verb} at a session");
    }
    for verb in ["info", "ping", "create", "Foo"] {
        let at_handle = rig.at(session, handle, json!({"janus": verb, "transaction": "a"}));
        let at_session = rig.ask(WS, json!({"janus": verb, "transaction": "a", "session_id": session}));
        for text in [at_handle, at_session] {
            assert_eq!(error_in(&text), (453, format!("Unknown request '{verb}'")));
        }
    }
}

#[test]
fn attach_checks_its_elements_before_the_plugin() {
    let (mut rig, session, _) = Rig::attached();
    for (extra, code, reason) in [
        (json!({}), 456, "Missing mandatory element (plugin)"),
        (json!({"plugin": 5}), 467, "Invalid element type (plugin should be a string)"),
        (json!({"plugin": "x", "opaque_id": 5}), 467, "Invalid element type (opaque_id should be a string)"),
        (
            json!({"plugin": "x", "loop_index": -5}),
            467,
            "Invalid element type (loop_index should be a positive integer)",
        ),
        (json!({"plugin": "x"}), 460, "No such plugin 'x'"),
    ] {
        let mut body = json!({"janus": "attach", "transaction": "a", "session_id": session});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        assert_eq!(error_in(&rig.ask(WS, body)), (code, reason.to_owned()));
    }
    assert_eq!(rig.core.handles(), 1);
}

#[test]
fn a_message_needs_a_body_that_is_an_object() {
    let (mut rig, session, handle) = Rig::attached();
    for (extra, code, reason) in [
        (json!({}), 456, "Missing mandatory element (body)"),
        (json!({"body": null}), 467, "Invalid element type (body should be an object)"),
        (json!({"body": []}), 467, "Invalid element type (body should be an object)"),
        (json!({"body": {}, "jsep": null}), 455, "Invalid jsep object"),
        (json!({"body": {}, "jsep": {}}), 456, "JSEP error: missing mandatory element (type)"),
        (json!({"body": {"do": "fail"}}), 462, "no way"),
    ] {
        let mut body = json!({"janus": "message", "transaction": "a"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        assert_eq!(error_in(&rig.at(session, handle, body)), (code, reason.to_owned()));
    }
    assert_eq!(rig.take_calls().len(), 1, "only the last one got to the plugin");
}

#[test]
fn plugins_answer_now_or_later() {
    let (mut rig, session, handle) = Rig::attached();
    for (what, lines) in [
        (
            "now",
            vec![
                r#"reply {"janus":"success","session_id":1,"transaction":"m","sender":2,"plugindata":{"plugin":"janus.plugin.script","data":{"script":"now"}}}"#,
            ],
        ),
        ("hint", vec![r#"reply {"janus":"ack","session_id":1,"transaction":"m","hint":"slowly"}"#]),
        (
            "event",
            vec![
                r#"reply {"janus":"ack","session_id":1,"transaction":"m"}"#,
                r#"event {"janus":"event","session_id":1,"transaction":"m","sender":2,"plugindata":{"plugin":"janus.plugin.script","data":{"script":"event"}}}"#,
            ],
        ),
    ] {
        rig.message(session, handle, what, json!(null));
        assert_eq!(rig.take(), lines);
    }
}

#[test]
fn the_opaque_id_is_told_only_where_it_is_wanted() {
    for (wanted, part) in [(false, ""), (true, r#""opaque_id":"o","#)] {
        let mut rig = Rig::new(Settings { opaqueid_in_api: wanted, ..Settings::default() });
        let session = rig.create();
        let handle = common::id_in(&rig.ask(
            WS,
            json!({
                "janus": "attach", "transaction": "a", "session_id": session,
                "plugin": "janus.plugin.script", "opaque_id": "o",
            }),
        ));
        rig.take();
        rig.message(session, handle, "now", json!(null));
        let text = format!(
            r#"reply {{"janus":"success","session_id":1,"transaction":"m","sender":2,{part}"plugindata":{{"plugin":"janus.plugin.script","data":{{"script":"now"}}}}}}"#
        );
        assert_eq!(rig.take(), [text]);
        rig.at(session, handle, json!({"janus": "detach", "transaction": "a"}));
        let comma = part.trim_end_matches(',');
        let text = format!(
            r#"event {{"janus":"detached","session_id":1,"sender":2{}}}"#,
            if wanted { format!(",{comma}") } else { String::new() }
        );
        assert_eq!(rig.take().last(), Some(&text));
    }
}

#[test]
fn effects_are_carried_out_behind_the_reply_and_in_order() {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "routes", json!(null));
    assert_eq!(
        rig.take(),
        [
            r#"reply {"janus":"ack","session_id":1,"transaction":"m"}"#,
            "media route 2/0 -> 2/1",
            "media select 2/1 1/0",
            "media keyframe 2/0",
            "media cap 2 64000",
            "media unroute 2/1",
        ]
    );
}

#[test]
fn a_plugin_may_speak_to_its_other_handles_and_end_them() {
    let (mut rig, session, first) = Rig::attached();
    let second = rig.attach(session);
    rig.take();
    let body = json!({"janus": "message", "transaction": "m", "body": {"do": "push", "other": second}});
    rig.at(session, first, body);
    assert!(rig.take()[1].starts_with(r#"event {"janus":"event","session_id":1,"sender":3,"#));
    let body = json!({"janus": "message", "transaction": "m", "body": {"do": "end", "other": second}});
    rig.at(session, first, body);
    assert_eq!(
        rig.take()[1..],
        [
            r#"event {"janus":"event","session_id":1,"sender":2,"plugindata":{"plugin":"janus.plugin.script","data":{"script":"left"}}}"#,
            r#"event {"janus":"detached","session_id":1,"sender":3}"#,
        ]
    );
    assert_eq!(rig.core.handles(), 1);
}

#[test]
fn a_panic_in_a_plugin_ends_that_handle_only() {
    let (mut rig, session, first) = Rig::attached();
    let second = rig.attach(session);
    rig.take();
    rig.message(session, first, "panic", json!(null));
    let out = rig.take();
    assert_eq!(
        out[0],
        r#"reply {"janus":"error","session_id":1,"transaction":"m","error":{"code":462,"reason":"Error sending message to plugin"}}"#
    );
    assert_eq!(out.last().unwrap(), r#"event {"janus":"detached","session_id":1,"sender":2}"#);
    assert_eq!((rig.core.handles(), rig.core.counters().plugin_panics), (1, 1));
    rig.message(session, second, "now", json!(null));
    assert!(rig.take()[0].starts_with(r#"reply {"janus":"success""#));
}

#[test]
fn anybody_may_ask_but_events_go_to_the_owner() {
    let (mut rig, session, _) = Rig::attached();
    let text = rig.ask(HTTP, json!({"janus": "keepalive", "transaction": "a", "session_id": session}));
    assert_eq!(text, r#"{"janus":"ack","session_id":1,"transaction":"a"}"#);
    rig.take();
    rig.ask(HTTP, json!({"janus": "claim", "transaction": "a", "session_id": session}));
    assert_eq!(rig.take()[0], "claimed 1 Connectionless");
}

#[test]
fn limits_refuse_instead_of_growing() {
    let settings = Settings { max_sessions: 2, max_handles_per_session: 1, ..Settings::default() };
    let (mut rig, session, _) = Rig::attached_with(settings);
    let attach = json!({
        "janus": "attach", "transaction": "a", "session_id": session, "plugin": "janus.plugin.script",
    });
    assert_eq!(error_in(&rig.ask(WS, attach)), (461, "Too many handles in this session".to_owned()));
    rig.create();
    let text = rig.ask(WS, json!({"janus": "create", "transaction": "a"}));
    assert_eq!(error_in(&text), (490, "Too many sessions".to_owned()));
    let attach = json!({
        "janus": "attach", "transaction": "a", "session_id": session, "plugin": "janus.plugin.script",
        "opaque_id": "o".repeat(2000),
    });
    assert_eq!(error_in(&rig.ask(WS, attach)).0, 467);
    assert_eq!(rig.core.counters().refused_full, 2);
}
