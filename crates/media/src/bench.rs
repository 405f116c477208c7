//! The forwarding path as the benchmarks drive it: a real worker whose peers were put in place without ICE and
//! DTLS; and the engine as a client of a gateway. Only built with the feature `bench`.

mod answers;
mod client;

pub use answers::{Asker, Checked};
pub use client::{Client, ClientPeer, Happening};

mod live;

pub use live::{Beside, Live, Pace, publish_live};

use crate::certificate::{Certificate, KeyKind};
use crate::dtls::{DtlsConfig, DtlsSettings, SrtpKeys};
use crate::egress::{Link, Path};
use crate::settings::Settings;
use crate::socket::{
    Message, ReceiveBatch, SLOT, SendBatch, UdpSocket, Waker, process_cpu_time, thread_cpu_time,
};
use crate::status::StatusCell;
use crate::worker::{Mailbox, Start, Worker, WorkerMessage};
use portunus_plugin::HandleId;
use portunus_plugin::media::{MediaCommand, RouteEnd};
use portunus_sdp::Negotiated;
use portunus_srtp::{MasterKey, Profile, Sealer};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant, SystemTime};

/// CPU time of this thread.
pub fn cpu_time() -> Duration {
    thread_cpu_time()
}

/// CPU time of all threads of another process, those that have ended too.
///
/// # Errors
/// There is no such process.
pub fn cpu_time_of(process: u32) -> io::Result<Duration> {
    process_cpu_time(process)
}

/// CPU time of the threads of this process whose names begin so.
///
/// # Errors
/// `/proc` cannot be read.
pub fn cpu_time_of_threads(name: &str) -> io::Result<Duration> {
    let mut all = Duration::ZERO;
    for task in std::fs::read_dir("/proc/self/task")? {
        let folder = task?.path();
        if std::fs::read_to_string(folder.join("comm"))?.starts_with(name) {
            // Nanoseconds on a CPU, nanoseconds of waiting, turns.
            let spent = std::fs::read_to_string(folder.join("schedstat"))?;
            let nanos = spent.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
            all += Duration::from_nanos(nanos);
        }
    }
    Ok(all)
}

/// One publisher and its subscribers on one worker.
pub struct Forwarding {
    worker: Worker,
    publisher: Path,
    frames: Frames,
}

/// A publisher's sealed frames.
struct Frames {
    sealer: Sealer,
    slots: Vec<[u8; SLOT]>,
    lengths: Vec<usize>,
    sequence: u16,
    timestamp: u32,
    payload_type: u8,
    payload: usize,
}

impl Forwarding {
    /// `media` is the m-line that all peers negotiated, sending and receiving; `payload` octets in each packet;
    /// `to` are the subscribers' addresses.
    ///
    /// # Errors
    /// A socket could not be opened.
    pub fn new(media: &Negotiated, profile: Profile, payload: usize, to: &[SocketAddr]) -> io::Result<Self> {
        let now = Instant::now();
        let (_, inbox) = sync_channel(1);
        let (mut worker, _) = worker(0, inbox, Arc::new(Waker::new()?), Vec::new(), Duration::ZERO)?;
        let publisher = SocketAddr::from(([127, 0, 0, 1], 9));
        let publisher = add_peer(&mut worker, media, profile, 0, publisher, now)?;
        for (i, remote) in to.iter().enumerate() {
            add_peer(&mut worker, media, profile, i + 1, *remote, now)?;
            let (source, sink) = (end(media, 0), end(media, i + 1));
            worker.bench_command(MediaCommand::Route { source, sink }, now);
        }
        Ok(Self { worker, publisher, frames: Frames::new(media, profile, payload)? })
    }

    /// Prepares a frame of `packets` sealed packets of the publisher.
    pub fn prepare(&mut self, ssrc: u32, packets: usize) {
        self.frames.prepare(ssrc, packets);
    }

