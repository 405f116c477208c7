//! `@include`: order, places, wildcards, and the rewritten file.

mod common;

use common::{fixtures, parse_file, parse_text, text};
use portunus_jcfg::parse;

#[test]
fn included_settings_stand_in_their_place_and_keep_their_own_file() {
    let document = parse_file(&fixtures(), "includes.jcfg").expect("parses");
    assert_eq!(text(&document, "first.a"), "1");
    let general = document.section("general").expect("general");
    let settings: Vec<(&str, String)> =
        general.settings().map(|setting| (setting.name(), setting.place.to_string())).collect();
    let wanted = [
        ("before", "includes.jcfg:3:3"),
        ("inner", "conf.d/20-inner.jcfg:2:1"),
        ("other", "conf.d/21-other.jcfg:1:1"),
        ("after", "includes.jcfg:5:3"),
    ];
    assert_eq!(settings, wanted.map(|(name, place)| (name, place.to_owned())));
}

#[test]
fn the_directive_is_printed_and_not_its_files() {
    let document = parse_file(&fixtures(), "includes.jcfg").expect("parses");
    let printed = document.print();
    assert!(printed.contains("@include \"conf.d/10-first.jcfg\" # one file\n"), "{printed}");
    assert!(!printed.contains("inner"), "{printed}");
    assert_eq!(parse_text(&fixtures(), "again", &printed).expect("again"), document);
}

#[test]
fn a_missing_file_is_an_error_at_its_directive() {
    let errors = parse("main", "a = 1\n@include \"gone\"\nb = nope", &mut |request| {
        Err(format!("no file {}", request.pattern))
    })
    .expect_err("missing");
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(lines[0], "main:2:1: @include \"gone\": no file gone");
    assert_eq!(lines.len(), 2);
}

#[test]
fn a_duplicate_across_files_names_both_places() {
    let errors = parse("main", "a = 1\n@include \"more\"", &mut |_| {
        Ok(vec![portunus_jcfg::IncludedFile { name: "more".into(), text: "\na = 2".into() }])
    })
    .expect_err("duplicate");
    assert_eq!(errors[0].to_string(), "more:2:1: duplicate setting `a`, first set at main:1:1");
}
