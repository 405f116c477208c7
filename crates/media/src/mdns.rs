//! Resolves the `.local` names that browsers put into candidates instead of private addresses.
//!
//! Runs on a thread of its own, started with the first such candidate: a name that nobody answers for must
//! not hold anything up. Where multicast does not work (most containers) the candidates are lost, and the
//! peer is found by its own checks instead.

use crate::socket::{interface_addresses, mdns_socket};
use bytes::BytesMut;
use portunus_plugin::HandleId;
use portunus_sdp::{Candidate, CandidateAddress};
use rtc_mdns::{Mdns, MdnsConfig, MdnsEvent};
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use sansio::Protocol;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Names that wait for an answer; more are ignored.
const MAX_PENDING: usize = 256;
/// Candidates that wait to be looked at.
const QUEUE: usize = 256;
const GIVE_UP: Duration = Duration::from_secs(5);
const ASK_AGAIN: Duration = Duration::from_secs(1);
const TURN: Duration = Duration::from_millis(50);
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);

/// The resolver's thread, from outside.
pub(crate) struct Resolver {
    requests: SyncSender<(HandleId, Candidate)>,
}

impl Resolver {
    /// Starts the thread; `found` is called on it.
    pub(crate) fn start(found: impl Fn(HandleId, Candidate) + Send + 'static) -> Self {
        let (requests, inbox) = sync_channel(QUEUE);
        let run = move || {
            if let Err(error) = run(&inbox, &found) {
                tracing::warn!(%error, "cannot resolve .local candidates; set ignore_mdns to silence this");
            }
        };
        if let Err(error) = std::thread::Builder::new().name("mdns".to_owned()).spawn(run) {
            tracing::warn!(%error, "cannot resolve .local candidates");
        }
        Self { requests }
    }

    /// Asks for the candidate's address; it may never come.
    pub(crate) fn resolve(&self, handle: HandleId, candidate: Candidate) {
        let _ = self.requests.try_send((handle, candidate));
    }
}

fn run(inbox: &Receiver<(HandleId, Candidate)>, found: &dyn Fn(HandleId, Candidate)) -> io::Result<()> {
    let socket = mdns_socket()?;
    join_everywhere(&socket);
    socket.set_read_timeout(Some(TURN))?;
    let config = MdnsConfig::new().with_query_interval(ASK_AGAIN).with_query_timeout(GIVE_UP);
    let mut mdns = Mdns::new(Instant::now(), config);
    let mut pending = HashMap::new();
    let mut buffer = [0_u8; 9000];
    loop {
        let next = if pending.is_empty() {
            match inbox.recv() {
                Ok(request) => Some(request),
                Err(_) => return Ok(()),
            }
        } else {
            inbox.try_recv().ok()
        };
        if let Some((handle, candidate)) = next
            && let CandidateAddress::Mdns(name) = &candidate.address
            && pending.len() < MAX_PENDING
        {
            pending.insert(mdns.query_now(Instant::now(), name), (handle, candidate));
        }
        if let Ok((n, from)) = socket.recv_from(&mut buffer) {
            let _ = mdns.handle_read(tagged(buffer.get(..n).unwrap_or_default(), from));
        }
        let _ = mdns.handle_timeout(Instant::now());
        while let Some(out) = mdns.poll_write() {
            let _ = socket.send_to(&out.message, SocketAddr::from((GROUP, 5353)));
        }
        while let Some(event) = mdns.poll_event() {
            match event {
                MdnsEvent::QueryAnswered(id, ip) => {
                    if let Some((handle, mut candidate)) = pending.remove(&id)
                        && is_private(ip)
                    {
                        candidate.address = CandidateAddress::Ip(ip);
                        found(handle, candidate);
                    }
                }
                MdnsEvent::QueryTimeout(id) => drop(pending.remove(&id)),
                _ => {}
            }
        }
    }
}

/// Browsers hide only their own host addresses behind such names: anything else is not followed.
const fn is_private(ip: IpAddr) -> bool {
    !ip.is_multicast() && !ip.is_unspecified()
}

fn join_everywhere(socket: &UdpSocket) {
    let addresses = interface_addresses().unwrap_or_default();
    for a in addresses {
        if let IpAddr::V4(ip) = a.ip {
            let _ = socket.join_multicast_v4(&GROUP, &ip);
        }
    }
}

fn tagged(bytes: &[u8], from: SocketAddr) -> TransportMessage<BytesMut> {
    TransportMessage {
        now: Instant::now(),
        transport: TransportContext {
            local_addr: SocketAddr::from(([0, 0, 0, 0], 5353)),
            peer_addr: from,
            transport_protocol: TransportProtocol::UDP,
            ecn: None,
        },
        message: BytesMut::from(bytes),
    }
}
