//! ICE of one peer: the agent of crate `is` behind our own narrow surface.
//!
//! What we add: the send path is the newest authenticated nomination (a phone that moves from Wi-Fi to LTE is
//! followed at once, where the agent alone would keep the pair with the better priority), the first validated
//! pair carries DTLS before anything is nominated, and consent (RFC 7675) is the time of the last
//! authenticated message on a validated path.
//!
//! Absent on purpose: sockets, gathering, the SDP. Invariant: a [`Path`] leaves this module only after a
//! message with our credentials came over it; in full mode only after our own check on it succeeded.

use crate::egress::{Link, Path};
use crate::socket::SLOT;
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol};
use portunus_sdp as sdp;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Pairs of one peer (RFC 8445 section 6.1.2.5 says 100).
const MAX_PAIRS: usize = 100;
/// A pair lives through silence as long as consent does: at 3 s a try this is some 40 s.
const MAX_RETRANSMITS: usize = 16;
const MAX_RTO: Duration = Duration::from_secs(3);
/// While there is no path: the agent sends no triggered checks (RFC 8445 section 7.3.1.4), so a pair whose way has opened waits
/// for its next repetition. Ta, 50 ms, bounds them all together.
const SEARCHING_RETRANSMITS: usize = 64;
const SEARCHING_RTO: Duration = Duration::from_millis(500);
/// Remote candidates of one peer; more are ignored.
const MAX_REMOTE_CANDIDATES: usize = 64;
/// Paths of one peer that are known to be its own.
const MAX_PATHS: usize = 16;
/// RFC 7675 section 5.1: consent expires after 30 seconds.
pub(crate) const CONSENT: Duration = Duration::from_secs(30);

/// The ICE side of a peer.
pub(crate) struct Ice {
    agent: IceAgent,
    lite: bool,
    paths: Vec<Path>,
    selected: Option<Path>,
    nominated: Option<Path>,
    heard: Option<Instant>,
    remote_candidates: usize,
    /// Where the peer was told to find us.
    told: Vec<SocketAddr>,
    remapped: Option<Remapped>,
    /// An authentic request that came before the peer's credentials: its path, who sent it, and whether it nominates.
    early: Option<(Path, String, bool)>,
    /// Addresses on TURN servers and the numbers of their links.
    relays: Vec<(SocketAddr, usize)>,
}

/// A NAT changed our port on the way to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remapped {
    /// What the peer was told.
    pub(crate) told: SocketAddr,
    /// What it saw.
    pub(crate) seen: SocketAddr,
}

/// What an accepted STUN message means to the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// A path of this peer that was not known before.
    pub(crate) new_path: Option<Path>,
    /// A path that had to make room for it and is not the peer's any more.
    pub(crate) forgotten: Option<Path>,
    /// Packets go another way from now on.
    pub(crate) selected: Option<Path>,
    /// The first sign of a NAT that changes our port.
    pub(crate) remapped: Option<Remapped>,
    /// Where the peer sees us.
    pub(crate) seen: Option<SocketAddr>,
}

impl Ice {
    pub(crate) fn new(ufrag: String, pwd: String, lite: bool, controlling: bool) -> Self {
        let mut agent = IceAgent::new(IceCreds { ufrag, pass: pwd });
        agent.set_ice_lite(lite);
        agent.set_controlling(controlling && !lite);
        agent.set_max_candidate_pairs(MAX_PAIRS);
        let mut ice = Self {
            agent,
            lite,
            paths: Vec::new(),
            selected: None,
            nominated: None,
            heard: None,
            remote_candidates: 0,
            told: Vec::new(),
            remapped: None,
            early: None,
            relays: Vec::new(),
        };
        ice.search(true);
        ice
    }

    /// How eagerly checks are repeated.
    fn search(&mut self, searching: bool) {
        let (retransmits, rto) =
            if searching { (SEARCHING_RETRANSMITS, SEARCHING_RTO) } else { (MAX_RETRANSMITS, MAX_RTO) };
        self.agent.set_max_stun_retransmits(retransmits);
        self.agent.set_max_stun_rto(rto);
    }

    pub(crate) fn ufrag(&self) -> &str {
        &self.agent.local_credentials().ufrag
    }

