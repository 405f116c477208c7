//! A WebSocket.

use super::{Failure, Link, Result, Server, Shared, trust};
use futures_util::future::BoxFuture;
use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

const CONNECT: Duration = Duration::from_secs(10);
/// Messages of the API are small, and sessions may be many: the usual 128 KiB for each would be more than a gigabyte.
const BUFFER: usize = 4096;

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(super) struct WebSocket {
    /// `None` closes.
    to_send: UnboundedSender<Option<Value>>,
}

impl WebSocket {
    pub(super) async fn connect(server: &Server, shared: Arc<Shared>) -> Result<Self> {
        let wrong = |e: &dyn std::fmt::Display| Failure::plain(format!("connect: {e}"));
        let mut request = server.url.as_str().into_client_request().map_err(|e| wrong(&e))?;
        let protocol = HeaderValue::from_static("janus-protocol");
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        let connector = if server.url.starts_with("wss") {
            let config = trust::config(server.insecure).map_err(|e| wrong(&e))?;
            Connector::Rustls(Arc::new(config))
        } else {
            Connector::Plain
        };
        // Without Nagle, as browsers do.
        let small = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(BUFFER);
        let connecting = connect_async_tls_with_config(request, Some(small), true, Some(connector));
        let (stream, _) = tokio::time::timeout(CONNECT, connecting)
            .await
            .map_err(|_| Failure::plain("connect: timeout"))?
            .map_err(|e| wrong(&e))?;
        let (mut sink, source) = stream.split();
        let (to_send, mut sending): (_, UnboundedReceiver<Option<Value>>) = unbounded_channel();
        tokio::spawn(async move {
            while let Some(Some(message)) = sending.recv().await {
                if sink.send(Message::text(message.to_string())).await.is_err() {
                    break;
                }
            }
            let _ = sink.close().await;
        });
        tokio::spawn(read(source, shared));
        Ok(Self { to_send })
    }
}

async fn read(mut source: SplitStream<Stream>, shared: Arc<Shared>) {
    let why = loop {
        match source.next().await {
            Some(Ok(Message::Text(text))) => {
                if let Ok(message) = serde_json::from_str(&text) {
                    shared.incoming(message);
                }
            }
            Some(Ok(Message::Close(_))) | None => break Failure::plain("the server closed the connection"),
            Some(Ok(_)) => {}
            Some(Err(e)) => break Failure::new("connection lost", format!("connection lost: {e}")),
        }
    };
    shared.fail(&why);
}

impl Link for WebSocket {
    fn send(&self, request: Value) -> BoxFuture<'_, Result<()>> {
        let sent = self.to_send.send(Some(request)).map_err(|_| Failure::plain("the connection is gone"));
        Box::pin(std::future::ready(sent))
    }

    fn close(&self) {
        let _ = self.to_send.send(None);
    }
}
