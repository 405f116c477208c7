//! [`Cx`]: what a plugin call may ask for. It only collects effects; whoever owns the thing carries them out
//! after the call has returned, in order.

use crate::forward::{Destination, Forward, Reached, Unreachable};
use crate::media::{AudioWatch, DataMessage, LayerTarget, PlayoutDelay, RouteEnd};
use crate::recording::Recording;
use crate::{HandleId, JsepKind, Plan, Value};
use std::time::{Duration, Instant};

/// One thing a plugin asked for.
#[derive(Debug)]
pub enum Effect {
    /// An event for the handle's client.
    Push {
        /// The handle.
        handle: HandleId,
        /// The transaction it answers, if it answers one.
        transaction: Option<String>,
        /// `plugindata.data`.
        data: Value,
        /// A description to go with it: the event waits until the worker has given its transport.
        jsep: Option<JsepPlan>,
    },
    /// Packets from `source` go to `sink` from now on. A sink has one source; the new one replaces the old,
    /// and sequence numbers and timestamps go on without a gap.
    Route {
        /// Where packets come from.
        source: RouteEnd,
        /// Where they go.
        sink: RouteEnd,
    },
    /// Nothing goes to `sink` any more.
    Unroute {
        /// Where packets went.
        sink: RouteEnd,
    },
    /// Which layers of a layered source a sink wants.
    Select {
        /// The sink.
        sink: RouteEnd,
        /// The wanted layers.
        target: LayerTarget,
    },
    /// Ask the source for a keyframe: a PLI, unless one is in flight.
    Keyframe {
        /// The source.
        source: RouteEnd,
    },
    /// Limit what the client may send, by REMB: bits per second, 0 for no limit.
    Cap {
        /// The handle.
        handle: HandleId,
        /// Bits per second.
        bitrate: u32,
    },
    /// Put the playout-delay extension on what goes to `sink`; `None` takes it off again.
    PlayoutDelay {
        /// The sink.
        sink: RouteEnd,
        /// The limits.
        delay: Option<PlayoutDelay>,
    },
    /// Tell when the speaker on `source` begins or stops to talk; `None`: no more.
    WatchAudio {
        /// The source.
        source: RouteEnd,
        /// How to tell.
        watch: Option<AudioWatch>,
    },
    /// Record what comes in on a medium, in the place of a recording of it that goes on. [`MediaEvent::Recording`] tells
    /// what becomes of it.
    ///
    /// [`MediaEvent::Recording`]: crate::MediaEvent::Recording
    Record {
        /// The source.
        source: RouteEnd,
        /// Where, and what stands in its header.
        recording: Box<Recording>,
    },
    /// Neither record nor forward what comes in on a medium, or do so again. A recording goes on where it was, its
    /// timestamps as much later as it took.
    Withhold {
        /// The source.
        source: RouteEnd,
        /// Which of the two.
        withheld: bool,
    },
    /// End the recording of a medium, if there is one.
    EndRecording {
        /// The source.
        source: RouteEnd,
    },
    /// Forward what comes in on a medium over UDP, until that ends or [`Effect::StopForward`] ends it.
    Forward {
        /// The source.
        source: RouteEnd,
        /// What, and where to.
        forward: Box<Forward>,
    },
    /// End a forwarder of a medium, if there is one of that number.
    StopForward {
        /// The source.
        source: RouteEnd,
        /// From [`Forward::id`].
        id: u32,
    },
    /// Send a message over the handle's data channel.
    Data {
        /// The handle.
        handle: HandleId,
        /// The message.
        message: DataMessage,
    },
    /// Close the handle's PeerConnection (`Close PC`).
    Hangup {
        /// The handle.
        handle: HandleId,
    },
    /// Detach the handle.
    End {
        /// The handle.
        handle: HandleId,
    },
    /// Something to do outside, on no thread of ours that others wait for. [`crate::Plugin::done`] hears of its end.
    Task {
        /// Chosen by the plugin, never used again.
        ticket: Ticket,
        /// What to do.
        task: Task,
    },
    /// Something event handlers want to know (event type 64).
    Notify {
        /// The handle, if the event is about one.
        handle: Option<HandleId>,
        /// The event.
        event: Value,
    },
}

/// The number of a [`Task`], from the plugin's own counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What became of a [`Task`]: the error is a text for people.
pub type Outcome = Result<Finished, String>;

/// A [`Task`] that was done.
#[derive(Debug, PartialEq)]
pub enum Finished {
    /// The file is written.
    Stored,
    /// What became of each destination, in order.
    Reached(Vec<Result<Reached, Unreachable>>),
}

/// Something to do outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Write a group of the plugin's configuration file, or take it out. Comments and all else in the file stay.
    Store(StoredGroup),
    /// Find out where these hosts are, and whether anything may be sent there.
    Reach(Vec<Destination>),
}

/// A group of a configuration file, as it shall be from now on.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredGroup {
    /// The file's name without extension: `janus.plugin.videoroom`.
    pub file: &'static str,
    /// The group: `room-1234`.
    pub name: String,
    /// Its settings in order (booleans, integers, strings, arrays of strings, lists of objects); `None` takes the
    /// group out.
    pub settings: Option<crate::Object>,
}

