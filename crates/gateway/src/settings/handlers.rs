//! The files of event handlers: `janus.eventhandler.{sampleevh,wsevh,gelfevh,mqttevh}.jcfg`.

use portunus_jcfg::{Document, Kind as Trouble, Problem, Reader, Section, Severity};
use portunus_telemetry::events::{Backend, EventMask, Gelf, GelfProtocol, Handler, Http, Mqtt, WebSocket};
use std::time::Duration;

use super::keys::{GELFEVH, MQTTEVH, SAMPLEEVH, Table, WSEVH};
use super::listener::json;
use super::values::host_and_port;

/// A handler's keys, and how they are read.
pub(super) type Kind = (&'static Table, fn(&mut Section<'_>) -> Option<Backend>);

/// The handlers of these files that are enabled, each with its own reader.
pub(super) const TABLES: [Kind; 4] =
    [(&SAMPLEEVH, http), (&WSEVH, websocket), (&GELFEVH, gelf), (&MQTTEVH, mqtt)];

/// Reads one document; `None` if its handler is off.
pub(super) fn read(
    (table, backend): Kind,
    document: &Document,
    problems: &mut Vec<Problem>,
) -> Option<Handler> {
    let reader = Reader::new(document);
    let mut s = table.open(&reader, "general");
    let on = s.get_bool("enabled", false);
    let names = s.get_filled("events").unwrap_or_else(|| "all".to_owned());
    let (mask, unknown) = EventMask::parse(&names);
    if on && !unknown.is_empty() {
        let unknown = unknown.join(", ");
        let message = format!("knows no events of the name {}", s.written("events").unwrap_or(&unknown));
        s.report("events", Severity::Warning, Trouble::BadValue, message);
    }
    // What is wrong with a handler that is off stops nobody.
    let backend = on.then(|| backend(&mut s)).flatten();
    drop(s);
    problems.extend(reader.finish());
    Some(Handler { mask, backend: backend? })
}

/// The address of the back end, if it begins as it should.
fn address(s: &mut Section<'_>, schemes: &[&str]) -> Option<String> {
    let address = s.get_filled("backend");
    let fits = address.as_ref().is_some_and(|a| schemes.iter().any(|scheme| a.starts_with(scheme)));
    if !fits {
        let message = format!("must begin with {}: the handler stays off", schemes.join(" or "));
        s.report("backend", Severity::Warning, Trouble::BadValue, message);
        return None;
    }
    address
}

fn compression(s: &mut Section<'_>) -> Option<u32> {
    let level = s.get_int("compression", 6, 1..=9);
    s.get_bool("compress", false).then_some(level)
}

fn http(s: &mut Section<'_>) -> Option<Backend> {
    let grouping = s.get_bool("grouping", true);
    let format = json(s);
    let compression = compression(s);
    let backoff = s.get_int("retransmissions_backoff", 100, 0..=u64::from(u32::MAX));
    Some(Backend::Http(Http {
        backend: address(s, &["http://", "https://"])?,
        user: s.get_filled("backend_user"),
        password: s.get_filled("backend_pwd"),
        grouping,
        format,
        compression,
        retransmissions: s.get_int("max_retransmissions", 5, 0..=1000),
        backoff: Duration::from_millis(backoff),
    }))
}

fn websocket(s: &mut Section<'_>) -> Option<Backend> {
    Some(Backend::WebSocket(WebSocket {
        backend: address(s, &["ws://", "wss://"])?,
        subprotocol: s.get_filled("subprotocol"),
        grouping: s.get_bool("grouping", true),
        format: json(s),
        cap_on_reconnect: s.get_int("events_cap_on_reconnect", 0, 0..=1_000_000),
    }))
}

fn gelf(s: &mut Section<'_>) -> Option<Backend> {
    let Some(host) = s.get_filled("backend") else {
        s.report("backend", Severity::Warning, Trouble::BadValue, "names no host: the handler stays off");
        return None;
    };
    let protocols = [("udp", GelfProtocol::Udp), ("tcp", GelfProtocol::Tcp)];
    Some(Backend::Gelf(Gelf {
        host,
        port: s.get_int("port", 12_201, 1..=u16::MAX),
        protocol: s.get_enum("protocol", &protocols, GelfProtocol::Tcp),
        chunk: s.get_int("max_message_len", 1024, 64..=65_000),
        compression: compression(s),
    }))
}

fn mqtt(s: &mut Section<'_>) -> Option<Backend> {
    let url = s.get_filled("url").unwrap_or_else(|| "tcp://localhost:1883".to_owned());
    let plain = url.strip_prefix("tcp://").or_else(|| url.strip_prefix("mqtt://"));
    let Some(place) = plain else {
        let message =
            "must begin with tcp:// or mqtt:// (brokers over TLS are not supported): the handler stays off";
        s.report("url", Severity::Warning, Trouble::NotSupported, message);
        return None;
    };
    let (host, port) = host_and_port(place.trim_end_matches('/'));
    let Ok(port) = port.unwrap_or("1883").parse() else {
        s.report("url", Severity::Warning, Trouble::BadValue, "has no usable port: the handler stays off");
        return None;
    };
    let status = |s: &mut Section<'_>, key: &str| s.get_filled(key);
    Some(Backend::Mqtt(Mqtt {
        host: host.to_owned(),
        port,
        client_id: s.get_filled("client_id").unwrap_or_else(|| "guest".to_owned()),
        user: s.get_filled("username"),
        password: s.get_filled("password"),
        keep_alive: Duration::from_secs(s.get_int("keep_alive_interval", 30, 5..=65_535)),
        clean_session: s.get_bool("cleansession", false),
        qos: s.get_int("qos", 1, 0..=2),
        retain: s.get_bool("retain", false),
        topic: s.get_filled("topic").unwrap_or_else(|| "/janus/events".to_owned()),
        add_event: s.get_bool("addevent", true),
        connect_status: status(s, "connect_status"),
        disconnect_status: status(s, "disconnect_status"),
        format: json(s),
    }))
}
