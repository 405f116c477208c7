//! One client thread: its peers, their sockets, one timer. Nothing is allocated for each packet.

use super::peer::{Cx, Peer, PeerSpec};
use super::receive::Account;
use super::shared::Shared;
use super::tally::{Counters, Phase, Snapshot};
use crate::clock::now_ns;
use crate::histogram::Histogram;
use crate::process::waited;
use portunus_media::client::{Inbox, Loss, Outbox, Poller, WOKEN, Wake, cpu_time};
use portunus_sdp::Candidate;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;
use tokio::sync::oneshot;

const TIMER: u64 = u64::MAX - 1;
/// Waits no longer than this, whatever is scheduled.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// A packet that was sent later than this after its time is late.
pub(crate) const LATE_NS: u64 = 1_000_000;

pub(crate) enum Command {
    Open {
        id: u64,
        spec: Box<PeerSpec>,
    },
    Candidate {
        id: u64,
        candidate: Box<Candidate>,
    },
    Close {
        id: u64,
    },
    /// From now on packets of this measurement count.
    Begin {
        phase: u32,
        reply: oneshot::Sender<()>,
    },
    /// What the measurement found.
    Collect {
        reply: oneshot::Sender<Phase>,
    },
    /// Counters; with `turn`, times of this interval begin anew.
    Snapshot {
        turn: bool,
        reply: oneshot::Sender<Snapshot>,
    },
    /// Close all, and end.
    End,
}

/// Where commands for a thread go.
#[derive(Clone)]
pub(crate) struct Mailbox {
    sender: Sender<Command>,
    wake: Wake,
}

impl Mailbox {
    pub(crate) fn send(&self, command: Command) {
        if self.sender.send(command).is_ok() {
            self.wake.wake();
        }
    }
}

pub(crate) struct Worker {
    shared: Arc<Shared>,
    commands: Receiver<Command>,
    poller: Poller,
    timer: OwnedFd,
    /// What the timer is set to.
    armed_ns: u64,
    inbox: Inbox,
    outbox: Outbox,
    loss: Loss,
    /// By number; none is given out twice.
    peers: Vec<Option<Box<Peer>>>,
    /// When peers want to be called; entries may be old.
    wakes: BinaryHeap<Reverse<(u64, u64)>>,
    /// When streams have a packet to send.
    sends: BinaryHeap<Reverse<(u64, u64, usize)>>,
    counters: Counters,
    interval: Histogram,
    phase: Phase,
    /// Late sends that earlier phases counted, and late sends told so far.
    late_told: u64,
    ending: bool,
}

/// What a peer may change of a worker beside itself. A function would borrow the whole worker, the peer included.
macro_rules! context {
    ($worker:ident) => {
        Cx {
            outbox: &mut $worker.outbox,
            account: Account {
                shared: &$worker.shared,
                counters: &mut $worker.counters,
                latency: &mut $worker.interval,
                phase: &mut $worker.phase,
            },
        }
    };
}

impl Worker {
    pub(crate) fn new(
        shared: Arc<Shared>,
        commands: Receiver<Command>,
        sender: Sender<Command>,
        seed: u64,
    ) -> anyhow::Result<(Self, Mailbox)> {
        let poller = Poller::new()?;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        poller.add_other(&timer, TIMER)?;
        let mailbox = Mailbox { sender, wake: poller.wake() };
        let loss = shared.settings.loss;
        let worker = Self {
            commands,
            poller,
            timer,
            armed_ns: u64::MAX,
            inbox: Inbox::new(),
            outbox: Outbox::new(Loss::new(loss, seed * 2 + 1)),
            loss: Loss::new(loss, seed * 2 + 2),
            peers: Vec::new(),
            wakes: BinaryHeap::new(),
            sends: BinaryHeap::new(),
            counters: Counters::default(),
            interval: Histogram::default(),
            phase: Phase::default(),
            late_told: 0,
            ending: false,
            shared,
        };
        Ok((worker, mailbox))
    }

    pub(crate) fn run(mut self) -> anyhow::Result<()> {
        let mut ready = Vec::new();
        while !self.ending {
            let now = self.do_what_is_due();
            let timeout = self.arm(now)?;
            self.poller.wait(timeout, &mut ready)?;
            for token in ready.drain(..) {
                match token {
                    WOKEN => {
                        while let Ok(command) = self.commands.try_recv() {
                            self.handle(command);
                        }
                    }
                    // Read or not, setting it anew is what silences it.
                    TIMER => self.armed_ns = 0,
                    id => {
                        self.receive(id)?;
                        self.send_due(now_ns());
                    }
                }
            }
        }
        Ok(())
    }

    fn peer(&self, id: u64) -> Option<&Peer> {
        self.peers.get(id as usize)?.as_deref()
    }

