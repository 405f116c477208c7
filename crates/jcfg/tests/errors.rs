//! What is refused, with its place and its words.

mod common;

use common::{errors, ok};
use portunus_jcfg::{
    Fault, IncludedFile, MAX_INCLUDE_DEPTH, MAX_NAME_BYTES, MAX_NESTING, Problem, Setting, parse,
    parse_without_includes,
};

#[test]
fn a_mistake_is_told_with_line_column_and_reason() {
    let table = [
        ("a", "1:2: expected `=` or `:` behind the name, found the end of the file"),
        (
            "a =",
            "1:4: expected a value (text in double quotes, number, true, false, `{`, `(` or `[`), found the end of the file",
        ),
        (
            "a = ;",
            "1:5: expected a value (text in double quotes, number, true, false, `{`, `(` or `[`), found `;`",
        ),
        ("a = yes", "1:5: `yes` is not a value: texts stand in double quotes"),
        ("a = trueb = 1", "1:5: `trueb` is not a value: texts stand in double quotes"),
        ("a = 1;;", "1:7: expected a setting (`name = value`), found `;`"),
        ("a = 1\n}", "2:1: expected a setting (`name = value`), found `}`"),
        ("true = 1", "1:1: expected a setting (`name = value`), found `true = 1`"),
        ("_a = 1", "1:1: expected a setting (`name = value`), found `_a = 1`"),
        ("-a = 1", "1:1: expected a setting (`name = value`), found `-a = 1`"),
        ("1a = 1", "1:1: expected a setting (`name = value`), found `1a = 1`"),
        ("a: {\n  b = 1", "1:4: this `{` is never closed"),
        ("a: {\n  b = 1 )", "2:9: expected a setting (`name = value`) or `}`, found `)`"),
        ("a = ( 1, 2", "1:5: this `(` is never closed"),
        ("a = [ 1, 2", "1:5: this `[` is never closed"),
        ("a = ( 1 2 )", "1:9: expected `,` or `)`, found `2 )`"),
        ("a = [ 1, 2 )", "1:12: expected `,` or `]`, found `)`"),
        (
            "a = [ 1,, 2 ]",
            "1:9: expected a value (text in double quotes, number, true, false, `{`, `(` or `[`), found `, 2 ]`",
        ),
        (
            "a = [ 1, \"x\" ]",
            "1:10: an array [ ] holds values of one kind only: text among integer (a list ( ) may mix them)",
        ),
        ("a = [ { } ]", "1:7: an array [ ] holds single values only (a list ( ) may hold anything)"),
        ("a = [ ( 1 ) ]", "1:7: an array [ ] holds single values only (a list ( ) may hold anything)"),
        ("a = \"x", "1:5: this text is never closed: its ending double quote is missing"),
        ("a = \"x\\", "1:5: this text is never closed: its ending double quote is missing"),
        ("/* x", "1:1: this comment is never closed"),
        ("a = 1 /* x", "1:7: this comment is never closed"),
        ("a = \"\\xff\"", "1:5: the escapes of this text do not make valid UTF-8 text"),
        ("a = \"\\x00\"", "1:5: the escapes of this text do not make valid UTF-8 text"),
        ("a = 9223372036854775808", "1:5: the number 9223372036854775808 is out of range"),
        ("a = 0xFFFFFFFFFFFFFFFF", "1:5: the number FFFFFFFFFFFFFFFF is out of range"),
        ("a = 1e999", "1:5: the number 1e999 is out of range"),
        ("a = -0x10", "1:10: expected `=` or `:` behind the name, found the end of the file"),
        (
            "a = .",
            "1:5: expected a value (text in double quotes, number, true, false, `{`, `(` or `[`), found `.`",
        ),
        ("@include x", "1:10: expected a file name in double quotes, found `x`"),
        ("a = @include \"x\"", "1:5: @include may stand only where a setting may stand"),
        ("@include \"x\"", "1:1: @include \"x\": files cannot be included here"),
        ("a = 1\nb = 2\na = 3", "3:1: duplicate setting `a`, first set at 1:1"),
    ];
    for (text, wanted) in table {
        assert_eq!(errors(text), [wanted], "{text}");
    }
}

#[test]
fn the_same_name_in_different_groups_is_no_duplicate() {
    assert_eq!(ok("a: { x = 1 } b: { x = 2 } x = 3").root.settings().count(), 3);
}

#[test]
fn all_mistakes_that_leave_the_structure_readable_are_listed() {
    let found =
        errors("a = 1; a = 2;\nb = 99999999999999999999;\nc = [ 1, true ];\nd = \"\\xff\";\ne = nope;");
    let lines: Vec<&str> = found.iter().filter_map(|error| error.split(':').next()).collect();
    assert_eq!(lines, ["1", "2", "3", "4", "5"], "{found:?}");
}

#[test]
fn nesting_size_and_names_have_limits() {
    let nested = |depth: usize| format!("a = {}{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse_without_includes("x", &nested(MAX_NESTING)).is_ok());
    for text in [nested(MAX_NESTING + 1), nested(200_000), "a = {".repeat(200_000)] {
        let errors = parse_without_includes("x", &text).expect_err("too deep");
        assert_eq!(errors[0].fault, Fault::TooDeep);
    }
    let long = format!("{} = 1", "n".repeat(MAX_NAME_BYTES + 1));
    assert_eq!(parse_without_includes("x", &long).expect_err("long")[0].fault, Fault::LongName);
    let big = " ".repeat(portunus_jcfg::MAX_BYTES + 1);
    assert_eq!(parse_without_includes("x", &big).expect_err("big")[0].fault, Fault::TooLong);
    let many = "a = 1; ".repeat(1000);
    assert_eq!(parse_without_includes("x", &many).expect_err("many").len(), portunus_jcfg::MAX_ERRORS);
}

#[test]
fn a_file_that_includes_itself_ends_at_the_limits() {
    let mut asked = 0;
    let errors = parse("loop", "@include \"loop\"", &mut |request| {
        asked += 1;
        assert_eq!(request.pattern, "loop");
        Ok(vec![IncludedFile { name: "loop".into(), text: "@include \"loop\"".into() }])
    })
    .expect_err("loops");
    assert_eq!(errors[0].fault, Fault::IncludeDepth);
    assert_eq!(asked, MAX_INCLUDE_DEPTH);

    let twice = "@include \"x\"\n".repeat(2);
    let errors = parse("bomb", &twice, &mut |request| {
        let deep = request.place.file.len() > MAX_INCLUDE_DEPTH;
        let text = if deep { String::new() } else { twice.clone() };
        Ok(vec![IncludedFile { name: format!("{}x", request.place.file), text }])
    })
    .expect_err("too many files");
    assert_eq!(errors[0].fault, Fault::TooManyFiles);
}

#[test]
fn a_setting_made_by_hand_has_a_proper_name() {
    for name in ["", "1a", "-a", "_a", "a b", "a=1", "true", "False", "ä"] {
        let place = portunus_jcfg::Place::of("code");
        assert!(Setting::new(name, true.into(), place).is_err(), "{name}");
    }
}

#[test]
fn an_error_becomes_a_problem_line() {
    let errors = parse_without_includes("etc/janus.jcfg", "a = 1\n  b = nope").expect_err("bare word");
    let problem = Problem::from(errors[0].clone());
    let wanted = "etc/janus.jcfg:2: error: `nope` is not a value: texts stand in double quotes (column 7)";
    assert_eq!(problem.to_string(), wanted);
}
