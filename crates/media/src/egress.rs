//! What a worker is about to send: packets one behind the other in one arena, sent together at the end of a
//! batch, so that the packets of a frame to one receiver leave in one `UDP_SEGMENT` call.

use crate::socket::{MAX_GSO_BYTES, MAX_SEGMENTS, Message, SendBatch, UdpSocket};
use crate::status::Runs;
use crate::turn::Relays;
use std::net::SocketAddr;

/// Bytes of packets gathered before they are sent in any case.
const ARENA: usize = 1 << 20;
/// The most that a datagram of IPv4 can carry.
const MAX_DATAGRAM: usize = 65_507;
/// Room that one packet may need: the largest datagram, tag and what a relay adds included.
pub(crate) const PACKET_ROOM: usize = 1600;

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    /// Index of the local socket, or of the TCP connection.
    pub(crate) link: Link,
    /// The peer's address.
    pub(crate) remote: SocketAddr,
}

/// What a packet is sent over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Link {
    /// A UDP socket of the worker.
    Udp(usize),
    /// A TCP connection of the worker.
    Tcp(usize),
    /// A TURN server's port that is ours.
    Relay(usize),
}

/// A packet in the arena.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    len: usize,
    path: Path,
}

/// Packets to be sent.
pub(crate) struct Egress {
    arena: Box<[u8]>,
    used: usize,
    entries: Vec<Entry>,
    messages: Vec<Message>,
    batch: SendBatch,
    /// What wraps packets for their way through a TURN server.
    pub(crate) relays: Relays,
}

/// Counters of what was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SendCounters {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) calls_saved: u64,
    pub(crate) dropped: u64,
    pub(crate) runs: Runs,
}

impl Egress {
    pub(crate) fn new() -> Self {
        Self {
            arena: vec![0; ARENA].into_boxed_slice(),
            used: 0,
            entries: Vec::with_capacity(1024),
            messages: Vec::with_capacity(1024),
            batch: SendBatch::new(),
            relays: Relays::default(),
        }
    }

    /// Whether the next `packets` fit, whatever their size; if not, flush first.
    pub(crate) const fn has_room_for(&self, packets: usize) -> bool {
        self.used + packets.saturating_mul(PACKET_ROOM) <= ARENA
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Room for one packet. Empty when the arena is full.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let end = (self.used + PACKET_ROOM).min(ARENA);
        if end - self.used < PACKET_ROOM {
            return &mut [];
        }
        self.arena.get_mut(self.used..end).unwrap_or_default()
    }

    /// The first `len` bytes of [`Self::room`] go to `path`.
    pub(crate) fn commit(&mut self, len: usize, path: Path) {
        debug_assert!(len <= PACKET_ROOM);
        let Some((len, path)) = self.wrap(len, path) else { return };
        self.entries.push(Entry { start: self.used, len, path });
        self.used += len;
    }

    /// What goes through a relay is wrapped where it lies.
    #[inline]
    fn wrap(&mut self, len: usize, path: Path) -> Option<(usize, Path)> {
        if !matches!(path.link, Link::Relay(_)) {
            return Some((len, path));
        }
        self.relays.wrap(self.arena.get_mut(self.used..)?, len, path)
    }

    /// Copies a whole datagram, of any length that one may have. `false` if there was no room.
    pub(crate) fn push(&mut self, bytes: &[u8], path: Path) -> bool {
        let end = self.used.saturating_add(bytes.len());
        match self.arena.get_mut(self.used..end).filter(|_| bytes.len() <= MAX_DATAGRAM) {
            Some(room) => {
                room.copy_from_slice(bytes);
                let Some((len, path)) = self.wrap(bytes.len(), path) else { return false };
                self.entries.push(Entry { start: self.used, len, path });
                self.used += len;
                true
            }
            None => false,
        }
    }

