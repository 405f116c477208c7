//! Which layers of a simulcast or SVC stream a subscriber wants, and which he gets.

use crate::publisher::Stream;
use crate::subscriber::Wishes;
use portunus_api::{Object, Value};
use portunus_plugin::media::{LayerCause, LayerChange, LayerTarget};
use std::time::Duration;

/// Without packets of the wanted substream for so long, a lower one is taken, if nobody says otherwise.
const FALLBACK: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layers {
    substream_target: u8,
    temporal_target: u8,
    spatial_layer_target: u8,
    temporal_layer_target: u8,
    fallback: Duration,
    /// The subscriber named layers himself: they do not follow his network.
    pinned: bool,
    /// Substream or spatial layer that he gets.
    spatial: Option<u8>,
    temporal: Option<u8>,
    /// Why it is these.
    pub(crate) cause: Option<LayerCause>,
    /// What the media engine was told.
    told: Option<LayerTarget>,
}

impl Default for Layers {
    fn default() -> Self {
        Self {
            substream_target: 2,
            temporal_target: 2,
            spatial_layer_target: 2,
            temporal_layer_target: 2,
            fallback: FALLBACK,
            pinned: false,
            spatial: None,
            temporal: None,
            cause: None,
            told: None,
        }
    }
}

impl Layers {
    pub(crate) fn want(&mut self, wishes: &Wishes) {
        let named = [wishes.substream, wishes.temporal, wishes.spatial_layer, wishes.temporal_layer];
        self.pinned |= named.iter().any(Option::is_some);
        self.substream_target = wishes.substream.unwrap_or(self.substream_target);
        self.temporal_target = wishes.temporal.unwrap_or(self.temporal_target);
        self.spatial_layer_target = wishes.spatial_layer.unwrap_or(self.spatial_layer_target);
        self.temporal_layer_target = wishes.temporal_layer.unwrap_or(self.temporal_layer_target);
        self.fallback = wishes.fallback.map_or(self.fallback, Duration::from_micros);
    }

    /// What the media engine must be told of a stream it does not know yet.
    pub(crate) fn changed(&mut self, stream: &Stream, automatic: bool) -> Option<LayerTarget> {
        let (spatial, temporal) = match stream.simulcast {
            true => (self.substream_target, self.temporal_target),
            false => (self.spatial_layer_target, self.temporal_layer_target),
        };
        let automatic = automatic && !self.pinned;
        let target = LayerTarget { spatial, temporal, fallback: self.fallback, automatic };
        let video = stream.kind == portunus_sdp::MediaKind::Video;
        let layered = stream.simulcast || stream.svc || (self.pinned && video);
        (layered && self.told.replace(target) != Some(target)).then_some(target)
    }

    /// What the subscriber gets now, as the elements of events.
    pub(crate) fn on_change(&mut self, change: LayerChange, cause: LayerCause) -> Vec<(&'static str, u8)> {
        self.cause = Some(cause);
        match change {
            LayerChange::Substream(n) => {
                self.spatial = Some(n);
                vec![("substream", n)]
            }
            LayerChange::Temporal(n) => {
                self.temporal = Some(n);
                vec![("temporal", n)]
            }
            LayerChange::Svc { spatial, temporal } => {
                let mut changed = Vec::new();
                if self.spatial.replace(spatial) != Some(spatial) {
                    changed.push(("spatial_layer", spatial));
                }
                if self.temporal.replace(temporal) != Some(temporal) {
                    changed.push(("temporal_layer", temporal));
                }
                changed
            }
        }
    }

    /// `simulcast` or `svc` of a stream's summary.
    pub(crate) fn summary(&self, stream: &Stream, o: &mut Object) {
        let mut layers = Object::new();
        let mut put = |name: &str, value: Value| layers.insert(name.into(), value);
        if stream.simulcast {
            put("substream", current(self.spatial));
            put("substream-target", self.substream_target.into());
            put("temporal-layer", current(self.temporal));
            put("temporal-layer-target", self.temporal_target.into());
            if self.fallback != FALLBACK {
                put("fallback", u64::try_from(self.fallback.as_micros()).unwrap_or(u64::MAX).into());
            }
            o.insert("simulcast".into(), layers.into());
        } else if stream.svc {
            put("spatial-layer", current(self.spatial));
            put("target-spatial-layer", self.spatial_layer_target.into());
            put("temporal-layer", current(self.temporal));
            put("target-temporal-layer", self.temporal_layer_target.into());
            o.insert("svc".into(), layers.into());
        }
    }
}

/// A layer, -1 while there is none yet.
fn current(layer: Option<u8>) -> Value {
    layer.map_or(Value::from(-1), Value::from)
}
