//! `portunus start` and `portunus healthcheck` as a container runs them, below a folder of their own.

mod common;

use common::{Folder, Server, ask_at, free_port, run, text};
use std::fs;
use std::io::Read;
use std::net::UdpSocket;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const JANUS: &str =
    "nat: { allow_loopback = true }\nportunus: { udp_port = 0; workers = 1; metrics_port = \"${HEALTH}\" }\n";
const HTTP: &str = "general: { port = 0; ip = \"127.0.0.1\" }\n";
const NO_WEBSOCKETS: &str = "general: { ws = false }\n";

/// The root of a container with a configuration of the image.
fn image(name: &str, files: &[(&str, &str)]) -> Folder {
    let root = Folder::new(&format!("start-{name}"), &[("build.info", "built for a test\n")]);
    for folder in ["janus/bin", "janus/html", "janus/etc/janus", "html"] {
        fs::create_dir_all(root.0.join(folder)).unwrap();
    }
    fs::write(root.0.join("janus/html/index.html"), "a sample").unwrap();
    let own = [
        ("janus.jcfg", JANUS),
        ("janus.transport.http.jcfg", HTTP),
        ("janus.transport.websockets.jcfg", NO_WEBSOCKETS),
    ];
    for (file, text) in own.iter().chain(files) {
        fs::write(root.0.join("janus/etc/janus").join(file), text).unwrap();
    }
    root
}

fn portunus(root: &Folder, health: u16, verb: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portunus"));
    command.arg(verb).current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
    command.env("PORTUNUS_CONTAINER_ROOT", &root.0).env("HEALTH", health.to_string());
    command
}

/// Processes that a process has, with their states.
fn children(of: u32) -> Vec<String> {
    let stats = fs::read_dir("/proc").unwrap().flatten();
    let stats = stats.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let is_child = |stat: &String| {
        stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)) == Some(&of.to_string())
    };
    stats.filter(is_child).collect()
}

