//! The echo test: whatever a client sends comes back to it.
//!
//! Every audio and video m-line is a route from itself to itself; data channel messages are answered. There is no
//! `request` element: each message may change everything at once, and all answers are events.
//!
//! Invariants: a handle's state is as new after every hangup; nothing refers to a second handle.
//!
//! Deliberately absent: recording. `record` is checked and accepted as always, but no file is written yet: the log says
//! so, and neither `handle_info` nor events claim one.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod answer;
mod body;
mod echo;

use body::Body;
use echo::Echo;
use portunus_plugin::{
    About, Cx, DataMessage, HandleId, JsepKind, JsepPlan, MediaEvent, Message, Object, Plugin, PluginError,
    RemoteJsep, Reply, Value, json,
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
    /// The log has said that nothing is recorded.
    warned: bool,
}

impl EchoTest {
    /// `events`: event handlers are told after every accepted request (`general.events`, on by default).
    pub fn new(events: bool) -> Self {
        Self { handles: BTreeMap::new(), events, warned: false }
    }

    /// Does what a request wants and answers it.
    fn serve(&mut self, cx: &mut Cx, h: HandleId, message: Message) {
        let Message { transaction, body, jsep } = message;
        let body = match Body::parse(&body, jsep.is_some()) {
            Ok(body) => body,
            Err(text) => {
                let error = json!({ "echotest": "event", "error_code": INVALID_ELEMENT, "error": text });
                return cx.answer(h, transaction, error, None);
            }
        };
        if body.record == Some(true) && !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(handle = %h, "recording is not built yet: `record` writes no file (said once)");
        }
        let echo = self.handles.entry(h).or_default();
        let done = json!({ "echotest": "event", "result": "ok" });
        echo.announce(cx, h, &body);
        match jsep.filter(|j| j.kind == JsepKind::Offer) {
            Some(offer) => {
                let plan = answer::answer(&offer.description, &body);
                let lines = answer::lines(&offer.description, &plan);
                cx.answer(h, transaction, done, Some(answer_plan(plan, &offer)));
                echo.e2ee = offer.e2ee;
                echo.take(&body);
                echo.set_lines(cx, h, lines);
            }
            None => {
                cx.answer(h, transaction, done, None);
                echo.apply(cx, h, &body);
            }
        }
        if self.events {
            cx.notify(Some(h), echo.notice());
        }
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
            MediaEvent::Hangup { .. } => {
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

    fn detach(&mut self, _: &mut Cx, h: HandleId) {
        self.handles.remove(&h);
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
