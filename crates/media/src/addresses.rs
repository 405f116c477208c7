//! Which of the machine's addresses peers may use, and the candidates that advertise them.

use crate::settings::Settings;
use crate::socket::InterfaceAddress;
use portunus_sdp::{Candidate, CandidateAddress, CandidateKind, CandidateTransport, TcpType};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;

/// Addresses of one machine that are used at most; a machine with more has them for other reasons.
const MAX_ADDRESSES: usize = 16;

/// Type preferences (RFC 8445 section 5.1.2.1); with [`LOCAL_PREFERENCE`] a host candidate gets the priority
/// 2015363327 that Janus' do.
const HOST: u32 = 120;
const HOST_TCP: u32 = 105;
const SERVER_REFLEXIVE: u32 = 100;
const RELAYED: u32 = 30;
const RELAYED_BY_STREAM: u32 = 20;
const LOCAL_PREFERENCE: u32 = 8192;

/// Ports tried for one peer: a range that is full must not keep a worker busy.
const MAX_PORT_TRIES: u32 = 1024;

/// The addresses to listen on, best first; their port is 0.
pub(crate) fn usable(all: &[InterfaceAddress], settings: &Settings) -> Vec<SocketAddr> {
    let mut found: Vec<SocketAddr> = Vec::new();
    for a in all {
        if is_wanted(a, settings) && !found.iter().any(|f| f.ip() == a.ip) {
            found.push(a.any_port());
        }
    }
    // IPv4 first, loopback last: the first address is the one in c= and o= lines.
    found.sort_by_key(|a| (a.ip().is_loopback(), a.is_ipv6()));
    found.truncate(MAX_ADDRESSES);
    found
}

fn is_wanted(a: &InterfaceAddress, settings: &Settings) -> bool {
    let ip = a.ip;
    let matches = |list: &[String]| {
        let ip = ip.to_string();
        list.iter().any(|prefix| !prefix.is_empty() && (a.name.starts_with(prefix) || ip.starts_with(prefix)))
    };
    let family = match ip {
        IpAddr::V4(ip) => !ip.is_link_local() && !ip.is_unspecified(),
        IpAddr::V6(ip) => settings.ipv6 && (settings.ipv6_link_local || !ip.is_unicast_link_local()),
    };
    if !family || (ip.is_loopback() && !settings.allow_loopback) {
        return false;
    }
    if settings.ice_enforce.is_empty() {
        !matches(&settings.ice_ignore)
    } else {
        matches(&settings.ice_enforce)
    }
}

