//! Bandwidth estimation towards one receiver: how much its network carries, when to probe for more, how to spread
//! what exceeds it, and which layers fit into it.
//!
//! Purpose: [`Controller`] estimates from transport-wide feedback (delay as in draft-ietf-rmcat-gcc-02, loss,
//! acknowledged bitrate, probe clusters), or from REMB and receiver reports where there is none; [`Pacer`] is the
//! budget of a sender; [`Allocator`] chooses the layers of several streams.
//! Invariants: time is passed in as microseconds of one monotonic clock; every estimate lies between
//! [`MIN_BITRATE`] and [`MAX_BITRATE`]; nothing is allocated after construction; no input panics.
//! Deliberately absent: RTP, RTCP, sockets: numbers, sizes and times come in as plain values.

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

mod allocate;
mod arrival;
mod blind;
mod controller;
mod loss;
mod num;
mod pacer;
mod probe;
mod rate;
mod sent;
#[cfg(test)]
mod simulation;
mod trend;
mod window;

pub use allocate::{Allocation, Allocator, Costs, Layer, MAX_LAYERS, Stream};
pub use controller::{Controller, FEEDBACK_TIMEOUT_US, REPORT_TIMEOUT_US, Settings};
pub use pacer::Pacer;
pub use probe::Probe;
pub use sent::HISTORY;

/// No estimate is lower, bits per second.
pub const MIN_BITRATE: u64 = 50_000;
/// No estimate is higher, bits per second.
pub const MAX_BITRATE: u64 = 100_000_000;
/// Where an estimate begins, bits per second.
pub const START_BITRATE: u64 = 300_000;
/// Where an estimate falls to while nothing is heard of the receiver, bits per second.
pub const SAFE_BITRATE: u64 = 150_000;

const SECOND_US: u64 = 1_000_000;

const fn bounded(rate: u64) -> u64 {
    if rate < MIN_BITRATE {
        MIN_BITRATE
    } else if rate > MAX_BITRATE {
        MAX_BITRATE
    } else {
        rate
    }
}
