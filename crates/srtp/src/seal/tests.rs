use super::*;
use crate::Opener;
use crate::packet::MAX_PACKET_LEN;

const SSRC: u32 = 0x1234_5678;

fn sealer(profile: Profile) -> Sealer {
    let master = MasterKey::new(profile, &[7; 32][..profile.key_len()], &[9; 14][..profile.salt_len()]);
    Sealer::new(master.unwrap()).unwrap()
}

/// A packet with 16 octets of room behind its 20.
fn packet(ssrc: u32, seq: u16, fill: u8) -> Vec<u8> {
    let mut p = vec![fill; 20];
    p[0] = 0x80;
    p[2..4].copy_from_slice(&seq.to_be_bytes());
    p[8..12].copy_from_slice(&ssrc.to_be_bytes());
    p.resize(20 + crate::MAX_RTP_OVERHEAD, 0);
    p
}

fn report(ssrc: u32) -> Vec<u8> {
    let mut p = vec![0x80, 201, 0, 1];
    p.extend(ssrc.to_be_bytes());
    p.resize(8 + crate::MAX_RTCP_OVERHEAD, 0);
    p
}

#[test]
fn an_index_not_above_the_highest_is_refused() {
    let mut sealer = sealer(Profile::AeadAes128Gcm);
    for (seq, expected) in [
        (65_000, Ok(36)),
        (65_000, Err(Error::IndexNotAscending)),
        (64_999, Err(Error::IndexNotAscending)),
        (65_535, Ok(36)),
        (0, Ok(36)),
        (65_535, Err(Error::IndexNotAscending)),
        (0, Err(Error::IndexNotAscending)),
        (1, Ok(36)),
    ] {
        assert_eq!(sealer.protect_rtp(&mut packet(SSRC, seq, 1), 20), expected, "{seq}");
    }
    assert_eq!(sealer.protect_rtp(&mut packet(SSRC + 1, 65_000, 1), 20), Ok(36), "each SSRC counts alone");
}

#[test]
fn a_refused_packet_moves_nothing() {
    let mut sealer = sealer(Profile::Aes128CmSha1_80);
    let mut state = sealer.claim(SSRC, 64).unwrap();
    let mut p = packet(SSRC, 5, 1);
    assert_eq!(sealer.protect_rtp_with(&mut state, 12, &mut p[..29], 20), Err(Error::BufferTooSmall));
    assert_eq!(sealer.protect_rtp_with(&mut state, 12, &mut p[..19], 20), Err(Error::BufferTooSmall));
    assert_eq!(sealer.protect_rtp_with(&mut state, 21, &mut p, 20), Err(Error::Malformed));
    assert_eq!(sealer.protect_rtp_with(&mut state, 11, &mut p, 20), Err(Error::Malformed));
    assert_eq!(sealer.protect_rtp_with(&mut state, 12, &mut p, 11), Err(Error::Malformed));
    let mut long = packet(SSRC, 5, 1);
    long.resize(MAX_PACKET_LEN + 100, 0);
    let refused = sealer.protect_rtp_with(&mut state, 12, &mut long, MAX_PACKET_LEN + 1);
    assert_eq!(refused, Err(Error::Malformed));
    assert_eq!(state.highest(), None);
    assert_eq!(p, packet(SSRC, 5, 1), "nor the packet");
    assert_eq!(sealer.protect_rtp_with(&mut state, 12, &mut p, 20), Ok(30));
    assert_eq!(state.highest(), Some(PacketIndex::from_parts(0, 5)));
}

#[test]
fn a_state_is_lent_once_and_goes_on_where_it_was() {
    let mut sealer = sealer(Profile::AeadAes128Gcm);
    let mut state = sealer.claim(SSRC, 64).unwrap();
    assert_eq!(sealer.claim(SSRC, 64).unwrap_err(), Error::WrongState);
    assert_eq!(sealer.protect_rtp(&mut packet(SSRC, 5, 1), 20), Err(Error::WrongState));
    sealer.protect_rtp_with(&mut state, 12, &mut packet(SSRC, 5, 1), 20).unwrap();
    sealer.release(state).unwrap();
    assert_eq!(sealer.protect_rtp(&mut packet(SSRC, 5, 2), 20), Err(Error::IndexNotAscending));
    let mut state = sealer.claim(SSRC, 128).unwrap();
    let again = sealer.protect_rtp_with(&mut state, 12, &mut packet(SSRC, 5, 2), 20);
    assert_eq!(again, Err(Error::IndexNotAscending));
    let late = sealer.protect_late_rtp(&mut state, 12, &mut packet(SSRC, 4, 2), 20);
    assert_eq!(late, Err(Error::IndexNotAscending), "the new window knows nothing of the old one");
    assert_eq!(sealer.protect_rtp_with(&mut state, 12, &mut packet(SSRC, 6, 2), 20), Ok(36));
    drop(state);
    assert_eq!(sealer.claim(SSRC, 0).unwrap_err(), Error::WrongState, "a lost state stays lost");
}

