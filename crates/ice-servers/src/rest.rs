//! Credentials for our own use of a TURN server: a client of the TURN REST API (draft-uberti-behave-turn-rest-00), with the
//! arguments that Janus sends for `turn_rest_api`.
//!
//! [`fetch`] asks once, as Janus does for each PeerConnection. [`Keeper`] asks again before what it has runs out.

use crate::answer::RestAnswer;
use crate::{Error, Hidden, IceUrl, ServiceUrl, fetch, limits};
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

/// As Janus calls itself there: services may look at it.
const AGENT: &str = "Janus/1.0";
/// The first pause after a failure; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// `turn_rest_api_method`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Method {
    /// The arguments are part of the address.
    #[default]
    Get,
    /// They are a form.
    Post,
}

/// The service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `turn_rest_api`
    pub url: ServiceUrl,
    /// `turn_rest_api_key`
    pub key: Option<Hidden>,
    /// `turn_rest_api_method`
    pub method: Method,
    /// `turn_rest_api_timeout`: for the whole answer.
    pub timeout: Duration,
}

/// What the service grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The user name.
    pub username: String,
    /// Its password.
    pub password: Hidden,
    /// How long from now on.
    pub ttl: Duration,
    /// The TURN servers, best first.
    pub uris: Vec<IceUrl>,
}

/// Asks for credentials; `username` tells the service whom they are for.
///
/// # Errors
/// It cannot be reached, is late, or its answer is no good.
pub async fn fetch(settings: &Settings, username: Option<&str>) -> Result<Grant, Error> {
    let client = fetch::client(&settings.url, AGENT, settings.timeout)?;
    let mut arguments = vec![("service", "turn")];
    if let Some(key) = &settings.key {
        // Janus sends both: services read the one or the other.
        arguments.extend([("api", key.expose()), ("key", key.expose())]);
    }
    arguments.extend(username.map(|name| ("username", name)));
    let request = match settings.method {
        Method::Get => client.get(settings.url.with(&arguments)),
        Method::Post => client
            .post(settings.url.url())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form(settings.url.url(), &arguments)),
    };
    let bytes = fetch::answer(request).await?;
    let RestAnswer { credentials, ttl, urls } = RestAnswer::read(&bytes).map_err(Error::Answer)?;
    let (username, password) = (credentials.username, credentials.password);
    Ok(Grant { username, password, ttl: Duration::from_secs(ttl.min(limits::TTL)), uris: urls })
}

/// The arguments as a form spells them.
fn form(mut scratch: Url, arguments: &[(&str, &str)]) -> String {
    scratch.set_query(None);
    scratch.query_pairs_mut().extend_pairs(arguments);
    scratch.query().unwrap_or_default().to_owned()
}

/// Credentials that are always valid, as long as the service plays along. Dropping it ends the asking.
#[derive(Debug)]
pub struct Keeper {
    grants: watch::Receiver<Option<Grant>>,
    task: AbortHandle,
}

impl Keeper {
    /// Begins to ask; to be called in a runtime.
    pub fn start(settings: Settings, username: Option<String>) -> Self {
        let (told, grants) = watch::channel(None);
        let task = tokio::spawn(keep(settings, username, told)).abort_handle();
        Self { grants, task }
    }

