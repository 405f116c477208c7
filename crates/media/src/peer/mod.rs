//! One peer: its ICE, DTLS, SRTP and SCTP, its m-lines. Told the time, owned by one worker, no sockets.
//!
//! A peer goes through [`Stage`]: until ICE has a validated path nothing but STUN is looked at; until DTLS has
//! compared fingerprints nothing but DTLS; only then do RTP, RTCP and SCTP exist. What may not happen yet is
//! dropped and counted, and makes no state.

mod bandwidth;
mod burst;
mod data;
mod feedback;
mod forwarded;
mod held;
mod keyframe;
mod line;
mod merged;
mod mirrored;
mod narrate;
mod negotiate;
mod receive;
mod recorded;
mod relayed;
mod report;
mod send;
mod speaker;

pub(crate) use forwarded::Outlet;
pub(crate) use held::trickle;
pub(crate) use line::{Layout, Shed, source_store};
pub(crate) use receive::{Ready, equalise};
pub(crate) use send::Resend;

use crate::addresses::Advertised;
use crate::clock::Clock;
use crate::dtls::{Dtls, DtlsConfig, DtlsOutput, Role};
use crate::egress::{Egress, Link, Path, Sockets};
use crate::ice::{CONSENT, Heard, Ice};
use crate::random::Random;
use crate::sctp::Sctp;
use crate::settings::Settings;
use crate::socket::SLOT;
use crate::tcp::Connections;
use bandwidth::Bandwidth;
use held::Held;
use line::Line;
use mirrored::Mirrored;
use portunus_bwe::Costs;
use portunus_plugin::HandleId;
use portunus_plugin::media::{MediaEvent, Tap, Tapped};
use portunus_plugin::report::Traffic;
use portunus_rtp::codec::dependency::DependencyStructure;
use portunus_rtp::extension::ExtensionMap;
use portunus_rtp::twcc::FeedbackRecorder;
use portunus_sdp::{Candidate, Fingerprint, LocalSsrc, Setup};
use portunus_srtp::{Opener, Profile, Sealer};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// ICE must have a path this long after the client's description, or the peer fails.
const ICE_LIMIT: Duration = Duration::from_secs(30);
/// After lost consent the peer is kept so long for an ICE restart (`hangup_on_failed` off).
const RESTART_GRACE: Duration = Duration::from_secs(30);
/// Browsers check a path they use every 2.5 seconds.
const IN_TOUCH: Duration = Duration::from_secs(6);
/// Nothing sleeps longer than this.
const LONGEST_SLEEP: Duration = Duration::from_secs(2);

/// What a peer may use of its worker during a call.
pub(crate) struct PeerCx<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) clock: &'a Clock,
    pub(crate) egress: &'a mut Egress,
    pub(crate) ready: &'a mut Vec<Ready>,
    pub(crate) events: &'a mut VecDeque<(HandleId, MediaEvent)>,
    pub(crate) random: &'a mut Random,
    pub(crate) connections: &'a Connections,
    pub(crate) sockets: &'a Sockets,
}

/// What feeds a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feeder {
    /// A peer of this worker.
    Peer(usize),
    /// A mirror of a line of another worker's peer.
    Mirror(usize),
}

/// How far the peer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No validated path yet; fails at the instant, which is there once the client's description is.
    Connecting { until: Option<Instant> },
    /// DTLS is running.
    Securing,
    /// Media flows.
    Up,
    /// The peer stopped consenting; freed at the instant unless ICE comes back.
    Lost { until: Instant },
}

/// Datagrams that a peer dropped, by reason.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Refused {
    /// Not allowed at this stage.
    pub(crate) early: u64,
    /// SRTP: forged, damaged or malformed.
    pub(crate) forged: u64,
    /// SRTP: seen before, or too old to tell.
    pub(crate) replayed: u64,
    /// RTP of no negotiated stream.
    pub(crate) unknown_stream: u64,
    /// Cannot be parsed.
    pub(crate) malformed: u64,
    /// No room to send.
    pub(crate) no_room: u64,
    /// Waited too long for the client's network.
    pub(crate) stale: u64,
    /// Of pictures that an overloaded worker left out.
    pub(crate) overload: u64,
}

