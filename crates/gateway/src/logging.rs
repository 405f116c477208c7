//! Where log lines go and how they look.
//!
//! `portunus.log_format = "json"` makes each line a JSON object, for machines that read it. More is told of handles an operator
//! has named. A kind of line that comes too often is left out for the rest of the second, and counted.

mod gate;

use crate::settings::Log;
use anyhow::Context;
use gate::Gate;
use portunus_core::Tuning;
use portunus_plugin::HandleId;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

/// One way out of the log.
type Sink<S> = Box<dyn Layer<S> + Send + Sync>;
/// What the sinks stand on.
type Filtered = Layered<Gate, Layered<reload::Layer<Targets, Registry>, Registry>>;

/// The log while it runs: what can be changed, and how.
pub(crate) struct LogControl {
    log: Log,
    json: bool,
    file: Option<Arc<File>>,
    level: reload::Handle<Targets, Registry>,
    gate: Gate,
    handles: BTreeMap<HandleId, u8>,
    sinks: reload::Handle<Vec<Sink<Filtered>>, Filtered>,
}

/// Sets up the log of the process; once.
///
/// # Errors
/// The log file cannot be opened.
pub(crate) fn start(log: &Log, json: bool) -> anyhow::Result<LogControl> {
    let file = match &log.to_file {
        Some(path) => Some(open(path)?),
        None => None,
    };
    let (filter, level) = reload::Layer::new(levels(log.level));
    let (layers, sinks) = reload::Layer::new(sinks_of(log, json, file.as_ref()));
    let gate = Gate::new(level_of(log.level));
    tracing_subscriber::registry().with(filter).with(gate.clone()).with(layers).try_init()?;
    Ok(LogControl { log: log.clone(), json, file, level, gate, handles: BTreeMap::new(), sinks })
}

impl LogControl {
    /// Opens the log file anew: it may have been renamed. It goes on as it was if that fails.
    pub(crate) fn reopen(&mut self) {
        let Some(path) = &self.log.to_file else { return };
        match open(path) {
            Ok(file) => {
                self.file = Some(file);
                let sinks = sinks_of(&self.log, self.json, self.file.as_ref());
                if let Err(error) = self.sinks.reload(sinks) {
                    tracing::warn!(%error, "the log cannot be changed");
                }
            }
            Err(error) => tracing::error!(%error, "the log goes on in the old file"),
        }
    }

    /// Changes the log to what an operator wants. It goes on as it was if it cannot be changed.
    pub(crate) fn tune(&mut self, tuning: &Tuning) {
        let before = (self.log.level, self.log.timestamps, self.log.colors);
        (self.log.level, self.log.timestamps, self.log.colors) =
            (tuning.log_level, tuning.log_timestamps, tuning.log_colors);
        let mut outcome = Ok(());
        if before.0 != self.log.level || self.handles != tuning.log_handles {
            self.handles.clone_from(&tuning.log_handles);
            let names = self.handles.iter().map(|(handle, level)| (handle.to_string(), level_of(*level)));
            self.gate.set(level_of(self.log.level), names.collect());
            // What is told of one handle must get as far as the gate.
            let most = self.handles.values().copied().fold(self.log.level, u8::max);
            outcome = self.level.reload(levels(most));
        }
        if (before.1, before.2) != (self.log.timestamps, self.log.colors) {
            let sinks = sinks_of(&self.log, self.json, self.file.as_ref());
            outcome = outcome.and(self.sinks.reload(sinks));
        }
        if let Err(error) = outcome {
            tracing::warn!(%error, "the log cannot be changed");
        }
    }
}

/// A line of an operator, at one of Janus' levels. Line breaks and other controls would forge lines: they become spaces.
pub(crate) fn custom(level: u8, line: &str) {
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match level {
        0..=2 => tracing::error!("{line}"),
        3 => tracing::warn!("{line}"),
        4 => tracing::info!("{line}"),
        5 => tracing::debug!("{line}"),
        _ => tracing::trace!("{line}"),
    }
}

fn open(path: &Path) -> anyhow::Result<Arc<File>> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.with_context(|| format!("cannot open the log file {}", path.display()))?;
    Ok(Arc::new(file))
}

fn sinks_of(log: &Log, json: bool, file: Option<&Arc<File>>) -> Vec<Sink<Filtered>> {
    let colors = log.colors && std::io::stdout().is_terminal();
    let to_stdout = log.to_stdout.then(|| sink(log, json, colors, std::io::stdout));
    let to_file = file.map(|file| sink(log, json, false, Arc::clone(file)));
    to_stdout.into_iter().chain(to_file).collect()
}

fn sink<S, W>(log: &Log, json: bool, colors: bool, writer: W) -> Sink<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    if json {
        return fmt::layer().json().flatten_event(true).with_writer(writer).boxed();
    }
    let head = Head { timestamps: log.timestamps, prefix: log.prefix.clone().unwrap_or_default() };
    fmt::layer().with_timer(head).with_ansi(colors).with_target(false).with_writer(writer).boxed()
}

/// What stands before each line.
struct Head {
    timestamps: bool,
    prefix: String,
}

impl FormatTime for Head {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        w.write_str(&self.prefix)?;
        if self.timestamps { SystemTime.format_time(w) } else { Ok(()) }
    }
}

/// What each part may say. The protocol crates warn of every hostile packet, which an attacker could use to fill a
/// disk; crate `is` shows ICE passwords from level trace on.
fn levels(level: u8) -> Targets {
    let wanted = level_of(level);
    let quiet = ["rtc_dtls", "rtc_sctp", "rtc_datachannel", "rtc_mdns", "rtc_shared", "rtc_crypto"];
    Targets::new()
        .with_default(wanted)
        .with_targets(quiet.map(|target| (target, wanted.min(LevelFilter::ERROR))))
        .with_target("is", wanted.min(LevelFilter::DEBUG))
}

/// Janus' levels: 0 nothing, 1 fatal, 2 errors, 3 warnings, 4 what happens, 5 to 7 more and more detail.
fn level_of(level: u8) -> LevelFilter {
    match level {
        0 => LevelFilter::OFF,
        1 | 2 => LevelFilter::ERROR,
        3 => LevelFilter::WARN,
        4 => LevelFilter::INFO,
        5 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn no_level_lets_the_protocol_crates_fill_the_log_or_show_ice_passwords() {
        for level in 0..=7 {
            let levels = levels(level);
            assert!(!levels.would_enable("rtc_dtls::conn", &Level::WARN));
            assert!(!levels.would_enable("rtc_sctp", &Level::WARN));
            assert!(!levels.would_enable("is::agent", &Level::TRACE));
        }
        assert!(levels(4).would_enable("portunus_media", &Level::INFO));
        assert!(!levels(4).would_enable("portunus_media", &Level::DEBUG));
        assert!(levels(7).would_enable("portunus_core", &Level::TRACE));
        assert!(!levels(0).would_enable("portunus_core", &Level::ERROR));
    }
}
