//! What operators may ask a transport, and change of it, through the Admin API (`query_transport`).

use crate::{Counter, Counters, JsonFormat, Observer, Settings, Spelling};
use portunus_api::{FieldError, Kind, Object, Value, json, optional, require};
use std::sync::Arc;

const HTTP: &str = "janus.transport.http";
const WEBSOCKETS: &str = "janus.transport.websockets";
const UNIX: &str = "janus.transport.pfunix";

/// The name of a listener, and where its connections are counted.
type Listener = (&'static str, fn(&Counters) -> &Counter);

/// The transports of a process, as far as they answer questions.
#[derive(Clone, Debug)]
pub struct Queries {
    http: Option<Spelling>,
    websockets: Option<Spelling>,
    unix: Option<Spelling>,
    /// The HTTP listeners that were asked for, as Janus names them.
    listeners: Vec<Listener>,
    counters: Arc<Counters>,
    observer: Observer,
}

impl Queries {
    /// For the transports that these settings start.
    pub fn new(settings: &Settings, counters: Arc<Counters>) -> Self {
        let http = [&settings.http, &settings.admin_http];
        let websockets = [&settings.websockets, &settings.admin_websockets];
        let packets = [&settings.packets, &settings.admin_packets];
        let has = |of: &Option<crate::HttpSettings>, secure: bool| {
            let addresses = |s: &crate::HttpSettings| {
                if secure { !s.secure_addresses.is_empty() } else { !s.addresses.is_empty() }
            };
            of.as_ref().is_some_and(addresses)
        };
        let all: [(bool, Listener); 4] = [
            (has(&settings.http, false), ("http", |c| &c.http_connections)),
            (has(&settings.admin_http, false), ("admin_http", |c| &c.admin_http_connections)),
            (has(&settings.http, true), ("https", |c| &c.https_connections)),
            (has(&settings.admin_http, true), ("admin_https", |c| &c.admin_https_connections)),
        ];
        let listeners = all.into_iter().filter(|(there, _)| *there).map(|(_, listener)| listener).collect();
        Self {
            http: http.into_iter().flatten().next().map(|s| s.format.clone()),
            websockets: websockets.into_iter().flatten().next().map(|s| s.format.clone()),
            unix: packets.into_iter().flatten().next().map(|s| s.format.clone()),
            listeners,
            counters,
            observer: settings.observer.clone(),
        }
    }

    /// The `response` of a transport; `None` if there is no such transport. What is wrong with a request is told in the
    /// response, with the codes of Janus' transports (411 to 413).
    pub fn answer(&self, package: &str, request: &Object) -> Option<Value> {
        let spelling = match package {
            HTTP => self.http.as_ref()?,
            WEBSOCKETS => self.websockets.as_ref()?,
            UNIX => self.unix.as_ref()?,
            _ => return None,
        };
        let verb = match require(request, "request", Kind::String) {
            Ok(verb) => verb.as_str().unwrap_or_default(),
            Err(error) => return Some(refusal(Object::new(), &error)),
        };
        let mut response = Object::from_iter([("result".to_owned(), json!(200))]);
        match verb {
            "configure" => return Some(self.configure(package, spelling, request, response)),
            "connections" if package == HTTP => {
                let count =
                    |(name, counter): &Listener| ((*name).to_owned(), json!(counter(&self.counters).get()));
                let connections: Object = self.listeners.iter().map(count).collect();
                response.insert("connections".into(), connections.into());
                response.insert("messages".into(), self.counters.http_pending.get().into());
            }
            "connections" => {
                let counter = match package {
                    UNIX => &self.counters.unix_clients,
                    _ => &self.counters.websocket_connections,
                };
                response.insert("connections".into(), counter.get().into());
            }
            other => {
                return Some(json!({ "error_code": 411, "error": format!("Unknown request '{other}'") }));
            }
        }
        Some(response.into())
    }

    fn configure(&self, package: &str, spelling: &Spelling, request: &Object, response: Object) -> Value {
        let (events, response) = configure(spelling, request, response, self.observer.is_there());
        if let Some(events) = events {
            self.observer.set(package, events);
        }
        response
    }
}

/// What is to become of the events, and the response. As in Janus events that are not spoken of are switched off.
fn configure(
    spelling: &Spelling,
    request: &Object,
    mut response: Object,
    handlers: bool,
) -> (Option<bool>, Value) {
    let wanted = optional(request, "events", Kind::Boolean)
        .and_then(|events| Ok((events, optional(request, "json", Kind::String)?)))
        .and_then(|(events, json)| optional(request, "logging", Kind::String).map(|_| (events, json)));
    let (events, json) = match wanted {
        Ok(wanted) => wanted,
        Err(error) => return (None, refusal(response, &error)),
    };
    let events = events.and_then(Value::as_bool).unwrap_or(false);
    let mut notes = Vec::new();
    if events && !handlers {
        notes.push("Event handlers disabled at the core level");
    }
    match json.and_then(Value::as_str) {
        None => {}
        Some(name) => match JsonFormat::from_name(name) {
            Some(format) => spelling.set(format),
            None => notes.push("Ignored unsupported indentation format"),
        },
    }
    if !notes.is_empty() {
        response.insert("notes".into(), json!(notes));
    }
    (Some(events), response.into())
}

fn refusal(mut response: Object, error: &FieldError) -> Value {
    let code = match error {
        FieldError::Missing(_) => 412,
        FieldError::Type(..) => 413,
    };
    response.insert("error_code".into(), code.into());
    response.insert("error".into(), error.to_string().into());
    response.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HttpSettings;

    fn queries() -> Queries {
        let http = HttpSettings { addresses: vec![([127, 0, 0, 1], 0).into()], ..HttpSettings::default() };
        let settings = Settings { http: Some(http), ..Settings::default() };
        Queries::new(&settings, Arc::default())
    }

    fn ask(queries: &Queries, request: Value) -> String {
        queries.answer(HTTP, request.as_object().unwrap()).unwrap().to_string()
    }

    #[test]
    fn answers_are_those_of_janus() {
        let queries = queries();
        for (request, response) in [
            (json!({}), r#"{"error_code":412,"error":"Missing mandatory element (request)"}"#),
            (
                json!({ "request": 5 }),
                r#"{"error_code":413,"error":"Invalid element type (request should be a string)"}"#,
            ),
            (json!({ "request": "x" }), r#"{"error_code":411,"error":"Unknown request 'x'"}"#),
            (json!({ "request": "connections" }), r#"{"result":200,"connections":{"http":0},"messages":0}"#),
            (json!({ "request": "configure" }), r#"{"result":200}"#),
            (
                json!({ "request": "configure", "json": "x" }),
                r#"{"result":200,"notes":["Ignored unsupported indentation format"]}"#,
            ),
            (
                json!({ "request": "configure", "json": 5 }),
                r#"{"result":200,"error_code":413,"error":"Invalid element type (json should be a string)"}"#,
            ),
            (
                json!({ "request": "configure", "events": true }),
                r#"{"result":200,"notes":["Event handlers disabled at the core level"]}"#,
            ),
        ] {
            assert_eq!(ask(&queries, request), response);
        }
        assert_eq!(queries.answer(WEBSOCKETS, &Object::new()), None, "it is not there");
    }

    #[test]
    fn a_spelling_is_changed_for_all_listeners() {
        let queries = queries();
        let seen = queries.http.clone().unwrap();
        ask(&queries, json!({ "request": "configure", "json": "plain" }));
        assert_eq!(seen.get(), JsonFormat::Plain);
    }
}
