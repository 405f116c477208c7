//! `publish` and a publisher's `configure`: what he sends, and what the others are told of it.

use super::Call;
use crate::body::{Field, check, flag, number, objects, text};
use crate::error::{Refusal, code};
use crate::publisher::{Publisher, Reader, Told};
use crate::room::{Config, Room, event, event_with};
use crate::subscriber::set_delays;
use crate::{Answer, VideoRoom};
use portunus_api::{Kind, Object, Value, json};
use portunus_plugin::{Cx, HandleId, JsepKind, JsepPlan, Plan, RemoteJsep};
use portunus_sdp::{AnswerDirections, AnswerOptions, Codec, MediaKind, ext};

/// Elements whose types are always checked.
const FIELDS: [Field; 17] = [
    ("descriptions", Kind::Array, false),
    ("audiocodec", Kind::String, false),
    ("videocodec", Kind::String, false),
    ("bitrate", Kind::PositiveInteger, false),
    ("keyframe", Kind::Boolean, false),
    ("record", Kind::Boolean, false),
    ("rec_format", Kind::String, false),
    ("filename", Kind::String, false),
    ("display", Kind::String, false),
    ("secret", Kind::String, false),
    ("audio_active_packets", Kind::PositiveInteger, false),
    ("audio", Kind::Boolean, false),
    ("video", Kind::Boolean, false),
    ("data", Kind::Boolean, false),
    ("update", Kind::Boolean, false),
    ("restart", Kind::Boolean, false),
    ("metadata", Kind::Object, false),
];

/// Those that `joinandconfigure` checks without an offer.
const JOINING: [Field; 7] = [
    ("bitrate", Kind::PositiveInteger, false),
    ("record", Kind::Boolean, false),
    ("rec_format", Kind::String, false),
    ("filename", Kind::String, false),
    ("audio", Kind::Boolean, false),
    ("video", Kind::Boolean, false),
    ("data", Kind::Boolean, false),
];

const STREAM: [Field; 4] = [
    ("mid", Kind::String, false),
    ("send", Kind::Boolean, false),
    ("min_delay", Kind::Integer, false),
    ("max_delay", Kind::Integer, false),
];

/// What `joinandconfigure` checks before somebody is in the room.
pub(super) fn check_types(o: &Object, with_offer: bool) -> Answer {
    match with_offer {
        true => check(o, &FIELDS),
        false => check(o, &JOINING),
    }
}

impl VideoRoom {
    pub(super) fn publish(&mut self, cx: &mut Cx, call: &Call<'_>, is_publish: bool) -> Answer {
        let Some(publisher) = self.publishers.get(&call.h) else { return Ok(()) };
        if is_publish && publisher.started {
            return Err(Refusal::new(code::ALREADY_PUBLISHED, "Can't publish, already published"));
        }
        check(call.body, &FIELDS)?;
        let mut done = event(&publisher.room);
        done.insert("configured".into(), "ok".into());
        self.configure_publisher(cx, call, &mut done)
    }

    /// Takes what the request says, answers its offer if there is one, and says `done`.
    pub(super) fn configure_publisher(&mut self, cx: &mut Cx, call: &Call<'_>, done: &mut Object) -> Answer {
        let o = call.body;
        let descriptions = descriptions(o)?;
        let Some(publisher) = self.publishers.get(&call.h) else { return Ok(()) };
        let streams = streams(o, publisher)?;
        let offer = call.jsep.filter(|jsep| jsep.kind == JsepKind::Offer);
        if call.jsep.is_some() && offer.is_none() {
            return Err(Refusal::new(code::INVALID_SDP_TYPE, "Only publishers send offers"));
        }
        if offer.is_some() {
            self.check_offer(call)?;
        }
        self.check_recording(call)?;
        self.take_settings(cx, call);
        self.take_recording(call);
        self.take_streams(cx, call.h, o, &streams);
        let transaction = call.transaction.to_owned();
        match offer {
            None => {
                self.take_descriptions(cx, call.h, &descriptions, true);
                self.notify_configured(cx, call);
                cx.answer(call.h, transaction, Value::Object(std::mem::take(done)), None);
                self.update_recordings(cx, call.h);
            }
            Some(offer) => {
                let jsep = self.answer_offer(cx, call, offer);
                let updates = self.publishers.get(&call.h).is_some_and(|p| p.started);
                self.take_descriptions(cx, call.h, &descriptions, false);
                if let Some(publisher) = self.publishers.get(&call.h) {
                    publisher.codecs(done);
                    done.insert("streams".into(), publisher.summary(Reader::Himself));
                }
                self.notify_configured(cx, call);
                cx.answer(call.h, transaction, Value::Object(std::mem::take(done)), jsep);
                self.update_recordings(cx, call.h);
                if updates {
                    self.on_update(cx, call.h);
                }
            }
        }
        Ok(())
    }

