use proptest::prelude::*;

use super::*;

#[test]
fn numbers_are_extended_over_wraps_and_reordering() {
    let mut u = SequenceUnwrapper::new();
    assert_eq!(u.highest(), None);
    let base = 1 << 16;
    let table = [
        (65_534, Some(base + 65_534)),
        (65_535, Some(base + 65_535)),
        (1, Some(base + 65_537)),
        (0, Some(base + 65_536)),
        (65_530, Some(base + 65_530)),
        (1, Some(base + 65_537)),
        (40, Some(base + 65_576)),
    ];
    for (sequence, expected) in table {
        assert_eq!(u.unwrap(sequence), expected, "{sequence}");
    }
    assert_eq!(u.highest(), Some(base + 65_576));
}

#[test]
fn a_packet_before_the_first_has_a_number_too() {
    let mut u = SequenceUnwrapper::new();
    assert_eq!(u.unwrap(2), Some(65_538));
    assert_eq!(u.unwrap(65_533), Some(65_533));
}

#[test]
fn a_restarted_sender_goes_on_ahead() {
    let mut u = SequenceUnwrapper::new();
    u.unwrap(50_000);
    assert_eq!(u.unwrap(40_000), None, "one stray");
    assert_eq!(u.unwrap(50_001), Some(65_536 + 50_001));
    assert_eq!(u.unwrap(40_000), None);
    assert_eq!(u.unwrap(40_001), Some(2 * 65_536 + 40_001), "two in a row");
    assert_eq!(u.unwrap(40_002), Some(2 * 65_536 + 40_002));
}

#[test]
fn loss_and_highest_are_reported_per_interval() {
    let mut stats = ReceiverStats::new(90_000);
    assert_eq!(stats.report(1, 0), None);
    let base = 1 << 16;
    for s in (100..200).filter(|s| s % 4 != 3) {
        assert!(stats.on_packet(base + s, 0, 1000, 0));
    }
    assert!(!stats.on_packet(base + 100, 0, 1000, 0), "duplicate");
    // 199 is lost too, but nobody can know yet.
    let block = stats.report(7, 0).unwrap();
    assert_eq!((block.ssrc, block.highest_sequence, block.cumulative_lost), (7, 198, 24));
    assert_eq!(block.fraction_lost, (24 * 256 / 99) as u8);
    (200..300).for_each(|s| {
        stats.on_packet(base + s, 0, 1000, 0);
    });
    let block = stats.report(7, 0).unwrap();
    assert_eq!(
        (block.fraction_lost, block.cumulative_lost, block.highest_sequence),
        ((256 / 101) as u8, 25, 299)
    );
    assert_eq!(stats.report(7, 0).unwrap().fraction_lost, 0);
    assert_eq!((stats.received(), stats.bytes(), stats.duplicates(), stats.lost()), (175, 175_000, 1, 25));
    // One that comes late was not lost.
    assert!(stats.on_packet(base + 199, 0, 1000, 0));
    assert_eq!(stats.report(7, 0).unwrap().cumulative_lost, 24);
}

#[test]
fn a_packet_that_a_repair_brings_stays_lost() {
    let mut stats = ReceiverStats::new(90_000);
    let base = 1 << 16;
    for s in (0..100).filter(|s| s % 10 != 5) {
        assert!(stats.on_packet(base + s, 0, 1000, 0));
    }
    let jitter = stats.jitter();
    for s in (0..100).filter(|s| s % 10 == 5) {
        assert!(stats.on_repair(base + s, 1000, 900_000));
        assert!(!stats.on_repair(base + s, 1000, 900_000), "twice");
        assert!(!stats.on_packet(base + s, 0, 1000, 900_000), "it came late, too");
    }
    // The last of a burst: that it was sent is known by its repair.
    assert!(stats.on_repair(base + 100, 1000, 900_000));
    assert_eq!((stats.received(), stats.repaired(), stats.lost(), stats.bytes()), (101, 11, 11, 101_000));
    assert_eq!((stats.take_lost(), stats.jitter()), (11, jitter));
    let block = stats.report(7, 0).unwrap();
    assert_eq!((block.cumulative_lost, block.fraction_lost), (11, (11 * 256 / 101) as u8));
    assert_eq!(block.highest_sequence, 100);
}

