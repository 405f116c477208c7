//! One user: its name, whom it talks to, and the media of its call.

use crate::body::Wishes;
use portunus_plugin::media::{LayerChange, LayerTarget};
use portunus_plugin::recording::Subject;
use portunus_plugin::tracks::Tracks;
use portunus_plugin::{Cx, Description, HandleId, Object, Plan, RouteEnd, Value, json};
use portunus_sdp::{Codec, MediaKind, SentLayers};
use std::sync::Arc;
use std::time::Duration;

/// A handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct User {
    /// Where it is registered.
    pub(crate) name: Option<String>,
    /// Whom it calls, is called by, or talks to.
    pub(crate) peer: Option<HandleId>,
    pub(crate) media: Media,
}

/// What a user sends and gets. It is as new after every call.
#[derive(Clone, Debug)]
pub(crate) struct Media {
    pub(crate) audio: bool,
    pub(crate) video: bool,
    pub(crate) bitrate: u32,
    pub(crate) peer_bitrate: u32,
    /// The layers it wants of what its peer sends.
    target: LayerTarget,
    /// The layers it gets: spatial, temporal.
    reached: (Option<u8>, Option<u8>),
    /// Its offer that waits for an answer.
    pub(crate) offered: Option<Offered>,
    /// The layers it sends.
    pub(crate) layers: Vec<SentLayers>,
    /// The call was accepted.
    agreed: bool,
    /// The audio and video that were agreed on with its peer.
    lines: Vec<Line>,
    pub(crate) tracks: Tracks,
    pub(crate) e2ee: bool,
    pub(crate) slow_links: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Offered {
    pub(crate) description: Arc<Description>,
    pub(crate) e2ee: bool,
}

/// An audio or video m-line of a call, as one side sees it. It has the same mid on both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    mid: String,
    video: bool,
    /// Its name in the API.
    codec: &'static str,
    /// This side sends on it, and the other takes it.
    sends: bool,
    layering: Layering,
}

/// How what is sent on a line is layered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layering {
    None,
    /// Several streams.
    Simulcast,
    /// Layers in one stream, if the client makes any.
    Svc,
}

/// The largest layers, and Janus' patience for those that do not come.
const TOP: LayerTarget =
    LayerTarget { spatial: 2, temporal: 2, fallback: Duration::from_millis(250), automatic: false };

impl Default for Media {
    fn default() -> Self {
        Self {
            audio: true,
            video: true,
            bitrate: 0,
            peer_bitrate: 0,
            target: TOP,
            reached: (None, None),
            offered: None,
            layers: Vec::new(),
            agreed: false,
            lines: Vec::new(),
            tracks: Tracks::default(),
            e2ee: false,
            slow_links: 0,
        }
    }
}

/// What was agreed on: the lines of the one who offered, and of the one who answered.
pub(crate) struct Agreed {
    pub(crate) offerer: Side,
    pub(crate) answerer: Side,
}

/// One of the two.
#[derive(Default)]
pub(crate) struct Side {
    lines: Vec<Line>,
    /// What it sends that can be recorded.
    subjects: Vec<(String, Subject)>,
}

impl Agreed {
    /// From the offer of one, the answer of the other, and what of the answer is passed on.
    pub(crate) fn new(offer: &Description, answer: &Description, plan: &Plan, e2ee: bool) -> Self {
        let (mut offerer, mut answerer) = (Side::default(), Side::default());
        let accepted = plan.media.iter().enumerate().filter(|(_, media)| media.accepted);
        for (index, media) in accepted {
            let Some(offered) = offer.media.get(index) else { continue };
            let (forth, back) = match media.kind {
                MediaKind::Data => (true, true),
                _ => (
                    media.direction.receives() && offered.direction.sends(),
                    media.direction.sends() && offered.direction.receives(),
                ),
            };
            for (side, description, sends) in [(&mut offerer, offer, forth), (&mut answerer, answer, back)] {
                if sends && let Some(subject) = Subject::of(media) {
                    side.subjects.push((media.mid.clone(), Subject { encrypted: e2ee, ..subject }));
                }
                if let Some(codec) = media.codec().filter(|_| media.kind.is_rtp()) {
                    let video = media.kind == MediaKind::Video;
                    side.lines.push(Line {
                        mid: media.mid.clone(),
                        video,
                        codec: codec.api_name(),
                        sends,
                        layering: match codec {
                            _ if video && description.simulcast(index).is_some() => Layering::Simulcast,
                            Codec::Vp9 | Codec::Av1 => Layering::Svc,
                            _ => Layering::None,
                        },
                    });
                }
            }
        }
        Self { offerer, answerer }
    }
}

