//! Nothing a peer writes can add a line or a field to what others read.

mod common;

use common::{local, offer};
use portunus_sdp::{
    AnswerOptions, Bandwidth, Candidate, CandidateAddress, Description, Direction, Extension, Kind,
    LocalTransport, MediaKind, Msid, Origin, Payload, Plan, PlanMedia, Sctp, Setup, write,
};

const NAUGHTY: &[&str] = &[
    "x\r\na=injected",
    "x\na=injected",
    "x\ra=injected",
    "x\0y",
    "x\u{85}a=injected",
    "x\u{2028}a=injected",
    "x\u{2029}a=injected",
    "\u{b}\u{c}\u{1b}[31m\u{7f}",
    "\r\n",
    " ",
    "",
    "\u{202e}desrever",
    "a b c",
    "0;1,2~3:4/5",
    "%s%n%x",
    "😀\u{feff}",
];

/// A plan with this text in every field that has one.
fn plan(text: &str) -> Plan {
    let word = || text.to_owned();
    let payload = Payload {
        pt: 96,
        name: word(),
        clock_rate: 90_000,
        channels: 2,
        fmtp: Some(word()),
        feedback: vec![word()],
        rtx: Some(97),
    };
    let rtp = PlanMedia {
        direction: Direction::SendRecv,
        payloads: vec![payload],
        extensions: vec![Extension { id: 1, uri: word(), direction: None }],
        msid: Some(Msid { stream: word(), track: word() }),
        rids: vec![word(), word()],
        bandwidth: vec![Bandwidth { kind: word(), value: 1 }],
        attributes: vec![word()],
        ..PlanMedia::new(MediaKind::Video, word(), word())
    };
    let data = PlanMedia { sctp: Some(Sctp::default()), ..PlanMedia::new(MediaKind::Data, word(), word()) };
    let other = PlanMedia { accepted: false, ..PlanMedia::new(MediaKind::Other(word()), word(), word()) };
    let origin = Origin { username: word(), id: 1, version: 2 };
    Plan {
        kind: Kind::Offer,
        origin,
        session_name: word(),
        media: vec![rtp, data, other],
        affinity: Some(word()),
    }
}

fn transport(text: &str) -> LocalTransport {
    let mut local = local(Setup::ActPass, 1);
    local.ufrag = text.to_owned();
    local.pwd = text.to_owned();
    local.fingerprint = text.to_owned();
    let mut candidate = local.candidates[0].clone();
    candidate.foundation = text.to_owned();
    candidate.address = CandidateAddress::Mdns(text.to_owned());
    candidate.ufrag = Some(text.to_owned());
    local.candidates = vec![candidate];
    local
}

#[test]
fn written_texts_keep_their_line_count() {
    let harmless = write(&plan("x"), &transport("x"));
    for naughty in NAUGHTY {
        let text = write(&plan(naughty), &transport(naughty));
        assert!(text.matches("\r\n").count() <= harmless.matches("\r\n").count(), "{naughty:?}\n{text}");
        for line in text.split("\r\n") {
            assert!(
                !line.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')),
                "{line:?}"
            );
            assert!(!line.starts_with("a=injected"), "{naughty:?}");
        }
        // A field that is empty may cost its own line (fmtp), it never adds one.
        let count = |text: &str, kind: &str| text.lines().filter(|l| l.starts_with(kind)).count();
        for kind in
            ["a=", "b=", "c=", "m=", "o=", "s=", "a=mid:", "a=candidate:", "a=fingerprint:", "a=setup:"]
        {
            assert!(count(&text, kind) <= count(&harmless, kind), "{naughty:?} {kind}");
        }
    }
}

#[test]
fn fields_of_one_word_take_no_space() {
    let text = write(&plan("a b"), &transport("a b"));
    let line = |start: &str| text.lines().find(|l| l.starts_with(start)).unwrap();
    assert_eq!(line("a=mid:"), "a=mid:ab");
    assert_eq!(line("a=msid:"), "a=msid:ab ab");
    assert_eq!(line("a=ice-ufrag:"), "a=ice-ufrag:ab");
    assert_eq!(line("o="), "o=ab 1 2 IN IP4 192.0.2.2");
    assert_eq!(line("s="), "s=a b");
}

#[test]
fn written_fields_are_bounded() {
    let long = "x".repeat(1_000_000);
    let text = write(&plan(&long), &transport(&long));
    assert!(text.lines().all(|l| l.len() < 10_000));
}

