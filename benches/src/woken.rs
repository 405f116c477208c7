//! Receivers that sleep on another core until something comes, as those of a load generator on this machine do: waking them is
//! done by the kernel in the sender's time.

use portunus_media::client::{Inbox, Poller, Socket, Wake};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Loopback sockets, and a thread that waits for all of them, takes what comes and throws it away.
pub(crate) struct Woken {
    pub(crate) addresses: Vec<SocketAddr>,
    wake: Wake,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Woken {
    /// Opens `n`. `None`: this thread may run on several cores, or there is no other; nobody would say who wakes whom.
    pub(crate) fn new(n: usize) -> anyhow::Result<Option<Self>> {
        let Some(core) = other_core()? else { return Ok(None) };
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let sockets = (0..n).map(|_| Socket::bind(any)).collect::<io::Result<Vec<_>>>()?;
        let addresses = sockets.iter().map(Socket::local).collect();
        let mut poller = Poller::new()?;
        for (socket, token) in sockets.iter().zip(0..) {
            poller.add(socket, token)?;
        }
        let (wake, ended) = (poller.wake(), Arc::new(AtomicBool::new(false)));
        let end = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            if sched_setaffinity(None, &core).is_err() {
                return;
            }
            let (mut inbox, mut ready) = (Inbox::new(), Vec::new());
            while !end.load(Ordering::Relaxed) && poller.wait(Duration::from_secs(1), &mut ready).is_ok() {
                for token in ready.drain(..) {
                    let socket = usize::try_from(token).ok().and_then(|at| sockets.get(at));
                    while socket.is_some_and(|socket| inbox.receive(socket).is_ok_and(|n| n > 0)) {}
                }
            }
        });
        Ok(Some(Self { addresses, wake, ended, thread: Some(thread) }))
    }
}

impl Drop for Woken {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.wake.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A core of this machine that is not the one that this thread is bound to.
fn other_core() -> anyhow::Result<Option<CpuSet>> {
    let own = sched_getaffinity(None)?;
    let cores = std::fs::read_to_string("/proc/cpuinfo")?.matches("\nprocessor").count() + 1;
    let other = (0..cores.min(CpuSet::MAX_CPU)).find(|core| !own.is_set(*core));
    Ok(other.filter(|_| own.count() == 1).map(|core| {
        let mut set = CpuSet::new();
        set.set(core);
        set
    }))
}
