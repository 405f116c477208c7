//! What watchers are told: metrics, health and readiness. `docs/metrics.md` lists the names.

use crate::process::{self, Usage};
use portunus_core::Counters;
use portunus_media::{Runs, Statuses, WorkerStatus};
use portunus_telemetry::events::Handlers;
use portunus_telemetry::metrics::{Kind, Page};
use portunus_transport::Monitor;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// The control task and the workers tell of themselves once a second; after so long a silence they hang.
const SILENCE: Duration = Duration::from_secs(10);

/// The control task at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Census {
    /// When.
    pub(crate) at: Instant,
    pub(crate) sessions: usize,
    pub(crate) handles: usize,
    pub(crate) peer_connections: usize,
    /// New sessions are accepted.
    pub(crate) accepting: bool,
    /// Requests and media events that wait.
    pub(crate) waiting_requests: usize,
    pub(crate) waiting_events: usize,
    pub(crate) counters: Counters,
}

/// What happened to settings and certificates while running.
#[derive(Debug, Default)]
pub(crate) struct Reloads {
    pub(crate) done: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// See the module.
pub(crate) struct Watch {
    pub(crate) census: watch::Receiver<Census>,
    pub(crate) workers: Statuses,
    pub(crate) transports: Arc<portunus_transport::Counters>,
    pub(crate) recordings: Arc<portunus_recorder::Counters>,
    pub(crate) handlers: Handlers,
    pub(crate) reloads: Arc<Reloads>,
    /// Listeners that were wanted and could not be opened.
    pub(crate) missing: usize,
    pub(crate) commit: &'static str,
}

impl Monitor for Watch {
    fn metrics(&self) -> String {
        let mut page = Page::new();
        let labels = [("version", env!("CARGO_PKG_VERSION")), ("commit", self.commit)];
        page.metric("portunus_info", Kind::Gauge, "What is running.").sample(&labels, 1);
        self.control(&mut page);
        self.workers(&mut page);
        media(&mut page, &self.workers.get());
        self.transports(&mut page);
        self.recordings(&mut page);
        self.event_handlers(&mut page);
        if let Some(usage) = process::usage() {
            usage_of_process(&mut page, &usage);
        }
        page.finish()
    }

    fn health(&self) -> Result<(), String> {
        let silent = |at: Instant| at.elapsed() > SILENCE;
        if silent(self.census.borrow().at) {
            return Err("the control task does not answer".to_owned());
        }
        let hangs = |status: &WorkerStatus| status.told.is_some_and(silent);
        match self.workers.get().iter().position(hangs) {
            Some(worker) => Err(format!("media worker {worker} does not answer")),
            None => Ok(()),
        }
    }

    fn readiness(&self) -> Result<(), String> {
        self.health()?;
        if !self.census.borrow().accepting {
            return Err("no new sessions are accepted".to_owned());
        }
        match self.missing {
            0 => Ok(()),
            missing => Err(format!("{missing} listeners could not be opened (see the log)")),
        }
    }
}

impl Watch {
    fn control(&self, page: &mut Page) {
        let census = *self.census.borrow();
        let counters = census.counters;
        page.gauge("portunus_sessions", "Sessions now.", whole(census.sessions));
        page.gauge("portunus_handles", "Handles now.", whole(census.handles));
        let peers = whole(census.peer_connections);
        page.gauge("portunus_peer_connections", "PeerConnections now that are up.", peers);
        let accepting = "1 while new sessions are accepted.";
        page.gauge("portunus_accepting_sessions", accepting, census.accepting.into());
        page.metric("portunus_control_queue", Kind::Gauge, "What waits for the control task.")
            .sample(&[("of", "requests")], whole(census.waiting_requests))
            .sample(&[("of", "media_events")], whole(census.waiting_events));
        page.metric("portunus_requests_total", Kind::Counter, "Requests that reached the control task.")
            .sample(&[("api", "janus")], counters.requests)
            .sample(&[("api", "admin")], counters.admin_requests);
        let refused = "Requests of the Admin API with a wrong secret.";
        page.counter("portunus_admin_refused_total", refused, counters.admin_refused);
        let full = "Things refused because a limit was reached.";
        page.counter("portunus_limit_refusals_total", full, counters.refused_full);
        page.metric("portunus_signalling_anomalies_total", Kind::Counter, "What should not happen, by kind.")
            .sample(&[("kind", "trickle_dropped")], counters.trickles_dropped)
            .sample(&[("kind", "trickle_expired")], counters.trickles_expired)
            .sample(&[("kind", "illegal_transition")], counters.illegal_transitions)
            .sample(&[("kind", "gathering_timeout")], counters.gathering_timeouts)
            .sample(&[("kind", "closing_timeout")], counters.closing_timeouts)
            .sample(&[("kind", "task_timeout")], counters.task_timeouts)
            .sample(&[("kind", "plugin_panic")], counters.plugin_panics);
        page.metric("portunus_reloads_total", Kind::Counter, "Reloads of settings and certificates.")
            .sample(&[("result", "ok")], self.reloads.done.load(Ordering::Relaxed))
            .sample(&[("result", "failed")], self.reloads.failed.load(Ordering::Relaxed));
    }

