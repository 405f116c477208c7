//! A room: its settings, who is in it.

use crate::body::{self, Field, check, flag, number, text};
use crate::error::{Refusal, code};
use crate::id::Id;
use crate::publisher::Publisher;
use portunus_api::{Kind, Object, Value, json};
use portunus_plugin::HandleId;
use portunus_plugin::recording::Format;
use portunus_sdp::Codec;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// A limit below this is raised to it: less carries no video.
pub(crate) const MIN_BITRATE: u32 = 64_000;
/// Codecs of one kind that a room may list.
const MAX_CODECS: usize = 5;
/// Texts of an allowed list.
const MAX_ALLOWED: usize = 65_536;

/// The settings of a room, as `create` and the configuration file give them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    pub(crate) description: String,
    pub(crate) is_private: bool,
    pub(crate) secret: Option<String>,
    pub(crate) pin: Option<String>,
    pub(crate) require_pvtid: bool,
    pub(crate) signed_tokens: bool,
    pub(crate) require_e2ee: bool,
    pub(crate) publishers: u32,
    /// Bits per second, 0 for no limit.
    pub(crate) bitrate: u32,
    pub(crate) bitrate_cap: bool,
    /// Seconds between keyframe requests, 0 for none.
    pub(crate) fir_freq: u32,
    pub(crate) audio_codecs: Vec<Codec>,
    pub(crate) video_codecs: Vec<Codec>,
    pub(crate) vp9_profile: Option<String>,
    pub(crate) h264_profile: Option<String>,
    pub(crate) opus_fec: bool,
    pub(crate) opus_dtx: bool,
    pub(crate) audiolevel_ext: bool,
    pub(crate) audiolevel_event: bool,
    pub(crate) audio_active_packets: u32,
    pub(crate) audio_level_average: u32,
    pub(crate) videoorient_ext: bool,
    pub(crate) playoutdelay_ext: bool,
    pub(crate) transport_wide_cc_ext: bool,
    pub(crate) record: bool,
    pub(crate) rec_dir: Option<String>,
    pub(crate) lock_record: bool,
    /// What files recordings are, if it was said.
    pub(crate) rec_format: Option<Format>,
    pub(crate) notify_joining: bool,
    pub(crate) dummy_publisher: bool,
    pub(crate) dummy_streams: Vec<DummyStream>,
    pub(crate) dummy_e2ee: bool,
    /// Helper threads Janus would use; kept, since the room is stored with it, and without meaning here.
    pub(crate) threads: u32,
    /// Ours: whether layers follow the subscriber's network. `None`: as the plugin's setting says.
    pub(crate) automatic_layers: Option<bool>,
}

/// A stream that the dummy publisher pretends to send.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DummyStream {
    pub(crate) codec: Codec,
    pub(crate) fmtp: Option<String>,
}

/// The elements of `create` but `room`, `admin_key` and `allowed`, in the order they are checked in.
pub(crate) const FIELDS: [Field; 36] = [
    ("description", Kind::String, false),
    ("is_private", Kind::Boolean, false),
    ("allowed", Kind::Array, false),
    ("secret", Kind::String, false),
    ("pin", Kind::String, false),
    ("require_pvtid", Kind::Boolean, false),
    ("signed_tokens", Kind::Boolean, false),
    ("bitrate", Kind::PositiveInteger, false),
    ("bitrate_cap", Kind::Boolean, false),
    ("fir_freq", Kind::PositiveInteger, false),
    ("publishers", Kind::PositiveInteger, false),
    ("audiocodec", Kind::String, false),
    ("videocodec", Kind::String, false),
    ("vp9_profile", Kind::String, false),
    ("h264_profile", Kind::String, false),
    ("opus_fec", Kind::Boolean, false),
    ("opus_dtx", Kind::Boolean, false),
    ("audiolevel_ext", Kind::Boolean, false),
    ("audiolevel_event", Kind::Boolean, false),
    ("audio_active_packets", Kind::PositiveInteger, false),
    ("audio_level_average", Kind::PositiveInteger, false),
    ("videoorient_ext", Kind::Boolean, false),
    ("playoutdelay_ext", Kind::Boolean, false),
    ("transport_wide_cc_ext", Kind::Boolean, false),
    ("record", Kind::Boolean, false),
    ("rec_dir", Kind::String, false),
    ("lock_record", Kind::Boolean, false),
    ("rec_format", Kind::String, false),
    ("permanent", Kind::Boolean, false),
    ("notify_joining", Kind::Boolean, false),
    ("require_e2ee", Kind::Boolean, false),
    ("dummy_publisher", Kind::Boolean, false),
    ("dummy_streams", Kind::Array, false),
    ("dummy_e2ee", Kind::Boolean, false),
    ("threads", Kind::PositiveInteger, false),
    ("automatic_layers", Kind::Boolean, false),
];

