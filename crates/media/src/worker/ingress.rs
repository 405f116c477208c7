//! Datagrams: whose they are, what they are, and where the packets among them go.

use super::intake::TURN;
use super::{BATCHES_PER_TURN, Foreign, MAX_FOREIGN, RELAY, TCP, Worker, WorkerMessage, token, worker_of};
use crate::egress::{Link, Path};
use crate::ice;
use crate::peer::{Feeder, Ready, Shed, equalise};
use crate::reflexive::asked_by;
use crate::socket::{ReceiveBatch, SLOT};
use portunus_rtp::codec::dependency::DependencyStructure;
use portunus_rtp::packet::Demux;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// To fall asleep and wake up again costs more than a shorter wait is worth.
const SHORTEST_DOZE: Duration = Duration::from_micros(80);

/// Reads of a TCP connection at a time, of 4 KB each.
const READS_PER_TURN: usize = 16;

impl Worker {
    // === datagrams ===

    /// A socket has something; `alone` if no other one has.
    pub(super) fn on_readable(&mut self, socket: usize, alone: bool) {
        let Some(mut batch) = self.batch.take() else { return };
        let begun = Instant::now();
        let mut now = begun;
        for _ in 0..BATCHES_PER_TURN {
            let most = self.intake.most();
            let Some(mut n) = self.take(&mut batch, socket, 0, most, now) else { break };
            let dozed = self.dozed;
            if alone && n < most {
                n += self.gather(&mut batch, socket, n, most);
            }
            let dozed = self.dozed.saturating_sub(dozed);
            self.forward(&batch, now + dozed);
            let ended = Instant::now();
            let spent = ended.saturating_duration_since(now).saturating_sub(dozed);
            self.intake.took(socket, (n, most), spent, ended);
            if n < most || ended.saturating_duration_since(begun) > TURN {
                break;
            }
            now = ended;
        }
        self.batch = Some(batch);
    }

    /// Takes datagrams beside the first `kept` of a batch, until there are `most`; returns how many.
    fn take(
        &mut self,
        batch: &mut ReceiveBatch,
        socket: usize,
        kept: usize,
        most: usize,
        now: Instant,
    ) -> Option<usize> {
        let s = self.sockets.get(socket)?;
        let local = s.local();
        let n = match batch.receive_more(s, kept, most.saturating_sub(kept)) {
            Ok(n) => n,
            Err(error) => {
                tracing::warn!(%local, %error, "cannot receive");
                return None;
            }
        };
        self.intake.waited(batch.waited());
        self.received.datagrams += u64::try_from(n).unwrap_or(0);
        for i in kept..kept + n {
            match batch.datagram(i) {
                Some((bytes, remote)) => {
                    self.received.bytes += u64::try_from(bytes.len()).unwrap_or(0);
                    let path = Path { link: Link::Udp(socket), remote };
                    self.on_datagram(bytes, i, path, local, now);
                }
                None => self.dropped.too_long += 1,
            }
        }
        Some(n)
    }

    /// Waits for the rest of a frame that comes at once (decision 012): asleep, but for no longer than `gather` allows.
    fn gather(&mut self, batch: &mut ReceiveBatch, socket: usize, mut kept: usize, most: usize) -> usize {
        let before = kept;
        let begun = Instant::now();
        let mut now = begun;
        while kept < most
            && let Some(wait) = self.rest_of_frame(begun, now)
        {
            std::thread::sleep(wait);
            let woken = Instant::now();
            self.dozed += woken.saturating_duration_since(now);
            now = woken;
            let Some(n) = self.take(batch, socket, kept, most, now) else { break };
            kept += n;
        }
        kept - before
    }

    /// How long to wait now for the rest of a frame, having begun to at that time.
    fn rest_of_frame(&self, begun: Instant, now: Instant) -> Option<Duration> {
        let most = self.settings.gather;
        let left = most.checked_sub(now.saturating_duration_since(begun)).filter(|left| !left.is_zero())?;
        let most_us = u32::try_from(most.as_micros()).unwrap_or(u32::MAX);
        let complete = |r: &Ready| self.peers.get(r.peer)?.frame_complete_at(r.line, r.source, most_us);
        let at_us = self.ready.iter().filter_map(complete).max()?;
        let wait = Duration::from_micros(at_us.saturating_sub(self.clock.micros(now)));
        Some(wait.max(SHORTEST_DOZE).min(left))
    }