/// A description that a plugin wants sent.
#[derive(Clone, Debug)]
pub struct JsepPlan {
    /// Offer or answer.
    pub kind: JsepKind,
    /// What it shall say.
    pub plan: Plan,
    /// Media is encrypted end to end.
    pub e2ee: bool,
    /// New ICE credentials although the client did not ask for them (own offers only).
    pub restart: bool,
    /// Handles with the same affinity are placed on the same worker when they first get a PeerConnection, while it is
    /// not busy.
    pub affinity: Option<String>,
}

/// The context of one plugin call.
#[derive(Debug)]
pub struct Cx {
    now: Instant,
    unix: Duration,
    effects: Vec<Effect>,
}

impl Cx {
    /// A context for a call at `now`; `unix` is the same moment since the Unix epoch.
    pub const fn new(now: Instant, unix: Duration) -> Self {
        Self { now, unix, effects: Vec::new() }
    }

    /// The only clock a plugin has.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The same moment as wall-clock time since the Unix epoch: for expiry of tokens and for names, not for durations.
    pub const fn unix(&self) -> Duration {
        self.unix
    }

    /// What was asked for, in order.
    pub fn into_effects(self) -> Vec<Effect> {
        self.effects
    }

    /// Send an event that answers no request.
    pub fn push(&mut self, handle: HandleId, data: Value) {
        self.effects.push(Effect::Push { handle, transaction: None, data, jsep: None });
    }

    /// Send the event that answers the request with this transaction.
    pub fn answer(&mut self, handle: HandleId, transaction: String, data: Value, jsep: Option<JsepPlan>) {
        self.effects.push(Effect::Push { handle, transaction: Some(transaction), data, jsep });
    }

    /// Send an event with a description.
    pub fn push_jsep(&mut self, handle: HandleId, data: Value, jsep: JsepPlan) {
        self.effects.push(Effect::Push { handle, transaction: None, data, jsep: Some(jsep) });
    }

    /// See [`Effect::Route`].
    pub fn route(&mut self, source: RouteEnd, sink: RouteEnd) {
        self.effects.push(Effect::Route { source, sink });
    }

    /// See [`Effect::Unroute`].
    pub fn unroute(&mut self, sink: RouteEnd) {
        self.effects.push(Effect::Unroute { sink });
    }

    /// See [`Effect::Select`].
    pub fn select(&mut self, sink: RouteEnd, target: LayerTarget) {
        self.effects.push(Effect::Select { sink, target });
    }

    /// See [`Effect::Keyframe`].
    pub fn keyframe(&mut self, source: RouteEnd) {
        self.effects.push(Effect::Keyframe { source });
    }

    /// See [`Effect::Cap`].
    pub fn cap(&mut self, handle: HandleId, bitrate: u32) {
        self.effects.push(Effect::Cap { handle, bitrate });
    }

    /// See [`Effect::PlayoutDelay`].
    pub fn playout_delay(&mut self, sink: RouteEnd, delay: Option<PlayoutDelay>) {
        self.effects.push(Effect::PlayoutDelay { sink, delay });
    }

    /// See [`Effect::WatchAudio`].
    pub fn watch_audio(&mut self, source: RouteEnd, watch: Option<AudioWatch>) {
        self.effects.push(Effect::WatchAudio { source, watch });
    }

    /// See [`Effect::Record`].
    pub fn record(&mut self, source: RouteEnd, recording: Recording) {
        self.effects.push(Effect::Record { source, recording: Box::new(recording) });
    }

    /// See [`Effect::Withhold`].
    pub fn withhold(&mut self, source: RouteEnd, withheld: bool) {
        self.effects.push(Effect::Withhold { source, withheld });
    }

    /// See [`Effect::EndRecording`].
    pub fn end_recording(&mut self, source: RouteEnd) {
        self.effects.push(Effect::EndRecording { source });
    }

    /// See [`Effect::Forward`].
    pub fn forward(&mut self, source: RouteEnd, forward: Forward) {
        self.effects.push(Effect::Forward { source, forward: Box::new(forward) });
    }

    /// See [`Effect::StopForward`].
    pub fn stop_forward(&mut self, source: RouteEnd, id: u32) {
        self.effects.push(Effect::StopForward { source, id });
    }

    /// See [`Effect::Task`].
    pub fn task(&mut self, ticket: Ticket, task: Task) {
        self.effects.push(Effect::Task { ticket, task });
    }

    /// See [`Effect::Data`].
    pub fn data(&mut self, handle: HandleId, message: DataMessage) {
        self.effects.push(Effect::Data { handle, message });
    }

    /// See [`Effect::Hangup`].
    pub fn hangup(&mut self, handle: HandleId) {
        self.effects.push(Effect::Hangup { handle });
    }

    /// See [`Effect::End`].
    pub fn end(&mut self, handle: HandleId) {
        self.effects.push(Effect::End { handle });
    }

    /// See [`Effect::Notify`].
    pub fn notify(&mut self, handle: Option<HandleId>, event: Value) {
        self.effects.push(Effect::Notify { handle, event });
    }
}
