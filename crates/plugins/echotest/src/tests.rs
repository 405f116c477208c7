use super::*;
use portunus_plugin::media::{LayerCause, LayerChange};
use portunus_plugin::recording::RecordingNews;
use portunus_plugin::{Description, Effect};
use std::sync::Arc;
use std::time::Instant;

const HANDLE: u64 = 7;

fn places() -> Places {
    Places::new("/srv".as_ref(), &["/srv".into(), "/archive".into()], &[])
}

/// The plugin with one handle, and what it asks for as text.
struct Rig {
    plugin: EchoTest,
    h: HandleId,
    plan: Option<portunus_plugin::Plan>,
}

impl Rig {
    fn new() -> Self {
        let mut rig =
            Self { plugin: EchoTest::new(true, places()), h: HandleId::new(HANDLE).unwrap(), plan: None };
        let h = rig.h;
        rig.run(|p, cx| p.attach(cx, h).unwrap());
        rig
    }

    /// With a PeerConnection: what is offered, negotiated.
    fn connected(sdp: &str) -> Self {
        let mut rig = Self::new();
        rig.message(json!({}), Some(sdp));
        rig
    }

    fn run(&mut self, call: impl FnOnce(&mut EchoTest, &mut Cx)) -> Vec<String> {
        let mut cx = Cx::new(Instant::now(), std::time::Duration::ZERO);
        call(&mut self.plugin, &mut cx);
        let effects = cx.into_effects();
        effects.into_iter().map(|e| self.text(e)).collect()
    }

    fn message(&mut self, body: Value, sdp: Option<&str>) -> Vec<String> {
        let jsep = sdp.map(|sdp| RemoteJsep {
            kind: JsepKind::Offer,
            description: Arc::new(Description::parse(sdp).unwrap()),
            renegotiation: false,
            svc: portunus_plugin::Svc::None,
            e2ee: false,
            rids_high_first: true,
        });
        let body = body.as_object().unwrap().clone();
        let message = Message { transaction: "t".into(), body, jsep };
        let h = self.h;
        self.run(|p, cx| {
            let reply = p.message(cx, h, message);
            assert!(matches!(reply, Reply::Ack(Some("I'm taking my time!"))));
        })
    }

    fn media(&mut self, event: MediaEvent) -> Vec<String> {
        let h = self.h;
        self.run(|p, cx| p.media(cx, h, &event))
    }

    fn text(&mut self, effect: Effect) -> String {
        match effect {
            Effect::Push { transaction, data, jsep, .. } => {
                let mut text = format!("{} {data}", transaction.unwrap_or_else(|| "-".into()));
                if let Some(jsep) = jsep {
                    text += &format!(" {}", jsep.kind.as_str());
                    self.plan = Some(jsep.plan);
                }
                text
            }
            Effect::Route { source, sink } => {
                assert_eq!(source, sink);
                format!("route {}", sink.mid)
            }
            Effect::Unroute { sink } => format!("unroute {}", sink.mid),
            Effect::Select { sink, target } => {
                let fallback = target.fallback.as_millis();
                format!("select {} {}/{} {fallback}ms", sink.mid, target.spatial, target.temporal)
            }
            Effect::Record { source, recording } => {
                let (path, subject) = (recording.mjr.as_ref().unwrap().path(), &recording.subject);
                let red = subject.red.map_or(String::new(), |pt| format!(" red {pt}"));
                let e2ee = if subject.encrypted { " e2ee" } else { "" };
                format!("record {} {} {}{red}{e2ee}", source.mid, path.display(), subject.codec)
            }
            Effect::Withhold { source, withheld } => {
                format!("{} {}", if withheld { "withhold" } else { "let through" }, source.mid)
            }
            Effect::EndRecording { source } => format!("end recording {}", source.mid),
            Effect::Keyframe { source } => format!("keyframe {}", source.mid),
            Effect::Cap { bitrate, .. } => format!("cap {bitrate}"),
            Effect::PlayoutDelay { sink, delay } => {
                format!("delay {} {:?}", sink.mid, delay.map(|d| (d.min, d.max)))
            }
            Effect::Data { message, .. } => {
                let text = String::from_utf8_lossy(&message.payload).into_owned();
                format!("data {} {} {text}", message.label, message.binary)
            }
            Effect::Notify { event, .. } => format!("notify {event}"),
            other => format!("{other:?}"),
        }
    }
}

