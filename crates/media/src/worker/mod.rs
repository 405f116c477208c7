//! A worker: one thread, its sockets, its timers, its peers. Everything that happens to a peer happens here.
//!
//! Loop: wait, take a batch of datagrams, find out whose they are, open them in place, walk the sinks of each
//! source, seal into one arena, send the arena. Nothing waits, locks, or allocates per packet; nobody else's
//! thread touches a peer.

#[cfg(feature = "bench")]
mod benched;
mod commands;
mod forwards;
mod ingress;
mod intake;
mod mailbox;
mod negotiation;
mod overload;
mod relays;
mod routes;
#[cfg(test)]
mod simulated;
mod status;

#[cfg(feature = "bench")]
pub(crate) use benched::{Call, Sight};
pub(crate) use mailbox::Mailbox;

use crate::clock::Clock;
use crate::dtls::DtlsConfig;
use crate::egress::{Egress, Link, Path, SendCounters, Sockets};
use crate::mdns::Resolver;
use crate::mirror::{Mirror, MirrorMessage, Parcel};
use crate::peer::{Feeder, Peer, PeerCx, Ready, Resend};
use crate::random::Random;
use crate::reflexive::{Reflexive, WaysOut, server_for, transaction_of};
use crate::settings::{Settings, Tuning};
use crate::socket::{Epoll, ReceiveBatch, UdpSocket, Waker};
use crate::status::{Received, StatusCell};
use crate::tcp::{Connections, Listener};
use crate::turn::Found;
use crate::wheel::Wheel;
use forwards::Outgoing;
use intake::Intake;
use overload::Overload;
use portunus_bwe::Costs;
use portunus_plugin::HandleId;
use portunus_plugin::media::{MediaCommand, MediaEvent, RouteEnd};
use portunus_rtp::store::Resend as Entry;
use portunus_sdp::Candidate;
use relays::Upstream;
use status::Gone;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
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

/// Takes events on the worker's thread; gives them back when full.
pub(crate) type EventSink = Box<dyn Fn(HandleId, MediaEvent) -> Result<(), (HandleId, MediaEvent)> + Send>;

/// What other threads tell a worker.
#[derive(Debug)]
pub(crate) enum WorkerMessage {
    /// From the control task.
    Command(MediaCommand),
    /// From the control task: a route whose source is on another worker.
    RouteFrom { worker: usize, source: RouteEnd, sink: RouteEnd },
    /// From another worker, about a source that is mirrored.
    Mirror(MirrorMessage),
    /// Packets of another worker's sources.
    Parcel(Parcel),
    /// Datagrams for one of our peers that came in at another worker's socket.
    Datagrams(Vec<Foreign>),
    /// The addresses of the STUN server.
    StunServer(Vec<SocketAddr>),
    /// Another worker's peer sees our shared port at this address.
    SeenAt(SocketAddr),
    /// The TURN servers, and where their names led.
    TurnServers(Vec<Found>),
    /// A `.local` candidate of this handle was resolved.
    Resolved(HandleId, Box<Candidate>),
    /// Settings that were changed.
    Tune(Tuning),
    /// What new peers are shown from now on.
    Certificate(Arc<DtlsConfig>),
    /// From a benchmark.
    #[cfg(feature = "bench")]
    Bench(benched::Call),
    /// Close all peers and end.
    Stop,
}

/// A datagram handed over by another worker.
#[derive(Debug)]
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
    /// All workers, this one too.
    pub(crate) others: Vec<Mailbox>,
    /// What to bind to, with port 0.
    pub(crate) local: Vec<SocketAddr>,
    pub(crate) sdp_address: IpAddr,
    pub(crate) events: EventSink,
    pub(crate) status: StatusCell,
}

/// See the module.
pub(crate) struct Worker {
    index: usize,
    settings: Arc<Settings>,
    dtls: Arc<DtlsConfig>,
    inbox: Receiver<WorkerMessage>,
    waker: Arc<Waker>,
    others: Vec<Mailbox>,
    local: Vec<SocketAddr>,
    sdp_address: IpAddr,
    events: EventSink,
    waiting_events: VecDeque<(HandleId, MediaEvent)>,

    epoll: Epoll,
    sockets: Sockets,
    listeners: Vec<Listener>,
    connections: Connections,
    reflexive: HashMap<usize, Reflexive>,
    stun_servers: Vec<SocketAddr>,
    /// TURN servers, by the numbers of their links.
    upstreams: slab::Slab<Upstream>,
    resolver: Option<Resolver>,
    gathering: Vec<Gathering>,
    random: Random,

