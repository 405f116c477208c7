//! Which worker a handle's peer lives on. Handles of one affinity (a room) stay together until their worker is busy;
//! then the next ones go to the worker that has the fewest. A peer never moves.

use portunus_plugin::HandleId;
use std::collections::HashMap;

/// A room's worker is busy when it has so many handles more than the least loaded one. Handles are what is known
/// without asking a worker, and they decide the same way each time. A whole meeting stays below it: 64 subscribers of
/// an ordinary video cost about a twentieth of a core, and each further worker of a room costs a copy and a wake-up
/// for each batch of each publisher. Above it the cost of a copy is shared by many sinks.
pub(crate) const SPILL: usize = 64;

/// See the module.
#[derive(Debug)]
pub(crate) struct Placement {
    /// Handles of each worker.
    handles: Vec<usize>,
    placed: HashMap<HandleId, Placed>,
    affinities: HashMap<String, Affinity>,
}

#[derive(Debug)]
struct Placed {
    worker: usize,
    affinity: Option<String>,
}

#[derive(Debug)]
struct Affinity {
    /// Where its first handle went.
    home: usize,
    handles: usize,
}

impl Placement {
    /// For so many workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self { handles: vec![0; workers], placed: HashMap::new(), affinities: HashMap::new() }
    }

    /// Handles of each worker.
    pub(crate) fn loads(&self) -> &[usize] {
        &self.handles
    }

    /// The worker of a handle that has one.
    pub(crate) fn worker_of(&self, handle: HandleId) -> Option<usize> {
        self.placed.get(&handle).map(|p| p.worker)
    }

    /// The worker of a handle; decides when it is asked first.
    pub(crate) fn place(&mut self, handle: HandleId, affinity: Option<&str>, wanted: Option<usize>) -> usize {
        if let Some(worker) = self.worker_of(handle) {
            return worker;
        }
        let (least, fewest) =
            self.handles.iter().copied().enumerate().min_by_key(|(_, n)| *n).unwrap_or((0, 0));
        let wanted = wanted.filter(|w| *w < self.handles.len());
        let worker = match affinity.and_then(|a| self.affinities.get(a)) {
            Some(Affinity { home, .. }) => {
                let busy = self.handles.get(*home).is_none_or(|n| *n >= fewest + SPILL);
                if busy { least } else { *home }
            }
            None => wanted.unwrap_or(least),
        };
        if let Some(a) = affinity {
            let entry = self.affinities.entry(a.to_owned());
            entry.or_insert(Affinity { home: worker, handles: 0 }).handles += 1;
        }
        if let Some(n) = self.handles.get_mut(worker) {
            *n += 1;
        }
        self.placed.insert(handle, Placed { worker, affinity: affinity.map(str::to_owned) });
        worker
    }

    /// The handle is gone; says where it was.
    pub(crate) fn forget(&mut self, handle: HandleId) -> Option<usize> {
        let placed = self.placed.remove(&handle)?;
        if let Some(n) = self.handles.get_mut(placed.worker) {
            *n = n.saturating_sub(1);
        }
        if let Some(a) = placed.affinity
            && let Some(entry) = self.affinities.get_mut(&a)
        {
            entry.handles = entry.handles.saturating_sub(1);
            if entry.handles == 0 {
                self.affinities.remove(&a);
            }
        }
        Some(placed.worker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(n: u64) -> HandleId {
        HandleId::from_random(n)
    }

    #[test]
    fn a_room_of_501_uses_all_workers() {
        for (workers, most) in [(2, 283), (4, 174)] {
            let mut p = Placement::new(workers);
            for n in 1..=501 {
                p.place(handle(n), Some("room"), None);
            }
            assert_eq!(p.handles.iter().sum::<usize>(), 501);
            let (least, home) = (p.handles.iter().min().unwrap(), p.handles.iter().max().unwrap());
            assert!(home - least <= SPILL && *home <= most, "{:?}", p.handles);
            assert_eq!(p.worker_of(handle(1)), p.worker_of(handle(SPILL as u64)), "the first ones together");
        }
    }

    #[test]
    fn ten_rooms_of_ten_stay_whole() {
        for workers in [2, 4] {
            // One room after the other, and all of them growing at once.
            for interleaved in [false, true] {
                let mut p = Placement::new(workers);
                for i in 0..100 {
                    let room = if interleaved { i % 10 } else { i / 10 };
                    p.place(handle(i + 1), Some(&room.to_string()), None);
                }
                for i in 0..100 {
                    let first = if interleaved { i % 10 } else { i / 10 * 10 };
                    assert_eq!(p.worker_of(handle(i + 1)), p.worker_of(handle(first + 1)));
                }
                assert!(p.handles.iter().all(|n| *n >= 20), "{:?}", p.handles);
            }
        }
    }

    #[test]
    fn a_worker_that_was_asked_for_is_taken_but_a_room_stays_together() {
        let mut p = Placement::new(3);
        assert_eq!(p.place(handle(1), None, Some(2)), 2);
        assert_eq!(p.place(handle(2), None, Some(7)), 0, "there is no such worker");
        assert_eq!(p.place(handle(3), Some("room"), Some(1)), 1);
        assert_eq!(p.place(handle(4), Some("room"), Some(2)), 1);
        assert_eq!(p.place(handle(4), Some("other"), Some(0)), 1, "a peer never moves");
    }

    #[test]
    fn an_empty_room_has_no_home() {
        let mut p = Placement::new(2);
        let home = p.place(handle(1), Some("room"), None);
        assert_eq!(p.forget(handle(1)), Some(home));
        assert_eq!((p.forget(handle(1)), p.worker_of(handle(1))), (None, None));
        p.place(handle(2), None, Some(home));
        assert_ne!(p.place(handle(3), Some("room"), None), home);
    }
}
