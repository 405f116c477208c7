//! Routes: which sinks a source feeds, on this worker and, through mirrors, on others.

use super::{Worker, WorkerMessage};
use crate::mirror::{Description, Group, Mirror, MirrorId, MirrorMessage, Parcel, Subscriber};
use crate::peer::{Feeder, Layout};
use portunus_plugin::media::RouteEnd;
use std::time::Instant;

/// Messages that wait because another worker's queue is full. Beyond it they are dropped: that worker is stuck.
const MAX_WAITING_POSTS: usize = 65_536;

impl Worker {
    // === what the control task asks ===

    /// Both ends are here.
    pub(super) fn on_route(&mut self, source: &RouteEnd, sink: &RouteEnd, now: Instant) {
        let from = self.find_line(source.handle, &source.mid);
        let to = self.find_line(sink.handle, &sink.mid);
        let (Some(from), Some(to)) = (from, to) else {
            tracing::warn!(source = %source.handle, sink = %sink.handle, "route to a medium that is not there");
            return;
        };
        self.unroute(to);
        if let Some(source) = self.peers.get_mut(from.0) {
            source.add_subscriber(from.1, to);
        }
        let layout = self.peers.get(from.0).and_then(|p| p.source_layout(from.1));
        self.with_peer(to.0, now, |peer, _| peer.set_source(to.1, (Feeder::Peer(from.0), from.1), layout));
        // A keyframe that comes before its receiver would be lost: `Peer` asks when it is up.
        if self.peers.get(to.0).is_some_and(|p| p.can_send()) {
            self.with_peer(from.0, now, |peer, cx| peer.request_keyframe(cx, from.1, None, now));
        }
    }

    /// The source is on `worker`. Whether it is there at all is not known yet.
    pub(super) fn on_route_from(&mut self, worker: usize, source: RouteEnd, sink: &RouteEnd, now: Instant) {
        if worker == self.index {
            return self.on_route(&source, sink, now);
        }
        let Some(to) = self.find_line(sink.handle, &sink.mid) else {
            tracing::warn!(source = %source.handle, sink = %sink.handle, "route to a medium that is not there");
            return;
        };
        let before = self.disconnect(to);
        let key = self.mirror_of(worker, &source);
        if let Some(mirror) = self.mirrors.get_mut(key) {
            mirror.asked += 1;
            let (ask, layout) = (mirror.asked, mirror.layout());
            mirror.subscribers.push(Subscriber { sink: to, ask });
            // Also of a mirror that is there: it may be one of a source that is gone, and a new one has come.
            let at = MirrorId { worker: self.index, key, number: mirror.number };
            self.post(worker, MirrorMessage::Begin { source, to: at, ask });
            self.with_peer(to.0, now, |peer, _| peer.set_source(to.1, (Feeder::Mirror(key), 0), layout));
        }
        self.end_if_idle(before);
    }

    pub(super) fn unroute(&mut self, to: (usize, usize)) {
        let before = self.disconnect(to);
        self.end_if_idle(before);
    }

    /// Takes a sink from what feeds it.
    fn disconnect(&mut self, to: (usize, usize)) -> Option<Feeder> {
        let (feeder, line) = self.peers.get_mut(to.0).and_then(|p| p.clear_source(to.1))?;
        match feeder {
            Feeder::Peer(key) => {
                if let Some(source) = self.peers.get_mut(key) {
                    source.remove_subscriber(line, to);
                }
            }
            Feeder::Mirror(key) => {
                if let Some(mirror) = self.mirrors.get_mut(key) {
                    mirror.subscribers.retain(|s| s.sink != to);
                }
            }
        }
        Some(feeder)
    }

    // === our mirrors ===

    /// Our mirror of a source.
    fn mirror_of(&mut self, worker: usize, source: &RouteEnd) -> usize {
        if let Some(key) = self.by_source.get(source).copied()
            && self.mirrors.get(key).is_some_and(|m| m.worker == worker)
        {
            return key;
        }
        self.mirrors_made += 1;
        let number = self.mirrors_made;
        let key = self.mirrors.insert(Mirror::new(source.clone(), worker, number));
        self.by_source.insert(source.clone(), key);
        key
    }

    fn end_if_idle(&mut self, feeder: Option<Feeder>) {
        let Some(Feeder::Mirror(key)) = feeder else { return };
        if self.mirrors.get(key).is_some_and(|m| m.subscribers.is_empty())
            && let Some(mirror) = self.take_mirror(key)
        {
            let to = MirrorId { worker: self.index, key, number: mirror.number };
            self.post(mirror.worker, MirrorMessage::End { source: mirror.source, to });
        }
    }

