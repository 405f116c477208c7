//! Which frames of a video stream could be decoded, and when: whole, and the one before them too, or a keyframe.

use crate::stamp::Stamp;
use std::ops::Range;

/// Frames that may be incomplete at the same time.
const SLOTS: usize = 32;
/// A picture that cannot go on asks for a keyframe after this, and again after each [`ASK_AGAIN_NS`].
const ASK_AFTER_NS: u64 = 300_000_000;
const ASK_AGAIN_NS: u64 = 500_000_000;

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    frame: u32,
    missing: u16,
    keyframe: bool,
    first_ns: u64,
    used: bool,
}

/// What counts as frozen: a picture that stands for longer than `limit_ns`, within the time that is measured.
#[derive(Clone, Debug)]
pub(crate) struct Freeze {
    pub(crate) limit_ns: u64,
    pub(crate) measured: Range<u64>,
}

impl Freeze {
    /// How much of the time from `since` to `until`, in which a picture stood, counts.
    fn of(&self, since_ns: u64, until_ns: u64) -> u64 {
        let from = since_ns.saturating_add(self.limit_ns).max(self.measured.start);
        until_ns.min(self.measured.end).saturating_sub(from)
    }
}

/// Frames that could be decoded just now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) frames: u64,
    /// When the first packet of the first frame of all came.
    pub(crate) first_ns: Option<u64>,
    /// How long the picture stood before them, as far as it counts.
    pub(crate) frozen_ns: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Frames {
    source: Option<u32>,
    slots: [Slot; SLOTS],
    /// The last frame that could be decoded, and when that was.
    decoded: Option<(u32, u64)>,
    /// The first packet that could not be used since.
    waiting_ns: Option<u64>,
    asked_ns: Option<u64>,
}

impl Frames {
    pub(crate) fn new() -> Self {
        let slots = [Slot::default(); SLOTS];
        Self { source: None, slots, decoded: None, waiting_ns: None, asked_ns: None }
    }

    /// Takes a packet that came for the first time.
    pub(crate) fn on_packet(&mut self, stamp: &Stamp, now_ns: u64, freeze: &Freeze) -> Decoded {
        if self.source != Some(stamp.source) {
            // Another layer or publisher: it begins with a keyframe, and the picture stands until then.
            self.source = Some(stamp.source);
            self.slots = [Slot::default(); SLOTS];
            self.decoded = self.decoded.map(|(_, at)| (stamp.frame.wrapping_sub(0x4000_0000), at));
        }
        let mut done = Decoded::default();
        if self.decoded.is_some_and(|(last, ..)| !newer(stamp.frame, last)) {
            return done;
        }
        self.waiting_ns.get_or_insert(now_ns);
        let Some(slot) = self.slots.get_mut(stamp.frame as usize % SLOTS) else { return done };
        if !slot.used || newer(stamp.frame, slot.frame) {
            *slot = Slot {
                frame: stamp.frame,
                missing: stamp.packets,
                keyframe: stamp.keyframe,
                first_ns: now_ns,
                used: true,
            };
        } else if slot.frame != stamp.frame {
            return done;
        }
        slot.missing = slot.missing.saturating_sub(1);
        let mut next = *slot;
        while next.used && next.missing == 0 && self.can_follow(&next) {
            self.decode(&next, now_ns, freeze, &mut done);
            let after = next.frame.wrapping_add(1);
            let Some(slot) = self.slots.get(after as usize % SLOTS).filter(|s| s.frame == after) else {
                break;
            };
            next = *slot;
        }
        done
    }

    fn can_follow(&self, slot: &Slot) -> bool {
        match self.decoded {
            None => slot.keyframe,
            Some((last, ..)) => {
                slot.frame == last.wrapping_add(1) || (slot.keyframe && newer(slot.frame, last))
            }
        }
    }

    fn decode(&mut self, slot: &Slot, now_ns: u64, freeze: &Freeze, done: &mut Decoded) {
        match self.decoded {
            None => done.first_ns = Some(slot.first_ns),
            Some((_, at)) => done.frozen_ns += freeze.of(at, now_ns),
        }
        done.frames += 1;
        self.decoded = Some((slot.frame, now_ns));
        self.waiting_ns = None;
        self.asked_ns = None;
    }

    /// How long the picture stands now, as far as it counts; also one that never was, though packets come.
    pub(crate) fn standing(&self, now_ns: u64, freeze: &Freeze) -> u64 {
        let since = self.decoded.map(|(_, at)| at).or(self.waiting_ns);
        since.map_or(0, |since| freeze.of(since, now_ns))
    }

    /// Whether a keyframe is to be asked for now; the caller does so.
    pub(crate) fn wants_keyframe(&mut self, now_ns: u64) -> bool {
        let Some(since) = self.waiting_ns else { return false };
        let due = match self.asked_ns {
            None => since + ASK_AFTER_NS,
            Some(asked) => asked + ASK_AGAIN_NS,
        };
        if now_ns < due {
            return false;
        }
        self.asked_ns = Some(now_ns);
        true
    }
}

