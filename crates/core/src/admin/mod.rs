//! The Admin API: which verb is allowed where, and in which order things are checked.
//!
//! The secret comes before the verb: whoever does not know it learns nothing of what there is.

mod capture;
mod explain;
mod handle;
mod report;
mod root;
mod tokens;

use crate::handle::Life;
use crate::info;
use crate::io::Output;
use crate::machine::{Ask, Core};
use crate::questions::About;
pub(crate) use capture::Capture;
use portunus_api::token::same_secret;
use portunus_api::{
    AdminVerb, ApiError, ErrorCode, HandleId, Kind, Object, Request, SessionId, Value, optional, reply,
    require,
};
use serde_json::json;
use std::net::IpAddr;
use std::time::Duration;

impl Core {
    pub(crate) fn on_admin_request(&mut self, key: u64, address: IpAddr, body: Value) {
        let request = match Request::parse_admin(body) {
            Ok(request) => request,
            Err(refusal) => {
                return self.reply(key, reply::error(refusal.session_id, None, &refusal.error));
            }
        };
        // Administrators have no sessions: whose request it is plays no role.
        let ask = Ask { key, client: crate::Client::Connectionless, origin: 0, request };
        let verb = AdminVerb::from_word(&ask.request.word);
        let at_root = ask.request.session_id == 0 && ask.request.handle_id.unwrap_or(0) == 0;
        let open_to_all = at_root && matches!(verb, AdminVerb::Info | AdminVerb::Ping);
        if !open_to_all && !self.is_admin(&ask.request) {
            return self.refuse_stranger(&ask, address);
        }
        let outcome = if at_root {
            self.admin_at_root(&ask, verb)
        } else {
            self.admin_place(&ask.request).and_then(|place| match place {
                (session, None) => self.admin_at_session(&ask, verb, session),
                (session, Some(handle)) => self.admin_at_handle(&ask, verb, session, handle),
            })
        };
        self.refuse_if(outcome, &ask);
    }

    fn is_admin(&self, request: &Request) -> bool {
        let Some(right) = &self.settings.admin_secret else { return true };
        request.text("admin_secret").is_some_and(|given| same_secret(given, right))
    }

    /// The more often an address gives a wrong secret, the longer it waits for the answer.
    fn refuse_stranger(&mut self, ask: &Ask, address: IpAddr) {
        self.counters.admin_refused += 1;
        let error = ErrorCode::Unauthorized.into();
        let json = reply::error(ask.request.session_id, Some(&ask.request.transaction), &error);
        // No secret at all is no guess.
        let guessed = ask.request.body.contains_key("admin_secret");
        let delay = if guessed { self.guesses.wrong(address, self.now) } else { Duration::ZERO };
        if delay.is_zero() {
            return self.reply(ask.key, json);
        }
        self.outputs.push_back(Output::SlowReply { key: ask.key, json, delay });
    }

    fn admin_place(&self, request: &Request) -> Result<(SessionId, Option<HandleId>), ApiError> {
        let session = SessionId::new(request.session_id).ok_or(ErrorCode::SessionNotFound)?;
        if request.handle_id == Some(0) {
            return Err(ErrorCode::SessionNotFound.into());
        }
        let Some(found) = self.sessions.get(&session) else {
            return Err(ApiError::new(ErrorCode::SessionNotFound, format!("No such session {session}")));
        };
        Ok((session, found.handle_of(session, request)?))
    }

    fn admin_at_root(&mut self, ask: &Ask, verb: AdminVerb) -> Result<(), ApiError> {
        match verb {
            AdminVerb::Info => {
                let transaction = &ask.request.transaction;
                let json =
                    info::server_info(&self.settings, self.accepting, &self.plugins, Some(transaction));
                self.reply(ask.key, json);
                Ok(())
            }
            AdminVerb::Ping => {
                self.reply(ask.key, reply::pong(&ask.request.transaction));
                Ok(())
            }
            AdminVerb::GetStatus => self.get_status(ask),
            AdminVerb::ListSessions => {
                let sessions: Vec<_> = self.sessions.keys().map(|id| id.get()).collect();
                self.tell(ask, "sessions", sessions)
            }
            AdminVerb::AcceptNewSessions => self.accept_new_sessions(ask),
            AdminVerb::Drain => self.drain(ask),
            AdminVerb::MessagePlugin => self.message_plugin(ask),
            AdminVerb::CustomEvent => self.custom_event(ask),
            AdminVerb::CustomLogline => self.custom_logline(ask),
            AdminVerb::AddToken
            | AdminVerb::AllowToken
            | AdminVerb::DisallowToken
            | AdminVerb::ListTokens
            | AdminVerb::RemoveToken => self.stored_tokens(ask, verb),
            AdminVerb::ResolveAddress
            | AdminVerb::TestStun
            | AdminVerb::LoopsInfo
            | AdminVerb::QueryTransport
            | AdminVerb::QueryEventHandler
            | AdminVerb::QueryLogger => self.ask_around(ask, verb),
            _ => self.set(ask, verb),
        }
    }

