//! `handle_info`: all that is known of a handle.

use super::Capture;
use crate::handle::{Exchange, Handle, Life};
use crate::machine::Core;
use portunus_api::{ApiError, ErrorCode, HandleId, Object, SessionId, Trickle, Value, reply};
use portunus_plugin::report::PeerReport;
use portunus_sdp::MediaKind;
use serde_json::json;
use std::time::Instant;

impl Core {
    /// The reply to `handle_info`; `plugin_only` leaves out what is about WebRTC.
    pub(crate) fn handle_info(
        &mut self,
        transaction: &str,
        session: SessionId,
        id: HandleId,
        report: Option<&PeerReport>,
        plugin_only: bool,
    ) -> Value {
        match self.info_of_handle(session, id, report, plugin_only) {
            Ok(info) => {
                let members = Object::from_iter([
                    ("handle_id".to_owned(), id.into()),
                    ("info".to_owned(), info.into()),
                ]);
                reply::success_with(session.get(), transaction, members)
            }
            Err(error) => reply::error(session.get(), Some(transaction), &error),
        }
    }

    /// The reply to `explain_handle`.
    pub(crate) fn explanation(
        &mut self,
        transaction: &str,
        session: SessionId,
        id: HandleId,
        report: Option<&PeerReport>,
    ) -> Value {
        // It may have gone while the media engine was asked.
        let Some(handle) = self.handles.get(&id) else {
            let error = ErrorCode::HandleNotFound.into();
            return reply::error(session.get(), Some(transaction), &error);
        };
        let explanation = self.explain(handle, report);
        let members = Object::from_iter([
            ("handle_id".to_owned(), id.into()),
            ("explanation".to_owned(), explanation.into()),
        ]);
        reply::success_with(session.get(), transaction, members)
    }

    fn info_of_handle(
        &mut self,
        session: SessionId,
        id: HandleId,
        report: Option<&PeerReport>,
        plugin_only: bool,
    ) -> Result<Object, ApiError> {
        // It may have gone while the media engine was asked.
        if !self.handles.contains_key(&id) {
            return Err(ErrorCode::HandleNotFound.into());
        }
        let specific = self.call(id, |p, _| p.query(id)).ok_or(ErrorCode::PluginMessage)?;
        let (Some(found), Some(handle)) = (self.sessions.get(&session), self.handles.get(&id)) else {
            return Err(ErrorCode::HandleNotFound.into());
        };
        let timeout = found.timeout.unwrap_or(self.settings.session_timeout);
        let mut info = Object::new();
        put(&mut info, "session_id", session);
        put(&mut info, "session_last_activity", self.micros(found.last_activity));
        put(&mut info, "session_timeout", timeout.as_secs());
        put(&mut info, "session_transport", found.owner.transport());
        put(&mut info, "handle_id", id);
        if let Some(opaque_id) = &handle.opaque_id {
            put(&mut info, "opaque_id", opaque_id.as_str());
        }
        if let Some(token) = &handle.token {
            put(&mut info, "token", token.as_str());
        }
        put(&mut info, "loop-running", true);
        put(&mut info, "created", self.micros(handle.created));
        put(&mut info, "current_time", self.micros(self.now));
        put(&mut info, "plugin", self.package(handle.plugin));
        put(&mut info, "plugin_specific", specific);
        if plugin_only {
            return Ok(info);
        }
        put(&mut info, "flags", flags(handle));
        if let (Some(begun), false) = (handle.story.begun, matches!(handle.life, Life::Absent)) {
            put(&mut info, "agent-created", self.micros(begun));
            put(&mut info, "agent-started", self.micros(begun));
            let lite = self.settings.info.ice_lite;
            put(&mut info, "ice-mode", if lite { "lite" } else { "full" });
            if let Some(report) = report {
                put(&mut info, "ice-role", if report.ice.controlling { "controlling" } else { "controlled" });
            }
        }
        put(&mut info, "sdps", descriptions(handle));
        if !handle.early.is_empty() {
            let waiting: Vec<_> = handle.early.iter().map(|(_, trickle)| written(trickle)).collect();
            put(&mut info, "pending-trickles", waiting);
        }
        put(&mut info, "queued-packets", 0);
        if let Some(Capture { text, file: Some(file) }) = &handle.capture {
            let (on, name) =
                if *text { ("dump-to-text2pcap", "text2pcap-file") } else { ("dump-to-pcap", "pcap-file") };
            put(&mut info, on, true);
            put(&mut info, name, file.as_str());
        }
        if let Some(report) = report {
            put(&mut info, "webrtc", self.webrtc(handle, report));
        }
        Ok(info)
    }

    /// Microseconds since the start, which is how Janus tells its monotonic clock.
    pub(super) fn micros(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.started);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }
}

/// Janus' flags, in its order. Those of its own mechanics that have no counterpart here are false.
fn flags(handle: &Handle) -> Value {
    let story = &handle.story;
    let has = |kind: &MediaKind| handle.agreed.iter().any(|m| m.active && m.kind == *kind);
    let present = matches!(handle.life, Life::Present { .. });
    let data = has(&MediaKind::Data);
    json!({
        "got-offer": story.got_offer,
        "got-answer": story.got_answer,
        "negotiated": present && matches!(handle.exchange, Exchange::Settled),
        "processing-offer": matches!(handle.exchange, Exchange::Theirs(_)),
        "starting": present && !handle.is_up(),
        "ice-restart": false,
        "ready": handle.is_up(),
        "stopped": false,
        // 1.4 says so of a handle without a PeerConnection.
        "alert": !present,
        "trickle": story.trickle,
        "all-trickles": story.all_trickles,
        "resend-trickles": false,
        "trickle-synced": story.all_trickles,
        "data-channels": data,
        "has-audio": has(&MediaKind::Audio),
        "has-video": has(&MediaKind::Video),
        "new-datachan-sdp": data,
        "rfc4588-rtx": handle.agreed.iter().flat_map(|m| &m.payloads).any(|p| p.rtx.is_some()),
        "cleaning": handle.is_closing(),
        "e2ee": story.e2ee,
    })
}

fn descriptions(handle: &Handle) -> Value {
    let mut sdps = Object::new();
    let (local, remote) = (&handle.story.local, &handle.story.remote);
    if local.is_some() || remote.is_some() {
        put(&mut sdps, "profile", "UDP/TLS/RTP/SAVPF");
    }
    if let Some(local) = local {
        put(&mut sdps, "local", &**local);
    }
    if let Some(remote) = remote {
        put(&mut sdps, "remote", &**remote);
    }
    sdps.into()
}

fn written(trickle: &Trickle) -> Value {
    match trickle {
        Trickle::One(candidate) => json!({ "candidate": candidate }),
        Trickle::Many(candidates) => json!({ "candidates": candidates }),
    }
}

pub(super) fn put(o: &mut Object, name: &str, value: impl Into<Value>) {
    o.insert(name.to_owned(), value.into());
}
