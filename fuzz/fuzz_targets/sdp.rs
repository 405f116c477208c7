//! A client's description and candidates, and everything that is made of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portunus_sdp::{
    AnswerOptions, Candidate, Description, Error, Kind, LocalSsrc, LocalTransport, Plan, Setup, negotiate,
    write,
};

fuzz_target!(|text: &str| {
    for line in text.lines().chain([text]) {
        read_candidate(line);
    }
    let Ok(offer) = Description::parse(text) else { return };
    assert!(offer.media.len() <= portunus_sdp::limits::MAX_MEDIA);
    for index in 0..=offer.media.len() {
        if let Some(simulcast) = offer.simulcast(index) {
            assert!(simulcast.rids.len() <= portunus_sdp::limits::MAX_SUBSTREAMS);
        }
    }
    let answer = Plan::answer(&offer, &AnswerOptions::default());
    assert_eq!(answer.media.len(), offer.media.len(), "an answer has the m-lines of its offer");
    check(&offer, &answer);
    let narrow = AnswerOptions {
        audio_codecs: vec!["opus".to_owned()],
        video_codecs: vec!["vp9".to_owned(), "h264".to_owned()],
        h264_profile: Some("42e01f".to_owned()),
        vp9_profile: Some("2".to_owned()),
        opus_red: true,
        telephone_event: true,
        ..AnswerOptions::default()
    };
    check(&offer, &Plan::answer(&offer, &narrow));
    for kind in [Kind::Offer, Kind::Answer] {
        check(&offer, &Plan::relay(&offer, kind));
    }
});

fn read_candidate(text: &str) {
    let Ok(candidate) = Candidate::parse(text) else { return };
    let written = candidate.to_string();
    assert!(!written.contains(char::is_control));
    assert_eq!(Candidate::parse(&written).as_ref(), Ok(&candidate), "{written}");
}

/// What is written from a plan is a description of the same m-lines, whatever the offer held.
fn check(remote: &Description, plan: &Plan) {
    let agreed = negotiate(remote, plan);
    assert_eq!(agreed.len(), plan.media.len());
    let text = write(plan, &local(plan));
    assert!(text.is_empty() || text.ends_with("\r\n"));
    let mut m_lines = 0;
    for line in text.split_terminator("\r\n") {
        assert!(!line.contains(char::is_control), "{line:?} in\n{text}");
        let mut head = line.chars();
        assert!(head.next().is_some_and(|c| c.is_ascii_lowercase()) && head.next() == Some('='), "{line:?}");
        m_lines += usize::from(line.starts_with("m="));
    }
    assert_eq!(m_lines, plan.media.len(), "{text}");
    match Description::parse(&text) {
        Ok(again) => assert_eq!(again.media.len(), plan.media.len()),
        // With every m-line rejected there is no transport to describe.
        Err(Error::NoTransport(_)) => assert!(!text.contains("a=setup:"), "{text}"),
        Err(error) => panic!("{error}: ours cannot be read\n{text}"),
    }
}

fn local(plan: &Plan) -> LocalTransport {
    LocalTransport {
        ufrag: "abcd".to_owned(),
        pwd: "0123456789abcdef01234567".to_owned(),
        fingerprint: ["AB"; 32].join(":"),
        setup: Setup::Active,
        lite: true,
        candidates: Candidate::parse("candidate:1 1 udp 2130706431 192.0.2.1 10000 typ host")
            .into_iter()
            .collect(),
        address: [192, 0, 2, 1].into(),
        end_of_candidates: true,
        full_trickle: false,
        ssrcs: (0..)
            .zip(&plan.media)
            .map(|(mindex, _)| LocalSsrc { mindex, ssrc: 1000 + u32::from(mindex), rtx: Some(7) })
            .collect(),
    }
}
