//! What an operator can decide about media. Plain values: who reads files fills them in.

use crate::certificate::Certificate;
use crate::turn::{TurnServer, TurnTrust};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The settings of the engine. [`Settings::new`] gives Janus' defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Worker threads; 0 for one a core (`event_loops`).
    pub workers: usize,
    /// Worker `i` listens on `base_port + i`, UDP and, with `ice_tcp`, TCP; 0 for any free ports.
    pub base_port: u16,
    /// All workers listen on `base_port` itself.
    pub single_port: bool,
    /// A UDP port of its own for each peer, as Janus has it.
    pub port_range: Option<RangeInclusive<u16>>,
    /// Use IPv6 addresses.
    pub ipv6: bool,
    /// Use link-local IPv6 addresses too.
    pub ipv6_link_local: bool,
    /// Use loopback addresses: for tests and demonstrations on one machine.
    pub allow_loopback: bool,
    /// Use only interfaces and addresses that start with one of these.
    pub ice_enforce: Vec<String>,
    /// Do not use interfaces and addresses that start with one of these.
    pub ice_ignore: Vec<String>,
    /// Public addresses that stand for ours in candidates (1:1 NAT).
    pub nat_1_1_mapping: Vec<IpAddr>,
    /// Keep the private host candidate beside the mapped one.
    pub keep_private_host: bool,
    /// The address for c= and o= lines, where it is not the mapped or first one.
    pub sdp_address: Option<IpAddr>,
    /// Answer checks, send none.
    pub ice_lite: bool,
    /// Accept ICE over TCP.
    pub ice_tcp: bool,
    /// Send our candidates one by one instead of in the description.
    pub full_trickle: bool,
    /// With `full_trickle`: our candidates follow so long after our checks to all of the client's have left; zero for at
    /// once.
    pub trickle_hold: Duration,
    /// With `full_trickle`: our candidates follow our description so much later; zero for at once.
    pub trickle_delay: Duration,
    /// Ignore `.local` candidates instead of resolving them.
    pub ignore_mdns: bool,
    /// Where to ask for our server-reflexive addresses: host and port.
    pub stun_server: Option<(String, u16)>,
    /// Servers that relay for us: one allocation on each for each worker. Not with `ice_lite`.
    pub turn_servers: Vec<TurnServer>,
    /// Whose certificates those over TLS may show; without it they are not used.
    pub turn_trust: Option<TurnTrust>,
    /// Stop sending when the peer has not shown consent for 30 seconds (RFC 7675).
    pub consent_freshness: bool,
    /// On lost consent close at once instead of reporting `ice-failed` first.
    pub hangup_on_failed: bool,
    /// Our DTLS certificate.
    pub certificate: Certificate,
    /// Largest DTLS datagram.
    pub dtls_mtu: u16,
    /// DTLS cipher suites by their OpenSSL or IANA names; `None` for our choice.
    pub dtls_ciphers: Option<String>,
    /// Accept self-signed certificates of peers (their fingerprint is checked in any case).
    pub dtls_accept_self_signed: bool,
    /// Answer `setup:passive` to `actpass`.
    pub dtls_answer_passive: bool,
    /// How long sent packets are kept for retransmission, at least.
    pub min_nack_queue: Duration,
    /// Forget packets kept for retransmission when a keyframe goes out.
    pub nack_optimizations: bool,
    /// Silence after which a medium counts as stopped; zero for never.
    pub no_media_timer: Duration,
    /// Lost packets a second from which on a link is slow; 0 for never.
    pub slow_link_threshold: u32,
    /// Time between transport-wide feedback messages.
    pub twcc_period: Duration,
    /// DSCP of media packets, as a TOS byte.
    pub tos: Option<u8>,
    /// Tell of paths, handshakes and statistics, too: for event handlers.
    pub narrate: bool,
    /// Seconds between statistics; 0 for none.
    pub stats_period: u32,
    /// How long the rest of a frame is waited for at most, where a source sends frames at once; zero for not at all.
    pub gather: Duration,
    /// Make the packets of a frame equally long by RTP padding, so that they leave in one call.
    pub pad_frames: bool,
}

/// The settings that can be changed while the engine runs; see [`Settings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Of media that are negotiated from now on.
    pub min_nack_queue: Duration,
    /// See [`Settings::nack_optimizations`].
    pub nack_optimizations: bool,
    /// See [`Settings::no_media_timer`].
    pub no_media_timer: Duration,
    /// See [`Settings::slow_link_threshold`].
    pub slow_link_threshold: u32,
}

impl Settings {
    /// Changes what can be changed.
    pub(crate) fn tune(&mut self, tuning: Tuning) {
        self.min_nack_queue = tuning.min_nack_queue;
        self.nack_optimizations = tuning.nack_optimizations;
        self.no_media_timer = tuning.no_media_timer;
        self.slow_link_threshold = tuning.slow_link_threshold;
    }

    /// Janus' defaults, with this certificate.
    pub fn new(certificate: Certificate) -> Self {
        Self {
            workers: 0,
            base_port: 10_000,
            single_port: false,
            port_range: None,
            ipv6: false,
            ipv6_link_local: false,
            allow_loopback: false,
            ice_enforce: Vec::new(),
            ice_ignore: vec!["vmnet".to_owned()],
            nat_1_1_mapping: Vec::new(),
            keep_private_host: false,
            sdp_address: None,
            ice_lite: false,
            ice_tcp: false,
            full_trickle: false,
            trickle_hold: Duration::ZERO,
            trickle_delay: Duration::ZERO,
            ignore_mdns: false,
            stun_server: None,
            turn_servers: Vec::new(),
            turn_trust: None,
            consent_freshness: true,
            hangup_on_failed: false,
            certificate,
            dtls_mtu: 1200,
            dtls_ciphers: None,
            dtls_accept_self_signed: true,
            dtls_answer_passive: false,
            min_nack_queue: Duration::from_millis(200),
            nack_optimizations: false,
            no_media_timer: Duration::from_secs(1),
            slow_link_threshold: 0,
            twcc_period: Duration::from_millis(200),
            tos: None,
            narrate: false,
            stats_period: 1,
            gather: Duration::ZERO,
            pad_frames: true,
        }
    }
}
