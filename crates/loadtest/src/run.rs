//! What every scenario needs: the server, the callers, a meter that ticks, measurements, and a way to stop.

use crate::api::{Failure, Server};
use crate::call::Caller;
use crate::clock::now_ns;
use crate::engine::{Counters, Engine, Phase};
use crate::options::{Common, Media};
use crate::process::{Usage, longest_wait, overrun, usage, waits};
use crate::setup::Setup;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::sync::watch;

/// Packets that are under way when a measurement ends have this long to come.
const DRAIN: Duration = Duration::from_secs(1);

/// One second of the run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Second {
    pub(crate) at_s: f64,
    /// The measurement that was on.
    pub(crate) phase: u32,
    pub(crate) peers: usize,
    pub(crate) up: usize,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) received_bits: u64,
    pub(crate) lost: u64,
    pub(crate) late: u64,
    pub(crate) p50_ns: Option<u64>,
    pub(crate) p99_ns: Option<u64>,
    /// Share of one core.
    pub(crate) own_cpu: f64,
    pub(crate) busiest_thread: f64,
    pub(crate) server: Option<Usage>,
    pub(crate) server_cpu: Option<f64>,
}

/// What was found between two moments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) seconds: f64,
    pub(crate) peers_up: usize,
    pub(crate) phase: Phase,
    pub(crate) counters: Counters,
    pub(crate) own_cpu_ns: u64,
    /// The largest share of its time that one of our threads was busy.
    pub(crate) busiest_thread: f64,
    /// The largest share of the time that one of our threads, or of the server's, waited for a core.
    pub(crate) waited: f64,
    pub(crate) server_waited: f64,
    pub(crate) server: Option<(Usage, Usage)>,
    /// Datagrams that found a full buffer, of any socket of this machine (or network namespace).
    pub(crate) overrun: u64,
}

pub(crate) struct Run {
    pub(crate) server: Server,
    pub(crate) common: Common,
    pub(crate) caller: Caller,
    pub(crate) engine: Arc<Engine>,
    pub(crate) setup: Setup,
    pub(crate) series: Mutex<Vec<Second>>,
    pub(crate) joining: Semaphore,
    stop: watch::Receiver<bool>,
    phase: AtomicU32,
    start_ns: u64,
}

impl Run {
    pub(crate) fn new(
        common: &Common,
        media: Media,
        engine: Arc<Engine>,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Arc<Self>> {
        let url = common.url().map_err(anyhow::Error::msg)?;
        let host = url.split("://").nth(1).unwrap_or_default();
        let local = ["127.", "localhost", "[::1]"].iter().any(|start| host.starts_with(start));
        let server = Server {
            url,
            api_secret: common.api_secret.clone(),
            token: common.token.clone(),
            insecure: common.insecure,
            pool: None,
        };
        let patience = common.setup_timeout;
        Ok(Arc::new(Self {
            server,
            common: common.clone(),
            caller: Caller::new(Arc::clone(&engine), media, common.address, local, patience)?,
            engine,
            setup: Setup::default(),
            series: Mutex::default(),
            joining: Semaphore::new(common.joins as usize),
            stop,
            phase: AtomicU32::new(0),
            start_ns: now_ns(),
        }))
    }

    /// Somebody wants it all to end.
    pub(crate) fn stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Ends when somebody wants it all to end.
    pub(crate) async fn stop(&self) {
        let mut stop = self.stop.clone();
        if stop.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits, but not if it is all to end; whether it waited to the end.
    pub(crate) async fn sleep(&self, time: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(time) => true,
            () = self.stop() => false,
        }
    }

    /// Does it unless it is all to end first.
    pub(crate) async fn unless_stopped<T>(
        &self,
        what: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            done = what => done,
            () = self.stop() => Err(Failure::plain("interrupted")),
        }
    }

    pub(crate) fn server_usage(&self) -> Option<Usage> {
        usage(self.common.pid?)
    }

    /// Warms up and measures, unless it is all to end before.
    pub(crate) async fn measure_after_warm_up(&self, name: &str) -> Option<Measured> {
        if !self.sleep(self.common.warm_up()).await {
            return None;
        }
        Some(self.measure(name, self.common.duration()).await)
    }