    /// Copies a message for a TURN server itself.
    pub(crate) fn push_to_server(&mut self, bytes: &[u8], way: Path) {
        let end = self.used.saturating_add(bytes.len());
        if let Some(room) = self.arena.get_mut(self.used..end) {
            room.copy_from_slice(bytes);
            self.entries.push(Entry { start: self.used, len: bytes.len(), path: way });
            self.used = end;
        }
    }

    /// Sends everything. Packets for connections are handed to `stream`.
    pub(crate) fn flush(
        &mut self,
        sockets: &mut Sockets,
        counters: &mut SendCounters,
        mut stream: impl FnMut(Link, &[u8]),
    ) {
        let mut i = 0;
        while let Some(first) = self.entries.get(i).copied() {
            match first.path.link {
                link @ (Link::Tcp(_) | Link::Relay(_)) => {
                    if let Some(bytes) = self.arena.get(first.start..first.start + first.len) {
                        stream(link, bytes);
                        counters.packets += 1;
                    }
                    i += 1;
                }
                Link::Udp(socket) => i = self.flush_udp(i, socket, sockets, counters),
            }
        }
        self.entries.clear();
        self.used = 0;
    }

    /// Takes the packets out instead of sending them.
    #[cfg(any(test, feature = "bench"))]
    pub(crate) fn drain(&mut self, mut take: impl FnMut(&[u8], Path)) {
        for e in &self.entries {
            if let Some(bytes) = self.arena.get(e.start..e.start + e.len) {
                take(bytes, e.path);
            }
        }
        self.entries.clear();
        self.used = 0;
    }

    /// Sends the entries from `i` on that use `socket`; returns the index behind them.
    fn flush_udp(
        &mut self,
        mut i: usize,
        socket: usize,
        sockets: &mut Sockets,
        counters: &mut SendCounters,
    ) -> usize {
        let segments = sockets.segments(socket);
        self.messages.clear();
        while let Some(first) = self.entries.get(i).copied() {
            if first.path.link != Link::Udp(socket) {
                break;
            }
            let rest = self.entries.get(i..).unwrap_or_default();
            let n = if segments { run_length(rest) } else { 1 };
            let len: usize = rest.iter().take(n).map(|e| e.len).sum();
            let segment = if n > 1 { u16::try_from(first.len).ok() } else { None };
            self.messages.push(Message { start: first.start, len, to: first.path.remote, segment });
            counters.packets += u64::try_from(n).unwrap_or(0);
            counters.bytes += u64::try_from(len).unwrap_or(0);
            counters.calls_saved += u64::try_from(n - 1).unwrap_or(0);
            counters.runs.count(n);
            i += n;
        }
        if let Some(s) = sockets.get(socket) {
            let sent = self.batch.send(s, &self.arena, &self.messages);
            counters.dropped += u64::try_from(sent.dropped).unwrap_or(0);
            if sent.segments_refused {
                sockets.refuse_segments(socket);
            }
        }
        i
    }
}

/// How many entries from the first on can leave in one call: same path, one behind the other, equal sizes
/// but for a shorter last one.
fn run_length(entries: &[Entry]) -> usize {
    let Some(first) = entries.first() else { return 0 };
    let (mut n, mut end, mut bytes) = (1, first.start + first.len, first.len);
    for e in entries.iter().skip(1) {
        let fits = n < MAX_SEGMENTS && bytes + e.len <= MAX_GSO_BYTES;
        if !fits || e.path != first.path || e.start != end || e.len > first.len {
            break;
        }
        n += 1;
        end += e.len;
        bytes += e.len;
        if e.len < first.len {
            break;
        }
    }
    n
}

/// The UDP sockets of a worker. Indices stay valid: a closed socket leaves a gap.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    sockets: slab::Slab<Held>,
}

#[derive(Debug)]
struct Held {
    socket: UdpSocket,
    /// Segmentation offload was not refused.
    segments: bool,
    /// Peers use it: it is a candidate.
    of_peers: bool,
}

