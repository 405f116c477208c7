//! A client that drops its connection while polling loses no event. (Janus writes the next event into the dead poll.)

use crate::support::*;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

#[tokio::test]
async fn an_event_after_the_client_has_gone_waits_for_its_next_poll() {
    let server = serve(|_| {}).await;
    server.create(7).await;
    for reset in [false, true] {
        let mut poll = Http::connect(server.http()).await;
        poll.send("GET /janus/7 HTTP/1.1\r\nHost: x\r\n\r\n").await;
        eventually("the poll waits", || server.mailboxes.counters().polls.get() == 1).await;
        if reset {
            poll.stream.set_zero_linger().unwrap();
        }
        drop(poll);
        eventually("the poll is given up", || server.mailboxes.counters().polls.get() == 0).await;
        server.events(7, 1).await;
        assert_eq!(server.get("/janus/7").await.unwrap().json()["janus"], "event", "reset: {reset}");
    }
}

#[tokio::test]
async fn events_for_a_client_that_stops_reading_come_back_when_it_is_given_up() {
    let server = serve(|s| {
        s.times.write = Duration::from_millis(300);
        s.limits.queued_bytes = 64 << 20;
    })
    .await;
    server.create(7).await;
    let body = r#"{"janus":"event","count":1,"pad":6000000}"#;
    server.post("/janus/7", body).await.unwrap();
    // A small window, and nothing is ever read: the answer cannot be written whole.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stuck = socket.connect(server.http()).await.unwrap();
    stuck.write_all(b"GET /janus/7?maxev=1 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    eventually("the events are back", || server.mailboxes.counters().events_restored.get() == 1).await;
    assert_eq!(server.mailboxes.counters().timed_out.get(), 1);
    drop(stuck);
    let again = server.get("/janus/7").await.unwrap();
    assert!(again.body.starts_with(r#"{"janus":"event","n":1,"#) && again.body.len() > 6_000_000);
}

#[tokio::test]
async fn an_event_that_was_written_is_not_sent_again() {
    let server = serve(|s| s.times.poll = Duration::from_millis(200)).await;
    server.create(7).await;
    server.events(7, 1).await;
    let mut poll = Http::connect(server.http()).await;
    assert_eq!(poll.get("/janus/7").await.unwrap().json()["janus"], "event");
    drop(poll);
    assert_eq!(server.get("/janus/7").await.unwrap().json()["janus"], "keepalive");
    assert_eq!(server.mailboxes.counters().events_restored.get(), 0);
}
