//! Messages over WebSockets.

use crate::support::*;
use futures_util::SinkExt;
use portunus_api::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

#[tokio::test]
async fn text_and_binary_are_requests_and_answers_are_text() {
    let server = serve(|_| {}).await;
    let mut ws = Ws::connect(server.ws()).await;
    let answer = ws.ask(json!({"janus": "x"})).await;
    assert_eq!(answer["seen"], json!({"janus": "x"}));
    assert_eq!(answer["from"], "127.0.0.1");
    let client = answer["client"].clone();
    assert!(client.as_str().unwrap().starts_with("Connection("));
    ws.0.send(Message::binary(b"{\"janus\":\"y\"}".to_vec())).await.unwrap();
    let answer = ws.next().await;
    assert_eq!((&answer["seen"]["janus"], &answer["client"]), (&json!("y"), &client));
    let other = Ws::connect(server.ws()).await.ask(json!({"janus": "x"})).await;
    assert_ne!(other["client"], client, "each connection is a client of its own");
}

#[tokio::test]
async fn fragments_become_one_message() {
    let server = serve(|_| {}).await;
    let mut ws = Ws::connect(server.ws()).await;
    let text = br#"{"janus":"x"}"#;
    for (n, byte) in text.iter().enumerate() {
        let code = if n == 0 { Data::Text } else { Data::Continue };
        let frame = Frame::message(vec![*byte], OpCode::Data(code), n + 1 == text.len());
        ws.0.send(Message::Frame(frame)).await.unwrap();
        if n == 5 {
            ws.0.send(Message::Ping("between".into())).await.unwrap();
        }
    }
    assert_eq!(ws.next().await["seen"], json!({"janus": "x"}));
}

#[tokio::test]
async fn one_message_may_hold_several_texts() {
    let server = serve(|_| {}).await;
    let mut ws = Ws::connect(server.ws()).await;
    ws.text("{\"n\":1}{\"n\":2} \n [3]\t{\"n\":4} ").await;
    for seen in [json!({"n": 1}), json!({"n": 2}), json!([3]), json!({"n": 4})] {
        assert_eq!(ws.next().await["seen"], seen);
    }
}

#[tokio::test]
async fn one_fault_spoils_the_whole_message() {
    let server = serve(|_| {}).await;
    let mut ws = Ws::connect(server.ws()).await;
    for (text, fault) in [
        (r#"{"janus" 1}"#, "<string>(1,10): ':' expected near '1'"),
        (r#"{"janus":"ping"}{"janus" 1}"#, "<string>(1,10): ':' expected near '1'"),
        ("{}\n{\"x\"\n :1 2}", "<string>(2,5): '}' expected near '2'"),
        ("{} x", "<string>(1,1): '[' or '{' expected near 'x'"),
        ("5", "<string>(1,1): '[' or '{' expected near '5'"),
        ("", "<string>(1,0): '[' or '{' expected near end of file"),
    ] {
        ws.text(text).await;
        let reason = format!("Invalid Janus API request - {fault}");
        assert_eq!(ws.next().await, json!({"janus": "error", "error": {"code": 454, "reason": reason}}));
    }
    assert!(ws.is_silent().await);
    assert_eq!(server.mailboxes.counters().websocket_requests.get(), 0);
}

#[tokio::test]
async fn white_space_alone_is_ignored() {
    let server = serve(|_| {}).await;
    let mut ws = Ws::connect(server.ws()).await;
    ws.text(" \r\n\t").await;
    assert!(ws.is_silent().await);
    ws.ask(json!({"janus": "x"})).await;
}

#[tokio::test]
async fn replies_and_events_come_in_the_order_of_the_core() {
    let server = serve(|_| {}).await;
    let mut ws = Ws::connect(server.ws()).await;
    ws.ask(json!({"janus": "create", "id": 7})).await;
    for n in 0..50 {
        ws.send(json!({"janus": "event", "session_id": 7, "count": 2, "transaction": n})).await;
    }
    for n in 0..50 {
        assert_eq!(ws.next().await, json!({"janus": "success", "transaction": n}));
        assert_eq!(ws.next().await["n"], n * 2 + 1);
        assert_eq!(ws.next().await["n"], n * 2 + 2);
    }
}

#[tokio::test]
async fn a_large_answer_is_one_message() {
    let server = serve(|_| {}).await;
    let mut ws = Ws::connect(server.ws()).await;
    let answer = ws.ask(json!({"janus": "big", "bytes": 3_000_000})).await;
    assert_eq!(answer["x"].as_str().unwrap().len(), 3_000_000);
}

#[tokio::test]
async fn events_go_to_the_owner_and_replies_to_who_asked() {
    let server = serve(|_| {}).await;
    let mut owner = Ws::connect(server.ws()).await;
    let mut other = Ws::connect(server.ws()).await;
    owner.ask(json!({"janus": "create", "id": 7})).await;
    assert_eq!(other.ask(json!({"janus": "event", "session_id": 7})).await["janus"], "success");
    assert_eq!(owner.next().await["n"], 1);
    assert!(other.is_silent().await);
    other.ask(json!({"janus": "claim", "session_id": 7})).await;
    owner.ask(json!({"janus": "event", "session_id": 7})).await;
    assert_eq!(other.next().await["n"], 2);
    assert!(owner.is_silent().await);
}
