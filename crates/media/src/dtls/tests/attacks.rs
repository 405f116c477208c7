//! What strangers and hostile peers send: second hellos, plaintext after the handshake, garbage, alerts.

use super::super::record::{ALERT, APPLICATION_DATA, HANDSHAKE, Records, write_record};
use super::*;

fn connected<'a>() -> Path<'a> {
    let (client, server) = Path::pair(&config(KeyKind::EcdsaP256), &config(KeyKind::EcdsaP256));
    let mut path = Path::new(client, server);
    path.run();
    assert!(path.both_connected());
    path
}

/// The first flight of a client that is not the peer.
fn foreign_hello() -> Vec<u8> {
    let config = config(KeyKind::Rsa2048);
    let mut stranger = Dtls::new(&config, Role::Client, fingerprint_of(&config));
    stranger.start(Instant::now());
    match stranger.poll_output() {
        Some(DtlsOutput::Transmit(hello)) => hello.to_vec(),
        _ => panic!("no hello"),
    }
}

fn assert_still_works(path: &mut Path<'_>) {
    for side in [0, 1] {
        path.send(side, b"still there");
        path.run();
        assert_eq!(path.ends[1 - side].data.pop(), Some(b"still there".to_vec()));
    }
}

#[test]
fn a_second_hello_never_resets_an_established_association() {
    let mut path = connected();
    let sent = path.ends[1].sent.len();
    let own = path.ends[0].sent[..2].to_vec();
    for hello in own.into_iter().chain([foreign_hello()]) {
        for _ in 0..100 {
            path.inject(1, hello.clone());
            path.inject(0, hello.clone());
        }
        path.run();
    }
    assert_eq!(path.ends[1].sent.len(), sent, "a hello was answered");
    assert_still_works(&mut path);
    path.assert_keys_fit();
}

#[test]
fn a_foreign_hello_during_the_handshake_does_not_disturb_it() {
    let hello = foreign_hello();
    // At every point after the peer's own first hello has arrived, several times over.
    for point in 1..8 {
        let (client, server) = Path::pair(&config(KeyKind::EcdsaP256), &config(KeyKind::EcdsaP256));
        let mut path = Path::new(client, server);
        for _ in 0..point {
            path.step();
        }
        for _ in 0..10 {
            path.inject(1, hello.clone());
        }
        path.run();
        assert!(path.both_connected(), "after {point} steps");
        assert!(path.ends[1].sent.len() < 50);
    }
}

#[test]
fn nothing_in_plaintext_is_believed_after_the_handshake() {
    let mut path = connected();
    let flights: Vec<Vec<u8>> = path.ends.iter().flat_map(|end| end.sent.clone()).collect();
    let bodies: [(u8, &[u8]); 6] = [
        (APPLICATION_DATA, b"injected"),
        (ALERT, &[1, 0]),
        (ALERT, &[2, 40]),
        (20, &[1]),
        (HANDSHAKE, &[0xff; 40]),
        (HANDSHAKE, &[]),
    ];
    for number in 0..200 {
        for (content, body) in bodies {
            let mut datagram = Vec::new();
            write_record(&mut datagram, content, 1000 + number, body);
            for side in [0, 1] {
                path.inject(side, datagram.clone());
            }
        }
    }
    // The whole handshake once more, to both: encrypted parts are replays, and the rest is of epoch 0.
    for datagram in flights {
        path.inject(0, datagram.clone());
        path.inject(1, datagram);
    }
    let before: Vec<usize> = path.ends.iter().map(|end| end.sent.len()).collect();
    path.run();
    assert!(path.ends.iter().all(|end| end.data.is_empty() && !end.closed && end.failed.is_none()));
    assert_eq!(before, path.ends.iter().map(|end| end.sent.len()).collect::<Vec<_>>());
    assert_still_works(&mut path);
}

#[test]
fn application_data_in_plaintext_during_the_handshake_is_dropped() {
    let (client, server) = Path::pair(&config(KeyKind::EcdsaP256), &config(KeyKind::EcdsaP256));
    let mut path = Path::with_fate(client, server, |_, _, datagram| {
        let mut injected = Vec::new();
        write_record(&mut injected, APPLICATION_DATA, 77, b"injected");
        Fate::Instead(vec![injected.clone(), datagram.to_vec(), injected])
    });
    path.run();
    assert!(path.both_connected());
    assert!(path.ends.iter().all(|end| end.data.is_empty()));
}

