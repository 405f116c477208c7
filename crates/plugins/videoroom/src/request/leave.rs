//! `leave` and `unpublish` of a publisher, and every other way out of a room.

use super::Call;
use crate::error::{Refusal, code};
use crate::id::Id;
use crate::publisher::Gone;
use crate::room::{event, event_with};
use crate::{Answer, VideoRoom};
use portunus_plugin::{Cx, HandleId};

impl VideoRoom {
    pub(super) fn leave_room(&mut self, cx: &mut Cx, call: &Call<'_>) -> Answer {
        let Some(publisher) = self.publishers.get(&call.h) else { return Ok(()) };
        call.answer(cx, event_with(&publisher.room, "leaving", "ok"));
        // The PeerConnection stays until the client closes it, as with Janus; nobody receives from it any more.
        self.part(cx, call.h, Gone::Left);
        Ok(())
    }

    /// The others hear of it twice, as with Janus: now, and when the PeerConnection is closed.
    pub(super) fn unpublish(&mut self, cx: &mut Cx, call: &Call<'_>) -> Answer {
        let Some(publisher) = self.publishers.get(&call.h) else { return Ok(()) };
        if !publisher.started {
            return Err(Refusal::new(code::NOT_PUBLISHED, "Can't unpublish, not published"));
        }
        call.answer(cx, event_with(&publisher.room, "unpublished", "ok"));
        self.end_feed(cx, call.h);
        cx.hangup(call.h);
        Ok(())
    }

    /// A feed ends: the others hear of it, subscribers lose its streams. Its publisher stays in the room.
    pub(crate) fn end_feed(&mut self, cx: &mut Cx, h: HandleId) {
        let Some(publisher) = self.publishers.get_mut(&h).filter(|p| p.gone.is_none()) else { return };
        let was_published = std::mem::take(&mut publisher.started);
        publisher.end_streams(cx);
        publisher.e2ee = false;
        let (room, id) = (publisher.room.clone(), publisher.id.clone());
        let mut told = event(&room);
        publisher.labels(&mut told);
        told.insert("unpublished".into(), id.to_value());
        self.tell_others(cx, &room, Some(h), &told.into());
        if was_published {
            self.notify(cx, None, "unpublished", &room, &[("id", id.to_value())]);
        }
        self.drop_feed(cx, &room, &id);
    }

    /// A participant is in his room no more.
    pub(crate) fn part(&mut self, cx: &mut Cx, h: HandleId, how: Gone) {
        let Some(publisher) = self.publishers.get_mut(&h).filter(|p| p.gone.is_none()) else { return };
        publisher.gone = Some(how);
        publisher.started = false;
        publisher.end_streams(cx);
        let (room, id) = (publisher.room.clone(), publisher.id.clone());
        let (private_id, word) =
            (publisher.private_id, if how == Gone::Kicked { "kicked" } else { "leaving" });
        let mut told = event(&room);
        publisher.labels(&mut told);
        told.insert(word.into(), id.to_value());
        self.tell_others(cx, &room, Some(h), &told.into());
        self.notify(cx, None, word, &room, &[("id", id.to_value())]);
        self.drop_feed(cx, &room, &id);
        if let Some(found) = self.rooms.get_mut(&room) {
            found.participants.remove(&id);
            found.private_ids.remove(&private_id);
        }
    }

    /// Subscribers lose a feed's streams, and are offered what is left.
    fn drop_feed(&mut self, cx: &mut Cx, room: &Id, feed: &Id) {
        for h in self.subscribers_of(room, feed) {
            let Some(subscriber) = self.subscribers.get_mut(&h) else { continue };
            subscriber.remove_feed(cx, feed);
            if subscriber.close_pc && !subscriber.has_sources() {
                cx.hangup(h);
            } else if subscriber.autoupdate {
                self.renegotiate(cx, h, None, true);
            }
        }
    }

    /// The handle goes away.
    pub(crate) fn leave_for_good(&mut self, cx: &mut Cx, h: HandleId) {
        if self.publishers.contains_key(&h) {
            self.end_feed(cx, h);
            self.part(cx, h, Gone::Left);
            self.publishers.remove(&h);
        }
        if let Some(subscriber) = self.subscribers.remove(&h) {
            if subscriber.gone.is_none() {
                self.notify_unsubscribed(cx, h, &subscriber.room, &subscriber.active());
            }
            if let Some(room) = self.rooms.get_mut(&subscriber.room) {
                room.subscribers.remove(&h);
            }
        }
    }
}