    /// One datagram: STUN decides whose a path is; everything else must come over a path that STUN proved.
    pub(super) fn on_datagram(
        &mut self,
        bytes: &mut [u8],
        slot: usize,
        path: Path,
        local: SocketAddr,
        now: Instant,
    ) {
        let kind = Demux::classify(bytes);
        if kind == Demux::Stun {
            self.on_stun(bytes, path, local, now);
            return;
        }
        if kind == Demux::Other {
            self.dropped.unknown_kind += 1;
            return;
        }
        let Some(key) = self.by_path.get(&path).copied() else {
            if !self.give_to_other(bytes, path.remote, local) {
                self.dropped.stranger += 1;
            }
            return;
        };
        self.with_peer(key, now, |peer, cx| match kind {
            Demux::Dtls => peer.handle_dtls(cx, bytes, path, now),
            Demux::Rtcp => peer.handle_rtcp(cx, bytes, now),
            _ => peer.handle_rtp(cx, key, bytes, slot, now),
        });
    }

    fn on_stun(&mut self, bytes: &[u8], path: Path, local: SocketAddr, now: Instant) {
        if let Link::Udp(socket) = path.link
            && self.stun_servers.contains(&path.remote)
            && let Some(worker) = asked_by(bytes)
        {
            if worker != self.index && self.settings.single_port {
                self.pass_to(worker, bytes, path.remote, local);
                return;
            }
            if self.reflexive.get_mut(&socket).is_some_and(|r| r.handle_response(now, bytes)) {
                return;
            }
        }
        let Some(message) = ice::parse(bytes) else {
            self.dropped.unauthenticated_stun += 1;
            return;
        };
        let key = if message.is_binding_request() {
            let ufrag = message.split_username().map_or("", |(ours, _)| ours);
            if let Some(worker) = worker_of(ufrag).filter(|w| *w != self.index && self.settings.single_port) {
                self.hand_to(worker, bytes, path.remote, local);
                return;
            }
            self.by_ufrag.get(ufrag).copied()
        } else {
            // A response names nobody: it belongs to whoever knows its transaction.
            self.by_path.get(&path).copied().or_else(|| self.asked(&message))
        };
        let Some(key) = key else {
            if !self.give_to_other(bytes, path.remote, local) {
                self.dropped.unauthenticated_stun += 1;
            }
            return;
        };
        let mut accepted = None;
        self.with_peer(key, now, |peer, cx| accepted = peer.handle_stun(cx, message, path, local, now));
        match accepted {
            Some(heard) => {
                if let Link::Tcp(connection) = path.link {
                    self.connections.prove(connection);
                }
                if let Some(seen) = heard.seen {
                    self.ways_out.keep(seen, now);
                }
                if let Some(remapped) = heard.remapped {
                    self.on_remapped(remapped.seen, now);
                }
                if let Some(old) = heard.forgotten
                    && self.by_path.get(&old) == Some(&key)
                {
                    self.by_path.remove(&old);
                }
                if let Some(new) = heard.new_path {
                    self.learn_path(new, key, now);
                }
            }
            None => self.dropped.unauthenticated_stun += 1,
        }
    }

    /// The address is this peer's from now on, unless another one is in touch with us from there: whoever forges
    /// its address could prove no more than credentials of his own.
    fn learn_path(&mut self, path: Path, key: usize, now: Instant) {
        let owner = self.by_path.get(&path).copied().filter(|owner| *owner != key);
        if owner.and_then(|o| self.peers.get(o)).is_some_and(|p| p.is_in_touch(path, now)) {
            self.dropped.taken_path += 1;
            return;
        }
        self.by_path.insert(path, key);
    }

    /// The peer that asked something of an address which has not proven anything yet.
    fn asked(&self, message: &is::stun::StunMessage<'_>) -> Option<usize> {
        if !message.is_successful_binding_response() && !message.is_failed_binding_response() {
            return None;
        }
        self.peers.iter().find(|(_, p)| p.is_checking() && p.accepts(message)).map(|(key, _)| key)
    }

    // === other workers (single port) ===

