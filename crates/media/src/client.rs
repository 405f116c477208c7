//! One WebRTC connection from the client's side, for tools that put load on a gateway: ICE, DTLS and SRTP of the engine
//! behind a small face, and batched UDP. Only built with the feature `client`.
//!
//! [`Connection`] is sans-I/O and told the time; [`Socket`], [`Inbox`] and [`Outbox`] are the system calls. Nothing here
//! allocates for each packet.
//!
//! Absent on purpose: what is in the packets, timers, threads; segmentation offload in either direction, which on loopback
//! would hand a gateway's runs over unsplit and flatter it.

use crate::certificate::{Certificate, KeyKind};
use crate::dtls::{Dtls, DtlsConfig, DtlsOutput, DtlsSettings, Fingerprint, Role};
use crate::egress::{Link, Path};
use crate::ice::{self, CONSENT, Ice};
use crate::random::{Random, text, ufrag};
use crate::socket::{self, Epoll, Message, ReceiveBatch, SendBatch, UdpSocket, Waker};
use portunus_rtp::packet::Demux;
use portunus_sdp::{Candidate, RemoteTransport, Setup};
use portunus_srtp::{Opener, Profile, Sealer};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// ICE must find a path within this (as in a browser).
const ICE_LIMIT: Duration = Duration::from_secs(30);
/// Letters of an ICE password; RFC 8445 asks for 22 at least.
const PASSWORD: usize = 24;
/// Room that one packet may need, tag included.
pub const PACKET_ROOM: usize = 1600;
/// Packets of an [`Outbox`] between two flushes; what is beyond is sent first.
const OUTBOX: usize = 64;
/// All of a connection's packets leave by the one socket it has.
const LINK: Link = Link::Udp(0);

/// CPU time of all threads of another process, those that have ended too.
///
/// # Errors
/// There is no such process.
pub fn cpu_time_of(process: u32) -> io::Result<Duration> {
    socket::process_cpu_time(process)
}

/// CPU time of this thread.
pub fn cpu_time() -> Duration {
    socket::thread_cpu_time()
}

/// The addresses of all network interfaces that are up.
///
/// # Errors
/// The system does not tell.
pub fn addresses() -> io::Result<Vec<IpAddr>> {
    Ok(socket::interface_addresses()?.into_iter().map(|a| a.ip).collect())
}

/// A certificate that all connections of a tool share.
#[derive(Clone)]
pub struct Identity {
    dtls: Arc<DtlsConfig>,
}

impl Identity {
    /// A new one.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn generate() -> io::Result<Self> {
        let certificate =
            Certificate::generate(KeyKind::EcdsaP256, SystemTime::now()).map_err(io::Error::other)?;
        let dtls = DtlsConfig::new(&certificate, DtlsSettings::default()).map_err(io::Error::other)?;
        Ok(Self { dtls })
    }

    /// SHA-256, as descriptions name it.
    pub fn fingerprint(&self) -> &str {
        self.dtls.fingerprint()
    }
}

/// What became of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// ICE and DTLS are done.
    Up,
    /// It failed, and is of no use any more.
    Failed(String),
    /// The gateway closed it.
    Closed,
}

/// What a datagram was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Nothing for the caller.
    Nothing,
    /// The first `len` bytes are now a plain RTP packet.
    Rtp {
        /// Length of the packet.
        len: usize,
    },
    /// The first `len` bytes are now a plain compound RTCP packet.
    Rtcp {
        /// Length of the packet.
        len: usize,
    },
}

/// See the module.
pub struct Connection {
    ice: Ice,
    config: Arc<DtlsConfig>,
    setup: Setup,
    fingerprint: Option<Fingerprint>,
    dtls: Option<Dtls>,
    /// A first flight that came before its path was validated.
    early: Option<Box<[u8]>>,
    srtp: Option<(Sealer, Opener)>,
    locals: Vec<SocketAddr>,
    limit: Option<Instant>,
    events: VecDeque<Event>,
    over: bool,
}

impl Connection {
    /// One that offers. `locals` are the addresses of its socket.
    pub fn offering(identity: &Identity, locals: &[SocketAddr]) -> Self {
        Self::new(identity, locals, true, Setup::ActPass)
    }

    /// One that answers what the gateway offers.
    pub fn answering(
        identity: &Identity,
        locals: &[SocketAddr],
        remote: &RemoteTransport,
        now: Instant,
    ) -> Self {
        // RFC 8445 section 6.1.1: beside a lite agent the full one controls, whoever offers. RFC 8842 section 5.3: active, as
        // browsers choose.
        let mut connection = Self::new(identity, locals, remote.lite, Setup::Active);
        connection.set_remote(remote, now);
        connection
    }

