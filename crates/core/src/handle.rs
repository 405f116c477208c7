//! A handle: one client's attachment to one plugin, and the state of its PeerConnection.

use crate::admin::Capture;
use crate::auth;
use crate::io::Output;
use crate::machine::{Ask, Core, Step};
use crate::settings::limits;
use crate::tasks::Later;
use portunus_api::reply::LocalJsep;
use portunus_api::{
    ApiError, ErrorCode, HandleId, Kind, Request, SessionId, Trickle, Value, Verb, optional, reply, require,
};
use portunus_plugin::media::MediaCommand;
use portunus_plugin::{Description, JsepPlan, MediaEvent, Plan};
use portunus_sdp::Negotiated;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// One client's attachment to one plugin.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) session: SessionId,
    /// Index of its plugin.
    pub(crate) plugin: usize,
    pub(crate) opaque_id: Option<String>,
    /// The token it was attached with.
    pub(crate) token: Option<String>,
    pub(crate) created: Instant,
    /// What the Admin API tells of it.
    pub(crate) story: Story,
    /// The capture that goes on.
    pub(crate) capture: Option<Capture>,
    /// The worker its client asked for.
    pub(crate) worker: Option<usize>,
    pub(crate) life: Life,
    pub(crate) exchange: Exchange,
    /// The m-lines both sides agreed on last.
    pub(crate) agreed: Vec<Negotiated>,
    /// `trickle` requests whose offer or answer is not there yet, unread.
    pub(crate) early: VecDeque<(Instant, Trickle)>,
    /// Events in their order: the first one's description waits for the media engine, the others wait for the first.
    pub(crate) waiting: VecDeque<Waiting>,
    /// The request that waits for a task.
    pub(crate) later: Option<Later>,
    /// What came while the old PeerConnection was closing, or behind a request that waits for a task.
    pub(crate) queue: VecDeque<Queued>,
}

/// The media engine's peer.
#[derive(Debug)]
pub(crate) enum Life {
    /// There is none.
    Absent,
    /// There is one.
    Present {
        /// It was up once.
        up: bool,
        /// The mid that carries the transport.
        first_mid: String,
    },
    /// It was told to close and has not said yet that it has. For plugin and client it is closed already.
    Closing {
        /// When it counts as closed.
        deadline: Instant,
        /// Why, if event handlers are still to be told.
        reason: Option<Box<str>>,
    },
}

/// The offer that waits for its answer.
#[derive(Debug)]
pub(crate) enum Exchange {
    /// There is none.
    Settled,
    /// The client's.
    Theirs(Box<TheirOffer>),
    /// Ours.
    Ours(Box<Plan>),
}

/// An offer of the client.
#[derive(Debug)]
pub(crate) struct TheirOffer {
    pub(crate) description: Arc<Description>,
    pub(crate) trickle: bool,
    /// `force_relay`, where that is allowed.
    pub(crate) relay_only: bool,
}

/// A plugin's event that waits for its description, or for an earlier one's.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) transaction: Option<String>,
    pub(crate) data: Value,
    pub(crate) part: Part,
}

/// The description of an event that waits.
#[derive(Debug)]
pub(crate) enum Part {
    /// Our part of it is still to come from the media engine.
    Wanted { exchange: u64, deadline: Instant, plan: Box<JsepPlan> },
    /// It is there, or there is none.
    Ready(Option<LocalJsep>),
    /// Not for the client, but for event handlers.
    Notice,
}

/// Something that waits until the old PeerConnection is closed, or behind a request that waits for a task.
#[derive(Debug)]
pub(crate) enum Queued {
    /// A request.
    Request(Ask),
    /// A plugin's event with a description.
    Push {
        /// The transaction it answers.
        transaction: Option<String>,
        /// Its data.
        data: Value,
        /// The description to go with it.
        jsep: Box<JsepPlan>,
    },
}

impl Handle {
    fn new(session: SessionId, plugin: usize, created: Instant) -> Self {
        Self {
            session,
            plugin,
            opaque_id: None,
            token: None,
            created,
            story: Story::default(),
            capture: None,
            worker: None,
            life: Life::Absent,
            exchange: Exchange::Settled,
            agreed: Vec::new(),
            early: VecDeque::new(),
            waiting: VecDeque::new(),
            later: None,
            queue: VecDeque::new(),
        }
    }

    /// It had a working PeerConnection and has it still.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.life, Life::Present { up: true, .. })
    }

    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.life, Life::Closing { .. })
    }
}

