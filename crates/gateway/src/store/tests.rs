//! Files in a folder of their own.

use super::*;
use portunus_plugin::json;
use std::os::unix::fs::{PermissionsExt, symlink};

/// A folder that goes with its value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("portunus-store-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn with(name: &str, text: &str) -> Self {
        let folder = Self::new(name);
        fs::write(folder.file(), text).unwrap();
        folder
    }

    fn file(&self) -> PathBuf {
        self.0.join("janus.plugin.test.jcfg")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(&self.0).unwrap();
        names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700));
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn group(name: &str, settings: Value) -> StoredGroup {
    let Value::Object(settings) = settings else { panic!("settings are an object") };
    StoredGroup { file: "janus.plugin.test", name: name.to_owned(), settings: Some(settings) }
}

const TEXT: &str = "# Our rooms\nroom-1: {\n  # the name\n  description = \"One\"\n}\n";

#[test]
fn comments_stay_and_values_of_every_kind_are_written() {
    let folder = Folder::with("comments", TEXT);
    let settings = json!({
        "description": "A \"new\"\nname", "publishers": 6, "big": 5_000_000_000_u64, "level": 0.5, "record": false,
        "codecs": ["opus", "pcmu"], "mixed": [1, "a"], "none": [], "streams": [{"codec": "vp8"}],
    });
    store(&folder.0, &group("room-1", settings)).unwrap();
    let wanted = r#"# Our rooms
room-1: {
  # the name
  description = "A \"new\"\nname"
  publishers = 6;
  big = 5000000000L;
  level = 0.5;
  record = false;
  codecs = [ "opus", "pcmu" ];
  mixed = ( 1, "a" );
  none = [ ];
  streams = (
    {
      codec = "vp8";
    }
  );
}
"#;
    assert_eq!(folder.text(), wanted);
    let out = StoredGroup { settings: None, ..group("room-1", json!({})) };
    store(&folder.0, &out).unwrap();
    assert_eq!(folder.text(), "# Our rooms\n");
    assert_eq!(folder.names().len(), 1);
}

#[test]
fn a_variable_stays_where_it_stands_for_the_value_and_none_comes_from_a_client() {
    // One that every test process has.
    let path = std::env::var("PATH").unwrap();
    let folder = Folder::with("variables", "room-1: {\n  secret = \"${PATH}\"\n}\n");
    let settings = json!({ "secret": path, "description": "${PATH}" });
    store(&folder.0, &group("room-1", settings)).unwrap();
    assert_eq!(folder.text(), "room-1: {\n  secret = \"${PATH}\"\n  description = \"$${PATH}\";\n}\n");
}

#[test]
fn permissions_and_owner_stay() {
    let folder = Folder::with("permissions", TEXT);
    for mode in [0o640, 0o600, 0o664] {
        fs::set_permissions(folder.file(), fs::Permissions::from_mode(mode)).unwrap();
        // Only root may give the file to somebody else.
        let _ = std::os::unix::fs::chown(folder.file(), Some(1234), Some(2345));
        let before = fs::metadata(folder.file()).unwrap();
        store(&folder.0, &group("room-2", json!({ "mode": mode }))).unwrap();
        let after = fs::metadata(folder.file()).unwrap();
        assert_ne!(before.ino(), after.ino(), "a new file");
        let seen = |m: &fs::Metadata| (m.mode(), m.uid(), m.gid());
        assert_eq!(seen(&before), seen(&after));
    }
}

#[test]
fn without_a_file_or_a_folder_there_is_no_configuration_file() {
    let folder = Folder::new("absent");
    for path in [folder.0.clone(), folder.0.join("nowhere")] {
        assert_eq!(store(&path, &group("room-1", json!({}))), Err("No configuration file".to_owned()));
    }
    assert!(folder.names().is_empty());
}

#[test]
fn a_link_is_followed_to_its_target() {
    let folder = Folder::new("link");
    let target = Folder::with("target", TEXT);
    symlink(target.file(), folder.file()).unwrap();
    store(&folder.0, &group("room-2", json!({ "a": 1 }))).unwrap();
    assert!(fs::symlink_metadata(folder.file()).unwrap().is_symlink());
    assert_eq!(target.text(), format!("{TEXT}\nroom-2: {{\n  a = 1;\n}};\n"));
    assert_eq!((folder.names().len(), target.names().len()), (1, 1));
}