#[test]
fn it_prepares_serves_tells_its_health_and_ends_in_a_second() {
    let script = "#!/bin/sh\n(sleep 0.3) &\necho \"general: { server_name = \\\"made by $WHO\\\"; api_secret = \\\"hunter2\\\" }\" > more.inc\nsed -i '1i @include \"more.inc\"' janus.jcfg\n";
    let root = image("whole", &[("gen.sh", script)]);
    let health = free_port();
    let check = || run(&mut portunus(&root, health, "healthcheck"));
    let before = check();
    assert_eq!(before.status.code(), Some(1));
    assert!(text(&before.stderr).starts_with("unhealthy: http://127.0.0.1:"), "{}", text(&before.stderr));
    let mut command = portunus(&root, health, "start");
    command.env("COPY_JANUS_SAMPLES", "true").env("CONFIG_GEN_SCRIPT", "gen.sh").env("WHO", "a script");
    let server = Server::start(command.env("PORTUNUS_RECORDINGS_PAGE", "true"));
    let said = server.lines.join("\n");
    assert!(said.contains("built for a test") && said.contains("1 files copied"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    // It works in /janus/bin: recordings may be there and in /archive.
    let roots = format!("shows {}, /archive to this machine", root.0.join("janus/bin").display());
    assert!(said.contains(&roots), "{said}");
    assert!(server.ask("/janus/info", None).contains("made by a script"));
    assert!(ask_at(&server.address("http://"), "/demos/index.html", None).ends_with("a sample"));
    let after = check();
    assert_eq!(after.status.code(), Some(0), "{}", text(&after.stderr));
    assert!(text(&after.stdout).starts_with("healthy: "), "{}", text(&after.stdout));
    let begun = Instant::now();
    while !children(server.child.id()).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", children(server.child.id()));
        std::thread::sleep(Duration::from_millis(100));
    }
    let begun = Instant::now();
    server.signal("TERM");
    assert_eq!(server.end().1.code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn a_reload_takes_the_variables_of_the_files_again() {
    let root = image("reload", &[]);
    let mut server = Server::start(portunus(&root, free_port(), "start").env("TIME", "70"));
    let with = JANUS.replace("nat:", "general: { session_timeout = \"${TIME}\" }\nnat:");
    fs::write(root.0.join("janus/etc/janus/janus.jcfg"), &with).unwrap();
    server.signal("HUP");
    server.read_until("reloading is done");
    assert!(
        server.ask("/janus/info", None).contains("\"session-timeout\": 70")
            || server.ask("/janus/info", None).contains("\"session-timeout\":70")
    );
    fs::write(root.0.join("janus/etc/janus/janus.jcfg"), with.replace("${TIME}", "${NOBODY}")).unwrap();
    server.signal("HUP");
    server.read_until("the settings stay as they were");
    assert!(server.lines.iter().any(|line| line.contains("the variable `NOBODY` is not set")));
    server.signal("INT");
    assert_eq!(server.end().1.code(), Some(0));
}

#[test]
fn a_script_that_fails_ends_the_start_with_its_code_and_output() {
    let root = image("fails", &[("gen.sh", "#!/bin/sh\necho out; echo err >&2; exit 9\n")]);
    let output = run(portunus(&root, free_port(), "start").env("CONFIG_GEN_SCRIPT", "gen.sh"));
    assert_eq!(output.status.code(), Some(9));
    assert!(text(&output.stdout).lines().any(|line| line == "out"), "{}", text(&output.stdout));
    let said = text(&output.stderr);
    assert!(said.contains("err\n") && said.contains("gen.sh failed with exit code 9"), "{said}");
}

#[test]
fn a_signal_during_the_script_ends_both() {
    for (name, signal, code) in [("term", "TERM", 143), ("int", "INT", 130)] {
        let root = image(
            &format!("signal-{name}"),
            &[("gen.sh", "#!/bin/sh\necho $$ > pid\nsleep 55 & sleep 55\n")],
        );
        let mut command = portunus(&root, free_port(), "start");
        let child =
            command.env("CONFIG_GEN_SCRIPT", "gen.sh").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let pid = root.0.join("janus/etc/janus/pid");
        let begun = Instant::now();
        let script = loop {
            match fs::read_to_string(&pid) {
                Ok(text) if text.ends_with('\n') => break text,
                _ => assert!(begun.elapsed() < Duration::from_secs(20), "no script"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let begun = Instant::now();
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains("Stopped before it was started."), "{said}");
        assert!(!Path::new("/proc").join(script.trim()).exists(), "the script lives on");
    }
}

/// The files of the community's Janus container as those of the image.
fn janus_container(name: &str) -> Folder {
    let root = image(name, &[]);
    let (from, to) = (
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/janus-container"),
        root.0.join("janus/etc/janus"),
    );
    fs::remove_dir_all(&to).unwrap();
    fs::create_dir(&to).unwrap();
    for file in fs::read_dir(from).unwrap().flatten() {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
    root
}

/// With ports that are free; nobody is asked for addresses.
fn elsewhere(command: &mut Command) -> &mut Command {
    command
        .env("STUN_SERVER", "127.0.0.1:9")
        .env("PORTUNUS_HTTP_SECURE_PORT", "0")
        .env("PORTUNUS_HTTP_ADMIN_SECURE_PORT", "0")
        .env("PORTUNUS_WEBSOCKETS_WS", "false")
        .env("PORTUNUS_METRICS_PORT", free_port().to_string())
        .env("PORTUNUS_UDP_PORT", "0")
        .env("PORTUNUS_NAT_ALLOW_LOOPBACK", "true")
}

fn make_certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x"])
        .args(["-keyout", "privkey.pem", "-out", "fullchain.pem"])
        .current_dir(folder)
        .output()
        .expect("openssl is needed");
    assert!(made.status.success(), "{}", text(&made.stderr));
}

/// Certificates of this folder, in place of /etc/certs.
fn certificates<'c>(command: &'c mut Command, folder: &Path) -> &'c mut Command {
    for prefix in ["PORTUNUS_CERTIFICATES", "PORTUNUS_HTTP"] {
        command.env(format!("{prefix}_CERT_PEM"), folder.join("fullchain.pem"));
        command.env(format!("{prefix}_CERT_KEY"), folder.join("privkey.pem"));
    }
    command
}

#[test]
fn the_sixteen_files_are_good_and_serve_with_certificates() {
    let root = janus_container("sixteen");
    let output = run(portunus(&root, 0, "start").arg("--check-config"));
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("0 errors, 4 warnings (0 about unknown names)"), "{said}");
    make_certificate(&root.0);
    let server = Server::start(certificates(elsewhere(&mut portunus(&root, 0, "start")), &root.0));
    let said = server.lines.join("\n");
    assert!(
        said.contains("Janus API: https://127.0.0.1:") && said.contains("Admin API: https://127.0.0.1:"),
        "{said}"
    );
    server.signal("TERM");
    assert_eq!(server.end().1.code(), Some(0));
}

#[test]
fn missing_certificates_say_where_to_mount_them_and_end_it_as_in_janus() {
    let root = janus_container("no-certificates");
    let missing = root.0.join("certs");
    let output = run(certificates(elsewhere(&mut portunus(&root, 0, "start")), &missing));
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    for file in ["fullchain.pem", "privkey.pem"] {
        let wanted =
            format!("{}/{file} is missing: mount the folder of your certificates", missing.display());
        assert!(said.contains(&wanted) && said.contains(&format!(":{}:ro", missing.display())), "{said}");
    }
    // With a certificate made for DTLS, HTTPS alone is missing: then there is nothing to listen on.
    let mut command = portunus(&root, 0, "start");
    certificates(elsewhere(&mut command), &missing);
    let janus = root.0.join("janus/etc/janus/janus.jcfg");
    let text_of = fs::read_to_string(&janus).unwrap();
    fs::write(&janus, text_of.replace("cert_", "#cert_")).unwrap();
    let output = run(command
        .env_remove("PORTUNUS_CERTIFICATES_CERT_PEM")
        .env_remove("PORTUNUS_CERTIFICATES_CERT_KEY"));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stdout).contains("is missing: mount") && text(&output.stderr).contains("no listener"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_certificate_that_may_not_be_read_tells_whose_it_is_and_who_we_are() {
    let root = janus_container("unreadable");
    make_certificate(&root.0);
    let key = root.0.join("privkey.pem");
    let mut command = portunus(&root, 0, "start");
    let root_runs = fs::metadata("/proc/self").unwrap().uid() == 0;
    let (mode, us) = if root_runs { (0o600, 10_001) } else { (0o000, fs::metadata(&key).unwrap().uid()) };
    fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
    if root_runs {
        // Where others may run it, whatever folder it was built in.
        let binary = root.0.join("portunus");
        fs::copy(env!("CARGO_BIN_EXE_portunus"), &binary).unwrap();
        command = Command::new(binary);
        command.arg("start").current_dir("/").env_clear().env("PORTUNUS_CONTAINER_ROOT", &root.0);
        command.uid(us).gid(us);
    }
    let output = run(certificates(elsewhere(&mut command), &root.0));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    let said = text(&output.stderr);
    let of = fs::metadata(&key).unwrap().uid();
    for part in [
        format!("{}", key.display()),
        format!("we run as user {us}, group"),
        format!("the file is that of user {of}, group"),
        format!("mode {mode:04o}"),
    ] {
        assert!(said.contains(&part), "{part} in {said}");
    }
}

#[test]
fn a_required_stun_server_decides_whether_it_starts() {
    let root = image("stun", &[]);
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let mut command = portunus(&root, free_port(), "start");
    let begun = Instant::now();
    let output = run(command.env("STUN_SERVER", &address).env("PORTUNUS_STUN_REQUIRED", "true"));
    assert_eq!(output.status.code(), Some(1));
    let wanted = format!("the STUN server {address} does not answer, and `portunus.stun_required` is set");
    assert!(text(&output.stderr).contains(&wanted), "{}", text(&output.stderr));
    assert!(begun.elapsed() < Duration::from_secs(15));
    // One that answers.
    silent.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let answering = std::thread::spawn(move || {
        let mut request = [0; 1500];
        loop {
            let Ok((length, from)) = silent.recv_from(&mut request) else { return };
            if length < 20 {
                return;
            }
            let mut answer = vec![1, 1, 0, 12];
            answer.extend_from_slice(&request[4..20]);
            // XOR-MAPPED-ADDRESS of 192.0.2.1:10000.
            answer.extend_from_slice(&[0, 0x20, 0, 8, 0, 1, 0x27 ^ 0x21, 0x10 ^ 0x12]);
            answer.extend_from_slice(&[192 ^ 0x21, 0x12, 2 ^ 0xa4, 1 ^ 0x42]);
            let _ = silent.send_to(&answer, from);
        }
    });
    let server = Server::start(command.env("STUN_SERVER", &address));
    assert!(server.lines.iter().any(|line| line.contains("the STUN server answers")), "{:?}", server.lines);
    server.signal("TERM");
    assert_eq!(server.end().1.code(), Some(0));
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"end", &address).unwrap();
    answering.join().unwrap();
}