impl Config {
    /// Reads the elements of `create`, whose types were checked.
    ///
    /// # Errors
    /// 430 for a codec we do not know.
    pub(crate) fn read(o: &Object, id: &Id) -> Result<Self, Refusal> {
        let audio_codecs = codecs(o, "audiocodec", Codec::AUDIO, Codec::Opus)?;
        let video_codecs = codecs(o, "videocodec", Codec::VIDEO, Codec::Vp8)?;
        let on = |name, default: bool| flag(o, name).unwrap_or(default);
        let non_empty = |name| text(o, name).filter(|t| !t.is_empty());
        let lists = |codec| video_codecs.contains(&codec);
        Ok(Self {
            description: non_empty("description").unwrap_or_else(|| format!("Room {id}")),
            is_private: on("is_private", false),
            // An empty one is one, too: Janus asks for it.
            secret: text(o, "secret"),
            pin: text(o, "pin"),
            require_pvtid: on("require_pvtid", false),
            signed_tokens: on("signed_tokens", false),
            require_e2ee: on("require_e2ee", false),
            publishers: number(o, "publishers").unwrap_or(3),
            bitrate: at_least_min(number(o, "bitrate").unwrap_or(0)),
            bitrate_cap: on("bitrate_cap", false),
            fir_freq: number(o, "fir_freq").unwrap_or(0),
            vp9_profile: non_empty("vp9_profile").filter(|_| lists(Codec::Vp9)),
            h264_profile: non_empty("h264_profile").filter(|_| lists(Codec::H264)),
            opus_fec: on("opus_fec", true),
            opus_dtx: on("opus_dtx", false),
            audiolevel_ext: on("audiolevel_ext", true),
            audiolevel_event: on("audiolevel_event", false),
            audio_active_packets: number(o, "audio_active_packets").filter(|n| *n > 0).unwrap_or(100),
            audio_level_average: number(o, "audio_level_average").filter(|n| *n > 0).unwrap_or(25),
            videoorient_ext: on("videoorient_ext", true),
            playoutdelay_ext: on("playoutdelay_ext", true),
            transport_wide_cc_ext: on("transport_wide_cc_ext", true),
            record: on("record", false),
            rec_dir: non_empty("rec_dir"),
            lock_record: on("lock_record", false),
            rec_format: body::format(o, "rec_format")?,
            notify_joining: on("notify_joining", false),
            dummy_publisher: on("dummy_publisher", false),
            dummy_streams: body::objects(o, "dummy_streams").iter().filter_map(dummy_stream).collect(),
            dummy_e2ee: on("dummy_e2ee", false),
            threads: number(o, "threads").unwrap_or(0),
            automatic_layers: flag(o, "automatic_layers"),
            audio_codecs,
            video_codecs,
        })
    }

    /// An item of `list`.
    pub(crate) fn describe(&self, id: &Id, participants: usize) -> Value {
        let mut o = Object::new();
        let mut put = |name: &str, value: Value| o.insert(name.into(), value);
        put("room", id.to_value());
        put("description", self.description.as_str().into());
        put("pin_required", self.pin.is_some().into());
        put("is_private", self.is_private.into());
        put("max_publishers", self.publishers.into());
        put("bitrate", self.bitrate.into());
        if self.bitrate_cap {
            put("bitrate_cap", true.into());
        }
        put("fir_freq", self.fir_freq.into());
        put("require_pvtid", self.require_pvtid.into());
        put("require_e2ee", self.require_e2ee.into());
        put("dummy_publisher", self.dummy_publisher.into());
        put("notify_joining", self.notify_joining.into());
        put("audiocodec", names(&self.audio_codecs).into());
        put("videocodec", names(&self.video_codecs).into());
        if self.opus_fec {
            put("opus_fec", true.into());
        }
        if self.opus_dtx {
            put("opus_dtx", true.into());
        }
        put("record", self.record.into());
        if let Some(folder) = &self.rec_dir {
            put("rec_dir", folder.as_str().into());
        }
        put("lock_record", self.lock_record.into());
        put("num_participants", participants.into());
        put("audiolevel_ext", self.audiolevel_ext.into());
        put("audiolevel_event", self.audiolevel_event.into());
        if self.audiolevel_event {
            put("audio_active_packets", self.audio_active_packets.into());
            put("audio_level_average", self.audio_level_average.into());
        }
        put("videoorient_ext", self.videoorient_ext.into());
        put("playoutdelay_ext", self.playoutdelay_ext.into());
        put("transport_wide_cc_ext", self.transport_wide_cc_ext.into());
        o.into()
    }

