//! The requests: which there are, who may ask, and where each is served.

mod allowed;
mod configure;
mod create;
mod destroy;
mod edit;
mod forward;
mod join;
mod leave;
mod list;
mod moderation;
mod playback;
mod publish;
mod recording;
mod remotes;
mod subscribe;
mod switch;

pub(crate) use create::Pending;

use crate::body::{self, Field, check};
use crate::error::{Refusal, code};
use crate::id::{Id, IdKind};
use crate::room::{Room, no_such_room};
use crate::{Answer, VideoRoom};
use portunus_api::{Kind, Object, Value, require};
use portunus_plugin::{Cx, HandleId, Message, RemoteJsep, Reply, Ticket};

/// What a synchronous request answers.
pub(crate) enum Done {
    /// This, at once.
    Now(Value),
    /// When the file is written, or a host is found.
    Later(Ticket),
}

/// A request that is answered by an event.
pub(crate) struct Call<'a> {
    pub(crate) h: HandleId,
    pub(crate) transaction: &'a str,
    pub(crate) body: &'a Object,
    pub(crate) jsep: Option<&'a RemoteJsep>,
}

impl Call<'_> {
    /// Answers the request.
    pub(crate) fn answer(&self, cx: &mut Cx, data: Value) {
        cx.answer(self.h, self.transaction.to_owned(), data, None);
    }
}

/// Requests answered by events.
const ASYNCHRONOUS: [&str; 12] = [
    "join",
    "joinandconfigure",
    "configure",
    "publish",
    "unpublish",
    "start",
    "pause",
    "switch",
    "subscribe",
    "unsubscribe",
    "update",
    "leave",
];

impl VideoRoom {
    /// Any request of a handle.
    pub(crate) fn serve(&mut self, cx: &mut Cx, h: HandleId, message: Message) -> Reply {
        let Message { transaction, body, jsep } = message;
        let name = match require(&body, "request", Kind::String) {
            Ok(name) => name.as_str().unwrap_or_default().to_owned(),
            Err(e) => return Reply::Now(Refusal::from(e).to_value()),
        };
        let request = name.to_ascii_lowercase();
        if !ASYNCHRONOUS.contains(&request.as_str()) {
            return self.serve_now(cx, Some(h), &name, &request, &body);
        }
        let call = Call { h, transaction: &transaction, body: &body, jsep: jsep.as_ref() };
        if let Err(refusal) = self.serve_call(cx, &name, &request, &call) {
            call.answer(cx, refusal.to_value());
        }
        Reply::Ack(None)
    }

    /// A request of the Admin API: the synchronous ones.
    pub(crate) fn serve_admin(&mut self, cx: &mut Cx, body: &Object) -> Reply {
        match require(body, "request", Kind::String) {
            Ok(name) => {
                let name = name.as_str().unwrap_or_default();
                self.serve_now(cx, None, name, &name.to_ascii_lowercase(), body)
            }
            Err(e) => Reply::Now(Refusal::from(e).to_value()),
        }
    }

    /// `asker` is nobody for the Admin API.
    fn serve_now(
        &mut self,
        cx: &mut Cx,
        asker: Option<HandleId>,
        name: &str,
        request: &str,
        body: &Object,
    ) -> Reply {
        let done = match request {
            "create" => self.create(cx, asker, body),
            "edit" => self.edit(cx, asker, body),
            "destroy" => self.destroy(cx, asker, body),
            "list" => self.list(body).map(Done::Now),
            "exists" => self.exists(body).map(Done::Now),
            "allowed" => self.allowed(body).map(Done::Now),
            "kick" => self.kick(cx, body).map(Done::Now),
            "moderate" => self.moderate(cx, body).map(Done::Now),
            "listparticipants" => self.list_participants(body).map(Done::Now),
            "enable_recording" => self.enable_recording(cx, body).map(Done::Now),
            "listforwarders" => self.list_forwarders(body).map(Done::Now),
            "rtp_forward" => self.rtp_forward(cx, body),
            "stop_rtp_forward" => self.stop_rtp_forward(cx, body).map(Done::Now),
            "listremotes" => self.list_remotes(body).map(Done::Now),
            "publish_remotely"
            | "unpublish_remotely"
            | "add_remote_publisher"
            | "update_remote_publisher"
            | "remove_remote_publisher" => self.remote_publishers(body, request).map(Done::Now),
            _ => Err(Refusal::new(code::INVALID_REQUEST, format!("Unknown request '{name}'"))),
        };
        match done {
            Ok(Done::Now(value)) => Reply::Now(value),
            Ok(Done::Later(ticket)) => Reply::Later(ticket),
            Err(refusal) => Reply::Now(refusal.to_value()),
        }
    }

    fn serve_call(&mut self, cx: &mut Cx, name: &str, request: &str, call: &Call<'_>) -> Answer {
        if self.publishers.contains_key(&call.h) {
            return self.serve_publisher(cx, name, request, call);
        }
        if self.subscribers.contains_key(&call.h) {
            return self.serve_subscriber(cx, name, request, call);
        }
        match request {
            "join" | "joinandconfigure" => self.join(cx, call, request == "joinandconfigure"),
            _ => Err(Refusal::new(code::JOIN_FIRST, "Invalid request on unconfigured participant")),
        }
    }

