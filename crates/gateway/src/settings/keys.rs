//! Every key we know, and what becomes of it. A feature that arrives turns its line from `later` to `used`.
//!
//! The environment is read by this table too: one variable a line.

use portunus_jcfg::{Kind, Reader, Section, Severity, Value, text_is_true};

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It does what Janus' key does.
    Used,
    /// Its feature does not exist yet: a warning when it is set to something else than `default`.
    Later { default: &'static str, what: &'static str },
    /// It can have no meaning here: a note when it is set to something else than `default`.
    NoEffect { default: &'static str, why: &'static str },
    /// It can have no meaning here and every sample sets it: not a word.
    Silent,
}

/// A key of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) standing: Standing,
}

const fn used(section: &'static str, name: &'static str) -> Key {
    Key { section, name, standing: Standing::Used }
}

const fn later(section: &'static str, name: &'static str, default: &'static str, what: &'static str) -> Key {
    Key { section, name, standing: Standing::Later { default, what } }
}

const fn no_effect(
    section: &'static str,
    name: &'static str,
    default: &'static str,
    why: &'static str,
) -> Key {
    Key { section, name, standing: Standing::NoEffect { default, why } }
}

const fn silent(section: &'static str, name: &'static str) -> Key {
    Key { section, name, standing: Standing::Silent }
}

const TLS_CIPHERS: &str = "the TLS cipher suites are the library's modern ones";
const MQTT_TLS: &str = "MQTT over TLS";
const LAST_WILL: &str = "the broker is left `disconnect_status` as last will";

/// A file with its keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    /// Its name without the ending.
    pub(super) file: &'static str,
    /// What stands for the section in names of the environment; `None`: the section itself.
    pub(super) variable: Option<&'static str>,
    pub(super) keys: &'static [Key],
}

pub(super) const JANUS: Table = Table { file: "janus", variable: None, keys: JANUS_KEYS };
pub(super) const HTTP: Table =
    Table { file: "janus.transport.http", variable: Some("HTTP"), keys: HTTP_KEYS };
pub(super) const WEBSOCKETS: Table =
    Table { file: "janus.transport.websockets", variable: Some("WEBSOCKETS"), keys: WEBSOCKETS_KEYS };
pub(super) const PFUNIX: Table =
    Table { file: "janus.transport.pfunix", variable: Some("PFUNIX"), keys: PFUNIX_KEYS };
pub(super) const ECHOTEST: Table =
    Table { file: "janus.plugin.echotest", variable: Some("ECHOTEST"), keys: ECHOTEST_KEYS };
pub(super) const VIDEOCALL: Table =
    Table { file: "janus.plugin.videocall", variable: Some("VIDEOCALL"), keys: VIDEOCALL_KEYS };
pub(super) const VIDEOROOM: Table =
    Table { file: "janus.plugin.videoroom", variable: Some("VIDEOROOM"), keys: VIDEOROOM_KEYS };
pub(super) const SAMPLEEVH: Table =
    Table { file: "janus.eventhandler.sampleevh", variable: Some("SAMPLEEVH"), keys: SAMPLEEVH_KEYS };
pub(super) const WSEVH: Table =
    Table { file: "janus.eventhandler.wsevh", variable: Some("WSEVH"), keys: WSEVH_KEYS };
pub(super) const GELFEVH: Table =
    Table { file: "janus.eventhandler.gelfevh", variable: Some("GELFEVH"), keys: GELFEVH_KEYS };
pub(super) const MQTTEVH: Table =
    Table { file: "janus.eventhandler.mqttevh", variable: Some("MQTTEVH"), keys: MQTTEVH_KEYS };
/// The modules that are built, with files of their own.
pub(super) const BUILT: [Table; 10] =
    [HTTP, WEBSOCKETS, PFUNIX, ECHOTEST, VIDEOCALL, VIDEOROOM, SAMPLEEVH, WSEVH, GELFEVH, MQTTEVH];
/// All of them.
pub(super) const TABLES: [Table; 11] =
    [JANUS, HTTP, WEBSOCKETS, PFUNIX, ECHOTEST, VIDEOCALL, VIDEOROOM, SAMPLEEVH, WSEVH, GELFEVH, MQTTEVH];

