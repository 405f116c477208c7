//! What a plugin has done outside, and the requests that wait for it.

mod common;

use common::{Calls, HTTP, Rig, Script, error_in};
use portunus_core::{Input, Settings, limits};
use portunus_plugin::{Finished, MediaEvent, Ticket, json};
use std::time::Duration;

const BEGUN: &str = r#"event {"janus":"event","session_id":1,"sender":2,"plugindata":{"plugin":"janus.plugin.script","data":{"script":"begun"}}}"#;
const STORED: &str = r#"event {"janus":"event","session_id":1,"sender":2,"plugindata":{"plugin":"janus.plugin.script","data":{"script":"stored"}}}"#;
const NOW: &str = r#"reply {"janus":"success","session_id":1,"transaction":"m","sender":2,"plugindata":{"plugin":"janus.plugin.script","data":{"script":"now"}}}"#;
const ACK: &str = r#"reply {"janus":"ack","session_id":1,"transaction":"m"}"#;

fn success(ok: bool) -> String {
    format!(
        r#"reply {{"janus":"success","session_id":1,"transaction":"m","sender":2,"plugindata":{{"plugin":"janus.plugin.script","data":{{"script":"done","ok":{ok}}}}}}}"#
    )
}

fn task(ticket: u64) -> String {
    format!("task janus.plugin.script {ticket} group-2")
}

/// A handle with a request that waits for ticket 1.
fn waiting() -> (Rig, u64, u64) {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "later", json!(null));
    assert_eq!(rig.take(), [BEGUN.to_owned(), task(1)]);
    rig.take_calls();
    (rig, session, handle)
}

#[test]
fn a_request_is_answered_when_its_task_is_done_before_the_events_of_its_end() {
    for (outcome, ok) in [(Ok(()), true), (Err("disk full"), false)] {
        let (mut rig, ..) = waiting();
        rig.task_done(1, outcome);
        assert_eq!(rig.take(), [success(ok), STORED.to_owned()]);
        let told = outcome.map(|()| Finished::Stored);
        assert_eq!(rig.take_calls(), [format!("done 1 {told:?}")]);
    }
}

