//! What one WebSocket still has to write: replies and events in the order in which they were given.

use super::kept::Kept;
use super::room::Room;
use portunus_api::SessionId;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// One message; `session` marks an event, which must not be lost with the connection.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) session: Option<SessionId>,
    pub(crate) message: Kept,
}

/// The queue; full means that the client does not read, and ends the connection.
#[derive(Debug)]
pub(crate) struct Outgoing {
    id: u64,
    room: Arc<Room>,
    lane: Mutex<Lane>,
    changed: Notify,
}

#[derive(Debug)]
struct Lane {
    phase: Phase,
    items: VecDeque<Item>,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// What is there is still written, then the connection closes.
    Finishing,
    /// Full once: the connection closes at once.
    Overflown,
    Closed,
}

/// What the connection should do next.
pub(crate) enum Next {
    Write(Vec<Item>),
    Close,
    Abort,
}

impl Outgoing {
    pub(super) fn new(id: u64, room: Arc<Room>) -> Self {
        Self {
            id,
            room,
            lane: Mutex::new(Lane { phase: Phase::Open, items: VecDeque::new(), bytes: 0 }),
            changed: Notify::new(),
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Queues a message.
    ///
    /// # Errors
    /// The message itself, when the connection takes no more.
    pub(crate) fn push(&self, session: Option<SessionId>, message: Kept) -> Result<(), Kept> {
        let mut lane = self.lock();
        if lane.phase != Phase::Open {
            return Err(message);
        }
        if !self.room.fits(lane.items.len(), lane.bytes, message.weight()) {
            lane.phase = Phase::Overflown;
            self.changed.notify_one();
            return Err(message);
        }
        let message = message.behind(lane.items.len(), lane.bytes);
        lane.bytes += message.weight();
        self.room.take(message.weight());
        lane.items.push_back(Item { session, message });
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for something to do. Only the connection's own task calls this; safe to cancel.
    pub(crate) async fn next(&self) -> Next {
        loop {
            {
                let mut lane = self.lock();
                match lane.phase {
                    Phase::Overflown => return Next::Abort,
                    _ if !lane.items.is_empty() => return Next::Write(lane.batch(&self.room)),
                    Phase::Finishing | Phase::Closed => return Next::Close,
                    Phase::Open => {}
                }
            }
            self.changed.notified().await;
        }
    }

    /// Resolves as soon as the queue has overflown, even while its owner is busy writing.
    pub(crate) async fn overflown(&self) {
        loop {
            if self.lock().phase == Phase::Overflown {
                return;
            }
            self.changed.notified().await;
        }
    }

    pub(crate) fn finish(&self) {
        let mut lane = self.lock();
        if lane.phase == Phase::Open {
            lane.phase = Phase::Finishing;
        }
        self.changed.notify_one();
    }

    /// No more is taken; what was never handed out is returned.
    pub(super) fn close(&self) -> VecDeque<Item> {
        let mut lane = self.lock();
        lane.phase = Phase::Closed;
        self.room.give_back(std::mem::take(&mut lane.bytes));
        std::mem::take(&mut lane.items)
    }

    /// The events of one session that have not been handed out, oldest first.
    pub(super) fn withdraw(&self, session: SessionId) -> Vec<Kept> {
        let mut lane = self.lock();
        let (gone, kept): (VecDeque<_>, VecDeque<_>) =
            lane.items.drain(..).partition(|i| i.session == Some(session));
        let withdrawn = gone.iter().map(|i| i.message.weight()).sum();
        lane.bytes -= withdrawn;
        self.room.give_back(withdrawn);
        lane.items = kept;
        gone.into_iter().map(|i| i.message).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Lane> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    /// Enough for one write; small, so that little is in hand when a connection dies.
    fn batch(&mut self, room: &Room) -> Vec<Item> {
        const BATCH_ITEMS: usize = 32;
        const BATCH_BYTES: usize = 32 << 10;
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < BATCH_ITEMS && bytes < BATCH_BYTES {
            let Some(item) = self.items.pop_front() else { break };
            let weight = item.message.weight();
            self.bytes -= weight;
            room.give_back(weight);
            bytes += weight;
            batch.push(item);
        }
        batch
    }
}
