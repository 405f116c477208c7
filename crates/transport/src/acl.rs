//! Access lists: textual prefixes of addresses, as in Janus' `acl`.

use hyper::HeaderMap;
use std::net::IpAddr;

/// Who may connect. An empty list lets everybody in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acl {
    prefixes: Vec<String>,
    forwarded: bool,
}

impl Acl {
    pub(crate) fn new(prefixes: &[String], forwarded: bool) -> Self {
        let prefixes = prefixes.iter().map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect();
        Self { prefixes, forwarded }
    }

    /// Whether the other end of a new TCP connection may go on.
    pub(crate) fn allows_connection(&self, address: IpAddr) -> bool {
        self.forwarded || self.allows(&address.to_string())
    }

    /// Whether a request may go on, by the address a proxy wrote into it. Janus compares the whole header, so the
    /// first of several addresses decides; a request without the header is refused.
    pub(crate) fn allows_request(&self, headers: &HeaderMap) -> bool {
        if !self.forwarded || self.prefixes.is_empty() {
            return true;
        }
        let forwarded = headers.get("x-forwarded-for").and_then(|v| v.to_str().ok());
        forwarded.is_some_and(|address| self.allows(address.trim()))
    }

    fn allows(&self, address: &str) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|p| address.starts_with(p.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(prefixes: &[&str], forwarded: bool) -> Acl {
        Acl::new(&prefixes.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>(), forwarded)
    }

    #[test]
    fn prefixes_are_textual() {
        for (prefixes, address, allowed) in [
            (&[][..], "10.0.0.1", true),
            (&["127.", "192.168.0."], "192.168.0.9", true),
            (&["127.", " 192.168.0. "], "192.168.0.9", true),
            (&["127."], "128.0.0.1", false),
            (&["10.0.0.1"], "10.0.0.12", true),
            (&["2001:db8:"], "2001:db8::1", true),
            (&["", " "], "10.0.0.1", true),
        ] {
            let found = acl(prefixes, false).allows_connection(address.parse().unwrap());
            assert_eq!(found, allowed, "{prefixes:?} {address}");
        }
    }

    #[test]
    fn behind_a_proxy_the_header_decides() {
        let acl = acl(&["10."], true);
        assert!(acl.allows_connection("203.0.113.5".parse().unwrap()));
        let mut headers = HeaderMap::new();
        assert!(!acl.allows_request(&headers));
        headers.insert("x-forwarded-for", "10.1.1.1, 203.0.113.5".parse().unwrap());
        assert!(acl.allows_request(&headers));
        headers.insert("x-forwarded-for", "203.0.113.5, 10.1.1.1".parse().unwrap());
        assert!(!acl.allows_request(&headers));
    }
}
