//! Calls between two users who have registered their names.
//!
//! One calls, the other accepts: the offer of the first goes to the second nearly as it is, and the answer comes back the same
//! way, so that the two agree with each other on codecs. Every medium is then a route to the other's m-line of the same
//! mid, data channel messages are passed on. All answers are events.
//!
//! Invariants: of two users either both or none is the other's peer; nobody calls itself; a user's media are as new after every call.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod body;
mod error;
mod user;

use body::Wishes;
use error::{Refusal, code};
use portunus_api::{Kind, require};
use portunus_plugin::recording::{Places, RecordingNews};
use portunus_plugin::tracks::{Told, Tracks};
use portunus_plugin::{
    About, Cx, HandleId, JsepKind, JsepPlan, MediaEvent, Message, Object, Plan, Plugin, PluginError,
    RemoteJsep, Reply, RouteEnd, Value, json,
};
use portunus_sdp::{MediaKind, SentLayers};
use std::collections::BTreeMap;
use user::{Agreed, Media, Offered, User};

/// What the other one hears of a hangup without a reason.
const HANGUP: &str = "We did the hangup";
/// What both hear when a connection is gone.
const GONE: &str = "Remote WebRTC hangup";

/// Characters of a user's name in that of a recording: two names, and their characters have up to four bytes.
const NAME_IN_FILE: usize = 20;
/// Bytes of a user's name. Everybody online gets it with each `list`.
const MAX_NAME: usize = 256;
/// Characters of the reason of a hang-up. The rest is left out.
const MAX_REASON: usize = 256;

/// The plugin.
#[derive(Debug)]
pub struct VideoCall {
    users: BTreeMap<HandleId, User>,
    names: BTreeMap<String, HandleId>,
    events: bool,
    /// Where recordings may be.
    places: Places,
}

type Result<T> = std::result::Result<T, Refusal>;

/// What answers a request.
struct Answer {
    result: Value,
    /// For event handlers.
    notice: Option<Value>,
}

impl Answer {
    fn new(result: Value) -> Self {
        Self { result, notice: None }
    }
}

impl VideoCall {
    /// `events`: event handlers are told of calls (`general.events`, on by default). `places`: where recordings may be.
    pub fn new(events: bool, places: Places) -> Self {
        Self { users: BTreeMap::new(), names: BTreeMap::new(), events, places }
    }

    fn user(&mut self, h: HandleId) -> &mut User {
        self.users.entry(h).or_default()
    }

    fn name(&self, h: HandleId) -> Option<&str> {
        self.users.get(&h)?.name.as_deref()
    }

    fn peer(&self, h: HandleId) -> Option<HandleId> {
        self.users.get(&h)?.peer
    }

    fn notify(&self, cx: &mut Cx, h: HandleId, notice: Value) {
        if self.events {
            cx.notify(Some(h), notice);
        }
    }

    /// Does what a request wants and answers it.
    fn serve(&mut self, cx: &mut Cx, h: HandleId, message: Message) {
        let Message { transaction, body, jsep } = message;
        let verb = require(&body, "request", Kind::String).map(|v| v.as_str().unwrap_or_default());
        let answer = verb.map_err(Refusal::from).and_then(|verb| match verb {
            "list" => Ok(Answer::new(json!({ "list": self.names.keys().collect::<Vec<_>>() }))),
            "register" => self.register(h, &body),
            "call" => self.call(cx, h, &body, jsep.as_ref()),
            "accept" => self.accept(cx, h, jsep.as_ref()),
            "set" => self.set(cx, h, &body, jsep.as_ref()),
            "hangup" => Ok(self.hang_up(cx, h, &body)),
            _ => Err(Refusal::new(code::INVALID_REQUEST, format!("Unknown request ({verb})"))),
        });
        match answer {
            Ok(Answer { result, notice }) => {
                let closes = result.get("event").is_some_and(|event| event == "hangup");
                cx.answer(h, transaction, event(result), None);
                if closes {
                    self.close(cx, h);
                }
                if let Some(notice) = notice {
                    self.notify(cx, h, notice);
                }
            }
            Err(refusal) => {
                cx.answer(h, transaction, refusal.to_value(), None);
                // As with Janus: whoever cannot call has no use for the connection that was to be.
                if body.get("request").is_some_and(|verb| verb == "call") {
                    self.close(cx, h);
                }
            }
        }
    }

