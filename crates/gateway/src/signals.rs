//! Signals: SIGTERM lets calls go on for a while, SIGINT does not; SIGHUP reads settings and certificates again; SIGUSR1 or
//! SIGHUP opens the log file anew (`log_rotate_sig`).

use crate::settings::RotateSignal;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// End; the signal's number. SIGTERM lets calls go on for a while.
    Stop(i32),
    /// Read settings and certificates again, and open the log file anew.
    Reload,
    /// Open the log file anew.
    ReopenLog,
}

/// The signals a server lives with.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    /// Only if it is asked for: otherwise the system's own answer to it stays, which is the end.
    user: Option<Signal>,
}

impl Signals {
    /// Takes the signals over from the system.
    pub(crate) fn catch() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            user: None,
        })
    }

    /// Takes them over, or goes on with those that were `caught` before, and with the signal that opens the log file
    /// anew, which only the settings tell.
    pub(crate) fn go_on(caught: Option<Self>, rotate: Option<RotateSignal>) -> std::io::Result<Self> {
        let mut signals = caught.map_or_else(Self::catch, Ok)?;
        let user = rotate == Some(RotateSignal::Usr1);
        signals.user = user.then(|| signal(SignalKind::user_defined1())).transpose()?;
        Ok(signals)
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Asked {
        let user = async {
            match &mut self.user {
                Some(user) => user.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop(SignalKind::interrupt().as_raw_value()),
            _ = self.terminate.recv() => Asked::Stop(SignalKind::terminate().as_raw_value()),
            _ = self.hangup.recv() => Asked::Reload,
            _ = user => Asked::ReopenLog,
        }
    }

    /// Resolves at the next signal to stop, with its number.
    pub(crate) async fn stop(&mut self) -> i32 {
        loop {
            if let Asked::Stop(signal) = self.next().await {
                return signal;
            }
        }
    }
}
