//! A worker: one thread, its sockets, its timers, its peers. Everything that happens to a peer happens here.
//!
//! Loop: wait, take a batch of datagrams, find out whose they are, open them in place, walk the sinks of each
//! source, seal into one arena, send the arena. Nothing waits, locks, or allocates per packet; nobody else's
//! thread touches a peer.

use crate::addresses::{Advertised, candidates};
use crate::clock::Clock;
use crate::dtls::DtlsConfig;
use crate::egress::{Egress, Link, Path, SendCounters, Sockets};
use crate::ice;
use crate::mdns::Resolver;
use crate::peer::{Peer, PeerCx, Ready};
use crate::random::{self, Random};
use crate::reflexive::Reflexive;
use crate::settings::Settings;
use crate::socket::{Epoll, ReceiveBatch, SLOT, UdpSocket, Waker};
use crate::tcp::{Connections, Listener};
use crate::wheel::Wheel;
use portunus_plugin::HandleId;
use portunus_plugin::media::{MediaCommand, MediaEvent, Negotiation};
use portunus_rtp::packet::Demux;
use portunus_sdp::{Candidate, CandidateAddress, LocalTransport};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

/// Batches taken from one socket before the others and the timers have their turn.
const BATCHES_PER_TURN: usize = 4;
/// Events that wait because the control task has no room. Beyond it, those that can be missed are dropped.
const MAX_WAITING_EVENTS: usize = 65_536;
/// A port per peer gathers reflexive addresses for so long at most.
const GATHER: Duration = Duration::from_millis(500);
/// How often a worker looks at its own housekeeping.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// Addresses remembered that belong to peers of other workers (single port).
const MAX_FOREIGN: usize = 65_536;
/// Tries to find a free port in the range for one peer.
const PORT_TRIES: u32 = 64;

/// Takes events on the worker's thread; gives them back when full.
pub(crate) type EventSink = Box<dyn Fn(HandleId, MediaEvent) -> Result<(), (HandleId, MediaEvent)> + Send>;

/// What other threads tell a worker.
pub(crate) enum WorkerMessage {
    /// From the control task.
    Command(MediaCommand),
    /// Datagrams for one of our peers that came in at another worker's socket.
    Datagrams(Vec<Foreign>),
    /// The addresses of the STUN server.
    StunServer(Vec<SocketAddr>),
    /// A `.local` candidate of this handle was resolved.
    Resolved(HandleId, Box<Candidate>),
    /// Close all peers and end.
    Stop,
}

/// A datagram handed over by another worker.
pub(crate) struct Foreign {
    local: SocketAddr,
    remote: SocketAddr,
    bytes: Box<[u8]>,
}

/// What a worker is made of.
pub(crate) struct Start {
    pub(crate) index: usize,
    pub(crate) settings: Arc<Settings>,
    pub(crate) dtls: Arc<DtlsConfig>,
    pub(crate) sockets: Vec<UdpSocket>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) inbox: Receiver<WorkerMessage>,
    pub(crate) waker: Arc<Waker>,
    pub(crate) others: Vec<(SyncSender<WorkerMessage>, Arc<Waker>)>,
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) sdp_address: IpAddr,
    pub(crate) events: EventSink,
}

/// See the module.
pub(crate) struct Worker {
    index: usize,
    settings: Arc<Settings>,
    dtls: Arc<DtlsConfig>,
    inbox: Receiver<WorkerMessage>,
    waker: Arc<Waker>,
    others: Vec<(SyncSender<WorkerMessage>, Arc<Waker>)>,
    ips: Vec<IpAddr>,
    sdp_address: IpAddr,
    events: EventSink,
    waiting_events: VecDeque<(HandleId, MediaEvent)>,

    epoll: Epoll,
    sockets: Sockets,
    listeners: Vec<Listener>,
    connections: Connections,
    reflexive: HashMap<usize, Reflexive>,
    stun_servers: Vec<SocketAddr>,
    resolver: Option<Resolver>,
    gathering: Vec<Gathering>,
    random: Random,

    peers: slab::Slab<Box<Peer>>,
    by_handle: HashMap<HandleId, usize>,
    by_ufrag: HashMap<String, usize>,
    by_path: HashMap<Path, usize>,
    foreign: HashMap<SocketAddr, usize>,
    handed_over: Vec<Vec<Foreign>>,

