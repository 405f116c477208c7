use super::*;

#[test]
fn both_laws_are_those_of_the_recommendation() {
    assert_eq!([0x00, 0x7f, 0x80, 0xff, 0x2a].map(mu_law), [-32_124, 0, 32_124, 0, -5_372]);
    assert_eq!([0x00, 0x55, 0x80, 0xd5, 0x2a].map(a_law), [-5_504, -8, 5_504, 8, -32_256]);
}

#[test]
fn payloads_are_samples() {
    for (codec, payload_type, payload, samples) in [
        ("pcmu", 0, &[0x80][..], vec![32_124]),
        ("pcma", 8, &[0x80], vec![5_504]),
        ("g711", 8, &[0x80], vec![5_504]),
        ("g711", 0, &[0x80], vec![32_124]),
        ("l16", 96, &[0x12, 0x34, 0xff, 0xff, 7], vec![0x1234, -1]),
    ] {
        let mut out = Vec::new();
        Decoder::of(codec).unwrap().decode(payload_type, payload, &mut out);
        assert_eq!(out, samples, "{codec}");
    }
    assert!(Decoder::of("isac16").is_none());
    let g722 = Decoder::of("g722").unwrap();
    assert_eq!((g722.rate(), g722.clock_rate()), (16_000, 8_000));
}

#[test]
fn g722_takes_any_codes() {
    let mut decoder = g722::Decoder::default();
    let mut loudest = 0;
    for n in 0..200_000_u32 {
        let code = (n.wrapping_mul(2_654_435_761) >> 24) as u8;
        loudest = decoder.decode(code).iter().fold(loudest, |most, s| s.unsigned_abs().max(most));
    }
    assert!(loudest > 20_000, "{loudest}");
}

#[test]
fn silence_takes_the_place_of_what_is_missing() {
    let (mut filler, mut out) = (Filler::new(8_000), Vec::new());
    for time in [160, 320, 640, 643, 20_000] {
        filler.push(time, vec![1; 160], &mut out);
    }
    let pieces: Vec<(u64, usize, i16)> =
        out.iter().map(|p| (p.time, p.samples.len(), p.samples[0])).collect();
    let silence = (20_000 - 800) / 8_000;
    assert_eq!(pieces[..4], [(160, 160, 1), (320, 160, 1), (480, 160, 0), (640, 160, 1)]);
    assert_eq!(pieces.len(), 4 + silence + 2);
    assert_eq!((pieces.last(), filler.filled, filler.left_out), (Some(&(20_000, 160, 1)), 160 + 19_200, 1));
}
