//! `BASE/ice-servers`: who gets it, how, and what is left as it was.

use crate::support::*;
use portunus_api::{Value, json};
use portunus_transport::{Cors, HttpSettings, IceAnswer, IceServers, Protocol, Settings, Side};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const PATH: &str = "/janus/ice-servers";
const OFF: u8 = 0;
const ON: u8 = 1;
const FAILING: u8 = 2;
const HANGING: u8 = 3;

#[derive(Debug)]
struct Fixed(AtomicU8);

fn servers() -> Value {
    json!({ "iceServers": [{ "urls": ["stun:a"] }], "iceTransportPolicy": "all", "ttl": 60 })
}

impl IceServers for Fixed {
    fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed) != OFF
    }

    fn hand_out(&self) -> IceAnswer<'_> {
        let state = self.0.load(Ordering::Relaxed);
        Box::pin(async move {
            match state {
                FAILING => Err("Nobody knows"),
                HANGING => std::future::pending().await,
                _ => Ok(servers()),
            }
        })
    }
}

fn with(state: u8) -> (Arc<Fixed>, impl FnOnce(&mut Settings)) {
    let fixed = Arc::new(Fixed(state.into()));
    let given = fixed.clone();
    (fixed, move |settings: &mut Settings| settings.ice_servers = Some(given))
}

async fn guarded() -> Server {
    let server = serve(with(ON).1).await;
    server.post("/janus", r#"{"janus":"guard","transaction":"t"}"#).await.unwrap();
    server
}

async fn ask(server: &Server, method: &str, path: &str, headers: &str) -> Answer {
    Http::connect(server.http()).await.request(method, path, headers, "").await.unwrap()
}

#[tokio::test]
async fn a_client_is_told_its_servers_and_nobody_keeps_them() {
    let server = serve(with(ON).1).await;
    for path in [PATH, "/janus/ice-servers/", "/JANUS/ice%2Dservers?x=y"] {
        let answer = server.get(path).await.unwrap();
        assert_eq!((answer.status, answer.json()), (200, servers()), "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
    assert_eq!(server.mailboxes.counters().ice_servers.get(), 3);
}

#[tokio::test]
async fn head_and_preflight_are_answered_and_other_methods_are_not_allowed() {
    let server = serve(with(ON).1).await;
    let head = ask(&server, "HEAD", PATH, "").await;
    assert_eq!((head.status, head.header("cache-control")), (200, Some("no-store")));
    let length: usize = head.header("content-length").unwrap().parse().unwrap();
    assert_eq!(length, server.get(PATH).await.unwrap().body.len());
    let asked = "Origin: http://a\r\nAccess-Control-Request-Method: GET\r\n\
                 Access-Control-Request-Headers: authorization\r\n";
    let preflight = ask(&server, "OPTIONS", PATH, asked).await;
    assert_eq!((preflight.status, preflight.body.as_str()), (200, ""));
    assert_eq!(preflight.header("access-control-allow-headers"), Some("authorization"));
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = ask(&server, method, PATH, "").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, OPTIONS")), "{method}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{method}");
    }
}

#[tokio::test]
async fn without_servers_the_path_leads_where_it_leads_with_janus() {
    let (fixed, change) = with(OFF);
    let server = serve(change).await;
    let plain = serve(|_| {}).await;
    for server in [&server, &plain] {
        let answer = server.get(PATH).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (404, ""));
        assert_eq!(answer.header("cache-control"), None);
        let posted = server.post(PATH, r#"{"janus":"x","transaction":"t"}"#).await.unwrap();
        assert_eq!((posted.status, posted.json()["seen"]["janus"].as_str()), (200, Some("x")));
    }
    fixed.0.store(ON, Ordering::Relaxed);
    assert_eq!(server.get(PATH).await.unwrap().status, 200, "switched on while running");
}

#[tokio::test]
async fn no_path_of_janus_is_taken() {
    let server = serve(with(ON).1).await;
    server.create(7).await;
    server.events(7, 1).await;
    assert_eq!(server.get("/janus/7").await.unwrap().json()["janus"], "event");
    for path in ["/janus/ice-servers/5", "/janus/7/ice-servers", "/janus/ice-server", "/ice-servers"] {
        let answer = server.get(path).await.unwrap();
        assert!(answer.body.is_empty() && answer.header("cache-control").is_none(), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn secret_or_token_lets_in_by_the_address_or_as_a_bearer() {
    let server = guarded().await;
    for (query, bearer, status) in [
        ("", "", 403),
        ("?apisecret=top", "", 200),
        ("?apisecret=to", "", 403),
        ("?token=top", "", 403),
        ("?token=tok%2Ben", "", 200),
        ("?apisecret=x&token=tok%2Ben", "", 200),
        ("", "Authorization: Bearer top\r\n", 200),
        ("", "authorization: bearer tok+en\r\n", 200),
        ("", "Authorization: Bearer x\r\n", 403),
        ("", "Authorization: Basic top\r\n", 403),
        ("", "Authorization: top\r\n", 403),
        ("?apisecret=x", "Authorization: Bearer tok+en\r\n", 200),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = ask(&server, method, &format!("{PATH}{query}"), bearer).await;
            assert_eq!(answer.status, status, "{method} {query} {bearer}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
    }
    let refused = server.get(PATH).await.unwrap();
    let reason = "Unauthorized request (wrong or missing secret/token)";
    assert_eq!(refused.error(), (403, reason.to_owned()));
    assert_eq!(refused.header("access-control-allow-origin"), Some("*"), "the page may read why");
    assert_eq!(server.mailboxes.counters().ice_servers_refused.get(), 13);
    assert_eq!(ask(&server, "OPTIONS", PATH, "").await.status, 200, "a preflight carries no secret");
}

#[tokio::test]
async fn what_is_not_known_or_takes_too_long_is_a_bad_gateway() {
    let (fixed, change) = with(FAILING);
    let server = serve(|settings| {
        change(settings);
        settings.times = short_times();
    })
    .await;
    let answer = server.get(PATH).await.unwrap();
    assert_eq!((answer.status, answer.error()), (502, (450, "Nobody knows".to_owned())));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    fixed.0.store(HANGING, Ordering::Relaxed);
    assert_eq!(server.get(PATH).await.unwrap().status, 502);
    assert_eq!(server.mailboxes.counters().ice_servers_failed.get(), 2);
}

#[tokio::test]
async fn pages_of_other_origins_and_the_admin_api_get_nothing() {
    let change = with(ON).1;
    let server = serve(|settings| {
        change(settings);
        let cors = Cors { allow_origin: Some("http://ok.example".into()), enforce: true };
        settings.http.as_mut().unwrap().cors = cors;
        let addresses = vec!["127.0.0.1:0".parse().unwrap()];
        settings.admin_http =
            Some(HttpSettings { addresses, base_path: "/janus".into(), ..HttpSettings::default() });
    })
    .await;
    assert_eq!(ask(&server, "GET", PATH, "Origin: http://evil.example\r\n").await.status, 403);
    assert_eq!(ask(&server, "GET", PATH, "Origin: http://ok.example\r\n").await.status, 200);
    let admin = server.address(Protocol::Http, Side::Admin, false);
    let answer = Http::connect(admin).await.get(PATH).await.unwrap();
    assert!(!answer.body.contains("iceServers"), "{answer:?}");
}
