//! `explain_handle`, which Janus does not have: why is this stream frozen or poor?
//!
//! Each finding is a sentence with its number; the worst come first. What is fine is not told, but for the one sentence that
//! everything is.

use super::handle::put;
use crate::handle::{Exchange, Handle, Life};
use crate::machine::Core;
use portunus_api::{Object, Value};
use portunus_plugin::report::{LineReport, PeerReport, SinkReport, SourceReport};
use portunus_sdp::{CandidateKind, MediaKind};
use serde_json::json;
use std::time::{Duration, Instant};

/// Silence that nobody notices yet.
const QUIET: Duration = Duration::from_secs(2);
/// A keyframe this old is worth telling when somebody asks why a picture is frozen.
const OLD_KEYFRAME: Duration = Duration::from_secs(60);
/// Consent is renewed every 5 seconds (RFC 7675).
const SILENT_PATH: Duration = Duration::from_secs(8);
/// ICE and DTLS take less.
const SLOW_START: Duration = Duration::from_secs(5);
/// Percent of packets that arrive, below which people see or hear it.
const POOR: u8 = 95;
const BAD: u8 = 85;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// Nothing flows.
    Broken,
    /// It flows badly.
    Poor,
    /// Worth knowing.
    Note,
}

impl Weight {
    const fn name(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Poor => "poor",
            Self::Note => "note",
        }
    }
}

/// What was found, and about which m-line.
struct Finding {
    weight: Weight,
    mid: Option<String>,
    text: String,
}

/// What is being looked at.
struct Look {
    now: Instant,
    findings: Vec<Finding>,
}

impl Core {
    /// The `explanation` of a handle.
    pub(crate) fn explain(&self, handle: &Handle, report: Option<&PeerReport>) -> Object {
        let mut look = Look { now: self.now, findings: Vec::new() };
        look.signalling(handle);
        if let Some(report) = report {
            look.path(report);
            for line in &report.lines {
                look.line(handle, line, report);
            }
        } else if matches!(handle.life, Life::Present { .. }) {
            look.find(Weight::Broken, None, "The media worker of this handle did not answer in time.".into());
        }
        look.findings.sort_by_key(|finding| finding.weight);
        let verdict = look.findings.first().map_or("fine", |finding| finding.weight.name());
        if look.findings.is_empty() {
            look.find(
                Weight::Note,
                None,
                "Nothing is wrong: path, encryption and media are as they should be.".into(),
            );
        }
        let findings = look.findings.iter().map(|finding| {
            let mut o = Object::from_iter([("weight".to_owned(), finding.weight.name().into())]);
            if let Some(mid) = &finding.mid {
                put(&mut o, "mid", mid.as_str());
            }
            put(&mut o, "text", finding.text.as_str());
            Value::from(o)
        });
        let findings: Vec<_> = findings.collect();
        let mut o = Object::from_iter([("verdict".to_owned(), verdict.into())]);
        put(&mut o, "findings", findings);
        if let Some(report) = report {
            put(&mut o, "numbers", self.numbers(report));
        }
        o
    }

