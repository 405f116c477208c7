//! Paths and query arguments, read as leniently as Janus reads them.

use std::borrow::Cow;

/// Where the API begins.
#[derive(Debug)]
pub(crate) struct Base(Vec<String>);

/// What a path below the base names. `Some(0)` is a segment that is no number.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) session: Option<u64>,
    pub(crate) handle: Option<u64>,
}

/// Names that stand where a session id would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Info,
    Ping,
}

impl Base {
    pub(crate) fn new(path: &str) -> Self {
        Self(path.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect())
    }

    pub(crate) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// `/janus`, or nothing for the root.
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(|s| format!("/{s}")).collect()
    }

    /// Whether `path` is `name` below the base.
    pub(crate) fn leads_to(&self, name: &str, path: &str) -> bool {
        self.below(path).is_some_and(|rest| matches!(rest.as_slice(), [only] if only == name))
    }

    /// What `path` names, or `None` when it leads elsewhere.
    pub(crate) fn place(&self, path: &str) -> Option<Place> {
        let rest = self.below(path)?;
        match rest.as_slice() {
            [] => Some(Place::default()),
            [first, second @ ..] if second.len() <= 1 => {
                let endpoint = match first.as_ref() {
                    "info" => Some(Endpoint::Info),
                    "ping" => Some(Endpoint::Ping),
                    // An empty segment within a path (`/janus//5`) leads nowhere; behind it, it is a session 0.
                    "" if !second.is_empty() => return None,
                    _ => None,
                };
                let session = endpoint.is_none().then(|| number(first));
                Some(Place { endpoint, session, handle: second.first().map(|s| number(s)) })
            }
            _ => None,
        }
    }

    /// The decoded segments of `path` behind the base. The base may be in any letter case; one trailing slash is allowed.
    fn below<'p>(&self, path: &'p str) -> Option<Vec<Cow<'p, str>>> {
        let path = path.strip_prefix('/')?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut segments = path.split('/').map(|s| decode(s, false));
        for expected in &self.0 {
            if !segments.next()?.eq_ignore_ascii_case(expected) {
                return None;
            }
        }
        Some(if self.is_root() && path.is_empty() { Vec::new() } else { segments.collect() })
    }
}

/// The first value of a query argument.
pub(crate) fn argument(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key, true) == name).then_some(value)
    })?;
    Some(decode(value, true).into_owned())
}

/// The number at the start of a text as C reads it, 0 if there is none: `12abc` is 12, ` +5` is 5. One that does not
/// fit is the largest there is, so it names nothing.
pub(crate) fn number(text: &str) -> u64 {
    let text = text.trim_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let digits = digits.get(..length).unwrap_or_default();
    let value = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(u64::MAX) };
    if negative { value.wrapping_neg() } else { value }
}

/// Undoes percent-encoding. Broken escapes stay as they are; what is no UTF-8 afterwards is replaced.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> Cow<'_, str> {
    if !text.bytes().any(|b| b == b'%' || (plus_is_space && b == b'+')) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = text.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let escaped = escaped.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(code) => {
                out.push(code);
                at += 3;
            }
            None => {
                out.push(if plus_is_space && *byte == b'+' { b' ' } else { *byte });
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(endpoint: Option<Endpoint>, session: Option<u64>, handle: Option<u64>) -> Option<Place> {
        Some(Place { endpoint, session, handle })
    }

    #[test]
    fn paths_lead_where_they_lead_with_janus() {
        let janus = Base::new("/janus/");
        for (path, expected) in [
            ("/janus", place(None, None, None)),
            ("/janus/", place(None, None, None)),
            ("/jan%75s", place(None, None, None)),
            ("/janus/5", place(None, Some(5), None)),
            ("/janus/5/", place(None, Some(5), None)),
            ("/janus/5/6", place(None, Some(5), Some(6))),
            ("/janus/%35/6/", place(None, Some(5), Some(6))),
            ("/janus/abc", place(None, Some(0), None)),
            ("/janus/abc/6", place(None, Some(0), Some(6))),
            ("/janus/info", place(Some(Endpoint::Info), None, None)),
            ("/janus/info/", place(Some(Endpoint::Info), None, None)),
            ("/janus/info/5", place(Some(Endpoint::Info), None, Some(5))),
            ("/janus/ping", place(Some(Endpoint::Ping), None, None)),
            ("/janus//", place(None, Some(0), None)),
            ("/janus//5", None),
            ("/janus/5/6/7", None),
            ("/janus/info/x/y", None),
            ("//janus", None),
            ("/janusx", None),
            ("/JANUS", Some(Place::default())),
            ("/", None),
            ("", None),
            ("*", None),
        ] {
            assert_eq!(janus.place(path), expected, "{path}");
        }
    }

    #[test]
    fn the_root_may_be_the_base() {
        let root = Base::new("/");
        assert_eq!(root.place("/"), place(None, None, None));
        assert_eq!(root.place("/info"), place(Some(Endpoint::Info), None, None));
        assert_eq!(root.place("/5/6"), place(None, Some(5), Some(6)));
        assert_eq!((root.text().as_str(), root.is_root()), ("", true));
        let deep = Base::new("a/b");
        assert_eq!(deep.text(), "/a/b");
        assert_eq!(deep.place("/a/b/5"), place(None, Some(5), None));
        assert_eq!(deep.place("/a"), None);
    }

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, expected) in [
            ("12", 12),
            ("12abc", 12),
            ("5.7", 5),
            ("+5", 5),
            (" 5", 5),
            ("abc", 0),
            ("0x10", 0),
            ("", 0),
            ("-", 0),
            ("-5", u64::MAX - 4),
            ("18446744073709551615", u64::MAX),
            ("99999999999999999999", u64::MAX),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }

    #[test]
    fn arguments_are_decoded_and_the_first_counts() {
        let query = "rid=1&apisecret=a%26b+c%zz&maxev&token=x&token=y";
        assert_eq!(argument(query, "apisecret").as_deref(), Some("a&b c%zz"));
        assert_eq!(argument(query, "maxev").as_deref(), Some(""));
        assert_eq!(argument(query, "token").as_deref(), Some("x"));
        assert_eq!(argument(query, "secret"), None);
    }
}
