//! The client's candidates: kept while their offer or answer is not there, then passed on.

use crate::handle::{Exchange, Life, still_cleaning};
use crate::machine::{Ask, Core};
use crate::settings::limits;
use portunus_api::{ApiError, HandleId, Trickle, Trickled, Value, reply};
use portunus_plugin::media::MediaCommand;
use portunus_sdp::Candidate;

impl Core {
    /// `trickle`
    pub(crate) fn trickle(&mut self, ask: &Ask, id: HandleId) -> Result<(), ApiError> {
        let trickle = Trickle::parse(&ask.request.body)?;
        let Some(handle) = self.handles.get_mut(&id) else {
            return Err(portunus_api::ErrorCode::HandleNotFound.into());
        };
        match (&handle.life, &handle.exchange) {
            (Life::Closing { .. }, _) => return Err(still_cleaning()),
            (Life::Present { .. }, Exchange::Settled) => {
                let read = trickle.read()?;
                self.pass_on(id, read);
            }
            _ => {
                // Unread, as in Janus: what is wrong with it is not told.
                let bytes = ask.request.body.iter().map(|(_, value)| weight(value)).sum::<usize>();
                if bytes > limits::EARLY_TRICKLE_BYTES {
                    self.counters.trickles_dropped += 1;
                    self.reply(ask.key, reply::ack(ask.request.session_id, &ask.request.transaction, None));
                    return Ok(());
                }
                if handle.early.len() >= limits::EARLY_TRICKLES {
                    handle.early.pop_front();
                    self.counters.trickles_dropped += 1;
                }
                handle.early.push_back((self.now, trickle));
            }
        }
        self.reply(ask.key, reply::ack(ask.request.session_id, &ask.request.transaction, None));
        Ok(())
    }

    /// The offer and answer are there: passes on the candidates that waited for them.
    pub(crate) fn pass_on_early(&mut self, id: HandleId) {
        let Some(handle) = self.handles.get_mut(&id) else { return };
        for (at, trickle) in std::mem::take(&mut handle.early) {
            if self.now.saturating_duration_since(at) > self.settings.candidates_timeout {
                self.counters.trickles_expired += 1;
            } else if let Ok(read) = trickle.read() {
                self.pass_on(id, read);
            }
        }
    }

    fn pass_on(&mut self, id: HandleId, trickled: Vec<Trickled>) {
        let first_mid = match self.handles.get(&id).map(|h| &h.life) {
            Some(Life::Present { first_mid, .. }) => first_mid.clone(),
            _ => return,
        };
        for one in trickled.into_iter().take(limits::CANDIDATES_PER_REQUEST) {
            let candidate = match one {
                Trickled::Nothing => continue,
                Trickled::End => {
                    if let Some(handle) = self.handles.get_mut(&id) {
                        handle.story.all_trickles = true;
                    }
                    None
                }
                // BUNDLE is forced, so only the first m-line has a transport.
                Trickled::Candidate { mid, mindex, text } => {
                    let first = mid.map_or(mindex == Some(0), |mid| mid == first_mid);
                    match Candidate::parse(&text) {
                        Ok(candidate) if first => {
                            self.remote_candidate_notice(id, &text);
                            Some(candidate)
                        }
                        Ok(_) => continue,
                        Err(error) => {
                            tracing::debug!(handle = %id, %error, "candidate ignored");
                            continue;
                        }
                    }
                }
            };
            self.media_command(MediaCommand::Candidate { handle: id, candidate });
        }
    }
}

/// About how many bytes a value has.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| 8 + weight(item)).sum(),
        Value::Object(members) => members.iter().map(|(name, item)| 8 + name.len() + weight(item)).sum(),
        _ => 8,
    }
}