impl Media {
    /// Takes over what was agreed on.
    pub(crate) fn settle(&mut self, cx: &mut Cx, h: HandleId, peer: HandleId, side: Side) {
        for gone in self.lines.iter().filter(|old| !side.lines.iter().any(|new| new.mid == old.mid)) {
            cx.unroute(RouteEnd::new(peer, &gone.mid));
        }
        self.agreed = true;
        self.lines = side.lines;
        self.tracks.set(cx, h, side.subjects);
        self.route(cx, h, peer, |_| true);
        cx.cap(h, self.bitrate);
    }

    /// What a user sends goes to its peer, unless it is switched off.
    fn route(&self, cx: &mut Cx, h: HandleId, peer: HandleId, which: impl Fn(&Line) -> bool) {
        for line in self.lines.iter().filter(|l| which(l)) {
            let sink = RouteEnd::new(peer, &line.mid);
            if line.sends && if line.video { self.video } else { self.audio } {
                cx.route(RouteEnd::new(h, &line.mid), sink);
            } else {
                cx.unroute(sink);
            }
        }
    }

    /// Asks for the layers that this user wants of what `peer` sends.
    pub(crate) fn select(&self, cx: &mut Cx, h: HandleId, peer: &Self) {
        for line in peer.lines.iter().filter(|l| l.sends && l.layering != Layering::None) {
            cx.select(RouteEnd::new(h, &line.mid), self.target);
        }
    }

    /// Asks this user for keyframes.
    pub(crate) fn keyframes(&self, cx: &mut Cx, h: HandleId) {
        for line in self.lines.iter().filter(|l| l.video && l.sends) {
            cx.keyframe(RouteEnd::new(h, &line.mid));
        }
    }

    /// Takes over what was wished for, and has it done if there is a call with `peer`.
    pub(crate) fn apply(
        &mut self,
        cx: &mut Cx,
        h: HandleId,
        peer: Option<(HandleId, &Self)>,
        wishes: &Wishes,
    ) {
        let video_was = self.video;
        self.audio = wishes.audio.unwrap_or(self.audio);
        self.video = wishes.video.unwrap_or(self.video);
        self.bitrate = wishes.bitrate.unwrap_or(self.bitrate);
        self.target.spatial = wishes.spatial.unwrap_or(self.target.spatial);
        self.target.temporal = wishes.temporal.unwrap_or(self.target.temporal);
        self.target.fallback = wishes.fallback.unwrap_or(self.target.fallback);
        let Some((other, theirs)) = peer.filter(|_| self.agreed) else { return };
        if wishes.audio.is_some() {
            self.route(cx, h, other, |l| !l.video);
        }
        if wishes.video.is_some() {
            self.route(cx, h, other, |l| l.video);
        }
        if wishes.keyframe || (self.video && !video_was) {
            self.keyframes(cx, h);
        }
        if wishes.bitrate.is_some() {
            cx.cap(h, self.bitrate);
        }
        if wishes.wants_layers() {
            self.select(cx, h, theirs);
        }
    }

    /// The wanted layers that are there already: nothing will change, so the events about them come now.
    pub(crate) fn reached(&self, peer: &Self, wishes: &Wishes) -> Vec<Value> {
        let Some(line) = peer.lines.iter().find(|l| l.video && l.layering != Layering::None) else {
            return Vec::new();
        };
        let simulcast = line.layering == Layering::Simulcast;
        let (spatial, temporal) =
            if simulcast { ("substream", "temporal") } else { ("spatial_layer", "temporal_layer") };
        let wanted = [(spatial, wishes.spatial, self.reached.0), (temporal, wishes.temporal, self.reached.1)];
        let there = wanted.into_iter().filter_map(|(name, wanted, reached)| {
            wanted.filter(|_| wanted == reached).map(|layer| (name, layer))
        });
        there.map(|layer| layer_event(simulcast, line.codec, &[layer])).collect()
    }