    fn take_mirror(&mut self, key: usize) -> Option<Mirror> {
        let mirror = self.mirrors.try_remove(key)?;
        if self.by_source.get(&mirror.source) == Some(&key) {
            self.by_source.remove(&mirror.source);
        }
        Some(mirror)
    }

    /// A peer is gone: the mirrors feed its sinks no longer.
    pub(super) fn forget_sinks(&mut self, peer: usize) {
        let mut idle = Vec::new();
        for (key, mirror) in &mut self.mirrors {
            mirror.subscribers.retain(|s| s.sink.0 != peer);
            if mirror.subscribers.is_empty() {
                idle.push(Feeder::Mirror(key));
            }
        }
        for feeder in idle {
            self.end_if_idle(Some(feeder));
        }
    }

    /// A sink of a mirror needs a keyframe. Wishes of one turn leave together.
    pub(super) fn wish_keyframe(&mut self, key: usize, substream: Option<u8>) {
        let Some(mirror) = self.mirrors.get_mut(key) else { return };
        if mirror.wishes.is_empty() {
            self.wishing.push(key);
        }
        mirror.wishes.add(substream);
    }

    fn on_described(&mut self, to: MirrorId, ask: u64, description: Option<Description>, now: Instant) {
        let Some(mirror) = self.mirrors.get_mut(to.key).filter(|m| m.number == to.number) else { return };
        let before = mirror.layout();
        let Some(description) = description else {
            for Subscriber { sink: (peer, line), .. } in mirror.lose(ask) {
                self.with_peer(peer, now, |p, _| p.lose_source(line, Feeder::Mirror(to.key)));
            }
            if self.mirrors.get(to.key).is_some_and(|m| m.subscribers.is_empty()) {
                self.take_mirror(to.key);
            }
            return;
        };
        let after = Some(description.layout);
        mirror.describe(description, self.settings.min_nack_queue);
        if before != after {
            self.lay_out((Feeder::Mirror(to.key), 0), after, now);
        }
    }

    /// A source has another layout than before: its sinks choose anew.
    pub(super) fn lay_out(&mut self, source: (Feeder, usize), layout: Option<Layout>, now: Instant) {
        let mut n = 0;
        while let Some((sink, line)) = self.subscriber(source, n) {
            n += 1;
            self.with_peer(sink, now, |peer, _| peer.set_source_layout(line, layout));
        }
    }

    /// How many sinks a source has.
    pub(super) fn count_subscribers(&self, (feeder, line): (Feeder, usize)) -> usize {
        match feeder {
            Feeder::Peer(key) => self.peers.get(key).map_or(0, |p| p.count_subscribers(line)),
            Feeder::Mirror(key) => self.mirrors.get(key).map_or(0, |m| m.subscribers.len()),
        }
    }

    /// Sink `n` of a source.
    pub(super) fn subscriber(&self, (feeder, line): (Feeder, usize), n: usize) -> Option<(usize, usize)> {
        match feeder {
            Feeder::Peer(key) => self.peers.get(key)?.subscriber(line, n),
            Feeder::Mirror(key) => self.mirrors.get(key)?.subscribers.get(n).map(|s| s.sink),
        }
    }

    /// Packets of other workers' sources.
    pub(super) fn on_parcel(&mut self, mut parcel: Parcel, now: Instant) {
        if let Some(own) = self.others.get(self.index) {
            own.parcel_taken();
        }
        let now_us = self.clock.micros(now);
        let bytes = |at: usize| parcel.bytes.get(at..);
        let mut rest = parcel.packets.as_mut_slice();
        for Group { to, structure, packets } in &parcel.groups {
            let Some((group, behind)) = std::mem::take(&mut rest).split_at_mut_checked(*packets) else {
                return;
            };
            rest = behind;
            // Another mirror, or none: these packets crossed our word that it ended.
            let Some(mirror) = self.mirrors.get_mut(to.key).filter(|m| m.number == to.number) else {
                continue;
            };
            for packet in &*group {
                if let Some(b) = bytes(packet.slot).and_then(|b| b.get(..packet.len)) {
                    mirror.store(packet, b, now_us);
                }
            }
            let video = mirror.is_video();
            self.fan_out(group, (Feeder::Mirror(to.key), 0), video, structure.as_deref(), &bytes, now);
        }
    }

    // === mirrors of our sources ===

