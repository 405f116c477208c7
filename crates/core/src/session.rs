//! A session, and what a request can do to it as a whole.

use crate::io::{Client, Output};
use crate::machine::{Ask, Core, Step};
use portunus_api::{ApiError, ErrorCode, HandleId, Request, SessionId, reply};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// One client's conversation.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) owner: Client,
    pub(crate) last_activity: Instant,
    /// Its own timeout, zero for none; `None` for that of all.
    pub(crate) timeout: Option<Duration>,
    /// Its connection is closed; it waits to be claimed.
    pub(crate) gone: bool,
    pub(crate) handles: BTreeSet<HandleId>,
}

impl Session {
    /// The handle of this session that a request is about, if it is about one; `id` is the session's.
    pub(crate) fn handle_of(&self, id: SessionId, request: &Request) -> Result<Option<HandleId>, ApiError> {
        match request.handle_id.and_then(HandleId::new) {
            Some(handle) if !self.handles.contains(&handle) => {
                let reason = format!("No such handle {handle} in session {id}");
                Err(ApiError::new(ErrorCode::HandleNotFound, reason))
            }
            found => Ok(found),
        }
    }
}

impl Core {
    /// `create`
    pub(crate) fn create(&mut self, ask: &Ask) -> Result<(), ApiError> {
        if !self.accepting {
            return Err(ErrorCode::NotAcceptingSessions.into());
        }
        self.check_secret(&ask.request)?;
        let wanted = ask.request.wanted_id.and_then(SessionId::new);
        if let Some(id) = wanted.filter(|id| self.sessions.contains_key(id)) {
            let error = ErrorCode::SessionConflict.into();
            self.reply(ask.key, reply::error(id.get(), Some(&ask.request.transaction), &error));
            return Ok(());
        }
        if self.sessions.len() >= self.settings.max_sessions {
            self.counters.refused_full += 1;
            return Err(ApiError::new(ErrorCode::Unknown, "Too many sessions"));
        }
        let id = match wanted {
            Some(id) => id,
            None => self.free_session_id(),
        };
        self.open_session(id, ask.client, ask.origin);
        self.reply(ask.key, reply::created(0, &ask.request.transaction, id.get()));
        Ok(())
    }

    fn open_session(&mut self, id: SessionId, owner: Client, origin: u64) {
        let session =
            Session { owner, last_activity: self.now, timeout: None, gone: false, handles: BTreeSet::new() };
        self.sessions.insert(id, session);
        self.own(id, owner);
        tracing::info!(session = %id, "session created");
        self.outputs.push_back(Output::SessionOpened { session: id, client: owner });
        self.notice(1, None, Some(id), None, || {
            json!({ "name": "created", "transport": { "transport": owner.transport(), "id": origin.to_string() } })
        });
    }

    fn free_session_id(&mut self) -> SessionId {
        loop {
            let id = SessionId::from_random((self.random)());
            if !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }

    /// `claim`: the session's events go to whoever asks.
    pub(crate) fn claim(&mut self, ask: &Ask, id: SessionId) -> Result<(), ApiError> {
        let Some(session) = self.sessions.get_mut(&id) else {
            return Err(ErrorCode::SessionNotFound.into());
        };
        let before = std::mem::replace(&mut session.owner, ask.client);
        session.gone = false;
        self.disown(id, before);
        self.own(id, ask.client);
        self.outputs.push_back(Output::SessionClaimed { session: id, client: ask.client });
        self.reply(ask.key, reply::success(id.get(), &ask.request.transaction));
        Ok(())
    }

    /// `destroy`
    pub(crate) fn destroy(&mut self, ask: &Ask, id: SessionId) -> Result<(), ApiError> {
        self.reply(ask.key, reply::success(id.get(), &ask.request.transaction));
        self.close_session(id, "destroyed");
        Ok(())
    }

    /// Detaches all handles of a session and forgets it.
    pub(crate) fn close_session(&mut self, id: SessionId, why: &'static str) {
        let Some(session) = self.sessions.remove(&id) else { return };
        self.disown(id, session.owner);
        tracing::info!(session = %id, handles = session.handles.len(), "session {why}");
        // As in Janus the end of a session is told before that of its handles, but for a timeout.
        let last = why == "timeout";
        if !last {
            self.notice(1, None, Some(id), None, || json!({ "name": why }));
        }
        for handle in session.handles {
            self.detach_handle(handle);
        }
        self.run_steps();
        self.outputs.push_back(Output::SessionClosed { session: id });
        if last {
            self.notice(1, None, Some(id), None, || json!({ "name": why }));
        }
    }

    /// A connection is closed: its sessions end, or wait to be claimed.
    pub(crate) fn on_client_gone(&mut self, client: Client) {
        for id in self.owned.remove(&client).unwrap_or_default() {
            if self.settings.reclaim_session_timeout.is_zero() {
                self.close_session(id, "destroyed");
            } else if let Some(session) = self.sessions.get_mut(&id) {
                session.gone = true;
                session.last_activity = self.now;
            }
        }
    }

    /// The process is to end.
    pub(crate) fn on_drain(&mut self) {
        self.accepting = false;
        self.ending = true;
    }

    /// The process ends.
    pub(crate) fn on_shutdown(&mut self) {
        self.on_drain();
        let ids: Vec<_> = self.sessions.keys().copied().collect();
        for id in ids {
            self.close_session(id, "destroyed");
        }
    }

    /// While the process ends, whoever has nothing here any more is to look elsewhere.
    pub(crate) fn dismiss(&mut self, client: Client) {
        if self.ending && matches!(client, Client::Connection(_)) && !self.owned.contains_key(&client) {
            self.outputs.push_back(Output::Dismiss { client });
        }
    }

    /// A session that nothing is to be expected of while the process ends.
    pub(crate) fn end_idle_session(&mut self, id: SessionId) {
        let owner = self.sessions.get(&id).map(|s| s.owner);
        self.expire_session(id);
        if let Some(client) = owner {
            self.dismiss(client);
        }
    }

    fn own(&mut self, id: SessionId, client: Client) {
        if client != Client::Connectionless {
            self.owned.entry(client).or_default().insert(id);
        }
    }

    fn disown(&mut self, id: SessionId, client: Client) {
        if let Some(ids) = self.owned.get_mut(&client) {
            ids.remove(&id);
            if ids.is_empty() {
                self.owned.remove(&client);
            }
        }
    }

    /// `timeout`, then `detached` for each handle.
    pub(crate) fn expire_session(&mut self, id: SessionId) {
        self.plan([Step::Emit(Output::Event { session: id, json: reply::timeout(id) })]);
        self.close_session(id, "timeout");
    }
}