    /// The newest grant and its successors; `None` before the first, and when one ran out without a successor. Its `ttl`
    /// counts from when it came.
    pub fn grants(&self) -> watch::Receiver<Option<Grant>> {
        self.grants.clone()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(settings: Settings, username: Option<String>, told: watch::Sender<Option<Grant>>) {
    let mut pause = FIRST_PAUSE;
    let mut end: Option<Instant> = None;
    loop {
        let asked = Instant::now();
        let next = match fetch(&settings, username.as_deref()).await {
            Ok(grant) => {
                pause = FIRST_PAUSE;
                end = Some(asked + grant.ttl);
                let next = asked + grant.ttl.mul_f64(0.75).max(Duration::from_secs(1));
                told.send_replace(Some(grant));
                next
            }
            Err(error) => {
                tracing::warn!(%error, service = %settings.url, "no TURN credentials from the service");
                let next = Instant::now() + pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
                next
            }
        };
        if let Some(over) = end.filter(|over| *over < next) {
            sleep_until(over).await;
            told.send_replace(None);
            end = None;
        }
        sleep_until(next).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fake, json, raw};

    const ANSWER: &str = r#"{"username":"1700003600:7","password":"hush","ttl":86400,"uris":["turn:192.0.2.1?transport=udp","turns:a:443"]}"#;

    fn settings(fake: &Fake, path: &str, method: Method) -> Settings {
        Settings { url: fake.url(path), key: Some("a&b".into()), method, timeout: Duration::from_millis(400) }
    }

    #[tokio::test]
    async fn the_service_is_asked_as_janus_asks() {
        let fake = Fake::start(|_| json(ANSWER)).await;
        let get = settings(&fake, "/turn?realm=x", Method::Get);
        let grant = fetch(&get, Some("opaque 7")).await.unwrap();
        assert_eq!(grant.username, "1700003600:7");
        assert_eq!(grant.password.expose(), "hush");
        assert_eq!(grant.ttl, Duration::from_secs(86_400));
        let uris: Vec<_> = grant.uris.iter().map(IceUrl::as_str).collect();
        assert_eq!(uris, ["turn:192.0.2.1?transport=udp", "turns:a:443"]);
        assert!(!format!("{grant:?} {get:?}").contains("hush") && !format!("{get:?}").contains("a&b"));
        let post = settings(&fake, "/turn?realm=x", Method::Post);
        fetch(&post, None).await.unwrap();
        fetch(&Settings { key: None, ..get }, None).await.unwrap();
        let heads = fake.heads();
        let line = "GET /turn?realm=x&service=turn&api=a%26b&key=a%26b&username=opaque+7 HTTP/1.1\r\n";
        assert!(heads[0].starts_with(line), "{heads:?}");
        assert!(heads[0].contains("user-agent: Janus/1.0\r\n"), "{heads:?}");
        assert!(heads[1].starts_with("POST /turn?realm=x HTTP/1.1\r\n"), "{heads:?}");
        assert!(heads[1].contains("content-type: application/x-www-form-urlencoded\r\n"), "{heads:?}");
        assert!(heads[1].ends_with("\r\n\r\nservice=turn&api=a%26b&key=a%26b"), "{heads:?}");
        assert!(heads[2].starts_with("GET /turn?realm=x&service=turn HTTP/1.1\r\n"), "{heads:?}");
    }

    #[tokio::test]
    async fn no_answer_and_a_wrong_one_are_errors_without_the_key() {
        let silent = Fake::silent().await;
        let error = fetch(&settings(&silent, "/?key=secret", Method::Get), None).await.unwrap_err();
        assert_eq!(error, Error::Late);
        for (answer, wanted) in [
            (raw("HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n"), Error::Status(403)),
            (json("{}"), Error::Answer("it has neither `iceServers` nor `username` and `password`")),
            (
                json(r#"{"username":"u","password":"p","ttl":0,"uris":["turn:a"]}"#),
                Error::Answer("its credentials are over already"),
            ),
        ] {
            let fake = Fake::start(move |_| answer.clone()).await;
            assert_eq!(fetch(&settings(&fake, "/", Method::Post), None).await.unwrap_err(), wanted);
        }
        let nobody = Settings {
            url: "http://127.0.0.1:1/?key=secret".parse().unwrap(),
            ..settings(&silent, "/", Method::Get)
        };
        let error = fetch(&nobody, None).await.unwrap_err();
        assert!(!error.to_string().contains("secret") && !error.to_string().contains("a&b"), "{error}");
    }

    #[tokio::test]
    async fn a_ttl_that_is_not_told_is_a_day() {
        let fake = Fake::start(|_| json(r#"{"username":"u","password":"p","uris":["turn:a"]}"#)).await;
        let grant = fetch(&settings(&fake, "/", Method::Get), None).await.unwrap();
        assert_eq!(grant.ttl, Duration::from_secs(86_400));
    }

    #[tokio::test]
    async fn credentials_are_kept_fresh_and_are_gone_when_they_run_out() {
        let fake = Fake::start(|n| match n {
            0 | 1 => json(&format!(r#"{{"username":"u{n}","password":"p","ttl":2,"uris":["turn:a"]}}"#)),
            _ => raw("HTTP/1.1 500 Down\r\ncontent-length: 0\r\n\r\n"),
        })
        .await;
        let keeper = Keeper::start(settings(&fake, "/", Method::Get), None);
        let mut grants = keeper.grants();
        let mut names = Vec::new();
        let begun = Instant::now();
        for _ in 0..3 {
            tokio::time::timeout(Duration::from_secs(10), grants.changed()).await.unwrap().unwrap();
            names.push(grants.borrow_and_update().as_ref().map(|grant| grant.username.clone()));
        }
        assert_eq!(names, [Some("u0".to_owned()), Some("u1".to_owned()), None]);
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(3400) && took < Duration::from_secs(6), "{took:?}");
        drop(keeper);
        assert!(tokio::time::timeout(Duration::from_secs(5), grants.changed()).await.unwrap().is_err());
    }
}
