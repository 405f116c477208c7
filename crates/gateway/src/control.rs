//! The control task: the one owner of the core, between the transports and the media engine.
//!
//! Everything comes in through bounded channels and a timer, one input at a time; what the core wants done is done or
//! begun before the next input. Nothing here waits for a client, a packet or a disk.

use crate::logging::{self, LogControl};
use crate::questions::{Answer, Questions};
use crate::store::{Done, Store};
use crate::wiring;
use portunus_core::{Client, Core, Input, Notice, Output, PollVerdict, Question};
use portunus_media::Engine;
use portunus_plugin::{HandleId, MediaEvent, Object, Value, json};
use portunus_telemetry::events::{Event, EventType, Handlers};
use portunus_transport::{Inbound, Mailboxes, Queries, Reply, Side};
use slab::Slab;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle};

/// Requests that may wait for the core; the transports turn further ones away.
pub(crate) const REQUESTS: usize = 4096;
/// Media events that may wait for the core; the workers keep further ones and try again.
pub(crate) const MEDIA_EVENTS: usize = 16_384;

/// Answers to wrong admin secrets that are held back at a time.
const SLOW_REPLIES: usize = 1024;

/// The control task, as whoever started it holds it.
pub(crate) struct Control {
    task: JoinHandle<Engine>,
    close: Option<oneshot::Sender<()>>,
    end: oneshot::Sender<()>,
}

/// Starts the control task.
pub(crate) fn spawn(
    core: Core,
    engine: Engine,
    (mailboxes, queries, handlers): (Mailboxes, Queries, Handlers),
    (store, done): (Store, mpsc::Receiver<Done>),
    log: LogControl,
    asked: mpsc::Receiver<Inbound>,
    heard: mpsc::Receiver<(HandleId, MediaEvent)>,
) -> Control {
    let (close, closing) = oneshot::channel();
    let (end, ending) = oneshot::channel();
    let (questions, answered) = Questions::new();
    let slow = Arc::new(Semaphore::new(SLOW_REPLIES));
    let owner = Owner {
        core,
        engine,
        mailboxes,
        queries,
        handlers,
        store,
        questions,
        log,
        slow,
        waiting: Slab::new(),
    };
    let heard = Heard { asked, media: heard, done, answered };
    Control { task: tokio::spawn(owner.run(heard, closing, ending)), close: Some(close), end }
}

impl Control {
    /// Ends all sessions and takes no new ones.
    pub(crate) fn close_sessions(&mut self) {
        if let Some(close) = self.close.take() {
            let _ = close.send(());
        }
    }

