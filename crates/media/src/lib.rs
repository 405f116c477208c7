//! The media engine: workers, sockets, ICE, DTLS, SRTP, SCTP, peers and routes.
//!
//! Control tells it what it wants by [`MediaCommand`](portunus_plugin::media::MediaCommand) and hears of it by
//! [`MediaEvent`](portunus_plugin::media::MediaEvent); the two share nothing else. A packet is read, opened,
//! chosen, rewritten, sealed and sent on one thread: `worker` is the loop, `peer` what happens to one
//! PeerConnection, `socket` the system calls.
//!
//! Absent on purpose: an async runtime, locks on the packet path, files, name look-ups on a worker.

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

mod addresses;
#[cfg(feature = "bench")]
pub mod bench;
pub mod certificate;
#[cfg(feature = "client")]
pub mod client;
mod clock;
mod dtls;
mod egress;
mod engine;
mod ice;
mod mdns;
mod meter;
mod mirror;
mod peer;
mod placement;
mod random;
mod reflexive;
mod sctp;
mod settings;
#[cfg(test)]
mod simulation;
mod socket;
mod status;
mod tcp;
mod turn;
mod wheel;
mod worker;

/// The addresses of the network interface with this name, if it is up.
///
/// # Errors
/// The system does not tell.
pub fn interface_addresses(name: &str) -> std::io::Result<Vec<std::net::IpAddr>> {
    let all = socket::interface_addresses()?;
    Ok(all.into_iter().filter(|a| a.name == name).map(|a| a.ip).collect())
}

/// The addresses of this machine that an engine with these settings listens on, best first.
///
/// # Errors
/// The system does not tell.
pub fn usable_addresses(settings: &Settings) -> std::io::Result<Vec<std::net::IpAddr>> {
    let all = socket::interface_addresses()?;
    Ok(addresses::usable(&all, settings).into_iter().map(|address| address.ip()).collect())
}

pub use certificate::Certificate;
pub use engine::{Engine, Error, MAX_WORKERS};
pub use reflexive::ask_stun_server;
pub use settings::{Settings, Tuning};
pub use status::{MediaTotals, Runs, Statuses, WorkerStatus};
pub use turn::{MAX_TURN_SERVERS, TurnServer, TurnServers, TurnTransport, TurnTrust};
