//! What a video room costs those who join it, beside Janus on the same machine: joins per second, memory of each
//! subscriber, time to the first frame. Every gateway has one core, this client another; they take turns, and what is
//! printed are medians over the rounds (percentiles over all joins). `scripts/bench-rooms.sh` gives it the addresses.
//!
//! A round, each with a fresh process:
//! 1. one publisher (30 frames a second, a keyframe when asked for); subscribers come and go one by one;
//! 2. it falls silent, and `--subscribers` join, some at a time, each with a WebSocket, a session and a handle of its
//!    own: joins a second until the last DTLS handshake is done, and the gateway's CPU time;
//! 3. it sends again for a few seconds: memory, less that of before;
//! 4. they leave, and come again while it sends: time to the first frame of a crowd.

#![allow(clippy::print_stdout)]

mod gateway;
mod janus;
mod people;
mod source;

use anyhow::Context;
use clap::Parser;
use gateway::{Gateway, Kind};
use people::{Publisher, Subscriber};
use portunus_media::bench::Client;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Further apart than gateways hold keyframe requests back.
const APART: Duration = Duration::from_millis(600);
/// Until buffers have the size they will keep.
const SETTLE: Duration = Duration::from_secs(3);

#[derive(Parser)]
struct Options {
    /// Our gateway.
    #[arg(long, default_value = "target/release/portunus")]
    portunus: PathBuf,
    /// The installed Janus, if it is to be measured.
    #[arg(long)]
    janus: Option<PathBuf>,
    /// An address of this machine for media; not loopback.
    #[arg(long, env = "GATEWAY_ADDRESS")]
    address: String,
    /// The gateways' core. Run the client on another.
    #[arg(long, default_value_t = 1)]
    core: usize,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    #[arg(long, default_value_t = 100)]
    subscribers: usize,
    /// Who join one by one in each round.
    #[arg(long, default_value_t = 30)]
    alone: usize,
    /// Who join at the same time.
    #[arg(long, default_value_t = 4)]
    together: usize,
}

/// What was measured of one gateway, over all rounds.
#[derive(Default)]
struct Figures {
    joins_per_second: Vec<f64>,
    cpu_per_join: Vec<f64>,
    busy: Vec<f64>,
    memory: Vec<f64>,
    offered: Vec<f64>,
    up: Vec<f64>,
    first_frame: Vec<f64>,
    crowd_first_frame: Vec<f64>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut kinds =
        vec![Kind { name: "portunus", program: options.portunus.clone(), general: "", ours: true }];
    for (name, general) in [("janus", ""), ("janus, 1 loop", "event_loops = 1")] {
        let program = options.janus.clone();
        kinds.extend(program.map(|program| Kind { name, program, general, ours: false }));
    }
    let mut figures: Vec<Figures> = kinds.iter().map(|_| Figures::default()).collect();
    for round in 1..=options.rounds {
        for (kind, figures) in kinds.iter().zip(&mut figures) {
            println!("round {round}: {}", kind.name);
            measure(kind, &options, figures).with_context(|| format!("measuring {}", kind.name))?;
        }
    }
    println!(
        "{} subscribers, {} rounds, {} join at a time",
        options.subscribers, options.rounds, options.together
    );
    let row = |name: &str, figure: &dyn Fn(&Figures) -> f64, digits: usize| {
        print!("{name:44}");
        for f in &figures {
            print!("{:>16.digits$}", figure(f));
        }
        println!();
    };
    print!("{:44}", "");
    kinds.iter().for_each(|k| print!("{:>16}", k.name));
    println!();
    row("joins per second", &|f| part(&f.joins_per_second, 0.5), 1);
    row("  share of its core used meanwhile", &|f| part(&f.busy, 0.5), 2);
    row("CPU per join, ms", &|f| part(&f.cpu_per_join, 0.5), 2);
    row("RSS per subscriber, KB", &|f| part(&f.memory, 0.5) / 1024.0, 1);
    row("join to offer, alone, ms, p50", &|f| part(&f.offered, 0.5), 1);
    row("join to DTLS done, alone, ms, p50", &|f| part(&f.up, 0.5), 1);
    for (name, of) in [("p50", 0.5), ("p99", 0.99)] {
        row(&format!("time to first frame, alone, ms, {name}"), &|f| part(&f.first_frame, of), 1);
    }
    for (name, of) in [("p50", 0.5), ("p99", 0.99)] {
        row(&format!("time to first frame, in a crowd, ms, {name}"), &|f| part(&f.crowd_first_frame, of), 1);
    }
    Ok(())
}

fn measure(kind: &Kind, options: &Options, figures: &mut Figures) -> anyhow::Result<()> {
    let client = Client::start(&options.address)?;
    let gateway = Gateway::start(kind, &options.address, options.core)?;
    let publisher = Publisher::join(gateway.address, &client)?;
    std::thread::sleep(SETTLE);

    for _ in 0..options.alone {
        let subscriber = Subscriber::join(gateway.address, &client)?;
        figures.first_frame.push(millis(subscriber.first_frame()?));
        figures.offered.push(millis(subscriber.offered));
        figures.up.push(millis(subscriber.up));
        std::thread::sleep(APART);
        subscriber.leave()?;
    }

    let memory = gateway.memory()?;
    publisher.be_quiet(true);
    std::thread::sleep(SETTLE);
    let (before, began) = (gateway.cpu()?, Instant::now());
    let people = crowd(options, gateway.address, &client)?;
    let took = began.elapsed();
    // What a gateway does behind a join belongs to it.
    std::thread::sleep(Duration::from_millis(200));
    let cpu = gateway.cpu()? - before;
    let joins = people.len() as f64;
    figures.joins_per_second.push(joins / took.as_secs_f64());
    figures.busy.push(cpu.as_secs_f64() / took.as_secs_f64());
    figures.cpu_per_join.push(millis(cpu) / joins);

    publisher.be_quiet(false);
    people.iter().try_for_each(|p| p.first_frame().map(drop))?;
    std::thread::sleep(SETTLE);
    figures.memory.push((gateway.memory()? - memory) / joins);

    people.into_iter().try_for_each(Subscriber::leave)?;
    std::thread::sleep(SETTLE);
    let people = crowd(options, gateway.address, &client)?;
    for person in &people {
        figures.crowd_first_frame.push(millis(person.first_frame()?));
    }
    people.into_iter().try_for_each(Subscriber::leave)
}

/// All subscribers, some at a time.
fn crowd(options: &Options, gateway: SocketAddr, client: &Arc<Client>) -> anyhow::Result<Vec<Subscriber>> {
    let left = AtomicUsize::new(options.subscribers);
    let take = |n: usize| n.checked_sub(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..options.together)
            .map(|_| {
                scope.spawn(|| {
                    let mut people = Vec::new();
                    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                        people.push(Subscriber::join(gateway, client)?);
                    }
                    anyhow::Ok(people)
                })
            })
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))??);
        }
        Ok(all)
    })
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The value below which this part of the samples is.
fn part(samples: &[f64], of: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let at = (of * last as f64).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}