/// Whether a line is one that we write of harmless values.
fn allowed(line: &str) -> bool {
    let names = [
        "mid:",
        "msid:",
        "ssrc:",
        "ssrc-group:FID ",
        "rid:",
        "simulcast:recv ",
        "extmap:",
        "fmtp:",
        "rtcp-fb:",
        "rtpmap:",
        "candidate:",
        "ice-ufrag:Uf2a",
        "ice-pwd:pw",
        "ice-options:trickle",
        "setup:",
        "sctp",
        "fingerprint:sha-256 AB",
        "group:BUNDLE",
        "extmap-allow-mixed",
        "msid-semantic: WMS *",
        "rtcp-mux",
        "sendrecv",
        "inactive",
        "end-of-candidates",
        "x-unknown:",
    ];
    match line.strip_prefix("a=") {
        Some(attribute) => names.iter().any(|n| attribute.starts_with(n)),
        None => ["v=0", "o=- 1 1 IN", "s=-", "t=0 0", "m=", "c=IN IP4 192.0.2.2", "b="]
            .iter()
            .any(|n| line.starts_with(n)),
    }
}

/// Naughty values in each place of an offer: the description is refused, or what is relayed and answered from it has no
/// line that a harmless value would not have.
#[test]
fn naughty_offers_add_nothing_to_other_peers() {
    let places: &[fn(&str) -> String] = &[
        |x| format!("a=mid:{x}\r\n"),
        |x| format!("a=msid:{x} {x}\r\n"),
        |x| format!("a=ssrc:1 cname:{x}\r\na=ssrc:1 msid:{x} {x}\r\n"),
        |x| format!("a=rid:{x} send {x}\r\na=simulcast:send {x}\r\n"),
        |x| format!("a=extmap:1 {x}\r\na=extmap:2/{x} urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"),
        |x| format!("a=fmtp:96 {x}\r\na=rtcp-fb:96 {x}\r\n"),
        |x| format!("a=rtpmap:98 {x}/90000\r\n"),
        |x| format!("a={x}\r\na=x-unknown:{x}\r\n"),
        |x| format!("b={x}:1\r\na=ssrc-group:{x} 1\r\n"),
        |x| format!("a=candidate:{x} 1 udp 1 {x}.local 9 typ host ufrag {x}\r\n"),
        |x| format!("m={x} 9 {x} {x}\r\n"),
        |x| format!("a=crypto:{x}\r\na=ice-x:{x}\r\na=tls-id:{x}\r\n"),
    ];
    let description = |lines: &str| {
        let fingerprint = vec!["AB"; 32].join(":");
        format!(
            "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 98\r\na=ice-ufrag:abcd\r\n\
             a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 {fingerprint}\r\na=rtpmap:96 VP8/90000\r\n{lines}"
        )
    };
    let mut read = 0;
    for naughty in NAUGHTY {
        for place in places {
            // The attribute a peer adds in a line of its own is its own affair: only what is hidden in a value counts.
            let text = description(&place(naughty)).replace("\r\na=injected", "\u{1}a=injected");
            let Ok(d) = Description::parse(&text) else { continue };
            read += 1;
            let plans = [Plan::relay(&d, Kind::Offer), Plan::answer(&d, &AnswerOptions::default())];
            for text in plans.map(|plan| write(&plan, &local(Setup::Active, 2))) {
                let free = |line: &str| place(naughty).contains(line);
                assert!(text.lines().all(|l| allowed(l) || free(l)), "{naughty:?}\n{text}");
            }
        }
    }
    assert!(read > 50, "{read}");
}

#[test]
fn attributes_of_the_transport_are_not_passed_on() {
    let mut text = common::fixture("offers", "chromium-data-only");
    text += "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\na=ice-mismatch\r\na=tls-id:abc\r\na=identity:x\r\na=kept:1\r\n";
    let d = Description::parse(&text).unwrap();
    assert_eq!(d.media[0].unknown, ["kept:1"]);
    assert!(!offer("chromium-av-data").media[0].unknown.iter().any(|a| a.starts_with("rtcp:")));
}

#[test]
fn candidates_cannot_carry_lines() {
    for text in [
        "1 1 udp 1 192.0.2.1 9 typ host\r\na=x",
        "1 1 udp 1 192.0.2.1 9 typ host\0",
        "1\n1 udp 1 192.0.2.1 9 typ host",
    ] {
        assert!(Candidate::parse(text).is_err(), "{text:?}");
    }
}