impl Refused {
    pub(crate) fn add(&mut self, other: Self) {
        self.early += other.early;
        self.forged += other.forged;
        self.replayed += other.replayed;
        self.unknown_stream += other.unknown_stream;
        self.malformed += other.malformed;
        self.no_room += other.no_room;
        self.stale += other.stale;
        self.overload += other.overload;
    }
}

struct Srtp {
    profile: Profile,
    sealer: Sealer,
    opener: Opener,
    /// Who gets a copy of everything.
    tap: Option<Arc<dyn Tap>>,
}

impl Srtp {
    /// Shows the tap, if there is one, the first `len` bytes of a packet that is about to be sealed.
    #[inline]
    fn show(&self, packet: &[u8], len: usize) {
        if let (Some(tap), Some(packet)) = (&self.tap, packet.get(..len)) {
            tap.packet(false, Tapped::Rtp(packet));
        }
    }
}

/// See the module.
pub(crate) struct Peer {
    handle: HandleId,
    ice: Ice,
    stage: Stage,
    /// When there was a path, and when it was secure.
    found_path: Option<Instant>,
    secured: Option<Instant>,
    /// Our candidates, while they are kept back.
    held: Option<Box<Held>>,
    /// For how long they were.
    kept_back: Option<Duration>,
    setup: Setup,
    remote_fingerprint: Option<Fingerprint>,
    dtls_config: Arc<DtlsConfig>,
    dtls: Option<Dtls>,
    /// The newest DTLS packet that came before its path was validated, and that path.
    early_hello: Option<(Path, Box<[u8]>)>,
    srtp: Option<Srtp>,
    tap: Option<Arc<dyn Tap>>,
    sctp: Option<Sctp>,
    sctp_port: Option<u16>,
    lines: Vec<Line>,
    /// Known received streams.
    streams: Vec<Stream>,
    /// Extensions of all m-lines together: with BUNDLE an id means the same everywhere.
    extensions: ExtensionMap,
    twcc: Option<FeedbackRecorder>,
    transport_sequence: u16,
    /// Once video is sent.
    bandwidth: Option<Box<Bandwidth>>,
    /// A sink is automatic: its packets may have to wait.
    paced: bool,
    feedback_ssrc: u32,
    cap: u32,
    peer_bitrate: u32,
    /// Messages of data channels that came, and that went.
    data_in: Traffic,
    data_out: Traffic,
    /// Seconds since statistics were told.
    untold: u32,
    due: Due,
    own_sockets: Vec<usize>,
    /// Nothing but what goes through a TURN server.
    relay_only: bool,
    wake_at: Option<Instant>,
    closing: Option<String>,
    /// Something happened that may move the next time-out.
    stirred: bool,
    resends: Vec<Resend>,
    wanted_keyframes: Vec<(Feeder, usize, Option<u8>)>,
    /// Who mirrors lines of ours.
    mirrors: Vec<Mirrored>,
    /// Packets and messages that forwarders sent.
    forwarded: u64,
    pub(crate) refused: Refused,
}

/// An SSRC and what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stream {
    ssrc: u32,
    line: usize,
    source: usize,
    rtx: bool,
}

/// When the periodic duties are due.
#[derive(Clone, Copy, Debug)]
struct Due {
    report: Instant,
    twcc: Option<Instant>,
    second: Instant,
}