    batch: Option<Box<ReceiveBatch>>,
    ready: Vec<Ready>,
    due: Vec<usize>,
    wheel: Wheel,
    clock: Clock,
    egress: Egress,
    sent: SendCounters,
    pub(crate) dropped: Dropped,
    stopping: bool,
}

/// Datagrams that were dropped, by reason.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Dropped {
    pub(crate) too_long: u64,
    pub(crate) unknown_kind: u64,
    pub(crate) stranger: u64,
    pub(crate) unauthenticated_stun: u64,
    pub(crate) panics: u64,
    pub(crate) events: u64,
}

/// A peer with a port of its own that waits for its reflexive addresses.
struct Gathering {
    peer: usize,
    exchange: u64,
    until: Instant,
}

const WAKE: u64 = 0;
const UDP: u64 = 1 << 32;
const LISTEN: u64 = 2 << 32;
const TCP: u64 = 3 << 32;
const KIND: u64 = 0xffff_ffff_0000_0000;

impl Worker {
    pub(crate) fn new(start: Start) -> io::Result<Self> {
        let now = Instant::now();
        let epoll = Epoll::new()?;
        epoll.add(start.waker.fd(), WAKE, false)?;
        let mut sockets = Sockets::default();
        let mut reflexive = HashMap::new();
        for socket in start.sockets {
            let fd = socket.fd();
            let i = sockets.insert(socket);
            epoll.add(fd, token(UDP, i), false)?;
            reflexive.insert(i, Reflexive::new(now));
        }
        for (i, listener) in start.listeners.iter().enumerate() {
            epoll.add(listener.fd(), token(LISTEN, i), false)?;
        }
        let others = start.others.len();
        Ok(Self {
            index: start.index,
            settings: start.settings,
            dtls: start.dtls,
            inbox: start.inbox,
            waker: start.waker,
            others: start.others,
            ips: start.ips,
            sdp_address: start.sdp_address,
            events: start.events,
            waiting_events: VecDeque::new(),
            epoll,
            sockets,
            listeners: start.listeners,
            connections: Connections::default(),
            reflexive,
            stun_servers: Vec::new(),
            resolver: None,
            gathering: Vec::new(),
            random: Random::new(),
            peers: slab::Slab::new(),
            by_handle: HashMap::new(),
            by_ufrag: HashMap::new(),
            by_path: HashMap::new(),
            foreign: HashMap::new(),
            handed_over: (0..others).map(|_| Vec::new()).collect(),
            batch: Some(Box::new(ReceiveBatch::new())),
            ready: Vec::with_capacity(256),
            due: Vec::new(),
            wheel: Wheel::new(now),
            clock: Clock::new(now),
            egress: Egress::new(),
            sent: SendCounters::default(),
            dropped: Dropped::default(),
            stopping: false,
        })
    }

    /// Works until told to stop.
    pub(crate) fn run(mut self) {
        let mut ready = Vec::with_capacity(64);
        let mut housekeeping = Instant::now();
        while !self.stopping {
            let sleep = self.sleep(Instant::now(), housekeeping);
            if let Err(error) = self.epoll.wait(sleep, &mut ready) {
                tracing::error!(%error, "cannot wait for the network");
                std::thread::sleep(Duration::from_millis(10));
            }
            let now = Instant::now();
            for token in ready.iter().copied() {
                self.on_token(token, now);
            }
            self.on_timers(now);
            if now >= housekeeping {
                housekeeping = now + HOUSEKEEPING;
                self.keep_house(now);
            }
            self.flush();
            self.hand_over();
            self.flush_events();
        }
        self.close_all(Instant::now());
    }

    fn sleep(&self, now: Instant, housekeeping: Instant) -> Duration {
        let mut sleep = self.wheel.sleep(now).min(housekeeping.saturating_duration_since(now));
        if !self.waiting_events.is_empty() {
            sleep = sleep.min(Duration::from_millis(5));
        }
        if let Some(g) = self.gathering.iter().map(|g| g.until).min() {
            sleep = sleep.min(g.saturating_duration_since(now));
        }
        sleep
    }

