use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn feedback(recorder: &mut FeedbackRecorder) -> Vec<u8> {
    let mut out = [0; 1200];
    let len = recorder.poll_feedback(&mut out).unwrap().unwrap();
    out[..len].to_vec()
}

fn results(body: &[u8]) -> Vec<(u16, Option<i64>)> {
    Feedback::parse(body).unwrap().results().map(|r| (r.number, r.arrival_us)).collect()
}

#[test]
fn a_feedback_is_written_as_the_draft_says() {
    let mut recorder = FeedbackRecorder::new();
    assert_eq!(recorder.poll_feedback(&mut [0; 100]), Ok(None));
    // Reference time 1 (64 ms); deltas 4 ticks, 0, then 400 ticks; number 102 is missing.
    recorder.on_packet(100, 65_000);
    recorder.on_packet(101, 65_100);
    recorder.on_packet(103, 165_000);
    let body = feedback(&mut recorder);
    let expected = [
        0,
        100,
        0,
        4, // base, count
        0,
        0,
        1,
        0, // reference, feedback count
        0b1101_0100,
        0b1000_0000, // two-bit vector: small, small, missing, large
        4,
        0,
        1,
        0x90,
    ];
    assert_eq!(body, expected);
    assert_eq!(results(&body), [(100, Some(65_000)), (101, Some(65_000)), (102, None), (103, Some(165_000))]);
    assert_eq!(recorder.poll_feedback(&mut [0; 100]), Ok(None), "nothing new");
    recorder.on_packet(105, 200_000);
    let body = feedback(&mut recorder);
    assert_eq!((&body[..4], body[7]), (&[0, 104, 0, 2][..], 1));
}

#[test]
fn a_late_packet_is_reported_with_those_after_it() {
    let mut recorder = FeedbackRecorder::new();
    recorder.on_packet(10, 0);
    recorder.on_packet(12, 1000);
    feedback(&mut recorder);
    recorder.on_packet(11, 90_000);
    let body = feedback(&mut recorder);
    assert_eq!(results(&body), [(11, Some(90_000)), (12, Some(1000))]);
    recorder.on_packet(11, 95_000);
    assert_eq!(recorder.poll_feedback(&mut [0; 100]), Ok(None), "a duplicate is no news");
}

#[test]
fn runs_and_vectors_are_chosen_and_read() {
    let mut recorder = FeedbackRecorder::new();
    // 100 in a row 1 ms apart, 30 lost, 1 more.
    (0..100).for_each(|n| recorder.on_packet(n, u64::from(n) * 1000));
    recorder.on_packet(130, 130_000);
    let body = feedback(&mut recorder);
    assert_eq!(body[8..12], [0x20, 100, 0, 30], "a run of small deltas, a run of gaps");
    assert_eq!(results(&body).iter().filter(|r| r.1.is_some()).count(), 101);
    let alternate = {
        let mut recorder = FeedbackRecorder::new();
        (0..14).step_by(2).for_each(|n| recorder.on_packet(n, u64::from(n) * 1000));
        feedback(&mut recorder)
    };
    assert_eq!(alternate[8..10], [0b1010_1010, 0b1010_1010], "a one-bit vector");
}

#[test]
fn a_long_pause_splits_the_feedback() {
    let mut recorder = FeedbackRecorder::new();
    recorder.on_packet(1, 0);
    recorder.on_packet(2, 9_000_000);
    assert_eq!(results(&feedback(&mut recorder)), [(1, Some(0))]);
    assert_eq!(results(&feedback(&mut recorder)), [(2, Some(9_000_000))]);
    assert_eq!(recorder.poll_feedback(&mut [0; 100]), Ok(None));
}

#[test]
fn a_small_buffer_takes_several_feedbacks() {
    let mut recorder = FeedbackRecorder::new();
    (0..100).for_each(|n| recorder.on_packet(n, u64::from(n) * 100_000));
    assert_eq!(recorder.poll_feedback(&mut [0; 10]), Err(RtpError::BufferTooSmall));
    let mut seen = vec![];
    let mut out = [0; 60];
    while let Some(len) = recorder.poll_feedback(&mut out).unwrap() {
        seen.extend(results(&out[..len]).into_iter().map(|r| r.0));
    }
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
}

