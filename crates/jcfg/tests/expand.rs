//! `${NAME}` in values.

mod common;

use common::random::document;
use portunus_jcfg::edit::put;
use portunus_jcfg::{Document, Kind, Reader, Value, escape, expand, expand_text};
use proptest::prelude::*;

fn variables(name: &str) -> Option<String> {
    let table = [
        ("NAME", "Ada"),
        ("PORT", "8089"),
        ("WORD", "hunter2"),
        ("EMPTY", ""),
        ("EVIL", "\"; admin = true; x = \"${NAME}\\"),
        ("LIST", "10.0.0.1, 10.0.0.2"),
        ("YES", "true"),
    ];
    table.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
}

fn expanded(text: &str) -> Document {
    let mut document = common::ok(text);
    if let Err(errors) = expand(&mut document, &variables) {
        panic!("refused: {errors:?}");
    }
    document
}

fn text_of(text: &str) -> Result<String, String> {
    match expand_text(text, &variables) {
        Ok(found) => Ok(found.unwrap_or_else(|| text.to_owned())),
        Err(fault) => Err(fault.to_string()),
    }
}

#[test]
fn references_defaults_and_escapes() {
    for (text, wanted) in [
        ("", ""),
        ("plain $NAME $ {NAME} $", "plain $NAME $ {NAME} $"),
        ("${NAME}", "Ada"),
        ("<${NAME}${PORT}>", "<Ada8089>"),
        ("${NAME:-Eve}", "Ada"),
        ("${NOBODY:-Eve}", "Eve"),
        ("${EMPTY:-Eve}", "Eve"),
        ("${NOBODY:-}", ""),
        ("${NOBODY:-a:-b $ {c}", "a:-b $ {c"),
        ("$${NAME}", "${NAME}"),
        ("a$$${NAME}", "a$${NAME}"),
        ("${NAME}$${NAME}${NAME}", "Ada${NAME}Ada"),
        // What stands for a variable is not looked into.
        ("${EVIL}", "\"; admin = true; x = \"${NAME}\\"),
    ] {
        assert_eq!(text_of(text).as_deref(), Ok(wanted), "{text}");
    }
}

#[test]
fn what_is_no_reference_or_not_set_is_told_with_the_way_out() {
    for text in
        ["${", "${}", "${NAME", "${1A}", "${A B}", "${NA-ME}", "${A:-${NAME}}", "${A:NAME}", "x ${:-y}"]
    {
        let error = text_of(text).expect_err(text);
        assert!(error.contains("`$${` stands for a plain `${`"), "{text}: {error}");
    }
    for text in ["${NOBODY}", "${EMPTY}", "${NAME}${NOBODY}"] {
        let error = text_of(text).expect_err(text);
        assert!(error.starts_with("the variable `") && error.contains("$${"), "{text}: {error}");
        assert!(!error.contains("Ada"));
    }
    let mut document = common::ok("a: {\n  b = \"${NOBODY}\"\n  c = (\"x\", \"${\")\n  d = \"${NAME}\"\n}");
    let errors = expand(&mut document, &variables).expect_err("refused");
    let places: Vec<_> = errors.iter().map(|error| (error.place.line, error.place.column)).collect();
    assert_eq!(places, [(2, 3), (3, 13)]);
}

#[test]
fn a_value_is_text_and_never_syntax() {
    let document = expanded("a: { b = \"${EVIL}\" }");
    let group = document.section("a").expect("a group");
    assert_eq!(group.settings().count(), 1);
    assert_eq!(
        group.get("b").and_then(|b| b.value.as_text()).as_deref(),
        Some("\"; admin = true; x = \"${NAME}\\")
    );
}