/// What has happened to a PeerConnection so far, for those who ask later.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// When its negotiation began.
    pub(crate) begun: Option<Instant>,
    pub(crate) got_offer: bool,
    pub(crate) got_answer: bool,
    pub(crate) trickle: bool,
    pub(crate) all_trickles: bool,
    pub(crate) e2ee: bool,
    /// What event handlers know of it.
    pub(crate) told: Told,
    /// The client's ICE user name fragment: another one is a restart.
    pub(crate) remote_ufrag: Option<Box<str>>,
    /// The descriptions as they were sent last, if anybody can ask for them.
    pub(crate) local: Option<Box<str>>,
    pub(crate) remote: Option<Box<str>>,
}

impl Story {
    /// A description with this user name fragment of the client's (none: an offer of ours) is on its way. Whether that begins
    /// a PeerConnection, or begins its ICE anew.
    pub(crate) fn begins(&mut self, ufrag: Option<&str>) -> bool {
        let first = self.begun.is_none();
        let Some(ufrag) = ufrag else { return first };
        let before = self.remote_ufrag.replace(ufrag.into());
        first || before.is_some_and(|before| *before != *ufrag)
    }
}

/// What event handlers were told of a PeerConnection already.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) candidates: bool,
    pub(crate) connecting: bool,
    pub(crate) connected: bool,
}

impl Waiting {
    pub(crate) const fn is_wanted(&self) -> bool {
        matches!(self.part, Part::Wanted { .. })
    }

    pub(crate) fn is_exchange(&self, number: u64) -> bool {
        matches!(self.part, Part::Wanted { exchange, .. } if exchange == number)
    }

    pub(crate) fn is_late(&self, now: Instant) -> bool {
        matches!(self.part, Part::Wanted { deadline, .. } if deadline <= now)
    }
}

impl Core {
    /// `attach`
    pub(crate) fn attach(&mut self, ask: &Ask, session: SessionId) -> Result<(), ApiError> {
        let body = &ask.request.body;
        let package = require(body, "plugin", Kind::String)?.as_str().unwrap_or_default();
        let opaque_id = optional(body, "opaque_id", Kind::String)?.and_then(Value::as_str);
        let worker = optional(body, "loop_index", Kind::PositiveInteger)?.and_then(Value::as_u64);
        let Some(plugin) = self.plugins.iter().position(|p| p.about().package == package) else {
            return Err(ApiError::new(ErrorCode::PluginNotFound, format!("No such plugin '{package}'")));
        };
        let token = ask.request.text("token");
        if !auth::may_attach(&self.settings, &self.tokens, token, self.package(plugin), self.unix.as_secs()) {
            let reason = format!("Provided token can't access plugin '{package}'");
            return Err(ApiError::new(ErrorCode::UnauthorizedPlugin, reason));
        }
        if opaque_id.is_some_and(|id| id.len() > limits::OPAQUE_ID_BYTES) {
            return Err(ApiError::new(
                ErrorCode::InvalidElementType,
                "Invalid value (opaque_id is too long)",
            ));
        }
        let mut handle = Handle::new(session, plugin, self.now);
        handle.token = token.filter(|_| self.settings.token_auth).map(str::to_owned);
        handle.opaque_id = opaque_id.map(str::to_owned);
        handle.worker = worker
            .filter(|_| self.settings.allow_loop_indication)
            .and_then(|w| usize::try_from(w).ok())
            .filter(|w| *w < self.settings.workers);
        let id = self.open_handle(handle)?;
        self.reply(ask.key, reply::created(session.get(), &ask.request.transaction, id.get()));
        Ok(())
    }

    fn open_handle(&mut self, handle: Handle) -> Result<HandleId, ApiError> {
        let id = self.free_handle_id();
        let (session, plugin) = (handle.session, handle.plugin);
        let max = self.settings.max_handles_per_session;
        let Some(found) = self.sessions.get_mut(&session) else {
            return Err(ErrorCode::SessionNotFound.into());
        };
        if found.handles.len() >= max {
            self.counters.refused_full += 1;
            return Err(ApiError::new(ErrorCode::PluginAttach, "Too many handles in this session"));
        }
        found.handles.insert(id);
        self.handles.insert(id, handle);
        let outcome = self.call_plugin(plugin, |p, cx| p.attach(cx, id));
        if let Some(Ok(())) = outcome {
            tracing::info!(%session, handle = %id, plugin = self.package(plugin), "handle attached");
            self.handle_notice(id, session, plugin, "attached");
            return Ok(id);
        }
        self.handles.remove(&id);
        if let Some(found) = self.sessions.get_mut(&session) {
            found.handles.remove(&id);
        }
        Err(match outcome {
            Some(Err(e)) => ApiError::new(ErrorCode::PluginAttach, e.0),
            _ => ErrorCode::PluginAttach.into(),
        })
    }

