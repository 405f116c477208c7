//! A subscriber's `configure`: what he receives of the streams he has.

use super::Call;
use super::subscribe::{At, wishes};
use crate::body::{Field, check, flag, objects, text};
use crate::error::{Refusal, code};
use crate::room::event_with;
use crate::subscriber::Wishes;
use crate::{Answer, VideoRoom};
use portunus_api::{Kind, Object};
use portunus_plugin::Cx;
use portunus_sdp::MediaKind;

const FIELDS: [Field; 6] = [
    ("streams", Kind::Array, false),
    ("audio", Kind::Boolean, false),
    ("video", Kind::Boolean, false),
    ("data", Kind::Boolean, false),
    ("restart", Kind::Boolean, false),
    ("update", Kind::Boolean, false),
];

const STREAM: [Field; 9] = [
    ("mid", Kind::String, false),
    ("send", Kind::Boolean, false),
    ("substream", Kind::PositiveInteger, false),
    ("temporal", Kind::PositiveInteger, false),
    ("fallback", Kind::PositiveInteger, false),
    ("spatial_layer", Kind::PositiveInteger, false),
    ("temporal_layer", Kind::PositiveInteger, false),
    ("min_delay", Kind::Integer, false),
    ("max_delay", Kind::Integer, false),
];

/// Elements that may stand outside of `streams`; those of another type than a number mean nothing there.
const FLAT: [&str; 5] = ["substream", "temporal", "fallback", "spatial_layer", "temporal_layer"];

impl VideoRoom {
    pub(super) fn configure_subscription(&mut self, cx: &mut Cx, call: &Call<'_>) -> Answer {
        let o = call.body;
        check(o, &FIELDS)?;
        let mut wanted = Vec::new();
        for stream in objects(o, "streams") {
            check(&stream, &STREAM)?;
            let mid = text(&stream, "mid")
                .ok_or_else(|| Refusal::invalid("Invalid value (mid can't be null in a streams array)"))?;
            wanted.push((Some(mid), wishes(&stream, At::Subscribe)?));
        }
        if let Some(flat) = flat(o)? {
            wanted.push((text(o, "mid"), flat));
        }
        let Some(subscriber) = self.subscribers.get_mut(&call.h) else { return Ok(()) };
        for mid in wanted.iter().filter_map(|(mid, _)| mid.as_deref()) {
            if subscriber.stream_mut(mid).is_none() {
                let text = format!("No such mid '{mid}' in subscription");
                return Err(Refusal::new(code::NO_SUCH_FEED, text));
            }
        }
        for line in &mut subscriber.streams {
            let legacy = match line.kind {
                MediaKind::Audio => flag(o, "audio"),
                MediaKind::Video => flag(o, "video"),
                _ => flag(o, "data"),
            };
            line.send = legacy.unwrap_or(line.send);
            for (mid, wishes) in &wanted {
                if mid.as_ref().is_none_or(|mid| *mid == line.mid) {
                    line.want(wishes);
                }
            }
        }
        let restart = flag(o, "restart") == Some(true);
        let again = restart || flag(o, "update") == Some(true);
        let done = event_with(&subscriber.room, "configured", "ok");
        if again && subscriber.pending_offer {
            // Nothing is said to this request, as with Janus: the offer comes behind the answer to the last one.
            subscriber.pending_update = true;
            subscriber.pending_restart |= restart;
        } else if again {
            self.offer(cx, call.h, Some(call.transaction.to_owned()), done, restart);
        } else {
            call.answer(cx, done);
        }
        self.flow(cx, call.h);
        Ok(())
    }
}

/// Wishes outside of `streams`: for the stream with the `mid` beside them, or for all.
fn flat(o: &Object) -> Answer<Option<Wishes>> {
    let mut numbers = Object::new();
    for name in FLAT {
        match o.get(name) {
            Some(value) if value.as_i64().is_some_and(|n| n < 0) => {
                check(o, &[(name, Kind::PositiveInteger, false)])?;
            }
            Some(value) if value.is_u64() => {
                numbers.insert(name.to_owned(), value.clone());
            }
            _ => {}
        }
    }
    for name in ["send", "min_delay", "max_delay"] {
        if let Some(value) = o.get(name) {
            numbers.insert(name.to_owned(), value.clone());
        }
    }
    let has_mid = o.get("mid").is_some_and(|mid| mid.is_string());
    match numbers.is_empty() && !has_mid {
        true => Ok(None),
        false => wishes(&numbers, At::Subscribe).map(Some),
    }
}