#[test]
fn another_stream_in_the_same_place_goes_on_above_and_is_reported_from_its_beginning() {
    let (mut u, mut stats) = (SequenceUnwrapper::new(), ReceiverStats::new(90_000));
    for s in (60_000..60_100).filter(|s| *s != 60_050) {
        assert!(stats.on_packet(u.unwrap(s).unwrap(), 0, 10, 0));
    }
    for first in [0_u16, 59_000, 60_099, 60_100, 65_000] {
        let before = u.highest().unwrap();
        u.restart();
        stats.restart();
        let n = u.unwrap(first).unwrap();
        assert!(
            n > before + u64::from(MAX_MISORDER) + crate::mapping::MAX_JUMP && n - before < 1 << 17,
            "{n}"
        );
        assert_eq!(low16(n), first);
        assert!(stats.on_packet(n, 0, 10, 0));
        assert_eq!(u.unwrap(first.wrapping_add(1)), Some(n + 1));
        let block = stats.report(1, 0).unwrap();
        assert_eq!((block.cumulative_lost, block.fraction_lost), (0, 0));
    }
    assert_eq!((stats.received(), stats.lost(), stats.bytes()), (99 + 5, 1, 1040));
}

#[test]
fn a_repair_may_be_the_first_of_a_stream() {
    let mut stats = ReceiverStats::new(90_000);
    assert!(stats.on_repair(70_000, 1000, 0));
    assert!(stats.on_packet(70_001, 0, 1000, 0));
    assert_eq!((stats.received(), stats.lost()), (2, 1));
}

#[test]
fn lost_packets_are_counted_per_second() {
    let mut stats = ReceiverStats::new(90_000);
    (0..10).for_each(|s| {
        stats.on_packet(70_000 + s, 0, 1, 0);
    });
    assert_eq!(stats.take_lost(), 0);
    stats.on_packet(70_020, 0, 1, 0);
    assert_eq!(stats.take_lost(), 10);
    assert_eq!(stats.take_lost(), 0);
}

#[test]
fn jitter_follows_the_rfc() {
    let mut stats = ReceiverStats::new(8_000);
    // Every 20 ms, 160 ticks: no jitter.
    (0..50u64).for_each(|n| {
        stats.on_packet(70_000 + n, n as u32 * 160, 1, n * 20_000);
    });
    assert_eq!(stats.jitter(), 0);
    // Alternately 10 ms late: differences of 80 ticks; J converges to 80.
    (50..450u64).for_each(|n| {
        stats.on_packet(70_000 + n, n as u32 * 160, 1, n * 20_000 + n % 2 * 10_000);
    });
    assert!((75..=80).contains(&stats.jitter()), "{}", stats.jitter());
}

#[test]
fn sender_reports_are_echoed() {
    let mut stats = ReceiverStats::new(90_000);
    stats.on_packet(70_000, 0, 1, 0);
    let block = stats.report(1, 0).unwrap();
    assert_eq!((block.last_sr, block.delay_since_last_sr), (0, 0));
    stats.on_sender_report(0xabcd_1234, 2_000_000);
    let block = stats.report(1, 3_500_000).unwrap();
    assert_eq!((block.last_sr, block.delay_since_last_sr), (0xabcd_1234, 3 * 65_536 / 2));
    assert_eq!(stats.last_packet_us(), Some(0));
}

/// With a round trip of 20 ms.
fn due(nacks: &mut NackGenerator, now_us: u64) -> Vec<u16> {
    let mut out = [0; 64];
    let count = nacks.poll_nacks(now_us, 20_000, &mut out);
    out[..count].to_vec()
}

#[test]
fn missing_packets_are_asked_for_twice() {
    let mut nacks = NackGenerator::new();
    assert_eq!(nacks.on_packet(65_536 + 65_534, 0), Gap::None);
    assert_eq!(nacks.on_packet(65_536 + 65_538, 1000), Gap::Missing(3));
    assert_eq!(nacks.next_us(), Some(13_000));
    assert_eq!(due(&mut nacks, 12_999), []);
    assert_eq!(due(&mut nacks, 13_000), [65_535, 0, 1]);
    assert_eq!(due(&mut nacks, 13_000), []);
    assert_eq!(nacks.on_packet(65_536 + 65_536, 20_000), Gap::Recovered);
    assert_eq!(nacks.on_packet(65_536 + 65_536, 20_000), Gap::None, "again");
    let mut at = 13_000;
    for step in [40_000, 80_000, 120_000, 160_000, 200_000, 240_000] {
        at += step;
        assert_eq!(nacks.next_us(), Some(at));
        assert_eq!(due(&mut nacks, at - 1), []);
        assert_eq!(due(&mut nacks, at), [65_535, 1]);
    }
    assert!(nacks.is_missing(65_536 + 65_535));
    let end = 1000 + NACK_GIVE_UP_US;
    assert_eq!(nacks.next_us(), Some(end));
    assert_eq!(due(&mut nacks, end - 1), []);
    assert!(!nacks.take_given_up());
    assert_eq!(due(&mut nacks, end), []);
    assert!(nacks.is_empty() && nacks.take_given_up() && !nacks.take_given_up(), "given up");
    assert_eq!(nacks.next_us(), None);
}

