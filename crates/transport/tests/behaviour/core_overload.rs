//! A core whose queue is full.

use crate::support::*;
use portunus_api::json;
use std::time::Duration;

#[tokio::test]
async fn http_requests_are_turned_away_at_once() {
    let server = serve_with_room(1, |_| {}).await;
    server.create(7).await;
    server.post("/janus", r#"{"janus":"stop","ms":1000}"#).await.unwrap();
    let mut waiting = Http::connect(server.http()).await;
    waiting.send("POST /janus HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n{\"janus\":\"x\"}").await;
    tokio::time::sleep(MOMENT).await;
    for answer in [server.post("/janus", "{}").await.unwrap(), server.get("/janus/7").await.unwrap()] {
        assert_eq!((answer.status, answer.header("connection")), (503, Some("close")));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
    assert_eq!(server.mailboxes.counters().overloaded.get(), 2);
    assert_eq!(waiting.answer(false).await.unwrap().status, 200, "what was queued is answered");
}

#[tokio::test]
async fn a_websocket_waits_its_turn_and_keeps_its_order() {
    let server = serve_with_room(1, |_| {}).await;
    let mut ws = Ws::connect(server.ws()).await;
    ws.ask(json!({"janus": "stop", "ms": 300})).await;
    for n in 0..200 {
        ws.send(json!({"janus": "x", "n": n})).await;
    }
    for n in 0..200 {
        assert_eq!(ws.next().await["seen"]["n"], n);
    }
}

#[tokio::test]
async fn a_websocket_does_not_wait_for_ever() {
    let server = serve_with_room(1, |s| s.times.reply = Duration::from_millis(200)).await;
    let mut ws = Ws::connect(server.ws()).await;
    ws.ask(json!({"janus": "stop", "ms": 2000})).await;
    ws.send(json!({"janus": "x"})).await;
    ws.send(json!({"janus": "x"})).await;
    assert_eq!(ws.next_text().await, None);
    assert_eq!(server.mailboxes.counters().overloaded.get(), 1);
}

#[tokio::test]
async fn one_websocket_has_a_limit_of_requests_in_flight() {
    let server = serve(|s| s.limits.requests_in_flight = 2).await;
    let mut ws = Ws::connect(server.ws()).await;
    ws.send(json!({"janus": "hang"})).await;
    ws.send(json!({"janus": "hang"})).await;
    ws.send(json!({"janus": "x"})).await;
    assert!(ws.is_silent().await, "two are in flight for ever");
    let mut other = Ws::connect(server.ws()).await;
    other.ask(json!({"janus": "x"})).await;
}