    /// What the sentences are made of, and what else a person may want to see.
    fn numbers(&self, report: &PeerReport) -> Value {
        let ms = |at: Option<Instant>| at.map(|at| millis(self.now.saturating_duration_since(at)));
        let lines = report.lines.iter().filter(|line| line.kind.is_rtp()).map(|line| {
            let sources = line.sources.iter().map(|source| {
                json!({
                    "packets": source.traffic.packets,
                    "bitrate": source.traffic.last_second * 8,
                    "lost": source.lost,
                    "arrived_percent": source.quality,
                    "nacks": source.nacks,
                    "repaired": source.repaired,
                    "keyframe_requests": source.keyframe_requests,
                    "last_packet_ms": ms(source.last_packet),
                    "last_keyframe_ms": ms(source.last_keyframe),
                })
            });
            let sources: Vec<_> = sources.collect();
            let sink = line.sink.as_ref().filter(|sink| !sink.unfed).map(|sink| {
                json!({
                    "packets": sink.traffic.packets,
                    "bitrate": sink.traffic.last_second * 8,
                    "lost": sink.lost,
                    "arrived_percent": sink.quality,
                    "rtt_ms": sink.round_trip.map(millis),
                    "asked_again": sink.nacked,
                    "sent_again": sink.resent,
                    "last_packet_ms": ms(sink.last_sent),
                    "layer": sink.layer.map(pair),
                    "wanted": pair(sink.wanted),
                    "automatic": sink.automatic,
                    "allowed": pair(sink.allowed),
                    "from": sink.feeder.as_ref().map(|feeder| json!({
                        "handle_id": feeder.handle.map(|handle| handle.get()),
                        "mid": feeder.mid,
                        "last_packet_ms": ms(feeder.last_packet),
                        "last_keyframe_ms": ms(feeder.last_keyframe),
                        "lost": feeder.lost,
                    })),
                })
            });
            json!({ "mid": line.mid, "codec": line.codec, "in": sources, "out": sink })
        });
        let lines: Vec<_> = lines.collect();
        json!({
            "ice": report.ice.state,
            "ice_connected_ms": ms(report.ice.connected),
            "path_heard_ms": ms(report.ice.heard),
            "pair": report.ice.selected.as_ref().map(crate::notices::pair_text),
            "dtls": report.dtls.state,
            "dtls_retransmissions": report.dtls.retransmissions,
            "estimate": report.estimate,
            "media": lines,
        })
    }
}

