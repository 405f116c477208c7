//! One client of a Unix socket of packets.

use super::PacketApi;
use super::socket::{Packet, is_too_long};
use crate::intake::{Handover, Intake};
use crate::mailbox::{Item, Next, Outgoing};
use crate::{Client, json};
use portunus_api::{ApiError, ErrorCode, json};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use tokio::time::timeout;

/// Whoever comes by a path is of this machine.
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The way to a client and back.
pub(super) trait Line: Send + Sync {
    /// The next message; an error ends the conversation. Safe to cancel.
    fn receive(&mut self) -> impl Future<Output = io::Result<Packet>> + Send;
    /// Sends a message, when there is room.
    fn send(&self, message: &[u8]) -> impl Future<Output = io::Result<()>> + Send;
}

pub(super) struct Session<L> {
    api: Arc<PacketApi>,
    line: L,
    outgoing: Arc<Outgoing>,
    /// Messages taken from `outgoing` that are not sent.
    in_hand: Vec<Item>,
    intake: Intake,
}

impl<L: Line> Session<L> {
    /// `number` is that of the socket, for event handlers.
    pub(super) fn new(api: Arc<PacketApi>, line: L, number: i32) -> Self {
        let outgoing = api.shared.mailboxes.connect();
        let client = Client::Unix(outgoing.id());
        let intake = Intake::new(api.shared.clone(), client, api.side, LOCAL, outgoing.clone());
        api.shared.counters().unix_clients.up();
        api.shared.observer().unix_opened(outgoing.id(), api.is_admin(), number, api.datagrams);
        Self { api, line, outgoing, in_hand: Vec::new(), intake }
    }

    /// Until either side ends it.
    pub(super) async fn run(mut self) {
        let api = self.api.clone();
        let outgoing = self.outgoing.clone();
        let mut handover: Option<Handover> = None;
        let mut draining = pin!(api.shared.draining());
        let mut leaving = false;
        loop {
            if handover.is_none() && !self.intake.is_empty() {
                handover = Some(self.intake.handover());
            }
            tokio::select! {
                next = outgoing.next() => match next {
                    Next::Write(batch) => {
                        self.in_hand = batch;
                        if !self.write().await {
                            return;
                        }
                    }
                    Next::Close => return,
                    Next::Abort => return api.shared.counters().slow_clients.up(),
                },
                place = async { handover.as_mut()?.as_mut().await }, if handover.is_some() => {
                    handover = None;
                    let Some(place) = place else { return api.shared.counters().overloaded.up() };
                    if self.intake.hand_over(place) {
                        api.shared.counters().unix_requests.up();
                    }
                }
                packet = self.line.receive(), if handover.is_none() => match packet {
                    Ok(Packet::Message(bytes)) => self.on_message(&bytes),
                    Ok(Packet::TooLong(bytes)) => {
                        api.shared.counters().too_large.up();
                        let most = api.shared.limits().message;
                        self.refuse(&format!("a message of {bytes} bytes, {most} are allowed"));
                    }
                    Ok(Packet::End) | Err(_) => return,
                },
                () = &mut draining, if !leaving => {
                    leaving = true;
                    outgoing.finish();
                }
                () = api.shared.over() => return,
            }
        }
    }

    /// One JSON text; unlike over WebSockets no more than one.
    fn on_message(&mut self, bytes: &[u8]) {
        match json::parse(bytes) {
            Ok(request) => self.intake.extend([request]),
            Err(fault) => {
                self.api.shared.counters().invalid_json.up();
                self.refuse(&format!("<string>({},{}): {}", fault.line, fault.column, fault.text));
            }
        }
    }

    fn refuse(&self, why: &str) {
        let error =
            ApiError::new(ErrorCode::InvalidJson, format!("Invalid Janus API request - {why}")).to_value();
        // A queue without room ends the conversation anyway.
        let _ = self.outgoing.push(None, json!({ "janus": "error", "error": error }).into());
    }

    /// Sends what is in hand. False: the client is gone, or does not read.
    async fn write(&mut self) -> bool {
        while let Some(item) = self.in_hand.first() {
            let text = item.message.spell(&self.api.format);
            let sent = tokio::select! {
                sent = timeout(self.api.shared.times().write, self.line.send(text.as_bytes())) => sent,
                () = self.outgoing.overflown() => {
                    self.api.shared.counters().slow_clients.up();
                    return false;
                }
            };
            match sent {
                Ok(Ok(())) => {}
                Ok(Err(error)) if is_too_long(&error) => {
                    self.api.shared.counters().events_dropped.up();
                    tracing::warn!(
                        bytes = text.len(),
                        "a message does not fit into a packet of a Unix socket"
                    );
                }
                Ok(Err(_)) => return false,
                Err(_) => {
                    self.api.shared.counters().slow_clients.up();
                    return false;
                }
            }
            self.in_hand.remove(0);
        }
        true
    }
}

impl<L> Drop for Session<L> {
    fn drop(&mut self) {
        let shared = &self.api.shared;
        shared.mailboxes.disconnect(&self.outgoing, std::mem::take(&mut self.in_hand));
        shared.observer().unix_closed(self.outgoing.id());
        shared.counters().unix_clients.down();
    }
}
