//! A PeerConnection from offer and answer to the first frame.

use crate::api::{Failure, Handle};
use crate::engine::{Engine, Opened, PeerSpec, Schedule, SendSpec, Told};
use crate::options::Media;
use portunus_media::client::{Connection, Identity, Socket, addresses};
use portunus_sdp::{
    AnswerDirections, AnswerOptions, Candidate, CandidateAddress, CandidateKind, CandidateTransport, Codec,
    Description, Direction, Extension, LocalSsrc, LocalTransport, MediaKind, Negotiated, OfferCodec,
    OfferMedia, Origin, Plan, PlanMedia, ext, negotiate, write,
};
use serde_json::{Value, json};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Opus as Chromium sends it: 50 packets a second of 80 octets.
const OPUS_OCTETS: usize = 80;
const OPUS_NS: u64 = 20_000_000;
/// The layers of simulcast from best to poorest, and what part of the bitrate they have.
pub(crate) const LAYERS: [(&str, u64); 3] = [("h", 1), ("m", 3), ("l", 10)];
/// RFC 8445 section 5.1.2.1: a host candidate of component 1 with the highest local preference.
const HOST_PRIORITY: u32 = 126 << 24 | 65_535 << 8 | 255;

/// What all calls of a run share.
pub(crate) struct Caller {
    pub(crate) engine: Arc<Engine>,
    pub(crate) media: Media,
    identity: Identity,
    /// What sockets are bound to, and the addresses that the server is told.
    bind: IpAddr,
    tell: Vec<IpAddr>,
    patience: Duration,
    random: RandomState,
    drawn: AtomicU64,
}

/// A call that is set up.
pub(crate) struct Call {
    opened: Opened,
    told: UnboundedReceiver<Told>,
    /// What the gateway agreed to.
    pub(crate) agreed: Vec<Negotiated>,
}

/// What was offered and is not answered yet.
struct Offered {
    plan: Plan,
    ssrcs: Vec<LocalSsrc>,
    socket: Socket,
    connection: Connection,
}

/// When what had happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    pub(crate) up_ns: u64,
    /// Nothing if none was to come.
    pub(crate) media_ns: Option<u64>,
}

impl Times {
    const fn complete(&self, media: bool) -> bool {
        self.up_ns != 0 && (!media || self.media_ns.is_some())
    }
}