#[test]
fn a_packet_is_asked_for_again_when_the_answer_could_have_come() {
    // (round trip, when it is asked for)
    for (round_trip_us, times) in [
        (0, &[12, 137, 262, 387, 547, 747, 987][..]),
        (1_000, &[12, 52, 132, 252, 412, 612, 852]),
        (200_000, &[12, 262, 512, 762]),
        (2_000_000, &[12]),
    ] {
        let mut nacks = NackGenerator::new();
        nacks.on_packet(100, 0);
        nacks.on_packet(102, 0);
        let mut out = [0; 4];
        let asked = |ms: &u64| nacks.poll_nacks(ms * 1000, round_trip_us, &mut out) > 0;
        assert_eq!((0..2000).filter(asked).collect::<Vec<_>>(), times, "{round_trip_us}");
    }
}

#[test]
fn what_a_keyframe_has_made_needless_is_given_up_in_silence() {
    for (keyframe, given_up) in [(99, true), (101, true), (102, false), (110, false)] {
        let mut nacks = NackGenerator::new();
        nacks.on_packet(90, 0);
        for sequence in (91..=110).filter(|s| *s != 101) {
            nacks.on_packet(sequence, 0);
        }
        nacks.on_keyframe(keyframe);
        due(&mut nacks, NACK_GIVE_UP_US);
        assert_eq!(nacks.take_given_up(), given_up, "{keyframe}");
    }
}

#[test]
fn reordering_within_12_ms_asks_for_nothing() {
    let mut nacks = NackGenerator::new();
    nacks.on_packet(100, 0);
    assert_eq!(nacks.on_packet(102, 0), Gap::Missing(1));
    assert_eq!(nacks.on_packet(101, 11_000), Gap::Recovered);
    assert_eq!(due(&mut nacks, 12_000), []);
    assert_eq!(nacks.len(), 0);
}

#[test]
fn a_large_gap_wants_a_keyframe() {
    let mut nacks = NackGenerator::new();
    nacks.on_packet(1000, 0);
    let most = MAX_MISSING as u64;
    assert_eq!(nacks.on_packet(1000 + most + 1, 0), Gap::Missing(256));
    assert_eq!(nacks.on_packet(1000 + most + 3, 0), Gap::TooLarge, "the list is full");
    assert!(nacks.is_empty());
    assert_eq!(nacks.on_packet(1_000_000, 0), Gap::TooLarge);
    assert_eq!(nacks.on_packet(1_000_002, 0), Gap::Missing(1), "goes on from there");
}

#[test]
fn a_keyframe_and_a_small_buffer() {
    let mut nacks = NackGenerator::new();
    nacks.on_packet(1000, 0);
    nacks.on_packet(1010, 0);
    let mut out = [0; 4];
    assert_eq!((nacks.poll_nacks(12_000, 0, &mut out), out), (4, [1001, 1002, 1003, 1004]));
    assert_eq!((nacks.poll_nacks(12_000, 0, &mut out), out), (4, [1005, 1006, 1007, 1008]));
    nacks.on_keyframe(1009);
    assert_eq!(due(&mut nacks, 12_000), [1009], "a keyframe does not change what is asked for");
}

proptest! {
    #[test]
    fn every_packet_lost_is_asked_for_and_no_other(lost in proptest::collection::btree_set(1u64..400, 0..200)) {
        let mut nacks = NackGenerator::new();
        let mut asked = vec![];
        for s in (0..=401).filter(|s| !lost.contains(s)) {
            let _ = nacks.on_packet(66_000 + s, s * 1000);
            asked.extend(due(&mut nacks, s * 1000));
        }
        asked.extend(due(&mut nacks, 413_000));
        asked.sort_unstable();
        asked.dedup();
        let expected: Vec<u16> = lost.iter().map(|s| (66_000 + s) as u16).collect();
        prop_assert_eq!(asked, expected);
    }

    #[test]
    fn loss_is_never_negative_and_never_too_large(
        steps in proptest::collection::vec((any::<u16>(), any::<u32>(), 0u64..100_000), 1..200),
    ) {
        let (mut u, mut stats, mut nacks) = (SequenceUnwrapper::new(), ReceiverStats::new(90_000), NackGenerator::new());
        let mut now = 0;
        for (sequence, timestamp, step) in steps {
            now += step;
            let Some(extended) = u.unwrap(sequence) else { continue };
            prop_assert_eq!(extended as u16, sequence);
            stats.on_packet(extended, timestamp, 10, now);
            let _ = nacks.on_packet(extended, now);
            prop_assert!(nacks.len() <= MAX_MISSING);
            let block = stats.report(1, now).unwrap();
            prop_assert!(block.cumulative_lost >= 0);
        }
    }
}