    fn register(&mut self, h: HandleId, body: &Object) -> Result<Answer> {
        if let Some(name) = self.name(h) {
            return Err(Refusal::new(code::ALREADY_REGISTERED, format!("Already registered ({name})")));
        }
        let name = username(body)?;
        if self.names.contains_key(name) {
            return Err(Refusal::new(code::USERNAME_TAKEN, format!("Username '{name}' already taken")));
        }
        self.names.insert(name.to_owned(), h);
        self.user(h).name = Some(name.to_owned());
        let result = json!({ "event": "registered", "username": name });
        Ok(Answer { notice: Some(result.clone()), result })
    }

    fn call(&mut self, cx: &mut Cx, h: HandleId, body: &Object, jsep: Option<&RemoteJsep>) -> Result<Answer> {
        let own = self.name(h).map(str::to_owned);
        let own = own.ok_or_else(|| Refusal::new(code::REGISTER_FIRST, "Register a username first"))?;
        if self.peer(h).is_some() {
            return Err(Refusal::new(code::ALREADY_IN_CALL, "Already in a call"));
        }
        let name = username(body)?;
        if name == own {
            let text = "You can't call yourself... use the EchoTest for that";
            return Err(Refusal::new(code::USE_ECHO_TEST, text));
        }
        let no_such = || Refusal::new(code::NO_SUCH_USERNAME, format!("Username '{name}' doesn't exist"));
        let peer = self.names.get(name).copied().ok_or_else(no_such)?;
        if self.peer(peer).is_some() {
            let result = json!({ "event": "hangup", "username": own, "reason": "User busy" });
            return Ok(Answer { notice: Some(hangup_notice("User busy")), result });
        }
        let offer = jsep.filter(|j| j.kind == JsepKind::Offer).ok_or_else(Refusal::missing_sdp)?;
        self.user(h).peer = Some(peer);
        self.user(peer).peer = Some(h);
        let data = event(json!({ "event": "incomingcall", "username": own }));
        self.pass_offer(cx, h, peer, data, offer, false);
        let result = json!({ "event": "calling" });
        Ok(Answer { notice: Some(result.clone()), result })
    }

    /// The offer of `h` goes to its peer.
    fn pass_offer(
        &mut self,
        cx: &mut Cx,
        h: HandleId,
        peer: HandleId,
        data: Value,
        offer: &RemoteJsep,
        restart: bool,
    ) {
        let media = &mut self.user(h).media;
        media.layers = SentLayers::of(&offer.description);
        media.offered = Some(Offered { description: offer.description.clone(), e2ee: offer.e2ee });
        let theirs = self.users.get(&peer).map(|user| user.media.layers.as_slice()).unwrap_or_default();
        let plan = Plan::relay(&offer.description, portunus_sdp::Kind::Offer).with_layers(theirs);
        let affinity = Some(affinity(h, peer));
        let plan = JsepPlan { kind: JsepKind::Offer, plan, e2ee: offer.e2ee, restart, affinity };
        cx.push_jsep(peer, data, plan);
    }

    /// The answer of `h` goes to its peer, who has offered; from now on what one sends goes to the other.
    fn pass_answer(
        &mut self,
        cx: &mut Cx,
        h: HandleId,
        peer: HandleId,
        data: Value,
        answer: &RemoteJsep,
    ) -> Result<()> {
        let theirs =
            self.users.get_mut(&peer).and_then(|user| Some((user.media.offered.take()?, &user.media)));
        let Some((offered, media)) = theirs else {
            return Err(Refusal::new(code::INVALID_SDP, "Error parsing answer: nobody offered"));
        };
        let plan = Plan::relay(&answer.description, portunus_sdp::Kind::Answer).with_layers(&media.layers);
        let e2ee = offered.e2ee && answer.e2ee;
        let agreed = Agreed::new(&offered.description, &answer.description, &plan, e2ee);
        let affinity = Some(affinity(h, peer));
        let plan = JsepPlan { kind: JsepKind::Answer, plan, e2ee: answer.e2ee, restart: false, affinity };
        cx.push_jsep(peer, data, plan);
        self.user(h).media.layers = SentLayers::of(&answer.description);
        for (one, other, side) in [(peer, h, agreed.offerer), (h, peer, agreed.answerer)] {
            let media = &mut self.user(one).media;
            media.e2ee = e2ee;
            media.settle(cx, one, other, side);
            self.go_on_recording(cx, one);
        }
        for (one, other) in [(peer, h), (h, peer)] {
            if let (Some(one_of), Some(other_of)) = (self.users.get(&one), self.users.get(&other)) {
                one_of.media.select(cx, one, &other_of.media);
            }
        }
        Ok(())
    }

    fn go_on_recording(&mut self, cx: &mut Cx, h: HandleId) {
        let Self { users, places, .. } = self;
        let Some(user) = users.get_mut(&h) else { return };
        user.media.tracks.go_on(cx, h, places);
        user.media.tracks.withhold(cx, h, user.media.audio, user.media.video);
    }