    /// Datagrams so far that left in a call together with others.
    pub fn calls_saved(&self) -> u64 {
        self.worker.calls_saved()
    }

    /// Forwards the prepared frame; returns how many packets left.
    pub fn forward(&mut self, send: bool) -> u64 {
        let Frames { slots, lengths, .. } = &mut self.frames;
        let slots = slots.get_mut(..lengths.len()).unwrap_or_default();
        self.worker.bench_batch(slots, lengths, self.publisher, Instant::now(), send)
    }
}

fn worker(
    index: usize,
    inbox: Receiver<WorkerMessage>,
    waker: Arc<Waker>,
    others: Vec<Mailbox>,
    gather: Duration,
) -> io::Result<(Worker, SocketAddr)> {
    let certificate =
        Certificate::generate(KeyKind::EcdsaP256, SystemTime::now()).map_err(io::Error::other)?;
    let dtls = DtlsConfig::new(&certificate, DtlsSettings::default()).map_err(io::Error::other)?;
    let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)), false, None)?;
    let local = socket.local();
    let worker = Worker::new(
        Start {
            index,
            settings: Arc::new(Settings { gather, ..Settings::new(certificate) }),
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
        },
        Instant::now(),
    )?;
    Ok((worker, local))
}

/// A peer that is up, reached at `remote`. Number 0 is the publisher.
fn add_peer(
    worker: &mut Worker,
    media: &Negotiated,
    profile: Profile,
    n: usize,
    remote: SocketAddr,
    now: Instant,
) -> io::Result<Path> {
    let keys = SrtpKeys { profile, local: master(profile, n, 1)?, remote: master(profile, n, 2)? };
    let path = Path { link: Link::Udp(0), remote };
    worker.bench_peer(handle(n), std::slice::from_ref(media), keys, path, now);
    Ok(path)
}

fn handle(n: usize) -> HandleId {
    HandleId::from_random(u64::try_from(n).unwrap_or(0) + 1)
}

/// The m-line of peer `n`.
fn end(media: &Negotiated, n: usize) -> RouteEnd {
    RouteEnd::new(handle(n), media.mid.clone())
}

impl Frames {
    fn new(media: &Negotiated, profile: Profile, payload: usize) -> io::Result<Self> {
        Ok(Self {
            sealer: Sealer::new(master(profile, 0, 2)?).map_err(io::Error::other)?,
            slots: Vec::new(),
            lengths: Vec::new(),
            sequence: 1,
            timestamp: 0,
            payload_type: media.payloads.first().map_or(96, |p| p.pt),
            payload,
        })
    }

    fn prepare(&mut self, ssrc: u32, packets: usize) {
        self.lengths.clear();
        self.timestamp = self.timestamp.wrapping_add(3000);
        while self.slots.len() < packets {
            self.slots.push([0; SLOT]);
        }
        for (i, slot) in self.slots.iter_mut().take(packets).enumerate() {
            let last = i + 1 == packets;
            let [s0, s1] = self.sequence.to_be_bytes();
            let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
            let [c0, c1, c2, c3] = ssrc.to_be_bytes();
            let marker = if last { 0x80 } else { 0 };
            let header = [0x80, self.payload_type | marker, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3];
            // VP8 descriptor: start of partition, no extension; then a delta frame.
            let start = if i == 0 { 0x10 } else { 0x00 };
            let bytes =
                header.into_iter().chain([start, 0x01]).chain(std::iter::repeat_n(0x55, self.payload - 2));
            slot.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
            let sealed = self.sealer.protect_rtp(slot, 12 + self.payload).unwrap_or(0);
            self.lengths.push(sealed);
            self.sequence = self.sequence.wrapping_add(1);
        }
    }
}

fn master(profile: Profile, n: usize, salt: u8) -> io::Result<MasterKey> {
    let byte = u8::try_from(n % 251).unwrap_or(0) ^ salt;
    MasterKey::new(profile, &vec![byte; profile.key_len()], &vec![byte ^ 0x5a; profile.salt_len()])
        .map_err(io::Error::other)
}

