//! Opus: how long packets are (RFC 6716), what files say of a stream (RFC 7845), and sound without holes.

/// Ticks a second of Opus, whatever it was sampled at.
pub const CLOCK_RATE: u32 = 48_000;
/// Missing time that is filled, in all: a day. What is missing beyond it stays missing, so that a recording whose times
/// make no sense costs bounded memory.
const FILLED: u64 = 24 * 3600 * 48_000;
/// 20 ms.
const USUAL: u64 = 960;

/// Samples of a packet at 48 kHz (RFC 6716 section 3.1); 0 if it is none.
pub fn duration(packet: &[u8]) -> u64 {
    let Some((toc, rest)) = packet.split_first() else { return 0 };
    let config = toc >> 3;
    let frame = match config {
        0..=11 => frame_of(&[480, 960, 1920, 2880], config & 3),
        12..=15 => frame_of(&[480, 960], config & 1),
        _ => frame_of(&[120, 240, 480, 960], config & 3),
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => rest.first().map_or(0, |count| u64::from(count & 0x3f)),
    };
    // No packet is longer than 120 ms.
    if frame * frames <= 5760 { frame * frames } else { 0 }
}

fn frame_of(lengths: &[u64], n: u8) -> u64 {
    lengths.get(usize::from(n)).copied().unwrap_or(0)
}

/// Whether a packet is stereo (RFC 6716 section 3.1).
pub fn is_stereo(packet: &[u8]) -> bool {
    packet.first().is_some_and(|toc| toc & 0x04 != 0)
}

/// What a decoder must know before the first packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Channels of the output.
    pub channels: u8,
    /// More than two channels: streams, those of two channels among them, and the place of each channel
    /// (RFC 7845 section 5.1.1).
    pub mapping: Option<(u8, u8, Vec<u8>)>,
}

impl Head {
    /// One channel, or two.
    pub const fn plain(channels: u8) -> Self {
        Self { channels, mapping: None }
    }

    /// That of multiopus, as `fmtp` tells it: `channel_mapping=0,4,1,2,3,5;coupled_streams=2;num_streams=4`.
    pub fn of_fmtp(fmtp: &str) -> Option<Self> {
        let of = |key: &str| {
            fmtp.split(';')
                .filter_map(|part| part.trim().split_once('='))
                .find(|(k, _)| *k == key)
                .map(|(_, v)| v)
        };
        let places: Option<Vec<u8>> =
            of("channel_mapping")?.split(',').map(|n| n.trim().parse().ok()).collect();
        let (places, streams) = (places?, of("num_streams")?.parse::<u8>().ok()?);
        let coupled = of("coupled_streams")?.parse::<u8>().ok()?;
        let decoded = streams.checked_add(coupled)?;
        let fits = (1..=8).contains(&places.len())
            && (1..=8).contains(&streams)
            && coupled <= streams
            && places.iter().all(|place| *place < decoded || *place == u8::MAX);
        fits.then(|| Self {
            channels: crate::num::byte(places.len()),
            mapping: Some((streams, coupled, places)),
        })
    }

    /// Streams of a packet.
    pub fn streams(&self) -> u8 {
        self.mapping.as_ref().map_or(1, |(streams, ..)| *streams)
    }

    /// `OpusHead` of Ogg, and of Matroska.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut head = b"OpusHead\x01".to_vec();
        head.push(self.channels);
        // The beginning of a call is no encoder's warming up: nothing is skipped.
        head.extend(0_u16.to_le_bytes());
        head.extend(CLOCK_RATE.to_le_bytes());
        head.extend([0, 0]);
        self.append_mapping(&mut head);
        head
    }

    /// What `dOps` of MP4 holds.
    pub fn to_dops(&self) -> Vec<u8> {
        let mut head = vec![0, self.channels, 0, 0];
        head.extend(CLOCK_RATE.to_be_bytes());
        head.extend([0, 0]);
        self.append_mapping(&mut head);
        head
    }

    fn append_mapping(&self, head: &mut Vec<u8>) {
        match &self.mapping {
            None => head.push(0),
            Some((streams, coupled, places)) => {
                head.extend([1, *streams, *coupled]);
                head.extend_from_slice(places);
            }
        }
    }
}