    fn accept(&mut self, cx: &mut Cx, h: HandleId, jsep: Option<&RemoteJsep>) -> Result<Answer> {
        let no_call = || Refusal::new(code::NO_CALL, "No incoming call to accept");
        let peer = self.peer(h).ok_or_else(no_call)?;
        let answer = jsep.filter(|j| j.kind == JsepKind::Answer).ok_or_else(Refusal::missing_sdp)?;
        let told = json!({ "event": "accepted", "username": self.name(h) });
        self.pass_answer(cx, h, peer, event(told), answer)?;
        let result = json!({ "event": "accepted" });
        Ok(Answer { notice: Some(result.clone()), result })
    }

    fn set(&mut self, cx: &mut Cx, h: HandleId, body: &Object, jsep: Option<&RemoteJsep>) -> Result<Answer> {
        let wishes = Wishes::parse(body)?;
        let base = (wishes.record == Some(true)).then(|| self.base(cx, h, wishes.filename.as_deref()));
        let base = base.transpose()?;
        let peer = self.peer(h);
        let mut media = std::mem::take(&mut self.user(h).media);
        let theirs = peer.and_then(|peer| Some((peer, &self.users.get(&peer)?.media)));
        if let Some((_, theirs)) = theirs {
            media.reached(theirs, &wishes).into_iter().for_each(|told| cx.push(h, told));
        }
        media.apply(cx, h, theirs, &wishes);
        match (base, wishes.record) {
            (Some(base), _) => media.tracks.record(cx, h, &self.places, base),
            (None, Some(false)) => media.tracks.end(cx, h),
            (None, _) => {}
        }
        media.tracks.withhold(cx, h, media.audio, media.video);
        self.user(h).media = media;
        if let (Some(jsep), Some(peer)) = (jsep, peer) {
            let update = event(json!({ "event": "update" }));
            match jsep.kind {
                JsepKind::Offer => self.pass_offer(cx, h, peer, update, jsep, wishes.restart),
                JsepKind::Answer => self.pass_answer(cx, h, peer, update, jsep)?,
            }
        }
        let notice = Some(self.user(h).media.notice());
        Ok(Answer { result: json!({ "event": "set" }), notice })
    }

    /// What the files of a recording are called but for their endings.
    fn base(&self, cx: &Cx, h: HandleId, filename: Option<&str>) -> Result<String> {
        let name = |h: Option<HandleId>| h.and_then(|h| self.name(h)).unwrap_or("unknown");
        let base = match filename.filter(|name| !name.is_empty()) {
            Some(name) => name.to_owned(),
            None => format!(
                "videocall-{}-{}-{}",
                plain(name(Some(h))),
                plain(name(self.peer(h))),
                cx.unix().as_micros()
            ),
        };
        let refused = |why| Refusal::invalid(format!("Invalid element (filename: {why})"));
        Tracks::check(&self.places, &base).map_err(refused)?;
        Ok(base)
    }

    /// The answer to `hangup`; the connections are closed when it is on its way.
    fn hang_up(&mut self, cx: &mut Cx, h: HandleId, body: &Object) -> Answer {
        let reason = body.get("reason").and_then(Value::as_str).unwrap_or(HANGUP);
        let reason: String = reason.chars().take(MAX_REASON).collect();
        if let Some(peer) = self.peer(h) {
            cx.push(peer, event(self.hangup_of(h, &reason)));
            self.notify(cx, peer, hangup_notice("Remote hangup"));
        }
        let notice = Some(hangup_notice("Explicit hangup"));
        Answer { result: self.hangup_of(h, "Explicit hangup"), notice }
    }

    /// `h` hung up.
    fn hangup_of(&self, h: HandleId, reason: &str) -> Value {
        let mut o = Object::new();
        o.insert("event".into(), "hangup".into());
        if let Some(name) = self.name(h) {
            o.insert("username".into(), name.into());
        }
        o.insert("reason".into(), reason.into());
        o.into()
    }

    /// Closes the connection of `h`, if it has one, and that of whom it talks to.
    fn close(&mut self, cx: &mut Cx, h: HandleId) {
        if self.peer(h).is_some() {
            self.part(cx, h);
        }
        cx.hangup(h);
    }

