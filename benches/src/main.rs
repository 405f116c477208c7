//! What a forwarded packet costs, beside the bare loop that only seals and sends.
//!
//! All figures are CPU time of the measuring thread in ns per packet, medians over rounds; the machine may be
//! busy. `own` is the path without sockets: receive, demultiplex, open, choose, number, rewrite, seal, remember.
//! `with sockets` adds what the kernel takes for sending to loopback receivers that drop what they get. The bare
//! loops seal with the same code and send the same way, and do nothing else.
//!
//! Bound to one core (`taskset -c 1`), the same is measured once more with receivers that sleep on another core and are woken by
//! what comes: so much of a figure of a load test on one machine is the kernel's.
//!
//! Run: `cargo run --release -p portunus-benches --bin forwarding [subscribers] [packets per frame]`

#![allow(clippy::print_stdout)]

mod woken;

use portunus_benches::video;
use portunus_media::bench::{Bare, Forwarding, Receivers, cpu_time};
use portunus_srtp::Profile;
use std::time::{Duration, Instant};
use woken::Woken;

/// RTP payload of a packet that is 1,200 bytes long when sealed with AES-GCM.
const PAYLOAD: usize = 1200 - 12 - 16;
/// Receivers have gone to sleep after this.
const ASLEEP: Duration = Duration::from_millis(5);
/// Length of one measurement.
const MEASURE: Duration = Duration::from_millis(1500);

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<usize>());
    let subscribers = args.next().transpose()?.unwrap_or(100);
    let frame = args.next().transpose()?.unwrap_or(5);
    println!(
        "{subscribers} subscribers, {frame} packets per frame, 1200-byte packets, ns per forwarded packet"
    );
    for profile in [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmSha1_80] {
        measure(profile, subscribers, frame)?;
    }
    Ok(())
}

fn measure(profile: Profile, subscribers: usize, frame: usize) -> anyhow::Result<()> {
    let mut receivers = Receivers::new(subscribers)?;
    let to = receivers.addresses();
    let mut bare = Bare::new(profile, 1200, &to)?;
    let mut path = Forwarding::new(&video(), profile, PAYLOAD, &to)?;

    let seal = median(|| bare.round(frame, false, true), || ());
    let own = median_prepared(&mut path, frame, false, || ());
    let singly = median(
        || bare.round(frame, true, false),
        || {
            receivers.drain();
        },
    );
    let together = median(
        || bare.round(frame, true, true),
        || {
            receivers.drain();
        },
    );
    let sent = median_prepared(&mut path, frame, true, || {
        receivers.drain();
    });

    println!("{profile:?}");
    println!("  bare seal                          {seal:6.0}");
    println!("  own path, no sockets               {own:6.0}   ({:.2} x bare seal)", own / seal);
    println!("  bare seal + sendmmsg               {singly:6.0}");
    println!("  bare seal + sendmmsg, {frame} segments   {together:6.0}");
    println!(
        "  whole path with sockets            {sent:6.0}   ({:.2} x bare with segments)",
        sent / together
    );
    if let Some(woken) = Woken::new(subscribers)? {
        measure_woken(profile, frame, &woken)?;
    }
    Ok(())
}

fn measure_woken(profile: Profile, frame: usize, woken: &Woken) -> anyhow::Result<()> {
    let mut bare = Bare::new(profile, 1200, &woken.addresses)?;
    let mut path = Forwarding::new(&video(), profile, PAYLOAD, &woken.addresses)?;
    let sleep = || std::thread::sleep(ASLEEP);
    let singly = median(|| bare.round(1, true, false), sleep);
    let together = median(|| bare.round(frame, true, true), sleep);
    let sent = median_prepared(&mut path, frame, true, sleep);
    println!("  woken receivers, sendmmsg          {singly:6.0}");
    println!("  woken receivers, {frame} segments        {together:6.0}");
    println!(
        "  woken receivers, whole path        {sent:6.0}   ({:.2} x woken with segments)",
        sent / together
    );
    Ok(())
}

/// Median ns per packet of `round`, which returns how many packets it handled; `between` is not timed.
fn median(mut round: impl FnMut() -> u64, mut between: impl FnMut()) -> f64 {
    let mut samples = Vec::new();
    let end = Instant::now() + MEASURE;
    while Instant::now() < end || samples.len() < 9 {
        let before = cpu_time();
        let packets = round();
        samples.push((cpu_time() - before).as_nanos() as f64 / packets.max(1) as f64);
        between();
    }
    middle(samples)
}

fn median_prepared(path: &mut Forwarding, frame: usize, send: bool, mut between: impl FnMut()) -> f64 {
    let mut samples = Vec::new();
    let end = Instant::now() + MEASURE;
    while Instant::now() < end || samples.len() < 9 {
        path.prepare(portunus_benches::SSRC, frame);
        let before = cpu_time();
        let packets = path.forward(send);
        samples.push((cpu_time() - before).as_nanos() as f64 / packets.max(1) as f64);
        assert!(packets > 0, "nothing was forwarded");
        between();
    }
    middle(samples)
}

fn middle(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}
