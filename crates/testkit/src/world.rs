//! A gateway, its engine and the network between it and its clients, in virtual time.
//!
//! A connection keeps the order of what goes over it; requests and replies of a client without one (HTTP) may overtake
//! each other, the events of its session may not. Every request must be answered once, and every acknowledged one by one
//! event: [`World::unanswered`] tells which were not.

use crate::Random;
use crate::media::{Engine, Later, Manners, Outcome};
use portunus_core::{Client, Core, Input, Output, Settings};
use portunus_plugin::media::MediaCommand;
use portunus_plugin::{Finished, HandleId, MediaEvent, Plugin, SessionId, Ticket, Value};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// What reaches a client.
#[derive(Debug)]
pub enum Delivery {
    /// The answer to a request.
    Reply {
        /// Which client.
        client: usize,
        /// The answer.
        json: Value,
    },
    /// An event of one of its sessions.
    Event {
        /// Which client.
        client: usize,
        /// The event.
        json: Value,
    },
    /// The time it asked for has come.
    Alarm {
        /// Which client.
        client: usize,
        /// What it said.
        what: u64,
    },
}

/// A request, as long as something of its answer is missing.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The request.
    pub body: Value,
    replied: bool,
    acked: bool,
    events: u32,
}

#[derive(Debug)]
enum Happening {
    Request(usize, u64, Value),
    Gone(usize),
    Command(MediaCommand),
    Later(Later),
    Media(HandleId, MediaEvent),
    Browser(HandleId, String, String),
    Done(&'static str, Ticket, portunus_plugin::Outcome),
    Deliver(Delivery),
}

/// How a client is connected.
#[derive(Debug)]
struct Line {
    client: Client,
    gone: bool,
    up: Instant,
    down: Instant,
}

/// See the module.
pub struct World {
    /// The core.
    pub core: Core,
    /// The media engine.
    pub engine: Engine,
    now: Instant,
    start: Instant,
    random: Random,
    queue: BTreeMap<(Instant, u64), Happening>,
    number: u64,
    lines: Vec<Line>,
    /// The lines of requests by their keys.
    keys: BTreeMap<u64, (usize, String)>,
    sessions: BTreeMap<SessionId, (usize, Instant)>,
    asked: BTreeMap<String, Asked>,
    /// The line of the request at hand.
    asking: usize,
    commands: Instant,
    events: Instant,
    faults: Vec<String>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl World {
    /// A gateway with these plugins.
    pub fn new(settings: Settings, plugins: Vec<Box<dyn Plugin>>, manners: Manners, seed: u64) -> Self {
        let mut random = Random::new(seed);
        // The origin of this time is of no importance, as nobody looks at anything but differences.
        let now = Instant::now();
        let mut ids = Random::new(random.next());
        let core = Core::new(settings, plugins, Box::new(move || ids.next()), now);
        Self {
            core,
            engine: Engine::new(Random::new(random.next()), manners),
            now,
            start: now,
            random,
            queue: BTreeMap::new(),
            number: 0,
            lines: Vec::new(),
            keys: BTreeMap::new(),
            sessions: BTreeMap::new(),
            asked: BTreeMap::new(),
            asking: 0,
            commands: now,
            events: now,
            faults: Vec::new(),
        }
    }

    /// The time now.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.now.saturating_duration_since(self.start)
    }

    /// A new client, with a connection or without one.
    pub fn connect(&mut self, connection: bool) -> usize {
        let number = self.lines.len();
        let client = match connection {
            true => Client::Connection(number as u64 + 1),
            false => Client::Connectionless,
        };
        self.lines.push(Line { client, gone: false, up: self.now, down: self.now });
        number
    }

    /// A client's connection breaks. What it has sent still arrives; it hears nothing more.
    pub fn disconnect(&mut self, client: usize) {
        let Some(line) = self.lines.get_mut(client) else { return };
        line.gone = true;
        let at = line.up.max(self.now);
        if line.client != Client::Connectionless {
            self.at(at, Happening::Gone(client));
        }
    }

    /// A client sends a request. Transactions must be unique.
    pub fn request(&mut self, client: usize, body: Value) {
        let delay = self.network();
        let Some(line) = self.lines.get_mut(client) else { return };
        let mut at = self.now + delay;
        if line.client != Client::Connectionless {
            at = at.max(line.up);
            line.up = at;
        }
        let key = self.number;
        self.at(at, Happening::Request(client, key, body));
    }

