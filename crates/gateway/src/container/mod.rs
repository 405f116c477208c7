//! The container: what `portunus start` does before it serves, and `portunus healthcheck`.
//!
//! The order is that of the community's Janus container: build information, parameters, samples, configuration folder,
//! generator script, then the gateway in `/janus/bin`. No shell takes part, so that it works in an image that has nothing
//! but this binary; only a generator script brings its own interpreter.
//!
//! All paths stand below one root folder, `/` unless `PORTUNUS_CONTAINER_ROOT` names another, for tests.

mod health;
mod samples;
mod script;
mod shown;
#[cfg(test)]
mod tests;

pub(crate) use health::healthcheck;

use crate::announce;
use crate::flags::Flags;
use crate::settings::{self, ContainerDefaults, Settings};
use crate::signals::Signals;
use crate::{Early, runtime};
use rustix::process::{WaitOptions, getpid, set_child_subreaper, wait};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long the end may take when a signal comes during the preparations: the generator script gets this long to go.
const FAREWELL: Duration = Duration::from_secs(4);

type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Why the container does not start.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    /// Exit code.
    code: i32,
    text: String,
}

impl Failure {
    fn new(text: impl Into<String>) -> Self {
        Self { code: 1, text: text.into() }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Where everything is.
#[derive(Debug, Clone)]
struct Layout {
    root: PathBuf,
}

impl Layout {
    fn of(env: Env<'_>) -> Self {
        Self {
            root: env("PORTUNUS_CONTAINER_ROOT").filter(|text| !text.is_empty()).unwrap_or("/".into()).into(),
        }
    }

    /// `path` has no slash in front.
    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn samples(&self) -> PathBuf {
        self.at("janus/html")
    }

    fn html(&self) -> PathBuf {
        self.at("html")
    }

    fn fallback(&self) -> PathBuf {
        self.at("janus/etc/janus_fallback")
    }

    fn work(&self) -> PathBuf {
        self.at("janus/bin")
    }

    /// The folder of the configuration: that of option or environment, else the host's or the image's.
    fn configuration(&self, flags: &Flags, parameters: &Parameters, env: Env<'_>) -> PathBuf {
        let of_image = if parameters.host_configuration { "janus/etc/janus_host" } else { "janus/etc/janus" };
        settings::named_folder(flags, env).unwrap_or_else(|| self.at(of_image))
    }

    /// The pages that are served: what is mounted at `/html`, else the image's.
    fn demos(&self) -> Option<PathBuf> {
        [self.html(), self.samples()].into_iter().find(|folder| has_files(folder))
    }
}

/// Names with a dot in front are nobody's pages.
fn has_files(folder: &Path) -> bool {
    let visible = |entry: io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
    };
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.any(visible))
}

/// What the environment asks of the start itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Parameters {
    copy_samples: bool,
    host_configuration: bool,
    /// Name of a file in the configuration folder.
    script: Option<String>,
}

impl Parameters {
    fn read(env: Env<'_>) -> Result<Self, Failure> {
        let is_true = |name| env(name).is_some_and(|text| portunus_jcfg::text_is_true(text.trim()));
        let script = env("CONFIG_GEN_SCRIPT").filter(|name| !name.trim().is_empty());
        if let Some(name) = script.as_ref().filter(|name| name.contains('/') || name.starts_with('.')) {
            return Err(Failure::new(format!(
                "CONFIG_GEN_SCRIPT must be the name of a file in the configuration folder, without slashes and without a \
                 dot in front, not `{name}`"
            )));
        }
        Ok(Self {
            copy_samples: is_true("COPY_JANUS_SAMPLES"),
            host_configuration: is_true("RUN_WITH_HOST_CONFIGURATION_DIR"),
            script,
        })
    }
}

/// Does what comes before serving, and puts the container's defaults into `flags`. `Err`: the exit code.
pub(crate) fn start(flags: &mut Flags, env: Env<'_>) -> Result<Early, ExitCode> {
    try_start(flags, env).map_err(|Failure { code, text }| {
        announce::complain(&text);
        announce::exit_code(code)
    })
}

fn try_start(flags: &mut Flags, env: Env<'_>) -> Result<Early, Failure> {
    let layout = Layout::of(env);
    let parameters = Parameters::read(env)?;
    // What a script leaves behind comes to us even when an init process stands above.
    if let Err(error) = set_child_subreaper(Some(getpid())) {
        announce::complain(&format!("orphans of the generator script are left to others: {error}"));
    }
    let runtime = runtime()?;
    // The first process of a container gets only the signals that it has asked for.
    let mut signals = runtime.block_on(async { Signals::catch() })?;
    let shown = shown::parameters(env);
    let wanted = layout.configuration(flags, &parameters, env);
    let stop = Arc::new(AtomicBool::new(false));
    let outcome = runtime.block_on(async {
        let (layout, stopped) = (layout.clone(), Arc::clone(&stop));
        let mut work = tokio::task::spawn_blocking(move || {
            prepare(&layout, &parameters, &shown, wanted, &stopped, &mut Told)
        });
        tokio::select! {
            done = &mut work => done.unwrap_or_else(|error| Err(Failure::new(error.to_string()))),
            signal = signals.stop() => {
                stop.store(true, Ordering::Relaxed);
                let _ = tokio::time::timeout(FAREWELL, work).await;
                Err(Failure { code: 128 + signal, text: "Stopped before it was started.".to_owned() })
            }
        }
    });
    let outcome = outcome.and_then(|folder| {
        adopt(flags, &layout, folder);
        reap();
        let work = layout.work();
        std::env::set_current_dir(&work).map_err(|error| {
            let work = work.display();
            Failure::new(format!("cannot work in {work}: {error} (`portunus start` is for the container)"))
        })
    });
    match outcome {
        Ok(()) => Ok(Early { runtime, signals }),
        Err(failure) => {
            // A copy that hangs on a dead network disk is not waited for.
            runtime.shutdown_background();
            Err(failure)
        }
    }
}

