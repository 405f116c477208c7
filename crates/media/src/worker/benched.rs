//! What benchmarks need of a worker: peers that are up without ICE and DTLS, and batches without a socket.

use super::Worker;
use crate::egress::Path;
use crate::socket::SLOT;
use portunus_plugin::HandleId;
use portunus_plugin::media::{MediaCommand, Negotiation};
use std::time::Instant;

impl Worker {
    /// A peer that is up already, with this m-line, reached over `path`.
    pub(crate) fn bench_peer(
        &mut self,
        handle: HandleId,
        media: &[portunus_sdp::Negotiated],
        keys: crate::dtls::SrtpKeys,
        path: Path,
        now: Instant,
    ) {
        let n = Negotiation {
            handle,
            exchange: None,
            remote: None,
            offering: true,
            restart: false,
            trickle: false,
            media: media.to_vec(),
            affinity: None,
            worker: None,
        };
        self.on_negotiate(n, now);
        let Some(key) = self.by_handle.get(&handle).copied() else { return };
        self.with_peer(key, now, |peer, _| peer.force_up(keys, path, now));
        self.by_path.insert(path, key);
    }

    /// Feeds datagrams of one path as one batch. Returns how many packets left.
    pub(crate) fn bench_batch(
        &mut self,
        slots: &mut [[u8; SLOT]],
        lengths: &[usize],
        path: Path,
        now: Instant,
        send: bool,
    ) -> u64 {
        let local = path.remote;
        for (i, (slot, len)) in slots.iter_mut().zip(lengths).enumerate() {
            if let Some(bytes) = slot.get_mut(..*len) {
                self.on_datagram(bytes, i, path, local, now);
            }
        }
        let before = self.sent.packets;
        self.forward_from(&|i| slots.get(i).map(<[u8; SLOT]>::as_slice), now);
        if send {
            self.flush();
            return self.sent.packets - before;
        }
        let mut n = 0;
        self.egress.drain(|_, _| n += 1);
        n
    }

    /// Works as ever until told to stop; returns packets sent, and those that left in a call together with others.
    pub(crate) fn bench_run(&mut self) -> (u64, u64) {
        self.run_until_stopped();
        (self.sent.packets, self.sent.calls_saved)
    }

    /// Carries out a command.
    pub(crate) fn bench_command(&mut self, command: MediaCommand, now: Instant) {
        self.on_command(command, now);
    }

    /// Datagrams that left in a call together with others.
    pub(crate) fn calls_saved(&self) -> u64 {
        self.sent.calls_saved
    }
}
