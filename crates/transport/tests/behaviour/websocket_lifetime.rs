//! The life and end of a WebSocket.

use crate::support::*;
use futures_util::{SinkExt, StreamExt};
use portunus_api::json;
use portunus_transport::{Client, PingPong};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

async fn gone(server: &mut Server) -> Client {
    tokio::time::timeout(PATIENCE, server.gone.recv()).await.expect("the core hears of it").unwrap()
}

#[tokio::test]
async fn the_core_hears_when_a_client_has_gone() {
    let mut server = serve(|_| {}).await;
    for how in ["close", "drop", "reset"] {
        let mut ws = Ws::connect(server.ws()).await;
        let client = ws.ask(json!({"janus": "x"})).await["client"].clone();
        match how {
            "close" => ws.0.close(None).await.unwrap(),
            "reset" => ws.0.get_ref().set_zero_linger().unwrap(),
            _ => {}
        }
        drop(ws);
        assert_eq!(format!("{:?}", gone(&mut server).await), client.as_str().unwrap(), "{how}");
    }
    eventually("all are counted out", || server.mailboxes.counters().websocket_connections.get() == 0).await;
}

#[tokio::test]
async fn a_client_that_closes_is_answered() {
    let server = serve(|_| {}).await;
    let mut ws = Ws::connect(server.ws()).await;
    ws.0.close(None).await.unwrap();
    assert!(matches!(ws.0.next().await, Some(Ok(Message::Close(_)))));
    assert!(ws.0.next().await.is_none());
}

#[tokio::test]
async fn an_idle_client_is_pinged_and_lives_as_long_as_it_answers() {
    let ping_pong = PingPong { trigger: Duration::from_millis(200), timeout: Duration::from_millis(200) };
    let mut server = serve(|s| s.websockets.as_mut().unwrap().ping_pong = Some(ping_pong)).await;
    let mut ws = Ws::connect(server.ws()).await;
    let start = Instant::now();
    for n in 1..=4 {
        // Reading answers the ping.
        assert!(matches!(ws.0.next().await, Some(Ok(Message::Ping(_)))));
        assert!(start.elapsed() >= Duration::from_millis(190) * n, "{:?}", start.elapsed());
        ws.0.flush().await.unwrap();
    }
    // From here on nobody reads, and no pong goes out.
    let client = gone(&mut server).await;
    assert!(matches!(client, Client::Connection(_)));
    assert!(start.elapsed() >= Duration::from_millis(1150), "{:?}", start.elapsed());
    assert_eq!(server.mailboxes.counters().timed_out.get(), 1);
}

#[tokio::test]
async fn without_the_setting_idle_clients_are_looked_after_all_the_same() {
    let mut server = serve(|s| s.times.idle = Duration::from_millis(200)).await;
    let mut ws = Ws::connect(server.ws()).await;
    assert!(matches!(ws.0.next().await, Some(Ok(Message::Ping(_)))));
    gone(&mut server).await;
}

#[tokio::test]
async fn pings_of_the_client_are_answered() {
    let server = serve(|_| {}).await;
    let mut ws = Ws::connect(server.ws()).await;
    ws.0.send(Message::Ping("hello".into())).await.unwrap();
    let pong = tokio::time::timeout(PATIENCE, ws.0.next()).await.unwrap();
    assert!(matches!(pong, Some(Ok(Message::Pong(data))) if data.as_ref() == b"hello"));
}

#[tokio::test]
async fn the_core_can_close_a_client_after_its_last_words() {
    let mut server = serve(|_| {}).await;
    let mut ws = Ws::connect(server.ws()).await;
    ws.ask(json!({"janus": "create", "id": 7})).await;
    ws.ask(json!({"janus": "event", "session_id": 7, "count": 100})).await;
    let client = Client::Connection(1);
    server.mailboxes.close_client(client);
    for n in 1..=100 {
        assert_eq!(ws.next().await["n"], n);
    }
    assert!(matches!(ws.0.next().await, Some(Ok(Message::Close(_)))));
    assert_eq!(gone(&mut server).await, client);
}

#[tokio::test]
async fn a_reconnecting_client_claims_its_session_and_misses_nothing() {
    let mut server = serve(|_| {}).await;
    let mut first = Ws::connect(server.ws()).await;
    first.ask(json!({"janus": "create", "id": 7})).await;
    drop(first);
    gone(&mut server).await;
    server.events(7, 3).await;
    let mut second = Ws::connect(server.ws()).await;
    second.send(json!({"janus": "claim", "session_id": 7})).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(second.next().await);
    }
    let numbers: Vec<_> = seen.iter().filter_map(|m| m["n"].as_u64()).collect();
    assert_eq!(numbers, [1, 2, 3]);
}
