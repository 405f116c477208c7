//! What it costs to record a stream, or to forward it once: CPU time of its worker and of the recorder's threads, per packet
//! for a receiver, beside the same without, in turns. Medians.
//!
//! Run: `cargo run --release -p portunus-benches --bin recording`

#![allow(clippy::print_stdout)]

use portunus_benches::{SSRC, video};
use portunus_media::bench::{Beside, Pace, Receivers, cpu_time_of_threads, publish_live};
use portunus_plugin::forward::{Forward, Layers};
use portunus_plugin::recording::{Format, Place, Places, Recording, Subject};
use portunus_plugin::{HandleId, RouteEnd};
use portunus_recorder::{Recorder, Settings};
use portunus_sdp::MediaKind;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// RTP payload of a packet that is 1,200 bytes long when sealed with AES-GCM.
const PAYLOAD: usize = 1200 - 12 - 16;
const RUNS: usize = 9;
/// 1.5 Mbit/s in 30 frames.
const PACE: Pace = Pace {
    packets: 5,
    apart: Duration::from_micros(40),
    frames: 90,
    every: Duration::from_millis(33),
    gather: Duration::ZERO,
};

fn main() -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("portunus-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = compare(&folder);
    std::fs::remove_dir_all(&folder)?;
    outcome
}

fn compare(folder: &Path) -> anyhow::Result<()> {
    let mut recorder = Recorder::start(Settings::default(), Arc::new(|_, _| {}))?;
    let places = Places::new(folder, &[folder.to_owned()], &[]);
    for receivers in [1, 10] {
        let [mut plain, mut mjr, mut film, mut forwarded] = [const { Vec::new() }; 4];
        for run in 0..RUNS {
            plain.push(measure(receivers, Beside::default())?);
            for (format, costs) in [(Format::Mjr, &mut mjr), (Format::Playable, &mut film)] {
                let name = format!("{}-{receivers}-{run}", format.name());
                let place = places.place(None, &name).map_err(|why| anyhow::anyhow!("{why}"))?;
                costs.push(recorded(&mut recorder, place, format, receivers)?);
            }
            // Nobody reads there: that costs the worker nothing.
            let deaf = UdpSocket::bind(("127.0.0.1", 0))?;
            let forwards = vec![forward(&deaf)?];
            forwarded.push(measure(receivers, Beside { forwards, ..Beside::default() })?);
        }
        let [plain, mjr, film, forwarded] = [plain, mjr, film, forwarded].map(median);
        println!(
            "{receivers:3} receivers: {plain:6.0} ns a packet, as MJR {mjr:6.0}: x {:.3}, to play at once {film:6.0}: x {:.3}, \
             forwarded {forwarded:6.0}: x {:.3}",
            mjr / plain,
            film / plain,
            forwarded / plain
        );
    }
    recorder.finish(Duration::from_secs(5));
    Ok(())
}

/// With the time of the recorder's threads.
fn recorded(recorder: &mut Recorder, place: Place, format: Format, receivers: usize) -> anyhow::Result<f64> {
    let source = RouteEnd::new(HandleId::from_random(7), "0");
    let (mjr, film) = match format {
        Format::Playable => (None, Some(place)),
        Format::Mjr | Format::Both => (Some(place), None),
    };
    let tape = recorder.begin(source.clone(), Recording { mjr, film, subject: subject() });
    let before = cpu_time_of_threads("recorder-")?;
    let worker = measure(receivers, Beside { tape, ..Beside::default() })?;
    // What waits is written, too.
    recorder.end(&source);
    std::thread::sleep(Duration::from_millis(700));
    Ok(worker + each(cpu_time_of_threads("recorder-")? - before, receivers))
}

fn measure(receivers: usize, beside: Beside) -> anyhow::Result<f64> {
    let mut all = Receivers::new(receivers)?;
    let spent = publish_live(&video(), PAYLOAD, 1, &mut all, SSRC, PACE, beside)?;
    Ok(each(spent.iter().map(|live| live.cpu).sum(), receivers))
}

/// In ns, of each packet for a receiver.
fn each(spent: Duration, receivers: usize) -> f64 {
    spent.as_nanos() as f64 / (PACE.packets * PACE.frames * receivers) as f64
}

fn forward(to: &UdpSocket) -> anyhow::Result<Forward> {
    Ok(Forward {
        id: 1,
        to: to.local_addr()?,
        payload_type: None,
        ssrc: None,
        layers: Layers::All,
        key: None,
        feedback: None,
    })
}

fn subject() -> Subject {
    Subject {
        kind: MediaKind::Video,
        codec: "vp8".to_owned(),
        fmtp: None,
        description: None,
        extensions: Vec::new(),
        red: None,
        encrypted: false,
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
