//! The long poll: what it returns, when, and to whom.

use crate::support::*;
use portunus_api::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn waiting_events_are_returned_at_once() {
    let server = serve(|_| {}).await;
    server.create(7).await;
    server.events(7, 3).await;
    let one = server.get("/janus/7?maxev=1&rid=1").await.unwrap();
    assert_eq!(one.json(), json!({"janus": "event", "n": 1, "pad": ""}));
    assert_eq!(one.header("content-length").unwrap(), one.body.len().to_string());
    let rest = server.get("/janus/7?rid=2&maxev=5").await.unwrap().json();
    assert_eq!(rest, json!([{"janus": "event", "n": 2, "pad": ""}, {"janus": "event", "n": 3, "pad": ""}]));
    server.events(7, 1).await;
    let list = server.get("/janus/7/?maxev=5").await.unwrap().json();
    assert_eq!(list, json!([{"janus": "event", "n": 4, "pad": ""}]), "a list even for one");
}

#[tokio::test]
async fn without_events_a_keepalive_comes_when_the_time_is_over() {
    let server = serve(|s| s.times.poll = Duration::from_millis(120)).await;
    server.create(7).await;
    for (path, expected) in [
        ("/janus/7", r#"{"janus":"keepalive"}"#),
        ("/janus/7?maxev=abc", r#"{"janus":"keepalive"}"#),
        ("/janus/7?maxev=0", r#"{"janus":"keepalive"}"#),
        ("/janus/7?maxev=2", r#"[{"janus":"keepalive"}]"#),
    ] {
        let start = Instant::now();
        let answer = server.get(path).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, expected), "{path}");
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(120) && took < Duration::from_secs(2), "{took:?}");
    }
}

#[tokio::test]
async fn an_event_ends_every_poll_and_reaches_one() {
    let server = serve(|_| {}).await;
    server.create(7).await;
    let mut polls = Vec::new();
    for _ in 0..3 {
        let address = server.http();
        polls.push(tokio::spawn(async move { Http::connect(address).await.get("/janus/7").await.unwrap() }));
    }
    eventually("three polls wait", || server.mailboxes.counters().polls.get() == 3).await;
    let start = Instant::now();
    server.events(7, 1).await;
    let mut verbs = Vec::new();
    for poll in polls {
        verbs.push(poll.await.unwrap().json()["janus"].as_str().unwrap().to_owned());
    }
    assert!(start.elapsed() < Duration::from_secs(5));
    verbs.sort();
    assert_eq!(verbs, ["event", "keepalive", "keepalive"]);
}

#[tokio::test]
async fn the_core_decides_who_may_poll() {
    let server = serve(|_| {}).await;
    server.create(7).await;
    server.events(7, 2).await;
    for (path, status) in [
        ("/janus/8", 404),
        ("/janus/7?apisecret=wrong", 403),
        ("/janus/7?apisecret=%77rong", 403),
        ("/janus/7?token=wrong", 403),
        ("/janus/7?apisecret=right&token=right", 200),
        ("/janus/7", 200),
    ] {
        let answer = server.get(path).await.unwrap();
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.body.is_empty(), status != 200, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
    }
}

#[tokio::test]
async fn a_session_that_ends_ends_its_polls() {
    let server = serve(|_| {}).await;
    server.create(7).await;
    let address = server.http();
    let poll = tokio::spawn(async move { Http::connect(address).await.get("/janus/7").await.unwrap() });
    eventually("a poll waits", || server.mailboxes.counters().polls.get() == 1).await;
    server.post("/janus/7", r#"{"janus":"destroy"}"#).await.unwrap();
    assert_eq!(poll.await.unwrap().body, r#"{"janus":"keepalive"}"#);
    assert_eq!(server.get("/janus/7").await.unwrap().status, 404);
}

#[tokio::test]
async fn a_session_of_a_websocket_has_nothing_to_poll() {
    let server = serve(|_| {}).await;
    let mut ws = Ws::connect(server.ws()).await;
    ws.ask(json!({"janus": "create", "id": 7})).await;
    assert_eq!(server.get("/janus/7").await.unwrap().status, 404);
    server.post("/janus/7", r#"{"janus":"claim"}"#).await.unwrap();
    server.events(7, 1).await;
    assert_eq!(server.get("/janus/7").await.unwrap().json()["janus"], "event");
}

#[tokio::test]
async fn a_session_has_a_limit_of_polls() {
    let server = serve(|s| s.limits.polls_per_session = 2).await;
    server.create(7).await;
    let mut polls = Vec::new();
    for n in 0..3 {
        let mut http = Http::connect(server.http()).await;
        http.send("GET /janus/7 HTTP/1.1\r\nHost: x\r\n\r\n").await;
        polls.push(http);
        let waiting = (n + 1).min(2);
        eventually("the poll waits", || server.mailboxes.counters().polls.get() == waiting).await;
    }
    assert_eq!(polls[0].answer(false).await.unwrap().body, r#"{"janus":"keepalive"}"#);
    server.events(7, 1).await;
    let answers = [polls[1].answer(false).await.unwrap(), polls[2].answer(false).await.unwrap()];
    assert!(answers.iter().any(|a| a.json()["janus"] == "event"));
}

#[tokio::test]
async fn events_wait_for_a_client_that_comes_late_the_oldest_go_first() {
    let server = serve(|s| s.limits.queued_events = 4).await;
    server.create(7).await;
    server.events(7, 10).await;
    let events = server.get("/janus/7?maxev=99").await.unwrap().json();
    let numbers: Vec<_> = events.as_array().unwrap().iter().map(|e| e["n"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [7, 8, 9, 10]);
    assert_eq!(server.mailboxes.counters().events_dropped.get(), 6);
}
