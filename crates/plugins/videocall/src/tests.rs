use super::*;
use portunus_plugin::media::{LayerCause, LayerChange};
use portunus_plugin::{DataMessage, Description, Effect, Svc};
use std::sync::Arc;
use std::time::Instant;

const ONE: HandleId = HandleId::new(1).unwrap();
const TWO: HandleId = HandleId::new(2).unwrap();
const THREE: HandleId = HandleId::new(3).unwrap();

/// The plugin with three handles, registered as `one`, `two` and `three`, and what it asks for as text.
struct Rig {
    plugin: VideoCall,
    plan: Option<Plan>,
}

impl Rig {
    fn new() -> Self {
        let mut rig = Self::strangers();
        for (h, name) in [(ONE, "one"), (TWO, "two"), (THREE, "three")] {
            rig.ask(h, json!({"request": "register", "username": name}));
        }
        rig
    }

    fn strangers() -> Self {
        let places = Places::new("/srv".as_ref(), &["/srv".into()], &[]);
        let mut rig = Self { plugin: VideoCall::new(true, places), plan: None };
        for h in [ONE, TWO, THREE] {
            rig.run(|p, cx| p.attach(cx, h).unwrap());
        }
        rig
    }

    /// `one` talks to `two`.
    fn talking(offer: &str, answer: &str) -> Self {
        let mut rig = Self::new();
        rig.call(ONE, "two", offer);
        rig.tell(TWO, json!({"request": "accept"}), JsepKind::Answer, answer);
        rig
    }

    fn run(&mut self, call: impl FnOnce(&mut VideoCall, &mut Cx)) -> Vec<String> {
        let mut cx = Cx::new(Instant::now(), std::time::Duration::ZERO);
        call(&mut self.plugin, &mut cx);
        let effects = cx.into_effects();
        effects.into_iter().map(|e| self.text(e)).collect()
    }

    fn message(&mut self, h: HandleId, body: Value, jsep: Option<(JsepKind, &str)>) -> Vec<String> {
        let jsep = jsep.map(|(kind, sdp)| RemoteJsep {
            kind,
            description: Arc::new(Description::parse(sdp).unwrap()),
            renegotiation: false,
            svc: Svc::None,
            e2ee: sdp.contains("s=e2ee"),
            rids_high_first: true,
        });
        let body = body.as_object().unwrap().clone();
        let message = Message { transaction: "t".into(), body, jsep };
        self.run(|p, cx| assert!(matches!(p.message(cx, h, message), Reply::Ack(None))))
    }

    fn ask(&mut self, h: HandleId, body: Value) -> Vec<String> {
        self.message(h, body, None)
    }

    fn tell(&mut self, h: HandleId, body: Value, kind: JsepKind, sdp: &str) -> Vec<String> {
        self.message(h, body, Some((kind, sdp)))
    }

    fn call(&mut self, h: HandleId, whom: &str, offer: &str) -> Vec<String> {
        self.tell(h, json!({"request": "call", "username": whom}), JsepKind::Offer, offer)
    }

    fn happens(&mut self, h: HandleId, event: MediaEvent) -> Vec<String> {
        self.run(|p, cx| p.media(cx, h, &event))
    }

    fn gone(&mut self, h: HandleId) -> Vec<String> {
        self.happens(h, MediaEvent::Hangup { reason: "x".into() })
    }

    fn state(&self, h: HandleId) -> Value {
        self.plugin.query(h)["state"].clone()
    }

