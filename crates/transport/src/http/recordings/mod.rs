//! `/recordings/`: what the folders of recordings hold, as a list and as files to play and to download.
//!
//! - `GET /recordings/`: the list, see [`Folders::list`].
//! - `GET /recordings/files/<root>/<path>`: a file below the root of that number in the list. Ranges of it
//!   (RFC 9110 section 14), so that players can seek; `?download` asks the browser to keep it.
//!
//! Private data: there are no cross-origin permissions, whatever `allow_origin` says, and no page of another origin may
//! embed a file. Nothing of the disk is done on the threads that serve connections.

mod folders;
mod guard;
mod range;

use super::{Kind, Tracked, empty, path};
use crate::connection::Pulse;
use crate::settings::Recordings as Settings;
use bytes::Bytes;
use folders::Folders;
use guard::{Guard, Verdict};
use hyper::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use range::Wanted;
use std::fs::{File, Metadata};
use std::io::{Seek, SeekFrom};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Mutex;

const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"Recordings of this gateway\", charset=\"UTF-8\"");
const ISOLATION: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const NO_PASSWORD: &str = "No password, or a wrong one.\n";
const ELSEWHERE: &str = "Recordings are shown to this machine only, under the name localhost and without a proxy: \
                         `portunus.recordings_password` is not set.\n";

/// What is served.
pub(crate) struct Recordings {
    guard: Guard,
    folders: Arc<Folders>,
    listing: Arc<Mutex<Listing>>,
}

/// The last list. Whoever asks while one is made waits for the next, together with all others: so there is one at a time,
/// however many ask.
#[derive(Default)]
struct Listing {
    begun: Option<Instant>,
    text: Bytes,
}

impl Recordings {
    pub(crate) fn new(settings: &Settings) -> Self {
        let folders = Folders {
            roots: settings.roots.clone(),
            barred: settings.barred.clone(),
            temporary: settings.temporary.clone(),
        };
        Self {
            guard: Guard::new(settings.password.clone()),
            folders: Arc::new(folders),
            listing: Arc::default(),
        }
    }

    /// What of `path` is about recordings: the part below `/recordings`.
    pub(crate) fn below(path: &str) -> Option<&str> {
        let below = path.strip_prefix("/recordings")?;
        (below.is_empty() || below.starts_with('/')).then_some(below)
    }

    /// Answers a request for `below`.
    pub(crate) async fn answer(
        &self,
        below: &str,
        asked: &Parts,
        address: IpAddr,
        pulse: &Arc<Pulse>,
    ) -> Response<Tracked> {
        let mut answer = match self.refusal(asked, address, pulse).await {
            Some(refusal) => refusal,
            None => self.serve(below, asked, pulse).await,
        };
        let headers = answer.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(ISOLATION, HeaderValue::from_static("same-origin"));
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        answer
    }

    async fn refusal(&self, asked: &Parts, address: IpAddr, pulse: &Arc<Pulse>) -> Option<Response<Tracked>> {
        let verdict = self.guard.look(address, &asked.uri, &asked.headers, Instant::now());
        let (status, words) = match verdict {
            Verdict::Welcome => return None,
            Verdict::Elsewhere => (StatusCode::FORBIDDEN, ELSEWHERE),
            Verdict::Unknown => (StatusCode::UNAUTHORIZED, NO_PASSWORD),
            Verdict::Wrong(delay) => {
                tracing::warn!(%address, "a wrong password for the recordings");
                pulse.on_held();
                tokio::time::sleep(delay).await;
                pulse.on_body_end();
                (StatusCode::UNAUTHORIZED, NO_PASSWORD)
            }
        };
        let mut answer = Response::new(Tracked::new(Kind::sized(words), pulse.clone()));
        *answer.status_mut() = status;
        answer.headers_mut().insert(CONTENT_TYPE, TEXT);
        if status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
        }
        Some(answer)
    }

    async fn serve(&self, below: &str, asked: &Parts, pulse: &Arc<Pulse>) -> Response<Tracked> {
        if asked.method != Method::GET && asked.method != Method::HEAD {
            let mut answer = empty(pulse, StatusCode::METHOD_NOT_ALLOWED);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        let found = match below.strip_prefix("/files/") {
            Some(file) => self.file(file, asked, pulse).await,
            None if below.is_empty() || below == "/" => self.list(pulse).await,
            None => None,
        };
        found.unwrap_or_else(|| empty(pulse, StatusCode::NOT_FOUND))
    }

    async fn list(&self, pulse: &Arc<Pulse>) -> Option<Response<Tracked>> {
        let asked = Instant::now();
        let mut last = self.listing.clone().lock_owned().await;
        if last.begun.is_none_or(|begun| begun < asked) {
            let folders = self.folders.clone();
            // The lock goes along: if the client leaves meanwhile, the next one still waits for the end of this.
            let made = tokio::task::spawn_blocking(move || {
                last.begun = Some(Instant::now());
                last.text = folders.list(SystemTime::now()).into();
                last
            });
            last = made.await.ok()?;
        }
        let mut answer = Response::new(Tracked::new(Kind::sized(last.text.clone()), pulse.clone()));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Some(answer)
    }

    async fn file(&self, below: &str, asked: &Parts, pulse: &Arc<Pulse>) -> Option<Response<Tracked>> {
        let (root, below) = below.split_once('/')?;
        let root = root.bytes().all(|b| b.is_ascii_digit()).then(|| root.parse().ok())??;
        let path: Vec<_> = below.split('/').map(|s| path::decode(s, false).into_owned()).collect();
        let name = path.last()?.clone();
        let folders = self.folders.clone();
        let range = asked.headers.get(RANGE).filter(|_| asked.method == Method::GET);
        let request = Request {
            // What is no text is no range; a condition that cannot be met leaves the whole.
            range: range.and_then(|r| r.to_str().ok()).map(str::to_owned),
            headers: asked.headers.clone(),
        };
        let opened = tokio::task::spawn_blocking(move || {
            let (mut file, kind) = folders.open(root, &path)?;
            let about = file.metadata().ok()?;
            let outcome = request.outcome(&about);
            if let Outcome::Bytes(Wanted::Part(first, _)) = outcome {
                file.seek(SeekFrom::Start(first)).ok()?;
            }
            Some((file, about, kind, outcome))
        });
        let (file, about, kind, outcome) = opened.await.ok()??;
        let mut answer = answer(outcome, file, &about, pulse);
        let headers = answer.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(ETAG, HeaderValue::from_str(&tag(&about)).ok()?);
        if !matches!(answer.status().as_u16(), 304 | 412 | 416) {
            let headers = answer.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind.media_type));
            if asked.uri.query().is_some_and(|query| path::argument(query, "download").is_some()) {
                headers.insert(CONTENT_DISPOSITION, HeaderValue::from_str(&attachment(&name)).ok()?);
            }
        }
        Some(answer)
    }
}

