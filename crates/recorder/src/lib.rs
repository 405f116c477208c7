//! Recordings on disk.
//!
//! A media worker puts packets on a tape: a buffer behind a lock that nobody holds for longer than a copy takes. Threads
//! of their own write the tapes to files, four times a second and whenever much waits; so `kill -9` costs a recording a
//! quarter of a second, or 64 KB. A disk that does not keep up costs frames, which are counted, and nothing else.
//!
//! A medium has an MJR file, a part in a film (a file that plays while it is written, see `portunus_mjr::live`), or both:
//! the same tape feeds them, so that a worker does no more for two.
//!
//! Files hold whole frames only: what a full disk cut off is taken back. They are made below allowed folders, by a way that
//! follows no link, and never over another file: `-1`, `-2` and so on are added to the name.
//!
//! Absent on purpose: what is worth recording (plugins say), RTP (packets are bytes here).

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod file;
mod film;
mod reel;
mod writer;

#[cfg(test)]
mod tests;

use portunus_plugin::HandleId;
use portunus_plugin::media::RouteEnd;
use portunus_plugin::recording::{Recording, RecordingNews, Tape};
use reel::Reel;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};
use writer::Writer;

/// How recordings are written.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads that write; one at least.
    pub threads: usize,
    /// Put behind the name of a file while it is open (`recordings_tmp_ext`).
    pub temporary: Option<String>,
    /// What was written is forced to the disk at least so often; without it that is left to the system.
    pub sync: Option<Duration>,
    /// Bytes of one recording that may wait for the disk.
    pub waiting: usize,
    /// Bytes of all recordings together that may wait.
    pub waiting_total: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { threads: 2, temporary: None, sync: None, waiting: 8 << 20, waiting_total: 256 << 20 }
    }
}

/// What is counted.
#[derive(Debug, Default)]
pub struct Counters {
    /// Recordings that go on.
    pub open: AtomicU64,
    /// Recordings begun.
    pub begun: AtomicU64,
    /// Times that a recording could not be written.
    pub failed: AtomicU64,
    /// Frames written.
    pub frames: AtomicU64,
    /// Bytes written.
    pub bytes: AtomicU64,
    /// Frames lost: the disk was full, failed or did not keep up.
    pub lost: AtomicU64,
    /// Bytes that wait for the disk.
    pub waiting: AtomicUsize,
}

/// Who is told what becomes of recordings; on a thread that writes: must not wait.
pub type Tell = dyn Fn(RouteEnd, RecordingNews) + Send + Sync;

/// All recordings of a process.
#[derive(Debug)]
pub struct Recorder {
    settings: Settings,
    counters: Arc<Counters>,
    threads: Vec<Worker>,
    reels: HashMap<RouteEnd, Arc<Reel>>,
}

#[derive(Debug)]
struct Worker {
    reels: Sender<Arc<Reel>>,
    thread: Thread,
    join: JoinHandle<()>,
}

impl Recorder {
    /// Starts the threads; `tell` is told what becomes of recordings.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn start(settings: Settings, tell: Arc<Tell>) -> io::Result<Self> {
        let counters = Arc::new(Counters::default());
        let threads = (0..settings.threads.max(1)).map(|n| {
            let (reels, received) = channel();
            let writer = Writer::new(received, settings.clone(), counters.clone(), tell.clone());
            let join = thread::Builder::new().name(format!("recorder-{n}")).spawn(move || writer.run())?;
            Ok(Worker { reels, thread: join.thread().clone(), join })
        });
        let threads = threads.collect::<io::Result<_>>()?;
        Ok(Self { settings, counters, threads, reels: HashMap::new() })
    }

    /// What is counted.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Begins a recording of a medium, in the place of the one that goes on. Its file is made elsewhere, later; what comes
    /// before waits.
    pub fn begin(&mut self, source: RouteEnd, recording: Recording) -> Option<Arc<dyn Tape>> {
        self.end(&source);
        // All media of a handle are written by one thread: they may share a file. Handles are random numbers.
        let threads = u64::try_from(self.threads.len()).unwrap_or(1).max(1);
        let worker = self.threads.get(usize::try_from(source.handle.get() % threads).ok()?)?;
        let limits = (self.settings.waiting, self.settings.waiting_total);
        let counters = self.counters.clone();
        let reel = Arc::new(Reel::new(source.clone(), recording, worker.thread.clone(), limits, counters));
        self.counters.open.fetch_add(1, Ordering::Relaxed);
        self.counters.begun.fetch_add(1, Ordering::Relaxed);
        worker.reels.send(reel.clone()).ok()?;
        worker.thread.unpark();
        self.reels.insert(source, reel.clone());
        Some(reel)
    }

    /// Ends a recording: what waits is written, and its file closed.
    pub fn end(&mut self, source: &RouteEnd) {
        if let Some(reel) = self.reels.remove(source) {
            reel.end();
        }
    }

    /// Ends all recordings of a handle.
    pub fn end_all(&mut self, handle: HandleId) {
        self.reels.retain(|source, reel| {
            let stays = source.handle != handle;
            if !stays {
                reel.end();
            }
            stays
        });
    }

    /// Ends everything; returns when all files are closed, or after `patience`: a disk that hangs holds nobody up.
    pub fn finish(mut self, patience: Duration) {
        self.reels.drain().for_each(|(_, reel)| reel.end());
        let end = Instant::now() + patience;
        for Worker { reels, thread, join } in self.threads.drain(..) {
            drop(reels);
            thread.unpark();
            while !join.is_finished() && Instant::now() < end {
                thread::sleep(Duration::from_millis(5));
            }
            if join.is_finished() {
                // A panic there has been told already.
                let _ = join.join();
            }
        }
    }
}
