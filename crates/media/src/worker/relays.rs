//! Allocations of this worker on TURN servers: made and kept in the background, shared by its peers as if the relayed
//! address were one more socket.
//!
//! An answer never waits for one. Peers that have no path yet when one comes up begin to check from it; the client
//! learns of it by these checks. A failure is warned of once and tried again ever more rarely.

use super::{BATCHES_PER_TURN, RELAY, Worker, token};
use crate::egress::{Link, Path};
use crate::socket::{RECEIVE_BATCH, SLOT, UdpSocket};
use crate::turn::{
    Allocation, Client, Credentials, Event, Failure, Found, Relay, Stream, TurnServer, TurnTransport,
};
use std::fmt::Display;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After a failure the next attempt waits this long, doubling up to the second.
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LAST_RETRY: Duration = Duration::from_secs(300);
/// How often one server may send us to another in a row.
const MAX_HOPS: u8 = 3;
/// A server that is not wanted any more is kept this long at least, and as long as peers use it.
const KEEP_OLD: Duration = Duration::from_secs(60);

/// A TURN server as a worker uses it.
pub(super) struct Upstream {
    server: Arc<TurnServer>,
    addresses: Vec<SocketAddr>,
    /// Which of the addresses is next.
    next: usize,
    /// Where the server sent us, and how often in a row.
    elsewhere: Option<SocketAddr>,
    hops: u8,
    connection: Connection,
    allocation: Option<Allocation>,
    retry_at: Instant,
    wait: Duration,
    warned: bool,
    /// Since when it is not wanted any more.
    retired: Option<Instant>,
}

enum Connection {
    None,
    /// A socket of its own.
    Udp(usize),
    Stream(Box<Stream>),
}

impl Worker {
    /// The servers as they are now.
    pub(super) fn on_turn_servers(&mut self, found: &[Found], now: Instant) {
        for (_, upstream) in &mut self.upstreams {
            match found.iter().find(|f| f.server == upstream.server) {
                Some(found) => {
                    upstream.retired = None;
                    if !found.addresses.is_empty() {
                        upstream.addresses.clone_from(&found.addresses);
                    }
                }
                None => upstream.retired = upstream.retired.or(Some(now)),
            }
        }
        for Found { server, addresses } in found {
            if !self.upstreams.iter().any(|(_, u)| u.server == *server) {
                self.upstreams.insert(Upstream {
                    server: Arc::clone(server),
                    addresses: addresses.clone(),
                    next: 0,
                    elsewhere: None,
                    hops: 0,
                    connection: Connection::None,
                    allocation: None,
                    retry_at: now,
                    wait: FIRST_RETRY,
                    warned: false,
                    retired: None,
                });
            }
        }
        self.drive_relays(now);
    }

    /// Whether peers that begin now get this relay's candidate.
    pub(super) fn offers_relay(&self, index: usize) -> bool {
        self.upstreams.get(index).is_some_and(|u| u.retired.is_none())
    }

    /// Relays that came up after a peer began are in its next description.
    pub(super) fn know_relays(&mut self, key: usize) {
        let all = self.egress.relays.allocations().filter(|(index, _)| self.offers_relay(*index));
        let relays: Vec<(usize, Allocation)> = all.collect();
        if let Some(peer) = self.peers.get_mut(key) {
            for (index, allocation) in relays {
                peer.know_relay(index, allocation.relayed);
            }
        }
    }

    /// Whether a relay's server is reached over a stream.
    pub(super) fn is_stream(&self, index: usize) -> bool {
        self.upstreams.get(index).is_some_and(|u| u.server.transport != TurnTransport::Udp)
    }

    /// Allocations there are.
    pub(super) fn count_relays(&self) -> usize {
        self.upstreams.iter().filter(|(_, u)| u.allocation.is_some()).count()
    }

    /// When a relay has something to do.
    pub(super) fn relays_at(&self, now: Instant) -> Option<Instant> {
        let at = |(index, upstream): (usize, &Upstream)| match self.egress.relays.get(index) {
            Some(relay) => relay.client.poll_timeout(now),
            None => upstream.can_try().then_some(upstream.retry_at),
        };
        self.upstreams.iter().filter_map(at).min()
    }

