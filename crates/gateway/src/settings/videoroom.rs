//! `janus.plugin.videoroom.jcfg`: the plugin's settings and the rooms that are there from the start.
//!
//! A room becomes the JSON object of a `create` request: the plugin has one reader for both. Here only types are
//! checked, with the lines they stand in; what a value means (codecs, floors of bitrates) is the plugin's.

use portunus_jcfg::{Document, Kind, Notice, Problem, Reader, Section, Setting, Severity, nearest};
use portunus_plugin::recording::Format;
use portunus_plugin::{Object, Value};
use std::fmt;

use super::Secret;
use super::keys::VIDEOROOM;
use super::values::secret;

/// The VideoRoom plugin.
#[derive(Debug, Clone)]
pub(crate) struct VideoroomSettings {
    /// It is there (`plugins.disable` does not name it).
    pub(crate) enabled: bool,
    /// Whoever creates a room must know it.
    pub(crate) admin_key: Option<Secret>,
    /// RTP may only be forwarded with the admin key.
    pub(crate) lock_rtp_forward: bool,
    /// It tells event handlers what happens.
    pub(crate) events: bool,
    /// Ids of rooms and participants are texts.
    pub(crate) string_ids: bool,
    /// Layers follow the subscriber's network unless he chose some (`portunus.automatic_layers`).
    pub(crate) automatic_layers: bool,
    /// What files recordings are (`portunus.rec_format`).
    pub(crate) rec_format: Format,
    /// The rooms of the file, in order.
    pub(crate) rooms: Vec<RoomConfig>,
}

/// A room of the file. `Debug` shows neither secret nor pin.
#[derive(Clone, PartialEq)]
pub(crate) struct RoomConfig {
    /// What stands behind `room-`: a number without leading zeros, or any text with `string_ids`.
    pub(crate) id: String,
    /// As in a `create` request, without `room`.
    pub(crate) settings: Object,
}

impl fmt::Debug for RoomConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |key: &str| matches!(key, "secret" | "pin");
        let shown = self.settings.iter().filter(|(key, _)| !hidden(key));
        f.write_str("room ")?;
        f.write_str(&self.id)?;
        f.debug_map().entries(shown).finish()
    }
}

/// What a setting of a room holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Flag,
    Number(u32),
    Texts,
    /// A list of groups with `codec` and `fmtp`.
    Streams,
}

use Shape::{Flag, Number, Streams, Text, Texts};

/// The settings of a room.
pub(super) const ROOM_KEYS: &[(&str, Shape)] = &[
    ("description", Text),
    ("is_private", Flag),
    ("allowed", Texts),
    ("secret", Text),
    ("pin", Text),
    ("require_pvtid", Flag),
    ("signed_tokens", Flag),
    ("require_e2ee", Flag),
    ("publishers", Number(u32::MAX)),
    ("bitrate", Number(u32::MAX)),
    ("bitrate_cap", Flag),
    ("fir_freq", Number(u32::MAX)),
    ("audiocodec", Text),
    ("videocodec", Text),
    ("vp9_profile", Text),
    ("h264_profile", Text),
    ("opus_fec", Flag),
    ("opus_dtx", Flag),
    ("audiolevel_ext", Flag),
    ("audiolevel_event", Flag),
    ("audio_active_packets", Number(u32::MAX)),
    ("audio_level_average", Number(127)),
    ("videoorient_ext", Flag),
    ("playoutdelay_ext", Flag),
    ("transport_wide_cc_ext", Flag),
    ("record", Flag),
    ("rec_dir", Text),
    ("lock_record", Flag),
    ("rec_format", Text),
    ("notify_joining", Flag),
    ("dummy_publisher", Flag),
    ("dummy_streams", Streams),
    ("dummy_e2ee", Flag),
    ("threads", Number(u32::MAX)),
    // Ours.
    ("automatic_layers", Flag),
];

/// What the name of a room's group begins with.
const FORMATS: [(&str, Format); 3] =
    [("mjr", Format::Mjr), ("playable", Format::Playable), ("both", Format::Both)];
const PREFIX: &str = "room-";

