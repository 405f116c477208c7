//! `portunus-pp-rec`: makes files that play of MJR recordings, or says what is in them.
//!
//! Under the names of the other two tools it is those, so that an image holds one program with links to it.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod convert;
mod formats;
mod mjr2pcap;
mod output;
mod pcap2mjr;
mod stream;
mod tell;

use anyhow::{Context, bail};
use clap::Parser;
use portunus_mjr::timeline::{Choice, Timeline};
use portunus_mjr::{Header, Medium, Reader, frames, opus, pcm};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

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
    /// Print the header as it stands in the recording, JSON, and stop
    #[arg(short = 'j', long)]
    json: bool,
    /// Print the header with the number of packets and the seconds they take, JSON, and stop
    #[arg(short = 'e', long)]
    extended_json: bool,
    /// Read all packets, say what became of them, and stop
    #[arg(short = 'p', long)]
    parse: bool,
    /// Print what can be made of which codec, and stop
    #[arg(short = 'F', long)]
    file_extensions: bool,
    /// Make this format, whatever the file is called
    #[arg(short = 'f', long, value_name = "ENDING")]
    format: Option<String>,
    /// Put this comment into the file
    #[arg(short = 'm', long, value_name = "COMMENT")]
    metadata: Option<String>,
    /// MP4: have the tables at the head. They always are, with this flag or without
    #[arg(short = 't', long)]
    faststart: bool,
    /// Leave out so many packets at the beginning
    #[arg(short = 'i', long, value_name = "PACKETS", default_value_t = 0)]
    ignore_first: u64,
    /// Take only packets of this payload type
    #[arg(short = 'P', long, value_name = "TYPE")]
    payload_type: Option<u8>,
    /// The id of the header extension that tells how pictures are turned, if the recording does not say it; 0: they are not
    #[arg(short = 'v', long, value_name = "ID")]
    videoorient_ext: Option<u8>,
    /// The recordings, `.mjr`, and behind them the file to make (see -F); it must not be there yet
    files: Vec<PathBuf>,
}

/// The bytes of a recording.
pub struct Loaded {
    pub name: PathBuf,
    pub bytes: Vec<u8>,
}

/// A recording and what is known of it.
pub struct Source<'a> {
    pub name: &'a Path,
    pub header: Header,
    pub clock_rate: u32,
    pub timeline: Timeline<'a>,
    /// Degrees clockwise.
    pub rotation: u16,
}

fn main() -> ExitCode {
    let called = std::env::args_os().next().map(PathBuf::from);
    match called.as_ref().and_then(|path| path.file_name()?.to_str()) {
        Some("mjr2pcap") => return mjr2pcap::main(),
        Some("pcap2mjr") => return pcap2mjr::main(),
        _ => {}
    }
    match run(Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portunus-pp-rec: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut flags: Flags) -> anyhow::Result<()> {
    if flags.file_extensions {
        println!("{}", formats::ENDINGS);
        return Ok(());
    }
    let looks_only = flags.header || flags.json || flags.extended_json || flags.parse;
    let is_recording = |file: &PathBuf| file.extension().is_some_and(|e| e == "mjr");
    let destination = flags.files.pop_if(|file| !looks_only && !is_recording(file));
    if flags.files.is_empty() {
        bail!("which recording? (--help)");
    }
    let mut all = Vec::new();
    for name in &flags.files {
        all.push(Loaded { name: name.clone(), bytes: output::read(name)? });
    }
    if looks_only {
        return all.iter().try_for_each(|loaded| look(&flags, loaded));
    }
    let Some(destination) = destination else { bail!("which file shall be made? (--help)") };
    let ending = destination.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let ending = flags.format.as_deref().unwrap_or(ending).to_ascii_lowercase();
    let mut headers = Vec::new();
    for loaded in &all {
        headers.push(header(loaded)?.1);
    }
    if let Some(header) = headers.iter().find(|h| h.encrypted) {
        bail!("the {} is encrypted end to end: only those who have the key can play it", header.medium);
    }
    if convert::is_messages(&headers.iter().collect::<Vec<_>>())?
        && let ([header], [loaded]) = (headers.as_slice(), all.as_slice())
    {
        if flags.metadata.is_some() {
            bail!("a file of messages takes no comment");
        }
        return convert::messages(header, loaded, &destination, &ending);
    }
    let mut sources = Vec::new();
    for loaded in &all {
        sources.push(source(&flags, loaded)?);
    }
    for source in &sources {
        print!("{}: {}", source.name.display(), tell::report(&source.timeline.report));
    }
    convert::convert(&sources, &destination, &ending, flags.metadata.as_deref())
}

/// Says what is in a recording.
fn look(flags: &Flags, loaded: &Loaded) -> anyhow::Result<()> {
    let (recording, header) = header(loaded)?;
    if flags.extended_json {
        println!("{}", tell::extended(&recording, clock_rate(&header).ok()));
    } else if flags.json {
        println!("{}", String::from_utf8_lossy(recording.header_text()));
    } else if flags.header {
        print!("{}", tell::header(&header));
    } else if header.medium == Medium::Data {
        println!("{}: {}", loaded.name.display(), tell::messages(recording));
    } else {
        print!("{}: {}", loaded.name.display(), tell::report(&source(flags, loaded)?.timeline.report));
    }
    Ok(())
}

fn header(loaded: &Loaded) -> anyhow::Result<(Reader<'_>, Header)> {
    let name = loaded.name.display();
    let recording = Reader::new(&loaded.bytes).with_context(|| format!("cannot use {name}"))?;
    let Some(header) = recording.header().cloned() else { bail!("{name} ended before its first frame") };
    Ok((recording, header))
}

fn source<'a>(flags: &Flags, loaded: &'a Loaded) -> anyhow::Result<Source<'a>> {
    let (recording, header) = header(loaded)?;
    let clock_rate = clock_rate(&header).with_context(|| format!("cannot use {}", loaded.name.display()))?;
    let choice = Choice { skip: flags.ignore_first, payload_type: flags.payload_type };
    let rotation = tell::rotation(&header, flags.videoorient_ext, recording.clone());
    let timeline = Timeline::read_some(recording, clock_rate, choice);
    Ok(Source { name: &loaded.name, header, clock_rate, timeline, rotation })
}

fn clock_rate(header: &Header) -> anyhow::Result<u32> {
    match (header.codec.as_str(), pcm::Decoder::of(&header.codec)) {
        ("opus" | "multiopus", _) => Ok(opus::CLOCK_RATE),
        (_, Some(decoder)) => Ok(decoder.clock_rate()),
        (codec, _) if frames::Codec::of(codec).is_some() => Ok(frames::CLOCK_RATE),
        (codec, _) => bail!("{codec} cannot be read: known are {}", formats::KNOWN),
    }
}

/// Ticks of a clock in microseconds.
fn micros(ticks: u64, clock_rate: u32) -> u64 {
    let us = u128::from(ticks) * 1_000_000 / u128::from(clock_rate.max(1));
    u64::try_from(us).unwrap_or(u64::MAX)
}