#[test]
fn a_foreign_state_is_refused() {
    let (mut one, mut two) = (sealer(Profile::AeadAes128Gcm), sealer(Profile::AeadAes128Gcm));
    let mut state = one.claim(SSRC, 0).unwrap();
    let mut p = packet(SSRC, 5, 1);
    assert_eq!(two.protect_rtp_with(&mut state, 12, &mut p, 20), Err(Error::WrongState));
    let mut p = packet(SSRC + 1, 5, 1);
    assert_eq!(one.protect_rtp_with(&mut state, 12, &mut p, 20), Err(Error::WrongState));
    assert_eq!(two.release(state), Err(Error::WrongState));
}

#[test]
fn retransmission_is_identical_or_nothing() {
    for profile in Profile::PREFERENCE {
        let mut sealer = sealer(profile);
        let mut state = sealer.claim(SSRC, 64).unwrap();
        let mut sent = Vec::new();
        for seq in 65_500..65_600u32 {
            let mut p = packet(SSRC, seq as u16, seq as u8);
            let len = sealer.protect_rtp_with(&mut state, 12, &mut p, 20).unwrap();
            sent.push((seq, state.highest().unwrap(), p[..len].to_vec()));
        }
        let highest = state.highest();
        for (seq, index, sealed) in &sent {
            let mut p = packet(SSRC, *seq as u16, *seq as u8);
            let again = sealer.reprotect_rtp(&state, *index, 12, &mut p, 20);
            if *seq < 65_536 {
                assert_eq!(again, Err(Error::TooOld), "64 are kept");
            } else {
                assert_eq!(&p[..again.unwrap()], &sealed[..]);
            }
        }
        let (seq, index, _) = sent[90];
        let mut p = packet(SSRC, seq as u16, seq as u8 + 1);
        assert_eq!(sealer.reprotect_rtp(&state, index, 12, &mut p, 20), Err(Error::NotIdentical));
        assert!(p.iter().all(|octet| *octet == 0), "nothing that could be sent is left");
        let mut p = packet(SSRC, seq as u16 + 1, seq as u8);
        assert_eq!(sealer.reprotect_rtp(&state, index, 12, &mut p, 20), Err(Error::NotIdentical));
        let ahead = state.index_of(seq as u16 + 100).unwrap();
        let mut p = packet(SSRC, seq as u16 + 100, 1);
        assert_eq!(sealer.reprotect_rtp(&state, ahead, 12, &mut p, 20), Err(Error::NotIdentical));
        assert_eq!(state.highest(), highest);
    }
}

#[test]
fn a_late_packet_fills_its_gap_once() {
    let mut sealer = sealer(Profile::AeadAes256Gcm);
    let mut state = sealer.claim(SSRC, 64).unwrap();
    for seq in [65_530u16, 65_533, 2] {
        sealer.protect_rtp_with(&mut state, 12, &mut packet(SSRC, seq, 1), 20).unwrap();
    }
    let mut p = packet(SSRC, 65_534, 9);
    assert_eq!(sealer.protect_late_rtp(&mut state, 12, &mut p, 20), Ok(36));
    assert_eq!(state.highest(), Some(PacketIndex::from_parts(1, 2)), "late packets do not move it");
    let mut again = packet(SSRC, 65_534, 9);
    assert_eq!(sealer.protect_late_rtp(&mut state, 12, &mut again, 20), Err(Error::IndexNotAscending));
    let index = PacketIndex::from_parts(0, 65_534);
    assert_eq!(sealer.reprotect_rtp(&state, index, 12, &mut again, 20), Ok(36), "and can be resent");
    assert_eq!(p, again);
    let mut old = packet(SSRC, 65_400, 9);
    assert_eq!(sealer.protect_late_rtp(&mut state, 12, &mut old, 20), Err(Error::TooOld));
    let mut next = packet(SSRC, 3, 9);
    assert_eq!(sealer.protect_late_rtp(&mut state, 12, &mut next, 20), Ok(36), "not late after all");
}

