//! WebM and Matroska (RFC 9559): as it comes, or finished with its length and places to seek to.
//!
//! The document is called `webm` if its tracks are such that WebM may hold, `matroska` otherwise.

use crate::frames::Codec;
use crate::num;
use crate::track::{Audio, Sample, Track, Video};
use std::io::{self, Seek, SeekFrom, Write};

/// A cluster of a live file is written after so long at the latest.
const LIVE_CLUSTER_MS: u64 = 1_000;
/// A cluster of a finished file begins with a keyframe, or after so long.
const CLUSTER_MS: u64 = 5_000;
/// Times within a cluster are 16 bits of milliseconds.
const LONGEST_CLUSTER_MS: u64 = 30_000;
/// A length that is not known.
const UNKNOWN: [u8; 8] = [0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
const SEGMENT: [u8; 4] = [0x18, 0x53, 0x80, 0x67];
const INFO: [u8; 4] = [0x15, 0x49, 0xa9, 0x66];
const TRACKS: [u8; 4] = [0x16, 0x54, 0xae, 0x6b];
const CUES: [u8; 4] = [0x1c, 0x53, 0xbb, 0x6b];
const CLUSTER: [u8; 4] = [0x1f, 0x43, 0xb6, 0x75];

/// A file that is written while it is recorded: what is there of it plays, however it ends. It has no length and no
/// index.
#[derive(Debug)]
pub struct Live {
    has_video: bool,
    video: Vec<bool>,
    cluster: Option<Cluster>,
}

impl Live {
    /// Appends what is before the first sample.
    pub fn new(tracks: &[Track], out: &mut Vec<u8>) -> Self {
        out.extend(document(tracks));
        out.extend(SEGMENT);
        out.extend(UNKNOWN);
        out.extend(info(None));
        out.extend(track_list(tracks));
        let video: Vec<bool> = tracks.iter().map(Track::is_video).collect();
        Self { has_video: video.contains(&true), video, cluster: None }
    }

    /// Takes a sample; appends a whole cluster when one has ended, before a keyframe of video or after a second.
    pub fn push(&mut self, sample: &Sample<'_>, out: &mut Vec<u8>) {
        let ms = sample.time / 1000;
        let video = self.video.get(sample.track).copied().unwrap_or(false);
        let ends = self.cluster.as_ref().is_some_and(|c| {
            let age = ms.saturating_sub(c.start);
            age >= LIVE_CLUSTER_MS
                || (self.has_video && video && sample.keyframe)
                || c.start > ms + LONGEST_CLUSTER_MS
        });
        if ends {
            self.flush(out);
        }
        self.cluster.get_or_insert_with(|| Cluster::new(ms)).push(sample, ms);
    }

    /// Appends what waits.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        if let Some(cluster) = self.cluster.take() {
            out.extend(element(&CLUSTER, &cluster.content));
        }
    }
}

#[derive(Debug)]
struct Cluster {
    /// Milliseconds since the beginning of the file.
    start: u64,
    content: Vec<u8>,
}

impl Cluster {
    fn new(start: u64) -> Self {
        Self { start, content: element(&[0xe7], &number(start)) }
    }

    fn push(&mut self, sample: &Sample<'_>, ms: u64) {
        let offset = i64::try_from(ms).unwrap_or(i64::MAX).saturating_sub_unsigned(self.start);
        let offset = i16::try_from(offset).unwrap_or(if offset < 0 { i16::MIN } else { i16::MAX });
        let mut head = vec![0x80 | num::byte(sample.track + 1)];
        head.extend(offset.to_be_bytes());
        head.push(if sample.keyframe { 0x80 } else { 0 });
        self.content.push(0xa3);
        self.content.extend(size(head.len() + sample.bytes.len()));
        self.content.extend(head);
        self.content.extend_from_slice(sample.bytes);
    }
}

/// A finished file: players know its length, and where to seek to.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    video: Vec<bool>,
    cluster: Option<Cluster>,
    /// What was written of the segment, in bytes, and where it begins.
    written: u64,
    begin: u64,
    /// Milliseconds, track, place in the segment.
    cues: Vec<(u64, usize, u64)>,
}

