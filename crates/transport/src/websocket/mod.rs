//! The Janus and Admin APIs over WebSockets: the handshake, on any path.
//!
//! A client without the right subprotocol is dropped without an answer; a plain request gets a small page and 403.

mod session;

use crate::acl::Acl;
use crate::connection::{Pulse, Stream, watched};
use crate::cors::CrossOrigin;
use crate::http::{Answer, Dropped, Kind, Tracked, builder, empty};
use crate::listener::Shared;
use crate::{PingPong, Side, Spelling, WebSocketSettings};
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use session::Session;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// One WebSocket listener group.
pub(crate) struct SocketApi {
    side: Side,
    format: Spelling,
    acl: Acl,
    cors: CrossOrigin,
    ping_pong: PingPong,
    shared: Arc<Shared>,
}

impl SocketApi {
    pub(crate) fn new(side: Side, settings: &WebSocketSettings, shared: Arc<Shared>) -> Self {
        let idle = shared.times().idle;
        Self {
            side,
            format: settings.format.clone(),
            acl: Acl::new(&settings.acl, settings.acl_forwarded),
            cors: CrossOrigin::new(&settings.cors, side),
            ping_pong: settings.ping_pong.unwrap_or(PingPong { trigger: idle, timeout: idle }),
            shared,
        }
    }

    /// Serves one connection: the handshake, then messages until it ends.
    pub(crate) async fn speak<T>(&self, stream: Stream<T>, address: IpAddr, pulse: &Arc<Pulse>)
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        // On the heap and gone before the first message: nothing of HTTP is kept for a WebSocket.
        let Some(stream) = Box::pin(self.shake_hands(stream, address, pulse)).await else { return };
        pulse.on_body_end();
        Session::new(self, address, pulse.clone()).run(TokioIo::new(stream)).await;
    }

    async fn shake_hands<T>(&self, stream: Stream<T>, address: IpAddr, pulse: &Arc<Pulse>) -> Option<Upgraded>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let upgrade = Mutex::new(None);
        let service = service_fn(|request| {
            let answer = self.handshake(request, pulse, &upgrade);
            async move { answer }
        });
        let connection = builder(&self.shared).serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection.with_upgrades());
        let served = tokio::select! {
            served = watched(pulse, connection.as_mut()) => served,
            // Before the handshake there is nothing to finish.
            () = self.shared.draining() => return None,
        };
        match served {
            Some(Ok(())) => {
                let upgrade = upgrade.lock().unwrap_or_else(PoisonError::into_inner).take();
                upgrade?.await.ok()
            }
            Some(Err(e)) => {
                tracing::debug!(%address, error = ?e, "no WebSocket");
                None
            }
            None => {
                self.shared.counters().timed_out.up();
                None
            }
        }
    }

    fn handshake(
        &self,
        mut request: Request<Incoming>,
        pulse: &Arc<Pulse>,
        upgrade: &Mutex<Option<OnUpgrade>>,
    ) -> Answer {
        pulse.on_request();
        let headers = request.headers();
        if !self.acl.allows_request(headers) {
            return Err(Dropped::Acl);
        }
        if request.method() != Method::GET || !names(headers, UPGRADE, "websocket") {
            return Ok(self.page(pulse));
        }
        let wanted = match self.side {
            Side::Janus => "janus-protocol",
            Side::Admin => "janus-admin-protocol",
        };
        // Protocol names are compared with their case (RFC 6455 section 11.5).
        let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|v| v.to_str().ok());
        if !offered.flat_map(|v| v.split(',')).any(|p| p.trim() == wanted) {
            return Err(Dropped::Protocol);
        }
        if !self.cors.permits(headers) {
            return Ok(empty(pulse, StatusCode::FORBIDDEN));
        }
        let key = headers.get(SEC_WEBSOCKET_KEY).filter(|k| k.len() == 24);
        let (Some(key), true) = (key, names(headers, CONNECTION, "upgrade")) else {
            return Ok(empty(pulse, StatusCode::BAD_REQUEST));
        };
        if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|v| v != "13") {
            let mut answer = empty(pulse, StatusCode::UPGRADE_REQUIRED);
            answer.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            return Ok(answer);
        }
        let accept = derive_accept_key(key.as_bytes());
        let mut answer = empty(pulse, StatusCode::SWITCHING_PROTOCOLS);
        self.cors.write(headers, answer.headers_mut());
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        answer.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(wanted));
        if let Ok(accept) = HeaderValue::from_str(&accept) {
            answer.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        *upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(hyper::upgrade::on(&mut request));
        Ok(answer)
    }

    /// For people who open the address in a browser.
    fn page(&self, pulse: &Arc<Pulse>) -> Response<Tracked> {
        const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>403</title>\
            <h1>403</h1><p>This port speaks WebSockets only.</p></html>\n";
        let mut answer = Response::new(Tracked::new(Kind::sized(PAGE), pulse.clone()));
        *answer.status_mut() = StatusCode::FORBIDDEN;
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        answer
    }
}

/// Whether a header lists `token`.
fn names(headers: &HeaderMap, header: hyper::header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(header);
    let mut tokens = values.iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
    tokens.any(|t| t.trim().eq_ignore_ascii_case(token))
}
