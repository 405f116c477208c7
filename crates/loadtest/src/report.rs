//! What a run found: as JSON, and whether it is good enough.

use crate::engine::{Counters, LATE_NS, Phase};
use crate::histogram::Histogram;
use crate::options::Common;
use crate::outcome::Outcome;
use crate::run::{Measured, Second};
use crate::setup::{Failed, Joined};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A thread that is busy for this share of its time may be what limits.
const BUSY: f64 = 0.9;
/// A thread that waits for a core for this share of the time is slow through others.
const WAITED: f64 = 0.05;
/// A share of late packets that is to be told.
const MANY_LATE: f64 = 0.01;

/// Everything.
pub(crate) struct Report {
    pub(crate) scenario: &'static str,
    pub(crate) arguments: Vec<String>,
    pub(crate) interrupted: bool,
    pub(crate) joined: Joined,
    pub(crate) series: Vec<Second>,
    /// From the first to the last packet, whatever was measured.
    pub(crate) totals: Counters,
    pub(crate) outcome: Outcome,
}

fn ms(ns: Option<u64>) -> Value {
    ns.map_or(Value::Null, |ns| json!((ns as f64 / 1e6 * 1e4).round() / 1e4))
}

/// Percentiles in milliseconds.
pub(crate) fn times(histogram: &Histogram) -> Value {
    json!({
        "count": histogram.count(),
        "mean": ms(histogram.mean()),
        "p50": ms(histogram.percentile(50.0)),
        "p90": ms(histogram.percentile(90.0)),
        "p99": ms(histogram.percentile(99.0)),
        "p999": ms(histogram.percentile(99.9)),
        "max": ms(histogram.max()),
    })
}

fn show(ns: Option<u64>) -> String {
    ns.map_or("-".to_owned(), |ns| format!("{:.2}", ns as f64 / 1e6))
}

fn rounded(value: f64, digits: i32) -> f64 {
    let factor = 10_f64.powi(digits);
    (value * factor).round() / factor
}

fn failures(all: &BTreeMap<String, Failed>) -> Value {
    let one = |(class, failed): (&String, &Failed)| {
        (class.clone(), json!({"count": failed.count, "example": failed.example}))
    };
    Value::Object(all.iter().map(one).collect())
}

impl Measured {
    /// Microseconds of the server's CPU for each packet that it forwarded.
    pub(crate) fn cpu_per_packet(&self) -> Option<f64> {
        let (before, after) = self.server?;
        let packets = self.counters.rtp_received;
        let cpu = after.cpu_ns.saturating_sub(before.cpu_ns) as f64;
        (packets > 0).then(|| cpu / 1000.0 / packets as f64)
    }

    /// The share of late sends.
    pub(crate) fn late(&self) -> f64 {
        let lateness = &self.phase.lateness;
        if lateness.count() == 0 {
            return 0.0;
        }
        lateness.above(LATE_NS) as f64 / lateness.count() as f64
    }

    /// The same for people.
    fn to_lines(&self, lines: &mut Vec<String>) {
        lines.push(format!("-- {}: {:.1} s, {} connections", self.name, self.seconds, self.peers_up));
        if self.phase.expected > 0 {
            self.media_lines(lines);
        } else if self.counters.rtp_sent > 0 {
            lines.push(format!(
                "sent         {:.0} packets/s, {:.1} Mbit/s, to nobody",
                self.counters.rtp_sent as f64 / self.seconds,
                self.counters.octets_sent as f64 * 8e-6 / self.seconds,
            ));
        }
        lines.push(format!(
            "client       {:.2} cores, busiest thread {:.0} %",
            self.own_cpu_ns as f64 / 1e9 / self.seconds,
            self.busiest_thread * 100.0
        ));
        if let Some((before, after)) = self.server {
            let cpu = after.cpu_ns.saturating_sub(before.cpu_ns) as f64 / 1e9;
            lines.push(format!(
                "server       {:.3} cores, {} us a packet, {} MiB, {} threads, {} descriptors",
                cpu / self.seconds,
                self.cpu_per_packet().map_or("-".to_owned(), |us| format!("{us:.3}")),
                after.rss_kib / 1024,
                after.threads,
                after.descriptors.map_or("?".to_owned(), |n| n.to_string()),
            ));
        }
    }

