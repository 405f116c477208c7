//! `pcap2mjr`: the RTP packets of one sender in a capture, as a recording.

use crate::output::{self, Output};
use anyhow::{Context, bail};
use clap::Parser;
use portunus_mjr::pcap::{Datagram, Reader};
use portunus_mjr::{Header, LONGEST_FRAME, MAGIC, Medium, write_frame, write_header};
use portunus_rtp::codec::{Codec, MediaKind};
use portunus_rtp::packet::{RtpHeader, is_rtcp};
use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Makes a recording of the RTP packets of one sender in a capture
#[derive(Parser, Debug)]
#[command(name = "pcap2mjr", version, max_term_width = 110)]
struct Flags {
    /// The codec of the packets: opus, vp8, ...
    #[arg(short, long)]
    codec: String,
    /// The sender (SSRC); 0: the one of whom there are most
    #[arg(short, long, default_value_t = 0)]
    ssrc: u32,
    /// Tell each packet that is left out
    #[arg(short, long)]
    warnings: bool,
    /// The capture, of the classic format
    #[arg(value_name = "source.pcap")]
    source: PathBuf,
    /// The file to make; it must not be there yet
    #[arg(value_name = "destination.mjr")]
    destination: PathBuf,
}

pub(crate) fn main() -> ExitCode {
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pcap2mjr: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> anyhow::Result<()> {
    let Some(medium) = medium(&flags.codec) else { bail!("no codec is called {}", flags.codec) };
    let name = flags.source.display();
    let bytes = output::read(&flags.source)?;
    let mut capture = Reader::new(&bytes).with_context(|| format!("cannot use {name}"))?;
    let datagrams: Vec<Datagram<'_>> = capture.by_ref().collect();
    let ssrc = match flags.ssrc {
        0 => busiest(&datagrams).with_context(|| format!("there is no RTP in {name}"))?,
        given => given,
    };
    let of_sender = |d: &&Datagram<'_>| sender(d.bytes) == Some(ssrc) && d.bytes.len() <= LONGEST_FRAME;
    let packets: Vec<&Datagram<'_>> = datagrams.iter().filter(of_sender).collect();
    if flags.warnings {
        for left_out in datagrams.iter().filter(|d| !of_sender(d)) {
            match sender(left_out.bytes) {
                Some(other) => eprintln!("{} us: a packet of SSRC {other}", left_out.time),
                None => eprintln!("{} us: {} bytes that are no RTP", left_out.time, left_out.bytes.len()),
            }
        }
    }
    // Packets of several cards may not stand in the order they came in.
    let Some(first) = packets.iter().map(|d| d.time).min() else {
        bail!("there is no packet of SSRC {ssrc} in {name}")
    };
    let mut header = Header::new(medium, flags.codec.to_ascii_lowercase());
    (header.created, header.first_frame) = (first, first);
    let mut out = Output::create(&flags.destination)?;
    let mut piece = MAGIC.to_vec();
    write_header(&mut piece, &header)?;
    for packet in &packets {
        write_frame(
            &mut piece,
            u32::try_from((packet.time - first) / 1000).unwrap_or(u32::MAX),
            packet.bytes,
        )?;
        out.write_all(&piece)?;
        piece.clear();
    }
    out.finish()?;
    let all = datagrams.len() as u64 + capture.passed_over;
    println!("{}: {} packets of SSRC {ssrc}, of {all} in all", flags.destination.display(), packets.len());
    if capture.left_over() > 0 {
        println!("{} bytes at the end are no whole packet: the capture was cut off", capture.left_over());
    }
    Ok(())
}

fn medium(codec: &str) -> Option<Medium> {
    if codec.eq_ignore_ascii_case("g711") {
        return Some(Medium::Audio);
    }
    match Codec::from_janus(codec)? {
        Codec::Red | Codec::TelephoneEvent => None,
        codec if codec.media() == MediaKind::Video => Some(Medium::Video),
        _ => Some(Medium::Audio),
    }
}

/// The SSRC of an RTP packet.
fn sender(bytes: &[u8]) -> Option<u32> {
    if is_rtcp(*bytes.first_chunk()?) {
        return None;
    }
    RtpHeader::parse(bytes).ok().map(|header| header.ssrc)
}

/// The SSRC of which there are most packets, of several the first.
fn busiest(datagrams: &[Datagram<'_>]) -> Option<u32> {
    let mut counts: HashMap<u32, u64> = HashMap::new();
    let senders: Vec<u32> = datagrams.iter().filter_map(|d| sender(d.bytes)).collect();
    senders.iter().for_each(|ssrc| *counts.entry(*ssrc).or_default() += 1);
    let most = counts.values().max()?;
    senders.iter().copied().find(|ssrc| counts.get(ssrc) == Some(most))
}
