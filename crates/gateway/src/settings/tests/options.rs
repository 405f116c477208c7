//! Every option does what its key in the file does, and wins over it.

use super::*;

/// Short options, long options, and the file that says the same.
const EQUALS: &[(&[&str], &[&str], &str)] = &[
    (&["-b"], &["--daemon"], "general: { daemonize = true }"),
    (&["-p", "/x/pid"], &["--pid-file=/x/pid"], "general: { pid_file = \"/x/pid\" }"),
    (&["-N"], &["--disable-stdout"], "general: { log_to_stdout = false }"),
    (&["-L", "/x/log"], &["--log-file=/x/log"], "general: { log_to_file = \"/x/log\" }"),
    (&["-l", "4096"], &["--check-openfiles-limits=4096"], "general: { check_openfiles_limit = 4096 }"),
    (&["-i", "192.0.2.7"], &["--interface=192.0.2.7"], "general: { interface = \"192.0.2.7\" }"),
    (
        &["-c", "/x/c", "-k", "/x/k"],
        &["--cert-pem=/x/c", "--cert-key=/x/k"],
        "certificates: { cert_pem = \"/x/c\"; cert_key = \"/x/k\" }",
    ),
    (
        &["-c", "/x/c", "-K", "x"],
        &["--cert-pem=/x/c", "--cert-pwd=x"],
        "certificates: { cert_pem = \"/x/c\"; cert_pwd = \"x\" }",
    ),
    (&["-w"], &["--no-webrtc-encryption"], "general: { no_webrtc_encryption = true }"),
    (&["-R", "SIGHUP"], &["--log-rotate-sig=SIGHUP"], "general: { log_rotate_sig = \"SIGHUP\" }"),
    (
        &["-S", "stun.example:3479"],
        &["--stun-server=stun.example:3479"],
        "nat: { stun_server = \"stun.example\"; stun_port = 3479 }",
    ),
    (
        &["-1", "192.0.2.1,2001:db8::1"],
        &["--nat-1-1=192.0.2.1,2001:db8::1"],
        "nat: { nat_1_1_mapping = \"192.0.2.1,2001:db8::1\" }",
    ),
    (&["-2"], &["--keep-private-host"], "nat: { keep_private_host = true }"),
    (&["-E", "eth0,eth1"], &["--ice-enforce-list=eth0,eth1"], "nat: { ice_enforce_list = \"eth0,eth1\" }"),
    (&["-X", "br-"], &["--ice-ignore-list=br-"], "nat: { ice_ignore_list = [ \"br-\" ] }"),
    (&["-6"], &["--ipv6-candidates"], "media: { ipv6 = true }"),
    (&["-O"], &["--ipv6-link-local"], "media: { ipv6_linklocal = true }"),
    (&["-f"], &["--full-trickle"], "nat: { full_trickle = true }"),
    (&["--trickle-hold-ms", "100"], &["--trickle-hold-ms=100"], "nat: { trickle_hold_ms = 100 }"),
    (&["--trickle-delay-ms", "9"], &["--trickle-delay-ms=9"], "nat: { trickle_delay_ms = 9 }"),
    (&["-I"], &["--ice-lite"], "nat: { ice_lite = true }"),
    (&["-T"], &["--ice-tcp"], "nat: { ice_tcp = true }"),
    (&["-Q", "500"], &["--min-nack-queue=500"], "media: { min_nack_queue = 500 }"),
    (&["-t", "3"], &["--no-media-timer=3"], "media: { no_media_timer = 3 }"),
    (&["-W", "8"], &["--slowlink-threshold=8"], "media: { slowlink_threshold = 8 }"),
    (
        &["-r", "20000-20100"],
        &["--rtp-port-range=20000-20100"],
        "media: { rtp_port_range = \"20000-20100\" }",
    ),
    (&["-B", "100"], &["--twcc-period=100"], "media: { twcc_period = 100 }"),
    (&["-n", "Here"], &["--server-name=Here"], "general: { server_name = \"Here\" }"),
    (&["-s", "30"], &["--session-timeout=30"], "general: { session_timeout = 30 }"),
    (&["-m", "15"], &["--reclaim-session-timeout=15"], "general: { reclaim_session_timeout = 15 }"),
    (&["-d", "7"], &["--debug-level=7"], "general: { debug_level = 7 }"),
    (&["-D"], &["--debug-timestamps"], "general: { debug_timestamps = true }"),
    (&["-o"], &["--disable-colors"], "general: { debug_colors = false }"),
    (&["-a", "x"], &["--apisecret=x"], "general: { api_secret = \"x\" }"),
    (
        &["-A", "--token-auth-secret", "x"],
        &["--token-auth", "--token-auth-secret=x"],
        "general: { token_auth = true; token_auth_secret = \"x\" }",
    ),
    (&["-e"], &["--event-handlers"], "events: { broadcast = true }"),
];

