//! MP4 (ISO/IEC 14496-12): in fragments as it comes, or finished with a table of all samples at its head.

mod boxes;

use crate::num;
use crate::track::{Sample, Track};
use boxes::{RATE, boxed, full};

/// A fragment is written after so long at the latest if there is no keyframe, in microseconds.
const LIVE_FRAGMENT_US: u64 = 1_000_000;
/// Samples of a track stand together for so long, in microseconds.
const CHUNK_US: u64 = 1_000_000;
/// A picture without one after it is seen for so long, in ticks.
const LAST_PICTURE: u64 = 3_000;
/// Flags of samples: a keyframe, which needs no other; or one that does.
const SYNC: u32 = 0x0200_0000;
const NO_SYNC: u32 = 0x0101_0000;

/// A track that MP4 cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("MP4 does not hold this codec")]
pub struct Unfit;

/// A file that is written while it is recorded: what is there of it plays, however it ends.
///
/// What is appended at once should be written at once. A machine that stops may still leave half of a fragment; most
/// players pass over it, but ffmpeg reads nothing of a file that ends within a fragment's head. [`whole`] tells where to
/// cut such a file.
#[derive(Debug)]
pub struct Live {
    tracks: Vec<Track>,
    waiting: Vec<Vec<Waiting>>,
    /// When the fragment begins, in microseconds.
    begin: Option<u64>,
    /// Where each track's samples end so far, in its ticks.
    ends: Vec<u64>,
    sequence: u32,
}

#[derive(Debug)]
struct Waiting {
    ticks: u64,
    keyframe: bool,
    bytes: Vec<u8>,
}

impl Live {
    /// Appends what is before the first sample.
    ///
    /// # Errors
    /// A track is of a codec that MP4 does not hold; nothing is appended.
    pub fn new(tracks: &[Track], out: &mut Vec<u8>) -> Result<Self, Unfit> {
        if !tracks.iter().all(Track::fits_mp4) {
            return Err(Unfit);
        }
        let mut movie = boxes::movie_header(0, tracks.len());
        let mut extends = Vec::new();
        // Tables of fragmented files are empty.
        let none = 0_u32.to_be_bytes();
        let table = [b"stts", b"stsc", b"stco"].map(|kind| full(kind, 0, 0, &[&none])).concat();
        let table = [table, full(b"stsz", 0, 0, &[&[0; 8]])].concat();
        for (n, track) in tracks.iter().enumerate() {
            let header = boxes::track_header(n, track, 0);
            movie.extend(boxed(b"trak", &[&header, &boxes::media(track, 0, &table)]));
            let numbers = [num::word(n + 1), 1, 0, 0, 0].map(u32::to_be_bytes).concat();
            extends.extend(full(b"trex", 0, 0, &[&numbers]));
        }
        movie.extend(boxed(b"mvex", &[&extends]));
        out.extend(boxes::file_type(tracks));
        out.extend(boxed(b"moov", &[&movie]));
        let waiting = tracks.iter().map(|_| Vec::new()).collect();
        Ok(Self { tracks: tracks.to_vec(), waiting, begin: None, ends: vec![0; tracks.len()], sequence: 0 })
    }

    /// Takes a sample; appends a whole fragment when one has ended, before a keyframe of video or after a second.
    pub fn push(&mut self, sample: &Sample<'_>, out: &mut Vec<u8>) {
        let Some(track) = self.tracks.get(sample.track) else { return };
        let ticks = num::ticks(sample.time, boxes::rate(track));
        let is_video = track.is_video();
        let has_video = self.tracks.iter().any(Track::is_video);
        let age = self.begin.map_or(0, |begin| sample.time.saturating_sub(begin));
        // A picture ends where the next one begins: so a fragment ends with one, unless none comes.
        let late = age >= LIVE_FRAGMENT_US && (is_video || !has_video || age >= 2 * LIVE_FRAGMENT_US);
        if self.begin.is_some() && (late || (is_video && sample.keyframe)) {
            self.write(Some((sample.track, ticks)), out);
        }
        self.begin.get_or_insert(sample.time);
        if let Some(waiting) = self.waiting.get_mut(sample.track) {
            waiting.push(Waiting { ticks, keyframe: sample.keyframe, bytes: sample.bytes.to_vec() });
        }
    }