    /// The settings as the configuration file keeps them: what differs from the default, and what people look for.
    pub(crate) fn stored(&self) -> Object {
        let mut o = Object::new();
        let texts = [
            ("secret", &self.secret),
            ("pin", &self.pin),
            ("vp9_profile", &self.vp9_profile),
            ("h264_profile", &self.h264_profile),
            ("rec_dir", &self.rec_dir),
        ];
        let flags = [
            ("is_private", self.is_private, false),
            ("require_pvtid", self.require_pvtid, false),
            ("signed_tokens", self.signed_tokens, false),
            ("require_e2ee", self.require_e2ee, false),
            ("bitrate_cap", self.bitrate_cap, false),
            ("opus_fec", self.opus_fec, true),
            ("opus_dtx", self.opus_dtx, false),
            ("audiolevel_ext", self.audiolevel_ext, true),
            ("audiolevel_event", self.audiolevel_event, false),
            ("videoorient_ext", self.videoorient_ext, true),
            ("playoutdelay_ext", self.playoutdelay_ext, true),
            ("transport_wide_cc_ext", self.transport_wide_cc_ext, true),
            ("record", self.record, false),
            ("lock_record", self.lock_record, false),
            ("notify_joining", self.notify_joining, false),
            ("dummy_publisher", self.dummy_publisher, false),
            ("dummy_e2ee", self.dummy_e2ee, false),
        ];
        o.insert("description".into(), self.description.as_str().into());
        o.insert("publishers".into(), self.publishers.into());
        o.insert("bitrate".into(), self.bitrate.into());
        o.insert("fir_freq".into(), self.fir_freq.into());
        o.insert("audiocodec".into(), names(&self.audio_codecs).into());
        o.insert("videocodec".into(), names(&self.video_codecs).into());
        for (name, value) in texts {
            if let Some(value) = value {
                o.insert(name.into(), value.as_str().into());
            }
        }
        for (name, value, default) in flags {
            if value != default {
                o.insert(name.into(), value.into());
            }
        }
        if self.audiolevel_event {
            o.insert("audio_active_packets".into(), self.audio_active_packets.into());
            o.insert("audio_level_average".into(), self.audio_level_average.into());
        }
        if self.threads > 0 {
            o.insert("threads".into(), self.threads.into());
        }
        if let Some(format) = self.rec_format {
            o.insert("rec_format".into(), format.name().into());
        }
        if let Some(automatic) = self.automatic_layers {
            o.insert("automatic_layers".into(), automatic.into());
        }
        if !self.dummy_streams.is_empty() {
            let streams = self.dummy_streams.iter().map(DummyStream::to_value).collect();
            o.insert("dummy_streams".into(), Value::Array(streams));
        }
        o
    }
}

impl DummyStream {
    fn to_value(&self) -> Value {
        let mut o = Object::new();
        o.insert("codec".into(), self.codec.api_name().into());
        if let Some(fmtp) = &self.fmtp {
            o.insert("fmtp".into(), fmtp.as_str().into());
        }
        o.into()
    }
}

/// A bitrate limit as it counts.
pub(crate) const fn at_least_min(bitrate: u32) -> u32 {
    if bitrate > 0 && bitrate < MIN_BITRATE { MIN_BITRATE } else { bitrate }
}

