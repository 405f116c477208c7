//! `join` and `joinandconfigure`: a handle becomes a publisher or a subscriber of a room.

use super::{Call, publish, subscribe};
use crate::body::{Field, check, check_secret, flag, number, text};
use crate::error::{Refusal, code};
use crate::id::Id;
use crate::publisher::{Publisher, Told};
use crate::room::{event_with, no_such_room};
use crate::subscriber::Subscriber;
use crate::{Answer, PACKAGE, VideoRoom};
use portunus_api::token::SignedToken;
use portunus_api::{Kind, Object, Value};
use portunus_plugin::Cx;

/// Participants and subscribers of one room, each.
const MAX_IN_ROOM: usize = 100_000;

const PUBLISHER: [Field; 2] = [("display", Kind::String, false), ("token", Kind::String, false)];

const SUBSCRIBER: [Field; 12] = [
    ("token", Kind::String, false),
    ("private_id", Kind::PositiveInteger, false),
    ("streams", Kind::Array, false),
    ("autoupdate", Kind::Boolean, false),
    ("audio", Kind::Boolean, false),
    ("video", Kind::Boolean, false),
    ("data", Kind::Boolean, false),
    ("offer_audio", Kind::Boolean, false),
    ("offer_video", Kind::Boolean, false),
    ("offer_data", Kind::Boolean, false),
    ("substream", Kind::PositiveInteger, false),
    ("temporal", Kind::PositiveInteger, false),
];

impl VideoRoom {
    pub(super) fn join(&mut self, cx: &mut Cx, call: &Call<'_>, configure: bool) -> Answer {
        let o = call.body;
        let id = self.room_id(o)?;
        check(o, &[("ptype", Kind::String, true)])?;
        let Some(room) = self.rooms.get(&id) else { return Err(no_such_room(&id)) };
        if room.config.signed_tokens {
            self.check_token(cx, o, &id)?;
        }
        check_secret(o, "pin", room.config.pin.as_deref())?;
        match text(o, "ptype").unwrap_or_default().to_ascii_lowercase().as_str() {
            "publisher" => self.join_as_publisher(cx, call, id, configure || call.jsep.is_some()),
            "subscriber" => self.join_as_subscriber(cx, call, id),
            _ => Err(Refusal::invalid("Invalid element (ptype)")),
        }
    }

    /// Signed room tokens: realm is the package, the room a descriptor.
    fn check_token(&self, cx: &Cx, o: &Object, id: &Id) -> Answer {
        check(o, &[("token", Kind::String, false)])?;
        let token = o.get("token").and_then(Value::as_str).unwrap_or_default();
        let secret = self.settings.token_secret.as_deref().unwrap_or_default();
        let signed = SignedToken::verify(token, secret, PACKAGE, cx.unix().as_secs());
        match signed.is_some_and(|t| t.allows(&format!("room={id}"))) {
            true => Ok(()),
            false => Err(Refusal::unauthorized("wrong token")),
        }
    }

    fn join_as_publisher(&mut self, cx: &mut Cx, call: &Call<'_>, room: Id, configure: bool) -> Answer {
        let o = call.body;
        check(o, &PUBLISHER)?;
        let wanted = self.optional_id(o, "id")?;
        if configure {
            publish::check_types(o, call.jsep.is_some())?;
        }
        let Some(found) = self.rooms.get(&room) else { return Err(no_such_room(&room)) };
        let token = o.get("token").and_then(Value::as_str);
        if found.check_allowed && !token.is_some_and(|t| found.allowed.contains(t)) {
            return Err(Refusal::unauthorized("not in the allowed list"));
        }
        let wanted = wanted.filter(|id| *id != Id::Number(0));
        let is_taken = |id: &Id| {
            found.participants.contains_key(id) || found.dummy.as_ref().is_some_and(|d| d.id == *id)
        };
        if let Some(id) = wanted.as_ref().filter(|id| is_taken(id)) {
            return Err(Refusal::new(code::ID_EXISTS, format!("User ID {id} already exists")));
        }
        if found.participants.len() >= MAX_IN_ROOM {
            return Err(Refusal::new(code::UNKNOWN, "Too many participants"));
        }
        let id = match wanted {
            Some(id) => id,
            None => self.free_user_id(&room),
        };
        let private_id = self.free_private_id(&room);
        let mut publisher = Publisher::new(room.clone(), id.clone(), private_id, Some(call.h));
        publisher.display = text(o, "display");
        publisher.metadata = o.get("metadata").filter(|m| m.is_object()).cloned();
        publisher.audio_active_packets = number(o, "audio_active_packets").filter(|n| *n > 0);
        publisher.audio_level_average =
            number(o, "audio_level_average").and_then(|n| u8::try_from(n).ok()).filter(|n| *n > 0);
        self.enter(cx, call, publisher);
        let mut joined = self.joined(call, &room, o);
        self.notify_joined(cx, call, &room);
        if configure {
            return self.configure_publisher(cx, call, &mut joined);
        }
        call.answer(cx, joined.into());
        Ok(())
    }

    fn free_user_id(&mut self, room: &Id) -> Id {
        let kind = self.ids();
        loop {
            let id = kind.make(&mut self.random);
            if self.feed(room, &id).is_none() {
                return id;
            }
        }
    }

    fn free_private_id(&mut self, room: &Id) -> u32 {
        loop {
            let id = u32::try_from((self.random)() >> 32).unwrap_or(0);
            let taken = self.rooms.get(room).is_some_and(|r| r.private_ids.contains_key(&id));
            if id > 0 && !taken {
                return id;
            }
        }
    }

