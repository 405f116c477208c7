//! The relays of a worker as its packets see them: which there are, and how a packet is wrapped for one.

use super::client::{Allocation, Client, Wrapped};
use crate::egress::{Link, Path};
use std::net::SocketAddr;

/// One relay that a worker uses.
pub(crate) struct Relay {
    pub(crate) client: Client,
    /// Where its messages go: a UDP socket and the server's address, or the stream of the link's number.
    pub(crate) way: Path,
}

/// By the numbers of their links.
#[derive(Default)]
pub(crate) struct Relays {
    relays: Vec<Option<Relay>>,
    /// Packets that could not go through a relay.
    pub(crate) dropped: u64,
    /// Times that a server gave no address, or took it back.
    pub(crate) failures: u64,
}

impl Relays {
    pub(crate) fn set(&mut self, index: usize, relay: Relay) {
        while self.relays.len() <= index {
            self.relays.push(None);
        }
        if let Some(place) = self.relays.get_mut(index) {
            *place = Some(relay);
        }
    }

    pub(crate) fn remove(&mut self, index: usize) -> Option<Relay> {
        self.relays.get_mut(index)?.take()
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Relay> {
        self.relays.get(index)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Relay> {
        self.relays.get_mut(index)?.as_mut()
    }

    /// Those that have an allocation, with the numbers of their links.
    pub(crate) fn allocations(&self) -> impl Iterator<Item = (usize, Allocation)> {
        let all = self.relays.iter().enumerate();
        all.filter_map(|(i, relay)| Some((i, relay.as_ref()?.client.allocation()?)))
    }

    /// The relay whose address this is.
    pub(crate) fn find(&self, relayed: SocketAddr) -> Option<usize> {
        self.allocations().find(|(_, a)| a.relayed == relayed).map(|(i, _)| i)
    }

    /// Wraps a packet that lies at the beginning of `room`; how long it is now, and where it goes.
    pub(crate) fn wrap(&mut self, room: &mut [u8], len: usize, path: Path) -> Option<(usize, Path)> {
        let Link::Relay(index) = path.link else { return Some((len, path)) };
        let Some(relay) = self.get_mut(index) else {
            self.dropped += 1;
            return None;
        };
        let (wrapped, way) = (relay.client.wrap(room, len, path.remote), relay.way);
        self.dropped += u64::from(wrapped == Wrapped::Refused);
        match wrapped {
            Wrapped::Ready(len) => Some((len, way)),
            Wrapped::Held | Wrapped::Refused => None,
        }
    }
}
