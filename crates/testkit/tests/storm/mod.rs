//! The storm: people, what they do, and how what they hear changes what they believe.

pub mod operations;
pub mod oracle;
pub mod person;
pub mod shared;

use person::{Handle, Offering, Participant, Person, Role, Subscriber, Wish, text};
use portunus_core::Settings;
use portunus_plugin::{HandleId, Object, Value, json};
use portunus_sdp::Description;
use portunus_testkit::browser::Line;
use portunus_testkit::media::Manners;
use portunus_testkit::{Delivery, Random, World, browser};
use shared::Shared;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Clients.
pub const PEOPLE: usize = 64;
/// Rooms that are there from the beginning to the end.
pub const LASTING_ROOMS: u64 = 5;
/// Rooms that come and go.
pub const PASSING_ROOMS: u64 = 3;
/// The secret of rooms that have one.
pub const SECRET: &str = "adminpwd";
/// The pin of the room that has one.
pub const PIN: &str = "1234";
/// The token of the room with a list of those who may join.
pub const TOKEN: &str = "ticket";

/// Operations that a failure shows.
const SHOWN: usize = 50;
/// Operations that are remembered.
const REMEMBERED: usize = 60_000;

/// How often a client says that he is there, milliseconds; the gateway waits for 20 seconds.
const KEEPALIVE: (u64, u64) = (5_000, 8_000);
const KEEPALIVE_ALARM: u64 = 0;

/// See the module.
pub struct Storm {
    pub seed: u64,
    pub world: World,
    pub plugin: Shared,
    pub people: Vec<Person>,
    pub random: Random,
    pub done: u64,
    log: Vec<(Option<u64>, String)>,
    /// Room, and what is wrong.
    faults: Vec<(Option<u64>, String)>,
    trace: bool,
    names: u64,
    /// Handles that answered an offer with the answer to another, see [`Handle::crossed`], or offered what nobody wanted.
    crossed: BTreeSet<u64>,
    replies: std::collections::HashMap<String, Value>,
}

