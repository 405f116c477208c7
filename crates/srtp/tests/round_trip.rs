//! Whatever is sealed opens again, over wraps, reordering and repetition, and nothing else does.

use portunus_srtp::{
    Error, MAX_RTCP_OVERHEAD, MAX_RTP_OVERHEAD, MasterKey, Opener, Profile, Sealer, rtp_header_len,
};
use proptest::prelude::*;

fn profiles() -> impl Strategy<Value = Profile> {
    proptest::sample::select(Profile::PREFERENCE.to_vec())
}

fn pair(profile: Profile, seed: u8) -> (Sealer, Opener) {
    let key = || {
        let (key, salt) = (&[seed; 32][..profile.key_len()], &[!seed; 14][..profile.salt_len()]);
        MasterKey::new(profile, key, salt).unwrap()
    };
    (Sealer::new(key()).unwrap(), Opener::new(&key()).unwrap())
}

/// An RTP packet without its sequence number: up to 15 CSRCs, maybe an extension, any payload.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let extension = proptest::option::of(0..20u16);
    let parts = (any::<u8>(), any::<u32>(), 0..=15u8, extension);
    (parts, proptest::collection::vec(any::<u8>(), 0..1300)).prop_map(
        |((second, time, csrcs, ext), payload)| {
            let mut p = vec![0x80 | csrcs | if ext.is_some() { 0x10 } else { 0 }, second, 0, 0];
            p.extend(time.to_be_bytes());
            p.extend([0xca, 0xfe, 0xba, 0xbe]);
            p.extend((0..csrcs).flat_map(|n| [n; 4]));
            if let Some(words) = ext {
                p.extend([0xbe, 0xde]);
                p.extend(words.to_be_bytes());
                p.extend((0..words).flat_map(|_| [0x10, 0xaa, 0, 0]));
            }
            p.extend(payload);
            p
        },
    )
}

fn seal(sealer: &mut Sealer, plain: &[u8]) -> Result<Vec<u8>, Error> {
    let mut buf = plain.to_vec();
    buf.resize(plain.len() + MAX_RTP_OVERHEAD, 0xee);
    let len = sealer.protect_rtp(&mut buf, plain.len())?;
    buf.truncate(len);
    Ok(buf)
}

