//! What operators are told while the gateway runs: event handlers, and the text of metrics.
//!
//! Invariants: telling an event never waits and never blocks; every queue has a limit, and what finds no room is counted;
//! each back end gets its events in the order in which they were told.
//!
//! Absent on purpose: what the events mean. Sessions, handles and media are other crates' business.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod events;
pub mod metrics;
