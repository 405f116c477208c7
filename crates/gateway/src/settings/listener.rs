//! What the transports have in common: listeners, certificates, cross-origin rules.

use portunus_jcfg::{Kind, Section, Severity};
pub(crate) use portunus_transport::JsonFormat;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use super::CertificateFiles;
use super::values::ip;

/// A port that is open for requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    /// TCP port; 0 = any free one.
    pub(crate) port: u16,
    /// Only this address.
    pub(crate) ip: Option<IpAddr>,
    /// Only this interface, a name or an address; `ip` goes before it. Neither: all addresses.
    pub(crate) interface: Option<String>,
    /// A Unix socket instead of all that.
    pub(crate) unix: Option<PathBuf>,
}

impl Listener {
    /// Binds to this machine only, whatever was asked for; a loopback address of the file stays.
    pub(super) fn keep_to_loopback(&mut self) {
        if !self.ip.is_some_and(|ip| ip.is_loopback()) {
            self.ip = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        self.interface = None;
        // A Unix socket is on this machine anyway.
    }
}

/// The keys of one listener.
pub(super) struct ListenerKeys {
    pub(super) on: &'static str,
    pub(super) default_on: bool,
    pub(super) port: &'static str,
    pub(super) default_port: u16,
    pub(super) ip: &'static str,
    pub(super) interface: &'static str,
    /// The key of a Unix socket, where there is one.
    pub(super) unix: Option<&'static str>,
}

/// Reads one listener; all its keys are checked even if it is off.
pub(super) fn listener(s: &mut Section<'_>, keys: &ListenerKeys) -> Option<Listener> {
    let on = s.get_bool(keys.on, keys.default_on);
    let listener = Listener {
        port: s.get_int(keys.port, keys.default_port, 0..=u16::MAX),
        ip: s.get_with(keys.ip, ip),
        interface: s.get_filled(keys.interface),
        unix: keys.unix.and_then(|key| s.get_path(key)),
    };
    on.then_some(listener)
}

/// A TLS listener, which needs a certificate: without one it stays off, as in Janus.
pub(super) fn secure_listener(
    s: &mut Section<'_>,
    keys: &ListenerKeys,
    certificate: Option<&CertificateFiles>,
) -> Option<Listener> {
    let listener = listener(s, keys)?;
    if certificate.is_none() {
        let message = "stays off: section `certificates` names no `cert_pem`";
        s.report(keys.on, Severity::Warning, Kind::Advice, message);
        return None;
    }
    Some(listener)
}

/// `json`: compact by default since 1.4.1.
pub(super) fn json(s: &mut Section<'_>) -> JsonFormat {
    let formats =
        [("indented", JsonFormat::Indented), ("plain", JsonFormat::Plain), ("compact", JsonFormat::Compact)];
    s.get_enum("json", &formats, JsonFormat::Compact)
}

/// Section `cors`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Cors {
    /// The origin that may ask; all if absent.
    pub(crate) allow_origin: Option<String>,
    /// Others are refused, not only left to the browser.
    pub(crate) enforce: bool,
}

/// Reads section `cors`.
pub(super) fn cors(mut s: Section<'_>) -> Cors {
    let cors =
        Cors { allow_origin: s.get_filled("allow_origin"), enforce: s.get_bool("enforce_cors", false) };
    if cors.enforce && cors.allow_origin.is_none() {
        let message = "has no effect without `allow_origin`";
        s.report("enforce_cors", Severity::Warning, Kind::Advice, message);
    }
    cors
}
