//! New peers, their ports, and our part of a description.

use super::{GATHER, Gathering, UDP, Worker, WorkerMessage, token};
use crate::addresses::{self, Advertised, RelayedBy, bind_each, candidates, with_port};
use crate::peer::{Feeder, Peer, trickle};
use crate::random;
use crate::reflexive::{Reflexive, server_for};
use crate::socket::UdpSocket;
use portunus_plugin::HandleId;
use portunus_plugin::media::{MediaEvent, Negotiation};
use portunus_plugin::report::FeederReport;
use portunus_sdp::LocalTransport;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
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
        self.know_relays(key);
        let old = self.peers.get(key).map(|p| p.ufrag().to_owned());
        let index = self.index;
        let layouts = self.peers.get(key).map(|p| p.layouts()).unwrap_or_default();
        let feedback: Vec<usize> =
            self.peers.get(key).map(|p| p.feedback_sockets().collect()).unwrap_or_default();
        self.with_peer(key, now, |peer, cx| peer.negotiate(cx, &negotiation, index, now));
        self.close_lost_feedback(key, &feedback);
        for (line, before) in layouts.into_iter().enumerate() {
            let after = self.peers.get(key).and_then(|p| p.source_layout(line));
            if before != after {
                self.lay_out((Feeder::Peer(key), line), after, now);
            }
        }
        self.describe_again(key);
        if let Some(peer) = self.peers.get(key) {
            // After a restart both names are ours: packets with the old one are on their way.
            let new = peer.ufrag().to_owned();
            if old.as_deref() != Some(&new) {
                self.by_ufrag.retain(|name, k| *k != key || Some(name) == old.as_ref());
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
        peer.set_relay_only(n.relay_only);
        for address in self.advertised(&sockets, n.relay_only, now) {
            peer.add_local(&address);
        }
        peer.own(sockets);
        let key = self.peers.insert(Box::new(peer));
        self.by_handle.insert(n.handle, key);
        self.by_ufrag.insert(ufrag, key);
        Ok(key)
    }

    fn open_own_sockets(&mut self, range: RangeInclusive<u16>, now: Instant) -> Option<Vec<usize>> {
        for port in addresses::ports(&range, self.random.next_u32()) {
            let bound = bind_each(&self.local, |address| {
                let address = with_port(address, port);
                UdpSocket::bind(address, false, self.settings.tos).map_err(|error| (address, error))
            });
            let bound = match bound {
                Ok(bound) => bound,
                Err((_, error)) if error.kind() == io::ErrorKind::AddrInUse => continue,
                Err((address, error)) => {
                    tracing::warn!(%address, %error, "cannot open a port for a peer");
                    return None;
                }
            };
            let mut indices = Vec::new();
            for socket in bound {
                let fd = socket.fd();
                let i = self.sockets.insert(socket);
                self.sockets.get(i)?.note_arrivals();
                self.epoll.add(fd, token(UDP, i), false).ok()?;
                self.reflexive.insert(i, Reflexive::new(now));
                indices.push(i);
            }
            return Some(indices);
        }
        tracing::warn!(first = range.start(), last = range.end(), "no free port in rtp_port_range");
        None
    }

    /// What a peer with these sockets of its own (or none) can be reached at.
    fn advertised(&self, own: &[usize], relay_only: bool, now: Instant) -> Vec<Advertised> {
        let mut out = if relay_only { Vec::new() } else { self.advertised_here(own, now) };
        let relays = self.egress.relays.allocations().filter(|(index, _)| self.offers_relay(*index));
        out.extend(relays.map(|(index, allocation)| Advertised {
            local: allocation.relayed,
            reflexive: None,
            tcp: false,
            relay: Some(RelayedBy { link: index, mapped: allocation.mapped, stream: self.is_stream(index) }),
        }));
        out
    }

    /// The part of it that is on this machine.
    fn advertised_here(&self, own: &[usize], now: Instant) -> Vec<Advertised> {
        let mut out = Vec::new();
        for (i, socket) in self.sockets.iter() {
            let shared = self.settings.port_range.is_none();
            if shared || own.contains(&i) {
                let reflexive = self.reflexive.get(&i).and_then(Reflexive::mapped);
                out.push(Advertised { local: socket.local(), reflexive, tcp: false, relay: None });
                if let Some(known) = reflexive.filter(|_| shared) {
                    let others = self.ways_out.beside(known, now);
                    let others = others.map(|seen| Advertised {
                        local: socket.local(),
                        reflexive: Some(seen),
                        tcp: false,
                        relay: None,
                    });
                    out.extend(others);
                }
            }
        }
        out.extend(self.listeners.iter().map(|l| Advertised {
            local: l.local(),
            reflexive: None,
            tcp: true,
            relay: None,
        }));
        out
    }

    /// A peer sees our port under another number than it was told. With a port that peers share others will, too: a NAT
    /// takes a changed port for new flows of the same socket.
    pub(super) fn on_remapped(&mut self, seen: SocketAddr, now: Instant) {
        self.remapped += 1;
        self.ways_out.learn(seen, now);
        if self.settings.single_port {
            for (_, other) in self.others.iter().enumerate().filter(|(index, _)| *index != self.index) {
                let _ = other.try_send(WorkerMessage::SeenAt(seen));
            }
        }
    }

    /// Gives the control task our part of a description, now or when gathering has ended.
    fn answer_local(&mut self, key: usize, exchange: u64, now: Instant) {
        let Some(peer) = self.peers.get(key) else { return };
        if self.asking(peer.own_sockets()).next().is_some() && !self.knows_reflexive(peer.own_sockets()) {
            self.gathering.push(Gathering { peer: key, exchange, until: now + GATHER });
            return;
        }
        self.send_local(key, exchange, now);
    }

    /// Those of a peer's own sockets whose address a STUN server is asked for.
    fn asking<'a>(&'a self, own: &'a [usize]) -> impl Iterator<Item = &'a Reflexive> {
        own.iter().filter_map(|i| {
            let local = self.sockets.get(*i)?.local();
            server_for(local, &self.stun_servers, &self.settings)?;
            self.reflexive.get(i)
        })
    }

    fn knows_reflexive(&self, own: &[usize]) -> bool {
        own.iter().any(|i| self.reflexive.get(i).is_some_and(|r| r.mapped().is_some()))
    }

    /// When a gathering has something to do: to ask again, or to end.
    pub(super) fn gathers_at(&self, gathering: &Gathering) -> Instant {
        let own = self.peers.get(gathering.peer).map_or(&[][..], |p| p.own_sockets());
        self.asking(own).map(Reflexive::next).fold(gathering.until, Instant::min)
    }

    pub(super) fn end_gathering(&mut self, now: Instant) {
        let mut i = 0;
        while let Some(g) = self.gathering.get(i) {
            let own = self.peers.get(g.peer).map_or(&[][..], |p| p.own_sockets());
            let known = self.knows_reflexive(own);
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
            self.send_local(g.peer, g.exchange, now);
        }
    }

    /// Tells what is known of a peer.
    pub(super) fn on_report(&mut self, handle: HandleId, question: u64, now: Instant) {
        let Some(key) = self.by_handle.get(&handle).copied() else { return };
        let Some(peer) = self.peers.get(key) else { return };
        let local =
            candidates(&self.advertised(peer.own_sockets(), peer.is_relay_only(), now), &self.settings);
        let feeders = self.feeders_of(key);
        self.with_peer(key, now, |peer, cx| {
            let mut report = Box::new(peer.report(cx, local, now));
            for (line, feeder) in report.lines.iter_mut().zip(feeders) {
                if let Some(sink) = &mut line.sink {
                    sink.feeder = feeder;
                }
            }
            cx.events.push_back((handle, MediaEvent::Report { question, report }));
        });
    }

    /// By line: what feeds its sink, where that is a peer of this worker.
    fn feeders_of(&self, key: usize) -> Vec<Option<FeederReport>> {
        let Some(peer) = self.peers.get(key) else { return Vec::new() };
        let of_line = |line| match peer.feeder_of(line)? {
            (Feeder::Peer(from), source_line, substream) => {
                self.peers.get(from)?.as_feeder(source_line, substream)
            }
            (Feeder::Mirror(_), ..) => None,
        };
        (0..peer.layouts().len()).map(of_line).collect()
    }

    fn send_local(&mut self, key: usize, exchange: u64, now: Instant) {
        let Some(peer) = self.peers.get(key) else { return };
        let (handle, setup, ssrcs) = (peer.handle(), peer.setup(), peer.local_ssrcs());
        let advertised = self.advertised(peer.own_sockets(), peer.is_relay_only(), now);
        let candidates = candidates(&advertised, &self.settings);
        // After a restart a trickled candidate that overtakes the answer would be taken for the old session
        // (janus.js adds it at once), and a lite agent cannot make up for it: the answer carries them, too.
        let only_trickled = self.settings.full_trickle && peer.is_new();
        let transport = LocalTransport {
            ufrag: peer.ufrag().to_owned(),
            pwd: peer.pwd().to_owned(),
            fingerprint: peer.fingerprint().to_owned(),
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
        let trickles = self.settings.full_trickle;
        self.with_peer(key, now, |peer, cx| {
            peer.tell(&candidates);
            if trickles && let Some(candidates) = peer.hold(candidates, now) {
                trickle(cx.events, handle, candidates);
            }
        });
    }
}