    fn text(&mut self, effect: Effect) -> String {
        match effect {
            Effect::Push { handle, transaction, data, jsep } => {
                let data = data.get("result").map_or_else(|| data.clone(), Clone::clone);
                let mut text = format!("{}{handle}: {data}", transaction.unwrap_or_default());
                if let Some(jsep) = jsep {
                    let flags = [("e2ee", jsep.e2ee), ("restart", jsep.restart)];
                    text += &format!(" {}", jsep.kind.as_str());
                    flags.iter().filter(|(_, on)| *on).for_each(|(name, _)| text += &format!(" {name}"));
                    assert_eq!(jsep.affinity.as_deref(), Some("call 1 2"));
                    self.plan = Some(jsep.plan);
                }
                text
            }
            Effect::Route { source, sink } => {
                assert_eq!(source.mid, sink.mid);
                format!("route {} from {} to {}", source.mid, source.handle, sink.handle)
            }
            Effect::Unroute { sink } => format!("unroute {} to {}", sink.mid, sink.handle),
            Effect::Select { sink, target } => {
                format!("select {} {} {}/{}", sink.handle, sink.mid, target.spatial, target.temporal)
            }
            Effect::Record { source, recording } => {
                let e2ee = if recording.subject.encrypted { " e2ee" } else { "" };
                let path = recording.mjr.as_ref().unwrap().path();
                format!("record {} {} {}{e2ee}", source.handle, path.display(), recording.subject.codec)
            }
            Effect::Withhold { source, withheld } => format!("withhold {} {withheld}", source.mid),
            Effect::EndRecording { source } => format!("end recording {} {}", source.handle, source.mid),
            Effect::Keyframe { source } => format!("keyframe {} {}", source.handle, source.mid),
            Effect::Cap { handle, bitrate } => format!("cap {handle} {bitrate}"),
            Effect::Data { handle, message } => {
                format!("data {handle} {}", String::from_utf8_lossy(&message.payload))
            }
            Effect::Hangup { handle } => format!("hang up {handle}"),
            Effect::Notify { handle, event } => format!("notify {} {event}", handle.unwrap()),
            other => format!("{other:?}"),
        }
    }
}

const TRANSPORT: &str = "c=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n\
    a=fingerprint:sha-256 AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB\r\n\
    a=setup:actpass\r\n";

/// Audio, video and data. `video` is the direction and the payload types of video, `more` are further lines of it.
fn described(name: &str, audio: &str, video: (&str, &str), more: &str) -> String {
    let (direction, types) = video;
    format!(
        "v=0\r\no=- 4611 2 IN IP4 127.0.0.1\r\ns={name}\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\n{TRANSPORT}a=mid:0\r\na={audio}\r\n\
         a=rtpmap:111 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF {types}\r\n{TRANSPORT}a=mid:1\r\na={direction}\r\na=rtpmap:96 VP8/90000\r\n\
         a=rtpmap:98 VP9/90000\r\na=extmap:1 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n{more}\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n{TRANSPORT}a=mid:2\r\na=sctp-port:5000\r\n"
    )
}

fn plain() -> String {
    described("-", "sendrecv", ("sendrecv", "96 98"), "")
}

fn simulcast() -> String {
    let rids = "a=rid:h send\r\na=rid:m send\r\na=rid:l send\r\na=simulcast:send h;m;l\r\n";
    described("-", "sendrecv", ("sendrecv", "96 98"), rids)
}

fn vp9() -> String {
    described("-", "sendrecv", ("sendrecv", "98"), "")
}

