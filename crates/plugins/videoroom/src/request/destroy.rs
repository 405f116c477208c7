//! `destroy`: a room ends, for everybody in it.

use super::Done;
use super::create::{Pending, changed};
use crate::body::{check, flag};
use crate::id::Id;
use crate::publisher::Gone;
use crate::room::destroyed;
use crate::{Answer, VideoRoom};
use portunus_api::{Kind, Object};
use portunus_plugin::{Cx, HandleId};

impl VideoRoom {
    pub(super) fn destroy(&mut self, cx: &mut Cx, asker: Option<HandleId>, o: &Object) -> Answer<Done> {
        let id = self.room_id(o)?;
        check(o, &[("permanent", Kind::Boolean, false)])?;
        self.room_with_secret(o)?;
        if flag(o, "permanent") == Some(true) {
            return Ok(Done::Later(self.store(cx, &id, None, Pending::Destroy(id.clone(), asker))));
        }
        self.end_room(cx, asker, &id);
        Ok(Done::Now(changed("destroyed", &id, false)))
    }

    pub(super) fn end_room(&mut self, cx: &mut Cx, asker: Option<HandleId>, id: &Id) {
        self.close_room(cx, id);
        self.notify(cx, asker, "destroyed", id, &[]);
    }

    /// Tells everybody and closes their PeerConnections.
    pub(super) fn close_room(&mut self, cx: &mut Cx, id: &Id) {
        let Some(room) = self.rooms.remove(id) else { return };
        let event = destroyed(id);
        for h in room.participants.values() {
            cx.push(*h, event.clone());
            if let Some(publisher) = self.publishers.get_mut(h) {
                publisher.gone = Some(Gone::Left);
                publisher.started = false;
                publisher.end_streams(cx);
            }
        }
        // Subscribers hear nothing, as with Janus, and keep a PeerConnection on which nothing comes.
        for h in &room.subscribers {
            if let Some(subscriber) = self.subscribers.get_mut(h) {
                subscriber.gone = Some(Gone::Left);
                subscriber.remove(cx, |_, _| true);
            }
        }
        for h in room.participants.values() {
            cx.hangup(*h);
        }
        tracing::info!(room = %id, "room destroyed");
    }
}
