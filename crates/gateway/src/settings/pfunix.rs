//! `janus.transport.pfunix.jcfg`.

use portunus_jcfg::{Document, Kind, Problem, Reader, Section, Severity};
use std::path::PathBuf;

use super::Portunus;
use super::keys::PFUNIX;
use super::listener::{self, JsonFormat};

/// Clients at a time if nobody says otherwise.
const CLIENTS: usize = 1024;

/// The transport over Unix sockets of packets.
#[derive(Debug, Clone)]
pub(crate) struct PfunixSettings {
    /// How answers are spelt.
    pub(crate) json: JsonFormat,
    /// Event handlers are told of its clients.
    pub(crate) events: bool,
    /// The Janus API.
    pub(crate) api: Option<UnixSocket>,
    /// The Admin API.
    pub(crate) admin: Option<UnixSocket>,
    /// Clients at a time (`portunus.max_connections`).
    pub(crate) clients: usize,
}

/// Where a socket is made, and of which kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnixSocket {
    /// Its path.
    pub(crate) path: PathBuf,
    /// `SOCK_DGRAM`, not `SOCK_SEQPACKET`.
    pub(crate) datagrams: bool,
}

/// Reads the document.
pub(super) fn read(document: &Document, portunus: &Portunus, problems: &mut Vec<Problem>) -> PfunixSettings {
    let reader = Reader::new(document);
    let mut general = PFUNIX.open(&reader, "general");
    let mut admin = PFUNIX.open(&reader, "admin");
    let settings = PfunixSettings {
        json: listener::json(&mut general),
        events: general.get_bool("events", true),
        api: socket(&mut general, "enabled", "path", "type"),
        admin: socket(&mut admin, "admin_enabled", "admin_path", "admin_type"),
        clients: portunus.max_connections.unwrap_or(CLIENTS),
    };
    drop((general, admin));
    problems.extend(reader.finish());
    settings
}

fn socket(s: &mut Section<'_>, on: &str, path: &str, kind: &str) -> Option<UnixSocket> {
    let enabled = s.get_bool(on, false);
    let place = s.get_path(path);
    let datagrams = s.get_enum(kind, &[("SOCK_SEQPACKET", false), ("SOCK_DGRAM", true)], false);
    if enabled && place.is_none() {
        s.report(on, Severity::Error, Kind::BadValue, format!("needs `{path}`"));
    }
    place.filter(|_| enabled).map(|path| UnixSocket { path, datagrams })
}
