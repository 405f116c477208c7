//! What simulations need of a worker: datagrams in, packets out, and the time, all by hand.

use super::Worker;
use crate::egress::{Link, Path};
use crate::peer::{Peer, PeerCx, Ready};
use crate::socket::SLOT;
use crate::turn::Found;
use portunus_plugin::HandleId;
use portunus_plugin::media::{MediaCommand, MediaEvent};
use std::net::SocketAddr;
use std::time::Instant;

impl Worker {
    /// One datagram, and everything that follows from it; what becomes ready for sinks is shown first.
    pub(crate) fn simulate(
        &mut self,
        bytes: &[u8],
        from: SocketAddr,
        local: SocketAddr,
        now: Instant,
        mut show: impl FnMut(&Ready, &[u8]),
    ) {
        let mut slot = Box::new([0_u8; SLOT]);
        slot[..bytes.len()].copy_from_slice(bytes);
        let socket = self.sockets.iter().find(|(_, s)| s.local() == local).map(|(i, _)| i);
        if let Some(relay) = self.relay_at(local) {
            self.on_relay_datagram(relay, &mut slot[..bytes.len()], 0, from, now);
        } else if let Some(socket) = socket {
            let path = Path { link: Link::Udp(socket), remote: from };
            self.on_datagram(&mut slot[..bytes.len()], 0, path, local, now);
        }
        for r in &self.ready {
            show(r, &slot[..r.len]);
        }
        self.forward_from(&|_| Some(slot.as_slice()), now);
    }

    /// A packet of a source that has no network: peer `handle` is never connected, but its sinks are.
    pub(crate) fn feed(&mut self, handle: HandleId, packet: &[u8], now: Instant) {
        let mut slot = Box::new([0_u8; SLOT]);
        slot[..packet.len()].copy_from_slice(packet);
        let key = self.by_handle[&handle];
        self.with_peer(key, now, |peer, cx| peer.feed_rtp(cx, (key, 0), 0, packet, now));
        self.forward_from(&|_| Some(slot.as_slice()), now);
    }

    pub(crate) fn simulate_timers(&mut self, now: Instant) {
        self.on_timers(now);
    }

    pub(crate) fn simulate_command(&mut self, command: MediaCommand, now: Instant) {
        self.on_command(command, now);
    }

    /// The TURN servers there are from now on.
    pub(crate) fn simulate_turn(&mut self, found: &[Found], now: Instant) {
        self.on_turn_servers(found, now);
    }

    /// What other threads told it, and what it tells other workers.
    pub(crate) fn simulate_messages(&mut self, now: Instant) {
        self.take_messages(now);
        self.send_posts();
    }

    /// It is this far into leaving things out.
    pub(crate) fn simulate_overload(&mut self, step: u32) {
        self.overload.force(step);
    }

    /// Mirrors here of other workers' sources, and mirrors elsewhere of ours.
    pub(crate) fn count_mirrors(&self) -> (usize, usize) {
        (self.mirrors.len(), self.peers.iter().map(|(_, p)| p.mirrors().len()).sum())
    }

    pub(crate) fn take_events(&mut self) -> Vec<(HandleId, MediaEvent)> {
        self.waiting_events.drain(..).collect()
    }

    /// What would be sent now: from which socket, where, and the bytes.
    pub(crate) fn take_packets(&mut self) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
        let mut out = Vec::new();
        let sockets = &self.sockets;
        self.egress.drain(|bytes, path| {
            if let Link::Udp(i) = path.link {
                out.push((sockets.get(i).unwrap().local(), path.remote, bytes.to_vec()));
            }
        });
        out
    }

    /// What came to feedback ports; gives their number, and that of all sockets.
    pub(crate) fn simulate_feedback(&mut self, now: Instant) -> (usize, usize) {
        let ports: Vec<usize> = self.feedback.keys().copied().collect();
        for port in &ports {
            self.on_feedback(*port, now);
        }
        (ports.len(), self.sockets.count())
    }

    pub(crate) fn on_peer(
        &mut self,
        handle: HandleId,
        now: Instant,
        call: impl FnOnce(&mut Peer, &mut PeerCx<'_>),
    ) {
        self.with_handle(handle, now, call);
    }
}
