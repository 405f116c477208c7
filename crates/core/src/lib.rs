//! Sessions, handles, transactions, authorisation, timeouts and the offer/answer state of every handle.
//!
//! [`Core`] is a pure state machine: [`Core::handle_input`] takes what happened and the time, [`Core::poll_output`]
//! yields what to do about it, [`Core::poll_timeout`] says when to come again.
//!
//! Invariants:
//! - Every input is followed by a full drain of the outputs before the next input.
//! - Outputs are in the order in which a client may see their effects: a reply before the events it causes, a plugin's
//!   event about the end of media before the `hangup` event.
//! - A plugin is called, never calls back; what it asked for is carried out after the call has returned. A panic inside
//!   a call ends the handle it was about and nothing else.
//! - Everything that grows has a limit in [`Settings`] or [`limits`].
//!
//! Deliberately absent: sockets, threads, clocks and random numbers (all given), packets, and any SDP text other than
//! the one parsed on the way in and the one written on the way out by `portunus-sdp`.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod admin;
mod auth;
mod exchange;
mod handle;
mod info;
mod io;
mod machine;
mod media;
mod notices;
mod plugins;
mod questions;
mod request;
mod session;
mod settings;
mod tasks;
mod timers;
mod tokens;
mod trickle;

pub use info::{ModuleInfo, ServerInfo};
pub use io::{Client, Input, Notice, Output, PollVerdict, Question};
pub use machine::{Core, Counters, Random};
pub use settings::{Reload, Settings, Tuning, limits};