    fn on_token(&mut self, token: u64, now: Instant) {
        let index = usize::try_from(token & !KIND).unwrap_or(usize::MAX);
        match token & KIND {
            UDP => self.on_readable(index, now),
            LISTEN => {
                if let Some(listener) = self.listeners.get(index) {
                    self.connections.accept(listener, &self.epoll, |i| self::token(TCP, i), now);
                }
            }
            TCP => self.on_connection(index, now),
            _ => {
                self.waker.reset();
                self.take_messages(now);
            }
        }
    }

    // === simulations ===

    /// One datagram, and everything that follows from it; what becomes ready for sinks is shown first.
    #[cfg(test)]
    pub(crate) fn simulate(
        &mut self,
        bytes: &[u8],
        from: SocketAddr,
        local: SocketAddr,
        now: Instant,
        mut show: impl FnMut(&Ready, &[u8]),
    ) {
        let Some(socket) = self.sockets.iter().find(|(_, s)| s.local() == local).map(|(i, _)| i) else {
            return;
        };
        let mut slot = Box::new([0_u8; SLOT]);
        slot[..bytes.len()].copy_from_slice(bytes);
        let path = Path { link: Link::Udp(socket), remote: from };
        self.on_datagram(&mut slot[..bytes.len()], 0, path, local, now);
        for r in &self.ready {
            show(r, &slot[..r.len]);
        }
        self.forward_from(&|_| Some(&*slot), now);
    }

    /// A packet of a source that has no network: peer `handle` is never connected, but its sinks are.
    #[cfg(test)]
    pub(crate) fn feed(&mut self, handle: HandleId, packet: &[u8], now: Instant) {
        let mut slot = Box::new([0_u8; SLOT]);
        slot[..packet.len()].copy_from_slice(packet);
        let key = self.by_handle[&handle];
        self.with_peer(key, now, |peer, cx| peer.feed_rtp(cx, key, packet, now));
        self.forward_from(&|_| Some(&*slot), now);
    }

    #[cfg(test)]
    pub(crate) fn simulate_timers(&mut self, now: Instant) {
        self.on_timers(now);
    }

    #[cfg(test)]
    pub(crate) fn simulate_command(&mut self, command: MediaCommand, now: Instant) {
        self.on_command(command, now);
    }

    #[cfg(test)]
    pub(crate) fn take_events(&mut self) -> Vec<(HandleId, MediaEvent)> {
        self.waiting_events.drain(..).collect()
    }

    /// What would be sent now: from which socket, where, and the bytes.
    #[cfg(test)]
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