    fn hand_to(&mut self, worker: usize, bytes: &[u8], remote: SocketAddr, local: SocketAddr) {
        if self.taking_foreign {
            // Two workers could each think that it is the other's, and it would never end.
            self.dropped.unauthenticated_stun += 1;
            return;
        }
        if self.foreign.len() >= MAX_FOREIGN {
            self.foreign.clear();
        }
        self.foreign.insert(remote, worker);
        self.pass_to(worker, bytes, remote, local);
    }

    fn pass_to(&mut self, worker: usize, bytes: &[u8], remote: SocketAddr, local: SocketAddr) {
        if let Some(list) = self.handed_over.get_mut(worker) {
            list.push(Foreign { local, remote, bytes: bytes.into() });
        }
    }

    fn give_to_other(&mut self, bytes: &[u8], remote: SocketAddr, local: SocketAddr) -> bool {
        let Some(worker) = self.foreign.get(&remote).copied().filter(|_| !self.taking_foreign) else {
            return false;
        };
        self.pass_to(worker, bytes, remote, local);
        true
    }

    pub(super) fn hand_over(&mut self) {
        for (list, way) in self.handed_over.iter_mut().zip(&self.others) {
            if !list.is_empty() {
                let _ = way.try_send(WorkerMessage::Datagrams(std::mem::take(list)));
            }
        }
    }

    pub(super) fn on_foreign(&mut self, datagrams: Vec<Foreign>, now: Instant) {
        let mut slot = Box::new([0_u8; SLOT]);
        self.taking_foreign = true;
        for foreign in datagrams {
            let Some(socket) = self.sockets.iter().find(|(_, s)| s.local() == foreign.local).map(|(i, _)| i)
            else {
                continue;
            };
            let path = Path { link: Link::Udp(socket), remote: foreign.remote };
            self.on_single(&mut slot, &foreign.bytes, path, foreign.local, now);
        }
        self.taking_foreign = false;
    }

    /// A datagram that did not come in a batch.
    pub(super) fn on_single(
        &mut self,
        slot: &mut [u8; SLOT],
        bytes: &[u8],
        path: Path,
        local: SocketAddr,
        now: Instant,
    ) {
        let Some(room) = slot.get_mut(..bytes.len()) else { return };
        room.copy_from_slice(bytes);
        self.on_datagram(room, 0, path, local, now);
        if !self.ready.is_empty() {
            self.forward_from(&|_| Some(slot.as_slice()), now);
        }
    }

    // === TCP ===

    pub(super) fn on_connection(&mut self, index: usize, now: Instant) {
        self.connections.drain(index, &self.epoll, token(TCP, index));
        let mut slot = Box::new([0_u8; SLOT]);
        let mut datagram = [0_u8; SLOT];
        // One that sends without an end has its turn again after the others.
        let mut reads = READS_PER_TURN;
        loop {
            let Some((local, remote)) = self.connections.get(index).map(|c| (c.local, c.remote)) else {
                return;
            };
            match self.connections.read(index, &mut datagram, &mut reads) {
                Ok(Some(n)) => {
                    let bytes = datagram.get(..n).unwrap_or_default();
                    let path = Path { link: Link::Tcp(index), remote };
                    self.on_single(&mut slot, bytes, path, local, now);
                }
                Ok(None) => return,
                Err(_) => {
                    self.close_connection(index);
                    return;
                }
            }
        }
    }

    pub(super) fn close_connection(&mut self, index: usize) {
        self.connections.close(index, &self.epoll);
        self.by_path.retain(|path, _| path.link != Link::Tcp(index));
        for (_, peer) in &mut self.peers {
            peer.forget_link(Link::Tcp(index));
        }
    }

    // === packets on their way ===

    pub(super) fn forward(&mut self, batch: &ReceiveBatch, now: Instant) {
        if !self.ready.is_empty() {
            self.forward_from(&|i| batch.slot(i).map(<[u8; SLOT]>::as_slice), now);
        }
    }

