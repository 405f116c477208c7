//! What event handlers are told of sessions, handles and PeerConnections, in Janus' words (spec/events.md).
//!
//! None is made without [`Settings::broadcast`](crate::Settings::broadcast).

use crate::handle::{Life, Part, Waiting};
use crate::io::{Notice, Output};
use crate::machine::Core;
use crate::settings::limits;
use portunus_api::{HandleId, JsepKind, Object, SessionId, Value};
use portunus_plugin::Description;
use portunus_plugin::report::{LineReport, SelectedPair, SourceReport};
use portunus_sdp::{Candidate, MediaKind};
use serde_json::json;

const JSEP: u16 = 8;
const WEBRTC: u16 = 16;
const MEDIA: u16 = 32;
const CORE: u16 = 256;

impl Core {
    /// Tells event handlers, if there are any.
    pub(crate) fn notice(
        &mut self,
        kind: u16,
        subtype: Option<u8>,
        session: Option<SessionId>,
        handle: Option<HandleId>,
        event: impl FnOnce() -> Value,
    ) {
        if self.settings.broadcast {
            let opaque_id = handle.and_then(|h| self.handles.get(&h)).and_then(|h| h.opaque_id.clone());
            let notice = Notice { kind, subtype, session, handle, opaque_id, event: event() };
            self.outputs.push_back(Output::Notify(Box::new(notice)));
        }
    }

    /// The same, of a handle that is there.
    fn handle_says(&mut self, kind: u16, subtype: Option<u8>, id: HandleId, event: impl FnOnce() -> Value) {
        let Some(session) = self.handles.get(&id).map(|h| h.session) else { return };
        self.notice(kind, subtype, Some(session), Some(id), event);
    }

    /// How much there is.
    pub(crate) fn update_notice(&mut self) {
        if !self.settings.broadcast {
            return;
        }
        let info = json!({
            "sessions": self.sessions.len(),
            "handles": self.handles.len(),
            "peerconnections": self.peer_connections(),
            "stats-period": self.settings.stats_period,
        });
        self.notice(CORE, Some(1), None, None, || json!({ "status": "update", "info": info }));
    }

    pub(crate) fn handle_notice(&mut self, id: HandleId, session: SessionId, plugin: usize, name: &str) {
        let package = self.package(plugin);
        let handle = self.handles.get(&id);
        let opaque_id = handle.and_then(|h| h.opaque_id.clone());
        let token = handle.and_then(|h| h.token.clone());
        self.notice(2, None, Some(session), Some(id), || {
            let mut event = json!({ "name": name, "plugin": package });
            put_some(&mut event, "opaque_id", opaque_id);
            put_some(&mut event, "token", token);
            event
        });
    }

    /// What a plugin tells. Behind events that wait for their descriptions it waits, too: the order is the plugin's.
    pub(crate) fn plugin_notice(&mut self, plugin: usize, handle: Option<HandleId>, event: Value) {
        if !self.settings.broadcast {
            return;
        }
        let found = handle.and_then(|h| self.handles.get_mut(&h));
        if let Some(found) = found.filter(|h| (1..limits::WAITING_EVENTS).contains(&h.waiting.len())) {
            return found.waiting.push_back(Waiting { transaction: None, data: event, part: Part::Notice });
        }
        let session = handle.and_then(|h| self.handles.get(&h)).map(|h| h.session);
        let package = self.package(plugin);
        self.notice(64, None, session, handle, || json!({ "plugin": package, "data": event }));
    }

    pub(crate) fn jsep_notice(&mut self, id: HandleId, owner: &str, kind: JsepKind, sdp: &str) {
        self.handle_says(
            JSEP,
            None,
            id,
            || json!({ "owner": owner, "jsep": { "type": kind.as_str(), "sdp": sdp } }),
        );
    }

    /// ICE is in another state.
    pub(crate) fn ice_notice(&mut self, id: HandleId, state: &str) {
        self.handle_says(WEBRTC, Some(1), id, || json!({ "ice": state, "stream_id": 1, "component_id": 1 }));
    }

    /// A PeerConnection is made, or its ICE begins anew.
    pub(crate) fn gathering_notice(&mut self, id: HandleId) {
        let Some(handle) = self.handles.get_mut(&id) else { return };
        (handle.story.told.connecting, handle.story.told.connected) = (false, false);
        self.ice_notice(id, "gathering");
    }