impl Caller {
    /// `address`: the only one to use; else all that can reach the server.
    pub(crate) fn new(
        engine: Arc<Engine>,
        media: Media,
        address: Option<IpAddr>,
        local_server: bool,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        let (bind, tell) = match address {
            Some(address) => (address, vec![address]),
            None => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), reachable(addresses()?, local_server)),
        };
        anyhow::ensure!(
            !tell.is_empty(),
            "this machine has no IPv4 address for media; name one with --address"
        );
        Ok(Self {
            engine,
            media,
            identity: Identity::generate()?,
            bind,
            tell,
            patience,
            random: RandomState::new(),
            drawn: AtomicU64::new(0),
        })
    }

    /// A number that nobody can guess.
    pub(crate) fn draw(&self) -> u64 {
        self.random.hash_one(self.drawn.fetch_add(1, Ordering::Relaxed))
    }

    fn ssrc(&self) -> u32 {
        (self.draw() >> 32) as u32 | 1
    }

    fn socket(&self) -> Result<(Socket, Vec<SocketAddr>), Failure> {
        let failed = |e: std::io::Error| Failure::plain(format!("no socket: {e}"));
        let socket = Socket::bind(SocketAddr::new(self.bind, 0)).map_err(failed)?;
        let port = socket.local().port();
        let locals = self.tell.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
        Ok((socket, locals))
    }

    /// Offers what is to be published in a message of this body, and takes the answer. With `back`, the gateway may send as well.
    pub(crate) async fn publish(&self, handle: &Handle, body: Value, back: bool) -> Result<Call, Failure> {
        let (offered, jsep) = self.offered(back)?;
        let event = handle.message(body, Some(jsep)).await?;
        self.take_answer(handle, offered, &event, self.media.simulcast && back).await
    }

    /// Calls somebody in a message of this body, and takes the answer when it comes.
    pub(crate) async fn dial(&self, handle: &mut Handle, body: Value) -> Result<Call, Failure> {
        let (offered, jsep) = self.offered(true)?;
        handle.message(body, Some(jsep)).await?;
        let event = self.described_event(handle).await?;
        self.take_answer(handle, offered, &event, false).await
    }

    /// The event with a description that comes by itself.
    pub(crate) async fn described_event(&self, handle: &mut Handle) -> Result<Value, Failure> {
        let until = tokio::time::Instant::now() + self.patience;
        loop {
            let event = tokio::time::timeout_at(until, handle.events.recv()).await;
            let event = event.map_err(|_| Failure::plain("no description in time"))?;
            let event = event.ok_or_else(|| Failure::plain("the connection is gone"))?;
            if event["jsep"].is_object() {
                return Ok(event);
            }
            if event["janus"] == "hangup" {
                return Err(Failure::plain("hung up by the server"));
            }
        }
    }

    fn offered(&self, back: bool) -> Result<(Offered, Value), Failure> {
        let (plan, ssrcs) = self.offer(back);
        let (socket, locals) = self.socket()?;
        let connection = Connection::offering(&self.identity, &locals);
        let local = described(&connection, &self.identity, &locals, ssrcs.clone());
        let jsep = json!({"type": "offer", "sdp": write(&plan, &local)});
        Ok((Offered { plan, ssrcs, socket, connection }, jsep))
    }

    async fn take_answer(
        &self,
        handle: &Handle,
        offered: Offered,
        event: &Value,
        layered: bool,
    ) -> Result<Call, Failure> {
        let Offered { plan, ssrcs, socket, mut connection } = offered;
        let answer = description(event)?;
        let agreed = negotiate(&answer, &plan);
        if let Some(refused) = agreed.iter().find(|n| !(n.active && n.send)) {
            return Err(Failure::plain(format!("the server does not take our {}", refused.kind.as_str())));
        }
        connection.set_remote(answer.transport(), Instant::now());
        let sends = self.sends(&agreed, &ssrcs, self.media.simulcast);
        let call = self.open(connection, socket, agreed, sends, layered);
        handle.end_candidates().await?;
        Ok(call)
    }

    /// Answers the offer of an event with a message of this body. With `back`, we send as well, one stream of each kind.
    pub(crate) async fn answer(
        &self,
        handle: &Handle,
        offer: &Value,
        body: Value,
        back: bool,
    ) -> Result<Call, Failure> {
        let offer = description(offer)?;
        let directions = if back { AnswerDirections::Mirror } else { AnswerDirections::Receive };
        let mut plan = Plan::answer(&offer, &AnswerOptions { directions, ..AnswerOptions::default() });
        self.without_repair(&mut plan);
        let agreed = negotiate(&offer, &plan);
        let (socket, locals) = self.socket()?;
        let connection = Connection::answering(&self.identity, &locals, offer.transport(), Instant::now());
        let repairs =
            |kind: &MediaKind| back && *kind == MediaKind::Video && self.engine.shared.settings.nack;
        let ssrc = |(media, mindex): (&PlanMedia, u16)| LocalSsrc {
            mindex,
            ssrc: self.ssrc(),
            rtx: repairs(&media.kind).then(|| self.ssrc()),
        };
        let ssrcs: Vec<_> = plan.media.iter().zip(0..).map(ssrc).collect();
        let sends = if back { self.sends(&agreed, &ssrcs, false) } else { Vec::new() };
        let local = described(&connection, &self.identity, &locals, ssrcs);
        let answer = json!({"type": "answer", "sdp": write(&plan, &local)});
        // Before the server knows where we are: its first packet must find somebody.
        let call = self.open(connection, socket, agreed, sends, self.media.simulcast);
        handle.message(body, Some(answer)).await?;
        handle.end_candidates().await?;
        Ok(call)
    }

    fn open(
        &self,
        connection: Connection,
        socket: Socket,
        agreed: Vec<Negotiated>,
        sends: Vec<SendSpec>,
        layered: bool,
    ) -> Call {
        let (sender, told) = unbounded_channel();
        let offset = (self.draw() >> 11) as f64 / (1_u64 << 53) as f64;
        let media = agreed.clone();
        let spec = PeerSpec { connection, socket, media, sends, layered, told: sender, offset };
        Call { opened: self.engine.open(spec), told, agreed }
    }

    /// Opus and VP8 with the extensions that Chromium offers and gateways take.
    fn offer(&self, back: bool) -> (Plan, Vec<LocalSsrc>) {
        let extension = |id, uri: &str| Extension { id, uri: uri.to_owned(), direction: None };
        let direction = if back { Direction::SendRecv } else { Direction::SendOnly };
        let line = |codec, extensions| OfferMedia {
            extensions,
            ..OfferMedia::rtp(OfferCodec::new(codec), direction)
        };
        let common =
            [extension(2, ext::ABS_SEND_TIME), extension(3, ext::TRANSPORT_WIDE_CC), extension(4, ext::MID)];
        let mut lines = Vec::new();
        if self.media.audio {
            let mut extensions = common.to_vec();
            extensions.push(extension(1, ext::AUDIO_LEVEL));
            lines.push(line(Codec::Opus, extensions));
        }
        if self.media.video {
            let mut extensions = common.to_vec();
            if self.media.simulcast {
                extensions.push(extension(10, ext::RID));
                extensions.push(extension(11, ext::REPAIRED_RID));
            }
            lines.push(line(Codec::Vp8, extensions));
        }
        let mut plan = Plan::offer(Origin::new(self.draw() >> 2, 1), "-", lines);
        self.without_repair(&mut plan);
        let mut ssrcs = Vec::new();
        for (media, mindex) in plan.media.iter_mut().zip(0..) {
            let video = media.kind == MediaKind::Video;
            if video && self.media.simulcast {
                // With rids the packets themselves say whose they are.
                media.attributes.extend(LAYERS.iter().map(|(rid, _)| format!("rid:{rid} send")));
                let all: Vec<&str> = LAYERS.iter().map(|(rid, _)| *rid).collect();
                media.attributes.push(format!("simulcast:send {}", all.join(";")));
                continue;
            }
            let rtx = (video && self.engine.shared.settings.nack).then(|| self.ssrc());
            ssrcs.push(LocalSsrc { mindex, ssrc: self.ssrc(), rtx });
        }
        (plan, ssrcs)
    }

    /// Takes back what asks for lost packets and repeats them, if that is switched off.
    fn without_repair(&self, plan: &mut Plan) {
        if self.engine.shared.settings.nack {
            return;
        }
        for payload in plan.media.iter_mut().flat_map(|media| &mut media.payloads) {
            payload.feedback.retain(|feedback| feedback != "nack");
            payload.rtx = None;
        }
    }

    /// The streams of what was agreed on; with `layers`, three of each video.
    fn sends(&self, agreed: &[Negotiated], ssrcs: &[LocalSsrc], layers: bool) -> Vec<SendSpec> {
        let settings = &self.engine.shared.settings;
        let video =
            |bitrate| Schedule::video(bitrate, settings.fps, settings.spacing, settings.keyframe_factor);
        let mut sends = Vec::new();
        for (line, media) in agreed.iter().enumerate() {
            if media.kind == MediaKind::Video && layers {
                for (rid, part) in LAYERS {
                    sends.push(SendSpec {
                        line,
                        ssrc: self.ssrc(),
                        rtx_ssrc: settings.nack.then(|| self.ssrc()),
                        rid: Some(rid.to_owned()),
                        schedule: video(self.media.bitrate / part),
                    });
                }
                continue;
            }
            let Some(ssrcs) = ssrcs.iter().find(|s| s.mindex == media.mindex) else { continue };
            let schedule = match media.kind {
                MediaKind::Video => video(self.media.bitrate),
                _ => Schedule::audio(OPUS_OCTETS, OPUS_NS),
            };
            sends.push(SendSpec { line, ssrc: ssrcs.ssrc, rtx_ssrc: ssrcs.rtx, rid: None, schedule });
        }
        sends
    }

    /// Waits until the call is up, and for the first frame if media are to come.
    pub(crate) async fn established(
        &self,
        handle: &mut Handle,
        call: &mut Call,
        media: bool,
    ) -> Result<Times, Failure> {
        let mut times = Times::default();
        // Janus lets others subscribe only once it has told the publisher that it is up, which is after we know.
        let mut both = media;
        let until = tokio::time::Instant::now() + self.patience;
        loop {
            let told = tokio::select! {
                told = call.told.recv() => told,
                event = handle.events.recv() => {
                    call.handle_event(event.as_ref())?;
                    both |= event.is_some_and(|event| event["janus"] == "webrtcup");
                    if both && times.complete(media) {
                        return Ok(times);
                    }
                    continue;
                }
                () = tokio::time::sleep_until(until) => {
                    let what = if times.up_ns == 0 { "no connection in time" } else { "no media in time" };
                    return Err(Failure::plain(what));
                }
            };
            match told {
                Some(Told::Up(at)) => times.up_ns = at,
                Some(Told::Media(at)) => times.media_ns = Some(at),
                Some(Told::Ended(why)) => return Err(Failure::plain(why)),
                None => return Err(Failure::plain("the client ended")),
            }
            if both && times.complete(media) {
                return Ok(times);
            }
        }
    }
}