const JANUS_KEYS: &[Key] = &[
    used("general", "configs_folder"),
    silent("general", "plugins_folder"),
    silent("general", "transports_folder"),
    silent("general", "events_folder"),
    silent("general", "loggers_folder"),
    used("general", "log_to_stdout"),
    used("general", "log_to_file"),
    used("general", "log_rotate_sig"),
    used("general", "debug_level"),
    used("general", "debug_timestamps"),
    used("general", "debug_colors"),
    no_effect("general", "debug_locks", "false", "there are no locks to debug"),
    used("general", "log_prefix"),
    later("general", "daemonize", "false", "going to the background; let the service manager do it"),
    used("general", "pid_file"),
    used("general", "check_openfiles_limit"),
    used("general", "api_secret"),
    used("general", "admin_secret"),
    used("general", "token_auth"),
    used("general", "token_auth_secret"),
    used("general", "interface"),
    used("general", "server_name"),
    used("general", "session_timeout"),
    used("general", "candidates_timeout"),
    used("general", "reclaim_session_timeout"),
    used("general", "recordings_tmp_ext"),
    used("general", "event_loops"),
    used("general", "allow_loop_indication"),
    no_effect("general", "task_pool_size", "0", "requests need no threads of their own"),
    used("general", "opaqueid_in_api"),
    used("general", "hide_dependencies"),
    silent("general", "exit_on_dl_error"),
    later("general", "no_webrtc_encryption", "false", "media without encryption"),
    used("general", "protected_folders"),
    used("certificates", "cert_pem"),
    used("certificates", "cert_key"),
    used("certificates", "cert_pwd"),
    used("certificates", "dtls_accept_selfsigned"),
    used("certificates", "dtls_ciphers"),
    used("certificates", "rsa_private_key"),
    used("media", "ipv6"),
    used("media", "ipv6_linklocal"),
    used("media", "min_nack_queue"),
    used("media", "rtp_port_range"),
    used("media", "dtls_mtu"),
    used("media", "no_media_timer"),
    used("media", "slowlink_threshold"),
    used("media", "twcc_period"),
    no_effect("media", "dtls_timeout", "1000", "it tunes another DTLS library"),
    used("media", "nack_optimizations"),
    used("media", "dscp"),
    used("media", "dscp_tos"),
    used("nat", "stun_server"),
    used("nat", "stun_port"),
    no_effect("nat", "nice_debug", "false", "it is about another ICE library"),
    used("nat", "full_trickle"),
    used("nat", "trickle_hold_ms"),
    used("nat", "trickle_delay_ms"),
    used("nat", "ice_lite"),
    used("nat", "ice_tcp"),
    later("nat", "ice_nomination", "aggressive", "choosing the nomination"),
    used("nat", "ice_consent_freshness"),
    later("nat", "ice_keepalive_conncheck", "false", "checks instead of keepalives"),
    used("nat", "hangup_on_failed"),
    used("nat", "ignore_mdns"),
    used("nat", "nat_1_1_mapping"),
    used("nat", "keep_private_host"),
    used("nat", "turn_server"),
    used("nat", "turn_port"),
    used("nat", "turn_type"),
    used("nat", "turn_user"),
    used("nat", "turn_pwd"),
    used("nat", "turn_rest_api"),
    used("nat", "turn_rest_api_key"),
    used("nat", "turn_rest_api_method"),
    used("nat", "turn_rest_api_timeout"),
    used("nat", "allow_force_relay"),
    used("nat", "ice_enforce_list"),
    used("nat", "ice_ignore_list"),
    no_effect("nat", "ignore_unreachable_ice_server", "false", "a silent STUN server never stops the start"),
    used("nat", "allow_loopback"),
    used("ice_servers", "urls"),
    used("ice_servers", "username"),
    used("ice_servers", "credential"),
    used("ice_servers", "secret"),
    used("ice_servers", "user"),
    used("ice_servers", "ttl_s"),
    used("ice_servers", "policy"),
    used("ice_servers", "auth_service"),
    used("ice_servers", "auth_namespace"),
    used("ice_servers", "auth_gateway"),
    used("ice_servers", "auth_listener"),
    used("plugins", "disable"),
    used("transports", "disable"),
    used("loggers", "disable"),
    used("events", "disable"),
    used("events", "broadcast"),
    used("events", "combine_media_stats"),
    used("events", "stats_period"),
    used("portunus", "udp_port"),
    used("portunus", "single_port"),
    used("portunus", "workers"),
    used("portunus", "stun_required"),
    used("portunus", "dtls_answer_role"),
    used("portunus", "demos_folder"),
    used("portunus", "allow_demo_secrets"),
    used("portunus", "max_sessions"),
    used("portunus", "max_handles_per_session"),
    used("portunus", "max_body_bytes"),
    used("portunus", "header_timeout_s"),
    used("portunus", "max_connections"),
    used("portunus", "max_connections_per_address"),
    used("portunus", "max_events_per_session"),
    used("portunus", "metrics_port"),
    used("portunus", "metrics_ip"),
    used("portunus", "drain_timeout_s"),
    used("portunus", "log_format"),
    used("portunus", "forward_networks"),
    used("portunus", "recordings_roots"),
    used("portunus", "recordings_fsync_s"),
    used("portunus", "recordings_page"),
    used("portunus", "recordings_password"),
    used("portunus", "recording_threads"),
    used("portunus", "captures_folder"),
    used("portunus", "turn_ca"),
    used("portunus", "gather_us"),
    used("portunus", "pad_frames"),
];

