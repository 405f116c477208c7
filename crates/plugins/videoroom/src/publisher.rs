//! A participant: somebody who joined as a publisher, whether he publishes or not.

use crate::forwarder::Forwarder;
use crate::id::Id;
use crate::room::Config;
use portunus_api::{Object, Value};
use portunus_plugin::media::{AudioWatch, PlayoutDelay};
use portunus_plugin::recording::{Format as FileFormat, Subject};
use portunus_plugin::{Cx, Description, HandleId, Plan, RouteEnd, Svc};
use portunus_sdp::{Codec, Direction, MediaKind, ext};

/// Why a participant is in no room any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// He left, or the room did.
    Left,
    /// He was kicked.
    Kicked,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) room: Id,
    pub(crate) id: Id,
    pub(crate) private_id: u32,
    /// `None`: the room's dummy.
    pub(crate) handle: Option<HandleId>,
    pub(crate) display: Option<String>,
    pub(crate) metadata: Option<Value>,
    /// He is in the room no more; the handle stays, of no use.
    pub(crate) gone: Option<Gone>,
    /// The PeerConnection is up: he publishes.
    pub(crate) started: bool,
    /// Bits per second, 0 for no limit.
    pub(crate) bitrate: u32,
    pub(crate) e2ee: bool,
    pub(crate) audio_active_packets: Option<u32>,
    pub(crate) audio_level_average: Option<u8>,
    pub(crate) streams: Vec<Stream>,
    /// His streams are recorded.
    pub(crate) recording: bool,
    /// What their files are to be called.
    pub(crate) recording_base: Option<String>,
    /// What the file that plays is called, while there may be one.
    pub(crate) film_base: Option<String>,
    /// What files they are to be, if he said so.
    pub(crate) rec_format: Option<FileFormat>,
    /// The file that plays, while there is one.
    pub(crate) playable: Option<String>,
    /// Forwarders that wait for their hosts to be found.
    pub(crate) pending_forwarders: usize,
    /// One of his streams was forwarded once.
    pub(crate) was_forwarded: bool,
}

/// What a publisher sends on one m-line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stream {
    pub(crate) kind: MediaKind,
    pub(crate) mindex: usize,
    pub(crate) mid: String,
    /// The m-line is rejected or idle.
    pub(crate) disabled: bool,
    pub(crate) description: Option<String>,
    pub(crate) format: Format,
    pub(crate) simulcast: bool,
    pub(crate) svc: bool,
    /// A moderator muted it.
    pub(crate) moderated: bool,
    /// The publisher did not mute it here.
    pub(crate) send: bool,
    /// Whether he talks, once that was told.
    pub(crate) talking: Option<bool>,
    /// The level that was told last, -dBov.
    pub(crate) level: f64,
    pub(crate) min_delay: Option<u16>,
    pub(crate) max_delay: Option<u16>,
    /// What a recording of it would be of.
    pub(crate) subject: Option<Subject>,
    /// It is recorded.
    pub(crate) recorded: Option<Recorded>,
    /// Whom it is forwarded to.
    pub(crate) forwarders: Vec<Forwarder>,
    /// It is neither recorded nor forwarded: the media engine knows.
    pub(crate) withheld: bool,
}

/// A recording that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// The name of its MJR file, if it has one.
    pub(crate) file: Option<String>,
    /// What was wanted.
    pub(crate) format: FileFormat,
    /// What the stream was like when it began.
    pub(crate) subject: Subject,
}

/// What a subscriber must know of a stream to be offered it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) codec: Option<Codec>,
    pub(crate) fec: bool,
    pub(crate) dtx: bool,
    pub(crate) stereo: bool,
    /// The fmtp that was agreed on.
    pub(crate) fmtp: Option<String>,
    pub(crate) h264_profile: Option<String>,
    pub(crate) vp9_profile: Option<String>,
    pub(crate) audio_level: Option<u8>,
    pub(crate) video_orientation: Option<u8>,
    pub(crate) playout_delay: Option<u8>,
    /// AV1 cannot be decoded without it once layers are left out.
    pub(crate) dependency_descriptor: bool,
}

