//! What benchmarks need of a worker: peers that are up without ICE and DTLS, batches without a socket, packets of its
//! own making, and a look at what comes in.

use super::Worker;
use crate::egress::Path;
use crate::peer::{Feeder, Ready};
use crate::socket::SLOT;
use portunus_plugin::HandleId;
use portunus_plugin::media::{MediaCommand, MediaEvent, Negotiation};
use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

type Work = dyn FnOnce(&mut Worker, Instant) + Send;

/// Something to be done on the worker's thread.
pub(crate) struct Call(Box<Work>);

impl Call {
    pub(crate) fn new(call: impl FnOnce(&mut Worker, Instant) + Send + 'static) -> Self {
        Self(Box::new(call))
    }

    pub(super) fn carry_out(self, worker: &mut Worker, now: Instant) {
        (self.0)(worker, now);
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Call")
    }
}

/// What a benchmark is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// The first packet of a keyframe came in.
    Keyframe,
    /// A keyframe is wanted of this source.
    Wanted,
}

/// Is told on the worker's thread whose it is and what.
pub(crate) type Watch = Box<dyn FnMut(HandleId, Sight) + Send>;

impl Worker {
    pub(crate) fn bench_watch(&mut self, watch: Watch) {
        self.watch = Some(watch);
    }

    pub(super) fn bench_show(&mut self, ready: &[Ready]) {
        let Some(watch) = &mut self.watch else { return };
        for r in ready.iter().filter(|r| r.info.keyframe) {
            if let Some(peer) = self.peers.get(r.peer) {
                watch(peer.handle(), Sight::Keyframe);
            }
        }
    }

    pub(super) fn bench_wanted(&mut self, source: Feeder) {
        let Feeder::Peer(key) = source else { return };
        if let (Some(watch), Some(peer)) = (&mut self.watch, self.peers.get(key)) {
            watch(peer.handle(), Sight::Wanted);
        }
    }

    /// Packets of line `line` of a source that has no network: its peer is never connected, but its sinks are.
    pub(crate) fn bench_feed(&mut self, handle: HandleId, line: usize, packets: &[Vec<u8>], now: Instant) {
        let Some(key) = self.by_handle.get(&handle).copied() else { return };
        self.with_peer(key, now, |peer, cx| {
            for (slot, packet) in packets.iter().enumerate() {
                peer.feed_rtp(cx, (key, slot), line, packet, now);
            }
        });
        // These did not come in.
        let watch = self.watch.take();
        self.forward_from(&|i| packets.get(i).map(Vec::as_slice), now);
        self.watch = watch;
    }

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
            relay_only: false,
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
        let before = self.sent.packets;
        self.bench_forward(slots, lengths, path, now);
        if send {
            self.flush();
            return self.sent.packets - before;
        }
        let mut n = 0;
        self.egress.drain(|_, _| n += 1);
        n
    }

    /// One datagram that came to our address `local`. Returns how many left.
    pub(crate) fn bench_datagram(
        &mut self,
        bytes: &mut [u8],
        path: Path,
        local: SocketAddr,
        now: Instant,
    ) -> u64 {
        self.on_datagram(bytes, 0, path, local, now);
        let mut n = 0;
        self.egress.drain(|_, _| n += 1);
        n
    }

    /// As [`Self::bench_batch`]; what would leave is shown.
    pub(crate) fn bench_seen(
        &mut self,
        slots: &mut [[u8; SLOT]],
        lengths: &[usize],
        path: Path,
        now: Instant,
        see: impl FnMut(&[u8], Path),
    ) {
        self.bench_forward(slots, lengths, path, now);
        self.egress.drain(see);
    }

    fn bench_forward(&mut self, slots: &mut [[u8; SLOT]], lengths: &[usize], path: Path, now: Instant) {
        let local = path.remote;
        for (i, (slot, len)) in slots.iter_mut().zip(lengths).enumerate() {
            if let Some(bytes) = slot.get_mut(..*len) {
                self.on_datagram(bytes, i, path, local, now);
            }
        }
        self.forward_from(&|i| slots.get(i).map(<[u8; SLOT]>::as_slice), now);
    }

    /// What it would tell.
    pub(crate) fn bench_events(&mut self) -> Vec<(HandleId, MediaEvent)> {
        self.waiting_events.drain(..).collect()
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
