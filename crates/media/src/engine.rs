//! The control side of the engine: starts the workers and passes each command on to the worker of its handle.

use crate::addresses::{self, with_port};
use crate::certificate::Certificate;
use crate::dtls::{DtlsConfig, DtlsSettings};
use crate::placement::Placement;
use crate::settings::{Settings, Tuning};
use crate::socket::{UdpSocket, Waker, interface_addresses};
use crate::status::{StatusCell, Statuses};
use crate::tcp::Listener;
use crate::turn::TurnServers;
use crate::worker::{EventSink, Mailbox, Start, Worker, WorkerMessage};
use portunus_plugin::HandleId;
use portunus_plugin::media::{MediaCommand, MediaEvent};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Commands that may wait for a worker. The worker never waits for control, so a full queue empties itself.
const COMMAND_QUEUE: usize = 16_384;
/// Workers at most: two base-36 digits in the ICE user name fragment.
pub const MAX_WORKERS: usize = 1024;

/// Why the engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A media port could not be opened.
    #[error("cannot open media port {address} ({protocol}): {source}")]
    Bind {
        /// What was tried.
        address: SocketAddr,
        /// UDP or TCP.
        protocol: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// The addresses of this machine could not be listed, or a descriptor not made.
    #[error("cannot set up media workers: {0}")]
    System(#[from] io::Error),
    /// The certificate cannot be used for DTLS.
    #[error("cannot use the DTLS certificate: {0}")]
    Certificate(String),
}

/// The media engine, as the control task holds it.
pub struct Engine {
    workers: Vec<WorkerEnd>,
    placement: Placement,
    dtls: Arc<DtlsConfig>,
    addresses: Vec<SocketAddr>,
    sdp_address: IpAddr,
    turn: Option<TurnServers>,
}

struct WorkerEnd {
    mailbox: Mailbox,
    status: StatusCell,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Opens the ports and starts the workers. `events` is called on the workers; it must not block, and gives
    /// an event back when it has no room for it now.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn start(
        settings: Settings,
        events: impl Fn(HandleId, MediaEvent) -> Result<(), (HandleId, MediaEvent)> + Send + Clone + 'static,
    ) -> Result<Self, Error> {
        let local = addresses::usable(&interface_addresses()?, &settings);
        if local.is_empty() {
            tracing::warn!(
                "no network address is usable for media; check ice_enforce_list and allow_loopback"
            );
        }
        let sdp_address = addresses::sdp_address(&local, &settings);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = if settings.workers == 0 { cores } else { settings.workers }.clamp(1, MAX_WORKERS);
        let dtls_settings = DtlsSettings {
            mtu: usize::from(settings.dtls_mtu),
            accept_selfsigned: settings.dtls_accept_self_signed,
            ciphers: settings.dtls_ciphers.clone(),
            ..DtlsSettings::default()
        };
        let dtls = DtlsConfig::new(&settings.certificate, dtls_settings)
            .map_err(|e| Error::Certificate(e.to_string()))?;
        let settings = Arc::new(settings);

        let mut starts = Vec::with_capacity(count);
        let mut workers = Vec::with_capacity(count);
        let mut addresses = Vec::new();
        for index in 0..count {
            let sockets = open_sockets(&local, index, &settings)?;
            let listeners = open_listeners(&local, index, &settings)?;
            addresses.extend(sockets.iter().map(UdpSocket::local));
            let (inbox, commands) = sync_channel(COMMAND_QUEUE);
            let waker = Arc::new(Waker::new()?);
            starts.push((sockets, listeners, commands, Arc::clone(&waker)));
            let status = StatusCell::default();
            workers.push(WorkerEnd { mailbox: Mailbox::new(inbox, waker), status, thread: None });
        }
        let others: Vec<_> = workers.iter().map(|w| w.mailbox.clone()).collect();
        for (index, (sockets, listeners, inbox, waker)) in starts.into_iter().enumerate() {
            let events: EventSink = Box::new(events.clone());
            let start = Start {
                index,
                settings: Arc::clone(&settings),
                dtls: Arc::clone(&dtls),
                sockets,
                listeners,
                inbox,
                waker,
                others: others.clone(),
                local: local.clone(),
                sdp_address,
                events,
                status: workers.get(index).map(|end| end.status.clone()).unwrap_or_default(),
            };
            let worker = Worker::new(start, Instant::now())?;
            let thread =
                std::thread::Builder::new().name(format!("media-{index}")).spawn(move || worker.run())?;
            if let Some(end) = workers.get_mut(index) {
                end.thread = Some(thread);
            }
        }
        if let Some((host, port)) = settings.stun_server.clone() {
            crate::reflexive::resolve_in_background(host, port, others.clone());
        }
        let turn = (!settings.ice_lite).then(|| TurnServers::new(others));
        if let Some(turn) = turn.as_ref().filter(|_| !settings.turn_servers.is_empty()) {
            turn.set(settings.turn_servers.clone());
        }
        Ok(Self { workers, placement: Placement::new(count), dtls, addresses, sdp_address, turn })
    }

    /// Passes a command to the worker of its handle. The first [`MediaCommand::Negotiate`] of a handle
    /// decides which one that is.
    pub fn send(&mut self, command: MediaCommand) {
        let handle = command.handle();
        let worker = match &command {
            MediaCommand::Negotiate(n) => {
                Some(self.placement.place(n.handle, n.affinity.as_deref(), n.worker))
            }
            MediaCommand::Forget { .. } => self.placement.forget(handle),
            _ => self.placement.worker_of(handle),
        };
        let Some((worker, end)) = worker.and_then(|w| Some((w, self.workers.get(w)?))) else { return };
        end.mailbox.send(message(command, worker, &self.placement));
    }

    /// Where media is received: one address for each worker and local address; empty with a port per peer.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The address written into c= and o= lines.
    pub const fn sdp_address(&self) -> IpAddr {
        self.sdp_address
    }

    /// Changes settings of all workers.
    pub fn tune(&self, tuning: Tuning) {
        for worker in &self.workers {
            worker.mailbox.send(WorkerMessage::Tune(tuning));
        }
    }

    /// Shows new peers another certificate. Peers that are there keep theirs.
    ///
    /// # Errors
    /// It cannot be used; then nothing changes.
    pub fn set_certificate(&mut self, certificate: &Certificate) -> Result<(), Error> {
        let fresh = self.dtls.with_certificate(certificate).map_err(|e| Error::Certificate(e.to_string()))?;
        for worker in &self.workers {
            worker.mailbox.send(WorkerMessage::Certificate(Arc::clone(&fresh)));
        }
        self.dtls = fresh;
        Ok(())
    }

    /// The way to other TURN servers while the engine runs; none with ICE-lite, which has no use for relays.
    pub fn turn_servers(&self) -> Option<TurnServers> {
        self.turn.clone()
    }

    /// Handles of each worker.
    pub fn loads(&self) -> &[usize] {
        self.placement.loads()
    }

    /// What the workers tell of themselves, now and later.
    pub fn statuses(&self) -> Statuses {
        Statuses(self.workers.iter().map(|w| w.status.clone()).collect())
    }

    /// Number of workers.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Has something done by the first worker.
    #[cfg(feature = "bench")]
    pub(crate) fn bench(&self, call: crate::worker::Call) {
        if let Some(end) = self.workers.first() {
            end.mailbox.send(WorkerMessage::Bench(call));
        }
    }

    /// Closes all peers, telling them, and ends the workers; gives up after `deadline`.
    pub fn shutdown(mut self, deadline: Duration) {
        for worker in &self.workers {
            worker.mailbox.send(WorkerMessage::Stop);
        }
        let end = Instant::now() + deadline;
        for worker in &mut self.workers {
            let Some(thread) = worker.thread.take() else { continue };
            while !thread.is_finished() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(2));
            }
            if thread.is_finished() {
                let _ = thread.join();
            }
        }
    }
}

