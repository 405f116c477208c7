//! `switch`: another feed on the same m-lines, without another offer.

use super::Call;
use super::subscribe::{At, is_usable, no_such_mid, wishes};
use crate::body::{check, list, objects, text};
use crate::error::Refusal;
use crate::id::Id;
use crate::room::event;
use crate::subscriber::{Source, Subscriber, Wishes};
use crate::{Answer, VideoRoom};
use portunus_api::Kind;
use portunus_plugin::Cx;
use portunus_sdp::MediaKind;

/// One m-line and what it shall carry.
struct Change {
    sub_mid: String,
    source: Source,
    wishes: Wishes,
}

impl VideoRoom {
    pub(super) fn switch(&mut self, cx: &mut Cx, call: &Call<'_>) -> Answer {
        let o = call.body;
        check(o, &[("streams", Kind::Array, false)])?;
        let Some(subscriber) = self.subscribers.get(&call.h) else { return Ok(()) };
        let room = subscriber.room.clone();
        let changes = match list(o, "streams").is_empty() {
            true => self.legacy_changes(call, subscriber)?,
            false => self.changes(call, &room)?,
        };
        let mut n = 0;
        for change in changes {
            n += usize::from(self.switch_one(call, &room, change));
        }
        self.flow(cx, call.h);
        let Some(subscriber) = self.subscribers.get(&call.h) else { return Ok(()) };
        let summary = self.summary(subscriber);
        let mut done = event(&room);
        done.remove("room");
        done.insert("switched".into(), "ok".into());
        done.insert("room".into(), room.to_value());
        done.insert("changes".into(), n.into());
        done.insert("streams".into(), summary);
        call.answer(cx, done.into());
        self.notify(cx, Some(call.h), "switched", &room, &[]);
        Ok(())
    }

    fn changes(&self, call: &Call<'_>, room: &Id) -> Answer<Vec<Change>> {
        let mut changes = Vec::new();
        for o in objects(call.body, "streams") {
            check(&o, &[("mid", Kind::String, true), ("sub_mid", Kind::String, true)])?;
            let feed = self.required_id(&o, "feed")?;
            let publisher = self.active_feed(room, &feed)?;
            let mid = text(&o, "mid").unwrap_or_default();
            if !publisher.stream(&mid).is_some_and(is_usable) {
                return Err(no_such_mid(&mid, &feed));
            }
            changes.push(Change {
                sub_mid: text(&o, "sub_mid").unwrap_or_default(),
                source: Source { feed, mid },
                wishes: wishes(&o, At::Join).unwrap_or_default(),
            });
        }
        Ok(changes)
    }

    /// All of one other feed: each m-line gets that feed's next stream of its kind.
    fn legacy_changes(&self, call: &Call<'_>, subscriber: &Subscriber) -> Answer<Vec<Change>> {
        let asked = call.body.get("feed").and_then(|v| self.ids().read(v));
        if asked.is_none() && self.settings.string_ids {
            let text = "At least one between 'streams' and 'feed' must be specified";
            return Err(Refusal::new(crate::error::code::MISSING_ELEMENT, text));
        }
        let feed = asked.unwrap_or(Id::Number(0));
        let publisher = self.active_feed(&subscriber.room, &feed)?;
        let mut taken = vec![false; publisher.streams.len()];
        let mut changes = Vec::new();
        for line in subscriber.streams.iter().filter(|l| l.kind != MediaKind::Data) {
            let free = publisher
                .streams
                .iter()
                .zip(&taken)
                .position(|(stream, taken)| !taken && is_usable(stream) && stream.kind == line.kind);
            let Some(place) = free else { continue };
            let Some((stream, taken)) = publisher.streams.get(place).zip(taken.get_mut(place)) else {
                continue;
            };
            *taken = true;
            let source = Source { feed: feed.clone(), mid: stream.mid.clone() };
            if !line.sources.contains(&source) {
                let wishes = Wishes::default();
                changes.push(Change { sub_mid: line.mid.clone(), source, wishes });
            }
        }
        match changes.is_empty() {
            true => Err(Refusal::invalid("Empty switch list")),
            false => Ok(changes),
        }
    }

    /// Whether the m-line is there, can carry the source, and did not yet.
    fn switch_one(&mut self, call: &Call<'_>, room: &Id, change: Change) -> bool {
        let stream = self.feed(room, &change.source.feed).and_then(|p| p.stream(&change.source.mid));
        let Some((kind, format)) = stream.map(|s| (s.kind.clone(), s.format.clone())) else { return false };
        let e2ee = self.feed(room, &change.source.feed).is_some_and(|p| p.e2ee);
        let Some(subscriber) = self.subscribers.get_mut(&call.h) else { return false };
        if subscriber.e2ee.is_some_and(|own| own != e2ee) {
            return false;
        }
        let Some(line) = subscriber.stream_mut(&change.sub_mid) else { return false };
        let fits = line.kind == kind && kind.is_rtp() && line.format.codec == format.codec;
        // An idle m-line was offered as inactive: nothing may flow on it before the next offer.
        if !fits || line.sources.is_empty() || line.sources.contains(&change.source) {
            return false;
        }
        line.switch(change.source, format, &change.wishes);
        true
    }
}
