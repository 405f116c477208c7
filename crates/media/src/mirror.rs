//! A source that lives on another worker, as its sinks on ours see it, and what two workers tell each other about it.
//!
//! The worker of a sink keeps one [`Mirror`] of each foreign source that feeds sinks of its own. It asks the source's
//! worker for it, is told what it must know ([`Description`]), and then gets the packets of each batch in one
//! [`Parcel`]: opened, parsed and inspected already. It forwards them to its sinks and keeps them for their NACKs.
//! Only wishes for keyframes go back. A mirror that feeds nobody ends.
//!
//! Invariants: messages of one worker to another stay in order, so a description is there before the first packet;
//! [`MirrorId::number`] tells a mirror from an earlier one in the same place; every route asks anew, and a word that
//! the source is gone ends only those routes whose question it answers; no worker waits for another.

use crate::meter::LayerMeter;
use crate::peer::{Layout, Ready, source_store};
use portunus_bwe::Costs;
use portunus_plugin::media::RouteEnd;
use portunus_rtp::codec::dependency::DependencyStructure;
use portunus_rtp::mapping::SourceId;
use portunus_rtp::packet::RtpView;
use portunus_rtp::store::SourceStore;
use portunus_rtp::write::SourcePacket;
use std::sync::Arc;
use std::time::Duration;

/// Where a mirror is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MirrorId {
    pub(crate) worker: usize,
    pub(crate) key: usize,
    /// Never used again by that worker.
    pub(crate) number: u64,
}

/// What a mirror must know of its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) layout: Layout,
    pub(crate) video: bool,
    /// By substream.
    pub(crate) sources: Vec<SourceId>,
}

/// What one worker tells another about a mirror.
#[derive(Debug)]
pub(crate) enum MirrorMessage {
    /// To the source's worker: this line shall be mirrored there, and a keyframe is needed.
    Begin { source: RouteEnd, to: MirrorId, ask: u64 },
    /// To the source's worker: no longer.
    End { source: RouteEnd, to: MirrorId },
    /// To the source's worker: sinks need keyframes.
    Keyframes { source: RouteEnd, wishes: Wishes },
    /// To the mirror: what the source is like now, as far as it was asked for by then. `None`: it is not there (any
    /// more).
    Described { to: MirrorId, ask: u64, description: Option<Description> },
}

/// Packets of one batch for the mirrors of one worker.
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    pub(crate) groups: Vec<Group>,
    /// Of all groups; [`Ready::slot`] is where the packet begins in `bytes`.
    pub(crate) packets: Vec<Ready>,
    pub(crate) bytes: Vec<u8>,
}

/// The packets of one source.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) to: MirrorId,
    pub(crate) structure: Option<Arc<DependencyStructure>>,
    /// How many.
    pub(crate) packets: usize,
}

impl Parcel {
    /// Adds the packets of a source, in order. `room` is what the batch may need in all: (packets, bytes).
    pub(crate) fn add<'a>(
        &mut self,
        to: MirrorId,
        structure: Option<Arc<DependencyStructure>>,
        packets: &[Ready],
        bytes: &dyn Fn(usize) -> Option<&'a [u8]>,
        room: (usize, usize),
    ) {
        if self.groups.is_empty() {
            self.packets.reserve_exact(room.0);
            self.bytes.reserve_exact(room.1);
        }
        let before = self.packets.len();
        for packet in packets {
            if let Some(from) = bytes(packet.slot).and_then(|b| b.get(..packet.len)) {
                self.packets.push(Ready { slot: self.bytes.len(), ..*packet });
                self.bytes.extend_from_slice(from);
            }
        }
        self.groups.push(Group { to, structure, packets: self.packets.len() - before });
    }
}

/// Of which simulcast layers a keyframe is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes(u8);

