//! `start`, `pause` and a subscriber's `leave`.

use super::Call;
use crate::publisher::Gone;
use crate::room::event_with;
use crate::{Answer, VideoRoom};
use portunus_plugin::{Cx, JsepKind};

impl VideoRoom {
    /// The answer to an offer, or the end of a pause, or both.
    pub(super) fn start(&mut self, cx: &mut Cx, call: &Call<'_>) -> Answer {
        let Some(subscriber) = self.subscribers.get_mut(&call.h) else { return Ok(()) };
        subscriber.paused = false;
        if let Some(answer) = call.jsep.filter(|j| j.kind == JsepKind::Answer) {
            subscriber.on_answer(&answer.description);
        }
        let again = subscriber.pending_update && !subscriber.pending_offer && subscriber.gone.is_none();
        call.answer(cx, event_with(&subscriber.room, "started", "ok"));
        self.flow(cx, call.h);
        if again {
            self.renegotiate(cx, call.h, None, true);
        }
        Ok(())
    }

    pub(super) fn pause(&mut self, cx: &mut Cx, call: &Call<'_>) -> Answer {
        let Some(subscriber) = self.subscribers.get_mut(&call.h) else { return Ok(()) };
        subscriber.paused = true;
        call.answer(cx, event_with(&subscriber.room, "paused", "ok"));
        self.flow(cx, call.h);
        Ok(())
    }

    pub(super) fn leave_subscription(&mut self, cx: &mut Cx, call: &Call<'_>) -> Answer {
        let Some(subscriber) = self.subscribers.get_mut(&call.h) else { return Ok(()) };
        call.answer(cx, event_with(&subscriber.room, "left", "ok"));
        if subscriber.gone.replace(Gone::Left).is_none() {
            let (room, had) = (subscriber.room.clone(), subscriber.active());
            subscriber.remove(cx, |_, _| true);
            self.notify_unsubscribed(cx, call.h, &room, &had);
            let Some(subscriber) = self.subscribers.get(&call.h) else { return Ok(()) };
            if let Some(room) = self.rooms.get_mut(&subscriber.room) {
                room.subscribers.remove(&call.h);
            }
        }
        cx.hangup(call.h);
        Ok(())
    }
}