    /// Appends what waits.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.write(None, out);
    }

    /// `next` is the track and the time of the sample that comes behind, if there is one.
    fn write(&mut self, next: Option<(usize, u64)>, out: &mut Vec<u8>) {
        self.begin = None;
        let mut runs: Vec<Run> = Vec::new();
        let mut data = Vec::new();
        for (n, track) in self.tracks.iter().enumerate() {
            let Some(samples) = self.waiting.get_mut(n).map(std::mem::take).filter(|s| !s.is_empty()) else {
                continue;
            };
            let Some(end) = self.ends.get_mut(n) else { continue };
            let until = next.filter(|(track, _)| *track == n).map(|(_, ticks)| ticks);
            let run = Run::new(n, track, &samples, *end, until, data.len());
            *end = run.end;
            samples.iter().for_each(|sample| data.extend_from_slice(&sample.bytes));
            runs.push(run);
        }
        if runs.is_empty() {
            return;
        }
        self.sequence += 1;
        let moof = |length: usize| {
            let header = full(b"mfhd", 0, 0, &[&self.sequence.to_be_bytes()]);
            let all: Vec<u8> = runs.iter().flat_map(|run| run.to_bytes(length + 8)).collect();
            boxed(b"moof", &[&header, &all])
        };
        // Places are counted from the beginning of the fragment; it is as long whatever they are.
        let length = moof(0).len();
        out.extend(moof(length));
        out.extend(boxed(b"mdat", &[&data]));
    }
}

/// The samples of a track in a fragment.
#[derive(Debug)]
struct Run {
    track: usize,
    begin: u64,
    end: u64,
    at: usize,
    samples: Vec<u8>,
    count: usize,
}

impl Run {
    fn new(
        track: usize,
        of: &Track,
        samples: &[Waiting],
        earliest: u64,
        until: Option<u64>,
        at: usize,
    ) -> Self {
        let shown: Vec<u64> = samples.iter().map(|s| s.ticks).collect();
        let mut decoded = decoding_times(&shown);
        let mut least = earliest;
        for time in &mut decoded {
            *time = (*time).max(least);
            least = time.saturating_add(1);
        }
        let last = decoded.last().copied().unwrap_or(earliest);
        let guess = match (of, samples.last()) {
            (Track::Audio(audio), Some(sample)) => audio.length(&sample.bytes),
            _ => decoded
                .len()
                .checked_sub(2)
                .and_then(|n| decoded.get(n))
                .map_or(LAST_PICTURE, |before| last - before),
        };
        let end =
            until.filter(|until| *until > last && of.is_video()).unwrap_or(last.saturating_add(guess.max(1)));
        let mut rows = Vec::new();
        let nexts = decoded.iter().skip(1).copied().chain([end]);
        for ((sample, time), next) in samples.iter().zip(&decoded).zip(nexts) {
            let sync = if sample.keyframe { SYNC } else { NO_SYNC };
            rows.extend(u32::try_from(next - time).unwrap_or(u32::MAX).to_be_bytes());
            rows.extend(num::word(sample.bytes.len()).to_be_bytes());
            rows.extend(sync.to_be_bytes());
            rows.extend(offset(sample.ticks, *time).to_be_bytes());
        }
        let begin = decoded.first().copied().unwrap_or(earliest);
        Self { track, begin, end, at, samples: rows, count: samples.len() }
    }

    /// `data` is where the fragment's data begin.
    fn to_bytes(&self, data: usize) -> Vec<u8> {
        let header = full(b"tfhd", 0, 0x02_0000, &[&num::word(self.track + 1).to_be_bytes()]);
        let time = full(b"tfdt", 1, 0, &[&self.begin.to_be_bytes()]);
        let numbers = [num::word(self.count), num::word(data + self.at)].map(u32::to_be_bytes).concat();
        // Each with length, size, flags, and the offset of its time, which has a sign.
        let run = full(b"trun", 1, 0x0f01, &[&numbers, &self.samples]);
        boxed(b"traf", &[&header, &time, &run])
    }
}

