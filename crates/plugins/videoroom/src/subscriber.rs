//! A subscriber: one PeerConnection that carries streams of any number of publishers.
//!
//! Invariant: an m-line that was offered once stays; without a source it is inactive and may be used again.

use crate::id::Id;
use crate::layers::Layers;
use crate::publisher::{Format, Gone, Publisher};
use portunus_api::{Object, Value, json};
use portunus_plugin::media::PlayoutDelay;
use portunus_plugin::{Cx, Description, HandleId, Plan, RouteEnd};
use portunus_sdp::MediaKind;

/// M-lines of one subscriber.
pub(crate) const MAX_STREAMS: usize = 512;

/// See the module.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) handle: HandleId,
    pub(crate) room: Id,
    /// The publisher he belongs to, by that one's private id; 0 if he did not say.
    pub(crate) private_id: u32,
    pub(crate) gone: Option<Gone>,
    pub(crate) streams: Vec<SubStream>,
    pub(crate) paused: bool,
    /// The PeerConnection is up.
    pub(crate) up: bool,
    /// The last offer was answered.
    pub(crate) answered: bool,
    /// An offer waits for its answer.
    pub(crate) pending_offer: bool,
    /// Another offer shall follow the answer.
    pub(crate) pending_update: bool,
    /// And it shall restart ICE.
    pub(crate) pending_restart: bool,
    pub(crate) use_msid: bool,
    pub(crate) autoupdate: bool,
    /// Joined by `feed`, as before there were several streams: the PeerConnection closes with the publisher.
    pub(crate) close_pc: bool,
    pub(crate) e2ee: Option<bool>,
    /// What was offered last.
    pub(crate) plan: Option<Plan>,
    /// What his network carries, bits per second, as estimated.
    pub(crate) estimate: Option<u32>,
}

/// One m-line of a subscriber.
#[derive(Debug)]
pub(crate) struct SubStream {
    pub(crate) kind: MediaKind,
    pub(crate) mindex: usize,
    pub(crate) mid: String,
    /// Feed and mid: at most one, but for data.
    pub(crate) sources: Vec<Source>,
    pub(crate) format: Format,
    pub(crate) crossrefid: Option<String>,
    /// The m-line was answered.
    pub(crate) ready: bool,
    /// The subscriber wants its packets.
    pub(crate) send: bool,
    pub(crate) layers: Layers,
    pub(crate) min_delay: Option<u16>,
    pub(crate) max_delay: Option<u16>,
    /// What feeds it now.
    routed: Option<RouteEnd>,
    delayed: Option<PlayoutDelay>,
}

/// A stream of a publisher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) feed: Id,
    pub(crate) mid: String,
}

/// What a request says of one stream beside whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) crossrefid: Option<String>,
    pub(crate) send: Option<bool>,
    pub(crate) substream: Option<u8>,
    pub(crate) temporal: Option<u8>,
    pub(crate) spatial_layer: Option<u8>,
    pub(crate) temporal_layer: Option<u8>,
    /// Microseconds.
    pub(crate) fallback: Option<u64>,
    /// In steps of 10 ms; negative takes the extension off.
    pub(crate) min_delay: Option<i64>,
    /// In steps of 10 ms; negative takes the extension off.
    pub(crate) max_delay: Option<i64>,
}

impl Subscriber {
    pub(crate) fn new(handle: HandleId, room: Id) -> Self {
        Self {
            handle,
            room,
            private_id: 0,
            gone: None,
            streams: Vec::new(),
            paused: false,
            up: false,
            answered: false,
            pending_offer: false,
            pending_update: false,
            pending_restart: false,
            use_msid: false,
            autoupdate: true,
            close_pc: false,
            e2ee: None,
            plan: None,
            estimate: None,
        }
    }

