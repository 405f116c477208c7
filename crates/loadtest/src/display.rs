//! What is shown while it runs: on a terminal one block that stays where it is, elsewhere a line every five seconds.

use crate::run::{Run, Second};
use crate::setup::Joined;
use std::io::{IsTerminal, Write, stderr};

/// Lines are this many seconds apart.
const LINES: u64 = 5;

pub(crate) struct Display {
    terminal: bool,
    /// Lines of the block that stands there.
    block: usize,
    seconds: u64,
}

impl Display {
    pub(crate) fn new() -> Self {
        Self { terminal: stderr().is_terminal(), block: 0, seconds: 0 }
    }

    pub(crate) fn show(&mut self, run: &Run, second: &Second) {
        self.seconds += 1;
        let joined = run.setup.get();
        let mut out = stderr().lock();
        if self.terminal {
            let lines = block(&joined, second);
            if self.block > 0 {
                let _ = write!(out, "\x1b[{}A", self.block);
            }
            for line in &lines {
                let _ = writeln!(out, "\r\x1b[2K{line}");
            }
            self.block = lines.len();
        } else if self.seconds.is_multiple_of(LINES) {
            let _ = writeln!(out, "{}", line(&joined, second));
        }
    }
}

fn failed(joined: &Joined) -> u64 {
    joined.failures.values().chain(joined.lost.values()).map(|f| f.count).sum()
}

fn ms(ns: Option<u64>) -> String {
    ns.map_or("-".to_owned(), |ns| format!("{:.2}", ns as f64 / 1e6))
}

fn line(joined: &Joined, second: &Second) -> String {
    let server = second.server_cpu.map_or(String::new(), |cpu| format!(", server {:.0} %", cpu * 100.0));
    format!(
        "{:5.0} s  {} joined, {} failed, {} up; {} packets/s, {:.1} Mbit/s, {} lost; p50 {} p99 {} ms; client {:.0} %{server}",
        second.at_s,
        joined.succeeded,
        failed(joined),
        second.up,
        second.received,
        second.received_bits as f64 * 1e-6,
        second.lost,
        ms(second.p50_ns),
        ms(second.p99_ns),
        second.own_cpu * 100.0,
    )
}

fn block(joined: &Joined, second: &Second) -> Vec<String> {
    let state = if second.phase == 0 { "not measuring" } else { "measuring" };
    let mut lines = vec![
        format!("{:7.0} s   {state}", second.at_s),
        format!(
            "joined      {} of {}, {} failed, {} connections up",
            joined.succeeded,
            joined.attempted,
            failed(joined),
            second.up
        ),
        format!(
            "received    {} packets/s, {:.1} Mbit/s, {} lost",
            second.received,
            second.received_bits as f64 * 1e-6,
            second.lost
        ),
        format!("sent        {} packets/s, {} late", second.sent, second.late),
        format!("latency     p50 {} ms, p99 {} ms", ms(second.p50_ns), ms(second.p99_ns)),
        format!(
            "client      {:.0} % of a core, busiest thread {:.0} %",
            second.own_cpu * 100.0,
            second.busiest_thread * 100.0
        ),
    ];
    if let (Some(cpu), Some(usage)) = (second.server_cpu, second.server) {
        lines.push(format!(
            "server      {:.0} % of a core, {} MiB, {} threads",
            cpu * 100.0,
            usage.rss_kib / 1024,
            usage.threads
        ));
    }
    lines
}
