//! What the workers tell of themselves, once a second, for metrics and health checks.

use crate::worker::Dropped;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One worker. Totals since the start, unless a line says "now".
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkerStatus {
    /// When it told this; `None` before the first time.
    pub told: Option<Instant>,
    /// Peers now.
    pub peers: u64,
    /// Those of them whose media may flow.
    pub peers_up: u64,
    /// Datagrams received.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Datagrams that the system dropped because the worker's sockets were full.
    pub overflowed: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Datagrams that shared a system call with the one before (`UDP_SEGMENT`).
    pub coalesced: u64,
    /// How many datagrams left in each message to the system.
    pub runs: Runs,
    /// Datagrams the system did not take.
    pub unsent: u64,
    /// Received datagrams dropped because nobody may send such a thing from there: unknown address, wrong password, unknown
    /// kind, too long, too early.
    pub refused: u64,
    /// Received datagrams dropped because they were forged, damaged or repeated.
    pub forged: u64,
    /// Packets dropped because a subscriber's network, another worker or the control task did not keep up.
    pub shed: u64,
    /// Peers closed because of a panic.
    pub panics: u64,
    /// How long datagrams had to wait for it at most in the last second, because it was busy.
    pub behind: Duration,
    /// What it leaves out now because it has more to send than time: 1 when all subscribers get the lowest layers only, 2 when
    /// they get nothing but keyframes.
    pub overload: f64,
    /// The longest turn of the loop in the last second.
    pub longest_turn: Duration,
    /// Peers that saw another port of ours than they were told: a NAT changed it.
    pub remapped: u64,
    /// Forwarders now.
    pub forwarders: u64,
    /// Addresses on TURN servers now.
    pub relays: u64,
    /// Times that a TURN server gave none, or took one back.
    pub turn_failures: u64,
    /// What its peers count.
    pub media: MediaTotals,
}

/// How many datagrams of one size to one receiver left together (`UDP_SEGMENT`): a histogram of run lengths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs([u64; Runs::BOUNDS.len()]);

impl Runs {
    /// Upper bounds of the buckets; the last one is what the system takes at most.
    pub const BOUNDS: [u8; 7] = [1, 2, 4, 8, 16, 32, 64];

    pub(crate) fn count(&mut self, length: usize) {
        let bucket = Self::BOUNDS.iter().position(|bound| length <= usize::from(*bound));
        if let Some(n) = bucket.and_then(|bucket| self.0.get_mut(bucket)) {
            *n += 1;
        }
    }

    /// Runs that are no longer than the bound of this number.
    pub fn up_to(&self, bucket: usize) -> u64 {
        self.0.iter().take(bucket + 1).sum()
    }

    /// All runs.
    pub fn all(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// RTP of peers, those that are gone included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MediaTotals {
    /// RTP packets received.
    pub received: u64,
    /// Packets of clients that never came.
    pub lost: u64,
    /// Packets that came when they were asked for again.
    pub repaired: u64,
    /// NACK messages sent.
    pub nacks_sent: u64,
    /// Keyframe requests sent.
    pub keyframe_requests: u64,
    /// RTP packets sent.
    pub sent: u64,
    /// Packets that clients asked for again.
    pub nacked: u64,
    /// Those of them that were sent again.
    pub resent: u64,
    /// Packets that clients reported as lost.
    pub lost_by_clients: u64,
    /// Copies of packets and messages that forwarders sent.
    pub forwarded: u64,
}

impl MediaTotals {
    /// Never less than before: an m-line that begins anew forgets what it has counted.
    pub(crate) fn at_least(mut self, before: Self) -> Self {
        let pairs = [
            (&mut self.received, before.received),
            (&mut self.lost, before.lost),
            (&mut self.repaired, before.repaired),
            (&mut self.nacks_sent, before.nacks_sent),
            (&mut self.keyframe_requests, before.keyframe_requests),
            (&mut self.sent, before.sent),
            (&mut self.nacked, before.nacked),
            (&mut self.resent, before.resent),
            (&mut self.lost_by_clients, before.lost_by_clients),
            (&mut self.forwarded, before.forwarded),
        ];
        for (now, before) in pairs {
            *now = (*now).max(before);
        }
        self
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.received += other.received;
        self.lost += other.lost;
        self.repaired += other.repaired;
        self.nacks_sent += other.nacks_sent;
        self.keyframe_requests += other.keyframe_requests;
        self.sent += other.sent;
        self.nacked += other.nacked;
        self.resent += other.resent;
        self.lost_by_clients += other.lost_by_clients;
        self.forwarded += other.forwarded;
    }
}

/// The newest status of a worker; written once a second, so that its lock is never waited for.
#[derive(Clone, Debug, Default)]
pub(crate) struct StatusCell(Arc<Mutex<WorkerStatus>>);

impl StatusCell {
    pub(crate) fn get(&self) -> WorkerStatus {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, status: WorkerStatus) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}

/// The workers of an engine, for whoever asks at any time.
#[derive(Clone, Debug)]
pub struct Statuses(pub(crate) Vec<StatusCell>);

impl Statuses {
    /// Each worker's newest status.
    pub fn get(&self) -> Vec<WorkerStatus> {
        self.0.iter().map(StatusCell::get).collect()
    }
}

/// What a worker counts besides its peers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Received {
    pub(crate) datagrams: u64,
    pub(crate) bytes: u64,
}

impl WorkerStatus {
    pub(crate) fn of_dropped(dropped: &Dropped) -> Self {
        Self {
            refused: dropped.too_long
                + dropped.unknown_kind
                + dropped.stranger
                + dropped.unauthenticated_stun
                + dropped.taken_path,
            shed: dropped.parcel_packets + dropped.posts + dropped.events,
            panics: dropped.panics,
            ..Self::default()
        }
    }
}
