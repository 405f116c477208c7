//! Who may see recordings.
//!
//! With a password: whoever knows it (Basic, RFC 7617; the user name is not looked at). Without one: this machine. A
//! request that came by a proxy of this machine, or under a name that is not this machine's own (a page whose name was
//! turned to 127.0.0.1, to read there what it may not read elsewhere), counts as one from elsewhere.

use crate::Password;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap};
use hyper::http::uri::{Authority, Uri};
use portunus_api::Guesses;
use portunus_api::token::same_secret;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a proxy writes into requests.
const OF_PROXIES: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// See the module.
pub(super) struct Guard {
    password: Option<Password>,
    guesses: Mutex<Guesses>,
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Welcome,
    /// It has no password.
    Unknown,
    /// Its password is wrong; the answer is held back for so long.
    Wrong(Duration),
    /// There is no password, and it is not from this machine.
    Elsewhere,
}

impl Guard {
    pub(super) fn new(password: Option<Password>) -> Self {
        Self { password, guesses: Mutex::default() }
    }

    pub(super) fn look(&self, address: IpAddr, uri: &Uri, headers: &HeaderMap, now: Instant) -> Verdict {
        let Some(password) = &self.password else {
            let here = address.to_canonical().is_loopback() && names_this_machine(uri, headers);
            let direct = OF_PROXIES.iter().all(|name| !headers.contains_key(*name));
            return if here && direct { Verdict::Welcome } else { Verdict::Elsewhere };
        };
        let Some(given) = headers.get(AUTHORIZATION) else { return Verdict::Unknown };
        if given
            .to_str()
            .ok()
            .and_then(password_of)
            .is_some_and(|given| same_secret(&given, password.expose()))
        {
            return Verdict::Welcome;
        }
        let mut guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        Verdict::Wrong(guesses.wrong(address.to_canonical(), now))
    }
}

/// The password of Basic credentials.
fn password_of(header: &str) -> Option<String> {
    let (scheme, credentials) = header.trim().split_once(' ')?;
    let credentials = scheme.eq_ignore_ascii_case("basic").then_some(credentials.trim())?;
    let text = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    Some(text.split_once(':')?.1.to_owned())
}

fn names_this_machine(uri: &Uri, headers: &HeaderMap) -> bool {
    let named = || headers.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let Some(authority) = uri.authority().cloned().or_else(named) else { return false };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(guard: &Guard, address: &str, headers: &[(&'static str, &str)]) -> Verdict {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (hyper::header::HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        guard.look(address.parse().unwrap(), &Uri::from_static("/recordings/"), &headers, Instant::now())
    }

    #[test]
    fn without_a_password_only_this_machine_is_welcome() {
        let guard = Guard::new(None);
        for (address, headers, expected) in [
            ("127.0.0.1", &[("host", "localhost:8088")][..], Verdict::Welcome),
            ("127.0.0.1", &[("host", "127.0.0.1:8088")], Verdict::Welcome),
            ("127.8.0.1", &[("host", "LOCALHOST")], Verdict::Welcome),
            ("::1", &[("host", "[::1]:8088")], Verdict::Welcome),
            ("::ffff:127.0.0.1", &[("host", "localhost")], Verdict::Welcome),
            ("127.0.0.1", &[], Verdict::Elsewhere),
            ("127.0.0.1", &[("host", "evil.example")], Verdict::Elsewhere),
            ("127.0.0.1", &[("host", "localhost.evil.example")], Verdict::Elsewhere),
            ("127.0.0.1", &[("host", "localhost@evil.example")], Verdict::Elsewhere),
            ("127.0.0.1", &[("host", "192.0.2.1")], Verdict::Elsewhere),
            ("127.0.0.1", &[("host", "localhost"), ("x-forwarded-for", "127.0.0.1")], Verdict::Elsewhere),
            ("127.0.0.1", &[("host", "localhost"), ("forwarded", "for=127.0.0.1")], Verdict::Elsewhere),
            ("127.0.0.1", &[("host", "localhost"), ("via", "1.1 proxy")], Verdict::Elsewhere),
            ("192.0.2.1", &[("host", "localhost")], Verdict::Elsewhere),
            ("10.0.0.1", &[("host", "127.0.0.1")], Verdict::Elsewhere),
            ("2001:db8::1", &[("host", "[::1]")], Verdict::Elsewhere),
        ] {
            assert_eq!(look(&guard, address, headers), expected, "{address} {headers:?}");
        }
    }

    #[test]
    fn with_a_password_everybody_who_knows_it_is_welcome() {
        let guard = Guard::new(Some("naïve: secret".into()));
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for (header, expected) in [
            (basic("anybody:naïve: secret"), Verdict::Welcome),
            (basic(":naïve: secret"), Verdict::Welcome),
            (basic("x:naïve: secret").replace("Basic", "bASIC"), Verdict::Welcome),
            (basic("naïve: secret"), Verdict::Wrong(Duration::ZERO)),
            (basic("x:naïve: Secret"), Verdict::Wrong(Duration::ZERO)),
            (basic("x:"), Verdict::Wrong(Duration::ZERO)),
            (basic("x"), Verdict::Wrong(Duration::ZERO)),
            (format!("Bearer {}", STANDARD.encode("x:naïve: secret")), Verdict::Wrong(Duration::ZERO)),
            ("Basic ???".to_owned(), Verdict::Wrong(Duration::from_millis(100))),
        ] {
            assert_eq!(look(&guard, "192.0.2.1", &[("authorization", &header)]), expected, "{header}");
        }
        assert_eq!(
            look(&guard, "127.0.0.1", &[("host", "localhost")]),
            Verdict::Unknown,
            "also on this machine"
        );
        let right = basic("x:naïve: secret");
        assert_eq!(
            look(&guard, "192.0.2.1", &[("authorization", &right)]),
            Verdict::Welcome,
            "never kept waiting"
        );
    }
}
