//! Methods, paths and payloads over HTTP.

use crate::support::*;
use portunus_api::json;

#[tokio::test]
async fn a_request_reaches_the_core_with_the_ids_of_its_path() {
    let server = serve(|_| {}).await;
    for (path, body, seen) in [
        ("/janus", r#"{"janus":"x"}"#, json!({"janus": "x"})),
        ("/janus/", r#"{"janus":"x"}"#, json!({"janus": "x"})),
        ("/janus/5", r#"{"janus":"x"}"#, json!({"janus": "x", "session_id": 5})),
        ("/janus/5/6", r#"{"janus":"x"}"#, json!({"janus": "x", "session_id": 5, "handle_id": 6})),
        ("/janus/12abc", r#"{"janus":"x"}"#, json!({"janus": "x", "session_id": 12})),
        ("/janus/abc", r#"{"janus":"x"}"#, json!({"janus": "x"})),
        ("/janus?a=b", r#"{"janus":"x"}"#, json!({"janus": "x"})),
        ("/janus/5", r#"{"session_id":5,"janus":"x"}"#, json!({"session_id": 5, "janus": "x"})),
        ("/janus", r#"{"janus":"x","janus":"y"}"#, json!({"janus": "y"})),
    ] {
        let answer = server.post(path, body).await.unwrap();
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"), "the core's replies come in chunks");
        let expected = json!({"seen": seen, "client": "Http", "side": "janus", "from": "127.0.0.1"});
        assert_eq!(answer.json(), expected, "{path}");
    }
}

#[tokio::test]
async fn who_gets_no_session_here_is_to_come_by_another_connection() {
    let server = serve(|_| {}).await;
    for (code, closes) in [(472, true), (458, false)] {
        let mut connection = Http::connect(server.http()).await;
        let answer =
            connection.post("/janus", &format!(r#"{{"janus":"refuse","code":{code}}}"#)).await.unwrap();
        assert_eq!((answer.status, answer.error().0), (200, code));
        assert_eq!(answer.header("connection"), closes.then_some("close"), "{code}");
        if closes {
            assert!(connection.is_closed().await);
        } else {
            assert_eq!(connection.get("/janus/ping").await.unwrap().status, 200);
        }
    }
}

#[tokio::test]
async fn ids_of_path_and_body_may_not_differ() {
    let server = serve(|_| {}).await;
    for (path, body, reason) in [
        ("/janus/5", r#"{"session_id":6}"#, "Conflicting session ID (payload and path)"),
        ("/janus/5/6", r#"{"handle_id":7}"#, "Conflicting handle ID (payload and path)"),
    ] {
        let answer = server.post(path, body).await.unwrap();
        assert_eq!((answer.status, answer.error()), (200, (457, reason.to_owned())));
        assert_eq!(answer.header("content-length").unwrap(), answer.body.len().to_string());
    }
}

#[tokio::test]
async fn payloads_that_are_no_object_are_refused_in_janus_words() {
    let server = serve(|_| {}).await;
    for (body, code, reason) in [
        ("[]", 455, "JSON error: not an object"),
        ("5", 454, "JSON error: on line 1: '[' or '{' expected near '5'"),
        ("{", 454, "JSON error: on line 1: string or '}' expected near end of file"),
        ("{}\n x", 454, "JSON error: on line 2: end of file expected near 'x'"),
        (" \n ", 454, "JSON error: on line 2: '[' or '{' expected near end of file"),
        ("{\"a\":1e400}", 454, "JSON error: on line 1: real number overflow near '1e400'"),
    ] {
        let answer = server.post("/janus", body).await.unwrap();
        assert_eq!((answer.status, answer.error()), (200, (code, reason.to_owned())), "{body}");
        let spelt = format!(r#"{{"janus":"error","error":{{"code":{code},"reason":{}}}}}"#, json!(reason));
        assert_eq!(answer.body, spelt);
    }
    assert_eq!(server.mailboxes.counters().invalid_json.get(), 5);
}

#[tokio::test]
async fn info_and_ping_get_a_transaction_of_their_own() {
    let server = serve(|_| {}).await;
    let mut seen = std::collections::HashSet::new();
    for (path, verb) in [("/janus/info", "info"), ("/janus/info/", "info"), ("/janus/ping", "ping")] {
        let answer = server.get(path).await.unwrap().json();
        assert_eq!(answer["seen"]["janus"], verb);
        let transaction = answer["seen"]["transaction"].as_str().unwrap().to_owned();
        assert_eq!(transaction.len(), 11, "{transaction}");
        assert!(transaction.bytes().all(|b| b.is_ascii_alphanumeric()), "{transaction}");
        assert!(seen.insert(transaction));
    }
    let refused = server.post("/janus/info", "{}").await.unwrap();
    assert_eq!((refused.status, refused.body.as_str()), (400, ""));
}

#[tokio::test]
async fn other_methods_are_refused_before_their_path_is_looked_at() {
    let server = serve(|_| {}).await;
    for path in ["/janus", "/nowhere"] {
        for method in ["PUT", "DELETE", "PATCH", "FOO"] {
            let answer = Http::connect(server.http()).await.request(method, path, "", "").await.unwrap();
            assert_eq!((answer.status, answer.error()), (200, (450, format!("Unsupported method {method}"))));
        }
        let head = Http::connect(server.http()).await.request("HEAD", path, "", "").await.unwrap();
        assert_eq!((head.status, head.header("content-type")), (200, Some("application/json")));
    }
}

#[tokio::test]
async fn paths_that_lead_nowhere_are_an_empty_404() {
    let server = serve(|_| {}).await;
    for path in ["/", "//janus", "/janusx", "/janus/5/6/7", "/janus/info/x/y", "/demos/"] {
        for answer in [server.get(path).await.unwrap(), server.post(path, "{}").await.unwrap()] {
            assert_eq!((answer.status, answer.body.as_str()), (404, ""), "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        }
    }
    for path in ["/janus", "/janus/", "/janus/0", "/janus/abc", "/janus/abc/6"] {
        assert_eq!(server.get(path).await.unwrap().status, 404, "GET {path}");
    }
}

#[tokio::test]
async fn a_handle_cannot_be_polled_and_leads_to_its_session() {
    let server = serve(|s| s.http.as_mut().unwrap().base_path = "/a/b/".into()).await;
    let answer = server.get("/a/b/5/6").await.unwrap();
    assert_eq!((answer.status, answer.header("location")), (302, Some("/a/b/5")));
}

#[tokio::test]
async fn the_base_path_may_be_the_root() {
    let server = serve(|s| s.http.as_mut().unwrap().base_path = "/".into()).await;
    let answer = server.post("/", r#"{"janus":"x"}"#).await.unwrap();
    assert_eq!(answer.json()["seen"], json!({"janus": "x"}));
    assert_eq!(server.get("/info").await.unwrap().json()["seen"]["janus"], "info");
    assert_eq!(server.get("/5/6").await.unwrap().header("location"), Some("/5"));
}

#[tokio::test]
async fn a_post_without_payload_closes_the_connection_without_a_reply() {
    let server = serve(|_| {}).await;
    for path in ["/janus", "/janus/5", "/janus/info"] {
        assert!(server.post(path, "").await.is_none(), "{path}");
        let empty = "Content-Length: 0\r\n";
        let answer = Http::connect(server.http()).await.request("POST", path, empty, "").await;
        assert!(answer.is_none(), "{path}");
    }
    // Where nothing is, that is said first.
    assert_eq!(server.post("/nowhere", "").await.unwrap().status, 404);
}

#[tokio::test]
async fn a_core_that_does_not_answer_costs_the_connection() {
    let server = serve(|s| s.times = short_times()).await;
    let start = std::time::Instant::now();
    assert!(server.post("/janus", r#"{"janus":"hang"}"#).await.is_none());
    let took = start.elapsed();
    assert!(took >= short_times().reply && took < PATIENCE, "{took:?}");
    assert!(server.post("/janus", r#"{"janus":"drop"}"#).await.is_none());
    assert_eq!(server.mailboxes.counters().unanswered.get(), 2);
}

#[tokio::test]
async fn a_connection_serves_many_requests_also_pipelined() {
    let server = serve(|_| {}).await;
    let mut http = Http::connect(server.http()).await;
    for n in 0..20 {
        let body = format!(r#"{{"janus":"x","n":{n}}}"#);
        assert_eq!(http.post("/janus", &body).await.unwrap().json()["seen"]["n"], n);
    }
    let one = |n| format!("POST /janus HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{{\"n\":{n}}}");
    http.send((0..9).map(one).collect::<String>()).await;
    for n in 0..9 {
        assert_eq!(http.answer(false).await.unwrap().json()["seen"]["n"], n);
    }
    let close = http.request("GET", "/janus/info", "Connection: close\r\n", "").await.unwrap();
    assert_eq!(close.status, 200);
    assert!(http.is_closed().await);
}

#[tokio::test]
async fn a_chunked_request_body_is_read() {
    let server = serve(|_| {}).await;
    let mut http = Http::connect(server.http()).await;
    http.send("POST /janus HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    http.send("5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n").await;
    assert_eq!(http.answer(false).await.unwrap().json()["seen"], json!({"a": 1}));
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let server = serve(|_| {}).await;
    let mut http = Http::connect(server.http()).await;
    http.send("POST /janus HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(http.answer(false).await.unwrap().status, 100);
    http.send("{\"a\":1}").await;
    assert_eq!(http.answer(false).await.unwrap().json()["seen"], json!({"a": 1}));
}

#[tokio::test]
async fn old_clients_get_an_answer_that_ends_with_the_connection() {
    let server = serve(|_| {}).await;
    let mut http = Http::connect(server.http()).await;
    http.send("POST /janus HTTP/1.0\r\nContent-Length: 7\r\n\r\n{\"a\":1}").await;
    let answer = http.answer(false).await.unwrap();
    assert_eq!((answer.status, answer.header("transfer-encoding")), (200, None));
}
