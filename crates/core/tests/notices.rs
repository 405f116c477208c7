//! What event handlers are told of a call, and in which order.

mod common;

use common::{Rig, WS, sdp};
use portunus_core::Settings;
use portunus_plugin::report::{LineReport, SelectedPair, SinkReport, SourceReport, Traffic};
use portunus_plugin::{MediaEvent, Value, json};
use portunus_sdp::MediaKind;
use std::time::Duration;

fn told() -> Settings {
    Settings { broadcast: true, ..Settings::default() }
}

fn notices(rig: &mut Rig) -> Vec<String> {
    let lines = rig.take().into_iter();
    lines.filter_map(|l| l.strip_prefix("notify ").map(str::to_owned)).collect()
}

/// What is told, with long descriptions cut off.
fn heads(rig: &mut Rig) -> Vec<String> {
    let cut = |l: String| l.find(r#","sdp""#).map(|at| l[..at].to_owned()).unwrap_or(l);
    notices(rig).into_iter().map(cut).collect()
}

fn offer(rig: &mut Rig, session: u64, handle: u64) {
    rig.message(session, handle, "answer", json!({"type": "offer", "sdp": sdp::offer(&["0"])}));
    let exchange = rig.negotiations.iter().filter_map(|n| n.exchange).next_back().expect("an exchange");
    rig.media(handle, MediaEvent::Local { exchange, transport: sdp::local() });
}

fn path(kind: &'static str) -> MediaEvent {
    MediaEvent::Path(Box::new(SelectedPair {
        local: "192.0.2.1:10000".parse().unwrap(),
        remote: "192.0.2.9:5000".parse().unwrap(),
        local_kind: "host",
        remote_kind: kind,
        transport: "udp",
    }))
}

fn line(mindex: u16, kind: MediaKind, codec: Option<&'static str>) -> LineReport {
    let traffic = Traffic { packets: 3, bytes: 300, last_second: 100 };
    LineReport {
        mid: mindex.to_string(),
        mindex,
        kind,
        codec,
        clock_rate: if codec == Some("vp8") { 90_000 } else { 48_000 },
        nacks: true,
        nack_queue: Duration::from_millis(200),
        sources: vec![SourceReport {
            ssrc: Some(5),
            traffic,
            quality: 98,
            media_quality: 99,
            ..SourceReport::default()
        }],
        sink: Some(SinkReport {
            ssrc: 7,
            traffic,
            quality: 98,
            round_trip: Some(Duration::from_millis(12)),
            ..SinkReport::default()
        }),
    }
}

#[test]
fn a_call_is_told_step_by_step() {
    let (mut rig, session, handle) = Rig::attached_with(told());
    rig.take();
    offer(&mut rig, session, handle);
    assert_eq!(
        heads(&mut rig),
        [
            r#"8 None {"owner":"remote","jsep":{"type":"offer""#,
            r#"16 Some(1) {"ice":"gathering","stream_id":1,"component_id":1}"#,
            r#"16 Some(2) {"local-candidate":"1 1 udp 2015363327 192.0.2.7 10000 typ host","stream_id":1,"component_id":0}"#,
            r#"8 None {"owner":"local","jsep":{"type":"answer""#,
        ]
    );
    rig.media(handle, path("prflx"));
    rig.media(handle, MediaEvent::Handshake { done: false, retransmissions: 0 });
    rig.media(handle, MediaEvent::Handshake { done: true, retransmissions: 2 });
    rig.media(handle, MediaEvent::Up);
    assert_eq!(
        heads(&mut rig),
        [
            r#"16 Some(3) {"remote-candidate":"remote1 1 udp 1845501695 192.0.2.9 5000 typ prflx raddr 192.0.2.9 rport 5000","stream_id":1,"component_id":1}"#,
            r#"16 Some(1) {"ice":"connecting","stream_id":1,"component_id":1}"#,
            r#"16 Some(4) {"selected-pair":"192.0.2.1:10000 [host,udp] <-> 192.0.2.9:5000 [prflx,udp]","candidates":{"local":{"address":"192.0.2.1","port":10000,"type":"host","transport":"udp","family":4},"remote":{"address":"192.0.2.9","port":5000,"type":"prflx","transport":"udp","family":4}},"stream_id":1,"component_id":1}"#,
            r#"16 Some(1) {"ice":"connected","stream_id":1,"component_id":1}"#,
            r#"16 Some(1) {"ice":"ready","stream_id":1,"component_id":1}"#,
            r#"16 Some(5) {"dtls":"trying","stream_id":1,"component_id":1,"retransmissions":0}"#,
            r#"16 Some(5) {"dtls":"connected","stream_id":1,"component_id":1,"retransmissions":2}"#,
            r#"16 Some(6) {"connection":"webrtcup"}"#,
        ]
    );
    rig.media(handle, path("host"));
    assert_eq!(heads(&mut rig).len(), 1, "only the pair is another");
}

#[test]
fn trickled_candidates_begin_the_checks() {
    let (mut rig, session, handle) = Rig::attached_with(told());
    offer(&mut rig, session, handle);
    rig.take();
    for port in [5000, 5001] {
        let candidate = format!("candidate:1 1 udp 2122260223 192.0.2.9 {port} typ host");
        let body = json!({"janus": "trickle", "transaction": "t", "candidate": {"sdpMLineIndex": 0, "candidate": candidate}});
        rig.at(session, handle, body);
    }
    assert_eq!(
        heads(&mut rig),
        [
            r#"16 Some(3) {"remote-candidate":"1 1 udp 2122260223 192.0.2.9 5000 typ host","stream_id":1,"component_id":1}"#,
            r#"16 Some(1) {"ice":"connecting","stream_id":1,"component_id":1}"#,
            r#"16 Some(3) {"remote-candidate":"1 1 udp 2122260223 192.0.2.9 5001 typ host","stream_id":1,"component_id":1}"#,
        ]
    );
}

#[test]
fn the_last_statistics_come_before_the_end() {
    let (mut rig, session, handle) = Rig::attached_with(told());
    offer(&mut rig, session, handle);
    rig.media(handle, MediaEvent::Up);
    rig.take();
    rig.at(session, handle, json!({"janus": "hangup", "transaction": "h"}));
    assert_eq!(heads(&mut rig), Vec::<String>::new());
    rig.media(handle, MediaEvent::Stats(vec![line(0, MediaKind::Audio, Some("opus"))]));
    rig.media(handle, MediaEvent::Hangup { reason: "Janus API".into() });
    assert_eq!(
        heads(&mut rig),
        [
            r#"32 Some(3) {"mid":"0","mindex":0,"media":"audio","codec":"opus","base":48000,"rtt":12,"lost":0,"lost-by-remote":0,"jitter-local":0,"jitter-remote":0,"in-link-quality":98,"in-media-link-quality":99,"out-link-quality":98,"out-media-link-quality":98,"packets-received":3,"packets-sent":3,"bytes-received":300,"bytes-sent":300,"bytes-received-lastsec":100,"bytes-sent-lastsec":100,"nacks-received":0,"nacks-sent":0,"retransmissions-received":0}"#,
            r#"16 Some(6) {"connection":"hangup","reason":"Janus API"}"#,
        ]
    );
}

#[test]
fn statistics_come_one_by_one_or_all_together() {
    let simulcast = || {
        let mut line = line(1, MediaKind::Video, Some("vp8"));
        line.sources.push(SourceReport { ssrc: Some(6), ..SourceReport::default() });
        line.sources.push(SourceReport::default());
        line
    };
    let lines = || vec![line(0, MediaKind::Audio, Some("opus")), simulcast(), line(2, MediaKind::Data, None)];
    let media = |event: &Value| event["media"].as_str().unwrap().to_owned();
    for combined in [false, true] {
        let (mut rig, session, handle) =
            Rig::attached_with(Settings { combine_media_stats: combined, ..told() });
        offer(&mut rig, session, handle);
        rig.media(handle, MediaEvent::Up);
        rig.take();
        rig.media(handle, MediaEvent::Stats(lines()));
        let bodies = notices(&mut rig).into_iter().map(|l| {
            serde_json::from_str::<Value>(l.strip_prefix("32 Some(3) ").expect("statistics")).unwrap()
        });
        let bodies: Vec<Value> = bodies.collect();
        let bodies = if combined { bodies[0].as_array().unwrap().clone() } else { bodies };
        let names: Vec<_> = bodies.iter().map(media).collect();
        assert_eq!(names, ["audio", "video", "video-sim1", "video-sim2", "data"]);
        assert!(bodies[2].get("rtt").is_none() && bodies[1].get("rtt").is_some());
        assert_eq!(
            bodies[4].to_string(),
            r#"{"mid":"2","mindex":2,"media":"data","packets-received":3,"packets-sent":3,"bytes-received":300,"bytes-sent":300}"#
        );
    }
}

#[test]
fn the_end_of_a_session_is_told_before_that_of_its_handles() {
    let (mut rig, session, _) = Rig::attached_with(told());
    rig.take();
    rig.ask(WS, json!({"janus": "destroy", "transaction": "a", "session_id": session}));
    assert_eq!(
        heads(&mut rig),
        [r#"1 None {"name":"destroyed"}"#, r#"2 None {"name":"detached","plugin":"janus.plugin.script"}"#]
    );
    let (mut rig, ..) = Rig::attached_with(told());
    rig.take();
    rig.pass(Duration::from_secs(70));
    let told: Vec<_> = heads(&mut rig).into_iter().filter(|l| !l.starts_with("256")).collect();
    assert_eq!(
        told,
        [r#"2 None {"name":"detached","plugin":"janus.plugin.script"}"#, r#"1 None {"name":"timeout"}"#]
    );
}

#[test]
fn how_much_there_is_is_told_every_fifteen_seconds() {
    let (mut rig, session, handle) = Rig::attached_with(told());
    offer(&mut rig, session, handle);
    rig.media(handle, MediaEvent::Up);
    rig.take();
    rig.pass(Duration::from_secs(31));
    let updates: Vec<_> = heads(&mut rig).into_iter().filter(|l| l.starts_with("256")).collect();
    let update = r#"256 Some(1) {"status":"update","info":{"sessions":1,"handles":1,"peerconnections":1,"stats-period":1}}"#;
    assert_eq!(updates, [update, update]);
}