#[test]
fn a_folder_that_cannot_be_written_to_gives_an_error_and_the_file_stays() {
    let folder = Folder::with("read-only", TEXT);
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o500)).unwrap();
    let probe = folder.0.join("probe");
    // Root may write anywhere: for it the place of the new file is taken by a folder.
    if File::create(&probe).is_ok() {
        fs::remove_file(&probe).unwrap();
        fs::create_dir(folder.0.join(".janus.plugin.test.jcfg.new")).unwrap();
    }
    let error = store(&folder.0, &group("room-2", json!({}))).unwrap_err();
    assert!(error.starts_with(&format!("cannot write {}: ", folder.file().display())), "{error}");
    assert_eq!(folder.text(), TEXT);
}

#[test]
fn what_a_crash_left_behind_is_replaced() {
    let folder = Folder::with("crash", TEXT);
    let left = folder.0.join(".janus.plugin.test.jcfg.new");
    fs::write(&left, "room-1: { half of").unwrap();
    fs::set_permissions(&left, fs::Permissions::from_mode(0o400)).unwrap();
    assert_eq!(folder.text(), TEXT, "the old file is what counts");
    store(&folder.0, &group("room-2", json!({}))).unwrap();
    assert_eq!(folder.text(), format!("{TEXT}\nroom-2: {{\n}};\n"));
    assert_eq!(folder.names().len(), 1);
}

#[test]
fn what_cannot_be_written_is_told_and_the_file_stays() {
    let folder = Folder::with("refused", TEXT);
    let table = [
        (group("room-my room", json!({})), "`room-my room` is not a name"),
        (group("room-2", json!({ "a b": 1 })), "`a b` is not a name"),
        (group("room-2", json!({ "a": null })), "`a` cannot be written to a configuration file"),
        (group("room-2", json!({ "a": u64::MAX })), "`a` cannot be written to a configuration file"),
        (group("room-2", json!({ "a": "\0" })), "`room-2` cannot be written so that it reads back the same"),
    ];
    for (group, wanted) in table {
        let error = store(&folder.0, &group).unwrap_err();
        assert!(error.starts_with(wanted), "{error}");
        assert_eq!(folder.text(), TEXT);
    }
    for bad in [&b"room-1: {\n"[..], b"a = 1\na = 2\n", b"# gr\xfcn\n"] {
        fs::write(folder.file(), bad).unwrap();
        store(&folder.0, &group("room-2", json!({}))).unwrap_err();
        assert_eq!(fs::read(folder.file()).unwrap(), bad);
    }
}

#[test]
fn included_files_are_looked_at_and_not_written_to() {
    let folder = Folder::with("included", "@include \"more.jcfg\"\n");
    fs::write(folder.0.join("more.jcfg"), "room-1: { }\n").unwrap();
    let error = store(&folder.0, &group("room-1", json!({ "a": 1 }))).unwrap_err();
    assert!(error.contains("more.jcfg:1:1: `room-1` comes from an included file"), "{error}");
    store(&folder.0, &group("room-2", json!({}))).unwrap();
    assert_eq!(folder.text(), "@include \"more.jcfg\"\n\nroom-2: {\n};\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_of_one_file_at_the_same_time_all_land() {
    let folder = Folder::with("together", TEXT);
    let (mut store, mut done) = Store::new(folder.0.clone());
    let count: u64 = 40;
    for ticket in 0..count {
        let group = group(&format!("room-{}", 100 + ticket), json!({ "number": ticket }));
        store.begin("janus.plugin.test", Ticket(ticket), group);
    }
    for ticket in 0..count {
        let told = done.recv().await.unwrap();
        assert_eq!(
            (told.plugin, told.ticket, told.outcome),
            ("janus.plugin.test", Ticket(ticket), Ok(Finished::Stored))
        );
    }
    let text = folder.text();
    for number in 0..count {
        assert!(text.contains(&format!("room-{}: {{\n  number = {number};\n}};\n", 100 + number)), "{text}");
    }
    assert!(text.starts_with(TEXT));
}

#[tokio::test]
async fn what_waits_is_written_before_the_end() {
    let folder = Folder::with("end", TEXT);
    let (mut store, done) = Store::new(folder.0.clone());
    for ticket in 0..20 {
        let group = group("room-1", json!({ "number": ticket }));
        store.begin("janus.plugin.test", Ticket(ticket), group);
    }
    drop(done);
    store.finish(Duration::from_secs(10)).await;
    assert!(folder.text().contains("number = 19;"), "{}", folder.text());
}

#[tokio::test]
async fn too_much_for_one_file_fails_at_once() {
    let folder = Folder::with("full", TEXT);
    let (mut store, mut done) = Store::new(folder.0.clone());
    // The writer has not run yet: this test has one thread.
    for ticket in 0..=WAITING {
        let group = group("room-1", json!({}));
        store.begin("janus.plugin.test", Ticket(ticket.try_into().unwrap()), group);
    }
    let told = done.try_recv().unwrap();
    assert_eq!(told.outcome, Err("too much waits to be written to this file".to_owned()));
}
