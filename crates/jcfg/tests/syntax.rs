//! Every construct of the syntax, by value.

mod common;

use common::{at, fixtures, ok, parse_file, text};
use portunus_jcfg::{Notice, Radix, Value, parse_without_includes};

#[test]
fn every_construct_of_the_fixture_has_its_value() {
    let document = parse_file(&fixtures(), "constructs.jcfg").expect("parses");
    let texts = [
        ("top", "level"),
        ("colon", "sign"),
        ("comma", "1"),
        ("both_on_one_line", "2"),
        ("another", "3"),
        ("general.text", "plain"),
        ("general.quotes", "say \"hi\" \\ back"),
        ("general.controls", "\n\t\r\x0c\x07\x08\x0bA~"),
        ("general.unknown_escape", "\\q\\x4"),
        ("general.joined", "one, two, three"),
        ("general.unicode", "später é"),
        ("general.raw", "line\nend"),
        ("general.empty", ""),
        ("general.decimal", "42"),
        ("general.plus", "5"),
        ("general.minus", "-7"),
        ("general.leading_zero", "12"),
        ("general.hex", "255"),
        ("general.binary", "5"),
        ("general.octal", "15"),
        ("general.octal_q", "15"),
        ("general.long", "5000000000"),
        ("general.big", "9223372036854775807"),
        ("general.least", "-9223372036854775808"),
        ("general.half", "0.5"),
        ("general.five", "5"),
        ("general.exponent", "1000"),
        ("general.small", "-0.0025"),
        ("general.yes", "true"),
        ("general.no", "false"),
        ("general.*starred-name_9*", "1"),
        ("nested.deeper.deepest.x", "1"),
    ];
    for (path, wanted) in texts {
        assert_eq!(text(&document, path), wanted, "{path}");
    }
    let items = |path: &str| {
        let value = at(&document, path);
        let items = value.as_items().expect("items").to_vec();
        items.into_iter().map(|item| item.value).collect::<Vec<_>>()
    };
    assert_eq!(items("array"), ["a", "bc", "d"].map(Value::from));
    assert_eq!(items("numbers"), [1, 2, 3].map(Value::from));
    assert_eq!(items("none"), []);
    let kinds: Vec<&str> = items("list").iter().map(Value::kind).collect();
    assert_eq!(kinds, ["text", "integer", "float", "bool", "array", "list", "group"]);
    let mids: Vec<String> = items("groups")
        .iter()
        .map(|value| value.as_group().and_then(|g| g.get("mid")?.value.as_text()).expect("mid"))
        .collect();
    assert_eq!(mids, ["a", "v"]);
    assert_eq!(document.notices, []);
}

#[test]
fn integers_keep_their_form() {
    let document = ok("a = 0xFfL; b = 0b101; c = 0q17; d = 7LL; e = 7");
    let form = |path: &str| match at(&document, path) {
        Value::Integer(integer) => (integer.radix, integer.long),
        other => panic!("{other:?}"),
    };
    assert_eq!(form("a"), (Radix::Hex, true));
    assert_eq!(form("b"), (Radix::Binary, false));
    assert_eq!(form("c"), (Radix::Octal, false));
    assert_eq!(form("d"), (Radix::Decimal, true));
    assert_eq!(form("e"), (Radix::Decimal, false));
}

#[test]
fn separators_are_optional_and_single() {
    for text in ["a=1 b=2", "a=1;b=2", "a=1,b=2", "a=1;b=2;", "a=1b=2", "a=\"x\"b=2", "a=1\n;\nb=2"] {
        let document = ok(text);
        let names: Vec<&str> = document.root.settings().map(|setting| setting.name()).collect();
        assert_eq!(names, ["a", "b"], "{text}");
    }
    for text in ["", " \n ", "# only a comment", "/* one */ // two"] {
        assert_eq!(ok(text).root.settings().count(), 0, "{text}");
    }
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_do_no_harm() {
    let document = ok("\u{feff}a = 1 # x\r\nb: {\r\n  c = \"d\";\r\n};\r\n");
    assert_eq!(text(&document, "b.c"), "d");
    assert_eq!(document.root.get("b").expect("b").place.line, 2);
}

#[test]
fn look_ups_ignore_letter_case_and_the_first_of_two_spellings_wins() {
    let document = ok("General: { Api_Secret = \"x\"; api_secret = \"y\"; }");
    assert_eq!(text(&document, "general.API_SECRET"), "x");
    assert!(matches!(&document.notices[..], [(place, Notice::CaseTwin { .. })] if place.column == 30));
}

#[test]
fn an_unquoted_path_is_text_with_a_notice() {
    let document = ok("g: {\n  certfile = /etc/ssl/certs/x.pem\n  keyfile = /etc/y.key;\n}");
    assert_eq!(text(&document, "g.certfile"), "/etc/ssl/certs/x.pem");
    assert_eq!(text(&document, "g.keyfile"), "/etc/y.key");
    let lines: Vec<u32> = document.notices.iter().map(|(place, _)| place.line).collect();
    assert_eq!(lines, [2, 3]);
}

#[test]
fn an_unquoted_path_holds_no_control_character() {
    assert!(parse_without_includes("test.jcfg", "a=/\0").is_err());
}

#[test]
fn truth_is_yes_true_or_one() {
    let table = [
        ("true", true),
        ("TRUE", true),
        ("\"true\"", true),
        ("\"Yes\"", true),
        ("\"1\"", true),
        ("1", true),
        ("false", false),
        ("0", false),
        ("2", false),
        ("\"on\"", false),
        ("\"\"", false),
        ("1.5", false),
        ("( 1 )", false),
        ("{ }", false),
    ];
    for (value, wanted) in table {
        assert_eq!(at(&ok(&format!("a = {value}")), "a").as_bool(), wanted, "{value}");
    }
}

#[test]
fn places_are_those_of_the_names() {
    let document = ok("a = 1;\n  \u{e4}b = 2".replace('\u{e4}', "/*\u{e4}*/ ").as_str());
    let setting = document.root.get("b").expect("b");
    assert_eq!(setting.place.to_string(), "test.jcfg:2:9");
    let array = ok("x = [\n  1,\n  2 ]");
    let value = at(&array, "x");
    let places: Vec<String> =
        value.as_items().expect("items").iter().map(|item| item.place.to_string()).collect();
    assert_eq!(places, ["test.jcfg:2:3", "test.jcfg:3:3"]);
}