    fn do_what_is_due(&mut self) -> u64 {
        let now = now_ns();
        self.send_due(now);
        while let Some(Reverse((at, id))) = self.wakes.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            self.wakes.pop();
            if self.peer(id).is_some_and(|peer| peer.wake_ns == at) {
                self.call(id, now);
                self.send_due(now_ns());
            }
        }
        now
    }

    /// Sets the timer to the next thing to do; how long to wait beside it.
    fn arm(&mut self, now: u64) -> anyhow::Result<Duration> {
        let wake = self.wakes.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
        let send = self.sends.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
        let next = wake.min(send);
        if next <= now {
            return Ok(Duration::ZERO);
        }
        if next != self.armed_ns {
            self.armed_ns = next;
            let at = if next == u64::MAX { 0 } else { next };
            let spec = Itimerspec {
                it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
                it_value: Timespec {
                    tv_sec: i64::try_from(at / 1_000_000_000)?,
                    tv_nsec: i64::try_from(at % 1_000_000_000)?,
                },
            };
            rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &spec)?;
        }
        Ok(LONGEST_WAIT)
    }

    fn send_due(&mut self, now: u64) {
        while let Some(Reverse((at, id, stream))) = self.sends.peek().copied() {
            if at > now {
                break;
            }
            self.sends.pop();
            let Some(peer) = peer_of(&mut self.peers, id) else { continue };
            let mut cx = context!(self);
            // The time is taken anew: what was sent before took some of it, and the stamp must be right.
            let next = peer.send_media(stream, now_ns(), &mut cx);
            self.outbox.flush(&peer.socket);
            if let Some(next) = next {
                self.sends.push(Reverse((next, id, stream)));
            }
        }
    }

    fn receive(&mut self, id: u64) -> anyhow::Result<()> {
        let Some(peer) = peer_of(&mut self.peers, id) else { return Ok(()) };
        let n = self.inbox.receive(&peer.socket)?;
        let now = now_ns();
        let mut cx = context!(self);
        for i in 0..n {
            let Some((datagram, from)) = self.inbox.datagram(i) else { continue };
            if !self.loss.takes_next() {
                peer.handle_datagram(now, datagram, from, &mut cx);
            }
        }
        self.outbox.flush(&peer.socket);
        if peer.wake_ns == 0 {
            self.call(id, now);
        }
        Ok(())
    }

    /// Lets a peer do what is due, and remembers when it wants to be called next.
    fn call(&mut self, id: u64, now: u64) {
        let Some(peer) = peer_of(&mut self.peers, id) else { return };
        let was_up = peer.is_up();
        let mut cx = context!(self);
        peer.handle_timeout(now, &mut cx);
        self.outbox.flush(&peer.socket);
        self.wakes.push(Reverse((peer.wake_ns, id)));
        if peer.is_up() && !was_up {
            let due = peer.senders.iter().enumerate();
            self.sends.extend(due.map(|(stream, s)| Reverse((s.schedule.due_ns(), id, stream))));
        }
    }

    fn handle(&mut self, command: Command) {
        let now = now_ns();
        match command {
            Command::Open { id, spec } => {
                let peer = Peer::new(*spec, &self.shared);
                if let Err(error) = self.poller.add(&peer.socket, id) {
                    peer.tell(super::peer::Told::Ended(format!("epoll: {error}")));
                    return;
                }
                let at = id as usize;
                if at >= self.peers.len() {
                    self.peers.resize_with(at + 1, || None);
                }
                self.peers[at] = Some(Box::new(peer));
                self.call(id, now);
            }
            Command::Candidate { id, candidate } => {
                if let Some(peer) = peer_of(&mut self.peers, id) {
                    peer.connection.add_candidate(&candidate);
                    self.call(id, now);
                }
            }
            Command::Close { id } => self.close(id, now),
            Command::Begin { phase, reply } => {
                self.phase = Phase::new(phase);
                let _ = reply.send(());
            }
            Command::Collect { reply } => {
                let mut phase = std::mem::take(&mut self.phase);
                for peer in self.peers.iter().flatten() {
                    peer.settle(&mut phase, now, &self.shared, false);
                }
                self.late_told = 0;
                let _ = reply.send(phase);
            }
            Command::Snapshot { turn, reply } => {
                let _ = reply.send(self.snapshot(turn));
            }
            Command::End => {
                (0..self.peers.len() as u64).for_each(|id| self.close(id, now));
                self.ending = true;
            }
        }
    }

    fn close(&mut self, id: u64, now: u64) {
        let Some(mut peer) = self.peers.get_mut(id as usize).and_then(Option::take) else { return };
        if self.phase.number != 0 {
            peer.settle(&mut self.phase, now, &self.shared, true);
        }
        peer.connection.close(self.shared.clock.instant(now), &mut self.outbox);
        self.outbox.flush(&peer.socket);
    }

    fn snapshot(&mut self, turn: bool) -> Snapshot {
        self.counters.refused += self.outbox.take_refused();
        let late = self.phase.lateness.above(LATE_NS);
        let new = late.saturating_sub(self.late_told);
        let snapshot = Snapshot {
            counters: self.counters,
            latency: self.interval.clone(),
            late: new,
            peers: self.peers.iter().flatten().count(),
            up: self.peers.iter().flatten().filter(|p| p.is_up()).count(),
            cpu_ns: vec![u64::try_from(cpu_time().as_nanos()).unwrap_or(u64::MAX)],
            waited_ns: vec![waited("/proc/thread-self/schedstat".as_ref()).unwrap_or(0)],
        };
        if turn {
            self.late_told = late;
            self.interval.clear();
        }
        snapshot
    }
}

/// For where other parts of the worker are borrowed, too.
fn peer_of(peers: &mut [Option<Box<Peer>>], id: u64) -> Option<&mut Peer> {
    peers.get_mut(id as usize)?.as_deref_mut()
}
