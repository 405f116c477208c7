//! Fragments, records and ClientHellos in every shape a peer may send them, and the bounds on what is kept.

use super::super::gate::{Gate, MAX_HANDSHAKE_BYTES, MAX_HELD_BYTES};
use super::super::hello::best_profile;
use super::super::record::{
    CHANGE_CIPHER_SPEC, CLIENT_HELLO, Fragments, HANDSHAKE, RECORD_HEADER, Records, write_record,
};
use super::*;

/// A fragment with its header.
fn fragment(kind: u8, length: usize, sequence: u16, offset: usize, bytes: &[u8]) -> Vec<u8> {
    let u24 = |value: usize| u32::try_from(value).unwrap().to_be_bytes()[1..].to_vec();
    [vec![kind], u24(length), sequence.to_be_bytes().to_vec(), u24(offset), u24(bytes.len()), bytes.to_vec()]
        .concat()
}

fn record(content: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
    let mut record = Vec::new();
    write_record(&mut record, content, 0, body);
    record[4] = epoch;
    record
}

/// The messages in what the gate hands over.
fn messages(feed: &[u8]) -> Vec<(u8, u16, Vec<u8>)> {
    Records(feed)
        .filter(|record| record.content == HANDSHAKE && record.epoch == 0)
        .flat_map(|record| Fragments(record.body))
        .map(|fragment| {
            assert_eq!((fragment.offset, fragment.length), (0, fragment.bytes.len()), "not a whole message");
            (fragment.kind, fragment.sequence, fragment.bytes.to_vec())
        })
        .collect()
}

/// Cuts every plaintext handshake message of a datagram into fragments of `size`, in the given order.
fn shatter(datagram: &[u8], size: usize, backwards: bool) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    for record in Records(datagram) {
        if record.content != HANDSHAKE || record.epoch != 0 {
            pieces.push(record.raw.to_vec());
            continue;
        }
        for whole in Fragments(record.body) {
            let mut parts: Vec<(usize, &[u8])> = whole.bytes.chunks(size).enumerate().collect();
            if parts.is_empty() {
                parts.push((0, &[]));
            }
            for (number, part) in parts {
                let offset = whole.offset + number * size;
                let fragment = fragment(whole.kind, whole.length, whole.sequence, offset, part);
                // The replay window counts record numbers, so each piece needs its own: the gate does not look.
                pieces.push(super::reassembly::record(HANDSHAKE, 0, &fragment));
            }
        }
    }
    if backwards {
        pieces.reverse();
    }
    pieces
}

#[test]
fn handshakes_survive_any_fragmentation_and_order() {
    for (size, backwards) in [(1000, false), (1000, true), (100, false), (100, true), (37, true)] {
        for kind in [KeyKind::EcdsaP256, KeyKind::Rsa2048] {
            let (client, server) = Path::pair(&config(kind), &config(kind));
            let mut path = Path::with_fate(client, server, |_, _, datagram| {
                Fate::Instead(shatter(datagram, size, backwards))
            });
            path.run();
            assert!(path.both_connected(), "{size} {backwards} {kind:?}");
            path.assert_keys_fit();
        }
    }
}

#[test]
fn several_messages_and_fragments_in_one_record_are_told_apart() {
    // As BoringSSL packs them: the end of one message, then the next one, in one record.
    let (client, server) = Path::pair(&config(KeyKind::Rsa2048), &config(KeyKind::Rsa2048));
    let mut path = Path::with_fate(client, server, |_, _, datagram| {
        let mut body = Vec::new();
        let mut rest = Vec::new();
        for record in Records(datagram) {
            match (record.content, record.epoch) {
                (HANDSHAKE, 0) => body.extend_from_slice(record.body),
                _ => rest.extend_from_slice(record.raw),
            }
        }
        let mut packed = Vec::new();
        if !body.is_empty() {
            packed = record(HANDSHAKE, 0, &body);
        }
        packed.extend(rest);
        Fate::Instead(vec![packed])
    });
    path.run();
    assert!(path.both_connected());
}