    pub(super) fn on_mirror_message(&mut self, message: MirrorMessage, now: Instant) {
        match message {
            MirrorMessage::Begin { source, to, ask } => self.begin_mirror(&source, to, ask, now),
            MirrorMessage::End { source, to } => {
                self.with_handle(source.handle, now, |peer, _| peer.remove_mirror(to));
            }
            MirrorMessage::Keyframes { source, wishes } => {
                if let Some((key, line)) = self.find_line(source.handle, &source.mid) {
                    self.with_peer(key, now, |peer, cx| {
                        for substream in wishes.each() {
                            peer.request_keyframe(cx, line, substream, now);
                        }
                    });
                }
            }
            MirrorMessage::Described { to, ask, description } => {
                self.on_described(to, ask, description, now);
            }
        }
    }

    fn begin_mirror(&mut self, source: &RouteEnd, to: MirrorId, ask: u64, now: Instant) {
        let mut description = None;
        if let Some((key, line)) = self.find_line(source.handle, &source.mid) {
            self.with_peer(key, now, |peer, cx| {
                description = peer.add_mirror(line, to, ask);
                peer.request_keyframe(cx, line, None, now);
            });
        }
        if description.is_none() {
            tracing::warn!(source = %source.handle, worker = to.worker, "route from a medium that is not there");
        }
        self.post(to.worker, MirrorMessage::Described { to, ask, description });
    }

    /// Tells the mirrors of a peer what its lines are like now.
    pub(super) fn describe_again(&mut self, key: usize) {
        let descriptions = self.peers.get_mut(key).map(|p| p.describe_mirrors()).unwrap_or_default();
        for (to, ask, description) in descriptions {
            self.post(to.worker, MirrorMessage::Described { to, ask, description });
        }
    }

    // === the way to the others ===

    /// Sends a message that must arrive: it waits if there is no room now.
    pub(super) fn post(&mut self, worker: usize, message: MirrorMessage) {
        let (Some(way), Some(waiting)) = (self.others.get(worker), self.waiting_posts.get_mut(worker)) else {
            return;
        };
        let message = WorkerMessage::Mirror(message);
        let refused = if waiting.is_empty() { way.try_send(message) } else { Some(message) };
        let Some(message) = refused else { return };
        if waiting.len() < MAX_WAITING_POSTS {
            waiting.push_back(message);
        } else {
            self.dropped.posts += 1;
        }
    }

    /// Tries again what waits for other workers, and sends the wishes of this turn.
    pub(super) fn send_posts(&mut self) {
        for (way, waiting) in self.others.iter().zip(&mut self.waiting_posts) {
            while let Some(message) = waiting.pop_front() {
                if let Some(message) = way.try_send(message) {
                    waiting.push_front(message);
                    break;
                }
            }
        }
        while let Some(key) = self.wishing.pop() {
            let Some(mirror) = self.mirrors.get_mut(key) else { continue };
            let wishes = std::mem::take(&mut mirror.wishes);
            if !wishes.is_empty() {
                let (worker, source) = (mirror.worker, mirror.source.clone());
                self.post(worker, MirrorMessage::Keyframes { source, wishes });
            }
        }
    }

    /// Whether messages wait for other workers.
    pub(super) fn has_waiting_posts(&self) -> bool {
        self.waiting_posts.iter().any(|w| !w.is_empty())
    }

    /// Puts a group of packets into the parcels for the workers that mirror its source.
    pub(super) fn pack<'a>(
        &mut self,
        group: &[crate::peer::Ready],
        bytes: &dyn Fn(usize) -> Option<&'a [u8]>,
        room: (usize, usize),
    ) -> bool {
        let Some(first) = group.first() else { return false };
        let Some(peer) = self.peers.get(first.peer) else { return false };
        let mut packed = false;
        for mirrored in peer.mirrors().iter().filter(|m| m.line == first.line) {
            if let Some(parcel) = self.parcels.get_mut(mirrored.to.worker) {
                let structure = peer.structure(first.line, first.source);
                parcel.add(mirrored.to, structure, group, bytes, room);
                packed = true;
            }
        }
        packed
    }

    /// Sends the parcels of a batch. What finds no room is dropped: media never waits.
    pub(super) fn send_parcels(&mut self) {
        let ways = self.others.iter().zip(&self.waiting_posts);
        for (parcel, (way, waiting)) in self.parcels.iter_mut().zip(ways) {
            if parcel.groups.is_empty() {
                continue;
            }
            let parcel = std::mem::take(parcel);
            let packets = u64::try_from(parcel.packets.len()).unwrap_or(0);
            // Nothing overtakes a description that waits.
            if !waiting.is_empty() || !way.try_send_parcel(parcel) {
                self.dropped.parcels += 1;
                self.dropped.parcel_packets += packets;
            }
        }
    }
}