impl Sockets {
    /// A socket of peers.
    pub(crate) fn insert(&mut self, socket: UdpSocket) -> usize {
        self.sockets.insert(Held { socket, segments: true, of_peers: true })
    }

    /// A socket that no peer knows of.
    pub(crate) fn insert_apart(&mut self, socket: UdpSocket) -> usize {
        self.sockets.insert(Held { socket, segments: true, of_peers: false })
    }

    pub(crate) fn remove(&mut self, index: usize) -> Option<UdpSocket> {
        self.sockets.try_remove(index).map(|held| held.socket)
    }

    pub(crate) fn get(&self, index: usize) -> Option<&UdpSocket> {
        self.sockets.get(index).map(|held| &held.socket)
    }

    /// Those of peers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &UdpSocket)> {
        self.sockets.iter().filter(|(_, held)| held.of_peers).map(|(i, held)| (i, &held.socket))
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.sockets.len()
    }

    fn segments(&self, index: usize) -> bool {
        self.sockets.get(index).is_some_and(|held| held.segments)
    }

    fn refuse_segments(&mut self, index: usize) {
        if let Some(held) = self.sockets.get_mut(index) {
            tracing::warn!(local = %held.socket.local(), "segmentation offload refused, sending packets singly");
            held.segments = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::ReceiveBatch;

    fn entry(start: usize, len: usize, port: u16) -> Entry {
        let remote = SocketAddr::from(([127, 0, 0, 1], port));
        Entry { start, len, path: Path { link: Link::Udp(0), remote } }
    }

    #[test]
    fn a_run_is_one_path_and_one_size_with_a_shorter_end() {
        let cases: &[(&[Entry], usize)] = &[
            (&[entry(0, 100, 1), entry(100, 100, 1), entry(200, 50, 1), entry(250, 50, 1)], 3),
            (&[entry(0, 100, 1), entry(100, 101, 1)], 1),
            (&[entry(0, 100, 1), entry(100, 100, 2)], 1),
            (&[entry(0, 100, 1), entry(150, 100, 1)], 1),
        ];
        for (entries, n) in cases {
            assert_eq!(run_length(entries), *n);
        }
        let many: Vec<_> = (0..100).map(|i| entry(i * 10, 10, 1)).collect();
        assert_eq!(run_length(&many), MAX_SEGMENTS);
        let large: Vec<_> = (0..100).map(|i| entry(i * 1500, 1500, 1)).collect();
        assert_eq!(run_length(&large), MAX_GSO_BYTES / 1500);
    }

    #[test]
    fn packets_leave_in_order_to_their_receivers() {
        let any = "127.0.0.1:0".parse().unwrap();
        let mut sockets = Sockets::default();
        let out = sockets.insert(UdpSocket::bind(any, false, None).unwrap());
        let (a, b) = (UdpSocket::bind(any, false, None).unwrap(), UdpSocket::bind(any, false, None).unwrap());
        let mut egress = Egress::new();
        for i in 0..5_u8 {
            for to in [&a, &b] {
                assert!(egress.push(&[i; 40], Path { link: Link::Udp(out), remote: to.local() }));
            }
        }
        for i in 5..9_u8 {
            egress.push(&[i; 40], Path { link: Link::Udp(out), remote: a.local() });
        }
        let mut counters = SendCounters::default();
        egress.flush(&mut sockets, &mut counters, |_, _| panic!("no tcp here"));
        assert_eq!((counters.packets, counters.dropped, counters.calls_saved), (14, 0, 3));
        // Eleven runs: ten of one packet, and the last of four, which the fifth packet to `b` precedes.
        assert_eq!((counters.runs.up_to(0), counters.runs.up_to(2), counters.runs.all()), (10, 11, 11));
        let mut batch = ReceiveBatch::new();
        let n = batch.receive(&a).unwrap();
        let got: Vec<u8> = (0..n).map(|i| batch.datagram(i).unwrap().0[0]).collect();
        assert_eq!(got, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(batch.receive(&b).unwrap(), 5);
    }
}
