//! The handshake between two of our own ends: roles, keys, profiles, loss, order, time.

use std::cell::RefCell;
use std::collections::HashMap;

use super::*;

const KINDS: [KeyKind; 2] = [KeyKind::EcdsaP256, KeyKind::Rsa2048];

fn settings(profiles: &[Profile]) -> DtlsSettings {
    DtlsSettings { profiles: profiles.to_vec(), ..DtlsSettings::default() }
}

#[test]
fn both_ends_connect_with_fitting_keys_whatever_their_certificates() {
    for client in KINDS {
        for server in KINDS {
            let (client, server) = Path::pair(&config(client), &config(server));
            let mut path = Path::new(client, server);
            path.run();
            assert!(path.both_connected());
            // Three round trips with the cookie exchange, and no timer had to fire.
            assert_eq!(path.elapsed(), 6 * DELAY);
            path.assert_keys_fit();
        }
    }
}

#[test]
fn the_server_takes_the_cheapest_profile_of_the_clients_list() {
    use Profile::{AeadAes128Gcm, AeadAes256Gcm, Aes128CmSha1_32, Aes128CmSha1_80};
    let table: [(&[Profile], Profile); 7] = [
        // Chromium's order.
        (&[Aes128CmSha1_80, AeadAes256Gcm, AeadAes128Gcm], AeadAes128Gcm),
        (&[Aes128CmSha1_32, Aes128CmSha1_80, AeadAes256Gcm], AeadAes256Gcm),
        (&[Aes128CmSha1_32, Aes128CmSha1_80], Aes128CmSha1_80),
        (&[Aes128CmSha1_32], Aes128CmSha1_32),
        (&[Aes128CmSha1_80], Aes128CmSha1_80),
        (&[AeadAes256Gcm], AeadAes256Gcm),
        (&[AeadAes128Gcm], AeadAes128Gcm),
    ];
    let server = config(KeyKind::EcdsaP256);
    for (offered, chosen) in table {
        let client = DtlsConfig::new(&certificate(KeyKind::EcdsaP256), settings(offered)).unwrap();
        let (client, server) = Path::pair(&client, &server);
        let mut path = Path::new(client, server);
        path.run();
        assert_eq!(path.ends[1].keys.as_ref().unwrap().as_ref().unwrap().profile, chosen, "{offered:?}");
        path.assert_keys_fit();
    }
}

#[test]
fn ends_without_a_common_profile_do_not_connect() {
    let client =
        DtlsConfig::new(&certificate(KeyKind::EcdsaP256), settings(&[Profile::Aes128CmSha1_32])).unwrap();
    let server =
        DtlsConfig::new(&certificate(KeyKind::EcdsaP256), settings(&[Profile::AeadAes128Gcm])).unwrap();
    let (client, server) = Path::pair(&client, &server);
    let mut path = Path::new(client, server);
    path.run();
    assert!(matches!(path.ends[1].failed, Some(DtlsError::Handshake(_))));
    // insufficient_security
    assert_eq!(path.ends[0].failed, Some(DtlsError::PeerAlert(Some(71))));
}

#[test]
fn handshake_datagrams_keep_to_the_mtu() {
    for kind in KINDS {
        let settings = DtlsSettings { mtu: 576, ..DtlsSettings::default() };
        let config = DtlsConfig::new(&certificate(kind), settings).unwrap();
        let (client, server) = Path::pair(&config, &config);
        let mut path = Path::new(client, server);
        path.run();
        assert!(path.both_connected());
        for end in &path.ends {
            assert!(end.sent.iter().all(|datagram| datagram.len() <= 576));
        }
    }
}

/// How many datagrams each end sends when nothing is lost.
fn datagrams(kind: KeyKind, mtu: usize) -> ([usize; 2], Arc<DtlsConfig>) {
    let config =
        DtlsConfig::new(&certificate(kind), DtlsSettings { mtu, ..DtlsSettings::default() }).unwrap();
    let (client, server) = Path::pair(&config, &config);
    let mut path = Path::new(client, server);
    path.run();
    assert!(path.both_connected());
    (path.ends.each_ref().map(|end| end.sent.len()), config)
}