    /// Who has only just joined is told of as that.
    fn notify_configured(&self, cx: &mut Cx, call: &Call<'_>) {
        let joins = text(call.body, "request").is_some_and(|r| r.eq_ignore_ascii_case("joinandconfigure"));
        let Some(publisher) = self.publishers.get(&call.h).filter(|_| !joins) else { return };
        let more = [("id", publisher.id.to_value()), ("bitrate", publisher.bitrate.into())];
        self.notify(cx, Some(call.h), "configured", &publisher.room, &more);
    }

    /// What may stand against an offer.
    fn check_offer(&self, call: &Call<'_>) -> Answer {
        let Some((publisher, room)) = self.publisher_and_room(call.h) else {
            return Err(Refusal::room_gone());
        };
        let lists = |name, listed: &[Codec]| match text(call.body, name) {
            Some(codec) => Codec::from_api_name(&codec).is_some_and(|c| listed.contains(&c)),
            None => true,
        };
        if !lists("audiocodec", &room.config.audio_codecs) {
            return Err(Refusal::invalid("Audio codec unavailable in this room"));
        }
        if !lists("videocodec", &room.config.video_codecs) {
            return Err(Refusal::invalid("Video codec unavailable in this room"));
        }
        let e2ee = call.jsep.is_some_and(|j| j.e2ee);
        if room.config.require_e2ee && !e2ee {
            return Err(Refusal::new(code::UNAUTHORIZED, "Room requires end-to-end encrypted media"));
        }
        // Unlike with Janus, offers that are not up yet count: the limit cannot be passed.
        let publishing =
            |h: &HandleId| self.publishers.get(h).is_some_and(|p| p.started || !p.streams.is_empty());
        let others = room.others(call.h).iter().filter(|h| publishing(h)).count();
        let max = room.config.publishers;
        let is_new = !publisher.started && publisher.streams.is_empty();
        if is_new && u32::try_from(others).is_ok_and(|n| n >= max) {
            let text = format!("Maximum number of publishers ({max}) already reached");
            return Err(Refusal::new(code::PUBLISHERS_FULL, text));
        }
        Ok(())
    }

    pub(super) fn publisher_and_room(&self, h: HandleId) -> Option<(&Publisher, &Room)> {
        let publisher = self.publishers.get(&h)?;
        Some((publisher, self.rooms.get(&publisher.room)?))
    }

    fn answer_offer(&mut self, cx: &mut Cx, call: &Call<'_>, offer: &RemoteJsep) -> Option<JsepPlan> {
        let (_, room) = self.publisher_and_room(call.h)?;
        let affinity = crate::offer::affinity(room);
        let plan = Plan::answer(&offer.description, &options(room, call.body, offer));
        let records = room.config.record;
        let publisher = self.publishers.get_mut(&call.h)?;
        // Once: he may be left out later.
        publisher.recording |= records && publisher.streams.is_empty();
        publisher.e2ee = offer.e2ee;
        // Before the worker hears of the answer: then it knows them no more.
        for gone in publisher.take_streams(&offer.description, &plan, &offer.svc) {
            publisher.end_outputs(cx, &gone);
        }
        Some(JsepPlan {
            kind: JsepKind::Answer,
            plan,
            e2ee: offer.e2ee,
            restart: false,
            affinity: Some(affinity),
        })
    }

