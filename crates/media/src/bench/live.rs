//! Workers that run as ever, on threads of their own, fed in real time.

use super::{Frames, Receivers, add_peer, cpu_time, end, worker};
use crate::socket::Waker;
use crate::worker::{Mailbox, Worker, WorkerMessage};
use portunus_plugin::forward::Forward;
use portunus_plugin::media::MediaCommand;
use portunus_plugin::recording::Tape;
use portunus_sdp::Negotiated;
use portunus_srtp::Profile;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Messages that may wait for a worker.
const QUEUE: usize = 16_384;

/// What a worker spent.
#[derive(Clone, Copy, Debug)]
pub struct Live {
    /// CPU time of its thread.
    pub cpu: Duration,
    /// Packets sent.
    pub packets: u64,
    /// Those that left in a call together with others.
    pub calls_saved: u64,
}

/// How a publisher sends.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Packets in each frame.
    pub packets: usize,
    /// From one of them to the next.
    pub apart: Duration,
    /// Frames in all.
    pub frames: usize,
    /// From one of them to the next.
    pub every: Duration,
    /// How long the workers wait for the rest of one.
    pub gather: Duration,
}

/// Where a stream goes beside its subscribers.
#[derive(Default)]
pub struct Beside {
    /// It is recorded on this.
    pub tape: Option<Arc<dyn Tape>>,
    /// It is forwarded so.
    pub forwards: Vec<Forward>,
}

/// Publishes frames in real time to the first of so many workers, which share the subscribers. Returns what each worker
/// spent.
///
/// # Errors
/// A socket could not be opened, or a thread not started.
pub fn publish_live(
    media: &Negotiated,
    payload: usize,
    workers: usize,
    receivers: &mut Receivers,
    ssrc: u32,
    Pace { packets, apart, frames, every, gather }: Pace,
    beside: Beside,
) -> io::Result<Vec<Live>> {
    let socket = std::net::UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let to = receivers.addresses();
    let (made, mailboxes, server) = start(media, workers, gather, socket.local_addr()?, &to)?;
    let source = || end(media, 0);
    let record = beside.tape.map(|tape| MediaCommand::Record { source: source(), tape: Some(tape) });
    let forward = |forward| MediaCommand::Forward { source: source(), forward: Box::new(forward) };
    for command in record.into_iter().chain(beside.forwards.into_iter().map(forward)) {
        if let Some(first) = mailboxes.first() {
            first.send(WorkerMessage::Command(command));
        }
    }
    let threads: io::Result<Vec<_>> = made.into_iter().map(run).collect();
    let threads = threads?;
    let mut source = Frames::new(media, Profile::AeadAes128Gcm, payload)?;
    let mut next = Instant::now();
    for _ in 0..frames {
        source.prepare(ssrc, packets);
        wait_until(next);
        for (i, (slot, len)) in source.slots.iter().zip(&source.lengths).enumerate() {
            wait_until(next + apart * u32::try_from(i).unwrap_or(0));
            socket.send_to(slot.get(..*len).unwrap_or_default(), server)?;
        }
        next += every;
        wait_until(next - every / 2);
        receivers.drain();
    }
    for mailbox in mailboxes {
        mailbox.send(WorkerMessage::Stop);
    }
    let join = |t: JoinHandle<Live>| t.join().map_err(|_| io::Error::other("a worker panicked"));
    threads.into_iter().map(join).collect()
}

/// The workers with their peers and routes, the way to each, and where the publisher sends to.
fn start(
    media: &Negotiated,
    workers: usize,
    gather: Duration,
    publisher: SocketAddr,
    to: &[SocketAddr],
) -> io::Result<(Vec<Worker>, Vec<Mailbox>, SocketAddr)> {
    let (now, profile) = (Instant::now(), Profile::AeadAes128Gcm);
    let (mut ways, mut inboxes) = (Vec::new(), Vec::new());
    for _ in 0..workers.max(1) {
        let ((way, inbox), waker) = (sync_channel(QUEUE), Arc::new(Waker::new()?));
        ways.push(Mailbox::new(way, Arc::clone(&waker)));
        inboxes.push((inbox, waker));
    }
    let mut made = Vec::new();
    for (index, (inbox, waker)) in inboxes.into_iter().enumerate() {
        made.push(worker(index, inbox, waker, ways.clone(), gather)?);
    }
    let Some((first, server)) = made.first_mut() else { return Err(io::Error::other("no worker")) };
    let server = *server;
    add_peer(first, media, profile, 0, publisher, now)?;
    for (i, remote) in to.iter().enumerate() {
        let index = i % made.len();
        let Some(((worker, _), way)) = made.get_mut(index).zip(ways.get(index)) else { continue };
        add_peer(worker, media, profile, i + 1, *remote, now)?;
        let (source, sink) = (end(media, 0), end(media, i + 1));
        way.send(if index == 0 {
            WorkerMessage::Command(MediaCommand::Route { source, sink })
        } else {
            WorkerMessage::RouteFrom { worker: 0, source, sink }
        });
    }
    Ok((made.into_iter().map(|(worker, _)| worker).collect(), ways, server))
}

fn run(mut worker: Worker) -> io::Result<JoinHandle<Live>> {
    std::thread::Builder::new().spawn(move || {
        let before = cpu_time();
        let (packets, calls_saved) = worker.bench_run();
        Live { cpu: cpu_time() - before, packets, calls_saved }
    })
}

fn wait_until(at: Instant) {
    while let Some(left) = at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        if left > Duration::from_millis(2) {
            std::thread::sleep(left / 2);
        } else {
            std::hint::spin_loop();
        }
    }
}
