//! The `webrtc` object of `handle_info`: what was agreed on, and what the media engine tells.

use super::handle::put;
use crate::handle::Handle;
use crate::machine::Core;
use crate::notices::{bare, pair_text};
use portunus_api::{Object, Value};
use portunus_plugin::report::{
    DtlsReport, IceReport, LineReport, PeerReport, SinkReport, SourceReport, Traffic, TrickleReport,
};
use portunus_sdp::{MediaKind, Negotiated};
use serde_json::json;
use std::time::Duration;

/// The header extension behind transport-wide feedback.
const TRANSPORT_CC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// The extensions that name the layers.
const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
const REPAIRED_RID: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";

impl Core {
    pub(super) fn webrtc(&self, handle: &Handle, report: &PeerReport) -> Value {
        let mut webrtc = Object::new();
        put(&mut webrtc, "ice", self.ice(handle, &report.ice));
        put(&mut webrtc, "dtls", self.dtls(&report.dtls, &report.lines));
        let extensions = handle.agreed.iter().flat_map(|m| &m.extensions);
        let extensions: Object = extensions.map(|(id, uri)| (uri.clone(), json!(id))).collect();
        let transport_cc = extensions.get(TRANSPORT_CC).cloned();
        put(&mut webrtc, "extensions", extensions);
        let mut bwe = Object::from_iter([("twcc".to_owned(), json!(transport_cc.is_some()))]);
        if let Some(id) = transport_cc {
            put(&mut bwe, "twcc-ext-id", id);
        }
        put(&mut webrtc, "bwe", bwe);
        let media = handle.agreed.iter().filter(|m| m.active);
        let media: Object = media.map(|m| (m.mid.clone(), medium(m, report))).collect();
        put(&mut webrtc, "media", media);
        webrtc.into()
    }

    fn ice(&self, handle: &Handle, ice: &IceReport) -> Object {
        let mut o = Object::new();
        put(&mut o, "stream_id", 1);
        put(&mut o, "component_id", 1);
        put(&mut o, "state", ice.state);
        if let Some(at) = handle.story.begun {
            // Our candidates are known before anybody asks for them.
            put(&mut o, "gathered", self.micros(at));
        }
        if let Some(at) = ice.connected {
            put(&mut o, "connected", self.micros(at));
        }
        let local: Vec<_> = ice.local.iter().map(|c| bare(&c.to_string())).collect();
        put(&mut o, "local-candidates", local);
        if !ice.remote.is_empty() {
            put(&mut o, "remote-candidates", ice.remote.clone());
        }
        if let Some(pair) = &ice.selected {
            put(&mut o, "selected-pair", pair_text(pair));
        }
        if let Some(trickle) = &ice.trickle
            && (!trickle.hold.is_zero() || !trickle.delay.is_zero())
        {
            put(&mut o, "trickle", held_back(trickle));
        }
        if let Some((told, seen)) = ice.remapped {
            put(&mut o, "remapped", json!({ "told": told.to_string(), "seen": seen.to_string() }));
        }
        put(&mut o, "ready", i32::from(ice.state == "ready"));
        o
    }

    fn dtls(&self, dtls: &DtlsReport, lines: &[LineReport]) -> Object {
        let mut o = Object::new();
        put(&mut o, "fingerprint", dtls.fingerprint.as_str());
        if let Some((fingerprint, hash)) = &dtls.remote_fingerprint {
            put(&mut o, "remote-fingerprint", fingerprint.as_str());
            put(&mut o, "remote-fingerprint-hash", hash.as_str());
        }
        put(&mut o, "dtls-role", dtls.role);
        put(&mut o, "dtls-state", dtls.state);
        put(&mut o, "retransmissions", dtls.retransmissions);
        put(&mut o, "valid", dtls.state == "connected");
        put(&mut o, "srtp-profile", dtls.profile.unwrap_or("none"));
        put(&mut o, "ready", dtls.state == "connected");
        if let Some(at) = dtls.started {
            put(&mut o, "handshake-started", self.micros(at));
        }
        if let Some(at) = dtls.connected {
            put(&mut o, "connected", self.micros(at));
        }
        put(&mut o, "sctp-association", dtls.sctp);
        let received = total(lines.iter().flat_map(|l| &l.sources).map(|s| s.traffic));
        let sent = total(lines.iter().filter_map(|l| l.sink.as_ref()).map(|s| s.traffic));
        put(&mut o, "stats", json!({ "in": plain(received), "out": plain(sent) }));
        o
    }
}