    fn new(identity: &Identity, locals: &[SocketAddr], controlling: bool, setup: Setup) -> Self {
        let mut random = Random::new();
        let mut ice = Ice::new(ufrag(&mut random, 0), text(&mut random, PASSWORD), false, controlling);
        for local in locals {
            ice.add_local(*local, false);
        }
        Self {
            ice,
            config: Arc::clone(&identity.dtls),
            setup,
            fingerprint: None,
            dtls: None,
            early: None,
            srtp: None,
            locals: locals.to_vec(),
            limit: None,
            events: VecDeque::new(),
            over: false,
        }
    }

    /// Our user name fragment and password.
    pub fn credentials(&self) -> (&str, &str) {
        (self.ice.ufrag(), self.ice.pwd())
    }

    /// Our DTLS role, as our description says it.
    pub const fn setup(&self) -> Setup {
        self.setup
    }

    /// The profile of SRTP, once it is known.
    pub fn profile(&self) -> Option<Profile> {
        self.srtp.as_ref().map(|(sealer, _)| sealer.profile())
    }

    /// What the gateway's description says of its end.
    pub fn set_remote(&mut self, remote: &RemoteTransport, now: Instant) {
        if self.setup == Setup::ActPass {
            self.setup = if remote.setup == Some(Setup::Passive) { Setup::Active } else { Setup::Passive };
        }
        let text = remote.fingerprint.to_string();
        self.fingerprint =
            text.split_once(' ').and_then(|(hash, value)| Fingerprint::parse(hash, value).ok());
        let mut random = Random::new();
        let fresh = || (ufrag(&mut random, 0), text_of(PASSWORD));
        self.ice.set_remote(&remote.ufrag, &remote.pwd, fresh);
        for candidate in &remote.candidates {
            self.ice.add_remote(candidate);
        }
        self.limit = Some(now + ICE_LIMIT);
    }

    /// A candidate that the gateway trickles.
    pub fn add_candidate(&mut self, candidate: &Candidate) {
        self.ice.add_remote(candidate);
    }

