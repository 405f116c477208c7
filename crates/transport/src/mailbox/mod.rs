//! Where events wait for their client: one mailbox a session.
//!
//! A session owned by HTTP keeps its events here until a long poll takes them; one owned by a connection passes them on
//! to that connection's [`Outgoing`] queue. Events taken by a reader that went before writing them come back to the
//! front ([`Delivery`]). What a lost connection left unsent waits for a claim.
//!
//! Locks: a mailbox's before an outgoing queue's, never the other way, and none is held across an await.

mod delivery;
mod kept;
mod outgoing;
mod queue;
mod room;

pub(crate) use delivery::Delivery;
pub(crate) use kept::Kept;
pub(crate) use outgoing::{Item, Next, Outgoing};

use crate::{Client, Counters, Limits};
use dashmap::DashMap;
use portunus_api::{SessionId, Value};
use queue::Queue;
use room::Room;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// The most that one poll's answer holds: a client that does not read holds that much of us.
const POLL_BYTES: usize = 128 << 10;

/// Events that are thrown away on the spot.
const FEW: usize = 16;

/// A cheap handle to all mailboxes. Nothing here waits, so it may be called from the control task.
#[derive(Clone, Debug)]
pub struct Mailboxes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sessions: DashMap<SessionId, Arc<Mailbox>>,
    connections: DashMap<u64, Arc<Outgoing>>,
    next_connection: AtomicU64,
    room: Arc<Room>,
    polls_per_session: usize,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Mailbox(Mutex<State>);

#[derive(Debug)]
struct State {
    open: bool,
    owner: Client,
    queue: Queue,
    waiters: VecDeque<(u64, oneshot::Sender<()>)>,
    next_waiter: u64,
}

impl Mailboxes {
    /// No mailboxes yet; `limits` bounds each of them.
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared {
            sessions: DashMap::new(),
            connections: DashMap::new(),
            next_connection: AtomicU64::new(1),
            room: Arc::new(Room::new(&limits)),
            polls_per_session: limits.polls_per_session.max(1),
            counters: Arc::default(),
        }))
    }

    /// What the mailboxes and the transports built on them count.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.0.counters
    }

    /// A session begins; `owner` gets its events.
    pub fn open(&self, session: SessionId, owner: Client) {
        let state = State {
            open: true,
            owner,
            queue: Queue::new(self.0.room.clone()),
            waiters: VecDeque::new(),
            next_waiter: 0,
        };
        self.0.sessions.insert(session, Arc::new(Mailbox(Mutex::new(state))));
    }

    /// Another client takes the session over; events that have not left yet go along. A long poll of the former
    /// owner ends with its keepalive. Unknown sessions are ignored.
    pub fn claim(&self, session: SessionId, owner: Client) {
        let Some(mailbox) = self.get(session) else { return };
        let mut state = mailbox.lock();
        if state.owner == owner {
            return;
        }
        if let Some(old) = state.owner.number()
            && let Some(old) = self.connection(old)
        {
            let unsent = old.withdraw(session);
            self.0.put_back(&mut state, unsent);
        }
        state.owner = owner;
        state.wake();
        self.0.flow(session, &mut state);
    }

    /// An event for the session's owner. The oldest event goes when the mailbox is full; a WebSocket that is full is
    /// closed.
    pub fn deliver(&self, session: SessionId, event: Value) {
        self.0.counters.events.up();
        let Some(mailbox) = self.get(session) else {
            self.0.counters.events_dropped.up();
            return;
        };
        let mut state = mailbox.lock();
        let dropped = state.queue.push(event.into());
        self.0.counters.events_dropped.add(dropped);
        self.0.flow(session, &mut state);
    }

    /// The session is over. Long polls end at once, with what is left or a keepalive (Janus leaves them until their
    /// 30 s are over); events already on their way to a WebSocket still go out.
    pub fn close(&self, session: SessionId) {
        let Some((_, mailbox)) = self.0.sessions.remove(&session) else { return };
        let mut state = mailbox.lock();
        state.open = false;
        state.wake();
        let many = state.queue.len() > FEW;
        drop(state);
        // Throwing away a full mailbox takes a millisecond, which is not the control task's.
        if many && let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { drop(mailbox) });
        }
    }

    /// Ends a WebSocket connection after what is queued for it has been written. HTTP has nothing to close.
    pub fn close_client(&self, client: Client) {
        if let Some(id) = client.number()
            && let Some(outgoing) = self.connection(id)
        {
            outgoing.finish();
        }
    }

    /// A new WebSocket connection.
    pub(crate) fn connect(&self) -> Arc<Outgoing> {
        let id = self.0.next_connection.fetch_add(1, Ordering::Relaxed);
        let outgoing = Arc::new(Outgoing::new(id, self.0.room.clone()));
        self.0.connections.insert(id, outgoing.clone());
        outgoing
    }

    /// The connection has ended: its unsent events, `in_hand` first, wait in their mailboxes for a claim.
    pub(crate) fn disconnect(&self, outgoing: &Outgoing, in_hand: Vec<Item>) {
        self.0.connections.remove(&outgoing.id());
        let rest = outgoing.close();
        for item in rest.into_iter().rev().chain(in_hand.into_iter().rev()) {
            let Some((session, mailbox)) = item.session.and_then(|s| Some((s, self.get(s)?))) else {
                continue;
            };
            let mut state = mailbox.lock();
            self.0.put_back(&mut state, vec![item.message]);
            self.0.flow(session, &mut state);
        }
    }

    /// Waits up to `patience` for events of a session that HTTP owns, and takes at most `max` of them; none means
    /// keepalive. An event wakes all who wait: one gets it, the others return without.
    ///
    /// `None`: no such mailbox, or a WebSocket owns the session.
    pub(crate) async fn wait(&self, session: SessionId, max: usize, patience: Duration) -> Option<Delivery> {
        let mailbox = self.get(session)?;
        let (place, woken) = {
            let mut state = mailbox.lock();
            if state.owner != Client::Http {
                return None;
            }
            if !state.queue.is_empty() {
                let events = state.queue.take(max, POLL_BYTES);
                drop(state);
                return Some(Delivery::new(self.clone(), session, mailbox, events));
            }
            let (tx, rx) = oneshot::channel();
            while state.waiters.len() >= self.0.polls_per_session {
                state.wake_oldest();
            }
            let number = state.next_waiter;
            state.next_waiter += 1;
            state.waiters.push_back((number, tx));
            (Place::new(self.clone(), mailbox.clone(), number), rx)
        };
        // Both ends are the same to us: whoever wakes us may have left nothing.
        let _ = tokio::time::timeout(patience, woken).await;
        drop(place);
        let events = {
            let mut state = mailbox.lock();
            if state.owner == Client::Http { state.queue.take(max, POLL_BYTES) } else { Vec::new() }
        };
        Some(Delivery::new(self.clone(), session, mailbox, events))
    }

    fn get(&self, session: SessionId) -> Option<Arc<Mailbox>> {
        self.0.sessions.get(&session).map(|m| m.value().clone())
    }

    fn connection(&self, id: u64) -> Option<Arc<Outgoing>> {
        self.0.connections.get(&id).map(|c| c.value().clone())
    }

    fn restore(&self, session: SessionId, mailbox: &Mailbox, events: Vec<Kept>) {
        let mut state = mailbox.lock();
        self.0.put_back(&mut state, events);
        self.0.flow(session, &mut state);
    }
}

