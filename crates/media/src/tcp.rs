//! ICE over TCP, passive side: framed datagrams (RFC 4571) over accepted connections.
//!
//! A connection costs memory before it has proven anything, so it is bounded: so many at once, so long until
//! its first authenticated STUN message, so many bytes waiting to be written.

use crate::socket::{Epoll, MAX_DATAGRAM};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Connections of one worker.
const MAX_CONNECTIONS: usize = 1024;
/// A connection without an authenticated message is closed after this long.
const PROVE_WITHIN: Duration = Duration::from_secs(10);
/// Bytes that wait to be written; packets that do not fit are dropped, as on a full UDP socket.
const WRITE_BUFFER: usize = 256 * 1024;

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: TcpListener,
    local: SocketAddr,
}

impl Listener {
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let local = listener.local_addr()?;
        Ok(Self { listener, local })
    }

    pub(crate) const fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn fd(&self) -> i32 {
        self.listener.as_raw_fd()
    }
}

/// One accepted connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    opened: Instant,
    proven: bool,
    input: Vec<u8>,
    /// So much of it was taken.
    taken: usize,
    output: Vec<u8>,
    written: usize,
    waits_for_room: bool,
}

/// The connections of a worker.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    connections: slab::Slab<Connection>,
}

impl Connections {
    /// Accepts what waits on `listener`.
    pub(crate) fn accept(
        &mut self,
        listener: &Listener,
        epoll: &Epoll,
        token: impl Fn(usize) -> u64,
        now: Instant,
    ) {
        while let Ok((stream, remote)) = listener.listener.accept() {
            if self.connections.len() >= MAX_CONNECTIONS || stream.set_nonblocking(true).is_err() {
                continue;
            }
            let _ = stream.set_nodelay(true);
            let fd = stream.as_raw_fd();
            let index = self.connections.insert(Connection {
                stream,
                local: listener.local,
                remote,
                opened: now,
                proven: false,
                input: Vec::new(),
                taken: 0,
                output: Vec::new(),
                written: 0,
                waits_for_room: false,
            });
            if epoll.add(fd, token(index), false).is_err() {
                self.connections.remove(index);
            }
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Connection> {
        self.connections.get(index)
    }

    /// Our end of a connection.
    pub(crate) fn local(&self, index: usize) -> Option<SocketAddr> {
        self.connections.get(index)?.stream.local_addr().ok()
    }

    /// The connection to this remote address.
    pub(crate) fn find(&self, remote: SocketAddr) -> Option<usize> {
        self.connections.iter().find(|(_, c)| c.remote == remote).map(|(i, _)| i)
    }

    /// An authenticated message came over it.
    pub(crate) fn prove(&mut self, index: usize) {
        if let Some(c) = self.connections.get_mut(index) {
            c.proven = true;
        }
    }

    pub(crate) fn close(&mut self, index: usize, epoll: &Epoll) {
        if let Some(c) = self.connections.try_remove(index) {
            epoll.remove(c.stream.as_raw_fd());
        }
    }

    /// Connections that have proven nothing in time.
    pub(crate) fn overdue(&self, now: Instant) -> Option<usize> {
        let late = |c: &Connection| !c.proven && now.saturating_duration_since(c.opened) > PROVE_WITHIN;
        self.connections.iter().find(|(_, c)| late(c)).map(|(i, _)| i)
    }

    /// Reads one datagram into `out`, from the socket at most `reads` times. `Ok(None)`: nothing complete is there now, or that
    /// was often enough; the socket is readable then.
    ///
    /// # Errors
    /// The connection is over, or sent something that cannot be a datagram.
    pub(crate) fn read(
        &mut self,
        index: usize,
        out: &mut [u8],
        reads: &mut usize,
    ) -> io::Result<Option<usize>> {
        let c = self.connections.get_mut(index).ok_or(io::ErrorKind::NotFound)?;
        loop {
            if let Some(len) = c.take_frame(out)? {
                return Ok(Some(len));
            }
            let Some(left) = reads.checked_sub(1) else { return Ok(None) };
            *reads = left;
            let mut chunk = [0_u8; 4096];
            match c.stream.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => c.input.extend_from_slice(chunk.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Sends one datagram, or drops it when too much waits already.
    pub(crate) fn write(&mut self, index: usize, datagram: &[u8], epoll: &Epoll, token: u64) {
        let Some(c) = self.connections.get_mut(index) else { return };
        let Ok(len) = u16::try_from(datagram.len()) else { return };
        if c.output.len() - c.written + datagram.len() + 2 > WRITE_BUFFER {
            return;
        }
        c.output.extend_from_slice(&len.to_be_bytes());
        c.output.extend_from_slice(datagram);
        c.drain(epoll, token);
    }

    /// The socket has room again.
    pub(crate) fn drain(&mut self, index: usize, epoll: &Epoll, token: u64) {
        if let Some(c) = self.connections.get_mut(index) {
            c.drain(epoll, token);
        }
    }
}

impl Connection {
    fn take_frame(&mut self, out: &mut [u8]) -> io::Result<Option<usize>> {
        let input = self.input.get(self.taken..).unwrap_or_default();
        let Some(&[high, low]) = input.first_chunk::<2>() else {
            self.keep_rest();
            return Ok(None);
        };
        let len = usize::from(u16::from_be_bytes([high, low]));
        if len > MAX_DATAGRAM {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let Some(frame) = input.get(2..2 + len) else {
            self.keep_rest();
            return Ok(None);
        };
        if let Some(room) = out.get_mut(..len) {
            room.copy_from_slice(frame);
        }
        self.taken += 2 + len;
        Ok(Some(len))
    }

    /// What was taken goes: once for all frames of a read.
    fn keep_rest(&mut self) {
        self.input.drain(..self.taken.min(self.input.len()));
        self.taken = 0;
    }

    fn drain(&mut self, epoll: &Epoll, token: u64) {
        while let Some(rest) = self.output.get(self.written..).filter(|r| !r.is_empty()) {
            match self.stream.write(rest) {
                Ok(n) => self.written += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // A dead connection shows itself on the next read.
                Err(_) => break,
            }
        }
        let empty = self.written >= self.output.len();
        if empty {
            self.output.clear();
            self.written = 0;
        } else if self.written > WRITE_BUFFER / 2 {
            // Whoever reads as slowly as is sent to him never lets it become empty.
            self.output.drain(..self.written);
            self.written = 0;
        }
        if self.waits_for_room == empty {
            self.waits_for_room = !empty;
            let _ = epoll.modify(self.stream.as_raw_fd(), token, !empty);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// A connection, and the other end of it.
    fn pair() -> (Connections, TcpStream, Epoll) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, remote) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let (local, opened) = (stream.local_addr().unwrap(), Instant::now());
        let (mut connections, epoll) = (Connections::default(), Epoll::new().unwrap());
        epoll.add(stream.as_raw_fd(), 0, false).unwrap();
        connections.connections.insert(Connection {
            stream,
            local,
            remote,
            opened,
            proven: true,
            input: Vec::new(),
            taken: 0,
            output: Vec::new(),
            written: 0,
            waits_for_room: false,
        });
        (connections, theirs, epoll)
    }

    #[test]
    fn who_reads_as_slowly_as_is_sent_costs_no_more_than_the_buffer() {
        let (mut connections, mut theirs, epoll) = pair();
        let (datagram, mut room) = ([7_u8; 1200], vec![0_u8; 64 << 10]);
        // Until it waits; from then on so much is read as is sent.
        let waits = |c: &Connections| c.connections[0].output.len() > c.connections[0].written;
        while !waits(&connections) {
            connections.write(0, &datagram, &epoll, 0);
        }
        for _ in 0..200 {
            let got = theirs.read(&mut room).unwrap();
            for _ in 0..got / 1202 + 1 {
                connections.write(0, &datagram, &epoll, 0);
            }
            connections.drain(0, &epoll, 0);
        }
        let kept = connections.connections[0].output.len();
        assert!(kept <= 2 * WRITE_BUFFER, "{kept}");
    }

    #[test]
    fn who_sends_without_an_end_has_his_turn_again_after_the_others() {
        let (mut connections, mut theirs, _epoll) = pair();
        let writer = std::thread::spawn(move || theirs.write_all(&vec![0_u8; 1 << 20]).map(|()| theirs));
        std::thread::sleep(std::time::Duration::from_millis(50));
        let (mut reads, mut frames, mut out) = (16, 0, [0_u8; 1500]);
        while connections.read(0, &mut out, &mut reads).unwrap().is_some() {
            frames += 1;
        }
        assert!((1..=16 * 4096 / 2).contains(&frames), "{frames}");
        assert!(connections.connections[0].input.len() < 2);
        // What is left comes later.
        let mut all = frames;
        while all < (1 << 20) / 2 {
            let mut reads = 16;
            while connections.read(0, &mut out, &mut reads).unwrap().is_some() {
                all += 1;
            }
        }
        writer.join().unwrap().unwrap();
    }
}