/// The standard output. Nobody listening is no reason to fail.
struct Told;

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stdout().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stdout().flush();
        Ok(())
    }
}

/// What `portunus -F <folder>` gets in the container.
fn adopt(flags: &mut Flags, layout: &Layout, folder: PathBuf) {
    flags.configs_folder = Some(folder.display().to_string());
    flags.container = Some(ContainerDefaults::new(layout.demos().as_deref()));
}

/// Everything up to the start of the gateway, in the order that users of Janus' container know. The result is the
/// configuration folder.
fn prepare(
    layout: &Layout,
    parameters: &Parameters,
    shown: &[String],
    wanted: PathBuf,
    stop: &AtomicBool,
    out: &mut dyn Write,
) -> Result<PathBuf, Failure> {
    head(out, "Build information")?;
    match std::fs::read_to_string(layout.at("build.info")) {
        Ok(text) => writeln!(out, "{}", text.trim_end())?,
        Err(_) => writeln!(out, "There is no /build.info.")?,
    }
    head(out, "Parameters")?;
    shown.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    if parameters.copy_samples {
        head(out, "Copying the samples to /html")?;
        writeln!(out, "{}", samples::copy(&layout.samples(), &layout.html(), stop))?;
    }
    head(out, "Configuration")?;
    writeln!(out, "Configuration folder: {}", wanted.display())?;
    let folder = match &parameters.script {
        Some(name) => generate(layout, wanted, name, stop, out)?,
        None => wanted,
    };
    head(out, "Starting the service")?;
    out.flush()?;
    Ok(folder)
}

fn head(out: &mut dyn Write, title: &str) -> io::Result<()> {
    writeln!(out, "\n{title}\n{}", "-".repeat(title.len()))
}

/// Runs the generator script where files can be written. The result is the folder it has run in.
fn generate(
    layout: &Layout,
    wanted: PathBuf,
    name: &str,
    stop: &AtomicBool,
    out: &mut dyn Write,
) -> Result<PathBuf, Failure> {
    let fallback = layout.fallback();
    if !wanted.join(name).is_file() {
        // Or the health check would look at what an earlier start left there.
        let _ = std::fs::remove_file(fallback.join(name));
        writeln!(out, "There is no {name} in it: nothing is generated.")?;
        return Ok(wanted);
    }
    let folder = match script::writable(&wanted) {
        Ok(()) => {
            // Or the health check would look there.
            let _ = std::fs::remove_file(fallback.join(name));
            wanted
        }
        Err(error) => {
            writeln!(out, "It cannot be written to ({error}): {} takes its place.", fallback.display())?;
            script::fill_fallback(&wanted, &fallback, name)?;
            fallback
        }
    };
    writeln!(out, "Running {} there ...", name)?;
    out.flush()?;
    script::run(&folder, name, script::LIMIT, stop)?;
    writeln!(out, "The configuration after it (what looks like a secret is masked):")?;
    for line in shown::folder(&folder) {
        writeln!(out, "{line}")?;
    }
    Ok(folder)
}

/// Says where missing certificates are to be mounted. What that means for the start is decided where they are used.
pub(crate) fn look_for_certificates(settings: &Settings) {
    let used = |on, files| Some(files).filter(|_| on).and_then(Option::as_ref);
    let http = settings.http.api.secure.is_some() || settings.http.admin.secure.is_some();
    let websockets = settings.websockets.api.secure.is_some() || settings.websockets.admin.secure.is_some();
    let all = [
        used(true, &settings.certificates.files),
        used(http, &settings.http.certificate),
        used(websockets, &settings.websockets.certificate),
    ];
    let mut missing: Vec<_> = all
        .into_iter()
        .flatten()
        .flat_map(|files| [&files.pem, &files.key])
        .filter(|path| matches!(path.try_exists(), Ok(false)))
        .collect();
    missing.sort();
    missing.dedup();
    for path in missing {
        let folder = path.parent().unwrap_or(Path::new("/")).display();
        tracing::error!(
            "{} is missing: mount the folder of your certificates, as in `-v /etc/letsencrypt/live/<host>:{folder}:ro` \
             (its links must lead somewhere inside the container, too)",
            path.display()
        );
    }
}

/// Buries what a generator script left behind: orphans become children of the first process. Nothing else here has
/// children whose end somebody waits for.
pub(crate) fn reap() {
    while let Ok(Some((pid, _))) = wait(WaitOptions::NOHANG) {
        tracing::debug!(pid = pid.as_raw_nonzero().get(), "a process of the generator script has ended");
    }
}
