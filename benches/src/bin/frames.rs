//! What a forwarded packet costs when a frame's packets come one by one, as from a network: CPU time of a worker that
//! runs as ever, with its waits and its reads, per packet it sent. Means over several runs, and the share of packets
//! that left in a call together with others. Then the same with a room that is spread over several workers.
//!
//! Run: `cargo run --release -p portunus-benches --bin frames [packets per frame]`

#![allow(clippy::print_stdout)]

use portunus_benches::{SSRC, video};
use portunus_media::bench::{Beside, Pace, Receivers, publish_live};
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
            let [cost, together, _] = measure(subscribers, 1, packets, Duration::from_micros(micros))?;
            print!("  {micros:3} us apart {cost:6.0} ({together:.2})");
        }
        println!();
    }
    println!("100 subscribers on several workers, and the share of the packets that the first one sent");
    for workers in [1, 2, 4] {
        let [cost, together, first] = measure(100, workers, packets, Duration::from_micros(50))?;
        println!("{workers:4} workers: {cost:6.0} ({together:.2}) {first:.2}");
    }
    Ok(())
}

/// CPU time per packet in ns, the share that left together with others, and the first worker's share.
fn measure(subscribers: usize, workers: usize, packets: usize, apart: Duration) -> anyhow::Result<[f64; 3]> {
    let (mut cpu, mut sent, mut saved, mut first) = (Duration::ZERO, 0, 0, 0);
    for _ in 0..RUNS {
        let mut receivers = Receivers::new(subscribers)?;
        let pace = Pace { packets, apart, frames: FRAMES, every: EVERY, gather: Duration::ZERO };
        let all = publish_live(&video(), PAYLOAD, workers, &mut receivers, SSRC, pace, Beside::default())?;
        first += all.first().map_or(0, |live| live.packets);
        for live in all {
            cpu += live.cpu;
            sent += live.packets;
            saved += live.calls_saved;
        }
    }
    let sent = sent.max(1) as f64;
    Ok([cpu.as_nanos() as f64 / sent, saved as f64 / sent, first as f64 / sent])
}
