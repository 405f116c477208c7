//! From recordings to a file.

use crate::formats::{self, Format};
use crate::output::{Output, Progress};
use crate::stream::{self, Stream};
use crate::{Loaded, Source};
use anyhow::{Context, bail};
use portunus_mjr::track::{Audio, Track};
use portunus_mjr::{Header, Medium, Reader, mp4, ogg, opus, srt, wav, webm};
use std::io::{BufWriter, Write};
use std::path::Path;

/// Makes a file of recordings.
///
/// # Errors
/// They cannot be made such a file, or it cannot be written.
pub fn convert(
    sources: &[Source<'_>],
    destination: &Path,
    ending: &str,
    comment: Option<&str>,
) -> anyhow::Result<()> {
    let begins: Vec<u64> =
        sources.iter().map(|s| s.timeline.begin(s.header.first_frame, s.clock_rate)).collect();
    let first = begins.iter().copied().min().unwrap_or(0);
    let mut streams = Vec::new();
    for (source, begin) in sources.iter().zip(&begins) {
        let mut stream =
            stream::read(source).with_context(|| format!("cannot use {}", source.name.display()))?;
        println!("{}: {}", source.name.display(), stream.said);
        stream.late = i64::try_from(begin.saturating_sub(first))?;
        streams.push(stream);
    }
    // What was before the first sample of all is no part of the file.
    let begin = streams.iter().map(Stream::begin).min().unwrap_or(0);
    streams.iter_mut().for_each(|s| s.late -= begin);
    let tracks: Vec<Track> = streams.iter().map(|s| s.track.clone()).collect();
    let format = formats::choose(ending, &tracks)?;
    if format == Format::Wav && comment.is_some() {
        bail!("a .wav takes no comment: .mka does");
    }
    let end = streams.iter().map(Stream::end).max().unwrap_or(0);
    let all = streams.iter().map(|s| s.bytes).sum();
    let whole = Whole { tracks, end, comment };
    let mut out = BufWriter::new(Output::create(destination)?);
    let mut progress = Progress::new("writing", all);
    match format {
        Format::Ogg => to_ogg(&mut out, &streams, comment, &mut progress)?,
        Format::Wav => to_wav(&mut out, &streams, all, &mut progress)?,
        Format::Matroska => to_webm(&mut out, &streams, &whole, &mut progress)?,
        Format::Mp4 => to_mp4(&mut out, &streams, &whole, &mut progress)?,
    }
    drop(progress);
    out.into_inner().map_err(|error| error.into_error())?.finish()?;
    println!("{}: {:.3} s", destination.display(), end as f64 / 1e6);
    Ok(())
}

/// Makes a file of messages: subtitles of text, and of others all bytes one after the other.
///
/// # Errors
/// Text is to be something else than `.srt`, or the file cannot be written.
pub fn messages(header: &Header, loaded: &Loaded, destination: &Path, ending: &str) -> anyhow::Result<()> {
    let mut recording = Reader::new(&loaded.bytes)?;
    let all: Vec<(u64, &[u8])> = recording.by_ref().filter_map(|frame| frame.message()).collect();
    let bytes = match (header.codec.as_str(), ending) {
        ("binary", _) => all.iter().flat_map(|(_, message)| message.iter().copied()).collect(),
        (_, "srt") => srt::write(&all).into_bytes(),
        _ => bail!("messages of text are made .srt"),
    };
    let mut out = Output::create(destination)?;
    out.write_all(&bytes)?;
    out.finish()?;
    println!("{}: {} messages", destination.display(), all.len());
    Ok(())
}

/// Whether the recordings are messages, which are made a file of their own.
///
/// # Errors
/// They are messages among others.
pub fn is_messages(headers: &[&Header]) -> anyhow::Result<bool> {
    match headers {
        [header] => Ok(header.medium == Medium::Data),
        all if all.iter().any(|h| h.medium == Medium::Data) => {
            bail!("messages are made a file of their own, of one recording")
        }
        _ => Ok(false),
    }
}

/// What is told of the whole file.
struct Whole<'a> {
    tracks: Vec<Track>,
    end: u64,
    comment: Option<&'a str>,
}

type Out = BufWriter<Output>;

fn to_ogg(
    out: &mut Out,
    streams: &[Stream<'_>],
    comment: Option<&str>,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let [stream @ Stream { track: Track::Audio(Audio::Opus(head)), .. }] = streams else {
        bail!("Ogg holds Opus only")
    };
    let mut writer = ogg::Writer::with_comment(out, head, comment)?;
    for sample in stream.samples() {
        writer.push(&sample.bytes, opus::duration(&sample.bytes))?;
        progress.add(sample.bytes.len() as u64);
    }
    writer.finish()?;
    Ok(())
}

fn to_wav(out: &mut Out, streams: &[Stream<'_>], bytes: u64, progress: &mut Progress) -> anyhow::Result<()> {
    let [stream @ Stream { track: Track::Audio(Audio::Pcm { rate, channels }), .. }] = streams else {
        bail!("WAVE holds samples only")
    };
    let head =
        wav::head(*rate, *channels, bytes).context("it is too long for .wav: .mka has no such limit")?;
    out.write_all(&head)?;
    for sample in stream.samples() {
        out.write_all(&sample.bytes)?;
        progress.add(sample.bytes.len() as u64);
    }
    Ok(())
}

fn to_webm(
    out: &mut Out,
    streams: &[Stream<'_>],
    whole: &Whole<'_>,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let mut writer = webm::Writer::new(out, &whole.tracks, whole.end)?;
    if let Some(comment) = whole.comment {
        writer.comment(comment)?;
    }
    stream::merged(streams, |sample| {
        progress.add(sample.bytes.len() as u64);
        Ok(writer.push(sample)?)
    })?;
    Ok(writer.finish()?)
}

fn to_mp4(
    out: &mut Out,
    streams: &[Stream<'_>],
    whole: &Whole<'_>,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let mut movie = mp4::Movie::new(&whole.tracks)?;
    if let Some(comment) = whole.comment {
        movie.comment(comment);
    }
    stream::merged(streams, |sample| {
        movie.add(sample);
        Ok(())
    })?;
    out.write_all(&movie.head(whole.end))?;
    stream::merged(streams, |sample| {
        progress.add(sample.bytes.len() as u64);
        Ok(out.write_all(sample.bytes)?)
    })
}
