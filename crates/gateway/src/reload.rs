//! Settings and certificates that change while we run.
//!
//! What can be taken over is; what cannot is told. Files with mistakes change nothing.

use crate::control::{Control, Order};
use crate::flags::{Flags, Verb};
use crate::ice::ClientServers;
use crate::monitor::Reloads;
use crate::settings::{self, Disk, Problem, Settings};
use crate::{announce, wiring};
use portunus_transport::Running;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

/// How often the files of certificates are looked at.
pub(crate) const LOOK: Duration = Duration::from_secs(5);

/// What reads settings again.
pub(crate) struct Reloader {
    flags: Flags,
    settings: Settings,
    reloads: Arc<Reloads>,
    ice_servers: Arc<ClientServers>,
    seen: Vec<(PathBuf, Option<Stamp>)>,
}

/// What changes when a file does: also when a link points elsewhere, as in Kubernetes' secrets.
type Stamp = (SystemTime, u64, u64);

impl Reloader {
    pub(crate) fn new(
        flags: Flags,
        settings: Settings,
        (reloads, ice_servers): (Arc<Reloads>, Arc<ClientServers>),
    ) -> Self {
        let mut reloader = Self { flags, settings, reloads, ice_servers, seen: Vec::new() };
        reloader.seen = reloader.look();
        reloader
    }

    /// What this process is.
    pub(crate) fn verb(&self) -> Verb {
        self.flags.verb
    }

    /// How long calls may go on at the end, as it is set now.
    pub(crate) fn drain_timeout(&self) -> Duration {
        self.settings.portunus.drain_timeout
    }

    /// SIGHUP: everything.
    pub(crate) async fn all(&mut self, control: &Control, running: &Running) {
        control.order(Order::ReopenLog).await;
        let environment = |name: &str| std::env::var(name).ok();
        match settings::load(&self.flags, &environment, &Disk) {
            Ok((mut fresh, problems)) => {
                announce::log(&problems);
                self.keep_admin_guarded(&mut fresh);
                for section in restart_needed(&self.settings, &fresh) {
                    tracing::warn!("{section}: changes take effect after a restart");
                }
                control.order(Order::Reload(Box::new(wiring::reload(&fresh)))).await;
                self.ice_servers.set(&fresh);
                self.settings = fresh;
                self.count(true);
            }
            Err(problems) => {
                problems.iter().for_each(|problem: &Problem| tracing::error!("{problem}"));
                tracing::error!("the settings stay as they were");
                self.count(false);
            }
        }
        self.certificates(control, running).await;
        control.settled().await;
        tracing::info!("reloading is done");
    }

    /// Where the Admin API listens was decided with the secret of the start. Without a secret, or with one that everybody
    /// knows, it would have stayed on this machine: such a change waits for a restart.
    fn keep_admin_guarded(&self, fresh: &mut Settings) {
        let (before, after) = (&self.settings.general, &mut fresh.general);
        let was_guarded = before.admin_secret.is_some() && !before.admin_loopback_only;
        if was_guarded && (after.admin_secret.is_none() || after.admin_loopback_only) {
            tracing::error!(
                "`general.admin_secret` stays as it was: without one of your own the Admin API needs a restart"
            );
            after.admin_secret.clone_from(&before.admin_secret);
            after.admin_loopback_only = false;
        }
    }

    /// The certificates, if their files have changed.
    pub(crate) async fn changed_certificates(&mut self, control: &Control, running: &Running) {
        let now = self.look();
        if now != self.seen {
            tracing::info!("certificate files have changed");
            self.certificates(control, running).await;
        }
    }

