//! What clients are told, and what services say of it.

use crate::mint::seconds_left;
use crate::{Credentials, Hidden, IceUrl, limits};
use portunus_api::{Object, Value, json};

/// `iceTransportPolicy`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Policy {
    /// All candidates.
    #[default]
    All,
    /// Only those of a relay.
    Relay,
}

impl Policy {
    /// As browsers spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Relay => "relay",
        }
    }
}

/// One of `iceServers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceServer {
    /// Its addresses, at least one.
    pub urls: Vec<IceUrl>,
    /// Who may use it; always there for TURN.
    pub credentials: Option<Credentials>,
}

/// All that a client needs for its PeerConnections.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Answer {
    /// `iceServers`
    pub servers: Vec<IceServer>,
    /// `iceTransportPolicy`
    pub policy: Policy,
    /// How long it is valid, seconds.
    pub ttl: u64,
}

impl Answer {
    /// For clients, passwords included.
    pub fn to_json(&self) -> Value {
        let server = |server: &IceServer| {
            let urls: Vec<_> = server.urls.iter().map(IceUrl::as_str).collect();
            match &server.credentials {
                None => json!({ "urls": urls }),
                Some(Credentials { username, password }) => {
                    json!({ "urls": urls, "username": username, "credential": password.expose() })
                }
            }
        };
        let servers: Vec<_> = self.servers.iter().map(server).collect();
        json!({ "iceServers": servers, "iceTransportPolicy": self.policy.name(), "ttl": self.ttl })
    }

    /// Reads a service's answer: an `RTCConfiguration`, or that of the TURN REST API. Members we do not know are left out;
    /// of those we know none may be wrong. `policy` and `ttl` were asked for.
    pub(crate) fn read(bytes: &[u8], policy: Policy, ttl: u64, unix_now: u64) -> Result<Self, &'static str> {
        let value: Value = serde_json::from_slice(bytes).map_err(|_| "it is not JSON")?;
        let object = value.as_object().ok_or("it is no JSON object")?;
        let mut answer = if object.contains_key("iceServers") {
            Self { servers: servers(object)?, policy: policy_of(object, policy)?, ttl: ttl_of(object, ttl)? }
        } else {
            let RestAnswer { credentials, ttl, urls } = RestAnswer::of(object, ttl)?;
            Self { servers: vec![IceServer { urls, credentials: Some(credentials) }], policy, ttl }
        };
        for name in answer.servers.iter().filter_map(|s| s.credentials.as_ref()).map(|c| &c.username) {
            if let Some(left) = seconds_left(name, unix_now) {
                answer.ttl = answer.ttl.min(left);
            }
        }
        if answer.ttl == 0 { Err("its credentials are over already") } else { Ok(answer) }
    }
}

/// The answer of the TURN REST API.
pub(crate) struct RestAnswer {
    pub(crate) credentials: Credentials,
    pub(crate) ttl: u64,
    pub(crate) urls: Vec<IceUrl>,
}

impl RestAnswer {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        let value: Value = serde_json::from_slice(bytes).map_err(|_| "it is not JSON")?;
        let answer = Self::of(value.as_object().ok_or("it is no JSON object")?, limits::USUAL_TTL)?;
        if answer.ttl == 0 { Err("its credentials are over already") } else { Ok(answer) }
    }

    fn of(object: &Object, usual_ttl: u64) -> Result<Self, &'static str> {
        let credentials = credentials(object, "username", "password")?;
        let credentials = credentials.ok_or("it has neither `iceServers` nor `username` and `password`")?;
        let urls = urls(object.get("uris").ok_or("it has no `uris`")?)?;
        Ok(Self { credentials, ttl: ttl_of(object, usual_ttl)?, urls })
    }
}

fn servers(object: &Object) -> Result<Vec<IceServer>, &'static str> {
    let list = object.get("iceServers").and_then(Value::as_array).ok_or("`iceServers` is no array")?;
    if list.len() > limits::SERVERS {
        return Err("it has too many `iceServers`");
    }
    list.iter().map(|one| server(one.as_object().ok_or("one of `iceServers` is no object")?)).collect()
}

fn server(object: &Object) -> Result<IceServer, &'static str> {
    // `url` is the old name.
    let named =
        object.get("urls").or_else(|| object.get("url")).ok_or("one of `iceServers` has no `urls`")?;
    let urls = urls(named)?;
    let credentials = credentials(object, "username", "credential")?;
    if credentials.is_none() && urls.iter().any(IceUrl::is_turn) {
        return Err("a turn: or turns: server has no `username` and `credential`");
    }
    Ok(IceServer { urls, credentials })
}

fn urls(value: &Value) -> Result<Vec<IceUrl>, &'static str> {
    let one = std::slice::from_ref(value);
    let list = value.as_array().map_or(one, Vec::as_slice);
    if list.is_empty() || list.len() > limits::SERVERS {
        return Err("a server has no address, or too many");
    }
    let url = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
    list.iter().map(|value| url(value).ok_or("an address is no stun:, stuns:, turn: or turns: URL")).collect()
}

/// Both, or neither.
fn credentials(object: &Object, user: &str, password: &str) -> Result<Option<Credentials>, &'static str> {
    let text = |name: &str| match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_str() {
            Some(text) if is_credential(text) => Ok(Some(text.to_owned())),
            _ => Err("a user name or password is no text, empty, too long, or has control characters"),
        },
    };
    match (text(user)?, text(password)?) {
        (None, None) => Ok(None),
        (Some(username), Some(password)) => {
            Ok(Some(Credentials { username, password: Hidden::from(password) }))
        }
        _ => Err("a user name is without its password, or a password without its user name"),
    }
}