    /// What a publisher sends has changed while others receive it.
    fn on_update(&mut self, cx: &mut Cx, h: HandleId) {
        let Some((publisher, room)) = self.publisher_and_room(h) else { return };
        publisher.watch(cx, &room.config);
        let (room, id) = (room.id.clone(), publisher.id.clone());
        let event = event_with(&room, "publishers", json!([publisher.describe(Told::AsNews)]));
        let more = publisher.for_handlers();
        self.tell_others(cx, &room, Some(h), &event);
        self.notify(cx, Some(h), "updated", &room, &more);
        self.flow_feed(cx, &room, &id);
    }

    /// Everything that is about the participant and not about one stream.
    fn take_settings(&mut self, cx: &mut Cx, call: &Call<'_>) {
        let (h, o) = (call.h, call.body);
        let Some(publisher) = self.publishers.get_mut(&h) else { return };
        let (room, id) = (publisher.room.clone(), publisher.id.clone());
        let mut news: Vec<(&str, Value)> = Vec::new();
        if let Some(display) = text(o, "display").filter(|d| publisher.display.as_ref() != Some(d)) {
            // Janus tells of a changed name, not of a first one.
            if publisher.display.is_some() {
                news.push(("display", display.as_str().into()));
            }
            publisher.display = Some(display);
        }
        if let Some(metadata) =
            o.get("metadata").filter(|m| m.is_object() && publisher.metadata.as_ref() != Some(m))
        {
            news.push(("metadata", metadata.clone()));
            publisher.metadata = Some(metadata.clone());
        }
        if let Some(bitrate) = number(o, "bitrate") {
            publisher.bitrate = bitrate;
        }
        let average = number(o, "audio_level_average").and_then(|n| u8::try_from(n).ok());
        let packets = number(o, "audio_active_packets");
        publisher.audio_active_packets = packets.filter(|n| *n > 0).or(publisher.audio_active_packets);
        publisher.audio_level_average = average.filter(|n| *n > 0).or(publisher.audio_level_average);
        if (packets.is_some() || average.is_some())
            && let Some(found) = self.rooms.get(&room)
        {
            publisher.watch(cx, &found.config);
        }
        if flag(o, "keyframe") == Some(true) {
            publisher.keyframe(cx, None);
        }
        if number(o, "bitrate").is_some() {
            self.cap(cx, h);
        }
        for (name, value) in news {
            // There is no `room` in these, with Janus neither.
            let mut told = Object::new();
            told.insert("videoroom".into(), "event".into());
            told.insert("id".into(), id.to_value());
            told.insert(name.into(), value);
            self.tell_others(cx, &room, Some(h), &told.into());
        }
    }

    /// Tells the publisher's browser how much it may send.
    pub(crate) fn cap(&self, cx: &mut Cx, h: HandleId) {
        let Some((publisher, room)) = self.publisher_and_room(h) else { return };
        if publisher.started {
            let bitrate = if publisher.bitrate > 0 { publisher.bitrate } else { room.config.bitrate };
            cx.cap(h, bitrate);
        }
    }

    /// What is muted here, and how long receivers wait before they play.
    fn take_streams(&mut self, cx: &mut Cx, h: HandleId, o: &Object, streams: &[Object]) {
        let Some(publisher) = self.publishers.get_mut(&h) else { return };
        let (room, id) = (publisher.room.clone(), publisher.id.clone());
        for stream in &mut publisher.streams {
            let legacy = match stream.kind {
                MediaKind::Audio => flag(o, "audio"),
                MediaKind::Video => flag(o, "video"),
                _ => flag(o, "data"),
            };
            stream.send = legacy.unwrap_or(stream.send);
        }
        let mut keyframes = Vec::new();
        for wanted in streams {
            let Some(mid) = text(wanted, "mid") else { continue };
            if flag(wanted, "keyframe") == Some(true) {
                keyframes.push(mid.clone());
            }
            let Some(stream) = publisher.stream_mut(&mid) else { continue };
            stream.send = flag(wanted, "send").unwrap_or(stream.send);
            let delay = |name| wanted.get(name).and_then(Value::as_i64);
            let (min, max) = (delay("min_delay"), delay("max_delay"));
            set_delays(&mut stream.min_delay, &mut stream.max_delay, min, max);
        }
        for mid in keyframes {
            publisher.keyframe(cx, Some(&mid));
        }
        self.flow_feed(cx, &room, &id);
    }

