//! What crosses between the transports and whoever owns the sessions.

use crate::connection::Pulse;
use crate::mailbox::Outgoing;
use portunus_api::{SessionId, Value};
use std::fmt::Debug;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Who sent a request.
///
/// HTTP has no connection that lasts, so all of HTTP is one client; a WebSocket connection is a client of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Client {
    /// Any HTTP request, whatever its connection.
    Http,
    /// One WebSocket connection; numbers are never used twice in a process.
    Connection(u64),
    /// One client of a Unix socket of packets; its number is no connection's.
    Unix(u64),
}

impl Client {
    /// The number of its outgoing queue.
    pub(crate) fn number(self) -> Option<u64> {
        match self {
            Self::Http => None,
            Self::Connection(number) | Self::Unix(number) => Some(number),
        }
    }
}

/// Which of the two APIs a listener serves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// The Janus API.
    Janus,
    /// The Admin API.
    Admin,
}

/// What a transport tells the owner of the sessions.
#[derive(Debug)]
pub enum Inbound {
    /// A request, to be answered once.
    Request {
        /// Who asks.
        client: Client,
        /// Which API it asks.
        side: Side,
        /// The address of the other end of the TCP connection.
        address: IpAddr,
        /// The number of the request (HTTP) or connection, as event handlers are told it.
        origin: u64,
        /// Over HTTP a JSON object with the `session_id` and `handle_id` of the path merged in; over WebSockets
        /// any object or array.
        body: Value,
        /// Where the answer goes. Dropping it unanswered closes an HTTP connection without a reply.
        reply: Reply,
    },
    /// A long poll wants to start: secret or token must be checked, and the session's clock is refreshed.
    Poll {
        /// The session of the path, never 0.
        session: SessionId,
        /// The `apisecret` argument.
        secret: Option<String>,
        /// The `token` argument.
        token: Option<String>,
        /// May it wait?
        reply: oneshot::Sender<PollVerdict>,
    },
    /// Somebody wants what is no request of the API, and is to be let in like one.
    Entry {
        /// The `apisecret` that it came with.
        secret: Option<String>,
        /// The `token` that it came with.
        token: Option<String>,
        /// Whether either is right, or none is wanted.
        reply: oneshot::Sender<bool>,
    },
    /// A connection-oriented client has gone. Sent once, after the last of its requests.
    Gone {
        /// Which one.
        client: Client,
    },
}

/// Who knows the ICE servers that clients are to use.
pub trait IceServers: Debug + Send + Sync {
    /// Whether there is anything to hand out. Without, its path is like any other that leads nowhere.
    fn is_on(&self) -> bool;

    /// The answer to a client now, or why there is none, in words for the client.
    fn hand_out(&self) -> IceAnswer<'_>;
}

/// The wait for it.
pub type IceAnswer<'a> = Pin<Box<dyn Future<Output = Result<Value, &'static str>> + Send + 'a>>;

/// Whether a long poll may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PollVerdict {
    /// It may.
    Ok,
    /// Wrong secret or token: an empty 403.
    Forbidden,
    /// No such session: an empty 404.
    NotFound,
}

/// The way back for the one answer to a request.
///
/// For a WebSocket the answer joins the connection's outgoing queue, so replies and events leave in exactly the
/// order in which they were given to the transport.
#[derive(Debug)]
pub struct Reply(Way);

#[derive(Debug)]
enum Way {
    Once(oneshot::Sender<Value>, Option<Arc<Pulse>>),
    // The permit counts the requests in flight of one connection; it ends with the reply.
    Queue(Arc<Outgoing>, #[allow(dead_code, reason = "held for its Drop")] OwnedSemaphorePermit),
}

impl Reply {
    /// A reply that somebody in this process awaits.
    pub fn channel() -> (Self, oneshot::Receiver<Value>) {
        let (tx, rx) = oneshot::channel();
        (Self(Way::Once(tx, None)), rx)
    }

    /// A reply that the connection behind `pulse` waits for.
    pub(crate) fn to(pulse: &Arc<Pulse>) -> (Self, oneshot::Receiver<Value>) {
        let (tx, rx) = oneshot::channel();
        (Self(Way::Once(tx, Some(pulse.clone()))), rx)
    }

    /// The answer is held back for a while: its connection gives way when others need the place.
    pub fn hold(&self) {
        if let Way::Once(_, Some(pulse)) = &self.0 {
            pulse.on_held();
        }
    }

    /// Answers. An asker that has gone is no error.
    pub fn send(self, answer: Value) {
        match self.0 {
            Way::Once(tx, _) => drop(tx.send(answer)),
            Way::Queue(outgoing, _) => drop(outgoing.push(None, answer.into())),
        }
    }

    pub(crate) fn queued(outgoing: Arc<Outgoing>, permit: OwnedSemaphorePermit) -> Self {
        Self(Way::Queue(outgoing, permit))
    }
}
