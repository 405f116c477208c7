//! `subscribe`, `unsubscribe` and `update`: streams come to a subscriber's PeerConnection and go.

use super::Call;
use crate::body::{Field, check, flag, layer, objects, text};
use crate::error::{Refusal, code};
use crate::id::Id;
use crate::publisher::{Publisher, Stream};
use crate::room::event;
use crate::subscriber::{Subscriber, Wishes};
use crate::{Answer, VideoRoom};
use portunus_api::{Kind, Object, Value};
use portunus_plugin::{Cx, HandleId};
use portunus_sdp::MediaKind;

/// Where a list of streams stands: a few elements differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// In `join`, where `send` has no effect.
    Join,
    /// In `subscribe` and `update`.
    Subscribe,
}

/// Streams of one feed that somebody wants.
pub(super) struct Wanted {
    pub(super) feed: Id,
    pub(super) mids: Vec<String>,
    pub(super) wishes: Wishes,
}

/// What a request says about one stream that goes.
struct Unwanted {
    feed: Option<Id>,
    mid: Option<String>,
    sub_mid: Option<String>,
}

const STREAM: [Field; 9] = [
    ("mid", Kind::String, false),
    ("crossrefid", Kind::String, false),
    ("send", Kind::Boolean, false),
    ("substream", Kind::PositiveInteger, false),
    ("temporal", Kind::PositiveInteger, false),
    ("spatial_layer", Kind::PositiveInteger, false),
    ("temporal_layer", Kind::PositiveInteger, false),
    ("min_delay", Kind::Integer, false),
    ("max_delay", Kind::Integer, false),
];

impl VideoRoom {
    pub(super) fn subscribe(&mut self, cx: &mut Cx, call: &Call<'_>) -> Answer {
        check(call.body, &[("streams", Kind::Array, true)])?;
        self.change(cx, call, Some("streams"), None)
    }

    pub(super) fn unsubscribe(&mut self, cx: &mut Cx, call: &Call<'_>) -> Answer {
        check(call.body, &[("streams", Kind::Array, true)])?;
        self.change(cx, call, None, Some("streams"))
    }

    pub(super) fn update(&mut self, cx: &mut Cx, call: &Call<'_>) -> Answer {
        let lists = [("subscribe", Kind::Array, false), ("unsubscribe", Kind::Array, false)];
        check(call.body, &lists)?;
        let has = |name: &'static str| call.body.contains_key(name).then_some(name);
        let (add, remove) = (has("subscribe"), has("unsubscribe"));
        if add.is_none() && remove.is_none() {
            let text = "At least one of either 'subscribe' or 'unsubscribe' must be present";
            return Err(Refusal::new(code::MISSING_ELEMENT, text));
        }
        self.change(cx, call, add, remove)
    }