    /// Adds the streams of a feed that have this mid, or all. Says how many.
    pub(crate) fn add(&mut self, publisher: &Publisher, mid: Option<&str>, wishes: &Wishes) -> usize {
        let mut added = 0;
        for stream in &publisher.streams {
            let usable = stream.format.codec.is_some() || stream.kind == MediaKind::Data;
            if stream.disabled || !usable || mid.is_some_and(|mid| mid != stream.mid) {
                continue;
            }
            let source = Source { feed: publisher.id.clone(), mid: stream.mid.clone() };
            if stream.kind == MediaKind::Data {
                added += usize::from(self.add_data(source, wishes));
                continue;
            }
            let format = stream.format.clone();
            let free = |s: &SubStream| {
                s.sources.is_empty() && s.kind == stream.kind && s.format.codec == format.codec
            };
            let place = match self.streams.iter().position(free) {
                Some(place) => place,
                None if self.streams.len() < MAX_STREAMS => self.append(stream.kind.clone()),
                None => break,
            };
            if let Some(line) = self.streams.get_mut(place) {
                line.begin(source, format, wishes);
                added += 1;
            }
        }
        added
    }

    /// All data goes over one m-line. Whether that is news for the subscriber's PeerConnection.
    fn add_data(&mut self, source: Source, wishes: &Wishes) -> bool {
        let place = self.streams.iter().position(|s| s.kind == MediaKind::Data);
        let place = match place {
            Some(place) => place,
            None if self.streams.len() < MAX_STREAMS => self.append(MediaKind::Data),
            None => return false,
        };
        let Some(line) = self.streams.get_mut(place) else { return false };
        if line.sources.is_empty() {
            line.begin(source, Format::default(), wishes);
            return true;
        }
        if !line.sources.contains(&source) {
            line.sources.push(source);
        }
        false
    }

    fn append(&mut self, kind: MediaKind) -> usize {
        let mindex = self.streams.len();
        self.streams.push(SubStream::new(kind, mindex));
        mindex
    }

    /// Takes sources away that fit. Says how many m-lines have none any more.
    pub(crate) fn remove(&mut self, cx: &mut Cx, fits: impl Fn(&SubStream, &Source) -> bool) -> usize {
        let handle = self.handle;
        let mut removed = 0;
        for line in &mut self.streams {
            let before = line.sources.len();
            let kept = line.sources.iter().filter(|s| !fits(line, s)).cloned().collect();
            line.sources = kept;
            // One of several data sources less is nothing the client has to negotiate.
            if line.sources.is_empty() && before > 0 {
                removed += 1;
                line.stop(cx, handle);
            }
        }
        removed
    }

    /// What he is subscribed to: feeds with the mids that carry them here.
    pub(crate) fn active(&self) -> Vec<(Id, String)> {
        let of = |stream: &SubStream| {
            let mid = stream.mid.clone();
            stream.sources.iter().map(move |source| (source.feed.clone(), mid.clone())).collect::<Vec<_>>()
        };
        self.streams.iter().flat_map(of).collect()
    }

    /// Takes a feed away. Says how many streams it had here.
    pub(crate) fn remove_feed(&mut self, cx: &mut Cx, feed: &Id) -> usize {
        self.remove(cx, |_, source| source.feed == *feed)
    }

    pub(crate) fn stream_mut(&mut self, mid: &str) -> Option<&mut SubStream> {
        self.streams.iter_mut().find(|s| s.mid == mid)
    }

    /// Something comes in.
    pub(crate) fn has_sources(&self) -> bool {
        self.streams.iter().any(|s| !s.sources.is_empty())
    }

    /// Packets may go to it now.
    const fn is_open(&self) -> bool {
        self.up && !self.paused && self.gone.is_none()
    }

