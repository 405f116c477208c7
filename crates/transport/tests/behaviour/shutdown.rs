//! The end of the process.

use crate::support::*;
use futures_util::StreamExt;
use portunus_api::json;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn everybody_is_told_and_nothing_is_cut_off() {
    let server = serve(|_| {}).await;
    server.create(7).await;
    let mut idle = Http::connect(server.http()).await;
    idle.get("/janus/info").await.unwrap();
    let mut poll = Http::connect(server.http()).await;
    poll.send("GET /janus/7?maxev=3 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut ws = Ws::connect(server.ws()).await;
    ws.ask(json!({"janus": "x"})).await;
    server.post("/janus", r#"{"janus":"stop","ms":200}"#).await.unwrap();
    let mut asking = Http::connect(server.http()).await;
    asking.send("POST /janus HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}").await;
    tokio::time::sleep(MOMENT).await;
    let (http, start) = (server.http(), Instant::now());
    let end = tokio::spawn(server.running.shutdown(Duration::from_secs(5)));
    assert_eq!(poll.answer(false).await.unwrap().body, r#"[{"janus":"keepalive"}]"#);
    assert_eq!(asking.answer(false).await.unwrap().status, 200, "a request under way is answered");
    assert!(idle.is_closed().await);
    let Some(Ok(Message::Close(Some(frame)))) = ws.0.next().await else { panic!("no close frame") };
    assert_eq!(u16::from(frame.code), 1001);
    assert!(ws.next_text().await.is_none());
    drop((idle, poll, asking));
    end.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert!(TcpStream::connect(http).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn who_does_not_go_is_thrown_out() {
    let server = serve(|_| {}).await;
    let mut stuck = Http::connect(server.http()).await;
    stuck.send("POST /janus HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n{\"janus\":\"hang\"}").await;
    tokio::time::sleep(MOMENT).await;
    let start = Instant::now();
    server.running.shutdown(Duration::from_millis(300)).await;
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(stuck.is_closed().await);
}

#[tokio::test]
async fn dropping_everything_ends_everything() {
    let server = serve(|_| {}).await;
    let mut ws = Ws::connect(server.ws()).await;
    ws.ask(json!({"janus": "x"})).await;
    let http = server.http();
    drop(server.running);
    assert!(ws.next_text().await.is_none());
    let mut tries = 0;
    while TcpStream::connect(http).await.is_ok() {
        tries += 1;
        assert!(tries < 100);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
