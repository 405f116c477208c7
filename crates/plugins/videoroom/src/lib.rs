//! The video room: publishers send, subscribers choose whom and what of it they receive.
//!
//! A publisher has one PeerConnection for all he sends; a subscriber one for any number of streams of any publishers of
//! his room. Every stream of a subscriber is a route; what flows is decided in one place ([`subscriber::Subscriber::flow`])
//! from what is wanted, and nothing here sees a packet.
//!
//! Invariants: a participant is in [`Room::participants`] exactly as long as he is in the room; a subscriber's source
//! names a feed that is there; when all have left, nothing of them remains.
//!
//! Deliberately absent: remote publishers. Their requests are checked and then refused with an error that says so.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod body;
mod error;
mod forwarder;
mod happenings;
mod id;
mod layers;
mod notice;
mod offer;
mod publisher;
mod query;
mod request;
mod room;
mod subscriber;

use error::Refusal;
use id::{Id, IdKind};
use portunus_plugin::recording::{Format, Places};
use portunus_plugin::{
    About, Cx, HandleId, MediaEvent, Message, Object, Outcome, Plugin, PluginError, Reply, Ticket, Value,
};
use publisher::Publisher;
use room::Room;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;
use subscriber::Subscriber;

/// The package name, which is also the realm of signed room tokens and the name of the configuration file.
pub const PACKAGE: &str = "janus.plugin.videoroom";

/// Where ids come from: 64 random bits a call.
pub type Random = Box<dyn FnMut() -> u64 + Send>;

/// What can be set of the plugin itself.
#[derive(Clone, Default)]
pub struct Settings {
    /// Needed to create rooms and to see private ones, if set.
    pub admin_key: Option<String>,
    /// RTP may only be forwarded with the admin key.
    pub lock_rtp_forward: bool,
    /// Event handlers are told what happens.
    pub events: bool,
    /// Ids are texts.
    pub string_ids: bool,
    /// Layers follow the subscriber's network, unless he named some.
    pub automatic_layers: bool,
    /// The secret of signed tokens, where the core uses them.
    pub token_secret: Option<String>,
    /// Where recordings may be.
    pub places: Places,
    /// What files they are, unless a room or a publisher says otherwise.
    pub rec_format: Format,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("lock_rtp_forward", &self.lock_rtp_forward)
            .field("events", &self.events)
            .field("string_ids", &self.string_ids)
            .field("automatic_layers", &self.automatic_layers)
            .finish_non_exhaustive()
    }
}

/// The plugin.
pub struct VideoRoom {
    settings: Settings,
    random: Random,
    rooms: BTreeMap<Id, Room>,
    publishers: BTreeMap<HandleId, Publisher>,
    subscribers: BTreeMap<HandleId, Subscriber>,
    pending: BTreeMap<Ticket, request::Pending>,
    next_ticket: u64,
}

impl fmt::Debug for VideoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VideoRoom")
            .field("rooms", &self.rooms)
            .field("publishers", &self.publishers)
            .field("subscribers", &self.subscribers)
            .finish_non_exhaustive()
    }
}

impl VideoRoom {
    /// A plugin without rooms.
    pub fn new(settings: Settings, random: Random) -> Self {
        Self {
            settings,
            random,
            rooms: BTreeMap::new(),
            publishers: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            pending: BTreeMap::new(),
            next_ticket: 1,
        }
    }

    /// Adds a room of the configuration file: its name is what stands behind `room-`, its elements are those of `create`.
    ///
    /// # Errors
    /// What `create` would say.
    pub fn add_room(&mut self, name: &str, settings: &Object, now: Instant) -> Result<(), String> {
        self.add_configured(name, settings, now).map_err(|refusal| refusal.text)
    }

    /// Rooms, participants and subscribers now.
    pub fn counts(&self) -> (usize, usize, usize) {
        let there = |p: &&Publisher| p.gone.is_none();
        let subscribed = |s: &&Subscriber| s.gone.is_none();
        (
            self.rooms.len(),
            self.publishers.values().filter(there).count(),
            self.subscribers.values().filter(subscribed).count(),
        )
    }

    pub(crate) const fn ids(&self) -> IdKind {
        if self.settings.string_ids { IdKind::Texts } else { IdKind::Numbers }
    }

    /// The publisher with this id, whether he publishes or not.
    pub(crate) fn feed(&self, room: &Id, id: &Id) -> Option<&Publisher> {
        find_feed(&self.rooms, &self.publishers, room, id)
    }