    pub(crate) fn pwd(&self) -> &str {
        &self.agent.local_credentials().pass
    }

    /// Where packets go, once a path is validated.
    pub(crate) const fn selected(&self) -> Option<Path> {
        self.selected
    }

    /// When the peer last showed that it consents to being sent to.
    pub(crate) const fn heard(&self) -> Option<Instant> {
        self.heard
    }

    pub(crate) fn controlling(&self) -> bool {
        self.agent.controlling()
    }

    /// The client's candidates, those it showed itself by included, as lines without a prefix.
    pub(crate) fn remote_lines(&self) -> Vec<String> {
        let line = |c: Candidate| c.to_sdp_string().trim_start_matches("candidate:").to_owned();
        self.agent.remote_candidates().map(line).collect()
    }

    /// How the client got an address of its.
    pub(crate) fn kind_of_remote(&self, address: SocketAddr) -> &'static str {
        let found = self.agent.remote_candidates().find(|c| c.addr() == address);
        match found.map(|c| c.kind()) {
            Some(is::CandidateKind::Host) => "host",
            Some(is::CandidateKind::ServerReflexive) => "srflx",
            Some(is::CandidateKind::Relayed) => "relay",
            Some(is::CandidateKind::PeerReflexive) | None => "prflx",
        }
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.agent.nominated_pair_rtt()
    }

    /// A socket of ours that the peer can reach.
    pub(crate) fn add_local(&mut self, address: SocketAddr, tcp: bool) {
        match Candidate::host(address, if tcp { Protocol::Tcp } else { Protocol::Udp }) {
            Ok(c) => drop(self.agent.add_local_candidate(c)),
            Err(e) => tracing::debug!(%address, error = %e, "local address not usable for ICE"),
        }
    }

    /// An address on a TURN server that the peer can reach.
    pub(crate) fn add_relay(&mut self, link: usize, address: SocketAddr) {
        if self.relays.contains(&(address, link)) {
            return;
        }
        match Candidate::relayed(address, address, Protocol::Udp) {
            Ok(c) => {
                self.agent.add_local_candidate(c);
                self.relays.push((address, link));
            }
            Err(e) => tracing::debug!(%address, error = %e, "relayed address not usable for ICE"),
        }
    }

    /// It is ours no more.
    pub(crate) fn end_relay(&mut self, link: usize, address: SocketAddr) {
        if let Ok(c) = Candidate::relayed(address, address, Protocol::Udp) {
            self.agent.invalidate_candidate(&c);
        }
        self.relays.retain(|relay| *relay != (address, link));
        self.forget_link(Link::Relay(link));
    }

    /// The peer's credentials. Changed ones are a restart, for which `fresh` are our new ones; the path stays
    /// until a new one is validated.
    pub(crate) fn set_remote(
        &mut self,
        ufrag: &str,
        pwd: &str,
        fresh: impl FnOnce() -> (String, String),
    ) -> bool {
        let remote = IceCreds { ufrag: ufrag.to_owned(), pass: pwd.to_owned() };
        let restart = self.agent.remote_credentials().is_some_and(|r| *r != remote);
        if restart {
            self.restart(fresh());
        }
        self.agent.set_remote_credentials(remote);
        restart
    }

    /// New credentials of ours: the agent forgets the peer's candidates, the path stays.
    pub(crate) fn restart(&mut self, (ufrag, pass): (String, String)) {
        self.agent.ice_restart(IceCreds { ufrag, pass }, true);
        self.search(true);
        self.early = None;
        self.remote_candidates = 0;
        self.nominated = None;
    }

    /// The address of a candidate of the peer's, if a check from here can go there.
    pub(crate) fn checkable(&self, candidate: &sdp::Candidate) -> Option<SocketAddr> {
        let address = candidate.socket_addr()?;
        let udp = matches!(candidate.transport, sdp::CandidateTransport::Udp);
        let alike = |ours: SocketAddr| {
            ours.is_ipv4() == address.is_ipv4() && ours.ip().is_loopback() == address.ip().is_loopback()
        };
        (udp && self.agent.local_candidates().any(|ours| alike(ours.addr()))).then_some(address)
    }

    /// The peer is told to find us there.
    pub(crate) fn tell(&mut self, ours: impl Iterator<Item = SocketAddr>) {
        self.told = ours.collect();
    }

    /// What the peer was told and saw instead, if that is not the same port.
    pub(crate) const fn remapped(&self) -> Option<Remapped> {
        self.remapped
    }

    /// Compares where the peer saw us with what it was told; says so the first time that only the port differs. An
    /// address that it was told nothing of is no sign: there are more ways out than candidates.
    fn compare(&mut self, seen: SocketAddr) -> Option<Remapped> {
        if self.remapped.is_some() || self.told.contains(&seen) {
            return None;
        }
        let told = self.told.iter().copied().find(|told| told.ip() == seen.ip())?;
        self.remapped = Some(Remapped { told, seen });
        self.remapped
    }

    /// A candidate of the peer; `false` if it cannot be used.
    pub(crate) fn add_remote(&mut self, candidate: &sdp::Candidate) -> bool {
        let Some(address) = candidate.socket_addr() else { return false };
        let ip = address.ip();
        if self.remote_candidates >= MAX_REMOTE_CANDIDATES
            || candidate.component != 1
            || address.port() == 0
            || ip.is_multicast()
            || ip.is_unspecified()
        {
            return false;
        }
        let proto = match candidate.transport {
            sdp::CandidateTransport::Udp => Protocol::Udp,
            // We accept connections and make none, so only an active candidate can ever reach us, and it
            // shows itself when it connects.
            sdp::CandidateTransport::Tcp(_) => return false,
        };
        let kind = match candidate.kind {
            sdp::CandidateKind::Host => is::CandidateKind::Host,
            sdp::CandidateKind::Srflx => is::CandidateKind::ServerReflexive,
            sdp::CandidateKind::Prflx => is::CandidateKind::PeerReflexive,
            sdp::CandidateKind::Relay => is::CandidateKind::Relayed,
        };
        self.remote_candidates += 1;
        self.agent.add_remote_candidate(Candidate::from_parts(
            candidate.foundation.clone(),
            candidate.component,
            proto,
            candidate.priority,
            address,
            kind,
            candidate.related,
            None,
            candidate.ufrag.clone(),
        ));
        true
    }

    /// A STUN message that came over `path` to our address `local`. `None`: not ours, not authentic.
    pub(crate) fn handle_stun(
        &mut self,
        now: Instant,
        message: StunMessage<'_>,
        path: Path,
        local: SocketAddr,
    ) -> Option<Heard> {
        let nominates = message.is_binding_request() && message.use_candidate();
        let request = message.is_binding_request();
        let seen = message.mapped_address().filter(|_| message.is_successful_binding_response());
        let sender = message.split_username().map(|(_, theirs)| theirs.to_owned());
        let proto = if matches!(path.link, Link::Tcp(_)) { Protocol::Tcp } else { Protocol::Udp };
        let packet = StunPacket { proto, source: path.remote, destination: local, message };
        if !self.agent.handle_packet(now, packet) {
            return None;
        }
        self.agent.handle_timeout(now);
        if request && self.agent.remote_credentials().is_none() {
            // It has our password, and the agent answers it when the answer to our offer is there. Only the address is
            // remembered: whose it is, not that anything may be sent there.
            let (new_path, forgotten) = self.remember(path);
            if let Some(sender) = sender.filter(|_| nominates || !self.early.as_ref().is_some_and(|e| e.2)) {
                self.early = Some((path, sender, nominates));
            }
            return Some(Heard { new_path, forgotten, selected: None, remapped: None, seen: None });
        }
        let (new_path, forgotten) = self.remember(path);
        if nominates && !self.agent.controlling() {
            self.nominated = Some(path);
        }
        if self.selected.is_none_or(|s| s == path || self.lite)
            || self.agent.has_viable_remote_candidate(path.remote)
        {
            self.heard = Some(now);
        }
        let remapped = seen.and_then(|seen| self.compare(seen));
        if self.agent.state().is_connected() {
            self.search(false);
        }
        Some(Heard { new_path, forgotten, selected: self.choose(path), remapped, seen })
    }

    /// No nominated pair yet: checks are on their way.
    pub(crate) fn is_checking(&self) -> bool {
        !self.lite && !self.agent.state().is_connected()
    }

    /// Whether a message is authentic and for us; changes nothing.
    pub(crate) fn accepts(&self, message: &StunMessage<'_>) -> bool {
        self.agent.accepts_message(message)
    }

    /// Timers. Returns the new send path if it changed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<Path> {
        self.agent.handle_timeout(now);
        if let Some(path) = self.take_early() {
            self.heard = Some(now);
            return self.choose(path);
        }
        let nominated = self.nominated?;
        self.choose(nominated)
    }

    /// The path of a request that came before the answer did, now that the answer says that it was the peer's. The agent has
    /// answered it just now, and a lite one need not wait for another.
    fn take_early(&mut self) -> Option<Path> {
        let theirs = &self.agent.remote_credentials()?.ufrag;
        let (path, sender, nominates) = self.early.take_if(|_| self.lite)?;
        if sender != *theirs || !self.paths.contains(&path) {
            return None;
        }
        if nominates {
            self.nominated = Some(path);
        }
        Some(path)
    }

    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        self.agent.poll_timeout()
    }

    /// The next STUN message to send: its bytes, our address, the peer's, and whether it goes over TCP.
    pub(crate) fn poll_transmit<R>(
        &mut self,
        send: impl FnOnce(&[u8], SocketAddr, SocketAddr, bool) -> R,
    ) -> Option<R> {
        let t = self.agent.poll_transmit()?;
        Some(send(&t.contents, t.source, t.destination, t.proto != Protocol::Udp))
    }

    /// Forgets a connection that is gone.
    pub(crate) fn forget_link(&mut self, link: Link) {
        self.paths.retain(|p| p.link != link);
        if self.selected.is_some_and(|p| p.link == link) {
            self.selected = None;
        }
        if self.nominated.is_some_and(|p| p.link == link) {
            self.nominated = None;
        }
    }

    /// Takes a path as validated and consented to.
    #[cfg(feature = "bench")]
    pub(crate) fn force(&mut self, path: Path, now: Instant) {
        self.selected = Some(path);
        self.heard = Some(now + CONSENT * 1000);
    }

    /// The path if it is new, and the one that made room for it.
    fn remember(&mut self, path: Path) -> (Option<Path>, Option<Path>) {
        if self.paths.contains(&path) {
            return (None, None);
        }
        let mut forgotten = None;
        if self.paths.len() >= MAX_PATHS {
            let selected = self.selected;
            if let Some(i) = self.paths.iter().position(|p| Some(*p) != selected) {
                forgotten = Some(self.paths.remove(i));
            }
        }
        self.paths.push(path);
        (Some(path), forgotten)
    }

    /// Decides where packets go, after something was heard over `path`.
    fn choose(&mut self, path: Path) -> Option<Path> {
        let mut agent_choice = None;
        while let Some(event) = self.agent.poll_event() {
            if let IceAgentEvent::NominatedSend { source, destination, .. } = event {
                let relay = self.relays.iter().find(|(a, _)| *a == source).map(|(_, link)| *link);
                let leaves_by = |link| match relay {
                    Some(relay) => link == Link::Relay(relay),
                    None => !matches!(link, Link::Relay(_)),
                };
                let chosen = |p: &Path| p.remote == destination && leaves_by(p.link);
                agent_choice = self.paths.iter().copied().find(chosen);
            }
        }
        let wanted = if self.agent.controlling() {
            agent_choice.or(self.selected)
        } else {
            self.nominated.filter(|p| self.lite || self.agent.has_viable_remote_candidate(p.remote))
        };
        // Before anything is nominated the first validated path carries the handshake.
        let wanted = wanted.or_else(|| {
            let usable = self.lite || self.agent.has_viable_remote_candidate(path.remote);
            (self.selected.is_none() && usable).then_some(path)
        })?;
        if self.selected == Some(wanted) {
            return None;
        }
        self.selected = Some(wanted);
        Some(wanted)
    }
}

/// Reads a STUN message out of a datagram and says whose it is: for requests, our ufrag in its user name.
pub(crate) fn parse(datagram: &[u8]) -> Option<StunMessage<'_>> {
    if datagram.len() > SLOT {
        return None;
    }
    StunMessage::parse(datagram).ok()
}
