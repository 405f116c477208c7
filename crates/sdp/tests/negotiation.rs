//! Answers in detail and what both sides agree on.

mod common;

use common::{local, offer};
use portunus_sdp::{
    AnswerDirections, AnswerOptions, Codec, Description, Direction, MediaKind, Plan, Setup, ext, negotiate,
    write,
};

const HEAD: &str = "v=0\r\no=- 11 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-ufrag:abcd\r\n\
                    a=ice-pwd:0123456789012345678901\r\n";

fn describe(media: &str) -> Description {
    let fingerprint = vec!["AB"; 32].join(":");
    Description::parse(&format!("{HEAD}a=fingerprint:sha-256 {fingerprint}\r\n{media}")).unwrap()
}

fn audio(pts: &str, lines: &str) -> Description {
    describe(&format!("m=audio 9 UDP/TLS/RTP/SAVPF {pts}\r\n{lines}"))
}

fn video(pts: &str, lines: &str) -> Description {
    describe(&format!("m=video 9 UDP/TLS/RTP/SAVPF {pts}\r\n{lines}"))
}

fn answer(d: &Description) -> Plan {
    Plan::answer(d, &AnswerOptions::default())
}

#[test]
fn audio_codecs_in_janus_order() {
    for (pts, lines, expected) in [
        ("0 111", "a=rtpmap:0 PCMU/8000\r\na=rtpmap:111 opus/48000/2\r\n", Some((111, Codec::Opus))),
        ("111", "a=rtpmap:111 OPUS/48000/2\r\n", Some((111, Codec::Opus))),
        ("111", "a=rtpmap:111 opus/16000/1\r\n", None),
        ("8 0", "a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n", Some((0, Codec::Pcmu))),
        ("8 0", "", Some((0, Codec::Pcmu))),
        ("103 104", "a=rtpmap:103 ISAC/16000\r\na=rtpmap:104 ISAC/32000\r\n", Some((104, Codec::Isac32))),
        ("100", "a=rtpmap:100 L16/48000/2\r\n", Some((100, Codec::L16At48))),
        ("111", "a=rtpmap:111 speex/16000\r\n", None),
        ("126", "a=rtpmap:126 telephone-event/8000\r\n", None),
    ] {
        let plan = answer(&audio(pts, lines));
        let chosen = plan.media[0].accepted.then(|| (plan.media[0].payloads[0].pt, plan.codec(0).unwrap()));
        assert_eq!(chosen, expected, "{lines}");
    }
}

#[test]
fn opus_parameters_kept_if_offered() {
    for (fmtp, expected) in [
        ("useinbandfec=1", Some("useinbandfec=1")),
        ("minptime=10;useinbandfec=1;stereo=1;usedtx=1", Some("useinbandfec=1;usedtx=1;stereo=1")),
        ("sprop-stereo=1;maxaveragebitrate=20000", Some("stereo=1")),
        ("stereo=0; useinbandfec=0", None),
        ("minptime=10; usedtx=1 ", Some("usedtx=1")),
    ] {
        let d = audio("111", &format!("a=rtpmap:111 opus/48000/2\r\na=fmtp:111 {fmtp}\r\n"));
        assert_eq!(answer(&d).media[0].payloads[0].fmtp.as_deref(), expected);
    }
    let d = audio("111", "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1;usedtx=1\r\n");
    let options = AnswerOptions { opus_fec: false, ..AnswerOptions::default() };
    assert_eq!(Plan::answer(&d, &options).media[0].payloads[0].fmtp.as_deref(), Some("usedtx=1"));
}

#[test]
fn red_before_and_telephone_event_behind_the_codec() {
    let d = offer("chromium-av-data");
    let options = AnswerOptions { opus_red: true, telephone_event: true, ..AnswerOptions::default() };
    let plan = Plan::answer(&d, &options);
    let types: Vec<(u8, Option<&str>)> =
        plan.media[0].payloads.iter().map(|p| (p.pt, p.fmtp.as_deref())).collect();
    assert_eq!(types, [(63, Some("111/111")), (111, Some("useinbandfec=1")), (110, None)]);
    assert!(plan.media[0].has_red());
    let pcma = AnswerOptions { audio_codecs: vec!["pcma".into()], ..options };
    let types: Vec<u8> = Plan::answer(&d, &pcma).media[0].payloads.iter().map(|p| p.pt).collect();
    assert_eq!(types, [8, 126]);
}

