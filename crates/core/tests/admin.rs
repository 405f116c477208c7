//! The Admin API: who may ask, what may be asked where, and what it changes.

mod common;

use common::{Rig, WS, error_in, id_in, sdp};
use portunus_core::{Input, Settings};
use portunus_plugin::report::{
    DtlsReport, IceReport, LineReport, PeerReport, SelectedPair, SinkReport, SourceReport, Traffic,
    TrickleReport,
};
use portunus_plugin::{MediaEvent, Object, Value, json};
use portunus_sdp::MediaKind;
use std::time::Duration;

const UNAUTHORIZED: (u64, &str) = (403, "Unauthorized request (wrong or missing secret/token)");

fn with_secret() -> Settings {
    Settings { admin_secret: Some("s3".to_owned()), admin: true, ..Settings::default() }
}

fn stored_tokens() -> Settings {
    Settings { token_auth: true, ..Settings::default() }
}

/// A request with a transaction.
fn request(verb: &str, over: Value) -> Value {
    let mut body = json!({ "janus": verb, "transaction": "t" });
    for (name, value) in over.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn told(rig: &mut Rig, verb: &str, over: Value) -> String {
    rig.admin(request(verb, over))
}

fn refused(rig: &mut Rig, verb: &str, over: Value) -> (u64, String) {
    error_in(&told(rig, verb, over))
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_secret_comes_before_the_verb() {
    let mut rig = Rig::new(with_secret());
    for (verb, over) in [
        ("get_status", json!({})),
        ("foo", json!({})),
        ("get_status", json!({ "admin_secret": 5 })),
        ("get_status", json!({ "admin_secret": null })),
        ("get_status", json!({ "apisecret": "s3", "token": "s3" })),
        ("list_handles", json!({ "session_id": 77 })),
        ("ping", json!({ "session_id": 77 })),
        ("get_status", json!({ "admin_secret": "s" })),
    ] {
        let (code, reason) = refused(&mut rig, verb, over);
        assert_eq!((code, reason.as_str()), UNAUTHORIZED, "{verb}");
    }
    for verb in ["ping", "info"] {
        assert_eq!(refused(&mut rig, verb, json!({})).0, 0);
        assert_eq!(refused(&mut rig, verb, json!({ "admin_secret": "no" })).0, 0);
    }
    let (code, reason) = refused(&mut rig, "foo", json!({ "admin_secret": "s3" }));
    assert_eq!((code, reason.as_str()), (457, "Unhandled request 'foo' at this path"));
    assert_eq!(refused(&mut rig, "GET_STATUS", json!({ "admin_secret": "s3" })).0, 0);
}

#[test]
fn guessing_the_secret_is_slow_and_knowing_it_is_not() {
    let mut rig = Rig::new(with_secret());
    let guess = request("get_status", json!({ "admin_secret": "guess" }));
    for _ in 0..8 {
        rig.input_admin(guess.clone());
    }
    let slow = rig.take().iter().filter(|line| line.starts_with("slow reply")).count();
    assert_eq!(slow, 3, "five are free");
    let text = told(&mut rig, "get_status", json!({ "admin_secret": "s3" }));
    assert_eq!(value(&text)["janus"], "success");
    assert_eq!(rig.core.counters().admin_refused, 8);
}

#[test]
fn an_envelope_that_is_not_complete_is_refused() {
    let mut rig = Rig::plain();
    for (body, text) in [
        (json!({ "transaction": "t" }), "Missing mandatory element (janus)"),
        (json!({ "janus": "ping" }), "Missing mandatory element (transaction)"),
        (json!({ "janus": 5, "transaction": "t" }), "Invalid element type (janus should be a string)"),
    ] {
        let reply = value(&rig.admin(body));
        assert_eq!(reply["error"]["reason"], text);
        assert!(reply.get("transaction").is_none());
    }
    assert_eq!(refused(&mut rig, "ping", json!({ "id": "x" })).0, 0, "the Admin API has no id");
}

#[test]
fn status_has_the_keys_of_janus_1_4_in_their_order() {
    let mut rig = Rig::plain();
    let status = value(&told(&mut rig, "get_status", json!({})))["status"].clone();
    let keys: Vec<_> = status.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys.join(" "),
        "token_auth session_timeout reclaim_session_timeout candidates_timeout log_level log_timestamps \
         log_colors log_rotate_sig locking_debug refcount_debug min_nack_queue nack-optimizations no_media_timer \
         slowlink_threshold"
    );
}

#[test]
fn what_is_set_is_told_and_takes_effect() {
    let mut rig = Rig::plain();
    for (verb, field, given, name, kept, status) in [
        ("set_log_level", "level", json!(7), "level", json!(7), "log_level"),
        ("set_locking_debug", "debug", json!(true), "locking_debug", json!(true), "locking_debug"),
        ("set_refcount_debug", "debug", json!(true), "refcount_debug", json!(true), "refcount_debug"),
        ("set_log_timestamps", "timestamps", json!(true), "log_timestamps", json!(true), "log_timestamps"),
        ("set_log_colors", "colors", json!(false), "log_colors", json!(false), "log_colors"),
        (
            "set_min_nack_queue",
            "min_nack_queue",
            json!(2000),
            "min_nack_queue",
            json!(1000),
            "min_nack_queue",
        ),
        (
            "set_nack_optimizations",
            "nack_optimizations",
            json!(true),
            "nack-optimizations",
            json!(true),
            "nack-optimizations",
        ),
        ("set_no_media_timer", "no_media_timer", json!(0), "no_media_timer", json!(0), "no_media_timer"),
        (
            "set_slowlink_threshold",
            "slowlink_threshold",
            json!(4),
            "slowlink_threshold",
            json!(4),
            "slowlink_threshold",
        ),
        ("set_session_timeout", "timeout", json!(30), "timeout", json!(30), "session_timeout"),
    ] {
        rig.take();
        let text = told(&mut rig, verb, json!({ field: given }));
        assert_eq!(text, format!(r#"{{"janus":"success","transaction":"t","{name}":{kept}}}"#));
        let tuned = rig.take().iter().any(|line| line.starts_with("tune "));
        assert_eq!(tuned, verb != "set_session_timeout", "{verb}");
        let now = value(&told(&mut rig, "get_status", json!({})))["status"][status].clone();
        assert_eq!(now, kept, "{verb}");
        for wrong in [json!("x"), json!(null), json!(1.5)] {
            assert_eq!(refused(&mut rig, verb, json!({ field: wrong })).0, 467, "{verb}");
        }
        let (code, reason) = refused(&mut rig, verb, json!({}));
        assert_eq!((code, reason), (456, format!("Missing mandatory element ({field})")), "{verb}");
    }
    assert_eq!(value(&told(&mut rig, "info", json!({})))["min-nack-queue"], 1000);
}

#[test]
fn a_level_that_does_not_exist_and_a_negative_number_are_refused() {
    let mut rig = Rig::plain();
    for (verb, over, text) in [
        ("set_log_level", json!({ "level": 8 }), "Invalid element type (level should be between 0 and 7)"),
        (
            "set_log_level",
            json!({ "level": -1 }),
            "Invalid element type (level should be a positive integer)",
        ),
        (
            "set_session_timeout",
            json!({ "timeout": -1 }),
            "Invalid element type (timeout should be a positive integer)",
        ),
    ] {
        assert_eq!(refused(&mut rig, verb, over), (467, text.to_owned()));
    }
}

#[test]
fn a_session_may_have_a_timeout_of_its_own() {
    let mut rig = Rig::plain();
    let [never, short, usual] = [0, 0, 0].map(|_| rig.create());
    rig.take();
    for (session, timeout) in [(never, 0), (short, 5), (usual, 5), (usual, -1)] {
        let text =
            told(&mut rig, "set_session_timeout", json!({ "session_id": session, "timeout": timeout }));
        let expected = r#"{"janus":"success","transaction":"t","timeout":"#;
        assert_eq!(text, format!(r#"{expected}{timeout},"session_id":{session}}}"#));
    }
    let (code, reason) =
        refused(&mut rig, "set_session_timeout", json!({ "session_id": never, "timeout": -2 }));
    let text = "Invalid element type (timeout should be a non-negative integer or -1)";
    assert_eq!((code, reason.as_str()), (467, text));
    let alive = |rig: &mut Rig| value(&told(rig, "list_sessions", json!({})))["sessions"].clone();
    rig.pass(Duration::from_secs(8));
    assert_eq!(alive(&mut rig), json!([never, usual]));
    rig.pass(Duration::from_secs(60));
    assert_eq!(alive(&mut rig), json!([never]));
}

#[test]
fn no_new_sessions_while_an_administrator_says_so() {
    let mut rig = Rig::plain();
    assert_eq!(
        told(&mut rig, "accept_new_sessions", json!({ "accept": false })),
        r#"{"janus":"success","transaction":"t","accept":false}"#
    );
    let create = json!({ "janus": "create", "transaction": "c" });
    assert_eq!(error_in(&rig.ask(WS, create.clone())).0, 472);
    assert_eq!(value(&told(&mut rig, "info", json!({})))["accepting-new-sessions"], false);
    told(&mut rig, "accept_new_sessions", json!({ "accept": true }));
    assert_ne!(id_in(&rig.ask(WS, create.clone())), 0);
    rig.input(Input::Shutdown);
    told(&mut rig, "accept_new_sessions", json!({ "accept": true }));
    assert_eq!(error_in(&rig.ask(WS, create)).0, 472, "the end of the process is not taken back");
}

#[test]
fn places_are_checked_as_in_janus() {
    let (mut rig, session, handle) = Rig::attached();
    for (verb, over, code, text) in [
        ("foo", json!({ "session_id": session }), 457, "Unhandled request 'foo' at this path".to_owned()),
        ("ping", json!({ "session_id": session }), 457, "Unhandled request 'ping' at this path".to_owned()),
        ("list_handles", json!({}), 457, "Unhandled request 'list_handles' at this path".to_owned()),
        (
            "list_handles",
            json!({ "session_id": session, "handle_id": handle }),
            457,
            "Unhandled request 'list_handles' at this path".to_owned(),
        ),
        ("list_handles", json!({ "session_id": 999 }), 458, "No such session 999".to_owned()),
        ("handle_info", json!({ "handle_id": handle }), 458, "Session not found".to_owned()),
        (
            "handle_info",
            json!({ "session_id": session, "handle_id": 0 }),
            458,
            "Session not found".to_owned(),
        ),
        (
            "handle_info",
            json!({ "session_id": session, "handle_id": 999 }),
            459,
            format!("No such handle 999 in session {session}"),
        ),
        (
            "handle_info",
            json!({ "session_id": session, "handle_id": handle, "plugin_only": "x" }),
            467,
            "Invalid element type (plugin_only should be a boolean)".to_owned(),
        ),
    ] {
        assert_eq!(refused(&mut rig, verb, over), (code, text), "{verb}");
    }
    let listed = told(&mut rig, "list_handles", json!({ "session_id": session }));
    let expected = format!(r#""session_id":{session},"transaction":"t","handles":[{handle}]}}"#);
    assert_eq!(listed, format!(r#"{{"janus":"success",{expected}"#));
}

#[test]
fn an_administrator_ends_what_a_client_has() {
    let (mut rig, session, handle) = Rig::attached();
    let at_handle = json!({ "session_id": session, "handle_id": handle });
    told(&mut rig, "hangup_webrtc", at_handle.clone());
    assert_eq!(rig.take_calls(), [format!("media {handle} hangup Admin API")], "also of an idle handle");
    rig.take();
    told(&mut rig, "detach_handle", at_handle.clone());
    let detached = format!(r#"event {{"janus":"detached","session_id":{session},"sender":{handle}}}"#);
    assert!(rig.take().contains(&detached));
    assert_eq!(refused(&mut rig, "detach_handle", at_handle).0, 459);
    told(&mut rig, "destroy_session", json!({ "session_id": session }));
    assert_eq!(rig.core.sessions(), 0);
    assert_eq!(refused(&mut rig, "destroy_session", json!({ "session_id": session })).0, 458);
}

#[test]
fn a_handle_with_media_tells_its_descriptions_and_flags() {
    let settings = Settings { admin: true, ..Settings::default() };
    let (mut rig, session, handle) = Rig::attached_with(settings);
    let ask = json!({ "session_id": session, "handle_id": handle });
    let info = |rig: &mut Rig| value(&told(rig, "handle_info", ask.clone()))["info"].clone();
    let idle = info(&mut rig);
    assert_eq!(idle["plugin_specific"], json!({ "asked of": handle }));
    assert_eq!((&idle["sdps"], &idle["queued-packets"]), (&json!({}), &json!(0)));
    let set = |info: &Value| -> Vec<String> {
        let flags = info["flags"].as_object().unwrap();
        flags.iter().filter(|(_, v)| **v == true).map(|(k, _)| k.clone()).collect()
    };
    assert_eq!(set(&idle), ["alert"], "as in 1.4");
    let offer = sdp::offer(&["0"]);
    rig.message(session, handle, "answer", json!({ "type": "offer", "sdp": offer }));
    let exchange = rig.negotiations[0].exchange.unwrap();
    rig.media(handle, MediaEvent::Local { exchange, transport: sdp::local() });
    rig.media(handle, MediaEvent::Up);
    rig.input_admin(request("handle_info", ask.clone()));
    rig.pass(Duration::from_secs(7));
    let reply = rig.take().into_iter().rfind(|line| line.starts_with("reply ")).unwrap();
    let up = value(reply.strip_prefix("reply ").unwrap())["info"].clone();
    for name in ["got-offer", "negotiated", "ready"] {
        assert_eq!(up["flags"][name], true, "{name}: {up}");
    }
    assert!(up["sdps"]["local"].as_str().unwrap().starts_with("v=0\r\n"));
    assert_eq!(up["sdps"]["remote"], json!(offer));
    told(&mut rig, "hangup_webrtc", ask.clone());
    let over = info(&mut rig);
    assert_eq!((set(&over).join(" "), &over["sdps"]), ("alert cleaning".to_owned(), &json!({})));
}

#[test]
fn a_plugin_is_asked_at_once_or_by_ticket() {
    let mut rig = Rig::plain();
    let ask = |request: Value| json!({ "plugin": "janus.plugin.script", "request": request });
    assert_eq!(
        told(&mut rig, "message_plugin", ask(json!({ "b": 2 }))),
        r#"{"janus":"success","transaction":"t","response":{"b":2}}"#
    );
    rig.input_admin(request("message_plugin", ask(json!({ "do": "later" }))));
    assert!(!rig.take().iter().any(|line| {
        line.starts_with("reply {\"janus\":\"success\",\"transaction\":\"t\",\"response\":{\"s")
    }));
    rig.task_done(1, Ok(()));
    let response = r#""response":{"script":"done","ok":true}}"#;
    assert!(rig.take().contains(&format!(r#"reply {{"janus":"success","transaction":"t",{response}"#)));
    for (over, code, text) in [
        (json!({}), 456, "Missing mandatory element (plugin)"),
        (json!({ "plugin": "x" }), 460, "Invalid plugin"),
        (json!({ "plugin": 5 }), 467, "Invalid element type (plugin should be a string)"),
        (ask(json!(5)), 467, "Invalid element type (request should be an object)"),
        (json!({ "plugin": "janus.plugin.shut" }), 490, "Plugin doesn't support Admin API messages"),
        (ask(json!({ "do": "panic" })), 462, "Error sending message to plugin"),
    ] {
        assert_eq!(refused(&mut rig, "message_plugin", over), (code, text.to_owned()));
    }
}

#[test]
fn questions_to_others_are_answered_once_and_in_time() {
    let mut rig = Rig::plain();
    rig.input_admin(request("resolve_address", json!({ "address": "media.example" })));
    assert_eq!(rig.take(), [r#"ask 1 Resolve { address: "media.example" }"#]);
    let answer = Object::from_iter([("ip".to_owned(), json!("192.0.2.1"))]);
    rig.input(Input::Answer { question: 1, answer: Some(answer.clone()) });
    rig.input(Input::Answer { question: 1, answer: Some(answer) });
    assert_eq!(rig.take(), [r#"reply {"janus":"success","transaction":"t","ip":"192.0.2.1"}"#]);
    rig.input_admin(request("test_stun", json!({ "address": "192.0.2.2", "port": 3478 })));
    rig.take();
    rig.pass(Duration::from_secs(7));
    let failed =
        r#"reply {"janus":"error","transaction":"t","error":{"code":490,"reason":"STUN request failed"}}"#;
    assert_eq!(rig.take(), [failed]);
    for (verb, over, code, text) in [
        ("test_stun", json!({ "address": "x", "port": 70_000 }), 490, "STUN request failed"),
        ("test_stun", json!({ "address": "x" }), 456, "Missing mandatory element (port)"),
        ("query_transport", json!({ "transport": "x" }), 460, "Invalid transport"),
        ("query_eventhandler", json!({ "handler": "x" }), 460, "Invalid event handler"),
        ("query_logger", json!({ "logger": "x" }), 460, "Invalid logger"),
        ("query_logger", json!({}), 456, "Missing mandatory element (logger)"),
    ] {
        assert_eq!(refused(&mut rig, verb, over), (code, text.to_owned()), "{verb}");
    }
}

#[test]
fn open_questions_have_a_limit() {
    let mut rig = Rig::plain();
    for _ in 0..64 {
        rig.input_admin(request("loops_info", json!({})));
    }
    assert_eq!(refused(&mut rig, "loops_info", json!({})).0, 490);
    rig.pass(Duration::from_secs(7));
    rig.take();
    rig.input_admin(request("loops_info", json!({})));
    assert_eq!(rig.take(), ["ask 65 Loops"]);
}

#[test]
fn lines_and_events_of_operators_go_where_they_belong() {
    let mut rig = Rig::new(Settings { broadcast: true, ..Settings::default() });
    told(&mut rig, "custom_logline", json!({ "line": "hello", "level": 2 }));
    told(&mut rig, "custom_logline", json!({ "line": "hello", "level": 99 }));
    told(&mut rig, "custom_event", json!({ "schema": "s", "data": { "a": 1 } }));
    let done = r#"reply {"janus":"success","transaction":"t"}"#;
    let event = r#"notify 4 None {"schema":"s","data":{"a":1}}"#;
    assert_eq!(rig.take(), ["log 2 hello", done, "log 4 hello", done, event, done]);
    assert_eq!(refused(&mut rig, "custom_logline", json!({ "line": "x", "level": -1 })).0, 467);
    assert_eq!(refused(&mut rig, "custom_event", json!({ "schema": "s", "data": 5 })).0, 467);
}

#[test]
fn stored_tokens_let_in_until_they_are_removed() {
    let mut rig = Rig::new(stored_tokens());
    let create = json!({ "janus": "create", "transaction": "c", "token": "tk" });
    assert_eq!(error_in(&rig.ask(WS, create.clone())).0, 403);
    assert_eq!(
        told(&mut rig, "add_token", json!({ "token": "tk", "plugins": ["janus.plugin.script", "nope"] })),
        r#"{"janus":"success","transaction":"t","data":{"plugins":["janus.plugin.script"]}}"#
    );
    let session = id_in(&rig.ask(WS, create));
    let attach = |plugin: &str| json!({ "janus": "attach", "transaction": "a", "session_id": session, "plugin": plugin, "token": "tk" });
    let handle = id_in(&rig.ask(WS, attach("janus.plugin.script")));
    assert_eq!(error_in(&rig.ask(WS, attach("janus.plugin.shut"))).0, 405);
    let info = told(&mut rig, "handle_info", json!({ "session_id": session, "handle_id": handle }));
    assert_eq!(value(&info)["info"]["token"], "tk");
    told(&mut rig, "remove_token", json!({ "token": "tk" }));
    let keepalive = json!({ "janus": "keepalive", "transaction": "k", "session_id": session, "token": "tk" });
    assert_eq!(error_in(&rig.ask(WS, keepalive)).0, 403);
}

#[test]
fn tokens_are_allowed_and_disallowed_as_in_janus() {
    let mut rig = Rig::new(stored_tokens());
    let (script, shut) = ("janus.plugin.script", "janus.plugin.shut");
    for (verb, over, plugins) in [
        ("add_token", json!({ "token": "a" }), json!([script, shut])),
        ("add_token", json!({ "token": "b", "plugins": [] }), json!([script, shut])),
        ("add_token", json!({ "token": "c", "plugins": [shut] }), json!([shut])),
        ("allow_token", json!({ "token": "c", "plugins": [script] }), json!([shut, script])),
        ("disallow_token", json!({ "token": "c", "plugins": [shut] }), json!([script])),
        ("disallow_token", json!({ "token": "b", "plugins": [shut, script] }), json!([])),
    ] {
        assert_eq!(value(&told(&mut rig, verb, over))["data"], json!({ "plugins": plugins }));
    }
    let tokens = json!({ "tokens": [
        { "token": "a", "allowed_plugins": [script, shut] }, { "token": "c", "allowed_plugins": [script] },
    ] });
    assert_eq!(value(&told(&mut rig, "list_tokens", json!({})))["data"], tokens, "b may do nothing");
    for (verb, over, code, text) in [
        ("add_token", json!({}), 456, "Missing mandatory element (token)"),
        (
            "add_token",
            json!({ "token": "a", "plugins": 5 }),
            467,
            "Invalid element type (plugins should be an array)",
        ),
        ("allow_token", json!({ "token": "zz", "plugins": [shut] }), 470, "Token zz not found"),
        (
            "allow_token",
            json!({ "token": "a" }),
            467,
            "Invalid element type (plugins should be a non-empty array)",
        ),
        (
            "disallow_token",
            json!({ "token": "a", "plugins": [shut, "nope"] }),
            467,
            "Invalid element type (some of the provided plugins are invalid)",
        ),
        ("remove_token", json!({ "token": "zz" }), 490, "Error removing token"),
    ] {
        assert_eq!(refused(&mut rig, verb, over), (code, text.to_owned()), "{verb}");
    }
    for settings in [Settings::default(), Settings { token_auth_secret: Some("s".into()), ..stored_tokens() }]
    {
        let (code, text) = refused(&mut Rig::new(settings), "list_tokens", json!({}));
        assert_eq!((code, text.as_str()), (490, "Stored-Token based authentication disabled"));
    }
}

#[test]
fn candidates_that_are_kept_back_and_a_changed_port_are_told_of_a_peer() {
    let (mut rig, session, handle) = Rig::attached_with(Settings { admin: true, ..Settings::default() });
    rig.message(session, handle, "answer", json!({ "type": "offer", "sdp": sdp::offer(&["0"]) }));
    rig.take();
    let mut ice_of = |trickle: Option<TrickleReport>, remapped| {
        rig.input_admin(request("handle_info", json!({ "session_id": session, "handle_id": handle })));
        let asked = rig.take().remove(0);
        let (_, number) = asked.split_once("question: ").unwrap();
        let mut report = report();
        (report.ice.trickle, report.ice.remapped) = (trickle, remapped);
        let question = number.trim_end_matches(" }").parse().unwrap();
        rig.media(handle, MediaEvent::Report { question, report: Box::new(report) });
        value(rig.take().remove(0).strip_prefix("reply ").unwrap())["info"]["webrtc"]["ice"].clone()
    };
    let at_once =
        TrickleReport { hold: Duration::ZERO, delay: Duration::ZERO, holding: false, kept_back: None };
    let ice = ice_of(Some(at_once), None);
    assert!(ice.get("trickle").is_none() && ice.get("remapped").is_none(), "{ice}");
    let hold = TrickleReport { hold: Duration::from_millis(100), holding: true, ..at_once };
    let told = json!({ "hold-ms": 100, "delay-ms": 0, "holding": true });
    assert_eq!(ice_of(Some(hold), None)["trickle"], told);
    let released = TrickleReport { holding: false, kept_back: Some(Duration::from_millis(230)), ..hold };
    let pair = (([203, 0, 113, 80], 10_000).into(), ([203, 0, 113, 80], 19_472).into());
    let ice = ice_of(Some(released), Some(pair));
    assert_eq!(ice["trickle"]["kept-back-ms"], 230);
    assert_eq!(ice["remapped"], json!({ "told": "203.0.113.80:10000", "seen": "203.0.113.80:19472" }));
}

#[test]
fn what_the_media_engine_knows_of_a_peer_joins_the_answer() {
    let (mut rig, session, handle) = Rig::attached_with(Settings { admin: true, ..Settings::default() });
    let offer = sdp::offer(&["0"]);
    rig.message(session, handle, "answer", json!({ "type": "offer", "sdp": offer }));
    rig.take();
    let ask = json!({ "session_id": session, "handle_id": handle });
    rig.input_admin(request("handle_info", ask.clone()));
    assert_eq!(rig.take(), [format!("media Report {{ handle: {handle}, question: 1 }}")]);
    rig.media(handle, MediaEvent::Report { question: 1, report: Box::new(report()) });
    let text = rig.take().remove(0);
    let info = value(text.strip_prefix("reply ").unwrap())["info"].clone();
    assert_eq!(info["ice-role"], "controlled");
    let webrtc = &info["webrtc"];
    assert_eq!(webrtc["ice"]["selected-pair"], "192.0.2.1:10000 [host,udp] <-> 192.0.2.9:5 [prflx,udp]");
    assert_eq!(webrtc["dtls"]["stats"]["in"], json!({ "packets": 3, "bytes": 30 }));
    let medium = &webrtc["media"]["0"];
    assert_eq!(medium["ssrc"], json!({ "ssrc": 7, "ssrc-peer": 5 }));
    assert_eq!(medium["rtcp"]["main"]["rtt"], 12);
    assert_eq!(medium["stats"]["in"]["bytes_lastsec"], 10);
    // Without an answer the rest is told.
    rig.input_admin(request("handle_info", ask));
    rig.take();
    rig.pass(Duration::from_secs(7));
    let text = rig.take().into_iter().find(|line| line.starts_with("reply ")).unwrap();
    let info = value(text.strip_prefix("reply ").unwrap())["info"].clone();
    assert!(info.get("webrtc").is_none() && info.get("flags").is_some());
}

fn report() -> PeerReport {
    let traffic = Traffic { packets: 3, bytes: 30, last_second: 10 };
    PeerReport {
        ice: IceReport {
            state: "ready",
            controlling: false,
            connected: None,
            heard: None,
            local: Vec::new(),
            remote: Vec::new(),
            selected: Some(SelectedPair {
                local: ([192, 0, 2, 1], 10_000).into(),
                remote: ([192, 0, 2, 9], 5).into(),
                local_kind: "host",
                remote_kind: "prflx",
                transport: "udp",
            }),
            trickle: None,
            remapped: None,
        },
        dtls: DtlsReport {
            fingerprint: "AA".to_owned(),
            remote_fingerprint: None,
            role: "active",
            state: "connected",
            retransmissions: 0,
            profile: Some("SRTP_AEAD_AES_128_GCM"),
            started: None,
            connected: None,
            sctp: false,
        },
        estimate: None,
        lines: vec![LineReport {
            mid: "0".to_owned(),
            mindex: 0,
            kind: MediaKind::Audio,
            codec: Some("opus"),
            clock_rate: 48_000,
            nacks: false,
            nack_queue: Duration::from_millis(200),
            sources: vec![SourceReport { ssrc: Some(5), traffic, ..SourceReport::default() }],
            sink: Some(SinkReport {
                ssrc: 7,
                round_trip: Some(Duration::from_millis(12)),
                ..SinkReport::default()
            }),
        }],
    }
}

#[test]
fn one_capture_of_either_kind_a_handle() {
    let (mut rig, session, handle) = Rig::attached();
    let at =
        |janus: &str| json!({"janus": janus, "transaction": "a", "session_id": session, "handle_id": handle});
    assert_eq!(error_in(&rig.admin(at("stop_pcap"))), (490, "Capture not started".to_owned()));
    for (start, other, stop, on, name) in [
        ("start_pcap", "start_text2pcap", "stop_text2pcap", "dump-to-pcap", "pcap-file"),
        ("start_text2pcap", "start_pcap", "stop_pcap", "dump-to-text2pcap", "text2pcap-file"),
    ] {
        rig.take();
        rig.input_admin(at(start));
        let asked = rig.take();
        assert!(asked[0].starts_with("ask ") && asked[0].contains("StartCapture"), "{asked:?}");
        for again in [start, other] {
            let already = format!("{} already started", again.trim_start_matches("start_"));
            assert_eq!(error_in(&rig.admin(at(again))), (490, already));
        }
        let question: u64 = asked[0].split(' ').nth(1).unwrap().parse().unwrap();
        let file = Object::from_iter([("file".to_owned(), json!("/x/y.pcap"))]);
        rig.take();
        rig.input(Input::Answer { question, answer: Some(file) });
        assert_eq!(rig.take(), [r#"reply {"janus":"success","transaction":"a"}"#]);
        let info = rig.admin(at("handle_info"));
        assert!(info.contains(&format!(r#""queued-packets":0,"{on}":true,"{name}":"/x/y.pcap""#)), "{info}");
        rig.take();
        assert_eq!(rig.admin(at(stop)), r#"{"janus":"success","transaction":"a"}"#);
        assert_eq!(rig.take()[0], format!("stop capture {handle}"));
    }
}

#[test]
fn a_capture_that_cannot_begin_leaves_nothing_behind_and_one_ends_with_its_handle() {
    let (mut rig, session, handle) = Rig::attached();
    let at =
        |janus: &str| json!({"janus": janus, "transaction": "a", "session_id": session, "handle_id": handle});
    let start = |rig: &mut Rig, answer: Option<Object>| {
        rig.take();
        rig.input_admin(at("start_pcap"));
        let asked = rig.take();
        let question: u64 = asked[0].split(' ').nth(1).unwrap().parse().unwrap();
        rig.input(Input::Answer { question, answer });
        rig.take()
    };
    let refused = start(&mut rig, None);
    assert!(refused[0].contains("Error starting pcap dump"), "{refused:?}");
    start(&mut rig, Some(Object::from_iter([("file".to_owned(), json!("/x/y.pcap"))])));
    rig.at(session, handle, json!({"janus": "detach", "transaction": "d"}));
    assert!(rig.take().contains(&format!("stop capture {handle}")));
}

#[test]
fn a_file_that_is_opened_too_late_is_closed_again() {
    for detached in [true, false] {
        let (mut rig, session, handle) = Rig::attached();
        rig.take();
        let start =
            json!({"janus": "start_pcap", "transaction": "a", "session_id": session, "handle_id": handle});
        rig.input_admin(start);
        let asked = rig.take();
        let question: u64 = asked[0].split(' ').nth(1).unwrap().parse().unwrap();
        if detached {
            rig.at(session, handle, json!({"janus": "detach", "transaction": "d"}));
        } else {
            rig.pass(Duration::from_secs(7));
            assert!(rig.take().iter().any(|l| l.contains("Error starting pcap dump")));
        }
        rig.take();
        let members = [("handle_id".to_owned(), json!(handle)), ("file".to_owned(), json!("/x/y.pcap"))];
        rig.input(Input::Answer { question, answer: Some(Object::from_iter(members)) });
        assert!(rig.take().contains(&format!("stop capture {handle}")), "detached: {detached}");
    }
}

#[test]
fn a_stream_is_explained_in_words_and_numbers() {
    let (mut rig, session, handle) = Rig::attached();
    let ask =
        json!({"janus": "explain_handle", "transaction": "a", "session_id": session, "handle_id": handle});
    let verdict = |reply: &str| {
        let reply: Value = serde_json::from_str(reply).unwrap();
        let explanation = &reply["explanation"];
        let text = |f: &Value| f["text"].as_str().unwrap().to_owned();
        let texts: Vec<_> = explanation["findings"].as_array().unwrap().iter().map(text).collect();
        (
            explanation["verdict"].as_str().unwrap().to_owned(),
            texts.join("\n"),
            explanation["numbers"].clone(),
        )
    };
    let (weight, text, _) = verdict(&rig.admin(ask.clone()));
    assert_eq!(
        (weight.as_str(), text.as_str()),
        ("broken", "There is no PeerConnection: no offer has come, or it was closed.")
    );

    rig.message(session, handle, "answer", json!({ "type": "offer", "sdp": sdp::offer(&["0"]) }));
    let exchange = rig.negotiations.iter().filter_map(|n| n.exchange).next_back().unwrap();
    rig.media(handle, MediaEvent::Local { exchange, transport: sdp::local() });
    rig.media(handle, MediaEvent::Up);
    let now = rig.now;
    let explain = |rig: &mut Rig, report: PeerReport| {
        rig.take();
        rig.input_admin(ask.clone());
        let asked = rig.take();
        let (_, number) = asked[0].split_once("question: ").unwrap();
        let question: u64 = number.trim_end_matches(" }").parse().unwrap();
        rig.media(handle, MediaEvent::Report { question, report: Box::new(report) });
        verdict(rig.take()[0].strip_prefix("reply ").unwrap())
    };
    let mut fine = report();
    fine.ice.heard = Some(now);
    let line = &mut fine.lines[0];
    (line.sources[0].last_packet, line.sources[0].quality) = (Some(now), 100);
    let sink = line.sink.as_mut().unwrap();
    (sink.last_sent, sink.quality) = (Some(now), 100);
    let (weight, text, numbers) = explain(&mut rig, fine.clone());
    assert_eq!(weight, "fine", "{text}");
    assert_eq!((&numbers["ice"], &numbers["media"][0]["out"]["rtt_ms"]), (&json!("ready"), &json!(12)));

    let mut lossy = fine.clone();
    lossy.lines[0].sources[0].quality = 70;
    let (weight, text, _) = explain(&mut rig, lossy);
    assert_eq!(weight, "poor");
    assert!(text.starts_with("70 % of the client's packets arrived"), "{text}");

    let mut remapped = fine.clone();
    remapped.ice.remapped = Some((([203, 0, 113, 80], 10_000).into(), ([203, 0, 113, 80], 19_472).into()));
    let (weight, text, _) = explain(&mut rig, remapped);
    assert_eq!(weight, "poor");
    assert!(text.contains("told 203.0.113.80:10000 and saw 203.0.113.80:19472"), "{text}");

    let mut blocked = fine;
    (blocked.ice.state, blocked.ice.connected, blocked.ice.remote) =
        ("connecting", None, vec!["1 1 udp".into()]);
    let (weight, text, _) = explain(&mut rig, blocked);
    assert_eq!(weight, "broken");
    assert!(text.starts_with("ICE has found no working pair among 1 candidates"), "{text}");
}

#[test]
fn more_can_be_logged_of_one_handle_for_as_long_as_it_lives() {
    let (mut rig, session, handle) = Rig::attached();
    let at = |level: Value| json!({"janus": "set_log_level", "transaction": "a", "session_id": session, "handle_id": handle, "level": level});
    rig.take();
    assert_eq!(error_in(&rig.admin(at(json!(8)))).0, 467);
    assert!(rig.admin(at(json!(7))).ends_with(r#""transaction":"a","level":7}"#));
    let out = rig.take();
    assert!(out.iter().any(|l| l.starts_with("tune ") && l.contains(": 7}")), "{out:?}");
    rig.at(session, handle, json!({"janus": "detach", "transaction": "d"}));
    assert!(rig.take().iter().any(|l| l.starts_with("tune ") && l.contains("log_handles: {}")));
}
