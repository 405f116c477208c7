//! `create`: a room is made; and rooms of the configuration file.

use super::Done;
use super::forward::ForwardRequest;
use crate::body::{check_secret, flag};
use crate::error::{Refusal, code};
use crate::id::{Id, IdKind};
use crate::publisher::{Format, Publisher, Stream};
use crate::room::{Config, Room, check_types};
use crate::{Answer, PACKAGE, VideoRoom};
use portunus_api::{Object, Value, json};
use portunus_plugin::{Cx, HandleId, Outcome, StoredGroup, Task, Ticket};
use portunus_sdp::Codec;
use std::time::Instant;

/// Rooms at most.
const MAX_ROOMS: usize = 100_000;

/// What waits for something to be done outside, and whose handle asked; nobody's for the Admin API.
#[derive(Debug)]
pub(crate) enum Pending {
    /// The room is there already, and goes again if it cannot be stored.
    Create(Id, Option<HandleId>),
    /// The reply, and what to undo.
    Edit { room: Id, before: Box<Config>, asker: Option<HandleId> },
    /// The room stays until its group is out of the file.
    Destroy(Id, Option<HandleId>),
    /// Where to forward to is looked up.
    Forward(Box<ForwardRequest>),
}

impl VideoRoom {
    pub(super) fn create(&mut self, cx: &mut Cx, asker: Option<HandleId>, o: &Object) -> Answer<Done> {
        check_types(o)?;
        let wanted = self.optional_id(o, "room")?;
        check_secret(o, "admin_key", self.settings.admin_key.as_deref())?;
        let wanted = wanted.filter(|id| *id != Id::Number(0));
        let id = match &wanted {
            Some(id) => id.clone(),
            None => self.free_room_id(),
        };
        // The codecs are looked at before the id, as Janus does.
        let config = Config::read(o, &id)?;
        if config.record {
            self.check_folder(config.rec_dir.as_deref())?;
        }
        let allowed = match o.contains_key("allowed") {
            true => Some(Room::allowed_texts(o)?),
            false => None,
        };
        if self.rooms.contains_key(&id) {
            return Err(Refusal::new(code::ROOM_EXISTS, format!("Room {id} already exists")));
        }
        if self.rooms.len() >= MAX_ROOMS {
            return Err(Refusal::new(code::UNKNOWN, "Too many rooms"));
        }
        let permanent = flag(o, "permanent") == Some(true);
        let stored = config.stored();
        self.open_room(id.clone(), config, cx.now());
        self.allow_only(&id, allowed);
        if permanent {
            let ticket = self.store(cx, &id, Some(stored), Pending::Create(id.clone(), asker));
            return Ok(Done::Later(ticket));
        }
        self.notify(cx, asker, "created", &id, &[]);
        Ok(Done::Now(changed("created", &id, false)))
    }

    /// Adds a room of the configuration file.
    pub(crate) fn add_configured(&mut self, name: &str, o: &Object, now: Instant) -> Answer {
        let id = self.ids().parse(name).ok_or_else(|| {
            Refusal::invalid(format!("'{name}' is no room id; with string_ids it could be one"))
        })?;
        check_types(o)?;
        let mut config = Config::read(o, &id)?;
        if o.get("description").is_none() {
            // As Janus has it: a room of the file is called as its section.
            config.description = format!("room-{id}");
        }
        if self.rooms.contains_key(&id) {
            return Err(Refusal::new(code::ROOM_EXISTS, format!("Room {id} already exists")));
        }
        let allowed = match o.contains_key("allowed") {
            true => Some(Room::allowed_texts(o)?),
            false => None,
        };
        self.open_room(id.clone(), config, now);
        self.allow_only(&id, allowed);
        Ok(())
    }

    /// From now on only these may join as publishers, if there is a list.
    fn allow_only(&mut self, id: &Id, allowed: Option<Vec<String>>) {
        if let (Some(texts), Some(room)) = (allowed, self.rooms.get_mut(id)) {
            room.check_allowed = true;
            room.allowed = texts.into_iter().collect();
        }
    }

    fn open_room(&mut self, id: Id, mut config: Config, now: Instant) {
        if config.signed_tokens && self.settings.token_secret.is_none() {
            tracing::warn!(room = %id, "signed_tokens is ignored: token_auth_secret is not set");
            config.signed_tokens = false;
        }
        let mut room = Room::new(id.clone(), config, now);
        if room.config.dummy_publisher {
            let number = IdKind::Numbers.make(&mut self.random);
            let feed = self.ids().parse(&number.to_string()).unwrap_or(number);
            room.dummy = Some(Box::new(dummy(&room, feed)));
        }
        tracing::info!(room = %id, "room created");
        self.rooms.insert(id, room);
    }

