//! Where the ICE servers of clients come from.

use crate::{Answer, AuthService, Credentials, Error, Hidden, IceServer, IceUrl, Policy, mint};

/// One of the three ways, or none.
#[derive(Debug, Default)]
pub enum Source {
    /// Nothing is handed out.
    #[default]
    Off,
    /// Addresses of the settings.
    Own {
        /// STUN and TURN servers.
        urls: Vec<IceUrl>,
        /// For those that are TURN servers.
        login: Login,
        /// `iceTransportPolicy`
        policy: Policy,
        /// How long an answer is valid, seconds.
        ttl: u64,
    },
    /// What a service says.
    Service(Box<AuthService>),
}

/// How clients get into TURN servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Not at all: then no TURN server is handed out, since browsers refuse one without credentials.
    None,
    /// All of them with the same credentials.
    Static(Credentials),
    /// With credentials that are made for each answer and end with it.
    Minted {
        /// What the TURN server knows, too.
        secret: Hidden,
        /// Put behind the expiry.
        user: String,
    },
}

impl Source {
    /// Whether there is anything to hand out.
    pub fn is_on(&self) -> bool {
        !matches!(self, Self::Off)
    }

    /// The answer to a client at `unix_now`, seconds since 1970.
    ///
    /// # Errors
    /// The service does not say anything that could be handed out.
    pub async fn hand_out(&self, unix_now: u64) -> Result<Answer, Error> {
        match self {
            Self::Off => Ok(Answer::default()),
            Self::Own { urls, login, policy, ttl } => {
                Ok(Answer { servers: own(urls, login, unix_now + ttl), policy: *policy, ttl: *ttl })
            }
            Self::Service(service) => service.ask(unix_now).await,
        }
    }
}

/// STUN servers, then TURN servers.
fn own(urls: &[IceUrl], login: &Login, expiry: u64) -> Vec<IceServer> {
    let credentials = match login {
        Login::None => None,
        Login::Static(credentials) => Some(credentials.clone()),
        Login::Minted { secret, user } => Some(mint(secret, user, expiry)),
    };
    let (turn, stun): (Vec<_>, Vec<_>) = urls.iter().cloned().partition(IceUrl::is_turn);
    let stun = Some(IceServer { urls: stun, credentials: None });
    let turn = credentials.map(|credentials| IceServer { urls: turn, credentials: Some(credentials) });
    stun.into_iter().chain(turn).filter(|server| !server.urls.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(urls: &[&str], login: Login) -> String {
        let urls = urls.iter().map(|url| url.parse().unwrap()).collect();
        let source = Source::Own { urls, login, policy: Policy::All, ttl: 3600 };
        source.hand_out(1_700_000_000).await.unwrap().to_json().to_string()
    }

    #[tokio::test]
    async fn turn_servers_come_with_credentials_or_not_at_all() {
        let urls = ["turn:a", "stun:b", "turns:a"];
        let fixed = Login::Static(Credentials { username: "u".into(), password: "p".into() });
        assert_eq!(
            told(&urls, fixed).await,
            r#"{"iceServers":[{"urls":["stun:b"]},{"urls":["turn:a","turns:a"],"username":"u","credential":"p"}],"iceTransportPolicy":"all","ttl":3600}"#
        );
        assert_eq!(
            told(&urls, Login::None).await,
            r#"{"iceServers":[{"urls":["stun:b"]}],"iceTransportPolicy":"all","ttl":3600}"#
        );
        let minted = Login::Minted { secret: "north".into(), user: "portunus".into() };
        let wanted = mint(&"north".into(), "portunus", 1_700_003_600);
        let told = told(&["turn:a"], minted).await;
        assert!(told.contains(r#""username":"1700003600:portunus""#), "{told}");
        assert!(told.contains(wanted.password.expose()), "{told}");
    }
}
