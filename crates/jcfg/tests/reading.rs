//! Typed reading: defaults, ranges, unknown keys, and one problem for each mistake.

mod common;

use common::ok;
use portunus_jcfg::{Kind, Problem, Reader, Severity};

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn values_are_read_whatever_scalar_holds_them_and_absent_ones_are_defaults() {
    let document = ok(r#"g: { a = "8088"; b = 8088; c = yes_; d = "YES"; l = "x, y,,z "; m = [ "x", "y" ];
        n = ( 1, "two" ); e = ""; p = "/tmp/x"; k = "Tcp"; }"#
        .replace("yes_", "true")
        .as_str());
    let reader = Reader::new(&document);
    let mut g = reader.section("G");
    assert!(g.is_present());
    assert_eq!((g.get_int("a", 1_u16, 0..=65535), g.get_int("b", 1_u16, 0..=65535)), (8088, 8088));
    assert_eq!(g.get_int("gone", 7_u16, 0..=65535), 7);
    assert!(g.get_bool("c", false) && g.get_bool("d", false) && g.get_bool("gone", true));
    assert_eq!(g.get_list("l").unwrap(), ["x", "y", "z"]);
    assert_eq!(g.get_list("m").unwrap(), ["x", "y"]);
    assert_eq!(g.get_list("n").unwrap(), ["1", "two"]);
    assert_eq!(g.get_list("gone"), None);
    assert_eq!((g.get_text("e").as_deref(), g.get_filled("e")), (Some(""), None));
    assert_eq!(g.get_path("p").unwrap().to_str(), Some("/tmp/x"));
    assert_eq!(g.get_path("e"), None);
    assert_eq!(g.get_enum("k", &[("udp", 1), ("tcp", 2)], 1), 2);
    assert_eq!(g.get_enum("gone", &[("udp", 1), ("tcp", 2)], 1), 1);
    drop(g);
    assert_eq!(lines(&reader.finish()), Vec::<String>::new());
}

#[test]
fn every_bad_value_is_one_problem_and_the_default_stands() {
    let document = ok("g: {\n  port = 70000\n  n = \"many\"\n  t = 1.5\n  k = \"sctp\"\n  flag = \"ture\"\n\
                       \x20 one = [ 1 ]\n  l = ( { a = 1 } )\n  ip = \"nowhere\"\n  ips = \"1.2.3.4, x, ::1\"\n}\nh = 1");
    let reader = Reader::new(&document);
    let mut g = reader.section("g");
    assert_eq!(g.get_int("port", 8088_u16, 1..=65535), 8088);
    assert_eq!(g.get_int("n", 3_u32, 0..=9), 3);
    assert_eq!(g.get_int("t", 4_i64, -5..=5), 4);
    assert_eq!(g.get_enum("k", &[("udp", 1), ("tcp", 2)], 1), 1);
    assert!(!g.get_bool("flag", true));
    assert_eq!(g.get_text("one"), None);
    assert_eq!(g.get_list("l").unwrap(), Vec::<String>::new());
    let ip = |text: &str| text.parse::<std::net::IpAddr>().map_err(|_| format!("`{text}` is no address"));
    assert_eq!(g.get_with("ip", ip), None);
    assert_eq!(g.get_list_with("ips", ip).unwrap().len(), 2);
    drop(g);
    assert!(!reader.section("h").is_present());
    let problems = reader.finish();
    let wanted = [
        "test.jcfg:2: error: `g.port` must be a whole number from 1 to 65535, not `70000`",
        "test.jcfg:3: error: `g.n` must be a whole number from 0 to 9, not `many`",
        "test.jcfg:4: error: `g.t` must be a whole number from -5 to 5, not `1.5`",
        "test.jcfg:5: error: `g.k` must be one of udp, tcp, not `sctp`",
        "test.jcfg:6: warning: `g.flag` `ture` counts as false: only true, yes and 1 are true",
        "test.jcfg:7: error: `g.one` must be a single value (found: array)",
        "test.jcfg:8: error: `g.l` must be a list of single values",
        "test.jcfg:9: error: `g.ip` `nowhere` is no address",
        "test.jcfg:10: error: `g.ips` `x` is no address",
        "test.jcfg:12: error: `h` must be a group { }",
    ];
    assert_eq!(lines(&problems), wanted);
    assert!(problems.iter().all(|problem| problem.kind == Kind::BadValue));
}

#[test]
fn unknown_names_are_warnings_with_the_nearest_known_one() {
    let document =
        ok("general: {\n  sesion_timeout = 1\n  colour = 2\n}\nmdeia: {\n}\nxyz = 3\nrest: { a = 1; b = 2 }");
    let reader = Reader::new(&document);
    let mut general = reader.section("general");
    general.get_int("session_timeout", 60_u32, 0..=100);
    drop(general);
    drop(reader.section("media"));
    let mut rest = reader.section("rest");
    rest.get_bool("a", false);
    rest.accept_rest();
    drop(rest);
    let problems = reader.finish();
    let wanted = [
        "test.jcfg:2: warning: unknown setting `general.sesion_timeout`, did you mean `session_timeout`?",
        "test.jcfg:3: warning: unknown setting `general.colour`",
        "test.jcfg:5: warning: unknown section `mdeia`, did you mean `media`?",
        "test.jcfg:7: warning: unknown setting `xyz`",
    ];
    assert_eq!(lines(&problems), wanted);
    assert!(problems.iter().all(|p| p.kind == Kind::Unknown && p.severity == Severity::Warning));
}

#[test]
fn rooms_are_the_sections_nobody_asked_for_and_lists_of_groups_are_children() {
    let document =
        ok("general: { }\nroom-1: { pin = \"x\" }\nroom-2: {\n  media = (\n    { mid = \"a\" },\n\
                       \x20   { mdi = \"b\" }\n  )\n  bad = ( 1 )\n}");
    let reader = Reader::new(&document);
    drop(reader.section("general"));
    let mut mids = Vec::new();
    for (setting, mut room) in reader.other_sections() {
        let name = setting.name().to_owned();
        room.get_text("pin");
        for mut child in room.children("media") {
            mids.push((name.clone(), child.get_text("mid")));
        }
        room.children("bad");
    }
    assert_eq!(mids, [("room-2".to_owned(), Some("a".to_owned())), ("room-2".to_owned(), None)]);
    let wanted = [
        "test.jcfg:6: warning: unknown setting `room-2.media[1].mdi`, did you mean `mid`?",
        "test.jcfg:8: error: `room-2.bad` must be a list of groups: ( { ... }, { ... } )",
    ];
    assert_eq!(lines(&reader.finish()), wanted);
}

#[test]
fn notices_of_the_parser_come_along_and_problems_follow_the_file() {
    let document = ok("a: { x = \"late\" }\nb: {\n  path = /tmp/x\n}");
    let reader = Reader::new(&document);
    let mut b = reader.section("b");
    b.get_path("path");
    b.report("gone", Severity::Note, Kind::Advice, "is missing");
    drop(b);
    let wanted = [
        "test.jcfg: note: `b.gone` is missing",
        "test.jcfg:1: warning: unknown section `a`, did you mean `b`?",
        "test.jcfg:3: warning: /tmp/x should stand in double quotes",
    ];
    assert_eq!(lines(&reader.finish()), wanted);
}
