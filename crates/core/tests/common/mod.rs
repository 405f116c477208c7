//! A core in virtual time with a plugin that does what its messages say, and everything that comes out as text.

#![allow(dead_code, reason = "each test file uses another part")]
#![allow(unreachable_pub)]

pub mod sdp;

use portunus_core::{Client, Core, Input, Output, PollVerdict, Settings};
use portunus_plugin::media::{LayerTarget, MediaCommand, Negotiation};
use portunus_plugin::{
    About, Cx, Finished, HandleId, JsepKind, JsepPlan, MediaEvent, Message, Object, Outcome, Plugin,
    PluginError, Reply, RouteEnd, SessionId, StoredGroup, Task, Ticket, Value, json,
};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What was seen by the plugin, in order.
pub type Calls = Arc<Mutex<Vec<String>>>;

/// A plugin that does what the `do` element of a body says.
pub struct Script {
    pub package: &'static str,
    pub calls: Calls,
    pub handles: Vec<HandleId>,
    /// The handle of each task so far; tickets are counted from 1.
    pub tasks: Vec<HandleId>,
    pub idle: Vec<HandleId>,
}

impl Script {
    pub fn new(package: &'static str, calls: &Calls) -> Self {
        Self { package, calls: Arc::clone(calls), handles: Vec::new(), tasks: Vec::new(), idle: Vec::new() }
    }

    fn task(&mut self, cx: &mut Cx, h: HandleId) -> Ticket {
        self.tasks.push(h);
        let ticket = Ticket(self.tasks.len() as u64);
        let group = StoredGroup { file: "janus.plugin.script", name: format!("group-{h}"), settings: None };
        cx.task(ticket, Task::Store(group));
        ticket
    }

    fn note(&self, text: String) {
        self.calls.lock().unwrap().push(text);
    }
}

impl Plugin for Script {
    fn about(&self) -> About {
        About {
            package: self.package,
            name: "Script",
            author: "Tests",
            description: "Does as told",
            version: 3,
            version_string: "0.0.3",
        }
    }

    fn attach(&mut self, _: &mut Cx, handle: HandleId) -> Result<(), PluginError> {
        self.note(format!("attach {handle}"));
        self.handles.push(handle);
        Ok(())
    }

    fn message(&mut self, cx: &mut Cx, h: HandleId, m: Message) -> Reply {
        let jsep = m.jsep.as_ref().map(|j| (j.kind.as_str(), j.renegotiation));
        self.note(format!("message {h} {jsep:?}"));
        let other = m.body.get("other").and_then(Value::as_u64).and_then(HandleId::new).unwrap_or(h);
        let data = json!({ "script": "event" });
        match m.body.get("do").and_then(Value::as_str).unwrap_or_default() {
            "wait" => self.idle.push(h),
            "act" => self.idle.retain(|idle| *idle != h),
            "now" => return Reply::Now(json!({ "script": "now" })),
            "hint" => return Reply::Ack(Some("slowly")),
            "fail" => return Reply::Err("no way".to_owned()),
            "panic" => panic!("as told"),
            "later" => {
                cx.push(h, json!({ "script": "begun" }));
                return Reply::Later(self.task(cx, h));
            }
            "same" => return Reply::Later(Ticket(self.tasks.len() as u64)),
            "lost" => return Reply::Later(Ticket(1000)),
            "spare" => _ = self.task(cx, h),
            "many" => (0..300).for_each(|_| _ = self.task(cx, h)),
            "push" => cx.push(other, data),
            "event" => cx.answer(h, m.transaction, data, None),
            "answer" => {
                let offer = m.jsep.expect("an offer").description;
                let jsep = plan(JsepKind::Answer, sdp::answer_to(&offer), m.body.contains_key("e2ee"));
                cx.answer(h, m.transaction, data, Some(jsep));
            }
            "offer" => {
                cx.answer(h, m.transaction, data, Some(plan(JsepKind::Offer, sdp::own_offer(), false)))
            }
            "close" => {
                cx.push(h, json!({ "script": "closing" }));
                cx.hangup(other);
            }
            "end" => cx.end(other),
            "routes" => {
                let (source, sink) = (RouteEnd::new(h, "0"), RouteEnd::new(other, "1"));
                let target = LayerTarget {
                    spatial: 1,
                    temporal: 0,
                    fallback: Duration::from_millis(250),
                    automatic: false,
                };
                cx.route(source.clone(), sink.clone());
                cx.select(sink.clone(), target);
                cx.keyframe(source);
                cx.cap(h, 64_000);
                cx.unroute(sink);
            }
            _ => {}
        }
        Reply::Ack(None)
    }

