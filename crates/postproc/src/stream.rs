//! What a recording is as a track of a file.

use crate::Source;
use anyhow::bail;
use portunus_mjr::frames::{self, Codec, Config, Counts, Frame};
use portunus_mjr::opus::{self, Head};
use portunus_mjr::pcm;
use portunus_mjr::timeline::Timeline;
use portunus_mjr::track::{Audio, Sample, Track, Video};
use std::fmt::Write;
use std::sync::Arc;

/// A picture without one after it is seen for so long, in microseconds.
const LAST_PICTURE: u64 = 33_333;

/// A track with its samples.
pub struct Stream<'a> {
    pub track: Track,
    content: Content<'a>,
    /// Microseconds from the beginning of the file to that of the recording; before if it is negative.
    pub late: i64,
    /// When the first sample begins and the last one ends, in microseconds since the beginning of the recording.
    pub begin: u64,
    pub end: u64,
    /// Bytes of all samples.
    pub bytes: u64,
    /// What is to be said of it.
    pub said: String,
}

enum Content<'a> {
    Sound(Vec<Owned>),
    /// They are put together each time they are read: they would take as much memory as the recording.
    Pictures(Codec, &'a Timeline<'a>, bool),
}

/// A sample that owns its bytes.
#[derive(Clone, Debug)]
pub struct Owned {
    /// Microseconds.
    pub time: u64,
    pub keyframe: bool,
    pub bytes: Vec<u8>,
}

impl Stream<'_> {
    /// When the last sample ends in the file, in microseconds.
    pub fn end(&self) -> u64 {
        self.end.saturating_add_signed(self.late)
    }

    /// When the first sample begins in the file, in microseconds; before the file if it is negative.
    pub fn begin(&self) -> i64 {
        self.late.saturating_add_unsigned(self.begin)
    }

    /// The samples with their times in the file.
    pub fn samples(&self) -> Box<dyn Iterator<Item = Owned> + '_> {
        let in_file = |mut sample: Owned| {
            sample.time = sample.time.saturating_add_signed(self.late);
            sample
        };
        match &self.content {
            Content::Sound(samples) => Box::new(samples.iter().cloned().map(in_file)),
            Content::Pictures(codec, timeline, strip) => Box::new(
                frames::read(*codec, timeline).map(|frame| picture(frame, *codec, *strip)).map(in_file),
            ),
        }
    }
}

/// Reads a recording as a track.
///
/// # Errors
/// The codec is not known, or nothing of it can be decoded.
pub fn read<'a>(source: &'a Source<'_>) -> anyhow::Result<Stream<'a>> {
    let codec = source.header.codec.as_str();
    if let Some(codec) = Codec::of(codec) {
        return video(source, codec);
    }
    match (codec, pcm::Decoder::of(codec), &source.header.fmtp) {
        ("opus", ..) => {
            let stereo = source.timeline.packets.iter().any(|p| opus::is_stereo(p.payload));
            sound(source, Head::plain(if stereo { 2 } else { 1 }))
        }
        ("multiopus", _, Some(fmtp)) if let Some(head) = Head::of_fmtp(fmtp) => sound(source, head),
        ("multiopus", ..) => bail!("the header does not tell which channel is where (fmtp)"),
        (_, Some(decoder), _) => samples(source, decoder),
        _ => bail!("{codec} cannot be read: known are {}", crate::formats::KNOWN),
    }
}

fn picture(frame: Frame, codec: Codec, strip: bool) -> Owned {
    let bytes = if strip { frames::without_sets(codec, &frame.bytes) } else { frame.bytes };
    Owned { time: crate::micros(frame.time, frames::CLOCK_RATE), keyframe: frame.keyframe, bytes }
}

fn video<'a>(source: &'a Source<'_>, codec: Codec) -> anyhow::Result<Stream<'a>> {
    let mut pictures = frames::read(codec, &source.timeline);
    let mut configs: Vec<Arc<Config>> = Vec::new();
    let (mut begin, mut last, mut bytes) = (u64::MAX, 0, 0);
    for mut frame in pictures.by_ref() {
        configs.extend(frame.config.take());
        let sample = picture(frame, codec, false);
        (begin, last) = (begin.min(sample.time), last.max(sample.time));
        bytes += sample.bytes.len() as u64;
    }
    let Some(first) = configs.first() else { bail!("there is no whole keyframe in the pictures") };
    let counts = pictures.counts();
    // The record holds the sets; where others follow they stand in the frames.
    let in_band = configs.len() > 1;
    let strip = !in_band && matches!(codec, Codec::H264 | Codec::H265);
    Ok(Stream {
        track: Track::Video(Video { config: first.clone(), in_band, rotation: source.rotation }),
        content: Content::Pictures(codec, &source.timeline, strip),
        late: 0,
        begin,
        end: last + LAST_PICTURE,
        bytes,
        said: seen(counts, &configs, source.rotation),
    })
}

