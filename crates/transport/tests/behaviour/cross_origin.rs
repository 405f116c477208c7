//! Cross-origin headers and their enforcement.

use crate::support::*;
use portunus_transport::{Cors, Settings};

fn origin(settings: &mut Settings, origin: &str, enforce: bool) {
    let cors = Cors { allow_origin: Some(origin.into()), enforce };
    settings.http.as_mut().unwrap().cors = cors.clone();
    settings.websockets.as_mut().unwrap().cors = cors;
}

#[tokio::test]
async fn everybody_is_allowed_by_default() {
    let server = serve(|_| {}).await;
    for answer in [
        server.get("/janus/info").await.unwrap(),
        server.get("/nowhere").await.unwrap(),
        server.get("/janus/5/6").await.unwrap(),
        server.post("/janus", "[").await.unwrap(),
        server.post("/janus/info", "[").await.unwrap(),
    ] {
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-max-age"), Some("86400"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert_eq!(answer.header("vary"), None);
        assert_eq!(answer.header("access-control-allow-methods"), None);
    }
}

#[tokio::test]
async fn a_preflight_gets_what_it_asks_for_on_any_path() {
    let server = serve(|_| {}).await;
    for path in ["/janus", "/janus/5/6", "/nowhere"] {
        let asked = "Origin: http://a\r\nAccess-Control-Request-Method: POST\r\n\
                     Access-Control-Request-Headers: x-a, x-b\r\n";
        let answer = Http::connect(server.http()).await.request("OPTIONS", path, asked, "").await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        assert_eq!(answer.header("access-control-allow-methods"), Some("POST"));
        assert_eq!(answer.header("access-control-allow-headers"), Some("x-a, x-b"));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
}

#[tokio::test]
async fn a_configured_origin_comes_with_credentials() {
    let server = serve(|s| origin(s, "http://ok.example", false)).await;
    let answer = server.get("/janus/info").await.unwrap();
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://ok.example"));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(answer.header("vary"), Some("Origin"));
    assert_eq!(answer.status, 200, "not enforced");
}

#[tokio::test]
async fn enforcement_refuses_other_origins_and_none() {
    let server = serve(|s| origin(s, "http://ok.example", true)).await;
    for (headers, status) in [
        ("Origin: http://ok.example\r\n", 200),
        ("Referer: http://ok.example/page.html\r\n", 200),
        ("Origin: http://ok.example.evil\r\n", 403),
        ("Referer: http://ok.example.evil/\r\n", 403),
        ("Origin: http://other.example\r\n", 403),
        ("", 403),
    ] {
        for method in ["GET", "OPTIONS", "PUT"] {
            let mut http = Http::connect(server.http()).await;
            let answer = http.request(method, "/janus/info", headers, "").await.unwrap();
            assert_eq!(answer.status, status, "{method} {headers}");
            assert_eq!(answer.header("access-control-allow-origin"), Some("http://ok.example"));
            assert_eq!(answer.body.is_empty(), status == 403 || method == "OPTIONS");
        }
        let key = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: janus-protocol\r\n";
        let mut ws = Http::connect(server.ws()).await;
        let answer = ws.request("GET", "/", &format!("{key}{headers}"), "").await.unwrap();
        assert_eq!(answer.status, if status == 403 { 403 } else { 101 }, "{headers}");
    }
}
