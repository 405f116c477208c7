//! The environment wins over files.

use super::super::keys::{HTTP, JANUS, Standing, TABLES, WEBSOCKETS};
use super::super::overlay::{SHORT_NAMES, variables};
use super::*;
use std::collections::BTreeSet;

#[test]
fn short_names_equal_their_keys() {
    let table = [
        ("PUBLIC_IP", "192.0.2.1, 192.0.2.2", "nat: { nat_1_1_mapping = \"192.0.2.1,192.0.2.2\" }"),
        ("STUN_SERVER", "stun.example:3479", "nat: { stun_server = \"stun.example\"; stun_port = 3479 }"),
        ("STUN_SERVER", "stun.example", "nat: { stun_server = \"stun.example\" }"),
        ("MEDIA_PORT", "10443", "portunus: { udp_port = 10443; single_port = true }"),
        ("RTP_PORT_RANGE", "20000-20100", "media: { rtp_port_range = \"20000-20100\" }"),
        ("ADMIN_SECRET", "mine", "general: { admin_secret = \"mine\" }"),
        ("LOG_LEVEL", "2", "general: { debug_level = 2 }"),
        ("LOG_LEVEL", "Error", "general: { debug_level = 2 }"),
        ("LOG_LEVEL", "debug", "general: { debug_level = 7 }"),
        ("ALLOW_DEMO_SECRETS", "true", "portunus: { allow_demo_secrets = true }"),
    ];
    for (name, text, file) in table {
        let wanted = shown(&Start::default().janus(file).settings());
        assert_eq!(shown(&Start::default().env(name, text).settings()), wanted, "{name}={text}");
    }
    let tested: BTreeSet<&str> = table.iter().map(|&(name, ..)| name).collect();
    assert_eq!(tested, SHORT_NAMES.iter().map(|&(name, ..)| name).collect());
}

#[test]
fn every_key_has_its_variable_and_no_two_share_one() {
    let mut seen = BTreeSet::new();
    for table in TABLES {
        for key in table.keys {
            // Janus reads these in two sections: one variable for both.
            if key.section == "general" && key.name.starts_with("admin_") && key.name.ends_with("_forwarded")
            {
                continue;
            }
            for name in variables(&table, key) {
                assert!(seen.insert(name.clone()), "{name} twice");
            }
        }
    }
    for name in [
        "PORTUNUS_NAT_NAT_1_1_MAPPING",
        "PORTUNUS_GENERAL_ADMIN_SECRET",
        "PORTUNUS_HTTP_PORT",
        "PORTUNUS_HTTP_ADMIN_PORT",
        "PORTUNUS_HTTP_CERT_PEM",
        "PORTUNUS_WEBSOCKETS_WS_PORT",
        "PORTUNUS_ECHOTEST_EVENTS",
        "PORTUNUS_VIDEOROOM_STRING_IDS",
        "PORTUNUS_VIDEOROOM_AUTOMATIC_LAYERS",
        "PORTUNUS_PLUGINS_DISABLE",
        "PORTUNUS_UDP_PORT",
        "PORTUNUS_PORTUNUS_UDP_PORT",
    ] {
        assert!(seen.contains(name), "{name}");
    }
}

#[test]
fn a_bad_value_is_told_with_its_variable() {
    for table in [JANUS, HTTP, WEBSOCKETS] {
        for key in table.keys.iter().filter(|key| key.standing == Standing::Used) {
            let number_or_switch = key.name.ends_with("port") && key.name != "single_port"
                || key.name.starts_with("max_")
                || key.name.ends_with("timeout");
            if !number_or_switch {
                continue;
            }
            let name = variables(&table, key).remove(0);
            let problems = Start::default().env(&name, "-5").bad();
            let wanted = format!("environment {name}: error: `{}.{}` must be", key.section, key.name);
            assert!(problems.len() == 1 && problems[0].starts_with(&wanted), "{problems:?}");
        }
    }
}

#[test]
fn each_key_whose_feature_is_missing_warns_when_it_is_set_and_not_at_its_default() {
    for table in TABLES {
        for key in table.keys {
            let Standing::Later { default, what } = key.standing else { continue };
            let name = variables(&table, key).remove(0);
            let text = if key.name == "log_rotate_sig" { "SIGHUP" } else { "true" };
            // What the Admin API's listeners need, so that nothing else is to be said.
            let start = Start::default()
                .env("ADMIN_SECRET", "own")
                .env("PORTUNUS_HTTP_CERT_PEM", "/c.pem")
                .env("PORTUNUS_WEBSOCKETS_CERT_PEM", "/c.pem");
            let (_, warnings) = start.env(&name, text).good();
            let key = format!("`{}.{}`", key.section, key.name);
            assert_eq!(
                warnings,
                [format!("environment {name}: warning: {key} is not supported yet: {what}")]
            );
            let (_, warnings) = Start::default().env(&name, default).good();
            assert_eq!(warnings, Vec::<String>::new(), "{name}={default}");
        }
    }
}

#[test]
fn variables_reach_every_file() {
    let settings = Start::default()
        .janus("nat: { nat_1_1_mapping = \"192.0.2.1\" }")
        .file("janus.transport.http.jcfg", "general: { port = 1 }")
        .env("PORTUNUS_NAT_NAT_1_1_MAPPING", "192.0.2.9")
        .env("PORTUNUS_HTTP_PORT", "8000")
        .env("PORTUNUS_HTTP_ADMIN_HTTP", "yes")
        .env("PORTUNUS_HTTP_ADMIN_PORT", "7000")
        .env("PORTUNUS_HTTP_ADMIN_ACL_FORWARDED", "true")
        .env("PORTUNUS_WEBSOCKETS_WS", "false")
        .env("PORTUNUS_ECHOTEST_EVENTS", "false")
        .env("PORTUNUS_VIDEOROOM_ADMIN_KEY", "key")
        .env("PORTUNUS_VIDEOROOM_AUTOMATIC_LAYERS", "no")
        .env("PORTUNUS_WORKERS", "3")
        .env("PORTUNUS_PORTUNUS_WORKERS", "4")
        .env("PORTUNUS_PORTUNUS_UDP_PORT", "20000")
        .settings();
    assert_eq!(settings.nat.nat_1_1_mapping[0].to_string(), "192.0.2.9");
    assert_eq!(settings.http.api.plain.map(|listener| listener.port), Some(8000));
    assert_eq!(settings.http.admin.plain.map(|listener| listener.port), Some(7000));
    assert!(settings.http.admin.acl_forwarded && !settings.http.api.acl_forwarded);
    assert!(!settings.websockets.api.is_on());
    assert!(!settings.echotest.events);
    assert_eq!(settings.videoroom.admin_key.as_ref().map(Secret::expose), Some("key"));
    assert!(!settings.videoroom.automatic_layers && settings.videoroom.events);
    assert_eq!((settings.portunus.workers, settings.portunus.udp_port), (3, 20000));
}

#[test]
fn an_empty_variable_is_unset_and_the_long_name_wins() {
    let start = Start::default()
        .janus("general: { admin_secret = \"file\" }")
        .env("ADMIN_SECRET", "")
        .env("PORTUNUS_GENERAL_SERVER_NAME", "  ");
    let settings = start.settings();
    assert_eq!(settings.general.admin_secret.as_ref().map(Secret::expose), Some("file"));
    assert_eq!(settings.general.server_name, "MyJanusInstance");
    let settings = start.env("ADMIN_SECRET", "short").env("PORTUNUS_GENERAL_ADMIN_SECRET", "long").settings();
    assert_eq!(settings.general.admin_secret.as_ref().map(Secret::expose), Some("long"));
}