impl Storm {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let plugin = Shared::new(Random::new(random.next()));
        let settings = Settings { session_timeout: Duration::from_secs(20), ..Settings::default() };
        let manners = Manners { failing: 5, silent: 2 };
        let world = World::new(settings, vec![Box::new(plugin.clone())], manners, random.next());
        let mut storm = Self {
            seed,
            world,
            plugin,
            people: Vec::new(),
            random,
            done: 0,
            log: Vec::new(),
            faults: Vec::new(),
            names: 0,
            crossed: BTreeSet::new(),
            trace: std::env::var_os("STORM_TRACE").is_some(),
            replies: std::collections::HashMap::new(),
        };
        // The first one is the observer: he only asks.
        for n in 0..=PEOPLE {
            let person = storm.arrive(n == 0);
            storm.people.push(person);
        }
        storm
    }

    /// Somebody new, with a WebSocket or by HTTP.
    pub fn arrive(&mut self, always_connected: bool) -> Person {
        let connection = always_connected || self.random.percent(60);
        let client = self.world.connect(connection);
        let (from, to) = KEEPALIVE;
        let after = self.random.millis(from, to);
        self.world.alarm(client, after, KEEPALIVE_ALARM);
        Person::new(client)
    }

    /// Sends a request of a session or handle, with what it is for.
    pub fn send(&mut self, who: usize, handle: Option<u64>, mut request: Value, wish: Wish) -> String {
        let Some(person) = self.people.get_mut(who) else { return String::new() };
        person.requests += 1;
        let transaction = format!("c{}n{}", person.client, person.requests);
        request["transaction"] = transaction.as_str().into();
        if let Some(session) = person.session {
            request["session_id"] = session.into();
        }
        if let Some(handle) = handle {
            request["handle_id"] = handle.into();
        }
        person.leaving |= matches!(wish, Wish::Destroy);
        person.asked.insert(transaction.clone(), wish);
        let room = handle.and_then(|h| person.handles.get(&h)).and_then(Handle::room);
        let room = request["body"]["room"].as_u64().or(room);
        let client = person.client;
        if request["janus"] != "keepalive" {
            self.note(room, short(&request));
        }
        self.world.request(client, request);
        transaction
    }

    /// A message to the plugin.
    pub fn message(
        &mut self,
        who: usize,
        handle: u64,
        body: Value,
        jsep: Option<Value>,
        wish: Wish,
    ) -> String {
        let mut request = json!({ "janus": "message", "body": body });
        if let Some(jsep) = jsep {
            request["jsep"] = jsep;
        }
        self.send(who, Some(handle), request, wish)
    }

    /// A request that is answered at once, from the observer, and its answer.
    pub fn ask(&mut self, body: Value) -> Value {
        let handle = self.people[0].handles.keys().next().copied().expect("the observer is attached");
        let reply = self.await_reply(Some(handle), json!({ "janus": "message", "body": body }), Wish::Other);
        reply["plugindata"]["data"].clone()
    }

    /// A request of the observer and its reply.
    pub fn await_reply(&mut self, handle: Option<u64>, request: Value, wish: Wish) -> Value {
        let transaction = self.send(0, handle, request, wish);
        let end = self.world.now() + Duration::from_secs(10);
        while let Some(delivery) = self.world.next(end) {
            self.deliver(delivery);
            if let Some(reply) = self.replies.remove(&transaction) {
                return reply;
            }
        }
        panic!("seed {}: the observer got no reply", self.seed);
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        let end = self.world.now() + time;
        while let Some(delivery) = self.world.next(end) {
            self.deliver(delivery);
        }
    }

    pub fn note(&mut self, room: Option<u64>, text: String) {
        let at = self.world.elapsed().as_secs_f64();
        if self.trace {
            eprintln!("{at:.3} {text}");
        }
        if self.log.len() >= REMEMBERED {
            self.log.drain(..REMEMBERED / 2);
        }
        self.log.push((room, format!("{at:9.3} {text}")));
    }

    pub fn fault(&mut self, room: Option<u64>, text: String) {
        if self.trace {
            eprintln!("FAULT {room:?} {text}");
        }
        self.faults.push((room, text));
    }

    /// Fails if something was wrong.
    pub fn judge(&mut self) {
        for fault in self.world.take_faults() {
            self.fault(None, fault);
        }
        for (handle, fault) in self.world.engine.take_faults() {
            if !self.crossed.contains(&handle.get()) {
                self.fault(None, fault);
            }
        }
        let Some((room, _)) = self.faults.first().cloned() else { return };
        let of_room = |(r, _): &&(Option<u64>, String)| room.is_none() || *r == room || r.is_none();
        let mut shown: Vec<&str> =
            self.log.iter().rev().filter(of_room).take(SHOWN).map(|(_, t)| t.as_str()).collect();
        shown.reverse();
        let faults: Vec<String> =
            self.faults.iter().take(20).map(|(room, text)| format!("room {room:?}: {text}")).collect();
        panic!(
            "STORM_SEED={} STORM_OPERATIONS={}: {} faults, the first ones:\n{}\nlast operations in room {room:?}:\n{}",
            self.seed,
            self.done,
            self.faults.len(),
            faults.join("\n"),
            shown.join("\n"),
        );
    }

    fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Reply { client, json } => {
                if let Some(who) = self.person(client) {
                    self.on_reply(who, &json);
                }
            }
            Delivery::Event { client, json } => {
                if let Some(who) = self.person(client) {
                    if self.trace {
                        eprintln!(
                            "{:.3}   -> c{client} {}",
                            self.world.elapsed().as_secs_f64(),
                            short(&json)
                        );
                    }
                    self.on_event(who, &json);
                }
            }
            Delivery::Alarm { client, what } => {
                if let Some(who) = self.person(client) {
                    self.on_alarm(who, client, what);
                }
            }
        }
    }

    fn person(&self, client: usize) -> Option<usize> {
        // Most stay what they were.
        match self.people.get(client) {
            Some(person) if person.client == client => Some(client),
            _ => self.people.iter().position(|p| p.client == client),
        }
    }

    fn on_alarm(&mut self, who: usize, client: usize, what: u64) {
        if what == KEEPALIVE_ALARM {
            if self.people[who].session.is_some() {
                self.send(who, None, json!({ "janus": "keepalive" }), Wish::Other);
            }
            let (from, to) = KEEPALIVE;
            let after = self.random.millis(from, to);
            self.world.alarm(client, after, KEEPALIVE_ALARM);
        } else {
            self.answer(who, what);
        }
    }

    fn on_reply(&mut self, who: usize, json: &Value) {
        let transaction = text(json, "transaction");
        let person = &mut self.people[who];
        let Some(wish) = person.asked.get(&transaction).cloned() else { return };
        let id = json["data"]["id"].as_u64();
        if who == 0 {
            self.replies.insert(transaction.clone(), json.clone());
        }
        match (wish, json["janus"].as_str().unwrap_or_default()) {
            (_, "ack") => return,
            (Wish::Create, "success") => {
                person.session = id;
                person.creating = false;
            }
            (Wish::Attach, "success") => {
                if let Some(id) = id.filter(|_| json["session_id"].as_u64() == person.session) {
                    person.handles.insert(id, Handle::default());
                }
            }
            (Wish::Destroy, "success") => person.end_session(),
            (Wish::Create, _) => person.creating = false,
            (_, "error")
                if json["error"]["code"] == 458
                    && !person.leaving
                    && json["session_id"].as_u64() == person.session =>
            {
                self.fault(None, format!("a session is lost: {json}"));
            }
            _ => {}
        }
        self.people[who].asked.remove(&transaction);
    }

    fn on_event(&mut self, who: usize, json: &Value) {
        let sender = json["sender"].as_u64().unwrap_or(0);
        let wish = json["transaction"].as_str().and_then(|t| self.people[who].asked.remove(t));
        if json["janus"] == "timeout" {
            let ended = json["session_id"].as_u64();
            if self.people[who].session == ended {
                self.fault(None, format!("a session that is kept alive timed out: {json}"));
            }
            return;
        }
        if json["janus"] == "detached" {
            self.people[who].handles.remove(&sender);
            return;
        }
        let Some(handle) = self.people[who].handles.get_mut(&sender) else { return };
        match json["janus"].as_str().unwrap_or_default() {
            "webrtcup" => handle.up = true,
            "hangup" => {
                handle.on_hangup();
                if handle.crossed {
                    self.crossed.insert(sender);
                }
            }
            "event" => {
                if let Value::Object(data) = &json["plugindata"]["data"] {
                    self.on_data(who, sender, data, json, wish);
                }
            }
            _ => {}
        }
    }

    fn on_data(&mut self, who: usize, sender: u64, data: &Object, json: &Value, wish: Option<Wish>) {
        let now = self.world.now();
        let Some(handle) = self.people[who].handles.get_mut(&sender) else { return };
        let word = data.get("videoroom").and_then(Value::as_str).unwrap_or_default();
        if data.get("error_code").is_some_and(|code| code == 431) {
            // His offer crossed ours, which cannot be answered any more.
            handle.spoiled = true;
            self.crossed.insert(sender);
        }
        if data.contains_key("error_code") {
            // Not told that he is in, though he may be: with an error behind it nobody knows.
            if matches!(wish, Some(Wish::Join(Some(_)))) && matches!(handle.role, Role::Fresh) {
                handle.role = Role::Done;
                let detach = json!({ "janus": "detach" });
                self.send(who, Some(sender), detach, Wish::Other);
            }
            return;
        }
        enter(handle, word, data, &wish, now);
        match &mut handle.role {
            Role::Participant(me) => {
                me.on_news(data);
                if data.get("unpublished").is_some_and(|l| l == "ok") {
                    me.end_feed();
                }
                match &wish {
                    Some(Wish::Mute(muting)) if data.contains_key("configured") => me.mute(muting),
                    Some(Wish::Offer(_) | Wish::Join(Some(_))) => {
                        if let Some(streams) = data.get("streams") {
                            me.take_streams(streams);
                        }
                    }
                    _ => {}
                }
            }
            Role::Subscriber(me) => {
                if let Some(streams) = data.get("streams") {
                    me.take_summary(streams);
                }
                match &wish {
                    Some(Wish::Send(mid, send)) if data.contains_key("configured") => {
                        me.lines.iter_mut().filter(|l| l.mid == *mid).for_each(|l| l.send = *send);
                    }
                    Some(Wish::Pause) if data.contains_key("paused") => me.paused = true,
                    Some(Wish::Start) if data.contains_key("started") => {
                        me.paused = false;
                        let transaction = json["transaction"].as_str();
                        if let Some(pc) =
                            handle.pc.as_mut().filter(|pc| pc.answering.as_deref() == transaction)
                        {
                            pc.answering = None;
                        }
                    }
                    _ => {}
                }
            }
            Role::Fresh | Role::Done => {}
        }
        if let Some(sdp) = json["jsep"]["sdp"].as_str() {
            self.on_jsep(who, sender, json["jsep"]["type"] == "offer", sdp, wish);
        }
    }

    /// A description came: an answer is applied, an offer answered now or later or never.
    fn on_jsep(&mut self, who: usize, id: u64, is_offer: bool, sdp: &str, wish: Option<Wish>) {
        let Some(handle) = self.people[who].handles.get_mut(&id) else { return };
        let room = handle.room();
        let description = match Description::parse(sdp) {
            Ok(description) => description,
            Err(e) => return self.fault(room, format!("a description that is none ({e}): {sdp}")),
        };
        let ufrag = description.transport().ufrag.clone();
        let pc = handle.pc.get_or_insert_default();
        if !is_offer {
            if let Some(Wish::Offer(own) | Wish::Join(Some(own))) = wish {
                pc.own = own;
            }
            pc.version += 1;
            pc.ufrag = Some(ufrag.clone());
            let name = pc.own.name.clone();
            return self.connect(id, &ufrag, &name);
        }
        if pc.own.name.is_empty() {
            self.names += 1;
            pc.own.name = format!("browser{}", self.names);
        }
        let mut wrong = pc.offered.take(&description).err();
        let generation = |ufrag: &str| ufrag.split('r').next().unwrap_or_default().to_owned();
        if let Some(before) = pc.ufrag.replace(ufrag.clone()).filter(|b| generation(b) != generation(&ufrag))
        {
            wrong = Some(format!("the PeerConnection of {before} is offered {ufrag}"));
        }
        if (pc.waiting.is_some() || pc.answering.is_some()) && !handle.crossed && !handle.spoiled {
            wrong = Some("an offer before the last one was answered".to_owned());
        }
        pc.waiting = Some(description);
        let client = self.people[who].client;
        if let Some(wrong) = wrong {
            self.fault(room, format!("c{client} h{id}: {wrong}"));
        }
        match self.random.below(100) {
            0..=84 => self.answer(who, id),
            85..=96 => {
                let after = self.random.millis(50, 4000);
                self.world.alarm(client, after, id);
            }
            _ => {}
        }
    }

    /// A new PeerConnection with these m-lines.
    pub fn offering(&mut self, lines: Vec<Line>) -> Offering {
        self.names += 1;
        Offering { name: format!("browser{}", self.names), lines }
    }

    /// Answers the offer that waits, if one does.
    pub fn answer(&mut self, who: usize, id: u64) {
        let Some(pc) = self.people[who].handles.get_mut(&id).and_then(|h| h.pc.as_mut()) else { return };
        let Some(offer) = pc.waiting.take() else { return };
        pc.version += 1;
        let jsep = json!({ "type": "answer", "sdp": browser::answer(&offer, &pc.own.name, pc.version) });
        let name = pc.own.name.clone();
        let transaction = self.message(who, id, json!({ "request": "start" }), Some(jsep), Wish::Start);
        if let Some(pc) = self.people[who].handles.get_mut(&id).and_then(|h| h.pc.as_mut()) {
            pc.answering = Some(transaction);
        }
        self.connect(id, &offer.transport().ufrag, &name);
    }

    fn connect(&mut self, id: u64, ours: &str, theirs: &str) {
        if let Some(handle) = HandleId::new(id) {
            self.world.browser(handle, ours, theirs);
        }
    }
}

