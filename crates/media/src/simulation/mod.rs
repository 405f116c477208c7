//! Two workers, a network between them, and a clock that only the test moves.
//!
//! The client is a worker too, driven by hand: it offers, seals what the test gives it and shows what it
//! opens. Nothing touches a real network, and a seed decides every loss and every delay.

mod bandwidth;
mod bridge;
mod consent;
mod echo;
mod forwarded;
mod layers;
mod loss;
mod overload;
mod recorded;
mod relayed;
mod spread;
mod strangers;

use crate::certificate::{Certificate, KeyKind};
use crate::dtls::{DtlsConfig, DtlsSettings};
use crate::settings::Settings;
use crate::socket::{UdpSocket, Waker};
use crate::status::StatusCell;
use crate::worker::{Mailbox, Start, Worker, WorkerMessage};
use portunus_plugin::HandleId;
use portunus_plugin::media::{MediaCommand, MediaEvent, Negotiation, RouteEnd};
use portunus_sdp::{
    Fingerprint, LocalTransport, MediaKind, Negotiated, NegotiatedPayload, RemoteTransport, Setup, ext,
};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant, SystemTime};

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const CLIENT: usize = 0;
pub(super) const SERVER: usize = 1;

pub(super) const VP8: u8 = 96;
pub(super) const RTX: u8 = 97;
pub(super) const OPUS: u8 = 111;
pub(super) const MID_ID: u8 = 4;
pub(super) const RID_ID: u8 = 10;

/// A packet on its way.
struct Flying {
    at: Instant,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// A link with a capacity and a queue that drops what does not fit.
pub(super) struct Bottleneck {
    pub(super) capacity: u64,
    pub(super) queue_bytes: u64,
    pub(super) free: Instant,
}

impl Bottleneck {
    /// How long a datagram waits that comes now.
    pub(super) fn queue(&self, now: Instant) -> Duration {
        self.free.saturating_duration_since(now)
    }

    /// What waits leaves at the new pace.
    pub(super) fn set_capacity(&mut self, capacity: u64, now: Instant) {
        let waiting = self.queue(now).as_nanos() * u128::from(self.capacity) / u128::from(capacity);
        self.free = now + Duration::from_nanos(u64::try_from(waiting).unwrap());
        self.capacity = capacity;
    }

    /// When a datagram has passed, if it does.
    fn pass(&mut self, bytes: usize, now: Instant) -> Option<Instant> {
        let bytes = u64::try_from(bytes).unwrap() + 28;
        let waiting = self.queue(now).as_micros() * u128::from(self.capacity) / 8_000_000;
        if waiting + u128::from(bytes) > u128::from(self.queue_bytes) {
            return None;
        }
        self.free = self.free.max(now) + Duration::from_nanos(bytes * 8_000_000_000 / self.capacity);
        Some(self.free)
    }
}

/// RTP that the client received.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) line: usize,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
    pub(super) payload: Vec<u8>,
}

pub(super) struct Simulation {
    pub(super) now: Instant,
    pub(super) workers: [Worker; 2],
    pub(super) addresses: [SocketAddr; 2],
    pub(super) handles: [HandleId; 2],
    pub(super) events: [Vec<MediaEvent>; 2],
    pub(super) received: Vec<Received>,
    pub(super) delay: Duration,
    /// Loss of SRTP and SRTCP packets, in percent.
    pub(super) loss: u64,
    /// What the server's datagrams have to pass.
    pub(super) bottleneck: Option<Bottleneck>,
    /// What stands between the two.
    pub(super) nat: Option<bridge::Bridge>,
    /// Nothing arrives any more.
    pub(super) cut: bool,
    pub(super) lost: [u64; 2],
    /// Every datagram that was sent: by whom, and its bytes.
    pub(super) log: Vec<(usize, Vec<u8>)>,
    pub(super) keep_log: bool,
    flying: VecDeque<Flying>,
    random: u64,
    /// The last descriptions of both, as the other reads them.
    pub(super) remote: Vec<RemoteTransport>,
    /// The server is asked to use nothing but relays.
    pub(super) relay_only: bool,
    /// The server's TURN server.
    pub(super) turn: Option<relayed::Turn>,
    /// What went to addresses of neither: where, and the bytes.
    pub(super) outside: Vec<(SocketAddr, Vec<u8>)>,
    /// What each side negotiated.
    pub(super) media: [Vec<Negotiated>; 2],
}

