//! Keys become typed values; what is doubtful or dangerous is told.

use super::*;
use crate::settings::listener::JsonFormat;
use std::net::IpAddr;
use std::time::Duration;

#[test]
fn defaults_are_those_of_janus_and_ours() {
    let settings = Start::default().settings();
    let general = &settings.general;
    assert_eq!(general.session_timeout, Duration::from_secs(60));
    assert_eq!(general.candidates_timeout, Duration::from_secs(45));
    assert_eq!(general.reclaim_session_timeout, Duration::ZERO);
    assert_eq!((general.log.level, general.log.to_stdout, general.log.colors), (4, true, true));
    assert!(general.api_secret.is_none() && general.admin_secret.is_none() && !general.token_auth);
    assert_eq!(settings.media.min_nack_queue, Duration::from_millis(200));
    assert_eq!(settings.media.twcc_period, Duration::from_millis(200));
    assert_eq!((settings.media.dtls_mtu, settings.media.rtp_port_range.clone()), (1200, None));
    assert_eq!(settings.nat.ice_ignore_list, ["vmnet"]);
    assert!(settings.nat.ice_consent_freshness && !settings.nat.allow_loopback);
    assert_eq!((settings.portunus.udp_port, settings.portunus.workers), (10_000, 0));
    assert_eq!(settings.portunus.dtls_answer_role, DtlsRole::Active);
    assert_eq!((settings.portunus.max_body_bytes, settings.portunus.max_events_per_session), (1 << 20, 1000));
    let listener = |port| Some(Listener { port, ip: None, interface: None, unix: None });
    assert_eq!(settings.http.api.plain, listener(8088));
    assert_eq!(settings.websockets.api.plain, listener(8188));
    assert!(settings.http.api.secure.is_none() && settings.websockets.api.secure.is_none());
    assert!(!settings.http.admin.is_on() && !settings.websockets.admin.is_on());
    assert_eq!((settings.http.connections, settings.websockets.connections), (1020, 32_768));
    assert_eq!(settings.http.json, JsonFormat::Compact);
    assert_eq!(
        (settings.http.api.base_path.as_str(), settings.http.admin.base_path.as_str()),
        ("/janus", "/admin")
    );
    assert!(settings.echotest.enabled && settings.echotest.events);
    let videoroom = &settings.videoroom;
    assert!(
        videoroom.enabled && videoroom.events && videoroom.automatic_layers && videoroom.rooms.is_empty()
    );
    assert!(videoroom.admin_key.is_none() && !videoroom.lock_rtp_forward && !videoroom.string_ids);
}