    fn media_lines(&self, lines: &mut Vec<String>) {
        lines.push(format!(
            "packets      {} of {} came, {:.4} % lost, {} recovered; {:.0}/s, {:.1} Mbit/s",
            self.phase.received,
            self.phase.expected,
            self.phase.loss() * 100.0,
            self.phase.recovered,
            self.counters.rtp_received as f64 / self.seconds,
            self.counters.octets_received as f64 * 8e-6 / self.seconds,
        ));
        let l = &self.phase.latency;
        let p = |percent| show(l.percentile(percent));
        lines.push(format!(
            "latency      p50 {} p90 {} p99 {} p99.9 {} max {} ms",
            p(50.0),
            p(90.0),
            p(99.0),
            p(99.9),
            show(l.max())
        ));
        lines.push(format!(
            "frozen       {:.2} s, {} times; sends late by more than 1 ms: {:.3} %, lateness p99 {} ms",
            self.phase.frozen_ns as f64 / 1e9,
            self.phase.freezes,
            self.late() * 100.0,
            show(self.phase.lateness.percentile(99.0)),
        ));
    }

    /// What makes the figures tell of this client, not of the server alone.
    pub(crate) fn cautions(&self) -> Vec<String> {
        let mut all = Vec::new();
        if self.busiest_thread > BUSY {
            let busy = self.busiest_thread * 100.0;
            all.push(format!("a thread of the client was busy {busy:.0} % of the time: it may be the limit"));
        }
        let late = self.late();
        if late > MANY_LATE {
            let late = late * 100.0;
            all.push(format!(
                "{late:.2} % of packets were sent more than 1 ms late: the client did not keep its pace"
            ));
        }
        for (who, share) in
            [("a thread of the client", self.waited), ("a thread of the server", self.server_waited)]
        {
            if share > WAITED {
                all.push(format!(
                    "{who} waited {:.0} % of the time for a core: others use it",
                    share * 100.0
                ));
            }
        }
        if self.counters.refused > 0 {
            all.push(format!("the system did not take {} packets of the client", self.counters.refused));
        }
        if self.overrun > 0 {
            all.push(format!("sockets on this machine overran and lost {} datagrams", self.overrun));
        }
        all
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut value = json!({
            "name": self.name,
            "seconds": rounded(self.seconds, 3),
            "connections_up": self.peers_up,
            "packets_per_second": rounded(self.counters.rtp_received as f64 / self.seconds, 1),
            "received_mbit_per_second": rounded(self.counters.octets_received as f64 * 8e-6 / self.seconds, 3),
            "packets": packets(&self.phase),
            "latency_ms": times(&self.phase.latency),
            "frozen": {
                "seconds": rounded(self.phase.frozen_ns as f64 / 1e9, 3),
                "times": self.phase.freezes,
                "share": rounded(share_frozen(self), 6),
            },
            "sending": {
                "late_share": rounded(self.late(), 6),
                "lateness_ms": times(&self.phase.lateness),
            },
            "counters": counters(&self.counters),
            "datagrams_overrun": self.overrun,
            "cautions": self.cautions(),
            "client": {
                "cpu_seconds": rounded(self.own_cpu_ns as f64 / 1e9, 3),
                "cores": rounded(self.own_cpu_ns as f64 / 1e9 / self.seconds, 3),
                "busiest_thread": rounded(self.busiest_thread, 3),
                "waited_for_core": rounded(self.waited, 4),
            },
        });
        if let Some((before, after)) = self.server {
            let cpu = after.cpu_ns.saturating_sub(before.cpu_ns) as f64 / 1e9;
            value["server"] = json!({
                "cpu_seconds": rounded(cpu, 4),
                "cores": rounded(cpu / self.seconds, 4),
                "waited_for_core": rounded(self.server_waited, 4),
                "cpu_us_per_packet": self.cpu_per_packet().map(|us| rounded(us, 4)),
                "cpu_us_per_packet_of_publishers": (self.counters.rtp_sent > 0)
                    .then(|| rounded(cpu * 1e6 / self.counters.rtp_sent as f64, 4)),
                "packets_per_cpu_second":
                    if cpu > 0.0 { json!((self.counters.rtp_received as f64 / cpu).round()) } else { Value::Null },
                "rss_kib": after.rss_kib,
                "threads": after.threads,
                "descriptors": after.descriptors,
            });
        }
        value
    }
}

fn share_frozen(measured: &Measured) -> f64 {
    let shown = measured.phase.video_streams as f64 * measured.seconds * 1e9;
    if shown > 0.0 { measured.phase.frozen_ns as f64 / shown } else { 0.0 }
}

fn counters(all: &Counters) -> Map<String, Value> {
    all.list().into_iter().map(|(name, n)| (name.to_owned(), json!(n))).collect()
}

fn packets(phase: &Phase) -> Value {
    json!({
        "streams": phase.streams,
        "silent_streams": phase.silent,
        "expected": phase.expected,
        "received": phase.received,
        "recovered": phase.recovered,
        "lost": phase.expected - phase.received,
        "loss_percent": rounded(phase.loss() * 100.0, 4),
        "worst_stream_loss_percent": phase.worst_loss as f64 / 1000.0,
        "video": {
            "streams": phase.video_streams,
            "expected": phase.video_expected,
            "received": phase.video_received,
        },
    })
}

