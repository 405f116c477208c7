//! `kick` and `moderate`.

use crate::body::{check, flag, text};
use crate::error::{Refusal, code};
use crate::id::Id;
use crate::publisher::Gone;
use crate::room::event;
use crate::{Answer, VideoRoom};
use portunus_api::{Kind, Object, Value, json};
use portunus_plugin::Cx;

impl VideoRoom {
    pub(super) fn kick(&mut self, cx: &mut Cx, o: &Object) -> Answer<Value> {
        let id = self.required_id(o, "id")?;
        check(o, &[("secret", Kind::String, false)])?;
        let found = self.lenient_room_with_secret(o)?;
        let room = found.id.clone();
        if found.dummy.as_ref().is_some_and(|dummy| dummy.id == id) {
            return Err(Refusal::new(code::NO_SUCH_FEED, "Can't kick dummy users"));
        }
        let Some(h) = found.participants.get(&id).copied() else {
            return Err(no_such_user(&id, &room));
        };
        // In the order of Janus 1.4: he hears that he leaves, the others that he was kicked, then he why.
        if let Some(publisher) = self.publishers.get(&h) {
            let mut leaving = event(&room);
            publisher.labels(&mut leaving);
            leaving.insert("leaving".into(), id.to_value());
            cx.push(h, leaving.into());
        }
        self.part(cx, h, Gone::Kicked);
        let mut told = event(&room);
        told.insert("leaving".into(), "ok".into());
        told.insert("reason".into(), "kicked".into());
        cx.push(h, told.into());
        cx.hangup(h);
        Ok(json!({ "videoroom": "success" }))
    }

    pub(super) fn moderate(&mut self, cx: &mut Cx, o: &Object) -> Answer<Value> {
        let id = self.required_id(o, "id")?;
        check(
            o,
            &[("secret", Kind::String, false), ("mid", Kind::String, true), ("mute", Kind::Boolean, true)],
        )?;
        let (mid, mute) = (text(o, "mid").unwrap_or_default(), flag(o, "mute") == Some(true));
        let found = self.lenient_room_with_secret(o)?;
        let room = found.id.clone();
        let Some(h) = found.participants.get(&id).copied() else {
            return Err(no_such_user(&id, &room));
        };
        let stream = self.publishers.get_mut(&h).and_then(|p| p.stream_mut(&mid));
        let Some(stream) = stream.filter(|s| !s.disabled) else {
            return Err(Refusal::new(code::NO_SUCH_FEED, format!("No such stream {mid}")));
        };
        stream.moderated = mute;
        self.flow_feed(cx, &room, &id);
        self.update_recordings(cx, h);
        let word = if mute { "muted" } else { "unmuted" };
        let mut told = event(&room);
        told.insert("id".into(), id.to_value());
        told.insert("mid".into(), mid.as_str().into());
        told.insert("moderation".into(), word.into());
        self.tell_others(cx, &room, None, &told.into());
        let more = [("id", id.to_value()), ("mid", mid.as_str().into()), ("moderation", word.into())];
        self.notify_as(cx, None, "videoroom", "moderated", &room, &more);
        Ok(json!({ "videoroom": "success" }))
    }
}

fn no_such_user(id: &Id, room: &Id) -> Refusal {
    Refusal::new(code::NO_SUCH_FEED, format!("No such user {id} in room {room}"))
}