impl Simulation {
    pub(super) fn new(media: Vec<Negotiated>, change: impl FnOnce(&mut Settings)) -> Self {
        Self::with_both(media, |_| {}, change)
    }

    pub(super) fn with_both(
        media: Vec<Negotiated>,
        client: impl FnOnce(&mut Settings),
        server: impl FnOnce(&mut Settings),
    ) -> Self {
        let now = Instant::now();
        let (a, b) = (worker(now, client), worker(now, server));
        Self {
            now,
            addresses: [a.1, b.1],
            workers: [a.0, b.0],
            handles: [HandleId::from_random(1), HandleId::from_random(2)],
            events: [Vec::new(), Vec::new()],
            received: Vec::new(),
            delay: MS * 10,
            loss: 0,
            bottleneck: None,
            nat: None,
            cut: false,
            lost: [0, 0],
            log: Vec::new(),
            keep_log: false,
            flying: VecDeque::new(),
            random: 0x9e37_79b9_7f4a_7c15,
            remote: Vec::new(),
            relay_only: false,
            turn: None,
            outside: Vec::new(),
            media: [media.clone(), media],
        }
    }

    /// Offer and answer: the client offers.
    pub(super) fn connect(&mut self) {
        self.exchange(false);
        self.run_until(MS * 5000, "both up", |s| s.events.iter().all(|e| e.contains(&MediaEvent::Up)));
    }

    /// One exchange; returns the descriptions of both.
    pub(super) fn exchange(&mut self, restart: bool) -> [RemoteTransport; 2] {
        let offer = self.negotiate(CLIENT, None, true, restart, true).expect("an offer");
        let answer = self.negotiate(SERVER, Some(offer.clone()), false, false, true).expect("an answer");
        self.negotiate(CLIENT, Some(answer.clone()), true, false, false);
        self.remote = vec![offer.clone(), answer.clone()];
        [offer, answer]
    }

    pub(super) fn negotiate(
        &mut self,
        side: usize,
        remote: Option<RemoteTransport>,
        offering: bool,
        restart: bool,
        answer: bool,
    ) -> Option<RemoteTransport> {
        let n = Negotiation {
            handle: self.handles[side],
            exchange: answer.then_some(7),
            remote,
            offering,
            restart,
            trickle: false,
            relay_only: side == SERVER && self.relay_only,
            media: self.media[side].clone(),
            affinity: None,
            worker: None,
        };
        self.command(side, MediaCommand::Negotiate(Box::new(n)));
        let at = self.events[side].iter().position(|e| matches!(e, MediaEvent::Local { .. }))?;
        let MediaEvent::Local { exchange, transport } = self.events[side].remove(at) else { unreachable!() };
        assert_eq!(exchange, 7);
        Some(remote_of(&transport))
    }

    pub(super) fn command(&mut self, side: usize, command: MediaCommand) {
        self.workers[side].simulate_command(command, self.now);
        self.collect(side);
    }

    /// What comes in on the server's m-line `mid` goes back on it.
    pub(super) fn echo(&mut self, mid: &str) {
        let end = RouteEnd::new(self.handles[SERVER], mid);
        self.command(SERVER, MediaCommand::Route { source: end.clone(), sink: end });
    }

    /// The client sends an RTP packet.
    pub(super) fn send(&mut self, packet: &[u8]) {
        let handle = self.handles[CLIENT];
        self.workers[CLIENT].on_peer(handle, self.now, |peer, cx| peer.inject_rtp(cx, packet));
        self.collect(CLIENT);
    }

    /// From now on the client's m-line 0 sends what [`Self::feed`] is given, and answers NACKs for it.
    pub(super) fn feeder(&mut self) {
        let feeder = HandleId::from_random(99);
        let n = Negotiation {
            handle: feeder,
            exchange: None,
            remote: None,
            offering: true,
            restart: false,
            trickle: false,
            relay_only: false,
            media: self.media[CLIENT].clone(),
            affinity: None,
            worker: None,
        };
        self.command(CLIENT, MediaCommand::Negotiate(Box::new(n)));
        let (source, sink) = (RouteEnd::new(feeder, "0"), RouteEnd::new(self.handles[CLIENT], "0"));
        self.command(CLIENT, MediaCommand::Route { source, sink });
    }

    pub(super) fn feed(&mut self, packet: &[u8]) {
        self.workers[CLIENT].feed(HandleId::from_random(99), packet, self.now);
        self.collect(CLIENT);
    }