    /// Ends the task and hands back the engine.
    pub(crate) async fn end(self) -> Result<Engine, JoinError> {
        // It may have ended on its own.
        let _ = self.end.send(());
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
    questions: Questions,
    log: LogControl,
    /// Places for answers that are held back.
    slow: Arc<Semaphore>,
    waiting: Slab<Asker>,
}

/// What comes in.
struct Heard {
    asked: mpsc::Receiver<Inbound>,
    media: mpsc::Receiver<(HandleId, MediaEvent)>,
    done: mpsc::Receiver<Done>,
    answered: mpsc::Receiver<Answer>,
}

/// Who waits for an answer of the core.
enum Asker {
    Request(Reply),
    Poll(oneshot::Sender<portunus_transport::PollVerdict>),
}

impl Owner {
    async fn run(
        mut self,
        mut heard: Heard,
        mut closing: oneshot::Receiver<()>,
        mut ending: oneshot::Receiver<()>,
    ) -> Engine {
        let mut open = true;
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
                Some((question, answer)) = heard.answered.recv() => Some(Input::Answer { question, answer }),
                () = tokio::time::sleep_until(timeout) => Some(Input::Timeout),
                _ = &mut closing, if open => {
                    open = false;
                    Some(Input::Shutdown)
                }
                _ = &mut ending => break,
            };
            if let Some(input) = input {
                self.handle(input);
            }
        }
        drop(heard);
        self.store.finish(crate::DRAIN).await;
        self.engine
    }

    /// What a transport's word means to the core.
    fn input(&mut self, inbound: Inbound) -> Option<Input> {
        match inbound {
            Inbound::Request { client, side: Side::Janus, address, origin, body, reply } => {
                let key = key_of(self.waiting.insert(Asker::Request(reply)));
                Some(Input::Request { key, client: client_of(client), address, origin, body })
            }
            Inbound::Request { side: Side::Admin, address, body, reply, .. } => {
                let key = key_of(self.waiting.insert(Asker::Request(reply)));
                Some(Input::AdminRequest { key, address, body })
            }
            Inbound::Poll { session, secret, token, reply } => {
                let key = key_of(self.waiting.insert(Asker::Poll(reply)));
                Some(Input::Poll { key, session, secret, token })
            }
            Inbound::Gone { client } => Some(Input::ClientGone { client: client_of(client) }),
        }
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
            Output::Ask { question, what } => match what {
                Question::Loops => {
                    self.questions.answer(question, Some(loops(self.engine.loads())));
                }
                Question::Transport { package, request } => {
                    let response = self.queries.answer(&package, &request);
                    self.questions.answer(question, response.map(response_of));
                }
                Question::EventHandler { package, request } => {
                    let response = self.handlers.answer(&package, &request);
                    self.questions.answer(question, response.map(response_of));
                }
                what => self.questions.ask(question, what),
            },
            Output::Tune(tuning) => {
                self.engine.tune(wiring::media_tuning(&tuning));
                self.log.tune(&tuning);
            }
            Output::LogLine { level, line } => logging::custom(level, &line),
            Output::PollVerdict { key, verdict } => {
                if let Some(Asker::Poll(reply)) = self.asker(key) {
                    // Whoever asked may have gone.
                    let _ = reply.send(verdict_of(verdict));
                }
            }
            Output::Event { session, json } => self.mailboxes.deliver(session, json),
            Output::SessionOpened { session, client } => self.mailboxes.open(session, owner_of(client)),
            Output::SessionClaimed { session, client } => self.mailboxes.claim(session, owner_of(client)),
            Output::SessionClosed { session } => self.mailboxes.close(session),
            Output::Media(command) => self.engine.send(command),
            Output::Task { plugin, ticket, task } => self.store.begin(plugin, ticket, task),
            Output::Notify(notice) => self.handlers.tell(event_of(*notice)),
        }
    }

    /// Answers somebody who is to wait; when too many wait already, the connection is closed instead.
    fn reply_later(&self, reply: Reply, json: Value, delay: Duration) {
        let Ok(place) = Arc::clone(&self.slow).try_acquire_owned() else { return };
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

/// `loops_info`: the media workers.
fn loops(handles: &[usize]) -> Object {
    let one = |(id, handles): (usize, &usize)| json!({ "id": id, "handles": handles });
    let loops: Vec<_> = handles.iter().enumerate().map(one).collect();
    Object::from_iter([("loops".to_owned(), loops.into())])
}

fn key_of(index: usize) -> u64 {
    u64::try_from(index).unwrap_or(u64::MAX)
}

fn client_of(client: portunus_transport::Client) -> Client {
    match client {
        portunus_transport::Client::Http => Client::Connectionless,
        portunus_transport::Client::Connection(number) => Client::Connection(number),
    }
}

fn owner_of(client: Client) -> portunus_transport::Client {
    match client {
        Client::Connectionless => portunus_transport::Client::Http,
        Client::Connection(number) => portunus_transport::Client::Connection(number),
    }
}

fn verdict_of(verdict: PollVerdict) -> portunus_transport::PollVerdict {
    match verdict {
        PollVerdict::Ok => portunus_transport::PollVerdict::Ok,
        PollVerdict::Forbidden => portunus_transport::PollVerdict::Forbidden,
        PollVerdict::NotFound => portunus_transport::PollVerdict::NotFound,
    }
}
