//! New peers, their ports, and our part of a description.

use super::{GATHER, Gathering, PORT_TRIES, UDP, Worker, token};
use crate::addresses::{Advertised, candidates};
use crate::peer::Peer;
use crate::random;
use crate::reflexive::Reflexive;
use crate::socket::UdpSocket;
use portunus_plugin::media::{MediaEvent, Negotiation};
use portunus_sdp::LocalTransport;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

impl Worker {
    pub(super) fn on_negotiate(&mut self, negotiation: Negotiation, now: Instant) {
        let key = match self.by_handle.get(&negotiation.handle).copied() {
            Some(key) => key,
            None => match self.new_peer(&negotiation, now) {
                Ok(key) => key,
                Err(reason) => {
                    self.waiting_events.push_back((negotiation.handle, MediaEvent::Hangup { reason }));
                    return;
                }
            },
        };
        let old = self.peers.get(key).map(|p| p.ufrag().to_owned());
        let index = self.index;
        self.with_peer(key, now, |peer, cx| peer.negotiate(cx, &negotiation, index, now));
        if let Some(peer) = self.peers.get(key) {
            // After a restart both names are ours: packets with the old one are on their way.
            let new = peer.ufrag().to_owned();
            if old.as_deref() != Some(&new) {
                self.by_ufrag.insert(new, key);
            }
        }
        if let Some(remote) = &negotiation.remote {
            for c in remote.candidates.clone() {
                self.on_candidate(negotiation.handle, Some(c), now);
            }
            if remote.end_of_candidates && !negotiation.trickle {
                self.on_candidate(negotiation.handle, None, now);
            }
        }
        if let Some(exchange) = negotiation.exchange {
            self.answer_local(key, exchange, now);
        }
    }

    fn new_peer(&mut self, n: &Negotiation, now: Instant) -> Result<usize, String> {
        let sockets = match self.settings.port_range.clone() {
            Some(range) => self.open_own_sockets(range, now).ok_or("Gathering error")?,
            None => Vec::new(),
        };
        let ufrag = random::ufrag(&mut self.random, self.index);
        let pwd = random::text(&mut self.random, 24);
        let dtls = Arc::clone(&self.dtls);
        let credentials = (ufrag.clone(), pwd);
        let mut peer =
            Peer::new(n.handle, credentials, n.offering, &self.settings, dtls, &mut self.random, now);
        for address in self.advertised(&sockets) {
            peer.add_local(address.local, address.tcp);
        }
        peer.own(sockets);
        let key = self.peers.insert(Box::new(peer));
        self.by_handle.insert(n.handle, key);
        self.by_ufrag.insert(ufrag, key);
        Ok(key)
    }

    fn open_own_sockets(&mut self, range: std::ops::RangeInclusive<u16>, now: Instant) -> Option<Vec<usize>> {
        let (low, high) = (u32::from(*range.start()), u32::from(*range.end()));
        let span = high.checked_sub(low)? + 1;
        for _ in 0..PORT_TRIES.min(span * 2) {
            let port = u16::try_from(low + self.random.next_u32() % span).ok()?;
            let bound: io::Result<Vec<UdpSocket>> = self
                .ips
                .iter()
                .map(|ip| UdpSocket::bind(SocketAddr::new(*ip, port), false, self.settings.tos))
                .collect();
            let Ok(bound) = bound else { continue };
            let mut indices = Vec::new();
            for socket in bound {
                let fd = socket.fd();
                let i = self.sockets.insert(socket);
                self.epoll.add(fd, token(UDP, i), false).ok()?;
                self.reflexive.insert(i, Reflexive::new(now));
                indices.push(i);
            }
            return Some(indices);
        }
        tracing::warn!(low, high, "no free port in rtp_port_range");
        None
    }

    /// What a peer with these sockets of its own (or none) can be reached at.
    fn advertised(&self, own: &[usize]) -> Vec<Advertised> {
        let mut out = Vec::new();
        for (i, socket) in self.sockets.iter() {
            let shared = self.settings.port_range.is_none();
            if shared || own.contains(&i) {
                let reflexive = self.reflexive.get(&i).and_then(Reflexive::mapped);
                out.push(Advertised { local: socket.local(), reflexive, tcp: false });
            }
        }
        out.extend(self.listeners.iter().map(|l| Advertised {
            local: l.local(),
            reflexive: None,
            tcp: true,
        }));
        out
    }

    /// Gives the control task our part of a description, now or when gathering has ended.
    fn answer_local(&mut self, key: usize, exchange: u64, now: Instant) {
        let Some(peer) = self.peers.get(key) else { return };
        let own = peer.own_sockets();
        let gathers = !own.is_empty() && !self.stun_servers.is_empty() && !self.settings.ice_lite;
        let known = own.iter().any(|i| self.reflexive.get(i).is_some_and(|r| r.mapped().is_some()));
        if gathers && !known {
            self.gathering.push(Gathering { peer: key, exchange, until: now + GATHER });
            return;
        }
        self.send_local(key, exchange);
    }

    pub(super) fn end_gathering(&mut self, now: Instant) {
        let mut i = 0;
        while let Some(g) = self.gathering.get(i) {
            let own = self.peers.get(g.peer).map_or(&[][..], |p| p.own_sockets());
            let known = own.iter().any(|s| self.reflexive.get(s).is_some_and(|r| r.mapped().is_some()));
            if !known && now < g.until {
                i += 1;
                continue;
            }
            if !known {
                tracing::warn!(
                    "the STUN server did not answer in time; going on without a reflexive candidate"
                );
            }
            let g = self.gathering.swap_remove(i);
            self.send_local(g.peer, g.exchange);
        }
    }

    fn send_local(&mut self, key: usize, exchange: u64) {
        let Some(peer) = self.peers.get(key) else { return };
        let (handle, setup, ssrcs) = (peer.handle(), peer.setup(), peer.local_ssrcs());
        let candidates = candidates(&self.advertised(peer.own_sockets()), &self.settings);
        // After a restart a trickled candidate that overtakes the answer would be taken for the old session
        // (janus.js adds it at once), and a lite agent cannot make up for it: the answer carries them, too.
        let only_trickled = self.settings.full_trickle && peer.is_new();
        let transport = LocalTransport {
            ufrag: peer.ufrag().to_owned(),
            pwd: peer.pwd().to_owned(),
            fingerprint: self.settings.certificate.fingerprint_sha256().to_owned(),
            setup,
            lite: self.settings.ice_lite,
            candidates: candidates.clone(),
            address: self.sdp_address,
            end_of_candidates: !only_trickled,
            full_trickle: only_trickled,
            ssrcs,
        };
        let transport = Box::new(transport);
        self.waiting_events.push_back((handle, MediaEvent::Local { exchange, transport }));
        if self.settings.full_trickle {
            for c in candidates {
                self.waiting_events.push_back((handle, MediaEvent::Candidate(Some(Box::new(c)))));
            }
            self.waiting_events.push_back((handle, MediaEvent::Candidate(None)));
        }
    }
}
