use super::*;
use portunus_api::json;
use std::io::Read;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

fn settings(backend: String) -> Http {
    Http {
        backend,
        user: None,
        password: None,
        grouping: true,
        format: JsonFormat::Compact,
        compression: None,
        retransmissions: 2,
        backoff: Duration::from_millis(10),
    }
}

/// A web server for one request a connection: what it was sent, head and body.
async fn receive(listener: &TcpListener, answer: &str) -> (String, Vec<u8>) {
    let (socket, _) = listener.accept().await.unwrap();
    let mut socket = BufReader::new(socket);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        socket.read_line(&mut line).await.unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head += &line;
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.unwrap();
    socket.get_mut().write_all(answer.as_bytes()).await.unwrap();
    (head, body)
}

const OK: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

struct Fixture {
    listener: TcpListener,
    queue: mpsc::Sender<Told>,
    tweaked: Arc<Mutex<Tweaked>>,
}

async fn start(change: impl FnOnce(&mut Http)) -> Fixture {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut wanted = settings(format!("http://{}/events", listener.local_addr().unwrap()));
    change(&mut wanted);
    let tweaked = Arc::new(Mutex::new(Tweaked::new(wanted)));
    let (queue, waiting) = mpsc::channel(1000);
    tokio::spawn(run(tweaked.clone(), Inbox::of(waiting), Arc::default()));
    Fixture { listener, queue, tweaked }
}

#[tokio::test]
async fn events_come_in_order_in_arrays_of_at_most_a_hundred() {
    let f = start(|_| {}).await;
    for n in 0..250 {
        f.queue.send(Arc::new(json!({ "n": n }))).await.unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 250 {
        let (head, body) = receive(&f.listener, OK).await;
        assert!(head.starts_with("POST /events HTTP/1.1"), "{head}");
        assert!(head.to_ascii_lowercase().contains("content-type: application/json"), "{head}");
        let group: Vec<Value> = portunus_api_parse(&body);
        assert!(group.len() <= limits::GROUP);
        seen.extend(group.iter().map(|e| e["n"].as_u64().unwrap()));
    }
    assert!(seen.iter().copied().eq(0..250));
}

#[tokio::test]
async fn without_grouping_each_event_is_an_object_of_its_own() {
    let f = start(|s| s.grouping = false).await;
    for n in 0..3 {
        f.queue.send(Arc::new(json!({ "n": n }))).await.unwrap();
    }
    for n in 0..3 {
        assert_eq!(receive(&f.listener, OK).await.1, format!("{{\"n\":{n}}}").into_bytes());
    }
}

#[tokio::test]
async fn a_lost_connection_is_tried_again_and_an_error_of_the_server_is_not() {
    let f = start(|s| s.grouping = false).await;
    f.queue.send(Arc::new(json!(1))).await.unwrap();
    drop(f.listener.accept().await.unwrap());
    assert_eq!(
        receive(&f.listener, "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await.1,
        b"1"
    );
    f.queue.send(Arc::new(json!(2))).await.unwrap();
    assert_eq!(receive(&f.listener, OK).await.1, b"2", "the one before counts as delivered");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let f = start(|s| s.grouping = false).await;
    f.queue.send(Arc::new(json!(1))).await.unwrap();
    let there = other.local_addr().unwrap();
    let answer = format!(
        "HTTP/1.1 307 There\r\nLocation: http://{there}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    receive(&f.listener, &answer).await;
    f.queue.send(Arc::new(json!(2))).await.unwrap();
    assert_eq!(receive(&f.listener, OK).await.1, b"2");
    assert!(tokio::time::timeout(Duration::from_millis(50), other.accept()).await.is_err());
}

#[tokio::test]
async fn compression_and_passwords_go_where_they_belong() {
    let f = start(|s| {
        s.compression = Some(9);
        (s.user, s.password) = (Some("anna".into()), Some("secret".into()));
    })
    .await;
    f.queue.send(Arc::new(json!({ "text": "x".repeat(100_000) }))).await.unwrap();
    let (head, body) = receive(&f.listener, OK).await;
    let head = head.to_ascii_lowercase();
    assert!(head.contains("content-encoding: gzip") && head.contains("authorization: basic "), "{head}");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, format!("[{{\"text\":\"{}\"}}]", "x".repeat(100_000)));
    let shown = format!("{:?}", f.tweaked);
    assert!(!shown.contains("secret"), "{shown}");
}

#[tokio::test]
async fn tweaks_take_effect_with_the_next_event_and_bad_ones_change_nothing() {
    let f = start(|_| {}).await;
    let ask = |request: Value| {
        answer(&mut f.tweaked.lock().unwrap(), request.as_object().unwrap()).map(|mask| mask.map(|m| m.0))
    };
    for (request, expected) in [
        (json!({}), Err((412, "Missing mandatory element (request)".to_owned()))),
        (json!({ "request": "x" }), Err((411, "Unknown request 'x'".to_owned()))),
        (
            json!({ "request": "tweak", "grouping": "x" }),
            Err((413, "Invalid element type (grouping should be a boolean)".to_owned())),
        ),
        (json!({ "request": "tweak" }), Ok(None)),
        (json!({ "request": "tweak", "events": "sessions" }), Ok(Some(1))),
        (json!({ "request": "tweak", "grouping": false }), Ok(None)),
    ] {
        assert_eq!(ask(request), expected);
    }
    assert!(ask(json!({ "request": "tweak", "grouping": true, "backend": "file:///etc" })).is_err());
    f.queue.send(Arc::new(json!(1))).await.unwrap();
    assert_eq!(receive(&f.listener, OK).await.1, b"1", "not grouped any more, still the old server");
}

fn portunus_api_parse(body: &[u8]) -> Vec<Value> {
    let value: Value = std::str::from_utf8(body).unwrap().parse().unwrap();
    value.as_array().unwrap().clone()
}
