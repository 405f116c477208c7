//! `wsevh`: events over a WebSocket of ours to a server.
//!
//! A lost connection is made again with growing pauses; what could not be sent is sent then, in order.

use super::handler::{Inbox, Tally, Told};
use super::{limits, tls};
use futures_util::{SinkExt, StreamExt};
use portunus_api::{JsonFormat, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

/// First and longest pause before the connection is made again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(16));

/// Where to, and how.
#[derive(Clone, Debug)]
pub struct WebSocket {
    /// `backend`: `ws://` or `wss://`
    pub backend: String,
    /// `subprotocol`
    pub subprotocol: Option<String>,
    /// `grouping`: an array of up to 100 events, not one object.
    pub grouping: bool,
    /// `json`
    pub format: JsonFormat,
    /// `events_cap_on_reconnect`: how many events that waited for the connection are sent when it is back; 0 for all.
    pub cap_on_reconnect: usize,
}

type Connection = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Passes events on until the process ends.
pub(crate) async fn run(settings: WebSocket, mut inbox: Inbox, tally: Arc<Tally>) {
    let mut unsent: Option<Vec<Told>> = None;
    let mut pause = PAUSES.0;
    let mut first = true;
    loop {
        match timeout(limits::PATIENCE, connect(&settings)).await.unwrap_or_else(|_| Err(timed_out())) {
            Ok(connection) => {
                tracing::info!("connected to the event back end");
                pause = PAUSES.0;
                if !first && settings.cap_on_reconnect > 0 {
                    tally.lost(inbox.keep_newest(settings.cap_on_reconnect));
                }
                first = false;
                if let Err(error) = serve(&settings, connection, &mut inbox, &mut unsent, &tally).await {
                    tally.failed();
                    tracing::warn!(%error, "the connection to the event back end is lost");
                } else {
                    return;
                }
            }
            Err(error) => {
                tally.failed();
                tracing::warn!(%error, again_in = ?pause, "cannot connect to the event back end");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = inbox.ended() => return tally.lost(unsent.map_or(0, |group| group.len())),
        }
        pause = (pause * 2).min(PAUSES.1);
    }
}

fn timed_out() -> Error {
    Error::Io(std::io::ErrorKind::TimedOut.into())
}

async fn connect(settings: &WebSocket) -> Result<Connection, Error> {
    let mut request = settings.backend.as_str().into_client_request()?;
    if let Some(name) = settings.subprotocol.as_deref().and_then(|name| HeaderValue::from_str(name).ok()) {
        request.headers_mut().insert("Sec-WebSocket-Protocol", name);
    }
    let connector = match settings.backend.starts_with("wss:") {
        true => Connector::Rustls(tls::client().map_err(|e| Error::Io(std::io::Error::other(e)))?),
        false => Connector::Plain,
    };
    // Nothing that a back end says is of interest.
    let small = WebSocketConfig::default().max_message_size(Some(limits::ANSWER_BYTES));
    let connected = connect_async_tls_with_config(request, Some(small), true, Some(connector)).await;
    connected.map(|(connection, _)| connection)
}

/// Sends until the process ends (`Ok`) or the connection does.
async fn serve(
    settings: &WebSocket,
    mut connection: Connection,
    inbox: &mut Inbox,
    unsent: &mut Option<Vec<Told>>,
    tally: &Tally,
) -> Result<(), Error> {
    let most = if settings.grouping { limits::GROUP } else { 1 };
    loop {
        let group = match unsent.take() {
            Some(group) => group,
            None => tokio::select! {
                group = inbox.next_group(most) => match group {
                    Some(group) => group,
                    None => {
                        let _ = timeout(Duration::from_secs(1), connection.close(None)).await;
                        return Ok(());
                    }
                },
                // Read: pings are answered by that, and a close is seen.
                said = connection.next() => match said {
                    Some(Ok(_)) => continue,
                    Some(Err(error)) => return Err(error),
                    None => return Err(Error::ConnectionClosed),
                },
            },
        };
        let text = match group.as_slice() {
            [one] if !settings.grouping => settings.format.write(one),
            group => {
                settings.format.write(&Value::Array(group.iter().map(|told| Value::clone(told)).collect()))
            }
        };
        let sent = timeout(limits::PATIENCE, connection.send(Message::text(text))).await;
        match sent.unwrap_or_else(|_| Err(timed_out())) {
            Ok(()) => tally.delivered(group.len()),
            Err(error) => {
                *unsent = Some(group);
                return Err(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portunus_api::json;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    async fn next(connection: &mut WebSocketStream<TcpStream>) -> String {
        timeout(Duration::from_secs(10), connection.next()).await.unwrap().unwrap().unwrap().to_string()
    }

    #[tokio::test]
    async fn events_go_on_after_the_server_was_away() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let settings = WebSocket {
            backend: format!("ws://{address}/"),
            subprotocol: None,
            grouping: false,
            format: JsonFormat::Compact,
            cap_on_reconnect: 0,
        };
        let (queue, waiting) = mpsc::channel(100);
        tokio::spawn(run(settings, Inbox::of(waiting), Arc::default()));
        let mut connection =
            tokio_tungstenite::accept_async(listener.accept().await.unwrap().0).await.unwrap();
        queue.send(Arc::new(json!(1))).await.unwrap();
        assert_eq!(next(&mut connection).await, "1");
        connection.close(None).await.unwrap();
        drop(connection);
        let socket = listener.accept().await.unwrap().0;
        for n in 2..5 {
            queue.send(Arc::new(json!(n))).await.unwrap();
        }
        let mut connection = tokio_tungstenite::accept_async(socket).await.unwrap();
        for n in 2..5 {
            assert_eq!(next(&mut connection).await, n.to_string());
        }
    }
}
