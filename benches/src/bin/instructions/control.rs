//! What signalling costs: from the text of a request to that of its reply, and descriptions.

use crate::{bench, work};
use anyhow::{Context, Result, ensure};
use portunus_api::JsonFormat;
use portunus_core::{Client, Core, Input, Output, Settings};
use portunus_plugin::recording::Places;
use portunus_plugin_echotest::EchoTest;
use portunus_sdp::{AnswerOptions, Candidate, Description, LocalSsrc, LocalTransport, Plan, Setup, write};
use serde_json::Value;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::{Duration, Instant};

/// Sessions that each request is sent in.
const SESSIONS: usize = 200;
/// What Chromium offers with a microphone, a camera and a data channel.
const OFFER: &str = include_str!("../../../../crates/sdp/tests/fixtures/offers/chromium-av-data.sdp");

pub(crate) fn run() -> Result<()> {
    requests()?;
    descriptions()
}

/// A core with the echo test, and one client on a WebSocket.
struct Gateway {
    core: Core,
    now: Instant,
    key: u64,
}

impl Gateway {
    fn new() -> Self {
        let now = Instant::now();
        let places = Places::new(Path::new("/"), &[], &[]);
        let mut id = 0_u64;
        let random = move || {
            id = id.wrapping_add(0x9e37_79b9_7f4a_7c15);
            id
        };
        let plugins: Vec<Box<dyn portunus_plugin::Plugin>> = vec![Box::new(EchoTest::new(false, places))];
        Self { core: Core::new(Settings::default(), plugins, Box::new(random), now), now, key: 0 }
    }

    /// The texts that follow from a request: its reply and events.
    fn ask(&mut self, request: &str) -> Result<Vec<String>> {
        self.key += 1;
        let body = portunus_transport::parse(black_box(request).as_bytes()).ok().context("JSON")?;
        let input = Input::Request {
            key: self.key,
            client: Client::Connection(1),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            origin: 1,
            body,
        };
        self.core.handle_input(input, self.now, Duration::from_secs(1_700_000_000));
        let mut texts = Vec::new();
        while let Some(output) = self.core.poll_output() {
            if let Output::Reply { json, .. } | Output::Event { json, .. } = output {
                texts.push(JsonFormat::Compact.write(&json));
            }
        }
        Ok(texts)
    }
}

/// One call of each of the requests of a call, in a gateway with many sessions.
fn requests() -> Result<()> {
    let mut gateway = Gateway::new();
    let mut ids = Vec::new();
    let create = r#"{"janus":"create","transaction":"XpNmWQzE0uAY"}"#;
    bench("request-create", SESSIONS, |counted| {
        let replies = work(counted, || gateway.ask(create))?;
        ids.push((id_of(&replies)?, 0));
        Ok(1)
    })?;
    let mut turn = 0..;
    bench("request-attach", SESSIONS, |counted| {
        let (session, handle) = ids.get_mut(turn.next().unwrap_or(0)).context("a session")?;
        let attach = format!(
            r#"{{"janus":"attach","plugin":"janus.plugin.echotest","opaque_id":"echotest-EdJJ5J1e7vRA","transaction":"Ab","session_id":{session}}}"#
        );
        *handle = id_of(&work(counted, || gateway.ask(&attach))?)?;
        Ok(1)
    })?;
    for (name, verb, replies) in [
        ("request-message", r#""message","body":{"audio":true,"video":true,"bitrate":128000}"#, 2),
        ("request-keepalive", r#""keepalive""#, 1),
        ("request-detach", r#""detach""#, 2),
        ("request-destroy", r#""destroy""#, 1),
    ] {
        let mut turn = ids.iter();
        bench(name, SESSIONS, |counted| {
            let (session, handle) = turn.next().context("a session")?;
            let at = if replies == 1 { String::new() } else { format!(r#","handle_id":{handle}"#) };
            let request =
                format!(r#"{{"janus":{verb},"transaction":"eXpNmWQzE0uA","session_id":{session}{at}}}"#);
            let texts = work(counted, || gateway.ask(&request))?;
            let fine = texts.first().is_some_and(|t| t.contains("\"ack\"") || t.contains("\"success\""));
            ensure!(fine, "{request} was answered by {texts:?}");
            Ok(1)
        })?;
    }
    Ok(())
}

fn id_of(replies: &[String]) -> Result<u64> {
    let reply: Value = serde_json::from_str(replies.first().context("a reply")?)?;
    reply.pointer("/data/id").and_then(Value::as_u64).with_context(|| format!("no id in {reply}"))
}

/// Reading an offer, and making and writing the answer.
fn descriptions() -> Result<()> {
    bench("sdp-read-offer", 50, |counted| {
        work(counted, || Description::parse(black_box(OFFER)).map(drop))?;
        Ok(1)
    })?;
    let offer = Description::parse(OFFER)?;
    let ssrcs = (0..2).map(|mindex| LocalSsrc { mindex, ssrc: 1000, rtx: (mindex == 1).then_some(2000) });
    let local = LocalTransport {
        ufrag: "aBcD".to_owned(),
        pwd: "aBcDeFgHiJkLmNoPqRsTuV".to_owned(),
        fingerprint: ["AB"; 32].join(":"),
        setup: Setup::Active,
        lite: false,
        candidates: vec![Candidate::parse("1 1 udp 2015363327 192.0.2.1 10000 typ host")?],
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        end_of_candidates: true,
        full_trickle: false,
        ssrcs: ssrcs.collect(),
    };
    bench("sdp-write-answer", 50, |counted| {
        let text = work(counted, || write(&Plan::answer(&offer, &AnswerOptions::default()), &local));
        ensure!(text.contains("m=video"), "{text}");
        Ok(1)
    })
}
