//! `GET BASE/ice-servers`: the ICE servers that a client is to use. Not of Janus, whose ids of sessions are numbers: the path is
//! free there.
//!
//! Whoever may use the API may have them. What is handed out holds passwords, so nobody may keep it.

use super::{HttpApi, Kind, Pending, Tracked, empty, overloaded, path};
use crate::connection::Pulse;
use crate::{IceServers, Inbound};
use hyper::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use portunus_api::ErrorCode;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::timeout;

const NAME: &str = "ice-servers";

impl HttpApi {
    /// Who answers, if `path` is about it.
    pub(super) fn ice_servers_at(&self, path: &str) -> Option<&dyn IceServers> {
        self.ice_servers.as_deref().filter(|servers| servers.is_on() && self.base.leads_to(NAME, path))
    }

    pub(super) async fn hand_out(
        &self,
        servers: &dyn IceServers,
        asked: &Parts,
        pulse: &Arc<Pulse>,
    ) -> Response<Tracked> {
        let mut answer = if asked.method == Method::GET || asked.method == Method::HEAD {
            self.ice_servers(servers, asked, pulse).await
        } else {
            let mut answer = empty(pulse, StatusCode::METHOD_NOT_ALLOWED);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
            answer
        };
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }

    async fn ice_servers(
        &self,
        servers: &dyn IceServers,
        asked: &Parts,
        pulse: &Arc<Pulse>,
    ) -> Response<Tracked> {
        let counters = self.shared.counters();
        let _pending = Pending::of(counters.clone());
        match self.may_enter(asked).await {
            Some(true) => {}
            Some(false) => {
                counters.ice_servers_refused.up();
                return self.refusal(pulse, StatusCode::FORBIDDEN, ErrorCode::Unauthorized, None);
            }
            None => return overloaded(pulse),
        }
        let answer = timeout(self.shared.times().reply, servers.hand_out()).await;
        match answer.unwrap_or(Err("The ICE servers were not found out in time")) {
            Ok(answer) => {
                counters.ice_servers.up();
                self.json(Kind::sized(self.format.write(&answer)), pulse)
            }
            Err(reason) => {
                counters.ice_servers_failed.up();
                self.refusal(pulse, StatusCode::BAD_GATEWAY, ErrorCode::TransportSpecific, Some(reason))
            }
        }
    }

    /// As a request with that secret or token; `None` if the core has too much to do.
    async fn may_enter(&self, asked: &Parts) -> Option<bool> {
        let query = asked.uri.query().unwrap_or_default();
        // A bearer's word may be either.
        let bearer = bearer(&asked.headers);
        let secret = path::argument(query, "apisecret").or_else(|| bearer.clone());
        let token = path::argument(query, "token").or(bearer);
        let (reply, verdict) = oneshot::channel();
        if !self.submit(Inbound::Entry { secret, token, reply }) {
            return None;
        }
        timeout(self.shared.times().reply, verdict).await.ok()?.ok()
    }

    fn refusal(
        &self,
        pulse: &Arc<Pulse>,
        status: StatusCode,
        code: ErrorCode,
        reason: Option<&str>,
    ) -> Response<Tracked> {
        let mut answer = self.error(pulse, code, reason.unwrap_or(code.default_text()));
        *answer.status_mut() = status;
        answer
    }
}

/// `Authorization: Bearer X`
fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, word) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| word.trim().to_owned())
}