const TRANSPORT: &str = "c=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n\
    a=fingerprint:sha-256 AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB\r\n\
    a=setup:actpass\r\n";

/// An offer of audio, video and data; `video` are further lines of the video m-line.
fn offer(audio: &str, direction: &str, video: &str) -> String {
    format!(
        "v=0\r\no=- 4611 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 63 111 0\r\n{TRANSPORT}a=mid:0\r\na={audio}\r\na=rtpmap:63 red/48000/2\r\n\
         a=fmtp:63 111/111\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 96 98 102\r\n{TRANSPORT}a=mid:1\r\na={direction}\r\na=rtpmap:96 VP8/90000\r\n\
         a=rtpmap:98 VP9/90000\r\na=fmtp:98 profile-id=2\r\na=rtpmap:102 H264/90000\r\n\
         a=fmtp:102 packetization-mode=1;profile-level-id=42e01f\r\n\
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n{video}\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n{TRANSPORT}a=mid:2\r\na=sctp-port:5000\r\n"
    )
}

fn plain() -> String {
    offer("sendrecv", "sendrecv", "")
}

fn simulcast() -> String {
    let rids = "a=rid:h send\r\na=rid:m send\r\na=rid:l send\r\na=simulcast:send h;m;l\r\n";
    offer("sendrecv", "sendrecv", rids)
}

const OK: &str = r#"t {"echotest":"event","result":"ok"}"#;
const NOTICE: &str = r#"notify {"audio_active":true,"video_active":true,"bitrate":0}"#;

#[test]
fn an_offer_is_answered_and_every_medium_routed_to_itself() {
    let mut rig = Rig::new();
    let effects = rig.message(json!({"audio": true, "video": true}), Some(&plain()));
    let answer = format!("{OK} answer");
    assert_eq!(effects, [&answer, "route 0", "route 1", "cap 0", NOTICE]);
    let plan = rig.plan.unwrap();
    assert!(plan.media.iter().all(|m| m.accepted));
    assert_eq!(
        (plan.codec(0), plan.codec(1)),
        (portunus_sdp::Codec::from_api_name("opus"), portunus_sdp::Codec::from_api_name("vp8"))
    );
}

#[test]
fn what_only_goes_one_way_is_not_routed() {
    for (audio, video, routed) in [
        ("sendonly", "sendrecv", ["unroute 0", "route 1"]),
        ("sendrecv", "recvonly", ["route 0", "unroute 1"]),
        ("inactive", "sendonly", ["unroute 0", "unroute 1"]),
    ] {
        let effects = Rig::new().message(json!({}), Some(&offer(audio, video, "")));
        assert_eq!(effects[1..3], routed, "{audio} {video}");
    }
}

#[test]
fn wishes_of_an_offer_count_from_its_answer_on() {
    let mut rig = Rig::new();
    let body = json!({"audio": false, "bitrate": 128_000, "substream": 0, "min_delay": 20});
    let effects = rig.message(body, Some(&simulcast()));
    assert_eq!(
        effects[1..],
        [
            "unroute 0",
            "route 1",
            "select 1 0/2 250ms",
            "delay 1 Some((20, 20))",
            "cap 128000",
            r#"notify {"audio_active":false,"video_active":true,"bitrate":128000,"simulcast":{"substream":-1,"temporal-layer":-1}}"#,
        ]
    );
}

