//! SIGINT and SIGTERM: the first drains, the second only asks for patience, the third ends the process.

use crate::announce::say;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals a server lives with.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Takes the signals over from the system.
    pub(crate) fn catch() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Returns the number of the first signal to stop, and counts the next ones in the background. Until then SIGHUP calls
    /// `reload`, whose problems are logged.
    pub(crate) async fn stop<E: std::fmt::Display>(&mut self, reload: impl Fn() -> Vec<E>) -> i32 {
        let signal = loop {
            tokio::select! {
                _ = self.interrupt.recv() => break SignalKind::interrupt(),
                _ = self.terminate.recv() => break SignalKind::terminate(),
                _ = self.hangup.recv() => {
                    let problems = reload();
                    tracing::info!(problems = problems.len(), "certificates read again");
                    problems.iter().for_each(|problem| tracing::error!(%problem, "a certificate stays as it was"));
                }
            }
        };
        if let Ok(impatient) = Self::catch() {
            tokio::spawn(impatient.count());
        }
        signal.as_raw_value()
    }

    async fn count(mut self) {
        for round in 2.. {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
            if round > 2 {
                std::process::exit(1);
            }
            say("Still stopping; once more to end at once...");
        }
    }
}
