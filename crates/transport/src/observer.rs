//! What event handlers are told of the transports: each HTTP request, each connection.

use portunus_api::{Value, json};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const HTTP: &str = "janus.transport.http";
const WEBSOCKETS: &str = "janus.transport.websockets";
const UNIX: &str = "janus.transport.pfunix";

/// Whom to tell; by default nobody. Clones tell the same one, and share their switches.
#[derive(Clone, Default)]
pub struct Observer(Option<Arc<Watch>>);

struct Watch {
    tell: Box<dyn Fn(Value) + Send + Sync>,
    http: AtomicBool,
    websockets: AtomicBool,
    unix: AtomicBool,
    next: AtomicU64,
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observer").field(&self.0.is_some()).finish()
    }
}

impl Observer {
    /// `tell` gets the body of each event, on the task of its connection: it must not wait. `http`, `websockets`
    /// and `unix` are the `events` switches of the transports' files.
    pub fn new(
        http: bool,
        websockets: bool,
        unix: bool,
        tell: impl Fn(Value) + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(Watch {
            tell: Box::new(tell),
            http: http.into(),
            websockets: websockets.into(),
            unix: unix.into(),
            next: AtomicU64::new(1),
        })))
    }

    /// Whether there is anybody at all.
    pub(crate) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Switches the events of a transport on or off.
    pub(crate) fn set(&self, package: &str, on: bool) {
        if let Some(watch) = &self.0 {
            watch.switch(package).store(on, Ordering::Relaxed);
        }
    }

    /// A request came; its number.
    pub(crate) fn http_request(&self, admin: bool, peer: SocketAddr) -> u64 {
        let Some(watch) = &self.0 else { return 0 };
        let number = watch.next.fetch_add(1, Ordering::Relaxed);
        watch.say(HTTP, number, || {
            json!({ "event": "request", "admin_api": admin, "ip": peer.ip().to_canonical().to_string(), "port": peer.port() })
        });
        number
    }

    pub(crate) fn websocket_opened(&self, number: u64, admin: bool, ip: IpAddr) {
        if let Some(watch) = &self.0 {
            let said = || json!({ "event": "connected", "admin_api": admin, "ip": ip.to_string() });
            watch.say(WEBSOCKETS, number, said);
        }
    }

    /// `socket` is the connection's descriptor, -1 without one.
    pub(crate) fn unix_opened(&self, number: u64, admin: bool, socket: i32, datagrams: bool) {
        if let Some(watch) = &self.0 {
            watch.say(UNIX, number, || {
                let mut said = json!({ "event": "connected", "admin_api": admin, "fd": socket });
                if let (true, Some(said)) = (datagrams, said.as_object_mut()) {
                    said.insert("type".to_owned(), "SOCK_DGRAM".into());
                }
                said
            });
        }
    }

    pub(crate) fn unix_closed(&self, number: u64) {
        if let Some(watch) = &self.0 {
            watch.say(UNIX, number, || json!({ "event": "disconnected" }));
        }
    }

    pub(crate) fn websocket_closed(&self, number: u64) {
        if let Some(watch) = &self.0 {
            watch.say(WEBSOCKETS, number, || json!({ "event": "disconnected" }));
        }
    }
}

impl Watch {
    fn switch(&self, package: &str) -> &AtomicBool {
        match package {
            HTTP => &self.http,
            UNIX => &self.unix,
            _ => &self.websockets,
        }
    }

    fn say(&self, package: &str, number: u64, data: impl FnOnce() -> Value) {
        if self.switch(package).load(Ordering::Relaxed) {
            // Ids are texts, as in Janus.
            (self.tell)(json!({ "transport": package, "id": number.to_string(), "data": data() }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn events_have_the_shape_of_janus_and_a_switch_for_each_transport() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let seen = told.clone();
        let observer =
            Observer::new(true, true, true, move |event| seen.lock().unwrap().push(event.to_string()));
        let number = observer.http_request(true, ([192, 0, 2, 1], 4000).into());
        observer.websocket_opened(7, false, [192, 0, 2, 2].into());
        observer.websocket_closed(7);
        observer.unix_opened(8, false, 6, false);
        observer.unix_opened(9, true, -1, true);
        observer.unix_closed(9);
        observer.set(HTTP, false);
        assert!(observer.http_request(false, ([192, 0, 2, 1], 4000).into()) > number);
        assert_eq!(
            *told.lock().unwrap(),
            [
                r#"{"transport":"janus.transport.http","id":"1","data":{"event":"request","admin_api":true,"ip":"192.0.2.1","port":4000}}"#,
                r#"{"transport":"janus.transport.websockets","id":"7","data":{"event":"connected","admin_api":false,"ip":"192.0.2.2"}}"#,
                r#"{"transport":"janus.transport.websockets","id":"7","data":{"event":"disconnected"}}"#,
                r#"{"transport":"janus.transport.pfunix","id":"8","data":{"event":"connected","admin_api":false,"fd":6}}"#,
                r#"{"transport":"janus.transport.pfunix","id":"9","data":{"event":"connected","admin_api":true,"fd":-1,"type":"SOCK_DGRAM"}}"#,
                r#"{"transport":"janus.transport.pfunix","id":"9","data":{"event":"disconnected"}}"#,
            ]
        );
    }
}