fn pair((spatial, temporal): (u8, u8)) -> Value {
    json!({ "spatial": spatial, "temporal": temporal })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Look {
    fn find(&mut self, weight: Weight, mid: Option<&str>, text: String) {
        self.findings.push(Finding { weight, mid: mid.map(str::to_owned), text });
    }

    fn since(&self, at: Instant) -> Duration {
        self.now.saturating_duration_since(at)
    }

    fn signalling(&mut self, handle: &Handle) {
        let waits = handle.story.begun.map(|at| self.since(at)).unwrap_or_default();
        match (&handle.life, &handle.exchange) {
            (Life::Absent, Exchange::Theirs(_)) => {
                self.find(Weight::Broken, None, "The client's offer waits for the plugin's answer.".into());
            }
            (Life::Absent, _) => {
                self.find(
                    Weight::Broken,
                    None,
                    "There is no PeerConnection: no offer has come, or it was closed.".into(),
                );
            }
            (Life::Closing { .. }, _) => {
                self.find(Weight::Broken, None, "The PeerConnection is being closed.".into());
            }
            (Life::Present { .. }, Exchange::Ours(_)) if !handle.is_up() => {
                let text = format!("Our offer has waited {} for the client's answer.", seconds(waits));
                self.find(Weight::Broken, None, text);
            }
            (Life::Present { .. }, Exchange::Ours(_)) => {
                self.find(Weight::Note, None, "A new offer of ours waits for the client's answer.".into());
            }
            _ => {}
        }
    }

    fn path(&mut self, report: &PeerReport) {
        let ice = &report.ice;
        match ice.state {
            "gathering" => {
                self.find(Weight::Broken, None, "ICE waits for the client's description.".into());
            }
            "connecting" => {
                let text = match ice.remote.len() {
                    0 => "ICE has no candidate of the client and heard no check of it: is the client trickling, and does \
                          UDP reach our candidates?"
                        .to_owned(),
                    n => format!(
                        "ICE has found no working pair among {n} candidates of the client and {} of ours: a firewall, a \
                         wrong nat_1_1_mapping, or a port that is not published.",
                        ice.local.len()
                    ),
                };
                self.find(Weight::Broken, None, text);
                if ice.trickle.is_some_and(|t| t.holding) {
                    let text = "Our candidates are kept back until our checks have left (trickle_hold_ms).";
                    self.find(Weight::Note, None, text.into());
                } else if ice.local.iter().any(|c| c.kind == CandidateKind::Srflx) {
                    let text = "Our public address is one that a STUN server saw: behind a NAT that lets nobody in (docker's \
                                bridge without a published media port) the client must not check before we do. Publish the \
                                media port and set nat_1_1_mapping, or set trickle_hold_ms.";
                    self.find(Weight::Note, None, text.into());
                }
            }
            "failed" => {
                let text = "The client has stopped consenting (RFC 7675): its network is gone, or it is.";
                self.find(Weight::Broken, None, text.into());
            }
            _ => {}
        }
        if let (Some(heard), "ready" | "connected") = (ice.heard.map(|at| self.since(at)), ice.state)
            && heard > SILENT_PATH
        {
            let text =
                format!("Nothing was heard on the path for {}: the client may be gone.", seconds(heard));
            self.find(Weight::Poor, None, text);
        }
        if let Some((told, seen)) = ice.remapped {
            let text = format!(
                "A NAT gives our port another number: the client was told {told} and saw {seen}. Others may get no media: \
                 publish the media port, or set trickle_hold_ms."
            );
            self.find(Weight::Poor, None, text);
        }
        if ice.selected.as_ref().is_some_and(|pair| pair.transport == "tcp") {
            self.find(Weight::Note, None, "Media goes over TCP: losses become delays.".into());
        }
        if ice.selected.as_ref().is_some_and(|pair| pair.remote_kind == "relay") {
            self.find(Weight::Note, None, "The client is behind a TURN relay.".into());
        }
        let dtls = &report.dtls;
        if ice.connected.is_some() && dtls.state != "connected" {
            let waits = dtls.started.map(|at| self.since(at)).unwrap_or_default();
            let weight = if waits > SLOW_START { Weight::Broken } else { Weight::Note };
            let text = format!(
                "ICE is connected, DTLS is `{}` for {} with {} repeated flights: large packets may not get through.",
                dtls.state,
                seconds(waits),
                dtls.retransmissions
            );
            self.find(weight, None, text);
        }
    }

    fn line(&mut self, handle: &Handle, line: &LineReport, report: &PeerReport) {
        if report.ice.state != "ready" || !line.kind.is_rtp() {
            return;
        }
        let agreed = handle.agreed.iter().find(|agreed| agreed.mid == line.mid);
        if agreed.is_some_and(|agreed| agreed.active && agreed.receive) {
            self.incoming(line);
        }
        if let (Some(sink), true) = (&line.sink, agreed.is_some_and(|agreed| agreed.active && agreed.send)) {
            self.outgoing(line, sink, report.estimate);
        }
    }

    fn incoming(&mut self, line: &LineReport) {
        let mid = line.mid.as_str();
        let newest = line.sources.iter().filter_map(|source| source.last_packet).max();
        let Some(newest) = newest else {
            return self.find(
                Weight::Broken,
                Some(mid),
                "The client has never sent a packet of this m-line.".into(),
            );
        };
        if self.since(newest) > QUIET {
            let text = format!(
                "The client has sent nothing for {}: muted, or its camera is gone.",
                seconds(self.since(newest))
            );
            return self.find(Weight::Broken, Some(mid), text);
        }
        let live: Vec<&SourceReport> = line
            .sources
            .iter()
            .filter(|source| source.last_packet.is_some_and(|at| self.since(at) <= QUIET))
            .collect();
        if live.len() < line.sources.len() {
            let text = format!("{} of {} layers are being sent.", live.len(), line.sources.len());
            self.find(Weight::Note, Some(mid), text);
        }
        for source in live {
            if source.quality < POOR {
                let weight = if source.quality < BAD { Weight::Poor } else { Weight::Note };
                let text = format!(
                    "{} % of the client's packets arrived in the last second ({} lost so far, {} came again after {} NACKs).",
                    source.quality, source.lost, source.repaired, source.nacks
                );
                self.find(weight, Some(mid), text);
            }
            if line.kind == MediaKind::Video && source.last_keyframe.is_none() {
                let text = format!("No keyframe has come yet; {} were asked for.", source.keyframe_requests);
                self.find(Weight::Broken, Some(mid), text);
            }
        }
    }

    fn outgoing(&mut self, line: &LineReport, sink: &SinkReport, estimate: Option<u32>) {
        let mid = Some(line.mid.as_str());
        if sink.unfed {
            return self.find(
                Weight::Broken,
                mid,
                "Nothing feeds this m-line: its publisher is gone, or it is paused.".into(),
            );
        }
        if let Some(feeder) = &sink.feeder {
            let silent = feeder.last_packet.map(|at| self.since(at));
            if silent.is_none_or(|silent| silent > QUIET) {
                let how_long = silent.map_or("ever".to_owned(), seconds);
                let text = format!(
                    "The publisher (handle {}) has sent nothing for {how_long}.",
                    handle_of(feeder.handle)
                );
                return self.find(Weight::Broken, mid, text);
            }
            let keyframe = feeder.last_keyframe.map(|at| self.since(at));
            let text = match keyframe {
                None => Some("The publisher's stream has had no keyframe yet.".to_owned()),
                Some(age) if age > OLD_KEYFRAME => {
                    Some(format!("The publisher's last keyframe is {} old.", seconds(age)))
                }
                Some(_) => None,
            };
            if let (Some(text), MediaKind::Video) = (text, &line.kind) {
                self.find(if keyframe.is_none() { Weight::Broken } else { Weight::Note }, mid, text);
            }
        }
        match sink.last_sent.map(|at| self.since(at)) {
            None => self.find(Weight::Broken, mid, "Nothing was sent yet: a keyframe is waited for.".into()),
            Some(silent) if silent > QUIET => {
                let text = format!(
                    "Nothing was sent for {}: a keyframe is waited for, or it is paused.",
                    seconds(silent)
                );
                self.find(Weight::Broken, mid, text);
            }
            Some(_) => {}
        }
        if sink.quality < POOR {
            let weight = if sink.quality < BAD { Weight::Poor } else { Weight::Note };
            let text = format!(
                "The client reports that {} % of our packets arrived; it asked for {} again and got {}.",
                sink.quality, sink.nacked, sink.resent
            );
            self.find(weight, mid, text);
        }
        self.layers(line, sink, estimate);
    }

    fn layers(&mut self, line: &LineReport, sink: &SinkReport, estimate: Option<u32>) {
        let Some(layer) = sink.layer else { return };
        // Most streams have no temporal layers: only where ours is the choice is a low one worth a word.
        let limited = sink.automatic && sink.allowed.1 < sink.wanted.1;
        if layer.0 >= sink.wanted.0 && (!limited || layer.1 >= sink.wanted.1) {
            return;
        }
        let (spatial, temporal) = layer;
        let why = match estimate {
            Some(estimate) if sink.automatic && sink.allowed < sink.wanted => format!(
                "the client's network is estimated to carry {} kbit/s, which is enough for {}/{}",
                estimate / 1000,
                sink.allowed.0,
                sink.allowed.1
            ),
            _ => "the publisher does not send more, or the switch waits for a keyframe".to_owned(),
        };
        let (wanted, below) = sink.wanted;
        let text = format!("Layer {spatial}/{temporal} is sent instead of {wanted}/{below}: {why}.");
        self.find(Weight::Note, Some(&line.mid), text);
    }
}

fn handle_of(handle: Option<portunus_api::HandleId>) -> String {
    handle.map_or_else(|| "?".to_owned(), |handle| handle.to_string())
}

/// `0.4 s`, `12 s`
fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..=9 => format!("{:.1} s", time.as_secs_f64()),
        whole => format!("{whole} s"),
    }
}
