//! Descriptions for tests.

use portunus_plugin::{Description, Plan};
use portunus_sdp::{
    AnswerOptions, Candidate, Codec, Direction, LocalSsrc, LocalTransport, OfferCodec, OfferMedia, Origin,
    Setup,
};
use std::net::{IpAddr, Ipv4Addr};

/// An offer with one audio m-line per mid, written like a browser's.
pub fn offer(mids: &[&str]) -> String {
    description(mids, "actpass")
}

/// An answer to [`own_offer`].
pub fn answer() -> String {
    description(&["0"], "active")
}

fn description(mids: &[&str], setup: &str) -> String {
    let mut text = String::from("v=0\r\no=- 4611 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n");
    text += &format!("a=group:BUNDLE {}\r\n", mids.join(" "));
    for mid in mids {
        text += "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\n";
        text += "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n";
        text += &format!("a=fingerprint:sha-256 {}\r\n", ["AB"; 32].join(":"));
        text += &format!("a=setup:{setup}\r\na=mid:{mid}\r\na=sendrecv\r\na=rtpmap:111 opus/48000/2\r\n");
    }
    text
}

pub fn answer_to(offer: &Description) -> Plan {
    Plan::answer(offer, &AnswerOptions::default())
}

pub fn own_offer() -> Plan {
    let audio = OfferMedia::rtp(OfferCodec::new(Codec::Opus), Direction::SendRecv);
    Plan::offer(Origin::new(1, 1), "test", vec![audio])
}

/// What the media engine would tell of itself.
pub fn local() -> Box<LocalTransport> {
    Box::new(LocalTransport {
        ufrag: "ours".into(),
        pwd: "oursoursoursoursoursours".into(),
        fingerprint: ["CD"; 32].join(":"),
        setup: Setup::Active,
        lite: false,
        candidates: vec![candidate()],
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        end_of_candidates: true,
        full_trickle: false,
        ssrcs: vec![LocalSsrc { mindex: 0, ssrc: 1234, rtx: None }],
    })
}

pub fn candidate() -> Candidate {
    Candidate::parse("candidate:1 1 udp 2015363327 192.0.2.7 10000 typ host").unwrap()
}
