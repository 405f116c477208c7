//! A film: a file that plays while it is written. Packets of several media go in as they come, whole pieces of WebM,
//! MP4 or Matroska come out.
//!
//! ```text
//! packets -> put in order, placed on our clock -> frames -> sorted by time -> clusters or fragments
//!            (waits for what is late)                       (waits for the other media)
//! ```
//! The codecs say which it is: WebM if that may hold all of them, else MP4, else Matroska. The tracks of such a file are
//! told at its head, so it begins when all media have shown what they are, or after some seconds without those that have
//! not; when one comes later, the film goes on in another part: a file of its own.
//!
//! Senders say when in their own clocks. The packet that was on its way for the shortest time tells how far each is from
//! ours; where one drifts, its times are drawn along, slower than anybody hears.
//!
//! Absent on purpose: files and clocks. Times are microseconds of any clock that all media share.

mod clock;
#[cfg(test)]
mod tests;

use crate::frames::{self, Assembler, Frame};
use crate::opus::{self, Head};
use crate::timeline::Packet;
use crate::track::{Audio, Sample, Track, Video};
use crate::{mp4, num, pcm, red, webm};
use clock::SenderClock;
use portunus_rtp::packet::RtpView;
use portunus_rtp::receive::SequenceUnwrapper;
use std::collections::BTreeMap;

/// Packets are waited for so long when later ones are there: they may be asked for again.
const LATE_US: u64 = 500_000;
/// Frames wait so long for those of other media.
const MIX_US: u64 = 800_000;
/// A part begins without media that have shown nothing for so long.
const START_US: u64 = 3_000_000;
/// Packets of one medium that wait at most.
const WAITING: usize = 8192;
/// Comfort noise (RFC 3389), and the length of a telephone event (RFC 4733): neither is sound of the codec.
const COMFORT_NOISE: u8 = 13;
const EVENT: usize = 4;

/// What comes out of a film.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A part begins: a new file. The one before is whole.
    Begin {
        /// How its name ends: `webm`, `mp4` or `mkv`.
        ending: &'static str,
        /// Its first bytes. Without them nothing of it plays.
        head: Vec<u8>,
    },
    /// Bytes for the end of the file. The file plays without them, and with what comes behind them.
    Bytes(Vec<u8>),
}

/// What a medium is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind<'a> {
    /// Janus' name of the codec.
    pub codec: &'a str,
    /// What was agreed about it; multiopus tells there which channel is where.
    pub fmtp: Option<&'a str>,
    /// The payload type of opus/red packets among the others.
    pub red: Option<u8>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Film {
    lines: Vec<Line>,
    /// Frames that wait.
    waiting: Vec<Cut>,
    part: Option<Part>,
    /// When something could have begun.
    ready: Option<u64>,
}

/// One medium.
#[derive(Debug)]
struct Line {
    id: u64,
    red: Option<u8>,
    decoder: Decoder,
    /// What it is, once it has shown that.
    track: Option<Track>,
    unwrapper: SequenceUnwrapper,
    /// By number.
    held: BTreeMap<u64, Held>,
    /// The number that comes next; none before the first packet was let go.
    next: Option<u64>,
    first_payload_type: Option<u8>,
    clock: SenderClock,
    /// When its last frame was.
    last: Option<u64>,
    ended: bool,
}

#[derive(Debug)]
enum Decoder {
    Video(Box<Assembler>),
    Opus(Head),
    Pcm(pcm::Decoder),
}

#[derive(Debug)]
struct Held {
    arrival: u64,
    timestamp: u32,
    marker: bool,
    payload_type: u8,
    payload: Vec<u8>,
}

/// A frame, or a packet of sound.
#[derive(Debug)]
struct Cut {
    line: u64,
    time: u64,
    keyframe: bool,
    bytes: Vec<u8>,
}

/// A file that is being written.
#[derive(Debug)]
struct Part {
    /// Their order is that of the tracks; whether they have begun.
    lines: Vec<(u64, bool)>,
    /// When its first frame is.
    zero: Option<u64>,
    out: Out,
}

