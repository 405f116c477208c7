//! The control task: the one owner of the core, between the transports and the media engine.
//!
//! Everything comes in through bounded channels and a timer, one input at a time; what the core wants done is done or
//! begun before the next input. Nothing here waits for a client, a packet or a disk.

use crate::captures::{Captures, Opened, Wanted};
use crate::logging::{self, LogControl};
use crate::monitor::Census;
use crate::questions::{Answer, Questions};
use crate::reach::Reach;
use crate::store::{Done, Store};
use crate::wiring;
use portunus_core::{Client, Core, Input, Notice, Output, PollVerdict, Question, Reload};
use portunus_media::{Certificate, Engine, WorkerStatus};
use portunus_plugin::media::MediaCommand;
use portunus_plugin::recording::Recording;
use portunus_plugin::{HandleId, MediaEvent, Object, RouteEnd, Task, Value, json};
use portunus_recorder::Recorder;
use portunus_telemetry::events::{Event, EventType, Handlers};
use portunus_transport::{Inbound, Mailboxes, Queries, Reply, Side};
use slab::Slab;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinHandle};

/// Requests that may wait for the core; the transports turn further ones away.
pub(crate) const REQUESTS: usize = 4096;
/// Media events that may wait for the core; the workers keep further ones and try again.
pub(crate) const MEDIA_EVENTS: usize = 16_384;

/// How often the task tells of itself: with the core's tick.
const CENSUS: Duration = Duration::from_millis(900);

/// Answers to wrong admin secrets that are held back at a time.
const SLOW_REPLIES: usize = 1024;

/// What the process asks of the control task.
#[derive(Debug)]
pub(crate) enum Order {
    /// No new sessions. Answered by the number of handles.
    Drain(oneshot::Sender<usize>),
    /// End all sessions.
    Close,
    /// Settings were read again.
    Reload(Box<Reload>),
    /// Show this certificate to new peers.
    Certificate(Box<Certificate>),
    /// Answered when everything before it was obeyed.
    Settle(oneshot::Sender<()>),
    /// Open the log file anew.
    ReopenLog,
    /// End.
    End,
}

/// The control task, as whoever started it holds it.
pub(crate) struct Control {
    task: JoinHandle<Engine>,
    orders: mpsc::Sender<Order>,
    census: watch::Receiver<Census>,
    /// How long an operator wants calls to go on.
    drains: mpsc::Receiver<Option<Duration>>,
}

/// Starts the control task.
pub(crate) fn spawn(
    core: Core,
    engine: Engine,
    (mailboxes, queries, handlers): (Mailboxes, Queries, Handlers),
    (store, done, reach): (Store, mpsc::Receiver<Done>, Reach),
    (log, captures, recorder): (LogControl, Captures, Recorder),
    (asked, heard): (mpsc::Receiver<Inbound>, mpsc::Receiver<(HandleId, MediaEvent)>),
) -> Control {
    let (orders, ordered) = mpsc::channel(16);
    let (drain, drains) = mpsc::channel(1);
    let (questions, answered) = Questions::new();
    let slow = Arc::new(Semaphore::new(SLOW_REPLIES));
    let (open, opened) = mpsc::channel(64);
    let heard = Heard { asked, media: heard, done, answered, ordered, opened };
    let (told, census) = watch::channel(heard.count(&core));
    let owner = Owner {
        core,
        engine,
        mailboxes,
        queries,
        handlers,
        store,
        reach,
        questions,
        log,
        captures,
        recorder,
        opened: open,
        slow,
        drain,
        census: told,
        waiting: Slab::new(),
        leavers: VecDeque::new(),
        since_leaver: 0,
    };
    Control { task: tokio::spawn(owner.run(heard)), orders, census, drains }
}

impl Control {
    /// Asks for something. The task may have ended on its own.
    pub(crate) async fn order(&self, order: Order) {
        let _ = self.orders.send(order).await;
    }

    /// Resolves when all orders so far were obeyed.
    pub(crate) async fn settled(&self) {
        let (answer, answered) = oneshot::channel();
        self.order(Order::Settle(answer)).await;
        let _ = answered.await;
    }

    /// Lets no new sessions in; the number of handles that are there.
    pub(crate) async fn drain(&self) -> usize {
        let (answer, answered) = oneshot::channel();
        self.order(Order::Drain(answer)).await;
        answered.await.unwrap_or(0)
    }

    /// What it tells of itself, now and later.
    pub(crate) fn census(&self) -> watch::Receiver<Census> {
        self.census.clone()
    }

    /// Resolves when an operator wants the process to end; with the time that calls may take, if he says so.
    pub(crate) async fn drain_wanted(&mut self) -> Option<Duration> {
        match self.drains.recv().await {
            Some(timeout) => timeout,
            None => std::future::pending().await,
        }
    }