impl Shared {
    /// Moves events one step on: into the owner's connection, or by waking who polls.
    fn flow(&self, session: SessionId, state: &mut State) {
        match state.owner.number() {
            None if !state.queue.is_empty() => state.wake(),
            None => {}
            Some(id) => {
                let Some(outgoing) = self.connections.get(&id).map(|c| c.value().clone()) else { return };
                while let Some(event) = state.queue.pop() {
                    if let Err(event) = outgoing.push(Some(session), event) {
                        state.queue.put_back(event);
                        return;
                    }
                }
            }
        }
    }

    /// Events that were taken but never left, oldest first.
    fn put_back(&self, state: &mut State, events: Vec<Kept>) {
        for event in events.into_iter().rev() {
            if state.open && state.queue.put_back(event) {
                self.counters.events_restored.up();
            } else {
                self.counters.events_dropped.up();
            }
        }
    }
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change below is made in one piece, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&mut self) {
        while !self.waiters.is_empty() {
            self.wake_oldest();
        }
    }

    fn wake_oldest(&mut self) {
        if let Some((_, waiter)) = self.waiters.pop_front() {
            // It may have gone in the meantime.
            let _ = waiter.send(());
        }
    }
}

/// A poll's place among those who wait; given up when the poll ends or its connection goes.
struct Place {
    mailboxes: Mailboxes,
    mailbox: Arc<Mailbox>,
    number: u64,
}

impl Place {
    fn new(mailboxes: Mailboxes, mailbox: Arc<Mailbox>, number: u64) -> Self {
        mailboxes.counters().polls.up();
        Self { mailboxes, mailbox, number }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.mailboxes.counters().polls.down();
        self.mailbox.lock().waiters.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests;
