//! What a forwarded packet costs when a frame's packets come one by one, as from a network: CPU time of a worker that
//! runs as ever, with its waits and its reads, per packet it sent. Means over several runs, and the share of packets
//! that left in a call together with others.
//!
//! Run: `cargo run --release -p portunus-benches --bin frames [packets per frame]`

#![allow(clippy::print_stdout)]

use portunus_benches::{SSRC, video};
use portunus_media::bench::{Receivers, publish_live};
use std::time::Duration;

/// RTP payload of a packet that is 1,200 bytes long when sealed with AES-GCM.
const PAYLOAD: usize = 1200 - 12 - 16;
const FRAMES: usize = 45;
const RUNS: usize = 5;
const EVERY: Duration = Duration::from_millis(20);

fn main() -> anyhow::Result<()> {
    let packets = std::env::args().nth(1).map(|a| a.parse::<usize>()).transpose()?.unwrap_or(5);
    println!("{packets} packets per frame, ns per forwarded packet (share that left together with others)");
    for subscribers in [1, 10, 100] {
        print!("{subscribers:4} subscribers:");
        for micros in [0, 50, 100, 200] {
            let apart = Duration::from_micros(micros);
            let (mut cpu, mut sent, mut saved) = (Duration::ZERO, 0, 0);
            for _ in 0..RUNS {
                let mut receivers = Receivers::new(subscribers)?;
                let run =
                    publish_live(&video(), PAYLOAD, &mut receivers, SSRC, (packets, apart), (FRAMES, EVERY))?;
                cpu += run.cpu;
                sent += run.packets.max(1);
                saved += run.calls_saved;
            }
            let cost = cpu.as_nanos() as f64 / sent as f64;
            print!("  {micros:3} us apart {cost:6.0} ({:.2})", saved as f64 / sent as f64);
        }
        println!();
    }
    Ok(())
}
