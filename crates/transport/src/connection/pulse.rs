//! What a connection is doing, since when, and how long it may.
//!
//! The parts of a connection (stream, request handler, reply body) report here; [`watched`] ends the connection when
//! a deadline passes. All of them run within one task, so a deadline that moves needs no waking.

use super::allowance::Allowance;
use super::head_scan::HeadScan;
use crate::mailbox::Delivery;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// TLS is being set up.
    Handshake,
    /// Nothing of a request is there.
    Idle,
    /// A request has begun.
    Head,
    /// The body is being read.
    Body,
    /// Somebody else's turn: core, events, or a WebSocket that keeps its own time.
    Busy,
    /// The answer is held back: whoever guesses secrets keeps nobody out.
    Held,
}

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Pulse {
    beat: Mutex<Beat>,
    evicted: Notify,
    abandoned: AtomicBool,
    allowance: Arc<Allowance>,
}

#[derive(Debug)]
struct Beat {
    phase: Phase,
    since: Instant,
    /// The kernel takes no more bytes since then.
    blocked: Option<Instant>,
    /// Events in a reply that is not fully written.
    deliveries: Vec<Delivery>,
    scan: HeadScan,
    /// Bytes read for what is not answered yet.
    held: usize,
}

impl Pulse {
    pub(crate) fn new(allowance: Arc<Allowance>) -> Self {
        let beat = Beat {
            phase: Phase::Handshake,
            since: Instant::now(),
            blocked: None,
            deliveries: Vec::new(),
            scan: HeadScan::default(),
            held: 0,
        };
        Self { beat: Mutex::new(beat), evicted: Notify::new(), abandoned: AtomicBool::new(false), allowance }
    }

    /// Waiting for a request.
    pub(crate) fn on_idle(&self) {
        let mut beat = self.lock();
        beat.enter(Phase::Idle);
        self.let_go(&mut beat, usize::MAX);
    }

    /// A request head is complete. Says whether it framed its body in two ways (RFC 9112 section 6.1).
    pub(crate) fn on_request(&self) -> bool {
        let mut beat = self.lock();
        beat.enter(Phase::Busy);
        std::mem::take(&mut beat.scan).is_ambiguous()
    }

    /// The answer is there, and is held back.
    pub(crate) fn on_held(&self) {
        self.lock().enter(Phase::Held);
    }

    /// The other side does not read: what the kernel still has for it is not worth keeping.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    pub(crate) fn on_body_begin(&self) {
        self.lock().enter(Phase::Body);
    }

    pub(crate) fn on_body_end(&self) {
        self.lock().enter(Phase::Busy);
    }

    /// `delivery` is in the write buffer now; it counts as written when that has been flushed.
    pub(crate) fn on_buffered(&self, delivery: Delivery) {
        self.lock().deliveries.push(delivery);
    }

    /// False when the connection holds too much.
    pub(super) fn on_read(&self, bytes: &[u8]) -> bool {
        let mut beat = self.lock();
        let held = beat.held.saturating_add(bytes.len());
        if !self.allowance.try_grow(beat.held, held) {
            return false;
        }
        beat.held = held;
        if beat.phase == Phase::Idle && !bytes.is_empty() {
            beat.enter(Phase::Head);
        }
        if beat.phase == Phase::Head {
            beat.scan.feed(bytes);
        }
        true
    }

    pub(super) fn on_blocked(&self) {
        self.lock().blocked.get_or_insert_with(Instant::now);
    }

    pub(super) fn on_progress(&self) {
        self.lock().blocked = None;
    }

    pub(super) fn on_flushed(&self) {
        let written = {
            let mut beat = self.lock();
            beat.blocked = None;
            std::mem::take(&mut beat.deliveries)
        };
        // Outside the lock: a delivery locks its mailbox.
        written.into_iter().for_each(Delivery::written);
    }

    /// Since when the connection could be closed without harm to a request.
    pub(super) fn evictable_since(&self) -> Option<Instant> {
        let beat = self.lock();
        (beat.phase != Phase::Busy).then_some(beat.since)
    }

    pub(super) fn evict(&self) {
        self.evicted.notify_one();
    }

    /// Resolves when the connection has to go because others need its place.
    pub(crate) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// So many of the bytes read need not be kept any longer.
    pub(crate) fn on_consumed(&self, bytes: usize) {
        self.let_go(&mut self.lock(), bytes);
    }

    fn let_go(&self, beat: &mut Beat, bytes: usize) {
        let held = beat.held.saturating_sub(bytes);
        self.allowance.shrink(beat.held, held);
        beat.held = held;
    }

    fn deadline(&self) -> Option<Instant> {
        let beat = self.lock();
        let allowed = match beat.phase {
            Phase::Handshake | Phase::Head => Some(self.allowance.times.head),
            Phase::Idle => Some(self.allowance.times.idle),
            Phase::Body => Some(self.allowance.times.body),
            Phase::Busy | Phase::Held => None,
        };
        let phase = allowed.map(|allowed| beat.since + allowed);
        let write = beat.blocked.map(|blocked| blocked + self.allowance.times.write);
        match (phase, write) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Beat> {
        self.beat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        // Deliveries go back to their mailboxes here, when the connection ends before they were written.
        let beat = self.beat.get_mut().unwrap_or_else(PoisonError::into_inner);
        beat.deliveries.clear();
        self.allowance.shrink(beat.held, 0);
    }
}

impl Beat {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = Instant::now();
    }
}

/// Runs a connection until it ends, or until a deadline passes: then `None`.
pub(crate) async fn watched<F: Future>(pulse: &Pulse, connection: F) -> Option<F::Output> {
    let mut connection = pin!(connection);
    let mut alarm = pin!(sleep_until(Instant::now()));
    poll_fn(|cx| {
        if let Poll::Ready(end) = connection.as_mut().poll(cx) {
            return Poll::Ready(Some(end));
        }
        let Some(deadline) = pulse.deadline() else { return Poll::Pending };
        if alarm.deadline() != deadline {
            alarm.as_mut().reset(deadline);
        }
        alarm.as_mut().poll(cx).map(|()| {
            if pulse.lock().blocked.is_some() {
                pulse.abandon();
            }
            None
        })
    })
    .await
}
