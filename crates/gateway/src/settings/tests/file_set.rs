//! Which files are read, and what becomes of missing, old and broken ones.

use super::*;

fn flags(words: &[&str]) -> Flags {
    Flags::read(std::iter::once("portunus").chain(words.iter().copied()).map(OsString::from)).expect("flags")
}

fn name_of(words: &[&str], env: &[(&str, &str)], files: &Memory) -> String {
    let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, text)| (*text).to_owned());
    let (settings, _) = load(&flags(words), &env, files).expect("loads");
    format!("{} in {}", settings.general.server_name, settings.general.configs_folder.display())
}

fn port_of(words: &[&str], files: &Memory) -> u16 {
    let (settings, _) = load(&flags(words), &|_| None, files).expect("loads");
    settings.http.api.plain.expect("http").port
}

#[test]
fn the_folder_comes_from_option_environment_and_file_in_this_order() {
    let mut files = Memory::default();
    let mut put = |path: &str, text: &str| files.0.insert(PathBuf::from(path), text.as_bytes().to_vec());
    put("a/janus.jcfg", "general: { server_name = \"a\" }");
    put("b/janus.jcfg", "general: { server_name = \"b\"; configs_folder = \"c\" }");
    put("a/janus.transport.http.jcfg", "general: { port = 1 }");
    put("c/janus.transport.http.jcfg", "general: { port = 3 }");
    put("x/other.jcfg", "general: { server_name = \"x\"; configs_folder = \"c\" }");
    let default = &format!("{DEFAULT_FOLDER}/janus.jcfg");
    put(default, "general: { server_name = \"default\" }");
    assert_eq!(name_of(&[], &[], &files), format!("default in {DEFAULT_FOLDER}"));
    assert_eq!(name_of(&["-F", "a"], &[], &files), "a in a");
    let env = [("PORTUNUS_GENERAL_CONFIGS_FOLDER", "a")];
    assert_eq!(name_of(&[], &env, &files), "a in a");
    assert_eq!(name_of(&["-F", "b"], &env, &files), "b in b");
    assert_eq!(name_of(&["-C", "x/other.jcfg"], &[], &files), "x in c");
    assert_eq!(port_of(&["-C", "x/other.jcfg"], &files), 3);
    assert_eq!(port_of(&["-C", "x/other.jcfg", "-F", "a"], &files), 1);
}

#[test]
fn missing_files_are_defaults_but_not_the_one_named_by_an_option() {
    let (_, problems) = load(&flags(&[]), &|_| None, &Memory::default()).expect("loads");
    assert_eq!(problems.len(), 6, "{problems:?}");
    assert!(problems.iter().all(|problem| problem.severity == Severity::Note));
    // Who names a folder means one with a janus.jcfg.
    let (_, warnings) = Start::empty().good();
    assert_eq!(warnings, ["janus.jcfg: warning: there is no such file: built-in defaults"]);
    let problems = Start::default().words(&["-C", "etc/gone.jcfg"]).bad();
    assert_eq!(problems, ["gone.jcfg: error: there is no such file"]);
}

#[test]
fn old_files_are_refused_with_the_way_out() {
    let told = |start: Start| {
        let problems = start.bad();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].clone()
    };
    let wanted = "janus.cfg: error: the old INI format is not read: convert it with `janus-cfgconv janus.cfg \
                  janus.jcfg` (it comes with Janus)";
    assert_eq!(told(Start::empty().file("janus.cfg", "[general]")), wanted);
    assert_eq!(told(Start::empty().file("janus.cfg", "").words(&["-C", "etc/janus.cfg"])), wanted);
    let plugin = told(Start::default().file("janus.plugin.echotest.cfg", ""));
    assert!(plugin.starts_with("janus.plugin.echotest.cfg: error: the old INI format"), "{plugin}");
    let (_, warnings) = Start::default().janus("").file("janus.cfg", "[general]").good();
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn a_syntax_error_anywhere_refuses_and_everything_is_listed() {
    let problems = Start::default()
        .janus("general: {\n  session_timeout = 60\n  session_timeout = 61\n  api_secret = \"x\"\n}\nmedia: {\n  a = 99999999999999999999\n}")
        .file("janus.transport.http.jcfg", "general: {\n  http = yes\n}")
        .file("janus.transport.websockets.jcfg", "general: {\n  ws_port = 99999\n  wsx = 1\n}")
        .file("janus.plugin.echotest.jcfg", "general: {")
        .bad();
    let wanted = [
        "janus.jcfg:3: error: duplicate setting `session_timeout`, first set at janus.jcfg:2:3 (column 3)",
        "janus.jcfg:7: error: the number 99999999999999999999 is out of range (column 7)",
        "janus.transport.http.jcfg:2: error: `yes` is not a value: texts stand in double quotes (column 10)",
        "janus.plugin.echotest.jcfg:1: error: this `{` is never closed (column 10)",
        "janus.transport.websockets.jcfg:2: error: `general.ws_port` must be a whole number from 0 to 65535, not `99999`",
        "janus.transport.websockets.jcfg:3: warning: unknown setting `general.wsx`, did you mean `ws`?",
    ];
    assert_eq!(problems, wanted);
}

#[test]
fn files_include_others_of_their_folder() {
    let start = Start::default()
        .janus("@include \"conf.d/*.jcfg\"\nnat: {\n@include \"nat.inc\"\n}")
        .file("nat.inc", "ice_lite = true")
        .file("conf.d/1.jcfg", "general: { server_name = \"included\"; colour = 1 }")
        .file("conf.d/2.txt", "nonsense");
    let (settings, warnings) = start.good();
    assert_eq!(settings.general.server_name, "included");
    assert!(settings.nat.ice_lite);
    assert_eq!(warnings, ["conf.d/1.jcfg:1: warning: unknown setting `general.colour`"]);
    let problems = Start::default().janus("@include \"gone.inc\"").bad();
    assert!(problems[0].starts_with("janus.jcfg:1: error: @include \"gone.inc\": gone.inc:"), "{problems:?}");
    let problems = Start::default().janus("@include \"*/x.jcfg\"").bad();
    assert!(problems[0].contains("wildcards may stand in the file name only"), "{problems:?}");
}

#[test]
fn a_comment_in_another_encoding_is_a_warning() {
    let mut start = Start::default();
    let bytes = b"general: {\n  # caf\xe9\n  server_name = \"x\"\n}".to_vec();
    start.files.0.insert(PathBuf::from("etc/janus.jcfg"), bytes);
    let (settings, warnings) = start.good();
    assert_eq!(settings.general.server_name, "x");
    assert_eq!(
        warnings,
        ["janus.jcfg:2: warning: is not UTF-8 text here: unknown characters are read as U+FFFD"]
    );
}

#[test]
fn the_disk_gives_what_it_holds_and_no_more_than_the_parser_takes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(Disk.names(folder).expect("lists").contains(&"Cargo.toml".to_owned()));
    assert!(Disk.read(&folder.join("Cargo.toml")).expect("reads").starts_with(b"[package]"));
    let missing = Disk.read(&folder.join("no-such-file")).expect_err("missing");
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    let zeros = Disk.read(Path::new("/dev/zero")).expect("reads");
    assert_eq!(zeros.len(), portunus_jcfg::MAX_BYTES + 1);
}
