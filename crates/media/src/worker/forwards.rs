//! Forwarders: the sockets they send from, and what comes back to their feedback ports.

use super::{FEEDBACK, Worker, token};
use crate::egress::{Link, Path};
use crate::peer::{Outlet, Ready};
use crate::socket::UdpSocket;
use portunus_plugin::forward::{Feedback, Forward};
use portunus_plugin::media::RouteEnd;
use portunus_rtp::codec::dependency::DependencyStructure;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

/// What a receiver's firewall or address translation is to see first: an RTP header and nothing else, twice.
const GREETING: [u8; 12] = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Sockets that forwarders of this worker send from, by family; opened when they are needed first.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    v4: Option<usize>,
    v6: Option<usize>,
}

impl Worker {
    pub(super) fn on_forward(&mut self, source: &RouteEnd, mut forward: Forward, now: Instant) {
        let (handle, mid) = (source.handle, source.mid.as_str());
        let Some((key, line)) = self.find_line(handle, mid) else {
            tracing::warn!(%handle, mid, "forwarding of a medium that is not there");
            return;
        };
        let id = forward.id;
        let feedback = forward.feedback.take();
        let made = self.outgoing_socket(forward.to).and_then(|socket| {
            let feedback = feedback.map(|f| self.listen_to_feedback(f, (key, line, id))).transpose()?;
            Ok((Path { link: Link::Udp(socket), remote: forward.to }, feedback))
        });
        let (path, feedback) = match made {
            Ok(made) => made,
            Err(error) => {
                tracing::error!(%handle, mid, to = %forward.to, %error, "cannot forward");
                return;
            }
        };
        match Outlet::new(&forward, path, feedback) {
            Ok(outlet) => {
                tracing::info!(%handle, mid, id, to = %forward.to, "forwarding");
                self.with_peer(key, now, |peer, cx| peer.add_outlet(cx, line, outlet, now));
            }
            Err(error) => {
                feedback.into_iter().for_each(|socket| self.close_feedback(socket));
                tracing::error!(%handle, mid, id, %error, "cannot forward");
            }
        }
    }

    pub(super) fn on_stop_forward(&mut self, source: &RouteEnd, id: u32) {
        let Some((key, line)) = self.find_line(source.handle, &source.mid) else { return };
        if let Some(socket) = self.peers.get_mut(key).and_then(|p| p.remove_outlet(line, id)) {
            self.close_feedback(socket);
        }
    }

    /// The socket for packets to an address of this family.
    fn outgoing_socket(&mut self, to: SocketAddr) -> io::Result<usize> {
        let known = if to.is_ipv4() { &mut self.outgoing.v4 } else { &mut self.outgoing.v6 };
        if let Some(socket) = known {
            return Ok(*socket);
        }
        let socket = self.sockets.insert_apart(UdpSocket::for_sending(to.is_ipv4(), self.settings.tos)?);
        *known = Some(socket);
        Ok(socket)
    }

    /// Reads a feedback port from now on, and shows the other side where it is.
    fn listen_to_feedback(&mut self, feedback: Feedback, of: (usize, usize, u32)) -> io::Result<usize> {
        let socket = UdpSocket::adopt(feedback.port.into_socket())?;
        let fd = socket.fd();
        let index = self.sockets.insert_apart(socket);
        if let Err(error) = self.epoll.add(fd, token(FEEDBACK, index), false) {
            self.sockets.remove(index);
            return Err(error);
        }
        self.feedback.insert(index, of);
        for _ in 0..2 {
            self.egress.push(&GREETING, Path { link: Link::Udp(index), remote: feedback.to });
        }
        Ok(index)
    }

    /// Closes those of these feedback ports whose forwarders went with their m-line.
    pub(super) fn close_lost_feedback(&mut self, key: usize, before: &[usize]) {
        for socket in before {
            if !self.peers.get(key).is_some_and(|p| p.feedback_sockets().any(|s| s == *socket)) {
                self.close_feedback(*socket);
            }
        }
    }

    pub(super) fn close_feedback(&mut self, socket: usize) {
        // What is to be sent from it leaves before another one gets its index.
        self.flush();
        if let Some(s) = self.sockets.get(socket) {
            self.epoll.remove(s.fd());
        }
        self.feedback.remove(&socket);
        self.sockets.remove(socket);
    }

    /// One batch: whoever sends more has his turn again after the others.
    pub(super) fn on_feedback(&mut self, socket: usize, now: Instant) {
        let Some((key, line, id)) = self.feedback.get(&socket).copied() else { return };
        let Some(mut batch) = self.batch.take() else { return };
        let received = self.sockets.get(socket).map_or(0, |s| batch.receive(s).unwrap_or(0));
        for i in 0..received {
            if let Some((bytes, _)) = batch.datagram(i) {
                self.with_peer(key, now, |peer, cx| peer.on_feedback(cx, (line, id), bytes, now));
            }
        }
        self.batch = Some(batch);
    }

    /// Sends the packets of one source to the forwarders of its line.
    pub(super) fn send_out<'a>(
        &mut self,
        group: &[Ready],
        structure: Option<&DependencyStructure>,
        slot: &dyn Fn(usize) -> Option<&'a [u8]>,
        now: Instant,
    ) {
        let Some(first) = group.first() else { return };
        let outlets = self.peers.get(first.peer).map_or(0, |p| p.outlets(first.line));
        for n in 0..outlets {
            if !self.egress.has_room_for(group.len()) {
                self.flush();
            }
            self.with_peer(first.peer, now, |peer, cx| {
                let bytes = |p: &Ready| slot(p.slot).and_then(|s| s.get(..p.len));
                let packets = group.iter().filter_map(|p| Some((p, bytes(p)?)));
                peer.send_out(cx, (first.line, n), packets, structure, now);
            });
        }
    }
}
