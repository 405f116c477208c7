//! The plugin contract: what a plugin is told, and what it may ask for.
//!
//! Echo, call, room, recording and forwarding differ only in the two ends of their routes. A plugin declares
//! routes between sources and sinks; the workers of the media engine execute them; no plugin code runs per
//! packet. A plugin is a pure state machine: it is called by the control task, never calls back, and what it
//! wants done it writes into [`Cx`]. The time is `cx.now()` and nothing else.
//!
//! Absent on purpose: SDP text (a plugin sees a parsed [`Description`] and returns a [`Plan`]), sockets (but for
//! [`forward::FeedbackPort`], which it hands on unopened), threads, packets.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod cx;
pub mod forward;
pub mod media;
pub mod recording;
pub mod report;
pub mod tracks;

pub use cx::{Cx, Effect, Finished, JsepPlan, Outcome, StoredGroup, Task, Ticket};
pub use media::{DataMessage, MediaEvent, RouteEnd};
pub use portunus_api::{HandleId, JsepKind, Object, SessionId, Svc, Value, json};
pub use portunus_sdp::{Description, Plan};

use std::sync::Arc;

/// What `info` tells of a plugin.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// `janus.plugin.echotest`
    pub package: &'static str,
    /// `JANUS EchoTest plugin`
    pub name: &'static str,
    /// Who wrote it.
    pub author: &'static str,
    /// One line.
    pub description: &'static str,
    /// The plugin's API level, as an integer.
    pub version: u32,
    /// The same, as text.
    pub version_string: &'static str,
}

/// A plugin: one value serves all its handles.
pub trait Plugin: Send {
    /// Name and version.
    fn about(&self) -> About;

    /// A client attached.
    ///
    /// # Errors
    /// The text goes to the client with code 461.
    fn attach(&mut self, cx: &mut Cx, handle: HandleId) -> Result<(), PluginError>;

    /// A `message` request of an attached handle.
    fn message(&mut self, cx: &mut Cx, handle: HandleId, message: Message) -> Reply;

    /// A [`Task`] is done. Whoever waits for it, by [`Reply::Later`] with the same ticket, gets what is returned.
    fn done(&mut self, _cx: &mut Cx, _ticket: Ticket, _outcome: Outcome) -> Value {
        Value::Null
    }

    /// Something happened to the handle's media.
    fn media(&mut self, cx: &mut Cx, handle: HandleId, event: &MediaEvent);

    /// A request of the Admin API (`message_plugin`); `None` if this plugin takes none. [`Reply::Ack`] has no meaning here.
    fn admin(&mut self, cx: &mut Cx, body: &Object) -> Option<Reply>;

    /// The plugin's part of `handle_info`.
    fn query(&self, handle: HandleId) -> Value;

    /// Whether the handle only waits for somebody to come. While the server drains nobody does, so a session of such handles
    /// ends, and its client can wait elsewhere.
    fn is_idle(&self, _handle: HandleId) -> bool {
        false
    }

    /// Called about once a second.
    fn tick(&mut self, cx: &mut Cx);

    /// The handle is going away; its media has been told already.
    fn detach(&mut self, cx: &mut Cx, handle: HandleId);
}

/// A `message` request.
#[derive(Debug)]
pub struct Message {
    /// The client's transaction: give it to [`Cx::push`] with the event that answers this request.
    pub transaction: String,
    /// The `body` member.
    pub body: Object,
    /// The offer or answer that came with it.
    pub jsep: Option<RemoteJsep>,
}

/// A session description from the client.
#[derive(Clone, Debug)]
pub struct RemoteJsep {
    /// Offer or answer.
    pub kind: JsepKind,
    /// What it says.
    pub description: Arc<Description>,
    /// The handle has a PeerConnection already.
    pub renegotiation: bool,
    /// Media is encrypted end to end (`e2ee: true`).
    pub e2ee: bool,
    /// Which video the client says is scalable.
    pub svc: Svc,
    /// Which `rid` stands for the best layer: `true` when they were listed from high to low (the default).
    pub rids_high_first: bool,
}

/// How a plugin answers a message.
#[derive(Debug)]
pub enum Reply {
    /// At once: the reply is `success` with this as `plugindata.data`.
    Now(Value),
    /// Later, by [`Cx::push`]: the reply is `ack`, with a hint if there is one.
    Ack(Option<&'static str>),
    /// At once, but only when the [`Task`] with this ticket is done: the reply is `success` with what
    /// [`Plugin::done`] returns. Later requests of the handle wait for it.
    Later(Ticket),
    /// The plugin could not handle it: error 462 with this text.
    Err(String),
}

/// Why a plugin refused a handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginError(pub String);
