//! What goes into the core and what comes out.

use portunus_api::{HandleId, SessionId, Value};
use portunus_plugin::media::{MediaCommand, MediaEvent};
use portunus_plugin::{Outcome, Task, Ticket};
use std::net::IpAddr;

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Client {
    /// A transport without connections that last: HTTP. Nobody says when it has gone.
    Connectionless,
    /// One connection; its number is never used again.
    Connection(u64),
}

impl Client {
    /// The package name of the transport, as events tell it.
    pub(crate) const fn transport(self) -> &'static str {
        match self {
            Self::Connectionless => "janus.transport.http",
            Self::Connection(_) => "janus.transport.websockets",
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
        /// The request.
        body: Value,
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
    /// The process ends: no new sessions, and the present ones end.
    Shutdown,
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
    /// Answer a long poll.
    PollVerdict {
        /// The poll's key.
        key: u64,
        /// Whether it may wait.
        verdict: PollVerdict,
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