    pub(super) fn drive_relays(&mut self, now: Instant) {
        if self.upstreams.is_empty() {
            return;
        }
        let keys: Vec<usize> = self.upstreams.iter().map(|(index, _)| index).collect();
        for index in keys {
            let Some(upstream) = self.upstreams.get(index) else { continue };
            let idle = matches!(upstream.connection, Connection::None);
            if idle && upstream.can_try() && now >= upstream.retry_at {
                self.try_open(index, now);
            }
            self.drive_relay(index, now);
        }
    }

    fn drive_relay(&mut self, index: usize, now: Instant) {
        let Some(relay) = self.egress.relays.get_mut(index) else { return };
        if relay.client.poll_timeout(now).is_some_and(|at| now >= at) {
            relay.client.handle_timeout(now);
        }
        self.send_to_server(index);
        while let Some(event) = self.egress.relays.get_mut(index).and_then(|r| r.client.poll_event()) {
            match event {
                Event::Up(allocation) => self.on_relay_up(index, allocation, now),
                Event::Over(failure) => self.on_relay_over(index, failure, now),
            }
        }
    }

    fn send_to_server(&mut self, index: usize) {
        while let Some((bytes, way)) = self
            .egress
            .relays
            .get_mut(index)
            .and_then(|relay| Some((relay.client.poll_transmit()?, relay.way)))
        {
            if !self.egress.has_room_for(2) {
                self.flush();
            }
            self.egress.push_to_server(&bytes, way);
        }
    }

    // === connections ===

    fn try_open(&mut self, index: usize, now: Instant) {
        let Some(upstream) = self.upstreams.get_mut(index) else { return };
        let known = upstream.addresses.get(upstream.next % upstream.addresses.len().max(1)).copied();
        let Some(at) = upstream.elsewhere.take().or(known) else { return };
        let server = Arc::clone(&upstream.server);
        match self.open(index, &server, at) {
            Ok((connection, link)) => {
                let stream = server.transport != TurnTransport::Udp;
                let credentials = Credentials::new(&server.username, &server.password);
                let client = Client::new(credentials, stream, now);
                self.egress.relays.set(index, Relay { client, way: Path { link, remote: at } });
                if let Some(upstream) = self.upstreams.get_mut(index) {
                    upstream.connection = connection;
                }
            }
            Err(error) => self.on_relay_failed(index, &error, now),
        }
    }

    fn open(&mut self, index: usize, server: &TurnServer, at: SocketAddr) -> io::Result<(Connection, Link)> {
        let tls = match server.transport {
            TurnTransport::Udp => {
                let any: IpAddr = match at {
                    SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                    SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
                };
                let socket = UdpSocket::bind(SocketAddr::new(any, 0), false, self.settings.tos)?;
                self.epoll.add(socket.fd(), token(RELAY, index), false)?;
                let socket = self.sockets.insert_apart(socket);
                return Ok((Connection::Udp(socket), Link::Udp(socket)));
            }
            TurnTransport::Tcp => None,
            TurnTransport::Tls => {
                let trust = self.settings.turn_trust.as_ref();
                let trust = trust.ok_or_else(|| io::Error::other("no certificates to trust"))?;
                Some((trust.config(), server.host.as_str()))
            }
        };
        let mut stream = Stream::open(at, tls)?;
        stream.watch(&self.epoll, token(RELAY, index))?;
        Ok((Connection::Stream(Box::new(stream)), Link::Relay(index)))
    }

    fn close_connection_of(&mut self, index: usize) {
        // What is to be sent over it leaves before another one gets its index.
        self.flush();
        let Some(upstream) = self.upstreams.get_mut(index) else { return };
        match std::mem::replace(&mut upstream.connection, Connection::None) {
            Connection::None => {}
            Connection::Udp(socket) => {
                if let Some(socket) = self.sockets.remove(socket) {
                    self.epoll.remove(socket.fd());
                }
            }
            Connection::Stream(stream) => stream.unwatch(&self.epoll),
        }
        self.egress.relays.remove(index);
    }

    // === what becomes of an allocation ===