    /// Our candidates, the first time that they are in a description.
    pub(crate) fn candidate_notices(&mut self, id: HandleId, candidates: &[Candidate]) {
        let Some(handle) = self.handles.get_mut(&id) else { return };
        if !self.settings.broadcast || std::mem::replace(&mut handle.story.told.candidates, true) {
            return;
        }
        for candidate in candidates {
            let text = bare(&candidate.to_string());
            self.handle_says(
                WEBRTC,
                Some(2),
                id,
                || json!({ "local-candidate": text, "stream_id": 1, "component_id": 0 }),
            );
        }
    }

    /// A candidate of the client is used from now on: with the first one checks begin.
    pub(crate) fn remote_candidate_notice(&mut self, id: HandleId, text: &str) {
        if !self.settings.broadcast {
            return;
        }
        let text = bare(text);
        self.handle_says(
            WEBRTC,
            Some(3),
            id,
            || json!({ "remote-candidate": text, "stream_id": 1, "component_id": 1 }),
        );
        self.connecting_notice(id);
    }

    /// The candidates in a description of the client's.
    pub(crate) fn remote_candidate_notices(&mut self, id: HandleId, description: &Description) {
        if !self.settings.broadcast {
            return;
        }
        for candidate in &description.transport().candidates {
            self.remote_candidate_notice(id, &candidate.to_string());
        }
    }

    fn connecting_notice(&mut self, id: HandleId) {
        let Some(handle) = self.handles.get_mut(&id) else { return };
        if !std::mem::replace(&mut handle.story.told.connecting, true) {
            self.ice_notice(id, "connecting");
        }
    }

    /// Packets go this way from now on.
    pub(crate) fn path_notices(&mut self, id: HandleId, pair: &SelectedPair) {
        let SelectedPair { local, local_kind, remote, remote_kind, transport } = pair;
        let (ip, port) = (remote.ip(), remote.port());
        if *remote_kind == "prflx" {
            // Nobody has told of it: the client has shown it by sending from there.
            let text =
                format!("remote1 1 {transport} 1845501695 {ip} {port} typ prflx raddr {ip} rport {port}");
            self.remote_candidate_notice(id, &text);
        }
        self.connecting_notice(id);
        let end = |address: &std::net::SocketAddr, kind: &str| {
            let family = if address.is_ipv4() { 4 } else { 6 };
            let ip = address.ip().to_string();
            json!({ "address": ip, "port": address.port(), "type": kind, "transport": transport, "family": family })
        };
        self.handle_says(WEBRTC, Some(4), id, || {
            json!({
                "selected-pair": pair_text(pair),
                "candidates": { "local": end(local, local_kind), "remote": end(remote, remote_kind) },
                "stream_id": 1,
                "component_id": 1,
            })
        });
        let Some(handle) = self.handles.get_mut(&id) else { return };
        if !std::mem::replace(&mut handle.story.told.connected, true) {
            self.ice_notice(id, "connected");
            self.ice_notice(id, "ready");
        }
    }

    pub(crate) fn handshake_notice(&mut self, id: HandleId, done: bool, retransmissions: u32) {
        let state = if done { "connected" } else { "trying" };
        self.handle_says(WEBRTC, Some(5), id, || {
            json!({ "dtls": state, "stream_id": 1, "component_id": 1, "retransmissions": retransmissions })
        });
    }

    pub(crate) fn up_notice(&mut self, id: HandleId) {
        self.handle_says(WEBRTC, Some(6), id, || json!({ "connection": "webrtcup" }));
    }

    /// A PeerConnection is gone. While the media engine still has to close it, that is told when it has: the last
    /// statistics come before.
    pub(crate) fn hangup_notice(&mut self, id: HandleId, reason: &str) {
        let Some(handle) = self.handles.get_mut(&id) else { return };
        if let Life::Closing { reason: untold, .. } = &mut handle.life {
            *untold = Some(reason.into());
            return;
        }
        self.handle_says(WEBRTC, Some(6), id, || json!({ "connection": "hangup", "reason": reason }));
    }

    pub(crate) fn receiving_notice(
        &mut self,
        id: HandleId,
        kind: &str,
        mid: &str,
        substream: Option<u8>,
        receiving: bool,
    ) {
        self.handle_says(MEDIA, Some(1), id, || {
            let mut event = json!({ "media": kind, "mid": mid });
            put_some(&mut event, "substream", substream);
            put_some(&mut event, "receiving", Some(receiving));
            event
        });
    }

