//! `rtp_forward`, `stop_rtp_forward` and `listforwarders`.
//!
//! Who may forward is known before any name is looked up; the reply waits for that. What happened meanwhile counts: a
//! publisher who has gone is not forwarded, nor is a stream that ended.

use super::Done;
use super::create::Pending;
use crate::body::{check, check_secret, flag, number, text};
use crate::error::{Refusal, code};
use crate::forwarder::Forwarder;
use crate::id::Id;
use crate::publisher::Publisher;
use crate::{Answer, VideoRoom};
use portunus_api::{Kind, Object, Value, json};
use portunus_plugin::forward::{
    Destination, Family, Feedback, FeedbackPort, Forward, ForwardKey, Layers, Reached, Unreachable,
};
use portunus_plugin::{Cx, Finished, Outcome, RouteEnd, Task};
use portunus_sdp::MediaKind;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// Forwarders of one publisher at most.
const MAX_FORWARDERS: usize = 1000;
/// Simulcast substreams that have ports of their own, and how the elements for them end.
const SUBSTREAMS: [(u8, &str); 3] = [(0, ""), (1, "_2"), (2, "_3")];

/// A request whose hosts are looked up.
#[derive(Debug)]
pub(crate) struct ForwardRequest {
    room: Id,
    publisher: Id,
    wanted: Vec<Wanted>,
    /// The first is that of the whole request.
    destinations: Vec<Destination>,
    key: Protection,
    /// Asked for in the old form, and answered so.
    old_form: bool,
}

/// One forwarder that is wanted.
#[derive(Clone, Debug)]
struct Wanted {
    mid: String,
    /// Which of the destinations.
    destination: usize,
    port: u16,
    feedback: Option<u16>,
    payload_type: Option<u8>,
    ssrc: Option<u32>,
    layers: Layers,
}

/// Whether forwarded packets are sealed.
#[derive(Clone, Debug)]
enum Protection {
    None,
    Sealed(ForwardKey),
    /// It was asked for with a key that is none: nothing is forwarded then, rather than in the clear.
    Impossible,
}

impl VideoRoom {
    pub(super) fn list_forwarders(&self, o: &Object) -> Answer<Value> {
        let room = self.room_with_secret(o)?;
        let there = room.participants.values().filter_map(|h| self.publishers.get(h));
        let all = there.chain(room.dummy.as_deref());
        let publishers: Vec<Value> = all.filter_map(Publisher::list_forwarders).collect();
        Ok(json!({ "videoroom": "forwarders", "room": room.id.to_value(), "publishers": publishers }))
    }

    pub(super) fn rtp_forward(&mut self, cx: &mut Cx, o: &Object) -> Answer<Done> {
        check_types(o)?;
        let host = Host { name: text(o, "host").unwrap_or_default(), family: family(o)? };
        for stream in objects_of(o) {
            check_stream(stream?)?;
        }
        let key = protection(o)?;
        let publisher = self.required_id(o, "publisher_id")?;
        if self.settings.lock_rtp_forward {
            check_secret(o, "admin_key", self.settings.admin_key.as_deref())?;
        }
        let room = self.lenient_room_with_secret(o)?.id.clone();
        let Some(found) = self.feed(&room, &publisher) else {
            return Err(Refusal::new(code::NO_SUCH_FEED, format!("No such feed ({publisher})")));
        };
        let mut destinations = Destinations::new(host);
        let old_form = !o.contains_key("streams");
        let wanted = match old_form {
            true => wanted_by_kind(o, found, &mut destinations)?,
            false => wanted_by_mid(o, found, &mut destinations)?,
        };
        if found.count_forwarders() + found.pending_forwarders + wanted.len() > MAX_FORWARDERS {
            let text = format!("Too many RTP forwarders (at most {MAX_FORWARDERS} for a publisher)");
            return Err(Refusal::new(code::UNKNOWN, text));
        }
        if let Some(found) = self.feed_mut(&room, &publisher) {
            found.pending_forwarders += wanted.len();
        }
        let destinations = destinations.0;
        let task = Task::Reach(destinations.clone());
        let request = ForwardRequest { room, publisher, wanted, destinations, key, old_form };
        Ok(Done::Later(self.begin(cx, task, Pending::Forward(Box::new(request)))))
    }

