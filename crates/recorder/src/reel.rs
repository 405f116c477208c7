//! A tape: where a worker puts packets, and a writing thread finds them.

use crate::Counters;
use portunus_mjr as mjr;
use portunus_plugin::media::{RouteEnd, Tapped};
use portunus_plugin::recording::{Recording, Tape};
use portunus_sdp::MediaKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// So much that waits is written at once, not a quarter of a second later.
const MUCH: usize = 32 << 10;

/// Octets of a publisher's description in a header at most.
const LONGEST_DESCRIPTION: usize = 1000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Reel {
    pub(crate) source: RouteEnd,
    pub(crate) recording: Recording,
    writer: Thread,
    limits: (usize, usize),
    counters: Arc<Counters>,
    created: SystemTime,
    ended: AtomicBool,
    waiting: Mutex<Waiting>,
}

/// What waits to be written.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// The header, until it is taken.
    pub(crate) header: Option<Vec<u8>>,
    /// Whole frames.
    pub(crate) bytes: Vec<u8>,
    pub(crate) frames: u64,
    /// Frames that found no room since the last time.
    pub(crate) lost: u64,
    /// When the first frame came, since the beginning.
    pub(crate) first: Option<Instant>,
}

impl Reel {
    pub(crate) fn new(
        source: RouteEnd,
        recording: Recording,
        writer: Thread,
        limits: (usize, usize),
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            source,
            recording,
            writer,
            limits,
            counters,
            created: SystemTime::now(),
            ended: AtomicBool::new(false),
            waiting: Mutex::default(),
        }
    }

    /// Nothing is taken any more.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.writer.unpark();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Takes what waits; `spare` is what the worker goes on with.
    pub(crate) fn take(&self, spare: Vec<u8>) -> Waiting {
        let mut waiting = self.lock();
        let first = waiting.first;
        let taken = std::mem::replace(&mut *waiting, Waiting { bytes: spare, first, ..Waiting::default() });
        drop(waiting);
        self.counters.waiting.fetch_sub(taken.bytes.len(), Ordering::Relaxed);
        taken
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Every change is made in one piece.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn header(&self) -> Option<Vec<u8>> {
        let r = &self.recording.subject;
        let medium = match r.kind {
            MediaKind::Audio => mjr::Medium::Audio,
            MediaKind::Video => mjr::Medium::Video,
            _ => mjr::Medium::Data,
        };
        let header = mjr::Header {
            medium,
            codec: r.codec.clone(),
            fmtp: r.fmtp.clone(),
            description: r.description.as_deref().map(shortened),
            extensions: r.extensions.clone(),
            created: micros(self.created),
            first_frame: micros(SystemTime::now()),
            red: r.red,
            encrypted: r.encrypted,
        };
        let written = |header: &mjr::Header| {
            let mut text = Vec::new();
            mjr::write_header(&mut text, header).ok().map(|()| text)
        };
        // A file without a header is none that can be read: rather one that says less.
        written(&header).or_else(|| {
            written(&mjr::Header { description: None, fmtp: None, extensions: Vec::new(), ..header })
        })
    }
}

/// Janus' own tool reads headers of less than 1,500 octets.
fn shortened(description: &str) -> String {
    description.get(..description.floor_char_boundary(LONGEST_DESCRIPTION)).unwrap_or_default().to_owned()
}

impl Tape for Reel {
    fn packet(&self, now: Instant, packet: Tapped<'_>) {
        if self.has_ended() {
            return;
        }
        let (most, most_together) = self.limits;
        let mut waiting = self.lock();
        let first = match waiting.first {
            Some(first) => first,
            None => {
                waiting.header = self.header();
                *waiting.first.insert(now)
            }
        };
        let before = waiting.bytes.len();
        let together = self.counters.waiting.load(Ordering::Relaxed);
        if before >= most || together >= most_together {
            waiting.lost += 1;
            return;
        }
        let ms = u32::try_from(now.saturating_duration_since(first).as_millis()).unwrap_or(u32::MAX);
        let written = match packet {
            Tapped::Rtp(bytes) | Tapped::Rtcp(bytes) => mjr::write_frame(&mut waiting.bytes, ms, bytes),
            Tapped::Data(bytes) => mjr::write_data(&mut waiting.bytes, ms, micros(SystemTime::now()), bytes),
        };
        if written.is_err() {
            waiting.lost += 1;
            return;
        }
        waiting.frames += 1;
        let after = waiting.bytes.len();
        // While nobody can take it: what is taken has been counted.
        self.counters.waiting.fetch_add(after - before, Ordering::Relaxed);
        drop(waiting);
        // Once for each time it is passed.
        if before < MUCH && after >= MUCH {
            self.writer.unpark();
        }
    }
}

fn micros(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
