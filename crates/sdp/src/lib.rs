//! Session descriptions: an offer or answer into typed values, a plan into Janus-shaped text.
//!
//! The way through this crate is always the same:
//!
//! 1. [`Description::parse`] turns the client's SDP into a [`Description`] (bounded, no control characters);
//! 2. a plugin makes a [`Plan`] of it ([`Plan::answer`], [`Plan::relay`]) or of nothing ([`Plan::offer`]);
//! 3. the worker that owns the peer supplies a [`LocalTransport`] (credentials, candidates, SSRCs);
//! 4. [`write()`] turns plan and transport into text; [`negotiate()`] tells the worker what was agreed.
//!
//! Invariants: parsing checks size, lines and characters before it looks at a value, is linear in the
//! text and never panics; writing emits typed fields only and never a control character, so no value of
//! one peer can add a line to another peer's SDP.
//!
//! Deliberately absent: sessions, state of an offer/answer exchange, ICE or DTLS behaviour, clocks and
//! random numbers (ids, versions and SSRCs are given by the caller).
#![forbid(unsafe_code)]
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
#![warn(missing_docs)]

mod candidate;
mod codec;
mod description;
mod error;
pub mod ext;
pub mod limits;
mod local;
mod negotiate;
mod parse;
mod plan;
mod text;
mod value;
mod write;

pub use candidate::{Candidate, CandidateAddress, CandidateKind, CandidateTransport, TcpType};
pub use codec::{Codec, RED_PAYLOAD_TYPE, TELEPHONE_EVENT_PAYLOAD_TYPE};
pub use description::{Description, Media, RemoteTransport, Simulcast};
pub use error::Error;
pub use local::{LocalSsrc, LocalTransport};
pub use negotiate::{Negotiated, NegotiatedPayload, negotiate};
pub use plan::{
    AnswerDirections, AnswerOptions, Kind, Layout, OfferCodec, OfferMedia, Plan, PlanMedia, SentLayers,
};
pub use value::{
    Bandwidth, Direction, Extension, Fingerprint, HashFunction, MediaKind, Msid, Origin, Payload, Rid,
    RidDirection, RidOrder, Sctp, Setup, SimulcastLine, SsrcGroup, SsrcSemantics,
};
pub use write::write;
