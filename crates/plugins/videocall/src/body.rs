//! The body of `set`: types and values.

use crate::error::Refusal;
use portunus_api::{Kind, Object, Value, optional};
use std::time::Duration;

/// What a user wants to change. Absent elements leave things as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) audio: Option<bool>,
    pub(crate) video: Option<bool>,
    pub(crate) bitrate: Option<u32>,
    pub(crate) record: Option<bool>,
    pub(crate) filename: Option<String>,
    /// The offer that goes to the peer has new ICE credentials.
    pub(crate) restart: bool,
    pub(crate) keyframe: bool,
    /// Substream or spatial layer.
    pub(crate) spatial: Option<u8>,
    pub(crate) temporal: Option<u8>,
    pub(crate) fallback: Option<Duration>,
}

/// The elements in the order in which Janus checks their types.
const TYPES: [(&str, Kind); 6] = [
    ("audio", Kind::Boolean),
    ("video", Kind::Boolean),
    ("bitrate", Kind::PositiveInteger),
    ("record", Kind::Boolean),
    ("filename", Kind::String),
    ("restart", Kind::Boolean),
];

impl Wishes {
    /// # Errors
    /// An element of another type, or a value that there is not.
    pub(crate) fn parse(o: &Object) -> Result<Self, Refusal> {
        for (name, kind) in TYPES {
            optional(o, name, kind)?;
        }
        let (substream, temporal) = (layer(o, "substream")?, layer(o, "temporal")?);
        let fallback = fallback(o)?;
        let (spatial_layer, temporal_layer) = (layer(o, "spatial_layer")?, layer(o, "temporal_layer")?);
        let flag = |name| o.get(name).and_then(Value::as_bool);
        Ok(Self {
            audio: flag("audio"),
            video: flag("video"),
            bitrate: o.get("bitrate").and_then(Value::as_u64).map(|b| u32::try_from(b).unwrap_or(u32::MAX)),
            record: flag("record"),
            filename: o.get("filename").and_then(Value::as_str).map(str::to_owned),
            restart: flag("restart").unwrap_or(false),
            keyframe: flag("keyframe").unwrap_or(false),
            spatial: spatial_layer.or(substream),
            temporal: temporal_layer.or(temporal),
            fallback,
        })
    }

    /// Whether it is about layers.
    pub(crate) const fn wants_layers(&self) -> bool {
        self.spatial.is_some() || self.temporal.is_some() || self.fallback.is_some()
    }
}

/// Janus has one text for a wrong type and a wrong value.
fn layer(o: &Object, name: &str) -> Result<Option<u8>, Refusal> {
    let Some(value) = o.get(name) else { return Ok(None) };
    let layer = value.as_u64().and_then(|n| u8::try_from(n).ok()).filter(|n| *n <= 2);
    layer.map(Some).ok_or_else(|| Refusal::invalid(format!("Invalid value ({name} should be 0, 1 or 2)")))
}

fn fallback(o: &Object) -> Result<Option<Duration>, Refusal> {
    let Some(value) = o.get("fallback") else { return Ok(None) };
    let wrong = || Refusal::invalid("Invalid value (fallback should be a positive integer)");
    value.as_u64().map(|us| Some(Duration::from_micros(us))).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portunus_api::json;

    fn parse(value: &Value) -> Result<Wishes, Refusal> {
        Wishes::parse(value.as_object().unwrap())
    }

    #[test]
    fn what_is_wrong_is_told_with_the_texts_of_janus() {
        for (value, text) in [
            (json!({"audio": "x"}), "Invalid element type (audio should be a boolean)"),
            (json!({"audio": null}), "Invalid element type (audio should be a boolean)"),
            (json!({"video": 1}), "Invalid element type (video should be a boolean)"),
            (json!({"bitrate": -1}), "Invalid element type (bitrate should be a positive integer)"),
            (json!({"record": 1}), "Invalid element type (record should be a boolean)"),
            (json!({"filename": 5}), "Invalid element type (filename should be a string)"),
            (json!({"restart": "x"}), "Invalid element type (restart should be a boolean)"),
            (json!({"substream": "x"}), "Invalid value (substream should be 0, 1 or 2)"),
            (json!({"substream": 3}), "Invalid value (substream should be 0, 1 or 2)"),
            (json!({"temporal": -1}), "Invalid value (temporal should be 0, 1 or 2)"),
            (json!({"fallback": "x"}), "Invalid value (fallback should be a positive integer)"),
            (json!({"spatial_layer": 9}), "Invalid value (spatial_layer should be 0, 1 or 2)"),
            // Types come first.
            (json!({"substream": 3, "restart": 1}), "Invalid element type (restart should be a boolean)"),
        ] {
            assert_eq!(parse(&value).unwrap_err(), Refusal::invalid(text), "{value}");
        }
        assert_eq!(parse(&json!({"keyframe": "x", "foo": 1})).unwrap(), Wishes::default());
    }

    #[test]
    fn layers_have_two_names() {
        let wishes = parse(&json!({"substream": 1, "temporal": 0, "fallback": 300_000})).unwrap();
        assert_eq!((wishes.spatial, wishes.temporal), (Some(1), Some(0)));
        assert_eq!(wishes.fallback, Some(Duration::from_millis(300)));
        let wishes = parse(&json!({"spatial_layer": 2, "temporal_layer": 1})).unwrap();
        assert_eq!((wishes.spatial, wishes.temporal, wishes.wants_layers()), (Some(2), Some(1), true));
    }
}