#[test]
fn the_last_index_is_the_last() {
    let mut sealer = sealer(Profile::AeadAes128Gcm);
    let mut state = sealer.claim(SSRC, 0).unwrap();
    state.sealed.mark(PacketIndex::MAX.get() - 1);
    assert_eq!(sealer.protect_rtp_with(&mut state, 12, &mut packet(SSRC, 65_535, 1), 20), Ok(36));
    let mut over = packet(SSRC, 0, 1);
    assert_eq!(sealer.protect_rtp_with(&mut state, 12, &mut over, 20), Err(Error::IndexExhausted));

    sealer.reports.push((SSRC, MAX_RTCP_INDEX));
    assert_eq!(sealer.protect_rtcp(&mut report(SSRC), 8), Ok(28));
    assert_eq!(sealer.protect_rtcp(&mut report(SSRC), 8), Err(Error::IndexExhausted));
}

#[test]
fn reports_count_from_zero_by_ssrc() {
    let mut sealer = sealer(Profile::Aes128CmSha1_32);
    for (ssrc, index) in [(5, 0u32), (5, 1), (9, 0), (5, 2), (1, 0), (9, 1)] {
        let mut p = report(ssrc);
        assert_eq!(sealer.protect_rtcp(&mut p, 8), Ok(8 + 4 + 10), "80-bit tag");
        assert_eq!(p[8..12], (index | 1 << 31).to_be_bytes());
    }
    let mut p = report(5);
    assert_eq!(sealer.protect_rtcp(&mut p[..21], 8), Err(Error::BufferTooSmall));
    assert_eq!(sealer.protect_rtcp(&mut p, 7), Err(Error::Malformed));
    assert_eq!(sealer.protect_rtcp(&mut p, 8), Ok(22));
    assert_eq!(p[8..12], (3u32 | 1 << 31).to_be_bytes(), "refused packets use no index");
}

#[test]
fn streams_are_bounded_and_never_forgotten() {
    let mut sealer = sealer(Profile::AeadAes128Gcm);
    for ssrc in 0..MAX_SEND_STREAMS as u32 {
        sealer.protect_rtp(&mut packet(ssrc, 1, 1), 20).unwrap();
        sealer.protect_rtcp(&mut report(ssrc), 8).unwrap();
    }
    let one_more = MAX_SEND_STREAMS as u32;
    assert_eq!(sealer.protect_rtp(&mut packet(one_more, 1, 1), 20), Err(Error::TooManyStreams));
    assert_eq!(sealer.claim(one_more, 0).unwrap_err(), Error::TooManyStreams);
    assert_eq!(sealer.protect_rtcp(&mut report(one_more), 8), Err(Error::TooManyStreams));
    assert_eq!(sealer.protect_rtp(&mut packet(0, 1, 1), 20), Err(Error::IndexNotAscending));
}

#[test]
fn debug_output_names_no_key() {
    let master = MasterKey::new(Profile::AeadAes128Gcm, &[0xab; 16], &[0xcd; 12]).unwrap();
    let mut text = format!("{master:?} {:?}", Opener::new(&master));
    let mut sealer = Sealer::new(master).unwrap();
    let state = sealer.claim(SSRC, 0);
    text += &format!("{sealer:?} {state:?}");
    assert!(!text.contains("171") && !text.contains("205") && !text.contains("ab,"), "{text}");
}

#[test]
fn exported_keys_are_split_as_rfc5764_says() {
    for profile in Profile::PREFERENCE {
        let (key, salt) = (profile.key_len(), profile.salt_len());
        let mut export = vec![1; key];
        export.extend(vec![2; key]);
        export.extend(vec![3; salt]);
        export.extend(vec![4; salt]);
        let (client, server) = MasterKey::from_dtls_export(profile, &export).unwrap();
        let client_too = MasterKey::new(profile, &vec![1; key], &vec![3; salt]).unwrap();
        let server_too = MasterKey::new(profile, &vec![2; key], &vec![4; salt]).unwrap();
        for (a, b) in [(client, client_too), (server, server_too)] {
            let (mut one, mut two) = (packet(SSRC, 1, 1), packet(SSRC, 1, 1));
            Sealer::new(a).unwrap().protect_rtp(&mut one, 20).unwrap();
            Sealer::new(b).unwrap().protect_rtp(&mut two, 20).unwrap();
            assert_eq!(one, two);
        }
        let refused = MasterKey::from_dtls_export(profile, &export[1..]).unwrap_err();
        assert_eq!(refused, Error::KeyLength);
        assert_eq!(
            MasterKey::new(profile, &export[..key - 1], &[0; 14][..salt]).unwrap_err(),
            Error::KeyLength
        );
        assert_eq!(
            MasterKey::new(profile, &export[..key], &[0; 14][..salt - 1]).unwrap_err(),
            Error::KeyLength
        );
    }
}
