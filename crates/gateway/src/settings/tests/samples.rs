//! The commented samples in `config/`: right, complete, and nothing but defaults.

use super::super::keys::{TABLES, VIDEOROOM};
use super::super::videoroom::ROOM_KEYS;
use super::*;
use std::collections::BTreeSet;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config")
}

fn sample(file: &str) -> String {
    std::fs::read_to_string(folder().join(format!("{file}.jcfg"))).expect("a sample")
}

/// `#key = value` without its `#`; comments have a space behind theirs.
fn uncommented(text: &str) -> String {
    let line = |line: &str| match line.trim_start().strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphabetic()) => rest.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_samples_load_with_a_word_about_their_secret_only_and_are_the_defaults() {
    let folder = folder();
    let flags =
        Flags::read(["portunus".into(), "-F".into(), folder.clone().into_os_string()]).expect("flags");
    let (settings, problems) = load(&flags, &|_| None, &Disk).expect("loads");
    let told: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert!(matches!(told[..], [one] if one.starts_with("everybody knows this room secret")), "{told:?}");
    let mut defaults = Start::default().settings();
    defaults.general.configs_folder = folder;
    // The one thing that a sample does: a room for the demo pages.
    assert_eq!(settings.videoroom.rooms.iter().map(|room| room.id.as_str()).collect::<Vec<_>>(), ["1234"]);
    defaults.videoroom.rooms.clone_from(&settings.videoroom.rooms);
    assert_eq!(shown(&settings), shown(&defaults));
}

#[test]
fn the_samples_show_every_key_and_no_unknown_one() {
    let mut start = Start::default();
    for table in TABLES {
        let text = uncommented(&sample(table.file));
        let document = portunus_jcfg::parse_without_includes(table.file, &text).expect("parses");
        let mut shown = BTreeSet::new();
        for section in document.root.settings() {
            let group = section.value.as_group().expect("a section");
            shown.extend(
                group.settings().map(|setting| (section.name().to_owned(), setting.name().to_owned())),
            );
        }
        let mut known = BTreeSet::new();
        for key in table.keys {
            // Janus reads these in `general`; the sample shows them where they belong.
            if key.section != "general"
                || !key.name.starts_with("admin_")
                || ["admin_secret", "admin_key"].contains(&key.name)
            {
                known.insert((key.section.to_owned(), key.name.to_owned()));
            }
        }
        if table.file == VIDEOROOM.file {
            known.extend(ROOM_KEYS.iter().map(|(key, _)| ("room-1234".to_owned(), (*key).to_owned())));
        }
        assert_eq!(shown, known, "{}", table.file);
        start = start.file(&format!("{}.jcfg", table.file), &text);
    }
    // All examples at once contradict one another only in what they leave out.
    let text = uncommented(&sample("janus")).replace("libjanus_websockets.so", "");
    let text = text.replace("configs_folder = \"/etc/janus\"", "");
    let (_, problems) = start.janus(&text).load().expect("loads");
    let unknown: Vec<&Problem> = problems.iter().filter(|problem| problem.kind == Kind::Unknown).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_files_of_an_installed_janus_are_accepted() {
    let folder = Path::new("/etc/janus");
    // Not every machine has the package; the test set-up of the project installs it.
    if !folder.join("janus.jcfg").exists() {
        return;
    }
    let flags = Flags::read(["portunus".into(), "-F".into(), folder.as_os_str().into()]).expect("flags");
    let (settings, problems) = load(&flags, &|_| None, &Disk).expect("loads");
    assert!(problems.iter().all(|problem| problem.kind != Kind::Unknown), "{problems:#?}");
    assert!(settings.general.admin_loopback_only && settings.http.api.is_on());
    let rooms: Vec<&str> = settings.videoroom.rooms.iter().map(|room| room.id.as_str()).collect();
    assert!(!folder.join("janus.plugin.videoroom.jcfg").exists() || rooms == ["1234", "5678"], "{rooms:?}");
}
