//! What must not be reachable through the recordings, and what must not be listed.

use crate::recordings::{Calls, ask, names};
use crate::support::*;
use portunus_transport::Recordings;
use std::os::unix::fs::symlink;

/// A folder of recordings beside a secret, with links that lead to it.
fn calls_beside_a_secret(name: &str) -> Calls {
    let files = [
        ("secret.mjr", "secret"),
        ("shown/a.mjr", "fine"),
        ("shown/calls/b.webm", "fine"),
        ("shown/.hidden.mjr", "secret"),
        ("shown/.git/x.mjr", "secret"),
        ("shown/calls/.mjr", "secret"),
        ("shown/back\\slash.mjr", "secret"),
        ("shown/line\nfeed.mjr", "secret"),
        ("shown/notes.txt", "secret"),
        ("shown/mjr", "secret"),
        ("shown/a.mjr.bak", "secret"),
        ("shown/a.mjr~", "secret"),
        ("shown/page.html", "secret"),
        ("shown/config.jcfg", "secret"),
        ("shown/protected/p.mjr", "secret"),
        ("shown/protected/deep/p.mjr", "secret"),
    ];
    let calls = Calls::new(name, &files);
    let root = calls.0.join("shown");
    symlink(calls.0.join("secret.mjr"), root.join("link.mjr")).unwrap();
    symlink("../secret.mjr", root.join("calls/up.mjr")).unwrap();
    symlink("a.mjr", root.join("inside.mjr")).unwrap();
    symlink(&calls.0, root.join("out")).unwrap();
    symlink("..", root.join("calls/parent")).unwrap();
    symlink("calls", root.join("again")).unwrap();
    symlink("/", root.join("everything")).unwrap();
    std::fs::create_dir(root.join("folder.mjr")).unwrap();
    let pipe = root.join("pipe.mjr");
    rustix::fs::mkfifoat(rustix::fs::CWD, pipe, rustix::fs::Mode::RUSR).unwrap();
    calls
}

fn confined(calls: &Calls) -> Recordings {
    let root = calls.0.join("shown");
    Recordings { barred: vec![root.join("protected")], roots: vec![root], ..calls.settings() }
}

/// Below `/recordings/files/`: where nothing may be.
const HOSTILE: &[&str] = &[
    "../secret.mjr",
    "0/../secret.mjr",
    "0/../../secret.mjr",
    "0/%2e%2e/secret.mjr",
    "0/%2E%2E/secret.mjr",
    "0/.%2e/secret.mjr",
    "0/..%2fsecret.mjr",
    "0/..%2Fsecret.mjr",
    "0/..%5csecret.mjr",
    "0/..\\secret.mjr",
    "0/%2e%2e%2fsecret.mjr",
    "0/%252e%252e/secret.mjr",
    "0/%252e%252e%252fsecret.mjr",
    "0/%c0%ae%c0%ae/secret.mjr",
    "0/%c0%ae%c0%ae%c0%afsecret.mjr",
    "0/%ff.mjr",
    "0/calls/../../secret.mjr",
    "0/calls/%2e%2e/%2e%2e/secret.mjr",
    "0/calls/..%2f..%2fsecret.mjr",
    "0/calls/./b.webm",
    "0/calls/%2e/b.webm",
    "0/calls//b.webm",
    "0//calls/b.webm",
    "0///a.mjr",
    "0/a.mjr/",
    "0/a.mjr/.",
    "0/a.mjr/..",
    "0/a.mjr%00",
    "0/a.mjr%00.webm",
    "0/%00",
    "0/secret.mjr",
    "0//etc/passwd",
    "0/%2fetc%2fpasswd",
    "0/etc/passwd",
    "0/link.mjr",
    "0/inside.mjr",
    "0/calls/up.mjr",
    "0/out/secret.mjr",
    "0/out/shown/a.mjr",
    "0/calls/parent/a.mjr",
    "0/calls/parent/../a.mjr",
    "0/again/b.webm",
    "0/everything/etc/passwd",
    "0/everything/proc/self/environ",
    "0/.hidden.mjr",
    "0/%2ehidden.mjr",
    "0/.git/x.mjr",
    "0/calls/.mjr",
    "0/back\\slash.mjr",
    "0/back%5cslash.mjr",
    "0/line%0afeed.mjr",
    "0/notes.txt",
    "0/mjr",
    "0/a.mjr.bak",
    "0/a.mjr~",
    "0/page.html",
    "0/config.jcfg",
    "0/protected/p.mjr",
    "0/protected/deep/p.mjr",
    "0/folder.mjr",
    "0/folder.mjr/",
    "0/pipe.mjr",
    "0/calls",
    "0/calls/",
    "0/",
    "0",
    "",
    "1/a.mjr",
    "-1/a.mjr",
    "+0/a.mjr",
    "0x0/a.mjr",
    "99999999999999999999999/a.mjr",
    "%30/a.mjr",
    "/a.mjr",
    "a.mjr",
];

