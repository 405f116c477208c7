//! Each verb by a script: what is asked, what is answered, what the others hear, and what the media engine is told.
//!
//! Where a script and its record in `golden/` differ the test prints what came; when that is right it is the new record.

mod sdp;

use crate::{Settings, VideoRoom};
use portunus_plugin::forward::{Destination, Family, FeedbackPort, Forward, Reached, Unreachable};
use portunus_plugin::media::{LayerCause, LayerChange};
use portunus_plugin::recording::{Places, Recording, RecordingNews};
use portunus_plugin::{
    Cx, DataMessage, Description, Effect, Finished, HandleId, JsepKind, MediaEvent, Message, Object, Plan,
    Plugin, RemoteJsep, Reply, RouteEnd, Svc, Task, Ticket, Value,
};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A plugin, its handles by name, and the record of what happened.
struct Rig {
    plugin: VideoRoom,
    now: Instant,
    names: Vec<String>,
    /// The last offer of ours, by handle.
    offers: BTreeMap<HandleId, Plan>,
    ticket: Option<Ticket>,
    record: String,
}

fn places() -> Places {
    let paths = |all: &[&str]| all.iter().map(PathBuf::from).collect::<Vec<_>>();
    Places::new(Path::new("/srv"), &paths(&["/srv", "/archive"]), &paths(&["/archive/protected"]))
}

impl Rig {
    fn new(settings: Settings) -> Self {
        let mut last = 0_u64;
        let random = Box::new(move || {
            last += 1;
            last << 32
        });
        Self {
            plugin: VideoRoom::new(Settings { places: places(), ..settings }, random),
            now: Instant::now(),
            names: Vec::new(),
            offers: BTreeMap::new(),
            ticket: None,
            record: String::new(),
        }
    }