    #[cfg(test)]
    pub(crate) fn on_peer(
        &mut self,
        handle: HandleId,
        now: Instant,
        call: impl FnOnce(&mut Peer, &mut PeerCx<'_>),
    ) {
        self.with_handle(handle, now, call);
    }

    // === benchmarks ===

    /// A peer that is up already, with this m-line, reached over `path`.
    #[cfg(feature = "bench")]
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
    #[cfg(feature = "bench")]
    pub(crate) fn bench_batch(
        &mut self,
        slots: &mut [Box<[u8; SLOT]>],
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
        self.forward_from(&|i| slots.get(i).map(|s| &**s), now);
        if send {
            self.flush();
            return self.sent.packets - before;
        }
        let mut n = 0;
        self.egress.drain(|_, _| n += 1);
        n
    }

    /// Carries out a command.
    #[cfg(feature = "bench")]
    pub(crate) fn bench_command(&mut self, command: MediaCommand, now: Instant) {
        self.on_command(command, now);
    }

    // === datagrams ===

    fn on_readable(&mut self, socket: usize, now: Instant) {
        let Some(mut batch) = self.batch.take() else { return };
        for _ in 0..BATCHES_PER_TURN {
            let Some(s) = self.sockets.get(socket) else { break };
            let local = s.local();
            let n = match batch.receive(s) {
                Ok(n) => n,
                Err(error) => {
                    tracing::warn!(%local, %error, "cannot receive");
                    break;
                }
            };
            for i in 0..n {
                match batch.datagram(i) {
                    Some((bytes, remote)) => {
                        let path = Path { link: Link::Udp(socket), remote };
                        self.on_datagram(bytes, i, path, local, now);
                    }
                    None => self.dropped.too_long += 1,
                }
            }
            self.forward(&batch, now);
            if n < crate::socket::RECEIVE_BATCH {
                break;
            }
        }
        self.batch = Some(batch);
    }

    /// One datagram: STUN decides whose a path is; everything else must come over a path that STUN proved.
    fn on_datagram(&mut self, bytes: &mut [u8], slot: usize, path: Path, local: SocketAddr, now: Instant) {
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
            Demux::Dtls => peer.handle_dtls(cx, bytes, now),
            Demux::Rtcp => peer.handle_rtcp(cx, bytes, now),
            _ => peer.handle_rtp(cx, key, bytes, slot, now),
        });
    }

    fn on_stun(&mut self, bytes: &[u8], path: Path, local: SocketAddr, now: Instant) {
        if let Link::Udp(socket) = path.link
            && let Some(r) = self.reflexive.get_mut(&socket)
            && self.stun_servers.contains(&path.remote)
            && r.handle_response(now, bytes)
        {
            return;
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
                if let Some(new) = heard.new_path {
                    self.by_path.insert(new, key);
                }
            }
            None => self.dropped.unauthenticated_stun += 1,
        }
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
        if self.foreign.len() >= MAX_FOREIGN {
            self.foreign.clear();
        }
        self.foreign.insert(remote, worker);
        if let Some(list) = self.handed_over.get_mut(worker) {
            list.push(Foreign { local, remote, bytes: bytes.into() });
        }
    }

    fn give_to_other(&mut self, bytes: &[u8], remote: SocketAddr, local: SocketAddr) -> bool {
        let Some(worker) = self.foreign.get(&remote).copied() else { return false };
        if let Some(list) = self.handed_over.get_mut(worker) {
            list.push(Foreign { local, remote, bytes: bytes.into() });
        }
        true
    }

    fn hand_over(&mut self) {
        for (list, (inbox, waker)) in self.handed_over.iter_mut().zip(&self.others) {
            if !list.is_empty() && inbox.try_send(WorkerMessage::Datagrams(std::mem::take(list))).is_ok() {
                waker.wake();
            }
        }
    }

    fn on_foreign(&mut self, datagrams: Vec<Foreign>, now: Instant) {
        let mut slot = Box::new([0_u8; SLOT]);
        for foreign in datagrams {
            let Some(socket) = self.sockets.iter().find(|(_, s)| s.local() == foreign.local).map(|(i, _)| i)
            else {
                continue;
            };
            let path = Path { link: Link::Udp(socket), remote: foreign.remote };
            self.on_single(&mut slot, &foreign.bytes, path, foreign.local, now);
        }
    }

    /// A datagram that did not come in a batch.
    fn on_single(
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
            self.forward_from(&|_| Some(&*slot), now);
        }
    }

    // === TCP ===

    fn on_connection(&mut self, index: usize, now: Instant) {
        self.connections.drain(index, &self.epoll, token(TCP, index));
        let mut slot = Box::new([0_u8; SLOT]);
        let mut datagram = [0_u8; SLOT];
        loop {
            let Some((local, remote)) = self.connections.get(index).map(|c| (c.local, c.remote)) else {
                return;
            };
            match self.connections.read(index, &mut datagram) {
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

    fn close_connection(&mut self, index: usize) {
        self.connections.close(index, &self.epoll);
        self.by_path.retain(|path, _| path.link != Link::Tcp(index));
        for (_, peer) in &mut self.peers {
            peer.forget_link(Link::Tcp(index));
        }
    }

    // === packets on their way ===

    fn forward(&mut self, batch: &ReceiveBatch, now: Instant) {
        if !self.ready.is_empty() {
            self.forward_from(&|i| batch.slot(i), now);
        }
    }

    /// Sends the packets that became ready to their sinks: for each source its packets in order, for each sink
    /// all of them together.
    fn forward_from<'a>(&mut self, slot: &dyn Fn(usize) -> Option<&'a [u8; SLOT]>, now: Instant) {
        let mut ready = std::mem::take(&mut self.ready);
        ready.sort_by_key(|r| (r.peer, r.line, r.source));
        for group in ready.chunk_by(|a, b| (a.peer, a.line, a.source) == (b.peer, b.line, b.source)) {
            let Some(first) = group.first() else { continue };
            let structure = self.peers.get(first.peer).and_then(|p| p.structure(first.line, first.source));
            let mut n = 0;
            while let Some((sink, line)) =
                self.peers.get(first.peer).and_then(|p| p.subscriber(first.line, n))
            {
                n += 1;
                self.with_peer(sink, now, |peer, cx| {
                    for packet in group {
                        if let Some(bytes) = slot(packet.slot).and_then(|s| s.get(..packet.len)) {
                            peer.send_rtp(cx, line, packet, structure.as_deref(), bytes, now);
                        }
                    }
                });
                if self.egress.is_full() {
                    self.flush();
                }
            }
        }
        ready.clear();
        self.ready = ready;
    }

    fn flush(&mut self) {
        if self.egress.is_empty() {
            return;
        }
        let (connections, epoll) = (&mut self.connections, &self.epoll);
        self.egress.flush(&mut self.sockets, &mut self.sent, |connection, bytes| {
            connections.write(connection, bytes, epoll, token(TCP, connection));
        });
    }

    // === timers ===

    fn on_timers(&mut self, now: Instant) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.advance(now, &mut due);
        for key in due.drain(..) {
            if self.peers.get(key).is_some_and(|p| p.is_due(now)) {
                self.with_peer(key, now, |peer, cx| peer.handle_timeout(cx, now));
            } else if let Some(at) = self.peers.get(key).map(|p| p.wakes_at(now)) {
                self.wheel.schedule(key, at);
            }
        }
        self.due = due;
        self.ask_stun_server(now);
        self.end_gathering(now);
    }

    fn keep_house(&mut self, now: Instant) {
        while let Some(index) = self.connections.overdue(now) {
            self.close_connection(index);
        }
        if let Some(at) = self.reflexive.values().map(Reflexive::next).min()
            && !self.stun_servers.is_empty()
        {
            tracing::trace!(in_ms = at.saturating_duration_since(now).as_millis(), "next reflexive look-up");
        }
    }

    fn ask_stun_server(&mut self, now: Instant) {
        if self.stun_servers.is_empty() {
            return;
        }
        for (index, r) in &mut self.reflexive {
            let Some(socket) = self.sockets.get(*index) else { continue };
            let local = socket.local();
            let same_family = |s: &&SocketAddr| s.is_ipv4() == local.is_ipv4();
            let Some(server) = self.stun_servers.iter().find(same_family).copied() else { continue };
            if local.ip().is_loopback() != server.ip().is_loopback() {
                continue;
            }
            if now >= r.next()
                && let Some(request) = r.poll_request(now, self.random.array())
            {
                self.egress.push(&request, Path { link: Link::Udp(*index), remote: server });
            }
        }
    }

    // === peers ===

    /// Calls a peer and does what it asked for. A panic ends that peer only.
    fn with_peer(&mut self, key: usize, now: Instant, call: impl FnOnce(&mut Peer, &mut PeerCx<'_>)) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let handle = peer.handle();
        let mut cx = PeerCx {
            settings: &self.settings,
            clock: &self.clock,
            egress: &mut self.egress,
            ready: &mut self.ready,
            events: &mut self.waiting_events,
            random: &mut self.random,
            connections: &self.connections,
            sockets: &self.sockets,
        };
        let done = catch_unwind(AssertUnwindSafe(|| call(peer, &mut cx)));
        if done.is_err() {
            self.dropped.panics += 1;
            tracing::error!(handle = %handle, "a panic inside one peer: closing it");
            self.remove(key, Some("Internal error".to_owned()), now, false);
            return;
        }
        self.after_call(key, now);
    }

    /// What every call of a peer may have left to do.
    fn after_call(&mut self, key: usize, now: Instant) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        if let Some(reason) = peer.closing() {
            self.remove(key, Some(reason), now, true);
            return;
        }
        let resends = peer.take_resends();
        if !resends.is_empty() {
            self.resend(key, &resends, now);
        }
        let Some(peer) = self.peers.get_mut(key) else { return };
        if peer.take_stirred() {
            let at = peer.next_timeout(&self.clock, now);
            if peer.reschedule(at) {
                self.wheel.schedule(key, at);
            }
        }
        let Some(peer) = self.peers.get_mut(key) else { return };
        for (source, line, substream) in peer.take_wanted_keyframes() {
            self.with_peer(source, now, |peer, cx| peer.request_keyframe(cx, line, substream, now));
        }
    }

    /// Answers NACKs: the packets lie with the source, the rewrite values with the sink.
    fn resend(&mut self, key: usize, resends: &[crate::peer::Resend], now: Instant) {
        let now_us = self.clock.micros(now);
        let abs = portunus_rtp::extension::abs_send_time(now_us);
        for resend in resends {
            if self.egress.is_full() {
                self.flush();
            }
            if resend.source == key {
                let Some(peer) = self.peers.get_mut(key) else { return };
                peer.resend_own(&mut self.egress, resend, abs, now_us);
            } else if let Some((sink, source)) = self.peers.get2_mut(key, resend.source) {
                sink.resend(&mut self.egress, resend, source, abs, now_us);
            }
        }
    }

    fn remove(&mut self, key: usize, reason: Option<String>, now: Instant, tell_peer: bool) {
        let Some(mut peer) = self.peers.try_remove(key) else { return };
        let handle = peer.handle();
        if tell_peer {
            let _ = catch_unwind(AssertUnwindSafe(|| peer.close(&mut self.egress, now)));
        }
        self.by_handle.remove(&handle);
        self.by_ufrag.retain(|_, k| *k != key);
        self.by_path.retain(|_, k| *k != key);
        self.gathering.retain(|g| g.peer != key);
        for (_, other) in &mut self.peers {
            other.forget_peer(key);
        }
        if !peer.own_sockets().is_empty() {
            self.flush();
        }
        for socket in peer.own_sockets() {
            if let Some(s) = self.sockets.get(*socket) {
                self.epoll.remove(s.fd());
            }
            self.reflexive.remove(socket);
            self.sockets.remove(*socket);
        }
        if let Some(reason) = reason {
            self.waiting_events.push_back((handle, MediaEvent::Hangup { reason }));
        }
    }

    fn close_all(&mut self, now: Instant) {
        let keys: Vec<usize> = self.peers.iter().map(|(k, _)| k).collect();
        for key in keys {
            self.remove(key, None, now, true);
        }
        self.flush();
    }

    // === commands ===

    fn take_messages(&mut self, now: Instant) {
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                WorkerMessage::Command(command) => self.on_command(command, now),
                WorkerMessage::Datagrams(datagrams) => self.on_foreign(datagrams, now),
                WorkerMessage::StunServer(addresses) => self.stun_servers = addresses,
                WorkerMessage::Resolved(handle, candidate) => {
                    self.on_candidate(handle, Some(*candidate), now)
                }
                WorkerMessage::Stop => self.stopping = true,
            }
        }
    }

    fn on_command(&mut self, command: MediaCommand, now: Instant) {
        match command {
            MediaCommand::Negotiate(n) => self.on_negotiate(*n, now),
            MediaCommand::Candidate { handle, candidate } => self.on_candidate(handle, candidate, now),
            MediaCommand::Route { source, sink } => {
                let from = self.find_line(source.handle, &source.mid);
                let to = self.find_line(sink.handle, &sink.mid);
                match (from, to) {
                    (Some(from), Some(to)) => self.route(from, to, now),
                    _ => {
                        tracing::warn!(source = %source.handle, sink = %sink.handle, "route to a medium that is not there")
                    }
                }
            }
            MediaCommand::Unroute { sink } => {
                if let Some(to) = self.find_line(sink.handle, &sink.mid) {
                    self.unroute(to);
                }
            }
            MediaCommand::Select { sink, target } => {
                if let Some((key, line)) = self.find_line(sink.handle, &sink.mid) {
                    self.with_peer(key, now, |peer, cx| peer.select(cx, line, target));
                }
            }
            MediaCommand::Keyframe { source } => {
                if let Some((key, line)) = self.find_line(source.handle, &source.mid) {
                    self.with_peer(key, now, |peer, cx| peer.request_keyframe(cx, line, None, now));
                }
            }
            MediaCommand::Cap { handle, bitrate } => {
                self.with_handle(handle, now, |peer, cx| peer.cap(cx, bitrate));
            }
            MediaCommand::PlayoutDelay { sink, delay } => {
                if let Some((key, line)) = self.find_line(sink.handle, &sink.mid) {
                    self.with_peer(key, now, |peer, _| peer.set_playout_delay(line, delay));
                }
            }
            MediaCommand::Data { handle, message } => {
                self.with_handle(handle, now, |peer, cx| peer.send_data(cx, &message, now));
            }
            MediaCommand::Hangup { handle, reason } => {
                if let Some(key) = self.by_handle.get(&handle).copied() {
                    self.remove(key, Some(reason), now, true);
                }
            }
            MediaCommand::Forget { handle } => {
                if let Some(key) = self.by_handle.get(&handle).copied() {
                    self.remove(key, None, now, true);
                }
            }
        }
    }

    fn with_handle(&mut self, handle: HandleId, now: Instant, call: impl FnOnce(&mut Peer, &mut PeerCx<'_>)) {
        if let Some(key) = self.by_handle.get(&handle).copied() {
            self.with_peer(key, now, call);
        }
    }

    fn find_line(&self, handle: HandleId, mid: &str) -> Option<(usize, usize)> {
        let key = self.by_handle.get(&handle).copied()?;
        Some((key, self.peers.get(key)?.find_line(mid)?))
    }

    fn route(&mut self, from: (usize, usize), to: (usize, usize), now: Instant) {
        self.unroute(to);
        if let Some(source) = self.peers.get_mut(from.0) {
            source.add_subscriber(from.1, to);
        }
        let layout = self.peers.get(from.0).and_then(|p| p.source_layout(from.1));
        self.with_peer(to.0, now, |peer, _| peer.set_source(to.1, from, layout));
        self.with_peer(from.0, now, |peer, cx| peer.request_keyframe(cx, from.1, None, now));
    }

    fn unroute(&mut self, to: (usize, usize)) {
        let from = self.peers.get_mut(to.0).and_then(|p| p.clear_source(to.1));
        if let Some((key, line)) = from
            && let Some(source) = self.peers.get_mut(key)
        {
            source.remove_subscriber(line, to);
        }
    }

    fn on_candidate(&mut self, handle: HandleId, candidate: Option<Candidate>, now: Instant) {
        if let Some(c) = &candidate
            && matches!(c.address, CandidateAddress::Mdns(_))
        {
            if !self.settings.ignore_mdns {
                self.resolve(handle, c.clone());
            }
            return;
        }
        self.with_handle(handle, now, |peer, cx| peer.add_candidate(cx, candidate.as_ref(), now));
    }

    fn resolve(&mut self, handle: HandleId, candidate: Candidate) {
        let Some((inbox, waker)) = self.others.get(self.index).cloned() else { return };
        let resolver = self.resolver.get_or_insert_with(|| {
            Resolver::start(move |handle, candidate| {
                if inbox.try_send(WorkerMessage::Resolved(handle, Box::new(candidate))).is_ok() {
                    waker.wake();
                }
            })
        });
        resolver.resolve(handle, candidate);
    }

    fn on_negotiate(&mut self, negotiation: Negotiation, now: Instant) {
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

    fn end_gathering(&mut self, now: Instant) {
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

    // === events ===

    fn flush_events(&mut self) {
        while let Some((handle, event)) = self.waiting_events.pop_front() {
            if let Err(back) = (self.events)(handle, event) {
                self.waiting_events.push_front(back);
                break;
            }
        }
        if self.waiting_events.len() > MAX_WAITING_EVENTS {
            let before = self.waiting_events.len();
            self.waiting_events.retain(|(_, e)| !can_be_missed(e));
            self.dropped.events += u64::try_from(before - self.waiting_events.len()).unwrap_or(0);
        }
    }
}

/// Events that a client can do without when the control task is hopelessly behind.
const fn can_be_missed(event: &MediaEvent) -> bool {
    matches!(
        event,
        MediaEvent::Receiving { .. }
            | MediaEvent::SlowLink { .. }
            | MediaEvent::Layer { .. }
            | MediaEvent::PeerBitrate(_)
            | MediaEvent::Data(_)
    )
}

const fn token(kind: u64, index: usize) -> u64 {
    kind | (index as u64 & !KIND)
}

/// The worker whose peer has this user name fragment: its first two characters.
fn worker_of(ufrag: &str) -> Option<usize> {
    usize::from_str_radix(ufrag.get(..2)?, 36).ok()
}