#[test]
fn each_option_equals_its_key() {
    let plain = shown(&Start::default().settings());
    for (short, long, text) in EQUALS {
        let file = shown(&Start::default().janus(text).settings());
        assert_ne!(file, plain, "{text} changes nothing");
        for words in [short, long] {
            assert_eq!(shown(&Start::default().words(words).settings()), file, "{words:?}");
        }
    }
}

#[test]
fn options_without_a_key_or_an_effect_are_accepted() {
    let daemon = Start::default().words(&["-b", "--log-stdout", "-H", "/work"]).settings();
    assert!(daemon.general.daemonize && daemon.general.log.to_stdout);
    assert_eq!(daemon.general.cwd_path, Path::new("/work"));
    assert!(!Start::default().words(&["-b"]).settings().general.log.to_stdout);
    let plain = shown(&Start::default().settings());
    for words in [&["-P", "/x"][..], &["--plugins-folder=/x"], &["-M"], &["--debug-locks"]] {
        let (settings, warnings) = Start::default().words(words).good();
        assert_eq!((shown(&settings), warnings), (plain.clone(), vec![]), "{words:?}");
    }
}

#[test]
fn an_option_wins_over_environment_and_file() {
    let start = Start::default()
        .janus("general: { api_secret = \"file\"; server_name = \"file\"; debug_level = 1 }\nnat: { full_trickle = false; stun_port = 5000 }")
        .env("PORTUNUS_GENERAL_API_SECRET", "environment")
        .env("PORTUNUS_GENERAL_SERVER_NAME", "environment")
        .env("PUBLIC_IP", "192.0.2.1");
    let settings = start.settings();
    assert_eq!(settings.general.api_secret.as_ref().map(Secret::expose), Some("environment"));
    assert_eq!((settings.general.server_name.as_str(), settings.general.log.level), ("environment", 1));
    let start = start.words(&["-a", "option", "-n", "option", "-1", "192.0.2.2", "-f", "-S", "stun.example"]);
    let settings = start.settings();
    assert_eq!(settings.general.api_secret.as_ref().map(Secret::expose), Some("option"));
    assert_eq!(settings.general.server_name, "option");
    assert_eq!(settings.nat.nat_1_1_mapping, [IpAddr::from([192, 0, 2, 2])]);
    assert!(settings.nat.full_trickle);
    let server = StunServer { host: "stun.example".into(), port: 5000 };
    assert_eq!(settings.nat.stun_server, Some(server));
}

#[test]
fn a_bad_value_is_told_with_its_option() {
    let table = [
        (&["-d", "8"][..], "option --debug-level: error: `general.debug_level` must be a number from 0 to 7"),
        (
            &["-s", "soon"],
            "option --session-timeout: error: `general.session_timeout` must be a whole number",
        ),
        (&["-1", "here"], "option --nat-1-1: error: `nat.nat_1_1_mapping` must be an IP address, not `here`"),
        (&["-r", "20000"], "option --rtp-port-range: error: `media.rtp_port_range` must be two ports"),
        (&["-S", "a:b"], "option --stun-server: error: `nat.stun_port` must be a whole number"),
        (&["-k", "/x"], "option --cert-key: error: `certificates.cert_key` is a key without its certificate"),
    ];
    for (words, wanted) in table {
        let problems = Start::default().words(words).bad();
        assert!(problems.len() == 1 && problems[0].starts_with(wanted), "{problems:?}");
    }
}

#[test]
fn words_that_are_no_option_are_told() {
    let (_, warnings) = Start::default().words(&["check-config"]).good();
    assert_eq!(warnings, ["command line: warning: `check-config` is no option and is ignored"]);
}

use std::net::IpAddr;
