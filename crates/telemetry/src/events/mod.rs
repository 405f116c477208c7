//! Event handlers: each has a queue, and a task that passes events on to its back end.

mod event;
mod gelf;
mod handler;
mod http;
mod mqtt;
mod tls;
mod websocket;

pub use event::{Event, EventMask, EventType};
pub use gelf::{Gelf, GelfProtocol};
pub use handler::{HandlerStatus, Handlers, HandlersStatus};
pub use http::Http;
pub use mqtt::Mqtt;
pub use websocket::WebSocket;

/// An event handler that is wanted.
#[derive(Clone, Debug)]
pub struct Handler {
    /// Which events it gets.
    pub mask: EventMask,
    /// Where they go.
    pub backend: Backend,
}

/// Where events go.
#[derive(Clone, Debug)]
pub enum Backend {
    /// `janus.eventhandler.sampleevh`: HTTP POST.
    Http(Http),
    /// `janus.eventhandler.wsevh`: a WebSocket client.
    WebSocket(WebSocket),
    /// `janus.eventhandler.gelfevh`: a Graylog server.
    Gelf(Gelf),
    /// `janus.eventhandler.mqttevh`: an MQTT broker.
    Mqtt(Mqtt),
}

impl Backend {
    /// The package name that Janus' handler of this kind has.
    pub const fn package(&self) -> &'static str {
        match self {
            Self::Http(_) => "janus.eventhandler.sampleevh",
            Self::WebSocket(_) => "janus.eventhandler.wsevh",
            Self::Gelf(_) => "janus.eventhandler.gelfevh",
            Self::Mqtt(_) => "janus.eventhandler.mqttevh",
        }
    }
}

/// What has a limit that nobody needs to set.
pub mod limits {
    use std::time::Duration;

    /// Events that wait for one back end; further ones are dropped and counted.
    pub const QUEUE: usize = 16_384;
    /// Events in one message, as in Janus.
    pub const GROUP: usize = 100;
    /// How long a back end may take for one message.
    pub const PATIENCE: Duration = Duration::from_secs(10);
    /// Longest pause between two attempts.
    pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);
    /// Bytes of an answer that are read, so that its connection can be used again.
    pub const ANSWER_BYTES: usize = 65_536;
}