    fn enter(&mut self, cx: &mut Cx, call: &Call<'_>, publisher: Publisher) {
        let Some(room) = self.rooms.get_mut(&publisher.room) else { return };
        room.participants.insert(publisher.id.clone(), call.h);
        room.private_ids.insert(publisher.private_id, call.h);
        if room.config.notify_joining {
            let mut who = Object::new();
            publisher.name(&mut who);
            let event = event_with(&room.id, "joining", Value::Object(who));
            for other in room.others(call.h) {
                cx.push(other, event.clone());
            }
        }
        self.publishers.insert(call.h, publisher);
    }

    /// What somebody who joined is told of the room.
    fn joined(&self, call: &Call<'_>, room: &Id, asked: &Object) -> Object {
        let mut o = Object::new();
        o.insert("videoroom".into(), "joined".into());
        o.insert("room".into(), room.to_value());
        let (Some(found), Some(me)) = (self.rooms.get(room), self.publishers.get(&call.h)) else {
            return o;
        };
        o.insert("description".into(), found.config.description.as_str().into());
        o.insert("id".into(), me.id.to_value());
        o.insert("private_id".into(), me.private_id.into());
        let others: Vec<&Publisher> =
            found.others(call.h).iter().filter_map(|h| self.publishers.get(h)).collect();
        let active = found.dummy.as_deref().into_iter().chain(others.iter().copied());
        let active = active.filter(|p| p.started).map(|p| p.describe(Told::WithTalking)).collect();
        o.insert("publishers".into(), Value::Array(active));
        for name in ["audio_active_packets", "audio_level_average"] {
            if let Some(n) = asked.get(name).and_then(Value::as_i64).filter(|n| *n != 0) {
                o.insert(name.into(), n.into());
            }
        }
        if found.config.notify_joining {
            let idle = others.iter().filter(|p| !p.started).map(|p| {
                let mut who = Object::new();
                p.name(&mut who);
                Value::Object(who)
            });
            o.insert("attendees".into(), idle.collect());
        }
        o
    }

    fn notify_joined(&self, cx: &mut Cx, call: &Call<'_>, room: &Id) {
        let Some(me) = self.publishers.get(&call.h) else { return };
        let mut more = vec![("id", me.id.to_value()), ("private_id", me.private_id.into())];
        if let Some(display) = &me.display {
            more.push(("display", display.as_str().into()));
        }
        self.notify(cx, Some(call.h), "joined", room, &more);
    }

    fn join_as_subscriber(&mut self, cx: &mut Cx, call: &Call<'_>, room: Id) -> Answer {
        let o = call.body;
        if call.jsep.is_some() {
            return Err(Refusal::new(code::INVALID_REQUEST, "Can't send an offer to create subscribers"));
        }
        check(o, &SUBSCRIBER)?;
        let streams = crate::body::list(o, "streams");
        let legacy = streams.is_empty();
        let missing = "At least one between 'streams' and 'feed' must be specified";
        if legacy && self.settings.string_ids && !o.contains_key("feed") {
            return Err(Refusal::new(code::MISSING_ELEMENT, missing));
        }
        let private_id = number(o, "private_id").unwrap_or(0);
        let wanted = match legacy {
            true => self.legacy_wanted(&room, o)?,
            false => self.wanted(&room, streams, subscribe::At::Join)?,
        };
        let Some(found) = self.rooms.get(&room) else { return Err(no_such_room(&room)) };
        if found.config.require_pvtid && !found.private_ids.contains_key(&private_id) {
            return Err(Refusal::unauthorized("this room requires a valid private_id"));
        }
        if found.subscribers.len() >= MAX_IN_ROOM {
            return Err(Refusal::new(code::UNKNOWN, "Too many subscribers"));
        }
        let mut subscriber = Subscriber::new(call.h, room.clone());
        subscriber.private_id = private_id;
        subscriber.use_msid = flag(o, "use_msid") == Some(true);
        subscriber.autoupdate = flag(o, "autoupdate").unwrap_or(true);
        subscriber.close_pc = legacy && flag(o, "close_pc") == Some(true);
        self.check_e2ee(&mut subscriber, &wanted)?;
        for one in &wanted {
            if let Some(publisher) = self.feed(&room, &one.feed) {
                for mid in &one.mids {
                    subscriber.add(publisher, Some(mid), &one.wishes);
                }
            }
        }
        if subscriber.streams.is_empty() {
            return Err(Refusal::new(code::INVALID_SDP, "Can't offer an SDP with no stream"));
        }
        let mut attached = Object::new();
        attached.insert("videoroom".into(), "attached".into());
        attached.insert("room".into(), room.to_value());
        if let Some(feed) = wanted.first().filter(|_| legacy).and_then(|w| self.feed(&room, &w.feed)) {
            attached.insert("id".into(), feed.id.to_value());
            attached.insert("warning".into(), "deprecated_api".into());
            feed.labels(&mut attached);
        }
        let summary = self.summary(&subscriber);
        attached.insert("streams".into(), summary.clone());
        if let Some(found) = self.rooms.get_mut(&room) {
            found.subscribers.insert(call.h);
        }
        self.subscribers.insert(call.h, subscriber);
        let more = [("streams", summary), ("private_id", private_id.into())];
        self.notify(cx, Some(call.h), "subscribing", &room, &more);
        self.offer(cx, call.h, Some(call.transaction.to_owned()), attached.into(), false);
        Ok(())
    }
}
