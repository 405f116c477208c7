//! The environment and the command line, laid over the files.
//!
//! Each becomes a setting of the document whose place names its origin, so that reading, checking and messages
//! are the same for all three. Later ones win: file, short names, `PORTUNUS_…` names, options.

use portunus_jcfg::{Document, Kind, Place, Problem, Severity, Value};

use super::keys::{Key, Table};
use super::values::host_and_port;
use crate::flags::Flags;

/// Short names of the environment, as images are used to them.
pub(super) const SHORT_NAMES: &[(&str, &str, &str)] = &[
    ("PUBLIC_IP", "nat", "nat_1_1_mapping"),
    ("STUN_SERVER", "nat", "stun_server"),
    ("MEDIA_PORT", "portunus", "udp_port"),
    ("RTP_PORT_RANGE", "media", "rtp_port_range"),
    ("ADMIN_SECRET", "general", "admin_secret"),
    ("LOG_LEVEL", "general", "debug_level"),
    ("ALLOW_DEMO_SECRETS", "portunus", "allow_demo_secrets"),
];

/// The variables of a key: `PORTUNUS_<SECTION>_<KEY>`, with the file's name for the section in files other than
/// `janus.jcfg`. There our own section may be left out.
pub(super) fn variables(table: &Table, key: &Key) -> Vec<String> {
    let section = table.variable.unwrap_or(key.section);
    let full = format!("PORTUNUS_{section}_{}", key.name).to_ascii_uppercase();
    match (key.section, table.variable) {
        ("portunus", None) => vec![format!("PORTUNUS_{}", key.name).to_ascii_uppercase(), full],
        _ => vec![full],
    }
}

/// Lays the environment over the document of `table`. Empty variables count as unset. A key that Janus reads in
/// two sections is set in both.
pub(super) fn environment(
    document: &mut Document,
    table: &Table,
    env: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<Problem>,
) {
    let env = |name: &str| env(name).filter(|text| !text.trim().is_empty());
    let place = |name: &str| Place::of(&format!("environment {name}"));
    if table.variable.is_none() {
        for &(name, section, key) in SHORT_NAMES {
            let Some(text) = env(name) else { continue };
            match name {
                "STUN_SERVER" => stun_server(document, &text, &place(name), problems),
                "MEDIA_PORT" => {
                    put(document, section, key, &text, &place(name), problems);
                    put(document, section, "single_port", "true", &place(name), problems);
                }
                _ => put(document, section, key, &text, &place(name), problems),
            }
        }
        stunner(document, &env, problems);
    }
    for key in table.keys {
        // The shorter of two spellings comes last and wins.
        for name in variables(table, key).into_iter().rev() {
            if let Some(text) = env(&name) {
                put(document, key.section, key.name, &text, &place(&name), problems);
            }
        }
    }
}

/// Lays the options over the document of `janus.jcfg`.
pub(super) fn options(document: &mut Document, flags: &Flags, problems: &mut Vec<Problem>) {
    for (option, section, key, text) in texts(flags) {
        if let Some(text) = text {
            put(document, section, key, text, &Place::of(&format!("option {option}")), problems);
        }
    }
    for (option, section, key, given, value) in switches(flags) {
        if given {
            let value = if value { "true" } else { "false" };
            put(document, section, key, value, &Place::of(&format!("option {option}")), problems);
        }
    }
    if let Some(text) = &flags.stun_server {
        stun_server(document, text, &Place::of("option --stun-server"), problems);
    }
    for word in &flags.rest {
        let message = format!("`{word}` is no option and is ignored");
        problems.push(Problem::of("command line", Severity::Warning, Kind::Unknown, message));
    }
}

type TextOption<'f> = (&'static str, &'static str, &'static str, Option<&'f str>);

fn texts(flags: &Flags) -> Vec<TextOption<'_>> {
    vec![
        ("--pid-file", "general", "pid_file", flags.pid_file.as_deref()),
        ("--log-file", "general", "log_to_file", flags.log_file.as_deref()),
        ("--log-rotate-sig", "general", "log_rotate_sig", flags.log_rotate_sig.as_deref()),
        (
            "--check-openfiles-limits",
            "general",
            "check_openfiles_limit",
            flags.check_openfiles_limits.as_deref(),
        ),
        ("--interface", "general", "interface", flags.interface.as_deref()),
        ("--plugins-folder", "general", "plugins_folder", flags.plugins_folder.as_deref()),
        ("--configs-folder", "general", "configs_folder", flags.configs_folder.as_deref()),
        ("--cert-pem", "certificates", "cert_pem", flags.cert_pem.as_deref()),
        ("--cert-key", "certificates", "cert_key", flags.cert_key.as_deref()),
        ("--cert-pwd", "certificates", "cert_pwd", flags.cert_pwd.as_ref().map(super::Secret::expose)),
        ("--nat-1-1", "nat", "nat_1_1_mapping", flags.nat_1_1.as_deref()),
        ("--ice-enforce-list", "nat", "ice_enforce_list", flags.ice_enforce_list.as_deref()),
        ("--ice-ignore-list", "nat", "ice_ignore_list", flags.ice_ignore_list.as_deref()),
        ("--trickle-hold-ms", "nat", "trickle_hold_ms", flags.trickle_hold_ms.as_deref()),
        ("--trickle-delay-ms", "nat", "trickle_delay_ms", flags.trickle_delay_ms.as_deref()),
        ("--min-nack-queue", "media", "min_nack_queue", flags.min_nack_queue.as_deref()),
        ("--no-media-timer", "media", "no_media_timer", flags.no_media_timer.as_deref()),
        ("--slowlink-threshold", "media", "slowlink_threshold", flags.slowlink_threshold.as_deref()),
        ("--rtp-port-range", "media", "rtp_port_range", flags.rtp_port_range.as_deref()),
        ("--twcc-period", "media", "twcc_period", flags.twcc_period.as_deref()),
        ("--server-name", "general", "server_name", flags.server_name.as_deref()),
        ("--session-timeout", "general", "session_timeout", flags.session_timeout.as_deref()),
        (
            "--reclaim-session-timeout",
            "general",
            "reclaim_session_timeout",
            flags.reclaim_session_timeout.as_deref(),
        ),
        ("--debug-level", "general", "debug_level", flags.debug_level.as_deref()),
        ("--apisecret", "general", "api_secret", flags.apisecret.as_ref().map(super::Secret::expose)),
        (
            "--token-auth-secret",
            "general",
            "token_auth_secret",
            flags.token_auth_secret.as_ref().map(super::Secret::expose),
        ),
    ]
}

