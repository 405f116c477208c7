//! Janus and Admin JSON: requests, replies, events, ids, error codes, JSEP.
//!
//! Names on the wire are Janus' names, exactly, and in Janus' key order (`serde_json` keeps insertion order).
//! Absent on purpose: sockets, clocks, sessions. This crate says what a text means and how an answer is
//! spelt, never what to do about it.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::as_conversions
    )
)]

mod admin;
mod error;
mod field;
mod guesses;
mod id;
mod jsep;
pub mod reply;
mod request;
mod spelling;
pub mod token;
mod trickle;

pub use admin::AdminVerb;
pub use error::{ApiError, ErrorCode};
pub use field::{FieldError, Kind, optional, require};
pub use guesses::Guesses;
pub use id::{HandleId, SessionId};
pub use jsep::{Jsep, JsepKind, Svc};
pub use request::{Refusal, Request, Verb};
pub use serde_json::{Map, Value, json};
pub use spelling::{JsonFormat, Spelling};
pub use trickle::{Trickle, Trickled};

/// A JSON object with its keys in the order they were written.
pub type Object = Map<String, Value>;