    /// Resolves when no handle is left, after [`Order::Drain`].
    pub(crate) async fn emptied(&self) {
        let _ = self.census.clone().wait_for(|census| !census.accepting && census.handles == 0).await;
    }

    /// Ends the task and hands back the engine.
    pub(crate) async fn end(self) -> Result<Engine, JoinError> {
        let _ = self.orders.send(Order::End).await;
        self.task.await
    }
}

struct Owner {
    core: Core,
    engine: Engine,
    mailboxes: Mailboxes,
    queries: Queries,
    handlers: Handlers,
    store: Store,
    reach: Reach,
    questions: Questions,
    log: LogControl,
    captures: Captures,
    recorder: Recorder,
    opened: mpsc::Sender<Opening>,
    /// Places for answers that are held back.
    slow: Arc<Semaphore>,
    drain: mpsc::Sender<Option<Duration>>,
    census: watch::Sender<Census>,
    waiting: Slab<Asker>,
    /// Clients that have gone, all of whose requests have been handled. What each leaves behind is work for its room, so
    /// that the requests of others go first: a thousand that go at once hold nobody up.
    leavers: VecDeque<portunus_transport::Client>,
    /// Requests handled since the last of them.
    since_leaver: usize,
}

/// So many requests may go before somebody who has gone.
const BEFORE_LEAVER: usize = 8;

/// What comes in.
struct Heard {
    asked: mpsc::Receiver<Inbound>,
    media: mpsc::Receiver<(HandleId, MediaEvent)>,
    done: mpsc::Receiver<Done>,
    answered: mpsc::Receiver<Answer>,
    ordered: mpsc::Receiver<Order>,
    opened: mpsc::Receiver<Opening>,
}

/// The file of a capture that is to begin: the question's number, whose it is, and what became of it.
type Opening = (u64, HandleId, std::io::Result<Opened>);

impl Heard {
    fn count(&self, core: &Core) -> Census {
        Census {
            at: Instant::now(),
            sessions: core.sessions(),
            handles: core.handles(),
            peer_connections: core.peer_connections(),
            accepting: core.is_accepting(),
            waiting_requests: self.asked.len(),
            waiting_events: self.media.len(),
            counters: core.counters(),
        }
    }
}

/// Who waits for an answer of the core.
enum Asker {
    Request(Reply),
    Poll(oneshot::Sender<portunus_transport::PollVerdict>),
    Entry(oneshot::Sender<bool>),
}

impl Owner {
    async fn run(mut self, mut heard: Heard) -> Engine {
        let mut counted = Instant::now();
        loop {
            let timeout = tokio::time::Instant::from_std(self.core.poll_timeout());
            let input = tokio::select! {
                inbound = heard.asked.recv() => match inbound {
                    Some(inbound) => self.input(inbound),
                    None => break,
                },
                Some((handle, event)) = heard.media.recv() => Some(Input::Media { handle, event }),
                Some(Done { plugin, ticket, outcome }) = heard.done.recv() => {
                    Some(Input::TaskDone { plugin, ticket, outcome })
                }
                Some(opening) = heard.opened.recv() => Some(self.begin_capture(opening)),
                Some((question, answer)) = heard.answered.recv() => Some(Input::Answer { question, answer }),
                () = std::future::ready(()), if self.is_leavers_turn(&heard) => self.leave(),
                () = tokio::time::sleep_until(timeout) => Some(Input::Timeout),
                order = heard.ordered.recv() => match order {
                    None | Some(Order::End) => break,
                    Some(order) => self.obey(order),
                },
            };
            if let Some(input) = input {
                self.handle(input);
            }
            // While the process waits for its end, the last handle is told of at once.
            let changed = self.core.is_accepting() != self.census.borrow().accepting;
            let empty = !self.core.is_accepting() && self.core.handles() == 0;
            if changed || empty || counted.elapsed() >= CENSUS {
                counted = Instant::now();
                self.census.send_replace(heard.count(&self.core));
            }
        }
        drop(heard);
        self.store.finish(crate::DRAIN).await;
        let recorder = self.recorder;
        // What waits for the disk is written.
        let _ = tokio::task::spawn_blocking(move || recorder.finish(crate::DRAIN)).await;
        self.engine
    }

    fn obey(&mut self, order: Order) -> Option<Input> {
        match order {
            Order::Drain(answer) => {
                let _ = answer.send(self.core.handles());
                Some(Input::Drain)
            }
            Order::Close => Some(Input::Shutdown),
            Order::Reload(reload) => Some(Input::Reload(reload)),
            Order::Certificate(certificate) => {
                if let Err(error) = self.engine.set_certificate(&certificate) {
                    tracing::error!(%error, "the DTLS certificate stays as it was");
                }
                None
            }
            Order::Settle(answer) => {
                let _ = answer.send(());
                None
            }
            Order::ReopenLog => {
                self.log.reopen();
                None
            }
            Order::End => None,
        }
    }