    fn on_relay_up(&mut self, index: usize, allocation: Allocation, now: Instant) {
        let Some(upstream) = self.upstreams.get_mut(index) else { return };
        upstream.allocation = Some(allocation);
        (upstream.wait, upstream.warned, upstream.hops) = (FIRST_RETRY, false, 0);
        tracing::info!(server = ?upstream.server, relayed = %allocation.relayed, "relay address allocated");
        let seeking: Vec<usize> =
            self.peers.iter().filter(|(_, p)| p.has_no_path()).map(|(key, _)| key).collect();
        for key in seeking {
            self.with_peer(key, now, |peer, cx| peer.begin_relay(cx, index, allocation.relayed, now));
        }
    }

    fn on_relay_over(&mut self, index: usize, failure: Failure, now: Instant) {
        let hop = match failure {
            Failure::Elsewhere(server) => Some(server),
            _ => None,
        };
        if let (Some(server), Some(upstream)) = (hop, self.upstreams.get_mut(index))
            // An allocation that there was is lost, and its peers are told.
            && upstream.allocation.is_none()
            && upstream.hops < MAX_HOPS
        {
            upstream.hops += 1;
            upstream.elsewhere = Some(server);
            upstream.retry_at = now;
            self.close_connection_of(index);
            return;
        }
        self.on_relay_failed(index, &failure, now);
    }

    fn on_relay_failed(&mut self, index: usize, reason: &dyn Display, now: Instant) {
        self.close_connection_of(index);
        self.egress.relays.failures += 1;
        let Some(upstream) = self.upstreams.get_mut(index) else { return };
        let lost = upstream.allocation.take();
        (upstream.hops, upstream.elsewhere) = (0, None);
        upstream.next = upstream.next.wrapping_add(1);
        // The other addresses of the same server have their turn at once.
        let more = lost.is_none() && !upstream.next.is_multiple_of(upstream.addresses.len().max(1));
        upstream.retry_at = if more { now } else { now + upstream.wait };
        if !more {
            upstream.wait = (upstream.wait * 2).min(LAST_RETRY);
        }
        let server = &upstream.server;
        if std::mem::replace(&mut upstream.warned, true) {
            tracing::debug!(?server, %reason, "still no relay address");
        } else {
            tracing::warn!(?server, %reason, "no relay address from the TURN server; trying again");
        }
        if let Some(lost) = lost {
            self.by_path.retain(|path, _| path.link != Link::Relay(index));
            for (_, peer) in &mut self.peers {
                peer.end_relay(index, lost.relayed);
            }
        }
    }

    /// Gives up what is not wanted any more and not used.
    pub(super) fn retire_relays(&mut self, now: Instant) {
        let over = |at: Instant| now.saturating_duration_since(at) >= KEEP_OLD;
        let used = |index| self.by_path.keys().any(|path| path.link == Link::Relay(index));
        let old: Vec<usize> = (self.upstreams.iter())
            .filter(|(index, u)| u.retired.is_some_and(over) && (u.allocation.is_none() || !used(*index)))
            .map(|(index, _)| index)
            .collect();
        for index in old {
            self.give_up(index);
            self.upstreams.try_remove(index);
        }
    }

    /// Tells all servers that we are going.
    pub(super) fn give_up_relays(&mut self) {
        let all: Vec<usize> = self.upstreams.iter().map(|(index, _)| index).collect();
        for index in all {
            self.give_up(index);
        }
    }

    fn give_up(&mut self, index: usize) {
        if let Some(relay) = self.egress.relays.get_mut(index) {
            relay.client.close();
        }
        self.send_to_server(index);
        self.close_connection_of(index);
        let lost = self.upstreams.get_mut(index).and_then(|u| u.allocation.take());
        if let Some(lost) = lost {
            for (_, peer) in &mut self.peers {
                peer.end_relay(index, lost.relayed);
            }
        }
    }

    // === packets ===

    /// The socket or stream of a relay has something for us, or room again.
    pub(super) fn on_relay(&mut self, index: usize, now: Instant) {
        match self.upstreams.get(index).map(|u| &u.connection) {
            Some(Connection::Udp(socket)) => self.on_relay_datagrams(index, *socket, now),
            Some(Connection::Stream(_)) => self.on_relay_stream(index, now),
            _ => {}
        }
    }

