//! How sessions end: destroyed, left, timed out; and how they live on.

mod common;

use common::{HTTP, Rig, WS, error_in};
use portunus_core::{Client, Input, PollVerdict, Settings};
use portunus_plugin::json;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn keepalive(session: u64) -> serde_json::Value {
    json!({"janus": "keepalive", "transaction": "k", "session_id": session})
}

#[test]
fn a_session_opens_before_its_client_hears_of_it() {
    let mut rig = Rig::plain();
    rig.ask(HTTP, json!({"janus": "create", "transaction": "a"}));
    assert_eq!(
        rig.take(),
        ["opened 1 Connectionless", r#"reply {"janus":"success","transaction":"a","data":{"id":1}}"#]
    );
}

#[test]
fn destroy_answers_then_detaches_then_closes() {
    let (mut rig, session, _) = Rig::attached();
    rig.ask(WS, json!({"janus": "destroy", "transaction": "d", "session_id": session}));
    assert_eq!(
        rig.take(),
        [
            r#"reply {"janus":"success","session_id":1,"transaction":"d"}"#,
            r#"event {"janus":"detached","session_id":1,"sender":2}"#,
            "closed 1",
        ]
    );
    assert_eq!((rig.core.sessions(), rig.core.handles()), (0, 0));
    assert_eq!(error_in(&rig.ask(WS, keepalive(session))), (458, "No such session 1".to_owned()));
}

#[test]
fn an_idle_session_times_out_at_the_watchdogs_next_round() {
    let (mut rig, _, _) =
        Rig::attached_with(Settings { session_timeout: 20 * SECOND, ..Settings::default() });
    rig.now += SECOND / 2;
    rig.ask(WS, keepalive(1));
    rig.take();
    rig.pass(20 * SECOND);
    assert!(rig.take().is_empty(), "20.5 s since the start: the watchdog looks at 22 s");
    rig.pass(2 * SECOND);
    assert_eq!(
        rig.take(),
        [
            r#"event {"janus":"timeout","session_id":1}"#,
            r#"event {"janus":"detached","session_id":1,"sender":2}"#,
            "closed 1",
        ]
    );
}

#[test]
fn every_request_and_poll_keeps_a_session_alive() {
    let (mut rig, session, handle) = Rig::attached();
    for round in 0..8 {
        rig.pass(50 * SECOND);
        match round % 4 {
            0 => drop(rig.ask(WS, keepalive(session))),
            1 => assert_eq!(rig.poll(session, None, None), PollVerdict::Ok),
            2 => drop(rig.at(session, handle, json!({"janus": "nonsense", "transaction": "a"}))),
            _ => drop(rig.at(session, 99, json!({"janus": "trickle", "transaction": "a"}))),
        }
    }
    assert_eq!(rig.core.sessions(), 1);
    rig.pass(63 * SECOND);
    assert_eq!(rig.core.sessions(), 0);
    assert_eq!(rig.poll(session, None, None), PollVerdict::NotFound);
}

#[test]
fn without_a_session_timeout_nothing_expires() {
    let (mut rig, ..) =
        Rig::attached_with(Settings { session_timeout: Duration::ZERO, ..Settings::default() });
    rig.pass(100_000 * SECOND);
    assert_eq!(rig.core.sessions(), 1);
}

#[test]
fn a_closed_connection_takes_its_sessions_along() {
    let mut rig = Rig::plain();
    let (mine, other) = (rig.create(), rig.create());
    let theirs =
        common::id_in(&rig.ask(Client::Connection(6), json!({"janus": "create", "transaction": "a"})));
    rig.take();
    rig.input(Input::ClientGone { client: WS });
    assert_eq!(rig.take(), [format!("closed {mine}"), format!("closed {other}")]);
    assert_eq!(rig.core.sessions(), 1);
    assert_eq!(rig.poll(theirs, None, None), PollVerdict::Ok);
}

#[test]
fn a_left_session_waits_to_be_claimed() {
    let settings = Settings { reclaim_session_timeout: 10 * SECOND, ..Settings::default() };
    let (mut rig, session, _) = Rig::attached_with(settings);
    rig.input(Input::ClientGone { client: WS });
    assert!(rig.take().is_empty());
    rig.pass(8 * SECOND);
    rig.ask(Client::Connection(6), json!({"janus": "claim", "transaction": "a", "session_id": session}));
    assert_eq!(
        rig.take(),
        ["claimed 1 Connection(6)", r#"reply {"janus":"success","session_id":1,"transaction":"a"}"#]
    );
    rig.pass(30 * SECOND);
    assert_eq!(rig.core.sessions(), 1, "the usual timeout counts again");
    rig.input(Input::ClientGone { client: Client::Connection(6) });
    rig.pass(13 * SECOND);
    assert_eq!(rig.core.sessions(), 0);
}

#[test]
fn a_claimed_session_does_not_end_with_its_former_owner() {
    let (mut rig, session, _) = Rig::attached();
    rig.ask(Client::Connection(6), json!({"janus": "claim", "transaction": "a", "session_id": session}));
    rig.input(Input::ClientGone { client: WS });
    assert_eq!(rig.core.sessions(), 1);
    rig.input(Input::ClientGone { client: Client::Connection(6) });
    assert_eq!(rig.core.sessions(), 0);
}

#[test]
fn at_the_end_all_sessions_close_and_no_new_one_opens() {
    let (mut rig, ..) = Rig::attached();
    rig.create();
    rig.take();
    rig.input(Input::Shutdown);
    assert_eq!(
        rig.take(),
        [r#"event {"janus":"detached","session_id":1,"sender":2}"#, "closed 1", "closed 3"]
    );
    let text = rig.ask(WS, json!({"janus": "create", "transaction": "a"}));
    assert_eq!(error_in(&text), (472, "Currently not accepting new sessions".to_owned()));
}

#[test]
fn plugins_are_told_the_time_every_second() {
    let (mut rig, ..) = Rig::attached();
    rig.pass(10 * SECOND);
    assert_eq!(rig.calls.lock().unwrap().iter().filter(|c| *c == "tick").count(), 10);
}

#[test]
fn event_handlers_hear_of_sessions_and_handles() {
    let mut rig = Rig::new(Settings { broadcast: true, ..Settings::default() });
    let session = rig.create();
    let handle = rig.attach(session);
    rig.at(session, handle, json!({"janus": "detach", "transaction": "a"}));
    rig.ask(WS, json!({"janus": "destroy", "transaction": "a", "session_id": session}));
    let notices: Vec<_> = rig.take().into_iter().filter(|l| l.starts_with("notify")).collect();
    assert_eq!(
        notices,
        [
            r#"notify 1 None {"name":"created","transport":{"transport":"janus.transport.websockets","id":"5"}}"#,
            r#"notify 2 None {"name":"attached","plugin":"janus.plugin.script"}"#,
            r#"notify 2 None {"name":"detached","plugin":"janus.plugin.script"}"#,
            r#"notify 1 None {"name":"destroyed"}"#,
        ]
    );
}

#[test]
fn a_session_that_only_waits_ends_when_the_server_drains() {
    let (mut rig, session, handle) = Rig::attached();
    rig.at(session, handle, json!({"janus": "message", "transaction": "m", "body": {"do": "wait"}}));
    rig.pass(5 * SECOND);
    rig.take();
    assert_eq!(rig.core.sessions(), 1, "as long as others may come");
    rig.input(Input::Drain);
    assert!(rig.take().is_empty(), "it has a moment to hear what was being said");
    rig.pass(SECOND);
    assert_eq!(
        rig.take(),
        [
            r#"event {"janus":"timeout","session_id":1}"#,
            r#"event {"janus":"detached","session_id":1,"sender":2}"#,
            "closed 1",
            "dismissed Connection(5)",
        ]
    );
}

#[test]
fn who_gets_no_session_of_a_server_that_ends_is_dismissed_unless_he_has_another_one() {
    let (mut rig, session, _) = Rig::attached();
    rig.input(Input::Drain);
    let create = json!({"janus": "create", "transaction": "c"});
    let refused = r#"reply {"janus":"error","transaction":"c","error":{"code":472,"reason":"Currently not accepting new sessions"}}"#;
    rig.ask(WS, create.clone());
    assert_eq!(rig.take(), [refused], "there is a call on this connection");
    rig.ask(HTTP, create.clone());
    assert_eq!(rig.take(), [refused], "nothing to close");
    rig.ask(Client::Connection(6), create.clone());
    assert_eq!(rig.take(), [refused, "dismissed Connection(6)"]);
    rig.ask(WS, json!({"janus": "destroy", "transaction": "d", "session_id": session}));
    rig.take();
    rig.ask(WS, create);
    assert_eq!(rig.take(), [refused, "dismissed Connection(5)"]);
}

#[test]
fn a_session_with_a_handle_that_does_something_outlives_a_drain_until_it_does_nothing() {
    let (mut rig, session, waiting) = Rig::attached();
    let acting = rig.attach(session);
    let tell = |rig: &mut Rig, handle, what| {
        rig.at(session, handle, json!({"janus": "message", "transaction": "m", "body": {"do": what}}));
    };
    tell(&mut rig, waiting, "wait");
    rig.input(Input::Drain);
    rig.pass(5 * SECOND);
    assert_eq!((rig.core.sessions(), rig.core.handles()), (1, 2));
    tell(&mut rig, acting, "wait");
    rig.pass(SECOND);
    assert_eq!((rig.core.sessions(), rig.core.handles()), (0, 0));
}

#[test]
fn idle_sessions_end_a_part_at_a_time() {
    let mut rig = Rig::plain();
    for _ in 0..=portunus_core::limits::IDLE_ENDED {
        let session = rig.create();
        let handle = rig.attach(session);
        rig.at(session, handle, json!({"janus": "message", "transaction": "m", "body": {"do": "wait"}}));
    }
    rig.input(Input::Drain);
    rig.pass(SECOND);
    assert_eq!(rig.core.sessions(), 1);
    rig.pass(SECOND);
    assert_eq!(rig.core.sessions(), 0);
}
