use super::*;

/// 320x180, after a descriptor of one byte.
const KEY: &[u8] = &[0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00, 7];
const DELTA: &[u8] = &[0x10, 0x11, 8];

const OPUS: Kind<'_> = Kind { codec: "opus", fmtp: None, red: None };
const VP8: Kind<'_> = Kind { codec: "vp8", fmtp: None, red: None };

fn rtp(pt: u8, sequence: u16, timestamp: u32, marker: bool, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, pt | u8::from(marker) << 7];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend([0, 0, 0, 1]);
    packet.extend(payload);
    packet
}

/// A film, and what came out of it: for each part its ending and how many bytes.
#[derive(Default)]
struct Rig {
    film: Film,
    now: u64,
    parts: Vec<(&'static str, Vec<u8>)>,
}

impl Rig {
    fn sound(&mut self, id: u64, n: u16) {
        let packet = rtp(111, n, u32::from(n) * 960, false, &[0x78, 1]);
        self.film.packet(id, self.now, &packet);
    }

    fn picture(&mut self, id: u64, n: u16, keyframe: bool) {
        let packet = rtp(96, n, u32::from(n) * 3600, true, if keyframe { KEY } else { DELTA });
        self.film.packet(id, self.now, &packet);
    }

    fn step(&mut self, us: u64) {
        self.now += us;
        let mut pieces = Vec::new();
        self.film.poll(self.now, &mut pieces);
        self.take(pieces);
    }

    fn finish(&mut self) {
        let mut pieces = Vec::new();
        self.film.finish(&mut pieces);
        self.take(pieces);
    }

    fn take(&mut self, pieces: Vec<Piece>) {
        for piece in pieces {
            match piece {
                Piece::Begin { ending, head } => self.parts.push((ending, head)),
                Piece::Bytes(bytes) => self.parts.last_mut().unwrap().1.extend(bytes),
            }
        }
    }

    /// Track and milliseconds of the blocks of a Matroska part.
    fn blocks(&self, part: usize) -> Vec<(u8, i64)> {
        let bytes = &self.parts[part].1;
        let (mut blocks, mut start, mut at) = (Vec::new(), 0, 0);
        let size = |at: usize| {
            let length = u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap()) & !(1 << 56);
            usize::try_from(length).unwrap()
        };
        at += bytes.windows(4).position(|w| w == [0x1f, 0x43, 0xb6, 0x75]).unwrap_or(bytes.len());
        while at < bytes.len() {
            match bytes[at] {
                // A cluster, its time, a block.
                0x1f => at += 12,
                0xe7 => {
                    let number = &bytes[at + 9..at + 9 + size(at + 1)];
                    start = number.iter().fold(0, |n, b| n << 8 | i64::from(*b));
                    at += 9 + number.len();
                }
                0xa3 => {
                    let offset = i16::from_be_bytes([bytes[at + 10], bytes[at + 11]]);
                    blocks.push((bytes[at + 9] & 0x7f, start + i64::from(offset)));
                    at += 9 + size(at + 1);
                }
                other => panic!("{other:#x} at {at}"),
            }
        }
        blocks
    }
}

#[test]
fn sound_and_pictures_are_one_file_in_the_order_of_their_times() {
    let mut rig = Rig::default();
    assert!(rig.film.add(1, &OPUS) && rig.film.add(2, &VP8));
    for n in 0..100_u16 {
        rig.sound(1, n);
        if n % 2 == 0 {
            rig.picture(2, n / 2, n == 0);
        }
        rig.step(20_000);
    }
    assert_eq!(rig.parts.len(), 1);
    rig.finish();
    assert_eq!(rig.parts[0].0, "webm");
    let blocks = rig.blocks(0);
    assert_eq!(blocks.iter().filter(|(track, _)| *track == 1).count(), 100);
    assert_eq!(blocks.iter().filter(|(track, _)| *track == 2).count(), 50);
    let times: Vec<i64> = blocks.iter().map(|(_, ms)| *ms).collect();
    assert!(times.is_sorted() && times[0] == 0 && times.last() == Some(&1980), "{times:?}");
}

#[test]
fn it_is_written_while_it_goes_on() {
    let mut rig = Rig::default();
    rig.film.add(1, &OPUS);
    for n in 0..500_u16 {
        rig.sound(1, n);
        rig.step(20_000);
    }
    // Ten seconds: but for what waits for others, and the cluster that is not whole.
    let written = rig.blocks(0).last().unwrap().1;
    assert!(written >= 10_000 - 2_000, "{written} ms");
}

#[test]
fn what_is_late_gets_its_place_and_what_is_lost_is_not_waited_for() {
    let mut rig = Rig::default();
    rig.film.add(1, &OPUS);
    for n in 0..100_u16 {
        // 50 comes 300 ms late, 60 never.
        if ![50, 60].contains(&n) {
            rig.sound(1, n);
        }
        if n == 65 {
            rig.sound(1, 50);
            rig.sound(1, 50);
        }
        rig.step(20_000);
    }
    rig.finish();
    let times: Vec<i64> = rig.blocks(0).iter().map(|(_, ms)| *ms).collect();
    let wanted: Vec<i64> = (0..100).filter(|n| *n != 60).map(|n| n * 20).collect();
    assert_eq!(times, wanted);
}

