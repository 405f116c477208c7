//! How many instructions the packet path and the control path take, counted by callgrind: the same on a busy machine and on
//! a quiet one, so that a test can hold them against figures of the repository.
//!
//! The program runs itself under valgrind (`--run`). It counts only inside [`measured`], and every benchmark ends with a
//! call of [`next_measurement`], which makes callgrind write down what it has counted. `scripts/bench-instructions.sh`
//! builds and runs it; `benches/instructions.txt` has the figures.
//!
//! What it does not see: the kernel, cache misses, how many instructions leave at a time. The wall-clock benchmarks do.

#![allow(clippy::print_stdout)]

mod control;
mod counting;
mod packets;

use anyhow::Result;
use clap::Parser;
use std::hint::black_box;
use std::path::PathBuf;

#[derive(Parser)]
struct Options {
    /// Do the work; callgrind is counting.
    #[arg(long, hide = true)]
    run: bool,
    /// Write the figures down instead of holding them against those that are there.
    #[arg(long)]
    accept: bool,
    /// The cargo profile this was built with: the column of the table.
    #[arg(long, default_value = "ci")]
    profile: String,
    /// What counts depend on: compiler, C library and valgrind, as they call themselves.
    #[arg(long, default_value = "")]
    tools: String,
    /// The table.
    #[arg(long, default_value = "benches/instructions.txt")]
    table: PathBuf,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if !options.run {
        return counting::count(&options);
    }
    packets::run()?;
    control::run()
}

/// Benchmark `name`: `round` prepares what it needs, wraps what is to be counted into [`measured`], and returns how
/// many units of work that was. The first rounds are not counted.
fn bench(name: &str, rounds: usize, mut round: impl FnMut(bool) -> Result<u64>) -> Result<()> {
    for _ in 0..rounds.div_ceil(4) {
        round(false)?;
    }
    let mut units = 0;
    for _ in 0..rounds {
        units += round(true)?;
    }
    anyhow::ensure!(units > 0, "{name}: nothing was done");
    println!("{name} {units}");
    next_measurement();
    Ok(())
}

/// Does `work`, and counts its instructions if they are wanted.
fn work<R>(counted: bool, mut work: impl FnMut() -> R) -> R {
    let mut result = None;
    let mut call = || result = Some(work());
    if counted {
        measured(&mut call)
    } else {
        call()
    }
    result.unwrap_or_else(|| unreachable!("the work was done"))
}

/// Callgrind counts from its begin to its end; it knows it by its name.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
    black_box(());
}

/// Callgrind writes down what it has counted, and counts from nought; it knows it by its name.
#[inline(never)]
fn next_measurement() {
    black_box(());
}
