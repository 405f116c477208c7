//! The Janus and Admin APIs over HTTP: what to answer to which method and path.
//!
//! The order of the checks is Janus': cross-origin rules, OPTIONS, method, path, payload, info, ids.

mod body;
mod demos;
mod ice_servers;
mod path;
mod poll;
mod recordings;
mod request;
mod serve;

pub(crate) use body::{Kind, Tracked};
pub(crate) use demos::Demos;
pub(crate) use recordings::Recordings;
pub(crate) use serve::builder;

use crate::acl::Acl;
use crate::connection::Pulse;
use crate::cors::CrossOrigin;
use crate::listener::Shared;
use crate::{Client, Counters, HttpSettings, IceServers, Inbound, Reply, Side, Spelling};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use path::{Endpoint, Place};
use portunus_api::{ApiError, ErrorCode, Value, json};
use rustls::crypto::SecureRandom;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::sync::mpsc::error::TrySendError;

/// An answer, or [`Dropped`].
pub(crate) type Answer = Result<Response<Tracked>, Dropped>;

/// The connection is closed without a word, as Janus does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Dropped {
    #[error("the access list does not let this request in")]
    Acl,
    #[error("a request without a payload")]
    NoPayload,
    #[error("the payload did not come")]
    BrokenPayload,
    #[error("no answer in time")]
    Unanswered,
    #[error("not a WebSocket client of this API")]
    Protocol,
}

/// One HTTP listener group.
pub(crate) struct HttpApi {
    side: Side,
    base: path::Base,
    format: Spelling,
    acl: Acl,
    cors: CrossOrigin,
    demos: Option<Demos>,
    recordings: Option<Recordings>,
    ice_servers: Option<Arc<dyn IceServers>>,
    shared: Arc<Shared>,
    random: &'static dyn SecureRandom,
}

/// Counts a request as long as it waits, also if its connection goes.
struct Pending(Arc<Counters>);

impl Pending {
    fn of(counters: Arc<Counters>) -> Self {
        counters.http_pending.up();
        Self(counters)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.http_pending.down();
    }
}

/// One request and the connection it came on.
struct Call<'a> {
    address: IpAddr,
    /// Its number for event handlers.
    origin: u64,
    pulse: &'a Arc<Pulse>,
    headers: HeaderMap,
    place: Place,
    query: Option<String>,
}

