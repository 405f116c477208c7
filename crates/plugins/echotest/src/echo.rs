//! One handle: what is echoed to it, and how.

use crate::body::Body;
use portunus_plugin::media::{LayerChange, LayerTarget, PlayoutDelay};
use portunus_plugin::tracks::Tracks;
use portunus_plugin::{Cx, HandleId, Object, RouteEnd, Value, json};
use std::time::Duration;

/// Largest value of the playout-delay extension: 12 bits, in steps of 10 ms as in the API.
const MAX_PLAYOUT: u16 = 4095;

/// The state of one handle. It is as new after every hangup.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Echo {
    pub(crate) audio: bool,
    pub(crate) video: bool,
    pub(crate) bitrate: u32,
    pub(crate) peer_bitrate: u32,
    pub(crate) lines: Vec<Line>,
    pub(crate) e2ee: bool,
    pub(crate) tracks: Tracks,
    pub(crate) slow_links: u32,
    simulcast: Layers,
    svc: Layers,
    fallback: Duration,
    min_delay: Option<u16>,
    max_delay: Option<u16>,
}

/// An audio or video m-line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) mid: String,
    pub(crate) video: bool,
    /// Its name in the API.
    pub(crate) codec: &'static str,
    /// RFC 2198 redundancy was agreed.
    pub(crate) red: bool,
    /// The client sends and takes packets.
    pub(crate) echoes: bool,
    /// How it is layered.
    pub(crate) layering: Layering,
}

/// How a video m-line is layered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layering {
    /// Not at all.
    None,
    /// Several streams.
    Simulcast,
    /// Layers in one stream, if the client makes any.
    Svc,
}

/// Wanted and reached layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layers {
    spatial_target: u8,
    temporal_target: u8,
    spatial: Option<u8>,
    temporal: Option<u8>,
}

impl Layers {
    fn want(&mut self, spatial: Option<u8>, temporal: Option<u8>) {
        self.spatial_target = spatial.unwrap_or(self.spatial_target);
        self.temporal_target = temporal.unwrap_or(self.temporal_target);
    }
}

const TOP: Layers = Layers { spatial_target: 2, temporal_target: 2, spatial: None, temporal: None };

impl Default for Echo {
    fn default() -> Self {
        Self {
            audio: true,
            video: true,
            bitrate: 0,
            peer_bitrate: 0,
            lines: Vec::new(),
            e2ee: false,
            tracks: Tracks::default(),
            slow_links: 0,
            simulcast: TOP,
            svc: TOP,
            fallback: Duration::from_millis(250),
            min_delay: None,
            max_delay: None,
        }
    }
}

impl Echo {
    /// Says which of the wanted layers are there already.
    pub(crate) fn announce(&self, cx: &mut Cx, h: HandleId, body: &Body) {
        let codec = self.lines.iter().find(|l| l.video).map_or("vp8", |l| l.codec);
        for (name, wanted, reached) in [
            ("substream", body.substream, self.simulcast.spatial),
            ("temporal", body.temporal, self.simulcast.temporal),
            ("spatial_layer", body.spatial_layer, self.svc.spatial),
            ("temporal_layer", body.temporal_layer, self.svc.temporal),
        ] {
            if let Some(layer) = wanted.filter(|w| reached == Some(*w)) {
                cx.push(h, layer_event(codec, &[(name, layer)]));
            }
        }
    }

    /// Takes over what a request wants.
    pub(crate) fn take(&mut self, body: &Body) {
        self.audio = body.audio.unwrap_or(self.audio);
        self.video = body.video.unwrap_or(self.video);
        self.bitrate = body.bitrate.unwrap_or(self.bitrate);
        self.fallback = body.fallback.unwrap_or(self.fallback);
        self.simulcast.want(body.substream, body.temporal);
        self.svc.want(body.spatial_layer, body.temporal_layer);
        self.take_delays(body);
    }