/// Reads the document.
pub(super) fn read(document: &Document, enabled: bool, problems: &mut Vec<Problem>) -> VideoroomSettings {
    let mut document = document.clone();
    // Rooms are not looked up by name: letter case makes different ones.
    document
        .notices
        .retain(|(_, notice)| !matches!(notice, Notice::CaseTwin { name, .. } if name.starts_with(PREFIX)));
    let reader = Reader::new(&document);
    let mut general = VIDEOROOM.open(&reader, "general");
    let mut own = VIDEOROOM.open(&reader, "portunus");
    let string_ids = general.get_bool("string_ids", false);
    let settings = VideoroomSettings {
        enabled,
        admin_key: secret(&mut general, "admin_key"),
        lock_rtp_forward: general.get_bool("lock_rtp_forward", false),
        events: general.get_bool("events", true),
        string_ids,
        automatic_layers: own.get_bool("automatic_layers", true),
        rec_format: own.get_enum("rec_format", &FORMATS, Format::Mjr),
        rooms: rooms(&reader, string_ids),
    };
    drop((general, own));
    problems.extend(reader.finish());
    settings
}

fn rooms(reader: &Reader<'_>, string_ids: bool) -> Vec<RoomConfig> {
    let mut rooms: Vec<RoomConfig> = Vec::new();
    for (setting, mut section) in reader.other_sections() {
        let Some(id) = id_of(reader, setting, string_ids) else {
            section.accept_rest();
            continue;
        };
        let room = RoomConfig { id, settings: room(&mut section) };
        match rooms.iter_mut().find(|other| other.id == room.id) {
            Some(other) => {
                let message = format!("room {} is in this file before: the last one counts", room.id);
                reader.push(&setting.place, Severity::Warning, Kind::Advice, message);
                *other = room;
            }
            None => rooms.push(room),
        }
    }
    rooms
}

/// The id of a room's group; whatever is none is told.
fn id_of(reader: &Reader<'_>, setting: &Setting, string_ids: bool) -> Option<String> {
    setting.value.as_group()?;
    let name = setting.name();
    let say = |severity, kind, message: String| reader.push(&setting.place, severity, kind, message);
    match (name.strip_prefix(PREFIX), string_ids) {
        (Some(id), true) if !id.is_empty() => Some(id.to_owned()),
        (Some(id), _) => {
            let number = id.parse::<u64>().ok().filter(|number| *number > 0);
            if number.is_none() {
                let message = format!(
                    "`{name}` is left out: its id must be a positive number, or any text with `general.string_ids = true`"
                );
                say(Severity::Warning, Kind::BadValue, message);
            }
            number.map(|number| number.to_string())
        }
        (None, true) => {
            let message = format!("`{name}` is taken for a room: `{PREFIX}{name}` says so");
            say(Severity::Warning, Kind::Advice, message);
            Some(name.to_owned())
        }
        (None, false) => {
            let hint = match nearest(name, ["general", "portunus"]) {
                Some(known) => format!(", did you mean `{known}`?"),
                None => format!(": rooms are called `{PREFIX}<number>`"),
            };
            say(Severity::Warning, Kind::Unknown, format!("unknown section `{name}`{hint}"));
            None
        }
    }
}

fn room(section: &mut Section<'_>) -> Object {
    let mut settings = Object::new();
    for &(key, shape) in ROOM_KEYS {
        if let Some(value) = value(section, key, shape) {
            settings.insert(key.to_owned(), value);
        }
    }
    if section.get("video_svc").is_some() {
        let message = "has no effect: publishers say themselves that they send layers";
        section.report("video_svc", Severity::Note, Kind::NotSupported, message);
    }
    settings
}

/// As in JSON. Numbers and switches may stand in quotes: Janus writes them so.
fn value(section: &mut Section<'_>, key: &str, shape: Shape) -> Option<Value> {
    section.get(key)?;
    match shape {
        Text => section.get_filled(key).map(Value::from),
        Flag => Some(section.get_bool(key, false).into()),
        Number(most) => section
            .get_with(key, |text| {
                let number = text.trim().parse::<u32>().ok().filter(|number| *number <= most);
                number.ok_or_else(|| format!("must be a whole number from 0 to {most}, not `{text}`"))
            })
            .map(Value::from),
        Texts => section.get_list(key).map(Value::from),
        Streams => {
            let streams = section.children(key).into_iter().map(|mut stream| {
                let texts =
                    ["codec", "fmtp"].map(|key| Some((key.to_owned(), stream.get_filled(key)?.into())));
                Value::Object(texts.into_iter().flatten().collect())
            });
            Some(streams.collect())
        }
    }
}