fn seen(counts: Counts, configs: &[Arc<Config>], rotation: u16) -> String {
    let mut said = format!("{} pictures", counts.frames);
    let mut sizes: Vec<String> = configs.iter().map(|c| format!("{}x{}", c.width, c.height)).collect();
    sizes.dedup();
    let more = sizes.len().saturating_sub(8);
    sizes.truncate(8);
    let _ = write!(said, " of {}", sizes.join(", "));
    if more > 0 {
        let _ = write!(said, " and {more} more");
    }
    if rotation != 0 {
        let _ = write!(said, ", turned by {rotation} degrees");
    }
    for (count, what) in [(counts.incomplete, "incomplete"), (counts.early, "before the first keyframe")] {
        if count > 0 {
            let _ = write!(said, ", {count} {what} left out");
        }
    }
    said
}

fn sound<'a>(source: &'a Source<'_>, head: Head) -> anyhow::Result<Stream<'a>> {
    let (mut filler, mut sounds) = (opus::Filler::new(head.streams()), Vec::new());
    let packets = source.timeline.packets.iter().filter(|p| !p.payload.is_empty());
    packets.for_each(|p| filler.push(p.time, p.payload, &mut sounds));
    let us = |ticks| crate::micros(ticks, opus::CLOCK_RATE);
    let silent: u64 = sounds.iter().filter(|s| s.filled).map(|s| s.length).sum();
    let said = concealed(sounds.len(), silent, opus::CLOCK_RATE, filler.left_out);
    let end = sounds.last().map_or(0, |s| us(s.time + s.length));
    let samples =
        sounds.into_iter().map(|s| Owned { time: us(s.time), keyframe: true, bytes: s.bytes }).collect();
    heard(Audio::Opus(head), samples, end, said)
}

fn samples<'a>(source: &'a Source<'_>, mut decoder: pcm::Decoder) -> anyhow::Result<Stream<'a>> {
    let rate = decoder.rate();
    let (mut filler, mut pieces) = (pcm::Filler::new(rate), Vec::new());
    for packet in source.timeline.packets.iter().filter(|p| !p.payload.is_empty()) {
        let mut samples = Vec::new();
        decoder.decode(packet.payload_type, packet.payload, &mut samples);
        let time = packet.time * u64::from(rate / decoder.clock_rate().max(1));
        filler.push(time, samples, &mut pieces);
    }
    let said = concealed(pieces.len(), filler.filled, rate, filler.left_out);
    let us = |time| crate::micros(time, rate);
    let end = pieces.last().map_or(0, |p| us(p.time + p.samples.len() as u64));
    let bytes = |samples: Vec<i16>| samples.into_iter().flat_map(i16::to_le_bytes).collect();
    let samples = pieces
        .into_iter()
        .map(|p| Owned { time: us(p.time), keyframe: true, bytes: bytes(p.samples) })
        .collect();
    heard(Audio::Pcm { rate, channels: 1 }, samples, end, said)
}

fn heard<'a>(audio: Audio, samples: Vec<Owned>, end: u64, said: String) -> anyhow::Result<Stream<'a>> {
    let Some(begin) = samples.first().map(|s| s.time) else { bail!("there is no sound in it") };
    let bytes = samples.iter().map(|s| s.bytes.len() as u64).sum();
    Ok(Stream {
        track: Track::Audio(audio),
        content: Content::Sound(samples),
        late: 0,
        begin,
        end,
        bytes,
        said,
    })
}

fn concealed(packets: usize, silent: u64, rate: u32, left_out: u64) -> String {
    let mut said = format!("{packets} packets of sound");
    if silent > 0 {
        let _ = write!(said, ", {:.3} s of it filled in", silent as f64 / f64::from(rate));
    }
    if left_out > 0 {
        let _ = write!(said, ", {left_out} packets left out");
    }
    said
}

/// The samples of all tracks in the order of their times, each track's in its own.
///
/// # Errors
/// Those of `take`.
pub fn merged(
    streams: &[Stream<'_>],
    mut take: impl FnMut(&Sample<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut rests: Vec<_> = streams.iter().map(|s| s.samples().peekable()).collect();
    loop {
        let times = rests.iter_mut().enumerate().filter_map(|(n, rest)| Some((rest.peek()?.time, n)));
        let Some((_, track)) = times.min() else { return Ok(()) };
        if let Some(Owned { time, keyframe, bytes }) = rests.get_mut(track).and_then(Iterator::next) {
            take(&Sample { track, time, keyframe, bytes: &bytes })?;
        }
    }
}
