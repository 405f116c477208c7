//! Our own offers: byte by byte those a real Janus 1.1.2 made for videoroom subscribers, and their renegotiation.

mod common;

use common::{assert_same_lines, fixture, local, local_of};
use portunus_sdp::{
    Codec, Description, Direction, Extension, Msid, OfferCodec, OfferMedia, Origin, Plan, Setup, ext,
    negotiate, write,
};

fn extension(id: u8, uri: &str) -> Extension {
    Extension { id, uri: uri.to_owned(), direction: None }
}

fn msid(stream: &str, track: &str) -> Option<Msid> {
    Some(Msid { stream: stream.to_owned(), track: track.to_owned() })
}

/// What a subscriber of one audio, one video and one data stream is offered.
fn subscriber(audio: OfferCodec, video: OfferCodec) -> Vec<OfferMedia> {
    let audio_extensions =
        vec![extension(1, ext::AUDIO_LEVEL), extension(3, ext::TRANSPORT_WIDE_CC), extension(4, ext::MID)];
    let video_extensions = vec![
        extension(2, ext::ABS_SEND_TIME),
        extension(3, ext::TRANSPORT_WIDE_CC),
        extension(4, ext::MID),
        extension(12, ext::PLAYOUT_DELAY),
        extension(13, ext::VIDEO_ORIENTATION),
    ];
    vec![
        OfferMedia {
            msid: msid("77", "0"),
            extensions: audio_extensions,
            ..OfferMedia::rtp(audio, Direction::SendOnly)
        },
        OfferMedia {
            msid: msid("77", "1"),
            extensions: video_extensions,
            ..OfferMedia::rtp(video, Direction::SendOnly)
        },
        OfferMedia::data(Direction::SendOnly),
    ]
}

#[test]
fn subscriber_offers_are_those_of_janus() {
    let opus = || OfferCodec { fmtp: Some("useinbandfec=1".to_owned()), ..OfferCodec::new(Codec::Opus) };
    for (variant, audio, video) in [
        ("vp8-opus", opus(), OfferCodec::new(Codec::Vp8)),
        ("vp9-opus", opus(), OfferCodec::with_profile(Codec::Vp9, Some("0"))),
        ("av1-opus", opus(), OfferCodec::new(Codec::Av1)),
        ("h264-pcma", OfferCodec::new(Codec::Pcma), OfferCodec::with_profile(Codec::H264, Some("42001f"))),
    ] {
        let janus = fixture("janus-1.1.2", &format!("subscriber-offer-{variant}"));
        let line = |start: &str| janus.lines().find_map(|l| l.strip_prefix(start)).unwrap();
        let id = line("o=- ").split(' ').next().unwrap().parse().unwrap();
        let mut plan = Plan::offer(Origin::new(id, 1), line("s="), subscriber(audio, video));
        // 1.4.2 offers transport-wide-cc on audio too; 1.1.2 has its rtcp-fb there, but not the extension.
        plan.media[0].extensions.retain(|e| e.uri != ext::TRANSPORT_WIDE_CC);
        assert_same_lines(variant, &write(&plan, &local_of(&janus)), &janus);
    }
}

#[test]
fn payload_types_never_collide() {
    let codecs = Codec::VIDEO.iter().map(|c| OfferCodec::new(*c)).collect();
    let video = OfferMedia { codecs, ..OfferMedia::rtp(OfferCodec::new(Codec::Vp8), Direction::SendRecv) };
    let audio = OfferMedia {
        codecs: Codec::AUDIO.iter().map(|c| OfferCodec::new(*c)).collect(),
        opus_red: true,
        telephone_event: true,
        ..OfferMedia::rtp(OfferCodec::new(Codec::Opus), Direction::SendRecv)
    };
    let plan = Plan::offer(Origin::new(1, 1), "x", vec![audio, video]);
    for media in &plan.media {
        let mut types: Vec<u8> = media.payloads.iter().flat_map(|p| [Some(p.pt), p.rtx]).flatten().collect();
        let all = types.len();
        types.sort_unstable();
        types.dedup();
        assert_eq!(types.len(), all, "{:?}", media.payloads);
    }
    assert_eq!(plan.media[0].payloads[0].name, "red");
    assert_eq!(plan.media[0].payloads[0].fmtp.as_deref(), Some("111/111"));
    assert_eq!(plan.media[0].payloads[0].pt, 120);
    assert_eq!(plan.codec(0), Some(Codec::Opus));
    assert_eq!(plan.media[0].payloads.last().unwrap().pt, 126);
}

