//! The packets of a recording on one line of time, whatever became of them on their way.
//!
//! Sequence numbers say what comes after what; timestamps say when, in ticks of the codec's clock. Both wrap, and start
//! anew when a sender does: where a timestamp leaps although hardly any time went by, the time of arrival says how long it
//! was. And where the sender's clock is faster or slower than ours, the times of arrival say by how much.

use crate::{Medium, Reader, red};
use portunus_rtp::packet::RtpView;
use portunus_rtp::receive::SequenceUnwrapper;

/// A timestamp that is off from the time of arrival by more than so many seconds is none of the same clock.
const LEAP_S: i64 = 5;
/// The same in recordings of old, which carry no times of arrival: then only a timestamp that makes no sense is none.
const LEAP_UNTIMED_S: i64 = 3600;
/// A clock that is off by less than this at the end of the recording is let be.
const DRIFT_US: i64 = 40_000;
/// A clock that is off by more than so many billionths is something else than a clock.
const DRIFT_PPB: i64 = 20_000_000;
/// The packets that were on their way for the shortest time are looked for in so many parts of the recording, none of
/// which is shorter than so many milliseconds.
const PARTS: u32 = 64;
const PART_MS: u32 = 5_000;
/// Comfort noise (RFC 3389), and the length of a telephone event (RFC 4733): neither is sound of the codec.
const COMFORT_NOISE: u8 = 13;
const EVENT: usize = 4;

/// A packet in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Its extended sequence number.
    pub index: u64,
    /// Ticks since the first packet.
    pub time: u64,
    /// When it came, in milliseconds since the first.
    pub ms: u32,
    /// The marker bit.
    pub marker: bool,
    /// Its payload type.
    pub payload_type: u8,
    /// What it carries.
    pub payload: &'a [u8],
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Timeline<'a> {
    /// In their order, each once.
    pub packets: Vec<Packet<'a>>,
    /// What was found.
    pub report: Report,
}

/// What became of packets on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Frames of the recording.
    pub frames: u64,
    /// Those that are no RTP packets.
    pub broken: u64,
    /// Those that were not asked for, or hold no media: telephone events, comfort noise.
    pub others: u64,
    /// Packets that came twice.
    pub repeated: u64,
    /// Packets that came after later ones.
    pub late: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Of those, the ones that came once more with later ones (opus/red).
    pub recovered: u64,
    /// Holes that are left.
    pub gaps: u64,
    /// The longest of them.
    pub longest: Option<Gap>,
    /// Times that the clock of the sender leapt.
    pub leaps: u64,
    /// Billionths by which the times of a sender were stretched, whose clock is slower than ours.
    pub drift_ppb: i64,
    /// Bytes at the end that are no whole frame.
    pub left_over: u64,
}

/// A hole between two packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// Milliseconds since the first packet, of the one before the hole.
    pub at_ms: u64,
    /// Milliseconds to the one behind it.
    pub ms: u64,
    /// Packets that are not there.
    pub packets: u64,
}

/// Which packets of a recording are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Without so many at the beginning.
    pub skip: u64,
    /// Only those of this payload type.
    pub payload_type: Option<u8>,
}

struct Raw<'a> {
    index: u64,
    timestamp: u32,
    ms: u32,
    marker: bool,
    payload_type: u8,
    payload: &'a [u8],
}

impl<'a> Timeline<'a> {
    /// Reads a recording to its end; `clock_rate` in ticks a second.
    pub fn read(recording: Reader<'a>, clock_rate: u32) -> Self {
        Self::read_some(recording, clock_rate, Choice::default())
    }

    /// Reads what is chosen of a recording.
    pub fn read_some(mut recording: Reader<'a>, clock_rate: u32, choice: Choice) -> Self {
        let clock_rate = clock_rate.max(1);
        let mut report = Report::default();
        let header = recording.header().cloned();
        let is_audio = header.as_ref().is_some_and(|h| h.medium == Medium::Audio);
        let mut raw = packets(&mut recording, choice, &mut report);
        report.left_over = crate::num::long(recording.left_over());
        if is_audio {
            report.others += without_events(&mut raw);
        }
        raw.sort_by_key(|p| p.index);
        let before = raw.len();
        raw.dedup_by_key(|p| p.index);
        report.repeated = crate::num::long(before - raw.len());
        let mut packets = place(&raw, clock_rate, &mut report);
        if let Some(red) = header.and_then(|h| h.red) {
            report.recovered = red::expand(&mut packets, red);
        }
        report.drift_ppb = drift(&packets, clock_rate).unwrap_or(0);
        packets.iter_mut().for_each(|p| p.time = stretched(p.time, report.drift_ppb));
        find_gaps(&packets, clock_rate, &mut report);
        Self { packets, report }
    }
}