    /// Everything is checked before anything changes; what goes, goes first.
    fn change(
        &mut self,
        cx: &mut Cx,
        call: &Call<'_>,
        add: Option<&'static str>,
        remove: Option<&'static str>,
    ) -> Answer {
        let Some(subscriber) = self.subscribers.get(&call.h) else { return Ok(()) };
        let room = subscriber.room.clone();
        let list = |name: Option<&'static str>, empty: &str| match name {
            Some(name) if crate::body::list(call.body, name).is_empty() => Err(Refusal::invalid(empty)),
            Some(name) => Ok(crate::body::list(call.body, name)),
            None => Ok(&[][..]),
        };
        let added = list(add, "Empty subscription list")?;
        list(remove, "Empty unsubscription list")?;
        let wanted = self.wanted(&room, added, At::Subscribe)?;
        let unwanted = match remove {
            Some(name) => self.unwanted(call.body, name)?,
            None => Vec::new(),
        };
        let Some(mut subscriber) = self.subscribers.remove(&call.h) else { return Ok(()) };
        let refused = self.check_e2ee(&mut subscriber, &wanted);
        let mut changes = 0;
        if refused.is_ok() {
            for one in &unwanted {
                changes += subscriber.remove(cx, |line, source| {
                    one.sub_mid.as_ref().is_none_or(|mid| *mid == line.mid)
                        && one.feed.as_ref().is_none_or(|feed| *feed == source.feed)
                        && one.mid.as_ref().is_none_or(|mid| *mid == source.mid)
                        && (one.sub_mid.is_some() || one.feed.is_some())
                });
            }
            for one in &wanted {
                if let Some(publisher) = self.feed(&room, &one.feed) {
                    let added = one.mids.iter().map(|mid| subscriber.add(publisher, Some(mid), &one.wishes));
                    changes += added.sum::<usize>();
                }
            }
        }
        self.subscribers.insert(call.h, subscriber);
        refused?;
        self.flow(cx, call.h);
        self.renegotiate(cx, call.h, Some(call.transaction), changes > 0);
        Ok(())
    }

    /// Offers what has changed, now or when the last offer is answered.
    pub(crate) fn renegotiate(&mut self, cx: &mut Cx, h: HandleId, transaction: Option<&str>, changed: bool) {
        let Some(subscriber) = self.subscribers.get_mut(&h) else { return };
        let mut o = event(&subscriber.room);
        let word = if changed && subscriber.pending_offer { "updating" } else { "updated" };
        o.insert("videoroom".into(), word.into());
        if !changed || subscriber.pending_offer {
            subscriber.pending_update |= changed;
            if let Some(transaction) = transaction {
                cx.answer(h, transaction.to_owned(), o.into(), None);
            }
            return;
        }
        let restart = std::mem::take(&mut subscriber.pending_restart);
        subscriber.pending_update = false;
        let (room, private_id) = (subscriber.room.clone(), subscriber.private_id);
        let summary = self.subscribers.get(&h).map(|s| self.summary(s)).unwrap_or_default();
        o.insert("streams".into(), summary.clone());
        self.notify(
            cx,
            Some(h),
            "updated",
            &room,
            &[("streams", summary), ("private_id", private_id.into())],
        );
        self.offer(cx, h, transaction.map(str::to_owned), o.into(), restart);
    }

    /// What the elements of a list want; feeds and mids are there.
    pub(super) fn wanted(&self, room: &Id, list: &[Value], at: At) -> Answer<Vec<Wanted>> {
        let empty = Object::new();
        let mut wanted = Vec::new();
        for value in list {
            let o = value.as_object().unwrap_or(&empty);
            let feed = self.required_id(o, "feed")?;
            check(o, &STREAM)?;
            let wishes = wishes(o, at)?;
            let publisher = self.active_feed(room, &feed)?;
            let mids = match text(o, "mid") {
                Some(mid) if publisher.stream(&mid).is_some_and(is_usable) => vec![mid],
                Some(mid) => return Err(no_such_mid(&mid, &feed)),
                None => mids(publisher, |_| true),
            };
            wanted.push(Wanted { feed, mids, wishes });
        }
        Ok(wanted)
    }

    /// The single feed of clients that know nothing of several streams.
    pub(super) fn legacy_wanted(&self, room: &Id, o: &Object) -> Answer<Vec<Wanted>> {
        let feed = self.required_id(o, "feed")?;
        let publisher = self.active_feed(room, &feed)?;
        let offered = |name: &str| flag(o, name).unwrap_or(true);
        let mids = mids(publisher, |stream| match stream.kind {
            MediaKind::Audio => offered("offer_audio"),
            MediaKind::Video => offered("offer_video"),
            _ => offered("offer_data"),
        });
        // A layer that does not exist is no error here, as it never was.
        let wishes = wishes(o, At::Join).unwrap_or_default();
        Ok(vec![Wanted { feed, mids, wishes }])
    }

    pub(super) fn active_feed(&self, room: &Id, feed: &Id) -> Answer<&Publisher> {
        let found = self.feed(room, feed).filter(|p| p.started);
        found.ok_or_else(|| Refusal::new(code::NO_SUCH_FEED, format!("No such feed ({feed})")))
    }

    fn unwanted(&self, o: &Object, name: &str) -> Answer<Vec<Unwanted>> {
        let mut unwanted = Vec::new();
        for o in objects(o, name) {
            let feed = self.optional_id(&o, "feed")?;
            check(&o, &[("mid", Kind::String, false), ("sub_mid", Kind::String, false)])?;
            unwanted.push(Unwanted { feed, mid: text(&o, "mid"), sub_mid: text(&o, "sub_mid") });
        }
        Ok(unwanted)
    }

    /// Streams that are encrypted end to end and others do not go together.
    pub(super) fn check_e2ee(&self, subscriber: &mut Subscriber, wanted: &[Wanted]) -> Answer {
        if !subscriber.has_sources() {
            subscriber.e2ee = None;
        }
        let before = subscriber.e2ee;
        let mut e2ee = before;
        for one in wanted {
            let Some(publisher) = self.feed(&subscriber.room, &one.feed) else { continue };
            let refusal = match e2ee {
                Some(true) if !publisher.e2ee => "Can't have not end-to-end encrypted feed",
                Some(false) if publisher.e2ee => "Can't have end-to-end encrypted feed",
                _ => {
                    e2ee = Some(publisher.e2ee);
                    continue;
                }
            };
            let text = match before {
                None => "Can't mix normal and end-to-end encrypted subscriptions".to_owned(),
                Some(_) => format!("{refusal} in this subscription ({})", one.feed),
            };
            return Err(Refusal::new(code::INVALID_FEED, text));
        }
        subscriber.e2ee = e2ee;
        Ok(())
    }
}

/// Mids of a publisher's streams that can be subscribed to.
fn mids(publisher: &Publisher, which: impl Fn(&Stream) -> bool) -> Vec<String> {
    let streams = publisher.streams.iter().filter(|s| is_usable(s) && which(s));
    streams.map(|s| s.mid.clone()).collect()
}

pub(super) fn is_usable(stream: &Stream) -> bool {
    !stream.disabled && (stream.kind == MediaKind::Data || stream.format.codec.is_some())
}

pub(super) fn no_such_mid(mid: &str, feed: &Id) -> Refusal {
    Refusal::new(code::NO_SUCH_FEED, format!("No such mid '{mid}' in feed ({feed})"))
}

/// What an element says beside whose stream it is; its types were checked.
pub(super) fn wishes(o: &Object, at: At) -> Answer<Wishes> {
    Ok(Wishes {
        crossrefid: text(o, "crossrefid"),
        send: flag(o, "send").filter(|_| at == At::Subscribe),
        substream: layer(o, "substream", "substream/spatial_layer")?,
        temporal: layer(o, "temporal", "temporal/temporal_layer")?,
        spatial_layer: layer(o, "spatial_layer", "substream/spatial_layer")?,
        temporal_layer: layer(o, "temporal_layer", "temporal/temporal_layer")?,
        fallback: o.get("fallback").and_then(Value::as_u64),
        min_delay: o.get("min_delay").and_then(Value::as_i64),
        max_delay: o.get("max_delay").and_then(Value::as_i64),
    })
}
