//! Portunus, a WebRTC media gateway that speaks the Janus API: settings, build, run, drain.

mod announce;
mod captures;
mod container;
mod control;
mod doctor;
mod flags;
mod ice;
mod logging;
mod monitor;
mod networks;
mod process;
mod questions;
mod reach;
mod reload;
mod settings;
mod signals;
mod store;
mod turn_rest;
mod wiring;

use crate::announce::say;
use crate::captures::Captures;
use crate::control::{Control, Order};
use crate::flags::{Flags, Verb};
use crate::logging::LogControl;
use crate::monitor::{Reloads, Watch};
use crate::reach::Reach;
use crate::reload::Reloader;
use crate::settings::{Disk, Settings};
use crate::signals::{Asked, Signals};
use anyhow::Context;
use portunus_core::Core;
use portunus_plugin::json;
use portunus_plugin::recording::RecordingNews;
use portunus_plugin::{HandleId, MediaEvent, RouteEnd};
use portunus_recorder::Recorder;
use portunus_telemetry::events::{Event, EventType, Handlers};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long connections and peers get to end in good order.
const DRAIN: Duration = Duration::from_secs(3);

/// How long the STUN server gets to answer where it is required.
const STUN_PATIENCE: Duration = Duration::from_secs(5);

/// Its number is the same on every Linux.
const SIGTERM: i32 = 15;