    fn free_handle_id(&mut self) -> HandleId {
        loop {
            let id = HandleId::from_random((self.random)());
            if !self.handles.contains_key(&id) {
                return id;
            }
        }
    }

    /// `detach`
    pub(crate) fn detach(&mut self, ask: &Ask, id: HandleId) -> Result<(), ApiError> {
        self.reply(ask.key, reply::success(ask.request.session_id, &ask.request.transaction));
        self.detach_handle(id);
        Ok(())
    }

    /// Forgets a handle and its PeerConnection. The plugin's last words go to the other handles, then the client hears
    /// `detached`.
    pub(crate) fn detach_handle(&mut self, id: HandleId) {
        let Some(handle) = self.handles.get(&id) else { return };
        let (session, plugin) = (handle.session, handle.plugin);
        let detached = self.sender(id).map(|s| s.detached());
        self.handle_notice(id, session, plugin, "detached");
        let Some(handle) = self.handles.remove(&id) else { return };
        if let Some(found) = self.sessions.get_mut(&session) {
            found.handles.remove(&id);
        }
        if !matches!(handle.life, Life::Absent) {
            self.media_command(MediaCommand::Forget { handle: id });
        }
        if self.settings.tuning.log_handles.contains_key(&id) {
            let mut tuning = self.settings.tuning.clone();
            tuning.log_handles.remove(&id);
            self.tune(tuning);
        }
        if handle.capture.is_some() {
            self.outputs.push_back(Output::StopCapture { handle: id });
        }
        if let Some(later) = handle.later {
            self.refuse_later(session, &later, &ErrorCode::HandleNotFound.into());
        }
        for queued in handle.queue {
            self.refuse_queued(queued);
        }
        tracing::info!(%session, handle = %id, "handle detached");
        self.call_plugin(plugin, |p, cx| p.detach(cx, id));
        if let Some(json) = detached {
            self.plan([Step::Emit(Output::Event { session, json })]);
        }
    }

    fn refuse_queued(&mut self, queued: Queued) {
        if let Queued::Request(ask) = queued {
            self.refuse_if(Err(ErrorCode::HandleNotFound.into()), &ask);
        }
    }

    /// `hangup`
    pub(crate) fn hangup(&mut self, ask: &Ask, id: HandleId) -> Result<(), ApiError> {
        self.reply(ask.key, reply::success(ask.request.session_id, &ask.request.transaction));
        self.close_peer(id, "Janus API", true);
        Ok(())
    }

    /// Closes a PeerConnection, real or still to be made. Plugin and client hear of it at once: what they do next is about
    /// the next one, and waits for the media engine. `even_idle`: the plugin is told even if there is none.
    pub(crate) fn close_peer(&mut self, id: HandleId, reason: &str, even_idle: bool) {
        let deadline = self.now + limits::CLOSING;
        let Some(handle) = self.handles.get_mut(&id) else { return };
        match handle.life {
            // What was to come next is over before it began: nobody is offered a call that has ended.
            Life::Closing { .. } => {
                let (over, rest): (Vec<_>, _) = std::mem::take(&mut handle.queue)
                    .into_iter()
                    .partition(|q| matches!(q, Queued::Push { .. }));
                handle.queue = rest.into();
                for queued in over {
                    if let Queued::Push { transaction: Some(answered), data, .. } = queued {
                        self.push(id, Some(answered), data);
                    }
                }
            }
            Life::Present { .. } => {
                handle.life = Life::Closing { deadline, reason: None };
                self.deadlines.insert((deadline, id));
                self.media_command(MediaCommand::Hangup { handle: id, reason: reason.to_owned() });
                self.tell_closed(id, reason);
            }
            Life::Absent if !matches!(handle.exchange, Exchange::Settled) => self.tell_closed(id, reason),
            Life::Absent if even_idle => {
                let event = MediaEvent::Hangup { reason: reason.to_owned() };
                self.call(id, |p, cx| p.media(cx, id, &event));
            }
            Life::Absent => {}
        }
    }