    fn take_descriptions(&mut self, cx: &mut Cx, h: HandleId, list: &[(String, String)], tell: bool) {
        let Some(publisher) = self.publishers.get_mut(&h) else { return };
        let mut changed = false;
        for (mid, description) in list {
            if let Some(stream) = publisher.stream_mut(mid) {
                changed = true;
                stream.description = Some(description.clone());
            }
        }
        if changed && tell {
            let event = event_with(&publisher.room, "publishers", json!([publisher.describe(Told::AsNews)]));
            let (room, more) = (publisher.room.clone(), publisher.for_handlers());
            self.tell_others(cx, &room, Some(h), &event);
            self.notify(cx, Some(h), "updated", &room, &more);
        }
    }
}

fn descriptions(o: &Object) -> Answer<Vec<(String, String)>> {
    let mut found = Vec::new();
    for d in objects(o, "descriptions") {
        check(&d, &[("mid", Kind::String, true), ("description", Kind::String, true)])?;
        found.push((text(&d, "mid").unwrap_or_default(), text(&d, "description").unwrap_or_default()));
    }
    Ok(found)
}

/// Elements about one stream each, those outside of `streams` included; all streams are there.
fn streams(o: &Object, publisher: &Publisher) -> Answer<Vec<Object>> {
    let mut found = Vec::new();
    for stream in objects(o, "streams") {
        check(&stream, &STREAM)?;
        if !stream.contains_key("mid") {
            return Err(Refusal::invalid("Invalid value (mid can't be null in a streams array)"));
        }
        found.push(stream);
    }
    if o.get("mid").is_some_and(Value::is_string) {
        found.push(o.clone());
    }
    for mid in found.iter().filter_map(|s| text(s, "mid")) {
        if publisher.stream(&mid).is_none() {
            return Err(Refusal::new(code::NO_SUCH_FEED, format!("No such mid '{mid}' published")));
        }
    }
    Ok(found)
}

/// How the offer of a publisher is answered.
fn options(room: &Room, o: &Object, offer: &RemoteJsep) -> AnswerOptions {
    let config = &room.config;
    let names = |forced, listed: &[Codec]| match text(o, forced) {
        Some(one) => vec![one],
        None => listed.iter().map(|c| c.api_name().to_owned()).collect(),
    };
    // A profile that the client does not have stands back, rather than his video.
    let offered = |codec: Codec, profile: &Option<String>| {
        let has = |p: &&String| offer.description.media.iter().any(|m| codec.find(m, Some(p)).is_some());
        profile.as_ref().filter(has).cloned()
    };
    AnswerOptions {
        audio_codecs: names("audiocodec", &config.audio_codecs),
        video_codecs: names("videocodec", &config.video_codecs),
        h264_profile: offered(Codec::H264, &config.h264_profile),
        vp9_profile: offered(Codec::Vp9, &config.vp9_profile),
        opus_fec: config.opus_fec,
        opus_dtx: config.opus_dtx,
        opus_stereo: true,
        audio_extensions: extensions(config, &MediaKind::Audio),
        video_extensions: extensions(config, &MediaKind::Video),
        directions: AnswerDirections::Receive,
        session_name: Some(format!("VideoRoom {}", room.id)),
        ..AnswerOptions::default()
    }
}

fn extensions(config: &Config, kind: &MediaKind) -> Vec<&'static str> {
    let video = *kind == MediaKind::Video;
    let wanted = [
        (true, ext::MID),
        (true, ext::RID),
        (true, ext::REPAIRED_RID),
        (!video && config.audiolevel_ext, ext::AUDIO_LEVEL),
        (video && config.videoorient_ext, ext::VIDEO_ORIENTATION),
        (video && config.playoutdelay_ext, ext::PLAYOUT_DELAY),
        (config.transport_wide_cc_ext, ext::TRANSPORT_WIDE_CC),
        (video, ext::DEPENDENCY_DESCRIPTOR),
    ];
    wanted.into_iter().filter(|(on, _)| *on).map(|(_, uri)| uri).collect()
}
