//! WebM: VP8, VP9 and Opus in Matroska's clothes (RFC 9559).

use std::io::{self, Write};

/// A cluster begins with a keyframe, or after so long: times within it are 16 bits of milliseconds.
const CLUSTER_MS: u64 = 5_000;

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Track {
    /// Its codec, `V_VP8` or `V_VP9`, and its size.
    Video { codec: &'static str, width: u16, height: u16 },
    /// Opus, with its head and channels.
    Opus { head: Vec<u8>, channels: u8 },
}

/// A frame of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// Which of the tracks.
    pub track: usize,
    /// Milliseconds since the beginning of the file.
    pub ms: u64,
    /// It needs no other to be decoded.
    pub keyframe: bool,
    pub bytes: &'a [u8],
}

/// Writes a file; the blocks in the order of their times, `end` is the end of the last one.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, tracks: &[Track], blocks: &[Block<'_>], end: u64) -> io::Result<()> {
    let has_video = tracks.iter().any(|t| matches!(t, Track::Video { .. }));
    let mut clusters: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut cues: Vec<(u64, usize, usize)> = Vec::new();
    for block in blocks {
        let video = matches!(tracks.get(block.track), Some(Track::Video { .. }));
        let begins = block.keyframe && (video || !has_video);
        let new = clusters.last().is_none_or(|(start, _)| {
            let age = block.ms.saturating_sub(*start);
            age >= CLUSTER_MS * 6 || (begins && (video || age >= CLUSTER_MS))
        });
        if new {
            clusters.push((block.ms, element(&[0xe7], &number(block.ms))));
            if begins {
                cues.push((block.ms, block.track + 1, clusters.len() - 1));
            }
        }
        if let Some((start, cluster)) = clusters.last_mut() {
            let offset = i16::try_from(block.ms.saturating_sub(*start)).unwrap_or(i16::MAX);
            let mut data = vec![0x80 | u8::try_from(block.track + 1).unwrap_or(1)];
            data.extend(offset.to_be_bytes());
            data.push(if block.keyframe { 0x80 } else { 0 });
            data.extend(block.bytes);
            cluster.extend(element(&[0xa3], &data));
        }
    }
    let header = [
        element(&[0x42, 0x86], &[1]),
        element(&[0x42, 0xf7], &[1]),
        element(&[0x42, 0xf2], &[4]),
        element(&[0x42, 0xf3], &[8]),
        element(&[0x42, 0x82], b"webm"),
        element(&[0x42, 0x87], &[4]),
        element(&[0x42, 0x85], &[2]),
    ];
    out.write_all(&element(&[0x1a, 0x45, 0xdf, 0xa3], &header.concat()))?;
    let head = [info(end), track_list(tracks)].concat();
    let clusters: Vec<Vec<u8>> =
        clusters.into_iter().map(|(_, content)| element(&[0x1f, 0x43, 0xb6, 0x75], &content)).collect();
    let cues = cue_list(&cues, head.len(), &clusters);
    let length = head.len() + cues.len() + clusters.iter().map(Vec::len).sum::<usize>();
    out.write_all(&[0x18, 0x53, 0x80, 0x67])?;
    out.write_all(&size(length))?;
    out.write_all(&head)?;
    for cluster in clusters {
        out.write_all(&cluster)?;
    }
    out.write_all(&cues)
}

fn info(end: u64) -> Vec<u8> {
    let application = concat!("portunus-pp-rec ", env!("CARGO_PKG_VERSION")).as_bytes();
    let content = [
        element(&[0x2a, 0xd7, 0xb1], &number(1_000_000)),
        element(&[0x44, 0x89], &(end as f64).to_be_bytes()),
        element(&[0x4d, 0x80], application),
        element(&[0x57, 0x41], application),
    ];
    element(&[0x15, 0x49, 0xa9, 0x66], &content.concat())
}

fn track_list(tracks: &[Track]) -> Vec<u8> {
    let entry = |(n, track): (usize, &Track)| {
        let n = u64::try_from(n + 1).unwrap_or(1);
        let mut content = [element(&[0xd7], &number(n)), element(&[0x73, 0xc5], &number(n))].concat();
        content.extend(element(&[0x9c], &[0]));
        match track {
            Track::Video { codec, width, height } => {
                let sizes =
                    [element(&[0xb0], &number((*width).into())), element(&[0xba], &number((*height).into()))];
                content.extend(element(&[0x83], &[1]));
                content.extend(element(&[0x86], codec.as_bytes()));
                content.extend(element(&[0xe0], &sizes.concat()));
            }
            Track::Opus { head, channels } => {
                let sound = [
                    element(&[0xb5], &48_000_f64.to_be_bytes()),
                    element(&[0x9f], &number((*channels).into())),
                ];
                content.extend(element(&[0x83], &[2]));
                content.extend(element(&[0x86], b"A_OPUS"));
                content.extend(element(&[0x63, 0xa2], head));
                content.extend(element(&[0xe1], &sound.concat()));
            }
        }
        element(&[0xae], &content)
    };
    let entries: Vec<u8> = tracks.iter().enumerate().flat_map(entry).collect();
    element(&[0x16, 0x54, 0xae, 0x6b], &entries)
}

/// Where keyframes are, for players that seek.
fn cue_list(cues: &[(u64, usize, usize)], before: usize, clusters: &[Vec<u8>]) -> Vec<u8> {
    let mut content = Vec::new();
    for (ms, track, cluster) in cues {
        let position = before + clusters.iter().take(*cluster).map(Vec::len).sum::<usize>();
        let place = [
            element(&[0xf7], &number(u64::try_from(*track).unwrap_or(1))),
            element(&[0xf1], &number(u64::try_from(position).unwrap_or(0))),
        ];
        let point = [element(&[0xb3], &number(*ms)), element(&[0xb7], &place.concat())];
        content.extend(element(&[0xbb], &point.concat()));
    }
    if content.is_empty() { content } else { element(&[0x1c, 0x53, 0xbb, 0x6b], &content) }
}

fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
    [id, &size(content.len()), content].concat()
}

/// A length in eight bytes.
fn size(length: usize) -> [u8; 8] {
    (u64::try_from(length).unwrap_or(0) | 1 << 56).to_be_bytes()
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

    #[test]
    fn numbers_and_sizes_are_those_of_ebml() {
        assert_eq!((number(0), number(255), number(256)), (vec![0], vec![255], vec![1, 0]));
        assert_eq!(size(5), [1, 0, 0, 0, 0, 0, 0, 5]);
        assert_eq!(element(&[0xe7], &[7]), [0xe7, 1, 0, 0, 0, 0, 0, 0, 1, 7]);
    }

    #[test]
    fn a_cluster_begins_with_each_keyframe_and_before_times_are_too_long() {
        let tracks = [Track::Video { codec: "V_VP8", width: 2, height: 2 }];
        let block = |ms, keyframe| Block { track: 0, ms, keyframe, bytes: b"x" };
        let mut blocks = vec![block(0, true), block(33, false), block(66, true)];
        blocks.extend((1..10).map(|n| block(66 + n * 10_000, false)));
        let mut out = Vec::new();
        write(&mut out, &tracks, &blocks, 100_000).unwrap();
        let clusters = out.windows(4).filter(|w| *w == [0x1f, 0x43, 0xb6, 0x75]).count();
        assert_eq!(clusters, 5);
        assert!(out.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]));
    }
}
