//! `portunus-loadtest`: puts load on a Janus-API server and says what became of it (docs/loadtest.md).
//!
//! `options` is the command line, `run` what every scenario needs, `videoroom` and its neighbours are the scenarios.
//! Signalling (`api`) is asynchronous; media (`engine`) has threads of its own, each with its peers. `report` and `html`
//! say how it went.

mod api;
mod call;
mod churn;
mod clock;
mod display;
mod echotest;
mod engine;
mod histogram;
mod html;
mod idle;
mod options;
mod outcome;
mod process;
mod ramp;
mod report;
mod run;
mod seen;
mod setup;
mod signalling;
mod stamp;
mod videocall;
mod videoroom;

use anyhow::Context;
use clap::Parser;
use display::Display;
use engine::Engine;
use options::{Media, MediaArgs, Options, Scenario};
use outcome::Outcome;
use report::Report;
use run::Run;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Called wrongly.
const USAGE: u8 = 2;
/// Interrupted again while it ended.
const INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    let options = Options::parse();
    if let Err(wrong) = options.check() {
        eprintln!("portunus-loadtest: {wrong}");
        return ExitCode::from(USAGE);
    }
    process::raise_limits();
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("portunus-loadtest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether it went well.
fn run(options: &Options) -> anyhow::Result<bool> {
    // Before anything is done: a report that cannot be written is of no use in the end.
    for file in [&options.common.json, &options.common.html].into_iter().flatten() {
        write(file, "")?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let settings = options.media().map(MediaArgs::settings).unwrap_or_default();
    let threads = if options.media().is_some() { options.common.threads.unwrap_or(cores) } else { 1 };
    let engine = Engine::start(settings, threads)?;
    let (stopper, stop) = watch::channel(false);
    let report = runtime.block_on(async {
        let media = options.media().map_or_else(Media::default, MediaArgs::media);
        let run = Run::new(&options.common, media, Arc::clone(&engine), stop)?;
        let signals = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
        tokio::spawn(interrupted(stopper, signals));
        let mut display = Display::new();
        let ticker = tokio::spawn(Arc::clone(&run).tick(move |run, second| display.show(run, second)));
        let outcome = scenario(&run, options).await;
        ticker.abort();
        let totals = engine.snapshot(false).await.counters;
        let mut report = Report {
            scenario: options.name(),
            arguments: arguments(std::env::args().skip(1)),
            interrupted: run.stopped(),
            joined: run.setup.get(),
            series: run.seconds(),
            totals,
            outcome,
        };
        report.judge(&run.common);
        anyhow::Ok(report)
    });
    engine.end()?;
    let report = report?;
    if let Some(file) = &options.common.json {
        write(file, &(serde_json::to_string_pretty(&report.to_json())? + "\n"))?;
    }
    if let Some(file) = &options.common.html {
        write(file, &html::write(&report))?;
    }
    // Whoever reads only the first lines has closed the pipe: no reason to fail.
    let _ = writeln!(std::io::stdout(), "{}", report.to_text());
    Ok(report.outcome.wrong.is_empty())
}

async fn scenario(run: &Arc<Run>, options: &Options) -> Outcome {
    let outcome = match &options.scenario {
        Scenario::Videoroom(room) => match room.ramp {
            Some(ramp) => ramp::run(run, room, ramp).await,
            None => videoroom::run(run, room).await,
        },
        Scenario::Echotest(echo) => echotest::run(run, echo).await,
        Scenario::Videocall(calls) => videocall::run(run, calls).await,
        Scenario::Signalling(signalling) => signalling::run(run, signalling).await,
        Scenario::Churn(churn) => churn::run(run, churn).await,
        Scenario::Idle(idle) => idle::run(run, idle).await,
    };
    outcome.unwrap_or_else(|why| Outcome { wrong: vec![why.to_string()], ..Outcome::default() })
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// The command line without its secrets: a report is shown around.
fn arguments(all: impl Iterator<Item = String>) -> Vec<String> {
    const SECRET: [&str; 4] = ["--api-secret", "--token", "--admin-key", "--pin"];
    let mut shown = Vec::new();
    let mut hide = false;
    for argument in all {
        let name = argument.split('=').next().unwrap_or_default();
        shown.push(match (hide, SECRET.contains(&name)) {
            (true, _) => "...".to_owned(),
            (false, true) if argument.contains('=') => format!("{name}=..."),
            (false, _) => argument.clone(),
        });
        hide = !hide && SECRET.contains(&argument.as_str());
    }
    shown
}

/// The first signal ends it in order, the second at once.
async fn interrupted(stopper: watch::Sender<bool>, [mut interrupt, mut terminate]: [Signal; 2]) {
    let mut next = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    next().await;
    stopper.send_replace(true);
    // Whoever reads it may be gone.
    let _ = writeln!(std::io::stderr(), "portunus-loadtest: ending; once more ends it at once");
    next().await;
    std::process::exit(INTERRUPTED);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let given = ["churn", "--api-secret", "a", "--token=b", "--admin-key", "--pin", "--pid", "7"];
        let shown = arguments(given.into_iter().map(str::to_owned));
        assert_eq!(
            shown,
            ["churn", "--api-secret", "...", "--token=...", "--admin-key", "...", "--pid", "7"]
        );
    }
}
