//! One WebSocket after its handshake.
//!
//! One task does everything in turn: write what is queued, read a message, hand its requests to the core. It reads on
//! only when the requests of the last message are handed over, and writes nothing while the last write is unfinished;
//! so a client that floods us is read more slowly, and one that does not read fills its queue and is closed.

use super::SocketApi;
use crate::connection::Pulse;
use crate::intake::{Handover, Intake, Place};
use crate::mailbox::{Item, Next, Outgoing};
use crate::{Client, PingPong, Side, json};
use futures_util::{SinkExt, StreamExt};
use portunus_api::{ApiError, ErrorCode, json};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Bytes, Message};

/// Bytes before the payload of a ping or pong from a client (RFC 6455 section 5.2).
const CONTROL_HEADER: usize = 6;
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection and what it waits for.
pub(super) struct Session<'a> {
    api: &'a SocketApi,
    pulse: Arc<Pulse>,
    outgoing: Arc<Outgoing>,
    intake: Intake,
    /// Messages taken from `outgoing` whose writing is not finished.
    in_hand: Vec<Item>,
    heard: Instant,
    pinged: bool,
}

/// Why a connection ends.
enum End {
    /// It is gone already, or not worth another byte.
    Silent,
    /// With a close frame.
    Farewell(CloseCode, &'static str),
}

impl<'a> Session<'a> {
    pub(super) fn new(api: &'a SocketApi, address: IpAddr, pulse: Arc<Pulse>) -> Self {
        let outgoing = api.shared.mailboxes.connect();
        api.shared.observer().websocket_opened(outgoing.id(), api.side == Side::Admin, address);
        let client = Client::Connection(outgoing.id());
        let intake = Intake::new(api.shared.clone(), client, api.side, address, outgoing.clone());
        Self { api, pulse, outgoing, intake, in_hand: Vec::new(), heard: Instant::now(), pinged: false }
    }

    pub(super) async fn run<T: AsyncRead + AsyncWrite + Unpin>(mut self, stream: T) {
        let limits = self.api.shared.limits();
        let config = WebSocketConfig::default()
            // Allocated for every connection, most of which are idle.
            .read_buffer_size(4 << 10)
            .write_buffer_size(16 << 10)
            .max_message_size(Some(limits.message))
            .max_frame_size(Some(limits.message));
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        let end = self.converse(&mut socket).await;
        if let End::Farewell(code, reason) = end {
            let frame = CloseFrame { code, reason: reason.into() };
            // The other side's close frame is waited for, so that nothing it sends resets the connection.
            let farewell = async {
                if socket.close(Some(frame)).await.is_ok() {
                    while let Some(Ok(_)) = socket.next().await {}
                }
            };
            let _ = timeout(FAREWELL, farewell).await;
        }
    }

    async fn converse<T: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut WebSocketStream<T>) -> End {
        let api = self.api;
        let outgoing = self.outgoing.clone();
        let mut handover: Option<Handover> = None;
        let mut draining = pin!(api.shared.draining());
        let mut leaving = false;
        loop {
            if handover.is_none() && !self.intake.is_empty() {
                handover = Some(self.intake.handover());
            }
            let alarm = self.alarm();
            let done = tokio::select! {
                next = outgoing.next() => match next {
                    Next::Write(batch) => {
                        self.in_hand = batch;
                        self.write(socket).await
                    }
                    Next::Close if leaving => Some(End::Farewell(CloseCode::Away, "shutting down")),
                    Next::Close => Some(End::Farewell(CloseCode::Normal, "")),
                    Next::Abort => Some(self.too_slow()),
                },
                place = async { handover.as_mut()?.as_mut().await }, if handover.is_some() => {
                    handover = None;
                    self.hand_over(place)
                }
                message = socket.next(), if handover.is_none() => {
                    self.heard = Instant::now();
                    self.pinged = false;
                    self.on_message(message, socket).await
                }
                () = sleep_until(alarm) => self.on_silence(socket, handover.is_some()).await,
                () = &mut draining, if !leaving => {
                    // Clients are still told how their sessions ended.
                    leaving = true;
                    outgoing.finish();
                    None
                }
            };
            if let Some(end) = done {
                return end;
            }
        }
    }

    fn hand_over(&mut self, place: Option<Place>) -> Option<End> {
        let Some(place) = place else {
            self.api.shared.counters().overloaded.up();
            return Some(End::Farewell(CloseCode::Again, "overloaded"));
        };
        if self.intake.hand_over(place) {
            self.api.shared.counters().websocket_requests.up();
            if self.intake.is_empty() {
                self.pulse.on_consumed(usize::MAX);
            }
        }
        None
    }