    fn workers(&self, page: &mut Page) {
        let all = self.workers.get();
        let mut each = |name, kind, help: &str, value: &dyn Fn(&WorkerStatus) -> f64| {
            let mut metric = page.metric(name, kind, help);
            for (index, status) in all.iter().enumerate() {
                metric.sample_f64(&[("worker", &index.to_string())], value(status));
            }
        };
        use Kind::{Counter, Gauge};
        each("portunus_worker_peers", Gauge, "Peers of the worker now.", &|s| float(s.peers));
        each("portunus_worker_peers_up", Gauge, "Peers whose media may flow.", &|s| float(s.peers_up));
        each("portunus_worker_datagrams_received_total", Counter, "UDP datagrams received.", &|s| {
            float(s.received)
        });
        each("portunus_worker_received_bytes_total", Counter, "Their bytes.", &|s| float(s.received_bytes));
        let overflowed = "Datagrams that came while the worker's socket was full: the system dropped them.";
        each("portunus_worker_datagrams_overflowed_total", Counter, overflowed, &|s| float(s.overflowed));
        each("portunus_worker_datagrams_sent_total", Counter, "UDP datagrams sent.", &|s| float(s.sent));
        each("portunus_worker_sent_bytes_total", Counter, "Their bytes.", &|s| float(s.sent_bytes));
        let coalesced = "Datagrams that shared a system call with the one before.";
        each("portunus_worker_datagrams_coalesced_total", Counter, coalesced, &|s| float(s.coalesced));
        let unsent = "Datagrams the system did not take.";
        each("portunus_worker_datagrams_unsent_total", Counter, unsent, &|s| float(s.unsent));
        let refused = "Datagrams of strangers, or of an unknown kind, or too early.";
        each("portunus_worker_datagrams_refused_total", Counter, refused, &|s| float(s.refused));
        let forged = "Datagrams that were forged, damaged or repeated.";
        each("portunus_worker_datagrams_forged_total", Counter, forged, &|s| float(s.forged));
        let shed = "Packets dropped because somebody did not keep up.";
        each("portunus_worker_packets_shed_total", Counter, shed, &|s| float(s.shed));
        let remapped = "Peers that saw another port of ours than they were told: a NAT changed it.";
        each("portunus_ice_port_remapped_total", Counter, remapped, &|s| float(s.remapped));
        each("portunus_worker_panics_total", Counter, "Peers closed after a panic.", &|s| float(s.panics));
        let behind = "Longest wait of a datagram in the last second because the worker was busy: beyond some ms it is overloaded.";
        each("portunus_worker_behind_seconds", Gauge, behind, &|s| s.behind.as_secs_f64());
        let overload =
            "What an overloaded worker leaves out: 1 is all but the lowest layers, 2 all but keyframes.";
        each("portunus_worker_overload", Gauge, overload, &|s| s.overload);
        let turn = "Longest turn of the worker's loop in the last second.";
        each("portunus_worker_longest_turn_seconds", Gauge, turn, &|s| s.longest_turn.as_secs_f64());
        runs(page, &all);
        let mut cpu =
            page.metric("portunus_worker_cpu_seconds_total", Counter, "CPU time of the worker's thread.");
        for (index, seconds) in process::worker_cpu() {
            cpu.sample_f64(&[("worker", &index.to_string())], seconds);
        }
    }

