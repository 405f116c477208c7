//! Small packetizers, each the plain form of its RFC, and the readers of what ffmpeg writes.

use super::{Sent, run};

/// Payloads are no longer than this.
const MOST: usize = 1100;

/// Encodes a test picture of so many seconds at 30 frames a second; gives the frames.
pub fn pictures(codec: &str, seconds: u32, size: &str) -> Option<Vec<Vec<u8>>> {
    let source = format!("testsrc=s={size}:r=30:d={seconds}");
    encode(codec, &["-f", "lavfi", "-i", &source], b"")
}

/// Encodes whatever ffmpeg is given.
pub fn encode(codec: &str, input: &[&str], bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let how: &[&str] = match codec {
        "vp8" => {
            &["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0", "-f", "ivf"]
        }
        "vp9" => &[
            "-c:v",
            "libvpx-vp9",
            "-deadline",
            "realtime",
            "-cpu-used",
            "8",
            "-lag-in-frames",
            "0",
            "-f",
            "ivf",
        ],
        "av1" => &[
            "-c:v",
            "libaom-av1",
            "-usage",
            "realtime",
            "-cpu-used",
            "8",
            "-lag-in-frames",
            "0",
            "-f",
            "ivf",
        ],
        "h264" => &[
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-tune",
            "zerolatency",
            "-bsf:v",
            "h264_metadata=aud=insert",
            "-f",
            "h264",
        ],
        "h265" => &[
            "-c:v",
            "libx265",
            "-preset",
            "ultrafast",
            "-tune",
            "zerolatency",
            "-x265-params",
            "log-level=none:repeat-headers=1",
            "-bsf:v",
            "hevc_metadata=aud=insert",
            "-f",
            "hevc",
        ],
        other => panic!("no encoder of {other}"),
    };
    let common = ["-pix_fmt", "yuv420p", "-b:v", "500k"];
    let group = if input.contains(&"-g") { &[][..] } else { &["-g", "30"] };
    let args = [&["-v", "error"], input, &common, group, how, &["-"]].concat();
    let out = run("ffmpeg", &args, bytes)?;
    Some(match codec {
        "h264" => access_units(&out, |unit| unit[0] & 0x1f == 9),
        "h265" => access_units(&out, |unit| unit[0] >> 1 & 0x3f == 35),
        _ => ivf(&out),
    })
}

fn ivf(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut frames, mut at) = (Vec::new(), 32);
    while at + 12 <= bytes.len() {
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        frames.push(bytes[at + 12..at + 12 + length].to_vec());
        at += 12 + length;
    }
    frames
}

/// Splits at start codes and gives frames whose units stand behind lengths of four bytes; delimiters are left out.
fn access_units(bytes: &[u8], is_delimiter: fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
    let starts: Vec<usize> = (0..bytes.len() - 2).filter(|at| bytes[*at..at + 3] == [0, 0, 1]).collect();
    let mut frames: Vec<Vec<u8>> = Vec::new();
    for (n, start) in starts.iter().enumerate() {
        let end = starts.get(n + 1).copied().unwrap_or(bytes.len());
        let mut unit = &bytes[start + 3..end];
        while let [rest @ .., 0] = unit {
            unit = rest;
        }
        if is_delimiter(unit) {
            frames.push(Vec::new());
        } else if let Some(frame) = frames.last_mut() {
            frame.extend((unit.len() as u32).to_be_bytes());
            frame.extend(unit);
        }
    }
    frames
}

/// The packets of frames, `us` microseconds from one to the next.
pub fn packetize(codec: &str, frames: &[Vec<u8>], us: impl Fn(usize) -> u64) -> Vec<Sent> {
    let mut sent = Vec::new();
    for (n, frame) in frames.iter().enumerate() {
        let payloads = match codec {
            "vp8" => vp8(frame),
            "vp9" => vp9(frame),
            "av1" => av1(frame),
            "h264" => units(frame, 1),
            _ => units(frame, 2),
        };
        let last = payloads.len() - 1;
        sent.extend(payloads.into_iter().enumerate().map(|(i, payload)| Sent {
            us: us(n),
            marker: i == last,
            dear: false,
            payload,
        }));
    }
    sent
}

fn vp8(frame: &[u8]) -> Vec<Vec<u8>> {
    let pieces = frame.chunks(MOST).enumerate();
    pieces.map(|(n, piece)| [&[if n == 0 { 0x10 } else { 0 }], piece].concat()).collect()
}

fn vp9(frame: &[u8]) -> Vec<Vec<u8>> {
    let inter = frame[0] & 0x04 != 0;
    let count = frame.chunks(MOST).count();
    let head = |n: usize| u8::from(inter) << 6 | u8::from(n == 0) << 3 | u8::from(n + 1 == count) << 2;
    frame.chunks(MOST).enumerate().map(|(n, piece)| [&[head(n)], piece].concat()).collect()
}

/// Each OBU an element without its size; one element a packet, with a length (W is 0).
fn av1(unit: &[u8]) -> Vec<Vec<u8>> {
    let mut obus = Vec::new();
    let mut rest = unit;
    while let Some(head) = rest.first() {
        let behind = 1 + usize::from(head & 4 != 0);
        let (mut size, mut at) = (0, behind);
        loop {
            size |= usize::from(rest[at] & 0x7f) << (7 * (at - behind));
            at += 1;
            if rest[at - 1] & 0x80 == 0 {
                break;
            }
        }
        if head >> 3 & 15 != 2 {
            obus.push([&[head & !2], &rest[1..behind], &rest[at..at + size]].concat());
        }
        rest = &rest[at + size..];
    }
    let mut payloads: Vec<Vec<u8>> = Vec::new();
    for obu in &obus {
        let count = obu.chunks(MOST).count();
        for (n, piece) in obu.chunks(MOST).enumerate() {
            let new = payloads.is_empty() && obu[0] >> 3 & 15 == 1;
            let head = u8::from(n > 0) << 7 | u8::from(n + 1 < count) << 6 | u8::from(new) << 3;
            let length = [piece.len() as u8 & 0x7f | 0x80, (piece.len() >> 7) as u8];
            payloads.push([&[head], &length[..], piece].concat());
        }
    }
    payloads
}

