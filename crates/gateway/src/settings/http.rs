//! `janus.transport.http.jcfg`.

use portunus_jcfg::{Document, Problem, Reader, Section};

use super::janus::certificate_files;
use super::keys::HTTP;
use super::listener::{self, Cors, JsonFormat, Listener, ListenerKeys};
use super::{CertificateFiles, Portunus};

/// Connections at a time if nobody says otherwise: Janus' default.
const CONNECTIONS: usize = 1020;

/// The HTTP transport.
#[derive(Debug, Clone)]
pub(crate) struct HttpSettings {
    /// How answers are spelt.
    pub(crate) json: JsonFormat,
    /// The Janus API.
    pub(crate) api: HttpApi,
    /// The Admin API.
    pub(crate) admin: HttpApi,
    /// Cross-origin rules of both.
    pub(crate) cors: Cors,
    /// Certificate of the TLS listeners.
    pub(crate) certificate: Option<CertificateFiles>,
    /// Event handlers are told of its requests.
    pub(crate) events: bool,
    /// Connections at a time (`mhd_connection_limit`, else `portunus.max_connections`).
    pub(crate) connections: usize,
}

/// One API over HTTP. No listener: it is off.
#[derive(Debug, Clone)]
pub(crate) struct HttpApi {
    /// Without TLS.
    pub(crate) plain: Option<Listener>,
    /// With TLS.
    pub(crate) secure: Option<Listener>,
    /// Path of its root, `/janus`.
    pub(crate) base_path: String,
    /// Beginnings of addresses that may connect; all when empty.
    pub(crate) acl: Vec<String>,
    /// The list is about `X-Forwarded-For`.
    pub(crate) acl_forwarded: bool,
}

impl HttpApi {
    /// Whether it listens at all.
    pub(crate) fn is_on(&self) -> bool {
        self.plain.is_some() || self.secure.is_some()
    }
}

/// Reads the document.
pub(super) fn read(document: &Document, portunus: &Portunus, problems: &mut Vec<Problem>) -> HttpSettings {
    let reader = Reader::new(document);
    let mut general = HTTP.open(&reader, "general");
    let mut admin = HTTP.open(&reader, "admin");
    let certificate = certificate_files(&mut HTTP.open(&reader, "certificates"));
    let default = portunus.max_connections.unwrap_or(CONNECTIONS);
    let settings = HttpSettings {
        json: listener::json(&mut general),
        events: general.get_bool("events", true),
        api: HttpApi {
            plain: listener::listener(&mut general, &PLAIN),
            secure: listener::secure_listener(&mut general, &SECURE, certificate.as_ref()),
            base_path: base_path(&mut general, "base_path", "/janus"),
            acl: general.get_list("acl").unwrap_or_default(),
            acl_forwarded: general.get_bool("acl_forwarded", false),
        },
        admin: HttpApi {
            plain: listener::listener(&mut admin, &ADMIN_PLAIN),
            secure: listener::secure_listener(&mut admin, &ADMIN_SECURE, certificate.as_ref()),
            base_path: base_path(&mut admin, "admin_base_path", "/admin"),
            acl: admin.get_list("admin_acl").unwrap_or_default(),
            acl_forwarded: admin.get_bool("admin_acl_forwarded", false)
                || general.get_bool("admin_acl_forwarded", false),
        },
        cors: listener::cors(HTTP.open(&reader, "cors")),
        connections: general.get_int("mhd_connection_limit", default, 1..=1_000_000),
        certificate,
    };
    drop((general, admin));
    problems.extend(reader.finish());
    settings
}

fn base_path(s: &mut Section<'_>, key: &str, default: &str) -> String {
    let path = s.get_with(key, |text| match text.trim() {
        path if path.starts_with('/') => Ok(path.to_owned()),
        _ => Err(format!("must begin with `/`, unlike `{text}`")),
    });
    path.unwrap_or_else(|| default.to_owned())
}

const PLAIN: ListenerKeys = ListenerKeys {
    on: "http",
    default_on: true,
    port: "port",
    default_port: 8088,
    ip: "ip",
    interface: "interface",
    unix: None,
};
const SECURE: ListenerKeys = ListenerKeys {
    on: "https",
    default_on: false,
    port: "secure_port",
    default_port: 8089,
    ip: "secure_ip",
    interface: "secure_interface",
    unix: None,
};
const ADMIN_PLAIN: ListenerKeys = ListenerKeys {
    on: "admin_http",
    default_on: false,
    port: "admin_port",
    default_port: 7088,
    ip: "admin_ip",
    interface: "admin_interface",
    unix: None,
};
const ADMIN_SECURE: ListenerKeys = ListenerKeys {
    on: "admin_https",
    default_on: false,
    port: "admin_secure_port",
    default_port: 7889,
    ip: "admin_secure_ip",
    interface: "admin_secure_interface",
    unix: None,
};
