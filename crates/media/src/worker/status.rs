//! What a worker tells of itself once a second.

use super::Worker;
use crate::peer::{Peer, Refused};
use crate::status::{MediaTotals, WorkerStatus};
use std::time::{Duration, Instant};

/// What peers have counted that are gone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gone {
    media: MediaTotals,
    refused: Refused,
}

impl Gone {
    pub(super) fn add(&mut self, peer: &Peer) {
        self.media.add(peer.totals());
        self.refused.add(peer.refused);
    }
}

impl Worker {
    /// Remembers how long a turn of the loop took.
    pub(super) fn took(&mut self, turn: Duration) {
        self.longest_turn = self.longest_turn.max(turn);
    }

    pub(super) fn publish(&mut self, now: Instant) {
        let mut sum = self.gone;
        let (mut up, mut forwarders) = (0, 0);
        for (_, peer) in &self.peers {
            sum.add(peer);
            up += u64::from(peer.can_send());
            forwarders += peer.count_outlets();
        }
        let overflowed = self.sockets.iter().map(|(_, s)| u64::from(s.overflowed())).sum::<u64>();
        let dropped = WorkerStatus::of_dropped(&self.dropped);
        let Refused { early, forged, replayed, unknown_stream, malformed, no_room, stale, overload } =
            sum.refused;
        self.status.set(WorkerStatus {
            told: Some(now),
            peers: u64::try_from(self.peers.len()).unwrap_or(u64::MAX),
            peers_up: up,
            received: self.received.datagrams,
            received_bytes: self.received.bytes,
            sent: self.sent.packets,
            sent_bytes: self.sent.bytes,
            coalesced: self.sent.calls_saved,
            runs: self.sent.runs,
            unsent: self.sent.dropped + self.egress.relays.dropped,
            refused: dropped.refused + early + unknown_stream,
            forged: forged + replayed + malformed,
            overflowed: self.dropped.overflowed + overflowed,
            shed: dropped.shed + no_room + stale + overload,
            overload: self.overload.level(),
            panics: dropped.panics,
            behind: std::mem::take(&mut self.furthest_behind),
            longest_turn: std::mem::take(&mut self.longest_turn),
            remapped: self.remapped,
            forwarders: u64::try_from(forwarders).unwrap_or(u64::MAX),
            relays: u64::try_from(self.count_relays()).unwrap_or(u64::MAX),
            turn_failures: self.egress.relays.failures,
            media: sum.media.at_least(self.status.get().media),
        });
    }
}