    /// It gets another layer: the event about it.
    pub(crate) fn on_layer(&mut self, codec: &str, change: LayerChange) -> Value {
        match change {
            LayerChange::Substream(n) => {
                self.reached.0 = Some(n);
                layer_event(true, codec, &[("substream", n)])
            }
            LayerChange::Temporal(n) => {
                self.reached.1 = Some(n);
                layer_event(true, codec, &[("temporal", n)])
            }
            LayerChange::Svc { spatial, temporal } => {
                self.reached = (Some(spatial), Some(temporal));
                layer_event(false, codec, &[("spatial_layer", spatial), ("temporal_layer", temporal)])
            }
        }
    }

    /// Whether losses on this medium are worth a word: what is switched off is expected to be missed.
    pub(crate) const fn minds_loss(&self, video: bool, uplink: bool) -> bool {
        !uplink || if video { self.video } else { self.audio }
    }

    /// What event handlers are told after every accepted `set`.
    pub(crate) fn notice(&self) -> Value {
        let mut o = Object::new();
        o.insert("event".into(), "configured".into());
        o.insert("audio_active".into(), self.audio.into());
        o.insert("video_active".into(), self.video.into());
        o.insert("bitrate".into(), self.bitrate.into());
        if let Some(files) = self.tracks.files() {
            o.insert("recording".into(), files);
        }
        o.into()
    }

    fn codec(&self, video: bool) -> Option<&'static str> {
        self.lines.iter().find(|l| l.video == video).map(|l| l.codec)
    }

    fn query(&self, peer: Option<&Self>, o: &mut Object) {
        o.insert("audio_active".into(), self.audio.into());
        o.insert("video_active".into(), self.video.into());
        for (name, video) in [("audio_codec", false), ("video_codec", true)] {
            if let Some(codec) = self.codec(video) {
                o.insert(name.into(), codec.into());
            }
        }
        o.insert("bitrate".into(), self.bitrate.into());
        o.insert("peer-bitrate".into(), self.peer_bitrate.into());
        o.insert("slowlink_count".into(), self.slow_links.into());
        // Of what it gets: whoever sends the layers chooses none.
        let got = |layering| peer.is_some_and(|p| p.lines.iter().any(|l| l.sends && l.layering == layering));
        let (spatial, temporal) = self.reached;
        if got(Layering::Simulcast) {
            o.insert("simulcast".into(), true.into());
            o.insert("substream".into(), current(spatial));
            o.insert("substream-target".into(), self.target.spatial.into());
            o.insert("temporal-layer".into(), current(temporal));
            o.insert("temporal-layer-target".into(), self.target.temporal.into());
        } else if got(Layering::Svc) && spatial.is_some() {
            o.insert("svc".into(), true.into());
            o.insert("spatial-layer".into(), current(spatial));
            o.insert("target-spatial-layer".into(), self.target.spatial.into());
            o.insert("temporal-layer".into(), current(temporal));
            o.insert("target-temporal-layer".into(), self.target.temporal.into());
        }
        if let Some(files) = self.tracks.files() {
            o.insert("recording".into(), files);
        }
        if self.e2ee {
            o.insert("e2ee".into(), true.into());
        }
    }
}

impl User {
    /// The plugin's part of `handle_info`.
    pub(crate) fn query(&self, peer: Option<&Self>) -> Value {
        let mut o = Object::new();
        o.insert("state".into(), if self.peer.is_some() { "incall" } else { "idle" }.into());
        if let Some(name) = &self.name {
            o.insert("username".into(), name.as_str().into());
        }
        if let Some(peer) = peer {
            if let Some(name) = &peer.name {
                o.insert("peer".into(), name.as_str().into());
            }
            self.media.query(Some(&peer.media), &mut o);
        }
        o.insert("incall".into(), u8::from(self.media.agreed).into());
        o.insert("hangingup".into(), 0.into());
        o.insert("destroyed".into(), 0.into());
        o.into()
    }
}

/// An event about layers, for the one who gets them.
fn layer_event(simulcast: bool, codec: &str, layers: &[(&str, u8)]) -> Value {
    let mut o = Object::new();
    o.insert("event".into(), if simulcast { "simulcast" } else { "svc" }.into());
    o.insert("videocodec".into(), codec.into());
    for (name, layer) in layers {
        o.insert((*name).into(), (*layer).into());
    }
    json!({ "videocall": "event", "result": o })
}

/// A layer, -1 while there is none yet.
fn current(layer: Option<u8>) -> Value {
    layer.map_or(Value::from(-1), Value::from)
}