#[test]
fn texts_are_numbers_switches_and_lists_as_they_are_without_variables() {
    let document =
        expanded("a: { port = \"${PORT}\"; on = \"${YES}\"; ips = \"${LIST}\"; all = [\"${NAME}\", \"b\"] }");
    let reader = Reader::new(&document);
    let mut a = reader.section("a");
    assert_eq!(a.get_int("port", 0_u16, 0..=u16::MAX), 8089);
    assert!(a.get_bool("on", false));
    assert_eq!(a.get_list("ips").expect("a list"), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(a.get_list("all").expect("a list"), ["Ada", "b"]);
    drop(a);
    assert_eq!(reader.finish(), []);
}

#[test]
fn messages_repeat_what_the_file_says_and_not_the_value() {
    let text = "a: { port = \"${WORD}\"; on = \"${WORD}\"; choice = \"${WORD}\"; one = \"${WORD}\"; many = [\"x\", \"${WORD}\"] }";
    let document = expanded(text);
    let reader = Reader::new(&document);
    let mut a = reader.section("a");
    a.get_int("port", 0_u16, 0..=u16::MAX);
    a.get_bool("on", false);
    a.get_enum("choice", &[("one", 1)], 1);
    let picky = |text: &str| if text.contains('$') { Ok(()) } else { Err(format!("not {text}")) };
    assert_eq!(a.get_with("one", picky), None);
    let refused = |text: &str| -> Result<(), String> { Err(format!("must be something else than `{text}`")) };
    a.get_list_with("many", refused);
    drop(a);
    let problems = reader.finish();
    assert_eq!(problems.len(), 6, "{problems:?}");
    for problem in problems {
        assert!(!problem.message.contains("hunter2") && problem.message.contains("${WORD}"), "{problem}");
        assert_eq!(problem.kind, Kind::BadValue);
    }
}

#[test]
fn names_numbers_and_comments_are_left_alone() {
    let text = "# ${NOBODY}\na: {\n  b = 5; # ${\n};\n";
    assert_eq!(expanded(text).print(), common::ok(text).print());
}

fn edited(text: &str, settings: &str) -> String {
    let group = common::ok(&format!("g: {{ {settings} }}")).section("g").expect("a group").clone();
    put("rooms.jcfg", text, "room", &group, &mut |_| Ok(Vec::new()), &variables).expect("fits")
}

#[test]
fn an_edit_keeps_references_that_stand_for_the_new_value() {
    let text = "room = {\n  secret = \"${WORD}\"\n  publishers = \"${PORT}\"\n  record = \"${YES}\"\n  allowed = [ \"${NAME}\", \"b\" ]\n  pin = \"${WORD}\"\n}\n";
    let same = "secret = \"hunter2\"; publishers = 8089; record = true; allowed = [\"Ada\", \"b\"]; pin = \"hunter2\"";
    assert_eq!(edited(text, same), text);
    let changed = same.replace("pin = \"hunter2\"", "pin = \"other\"");
    assert_eq!(edited(text, &changed), text.replace("pin = \"${WORD}\"", "pin = \"other\""));
    let list = "room = {\n  allowed = \"${LIST}\"\n}\n";
    assert_eq!(edited(list, "allowed = [\"10.0.0.1\", \"10.0.0.2\"]"), list);
    assert!(!edited(list, "allowed = [\"10.0.0.1\"]").contains('$'));
}

#[test]
fn whoever_names_a_room_cannot_read_variables_by_it() {
    let written = edited("", "description = \"costs ${WORD}\"; allowed = [\"${WORD}\"]");
    assert!(written.contains("\"costs $${WORD}\"") && written.contains("\"$${WORD}\""), "{written}");
    let document = expanded(&written);
    let room = document.section("room").expect("a room");
    assert_eq!(room.get("description").map(|d| d.value.clone()), Some(Value::from("costs ${WORD}")));
    // And what is read back is written as it was.
    assert_eq!(edited(&written, "description = \"costs ${WORD}\"; allowed = [\"${WORD}\"]"), written);
}

proptest! {
    #[test]
    fn an_escaped_text_means_itself(text in "([a-c]|\\$|\\{|\\}|:-|NAME){0,12}") {
        prop_assert_eq!(text_of(&escape(&text)), Ok(text));
    }

    #[test]
    fn any_text_is_expanded_or_refused_and_the_rest_of_it_stays(text in "([a-c]|\\$|\\{|\\}|:|-|\\$\\{NAME\\}|\\$\\{NOBODY:-d\\}){0,12}") {
        if let Ok(Some(found)) = expand_text(&text, &variables) {
            let plain = |text: &str| text.chars().filter(|c| ('a'..='c').contains(c)).count();
            // `Ada` brings one along, `d` none; a default may be thrown away.
            prop_assert!(plain(&found) <= plain(&text) + text.matches("NAME").count());
        } else if !text.contains("${") {
            prop_assert_eq!(expand_text(&text, &variables), Ok(None));
        }
    }

    #[test]
    fn a_document_without_references_stays_as_it_is(document in document()) {
        let mut changed = document.clone();
        if expand(&mut changed, &variables).is_ok() && changed.written.is_empty() {
            prop_assert_eq!(changed, document);
        }
    }
}