    pub(crate) fn slow_link_notice(&mut self, id: HandleId, kind: &str, mid: &str, uplink: bool, lost: u32) {
        let way = if uplink { "uplink" } else { "downlink" };
        self.handle_says(
            MEDIA,
            Some(2),
            id,
            || json!({ "mid": mid, "media": kind, "slow_link": way, "lost_lastsec": lost }),
        );
    }

    /// Statistics: one event a medium and layer, or one of them all.
    pub(crate) fn stats_notices(&mut self, id: HandleId, lines: &[LineReport]) {
        if !self.settings.broadcast {
            return;
        }
        let bodies: Vec<Value> = lines.iter().flat_map(stats_of).collect();
        if self.settings.combine_media_stats {
            return self.handle_says(MEDIA, Some(3), id, || bodies.into());
        }
        for body in bodies {
            self.handle_says(MEDIA, Some(3), id, || body);
        }
    }
}

/// `192.0.2.2:19070 [host,udp] <-> 192.0.2.9:40252 [prflx,udp]`
pub(crate) fn pair_text(pair: &SelectedPair) -> String {
    let SelectedPair { local, local_kind, remote, remote_kind, transport } = pair;
    format!("{local} [{local_kind},{transport}] <-> {remote} [{remote_kind},{transport}]")
}

/// A candidate as Janus tells it: without `candidate:`.
pub(crate) fn bare(text: &str) -> String {
    text.trim_start_matches("candidate:").to_owned()
}

fn put_some(event: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let (Some(o), Some(value)) = (event.as_object_mut(), value) {
        o.insert(name.to_owned(), value.into());
    }
}

fn stats_of(line: &LineReport) -> Vec<Value> {
    if line.kind == MediaKind::Data {
        let came = line.sources.first().map(|s| s.traffic).unwrap_or_default();
        let went = line.sink.as_ref().map(|s| s.traffic).unwrap_or_default();
        return vec![json!({
            "mid": line.mid,
            "mindex": line.mindex,
            "media": "data",
            "packets-received": came.packets,
            "packets-sent": went.packets,
            "bytes-received": came.bytes,
            "bytes-sent": went.bytes,
        })];
    }
    if !line.kind.is_rtp() {
        return Vec::new();
    }
    let none = SourceReport { quality: 100, media_quality: 100, ..SourceReport::default() };
    let sources = if line.sources.is_empty() { std::slice::from_ref(&none) } else { line.sources.as_slice() };
    // Also of layers that never came.
    sources.iter().enumerate().map(|(layer, source)| layer_stats(line, layer, source)).collect()
}

fn layer_stats(line: &LineReport, layer: usize, source: &SourceReport) -> Value {
    let kind = line.kind.api_name();
    let mut o = Object::new();
    let mut put = |name: &str, value: Value| {
        o.insert(name.to_owned(), value);
    };
    // What is sent has no layers: it is told with the first.
    let sink = line.sink.as_ref().filter(|_| layer == 0);
    let quality = sink.map_or(100, |s| s.quality);
    let went = sink.map(|s| s.traffic).unwrap_or_default();
    put("mid", line.mid.as_str().into());
    put("mindex", line.mindex.into());
    put("media", if layer == 0 { kind.into() } else { format!("{kind}-sim{layer}").into() });
    if let Some(codec) = line.codec {
        put("codec", codec.into());
    }
    put("base", line.clock_rate.into());
    if layer == 0 {
        let round_trip = line.sink.as_ref().and_then(|s| s.round_trip).map_or(0, |rtt| rtt.as_millis());
        put("rtt", u64::try_from(round_trip).unwrap_or(u64::MAX).into());
    }
    put("lost", source.lost.into());
    put("lost-by-remote", sink.map_or(0, |s| s.lost.max(0)).into());
    put("jitter-local", source.jitter.into());
    put("jitter-remote", sink.map_or(0, |s| s.jitter).into());
    put("in-link-quality", source.quality.into());
    put("in-media-link-quality", source.media_quality.into());
    put("out-link-quality", quality.into());
    put("out-media-link-quality", quality.into());
    put("packets-received", source.traffic.packets.into());
    put("packets-sent", went.packets.into());
    put("bytes-received", source.traffic.bytes.into());
    put("bytes-sent", went.bytes.into());
    put("bytes-received-lastsec", source.traffic.last_second.into());
    put("bytes-sent-lastsec", went.last_second.into());
    put("nacks-received", sink.map_or(0, |s| s.nacked).into());
    put("nacks-sent", source.nacks.into());
    put("retransmissions-received", source.repaired.into());
    o.into()
}