    /// Takes a datagram, and opens it in place if it is media.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &mut [u8],
        from: SocketAddr,
        out: &mut Outbox,
    ) -> Received {
        match Demux::classify(datagram) {
            Demux::Rtp => {
                let Some((_, opener)) = &mut self.srtp else { return Received::Nothing };
                match opener.unprotect_rtp(datagram) {
                    Ok(opened) => return Received::Rtp { len: opened.len },
                    Err(_) => return Received::Nothing,
                }
            }
            Demux::Rtcp => {
                let Some((_, opener)) = &mut self.srtp else { return Received::Nothing };
                match opener.unprotect_rtcp(datagram) {
                    Ok(len) => return Received::Rtcp { len },
                    Err(_) => return Received::Nothing,
                }
            }
            Demux::Stun => self.handle_stun(now, datagram, from, out),
            Demux::Dtls => match &mut self.dtls {
                Some(dtls) => dtls.handle_packet(now, datagram),
                None => self.early = Some((&*datagram).into()),
            },
            Demux::TurnChannel | Demux::Other => {}
        }
        self.drain_dtls(now, out);
        Received::Nothing
    }

    fn handle_stun(&mut self, now: Instant, datagram: &[u8], from: SocketAddr, out: &mut Outbox) {
        let Some(message) = ice::parse(datagram) else { return };
        let path = Path { link: LINK, remote: from };
        let Some(local) = self.local_for(from) else { return };
        let selected = self.ice.handle_stun(now, message, path, local).and_then(|heard| heard.selected);
        self.send_ice(out);
        if selected.is_some() {
            self.start_dtls(now);
        }
    }

    /// Which of our addresses a datagram from there came to: the socket may have several.
    fn local_for(&self, from: SocketAddr) -> Option<SocketAddr> {
        let same = self.locals.iter().find(|l| l.ip() == from.ip());
        let alike = |l: &&SocketAddr| {
            l.is_ipv4() == from.is_ipv4() && l.ip().is_loopback() == from.ip().is_loopback()
        };
        same.or_else(|| self.locals.iter().find(alike)).or(self.locals.first()).copied()
    }

    fn send_ice(&mut self, out: &mut Outbox) {
        let mut send = |bytes: &[u8], _: SocketAddr, to: SocketAddr, _: bool| out.push(bytes, to);
        while self.ice.poll_transmit(&mut send).is_some() {}
    }

    fn start_dtls(&mut self, now: Instant) {
        if self.dtls.is_some() {
            return;
        }
        let Some(fingerprint) = self.fingerprint.clone() else {
            return self.fail("the gateway's fingerprint cannot be read");
        };
        let role = if self.setup == Setup::Active { Role::Client } else { Role::Server };
        let mut dtls = Dtls::new(&self.config, role, fingerprint);
        dtls.start(now);
        if let Some(early) = self.early.take() {
            dtls.handle_packet(now, &early);
        }
        self.dtls = Some(dtls);
    }

    fn drain_dtls(&mut self, now: Instant, out: &mut Outbox) {
        while let Some(output) = self.dtls.as_mut().and_then(Dtls::poll_output) {
            match output {
                DtlsOutput::Transmit(bytes) => {
                    if let Some(path) = self.ice.selected() {
                        out.push(&bytes, path.remote);
                    }
                }
                DtlsOutput::Connected(Some(keys)) => {
                    match (Sealer::new(keys.local), Opener::new(&keys.remote)) {
                        (Ok(sealer), Ok(opener)) => self.srtp = Some((sealer, opener)),
                        _ => return self.fail("SRTP keys refused"),
                    }
                    self.limit = Some(now + CONSENT);
                    self.events.push_back(Event::Up);
                }
                DtlsOutput::Connected(None) => self.fail("no SRTP profile"),
                DtlsOutput::Data(_) => {}
                DtlsOutput::Closed if !self.over => {
                    self.over = true;
                    self.events.push_back(Event::Closed);
                }
                DtlsOutput::Closed => {}
                DtlsOutput::Failed(error) => self.fail(&error.to_string()),
            }
        }
    }

    fn fail(&mut self, why: &str) {
        if !self.over {
            self.over = true;
            self.events.push_back(Event::Failed(why.to_owned()));
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        if self.ice.handle_timeout(now).is_some() {
            self.start_dtls(now);
        }
        self.send_ice(out);
        if let Some(dtls) = &mut self.dtls {
            dtls.handle_timeout(now);
        }
        self.drain_dtls(now, out);
        if self.limit.is_some_and(|limit| now >= limit) {
            // Once up, the limit is that of consent (RFC 7675), which every message from the gateway moves on.
            match self.ice.heard().map(|heard| heard + CONSENT).filter(|_| self.srtp.is_some()) {
                Some(until) if until > now => self.limit = Some(until),
                Some(_) => self.fail("consent lost"),
                None if self.ice.selected().is_some() => self.limit = None,
                None => self.fail("ICE failed"),
            }
        }
    }

    /// When [`Self::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        if self.over {
            return None;
        }
        let others = [self.dtls.as_ref().and_then(Dtls::poll_timeout), self.limit];
        self.ice.poll_timeout().into_iter().chain(others.into_iter().flatten()).min()
    }

    /// What happened since.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Where media goes, once it may.
    pub fn remote(&self) -> Option<SocketAddr> {
        self.ice.selected().filter(|_| self.srtp.is_some() && !self.over).map(|path| path.remote)
    }

    /// Seals the RTP packet `room[..len]` in place; its new length.
    pub fn seal_rtp(&mut self, room: &mut [u8], len: usize) -> Option<usize> {
        self.srtp.as_mut()?.0.protect_rtp(room, len).ok()
    }

    /// Seals the compound RTCP packet `room[..len]` in place; its new length.
    pub fn seal_rtcp(&mut self, room: &mut [u8], len: usize) -> Option<usize> {
        self.srtp.as_mut()?.0.protect_rtcp(room, len).ok()
    }

    /// Says good-bye.
    pub fn close(&mut self, now: Instant, out: &mut Outbox) {
        self.over = true;
        if let Some(dtls) = &mut self.dtls {
            dtls.close(now);
        }
        self.drain_dtls(now, out);
    }
}

fn text_of(n: usize) -> String {
    text(&mut Random::new(), n)
}

/// A share of packets that gets lost, at random but the same in every run with the same seed.
#[derive(Clone, Debug)]
pub struct Loss {
    threshold: u64,
    state: u64,
}

impl Loss {
    /// `percent` of all packets, 0 to 100.
    pub fn new(percent: f64, seed: u64) -> Self {
        // Thousandths of a percent are fine enough, and whole numbers can be compared exactly.
        let share = Duration::try_from_secs_f64(percent.clamp(0.0, 100.0)).unwrap_or_default().as_millis();
        let threshold = u64::try_from(share).unwrap_or(0).saturating_mul(u64::MAX / 100_000);
        let threshold = if share >= 100_000 { u64::MAX } else { threshold };
        Self { threshold, state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// Whether the next packet is lost.
    #[inline]
    pub fn takes_next(&mut self) -> bool {
        if self.threshold == 0 {
            return false;
        }
        // xorshift64*
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) < self.threshold
    }
}

/// A UDP socket.
#[derive(Debug)]
pub struct Socket(UdpSocket);

impl Socket {
    /// Binds to `address`; port 0 is any.
    ///
    /// # Errors
    /// The system refuses.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        UdpSocket::bind(address, false, None).map(Self)
    }

