//! What the container takes for granted, its files, and variables in files.

use super::*;

/// The files of the community's Janus container.
fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/janus-container")
}

fn start_flags(words: &[&str], demos: Option<&Path>) -> Flags {
    let words = std::iter::once("portunus").chain(words.iter().copied()).map(OsString::from);
    let mut flags = Flags::read(words).expect("flags");
    flags.container = Some(ContainerDefaults::new(demos));
    flags
}

#[test]
fn the_sixteen_files_of_the_janus_container_are_accepted_unchanged() {
    let folder = files();
    let names = Disk.names(&folder).expect("lists");
    assert_eq!(names.len(), 16, "{names:?}");
    let flags = start_flags(&["-F", folder.to_str().expect("a text")], None);
    let (settings, problems) = load(&flags, &|_| None, &Disk).expect("loads");
    assert!(problems.iter().all(|problem| problem.kind != Kind::Unknown), "{problems:#?}");
    let warnings: Vec<&str> = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Warning)
        .map(|problem| problem.message.as_str())
        .collect();
    for (wanted, times) in [
        ("everybody knows this admin secret: the Admin API listens on loopback only", 1),
        ("everybody knows this room secret", 2),
        (
            "has files of plugins that are not built: audiobridge, nosip, recordplay, sip, streaming, textroom, voicemail",
            1,
        ),
    ] {
        let found = warnings.iter().filter(|warning| warning.starts_with(wanted)).count();
        assert_eq!(found, times, "{wanted}: {warnings:#?}");
    }
    assert_eq!(warnings.len(), 4, "{warnings:#?}");
    let Settings { general, http, nat, videoroom, portunus, .. } = settings;
    assert!(general.admin_loopback_only && general.configs_folder == folder);
    assert!(http.api.plain.is_none() && http.admin.plain.is_none());
    assert_eq!(http.api.secure.map(|listener| (listener.port, listener.ip)), Some((8089, None)));
    let admin = http.admin.secure.expect("an Admin API");
    assert!(admin.port == 7889 && admin.ip.is_some_and(|ip| ip.is_loopback()));
    assert!(nat.full_trickle && !nat.ice_lite && nat.stun_server.is_some());
    assert!(videoroom.string_ids && videoroom.rooms.len() == 2);
    assert_eq!(portunus.metrics.map(|address| address.to_string()).as_deref(), Some("127.0.0.1:8086"));
}

#[test]
fn the_containers_defaults_give_way_to_files_environment_and_options() {
    let metrics = |file: &str, env: &[(&str, &str)]| {
        let mut start = Start::default().janus(file);
        for (name, text) in env {
            start = start.env(name, text);
        }
        let flags = start_flags(&["-F", "etc"], Some(Path::new("/janus/html")));
        let (settings, _) = load(&flags, &|name| start.env.get(name).cloned(), &start.files).expect("loads");
        let demos =
            settings.portunus.demos_folder.map(|folder| folder.display().to_string()).unwrap_or_default();
        (settings.portunus.metrics.map_or(0, |address| address.port()), demos)
    };
    assert_eq!(metrics("", &[]), (8086, "/janus/html".to_owned()));
    assert_eq!(metrics("portunus: { metrics_port = 9000 }", &[]), (9000, "/janus/html".to_owned()));
    assert_eq!(metrics("Portunus: { Demos_Folder = \"/mine\" }", &[]), (8086, "/mine".to_owned()));
    assert_eq!(metrics("portunus: { metrics_port = 0 }", &[]).0, 0);
    let env = [("PORTUNUS_METRICS_PORT", "9001")];
    assert_eq!(metrics("portunus: { metrics_port = 9000 }", &env).0, 9001);
    assert_eq!(Start::default().settings().portunus.metrics, None, "only in the container");
}

#[test]
fn a_bad_value_of_the_container_says_where_it_comes_from() {
    let mut document = Document::empty("janus.jcfg");
    ContainerDefaults::new(Some(Path::new("/x"))).lay_under(&mut document, &mut Vec::new());
    assert_eq!(place_of(&document, "portunus", "metrics_port").to_string(), "default in the container");
}