#[test]
fn codecs_can_be_forced() {
    for (body, audio, video) in [
        (json!({}), Some("opus"), Some("vp8")),
        (json!({"audiocodec": "pcmu", "videocodec": "h264"}), Some("pcmu"), Some("h264")),
        (json!({"videocodec": "vp9", "videoprofile": "2"}), Some("opus"), Some("vp9")),
        (json!({"videocodec": "vp9", "videoprofile": "1"}), Some("opus"), None),
        (json!({"audiocodec": "g722", "videocodec": "av1"}), None, None),
    ] {
        let mut rig = Rig::new();
        rig.message(body.clone(), Some(&plain()));
        let plan = rig.plan.unwrap();
        for (mindex, wanted) in [(0, audio), (1, video)] {
            let media = &plan.media[mindex];
            assert_eq!(media.accepted, wanted.is_some(), "{body}");
            assert_eq!(media.codec().map(portunus_sdp::Codec::api_name), wanted, "{body}");
        }
    }
}

#[test]
fn red_is_taken_only_when_asked_for() {
    for (body, red) in [(json!({}), false), (json!({"opusred": true}), true)] {
        let mut rig = Rig::new();
        rig.message(body, Some(&plain()));
        assert_eq!(rig.plan.as_ref().unwrap().media[0].has_red(), red);
        let query = rig.plugin.query(rig.h);
        assert_eq!(query.get("audio_red").is_some(), red);
    }
}

#[test]
fn media_is_switched_off_and_on_again() {
    let mut rig = Rig::connected(&plain());
    for (body, effects) in [
        (json!({"audio": false}), vec!["unroute 0"]),
        (json!({"audio": true}), vec!["route 0"]),
        (json!({"video": false}), vec!["unroute 1"]),
        (json!({"video": true}), vec!["route 1", "keyframe 1"]),
        (json!({"video": true}), vec!["route 1"]),
        (json!({"bitrate": 64_000}), vec!["cap 64000"]),
        (json!({"min_delay": 100, "max_delay": 300}), vec!["delay 1 Some((100, 300))"]),
        (json!({"min_delay": 400}), vec!["delay 1 Some((400, 400))"]),
        (json!({"max_delay": 99_999}), vec!["delay 1 Some((400, 4095))"]),
        (json!({"max_delay": -1}), vec!["delay 1 None"]),
        (json!({"max_delay": 10}), vec!["delay 1 None"]),
    ] {
        let seen = rig.message(body.clone(), None);
        assert_eq!(seen[0], OK);
        assert_eq!(seen[1..seen.len() - 1], effects, "{body}");
    }
}

