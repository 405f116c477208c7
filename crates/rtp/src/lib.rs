//! RTP and RTCP for a forwarding engine: views, rewriting, header extensions, codec descriptors, layer choice,
//! sequence mapping, retransmission store, reception statistics and feedback.
//!
//! Purpose: everything between a decrypted packet and a packet ready to be sealed, in plain structs.
//! Invariants: parsers are total; nothing on the packet path allocates in steady state; time is passed in as
//! microseconds of one monotonic clock (`now_us`), never read; every table has a named limit.
//! Deliberately absent: sockets, encryption, bandwidth estimation, SDP.

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

pub mod codec;
pub mod error;
pub mod extension;
pub mod layers;
pub mod mapping;
mod num;
pub mod packet;
pub mod receive;
pub mod rtcp;
pub mod store;
#[cfg(test)]
mod testing;
pub mod twcc;
mod window;
pub mod write;

pub use error::RtpError;