    async fn certificates(&mut self, control: &Control, running: &Running) {
        self.seen = self.look();
        let problems = running.reload_certificates();
        problems.iter().for_each(|problem| tracing::error!(%problem, "a certificate stays as it was"));
        self.count(problems.is_empty());
        if self.settings.certificates.files.is_some() {
            match wiring::certificate(&self.settings.certificates) {
                Ok(certificate) => control.order(Order::Certificate(Box::new(certificate))).await,
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "the DTLS certificate stays as it was");
                    self.count(false);
                }
            }
        }
        tracing::info!(problems = problems.len(), "certificates read again");
    }

    fn count(&self, ok: bool) {
        let counter = if ok { &self.reloads.done } else { &self.reloads.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn look(&self) -> Vec<(PathBuf, Option<Stamp>)> {
        let settings = &self.settings;
        let all =
            [&settings.certificates.files, &settings.http.certificate, &settings.websockets.certificate];
        let paths = all.into_iter().flatten().flat_map(|files| [&files.pem, &files.key]);
        paths.map(|path| (path.clone(), stamp(path))).collect()
    }
}

fn stamp(path: &PathBuf) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.ino(), data.len()))
}

/// The sections with changes that a running gateway does not take over.
fn restart_needed(before: &Settings, after: &Settings) -> Vec<&'static str> {
    // What is taken over counts as equal.
    let mut taken = before.clone();
    taken.general.log.level = after.general.log.level;
    taken.general.log.timestamps = after.general.log.timestamps;
    taken.general.log.colors = after.general.log.colors;
    taken.general.api_secret.clone_from(&after.general.api_secret);
    taken.general.admin_secret.clone_from(&after.general.admin_secret);
    taken.general.session_timeout = after.general.session_timeout;
    taken.general.reclaim_session_timeout = after.general.reclaim_session_timeout;
    taken.general.candidates_timeout = after.general.candidates_timeout;
    taken.media.min_nack_queue = after.media.min_nack_queue;
    taken.media.nack_optimizations = after.media.nack_optimizations;
    taken.media.no_media_timer = after.media.no_media_timer;
    taken.media.slowlink_threshold = after.media.slowlink_threshold;
    taken.portunus.drain_timeout = after.portunus.drain_timeout;
    let pairs = [
        ("janus.jcfg, general", format!("{:?}", taken.general), format!("{:?}", after.general)),
        (
            "janus.jcfg, certificates",
            format!("{:?}", taken.certificates),
            format!("{:?}", after.certificates),
        ),
        ("janus.jcfg, media", format!("{:?}", taken.media), format!("{:?}", after.media)),
        ("janus.jcfg, nat", format!("{:?}", taken.nat), format!("{:?}", after.nat)),
        ("janus.jcfg, portunus", format!("{:?}", taken.portunus), format!("{:?}", after.portunus)),
        ("janus.jcfg, plugins", format!("{:?}", taken.plugins), format!("{:?}", after.plugins)),
        ("janus.jcfg, transports", format!("{:?}", taken.transports), format!("{:?}", after.transports)),
        ("janus.jcfg, events", format!("{:?}", taken.events), format!("{:?}", after.events)),
        ("event handlers", format!("{:?}", taken.handlers), format!("{:?}", after.handlers)),
        ("janus.transport.http.jcfg", format!("{:?}", taken.http), format!("{:?}", after.http)),
        (
            "janus.transport.websockets.jcfg",
            format!("{:?}", taken.websockets),
            format!("{:?}", after.websockets),
        ),
        ("janus.transport.pfunix.jcfg", format!("{:?}", taken.pfunix), format!("{:?}", after.pfunix)),
        ("janus.plugin.echotest.jcfg", format!("{:?}", taken.echotest), format!("{:?}", after.echotest)),
        ("janus.plugin.videocall.jcfg", format!("{:?}", taken.videocall), format!("{:?}", after.videocall)),
        ("janus.plugin.videoroom.jcfg", format!("{:?}", taken.videoroom), format!("{:?}", after.videoroom)),
    ];
    // Passwords do not show.
    let recordings = before.portunus.recordings != after.portunus.recordings;
    let turn = before.nat.turn_server != after.nat.turn_server;
    let hidden = |name: &str| (recordings && name.ends_with("portunus")) || (turn && name.ends_with(", nat"));
    let differs = |name: &str, before: &str, after: &str| before != after || hidden(name);
    let changed = pairs.into_iter().filter(|(name, before, after)| differs(name, before, after));
    changed.map(|(name, ..)| name).collect()
}