#[test]
fn renegotiation_keeps_order_and_appends() {
    let vp8 = || OfferMedia::rtp(OfferCodec::new(Codec::Vp8), Direction::SendOnly);
    let opus = || OfferMedia::rtp(OfferCodec::new(Codec::Opus), Direction::SendOnly);
    let first = Plan::offer(Origin::new(9, 1), "VideoRoom 1", vec![opus(), vp8()]);
    let paused = OfferMedia { mid: Some("0".to_owned()), direction: Direction::Inactive, ..opus() };
    let named = OfferMedia { mid: Some("x".to_owned()), ..opus() };
    let second = first.next_offer(vec![paused, vp8(), named]);
    assert_eq!(second.origin, Origin::new(9, 2));
    let mids: Vec<&str> = second.media.iter().map(|m| m.mid.as_str()).collect();
    assert_eq!(mids, ["0", "1", "2", "x"]);
    assert_eq!(second.media[0].direction, Direction::Inactive);
    assert_eq!(second.media[1], first.media[1]);
    assert_eq!(first.next_offer(Vec::new()).media, first.media);
}

#[test]
fn a_mid_of_ones_own_is_not_taken_twice() {
    let data = |mid: Option<&str>| OfferMedia {
        mid: mid.map(str::to_owned),
        ..OfferMedia::data(Direction::SendRecv)
    };
    let plan = Plan::offer(Origin::new(1, 1), "x", vec![data(Some("1")), data(None), data(None)]);
    let mids: Vec<&str> = plan.media.iter().map(|m| m.mid.as_str()).collect();
    assert_eq!(mids, ["1", "2", "3"]);
}

#[test]
fn chromiums_answer_agrees_to_everything() {
    let opus = OfferCodec { fmtp: Some("useinbandfec=1".to_owned()), ..OfferCodec::new(Codec::Opus) };
    let plan = Plan::offer(Origin::new(1, 1), "x", subscriber(opus, OfferCodec::new(Codec::Vp8)));
    let answer = Description::parse(&fixture("peer-answers", "chromium-answer-vp8-opus")).unwrap();
    let agreed = negotiate(&answer, &plan);
    assert_eq!(agreed.len(), 3);
    assert!(agreed.iter().all(|m| m.active && m.send));
    assert!(!agreed[0].receive && !agreed[1].receive && agreed[2].receive);
    let video = &agreed[1];
    assert_eq!(
        (video.codec(), video.payloads[0].pt, video.payloads[0].rtx),
        (Some(Codec::Vp8), 96, Some(97))
    );
    let vp8 = &video.payloads[0];
    assert!(vp8.nack && vp8.pli && vp8.fir && vp8.remb && vp8.twcc);
    assert_eq!(video.extension(ext::PLAYOUT_DELAY), Some(12));
    assert_eq!(video.extension(ext::RID), None);
    assert_eq!(agreed[0].payloads[0].fmtp.as_deref(), Some("minptime=10;useinbandfec=1"));
    assert_eq!(agreed[2].sctp_port, Some(5000));
    assert_eq!(answer.transport().setup, Some(Setup::Active));
}

#[test]
fn an_offer_can_be_read_back() {
    let plan = Plan::offer(
        Origin::new(1, 1),
        "VideoRoom 5",
        subscriber(OfferCodec::new(Codec::Opus), OfferCodec::with_profile(Codec::H264, None)),
    );
    let text = write(&plan, &local(Setup::ActPass, 3));
    let read = Description::parse(&text).unwrap();
    assert_eq!(read.session_name, "VideoRoom 5");
    assert_eq!(read.media[1].payloads, plan.media[1].payloads);
    assert_eq!(read.media[1].extensions, plan.media[1].extensions);
    assert_eq!(read.media[1].media_ssrcs(), [(1_010, Some(1_011))]);
    assert_eq!(read.media[0].msid, plan.media[0].msid);
    assert_eq!(read.transport().setup, Some(Setup::ActPass));
}
