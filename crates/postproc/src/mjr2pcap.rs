//! `mjr2pcap`: the packets of a recording as a capture, for whatever reads those.

use crate::output::{self, Output};
use anyhow::{Context, bail};
use clap::Parser;
use portunus_mjr::{Medium, Reader, pcap};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Makes a capture of a recording: each packet as a UDP datagram, at the time it came
#[derive(Parser, Debug)]
#[command(name = "mjr2pcap", version, max_term_width = 110)]
struct Flags {
    /// The recording, of sound or pictures
    #[arg(value_name = "source.mjr")]
    source: PathBuf,
    /// The file to make; it must not be there yet
    #[arg(value_name = "destination.pcap")]
    destination: PathBuf,
}

pub(crate) fn main() -> ExitCode {
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mjr2pcap: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> anyhow::Result<()> {
    let name = flags.source.display();
    let bytes = output::read(&flags.source)?;
    let mut recording = Reader::new(&bytes).with_context(|| format!("cannot use {name}"))?;
    let Some(header) = recording.header().cloned() else { bail!("{name} ended before its first frame") };
    if header.medium == Medium::Data {
        bail!("{name} holds messages, not packets");
    }
    let mut out = Output::create(&flags.destination)?;
    let mut piece = Vec::new();
    pcap::write_head(&mut piece);
    let mut packets = 0_u64;
    for frame in recording.by_ref() {
        pcap::write_datagram(
            &mut piece,
            header.first_frame.saturating_add(u64::from(frame.ms.unwrap_or(0)) * 1000),
            frame.bytes,
        );
        out.write_all(&piece)?;
        piece.clear();
        packets += 1;
    }
    out.write_all(&piece)?;
    out.finish()?;
    println!("{}: {packets} packets", flags.destination.display());
    if recording.left_over() > 0 {
        println!("{} bytes at the end are no whole frame: the recording was cut off", recording.left_over());
    }
    Ok(())
}