#[test]
fn any_single_lost_datagram_is_made_good_within_a_second() {
    for (kind, mtu) in [(KeyKind::EcdsaP256, 1200), (KeyKind::Rsa2048, 1200), (KeyKind::Rsa2048, 576)] {
        let (counts, config) = datagrams(kind, mtu);
        for (lossy, count) in counts.into_iter().enumerate() {
            for lost in 0..count {
                let (client, server) = Path::pair(&config, &config);
                let mut path = Path::with_fate(client, server, |side, index, _| {
                    if (side, index) == (lossy, lost) { Fate::Drop } else { Fate::Pass }
                });
                path.run();
                assert!(path.both_connected(), "{kind:?} {mtu}: datagram {lost} of end {lossy}");
                assert!(path.elapsed() < Duration::from_secs(1), "{lossy} {lost}: {:?}", path.elapsed());
                path.assert_keys_fit();
            }
        }
    }
}

#[test]
fn losing_the_same_flight_several_times_is_made_good() {
    for lossy in [0, 1] {
        for first in 0..4 {
            let (client, server) = Path::pair(&config(KeyKind::EcdsaP256), &config(KeyKind::EcdsaP256));
            let mut path = Path::with_fate(client, server, |side, index, _| {
                if side == lossy && (first..first + 3).contains(&index) { Fate::Drop } else { Fate::Pass }
            });
            path.run();
            assert!(path.both_connected(), "{lossy} {first}");
        }
    }
}

#[test]
fn every_datagram_twice_or_thrice_changes_nothing() {
    for copies in [2, 3] {
        let (client, server) = Path::pair(&config(KeyKind::EcdsaP256), &config(KeyKind::Rsa2048));
        let mut path = Path::with_fate(client, server, |_, _, _| Fate::Copies(copies));
        path.run();
        assert!(path.both_connected());
        assert!(
            path.ends.iter().all(|end| end.sent.len() < 24),
            "the ends answer each other's repeats for ever"
        );
        path.assert_keys_fit();
    }
}

#[test]
fn any_single_late_datagram_changes_nothing() {
    let (counts, config) = datagrams(KeyKind::Rsa2048, 576);
    for (slow, count) in counts.into_iter().enumerate() {
        for late in 0..count {
            for by in [15, 300] {
                let (client, server) = Path::pair(&config, &config);
                let mut path = Path::with_fate(client, server, |side, index, _| {
                    if (side, index) == (slow, late) {
                        Fate::Late(Duration::from_millis(by))
                    } else {
                        Fate::Pass
                    }
                });
                path.run();
                assert!(path.both_connected(), "datagram {late} of end {slow} late by {by} ms");
            }
        }
    }
}

/// A reproducible number below 100 for each datagram.
fn dice(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 20) % 100
    }
}

#[test]
fn a_path_that_loses_repeats_and_delays_one_in_five_still_connects() {
    let mut connected = 0;
    for seed in 0..60 {
        let (client, server) = Path::pair(&config(KeyKind::EcdsaP256), &config(KeyKind::EcdsaP256));
        let mut dice = dice(seed + 1);
        let mut path = Path::with_fate(client, server, move |_, _, _| match dice() {
            0..20 => Fate::Drop,
            20..30 => Fate::Copies(2),
            30..45 => Fate::Late(Duration::from_millis(60)),
            _ => Fate::Pass,
        });
        path.run();
        connected += usize::from(path.both_connected());
        assert!(
            path.ends.iter().all(|end| end.dtls.is_connected() || end.failed == Some(DtlsError::Timeout))
        );
    }
    assert_eq!(connected, 60);
}

#[test]
fn a_silent_peer_ends_in_a_timeout_after_20_seconds() {
    for (mute, role) in [(1, 0), (0, 1)] {
        let (client, server) = Path::pair(&config(KeyKind::EcdsaP256), &config(KeyKind::EcdsaP256));
        let mut path =
            Path::with_fate(client, server, |side, _, _| if side == mute { Fate::Drop } else { Fate::Pass });
        path.run();
        assert_eq!(path.ends[role].failed, Some(DtlsError::Timeout));
        assert_eq!(path.elapsed(), Duration::from_secs(20));
        assert_eq!(path.ends[role].dtls.poll_timeout(), None);
        assert!(path.ends[role].sent.len() <= 8, "more than one flight and seven repeats");
    }
}