/// Whom a summary is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// The publisher himself, in the answer to his offer.
    Himself,
    /// Somebody who comes into the room.
    Newcomer,
    /// Everybody else.
    Others,
    /// Event handlers.
    Handlers,
}

/// Whether a description of a publisher says who talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// To somebody who comes into the room.
    WithTalking,
    /// As news.
    AsNews,
}

impl Publisher {
    pub(crate) fn new(room: Id, id: Id, private_id: u32, handle: Option<HandleId>) -> Self {
        Self {
            room,
            id,
            private_id,
            handle,
            display: None,
            metadata: None,
            gone: None,
            started: false,
            bitrate: 0,
            e2ee: false,
            audio_active_packets: None,
            audio_level_average: None,
            streams: Vec::new(),
            recording: false,
            recording_base: None,
            film_base: None,
            rec_format: None,
            playable: None,
            pending_forwarders: 0,
            was_forwarded: false,
        }
    }

    pub(crate) const fn is_dummy(&self) -> bool {
        self.handle.is_none()
    }

    /// The stream with this mid.
    pub(crate) fn stream(&self, mid: &str) -> Option<&Stream> {
        self.streams.iter().find(|s| s.mid == mid)
    }

    pub(crate) fn stream_mut(&mut self, mid: &str) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|s| s.mid == mid)
    }

    /// Where packets of a stream come from, while some may come.
    pub(crate) fn source(&self, mid: &str) -> Option<RouteEnd> {
        let stream = self.stream(mid).filter(|s| s.flows())?;
        self.handle.filter(|_| self.started).map(|h| RouteEnd::new(h, &stream.mid))
    }

    /// `id`, `display` and `metadata` of this participant.
    pub(crate) fn name(&self, o: &mut Object) {
        o.insert("id".into(), self.id.to_value());
        self.labels(o);
    }

    /// `display` and `metadata`.
    pub(crate) fn labels(&self, o: &mut Object) {
        if let Some(display) = &self.display {
            o.insert("display".into(), display.as_str().into());
        }
        if let Some(metadata) = &self.metadata {
            o.insert("metadata".into(), metadata.clone());
        }
    }

    /// The publisher as others see him.
    pub(crate) fn describe(&self, told: Told) -> Value {
        let mut o = Object::new();
        self.name(&mut o);
        if self.is_dummy() {
            o.insert("dummy".into(), true.into());
        }
        self.codecs(&mut o);
        let talks = told == Told::WithTalking && !self.is_dummy();
        let reader = if talks { Reader::Newcomer } else { Reader::Others };
        o.insert("streams".into(), self.summary(reader));
        if let Some(talking) = self.talking().filter(|_| talks) {
            o.insert("talking".into(), talking.into());
        }
        o.into()
    }

    /// `audio_codec` and `video_codec` of the first stream of each.
    pub(crate) fn codecs(&self, o: &mut Object) {
        for (name, kind) in [("audio_codec", MediaKind::Audio), ("video_codec", MediaKind::Video)] {
            if let Some(first) = self.streams.iter().find(|s| s.kind == kind) {
                o.insert(name.into(), first.format.codec.map_or("none", Codec::api_name).into());
            }
        }
    }

    /// `streams`
    /// What event handlers are told of him.
    pub(crate) fn for_handlers(&self) -> Vec<(&'static str, Value)> {
        let display = self.display.as_ref().map(|display| ("display", display.as_str().into()));
        let all =
            [Some(("id", self.id.to_value())), display, Some(("streams", self.summary(Reader::Handlers)))];
        all.into_iter().flatten().collect()
    }

    pub(crate) fn summary(&self, reader: Reader) -> Value {
        self.streams.iter().map(|s| s.summary(reader)).collect()
    }

    /// Whether he talks, if his packets could tell.
    pub(crate) fn talking(&self) -> Option<bool> {
        let could = self.streams.iter().filter(|s| s.format.audio_level.is_some());
        could.map(|s| s.talking == Some(true)).reduce(|a, b| a || b)
    }

    /// The m-lines of an answered offer; what was decided here of a stream stays. Gives the streams that are none of them.
    pub(crate) fn take_streams(&mut self, offer: &Description, plan: &Plan, svc: &Svc) -> Vec<Stream> {
        let old = std::mem::take(&mut self.streams);
        for (mindex, media) in plan.media.iter().enumerate() {
            let before = old.iter().find(|s| s.mid == media.mid && s.kind == media.kind);
            let codec = media.codec();
            let video = media.kind == MediaKind::Video;
            let simulcast = video && media.accepted && offer.simulcast(mindex).is_some();
            let idle = media.kind.is_rtp() && (!media.direction.receives() || codec.is_none());
            let mut stream = match before {
                Some(stream) => stream.clone(),
                None => Stream::new(media.kind.clone(), mindex, media.mid.clone()),
            };
            stream.mindex = mindex;
            stream.disabled = !media.accepted || idle;
            stream.subject = Subject::of(media);
            let inactive = offer.media.get(mindex).is_none_or(|m| m.direction == Direction::Inactive);
            // What is only paused keeps its codec.
            if !inactive || !media.kind.is_rtp() {
                stream.format = Format::of(media);
            }
            stream.simulcast = simulcast;
            let scalable = svc.has(&media.mid) && codec.is_some_and(Codec::has_dependency_descriptor);
            stream.svc = video && !simulcast && scalable;
            self.streams.push(stream);
        }
        let stays = |s: &Stream| plan.media.iter().any(|m| m.mid == s.mid && m.kind == s.kind);
        old.into_iter().filter(|s| !stays(s)).collect()
    }

    /// Tells the media engine whose level is of interest.
    pub(crate) fn watch(&self, cx: &mut Cx, config: &Config) {
        let Some(handle) = self.handle.filter(|_| config.audiolevel_event) else { return };
        let audible = |s: &&Stream| s.kind == MediaKind::Audio && s.format.audio_level.is_some();
        for stream in self.streams.iter().filter(audible) {
            let watch = AudioWatch {
                packets: self.audio_active_packets.unwrap_or(config.audio_active_packets),
                level: self
                    .audio_level_average
                    .unwrap_or(u8::try_from(config.audio_level_average).unwrap_or(u8::MAX)),
            };
            cx.watch_audio(RouteEnd::new(handle, &stream.mid), Some(watch));
        }
    }

    /// Asks for a keyframe of each video stream, or of the one with this mid.
    pub(crate) fn keyframe(&self, cx: &mut Cx, mid: Option<&str>) {
        let Some(handle) = self.handle.filter(|_| self.started) else { return };
        let wanted =
            |s: &&Stream| s.kind == MediaKind::Video && !s.disabled && mid.is_none_or(|mid| s.mid == mid);
        for stream in self.streams.iter().filter(wanted) {
            cx.keyframe(RouteEnd::new(handle, &stream.mid));
        }
    }
}

