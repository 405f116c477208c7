//! WebSockets on a path instead of a port.

use crate::support::*;
use portunus_api::json;
use portunus_transport::{ListeningPath, Protocol, Side, WebSocketSettings};
use std::time::Duration;
use tokio::net::UnixStream;

#[tokio::test]
async fn a_conversation_over_a_path_and_the_file_goes_with_the_gateway() {
    let path = std::env::temp_dir().join(format!("portunus-ws-{}.sock", std::process::id()));
    let own = WebSocketSettings { unix: vec![path.clone()], ..WebSocketSettings::default() };
    let server = serve(|settings| settings.websockets = Some(own)).await;
    assert_eq!(
        server.running.paths(),
        [ListeningPath { path: path.clone(), protocol: Protocol::WebSockets, side: Side::Janus }]
    );
    let mut socket = Ws::over(UnixStream::connect(&path).await.unwrap()).await;
    socket.send(json!({"janus": "create", "transaction": "a", "id": 7})).await;
    assert_eq!(socket.next().await["janus"], "success");
    drop((socket, server));
    let gone = async {
        while path.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.expect("the file is still there");
}
