//! `info`: names and order of its fields.

mod common;

use common::{Rig, WS};
use portunus_core::{ModuleInfo, ServerInfo, Settings};
use portunus_plugin::json;
use std::time::Duration;

const PLUGINS: &str = r#""plugins":{"janus.plugin.script":{"name":"Script","author":"Tests","description":"Does as told","version_string":"0.0.3","version":3},"janus.plugin.shut":{"name":"Shut","author":"Tests","description":"Refuses","version_string":"0.0.1","version":1}}"#;

fn info(settings: Settings) -> String {
    Rig::new(settings).ask(WS, json!({"janus": "info", "transaction": "a"}))
}

#[test]
fn the_defaults_are_told_in_the_order_of_janus() {
    let text = [
        r#"{"janus":"server_info","transaction":"a","name":"Portunus","version":1402,"version_string":"1.4.2","#,
        r#""author":"The Portunus authors","commit-hash":"unknown","compile-time":"unknown","log-to-stdout":true,"#,
        r#""log-to-file":false,"data_channels":true,"accepting-new-sessions":true,"session-timeout":60,"#,
        r#""reclaim-session-timeout":0,"candidates-timeout":45,"server-name":"MyJanusInstance","#,
        r#""local-ip":"127.0.0.1","ipv6":false,"ice-lite":false,"ice-tcp":false,"ice-nomination":"aggressive","#,
        r#""ice-consent-freshness":true,"ice-keepalive-conncheck":false,"hangup-on-failed":false,"#,
        r#""full-trickle":false,"mdns-enabled":true,"min-nack-queue":200,"nack-optimizations":false,"#,
        r#""twcc-period":200,"dtls-mtu":1200,"static-event-loops":0,"api_secret":false,"auth_token":false,"#,
        r#""event_handlers":false,"opaqueid_in_api":false,"dependencies":{},"transports":{},"events":{},"#,
        r#""loggers":{},"#,
        PLUGINS,
        concat!(r#","portunus":{"version":""#, env!("CARGO_PKG_VERSION"), r#"","commit":"unknown"}}"#),
    ];
    assert_eq!(info(Settings::default()), text.concat());
}

#[test]
fn what_is_set_shows_and_secrets_do_not() {
    let http = ModuleInfo {
        package: "janus.transport.http".into(),
        name: "H".into(),
        author: "A".into(),
        description: "D".into(),
        version_string: "0.0.2".into(),
        version: 2,
    };
    let settings = Settings {
        api_secret: Some("hunter2".into()),
        token_auth: true,
        token_auth_secret: Some("hunter3".into()),
        session_timeout: Duration::from_secs(20),
        full_trickle: true,
        allow_force_relay: true,
        allow_loop_indication: true,
        info: ServerInfo {
            log_path: Some("x.log".into()),
            public_ips: vec!["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()],
            ipv6: true,
            dscp: Some(46),
            stun_server: Some("192.0.2.3:3478".into()),
            turn_server: Some("192.0.2.4:3478".into()),
            static_event_loops: 4,
            ice_servers: true,
            webrtc_encryption: false,
            dependencies: None,
            transports: vec![http],
            ..ServerInfo::default()
        },
        ..Settings::default()
    };
    let text = info(settings);
    for part in [
        r#""log-to-file":true,"log-path":"x.log","data_channels""#,
        r#""session-timeout":20,"#,
        r#""public-ip":"192.0.2.1","public-ips":["192.0.2.1","192.0.2.2"],"ipv6":true,"ipv6-link-local":false,"ice-lite""#,
        r#""full-trickle":true,"#,
        r#""twcc-period":200,"dscp":46,"dtls-mtu":1200,"stun-server":"192.0.2.3:3478","turn-server":"192.0.2.4:3478","allow-force-relay":true,"static-event-loops":4,"loop-indication":true,"api_secret":true,"auth_token":true,"#,
        r#""commit":"unknown","ice-servers":true}}"#,
        r#""opaqueid_in_api":false,"webrtc_encryption":false,"transports":{"janus.transport.http":{"name":"H","author":"A","description":"D","version_string":"0.0.2","version":2}},"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("hunter"));
}
