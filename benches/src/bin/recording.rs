//! What it costs to record a stream: CPU time of its worker and of the recorder's threads, per packet the worker sent,
//! beside the same without a recording, in turns. Medians.
//!
//! Run: `cargo run --release -p portunus-benches --bin recording`

#![allow(clippy::print_stdout)]

use portunus_benches::{SSRC, video};
use portunus_media::bench::{Pace, Receivers, cpu_time_of_threads, publish_live};
use portunus_plugin::recording::{Places, Recording, Subject, Tape};
use portunus_plugin::{HandleId, RouteEnd};
use portunus_recorder::{Recorder, Settings};
use portunus_sdp::MediaKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// RTP payload of a packet that is 1,200 bytes long when sealed with AES-GCM.
const PAYLOAD: usize = 1200 - 12 - 16;
const RUNS: usize = 9;
/// 1.5 Mbit/s in 30 frames.
const PACE: Pace =
    Pace { packets: 5, apart: Duration::from_micros(40), frames: 90, every: Duration::from_millis(33) };

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
        let (mut plain, mut worker, mut writer) = (Vec::new(), Vec::new(), Vec::new());
        for run in 0..RUNS {
            plain.push(measure(receivers, None)?);
            let source = RouteEnd::new(HandleId::from_random(7), "0");
            let place =
                places.place(None, &format!("{receivers}-{run}")).map_err(|why| anyhow::anyhow!("{why}"))?;
            let tape = recorder.begin(source.clone(), Recording { place, subject: subject() });
            let before = cpu_time_of_threads("recorder-")?;
            worker.push(measure(receivers, tape)?);
            // The last quarter of a second is written, too.
            std::thread::sleep(Duration::from_millis(400));
            let packets = PACE.packets * PACE.frames * receivers;
            writer.push((cpu_time_of_threads("recorder-")? - before).as_nanos() as f64 / packets as f64);
            recorder.end(&source);
        }
        let [plain, worker, writer] = [plain, worker, writer].map(median);
        println!(
            "{receivers:3} receivers: {plain:6.0} ns a packet, recorded {worker:6.0} + {writer:4.0} of the recorder: x {:.3}",
            (worker + writer) / plain
        );
    }
    recorder.finish(Duration::from_secs(5));
    Ok(())
}

fn measure(receivers: usize, tape: Option<Arc<dyn Tape>>) -> anyhow::Result<f64> {
    let mut receivers = Receivers::new(receivers)?;
    let all = publish_live(&video(), PAYLOAD, 1, &mut receivers, SSRC, PACE, tape)?;
    let (cpu, sent) = all.iter().fold((Duration::ZERO, 0), |(cpu, sent), l| (cpu + l.cpu, sent + l.packets));
    Ok(cpu.as_nanos() as f64 / sent.max(1) as f64)
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
