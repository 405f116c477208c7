//! The plugin's part of `handle_info`.

use crate::VideoRoom;
use crate::publisher::Publisher;
use crate::subscriber::Subscriber;
use portunus_api::{Object, Value};
use portunus_plugin::HandleId;

impl VideoRoom {
    pub(crate) fn describe_handle(&self, h: HandleId) -> Value {
        let mut o = Object::new();
        if let Some(publisher) = self.publishers.get(&h) {
            self.describe_publisher(publisher, &mut o);
        } else if let Some(subscriber) = self.subscribers.get(&h) {
            self.describe_subscriber(subscriber, &mut o);
        }
        o.insert("hangingup".into(), 0.into());
        o.insert("destroyed".into(), 0.into());
        o.into()
    }

    fn describe_publisher(&self, publisher: &Publisher, o: &mut Object) {
        o.insert("type".into(), "publisher".into());
        if publisher.gone.is_none() {
            o.insert("room".into(), publisher.room.to_value());
        }
        o.insert("id".into(), publisher.id.to_value());
        o.insert("private_id".into(), publisher.private_id.into());
        publisher.labels(o);
        o.insert("bitrate".into(), publisher.bitrate.into());
        if publisher.e2ee {
            o.insert("e2ee".into(), true.into());
        }
        if let Some(file) = &publisher.playable {
            o.insert("playable".into(), file.as_str().into());
        }
        let of_feed = self.subscribers_of(&publisher.room, &publisher.id);
        let streams = publisher.streams.iter().map(|stream| {
            let mut s = Object::new();
            s.insert("type".into(), stream.kind.api_name().into());
            s.insert("mindex".into(), stream.mindex.into());
            s.insert("mid".into(), stream.mid.as_str().into());
            if let Some(description) = &stream.description {
                s.insert("description".into(), description.as_str().into());
            }
            if let Some(codec) = stream.format.codec {
                s.insert("codec".into(), codec.api_name().into());
            }
            if let Some(file) = stream.recorded.as_ref().and_then(|r| r.file.as_deref()) {
                s.insert("recording".into(), file.into());
            }
            if let Some(talking) = stream.talking {
                s.insert("audio-level-dBov".into(), stream.level.into());
                s.insert("talking".into(), talking.into());
            }
            let has = |h: &&HandleId| {
                self.subscribers.get(h).is_some_and(|sub| {
                    let sources = sub.streams.iter().flat_map(|l| &l.sources);
                    sources.into_iter().any(|s| s.feed == publisher.id && s.mid == stream.mid)
                })
            };
            s.insert("subscribers".into(), of_feed.iter().filter(has).count().into());
            Value::Object(s)
        });
        let streams = streams.collect();
        o.insert("streams".into(), streams);
    }

    fn describe_subscriber(&self, subscriber: &Subscriber, o: &mut Object) {
        o.insert("type".into(), "subscriber".into());
        if subscriber.gone.is_none() {
            o.insert("room".into(), subscriber.room.to_value());
        }
        o.insert("private_id".into(), subscriber.private_id.into());
        o.insert("answered".into(), subscriber.answered.into());
        o.insert("pending_offer".into(), subscriber.pending_offer.into());
        o.insert("pending_restart".into(), subscriber.pending_restart.into());
        o.insert("paused".into(), subscriber.paused.into());
        if let Some(estimate) = subscriber.estimate {
            o.insert("estimate".into(), estimate.into());
        }
        let causes: Vec<Value> = subscriber
            .streams
            .iter()
            .filter_map(|line| {
                let cause = line.layers.cause?;
                Some(portunus_api::json!({ "mid": line.mid, "cause": cause.as_str() }))
            })
            .collect();
        if !causes.is_empty() {
            o.insert("layer-causes".into(), causes.into());
        }
        o.insert("streams".into(), self.summary(subscriber));
    }
}
