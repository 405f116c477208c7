//! What recording a sent packet costs: `cargo run --release -p portunus-bwe --example ns_per_packet`.

use portunus_bwe::{Controller, Pacer, Settings};
use std::time::Instant;

const PACKETS: u64 = 10_000_000;

#[allow(clippy::print_stdout)]
fn main() {
    let mut controller = Controller::new(Settings::default());
    let mut pacer = Pacer::new(portunus_bwe::MAX_BITRATE);
    let mut number = 0_u16;
    let start = Instant::now();
    for i in 0..PACKETS {
        number = number.wrapping_add(1);
        // A frame of six packets leaves at one time.
        let now_us = i / 6 * 4_000;
        if pacer.allowance(now_us) > 1_100 {
            controller.on_sent(number, 1_100, now_us);
            pacer.on_sent(1_100, now_us);
        }
    }
    let spent = start.elapsed().as_nanos();
    println!("{:.1} ns a packet, estimate {}", spent as f64 / PACKETS as f64, controller.estimate(0));
}
