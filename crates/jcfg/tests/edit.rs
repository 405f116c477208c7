//! One group of a text changes and nothing else does.

mod common;

use common::random::{document, group_of, value};
use portunus_jcfg::edit::{EditError, put, take_out};
use portunus_jcfg::{
    Document, Group, IncludeRequest, IncludedFile, Place, Setting, Value, parse_without_includes,
};
use proptest::prelude::*;

const NAME: &str = "rooms.jcfg";

fn none(_: &IncludeRequest<'_>) -> Result<Vec<IncludedFile>, String> {
    Err("files cannot be included here".to_owned())
}

fn unset(_: &str) -> Option<String> {
    None
}

/// The group that is written as `{ text }`.
fn group(text: &str) -> Group {
    let document = common::ok(&format!("group: {{ {text} }}"));
    document.section("group").expect("a group").clone()
}

fn with(text: &str, name: &str, settings: &str) -> String {
    put(NAME, text, name, &group(settings), &mut none, &unset)
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn without(text: &str, name: &str) -> String {
    take_out(NAME, text, name, &mut none).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

const FILE: &str = "# Rooms of the house.
general: {
\tadmin_key = \"k\"; # secret
}

# The big one
room-1 = {
\t# what people see
\tdescription = \"Big\" ; # its name
\tpublishers = 0x10

\t# kept in kbit/s elsewhere
\tbitrate = 128000, // enough
\taudiocodec = \"opus\"
\t\t\",pcmu\"
\tstreams = (
\t\t{ codec = \"vp8\" } # the first
\t)
\t/* the end */
},
room-2: { publishers = 3; record = false }
";

#[test]
fn a_new_group_comes_last_behind_an_empty_line() {
    let settings = r#"description = "New"; n = 5000000000L; list = [ "a", "b" ]; f = 0.5; on = true"#;
    let edited = with(FILE, "room-3", settings);
    let added = "
room-3: {
\tdescription = \"New\";
\tn = 5000000000L;
\tlist = [ \"a\", \"b\" ];
\tf = 0.5;
\ton = true;
};
";
    assert_eq!(edited, format!("{FILE}{added}"));
    assert_eq!(without(&edited, "room-3"), FILE);
}

#[test]
fn the_first_group_of_an_empty_file_stands_alone() {
    assert_eq!(with("", "room-1", "a = 1"), "room-1: {\n  a = 1;\n};\n");
    assert_eq!(without("room-1: {\n  a = 1;\n};\n", "room-1"), "");
    assert_eq!(with("a = 1", "room-1", ""), "a = 1\n\nroom-1: {\n};\n");
}

#[test]
fn lines_end_as_they_do_in_the_file() {
    let file = "a = 1\r\nroom: {\r\n  b = 1 # one\r\n}\r\n";
    let edited = with(file, "room", "b = 2; c = ( { d = 1 } )");
    assert_eq!(
        edited,
        "a = 1\r\nroom: {\r\n  b = 2 # one\r\n  c = (\r\n    {\r\n      d = 1;\r\n    }\r\n  );\r\n}\r\n"
    );
    let more = with(&edited, "other", "e = 1");
    assert!(more.ends_with("}\r\n\r\nother: {\r\n  e = 1;\r\n};\r\n"));
    assert_eq!(without(&more, "other"), edited);
}

#[test]
fn comments_of_settings_that_stay_stay() {
    let settings = r#"description = "Bigger"; publishers = 16; bitrate = 64000; audiocodec = "opus,pcmu";
        streams = ( { codec = "vp8" } ); secret = "new""#;
    let wanted = FILE
        .replace("\"Big\" ;", "\"Bigger\" ;")
        .replace("128000", "64000")
        .replace("\t/* the end */\n", "\t/* the end */\n\tsecret = \"new\";\n");
    assert_eq!(with(FILE, "room-1", settings), wanted);
}

#[test]
fn settings_that_are_gone_go_with_their_lines() {
    let edited = with(FILE, "room-1", "publishers = 16; rec_dir = \"/x\"");
    let wanted = "room-1 = {
\t# what people see
\tpublishers = 0x10

\t# kept in kbit/s elsewhere
\t/* the end */
\trec_dir = \"/x\";
},
";
    let start = FILE.find("room-1").expect("there");
    let end = FILE.find("room-2").expect("there");
    assert_eq!(edited, format!("{}{wanted}{}", &FILE[..start], &FILE[end..]));
}

#[test]
fn a_group_on_one_line_stays_there() {
    let edit = |settings: &str| with("r: { publishers = 3; record = false }\n", "r", settings);
    assert_eq!(edit("publishers = 4; record = false"), "r: { publishers = 4; record = false }\n");
    assert_eq!(edit("record = false"), "r: { record = false }\n");
    assert_eq!(edit("publishers = 3; x = 1"), "r: { publishers = 3; x = 1; }\n");
    assert_eq!(
        edit("publishers = 3; record = true; x = 1"),
        "r: { publishers = 3; record = true; x = 1; }\n"
    );
    assert_eq!(with("r={a=1}", "r", "a = 1; b = 2"), "r={a=1; b = 2; }");
    assert_eq!(with("r={a=1b=2c=3}", "r", "a = 1; c = 3"), "r={a=1 c=3}");
    assert_eq!(with("r={a=1b=2}", "r", "a = true; b = 2"), "r={a=true b=2}");
    assert_eq!(with("r: {}\n", "r", "a = 1"), "r: {\n  a = 1;\n}\n");
}

#[test]
fn what_is_taken_out_takes_its_lines_and_nothing_more() {
    let table = [
        (FILE, "room-2", FILE.replace("room-2: { publishers = 3; record = false }\n", "")),
        ("r: { }; # mine\na = 1\n", "r", "# mine\na = 1\n".to_owned()),
        ("a = 1; r: { } b = 2\n", "r", "a = 1; b = 2\n".to_owned()),
        ("a = 1\n\nr: {\n}\n\nb = 2\n", "r", "a = 1\n\nb = 2\n".to_owned()),
        ("a = 1\n\n  r: {\n} /* x */ ;\nb = 2", "r", "a = 1\n\nb = 2".to_owned()),
        ("a = 1\nr: { }", "r", "a = 1\n".to_owned()),
        ("a = 1\n", "r", "a = 1\n".to_owned()),
        ("\u{feff}r: { }\n# x", "r", "\u{feff}# x".to_owned()),
    ];
    for (text, name, wanted) in table {
        assert_eq!(without(text, name), wanted, "{text}");
    }
}

#[test]
fn what_is_the_same_is_not_touched() {
    let settings = r#"streams = ( { codec = "vp8" } ); description = "Big"; publishers = 16; bitrate = 128000;
        audiocodec = "opus,pcmu""#;
    assert_eq!(with(FILE, "room-1", settings), FILE);
}

#[test]
fn a_text_with_mistakes_is_refused() {
    let error = put(NAME, "a = 1\nb = \n", "r", &group(""), &mut none, &unset).unwrap_err();
    assert!(matches!(error, EditError::Unreadable { more: 0, .. }));
    assert!(
        error.to_string().starts_with("the file has mistakes, the first is rooms.jcfg:3:1: expected a value")
    );
    assert!(take_out(NAME, "a = 1\na = 2\n", "r", &mut none).is_err());
}

#[test]
fn a_name_that_is_none_is_refused() {
    for name in ["room-my room", "1234", "-x", "room-\u{e4}", "", "true"] {
        let error = put(NAME, "", name, &group(""), &mut none, &unset).unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("`{name}` is not a name: letters, digits")),
            "{error}"
        );
    }
    let long = "r".repeat(300);
    assert!(matches!(put(NAME, "", &long, &group(""), &mut none, &unset), Err(EditError::Name(_))));
}

#[test]
fn what_is_no_group_is_refused() {
    let error = put(NAME, "a = 1\nroom-1 = 5\n", "room-1", &group(""), &mut none, &unset).unwrap_err();
    assert_eq!(error.to_string(), "rooms.jcfg:2:1: `room-1` is not a group");
}

#[test]
fn a_group_of_an_included_file_is_refused_and_the_include_line_stays() {
    let mut rooms = |request: &IncludeRequest<'_>| {
        assert_eq!(request.pattern, "rooms.d/*.jcfg");
        Ok(vec![IncludedFile { name: "rooms.d/1.jcfg".to_owned(), text: "room-1: { }\n".to_owned() }])
    };
    let text = "@include \"rooms.d/*.jcfg\" # all\n";
    let error = put(NAME, text, "room-1", &group(""), &mut rooms, &unset).unwrap_err();
    let wanted = "rooms.d/1.jcfg:1:1: `room-1` comes from an included file, which is not written to";
    assert_eq!(error.to_string(), wanted);
    assert_eq!(take_out(NAME, text, "room-1", &mut rooms).unwrap_err().to_string(), wanted);
    let edited = put(NAME, text, "room-2", &group(""), &mut rooms, &unset).expect("fits");
    assert_eq!(edited, format!("{text}\nroom-2: {{\n}};\n"));
    let inside = "room-2: { @include \"rooms.d/*.jcfg\" }\n";
    assert!(matches!(
        put(NAME, inside, "room-2", &group(""), &mut rooms, &unset),
        Err(EditError::Included { .. })
    ));
}

