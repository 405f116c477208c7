//! What a peer tells event handlers of itself, where there are any.

use super::{Peer, PeerCx, Stage};
use crate::settings::Settings;
use portunus_plugin::HandleId;
use portunus_plugin::media::MediaEvent;

impl Peer {
    /// Packets go another way.
    pub(super) fn tell_path(&self, cx: &mut PeerCx<'_>) {
        if !cx.settings.narrate {
            return;
        }
        if let Some(pair) = self.ice.selected().and_then(|path| self.selected_pair(cx, path)) {
            cx.events.push_back((self.handle, MediaEvent::Path(Box::new(pair))));
        }
    }

    pub(super) fn tell_handshake(cx: &mut PeerCx<'_>, handle: HandleId, done: bool, retransmissions: u32) {
        if cx.settings.narrate {
            cx.events.push_back((handle, MediaEvent::Handshake { done, retransmissions }));
        }
    }

    /// A second is over.
    pub(super) fn tell_stats_in_time(&mut self, cx: &mut PeerCx<'_>) {
        let period = cx.settings.stats_period;
        if !cx.settings.narrate || period == 0 {
            return;
        }
        self.untold += 1;
        if self.untold >= period {
            self.untold = 0;
            cx.events.push_back((self.handle, MediaEvent::Stats(self.line_reports(cx.settings))));
        }
    }

    /// What is told last, of a peer that was up.
    pub(crate) fn last_stats(&self, settings: &Settings) -> Option<MediaEvent> {
        let wanted = settings.narrate && settings.stats_period > 0;
        let was_up = matches!(self.stage, Stage::Up | Stage::Lost { .. });
        (wanted && was_up).then(|| MediaEvent::Stats(self.line_reports(settings)))
    }
}
