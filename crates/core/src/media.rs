//! What the media engine tells of a handle: to the plugin, to the client, or both.

use crate::handle::Life;
use crate::io::Output;
use crate::machine::{Core, Step};
use portunus_api::{HandleId, SessionId, Value};
use portunus_plugin::MediaEvent;
use portunus_plugin::media::MediaCommand;
use portunus_sdp::Candidate;

impl Core {
    pub(crate) fn on_media(&mut self, id: HandleId, event: MediaEvent) {
        // A handle that is gone may still be heard of: the engine learns of it later.
        let Some(handle) = self.handles.get(&id) else { return };
        let session = handle.session;
        match (event, &handle.life) {
            (MediaEvent::Report { question, report }, _) => self.on_report(question, &report),
            (MediaEvent::Hangup { reason }, Life::Present { up, .. }) => {
                if !up && reason == "ICE failed" {
                    self.ice_notice(id, "failed");
                }
                self.peer_ended(id, &reason);
            }
            (MediaEvent::Hangup { .. }, Life::Closing { .. }) => {
                // Its place among the workers is free: the next call may be better off elsewhere.
                self.media_command(MediaCommand::Forget { handle: id });
                self.on_closed(id);
            }
            (MediaEvent::Stats(lines), _) => self.stats_notices(id, &lines),
            (_, Life::Closing { .. }) => {}
            (event, Life::Absent) => {
                self.counters.illegal_transitions += 1;
                tracing::debug!(handle = %id, ?event, "media event without a PeerConnection");
            }
            (MediaEvent::Local { exchange, transport }, _) => self.on_local(id, exchange, *transport),
            (MediaEvent::Candidate(candidate), _) => self.on_own_candidate(id, session, candidate.as_deref()),
            (event, _) => self.on_peer_event(id, session, event),
        }
    }

    /// Events that go to the plugin, the client, or both, and change nothing here but "up".
    fn on_peer_event(&mut self, id: HandleId, session: SessionId, event: MediaEvent) {
        match &event {
            MediaEvent::Up => self.on_up(id, session),
            MediaEvent::Receiving { mid, kind, substream, receiving, seconds } => {
                let kind = kind.api_name();
                let Some(sender) = self.sender(id) else { return };
                self.emit(session, sender.media(mid, kind, *substream, *receiving, Some(*seconds)));
                self.receiving_notice(id, kind, mid, *substream, *receiving);
                self.call(id, |p, cx| p.media(cx, id, &event));
            }
            MediaEvent::SlowLink { mid, kind, uplink, lost } => {
                let kind = kind.api_name();
                let Some(sender) = self.sender(id) else { return };
                self.emit(session, sender.slowlink(mid, kind, *uplink, *lost));
                self.slow_link_notice(id, kind, mid, *uplink, *lost);
                self.call(id, |p, cx| p.media(cx, id, &event));
            }
            MediaEvent::Path(pair) => self.path_notices(id, pair),
            MediaEvent::Handshake { done, retransmissions } => {
                self.handshake_notice(id, *done, *retransmissions);
            }
            MediaEvent::IceFailed => {
                self.ice_notice(id, "failed");
                if self.call(id, |p, cx| p.media(cx, id, &event)).is_some()
                    && let Some(sender) = self.sender(id)
                {
                    self.emit(session, sender.ice_failed());
                }
            }
            _ => {
                self.call(id, |p, cx| p.media(cx, id, &event));
            }
        }
    }

    /// Plugins tell the others first, then the client hears `webrtcup`; once in a PeerConnection's life.
    fn on_up(&mut self, id: HandleId, session: SessionId) {
        match self.handles.get_mut(&id).map(|h| &mut h.life) {
            Some(Life::Present { up, .. }) if !*up => *up = true,
            _ => return,
        }
        tracing::info!(%session, handle = %id, "PeerConnection up");
        if self.call(id, |p, cx| p.media(cx, id, &MediaEvent::Up)).is_some()
            && let Some(sender) = self.sender(id)
        {
            self.emit(session, sender.webrtcup());
            self.up_notice(id);
        }
    }

    fn on_own_candidate(&mut self, id: HandleId, session: SessionId, candidate: Option<&Candidate>) {
        if !self.settings.full_trickle {
            return;
        }
        let Some(Life::Present { first_mid, .. }) = self.handles.get(&id).map(|h| &h.life) else { return };
        let mid = first_mid.clone();
        let text = candidate.map(|c| c.to_string());
        if let Some(sender) = self.sender(id) {
            self.emit(session, sender.trickle(&mid, text.as_deref()));
        }
    }

    /// An event behind what the plugin calls so far have asked for.
    fn emit(&mut self, session: SessionId, json: Value) {
        self.plan([Step::Emit(Output::Event { session, json })]);
    }
}
