//! Layer choice of one sink: which packets of a layered publisher it gets.
//!
//! Purpose: [`simulcast::SimulcastSelector`] for streams sent several times, [`svc::SvcSelector`] for one stream
//! with spatial layers; both with a temporal limit.
//! Invariants: a change takes effect only where the receiver can follow it; all packets of one frame share one
//! verdict; events are coalesced, at most one of each kind waits.
//! Deliberately absent: bandwidth (the caller sets the targets), and numbering (`mapping`).

pub mod simulcast;
pub mod svc;
mod temporal;

pub use simulcast::SimulcastSelector;
pub use svc::SvcSelector;

/// Layers of each dimension that can be chosen from; Janus knows 0, 1 and 2.
pub const MAX_LAYERS: usize = 3;
/// Default time without packets before a lower substream is taken.
pub const DEFAULT_FALLBACK_US: u64 = 250_000;
/// While a layer is waited for, a keyframe is asked for at most this often.
pub const ASK_INTERVAL_US: u64 = 1_000_000;

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Send it. `set_marker`: it ends the picture for this sink although the publisher's marker may come later.
    Forward {
        /// Set the marker bit; otherwise it stays as it is.
        set_marker: bool,
    },
    /// Of the stream in force, but above the limits: to be mapped away ([`crate::mapping::SinkStream::on_drop`]).
    Discard,
    /// Of a stream that is not in force: nothing to do.
    Ignore,
}

impl Verdict {
    /// Send unchanged.
    pub const FORWARD: Self = Self::Forward { set_marker: false };
}

/// What a selector has to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerEvent {
    /// This substream is sent from now on.
    SubstreamChanged(u8),
    /// This spatial layer is sent from now on.
    SpatialChanged(u8),
    /// This temporal layer is sent from now on.
    TemporalChanged(u8),
    /// A keyframe of this substream is needed (0 for a stream without substreams).
    NeedKeyframe {
        /// Which one.
        substream: u8,
    },
}

/// At most one waiting event of each kind.
#[derive(Debug, Clone, Copy, Default)]
struct Pending {
    substream: Option<u8>,
    spatial: Option<u8>,
    temporal: Option<u8>,
    keyframe: Option<u8>,
}

impl Pending {
    fn poll(&mut self) -> Option<LayerEvent> {
        if let Some(n) = self.substream.take() {
            return Some(LayerEvent::SubstreamChanged(n));
        }
        if let Some(n) = self.spatial.take() {
            return Some(LayerEvent::SpatialChanged(n));
        }
        if let Some(n) = self.temporal.take() {
            return Some(LayerEvent::TemporalChanged(n));
        }
        self.keyframe.take().map(|substream| LayerEvent::NeedKeyframe { substream })
    }
}

/// Whether RTP timestamp `a` is later than `b`.
const fn is_later(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).wrapping_sub(1) < 0x7fff_ffff
}

#[cfg(test)]
mod tests;
