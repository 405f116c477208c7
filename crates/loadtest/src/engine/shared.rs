//! What all threads of the engine share: which measurement is on, and how much each source has sent in it.

use crate::clock::Clock;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// How frames leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Spacing {
    /// The packets of a frame evenly over the time until the next.
    Paced,
    /// The packets of a frame within 0.2 ms, their sizes one octet apart and the longer ones last, as Chromium does.
    Chromium,
    /// The packets of a frame back to back in one system call.
    Burst,
}

/// How media are sent and received.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) fps: u32,
    pub(crate) spacing: Spacing,
    /// A keyframe is so many times as large as another frame.
    pub(crate) keyframe_factor: u32,
    /// Ask for lost packets of video, and answer those who ask.
    pub(crate) nack: bool,
    /// Percent of packets lost on the way out, and on the way in.
    pub(crate) loss: f64,
    /// A picture that stands longer than this is frozen.
    pub(crate) freeze_ns: u64,
}

/// What scenarios without media go by.
impl Default for Settings {
    fn default() -> Self {
        Self {
            fps: 30,
            spacing: Spacing::Burst,
            keyframe_factor: 1,
            nack: false,
            loss: 0.0,
            freeze_ns: u64::MAX,
        }
    }
}

/// See the module.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    /// The measurement that packets count for; 0: none.
    phase: AtomicU32,
    /// When the latest measurement began, and when it ended.
    began_ns: AtomicU64,
    ended_ns: AtomicU64,
    sources: RwLock<Vec<Arc<Source>>>,
}

/// A stream that we send. Its thread alone writes.
#[derive(Debug, Default)]
pub(crate) struct Source {
    phase: AtomicU32,
    start: AtomicU64,
    end: AtomicU64,
}

impl Source {
    /// Packet `counter` counts for `phase`.
    pub(crate) fn on_sent(&self, phase: u32, counter: u64) {
        if self.phase.load(Ordering::Relaxed) != phase {
            self.start.store(counter, Ordering::Relaxed);
            self.end.store(counter + 1, Ordering::Relaxed);
            self.phase.store(phase, Ordering::Release);
            return;
        }
        self.end.store(counter + 1, Ordering::Release);
    }

    /// The packets that counted for `phase`: the first, and the one behind the last.
    pub(crate) fn sent_in(&self, phase: u32) -> Option<(u64, u64)> {
        let same = self.phase.load(Ordering::Acquire) == phase;
        same.then(|| (self.start.load(Ordering::Relaxed), self.end.load(Ordering::Acquire)))
    }
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            settings,
            clock: Clock::new(),
            phase: AtomicU32::new(0),
            began_ns: AtomicU64::new(0),
            ended_ns: AtomicU64::new(0),
            sources: RwLock::default(),
        })
    }

    /// The measurement that packets sent now count for.
    pub(crate) fn phase(&self) -> u32 {
        self.phase.load(Ordering::Relaxed)
    }

    /// What is sent from `now_ns` on counts for `phase`.
    pub(crate) fn begin(&self, phase: u32, now_ns: u64) {
        self.began_ns.store(now_ns, Ordering::Relaxed);
        self.ended_ns.store(u64::MAX, Ordering::Relaxed);
        self.phase.store(phase, Ordering::Relaxed);
    }

    /// What is sent from `now_ns` on counts for none.
    pub(crate) fn pause(&self, now_ns: u64) {
        self.phase.store(0, Ordering::Relaxed);
        self.ended_ns.store(now_ns, Ordering::Relaxed);
    }

    /// The time of the latest measurement: nothing before the first, without an end while it is on.
    pub(crate) fn measured(&self) -> Range<u64> {
        self.began_ns.load(Ordering::Relaxed)..self.ended_ns.load(Ordering::Relaxed)
    }

    /// A new source and its number.
    pub(crate) fn add_source(&self) -> (u32, Arc<Source>) {
        let mut all = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        let source = Arc::new(Source::default());
        all.push(Arc::clone(&source));
        (u32::try_from(all.len() - 1).unwrap_or(u32::MAX), source)
    }

    /// The source with this number; `None` if it is another process'.
    pub(crate) fn source(&self, number: u32) -> Option<Arc<Source>> {
        let all = self.sources.read().unwrap_or_else(PoisonError::into_inner);
        all.get(usize::try_from(number).ok()?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_knows_what_it_sent_in_the_latest_phase() {
        let source = Source::default();
        source.on_sent(1, 10);
        source.on_sent(1, 11);
        assert_eq!(source.sent_in(1), Some((10, 12)));
        assert_eq!(source.sent_in(2), None);
        source.on_sent(2, 40);
        assert_eq!((source.sent_in(1), source.sent_in(2)), (None, Some((40, 41))));
    }
}