    peers: slab::Slab<Box<Peer>>,
    by_handle: HashMap<HandleId, usize>,
    by_ufrag: HashMap<String, usize>,
    by_path: HashMap<Path, usize>,
    foreign: HashMap<SocketAddr, usize>,
    handed_over: Vec<Vec<Foreign>>,
    /// What is being taken came from another worker: it goes to no third.
    taking_foreign: bool,

    outgoing: Outgoing,
    /// Feedback ports by their sockets: peer, line, and the forwarder's number.
    feedback: HashMap<usize, (usize, usize, u32)>,

    mirrors: slab::Slab<Mirror>,
    by_source: HashMap<RouteEnd, usize>,
    mirrors_made: u64,
    /// Mirrors with wishes for keyframes that are not on their way yet.
    wishing: Vec<usize>,
    /// By worker: what found no room in its queue, and what it gets at the end of a batch.
    waiting_posts: Vec<VecDeque<WorkerMessage>>,
    parcels: Vec<Parcel>,
    /// [`Dropped::parcel_packets`] when it was last told of.
    parcel_packets_told: u64,

    intake: Intake,
    /// Slept in the middle of this turn.
    dozed: Duration,
    overload: Overload,
    batch: Option<Box<ReceiveBatch>>,
    ready: Vec<Ready>,
    due: Vec<usize>,
    /// For [`Worker::allocate`]; kept for its memory.
    costs: Vec<(usize, Costs)>,
    wheel: Wheel,
    clock: Clock,
    egress: Egress,
    received: Received,
    sent: SendCounters,
    pub(crate) dropped: Dropped,
    /// What peers counted that are gone.
    gone: Gone,
    /// Peers that showed that a NAT changes our port.
    remapped: u64,
    /// The ports it gave.
    ways_out: WaysOut,
    longest_turn: Duration,
    /// In the last second.
    furthest_behind: Duration,
    status: StatusCell,
    #[cfg(feature = "bench")]
    watch: Option<benched::Watch>,
    stopping: bool,
}

/// Datagrams that were dropped, by reason.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Dropped {
    pub(crate) too_long: u64,
    /// At sockets that are gone, because their buffers were full.
    pub(crate) overflowed: u64,
    pub(crate) unknown_kind: u64,
    pub(crate) stranger: u64,
    pub(crate) unauthenticated_stun: u64,
    /// Authentic STUN from an address that another peer is using.
    pub(crate) taken_path: u64,
    pub(crate) panics: u64,
    pub(crate) events: u64,
    /// Batches for other workers that were too far behind, and the packets in them.
    pub(crate) parcels: u64,
    pub(crate) parcel_packets: u64,
    /// Other messages for workers that do not read any more.
    pub(crate) posts: u64,
}

/// A peer with a port of its own that waits for its reflexive addresses.
struct Gathering {
    peer: usize,
    exchange: u64,
    until: Instant,
}

/// Packets a peer may send when its time has come: a burst of what waited, padding, RTCP.
const TIMER_PACKETS: usize = 128;

const WAKE: u64 = 0;
const UDP: u64 = 1 << 32;
const LISTEN: u64 = 2 << 32;
const TCP: u64 = 3 << 32;
const FEEDBACK: u64 = 4 << 32;
const RELAY: u64 = 5 << 32;
const KIND: u64 = 0xffff_ffff_0000_0000;

impl Worker {
    pub(crate) fn new(start: Start, now: Instant) -> io::Result<Self> {
        let mut epoll = Epoll::new()?;
        epoll.add(start.waker.fd(), WAKE, false)?;
        let (sockets, reflexive) = watched(start.sockets, &mut epoll, now);
        let mut listeners = start.listeners.iter().enumerate();
        listeners.try_for_each(|(i, listener)| epoll.add(listener.fd(), token(LISTEN, i), false))?;
        let others = start.others.len();
        Ok(Self {
            index: start.index,
            settings: start.settings,
            dtls: start.dtls,
            inbox: start.inbox,
            waker: start.waker,
            others: start.others,
            local: start.local,
            sdp_address: start.sdp_address,
            events: start.events,
            waiting_events: VecDeque::new(),
            epoll,
            sockets,
            listeners: start.listeners,
            connections: Connections::default(),
            reflexive,
            stun_servers: Vec::new(),
            upstreams: slab::Slab::new(),
            resolver: None,
            gathering: Vec::new(),
            random: Random::new(),
            peers: slab::Slab::new(),
            by_handle: HashMap::new(),
            by_ufrag: HashMap::new(),
            by_path: HashMap::new(),
            foreign: HashMap::new(),
            handed_over: (0..others).map(|_| Vec::new()).collect(),
            taking_foreign: false,
            outgoing: Outgoing::default(),
            feedback: HashMap::new(),
            mirrors: slab::Slab::new(),
            by_source: HashMap::new(),
            mirrors_made: 0,
            wishing: Vec::new(),
            waiting_posts: (0..others).map(|_| VecDeque::new()).collect(),
            parcels: (0..others).map(|_| Parcel::default()).collect(),
            parcel_packets_told: 0,
            intake: Intake::default(),
            dozed: Duration::ZERO,
            overload: Overload::new(now),
            batch: Some(Box::new(ReceiveBatch::new())),
            ready: Vec::with_capacity(256),
            due: Vec::new(),
            costs: Vec::new(),
            wheel: Wheel::new(now),
            clock: Clock::new(now),
            egress: Egress::new(),
            received: Received::default(),
            sent: SendCounters::default(),
            dropped: Dropped::default(),
            gone: Gone::default(),
            remapped: 0,
            ways_out: WaysOut::default(),
            longest_turn: Duration::ZERO,
            furthest_behind: Duration::ZERO,
            status: start.status,
            #[cfg(feature = "bench")]
            watch: None,
            stopping: false,
        })
    }

