//! Addresses of STUN and TURN servers: RFC 7064 and RFC 7065.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Longest name of a host in the DNS.
const HOST_BYTES: usize = 253;

/// `stun:`, `stuns:`, `turn:` or `turns:`, a host, perhaps a port, and for TURN perhaps `?transport=udp` or `tcp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceUrl {
    text: String,
    turn: bool,
}

impl IceUrl {
    /// As browsers want it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A relay, which browsers take only together with a user name and a password.
    pub fn is_turn(&self) -> bool {
        self.turn
    }
}

/// The parts of a `turn:` or `turns:` address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnUrl {
    /// Name or address, without brackets.
    pub host: String,
    /// 3478, or 5349 over TLS, where none is named (RFC 7065 section 3.1).
    pub port: u16,
    /// `turns:`
    pub secure: bool,
    /// Over TCP: what is named, else UDP for `turn:` and TCP for `turns:`.
    pub tcp: bool,
}

impl IceUrl {
    /// Its parts, if it is a TURN server's.
    pub fn turn(&self) -> Option<TurnUrl> {
        let (scheme, rest) = self.text.split_once(':').filter(|_| self.turn)?;
        let secure = scheme == "turns";
        let (place, transport) =
            rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
        let (host, port) = match place.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            Some(port) => port.parse().ok()?,
            None => {
                if secure {
                    5349
                } else {
                    3478
                }
            }
        };
        let tcp = transport.map_or(secure, |query| query == "transport=tcp");
        Some(TurnUrl { host: host.to_owned(), port, secure, tcp })
    }
}

impl fmt::Display for IceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What is wrong with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Another scheme, or none.
    #[error("must begin with stun:, stuns:, turn: or turns:")]
    Scheme,
    /// `turn://host`
    #[error("is written without `//`")]
    Slashes,
    /// `turn:user@host`
    #[error("holds no user name or password: they have keys of their own")]
    User,
    /// No host, or none that can be.
    #[error("needs a host: a name, an IPv4 address, or an IPv6 address in brackets")]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("needs a port from 1 to 65535 behind its last colon, or neither")]
    Port,
    /// Anything behind a question mark but the transport of TURN.
    #[error(
        "may have nothing behind its host and port but, for turn: and turns:, ?transport=udp or ?transport=tcp"
    )]
    Query,
}

impl FromStr for IceUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let text = text.trim();
        let (scheme, rest) = text.split_once(':').ok_or(BadUrl::Scheme)?;
        let scheme = scheme.to_ascii_lowercase();
        let turn = match scheme.as_str() {
            "stun" | "stuns" => false,
            "turn" | "turns" => true,
            _ => return Err(BadUrl::Scheme),
        };
        if rest.starts_with("//") {
            return Err(BadUrl::Slashes);
        }
        let (place, query) = match rest.split_once('?') {
            Some((place, query)) => (place, Some(query)),
            None => (rest, None),
        };
        match query {
            None => {}
            Some("transport=udp" | "transport=tcp") if turn => {}
            Some(_) => return Err(BadUrl::Query),
        }
        if place.contains('@') {
            return Err(BadUrl::User);
        }
        check_place(place)?;
        Ok(Self { text: format!("{scheme}:{rest}"), turn })
    }
}

fn check_place(place: &str) -> Result<(), BadUrl> {
    let (host_is_right, port) = match place.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']').ok_or(BadUrl::Host)?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or(BadUrl::Port)?) };
            (host.parse::<Ipv6Addr>().is_ok(), port)
        }
        None => {
            let (host, port) = place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port)));
            (is_host(host), port)
        }
    };
    if !host_is_right {
        return Err(BadUrl::Host);
    }
    let Some(port) = port else { return Ok(()) };
    // An IPv6 address without brackets has more colons.
    if port.contains(':') {
        return Err(BadUrl::Host);
    }
    let number = port.parse::<u16>().is_ok_and(|port| port > 0);
    if number && port.bytes().all(|b| b.is_ascii_digit()) { Ok(()) } else { Err(BadUrl::Port) }
}

/// An IPv4 address or a name. Names are taken as they are used: with underscores, too.
fn is_host(host: &str) -> bool {
    if host.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.len() <= HOST_BYTES && host.strip_suffix('.').unwrap_or(host).split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_rfc_7064_and_7065() {
        for (text, expected) in [
            ("stun:stun.example.org", Ok(false)),
            ("stun:192.0.2.1:3478", Ok(false)),
            ("stuns:stun.example.org:5349", Ok(false)),
            ("turn:turn.example.org", Ok(true)),
            ("turn:turn.example.org:3478?transport=udp", Ok(true)),
            ("turns:[2001:db8::1]:443?transport=tcp", Ok(true)),
            ("turn:[2001:db8::1]", Ok(true)),
            ("turn:turn_1.stunner.svc.cluster.local.", Ok(true)),
            (" turn:a ", Ok(true)),
            ("http://turn.example.org", Err(BadUrl::Scheme)),
            ("turn.example.org", Err(BadUrl::Scheme)),
            ("", Err(BadUrl::Scheme)),
            ("turn.example.org:3478", Err(BadUrl::Scheme)),
            ("turn://turn.example.org", Err(BadUrl::Slashes)),
            ("turn:name:word@turn.example.org", Err(BadUrl::User)),
            ("turn:", Err(BadUrl::Host)),
            ("turn::3478", Err(BadUrl::Host)),
            ("turn:192.0.2.300", Err(BadUrl::Host)),
            ("turn:2001:db8::1", Err(BadUrl::Host)),
            ("turn:[2001:db8::1", Err(BadUrl::Host)),
            ("turn:[192.0.2.1]", Err(BadUrl::Host)),
            ("turn:a..b", Err(BadUrl::Host)),
            ("turn:a b", Err(BadUrl::Host)),
            ("turn:a/path", Err(BadUrl::Host)),
            ("turn:ä.example", Err(BadUrl::Host)),
            ("turn:a\"b", Err(BadUrl::Host)),
            ("turn:a:", Err(BadUrl::Port)),
            ("turn:a:0", Err(BadUrl::Port)),
            ("turn:a:+5", Err(BadUrl::Port)),
            ("turn:a:65536", Err(BadUrl::Port)),
            ("turn:[::1]3478", Err(BadUrl::Port)),
            ("turn:a?transport=sctp", Err(BadUrl::Query)),
            ("turn:a?", Err(BadUrl::Query)),
            ("stun:a?transport=udp", Err(BadUrl::Query)),
        ] {
            assert_eq!(text.parse::<IceUrl>().map(|url| url.is_turn()), expected, "{text}");
        }
    }

    #[test]
    fn the_scheme_is_written_small() {
        assert_eq!("TURN:Turn.example".parse::<IceUrl>().unwrap().as_str(), "turn:Turn.example");
    }
}