    /// The hosts were found, or not.
    pub(super) fn on_reached(&mut self, cx: &mut Cx, request: ForwardRequest, outcome: Outcome) -> Value {
        if let Some(found) = self.feed_mut(&request.room, &request.publisher) {
            found.pending_forwarders = found.pending_forwarders.saturating_sub(request.wanted.len());
        }
        let answered = match outcome {
            Ok(Finished::Reached(found)) => self.forward(cx, &request, found),
            Ok(_) => Err(Refusal::new(code::UNKNOWN, "Nothing was looked up")),
            Err(reason) => Err(Refusal::new(code::UNKNOWN, format!("Can't forward: {reason}"))),
        };
        answered.unwrap_or_else(|refusal| refusal.to_value())
    }

    fn forward(
        &mut self,
        cx: &mut Cx,
        request: &ForwardRequest,
        found: Vec<Result<Reached, Unreachable>>,
    ) -> Answer<Value> {
        let names = request.destinations.iter().map(|d| d.host.as_str());
        let reached: Result<Vec<_>, _> =
            names.zip(found).map(|(name, found)| found.map_err(|why| refusal(name, &why))).collect();
        let reached = reached?;
        let addresses: Vec<IpAddr> = reached.iter().map(|r| r.address).collect();
        let mut ports: Vec<VecDeque<FeedbackPort>> = reached.into_iter().map(|r| r.feedback.into()).collect();
        let (room, id) = (&request.room, &request.publisher);
        if self.feed(room, id).is_none() {
            return Err(Refusal::new(code::NO_SUCH_FEED, format!("No such feed ({id})")));
        }
        let wanted = match request.key {
            Protection::Impossible => &[],
            Protection::None | Protection::Sealed(_) => request.wanted.as_slice(),
        };
        let mut made = Vec::new();
        for wanted in wanted {
            let Some(address) = addresses.get(wanted.destination) else { continue };
            let port = match wanted.feedback {
                Some(_) => ports.get_mut(wanted.destination).and_then(VecDeque::pop_front),
                None => None,
            };
            made.extend(self.add_forwarder(cx, request, wanted, *address, port));
        }
        Ok(request.answer(&made, addresses.first()))
    }

    /// Begins one; gives the kind of its stream with it. `None`: the stream is not there any more.
    fn add_forwarder(
        &mut self,
        cx: &mut Cx,
        request: &ForwardRequest,
        wanted: &Wanted,
        address: IpAddr,
        port: Option<FeedbackPort>,
    ) -> Option<(MediaKind, Forwarder)> {
        let number = self.free_forwarder_id(&request.room, &request.publisher);
        let publisher = self.feed_mut(&request.room, &request.publisher)?;
        publisher.was_forwarded = true;
        let handle = publisher.handle;
        let stream = publisher.stream_mut(&wanted.mid)?;
        let is_data = stream.kind == MediaKind::Data;
        let key = match &request.key {
            Protection::Sealed(key) if !is_data => Some(key.clone()),
            _ => None,
        };
        let forwarder = Forwarder {
            id: number,
            to: SocketAddr::new(address, wanted.port),
            feedback: port.as_ref().map(FeedbackPort::port).zip(wanted.feedback),
            payload_type: wanted.payload_type,
            ssrc: wanted.ssrc,
            substream: match wanted.layers {
                Layers::Substream(n) => Some(n).filter(|n| *n > 0),
                Layers::All | Layers::Best => None,
            },
            srtp: key.is_some(),
        };
        stream.forwarders.push(forwarder.clone());
        let (kind, codec) = (stream.kind.clone(), stream.format.codec);
        if let Some(handle) = handle {
            let forward = Forward {
                id: number,
                to: forwarder.to,
                payload_type: wanted.payload_type,
                ssrc: wanted.ssrc,
                // What has no layers is forwarded whole, whatever was asked for.
                layers: if stream.simulcast { wanted.layers } else { without_layers(wanted.layers) },
                key,
                feedback: port
                    .zip(wanted.feedback)
                    .map(|(port, theirs)| Feedback { port, to: SocketAddr::new(address, theirs) }),
            };
            cx.forward(RouteEnd::new(handle, &wanted.mid), forward);
        }
        if self.settings.events {
            let mut told = forwarder.describe(kind.api_name());
            told.insert("event".into(), "rtp_forward".into());
            told.insert("room".into(), request.room.to_value());
            told.insert("publisher_id".into(), request.publisher.to_value());
            told.insert("media".into(), kind.api_name().into());
            if let Some(codec) = codec {
                told.insert("codec".into(), codec.api_name().into());
            }
            cx.notify(None, told.into());
        }
        Some((kind, forwarder))
    }

