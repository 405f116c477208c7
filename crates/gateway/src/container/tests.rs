//! Folders in place of a container.

use super::*;
use crate::settings::Disk;
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};

struct Image {
    root: PathBuf,
    env: BTreeMap<&'static str, String>,
}

impl Image {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("portunus-container-{name}-{}", std::process::id()));
        for folder in ["janus/bin", "janus/html/css", "janus/etc/janus", "janus/etc/janus_host", "html"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let env = BTreeMap::from([("PORTUNUS_CONTAINER_ROOT", root.display().to_string())]);
        Self { root, env }
    }

    fn env(mut self, name: &'static str, text: &str) -> Self {
        self.env.insert(name, text.to_owned());
        self
    }

    fn file(self, path: &str, text: &str) -> Self {
        fs::write(self.root.join(path), text).unwrap();
        self
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn is_there(&self, path: &str) -> bool {
        self.root.join(path).symlink_metadata().is_ok()
    }

    fn flags(words: &[&str]) -> Flags {
        Flags::read(std::iter::once("portunus").chain(words.iter().copied()).map(Into::into)).unwrap()
    }

    /// The configuration folder below the root, and what was printed.
    fn prepare(&self, words: &[&str]) -> Result<(String, String), Failure> {
        let env = |name: &str| self.env.get(name).cloned();
        let (layout, parameters) = (Layout::of(&env), Parameters::read(&env)?);
        let wanted = layout.configuration(&Self::flags(words), &parameters, &env);
        let mut out = Vec::new();
        let stop = AtomicBool::new(false);
        let folder = prepare(&layout, &parameters, &shown::parameters(&env), wanted, &stop, &mut out)?;
        let folder = folder.strip_prefix(&self.root).unwrap_or(&folder).display().to_string();
        Ok((folder, String::from_utf8(out).unwrap()))
    }

    fn copy(&self) -> String {
        samples::copy(&self.root.join("janus/html"), &self.root.join("html"), &AtomicBool::new(false))
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

#[test]
fn it_says_what_was_built_and_asked_for_without_secrets() {
    let (_, said) = Image::new("says")
        .file("build.info", "version 1.2.3\n")
        .env("COPY_JANUS_SAMPLES", "false")
        .env("ADMIN_SECRET", "hunter2")
        .env("PORTUNUS_RECORDINGS_PASSWORD", "hunter2")
        .env("PORTUNUS_GENERAL_TOKEN_AUTH", "true")
        .env("PORTUNUS_SAMPLEEVH_BACKEND", "https://eve:hunter2@host/path@x")
        .env("PUBLIC_IP", "192.0.2.1\nforged line")
        .env("HOME", "not ours")
        .prepare(&[])
        .unwrap();
    for line in [
        "version 1.2.3",
        "COPY_JANUS_SAMPLES=false",
        "RUN_WITH_HOST_CONFIGURATION_DIR=",
        "CONFIG_GEN_SCRIPT=",
        "ADMIN_SECRET=********",
        "PORTUNUS_RECORDINGS_PASSWORD=********",
        "PORTUNUS_GENERAL_TOKEN_AUTH=true",
        "PORTUNUS_SAMPLEEVH_BACKEND=https://********@host/path@x",
        "PUBLIC_IP=192.0.2.1 forged line",
    ] {
        assert!(said.lines().any(|said| said == line), "{line} in {said}");
    }
    assert!(!said.contains("hunter2") && !said.contains("not ours"), "{said}");
    assert!(Image::new("says-nothing").prepare(&[]).unwrap().1.contains("There is no /build.info."));
}

#[test]
fn the_folder_is_the_images_the_hosts_or_the_one_that_is_named() {
    let folder = |start: &Image, words: &[&str]| start.prepare(words).unwrap().0;
    let image = Image::new("folder");
    assert_eq!(folder(&image, &[]), "janus/etc/janus");
    assert_eq!(folder(&image, &["-F", "/mine"]), "/mine");
    let host = Image::new("folder-host").env("RUN_WITH_HOST_CONFIGURATION_DIR", "true");
    assert_eq!(folder(&host, &[]), "janus/etc/janus_host");
    let named = host.env("PORTUNUS_GENERAL_CONFIGS_FOLDER", "/named");
    assert_eq!(folder(&named, &[]), "/named");
}

#[test]
fn samples_are_copied_again_and_those_that_are_gone_are_removed() {
    let start = Image::new("samples").file("janus/html/index.html", "1").file("janus/html/css/a.css", "1");
    assert!(start.copy().starts_with("2 files copied"));
    assert_eq!(start.text("html/css/a.css"), "1");
    let start = start.file("janus/html/index.html", "2").file("html/own.html", "mine");
    fs::remove_file(start.root.join("janus/html/css/a.css")).unwrap();
    let said = start.copy();
    assert!(said.starts_with("1 files copied") && said.contains("1 of an earlier start removed"), "{said}");
    assert_eq!((start.text("html/index.html"), start.text("html/own.html")), ("2".into(), "mine".into()));
    assert!(!start.is_there("html/css"), "an empty folder goes with its last file");
}

#[test]
fn what_others_have_put_there_is_never_touched() {
    let start = Image::new("foreign")
        .file("janus/html/index.html", "ours")
        .file("janus/html/css/a.css", "ours")
        .file("html/index.html", "theirs");
    fs::create_dir_all(start.root.join("elsewhere")).unwrap();
    symlink(start.root.join("elsewhere"), start.root.join("html/css")).unwrap();
    // A list that somebody has tampered with leads nowhere.
    let outside = start.root.join("elsewhere/kept").display().to_string();
    let start = start
        .file("elsewhere/kept", "theirs")
        .file("html/.portunus-samples", &format!("../elsewhere/kept\n{outside}\ncss/kept\ncss/a.css\n"));
    let said = start.copy();
    assert!(
        said.contains("index.html is left as it is") && said.contains("css/a.css is not copied"),
        "{said}"
    );
    assert_eq!(start.text("html/index.html"), "theirs");
    assert_eq!(start.text("elsewhere/kept"), "theirs");
    assert!(!start.is_there("elsewhere/a.css"));
}

#[test]
fn links_in_the_place_of_the_list_lead_nowhere() {
    for name in [".portunus-samples", ".portunus-unfinished"] {
        let start = Image::new("linked")
            .file("janus/html/index.html", "ours")
            .file("janus/etc/janus/janus.jcfg", "theirs: { }");
        symlink(start.root.join("janus/etc/janus/janus.jcfg"), start.root.join("html").join(name)).unwrap();
        assert!(start.copy().starts_with("1 files copied"), "{name}");
        assert_eq!(start.text("janus/etc/janus/janus.jcfg"), "theirs: { }", "{name}");
        assert!(!start.text("html/.portunus-samples").contains("theirs"), "{name}");
    }
}

#[test]
fn a_folder_that_cannot_be_used_is_a_warning() {
    let start = Image::new("unwritable").file("janus/html/index.html", "1").env("COPY_JANUS_SAMPLES", "true");
    fs::remove_dir_all(start.root.join("html")).unwrap();
    let start = start.file("html", "a file stands in its place");
    let (_, said) = start.prepare(&[]).unwrap();
    assert!(said.contains("Warning: the samples are not copied"), "{said}");
    assert!(
        Image::new("no-samples")
            .env("COPY_JANUS_SAMPLES", "true")
            .prepare(&[])
            .unwrap()
            .1
            .contains("0 files copied")
    );
}

#[test]
fn pages_come_from_the_mounted_folder_if_there_are_any() {
    let start = Image::new("demos").file("html/.portunus-samples", "");
    let layout = Layout { root: start.root.clone() };
    assert_eq!(layout.demos(), Some(start.root.join("janus/html")));
    let start = start.file("html/index.html", "");
    assert_eq!(layout.demos(), Some(start.root.join("html")));
    fs::remove_dir_all(start.root.join("html")).unwrap();
    fs::remove_dir_all(start.root.join("janus/html")).unwrap();
    assert_eq!(layout.demos(), None);
}

const SCRIPT: &str = "#!/bin/sh\necho \"general: { admin_secret = \\\"hunter2\\\"; server_name = \\\"made\\\" }\" > janus.jcfg\n";

#[test]
fn the_script_makes_files_and_they_are_printed_without_secrets() {
    let start = Image::new("script")
        .file("janus/etc/janus/gen.sh", SCRIPT)
        .file("janus/etc/janus/janus.broken.jcfg", "password = hunter2")
        .env("CONFIG_GEN_SCRIPT", "gen.sh");
    let (folder, said) = start.prepare(&[]).unwrap();
    assert_eq!(folder, "janus/etc/janus");
    assert!(start.text("janus/etc/janus/janus.jcfg").contains("hunter2"));
    assert!(
        said.contains("server_name = \"made\"") && said.contains("admin_secret = \"********\""),
        "{said}"
    );
    assert!(said.contains("not shown: it has mistakes") && !said.contains("hunter2"), "{said}");
    let (_, said) = Image::new("script-absent").env("CONFIG_GEN_SCRIPT", "gen.sh").prepare(&[]).unwrap();
    assert!(said.contains("There is no gen.sh in it"), "{said}");
}

#[test]
fn secrets_are_masked_by_their_names_and_comments_are_left_out() {
    let text = "# old: hunter2\ngeneral: { api_secret = \"hunter2\" // hunter2\n token_auth = true; cert_pwd = \"\"; pingpong_trigger = 30 }
        room-1: { pin = 1234; allowed = [\"hunter2\"]; deep = ({ Password = \"hunter2\" }, \"x\"); secrets = { a = \"hunter2\" } }
        backend = \"http://a:hunter2@host/\"\n srtpcrypto = \"hunter2\"\n rest = \"https://turn/x?key=hunter2&a=1, http://b:hunter2@c/d?e=hunter2\"\n@include \"more.jcfg\"";
    let said = shown::masked(text);
    for part in [
        "token_auth = true",
        "cert_pwd = \"\"",
        "pingpong_trigger = 30",
        "\"x\"",
        "http://********@host/",
        "https://turn/x?********, http://********@c/d?********",
        "more.jcfg",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!said.contains("hunter2") && !said.contains("1234"), "{said}");
}

#[test]
fn only_the_name_of_a_file_is_a_script() {
    for name in ["../gen.sh", "/bin/sh", "a/b", ".", "..", ".hidden"] {
        let failure = Image::new("names").env("CONFIG_GEN_SCRIPT", name).prepare(&[]).unwrap_err();
        assert!(
            failure.code == 1 && failure.text.contains("CONFIG_GEN_SCRIPT must be"),
            "{name}: {failure:?}"
        );
    }
    assert!(Image::new("no-name").env("CONFIG_GEN_SCRIPT", "").prepare(&[]).is_ok());
}

#[test]
fn the_fallback_gets_script_and_files_anew_at_every_start() {
    let start = Image::new("fallback")
        .file("janus/etc/janus/gen.sh", "#!/bin/sh\necho '#more' >> janus.jcfg\necho 'a = 1' > made.jcfg\n")
        .file("janus/etc/janus/janus.jcfg", "general: { }\n")
        .file("janus/etc/janus/janus.gone.jcfg", "");
    let (from, to) = (start.root.join("janus/etc/janus"), start.root.join("janus/etc/janus_fallback"));
    // Read-only files, as those of a ConfigMap are.
    fs::set_permissions(from.join("janus.jcfg"), fs::Permissions::from_mode(0o444)).unwrap();
    for _ in 0..2 {
        script::fill_fallback(&from, &to, "gen.sh").unwrap();
        script::run(&to, "gen.sh", script::LIMIT, &AtomicBool::new(false)).unwrap();
        assert_eq!(start.text("janus/etc/janus_fallback/janus.jcfg"), "general: { }\n#more\n");
        assert!(start.is_there("janus/etc/janus_fallback/made.jcfg"));
    }
    fs::remove_file(from.join("janus.gone.jcfg")).unwrap();
    script::fill_fallback(&from, &to, "gen.sh").unwrap();
    assert!(!start.is_there("janus/etc/janus_fallback/made.jcfg"));
    assert!(!start.is_there("janus/etc/janus_fallback/janus.gone.jcfg"));
    let failure = script::fill_fallback(&from, &from.join("gen.sh/x"), "gen.sh").unwrap_err();
    assert!(
        failure.text.contains("mount a volume or a tmpfs") && failure.text.contains("${VAR}"),
        "{failure:?}"
    );
}

#[test]
fn a_script_ends_the_start_with_its_code_or_with_what_it_lacks() {
    let run = |name: &str, text: &str| {
        let start = Image::new(name).file("janus/etc/janus/gen.sh", text);
        script::run(
            &start.root.join("janus/etc/janus"),
            "gen.sh",
            Duration::from_secs(1),
            &AtomicBool::new(false),
        )
    };
    assert_eq!(run("code", "#!/bin/sh\nexit 7\n").unwrap_err().code, 7);
    assert_eq!(run("signal", "#!/bin/sh\nkill -KILL $$\n").unwrap_err().code, 137);
    for (name, text) in
        [("no-shell", "#!/no/such/shell -e\n"), ("no-program", "#!/usr/bin/env nosuchprogram\n")]
    {
        let failure = run(name, text).unwrap_err();
        assert!(failure.text.contains("-shell") && failure.text.contains("${VAR}"), "{failure:?}");
    }
    assert!(run("windows", "#!/bin/sh\r\nexit 0\r\n").unwrap_err().text.contains("line ends of Windows"));
    assert_eq!(run("no-first-line", "exit 0\n"), Ok(()));
    assert_eq!(run("option", "#!/bin/sh -e\nfalse\ntrue\n").unwrap_err().code, 1);
    let failure = run("long", "#!/bin/sh\nsleep 50 & sleep 50\n").unwrap_err();
    assert!(failure.text.contains("ran for more than 1 s"), "{failure:?}");
}

#[test]
fn the_health_check_asks_where_the_start_has_put_it() {
    let address = |start: &Image, words: &[&str]| {
        let env = |name: &str| start.env.get(name).cloned();
        health::address(Image::flags(words), &env).unwrap().map(|address| address.to_string())
    };
    let start =
        Image::new("health").file("janus/etc/janus_host/janus.jcfg", "portunus: { metrics_port = 7000 }");
    assert_eq!(address(&start, &[]).as_deref(), Some("127.0.0.1:8086"));
    let start = start.env("RUN_WITH_HOST_CONFIGURATION_DIR", "true").env("PORTUNUS_METRICS_IP", "0.0.0.0");
    assert_eq!(address(&start, &[]).as_deref(), Some("127.0.0.1:7000"));
    let start = start.env("PORTUNUS_METRICS_IP", "::").env("PORTUNUS_METRICS_PORT", "7001");
    assert_eq!(address(&start, &[]).as_deref(), Some("[::1]:7001"));
    fs::create_dir_all(start.root.join("janus/etc/janus_fallback")).unwrap();
    let start = start
        .file("janus/etc/janus_fallback/gen.sh", "")
        .file("janus/etc/janus_fallback/janus.jcfg", "portunus: { metrics_port = 0 }")
        .env("PORTUNUS_METRICS_PORT", "")
        .env("CONFIG_GEN_SCRIPT", "gen.sh");
    assert_eq!(address(&start, &[]), None);
}

#[test]
fn silence_and_nonsense_are_not_health() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let begun = std::time::Instant::now();
    let error = health::ask(address, Duration::from_millis(300)).unwrap_err();
    assert!(
        error.to_string().contains("no answer in time") && begun.elapsed() < Duration::from_secs(2),
        "{error}"
    );
    let answers = [
        "SSH-2.0\r\n",
        "HTTP/1.1 503 Busy\r\n\r\nthe control task does not answer\n",
        "HTTP/1.1 200 OK\r\n\r\nok",
    ];
    let served = std::thread::spawn(move || {
        // The first is that of the silence above.
        let _silent = listener.accept().unwrap();
        for answer in answers {
            let mut asker = listener.accept().unwrap().0;
            // What is closed with something unread is reset, and the answer lost.
            let _ = std::io::Read::read(&mut asker, &mut [0; 1024]).unwrap();
            asker.write_all(answer.as_bytes()).unwrap();
        }
    });
    let patience = Duration::from_secs(5);
    assert!(health::ask(address, patience).is_err());
    assert_eq!(health::ask(address, patience).unwrap(), (503, "the control task does not answer".to_owned()));
    assert_eq!(health::ask(address, patience).unwrap(), (200, "ok".to_owned()));
    served.join().unwrap();
}

#[test]
fn recordings_may_be_in_the_working_folder_and_in_the_archive() {
    let start = Image::new("roots");
    let mut flags = Image::flags(&[]);
    let layout = Layout { root: start.root.clone() };
    adopt(&mut flags, &layout, start.root.join("janus/etc/janus"));
    let (settings, _) = settings::load(&flags, &|_| None, &Disk).unwrap();
    // What the start itself does, in a process of its own, is tried out in tests/container.rs.
    assert_eq!(settings.portunus.recordings.roots, None, "the defaults: the working folder and /archive");
    assert_eq!(settings.general.configs_folder, start.root.join("janus/etc/janus"));
}