fn with_seq(mut packet: Vec<u8>, seq: u16) -> Vec<u8> {
    packet[2..4].copy_from_slice(&seq.to_be_bytes());
    packet
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn rtp_round_trips(profile in profiles(), packet in packets(), seq in any::<u16>()) {
        let (mut sealer, mut opener) = pair(profile, 3);
        let plain = with_seq(packet, seq);
        let mut sealed = seal(&mut sealer, &plain).unwrap();
        let header_len = rtp_header_len(&plain).unwrap();
        prop_assert_eq!(sealed.len(), plain.len() + profile.rtp_tag_len());
        prop_assert_eq!(&sealed[..header_len], &plain[..header_len], "the header stays clear");
        let opened = opener.unprotect_rtp(&mut sealed).unwrap();
        prop_assert_eq!(opened.header_len, header_len);
        prop_assert_eq!(opened.ssrc, 0xcafe_babe);
        prop_assert_eq!(opened.index.get(), u64::from(seq));
        prop_assert_eq!(&sealed[..opened.len], &plain[..]);
    }

    #[test]
    fn rtcp_round_trips(profile in profiles(), body in proptest::collection::vec(any::<u8>(), 0..600)) {
        let (mut sealer, mut opener) = pair(profile, 5);
        let mut plain = vec![0x81, 200, 0, 1, 1, 2, 3, 4];
        plain.extend(body);
        for _ in 0..3 {
            let mut buf = plain.clone();
            buf.resize(plain.len() + MAX_RTCP_OVERHEAD, 0);
            let len = sealer.protect_rtcp(&mut buf, plain.len()).unwrap();
            prop_assert_eq!(len, plain.len() + profile.rtcp_tag_len() + 4);
            prop_assert_eq!(opener.unprotect_rtcp(&mut buf[..len]), Ok(plain.len()));
            prop_assert_eq!(&buf[..plain.len()], &plain[..]);
        }
    }

    #[test]
    fn a_changed_octet_is_refused_and_leaves_no_trace(
        profile in profiles(),
        packet in packets(),
        at in any::<proptest::sample::Index>(),
        flip in 1..=255u8,
        cut in any::<proptest::sample::Index>(),
    ) {
        let (mut sealer, mut opener) = pair(profile, 7);
        let first = seal(&mut sealer, &with_seq(packet.clone(), 65_000)).unwrap();
        opener.unprotect_rtp(&mut first.clone()).unwrap();
        let sealed = seal(&mut sealer, &with_seq(packet.clone(), 65_001)).unwrap();
        let mut changed = sealed.clone();
        changed[at.index(sealed.len())] ^= flip;
        prop_assert!(opener.unprotect_rtp(&mut changed).is_err());
        prop_assert!(opener.unprotect_rtp(&mut sealed.clone()[..cut.index(sealed.len())]).is_err());
        prop_assert_eq!(opener.highest(0xcafe_babe).unwrap().get(), 65_000);
        prop_assert!(opener.unprotect_rtp(&mut sealed.clone()).is_ok());
        prop_assert_eq!(opener.unprotect_rtp(&mut sealed.clone()), Err(Error::Replay));
        prop_assert_eq!(opener.unprotect_rtp(&mut first.clone()), Err(Error::Replay));
    }

    #[test]
    fn another_key_opens_nothing(profile in profiles(), packet in packets()) {
        let (mut sealer, _) = pair(profile, 9);
        let (_, mut opener) = pair(profile, 10);
        let mut sealed = seal(&mut sealer, &packet).unwrap();
        prop_assert_eq!(opener.unprotect_rtp(&mut sealed), Err(Error::Authentication));
    }

    #[test]
    fn no_bytes_at_all_make_it_panic(
        profile in profiles(),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        len in 0..300usize,
        header_len in 0..300usize,
    ) {
        let (mut sealer, mut opener) = pair(profile, 11);
        let _ = opener.unprotect_rtp(&mut bytes.clone());
        let _ = opener.unprotect_rtcp(&mut bytes.clone());
        let _ = sealer.protect_rtp(&mut bytes.clone(), len);
        let _ = sealer.protect_rtcp(&mut bytes.clone(), len);
        let ssrc = bytes.get(8..12).map_or(0, |b| u32::from_be_bytes(b.try_into().unwrap()));
        if let Ok(mut state) = sealer.claim(ssrc, len) {
            let _ = sealer.protect_rtp_with(&mut state, header_len, &mut bytes.clone(), len);
            if let Some(index) = state.highest() {
                let _ = sealer.reprotect_rtp(&state, index, header_len, &mut bytes.clone(), len);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Several wraps of the sequence number, arrivals shuffled within the window, each repeated.
    #[test]
    fn order_and_wraps_do_not_matter_within_the_window(
        profile in profiles(),
        first in any::<u16>(),
        // Twelve leaps of at least 20,000: never fewer than three wraps.
        leaps in proptest::collection::vec(20_000..32_000u64, 12),
        swaps in proptest::collection::vec((0..120usize, 1..4usize), 60),
        shuffle in any::<bool>(),
    ) {
        let (mut sealer, mut opener) = pair(profile, 13);
        let packet = [&[0x80, 96, 0, 0, 0, 0, 0, 0, 0xca, 0xfe, 0xba, 0xbe][..], &[1; 30]].concat();
        let mut index = u64::from(first);
        let mut sent = Vec::new();
        for leap in leaps {
            for _ in 0..10 {
                let sealed = seal(&mut sealer, &with_seq(packet.clone(), index as u16)).unwrap();
                sent.push((index, sealed));
                index += 1;
            }
            index += leap;
        }
        prop_assert!(index >> 16 >= 3);
        if shuffle {
            for (at, by) in swaps {
                // Not over a leap, which is wider than the window.
                if at / 10 == (at + by) / 10 {
                    sent.swap(at, at + by);
                }
            }
        }
        for (index, sealed) in &sent {
            let opened = opener.unprotect_rtp(&mut sealed.clone());
            prop_assert_eq!(opened.map(|o| o.index.get()), Ok(*index));
            prop_assert_eq!(opener.unprotect_rtp(&mut sealed.clone()), Err(Error::Replay));
        }
    }
}

#[test]
fn five_wraps_in_order() {
    for profile in Profile::PREFERENCE {
        let (mut sealer, mut opener) = pair(profile, 17);
        let mut state = sealer.claim(0xcafe_babe, 64).unwrap();
        let mut buf = [0u8; 16 + MAX_RTP_OVERHEAD];
        for index in (65_400..5 * 65_536u64 + 200).step_by(7) {
            buf.fill(0x5a);
            buf[..2].copy_from_slice(&[0x80, 96]);
            buf[2..4].copy_from_slice(&(index as u16).to_be_bytes());
            buf[8..12].copy_from_slice(&0xcafe_babe_u32.to_be_bytes());
            let len = sealer.protect_rtp_with(&mut state, 12, &mut buf, 16).unwrap();
            assert_eq!(state.highest().unwrap().get(), index);
            assert_eq!(opener.unprotect_rtp(&mut buf[..len]).unwrap().index.get(), index);
            assert_eq!(buf[12..16], [0x5a; 4]);
        }
    }
}
