//! `info`: what the server tells of itself, in Janus' order.

use crate::Settings;
use portunus_api::{Object, Value, reply};
use portunus_plugin::{About, Plugin};
use serde_json::json;
use std::net::IpAddr;

/// The Janus API level we speak: what clients compare.
const API_VERSION: u32 = 1402;
const API_VERSION_STRING: &str = "1.4.2";

/// A transport, event handler or logger as `info` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleInfo {
    /// `janus.transport.http`
    pub package: String,
    /// Its name.
    pub name: String,
    /// Who wrote it.
    pub author: String,
    /// One line.
    pub description: String,
    /// Version as text.
    pub version_string: String,
    /// Version as a number.
    pub version: u32,
}

/// What `info` tells of things the core does not own.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    /// Our own version.
    pub version: String,
    /// The commit we were built from.
    pub commit: String,
    /// When we were built.
    pub compile_time: String,
    /// `log_to_stdout`
    pub log_to_stdout: bool,
    /// The log file, if there is one.
    pub log_path: Option<String>,
    /// Data channels are there.
    pub data_channels: bool,
    /// `server_name`
    pub server_name: String,
    /// The address in our descriptions.
    pub local_ip: IpAddr,
    /// `nat_1_1_mapping`
    pub public_ips: Vec<IpAddr>,
    /// `ipv6`
    pub ipv6: bool,
    /// `ipv6_linklocal`; told only with `ipv6`.
    pub ipv6_link_local: bool,
    /// `ice_lite`
    pub ice_lite: bool,
    /// `ice_tcp`
    pub ice_tcp: bool,
    /// `ice_nomination`
    pub ice_nomination: String,
    /// Consent freshness as it is in effect.
    pub ice_consent_freshness: bool,
    /// `ice_keepalive_conncheck`
    pub ice_keepalive_conncheck: bool,
    /// `hangup_on_failed`
    pub hangup_on_failed: bool,
    /// mDNS candidates are resolved.
    pub mdns: bool,
    /// `min_nack_queue`, milliseconds.
    pub min_nack_queue: u32,
    /// `nack_optimizations`
    pub nack_optimizations: bool,
    /// `twcc_period`, milliseconds.
    pub twcc_period: u32,
    /// `dscp`
    pub dscp: Option<u32>,
    /// `dtls_mtu`
    pub dtls_mtu: u32,
    /// `ip:port`
    pub stun_server: Option<String>,
    /// `ip:port`
    pub turn_server: Option<String>,
    /// `event_loops`
    pub static_event_loops: u32,
    /// Clients are told their ICE servers at `BASE/ice-servers`; told only when on.
    pub ice_servers: bool,
    /// Media is encrypted; told only when it is not.
    pub webrtc_encryption: bool,
    /// Names and versions of libraries; `None` with `hide_dependencies`.
    pub dependencies: Option<Vec<(String, String)>>,
    /// Transports.
    pub transports: Vec<ModuleInfo>,
    /// Event handlers.
    pub events: Vec<ModuleInfo>,
    /// Loggers.
    pub loggers: Vec<ModuleInfo>,
}

impl Default for ServerInfo {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: "unknown".to_owned(),
            compile_time: "unknown".to_owned(),
            log_to_stdout: true,
            log_path: None,
            data_channels: true,
            server_name: "MyJanusInstance".to_owned(),
            local_ip: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            public_ips: Vec::new(),
            ipv6: false,
            ipv6_link_local: false,
            ice_lite: false,
            ice_tcp: false,
            ice_nomination: "aggressive".to_owned(),
            ice_consent_freshness: true,
            ice_keepalive_conncheck: false,
            hangup_on_failed: false,
            mdns: true,
            min_nack_queue: 200,
            nack_optimizations: false,
            twcc_period: 200,
            dscp: None,
            dtls_mtu: 1200,
            stun_server: None,
            turn_server: None,
            static_event_loops: 0,
            ice_servers: false,
            webrtc_encryption: true,
            dependencies: Some(Vec::new()),
            transports: Vec::new(),
            events: Vec::new(),
            loggers: Vec::new(),
        }
    }
}

