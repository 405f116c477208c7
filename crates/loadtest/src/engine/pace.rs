//! When the packets of a stream are to leave, and how large they are: an absolute schedule, so that a late packet makes no
//! other late.

use super::shared::Spacing;

/// An RTP packet of video is no larger, its header included (as in libwebrtc).
pub(crate) const MAX_PACKET: usize = 1200;
/// What the header takes, extensions included.
const HEADER: usize = 40;
/// Octets of a frame: room for the stamp, and no more than a frame's packets can be numbered.
const FRAME: (u64, u64) = (64, 1 << 20);
/// libwebrtc's pacer lets a frame out within about this.
const CHROMIUM_SPREAD_NS: u64 = 200_000;
/// A sender that is later than this leaves frames out.
pub(crate) const GIVE_UP_NS: u64 = 1_000_000_000;

/// A packet of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) frame: u32,
    pub(crate) index: u16,
    pub(crate) packets: u16,
    /// Octets of its payload.
    pub(crate) payload: usize,
    /// When it should have left.
    pub(crate) due_ns: u64,
}

/// The schedule of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    spacing: Spacing,
    interval_ns: u64,
    /// Payload octets of a frame.
    octets: usize,
    keyframe_factor: u32,
    start_ns: u64,
    frame: u32,
    index: u16,
    packets: u16,
    frame_octets: usize,
    skipped: u64,
}

impl Schedule {
    /// The least and the most bits a second that frames at this rate can take.
    pub(crate) const fn bitrates(fps: u32) -> (u64, u64) {
        (FRAME.0 * 8 * fps as u64, FRAME.1 * 8 * fps as u64)
    }

    /// Video of that bitrate.
    pub(crate) fn video(bitrate: u64, fps: u32, spacing: Spacing, keyframe_factor: u32) -> Self {
        let fps = u64::from(fps.max(1));
        let octets = usize::try_from((bitrate / 8 / fps).clamp(FRAME.0, FRAME.1)).unwrap_or(usize::MAX);
        Self::new(1_000_000_000 / fps, octets, spacing, keyframe_factor)
    }

    /// Audio: one packet of so many octets in each interval.
    pub(crate) fn audio(octets: usize, interval_ns: u64) -> Self {
        Self::new(interval_ns, octets, Spacing::Burst, 1)
    }

    fn new(interval_ns: u64, octets: usize, spacing: Spacing, keyframe_factor: u32) -> Self {
        Self {
            spacing,
            interval_ns,
            octets,
            keyframe_factor,
            start_ns: 0,
            frame: 0,
            index: 0,
            packets: 0,
            frame_octets: 0,
            skipped: 0,
        }
    }

    /// The first frame is due then.
    pub(crate) const fn start(&mut self, at_ns: u64) {
        self.start_ns = at_ns;
    }

    /// Whether the next packet begins a frame.
    pub(crate) const fn at_frame(&self) -> bool {
        self.index == 0
    }

    /// When the next packet is due.
    pub(crate) fn due_ns(&self) -> u64 {
        let frame = self.start_ns + u64::from(self.frame) * self.interval_ns;
        if self.index == 0 {
            return frame;
        }
        let (index, packets) = (u64::from(self.index), u64::from(self.packets));
        match self.spacing {
            Spacing::Burst => frame,
            Spacing::Paced => frame + self.interval_ns * index / packets,
            Spacing::Chromium => frame + CHROMIUM_SPREAD_NS * index / packets,
        }
    }

    /// The next packet, if it is due. `keyframe` counts at the start of a frame.
    pub(crate) fn next(&mut self, now_ns: u64, keyframe: bool) -> Option<Piece> {
        if now_ns < self.due_ns() {
            return None;
        }
        if self.index == 0 {
            let late = now_ns - self.due_ns();
            if late > GIVE_UP_NS {
                let frames = late / self.interval_ns;
                self.skipped += frames;
                self.frame = self.frame.wrapping_add(frames as u32);
            }
            self.begin(keyframe);
        }
        let piece = Piece {
            frame: self.frame,
            index: self.index,
            packets: self.packets,
            payload: self.size(self.index),
            due_ns: self.due_ns(),
        };
        self.index += 1;
        if self.index == self.packets {
            self.index = 0;
            self.frame += 1;
        }
        Some(piece)
    }

