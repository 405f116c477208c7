//! Sizes and rates of WebSocket messages.

use crate::support::*;
use futures_util::{SinkExt, StreamExt};
use portunus_api::json;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

async fn closed_with(ws: &mut Ws) -> u16 {
    match tokio::time::timeout(PATIENCE, ws.0.next()).await.unwrap() {
        Some(Ok(Message::Close(Some(frame)))) => frame.code.into(),
        other => panic!("no close frame: {other:?}"),
    }
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_connection() {
    let server = serve(|s| s.limits.message = 1000).await;
    let mut ws = Ws::connect(server.ws()).await;
    let fits = format!("{{\"a\":\"{}\"}}", "x".repeat(992));
    ws.text(&fits).await;
    ws.next().await;
    ws.text(&format!("{fits} ")).await;
    assert_eq!(closed_with(&mut ws).await, 1009);
    assert_eq!(server.mailboxes.counters().too_large.get(), 1);
}

#[tokio::test]
async fn fragments_without_end_reach_the_limit_too() {
    let server = serve(|s| s.limits.message = 10_000).await;
    let mut ws = Ws::connect(server.ws()).await;
    for n in 0..20_000 {
        let code = if n == 0 { Data::Text } else { Data::Continue };
        let frame = Frame::message(vec![b' '], OpCode::Data(code), false);
        if ws.0.feed(Message::Frame(frame)).await.is_err() {
            break;
        }
    }
    let _ = ws.0.flush().await;
    eventually("it is closed", || server.mailboxes.counters().websocket_connections.get() == 0).await;
    assert_eq!(server.mailboxes.counters().too_large.get(), 1);
}

#[tokio::test]
async fn a_frame_that_only_announces_too_much_is_refused_at_once() {
    let server = serve(|_| {}).await;
    let mut ws = Ws::connect(server.ws()).await;
    // 100 MB announced, nothing sent.
    ws.0.get_mut().write_all(&[0x81, 0xff, 0, 0, 0, 0, 6, 0, 0, 0, 1, 2, 3, 4]).await.unwrap();
    assert_eq!(closed_with(&mut ws).await, 1009);
}

#[tokio::test]
async fn what_the_protocol_forbids_ends_the_connection() {
    let server = serve(|_| {}).await;
    for (bytes, code) in [
        (&[0x81, 0x02, b'{', b'}'][..], 1002),         // not masked
        (&[0xc1, 0x82, 0, 0, 0, 0, b'{', b'}'], 1002), // a reserved bit: compression
        (&[0x80, 0x82, 0, 0, 0, 0, b'{', b'}'], 1002), // a continuation of nothing
        (&[0x83, 0x80, 0, 0, 0, 0], 1002),             // an unknown opcode
        (&[0x09, 0x80, 0, 0, 0, 0], 1002),             // a fragmented ping
        (&[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007),       // text that is not UTF-8
    ] {
        let mut ws = Ws::connect(server.ws()).await;
        ws.0.get_mut().write_all(bytes).await.unwrap();
        assert_eq!(closed_with(&mut ws).await, code, "{bytes:x?}");
    }
}

#[tokio::test]
async fn a_flood_of_pings_is_read_slowly() {
    let server = serve(|s| s.limits.read_rate = 20_000).await;
    let mut ws = Ws::connect(server.ws()).await;
    let start = Instant::now();
    for _ in 0..18_000 {
        ws.0.feed(Message::Ping("".into())).await.unwrap();
    }
    ws.0.flush().await.unwrap();
    let answer = ws.ask(json!({"janus": "x"})).await;
    // 108 kB at 20 kB/s after a burst of 80 kB.
    assert_eq!(answer["seen"], json!({"janus": "x"}));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(1000) && took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test]
async fn half_sent_messages_together_have_a_limit() {
    let server = serve(|s| s.limits.unanswered_bytes = 200_000).await;
    let mut crowd = Vec::new();
    for _ in 0..10 {
        let mut ws = Ws::connect(server.ws()).await;
        let frame = Frame::message(vec![b' '; 100_000], OpCode::Data(Data::Text), false);
        // Closed while sending: that is what is wanted.
        let _ = ws.0.send(Message::Frame(frame)).await;
        crowd.push(ws);
    }
    eventually("the rest is closed", || server.mailboxes.counters().websocket_connections.get() == 2).await;
    drop(crowd);
    eventually("all are gone", || server.mailboxes.counters().websocket_connections.get() == 0).await;
    let mut ws = Ws::connect(server.ws()).await;
    for _ in 0..5 {
        ws.text(&format!("{{}}{}", " ".repeat(150_000))).await;
        ws.next().await;
        ws.text(&" ".repeat(150_000)).await;
        ws.text(&format!("x{}", " ".repeat(150_000))).await;
        ws.next().await;
    }
}

#[tokio::test]
async fn keeping_a_connection_alive_costs_nothing() {
    let server = serve(|s| {
        s.limits.unanswered_bytes = 10_000;
        s.limits.read_rate = 0;
    })
    .await;
    let mut ws = Ws::connect(server.ws()).await;
    for n in 0..10_000 {
        let data = vec![b'x'; n % 126].into();
        ws.0.feed(if n % 2 == 0 { Message::Pong(data) } else { Message::Ping(data) }).await.unwrap();
    }
    ws.0.flush().await.unwrap();
    assert_eq!(ws.ask(json!({"janus": "x"})).await["seen"], json!({"janus": "x"}));
}
