//! Any text is parsed or refused with its place, what was parsed survives being printed, and variables are put in as text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portunus_jcfg::{IncludeRequest, IncludedFile, Reader, escape, expand, expand_text, parse};

fuzz_target!(|text: &str| {
    // The text may include its own second half, so that includes nest.
    let half = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let mut resolve = |request: &IncludeRequest<'_>| match request.pattern {
        "" => Err("nothing to include".to_owned()),
        pattern => Ok(vec![IncludedFile { name: pattern.to_owned(), text: text[half..].to_owned() }]),
    };
    let document = match parse("a", text, &mut resolve) {
        Ok(document) => document,
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                assert!(error.place.line >= 1 && error.place.column >= 1, "{error}");
            }
            return;
        }
    };
    let printed = document.print();
    let again = parse("b", &printed, &mut resolve).expect("what was printed parses");
    assert_eq!(again, document, "{printed}");

    let lookup = |name: &str| (name.len() > 1).then(|| text.to_owned());
    assert_eq!(expand_text(&escape(text), &lookup).expect("is right").as_deref().unwrap_or(text), text);
    let mut document = document;
    if let Err(errors) = expand(&mut document, &lookup) {
        assert!(!errors.is_empty());
    }
    let reader = Reader::new(&document);
    let mut section = reader.section("general");
    let _ = section.get_bool("debug", true);
    let _ = section.get_int("port", 80u16, 1..=u16::MAX);
    let _ = section.get_text("name");
    let _ = section.get_list("interfaces");
    let _ = section.children("rooms").len();
    drop(section);
    for (_, mut section) in reader.other_sections() {
        let _ = section.get_path("path");
        section.accept_rest();
    }
    let _ = reader.finish();
});