    /// Makes what flows be what should flow. `find` gives a feed of the room; `automatic`: layers may follow the network.
    pub(crate) fn flow<'a>(
        &mut self,
        cx: &mut Cx,
        find: impl Fn(&Id) -> Option<&'a Publisher>,
        automatic: bool,
    ) {
        let (open, handle) = (self.is_open(), self.handle);
        for line in self.streams.iter_mut().filter(|l| l.kind.is_rtp()) {
            let source = line.sources.first();
            let publisher = source.and_then(|s| find(&s.feed));
            line.flow(cx, handle, publisher, open, automatic);
        }
    }

    /// Whether a message of this source's data channel is for him.
    pub(crate) fn takes_data(&self, feed: &Id) -> bool {
        let takes = |s: &SubStream| {
            s.kind == MediaKind::Data && s.ready && s.send && s.sources.iter().any(|s| s.feed == *feed)
        };
        self.is_open() && self.streams.iter().any(takes)
    }

    /// The PeerConnection is closed: nothing flows, and nothing was offered.
    pub(crate) fn on_hangup(&mut self) {
        self.up = false;
        self.answered = false;
        self.pending_offer = false;
        self.pending_update = false;
        self.pending_restart = false;
        self.plan = None;
        self.streams.clear();
    }

    /// All m-lines that were offered are answered.
    pub(crate) fn on_answer(&mut self, answer: &Description) {
        self.answered = true;
        self.pending_offer = false;
        for (line, media) in self.streams.iter_mut().zip(&answer.media) {
            // An idle m-line that got a source since was offered as inactive: it waits for the next answer.
            line.ready |= media.is_active() && (media.direction.receives() || !line.kind.is_rtp());
        }
    }

    /// `streams` of an event.
    pub(crate) fn summary<'a>(&self, find: impl Fn(&Id) -> Option<&'a Publisher>) -> Value {
        self.streams.iter().map(|s| s.summary(&find)).collect()
    }
}

impl SubStream {
    fn new(kind: MediaKind, mindex: usize) -> Self {
        Self {
            kind,
            mindex,
            mid: mindex.to_string(),
            sources: Vec::new(),
            format: Format::default(),
            crossrefid: None,
            ready: false,
            send: true,
            layers: Layers::default(),
            min_delay: None,
            max_delay: None,
            routed: None,
            delayed: None,
        }
    }

    fn begin(&mut self, source: Source, format: Format, wishes: &Wishes) {
        self.sources = vec![source];
        self.format = format;
        self.ready = false;
        self.send = true;
        self.crossrefid = None;
        self.layers = Layers::default();
        (self.min_delay, self.max_delay) = (None, None);
        self.want(wishes);
    }

    /// Another source on the same m-line, at once.
    pub(crate) fn switch(&mut self, source: Source, format: Format, wishes: &Wishes) {
        self.sources = vec![source];
        self.format = format;
        self.layers = Layers::default();
        self.want(wishes);
    }

    /// Takes what a request says of this stream.
    pub(crate) fn want(&mut self, wishes: &Wishes) {
        if let Some(id) = &wishes.crossrefid {
            self.crossrefid = Some(id.clone());
        }
        self.send = wishes.send.unwrap_or(self.send);
        self.layers.want(wishes);
        set_delays(&mut self.min_delay, &mut self.max_delay, wishes.min_delay, wishes.max_delay);
    }

    fn stop(&mut self, cx: &mut Cx, handle: HandleId) {
        self.ready = false;
        if self.routed.take().is_some() {
            cx.unroute(RouteEnd::new(handle, &self.mid));
        }
    }

    fn flow(
        &mut self,
        cx: &mut Cx,
        handle: HandleId,
        publisher: Option<&Publisher>,
        open: bool,
        automatic: bool,
    ) {
        let from = self.sources.first().map(|s| s.mid.as_str());
        let stream = publisher.zip(from).and_then(|(p, mid)| p.stream(mid));
        let wanted = publisher.zip(from).and_then(|(p, mid)| p.source(mid));
        let wanted = wanted.filter(|_| open && self.ready && self.send);
        let sink = || RouteEnd::new(handle, &self.mid);
        if let (Some(stream), Some(_)) = (stream, &wanted) {
            let own = self.min_delay.zip(self.max_delay).map(|(min, max)| PlayoutDelay { min, max });
            let delay = own.or_else(|| stream.delay());
            if delay != self.delayed {
                cx.playout_delay(sink(), delay);
                self.delayed = delay;
            }
            if let Some(target) = self.layers.changed(stream, automatic) {
                cx.select(sink(), target);
            }
        }
        if wanted == self.routed {
            return;
        }
        match &wanted {
            Some(source) => cx.route(source.clone(), sink()),
            None => cx.unroute(sink()),
        }
        self.routed = wanted;
    }