impl Call {
    /// Takes what the server tells of a handle: its candidates, and that the call is over.
    fn handle_event(&self, event: Option<&Value>) -> Result<(), Failure> {
        let Some(event) = event else { return Err(Failure::plain("the connection is gone")) };
        match event["janus"].as_str() {
            Some("trickle") => {
                let text = event["candidate"]["candidate"].as_str().unwrap_or_default();
                if let Ok(candidate) = Candidate::parse(text) {
                    self.opened.add_candidate(candidate);
                }
                Ok(())
            }
            Some("hangup") => {
                let reason = event["reason"].as_str().unwrap_or_default();
                Err(Failure::plain(format!("hung up by the server: {reason}")))
            }
            Some("detached") => Err(Failure::plain("detached by the server")),
            _ => Ok(()),
        }
    }

    /// Waits until the call ends by itself, and says why.
    pub(crate) async fn ended(&mut self, handle: &mut Handle) -> Failure {
        loop {
            tokio::select! {
                told = self.told.recv() => match told {
                    Some(Told::Ended(why)) => return Failure::plain(why),
                    Some(_) => {}
                    None => return Failure::plain("the client ended"),
                },
                event = handle.events.recv() => {
                    if let Err(why) = self.handle_event(event.as_ref()) {
                        return handle.session.gone().unwrap_or(why);
                    }
                }
            }
        }
    }
}