    async fn on_message<T: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        message: Option<tungstenite::Result<Message>>,
        socket: &mut WebSocketStream<T>,
    ) -> Option<End> {
        use tungstenite::Error;
        match message {
            Some(Ok(Message::Text(text))) => self.on_text(text.as_bytes()),
            Some(Ok(Message::Binary(bytes))) => self.on_text(&bytes),
            // The pong goes out with the next flush.
            Some(Ok(Message::Ping(data))) => {
                self.pulse.on_consumed(CONTROL_HEADER + data.len());
                return self.flush(socket).await;
            }
            Some(Ok(Message::Pong(data))) => self.pulse.on_consumed(CONTROL_HEADER + data.len()),
            Some(Ok(Message::Frame(_))) => {}
            Some(Ok(Message::Close(_))) => {
                let _ = timeout(FAREWELL, socket.flush()).await;
                return Some(End::Silent);
            }
            Some(Err(Error::Capacity(_))) => {
                self.api.shared.counters().too_large.up();
                return Some(End::Farewell(CloseCode::Size, "message too long"));
            }
            Some(Err(Error::Utf8(_))) => return Some(End::Farewell(CloseCode::Invalid, "not UTF-8")),
            Some(Err(Error::Protocol(_))) => return Some(End::Farewell(CloseCode::Protocol, "")),
            Some(Err(_)) | None => return Some(End::Silent),
        }
        None
    }

    /// One message: any number of JSON texts, all of them or none.
    fn on_text(&mut self, bytes: &[u8]) {
        let parsed =
            if bytes.is_empty() { json::parse(bytes).map(|v| vec![v]) } else { json::parse_all(bytes) };
        match parsed {
            Ok(values) => {
                self.intake.extend(values);
                if self.intake.is_empty() {
                    self.pulse.on_consumed(usize::MAX);
                }
            }
            Err(fault) => {
                self.pulse.on_consumed(usize::MAX);
                self.api.shared.counters().invalid_json.up();
                let reason = format!(
                    "Invalid Janus API request - <string>({},{}): {}",
                    fault.line, fault.column, fault.text
                );
                let error = ApiError::new(ErrorCode::InvalidJson, reason).to_value();
                // A queue without room ends the connection anyway.
                let _ = self.outgoing.push(None, json!({ "janus": "error", "error": error }).into());
            }
        }
    }

    async fn write<T: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut WebSocketStream<T>,
    ) -> Option<End> {
        let texts: Vec<_> = self.in_hand.iter().map(|i| i.message.spell(&self.api.format)).collect();
        let written = tokio::select! {
            written = timeout(self.api.shared.times().write, async {
                for text in texts {
                    socket.feed(Message::text(text)).await?;
                }
                socket.flush().await
            }) => written,
            () = self.outgoing.overflown() => return Some(self.too_slow()),
        };
        match written {
            Ok(Ok(())) => {
                self.in_hand.clear();
                None
            }
            Ok(Err(_)) => Some(End::Silent),
            Err(_) => Some(self.too_slow()),
        }
    }

    async fn flush<T: AsyncRead + AsyncWrite + Unpin>(&self, socket: &mut WebSocketStream<T>) -> Option<End> {
        match timeout(self.api.shared.times().write, socket.flush()).await {
            Ok(Ok(())) => None,
            Ok(Err(_)) => Some(End::Silent),
            Err(_) => Some(self.too_slow()),
        }
    }

    fn too_slow(&self) -> End {
        self.pulse.abandon();
        self.api.shared.counters().slow_clients.up();
        End::Silent
    }

    fn alarm(&self) -> Instant {
        let PingPong { trigger, timeout } = self.api.ping_pong;
        self.heard + if self.pinged { trigger + timeout } else { trigger }
    }

    async fn on_silence<T: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut WebSocketStream<T>,
        deaf: bool,
    ) -> Option<End> {
        if deaf {
            // We are not reading, so the silence is ours.
            self.heard = Instant::now();
            return None;
        }
        if self.pinged {
            self.api.shared.counters().timed_out.up();
            return Some(End::Silent);
        }
        self.pinged = true;
        let ping = async { socket.send(Message::Ping(Bytes::new())).await };
        match timeout(self.api.shared.times().write, ping).await {
            Ok(Ok(())) => None,
            Ok(Err(_)) => Some(End::Silent),
            Err(_) => Some(self.too_slow()),
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let in_hand = std::mem::take(&mut self.in_hand);
        self.api.shared.mailboxes.disconnect(&self.outgoing, in_hand);
        self.api.shared.observer().websocket_closed(self.outgoing.id());
    }
}