    /// Hands a datagram to one side as if it came from `from`.
    pub(super) fn deliver(&mut self, side: usize, from: SocketAddr, bytes: &[u8]) {
        self.deliver_to(side, self.addresses[side], from, bytes);
    }

    /// The same, at one of its sockets.
    fn deliver_to(&mut self, side: usize, local: SocketAddr, from: SocketAddr, bytes: &[u8]) {
        let worker = &mut self.workers[side];
        let received = &mut self.received;
        worker.simulate(bytes, from, local, self.now, |r, packet| {
            if side == CLIENT {
                let view = portunus_rtp::packet::RtpView::parse(packet).unwrap();
                received.push(Received {
                    line: r.line,
                    sequence: r.header.sequence,
                    timestamp: r.header.timestamp,
                    ssrc: r.header.ssrc,
                    payload: view.payload().to_vec(),
                });
            }
        });
        self.collect(side);
    }

    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    /// Runs until `done`, at most `limit`.
    pub(super) fn run_until(&mut self, limit: Duration, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let end = self.now + limit;
        while !done(self) {
            assert!(self.now < end, "not within {limit:?}: {what}; events {:?}", self.events);
            self.step();
        }
    }

    fn step(&mut self) {
        self.now += MS;
        while self.flying.front().is_some_and(|f| f.at <= self.now) {
            let f = self.flying.pop_front().unwrap();
            if self.pass_turn(&f) {
                continue;
            }
            let to = self.nat.as_ref().map_or(f.to, |nat| nat.destination(f.to));
            if let Some(side) = self.addresses.iter().position(|a| *a == to) {
                if self.nat.as_mut().is_some_and(|nat| !nat.arrive(side, f.from, f.to, self.now)) {
                    continue;
                }
                self.deliver(side, f.from, &f.bytes);
            } else {
                self.outside.push((f.to, f.bytes));
            }
        }
        for side in [CLIENT, SERVER] {
            self.workers[side].simulate_timers(self.now);
            self.collect(side);
        }
    }

    fn collect(&mut self, side: usize) {
        let handle = self.handles[side];
        for (h, event) in self.workers[side].take_events() {
            if h == handle {
                self.events[side].push(event);
            }
        }
        for (from, to, bytes) in self.workers[side].take_packets() {
            if self.keep_log {
                self.log.push((side, bytes.clone()));
            }
            let media = bytes.first().is_some_and(|b| (128..192).contains(b));
            if self.cut || (media && self.chance(self.loss)) {
                self.lost[side] += 1;
                continue;
            }
            let passed = match &mut self.bottleneck {
                Some(bottleneck) if side == SERVER => bottleneck.pass(bytes.len(), self.now),
                _ => Some(self.now),
            };
            let Some(passed) = passed else {
                self.lost[side] += 1;
                continue;
            };
            let from = self.nat.as_mut().map_or(from, |nat| nat.leave(side, from, to, self.now));
            let at = passed + self.delay;
            let place = self.flying.partition_point(|f| f.at <= at);
            self.flying.insert(place, Flying { at, from, to, bytes });
        }
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % 100 < percent
    }

    pub(super) fn has(&self, side: usize, event: &MediaEvent) -> bool {
        self.events[side].contains(event)
    }

    pub(super) fn hangup(&self, side: usize) -> Option<String> {
        self.events[side].iter().find_map(|e| match e {
            MediaEvent::Hangup { reason } => Some(reason.clone()),
            _ => None,
        })
    }
}

/// Janus' defaults with a new certificate.
pub(crate) fn settings() -> Settings {
    Settings::new(Certificate::generate(KeyKind::EcdsaP256, SystemTime::now()).unwrap())
}

fn worker(now: Instant, change: impl FnOnce(&mut Settings)) -> (Worker, SocketAddr) {
    let (_, inbox) = sync_channel(1);
    worker_among(0, (inbox, Arc::new(Waker::new().unwrap())), Vec::new(), now, change)
}