impl Wishes {
    /// Adds one layer, or all of them.
    pub(crate) fn add(&mut self, substream: Option<u8>) {
        self.0 |= substream.and_then(|s| 1_u8.checked_shl(s.into())).unwrap_or(u8::MAX);
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// As [`crate::peer::Peer::request_keyframe`] takes them.
    pub(crate) fn each(self) -> impl Iterator<Item = Option<u8>> {
        let all = self.0 == u8::MAX;
        let some = (0..8).filter(move |s| !all && self.0 & (1 << s) != 0).map(Some);
        all.then_some(None).into_iter().chain(some)
    }
}

/// A sink that a mirror feeds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscriber {
    /// Peer and line.
    pub(crate) sink: (usize, usize),
    /// The question that its route asked.
    pub(crate) ask: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Mirror {
    pub(crate) source: RouteEnd,
    /// Where the source lives.
    pub(crate) worker: usize,
    pub(crate) number: u64,
    pub(crate) description: Option<Description>,
    /// The sinks it feeds.
    pub(crate) subscribers: Vec<Subscriber>,
    /// Questions for the source so far.
    pub(crate) asked: u64,
    /// Wishes that are not on their way yet.
    pub(crate) wishes: Wishes,
    stores: Vec<(SourceId, Option<SourceStore>)>,
    meter: LayerMeter,
}

impl Mirror {
    pub(crate) fn new(source: RouteEnd, worker: usize, number: u64) -> Self {
        Self {
            source,
            worker,
            number,
            description: None,
            subscribers: Vec::new(),
            asked: 0,
            wishes: Wishes::default(),
            stores: Vec::new(),
            meter: LayerMeter::default(),
        }
    }

    pub(crate) fn is_video(&self) -> bool {
        self.description.as_ref().is_some_and(|d| d.video)
    }

    pub(crate) fn layout(&self) -> Option<Layout> {
        self.description.as_ref().map(|d| d.layout)
    }

    /// Takes what the source is like now. What is stored of a stream that goes on stays.
    pub(crate) fn describe(&mut self, description: Description, nack_queue: Duration) {
        self.stores.retain(|(id, _)| description.sources.contains(id));
        for id in &description.sources {
            if !self.stores.iter().any(|(known, _)| known == id) {
                self.stores.push((*id, source_store(description.layout.codec, nack_queue)));
            }
        }
        self.description = Some(description);
    }

    /// The source is gone, said in answer to question `ask`: takes out the sinks that lose it by that.
    pub(crate) fn lose(&mut self, ask: u64) -> Vec<Subscriber> {
        self.description = None;
        let (lost, left) = self.subscribers.iter().partition(|s| s.ask <= ask);
        self.subscribers = left;
        lost
    }

    fn is_simulcast(&self) -> bool {
        self.layout().is_some_and(|l| l.simulcast)
    }

    /// Measures packets on their way to the sinks.
    pub(crate) fn measure(&mut self, packets: &[Ready], now_us: u64) {
        let simulcast = self.is_simulcast();
        self.meter.on_packets(packets, simulcast, now_us);
    }

    /// What the layers of the source take.
    pub(crate) fn costs(&self, now_us: u64) -> Costs {
        self.meter.costs(self.is_simulcast(), now_us)
    }

    /// Keeps a packet for retransmission.
    pub(crate) fn store(&mut self, packet: &Ready, bytes: &[u8], now_us: u64) {
        let found = self.stores.iter_mut().find(|(id, _)| *id == packet.id);
        if let Some((_, Some(store))) = found
            && let Ok(view) = RtpView::with_header(bytes, packet.header)
        {
            store.insert(packet.sequence, &SourcePacket { view, extensions: packet.extensions }, now_us);
        }
    }

    /// A packet that is still there.
    pub(crate) fn stored(&self, source: SourceId, sequence: u32, now_us: u64) -> Option<SourcePacket<'_>> {
        let (_, store) = self.stores.iter().find(|(id, _)| *id == source)?;
        store.as_ref()?.get_low(sequence, now_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_for_keyframes_add_up() {
        let mut w = Wishes::default();
        assert!(w.is_empty() && w.each().next().is_none());
        w.add(Some(2));
        w.add(Some(0));
        w.add(Some(2));
        assert_eq!(w.each().collect::<Vec<_>>(), [Some(0), Some(2)]);
        w.add(None);
        assert_eq!(w.each().collect::<Vec<_>>(), [None]);
        let mut far = Wishes::default();
        far.add(Some(200));
        assert_eq!(far.each().collect::<Vec<_>>(), [None]);
    }
}