type Switch = (&'static str, &'static str, &'static str, bool, bool);

/// Option, section, key, whether it was given, and what it sets.
fn switches(flags: &Flags) -> [Switch; 15] {
    [
        ("--daemon", "general", "daemonize", flags.daemon, true),
        ("--disable-stdout", "general", "log_to_stdout", flags.disable_stdout, false),
        ("--log-stdout", "general", "log_to_stdout", flags.log_stdout, true),
        ("--keep-private-host", "nat", "keep_private_host", flags.keep_private_host, true),
        ("--ipv6-candidates", "media", "ipv6", flags.ipv6_candidates, true),
        ("--ipv6-link-local", "media", "ipv6_linklocal", flags.ipv6_link_local, true),
        ("--full-trickle", "nat", "full_trickle", flags.full_trickle, true),
        ("--ice-lite", "nat", "ice_lite", flags.ice_lite, true),
        ("--ice-tcp", "nat", "ice_tcp", flags.ice_tcp, true),
        ("--debug-timestamps", "general", "debug_timestamps", flags.debug_timestamps, true),
        ("--disable-colors", "general", "debug_colors", flags.disable_colors, false),
        ("--debug-locks", "general", "debug_locks", flags.debug_locks, true),
        ("--token-auth", "general", "token_auth", flags.token_auth, true),
        ("--event-handlers", "events", "broadcast", flags.event_handlers, true),
        ("--no-webrtc-encryption", "general", "no_webrtc_encryption", flags.no_webrtc_encryption, true),
    ]
}

/// Where STUNner's authentication service listens unless told otherwise.
const STUNNER_PORT: &str = "8088";

/// The names that STUNner's own library reads. A port alone means nothing: Kubernetes sets `STUNNER_AUTH_PORT`, to a
/// `tcp://…` address, in every pod beside a Service `stunner-auth`.
fn stunner(document: &mut Document, env: &dyn Fn(&str) -> Option<String>, problems: &mut Vec<Problem>) {
    let section = "ice_servers";
    let place = |name: &str| Place::of(&format!("environment {name}"));
    let address = env("STUNNER_AUTH_ADDR");
    if let Some(host) = &address {
        let port = env("STUNNER_AUTH_PORT").unwrap_or_else(|| STUNNER_PORT.to_owned());
        let port = port.rsplit(':').next().unwrap_or_default().trim();
        let host = host.trim();
        let host =
            if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
        let url = format!("http://{host}:{port}/ice?service=turn");
        put(document, section, "auth_service", &url, &place("STUNNER_AUTH_ADDR"), problems);
    }
    let in_file =
        document.section(section).and_then(|s| s.get("auth_service")).and_then(|s| s.value.as_text());
    let named = in_file.is_some_and(|text| !text.trim().is_empty());
    if !named && env("PORTUNUS_ICE_SERVERS_AUTH_SERVICE").is_none() {
        return;
    }
    for (name, key) in [
        ("STUNNER_NAMESPACE", "auth_namespace"),
        ("STUNNER_GATEWAY", "auth_gateway"),
        ("STUNNER_LISTENER", "auth_listener"),
    ] {
        if let Some(text) = env(name) {
            put(document, section, key, text.trim(), &place(name), problems);
        }
    }
}

/// `host:port`, the port being optional.
fn stun_server(document: &mut Document, text: &str, place: &Place, problems: &mut Vec<Problem>) {
    let (host, port) = host_and_port(text.trim());
    put(document, "nat", "stun_server", host, place, problems);
    if let Some(port) = port {
        put(document, "nat", "stun_port", port, place, problems);
    }
}

fn put(
    document: &mut Document,
    section: &str,
    key: &str,
    text: &str,
    place: &Place,
    problems: &mut Vec<Problem>,
) {
    if let Err(error) = document.set(section, key, Value::from(text), place.clone()) {
        problems.push(error.into());
    }
}