    /// What it is bound to.
    pub const fn local(&self) -> SocketAddr {
        self.0.local()
    }
}

/// Datagrams that came.
pub struct Inbox(ReceiveBatch);

impl Inbox {
    /// Room for a batch.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(ReceiveBatch::new())
    }

    /// Takes what is there, up to a batch; how many that were.
    ///
    /// # Errors
    /// The socket is of no use.
    pub fn receive(&mut self, socket: &Socket) -> io::Result<usize> {
        self.0.receive(&socket.0)
    }

    /// Datagram `i` of the batch and its sender.
    pub fn datagram(&mut self, i: usize) -> Option<(&mut [u8], SocketAddr)> {
        self.0.datagram(i)
    }
}

/// How many datagrams one [`Inbox`] holds.
pub const BATCH: usize = socket::RECEIVE_BATCH;

/// Datagrams to be sent from one socket, in one call.
pub struct Outbox {
    arena: Box<[u8]>,
    used: usize,
    messages: Vec<Message>,
    batch: SendBatch,
    loss: Loss,
    /// Packets that the kernel did not take.
    refused: u64,
}

impl Outbox {
    /// An empty one that loses some of what it is given.
    pub fn new(loss: Loss) -> Self {
        Self {
            arena: vec![0; OUTBOX * PACKET_ROOM].into_boxed_slice(),
            used: 0,
            messages: Vec::with_capacity(OUTBOX),
            batch: SendBatch::new(),
            loss,
            refused: 0,
        }
    }

    /// Another packet fits; if not, flush.
    pub const fn has_room(&self) -> bool {
        self.used + PACKET_ROOM <= OUTBOX * PACKET_ROOM
    }

    /// Room for the next packet; empty when it is full.
    pub fn room(&mut self) -> &mut [u8] {
        self.arena.get_mut(self.used..self.used + PACKET_ROOM).unwrap_or_default()
    }

    /// The first `len` bytes of [`Self::room`] go to `to`.
    pub fn commit(&mut self, len: usize, to: SocketAddr) {
        if self.loss.takes_next() {
            return;
        }
        self.messages.push(Message { start: self.used, len, to, segment: None });
        self.used += len;
    }

    /// Copies a datagram; one that finds no room is lost.
    pub fn push(&mut self, bytes: &[u8], to: SocketAddr) {
        match self.room().get_mut(..bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.commit(bytes.len(), to);
            }
            None => self.refused += 1,
        }
    }

    /// Sends it all.
    pub fn flush(&mut self, socket: &Socket) {
        if !self.messages.is_empty() {
            let sent = self.batch.send(&socket.0, &self.arena, &self.messages);
            self.refused += u64::try_from(sent.dropped).unwrap_or(0);
            self.messages.clear();
        }
        self.used = 0;
    }

    /// Packets that the kernel did not take, since this was asked last.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }
}

/// Waits for sockets, and for others who wake it.
pub struct Poller {
    epoll: Epoll,
    waker: Arc<Waker>,
}

/// Wakes a [`Poller`].
#[derive(Clone)]
pub struct Wake(Arc<Waker>);

impl Wake {
    /// Ends the wait, or the next.
    pub fn wake(&self) {
        self.0.wake();
    }
}

/// What a [`Poller`] says when it was woken.
pub const WOKEN: u64 = u64::MAX;

impl Poller {
    /// One that waits for nothing yet.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new() -> io::Result<Self> {
        let (epoll, waker) = (Epoll::new()?, Arc::new(Waker::new()?));
        epoll.add(waker.fd(), WOKEN, false)?;
        Ok(Self { epoll, waker })
    }

    /// What wakes it.
    pub fn wake(&self) -> Wake {
        Wake(Arc::clone(&self.waker))
    }

    /// Says `token` while there is something to be read.
    ///
    /// # Errors
    /// The system refuses.
    pub fn add(&self, socket: &Socket, token: u64) -> io::Result<()> {
        self.epoll.add(socket.0.fd(), token, false)
    }

    /// The same for what is no [`Socket`].
    ///
    /// # Errors
    /// The system refuses.
    pub fn add_other(&self, other: &impl AsRawFd, token: u64) -> io::Result<()> {
        self.epoll.add(other.as_raw_fd(), token, false)
    }

    /// Waits no longer than this, and tells who is ready.
    ///
    /// # Errors
    /// The system refuses.
    pub fn wait(&mut self, timeout: Duration, ready: &mut Vec<u64>) -> io::Result<()> {
        self.epoll.wait(timeout, ready)?;
        if ready.contains(&WOKEN) {
            self.waker.reset();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
