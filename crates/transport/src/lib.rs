//! The ways in for signalling: HTTP long poll, WebSockets, both plain and over TLS, and Unix sockets of packets, with CORS, access lists, limits
//! the demo pages and recordings.
//!
//! Invariants:
//! - Nothing here knows what a session *is*: JSON goes in as [`Inbound`], events come back through [`Mailboxes`].
//! - Every queue, buffer, wait and count has a named limit in [`Limits`] or [`Times`], and a rule for "full".
//! - An event leaves its mailbox for good only when its bytes have been handed to the kernel.
//!
//! Absent on purpose: HTTP/2, WebSocket compression, client certificates, and any meaning of a request.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod acl;
mod connection;
mod cors;
mod counters;
mod error;
mod http;
mod intake;
mod json;
mod listener;
mod mailbox;
mod monitor;
mod observer;
mod packets;
mod queries;
mod seam;
mod settings;
mod tls;
mod unix;
mod websocket;

pub use counters::{Counter, Counters};
pub use error::Error;
pub use json::{JsonFormat, Spelling, Syntax, parse, parse_all};
pub use listener::{Listening, ListeningPath, Protocol, Running, start};
pub use mailbox::Mailboxes;
pub use monitor::{Monitor, watch};
pub use observer::Observer;
pub use queries::Queries;
pub use seam::{Client, IceAnswer, IceServers, Inbound, PollVerdict, Reply, Side};
pub use settings::{
    CertificateFiles, Cors, Demo, HttpSettings, Limits, PacketSettings, Password, PingPong, Recordings,
    Settings, Times, WebSocketSettings,
};
pub use tls::why_unreadable;
