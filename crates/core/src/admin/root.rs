//! Requests about the whole server.

use super::unhandled;
use crate::io::{Output, Question};
use crate::machine::{Ask, Core};
use crate::settings::{Reload, Tuning, limits};
use portunus_api::{AdminVerb, ApiError, ErrorCode, HandleId, Kind, Object, Value, optional, require};
use portunus_plugin::Reply;
use serde_json::json;
use std::time::Duration;

/// The level of a `custom_logline` that names none, or one that does not exist: what happens.
const LINE_LEVEL: u8 = 4;

impl Core {
    /// `get_status`
    pub(super) fn get_status(&mut self, ask: &Ask) -> Result<(), ApiError> {
        let (settings, tuning) = (&self.settings, &self.settings.tuning);
        let status = json!({
            "token_auth": settings.token_auth,
            "session_timeout": settings.session_timeout.as_secs(),
            "reclaim_session_timeout": settings.reclaim_session_timeout.as_secs(),
            "candidates_timeout": settings.candidates_timeout.as_secs(),
            "log_level": tuning.log_level,
            "log_timestamps": tuning.log_timestamps,
            "log_colors": tuning.log_colors,
            "log_rotate_sig": settings.log_rotate_signal,
            "locking_debug": tuning.locking_debug,
            "refcount_debug": tuning.refcount_debug,
            "min_nack_queue": tuning.min_nack_queue,
            "nack-optimizations": tuning.nack_optimizations,
            "no_media_timer": tuning.no_media_timer,
            "slowlink_threshold": tuning.slowlink_threshold,
        });
        self.tell(ask, "status", status)
    }

    /// `set_*`, and every word that means nothing here.
    pub(super) fn set(&mut self, ask: &Ask, verb: AdminVerb) -> Result<(), ApiError> {
        let flag = |name: &str| -> Result<bool, ApiError> {
            Ok(require(&ask.request.body, name, Kind::Boolean)?.as_bool().unwrap_or_default())
        };
        let number = |name: &str| -> Result<u32, ApiError> {
            let value = require(&ask.request.body, name, Kind::PositiveInteger)?.as_u64();
            Ok(value.and_then(|v| u32::try_from(v).ok()).unwrap_or(u32::MAX))
        };
        let mut tuning = self.settings.tuning.clone();
        let (name, value) = match verb {
            AdminVerb::SetSessionTimeout => {
                let seconds = number("timeout")?;
                self.settings.session_timeout = Duration::from_secs(seconds.into());
                ("timeout", json!(seconds))
            }
            AdminVerb::SetLogLevel => {
                tuning.log_level = log_level(&ask.request.body)?;
                ("level", json!(tuning.log_level))
            }
            AdminVerb::SetLockingDebug => {
                tuning.locking_debug = flag("debug")?;
                ("locking_debug", json!(tuning.locking_debug))
            }
            AdminVerb::SetRefcountDebug => {
                tuning.refcount_debug = flag("debug")?;
                ("refcount_debug", json!(tuning.refcount_debug))
            }
            AdminVerb::SetLogTimestamps => {
                tuning.log_timestamps = flag("timestamps")?;
                ("log_timestamps", json!(tuning.log_timestamps))
            }
            AdminVerb::SetLogColors => {
                tuning.log_colors = flag("colors")?;
                ("log_colors", json!(tuning.log_colors))
            }
            AdminVerb::SetMinNackQueue => {
                tuning.min_nack_queue = number("min_nack_queue")?.min(limits::NACK_QUEUE);
                ("min_nack_queue", json!(tuning.min_nack_queue))
            }
            AdminVerb::SetNackOptimizations => {
                tuning.nack_optimizations = flag("nack_optimizations")?;
                // With a dash in the answer, as in Janus.
                ("nack-optimizations", json!(tuning.nack_optimizations))
            }
            AdminVerb::SetNoMediaTimer => {
                tuning.no_media_timer = number("no_media_timer")?;
                ("no_media_timer", json!(tuning.no_media_timer))
            }
            AdminVerb::SetSlowlinkThreshold => {
                tuning.slowlink_threshold = number("slowlink_threshold")?;
                ("slowlink_threshold", json!(tuning.slowlink_threshold))
            }
            _ => return Err(unhandled(&ask.request)),
        };
        tracing::info!(%value, "changed by an administrator: {name}");
        self.tune(tuning);
        self.tell(ask, name, value)
    }