    fn recordings(&self, page: &mut Page) {
        let r = &self.recordings;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        page.gauge("portunus_recordings", "Recordings that go on, one for each medium.", get(&r.open));
        page.counter("portunus_recordings_begun_total", "Recordings begun.", get(&r.begun));
        page.counter(
            "portunus_recordings_failed_total",
            "Times a recording could not be written.",
            get(&r.failed),
        );
        page.counter("portunus_recorded_frames_total", "Packets and messages written.", get(&r.frames));
        page.counter("portunus_recorded_bytes_total", "Bytes written.", get(&r.bytes));
        let lost =
            "Packets and messages that were not written: the disk was full, failed or did not keep up.";
        page.counter("portunus_recording_frames_lost_total", lost, get(&r.lost));
        let waiting = u64::try_from(r.waiting.load(Ordering::Relaxed)).unwrap_or(0);
        page.gauge("portunus_recording_waiting_bytes", "Bytes that wait for the disk.", waiting);
    }

    fn transports(&self, page: &mut Page) {
        let c = &self.transports;
        page.metric("portunus_connections", Kind::Gauge, "Connections of clients now.")
            .sample(
                &[("transport", "http"), ("api", "janus")],
                c.http_connections.get() + c.https_connections.get(),
            )
            .sample(
                &[("transport", "http"), ("api", "admin")],
                c.admin_http_connections.get() + c.admin_https_connections.get(),
            )
            .sample(&[("transport", "websockets"), ("api", "all")], c.websocket_connections.get())
            .sample(&[("transport", "pfunix"), ("api", "all")], c.unix_clients.get());
        page.gauge("portunus_long_polls", "Long polls that wait now.", c.polls.get());
        page.counter("portunus_connections_accepted_total", "Connections accepted.", c.accepted.get());
        page.metric(
            "portunus_connections_refused_total",
            Kind::Counter,
            "Connections refused or ended, by reason.",
        )
        .sample(&[("reason", "acl")], c.refused_acl.get())
        .sample(&[("reason", "full")], c.refused_full.get())
        .sample(&[("reason", "evicted")], c.evicted.get())
        .sample(&[("reason", "accept_error")], c.accept_errors.get())
        .sample(&[("reason", "tls")], c.tls_failures.get())
        .sample(&[("reason", "timeout")], c.timed_out.get())
        .sample(&[("reason", "slow_client")], c.slow_clients.get());
        page.metric("portunus_transport_requests_total", Kind::Counter, "Requests read, by transport.")
            .sample(&[("transport", "http")], c.http_requests.get())
            .sample(&[("transport", "websockets")], c.websocket_requests.get())
            .sample(&[("transport", "pfunix")], c.unix_requests.get());
        page.metric("portunus_transport_refusals_total", Kind::Counter, "Requests not passed on, by reason.")
            .sample(&[("reason", "invalid_json")], c.invalid_json.get())
            .sample(&[("reason", "too_large")], c.too_large.get())
            .sample(&[("reason", "overloaded")], c.overloaded.get())
            .sample(&[("reason", "unanswered")], c.unanswered.get());
        let handed_out = "Clients that asked for their ICE servers, by what became of it.";
        page.metric("portunus_ice_servers_total", Kind::Counter, handed_out)
            .sample(&[("result", "ok")], c.ice_servers.get())
            .sample(&[("result", "refused")], c.ice_servers_refused.get())
            .sample(&[("result", "failed")], c.ice_servers_failed.get());
        page.counter("portunus_client_events_total", "Events for clients.", c.events.get());
        let dropped = "Events for clients that were dropped.";
        page.counter("portunus_client_events_dropped_total", dropped, c.events_dropped.get());
    }

