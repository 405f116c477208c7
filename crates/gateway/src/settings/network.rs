//! Sections `media` and `nat` of `janus.jcfg`.

use portunus_ice_servers::{ServiceUrl, rest};
use portunus_jcfg::{Kind, Reader, Section, Severity};
use portunus_media::TurnTransport;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Secret;
use super::keys::JANUS;
use super::values::{host_and_port, ip, milliseconds, ports, seconds, secret};

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
    /// Who relays for us.
    pub(crate) turn_server: Option<TurnServer>,
    /// Who tells servers and credentials.
    pub(crate) turn_rest: Option<rest::Settings>,
    /// A client may ask for relays only.
    pub(crate) allow_force_relay: bool,
    /// Candidates one by one.
    pub(crate) full_trickle: bool,
    /// Our candidates follow so long after our checks; zero for at once. Ours.
    pub(crate) trickle_hold: Duration,
    /// Our candidates follow our description so much later; zero for at once. Ours.
    pub(crate) trickle_delay: Duration,
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

/// `turn_server` and its like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TurnServer {
    /// Name or address.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// How it is reached.
    pub(crate) transport: TurnTransport,
    /// Who we are there.
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
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
    let host = host(&mut s, "stun_server", "stun_port");
    let turn_server = read_turn(&mut s);
    let turn_rest = read_turn_rest(&mut s);
    let (full_trickle, ice_lite) = (s.get_bool("full_trickle", false), s.get_bool("ice_lite", false));
    let trickle_hold = milliseconds(&mut s, "trickle_hold_ms", 0, 0..=10_000);
    let trickle_delay = milliseconds(&mut s, "trickle_delay_ms", 0, 0..=30_000);
    for (key, value) in [("trickle_hold_ms", trickle_hold), ("trickle_delay_ms", trickle_delay)] {
        let useless = match (full_trickle, ice_lite) {
            (false, _) => "has no effect without `nat.full_trickle`: candidates are in the description",
            (true, true) if key == "trickle_hold_ms" => {
                "has no effect with `nat.ice_lite`: no checks are sent that candidates could wait for"
            }
            _ => continue,
        };
        if !value.is_zero() {
            s.report(key, Severity::Warning, Kind::Advice, useless);
        }
    }
    let ignored = s.get_list("ice_ignore_list").unwrap_or_else(|| vec!["vmnet".to_owned()]);
    Nat {
        stun_server: host.map(|host| StunServer { host, port }),
        turn_server,
        turn_rest,
        allow_force_relay: s.get_bool("allow_force_relay", false),
        full_trickle,
        trickle_hold,
        trickle_delay,
        ice_lite,
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

/// A host whose port stands in another key.
fn host(s: &mut Section<'_>, key: &str, port_key: &str) -> Option<String> {
    let host = s.get_filled(key).map(|host| host.trim().to_owned());
    if let Some((_, Some(_))) = host.as_deref().map(host_and_port) {
        let message = format!("takes a host without a port: the port stands in `{port_key}`");
        s.report(key, Severity::Error, Kind::BadValue, message);
    }
    host
}

fn read_turn(s: &mut Section<'_>) -> Option<TurnServer> {
    let types = [("udp", TurnTransport::Udp), ("tcp", TurnTransport::Tcp), ("tls", TurnTransport::Tls)];
    let (port, transport) =
        (s.get_int("turn_port", 3478_u16, 1..=u16::MAX), s.get_enum("turn_type", &types, TurnTransport::Udp));
    let (user, password) = (s.get_filled("turn_user"), secret(s, "turn_pwd"));
    let host = host(s, "turn_server", "turn_port")?;
    if user.is_some() != password.is_some() {
        let (there, missing) =
            if user.is_some() { ("turn_user", "turn_pwd") } else { ("turn_pwd", "turn_user") };
        s.report(there, Severity::Warning, Kind::Advice, format!("is there, and `{missing}` is not"));
    } else if user.is_none() {
        let message = "has no `turn_user` and `turn_pwd`: nearly every TURN server asks for them";
        s.report("turn_server", Severity::Warning, Kind::Advice, message);
    }
    for (key, longest) in [("turn_user", 508), ("turn_pwd", 508)] {
        if s.get_text(key).is_some_and(|text| text.len() > longest) {
            let message = format!("may have {longest} bytes at most");
            s.report(key, Severity::Error, Kind::BadValue, message);
        }
    }
    if s.get_bool("ice_lite", false) {
        let message = "is not used with `ice_lite`, which has no relay candidates";
        s.report("turn_server", Severity::Warning, Kind::Advice, message);
    }
    Some(TurnServer { host, port, transport, user, password })
}

/// `turn_rest_api` and its like.
fn read_turn_rest(s: &mut Section<'_>) -> Option<rest::Settings> {
    let methods = [("GET", rest::Method::Get), ("POST", rest::Method::Post)];
    let method = s.get_enum("turn_rest_api_method", &methods, rest::Method::Get);
    let timeout = Duration::from_secs(s.get_int("turn_rest_api_timeout", 10, 1..=300));
    let key = secret(s, "turn_rest_api_key").map(|key| key.expose().into());
    let url = |text: &str| text.parse::<ServiceUrl>().map_err(|wrong| wrong.to_string());
    let url = s.get_filled("turn_rest_api").is_some().then(|| s.get_with("turn_rest_api", url)).flatten()?;
    if s.get_bool("ice_lite", false) {
        let message = "is not used with `ice_lite`, which has no relay candidates";
        s.report("turn_rest_api", Severity::Warning, Kind::Advice, message);
    }
    Some(rest::Settings { url, key, method, timeout })
}
