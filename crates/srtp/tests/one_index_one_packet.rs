//! Whatever a caller does, one (SSRC, index) leaves a sealer as one byte string.

use portunus_srtp::{
    MAX_REPLAY_WINDOW, MAX_RTP_OVERHEAD, MasterKey, Opener, OpenerLimits, Profile, Sealer, SendState,
};
use proptest::prelude::*;
use std::collections::HashMap;

#[derive(Debug, Clone)]
enum Step {
    /// Without a claim.
    Plain {
        ssrc: u32,
        ahead: i32,
        fill: u8,
    },
    Claim {
        ssrc: u32,
        keep: usize,
    },
    Release {
        ssrc: u32,
    },
    Lose {
        ssrc: u32,
    },
    Protect {
        ssrc: u32,
        ahead: i32,
        fill: u8,
    },
    Late {
        ssrc: u32,
        ahead: i32,
        fill: u8,
    },
    /// `fill` may or may not be the one it was sealed with.
    Again {
        ssrc: u32,
        ahead: i32,
        fill: u8,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ssrc = 1..3u32;
    let ahead = prop_oneof![4 => Just(1), 3 => -8..8i32, 1 => -200..200i32, 1 => -40_000..40_000i32];
    let fill = 0..3u8;
    let step = (0..14u8, ssrc, ahead, fill).prop_map(|(kind, ssrc, ahead, fill)| match kind {
        0..2 => Step::Plain { ssrc, ahead, fill },
        2..4 => Step::Claim { ssrc, keep: [0, 64, 64, 200][usize::from(fill)] },
        4 => Step::Release { ssrc },
        5 if ahead < -100 => Step::Lose { ssrc },
        5..9 => Step::Protect { ssrc, ahead, fill },
        9..11 => Step::Late { ssrc, ahead, fill },
        _ => Step::Again { ssrc, ahead, fill },
    });
    proptest::collection::vec(step, 1..400)
}

fn packet(ssrc: u32, seq: u16, fill: u8) -> Vec<u8> {
    let mut p = vec![0x80, 96];
    p.extend(seq.to_be_bytes());
    p.extend([0; 4]);
    p.extend(ssrc.to_be_bytes());
    p.extend([fill; 9]);
    p.resize(21 + MAX_RTP_OVERHEAD, 0);
    p
}

fn key(profile: Profile) -> MasterKey {
    let (key, salt) = (&[1; 32][..profile.key_len()], &[2; 14][..profile.salt_len()]);
    MasterKey::new(profile, key, salt).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_index_seals_two_packets(
        profile in proptest::sample::select(Profile::PREFERENCE.to_vec()),
        steps in steps(),
    ) {
        let mut sealer = Sealer::new(key(profile)).unwrap();
        let limits = OpenerLimits { replay_window: MAX_REPLAY_WINDOW, ..OpenerLimits::default() };
        let mut opener = Opener::with_limits(&key(profile), limits).unwrap();
        let mut lent: HashMap<u32, SendState> = HashMap::new();
        let mut last: HashMap<u32, i64> = HashMap::new();
        let mut left: HashMap<(u32, u64), Vec<u8>> = HashMap::new();
        for step in steps {
            let (ssrc, ahead, fill) = match step {
                Step::Claim { ssrc, keep } => {
                    if let Ok(state) = sealer.claim(ssrc, keep) {
                        prop_assert!(lent.insert(ssrc, state).is_none(), "lent twice");
                    }
                    continue;
                }
                Step::Release { ssrc } => {
                    if let Some(state) = lent.remove(&ssrc) {
                        prop_assert!(sealer.release(state).is_ok());
                    }
                    continue;
                }
                Step::Lose { ssrc } => {
                    lent.remove(&ssrc);
                    continue;
                }
                Step::Plain { ssrc, ahead, fill }
                | Step::Protect { ssrc, ahead, fill }
                | Step::Late { ssrc, ahead, fill }
                | Step::Again { ssrc, ahead, fill } => (ssrc, ahead, fill),
            };
            let aim = last.get(&ssrc).map_or(65_500, |at| at + i64::from(ahead)).max(0);
            let mut buf = packet(ssrc, aim as u16, fill);
            let sealed = match (&step, lent.get_mut(&ssrc)) {
                (Step::Plain { .. }, _) => sealer.protect_rtp(&mut buf, 21),
                (Step::Protect { .. }, Some(state)) => sealer.protect_rtp_with(state, 12, &mut buf, 21),
                (Step::Late { .. }, Some(state)) => sealer.protect_late_rtp(state, 12, &mut buf, 21),
                (Step::Again { .. }, Some(state)) => {
                    let before = state.highest();
                    let index = state.index_of(aim as u16).unwrap();
                    let again = sealer.reprotect_rtp(state, index, 12, &mut buf, 21);
                    prop_assert_eq!(state.highest(), before, "a retransmission moves nothing");
                    if again.is_ok() {
                        prop_assert!(left.contains_key(&(ssrc, index.get())), "never sent before");
                    }
                    again
                }
                _ => continue,
            };
            let Ok(len) = sealed else { continue };
            buf.truncate(len);
            let index = if matches!(step, Step::Again { .. }) {
                let index = lent[&ssrc].index_of(aim as u16).unwrap().get();
                prop_assert_eq!(Some(&buf), left.get(&(ssrc, index)), "one index, two packets");
                index
            } else {
                // The receiver saw everything that left: it tells the index, and it would tell a repeated one.
                let opened = opener.unprotect_rtp(&mut buf.clone());
                prop_assert!(opened.is_ok(), "{:?} left a packet that is {:?}", step, opened);
                opened.unwrap().index.get()
            };
            left.insert((ssrc, index), buf);
            let top = last.entry(ssrc).or_insert(index as i64);
            *top = (*top).max(index as i64);
        }
    }
}