    fn free_forwarder_id(&mut self, room: &Id, publisher: &Id) -> u32 {
        loop {
            // The upper half of 64 random bits.
            let id = u32::try_from((self.random)() >> 32).unwrap_or(u32::MAX);
            if id != 0 && !self.feed(room, publisher).is_some_and(|p| p.has_forwarder(id)) {
                return id;
            }
        }
    }

    pub(super) fn stop_rtp_forward(&mut self, cx: &mut Cx, o: &Object) -> Answer<Value> {
        self.room_id(o)?;
        let publisher = self.required_id(o, "publisher_id")?;
        check(o, &[("stream_id", Kind::PositiveInteger, true)])?;
        if self.settings.lock_rtp_forward {
            check_secret(o, "admin_key", self.settings.admin_key.as_deref())?;
        }
        let room = self.room_with_secret(o)?.id.clone();
        let Some(found) = self.feed_mut(&room, &publisher) else {
            return Err(Refusal::new(code::NO_SUCH_FEED, format!("No such feed ({publisher})")));
        };
        let id = o.get("stream_id").and_then(Value::as_u64).unwrap_or(0);
        let stopped = u32::try_from(id).ok().and_then(|id| found.stop_forwarder(cx, id));
        if stopped.is_none() {
            return Err(Refusal::new(code::NO_SUCH_FEED, format!("No such stream ({id})")));
        }
        let more = [("publisher_id", publisher.to_value()), ("stream_id", id.into())];
        self.notify(cx, None, "stop_rtp_forward", &room, &more);
        let (room, publisher) = (room.to_value(), publisher.to_value());
        Ok(
            json!({ "videoroom": "stop_rtp_forward", "room": room, "publisher_id": publisher, "stream_id": id }),
        )
    }
}

impl ForwardRequest {
    fn answer(&self, made: &[(MediaKind, Forwarder)], host: Option<&IpAddr>) -> Value {
        let mut o = Object::new();
        o.insert("publisher_id".into(), self.publisher.to_value());
        if self.old_form {
            let mut streams = Object::new();
            for (kind, forwarder) in made {
                let ending = match forwarder.substream {
                    Some(n) => format!("_{}", n + 1),
                    None => String::new(),
                };
                let kind = kind.api_name();
                streams.insert(format!("{kind}_stream_id{ending}"), forwarder.id.into());
                streams.insert(format!("{kind}{ending}"), forwarder.to.port().into());
            }
            streams.insert("warning".into(), "deprecated_api".into());
            streams.insert("host".into(), host.map(IpAddr::to_string).unwrap_or_default().into());
            o.insert("rtp_stream".into(), streams.into());
        } else {
            let all = made.iter().map(|(kind, f)| f.describe(kind.api_name()).into()).collect();
            o.insert("forwarders".into(), Value::Array(all));
        }
        o.insert("room".into(), self.room.to_value());
        o.insert("videoroom".into(), "rtp_forward".into());
        o.into()
    }
}

/// A host as a request names it.
struct Host {
    name: String,
    family: Option<Family>,
}

/// The hosts of a request, each once.
struct Destinations(Vec<Destination>);

impl Destinations {
    fn new(host: Host) -> Self {
        Self(vec![Destination { host: host.name, family: host.family, feedback: 0 }])
    }

    /// Which one this host is; the first if none is named. `feedback`: one more port of ours is wanted for it.
    fn place(&mut self, host: Option<Host>, feedback: bool) -> usize {
        let at = host.map_or(0, |Host { name, family }| {
            let known = self.0.iter().position(|d| d.host == name && d.family == family);
            known.unwrap_or_else(|| {
                self.0.push(Destination { host: name, family, feedback: 0 });
                self.0.len() - 1
            })
        });
        if let Some(destination) = self.0.get_mut(at) {
            destination.feedback += usize::from(feedback);
        }
        at
    }
}