    /// A browser's PeerConnection, whose user name is `theirs`, has applied the description with `ours`.
    pub fn browser(&mut self, handle: HandleId, ours: &str, theirs: &str) {
        let at = self.now + self.network();
        self.at(at, Happening::Browser(handle, ours.to_owned(), theirs.to_owned()));
    }

    /// An alarm for a client.
    pub fn alarm(&mut self, client: usize, after: Duration, what: u64) {
        self.at(self.now + after, Happening::Deliver(Delivery::Alarm { client, what }));
    }

    /// A peer ends by itself.
    pub fn peer_dies(&mut self, handle: HandleId) {
        let events = self.engine.die(handle, "DTLS alert");
        self.take(Outcome { events, later: Vec::new() });
    }

    /// The engine tells something of a handle.
    pub fn media_event(&mut self, handle: HandleId, event: MediaEvent) {
        self.take(Outcome { events: vec![(handle, event)], later: Vec::new() });
    }

    /// Goes on until something reaches a client, at most until `end`.
    pub fn next(&mut self, end: Instant) -> Option<Delivery> {
        loop {
            let first = self.queue.first_key_value().map(|((at, _), _)| *at);
            let wanted = self.core.poll_timeout();
            let due = first.map_or(wanted, |at| at.min(wanted));
            if due > end {
                self.now = self.now.max(end);
                return None;
            }
            self.now = self.now.max(due);
            if first.is_none_or(|at| at > due) {
                self.input(Input::Timeout);
                continue;
            }
            if let Some((_, happening)) = self.queue.pop_first()
                && let Some(delivery) = self.happen(happening)
            {
                return Some(delivery);
            }
        }
    }

    /// Requests whose answers are not complete.
    pub fn unanswered(&self) -> Vec<&Asked> {
        self.asked.values().collect()
    }

    /// Forgets them.
    pub fn forget_unanswered(&mut self) {
        self.asked.clear();
    }

    /// What was wrong since the last time.
    pub fn take_faults(&mut self) -> Vec<String> {
        std::mem::take(&mut self.faults)
    }

    fn at(&mut self, at: Instant, happening: Happening) {
        self.number += 1;
        self.queue.insert((at, self.number), happening);
    }

    /// A way through the network: mostly quick, sometimes with a retransmission.
    fn network(&mut self) -> Duration {
        match self.random.below(100) {
            0..=79 => self.random.millis(1, 30),
            80..=97 => self.random.millis(20, 120),
            _ => self.random.millis(200, 900),
        }
    }

    fn happen(&mut self, happening: Happening) -> Option<Delivery> {
        match happening {
            Happening::Request(client, key, body) => self.ask(client, key, body),
            Happening::Gone(client) => {
                let client = self.lines.get(client).map_or(Client::Connectionless, |l| l.client);
                self.input(Input::ClientGone { client });
            }
            Happening::Command(command) => {
                let outcome = self.engine.on_command(command, self.now);
                self.take(outcome);
            }
            Happening::Later(later) => {
                let outcome = self.engine.on_later(later, self.now);
                self.take(outcome);
            }
            Happening::Browser(handle, ours, theirs) => {
                let outcome = self.engine.on_browser(handle, &ours, &theirs);
                self.take(outcome);
            }
            Happening::Media(handle, event) => {
                self.engine.on_heard(handle, &event);
                self.input(Input::Media { handle, event });
            }
            Happening::Done(plugin, ticket, outcome) => {
                self.input(Input::TaskDone { plugin, ticket, outcome })
            }
            Happening::Deliver(delivery) => {
                let (Delivery::Reply { client, .. }
                | Delivery::Event { client, .. }
                | Delivery::Alarm { client, .. }) = &delivery;
                let there = self.lines.get(*client).is_some_and(|l| !l.gone);
                return there.then_some(delivery);
            }
        }
        None
    }

