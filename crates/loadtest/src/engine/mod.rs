//! The media side of the clients: threads, each with its peers.

mod frames;
mod pace;
mod peer;
mod receive;
mod send;
mod shared;
mod tally;
mod worker;

pub(crate) use pace::Schedule;
pub(crate) use peer::{PeerSpec, Told};
pub(crate) use send::SendSpec;
pub(crate) use shared::{Settings, Shared, Spacing};
pub(crate) use tally::{Counters, Phase, Snapshot};
pub(crate) use worker::LATE_NS;

use crate::clock::now_ns;
use anyhow::Context;
use portunus_sdp::Candidate;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use tokio::sync::oneshot;
use worker::{Command, Mailbox, Worker};

pub(crate) struct Engine {
    pub(crate) shared: Arc<Shared>,
    mailboxes: Vec<Mailbox>,
    threads: std::sync::Mutex<Vec<JoinHandle<anyhow::Result<()>>>>,
    next: AtomicU64,
}

/// A peer on one of the threads. It is closed when this is dropped.
pub(crate) struct Opened {
    mailbox: Mailbox,
    id: u64,
}

impl Opened {
    pub(crate) fn add_candidate(&self, candidate: Candidate) {
        self.mailbox.send(Command::Candidate { id: self.id, candidate: Box::new(candidate) });
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.mailbox.send(Command::Close { id: self.id });
    }
}

impl Engine {
    /// Starts so many threads.
    pub(crate) fn start(settings: Settings, threads: usize) -> anyhow::Result<Arc<Self>> {
        let shared = Shared::new(settings);
        let (mut mailboxes, mut handles) = (Vec::new(), Vec::new());
        for n in 0..threads.max(1) {
            let (sender, commands) = channel();
            let (worker, mailbox) = Worker::new(Arc::clone(&shared), commands, sender, n as u64)?;
            let thread = std::thread::Builder::new().name(format!("client-{n}"));
            handles.push(thread.spawn(move || worker.run()).context("cannot start a thread")?);
            mailboxes.push(mailbox);
        }
        let threads = std::sync::Mutex::new(handles);
        Ok(Arc::new(Self { shared, mailboxes, threads, next: AtomicU64::new(0) }))
    }

    /// Hands a peer to one of the threads, in turns.
    pub(crate) fn open(&self, spec: PeerSpec) -> Opened {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        // Each thread counts its own.
        let threads = self.mailboxes.len() as u64;
        let (at, id) = ((id % threads) as usize, id / threads);
        let mailbox = self.mailboxes[at].clone();
        mailbox.send(Command::Open { id, spec: Box::new(spec) });
        Opened { mailbox, id }
    }

    /// What is sent from now on counts for measurement `phase`.
    pub(crate) async fn begin(&self, phase: u32) {
        // All threads know it before the first packet of it is sent, or it would be taken for lost.
        for answer in self.ask(|reply| Command::Begin { phase, reply }) {
            let _ = answer.await;
        }
        self.shared.begin(phase, now_ns());
    }

    /// What is sent from now on counts for none.
    pub(crate) fn pause(&self) {
        self.shared.pause(now_ns());
    }

    /// What the measurement found that [`Self::pause`] ended.
    pub(crate) async fn collect(&self) -> Phase {
        let mut all = Phase::default();
        for answer in self.ask(|reply| Command::Collect { reply }) {
            if let Ok(part) = answer.await {
                all.number = part.number;
                all.merge(&part);
            }
        }
        all
    }

    /// Counters of all threads; with `turn`, what is told of an interval begins anew.
    pub(crate) async fn snapshot(&self, turn: bool) -> Snapshot {
        let mut all = Snapshot::default();
        for answer in self.ask(|reply| Command::Snapshot { turn, reply }) {
            if let Ok(part) = answer.await {
                all.merge(&part);
            }
        }
        all
    }

    fn ask<T>(&self, command: impl Fn(oneshot::Sender<T>) -> Command) -> Vec<oneshot::Receiver<T>> {
        let ask = |mailbox: &Mailbox| {
            let (reply, answer) = oneshot::channel();
            mailbox.send(command(reply));
            answer
        };
        self.mailboxes.iter().map(ask).collect()
    }

    /// Closes all peers and ends the threads.
    pub(crate) fn end(&self) -> anyhow::Result<()> {
        self.mailboxes.iter().for_each(|m| m.send(Command::End));
        let handles =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        for handle in handles {
            handle.join().map_err(|_| anyhow::anyhow!("a client thread panicked"))??;
        }
        Ok(())
    }
}
