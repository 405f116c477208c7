//! Cross-origin rules of the HTTP and WebSocket listeners.
//!
//! Two differences from Janus, both on the safe side: `enforce_cors` compares whole origins (Janus lets
//! `http://ok.example.evil` pass for `http://ok.example`), and the Admin API without `allow_origin` answers without
//! any permission instead of with `*`.

use crate::{Cors, Side};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, REFERER, VARY,
};

/// The rules of one listener.
#[derive(Clone, Debug)]
pub(crate) struct CrossOrigin {
    allow: Option<HeaderValue>,
    /// The origin that every request must have.
    only: Option<String>,
}

impl CrossOrigin {
    pub(crate) fn new(cors: &Cors, side: Side) -> Self {
        let named = cors.allow_origin.as_deref().map(str::trim).filter(|o| !o.is_empty());
        let allow = match (named, side) {
            (Some(origin), _) => HeaderValue::from_str(origin).ok(),
            (None, Side::Janus) => Some(HeaderValue::from_static("*")),
            (None, Side::Admin) => None,
        };
        let only = named.filter(|o| cors.enforce && *o != "*").map(origin_of);
        Self { allow, only }
    }

    /// Whether a request with these headers may be answered.
    pub(crate) fn permits(&self, headers: &HeaderMap) -> bool {
        let Some(only) = &self.only else { return true };
        let from = headers.get(ORIGIN).or_else(|| headers.get(REFERER)).and_then(|v| v.to_str().ok());
        from.is_some_and(|from| origin_of(from) == *only)
    }

    /// The headers of every answer to a request with headers `asked`.
    pub(crate) fn write(&self, asked: &HeaderMap, answer: &mut HeaderMap) {
        let Some(allow) = &self.allow else { return };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allow.clone());
        if allow != "*" {
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            answer.insert(VARY, HeaderValue::from_static("Origin"));
        }
        answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
        for (wish, grant) in [
            (ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_ALLOW_METHODS),
            (ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_ALLOW_HEADERS),
        ] {
            if let Some(value) = asked.get(wish) {
                answer.insert(grant, value.clone());
            }
        }
    }
}

/// `scheme://host:port` of a URL or an origin, in lower case; whatever else it is, as it stands.
fn origin_of(url: &str) -> String {
    let url = url.trim();
    let end = url.find("://").map_or(url.len(), |scheme| {
        let host = scheme + 3;
        url.get(host..).and_then(|rest| rest.find(['/', '?', '#'])).map_or(url.len(), |n| host + n)
    });
    url.get(..end).unwrap_or(url).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enforcement_compares_whole_origins() {
        let cors = Cors { allow_origin: Some("http://ok.example".into()), enforce: true };
        let rules = CrossOrigin::new(&cors, Side::Janus);
        for (name, value, permitted) in [
            ("origin", "http://ok.example", true),
            ("origin", "http://OK.example", true),
            ("origin", "http://ok.example.evil", false),
            ("origin", "http://ok.example:8080", false),
            ("origin", "https://ok.example", false),
            ("origin", "null", false),
            ("referer", "http://ok.example/page?x#y", true),
            ("referer", "http://ok.example.evil/http://ok.example", false),
            ("host", "http://ok.example", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(rules.permits(&headers), permitted, "{name}: {value}");
        }
    }

    #[test]
    fn an_origin_goes_before_a_referer() {
        let cors = Cors { allow_origin: Some("http://ok.example".into()), enforce: true };
        let mut headers = HeaderMap::new();
        headers.insert("origin", "http://evil.example".parse().unwrap());
        headers.insert("referer", "http://ok.example/".parse().unwrap());
        assert!(!CrossOrigin::new(&cors, Side::Janus).permits(&headers));
    }

    #[test]
    fn the_admin_api_never_allows_everybody_by_itself() {
        let mut answer = HeaderMap::new();
        CrossOrigin::new(&Cors::default(), Side::Admin).write(&HeaderMap::new(), &mut answer);
        assert!(answer.is_empty());
    }

    #[test]
    fn enforcement_needs_an_origin_to_enforce() {
        for allow_origin in [None, Some("*".to_owned())] {
            let rules = CrossOrigin::new(&Cors { allow_origin, enforce: true }, Side::Janus);
            assert!(rules.permits(&HeaderMap::new()));
        }
    }
}