    /// Takes over what a request wants and has it done.
    pub(crate) fn apply(&mut self, cx: &mut Cx, h: HandleId, body: &Body) {
        let video_was = self.video;
        self.take(body);
        if body.audio.is_some() {
            self.route(cx, h, |l| !l.video);
        }
        if body.video.is_some() {
            self.route(cx, h, |l| l.video);
            if self.video && !video_was {
                self.keyframes(cx, h);
            }
        }
        if body.bitrate.is_some() && !self.lines.is_empty() {
            cx.cap(h, self.bitrate);
        }
        if body.wants_layers() {
            self.select(cx, h);
        }
        if body.min_delay.is_some() || body.max_delay.is_some() {
            self.delay(cx, h);
        }
    }

    /// The m-lines were negotiated, for the first time or again: connects what can be echoed.
    pub(crate) fn set_lines(&mut self, cx: &mut Cx, h: HandleId, lines: Vec<Line>) {
        for gone in self.lines.iter().filter(|old| !lines.iter().any(|new| new.mid == old.mid)) {
            cx.unroute(RouteEnd::new(h, &gone.mid));
        }
        self.lines = lines;
        self.route(cx, h, |_| true);
        self.select(cx, h);
        if self.min_delay.is_some() {
            self.delay(cx, h);
        }
        cx.cap(h, self.bitrate);
    }

    /// A sink reached another layer: the event about it.
    pub(crate) fn on_layer(&mut self, codec: &str, change: LayerChange) -> Value {
        match change {
            LayerChange::Substream(n) => {
                self.simulcast.spatial = Some(n);
                layer_event(codec, &[("substream", n)])
            }
            LayerChange::Temporal(n) => {
                self.simulcast.temporal = Some(n);
                layer_event(codec, &[("temporal", n)])
            }
            LayerChange::Svc { spatial, temporal } => {
                (self.svc.spatial, self.svc.temporal) = (Some(spatial), Some(temporal));
                layer_event(codec, &[("spatial_layer", spatial), ("temporal_layer", temporal)])
            }
        }
    }

    /// Whether losses on this medium are worth a word: what is not echoed is expected to be missed.
    pub(crate) fn minds_loss(&self, video: bool, uplink: bool) -> bool {
        !uplink || if video { self.video } else { self.audio }
    }

    /// The plugin's part of `handle_info`.
    pub(crate) fn query(&self) -> Value {
        let mut o = Object::new();
        o.insert("audio_active".into(), self.audio.into());
        o.insert("video_active".into(), self.video.into());
        if let Some(line) = self.lines.iter().find(|l| !l.video) {
            o.insert("audio_codec".into(), line.codec.into());
            if line.red {
                o.insert("audio_red".into(), true.into());
            }
        }
        if let Some(line) = self.lines.iter().find(|l| l.video) {
            o.insert("video_codec".into(), line.codec.into());
        }
        o.insert("bitrate".into(), self.bitrate.into());
        o.insert("peer-bitrate".into(), self.peer_bitrate.into());
        if self.has(Layering::Simulcast) {
            o.insert("simulcast".into(), true.into());
            o.insert("substream".into(), current(self.simulcast.spatial));
            o.insert("substream-target".into(), self.simulcast.spatial_target.into());
            o.insert("temporal-layer".into(), current(self.simulcast.temporal));
            o.insert("temporal-layer-target".into(), self.simulcast.temporal_target.into());
        }
        if self.svc.spatial.is_some() {
            o.insert("svc".into(), true.into());
            o.insert("spatial-layer".into(), current(self.svc.spatial));
            o.insert("target-spatial-layer".into(), self.svc.spatial_target.into());
            o.insert("temporal-layer".into(), current(self.svc.temporal));
            o.insert("target-temporal-layer".into(), self.svc.temporal_target.into());
        }
        if let Some(files) = self.tracks.files() {
            o.insert("recording".into(), files);
        }
        if self.e2ee {
            o.insert("e2ee".into(), true.into());
        }
        o.insert("slowlink_count".into(), self.slow_links.into());
        o.insert("hangingup".into(), 0.into());
        o.insert("destroyed".into(), 0.into());
        o.into()
    }

