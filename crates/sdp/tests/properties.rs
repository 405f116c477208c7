//! Whatever arrives: no panic, bounded time, and what is written reads back.

mod common;

use std::time::{Duration, Instant};

use common::{fixture, local};
use portunus_sdp::{
    AnswerOptions, Candidate, CandidateAddress, CandidateKind, CandidateTransport, Description, Error, Kind,
    Plan, Setup, TcpType, negotiate, write,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Everything a description goes through after it was read.
fn use_all(d: &Description) {
    for plan in [
        Plan::answer(d, &AnswerOptions { opus_red: true, telephone_event: true, ..AnswerOptions::default() }),
        Plan::relay(d, Kind::Offer),
        Plan::relay(d, Kind::Answer),
    ] {
        assert_eq!(plan.media.len(), d.media.len());
        assert_eq!(negotiate(d, &plan).len(), d.media.len());
        let text = write(&plan, &local(Setup::Active, 4));
        assert!(!text.contains(|c: char| c.is_control() && c != '\r' && c != '\n'));
        assert_eq!(text.matches("\r\nm=").count(), d.media.len());
        // The next reader understands it, unless no m-line is left that could carry a transport.
        match Description::parse(&text) {
            Ok(read) => assert_eq!(read.media.len(), d.media.len()),
            Err(e) => assert!(matches!(e, Error::NoTransport(_)), "{e}\n{text}"),
        }
    }
}

/// One edit of a text, by bytes where that stays UTF-8.
#[derive(Debug, Clone)]
enum Edit {
    Insert(usize, String),
    Delete(usize, usize),
    DoubleLine(usize),
    DropLine(usize),
    SwapLines(usize, usize),
    Number(usize, String),
}

fn edit() -> impl Strategy<Value = Edit> {
    let piece = prop_oneof![
        "[\\x00-\\x7f]{1,4}",
        "\\PC{1,4}",
        Just("\r\n".to_owned()),
        Just("a=".to_owned()),
        Just("\r\nm=video 0 UDP/TLS/RTP/SAVPF 96\r\n".to_owned()),
        Just(" ".to_owned()),
        Just(":".to_owned()),
    ];
    let number = prop_oneof![
        Just("-1".to_owned()),
        Just("0".to_owned()),
        Just("99999999999999999999999".to_owned()),
        Just(String::new()),
        "[0-9]{1,12}",
    ];
    prop_oneof![
        (any::<usize>(), piece).prop_map(|(at, text)| Edit::Insert(at, text)),
        (any::<usize>(), 1..40_usize).prop_map(|(at, n)| Edit::Delete(at, n)),
        any::<usize>().prop_map(Edit::DoubleLine),
        any::<usize>().prop_map(Edit::DropLine),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Edit::SwapLines(a, b)),
        (any::<usize>(), number).prop_map(|(at, n)| Edit::Number(at, n)),
    ]
}