#[derive(Debug)]
enum Out {
    Matroska(webm::Live),
    Mp4(mp4::Live),
}

/// Whether a medium with this codec can be part of a film, by Janus' names.
pub fn can_hold(codec: &str, fmtp: Option<&str>) -> bool {
    Decoder::of(&Kind { codec, fmtp, red: None }).is_some()
}

impl Film {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A medium begins; `id` is a number that no other has. False: it cannot be part of a film.
    pub fn add(&mut self, id: u64, kind: &Kind<'_>) -> bool {
        let Some((decoder, rate)) = Decoder::of(kind) else { return false };
        self.lines.push(Line {
            id,
            red: kind.red,
            decoder,
            track: None,
            unwrapper: SequenceUnwrapper::new(),
            held: BTreeMap::new(),
            next: None,
            first_payload_type: None,
            clock: SenderClock::new(rate),
            last: None,
            ended: false,
        });
        true
    }

    /// A medium ends: no more packets of it come.
    pub fn end(&mut self, id: u64) {
        if let Some(line) = self.lines.iter_mut().find(|l| l.id == id) {
            line.ended = true;
        }
    }

    /// Whether media are there that have not ended.
    pub fn goes_on(&self) -> bool {
        self.lines.iter().any(|l| !l.ended)
    }

    /// An RTP packet of a medium, and when it came.
    pub fn packet(&mut self, id: u64, arrival: u64, bytes: &[u8]) {
        if let Some(line) = self.lines.iter_mut().find(|l| l.id == id && !l.ended) {
            line.take(arrival, bytes);
        }
    }

    /// What can be written now. To be called a few times a second.
    pub fn poll(&mut self, now: u64, pieces: &mut Vec<Piece>) {
        for line in &mut self.lines {
            line.let_go(now, &mut self.waiting);
        }
        // Those that ended have given all they had.
        self.lines.retain(|l| !l.ended || l.track.is_some());
        self.begin_part(now, pieces);
        self.write(now.checked_sub(MIX_US), pieces);
    }

    /// All that is left. Nothing can come behind it.
    pub fn finish(&mut self, pieces: &mut Vec<Piece>) {
        self.lines.iter_mut().for_each(|l| l.ended = true);
        self.poll(u64::MAX, pieces);
        let mut bytes = Vec::new();
        if let Some(part) = &mut self.part {
            part.out.flush(&mut bytes);
        }
        push_bytes(bytes, pieces);
        *self = Self::default();
    }

    /// Begins a part when it is known what is in it, and another when there is more.
    fn begin_part(&mut self, now: u64, pieces: &mut Vec<Piece>) {
        let part = self.part.as_ref();
        let is_new = |line: &&Line| part.is_none_or(|part| !part.has(line.id));
        if !self.lines.iter().filter(is_new).any(|line| line.track.is_some()) {
            return;
        }
        let since = *self.ready.get_or_insert(now);
        if !self.lines.iter().all(|l| l.ended || l.track.is_some()) && now.saturating_sub(since) < START_US {
            return;
        }
        self.ready = None;
        // What belongs to the old part is in it before the new one begins.
        if self.part.is_some() {
            self.write(Some(now), pieces);
            let mut bytes = Vec::new();
            if let Some(part) = &mut self.part {
                part.out.flush(&mut bytes);
            }
            push_bytes(bytes, pieces);
            // What ended as it began has not been written yet.
            let part = self.part.as_ref();
            self.lines.retain(|l| !l.ended || part.is_none_or(|part| !part.has(l.id)));
        }
        let ready: Vec<_> = self.lines.iter().filter_map(|l| Some((l.id, l.track.clone()?))).collect();
        if ready.is_empty() {
            return;
        }
        let tracks: Vec<Track> = ready.iter().map(|(_, track)| track.clone()).collect();
        let (ending, head, out) = Out::begin(&tracks);
        pieces.push(Piece::Begin { ending, head });
        let lines = ready.iter().map(|(id, _)| (*id, false)).collect();
        self.part = Some(Part { lines, zero: None, out });
    }