#[test]
fn replayed_and_damaged_records_are_dropped() {
    let mut path = connected();
    path.send(0, b"once");
    path.run();
    assert_eq!(path.ends[1].data, [b"once".to_vec()]);
    let record = path.ends[0].sent.last().unwrap().clone();
    for _ in 0..10 {
        path.inject(1, record.clone());
    }
    for at in 0..record.len() {
        let mut damaged = record.clone();
        damaged[at] ^= 0x55;
        path.inject(1, damaged);
        path.inject(1, record[..at].to_vec());
    }
    path.run();
    assert_eq!(path.ends[1].data.len(), 1);
    path.ends[1].data.clear();
    assert_still_works(&mut path);
}

#[test]
fn an_encrypted_alert_of_the_peer_is_believed() {
    let mut path = connected();
    let now = path.now;
    path.ends[0].dtls.close(now);
    path.collect();
    let alert = path.ends[0].sent.last().unwrap().clone();
    let kinds: Vec<(u8, u16)> = Records(&alert).map(|record| (record.content, record.epoch)).collect();
    assert_eq!(kinds, [(ALERT, 1)]);
    path.run();
    assert!(path.ends[1].closed);
}

#[test]
fn a_repeated_finished_is_answered_a_bounded_number_of_times() {
    let mut path = connected();
    let before = path.ends[1].sent.len();
    // The client's Finished cannot be forged, so its own repeats are taken: as if the server's were lost for ever.
    let (client, server) = Path::pair(&config(KeyKind::EcdsaP256), &config(KeyKind::EcdsaP256));
    let mut lossy = Path::with_fate(client, server, |side, _, datagram| {
        let last = Records(datagram).any(|record| record.epoch == 1);
        if side == 1 && last { Fate::Drop } else { Fate::Pass }
    });
    lossy.run();
    assert!(lossy.ends[1].dtls.is_connected());
    assert_eq!(lossy.ends[0].failed, Some(DtlsError::Timeout));
    assert!(lossy.ends[1].sent.len() <= 2 + before + 16);
    assert_still_works(&mut path);
}

/// Reproducible numbers.
fn numbers(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    }
}

#[test]
fn garbage_between_the_flights_does_not_stop_the_handshake() {
    for seed in 1..20 {
        let mut random = numbers(seed);
        let (client, server) = Path::pair(&config(KeyKind::EcdsaP256), &config(KeyKind::EcdsaP256));
        let mut path = Path::with_fate(client, server, |_, _, datagram| {
            let noise: Vec<u8> = (0..random(60)).map(|_| u8::try_from(random(256)).unwrap()).collect();
            let mut shaped = vec![22, 0xfe, 0xfd, 0, 1];
            shaped.extend(&noise);
            Fate::Instead(vec![noise, shaped, datagram.to_vec(), datagram[..random(datagram.len())].to_vec()])
        });
        path.run();
        assert!(path.both_connected(), "seed {seed}");
    }
}

#[test]
fn damaged_handshakes_end_in_connection_or_failure_and_never_in_a_panic() {
    let mut outcomes = [0, 0];
    for seed in 1..600 {
        let mut random = numbers(seed);
        let kinds = [KeyKind::EcdsaP256, KeyKind::Rsa2048];
        let (client, server) = Path::pair(&config(kinds[random(2)]), &config(kinds[random(2)]));
        let mut path = Path::with_fate(client, server, |_, _, datagram| {
            if random(3) > 0 {
                return Fate::Pass;
            }
            let mut damaged = datagram.to_vec();
            for _ in 0..=random(3) {
                let at = random(damaged.len());
                damaged[at] = u8::try_from(random(256)).unwrap();
            }
            if random(5) == 0 {
                damaged.truncate(random(damaged.len()));
            }
            if random(2) == 0 {
                Fate::Instead(vec![damaged, datagram.to_vec()])
            } else {
                Fate::Instead(vec![damaged])
            }
        });
        path.run();
        outcomes[usize::from(path.both_connected())] += 1;
        for end in &path.ends {
            assert!(end.dtls.is_connected() || end.failed.is_some() || end.closed, "seed {seed}");
        }
    }
    assert!(outcomes.iter().all(|count| *count > 50), "{outcomes:?}");
}
