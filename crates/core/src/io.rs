//! What goes into the core and what comes out.

use crate::{Reload, Tuning};
use portunus_api::{HandleId, Object, SessionId, Value};
use portunus_plugin::media::{MediaCommand, MediaEvent};
use portunus_plugin::recording::Recording;
use portunus_plugin::{Outcome, RouteEnd, Task, Ticket};
use std::net::IpAddr;
use std::time::Duration;

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Client {
    /// A transport without connections that last: HTTP. Nobody says when it has gone.
    Connectionless,
    /// One connection; its number is never used again.
    Connection(u64),
    /// One client of a Unix socket; its number is no connection's.
    Unix(u64),
}

impl Client {
    /// The package name of the transport, as events tell it.
    pub(crate) const fn transport(self) -> &'static str {
        match self {
            Self::Connectionless => "janus.transport.http",
            Self::Connection(_) => "janus.transport.websockets",
            Self::Unix(_) => "janus.transport.pfunix",
        }
    }
}

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// A request of the Janus API. Answered by one [`Output::Reply`] with its key.
    Request {
        /// Chosen by the caller.
        key: u64,
        /// Who asks.
        client: Client,
        /// From where.
        address: IpAddr,
        /// The number of the request or connection, as event handlers are told it.
        origin: u64,
        /// The request.
        body: Value,
    },
    /// A request of the Admin API. Answered by one [`Output::Reply`] or [`Output::SlowReply`] with its key.
    AdminRequest {
        /// Chosen by the caller.
        key: u64,
        /// From where.
        address: IpAddr,
        /// The request.
        body: Value,
    },
    /// The answer to an [`Output::Ask`]. It may come too late.
    Answer {
        /// The question's number.
        question: u64,
        /// What the reply shall tell; `None` if there is nothing to tell.
        answer: Option<Object>,
    },
    /// A long poll begins. Answered by one [`Output::PollVerdict`] with its key.
    Poll {
        /// Chosen by the caller.
        key: u64,
        /// The session to be polled.
        session: SessionId,
        /// The secret it came with.
        secret: Option<String>,
        /// The token it came with.
        token: Option<String>,
    },
    /// Somebody wants to be let in like a request. Answered by one [`Output::EntryVerdict`] with its key.
    Entry {
        /// Chosen by the caller.
        key: u64,
        /// The secret it came with.
        secret: Option<String>,
        /// The token it came with.
        token: Option<String>,
    },
    /// A connection is closed; nothing more comes of it.
    ClientGone {
        /// Which.
        client: Client,
    },
    /// The media engine tells something of a handle.
    Media {
        /// The handle.
        handle: HandleId,
        /// What.
        event: MediaEvent,
    },
    /// What an [`Output::Task`] came to. Tasks that were given up in the meantime may be told, too.
    TaskDone {
        /// The plugin's package name, as in the output.
        plugin: &'static str,
        /// Its ticket.
        ticket: Ticket,
        /// What became of it.
        outcome: Outcome,
    },
    /// The time of [`Core::poll_timeout`](crate::Core::poll_timeout) has come (or any other).
    Timeout,
    /// The process is to end: no new sessions; the present ones go on.
    Drain,
    /// The process ends: no new sessions, and the present ones end.
    Shutdown,
    /// Settings were read again.
    Reload(Box<Reload>),
}

