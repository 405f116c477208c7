//! Addresses on TURN servers, as far as a peer is concerned.

use super::{Peer, PeerCx, Stage};
use std::net::SocketAddr;
use std::time::Instant;

impl Peer {
    /// Whether nothing but relays may be used.
    pub(crate) const fn is_relay_only(&self) -> bool {
        self.relay_only
    }

    pub(crate) fn set_relay_only(&mut self, relay_only: bool) {
        self.relay_only = relay_only;
    }

    /// It looks for a path still, or again.
    pub(crate) const fn has_no_path(&self) -> bool {
        matches!(self.stage, Stage::Connecting { .. } | Stage::Lost { .. }) || self.ice.selected().is_none()
    }

    /// A relay came up: its address is checked from as well.
    pub(crate) fn begin_relay(
        &mut self,
        cx: &mut PeerCx<'_>,
        link: usize,
        address: SocketAddr,
        now: Instant,
    ) {
        self.stirred = true;
        self.ice.add_relay(link, address);
        self.drive_ice(cx, now);
    }

    /// What our next description names is answered from.
    pub(crate) fn know_relay(&mut self, link: usize, address: SocketAddr) {
        self.ice.add_relay(link, address);
    }

    /// A relay is gone.
    pub(crate) fn end_relay(&mut self, link: usize, address: SocketAddr) {
        self.stirred = true;
        self.ice.end_relay(link, address);
    }
}
