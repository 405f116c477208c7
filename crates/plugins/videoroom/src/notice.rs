//! What event handlers are told.

use crate::VideoRoom;
use crate::id::Id;
use portunus_api::{Object, Value};
use portunus_plugin::{Cx, HandleId};

impl VideoRoom {
    /// `{"event": name, "room": N, ...}`
    pub(crate) fn notify(
        &self,
        cx: &mut Cx,
        handle: Option<HandleId>,
        name: &str,
        room: &Id,
        more: &[(&str, Value)],
    ) {
        self.notify_as(cx, handle, "event", name, room, more);
    }

    /// A subscriber has left these streams: each by its feed and its mid.
    pub(crate) fn notify_unsubscribed(
        &self,
        cx: &mut Cx,
        handle: HandleId,
        room: &Id,
        streams: &[(Id, String)],
    ) {
        for (feed, mid) in streams {
            let more = [("feed", feed.to_value()), ("mid", mid.as_str().into())];
            self.notify(cx, Some(handle), "unsubscribed", room, &more);
        }
    }

    /// The same with another word before the name: moderation and talking have `videoroom` there.
    pub(crate) fn notify_as(
        &self,
        cx: &mut Cx,
        handle: Option<HandleId>,
        word: &str,
        name: &str,
        room: &Id,
        more: &[(&str, Value)],
    ) {
        if !self.settings.events {
            return;
        }
        let mut o = Object::new();
        o.insert(word.into(), name.into());
        o.insert("room".into(), room.to_value());
        for (key, value) in more {
            o.insert((*key).into(), value.clone());
        }
        cx.notify(handle, o.into());
    }
}