/// By `streams`: m-lines that are not there are left out, as Janus does.
fn wanted_by_mid(o: &Object, found: &Publisher, hosts: &mut Destinations) -> Answer<Vec<Wanted>> {
    let mut all = Vec::new();
    for s in objects_of(o) {
        let s = s?;
        let mid = text(s, "mid").unwrap_or_default();
        let Some(stream) = found.stream(&mid) else { continue };
        let own = text(s, "host").filter(|host| !host.is_empty());
        let own = own.map(|name| Ok::<_, Refusal>(Host { name, family: family(s)? })).transpose()?;
        let names = |ending: &str| ["port", "pt", "ssrc"].map(|name| format!("{name}{ending}"));
        wanted_of(s, (&stream.kind, mid), own, names, "rtcp_port", hosts, &mut all)?;
    }
    Ok(all)
}

/// By `audio_port` and its like: the first m-line of each kind.
fn wanted_by_kind(o: &Object, found: &Publisher, hosts: &mut Destinations) -> Answer<Vec<Wanted>> {
    let mut all = Vec::new();
    for kind in [MediaKind::Audio, MediaKind::Video, MediaKind::Data] {
        let word = kind.api_name().to_owned();
        let Some(stream) = found.streams.iter().find(|s| s.kind == kind) else { continue };
        if number(o, &format!("{word}_port")).is_none_or(|port| port == 0) {
            continue;
        }
        let names = |ending: &str| ["port", "pt", "ssrc"].map(|name| format!("{word}_{name}{ending}"));
        let rtcp = format!("{word}_rtcp_port");
        wanted_of(o, (&kind, stream.mid.clone()), None, names, &rtcp, hosts, &mut all)?;
    }
    Ok(all)
}

/// One m-line: a forwarder, or, of the substreams of video, up to three.
fn wanted_of(
    o: &Object,
    (kind, mid): (&MediaKind, String),
    own: Option<Host>,
    names: impl Fn(&str) -> [String; 3],
    rtcp: &str,
    hosts: &mut Destinations,
    all: &mut Vec<Wanted>,
) -> Answer {
    let (video, data) = (*kind == MediaKind::Video, *kind == MediaKind::Data);
    let merged = video && flag(o, "simulcast") == Some(true);
    let mut destination = None;
    for (substream, ending) in SUBSTREAMS {
        let [port, pt, ssrc] = names(ending);
        let first = substream == 0;
        let port = in_range(o, &port, u64::from(first), u16::MAX.into())?;
        let Some(port) = port.filter(|p| *p > 0).and_then(|p| u16::try_from(p).ok()) else { continue };
        let feedback = match first && !data {
            true => in_range(o, rtcp, 0, u16::MAX.into())?.filter(|port| *port > 0),
            false => None,
        };
        let feedback = feedback.and_then(|port| u16::try_from(port).ok());
        let pt = in_range(o, &pt, 0, 127)?.and_then(|pt| u8::try_from(pt).ok());
        let ssrc = in_range(o, &ssrc, 0, u32::MAX.into())?.and_then(|ssrc| u32::try_from(ssrc).ok());
        let at = match destination {
            Some(at) => at,
            None => {
                let host = own.as_ref().map(|h| Host { name: h.name.clone(), family: h.family });
                *destination.insert(hosts.place(host, feedback.is_some()))
            }
        };
        all.push(Wanted {
            mid: mid.clone(),
            destination: at,
            port,
            feedback,
            payload_type: pt.filter(|pt| *pt > 0 && !data),
            ssrc: ssrc.filter(|ssrc| *ssrc > 0 && !data),
            layers: match (video, merged) {
                (false, _) => Layers::All,
                (true, true) => Layers::Best,
                (true, false) => Layers::Substream(substream),
            },
        });
        if merged || !video {
            break;
        }
    }
    Ok(())
}

/// Of a stream without layers, the lowest one is all there is, and higher ones are not there.
const fn without_layers(layers: Layers) -> Layers {
    match layers {
        Layers::Substream(0) | Layers::Best | Layers::All => Layers::All,
        Layers::Substream(n) => Layers::Substream(n),
    }
}

/// A number within these bounds.
fn in_range(o: &Object, name: &str, least: u64, most: u64) -> Answer<Option<u64>> {
    match o.get(name).map(Value::as_u64) {
        None => Ok(None),
        Some(Some(n)) if (least..=most).contains(&n) => Ok(Some(n)),
        Some(_) => {
            Err(Refusal::invalid(format!("Invalid element ({name} should be between {least} and {most})")))
        }
    }
}

