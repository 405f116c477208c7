//! Whatever clients and the media engine do, in whatever order: every request is answered once, events belong to open
//! sessions, and nothing is left when everybody has gone.

mod common;

use common::{HTTP, Rig, WS, sdp};
use portunus_core::{Client, Input, Settings};
use portunus_plugin::{MediaEvent, Value, json};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

#[derive(Clone, Debug)]
enum Step {
    Ask(u8, Value),
    Gone(u8),
    Poll(u64),
    /// The media engine answers what it was told last.
    Local,
    Media(u64, Happening),
    /// A task ends: by its ticket, and how.
    Task(u64, Result<(), &'static str>),
    Pass(u16),
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    Up,
    Hangup,
    IceFailed,
    Panic,
    Candidate,
    Slow,
}

/// Sessions and handles that exist at the beginning.
const START: [(u64, [u64; 2]); 2] = [(1, [2, 3]), (4, [5, 6])];

/// Session and handle of a request: mostly a pair that fits.
fn ids() -> impl Strategy<Value = (Option<Value>, Option<Value>)> {
    let some =
        prop_oneof![8 => (1..12_u64).prop_map(Value::from), 1 => Just(json!(0)), 1 => Just(json!("1"))];
    let fitting = (0..2_usize, 0..2_usize).prop_map(|(s, h)| (START[s].0, START[s].1[h]));
    prop_oneof![
        10 => fitting.clone().prop_map(|(s, h)| (Some(json!(s)), Some(json!(h)))),
        2 => fitting.prop_map(|(s, _)| (Some(json!(s)), None)),
        2 => (prop::option::of(some.clone()), prop::option::of(some)),
    ]
}

fn verb() -> impl Strategy<Value = &'static str> {
    let rare = vec!["attach", "create", "detach", "destroy", "claim", "keepalive", "nonsense"];
    prop_oneof![
        20 => Just("message"),
        6 => Just("trickle"),
        2 => Just("hangup"),
        3 => prop::sample::select(rare),
    ]
}

fn body() -> impl Strategy<Value = Value> {
    let what = prop::sample::select(vec![
        "now", "ack", "event", "answer", "answer", "answer", "offer", "push", "close", "end", "routes",
        "fail", "panic", "later", "later", "later", "lost", "spare",
    ]);
    (what, 1..8_u64, any::<bool>()).prop_map(|(what, other, elsewhere)| match elsewhere {
        true => json!({ "do": what, "other": other }),
        false => json!({ "do": what }),
    })
}

fn jsep() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"type": "offer", "sdp": sdp::offer(&["0"])})),
        Just(json!({"type": "offer", "sdp": sdp::offer(&["0", "1"]), "trickle": false})),
        Just(json!({"type": "answer", "sdp": sdp::answer()})),
        Just(json!({"type": "offer", "sdp": "v=0"})),
        Just(json!({"type": "rollback", "sdp": ""})),
        Just(json!(7)),
    ]
}

fn request() -> impl Strategy<Value = Value> {
    let candidate = prop_oneof![
        Just(json!({"sdpMid": "0", "candidate": "candidate:1 1 udp 1 192.0.2.9 5000 typ host"})),
        Just(json!(null)),
        Just(json!({"sdpMid": 5})),
    ];
    let parts = (prop::option::weighted(0.9, body()), prop::option::of(jsep()), prop::option::of(candidate));
    (verb(), ids(), parts).prop_map(|(verb, (session, handle), (body, jsep, candidate))| {
        let mut request = json!({"janus": verb, "transaction": "t", "plugin": "janus.plugin.script"});
        for (name, value) in [
            ("session_id", session),
            ("handle_id", handle),
            // The script plugin answers only offers it was given.
            ("jsep", jsep.or_else(|| needs_offer(body.as_ref()))),
            ("body", body),
            ("candidate", candidate),
        ] {
            if let Some(value) = value {
                request[name] = value;
            }
        }
        request
    })
}

fn needs_offer(body: Option<&Value>) -> Option<Value> {
    let answers = body.is_some_and(|b| b["do"] == "answer");
    answers.then(|| json!({"type": "offer", "sdp": sdp::offer(&["0"])}))
}

fn step() -> impl Strategy<Value = Step> {
    let happening = prop::sample::select(vec![
        Happening::Up,
        Happening::Up,
        Happening::Hangup,
        Happening::Hangup,
        Happening::IceFailed,
        Happening::Panic,
        Happening::Candidate,
        Happening::Slow,
    ]);
    prop_oneof![
        60 => (0..3_u8, request()).prop_map(|(client, request)| Step::Ask(client, request)),
        1 => (0..3_u8).prop_map(Step::Gone),
        3 => (1..12_u64).prop_map(Step::Poll),
        25 => Just(Step::Local),
        25 => (2..7_u64, happening).prop_map(|(handle, what)| Step::Media(handle, what)),
        12 => (1..20_u64, prop::sample::select(vec![Ok(()), Err("no"), Err("panic")]))
            .prop_map(|(ticket, outcome)| Step::Task(ticket, outcome)),
        6 => (0..9000_u16).prop_map(Step::Pass),
    ]
}

