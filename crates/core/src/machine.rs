//! [`Core`]: the state, its inputs and outputs, and the list of steps still to do.

use crate::auth;
use crate::handle::{Handle, Queued};
use crate::info;
use crate::io::{Client, Input, Output, PollVerdict};
use crate::questions::Questions;
use crate::session::Session;
use crate::settings::{Settings, limits};
use crate::tasks::Tasks;
use crate::tokens::Tokens;
use portunus_api::{ApiError, ErrorCode, Guesses, HandleId, Request, SessionId, Value};
use portunus_plugin::media::MediaCommand;
use portunus_plugin::{Effect, Plugin};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// Where ids come from: 64 random bits a call.
pub type Random = Box<dyn FnMut() -> u64 + Send>;

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests.
    pub requests: u64,
    /// Requests of the Admin API.
    pub admin_requests: u64,
    /// Those of them with a wrong secret, or without one.
    pub admin_refused: u64,
    /// Things refused because a limit was reached.
    pub refused_full: u64,
    /// `trickle` requests dropped because too many came before their offer.
    pub trickles_dropped: u64,
    /// `trickle` requests dropped because their offer did not come in time.
    pub trickles_expired: u64,
    /// Descriptions and media events that the state of their handle did not allow.
    pub illegal_transitions: u64,
    /// Descriptions given up because the media engine did not answer in time.
    pub gathering_timeouts: u64,
    /// PeerConnections that counted as closed because the media engine did not say so in time.
    pub closing_timeouts: u64,
    /// Tasks that did not end in time.
    pub task_timeouts: u64,
    /// Plugin calls that panicked.
    pub plugin_panics: u64,
}

/// The state machine. See the crate's head for the laws of its use.
pub struct Core {
    pub(crate) settings: Settings,
    pub(crate) plugins: Vec<Box<dyn Plugin>>,
    pub(crate) random: Random,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    /// The sessions of connections. Those without a connection have no entry.
    pub(crate) owned: BTreeMap<Client, BTreeSet<SessionId>>,
    pub(crate) handles: BTreeMap<HandleId, Handle>,
    /// When a handle wants to be looked at; entries may be out of date, never missing.
    pub(crate) deadlines: BTreeSet<(Instant, HandleId)>,
    /// What is being done outside, and who waits for it.
    pub(crate) tasks: Tasks,
    /// What operators asked the world around us, and wait for.
    pub(crate) questions: Questions,
    /// Who gave wrong secrets to the Admin API.
    pub(crate) guesses: Guesses,
    /// Tokens of the Admin API.
    pub(crate) tokens: Tokens,
    /// Times of the Admin API are told from here on.
    pub(crate) started: Instant,
    pub(crate) watchdog: Instant,
    pub(crate) tick: Instant,
    /// When event handlers are told of how much there is.
    pub(crate) update: Instant,
    pub(crate) accepting: bool,
    /// The process ends: nothing makes it accept sessions again.
    pub(crate) ending: bool,
    pub(crate) next_exchange: u64,
    /// The time of the input at hand.
    pub(crate) now: Instant,
    /// The same as wall-clock time since the Unix epoch.
    pub(crate) unix: Duration,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) counters: Counters,
    /// Steps to do, in order.
    steps: VecDeque<Step>,
    /// Steps that came up since the last one was begun: they come before the others.
    planned: VecDeque<Step>,
}

/// Something that must wait for the call at hand to end.
pub(crate) enum Step {
    /// What the plugin with this index asked for.
    Effect(usize, Effect),
    /// An output that comes behind such effects.
    Emit(Output),
    /// What waited for a PeerConnection of the handle to close, or for a task.
    Queued(HandleId, Box<Queued>),
}

/// A request, with the way back.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) key: u64,
    pub(crate) client: Client,
    /// For event handlers.
    pub(crate) origin: u64,
    pub(crate) request: Request,
}

impl Core {
    /// A core without sessions.
    pub fn new(settings: Settings, plugins: Vec<Box<dyn Plugin>>, random: Random, now: Instant) -> Self {
        Self {
            settings,
            plugins,
            random,
            sessions: BTreeMap::new(),
            owned: BTreeMap::new(),
            handles: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            tasks: Tasks::default(),
            questions: Questions::default(),
            guesses: Guesses::default(),
            tokens: Tokens::default(),
            started: now,
            watchdog: now + limits::WATCHDOG,
            tick: now + limits::TICK,
            update: now + limits::UPDATE,
            accepting: true,
            ending: false,
            next_exchange: 1,
            now,
            unix: Duration::ZERO,
            outputs: VecDeque::new(),
            counters: Counters::default(),
            steps: VecDeque::new(),
            planned: VecDeque::new(),
        }
    }