    /// Writes frames up to a time, in its order.
    fn write(&mut self, until: Option<u64>, pieces: &mut Vec<Piece>) {
        let (Some(part), Some(until)) = (&mut self.part, until) else { return };
        // Sorting keeps the order of what is at the same time.
        self.waiting.sort_by_key(|cut| cut.time);
        let count = self.waiting.partition_point(|cut| cut.time <= until);
        let (mut bytes, mut kept) = (Vec::new(), Vec::new());
        for cut in self.waiting.drain(..count) {
            if part.has(cut.line) {
                part.push(&cut, &mut bytes);
            } else if self.lines.iter().any(|line| line.id == cut.line) {
                // For the next part.
                kept.push(cut);
            }
        }
        self.waiting.splice(..0, kept);
        push_bytes(bytes, pieces);
    }
}

fn push_bytes(bytes: Vec<u8>, pieces: &mut Vec<Piece>) {
    if !bytes.is_empty() {
        pieces.push(Piece::Bytes(bytes));
    }
}

impl Part {
    fn has(&self, line: u64) -> bool {
        self.lines.iter().any(|(id, _)| *id == line)
    }

    fn push(&mut self, cut: &Cut, bytes: &mut Vec<u8>) {
        let Some((track, (_, begun))) =
            self.lines.iter_mut().enumerate().find(|(_, (id, _))| *id == cut.line)
        else {
            return;
        };
        // Pictures begin with one that can be decoded.
        *begun |= cut.keyframe;
        if !*begun {
            return;
        }
        let zero = *self.zero.get_or_insert(cut.time);
        let time = cut.time.saturating_sub(zero);
        let sample = Sample { track, time, keyframe: cut.keyframe, bytes: &cut.bytes };
        match &mut self.out {
            Out::Matroska(live) => live.push(&sample, bytes),
            Out::Mp4(live) => live.push(&sample, bytes),
        }
    }
}

impl Out {
    fn begin(tracks: &[Track]) -> (&'static str, Vec<u8>, Self) {
        let mut head = Vec::new();
        let webm = tracks.iter().all(Track::fits_webm);
        if !webm && let Ok(live) = mp4::Live::new(tracks, &mut head) {
            return ("mp4", head, Self::Mp4(live));
        }
        let live = webm::Live::new(tracks, &mut head);
        (if webm { "webm" } else { "mkv" }, head, Self::Matroska(live))
    }

    fn flush(&mut self, bytes: &mut Vec<u8>) {
        match self {
            Self::Matroska(live) => live.flush(bytes),
            Self::Mp4(live) => live.flush(bytes),
        }
    }
}

impl Decoder {
    /// And the ticks a second of its RTP clock.
    fn of(kind: &Kind<'_>) -> Option<(Self, u32)> {
        if let Some(codec) = frames::Codec::of(kind.codec) {
            return Some((Self::Video(Box::new(Assembler::new(codec))), frames::CLOCK_RATE));
        }
        match kind.codec {
            // Whoever sends one channel may send two later: a file that tells of two holds both.
            "opus" => Some((Self::Opus(Head::plain(2)), opus::CLOCK_RATE)),
            "multiopus" => Some((Self::Opus(Head::of_fmtp(kind.fmtp?)?), opus::CLOCK_RATE)),
            codec => {
                let decoder = pcm::Decoder::of(codec)?;
                let rate = decoder.clock_rate();
                Some((Self::Pcm(decoder), rate))
            }
        }
    }
}

impl Line {
    fn take(&mut self, arrival: u64, bytes: &[u8]) {
        let Ok(view) = RtpView::parse(bytes) else { return };
        let header = *view.header();
        let Some(index) = self.unwrapper.unwrap(header.sequence) else { return };
        if self.next.is_some_and(|next| index < next) {
            return;
        }
        let payload = bytes.get(view.payload_range()).unwrap_or_default().to_vec();
        self.first_payload_type.get_or_insert(header.payload_type);
        self.held.entry(index).or_insert(Held {
            arrival,
            timestamp: header.timestamp,
            marker: header.marker,
            payload_type: header.payload_type,
            payload,
        });
    }

