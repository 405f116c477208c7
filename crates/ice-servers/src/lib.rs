//! ICE servers: those that clients are told to use, and TURN credentials from services that know them.
//!
//! - [`Source`] makes the answer to clients: from the settings, with credentials that are minted for a while, or as an
//!   authentication service in front of TURN servers says it (STUNner's, say).
//! - [`rest`] fetches credentials for our own use of a TURN server (`turn_rest_api`).
//!
//! Invariants: what a service answers is read into values of ours and checked before anybody gets it; every answer has a
//! limit of size and time; secrets and passwords never show in `Debug`, an error or the log.
//!
//! Absent on purpose: who may ask, which is the transport's business, and any use of what is fetched.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod answer;
mod fetch;
mod hidden;
mod ice_url;
mod mint;
pub mod rest;
mod service;
mod source;
#[cfg(test)]
mod testing;

pub use answer::{Answer, IceServer, Policy};
pub use fetch::{Error, ServiceUrl};
pub use hidden::Hidden;
pub use ice_url::{BadUrl, IceUrl, TurnUrl};
pub use mint::{Credentials, mint};
pub use service::AuthService;
pub use source::{Login, Source};

/// Sizes and times.
pub mod limits {
    use std::time::Duration;

    /// Bytes of a service's answer.
    pub const ANSWER_BYTES: usize = 64 << 10;
    /// ICE servers in an answer, and addresses of one of them.
    pub const SERVERS: usize = 32;
    /// Bytes of a user name or a password; TURN itself allows 513.
    pub const CREDENTIAL_BYTES: usize = 512;
    /// How long an authentication service may take, waiting for a place included.
    pub const SERVICE: Duration = Duration::from_secs(3);
    /// Requests to an authentication service at a time; further ones wait.
    pub const IN_FLIGHT: usize = 16;
    /// How long credentials may be valid, seconds; longer ones are fetched again by then.
    pub const TTL: u64 = 7 * 86_400;
    /// How long credentials are valid whose service does not say so, seconds: what the draft recommends.
    pub const USUAL_TTL: u64 = 86_400;
    /// A failure of the service is logged so often at most.
    pub const COMPLAINT: Duration = Duration::from_secs(10);
}