    /// Takes one input. `now` must not go back; `unix` is the wall-clock time since the Unix epoch, for the expiry of
    /// signed tokens.
    pub fn handle_input(&mut self, input: Input, now: Instant, unix: Duration) {
        self.now = self.now.max(now);
        self.unix = unix;
        match input {
            Input::Request { key, client, address, origin, body } => {
                self.counters.requests += 1;
                tracing::trace!(%address, key, "request");
                self.on_request((key, origin), client, body);
            }
            Input::AdminRequest { key, address, body } => {
                self.counters.admin_requests += 1;
                self.on_admin_request(key, address, body);
            }
            Input::Answer { question, answer } => self.on_answered(question, answer),
            Input::Poll { key, session, secret, token } => {
                let verdict = self.on_poll(session, secret.as_deref(), token.as_deref());
                self.outputs.push_back(Output::PollVerdict { key, verdict });
            }
            Input::Entry { key, secret, token } => {
                let allowed = self.may_enter(secret.as_deref(), token.as_deref());
                self.outputs.push_back(Output::EntryVerdict { key, allowed });
            }
            Input::ClientGone { client } => self.on_client_gone(client),
            Input::Media { handle, event } => self.on_media(handle, event),
            Input::TaskDone { plugin, ticket, outcome } => self.on_task_done(plugin, ticket, outcome),
            Input::Timeout => {}
            Input::Drain => self.on_drain(),
            Input::Shutdown => self.on_shutdown(),
            Input::Reload(reload) => self.on_reload(*reload),
        }
        // What was asked is done before what time brings, which may end it.
        self.run_steps();
        self.on_time();
        self.run_steps();
    }

    /// The next thing to do, in order; `None` when there is nothing more to do now.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Instant {
        let handles = self.deadlines.first().map(|(at, _)| *at);
        let others =
            handles.into_iter().chain(self.tasks.first_deadline()).chain(self.questions.first_deadline());
        others.fold(self.watchdog.min(self.tick), Instant::min)
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What the server tells of itself, as in the reply to `info`.
    pub fn server_info(&self) -> Value {
        info::server_info(&self.settings, self.accepting, &self.plugins, None)
    }

    /// PeerConnections now that are up.
    pub fn peer_connections(&self) -> usize {
        self.handles.values().filter(|h| h.is_up()).count()
    }

    /// Whether new sessions are accepted.
    pub fn is_accepting(&self) -> bool {
        self.accepting
    }

    /// Sessions now.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Handles now.
    pub fn handles(&self) -> usize {
        self.handles.len()
    }

    fn on_poll(&mut self, id: SessionId, secret: Option<&str>, token: Option<&str>) -> PollVerdict {
        if !self.may_enter(secret, token) {
            return PollVerdict::Forbidden;
        }
        let Some(session) = self.sessions.get_mut(&id) else {
            return PollVerdict::NotFound;
        };
        session.last_activity = self.now;
        PollVerdict::Ok
    }

    pub(crate) fn check_secret(&self, request: &Request) -> Result<(), ApiError> {
        let (secret, token) = (request.text("apisecret"), request.text("token"));
        if self.may_enter(secret, token) { Ok(()) } else { Err(ErrorCode::Unauthorized.into()) }
    }

    fn may_enter(&self, secret: Option<&str>, token: Option<&str>) -> bool {
        auth::may_enter(&self.settings, &self.tokens, secret, token, self.unix.as_secs())
    }

    pub(crate) fn reply(&mut self, key: u64, json: Value) {
        self.outputs.push_back(Output::Reply { key, json });
    }

    pub(crate) fn media_command(&mut self, command: MediaCommand) {
        self.outputs.push_back(Output::Media(command));
    }

    /// Puts steps behind those planned since the last one was begun, and before all older ones.
    pub(crate) fn plan(&mut self, steps: impl IntoIterator<Item = Step>) {
        self.planned.extend(steps);
    }

    /// Does the waiting steps, and those that come of them.
    pub(crate) fn run_steps(&mut self) {
        loop {
            while let Some(step) = self.planned.pop_back() {
                self.steps.push_front(step);
            }
            match self.steps.pop_front() {
                Some(Step::Effect(plugin, effect)) => self.carry_out(plugin, effect),
                Some(Step::Emit(output)) => self.outputs.push_back(output),
                Some(Step::Queued(handle, queued)) => self.serve_queued(handle, *queued),
                None => break,
            }
        }
    }
}
