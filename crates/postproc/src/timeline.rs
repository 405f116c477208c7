//! The packets of a recording on one line of time, whatever became of them on their way.
//!
//! Sequence numbers say what comes after what; timestamps say when, in ticks of the codec's clock. Both wrap, and start
//! anew when a sender does: where a timestamp leaps although hardly any time went by, the time of arrival says how long it
//! was.

use portunus_mjr::Reader;
use portunus_rtp::packet::RtpView;
use portunus_rtp::receive::SequenceUnwrapper;

/// A timestamp that is off from the time of arrival by more than so many seconds is none of the same clock.
const LEAP_S: i64 = 5;

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
    /// Packets that came twice.
    pub repeated: u64,
    /// Packets that came after later ones.
    pub late: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Times that the clock of the sender leapt.
    pub leaps: u64,
    /// Bytes at the end that are no whole frame.
    pub left_over: u64,
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
    pub fn read(mut recording: Reader<'a>, clock_rate: u32) -> Self {
        let mut report = Report::default();
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
            let Some(index) = unwrapper.unwrap(header.sequence) else {
                report.broken += 1;
                continue;
            };
            report.late += u64::from(index < highest);
            highest = highest.max(index);
            let payload = frame.bytes.get(view.payload_range()).unwrap_or_default();
            raw.push(Raw {
                index,
                timestamp: header.timestamp,
                ms: frame.ms.unwrap_or(0),
                marker: header.marker,
                payload_type: header.payload_type,
                payload,
            });
        }
        report.left_over = u64::try_from(recording.left_over()).unwrap_or(u64::MAX);
        raw.sort_by_key(|p| p.index);
        let before = raw.len();
        raw.dedup_by_key(|p| p.index);
        report.repeated = u64::try_from(before - raw.len()).unwrap_or(0);
        Self { packets: place(&raw, clock_rate, &mut report), report }
    }
}

impl Timeline<'_> {
    /// When the first packet was sent, in microseconds, if the one that was on its way for the shortest time took none.
    /// `first_frame` is when the recording's first frame came.
    pub fn begin(&self, first_frame: u64, clock_rate: u32) -> u64 {
        let rate = i64::from(clock_rate);
        let late = |p: &Packet<'_>| {
            let sent = i64::try_from(p.time).unwrap_or(i64::MAX / 2_000_000) * 1_000_000 / rate;
            i64::from(p.ms) * 1000 - sent
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
    for p in raw {
        if let Some(last) = before {
            report.lost += p.index - last.index - 1;
            // The difference of two numbers that wrap, up to half of their range either way.
            let ticks = i64::from(p.timestamp.wrapping_sub(last.timestamp).cast_signed());
            let arrival = (i64::from(p.ms) - i64::from(last.ms)) * rate / 1000;
            if (ticks - arrival).abs() > LEAP_S * rate {
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
    use portunus_mjr::{Header, MAGIC, Medium, write_frame, write_header};

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
        let report = Report { frames: 5, late: 2, repeated: 1, lost: 1, ..Report::default() };
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
}