#[test]
fn what_would_not_read_back_is_refused() {
    for bad in [Value::from("a\0b"), Value::Float(f64::NAN)] {
        let mut group = Group::default();
        group.set("x", bad, Place::of("made")).expect("a name");
        assert!(matches!(put(NAME, "", "r", &group, &mut none, &unset), Err(EditError::Unwritable(_))));
    }
}

#[test]
fn names_that_differ_in_letter_case_are_different() {
    let text = "room-Bob: {\n}\n";
    let edited = with(text, "room-bob", "a = 1");
    assert_eq!(edited, format!("{text}\nroom-bob: {{\n  a = 1;\n}};\n"));
    assert_eq!(without(&edited, "room-Bob"), "\nroom-bob: {\n  a = 1;\n};\n");
}

/// Without comments, layout and the order inside `name`.
fn bare(document: &Document, name: &str) -> Vec<(String, String)> {
    fn value(v: &Value) -> String {
        match v {
            Value::Group(g) => format!("{{{}}}", settings(g).join(";")),
            Value::List(l) | Value::Array(l) => {
                let items: Vec<String> = l.items.iter().map(|item| value(&item.value)).collect();
                format!("{}({})", v.kind(), items.join(","))
            }
            Value::Integer(integer) => format!("integer {}", integer.value),
            other => format!("{other:?}"),
        }
    }
    fn settings(g: &Group) -> Vec<String> {
        g.settings().map(|s| format!("{} {}", s.name(), value(&s.value))).collect()
    }
    let one = |s: &Setting| {
        let mut text = vec![value(&s.value)];
        if let Some(group) = s.value.as_group().filter(|_| s.name() == name) {
            text = settings(group);
            text.sort();
        }
        (s.name().to_owned(), text.join("\n"))
    };
    document.root.settings().map(one).collect()
}

