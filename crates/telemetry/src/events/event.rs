//! Events and their envelope, in Janus' key order.

use portunus_api::{Object, Value, json};
use std::time::Duration;

/// What an event is about. The numbers are those of the wire, and the bits of [`EventMask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum EventType {
    /// A session begins or ends.
    Session = 1,
    /// A handle is attached or detached.
    Handle = 2,
    /// An operator's own (`custom_event`).
    External = 4,
    /// A description.
    Jsep = 8,
    /// ICE and DTLS.
    WebRtc = 16,
    /// Media come, stop, suffer; statistics.
    Media = 32,
    /// A plugin's.
    Plugin = 64,
    /// A transport's.
    Transport = 128,
    /// The gateway itself.
    Core = 256,
}

impl EventType {
    /// By its number.
    pub const fn from_number(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Session,
            2 => Self::Handle,
            4 => Self::External,
            8 => Self::Jsep,
            16 => Self::WebRtc,
            32 => Self::Media,
            64 => Self::Plugin,
            128 => Self::Transport,
            256 => Self::Core,
            _ => return None,
        })
    }

    /// Its number.
    #[allow(clippy::as_conversions, reason = "the number of a variant")]
    pub const fn number(self) -> u16 {
        self as u16
    }

    const ALL: [Self; 9] = [
        Self::Session,
        Self::Handle,
        Self::External,
        Self::Jsep,
        Self::WebRtc,
        Self::Media,
        Self::Plugin,
        Self::Transport,
        Self::Core,
    ];

    /// Its name in settings and topics.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Session => "sessions",
            Self::Handle => "handles",
            Self::External => "external",
            Self::Jsep => "jsep",
            Self::WebRtc => "webrtc",
            Self::Media => "media",
            Self::Plugin => "plugins",
            Self::Transport => "transports",
            Self::Core => "core",
        }
    }

    /// Its name for people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Session => "Sessions",
            Self::Handle => "Handles",
            Self::External => "External",
            Self::Jsep => "JSEP",
            Self::WebRtc => "WebRTC",
            Self::Media => "Media",
            Self::Plugin => "Plugins",
            Self::Transport => "Transports",
            Self::Core => "Core",
        }
    }
}

/// Which types of events a handler gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventMask(pub(crate) u16);

impl EventMask {
    /// All.
    pub const ALL: Self = Self(511);
    /// None.
    pub const NONE: Self = Self(0);

    /// Reads `sessions,handles,...`, `all` or `none`, in any case. As in Janus the last two mean something only alone, and
    /// words that are no types of events mean nothing; they are told, too.
    pub fn parse(text: &str) -> (Self, Vec<&str>) {
        match text.trim().to_ascii_lowercase().as_str() {
            "all" => return (Self::ALL, Vec::new()),
            "none" | "" => return (Self::NONE, Vec::new()),
            _ => {}
        }
        let (mut mask, mut unknown) = (0, Vec::new());
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match EventType::ALL.into_iter().find(|kind| kind.plural().eq_ignore_ascii_case(word)) {
                Some(kind) => mask |= kind.number(),
                None => unknown.push(word),
            }
        }
        (Self(mask), unknown)
    }

    /// Whether events of this type are among them.
    pub const fn has(self, kind: EventType) -> bool {
        self.0 & kind.number() != 0
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What it is about.
    pub kind: EventType,
    /// The type's subtype, if it has any.
    pub subtype: Option<u8>,
    /// The session.
    pub session: Option<u64>,
    /// The handle.
    pub handle: Option<u64>,
    /// The handle's opaque id.
    pub opaque_id: Option<String>,
    /// The event itself.
    pub body: Value,
}

impl Event {
    /// An event of neither session nor handle.
    pub fn of(kind: EventType, subtype: Option<u8>, body: Value) -> Self {
        Self { kind, subtype, session: None, handle: None, opaque_id: None, body }
    }

    /// The event in its envelope; `unix` is the wall-clock time since the Unix epoch.
    pub fn envelope(self, emitter: &str, unix: Duration) -> Value {
        let mut o = Object::new();
        let mut put = |name: &str, value: Value| {
            o.insert(name.to_owned(), value);
        };
        put("emitter", emitter.into());
        put("type", self.kind.number().into());
        if let Some(subtype) = self.subtype {
            put("subtype", subtype.into());
        }
        put("timestamp", json!(u64::try_from(unix.as_micros()).unwrap_or(u64::MAX)));
        if let Some(session) = self.session {
            put("session_id", session.into());
        }
        if let Some(handle) = self.handle {
            put("handle_id", handle.into());
        }
        if let Some(opaque_id) = self.opaque_id {
            put("opaque_id", opaque_id.into());
        }
        put("event", self.body);
        o.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_has_the_keys_of_janus_in_their_order() {
        let event = Event {
            kind: EventType::WebRtc,
            subtype: Some(1),
            session: Some(7),
            handle: Some(8),
            opaque_id: Some("op".into()),
            body: json!({ "ice": "ready" }),
        };
        assert_eq!(
            event.envelope("gw", Duration::from_micros(1_700_000)).to_string(),
            r#"{"emitter":"gw","type":16,"subtype":1,"timestamp":1700000,"session_id":7,"handle_id":8,"opaque_id":"op","event":{"ice":"ready"}}"#
        );
        let bare = Event::of(EventType::Core, None, json!({}));
        assert_eq!(
            bare.envelope("gw", Duration::ZERO).to_string(),
            r#"{"emitter":"gw","type":256,"timestamp":0,"event":{}}"#
        );
    }

    #[test]
    fn masks_are_lists_of_names() {
        let table: [(&str, u16, &[&str]); 9] = [
            ("all", 511, &[]),
            ("none", 0, &[]),
            ("", 0, &[]),
            ("sessions, handles", 3, &[]),
            ("SESSIONS", 1, &[]),
            ("sessions,all", 1, &["all"]),
            ("none,core", 256, &["none"]),
            ("jsep,webrtc,media,plugins,transports,external", 8 + 16 + 32 + 64 + 128 + 4, &[]),
            ("session", 0, &["session"]),
        ];
        for (text, mask, unknown) in table {
            assert_eq!(EventMask::parse(text), (EventMask(mask), unknown.to_vec()), "{text}");
        }
    }
}
