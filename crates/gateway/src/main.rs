//! Portunus, a WebRTC media gateway that speaks the Janus API: settings, build, run, drain.

mod announce;
mod control;
mod flags;
mod logging;
mod process;
mod questions;
mod settings;
mod signals;
mod store;
mod wiring;

use crate::announce::say;
use crate::flags::Flags;
use crate::logging::LogControl;
use crate::settings::{Disk, Settings};
use crate::signals::Signals;
use anyhow::Context;
use portunus_core::Core;
use portunus_plugin::json;
use portunus_telemetry::events::{Event, EventType, Handlers};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long connections and peers get to end in good order.
const DRAIN: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let flags = match Flags::read(std::env::args_os()) {
        Ok(flags) => flags,
        Err(stop) => return announce::stop(&stop),
    };
    let environment = |name: &str| std::env::var(name).ok();
    if flags.check_config {
        let outcome = settings::check(&flags, &environment, &Disk, &mut std::io::stdout());
        return outcome.map_or(ExitCode::FAILURE, announce::exit_code);
    }
    let (settings, problems) = match settings::load(&flags, &environment, &Disk) {
        Ok(loaded) => loaded,
        Err(problems) => return announce::refuse(&problems),
    };
    let outcome = logging::start(&settings.general.log).and_then(|log| {
        announce::log(&problems);
        run(&settings, log)
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => announce::fail(&error),
    }
}

fn run(settings: &Settings, log: LogControl) -> anyhow::Result<()> {
    process::check_open_files(settings.general.check_openfiles_limit)?;
    let _pid_file = process::lock_pid_file(settings.general.pid_file.as_deref())?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(serve(settings, log))?;
    say("Bye!");
    Ok(())
}

/// From the first port to the last signal.
async fn serve(settings: &Settings, log: LogControl) -> anyhow::Result<()> {
    let mut signals = Signals::catch()?;
    let handlers = Handlers::start(settings.handlers.clone(), &settings.general.server_name);
    let (media_events, heard) = mpsc::channel(control::MEDIA_EVENTS);
    let engine = wiring::start_engine(settings, media_events).context("cannot start the media engine")?;
    let core = Core::new(
        wiring::core(settings, &engine),
        wiring::plugins(settings),
        wiring::random(),
        Instant::now(),
    );
    handlers.tell(Event::of(
        EventType::Core,
        Some(1),
        json!({ "status": "started", "info": core.server_info() }),
    ));
    let transport = wiring::transport(settings, wiring::observer(settings, &handlers))?;
    let mailboxes = portunus_transport::Mailboxes::new(transport.limits.clone());
    let queries = portunus_transport::Queries::new(&transport, mailboxes.counters().clone());
    let (requests, asked) = mpsc::channel(control::REQUESTS);
    let media_addresses = engine.local_addresses().to_vec();
    let store = store::Store::new(settings.general.configs_folder.clone());
    let mut control = control::spawn(
        core,
        engine,
        (mailboxes.clone(), queries, handlers.clone()),
        store,
        log,
        asked,
        heard,
    );
    let running = portunus_transport::start(transport, requests, mailboxes).await?;
    announce::ready(settings, &running, &media_addresses);

    let signal = signals.stop(|| running.reload_certificates()).await;
    handlers.tell(Event::of(EventType::Core, Some(2), json!({ "status": "shutdown", "signum": signal })));
    say("Stopping server, please wait...");
    control.close_sessions();
    running.shutdown(DRAIN).await;
    let engine = control.end().await.context("the control task failed")?;
    tokio::task::spawn_blocking(move || engine.shutdown(DRAIN)).await?;
    handlers.finish(DRAIN).await;
    Ok(())
}