impl Peer {
    pub(crate) fn new(
        handle: HandleId,
        credentials: (String, String),
        offering: bool,
        settings: &Settings,
        dtls_config: Arc<DtlsConfig>,
        random: &mut Random,
        now: Instant,
    ) -> Self {
        let (ufrag, pwd) = credentials;
        Self {
            handle,
            ice: Ice::new(ufrag, pwd, settings.ice_lite, offering),
            stage: Stage::Connecting { until: None },
            found_path: None,
            secured: None,
            held: Held::new(settings).map(Box::new),
            kept_back: None,
            setup: Setup::ActPass,
            remote_fingerprint: None,
            dtls_config,
            dtls: None,
            early_hello: None,
            srtp: None,
            tap: None,
            sctp: None,
            sctp_port: None,
            lines: Vec::new(),
            streams: Vec::new(),
            extensions: ExtensionMap::new(),
            twcc: None,
            transport_sequence: 0,
            bandwidth: None,
            paced: false,
            feedback_ssrc: random.next_u32() | 1,
            cap: 0,
            peer_bitrate: 0,
            data_in: Traffic::default(),
            data_out: Traffic::default(),
            untold: 0,
            due: Due { report: now, twcc: None, second: now },
            own_sockets: Vec::new(),
            relay_only: false,
            wake_at: None,
            closing: None,
            stirred: true,
            resends: Vec::new(),
            wanted_keyframes: Vec::new(),
            mirrors: Vec::new(),
            forwarded: 0,
            refused: Refused::default(),
        }
    }

    // === what the worker asks ===

    pub(crate) const fn handle(&self) -> HandleId {
        self.handle
    }

    pub(crate) fn ufrag(&self) -> &str {
        self.ice.ufrag()
    }

    pub(crate) fn pwd(&self) -> &str {
        self.ice.pwd()
    }

    /// Of the certificate this peer is shown: that of its beginning, whatever was loaded since.
    pub(crate) fn fingerprint(&self) -> &str {
        self.dtls_config.fingerprint()
    }

    pub(crate) const fn setup(&self) -> Setup {
        self.setup
    }

    /// No path was ever found.
    pub(crate) const fn is_new(&self) -> bool {
        matches!(self.stage, Stage::Connecting { .. })
    }

    pub(crate) fn own(&mut self, sockets: Vec<usize>) {
        self.own_sockets = sockets;
    }

    pub(crate) fn own_sockets(&self) -> &[usize] {
        &self.own_sockets
    }

    pub(crate) fn local_ssrcs(&self) -> Vec<LocalSsrc> {
        let with_sink = self.lines.iter().enumerate().filter_map(|(i, l)| Some((i, l, l.sink.as_ref()?)));
        with_sink
            .filter_map(|(i, line, sink)| {
                let rtx = line.payload_types.rtx.map(|_| sink.rtx_ssrc);
                Some(LocalSsrc { mindex: u16::try_from(i).ok()?, ssrc: sink.ssrc, rtx })
            })
            .collect()
    }

    pub(crate) fn find_line(&self, mid: &str) -> Option<usize> {
        self.lines.iter().position(|l| l.mid == mid)
    }

    /// Sink `n` of a line.
    pub(crate) fn subscriber(&self, line: usize, n: usize) -> Option<(usize, usize)> {
        self.lines.get(line)?.subscribers.get(n).copied()
    }

    pub(crate) fn count_subscribers(&self, line: usize) -> usize {
        self.lines.get(line).map_or(0, |l| l.subscribers.len())
    }

    /// When the rest of a frame that has begun should be there, if it is worth waiting for; see [`burst`].
    pub(crate) fn frame_complete_at(&self, line: usize, source: usize, most_us: u32) -> Option<u64> {
        let line = self.lines.get(line).filter(|l| l.is_video() && !l.subscribers.is_empty())?;
        line.sources.get(source)?.bursts.complete_at(most_us)
    }

    /// Lines whose pictures go to somebody.
    pub(crate) fn shown_lines(&self) -> impl Iterator<Item = usize> {
        let lines = self.lines.iter().enumerate();
        lines.filter(|(_, l)| l.is_video() && l.receive && !l.subscribers.is_empty()).map(|(line, _)| line)
    }

    /// Some sink chooses among layers.
    pub(crate) fn has_layers(&self) -> bool {
        let sinks = self.lines.iter().filter_map(|l| l.sink.as_ref());
        sinks.filter(|s| s.from.is_some()).any(|s| !matches!(s.choice, line::Choice::All))
    }