/// The address for c= and o= lines.
pub(crate) fn sdp_address(used: &[SocketAddr], settings: &Settings) -> IpAddr {
    settings
        .nat_1_1_mapping
        .first()
        .copied()
        .or(settings.sdp_address)
        .or_else(|| used.first().map(SocketAddr::ip))
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// The ports of `range` to try for one peer: from anywhere in it (`random`) on and round.
pub(crate) fn ports(range: &RangeInclusive<u16>, random: u32) -> impl Iterator<Item = u16> {
    let first = u32::from(*range.start());
    let width = u32::from(*range.end()).saturating_sub(first) + 1;
    let tries = if range.is_empty() { 0 } else { width.min(MAX_PORT_TRIES) };
    (0..tries).filter_map(move |i| u16::try_from(first + (random % width + i) % width).ok())
}

/// The same address, scope and all, with a port.
pub(crate) const fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// Binds to each of these addresses. One that is not there is left out: it went away, or it is IPv6 and the system
/// still looks for duplicates of it.
///
/// # Errors
/// What else can go wrong, with the address.
pub(crate) fn bind_each<T>(
    local: &[SocketAddr],
    mut bind: impl FnMut(SocketAddr) -> Result<T, (SocketAddr, io::Error)>,
) -> Result<Vec<T>, (SocketAddr, io::Error)> {
    let mut bound = Vec::with_capacity(local.len());
    for address in local {
        match bind(*address) {
            Ok(socket) => bound.push(socket),
            Err((address, error)) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                tracing::warn!(%address, "the address is not there: going on without it");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(bound)
}

/// The public addresses that stand for a local one.
fn mapped(local: SocketAddr, settings: &Settings) -> impl Iterator<Item = IpAddr> {
    let all = settings.nat_1_1_mapping.iter().copied();
    all.filter(move |ip| ip.is_ipv4() == local.is_ipv4() && !local.ip().is_loopback())
}

/// Whether it is of use to know what a STUN server sees of this local address: as a candidate beside it or, for a lite
/// agent, as the address that its port is published at.
pub(crate) fn wants_reflexive(local: SocketAddr, settings: &Settings) -> bool {
    mapped(local, settings).next().is_none()
}

/// A lite agent has host candidates only (RFC 8445 section 2.5): what STUN saw of it stands for our address as if it had
/// been mapped by hand, with our port, as that is the one that was opened for it.
fn published(socket: &Advertised, settings: &Settings) -> Option<IpAddr> {
    let seen = socket.reflexive.filter(|_| settings.ice_lite)?.ip();
    (wants_reflexive(socket.local, settings) && seen != socket.local.ip()).then_some(seen)
}

/// A local address as peers see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Advertised {
    /// Where our socket is bound.
    pub(crate) local: SocketAddr,
    /// What a STUN server saw of it.
    pub(crate) reflexive: Option<SocketAddr>,
    /// TCP, not UDP.
    pub(crate) tcp: bool,
    /// It is an address of a TURN server.
    pub(crate) relay: Option<RelayedBy>,
}

/// How a relayed address is ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RelayedBy {
    /// The number of its link.
    pub(crate) link: usize,
    /// Our address as the server sees it.
    pub(crate) mapped: SocketAddr,
    /// The server is reached over a stream.
    pub(crate) stream: bool,
}

/// The candidates for these sockets.
pub(crate) fn candidates(sockets: &[Advertised], settings: &Settings) -> Vec<Candidate> {
    let mut out: Vec<Candidate> = Vec::new();
    for (i, socket) in sockets.iter().enumerate() {
        let order = u32::try_from(i).unwrap_or(u32::MAX).min(LOCAL_PREFERENCE - 1);
        let local = socket.local;
        if let Some(relay) = socket.relay {
            let kind = if relay.stream { RELAYED_BY_STREAM } else { RELAYED };
            let mut c = candidate(CandidateKind::Relay, kind, LOCAL_PREFERENCE - order, local, false);
            c.related = Some(relay.mapped);
            push(&mut out, c);
            continue;
        }
        let mapped: Vec<IpAddr> = mapped(local, settings).chain(published(socket, settings)).collect();
        let kind = if socket.tcp { HOST_TCP } else { HOST };
        let preference = LOCAL_PREFERENCE - order;
        for ip in &mapped {
            push(
                &mut out,
                candidate(
                    CandidateKind::Host,
                    kind,
                    preference,
                    SocketAddr::new(*ip, local.port()),
                    socket.tcp,
                ),
            );
        }
        if mapped.is_empty() || settings.keep_private_host || published(socket, settings).is_some() {
            push(&mut out, candidate(CandidateKind::Host, kind, preference, local, socket.tcp));
        }
        let beside = |a: &SocketAddr| *a != local && !settings.ice_lite && wants_reflexive(local, settings);
        if let Some(address) = socket.reflexive.filter(beside) {
            let mut c = candidate(CandidateKind::Srflx, SERVER_REFLEXIVE, preference, address, socket.tcp);
            c.related = Some(local);
            push(&mut out, c);
        }
    }
    out
}

fn push(out: &mut Vec<Candidate>, mut c: Candidate) {
    let same = |o: &Candidate| o.address == c.address && o.port == c.port && o.transport == c.transport;
    if !out.iter().any(same) {
        c.foundation = (out.len() + 1).to_string();
        out.push(c);
    }
}

fn candidate(kind: CandidateKind, preference: u32, local: u32, address: SocketAddr, tcp: bool) -> Candidate {
    Candidate {
        foundation: String::new(),
        component: 1,
        transport: if tcp { CandidateTransport::Tcp(TcpType::Passive) } else { CandidateTransport::Udp },
        priority: (preference << 24) | (local << 8) | 255,
        address: CandidateAddress::Ip(address.ip()),
        port: address.port(),
        kind,
        related: None,
        ufrag: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::{Certificate, KeyKind};
    use std::time::SystemTime;

    fn settings() -> Settings {
        Settings::new(Certificate::generate(KeyKind::EcdsaP256, SystemTime::now()).unwrap())
    }

    fn interfaces() -> Vec<InterfaceAddress> {
        [
            ("lo", "127.0.0.1"),
            ("lo", "::1"),
            ("eth0", "fe80::1"),
            ("eth0", "2001:db8::1"),
            ("eth0", "10.0.0.5"),
            ("vmnet1", "10.9.0.1"),
            ("docker0", "172.17.0.1"),
        ]
        .into_iter()
        .map(|(name, ip)| InterfaceAddress { name: name.to_owned(), ip: ip.parse().unwrap(), scope: 0 })
        .collect()
    }

    fn used(s: &Settings) -> Vec<String> {
        usable(&interfaces(), s).iter().map(|a| a.ip().to_string()).collect()
    }

    #[test]
    fn by_default_there_is_no_loopback_no_ipv6_and_no_vmnet() {
        assert_eq!(used(&settings()), ["10.0.0.5", "172.17.0.1"]);
    }

    #[test]
    fn settings_widen_and_narrow_the_choice() {
        let mut s = settings();
        s.ipv6 = true;
        s.allow_loopback = true;
        assert_eq!(used(&s), ["10.0.0.5", "172.17.0.1", "2001:db8::1", "127.0.0.1", "::1"]);
        s.ipv6_link_local = true;
        assert!(used(&s).contains(&"fe80::1".to_owned()));
        s.ice_ignore.push("docker".to_owned());
        assert!(!used(&s).contains(&"172.17.0.1".to_owned()));
        s.ice_enforce = vec!["vmnet1".to_owned(), "10.0.".to_owned()];
        assert_eq!(used(&s), ["10.0.0.5", "10.9.0.1"]);
    }

    fn texts(s: &Settings) -> Vec<String> {
        let local = "10.0.0.5:10000".parse().unwrap();
        let reflexive = Some("192.0.2.7:61000".parse().unwrap());
        candidates(&[Advertised { local, reflexive, tcp: false, relay: None }], s)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn host_and_reflexive_candidates_have_janus_priorities() {
        assert_eq!(
            texts(&settings()),
            [
                "candidate:1 1 udp 2015363327 10.0.0.5 10000 typ host",
                "candidate:2 1 udp 1679819007 192.0.2.7 61000 typ srflx raddr 10.0.0.5 rport 10000",
            ]
        );
    }

    #[test]
    fn mapping_replaces_the_host_address_or_stands_beside_it() {
        let mut s = settings();
        s.nat_1_1_mapping = vec!["203.0.113.1".parse().unwrap(), "203.0.113.2".parse().unwrap()];
        assert_eq!(
            texts(&s),
            [
                "candidate:1 1 udp 2015363327 203.0.113.1 10000 typ host",
                "candidate:2 1 udp 2015363327 203.0.113.2 10000 typ host",
            ]
        );
        assert_eq!(sdp_address(&["10.0.0.5:0".parse().unwrap()], &s).to_string(), "203.0.113.1");
        s.keep_private_host = true;
        assert_eq!(texts(&s).len(), 3);
        assert!(texts(&s)[2].contains(" 10.0.0.5 10000 typ host"));
    }

    #[test]
    fn a_link_local_address_keeps_the_scope_that_binding_needs() {
        let mut s = settings();
        (s.ipv6, s.ipv6_link_local) = (true, true);
        let address = InterfaceAddress { name: "eth0".to_owned(), ip: "fe80::1".parse().unwrap(), scope: 7 };
        assert_eq!(usable(&[address], &s), ["[fe80::1%7]:0".parse::<SocketAddr>().unwrap()]);
    }

    #[test]
    fn every_port_of_a_range_is_tried_once_from_anywhere_on() {
        let tried = |random| ports(&(65532..=65535), random).collect::<Vec<_>>();
        assert_eq!(tried(0), [65532, 65533, 65534, 65535]);
        assert_eq!(tried(6), [65534, 65535, 65532, 65533]);
        assert_eq!(tried(u32::MAX), [65535, 65532, 65533, 65534]);
        assert_eq!(ports(&(7..=7), 9).collect::<Vec<_>>(), [7]);
        assert_eq!(ports(&RangeInclusive::new(9, 7), 9).count(), 0);
        assert_eq!(ports(&(0..=65535), 9).count(), 1024);
    }

    #[test]
    fn a_mapping_has_no_use_for_reflexive_addresses() {
        let [local, other_family, loopback] =
            ["10.0.0.5:1", "[2001:db8::1]:1", "127.0.0.1:1"].map(|a| a.parse().unwrap());
        let mut s = settings();
        assert!(wants_reflexive(local, &s));
        s.nat_1_1_mapping = vec!["203.0.113.1".parse().unwrap()];
        assert!(!wants_reflexive(local, &s));
        assert!(wants_reflexive(other_family, &s) && wants_reflexive(loopback, &s));
    }

    #[test]
    fn a_lite_agent_is_found_at_the_address_that_stun_saw_and_at_its_own_port() {
        let mut s = settings();
        s.ice_lite = true;
        assert_eq!(
            texts(&s),
            [
                "candidate:1 1 udp 2015363327 192.0.2.7 10000 typ host",
                "candidate:2 1 udp 2015363327 10.0.0.5 10000 typ host",
            ]
        );
        s.nat_1_1_mapping = vec!["203.0.113.1".parse().unwrap()];
        assert_eq!(texts(&s), ["candidate:1 1 udp 2015363327 203.0.113.1 10000 typ host"]);
    }
}