#[test]
fn numbers_beyond_the_span_are_forgotten() {
    let mut recorder = FeedbackRecorder::new();
    recorder.on_packet(0, 0);
    recorder.on_packet(5000, 1000);
    let mut seen = vec![];
    let mut out = [0; 1200];
    while let Some(len) = recorder.poll_feedback(&mut out).unwrap() {
        seen.extend(results(&out[..len]));
    }
    assert_eq!(seen.last(), Some(&(5000, Some(1000))));
    assert!(seen.len() <= MAX_SPAN);
}

#[test]
fn broken_feedback_is_refused() {
    let head = [0, 1, 0, 3, 0, 0, 1, 0];
    let with = |rest: &[u8]| [&head[..], rest].concat();
    assert!(Feedback::parse(&with(&[0x20, 3, 1, 2, 3])).is_ok());
    let table: &[(&str, Vec<u8>, RtpError)] = &[
        ("empty", vec![], RtpError::Truncated),
        ("no chunk", with(&[]), RtpError::Truncated),
        ("half a chunk", with(&[0x20]), RtpError::Truncated),
        ("a delta is missing", with(&[0x20, 3, 1, 2]), RtpError::Truncated),
        ("half a large delta", with(&[0x40, 3, 0, 1, 0, 2, 0]), RtpError::Truncated),
        ("reserved run", with(&[0x60, 3]), RtpError::Malformed),
        ("reserved symbol", with(&[0xf0, 0]), RtpError::Malformed),
        ("runs of nothing", with(&[0x20, 0, 0x20, 0]), RtpError::Truncated),
    ];
    for (name, body, error) in table {
        assert_eq!(Feedback::parse(body).err(), Some(*error), "{name}");
    }
    // A reserved symbol behind the last status is not looked at.
    assert!(Feedback::parse(&with(&[0b1100_0000, 0b0000_0011])).is_ok());
}

#[test]
fn reference_time_is_signed() {
    let body = [0, 1, 0, 1, 0xff, 0xff, 0xff, 0, 0x20, 1, 2];
    assert_eq!(results(&body), [(1, Some(-64_000 + 500))]);
}

proptest! {
    #[test]
    fn what_is_recorded_is_read_back(
        first: u16,
        start in 0u64..10_000_000_000,
        steps in proptest::collection::vec((1u16..40, prop_oneof![8 => 0u64..3000, 2 => 0u64..200_000, 1 => 0u64..9_000_000]), 1..120),
        room in 60usize..1200,
        polls in proptest::collection::vec(proptest::bool::weighted(0.1), 1..20),
    ) {
        let mut recorder = FeedbackRecorder::new();
        let (mut number, mut now) = (first, start);
        let mut expected = BTreeMap::new();
        let mut read = BTreeMap::new();
        let mut out = vec![0; room];
        let mut drain = |recorder: &mut FeedbackRecorder, read: &mut BTreeMap<u16, i64>| {
            while let Some(len) = recorder.poll_feedback(&mut out).unwrap() {
                for r in Feedback::parse(&out[..len]).unwrap().results() {
                    if let Some(at) = r.arrival_us {
                        read.insert(r.number, at);
                    }
                }
            }
        };
        for (n, (gap, step)) in steps.iter().enumerate() {
            recorder.on_packet(number, now);
            expected.insert(number, (now / TICK_US * TICK_US) as i64);
            number = number.wrapping_add(*gap);
            now += step;
            // Often enough that the span is never exceeded.
            if polls[n % polls.len()] || n % 20 == 0 {
                drain(&mut recorder, &mut read);
            }
        }
        drain(&mut recorder, &mut read);
        // The reference time has 24 bits of 64 ms.
        let wrap = 64_000i64 << 24;
        let read: BTreeMap<_, _> = read.into_iter().map(|(n, at)| (n, at.rem_euclid(wrap))).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn any_body_is_read_without_panic(body in proptest::collection::vec(any::<u8>(), 0..80), small: bool) {
        let mut body = body;
        if small && body.len() > 3 {
            (body[2], body[3]) = (0, body[3] & 31);
        }
        if let Ok(feedback) = Feedback::parse(&body) {
            prop_assert_eq!(feedback.results().count(), usize::from(feedback.count));
        }
    }
}
