//! Packets from strangers, too early, damaged or repeated: dropped and counted, nobody else touched.

use super::*;

fn stranger() -> SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}

#[test]
fn nothing_but_authentic_stun_makes_an_address_known() {
    let mut s = Simulation::new(vec![audio(0)], |_| {});
    s.connect();
    s.keep_log = true;
    let hello = [22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let sealed = rtp("0", "", OPUS, 1, 1, 1, &[0; 100]);
    let stun = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for bytes in [&hello[..], &sealed, &stun, &[], &[255; 1400], &[128; 3]] {
        s.deliver(SERVER, stranger(), bytes);
    }
    assert!(s.log.is_empty(), "a stranger was answered");
    let dropped = s.workers[SERVER].dropped;
    assert_eq!((dropped.stranger, dropped.unauthenticated_stun, dropped.unknown_kind), (3, 1, 2));
}

#[test]
fn a_replayed_packet_goes_nowhere() {
    let mut s = Simulation::new(vec![audio(0)], |_| {});
    s.connect();
    s.echo("0");
    s.keep_log = true;
    s.send(&rtp("0", "", OPUS, 1, 1, 1, &[3; 50]));
    let sealed = s.log.last().unwrap().1.clone();
    s.run(MS * 100);
    assert_eq!(s.received.len(), 1);
    let client = s.addresses[CLIENT];
    for _ in 0..10 {
        s.deliver(SERVER, client, &sealed);
    }
    s.run(MS * 100);
    assert_eq!(s.received.len(), 1);
}

#[test]
fn damaged_packets_of_the_true_peer_end_nothing() {
    let mut s = Simulation::new(vec![audio(0)], |_| {});
    s.connect();
    s.echo("0");
    let client = s.addresses[CLIENT];
    for i in 0..1000_u32 {
        let mut forged = rtp("0", "", OPUS, 1, 1, 1, &[3; 50]);
        forged[20] = i.to_be_bytes()[3];
        forged.truncate(12 + usize::try_from(i % 60).unwrap());
        s.deliver(SERVER, client, &forged);
        let mut rtcp = vec![0x81, 201, 0, 7];
        rtcp.resize(usize::try_from(i % 60).unwrap(), 1);
        s.deliver(SERVER, client, &rtcp);
        s.deliver(SERVER, client, &[22, 254, 253, 0, 1, 0, 0, 0, 0, 0, i.to_be_bytes()[3], 0, 3, 1, 2, 3]);
    }
    s.send(&rtp("0", "", OPUS, 1, 1, 1, &[3; 50]));
    s.run(MS * 100);
    assert_eq!(s.received.len(), 1);
    assert_eq!(s.hangup(SERVER), None);
}

#[test]
fn a_wrong_fingerprint_ends_the_peer_before_any_media() {
    let mut s = Simulation::new(vec![audio(0)], |_| {});
    let offer = s.negotiate(CLIENT, None, true, false, true).unwrap();
    let mut forged = offer.clone();
    forged.fingerprint.bytes[0] ^= 1;
    let answer = s.negotiate(SERVER, Some(forged), false, false, true).unwrap();
    s.negotiate(CLIENT, Some(answer), true, false, false);
    s.run(MS * 3000);
    assert_eq!(s.hangup(SERVER).as_deref(), Some("DTLS error"));
    assert!(!s.has(SERVER, &MediaEvent::Up));
}

#[test]
fn a_flood_of_ssrcs_is_bounded() {
    let mut s = Simulation::new(vec![audio(0)], |_| {});
    s.connect();
    s.echo("0");
    for i in 0..5000_u32 {
        s.send(&rtp("0", "", OPUS, i + 100, 1, 1, &[3; 50]));
        if i % 100 == 0 {
            s.run(MS * 20);
        }
    }
    s.run(MS * 100);
    assert_eq!(s.hangup(SERVER), None);
}

#[test]
fn nobody_takes_the_address_of_a_peer_that_is_in_touch() {
    let mut s = Simulation::new(vec![audio(0)], |_| {});
    s.connect();
    s.echo("0");
    // Another client of the same gateway proves credentials of its own, from the first client's address.
    let victim = s.handles[SERVER];
    s.handles[SERVER] = HandleId::from_random(77);
    let attacker = s.negotiate(SERVER, Some(s.remote[CLIENT].clone()), false, false, true).unwrap();
    s.handles[SERVER] = victim;
    let forged = binding_request(&attacker.ufrag, &attacker.pwd, &s.remote[CLIENT].ufrag);
    let client = s.addresses[CLIENT];
    s.deliver(SERVER, client, &forged);
    assert_eq!(s.workers[SERVER].dropped.taken_path, 1);
    s.send(&rtp("0", "", OPUS, 1, 1, 1, &[3; 50]));
    s.run(MS * 100);
    assert_eq!(s.received.len(), 1);
}

/// An ICE check with these credentials, nominating.
fn binding_request(their_ufrag: &str, their_pwd: &str, our_ufrag: &str) -> Vec<u8> {
    use is::stun::{StunMessage, TransId};
    let name = format!("{their_ufrag}:{our_ufrag}");
    let message = StunMessage::binding_request(&name, TransId::new(), true, 1, 1, true);
    let mut bytes = vec![0; 300];
    let hmac = |key: &[u8], parts: &[&[u8]]| {
        is::Sha1HmacProvider::sha1_hmac(&is::DefaultSha1HmacProvider, key, parts)
    };
    let n = message.to_bytes(Some(their_pwd.as_bytes()), &mut bytes, hmac).unwrap();
    bytes.truncate(n);
    bytes
}
