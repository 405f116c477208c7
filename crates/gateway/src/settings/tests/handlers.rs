//! Event handlers: which are there, and what they are told.

use super::*;
use portunus_telemetry::events::{Backend, EventMask, GelfProtocol};

const SAMPLE: &str = "janus.eventhandler.sampleevh.jcfg";
const BROADCAST: &str = "events: { broadcast = true; stats_period = 5; combine_media_stats = true }";

#[test]
fn enabled_handlers_are_there_with_what_their_files_say() {
    let settings = Start::default()
        .janus(BROADCAST)
        .file(
            SAMPLE,
            "general: { enabled = true; events = \"sessions,media\"; backend = \"http://x.example/e\"; grouping = false;
               backend_user = \"u\"; backend_pwd = \"p\"; compress = true; compression = 9; json = \"plain\";
               max_retransmissions = 0; retransmissions_backoff = 5 }",
        )
        .file("janus.eventhandler.wsevh.jcfg", "general: { enabled = true; backend = \"ws://x.example\" }")
        .file("janus.eventhandler.gelfevh.jcfg", "general: { enabled = true; backend = \"g\"; protocol = \"udp\" }")
        .file("janus.eventhandler.mqttevh.jcfg", "general: { enabled = true; url = \"tcp://b.example:1884/\" }")
        .settings();
    assert_eq!((settings.events.stats_period, settings.events.combine_media_stats), (5, true));
    let [http, websocket, gelf, mqtt] = settings.handlers.as_slice() else {
        panic!("{:?}", settings.handlers)
    };
    assert_eq!((http.mask, websocket.mask), (EventMask::parse("sessions,media").0, EventMask::ALL));
    let Backend::Http(http) = &http.backend else { panic!("{http:?}") };
    assert_eq!(http.backend, "http://x.example/e");
    assert_eq!((http.user.as_deref(), http.password.as_deref()), (Some("u"), Some("p")));
    assert_eq!((http.grouping, http.compression, http.retransmissions), (false, Some(9), 0));
    let Backend::WebSocket(websocket) = &websocket.backend else { panic!("{websocket:?}") };
    assert!(websocket.grouping && websocket.cap_on_reconnect == 0);
    let Backend::Gelf(gelf) = &gelf.backend else { panic!("{gelf:?}") };
    assert_eq!((gelf.port, gelf.protocol), (12_201, GelfProtocol::Udp));
    let Backend::Mqtt(mqtt) = &mqtt.backend else { panic!("{mqtt:?}") };
    assert_eq!((mqtt.host.as_str(), mqtt.port, mqtt.topic.as_str()), ("b.example", 1884, "/janus/events"));
}

#[test]
fn a_handler_without_a_usable_back_end_stays_off_and_says_so() {
    for (file, text, wanted) in [
        (
            SAMPLE,
            "enabled = true",
            "`general.backend` must begin with http:// or https://: the handler stays off",
        ),
        (
            SAMPLE,
            "enabled = true; backend = \"ftp://x\"",
            "`general.backend` must begin with http:// or https://: the handler stays off",
        ),
        ("janus.eventhandler.mqttevh.jcfg", "enabled = true; url = \"ssl://x:1\"", "are not supported"),
        ("janus.eventhandler.gelfevh.jcfg", "enabled = true", "names no host"),
    ] {
        let start = Start::default().janus(BROADCAST).file(file, &format!("general: {{ {text} }}"));
        let (settings, warnings) = start.good();
        assert!(settings.handlers.is_empty(), "{text}");
        assert!(warnings.iter().any(|line| line.contains(wanted)), "{text}: {warnings:?}");
    }
}

#[test]
fn handlers_that_get_nothing_are_told_and_disabled_ones_are_not_read() {
    let start = Start::default().file(SAMPLE, "general: { enabled = true; backend = \"http://x\" }");
    let (settings, warnings) = start.good();
    assert!(settings.handlers.is_empty());
    assert!(
        warnings.iter().any(|line| line.contains("`events.broadcast` of janus.jcfg is off")),
        "{warnings:?}"
    );
    let off = start.janus("events: { broadcast = true; disable = \"libjanus_sampleevh.so\" }");
    let (settings, warnings) = off.good();
    assert!(settings.handlers.is_empty() && warnings.is_empty(), "{warnings:?}");
}

#[test]
fn events_of_unknown_names_are_told() {
    let text = "general: { enabled = true; backend = \"http://x\"; events = \"sessions,handels\" }";
    let (settings, warnings) = Start::default().janus(BROADCAST).file(SAMPLE, text).good();
    assert_eq!(settings.handlers[0].mask, EventMask::parse("sessions").0);
    assert!(warnings.iter().any(|line| line.contains("knows no events of the name handels")), "{warnings:?}");
}