#[test]
fn retransmissions_back_off_by_doubling() {
    let (client, server) = Path::pair(&config(KeyKind::EcdsaP256), &config(KeyKind::EcdsaP256));
    let times = RefCell::new(vec![]);
    let mut client = End::new(client);
    let start = Instant::now();
    drop(server);
    client.dtls.start(start);
    while let Some(due) = client.dtls.poll_timeout() {
        while let Some(output) = client.dtls.poll_output() {
            assert!(matches!(output, DtlsOutput::Transmit(_)));
        }
        client.dtls.handle_timeout(due);
        times.borrow_mut().push((due - start).as_millis());
    }
    assert_eq!(*times.borrow(), [50, 150, 350, 750, 1550, 3150, 6350, 20_000]);
}

#[test]
fn application_data_flows_both_ways_with_nonces_that_count_up() {
    let (client, server) = Path::pair(&config(KeyKind::EcdsaP256), &config(KeyKind::EcdsaP256));
    let mut path = Path::new(client, server);
    assert_eq!(path.ends[0].dtls.send_data(path.now, b"early"), Err(DtlsError::NotConnected));
    path.run();
    for size in [0, 1, 1100, MAX_RECORD_PLAINTEXT] {
        for side in [0, 1] {
            path.send(side, &vec![7; size]);
            path.run();
            assert_eq!(path.ends[1 - side].data.pop(), Some(vec![7; size]), "{size} bytes");
        }
    }
    let too_long = vec![0; MAX_RECORD_PLAINTEXT + 1];
    assert_eq!(path.ends[0].dtls.send_data(path.now, &too_long), Err(DtlsError::TooLong));
    for end in &path.ends {
        let records = end.sent.iter().flat_map(|datagram| record::Records(datagram)).filter(|r| r.epoch == 1);
        let nonces: Vec<[u8; 8]> = records.map(|r| r.body[..8].try_into().unwrap()).collect();
        assert!(nonces.len() > 4 && nonces.is_sorted_by(|a, b| a < b), "{nonces:?}");
    }
}

#[test]
fn close_notify_ends_the_other_side() {
    for side in [0, 1] {
        let (client, server) = Path::pair(&config(KeyKind::EcdsaP256), &config(KeyKind::EcdsaP256));
        let mut path = Path::new(client, server);
        path.run();
        let now = path.now;
        path.ends[side].dtls.close(now);
        path.collect();
        path.run();
        assert!(path.ends[1 - side].closed && path.ends[1 - side].dtls.is_ended());
        assert!(!path.ends[side].closed && path.ends[side].failed.is_none());
        for end in &mut path.ends {
            assert_eq!(end.dtls.send_data(now, b"x"), Err(DtlsError::NotConnected));
            assert_eq!(end.dtls.poll_timeout(), None);
        }
    }
}

#[test]
fn closing_during_the_handshake_tells_the_other_side() {
    let (client, server) = Path::pair(&config(KeyKind::EcdsaP256), &config(KeyKind::EcdsaP256));
    let mut path = Path::new(client, server);
    for _ in 0..3 {
        path.step();
    }
    let now = path.now;
    path.ends[0].dtls.close(now);
    path.collect();
    path.run();
    assert!(path.ends[1].closed && !path.ends[1].dtls.is_connected());
}

#[test]
fn data_overtaking_the_servers_finished_waits_for_it() {
    let (client, server) = Path::pair(&config(KeyKind::EcdsaP256), &config(KeyKind::EcdsaP256));
    let held = RefCell::new(HashMap::new());
    let mut path = Path::with_fate(client, server, |side, index, datagram| {
        // The server's third datagram at this MTU is ChangeCipherSpec and Finished.
        if side == 1
            && record::Records(datagram).next().is_some_and(|r| r.content == record::CHANGE_CIPHER_SPEC)
        {
            held.borrow_mut().entry(index).or_insert_with(|| datagram.to_vec());
            return Fate::Late(Duration::from_millis(30));
        }
        Fate::Pass
    });
    while !path.ends[1].dtls.is_connected() {
        assert!(path.step());
    }
    path.send(1, b"INIT");
    path.run();
    assert!(!held.borrow().is_empty() && path.both_connected());
    assert_eq!(path.ends[0].data, [b"INIT".to_vec()]);
}
