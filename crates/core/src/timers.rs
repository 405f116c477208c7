//! What happens because time passes: sessions expire, descriptions and closing PeerConnections are given up, plugins
//! are told the time.

use crate::handle::Life;
use crate::machine::Core;
use crate::session::Session;
use crate::settings::limits;
use portunus_api::{HandleId, SessionId};
use portunus_plugin::media::MediaCommand;

impl Core {
    /// Does what is due.
    pub(crate) fn on_time(&mut self) {
        while let Some((at, handle)) = self.deadlines.first().copied().filter(|(at, _)| *at <= self.now) {
            self.deadlines.remove(&(at, handle));
            self.on_deadline(handle);
        }
        self.give_up_tasks();
        self.give_up_questions();
        if self.now >= self.tick {
            self.tick = self.now + limits::TICK;
            for plugin in 0..self.plugins.len() {
                self.call_plugin(plugin, |p, cx| p.tick(cx));
            }
            if self.ending {
                for id in self.idle_sessions() {
                    self.end_idle_session(id);
                }
            }
        }
        if self.now >= self.update {
            self.update = self.now + limits::UPDATE;
            self.update_notice();
        }
        if self.now >= self.watchdog {
            self.watchdog = (self.watchdog + limits::WATCHDOG).max(self.now);
            for id in self.expired_sessions() {
                self.expire_session(id);
            }
        }
    }

    fn expired_sessions(&self) -> Vec<SessionId> {
        let (timeout, reclaim) = (self.settings.session_timeout, self.settings.reclaim_session_timeout);
        let expired = |s: &Session| {
            let idle = self.now.saturating_duration_since(s.last_activity);
            let timeout = s.timeout.unwrap_or(timeout);
            (!timeout.is_zero() && idle >= timeout) || (s.gone && idle >= reclaim)
        };
        self.sessions.iter().filter(|(_, s)| expired(s)).map(|(id, _)| *id).collect()
    }

    /// Sessions that have handles, and none that does something; a part, if they are many.
    fn idle_sessions(&self) -> Vec<SessionId> {
        let is_idle = |id: &HandleId| {
            let handle = self.handles.get(id);
            let plugin = handle.and_then(|h| self.plugins.get(h.plugin));
            handle.is_some_and(|h| matches!(h.life, Life::Absent)) && plugin.is_some_and(|p| p.is_idle(*id))
        };
        let idle =
            self.sessions.iter().filter(|(_, s)| !s.handles.is_empty() && s.handles.iter().all(is_idle));
        idle.map(|(id, _)| *id).take(limits::IDLE_ENDED).collect()
    }

    fn on_deadline(&mut self, id: HandleId) {
        let Some(handle) = self.handles.get(&id) else { return };
        if let Life::Closing { deadline, .. } = handle.life {
            if deadline <= self.now {
                self.counters.closing_timeouts += 1;
                tracing::warn!(handle = %id, "the media engine did not close a PeerConnection in time");
                self.media_command(MediaCommand::Forget { handle: id });
                self.on_closed(id);
            }
        } else if handle.waiting.iter().any(|w| w.is_late(self.now)) {
            self.counters.gathering_timeouts += 1;
            tracing::warn!(handle = %id, "no transport for a description in time");
            self.close_peer(id, "Gathering error", false);
        }
    }
}
