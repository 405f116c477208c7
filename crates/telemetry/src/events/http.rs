//! `sampleevh`: events to a web server, one POST at a time.
//!
//! Any answer of the server counts as delivered, as in Janus; redirects are not followed. What cannot be sent is tried
//! again a few times with growing pauses, then given up.

use super::handler::{Inbox, Tally, Told};
use super::{EventMask, limits};
use flate2::Compression;
use flate2::write::GzEncoder;
use portunus_api::{FieldError, JsonFormat, Kind, Object, Value, optional, require};
use reqwest::Client;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Where to, and how.
#[derive(Clone)]
pub struct Http {
    /// `backend`: an address that begins with `http`.
    pub backend: String,
    /// `backend_user`, for basic authentication.
    pub user: Option<String>,
    /// `backend_pwd`
    pub password: Option<String>,
    /// `grouping`: an array of up to 100 events, not one object.
    pub grouping: bool,
    /// `json`
    pub format: JsonFormat,
    /// `compress` and `compression`: gzip, 1 to 9.
    pub compression: Option<u32>,
    /// `max_retransmissions`; 0 for none.
    pub retransmissions: u32,
    /// `retransmissions_backoff`: the first pause; each is twice the one before.
    pub backoff: Duration,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may have a password in it, too.
        f.debug_struct("Http").field("grouping", &self.grouping).finish_non_exhaustive()
    }
}

/// The settings in use, and the level for the day that compression is switched on.
#[derive(Debug)]
pub(crate) struct Tweaked {
    settings: Http,
    level: u32,
}

/// Janus' level where none is given.
const LEVEL: u32 = 6;

impl Tweaked {
    pub(crate) fn new(settings: Http) -> Self {
        let level = settings.compression.unwrap_or(LEVEL);
        Self { settings, level }
    }
}

/// `tweak`: what is left out stays. The new mask of events, if there is one; or what is wrong, with Janus' codes.
pub(crate) fn answer(tweaked: &mut Tweaked, request: &Object) -> Result<Option<EventMask>, (u16, String)> {
    let wrong = |e: FieldError| match e {
        FieldError::Missing(_) => (412, e.to_string()),
        FieldError::Type(..) => (413, e.to_string()),
    };
    let verb = require(request, "request", Kind::String).map_err(wrong)?.as_str().unwrap_or_default();
    if !verb.eq_ignore_ascii_case("tweak") {
        return Err((411, format!("Unknown request '{verb}'")));
    }
    let text = |name| optional(request, name, Kind::String).map(|v| v.and_then(Value::as_str)).map_err(wrong);
    let flag =
        |name| optional(request, name, Kind::Boolean).map(|v| v.and_then(Value::as_bool)).map_err(wrong);
    let number = |name| {
        let value = optional(request, name, Kind::PositiveInteger).map_err(wrong)?.and_then(Value::as_u64);
        Ok(value.map(|v| u32::try_from(v).unwrap_or(u32::MAX)))
    };
    let (mut settings, mut level) = (tweaked.settings.clone(), tweaked.level);
    let mask = text("events")?.map(|names| EventMask::parse(names).0);
    settings.grouping = flag("grouping")?.unwrap_or(settings.grouping);
    // Of any type, as in Janus: what is not true is false.
    let compress =
        request.get("compress").map_or(settings.compression.is_some(), |v| v.as_bool() == Some(true));
    if let Some(wanted) = request.get("compression").and_then(Value::as_u64) {
        level = u32::try_from(wanted).unwrap_or(LEVEL).clamp(1, 9);
    }
    settings.compression = compress.then_some(level);
    if let Some(backend) = text("backend")? {
        if !backend.starts_with("http") {
            return Err((413, format!("Invalid HTTP URI '{backend}'")));
        }
        backend.clone_into(&mut settings.backend);
    }
    settings.user = text("backend_user")?.map(str::to_owned).or(settings.user);
    settings.password = text("backend_pwd")?.map(str::to_owned).or(settings.password);
    settings.retransmissions = number("max_retransmissions")?.unwrap_or(settings.retransmissions);
    if let Some(backoff) = number("retransmissions_backoff")? {
        settings.backoff = Duration::from_millis(backoff.into());
    }
    *tweaked = Tweaked { settings, level };
    Ok(mask)
}

/// Passes events on until the process ends.
pub(crate) async fn run(tweaked: Arc<Mutex<Tweaked>>, mut inbox: Inbox, tally: Arc<Tally>) {
    let client = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(limits::PATIENCE)
        // Events go where the file says, whatever the environment says of proxies.
        .no_proxy()
        .user_agent(concat!("portunus/", env!("CARGO_PKG_VERSION")))
        .build();
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "events cannot be sent over HTTP");
            return;
        }
    };
    loop {
        let settings = tweaked.lock().unwrap_or_else(PoisonError::into_inner).settings.clone();
        let most = if settings.grouping { limits::GROUP } else { 1 };
        let Some(group) = inbox.next_group(most).await else { return };
        // What was changed while nothing happened is in effect already.
        let settings = tweaked.lock().unwrap_or_else(PoisonError::into_inner).settings.clone();
        if settings.grouping {
            deliver(&client, &settings, &group, &mut inbox, &tally).await;
        } else {
            for told in group.chunks(1) {
                deliver(&client, &settings, told, &mut inbox, &tally).await;
            }
        }
    }
}

async fn deliver(client: &Client, settings: &Http, group: &[Told], inbox: &mut Inbox, tally: &Tally) {
    let body = body_of(settings, group);
    let mut pause = settings.backoff;
    for attempt in 0..=settings.retransmissions {
        let error = match post(client, settings, body.clone()).await {
            Ok(()) => return tally.delivered(group.len()),
            Err(error) => error.without_url(),
        };
        tally.failed();
        if attempt == 0 {
            tracing::warn!(error = in_full(&error), "the event back end does not answer");
        }
        if attempt < settings.retransmissions {
            tokio::select! {
                () = tokio::time::sleep(pause.min(limits::LONGEST_PAUSE)) => {}
                // One more attempt at once, then it is over.
                () = inbox.ended() => {}
            }
            pause = pause.saturating_mul(2);
        }
    }
    tracing::warn!(events = group.len(), "events are given up: the event back end does not take them");
    tally.lost(group.len());
}

/// An error with its causes, which is where the reason is.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn body_of(settings: &Http, group: &[Told]) -> bytes::Bytes {
    let text = match group {
        [one] if !settings.grouping => settings.format.write(one),
        group => settings.format.write(&Value::Array(group.iter().map(|told| Value::clone(told)).collect())),
    };
    let Some(level) = settings.compression else { return text.into() };
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::new(level));
    // Writing to memory cannot fail.
    let _ = encoder.write_all(text.as_bytes());
    encoder.finish().unwrap_or_default().into()
}

async fn post(client: &Client, settings: &Http, body: bytes::Bytes) -> Result<(), reqwest::Error> {
    let mut request = client.post(&settings.backend).header(CONTENT_TYPE, "application/json").body(body);
    if settings.compression.is_some() {
        request = request.header(CONTENT_ENCODING, "gzip");
    }
    if let Some(user) = &settings.user {
        request = request.basic_auth(user, settings.password.as_ref());
    }
    let mut answer = request.send().await?;
    // Read what little there is, so that the connection can be used again; nobody waits for a flood.
    let mut read = 0;
    while read < limits::ANSWER_BYTES
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        read += chunk.len();
    }
    Ok(())
}

#[cfg(test)]
mod tests;
