//! What there is: ports, addresses, certificates, limits, the clock.

use crate::process;
use crate::settings::{CertificateFiles, Secret, Settings};
use crate::wiring;
use portunus_media::Certificate;
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long the STUN server may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) ports: Vec<Port>,
    /// Why the listeners of the APIs cannot be told: an interface that is not there.
    pub(super) listeners: Option<String>,
    /// Usable for media, best first.
    pub(super) addresses: Vec<IpAddr>,
    /// `nat_1_1_mapping` is set.
    pub(super) mapped: bool,
    /// Why the certificate of the TURN server cannot be checked.
    pub(super) turn_trust: Option<String>,
    /// The STUN server, and what it sees.
    pub(super) stun: Option<(String, Option<IpAddr>)>,
    pub(super) certificates: Vec<Shown>,
    pub(super) open_files: Option<u64>,
    pub(super) receive_buffer: Option<u64>,
    pub(super) send_buffer: Option<u64>,
    pub(super) clock_synchronised: Option<bool>,
    /// Seconds since 1970.
    pub(super) now: u64,
}

/// A port the gateway would open.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) what: &'static str,
    pub(super) address: SocketAddr,
    pub(super) state: PortState,
}

#[derive(Debug)]
pub(super) enum PortState {
    Free,
    Taken,
    Forbidden,
    Failed(String),
}

/// A certificate that clients are shown.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) what: &'static str,
    pub(super) file: PathBuf,
    pub(super) state: Validity,
}

#[derive(Debug)]
pub(super) enum Validity {
    /// Seconds since 1970.
    Until(u64),
    Broken(String),
}

impl Facts {
    pub(super) fn gather(settings: &Settings) -> Self {
        let number = |file: &str| fs::read_to_string(file).ok()?.trim().parse().ok();
        let stun = settings.nat.stun_server.as_ref().map(|server| {
            let seen = portunus_media::ask_stun_server(&server.host, server.port, 0, PATIENCE);
            (format!("{}:{}", server.host, server.port), seen.ok().map(|address| address.ip()))
        });
        let addresses = wiring::media_addresses(settings).unwrap_or_default();
        let listeners = wiring::transport(settings, portunus_transport::Observer::default());
        let (listeners, problem) = match listeners {
            Ok(listeners) => (listeners_of(&listeners), None),
            Err(error) => (Vec::new(), Some(format!("{error:#}"))),
        };
        Self {
            ports: ports(settings, listeners, &addresses),
            listeners: problem,
            addresses,
            mapped: !settings.nat.nat_1_1_mapping.is_empty(),
            turn_trust: wiring::turn_trust(settings).err().map(|error| format!("{error:#}")),
            stun,
            certificates: certificates(settings),
            open_files: process::open_files_allowed(),
            receive_buffer: number("/proc/sys/net/core/rmem_max"),
            send_buffer: number("/proc/sys/net/core/wmem_max"),
            clock_synchronised: clock_synchronised(),
            now: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs(),
        }
    }
}

fn ports(settings: &Settings, listeners: Vec<(&'static str, SocketAddr)>, addresses: &[IpAddr]) -> Vec<Port> {
    let mut found = Vec::new();
    for (what, address) in listeners {
        let state = state(TcpListener::bind(address).map(drop));
        found.push(Port { what, address, state });
    }
    if let Some(address) = settings.portunus.metrics {
        found.push(Port { what: "metrics", address, state: state(TcpListener::bind(address).map(drop)) });
    }
    let own = &settings.portunus;
    if settings.media.rtp_port_range.is_none() && own.udp_port > 0 {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = match (own.single_port, own.workers) {
            (true, _) => 1,
            (false, 0) => cores,
            (false, workers) => workers,
        };
        let last = u16::try_from(workers.saturating_sub(1)).unwrap_or(u16::MAX);
        for ip in addresses {
            for port in own.udp_port..=own.udp_port.saturating_add(last) {
                let address = SocketAddr::new(*ip, port);
                found.push(Port { what: "media", address, state: state(UdpSocket::bind(address).map(drop)) });
            }
        }
    }
    found
}

/// Every address of every listener.
fn listeners_of(settings: &portunus_transport::Settings) -> Vec<(&'static str, SocketAddr)> {
    let mut found = Vec::new();
    for (what, http) in [("Janus API", &settings.http), ("Admin API", &settings.admin_http)] {
        let all = http.iter().flat_map(|h| h.addresses.iter().chain(&h.secure_addresses));
        found.extend(all.map(|address| (what, *address)));
    }
    for (what, ws) in [("Janus API", &settings.websockets), ("Admin API", &settings.admin_websockets)] {
        let all = ws.iter().flat_map(|w| w.addresses.iter().chain(&w.secure_addresses));
        found.extend(all.map(|address| (what, *address)));
    }
    found.into_iter().filter(|(_, address)| address.port() > 0).collect()
}

fn state(bound: std::io::Result<()>) -> PortState {
    match bound {
        Ok(()) => PortState::Free,
        Err(error) => match error.kind() {
            ErrorKind::AddrInUse => PortState::Taken,
            ErrorKind::PermissionDenied => PortState::Forbidden,
            _ => PortState::Failed(error.to_string()),
        },
    }
}

fn certificates(settings: &Settings) -> Vec<Shown> {
    let all = [
        ("DTLS", &settings.certificates.files),
        ("HTTPS", &settings.http.certificate),
        ("WSS", &settings.websockets.certificate),
    ];
    let one = |(what, files): (&'static str, &Option<CertificateFiles>)| {
        let files = files.as_ref()?;
        let state = match validity(&files.pem, &files.key, files.password.as_ref().map(Secret::expose)) {
            Ok(until) => Validity::Until(until),
            Err(why) => Validity::Broken(why),
        };
        Some(Shown { what, file: files.pem.clone(), state })
    };
    all.into_iter().filter_map(one).collect()
}

fn validity(certificate: &Path, key: &Path, password: Option<&str>) -> Result<u64, String> {
    let read = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let loaded = Certificate::load(&read(certificate)?, &read(key)?, password).map_err(|e| e.to_string())?;
    Ok(loaded.not_after().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs())
}

/// What systemd's time service says, if it runs here.
fn clock_synchronised() -> Option<bool> {
    Path::new("/run/systemd/timesync")
        .exists()
        .then(|| Path::new("/run/systemd/timesync/synchronized").exists())
}