    pub(super) fn accept_new_sessions(&mut self, ask: &Ask) -> Result<(), ApiError> {
        let accept = require(&ask.request.body, "accept", Kind::Boolean)?.as_bool().unwrap_or_default();
        self.accepting = accept && !self.ending;
        tracing::info!(accept, "changed by an administrator: whether new sessions are accepted");
        self.tell(ask, "accept", accept)
    }

    /// `set_log_level` of one handle, which is ours: more is logged of it until it is detached, or until the level is no more
    /// than that of all.
    pub(super) fn set_log_level_of(&mut self, ask: &Ask, id: HandleId) -> Result<(), ApiError> {
        let level = log_level(&ask.request.body)?;
        let mut tuning = self.settings.tuning.clone();
        tuning.log_handles.remove(&id);
        if level > tuning.log_level {
            if tuning.log_handles.len() >= limits::LOG_HANDLES {
                self.counters.refused_full += 1;
                return Err(ApiError::new(
                    ErrorCode::Unknown,
                    "Too many handles with a log level of their own",
                ));
            }
            tuning.log_handles.insert(id, level);
        }
        tracing::info!(handle = %id, level, "changed by an administrator: what is logged of a handle");
        self.tune(tuning);
        self.tell(ask, "level", level)
    }

    /// `drain`
    pub(super) fn drain(&mut self, ask: &Ask) -> Result<(), ApiError> {
        let timeout = optional(&ask.request.body, "timeout", Kind::PositiveInteger)?.and_then(Value::as_u64);
        tracing::info!("draining for an administrator");
        self.on_drain();
        self.outputs.push_back(Output::Drain(timeout.map(Duration::from_secs)));
        self.tell(ask, "handles", self.handles.len())
    }

    /// Settings were read again.
    pub(crate) fn on_reload(&mut self, reload: Reload) {
        let Reload {
            api_secret,
            admin_secret,
            session_timeout,
            reclaim_session_timeout,
            candidates_timeout,
            ice_servers,
            mut tuning,
        } = reload;
        let settings = &mut self.settings;
        settings.api_secret = api_secret;
        settings.admin_secret = admin_secret;
        settings.session_timeout = session_timeout;
        settings.reclaim_session_timeout = reclaim_session_timeout;
        settings.candidates_timeout = candidates_timeout;
        settings.info.ice_servers = ice_servers;
        tuning.log_handles.clone_from(&settings.tuning.log_handles);
        self.tune(tuning);
    }

    pub(crate) fn tune(&mut self, tuning: Tuning) {
        if tuning == self.settings.tuning {
            return;
        }
        self.settings.info.min_nack_queue = tuning.min_nack_queue;
        self.settings.info.nack_optimizations = tuning.nack_optimizations;
        self.settings.tuning = tuning.clone();
        self.outputs.push_back(Output::Tune(Box::new(tuning)));
    }

    pub(super) fn message_plugin(&mut self, ask: &Ask) -> Result<(), ApiError> {
        let package = require(&ask.request.body, "plugin", Kind::String)?.as_str().unwrap_or_default();
        let request = request_of(ask)?;
        let Some(plugin) = self.plugins.iter().position(|p| p.about().package == package) else {
            return Err(ApiError::new(ErrorCode::PluginNotFound, "Invalid plugin"));
        };
        let unable = || ApiError::new(ErrorCode::Unknown, "Plugin doesn't support Admin API messages");
        match self.call_plugin(plugin, |p, cx| p.admin(cx, &request)) {
            None => Err(ErrorCode::PluginMessage.into()),
            Some(None | Some(Reply::Ack(_))) => Err(unable()),
            Some(Some(Reply::Now(response))) => self.tell(ask, "response", response),
            Some(Some(Reply::Err(text))) => Err(ApiError::new(ErrorCode::PluginMessage, text)),
            Some(Some(Reply::Later(ticket))) => {
                self.admin_waits(plugin, ticket, ask);
                Ok(())
            }
        }
    }