/// A packet in a stream without holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Ticks since the beginning of the timeline.
    pub time: u64,
    /// Ticks.
    pub length: u64,
    /// An Opus packet.
    pub bytes: Vec<u8>,
    /// It was put in for what is missing: silence, or losses for the decoder to conceal.
    pub filled: bool,
}

/// Makes each packet begin where the one before it ends: packets are put in for what is missing, and those left out for
/// which there is no time. So a decoder that only counts samples is never off by more than half a packet.
#[derive(Clone, Debug)]
pub struct Filler {
    streams: u8,
    end: Option<u64>,
    /// How much may still be filled.
    room: u64,
    /// Packets put in.
    pub filled: u64,
    /// Packets left out.
    pub left_out: u64,
}

impl Filler {
    /// For packets of so many streams, which is one but for multiopus.
    pub const fn new(streams: u8) -> Self {
        Self { streams, end: None, room: FILLED, filled: 0, left_out: 0 }
    }

    /// Takes the packet that was sent at `time`, in ticks; appends it, and what is missing before it.
    pub fn push(&mut self, time: u64, packet: &[u8], out: &mut Vec<Sound>) {
        let length = duration(packet);
        if length == 0 {
            self.left_out += 1;
            return;
        }
        let mut end = self.end.unwrap_or(time);
        if end.saturating_sub(time) > length / 2 {
            self.left_out += 1;
            return;
        }
        let toc = packet.first().copied().unwrap_or(0);
        let step = duration(&[toc & 0xfc]).clamp(1, USUAL);
        loop {
            let missing = time.saturating_sub(end);
            let length = if missing >= USUAL { USUAL } else { step };
            if missing < length.div_ceil(2) || self.room < length {
                break;
            }
            let bytes = if length == USUAL { self.empty(usual(toc)) } else { self.empty(toc & 0xfc) };
            out.push(Sound { time: end, length, bytes, filled: true });
            self.filled += 1;
            self.room -= length;
            end += length;
        }
        if time.saturating_sub(end) > USUAL {
            end = time;
        }
        out.push(Sound { time: end, length, bytes: packet.to_vec(), filled: false });
        self.end = Some(end + length);
    }

    /// A packet of one frame that is not there: decoders make up for it (RFC 7845 section 4.1). All streams but the last
    /// tell their lengths (RFC 6716 appendix B).
    fn empty(&self, toc: u8) -> Vec<u8> {
        let mut empty = [toc, 0].repeat(usize::from(self.streams.saturating_sub(1)));
        empty.push(toc);
        empty
    }
}