impl Stream {
    pub(crate) const fn new(kind: MediaKind, mindex: usize, mid: String) -> Self {
        Self {
            kind,
            mindex,
            mid,
            disabled: false,
            description: None,
            format: Format::none(),
            simulcast: false,
            svc: false,
            moderated: false,
            send: true,
            talking: None,
            level: 0.0,
            min_delay: None,
            max_delay: None,
            subject: None,
            recorded: None,
            forwarders: Vec::new(),
            withheld: false,
        }
    }

    /// Nobody keeps its packets from the subscribers.
    pub(crate) const fn flows(&self) -> bool {
        !self.disabled && !self.moderated && self.send
    }

    /// The playout delay the publisher wants, if he does.
    pub(crate) fn delay(&self) -> Option<PlayoutDelay> {
        self.min_delay.zip(self.max_delay).map(|(min, max)| PlayoutDelay { min, max })
    }

    fn summary(&self, reader: Reader) -> Value {
        let mut o = Object::new();
        o.insert("type".into(), self.kind.api_name().into());
        o.insert("mindex".into(), self.mindex.into());
        o.insert("mid".into(), self.mid.as_str().into());
        if self.disabled {
            o.insert("disabled".into(), true.into());
            return o.into();
        }
        if let Some(description) = &self.description {
            o.insert("description".into(), description.as_str().into());
        }
        if let Some(codec) = self.format.codec {
            o.insert("codec".into(), codec.api_name().into());
            if reader != Reader::Handlers {
                self.format.summary(codec, &mut o);
            }
        }
        let moderated = self.moderated && !matches!(reader, Reader::Himself | Reader::Handlers);
        for (name, on) in [("simulcast", self.simulcast), ("svc", self.svc), ("moderated", moderated)] {
            if on {
                o.insert(name.into(), true.into());
            }
        }
        if reader == Reader::Himself {
            self.format.extension_ids(&mut o);
        }
        if reader == Reader::Newcomer && self.format.audio_level.is_some() {
            o.insert("talking".into(), (self.talking == Some(true)).into());
        }
        o.into()
    }
}

