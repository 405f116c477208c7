use super::*;
use crate::Sealer;

const SSRC: u32 = 0xfeed_f00d;

fn pair(profile: Profile, limits: OpenerLimits) -> (Sealer, Opener) {
    let key = |fill: u8| {
        MasterKey::new(profile, &[fill; 32][..profile.key_len()], &[9; 14][..profile.salt_len()]).unwrap()
    };
    (Sealer::new(key(7)).unwrap(), Opener::with_limits(&key(7), limits).unwrap())
}

fn sealed(sealer: &mut Sealer, ssrc: u32, seq: u16) -> Vec<u8> {
    let mut p = vec![0x80, 96];
    p.extend(seq.to_be_bytes());
    p.extend([0; 4]);
    p.extend(ssrc.to_be_bytes());
    p.extend(b"payload");
    p.resize(19 + crate::MAX_RTP_OVERHEAD, 0);
    let len = sealer.protect_rtp(&mut p, 19).unwrap();
    p.truncate(len);
    p
}

fn sealed_report(sealer: &mut Sealer, ssrc: u32) -> Vec<u8> {
    let mut p = vec![0x80, 201, 0, 1];
    p.extend(ssrc.to_be_bytes());
    p.resize(8 + crate::MAX_RTCP_OVERHEAD, 0);
    let len = sealer.protect_rtcp(&mut p, 8).unwrap();
    p.truncate(len);
    p
}

#[test]
fn a_packet_opens_once_and_only_within_the_window() {
    let (mut sealer, mut opener) = pair(Profile::AeadAes128Gcm, OpenerLimits::default());
    let packets: Vec<_> =
        (0..300).map(|n: u16| sealed(&mut sealer, SSRC, 65_400u16.wrapping_add(n))).collect();
    let mut open = |n: usize| opener.unprotect_rtp(&mut packets[n].clone()).map(|o| o.index.get());
    assert_eq!(open(0), Ok(65_400));
    assert_eq!(open(200), Ok(65_600));
    assert_eq!(open(200), Err(Error::Replay));
    assert_eq!(open(73), Ok(65_473), "127 behind");
    assert_eq!(open(73), Err(Error::Replay));
    assert_eq!(open(72), Err(Error::TooOld), "128 behind");
    assert_eq!(open(0), Err(Error::TooOld));
    assert_eq!(open(201), Ok(65_601));
    assert_eq!(open(74), Ok(65_474));
    assert_eq!(open(73), Err(Error::TooOld));
}

#[test]
fn a_longer_window_is_as_long_as_asked_for() {
    let limits = OpenerLimits { replay_window: 1000, max_streams: 1 };
    let (mut sealer, mut opener) = pair(Profile::Aes128CmSha1_32, limits);
    let packets: Vec<_> = (0..2000).map(|n| sealed(&mut sealer, SSRC, n)).collect();
    let mut open = |n: usize| opener.unprotect_rtp(&mut packets[n].clone()).map(|o| o.index.get());
    assert_eq!(open(1999), Ok(1999));
    assert_eq!(open(1999 - 1023), Ok(976));
    assert_eq!(open(1999 - 1024), Err(Error::TooOld));
}

#[test]
fn nothing_unauthenticated_makes_or_moves_state() {
    for profile in Profile::PREFERENCE {
        let (mut sealer, mut opener) = pair(profile, OpenerLimits::default());
        let good = sealed(&mut sealer, SSRC, 10);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let refused = opener.unprotect_rtp(&mut bad).unwrap_err();
            assert!(matches!(refused, Error::Authentication | Error::Malformed), "octet {at}: {refused}");
        }
        let report = sealed_report(&mut sealer, SSRC);
        for at in 0..report.len() {
            let mut bad = report.clone();
            bad[at] ^= 1;
            assert_eq!(opener.unprotect_rtcp(&mut bad), Err(Error::Authentication), "octet {at}");
        }
        for len in 0..good.len() {
            assert!(opener.unprotect_rtp(&mut good.clone()[..len]).is_err());
        }
        for len in 0..report.len() {
            assert!(opener.unprotect_rtcp(&mut report.clone()[..len]).is_err());
        }
        assert!(opener.streams.list.is_empty() && opener.reports.list.is_empty());
        assert_eq!(opener.unprotect_rtp(&mut good.clone()).unwrap().len, 19);
        assert_eq!(opener.unprotect_rtcp(&mut report.clone()), Ok(8));
        let mut ahead = sealed(&mut sealer, SSRC, 30_000);
        *ahead.last_mut().unwrap() ^= 1;
        assert_eq!(opener.unprotect_rtp(&mut ahead), Err(Error::Authentication));
        assert_eq!(opener.highest(SSRC), Some(PacketIndex::from_parts(0, 10)));
    }
}

#[test]
fn a_stream_that_starts_just_below_the_wrap_opens() {
    let (mut sealer, mut opener) = pair(Profile::AeadAes128Gcm, OpenerLimits::default());
    let [a, b, c, d] = [65_534, 65_535, 0, 1].map(|seq| sealed(&mut sealer, SSRC, seq));
    // Without state a packet of the second period cannot be told from one of the first.
    assert_eq!(opener.unprotect_rtp(&mut c.clone()), Err(Error::Authentication));
    assert_eq!(opener.unprotect_rtp(&mut b.clone()).unwrap().index.get(), 65_535);
    assert_eq!(opener.unprotect_rtp(&mut d.clone()).unwrap().index.get(), 65_537);
    assert_eq!(opener.unprotect_rtp(&mut a.clone()).unwrap().index.get(), 65_534);
    assert_eq!(opener.unprotect_rtp(&mut c.clone()).unwrap().index.get(), 65_536);
    assert_eq!(opener.unprotect_rtp(&mut c.clone()), Err(Error::Replay));
}

#[test]
fn the_ssrc_silent_longest_makes_room() {
    let limits = OpenerLimits { max_streams: 3, ..OpenerLimits::default() };
    let (mut sealer, mut opener) = pair(Profile::AeadAes128Gcm, limits);
    for (seq, ssrc) in (100..).zip([1, 2, 3, 1, 2, 4]) {
        opener.unprotect_rtp(&mut sealed(&mut sealer, ssrc, seq)).unwrap();
    }
    let known: Vec<_> = (1..=4).map(|ssrc| opener.highest(ssrc).is_some()).collect();
    assert_eq!(known, [true, true, false, true]);
}

#[test]
fn indices_end_at_48_bits() {
    let (_, mut opener) = pair(Profile::AeadAes128Gcm, OpenerLimits::default());
    opener.streams.mark(None, SSRC, PacketIndex::MAX.get());
    let mut p = vec![0x80; 60];
    p[2..4].copy_from_slice(&[0, 0]);
    p[8..12].copy_from_slice(&SSRC.to_be_bytes());
    assert_eq!(opener.unprotect_rtp(&mut p), Err(Error::IndexExhausted));
}

#[test]
fn reports_are_told_from_replays_too() {
    for profile in Profile::PREFERENCE {
        let (mut sealer, mut opener) = pair(profile, OpenerLimits::default());
        let packets: Vec<_> = (0..200).map(|_| sealed_report(&mut sealer, SSRC)).collect();
        let mut open = |n: usize| opener.unprotect_rtcp(&mut packets[n].clone());
        assert_eq!(open(0), Ok(8));
        assert_eq!(open(0), Err(Error::Replay));
        assert_eq!(open(150), Ok(8));
        assert_eq!(open(23), Ok(8));
        assert_eq!(open(22), Err(Error::TooOld));
        assert_eq!(open(23), Err(Error::Replay));
    }
}