#[test]
fn listeners_certificates_and_lists_are_typed() {
    let settings = Start::default()
        .file(
            "janus.transport.http.jcfg",
            "general: { json = \"Plain\"; https = true; secure_ip = \"::1\"; interface = \"eth0\"; acl = \"127.,10.\";
               acl_forwarded = true; mhd_connection_limit = 5; admin_acl_forwarded = true }
             admin: { admin_http = true; admin_ip = \"192.0.2.1\"; admin_base_path = \"/boss\" }
             cors: { allow_origin = \"https://x.example\"; enforce_cors = true }
             certificates: { cert_pem = \"/c.pem\" }",
        )
        .file(
            "janus.transport.websockets.jcfg",
            "general: { wss = true; wss_port = 1; pingpong_trigger = 30; pingpong_timeout = 10 }
             certificates: { cert_pem = \"/c.pem\"; cert_key = \"/k.pem\" }",
        )
        .janus("general: { admin_secret = \"own\" }")
        .settings();
    let http = &settings.http;
    assert_eq!(http.json, JsonFormat::Plain);
    assert_eq!(http.api.plain.as_ref().and_then(|l| l.interface.as_deref()), Some("eth0"));
    assert_eq!(
        http.api.secure,
        Some(Listener { port: 8089, ip: "::1".parse().ok(), interface: None, unix: None })
    );
    assert_eq!(
        (&http.api.acl[..], http.api.acl_forwarded),
        (&["127.".to_owned(), "10.".to_owned()][..], true)
    );
    assert!(http.admin.acl_forwarded && http.admin.secure.is_none());
    assert_eq!(http.admin.plain.as_ref().and_then(|l| l.ip), Some(IpAddr::from([192, 0, 2, 1])));
    assert_eq!((http.admin.base_path.as_str(), http.connections), ("/boss", 5));
    assert_eq!(http.cors, Cors { allow_origin: Some("https://x.example".into()), enforce: true });
    let files = CertificateFiles { pem: "/c.pem".into(), key: "/c.pem".into(), password: None };
    assert_eq!(http.certificate, Some(files));
    let websockets = &settings.websockets;
    assert_eq!(websockets.api.secure.as_ref().map(|l| l.port), Some(1));
    assert_eq!(websockets.certificate.as_ref().map(|c| c.key.clone()), Some("/k.pem".into()));
    let (trigger, timeout) = (Duration::from_secs(30), Duration::from_secs(10));
    assert_eq!(websockets.ping_pong, Some(PingPong { trigger, timeout }));
}

#[test]
fn workers_ports_and_limits_fit_together() {
    let portunus = |text: &str| Start::default().janus(text).settings().portunus;
    assert_eq!(portunus("general: { event_loops = 4 }").workers, 4);
    assert_eq!(portunus("general: { event_loops = 4 } portunus: { workers = 2 }").workers, 2);
    let settings = Start::default().janus("portunus: { max_connections = 7 }").settings();
    assert_eq!((settings.http.connections, settings.websockets.connections), (7, 7));
    for text in [
        "udp_port = 65535; workers = 2",
        "single_port = true; udp_port = 0",
        "dtls_answer_role = \"actpass\"",
    ] {
        assert_eq!(Start::default().janus(&format!("portunus: {{ {text} }}")).bad().len(), 1, "{text}");
    }
    assert_eq!(portunus("portunus: { udp_port = 65535; workers = 1 }").udp_port, 65535);
}

#[test]
fn our_ports_asked_for_by_name_win_over_the_range() {
    let range = |ours: &str| {
        let text = format!("media: {{ rtp_port_range = \"20000-30000\" }} {ours}");
        Start::default().janus(&text).settings().media.rtp_port_range
    };
    assert_eq!(range(""), Some(20000..=30000));
    assert_eq!(range("portunus: { workers = 2; single_port = false }"), Some(20000..=30000));
    assert_eq!(range("portunus: { udp_port = 10000 }"), None);
    assert_eq!(range("portunus: { single_port = true }"), None);
}

#[test]
fn what_shows_recordings_is_off_and_its_doubts_are_told() {
    let off = Start::default().settings().portunus.recordings;
    assert!(!off.page && off.password.is_none());
    let roots = "recordings_roots = [ \"/srv/calls\" ]";
    for (text, page, password, warning) in [
        ("recordings_page = true; recordings_password = \"x\"", true, true, Some("set `recordings_roots`")),
        ("recordings_page = true; recordings_password = \"x\"; ROOTS", true, true, None),
        ("recordings_page = true; ROOTS", true, false, None),
        ("recordings_page = true; recordings_password = \" \"; ROOTS", true, false, Some("is empty")),
        ("recordings_password = \"x\"", false, true, Some("protects nothing")),
    ] {
        let text = format!("portunus: {{ {} }}", text.replace("ROOTS", roots));
        let (settings, warnings) = Start::default().janus(&text).good();
        let recordings = settings.portunus.recordings;
        assert_eq!((recordings.page, recordings.password.is_some()), (page, password), "{text}");
        assert_eq!(warnings.len(), usize::from(warning.is_some()), "{text}: {warnings:?}");
        assert!(warnings.iter().zip(warning).all(|(said, wanted)| said.contains(wanted)), "{warnings:?}");
    }
}

#[test]
fn recordings_are_shown_where_nothing_else_is() {
    let janus = "portunus: {\n recordings_page = true; recordings_roots = [ \"/srv\" ] }";
    let with = |http: &str| Start::default().janus(janus).file("janus.transport.http.jcfg", http);
    for base in ["/recordings", "/Recordings/api"] {
        let errors = with(&format!("general: {{ base_path = \"{base}\" }}")).bad();
        assert!(errors[0].starts_with("janus.jcfg:2: error: `portunus.recordings_page` is at /recordings"));
    }
    assert!(with("general: { base_path = \"/\" }").good().1.is_empty());
    let (_, warnings) = with("general: { http = false }").good();
    assert!(warnings[0].ends_with("shows nothing: HTTP is off"), "{warnings:?}");
}

#[test]
fn bad_values_are_errors_at_their_line() {
    let table = [
        (
            "general: {\n debug_level = \"loud\" }",
            "janus.jcfg:2: error: `general.debug_level` must be a number from 0 to 7",
        ),
        (
            "nat: {\n nat_1_1_mapping = \"1.2.3\" }",
            "janus.jcfg:2: error: `nat.nat_1_1_mapping` must be an IP address, not `1.2.3`",
        ),
        (
            "nat: {\n turn_user = \"u\"; turn_pwd = \"p\"; turn_server = \"a\"\n turn_type = \"dtls\" }",
            "janus.jcfg:3: error: `nat.turn_type` must be one of udp, tcp, tls, not `dtls`",
        ),
        (
            "nat: {\n turn_user = \"u\"; turn_pwd = \"p\"; turn_server = \"a\"\n turn_port = 0 }",
            "janus.jcfg:3: error: `nat.turn_port` must be a whole number from 1 to 65535, not `0`",
        ),
        (
            "nat: {\n turn_user = \"u\"; turn_pwd = \"p\"; turn_server = \"a:1\" }",
            "janus.jcfg:2: error: `nat.turn_server` takes a host without a port",
        ),
        (
            "nat: {\n stun_server = \"a:1\" }",
            "janus.jcfg:2: error: `nat.stun_server` takes a host without a port",
        ),
        (
            "media: {\n twcc_period = 0 }",
            "janus.jcfg:2: error: `media.twcc_period` must be a whole number from 10 to 10000, not `0`",
        ),
        (
            "media: {\n dscp_tos = 64 }",
            "janus.jcfg:2: error: `media.dscp_tos` must be a whole number from 0 to 63, not `64`",
        ),
        ("media = 5", "janus.jcfg:1: error: `media` must be a group { }"),
        (
            "certificates: {\n cert_key = \"x\" }",
            "janus.jcfg:2: error: `certificates.cert_key` is a key without its certificate",
        ),
    ];
    for (text, wanted) in table {
        let problems = Start::default().janus(text).bad();
        assert!(problems.len() == 1 && problems[0].starts_with(wanted), "{problems:?}");
    }
    let http = Start::default().file(
        "janus.transport.http.jcfg",
        "general: { base_path = \"janus\"; ip = \"eth0\"; json = \"pretty\" }",
    );
    assert_eq!(http.bad().len(), 3);
}

#[test]
fn a_turn_server_that_will_not_help_is_a_warning() {
    let table = [
        (
            "nat: {\n turn_server = \"x\"\n turn_port = 1 }",
            "janus.jcfg:2: warning: `nat.turn_server` has no `turn_user` and `turn_pwd`: nearly every TURN server asks for them",
        ),
        (
            "nat: {\n turn_server = \"x\"\n turn_user = \"me\" }",
            "janus.jcfg:3: warning: `nat.turn_user` is there, and `turn_pwd` is not",
        ),
        (
            "nat: {\n ice_lite = true; turn_server = \"x\"; turn_user = \"me\"; turn_pwd = \"pw\" }",
            "janus.jcfg:2: warning: `nat.turn_server` is not used with `ice_lite`, which has no relay candidates",
        ),
    ];
    for (text, wanted) in table {
        assert_eq!(Start::default().janus(text).good().1, [wanted], "{text}");
    }
}

#[test]
fn what_will_not_do_what_it_says_is_a_warning() {
    let table = [
        (
            "janus.jcfg",
            "nat: {\n ice_lite = \"on\" }",
            "janus.jcfg:2: warning: `nat.ice_lite` `on` counts as false: only true, yes and 1 are true",
        ),
        (
            "janus.jcfg",
            "nat: {\n trickle_hold_ms = 100 }",
            "janus.jcfg:2: warning: `nat.trickle_hold_ms` has no effect without `nat.full_trickle`: candidates are in the \
             description",
        ),
        (
            "janus.jcfg",
            "nat: {\n trickle_hold_ms = 100; full_trickle = true; ice_lite = true }",
            "janus.jcfg:2: warning: `nat.trickle_hold_ms` has no effect with `nat.ice_lite`: no checks are sent that \
             candidates could wait for",
        ),
        (
            "janus.jcfg",
            "general: {\n api_secret = \"\" }",
            "janus.jcfg:2: warning: `general.api_secret` is empty: no secret is asked for",
        ),
        (
            "janus.jcfg",
            "nat: {\n sutn_server = \"x\" }",
            "janus.jcfg:2: warning: unknown setting `nat.sutn_server`, did you mean `stun_server`?",
        ),
        ("janus.jcfg", "natt: { }", "janus.jcfg:1: warning: unknown section `natt`, did you mean `nat`?"),
        (
            "janus.transport.http.jcfg",
            "general: {\n https = true }",
            "janus.transport.http.jcfg:2: warning: `general.https` stays off: section `certificates` names no `cert_pem`",
        ),
        (
            "janus.transport.http.jcfg",
            "cors: {\n enforce_cors = true }",
            "janus.transport.http.jcfg:2: warning: `cors.enforce_cors` has no effect without `allow_origin`",
        ),
        (
            "janus.transport.websockets.jcfg",
            "general: {\n pingpong_trigger = 3 }",
            "janus.transport.websockets.jcfg:2: warning: `general.pingpong_trigger` has no effect without `pingpong_timeout`",
        ),
        (
            "janus.plugin.echotest.jcfg",
            "general: {\n event = true }",
            "janus.plugin.echotest.jcfg:2: warning: unknown setting `general.event`, did you mean `events`?",
        ),
    ];
    for (file, text, wanted) in table {
        let (_, warnings) = Start::default().file(file, text).good();
        assert_eq!(warnings, [wanted], "{text}");
    }
    let quiet =
        "nat: { turn_server = \"\"; nice_debug = false; allow_force_relay = \"no\"; turn_type = \"UDP\" }";
    assert_eq!(Start::default().janus(quiet).good().1, Vec::<String>::new());
}

#[test]
fn the_known_admin_secret_keeps_the_admin_api_on_this_machine() {
    let admin = |text: &str| {
        Start::default().janus(&format!("general: {{ {text} }}")).file(
            "janus.transport.http.jcfg",
            "admin: { admin_http = true; admin_ip = \"192.0.2.1\"; admin_interface = \"eth0\" }",
        )
    };
    // Only what is said about the secret counts here.
    let good = |start: Start| {
        let (settings, mut warnings) = start.good();
        warnings.retain(|line| line.contains("secret"));
        (settings, warnings)
    };
    let (settings, warnings) = good(admin("admin_secret = \"janusoverlord\""));
    assert!(settings.general.admin_loopback_only);
    let bound = Listener { port: 7088, ip: Some(IpAddr::from([127, 0, 0, 1])), interface: None, unix: None };
    assert_eq!(settings.http.admin.plain, Some(bound));
    assert!(
        warnings.len() == 1 && warnings[0].starts_with("janus.jcfg:1: warning: everybody knows"),
        "{warnings:?}"
    );
    assert_eq!(settings.http.api.plain.and_then(|listener| listener.ip), None);

    let (settings, warnings) =
        good(admin("admin_secret = \"janusoverlord\"").env("ALLOW_DEMO_SECRETS", "true"));
    assert_eq!((settings.general.admin_loopback_only, warnings.len()), (false, 0));
    let (settings, warnings) = good(admin("admin_secret = \"own\""));
    assert_eq!((settings.general.admin_loopback_only, warnings.len()), (false, 0));
    assert_eq!(
        settings.http.admin.plain.and_then(|listener| listener.ip),
        Some(IpAddr::from([192, 0, 2, 1]))
    );
    let (settings, warnings) = good(admin(""));
    assert!(
        warnings.len() == 1 && warnings[0].starts_with("janus.jcfg: warning: no `general.admin_secret`"),
        "{warnings:?}"
    );
    assert_eq!(
        settings.http.admin.plain.and_then(|listener| listener.ip),
        Some(IpAddr::from([192, 0, 2, 1]))
    );
    let anywhere = Start::default().file("janus.transport.http.jcfg", "admin: { admin_http = true }");
    let (settings, _) = good(anywhere);
    let loopback = Some(IpAddr::from([127, 0, 0, 1]));
    assert_eq!(settings.http.admin.plain.and_then(|listener| listener.ip), loopback, "no secret, no address");
    // Off is safe: not even a warning.
    let (settings, warnings) = Start::default().janus("general: { admin_secret = \"janusoverlord\" }").good();
    assert_eq!((settings.general.admin_loopback_only, warnings.len()), (true, 0));
}

#[test]
fn a_gateway_that_nobody_can_use_is_refused() {
    let off = Start::default().janus("transports: { disable = \"libjanus_http.so,libjanus_websockets.so\" }");
    assert_eq!(
        off.bad(),
        [
            "janus.jcfg: error: no transport offers the Janus API: HTTP, WebSockets and Unix sockets are all off"
        ]
    );
    let start = Start::default().janus("transports: { disable = [ \"libjanus_websockets.so\" ] } plugins: { disable = \"libjanus_echotest.so\" }");
    let settings = start.settings();
    assert!(settings.http.api.is_on() && !settings.websockets.api.is_on() && !settings.echotest.enabled);
    let tokens = Start::default().janus("general: { token_auth = true }");
    assert!(tokens.bad()[0].contains("stored tokens need the Admin API"));
    let tokens = tokens.env("PORTUNUS_HTTP_ADMIN_HTTP", "true").env("ADMIN_SECRET", "x");
    assert!(tokens.settings().general.token_auth);
}

#[test]
fn secrets_stay_out_of_debug_output() {
    let start = Start::default().janus(
        "general: { api_secret = \"hunter2\"; admin_secret = \"hunter2\"; token_auth_secret = \"hunter2\" }
         certificates: { cert_pwd = \"hunter2\" }
         nat: { turn_pwd = \"hunter2\"; turn_rest_api_key = \"hunter2\" }",
    );
    let (settings, problems) = start.load().expect("loads");
    assert_eq!(settings.general.api_secret.as_ref().map(Secret::expose), Some("hunter2"));
    assert!(!format!("{settings:?} {problems:?}").contains("hunter2"));
}

#[test]
fn unix_sockets_have_a_path_and_a_kind_each() {
    let start = |text: &str| Start::default().file("janus.transport.pfunix.jcfg", text);
    let off = start("general: { enabled = false; path = \"/run/a\" }").settings().pfunix;
    assert_eq!((off.api, off.admin), (None, None));
    let text = "general: { enabled = true; path = \"/run/a\"; json = \"plain\"; events = false }
                admin: { admin_enabled = true; admin_path = \"/run/b\"; admin_type = \"SOCK_DGRAM\" }";
    let on = start(text).janus("general: { admin_secret = \"x\" }").settings().pfunix;
    let socket = |path: &str, datagrams| Some(UnixSocket { path: path.into(), datagrams });
    assert_eq!((on.api, on.admin), (socket("/run/a", false), socket("/run/b", true)));
    assert_eq!((on.json, on.events), (JsonFormat::Plain, false));
    let alone = "transports: { disable = \"libjanus_http.so,libjanus_websockets.so\" }";
    assert!(start(text).janus(alone).settings().pfunix.api.is_some(), "one transport is enough");
    let none = "transports: { disable = \"libjanus_pfunix.so\" }";
    assert_eq!(start(text).janus(none).settings().pfunix.api, None);
    let pathless = start("general: { enabled = true }").bad();
    assert_eq!(pathless, ["janus.transport.pfunix.jcfg:1: error: `general.enabled` needs `path`"]);
    let odd = start("general: { enabled = true; path = \"a\"; type = \"SOCK_STREAM\" }").bad();
    assert!(odd[0].contains("`general.type`"), "{odd:?}");
}