impl Format {
    const fn none() -> Self {
        Self {
            codec: None,
            fec: false,
            dtx: false,
            stereo: false,
            fmtp: None,
            h264_profile: None,
            vp9_profile: None,
            audio_level: None,
            video_orientation: None,
            playout_delay: None,
            dependency_descriptor: false,
        }
    }

    fn of(media: &portunus_sdp::PlanMedia) -> Self {
        let codec = media.codec();
        let payload = media.payloads.iter().find(|p| Codec::of(p).is_some());
        let is_opus = matches!(codec, Some(Codec::Opus | Codec::MultiOpus));
        let says = |name: &str| is_opus && payload.and_then(|p| p.parameter(name)) == Some("1");
        let profile = |of, name: &str| {
            let value = payload.filter(|_| codec == Some(of)).and_then(|p| p.parameter(name));
            value.map(str::to_owned)
        };
        let id = |uri: &str| media.extensions.iter().find(|e| e.uri == uri).map(|e| e.id);
        Self {
            codec,
            fec: says("useinbandfec"),
            dtx: says("usedtx"),
            stereo: says("stereo"),
            fmtp: payload.and_then(|p| p.fmtp.clone()),
            h264_profile: profile(Codec::H264, "profile-level-id"),
            vp9_profile: profile(Codec::Vp9, "profile-id"),
            audio_level: id(ext::AUDIO_LEVEL),
            video_orientation: id(ext::VIDEO_ORIENTATION),
            playout_delay: id(ext::PLAYOUT_DELAY),
            dependency_descriptor: id(ext::DEPENDENCY_DESCRIPTOR).is_some(),
        }
    }

    fn summary(&self, codec: Codec, o: &mut Object) {
        if codec == Codec::Opus {
            for (name, on) in [("stereo", self.stereo), ("fec", self.fec), ("dtx", self.dtx)] {
                if on {
                    o.insert(name.into(), true.into());
                }
            }
        }
        for (name, profile) in [("h264_profile", &self.h264_profile), ("vp9_profile", &self.vp9_profile)] {
            if let Some(profile) = profile {
                o.insert(name.into(), profile.as_str().into());
            }
        }
    }

    fn extension_ids(&self, o: &mut Object) {
        let ids = [
            ("audiolevel_ext_id", self.audio_level),
            ("videoorient_ext_id", self.video_orientation),
            ("playoutdelay_ext_id", self.playout_delay),
        ];
        for (name, id) in ids {
            if let Some(id) = id {
                o.insert(name.into(), id.into());
            }
        }
    }
}