    /// Works until told to stop.
    pub(crate) fn run(mut self) {
        self.run_until_stopped();
        self.close_all(Instant::now());
        self.give_up_relays();
    }

    fn run_until_stopped(&mut self) {
        let mut ready = Vec::with_capacity(64);
        let mut housekeeping = Instant::now();
        let mut begun = housekeeping;
        while !self.stopping {
            let ended = Instant::now();
            self.took(ended.saturating_duration_since(begun));
            let sleep = self.sleep(ended, housekeeping);
            if let Err(error) = self.epoll.wait(sleep, &mut ready) {
                tracing::error!(%error, "cannot wait for the network");
                std::thread::sleep(Duration::from_millis(10));
            }
            let now = Instant::now();
            begun = now;
            let slept = now.saturating_duration_since(ended) + std::mem::take(&mut self.dozed);
            self.weigh(slept, now);
            let alone = ready.len() == 1;
            for token in ready.iter().copied() {
                self.on_token(token, alone, now);
            }
            self.on_timers(now);
            if now >= housekeeping {
                housekeeping = now + HOUSEKEEPING;
                self.keep_house(now);
                self.publish(now);
            }
            self.flush();
            self.hand_over();
            self.send_posts();
            self.flush_events();
        }
    }

    fn sleep(&self, now: Instant, housekeeping: Instant) -> Duration {
        let mut sleep = self.wheel.sleep(now).min(housekeeping.saturating_duration_since(now));
        if !self.waiting_events.is_empty() || self.has_waiting_posts() {
            sleep = sleep.min(Duration::from_millis(5));
        }
        if let Some(at) = self.gathering.iter().map(|g| self.gathers_at(g)).min() {
            sleep = sleep.min(at.saturating_duration_since(now));
        }
        if let Some(at) = self.relays_at(now) {
            sleep = sleep.min(at.saturating_duration_since(now));
        }
        sleep
    }

    fn on_token(&mut self, token: u64, alone: bool, now: Instant) {
        let index = usize::try_from(token & !KIND).unwrap_or(usize::MAX);
        match token & KIND {
            UDP => self.on_readable(index, alone),
            LISTEN => {
                if let Some(listener) = self.listeners.get(index) {
                    self.connections.accept(listener, &self.epoll, |i| self::token(TCP, i), now);
                }
            }
            TCP => self.on_connection(index, now),
            FEEDBACK => self.on_feedback(index, now),
            RELAY => self.on_relay(index, now),
            _ => {
                self.waker.reset();
                self.take_messages(now);
            }
        }
    }

    // === timers ===