fn client(number: u8) -> Client {
    match number {
        0 => HTTP,
        1 => WS,
        n => Client::Connection(n.into()),
    }
}

fn run(rig: &mut Rig, step: Step) {
    match step {
        Step::Ask(who, request) => rig.input_request(client(who), request),
        Step::Gone(0) => {}
        Step::Gone(who) => rig.input(Input::ClientGone { client: client(who) }),
        Step::Poll(session) => drop(rig.poll(session, None, None)),
        Step::Local => {
            let waiting = rig.negotiations.pop().and_then(|n| n.exchange.map(|e| (n.handle.get(), e)));
            if let Some((handle, exchange)) = waiting {
                rig.media(handle, MediaEvent::Local { exchange, transport: sdp::local() });
            }
        }
        Step::Media(handle, what) => rig.media(
            handle,
            match what {
                Happening::Up => MediaEvent::Up,
                Happening::Hangup => MediaEvent::Hangup { reason: "x".into() },
                Happening::IceFailed => MediaEvent::IceFailed,
                Happening::Panic => MediaEvent::DataReady,
                Happening::Candidate => MediaEvent::Candidate(Some(Box::new(sdp::candidate()))),
                Happening::Slow => {
                    let kind = portunus_sdp::MediaKind::Video;
                    MediaEvent::SlowLink { mid: "0".into(), kind, uplink: true, lost: 5 }
                }
            },
        ),
        Step::Task(ticket, outcome) => rig.task_done(ticket, outcome),
        Step::Pass(ms) => rig.pass(Duration::from_millis(ms.into())),
    }
}

/// Events only of open sessions, and every session opens and closes once.
fn check_order(out: &[String]) -> (usize, usize) {
    let (mut open, mut replies, mut closed) = (BTreeSet::new(), 0, 0);
    for line in out {
        let (kind, rest) = line.split_once(' ').unwrap();
        let number = |text: &str| text.split(' ').next().unwrap().parse::<u64>().unwrap();
        match kind {
            "opened" => assert!(open.insert(number(rest)), "opened twice: {line}"),
            "closed" => {
                assert!(open.remove(&number(rest)), "was not open: {line}");
                closed += 1;
            }
            "event" => {
                let event: Value = serde_json::from_str(rest).unwrap();
                assert!(open.contains(&event["session_id"].as_u64().unwrap()), "no session: {line}");
            }
            "reply" => replies += 1,
            _ => {}
        }
    }
    assert!(open.is_empty(), "still open: {open:?}");
    (replies, closed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_is_answered_and_nothing_is_left(
        steps in prop::collection::vec(step(), 1..120),
        reclaim in prop::sample::select(vec![0_u64, 10]),
    ) {
        std::panic::set_hook(Box::new(|_| {}));
        let settings = Settings {
            reclaim_session_timeout: Duration::from_secs(reclaim),
            full_trickle: reclaim == 0,
            max_handles_per_session: 3,
            broadcast: true,
            ..Settings::default()
        };
        let mut rig = Rig::new(settings);
        for (session, handles) in START {
            prop_assert_eq!(rig.create(), session);
            handles.iter().for_each(|h| assert_eq!(rig.attach(session), *h));
        }
        let asked = 6 + steps.iter().filter(|s| matches!(s, Step::Ask(..))).count();
        for step in steps {
            run(&mut rig, step);
            prop_assert!(rig.core.poll_timeout() > rig.now, "a wanted timeout lies in the past");
        }
        rig.pass(Duration::from_secs(130));
        prop_assert_eq!((rig.core.sessions(), rig.core.handles()), (0, 0));
        let calls = rig.take_calls();
        let told = calls.iter().filter_map(|call| call.strip_prefix("done ")?.split(' ').next());
        let told: Vec<&str> = told.filter(|ticket| *ticket != "1000").collect();
        let begun = rig.out.iter().filter(|line| line.starts_with("task ")).count();
        let once: BTreeSet<&str> = told.iter().copied().collect();
        prop_assert!(once.len() == told.len() && told.len() >= begun, "the plugin hears of each task's end once");
        let plugin_handles = calls.iter().fold(0_i64, |n, call| match call.split(' ').next() {
            Some("attach") => n + 1,
            Some("detach") => n - 1,
            _ => n,
        });
        prop_assert_eq!(plugin_handles, 0, "the plugin was told of every end");
        let (replies, _) = check_order(&rig.take());
        prop_assert_eq!(replies, asked);
        let _ = std::panic::take_hook();
    }
}
