//! The video room in a storm: many clients do anything they can think of in the same rooms, at once, with a network that
//! delays and reorders. Now and then all comes to rest, and then everybody must believe what is true.
//!
//! `STORM_SEED=n STORM_OPERATIONS=n` runs one seed; `STORM_LONG=n` is `make test-long`; `STORM_TRACE=1` shows every operation and event.

#![allow(unreachable_pub)]

mod storm;

use storm::Storm;

/// Operations between two rests.
const BURST: u64 = 2_000;
/// Operations with one seed: 100,000 with all of them.
const OPERATIONS: u64 = 10_000;

fn run(seed: u64, operations: u64) {
    let mut storm = Storm::new(seed);
    storm.prepare();
    let mut left = operations;
    while left > 0 {
        let burst = left.min(BURST);
        storm.rage(burst);
        storm.rest_and_check();
        left -= burst;
    }
    storm.check_the_end();
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// With `STORM_LONG` ten times as many.
fn run_all(seeds: &[u64]) {
    let usual = if variable("STORM_LONG").is_some() { 10 * OPERATIONS } else { OPERATIONS };
    for seed in seeds {
        run(*seed, variable("STORM_OPERATIONS").unwrap_or(usual));
    }
}

/// Seeds that found something once, and what it was. They stay.
const FOUND: [u64; 5] = [
    // An offer without m-lines; a ghost by an event that overtook another; ready before the answer.
    1, // An answer that crossed a hangup: the storm did not know of it.
    10, 15, 16, // An offer that was refused kept the plugin from offering.
    102,
];

/// Others.
const MORE: [u64; 5] = [2, 3, 4, 5, 6];

#[test]
fn everybody_believes_what_is_true_with_seeds_that_found_something() {
    match variable("STORM_SEED") {
        Some(seed) => run_all(&[seed]),
        None => run_all(&FOUND),
    }
}

/// With `STORM_LONG=n` also ten seeds from n on.
#[test]
fn everybody_believes_what_is_true_with_other_seeds() {
    if variable("STORM_SEED").is_none() {
        run_all(&MORE);
        run_all(&variable("STORM_LONG").map(|n| (n..n + 10).collect::<Vec<_>>()).unwrap_or_default());
    }
}