#[test]
fn later_requests_of_the_handle_wait_in_order() {
    let (mut rig, session, handle) = waiting();
    rig.message(session, handle, "now", json!(null));
    rig.message(session, handle, "later", json!(null));
    rig.message(session, handle, "event", json!(null));
    rig.at_later(session, handle, json!({ "janus": "hangup", "transaction": "h" }));
    assert!(rig.take().is_empty() && rig.take_calls().is_empty());
    rig.task_done(1, Ok(()));
    assert_eq!(rig.take(), [success(true), STORED.to_owned(), NOW.to_owned(), BEGUN.to_owned(), task(2)]);
    rig.task_done(2, Ok(()));
    let out = rig.take();
    assert_eq!(out[..3], [success(true), STORED.to_owned(), ACK.to_owned()]);
    assert!(out[3].contains(r#""script":"event""#) && out[4].contains(r#""transaction":"h""#), "{out:?}");
}

#[test]
fn requests_of_other_handles_and_those_about_the_session_do_not_wait() {
    let (mut rig, session, handle) = waiting();
    let other = rig.attach(session);
    rig.take();
    rig.message(session, other, "now", json!(null));
    assert!(rig.take()[0].contains(r#""script":"now""#));
    for verb in ["keepalive", "claim"] {
        let reply = rig.at(session, handle, json!({ "janus": verb, "transaction": "k" }));
        assert!(reply.contains(r#""transaction":"k""#) && !reply.contains("error"), "{reply}");
    }
}

#[test]
fn too_many_requests_behind_one_that_waits_are_refused() {
    let (mut rig, session, handle) = waiting();
    for _ in 0..limits::WAITING_FOR_TASK {
        rig.message(session, handle, "now", json!(null));
    }
    assert!(rig.take().is_empty());
    let reply =
        rig.at(session, handle, json!({ "janus": "message", "transaction": "m", "body": { "do": "now" } }));
    assert_eq!(error_in(&reply), (490, "Too many requests wait".to_owned()));
    assert_eq!(rig.core.counters().refused_full, 1);
    rig.take();
    rig.task_done(1, Ok(()));
    assert_eq!(rig.take().iter().filter(|line| *line == NOW).count(), limits::WAITING_FOR_TASK);
}

#[test]
fn a_task_that_takes_too_long_has_failed_and_its_late_end_means_nothing() {
    let (mut rig, ..) = waiting();
    rig.pass(limits::TASK - Duration::from_millis(1));
    assert!(rig.take().is_empty());
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.take(), [success(false), STORED.to_owned()]);
    assert_eq!(rig.take_calls(), [r#"done 1 Err("timed out")"#]);
    assert_eq!(rig.core.counters().task_timeouts, 1);
    rig.task_done(1, Ok(()));
    assert!(rig.take().is_empty() && rig.take_calls().is_empty());
}

#[test]
fn a_ticket_without_a_task_times_out_too() {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "lost", json!(null));
    assert!(rig.take().is_empty());
    rig.take_calls();
    rig.pass(limits::TASK);
    assert_eq!(rig.take(), [success(false)]);
    assert_eq!(rig.take_calls(), [r#"done 1000 Err("timed out")"#]);
}

#[test]
fn a_handle_that_goes_away_answers_what_waits_and_the_plugin_still_hears_of_the_end() {
    for verb in ["detach", "destroy"] {
        let (mut rig, session, handle) = waiting();
        rig.message(session, handle, "now", json!(null));
        match verb {
            "detach" => rig.at_later(session, handle, json!({ "janus": "detach", "transaction": "d" })),
            _ => {
                let body = json!({ "janus": "destroy", "transaction": "d", "session_id": session });
                rig.input_request(common::WS, body);
            }
        }
        let out = rig.take();
        let codes: Vec<u64> = out
            .iter()
            .filter_map(|line| line.strip_prefix("reply "))
            .map(|reply| error_in(reply).0)
            .collect();
        assert_eq!(codes, [0, 459, 459], "{out:?}");
        rig.take_calls();
        rig.task_done(1, Ok(()));
        assert!(rig.take().is_empty());
        assert_eq!(rig.take_calls(), ["done 1 Ok(Stored)"]);
    }
}

#[test]
fn a_task_that_no_request_waits_for_is_told_and_no_more() {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "spare", json!(null));
    assert_eq!(rig.take(), [ACK.to_owned(), task(1)]);
    rig.message(session, handle, "now", json!(null));
    assert_eq!(rig.take(), [NOW]);
    rig.take_calls();
    rig.task_done(1, Ok(()));
    assert_eq!(rig.take(), [STORED]);
    assert_eq!(rig.take_calls(), ["done 1 Ok(Stored)"]);
}

#[test]
fn two_handles_may_wait_for_one_task() {
    let (mut rig, session, _) = waiting();
    let other = rig.attach(session);
    rig.take();
    rig.message(session, other, "same", json!(null));
    assert!(rig.take().is_empty());
    rig.task_done(1, Ok(()));
    let out = rig.take();
    assert_eq!(out[0], success(true));
    assert_eq!(out[1], success(true).replace(r#""sender":2"#, &format!(r#""sender":{other}"#)));
    assert_eq!(out[2..], [STORED]);
}

#[test]
fn two_plugins_may_use_the_same_ticket() {
    let calls = Calls::default();
    let one = Script::new("janus.plugin.script", &calls);
    let other = Script::new("janus.plugin.other", &calls);
    let mut rig = Rig::with(Settings::default(), calls, vec![Box::new(one), Box::new(other)]);
    let session = rig.create();
    let handles = ["janus.plugin.script", "janus.plugin.other"].map(|plugin| rig.attach_to(session, plugin));
    for handle in handles {
        rig.message(session, handle, "later", json!(null));
    }
    rig.take();
    rig.input(Input::TaskDone {
        plugin: "janus.plugin.other",
        ticket: Ticket(1),
        outcome: Ok(Finished::Stored),
    });
    let out = rig.take();
    assert!(out[0].contains(r#""sender":3,"plugindata":{"plugin":"janus.plugin.other""#), "{out:?}");
    assert_eq!(out.iter().filter(|line| line.starts_with("reply")).count(), 1);
    rig.input(Input::TaskDone {
        plugin: "janus.plugin.none",
        ticket: Ticket(1),
        outcome: Ok(Finished::Stored),
    });
    assert!(rig.take().is_empty());
    rig.task_done(1, Ok(()));
    assert_eq!(rig.take()[0], success(true));
}

#[test]
fn too_many_tasks_fail_at_once() {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "many", json!(null));
    let begun = rig.take().iter().filter(|line| line.starts_with("task ")).count();
    assert_eq!(begun, limits::TASKS);
    let refused = rig.take_calls().iter().filter(|call| call.contains("too much is being done")).count();
    assert_eq!((begun + refused, rig.core.counters().refused_full), (300, 44));
}

#[test]
fn a_panic_in_the_end_of_a_task_ends_the_handle_that_waits_and_nothing_else() {
    std::panic::set_hook(Box::new(|_| {}));
    let (mut rig, session, handle) = waiting();
    let other = rig.attach(session);
    rig.message(session, handle, "now", json!(null));
    rig.take();
    rig.task_done(1, Err("panic"));
    let out = rig.take();
    let codes: Vec<u64> =
        out.iter().filter_map(|line| line.strip_prefix("reply ")).map(|reply| error_in(reply).0).collect();
    assert_eq!(codes, [462, 459], "{out:?}");
    assert!(
        out.iter().any(|line| line == r#"event {"janus":"detached","session_id":1,"sender":2}"#),
        "{out:?}"
    );
    assert_eq!((rig.core.handles(), rig.core.counters().plugin_panics), (1, 1));
    rig.message(session, other, "now", json!(null));
    assert!(rig.take()[0].contains(r#""script":"now""#));
    let _ = std::panic::take_hook();
}

#[test]
fn what_waits_for_a_task_and_for_an_old_connection_waits_for_both() {
    for task_first in [true, false] {
        let (mut rig, session, handle) = Rig::attached();
        let offer = json!({"type": "offer", "sdp": common::sdp::offer(&["0"])});
        rig.message(session, handle, "answer", offer.clone());
        rig.message(session, handle, "close", json!(null));
        rig.message(session, handle, "later", json!(null));
        rig.message(session, handle, "answer", offer);
        rig.message(session, handle, "now", json!(null));
        rig.take();
        let hangup = |rig: &mut Rig| rig.media(handle, MediaEvent::Hangup { reason: "Close PC".into() });
        if task_first {
            rig.task_done(1, Ok(()))
        } else {
            hangup(&mut rig)
        }
        let out = rig.take();
        assert!(!out.contains(&NOW.to_owned()) && !out.contains(&ACK.to_owned()), "{out:?}");
        if task_first {
            hangup(&mut rig)
        } else {
            rig.task_done(1, Ok(()))
        }
        let out = rig.take();
        let answered = out.iter().position(|line| line == ACK).expect("the offer's turn");
        assert!(out[answered + 1].starts_with("media negotiate"), "{out:?}");
        assert_eq!(out.last().map(String::as_str), Some(NOW));
    }
}

#[test]
fn over_http_too_the_reply_comes_once() {
    let (mut rig, session, handle) = Rig::attached();
    let body = json!({
        "janus": "message", "transaction": "m", "session_id": session, "handle_id": handle,
        "body": { "do": "later" },
    });
    rig.input_request(HTTP, body);
    rig.take();
    rig.task_done(1, Ok(()));
    rig.task_done(1, Ok(()));
    assert_eq!(rig.take().iter().filter(|line| line.starts_with("reply")).count(), 1);
}