fn error(h: HandleId, code: u16, text: &str) -> String {
    format!(r#"t{h}: {{"videocall":"event","error_code":{code},"error":"{text}"}}"#)
}

const BOTH_ROUTED: [&str; 6] = [
    "route 0 from 1 to 2",
    "route 1 from 1 to 2",
    "cap 1 0",
    "route 0 from 2 to 1",
    "route 1 from 2 to 1",
    "cap 2 0",
];

#[test]
fn a_name_is_taken_once_and_free_when_its_handle_goes() {
    let mut rig = Rig::strangers();
    let register = |name: Value| json!({"request": "register", "username": name});
    assert_eq!(rig.ask(ONE, json!({"request": "list"})), [r#"t1: {"list":[]}"#]);
    assert_eq!(
        rig.ask(ONE, json!({"request": "register"})),
        [error(ONE, 475, "Missing mandatory element (username)")]
    );
    let wrong = error(ONE, 474, "Invalid element type (username should be a string)");
    assert_eq!(rig.ask(ONE, register(json!(5))), [wrong]);
    assert_eq!(
        rig.ask(ONE, register(json!("one"))),
        [
            r#"t1: {"event":"registered","username":"one"}"#,
            r#"notify 1 {"event":"registered","username":"one"}"#
        ]
    );
    assert_eq!(rig.ask(ONE, register(json!("uno"))), [error(ONE, 477, "Already registered (one)")]);
    assert_eq!(rig.ask(TWO, register(json!("one"))), [error(TWO, 476, "Username 'one' already taken")]);
    rig.ask(TWO, register(json!("two")));
    assert_eq!(rig.ask(THREE, json!({"request": "list"})), [r#"t3: {"list":["one","two"]}"#]);
    assert!(rig.run(|p, cx| p.detach(cx, ONE)).is_empty());
    assert!(rig.ask(THREE, register(json!("one")))[0].contains("registered"));
}

#[test]
fn what_cannot_be_asked_is_refused_in_the_words_of_janus() {
    let mut rig = Rig::strangers();
    for (body, code, text) in [
        (json!({}), 475, "Missing mandatory element (request)"),
        (json!({"request": 5}), 474, "Invalid element type (request should be a string)"),
        (json!({"request": "foo"}), 472, "Unknown request (foo)"),
        (json!({"request": "accept"}), 481, "No incoming call to accept"),
        (json!({"request": "set", "substream": 3}), 474, "Invalid value (substream should be 0, 1 or 2)"),
    ] {
        assert_eq!(rig.ask(ONE, body), [error(ONE, code, text)]);
    }
}

#[test]
fn a_call_is_offered_and_answered_and_every_medium_routed_to_the_other() {
    let mut rig = Rig::new();
    let called = rig.call(ONE, "two", &plain());
    assert_eq!(
        called,
        [
            r#"2: {"event":"incomingcall","username":"one"} offer"#,
            r#"t1: {"event":"calling"}"#,
            r#"notify 1 {"event":"calling"}"#
        ]
    );
    let offer = rig.plan.take().unwrap();
    assert_eq!(offer.media.iter().map(|m| m.payloads.len()).collect::<Vec<_>>(), [2, 2, 0]);
    assert_eq!(
        (rig.state(ONE), rig.state(TWO), rig.state(THREE)),
        (json!("incall"), json!("incall"), json!("idle"))
    );
    let accepted = rig.tell(TWO, json!({"request": "accept"}), JsepKind::Answer, &vp9());
    assert_eq!(accepted[0], r#"1: {"event":"accepted","username":"two"} answer"#);
    // The callee chose VP9, which has layers.
    assert_eq!(accepted[1..7], BOTH_ROUTED);
    assert_eq!(accepted[7..9], ["select 1 1 2/2", "select 2 1 2/2"]);
    assert_eq!(accepted[9..], [r#"t2: {"event":"accepted"}"#, r#"notify 2 {"event":"accepted"}"#]);
    let query = rig.plugin.query(ONE);
    assert_eq!(
        query,
        json!({"state": "incall", "username": "one", "peer": "two", "audio_active": true, "video_active": true,
            "audio_codec": "opus", "video_codec": "vp9", "bitrate": 0, "peer-bitrate": 0, "slowlink_count": 0,
            "incall": 1, "hangingup": 0, "destroyed": 0})
    );
    let idle = json!({"state": "idle", "username": "three", "incall": 0, "hangingup": 0, "destroyed": 0});
    assert_eq!(rig.plugin.query(THREE), idle);
}

#[test]
fn whoever_cannot_call_loses_the_connection_that_was_to_be() {
    let mut rig = Rig::strangers();
    let called = |rig: &mut Rig, body: Value| rig.tell(ONE, body, JsepKind::Offer, &plain());
    let call = |name: &str| json!({"request": "call", "username": name});
    let first = called(&mut rig, call("two"));
    assert_eq!(first, [error(ONE, 473, "Register a username first"), "hang up 1".into()]);
    let mut rig = Rig::new();
    for (body, code, text) in [
        (json!({"request": "call"}), 475, "Missing mandatory element (username)"),
        (call("one"), 479, "You can't call yourself... use the EchoTest for that"),
        (call("nobody"), 478, "Username 'nobody' doesn't exist"),
    ] {
        assert_eq!(called(&mut rig, body), [error(ONE, code, text), "hang up 1".into()]);
    }
    assert_eq!(rig.ask(ONE, call("two")), [error(ONE, 482, "Missing SDP"), "hang up 1".into()]);
    assert_eq!(rig.state(TWO), json!("idle"));
}

#[test]
fn who_is_called_or_calls_is_busy() {
    let mut rig = Rig::new();
    rig.call(ONE, "two", &plain());
    for busy in ["one", "two"] {
        let told = rig.call(THREE, busy, &plain());
        assert_eq!(
            told[..2],
            [r#"t3: {"event":"hangup","username":"three","reason":"User busy"}"#, "hang up 3"]
        );
    }
    assert_eq!((rig.state(ONE), rig.state(THREE)), (json!("incall"), json!("idle")));
    let told = rig.ask(THREE, json!({"request": "call", "username": "one"}));
    assert!(told[0].contains("User busy"), "before it is looked whether there is an offer: {told:?}");
}

#[test]
fn a_second_call_ends_the_first() {
    let mut rig = Rig::talking(&plain(), &plain());
    let told = rig.call(ONE, "three", &plain());
    assert_eq!(
        told,
        [
            error(ONE, 480, "Already in a call"),
            r#"2: {"event":"hangup","username":"one","reason":"Remote WebRTC hangup"}"#.into(),
            r#"notify 2 {"event":"hangup","reason":"Remote WebRTC hangup"}"#.into(),
            r#"1: {"event":"hangup","username":"two","reason":"Remote WebRTC hangup"}"#.into(),
            r#"notify 1 {"event":"hangup","reason":"Remote WebRTC hangup"}"#.into(),
            "hang up 2".into(),
            "hang up 1".into(),
        ]
    );
    assert_eq!((rig.state(ONE), rig.state(TWO)), (json!("idle"), json!("idle")));
}

#[test]
fn either_side_hangs_up_and_says_why() {
    for (h, other, reason, told) in
        [(ONE, TWO, None, "We did the hangup"), (TWO, ONE, Some("no time"), "no time")]
    {
        let mut rig = Rig::talking(&plain(), &plain());
        let names = [(ONE, "one"), (TWO, "two")];
        let name = |h| names.iter().find(|(n, _)| *n == h).unwrap().1;
        let mut body = json!({"request": "hangup"});
        if let Some(reason) = reason {
            body["reason"] = json!(reason);
        }
        let seen = rig.ask(h, body);
        let hangup = |to: String, of: &str, why: &str| {
            format!(r#"{to}: {{"event":"hangup","username":"{of}","reason":"{why}"}}"#)
        };
        let notice =
            |of: HandleId, why: &str| format!(r#"notify {of} {{"event":"hangup","reason":"{why}"}}"#);
        assert_eq!(
            seen,
            [
                hangup(other.to_string(), name(h), told),
                notice(other, "Remote hangup"),
                hangup(format!("t{h}"), name(h), "Explicit hangup"),
                hangup(other.to_string(), name(h), GONE),
                notice(other, GONE),
                hangup(h.to_string(), name(other), GONE),
                notice(h, GONE),
                format!("hang up {other}"),
                format!("hang up {h}"),
                notice(h, "Explicit hangup"),
            ]
        );
        // The connections end, of which nobody is left to be told.
        assert!(rig.gone(other).is_empty() && rig.gone(h).is_empty());
        assert_eq!(rig.state(h), json!("idle"));
    }
    let mut rig = Rig::strangers();
    let seen = rig.ask(ONE, json!({"request": "hangup", "reason": 5}));
    assert_eq!(seen[..2], [r#"t1: {"event":"hangup","reason":"Explicit hangup"}"#, "hang up 1"]);
}

#[test]
fn a_connection_or_a_handle_that_is_gone_ends_the_call() {
    for accepted in [true, false] {
        let call = || {
            if accepted {
                return Rig::talking(&plain(), &plain());
            }
            let mut rig = Rig::new();
            rig.call(ONE, "two", &plain());
            rig
        };
        let told = r#"2: {"event":"hangup","username":"one","reason":"Remote WebRTC hangup"}"#;
        let mut rig = call();
        let seen = rig.gone(ONE);
        let mirrored = r#"1: {"event":"hangup","username":"two","reason":"Remote WebRTC hangup"}"#;
        assert_eq!([&seen[0], &seen[2]], [told, mirrored]);
        assert_eq!(seen.last().unwrap(), "hang up 2");
        assert!(rig.gone(TWO).is_empty());
        let mut rig = call();
        let seen = rig.run(|p, cx| p.detach(cx, ONE));
        assert_eq!((seen[0].as_str(), seen.last().unwrap().as_str()), (told, "hang up 2"));
        assert_eq!(rig.state(TWO), json!("idle"));
        assert!(rig.ask(TWO, json!({"request": "accept"}))[0].contains("481"));
    }
}

#[test]
fn what_only_goes_one_way_is_routed_one_way() {
    let offer = described("-", "sendonly", ("recvonly", "96"), "");
    let answer = described("-", "recvonly", ("sendonly", "96"), "");
    let mut rig = Rig::new();
    rig.call(ONE, "two", &offer);
    let seen = rig.tell(TWO, json!({"request": "accept"}), JsepKind::Answer, &answer);
    assert_eq!(
        seen[1..7],
        [
            "route 0 from 1 to 2",
            "unroute 1 to 2",
            "cap 1 0",
            "unroute 0 to 1",
            "route 1 from 2 to 1",
            "cap 2 0"
        ]
    );
}

#[test]
fn media_is_switched_off_and_on_again() {
    let mut rig = Rig::talking(&plain(), &plain());
    for (body, effects) in [
        (json!({"audio": false}), vec!["unroute 0 to 2"]),
        (json!({"audio": true}), vec!["route 0 from 1 to 2"]),
        (json!({"video": false}), vec!["unroute 1 to 2"]),
        (json!({"video": true}), vec!["route 1 from 1 to 2", "keyframe 1 1"]),
        (json!({"keyframe": true}), vec!["keyframe 1 1"]),
        (json!({"bitrate": 64_000}), vec!["cap 1 64000"]),
        (json!({}), vec![]),
    ] {
        let mut body = body;
        body["request"] = json!("set");
        let seen = rig.ask(ONE, body.clone());
        assert_eq!(seen[..seen.len() - 2], effects, "{body}");
        assert_eq!(seen[seen.len() - 2], r#"t1: {"event":"set"}"#);
    }
    let notice =
        r#"notify 1 {"event":"configured","audio_active":false,"video_active":true,"bitrate":64000}"#;
    let seen = rig.ask(ONE, json!({"request": "set", "audio": false}));
    assert_eq!(seen.last().unwrap(), notice);
}

#[test]
fn what_was_set_before_a_call_counts_in_it_and_not_in_the_next() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(ONE, json!({"request": "set", "audio": false, "bitrate": 5})).len(), 2);
    rig.call(ONE, "two", &plain());
    let seen = rig.tell(TWO, json!({"request": "accept"}), JsepKind::Answer, &plain());
    assert_eq!(seen[1..4], ["unroute 0 to 2", "route 1 from 1 to 2", "cap 1 5"]);
    rig.gone(ONE);
    rig.call(ONE, "two", &plain());
    let seen = rig.tell(TWO, json!({"request": "accept"}), JsepKind::Answer, &plain());
    assert_eq!(seen[1..7], BOTH_ROUTED);
}

#[test]
fn a_call_that_cannot_be_leaves_what_was_set() {
    let mut rig = Rig::new();
    rig.ask(ONE, json!({"request": "set", "bitrate": 5}));
    rig.ask(ONE, json!({"request": "call", "username": "nobody"}));
    rig.call(ONE, "two", &plain());
    let seen = rig.tell(TWO, json!({"request": "accept"}), JsepKind::Answer, &plain());
    assert!(seen.contains(&"cap 1 5".to_owned()), "{seen:?}");
}

#[test]
fn layers_of_the_caller_are_asked_for_and_chosen_by_the_one_who_gets_them() {
    let mut rig = Rig::new();
    rig.call(ONE, "two", &simulcast());
    assert!(
        rig.plan.take().unwrap().media.iter().all(|m| m.rids.is_empty()),
        "the callee knows nothing of them"
    );
    let answer = described("-", "sendrecv", ("sendrecv", "96"), "");
    let seen = rig.tell(TWO, json!({"request": "accept"}), JsepKind::Answer, &answer);
    assert_eq!(rig.plan.take().unwrap().media[1].rids, ["h", "m", "l"]);
    assert!(seen.contains(&"select 2 1 2/2".to_owned()), "{seen:?}");
    assert!(!seen.iter().any(|e| e.starts_with("select 1")), "{seen:?}");
    let seen = rig.ask(TWO, json!({"request": "set", "substream": 0, "temporal": 1}));
    assert_eq!(seen[0], "select 2 1 0/1");
    let seen = rig.ask(ONE, json!({"request": "set", "substream": 0}));
    assert_eq!(seen.len(), 2, "there is nothing to choose for it: {seen:?}");
    let layer =
        |change| MediaEvent::Layer { mid: "1".into(), codec: "vp8", change, cause: LayerCause::Wanted };
    let told = r#"2: {"event":"simulcast","videocodec":"vp8","substream":0}"#;
    assert_eq!(rig.happens(TWO, layer(LayerChange::Substream(0))), [told]);
    assert_eq!(rig.ask(TWO, json!({"request": "set", "substream": 0}))[0], told, "it is there already");
    let query = rig.plugin.query(TWO);
    assert_eq!(
        (&query["simulcast"], &query["substream"], &query["substream-target"], &query["temporal-layer"]),
        (&json!(true), &json!(0), &json!(0), &json!(-1))
    );
    assert_eq!(rig.plugin.query(ONE).get("simulcast"), None);
    // Another offer of the callee's does not take them away.
    rig.tell(TWO, json!({"request": "set"}), JsepKind::Offer, &answer);
    assert_eq!(rig.plan.take().unwrap().media[1].rids, ["h", "m", "l"]);
}

#[test]
fn layers_in_one_stream_have_names_of_their_own() {
    let mut rig = Rig::talking(&vp9(), &vp9());
    let change = LayerChange::Svc { spatial: 1, temporal: 2 };
    let layer = MediaEvent::Layer { mid: "1".into(), codec: "vp9", change, cause: LayerCause::Wanted };
    assert_eq!(
        rig.happens(ONE, layer),
        [r#"1: {"event":"svc","videocodec":"vp9","spatial_layer":1,"temporal_layer":2}"#]
    );
    assert_eq!(rig.plugin.query(ONE)["spatial-layer"], 1);
    let seen = rig.ask(ONE, json!({"request": "set", "spatial_layer": 0}));
    assert_eq!(seen[0], "select 1 1 0/2");
}

#[test]
fn either_side_offers_again_and_the_other_answers() {
    for (from, to) in [(ONE, TWO), (TWO, ONE)] {
        let mut rig = Rig::talking(&plain(), &plain());
        let seen = rig.tell(from, json!({"request": "set", "restart": true}), JsepKind::Offer, &plain());
        assert_eq!(seen[0], format!(r#"{to}: {{"event":"update"}} offer restart"#));
        assert_eq!(seen[1], format!(r#"t{from}: {{"event":"set"}}"#));
        let answer = described("-", "inactive", ("sendrecv", "96"), "");
        let seen = rig.tell(to, json!({"request": "set"}), JsepKind::Answer, &answer);
        assert_eq!(seen[0], format!(r#"{from}: {{"event":"update"}} answer"#));
        assert!(
            seen.contains(&format!("unroute 0 to {to}")) && seen.contains(&format!("unroute 0 to {from}"))
        );
        assert!(seen.contains(&format!("route 1 from {from} to {to}")), "{seen:?}");
        assert!(seen.contains(&format!(r#"t{to}: {{"event":"set"}}"#)));
    }
}

#[test]
fn an_answer_to_nothing_is_refused() {
    let mut rig = Rig::talking(&plain(), &plain());
    let seen = rig.tell(TWO, json!({"request": "set"}), JsepKind::Answer, &plain());
    assert_eq!(seen.last().unwrap(), &error(TWO, 483, "Error parsing answer: nobody offered"));
    assert_eq!(rig.state(ONE), json!("incall"));
    let mut rig = Rig::new();
    rig.call(ONE, "two", &plain());
    assert_eq!(rig.ask(TWO, json!({"request": "accept"})), [error(TWO, 482, "Missing SDP")]);
    assert_eq!(rig.ask(ONE, json!({"request": "accept"})), [error(ONE, 482, "Missing SDP")]);
    assert_eq!(rig.state(TWO), json!("incall"), "it rings on");
}

#[test]
fn messages_go_to_the_other_and_to_nobody_else() {
    let message = || {
        let payload = b"hello".to_vec();
        MediaEvent::Data(DataMessage { label: "l".into(), protocol: String::new(), binary: false, payload })
    };
    let mut rig = Rig::talking(&plain(), &plain());
    assert_eq!(rig.happens(ONE, message()), ["data 2 hello"]);
    assert_eq!(rig.happens(TWO, message()), ["data 1 hello"]);
    assert!(rig.happens(THREE, message()).is_empty());
}

#[test]
fn encryption_between_clients_is_passed_on() {
    let secret = described("e2ee", "sendrecv", ("sendrecv", "96"), "");
    let mut rig = Rig::new();
    assert!(rig.call(ONE, "two", &secret)[0].ends_with("offer e2ee"));
    let seen = rig.tell(TWO, json!({"request": "accept"}), JsepKind::Answer, &secret);
    assert!(seen[0].ends_with("answer e2ee"), "{seen:?}");
    assert_eq!(rig.plugin.query(TWO)["e2ee"], true);
    let seen = rig.ask(TWO, json!({"request": "set", "record": true, "filename": "x"}));
    assert_eq!(seen[0], "record 2 /srv/x-audio opus e2ee");
}

#[test]
fn a_recording_is_of_what_this_user_sends_and_ends_with_the_call() {
    let mut rig = Rig::talking(&plain(), &plain());
    let seen = rig.ask(ONE, json!({"request": "set", "record": true}));
    assert_eq!(
        seen[..3],
        [
            "record 1 /srv/videocall-one-two-0-audio opus",
            "record 1 /srv/videocall-one-two-0-video vp8",
            "record 1 /srv/videocall-one-two-0-data text"
        ]
    );
    let files = &rig.plugin.query(ONE)["recording"];
    assert_eq!(files["audio"], "videocall-one-two-0-audio.mjr");
    let seen = rig.ask(ONE, json!({"request": "set", "video": false}));
    assert!(seen.contains(&"withhold 1 true".to_owned()), "{seen:?}");
    let seen = rig.ask(TWO, json!({"request": "hangup"}));
    let ends = ["end recording 1 0", "end recording 1 1", "end recording 1 2"];
    assert!(ends.iter().all(|end| seen.contains(&(*end).to_owned())), "{seen:?}");

    let mut rig = Rig::talking(&plain(), &plain());
    let seen = rig.ask(ONE, json!({"request": "set", "record": true, "filename": "../x", "audio": false}));
    assert_eq!(seen.len(), 1);
    assert!(seen[0].contains(r#""error_code":474"#) && seen[0].contains("recordings_roots"), "{seen:?}");
    assert_eq!(rig.plugin.query(ONE)["audio_active"], true);
    rig.ask(ONE, json!({"request": "set", "record": true, "filename": "y"}));
    let seen = rig.ask(ONE, json!({"request": "set", "record": false}));
    assert_eq!(seen[..3], ends);
}

#[test]
fn names_are_no_paths_of_recordings() {
    let mut rig = Rig::strangers();
    for (h, name) in [(ONE, "../../etc/x"), (TWO, "a\0b/c")] {
        rig.ask(h, json!({"request": "register", "username": name}));
    }
    rig.tell(ONE, json!({"request": "call", "username": "a\0b/c"}), JsepKind::Offer, &plain());
    rig.tell(TWO, json!({"request": "accept"}), JsepKind::Answer, &plain());
    let seen = rig.ask(ONE, json!({"request": "set", "record": true}));
    assert_eq!(seen[0], "record 1 /srv/videocall-.._.._etc_x-a_b_c-0-audio opus");
}

#[test]
fn long_names_keep_nobody_from_recording() {
    let mut rig = Rig::strangers();
    let long = |c: char| c.to_string().repeat(256 / c.len_utf8());
    for (h, c) in [(ONE, '\u{1f600}'), (TWO, 'b')] {
        rig.ask(h, json!({"request": "register", "username": long(c)}));
    }
    rig.call(ONE, &long('b'), &plain());
    rig.tell(TWO, json!({"request": "accept"}), JsepKind::Answer, &plain());
    let seen = rig.ask(ONE, json!({"request": "set", "record": true}));
    assert!(seen[0].starts_with("record 1 /srv/videocall-"), "{seen:?}");
}

#[test]
fn a_call_of_messages_alone_is_a_call() {
    let data = format!(
        "v=0\r\no=- 4611 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 2\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n{TRANSPORT}a=mid:2\r\na=sctp-port:5000\r\n"
    );
    let rig = Rig::talking(&data, &data);
    assert_eq!((&rig.plugin.query(ONE)["incall"], &rig.plugin.query(TWO)["incall"]), (&json!(1), &json!(1)));
}

#[test]
fn losses_are_told_to_the_one_who_can_do_something() {
    let mut rig = Rig::talking(&plain(), &plain());
    let lost = |kind, uplink| MediaEvent::SlowLink { mid: "1".into(), kind, uplink, lost: 9 };
    rig.ask(ONE, json!({"request": "set", "bitrate": 64_000, "audio": false}));
    assert_eq!(
        rig.happens(ONE, lost(MediaKind::Video, true)),
        [r#"1: {"event":"slow_link","media":"video","current-bitrate":64000}"#]
    );
    assert_eq!(
        rig.happens(ONE, lost(MediaKind::Audio, false)),
        [r#"1: {"event":"slow_link","media":"audio"}"#]
    );
    assert!(rig.happens(ONE, lost(MediaKind::Audio, true)).is_empty(), "it is switched off");
    assert_eq!(rig.plugin.query(ONE)["slowlink_count"], 2);
}

#[test]
fn who_does_not_want_events_gets_none() {
    let mut rig = Rig::new();
    rig.plugin.events = false;
    let seen = rig.call(ONE, "two", &plain());
    assert!(!seen.iter().any(|e| e.starts_with("notify")), "{seen:?}");
}

#[test]
fn who_is_in_no_call_is_idle() {
    let mut rig = Rig::new();
    let idle = |rig: &Rig| [ONE, TWO, THREE].map(|h| rig.plugin.is_idle(h));
    assert_eq!(idle(&rig), [true; 3]);
    rig.call(ONE, "two", &plain());
    assert_eq!(idle(&rig), [false, false, true], "it rings");
    rig.tell(TWO, json!({"request": "accept"}), JsepKind::Answer, &plain());
    assert_eq!(idle(&rig), [false, false, true], "they talk");
    rig.gone(TWO);
    assert_eq!(idle(&rig), [true; 3]);
}

#[test]
fn long_names_and_reasons_are_nobodys_burden() {
    let mut rig = Rig::strangers();
    let long = "x".repeat(257);
    let refused = error(ONE, 474, "Invalid element (username is longer than 256 bytes)");
    assert_eq!(rig.ask(ONE, json!({"request": "register", "username": long})), [refused.as_str()]);
    assert_eq!(rig.ask(ONE, json!({"request": "register", "username": long[1..]})).len(), 2, "and an event");
    assert_eq!(rig.call(TWO, "nobody", &plain())[0], error(TWO, 473, "Register a username first"));
    let mut rig = Rig::talking(&plain(), &plain());
    let told = rig.ask(ONE, json!({"request": "hangup", "reason": "é".repeat(1000)}));
    assert!(told[0].contains(&format!("\"{}\"", "é".repeat(256))), "{}", told[0]);
}