    fn on_timers(&mut self, now: Instant) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.advance(now, &mut due);
        for key in due.drain(..) {
            if self.peers.get(key).is_some_and(|p| p.is_due(now)) {
                if !self.egress.has_room_for(TIMER_PACKETS) {
                    self.flush();
                }
                self.with_peer(key, now, |peer, cx| peer.handle_timeout(cx, now));
            } else if let Some(at) = self.peers.get(key).map(|p| p.wakes_at(now)) {
                self.wheel.schedule(key, at);
            }
        }
        self.due = due;
        self.ask_stun_server(now);
        self.end_gathering(now);
        self.drive_relays(now);
    }

    fn keep_house(&mut self, now: Instant) {
        while let Some(index) = self.connections.overdue(now) {
            self.close_connection(index);
        }
        self.retire_relays(now);
        self.refresh_pictures(now);
        let packets = self.dropped.parcel_packets - self.parcel_packets_told;
        if packets > 0 {
            self.parcel_packets_told = self.dropped.parcel_packets;
            tracing::warn!(
                from = self.index,
                packets,
                "another media worker does not keep up: packets dropped"
            );
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
            let Some(server) = server_for(socket.local(), &self.stun_servers, &self.settings) else {
                continue;
            };
            if now >= r.next()
                && let Some(request) = r.poll_request(now, transaction_of(self.index, self.random.array()))
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
            #[cfg(feature = "bench")]
            self.bench_wanted(source);
            match source {
                Feeder::Peer(source) => {
                    self.with_peer(source, now, |peer, cx| peer.request_keyframe(cx, line, substream, now));
                }
                Feeder::Mirror(mirror) => self.wish_keyframe(mirror, substream),
            }
        }
        if self.peers.get_mut(key).is_some_and(|p| p.take_allocation_due()) {
            self.allocate(key, now);
        }
    }

    /// Chooses the layers of a peer's automatic sinks: what they cost is known where their sources are.
    fn allocate(&mut self, key: usize, now: Instant) {
        let now_us = self.clock.micros(now);
        let mut costs = std::mem::take(&mut self.costs);
        costs.clear();
        if let Some(peer) = self.peers.get(key) {
            costs.extend(peer.automatic_sinks().map(|(line, (feeder, source_line))| {
                let costs = match feeder {
                    Feeder::Peer(source) => self.peers.get(source).map(|p| p.costs(source_line, now_us)),
                    Feeder::Mirror(mirror) => self.mirrors.get(mirror).map(|m| m.costs(now_us)),
                };
                (line, costs.unwrap_or_default())
            }));
        }
        self.with_peer(key, now, |peer, cx| peer.allocate(cx, &costs, now));
        self.costs = costs;
    }

    /// Answers NACKs: the packets lie with the source, the rewrite values with the sink.
    fn resend(&mut self, key: usize, resends: &[Resend], now: Instant) {
        let now_us = self.clock.micros(now);
        for resend in resends {
            if !self.egress.has_room_for(1) {
                self.flush();
            }
            match resend.source {
                Feeder::Peer(source) if source == key => {
                    let Some(peer) = self.peers.get_mut(key) else { return };
                    peer.resend_own(&mut self.egress, resend, now_us);
                }
                Feeder::Peer(source) => {
                    if let Some((sink, source)) = self.peers.get2_mut(key, source) {
                        sink.resend(&mut self.egress, resend, source.stored(resend, now_us), now_us);
                    }
                }
                Feeder::Mirror(mirror) => {
                    let (sink, mirror) = (self.peers.get_mut(key), self.mirrors.get(mirror));
                    if let (Some(sink), Some(mirror)) = (sink, mirror) {
                        let Entry { source, source_sequence, .. } = resend.entry;
                        let stored = mirror.stored(source, source_sequence, now_us);
                        sink.resend(&mut self.egress, resend, stored, now_us);
                    }
                }
            }
        }
    }

    fn remove(&mut self, key: usize, reason: Option<String>, now: Instant, tell_peer: bool) {
        let Some(mut peer) = self.peers.try_remove(key) else { return };
        let handle = peer.handle();
        self.gone.add(&peer);
        let stats = peer.last_stats(&self.settings);
        self.waiting_events.extend(stats.map(|stats| (handle, stats)));
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
        self.forget_sinks(key);
        for mirrored in peer.mirrors() {
            let (to, ask) = (mirrored.to, mirrored.ask);
            self.post(to.worker, MirrorMessage::Described { to, ask, description: None });
        }
        for socket in peer.feedback_sockets() {
            self.close_feedback(socket);
        }
        if !peer.own_sockets().is_empty() {
            self.flush();
        }
        for socket in peer.own_sockets() {
            if let Some(s) = self.sockets.get(*socket) {
                self.dropped.overflowed += u64::from(s.overflowed());
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
            | MediaEvent::Estimate(_)
            | MediaEvent::Stats(_)
            | MediaEvent::Data(_)
    )
}

/// The shared sockets, and what is known of their reflexive addresses.
fn watched(all: Vec<UdpSocket>, epoll: &mut Epoll, now: Instant) -> (Sockets, HashMap<usize, Reflexive>) {
    let (mut sockets, mut reflexive) = (Sockets::default(), HashMap::new());
    for socket in all {
        socket.enlarge_buffers();
        socket.note_arrivals();
        let fd = socket.fd();
        let i = sockets.insert(socket);
        epoll.add_polled(fd, token(UDP, i));
        reflexive.insert(i, Reflexive::new(now));
    }
    (sockets, reflexive)
}

fn token(kind: u64, index: usize) -> u64 {
    kind | (u64::try_from(index).unwrap_or(0) & !KIND)
}

/// The worker whose peer has this user name fragment: its first two characters.
fn worker_of(ufrag: &str) -> Option<usize> {
    usize::from_str_radix(ufrag.get(..2)?, 36).ok()
}
