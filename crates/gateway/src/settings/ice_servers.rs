//! Section `ice_servers` of `janus.jcfg`: what clients are told at `BASE/ice-servers`.

use portunus_ice_servers::{IceUrl, Policy, ServiceUrl};
use portunus_jcfg::{Kind, Reader, Section, Severity};

use super::keys::JANUS;
use super::{Secret, values};

/// Bytes of the name part of minted user names.
const USER_BYTES: usize = 128;
/// Keys that stand for servers of our own.
const OWN: [&str; 4] = ["urls", "username", "credential", "secret"];

/// Section `ice_servers`, which is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IceServers {
    /// STUN and TURN servers.
    pub(crate) urls: Vec<IceUrl>,
    /// How clients get into the TURN servers of them.
    pub(crate) login: Login,
    /// The name part of user names.
    pub(crate) user: String,
    /// How long an answer is valid, seconds.
    pub(crate) ttl: u64,
    /// Which candidates clients use.
    pub(crate) policy: Policy,
    /// Who is asked instead.
    pub(crate) service: Option<Service>,
}

/// How clients get into TURN servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Login {
    /// No TURN server is handed out.
    None,
    /// `username` and `credential`
    Static(String, Secret),
    /// `secret`
    Minted(Secret),
}

/// An authentication service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    /// `auth_service`
    pub(crate) url: ServiceUrl,
    /// `auth_namespace`
    pub(crate) namespace: Option<String>,
    /// `auth_gateway`
    pub(crate) gateway: Option<String>,
    /// `auth_listener`
    pub(crate) listener: Option<String>,
}

impl IceServers {
    /// Anything is handed out.
    pub(crate) fn is_on(&self) -> bool {
        !self.urls.is_empty() || self.service.is_some()
    }
}

pub(super) fn read(reader: &Reader<'_>) -> IceServers {
    let mut s = JANUS.open(reader, "ice_servers");
    let url = |text: &str| text.parse().map_err(|wrong| format!("holds `{text}`, which {wrong}"));
    let policies = [("all", Policy::All), ("relay", Policy::Relay)];
    let servers = IceServers {
        urls: s.get_list_with("urls", url).unwrap_or_default(),
        login: read_login(&mut s),
        user: s.get_with("user", user).unwrap_or_else(|| "portunus".to_owned()),
        ttl: s.get_int("ttl_s", 3600, 60..=7 * 86_400),
        policy: s.get_enum("policy", &policies, Policy::All),
        service: read_service(&mut s),
    };
    check(&mut s, &servers);
    servers
}

/// The name part of a user name: the expiry stands before a colon.
fn user(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fine = text.len() <= USER_BYTES && !text.contains(|c: char| c == ':' || c.is_control());
    fine.then(|| text.to_owned())
        .ok_or_else(|| format!("must be at most {USER_BYTES} bytes without colons and control characters"))
}

fn read_login(s: &mut Section<'_>) -> Login {
    let username = s.get_filled("username").map(|name| name.trim().to_owned());
    let credential = values::secret(s, "credential");
    let secret = values::secret(s, "secret");
    let mut refuse = |key, message| s.report(key, Severity::Error, Kind::BadValue, message);
    match (username, credential, secret) {
        (None, None, None) => Login::None,
        (Some(username), Some(credential), None) => Login::Static(username, credential),
        (None, None, Some(secret)) => Login::Minted(secret),
        (_, _, Some(_)) => {
            refuse(
                "secret",
                "mints user names and passwords: `username` and `credential` cannot be set beside it",
            );
            Login::None
        }
        (Some(_), None, None) => {
            refuse("username", "is without its password, `credential`");
            Login::None
        }
        (None, Some(_), None) => {
            refuse("credential", "is without its `username`");
            Login::None
        }
    }
}

fn read_service(s: &mut Section<'_>) -> Option<Service> {
    let url = s.get_with("auth_service", |text| text.parse::<ServiceUrl>().map_err(str::to_owned));
    let [namespace, gateway, listener] =
        ["auth_namespace", "auth_gateway", "auth_listener"].map(|key| s.get_filled(key));
    let mut warn = |key, message| s.report(key, Severity::Warning, Kind::Advice, message);
    if url.is_some() && gateway.is_some() && namespace.is_none() {
        warn("auth_gateway", "needs its namespace, `auth_namespace`, for STUNner to find it");
    }
    if url.is_some() && listener.is_some() && gateway.is_none() {
        warn("auth_listener", "needs its gateway, `auth_gateway`, for STUNner to find it");
    }
    for (key, value) in
        [("auth_namespace", &namespace), ("auth_gateway", &gateway), ("auth_listener", &listener)]
    {
        if url.is_none() && value.is_some() {
            warn(key, "has no effect without `auth_service`");
        }
    }
    Some(Service { url: url?, namespace, gateway, listener })
}

/// What contradicts itself, or does not do what somebody may expect of it.
fn check(s: &mut Section<'_>, servers: &IceServers) {
    let set = OWN.into_iter().find(|key| s.get_list(key).is_some_and(|parts| !parts.is_empty()));
    if let (Some(_), Some(key)) = (&servers.service, set) {
        let message = format!("is asked for all servers and credentials: `{key}` cannot be set beside it");
        return s.report("auth_service", Severity::Error, Kind::BadValue, message);
    }
    let relays = servers.urls.iter().any(IceUrl::is_turn);
    let mut warn = |key, message| s.report(key, Severity::Warning, Kind::Advice, message);
    match &servers.login {
        Login::None if relays => warn(
            "urls",
            "names TURN servers, and there is neither `secret` nor `username` and `credential`: they are left out, \
             since browsers refuse a TURN server without credentials",
        ),
        Login::Static(..) if !relays => warn("username", "is for nothing: `urls` names no TURN server"),
        Login::Minted(_) if !relays => warn("secret", "is for nothing: `urls` names no TURN server"),
        _ => {}
    }
    let can_relay = servers.service.is_some() || (relays && servers.login != Login::None);
    if servers.policy == Policy::Relay && servers.is_on() && !can_relay {
        warn("policy", "is `relay`, and there is no TURN server: clients will find no way");
    }
}
