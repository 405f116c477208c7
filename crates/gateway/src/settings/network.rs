//! Sections `media` and `nat` of `janus.jcfg`.

use portunus_jcfg::{Kind, Reader, Severity};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::keys::JANUS;
use super::values::{host_and_port, ip, milliseconds, ports, seconds};

/// Section `media`.
#[derive(Debug, Clone)]
pub(crate) struct Media {
    /// Use IPv6.
    pub(crate) ipv6: bool,
    /// Use link-local IPv6 addresses too.
    pub(crate) ipv6_linklocal: bool,
    /// How long sent packets are kept for retransmission, at least.
    pub(crate) min_nack_queue: Duration,
    /// A port for each handle out of this range; absent: the ports of [`super::Portunus`].
    pub(crate) rtp_port_range: Option<RangeInclusive<u16>>,
    /// Largest DTLS datagram, bytes.
    pub(crate) dtls_mtu: u16,
    /// Silence after which a medium counts as stopped; zero = never.
    pub(crate) no_media_timer: Duration,
    /// Lost packets a second from which on a link is slow; 0 = never.
    pub(crate) slowlink_threshold: u32,
    /// Time between transport-wide feedback messages.
    pub(crate) twcc_period: Duration,
    /// Forget kept packets at a keyframe.
    pub(crate) nack_optimizations: bool,
    /// DSCP of media packets, 0 to 63; not set if absent.
    pub(crate) dscp: Option<u8>,
}

/// Section `nat`.
#[derive(Debug, Clone)]
pub(crate) struct Nat {
    /// Who tells our public addresses.
    pub(crate) stun_server: Option<StunServer>,
    /// Candidates one by one.
    pub(crate) full_trickle: bool,
    /// Answer checks, send none.
    pub(crate) ice_lite: bool,
    /// ICE over TCP.
    pub(crate) ice_tcp: bool,
    /// Stop sending to who does not answer any more (RFC 7675). On by default, unlike Janus'.
    pub(crate) ice_consent_freshness: bool,
    /// End a failed PeerConnection at once.
    pub(crate) hangup_on_failed: bool,
    /// Do not resolve `.local` candidates.
    pub(crate) ignore_mdns: bool,
    /// Public addresses that stand for ours.
    pub(crate) nat_1_1_mapping: Vec<IpAddr>,
    /// Keep the private ones beside them.
    pub(crate) keep_private_host: bool,
    /// Beginnings of the only interfaces and addresses to use; all when empty.
    pub(crate) ice_enforce_list: Vec<String>,
    /// Beginnings of interfaces and addresses not to use.
    pub(crate) ice_ignore_list: Vec<String>,
    /// Use loopback, for tests and demonstrations on one machine. Ours.
    pub(crate) allow_loopback: bool,
}

/// `stun_server` and `stun_port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StunServer {
    /// Name or address.
    pub(crate) host: String,
    /// UDP port.
    pub(crate) port: u16,
}

pub(super) fn read_media(reader: &Reader<'_>) -> Media {
    let mut s = JANUS.open(reader, "media");
    // Its name before 1.0; the present one wins.
    let dscp = match s.get("dscp") {
        Some(_) => "dscp",
        None => "dscp_tos",
    };
    Media {
        ipv6: s.get_bool("ipv6", false),
        ipv6_linklocal: s.get_bool("ipv6_linklocal", false),
        min_nack_queue: milliseconds(&mut s, "min_nack_queue", 200, 0..=10_000),
        rtp_port_range: s.get_with("rtp_port_range", ports).flatten(),
        dtls_mtu: s.get_int("dtls_mtu", 1200, 256..=9000),
        no_media_timer: seconds(&mut s, "no_media_timer", 1),
        slowlink_threshold: s.get_int("slowlink_threshold", 0, 0..=1_000_000),
        twcc_period: milliseconds(&mut s, "twcc_period", 200, 10..=10_000),
        nack_optimizations: s.get_bool("nack_optimizations", false),
        dscp: Some(s.get_int(dscp, 0, 0..=63)).filter(|&dscp| dscp > 0),
    }
}

pub(super) fn read_nat(reader: &Reader<'_>) -> Nat {
    let mut s = JANUS.open(reader, "nat");
    let port = s.get_int("stun_port", 3478_u16, 1..=u16::MAX);
    let host = s.get_filled("stun_server").map(|host| host.trim().to_owned());
    if let Some((_, Some(_))) = host.as_deref().map(host_and_port) {
        let message = "takes a host without a port: the port stands in `stun_port`";
        s.report("stun_server", Severity::Error, Kind::BadValue, message);
    }
    let ignored = s.get_list("ice_ignore_list").unwrap_or_else(|| vec!["vmnet".to_owned()]);
    Nat {
        stun_server: host.map(|host| StunServer { host, port }),
        full_trickle: s.get_bool("full_trickle", false),
        ice_lite: s.get_bool("ice_lite", false),
        ice_tcp: s.get_bool("ice_tcp", false),
        ice_consent_freshness: s.get_bool("ice_consent_freshness", true),
        hangup_on_failed: s.get_bool("hangup_on_failed", false),
        ignore_mdns: s.get_bool("ignore_mdns", false),
        nat_1_1_mapping: s.get_list_with("nat_1_1_mapping", ip).unwrap_or_default(),
        keep_private_host: s.get_bool("keep_private_host", false),
        ice_enforce_list: s.get_list("ice_enforce_list").unwrap_or_default(),
        ice_ignore_list: ignored,
        allow_loopback: s.get_bool("allow_loopback", false),
    }
}
