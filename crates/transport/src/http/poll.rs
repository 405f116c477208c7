//! The long poll: `GET BASE/SESSION`.

use super::{Answer, Call, Dropped, HttpApi, Kind, empty, overloaded, path, redirect};
use crate::mailbox::Kept;
use crate::{Inbound, PollVerdict};
use hyper::StatusCode;
use portunus_api::{SessionId, Spelling, json};
use tokio::sync::oneshot;

impl HttpApi {
    pub(super) async fn poll(&self, call: Call<'_>) -> Answer {
        let pulse = call.pulse;
        let Some(session) = call.place.session.and_then(SessionId::new) else {
            return Ok(empty(pulse, StatusCode::NOT_FOUND));
        };
        if call.place.handle.is_some() {
            return Ok(redirect(pulse, &format!("{}/{session}", self.base.text())));
        }
        let query = call.query.as_deref().unwrap_or_default();
        let max = path::argument(query, "maxev").map_or(1, |text| event_count(&text));
        let (reply, verdict) = oneshot::channel();
        let secret = path::argument(query, "apisecret");
        let token = path::argument(query, "token");
        if !self.submit(Inbound::Poll { session, secret, token, reply }) {
            return Ok(overloaded(pulse));
        }
        match tokio::time::timeout(self.shared.times().reply, verdict).await {
            Ok(Ok(PollVerdict::Ok)) => {}
            Ok(Ok(PollVerdict::Forbidden)) => return Ok(empty(pulse, StatusCode::FORBIDDEN)),
            Ok(Ok(PollVerdict::NotFound)) => return Ok(empty(pulse, StatusCode::NOT_FOUND)),
            Ok(Err(_)) | Err(_) => {
                self.shared.counters().unanswered.up();
                return Err(Dropped::Unanswered);
            }
        }
        tokio::select! {
            delivery = self.shared.mailboxes.wait(session, max, self.shared.times().poll) => {
                let Some(delivery) = delivery else { return Ok(empty(pulse, StatusCode::NOT_FOUND)) };
                let text = spelt(delivery.events(), max, &self.format);
                let kind = if delivery.events().is_empty() { Kind::sized(text) } else { Kind::events(text, delivery) };
                Ok(self.json(kind, pulse))
            }
            // The process is about to end: the client is told to ask again.
            () = self.shared.draining() => Ok(self.json(Kind::sized(spelt(&[], max, &self.format)), pulse)),
        }
    }
}

/// One event as it is, or a list when the client asked for several, the keepalive too.
fn spelt(events: &[Kept], max: usize, spelling: &Spelling) -> String {
    let keepalive = || Kept::from(json!({ "janus": "keepalive" }));
    match events {
        [] if max == 1 => keepalive().spell(spelling),
        [] => Kept::spell_all(&[keepalive()], spelling),
        [event] if max == 1 => event.spell(spelling),
        events => Kept::spell_all(events, spelling),
    }
}

/// `maxev`: anything but a positive number is 1.
fn event_count(text: &str) -> usize {
    match path::number(text) {
        0 => 1,
        // A minus sign.
        n if n > u64::MAX / 2 && text.trim_start().starts_with('-') => 1,
        n => usize::try_from(n).unwrap_or(usize::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maxev_is_lenient() {
        for (text, expected) in
            [("1", 1), ("0", 1), ("-1", 1), ("abc", 1), ("", 1), ("2abc", 2), ("3.9", 3), ("+2", 2)]
        {
            assert_eq!(event_count(text), expected, "{text}");
        }
        assert_eq!(event_count("99999999999999999999999"), usize::MAX);
    }
}