    /// Sends the packets that became ready to their sinks: for each source its packets in order, for each sink
    /// all of them together. Other workers get theirs first: they work at the same time.
    pub(super) fn forward_from<'a>(&mut self, slot: &dyn Fn(usize) -> Option<&'a [u8]>, now: Instant) {
        let mut ready = std::mem::take(&mut self.ready);
        #[cfg(feature = "bench")]
        self.bench_show(&ready);
        ready.sort_by_key(|r| (r.peer, r.line, r.source));
        let same = |a: &Ready, b: &Ready| (a.peer, a.line, a.source) == (b.peer, b.line, b.source);
        let room = (ready.len(), ready.iter().map(|r| r.len).sum());
        let mut packed = false;
        for group in ready.chunk_by(same) {
            packed |= self.pack(group, slot, room);
        }
        if packed {
            self.send_parcels();
        }
        for group in ready.chunk_by_mut(same) {
            let Some(first) = group.first().copied() else { continue };
            let Some(peer) = self.peers.get(first.peer) else { continue };
            let (video, structure) = (peer.is_video(first.line), peer.structure(first.line, first.source));
            let source = (Feeder::Peer(first.peer), first.line);
            if peer.is_recorded(first.line) {
                self.put_on_tape(group, structure.as_deref(), slot, now);
            }
            self.send_out(group, structure.as_deref(), slot, now);
            self.fan_out(group, source, video, structure.as_deref(), slot, now);
        }
        ready.clear();
        self.ready = ready;
    }

    fn put_on_tape<'a>(
        &mut self,
        group: &[Ready],
        structure: Option<&DependencyStructure>,
        slot: &dyn Fn(usize) -> Option<&'a [u8]>,
        now: Instant,
    ) {
        let Some(first) = group.first() else { return };
        self.with_peer(first.peer, now, |peer, cx| {
            for packet in group {
                if let Some(bytes) = slot(packet.slot).and_then(|s| s.get(..packet.len)) {
                    peer.put_on_tape(cx, first.line, packet, structure, bytes, now);
                }
            }
        });
    }

    /// Sends the packets of one source to its sinks on this worker.
    pub(super) fn fan_out<'a>(
        &mut self,
        group: &mut [Ready],
        source: (Feeder, usize),
        video: bool,
        structure: Option<&DependencyStructure>,
        slot: &dyn Fn(usize) -> Option<&'a [u8]>,
        now: Instant,
    ) {
        if video {
            if self.settings.pad_frames {
                equalise(group);
            }
            let now_us = self.clock.micros(now);
            match source {
                (Feeder::Peer(key), line) => {
                    if let Some(peer) = self.peers.get_mut(key) {
                        peer.measure(line, group, now_us);
                    }
                }
                (Feeder::Mirror(key), _) => {
                    if let Some(mirror) = self.mirrors.get_mut(key) {
                        mirror.measure(group, now_us);
                    }
                }
            }
        }
        let group = &*group;
        let mut n = 0;
        let (all, number) = (self.count_subscribers(source), number_of(source));
        while let Some((sink, line)) = self.subscriber(source, n) {
            let shed = if video { self.overload.shed(n, all, number) } else { Shed::Nothing };
            n += 1;
            if !self.egress.has_room_for(group.len()) {
                self.flush();
            }
            self.with_peer(sink, now, |peer, cx| {
                for packet in group {
                    if let Some(bytes) = slot(packet.slot).and_then(|s| s.get(..packet.len)) {
                        peer.send_rtp(cx, line, (packet, shed), structure, bytes, now);
                    }
                }
            });
        }
    }

    pub(super) fn flush(&mut self) {
        if self.egress.is_empty() {
            return;
        }
        let (connections, upstreams, epoll) = (&mut self.connections, &mut self.upstreams, &self.epoll);
        self.egress.flush(&mut self.sockets, &mut self.sent, |link, bytes| match link {
            Link::Tcp(connection) => connections.write(connection, bytes, epoll, token(TCP, connection)),
            Link::Relay(index) => {
                if let Some(upstream) = upstreams.get_mut(index) {
                    upstream.queue(bytes);
                }
            }
            Link::Udp(_) => {}
        });
        for (index, upstream) in upstreams {
            upstream.pump(epoll, token(RELAY, index));
        }
    }
}

/// So that sources do not all lose at the same step.
fn number_of((Feeder::Peer(key) | Feeder::Mirror(key), line): (Feeder, usize)) -> usize {
    key + line
}