    fn serve_publisher(&mut self, cx: &mut Cx, name: &str, request: &str, call: &Call<'_>) -> Answer {
        let Some(publisher) = self.publishers.get(&call.h) else { return Ok(()) };
        let gone = publisher.gone;
        match (request, gone) {
            ("join" | "joinandconfigure", Some(_)) => {
                Err(Refusal::new(code::ALREADY_JOINED, "Not in a room (create a new handle)"))
            }
            ("join" | "joinandconfigure", None) => {
                Err(Refusal::new(code::ALREADY_JOINED, "Already in as a publisher on this handle"))
            }
            ("configure" | "publish", Some(crate::publisher::Gone::Kicked)) => Err(kicked()),
            (_, Some(_)) => Err(Refusal::room_gone()),
            ("configure" | "publish", None) => self.publish(cx, call, request == "publish"),
            ("unpublish", None) => self.unpublish(cx, call),
            ("leave", None) => self.leave_room(cx, call),
            _ => Err(Refusal::new(code::INVALID_REQUEST, format!("Unknown request '{name}'"))),
        }
    }

    fn serve_subscriber(&mut self, cx: &mut Cx, name: &str, request: &str, call: &Call<'_>) -> Answer {
        let Some(subscriber) = self.subscribers.get(&call.h) else { return Ok(()) };
        if call.jsep.is_some_and(|j| j.kind == portunus_plugin::JsepKind::Offer) {
            return Err(Refusal::new(code::INVALID_SDP_TYPE, "Only publishers send offers"));
        }
        match (request, subscriber.gone) {
            ("join", _) => {
                Err(Refusal::new(code::ALREADY_JOINED, "Already in as a subscriber on this handle"))
            }
            ("configure", Some(crate::publisher::Gone::Kicked)) => Err(kicked()),
            ("start", _) => self.start(cx, call),
            ("pause", _) => self.pause(cx, call),
            ("leave", _) => self.leave_subscription(cx, call),
            ("subscribe" | "unsubscribe" | "update" | "switch" | "configure", Some(_)) => {
                Err(Refusal::room_gone())
            }
            ("subscribe", None) => self.subscribe(cx, call),
            ("unsubscribe", None) => self.unsubscribe(cx, call),
            ("update", None) => self.update(cx, call),
            ("switch", None) => self.switch(cx, call),
            ("configure", None) => self.configure_subscription(cx, call),
            _ => Err(Refusal::new(code::INVALID_REQUEST, format!("Unknown request '{name}'"))),
        }
    }

    /// The `room` of a request: its id.
    ///
    /// # Errors
    /// 429 without it, 430 if it is of another type.
    pub(crate) fn room_id(&self, o: &Object) -> Answer<Id> {
        self.required_id(o, "room")
    }

    /// An id that must be there.
    pub(crate) fn required_id(&self, o: &Object, name: &'static str) -> Answer<Id> {
        let field: Field = (name, self.ids().json(), true);
        check(o, &[field])?;
        let id = o.get(name).and_then(|v| self.ids().read(v));
        id.ok_or_else(|| Refusal::invalid(format!("Invalid element ({name} is too long)")))
    }

    /// An id that may be there.
    pub(crate) fn optional_id(&self, o: &Object, name: &'static str) -> Answer<Option<Id>> {
        match o.contains_key(name) {
            true => self.required_id(o, name).map(Some),
            false => Ok(None),
        }
    }

    /// The room of a request, which must be there; with the room's secret, if it has one.
    pub(crate) fn room_with_secret(&self, o: &Object) -> Answer<&Room> {
        let room = self.room_of(o)?;
        body::check_secret(o, "secret", room.config.secret.as_deref())?;
        Ok(room)
    }

    /// The same for the requests where Janus takes whatever stands for the id: anything but a number is 0 there.
    pub(crate) fn lenient_room_with_secret(&self, o: &Object) -> Answer<&Room> {
        let id = match (self.ids(), o.get("room")) {
            (IdKind::Numbers, room) => Id::Number(room.and_then(lenient_number).unwrap_or(0)),
            (IdKind::Texts, _) => self.room_id(o)?,
        };
        let room = self.rooms.get(&id).ok_or_else(|| no_such_room(&id))?;
        body::check_secret(o, "secret", room.config.secret.as_deref())?;
        Ok(room)
    }

    /// The room of a request, which must be there.
    pub(crate) fn room_of(&self, o: &Object) -> Answer<&Room> {
        let id = self.room_id(o)?;
        self.rooms.get(&id).ok_or_else(|| no_such_room(&id))
    }
}

/// A negative number as Janus reads it: the unsigned one with the same bits.
fn lenient_number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_i64().map(i64::cast_unsigned))
}

fn kicked() -> Refusal {
    Refusal::new(code::UNAUTHORIZED, "Unauthorized, you have been kicked")
}