    /// The connection of `h` is gone: so is its call. As with Janus each hears that the other's connection is gone.
    fn part(&mut self, cx: &mut Cx, h: HandleId) {
        let Some(user) = self.users.get_mut(&h) else { return };
        user.media.tracks.end(cx, h);
        user.media = Media::default();
        let Some(peer) = user.peer.take() else { return };
        for (one, other) in [(peer, h), (h, peer)] {
            cx.push(one, event(self.hangup_of(other, GONE)));
            self.notify(cx, one, hangup_notice(GONE));
        }
        let Some(other) = self.users.get_mut(&peer) else { return };
        other.peer = None;
        other.media.tracks.end(cx, peer);
        other.media = Media::default();
        cx.hangup(peer);
    }
}

fn username(body: &Object) -> Result<&str> {
    let name = require(body, "username", Kind::String)?.as_str().unwrap_or_default();
    if name.len() > MAX_NAME {
        return Err(Refusal::invalid(format!("Invalid element (username is longer than {MAX_NAME} bytes)")));
    }
    Ok(name)
}

/// A name as a part of a file's name, which has no room for all of a long one.
fn plain(name: &str) -> String {
    let plain = |c: char| if c == '/' || c.is_control() { '_' } else { c };
    name.chars().take(NAME_IN_FILE).map(plain).collect()
}

/// The two of a call share a worker.
fn affinity(one: HandleId, other: HandleId) -> String {
    let (first, second) = if one < other { (one, other) } else { (other, one) };
    format!("call {first} {second}")
}

/// What event handlers are told of the end of a call.
fn hangup_notice(reason: &str) -> Value {
    json!({ "event": "hangup", "reason": reason })
}

fn event(result: Value) -> Value {
    json!({ "videocall": "event", "result": result })
}

impl Plugin for VideoCall {
    fn about(&self) -> About {
        About {
            package: "janus.plugin.videocall",
            name: "JANUS VideoCall plugin",
            author: "The Portunus authors",
            description: "Calls between two users who have registered their names.",
            version: 6,
            version_string: "0.0.6",
        }
    }

    fn attach(&mut self, _: &mut Cx, h: HandleId) -> std::result::Result<(), PluginError> {
        self.users.insert(h, User::default());
        Ok(())
    }

    fn message(&mut self, cx: &mut Cx, h: HandleId, message: Message) -> Reply {
        self.serve(cx, h, message);
        Reply::Ack(None)
    }

    fn media(&mut self, cx: &mut Cx, h: HandleId, happened: &MediaEvent) {
        let peer = self.peer(h);
        let Some(user) = self.users.get_mut(&h) else { return };
        let media = &mut user.media;
        match happened {
            MediaEvent::Data(message) => {
                if let Some(peer) = peer {
                    cx.data(peer, message.clone());
                }
            }
            MediaEvent::Layer { codec, change, .. } => cx.push(h, media.on_layer(codec, *change)),
            MediaEvent::PeerBitrate(bitrate) => media.peer_bitrate = *bitrate,
            MediaEvent::SlowLink { kind, uplink, .. } => {
                let video = *kind == MediaKind::Video;
                if media.minds_loss(video, *uplink) {
                    media.slow_links += 1;
                    cx.push(h, slow_link(video, media.bitrate));
                }
            }
            MediaEvent::Recording { mid, news } => {
                if *news == RecordingNews::Resumed {
                    // What is missing cannot be made up for, and what follows cannot be seen without it.
                    cx.keyframe(RouteEnd::new(h, mid));
                }
                let notice = match media.tracks.on_recording(mid, news) {
                    Told::Nothing => return,
                    Told::Renamed => media.notice(),
                    Told::Event(event) => event,
                };
                self.notify(cx, h, notice);
            }
            MediaEvent::Hangup { .. } => self.part(cx, h),
            _ => {}
        }
    }

    fn admin(&mut self, _: &mut Cx, _: &Object) -> Option<Reply> {
        None
    }

    fn query(&self, h: HandleId) -> Value {
        let Some(user) = self.users.get(&h) else { return json!({}) };
        user.query(user.peer.and_then(|peer| self.users.get(&peer)))
    }

    /// Who is in no call.
    fn is_idle(&self, h: HandleId) -> bool {
        self.peer(h).is_none()
    }

    fn tick(&mut self, _: &mut Cx) {}

    fn detach(&mut self, cx: &mut Cx, h: HandleId) {
        self.part(cx, h);
        if let Some(name) = self.users.remove(&h).and_then(|user| user.name) {
            self.names.remove(&name);
        }
    }
}

fn slow_link(video: bool, bitrate: u32) -> Value {
    let mut o = Object::new();
    o.insert("event".into(), "slow_link".into());
    o.insert("media".into(), if video { "video" } else { "audio" }.into());
    if video {
        o.insert("current-bitrate".into(), bitrate.into());
    }
    event(o.into())
}

#[cfg(test)]
mod tests;
