//! One request to a service: bounded in time and size, redirects not followed, the environment's proxies not used.

use crate::limits;
use reqwest::{Client, RequestBuilder, Url};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The address of a service. It shows without its arguments: there may be a key among them.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceUrl(Url);

impl ServiceUrl {
    /// The address with further arguments; those that it names itself are left alone.
    pub(crate) fn with(&self, arguments: &[(&str, &str)]) -> Url {
        let mut url = self.0.clone();
        let missing: Vec<_> = arguments.iter().filter(|(name, _)| !self.names(name)).collect();
        if !missing.is_empty() {
            url.query_pairs_mut().extend_pairs(missing);
        }
        url
    }

    /// The address as it stands.
    pub(crate) fn url(&self) -> Url {
        self.0.clone()
    }

    fn names(&self, argument: &str) -> bool {
        self.0.query_pairs().any(|(name, _)| name == argument)
    }
}

impl FromStr for ServiceUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text.trim()).map_err(|_| "is no URL like http://host:port/path")?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err("must be an http:// or https:// URL");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("may hold no user name or password");
        }
        Ok(Self(url))
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        shown.set_query(None);
        shown.set_fragment(None);
        f.write_str(shown.as_str())
    }
}

impl fmt::Debug for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why there is no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No HTTP client could be made, mostly for want of the system's certificates.
    #[error("no HTTP client: {0}")]
    Client(String),
    /// No connection, or it broke.
    #[error("it cannot be asked: {0}")]
    Connection(String),
    /// It took too long, or too many others were before.
    #[error("it does not answer in time")]
    Late,
    /// A status that is no success. Redirects are not followed.
    #[error("it answers with status {0}")]
    Status(u16),
    /// More than [`limits::ANSWER_BYTES`].
    #[error("its answer is too large")]
    TooLarge,
    /// An answer of another kind, or with something wrong in it.
    #[error("its answer cannot be used: {0}")]
    Answer(&'static str),
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Late;
        }
        // The address may have a key in it.
        Self::Connection(in_full(&error.without_url()))
    }
}

/// An error with its causes, which is where the reason is.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// A client for `url`, with its name and patience.
pub(crate) fn client(url: &ServiceUrl, agent: &str, patience: Duration) -> Result<Client, Error> {
    let builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(patience)
        .user_agent(agent);
    // Without TLS it does not matter whom the system trusts, and an image may have no certificates at all.
    let builder = if url.0.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
    builder.build().map_err(|error| Error::Client(in_full(&error)))
}

/// Sends it and reads the answer.
pub(crate) async fn answer(request: RequestBuilder) -> Result<Vec<u8>, Error> {
    let mut answer = request.send().await?;
    if !answer.status().is_success() {
        return Err(Error::Status(answer.status().as_u16()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if bytes.len() + chunk.len() > limits::ANSWER_BYTES {
            return Err(Error::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_an_http_address_without_a_password() {
        for (text, fine) in [
            ("http://stunner-auth.stunner-system:8088/ice?service=turn", true),
            ("https://[2001:db8::1]/", true),
            ("ftp://host/", false),
            ("host:8088", false),
            ("http://", false),
            ("http://name:word@host/", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<ServiceUrl>().is_ok(), fine, "{text}");
        }
    }

    #[test]
    fn arguments_that_it_names_itself_stay_as_they_are() {
        let url: ServiceUrl = "http://a/ice?service=turn&ttl=60".parse().unwrap();
        let arguments = [("service", "x"), ("ttl", "3600"), ("username", "a b&c")];
        assert_eq!(url.with(&arguments).as_str(), "http://a/ice?service=turn&ttl=60&username=a+b%26c");
        assert_eq!(url.with(&[("ttl", "1")]).as_str(), "http://a/ice?service=turn&ttl=60");
    }

    #[test]
    fn its_arguments_do_not_show() {
        let url: ServiceUrl = "http://a/turn?key=do-not-print".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "http://a/turn http://a/turn");
    }
}
