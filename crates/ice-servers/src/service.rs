//! Passing on what an authentication service says: STUNner's, or any that speaks its interface or the TURN REST API.
//!
//! At most [`limits::IN_FLIGHT`] requests are under way at a time; one more waits for a place, within the same patience.

use crate::answer::Answer;
use crate::{Error, Policy, ServiceUrl, fetch, limits};
use reqwest::Client;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// An authentication service, and what it is asked for.
#[derive(Debug)]
pub struct AuthService {
    url: ServiceUrl,
    user: String,
    ttl: u64,
    policy: Policy,
    /// `namespace`, `gateway` and `listener`, as far as they are wanted.
    selection: Vec<(&'static str, String)>,
    client: Result<Client, Error>,
    places: Semaphore,
    complaints: Mutex<Complaints>,
}

#[derive(Debug, Default)]
struct Complaints {
    last: Option<Instant>,
    left_out: u64,
}

impl AuthService {
    /// Asks for credentials of `user` for `ttl` seconds.
    pub fn new(url: ServiceUrl, user: &str, ttl: u64, policy: Policy) -> Self {
        Self {
            client: fetch::client(&url, concat!("portunus/", env!("CARGO_PKG_VERSION")), limits::SERVICE),
            url,
            user: user.to_owned(),
            ttl,
            policy,
            selection: Vec::new(),
            places: Semaphore::new(limits::IN_FLIGHT),
            complaints: Mutex::default(),
        }
    }

    /// Only of one namespace, gateway or listener: another argument of each request, if there is a value for it.
    #[must_use]
    pub fn selecting(mut self, name: &'static str, value: Option<&str>) -> Self {
        self.selection.extend(value.map(|value| (name, value.to_owned())));
        self
    }

    /// What the service says now. What is wrong with it is logged, too.
    ///
    /// # Errors
    /// It cannot be reached, is late, or its answer is no good.
    pub async fn ask(&self, unix_now: u64) -> Result<Answer, Error> {
        let answer = timeout(limits::SERVICE, self.fetch(unix_now)).await.unwrap_or(Err(Error::Late));
        if let Err(error) = &answer {
            self.complain(error);
        }
        answer
    }

    async fn fetch(&self, unix_now: u64) -> Result<Answer, Error> {
        let client = self.client.as_ref().map_err(Clone::clone)?;
        // It is never closed.
        let _place = self.places.acquire().await.map_err(|_| Error::Late)?;
        let ttl = self.ttl.to_string();
        let mut arguments = vec![
            ("service", "turn"),
            ("username", self.user.as_str()),
            ("ttl", ttl.as_str()),
            ("iceTransportPolicy", self.policy.name()),
        ];
        arguments.extend(self.selection.iter().map(|(name, value)| (*name, value.as_str())));
        let bytes = fetch::answer(client.get(self.url.with(&arguments))).await?;
        Answer::read(&bytes, self.policy, self.ttl, unix_now).map_err(Error::Answer)
    }

    fn complain(&self, error: &Error) {
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if complaints.last.is_some_and(|last| last.elapsed() < limits::COMPLAINT) {
            complaints.left_out += 1;
            return;
        }
        let left_out = std::mem::take(&mut complaints.left_out);
        complaints.last = Some(Instant::now());
        tracing::warn!(%error, service = %self.url, left_out, "no ICE servers for clients from the service");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fake, json, raw};
    use std::time::Duration;

    const CONFIGURATION: &str = r#"{"iceServers":[{"urls":["turn:192.0.2.1"],"username":"u","credential":"p"}],"iceTransportPolicy":"relay"}"#;

    fn service(fake: &Fake, path: &str) -> AuthService {
        AuthService::new(fake.url(path), "a user", 600, Policy::Relay)
    }

    #[tokio::test]
    async fn the_service_is_asked_for_what_is_set() {
        let fake = Fake::start(|_| json(CONFIGURATION)).await;
        let plain = service(&fake, "/ice?service=turn").ask(0).await.unwrap();
        assert_eq!(plain.servers[0].urls[0].as_str(), "turn:192.0.2.1");
        assert_eq!((plain.policy, plain.ttl), (Policy::Relay, 600));
        let chosen = service(&fake, "/ice").selecting("namespace", Some("n")).selecting("gateway", Some("g"));
        chosen.selecting("listener", None).ask(0).await.unwrap();
        let heads = fake.heads();
        assert!(
            heads[0].starts_with(
                "GET /ice?service=turn&username=a+user&ttl=600&iceTransportPolicy=relay HTTP/1.1\r\n"
            ),
            "{heads:?}"
        );
        assert!(heads[0].contains("user-agent: portunus/"), "{heads:?}");
        assert!(heads[1].contains("iceTransportPolicy=relay&namespace=n&gateway=g HTTP/1.1"), "{heads:?}");
    }

    #[tokio::test]
    async fn answers_that_cannot_be_used_are_errors() {
        let large = format!("[{}]", " ".repeat(limits::ANSWER_BYTES));
        let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned()
            + &format!("1000\r\n{}\r\n", " ".repeat(4096)).repeat(20);
        for (answer, error) in [
            (json(&large), Error::TooLarge),
            (raw(&endless), Error::TooLarge),
            (json("not json"), Error::Answer("it is not JSON")),
            (raw("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"), Error::Status(500)),
            (raw("HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n"), Error::Status(302)),
        ] {
            let fake = Fake::start(move |_| answer.clone()).await;
            assert_eq!(service(&fake, "/ice").ask(0).await.unwrap_err(), error);
        }
        let cut = Fake::start(|_| raw("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{")).await;
        let error = service(&cut, "/ice").ask(0).await.unwrap_err();
        assert!(matches!(error, Error::Connection(_)), "{error}");
        let nobody = AuthService::new("http://127.0.0.1:1/ice".parse().unwrap(), "u", 60, Policy::All);
        let error = nobody.ask(0).await.unwrap_err();
        assert!(matches!(error, Error::Connection(_)), "{error}");
    }

    #[tokio::test]
    async fn a_slow_service_is_given_up_and_never_asked_too_much_at_once() {
        let fake = Fake::silent().await;
        let service = std::sync::Arc::new(service(&fake, "/ice"));
        let begun = Instant::now();
        let asking: Vec<_> = (0..limits::IN_FLIGHT + 10)
            .map(|_| {
                let service = service.clone();
                tokio::spawn(async move { service.ask(0).await })
            })
            .collect();
        tokio::time::sleep(limits::SERVICE / 2).await;
        assert_eq!(fake.heads().len(), limits::IN_FLIGHT);
        for one in asking {
            assert_eq!(one.await.unwrap().unwrap_err(), Error::Late);
        }
        assert!(begun.elapsed() < limits::SERVICE + Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(service.places.available_permits(), limits::IN_FLIGHT);
    }

    #[tokio::test]
    async fn failures_are_logged_now_and_then() {
        let fake = Fake::start(|_| json("[]")).await;
        let service = service(&fake, "/ice");
        for _ in 0..5 {
            service.ask(0).await.unwrap_err();
        }
        assert_eq!(service.complaints.lock().unwrap().left_out, 4);
    }
}