impl HttpApi {
    pub(crate) fn new(
        side: Side,
        settings: &HttpSettings,
        (demos, recordings): (Option<Demos>, Option<Recordings>),
        ice_servers: Option<Arc<dyn IceServers>>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            side,
            base: path::Base::new(&settings.base_path),
            format: settings.format.clone(),
            acl: Acl::new(&settings.acl, settings.acl_forwarded),
            cors: CrossOrigin::new(&settings.cors, side),
            demos,
            recordings,
            ice_servers,
            shared,
            random: crate::tls::provider().secure_random,
        }
    }

    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// Answers one request of the connection behind `pulse`.
    pub(crate) async fn handle(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        pulse: &Arc<Pulse>,
    ) -> Answer {
        let ambiguous = pulse.on_request();
        self.shared.counters().http_requests.up();
        if ambiguous {
            return Ok(closing(empty(pulse, StatusCode::BAD_REQUEST)));
        }
        let origin = self.shared.observer().http_request(self.side == Side::Admin, peer);
        let encoded = request.headers().contains_key(TRANSFER_ENCODING);
        let answer = self.route(request, (peer.ip().to_canonical(), origin), pulse).await?;
        // What stands behind a body whose end a proxy may see elsewhere is never read (RFC 9112 section 11.2).
        Ok(if encoded { closing(answer) } else { answer })
    }

    async fn route(
        &self,
        request: Request<Incoming>,
        (address, origin): (IpAddr, u64),
        pulse: &Arc<Pulse>,
    ) -> Answer {
        let (parts, body) = request.into_parts();
        if !self.acl.allows_request(&parts.headers) {
            return Err(Dropped::Acl);
        }
        if let Some(demos) = &self.demos
            && let Some(page) = self.demo_of(parts.uri.path())
        {
            return Ok(demo(demos, &page, &parts, pulse).await);
        }
        if let Some(recordings) = &self.recordings
            && let Some(below) = Recordings::below(parts.uri.path())
        {
            return Ok(recordings.answer(below, &parts, address, pulse).await);
        }
        let allowed = self.cors.permits(&parts.headers);
        let asked = parts.headers.clone();
        let answer = if !allowed {
            empty(pulse, StatusCode::FORBIDDEN)
        } else if parts.method == Method::OPTIONS {
            empty(pulse, StatusCode::OK)
        } else if let Some(ice_servers) = self.ice_servers_at(parts.uri.path()) {
            self.hand_out(ice_servers, &parts, pulse).await
        } else if parts.method != Method::GET && parts.method != Method::POST {
            self.error(pulse, ErrorCode::TransportSpecific, format!("Unsupported method {}", parts.method))
        } else if let Some(place) = self.base.place(parts.uri.path()) {
            let query = parts.uri.query().map(str::to_owned);
            let call = Call { address, origin, pulse, headers: parts.headers, place, query };
            if parts.method == Method::POST { self.post(call, body).await? } else { self.get(call).await? }
        } else {
            empty(pulse, StatusCode::NOT_FOUND)
        };
        Ok(self.with_cors(&asked, answer))
    }

    async fn get(&self, call: Call<'_>) -> Answer {
        let pulse = call.pulse;
        let verb = match call.place.endpoint {
            Some(Endpoint::Info) => "info",
            Some(Endpoint::Ping) => "ping",
            None if self.side == Side::Admin => {
                return Ok(self.error(pulse, ErrorCode::InvalidJson, "Request payload missing"));
            }
            None => return self.poll(call).await,
        };
        let mut body = json!({ "janus": verb, "transaction": self.transaction() });
        // `info` at a handle is for the core to refuse.
        if let (Some(object), Some(handle)) = (body.as_object_mut(), call.place.handle) {
            object.insert("handle_id".into(), handle.into());
        }
        self.ask(&call, body).await
    }

    /// Passes a request on and waits for its answer.
    async fn ask(&self, call: &Call<'_>, body: Value) -> Answer {
        let (reply, answer) = Reply::to(call.pulse);
        let request = Inbound::Request {
            client: Client::Http,
            side: self.side,
            address: call.address,
            origin: call.origin,
            body,
            reply,
        };
        let _pending = Pending::of(self.shared.counters().clone());
        if !self.submit(request) {
            return Ok(overloaded(call.pulse));
        }
        match tokio::time::timeout(self.shared.times().reply, answer).await {
            Ok(Ok(answer)) => {
                // If it was held back.
                call.pulse.on_body_end();
                let code = answer.pointer("/error/code").and_then(Value::as_u64);
                let elsewhere = code == Some(ErrorCode::NotAcceptingSessions.code().into());
                let answer = self.json(Kind::chunked(self.format.write(&answer)), call.pulse);
                // A load balancer leads a new connection to another server.
                Ok(if elsewhere { closing(answer) } else { answer })
            }
            Ok(Err(_)) | Err(_) => {
                self.shared.counters().unanswered.up();
                Err(Dropped::Unanswered)
            }
        }
    }

    /// Hands something to the core at once; false when it has too much to do already.
    fn submit(&self, inbound: Inbound) -> bool {
        match self.shared.inbound.try_send(inbound) {
            Ok(()) => true,
            Err(full) => {
                if matches!(full, TrySendError::Full(_)) {
                    self.shared.counters().overloaded.up();
                }
                false
            }
        }
    }

    fn error(&self, pulse: &Arc<Pulse>, code: ErrorCode, reason: impl Into<String>) -> Response<Tracked> {
        let error = ApiError::new(code, reason).to_value();
        let text = self.format.write(&json!({ "janus": "error", "error": error }));
        self.json(Kind::sized(text), pulse)
    }

    fn json(&self, kind: Kind, pulse: &Arc<Pulse>) -> Response<Tracked> {
        let mut answer = Response::new(Tracked::new(kind, pulse.clone()));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    }

    fn with_cors(&self, asked: &HeaderMap, mut answer: Response<Tracked>) -> Response<Tracked> {
        self.cors.write(asked, answer.headers_mut());
        answer
    }

    /// Eleven letters and digits, as Janus makes them for `info`.
    fn transaction(&self) -> String {
        const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut text = String::with_capacity(11);
        let mut bytes = [0; 32];
        while text.len() < 11 && self.random.fill(&mut bytes).is_ok() {
            // 248 is the largest multiple of 62 in a byte: beyond, some letters would be likelier.
            let fair = bytes.iter().filter(|b| **b < 248);
            let letters = fair.filter_map(|b| LETTERS.get(usize::from(b % 62))).map(|b| char::from(*b));
            text.extend(letters.take(11 - text.len()));
        }
        text
    }

    /// What of `path` is about the demo pages: the part below `/demos`.
    fn demo_of(&self, path: &str) -> Option<String> {
        if path == "/" && !self.base.is_root() {
            return Some(String::new());
        }
        let below = path.strip_prefix("/demos")?;
        (below.is_empty() || below.starts_with('/')).then(|| below.to_owned())
    }
}

async fn demo(demos: &Demos, below: &str, asked: &Parts, pulse: &Arc<Pulse>) -> Response<Tracked> {
    if asked.method != Method::GET && asked.method != Method::HEAD {
        let mut answer = empty(pulse, StatusCode::METHOD_NOT_ALLOWED);
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    match below.strip_prefix('/') {
        None => redirect(pulse, "/demos/"),
        Some(below) => demos.serve(below, &asked.headers, pulse).await,
    }
}

/// An answer without content.
pub(crate) fn empty(pulse: &Arc<Pulse>, status: StatusCode) -> Response<Tracked> {
    let mut answer = Response::new(Tracked::new(Kind::sized(""), pulse.clone()));
    *answer.status_mut() = status;
    answer
}

fn redirect(pulse: &Arc<Pulse>, to: &str) -> Response<Tracked> {
    let mut answer = empty(pulse, StatusCode::FOUND);
    if let Ok(to) = HeaderValue::from_str(to) {
        answer.headers_mut().insert(LOCATION, to);
    }
    answer
}

fn overloaded(pulse: &Arc<Pulse>) -> Response<Tracked> {
    closing(empty(pulse, StatusCode::SERVICE_UNAVAILABLE))
}

fn closing(mut answer: Response<Tracked>) -> Response<Tracked> {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}