    fn free_room_id(&mut self) -> Id {
        let kind = self.ids();
        loop {
            let id = kind.make(&mut self.random);
            if !self.rooms.contains_key(&id) {
                return id;
            }
        }
    }

    /// Has the configuration file written; the reply waits for it.
    pub(super) fn store(
        &mut self,
        cx: &mut Cx,
        id: &Id,
        settings: Option<Object>,
        pending: Pending,
    ) -> Ticket {
        let group = StoredGroup { file: PACKAGE, name: format!("room-{id}"), settings };
        self.begin(cx, Task::Store(group), pending)
    }

    /// Has something done that a reply waits for.
    pub(super) fn begin(&mut self, cx: &mut Cx, task: Task, pending: Pending) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        cx.task(ticket, task);
        self.pending.insert(ticket, pending);
        ticket
    }

    /// What a reply waited for is done, or not.
    pub(crate) fn on_done(&mut self, cx: &mut Cx, ticket: Ticket, outcome: Outcome) -> Value {
        let Some(pending) = self.pending.remove(&ticket) else { return Value::Null };
        let refuse = |what: &str, reason: &str| {
            let text = match reason {
                "No configuration file" => format!("No configuration file, can't {what}"),
                _ => format!("Can't {what}: {reason}"),
            };
            Refusal::new(code::UNKNOWN, text).to_value()
        };
        match (pending, outcome) {
            (Pending::Forward(wanted), outcome) => self.on_reached(cx, *wanted, outcome),
            (Pending::Create(id, asker), Ok(_)) => {
                self.notify(cx, asker, "created", &id, &[]);
                changed("created", &id, true)
            }
            (Pending::Create(id, _), Err(reason)) => {
                self.close_room(cx, &id);
                refuse("create permanent room", &reason)
            }
            (Pending::Edit { room, asker, .. }, Ok(_)) => {
                self.notify(cx, asker, "edited", &room, &[]);
                changed("edited", &room, true)
            }
            (Pending::Edit { room, before, .. }, Err(reason)) => {
                if let Some(room) = self.rooms.get_mut(&room) {
                    room.config = *before;
                }
                refuse("edit room permanently", &reason)
            }
            (Pending::Destroy(id, asker), Ok(_)) => {
                self.end_room(cx, asker, &id);
                changed("destroyed", &id, true)
            }
            (Pending::Destroy(..), Err(reason)) => refuse("destroy room permanently", &reason),
        }
    }
}

/// `{"videoroom":"created","room":N,"permanent":false}`
pub(super) fn changed(what: &str, id: &Id, permanent: bool) -> Value {
    json!({ "videoroom": what, "room": id.to_value(), "permanent": permanent })
}

/// Every codec of the room that `dummy_streams` names, or every one; in the order of the room.
fn dummy(room: &Room, id: Id) -> Publisher {
    let config = &room.config;
    let mut publisher = Publisher::new(room.id.clone(), id, 0, None);
    publisher.display = Some("Dummy publisher".to_owned());
    publisher.started = true;
    publisher.e2ee = config.dummy_e2ee;
    let codecs = config.audio_codecs.iter().chain(&config.video_codecs);
    for codec in codecs.copied() {
        let named = config.dummy_streams.iter().rfind(|s| s.codec == codec);
        if named.is_none() && !config.dummy_streams.is_empty() {
            continue;
        }
        let mindex = publisher.streams.len();
        let mut stream = Stream::new(codec.kind(), mindex, mindex.to_string());
        stream.format = dummy_format(codec, named.and_then(|s| s.fmtp.as_deref()), config);
        publisher.streams.push(stream);
    }
    publisher
}

fn dummy_format(codec: Codec, fmtp: Option<&str>, config: &Config) -> Format {
    let parameter = |name: &str| {
        let parts = fmtp.unwrap_or_default().split(';').filter_map(|p| p.trim().split_once('='));
        let mut found = parts.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.to_owned())
    };
    let says = |name: &str| codec == Codec::Opus && parameter(name).as_deref() == Some("1");
    let profile = |of, name: &str, default: &Option<String>| {
        (codec == of).then(|| parameter(name).or_else(|| default.clone())).flatten()
    };
    Format {
        codec: Some(codec),
        fec: says("useinbandfec"),
        dtx: says("usedtx"),
        stereo: says("stereo"),
        fmtp: fmtp.map(str::to_owned),
        h264_profile: profile(Codec::H264, "profile-level-id", &config.h264_profile),
        vp9_profile: profile(Codec::Vp9, "profile-id", &config.vp9_profile),
        ..Format::default()
    }
}
