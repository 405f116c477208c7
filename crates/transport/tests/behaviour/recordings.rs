//! Recordings over HTTP: who gets which bytes of them.

use crate::support::*;
use portunus_transport::Recordings;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

const PASSWORD: &str = "correct horse";
/// `anybody:correct horse`
const RIGHT: &str = "Authorization: Basic YW55Ym9keTpjb3JyZWN0IGhvcnNl\r\n";
/// `anybody:wrong`
const WRONG: &str = "Authorization: Basic YW55Ym9keTp3cm9uZw==\r\n";

/// A folder of recordings that goes when this does.
pub struct Calls(pub PathBuf);

impl Calls {
    pub fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(format!("portunus-calls-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(&root).unwrap();
        let calls = Self(root);
        files.iter().for_each(|(path, text)| calls.write(path, text));
        calls
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn age(&self, path: &str, seconds: u64) {
        let then = SystemTime::now() - Duration::from_secs(seconds);
        std::fs::File::open(self.0.join(path)).unwrap().set_modified(then).unwrap();
    }

    pub fn settings(&self) -> Recordings {
        Recordings { roots: vec![self.0.clone()], barred: Vec::new(), temporary: None, password: None }
    }

    pub async fn serve(&self) -> Server {
        serve(|s| s.recordings = Some(self.settings())).await
    }

    async fn serve_with_password(&self) -> Server {
        let recordings = Recordings { password: Some(PASSWORD.into()), ..self.settings() };
        serve(|s| s.recordings = Some(recordings)).await
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A request as a browser of this machine makes it.
pub async fn ask(server: &Server, method: &str, path: &str, headers: &str) -> Answer {
    let mut http = Http::connect(server.http()).await;
    http.send(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")).await;
    http.answer(method == "HEAD").await.unwrap()
}

pub async fn names(server: &Server) -> Vec<String> {
    let list = ask(server, "GET", "/recordings/", "").await.json();
    list["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn they_are_not_there_unless_switched_on() {
    let server = serve(|_| {}).await;
    for path in ["/recordings", "/recordings/", "/recordings/files/0/a.mjr"] {
        assert_eq!(ask(&server, "GET", path, RIGHT).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_list_has_what_is_there_with_the_newest_first() {
    let files = [("old.webm", "12345"), ("2026/call-audio.mjr", "MJR"), ("now.MP4", ""), ("notes.txt", "no")];
    let calls = Calls::new("list", &files);
    calls.age("old.webm", 3600);
    calls.age("2026/call-audio.mjr", 60);
    let server = calls.serve().await;
    let answer = ask(&server, "GET", "/recordings/", "").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let list = answer.json();
    assert_eq!(list["roots"].as_array().unwrap(), &[calls.0.to_str().unwrap()]);
    assert_eq!((&list["truncated"], names(&server).await.len()), (&false.into(), 3));
    let files = list["files"].as_array().unwrap();
    for (file, name, size, kind, age) in [
        (&files[0], "now.MP4", 0, "mp4", 0),
        (&files[1], "2026/call-audio.mjr", 3, "mjr", 60),
        (&files[2], "old.webm", 5, "webm", 3600),
    ] {
        assert_eq!((file["name"].as_str(), file["size"].as_u64()), (Some(name), Some(size)));
        assert_eq!((file["kind"].as_str(), file["root"].as_u64()), (Some(kind), Some(0)));
        assert_eq!(file["open"], false);
        let passed = list["now"].as_i64().unwrap() - file["modified"].as_i64().unwrap();
        assert!((passed - age * 1000).abs() < 10_000, "{name}: {passed} ms");
    }
    assert_eq!(ask(&server, "GET", "/recordings", "").await.json()["files"], list["files"]);
}

#[tokio::test]
async fn many_who_ask_at_once_all_get_the_list() {
    let calls = Calls::new("many", &[("a.mjr", "MJR")]);
    let server = std::sync::Arc::new(calls.serve().await);
    let asked = (0..30).map(|_| {
        let server = server.clone();
        tokio::spawn(async move { names(&server).await })
    });
    for answer in asked.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap(), ["a.mjr"]);
    }
    calls.write("b.mjr", "");
    assert_eq!(names(&server).await.len(), 2, "nobody gets a list from before he asked");
}

#[tokio::test]
async fn a_file_is_played_from_anywhere() {
    let text = "0123456789".repeat(10_000);
    let calls = Calls::new("ranges", &[("calls/a b.webm", &text), ("empty.webm", "")]);
    let server = calls.serve().await;
    let path = "/recordings/files/0/calls/a%20b.webm";
    let whole = ask(&server, "GET", path, "").await;
    assert_eq!((whole.status, whole.header("content-type")), (200, Some("video/webm")));
    assert_eq!((whole.header("accept-ranges"), whole.header("content-disposition")), (Some("bytes"), None));
    assert!(whole.body == text);
    for (range, status, body, content_range) in [
        ("bytes=0-9", 206, "0123456789", Some("bytes 0-9/100000")),
        ("bytes=99995-", 206, "56789", Some("bytes 99995-99999/100000")),
        ("bytes=-3", 206, "789", Some("bytes 99997-99999/100000")),
        ("bytes=50001-50002", 206, "12", Some("bytes 50001-50002/100000")),
        ("bytes=99999-200000", 206, "9", Some("bytes 99999-99999/100000")),
        ("bytes=100000-", 416, "", Some("bytes */100000")),
        ("bytes=0-1,5-6", 200, text.as_str(), None),
        ("lines=0-1", 200, text.as_str(), None),
    ] {
        let answer = ask(&server, "GET", path, &format!("Range: {range}\r\n")).await;
        assert_eq!((answer.status, answer.header("content-range")), (status, content_range), "{range}");
        assert!(answer.body == body, "{range}");
        assert_eq!(answer.header("content-length"), Some(body.len().to_string().as_str()), "{range}");
    }
    let head = ask(&server, "HEAD", path, "Range: bytes=0-9\r\n").await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("100000")), "HEAD has no ranges");
    let empty = "/recordings/files/0/empty.webm";
    assert_eq!(ask(&server, "GET", empty, "").await.status, 200);
    assert_eq!(
        ask(&server, "GET", empty, "Range: bytes=0-\r\n").await.header("content-range"),
        Some("bytes */0")
    );
}

#[tokio::test]
async fn a_part_belongs_to_the_file_the_rest_is_of() {
    let calls = Calls::new("tags", &[("a.mp4", "first")]);
    let server = calls.serve().await;
    let path = "/recordings/files/0/a.mp4";
    let tag = ask(&server, "HEAD", path, "").await.header("etag").unwrap().to_owned();
    for (headers, before, after) in [
        (format!("If-None-Match: {tag}\r\n"), (304, ""), (200, "second one")),
        (format!("If-None-Match: \"x\", W/{tag}\r\n"), (304, ""), (200, "second one")),
        (format!("If-Match: {tag}\r\n"), (200, "first"), (412, "")),
        (format!("If-Range: {tag}\r\nRange: bytes=0-1\r\n"), (206, "fi"), (200, "second one")),
        (format!("If-Range: W/{tag}\r\nRange: bytes=0-1\r\n"), (200, "first"), (200, "second one")),
    ] {
        calls.write("a.mp4", "first");
        let now = ask(&server, "HEAD", path, "").await.header("etag").unwrap().to_owned();
        let headers = headers.replace(&tag, &now);
        let answer = ask(&server, "GET", path, &headers).await;
        assert_eq!((answer.status, answer.body.as_str()), before, "{headers}");
        calls.write("a.mp4", "second one");
        let answer = ask(&server, "GET", path, &headers).await;
        assert_eq!((answer.status, answer.body.as_str()), after, "{headers}");
    }
}

#[tokio::test]
async fn a_download_is_an_attachment_with_the_name_of_the_file() {
    let calls = Calls::new("download", &[("x/größe.mjr", "MJR")]);
    let server = calls.serve().await;
    let answer = ask(&server, "GET", "/recordings/files/0/x/gr%C3%B6%C3%9Fe.mjr?download", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "MJR"));
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    let expected = "attachment; filename=\"gr__e.mjr\"; filename*=UTF-8''gr%C3%B6%C3%9Fe.mjr";
    assert_eq!(answer.header("content-disposition"), Some(expected));
}

#[tokio::test]
async fn a_recording_under_way_is_told_and_served_as_far_as_it_is() {
    let calls = Calls::new("open", &[("a-audio.mjr.tmp", "MJR so far"), ("b.opus.tmp", "not ours")]);
    let recordings = Recordings { temporary: Some("tmp".into()), ..calls.settings() };
    let server = serve(|s| s.recordings = Some(recordings)).await;
    let list = ask(&server, "GET", "/recordings/", "").await.json();
    let files = list["files"].as_array().unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!((files[0]["name"].as_str(), &files[0]["open"]), (Some("a-audio.mjr.tmp"), &true.into()));
    assert_eq!(ask(&server, "GET", "/recordings/files/0/a-audio.mjr.tmp", "").await.body, "MJR so far");
    // One that plays, as far as it goes.
    std::fs::write(calls.0.join("c.webm.tmp"), "film so far").unwrap();
    let film = ask(&server, "GET", "/recordings/files/0/c.webm.tmp", "").await;
    assert_eq!((film.body.as_str(), film.header("content-type")), ("film so far", Some("video/webm")));
}

#[tokio::test]
async fn a_file_that_grows_is_served_with_the_length_it_had() {
    const LONG: usize = 16 << 20;
    let calls = Calls::new("grows", &[("a.webm", &"a".repeat(LONG))]);
    let server = calls.serve().await;
    let mut http = Http::connect(server.http()).await;
    let request = "GET /recordings/files/0/a.webm HTTP/1.1\r\nHost: localhost\r\n\r\n";
    http.send(request).await;
    // The answer has begun, and is too long to be on its way as a whole.
    http.stream.readable().await.unwrap();
    let mut file = std::fs::OpenOptions::new().append(true).open(calls.0.join("a.webm")).unwrap();
    std::io::Write::write_all(&mut file, b"more").unwrap();
    let answer = http.answer(false).await.unwrap();
    assert_eq!(answer.header("content-length"), Some(LONG.to_string().as_str()));
    assert!(answer.body.bytes().all(|b| b == b'a'));
    http.send(request.replace("GET", "HEAD")).await;
    let head = http.answer(true).await.unwrap();
    assert_eq!(
        head.header("content-length"),
        Some((LONG + 4).to_string().as_str()),
        "the connection goes on"
    );
}

#[tokio::test]
async fn without_a_password_nobody_else_gets_anything() {
    let calls = Calls::new("local", &[("a.mjr", "MJR")]);
    let server = calls.serve().await;
    for path in ["/recordings/", "/recordings/files/0/a.mjr", "/recordings/files/0/missing.mjr"] {
        for head in ["Host: evil.example\r\n", "Host: localhost\r\nX-Forwarded-For: 127.0.0.1\r\n"] {
            let mut http = Http::connect(server.http()).await;
            http.send(format!("GET {path} HTTP/1.1\r\n{head}\r\n")).await;
            let answer = http.answer(false).await.unwrap();
            assert_eq!(answer.status, 403, "{path} {head}");
            assert!(answer.body.contains("`portunus.recordings_password` is not set"), "{}", answer.body);
        }
    }
}

#[tokio::test]
async fn a_password_is_asked_of_everybody() {
    let calls = Calls::new("password", &[("a.mjr", "MJR")]);
    let server = calls.serve_with_password().await;
    for path in
        ["/recordings/", "/recordings/files/0/a.mjr", "/recordings/files/0/missing.mjr", "/recordings/x"]
    {
        for headers in ["", WRONG] {
            let answer = ask(&server, "GET", path, headers).await;
            assert_eq!(answer.status, 401, "{path} {headers}");
            assert!(answer.header("www-authenticate").unwrap().starts_with("Basic realm="));
            assert!(!answer.body.contains("MJR") && !answer.body.contains(PASSWORD));
        }
    }
    assert_eq!(ask(&server, "GET", "/recordings/files/0/a.mjr", RIGHT).await.body, "MJR");
    assert_eq!(ask(&server, "GET", "/recordings/", RIGHT).await.json()["files"].as_array().unwrap().len(), 1);
    let far = format!("{RIGHT}X-Forwarded-For: 203.0.113.5\r\n");
    assert_eq!(ask(&server, "GET", "/recordings/", &far).await.status, 200, "also behind a proxy");
}

#[tokio::test]
async fn guessing_the_password_is_slow_and_knowing_it_is_not() {
    let calls = Calls::new("guess", &[("a.mjr", "MJR")]);
    let server = calls.serve_with_password().await;
    let begun = Instant::now();
    for _ in 0..7 {
        assert_eq!(ask(&server, "GET", "/recordings/", WRONG).await.status, 401);
    }
    assert!(begun.elapsed() >= Duration::from_millis(300), "100 ms and 200 ms for the last two");
    let begun = Instant::now();
    assert_eq!(ask(&server, "GET", "/recordings/", RIGHT).await.status, 200);
    assert!(begun.elapsed() < Duration::from_millis(300), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn no_other_page_may_read_or_embed_them() {
    let calls = Calls::new("origin", &[("a.webm", "webm")]);
    let server = serve(|s| {
        s.recordings = Some(calls.settings());
        s.http.as_mut().unwrap().cors.allow_origin = Some("http://evil.example".into());
    })
    .await;
    let headers = "Origin: http://evil.example\r\nAccess-Control-Request-Method: GET\r\n";
    for (method, path) in
        [("GET", "/recordings/"), ("GET", "/recordings/files/0/a.webm"), ("OPTIONS", "/recordings/")]
    {
        let answer = ask(&server, method, path, headers).await;
        assert_eq!(answer.status, if method == "OPTIONS" { 405 } else { 200 });
        assert!(
            answer.headers.iter().all(|(name, _)| !name.starts_with("access-control")),
            "{:?}",
            answer.headers
        );
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}

#[tokio::test]
async fn they_are_only_fetched() {
    let calls = Calls::new("methods", &[("a.mjr", "MJR")]);
    let server = calls.serve().await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        for path in ["/recordings/", "/recordings/files/0/a.mjr"] {
            let answer = ask(&server, method, path, "").await;
            assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method} {path}");
        }
    }
    assert!(calls.0.join("a.mjr").exists());
}

#[tokio::test]
async fn the_admin_api_does_not_serve_them() {
    let calls = Calls::new("admin", &[("a.mjr", "MJR")]);
    let server = serve(|s| {
        s.recordings = Some(calls.settings());
        s.admin_http =
            Some(portunus_transport::HttpSettings { base_path: "/admin".into(), ..s.http.clone().unwrap() });
    })
    .await;
    let admin = server.address(portunus_transport::Protocol::Http, portunus_transport::Side::Admin, false);
    let mut http = Http::connect(admin).await;
    assert_eq!(http.get("/recordings/").await.unwrap().status, 404);
}