fn second(second: &Second) -> Value {
    json!({
        "at": rounded(second.at_s, 2),
        "phase": second.phase,
        "connections": second.peers,
        "up": second.up,
        "received": second.received,
        "sent": second.sent,
        "received_bits": second.received_bits,
        "lost": second.lost,
        "late": second.late,
        "p50_ms": ms(second.p50_ns),
        "p99_ms": ms(second.p99_ns),
        "own_cpu": rounded(second.own_cpu, 3),
        "busiest_thread": rounded(second.busiest_thread, 3),
        "server_cpu": second.server_cpu.map(|cpu| rounded(cpu, 4)),
        "server_rss_kib": second.server.map(|s| s.rss_kib),
        "server_threads": second.server.map(|s| s.threads),
        "server_descriptors": second.server.and_then(|s| s.descriptors),
    })
}

impl Report {
    /// Media flowed, nobody failed, and the limits of the command line were kept; what was not so is noted.
    pub(crate) fn judge(&mut self, common: &Common) {
        let joined = &self.joined;
        for (what, failures) in [("did not get in", &joined.failures), ("were cut off", &joined.lost)] {
            let n: u64 = failures.values().map(|f| f.count).sum();
            if n > 0 {
                let why: Vec<String> =
                    failures.values().map(|f| format!("{} x {}", f.count, f.example)).collect();
                self.outcome.wrong.push(format!("{n} {what}: {}", why.join("; ")));
            }
        }
        let judged = self.outcome.judged.and_then(|at| self.outcome.measured.get(at));
        if self.outcome.media && judged.is_none() && self.outcome.wrong.is_empty() {
            self.outcome.wrong.push("nothing was measured".to_owned());
        }
        if let Some(measured) = judged {
            if self.outcome.media && measured.phase.received == 0 {
                self.outcome.wrong.push("no media came".to_owned());
            }
            if measured.phase.silent > 0 {
                self.outcome.wrong.push(format!("{} streams brought nothing", measured.phase.silent));
            }
            let loss = measured.phase.loss() * 100.0;
            if let Some(limit) = common.max_loss.filter(|limit| loss > *limit) {
                self.outcome.wrong.push(format!("{loss:.3} % of packets were lost, more than {limit} %"));
            }
            let p99 = measured.phase.latency.percentile(99.0).map(|ns| ns as f64 / 1e6);
            if let (Some(limit), Some(p99)) = (common.max_p99_ms, p99)
                && p99 > limit
            {
                self.outcome
                    .wrong
                    .push(format!("the latency's 99th percentile is {p99:.2} ms, above {limit} ms"));
            }
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut value = json!({
            "tool": format!("portunus-loadtest {}", env!("CARGO_PKG_VERSION")),
            "scenario": self.scenario,
            "arguments": self.arguments,
            "ok": self.outcome.wrong.is_empty(),
            "wrong": self.outcome.wrong,
            "interrupted": self.interrupted,
            "setup": {
                "attempted": self.joined.attempted,
                "succeeded": self.joined.succeeded,
                "failures": failures(&self.joined.failures),
                "cut_off": failures(&self.joined.lost),
                "publisher_up_ms": times(&self.joined.publisher_up),
                "up_ms": times(&self.joined.up),
                "first_media_ms": times(&self.joined.media),
            },
            "measured": self.outcome.measured.iter().map(Measured::to_json).collect::<Vec<_>>(),
            "totals": counters(&self.totals),
            "series": self.series.iter().map(second).collect::<Vec<_>>(),
        });
        for (name, extra) in &self.outcome.extra {
            value[name] = extra.clone();
        }
        value
    }

    /// The figures that people look for first.
    pub(crate) fn to_text(&self) -> String {
        let mut lines = vec![format!(
            "joined       {} of {}; up p50 {} p99 {} ms; first frame p50 {} p99 {} ms",
            self.joined.succeeded,
            self.joined.attempted,
            show(self.joined.up.percentile(50.0)),
            show(self.joined.up.percentile(99.0)),
            show(self.joined.media.percentile(50.0)),
            show(self.joined.media.percentile(99.0)),
        )];
        for m in &self.outcome.measured {
            m.to_lines(&mut lines);
        }
        lines.extend(self.outcome.lines.iter().cloned());
        for m in &self.outcome.measured {
            lines.extend(m.cautions().iter().map(|caution| format!("caution      {}: {caution}", m.name)));
        }
        lines.extend(self.outcome.wrong.iter().map(|wrong| format!("NOT OK       {wrong}")));
        if self.outcome.wrong.is_empty() {
            lines.push("ok".to_owned());
        }
        lines.join("\n")
    }
}
