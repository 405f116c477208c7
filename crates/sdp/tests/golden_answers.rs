//! Answers of 1.4.2's echotest to real offers, kept as text. `GOLDEN=write` renews the files; read their diff.

mod common;

use common::{assert_same_lines, fixture, local, offer, path};
use portunus_sdp::{AnswerOptions, Plan, Setup, write};

#[test]
fn answers_are_the_kept_ones() {
    for name in common::OFFERS {
        let offer = offer(name);
        let plan = Plan::answer(&offer, &AnswerOptions::default());
        let setup = Setup::answer_to(offer.transport().setup, false);
        let text = write(&plan, &local(setup, offer.media.len().try_into().unwrap()));
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "every line ends with CRLF");
        if std::env::var_os("GOLDEN").is_some_and(|v| v == "write") {
            std::fs::write(path("answers", name), text.replace('\r', "")).unwrap();
        }
        assert_same_lines(name, &text, &fixture("answers", name));
    }
}
