//! What the Admin listeners do differently.

use crate::support::*;
use portunus_api::json;
use portunus_transport::{HttpSettings, Protocol, Side, WebSocketSettings};
use tokio::net::TcpStream;

async fn with_admin() -> Server {
    serve(|s| {
        let any = vec!["127.0.0.1:0".parse().unwrap()];
        s.admin_http = Some(HttpSettings {
            addresses: any.clone(),
            base_path: "/admin".into(),
            ..HttpSettings::default()
        });
        s.admin_websockets = Some(WebSocketSettings { addresses: any, ..WebSocketSettings::default() });
    })
    .await
}

#[tokio::test]
async fn requests_arrive_as_admin_requests() {
    let server = with_admin().await;
    let admin = server.address(Protocol::Http, Side::Admin, false);
    let answer = Http::connect(admin).await.post("/admin/5", "{}").await.unwrap().json();
    assert_eq!(answer["side"], "admin");
    assert_eq!(answer["seen"], json!({"session_id": 5}));
    let ws = server.address(Protocol::WebSockets, Side::Admin, false);
    let mut ws = Ws::over_with(TcpStream::connect(ws).await.unwrap(), "janus-admin-protocol").await;
    assert_eq!(ws.ask(json!({"janus": "x"})).await["side"], "admin");
}

#[tokio::test]
async fn there_is_no_long_poll() {
    let server = with_admin().await;
    let admin = server.address(Protocol::Http, Side::Admin, false);
    for path in ["/admin", "/admin/5", "/admin/5/6"] {
        let answer = Http::connect(admin).await.get(path).await.unwrap();
        assert_eq!((answer.status, answer.error()), (200, (454, "Request payload missing".into())), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "never for everybody");
    }
    for path in ["/admin/info", "/admin/ping"] {
        assert_eq!(Http::connect(admin).await.get(path).await.unwrap().json()["side"], "admin");
    }
    let posted = Http::connect(admin).await.post("/admin/info", "{}").await.unwrap();
    assert_eq!((posted.status, posted.error()), (200, (450, "Use GET for the info endpoint".into())));
    assert_eq!(Http::connect(admin).await.get("/janus").await.unwrap().status, 404);
}

#[tokio::test]
async fn the_subprotocols_do_not_mix() {
    let server = with_admin().await;
    let admin = server.address(Protocol::WebSockets, Side::Admin, false);
    for (address, protocol) in [(admin, "janus-protocol"), (server.ws(), "janus-admin-protocol")] {
        let headers = format!(
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {protocol}\r\n"
        );
        assert!(Http::connect(address).await.request("GET", "/", &headers, "").await.is_none());
    }
}