/// Somebody comes into a room, or is out of it.
fn enter(handle: &mut Handle, word: &str, data: &Object, wish: &Option<Wish>, now: Instant) {
    let number = |name: &str| data.get(name).and_then(Value::as_u64).unwrap_or(0);
    match word {
        "joined" => {
            let (room, id, private_id) = (number("room"), number("id"), number("private_id"));
            let mut me = Participant { room, id, private_id, ..Participant::default() };
            me.on_news(data);
            handle.role = Role::Participant(me);
        }
        "attached" => {
            let (autoupdate, since) = match *wish {
                Some(Wish::Attend(autoupdate, since)) => (autoupdate, since),
                _ => (true, now),
            };
            let room = number("room");
            let mut me = Subscriber { room, lines: Vec::new(), paused: false, autoupdate, since };
            me.take_summary(&data["streams"]);
            handle.role = Role::Subscriber(me);
        }
        "destroyed" => handle.role = Role::Done,
        _ if data.contains_key("left") || data.get("leaving").is_some_and(|l| l == "ok") => {
            handle.role = Role::Done;
        }
        _ => {}
    }
}

/// A text for people: without SDP and envelope.
fn short(json: &Value) -> String {
    let mut json = json.clone();
    if let Some(o) = json.as_object_mut() {
        o.remove("session_id");
    }
    if let Some(jsep) = json.get_mut("jsep").and_then(Value::as_object_mut)
        && let Some(sdp) = jsep.remove("sdp")
    {
        let lines = sdp.as_str().unwrap_or_default().lines();
        let kept = lines.filter(|l| {
            ["m=", "a=mid", "a=sendonly", "a=inactive", "a=ice-ufrag"].iter().any(|p| l.starts_with(p))
        });
        jsep.insert("lines".to_owned(), kept.collect::<Vec<_>>().join(" ").into());
    }
    json.to_string()
}