    fn handle(&mut self, name: &str) -> HandleId {
        let place = self.names.iter().position(|n| n == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        HandleId::new(u64::try_from(place).unwrap() + 1).unwrap()
    }

    fn name(&self, h: HandleId) -> &str {
        &self.names[usize::try_from(h.get()).unwrap() - 1]
    }

    fn call<T>(&mut self, call: impl FnOnce(&mut VideoRoom, &mut Cx) -> T) -> T {
        let mut cx = Cx::new(self.now, Duration::from_secs(1_700_000_000));
        let value = call(&mut self.plugin, &mut cx);
        for effect in cx.into_effects() {
            let text = self.text(effect);
            writeln!(self.record, "    {text}").unwrap();
        }
        value
    }

    /// One line of a script.
    fn step(&mut self, line: &str) {
        writeln!(self.record, "{line}").unwrap();
        if line.trim().is_empty() || line.starts_with('#') {
            return;
        }
        if let Some(seconds) = line.strip_prefix("tick ") {
            self.now += Duration::from_secs(seconds.parse().unwrap());
            return self.call(|p, cx| p.tick(cx));
        }
        if let Some(outcome) = line.strip_prefix("stored ") {
            let ticket = self.ticket.take().unwrap();
            let outcome = if outcome == "ok" { Ok(Finished::Stored) } else { Err(outcome.to_owned()) };
            let value = self.call(|p, cx| p.done(cx, ticket, outcome));
            return writeln!(self.record, "    reply {value}").unwrap();
        }
        if let Some(found) = line.strip_prefix("reached ") {
            let ticket = self.ticket.take().unwrap();
            let outcome = Ok(Finished::Reached(found.split(' ').map(reached).collect()));
            let value = self.call(|p, cx| p.done(cx, ticket, outcome));
            return writeln!(self.record, "    reply {}", without_ports(&value)).unwrap();
        }
        if let Some(name) = line.strip_prefix("query ") {
            let h = self.handle(name);
            return writeln!(self.record, "    {}", self.plugin.query(h)).unwrap();
        }
        if let Some((name, event)) = line.split_once("! ") {
            let h = self.handle(name);
            return self.happen(h, event);
        }
        let (name, rest) = line.split_once(": ").unwrap();
        let h = self.handle(name);
        self.ask(h, rest);
    }

    fn ask(&mut self, h: HandleId, rest: &str) {
        let end = rest.rfind('}').unwrap() + 1;
        let body: Object = serde_json::from_str(&rest[..end]).unwrap();
        let words: Vec<&str> = rest[end..].split_whitespace().collect();
        let jsep = match words.first() {
            Some(&"offer") => Some(jsep(JsepKind::Offer, &sdp::offer(words[1]), &words)),
            Some(&"answer") => Some(jsep(JsepKind::Answer, &sdp::answer(&self.offers[&h]), &words)),
            _ => None,
        };
        let message = Message { transaction: "t".into(), body, jsep };
        let reply = self.call(|p, cx| p.message(cx, h, message));
        match reply {
            Reply::Now(value) => writeln!(self.record, "    reply {}", without_ports(&value)).unwrap(),
            Reply::Later(ticket) => {
                self.ticket = Some(ticket);
                writeln!(self.record, "    later").unwrap();
            }
            Reply::Ack(None) => {}
            other => panic!("{other:?}"),
        }
    }

    fn happen(&mut self, h: HandleId, event: &str) {
        let words: Vec<&str> = event.split_whitespace().collect();
        let mid = || words[1].to_owned();
        let layer =
            |change| MediaEvent::Layer { mid: mid(), codec: "vp8", change, cause: LayerCause::Bandwidth };
        let event = match words[0] {
            "detach" => return self.call(|p, cx| p.detach(cx, h)),
            "up" => MediaEvent::Up,
            "hangup" => MediaEvent::Hangup { reason: "DTLS alert".into() },
            "recording" => {
                let news = match words[2] {
                    "begun" => RecordingNews::Begun { file: words[3].into() },
                    "failed" => RecordingNews::Failed { why: words[3].into() },
                    "resumed" => RecordingNews::Resumed,
                    "playable" => RecordingNews::Playable { file: words[3].into() },
                    _ => RecordingNews::Ended { file: "x.mjr".into(), frames: 1, lost: 0 },
                };
                MediaEvent::Recording { mid: mid(), news }
            }
            "talking" => MediaEvent::Talking { mid: mid(), talking: true, level: 12.5 },
            "silent" => MediaEvent::Talking { mid: mid(), talking: false, level: 99.0 },
            "estimate" => MediaEvent::Estimate(words[1].parse().unwrap()),
            "substream" => layer(LayerChange::Substream(words[2].parse().unwrap())),
            "temporal" => layer(LayerChange::Temporal(words[2].parse().unwrap())),
            "svc" => {
                let (spatial, temporal) = (words[2].parse().unwrap(), words[3].parse().unwrap());
                layer(LayerChange::Svc { spatial, temporal })
            }
            "data" => MediaEvent::Data(DataMessage {
                label: "mine".into(),
                protocol: String::new(),
                binary: words[1] == "binary",
                payload: b"hello".to_vec(),
            }),
            "slow" => {
                let (kind, uplink) = (portunus_sdp::MediaKind::Video, words[1] == "up");
                MediaEvent::SlowLink { mid: "1".into(), kind, uplink, lost: 9 }
            }
            other => panic!("{other}"),
        };
        self.call(|p, cx| p.media(cx, h, &event));
    }

    fn end(&self, end: &RouteEnd) -> String {
        format!("{}/{}", self.name(end.handle), end.mid)
    }

    fn text(&mut self, effect: Effect) -> String {
        match effect {
            Effect::Push { handle, transaction, data, jsep } => {
                let verb = if transaction.is_some() { "is answered" } else { "hears" };
                let mut text = format!("{} {verb} {data}", self.name(handle));
                if let Some(jsep) = jsep {
                    let restart = if jsep.restart { " with new credentials" } else { "" };
                    let e2ee = if jsep.e2ee { " encrypted" } else { "" };
                    write!(text, "\n        {}{restart}{e2ee}", sdp::lines(&jsep.plan)).unwrap();
                    if jsep.kind == JsepKind::Offer {
                        self.offers.insert(handle, jsep.plan);
                    }
                }
                text
            }
            Effect::Route { source, sink } => format!("route {} -> {}", self.end(&source), self.end(&sink)),
            Effect::Unroute { sink } => format!("unroute {}", self.end(&sink)),
            Effect::Select { sink, target } => format!(
                "select {} {}/{} fallback {} ms{}",
                self.end(&sink),
                target.spatial,
                target.temporal,
                target.fallback.as_millis(),
                if target.automatic { ", automatic" } else { "" },
            ),
            Effect::Keyframe { source } => format!("keyframe {}", self.end(&source)),
            Effect::Cap { handle, bitrate } => format!("cap {} {bitrate}", self.name(handle)),
            Effect::PlayoutDelay { sink, delay } => {
                format!("delay {} {:?}", self.end(&sink), delay.map(|d| (d.min, d.max)))
            }
            Effect::Record { source, recording } => {
                format!("record {} {}", self.end(&source), record_text(&recording))
            }
            Effect::Withhold { source, withheld } => {
                format!("{} {}", if withheld { "withhold" } else { "let through" }, self.end(&source))
            }
            Effect::EndRecording { source } => format!("end recording {}", self.end(&source)),
            Effect::Forward { source, forward } => forward_text(&self.end(&source), &forward),
            Effect::StopForward { source, id } => {
                format!("stop forwarding {} number {id}", self.end(&source))
            }
            Effect::WatchAudio { source, watch } => {
                format!("watch {} {:?}", self.end(&source), watch.map(|w| (w.packets, w.level)))
            }
            Effect::Data { handle, message } => {
                let kind = if message.binary { "binary" } else { "text" };
                format!(
                    "data to {} on {:?}: {kind}, {} bytes",
                    self.name(handle),
                    message.label,
                    message.payload.len()
                )
            }
            Effect::Hangup { handle } => format!("hangup {}", self.name(handle)),
            Effect::End { handle } => format!("end {}", self.name(handle)),
            Effect::Task { ticket, task: Task::Store(group) } => {
                self.ticket = Some(ticket);
                let settings = group.settings.map_or(Value::Null, Value::Object);
                format!("store {} {} {settings}", group.file, group.name)
            }
            Effect::Task { ticket, task: Task::Reach(all) } => {
                self.ticket = Some(ticket);
                reach_text(&all)
            }
            Effect::Notify { handle, event } => {
                let who = handle.map_or("-", |h| self.name(h));
                format!("notify {who} {}", without_ports(&event))
            }
        }
    }
}

fn reach_text(all: &[Destination]) -> String {
    let one = |text: String, d: &Destination| format!("{text} {} {:?} +{}", d.host, d.family, d.feedback);
    all.iter().fold("reach".to_owned(), one)
}

fn record_text(recording: &Recording) -> String {
    let subject = &recording.subject;
    let mjr = recording.mjr.as_ref().map_or("nowhere".into(), |p| p.path().display().to_string());
    let mut text = format!("{mjr} {}", subject.codec);
    if let Some(film) = &recording.film {
        write!(text, " film {}", film.path().display()).unwrap();
    }
    if let Some(description) = &subject.description {
        write!(text, " {description:?}").unwrap();
    }
    for (id, uri) in &subject.extensions {
        write!(text, " {id}={}", uri.rsplit(':').next().unwrap_or_default()).unwrap();
    }
    text + if subject.encrypted { " encrypted" } else { "" }
}

fn forward_text(source: &str, f: &Forward) -> String {
    let mut text = format!("forward {source} number {} to {} {:?}", f.id, f.to, f.layers);
    let overrides = [("pt", f.payload_type.map(u32::from)), ("ssrc", f.ssrc)];
    for (name, value) in overrides.iter().filter_map(|(name, v)| Some((name, (*v)?))) {
        write!(text, " {name} {value}").unwrap();
    }
    if let Some(key) = &f.key {
        write!(text, " sealed {}", if key.short_tag { 32 } else { 80 }).unwrap();
    }
    if let Some(feedback) = &f.feedback {
        write!(text, " feedback from {}", feedback.to).unwrap();
    }
    text
}

/// What a destination became: `ADDRESS`, `ADDRESS+PORTS`, `unresolved`, `forbidden`, `noport`.
fn reached(text: &str) -> Result<Reached, Unreachable> {
    let (address, ports) = text.split_once('+').unwrap_or((text, "0"));
    match address {
        "unresolved" => Err(Unreachable::Unresolved),
        "forbidden" => Err(Unreachable::Forbidden([127, 0, 0, 1].into())),
        "noport" => Err(Unreachable::NoPort("no more descriptors".into())),
        address => {
            let feedback = (0..ports.parse().unwrap()).map(|_| FeedbackPort::open(Family::V4).unwrap());
            Ok(Reached { address: address.parse().unwrap(), feedback: feedback.collect() })
        }
    }
}

/// The ports that the system chose are other ones each time.
fn without_ports(value: &Value) -> String {
    let text = value.to_string();
    let parts: Vec<&str> = text.split(r#""local_rtcp_port":"#).collect();
    let rest = parts.iter().skip(1).map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()));
    let rest: String = rest.map(|part| format!(r#""local_rtcp_port":(ours){part}"#)).collect();
    format!("{}{rest}", parts[0])
}

fn jsep(kind: JsepKind, text: &str, words: &[&str]) -> RemoteJsep {
    RemoteJsep {
        kind,
        description: Arc::new(Description::parse(text).unwrap()),
        renegotiation: false,
        e2ee: words.contains(&"e2ee"),
        svc: if words.contains(&"svc") { Svc::All } else { Svc::None },
        rids_high_first: true,
    }
}

/// Plays the script that a record contains, and compares.
fn check(settings: Settings, golden: &str) {
    let mut rig = Rig::new(settings);
    for line in golden.lines().filter(|line| !line.starts_with("    ")) {
        rig.step(line);
    }
    if rig.record != golden {
        println!("--- came:\n{}--- end", rig.record);
        let differs = rig.record.lines().zip(golden.lines()).find(|(came, wanted)| came != wanted);
        panic!("{differs:#?}");
    }
}

fn plain() -> Settings {
    Settings { automatic_layers: true, ..Settings::default() }
}

macro_rules! goldens {
    ($($name:ident: $settings:expr;)*) => {
        $(#[test]
        fn $name() {
            check($settings, include_str!(concat!("golden/", stringify!($name), ".txt")));
        })*
    };
}

goldens! {
    create: plain();
    create_with_an_admin_key: Settings { admin_key: Some("key".into()), ..plain() };
    string_ids: Settings { string_ids: true, ..plain() };
    edit: plain();
    destroy: plain();
    list: Settings { admin_key: Some("key".into()), ..plain() };
    exists: plain();
    allowed: plain();
    kick: plain();
    moderate: plain();
    listparticipants: plain();
    remotes: plain();
    forwarders: Settings { events: true, lock_rtp_forward: true, admin_key: Some("key".into()), ..plain() };
    recording: Settings { events: true, ..plain() };
    recording_under_names: Settings { string_ids: true, ..plain() };
    join: plain();
    signed_tokens: Settings { token_secret: Some("secret".into()), ..plain() };
    joinandconfigure: plain();
    publish: plain();
    configure: plain();
    unpublish: plain();
    leave: plain();
    attach: plain();
    legacy: plain();
    subscribe: plain();
    unsubscribe: plain();
    update: plain();
    start_and_pause: plain();
    switch: plain();
    configure_subscription: plain();
    layers: plain();
    layers_by_hand: Settings { automatic_layers: false, ..plain() };
    data: plain();
    talking: plain();
    encrypted: plain();
    hangup_and_detach: plain();
    notices: Settings { events: true, ..plain() };
    keyframes: plain();
    permanent: plain();
}

#[test]
fn a_handle_that_goes_leaves_nothing() {
    let mut rig = Rig::new(plain());
    for line in [
        r#"p: {"request":"create","room":1}"#,
        r#"a: {"request":"join","ptype":"publisher","room":1}"#,
        r#"a: {"request":"publish"} offer audio,video"#,
        "a! up",
        r#"b: {"request":"join","ptype":"subscriber","room":1,"streams":[{"feed":1}]}"#,
        "a! detach",
        "b! detach",
    ] {
        rig.step(line);
    }
    assert_eq!(rig.plugin.counts(), (1, 0, 0));
    assert!(rig.plugin.publishers.is_empty() && rig.plugin.subscribers.is_empty());
    let room = rig.plugin.rooms.values().next().unwrap();
    assert!(room.participants.is_empty() && room.private_ids.is_empty() && room.subscribers.is_empty());
}
