//! API secret and tokens: what is enough, what is checked before what.

mod common;

use common::{Rig, WS, error_in};
use portunus_core::{PollVerdict, Settings};
use portunus_plugin::json;
use std::time::Duration;

/// Signed with the secret `s`; expires at 1,700,000,000; echotest and script are allowed.
const SCRIPT: &str =
    "1700000000,janus,janus.plugin.echotest,janus.plugin.script:zrFDibrIvuitlQD9ziTM2jgCN30=";
/// The same without descriptors.
const BARE: &str = "1700000000,janus:KXqZ8ihXk3ZPkGz2W1ZXt8yT/Lg=";

fn secret() -> Settings {
    Settings { api_secret: Some("top".into()), ..Settings::default() }
}

fn signed() -> Settings {
    Settings { token_auth: true, token_auth_secret: Some("s".into()), ..Settings::default() }
}

const WRONG: &str = "Unauthorized request (wrong or missing secret/token)";

#[test]
fn info_and_ping_need_no_secret() {
    let mut rig = Rig::new(secret());
    assert_eq!(
        rig.ask(WS, json!({"janus": "ping", "transaction": "a"})),
        r#"{"janus":"pong","transaction":"a"}"#
    );
    assert!(
        rig.ask(WS, json!({"janus": "info", "transaction": "a"})).starts_with(r#"{"janus":"server_info""#)
    );
}

#[test]
fn the_secret_or_a_token_is_enough() {
    let both = Settings { api_secret: Some("top".into()), ..signed() };
    let stored = Settings { token_auth: true, ..Settings::default() };
    for (settings, extra, enters) in [
        (secret(), json!({}), false),
        (secret(), json!({"apisecret": "to"}), false),
        (secret(), json!({"apisecret": 5}), false),
        (secret(), json!({"apisecret": "top"}), true),
        (secret(), json!({"token": SCRIPT}), false),
        (signed(), json!({}), false),
        (signed(), json!({"token": SCRIPT}), true),
        (signed(), json!({"token": BARE}), true),
        (signed(), json!({"token": BARE.replace("janus", "admin")}), false),
        (both.clone(), json!({"apisecret": "top"}), true),
        (both.clone(), json!({"token": SCRIPT}), true),
        (both.clone(), json!({"apisecret": "top", "token": "x"}), true),
        (both, json!({"apisecret": "x", "token": "x"}), false),
        (stored, json!({"token": SCRIPT}), false),
        (Settings::default(), json!({"apisecret": "x", "token": "x"}), true),
    ] {
        let mut rig = Rig::new(settings);
        let mut body = json!({"janus": "create", "transaction": "a"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let text = rig.ask(WS, body.clone());
        let expected = if enters { (0, String::new()) } else { (403, WRONG.to_owned()) };
        assert_eq!(error_in(&text), expected, "{body}");
    }
}

#[test]
fn the_secret_is_checked_before_the_session_and_after_the_verb_at_the_root() {
    let mut rig = Rig::new(secret());
    let keepalive = json!({"janus": "keepalive", "transaction": "a", "session_id": 9});
    assert_eq!(
        rig.ask(WS, keepalive),
        r#"{"janus":"error","session_id":9,"transaction":"a","error":{"code":403,"reason":"Unauthorized request (wrong or missing secret/token)"}}"#
    );
    let right = json!({"janus": "keepalive", "transaction": "a", "session_id": 9, "apisecret": "top"});
    assert_eq!(error_in(&rig.ask(WS, right)).0, 458);
    assert_eq!(error_in(&rig.ask(WS, json!({"janus": "foo", "transaction": "a"}))).0, 457);
    // Janus checks the type of `id` before anything else.
    let odd = json!({"janus": "create", "transaction": "a", "id": "x"});
    assert_eq!(error_in(&rig.ask(WS, odd)).0, 467);
}

#[test]
fn a_token_must_allow_the_plugin_even_beside_the_right_secret() {
    let both = Settings { api_secret: Some("top".into()), ..signed() };
    let mut rig = Rig::new(both);
    let text = rig.ask(WS, json!({"janus": "create", "transaction": "a", "apisecret": "top"}));
    let session = common::id_in(&text);
    for (token, plugin, code) in [
        (json!(SCRIPT), "janus.plugin.script", 0),
        (json!(null), "janus.plugin.script", 0),
        (json!(5), "janus.plugin.script", 0),
        (json!(BARE), "janus.plugin.script", 405),
        (json!("x"), "janus.plugin.script", 405),
        (json!(SCRIPT), "janus.plugin.shut", 405),
        (json!("x"), "janus.plugin.nope", 460),
    ] {
        let body = json!({
            "janus": "attach", "transaction": "a", "session_id": session, "apisecret": "top",
            "plugin": plugin, "token": token,
        });
        let (found, reason) = error_in(&rig.ask(WS, body));
        assert_eq!(found, code, "{token} {plugin}");
        if code == 405 {
            assert_eq!(reason, format!("Provided token can't access plugin '{plugin}'"));
        }
    }
}

#[test]
fn a_token_expires() {
    let mut rig = Rig::new(signed());
    let create = json!({"janus": "create", "transaction": "a", "token": BARE});
    assert_eq!(error_in(&rig.ask(WS, create.clone())).0, 0);
    rig.unix += Duration::from_secs(1);
    assert_eq!(error_in(&rig.ask(WS, create)).0, 403);
}

#[test]
fn a_poll_is_checked_like_a_request() {
    let mut rig = Rig::new(secret());
    let text = rig.ask(WS, json!({"janus": "create", "transaction": "a", "apisecret": "top"}));
    let session = common::id_in(&text);
    for (id, secret, verdict) in [
        (session, None, PollVerdict::Forbidden),
        (session, Some("x"), PollVerdict::Forbidden),
        (99, Some("x"), PollVerdict::Forbidden),
        (99, Some("top"), PollVerdict::NotFound),
        (session, Some("top"), PollVerdict::Ok),
    ] {
        assert_eq!(rig.poll(id, secret, None), verdict);
    }
}

#[test]
fn what_is_no_request_is_let_in_like_one() {
    let both = Settings { api_secret: Some("top".into()), ..signed() };
    for (settings, given, token, enters) in [
        (Settings::default(), None, None, true),
        (secret(), None, None, false),
        (secret(), Some("to"), None, false),
        (secret(), Some("top"), None, true),
        (secret(), None, Some("top"), false),
        (signed(), Some(BARE), None, false),
        (signed(), None, Some(BARE), true),
        (both.clone(), Some("top"), Some("x"), true),
        (both.clone(), Some(BARE), Some(BARE), true),
        (both, None, None, false),
    ] {
        let mut rig = Rig::new(settings);
        assert_eq!(rig.enters(given, token), enters, "{given:?} {token:?}");
    }
    let mut rig = Rig::new(signed());
    rig.unix += Duration::from_secs(1);
    assert!(!rig.enters(None, Some(BARE)), "it has expired");
}