    pub(crate) fn add_subscriber(&mut self, line: usize, sink: (usize, usize)) {
        if let Some(l) = self.lines.get_mut(line)
            && !l.subscribers.contains(&sink)
        {
            l.subscribers.push(sink);
        }
    }

    pub(crate) fn remove_subscriber(&mut self, line: usize, sink: (usize, usize)) {
        if let Some(l) = self.lines.get_mut(line) {
            l.subscribers.retain(|s| *s != sink);
        }
    }

    pub(crate) fn is_video(&self, line: usize) -> bool {
        self.lines.get(line).is_some_and(Line::is_video)
    }

    /// The dependency structure of a source, if it is scalable.
    pub(crate) fn structure(&self, line: usize, source: usize) -> Option<Arc<DependencyStructure>> {
        self.lines.get(line)?.sources.get(source)?.structure.clone()
    }

    pub(crate) fn source_layout(&self, line: usize) -> Option<Layout> {
        self.lines.get(line)?.layout()
    }

    /// What the layers of a source take.
    pub(crate) fn costs(&self, line: usize, now_us: u64) -> Costs {
        self.lines.get(line).map(|l| l.meter.costs(l.is_simulcast(), now_us)).unwrap_or_default()
    }

    /// Measures packets that came in on a line.
    pub(crate) fn measure(&mut self, line: usize, packets: &[Ready], now_us: u64) {
        if let Some(l) = self.lines.get_mut(line) {
            let simulcast = l.is_simulcast();
            l.meter.on_packets(packets, simulcast, now_us);
        }
    }

    /// The layout of each line.
    pub(crate) fn layouts(&self) -> Vec<Option<Layout>> {
        self.lines.iter().map(Line::layout).collect()
    }

    /// A peer is gone: nothing goes to it or comes from it.
    pub(crate) fn forget_peer(&mut self, key: usize) {
        for line in &mut self.lines {
            line.subscribers.retain(|(peer, _)| *peer != key);
            line.lose_source(Feeder::Peer(key));
        }
    }

    /// What fed the sink of `line` is gone.
    pub(crate) fn lose_source(&mut self, line: usize, feeder: Feeder) {
        if let Some(line) = self.lines.get_mut(line) {
            line.lose_source(feeder);
        }
    }

    /// Shows every packet to this tap from now on.
    pub(crate) fn capture(&mut self, tap: Option<Arc<dyn Tap>>) {
        if let Some(srtp) = &mut self.srtp {
            srtp.tap.clone_from(&tap);
        }
        self.tap = tap;
    }

    /// Why the peer is to be closed, if it is.
    pub(crate) fn closing(&mut self) -> Option<String> {
        self.closing.take()
    }

