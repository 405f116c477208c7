//! A process without free descriptors refuses newcomers, keeps who is there, and recovers.

use crate::support::*;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

const INSIDE: &str = "PORTUNUS_TEST_FEW_DESCRIPTORS";

/// The limit is set for a process of its own, so that other tests keep theirs.
#[test]
fn newcomers_are_refused_and_the_rest_goes_on() {
    let name = "descriptors_exhausted::inside_a_process_with_few_descriptors";
    let me = std::env::current_exe().unwrap();
    let done = Command::new("sh")
        .args(["-c", r#"ulimit -n 64 && exec "$0" --exact "$1" --nocapture"#])
        .arg(me)
        .arg(name)
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
async fn inside_a_process_with_few_descriptors() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    let server = serve(|_| {}).await;
    let mut early = Http::connect(server.http()).await;
    assert_eq!(early.get("/janus/info").await.unwrap().status, 200);
    // Both ends are in this process, so both run out: the last connections have no accepted end.
    let mut crowd = Vec::new();
    while let Ok(stream) = TcpStream::connect(server.http()).await {
        crowd.push(stream);
    }
    eventually("accepting fails", || server.mailboxes.counters().accept_errors.get() > 0).await;
    for _ in 0..5 {
        assert_eq!(early.get("/janus/info").await.unwrap().status, 200);
    }
    crowd.clear();
    let start = Instant::now();
    loop {
        let mut late = Http::connect(server.http()).await;
        if late.get("/janus/info").await.is_some_and(|a| a.status == 200) {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}