    /// What a transport's word means to the core.
    fn input(&mut self, inbound: Inbound) -> Option<Input> {
        let input = match inbound {
            Inbound::Request { client, side: Side::Janus, address, origin, body, reply } => {
                let key = key_of(self.waiting.insert(Asker::Request(reply)));
                Input::Request { key, client: client_of(client), address, origin, body }
            }
            Inbound::Request { side: Side::Admin, address, body, reply, .. } => {
                let key = key_of(self.waiting.insert(Asker::Request(reply)));
                Input::AdminRequest { key, address, body }
            }
            Inbound::Poll { session, secret, token, reply } => {
                let key = key_of(self.waiting.insert(Asker::Poll(reply)));
                Input::Poll { key, session, secret, token }
            }
            Inbound::Entry { secret, token, reply } => {
                let key = key_of(self.waiting.insert(Asker::Entry(reply)));
                Input::Entry { key, secret, token }
            }
            Inbound::Gone { client } => {
                self.leavers.push_back(client);
                return None;
            }
        };
        self.since_leaver += 1;
        Some(input)
    }

    fn is_leavers_turn(&self, heard: &Heard) -> bool {
        !self.leavers.is_empty() && (heard.asked.is_empty() || self.since_leaver >= BEFORE_LEAVER)
    }

    fn leave(&mut self) -> Option<Input> {
        self.since_leaver = 0;
        self.leavers.pop_front().map(|client| Input::ClientGone { client: client_of(client) })
    }

    fn handle(&mut self, input: Input) {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        self.core.handle_input(input, Instant::now(), unix);
        while let Some(output) = self.core.poll_output() {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Reply { key, json } => {
                if let Some(Asker::Request(reply)) = self.asker(key) {
                    reply.send(json);
                }
            }
            Output::SlowReply { key, json, delay } => {
                if let Some(Asker::Request(reply)) = self.asker(key) {
                    self.reply_later(reply, json, delay);
                }
            }
            Output::Ask { question, what } => self.ask(question, what),
            Output::Tune(tuning) => {
                self.engine.tune(wiring::media_tuning(&tuning));
                self.log.tune(&tuning);
            }
            Output::StopCapture { handle } => {
                if self.captures.end(handle) {
                    self.engine.send(MediaCommand::Capture { handle, tap: None });
                }
            }
            Output::Record { source, recording } => self.record(source, Some(*recording)),
            Output::EndRecording { source } => self.record(source, None),
            Output::Drain(timeout) => drop(self.drain.try_send(timeout)),
            Output::LogLine { level, line } => logging::custom(level, &line),
            Output::PollVerdict { key, verdict } => {
                if let Some(Asker::Poll(reply)) = self.asker(key) {
                    // Whoever asked may have gone.
                    let _ = reply.send(verdict_of(verdict));
                }
            }
            Output::EntryVerdict { key, allowed } => {
                if let Some(Asker::Entry(reply)) = self.asker(key) {
                    let _ = reply.send(allowed);
                }
            }
            Output::Event { session, json } => self.mailboxes.deliver(session, json),
            Output::SessionOpened { session, client } => self.mailboxes.open(session, owner_of(client)),
            Output::SessionClaimed { session, client } => self.mailboxes.claim(session, owner_of(client)),
            Output::SessionClosed { session } => self.mailboxes.close(session),
            Output::Dismiss { client } => self.mailboxes.close_client(owner_of(client)),
            Output::Media(command) => {
                // A peer that is made while its handle is captured is captured from its beginning.
                let begins = matches!(command, MediaCommand::Negotiate(_));
                let handle = command.handle();
                if matches!(command, MediaCommand::Forget { .. }) {
                    self.recorder.end_all(handle);
                }
                self.engine.send(command);
                if let Some(tap) = self.captures.tap(handle).filter(|_| begins) {
                    self.engine.send(MediaCommand::Capture { handle, tap: Some(tap) });
                }
            }
            Output::Task { plugin, ticket, task: Task::Store(group) } => {
                self.store.begin(plugin, ticket, group)
            }
            Output::Task { plugin, ticket, task: Task::Reach(all) } => self.reach.begin(plugin, ticket, all),
            Output::Notify(notice) => self.handlers.tell(event_of(*notice)),
        }
    }

