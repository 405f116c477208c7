//! The places for connections: so many in all, so many for one address.
//!
//! When all are taken, a connection that is between requests, or too slow with its handshake, head or body, gives way
//! to the newcomer, the one that has been at it longest first. It must have been at it for a while, unless its address
//! holds far more places than the newcomer's. So a crowd of half-open requests cannot lock others out.

use super::{Allowance, Pulse};
use crate::Counters;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// An address is a crowd when it holds more places than another by this part of all (and by four at least).
const CROWD: usize = 8;

/// All places of one listener group.
#[derive(Debug)]
pub(crate) struct Admission {
    limit: usize,
    per_address: usize,
    allowance: Arc<Allowance>,
    counters: Arc<Counters>,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    next: u64,
    taken: HashMap<u64, (IpAddr, Arc<Pulse>)>,
    addresses: HashMap<IpAddr, usize>,
}

/// One place; free again when dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    admission: Arc<Admission>,
    number: u64,
    pulse: Arc<Pulse>,
}

impl Admission {
    /// `per_address` 0: no such limit.
    pub(crate) fn new(
        limit: usize,
        per_address: usize,
        allowance: Arc<Allowance>,
        counters: Arc<Counters>,
    ) -> Self {
        let per_address = if per_address == 0 { usize::MAX } else { per_address };
        Self { limit, per_address, allowance, counters, places: Mutex::default() }
    }

    /// A place for a connection from `address`, if there is one or one can be made.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Ticket> {
        let mut places = self.lock();
        let from_there = places.addresses.get(&address).copied().unwrap_or_default();
        let free = if from_there >= self.per_address {
            self.evict(&mut places, Some(address), usize::MAX)
        } else if places.taken.len() >= self.limit {
            let crowd = from_there.saturating_add((self.limit / CROWD).max(4));
            self.evict(&mut places, None, crowd)
        } else {
            true
        };
        if !free {
            self.counters.refused_full.up();
            return None;
        }
        let pulse = Arc::new(Pulse::new(self.allowance.clone()));
        let number = places.next;
        places.next += 1;
        places.taken.insert(number, (address, pulse.clone()));
        *places.addresses.entry(address).or_default() += 1;
        drop(places);
        Some(Ticket { admission: self.clone(), number, pulse })
    }

    /// Makes room: only among `address`'s connections if given; at once where one address holds more than `crowd`.
    fn evict(&self, places: &mut Places, address: Option<IpAddr>, crowd: usize) -> bool {
        let now = Instant::now();
        let slowest = places
            .taken
            .iter()
            .filter(|(_, (from, _))| address.is_none_or(|address| address == *from))
            .filter_map(|(number, (from, pulse))| Some((pulse.evictable_since()?, *number, from)))
            .filter(|(since, _, from)| {
                let crowded = places.addresses.get(from).is_some_and(|held| *held > crowd);
                crowded || now.duration_since(*since) >= self.allowance.times.evictable
            })
            .map(|(since, number, _)| (since, number))
            .min();
        let Some((_, number)) = slowest else { return false };
        if let Some(pulse) = places.free(number) {
            pulse.evict();
            self.counters.evicted.up();
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn free(&mut self, number: u64) -> Option<Arc<Pulse>> {
        let (address, pulse) = self.taken.remove(&number)?;
        if let Some(count) = self.addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
        Some(pulse)
    }
}

impl Ticket {
    pub(crate) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.admission.lock().free(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use std::time::Duration;
    use tokio::time::advance;

    fn admission(limit: usize, per_address: usize) -> Arc<Admission> {
        let allowance = Allowance::new(Arc::default(), &Limits::default());
        Arc::new(Admission::new(limit, per_address, Arc::new(allowance), Arc::default()))
    }

    fn from(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_house_refuses_until_a_place_is_free() {
        let house = admission(2, 0);
        let a = house.admit(from(1)).unwrap();
        let _b = house.admit(from(1)).unwrap();
        assert!(house.admit(from(2)).is_none());
        drop(a);
        assert!(house.admit(from(2)).is_some());
        assert_eq!(house.counters.refused_full.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_gives_way_but_never_one_that_is_served() {
        let house = admission(3, 0);
        let served = house.admit(from(1)).unwrap();
        served.pulse().on_request();
        advance(Duration::from_millis(100)).await;
        let slow = house.admit(from(2)).unwrap();
        advance(Duration::from_millis(100)).await;
        let idle = house.admit(from(3)).unwrap();
        idle.pulse().on_idle();
        assert!(house.admit(from(4)).is_none(), "nobody has been slow for long enough");
        advance(Duration::from_secs(2)).await;
        let first = house.admit(from(4)).unwrap();
        slow.pulse().evicted().await;
        first.pulse().on_request();
        let second = house.admit(from(4)).unwrap();
        idle.pulse().evicted().await;
        second.pulse().on_request();
        assert!(house.admit(from(4)).is_none(), "all are served");
        assert_eq!(house.lock().taken.len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_from_one_address_gives_way_at_once_to_others_but_not_to_its_own() {
        let house = admission(16, 0);
        let crowd: Vec<_> = (0..16).map(|_| house.admit(from(1)).unwrap()).collect();
        assert!(house.admit(from(1)).is_none());
        let others: Vec<_> = (0..6).map(|n| house.admit(from(2 + n % 2)).unwrap()).collect();
        crowd[0].pulse().evicted().await;
        crowd.iter().skip(1).for_each(|t| assert!(!t.pulse().on_request()));
        assert!(house.admit(from(4)).is_none(), "all of the crowd is served now");
        drop(others);
        assert!(house.admit(from(4)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_may_not_take_all() {
        let house = admission(10, 2);
        let held: Vec<_> = (0..2).map(|_| house.admit(from(1)).unwrap()).collect();
        for ticket in &held {
            ticket.pulse().on_request();
        }
        assert!(house.admit(from(1)).is_none());
        assert!(house.admit(from(2)).is_some());
        drop(held);
        assert!(house.admit(from(1)).is_some());
        assert!(house.lock().addresses.is_empty(), "addresses are forgotten with their connections");
    }
}