/// How many bytes of a live file are whole: up to the end of the last fragment that is there with its data, or of what is before
/// the first.
pub fn whole(file: &[u8]) -> usize {
    let (mut at, mut end) = (0, 0);
    while let Some((length, behind)) = file.get(at..).and_then(|rest| rest.split_first_chunk()) {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let next = at.saturating_add(length);
        if length < 8 || next > file.len() {
            break;
        }
        at = next;
        // The head of a fragment without its data is nothing yet.
        if !behind.starts_with(b"moof") {
            end = at;
        }
    }
    end
}

/// Frames come in the order they are decoded in: they are decoded at the times they are shown at, in order.
fn decoding_times(shown: &[u64]) -> Vec<u64> {
    let mut decoded = shown.to_vec();
    decoded.sort_unstable();
    decoded
}

fn offset(shown: u64, decoded: u64) -> i32 {
    let [shown, decoded] = [shown, decoded].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    i32::try_from(shown.saturating_sub(decoded)).unwrap_or(0)
}

/// A finished file: first all samples are told with [`Movie::add`], then [`Movie::head`] is written, then the bytes of
/// the samples in the same order. The tables are at the head, so that players begin before they have all of it.
#[derive(Debug)]
pub struct Movie {
    tracks: Vec<Track>,
    tables: Vec<Table>,
    /// Bytes of all samples.
    bytes: u64,
    /// Which track the last sample was of, and when its chunk began.
    chunk: Option<(usize, u64)>,
    comment: Option<String>,
}

#[derive(Debug, Default)]
struct Table {
    ticks: Vec<u64>,
    sizes: Vec<u32>,
    /// Numbers of the samples that are keyframes, from 1.
    keyframes: Vec<u32>,
    /// Where chunks begin in the data, and how many samples they have.
    chunks: Vec<(u64, u32)>,
}

impl Movie {
    /// Before the first sample.
    ///
    /// # Errors
    /// A track is of a codec that MP4 does not hold.
    pub fn new(tracks: &[Track]) -> Result<Self, Unfit> {
        if !tracks.iter().all(Track::fits_mp4) {
            return Err(Unfit);
        }
        let tables = tracks.iter().map(|_| Table::default()).collect();
        Ok(Self { tracks: tracks.to_vec(), tables, bytes: 0, chunk: None, comment: None })
    }

    /// Puts a comment on the whole file.
    pub fn comment(&mut self, text: &str) {
        self.comment = Some(text.to_owned());
    }

    /// Tells the next sample.
    pub fn add(&mut self, sample: &Sample<'_>) {
        let (Some(track), Some(table)) = (self.tracks.get(sample.track), self.tables.get_mut(sample.track))
        else {
            return;
        };
        table.ticks.push(num::ticks(sample.time, boxes::rate(track)));
        table.sizes.push(num::word(sample.bytes.len()));
        if sample.keyframe {
            table.keyframes.push(num::word(table.ticks.len()));
        }
        let goes_on = self.chunk.is_some_and(|(track, begin)| {
            track == sample.track && sample.time.saturating_sub(begin) < CHUNK_US
        });
        match table.chunks.last_mut().filter(|_| goes_on) {
            Some((_, samples)) => *samples += 1,
            None => {
                self.chunk = Some((sample.track, sample.time));
                table.chunks.push((self.bytes, 1));
            }
        }
        self.bytes += num::long(sample.bytes.len());
    }

    /// All that is before the bytes of the samples; `end` is when the last one ends, in microseconds.
    pub fn head(&self, end: u64) -> Vec<u8> {
        let mut head = boxes::file_type(&self.tracks);
        let before = num::long(head.len() + self.movie(end, 0).len()) + 16;
        head.extend(self.movie(end, before));
        head.extend(1_u32.to_be_bytes());
        head.extend(b"mdat");
        head.extend((self.bytes + 16).to_be_bytes());
        head
    }

    /// `data` is where the bytes of the samples begin. As long whatever that is.
    fn movie(&self, end: u64, data: u64) -> Vec<u8> {
        let mut movie = boxes::movie_header(num::ticks(end, RATE), self.tracks.len());
        for (n, (track, table)) in self.tracks.iter().zip(&self.tables).enumerate() {
            movie.extend(table.track(n, track, end, data));
        }
        if let Some(comment) = &self.comment {
            movie.extend(boxes::comment(comment));
        }
        boxed(b"moov", &[&movie])
    }
}