    fn media(&mut self, cx: &mut Cx, h: HandleId, event: &MediaEvent) {
        self.note(format!("media {h} {}", name_of(event)));
        match event {
            MediaEvent::Hangup { .. } => cx.push(h, json!({ "script": "done" })),
            MediaEvent::Up => {
                for other in self.handles.iter().filter(|o| **o != h) {
                    cx.push(*other, json!({ "script": "up" }));
                }
            }
            MediaEvent::SlowLink { .. } => cx.push(h, json!({ "script": "slow" })),
            MediaEvent::DataReady => panic!("as told"),
            _ => {}
        }
    }

    fn done(&mut self, cx: &mut Cx, ticket: Ticket, outcome: Outcome) -> Value {
        self.note(format!("done {} {outcome:?}", ticket.0));
        assert_ne!(outcome, Err("panic".to_owned()), "as told");
        if let Some(h) = self.tasks.get(ticket.0 as usize - 1) {
            cx.push(*h, json!({ "script": "stored" }));
        }
        json!({ "script": "done", "ok": outcome.is_ok() })
    }

    fn admin(&mut self, cx: &mut Cx, body: &Object) -> Option<portunus_plugin::Reply> {
        match body.get("do").and_then(Value::as_str) {
            Some("later") => Some(Reply::Later(self.task(cx, HandleId::new(1)?))),
            Some("panic") => panic!("as told"),
            _ => Some(Reply::Now(body.clone().into())),
        }
    }

    fn query(&self, h: HandleId) -> Value {
        json!({ "asked of": h.get() })
    }

    fn is_idle(&self, h: HandleId) -> bool {
        self.idle.contains(&h)
    }

    fn tick(&mut self, _: &mut Cx) {
        self.note("tick".to_owned());
    }

    fn detach(&mut self, cx: &mut Cx, h: HandleId) {
        self.note(format!("detach {h}"));
        self.handles.retain(|o| *o != h);
        cx.push(h, json!({ "script": "never seen" }));
        for other in &self.handles {
            cx.push(*other, json!({ "script": "left" }));
        }
    }
}

/// A plugin nobody may attach to.
pub struct Shut;

impl Plugin for Shut {
    fn about(&self) -> About {
        About {
            package: "janus.plugin.shut",
            name: "Shut",
            author: "Tests",
            description: "Refuses",
            version: 1,
            version_string: "0.0.1",
        }
    }
    fn attach(&mut self, _: &mut Cx, _: HandleId) -> Result<(), PluginError> {
        Err(PluginError("Not today".to_owned()))
    }
    fn message(&mut self, _: &mut Cx, _: HandleId, _: Message) -> Reply {
        Reply::Ack(None)
    }
    fn media(&mut self, _: &mut Cx, _: HandleId, _: &MediaEvent) {}
    fn admin(&mut self, _: &mut Cx, _: &Object) -> Option<portunus_plugin::Reply> {
        None
    }
    fn query(&self, _: HandleId) -> Value {
        json!({})
    }
    fn tick(&mut self, _: &mut Cx) {}
    fn detach(&mut self, _: &mut Cx, _: HandleId) {}
}

fn plan(kind: JsepKind, plan: portunus_plugin::Plan, e2ee: bool) -> JsepPlan {
    JsepPlan { kind, plan, e2ee, restart: false, affinity: None }
}

fn name_of(event: &MediaEvent) -> String {
    match event {
        MediaEvent::Hangup { reason } => format!("hangup {reason}"),
        other => {
            let text = format!("{other:?}");
            text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
        }
    }
}

/// A core and its time. Ids are counted from 1, so texts are the same in every run.
pub struct Rig {
    pub core: Core,
    pub now: Instant,
    pub start: Instant,
    pub unix: Duration,
    pub calls: Calls,
    pub negotiations: Vec<Negotiation>,
    /// What came out, in order, as text.
    pub out: Vec<String>,
    keys: u64,
}

pub const HTTP: Client = Client::Connectionless;
pub const WS: Client = Client::Connection(5);

impl Rig {
    pub fn new(settings: Settings) -> Self {
        let calls = Calls::default();
        let script = Script::new("janus.plugin.script", &calls);
        Self::with(settings, calls, vec![Box::new(script), Box::new(Shut)])
    }

    pub fn with(settings: Settings, calls: Calls, plugins: Vec<Box<dyn Plugin>>) -> Self {
        let mut id = 0;
        let random = Box::new(move || {
            id += 1;
            id
        });
        let now = Instant::now();
        let core = Core::new(settings, plugins, random, now);
        let unix = Duration::from_secs(1_700_000_000);
        Self { core, now, start: now, unix, calls, negotiations: Vec::new(), out: Vec::new(), keys: 0 }
    }

