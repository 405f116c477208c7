//! `turn_rest_api`: TURN servers for our own candidates, with credentials of a service that are renewed in time.

use portunus_ice_servers::rest::{Grant, Keeper};
use portunus_media::{Engine, TurnServer, TurnTransport};

use crate::settings::Settings;
use crate::wiring;

/// Servers of a grant that are used.
const MAX_SERVERS: usize = 4;

/// Asks the service for as long as the gateway runs, and tells the engine; for a runtime. Servers of the settings stay.
pub(crate) fn keep(settings: &Settings, engine: &Engine) {
    let Some((service, servers)) = settings.nat.turn_rest.clone().zip(engine.turn_servers()) else { return };
    let own: Vec<_> = settings.nat.turn_server.iter().map(wiring::turn_server).collect();
    tokio::spawn(async move {
        let keeper = Keeper::start(service, None);
        let mut grants = keeper.grants();
        while grants.changed().await.is_ok() {
            let granted = grants.borrow_and_update().as_ref().map(servers_of).unwrap_or_default();
            tracing::info!(servers = granted.len(), "TURN servers of the service");
            servers.set(own.iter().cloned().chain(granted).collect());
        }
    });
}

/// The TURN servers of a grant, best first.
fn servers_of(grant: &Grant) -> Vec<TurnServer> {
    let relays = grant.uris.iter().filter_map(|url| url.turn());
    let server = |(host, port, transport)| TurnServer {
        host,
        port,
        transport,
        username: grant.username.clone(),
        password: grant.password.expose().to_owned(),
    };
    let way = |turn: portunus_ice_servers::TurnUrl| {
        let transport = match (turn.secure, turn.tcp) {
            (false, false) => TurnTransport::Udp,
            (false, true) => TurnTransport::Tcp,
            (true, true) => TurnTransport::Tls,
            // DTLS to a TURN server is nothing that we speak.
            (true, false) => return None,
        };
        Some((turn.host, turn.port, transport))
    };
    relays.filter_map(way).map(server).take(MAX_SERVERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_a_service_grants_becomes_servers_with_its_credentials() {
        let uris = [
            "turn:turn.example:3479?transport=udp",
            "turn:turn.example?transport=tcp",
            "turns:[2001:db8::1]",
            "turns:turn.example?transport=udp",
            "stun:turn.example",
        ];
        let grant = Grant {
            username: "17:gateway".to_owned(),
            password: "hunter2".into(),
            ttl: Duration::from_secs(60),
            uris: uris.map(|text| text.parse().unwrap()).into(),
        };
        let servers = servers_of(&grant);
        let ways: Vec<_> = servers.iter().map(|s| (s.host.as_str(), s.port, s.transport)).collect();
        assert_eq!(
            ways,
            [
                ("turn.example", 3479, TurnTransport::Udp),
                ("turn.example", 3478, TurnTransport::Tcp),
                ("2001:db8::1", 5349, TurnTransport::Tls),
            ]
        );
        assert!(servers.iter().all(|s| s.username == "17:gateway" && s.password == "hunter2"));
    }
}
