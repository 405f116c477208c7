//! A client: what he believes of the world, from nothing but the replies and events he got.

use portunus_plugin::{Object, Value};
use portunus_sdp::{Description, MediaKind};
use portunus_testkit::browser::{Line, Offered};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

/// See the module.
#[derive(Debug)]
pub struct Person {
    /// His number in the world.
    pub client: usize,
    pub session: Option<u64>,
    pub creating: bool,
    /// He has asked for the end of his session.
    pub leaving: bool,
    pub handles: BTreeMap<u64, Handle>,
    /// What his requests were for, by transaction.
    pub asked: HashMap<String, Wish>,
    pub requests: u64,
}

/// What a request was for, as far as its answer changes what he believes.
#[derive(Clone, Debug)]
pub enum Wish {
    Create,
    Attach,
    Destroy,
    /// As a publisher, perhaps with an offer.
    Join(Option<Offering>),
    /// As a subscriber; whether with automatic updates, and when.
    Attend(bool, Instant),
    Offer(Offering),
    /// These streams of his flow, or not.
    Mute(Muting),
    /// This stream shall come, or not.
    Send(String, bool),
    Pause,
    Start,
    Other,
}

#[derive(Clone, Debug)]
pub enum Muting {
    One(String, bool),
    All(MediaKind, bool),
}

#[derive(Debug, Default)]
pub struct Handle {
    pub role: Role,
    pub pc: Option<Pc>,
    pub up: bool,
    /// What the browser offered first since the last PeerConnection.
    pub offering: Option<Offering>,
    /// An answer was on its way when its PeerConnection ended: it may be taken for one to the next offer, as nothing in it
    /// says which offer it belongs to. That PeerConnection will never be up.
    pub crossed: bool,
    /// A subscriber who sent an offer: what comes of his own is his own fault.
    pub spoiled: bool,
}

/// A PeerConnection's user name and m-lines.
#[derive(Clone, Debug, Default)]
pub struct Offering {
    pub name: String,
    pub lines: Vec<Line>,
}

/// The browser's PeerConnection.
#[derive(Debug, Default)]
pub struct Pc {
    pub version: u64,
    /// What the browser offers.
    pub own: Offering,
    /// What it was offered.
    pub offered: Offered,
    pub ufrag: Option<String>,
    /// An offer not answered yet.
    pub waiting: Option<Description>,
    /// The transaction of an answer that was not confirmed yet.
    pub answering: Option<String>,
}

#[derive(Debug, Default)]
pub enum Role {
    #[default]
    Fresh,
    Participant(Participant),
    Subscriber(Subscriber),
    /// Out of the room, or not sure: only good to be detached.
    Done,
}

#[derive(Debug, Default)]
pub struct Participant {
    pub room: u64,
    pub id: u64,
    pub private_id: u64,
    /// The others who publish, with their streams: mid and whether it is in use.
    pub feeds: BTreeMap<u64, BTreeMap<String, bool>>,
    /// His own m-lines: what they are, and whether they are in use.
    pub live: BTreeMap<String, (MediaKind, bool)>,
    pub muted: BTreeSet<String>,
    pub moderated: BTreeSet<String>,
}

#[derive(Debug)]
pub struct Subscriber {
    pub room: u64,
    pub lines: Vec<Sub>,
    pub paused: bool,
    pub autoupdate: bool,
    /// When he joined.
    pub since: Instant,
}

/// One m-line of a subscriber, as told last.
#[derive(Clone, Debug)]
pub struct Sub {
    pub mid: String,
    pub kind: MediaKind,
    pub active: bool,
    pub send: bool,
    pub feed: u64,
    pub feed_mid: String,
}

impl Person {
    pub fn new(client: usize) -> Self {
        Self {
            client,
            session: None,
            creating: false,
            leaving: false,
            handles: BTreeMap::new(),
            asked: HashMap::new(),
            requests: 0,
        }
    }

    pub fn end_session(&mut self) {
        self.session = None;
        self.leaving = false;
        self.handles.clear();
    }
}

impl Handle {
    /// The room it is in.
    pub fn room(&self) -> Option<u64> {
        match &self.role {
            Role::Participant(p) => Some(p.room),
            Role::Subscriber(s) => Some(s.room),
            Role::Fresh | Role::Done => None,
        }
    }

    pub fn on_hangup(&mut self) {
        self.up = false;
        self.crossed = self.pc.take().is_some_and(|pc| pc.answering.is_some());
        self.offering = None;
        match &mut self.role {
            Role::Participant(p) => p.end_feed(),
            Role::Subscriber(s) => s.lines.clear(),
            Role::Fresh | Role::Done => {}
        }
    }
}

impl Participant {
    pub fn end_feed(&mut self) {
        self.live.clear();
        self.muted.clear();
        self.moderated.clear();
    }

    /// `streams` of an answer to his offer.
    pub fn take_streams(&mut self, streams: &Value) {
        self.live.clear();
        for stream in list(streams) {
            let live = stream.get("disabled").is_none();
            self.live.insert(text(stream, "mid"), (kind(stream), live));
        }
    }

    pub fn mute(&mut self, muting: &Muting) {
        let (mids, send): (Vec<String>, bool) = match muting {
            Muting::One(mid, send) => (vec![mid.clone()], *send),
            Muting::All(kind, send) => {
                let mids = self.live.iter().filter(|(_, (k, _))| k == kind).map(|(mid, _)| mid.clone());
                (mids.collect(), *send)
            }
        };
        for mid in mids {
            match send {
                true => self.muted.remove(&mid),
                false => self.muted.insert(mid),
            };
        }
    }

    /// Something about the others, or about himself by a moderator.
    pub fn on_news(&mut self, o: &Object) {
        for publisher in o.get("publishers").map(list).unwrap_or_default() {
            let streams = publisher.get("streams").map(list).unwrap_or_default();
            let streams = streams.iter().map(|s| (text(s, "mid"), s.get("disabled").is_none())).collect();
            self.feeds.insert(number(publisher, "id"), streams);
        }
        for word in ["unpublished", "leaving", "kicked"] {
            if let Some(id) = o.get(word).and_then(Value::as_u64) {
                self.feeds.remove(&id);
            }
        }
        if let Some(word) = o.get("moderation").and_then(Value::as_str)
            && o.get("id").and_then(Value::as_u64) == Some(self.id)
        {
            let mid = o.get("mid").and_then(Value::as_str).unwrap_or_default().to_owned();
            match word {
                "muted" => self.moderated.insert(mid),
                _ => self.moderated.remove(&mid),
            };
        }
    }
}

impl Subscriber {
    /// `streams` of an event.
    pub fn take_summary(&mut self, streams: &Value) {
        self.lines = list(streams)
            .iter()
            .map(|line| Sub {
                mid: text(line, "mid"),
                kind: kind(line),
                active: line["active"] == true,
                send: line["send"] == true,
                feed: number(line, "feed_id"),
                feed_mid: text(line, "feed_mid"),
            })
            .collect();
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(0)
}

pub fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn kind(value: &Value) -> MediaKind {
    match value.get("type").and_then(Value::as_str) {
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::Data,
    }
}