#[test]
fn who_is_silent_is_not_waited_for_and_gets_a_part_when_he_speaks() {
    let mut rig = Rig::default();
    rig.film.add(1, &OPUS);
    rig.film.add(2, &VP8);
    for n in 0..400_u16 {
        rig.picture(2, n, n % 50 == 0);
        if n >= 200 {
            rig.sound(1, n);
        }
        rig.step(40_000);
    }
    rig.film.end(2);
    rig.finish();
    assert_eq!(rig.parts.iter().map(|(ending, _)| *ending).collect::<Vec<_>>(), ["webm", "webm"]);
    let (first, second) = (rig.blocks(0), rig.blocks(1));
    assert!(first.iter().all(|(track, _)| *track == 1));
    assert!(second.iter().any(|(track, _)| *track == 1) && second.iter().any(|(track, _)| *track == 2));
    let pictures = first.len() + second.iter().filter(|(track, _)| *track == 2).count();
    assert!(pictures >= 350, "{pictures}: but for those until the next keyframe");
}

#[test]
fn media_that_change_together_share_the_next_part_and_nothing_of_it_is_lost() {
    let mut rig = Rig::default();
    rig.film.add(1, &OPUS);
    rig.film.add(2, &VP8);
    for n in 0..300_u16 {
        if n == 150 {
            rig.film.end(1);
            rig.film.end(2);
            rig.film.add(3, &OPUS);
            rig.film.add(4, &VP8);
        }
        let before = n < 150;
        rig.sound(if before { 1 } else { 3 }, n);
        // The first picture behind the change comes late.
        if before || n >= 180 {
            rig.picture(if before { 2 } else { 4 }, n, n % 30 == 0);
        }
        rig.step(40_000);
    }
    rig.finish();
    assert_eq!(rig.parts.len(), 2);
    let sounds = |part: &[(u8, i64)]| part.iter().filter(|(track, _)| *track == 1).count();
    assert_eq!((sounds(&rig.blocks(0)), sounds(&rig.blocks(1))), (150, 150));
}

#[test]
fn a_part_begins_with_a_keyframe() {
    let mut rig = Rig::default();
    rig.film.add(2, &VP8);
    for n in 0..50_u16 {
        rig.picture(2, n, n == 20);
        rig.step(40_000);
    }
    rig.finish();
    assert_eq!(rig.blocks(0).len(), 30);
}

#[test]
fn the_codecs_say_what_kind_of_file_it_is() {
    for (codecs, ending) in [
        (&["opus", "vp8"][..], "webm"),
        (&["opus"], "webm"),
        (&["pcmu", "vp8"], "mkv"),
        (&["g722"], "mkv"),
        (&["multiopus"], "webm"),
    ] {
        let mut rig = Rig::default();
        for (id, codec) in (0..).zip(codecs) {
            let fmtp = Some("channel_mapping=0,4,1,2,3,5;coupled_streams=2;num_streams=4");
            assert!(rig.film.add(id, &Kind { codec, fmtp, red: None }), "{codec}");
        }
        for n in 0..60_u16 {
            for (id, codec) in (0..).zip(codecs) {
                if *codec == "vp8" { rig.picture(id, n, n == 0) } else { rig.sound(id, n) }
            }
            rig.step(20_000);
        }
        rig.finish();
        assert_eq!(rig.parts.iter().map(|(e, _)| *e).collect::<Vec<_>>(), [ending], "{codecs:?}");
    }
    assert!(!Film::new().add(1, &Kind { codec: "text", fmtp: None, red: None }));
    assert!(!can_hold("isac16", None) && !can_hold("multiopus", None) && can_hold("h264", None));
}

#[test]
fn a_clock_that_runs_ahead_keeps_nothing_in_memory() {
    let mut rig = Rig::default();
    rig.film.add(1, &OPUS);
    // 4.2 s by the sender's clock every 20 ms.
    for n in 0..2000_u32 {
        let packet = rtp(111, n as u16, n.wrapping_mul(200_000), false, &[0x78, 1]);
        rig.film.packet(1, rig.now, &packet);
        rig.step(20_000);
    }
    // No more than what comes in the five seconds that it may be ahead.
    assert!(rig.film.waiting.len() <= 250, "{}", rig.film.waiting.len());
    rig.finish();
    let blocks = rig.blocks(0);
    assert!(
        blocks.len() == 2000 && (38_000..46_000).contains(&blocks[1999].1),
        "{} {:?}",
        blocks.len(),
        blocks.last()
    );
}

#[test]
fn a_medium_that_ends_as_it_begins_is_not_lost() {
    let mut rig = Rig::default();
    rig.film.add(1, &OPUS);
    for n in 0..100 {
        rig.sound(1, n);
        rig.step(20_000);
    }
    rig.film.add(2, &VP8);
    rig.picture(2, 0, true);
    rig.film.packet(2, rig.now, &rtp(96, 1, 3600, true, DELTA));
    rig.finish();
    assert_eq!(rig.parts.len(), 2);
    assert!(!rig.blocks(1).is_empty());
}

#[test]
fn nothing_comes_of_nothing() {
    let mut rig = Rig::default();
    rig.film.add(1, &OPUS);
    rig.film.add(2, &VP8);
    rig.film.packet(1, 0, b"no rtp");
    rig.film.packet(3, 0, &rtp(111, 1, 1, false, &[0x78]));
    rig.picture(2, 1, false);
    rig.step(10_000_000);
    rig.film.end(1);
    rig.film.end(2);
    assert!(!rig.film.goes_on());
    rig.finish();
    assert!(rig.parts.is_empty());
}

#[test]
fn red_and_events_are_seen_through() {
    let mut rig = Rig::default();
    rig.film.add(1, &Kind { red: Some(63), ..OPUS });
    for n in 0..100_u16 {
        let timestamp = u32::from(n) * 960;
        let packet = match n {
            // An event in between.
            50 => rtp(126, n, timestamp, true, &[1, 10, 0, 160]),
            _ => rtp(63, n, timestamp, false, &[111, 0x78, 1]),
        };
        rig.film.packet(1, rig.now, &packet);
        rig.step(20_000);
    }
    rig.finish();
    assert_eq!(rig.blocks(0).len(), 99);
}
