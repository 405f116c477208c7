//! Who becomes a WebSocket and who does not.

use crate::support::*;
use std::time::Duration;

const KEY: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn shake(server: &Server, path: &str, headers: &str) -> Option<Answer> {
    Http::connect(server.ws()).await.request("GET", path, headers, "").await
}

#[tokio::test]
async fn the_subprotocol_is_selected_on_any_path() {
    let server = serve(|_| {}).await;
    for (path, protocols) in [
        ("/", "Sec-WebSocket-Protocol: janus-protocol\r\n"),
        ("/x/y?z", "Sec-WebSocket-Protocol: foo, janus-protocol\r\n"),
        ("/janus", "Sec-WebSocket-Protocol: foo\r\nSec-WebSocket-Protocol: janus-protocol\r\n"),
    ] {
        let answer = shake(&server, path, &format!("{KEY}{protocols}")).await.unwrap();
        assert_eq!(answer.status, 101, "{protocols}");
        assert_eq!(answer.header("sec-websocket-protocol"), Some("janus-protocol"));
        // The example of RFC 6455 section 1.3.
        assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(answer.header("sec-websocket-extensions"), None);
    }
}

#[tokio::test]
async fn without_the_subprotocol_the_connection_is_dropped() {
    let server = serve(|_| {}).await;
    for protocol in ["", "Sec-WebSocket-Protocol: foo\r\n", "Sec-WebSocket-Protocol: janus-protocol2\r\n"] {
        assert!(shake(&server, "/", &format!("{KEY}{protocol}")).await.is_none(), "{protocol}");
    }
}

#[tokio::test]
async fn a_plain_request_gets_a_page() {
    let server = serve(|_| {}).await;
    for (method, body) in [("GET", ""), ("POST", "{}"), ("OPTIONS", "")] {
        let mut http = Http::connect(server.ws()).await;
        let answer = http.request(method, "/", "", body).await.unwrap();
        assert_eq!(
            (answer.status, answer.header("content-type").unwrap()),
            (403, "text/html; charset=utf-8")
        );
        assert!(answer.body.contains("403"));
    }
}

#[tokio::test]
async fn broken_handshakes_are_refused() {
    let server = serve(|_| {}).await;
    let protocol = "Sec-WebSocket-Protocol: janus-protocol\r\n";
    for (headers, status) in [
        (KEY.replace("version: 13", "Version: 12").replace("Version: 13", "Version: 12"), 426),
        (KEY.replace("Sec-WebSocket-Version: 13\r\n", ""), 426),
        (KEY.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), 400),
        (KEY.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400),
        (KEY.replace("Connection: Upgrade", "Connection: keep-alive"), 400),
        (KEY.replace("Upgrade: websocket", "Upgrade: h2c"), 403),
    ] {
        let answer = shake(&server, "/", &format!("{headers}{protocol}")).await.unwrap();
        assert_eq!(answer.status, status, "{headers}");
    }
}

#[tokio::test]
async fn a_handshake_has_to_come_to_an_end() {
    let server = serve(|s| s.times.head = Duration::from_millis(200)).await;
    let mut http = Http::connect(server.ws()).await;
    http.send("GET / HTTP/1.1\r\nHost").await;
    assert!(http.is_closed().await);
    assert_eq!(server.mailboxes.counters().timed_out.get(), 1);
}

#[tokio::test]
async fn a_message_right_behind_the_handshake_is_read() {
    let server = serve(|_| {}).await;
    let mut http = Http::connect(server.ws()).await;
    let mut bytes =
        format!("GET / HTTP/1.1\r\nHost: x\r\n{KEY}Sec-WebSocket-Protocol: janus-protocol\r\n\r\n")
            .into_bytes();
    // `{}` as a masked text frame, the mask all zeros.
    bytes.extend_from_slice(&[0x81, 0x82, 0, 0, 0, 0, b'{', b'}']);
    http.send(bytes).await;
    assert_eq!(http.answer(false).await.unwrap().status, 101);
    eventually("the request arrived", || server.mailboxes.counters().websocket_requests.get() == 1).await;
}
