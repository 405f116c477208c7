//! Section `ice_servers`.

use super::super::ice_servers::Login;
use super::*;
use portunus_ice_servers::{IceUrl, Policy};

fn section(text: &str) -> Start {
    Start::default().janus(&format!("ice_servers: {{\n{text}\n}}"))
}

#[test]
fn nothing_is_handed_out_by_default() {
    let servers = Start::default().settings().ice_servers;
    assert!(!servers.is_on());
    assert_eq!((servers.ttl, servers.policy, servers.user.as_str()), (3600, Policy::All, "portunus"));
}

#[test]
fn servers_with_fixed_and_with_minted_credentials() {
    let text =
        "urls = [\"stun:a\", \"turn:b:3478?transport=tcp\"]; username = \"u\"; credential = \"do not print\"
        ttl_s = 60; policy = \"relay\"";
    let (settings, warnings) = section(text).good();
    assert_eq!(warnings, Vec::<String>::new());
    let servers = settings.ice_servers;
    let urls: Vec<_> = servers.urls.iter().map(IceUrl::as_str).collect();
    assert_eq!(urls, ["stun:a", "turn:b:3478?transport=tcp"]);
    assert_eq!(servers.login, Login::Static("u".to_owned(), Secret::from("do not print")));
    assert_eq!((servers.ttl, servers.policy), (60, Policy::Relay));
    assert!(!format!("{servers:?}").contains("do not print"));
    let start = Start::default()
        .env("PORTUNUS_ICE_SERVERS_URLS", "turn:a, turns:b")
        .env("PORTUNUS_ICE_SERVERS_SECRET", "hush");
    let servers = start.settings().ice_servers;
    assert_eq!((servers.urls.len(), &servers.login), (2, &Login::Minted(Secret::from("hush"))));
    assert!(!format!("{servers:?}").contains("hush"));
}

#[test]
fn mistakes_are_told_with_file_and_line() {
    for (text, wanted) in [
        (
            "urls = [\"turn://a\"]",
            "janus.jcfg:2: error: `ice_servers.urls` holds `turn://a`, which is written without `//`",
        ),
        ("urls = \"a:3478\"", "holds `a:3478`, which must begin with stun:, stuns:, turn: or turns:"),
        (
            "urls = [\"turn:a\"]\nusername = \"u\"",
            "janus.jcfg:3: error: `ice_servers.username` is without its password",
        ),
        ("urls = [\"turn:a\"]\ncredential = \"p\"", "`ice_servers.credential` is without its `username`"),
        ("secret = \"s\"; username = \"u\"; credential = \"p\"", "`ice_servers.secret` mints"),
        ("secret = \"s\"; credential = \"p\"", "`ice_servers.secret` mints"),
        ("user = \"a:b\"", "`ice_servers.user` must be at most 128 bytes without colons"),
        ("ttl_s = 59", "`ice_servers.ttl_s` must be"),
        ("ttl_s = 604801", "`ice_servers.ttl_s` must be"),
        ("policy = \"none\"", "`ice_servers.policy` must be"),
        ("auth_service = \"stunner-auth:8088\"", "`ice_servers.auth_service`"),
        ("auth_service = \"http://u:p@a/\"", "may hold no user name or password"),
        (
            "auth_service = \"http://a/\"; secret = \"s\"",
            "`ice_servers.auth_service` is asked for all servers",
        ),
        ("auth_service = \"http://a/\"; urls = [\"stun:a\"]", "`urls` cannot be set beside it"),
    ] {
        let problems = section(text).bad();
        assert!(problems.iter().any(|line| line.contains(wanted)), "{text}: {problems:?}");
    }
}

#[test]
fn what_does_less_than_it_seems_is_told() {
    for (text, wanted) in [
        ("urls = [\"turn:a\"]", "they are left out"),
        ("urls = [\"stun:a\"]; secret = \"s\"", "`ice_servers.secret` is for nothing"),
        ("username = \"u\"; credential = \"p\"", "`ice_servers.username` is for nothing"),
        ("urls = [\"stun:a\"]; policy = \"relay\"", "clients will find no way"),
        ("auth_namespace = \"n\"", "`ice_servers.auth_namespace` has no effect without `auth_service`"),
        ("auth_service = \"http://a/\"; auth_gateway = \"g\"", "needs its namespace"),
        ("auth_service = \"http://a/\"; auth_namespace = \"n\"; auth_listener = \"l\"", "needs its gateway"),
    ] {
        let (_, warnings) = section(text).good();
        assert!(warnings.len() == 1 && warnings[0].contains(wanted), "{text}: {warnings:?}");
    }
    let off = section("urls = [\"stun:a\"]").env("PORTUNUS_HTTP_HTTP", "false");
    let (_, warnings) = off.good();
    assert!(warnings.len() == 1 && warnings[0].contains("HTTP is off"), "{warnings:?}");
}

#[test]
fn names_of_stunner_make_the_service() {
    let service = |start: Start| start.settings().ice_servers.service.map(|s| format!("{s:?}"));
    let full = Start::default()
        .env("STUNNER_AUTH_ADDR", "stunner-auth.stunner-system.svc.cluster.local")
        .env("STUNNER_NAMESPACE", "stunner")
        .env("STUNNER_GATEWAY", "udp-gateway")
        .env("STUNNER_LISTENER", "udp-listener");
    let shown = service(full).unwrap();
    assert_eq!(
        shown,
        "Service { url: http://stunner-auth.stunner-system.svc.cluster.local:8088/ice, namespace: Some(\"stunner\"), \
         gateway: Some(\"udp-gateway\"), listener: Some(\"udp-listener\") }"
    );
    for (address, port, url) in [
        ("auth", "9000", "http://auth:9000/ice"),
        // What Kubernetes sets by itself for a Service of the name `stunner-auth`.
        ("auth", "tcp://10.0.0.7:8088", "http://auth:8088/ice"),
        ("2001:db8::1", "", "http://[2001:db8::1]:8088/ice"),
    ] {
        let start = Start::default().env("STUNNER_AUTH_ADDR", address).env("STUNNER_AUTH_PORT", port);
        assert!(service(start).unwrap().contains(&format!("url: {url},")), "{address} {port}");
    }
    let bad = Start::default().env("STUNNER_AUTH_ADDR", "auth").env("STUNNER_AUTH_PORT", "soon").bad();
    assert!(
        bad[0].starts_with("environment STUNNER_AUTH_ADDR: error: `ice_servers.auth_service`"),
        "{bad:?}"
    );
    let stray =
        Start::default().env("STUNNER_AUTH_PORT", "tcp://10.0.0.7:8088").env("STUNNER_NAMESPACE", "n");
    let (settings, warnings) = stray.good();
    assert!(!settings.ice_servers.is_on() && warnings.is_empty(), "{warnings:?}");
    let named = section("auth_service = \"http://mine/ice\"").env("STUNNER_NAMESPACE", "n");
    assert!(service(named).unwrap().contains("url: http://mine/ice, namespace: Some(\"n\")"));
    let long = Start::default()
        .env("PORTUNUS_ICE_SERVERS_AUTH_SERVICE", "http://mine/ice")
        .env("STUNNER_AUTH_ADDR", "auth")
        .env("STUNNER_GATEWAY", "")
        .env("STUNNER_NAMESPACE", "n");
    assert!(service(long).unwrap().contains("url: http://mine/ice, namespace: Some(\"n\")"));
}