    /// Measures for so long, or until it is all to end.
    pub(crate) async fn measure(&self, name: &str, time: Duration) -> Measured {
        let number = self.phase.fetch_add(1, Ordering::Relaxed) + 1;
        self.engine.begin(number).await;
        let (before, server_before) = (self.engine.snapshot(false).await, self.server_usage());
        let overrun_before = overrun();
        let waits_before = self.common.pid.map(waits).unwrap_or_default();
        let (own_before, began) = (usage(std::process::id()).unwrap_or_default(), now_ns());
        self.sleep(time).await;
        let (after, server_after) = (self.engine.snapshot(false).await, self.server_usage());
        let (own_after, seconds) = (usage(std::process::id()).unwrap_or_default(), now_ns() - began);
        let server_waited = longest_wait(&waits_before, &self.common.pid.map(waits).unwrap_or_default());
        self.engine.pause();
        tokio::time::sleep(DRAIN).await;
        let phase = self.engine.collect().await;
        let threads = after.cpu_ns.iter().zip(&before.cpu_ns).map(|(a, b)| a.saturating_sub(*b));
        let busiest = threads.max().unwrap_or(0);
        let waits = after.waited_ns.iter().zip(&before.waited_ns).map(|(a, b)| a.saturating_sub(*b));
        let waited = waits.max().unwrap_or(0);
        let server = server_before.zip(server_after);
        let share = |ns: u64| ns as f64 / seconds.max(1) as f64;
        Measured {
            name: name.to_owned(),
            seconds: seconds as f64 / 1e9,
            peers_up: after.up,
            phase,
            counters: after.counters.since(&before.counters),
            own_cpu_ns: own_after.cpu_ns.saturating_sub(own_before.cpu_ns),
            busiest_thread: share(busiest),
            waited: share(waited),
            server_waited: share(server_waited),
            server,
            overrun: overrun().saturating_sub(overrun_before),
        }
    }

    /// Takes a look each second, and shows it, until aborted.
    pub(crate) async fn tick(self: Arc<Self>, mut show: impl FnMut(&Self, &Second) + Send) {
        let mut last = (now_ns(), self.engine.snapshot(true).await);
        let (mut own, mut server) = (usage(std::process::id()), self.server_usage());
        let mut clock = tokio::time::interval(Duration::from_secs(1));
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        clock.tick().await;
        loop {
            clock.tick().await;
            let (now, snapshot) = (now_ns(), self.engine.snapshot(true).await);
            let span = (now - last.0).max(1) as f64;
            let counters = snapshot.counters.since(&last.1.counters);
            let own_now = usage(std::process::id());
            let server_now = self.server_usage();
            let cpu = |now: Option<Usage>, before: Option<Usage>| {
                Some(now?.cpu_ns.saturating_sub(before?.cpu_ns) as f64 / span)
            };
            let threads = snapshot.cpu_ns.iter().zip(&last.1.cpu_ns).map(|(a, b)| a.saturating_sub(*b));
            let second = Second {
                at_s: (now - self.start_ns) as f64 / 1e9,
                phase: self.engine.shared.phase(),
                peers: snapshot.peers,
                up: snapshot.up,
                received: counters.rtp_received,
                sent: counters.rtp_sent,
                received_bits: counters.octets_received * 8,
                lost: counters.missing.saturating_sub(counters.found),
                late: snapshot.late,
                p50_ns: snapshot.latency.percentile(50.0),
                p99_ns: snapshot.latency.percentile(99.0),
                own_cpu: cpu(own_now, own).unwrap_or(0.0),
                busiest_thread: threads.max().unwrap_or(0) as f64 / span,
                server: server_now,
                server_cpu: cpu(server_now, server),
            };
            show(&self, &second);
            self.series.lock().unwrap_or_else(PoisonError::into_inner).push(second);
            (last, own, server) = ((now, snapshot), own_now, server_now);
        }
    }

    pub(crate) fn seconds(&self) -> Vec<Second> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