    /// What event handlers are told after every accepted request.
    pub(crate) fn notice(&self) -> Value {
        let mut o = Object::new();
        o.insert("audio_active".into(), self.audio.into());
        o.insert("video_active".into(), self.video.into());
        o.insert("bitrate".into(), self.bitrate.into());
        if self.has(Layering::Simulcast) {
            let simulcast = json!({
                "substream": current(self.simulcast.spatial),
                "temporal-layer": current(self.simulcast.temporal),
            });
            o.insert("simulcast".into(), simulcast);
        }
        if let Some(files) = self.tracks.files() {
            o.insert("recording".into(), files);
        }
        o.into()
    }

    fn has(&self, layering: Layering) -> bool {
        self.lines.iter().any(|l| l.layering == layering)
    }

    /// The limits keep their order: setting one may move the other.
    fn take_delays(&mut self, body: &Body) {
        let limit = |delay: i64| u16::try_from(delay).unwrap_or(MAX_PLAYOUT).min(MAX_PLAYOUT);
        match body.min_delay {
            Some(delay) if delay < 0 => (self.min_delay, self.max_delay) = (None, None),
            Some(delay) => {
                self.min_delay = Some(limit(delay));
                self.max_delay = self.max_delay.max(self.min_delay);
            }
            None => {}
        }
        match body.max_delay {
            Some(delay) if delay < 0 => (self.min_delay, self.max_delay) = (None, None),
            Some(delay) => {
                self.max_delay = Some(limit(delay));
                self.min_delay = self.min_delay.map(|min| min.min(limit(delay)));
            }
            None => {}
        }
    }

    fn route(&self, cx: &mut Cx, h: HandleId, which: impl Fn(&Line) -> bool) {
        for line in self.lines.iter().filter(|l| which(l)) {
            let end = RouteEnd::new(h, &line.mid);
            let wanted = if line.video { self.video } else { self.audio };
            if line.echoes && wanted {
                cx.route(end.clone(), end);
            } else {
                cx.unroute(end);
            }
        }
    }

    fn keyframes(&self, cx: &mut Cx, h: HandleId) {
        for line in self.lines.iter().filter(|l| l.video && l.echoes) {
            cx.keyframe(RouteEnd::new(h, &line.mid));
        }
    }

    fn select(&self, cx: &mut Cx, h: HandleId) {
        for line in self.lines.iter().filter(|l| l.echoes) {
            let layers = match line.layering {
                Layering::None => continue,
                Layering::Simulcast => self.simulcast,
                Layering::Svc => self.svc,
            };
            let target = LayerTarget {
                spatial: layers.spatial_target,
                temporal: layers.temporal_target,
                fallback: self.fallback,
                automatic: false,
            };
            cx.select(RouteEnd::new(h, &line.mid), target);
        }
    }

    fn delay(&self, cx: &mut Cx, h: HandleId) {
        let delay = self.min_delay.zip(self.max_delay).map(|(min, max)| PlayoutDelay { min, max });
        for line in self.lines.iter().filter(|l| l.video && l.echoes) {
            cx.playout_delay(RouteEnd::new(h, &line.mid), delay);
        }
    }
}

/// An event about layers.
fn layer_event(codec: &str, layers: &[(&str, u8)]) -> Value {
    let mut o = Object::new();
    o.insert("echotest".into(), "event".into());
    o.insert("videocodec".into(), codec.into());
    for (name, layer) in layers {
        o.insert((*name).into(), (*layer).into());
    }
    o.into()
}

/// A layer, -1 while there is none yet.
fn current(layer: Option<u8>) -> Value {
    layer.map_or(Value::from(-1), Value::from)
}