impl<W: Write + Seek> Writer<W> {
    /// Writes what is before the first sample; `end` is when the last one ends, in microseconds.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(mut out: W, tracks: &[Track], end: u64) -> io::Result<Self> {
        out.write_all(&document(tracks))?;
        out.write_all(&SEGMENT)?;
        out.write_all(&UNKNOWN)?;
        let begin = out.stream_position()?;
        let (info, list) = (info(Some(end)), track_list(tracks));
        let head = [seek_head(info.len(), 0), info, list].concat();
        out.write_all(&head)?;
        let video = tracks.iter().map(Track::is_video).collect();
        Ok(Self { out, video, cluster: None, written: num::long(head.len()), begin, cues: Vec::new() })
    }

    /// Writes a comment on the whole file.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn comment(&mut self, text: &str) -> io::Result<()> {
        let tag = [element(&[0x45, 0xa3], b"COMMENT"), element(&[0x44, 0x87], text.as_bytes())];
        let tag = [element(&[0x63, 0xc0], &[]), element(&[0x67, 0xc8], &tag.concat())];
        self.write_cluster()?;
        self.write(&element(&[0x12, 0x54, 0xc3, 0x67], &element(&[0x73, 0x73], &tag.concat())))
    }

    /// Takes a sample; samples come in the order of their times.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn push(&mut self, sample: &Sample<'_>) -> io::Result<()> {
        let ms = sample.time / 1000;
        let video = self.video.get(sample.track).copied().unwrap_or(false);
        let begins = sample.keyframe && (video || !self.video.contains(&true));
        let new = self.cluster.as_ref().is_none_or(|cluster| {
            let age = ms.saturating_sub(cluster.start);
            age >= LONGEST_CLUSTER_MS || (begins && (video || age >= CLUSTER_MS))
        });
        if new {
            self.write_cluster()?;
            if begins {
                self.cues.push((ms, sample.track + 1, self.written));
            }
        }
        self.cluster.get_or_insert_with(|| Cluster::new(ms)).push(sample, ms);
        Ok(())
    }

    /// Writes the rest, and the lengths that are known now.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(mut self) -> io::Result<()> {
        self.write_cluster()?;
        let cues_at = self.written;
        self.write(&cue_list(&self.cues))?;
        self.out.seek(SeekFrom::Start(self.begin - 8))?;
        self.out.write_all(&(self.written | 1 << 56).to_be_bytes())?;
        // The head was written with the same lengths.
        let info_length = info(Some(0)).len();
        self.out.write_all(&seek_head(info_length, cues_at))?;
        self.out.seek(SeekFrom::End(0))?;
        self.out.flush()
    }

    fn write_cluster(&mut self) -> io::Result<()> {
        match self.cluster.take() {
            Some(cluster) => self.write(&element(&CLUSTER, &cluster.content)),
            None => Ok(()),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += num::long(bytes.len());
        self.out.write_all(bytes)
    }
}

fn document(tracks: &[Track]) -> Vec<u8> {
    let kind: &[u8] = if tracks.iter().all(Track::fits_webm) { b"webm" } else { b"matroska" };
    let header = [
        element(&[0x42, 0x86], &[1]),
        element(&[0x42, 0xf7], &[1]),
        element(&[0x42, 0xf2], &[4]),
        element(&[0x42, 0xf3], &[8]),
        element(&[0x42, 0x82], kind),
        element(&[0x42, 0x87], &[4]),
        element(&[0x42, 0x85], &[2]),
    ];
    element(&[0x1a, 0x45, 0xdf, 0xa3], &header.concat())
}

/// Where the parts of a segment are; always as long, whatever they say.
fn seek_head(info_length: usize, cues_at: u64) -> Vec<u8> {
    let place = |id: &[u8; 4], at: u64| {
        element(
            &[0x4d, 0xbb],
            &[element(&[0x53, 0xab], id), element(&[0x53, 0xac], &at.to_be_bytes())].concat(),
        )
    };
    let of = |own: u64| {
        let tracks_at = own + num::long(info_length);
        let all = [place(&INFO, own), place(&TRACKS, tracks_at), place(&CUES, cues_at)];
        element(&[0x11, 0x4d, 0x9b, 0x74], &all.concat())
    };
    of(num::long(of(0).len()))
}