/// When our candidates leave, and whether they have.
fn held_back(trickle: &TrickleReport) -> Object {
    let mut o = Object::new();
    put(&mut o, "hold-ms", millis(trickle.hold));
    put(&mut o, "delay-ms", millis(trickle.delay));
    put(&mut o, "holding", trickle.holding);
    if let Some(time) = trickle.kept_back {
        put(&mut o, "kept-back-ms", millis(time));
    }
    o
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn medium(agreed: &Negotiated, report: &PeerReport) -> Value {
    let line = report.lines.iter().find(|l| l.mid == agreed.mid);
    let mut o = Object::new();
    put(&mut o, "type", agreed.kind.api_name());
    put(&mut o, "mindex", agreed.mindex);
    put(&mut o, "mid", agreed.mid.as_str());
    let received = line.and_then(|l| l.sources.first()).map(|s| s.traffic).unwrap_or_default();
    let sent = line.and_then(|l| l.sink.as_ref()).map(|s| s.traffic).unwrap_or_default();
    if agreed.kind == MediaKind::Data {
        put(&mut o, "stats", json!({ "in": plain(received), "out": plain(sent) }));
        return o.into();
    }
    if let Some(msid) = &agreed.msid {
        put(&mut o, "msid", json!({ "remote-stream": msid.stream, "remote-track": msid.track }));
    }
    let sources = line.map_or(&[][..], |l| &l.sources);
    let sink = line.and_then(|l| l.sink.as_ref());
    put(&mut o, "do_nacks", line.is_some_and(|l| l.nacks));
    let queue = line.map_or(0, |l| u64::try_from(l.nack_queue.as_millis()).unwrap_or(u64::MAX));
    put(&mut o, "nack-queue-ms", queue);
    put(&mut o, "ssrc", ssrcs(sources, sink));
    if !agreed.rids.is_empty() {
        put(&mut o, "rid-simulcast", rids(agreed));
    }
    put(&mut o, "direction", json!({ "send": agreed.send, "recv": agreed.receive }));
    let payload = agreed.payloads.iter().find(|p| p.codec.is_some()).or(agreed.payloads.first());
    if let Some(payload) = payload {
        let mut codecs = Object::from_iter([("pt".to_owned(), json!(payload.pt))]);
        if let Some(rtx) = payload.rtx {
            put(&mut codecs, "rtx-pt", rtx);
        }
        let name = payload.codec.map(|codec| codec.api_name().to_owned());
        put(&mut codecs, "codec", name.unwrap_or_else(|| payload.name.to_ascii_lowercase()));
        put(&mut o, "codecs", codecs);
    }
    put(&mut o, "rtcp", rtcp(sources, sink, payload.map_or(0, |p| p.clock_rate)));
    put(&mut o, "stats", stats(agreed, sources, sink, received, sent));
    o.into()
}

fn rids(agreed: &Negotiated) -> Object {
    let mut o = Object::from_iter([("rid".to_owned(), json!(agreed.rids))]);
    for (name, uri) in [("rid-ext-id", RID), ("ridrtx-ext-id", REPAIRED_RID)] {
        if let Some(id) = agreed.extension(uri) {
            put(&mut o, name, id);
        }
    }
    // The list is in the order of layers whatever the client's was.
    put(&mut o, "rid-order", "lmh");
    o
}

fn ssrcs(sources: &[SourceReport], sink: Option<&SinkReport>) -> Object {
    let mut o = Object::new();
    if let Some(sink) = sink {
        put(&mut o, "ssrc", sink.ssrc);
        if let Some(rtx) = sink.rtx {
            put(&mut o, "ssrc-rtx", rtx);
        }
    }
    for (i, ssrc) in sources.iter().enumerate().filter_map(|(i, s)| Some((i, s.ssrc?))) {
        let name = if i == 0 { "ssrc-peer".to_owned() } else { format!("ssrc-peer-sim-{i}") };
        put(&mut o, &name, ssrc);
    }
    for (i, rtx) in sources.iter().enumerate().filter_map(|(i, s)| Some((i, s.rtx?))) {
        let name = if i == 0 { "ssrc-peer-rtx".to_owned() } else { format!("ssrc-peer-sim-{i}-rtx") };
        put(&mut o, &name, rtx);
    }
    o
}

/// One entry a received stream; the first also has what is told of the sent one.
fn rtcp(sources: &[SourceReport], sink: Option<&SinkReport>, clock_rate: u32) -> Object {
    let none = SourceReport { quality: 100, media_quality: 100, ..SourceReport::default() };
    let main = std::slice::from_ref(&none);
    let sources = if sources.is_empty() { main } else { sources };
    let mut o = Object::new();
    for (i, source) in sources.iter().enumerate() {
        let sink = sink.filter(|_| i == 0);
        let round_trip = sink.and_then(|s| s.round_trip).map_or(0, |rtt| rtt.as_millis());
        let out_quality = sink.map_or(100, |s| s.quality);
        let mut entry = Object::from_iter([("base".to_owned(), json!(clock_rate))]);
        if i == 0 {
            put(&mut entry, "rtt", u64::try_from(round_trip).unwrap_or(u64::MAX));
        }
        let rest = json!({
            "lost": source.lost,
            "lost-by-remote": sink.map_or(0, |s| s.lost.max(0)),
            "jitter-local": source.jitter,
            "jitter-remote": sink.map_or(0, |s| s.jitter),
            "in-link-quality": source.quality,
            "in-media-link-quality": source.media_quality,
            "out-link-quality": out_quality,
            "out-media-link-quality": out_quality,
        });
        entry.extend(rest.as_object().cloned().unwrap_or_default());
        let name = if i == 0 { "main".to_owned() } else { format!("sim{i}") };
        put(&mut o, &name, entry);
    }
    o
}

fn stats(
    agreed: &Negotiated,
    sources: &[SourceReport],
    sink: Option<&SinkReport>,
    received: Traffic,
    sent: Traffic,
) -> Value {
    let mut coming = counted(received);
    if agreed.kind == MediaKind::Video {
        put(&mut coming, "nacks", sources.first().map_or(0, |s| s.nacks));
        put(&mut coming, "retransmissions", sources.iter().map(|s| s.repaired).sum::<u64>());
    }
    for (i, source) in sources.iter().enumerate().skip(1).filter(|(_, s)| s.ssrc.is_some()) {
        let mut layer = counted(source.traffic);
        put(&mut layer, "nacks", source.nacks);
        put(&mut coming, &format!("video-simulcast-{i}"), layer);
    }
    let mut going = counted(sent);
    put(&mut going, "nacks", sink.map_or(0, |s| s.nacked));
    json!({ "in": coming, "out": going })
}

fn counted(traffic: Traffic) -> Object {
    let mut o = Object::new();
    put(&mut o, "packets", traffic.packets);
    put(&mut o, "bytes", traffic.bytes);
    put(&mut o, "bytes_lastsec", traffic.last_second);
    o
}

fn plain(traffic: Traffic) -> Value {
    json!({ "packets": traffic.packets, "bytes": traffic.bytes })
}

fn total(all: impl Iterator<Item = Traffic>) -> Traffic {
    all.fold(Traffic::default(), |sum, t| Traffic {
        packets: sum.packets + t.packets,
        bytes: sum.bytes + t.bytes,
        last_second: sum.last_second + t.last_second,
    })
}