/// The reply to `info`; without a transaction, what event handlers are told at the start.
pub(crate) fn server_info(
    settings: &Settings,
    accepting: bool,
    plugins: &[Box<dyn Plugin>],
    transaction: Option<&str>,
) -> Value {
    let mut o = reply::envelope("server_info", 0, transaction);
    general(&mut o, settings, accepting);
    network(&mut o, settings);
    let info = &settings.info;
    put(&mut o, "api_secret", settings.api_secret.is_some());
    put(&mut o, "auth_token", settings.token_auth);
    put(&mut o, "event_handlers", settings.broadcast);
    put(&mut o, "opaqueid_in_api", settings.opaqueid_in_api);
    if !info.webrtc_encryption {
        put(&mut o, "webrtc_encryption", false);
    }
    if let Some(dependencies) = &info.dependencies {
        let list: Object = dependencies.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
        put(&mut o, "dependencies", list);
    }
    put(&mut o, "transports", modules(&info.transports));
    put(&mut o, "events", modules(&info.events));
    put(&mut o, "loggers", modules(&info.loggers));
    put(&mut o, "plugins", plugin_list(plugins));
    let mut ours = Object::new();
    put(&mut ours, "version", info.version.as_str());
    put(&mut ours, "commit", info.commit.as_str());
    if info.ice_servers {
        put(&mut ours, "ice-servers", true);
    }
    put(&mut o, "portunus", ours);
    o.into()
}

fn general(o: &mut Object, settings: &Settings, accepting: bool) {
    let info = &settings.info;
    put(o, "name", "Portunus");
    put(o, "version", API_VERSION);
    put(o, "version_string", API_VERSION_STRING);
    put(o, "author", "The Portunus authors");
    put(o, "commit-hash", info.commit.as_str());
    put(o, "compile-time", info.compile_time.as_str());
    put(o, "log-to-stdout", info.log_to_stdout);
    put(o, "log-to-file", info.log_path.is_some());
    if let Some(path) = &info.log_path {
        put(o, "log-path", path.as_str());
    }
    put(o, "data_channels", info.data_channels);
    put(o, "accepting-new-sessions", accepting);
    put(o, "session-timeout", settings.session_timeout.as_secs());
    put(o, "reclaim-session-timeout", settings.reclaim_session_timeout.as_secs());
    put(o, "candidates-timeout", settings.candidates_timeout.as_secs());
}

fn network(o: &mut Object, settings: &Settings) {
    let info = &settings.info;
    put(o, "server-name", info.server_name.as_str());
    put(o, "local-ip", info.local_ip.to_string());
    if let Some(first) = info.public_ips.first() {
        put(o, "public-ip", first.to_string());
    }
    if info.public_ips.len() > 1 {
        let all: Vec<_> = info.public_ips.iter().map(IpAddr::to_string).collect();
        put(o, "public-ips", all);
    }
    put(o, "ipv6", info.ipv6);
    if info.ipv6 {
        put(o, "ipv6-link-local", info.ipv6_link_local);
    }
    put(o, "ice-lite", info.ice_lite);
    put(o, "ice-tcp", info.ice_tcp);
    put(o, "ice-nomination", info.ice_nomination.as_str());
    put(o, "ice-consent-freshness", info.ice_consent_freshness);
    put(o, "ice-keepalive-conncheck", info.ice_keepalive_conncheck);
    put(o, "hangup-on-failed", info.hangup_on_failed);
    put(o, "full-trickle", settings.full_trickle);
    put(o, "mdns-enabled", info.mdns);
    put(o, "min-nack-queue", info.min_nack_queue);
    put(o, "nack-optimizations", info.nack_optimizations);
    put(o, "twcc-period", info.twcc_period);
    if let Some(dscp) = info.dscp {
        put(o, "dscp", dscp);
    }
    put(o, "dtls-mtu", info.dtls_mtu);
    if let Some(server) = &info.stun_server {
        put(o, "stun-server", server.as_str());
    }
    if let Some(server) = &info.turn_server {
        put(o, "turn-server", server.as_str());
    }
    if settings.allow_force_relay {
        put(o, "allow-force-relay", true);
    }
    put(o, "static-event-loops", info.static_event_loops);
    if info.static_event_loops > 0 {
        put(o, "loop-indication", settings.allow_loop_indication);
    }
}

fn plugin_list(plugins: &[Box<dyn Plugin>]) -> Object {
    let entry = |a: About| {
        let about = json!({
            "name": a.name, "author": a.author, "description": a.description,
            "version_string": a.version_string, "version": a.version,
        });
        (a.package.to_owned(), about)
    };
    plugins.iter().map(|p| entry(p.about())).collect()
}

fn modules(list: &[ModuleInfo]) -> Object {
    let entry = |m: &ModuleInfo| {
        let about = json!({
            "name": m.name, "author": m.author, "description": m.description,
            "version_string": m.version_string, "version": m.version,
        });
        (m.package.clone(), about)
    };
    list.iter().map(entry).collect()
}

fn put(o: &mut Object, name: &str, value: impl Into<Value>) {
    o.insert(name.to_owned(), value.into());
}
