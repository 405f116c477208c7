//! Wrong secrets: who gives several is answered more and more slowly. Whoever gives the right one is not, also
//! from the same address: nobody is locked out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Wrong secrets of one address that are answered at once.
const FREE_GUESSES: u32 = 5;
/// The longest that an answer is held back.
const GUESS_DELAY: Duration = Duration::from_secs(5);
/// Addresses that are remembered; the one that was silent longest is forgotten for another.
const GUESSERS: usize = 1024;
/// Silence after which an address begins anew.
const GUESSER_MEMORY: Duration = Duration::from_secs(300);
/// The first delay; each further guess doubles it.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// The addresses wrong secrets came from.
#[derive(Debug, Default)]
pub struct Guesses {
    of: BTreeMap<IpAddr, Guesser>,
}

#[derive(Debug)]
struct Guesser {
    count: u32,
    last: Instant,
}

impl Guesses {
    /// One more wrong secret: how long its answer is held back.
    pub fn wrong(&mut self, address: IpAddr, now: Instant) -> Duration {
        if !self.of.contains_key(&address) && self.of.len() >= GUESSERS {
            self.forget_one();
        }
        let guesser = self.of.entry(address).or_insert(Guesser { count: 0, last: now });
        if now.saturating_duration_since(guesser.last) >= GUESSER_MEMORY {
            guesser.count = 0;
        }
        guesser.count = guesser.count.saturating_add(1);
        guesser.last = now;
        let paid = guesser.count.saturating_sub(FREE_GUESSES);
        if paid == 0 {
            return Duration::ZERO;
        }
        FIRST_DELAY.saturating_mul(1 << (paid - 1).min(16)).min(GUESS_DELAY)
    }

    fn forget_one(&mut self) {
        if let Some(quiet) = self.of.iter().min_by_key(|(_, g)| g.last).map(|(address, _)| *address) {
            self.of.remove(&quiet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn guessing_gets_slower_until_there_is_silence() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        let delays: Vec<_> = (0..13).map(|_| guesses.wrong(address(1), now).as_millis()).collect();
        assert_eq!(delays, [0, 0, 0, 0, 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(guesses.wrong(address(2), now), Duration::ZERO, "another address");
        assert_eq!(guesses.wrong(address(1), now + GUESSER_MEMORY), Duration::ZERO);
    }

    #[test]
    fn many_addresses_do_not_take_memory() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        for n in 0..5000 {
            guesses.wrong(address(n), now + Duration::from_millis(n.into()));
        }
        assert_eq!(guesses.of.len(), GUESSERS);
        assert!(guesses.of.contains_key(&address(4999)) && !guesses.of.contains_key(&address(0)));
    }
}
