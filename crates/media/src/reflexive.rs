//! Server-reflexive addresses of our sockets, learnt in the background (RFC 8489 binding requests).
//!
//! An answer to a client never waits for this: a candidate is added once its address is known. The parser
//! reads only what a server without credentials answers; crate `is` refuses such messages by design, as in ICE
//! they would be unauthenticated.

use crate::addresses;
use crate::settings::Settings;
use crate::turn::{MAGIC, xor_address};
use crate::worker::{Mailbox, WorkerMessage};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

/// A mapping is asked for again after this long: shorter than the usual time-out of NATs (30 s).
const REFRESH: Duration = Duration::from_secs(20);
/// Without an answer the request is repeated after this long, doubling.
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// The server's name is looked up again after this long.
const RESOLVE_AGAIN: Duration = Duration::from_secs(600);
const RESOLVE_RETRY: Duration = Duration::from_secs(30);

/// Looks the server's name up on a thread of its own, again and again, and tells the workers.
pub(crate) fn resolve_in_background(host: String, port: u16, workers: Vec<Mailbox>) {
    let look_up = move || {
        loop {
            let addresses: Vec<SocketAddr> = match (host.as_str(), port).to_socket_addrs() {
                Ok(found) => found.collect(),
                Err(error) => {
                    tracing::warn!(%host, %error, "STUN server not found; going on without reflexive candidates");
                    Vec::new()
                }
            };
            let wait = if addresses.is_empty() { RESOLVE_RETRY } else { RESOLVE_AGAIN };
            for worker in &workers {
                if !worker.send(WorkerMessage::StunServer(addresses.clone())) {
                    return;
                }
            }
            std::thread::sleep(wait);
        }
    };
    if let Err(error) = std::thread::Builder::new().name("stun-lookup".to_owned()).spawn(look_up) {
        tracing::warn!(%error, "cannot look up the STUN server");
    }
}

/// The server to ask for the address of the socket at `local`: one that can be reached from there.
pub(crate) fn server_for(
    local: SocketAddr,
    servers: &[SocketAddr],
    settings: &Settings,
) -> Option<SocketAddr> {
    let reachable =
        |s: &SocketAddr| s.is_ipv4() == local.is_ipv4() && s.ip().is_loopback() == local.ip().is_loopback();
    servers.iter().copied().find(|s| reachable(s) && addresses::wants_reflexive(local, settings))
}

/// The transaction of a worker's request. The answer may come in at any socket that shares the port, so it says
/// in the first two bytes whose it is.
pub(crate) fn transaction_of(worker: usize, random: [u8; 12]) -> [u8; 12] {
    let [_, _, rest @ ..] = random;
    let [high, low] = u16::try_from(worker).unwrap_or(u16::MAX).to_be_bytes();
    let mut transaction = [high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    transaction.iter_mut().skip(2).zip(rest).for_each(|(to, from)| *to = from);
    transaction
}

/// The worker whose request this binding success response answers.
pub(crate) fn asked_by(datagram: &[u8]) -> Option<usize> {
    let ([high, low, ..], _) = parse_response(datagram)?;
    Some(usize::from(u16::from_be_bytes([high, low])))
}

/// What is known of one socket's address.
#[derive(Debug)]
pub(crate) struct Reflexive {
    transaction: [u8; 12],
    mapped: Option<SocketAddr>,
    next: Instant,
    retry: Duration,
}

impl Reflexive {
    pub(crate) fn new(now: Instant) -> Self {
        Self { transaction: [0; 12], mapped: None, next: now, retry: FIRST_RETRY }
    }

    pub(crate) const fn mapped(&self) -> Option<SocketAddr> {
        self.mapped
    }

    pub(crate) const fn next(&self) -> Instant {
        self.next
    }

    /// The request to send now, if it is time.
    pub(crate) fn poll_request(&mut self, now: Instant, random: [u8; 12]) -> Option<[u8; 20]> {
        if now < self.next {
            return None;
        }
        self.transaction = random;
        self.next = now + self.retry;
        self.retry = (self.retry * 2).min(REFRESH);
        Some(binding_request(random))
    }

    /// Takes a binding response if it answers our request; says whether it did.
    pub(crate) fn handle_response(&mut self, now: Instant, datagram: &[u8]) -> bool {
        let Some((transaction, mapped)) = parse_response(datagram) else { return false };
        if transaction != self.transaction || transaction == [0; 12] {
            return false;
        }
        self.mapped = Some(mapped);
        self.retry = FIRST_RETRY;
        self.next = now + REFRESH;
        true
    }
}

/// A binding request without attributes (RFC 8489 section 5).
fn binding_request(transaction: [u8; 12]) -> [u8; 20] {
    let mut request = [0; 20];
    let header = [0x00, 0x01, 0x00, 0x00];
    for (to, from) in request.iter_mut().zip(header.into_iter().chain(MAGIC).chain(transaction)) {
        *to = from;
    }
    request
}

/// What a STUN server says our address is, asked from a socket of its own with this port (0 for any). It waits, for
/// names and for the server: not for a worker or the control task.
///
/// # Errors
/// The name is not found, the port is taken, or no answer came within `patience`.
pub fn ask_stun_server(
    server: &str,
    port: u16,
    local_port: u16,
    patience: Duration,
) -> std::io::Result<SocketAddr> {
    let end = Instant::now() + patience;
    let server = (server, port).to_socket_addrs()?.next();
    let server = server.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))?;
    let any = if server.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = std::net::UdpSocket::bind((any, local_port))?;
    socket.connect(server)?;
    let transaction: [u8; 12] = crate::random::Random::new().array();
    let mut wait = FIRST_RETRY;
    loop {
        socket.send(&binding_request(transaction))?;
        let again = (Instant::now() + wait).min(end);
        wait *= 2;
        while let Some(left) = again.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            socket.set_read_timeout(Some(left))?;
            let mut datagram = [0; 1500];
            let answer = socket.recv(&mut datagram).ok().and_then(|len| datagram.get(..len));
            if let Some((answered, mapped)) = answer.and_then(parse_response)
                && answered == transaction
            {
                return Ok(mapped);
            }
        }
        if again == end {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
    }
}

