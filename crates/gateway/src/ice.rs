//! The ICE servers that clients are told: as they are set now.

use crate::settings::{self, Login, Settings};
use crate::wiring;
use portunus_ice_servers::{AuthService, Credentials, Hidden, Source};
use portunus_telemetry::events::Handlers;
use portunus_transport::{IceAnswer, IceServers};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

/// See the module.
#[derive(Debug)]
pub(crate) struct ClientServers(RwLock<Arc<Source>>);

/// The transports' settings, and what they tell clients, for whoever reads settings again.
///
/// # Errors
/// A listener cannot be placed.
pub(crate) fn transport(
    settings: &Settings,
    handlers: &Handlers,
) -> anyhow::Result<(portunus_transport::Settings, Arc<ClientServers>)> {
    let servers = Arc::new(ClientServers::new(settings));
    let mut transport = wiring::transport(settings, wiring::observer(settings, handlers))?;
    transport.ice_servers = Some(servers.clone());
    Ok((transport, servers))
}

impl ClientServers {
    fn new(settings: &Settings) -> Self {
        Self(RwLock::new(Arc::new(source(&settings.ice_servers))))
    }

    /// Settings were read again. Answers under way are not held up.
    pub(crate) fn set(&self, settings: &Settings) {
        let fresh = Arc::new(source(&settings.ice_servers));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    fn now(&self) -> Arc<Source> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl IceServers for ClientServers {
    fn is_on(&self) -> bool {
        self.now().is_on()
    }

    fn hand_out(&self) -> IceAnswer<'_> {
        let source = self.now();
        Box::pin(async move {
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            // The log says why; where the service is is none of a client's business.
            let answer =
                source.hand_out(unix).await.map_err(|_| "The ICE servers cannot be found out now")?;
            Ok(answer.to_json())
        })
    }
}

fn source(settings: &settings::IceServers) -> Source {
    let settings::IceServers { urls, login, user, ttl, policy, service } = settings;
    let hidden = |secret: &settings::Secret| Hidden::from(secret.expose());
    if let Some(service) = service {
        let asked = AuthService::new(service.url.clone(), user, *ttl, *policy)
            .selecting("namespace", service.namespace.as_deref())
            .selecting("gateway", service.gateway.as_deref())
            .selecting("listener", service.listener.as_deref());
        return Source::Service(Box::new(asked));
    }
    if urls.is_empty() {
        return Source::Off;
    }
    let login = match login {
        Login::None => portunus_ice_servers::Login::None,
        Login::Static(username, credential) => portunus_ice_servers::Login::Static(Credentials {
            username: username.clone(),
            password: hidden(credential),
        }),
        Login::Minted(secret) => {
            portunus_ice_servers::Login::Minted { secret: hidden(secret), user: user.clone() }
        }
    };
    Source::Own { urls: urls.clone(), login, policy: *policy, ttl: *ttl }
}
