//! What a worker is about to send: packets one behind the other in one arena, sent together at the end of a
//! batch, so that the packets of a frame to one receiver leave in one `UDP_SEGMENT` call.

use crate::socket::{MAX_GSO_BYTES, MAX_SEGMENTS, Message, SendBatch, UdpSocket};
use std::net::SocketAddr;

/// Bytes of packets gathered before they are sent in any case.
const ARENA: usize = 1 << 20;
/// Room that one packet may need: the largest datagram, tag included.
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
}

/// Counters of what was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SendCounters {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) calls_saved: u64,
    pub(crate) dropped: u64,
}

impl Egress {
    pub(crate) fn new() -> Self {
        Self {
            arena: vec![0; ARENA].into_boxed_slice(),
            used: 0,
            entries: Vec::with_capacity(1024),
            messages: Vec::with_capacity(1024),
            batch: SendBatch::new(),
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
        self.entries.push(Entry { start: self.used, len, path });
        self.used += len;
    }

    /// Copies a whole packet. `false` if there was no room.
    pub(crate) fn push(&mut self, bytes: &[u8], path: Path) -> bool {
        match self.room().get_mut(..bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.commit(bytes.len(), path);
                true
            }
            None => false,
        }
    }

    /// Sends everything. Packets for TCP are handed to `tcp`.
    pub(crate) fn flush(
        &mut self,
        sockets: &mut Sockets,
        counters: &mut SendCounters,
        mut tcp: impl FnMut(usize, &[u8]),
    ) {
        let mut i = 0;
        while let Some(first) = self.entries.get(i).copied() {
            match first.path.link {
                Link::Tcp(connection) => {
                    if let Some(bytes) = self.arena.get(first.start..first.start + first.len) {
                        tcp(connection, bytes);
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
    sockets: slab::Slab<(UdpSocket, bool)>,
}

impl Sockets {
    pub(crate) fn insert(&mut self, socket: UdpSocket) -> usize {
        self.sockets.insert((socket, true))
    }

    pub(crate) fn remove(&mut self, index: usize) -> Option<UdpSocket> {
        self.sockets.try_remove(index).map(|(s, _)| s)
    }

    pub(crate) fn get(&self, index: usize) -> Option<&UdpSocket> {
        self.sockets.get(index).map(|(s, _)| s)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &UdpSocket)> {
        self.sockets.iter().map(|(i, (s, _))| (i, s))
    }

    fn segments(&self, index: usize) -> bool {
        self.sockets.get(index).is_some_and(|(_, segments)| *segments)
    }

    fn refuse_segments(&mut self, index: usize) {
        if let Some((socket, segments)) = self.sockets.get_mut(index) {
            tracing::warn!(local = %socket.local(), "segmentation offload refused, sending packets singly");
            *segments = false;
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
        let mut batch = ReceiveBatch::new();
        let n = batch.receive(&a).unwrap();
        let got: Vec<u8> = (0..n).map(|i| batch.datagram(i).unwrap().0[0]).collect();
        assert_eq!(got, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(batch.receive(&b).unwrap(), 5);
    }
}