/// The transaction and mapped address of a binding success response.
fn parse_response(datagram: &[u8]) -> Option<([u8; 12], SocketAddr)> {
    let (header, mut rest) = datagram.split_first_chunk::<20>()?;
    let [0x01, 0x01, _, _, m0, m1, m2, m3, transaction @ ..] = header else { return None };
    if [*m0, *m1, *m2, *m3] != MAGIC {
        return None;
    }
    while let Some((&[t0, t1, l0, l1], tail)) = rest.split_first_chunk::<4>() {
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        let value = tail.get(..len)?;
        if u16::from_be_bytes([t0, t1]) == 0x0020 {
            return Some((*transaction, xor_address(value, transaction)?));
        }
        rest = tail.get(len.div_ceil(4) * 4..).unwrap_or_default();
    }
    None
}

/// Addresses other than the one that STUN told at which peers see a shared port of ours.
///
/// A NAT that had to change the port of one flow (see `peer::held`) uses the changed one for later flows of that socket,
/// too, while the STUN server goes on to see the old one. Whoever comes later is told both.
#[derive(Debug, Default)]
pub(crate) struct WaysOut(Vec<WayOut>);

#[derive(Debug)]
struct WayOut {
    address: SocketAddr,
    until: Instant,
}

impl WaysOut {
    /// More than one NAT gives at a time.
    const MAX: usize = 4;
    /// Longer than NATs remember a flow of which nothing is heard.
    const KEEP: Duration = Duration::from_secs(180);

    /// A peer sees us there.
    pub(crate) fn learn(&mut self, address: SocketAddr, now: Instant) {
        if self.keep(address, now) {
            return;
        }
        self.0.retain(|way| way.until > now);
        if self.0.len() >= Self::MAX {
            self.0.remove(0);
        }
        self.0.push(WayOut { address, until: now + Self::KEEP });
    }

    /// A peer still sees us there, if it is one of these: says whether it is.
    pub(crate) fn keep(&mut self, address: SocketAddr, now: Instant) -> bool {
        let found = self.0.iter_mut().find(|way| way.address == address);
        found.map(|way| way.until = now + Self::KEEP).is_some()
    }

