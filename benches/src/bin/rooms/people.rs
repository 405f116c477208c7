//! A publisher and its subscribers: what a page would do with janus.js, with our own engine for the media.

use crate::janus::Handle;
use crate::source::Source;
use anyhow::{Context, bail, ensure};
use portunus_media::bench::{Client, ClientPeer, Happening};
use portunus_sdp::{
    AnswerDirections, AnswerOptions, Codec, Description, Direction, Extension, LocalTransport, Negotiated,
    NegotiatedPayload, OfferCodec, OfferMedia, Origin, Plan, PlanMedia, ext, negotiate, write,
};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const ROOM: u64 = 1234;
const FEED: u64 = 1;
/// Nothing of ICE, DTLS and media takes longer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Somebody who publishes Opus and VP8 until dropped.
pub(crate) struct Publisher {
    quiet: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _handle: Handle,
}

impl Publisher {
    /// Makes the room, joins, publishes, and waits until media flows.
    pub(crate) fn join(gateway: SocketAddr, client: &Arc<Client>) -> anyhow::Result<Self> {
        let mut handle = Handle::attach(gateway)?;
        let room = json!({"request": "create", "room": ROOM, "publishers": 2, "audiocodec": "opus", "videocodec": "vp8"});
        handle.ask(room).context("creating the room")?;
        handle.message(json!({"request": "join", "ptype": "publisher", "room": ROOM, "id": FEED}), None)?;
        let plan = offer();
        let mut peer = client.peer();
        peer.negotiate(None, true, proposed(&plan));
        let sdp = write(&plan, &*local(&peer)?);
        let answer = handle.message(json!({"request": "publish"}), Some(jsep("offer", &sdp)))?;
        let answer = described(&answer)?;
        let agreed = negotiate(&answer, &plan);
        ensure!(
            agreed.iter().all(|n| n.active && n.send),
            "the gateway does not want what we offer: {agreed:?}"
        );
        peer.negotiate(Some(answer.transport().clone()), true, agreed.clone());
        handle.end_candidates()?;
        wait(&peer, |h| *h == Happening::Up)?;
        peer.prepare_feed(&agreed);
        let (quiet, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let mut source = Source::new(&agreed)?;
        let (hush, end) = (Arc::clone(&quiet), Arc::clone(&stop));
        let thread = std::thread::spawn(move || source.run(&peer, &hush, &end));
        Ok(Self { quiet, stop, thread: Some(thread), _handle: handle })
    }

    /// Sends nothing for a while, or sends again.
    pub(crate) fn be_quiet(&self, quiet: bool) {
        self.quiet.store(quiet, Ordering::Relaxed);
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Somebody who watches.
pub(crate) struct Subscriber {
    handle: Handle,
    peer: ClientPeer,
    asked: Instant,
    /// From the request to join to the gateway's offer, and to the end of the DTLS handshake.
    pub(crate) offered: Duration,
    pub(crate) up: Duration,
}

impl Subscriber {
    /// Joins and waits until ICE and DTLS are done.
    pub(crate) fn join(gateway: SocketAddr, client: &Arc<Client>) -> anyhow::Result<Self> {
        let mut handle = Handle::attach(gateway)?;
        let peer = client.peer();
        let asked = Instant::now();
        let join =
            json!({"request": "join", "ptype": "subscriber", "room": ROOM, "streams": [{"feed": FEED}]});
        let offer = described(&handle.message(join, None)?)?;
        let offered = asked.elapsed();
        let options = AnswerOptions { directions: AnswerDirections::Receive, ..AnswerOptions::default() };
        let plan = Plan::answer(&offer, &options);
        let agreed = negotiate(&offer, &plan);
        ensure!(
            agreed.len() == 2 && agreed.iter().all(|n| n.receive),
            "the gateway offers little: {agreed:?}"
        );
        peer.negotiate(Some(offer.transport().clone()), false, agreed);
        let sdp = write(&plan, &*local(&peer)?);
        handle.message(json!({"request": "start"}), Some(jsep("answer", &sdp)))?;
        handle.end_candidates()?;
        let up = wait(&peer, |h| *h == Happening::Up)? - asked;
        Ok(Self { handle, peer, asked, offered, up })
    }

    /// From the request to join to the first packet of a keyframe; waits for it.
    pub(crate) fn first_frame(&self) -> anyhow::Result<Duration> {
        Ok(wait(&self.peer, |h| *h == Happening::Keyframe)? - self.asked)
    }

    pub(crate) fn leave(mut self) -> anyhow::Result<()> {
        self.handle.leave()
    }
}

/// Waits for something to happen; returns when it did.
fn wait(peer: &ClientPeer, what: impl Fn(&Happening) -> bool) -> anyhow::Result<Instant> {
    loop {
        match peer.next(PATIENCE).context("no connection, or no media")? {
            (at, happening) if what(&happening) => return Ok(at),
            (_, Happening::Closed(reason)) => bail!("closed: {reason}"),
            _ => {}
        }
    }
}

fn local(peer: &ClientPeer) -> anyhow::Result<Box<LocalTransport>> {
    match peer.next(PATIENCE)? {
        (_, Happening::Local(transport)) => Ok(transport),
        (_, other) => bail!("no description but {other:?}"),
    }
}

fn jsep(kind: &str, sdp: &str) -> Value {
    json!({"type": kind, "sdp": sdp})
}

fn described(event: &Value) -> anyhow::Result<Description> {
    let sdp = event["jsep"]["sdp"].as_str().with_context(|| format!("no description in {event}"))?;
    Ok(Description::parse(sdp)?)
}

/// Opus and VP8 with the extensions that browsers and Janus agree on.
fn offer() -> Plan {
    let extension = |id, uri: &str| Extension { id, uri: uri.to_owned(), direction: None };
    let line = |codec, extensions| OfferMedia {
        extensions,
        ..OfferMedia::rtp(OfferCodec::new(codec), Direction::SendOnly)
    };
    let common = [extension(3, ext::TRANSPORT_WIDE_CC), extension(4, ext::MID)];
    let lines = vec![line(Codec::Opus, common.to_vec()), line(Codec::Vp8, common.to_vec())];
    Plan::offer(Origin::new(1, 1), "-", lines)
}

/// What an offer of ours will come to if all of it is taken.
fn proposed(plan: &Plan) -> Vec<Negotiated> {
    plan.media.iter().zip(0..).map(|(line, mindex)| proposed_line(line, mindex)).collect()
}

fn proposed_line(line: &PlanMedia, mindex: u16) -> Negotiated {
    let payload = |p: &portunus_sdp::Payload| NegotiatedPayload {
        pt: p.pt,
        name: p.name.clone(),
        codec: Codec::of(p),
        clock_rate: p.clock_rate,
        channels: p.channels,
        fmtp: p.fmtp.clone(),
        rtx: p.rtx,
        nack: p.has_feedback("nack"),
        pli: p.has_feedback("nack pli"),
        fir: p.has_feedback("ccm fir"),
        remb: p.has_feedback("goog-remb"),
        twcc: p.has_feedback("transport-cc"),
    };
    Negotiated {
        mindex,
        mid: line.mid.clone(),
        kind: line.kind.clone(),
        active: true,
        receive: line.direction.receives(),
        send: line.direction.sends(),
        payloads: line.payloads.iter().map(payload).collect(),
        extensions: line.extensions.iter().map(|e| (e.id, e.uri.clone())).collect(),
        remote_ssrcs: Vec::new(),
        rids: Vec::new(),
        msid: None,
        sctp_port: None,
        max_message_size: None,
    }
}
