//! SRTP and SRTCP (RFC 3711, RFC 7714): protect and unprotect in place, for the profiles DTLS-SRTP negotiates.
//!
//! One [`Sealer`] holds the keys of everything we send on a connection, one [`Opener`] those of everything we
//! receive. Both are told nothing but bytes: no clock, no randomness, no socket.
//!
//! Invariants
//! - No allocation per packet: state is made once per SSRC, key schedules and HMAC states once per key.
//! - One (key, SSRC, index) seals one byte string. A [`Sealer`] owns its [`MasterKey`] (which cannot be cloned),
//!   lends each SSRC's [`SendState`] to one owner only, never forgets an SSRC, and refuses an index that is not
//!   above the highest. The two ways below the highest are explicit and checked against what was sent:
//!   [`Sealer::reprotect_rtp`] yields the identical packet or nothing, [`Sealer::protect_late_rtp`] takes an
//!   index only if it was never used.
//! - Replay state is made and moved only after authentication. Whatever arrives, nothing panics.
//!
//! Deliberately absent: MKI, key derivation rates other than 0, unencrypted SRTCP, encrypted header extensions
//! (RFC 6904) and Cryptex: no browser negotiates them with DTLS-SRTP as Janus offers it.
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

mod cipher;
mod index;
mod keys;
mod open;
mod packet;
mod profile;
mod seal;

pub use index::PacketIndex;
pub use keys::MasterKey;
pub use open::{MAX_REPLAY_WINDOW, Opened, Opener, OpenerLimits};
pub use packet::{MAX_PACKET_LEN, rtp_header_len};
pub use profile::{MAX_RTCP_OVERHEAD, MAX_RTP_OVERHEAD, Profile};
pub use seal::{MAX_KEPT, MAX_SEND_STREAMS, Sealer, SendState};

/// Why a packet or a key was refused. After an error the content of the packet buffer is unspecified (AES-GCM
/// wipes what it could not authenticate); the state of the [`Sealer`] or [`Opener`] is what it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Error {
    /// Not an RTP or RTCP packet: wrong version, too short, a header longer than the packet, or longer than
    /// [`MAX_PACKET_LEN`].
    #[error("malformed packet")]
    Malformed,
    /// The tag does not match: forged, damaged, or sealed with another key or roll-over count.
    #[error("authentication failed")]
    Authentication,
    /// This index was opened before.
    #[error("replayed packet")]
    Replay,
    /// The index lies below the window of the stream: a replay cannot be told from a late packet.
    #[error("packet older than the window")]
    TooOld,
    /// SRTCP with a clear E bit. Authentic or not, we negotiate encryption.
    #[error("unencrypted SRTCP")]
    NotEncrypted,
    /// Sending: the index is not above the highest of its SSRC, or, for a late packet, was used before.
    #[error("packet index not above the highest sealed")]
    IndexNotAscending,
    /// 2^48 RTP or 2^31 RTCP packets of one SSRC: the key must not be used any further (RFC 3711, 9.2).
    #[error("packet index exhausted")]
    IndexExhausted,
    /// No room for the tag (and the SRTCP index) behind the packet.
    #[error("no room for the tag")]
    BufferTooSmall,
    /// A retransmission would differ from what was sealed under its index.
    #[error("retransmission differs from the packet sealed before")]
    NotIdentical,
    /// The SSRC's state is lent out, or the state belongs to another SSRC or another [`Sealer`].
    #[error("stream state is not the one of this SSRC and sealer")]
    WrongState,
    /// More SSRCs than [`MAX_SEND_STREAMS`] were sent with one key.
    #[error("too many streams")]
    TooManyStreams,
    /// Key or salt have not the length the profile asks for.
    #[error("wrong length of key material")]
    KeyLength,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer, and with it its keys, may move to another worker.
    #[test]
    fn everything_can_move_between_threads() {
        fn movable<T: Send + 'static>() {}
        movable::<MasterKey>();
        movable::<Sealer>();
        movable::<SendState>();
        movable::<Opener>();
    }
}