    fn event_handlers(&self, page: &mut Page) {
        let all = self.handlers.status();
        if all.is_empty() {
            return;
        }
        let mut waiting =
            page.metric("portunus_handler_events_waiting", Kind::Gauge, "Events in a handler's queue.");
        for one in &all {
            waiting.sample(&[("handler", one.package)], one.waiting);
        }
        let mut events =
            page.metric("portunus_handler_events_total", Kind::Counter, "Events by what became of them.");
        for one in &all {
            events.sample(&[("handler", one.package), ("result", "delivered")], one.delivered);
            events.sample(&[("handler", one.package), ("result", "dropped")], one.dropped);
            events.sample(&[("handler", one.package), ("result", "lost")], one.lost);
        }
        let failures = "Attempts to reach a back end that failed.";
        let mut failures = page.metric("portunus_handler_failures_total", Kind::Counter, failures);
        for one in &all {
            failures.sample(&[("handler", one.package)], one.failures);
        }
    }
}

fn runs(page: &mut Page, workers: &[WorkerStatus]) {
    let help = "Datagrams of each message to the system (UDP_SEGMENT).";
    let mut metric = page.metric("portunus_worker_send_run_datagrams", Kind::Histogram, help);
    for (index, status) in workers.iter().enumerate() {
        let buckets: Vec<_> = Runs::BOUNDS
            .iter()
            .enumerate()
            .map(|(n, bound)| (u64::from(*bound), status.runs.up_to(n)))
            .collect();
        let runs = status.runs.all();
        metric.histogram(("worker", &index.to_string()), &buckets, runs, runs + status.coalesced);
    }
}

fn media(page: &mut Page, workers: &[WorkerStatus]) {
    let sum = |value: fn(&WorkerStatus) -> u64| workers.iter().map(value).sum::<u64>();
    let mut counter = |name, help: &str, value| page.counter(name, help, sum(value));
    counter("portunus_rtp_received_total", "RTP packets of clients.", |s| s.media.received);
    counter("portunus_rtp_lost_total", "RTP packets of clients lost on the way, repaired or not.", |s| {
        s.media.lost
    });
    counter("portunus_rtp_repaired_total", "RTP packets that came when asked for again.", |s| {
        s.media.repaired
    });
    counter("portunus_nacks_sent_total", "NACK messages sent to clients.", |s| s.media.nacks_sent);
    counter("portunus_keyframe_requests_total", "Keyframe requests sent to clients.", |s| {
        s.media.keyframe_requests
    });
    counter("portunus_rtp_sent_total", "RTP packets sent to clients.", |s| s.media.sent);
    counter("portunus_rtp_nacked_total", "Packets clients asked for again.", |s| s.media.nacked);
    counter("portunus_rtp_resent_total", "Packets sent again.", |s| s.media.resent);
    let help = "Packets and messages that forwarders sent.";
    counter("portunus_forwarded_total", help, |s| s.media.forwarded);
    let help = "Packets clients reported as lost.";
    counter("portunus_rtp_lost_by_clients_total", help, |s| s.media.lost_by_clients);
    let help = "Times a TURN server gave no relay address, or took it back.";
    counter("portunus_turn_failures_total", help, |s| s.turn_failures);
    page.gauge("portunus_turn_allocations", "Relay addresses on TURN servers.", sum(|s| s.relays));
    page.gauge("portunus_forwarders", "RTP forwarders.", sum(|s| s.forwarders));
}

/// The names every Prometheus client library has for these.
fn usage_of_process(page: &mut Page, usage: &Usage) {
    use Kind::{Counter, Gauge};
    let cpu = "User and system CPU time.";
    page.metric("process_cpu_seconds_total", Counter, cpu).sample_f64(&[], usage.cpu_seconds);
    page.gauge("process_resident_memory_bytes", "Resident memory.", usage.resident_bytes);
    page.gauge("process_threads", "Threads.", usage.threads);
    page.gauge("process_open_fds", "Open file descriptors.", usage.open_files);
    if let Some(most) = usage.max_files {
        page.gauge("process_max_fds", "File descriptors that may be open.", most);
    }
    let start = usage.started.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64();
    page.metric("process_start_time_seconds", Gauge, "Start, since 1970.").sample_f64(&[], start);
}

fn whole(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Exact up to 2^53: a counter of packets reaches that after decades.
#[allow(clippy::as_conversions, clippy::cast_precision_loss, reason = "there is no other way")]
fn float(n: u64) -> f64 {
    n as f64
}

/// When this process began, as far as it knows.
pub(crate) fn started() -> SystemTime {
    static STARTED: std::sync::OnceLock<SystemTime> = std::sync::OnceLock::new();
    *STARTED.get_or_init(SystemTime::now)
}