fn apply(text: &str, edit: &Edit) -> String {
    let char_at = |at: usize| {
        let mut at = at % (text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let mut lines: Vec<&str> = text.split("\r\n").collect();
    let count = lines.len();
    match edit {
        Edit::Insert(at, piece) => {
            let at = char_at(*at);
            return format!("{}{piece}{}", &text[..at], &text[at..]);
        }
        Edit::Delete(at, n) => {
            let at = char_at(*at);
            let end = char_at((at + n).min(text.len())).max(at);
            return format!("{}{}", &text[..at], &text[end..]);
        }
        Edit::DoubleLine(at) => lines.insert(at % count, lines[at % count]),
        Edit::DropLine(at) => drop(lines.remove(at % count)),
        Edit::SwapLines(a, b) => lines.swap(a % count, b % count),
        Edit::Number(at, number) => {
            let places: Vec<(usize, &str)> = text.match_indices(|c: char| c.is_ascii_digit()).collect();
            if let Some((start, _)) = places.get(at % places.len().max(1)) {
                let digits = text[*start..].bytes().take_while(u8::is_ascii_digit).count();
                return format!("{}{number}{}", &text[..*start], &text[start + digits..]);
            }
        }
    }
    lines.join("\r\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn mutated_offers_never_panic(which in 0..common::OFFERS.len(), edits in vec(edit(), 1..8)) {
        let mut text = fixture("offers", common::OFFERS[which]);
        for edit in &edits {
            text = apply(&text, edit);
        }
        if let Ok(d) = Description::parse(&text) {
            use_all(&d);
        }
    }

    #[test]
    fn arbitrary_lines_never_panic(lines in vec("[a-z]=\\PC{0,60}|a=(mid|rid|ssrc|ssrc-group|msid|extmap|fmtp|rtpmap|rtcp-fb|simulcast|candidate|sctpmap|setup):[ -~]{0,40}", 0..60)) {
        let fingerprint = vec!["AB"; 32].join(":");
        let head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901";
        let text = format!("{head}\r\na=fingerprint:sha-256 {fingerprint}\r\nm=video 9 RTP/SAVPF 96\r\n{}\r\n", lines.join("\r\n"));
        if let Ok(d) = Description::parse(&text) {
            use_all(&d);
        }
    }

    #[test]
    fn candidates_read_back(candidate in candidate()) {
        let text = candidate.to_string();
        prop_assert_eq!(Candidate::parse(&text), Ok(candidate.clone()));
        prop_assert_eq!(Candidate::parse(&format!("a={text}")), Ok(candidate.clone()));
        prop_assert_eq!(Candidate::parse(text.strip_prefix("candidate:").unwrap()), Ok(candidate));
    }

    #[test]
    fn arbitrary_candidates_never_panic(text in "\\PC{0,80}|[0-9]{1,3} [0-9]{1,6} (udp|tcp|UDP|x) [0-9]{1,12} [0-9a-f.:]{1,20} [0-9]{1,6} typ (host|srflx|x)( [a-z]{1,8}){0,5}") {
        if let Ok(candidate) = Candidate::parse(&text) {
            prop_assert_eq!(Candidate::parse(&candidate.to_string()), Ok(candidate));
        }
    }
}

fn candidate() -> impl Strategy<Value = Candidate> {
    let transport = prop_oneof![
        Just(CandidateTransport::Udp),
        Just(CandidateTransport::Tcp(TcpType::Active)),
        Just(CandidateTransport::Tcp(TcpType::Passive)),
        Just(CandidateTransport::Tcp(TcpType::So)),
    ];
    let address = prop_oneof![
        any::<std::net::IpAddr>().prop_map(CandidateAddress::Ip),
        "[a-z0-9-]{1,36}\\.local".prop_map(CandidateAddress::Mdns),
    ];
    let kind = prop_oneof![
        Just(CandidateKind::Host),
        Just(CandidateKind::Srflx),
        Just(CandidateKind::Prflx),
        Just(CandidateKind::Relay),
    ];
    let related = proptest::option::of((any::<std::net::IpAddr>(), any::<u16>()).prop_map(Into::into));
    let ufrag = proptest::option::of("[A-Za-z0-9+/]{1,32}");
    (
        "[A-Za-z0-9+/]{1,32}",
        any::<u16>(),
        transport,
        any::<u32>(),
        address,
        any::<u16>(),
        kind,
        related,
        ufrag,
    )
        .prop_map(|(foundation, component, transport, priority, address, port, kind, related, ufrag)| {
            Candidate { foundation, component, transport, priority, address, port, kind, related, ufrag }
        })
}

/// What we wrote, read and passed on again, is the same text: nothing grows or gets lost on the way.
#[test]
fn relaying_twice_changes_nothing() {
    for name in common::OFFERS {
        let local = local(Setup::ActPass, 4);
        let once = write(&Plan::relay(&common::offer(name), Kind::Offer), &local);
        let twice = write(&Plan::relay(&Description::parse(&once).unwrap(), Kind::Offer), &local);
        common::assert_same_lines(name, &twice, &once);
    }
}

/// Descriptions made to be slow, each as large as the limits allow.
#[test]
fn bombs_are_read_in_bounded_time() {
    let fingerprint = vec!["AB"; 32].join(":");
    let head = format!(
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n\
         a=fingerprint:sha-256 {fingerprint}\r\nm=video 9 RTP/SAVPF {}\r\n",
        (0..128).map(|n: u8| n.to_string()).collect::<Vec<_>>().join(" ")
    );
    let repeated = |line: &dyn Fn(usize) -> String| {
        let mut text = head.clone();
        for n in 0..4_000 {
            let line = line(n);
            if text.len() + line.len() > 255 * 1024 {
                break;
            }
            text += &line;
        }
        text
    };
    let bombs: Vec<String> = vec![
        repeated(&|n| format!("a=ssrc:{n} cname:x\r\n")),
        repeated(&|n| format!("a=rtpmap:{} x{n}/90000\r\n", n % 128)),
        repeated(&|n| format!("a=fmtp:{} apt={}\r\n", n % 128, n % 127)),
        repeated(&|n| format!("a=rtcp-fb:* x{n}\r\n")),
        repeated(&|n| format!("a=extmap:{} urn:{n}\r\n", n % 256)),
        repeated(&|n| format!("a=rid:{n} send\r\na=simulcast:send {n}\r\n")),
        repeated(&|n| format!("m=audio 9 RTP/SAVPF 0\r\na=mid:{n}\r\n")),
        repeated(&|n| format!("a=x{n}\r\n")),
        repeated(&|_| format!("a=x:{}\r\n", " ;".repeat(4_000))),
        repeated(&|_| format!("a=ssrc-group:FID {}\r\n", "1 ".repeat(4_000))),
        repeated(&|_| format!("a=candidate:{}\r\n", "1 ".repeat(4_000))),
        repeated(&|_| format!("a=group:BUNDLE {}\r\n", "x ".repeat(4_000))),
        "v=".to_owned() + &"\r\n".repeat(130_000),
        "v=0\r\no=\r\ns=\r\nm=".to_owned() + &"m=".repeat(5_000_000),
    ];
    for (number, text) in bombs.iter().enumerate() {
        let start = Instant::now();
        match Description::parse(text) {
            Ok(d) => use_all(&d),
            Err(e) => assert!(
                matches!(e, Error::TooLarge { .. } | Error::Malformed { .. } | Error::MissingLines),
                "{e}"
            ),
        }
        // The promise is 50 ms in an optimised build; this is a debug build on a busy machine.
        assert!(start.elapsed() < Duration::from_millis(1_000), "bomb {number}: {:?}", start.elapsed());
    }
}