fn newer(frame: u32, than: u32) -> bool {
    frame != than && frame.wrapping_sub(than) < 0x8000_0000
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const LIMIT: Freeze = Freeze { limit_ns: 150 * MS, measured: 0..u64::MAX };

    fn packet(frame: u32, packets: u16, keyframe: bool) -> Stamp {
        Stamp { source: 1, counter: 0, sent_ns: 0, frame, packets, phase: 1, keyframe }
    }

    #[test]
    fn a_frame_is_decoded_when_it_is_whole_and_the_one_before_was() {
        let mut frames = Frames::new();
        assert_eq!(frames.on_packet(&packet(4, 1, false), MS, &LIMIT), Decoded::default(), "no keyframe yet");
        assert_eq!(frames.on_packet(&packet(5, 2, true), 2 * MS, &LIMIT).frames, 0);
        let done = frames.on_packet(&packet(5, 2, true), 3 * MS, &LIMIT);
        assert_eq!((done.frames, done.first_ns), (1, Some(2 * MS)));
        assert_eq!(frames.on_packet(&packet(7, 1, false), 4 * MS, &LIMIT).frames, 0, "6 is missing");
        let done = frames.on_packet(&packet(6, 1, false), 5 * MS, &LIMIT);
        assert_eq!((done.frames, done.first_ns, done.frozen_ns), (2, None, 0));
    }

    #[test]
    fn a_lost_frame_freezes_the_picture_until_the_next_keyframe() {
        let mut frames = Frames::new();
        frames.on_packet(&packet(1, 1, true), 0, &LIMIT);
        assert!(!frames.wants_keyframe(10 * MS));
        for n in 3..20_u32 {
            assert_eq!(frames.on_packet(&packet(n, 1, false), u64::from(n) * 33 * MS, &LIMIT).frames, 0);
        }
        assert!(!frames.wants_keyframe(398 * MS));
        assert!(frames.wants_keyframe(400 * MS));
        assert!(!frames.wants_keyframe(500 * MS));
        assert!(frames.wants_keyframe(901 * MS));
        assert_eq!(frames.standing(650 * MS, &LIMIT), 500 * MS);
        let done = frames.on_packet(&packet(20, 1, true), 950 * MS, &LIMIT);
        assert_eq!((done.frames, done.frozen_ns), (1, 800 * MS));
        assert!(!frames.wants_keyframe(5000 * MS));
    }

    #[test]
    fn only_what_a_picture_stands_while_it_is_measured_counts() {
        let mut frames = Frames::new();
        frames.on_packet(&packet(1, 1, true), 0, &LIMIT);
        let measured = |measured| Freeze { measured, ..LIMIT };
        // It stood long before the measurement began, and goes on standing when it has ended.
        assert_eq!(frames.standing(5000 * MS, &measured(1000 * MS..3000 * MS)), 2000 * MS);
        assert_eq!(
            frames.standing(5000 * MS, &measured(100 * MS..3000 * MS)),
            2850 * MS,
            "less what is no freeze yet"
        );
        assert_eq!(frames.standing(5000 * MS, &measured(0..0)), 0, "nothing is measured");
        let done = frames.on_packet(&packet(2, 1, true), 5000 * MS, &measured(4000 * MS..u64::MAX));
        assert_eq!((done.frames, done.frozen_ns), (1, 1000 * MS));
    }

    #[test]
    fn a_picture_that_never_comes_stands_from_its_first_packet_on() {
        let mut frames = Frames::new();
        assert_eq!(frames.standing(900 * MS, &LIMIT), 0);
        frames.on_packet(&packet(1, 1, false), 100 * MS, &LIMIT);
        assert_eq!(frames.standing(1250 * MS, &LIMIT), 1000 * MS);
    }

    #[test]
    fn numbers_of_frames_wrap() {
        let mut frames = Frames::new();
        frames.on_packet(&packet(u32::MAX, 1, true), 0, &LIMIT);
        assert_eq!(frames.on_packet(&packet(0, 1, false), MS, &LIMIT).frames, 1);
        assert_eq!(frames.on_packet(&packet(1, 1, false), MS, &LIMIT).frames, 1);
        assert_eq!(frames.on_packet(&packet(u32::MAX, 1, true), MS, &LIMIT).frames, 0, "older");
    }

    #[test]
    fn another_source_begins_with_a_keyframe() {
        let mut frames = Frames::new();
        frames.on_packet(&packet(100, 1, true), 0, &LIMIT);
        let other = |frame, keyframe| Stamp { source: 2, ..packet(frame, 1, keyframe) };
        assert_eq!(frames.on_packet(&other(7, false), MS, &LIMIT).frames, 0);
        assert_eq!(frames.on_packet(&other(8, true), 2 * MS, &LIMIT).frames, 1);
        assert_eq!(frames.on_packet(&other(9, false), 3 * MS, &LIMIT).frames, 1);
    }
}
