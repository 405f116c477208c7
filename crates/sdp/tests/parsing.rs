//! What is read, what is skipped, what is refused and with which text.

mod common;

use common::{fixture, offer};
use portunus_sdp::{
    AnswerOptions, Codec, Description, Direction, Error, HashFunction, MediaKind, Origin, Plan, Setup, ext,
    limits, write,
};

const HEAD: &str = "v=0\r\no=- 11 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";

fn transport() -> String {
    format!(
        "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 {}\r\n",
        vec!["AB"; 32].join(":")
    )
}

/// A whole description with one audio m-line and these further lines in it.
fn audio_with(lines: &str) -> String {
    format!(
        "{HEAD}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n{}{lines}",
        transport()
    )
}

fn read(text: &str) -> Description {
    Description::parse(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn refusals_have_the_text_of_janus() {
    let m = "m=audio 9 UDP/TLS/RTP/SAVPF 111";
    let base = audio_with("");
    let cases = [
        (String::new(), "Invalid SDP (doesn't start with v=)"),
        ("foo".to_owned(), "Invalid SDP (doesn't start with v=)"),
        (format!("\r\n{base}"), "Invalid SDP (doesn't start with v=)"),
        (base.replace("v=0", "V=0"), "Invalid SDP (doesn't start with v=)"),
        (base.replace("o=-", "x=-"), "Missing mandatory lines (o=, s= or m=)"),
        (base.replace("s=-\r\n", ""), "Missing mandatory lines (o=, s= or m=)"),
        (HEAD.to_owned(), "Missing mandatory lines (o=, s= or m=)"),
        (base.replace("\r\n", "\r"), "Missing mandatory lines (o=, s= or m=)"),
        (base.replace("v=0", "v=x"), "Invalid v= line: v=x"),
        (base.replace("- 11 2", "- x 2"), "Invalid o= line: o=- x 2 IN IP4 127.0.0.1"),
        (base.replace("o=- 11", "o=11"), "Invalid o= line: o=11 2 IN IP4 127.0.0.1"),
        (base.replace(" IP4 127.0.0.1", ""), "Invalid o= line: o=- 11 2 IN"),
        (base.replace("t=0 0", "t=x"), "Invalid t= line: t=x"),
        (base.replace(m, "m=audio"), "Invalid m= line: m=audio"),
        (base.replace(m, "m=audio 9"), "Invalid m= line: m=audio 9"),
        (base.replace(m, "m=audio x UDP/TLS/RTP/SAVPF 1"), "Invalid m= line: m=audio x UDP/TLS/RTP/SAVPF 1"),
        (
            base.replace(m, "m=audio 9 UDP/TLS/RTP/SAVPF"),
            "Invalid m= line (no payload types/formats): m=audio 9 UDP/TLS/RTP/SAVPF",
        ),
        (format!("{base}foo\r\n"), "Invalid line (2nd char is not '='): foo"),
        (format!("{base} a=x\r\n"), "Invalid line (2nd char is not '='):  a=x"),
        (format!("{base}a=rid:\r\n"), "Invalid a= line: rid:"),
        (base.replace("a=mid:0", "a=mid:"), "Invalid a= line: mid:"),
        (base.replace("a=ice-ufrag:abcd\r\n", ""), "Error processing SDP"),
        (base.replace("a=ice-pwd:0123456789012345678901\r\n", ""), "Error processing SDP"),
        (base.replace("a=fingerprint", "a=x"), "Error processing SDP"),
        (base.replace("sha-256", "md5"), "Error processing SDP"),
        (base.replace("sha-256", "sha-512"), "Error processing SDP"),
    ];
    for (text, expected) in cases {
        assert_eq!(Description::parse(&text).map_err(|e| e.janus_text()), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn refusals_that_janus_does_not_have() {
    let long = "x".repeat(limits::MAX_MID + 1);
    for (lines, what) in [
        ("a=x:a\rb\r\n", "Invalid line (control character)"),
        ("a=x:a\0b\r\n", "Invalid line (control character)"),
        ("a=x:a\u{85}b\r\n", "Invalid line (control character)"),
        (&format!("m=audio 9 RTP/SAVPF 0\r\na=mid:{long}\r\n"), "Invalid mid"),
        ("m=audio 9 RTP/SAVPF 0\r\na=mid:a b\r\n", "Invalid mid"),
        ("m=audio 9 RTP/SAVPF 0\r\na=mid:0\r\n", "Duplicate mid"),
    ] {
        match Description::parse(&audio_with(lines)) {
            Err(Error::Malformed { what: found, text, .. }) => {
                assert_eq!(found, what);
                assert!(!text.contains(char::is_control));
            }
            other => panic!("{lines}: {other:?}"),
        }
    }
}

#[test]
fn odd_texts_are_read_as_janus_reads_them() {
    let base = audio_with("");
    let expected = read(&base);
    for text in [
        base.replace("\r\n", "\n"),
        base.replace("\r\n", "\r\r\n"),
        base.trim_end().to_owned(),
        base.replace("t=0 0\r\n", ""),
        base.replace("v=0", "v=1"),
        base.replace("a=mid", "\r\na=mid"),
        base.replace("t=0 0", "u=not a uri\r\nr=x\r\nz=x\r\nk=x\r\nx=foo\r\nA=b\r\nb=foo\r\nt=0 0"),
        base.replace("127.0.0.1", "127.0.0.1 more"),
        base.replace("IP4 127.0.0.1", "IP6 ::1"),
        base.replace("m=audio  9", "m=audio 9"),
        base.replace("SAVPF 111", "SAVPF 111 x 999 111 -1"),
        format!("{base}c=IN IP4 0.0.0.0\r\nb=AS\r\nx=y\r\na=mid:9\r\na=setup:holdconn\r\n"),
        format!("{base}a=rtpmap:111\r\na=rtpmap:x foo/1\r\na=rtpmap:300 foo/1\r\na=rtpmap:111 foo/1\r\n"),
        format!("{base}a=fmtp:111\r\na=fmtp:112 x=y\r\na=rtcp-fb:x\r\na=rtcp-fb:112 nack\r\na=extmap:x\r\n"),
        format!("{base}a=ssrc:x cname:y\r\na=ssrc:5000000000 cname:z\r\na=ssrc-group:FID x\r\na=rid:x\r\n"),
        format!("{base}a=candidate:foo\r\na=extmap:0 urn:x\r\na=extmap:15 urn:x\r\na=extmap:256 urn:x\r\n"),
        format!("{base}a=extmap:-1 urn:x\r\na=extmap:1 {} urn:x\r\n", ext::ENCRYPT),
    ] {
        assert_eq!(read(&text), expected, "{text}");
    }
}

#[test]
fn origins_saturate() {
    let origin = |o: &str| read(&audio_with("").replace("o=- 11 2", o)).origin;
    assert_eq!(origin("o=alice 1 0"), Origin { username: "alice".to_owned(), id: 1, version: 0 });
    assert_eq!(origin("o=- 99999999999999999999 2").id, u64::MAX);
    assert_eq!(origin("o=- -11 2").id, 18_446_744_073_709_551_605);
}

#[test]
fn session_lines_are_defaults() {
    let session =
        format!("{}a=setup:active\r\na=sendonly\r\na=extmap:7 {}\r\na=ice-lite\r\n", transport(), ext::MID);
    let text = format!("{HEAD}{session}m=audio 9 RTP/SAVPF 0\r\nm=video 9 RTP/SAVPF 96\r\na=recvonly\r\n");
    let d = read(&text);
    assert_eq!(d.transport().setup, Some(Setup::Active));
    assert!(d.transport().lite && !d.transport().trickle());
    assert_eq!((d.media[0].direction, d.media[1].direction), (Direction::SendOnly, Direction::RecvOnly));
    assert_eq!(d.media[0].extension(ext::MID).map(|e| e.id), Some(7));
    assert_eq!((d.media[0].mid.as_str(), d.media[1].mid.as_str()), ("0", "1"));
    assert_eq!(d.media[0].codec("PCMU").map(|p| p.clock_rate), Some(8000));
}

#[test]
fn the_first_m_line_carries_the_transport() {
    let other = "a=ice-ufrag:zzzz\r\na=ice-pwd:zzzzzzzzzzzzzzzzzzzzzz\r\na=candidate:1 1 udp 1 192.0.2.9 9 typ host\r\n";
    let d = read(&audio_with(&format!("m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\n{other}")));
    assert_eq!(d.transport().ufrag, "abcd");
    assert!(d.transport().candidates.is_empty());
    // Rejected but with its own lines: it still counts, as with Janus.
    assert_eq!(read(&audio_with("").replace("audio 9", "audio 0")).transport().ufrag, "abcd");
    assert!(read(&audio_with("").replace("audio 9", "audio 0")).media[0].is_active());
}

#[test]
fn a_stopped_first_transceiver_leaves_the_transport_to_the_bundle() {
    let line = |mid: &str, port: u16, ufrag: &str| {
        let transport = transport().replace("abcd", ufrag);
        format!("m=audio {port} UDP/TLS/RTP/SAVPF 0\r\na=mid:{mid}\r\n{transport}")
    };
    let bare = "m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n".to_owned();
    // Chromium keeps credentials in the stopped one, Firefox does not.
    for first in [line("0", 0, "zero"), bare.clone()] {
        let others = format!("{}{}", line("1", 9, "one1"), line("2", 9, "two2"));
        let d = read(&format!("{HEAD}a=group:BUNDLE 2 1\r\n{first}{others}"));
        assert_eq!(d.transport().ufrag, "two2");
        assert_eq!(d.media.iter().map(|m| m.is_active()).collect::<Vec<_>>(), [false, true, true]);
        let text = write(&Plan::answer(&d, &AnswerOptions::default()), &common::local(Setup::Active, 3));
        assert!(text.contains("a=group:BUNDLE 1 2\r\n"), "{text}");
        assert!(text.contains("m=audio 0 UDP/TLS/RTP/SAVPF 0\r\n"), "{text}");
    }
    // In the group, port 0 of the first m-line is no rejection, as with Janus.
    let d = read(&format!("{HEAD}a=group:BUNDLE 0 1\r\n{}{}", line("0", 0, "zero"), line("1", 9, "one1")));
    assert_eq!((d.transport().ufrag.as_str(), d.media[0].is_active()), ("zero", true));
    assert_eq!(Description::parse(&format!("{HEAD}{bare}")), Err(Error::NoTransport("ice-ufrag")));
}

#[test]
fn fingerprints() {
    let with = |lines: &str| {
        let text = audio_with("");
        let start = text.find("a=fingerprint").unwrap();
        let end = start + text[start..].find("\r\n").unwrap() + 2;
        Description::parse(&format!("{}{lines}{}", &text[..start], &text[end..]))
    };
    let line = |hash: &str, bytes: usize| format!("a=fingerprint:{hash} {}\r\n", vec!["0a"; bytes].join(":"));
    let hash = |lines: &str| with(lines).unwrap().transport().fingerprint.hash;
    assert_eq!(hash(&line("SHA-256", 32)), HashFunction::Sha256);
    assert_eq!(hash(&line("sha-1", 20)), HashFunction::Sha1);
    assert_eq!(
        hash(&(line("sha-1", 20) + &line("sha-512", 64) + &line("sha-384", 48))),
        HashFunction::Sha384
    );
    assert_eq!(hash(&(line("sha-512", 64) + &line("sha-256", 32))), HashFunction::Sha256);
    for bad in [line("sha-256", 31), line("sha-256", 33), line("sha-256", 32).replace("0a", "0g")] {
        assert_eq!(with(&bad), Err(Error::NoTransport("fingerprint")), "{bad}");
    }
    let shown = with(&line("sha-1", 20)).unwrap().transport().fingerprint.to_string();
    assert_eq!(shown, format!("sha-1 {}", vec!["0A"; 20].join(":")));
}

#[test]
fn a_chromium_offer_in_full() {
    let d = offer("chromium-av-data");
    assert_eq!(d.bundle, ["0", "1", "2"]);
    assert!(d.extmap_allow_mixed && d.transport().trickle());
    assert_eq!(d.transport().setup, Some(Setup::ActPass));
    let kinds: Vec<&MediaKind> = d.media.iter().map(|m| &m.kind).collect();
    assert_eq!(kinds, [&MediaKind::Audio, &MediaKind::Video, &MediaKind::Data]);
    let [audio, video, data] = d.media.as_slice() else { panic!() };
    let names: Vec<&str> = audio.payloads.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["opus", "red", "G722", "PCMU", "PCMA", "CN", "telephone-event", "telephone-event"]);
    assert_eq!(audio.payloads[0].parameter("useinbandfec"), Some("1"));
    assert!(video.payloads.iter().all(|p| Codec::of(p).is_some() && p.rtx.is_some()));
    assert_eq!(video.media_ssrcs(), [(2944457349, Some(2458324391))]);
    assert_eq!(video.cname.as_deref(), Some("CqzJB2GFJIP0Xqbz"));
    assert_eq!(video.extension(ext::REPAIRED_RID).map(|e| e.id), Some(11));
    assert_eq!(video.unknown, ["rtcp-xr:rcvr-rtt=all"]);
    assert!(video.rtcp_mux && video.rtcp_rsize);
    let sctp = data.sctp.unwrap();
    assert_eq!((sctp.port, sctp.max_message_size, sctp.legacy), (5000, Some(262_144), false));
}

#[test]
fn legacy_lines() {
    let d = offer("legacy-simulcast");
    assert_eq!(
        d.media[0].msid.as_ref().map(|m| (m.stream.as_str(), m.track.as_str())),
        Some(("stream1", "audio1"))
    );
    assert_eq!(d.media[1].media_ssrcs(), [(2001, Some(2101)), (2002, Some(2102)), (2003, Some(2103))]);
    assert_eq!(d.media[1].unknown, ["x-google-flag:conference"]);
    assert_eq!(d.media[1].payloads.len(), 1);
    let sctp = d.media[2].sctp.unwrap();
    assert_eq!((sctp.port, sctp.legacy), (5000, true));
    assert_eq!(d.media[2].bandwidth[0].value, 30);
}

#[test]
fn firefox_and_aiortc() {
    let d = offer("firefox-av-data");
    assert_eq!(d.origin.version, 0);
    assert_eq!(d.transport().candidates.len(), 2);
    assert!(d.transport().end_of_candidates);
    assert_eq!(d.media[0].extensions[1].direction, Some(Direction::RecvOnly));
    assert_eq!(d.media[1].payloads.iter().map(|p| p.rtx.unwrap()).collect::<Vec<_>>(), [124, 125, 127, 98]);
    let d = offer("aiortc-av-data");
    assert_eq!(d.transport().fingerprint.hash, HashFunction::Sha256);
    assert_eq!(d.transport().candidates[1].related, Some("192.0.2.10:45211".parse().unwrap()));
    assert_eq!(d.media[2].sctp.unwrap().max_message_size, Some(65_536));
}

#[test]
fn unknown_kinds_are_kept_to_be_rejected() {
    let text = audio_with(
        "m=text 9 UDP/TLS/RTP/SAVPF 98\r\na=mid:1\r\nm=application 9 TCP/DTLS/SCTP x\r\na=mid:2\r\n",
    );
    let d =
        read(&format!("{text}m=video 9 FOO 96\r\na=mid:3\r\nm=VIDEO 9 udp/tls/rtp/savpf 96\r\na=mid:4\r\n"));
    let kinds: Vec<&str> = d.media.iter().map(|m| m.kind.as_str()).collect();
    assert_eq!(kinds, ["audio", "text", "application", "video", "video"]);
    assert!(d.media[1..4].iter().all(|m| matches!(m.kind, MediaKind::Other(_))));
    assert_eq!(d.media[4].kind, MediaKind::Video);
}

#[test]
fn wildcard_feedback_counts_for_every_payload() {
    let text = audio_with("").replace("SAVPF 111", "SAVPF 111 0");
    let d = read(&format!("{text}a=rtcp-fb:* nack\r\na=rtcp-fb:111 nack\r\na=rtcp-fb:111 transport-cc\r\n"));
    assert_eq!(d.media[0].payloads[0].feedback, ["nack", "transport-cc"]);
    assert_eq!(d.media[0].payloads[1].feedback, ["nack"]);
}

#[test]
fn limits_refuse_before_reading() {
    let too_large = |text: String| match Description::parse(&text) {
        Err(Error::TooLarge { what, limit }) => (what, limit),
        other => panic!("{other:?}"),
    };
    let base = audio_with("");
    let line = "a=x-filler:1\r\n";
    assert_eq!(too_large(format!("{base}{}", line.repeat(30_000))), ("bytes", limits::MAX_BYTES));
    assert_eq!(too_large(format!("{base}{}", "a=x\r\n".repeat(5_000))), ("lines", limits::MAX_LINES));
    assert_eq!(too_large(format!("{base}a=x:{}\r\n", "y".repeat(9_000))).1, limits::MAX_LINE_BYTES);
    let line = "m=audio 9 RTP/SAVPF 0\r\n";
    assert_eq!(too_large(format!("{base}{}", line.repeat(200))), ("m-lines", limits::MAX_MEDIA));
    assert_eq!(too_large(base.replace("abcd", &"u".repeat(300))).1, limits::MAX_ICE_CREDENTIAL);
}

#[test]
fn lists_stop_at_their_limit() {
    let mut lines = String::new();
    for i in 0..300_u32 {
        let pt = 35 + i % 90;
        lines += &format!("a=x-{i}:y\r\na=ssrc:{i} cname:c\r\na=ssrc-group:FID {i} {}\r\n", i + 1);
        lines += &format!("a=extmap:{i} urn:x:{i}\r\na=rid:r{i} send\r\nb=AS:{i}\r\na=rtcp-fb:111 fb{i}\r\n");
        lines += &format!("a=candidate:{i} 1 udp 1 192.0.2.1 9 typ host\r\na=rtpmap:{pt} x/90000\r\n");
    }
    let all: Vec<String> = (35..128).map(|pt: u8| pt.to_string()).collect();
    let text = audio_with(&lines).replace("SAVPF 111", &format!("SAVPF 111 {}", all.join(" ")));
    let d = read(&text);
    let m = &d.media[0];
    assert_eq!(d.transport().candidates.len(), limits::MAX_CANDIDATES);
    assert_eq!(m.payloads.len(), limits::MAX_PAYLOADS);
    assert_eq!(m.payloads[0].feedback.len(), limits::MAX_FEEDBACK);
    assert_eq!(m.extensions.len(), limits::MAX_EXTENSIONS);
    assert_eq!(m.ssrcs.len(), limits::MAX_SSRCS);
    assert_eq!(m.ssrc_groups.len(), limits::MAX_SSRC_GROUPS);
    assert_eq!(m.rids.len(), limits::MAX_RIDS);
    assert_eq!(m.bandwidth.len(), limits::MAX_BANDWIDTHS);
    assert_eq!(m.unknown.len(), limits::MAX_UNKNOWN);
    assert_eq!(m.send_rids().len(), limits::MAX_SUBSTREAMS);
    assert!(m.media_ssrcs().len() <= limits::MAX_SUBSTREAMS);
}

#[test]
fn every_fixture_reads_the_same_with_lf() {
    for name in common::OFFERS {
        let text = fixture("offers", name);
        assert_eq!(read(&text), read(&text.replace('\r', "")), "{name}");
    }
}

/// A description must not become many times as long as it came.
#[test]
fn what_is_said_once_does_not_count_for_megabytes() {
    let payloads: Vec<String> = (0..64).map(|n| (n + 64).to_string()).collect();
    let rtpmaps: String = payloads.iter().map(|pt| format!("a=rtpmap:{pt} VP8/90000\r\n")).collect();
    let line = |feedback: &str| {
        format!("m=video 9 UDP/TLS/RTP/SAVPF {}\r\n{}{rtpmaps}{feedback}", payloads.join(" "), transport())
    };
    let long = format!("a=rtcp-fb:* {}\r\n", "x".repeat(65));
    let read_one = read(&format!("{HEAD}{}", line(&long)));
    assert!(read_one.media[0].payloads.iter().all(|p| p.feedback.is_empty()), "a long one is dropped");
    let many: String = (0..16).map(|n| format!("a=rtcp-fb:* {n:064}\r\n")).collect();
    assert_eq!(read(&format!("{HEAD}{}", line(&many))).media[0].payloads[63].feedback.len(), 16);
    let too_large =
        Error::TooLarge { what: "bytes of attributes that are shared", limit: limits::MAX_SHARED_BYTES };
    let three = format!("{HEAD}{}", line(&many).repeat(3));
    assert_eq!(Description::parse(&three).unwrap_err(), too_large);
    let uris: String = (1..=14).map(|n| format!("a=extmap:{n} urn:{n:0240}\r\n")).collect();
    let lines: String =
        (0..60).map(|n| format!("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:{n}\r\n{}", transport())).collect();
    assert_eq!(Description::parse(&format!("{HEAD}{uris}{lines}")).unwrap_err(), too_large);
    // What a browser might say.
    let uris = "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n";
    assert_eq!(read(&format!("{HEAD}{uris}{lines}")).media.len(), 60);
}