fn dummy_stream(o: &Object) -> Option<DummyStream> {
    let codec = Codec::from_api_name(o.get("codec")?.as_str()?)?;
    Some(DummyStream { codec, fmtp: text(o, "fmtp").filter(|t| !t.is_empty()) })
}

/// A list like `opus,pcmu`, the best first.
fn codecs(o: &Object, name: &str, known: &[Codec], default: Codec) -> Result<Vec<Codec>, Refusal> {
    let Some(list) = text(o, name).filter(|t| !t.is_empty()) else { return Ok(vec![default]) };
    let find = |word: &str| Codec::from_api_name(word).filter(|codec| known.contains(codec));
    // More than there is room for are left out, as Janus does.
    let found: Option<Vec<Codec>> = list.split(',').take(MAX_CODECS).map(find).collect();
    found.ok_or_else(|| {
        let which = match default {
            Codec::Opus => "opus, isac32, isac16, pcmu, pcma or g722",
            _ => "vp8, vp9, av1, h264 or h265",
        };
        Refusal::invalid(format!("Invalid element ({name} can only be or contain {which})"))
    })
}

fn names(codecs: &[Codec]) -> String {
    codecs.iter().map(|c| c.api_name()).collect::<Vec<_>>().join(",")
}

/// A room.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) id: Id,
    pub(crate) config: Config,
    /// Only with one of these tokens may somebody join as a publisher.
    pub(crate) allowed: BTreeSet<String>,
    pub(crate) check_allowed: bool,
    /// Those who joined as publishers, whether they publish or not.
    pub(crate) participants: BTreeMap<Id, HandleId>,
    /// Whose private id is whose.
    pub(crate) private_ids: BTreeMap<u32, HandleId>,
    pub(crate) subscribers: BTreeSet<HandleId>,
    /// A publisher that is always there and sends nothing.
    pub(crate) dummy: Option<Box<Publisher>>,
    /// When keyframes were asked for last, for `fir_freq`.
    pub(crate) asked: Instant,
}

impl Room {
    pub(crate) fn new(id: Id, config: Config, now: Instant) -> Self {
        Self {
            id,
            config,
            allowed: BTreeSet::new(),
            check_allowed: false,
            participants: BTreeMap::new(),
            private_ids: BTreeMap::new(),
            subscribers: BTreeSet::new(),
            dummy: None,
            asked: now,
        }
    }

    /// Takes the texts of an `allowed` element.
    ///
    /// # Errors
    /// 430 if one is no string; nothing has changed then.
    pub(crate) fn allowed_texts(o: &Object) -> Result<Vec<String>, Refusal> {
        let texts = body::list(o, "allowed").iter().map(|v| v.as_str().map(str::to_owned));
        let texts: Option<Vec<String>> = texts.collect();
        let texts =
            texts.ok_or_else(|| Refusal::invalid("Invalid element in the allowed array (not a string)"))?;
        match texts.len() <= MAX_ALLOWED {
            true => Ok(texts),
            false => Err(Refusal::invalid("Invalid element (allowed has too many tokens)")),
        }
    }

    /// What the list's item counts: participants, without subscribers.
    pub(crate) fn num_participants(&self) -> usize {
        self.participants.len() + usize::from(self.dummy.is_some())
    }

    /// Handles of the participants, but one.
    pub(crate) fn others(&self, but: HandleId) -> Vec<HandleId> {
        self.participants.values().copied().filter(|h| *h != but).collect()
    }
}

/// The start of an event about a room.
pub(crate) fn event(room: &Id) -> Object {
    let mut o = Object::new();
    o.insert("videoroom".into(), "event".into());
    o.insert("room".into(), room.to_value());
    o
}

/// An event with one more element.
pub(crate) fn event_with(room: &Id, name: &str, value: impl Into<Value>) -> Value {
    let mut o = event(room);
    o.insert(name.into(), value.into());
    o.into()
}

/// Checks what `create` checks of types.
pub(crate) fn check_types(o: &Object) -> Result<(), Refusal> {
    check(o, &FIELDS)
}

pub(crate) fn no_such_room(id: &Id) -> Refusal {
    Refusal::new(code::NO_SUCH_ROOM, format!("No such room ({id})"))
}

/// `{"videoroom":"destroyed","room":N}`
pub(crate) fn destroyed(id: &Id) -> Value {
    json!({ "videoroom": "destroyed", "room": id.to_value() })
}