    fn summary<'a>(&self, find: &impl Fn(&Id) -> Option<&'a Publisher>) -> Value {
        let mut o = Object::new();
        // A data m-line stays as it is: other feeds may come to it.
        let active = !self.sources.is_empty() || self.kind == MediaKind::Data;
        o.insert("type".into(), self.kind.api_name().into());
        o.insert("active".into(), active.into());
        o.insert("mindex".into(), self.mindex.into());
        o.insert("mid".into(), self.mid.as_str().into());
        if let Some(id) = self.crossrefid.as_deref() {
            o.insert("crossrefid".into(), id.into());
        }
        o.insert("ready".into(), self.ready.into());
        o.insert("send".into(), self.send.into());
        if self.kind == MediaKind::Data {
            if self.sources.is_empty() {
                return o.into();
            }
            o.insert("sources".into(), self.sources.len().into());
            let ids = self.sources.iter().map(|s| s.feed.to_value()).collect();
            o.insert("source_ids".into(), Value::Array(ids));
        } else if let Some(source) = self.sources.first() {
            self.source_summary(source, find(&source.feed), &mut o);
        }
        o.into()
    }

    fn source_summary(&self, source: &Source, publisher: Option<&Publisher>, o: &mut Object) {
        o.insert("feed_id".into(), source.feed.to_value());
        if let Some(publisher) = publisher {
            if let Some(display) = &publisher.display {
                o.insert("feed_display".into(), display.as_str().into());
            }
            if let Some(metadata) = &publisher.metadata {
                o.insert("feed_metadata".into(), metadata.clone());
            }
        }
        o.insert("feed_mid".into(), source.mid.as_str().into());
        let stream = publisher.and_then(|p| p.stream(&source.mid));
        if let Some(description) = stream.and_then(|s| s.description.as_deref()) {
            o.insert("feed_description".into(), description.into());
        }
        if let Some(codec) = self.format.codec {
            o.insert("codec".into(), codec.api_name().into());
        }
        let profiles =
            [("h264-profile", &self.format.h264_profile), ("vp9-profile", &self.format.vp9_profile)];
        for (name, profile) in profiles {
            if let Some(profile) = profile {
                o.insert(name.into(), profile.as_str().into());
            }
        }
        if let Some((min, max)) = self.min_delay.zip(self.max_delay) {
            o.insert("playout-delay".into(), json!({ "min-delay": min, "max-delay": max }));
        }
        if let Some(stream) = stream {
            self.layers.summary(stream, o);
        }
    }
}

/// Largest value of the playout-delay extension: 12 bits, in steps of 10 ms as in the API.
const MAX_PLAYOUT: u16 = 4095;

/// Takes limits of the playout delay. They keep their order: setting one may move the other; a negative one takes both off.
pub(crate) fn set_delays(
    min: &mut Option<u16>,
    max: &mut Option<u16>,
    new_min: Option<i64>,
    new_max: Option<i64>,
) {
    let limit = |delay: i64| u16::try_from(delay).unwrap_or(MAX_PLAYOUT).min(MAX_PLAYOUT);
    match new_min {
        Some(delay) if delay < 0 => (*min, *max) = (None, None),
        Some(delay) => {
            *min = Some(limit(delay));
            *max = (*max).max(*min);
        }
        None => {}
    }
    match new_max {
        Some(delay) if delay < 0 => (*min, *max) = (None, None),
        Some(delay) => {
            *max = Some(limit(delay));
            *min = Some(min.map_or(0, |min| min.min(limit(delay))));
        }
        None => {}
    }
}
