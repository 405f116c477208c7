//! Access lists: who does not match is cut off without an answer.

use crate::support::*;
use tokio::net::TcpSocket;

async fn from(source: &str, to: std::net::SocketAddr) -> Http {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    Http::over(socket.connect(to).await.unwrap())
}

#[tokio::test]
async fn a_prefix_of_the_address_decides() {
    let server = serve(|s| {
        s.http.as_mut().unwrap().acl = vec!["127.0.0.".into(), "10.".into()];
        s.websockets.as_mut().unwrap().acl = vec!["127.0.0.".into()];
    })
    .await;
    assert_eq!(server.get("/janus/info").await.unwrap().status, 200);
    assert!(Ws::connect(server.ws()).await.is_silent().await);
    for address in [server.http(), server.ws()] {
        let mut outsider = from("127.0.1.1", address).await;
        assert!(outsider.get("/janus/info").await.is_none());
    }
    assert_eq!(server.mailboxes.counters().refused_acl.get(), 2);
}

#[tokio::test]
async fn behind_a_proxy_the_forwarded_address_decides() {
    let server = serve(|s| {
        let http = s.http.as_mut().unwrap();
        http.acl = vec!["10.".into()];
        http.acl_forwarded = true;
        let ws = s.websockets.as_mut().unwrap();
        ws.acl = vec!["10.".into()];
        ws.acl_forwarded = true;
    })
    .await;
    for (headers, allowed) in [
        ("X-Forwarded-For: 10.1.2.3\r\n", true),
        ("X-Forwarded-For: 11.1.2.3\r\n", false),
        ("X-Forwarded-For: 11.1.2.3, 10.1.2.3\r\n", false),
        ("", false),
    ] {
        for address in [server.http(), server.ws()] {
            let answer = Http::connect(address).await.request("GET", "/janus/info", headers, "").await;
            assert_eq!(answer.is_some(), allowed, "{headers}");
        }
    }
}