fn main() -> ExitCode {
    let mut flags = match Flags::read(std::env::args_os()) {
        Ok(flags) => flags,
        Err(stop) => return announce::stop(&stop),
    };
    let environment = |name: &str| std::env::var(name).ok();
    let mut early = None;
    match flags.verb {
        Verb::Serve | Verb::Doctor => {}
        Verb::Healthcheck => return container::healthcheck(flags, &environment),
        Verb::Start => match container::start(&mut flags, &environment) {
            Ok(begun) => early = Some(begun),
            Err(code) => return code,
        },
    }
    if flags.check_config {
        let outcome = settings::check(&flags, &environment, &Disk, &mut std::io::stdout());
        return outcome.map_or(ExitCode::FAILURE, announce::exit_code);
    }
    if flags.verb == Verb::Doctor {
        return doctor::run(&flags, &mut std::io::stdout()).map_or(ExitCode::FAILURE, announce::exit_code);
    }
    let (settings, problems) = match settings::load(&flags, &environment, &Disk) {
        Ok(loaded) => loaded,
        Err(problems) => return announce::refuse(&problems),
    };
    let outcome = logging::start(&settings.general.log, settings.portunus.log_json).and_then(|log| {
        announce::log(&problems);
        monitor::started();
        if flags.container.is_some() {
            container::look_for_certificates(&settings);
        }
        run(flags, settings, log, early)
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => announce::fail(&error),
    }
}

/// A runtime that was needed before the settings were known, and the signals that it has caught.
struct Early {
    runtime: tokio::runtime::Runtime,
    signals: Signals,
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
}

fn run(flags: Flags, settings: Settings, log: LogControl, early: Option<Early>) -> anyhow::Result<()> {
    process::check_open_files(settings.general.check_openfiles_limit)?;
    let _pid_file = process::lock_pid_file(settings.general.pid_file.as_deref())?;
    let (runtime, signals) = match early {
        Some(Early { runtime, signals }) => (runtime, Some(signals)),
        None => (runtime()?, None),
    };
    runtime.block_on(serve(flags, settings, log, signals))?;
    say("Bye!");
    Ok(())
}

/// Starts what writes recordings; `events` is told what becomes of them.
fn start_recorder(
    settings: &Settings,
    events: mpsc::Sender<(HandleId, MediaEvent)>,
) -> anyhow::Result<Recorder> {
    let tell = move |source: RouteEnd, news: RecordingNews| {
        // The control task is far behind or gone: the log has said it as well.
        let _ = events.try_send((source.handle, MediaEvent::Recording { mid: source.mid, news }));
    };
    Recorder::start(wiring::recorder(settings), Arc::new(tell)).context("cannot start to record")
}

/// From the first port to the last signal.
async fn serve(
    flags: Flags,
    settings: Settings,
    log: LogControl,
    caught: Option<Signals>,
) -> anyhow::Result<()> {
    let mut signals = Signals::go_on(caught, settings.general.log.rotate_signal)?;
    stun_is_there(&settings).await?;
    let handlers = Handlers::start(settings.handlers.clone(), &settings.general.server_name);
    let (media_events, heard) = mpsc::channel(control::MEDIA_EVENTS);
    let recorder = start_recorder(&settings, media_events.clone())?;
    let recordings = recorder.counters().clone();
    let engine = wiring::start_engine(&settings, media_events).context("cannot start the media engine")?;
    let core = Core::new(
        wiring::core(&settings, &engine),
        wiring::plugins(&settings),
        wiring::random(),
        Instant::now(),
    );
    let started = json!({ "status": "started", "info": core.server_info() });
    handlers.tell(Event::of(EventType::Core, Some(1), started));
    let (transport, ice_servers) = ice::transport(&settings, &handlers)?;
    let mailboxes = portunus_transport::Mailboxes::new(transport.limits.clone());
    let queries = portunus_transport::Queries::new(&transport, mailboxes.counters().clone());
    let (requests, asked) = mpsc::channel(control::REQUESTS);
    let media_addresses = engine.local_addresses().to_vec();
    let (store, done) = store::Store::new(settings.general.configs_folder.clone());
    let reach = Reach::new(settings.portunus.forward_networks.clone(), store.outcomes());
    let workers = engine.statuses();
    let own = (mailboxes.clone(), queries, handlers.clone());
    let captures = Captures::new(settings.portunus.captures_folder.clone());
    let mut control =
        control::spawn(core, engine, own, (store, done, reach), (log, captures, recorder), (asked, heard));
    let transports = mailboxes.counters().clone();
    let running = portunus_transport::start(transport, requests, mailboxes).await?;
    let reloads = Arc::new(Reloads::default());
    let watch = Watch {
        census: control.census(),
        workers,
        transports,
        recordings,
        handlers: handlers.clone(),
        reloads: reloads.clone(),
        missing: running.problems().len(),
        commit: wiring::COMMIT,
    };
    let watched = open_metrics(&settings, watch).await?;
    announce::ready(&settings, &running, watched, &media_addresses);

    let mut reloader = Reloader::new(flags, settings, (reloads, ice_servers));
    let stop = wait(&mut signals, &mut control, &running, &mut reloader).await;
    handlers.tell(Event::of(
        EventType::Core,
        Some(2),
        json!({ "status": "shutdown", "signum": stop.signal }),
    ));
    drain(&mut signals, &control, stop.patience.unwrap_or_else(|| reloader.drain_timeout())).await;
    say("Stopping server, please wait...");
    // Whoever asks once more does not want to wait.
    tokio::spawn(async move {
        let _ = signals.stop().await;
        std::process::exit(1);
    });
    control.order(Order::Close).await;
    running.shutdown(DRAIN).await;
    let engine = control.end().await.context("the control task failed")?;
    tokio::task::spawn_blocking(move || engine.shutdown(DRAIN)).await?;
    handlers.finish(DRAIN).await;
    Ok(())
}

/// Asks the STUN server, if there shall be no start without it.
async fn stun_is_there(settings: &Settings) -> anyhow::Result<()> {
    let Some(server) = settings.nat.stun_server.clone().filter(|_| settings.portunus.stun_required) else {
        return Ok(());
    };
    let name = format!("{}:{}", server.host, server.port);
    let ask = move || portunus_media::ask_stun_server(&server.host, server.port, 0, STUN_PATIENCE);
    // Looking a name up has its own patience.
    let answer = tokio::time::timeout(STUN_PATIENCE + STUN_PATIENCE, tokio::task::spawn_blocking(ask)).await;
    let missing = || format!("the STUN server {name} does not answer, and `portunus.stun_required` is set");
    let seen =
        answer.with_context(missing)?.context("asking the STUN server failed")?.with_context(missing)?;
    tracing::info!(server = name, %seen, "the STUN server answers");
    Ok(())
}

/// Opens the port of metrics and health, if there shall be one.
async fn open_metrics(settings: &Settings, watch: Watch) -> anyhow::Result<Option<SocketAddr>> {
    let Some(address) = settings.portunus.metrics else { return Ok(None) };
    let watched = portunus_transport::watch(address, Arc::new(watch)).await.with_context(|| {
        format!("cannot open the metrics port {address} (`portunus.metrics_port` names another)")
    })?;
    Ok(Some(watched))
}

/// Why the process ends.
struct Stop {
    /// The signal's number; SIGTERM's for an operator.
    signal: i32,
    /// How long calls may go on; `None`: as it is set.
    patience: Option<Duration>,
}

/// Lives until somebody wants an end, and does what signals ask for meanwhile.
async fn wait(
    signals: &mut Signals,
    control: &mut Control,
    running: &portunus_transport::Running,
    reloader: &mut Reloader,
) -> Stop {
    let mut look = tokio::time::interval(reload::LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Stop(SIGTERM) => return Stop { signal: SIGTERM, patience: None },
                Asked::Stop(signal) => return Stop { signal, patience: Some(Duration::ZERO) },
                Asked::Reload => reloader.all(control, running).await,
                Asked::ReopenLog => control.order(Order::ReopenLog).await,
            },
            patience = control.drain_wanted() => return Stop { signal: SIGTERM, patience },
            _ = look.tick() => {
                if reloader.verb() == Verb::Start {
                    container::reap();
                }
                reloader.changed_certificates(control, running).await;
            }
        }
    }
}

/// Lets calls go on until the last handle is gone, the time is over, or another signal comes: the last ends it now.
async fn drain(signals: &mut Signals, control: &Control, patience: Duration) {
    let handles = control.drain().await;
    if patience.is_zero() || handles == 0 {
        return;
    }
    say(&format!("Draining: no new sessions; calls may go on for {} s...", patience.as_secs()));
    tokio::select! {
        () = control.emptied() => {}
        () = tokio::time::sleep(patience) => tracing::warn!("calls are ended: the time for draining is over"),
        _ = signals.stop() => say("Not waiting for calls any more."),
    }
}