    /// Janus' defaults.
    pub fn plain() -> Self {
        Self::new(Settings::default())
    }

    /// A session and a handle of the script plugin; the output so far is forgotten.
    pub fn attached() -> (Self, u64, u64) {
        Self::attached_with(Settings::default())
    }

    pub fn attached_with(settings: Settings) -> (Self, u64, u64) {
        let mut rig = Self::new(settings);
        let session = rig.create();
        let handle = rig.attach(session);
        rig.out.clear();
        rig.calls.lock().unwrap().clear();
        (rig, session, handle)
    }

    pub fn create(&mut self) -> u64 {
        let text = self.ask(WS, json!({ "janus": "create", "transaction": "c" }));
        id_in(&text)
    }

    pub fn attach(&mut self, session: u64) -> u64 {
        self.attach_to(session, "janus.plugin.script")
    }

    pub fn attach_to(&mut self, session: u64, plugin: &str) -> u64 {
        let body = json!({ "janus": "attach", "transaction": "a", "session_id": session, "plugin": plugin });
        let text = self.ask(WS, body);
        id_in(&text)
    }

    /// A request with its one reply.
    pub fn ask(&mut self, client: Client, body: Value) -> String {
        let from = self.out.len();
        self.input_request(client, body);
        let reply = self.out[from..].iter().find_map(|line| line.strip_prefix("reply "));
        reply.expect("a reply").to_owned()
    }

    /// A request whose reply may come later.
    pub fn input_request(&mut self, client: Client, body: Value) {
        self.keys += 1;
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        self.input(Input::Request { key: self.keys, client, address, origin: 5, body });
    }

    /// A request of the Admin API and the one reply to it.
    pub fn admin(&mut self, body: Value) -> String {
        let from = self.out.len();
        self.input_admin(body);
        let reply = self.out[from..].iter().find_map(|line| line.strip_prefix("reply "));
        reply.expect("a reply").to_owned()
    }

    /// A request of the Admin API whose reply may come later.
    pub fn input_admin(&mut self, body: Value) {
        self.keys += 1;
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        self.input(Input::AdminRequest { key: self.keys, address, body });
    }

    /// A request of a handle.
    pub fn at(&mut self, session: u64, handle: u64, body: Value) -> String {
        let body = addressed(session, handle, body);
        self.ask(WS, body)
    }

    /// A request of a handle that may wait.
    pub fn at_later(&mut self, session: u64, handle: u64, body: Value) {
        self.input_request(WS, addressed(session, handle, body));
    }

    /// A `message`, with a jsep unless it is null. What comes out is in [`Rig::out`].
    pub fn message(&mut self, session: u64, handle: u64, what: &str, jsep: Value) {
        let mut body = json!({ "janus": "message", "transaction": "m", "body": { "do": what } });
        if !jsep.is_null() {
            body["jsep"] = jsep;
        }
        self.input_request(WS, addressed(session, handle, body));
    }

    pub fn media(&mut self, handle: u64, event: MediaEvent) {
        self.input(Input::Media { handle: HandleId::new(handle).unwrap(), event });
    }

    /// A task of the script plugin ends.
    pub fn task_done(&mut self, ticket: u64, outcome: Result<(), &str>) {
        let outcome = outcome.map(|()| Finished::Stored).map_err(str::to_owned);
        self.input(Input::TaskDone { plugin: "janus.plugin.script", ticket: Ticket(ticket), outcome });
    }

    pub fn poll(&mut self, session: u64, secret: Option<&str>, token: Option<&str>) -> PollVerdict {
        let session = SessionId::new(session).unwrap();
        let (secret, token) = (secret.map(str::to_owned), token.map(str::to_owned));
        self.core.handle_input(Input::Poll { key: 0, session, secret, token }, self.now, self.unix);
        match self.core.poll_output() {
            Some(Output::PollVerdict { key: 0, verdict }) => verdict,
            other => panic!("{other:?}"),
        }
    }

    pub fn enters(&mut self, secret: Option<&str>, token: Option<&str>) -> bool {
        let (secret, token) = (secret.map(str::to_owned), token.map(str::to_owned));
        self.core.handle_input(Input::Entry { key: 0, secret, token }, self.now, self.unix);
        match self.core.poll_output() {
            Some(Output::EntryVerdict { key: 0, allowed }) => allowed,
            other => panic!("{other:?}"),
        }
    }

    pub fn input(&mut self, input: Input) {
        self.core.handle_input(input, self.now, self.unix);
        while let Some(output) = self.core.poll_output() {
            self.note(output);
        }
    }