    fn ask(&mut self, line: usize, key: u64, body: Value) {
        let Some(client) = self.lines.get(line).map(|l| l.client) else { return };
        let transaction = body["transaction"].as_str().unwrap_or_default().to_owned();
        let asked = Asked { body: body.clone(), replied: false, acked: false, events: 0 };
        self.asked.insert(transaction.clone(), asked);
        self.keys.insert(key, (line, transaction));
        self.asking = line;
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        self.input(Input::Request { key, client, address, origin: key, body });
    }

    fn input(&mut self, input: Input) {
        let unix = Duration::from_secs(1_700_000_000) + self.elapsed();
        self.core.handle_input(input, self.now, unix);
        while let Some(output) = self.core.poll_output() {
            self.output(output);
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Reply { key, json } => self.reply(key, json),
            Output::Event { session, json } => self.event(session, json),
            Output::SessionOpened { session, .. } => {
                self.sessions.insert(session, (self.asking, self.now));
            }
            Output::Task { plugin, ticket, .. } => {
                let delay = self.random.millis(0, 400);
                let outcome = match self.random.percent(80) {
                    true => Ok(Finished::Stored),
                    false => Err("the disk is full".to_owned()),
                };
                self.at(self.now + delay, Happening::Done(plugin, ticket, outcome));
            }
            Output::Media(command) => {
                self.engine.on_given(&command);
                let delay = self.random.millis(0, 3);
                self.commands = self.commands.max(self.now + delay);
                self.at(self.commands, Happening::Command(command));
            }
            // Events that are on their way still arrive, so the session keeps its line. Nobody administers this world.
            Output::SlowReply { .. }
            | Output::Ask { .. }
            | Output::Tune(_)
            | Output::Drain(_)
            | Output::StopCapture { .. }
            | Output::Record { .. }
            | Output::EndRecording { .. }
            | Output::LogLine { .. }
            | Output::SessionClosed { .. }
            | Output::Dismiss { .. }
            | Output::SessionClaimed { .. }
            | Output::PollVerdict { .. }
            | Output::EntryVerdict { .. }
            | Output::Notify(_) => {}
        }
    }

    fn reply(&mut self, key: u64, json: Value) {
        let Some((client, transaction)) = self.keys.remove(&key) else {
            return self.faults.push(format!("a second reply: {json}"));
        };
        if let Some(asked) = self.asked.get_mut(&transaction) {
            asked.replied = true;
            asked.acked = json["janus"] == "ack" && asked.body["janus"] == "message";
            self.settle(&transaction);
        }
        let mut at = self.now + self.network();
        if let Some(line) = self.lines.get_mut(client)
            && line.client != Client::Connectionless
        {
            at = at.max(line.down);
            line.down = at;
        }
        self.at(at, Happening::Deliver(Delivery::Reply { client, json }));
    }

    fn event(&mut self, session: SessionId, json: Value) {
        if let Some(transaction) = json["transaction"].as_str().map(str::to_owned) {
            match self.asked.get_mut(&transaction) {
                Some(asked) => {
                    asked.events += 1;
                    if !asked.replied {
                        self.faults.push(format!("an event before the ack of its request: {json}"));
                    }
                    self.settle(&transaction);
                }
                None => self.faults.push(format!("a second event for a request: {json}")),
            }
        }
        let delay = self.network();
        let Some((client, last)) = self.sessions.get_mut(&session) else {
            return self.faults.push(format!("an event of no session: {json}"));
        };
        let client = *client;
        let mut at = (self.now + delay).max(*last);
        if let Some(line) = self.lines.get_mut(client)
            && line.client != Client::Connectionless
        {
            at = at.max(line.down);
            line.down = at;
        }
        *last = at;
        self.at(at, Happening::Deliver(Delivery::Event { client, json }));
    }

    fn settle(&mut self, transaction: &str) {
        let Some(asked) = self.asked.get(transaction) else { return };
        if asked.replied && asked.events == u32::from(asked.acked) {
            self.asked.remove(transaction);
        }
    }

    /// What the engine wants told and done. Its events keep their order.
    fn take(&mut self, outcome: Outcome) {
        for (handle, event) in outcome.events {
            let delay = self.random.millis(0, 3);
            self.events = self.events.max(self.now + delay);
            self.at(self.events, Happening::Media(handle, event));
        }
        for (delay, later) in outcome.later {
            self.at(self.now + delay, Happening::Later(later));
        }
    }
}
