//! Descriptions passed on to another peer, compared with what Janus 1.1.2's videocall passes on.

mod common;

use common::{fixture, local_of, offer};
use portunus_sdp::{Description, Kind, Plan, SentLayers, ext, negotiate, write};

/// The lines of every m-line, without the argued differences.
fn sections(text: &str) -> Vec<Vec<String>> {
    let argued = |line: &str| {
        // Janus numbers retransmission payload types anew, we keep the offered ones.
        let rtx = line.contains(" rtx/90000") || line.contains(" apt=");
        // Janus does not know the msid of ssrc lines.
        let msid = line.starts_with("a=msid:");
        // Janus replaces version 0.
        rtx || msid || line.starts_with("o=mozilla")
    };
    let mut sections: Vec<Vec<String>> = Vec::new();
    for line in text.lines() {
        if sections.is_empty() || line.starts_with("m=") {
            sections.push(Vec::new());
        }
        // One channel is the default: "/1" says nothing.
        let line = line.strip_suffix("/8000/1").map_or(line.to_owned(), |l| format!("{l}/8000"));
        let line = if line.starts_with("m=video") { "m=video".to_owned() } else { line };
        if !argued(&line) {
            sections.last_mut().unwrap().push(line);
        }
    }
    sections
}

fn sorted(mut sections: Vec<Vec<String>>) -> Vec<Vec<String>> {
    sections.iter_mut().for_each(|s| s.sort());
    sections
}

#[test]
fn offers_are_passed_on_as_janus_does() {
    for name in ["chromium-av-data", "chromium-simulcast-rid", "firefox-av-data", "legacy-simulcast"] {
        let janus = fixture("janus-1.1.2", &format!("relayed-{name}"));
        let ours = write(&Plan::relay(&offer(name), Kind::Offer), &local_of(&janus));
        for (a, b) in sorted(sections(&ours)).iter().zip(&sorted(sections(&janus))) {
            assert_eq!(a, b, "{name}");
        }
        assert_eq!(sections(&ours).len(), sections(&janus).len());
    }
}

#[test]
fn chromiums_lines_keep_their_order() {
    for name in ["chromium-av-data", "chromium-simulcast-rid"] {
        let janus = fixture("janus-1.1.2", &format!("relayed-{name}"));
        let ours = write(&Plan::relay(&offer(name), Kind::Offer), &local_of(&janus));
        assert_eq!(sections(&ours), sections(&janus));
    }
}

#[test]
fn a_relayed_offer_reads_like_the_original() {
    for name in common::OFFERS {
        let original = offer(name);
        let plan = Plan::relay(&original, Kind::Offer);
        let text = write(&plan, &common::local(portunus_sdp::Setup::ActPass, 8));
        let read = Description::parse(&text).unwrap();
        for (a, b) in original.media.iter().zip(&read.media) {
            assert_eq!(
                (&a.kind, &a.mid, &a.payloads, a.direction),
                (&b.kind, &b.mid, &b.payloads, b.direction)
            );
            assert_eq!((&a.bandwidth, &a.unknown), (&b.bandwidth, &b.unknown));
            assert!(b.rids.is_empty());
        }
        assert_eq!(read.transport().ufrag, "Uf2a");
    }
}

#[test]
fn refusals_are_passed_on() {
    let mut answer = Description::parse(&fixture("peer-answers", "chromium-answer-vp8-opus")).unwrap();
    answer.media[1].port = 0;
    let plan = Plan::relay(&answer, Kind::Answer);
    assert_eq!(plan.media.iter().map(|m| m.accepted).collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn a_peer_that_sends_layers_is_asked_for_them_though_the_other_knows_nothing_of_them() {
    let offer = offer("chromium-simulcast-rid");
    let layers = SentLayers::of(&offer);
    assert_eq!(layers.len(), 1);
    let passed_on = write(&Plan::relay(&offer, Kind::Offer), &common::local(portunus_sdp::Setup::Active, 8));
    let answer = Description::parse(&passed_on.replace("a=sendonly", "a=recvonly")).unwrap();
    let plain = Plan::relay(&answer, Kind::Answer);
    assert!(plain.media.iter().all(|m| m.rids.is_empty()));
    let plan = plain.with_layers(&layers);
    let video = plan.by_mid(&layers[0].mid).unwrap();
    assert_eq!(video.rids, layers[0].rids);
    let text = write(&plan, &common::local(portunus_sdp::Setup::Active, 8));
    let wanted = format!("a=simulcast:recv {}\r\n", video.rids.join(";"));
    assert!(
        text.contains(&wanted) && text.contains("urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"),
        "{text}"
    );
    let agreed = negotiate(&offer, &plan);
    let agreed = agreed.iter().find(|line| line.mid == video.mid).unwrap();
    assert_eq!((agreed.rids.len(), agreed.extension(ext::RID).is_some()), (video.rids.len(), true));
    // Where nothing is received, nothing is asked for.
    let mut refused = Plan::relay(&answer, Kind::Answer);
    refused.media.iter_mut().for_each(portunus_sdp::PlanMedia::reject);
    assert!(refused.with_layers(&layers).media.iter().all(|m| m.rids.is_empty() && m.extensions.is_empty()));
}