/// With each `${` as it is written, so that it is no reference.
fn as_written(written: &Group) -> Group {
    let mut document = Document::empty("made");
    document.root.set("group", Value::Group(written.clone()), Place::of("made")).expect("a name");
    let text = document.print().replace("${", "$${");
    common::ok(&text).section("group").expect("a group").clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn just_that_group_changes_and_what_was_put_in_can_be_taken_out(
        document in document(),
        first in group_of(value(), true),
        second in group_of(value(), true),
        crlf in any::<bool>(),
        at in any::<prop::sample::Index>(),
    ) {
        let mut text = document.print();
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        let old = parse_without_includes("old", &text);
        prop_assert!(old.is_ok(), "{:?}\n{}", old, text);
        let old = old.unwrap_or_else(|_| Document::empty("old"));
        // A new name, or one of a group that is there.
        let there: Vec<&str> =
            old.root.settings().filter(|s| s.value.as_group().is_some()).map(Setting::name).collect();
        let name = if there.is_empty() || at.index(3) == 0 { "room-1" } else { at.get(&there) };
        let mut current = text.clone();
        for group in [&first, &second] {
            let edited = put(NAME, &current, name, group, &mut none, &unset);
            prop_assert!(edited.is_ok(), "{:?}\n{}", edited, current);
            current = edited.unwrap_or_default();
            let new = parse_without_includes("new", &current).unwrap_or_else(|_| Document::empty("new"));
            let mut wanted = old.clone();
            wanted.root.entries.retain(|entry| !matches!(entry, portunus_jcfg::Entry::Setting(s) if s.name() == name));
            let sorted = |mut all: Vec<(String, String)>| { all.sort(); all };
            let Ok(setting) = Setting::new(name, Value::Group(as_written(group)), Place::of("made")) else { continue };
            wanted.root.entries.push(portunus_jcfg::Entry::Setting(setting));
            prop_assert_eq!(sorted(bare(&new, name)), sorted(bare(&wanted, name)), "{}\n---\n{}", text, current);
            let again = put(NAME, &current, name, group, &mut none, &unset);
            prop_assert_eq!(again, Ok(current.clone()));
        }
        let taken = take_out(NAME, &current, name, &mut none);
        prop_assert!(taken.is_ok(), "{:?}\n{}", taken, current);
        let taken = taken.unwrap_or_default();
        if !there.contains(&name) {
            prop_assert_eq!(&taken, &text);
        }
        let gone = parse_without_includes("gone", &taken).unwrap_or_else(|_| Document::empty("gone"));
        let mut wanted = old.clone();
        wanted.root.entries.retain(|entry| !matches!(entry, portunus_jcfg::Entry::Setting(s) if s.name() == name));
        prop_assert_eq!(bare(&gone, name), bare(&wanted, name), "{}\n---\n{}", text, taken);
    }

    #[test]
    fn any_text_is_edited_right_or_refused(
        text in "([a-c]|=|:|\\{|\\}|\\(|\\)|;|,|\"|#|/\\*|\\*/|\n| |1|2|true){0,30}",
        group in group_of(value(), true),
    ) {
        let readable = parse_without_includes("any", &text).is_ok();
        match put(NAME, &text, "a", &group, &mut none, &unset) {
            Ok(edited) => {
                prop_assert!(readable);
                let back = take_out(NAME, &edited, "a", &mut none);
                prop_assert!(back.is_ok(), "{:?}\n{}", back, edited);
            }
            Err(EditError::Unwritable(_)) => prop_assert!(false, "{}", text),
            Err(EditError::NotAGroup { .. }) => {}
            Err(_) => prop_assert!(!readable, "{}", text),
        }
    }
}