#[test]
fn a_lost_change_cipher_spec_is_no_loss() {
    let (client, server) = Path::pair(&config(KeyKind::EcdsaP256), &config(KeyKind::EcdsaP256));
    let mut path = Path::with_fate(client, server, |_, _, datagram| {
        let kept: Vec<u8> = Records(datagram)
            .filter(|record| record.content != CHANGE_CIPHER_SPEC)
            .flat_map(|record| record.raw.to_vec())
            .collect();
        Fate::Instead(vec![kept])
    });
    path.run();
    assert!(path.both_connected());
    assert_eq!(path.elapsed(), 6 * DELAY);
}

#[test]
fn the_first_hello_is_put_together_from_overlapping_fragments_in_any_order() {
    let body: Vec<u8> = (0..=255).collect();
    let cuts: [&[(usize, usize)]; 5] = [
        &[(0, 256)],
        &[(128, 256), (0, 128)],
        &[(0, 100), (90, 200), (190, 256)],
        &[(200, 256), (0, 10), (100, 210), (5, 120)],
        &[(0, 256), (0, 256)],
    ];
    for cuts in cuts {
        let mut gate = Gate::new(Role::Server);
        let mut fed = Vec::new();
        for &(from, to) in cuts {
            let datagram = record(HANDSHAKE, 0, &fragment(CLIENT_HELLO, 256, 0, from, &body[from..to]));
            fed.extend(messages(&gate.handle_datagram(&datagram).feed));
        }
        // A repeat of a whole hello is answered with the hello again: the cookie request may be lost.
        assert!(fed.iter().all(|message| *message == (CLIENT_HELLO, 0, body.clone())));
        assert!(!fed.is_empty() && gate.first_hello() == body);
    }
}

#[test]
fn contradicting_fragments_are_refused() {
    let mut gate = Gate::new(Role::Server);
    gate.handle_datagram(&record(HANDSHAKE, 0, &fragment(CLIENT_HELLO, 100, 0, 0, &[1; 50])));
    let wrong = [
        fragment(CLIENT_HELLO, 101, 0, 50, &[1; 50]),
        fragment(CLIENT_HELLO, 99, 0, 49, &[1; 50]),
        fragment(2, 100, 0, 50, &[1; 50]),
        fragment(CLIENT_HELLO, 100, 0, 60, &[1; 50]),
        fragment(CLIENT_HELLO, 100, 0, 0xff_ffff, &[1; 50]),
    ];
    for wrong in wrong {
        assert!(gate.handle_datagram(&record(HANDSHAKE, 0, &wrong)).feed.is_empty());
    }
    let right = fragment(CLIENT_HELLO, 100, 0, 50, &[2; 50]);
    let fed = messages(&gate.handle_datagram(&record(HANDSHAKE, 0, &right)).feed);
    assert_eq!(fed, [(CLIENT_HELLO, 0, [[1; 50], [2; 50]].concat())]);
}

#[test]
fn messages_of_16_megabytes_and_floods_of_fragments_are_refused() {
    let mut gate = Gate::new(Role::Server);
    let huge = record(HANDSHAKE, 0, &fragment(CLIENT_HELLO, 0xff_ffff, 0, 0, &[0; 100]));
    assert!(gate.handle_datagram(&huge).feed.is_empty());
    assert_eq!(gate.dropped(), 1);
    // One-byte fragments two bytes apart never become anything, nor do they pile up.
    for offset in (0..60_000).step_by(2) {
        gate.handle_datagram(&record(HANDSHAKE, 0, &fragment(CLIENT_HELLO, 60_000, 0, offset, &[0])));
    }
    assert!(gate.dropped() > 29_000);
    // What is announced counts, over the whole handshake.
    let more = record(HANDSHAKE, 0, &fragment(CLIENT_HELLO, MAX_HANDSHAKE_BYTES - 60_000 + 1, 1, 0, &[0]));
    let before = gate.dropped();
    gate.handle_datagram(&more);
    assert_eq!(gate.dropped(), before + 1);
}

