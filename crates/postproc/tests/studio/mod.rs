//! Recordings of what ffmpeg encodes, as a gateway would have made them over a network that is not the best.
//! Not every test file needs all of it.
#![allow(dead_code, clippy::print_stdout)]

pub mod packets;

use portunus_mjr::{Header, MAGIC, Medium, write_frame, write_header};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Microseconds since 1970 when all recordings were asked for.
pub const CREATED: u64 = 1_795_239_710_000_000;

/// What `tool` prints; `None`, with the reason, if it is not installed.
pub fn run(tool: &str, args: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let started = Command::new(tool)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            println!("skipped: {tool} does not run: {error}");
            return None;
        }
    };
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // It may end before it has read all.
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && said.contains("Unknown encoder") {
        println!("skipped: {tool} cannot: {said}");
        return None;
    }
    assert!(output.status.success(), "{tool} {args:?}: {said}");
    Some(output.stdout)
}

/// A folder of its own, gone with it.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("pp-rec-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A sequence of numbers that look like chance.
pub struct Dice(pub u64);

impl Dice {
    /// Below `n`.
    pub fn roll(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// What happens to a stream between its sender and the recording.
#[derive(Clone, Copy)]
pub struct Way {
    pub first_sequence: u16,
    pub first_timestamp: u32,
    /// Of a thousand packets.
    pub loss: u64,
    /// Packets are late by up to so many milliseconds, each for itself.
    pub jitter_ms: u64,
    /// The sender's clock is faster by so many millionths.
    pub drift_ppm: i64,
}

impl Way {
    pub const GOOD: Self =
        Self { first_sequence: 1000, first_timestamp: 5000, loss: 0, jitter_ms: 0, drift_ppm: 0 };
    /// Sequence numbers and timestamps wrap within the first seconds.
    pub const WRAPS: Self =
        Self { first_sequence: 65_500, first_timestamp: u32::MAX - 100_000, ..Self::GOOD };
}

/// A payload, sent `us` microseconds after the first.
pub struct Sent {
    pub us: u64,
    pub marker: bool,
    /// It is never lost.
    pub dear: bool,
    pub payload: Vec<u8>,
}

/// A recording of what was sent; it begins `begin_us` after [`CREATED`], and ends up like the way there.
pub fn record(
    medium: Medium,
    codec: &str,
    clock_rate: u32,
    sent: &[Sent],
    begin_us: u64,
    way: Way,
) -> Vec<u8> {
    let mut dice = Dice(0x5eed + u64::from(clock_rate));
    let mut came: Vec<(u64, Vec<u8>)> = Vec::new();
    for (n, packet) in sent.iter().enumerate() {
        // The sender's clock tells another time than ours.
        let ticks = packet.us as i128 * i128::from(1_000_000 + way.drift_ppm) * i128::from(clock_rate);
        let ticks = ticks / 1_000_000_000_000;
        let late = if way.jitter_ms > 0 { dice.roll(way.jitter_ms + 1) } else { 0 };
        // A keyframe at the beginning is needed; it would be asked for again.
        if n > 20 && !packet.dear && dice.roll(1000) < way.loss {
            continue;
        }
        let mut rtp = vec![0x80, 96 | u8::from(packet.marker) << 7];
        rtp.extend(way.first_sequence.wrapping_add(n as u16).to_be_bytes());
        rtp.extend(way.first_timestamp.wrapping_add(ticks as u32).to_be_bytes());
        rtp.extend([0, 0, 0, 7]);
        rtp.extend(&packet.payload);
        came.push((packet.us / 1000 + late, rtp));
    }
    came.sort_by_key(|(ms, _)| *ms);
    let first = came.first().map_or(0, |(ms, _)| *ms);
    let mut header = Header::new(medium, codec);
    (header.created, header.first_frame) = (CREATED, CREATED + begin_us + first * 1000);
    let mut out = MAGIC.to_vec();
    write_header(&mut out, &header).unwrap();
    came.iter().for_each(|(ms, rtp)| write_frame(&mut out, (ms - first) as u32, rtp).unwrap());
    out
}

/// Runs one of our own tools.
pub fn tool(name: &str, args: &[&Path]) -> (bool, String) {
    let program = match name {
        "portunus-pp-rec" => env!("CARGO_BIN_EXE_portunus-pp-rec"),
        "mjr2pcap" => env!("CARGO_BIN_EXE_mjr2pcap"),
        "pcap2mjr" => env!("CARGO_BIN_EXE_pcap2mjr"),
        other => panic!("there is no {other}"),
    };
    let output = Command::new(program).args(args).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// What ffprobe says of a stream, `v` or `a`.
pub struct Played {
    pub codec: String,
    pub tag: String,
    pub size: (u64, u64),
    pub packets: Vec<f64>,
    pub duration: f64,
    pub start: f64,
}

pub fn probe(file: &Path, stream: &str) -> Option<Played> {
    let entries =
        "stream=codec_name,codec_tag_string,width,height,start_time:format=duration:packet=pts_time";
    let args = ["-v", "error", "-select_streams", stream, "-show_entries", entries, "-of", "default=nw=1"];
    let file = file.to_str().unwrap();
    let said = run("ffprobe", &[&args[..], &[file]].concat(), b"")?;
    let said = String::from_utf8(said).unwrap();
    let of = |key: &str| -> Vec<&str> {
        said.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
    };
    let one = |key: &str| of(key).first().copied().unwrap_or_default().to_owned();
    let number = |key: &str| one(key).parse().unwrap_or(0);
    Some(Played {
        codec: one("codec_name"),
        tag: one("codec_tag_string"),
        size: (number("width"), number("height")),
        packets: of("pts_time").iter().map(|t| t.parse().unwrap()).collect(),
        duration: one("duration").parse().unwrap_or(0.0),
        start: one("start_time").parse().unwrap_or(0.0),
    })
}

/// All of a file can be decoded, without a word.
pub fn decodes(file: &Path) {
    let args = ["-v", "error", "-xerror", "-i", file.to_str().unwrap(), "-f", "null", "-"];
    run("ffmpeg", &args, b"");
}