/// A worker that has others beside it.
fn worker_among(
    index: usize,
    (inbox, waker): (Receiver<WorkerMessage>, Arc<Waker>),
    others: Vec<Mailbox>,
    now: Instant,
    change: impl FnOnce(&mut Settings),
) -> (Worker, SocketAddr) {
    let mut settings = settings();
    let dtls = DtlsConfig::new(&settings.certificate, DtlsSettings::default()).unwrap();
    change(&mut settings);
    let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), false, None).unwrap();
    let local = socket.local();
    let start = Start {
        index,
        settings: Arc::new(settings),
        dtls,
        sockets: vec![socket],
        listeners: Vec::new(),
        inbox,
        waker,
        others,
        local: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
        sdp_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        status: StatusCell::default(),
        events: Box::new(|_, _| Ok(())),
    };
    (Worker::new(start, now).unwrap(), local)
}

/// Our description as the other side reads it.
pub(super) fn remote_of(t: &LocalTransport) -> RemoteTransport {
    RemoteTransport {
        ufrag: t.ufrag.clone(),
        pwd: t.pwd.clone(),
        fingerprint: Fingerprint::parse(&format!("sha-256 {}", t.fingerprint)).unwrap(),
        setup: Some(t.setup),
        ice_options: vec!["trickle".to_owned()],
        candidates: t.candidates.clone(),
        end_of_candidates: t.end_of_candidates,
        lite: t.lite,
    }
}

pub(super) fn audio(mindex: u16) -> Negotiated {
    line(mindex, MediaKind::Audio, payload(OPUS, "opus", 48_000, None))
}

pub(super) fn video(mindex: u16, rtx: Option<u8>) -> Negotiated {
    line(mindex, MediaKind::Video, payload(VP8, "VP8", 90_000, rtx))
}

fn payload(pt: u8, name: &str, clock_rate: u32, rtx: Option<u8>) -> NegotiatedPayload {
    let is_video = clock_rate == 90_000;
    NegotiatedPayload {
        pt,
        name: name.to_owned(),
        codec: portunus_sdp::Codec::from_api_name(&name.to_lowercase()),
        clock_rate,
        channels: 1,
        fmtp: None,
        rtx,
        nack: is_video,
        pli: is_video,
        fir: is_video,
        remb: is_video,
        twcc: is_video,
    }
}

fn line(mindex: u16, kind: MediaKind, payload: NegotiatedPayload) -> Negotiated {
    Negotiated {
        mindex,
        mid: mindex.to_string(),
        kind,
        active: true,
        receive: true,
        send: true,
        payloads: vec![payload],
        extensions: vec![(MID_ID, ext::MID.to_owned()), (RID_ID, ext::RID.to_owned())],
        remote_ssrcs: Vec::new(),
        rids: Vec::new(),
        msid: None,
        sctp_port: None,
        max_message_size: None,
    }
}

/// An RTP packet with its mid, and rid if there is one.
pub(super) fn rtp(
    mid: &str,
    rid: &str,
    pt: u8,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    payload: &[u8],
) -> Vec<u8> {
    let mut p = vec![0x90, pt];
    p.extend_from_slice(&sequence.to_be_bytes());
    p.extend_from_slice(&timestamp.to_be_bytes());
    p.extend_from_slice(&ssrc.to_be_bytes());
    let mut block = Vec::new();
    for (id, text) in [(MID_ID, mid), (RID_ID, rid)] {
        if !text.is_empty() {
            block.push(id << 4 | u8::try_from(text.len() - 1).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block.resize(block.len().next_multiple_of(4), 0);
    p.extend_from_slice(&[0xbe, 0xde]);
    p.extend_from_slice(&u16::try_from(block.len() / 4).unwrap().to_be_bytes());
    p.extend_from_slice(&block);
    p.extend_from_slice(payload);
    p
}

/// A VP8 payload: one packet, one frame.
pub(super) fn vp8(keyframe: bool, picture: u16, size: usize) -> Vec<u8> {
    let [high, low] = (picture & 0x7fff | 0x8000).to_be_bytes();
    let mut p = vec![0x90, 0x80, high, low, u8::from(!keyframe), 0, 0];
    if keyframe {
        p.extend_from_slice(&[0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01]);
    }
    p.resize(size, 0x55);
    p
}

#[test]
fn the_answerer_takes_the_role_it_is_given() {
    for passive in [false, true] {
        let mut s = Simulation::new(vec![audio(0)], |settings| settings.dtls_answer_passive = passive);
        let [offer, answer] = s.exchange(false);
        assert_eq!(offer.setup, Some(Setup::ActPass));
        assert_eq!(answer.setup, Some(if passive { Setup::Passive } else { Setup::Active }));
        s.run_until(MS * 3000, "up", |s| s.events.iter().all(|e| e.contains(&MediaEvent::Up)));
    }
}