fn reachable(all: Vec<IpAddr>, local_server: bool) -> Vec<IpAddr> {
    let usable = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_link_local() && (local_server || !ip.is_loopback()),
        IpAddr::V6(_) => false,
    };
    let mut some: Vec<IpAddr> = all.into_iter().filter(usable).collect();
    some.sort_by_key(IpAddr::is_loopback);
    some.dedup();
    some
}

fn described(
    connection: &Connection,
    identity: &Identity,
    locals: &[SocketAddr],
    ssrcs: Vec<LocalSsrc>,
) -> LocalTransport {
    let (ufrag, pwd) = connection.credentials();
    let candidate = |(local, n): (&SocketAddr, u32)| Candidate {
        foundation: (n + 1).to_string(),
        component: 1,
        transport: CandidateTransport::Udp,
        priority: HOST_PRIORITY - (n << 8),
        address: CandidateAddress::Ip(local.ip()),
        port: local.port(),
        kind: CandidateKind::Host,
        related: None,
        ufrag: None,
    };
    LocalTransport {
        ufrag: ufrag.to_owned(),
        pwd: pwd.to_owned(),
        fingerprint: identity.fingerprint().to_owned(),
        setup: connection.setup(),
        lite: false,
        candidates: locals.iter().zip(0..).map(candidate).collect(),
        address: locals.first().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), SocketAddr::ip),
        end_of_candidates: true,
        full_trickle: false,
        ssrcs,
    }
}

fn description(event: &Value) -> Result<Description, Failure> {
    let sdp =
        event["jsep"]["sdp"].as_str().ok_or_else(|| Failure::plain("the server sent no description"))?;
    Description::parse(sdp).map_err(|e| Failure::plain(format!("the server's description: {e}")))
}