/// `end` in microseconds.
fn info(end: Option<u64>) -> Vec<u8> {
    let application = concat!("portunus ", env!("CARGO_PKG_VERSION")).as_bytes();
    let mut content = element(&[0x2a, 0xd7, 0xb1], &number(1_000_000));
    if let Some(end) = end {
        // Milliseconds; an hour of them is far below what is exact.
        let ms = f64::from(u32::try_from(end / 1000).unwrap_or(u32::MAX));
        content.extend(element(&[0x44, 0x89], &ms.to_be_bytes()));
    }
    content.extend(element(&[0x4d, 0x80], application));
    content.extend(element(&[0x57, 0x41], application));
    element(&INFO, &content)
}

fn track_list(tracks: &[Track]) -> Vec<u8> {
    let entry = |(n, track): (usize, &Track)| {
        let n = num::long(n + 1);
        let mut content = [element(&[0xd7], &number(n)), element(&[0x73, 0xc5], &number(n))].concat();
        content.extend(element(&[0x9c], &[0]));
        content.extend(element(&[0x22, 0xb5, 0x9c], b"und"));
        content.extend(match track {
            Track::Video(video) => video_entry(video),
            Track::Audio(audio) => audio_entry(audio),
        });
        element(&[0xae], &content)
    };
    let entries: Vec<u8> = tracks.iter().enumerate().flat_map(entry).collect();
    element(&TRACKS, &entries)
}

fn video_entry(video: &Video) -> Vec<u8> {
    let config = &video.config;
    let codec: &[u8] = match config.codec {
        Codec::Vp8 => b"V_VP8",
        Codec::Vp9 => b"V_VP9",
        Codec::Av1 => b"V_AV1",
        Codec::H264 => b"V_MPEG4/ISO/AVC",
        Codec::H265 => b"V_MPEGH/ISO/HEVC",
    };
    let mut content = element(&[0x83], &[1]);
    content.extend(element(&[0x86], codec));
    if matches!(config.codec, Codec::Av1 | Codec::H264 | Codec::H265) {
        content.extend(element(&[0x63, 0xa2], &config.record));
    }
    let mut picture =
        [element(&[0xb0], &number(config.width.into())), element(&[0xba], &number(config.height.into()))]
            .concat();
    if video.rotation != 0 {
        // A plane that is rolled, counterclockwise for positive angles.
        let roll = if video.rotation == 270 { 90.0 } else { -f64::from(video.rotation) };
        let projection = [element(&[0x76, 0x71], &[0]), element(&[0x76, 0x75], &roll.to_be_bytes())];
        picture.extend(element(&[0x76, 0x70], &projection.concat()));
    }
    content.extend(element(&[0xe0], &picture));
    content
}

fn audio_entry(audio: &Audio) -> Vec<u8> {
    let mut content = element(&[0x83], &[2]);
    let mut sound = [
        element(&[0xb5], &f64::from(audio.rate()).to_be_bytes()),
        element(&[0x9f], &number(audio.channels().into())),
    ]
    .concat();
    match audio {
        Audio::Opus(head) => {
            content.extend(element(&[0x86], b"A_OPUS"));
            content.extend(element(&[0x63, 0xa2], &head.to_bytes()));
            // 80 ms are decoded before what is sought is heard (RFC 7845 section 4.6).
            content.extend(element(&[0x56, 0xbb], &number(80_000_000)));
        }
        Audio::Pcm { .. } => {
            content.extend(element(&[0x86], b"A_PCM/INT/LIT"));
            sound.extend(element(&[0x62, 0x64], &[16]));
        }
    }
    content.extend(element(&[0xe1], &sound));
    content
}

/// Where keyframes are, for players that seek.
fn cue_list(cues: &[(u64, usize, u64)]) -> Vec<u8> {
    let mut content = Vec::new();
    for (ms, track, position) in cues {
        let place = [element(&[0xf7], &number(num::long(*track))), element(&[0xf1], &number(*position))];
        let point = [element(&[0xb3], &number(*ms)), element(&[0xb7], &place.concat())];
        content.extend(element(&[0xbb], &point.concat()));
    }
    element(&CUES, &content)
}

fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
    [id, &size(content.len()), content].concat()
}

/// A length in eight bytes.
fn size(length: usize) -> [u8; 8] {
    (num::long(length) | 1 << 56).to_be_bytes()
}