#[tokio::test]
async fn nothing_outside_is_reachable() {
    let calls = calls_beside_a_secret("outside");
    let server = serve(|s| s.recordings = Some(confined(&calls))).await;
    for below in HOSTILE {
        let answer = ask(&server, "GET", &format!("/recordings/files/{below}"), "").await;
        assert_eq!((answer.status, answer.body.as_str()), (404, ""), "{below}");
    }
    for below in ["0/a.mjr", "0/%61.mjr", "0/calls/b.webm", "00/a.mjr"] {
        assert_eq!(
            ask(&server, "GET", &format!("/recordings/files/{below}"), "").await.body,
            "fine",
            "{below}"
        );
    }
    for below in ["../secret.mjr", "x", "files", "filesx/0/a.mjr", "a.mjr", "%66iles/0/a.mjr"] {
        assert_eq!(ask(&server, "GET", &format!("/recordings/{below}"), "").await.status, 404, "{below}");
    }
}

#[tokio::test]
async fn only_what_can_be_fetched_is_listed() {
    let calls = calls_beside_a_secret("listed");
    let server = serve(|s| s.recordings = Some(confined(&calls))).await;
    let mut listed = names(&server).await;
    listed.sort();
    assert_eq!(listed, ["a.mjr", "calls/b.webm"]);
}

#[tokio::test]
async fn a_file_of_the_longest_name_and_deepest_folder_is_listed_and_served() {
    let long = format!("{}.mjr", "x".repeat(251));
    let deep = format!("{}a.mjr", "d/".repeat(8));
    let deeper = format!("{}a.mjr", "e/".repeat(9));
    let calls = Calls::new("deep", &[(&long, "fine"), (&deep, "fine"), (&deeper, "too deep")]);
    let server = calls.serve().await;
    let list = ask(&server, "GET", "/recordings/", "").await.json();
    assert_eq!(list["truncated"], true, "it says that there is more");
    let mut listed = names(&server).await;
    listed.sort();
    assert_eq!(listed, [deep.clone(), long.clone()]);
    for (name, status) in [(deep, 200), (long, 200), (deeper, 404)] {
        assert_eq!(
            ask(&server, "GET", &format!("/recordings/files/0/{name}"), "").await.status,
            status,
            "{name}"
        );
    }
}

#[tokio::test]
async fn of_very_many_files_the_newest_are_listed() {
    let calls = Calls::new("bound", &[]);
    for n in 0..5_003 {
        std::fs::write(calls.0.join(format!("{n}.mjr")), "").unwrap();
    }
    let old = std::fs::File::open(calls.0.join("4000.mjr")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH).unwrap();
    let server = calls.serve().await;
    let list = ask(&server, "GET", "/recordings/", "").await.json();
    assert_eq!((list["files"].as_array().unwrap().len(), &list["truncated"]), (5_000, &true.into()));
    assert!(!names(&server).await.contains(&"4000.mjr".to_owned()));
    assert_eq!(
        ask(&server, "GET", "/recordings/files/0/4000.mjr", "").await.status,
        200,
        "it is there all the same"
    );
}

#[tokio::test]
async fn a_root_may_be_a_link_be_missing_or_be_within_another() {
    let calls =
        Calls::new("roots", &[("all/a.mjr", ""), ("all/inner/b.mjr", ""), ("all/inner/c/d.mjr", "fine")]);
    symlink(calls.0.join("all"), calls.0.join("link")).unwrap();
    let roots = ["link", "missing", "all/inner", "all"].map(|name| calls.0.join(name)).to_vec();
    let server = serve(|s| s.recordings = Some(Recordings { roots, ..calls.settings() })).await;
    let list = ask(&server, "GET", "/recordings/", "").await.json();
    let files = list["files"].as_array().unwrap().iter();
    let mut found: Vec<_> =
        files.map(|f| (f["root"].as_u64().unwrap(), f["name"].as_str().unwrap().to_owned())).collect();
    found.sort();
    let expected = [(0, "a.mjr"), (2, "b.mjr"), (2, "c/d.mjr")].map(|(root, name)| (root, name.to_owned()));
    assert_eq!(found, expected, "each once");
    assert_eq!(ask(&server, "GET", "/recordings/files/2/c/d.mjr", "").await.body, "fine");
}

#[tokio::test]
async fn a_barred_root_is_empty() {
    let calls = Calls::new("barred", &[("a.mjr", "secret")]);
    let recordings = Recordings { barred: vec![calls.0.clone()], ..calls.settings() };
    let server = serve(|s| s.recordings = Some(recordings)).await;
    assert!(names(&server).await.is_empty());
    assert_eq!(ask(&server, "GET", "/recordings/files/0/a.mjr", "").await.status, 404);
}