impl Table {
    fn track(&self, number: usize, track: &Track, end: u64, data: u64) -> Vec<u8> {
        let decoded = decoding_times(&self.ticks);
        let first = decoded.first().copied().unwrap_or(0);
        let last = decoded.last().copied().unwrap_or(0);
        let end = num::ticks(end, boxes::rate(track)).max(last.saturating_add(1));
        let typical =
            decoded.len().checked_sub(2).and_then(|n| decoded.get(n)).map_or(LAST_PICTURE, |b| last - b);
        // Another track may go on for longer.
        let end = end.min(last.saturating_add(typical.max(1)));
        let lengths =
            decoded.iter().zip(decoded.iter().skip(1).chain([&end])).map(|(a, b)| b.saturating_sub(*a));
        let mut table = runs(b"stts", 0, lengths.map(|n| u32::try_from(n).unwrap_or(u32::MAX)));
        if self.ticks != decoded {
            let offsets =
                self.ticks.iter().zip(&decoded).map(|(shown, at)| offset(*shown, *at).cast_unsigned());
            table.extend(runs(b"ctts", 1, offsets));
        }
        if track.is_video() {
            let numbers: Vec<u8> = self.keyframes.iter().flat_map(|n| n.to_be_bytes()).collect();
            table.extend(full(b"stss", 0, 0, &[&num::word(self.keyframes.len()).to_be_bytes(), &numbers]));
        }
        table.extend(self.places(data));
        let scale = |ticks: u64| num::rescale(ticks, boxes::rate(track), RATE);
        let (wait, length) = (scale(first), scale(end - first));
        let mut edits = Vec::new();
        if wait > 0 {
            edits.extend([wait, u64::MAX].map(u64::to_be_bytes).concat());
            edits.extend([0, 1, 0, 0]);
        }
        edits.extend([length, 0].map(u64::to_be_bytes).concat());
        edits.extend([0, 1, 0, 0]);
        let count = num::word(edits.len() / 20).to_be_bytes();
        let edits = boxed(b"edts", &[&full(b"elst", 1, 0, &[&count, &edits])]);
        let header = boxes::track_header(number, track, wait.saturating_add(length));
        boxed(b"trak", &[&header, &edits, &boxes::media(track, end - first, &table)])
    }

    fn places(&self, data: u64) -> Vec<u8> {
        let sizes: Vec<u8> = self.sizes.iter().flat_map(|n| n.to_be_bytes()).collect();
        let count = num::word(self.sizes.len()).to_be_bytes();
        let (mut to_chunk, mut entries, mut before) = (Vec::new(), 0, 0);
        for (n, (_, samples)) in self.chunks.iter().enumerate().filter(|(_, (_, samples))| *samples > 0) {
            if *samples != before {
                to_chunk.extend([num::word(n + 1), *samples, 1].map(u32::to_be_bytes).concat());
                entries += 1_u32;
                before = *samples;
            }
        }
        let at: Vec<u8> = self.chunks.iter().flat_map(|(at, _)| (data + at).to_be_bytes()).collect();
        [
            full(b"stsc", 0, 0, &[&entries.to_be_bytes(), &to_chunk]),
            full(b"stsz", 0, 0, &[&[0; 4], &count, &sizes]),
            full(b"co64", 0, 0, &[&num::word(self.chunks.len()).to_be_bytes(), &at]),
        ]
        .concat()
    }
}

/// A table in which what repeats is told once.
fn runs(kind: &[u8; 4], version: u8, values: impl Iterator<Item = u32>) -> Vec<u8> {
    let mut rows: Vec<(u32, u32)> = Vec::new();
    for value in values {
        match rows.last_mut().filter(|(_, last)| *last == value) {
            Some((count, _)) => *count += 1,
            None => rows.push((1, value)),
        }
    }
    let content: Vec<u8> =
        rows.iter().flat_map(|(n, value)| [*n, *value].map(u32::to_be_bytes).concat()).collect();
    full(kind, version, 0, &[&num::word(rows.len()).to_be_bytes(), &content])
}

#[cfg(test)]
mod tests;