const HTTP_KEYS: &[Key] = &[
    used("general", "json"),
    used("general", "base_path"),
    used("general", "http"),
    used("general", "port"),
    used("general", "interface"),
    used("general", "ip"),
    used("general", "https"),
    used("general", "secure_port"),
    used("general", "secure_interface"),
    used("general", "secure_ip"),
    used("general", "acl"),
    used("general", "acl_forwarded"),
    used("general", "events"),
    used("general", "mhd_connection_limit"),
    no_effect("general", "mhd_debug", "false", "it is about another HTTP library"),
    // Janus reads this one here, against its own sample.
    used("general", "admin_acl_forwarded"),
    used("admin", "admin_base_path"),
    used("admin", "admin_http"),
    used("admin", "admin_port"),
    used("admin", "admin_interface"),
    used("admin", "admin_ip"),
    used("admin", "admin_https"),
    used("admin", "admin_secure_port"),
    used("admin", "admin_secure_interface"),
    used("admin", "admin_secure_ip"),
    used("admin", "admin_acl"),
    used("admin", "admin_acl_forwarded"),
    used("cors", "allow_origin"),
    used("cors", "enforce_cors"),
    used("certificates", "cert_pem"),
    used("certificates", "cert_key"),
    used("certificates", "cert_pwd"),
    no_effect("certificates", "ciphers", "", TLS_CIPHERS),
];

const WEBSOCKETS_KEYS: &[Key] = &[
    used("general", "json"),
    used("general", "ws"),
    used("general", "ws_port"),
    used("general", "ws_interface"),
    used("general", "ws_ip"),
    used("general", "ws_unix"),
    used("general", "wss"),
    used("general", "wss_port"),
    used("general", "wss_interface"),
    used("general", "wss_ip"),
    used("general", "wss_unix"),
    used("general", "ws_acl"),
    used("general", "ws_acl_forwarded"),
    no_effect("general", "ws_logging", "", "it is about another WebSocket library"),
    used("general", "pingpong_trigger"),
    used("general", "pingpong_timeout"),
    used("general", "events"),
    // Janus reads this one here, against its own sample.
    used("general", "admin_ws_acl_forwarded"),
    used("admin", "admin_ws"),
    used("admin", "admin_ws_port"),
    used("admin", "admin_ws_interface"),
    used("admin", "admin_ws_ip"),
    used("admin", "admin_ws_unix"),
    used("admin", "admin_wss"),
    used("admin", "admin_wss_port"),
    used("admin", "admin_wss_interface"),
    used("admin", "admin_wss_ip"),
    used("admin", "admin_wss_unix"),
    used("admin", "admin_ws_acl"),
    used("admin", "admin_ws_acl_forwarded"),
    used("cors", "allow_origin"),
    used("cors", "enforce_cors"),
    used("certificates", "cert_pem"),
    used("certificates", "cert_key"),
    used("certificates", "cert_pwd"),
    no_effect("certificates", "ciphers", "", TLS_CIPHERS),
];

const PFUNIX_KEYS: &[Key] = &[
    used("general", "enabled"),
    used("general", "events"),
    used("general", "json"),
    used("general", "path"),
    used("general", "type"),
    used("admin", "admin_enabled"),
    used("admin", "admin_path"),
    used("admin", "admin_type"),
];

const ECHOTEST_KEYS: &[Key] = &[used("general", "events")];

