//! Clients that do not read: they cost a bounded queue and are closed; others notice nothing.

use crate::support::*;
use portunus_api::json;
use std::time::{Duration, Instant};
use tokio::net::{TcpSocket, TcpStream};

async fn narrow(address: std::net::SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(address).await.unwrap()
}

#[tokio::test]
async fn a_websocket_that_does_not_read_is_closed_when_its_queue_is_full() {
    let mut server = serve(|s| s.limits.queued_events = 50).await;
    let mut stuck = Ws::over(narrow(server.ws()).await).await;
    stuck.ask(json!({"janus": "create", "id": 7})).await;
    for _ in 0..40 {
        server.post("/janus/7", r#"{"janus":"event","count":10,"pad":50000}"#).await.unwrap();
    }
    let gone = tokio::time::timeout(PATIENCE, server.gone.recv()).await.unwrap();
    assert!(gone.is_some());
    assert_eq!(server.mailboxes.counters().slow_clients.get(), 1);
    eventually("it is closed", || server.mailboxes.counters().websocket_connections.get() == 0).await;
}

#[tokio::test]
async fn a_websocket_that_does_not_read_is_closed_when_its_time_is_over() {
    let mut server = serve(|s| s.times.write = Duration::from_millis(300)).await;
    let mut stuck = Ws::over(narrow(server.ws()).await).await;
    for _ in 0..4 {
        stuck.send(json!({"janus": "big", "bytes": 3_000_000})).await;
    }
    assert!(tokio::time::timeout(PATIENCE, server.gone.recv()).await.unwrap().is_some());
    assert_eq!(server.mailboxes.counters().slow_clients.get(), 1);
}

#[tokio::test]
async fn a_websocket_that_floods_and_does_not_read_is_not_read_either() {
    let server = serve(|_| {}).await;
    let mut flood = narrow(server.ws()).await;
    let mut ws = Ws::over(&mut flood).await;
    // Each answer is far larger than its request; nobody fetches them.
    let _ = tokio::time::timeout(MOMENT * 4, async {
        for _ in 0..100_000 {
            ws.send(json!({"janus": "big", "bytes": 10_000})).await;
        }
    })
    .await;
    tokio::time::sleep(MOMENT).await;
    let requests = server.mailboxes.counters().websocket_requests.get();
    tokio::time::sleep(MOMENT).await;
    assert_eq!(server.mailboxes.counters().websocket_requests.get(), requests, "the server stopped reading");
    assert!(requests < 5000, "{requests}");
}

#[tokio::test]
async fn an_http_client_that_does_not_read_is_closed() {
    let server = serve(|s| s.times.write = Duration::from_millis(300)).await;
    let mut stuck = Http::over(narrow(server.http()).await);
    let body = r#"{"janus":"big","bytes":20000000}"#;
    stuck
        .send(format!("POST /janus HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
        .await;
    eventually("it is given up", || server.mailboxes.counters().timed_out.get() == 1).await;
    eventually("it is closed", || server.mailboxes.counters().http_connections.get() == 0).await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_but_steadily_is_served() {
    let server = serve(|s| s.times.write = Duration::from_millis(500)).await;
    let mut slow = Http::over(narrow(server.http()).await);
    let body = r#"{"janus":"big","bytes":6000000}"#;
    slow.send(format!("POST /janus HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
        .await;
    let start = Instant::now();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let answer = slow.answer(false).await.unwrap();
    assert_eq!(answer.body.len(), 6_000_008);
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(server.mailboxes.counters().timed_out.get(), 0);
}
