//! The requests of one connection on their way to the core: in order, a few at a time, and a last word when it ends.

use crate::listener::Shared;
use crate::mailbox::Outgoing;
use crate::{Client, Inbound, Reply, Side};
use portunus_api::Value;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc::OwnedPermit;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Dropping it tells the core that the client has gone.
pub(crate) struct Intake {
    shared: Arc<Shared>,
    client: Client,
    side: Side,
    address: IpAddr,
    outgoing: Arc<Outgoing>,
    in_flight: Arc<Semaphore>,
    /// Read but not handed over.
    requests: VecDeque<Value>,
}

/// The right to hand over one request.
pub(crate) type Place = (OwnedSemaphorePermit, OwnedPermit<Inbound>);
/// The wait for it; nothing when the core takes no more.
pub(crate) type Handover = Pin<Box<dyn Future<Output = Option<Place>> + Send>>;

impl Intake {
    /// For the connection of `outgoing`, which the core knows as `client`.
    pub(crate) fn new(
        shared: Arc<Shared>,
        client: Client,
        side: Side,
        address: IpAddr,
        outgoing: Arc<Outgoing>,
    ) -> Self {
        let in_flight = Arc::new(Semaphore::new(shared.limits().requests_in_flight.max(1)));
        Self { shared, client, side, address, outgoing, in_flight, requests: VecDeque::new() }
    }

    pub(crate) fn extend(&mut self, requests: impl IntoIterator<Item = Value>) {
        self.requests.extend(requests);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Waits for the right to have one more request in flight, then for room at the core.
    pub(crate) fn handover(&self) -> Handover {
        let in_flight = self.in_flight.clone();
        let inbound = self.shared.inbound.clone();
        let patience = self.shared.times().reply;
        Box::pin(async move {
            let permit = in_flight.acquire_owned().await.ok()?;
            let room = timeout(patience, inbound.reserve_owned()).await.ok()?.ok()?;
            Some((permit, room))
        })
    }

    /// Hands the next request over, if there is one.
    pub(crate) fn hand_over(&mut self, (permit, room): Place) -> bool {
        let Some(body) = self.requests.pop_front() else { return false };
        room.send(Inbound::Request {
            client: self.client,
            side: self.side,
            address: self.address,
            origin: self.outgoing.id(),
            body,
            reply: Reply::queued(self.outgoing.clone(), permit),
        });
        true
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        let inbound = self.shared.inbound.clone();
        // A connection may end in the middle of anything; the core hears of it in any case.
        if let Err(full) = inbound.try_send(Inbound::Gone { client: self.client })
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let gone = full.into_inner();
            runtime.spawn(async move { drop(inbound.send(gone).await) });
        }
    }
}
