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
}

impl Ice {
    pub(crate) fn new(ufrag: String, pwd: String, lite: bool, controlling: bool) -> Self {
        let mut agent = IceAgent::new(IceCreds { ufrag, pass: pwd });
        agent.set_ice_lite(lite);
        agent.set_controlling(controlling && !lite);
        agent.set_max_candidate_pairs(MAX_PAIRS);
        agent.set_max_stun_retransmits(MAX_RETRANSMITS);
        Self {
            agent,
            lite,
            paths: Vec::new(),
            selected: None,
            nominated: None,
            heard: None,
            remote_candidates: 0,
        }
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
        self.remote_candidates = 0;
        self.nominated = None;
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
            return Some(Heard { new_path, forgotten, selected: None });
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
        Some(Heard { new_path, forgotten, selected: self.choose(path) })
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
        let nominated = self.nominated?;
        self.choose(nominated)
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
            if let IceAgentEvent::NominatedSend { destination, .. } = event {
                agent_choice = self.paths.iter().copied().find(|p| p.remote == destination);
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