    /// Whether the next time-out has to be computed again.
    pub(crate) fn take_stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred)
    }

    pub(crate) fn take_resends(&mut self) -> Vec<Resend> {
        std::mem::take(&mut self.resends)
    }

    /// Keyframes that our sinks need of what feeds them: source, its line, substream.
    pub(crate) fn take_wanted_keyframes(&mut self) -> Vec<(Feeder, usize, Option<u8>)> {
        std::mem::take(&mut self.wanted_keyframes)
    }

    // === ICE ===

    pub(crate) fn add_local(&mut self, address: &Advertised) {
        match address.relay {
            Some(relay) => self.ice.add_relay(relay.link, address.local),
            None => self.ice.add_local(address.local, address.tcp),
        }
    }

    pub(crate) fn add_candidate(&mut self, cx: &mut PeerCx<'_>, candidate: Option<&Candidate>, now: Instant) {
        self.stirred = true;
        self.note_remote(candidate);
        if let Some(c) = candidate
            && self.ice.add_remote(c)
        {
            self.drive_ice(cx, now);
        }
    }

    /// Still looking for a path: answers to our checks may come from anywhere.
    pub(crate) fn is_checking(&self) -> bool {
        self.ice.is_checking()
    }

    pub(crate) fn accepts(&self, message: &is::stun::StunMessage<'_>) -> bool {
        self.ice.accepts(message)
    }

    pub(crate) fn handle_stun(
        &mut self,
        cx: &mut PeerCx<'_>,
        message: is::stun::StunMessage<'_>,
        path: Path,
        local: SocketAddr,
        now: Instant,
    ) -> Option<Heard> {
        if self.relay_only && !matches!(path.link, Link::Relay(_)) {
            return None;
        }
        self.stirred = true;
        let heard = self.ice.handle_stun(now, message, path, local)?;
        self.send_ice(cx, now);
        if let Some(remapped) = heard.remapped {
            self.tell_remapped(remapped);
        }
        if heard.selected.is_some() {
            self.on_path(cx, now);
        }
        if matches!(self.stage, Stage::Lost { .. }) && self.has_consent(cx.settings, now) {
            self.stage = if self.srtp.is_some() || self.is_connected() { Stage::Up } else { Stage::Securing };
        }
        Some(heard)
    }

    /// Whether the peer uses this path and was heard of lately.
    pub(crate) fn is_in_touch(&self, path: Path, now: Instant) -> bool {
        let lately = |at: Instant| now.saturating_duration_since(at) < IN_TOUCH;
        self.ice.selected() == Some(path) && self.ice.heard().is_some_and(lately)
    }

    pub(crate) fn forget_link(&mut self, link: Link) {
        self.ice.forget_link(link);
    }

    fn drive_ice(&mut self, cx: &mut PeerCx<'_>, now: Instant) {
        if self.ice.handle_timeout(now).is_some() {
            self.on_path(cx, now);
        }
        self.send_ice(cx, now);
    }

    fn send_ice(&mut self, cx: &mut PeerCx<'_>, now: Instant) {
        let (own, held) = (&self.own_sockets, &mut self.held);
        let (sockets, connections, egress) = (cx.sockets, cx.connections, &mut *cx.egress);
        let mut send = |bytes: &[u8], from: SocketAddr, to: SocketAddr, tcp: bool| {
            let link = if let Some(relay) = egress.relays.find(from) {
                Some(Link::Relay(relay))
            } else if tcp {
                connections.find(to).map(Link::Tcp)
            } else {
                let mine = |i: usize| own.is_empty() || own.contains(&i);
                sockets.iter().find(|(i, s)| s.local() == from && mine(*i)).map(|(i, _)| Link::Udp(i))
            };
            if let Some(link) = link {
                egress.push(bytes, Path { link, remote: to });
                if let Some(held) = held {
                    held.on_check(to, now);
                }
            }
        };
        while self.ice.poll_transmit(&mut send).is_some() {}
    }

    /// There is a (new) path to send on.
    fn on_path(&mut self, cx: &mut PeerCx<'_>, now: Instant) {
        self.tell_path(cx);
        if matches!(self.stage, Stage::Connecting { .. }) {
            self.stage = Stage::Securing;
            self.found_path = Some(now);
            self.start_dtls(cx, now);
        }
    }

    fn has_consent(&self, settings: &Settings, now: Instant) -> bool {
        !settings.consent_freshness
            || self.ice.heard().is_some_and(|at| now.saturating_duration_since(at) < CONSENT)
    }

    // === DTLS ===

    fn start_dtls(&mut self, cx: &mut PeerCx<'_>, now: Instant) {
        let Some(fingerprint) = self.remote_fingerprint.as_ref().and_then(dtls_fingerprint) else { return };
        if self.dtls.is_some() {
            return;
        }
        let role = if self.setup == Setup::Active { Role::Client } else { Role::Server };
        let mut dtls = Dtls::new(&self.dtls_config, role, fingerprint);
        dtls.start(now);
        Self::tell_handshake(cx, self.handle, false, 0);
        if let Some((path, hello)) = self.early_hello.take()
            && self.ice.selected() == Some(path)
        {
            dtls.handle_packet(now, &hello);
        }
        self.dtls = Some(dtls);
        self.drain_dtls(cx, now);
    }

    pub(crate) fn handle_dtls(&mut self, cx: &mut PeerCx<'_>, bytes: &[u8], path: Path, now: Instant) {
        self.stirred = true;
        match &mut self.dtls {
            Some(dtls) => dtls.handle_packet(now, bytes),
            None => {
                // The client's check has succeeded and ours has not: its first flight, kept unread until ICE is done
                // with this path, spares it a retransmission.
                if self.is_new() && bytes.len() <= SLOT {
                    self.early_hello = Some((path, bytes.into()));
                }
                self.refused.early += 1;
                return;
            }
        }
        self.drain_dtls(cx, now);
    }

    fn drain_dtls(&mut self, cx: &mut PeerCx<'_>, now: Instant) {
        while let Some(output) = self.dtls.as_mut().and_then(Dtls::poll_output) {
            match output {
                DtlsOutput::Transmit(bytes) => {
                    if let Some(path) = self.ice.selected() {
                        cx.egress.push(&bytes, path);
                    }
                }
                DtlsOutput::Connected(keys) => self.on_secured(cx, keys, now),
                DtlsOutput::Data(bytes) => self.handle_sctp(cx, &bytes, now),
                DtlsOutput::Closed => self.close_because("DTLS alert"),
                DtlsOutput::Failed(error) => {
                    tracing::info!(handle = %self.handle, %error, "DTLS failed");
                    self.close_because(dtls_reason(&error));
                }
            }
        }
    }

    fn on_secured(&mut self, cx: &mut PeerCx<'_>, keys: Option<crate::dtls::SrtpKeys>, now: Instant) {
        if let Some(keys) = keys {
            let (profile, opener) = (keys.profile, Opener::new(&keys.remote));
            match (Sealer::new(keys.local), opener) {
                (Ok(sealer), Ok(opener)) => {
                    self.srtp = Some(Srtp { profile, sealer, opener, tap: self.tap.clone() });
                }
                (Err(error), _) | (_, Err(error)) => {
                    tracing::warn!(handle = %self.handle, %error, "SRTP keys refused");
                    self.close_because("DTLS-SRTP stack error");
                    return;
                }
            }
            tracing::info!(handle = %self.handle, ?profile, "secure");
        } else if self.lines.iter().any(|l| l.kind.is_rtp() && l.active) {
            self.close_because("DTLS-SRTP stack error");
            return;
        }
        self.stage = Stage::Up;
        self.secured = Some(now);
        self.due.report = now + feedback::FIRST_REPORT;
        self.due.second = now + Duration::from_secs(1);
        Self::tell_handshake(cx, self.handle, true, self.dtls.as_ref().map_or(0, Dtls::retransmissions));
        cx.events.push_back((self.handle, MediaEvent::Up));
        self.start_sctp(cx, now);
        for line in 0..self.lines.len() {
            self.request_keyframe(cx, line, None, now);
        }
        self.wish_keyframes();
        self.send_remb(cx);
    }

    fn is_connected(&self) -> bool {
        self.dtls.as_ref().is_some_and(Dtls::is_connected)
    }

    /// Packets of a source have somewhere to go.
    pub(crate) fn can_send(&self) -> bool {
        self.open_path().is_some()
    }

    /// Whether media may be sent, and where.
    fn open_path(&self) -> Option<Path> {
        if self.stage == Stage::Up { self.ice.selected() } else { None }
    }

    fn close_because(&mut self, reason: &str) {
        self.closing.get_or_insert_with(|| reason.to_owned());
    }

    /// Says good-bye. The peer is dropped afterwards.
    pub(crate) fn close(&mut self, egress: &mut Egress, now: Instant) {
        let Some(path) = self.ice.selected() else { return };
        let Some(dtls) = &mut self.dtls else { return };
        dtls.close(now);
        while let Some(output) = dtls.poll_output() {
            if let DtlsOutput::Transmit(bytes) = output {
                egress.push(&bytes, path);
            }
        }
    }

    /// Seals and sends a packet as it is: the client's side of simulations.
    #[cfg(test)]
    pub(crate) fn inject_rtp(&mut self, cx: &mut PeerCx<'_>, packet: &[u8]) {
        let (Some(path), Some(srtp)) = (self.open_path(), &mut self.srtp) else { panic!("not up") };
        let room = cx.egress.room();
        room[..packet.len()].copy_from_slice(packet);
        let len = srtp.sealer.protect_rtp(room, packet.len()).unwrap();
        cx.egress.commit(len, path);
    }

    /// Puts a peer where ICE and DTLS would have brought it.
    #[cfg(feature = "bench")]
    pub(crate) fn force_up(&mut self, keys: crate::dtls::SrtpKeys, path: Path, now: Instant) {
        self.ice.force(path, now);
        if let (Ok(sealer), Ok(opener)) = (Sealer::new(keys.local), Opener::new(&keys.remote)) {
            self.srtp = Some(Srtp { profile: keys.profile, sealer, opener, tap: None });
        }
        self.stage = Stage::Up;
    }

    // === timers ===

    /// Whether the time the peer asked to be called at has come.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.wake_at.is_none_or(|at| at <= now)
    }

    pub(crate) fn wakes_at(&self, now: Instant) -> Instant {
        self.wake_at.unwrap_or(now + LONGEST_SLEEP)
    }

    /// Remembers when to be called; `true` if that is earlier than what is scheduled already.
    pub(crate) fn reschedule(&mut self, at: Instant) -> bool {
        if self.wake_at.is_some_and(|w| w <= at) {
            return false;
        }
        self.wake_at = Some(at);
        true
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut PeerCx<'_>, now: Instant) {
        self.stirred = true;
        self.wake_at = None;
        self.drive_ice(cx, now);
        self.release_candidates(cx, now);
        if let Some(dtls) = &mut self.dtls {
            dtls.handle_timeout(now);
            self.drain_dtls(cx, now);
        }
        self.drive_sctp(cx, now);
        match self.stage {
            Stage::Connecting { until: Some(until) } if now >= until => self.close_because("ICE failed"),
            Stage::Lost { until } if now >= until => self.close_because("ICE failed"),
            Stage::Up if !self.has_consent(cx.settings, now) => self.on_consent_lost(cx, now),
            Stage::Up => self.on_media_timers(cx, now),
            _ => {}
        }
    }

    fn on_consent_lost(&mut self, cx: &mut PeerCx<'_>, now: Instant) {
        if cx.settings.hangup_on_failed {
            self.close_because("ICE failed");
            return;
        }
        tracing::info!(handle = %self.handle, "consent lost, media stopped");
        self.stage = Stage::Lost { until: now + RESTART_GRACE };
        cx.events.push_back((self.handle, MediaEvent::IceFailed));
    }

    /// When the peer wants to be called next.
    pub(crate) fn next_timeout(&mut self, cx: &Clock, now: Instant) -> Instant {
        let mut at = now + LONGEST_SLEEP;
        let mut earlier = |t: Option<Instant>| at = t.map_or(at, |t| t.min(at));
        earlier(self.ice.poll_timeout());
        earlier(self.held.as_ref().and_then(|held| held.release_at()));
        earlier(self.dtls.as_ref().and_then(Dtls::poll_timeout));
        earlier(self.sctp.as_ref().and_then(Sctp::poll_timeout));
        match self.stage {
            Stage::Connecting { until } => earlier(until),
            Stage::Lost { until } => earlier(Some(until)),
            Stage::Securing => {}
            Stage::Up => earlier(self.next_media_timer(cx, now)),
        }
        at.max(now)
    }
}

fn dtls_reason(error: &crate::dtls::DtlsError) -> &'static str {
    use crate::dtls::DtlsError;
    match error {
        DtlsError::Timeout => "DTLS timeout",
        DtlsError::PeerAlert(_) => "DTLS alert",
        _ => "DTLS error",
    }
}

fn dtls_fingerprint(f: &Fingerprint) -> Option<crate::dtls::Fingerprint> {
    let text = f.to_string();
    let (hash, value) = text.split_once(' ')?;
    crate::dtls::Fingerprint::parse(hash, value).ok()
}