/// What a request for a file says about it.
struct Request {
    range: Option<String>,
    headers: HeaderMap,
}

/// What a request for a file comes to.
enum Outcome {
    Bytes(Wanted),
    Unchanged,
    Changed,
}

impl Request {
    /// In the order of RFC 9110 section 13.2.2.
    fn outcome(&self, about: &Metadata) -> Outcome {
        let tag = tag(about);
        let header = |name: HeaderName| self.headers.get(name).and_then(|v| v.to_str().ok());
        let has = |list: &str, weak: &str| {
            list.trim() == "*" || list.split(',').any(|t| t.trim().trim_start_matches(weak) == tag)
        };
        if header(IF_MATCH).is_some_and(|list| !has(list, "")) {
            return Outcome::Changed;
        }
        if header(IF_NONE_MATCH).is_some_and(|list| has(list, "W/")) {
            return Outcome::Unchanged;
        }
        let same = header(IF_RANGE).is_none_or(|seen| seen.trim() == tag);
        let range = self.range.as_deref().filter(|_| same);
        Outcome::Bytes(range.map_or(Wanted::Whole, |range| range::wanted(range, about.len())))
    }
}

/// Another one as soon as anything about the file is another.
fn tag(about: &Metadata) -> String {
    let changed = about.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    format!("\"{:x}-{:x}-{:x}\"", changed.as_nanos(), about.len(), about.ino())
}

/// A file that grows is served with the length it had when it was opened.
fn answer(outcome: Outcome, file: File, about: &Metadata, pulse: &Arc<Pulse>) -> Response<Tracked> {
    let length = about.len();
    let (status, count, range) = match outcome {
        Outcome::Unchanged => return empty(pulse, StatusCode::NOT_MODIFIED),
        Outcome::Changed => return empty(pulse, StatusCode::PRECONDITION_FAILED),
        Outcome::Bytes(Wanted::Whole) => (StatusCode::OK, length, None),
        Outcome::Bytes(Wanted::Part(first, count)) => {
            let range = format!("bytes {first}-{}/{length}", first + count - 1);
            (StatusCode::PARTIAL_CONTENT, count, Some(range))
        }
        Outcome::Bytes(Wanted::Nothing) => {
            (StatusCode::RANGE_NOT_SATISFIABLE, 0, Some(format!("bytes */{length}")))
        }
    };
    let mut answer = match count {
        0 => empty(pulse, status),
        count => {
            let file = tokio::fs::File::from_std(file);
            Response::new(Tracked::new(Kind::File(file, count), pulse.clone()))
        }
    };
    *answer.status_mut() = status;
    if let Some(range) = range.and_then(|range| HeaderValue::try_from(range).ok()) {
        answer.headers_mut().insert(CONTENT_RANGE, range);
    }
    answer
}

/// `Content-Disposition` (RFC 6266): the name as it is for who reads RFC 8187, and without what is odd for the others.
fn attachment(name: &str) -> String {
    use std::fmt::Write;
    let plain = |c: char| if c.is_ascii() && !matches!(c, '"' | '\\' | '%') { c } else { '_' };
    let simple: String = name.chars().map(plain).collect();
    let mut whole = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            whole.push(char::from(byte));
        } else {
            let _ = write!(whole, "%{byte:02X}");
        }
    }
    format!("attachment; filename=\"{simple}\"; filename*=UTF-8''{whole}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_keeps_its_name_and_cannot_add_a_header() {
        for (name, expected) in [
            ("a-b.mjr", "filename=\"a-b.mjr\"; filename*=UTF-8''a-b.mjr"),
            ("a b.mjr", "filename=\"a b.mjr\"; filename*=UTF-8''a%20b.mjr"),
            ("é\".mjr", "filename=\"__.mjr\"; filename*=UTF-8''%C3%A9%22.mjr"),
            ("a;b=%41.mjr", "filename=\"a;b=_41.mjr\"; filename*=UTF-8''a%3Bb%3D%2541.mjr"),
        ] {
            assert_eq!(attachment(name), format!("attachment; {expected}"), "{name}");
            assert!(HeaderValue::try_from(attachment(name)).is_ok());
        }
    }

    #[test]
    fn only_paths_below_recordings_are_about_them() {
        for (path, below) in [
            ("/recordings", Some("")),
            ("/recordings/", Some("/")),
            ("/recordings/files/0/a.mjr", Some("/files/0/a.mjr")),
            ("/recordingsx", None),
            ("/x/recordings", None),
            ("/Recordings/", None),
            ("/", None),
        ] {
            assert_eq!(Recordings::below(path), below, "{path}");
        }
    }
}
