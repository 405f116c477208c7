//! The handlers of a process: told by anybody, each on its own with its back end.

use super::http::{self, Tweaked};
use super::{Backend, Event, EventMask, EventType, Handler, gelf, limits, mqtt, websocket};
use portunus_api::{Object, Value, json};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// An event in its envelope, shared by all handlers that get it.
pub(crate) type Told = Arc<Value>;

/// The handlers; clones are the same ones.
#[derive(Clone, Debug)]
pub struct Handlers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    emitter: String,
    ends: Vec<End>,
    ending: watch::Sender<bool>,
    tasks: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct End {
    package: &'static str,
    mask: Arc<AtomicU16>,
    queue: mpsc::Sender<Told>,
    tally: Arc<Tally>,
    tweaked: Option<Arc<Mutex<Tweaked>>>,
}

/// What a handler counts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    delivered: AtomicU64,
    dropped: AtomicU64,
    lost: AtomicU64,
    failures: AtomicU64,
}

impl Tally {
    /// So many events have reached the back end.
    pub(crate) fn delivered(&self, events: usize) {
        self.delivered.fetch_add(u64::try_from(events).unwrap_or(0), Ordering::Relaxed);
    }

    /// So many events were given up.
    pub(crate) fn lost(&self, events: usize) {
        self.lost.fetch_add(u64::try_from(events).unwrap_or(0), Ordering::Relaxed);
    }

    /// An attempt has failed.
    pub(crate) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
}

/// One handler as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerStatus {
    /// `janus.eventhandler.sampleevh`
    pub package: &'static str,
    /// Events in its queue.
    pub waiting: u64,
    /// Events its back end has got.
    pub delivered: u64,
    /// Events dropped because the queue was full.
    pub dropped: u64,
    /// Events given up because the back end did not take them.
    pub lost: u64,
    /// Attempts that failed.
    pub failures: u64,
}

/// All of them.
pub type HandlersStatus = Vec<HandlerStatus>;

impl Handlers {
    /// Starts a task for each handler. To be called in a runtime. `emitter` is the name of this server in every event.
    pub fn start(handlers: Vec<Handler>, emitter: &str) -> Self {
        let (ending, _) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut ends = Vec::new();
        for Handler { mask, backend } in handlers {
            let package = backend.package();
            let (queue, waiting) = mpsc::channel(limits::QUEUE);
            let inbox = Inbox { queue: waiting, ending: ending.subscribe() };
            let tally = Arc::new(Tally::default());
            let mask = Arc::new(AtomicU16::new(mask.0));
            let mut tweaked = None;
            match backend {
                Backend::Http(settings) => {
                    let shared = Arc::new(Mutex::new(Tweaked::new(settings)));
                    tasks.spawn(http::run(shared.clone(), inbox, tally.clone()));
                    tweaked = Some(shared);
                }
                Backend::WebSocket(settings) => {
                    drop(tasks.spawn(websocket::run(settings, inbox, tally.clone())))
                }
                Backend::Gelf(settings) => drop(tasks.spawn(gelf::run(settings, inbox, tally.clone()))),
                Backend::Mqtt(settings) => drop(tasks.spawn(mqtt::run(settings, inbox, tally.clone()))),
            }
            ends.push(End { package, mask, queue, tally, tweaked });
        }
        Self(Arc::new(Shared { emitter: emitter.to_owned(), ends, ending, tasks: Mutex::new(tasks) }))
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.0.ends.is_empty()
    }

    /// Whether anybody wants events of this type now.
    pub fn wants(&self, kind: EventType) -> bool {
        self.0.ends.iter().any(|end| end.wants(kind))
    }

    /// Tells an event. Never waits: who has no room for it does not get it.
    pub fn tell(&self, event: Event) {
        let kind = event.kind;
        if !self.wants(kind) {
            return;
        }
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let told = Arc::new(event.envelope(&self.0.emitter, unix));
        for end in self.0.ends.iter().filter(|end| end.wants(kind)) {
            if end.queue.try_send(Arc::clone(&told)).is_err() {
                let before = end.tally.dropped.fetch_add(1, Ordering::Relaxed);
                if before.is_multiple_of(10_000) {
                    tracing::warn!(
                        handler = end.package,
                        "an event handler does not keep up: events are dropped"
                    );
                }
            }
        }
    }

    /// What the handlers have done so far.
    pub fn status(&self) -> HandlersStatus {
        let one = |end: &End| {
            let waiting = end.queue.max_capacity() - end.queue.capacity();
            HandlerStatus {
                package: end.package,
                waiting: u64::try_from(waiting).unwrap_or(0),
                delivered: end.tally.delivered.load(Ordering::Relaxed),
                dropped: end.tally.dropped.load(Ordering::Relaxed),
                lost: end.tally.lost.load(Ordering::Relaxed),
                failures: end.tally.failures.load(Ordering::Relaxed),
            }
        };
        self.0.ends.iter().map(one).collect()
    }

    /// The `response` to a question of an operator (`query_eventhandler`); `None` if there is no such handler, or if it
    /// answers no questions.
    pub fn answer(&self, package: &str, request: &Object) -> Option<Value> {
        let end = self.0.ends.iter().find(|end| end.package == package)?;
        let tweaked = end.tweaked.as_ref()?;
        let mut settings = tweaked.lock().unwrap_or_else(PoisonError::into_inner);
        Some(match http::answer(&mut settings, request) {
            Ok(mask) => {
                if let Some(EventMask(mask)) = mask {
                    end.mask.store(mask, Ordering::Relaxed);
                }
                json!({ "result": 200 })
            }
            Err((code, text)) => json!({ "error_code": code, "error": text }),
        })
    }

    /// Lets the handlers pass on what they have, and ends them; at the latest after `patience`.
    pub async fn finish(&self, patience: Duration) {
        self.0.ending.send_replace(true);
        let mut tasks = std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(patience, all).await;
    }
}

impl End {
    fn wants(&self, kind: EventType) -> bool {
        EventMask(self.mask.load(Ordering::Relaxed)).has(kind)
    }
}

/// What a handler's task gets.
pub(crate) struct Inbox {
    queue: mpsc::Receiver<Told>,
    ending: watch::Receiver<bool>,
}

impl Inbox {
    #[cfg(test)]
    pub(crate) fn of(queue: mpsc::Receiver<Told>) -> Self {
        let (ending, seen) = watch::channel(false);
        // Never dropped: nothing ends in tests.
        std::mem::forget(ending);
        Self { queue, ending: seen }
    }

    /// The next event; `None` when the process ends and there are no more.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        tokio::select! {
            biased;
            told = self.queue.recv() => told,
            _ = self.ending.wait_for(|ending| *ending) => self.queue.try_recv().ok(),
        }
    }

    /// The next event and those that wait behind it, at most `most`.
    pub(crate) async fn next_group(&mut self, most: usize) -> Option<Vec<Told>> {
        let mut group = vec![self.next().await?];
        while group.len() < most
            && let Ok(told) = self.queue.try_recv()
        {
            group.push(told);
        }
        Some(group)
    }

    /// Gives up all waiting events but the newest `keep`, and says how many.
    pub(crate) fn keep_newest(&mut self, keep: usize) -> usize {
        let mut given_up = 0;
        while self.queue.len() > keep && self.queue.try_recv().is_ok() {
            given_up += 1;
        }
        given_up
    }

    /// Resolves when the process ends.
    pub(crate) async fn ended(&mut self) {
        let _ = self.ending.wait_for(|ending| *ending).await;
    }
}