/// H.264 with headers of one byte, H.265 with two: small units together, large ones in fragments.
fn units(frame: &[u8], head: usize) -> Vec<Vec<u8>> {
    let (mut payloads, mut together): (Vec<Vec<u8>>, Vec<u8>) = (Vec::new(), Vec::new());
    let mut rest = frame;
    while rest.len() > 4 {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let unit = &rest[4..4 + length];
        rest = &rest[4 + length..];
        if unit.len() < 200 {
            if together.is_empty() {
                together.extend(if head == 1 { &[0x78][..] } else { &[0x60, 1] });
            }
            together.extend((unit.len() as u16).to_be_bytes());
            together.extend(unit);
            continue;
        }
        payloads.extend((!together.is_empty()).then(|| std::mem::take(&mut together)));
        let count = unit[head..].chunks(MOST).count();
        for (n, piece) in unit[head..].chunks(MOST).enumerate() {
            let edges = u8::from(n == 0) << 7 | u8::from(n + 1 == count) << 6;
            let front = match head {
                _ if count == 1 => unit[..head].to_vec(),
                1 => vec![unit[0] & 0xe0 | 28, edges | unit[0] & 0x1f],
                _ => vec![unit[0] & 0x81 | 49 << 1, unit[1], edges | unit[0] >> 1 & 0x3f],
            };
            payloads.push([&front, piece].concat());
        }
    }
    payloads.extend((!together.is_empty()).then_some(together));
    payloads
}

/// Opus packets of 20 ms of samples at 48 kHz, 16 bits, one channel.
pub fn opus(samples: &[i16]) -> Option<Vec<Vec<u8>>> {
    let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    let input = ["-v", "error", "-f", "s16le", "-ar", "48000", "-ac", "1", "-i", "-"];
    let how = ["-c:a", "libopus", "-application", "lowdelay", "-b:a", "32k", "-f", "ogg", "-"];
    let ogg = run("ffmpeg", &[&input[..], &how].concat(), &bytes)?;
    let (mut packets, mut packet, mut at) = (Vec::new(), Vec::new(), 0);
    while at + 27 < ogg.len() {
        let count = usize::from(ogg[at + 26]);
        let mut data = at + 27 + count;
        for length in &ogg[at + 27..at + 27 + count] {
            packet.extend(&ogg[data..data + usize::from(*length)]);
            data += usize::from(*length);
            if *length < 255 {
                packets.push(std::mem::take(&mut packet));
            }
        }
        at = data;
    }
    // Head and tags.
    Some(packets.split_off(2))
}

/// A tone of so many milliseconds at the beginning of each second, silence otherwise.
pub fn beeps(seconds: usize, ms: usize) -> Vec<i16> {
    let tone = |n: usize| ((n as f64 * 1000.0 * std::f64::consts::TAU / 48_000.0).sin() * 12_000.0) as i16;
    (0..seconds * 48_000).map(|n| if n % 48_000 < ms * 48 { tone(n) } else { 0 }).collect()
}

pub fn packets_of_20_ms(packets: Vec<Vec<u8>>) -> Vec<Sent> {
    let sent = packets.into_iter().enumerate();
    sent.map(|(n, payload)| Sent { us: n as u64 * 20_000, marker: n == 0, dear: false, payload }).collect()
}

/// Two seconds of sound of a telephone, in packets of 20 ms.
pub struct Codes {
    pub packets: Vec<Vec<u8>>,
    /// Ticks of RTP a second.
    pub clock_rate: u32,
    /// What ffmpeg calls the bytes, and their rate.
    pub format: &'static str,
    pub rate: &'static str,
}

impl Codes {
    pub const MULAW: fn() -> Option<Self> = || Self::of("pcm_mulaw", "mulaw", "8000", 8_000, 160);
    pub const ALAW: fn() -> Option<Self> = || Self::of("pcm_alaw", "alaw", "8000", 8_000, 160);
    pub const L16: fn() -> Option<Self> = || Self::of("pcm_s16be", "s16be", "16000", 16_000, 640);
    pub const G722: fn() -> Option<Self> = || Self::of("g722", "g722", "16000", 8_000, 160);

    fn of(
        codec: &str,
        format: &'static str,
        rate: &'static str,
        clock_rate: u32,
        bytes: usize,
    ) -> Option<Self> {
        // Tones that glide, and noise: more than a decoder can be right about by chance.
        let source = "aevalsrc=0.4*sin(t*t*2000)+0.2*sin(t*9000)+0.2*(random(0)-0.5):d=2:s=48000";
        let args = [
            "-v", "error", "-f", "lavfi", "-i", source, "-ar", rate, "-ac", "1", "-c:a", codec, "-f", format,
            "-",
        ];
        let raw = run("ffmpeg", &args, b"")?;
        Some(Self { packets: raw.chunks(bytes).map(<[u8]>::to_vec).collect(), clock_rate, format, rate })
    }
}
