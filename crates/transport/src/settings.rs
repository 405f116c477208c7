//! Everything that can be set, as plain data with Janus' defaults.

use crate::{IceServers, Observer, Spelling};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// All listeners of a process.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The Janus API over HTTP.
    pub http: Option<HttpSettings>,
    /// The Janus API over WebSockets.
    pub websockets: Option<WebSocketSettings>,
    /// The Admin API over HTTP.
    pub admin_http: Option<HttpSettings>,
    /// The Admin API over WebSockets.
    pub admin_websockets: Option<WebSocketSettings>,
    /// The Janus API over a Unix socket of packets.
    pub packets: Option<PacketSettings>,
    /// The Admin API over a Unix socket of packets.
    pub admin_packets: Option<PacketSettings>,
    /// What is served below `/demos/` on the HTTP listeners of the Janus API; nothing when empty.
    pub demos: Vec<Demo>,
    /// What is served below `/recordings/` there; nothing when absent.
    pub recordings: Option<Recordings>,
    /// What is handed out at `BASE/ice-servers` on the HTTP listeners of the Janus API; nothing when absent.
    pub ice_servers: Option<Arc<dyn IceServers>>,
    /// Who is told of requests and connections.
    pub observer: Observer,
    /// Sizes and counts.
    pub limits: Limits,
    /// Waits and deadlines.
    pub times: Times,
}

/// HTTP listeners of one API, plain and TLS.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Plain listeners. `[::]` falls back to `0.0.0.0` on a machine without IPv6.
    pub addresses: Vec<SocketAddr>,
    /// TLS listeners; need `certificate`.
    pub secure_addresses: Vec<SocketAddr>,
    /// Where the API begins, `/janus`; a trailing slash is dropped, `/` is allowed.
    pub base_path: String,
    /// How JSON is spelt in answers.
    pub format: Spelling,
    /// Textual prefixes of addresses that may connect; all when empty.
    pub acl: Vec<String>,
    /// The list looks at `X-Forwarded-For` instead of the connection's address.
    pub acl_forwarded: bool,
    /// Cross-origin rules.
    pub cors: Cors,
    /// Certificate and key for the TLS listeners.
    pub certificate: Option<CertificateFiles>,
    /// Connections at a time, plain and TLS together (`mhd_connection_limit`).
    pub connections: usize,
    /// Connections at a time from one address; 0 = no such limit. Off by default: behind a reverse proxy every
    /// client has the proxy's address.
    pub connections_per_address: usize,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            secure_addresses: Vec::new(),
            base_path: "/janus".into(),
            format: Spelling::default(),
            acl: Vec::new(),
            acl_forwarded: false,
            cors: Cors::default(),
            certificate: None,
            connections: 1020,
            connections_per_address: 0,
        }
    }
}

/// WebSocket listeners of one API, plain and TLS.
#[derive(Clone, Debug)]
pub struct WebSocketSettings {
    /// Plain listeners. `[::]` falls back to `0.0.0.0` on a machine without IPv6.
    pub addresses: Vec<SocketAddr>,
    /// TLS listeners; need `certificate`.
    pub secure_addresses: Vec<SocketAddr>,
    /// Paths to listen on, plain.
    pub unix: Vec<PathBuf>,
    /// Paths to listen on, with TLS; need `certificate`.
    pub secure_unix: Vec<PathBuf>,
    /// How JSON is spelt in answers.
    pub format: Spelling,
    /// Textual prefixes of addresses that may connect; all when empty. Who comes by a path has the address 127.0.0.1.
    pub acl: Vec<String>,
    /// The list looks at `X-Forwarded-For` instead of the connection's address.
    pub acl_forwarded: bool,
    /// Cross-origin rules.
    pub cors: Cors,
    /// Certificate and key for the TLS listeners.
    pub certificate: Option<CertificateFiles>,
    /// `pingpong_trigger` and `pingpong_timeout`, when both are set.
    pub ping_pong: Option<PingPong>,
    /// Connections at a time, plain and TLS together.
    pub connections: usize,
    /// Connections at a time from one address; 0 = no such limit.
    pub connections_per_address: usize,
}

impl Default for WebSocketSettings {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            secure_addresses: Vec::new(),
            unix: Vec::new(),
            secure_unix: Vec::new(),
            format: Spelling::default(),
            acl: Vec::new(),
            acl_forwarded: false,
            cors: Cors::default(),
            certificate: None,
            ping_pong: None,
            connections: 16_384,
            connections_per_address: 0,
        }
    }
}