    /// Those with the same public address as the one that is `known`.
    pub(crate) fn beside(&self, known: SocketAddr, now: Instant) -> impl Iterator<Item = SocketAddr> {
        let alike =
            move |way: &&WayOut| way.until > now && way.address.ip() == known.ip() && way.address != known;
        self.0.iter().filter(alike).map(|way| way.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::{Certificate, KeyKind};
    use std::time::SystemTime;

    /// RFC 5769 section 2.2: the sample response, 192.0.2.1:32853.
    fn sample(transaction: [u8; 12]) -> Vec<u8> {
        let mut m = vec![0x01, 0x01, 0x00, 0x18, 0x21, 0x12, 0xa4, 0x42];
        m.extend_from_slice(&transaction);
        m.extend_from_slice(&[0x80, 0x22, 0x00, 0x05, b'h', b'e', b'l', b'l', b'o', 0, 0, 0]);
        m.extend_from_slice(&[0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        m
    }

    #[test]
    fn the_mapped_address_is_learnt_from_the_answer_to_our_request_only() {
        let now = Instant::now();
        let mut r = Reflexive::new(now);
        assert!(!r.handle_response(now, &sample([0; 12])));
        let request = r.poll_request(now, [7; 12]).unwrap();
        assert_eq!(request[..8], [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]);
        assert!(!r.handle_response(now, &sample([8; 12])));
        assert!(r.handle_response(now, &sample([7; 12])));
        assert_eq!(r.mapped(), Some("192.0.2.1:32853".parse().unwrap()));
        assert!(r.poll_request(now + Duration::from_secs(19), [9; 12]).is_none());
        assert!(r.poll_request(now + Duration::from_secs(20), [9; 12]).is_some());
    }

    #[test]
    fn a_server_is_asked_again_and_strangers_are_not_believed() {
        let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let mut request = [0; 100];
            let (_, client) = server.recv_from(&mut request).unwrap();
            server.send_to(&sample([0; 12]), client).unwrap();
            // The first request counts as lost.
            server.recv_from(&mut request).unwrap();
            server.send_to(&sample(*request[8..20].first_chunk().unwrap()), client).unwrap();
        });
        let mapped = ask_stun_server("127.0.0.1", port, 0, Duration::from_secs(5)).unwrap();
        assert_eq!(mapped.to_string(), "192.0.2.1:32853");
        thread.join().unwrap();
    }

    #[test]
    fn a_server_that_does_not_answer_is_given_up() {
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        assert!(ask_stun_server("127.0.0.1", port, 0, Duration::from_millis(300)).is_err());
    }

    #[test]
    fn a_silent_server_is_asked_more_and_more_rarely() {
        let mut now = Instant::now();
        let mut r = Reflexive::new(now);
        for ms in [250, 500, 1000, 2000, 4000, 8000, 16000, 20000, 20000] {
            assert!(r.poll_request(now, [1; 12]).is_some());
            assert_eq!(r.next() - now, Duration::from_millis(ms));
            now = r.next();
        }
    }

    #[test]
    fn a_server_is_asked_only_from_where_it_can_be_reached() {
        let certificate = Certificate::generate(KeyKind::EcdsaP256, SystemTime::now()).unwrap();
        let settings = Settings::new(certificate);
        let servers = ["[2001:db8::9]:3478", "192.0.2.9:3478"].map(|a| a.parse().unwrap());
        for (local, expected) in [
            ("10.0.0.5:1", Some(servers[1])),
            ("[2001:db8::1]:1", Some(servers[0])),
            ("127.0.0.1:1", None),
            ("[::1]:1", None),
        ] {
            assert_eq!(server_for(local.parse().unwrap(), &servers, &settings), expected, "{local}");
        }
    }

    #[test]
    fn an_answer_says_which_worker_asked() {
        for worker in [0, 1, 255, 256, 1023] {
            let transaction = transaction_of(worker, [7; 12]);
            assert_eq!(transaction[2..], [7; 10]);
            assert_eq!(asked_by(&sample(transaction)), Some(worker));
        }
        assert_eq!(asked_by(&[1, 1, 0, 0]), None);
    }

    #[test]
    fn damaged_answers_are_ignored() {
        let good = sample([7; 12]);
        for cut in 0..good.len() {
            assert_eq!(parse_response(&good[..cut]), None);
        }
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 0xff;
            let _ = parse_response(&bad);
        }
    }

    #[test]
    fn ports_that_peers_saw_are_told_for_as_long_as_somebody_sees_them() {
        let known: SocketAddr = "203.0.113.80:10000".parse().unwrap();
        let at = |port| SocketAddr::new(known.ip(), port);
        let (mut ways, start) = (WaysOut::default(), Instant::now());
        let told = |ways: &WaysOut, now| ways.beside(known, now).map(|a| a.port()).collect::<Vec<_>>();
        ways.learn(at(19_472), start);
        ways.learn("198.51.100.1:5".parse().unwrap(), start);
        ways.learn(known, start);
        assert_eq!(told(&ways, start), [19_472]);
        assert!(ways.keep(at(19_472), start + WaysOut::KEEP / 2) && !ways.keep(at(7), start));
        assert_eq!(told(&ways, start + WaysOut::KEEP), [19_472]);
        assert_eq!(told(&ways, start + WaysOut::KEEP * 2), [0_u16; 0]);
        for port in 1..=9 {
            ways.learn(at(port), start + WaysOut::KEEP * 2);
        }
        assert_eq!(told(&ways, start + WaysOut::KEEP * 2), [6, 7, 8, 9], "the newest count");
    }
}
