//! parse(print(x)) == x, for any document; and no text makes the parser fall over.

mod common;

use common::random::document;
use portunus_jcfg::{Document, parse_without_includes};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_printed_parses_to_the_same(document in document()) {
        let printed = document.print();
        let again = parse_without_includes("printed", &printed);
        prop_assert!(again.is_ok(), "{:?}\n{}", again, printed);
        let again = again.unwrap_or_else(|_| Document::empty("made"));
        prop_assert_eq!(&again, &document, "\n{}", printed);
        prop_assert_eq!(again.print(), printed);
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in any::<String>()) {
        let _ = parse_without_includes("any", &text);
    }

    #[test]
    fn text_made_of_the_grammar_is_parsed_or_refused_and_what_parses_survives_a_rewrite(
        text in "([a-c]|=|:|\\{|\\}|\\(|\\)|\\[|\\]|;|,|\"|\\\\|#|/|\\*|\n| |1|2|0x|\\.|e|L|true|@include|\\xff){0,40}"
    ) {
        if let Ok(document) = parse_without_includes("any", &text) {
            let printed = document.print();
            let again = parse_without_includes("printed", &printed);
            prop_assert!(again.is_ok(), "{:?}\n{}\n{}", again, text, printed);
            let again = again.unwrap_or_else(|_| Document::empty("made"));
            prop_assert_eq!(&again, &document, "\n{}\n{}", text, printed);
        }
    }
}
