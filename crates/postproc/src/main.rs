//! `portunus-pp-rec`: makes files that play of MJR recordings, or says what is in them.
//!
//! Absent until they are built: H.264, H.265, AV1, codecs of telephones, messages.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod convert;
mod frames;
mod ogg;
mod timeline;
mod webm;

use anyhow::{Context, bail};
use clap::Parser;
use portunus_mjr::{Header, Medium, Reader};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use timeline::{Report, Timeline};

/// Makes files that play of MJR recordings
#[derive(Parser, Debug)]
#[command(
    name = "portunus-pp-rec",
    version,
    max_term_width = 110,
    after_help = "portunus-pp-rec audio.mjr audio.opus\nportunus-pp-rec audio.mjr video.mjr both.webm"
)]
struct Flags {
    /// Print the header and stop
    #[arg(short = 'H', long)]
    header: bool,
    /// Print the header as JSON and stop
    #[arg(short = 'j', long)]
    json: bool,
    /// Read all packets, say what became of them, and stop
    #[arg(short = 'p', long)]
    parse: bool,
    /// The recordings, `.mjr`, and behind them the file to make: `.opus`, `.ogg` or `.webm`; it must not be there yet
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// A recording and what is known of it.
pub struct Source<'a> {
    pub header: Header,
    pub clock_rate: u32,
    pub timeline: Timeline<'a>,
}

fn main() -> ExitCode {
    match run(Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portunus-pp-rec: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut flags: Flags) -> anyhow::Result<()> {
    let looks_only = flags.header || flags.json || flags.parse;
    let is_recording = |file: &PathBuf| file.extension().is_some_and(|e| e == "mjr");
    let destination = flags.files.pop_if(|file| !looks_only && !is_recording(file));
    let mut all = Vec::new();
    for file in &flags.files {
        all.push((file, fs::read(file).with_context(|| format!("cannot read {}", file.display()))?));
    }
    let mut sources = Vec::new();
    for (file, bytes) in &all {
        let name = file.display();
        let recording = Reader::new(bytes).with_context(|| format!("cannot use {name}"))?;
        let Some(header) = recording.header().cloned() else { bail!("{name} ended before its first frame") };
        if flags.json {
            println!("{}", header.to_json());
        } else if flags.header {
            print_header(&header);
        } else {
            let clock_rate = clock_rate(&header).with_context(|| format!("cannot use {name}"))?;
            let timeline = Timeline::read(recording, clock_rate);
            print!("{name}: ");
            print_report(&timeline.report);
            sources.push(Source { header, clock_rate, timeline });
        }
    }
    match destination {
        _ if looks_only => Ok(()),
        Some(destination) => convert::convert(&sources, &destination),
        None => bail!("which file shall be made? (--help)"),
    }
}

fn clock_rate(header: &Header) -> anyhow::Result<u32> {
    match (header.medium, header.codec.as_str()) {
        (_, "opus" | "multiopus" | "l16-48") => Ok(ogg::CLOCK_RATE),
        (_, "pcmu" | "pcma" | "g711" | "g722") => Ok(8_000),
        (_, "l16") => Ok(16_000),
        (Medium::Video, _) => Ok(frames::CLOCK_RATE),
        (_, codec) => bail!("{codec} is not read yet"),
    }
}

fn print_header(header: &Header) {
    println!("{}: {}", header.medium, header.codec);
    for (what, text) in [("fmtp", &header.fmtp), ("description", &header.description)] {
        if let Some(text) = text {
            println!("{what}: {text}");
        }
    }
    for (id, uri) in &header.extensions {
        println!("extension {id}: {uri}");
    }
    let wait = header.first_frame.saturating_sub(header.created);
    println!("created: {} us, first frame {wait} us later", header.created);
    if header.encrypted {
        println!("encrypted end to end");
    }
}

fn print_report(report: &Report) {
    let Report { frames, broken, repeated, late, lost, leaps, left_over } = report;
    println!("{frames} frames, {lost} lost, {late} late, {repeated} repeated, {broken} broken");
    if *leaps > 0 {
        println!("the sender's clock leapt {leaps} times");
    }
    if *left_over > 0 {
        println!("{left_over} bytes at the end are no whole frame: the recording was cut off");
    }
}
