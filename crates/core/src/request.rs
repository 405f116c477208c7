//! Which verb is allowed where, and in which order things are checked.

use crate::info;
use crate::io::Client;
use crate::machine::{Ask, Core};
use portunus_api::{ApiError, ErrorCode, HandleId, Request, SessionId, Value, Verb, reply};

impl Core {
    pub(crate) fn on_request(&mut self, (key, origin): (u64, u64), client: Client, body: Value) {
        match Request::parse(body) {
            Err(refusal) => self.reply(key, reply::error(refusal.session_id, None, &refusal.error)),
            Ok(request) => self.dispatch(Ask { key, client, origin, request }),
        }
    }

    fn dispatch(&mut self, ask: Ask) {
        if ask.request.session_id == 0 && ask.request.handle_id.unwrap_or(0) == 0 {
            let outcome = self.at_root(&ask);
            let elsewhere = matches!(&outcome, Err(e) if e.code == ErrorCode::NotAcceptingSessions);
            self.refuse_if(outcome, &ask);
            if elsewhere {
                self.dismiss(ask.client);
            }
            return;
        }
        match self.find(&ask.request) {
            Err(error) => self.refuse_if(Err(error), &ask),
            Ok((session, None)) => {
                let outcome = self.at_session(&ask, session);
                self.refuse_if(outcome, &ask);
            }
            Ok((session, Some(handle))) => self.at_handle(ask, session, handle),
        }
    }

    /// Answers with the error, if it is one.
    pub(crate) fn refuse_if(&mut self, outcome: Result<(), ApiError>, ask: &Ask) {
        if let Err(error) = outcome {
            tracing::debug!(verb = ?ask.request.verb, code = error.code.code(), "request refused");
            let request = &ask.request;
            let json = reply::error(request.session_id, Some(&request.transaction), &error);
            self.reply(ask.key, json);
        }
    }

    fn at_root(&mut self, ask: &Ask) -> Result<(), ApiError> {
        let transaction = &ask.request.transaction;
        match ask.request.verb {
            Verb::Info => {
                let json =
                    info::server_info(&self.settings, self.accepting, &self.plugins, Some(transaction));
                self.reply(ask.key, json);
                Ok(())
            }
            Verb::Ping => {
                self.reply(ask.key, reply::pong(transaction));
                Ok(())
            }
            Verb::Create => self.create(ask),
            _ => Err(wrong_path(&ask.request)),
        }
    }

    /// Checks ids and secret, refreshes the session's clock and finds the handle.
    fn find(&mut self, request: &Request) -> Result<(SessionId, Option<HandleId>), ApiError> {
        let session = SessionId::new(request.session_id).ok_or(ErrorCode::SessionNotFound)?;
        if request.handle_id == Some(0) {
            return Err(ErrorCode::HandleNotFound.into());
        }
        self.check_secret(request)?;
        let now = self.now;
        let Some(found) = self.sessions.get_mut(&session) else {
            return Err(ApiError::new(ErrorCode::SessionNotFound, format!("No such session {session}")));
        };
        found.last_activity = now;
        Ok((session, found.handle_of(session, request)?))
    }

    fn at_session(&mut self, ask: &Ask, session: SessionId) -> Result<(), ApiError> {
        match ask.request.verb {
            Verb::Keepalive => self.keepalive(ask),
            Verb::Attach => self.attach(ask, session),
            Verb::Destroy => self.destroy(ask, session),
            Verb::Claim => self.claim(ask, session),
            Verb::Detach | Verb::Hangup | Verb::Message | Verb::Trickle => Err(wrong_path(&ask.request)),
            Verb::Info | Verb::Ping | Verb::Create | Verb::Other => Err(unknown(&ask.request)),
        }
    }

    /// A request of a handle, fresh or from the handle's queue.
    pub(crate) fn at_handle(&mut self, ask: Ask, session: SessionId, handle: HandleId) {
        if self.must_wait(&ask.request, handle) {
            return self.wait_in_line(ask, handle);
        }
        self.serve_handle(ask, session, handle);
    }

    /// A request of a handle whose turn has come.
    fn serve_handle(&mut self, mut ask: Ask, session: SessionId, handle: HandleId) {
        let outcome = match ask.request.verb {
            Verb::Keepalive => self.keepalive(&ask),
            Verb::Claim => self.claim(&ask, session),
            Verb::Attach | Verb::Destroy => Err(wrong_path(&ask.request)),
            Verb::Detach => self.detach(&ask, handle),
            Verb::Hangup => self.hangup(&ask, handle),
            Verb::Message => self.message(&mut ask, handle),
            Verb::Trickle => self.trickle(&ask, handle),
            Verb::Info | Verb::Ping | Verb::Create | Verb::Other => Err(unknown(&ask.request)),
        };
        self.refuse_if(outcome, &ask);
    }

    fn keepalive(&mut self, ask: &Ask) -> Result<(), ApiError> {
        self.reply(ask.key, reply::ack(ask.request.session_id, &ask.request.transaction, None));
        Ok(())
    }
}

fn wrong_path(request: &Request) -> ApiError {
    let reason = format!("Unhandled request '{}' at this path", request.word);
    ApiError::new(ErrorCode::InvalidRequestPath, reason)
}

fn unknown(request: &Request) -> ApiError {
    ApiError::new(ErrorCode::UnknownRequest, format!("Unknown request '{}'", request.word))
}