#[test]
fn a_recording_has_a_file_for_each_medium() {
    let mut rig = Rig::new();
    let seen = rig.message(json!({"record": true, "filename": "a/b", "opusred": true}), Some(&plain()));
    let records = |seen: &[String]| {
        seen.iter()
            .filter(|e| e.contains("record ") || e.contains("recording 0"))
            .cloned()
            .collect::<Vec<_>>()
    };
    let wanted =
        ["record 0 /srv/a/b-audio opus red 63", "record 1 /srv/a/b-video vp8", "record 2 /srv/a/b-data text"];
    assert_eq!(records(&seen), wanted);
    let files = json!({"audio": "b-audio.mjr", "video": "b-video.mjr", "data": "b-data.mjr"});
    assert!(seen.last().unwrap().contains(&format!(r#""recording":{files}"#)), "{seen:?}");
    assert_eq!(rig.plugin.query(rig.h)["recording"], files);
    assert!(records(&rig.message(json!({"record": true, "filename": "c"}), None)).is_empty(), "it goes on");
    let again = rig.message(json!({"opusred": true}), Some(&plain()));
    assert!(records(&again).is_empty(), "and over another offer");
    let changed = records(&rig.message(json!({}), Some(&plain())));
    assert_eq!(changed, ["end recording 0", "record 0 /srv/a/b-audio opus"], "but not if it changes");
    let seen = rig.message(json!({"record": false}), None);
    let ends = ["end recording 0", "end recording 1", "end recording 2"];
    assert_eq!(seen[1..4], ends);
    assert_eq!(rig.plugin.query(rig.h).get("recording"), None);
    let seen = rig.message(json!({"record": true, "filename": ""}), None);
    assert!(records(&seen)[0].starts_with("record 0 /srv/echotest-7-0-audio"), "{seen:?}");
    assert_eq!(rig.media(MediaEvent::Hangup { reason: "x".into() })[..3], ends);
    rig.message(json!({"record": true, "filename": "d"}), Some(&plain()));
    let h = rig.h;
    assert_eq!(rig.run(|p, cx| p.detach(cx, h)), ends);
}

#[test]
fn what_is_switched_off_is_not_recorded() {
    let mut rig = Rig::connected(&plain());
    let seen = rig.message(json!({"record": true, "filename": "x", "audio": false}), None);
    assert!(seen.contains(&"withhold 0".to_owned()), "{seen:?}");
    let seen = rig.message(json!({"audio": true, "video": false}), None);
    let wanted = ["let through 0".to_owned(), "withhold 1".to_owned()];
    assert!(wanted.iter().all(|w| seen.contains(w)), "{seen:?}");
    let seen = rig.message(json!({"audio": true, "video": false}), Some(&plain()));
    assert!(
        !seen.iter().any(|e| ["record ", "withhold", "let through"].iter().any(|w| e.starts_with(w))),
        "{seen:?}"
    );
}

#[test]
fn what_is_not_negotiated_or_does_not_come_is_not_recorded() {
    let mut rig = Rig::new();
    assert_eq!(rig.message(json!({"record": true, "filename": "x"}), None).len(), 2, "there is nothing yet");
    let seen = rig.message(json!({}), Some(&offer("recvonly", "sendonly", "")));
    assert!(!seen.iter().any(|e| e.starts_with("record ")), "the wish came too early");
    let seen = rig.message(json!({"record": true, "filename": "x"}), None);
    let records: Vec<_> = seen.iter().filter(|e| e.starts_with("record ")).collect();
    assert_eq!(records, ["record 1 /srv/x-video vp8", "record 2 /srv/x-data text"]);
}

#[test]
fn a_name_outside_is_refused_before_anything_is_done() {
    let mut rig = Rig::connected(&plain());
    for name in ["../x", "/etc/x", "a/../../x", "/archive/../etc/x"] {
        let seen = rig.message(json!({"record": true, "filename": name, "audio": false}), None);
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert!(seen[0].contains(r#""error_code":413"#) && seen[0].contains("recordings_roots"), "{seen:?}");
    }
    assert_eq!(rig.plugin.query(rig.h)["audio_active"], true);
    let seen = rig.message(json!({"record": true, "filename": "/archive/x"}), None);
    assert!(seen.contains(&"record 0 /archive/x-audio opus".to_owned()), "{seen:?}");
}

#[test]
fn what_becomes_of_a_recording_is_told_to_event_handlers() {
    let mut rig = Rig::connected(&plain());
    rig.message(json!({"record": true, "filename": "x"}), None);
    let mut told = |mid: &str, news| rig.media(MediaEvent::Recording { mid: mid.into(), news });
    assert!(told("0", RecordingNews::Begun { file: "x-audio.mjr".into() }).is_empty(), "as was told");
    let renamed = told("1", RecordingNews::Begun { file: "x-video-1.mjr".into() });
    assert!(renamed[0].contains(r#""video":"x-video-1.mjr""#), "{renamed:?}");
    let failed = told("1", RecordingNews::Failed { why: "full".into() });
    assert_eq!(
        failed,
        [r#"notify {"event":"recording-failed","media":"video","file":"x-video-1.mjr","reason":"full"}"#]
    );
    let resumed = told("1", RecordingNews::Resumed);
    assert_eq!(
        resumed,
        ["keyframe 1", r#"notify {"event":"recording-resumed","media":"video","file":"x-video-1.mjr"}"#]
    );
    let ended = RecordingNews::Ended { file: "x-video-1.mjr".into(), frames: 1, lost: 0 };
    assert!(told("1", ended).is_empty());
}

#[test]
fn without_a_peerconnection_wishes_are_only_remembered() {
    let mut rig = Rig::new();
    let effects = rig.message(json!({"audio": false, "video": true, "bitrate": 5, "substream": 1}), None);
    assert_eq!(effects, [OK, r#"notify {"audio_active":false,"video_active":true,"bitrate":5}"#]);
}

#[test]
fn errors_are_events_and_change_nothing() {
    let mut rig = Rig::connected(&plain());
    let before = rig.plugin.handles[&rig.h].clone();
    for (body, text) in [
        (json!({"audio": false, "video": 5}), "Invalid element type (video should be a boolean)"),
        (json!({"audio": false, "substream": 3}), "Invalid value (substream should be 0, 1 or 2)"),
        (json!({}), "Message error: no supported attributes found"),
    ] {
        let event = format!(r#"t {{"echotest":"event","error_code":413,"error":"{text}"}}"#);
        assert_eq!(rig.message(body, None), [event]);
        assert_eq!(rig.plugin.handles[&rig.h], before);
    }
}

#[test]
fn layers_are_asked_for_and_told_when_reached() {
    let mut rig = Rig::connected(&simulcast());
    assert_eq!(rig.message(json!({"substream": 1}), None)[..2], [OK, "select 1 1/2 250ms"]);
    assert_eq!(rig.message(json!({"fallback": 500_000}), None)[1], "select 1 1/2 500ms");
    for (change, text) in [
        (LayerChange::Substream(1), r#"- {"echotest":"event","videocodec":"vp8","substream":1}"#),
        (LayerChange::Temporal(0), r#"- {"echotest":"event","videocodec":"vp8","temporal":0}"#),
    ] {
        assert_eq!(
            rig.media(MediaEvent::Layer { mid: "1".into(), codec: "vp8", change, cause: LayerCause::Wanted }),
            [text]
        );
    }
    // A layer that is there already is told at once, and only that one.
    let effects = rig.message(json!({"substream": 1, "temporal": 2}), None);
    assert_eq!(
        effects[..3],
        [r#"- {"echotest":"event","videocodec":"vp8","substream":1}"#, OK, "select 1 1/2 500ms"]
    );
    let query = rig.plugin.query(rig.h).to_string();
    let part =
        r#""simulcast":true,"substream":1,"substream-target":1,"temporal-layer":0,"temporal-layer-target":2"#;
    assert!(query.contains(part), "{query}");
}

#[test]
fn scalable_layers_have_names_of_their_own() {
    let mut rig = Rig::new();
    rig.message(json!({"videocodec": "vp9"}), Some(&plain()));
    let effects = rig.message(json!({"spatial_layer": 1, "temporal_layer": 0}), None);
    assert_eq!(effects[1], "select 1 1/0 250ms");
    let change = LayerChange::Svc { spatial: 1, temporal: 0 };
    assert_eq!(
        rig.media(MediaEvent::Layer { mid: "1".into(), codec: "vp9", change, cause: LayerCause::Wanted }),
        [r#"- {"echotest":"event","videocodec":"vp9","spatial_layer":1,"temporal_layer":0}"#]
    );
    let effects = rig.message(json!({"spatial_layer": 1}), None);
    assert_eq!(effects[0], r#"- {"echotest":"event","videocodec":"vp9","spatial_layer":1}"#);
}

#[test]
fn text_comes_back_with_a_prefix_and_bytes_as_they_were() {
    let mut rig = Rig::connected(&plain());
    for (binary, text) in
        [(false, "data chat false Janus EchoTest here! You wrote: hi"), (true, "data chat true hi")]
    {
        let message =
            DataMessage { label: "chat".into(), protocol: "p".into(), binary, payload: b"hi".to_vec() };
        assert_eq!(rig.media(MediaEvent::Data(message)), [text]);
    }
}

#[test]
fn a_renegotiation_follows_the_new_m_lines() {
    let mut rig = Rig::connected(&plain());
    let effects = rig.message(json!({}), Some(&plain().replace("a=mid:1", "a=mid:v")));
    assert_eq!(effects[1..4], ["unroute 1", "route 0", "route v"]);
}

#[test]
fn slow_links_are_told_unless_they_are_expected() {
    let mut rig = Rig::connected(&plain());
    rig.message(json!({"bitrate": 9000, "audio": false}), None);
    let slow = |kind, uplink| MediaEvent::SlowLink { mid: "0".into(), kind, uplink, lost: 5 };
    for (event, seen) in [
        (
            slow(MediaKind::Video, true),
            vec![r#"- {"echotest":"event","event":"slow_link","media":"video","current-bitrate":9000}"#],
        ),
        (slow(MediaKind::Audio, true), vec![]),
        (
            slow(MediaKind::Audio, false),
            vec![r#"- {"echotest":"event","event":"slow_link","media":"audio"}"#],
        ),
    ] {
        assert_eq!(rig.media(event), seen);
    }
    assert_eq!(rig.plugin.query(rig.h)["slowlink_count"], 2);
}

#[test]
fn a_hangup_is_told_and_leaves_a_new_state() {
    let mut rig = Rig::connected(&simulcast());
    rig.message(json!({"audio": false, "bitrate": 9, "substream": 0, "min_delay": 5}), None);
    let hangup = || MediaEvent::Hangup { reason: "x".into() };
    let done = [r#"- {"echotest":"event","result":"done"}"#];
    assert_eq!(rig.media(hangup()), done);
    assert_eq!(rig.plugin.handles[&rig.h], Echo::default());
    assert_eq!(rig.media(hangup()), done, "also without a PeerConnection");
}

#[test]
fn the_query_has_the_keys_of_janus() {
    let mut rig = Rig::new();
    assert_eq!(
        rig.plugin.query(rig.h).to_string(),
        r#"{"audio_active":true,"video_active":true,"bitrate":0,"peer-bitrate":0,"slowlink_count":0,"hangingup":0,"destroyed":0}"#
    );
    rig.message(json!({"bitrate": 7}), Some(&plain()));
    rig.media(MediaEvent::PeerBitrate(555));
    assert_eq!(
        rig.plugin.query(rig.h).to_string(),
        r#"{"audio_active":true,"video_active":true,"audio_codec":"opus","video_codec":"vp8","bitrate":7,"peer-bitrate":555,"slowlink_count":0,"hangingup":0,"destroyed":0}"#
    );
}

#[test]
fn event_handlers_hear_nothing_when_events_are_off() {
    let mut rig = Rig::new();
    rig.plugin.events = false;
    assert_eq!(rig.message(json!({"audio": true}), None), [OK]);
}

#[test]
fn an_admin_request_comes_back() {
    let mut rig = Rig::new();
    let body = json!({"a": 1});
    let mut answer = None;
    rig.run(|p, cx| answer = p.admin(cx, body.as_object().unwrap()));
    assert!(matches!(answer, Some(Reply::Now(same)) if same == body));
}

#[test]
fn a_detached_handle_leaves_nothing() {
    let mut rig = Rig::connected(&plain());
    let h = rig.h;
    assert!(rig.run(|p, cx| p.detach(cx, h)).is_empty());
    assert!(rig.plugin.handles.is_empty());
    assert!(rig.media(MediaEvent::Up).is_empty());
}