/// The same mode and bandwidth, with one frame of 20 ms.
fn usual(toc: u8) -> u8 {
    let config = match toc >> 3 {
        config @ 0..=11 => config & !3 | 1,
        config @ 12..=15 => config | 1,
        config => config | 3,
    };
    config << 3 | toc & 0x04
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_tell_how_long_they_are() {
        for (packet, samples) in [
            (&[0x78][..], 960),
            (&[0x79], 1920),
            (&[0x7a, 1], 1920),
            (&[0x7b, 3], 2880),
            (&[0x7b, 0x3f], 0),
            (&[0x7b], 0),
            (&[], 0),
            (&[0x18], 2880),
            (&[0x60], 480),
            (&[0xe0], 120),
        ] {
            assert_eq!(duration(packet), samples, "{packet:?}");
        }
    }

    fn filled(packets: &[(u64, &[u8])]) -> (Vec<(u64, u64, bool)>, u64) {
        let (mut filler, mut out) = (Filler::new(1), Vec::new());
        packets.iter().for_each(|(time, packet)| filler.push(*time, packet, &mut out));
        (out.iter().map(|s| (s.time, s.length, s.filled)).collect(), filler.left_out)
    }

    #[test]
    fn what_is_missing_is_filled() {
        let got = filled(&[(960, &[0x78, 1]), (960 * 3, &[0x78, 2])]);
        assert_eq!(got, (vec![(960, 960, false), (1920, 960, true), (2880, 960, false)], 0));
        // With two frames in a packet what is put in has one.
        let got = filled(&[(0, &[0x79, 1]), (1920 * 2, &[0x79, 2])]);
        assert_eq!(got.0, [(0, 1920, false), (1920, 960, true), (2880, 960, true), (3840, 1920, false)]);
    }

    #[test]
    fn what_is_put_in_is_20_ms_long_whatever_the_packets_are() {
        // 2.5 ms of CELT, then 60 ms of SILK.
        let got = filled(&[(0, &[0xe0, 1]), (120 + 960 + 240, &[0xe0, 1])]);
        assert_eq!(got.0[1..], [(120, 960, true), (1080, 120, true), (1200, 120, true), (1320, 120, false)]);
        let (mut filler, mut out) = (Filler::new(1), Vec::new());
        [0, 2880 + 960].iter().for_each(|time| filler.push(*time, &[0x18, 1], &mut out));
        assert_eq!((out[1].bytes.as_slice(), out[1].length, out[2].time), (&[0x08][..], 960, 3840));
    }

    #[test]
    fn times_that_make_no_sense_are_not_filled_for_ever() {
        let (mut filler, mut out) = (Filler { room: USUAL * 10, ..Filler::new(1) }, Vec::new());
        for n in 0..4 {
            filler.push(n * USUAL * 7, &[0x78, 1], &mut out);
        }
        assert_eq!((filler.filled, filler.room), (10, 0));
        assert_eq!(out.last().map(|s| s.time), Some(USUAL * 21), "what is behind is where it was said");
    }

    #[test]
    fn each_stream_of_a_packet_that_is_put_in_is_empty() {
        let (mut filler, mut out) = (Filler::new(3), Vec::new());
        [0, 1920].iter().for_each(|time| filler.push(*time, &[0x78, 1], &mut out));
        assert_eq!(out[1].bytes, [0x78, 0, 0x78, 0, 0x78]);
    }

    #[test]
    fn a_clock_that_is_slower_or_faster_costs_a_packet_now_and_then() {
        let packets = |step: u64| -> Vec<_> { (0..200).map(|n| (n * step, &[0x78, 1][..])).collect() };
        let (slow, _) = filled(&packets(965));
        assert_eq!(slow.iter().filter(|(_, _, filled)| *filled).count(), 1);
        let (fast, left_out) = filled(&packets(955));
        assert_eq!((fast.len(), left_out), (199, 1));
        for (sounds, step) in [(slow, 965), (fast, 955)] {
            let last = sounds.last().unwrap().0;
            assert!(last.abs_diff(199 * step) <= 960 / 2 + 10, "{last}");
            assert!(sounds.windows(2).all(|w| w[0].0 + w[0].1 == w[1].0));
        }
    }

    #[test]
    fn heads_of_more_channels_tell_the_place_of_each() {
        let plain = Head::plain(2);
        assert_eq!(plain.to_bytes().len(), 19);
        assert_eq!(plain.to_dops(), [0, 2, 0, 0, 0, 0, 0xbb, 0x80, 0, 0, 0]);
        let surround = Head::of_fmtp("channel_mapping=0,4,1,2,3,5; coupled_streams=2;num_streams=4").unwrap();
        assert_eq!((surround.channels, surround.streams()), (6, 4));
        for wrong in [
            "",
            "channel_mapping=0,9;coupled_streams=1;num_streams=1",
            "channel_mapping=a;coupled_streams=0;num_streams=1",
        ] {
            assert_eq!(Head::of_fmtp(wrong), None, "{wrong}");
        }
        assert_eq!(surround.to_bytes()[18..], [1, 4, 2, 0, 4, 1, 2, 3, 5]);
    }
}
