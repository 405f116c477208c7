//! From recordings to a file, by what they hold and how the file is to end.

use crate::frames::{self, Codec, Pictures};
use crate::webm::{self, Block, Track};
use crate::{Source, ogg};
use anyhow::{Context, bail};
use portunus_mjr::Medium;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Pictures without one after them are seen for so long.
const LAST_PICTURE_MS: u64 = 33;

pub fn convert(sources: &[Source<'_>], destination: &Path) -> anyhow::Result<()> {
    if let Some(source) = sources.iter().find(|s| s.header.encrypted) {
        bail!(
            "the {} is encrypted end to end: only those who have the key can play it",
            source.header.medium
        );
    }
    let ending = destination.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let codecs: Vec<&str> = sources.iter().map(|s| s.header.codec.as_str()).collect();
    match (codecs.as_slice(), ending, sources) {
        (["opus"], "opus" | "ogg", [source]) => {
            let mut out = make(destination)?;
            let written = ogg::write(&mut out, &source.timeline)?;
            out.flush()?;
            let seconds = written.samples as f64 / f64::from(ogg::CLOCK_RATE);
            println!("{} packets, {} filled in, {seconds:.3} s", written.packets, written.filled);
            Ok(())
        }
        (["vp8" | "vp9"] | ["opus", "vp8" | "vp9"] | ["vp8" | "vp9", "opus"], "webm", _) => {
            to_webm(sources, destination)
        }
        (codecs, ending, _) => bail!(
            "{} cannot be made a .{ending} yet: opus can be made .opus or .ogg, vp8 and vp9 .webm, alone or with opus",
            codecs.join(" and ")
        ),
    }
}

fn make(destination: &Path) -> anyhow::Result<BufWriter<File>> {
    let file =
        File::create_new(destination).with_context(|| format!("cannot make {}", destination.display()))?;
    Ok(BufWriter::new(file))
}

fn to_webm(sources: &[Source<'_>], destination: &Path) -> anyhow::Result<()> {
    let begins: Vec<u64> =
        sources.iter().map(|s| s.timeline.begin(s.header.first_frame, s.clock_rate)).collect();
    let first = begins.iter().copied().min().unwrap_or(0);
    let pictures: Vec<Option<Pictures>> =
        sources.iter().map(|s| Some(frames::read(Codec::of(&s.header.codec)?, &s.timeline))).collect();
    let (mut tracks, mut blocks, mut end) = (Vec::new(), Vec::new(), 0);
    for (track, ((source, pictures), begin)) in sources.iter().zip(&pictures).zip(&begins).enumerate() {
        let late = begin.saturating_sub(first) / 1000;
        let ms = |time: u64| late + time * 1000 / u64::from(source.clock_rate);
        if let (Medium::Video, Some(pictures)) = (source.header.medium, pictures) {
            let Some((_, width, height)) = pictures.sizes.first().copied() else {
                bail!("there is no whole keyframe in the pictures")
            };
            let codec = if source.header.codec == "vp8" { "V_VP8" } else { "V_VP9" };
            tracks.push(Track::Video { codec, width, height });
            blocks.extend(pictures.frames.iter().map(|f| Block {
                track,
                ms: ms(f.time),
                keyframe: f.keyframe,
                bytes: &f.bytes,
            }));
            end = end.max(pictures.frames.last().map_or(0, |f| ms(f.time) + LAST_PICTURE_MS));
            let (count, sizes) = (pictures.frames.len(), pictures.sizes.len());
            println!(
                "{count} pictures of {sizes} sizes, {} incomplete and {} before the first keyframe left out",
                pictures.incomplete, pictures.early
            );
        } else {
            let channels = ogg::channels(&source.timeline);
            tracks.push(Track::Opus { head: ogg::head(channels), channels });
            for packet in source.timeline.packets.iter().filter(|p| ogg::duration(p.payload) > 0) {
                let block = Block { track, ms: ms(packet.time), keyframe: true, bytes: packet.payload };
                end = end.max(block.ms + ogg::duration(packet.payload) / 48);
                blocks.push(block);
            }
        }
    }
    blocks.sort_by_key(|b| b.ms);
    let mut out = make(destination)?;
    webm::write(&mut out, &tracks, &blocks, end)?;
    out.flush()?;
    println!("{:.3} s", end as f64 / 1000.0);
    Ok(())
}