const VIDEOCALL_KEYS: &[Key] = &[used("general", "events")];

/// Without those of the rooms, which have no variables.
const VIDEOROOM_KEYS: &[Key] = &[
    used("general", "admin_key"),
    used("general", "lock_rtp_forward"),
    used("general", "events"),
    used("general", "string_ids"),
    used("portunus", "automatic_layers"),
    used("portunus", "rec_format"),
];

const SAMPLEEVH_KEYS: &[Key] = &[
    used("general", "enabled"),
    used("general", "events"),
    used("general", "grouping"),
    used("general", "json"),
    used("general", "compress"),
    used("general", "compression"),
    used("general", "backend"),
    used("general", "backend_user"),
    used("general", "backend_pwd"),
    used("general", "max_retransmissions"),
    used("general", "retransmissions_backoff"),
];

const WSEVH_KEYS: &[Key] = &[
    used("general", "enabled"),
    used("general", "events"),
    used("general", "grouping"),
    used("general", "json"),
    used("general", "backend"),
    used("general", "subprotocol"),
    used("general", "events_cap_on_reconnect"),
    no_effect("general", "ws_logging", "", "it is about another WebSocket library"),
];

const GELFEVH_KEYS: &[Key] = &[
    used("general", "enabled"),
    used("general", "events"),
    used("general", "backend"),
    used("general", "port"),
    used("general", "protocol"),
    used("general", "max_message_len"),
    used("general", "compress"),
    used("general", "compression"),
];

const MQTTEVH_KEYS: &[Key] = &[
    used("general", "enabled"),
    used("general", "events"),
    used("general", "json"),
    used("general", "url"),
    no_effect("general", "mqtt_version", "3.1.1", "the MQTT client speaks 3.1.1"),
    used("general", "client_id"),
    used("general", "keep_alive_interval"),
    used("general", "cleansession"),
    used("general", "retain"),
    used("general", "qos"),
    no_effect("general", "disconnect_timeout", "100", "a second is given to say good-bye"),
    used("general", "username"),
    used("general", "password"),
    used("general", "topic"),
    used("general", "addevent"),
    used("general", "connect_status"),
    used("general", "disconnect_status"),
    later("general", "will_enabled", "false", "a last will other than `disconnect_status`"),
    no_effect("general", "will_retain", "", LAST_WILL),
    no_effect("general", "will_qos", "", LAST_WILL),
    no_effect("general", "add_user_properties", "", "the MQTT client speaks 3.1.1, which has none"),
    later("general", "tls_enable", "false", MQTT_TLS),
    later("general", "ssl_enabled", "false", MQTT_TLS),
    no_effect("general", "tls_verify_peer", "", MQTT_TLS),
    no_effect("general", "tls_verify_hostname", "", MQTT_TLS),
    no_effect("general", "tls_cacert", "", MQTT_TLS),
    no_effect("general", "tls_client_cert", "", MQTT_TLS),
    no_effect("general", "tls_client_key", "", MQTT_TLS),
    no_effect("general", "tls_ciphers", "", MQTT_TLS),
    no_effect("general", "tls_version", "", MQTT_TLS),
];

impl Table {
    /// Opens a section: all its keys count as known, and those that do nothing have their say.
    pub(super) fn open<'r>(&self, reader: &'r Reader<'r>, name: &str) -> Section<'r> {
        let mut section = reader.section(name);
        for key in self.keys.iter().filter(|key| key.section == name) {
            let Some(value) = section.get(key.name).map(|setting| setting.value.clone()) else { continue };
            match key.standing {
                Standing::Later { default, what } if differs(&value, default) => {
                    let message = format!("is not supported yet: {what}");
                    section.report(key.name, Severity::Warning, Kind::NotSupported, message);
                }
                Standing::NoEffect { default, why } if differs(&value, default) => {
                    let message = format!("has no effect: {why}");
                    section.report(key.name, Severity::Note, Kind::NotSupported, message);
                }
                _ => {}
            }
        }
        section
    }
}

/// Whether a value asks for something else than the default. An empty text asks for nothing.
fn differs(value: &Value, default: &str) -> bool {
    let Some(text) = value.as_text() else { return true };
    match default {
        "true" | "false" => text_is_true(&text) != (default == "true"),
        _ => !text.trim().is_empty() && !text.trim().eq_ignore_ascii_case(default),
    }
}
