//! The boxes of a track's description (ISO/IEC 14496-12 and the bindings of the codecs).

use crate::frames::Codec;
use crate::num;
use crate::track::{Audio, Track, Video};

/// Ticks a second of the whole file, and of pictures.
pub(super) const RATE: u32 = 90_000;
const UNITY: [u8; 4] = [0, 1, 0, 0];

/// A box.
pub(super) fn boxed(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let length = 8 + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut out = Vec::with_capacity(length);
    out.extend(num::word(length).to_be_bytes());
    out.extend(kind);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// A box with version and flags.
pub(super) fn full(kind: &[u8; 4], version: u8, flags: u32, parts: &[&[u8]]) -> Vec<u8> {
    let head = (u32::from(version) << 24 | flags).to_be_bytes();
    boxed(kind, &[&[&head[..]], parts].concat())
}

/// Ticks a second of a track.
pub(super) const fn rate(track: &Track) -> u32 {
    match track {
        Track::Video(_) => RATE,
        Track::Audio(audio) => audio.rate(),
    }
}

/// What the file is.
pub(super) fn file_type(tracks: &[Track]) -> Vec<u8> {
    let av1 = tracks.iter().any(|t| matches!(t, Track::Video(v) if v.config.codec == Codec::Av1));
    let brand: &[u8] = if av1 { b"av01" } else { b"" };
    boxed(b"ftyp", &[b"isom", &512_u32.to_be_bytes(), b"isomiso2iso6mp41", brand])
}

/// `duration` in ticks of the file.
pub(super) fn movie_header(duration: u64, tracks: usize) -> Vec<u8> {
    let mut content = vec![0; 16];
    content.extend(RATE.to_be_bytes());
    content.extend(duration.to_be_bytes());
    content.extend(UNITY);
    content.extend([1, 0]);
    content.extend([0; 10]);
    content.extend(matrix(0, (0, 0)));
    content.extend([0; 24]);
    content.extend(num::word(tracks + 1).to_be_bytes());
    full(b"mvhd", 1, 0, &[&content])
}

/// `duration` in ticks of the file.
pub(super) fn track_header(number: usize, track: &Track, duration: u64) -> Vec<u8> {
    let (volume, size, matrix) = match track {
        Track::Video(video) => {
            let size = (video.config.width, video.config.height);
            ([0, 0], size, matrix(video.rotation, size))
        }
        Track::Audio(_) => ([1, 0], (0, 0), matrix(0, (0, 0))),
    };
    let mut content = vec![0; 16];
    content.extend(num::word(number + 1).to_be_bytes());
    content.extend([0; 4]);
    content.extend(duration.to_be_bytes());
    content.extend([0; 12]);
    content.extend(volume);
    content.extend([0; 2]);
    content.extend(matrix);
    for side in [size.0, size.1] {
        content.extend(side.to_be_bytes());
        content.extend([0; 2]);
    }
    // Enabled, and part of the presentation.
    full(b"tkhd", 1, 3, &[&content])
}

/// A turn clockwise, and the shift that brings the picture back to where it was.
fn matrix(rotation: u16, (width, height): (u16, u16)) -> Vec<u8> {
    let (w, h) = (i32::from(width), i32::from(height));
    let [a, b, c, d, x, y] = match rotation {
        90 => [0, 1, -1, 0, h, 0],
        180 => [-1, 0, 0, -1, w, h],
        270 => [0, -1, 1, 0, 0, w],
        _ => [1, 0, 0, 1, 0, 0],
    };
    let fixed = |n: i32| (n << 16).to_be_bytes();
    let one = 0x4000_0000_u32.to_be_bytes();
    [fixed(a), fixed(b), [0; 4], fixed(c), fixed(d), [0; 4], fixed(x), fixed(y), one].concat()
}

/// A track's media, its samples described in `table`; `duration` in ticks of the track.
pub(super) fn media(track: &Track, duration: u64, table: &[u8]) -> Vec<u8> {
    let mut head = vec![0; 16];
    head.extend(rate(track).to_be_bytes());
    head.extend(duration.to_be_bytes());
    // The language is not known: "und", in letters of five bits.
    head.extend([0x55, 0xc4, 0, 0]);
    let (kind, name, header): (&[u8], &[u8], _) = match track {
        Track::Video(_) => (b"vide", b"pictures\0", full(b"vmhd", 0, 1, &[&[0; 8]])),
        Track::Audio(_) => (b"soun", b"sound\0", full(b"smhd", 0, 0, &[&[0; 4]])),
    };
    let handler = full(b"hdlr", 0, 0, &[&[0; 4], kind, &[0; 12], name]);
    let here = full(b"url ", 0, 1, &[]);
    let data = boxed(b"dinf", &[&full(b"dref", 0, 0, &[&1_u32.to_be_bytes(), &here])]);
    let description = full(b"stsd", 0, 0, &[&1_u32.to_be_bytes(), &sample_entry(track)]);
    let table = boxed(b"stbl", &[&description, table]);
    let information = boxed(b"minf", &[&header, &data, &table]);
    boxed(b"mdia", &[&full(b"mdhd", 1, 0, &[&head]), &handler, &information])
}

fn sample_entry(track: &Track) -> Vec<u8> {
    match track {
        Track::Video(video) => video_entry(video),
        Track::Audio(audio) => audio_entry(audio),
    }
}

fn video_entry(video: &Video) -> Vec<u8> {
    let config = &video.config;
    let (kind, record) = match (config.codec, video.in_band) {
        (Codec::H264, true) => (b"avc3", boxed(b"avcC", &[&config.record])),
        (Codec::H264, false) => (b"avc1", boxed(b"avcC", &[&config.record])),
        (Codec::H265, true) => (b"hev1", boxed(b"hvcC", &[&config.record])),
        (Codec::H265, false) => (b"hvc1", boxed(b"hvcC", &[&config.record])),
        (Codec::Av1, _) => (b"av01", boxed(b"av1C", &[&config.record])),
        (Codec::Vp9, _) => (b"vp09", full(b"vpcC", 1, 0, &[&config.record])),
        (Codec::Vp8, _) => (b"vp08", full(b"vpcC", 1, 0, &[&[0, 10, 0x82, 2, 2, 2, 0, 0]])),
    };
    let mut content = vec![0, 0, 0, 0, 0, 0, 0, 1];
    content.extend([0; 16]);
    content.extend(config.width.to_be_bytes());
    content.extend(config.height.to_be_bytes());
    // 72 dots an inch, one frame a sample, no name, 24 bits of colour, no table of colours.
    content.extend([0, 72, 0, 0, 0, 72, 0, 0, 0, 0, 0, 0, 0, 1]);
    content.extend([0; 32]);
    content.extend([0, 24, 0xff, 0xff]);
    boxed(kind, &[&content, &record])
}

fn audio_entry(audio: &Audio) -> Vec<u8> {
    let mut content = vec![0, 0, 0, 0, 0, 0, 0, 1];
    content.extend([0; 8]);
    content.extend(u16::from(audio.channels()).to_be_bytes());
    content.extend([0, 16, 0, 0, 0, 0]);
    content.extend((u64::from(audio.rate()) << 16 & 0xffff_ffff).to_be_bytes().get(4..).unwrap_or_default());
    match audio {
        Audio::Opus(head) => boxed(b"Opus", &[&content, &boxed(b"dOps", &[&head.to_dops()])]),
        Audio::Pcm { .. } => boxed(b"sowt", &[&content]),
    }
}

/// A comment, as QuickTime's list of items has it, which is where players look.
pub(super) fn comment(text: &str) -> Vec<u8> {
    // Text in UTF-8, of no country.
    let data = boxed(b"data", &[&[0, 0, 0, 1, 0, 0, 0, 0], text.as_bytes()]);
    let list = boxed(b"ilst", &[&boxed(b"\xa9cmt", &[&data])]);
    let handler = full(b"hdlr", 0, 0, &[&[0; 4], b"mdirappl", &[0; 9]]);
    boxed(b"udta", &[&full(b"meta", 0, 0, &[&handler, &list])])
}