    /// Lets go what is in order, or was waited for long enough.
    fn let_go(&mut self, now: u64, cuts: &mut Vec<Cut>) {
        if self.next.is_none() {
            let waited = self.held.values().next().is_some_and(|first| now >= first.arrival + LATE_US);
            if !waited && !self.ended && self.held.len() < WAITING {
                return;
            }
            self.clock.begin(self.held.values().map(|held| (held.timestamp, held.arrival)));
        }
        while let Some((index, held)) = self.held.first_key_value() {
            let in_order = self.next.is_none_or(|next| *index == next);
            let waited = now >= held.arrival.saturating_add(LATE_US);
            if !in_order && !waited && !self.ended && self.held.len() < WAITING {
                break;
            }
            let index = *index;
            if let Some(held) = self.held.remove(&index) {
                self.next = Some(index + 1);
                self.decode(index, &held, cuts);
            }
        }
        if self.ended
            && let Decoder::Video(assembler) = &mut self.decoder
        {
            let mut frames = Vec::new();
            assembler.flush(&mut frames);
            self.show(frames, cuts);
        }
    }

    fn decode(&mut self, index: u64, held: &Held, cuts: &mut Vec<Cut>) {
        let time = self.clock.time(held.timestamp, held.arrival);
        let (payload_type, mut payload) = (held.payload_type, held.payload.as_slice());
        if let Decoder::Video(assembler) = &mut self.decoder {
            let mut frames = Vec::new();
            let packet = Packet { index, time, ms: 0, marker: held.marker, payload_type, payload };
            assembler.push(&packet, &mut frames);
            return self.show(frames, cuts);
        }
        if self.red == Some(payload_type) {
            payload = red::primary(payload).unwrap_or_default();
        }
        let odd = payload.len() == EVENT && self.first_payload_type != Some(payload_type);
        if payload.is_empty() || odd || payload_type == COMFORT_NOISE {
            return;
        }
        let (bytes, audio) = match &mut self.decoder {
            Decoder::Video(_) => return,
            Decoder::Opus(head) => {
                if head.mapping.is_none() && opus::duration(payload) == 0 {
                    return;
                }
                (payload.to_vec(), Audio::Opus(head.clone()))
            }
            Decoder::Pcm(decoder) => {
                let mut samples = Vec::new();
                decoder.decode(payload_type, payload, &mut samples);
                let bytes = samples.into_iter().flat_map(i16::to_le_bytes).collect();
                (bytes, Audio::Pcm { rate: decoder.rate(), channels: 1 })
            }
        };
        self.track.get_or_insert(Track::Audio(audio));
        let time = self.ascending(time);
        cuts.push(Cut { line: self.id, time, keyframe: true, bytes });
    }

    fn show(&mut self, frames: Vec<Frame>, cuts: &mut Vec<Cut>) {
        for Frame { time, keyframe, config, bytes } in frames {
            if let Some(config) = config {
                self.track.get_or_insert_with(|| Track::Video(Video::new(config)));
            }
            let time = self.ascending(time);
            cuts.push(Cut { line: self.id, time, keyframe, bytes });
        }
    }

    /// A time behind that of the frame before.
    fn ascending(&mut self, time: u64) -> u64 {
        // Files count in milliseconds.
        let time = self.last.map_or(time, |last| time.max(last.saturating_add(1000)));
        self.last = Some(time);
        time
    }
}

/// Microseconds of ticks.
fn micros(ticks: i64, rate: u32) -> i64 {
    let all = num::rescale(ticks.unsigned_abs(), rate, 1_000_000);
    let all = i64::try_from(all).unwrap_or(i64::MAX);
    if ticks < 0 { -all } else { all }
}