    pub(crate) fn feed_mut(&mut self, room: &Id, id: &Id) -> Option<&mut Publisher> {
        let room = self.rooms.get_mut(room)?;
        match room.participants.get(id) {
            Some(h) => self.publishers.get_mut(h),
            None => room.dummy.as_deref_mut().filter(|dummy| dummy.id == *id),
        }
    }

    /// Whether layers of this room's subscribers follow their networks.
    pub(crate) fn automatic(&self, room: &Id) -> bool {
        let own = self.rooms.get(room).and_then(|r| r.config.automatic_layers);
        own.unwrap_or(self.settings.automatic_layers)
    }

    /// Makes what flows to a subscriber be what should flow.
    pub(crate) fn flow(&mut self, cx: &mut Cx, h: HandleId) {
        let Some(room) = self.subscribers.get(&h).map(|s| s.room.clone()) else { return };
        let automatic = self.automatic(&room);
        let (rooms, publishers) = (&self.rooms, &self.publishers);
        if let Some(subscriber) = self.subscribers.get_mut(&h) {
            subscriber.flow(cx, |feed| find_feed(rooms, publishers, &room, feed), automatic);
        }
    }

    /// The same for all subscribers of a feed.
    pub(crate) fn flow_feed(&mut self, cx: &mut Cx, room: &Id, feed: &Id) {
        for h in self.subscribers_of(room, feed) {
            self.flow(cx, h);
        }
    }

    /// Subscribers that have a stream of this feed.
    pub(crate) fn subscribers_of(&self, room: &Id, feed: &Id) -> Vec<HandleId> {
        let Some(room) = self.rooms.get(room) else { return Vec::new() };
        let has = |h: &&HandleId| {
            let lines = self.subscribers.get(h).map(|s| s.streams.as_slice()).unwrap_or_default();
            lines.iter().any(|l| l.sources.iter().any(|s| s.feed == *feed))
        };
        room.subscribers.iter().filter(has).copied().collect()
    }

    /// Sends an event to all participants of a room but one.
    pub(crate) fn tell_others(&self, cx: &mut Cx, room: &Id, but: Option<HandleId>, event: &Value) {
        let Some(room) = self.rooms.get(room) else { return };
        for h in room.participants.values().filter(|h| Some(**h) != but) {
            cx.push(*h, event.clone());
        }
    }

    /// `streams` of a subscriber's event.
    pub(crate) fn summary(&self, subscriber: &Subscriber) -> Value {
        subscriber.summary(|feed| self.feed(&subscriber.room, feed))
    }
}

fn find_feed<'a>(
    rooms: &'a BTreeMap<Id, Room>,
    publishers: &'a BTreeMap<HandleId, Publisher>,
    room: &Id,
    id: &Id,
) -> Option<&'a Publisher> {
    let room = rooms.get(room)?;
    match &room.dummy {
        Some(dummy) if dummy.id == *id => Some(dummy),
        _ => publishers.get(room.participants.get(id)?),
    }
}

impl Plugin for VideoRoom {
    fn about(&self) -> About {
        About {
            package: PACKAGE,
            name: "JANUS VideoRoom plugin",
            author: "The Portunus authors",
            description: "Rooms in which everybody chooses whom to receive: conferences and webinars.",
            version: 10,
            version_string: "0.0.10",
        }
    }

    fn attach(&mut self, _: &mut Cx, _: HandleId) -> Result<(), PluginError> {
        Ok(())
    }

    fn message(&mut self, cx: &mut Cx, h: HandleId, message: Message) -> Reply {
        self.serve(cx, h, message)
    }

    fn done(&mut self, cx: &mut Cx, ticket: Ticket, outcome: Outcome) -> Value {
        self.on_done(cx, ticket, outcome)
    }

    fn media(&mut self, cx: &mut Cx, h: HandleId, event: &MediaEvent) {
        self.on_media(cx, h, event);
    }

    fn admin(&mut self, cx: &mut Cx, body: &Object) -> Option<Reply> {
        Some(self.serve_admin(cx, body))
    }

    fn query(&self, h: HandleId) -> Value {
        self.describe_handle(h)
    }

    fn tick(&mut self, cx: &mut Cx) {
        self.ask_for_keyframes(cx);
    }

    fn detach(&mut self, cx: &mut Cx, h: HandleId) {
        self.leave_for_good(cx, h);
    }
}

pub(crate) type Answer<T = ()> = Result<T, Refusal>;

#[cfg(test)]
mod tests;