#[test]
fn video_profiles() {
    let h264 = |pt: u8, fmtp: &str| format!("a=rtpmap:{pt} H264/90000\r\na=fmtp:{pt} {fmtp}\r\n");
    let both = h264(45, "packetization-mode=0;profile-level-id=42e01f")
        + &h264(46, "packetization-mode=1;profile-level-id=42E01F");
    let vp9 = "a=rtpmap:45 VP9/90000\r\na=fmtp:45 profile-id=2\r\na=rtpmap:46 VP9/90000\r\n".to_owned();
    for (lines, h264, vp9, expected) in [
        (both.clone(), None, None, Some((45, "packetization-mode=0;profile-level-id=42e01f"))),
        (both.clone(), Some("42e01f"), None, Some((46, "profile-level-id=42e01f;packetization-mode=1"))),
        (both, Some("640032"), None, None),
        (h264(45, "packetization-mode=0;profile-level-id=42e01f"), Some("42e01f"), None, None),
        (
            h264(45, "profile-level-id=42e01f"),
            Some("42e01f"),
            None,
            Some((45, "profile-level-id=42e01f;packetization-mode=1")),
        ),
        (vp9.clone(), None, None, Some((45, "profile-id=2"))),
        (vp9.clone(), None, Some("0"), Some((46, "profile-id=0"))),
        (vp9, None, Some("1"), None),
    ] {
        let d = video("45 46", &lines);
        let options = AnswerOptions {
            h264_profile: h264.map(str::to_owned),
            vp9_profile: vp9.map(str::to_owned),
            ..AnswerOptions::default()
        };
        let plan = Plan::answer(&d, &options);
        let chosen = plan.media[0].payloads.first().map(|p| (p.pt, p.fmtp.as_deref().unwrap_or_default()));
        assert_eq!(chosen, expected, "{lines} {options:?}");
    }
}

#[test]
fn a_list_of_codecs_is_tried_in_its_order() {
    let d = offer("chromium-av-data");
    let codec = |names: &[&str]| {
        let video_codecs = names.iter().map(|n| (*n).to_owned()).collect();
        Plan::answer(&d, &AnswerOptions { video_codecs, ..AnswerOptions::default() }).codec(1)
    };
    assert_eq!(codec(&["h265", "av1", "vp8"]), Some(Codec::Av1));
    assert_eq!(codec(&["AV1"]), Some(Codec::Av1));
    assert_eq!(codec(&["h265"]), None);
    assert_eq!(codec(&["nonsense"]), None);
}

#[test]
fn retransmissions_need_offered_nacks() {
    let rtx = |feedback: &str| {
        let map = "a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n";
        answer(&video("96 97", &format!("{map}{feedback}"))).media[0].payloads[0].rtx
    };
    assert_eq!(rtx(""), None);
    assert_eq!(rtx("a=rtcp-fb:96 goog-remb\r\n"), None);
    assert_eq!(rtx("a=rtcp-fb:96 nack\r\n"), Some(97));
    assert_eq!(rtx("a=rtcp-fb:96 nack pli\r\n"), Some(97));
    assert_eq!(rtx("a=rtcp-fb:* nack\r\n"), Some(97));
}

#[test]
fn directions() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    let offered = |d: Direction| {
        let line =
            |kind: &str| format!("m={kind} 9 UDP/TLS/RTP/SAVPF 0 96\r\na=rtpmap:96 VP8/90000\r\na={d}\r\n");
        describe(&[line("audio"), line("video"), line("audio"), line("video")].concat())
    };
    for (rule, direction, expected) in [
        (AnswerDirections::Echo, SendRecv, [SendRecv; 4]),
        (AnswerDirections::Echo, SendOnly, [RecvOnly; 4]),
        (AnswerDirections::Echo, RecvOnly, [Inactive, Inactive, SendOnly, SendOnly]),
        (AnswerDirections::Echo, Inactive, [Inactive; 4]),
        (AnswerDirections::Mirror, RecvOnly, [SendOnly; 4]),
        (AnswerDirections::Receive, SendRecv, [RecvOnly; 4]),
        (AnswerDirections::Receive, RecvOnly, [Inactive; 4]),
    ] {
        let options = AnswerOptions { directions: rule, ..AnswerOptions::default() };
        let plan = Plan::answer(&offered(direction), &options);
        assert_eq!(
            plan.media.iter().map(|m| m.direction).collect::<Vec<_>>(),
            expected,
            "{rule:?} {direction}"
        );
    }
}

