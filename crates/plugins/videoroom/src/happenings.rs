//! What happens to the media of publishers and subscribers.

use crate::VideoRoom;
use crate::publisher::Told;
use crate::room::{event, event_with};
use portunus_api::{Object, Value, json};
use portunus_plugin::media::{LayerCause, LayerChange};
use portunus_plugin::{Cx, DataMessage, HandleId, MediaEvent};
use std::time::Duration;

impl VideoRoom {
    pub(crate) fn on_media(&mut self, cx: &mut Cx, h: HandleId, media: &MediaEvent) {
        if self.publishers.contains_key(&h) {
            return self.on_publisher(cx, h, media);
        }
        match media {
            MediaEvent::Up => self.on_subscriber_up(cx, h),
            MediaEvent::Hangup { .. } => {
                if let Some(subscriber) = self.subscribers.get_mut(&h) {
                    subscriber.on_hangup();
                }
            }
            MediaEvent::Layer { mid, change, cause, .. } => self.on_layer(cx, h, mid, *change, *cause),
            MediaEvent::Estimate(bitrate) => {
                if let Some(subscriber) = self.subscribers.get_mut(&h) {
                    subscriber.estimate = Some(*bitrate);
                }
            }
            MediaEvent::SlowLink { uplink: false, .. } if self.subscribers.contains_key(&h) => {
                cx.push(h, json!({ "videoroom": "slow_link" }));
            }
            _ => {}
        }
    }

    fn on_publisher(&mut self, cx: &mut Cx, h: HandleId, media: &MediaEvent) {
        match media {
            MediaEvent::Up => self.on_published(cx, h),
            MediaEvent::Hangup { .. } => self.end_feed(cx, h),
            MediaEvent::Data(message) => self.on_data(cx, h, message),
            MediaEvent::Recording { mid, news } => self.on_recording(cx, h, mid, news),
            MediaEvent::Talking { mid, talking, level } => self.on_talking(cx, h, mid, *talking, *level),
            MediaEvent::SlowLink { uplink: true, .. } => {
                let Some(publisher) = self.publishers.get(&h) else { return };
                let room = self.rooms.get(&publisher.room).map_or(0, |r| r.config.bitrate);
                let bitrate = if publisher.bitrate > 0 { publisher.bitrate } else { room };
                cx.push(h, json!({ "videoroom": "slow_link", "current-bitrate": bitrate }));
            }
            _ => {}
        }
    }

    /// His media is up: from now on he is a feed.
    fn on_published(&mut self, cx: &mut Cx, h: HandleId) {
        let Some(publisher) = self.publishers.get_mut(&h).filter(|p| p.gone.is_none()) else { return };
        publisher.started = true;
        let room = publisher.room.clone();
        self.cap(cx, h);
        let Some(publisher) = self.publishers.get(&h) else { return };
        if let Some(found) = self.rooms.get(&room) {
            publisher.watch(cx, &found.config);
        }
        let told = event_with(&room, "publishers", json!([publisher.describe(Told::AsNews)]));
        let more = publisher.for_handlers();
        self.tell_others(cx, &room, Some(h), &told);
        self.notify(cx, Some(h), "published", &room, &more);
    }

    fn on_subscriber_up(&mut self, cx: &mut Cx, h: HandleId) {
        let Some(subscriber) = self.subscribers.get_mut(&h).filter(|s| s.gone.is_none()) else { return };
        subscriber.up = true;
        let room = subscriber.room.clone();
        self.notify(cx, Some(h), "subscribed", &room, &[]);
        self.flow(cx, h);
    }

    /// A message of a publisher goes to all who have his data; its channel there has his id for a label.
    fn on_data(&mut self, cx: &mut Cx, h: HandleId, message: &DataMessage) {
        let Some(publisher) = self.publishers.get(&h).filter(|p| p.started) else { return };
        let open = |s: &&crate::publisher::Stream| s.kind == portunus_sdp::MediaKind::Data && s.flows();
        if publisher.streams.iter().find(open).is_none() {
            return;
        }
        for to in self.subscribers_of(&publisher.room, &publisher.id) {
            if self.subscribers.get(&to).is_some_and(|s| s.takes_data(&publisher.id)) {
                let label = publisher.id.to_string();
                cx.data(to, DataMessage { label, ..message.clone() });
            }
        }
    }

    fn on_talking(&mut self, cx: &mut Cx, h: HandleId, mid: &str, talking: bool, level: f64) {
        let Some(publisher) = self.publishers.get_mut(&h).filter(|p| p.started) else { return };
        let (room, id) = (publisher.room.clone(), publisher.id.clone());
        let Some(stream) = publisher.stream_mut(mid) else { return };
        stream.talking = Some(talking);
        stream.level = level;
        let word = if talking { "talking" } else { "stopped-talking" };
        let more = [
            ("id", id.to_value()),
            ("mindex", stream.mindex.into()),
            ("mid", mid.into()),
            ("audio-level-dBov-avg", level.into()),
        ];
        let mut told = Object::new();
        told.insert("videoroom".into(), word.into());
        told.insert("room".into(), room.to_value());
        for (name, value) in &more {
            told.insert((*name).into(), value.clone());
        }
        self.tell_others(cx, &room, None, &told.into());
        self.notify_as(cx, Some(h), "videoroom", word, &room, &more);
    }

    fn on_layer(&mut self, cx: &mut Cx, h: HandleId, mid: &str, change: LayerChange, cause: LayerCause) {
        let Some(subscriber) = self.subscribers.get_mut(&h) else { return };
        let (room, estimate) = (subscriber.room.clone(), subscriber.estimate);
        let Some(line) = subscriber.stream_mut(mid) else { return };
        let changed = line.layers.on_change(change, cause);
        for (name, layer) in &changed {
            let mut told = event(&room);
            told.insert("mid".into(), mid.into());
            told.insert((*name).into(), (*layer).into());
            cx.push(h, told.into());
        }
        let mut more: Vec<(&str, Value)> = vec![("mid", mid.into())];
        more.extend(changed.iter().map(|(name, layer)| (*name, Value::from(*layer))));
        more.push(("cause", cause.as_str().into()));
        if let Some(estimate) = estimate {
            more.push(("estimate", estimate.into()));
        }
        self.notify(cx, Some(h), "layer", &room, &more);
    }

    /// Rooms with `fir_freq` ask their publishers for keyframes from time to time.
    pub(crate) fn ask_for_keyframes(&mut self, cx: &mut Cx) {
        let now = cx.now();
        for room in self.rooms.values_mut().filter(|r| r.config.fir_freq > 0) {
            let every = Duration::from_secs(room.config.fir_freq.into());
            if now.saturating_duration_since(room.asked) < every {
                continue;
            }
            room.asked = now;
            for h in room.participants.values() {
                if let Some(publisher) = self.publishers.get(h) {
                    publisher.keyframe(cx, None);
                }
            }
        }
    }
}
