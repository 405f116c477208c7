//! The Janus and Admin APIs over Unix sockets of packets (Janus' `pfunix` transport): a packet is a JSON text.
//!
//! A client of a `SOCK_SEQPACKET` socket has a connection, and its sessions end with it. One of a `SOCK_DGRAM` socket
//! is known by the path it sends from; it has gone when nothing can be sent there any more, and its sessions end then
//! or when their time is over. Who sends from no path cannot be answered and is not heard.

mod session;
mod socket;

use crate::listener::Shared;
use crate::unix::SocketFile;
use crate::{PacketSettings, Side, Spelling};
use rustix::net::SocketAddrUnix;
use session::{Line, Session};
use socket::{Packet, PacketSocket};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep};

/// Messages of one client that may wait for those before them, without a connection that could hold them up.
const WAITING: usize = 8;
/// A client without a connection that has said nothing for so long may have to make room for another.
const IDLE: Duration = Duration::from_secs(60);
/// Between attempts to send to somebody whose queue is full.
const PAUSE: Duration = Duration::from_millis(5);
/// After an error that is not of one client.
const BREATHER: Duration = Duration::from_millis(20);

/// What the clients of one socket share.
pub(crate) struct PacketApi {
    side: Side,
    datagrams: bool,
    format: Spelling,
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
}

impl PacketApi {
    fn is_admin(&self) -> bool {
        self.side == Side::Admin
    }

    /// A place for a newcomer, unless all are taken.
    fn admit(&self) -> Option<OwnedSemaphorePermit> {
        let place = self.places.clone().try_acquire_owned().ok();
        let counters = self.shared.counters();
        if place.is_some() {
            counters.accepted.up()
        } else {
            counters.refused_full.up()
        }
        place
    }
}

/// Opens the socket of `settings` and serves it until the process ends; `alive` is held as long.
///
/// # Errors
/// Nothing can be made at the path.
pub(crate) async fn serve(
    side: Side,
    settings: &PacketSettings,
    shared: Arc<Shared>,
    alive: mpsc::Sender<()>,
) -> io::Result<SocketFile> {
    let (socket, file) = socket::open(&settings.path, settings.datagrams).await?;
    let api = Arc::new(PacketApi {
        side,
        datagrams: settings.datagrams,
        format: settings.format.clone(),
        shared,
        places: Arc::new(Semaphore::new(settings.connections.min(Semaphore::MAX_PERMITS))),
    });
    if settings.datagrams {
        tokio::spawn(hear(api, Arc::new(socket), alive));
    } else {
        tokio::spawn(accept(api, socket, alive));
    }
    Ok(file)
}

async fn accept(api: Arc<PacketApi>, socket: PacketSocket, alive: mpsc::Sender<()>) {
    loop {
        let accepted = tokio::select! {
            () = api.shared.draining() => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok(client) => {
                let Some(place) = api.admit() else { continue };
                let number = client.number();
                let longest = api.shared.limits().message;
                let session = Session::new(api.clone(), Connected { socket: client, longest }, number);
                tokio::spawn(attended(session, place, alive.clone()));
            }
            Err(error) => {
                api.shared.counters().accept_errors.up();
                tracing::debug!(%error, "accepting failed");
                sleep(BREATHER).await;
            }
        }
    }
}

async fn attended<L: Line>(session: Session<L>, place: OwnedSemaphorePermit, alive: mpsc::Sender<()>) {
    session.run().await;
    drop((place, alive));
}

/// A connection.
struct Connected {
    socket: PacketSocket,
    longest: usize,
}

impl Line for Connected {
    async fn receive(&mut self) -> io::Result<Packet> {
        self.socket.receive(self.longest).await
    }

    async fn send(&self, message: &[u8]) -> io::Result<()> {
        self.socket.send(message).await
    }
}

/// Somebody known by his path.
struct Sender {
    packets: mpsc::Sender<Packet>,
    heard: Instant,
}

async fn hear(api: Arc<PacketApi>, socket: Arc<PacketSocket>, alive: mpsc::Sender<()>) {
    let longest = api.shared.limits().message;
    let mut senders: HashMap<SocketAddrUnix, Sender> = HashMap::new();
    loop {
        let received = tokio::select! {
            () = api.shared.draining() => return,
            received = socket.receive_from(longest) => received,
        };
        let (packet, from) = match received {
            Ok((packet, Some(from))) => (packet, from),
            Ok((_, None)) => {
                tracing::debug!("a datagram from no path: nobody could be answered");
                continue;
            }
            Err(error) => {
                api.shared.counters().accept_errors.up();
                tracing::debug!(%error, "receiving failed");
                sleep(BREATHER).await;
                continue;
            }
        };
        if senders.get(&from).is_none_or(|s| s.packets.is_closed()) {
            senders.retain(|_, s| !s.packets.is_closed());
            if api.places.available_permits() == 0 {
                forget_the_idlest(&mut senders);
            }
            let Some(place) = api.admit() else { continue };
            let (packets, waiting) = mpsc::channel(WAITING);
            let line = Unconnected { socket: socket.clone(), address: from.clone(), packets: waiting };
            tokio::spawn(attended(Session::new(api.clone(), line, -1), place, alive.clone()));
            senders.insert(from.clone(), Sender { packets, heard: Instant::now() });
        }
        let Some(sender) = senders.get_mut(&from) else { continue };
        sender.heard = Instant::now();
        if sender.packets.try_send(packet).is_err() {
            api.shared.counters().overloaded.up();
        }
    }
}

/// The place is free when the session has noticed.
fn forget_the_idlest(senders: &mut HashMap<SocketAddrUnix, Sender>) {
    let idlest = senders.iter().min_by_key(|(_, s)| s.heard).filter(|(_, s)| s.heard.elapsed() > IDLE);
    if let Some(address) = idlest.map(|(address, _)| address.clone()) {
        senders.remove(&address);
    }
}

/// A client without a connection.
struct Unconnected {
    socket: Arc<PacketSocket>,
    address: SocketAddrUnix,
    packets: mpsc::Receiver<Packet>,
}

impl Line for Unconnected {
    async fn receive(&mut self) -> io::Result<Packet> {
        Ok(self.packets.recv().await.unwrap_or(Packet::End))
    }

    async fn send(&self, message: &[u8]) -> io::Result<()> {
        loop {
            match self.socket.try_send_to(message, &self.address) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(PAUSE).await,
                sent => return sent,
            }
        }
    }
}