#[test]
fn messages_far_ahead_are_refused() {
    let mut gate = Gate::new(Role::Server);
    for (sequence, refused) in [(15, 0), (16, 1), (40_000, 2), (u16::MAX, 3)] {
        gate.handle_datagram(&record(HANDSHAKE, 0, &fragment(11, 10, sequence, 0, &[0; 5])));
        assert_eq!(gate.dropped(), refused, "{sequence}");
    }
}

#[test]
fn records_waiting_for_keys_are_bounded_and_leave_room_for_finished() {
    let mut gate = Gate::new(Role::Client);
    let data = record(23, 1, &[0; 1000]);
    for _ in 0..100 {
        assert!(gate.handle_datagram(&data).feed.is_empty());
    }
    assert!(gate.dropped() >= 100 - u64::try_from(MAX_HELD_BYTES / 1000).unwrap());
    let before = gate.dropped();
    gate.handle_datagram(&record(HANDSHAKE, 1, &[0; 400]));
    // Refused data made room, so the next of it is held again.
    assert_eq!(gate.dropped(), before + 1);
    gate.handle_datagram(&data);
    assert_eq!(gate.dropped(), before + 1);
}

fn hello(session: &[u8], extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![0xfe, 0xfd];
    body.extend([7; 32]);
    body.push(u8::try_from(session.len()).unwrap());
    body.extend(session);
    body.extend([3, 9, 9, 9, 0, 2, 0xc0, 0x2b, 1, 0]);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    body
}

#[test]
fn srtp_profiles_are_read_past_session_cookie_and_other_extensions() {
    use Profile::{AeadAes128Gcm, Aes128CmSha1_32, Aes128CmSha1_80};
    let all = Profile::PREFERENCE;
    let table: [(&[u8], Option<Profile>); 8] = [
        (&[0, 14, 0, 5, 0, 2, 0, 1, 0], Some(Aes128CmSha1_80)),
        (&[0, 14, 0, 9, 0, 6, 0, 1, 0, 2, 0, 7, 0], Some(AeadAes128Gcm)),
        (&[0, 23, 0, 0, 0, 13, 0, 2, 9, 9, 0, 14, 0, 5, 0, 2, 0, 2, 0], Some(Aes128CmSha1_32)),
        (&[0, 14, 0, 5, 0, 2, 0, 5, 0], None),
        (&[0, 14, 0, 0], None),
        (&[0, 14, 0, 9, 0, 2, 0, 1], None),
        (&[0, 23, 0, 0], None),
        (&[], None),
    ];
    for (extensions, best) in table {
        assert_eq!(best_profile(&hello(&[1, 1], extensions), &all), best, "{extensions:?}");
    }
    let whole = hello(&[1; 32], &[0, 14, 0, 5, 0, 2, 0, 1, 0]);
    for length in 0..whole.len() {
        assert_eq!(best_profile(&whole[..length], &all), None);
    }
}

#[test]
fn a_hello_of_an_older_version_is_refused_with_an_alert() {
    let config = config(KeyKind::EcdsaP256);
    let mut server = End::new(Dtls::new(&config, Role::Server, fingerprint_of(&config)));
    let mut body = hello(&[], &[]);
    body[1] = 0xff;
    let datagram = record(HANDSHAKE, 0, &fragment(CLIENT_HELLO, body.len(), 0, 0, &body));
    assert!(datagram.len() > RECORD_HEADER);
    server.dtls.handle_packet(Instant::now(), &datagram);
    let outputs: Vec<_> = std::iter::from_fn(|| server.dtls.poll_output()).collect();
    let [DtlsOutput::Transmit(alert), DtlsOutput::Failed(DtlsError::Handshake(_))] = outputs.as_slice()
    else {
        panic!("no alert");
    };
    // protocol_version
    assert_eq!(alert[RECORD_HEADER..], [2, 70]);
}