/// Something to do.
#[derive(Debug)]
pub enum Output {
    /// Answer a request.
    Reply {
        /// The request's key.
        key: u64,
        /// The answer.
        json: Value,
    },
    /// Answer a request of somebody who guesses secrets, after a while: so guessing is slow, and whoever knows the
    /// secret need not wait.
    SlowReply {
        /// The request's key.
        key: u64,
        /// The answer.
        json: Value,
        /// How long it is held back.
        delay: Duration,
    },
    /// Find something out that the core cannot know; [`Input::Answer`] brings it.
    Ask {
        /// The question's number.
        question: u64,
        /// What to find out.
        what: Question,
    },
    /// Settings were changed while running: these are in effect from now on.
    Tune(Box<Tuning>),
    /// An operator wants the process to end when the last handle is gone, or when the time is over; `None`: the time that is
    /// set for it.
    Drain(Option<Duration>),
    /// Record a medium; [`MediaEvent::Recording`](portunus_plugin::MediaEvent::Recording) tells what becomes of it.
    Record {
        /// The medium.
        source: RouteEnd,
        /// Where, and what it is.
        recording: Box<Recording>,
    },
    /// End the recording of a medium, if there is one.
    EndRecording {
        /// The medium.
        source: RouteEnd,
    },
    /// A capture ends.
    StopCapture {
        /// Of which handle.
        handle: HandleId,
    },
    /// A line for the log (`custom_logline`), at a level of [`Tuning::log_level`].
    LogLine {
        /// 1 fatal to 7 debug.
        level: u8,
        /// The line.
        line: String,
    },
    /// Answer a long poll.
    PollVerdict {
        /// The poll's key.
        key: u64,
        /// Whether it may wait.
        verdict: PollVerdict,
    },
    /// Let somebody in, or not.
    EntryVerdict {
        /// The key of its input.
        key: u64,
        /// Its secret or token was right, or none is wanted.
        allowed: bool,
    },
    /// An event for the client of a session.
    Event {
        /// The session.
        session: SessionId,
        /// The event.
        json: Value,
    },
    /// A session begins; its events go to this client.
    SessionOpened {
        /// The session.
        session: SessionId,
        /// Its owner.
        client: Client,
    },
    /// A session's events go to another client from now on.
    SessionClaimed {
        /// The session.
        session: SessionId,
        /// Its new owner.
        client: Client,
    },
    /// A session has ended; no event of it follows.
    SessionClosed {
        /// The session.
        session: SessionId,
    },
    /// Close this client's connection when what there is for it has been sent: it has nothing here any more, and another one may lead
    /// it to another server.
    Dismiss {
        /// Whose.
        client: Client,
    },
    /// Tell the media engine.
    Media(MediaCommand),
    /// Do something outside, where nobody waits for it; [`Input::TaskDone`] tells the end.
    Task {
        /// The plugin's package name. Tickets of different plugins may be the same number.
        plugin: &'static str,
        /// The plugin's ticket.
        ticket: Ticket,
        /// What to do.
        task: Task,
    },
    /// Tell event handlers. Only with [`Settings::broadcast`](crate::Settings::broadcast).
    Notify(Box<Notice>),
}

/// What an operator asks of the world around the core.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// `resolve_address`: `ip` of a host name and `elapsed` microseconds.
    Resolve {
        /// Name or address.
        address: String,
    },
    /// `test_stun`: `public_ip` and `public_port` as a STUN server sees them, and `elapsed` microseconds.
    Stun {
        /// The server's name or address.
        address: String,
        /// Its port.
        port: u16,
        /// The port to ask from; 0 for any.
        local_port: u16,
    },
    /// `query_transport`: the transport's `response`.
    Transport {
        /// `janus.transport.http`
        package: String,
        /// The request it is asked.
        request: Object,
    },
    /// `query_eventhandler`: the handler's `response`.
    EventHandler {
        /// `janus.eventhandler.sampleevh`
        package: String,
        /// The request it is asked.
        request: Object,
    },
    /// `start_pcap`, `start_text2pcap`: a file is to be opened, and to get the packets of a handle: `handle_id`, and
    /// `file`, its name. An answer that comes too late is followed by [`Output::StopCapture`].
    StartCapture {
        /// Whose packets.
        handle: HandleId,
        /// Hex text instead of binary.
        text: bool,
        /// Where.
        folder: Option<String>,
        /// The file's name; one of our choice if absent.
        file: Option<String>,
        /// Bytes of a packet that are kept at most.
        truncate: Option<usize>,
    },
    /// `loops_info`: `loops`, the media workers.
    Loops,
}

/// Whether a long poll may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollVerdict {
    /// It may.
    Ok,
    /// Wrong secret or token.
    Forbidden,
    /// No such session.
    NotFound,
}

/// Something event handlers want to know; emitter and timestamp are added by whoever sends it.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The type: 1 session, 2 handle, 8 jsep, 16 webrtc, 32 media, 64 plugin.
    pub kind: u16,
    /// The type's subtype, if it has any.
    pub subtype: Option<u8>,
    /// The session.
    pub session: Option<SessionId>,
    /// The handle.
    pub handle: Option<HandleId>,
    /// The handle's opaque id.
    pub opaque_id: Option<String>,
    /// The event itself.
    pub event: Value,
}
