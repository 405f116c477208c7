//! Sizes and times of HTTP requests.

use crate::support::*;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_body_over_the_limit_is_413_and_the_end_of_the_connection() {
    let server = serve(|s| s.limits.body = 1000).await;
    let fits = format!("{{\"a\":\"{}\"}}", "x".repeat(992));
    assert_eq!(fits.len(), 1000);
    assert_eq!(server.post("/janus", &fits).await.unwrap().status, 200);
    let over = format!("{fits} ");
    // Refused by its announced length, before a byte of it is read.
    let mut http = Http::connect(server.http()).await;
    http.send("POST /janus HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n").await;
    let answer = http.answer(false).await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    // Refused while it comes.
    let mut http = Http::connect(server.http()).await;
    http.send("POST /janus HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    http.send(format!("{:x}\r\n{over}\r\n0\r\n\r\n", over.len())).await;
    assert_eq!(http.answer(false).await.unwrap().status, 413);
    assert!(http.is_closed().await);
    assert_eq!(server.mailboxes.counters().too_large.get(), 2);
}

#[tokio::test]
async fn a_huge_body_gets_its_answer_although_the_client_is_still_sending() {
    let server = serve(|_| {}).await;
    let body = "x".repeat(3 << 20);
    let answer = server.post("/janus", &body).await.unwrap();
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn a_head_over_the_limit_is_431() {
    let server = serve(|s| s.limits.head = 8192).await;
    let mut http = Http::connect(server.http()).await;
    let long = format!("X-Long: {}\r\n", "x".repeat(9000));
    assert_eq!(http.request("GET", "/janus/info", &long, "").await.unwrap().status, 431);
    let mut http = Http::connect(server.http()).await;
    let many = "X-A: b\r\n".repeat(1000);
    assert_eq!(http.request("GET", "/janus/info", &many, "").await.unwrap().status, 431);
    let mut http = Http::connect(server.http()).await;
    let some = "X-A: b\r\n".repeat(90);
    assert_eq!(http.request("GET", "/janus/info", &some, "").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_head_that_comes_drop_by_drop_runs_out_of_time() {
    let server = serve(|s| s.times = short_times()).await;
    let mut http = Http::connect(server.http()).await;
    let start = Instant::now();
    http.send("GET /janus/info HTTP/1.1\r\nHost: x\r\n").await;
    let drip = tokio::spawn(async move {
        for _ in 0..100 {
            http.send("X-A: b\r\n").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            if server.mailboxes.counters().timed_out.get() == 1 {
                return (start.elapsed(), http);
            }
        }
        panic!("the head was never given up");
    });
    let (took, mut http) = drip.await.unwrap();
    assert!(took >= short_times().head && took < short_times().head * 3, "{took:?}");
    assert!(http.is_closed().await);
}

#[tokio::test]
async fn a_body_that_comes_drop_by_drop_runs_out_of_time() {
    let server = serve(|s| s.times = short_times()).await;
    let mut http = Http::connect(server.http()).await;
    http.send("POST /janus HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n").await;
    let start = Instant::now();
    for _ in 0..100 {
        http.send("x").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        if server.mailboxes.counters().timed_out.get() == 1 {
            break;
        }
    }
    assert!(start.elapsed() < short_times().body * 3);
    assert!(http.is_closed().await);
}

#[tokio::test]
async fn a_connection_without_requests_is_closed_but_a_poll_may_last() {
    let server = serve(|s| {
        s.times.idle = Duration::from_millis(200);
        s.times.head = Duration::from_millis(60);
        s.times.poll = Duration::from_millis(500);
    })
    .await;
    server.create(7).await;
    let start = Instant::now();
    assert!(Http::connect(server.http()).await.is_closed().await);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(2), "{took:?}");
    let mut http = Http::connect(server.http()).await;
    assert_eq!(http.get("/janus/7").await.unwrap().json()["janus"], "keepalive");
    // Idle time counts from the last answer.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(http.get("/janus/info").await.unwrap().status, 200);
    assert!(http.is_closed().await);
}

#[tokio::test]
async fn broken_requests_get_a_400_and_the_end_of_the_connection() {
    let server = serve(|_| {}).await;
    for bytes in ["\x16\x03\x01\x02\x00\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/1.1\r\nA b\r\n\r\n"] {
        let mut http = Http::connect(server.http()).await;
        http.send(bytes).await;
        if let Some(answer) = http.answer(false).await {
            assert_eq!(answer.status, 400, "{bytes:?}");
        }
        assert!(http.is_closed().await);
    }
}

#[tokio::test]
async fn half_sent_bodies_together_have_a_limit() {
    let server = serve(|s| s.limits.unanswered_bytes = 200_000).await;
    let mut crowd = Vec::new();
    for _ in 0..10 {
        let mut http = Http::connect(server.http()).await;
        http.send("POST /janus HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n").await;
        http.send(" ".repeat(99_999)).await;
        crowd.push(http);
    }
    // Two of them hold all there is; the others have been closed.
    eventually("the rest is closed", || server.mailboxes.counters().http_connections.get() == 2).await;
    assert_eq!(server.post("/janus", &format!("{{}}{}", " ".repeat(10_000))).await.unwrap().status, 200);
    drop(crowd);
    eventually("all are gone", || server.mailboxes.counters().http_connections.get() == 0).await;
    let mut http = Http::connect(server.http()).await;
    for _ in 0..5 {
        let body = format!("{{}}{}", " ".repeat(150_000));
        assert_eq!(http.post("/janus", &body).await.unwrap().status, 200, "what is answered is given back");
    }
}

#[tokio::test]
async fn one_byte_chunks_are_not_worth_their_framing() {
    let server = serve(|s| {
        s.limits.body = 100_000;
        s.limits.message = 100_000;
    })
    .await;
    let mut http = Http::connect(server.http()).await;
    http.send("POST /janus HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    http.send("1\r\n \r\n".repeat(90_000)).await;
    assert!(http.is_closed().await);
}