    fn begin(&mut self, keyframe: bool) {
        let most = MAX_PACKET - HEADER;
        let octets = self.octets * if keyframe { self.keyframe_factor.max(1) as usize } else { 1 };
        // As near the bitrate as whole packets come: 1.5 Mbit/s at 30 frames a second are five packets, not six.
        let packets = ((octets + most / 2) / most).max(1);
        self.packets = u16::try_from(packets).unwrap_or(u16::MAX);
        self.frame_octets = octets.min(usize::from(self.packets) * most);
        if self.spacing == Spacing::Chromium && self.packets > 1 {
            // Real frames hardly ever divide by their packets.
            let odd = 1 + self.frame as usize % (usize::from(self.packets) - 1).max(1);
            let whole = self.frame_octets / packets * packets;
            self.frame_octets = whole - packets + odd;
        }
    }

    /// Libwebrtc's packetizers split a frame about equally, and the longer packets come last.
    fn size(&self, index: u16) -> usize {
        let packets = usize::from(self.packets);
        let (base, longer) = (self.frame_octets / packets, self.frame_octets % packets);
        base + usize::from(usize::from(index) >= packets - longer)
    }

    /// Frames left out since this was asked last.
    pub(crate) const fn take_skipped(&mut self) -> u64 {
        std::mem::replace(&mut self.skipped, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn frame(schedule: &mut Schedule, keyframe: bool) -> Vec<Piece> {
        let mut pieces = Vec::new();
        loop {
            let piece = schedule.next(schedule.due_ns(), keyframe).unwrap();
            pieces.push(piece);
            if schedule.at_frame() {
                return pieces;
            }
        }
    }

    #[test]
    fn a_frame_of_1_5_mbit_is_five_packets_of_1200_octets() {
        let mut schedule = Schedule::video(1_500_000, 30, Spacing::Burst, 5);
        schedule.start(7 * MS);
        let pieces = frame(&mut schedule, false);
        assert_eq!(pieces.len(), 5);
        assert!(pieces.iter().all(|p| p.payload == 1160 && p.due_ns == 7 * MS && p.frame == 0));
        let indexes: Vec<_> = pieces.iter().map(|p| (p.index, p.packets)).collect();
        assert_eq!(indexes, [(0, 5), (1, 5), (2, 5), (3, 5), (4, 5)]);
        assert_eq!(schedule.due_ns(), 7 * MS + 1_000_000_000 / 30);
        assert_eq!(frame(&mut schedule, true).len(), 27, "a keyframe is five times as large");
    }

    #[test]
    fn paced_packets_are_spread_evenly_over_the_frame_interval() {
        let mut schedule = Schedule::video(1_500_000, 25, Spacing::Paced, 5);
        schedule.start(0);
        let due: Vec<_> = frame(&mut schedule, false).iter().map(|p| p.due_ns).collect();
        let gap = 40 * MS / due.len() as u64;
        assert!(due.windows(2).all(|w| (w[1] - w[0]).abs_diff(gap) <= 1), "{due:?}");
        assert_eq!(schedule.due_ns(), 40 * MS);
    }

    #[test]
    fn chromium_sends_a_frame_within_a_fifth_of_a_millisecond_longer_packets_last() {
        let mut schedule = Schedule::video(1_500_000, 30, Spacing::Chromium, 5);
        schedule.start(0);
        for n in 0..20_u64 {
            let pieces = frame(&mut schedule, false);
            let (first, last) = (pieces[0], pieces[pieces.len() - 1]);
            assert!(last.due_ns - first.due_ns <= 200_000);
            assert_eq!(last.payload, first.payload + 1, "frame {n}");
            assert!(pieces.windows(2).all(|w| w[1].payload >= w[0].payload));
            assert!(pieces.iter().all(|p| p.payload <= 1160));
        }
    }

    #[test]
    fn the_schedule_is_absolute() {
        let mut schedule = Schedule::audio(80, 20 * MS);
        schedule.start(100 * MS);
        assert_eq!(schedule.next(99 * MS, false), None);
        // Late by 50 ms: three packets are due at once, each with the time that it should have left at.
        let due: Vec<_> =
            std::iter::from_fn(|| schedule.next(150 * MS, false)).map(|p| p.due_ns / MS).collect();
        assert_eq!(due, [100, 120, 140]);
        assert_eq!(schedule.take_skipped(), 0);
    }

    #[test]
    fn a_sender_that_stood_still_leaves_frames_out_and_says_so() {
        let mut schedule = Schedule::audio(80, 20 * MS);
        schedule.start(0);
        let piece = schedule.next(5000 * MS, false).unwrap();
        assert_eq!(schedule.take_skipped(), 250);
        assert_eq!((piece.frame, piece.due_ns), (250, 5000 * MS));
        assert_eq!(schedule.take_skipped(), 0);
    }
}
