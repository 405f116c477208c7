//! A datagram before anything is known about its sender: what it is, and the ICE agent as a peer uses it.
#![no_main]

use is::stun::{Class, Method, StunMessage, StunPacket};
use is::{Candidate, DefaultSha1HmacProvider, IceAgent, IceCreds, Protocol, Sha1HmacProvider};
use libfuzzer_sys::fuzz_target;
use portunus_rtp::packet::Demux;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const PASSWORD: &str = "passwordpasswordpassword";

fuzz_target!(|data: &[u8]| {
    let kind = Demux::classify(data);
    let Ok(message) = StunMessage::parse(data) else { return };
    if data[0] < 4 {
        assert_eq!(kind, Demux::Stun);
    }
    read(&message);
    for lite in [true, false] {
        // The password is long enough that no input guesses the digest.
        let answers = handle(message, lite);
        assert_eq!(answers, 0, "an unauthenticated message was answered");
    }
    // The same message as a sender with the password would have written it; nobody writes what has no name.
    if message.method() == Method::Unknown || message.class() == Class::Unknown {
        return;
    }
    let mut signed = vec![0; data.len() + 512];
    if let Ok(len) = message.to_bytes(Some(PASSWORD.as_bytes()), &mut signed, hmac)
        && let Ok(message) = StunMessage::parse(&signed[..len])
    {
        assert!(message.verify(PASSWORD.as_bytes(), hmac));
        for lite in [true, false] {
            let answers = handle(message, lite);
            assert!(answers <= 4, "{answers} datagrams for one");
        }
    }
});

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    DefaultSha1HmacProvider.sha1_hmac(key, parts)
}

fn read(message: &StunMessage<'_>) {
    let _ = (message.method(), message.class(), message.trans_id());
    let _ = (message.username(), message.split_username(), message.use_candidate(), message.prio());
    let _ = (message.mapped_address(), message.xor_peer_address(), message.xor_relayed_address());
    let _ = (message.error_code(), message.realm(), message.nonce(), message.software(), message.data());
    let _ = (message.channel_number(), message.lifetime(), message.network_cost());
    let _ = (message.ice_controlled(), message.ice_controlling());
    let _ = format!("{message:?}");
}

/// Feeds an agent with a known peer; yields how many datagrams it sends because of it.
fn handle(message: StunMessage<'_>, lite: bool) -> usize {
    let address = |text: &str| -> SocketAddr { text.parse().expect("an address") };
    let (ours, theirs) = (address("192.0.2.1:10000"), address("192.0.2.2:20000"));
    let mut agent = IceAgent::new(IceCreds { ufrag: "ours".into(), pass: PASSWORD.into() });
    agent.set_ice_lite(lite);
    agent.set_controlling(false);
    agent.set_max_candidate_pairs(100);
    agent.add_local_candidate(Candidate::host(ours, Protocol::Udp).expect("a candidate"));
    agent.set_remote_credentials(IceCreds { ufrag: "theirs".into(), pass: PASSWORD.into() });
    let start = Instant::now();
    agent.handle_timeout(start);
    while agent.poll_transmit().is_some() {}
    let packet = StunPacket { proto: Protocol::Udp, source: theirs, destination: ours, message };
    agent.handle_packet(start, packet);
    agent.handle_timeout(start);
    let mut sent = 0;
    while agent.poll_transmit().is_some() {
        sent += 1;
    }
    while agent.poll_event().is_some() {}
    agent.handle_timeout(start + Duration::from_secs(1));
    sent
}
