//! `janus.transport.websockets.jcfg`.

use portunus_jcfg::{Document, Kind, Problem, Reader, Section, Severity};
use std::time::Duration;

use super::janus::certificate_files;
use super::keys::WEBSOCKETS;
use super::listener::{self, Cors, JsonFormat, Listener, ListenerKeys};
use super::values::seconds;
use super::{CertificateFiles, Portunus};

/// Connections at a time if nobody says otherwise.
const CONNECTIONS: usize = 32_768;

/// The WebSocket transport.
#[derive(Debug, Clone)]
pub(crate) struct WebSocketsSettings {
    /// How answers are spelt.
    pub(crate) json: JsonFormat,
    /// The Janus API.
    pub(crate) api: WebSocketApi,
    /// The Admin API.
    pub(crate) admin: WebSocketApi,
    /// Cross-origin rules of both.
    pub(crate) cors: Cors,
    /// Certificate of the TLS listeners.
    pub(crate) certificate: Option<CertificateFiles>,
    /// When silent connections are pinged.
    pub(crate) ping_pong: Option<PingPong>,
    /// Event handlers are told of its connections.
    pub(crate) events: bool,
    /// Connections at a time (`portunus.max_connections`).
    pub(crate) connections: usize,
}

/// One API over WebSockets. No listener: it is off.
#[derive(Debug, Clone)]
pub(crate) struct WebSocketApi {
    /// Without TLS.
    pub(crate) plain: Option<Listener>,
    /// With TLS.
    pub(crate) secure: Option<Listener>,
    /// Beginnings of addresses that may connect; all when empty.
    pub(crate) acl: Vec<String>,
    /// The list is about `X-Forwarded-For`.
    pub(crate) acl_forwarded: bool,
}

impl WebSocketApi {
    /// Whether it listens at all.
    pub(crate) fn is_on(&self) -> bool {
        self.plain.is_some() || self.secure.is_some()
    }
}

/// `pingpong_trigger` and `pingpong_timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PingPong {
    /// Silence before a ping.
    pub(crate) trigger: Duration,
    /// Silence after it before the connection is closed.
    pub(crate) timeout: Duration,
}

/// Reads the document.
pub(super) fn read(
    document: &Document,
    portunus: &Portunus,
    problems: &mut Vec<Problem>,
) -> WebSocketsSettings {
    let reader = Reader::new(document);
    let mut general = WEBSOCKETS.open(&reader, "general");
    let mut admin = WEBSOCKETS.open(&reader, "admin");
    let certificate = certificate_files(&mut WEBSOCKETS.open(&reader, "certificates"));
    let settings = WebSocketsSettings {
        json: listener::json(&mut general),
        events: general.get_bool("events", true),
        api: WebSocketApi {
            plain: listener::listener(&mut general, &PLAIN),
            secure: listener::secure_listener(&mut general, &SECURE, certificate.as_ref()),
            acl: general.get_list("ws_acl").unwrap_or_default(),
            acl_forwarded: general.get_bool("ws_acl_forwarded", false),
        },
        admin: WebSocketApi {
            plain: listener::listener(&mut admin, &ADMIN_PLAIN),
            secure: listener::secure_listener(&mut admin, &ADMIN_SECURE, certificate.as_ref()),
            acl: admin.get_list("admin_ws_acl").unwrap_or_default(),
            acl_forwarded: admin.get_bool("admin_ws_acl_forwarded", false)
                || general.get_bool("admin_ws_acl_forwarded", false),
        },
        cors: listener::cors(WEBSOCKETS.open(&reader, "cors")),
        certificate,
        ping_pong: ping_pong(&mut general),
        connections: portunus.max_connections.unwrap_or(CONNECTIONS),
    };
    drop((general, admin));
    problems.extend(reader.finish());
    settings
}

fn ping_pong(s: &mut Section<'_>) -> Option<PingPong> {
    let trigger = seconds(s, "pingpong_trigger", 0);
    let timeout = seconds(s, "pingpong_timeout", 0);
    match (trigger.is_zero(), timeout.is_zero()) {
        (false, false) => Some(PingPong { trigger, timeout }),
        (true, true) => None,
        (one_is_missing, _) => {
            let (set, missing) = match one_is_missing {
                true => ("pingpong_timeout", "pingpong_trigger"),
                false => ("pingpong_trigger", "pingpong_timeout"),
            };
            let message = format!("has no effect without `{missing}`");
            s.report(set, Severity::Warning, Kind::Advice, message);
            None
        }
    }
}

const PLAIN: ListenerKeys = ListenerKeys {
    on: "ws",
    default_on: true,
    port: "ws_port",
    default_port: 8188,
    ip: "ws_ip",
    interface: "ws_interface",
    unix: Some("ws_unix"),
};
const SECURE: ListenerKeys = ListenerKeys {
    on: "wss",
    default_on: false,
    port: "wss_port",
    default_port: 8989,
    ip: "wss_ip",
    interface: "wss_interface",
    unix: Some("wss_unix"),
};
const ADMIN_PLAIN: ListenerKeys = ListenerKeys {
    on: "admin_ws",
    default_on: false,
    port: "admin_ws_port",
    default_port: 7188,
    ip: "admin_ws_ip",
    interface: "admin_ws_interface",
    unix: Some("admin_ws_unix"),
};
const ADMIN_SECURE: ListenerKeys = ListenerKeys {
    on: "admin_wss",
    default_on: false,
    port: "admin_wss_port",
    default_port: 7989,
    ip: "admin_wss_ip",
    interface: "admin_wss_interface",
    unix: Some("admin_wss_unix"),
};
