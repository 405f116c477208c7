//! The program as whoever starts it sees it: what it prints, how it ends.

mod common;

use common::{Folder, Server, ask_at, free_port, run, text};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

const JANUS: &str = "nat: { allow_loopback = true }\nportunus: { udp_port = 0; workers = 1 }\n";
const HTTP: &str = "general: { port = 0; ip = \"127.0.0.1\"; json = \"compact\" }\n";
const WEBSOCKETS: &str = "general: { ws_port = 0; ws_ip = \"127.0.0.1\" }\n";

fn folder(name: &str, janus: &str) -> Folder {
    let files = [
        ("janus.jcfg", janus),
        ("janus.transport.http.jcfg", HTTP),
        ("janus.transport.websockets.jcfg", WEBSOCKETS),
    ];
    Folder::new(name, &files)
}

fn portunus(folder: &Folder) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portunus"));
    command.arg("-F").arg(&folder.0).current_dir(&folder.0).env_clear();
    command
}

#[test]
fn it_says_what_it_listens_on_and_ends_well() {
    let folder = folder("ready", JANUS);
    for signal in ["TERM", "INT"] {
        let server = Server::start(&mut portunus(&folder));
        for part in [
            "Portunus ",
            "Janus API: http://127.0.0.1:",
            "Janus API: ws://127.0.0.1:",
            "Media: UDP 127.0.0.1:",
        ] {
            assert!(server.lines.iter().any(|l| l.starts_with(part)), "{part} in {:?}", server.lines);
        }
        assert!(server.ask("/janus/info", None).contains(r#"{"janus":"server_info""#));
        server.signal(signal);
        let (rest, status) = server.end();
        assert!(rest.iter().any(|line| line == "Stopping server, please wait..."), "{rest:?}");
        assert_eq!(rest.last().map(String::as_str), Some("Bye!"));
        assert_eq!(status.code(), Some(0));
    }
}

#[test]
fn a_conversation_goes_through_all_parts() {
    let folder = folder("talk", JANUS);
    let server = Server::start(&mut portunus(&folder));
    let session = id_in(&server.ask("/janus", Some(r#"{"janus":"create","transaction":"a"}"#)));
    let path = format!("/janus/{session}");
    let attach = r#"{"janus":"attach","transaction":"b","plugin":"janus.plugin.echotest"}"#;
    let handle = id_in(&server.ask(&path, Some(attach)));
    let message = r#"{"janus":"message","transaction":"c","body":{"audio":true}}"#;
    let answer = server.ask(&format!("{path}/{handle}"), Some(message));
    let ack =
        format!(r#"{{"janus":"ack","session_id":{session},"transaction":"c","hint":"I'm taking my time!"}}"#);
    assert!(answer.contains(&ack), "{answer}");
    let event = server.ask(&path, None);
    let wanted = format!(
        r#"{{"janus":"event","session_id":{session},"transaction":"c","sender":{handle},"plugindata":{{"plugin":"janus.plugin.echotest","data":{{"echotest":"event","result":"ok"}}}}}}"#
    );
    assert!(event.contains(&wanted), "{event}");
    assert!(server.ask("/janus/77", None).starts_with("HTTP/1.1 404"), "no such session to poll");
    server.signal("INT");
    assert_eq!(server.end().1.code(), Some(0));
}

/// A session with a handle of the echo test: path of the session, and of the handle.
fn attached(server: &Server) -> (String, String) {
    let session = format!("/janus/{}", id_in(&server.ask("/janus", Some(CREATE))));
    let attach = r#"{"janus":"attach","transaction":"b","plugin":"janus.plugin.echotest"}"#;
    let handle = format!("{session}/{}", id_in(&server.ask(&session, Some(attach))));
    (session, handle)
}

const CREATE: &str = r#"{"janus":"create","transaction":"a"}"#;

fn id_in(answer: &str) -> String {
    let (_, rest) = answer.split_once(r#""data":{"id":"#).unwrap_or_else(|| panic!("no id in {answer}"));
    rest.split('}').next().unwrap().to_owned()
}

/// A port nobody has.
#[test]
fn after_sigterm_calls_go_on_and_nothing_new_begins() {
    let metrics = free_port();
    let janus =
        JANUS.replace("workers = 1", &format!("workers = 1; metrics_port = {metrics}; drain_timeout_s = 30"));
    let folder = folder("drain", &janus);
    let mut server = Server::start(&mut portunus(&folder));
    let (_, handle) = attached(&server);
    let metrics = format!("127.0.0.1:{metrics}");
    let ready = || ask_at(&metrics, "/readyz", None);
    assert!(ready().starts_with("HTTP/1.1 200"), "{}", ready());
    server.signal("TERM");
    server.read_until("Draining:");
    assert!(ready().starts_with("HTTP/1.1 503"), "{}", ready());
    assert!(ask_at(&metrics, "/healthz", None).starts_with("HTTP/1.1 200"));
    let refused = server.ask("/janus", Some(CREATE));
    assert!(refused.contains(r#""code":472"#), "{refused}");
    let message = r#"{"janus":"message","transaction":"c","body":{"audio":true}}"#;
    assert!(server.ask(&handle, Some(message)).contains(r#""janus":"ack""#), "the call goes on");
    let detached = server.ask(&handle, Some(r#"{"janus":"detach","transaction":"d"}"#));
    assert!(detached.contains("success"), "{detached}");
    let begun = Instant::now();
    let (rest, status) = server.end();
    assert_eq!((status.code(), rest.last().map(String::as_str)), (Some(0), Some("Bye!")));
    assert!(begun.elapsed() < Duration::from_secs(10), "nothing is left to wait for");
}

#[test]
fn draining_ends_in_time_and_at_another_signal() {
    for (seconds, again) in [(1, false), (60, true)] {
        let janus = JANUS.replace("workers = 1", &format!("workers = 1; drain_timeout_s = {seconds}"));
        let folder = folder(&format!("drain-{seconds}"), &janus);
        let mut server = Server::start(&mut portunus(&folder));
        attached(&server);
        let begun = Instant::now();
        server.signal("TERM");
        server.read_until("Draining:");
        if again {
            server.signal("TERM");
        }
        let (rest, status) = server.end();
        assert_eq!((status.code(), rest.last().map(String::as_str)), (Some(0), Some("Bye!")), "{rest:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}

#[test]
fn an_operator_can_have_it_drained() {
    let admin = free_port();
    let folder = folder("drain-admin", &format!("{JANUS}general: {{ admin_secret = \"s\" }}\n"));
    let http =
        format!("{HTTP}admin: {{ admin_http = true; admin_port = {admin}; admin_ip = \"127.0.0.1\" }}\n");
    fs::write(folder.0.join("janus.transport.http.jcfg"), http).unwrap();
    let server = Server::start(&mut portunus(&folder));
    attached(&server);
    let drain = r#"{"janus":"drain","transaction":"a","admin_secret":"s","timeout":0}"#;
    let answer = ask_at(&format!("127.0.0.1:{admin}"), "/admin", Some(drain));
    assert!(answer.contains(r#"{"janus":"success","transaction":"a","handles":1}"#), "{answer}");
    assert_eq!(server.end().1.code(), Some(0));
}

#[test]
fn settings_are_read_again_on_sighup_and_mistakes_change_nothing() {
    let admin = free_port();
    let janus = |general: &str| format!("{JANUS}general: {{ admin_secret = \"s\"; {general} }}\n");
    let folder = folder("reload", &janus("session_timeout = 50"));
    let http =
        format!("{HTTP}admin: {{ admin_http = true; admin_port = {admin}; admin_ip = \"127.0.0.1\" }}\n");
    fs::write(folder.0.join("janus.transport.http.jcfg"), http).unwrap();
    let mut server = Server::start(&mut portunus(&folder));
    let status = || {
        let ask = r#"{"janus":"get_status","transaction":"a","admin_secret":"s"}"#;
        ask_at(&format!("127.0.0.1:{admin}"), "/admin", Some(ask))
    };
    assert!(status().contains(r#""session_timeout":50"#));
    fs::write(folder.0.join("janus.jcfg"), janus("session_timeout = 51; server_name = \"x\"")).unwrap();
    server.signal("HUP");
    server.read_until("reloading is done");
    assert!(status().contains(r#""session_timeout":51"#), "{}", status());
    assert!(
        server.lines.iter().any(|l| l.contains("janus.jcfg, general: changes take effect after a restart"))
    );
    fs::write(folder.0.join("janus.jcfg"), janus("session_timeout = soon")).unwrap();
    server.signal("HUP");
    server.read_until("the settings stay as they were");
    server.read_until("reloading is done");
    assert!(status().contains(r#""session_timeout":51"#), "{}", status());
    // Without its secret the Admin API would be open to whoever reaches it.
    fs::write(folder.0.join("janus.jcfg"), JANUS).unwrap();
    server.signal("HUP");
    server.read_until("`general.admin_secret` stays as it was");
    server.read_until("reloading is done");
    let open = ask_at(
        &format!("127.0.0.1:{admin}"),
        "/admin",
        Some(r#"{"janus":"list_sessions","transaction":"a"}"#),
    );
    assert!(open.contains(r#""code":403"#), "{open}");
    server.signal("INT");
    assert_eq!(server.end().1.code(), Some(0));
}

#[test]
fn the_log_file_is_opened_anew_on_its_signal() {
    let folder = folder(
        "rotate",
        &format!("{JANUS}general: {{ log_to_file = \"gateway.log\"; log_rotate_sig = \"SIGUSR1\" }}\n"),
    );
    let server = Server::start(&mut portunus(&folder));
    let (log, old) = (folder.0.join("gateway.log"), folder.0.join("gateway.log.1"));
    fs::rename(&log, &old).unwrap();
    server.signal("USR1");
    let begun = Instant::now();
    while !log.exists() {
        assert!(begun.elapsed() < Duration::from_secs(10), "no new log file");
        std::thread::sleep(Duration::from_millis(10));
    }
    server.ask("/janus", Some(CREATE));
    server.signal("INT");
    server.end();
    assert!(fs::read_to_string(&log).unwrap().contains("session created"));
    assert!(!fs::read_to_string(&old).unwrap().contains("session created"));
}

#[test]
fn recordings_are_shown_when_that_is_asked_for_and_it_says_to_whom() {
    let with = |keys: &str| JANUS.replace("workers = 1", &format!("workers = 1; {keys}"));
    let roots = "recordings_page = true; recordings_roots = [ \"calls\" ]";
    let own = format!("{roots}; recordings_password = \"do not print\"");
    let ask = |server: &Server, path: &str| {
        let mut connection = TcpStream::connect(server.address("http://")).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        connection.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    };
    for (keys, said, status) in [
        ("max_sessions = 9", None, "404"),
        (roots, Some("this machine only"), "200"),
        (&own, Some("whoever knows the password (sent in the clear)"), "401"),
    ] {
        let folder = folder("recordings", &with(keys));
        fs::create_dir_all(folder.0.join("calls")).unwrap();
        fs::write(folder.0.join("calls/a-audio.mjr"), "MJR").unwrap();
        let server = Server::start(&mut portunus(&folder));
        let line = server.lines.iter().find(|line| line.starts_with("Recordings: "));
        assert_eq!(line.is_some(), said.is_some(), "{keys}: {:?}", server.lines);
        assert!(line.zip(said).is_none_or(|(line, said)| line.contains(said) && line.contains("/calls to ")));
        let answer = ask(&server, "/recordings/files/0/a-audio.mjr");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{keys}: {answer}");
        assert_eq!(answer.ends_with("MJR"), status == "200");
        server.signal("INT");
        let (rest, _) = server.end();
        assert!(!rest.concat().contains("do not print"));
    }
}

#[test]
fn a_new_password_for_recordings_waits_for_a_restart_and_says_so() {
    let janus = |password: &str| {
        let keys = format!("workers = 1; recordings_page = true; recordings_password = \"{password}\"");
        JANUS.replace("workers = 1", &keys)
    };
    let folder = folder("recordings-reload", &janus("old password"));
    let mut server = Server::start(&mut portunus(&folder));
    fs::write(folder.0.join("janus.jcfg"), janus("new password")).unwrap();
    server.signal("HUP");
    server.read_until("janus.jcfg, portunus: changes take effect after a restart");
    server.signal("INT");
    let (rest, status) = server.end();
    assert_eq!(status.code(), Some(0));
    assert!(!rest.concat().contains("new password"));
}

#[test]
fn a_new_password_of_a_turn_server_waits_for_a_restart_and_says_so() {
    let janus = |password: &str| {
        // Nobody listens there, and nobody has to.
        let server = format!(
            "turn_server = \"127.0.0.1\"; turn_port = 9; turn_user = \"u\"; turn_pwd = \"{password}\""
        );
        JANUS.replace("allow_loopback = true", &format!("allow_loopback = true; {server}"))
    };
    let folder = folder("turn-reload", &janus("old password"));
    let mut server = Server::start(&mut portunus(&folder));
    fs::write(folder.0.join("janus.jcfg"), janus("new password")).unwrap();
    server.signal("HUP");
    server.read_until("janus.jcfg, nat: changes take effect after a restart");
    server.signal("INT");
    let (rest, status) = server.end();
    assert_eq!(status.code(), Some(0));
    assert!(!rest.concat().contains("password"));
}

#[test]
fn metrics_tell_what_goes_on() {
    let port = free_port();
    let folder =
        folder("metrics", &JANUS.replace("workers = 1", &format!("workers = 2; metrics_port = {port}")));
    let server = Server::start(&mut portunus(&folder));
    attached(&server);
    let begun = Instant::now();
    let page = loop {
        let page = ask_at(&format!("127.0.0.1:{port}"), "/metrics", None);
        if page.contains("\nportunus_handles 1\n") {
            break page;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{page}");
        std::thread::sleep(Duration::from_millis(50));
    };
    for line in [
        "portunus_info{version=",
        "portunus_sessions 1",
        "portunus_requests_total{api=\"janus\"} 2",
        "portunus_worker_peers{worker=\"1\"} 0",
        "portunus_worker_cpu_seconds_total{worker=\"0\"} ",
        "portunus_transport_requests_total{transport=\"http\"} 2",
        "process_resident_memory_bytes ",
    ] {
        assert!(page.lines().any(|l| l.starts_with(line)), "{line} in {page}");
    }
    // The board and the alerts ask for nothing that is not told.
    for file in ["grafana.json", "alerts.yml"] {
        let text = fs::read_to_string(format!("{}/../../docs/monitoring/{file}", env!("CARGO_MANIFEST_DIR")))
            .unwrap();
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for name in words.filter(|word| word.starts_with("portunus_") || word.starts_with("process_")) {
            // Handlers are told of only where there are any.
            let told = name.starts_with("portunus_handler_") || page.contains(&format!("# TYPE {name} "));
            assert!(told, "{file} asks for {name}");
        }
    }
    // Each name is opened once.
    let mut names: Vec<_> = page.lines().filter_map(|l| l.strip_prefix("# TYPE ")).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    server.signal("INT");
    assert_eq!(server.end().1.code(), Some(0));
}

#[test]
fn one_more_signal_ends_it_at_once() {
    let folder = folder("signals", JANUS);
    let server = Server::start(&mut portunus(&folder));
    // A request that is never finished keeps the drain busy.
    let mut unfinished = TcpStream::connect(server.address("http://")).unwrap();
    unfinished.write_all(b"POST /janus HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{").unwrap();
    assert!(server.ask("/janus/info", None).starts_with("HTTP/1.1 200"));
    let mut server = server;
    server.signal("TERM");
    server.read_until("Stopping server, please wait...");
    server.signal("TERM");
    assert_eq!(server.end().1.code(), Some(1));
}

#[test]
fn version_and_help_end_well_and_unknown_options_do_not() {
    let folder = Folder::new("flags", &[]);
    for (option, code, part) in [
        ("--version", 0, env!("CARGO_PKG_VERSION")),
        ("--help", 0, "--configs-folder"),
        ("--nosuch", 1, "Unknown option --nosuch"),
    ] {
        let output = run(portunus(&folder).arg(option));
        assert_eq!(output.status.code(), Some(code), "{option}");
        let said = if code == 0 { &output.stdout } else { &output.stderr };
        assert!(text(said).contains(part), "{}", text(said));
    }
}

#[test]
fn settings_are_checked_without_starting() {
    let good = folder("good", JANUS);
    let output = run(portunus(&good).arg("--check-config"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let bad = folder("bad", "general: { session_timeout = \"soon\"; nosuch = 1 }\n");
    let output = run(portunus(&bad).arg("--check-config"));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("session_timeout"), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("nosuch"));
}

#[test]
fn bad_settings_and_bad_certificates_refuse_the_start() {
    for (name, janus, part) in [
        ("syntax", "general: { api_secret = \"a\"; api_secret = \"b\" }\n", "api_secret"),
        ("certificate", "certificates: { cert_pem = \"nosuch.pem\" }\n", "nosuch.pem"),
        ("files", "general: { check_openfiles_limit = 4000000000 }\n", "open files"),
    ] {
        let folder = folder(name, janus);
        let output = run(&mut portunus(&folder));
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(text(&output.stderr).contains(part), "{name}: {}", text(&output.stderr));
    }
}

#[test]
fn the_log_goes_where_it_is_wanted() {
    let folder = folder(
        "log",
        "general: { log_to_stdout = false; log_to_file = \"gateway.log\" }\n\
         nat: { allow_loopback = true }\nportunus: { udp_port = 0; workers = 1 }\n",
    );
    let server = Server::start(portunus(&folder).env("PORTUNUS_LOG_FORMAT", "json"));
    server.ask("/janus", Some(r#"{"janus":"create","transaction":"a"}"#));
    server.signal("TERM");
    let (rest, _) = server.end();
    assert!(!rest.iter().any(|line| line.contains("session created")));
    let log = fs::read_to_string(folder.0.join("gateway.log")).unwrap();
    let line = log.lines().find(|line| line.contains("session created")).expect("a line about the session");
    assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
}

#[test]
fn a_key_with_a_pass_phrase_needs_it() {
    for (pass_phrase, starts) in [("hunter2", true), ("hunter3", false)] {
        let janus = format!(
            "{JANUS}certificates: {{ cert_pem = \"c.pem\"; cert_key = \"k.pem\"; cert_pwd = \"{pass_phrase}\" }}\n"
        );
        let folder = folder(&format!("pass-phrase-{starts}"), &janus);
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-days", "2", "-subj", "/CN=x"])
            .args(["-passout", "pass:hunter2", "-keyout", "k.pem", "-out", "c.pem"])
            .current_dir(&folder.0)
            .output()
            .expect("openssl is needed");
        assert!(made.status.success(), "{}", text(&made.stderr));
        if starts {
            let server = Server::start(&mut portunus(&folder));
            server.signal("TERM");
            assert!(server.end().1.success());
        } else {
            let output = run(&mut portunus(&folder));
            assert_eq!(output.status.code(), Some(1));
            assert!(text(&output.stderr).contains("c.pem"), "{}", text(&output.stderr));
            assert!(!text(&output.stderr).contains("hunter"), "the pass phrase is shown");
        }
    }
}

#[test]
fn an_interface_can_be_named() {
    for (name, starts) in [("lo", true), ("nosuch0", false)] {
        let folder =
            folder(&format!("interface-{name}"), &format!("{JANUS}general: {{ interface = \"{name}\" }}\n"));
        if starts {
            let server = Server::start(&mut portunus(&folder));
            assert!(server.ask("/janus/info", None).contains("\"local-ip\":\"127.0.0.1\""));
            server.signal("TERM");
            server.end();
        } else {
            let output = run(&mut portunus(&folder));
            assert_eq!(output.status.code(), Some(1));
            assert!(text(&output.stderr).contains("nosuch0"), "{}", text(&output.stderr));
        }
    }
}

#[test]
fn the_doctor_looks_and_starts_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = folder("doctor", JANUS);
    fs::write(
        folder.0.join("janus.transport.http.jcfg"),
        format!("general: {{ port = {port}; ip = \"127.0.0.1\" }}\n"),
    )
    .unwrap();
    let output =
        run(Command::new(env!("CARGO_BIN_EXE_portunus")).arg("doctor").arg("-F").arg(&folder.0).env_clear());
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains(&format!("Janus API: 127.0.0.1:{port} is taken")), "{said}");
    assert!(said.contains("problems, "), "{said}");
    let bad = Folder::new("doctor-bad", &[("janus.jcfg", "certificates: { cert_pem = \"nosuch.pem\" }\n")]);
    let output =
        run(Command::new(env!("CARGO_BIN_EXE_portunus")).arg("doctor").arg("-F").arg(&bad.0).env_clear());
    let said = text(&output.stdout);
    assert!(output.status.code() == Some(1) && said.contains("certificate of DTLS: nosuch.pem"), "{said}");
}
