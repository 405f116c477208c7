//! What recording a sent packet costs: `cargo run --release -p portunus-bwe --example ns_per_packet`.

use portunus_bwe::{Controller, Pacer, Settings};
use std::time::Instant;

/// Short rounds, many of them: the best one ran undisturbed.
const PACKETS: u64 = 50_000;
const ROUNDS: u64 = 200;

#[allow(clippy::print_stdout)]
fn main() {
    let mut controller = Controller::new(Settings::default());
    let mut pacer = Pacer::new(portunus_bwe::MAX_BITRATE);
    let mut number = 0_u16;
    let mut best = f64::MAX;
    for round in 0..ROUNDS {
        let start = Instant::now();
        for i in round * PACKETS..(round + 1) * PACKETS {
            number = number.wrapping_add(1);
            // A frame of six packets leaves at one time.
            let now_us = i / 6 * 4_000;
            if pacer.allowance(now_us) > 1_100 {
                controller.on_sent(number, 1_100, now_us);
                pacer.on_sent(1_100, now_us);
            }
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / PACKETS as f64);
    }
    println!("{best:.1} ns a packet, estimate {}", controller.estimate(0));
}