/// A command as `worker` is told it: a route from elsewhere says where that is.
fn message(command: MediaCommand, worker: usize, placement: &Placement) -> WorkerMessage {
    match command {
        MediaCommand::Route { source, sink } => match placement.worker_of(source.handle) {
            Some(other) if other != worker => WorkerMessage::RouteFrom { worker: other, source, sink },
            _ => WorkerMessage::Command(MediaCommand::Route { source, sink }),
        },
        command => WorkerMessage::Command(command),
    }
}

fn port_of(index: usize, settings: &Settings) -> Option<u16> {
    if settings.base_port == 0 || settings.single_port {
        return Some(settings.base_port);
    }
    u16::try_from(index).ok().and_then(|i| settings.base_port.checked_add(i))
}

/// The shared sockets of a worker; none with a port per peer.
fn open_sockets(local: &[SocketAddr], index: usize, settings: &Settings) -> Result<Vec<UdpSocket>, Error> {
    if settings.port_range.is_some() {
        return Ok(Vec::new());
    }
    let share = settings.single_port && settings.base_port != 0;
    let mut port = port_of(index, settings).unwrap_or(0);
    let bound = addresses::bind_each(local, |address| {
        let address = with_port(address, port);
        let socket = UdpSocket::bind(address, share, settings.tos).map_err(|error| (address, error))?;
        // A worker has one port number on all addresses, also where the system chooses it.
        port = socket.local().port();
        Ok(socket)
    });
    bound.map_err(|(address, source)| Error::Bind { address, protocol: "UDP", source })
}

