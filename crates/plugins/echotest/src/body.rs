//! The body of a request: presence, types and values.

use portunus_api::{FieldError, Kind, Object, Value, optional};
use std::time::Duration;

/// What a request asks for. Absent elements leave things as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) audio: Option<bool>,
    pub(crate) video: Option<bool>,
    pub(crate) bitrate: Option<u32>,
    pub(crate) record: Option<bool>,
    pub(crate) filename: Option<String>,
    pub(crate) substream: Option<u8>,
    pub(crate) temporal: Option<u8>,
    pub(crate) fallback: Option<Duration>,
    pub(crate) spatial_layer: Option<u8>,
    pub(crate) temporal_layer: Option<u8>,
    /// In steps of 10 ms; negative takes the extension off.
    pub(crate) min_delay: Option<i64>,
    /// In steps of 10 ms; negative takes the extension off.
    pub(crate) max_delay: Option<i64>,
    pub(crate) audiocodec: Option<String>,
    pub(crate) videocodec: Option<String>,
    pub(crate) videoprofile: Option<String>,
    pub(crate) opusred: bool,
}

/// The elements in the order in which Janus checks them.
const TYPES: [(&str, Kind); 17] = [
    ("audio", Kind::Boolean),
    ("audiocodec", Kind::String),
    ("video", Kind::Boolean),
    ("videocodec", Kind::String),
    ("videoprofile", Kind::String),
    ("opusred", Kind::Boolean),
    ("bitrate", Kind::PositiveInteger),
    ("record", Kind::Boolean),
    ("filename", Kind::String),
    ("substream", Kind::PositiveInteger),
    ("temporal", Kind::PositiveInteger),
    ("fallback", Kind::PositiveInteger),
    ("svc", Kind::Boolean),
    ("spatial_layer", Kind::PositiveInteger),
    ("temporal_layer", Kind::PositiveInteger),
    ("min_delay", Kind::Integer),
    ("max_delay", Kind::Integer),
];

/// The elements that do something of themselves; the others only go with an offer.
const ACTING: [&str; 12] = [
    "audio",
    "video",
    "bitrate",
    "substream",
    "temporal",
    "fallback",
    "spatial_layer",
    "temporal_layer",
    "record",
    "min_delay",
    "max_delay",
    // Not in the documentation, but Janus takes it alone.
    "opusred",
];

impl Body {
    /// Reads the body; `with_jsep` says that a description came with it.
    ///
    /// # Errors
    /// The text for error 413.
    pub(crate) fn parse(o: &Object, with_jsep: bool) -> Result<Self, String> {
        for (name, kind) in TYPES {
            optional(o, name, kind).map_err(|e: FieldError| e.to_string())?;
        }
        let body = Self {
            audio: flag(o, "audio"),
            video: flag(o, "video"),
            bitrate: number(o, "bitrate").map(|b| u32::try_from(b).unwrap_or(u32::MAX)),
            record: flag(o, "record"),
            filename: text(o, "filename"),
            substream: layer(o, "substream")?,
            temporal: layer(o, "temporal")?,
            fallback: number(o, "fallback").map(Duration::from_micros),
            spatial_layer: layer(o, "spatial_layer")?,
            temporal_layer: layer(o, "temporal_layer")?,
            min_delay: o.get("min_delay").and_then(Value::as_i64),
            max_delay: o.get("max_delay").and_then(Value::as_i64),
            audiocodec: text(o, "audiocodec"),
            videocodec: text(o, "videocodec"),
            videoprofile: text(o, "videoprofile"),
            opusred: flag(o, "opusred").unwrap_or(false),
        };
        let acts = ACTING.iter().any(|name| o.contains_key(*name));
        if acts || with_jsep {
            Ok(body)
        } else {
            Err("Message error: no supported attributes found".to_owned())
        }
    }

    /// Whether it is about layers.
    pub(crate) fn wants_layers(&self) -> bool {
        let layers = [self.substream, self.temporal, self.spatial_layer, self.temporal_layer];
        layers.iter().any(Option::is_some) || self.fallback.is_some()
    }
}

fn flag(o: &Object, name: &str) -> Option<bool> {
    o.get(name)?.as_bool()
}

fn number(o: &Object, name: &str) -> Option<u64> {
    o.get(name)?.as_u64()
}

fn text(o: &Object, name: &str) -> Option<String> {
    o.get(name)?.as_str().map(str::to_owned)
}

fn layer(o: &Object, name: &str) -> Result<Option<u8>, String> {
    let layer = number(o, name).map(|n| u8::try_from(n).ok().filter(|n| *n <= 2));
    match layer {
        Some(None) => Err(format!("Invalid value ({name} should be 0, 1 or 2)")),
        Some(wanted) => Ok(wanted),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(value: serde_json::Value) -> Result<Body, String> {
        Body::parse(value.as_object().unwrap(), false)
    }

    #[test]
    fn what_is_wrong_is_told_with_the_texts_of_janus() {
        for (value, text) in [
            (json!({"audio": 1}), "Invalid element type (audio should be a boolean)"),
            (json!({"audio": null}), "Invalid element type (audio should be a boolean)"),
            (json!({"bitrate": -1}), "Invalid element type (bitrate should be a positive integer)"),
            (json!({"videocodec": 8}), "Invalid element type (videocodec should be a string)"),
            (json!({"filename": 8}), "Invalid element type (filename should be a string)"),
            (json!({"min_delay": "x"}), "Invalid element type (min_delay should be an integer)"),
            (json!({"substream": 3}), "Invalid value (substream should be 0, 1 or 2)"),
            (json!({"temporal": 300}), "Invalid value (temporal should be 0, 1 or 2)"),
            (json!({"spatial_layer": 3}), "Invalid value (spatial_layer should be 0, 1 or 2)"),
            (json!({"temporal_layer": 3}), "Invalid value (temporal_layer should be 0, 1 or 2)"),
        ] {
            assert_eq!(parse(value).unwrap_err(), text);
        }
    }

    #[test]
    fn the_first_wrong_type_comes_before_any_wrong_value() {
        let text = parse(json!({"substream": 3, "video": 1, "audio": 1})).unwrap_err();
        assert_eq!(text, "Invalid element type (audio should be a boolean)");
    }

    #[test]
    fn something_to_do_is_needed() {
        for value in [
            json!({}),
            json!({"foo": 1}),
            json!({"audiocodec": "opus"}),
            json!({"filename": "x"}),
            json!({"svc": true}),
        ] {
            assert_eq!(parse(value.clone()).unwrap_err(), "Message error: no supported attributes found");
            assert!(Body::parse(value.as_object().unwrap(), true).is_ok(), "{value}");
        }
        for name in ACTING {
            let value =
                if matches!(name, "audio" | "video" | "record" | "opusred") { json!(true) } else { json!(1) };
            assert!(parse(json!({ name: value })).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_fallback_is_in_microseconds() {
        assert_eq!(parse(json!({"fallback": 300_000})).unwrap().fallback, Some(Duration::from_millis(300)));
    }
}