/// Whether a text may be a user name or a password.
pub(crate) fn is_credential(text: &str) -> bool {
    (1..=limits::CREDENTIAL_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Who wants relays only gets that, whatever the service thinks of it.
fn policy_of(object: &Object, wanted: Policy) -> Result<Policy, &'static str> {
    match object.get("iceTransportPolicy").map(Value::as_str) {
        None => Ok(wanted),
        Some(Some("relay")) => Ok(Policy::Relay),
        Some(Some("all")) => Ok(wanted),
        Some(_) => Err("`iceTransportPolicy` is neither \"all\" nor \"relay\""),
    }
}

fn ttl_of(object: &Object, usual: u64) -> Result<u64, &'static str> {
    match object.get("ttl") {
        None | Some(Value::Null) => Ok(usual),
        Some(value) => value.as_u64().map(|ttl| ttl.min(limits::TTL)).ok_or("`ttl` is no number of seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn read(text: &str) -> Result<String, &'static str> {
        Answer::read(text.as_bytes(), Policy::All, 3600, NOW).map(|answer| answer.to_json().to_string())
    }

    #[test]
    fn a_configuration_is_passed_on_with_what_we_know_of_it() {
        let text = r#"{"iceServers":[{"urls":["turn:192.0.2.1:3478?transport=udp"],"username":"user-1","credential":"pass-1",
            "credentialType":"password"},{"url":"stun:192.0.2.2"}],"iceTransportPolicy":"relay","bundlePolicy":"x","evil":1}"#;
        let wanted = r#"{"iceServers":[{"urls":["turn:192.0.2.1:3478?transport=udp"],"username":"user-1","credential":"pass-1"},{"urls":["stun:192.0.2.2"]}],"iceTransportPolicy":"relay","ttl":3600}"#;
        assert_eq!(read(text).unwrap(), wanted);
        let none = r#"{"iceServers":[],"iceTransportPolicy":"all","ttl":3600}"#;
        assert_eq!(read(r#"{"iceServers":[]}"#).unwrap(), none);
    }

    #[test]
    fn the_answer_of_the_turn_rest_api_becomes_a_configuration() {
        let text = r#"{"username":"user-1","password":"pass-1","ttl":600,"uris":["turn:192.0.2.1"]}"#;
        let wanted = r#"{"iceServers":[{"urls":["turn:192.0.2.1"],"username":"user-1","credential":"pass-1"}],"iceTransportPolicy":"all","ttl":600}"#;
        assert_eq!(read(text).unwrap(), wanted);
    }

    #[test]
    fn it_is_valid_as_long_as_its_shortest_user_name() {
        let of = |name: &str| {
            let text =
                format!(r#"{{"iceServers":[{{"urls":"turn:a","username":"{name}","credential":"p"}}]}}"#);
            Answer::read(text.as_bytes(), Policy::All, 3600, NOW).map(|answer| answer.ttl)
        };
        assert_eq!(of("user"), Ok(3600));
        assert_eq!(of("1700000100:user"), Ok(100));
        assert_eq!(of("1700009999:user"), Ok(3600));
        assert_eq!(of("1699999999:user"), Err("its credentials are over already"));
    }

    #[test]
    fn relays_only_stays_so() {
        let text = br#"{"iceServers":[],"iceTransportPolicy":"all"}"#;
        assert_eq!(Answer::read(text, Policy::Relay, 60, NOW).unwrap().policy, Policy::Relay);
    }

    #[test]
    fn wrong_answers_are_refused() {
        let long = "x".repeat(limits::CREDENTIAL_BYTES + 1);
        let server = |user: &str| {
            format!(r#"{{"iceServers":[{{"urls":"turn:a","username":{user},"credential":"p"}}]}}"#)
        };
        for (text, part) in [
            ("", "not JSON"),
            ("<html>", "not JSON"),
            ("[]", "no JSON object"),
            ("{}", "neither"),
            (r#"{"iceServers":{}}"#, "no array"),
            (r#"{"iceServers":[1]}"#, "no object"),
            (r#"{"iceServers":[{}]}"#, "no `urls`"),
            (r#"{"iceServers":[{"urls":[]}]}"#, "no address"),
            (r#"{"iceServers":[{"urls":["javascript:alert(1)"]}]}"#, "no stun:"),
            (r#"{"iceServers":[{"urls":[5]}]}"#, "no stun:"),
            (r#"{"iceServers":[{"urls":"turn:a"}]}"#, "no `username`"),
            (r#"{"iceServers":[{"urls":"turn:a","username":"u"}]}"#, "without"),
            (&server("5"), "no text"),
            (&server(r#""""#), "no text"),
            (&server(r#""a\nb""#), "no text"),
            (&server(&format!("\"{long}\"")), "no text"),
            (r#"{"iceServers":[],"iceTransportPolicy":"none"}"#, "iceTransportPolicy"),
            (r#"{"iceServers":[],"ttl":"soon"}"#, "no number"),
            (r#"{"iceServers":[],"ttl":0}"#, "over already"),
            (r#"{"username":"u","password":"p"}"#, "no `uris`"),
            (r#"{"username":"u","password":"p","uris":[],"ttl":5}"#, "no address"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        let many = format!(r#"{{"iceServers":[{}{{}}]}}"#, "{},".repeat(limits::SERVERS));
        assert!(read(&many).unwrap_err().contains("too many"));
    }
}