    /// Lets time pass, from one wanted timeout to the next.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.core.poll_timeout() <= end {
            let before = self.core.poll_timeout();
            self.now = self.now.max(before);
            self.input(Input::Timeout);
            assert!(self.core.poll_timeout() > before, "a timeout must move the next one");
        }
        self.now = end;
    }

    /// What came out since the last time.
    pub fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.out)
    }

    /// What the plugin saw since the last time, but ticks.
    pub fn take_calls(&mut self) -> Vec<String> {
        let mut calls = std::mem::take(&mut *self.calls.lock().unwrap());
        calls.retain(|c| c != "tick");
        calls
    }

    fn note(&mut self, output: Output) {
        let line = match output {
            Output::Reply { json, .. } => format!("reply {json}"),
            Output::Event { session, json } => {
                assert!(json["session_id"] == session.get());
                format!("event {json}")
            }
            Output::SessionOpened { session, client } => format!("opened {session} {client:?}"),
            Output::SessionClaimed { session, client } => format!("claimed {session} {client:?}"),
            Output::SessionClosed { session } => format!("closed {session}"),
            Output::Dismiss { client } => format!("dismissed {client:?}"),
            Output::Notify(n) => format!("notify {} {:?} {}", n.kind, n.subtype, n.event),
            Output::SlowReply { json, delay, .. } => format!("slow reply {} {json}", delay.as_millis()),
            Output::Ask { question, what } => format!("ask {question} {what:?}"),
            Output::Tune(tuning) => format!("tune {tuning:?}"),
            Output::Drain(timeout) => format!("drain {timeout:?}"),
            Output::Record { source, recording } => {
                let path = recording.mjr.as_ref().unwrap().path();
                format!("record {}/{} {}", source.handle, source.mid, path.display())
            }
            Output::EndRecording { source } => format!("end recording {}/{}", source.handle, source.mid),
            Output::StopCapture { handle } => format!("stop capture {handle}"),
            Output::LogLine { level, line } => format!("log {level} {line}"),
            Output::EntryVerdict { allowed, .. } => format!("entry {allowed}"),
            Output::PollVerdict { verdict, .. } => format!("verdict {verdict:?}"),
            Output::Task { plugin, ticket, task: Task::Store(group) } => {
                format!("task {plugin} {} {}", ticket.0, group.name)
            }
            Output::Task { plugin, ticket, task } => format!("task {plugin} {} {task:?}", ticket.0),
            Output::Media(command) => self.command(command),
        };
        self.out.push(line);
    }

    fn command(&mut self, command: MediaCommand) -> String {
        match command {
            MediaCommand::Negotiate(n) => {
                let text = format!(
                    "media negotiate {} exchange={} remote={} offering={} trickle={}",
                    n.handle,
                    n.exchange.is_some(),
                    n.remote.is_some(),
                    n.offering,
                    n.trickle
                );
                self.negotiations.push(*n);
                text
            }
            MediaCommand::Candidate { handle, candidate } => {
                format!("media candidate {handle} {}", candidate.map_or("end".into(), |c| c.to_string()))
            }
            MediaCommand::Hangup { handle, reason } => format!("media hangup {handle} {reason}"),
            MediaCommand::Forget { handle } => format!("media forget {handle}"),
            MediaCommand::Route { source, sink } => {
                format!("media route {}/{} -> {}/{}", source.handle, source.mid, sink.handle, sink.mid)
            }
            MediaCommand::Unroute { sink } => format!("media unroute {}/{}", sink.handle, sink.mid),
            MediaCommand::Select { sink, target } => {
                format!("media select {}/{} {}/{}", sink.handle, sink.mid, target.spatial, target.temporal)
            }
            MediaCommand::Keyframe { source } => format!("media keyframe {}/{}", source.handle, source.mid),
            MediaCommand::Cap { handle, bitrate } => format!("media cap {handle} {bitrate}"),
            other => format!("media {other:?}"),
        }
    }
}

fn addressed(session: u64, handle: u64, mut body: Value) -> Value {
    body["session_id"] = json!(session);
    body["handle_id"] = json!(handle);
    body
}

/// `data.id` of a reply.
pub fn id_in(text: &str) -> u64 {
    let value: Value = serde_json::from_str(text).unwrap();
    value["data"]["id"].as_u64().unwrap_or_else(|| panic!("no id in {text}"))
}

/// Code and reason of an error reply.
pub fn error_in(text: &str) -> (u64, String) {
    let value: Value = serde_json::from_str(text).unwrap();
    let error = &value["error"];
    (error["code"].as_u64().unwrap_or(0), error["reason"].as_str().unwrap_or_default().to_owned())
}