/// A number in as many bytes as it needs.
fn number(value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let first = bytes.iter().position(|b| *b != 0).unwrap_or(7);
    bytes.get(first..).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Config;
    use crate::opus::Head;
    use std::io::Cursor;
    use std::sync::Arc;

    fn track(codec: Codec) -> Track {
        Track::Video(Video::new(Arc::new(Config { codec, width: 2, height: 2, record: vec![1] })))
    }

    fn sample(ms: u64, keyframe: bool) -> Sample<'static> {
        Sample { track: 0, time: ms * 1000, keyframe, bytes: b"x" }
    }

    fn clusters(bytes: &[u8]) -> usize {
        bytes.windows(4).filter(|w| *w == CLUSTER).count()
    }

    #[test]
    fn numbers_and_sizes_are_those_of_ebml() {
        assert_eq!((number(0), number(255), number(256)), (vec![0], vec![255], vec![1, 0]));
        assert_eq!(size(5), [1, 0, 0, 0, 0, 0, 0, 5]);
        assert_eq!(element(&[0xe7], &[7]), [0xe7, 1, 0, 0, 0, 0, 0, 0, 1, 7]);
    }

    #[test]
    fn a_cluster_begins_with_each_keyframe_and_before_times_are_too_long() {
        let mut out = Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut out, &[track(Codec::Vp8)], 100_000_000).unwrap();
        let mut samples = vec![sample(0, true), sample(33, false), sample(66, true)];
        samples.extend((1..10).map(|n| sample(66 + n * 10_000, false)));
        samples.iter().for_each(|s| writer.push(s).unwrap());
        writer.finish().unwrap();
        let out = out.into_inner();
        assert_eq!(clusters(&out), 5);
        assert!(out.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]));
    }

    #[test]
    fn the_length_and_the_places_are_those_of_the_file() {
        let mut out = Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut out, &[track(Codec::Vp9)], 1_000_000).unwrap();
        [sample(0, true), sample(900, true)].iter().for_each(|s| writer.push(s).unwrap());
        writer.finish().unwrap();
        let out = out.into_inner();
        let begin = out.windows(4).position(|w| w == SEGMENT).unwrap() + 12;
        let length = u64::from_be_bytes(out[begin - 8..begin].try_into().unwrap()) & !(1 << 56);
        assert_eq!(usize::try_from(length).unwrap(), out.len() - begin);
        for id in [INFO, TRACKS, CUES] {
            let told = out.windows(4).position(|w| w == id).unwrap() + 4 + 2 + 8;
            let at = u64::from_be_bytes(out[told..told + 8].try_into().unwrap());
            assert_eq!(out[begin + usize::try_from(at).unwrap()..][..4], id);
        }
    }

    #[test]
    fn a_live_file_is_made_of_whole_clusters() {
        let tracks = [track(Codec::Vp8), Track::Audio(Audio::Opus(Head::plain(1)))];
        let mut out = Vec::new();
        let mut live = Live::new(&tracks, &mut out);
        let head = out.len();
        live.push(&sample(0, true), &mut out);
        // Before the picture that was first: times in a cluster have a sign.
        live.push(&Sample { track: 1, time: 0, keyframe: true, bytes: b"y" }, &mut out);
        live.push(&sample(500, false), &mut out);
        assert_eq!(out.len(), head);
        live.push(&sample(600, true), &mut out);
        assert_eq!(clusters(&out), 1);
        live.push(&Sample { track: 1, time: 580_000, keyframe: true, bytes: b"y" }, &mut out);
        live.push(&sample(1600, false), &mut out);
        assert_eq!(clusters(&out), 2);
        assert_eq!(out[out.len() - 5..], [0x82, 0xff, 0xec, 0x80, b'y']);
        live.flush(&mut out);
        live.flush(&mut out);
        assert_eq!(clusters(&out), 3);
    }

    #[test]
    fn the_document_is_webm_only_with_what_webm_may_hold() {
        let names = |tracks: &[Track]| document(tracks).windows(4).any(|w| w == b"webm");
        assert!(names(&[track(Codec::Av1), Track::Audio(Audio::Opus(Head::plain(2)))]));
        assert!(!names(&[track(Codec::H264)]));
        assert!(!names(&[track(Codec::Vp8), Track::Audio(Audio::Pcm { rate: 8000, channels: 1 })]));
    }
}
