//! `--check-config`: the list and the exit code.

use super::*;

fn run(start: &Start) -> (i32, String) {
    let mut out = Vec::new();
    let env = |name: &str| start.env.get(name).cloned();
    let code = check(&start.flags(), &env, &start.files, &mut out).expect("writes");
    (code, String::from_utf8(out).expect("text"))
}

#[test]
fn good_settings_end_well_notes_and_warnings_included() {
    let start = Start::default().words(&["--check-config"]);
    assert!(start.flags().check_config);
    let (code, text) = run(&start);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.starts_with("etc/janus.transport.http.jcfg: note: there is no such file: built-in defaults\n"),
        "{text}"
    );
    assert!(text.ends_with("0 errors, 0 warnings (0 about unknown names)\n"), "{text}");
    let (code, text) = run(&Start::default().janus("nat: { turn_server = \"x\" }"));
    assert_eq!(code, 0, "{text}");
    assert!(text.ends_with("0 errors, 1 warnings (0 about unknown names)\n"), "{text}");
}

#[test]
fn errors_and_unknown_names_end_badly() {
    let (code, text) = run(&Start::default().janus("nat: {\n  ful_trickle = true\n}\n"));
    assert_eq!(code, 1);
    let wanted =
        "etc/janus.jcfg:2: warning: unknown setting `nat.ful_trickle`, did you mean `full_trickle`?\n";
    assert!(text.contains(wanted), "{text}");
    assert!(text.ends_with("0 errors, 1 warnings (1 about unknown names)\n"), "{text}");
    let start = Start::default()
        .janus("general: {\n  session_timeout = \"x\"\n  debug_level = 9\n}\n")
        .file("janus.transport.http.jcfg", "general: {\n  http = \n}\n");
    let (code, text) = run(&start);
    assert_eq!(code, 1);
    for place in
        ["etc/janus.jcfg:2: error: ", "etc/janus.jcfg:3: error: ", "etc/janus.transport.http.jcfg:3: error: "]
    {
        assert!(text.contains(place), "{text}");
    }
    assert!(text.ends_with("3 errors, 0 warnings (0 about unknown names)\n"), "{text}");
}
