//! The demo pages and what must not be reachable through them.

use crate::support::*;
use portunus_transport::Demo;
use std::path::PathBuf;

/// A folder of pages beside a secret.
struct Pages(PathBuf);

impl Pages {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("portunus-demos-{name}-{}", std::process::id()));
        let site = root.join("site");
        std::fs::create_dir_all(site.join("css")).unwrap();
        for (path, text) in [
            ("secret.txt", "secret"),
            ("library.js", "library"),
            ("site/index.html", "index"),
            ("site/a b.html", "space"),
            ("site/css/style.css", "style"),
            ("site/css/index.html", "css index"),
            ("site/.hidden", "hidden"),
        ] {
            std::fs::write(root.join(path), text).unwrap();
        }
        std::os::unix::fs::symlink(root.join("secret.txt"), site.join("link.txt")).unwrap();
        std::os::unix::fs::symlink(&root, site.join("up")).unwrap();
        std::os::unix::fs::symlink(site.join("css/style.css"), site.join("inside.css")).unwrap();
        Self(root)
    }

    async fn serve(&self) -> Server {
        serve(|s| {
            s.demos = vec![
                Demo { name: "js/janus.js".into(), path: self.0.join("library.js") },
                Demo { name: String::new(), path: self.0.join("site") },
            ];
        })
        .await
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn pages_scripts_and_styles_are_served() {
    let pages = Pages::new("served");
    let server = pages.serve().await;
    for (path, body, kind) in [
        ("/demos/", "index", "text/html; charset=utf-8"),
        ("/demos/index.html", "index", "text/html; charset=utf-8"),
        ("/demos/a%20b.html", "space", "text/html; charset=utf-8"),
        ("/demos/css/style.css?v=1", "style", "text/css; charset=utf-8"),
        ("/demos/css/", "css index", "text/html; charset=utf-8"),
        ("/demos/inside.css", "style", "text/css; charset=utf-8"),
        ("/demos/js/janus.js", "library", "text/javascript; charset=utf-8"),
    ] {
        let answer = server.get(path).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}");
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
        assert_eq!(answer.header("content-length").unwrap(), body.len().to_string());
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let mut http = Http::connect(server.http()).await;
        let head = http.request("HEAD", path, "", "").await.unwrap();
        assert_eq!((head.status, head.header("content-length")), (200, answer.header("content-length")));
        assert_eq!(http.get("/janus/info").await.unwrap().status, 200, "the connection goes on");
    }
}

#[tokio::test]
async fn folders_and_the_root_redirect() {
    let pages = Pages::new("redirect");
    let server = pages.serve().await;
    for (path, to) in [("/", "/demos/"), ("/demos", "/demos/"), ("/demos/css", "/demos/css/")] {
        let answer = server.get(path).await.unwrap();
        assert_eq!((answer.status, answer.header("location")), (302, Some(to)), "{path}");
    }
    assert_eq!(server.get("/demosx").await.unwrap().status, 404);
}

#[tokio::test]
async fn nothing_outside_is_reachable() {
    let pages = Pages::new("outside");
    let server = pages.serve().await;
    for path in [
        "/demos/../secret.txt",
        "/demos/%2e%2e/secret.txt",
        "/demos/..%2fsecret.txt",
        "/demos/css/../../secret.txt",
        "/demos/css/%2e%2e/%2e%2e/secret.txt",
        "/demos/..%5csecret.txt",
        "/demos//etc/passwd",
        "/demos/%2fetc%2fpasswd",
        "/demos/link.txt",
        "/demos/up/secret.txt",
        "/demos/up/",
        "/demos/.hidden",
        "/demos/%00",
        "/demos/index.html%00.js",
        "/demos/missing.html",
        "/demos/index.html/",
        "/demos/js/",
    ] {
        let answer = server.get(path).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (404, ""), "{path}");
    }
}

#[tokio::test]
async fn an_unchanged_page_is_not_sent_again() {
    let pages = Pages::new("etag");
    let server = pages.serve().await;
    let mut http = Http::connect(server.http()).await;
    let first = http.get("/demos/").await.unwrap();
    assert_eq!(first.header("cache-control"), Some("no-cache"));
    let tag = format!("If-None-Match: {}\r\n", first.header("etag").unwrap());
    let second = http.request("GET", "/demos/", &tag, "").await.unwrap();
    assert_eq!((second.status, second.header("etag")), (304, first.header("etag")));
    std::fs::write(pages.0.join("site/index.html"), "changed page").unwrap();
    assert_eq!(http.request("GET", "/demos/", &tag, "").await.unwrap().body, "changed page");
}

#[tokio::test]
async fn pages_are_only_fetched() {
    let pages = Pages::new("methods");
    let server = pages.serve().await;
    for method in ["POST", "PUT", "DELETE"] {
        let answer = Http::connect(server.http()).await.request(method, "/demos/", "", "").await.unwrap();
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
    }
}

#[tokio::test]
async fn a_large_file_arrives_whole() {
    let pages = Pages::new("large");
    let text = "0123456789".repeat(200_000);
    std::fs::write(pages.0.join("site/large.js"), &text).unwrap();
    let server = pages.serve().await;
    assert!(server.get("/demos/large.js").await.unwrap().body == text);
}

#[tokio::test]
async fn with_the_api_at_the_root_there_is_no_redirect() {
    let pages = Pages::new("root");
    let server = serve(|s| {
        s.http.as_mut().unwrap().base_path = "/".into();
        s.demos = vec![Demo { name: String::new(), path: pages.0.join("site") }];
    })
    .await;
    assert_eq!(server.get("/").await.unwrap().status, 404);
    assert_eq!(server.get("/demos/").await.unwrap().body, "index");
}