fn family(o: &Object) -> Answer<Option<Family>> {
    match text(o, "host_family").as_deref() {
        None => Ok(None),
        Some("ipv4") => Ok(Some(Family::V4)),
        Some("ipv6") => Ok(Some(Family::V6)),
        Some(other) => Err(Refusal::invalid(format!("Unsupported protocol family ({other})"))),
    }
}

/// `srtp_suite` and `srtp_crypto`.
fn protection(o: &Object) -> Answer<Protection> {
    let suite = number(o, "srtp_suite").filter(|suite| *suite != 0);
    let short_tag = match suite {
        None => None,
        Some(32) => Some(true),
        Some(80) => Some(false),
        Some(other) => return Err(Refusal::invalid(format!("Invalid SRTP suite ({other})"))),
    };
    Ok(match (short_tag, text(o, "srtp_crypto")) {
        (None, None) => Protection::None,
        (Some(short), Some(crypto)) => {
            ForwardKey::from_base64(&crypto, short).map_or(Protection::Impossible, Protection::Sealed)
        }
        (Some(_), None) | (None, Some(_)) => Protection::Impossible,
    })
}

fn refusal(host: &str, why: &Unreachable) -> Refusal {
    match why {
        Unreachable::Unresolved => Refusal::invalid(format!("Could not resolve address ({host})...")),
        Unreachable::Forbidden(address) => Refusal::invalid(format!(
            "Invalid element (host: {address} is in none of the networks of portunus.forward_networks)"
        )),
        Unreachable::NoPort(why) => {
            let text = format!("Could not open UDP socket for RTP stream: {why}");
            Refusal::new(code::UNKNOWN, text)
        }
    }
}

/// The elements of `streams`; what is no object has no elements, as in Janus.
fn objects_of(o: &Object) -> impl Iterator<Item = Answer<&Object>> {
    crate::body::list(o, "streams").iter().map(|value| {
        let missing = || Refusal::new(code::MISSING_ELEMENT, "Missing mandatory element (mid)");
        value.as_object().ok_or_else(missing)
    })
}

fn check_stream(s: &Object) -> Answer {
    check(
        s,
        &[
            ("mid", Kind::String, true),
            ("host", Kind::String, false),
            ("host_family", Kind::String, false),
            ("simulcast", Kind::Boolean, false),
            ("port", Kind::PositiveInteger, true),
            ("ssrc", Kind::PositiveInteger, false),
            ("pt", Kind::PositiveInteger, false),
            ("rtcp_port", Kind::PositiveInteger, false),
            ("port_2", Kind::PositiveInteger, false),
            ("ssrc_2", Kind::PositiveInteger, false),
            ("pt_2", Kind::PositiveInteger, false),
            ("port_3", Kind::PositiveInteger, false),
            ("ssrc_3", Kind::PositiveInteger, false),
            ("pt_3", Kind::PositiveInteger, false),
        ],
    )
}

fn check_types(o: &Object) -> Answer {
    check(
        o,
        &[
            ("host", Kind::String, true),
            ("host_family", Kind::String, false),
            ("simulcast", Kind::Boolean, false),
            ("streams", Kind::Array, false),
            ("video_port", Kind::PositiveInteger, false),
            ("video_rtcp_port", Kind::PositiveInteger, false),
            ("video_ssrc", Kind::PositiveInteger, false),
            ("video_pt", Kind::PositiveInteger, false),
            ("video_port_2", Kind::PositiveInteger, false),
            ("video_ssrc_2", Kind::PositiveInteger, false),
            ("video_pt_2", Kind::PositiveInteger, false),
            ("video_port_3", Kind::PositiveInteger, false),
            ("video_ssrc_3", Kind::PositiveInteger, false),
            ("video_pt_3", Kind::PositiveInteger, false),
            ("audio_port", Kind::PositiveInteger, false),
            ("audio_rtcp_port", Kind::PositiveInteger, false),
            ("audio_ssrc", Kind::PositiveInteger, false),
            ("audio_pt", Kind::PositiveInteger, false),
            ("data_port", Kind::PositiveInteger, false),
            ("srtp_suite", Kind::PositiveInteger, false),
            ("srtp_crypto", Kind::String, false),
        ],
    )
}