#[test]
fn variables_stand_in_every_file_and_never_show_in_a_message() {
    let start = Start::default()
        .janus("general: { admin_secret = \"${SECRET}\"; session_timeout = \"${TIME:-70}\" }\nnat: { nat_1_1_mapping = \"${IPS}\" }")
        .file("janus.transport.http.jcfg", "general: { port = \"${PORT}\" }")
        .file("janus.plugin.videoroom.jcfg", "room-1: { secret = \"${SECRET}\"; publishers = \"${PUBLISHERS:-6}\" }")
        .env("SECRET", "hunter2")
        .env("PORT", "8080")
        .env("IPS", "192.0.2.1,192.0.2.2");
    let (settings, warnings) = start.good();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(settings.general.admin_secret.as_ref().map(Secret::expose), Some("hunter2"));
    assert_eq!(settings.general.session_timeout.as_secs(), 70);
    assert_eq!(settings.nat.nat_1_1_mapping.len(), 2);
    assert_eq!(settings.http.api.plain.map(|listener| listener.port), Some(8080));
    let room = &settings.videoroom.rooms[0];
    assert_eq!(
        (room.settings["publishers"].as_u64(), room.settings["secret"].as_str()),
        (Some(6), Some("hunter2"))
    );
    let problems = Start::default()
        .janus("general: { session_timeout = \"${SECRET}\"; debug_level = \"${SECRET}\" }\nnat: { nat_1_1_mapping = \"${SECRET}\"; full_trickle = \"${SECRET}\" }\nportunus: { forward_networks = [ \"${SECRET}\" ] }")
        .file("janus.eventhandler.wsevh.jcfg", "general: { enabled = true; events = \"${SECRET}\"; backend = \"${SECRET}\" }")
        .env("SECRET", "hunter2")
        .bad();
    assert!(
        problems.len() >= 7 && problems.iter().all(|problem| !problem.contains("hunter2")),
        "{problems:#?}"
    );
    assert!(problems.iter().filter(|problem| problem.contains("${SECRET}")).count() >= 6, "{problems:#?}");
}

#[test]
fn a_variable_that_is_not_set_refuses_with_its_line_and_the_way_out() {
    let problems =
        Start::default().janus("general: {\n  admin_secret = \"${NOBODY}\"\n}").env("NOBODY", "").bad();
    assert_eq!(
        problems,
        [
            "janus.jcfg:2: error: the variable `NOBODY` is not set: set it, write `${NOBODY:-default}`, or `$${` for a plain \
          `${` (column 3)"
        ]
    );
    // A module that is not built stops nobody.
    let (_, warnings) =
        Start::default().file("janus.eventhandler.rabbitmqevh.jcfg", "general: { a = \"${NOBODY}\" }").good();
    assert!(matches!(&warnings[..], [one] if one.contains("`NOBODY` is not set")), "{warnings:?}");
}

#[test]
fn secrets_of_janus_samples_warn_unless_they_are_meant() {
    let start = || {
        Start::default()
            .janus("general: { api_secret = \"janusrocks\"; token_auth_secret = \"janus\"; admin_secret = \"own\" }")
            .file("janus.plugin.videoroom.jcfg", "general: { admin_key = \"supersecret\" }\nroom-1: { secret = \"adminpwd\" }\nroom-2: { secret = \"own\" }")
    };
    let (_, warnings) = start().good();
    let wanted = ["general.api_secret", "general.token_auth_secret", "general.admin_key", "room-1.secret"];
    assert_eq!(warnings.len(), wanted.len(), "{warnings:#?}");
    for (warning, key) in warnings.iter().zip(wanted) {
        assert!(
            warning.contains("everybody knows this") && warning.contains(&format!("`{key}`")),
            "{warning}"
        );
    }
    assert_eq!(start().env("ALLOW_DEMO_SECRETS", "true").good().1, Vec::<String>::new());
}

#[test]
fn a_required_stun_server_must_be_named() {
    let (_, warnings) = Start::default().env("PORTUNUS_STUN_REQUIRED", "true").good();
    assert!(matches!(&warnings[..], [one] if one.contains("there is no `nat.stun_server`")), "{warnings:?}");
    let both = Start::default().env("PORTUNUS_STUN_REQUIRED", "true").env("STUN_SERVER", "stun.example");
    assert!(both.settings().portunus.stun_required);
    assert_eq!(both.good().1, Vec::<String>::new());
}
