//! What the program says outside its log: on the standard output to whoever started it, on the standard error when it
//! refuses.

use crate::flags::Stop;
use crate::settings::{ContainerNetwork, Problem, Settings, Severity};
use portunus_transport::{Listening, ListeningPath, Protocol, Recordings, Running, Side};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;

/// One line on the standard output. Nobody listening is no reason to fail.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Ends the program as the command line asked for.
pub(crate) fn stop(stop: &Stop) -> ExitCode {
    if stop.code == 0 {
        say(stop.text.trim_end());
    } else {
        complain(&banner());
        complain(stop.text.trim_end());
    }
    exit_code(stop.code)
}

/// Lists what is wrong with the settings.
pub(crate) fn refuse(problems: &[Problem]) -> ExitCode {
    problems.iter().for_each(|problem| complain(&problem.to_string()));
    complain("The settings cannot be used: not started.");
    ExitCode::FAILURE
}

/// Why it cannot go on.
pub(crate) fn fail(error: &anyhow::Error) -> ExitCode {
    tracing::error!("{error:#}");
    complain(&format!("{error:#}"));
    ExitCode::FAILURE
}

/// Puts what was noticed about the settings into the log.
pub(crate) fn log(problems: &[Problem]) {
    for problem in problems {
        match problem.severity {
            Severity::Error => tracing::error!("{problem}"),
            Severity::Warning => tracing::warn!("{problem}"),
            Severity::Note => tracing::info!("{problem}"),
        }
    }
}

/// Says who we are, what is open and where the demo page is.
pub(crate) fn ready(
    settings: &Settings,
    running: &Running,
    metrics: Option<SocketAddr>,
    media: &[SocketAddr],
) {
    say(&banner());
    for listening in running.listening() {
        say(&format!("{}: {}", api_name(listening.side), url(settings, listening)));
    }
    for ListeningPath { path, protocol, side } in running.paths() {
        let what = if *protocol == Protocol::Packets { "Unix socket" } else { "WebSockets on" };
        say(&format!("{}: {what} {}", api_name(*side), path.display()));
    }
    if let Some(address) = metrics {
        say(&format!("Metrics, health, readiness: http://{address}/metrics, /healthz, /readyz"));
    }
    if let Some(range) = &settings.media.rtp_port_range {
        say(&format!("Media: UDP ports {} to {}", range.start(), range.end()));
    }
    for address in media {
        say(&format!("Media: UDP {address}"));
    }
    if let Some(line) = published(settings) {
        say(&line);
    }
    let demo = running.listening().iter().find(|l| l.protocol == Protocol::Http && l.side == Side::Janus);
    if let Some(listening) = demo.filter(|_| crate::wiring::demos_folder(settings).is_some()) {
        say(&format!("Demo page: {}/demos/", origin(listening)));
    }
    if let Some((listening, recordings)) = demo.zip(crate::wiring::recordings(settings)) {
        say(&recordings_line(settings, listening, &recordings));
    }
    say("Ready");
}

/// Whether clients outside of the container reach its media port, and what to change.
fn published(settings: &Settings) -> Option<String> {
    let (nat, port) = (&settings.nat, settings.portunus.udp_port);
    let how = if nat.ice_lite { "ICE-lite" } else { "full ICE" };
    match settings.network? {
        ContainerNetwork::Published if nat.nat_1_1_mapping.is_empty() && nat.stun_server.is_none() => {
            Some(format!(
                "Media: {how}, but neither PUBLIC_IP nor a STUN server says at which address clients find UDP port {port}: run \
             with -e PUBLIC_IP=<public address>"
            ))
        }
        ContainerNetwork::Published => {
            Some(format!("Media: {how}; UDP port {port} is taken for published under the same number"))
        }
        ContainerNetwork::Unpublished if nat.ice_lite => Some(format!(
            "Media: ICE-lite on UDP port {port}, and no port is declared as published: clients come from this network or \
             through TURN"
        )),
        ContainerNetwork::Unpublished => {
            let held = match nat.trickle_hold.as_millis() {
                0 => String::new(),
                ms => format!(", candidates held for {ms} ms after our checks"),
            };
            Some(format!(
                "Media: no port is declared as published: {how}{held}. More clients get through with: docker run -p \
                 {port}:{port}/udp -e PUBLIC_IP=<public address>"
            ))
        }
    }
}

/// Where recordings are shown, to whom, and which.
fn recordings_line(settings: &Settings, listening: &Listening, recordings: &Recordings) -> String {
    let page = match crate::wiring::demos_folder(settings) {
        Some(_) => "demos/recordings.html",
        None => "recordings/",
    };
    let whom = match (&recordings.password, listening.secure) {
        (Some(_), true) => "whoever knows the password",
        (Some(_), false) => "whoever knows the password (sent in the clear)",
        (None, _) => "this machine only, as no `portunus.recordings_password` is set",
    };
    let folders: Vec<_> = recordings.roots.iter().map(|root| root.display().to_string()).collect();
    format!("Recordings: {}/{page} shows {} to {whom}", origin(listening), folders.join(", "))
}

fn banner() -> String {
    let commit = crate::wiring::COMMIT;
    let version = env!("CARGO_PKG_VERSION");
    format!("Portunus {version} (commit {commit}), Janus API {}", crate::flags::JANUS_VERSION)
}

fn api_name(side: Side) -> &'static str {
    match side {
        Side::Janus => "Janus API",
        Side::Admin => "Admin API",
    }
}

fn url(settings: &Settings, listening: &Listening) -> String {
    let path = match (listening.protocol, listening.side) {
        (Protocol::WebSockets | Protocol::Packets, _) => "/",
        (Protocol::Http, Side::Janus) => settings.http.api.base_path.as_str(),
        (Protocol::Http, Side::Admin) => settings.http.admin.base_path.as_str(),
    };
    format!("{}{path}", origin(listening))
}

/// An address a person on this machine can click on.
fn origin(listening: &Listening) -> String {
    let scheme = match (listening.protocol, listening.secure) {
        (Protocol::Http, false) => "http",
        (Protocol::Http, true) => "https",
        (Protocol::Packets, _) => "unix",
        (Protocol::WebSockets, false) => "ws",
        (Protocol::WebSockets, true) => "wss",
    };
    let mut address = listening.address;
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    format!("{scheme}://{address}")
}

pub(crate) fn exit_code(code: i32) -> ExitCode {
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
