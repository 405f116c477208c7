//! More connections than places.

use crate::support::*;
use std::time::{Duration, Instant};
use tokio::net::TcpSocket;

#[tokio::test]
async fn with_all_places_in_use_newcomers_are_refused() {
    let server = serve(|s| {
        s.http.as_mut().unwrap().connections = 3;
        s.times.evictable = Duration::from_millis(20);
    })
    .await;
    server.create(7).await;
    let mut polls = Vec::new();
    for n in 1..=3 {
        let mut http = Http::connect(server.http()).await;
        http.send("GET /janus/7 HTTP/1.1\r\nHost: x\r\n\r\n").await;
        polls.push(http);
        eventually("the poll waits", || server.mailboxes.counters().polls.get() == n).await;
    }
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert!(server.get("/janus/info").await.is_none());
    assert_eq!(server.mailboxes.counters().refused_full.get(), 1);
    drop(polls);
    eventually("places are free", || server.mailboxes.counters().http_connections.get() == 0).await;
    assert_eq!(server.get("/janus/info").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_crowd_of_half_open_requests_does_not_keep_others_out() {
    let server = serve(|s| {
        s.http.as_mut().unwrap().connections = 50;
        s.times.evictable = Duration::from_millis(50);
    })
    .await;
    let mut crowd = Vec::new();
    for n in 0..200 {
        let mut http = Http::connect(server.http()).await;
        // A third each: nothing at all, half a head, half a body.
        http.send(match n % 3 {
            0 => "",
            1 => "GET /janus/info HTTP/1.1\r\nHost",
            _ => "POST /janus HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
        })
        .await;
        crowd.push(http);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(server.mailboxes.counters().http_connections.get() <= 50);
    for _ in 0..20 {
        let start = Instant::now();
        assert_eq!(server.get("/janus/info").await.unwrap().status, 200);
        assert!(start.elapsed() < Duration::from_secs(1));
    }
    assert!(server.mailboxes.counters().evicted.get() >= 1);
}

#[tokio::test]
async fn one_address_may_be_limited() {
    let server = serve(|s| s.http.as_mut().unwrap().connections_per_address = 2).await;
    server.create(7).await;
    let mut polls = Vec::new();
    for n in 1..=2 {
        let mut http = Http::connect(server.http()).await;
        http.send("GET /janus/7 HTTP/1.1\r\nHost: x\r\n\r\n").await;
        polls.push(http);
        eventually("the poll waits", || server.mailboxes.counters().polls.get() == n).await;
    }
    assert!(server.get("/janus/info").await.is_none());
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = Http::over(socket.connect(server.http()).await.unwrap());
    assert_eq!(other.get("/janus/info").await.unwrap().status, 200);
}