    /// The PeerConnection has ended by itself.
    pub(crate) fn peer_ended(&mut self, id: HandleId, reason: &str) {
        let Some(handle) = self.handles.get_mut(&id) else { return };
        handle.life = Life::Absent;
        // A negotiation may have been on its way meanwhile, and have made a new peer of which nobody knows.
        self.media_command(MediaCommand::Forget { handle: id });
        self.tell_closed(id, reason);
    }

    /// The plugin hears of the end of a PeerConnection first, then the client. Before it come the events that have waited,
    /// without their descriptions.
    fn tell_closed(&mut self, id: HandleId, reason: &str) {
        let Some(handle) = self.handles.get_mut(&id) else { return };
        handle.exchange = Exchange::Settled;
        handle.agreed.clear();
        handle.early.clear();
        handle.story = Story::default();
        let session = handle.session;
        self.give_up_descriptions(id);
        tracing::info!(%session, handle = %id, reason, "PeerConnection closed");
        let event = MediaEvent::Hangup { reason: reason.to_owned() };
        if self.call(id, |p, cx| p.media(cx, id, &event)).is_none() {
            // It panicked: the handle is on its way out.
            return;
        }
        if let Some(json) = self.sender(id).map(|s| s.hangup(reason)) {
            self.plan([Step::Emit(Output::Event { session, json })]);
        }
        self.hangup_notice(id, reason);
    }

    /// The old PeerConnection is closed: now come those who have waited for it.
    pub(crate) fn on_closed(&mut self, id: HandleId) {
        let Some(handle) = self.handles.get_mut(&id) else { return };
        let life = std::mem::replace(&mut handle.life, Life::Absent);
        let queue = std::mem::take(&mut handle.queue);
        if let Life::Closing { reason: Some(reason), .. } = life {
            self.hangup_notice(id, &reason);
        }
        self.plan(queue.into_iter().map(|q| Step::Queued(id, Box::new(q))).collect::<Vec<_>>());
    }

    /// Whether a request has to wait: all that come behind one that waits for a task; and for the old PeerConnection to
    /// close those that begin a new one, and then all behind them.
    pub(crate) fn must_wait(&self, request: &Request, id: HandleId) -> bool {
        let Some(handle) = self.handles.get(&id) else { return false };
        let begins = request.verb == Verb::Message && request.body.contains_key("jsep");
        let for_closing = handle.is_closing() && (begins || !handle.queue.is_empty());
        (handle.later.is_some() || for_closing)
            && !matches!(request.verb, Verb::Detach | Verb::Keepalive | Verb::Claim)
    }

    pub(crate) fn wait_in_line(&mut self, ask: Ask, id: HandleId) {
        let Some(handle) = self.handles.get_mut(&id) else { return };
        let (limit, refusal) = match handle.later {
            Some(_) => {
                (limits::WAITING_FOR_TASK, ApiError::new(ErrorCode::Unknown, "Too many requests wait"))
            }
            None => (limits::WAITING_REQUESTS, still_cleaning()),
        };
        if handle.queue.len() < limit {
            handle.queue.push_back(Queued::Request(ask));
        } else {
            self.counters.refused_full += 1;
            self.refuse_if(Err(refusal), &ask);
        }
    }

    /// Does what has waited, unless it must wait again for something that was done before it.
    pub(crate) fn serve_queued(&mut self, id: HandleId, queued: Queued) {
        let session = self.handles.get(&id).map(|h| h.session);
        match (queued, session) {
            (Queued::Request(ask), Some(session)) => self.at_handle(ask, session, id),
            (Queued::Request(ask), None) => self.refuse_if(Err(ErrorCode::HandleNotFound.into()), &ask),
            (Queued::Push { transaction, data, jsep }, _) => self.describe(id, transaction, data, jsep),
        }
    }

    /// How events of this handle name it.
    pub(crate) fn sender(&self, id: HandleId) -> Option<reply::Sender> {
        let handle = self.handles.get(&id)?;
        let opaque_id = handle.opaque_id.clone().filter(|_| self.settings.opaqueid_in_api);
        Some(reply::Sender { session: handle.session, handle: id, opaque_id })
    }
}

pub(crate) fn still_cleaning() -> ApiError {
    ApiError::new(ErrorCode::WebrtcState, "Still cleaning a previous session")
}