/// The bare loop that the path is measured against: seal and send, nothing else.
pub struct Bare {
    socket: UdpSocket,
    batch: SendBatch,
    sealers: Vec<Sealer>,
    to: Vec<SocketAddr>,
    plain: Vec<u8>,
    arena: Vec<u8>,
    messages: Vec<Message>,
    sequence: u16,
}

impl Bare {
    /// Packets of `len` octets, tag included, to each of `to`, each with a key of its own.
    ///
    /// # Errors
    /// A socket could not be opened.
    pub fn new(profile: Profile, len: usize, to: &[SocketAddr]) -> io::Result<Self> {
        let sealers: io::Result<Vec<_>> =
            (0..to.len()).map(|n| Sealer::new(master(profile, n, 1)?).map_err(io::Error::other)).collect();
        let mut plain = vec![0x55; len - profile.rtp_tag_len()];
        let header = [0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        plain.iter_mut().zip(header).for_each(|(to, from)| *to = from);
        Ok(Self {
            socket: UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)), false, None)?,
            batch: SendBatch::new(),
            sealers: sealers?,
            to: to.to_vec(),
            plain,
            arena: vec![0; 64 * 8 * 2048],
            messages: Vec::new(),
            sequence: 0,
        })
    }

    /// One round: `run` packets to each receiver, as one message each if `segments`; returns packets.
    pub fn round(&mut self, run: usize, send: bool, segments: bool) -> u64 {
        let mut packets = 0;
        let mut used = 0;
        self.messages.clear();
        for (sealer, to) in self.sealers.iter_mut().zip(&self.to) {
            let start = used;
            let mut size = 0;
            for k in 0..run {
                let sequence = self.sequence.wrapping_add(u16::try_from(k).unwrap_or(0)).to_be_bytes();
                let Some(room) = self.arena.get_mut(used..used + self.plain.len() + 32) else { break };
                room.iter_mut().zip(&self.plain).for_each(|(to, from)| *to = *from);
                room.iter_mut().skip(2).zip(sequence).for_each(|(to, from)| *to = from);
                size = sealer.protect_rtp(room, self.plain.len()).unwrap_or(0);
                if !segments {
                    self.messages.push(Message { start: used, len: size, to: *to, segment: None });
                }
                used += size;
                packets += 1;
            }
            if segments {
                let segment = u16::try_from(size).ok().filter(|_| run > 1);
                self.messages.push(Message { start, len: used - start, to: *to, segment });
            }
            if self.messages.len() >= 64 {
                if send {
                    self.batch.send(&self.socket, &self.arena, &self.messages);
                }
                self.messages.clear();
                used = 0;
            }
        }
        if send {
            self.batch.send(&self.socket, &self.arena, &self.messages);
        }
        self.sequence = self.sequence.wrapping_add(u16::try_from(run).unwrap_or(1));
        packets
    }
}

/// Sockets on loopback that drop what they get.
pub struct Receivers {
    sockets: Vec<UdpSocket>,
    batch: ReceiveBatch,
}

impl Receivers {
    /// Opens `n` of them.
    ///
    /// # Errors
    /// A socket could not be opened.
    pub fn new(n: usize) -> io::Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let sockets: io::Result<Vec<_>> = (0..n).map(|_| UdpSocket::bind(any, false, None)).collect();
        Ok(Self { sockets: sockets?, batch: ReceiveBatch::new() })
    }

    /// Their addresses.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(UdpSocket::local).collect()
    }

    /// Throws away what has arrived; returns how many datagrams that were.
    pub fn drain(&mut self) -> usize {
        let mut n = 0;
        for socket in &self.sockets {
            while let Ok(k @ 1..) = self.batch.receive(socket) {
                n += k;
            }
        }
        n
    }
}
