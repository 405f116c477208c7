//! How joining went: who came in, who did not and why, and how long it took.

use crate::api::Failure;
use crate::histogram::Histogram;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Failures of one class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) count: u64,
    /// What one of them said.
    pub(crate) example: String,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Joined {
    pub(crate) attempted: u64,
    pub(crate) succeeded: u64,
    pub(crate) failures: BTreeMap<String, Failed>,
    /// Calls that were set up and ended by themselves.
    pub(crate) lost: BTreeMap<String, Failed>,
    /// From attaching to the end of the DTLS handshake, of who sends and of who receives.
    pub(crate) publisher_up: Histogram,
    pub(crate) up: Histogram,
    /// From attaching to the first packet of a frame that could be decoded.
    pub(crate) media: Histogram,
}

/// Shared by all who join.
#[derive(Debug, Default)]
pub(crate) struct Setup(Mutex<Joined>);

impl Setup {
    fn lock(&self) -> MutexGuard<'_, Joined> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn attempted(&self) {
        self.lock().attempted += 1;
    }

    pub(crate) fn published(&self, up_ns: u64) {
        let mut joined = self.lock();
        joined.succeeded += 1;
        joined.publisher_up.add(up_ns);
    }

    /// A session, which is all there was to be.
    pub(crate) fn created(&self) {
        self.lock().succeeded += 1;
    }

    pub(crate) fn subscribed(&self, up_ns: u64, media_ns: Option<u64>) {
        let mut joined = self.lock();
        joined.succeeded += 1;
        joined.up.add(up_ns);
        if let Some(ns) = media_ns {
            joined.media.add(ns);
        }
    }

    pub(crate) fn failed(&self, why: &Failure) {
        note(&mut self.lock().failures, why);
    }

    pub(crate) fn lost(&self, why: &Failure) {
        note(&mut self.lock().lost, why);
    }

    pub(crate) fn get(&self) -> Joined {
        self.lock().clone()
    }
}

fn note(all: &mut BTreeMap<String, Failed>, why: &Failure) {
    let failed = all.entry(why.class.clone()).or_default();
    failed.count += 1;
    if failed.example.is_empty() {
        failed.example.clone_from(&why.detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_class() {
        let setup = Setup::default();
        for detail in ["error 403: one", "error 403: two"] {
            setup.attempted();
            setup.failed(&Failure::new("error 403", detail));
        }
        setup.attempted();
        setup.subscribed(1000, Some(2000));
        let joined = setup.get();
        assert_eq!((joined.attempted, joined.succeeded), (3, 1));
        let failed = Failed { count: 2, example: "error 403: one".to_owned() };
        assert_eq!(joined.failures.into_iter().collect::<Vec<_>>(), [("error 403".to_owned(), failed)]);
        assert_eq!(joined.media.count(), 1);
    }
}