/// A Unix socket of packets, each a JSON text.
#[derive(Clone, Debug)]
pub struct PacketSettings {
    /// Where it is made. Only its owner and his group may use it.
    pub path: PathBuf,
    /// `SOCK_DGRAM` in the place of `SOCK_SEQPACKET`.
    pub datagrams: bool,
    /// How JSON is spelt in answers.
    pub format: Spelling,
    /// Clients at a time.
    pub connections: usize,
}

/// Cross-origin rules.
#[derive(Clone, Debug, Default)]
pub struct Cors {
    /// `allow_origin`; `*` when absent.
    pub allow_origin: Option<String>,
    /// `enforce_cors`: requests of another origin, or of none, are refused. Needs `allow_origin`.
    pub enforce: bool,
}

/// Folders of recordings.
#[derive(Clone, Debug)]
pub struct Recordings {
    /// The folders: what is below them is listed, and served to whoever may see it.
    pub roots: Vec<PathBuf>,
    /// Folders below them that are not.
    pub barred: Vec<PathBuf>,
    /// What is put behind the name of a recording while it is written (`recordings_tmp_ext`).
    pub temporary: Option<String>,
    /// Asked of everybody. Without one, recordings are for clients of this machine only.
    pub password: Option<Password>,
}

/// PEM files of a TLS listener.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The certificate, followed by its intermediates.
    pub certificate: PathBuf,
    /// The private key (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
    /// What a PKCS#8 key is encrypted with. Older encrypted forms are refused.
    pub password: Option<Password>,
}

/// A password; its debug output does not tell it.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// When an idle WebSocket is pinged and when it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PingPong {
    /// Silence before a ping.
    pub trigger: Duration,
    /// Silence after the ping before the connection is closed.
    pub timeout: Duration,
}

/// One thing below `/demos/`.
#[derive(Clone, Debug)]
pub struct Demo {
    /// Its place in the URL: empty for `/demos/` itself, `janus.js` for `/demos/janus.js`. The first match of the
    /// list wins.
    pub name: String,
    /// A folder, served with all below it, or one file.
    pub path: PathBuf,
}

/// Sizes and counts.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of an HTTP request body; more is 413.
    pub body: usize,
    /// Bytes of an HTTP request head, at least 8,192; more is 431.
    pub head: usize,
    /// Header lines of a request; more is 431.
    pub headers: usize,
    /// Long polls waiting on one session; the oldest gets its keepalive early when one more comes.
    pub polls_per_session: usize,
    /// Events kept for one session, the oldest is dropped; also messages waiting in one WebSocket, which is closed
    /// when it is full.
    pub queued_events: usize,
    /// Bytes of those, roughly.
    pub queued_bytes: usize,
    /// Bytes of a WebSocket message.
    pub message: usize,
    /// Bytes of events and replies waiting in all sessions and WebSockets together; once they are used up, each
    /// session and WebSocket has room for 64 KiB.
    pub queued_bytes_total: usize,
    /// Bytes of requests that have been read, in part or whole, and are not answered, of all connections together;
    /// each has 16 KiB free. A connection that needs more when they are used up is closed.
    pub unanswered_bytes: usize,
    /// Requests of one WebSocket that wait for an answer; it is not read further until one comes.
    pub requests_in_flight: usize,
    /// Bytes a second read from one connection, after a burst of four seconds' worth; it is read more slowly
    /// beyond. 0 = as fast as they come.
    pub read_rate: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1 << 20,
            head: 32 << 10,
            headers: 100,
            polls_per_session: 16,
            queued_events: 1000,
            queued_bytes: 4 << 20,
            queued_bytes_total: 128 << 20,
            unanswered_bytes: 64 << 20,
            message: 1 << 20,
            requests_in_flight: 64,
            read_rate: 1 << 20,
        }
    }
}

/// Waits and deadlines.
#[derive(Clone, Debug)]
pub struct Times {
    /// A long poll without events.
    pub poll: Duration,
    /// An answer of the core over HTTP; then the connection is closed without a reply.
    pub reply: Duration,
    /// From the first byte of a request head to its last; also the longest TLS handshake.
    pub head: Duration,
    /// The whole body of a request.
    pub body: Duration,
    /// An HTTP connection between requests. A WebSocket that has been silent for so long is pinged and given as
    /// long again to answer.
    pub idle: Duration,
    /// A write that makes no progress at all.
    pub write: Duration,
    /// How long a connection must have been idle, in its handshake, its head or its body before a newcomer may take
    /// its place when all are taken.
    pub evictable: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(30),
            reply: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(120),
            write: Duration::from_secs(30),
            evictable: Duration::from_secs(1),
        }
    }
}
