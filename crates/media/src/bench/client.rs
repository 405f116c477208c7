//! The engine as a client of a gateway: it offers and answers, checks, shakes hands, seals and opens as it does on the
//! other side. One worker has all peers of the client, each with a port of its own.

use crate::certificate::{Certificate, KeyKind};
use crate::engine::{Engine, Error};
use crate::settings::Settings;
use crate::worker::{Call, Sight};
use portunus_plugin::HandleId;
use portunus_plugin::media::{MediaCommand, MediaEvent, Negotiation, RouteEnd};
use portunus_sdp::{LocalTransport, Negotiated, RemoteTransport};
use std::collections::HashMap;
use std::io;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Below the ports the system gives to others.
const PORTS: RangeInclusive<u16> = 20_000..=32_000;

/// What happened to a peer of a client.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// Its part of a description.
    Local(Box<LocalTransport>),
    /// ICE and DTLS are done.
    Up,
    /// The first packet of a keyframe came in.
    Keyframe,
    /// Whom it sends to wants a keyframe.
    Wanted,
    /// It is closed.
    Closed(String),
}

type Told = (Instant, Happening);
type Listeners = Arc<Mutex<HashMap<HandleId, Sender<Told>>>>;

/// See the module.
pub struct Client {
    engine: Mutex<Engine>,
    listeners: Listeners,
    next: AtomicU64,
}

/// One peer of a client. It goes when it is dropped.
pub struct ClientPeer {
    client: Arc<Client>,
    handle: HandleId,
    /// What its packets come from.
    feeder: Option<HandleId>,
    told: Receiver<Told>,
}

impl Client {
    /// A client that uses only the addresses that begin with this.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn start(address: &str) -> Result<Arc<Self>, Error> {
        let certificate = Certificate::generate(KeyKind::EcdsaP256, SystemTime::now())
            .map_err(|e| Error::Certificate(e.to_string()))?;
        let mut settings = Settings::new(certificate);
        settings.workers = 1;
        // As with browsers, each peer has an address of its own: gateways tell peers apart by it.
        settings.port_range = Some(PORTS);
        settings.ice_enforce = vec![address.to_owned()];
        let listeners = Listeners::default();
        let heard = Arc::clone(&listeners);
        let engine = Engine::start(settings, move |handle, event| {
            let happening = match event {
                MediaEvent::Local { transport, .. } => Happening::Local(transport),
                MediaEvent::Up => Happening::Up,
                MediaEvent::Hangup { reason } => Happening::Closed(reason),
                _ => return Ok(()),
            };
            tell(&heard, handle, happening);
            Ok(())
        })?;
        let seen = Arc::clone(&listeners);
        engine.bench(Call::new(|worker, _| {
            worker.bench_watch(Box::new(move |handle, sight| {
                let happening = match sight {
                    Sight::Keyframe => Happening::Keyframe,
                    Sight::Wanted => Happening::Wanted,
                };
                tell(&seen, handle, happening);
            }));
        }));
        Ok(Arc::new(Self { engine: Mutex::new(engine), listeners, next: AtomicU64::new(1) }))
    }

    /// A new peer.
    pub fn peer(self: &Arc<Self>) -> ClientPeer {
        let handle = self.handle();
        let (sender, told) = channel();
        lock(&self.listeners).insert(handle, sender);
        ClientPeer { client: Arc::clone(self), handle, feeder: None, told }
    }

    fn handle(&self) -> HandleId {
        HandleId::from_random(self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn send(&self, command: MediaCommand) {
        lock(&self.engine).send(command);
    }
}

impl ClientPeer {
    /// One step of offer and answer: `remote` is what the gateway said, if it did; `offering` if we made the offer.
    pub fn negotiate(&self, remote: Option<RemoteTransport>, offering: bool, media: Vec<Negotiated>) {
        let exchange = (remote.is_none() || !offering).then_some(0);
        self.client.send(negotiation(self.handle, exchange, remote, offering, media));
    }

    /// What happens next, and when it did.
    ///
    /// # Errors
    /// Nothing happened within that time.
    pub fn next(&self, within: Duration) -> io::Result<Told> {
        self.told.recv_timeout(within).map_err(|e| io::Error::new(io::ErrorKind::TimedOut, e))
    }

    /// What has happened, if anything.
    pub fn poll(&self) -> Option<Happening> {
        self.told.try_recv().ok().map(|(_, happening)| happening)
    }

    /// From now on it sends what [`Self::feed`] is given, answers NACKs for it, and tells of wishes for keyframes.
    pub fn prepare_feed(&mut self, media: &[Negotiated]) {
        let feeder = self.client.handle();
        // It stands where a publisher would stand.
        let lines = media.iter().map(|n| Negotiated { receive: true, send: false, ..n.clone() }).collect();
        self.client.send(negotiation(feeder, None, None, true, lines));
        for n in media {
            let (source, sink) = (RouteEnd::new(feeder, &n.mid), RouteEnd::new(self.handle, &n.mid));
            self.client.send(MediaCommand::Route { source, sink });
        }
        let mut listeners = lock(&self.client.listeners);
        if let Some(sender) = listeners.get(&self.handle).cloned() {
            listeners.insert(feeder, sender);
        }
        self.feeder = Some(feeder);
    }

    /// Sends these RTP packets on an m-line; SSRC, numbers and extensions become its own.
    pub fn feed(&self, line: usize, packets: Vec<Vec<u8>>) {
        let Some(feeder) = self.feeder else { return };
        let call = Call::new(move |worker, now| worker.bench_feed(feeder, line, &packets, now));
        lock(&self.client.engine).bench(call);
    }
}

impl Drop for ClientPeer {
    fn drop(&mut self) {
        for handle in [Some(self.handle), self.feeder].into_iter().flatten() {
            self.client.send(MediaCommand::Forget { handle });
            lock(&self.client.listeners).remove(&handle);
        }
    }
}

fn negotiation(
    handle: HandleId,
    exchange: Option<u64>,
    remote: Option<RemoteTransport>,
    offering: bool,
    media: Vec<Negotiated>,
) -> MediaCommand {
    MediaCommand::Negotiate(Box::new(Negotiation {
        handle,
        exchange,
        remote,
        offering,
        restart: false,
        trickle: false,
        relay_only: false,
        media,
        affinity: None,
        worker: None,
    }))
}

fn tell(listeners: &Listeners, handle: HandleId, happening: Happening) {
    if let Some(listener) = lock(listeners).get(&handle) {
        let _ = listener.send((Instant::now(), happening));
    }
}

/// A panic elsewhere does not make the values wrong.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