#[test]
fn extensions_keep_their_id_and_mirror_their_direction() {
    let lines = format!(
        "a=extmap:1/sendonly {}\r\na=extmap:2/recvonly {}\r\na=extmap:3/sendrecv {}\r\na=extmap:4 urn:strange\r\n\
         a=extmap:200/inactive {}\r\na=extmap:5 {}\r\n",
        ext::MID,
        ext::AUDIO_LEVEL,
        ext::ABS_SEND_TIME,
        ext::RID,
        ext::DEPENDENCY_DESCRIPTOR
    );
    let plan = answer(&audio("0", &lines));
    let found: Vec<(u8, Option<Direction>)> =
        plan.media[0].extensions.iter().map(|e| (e.id, e.direction)).collect();
    let expected = [
        (1, Some(Direction::RecvOnly)),
        (2, Some(Direction::SendOnly)),
        (3, None),
        (200, Some(Direction::Inactive)),
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_dependency_descriptor_is_for_av1_and_vp9() {
    let d = offer("chromium-simulcast-rid");
    for (codec, expected) in [("vp8", None), ("h264", None), ("vp9", Some(12)), ("av1", Some(12))] {
        let options = AnswerOptions { video_codecs: vec![codec.to_owned()], ..AnswerOptions::default() };
        let agreed = negotiate(&d, &Plan::answer(&d, &options));
        assert_eq!(agreed[1].extension(ext::DEPENDENCY_DESCRIPTOR), expected, "{codec}");
    }
}

#[test]
fn transport_cc_follows_the_extension() {
    let d = offer("chromium-av-data");
    for (with, expected) in [(true, true), (false, false)] {
        let extensions = if with { vec![ext::TRANSPORT_WIDE_CC] } else { vec![ext::MID] };
        let options = AnswerOptions {
            audio_extensions: extensions.clone(),
            video_extensions: extensions,
            ..AnswerOptions::default()
        };
        let agreed = negotiate(&d, &Plan::answer(&d, &options));
        assert_eq!((agreed[0].payloads[0].twcc, agreed[1].payloads[0].twcc), (expected, expected));
    }
}

#[test]
fn data_m_lines() {
    let line = |mid: u8| {
        format!("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:{mid}\r\na=sctp-port:6000\r\n")
    };
    let d = describe(&(line(0) + &line(1)));
    let plan = answer(&d);
    assert_eq!(plan.media.iter().map(|m| m.accepted).collect::<Vec<_>>(), [true, false]);
    let agreed = negotiate(&d, &plan);
    assert_eq!((agreed[0].sctp_port, agreed[1].active), (Some(6000), false));
    let text = write(&plan, &local(Setup::Active, 2));
    assert!(text.contains("a=sctp-port:5000\r\n") && !text.contains("a=ssrc") && !text.contains("rtcp-mux"));
    assert!(text.contains("m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"));
    let legacy = describe("m=application 9 DTLS/SCTP 5001\r\na=sctpmap:5001 webrtc-datachannel 1024\r\n");
    let text = write(&answer(&legacy), &local(Setup::Active, 1));
    assert!(text.contains("m=application 9 DTLS/SCTP 5001\r\n"));
    assert!(text.contains("a=sctpmap:5001 webrtc-datachannel 16\r\n"));
    let without = AnswerOptions { data: false, ..AnswerOptions::default() };
    assert!(!Plan::answer(&legacy, &without).media[0].accepted);
}

#[test]
fn rejected_m_lines() {
    let d = describe(
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 speex/8000\r\nm=video 0 UDP/TLS/RTP/SAVPF 96\r\n\
         a=rtpmap:96 VP8/90000\r\nm=text 9 UDP/TLS/RTP/SAVPF 98\r\nm=video 0 UDP/TLS/RTP/SAVPF 96\r\n\
         a=rtpmap:96 VP8/90000\r\na=bundle-only\r\n",
    );
    let plan = answer(&d);
    assert_eq!(plan.media.iter().map(|m| m.accepted).collect::<Vec<_>>(), [false, false, false, true]);
    let text = write(&plan, &local(Setup::Active, 4));
    // The first one keeps its port and the transport's lines, as with Janus.
    assert!(text.contains("a=group:BUNDLE 0 3\r\n"));
    assert!(text.contains(
        "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 192.0.2.2\r\na=inactive\r\na=mid:0\r\na=rtcp-mux\r\n"
    ));
    let refused = "c=IN IP4 192.0.2.2\r\na=inactive\r\na=mid:1\r\nm=text 0 UDP/TLS/RTP/SAVPF 0\r\n";
    assert!(text.contains(&format!("m=video 0 UDP/TLS/RTP/SAVPF 0\r\n{refused}")));
    assert!(text.contains("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"));
    let agreed = negotiate(&d, &plan);
    assert_eq!(agreed.iter().map(|m| m.active).collect::<Vec<_>>(), [false, false, false, true]);
    assert_eq!(agreed[2].kind, MediaKind::Other("text".to_owned()));
}

#[test]
fn a_rejected_first_video_line_leaves_the_transport_to_the_next() {
    let d = describe(
        "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n",
    );
    let options = AnswerOptions { video_codecs: vec!["h265".to_owned()], ..AnswerOptions::default() };
    let text = write(&Plan::answer(&d, &options), &local(Setup::Active, 2));
    assert!(text.contains("a=group:BUNDLE 1\r\n") && text.contains("m=video 0 UDP/TLS/RTP/SAVPF 0\r\n"));
    assert_eq!(text.matches("a=ice-ufrag:").count(), 1);
}

#[test]
fn negotiated_values_of_an_answer() {
    let d = offer("chromium-av-data");
    let plan = Plan::answer(&d, &AnswerOptions { opus_red: true, ..AnswerOptions::default() });
    let agreed = negotiate(&d, &plan);
    assert!(agreed.iter().all(|m| m.active && m.receive && m.send));
    let [audio, video, data] = agreed.as_slice() else { panic!() };
    assert_eq!((audio.codec(), audio.payloads[0].codec, audio.payloads[0].pt), (Some(Codec::Opus), None, 63));
    assert_eq!(audio.remote_ssrcs, [(3_552_109_445, None)]);
    let vp8 = video.payload(97).unwrap();
    assert_eq!((vp8.pt, vp8.codec), (96, Some(Codec::Vp8)));
    assert!(vp8.nack && vp8.pli && vp8.fir && vp8.remb && vp8.twcc);
    assert_eq!(video.extension(ext::MID), Some(4));
    assert_eq!(video.mid, "1");
    assert_eq!((data.sctp_port, data.max_message_size), (Some(5000), Some(262_144)));
    // aiortc offers no ccm fir: we write it as Janus does, but do not use it.
    let d = offer("aiortc-av-data");
    let agreed = negotiate(&d, &answer(&d));
    assert!(agreed[1].payloads[0].nack && !agreed[1].payloads[0].fir && !agreed[1].payloads[0].twcc);
}

#[test]
fn setup_of_answers() {
    for (offered, prefer_passive, expected) in [
        (Some(Setup::ActPass), false, Setup::Active),
        (Some(Setup::ActPass), true, Setup::Passive),
        (Some(Setup::Passive), true, Setup::Active),
        (Some(Setup::Passive), false, Setup::Active),
        (Some(Setup::Active), false, Setup::Passive),
        (None, false, Setup::Active),
        (None, true, Setup::Passive),
    ] {
        assert_eq!(Setup::answer_to(offered, prefer_passive), expected, "{offered:?} {prefer_passive}");
    }
}

#[test]
fn full_trickle_lite_and_ipv6() {
    let d = offer("chromium-data-only");
    let mut local = local(Setup::Active, 1);
    local.full_trickle = true;
    local.lite = true;
    local.address = "2001:db8::1".parse().unwrap();
    let text = write(&answer(&d), &local);
    assert!(!text.contains("candidate"));
    assert!(text.contains("a=ice-lite\r\n") && text.contains("c=IN IP6 2001:db8::1\r\n"));
}