    pub(super) fn custom_event(&mut self, ask: &Ask) -> Result<(), ApiError> {
        let body = &ask.request.body;
        let schema = require(body, "schema", Kind::String)?;
        let data = require(body, "data", Kind::Object)?;
        self.notice(4, None, None, None, || json!({ "schema": schema, "data": data }));
        self.admin_done(ask);
        Ok(())
    }

    pub(super) fn custom_logline(&mut self, ask: &Ask) -> Result<(), ApiError> {
        let body = &ask.request.body;
        let line = require(body, "line", Kind::String)?.as_str().unwrap_or_default().to_owned();
        let level = optional(body, "level", Kind::PositiveInteger)?.and_then(Value::as_u64);
        let level = level.and_then(|l| u8::try_from(l).ok()).filter(|l| (1..=7).contains(l));
        self.outputs.push_back(Output::LogLine { level: level.unwrap_or(LINE_LEVEL), line });
        self.admin_done(ask);
        Ok(())
    }

    /// What somebody else has to answer.
    pub(super) fn ask_around(&mut self, ask: &Ask, verb: AdminVerb) -> Result<(), ApiError> {
        let body = &ask.request.body;
        let text = |name: &str| -> Result<String, ApiError> {
            Ok(require(body, name, Kind::String)?.as_str().unwrap_or_default().to_owned())
        };
        match verb {
            AdminVerb::ResolveAddress => {
                let address = text("address")?;
                self.question(ask, Question::Resolve { address }, "Could not resolve address")
            }
            AdminVerb::TestStun => {
                const FAILED: &str = "STUN request failed";
                let address = text("address")?;
                let port = require(body, "port", Kind::PositiveInteger)?.as_u64();
                let local = optional(body, "localport", Kind::PositiveInteger)?.and_then(Value::as_u64);
                let port = port.and_then(|p| u16::try_from(p).ok()).filter(|p| *p > 0);
                let (Some(port), Ok(local_port)) = (port, u16::try_from(local.unwrap_or(0))) else {
                    return Err(ApiError::new(ErrorCode::Unknown, FAILED));
                };
                self.question(ask, Question::Stun { address, port, local_port }, FAILED)
            }
            AdminVerb::LoopsInfo => self.question(ask, Question::Loops, "The media engine does not answer"),
            AdminVerb::QueryTransport => {
                let package = text("transport")?;
                let request = request_of(ask)?;
                if !self.settings.info.transports.iter().any(|t| t.package == package) {
                    return Err(ApiError::new(ErrorCode::PluginNotFound, "Invalid transport"));
                }
                let what = Question::Transport { package, request };
                self.question(ask, what, "Transport plugin doesn't support queries")
            }
            AdminVerb::QueryEventHandler => {
                let package = text("handler")?;
                let request = request_of(ask)?;
                if !self.settings.info.events.iter().any(|e| e.package == package) {
                    return Err(ApiError::new(ErrorCode::PluginNotFound, "Invalid event handler"));
                }
                let what = Question::EventHandler { package, request };
                self.question(ask, what, "Plugin doesn't support queries")
            }
            _ => {
                text("logger")?;
                request_of(ask)?;
                Err(ApiError::new(ErrorCode::PluginNotFound, "Invalid logger"))
            }
        }
    }
}

fn log_level(body: &Object) -> Result<u8, ApiError> {
    let level = require(body, "level", Kind::PositiveInteger)?.as_u64().and_then(|l| u8::try_from(l).ok());
    let reason = "Invalid element type (level should be between 0 and 7)";
    let level = level.filter(|level| *level <= 7);
    level.ok_or_else(|| ApiError::new(ErrorCode::InvalidElementType, reason))
}

/// The request for somebody else; an empty one if there is none.
fn request_of(ask: &Ask) -> Result<Object, ApiError> {
    let request = optional(&ask.request.body, "request", Kind::Object)?;
    Ok(request.and_then(Value::as_object).cloned().unwrap_or_default())
}
