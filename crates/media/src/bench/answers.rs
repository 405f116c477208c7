//! What a worker answers: NACKs by retransmissions, connectivity checks by success.

use super::{Forwarding, handle, master, worker};
use crate::egress::{Link, Path};
use crate::ice::Ice;
use crate::socket::{SLOT, Waker};
use crate::worker::Worker;
use portunus_plugin::media::{MediaCommand, MediaEvent, Negotiation};
use portunus_rtp::packet::RtpHeader;
use portunus_rtp::rtcp::RtcpWriter;
use portunus_sdp::{Fingerprint, LocalTransport, Negotiated, RemoteTransport};
use portunus_srtp::{MAX_RTCP_OVERHEAD, Profile, Sealer};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// A subscriber that asks for packets again.
pub struct Asker {
    path: Path,
    sealer: Sealer,
    nack: Box<[u8; SLOT]>,
    len: usize,
}

impl Forwarding {
    /// Subscriber `n`, counted from 1, that was given this address.
    ///
    /// # Errors
    /// It has no key.
    pub fn asker(&self, profile: Profile, n: usize, address: SocketAddr) -> io::Result<Asker> {
        let sealer = Sealer::new(master(profile, n, 2)?).map_err(io::Error::other)?;
        Ok(Asker {
            path: Path { link: Link::Udp(0), remote: address },
            sealer,
            nack: Box::new([0; SLOT]),
            len: 0,
        })
    }

    /// Forwards the prepared frame, of which `asker` will ask for the last packet again.
    pub fn forward_to(&mut self, asker: &mut Asker) {
        let mut last = None;
        let lengths = self.frames.lengths.as_slice();
        let slots = self.frames.slots.get_mut(..lengths.len()).unwrap_or_default();
        self.worker.bench_seen(slots, lengths, self.publisher, Instant::now(), |packet, path| {
            if path == asker.path {
                last = RtpHeader::parse(packet).ok();
            }
        });
        let mut writer = RtcpWriter::new(asker.nack.get_mut(..SLOT - MAX_RTCP_OVERHEAD).unwrap_or_default());
        if let Some(last) = last {
            let _ = writer.nack(1, last.ssrc, &[last.sequence]);
        }
        let len = writer.len();
        asker.len = asker.sealer.protect_rtcp(asker.nack.as_mut_slice(), len).unwrap_or(0);
    }

    /// The worker gets the NACK; returns how many packets left.
    pub fn answer(&mut self, asker: &mut Asker) -> u64 {
        let nack = std::slice::from_mut(&mut *asker.nack);
        self.worker.bench_batch(nack, &[asker.len], asker.path, Instant::now(), false)
    }
}

/// A peer that is being checked.
pub struct Checked {
    worker: Worker,
    server: SocketAddr,
    path: Path,
    request: Vec<u8>,
    slot: Vec<u8>,
}

impl Checked {
    /// With this m-line.
    ///
    /// # Errors
    /// A socket could not be opened, or there was nothing to be checked.
    pub fn new(media: &Negotiated) -> io::Result<Self> {
        let now = Instant::now();
        let (_, inbox) = sync_channel(1);
        let (mut worker, server) = worker(0, inbox, Arc::new(Waker::new()?), Vec::new(), Duration::ZERO)?;
        let client = SocketAddr::from(([127, 0, 0, 1], 9));
        let (ufrag, pwd) = ("checker", "a password of the checker");
        let remote = RemoteTransport {
            ufrag: ufrag.to_owned(),
            pwd: pwd.to_owned(),
            fingerprint: Fingerprint::parse(&format!("sha-256 {}", ["AB"; 32].join(":")))
                .ok_or_else(|| io::Error::other("no fingerprint"))?,
            setup: None,
            ice_options: Vec::new(),
            candidates: Vec::new(),
            end_of_candidates: false,
            lite: false,
        };
        let negotiation = Negotiation {
            handle: handle(0),
            exchange: Some(0),
            remote: Some(remote),
            offering: false,
            restart: false,
            trickle: true,
            relay_only: false,
            media: vec![media.clone()],
            affinity: None,
            worker: None,
        };
        worker.bench_command(MediaCommand::Negotiate(Box::new(negotiation)), now);
        let local = worker.bench_events().into_iter().find_map(|(_, event)| match event {
            MediaEvent::Local { transport, .. } => Some(transport),
            _ => None,
        });
        let request = local
            .and_then(|local| request(ufrag, pwd, client, &local, now))
            .ok_or_else(|| io::Error::other("no check"))?;
        let path = Path { link: Link::Udp(0), remote: client };
        Ok(Self { worker, server, path, request, slot: Vec::new() })
    }

    /// The worker gets a check; returns how many datagrams left.
    pub fn answer(&mut self) -> u64 {
        self.slot.clone_from(&self.request);
        self.worker.bench_datagram(&mut self.slot, self.path, self.server, Instant::now())
    }
}

/// The first check of a client to a peer.
fn request(
    ufrag: &str,
    pwd: &str,
    client: SocketAddr,
    to: &LocalTransport,
    mut now: Instant,
) -> Option<Vec<u8>> {
    let mut ice = Ice::new(ufrag.to_owned(), pwd.to_owned(), false, true);
    ice.set_remote(&to.ufrag, &to.pwd, || (ufrag.to_owned(), pwd.to_owned()));
    ice.add_local(client, false);
    to.candidates.iter().for_each(|c| _ = ice.add_remote(c));
    for _ in 0..50 {
        now += Duration::from_millis(50);
        ice.handle_timeout(now);
        if let Some(request) = ice.poll_transmit(|bytes, _, _, _| bytes.to_vec()) {
            return Some(request);
        }
    }
    None
}
