//! The echo test: whatever a client sends comes back to it.
//!
//! Every audio and video m-line is a route from itself to itself; data channel messages are answered. There is no
//! `request` element: each message may change everything at once, and all answers are events.
//!
//! Invariants: a handle's state is as new after every hangup; nothing refers to a second handle.
//!
//! Deliberately absent: a recording of more than one m-line of a kind; Janus has none either.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod answer;
mod body;
mod echo;

use body::Body;
use echo::Echo;
use portunus_plugin::recording::{Misplaced, Places, RecordingNews};
use portunus_plugin::tracks::{Told, Tracks};
use portunus_plugin::{
    About, Cx, DataMessage, HandleId, JsepKind, JsepPlan, MediaEvent, Message, Object, Plugin, PluginError,
    RemoteJsep, Reply, RouteEnd, Value, json,
};
use portunus_sdp::MediaKind;
use std::collections::BTreeMap;

/// What stands before a text message that comes back.
const PREFIX: &str = "Janus EchoTest here! You wrote: ";
/// The code of everything that is wrong with a body.
const INVALID_ELEMENT: u16 = 413;

/// The plugin.
#[derive(Debug)]
pub struct EchoTest {
    handles: BTreeMap<HandleId, Echo>,
    events: bool,
    /// Where recordings may be.
    places: Places,
}

impl EchoTest {
    /// `events`: event handlers are told after every accepted request (`general.events`, on by default). `places`: where
    /// recordings may be.
    pub fn new(events: bool, places: Places) -> Self {
        Self { handles: BTreeMap::new(), events, places }
    }

    /// Does what a request wants and answers it.
    fn serve(&mut self, cx: &mut Cx, h: HandleId, message: Message) {
        let Message { transaction, body, jsep } = message;
        let read = Body::parse(&body, jsep.is_some()).and_then(|body| {
            match (body.record == Some(true)).then(|| self.base(cx, h, body.filename.as_deref())).transpose()
            {
                Ok(base) => Ok((body, base)),
                Err(why) => Err(format!("Invalid element (filename: {why})")),
            }
        });
        let (body, base) = match read {
            Ok(read) => read,
            Err(text) => {
                let error = json!({ "echotest": "event", "error_code": INVALID_ELEMENT, "error": text });
                return cx.answer(h, transaction, error, None);
            }
        };
        let echo = self.handles.entry(h).or_default();
        let done = json!({ "echotest": "event", "result": "ok" });
        echo.announce(cx, h, &body);
        match jsep.filter(|j| j.kind == JsepKind::Offer) {
            Some(offer) => {
                let plan = answer::answer(&offer.description, &body);
                let lines = answer::lines(&offer.description, &plan);
                let subjects = answer::subjects(&plan, offer.e2ee);
                cx.answer(h, transaction, done, Some(answer_plan(plan, &offer)));
                echo.e2ee = offer.e2ee;
                echo.take(&body);
                echo.set_lines(cx, h, lines);
                echo.tracks.set(cx, h, subjects);
                echo.tracks.go_on(cx, h, &self.places);
            }
            None => {
                cx.answer(h, transaction, done, None);
                echo.apply(cx, h, &body);
            }
        }
        match (base, body.record) {
            (Some(base), _) => echo.tracks.record(cx, h, &self.places, base),
            (None, Some(false)) => echo.tracks.end(cx, h),
            (None, _) => {}
        }
        echo.tracks.withhold(cx, h, echo.audio, echo.video);
        if self.events {
            cx.notify(Some(h), echo.notice());
        }
    }
}

impl EchoTest {
    /// What the files of a recording are called but for their endings.
    fn base(&self, cx: &Cx, h: HandleId, filename: Option<&str>) -> Result<String, Misplaced> {
        let base = match filename.filter(|name| !name.is_empty()) {
            Some(name) => name.to_owned(),
            None => format!("echotest-{h}-{}", cx.unix().as_micros()),
        };
        Tracks::check(&self.places, &base)?;
        Ok(base)
    }
}

fn answer_plan(plan: portunus_plugin::Plan, offer: &RemoteJsep) -> JsepPlan {
    JsepPlan { kind: JsepKind::Answer, plan, e2ee: offer.e2ee, restart: false, affinity: None }
}

impl Plugin for EchoTest {
    fn about(&self) -> About {
        About {
            package: "janus.plugin.echotest",
            name: "JANUS EchoTest plugin",
            author: "The Portunus authors",
            description: "Sends back to each client what it sends, to test a WebRTC connection.",
            version: 7,
            version_string: "0.0.7",
        }
    }

    fn attach(&mut self, _: &mut Cx, h: HandleId) -> Result<(), PluginError> {
        self.handles.insert(h, Echo::default());
        Ok(())
    }

    fn message(&mut self, cx: &mut Cx, h: HandleId, message: Message) -> Reply {
        self.serve(cx, h, message);
        Reply::Ack(Some("I'm taking my time!"))
    }

    fn media(&mut self, cx: &mut Cx, h: HandleId, event: &MediaEvent) {
        let Some(echo) = self.handles.get_mut(&h) else { return };
        match event {
            MediaEvent::Data(message) => cx.data(h, echoed(message)),
            MediaEvent::Layer { codec, change, .. } => cx.push(h, echo.on_layer(codec, *change)),
            MediaEvent::PeerBitrate(bitrate) => echo.peer_bitrate = *bitrate,
            MediaEvent::SlowLink { kind, uplink, .. } => {
                let video = *kind == MediaKind::Video;
                if echo.minds_loss(video, *uplink) {
                    echo.slow_links += 1;
                    cx.push(h, slow_link(video, echo.bitrate));
                }
            }
            MediaEvent::Recording { mid, news } => {
                if *news == RecordingNews::Resumed {
                    // What is missing cannot be made up for, and what follows cannot be seen without it.
                    cx.keyframe(RouteEnd::new(h, mid));
                }
                let notice = match echo.tracks.on_recording(mid, news) {
                    Told::Nothing => None,
                    Told::Renamed => Some(echo.notice()),
                    Told::Event(event) => Some(event),
                };
                if let Some(notice) = notice.filter(|_| self.events) {
                    cx.notify(Some(h), notice);
                }
            }
            MediaEvent::Hangup { .. } => {
                echo.tracks.end(cx, h);
                *echo = Echo::default();
                cx.push(h, json!({ "echotest": "event", "result": "done" }));
            }
            _ => {}
        }
    }

    /// Gives a request back as it came.
    fn admin(&mut self, _: &mut Cx, body: &Object) -> Option<Reply> {
        Some(Reply::Now(body.clone().into()))
    }

    fn query(&self, h: HandleId) -> Value {
        self.handles.get(&h).map_or_else(|| json!({}), Echo::query)
    }

    fn tick(&mut self, _: &mut Cx) {}

    fn detach(&mut self, cx: &mut Cx, h: HandleId) {
        if let Some(mut echo) = self.handles.remove(&h) {
            echo.tracks.end(cx, h);
        }
    }
}

/// A data channel message as it comes back.
fn echoed(message: &DataMessage) -> DataMessage {
    let mut echo = message.clone();
    if !message.binary {
        echo.payload = [PREFIX.as_bytes(), &message.payload].concat();
    }
    echo
}

fn slow_link(video: bool, bitrate: u32) -> Value {
    let mut o = Object::new();
    o.insert("echotest".into(), "event".into());
    o.insert("event".into(), "slow_link".into());
    o.insert("media".into(), if video { "video" } else { "audio" }.into());
    if video {
        o.insert("current-bitrate".into(), bitrate.into());
    }
    o.into()
}

#[cfg(test)]
mod tests;