fn open_listeners(local: &[SocketAddr], index: usize, settings: &Settings) -> Result<Vec<Listener>, Error> {
    if !settings.ice_tcp {
        return Ok(Vec::new());
    }
    // A connection belongs to the worker that accepted it, so each worker has a port of its own even when
    // they share one for UDP.
    let port = u16::try_from(index).ok().and_then(|i| settings.base_port.checked_add(i));
    let port = if settings.base_port == 0 { 0 } else { port.unwrap_or(0) };
    let bound = addresses::bind_each(local, |address| {
        let address = with_port(address, port);
        Listener::bind(address).map_err(|error| (address, error))
    });
    bound.map_err(|(address, source)| Error::Bind { address, protocol: "TCP", source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::KeyKind;
    use portunus_plugin::media::RouteEnd;
    use std::time::SystemTime;

    #[test]
    fn a_route_from_another_worker_says_which() {
        let mut placement = Placement::new(2);
        let [here, there, nowhere] = [1, 2, 3].map(HandleId::from_random);
        placement.place(here, None, Some(0));
        placement.place(there, None, Some(1));
        for (source, expected) in [(here, None), (there, Some(1)), (nowhere, None)] {
            let (source, sink) = (RouteEnd::new(source, "0"), RouteEnd::new(here, "1"));
            let told = match message(MediaCommand::Route { source, sink }, 0, &placement) {
                WorkerMessage::RouteFrom { worker, .. } => Some(worker),
                _ => None,
            };
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn an_address_that_is_not_there_is_left_out_and_a_port_that_is_taken_is_an_error() {
        let mut settings =
            Settings::new(Certificate::generate(KeyKind::EcdsaP256, SystemTime::now()).unwrap());
        settings.ice_tcp = true;
        settings.base_port = 0;
        let local = ["198.51.100.1:0", "127.0.0.1:0", "[2001:db8::1]:0"].map(|a| a.parse().unwrap());
        let sockets = open_sockets(&local, 0, &settings).unwrap();
        let listeners = open_listeners(&local, 0, &settings).unwrap();
        let bound: Vec<_> =
            sockets.iter().map(UdpSocket::local).chain(listeners.iter().map(Listener::local)).collect();
        assert!(bound.len() == 2 && bound.iter().all(|a| a.ip() == local[1].ip()), "{bound:?}");
        settings.base_port = bound[0].port();
        let error = open_sockets(&local, 0, &settings).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot open media port {} (UDP)", bound[0])), "{error}");
    }
}