    fn on_relay_datagrams(&mut self, index: usize, socket: usize, now: Instant) {
        let Some(mut batch) = self.batch.take() else { return };
        for _ in 0..BATCHES_PER_TURN {
            let n = self.sockets.get(socket).map_or(0, |s| batch.receive(s).unwrap_or(0));
            for i in 0..n {
                match batch.datagram(i) {
                    Some((bytes, from)) => self.on_relay_datagram(index, bytes, i, from, now),
                    None => self.dropped.too_long += 1,
                }
            }
            self.forward(&batch, now);
            if n < RECEIVE_BATCH {
                break;
            }
        }
        self.batch = Some(batch);
    }

    /// A datagram that came to a relay's socket; `slot` is where it lies in its batch.
    pub(super) fn on_relay_datagram(
        &mut self,
        index: usize,
        bytes: &mut [u8],
        slot: usize,
        from: SocketAddr,
        now: Instant,
    ) {
        self.count_received(bytes.len());
        if self.egress.relays.get(index).is_none_or(|relay| relay.way.remote != from) {
            self.dropped.stranger += 1;
            return;
        }
        let Some((path, local, data)) = self.unwrap(index, bytes, now) else { return };
        let len = data.len();
        bytes.copy_within(data, 0);
        if let Some(packet) = bytes.get_mut(..len) {
            self.on_datagram(packet, slot, path, local, now);
        }
    }

    fn on_relay_stream(&mut self, index: usize, now: Instant) {
        let mut slot = Box::new([0; SLOT]);
        let mut frame = [0; SLOT];
        loop {
            let Some(Connection::Stream(stream)) = self.upstreams.get_mut(index).map(|u| &mut u.connection)
            else {
                return;
            };
            let read = stream.read(&mut frame);
            // There may be room again, and a handshake that is read may have an answer.
            stream.pump(&self.epoll, token(RELAY, index));
            match read {
                Ok(Some(len)) => {
                    self.count_received(len);
                    let bytes = frame.get(..len).unwrap_or_default();
                    if let Some((path, local, data)) = self.unwrap(index, bytes, now) {
                        let packet = bytes.get(data).unwrap_or_default();
                        self.on_single(&mut slot, packet, path, local, now);
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    self.on_relay_failed(index, &error, now);
                    return;
                }
            }
        }
    }

    /// What a server sent: whose packet it carries, to which address of ours, and where it lies.
    fn unwrap(
        &mut self,
        index: usize,
        bytes: &[u8],
        now: Instant,
    ) -> Option<(Path, SocketAddr, std::ops::Range<usize>)> {
        let client = &mut self.egress.relays.get_mut(index)?.client;
        let (remote, data) = client.handle_input(bytes, now)?;
        let local = client.allocation()?.relayed;
        Some((Path { link: Link::Relay(index), remote }, local, data))
    }

    fn count_received(&mut self, len: usize) {
        self.received.datagrams += 1;
        self.received.bytes += u64::try_from(len).unwrap_or(0);
    }

    /// The relay whose socket is bound to this address.
    #[cfg(test)]
    pub(super) fn relay_at(&self, local: SocketAddr) -> Option<usize> {
        let is = |u: &Upstream| match u.connection {
            Connection::Udp(socket) => self.sockets.get(socket).is_some_and(|s| s.local() == local),
            _ => false,
        };
        self.upstreams.iter().find(|(_, u)| is(u)).map(|(index, _)| index)
    }
}

impl Upstream {
    /// There is somewhere to try.
    fn can_try(&self) -> bool {
        self.retired.is_none() && (self.elsewhere.is_some() || !self.addresses.is_empty())
    }

    /// Takes a frame for the server's stream.
    pub(super) fn queue(&mut self, frame: &[u8]) {
        if let Connection::Stream(stream) = &mut self.connection {
            stream.queue(frame);
        }
    }

    pub(super) fn pump(&mut self, epoll: &crate::socket::Epoll, token: u64) {
        if let Connection::Stream(stream) = &mut self.connection {
            stream.pump(epoll, token);
        }
    }
}
