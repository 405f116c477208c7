//! What a recording holds, in words and as JSON.

use portunus_mjr::timeline::{Report, Timeline};
use portunus_mjr::{Header, Medium, Reader};
use portunus_rtp::extension::{Extensions, VideoOrientation};
use portunus_rtp::packet::RtpView;
use serde_json::{Value, json};
use std::fmt::Write;

/// How pictures are turned (3GPP TS 26.114 section 7.4.5).
const ORIENTATION: &str = "urn:3gpp:video-orientation";

/// The header, a line for each thing that it tells.
pub fn header(header: &Header) -> String {
    let mut said = format!("{}: {}\n", header.medium, printable(&header.codec));
    for (what, text) in [("fmtp", &header.fmtp), ("description", &header.description)] {
        if let Some(text) = text {
            let _ = writeln!(said, "{what}: {}", printable(text));
        }
    }
    for (id, uri) in &header.extensions {
        let _ = writeln!(said, "extension {id}: {}", printable(uri));
    }
    if let Some(red) = header.red {
        let _ = writeln!(said, "opus/red: payload type {red}");
    }
    let wait = header.first_frame.saturating_sub(header.created);
    let _ = writeln!(said, "created: {} us, first frame {wait} us later", header.created);
    if header.encrypted {
        said.push_str("encrypted end to end\n");
    }
    said
}

/// A publisher's text, for a terminal: without what that would obey.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// What became of packets.
pub fn report(report: &Report) -> String {
    let Report {
        frames,
        broken,
        others,
        repeated,
        late,
        lost,
        recovered,
        gaps,
        longest,
        leaps,
        drift_ppb,
        left_over,
    } = report;
    let mut said = format!("{frames} frames, {lost} lost, {late} late, {repeated} repeated, {broken} broken");
    if *others > 0 {
        let _ = write!(said, ", {others} left out");
    }
    said.push('\n');
    if *recovered > 0 {
        let _ = writeln!(said, "{recovered} of the lost came again with later ones");
    }
    if let Some(longest) = longest {
        let at = longest.at_ms as f64 / 1000.0;
        let _ = writeln!(said, "{gaps} gaps, the longest of {} ms at {at:.3} s", longest.ms);
    }
    if *leaps > 0 {
        let _ = writeln!(said, "the sender's clock leapt {leaps} times");
    }
    if *drift_ppb != 0 {
        let word = if *drift_ppb > 0 { "slower" } else { "faster" };
        let ppm = drift_ppb.unsigned_abs() as f64 / 1000.0;
        let _ = writeln!(said, "the sender's clock is {word} than ours by {ppm:.0} millionths: corrected");
    }
    if *left_over > 0 {
        let _ = writeln!(said, "{left_over} bytes at the end are no whole frame: the recording was cut off");
    }
    said
}

/// What there is of messages.
pub fn messages(mut recording: Reader<'_>) -> String {
    let count = recording.by_ref().filter(|frame| frame.message().is_some()).count();
    let mut said = format!("{count} messages");
    if recording.left_over() > 0 {
        let _ = write!(said, ", cut off: {} bytes at the end are no whole one", recording.left_over());
    }
    said
}

/// The header, and how much there is: packets or messages, and the seconds they take.
pub fn extended(recording: &Reader<'_>, clock_rate: Option<u32>) -> String {
    let mut header: Value = serde_json::from_slice(recording.header_text()).unwrap_or_default();
    let (packets, seconds) = match clock_rate {
        Some(rate) => {
            let timeline = Timeline::read(recording.clone(), rate);
            let times = timeline.packets.iter().map(|p| p.time);
            let span = times.clone().max().unwrap_or(0) - times.min().unwrap_or(0);
            (timeline.packets.len(), span as f64 / f64::from(rate))
        }
        None => {
            let times: Vec<u64> = recording.clone().filter_map(|f| f.message()).map(|(at, _)| at).collect();
            // As long as it was recorded, not from the first message on.
            let created = recording.header().map_or(0, |h| h.created);
            let span = times.iter().max().unwrap_or(&created).saturating_sub(created);
            (times.len(), span as f64 / 1e6)
        }
    };
    if let Some(header) = header.as_object_mut() {
        header.insert("extended".into(), json!({ "packets": packets, "duration": seconds }));
    }
    header.to_string()
}

/// How the first pictures are turned, clockwise in degrees, by the extension the header names, or the one that is given.
pub fn rotation(header: &Header, given: Option<u8>, recording: Reader<'_>) -> u16 {
    let named = header.extensions.iter().find(|(_, uri)| uri == ORIENTATION).map(|(id, _)| *id);
    let Some(id) = given.or(named).filter(|id| *id != 0 && header.medium == Medium::Video) else { return 0 };
    let turned = recording.filter_map(|frame| {
        let view = RtpView::parse(frame.bytes).ok()?;
        let (_, value) = Extensions::of(&view).find(|(of, _)| *of == id)?;
        Some(VideoOrientation::parse(value)?.degrees)
    });
    turned.take(1).sum()
}