/// All packets as they came.
fn packets<'a>(recording: &mut Reader<'a>, choice: Choice, report: &mut Report) -> Vec<Raw<'a>> {
    let mut unwrapper = SequenceUnwrapper::new();
    let mut raw: Vec<Raw<'a>> = Vec::new();
    let mut highest = 0;
    for frame in recording.by_ref() {
        report.frames += 1;
        let Ok(view) = RtpView::parse(frame.bytes) else {
            report.broken += 1;
            continue;
        };
        let header = *view.header();
        if report.frames <= choice.skip || choice.payload_type.is_some_and(|pt| pt != header.payload_type) {
            report.others += 1;
            continue;
        }
        let Some(index) = unwrapper.unwrap(header.sequence) else {
            report.broken += 1;
            continue;
        };
        report.late += u64::from(index < highest);
        highest = highest.max(index);
        raw.push(Raw {
            index,
            timestamp: header.timestamp,
            ms: frame.ms.unwrap_or(0),
            marker: header.marker,
            payload_type: header.payload_type,
            payload: frame.bytes.get(view.payload_range()).unwrap_or_default(),
        });
    }
    raw
}

/// Empties what lies between the sound: events and comfort noise, which have payload types of their own. Their numbers
/// stay: nothing is missing where they were. Gives how many they are.
fn without_events(raw: &mut [Raw<'_>]) -> u64 {
    let mut counts = [0_u32; 128];
    for packet in raw.iter() {
        if let Some(count) = counts.get_mut(usize::from(packet.payload_type)) {
            *count += 1;
        }
    }
    let most = counts.iter().enumerate().max_by_key(|(_, count)| **count).map(|(n, _)| crate::num::byte(n));
    let mut found = 0;
    for packet in raw.iter_mut().filter(|p| Some(p.payload_type) != most) {
        if packet.payload.len() == EVENT || packet.payload_type == COMFORT_NOISE {
            packet.payload = &[];
            found += 1;
        }
    }
    found
}

/// By how many billionths the times of the sender must be stretched to be those of arrival. Of each part of the recording
/// the packet counts that was on its way for the shortest time; the rate is the median of those between all pairs, so
/// that neither jitter nor a route that changed have a say.
fn drift(packets: &[Packet<'_>], clock_rate: u32) -> Option<i64> {
    let sent = |p: &Packet<'_>| i64::try_from(crate::num::rescale(p.time, clock_rate, 1_000_000)).ok();
    let first = packets.first()?;
    // Not of the last by number: times in a file may be anything.
    let span = packets.iter().map(|p| p.ms).max()?.saturating_sub(first.ms);
    let part = (span / PARTS).max(PART_MS);
    let mut least: Vec<(u32, i64, i64)> = Vec::new();
    for packet in packets {
        let (n, sent) = (packet.ms.saturating_sub(first.ms) / part, sent(packet)?);
        let late = i64::from(packet.ms) * 1000 - sent;
        match least.last_mut() {
            Some((of, at, min)) if *of >= n => {
                if late < *min {
                    (*at, *min) = (sent, late);
                }
            }
            _ => least.push((n, sent, late)),
        }
    }
    let mut rates: Vec<i64> = Vec::new();
    for (n, (_, at, late)) in least.iter().enumerate() {
        for (_, then, later) in least.iter().skip(n + 1) {
            let rate = i128::from(later - late) * 1_000_000_000 / i128::from(then - at).max(1);
            rates.push(i64::try_from(rate).unwrap_or(0));
        }
    }
    rates.sort_unstable();
    let rate = rates.get(rates.len() / 2).copied()?;
    let off = i128::from(rate) * i128::from(span) / 1_000_000;
    (least.len() >= 4 && rate.abs() <= DRIFT_PPB && off.abs() > DRIFT_US.into()).then_some(rate)
}

fn stretched(time: u64, ppb: i64) -> u64 {
    let more = i128::from(time) * i128::from(ppb) / 1_000_000_000;
    u64::try_from(i128::from(time) + more).unwrap_or(0)
}

fn find_gaps(packets: &[Packet<'_>], clock_rate: u32, report: &mut Report) {
    let ms = |ticks| crate::num::rescale(ticks, clock_rate, 1000);
    for (before, behind) in packets.iter().zip(packets.iter().skip(1)) {
        let packets = (behind.index - before.index).saturating_sub(1);
        if packets == 0 {
            continue;
        }
        let gap = Gap { at_ms: ms(before.time), ms: ms(behind.time.saturating_sub(before.time)), packets };
        report.gaps += 1;
        if report.longest.is_none_or(|longest| longest.ms < gap.ms) {
            report.longest = Some(gap);
        }
    }
}

impl Timeline<'_> {
    /// When the first packet was sent, in microseconds, if the one that was on its way for the shortest time took none.
    /// `first_frame` is when the recording's first frame came; it is all there is of recordings without times.
    pub fn begin(&self, first_frame: u64, clock_rate: u32) -> u64 {
        if self.packets.iter().all(|p| p.ms == 0) {
            return first_frame;
        }
        let late = |p: &Packet<'_>| {
            let sent = crate::num::rescale(p.time, clock_rate, 1_000_000);
            (i64::from(p.ms) * 1000).saturating_sub_unsigned(sent)
        };
        let least = self.packets.iter().map(late).min().unwrap_or(0);
        first_frame.saturating_add_signed(least)
    }
}

fn place<'a>(raw: &[Raw<'a>], clock_rate: u32, report: &mut Report) -> Vec<Packet<'a>> {
    let rate = i64::from(clock_rate);
    let mut packets: Vec<Packet<'a>> = Vec::with_capacity(raw.len());
    let mut before: Option<&Raw<'a>> = None;
    let mut time = 0_i64;
    let leap = if raw.iter().any(|p| p.ms > 0) { LEAP_S } else { LEAP_UNTIMED_S };
    for p in raw {
        if let Some(last) = before {
            report.lost += p.index - last.index - 1;
            // The difference of two numbers that wrap, up to half of their range either way.
            let ticks = i64::from(p.timestamp.wrapping_sub(last.timestamp).cast_signed());
            let arrival = (i64::from(p.ms) - i64::from(last.ms)) * rate / 1000;
            if (ticks - arrival).abs() > leap * rate {
                report.leaps += 1;
                time += arrival.max(0);
            } else {
                time += ticks;
            }
        }
        before = Some(p);
        packets.push(Packet {
            index: p.index,
            time: u64::try_from(time).unwrap_or(0),
            ms: p.ms,
            marker: p.marker,
            payload_type: p.payload_type,
            payload: p.payload,
        });
    }
    packets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Header, MAGIC, Medium, write_frame, write_header};

    fn recording(packets: &[(u32, u16, u32)]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        write_header(&mut out, &Header::new(Medium::Audio, "opus")).unwrap();
        for (ms, sequence, timestamp) in packets {
            let mut packet = vec![0x80, 111];
            packet.extend(sequence.to_be_bytes());
            packet.extend(timestamp.to_be_bytes());
            packet.extend([0, 0, 0, 1, 0x78]);
            write_frame(&mut out, *ms, &packet).unwrap();
        }
        out
    }

    fn times(bytes: &[u8]) -> (Vec<u64>, Report) {
        let timeline = Timeline::read(Reader::new(bytes).unwrap(), 48_000);
        (timeline.packets.iter().map(|p| p.time).collect(), timeline.report)
    }

    #[test]
    fn what_wraps_goes_on() {
        let bytes = recording(&[(0, 65_535, u32::MAX - 959), (20, 0, 0), (40, 1, 960)]);
        assert_eq!(times(&bytes), (vec![0, 960, 1920], Report { frames: 3, ..Report::default() }));
    }

    #[test]
    fn order_losses_and_repetitions_are_found() {
        let bytes = recording(&[(0, 10, 0), (60, 13, 2880), (65, 11, 960), (70, 11, 960), (80, 14, 3840)]);
        let longest = Some(Gap { at_ms: 20, ms: 40, packets: 1 });
        let report =
            Report { frames: 5, late: 2, repeated: 1, lost: 1, gaps: 1, longest, ..Report::default() };
        assert_eq!(times(&bytes), (vec![0, 960, 2880, 3840], report));
    }

    #[test]
    fn silence_takes_its_time_and_a_clock_that_leaps_does_not() {
        let silence = recording(&[(0, 1, 0), (20, 2, 960), (60_020, 3, 2_880_960), (60_040, 4, 2_881_920)]);
        assert_eq!(times(&silence).0, [0, 960, 2_880_960, 2_881_920]);
        let leap =
            recording(&[(0, 1, 5), (20, 2, 965), (1_020, 3, 3_000_000_000), (1_040, 4, 3_000_000_960)]);
        let (times, report) = times(&leap);
        assert_eq!((times, report.leaps), (vec![0, 960, 48_960, 49_920], 1));
    }

    #[test]
    fn a_recording_that_was_cut_off_is_read_to_where_it_was() {
        let whole = recording(&[(0, 1, 0), (20, 2, 960)]);
        for cut in 0..whole.len() {
            let Ok(reader) = Reader::new(&whole[..cut]) else { continue };
            let timeline = Timeline::read(reader, 48_000);
            assert!(timeline.packets.len() < 2, "{cut}");
        }
        let mut broken = whole.clone();
        write_frame(&mut broken, 30, b"no rtp").unwrap();
        broken.extend(b"MEET\0\0");
        let (times, report) = times(&broken);
        assert_eq!((times.len(), report.broken, report.left_over), (2, 1, 6));
    }

    #[test]
    fn recordings_of_old_have_the_times_of_the_sender_only() {
        let mut old = recording(&[(0, 1, 0), (0, 2, 960), (0, 3, 2_880_960)]);
        old[..8].copy_from_slice(b"MJR00001");
        let timeline = Timeline::read(Reader::new(&old).unwrap(), 48_000);
        assert_eq!(timeline.packets.iter().map(|p| p.time).collect::<Vec<_>>(), [0, 960, 2_880_960]);
        assert_eq!((timeline.report.leaps, timeline.report.drift_ppb, timeline.begin(7, 48_000)), (0, 0, 7));
    }

    #[test]
    fn the_beginning_is_that_of_the_quickest_packet() {
        // The first was 50 ms late, the second none.
        let bytes = recording(&[(0, 1, 0), (30, 2, 3840), (60, 3, 4800)]);
        let timeline = Timeline::read(Reader::new(&bytes).unwrap(), 48_000);
        assert_eq!(timeline.begin(1_000_000, 48_000), 1_000_000 - 50_000);
    }

    /// Packets each 20 ms of a clock that is off by so many millionths, which come late by a bit, for so many minutes.
    fn drifting(ppm: i64, minutes: u32) -> Vec<u8> {
        let late = |n: u32| n.wrapping_mul(2_654_435_761) >> 26;
        let packets: Vec<_> = (0..minutes * 3000)
            .map(|n| {
                let ticks = i64::from(n) * 960 * (1_000_000 + ppm) / 1_000_000;
                (n * 20 + late(n), n as u16, ticks as u32)
            })
            .collect();
        recording(&packets)
    }

    #[test]
    fn times_that_are_nonsense_cost_no_more_than_others() {
        // The last one says that no time has passed.
        let mut packets: Vec<_> =
            (0..20_000_u32).map(|n| (n * 5000, n as u16, n.wrapping_mul(240_000))).collect();
        packets.push((0, 20_000, 20_000_u32.wrapping_mul(240_000)));
        let begun = std::time::Instant::now();
        times(&recording(&packets));
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_clock_that_drifts_is_found_and_one_that_jitters_is_not() {
        for (ppm, minutes, found) in
            [(100, 30, -100), (-250, 10, 250), (1000, 2, -999), (0, 30, 0), (100, 1, 0)]
        {
            let bytes = drifting(ppm, minutes);
            let (times, report) = times(&bytes);
            assert!((report.drift_ppb / 1000 - found).abs() < 5, "{ppm}: {}", report.drift_ppb);
            let end = u64::from(minutes) * 60 * 48_000 - 960;
            assert!(times.last().unwrap().abs_diff(end) < 48 * 40, "{ppm}: {:?} of {end}", times.last());
        }
    }

    #[test]
    fn a_route_that_becomes_longer_is_no_drift() {
        let packets: Vec<_> =
            (0..30_000_u32).map(|n| (n * 20 + if n > 20_000 { 80 } else { 0 }, n as u16, n * 960)).collect();
        assert_eq!(times(&recording(&packets)).1.drift_ppb, 0);
    }

    #[test]
    fn events_and_noise_are_no_sound_and_leave_no_gap() {
        let mut bytes = recording(&[(0, 1, 0), (20, 2, 960)]);
        let event = [&[0x80, 126, 0, 3, 0, 0, 7, 0x80, 0, 0, 0, 1][..], &[1, 10, 0, 160]].concat();
        write_frame(&mut bytes, 40, &event).unwrap();
        write_frame(&mut bytes, 60, &[0x80, 111, 0, 4, 0, 0, 0x0b, 0x40, 0, 0, 0, 1, 0x78]).unwrap();
        let timeline = Timeline::read(Reader::new(&bytes).unwrap(), 48_000);
        let lengths: Vec<_> = timeline.packets.iter().map(|p| p.payload.len()).collect();
        assert_eq!((lengths, timeline.report.lost, timeline.report.gaps), (vec![1, 1, 0, 1], 0, 0));
    }

    #[test]
    fn only_what_is_chosen_is_read() {
        let bytes = recording(&[(0, 1, 0), (20, 2, 960), (40, 3, 1920)]);
        let read = |choice| Timeline::read_some(Reader::new(&bytes).unwrap(), 48_000, choice);
        let later = read(Choice { skip: 1, ..Choice::default() });
        assert_eq!((later.packets.len(), later.report.others), (2, 1));
        let none = read(Choice { payload_type: Some(96), ..Choice::default() });
        assert_eq!((none.packets.len(), none.report.others), (0, 3));
    }
}