    /// Answers a question of the core, or has it answered.
    fn ask(&mut self, question: u64, what: Question) {
        match what {
            Question::Loops => {
                self.questions
                    .answer(question, Some(loops(self.engine.loads(), &self.engine.statuses().get())));
            }
            Question::Transport { package, request } => {
                let response = self.queries.answer(&package, &request);
                self.questions.answer(question, response.map(response_of));
            }
            Question::EventHandler { package, request } => {
                let response = self.handlers.answer(&package, &request);
                self.questions.answer(question, response.map(response_of));
            }
            Question::StartCapture { handle, text, folder, file, truncate } => {
                self.open_capture(question, handle, Wanted { text, folder, file, truncate });
            }
            what => self.questions.ask(question, what),
        }
    }

    /// Begins a recording of a medium, or ends it.
    fn record(&mut self, source: RouteEnd, recording: Option<Recording>) {
        let tape = match recording {
            Some(recording) => self.recorder.begin(source.clone(), recording),
            None => {
                self.recorder.end(&source);
                None
            }
        };
        self.engine.send(MediaCommand::Record { source, tape });
    }

    /// Has the file of a capture opened, where it may take its time.
    fn open_capture(&self, question: u64, handle: HandleId, wanted: Wanted) {
        let opener = match self.captures.opener(wanted) {
            Ok(opener) => opener,
            Err(error) => {
                tracing::warn!(%handle, %error, "no capture");
                return self.questions.answer(question, None);
            }
        };
        let opened = self.opened.clone();
        tokio::task::spawn_blocking(move || {
            // Nobody listens any more when the process ends.
            let _ = opened.blocking_send((question, handle, opener()));
        });
    }

    fn begin_capture(&mut self, (question, handle, outcome): Opening) -> Input {
        let answer = match outcome {
            Ok(Opened { tap, path }) => {
                self.captures.begin(handle, tap.clone());
                self.engine.send(MediaCommand::Capture { handle, tap: Some(tap) });
                let file = json!(path.display().to_string());
                let members = [("handle_id".to_owned(), handle.into()), ("file".to_owned(), file)];
                Some(Object::from_iter(members))
            }
            Err(error) => {
                tracing::warn!(%handle, %error, "no capture");
                None
            }
        };
        Input::Answer { question, answer }
    }

    /// Answers somebody who is to wait; when too many wait already, the connection is closed instead.
    fn reply_later(&self, reply: Reply, json: Value, delay: Duration) {
        let Ok(place) = Arc::clone(&self.slow).try_acquire_owned() else { return };
        reply.hold();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            reply.send(json);
            drop(place);
        });
    }

    fn asker(&mut self, key: u64) -> Option<Asker> {
        usize::try_from(key).ok().and_then(|key| self.waiting.try_remove(key))
    }
}

fn response_of(response: Value) -> Object {
    Object::from_iter([("response".to_owned(), response)])
}

fn event_of(notice: Notice) -> Event {
    let Notice { kind, subtype, session, handle, opaque_id, event } = notice;
    Event {
        // The core knows no other types.
        kind: EventType::from_number(kind).unwrap_or(EventType::Core),
        subtype,
        session: session.map(|id| id.get()),
        handle: handle.map(|id| id.get()),
        opaque_id,
        body: event,
    }
}

/// `loops_info`: the media workers. Janus tells the first two of each.
fn loops(handles: &[usize], workers: &[WorkerStatus]) -> Object {
    let one = |(id, (handles, worker)): (usize, (&usize, &WorkerStatus))| {
        json!({
            "id": id,
            "handles": handles,
            "peers": worker.peers,
            "peers-up": worker.peers_up,
            "packets-received": worker.received,
            "packets-sent": worker.sent,
            "longest-turn": u64::try_from(worker.longest_turn.as_micros()).unwrap_or(u64::MAX),
        })
    };
    let loops: Vec<_> = handles.iter().zip(workers).enumerate().map(one).collect();
    Object::from_iter([("loops".to_owned(), loops.into())])
}

fn key_of(index: usize) -> u64 {
    u64::try_from(index).unwrap_or(u64::MAX)
}

fn client_of(client: portunus_transport::Client) -> Client {
    match client {
        portunus_transport::Client::Http => Client::Connectionless,
        portunus_transport::Client::Connection(number) => Client::Connection(number),
        portunus_transport::Client::Unix(number) => Client::Unix(number),
    }
}

fn owner_of(client: Client) -> portunus_transport::Client {
    match client {
        Client::Connectionless => portunus_transport::Client::Http,
        Client::Connection(number) => portunus_transport::Client::Connection(number),
        Client::Unix(number) => portunus_transport::Client::Unix(number),
    }
}

fn verdict_of(verdict: PollVerdict) -> portunus_transport::PollVerdict {
    match verdict {
        PollVerdict::Ok => portunus_transport::PollVerdict::Ok,
        PollVerdict::Forbidden => portunus_transport::PollVerdict::Forbidden,
        PollVerdict::NotFound => portunus_transport::PollVerdict::NotFound,
    }
}