    fn admin_at_session(&mut self, ask: &Ask, verb: AdminVerb, id: SessionId) -> Result<(), ApiError> {
        match verb {
            AdminVerb::DestroySession => {
                self.admin_done(ask);
                self.close_session(id, "destroyed");
                Ok(())
            }
            AdminVerb::ListHandles => {
                let handles: Option<Vec<_>> =
                    self.sessions.get(&id).map(|s| s.handles.iter().map(|h| h.get()).collect());
                self.tell(ask, "handles", handles.unwrap_or_default())
            }
            AdminVerb::SetSessionTimeout => self.set_own_timeout(ask, id),
            _ => Err(unhandled(&ask.request)),
        }
    }

    /// `set_session_timeout` of one session.
    fn set_own_timeout(&mut self, ask: &Ask, id: SessionId) -> Result<(), ApiError> {
        let value = require(&ask.request.body, "timeout", Kind::Integer)?;
        let seconds = value.as_i64().unwrap_or(i64::MAX);
        let timeout = match u64::try_from(seconds) {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) if seconds == -1 => None,
            Err(_) => {
                let reason = "Invalid element type (timeout should be a non-negative integer or -1)";
                return Err(ApiError::new(ErrorCode::InvalidElementType, reason));
            }
        };
        if let Some(session) = self.sessions.get_mut(&id) {
            session.timeout = timeout;
        }
        // Janus tells the session last here.
        let members =
            Object::from_iter([("timeout".to_owned(), json!(seconds)), ("session_id".to_owned(), id.into())]);
        self.reply(ask.key, reply::success_with(0, &ask.request.transaction, members));
        Ok(())
    }

    fn admin_at_handle(
        &mut self,
        ask: &Ask,
        verb: AdminVerb,
        session: SessionId,
        id: HandleId,
    ) -> Result<(), ApiError> {
        match verb {
            AdminVerb::DetachHandle => {
                self.admin_done(ask);
                self.detach_handle(id);
                Ok(())
            }
            AdminVerb::SetLogLevel => self.set_log_level_of(ask, id),
            AdminVerb::HangupWebrtc => {
                self.admin_done(ask);
                self.close_peer(id, "Admin API", true);
                Ok(())
            }
            AdminVerb::ExplainHandle => {
                let has_peer = self.handles.get(&id).is_some_and(|h| matches!(h.life, Life::Present { .. }));
                if !(has_peer && self.question_peer(ask, About::Explanation(session, id))) {
                    let json = self.explanation(&ask.request.transaction, session, id, None);
                    self.reply(ask.key, json);
                }
                Ok(())
            }
            AdminVerb::HandleInfo => {
                let body = &ask.request.body;
                let plugin_only = optional(body, "plugin_only", Kind::Boolean)?.and_then(Value::as_bool);
                let plugin_only = plugin_only.unwrap_or(false);
                let has_peer = self.handles.get(&id).is_some_and(|h| matches!(h.life, Life::Present { .. }));
                if has_peer && !plugin_only && self.question_peer(ask, About::Peer(session, id)) {
                    return Ok(());
                }
                let json = self.handle_info(&ask.request.transaction, session, id, None, plugin_only);
                self.reply(ask.key, json);
                Ok(())
            }
            verb => self.capture(ask, verb, id).unwrap_or_else(|| Err(unhandled(&ask.request))),
        }
    }

    /// `success` and nothing more.
    fn admin_done(&mut self, ask: &Ask) {
        self.reply(ask.key, reply::success(ask.request.session_id, &ask.request.transaction));
    }

    /// `success` with one member more.
    fn tell(&mut self, ask: &Ask, name: &str, value: impl Into<Value>) -> Result<(), ApiError> {
        let members = Object::from_iter([(name.to_owned(), value.into())]);
        let json = reply::success_with(ask.request.session_id, &ask.request.transaction, members);
        self.reply(ask.key, json);
        Ok(())
    }
}

fn unhandled(request: &Request) -> ApiError {
    let reason = format!("Unhandled request '{}' at this path", request.word);
    ApiError::new(ErrorCode::InvalidRequestPath, reason)
}
