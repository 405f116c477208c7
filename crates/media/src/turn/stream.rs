//! A connection to a TURN server over TCP or TLS that never blocks: frames in, frames out.

use super::message::frame_length;
use crate::socket::{Epoll, connect_stream};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// Bytes that wait to be written; packets that do not fit are dropped, as on a full UDP socket.
const WRITE_BUFFER: usize = 512 * 1024;
/// What rustls may hold of them besides.
const TLS_BUFFER: usize = 64 * 1024;
/// Taken from the system at once.
const CHUNK: usize = 16 * 1024;

/// See the module.
pub(crate) struct Stream {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    input: Vec<u8>,
    /// Bytes of `input` that were taken already.
    taken: usize,
    output: Vec<u8>,
    written: usize,
    waits_for_room: bool,
    /// Why writing failed; told by the next read.
    failed: Option<io::Error>,
}

impl Stream {
    /// Begins to connect.
    ///
    /// # Errors
    /// That could not even be begun, or the name can stand in no certificate.
    pub(crate) fn open(
        server: SocketAddr,
        tls: Option<(Arc<rustls::ClientConfig>, &str)>,
    ) -> io::Result<Self> {
        let tls = match tls {
            Some((config, name)) => {
                let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
                let mut connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
                connection.set_buffer_limit(Some(TLS_BUFFER));
                Some(Box::new(connection))
            }
            None => None,
        };
        let socket = connect_stream(server)?;
        let _ = socket.set_nodelay(true);
        Ok(Self {
            socket,
            tls,
            input: Vec::new(),
            taken: 0,
            output: Vec::new(),
            written: 0,
            waits_for_room: false,
            failed: None,
        })
    }

    /// Has it watched. What waits to be written, the connection itself to begin with, waits for room.
    ///
    /// # Errors
    /// The system cannot.
    pub(crate) fn watch(&mut self, epoll: &Epoll, token: u64) -> io::Result<()> {
        self.waits_for_room = true;
        epoll.add(self.socket.as_raw_fd(), token, true)
    }

    pub(crate) fn unwatch(&self, epoll: &Epoll) {
        epoll.remove(self.socket.as_raw_fd());
    }

    /// Takes a frame to be sent with the next [`Self::pump`], or drops it when too much waits already.
    pub(crate) fn queue(&mut self, frame: &[u8]) {
        if self.output.len() - self.written + frame.len() <= WRITE_BUFFER {
            self.output.extend_from_slice(frame);
        }
    }

    /// Writes what the connection takes.
    pub(crate) fn pump(&mut self, epoll: &Epoll, token: u64) {
        let waits = self.write_out();
        if self.written >= self.output.len() {
            self.output.clear();
            self.written = 0;
        } else if self.written > WRITE_BUFFER / 2 {
            self.output.drain(..self.written);
            self.written = 0;
        }
        if waits != self.waits_for_room {
            self.waits_for_room = waits;
            let _ = epoll.modify(self.socket.as_raw_fd(), token, waits);
        }
    }

    /// Whether something is left to be written.
    fn write_out(&mut self) -> bool {
        loop {
            let rest = self.output.get(self.written..).unwrap_or_default();
            let Some(tls) = &mut self.tls else {
                if rest.is_empty() {
                    return false;
                }
                match self.socket.write(rest) {
                    Ok(n) => self.written += n,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return self.put_off(e),
                }
                continue;
            };
            // Before the handshake is done nothing is taken but into the buffer of rustls.
            let took = if rest.is_empty() { 0 } else { tls.writer().write(rest).unwrap_or(0) };
            self.written += took;
            if !tls.wants_write() {
                return false;
            }
            match tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return self.put_off(e),
            }
        }
    }

    /// Whether to try again later what failed now.
    fn put_off(&mut self, error: io::Error) -> bool {
        let later = is_later(&error);
        if !later {
            self.failed = Some(error);
        }
        later
    }

    /// Copies the next frame into `out`; its length, 0 for one that is longer than `out`. `Ok(None)`: nothing complete
    /// is there now.
    ///
    /// # Errors
    /// The connection is over, could not be made, or carries something else.
    pub(crate) fn read(&mut self, out: &mut [u8]) -> io::Result<Option<usize>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        loop {
            let waiting = self.input.get(self.taken..).unwrap_or_default();
            let length = frame_length(waiting).map_err(|()| io::Error::from(io::ErrorKind::InvalidData))?;
            if let Some(frame) = length.and_then(|length| waiting.get(..length)) {
                let fits = out.get_mut(..frame.len());
                let copied = fits.map_or(0, |room| {
                    room.copy_from_slice(frame);
                    room.len()
                });
                self.taken += frame.len();
                return Ok(Some(copied));
            }
            self.input.drain(..self.taken);
            self.taken = 0;
            match self.fill() {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if is_later(&e) => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }

    /// Takes more from the connection.
    fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = [0; CHUNK];
        let n = match &mut self.tls {
            None => self.socket.read(&mut chunk)?,
            Some(tls) => loop {
                match tls.reader().read(&mut chunk) {
                    Err(e) if is_later(&e) => {}
                    done => break done?,
                }
                if tls.read_tls(&mut self.socket)? == 0 {
                    break 0;
                }
                tls.process_new_packets().map_err(io::Error::other)?;
            },
        };
        self.input.extend_from_slice(chunk.get(..n).unwrap_or_default());
        Ok(n)
    }
}

/// Not yet: it is not connected, has no room, or nothing came.
fn is_later(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    fn wait_for(stream: &mut Stream, out: &mut [u8]) -> io::Result<usize> {
        let (epoll, end) = (Epoll::new().unwrap(), Instant::now() + Duration::from_secs(10));
        while Instant::now() < end {
            stream.pump(&epoll, 0);
            if let Some(n) = stream.read(out)? {
                return Ok(n);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("nothing came");
    }

    #[test]
    fn frames_come_out_whole_however_they_arrive_and_too_long_ones_are_stepped_over() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = Stream::open(listener.local_addr().unwrap(), None).unwrap();
        stream.queue(&[0x40, 0, 0, 4, 1, 2, 3, 4]);
        let server = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut got = [0; 8];
            peer.read_exact(&mut got).unwrap();
            let long = [&[0x40, 0, 0x1f, 0x40][..], &[7; 8000]].concat();
            for part in [&got[..3], &got[3..], &long, &[0x40, 1, 0, 1, 9, 0], &[0, 0], &[0xff; 4]] {
                peer.write_all(part).unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let mut out = [0; 2048];
        assert_eq!(wait_for(&mut stream, &mut out).unwrap(), 8);
        assert_eq!(out[..8], [0x40, 0, 0, 4, 1, 2, 3, 4]);
        assert_eq!(wait_for(&mut stream, &mut out).unwrap(), 0, "longer than a packet can be");
        assert_eq!(wait_for(&mut stream, &mut out).unwrap(), 8);
        assert_eq!(out[..5], [0x40, 1, 0, 1, 9]);
        assert_eq!(wait_for(&mut stream, &mut out).unwrap_err().kind(), io::ErrorKind::InvalidData);
        server.join().unwrap();
    }

    #[test]
    fn over_tls_only_a_server_whose_name_and_authority_are_right_is_talked_to() {
        let made = rcgen::generate_simple_self_signed(["turn.example".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["turn.example".to_owned()]).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        for (authority, name, good) in
            [(&made, "turn.example", true), (&made, "other.example", false), (&other, "turn.example", false)]
        {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let server = std::thread::spawn(move || {
                let (mut socket, _) = listener.accept().unwrap();
                let mut stream = rustls::Stream::new(&mut tls, &mut socket);
                let mut frame = [0; 8];
                let got = stream.read_exact(&mut frame).and_then(|()| stream.write_all(&frame));
                (got.is_ok(), frame)
            });
            let trust = super::super::TurnTrust::of_authorities(authority.cert.pem().as_bytes()).unwrap();
            let mut stream = Stream::open(address, Some((trust.config(), name))).unwrap();
            let frame = [0x40, 0, 0, 4, 1, 2, 3, 4];
            stream.queue(&frame);
            let mut out = [0; 100];
            let answer = wait_for(&mut stream, &mut out);
            drop(stream);
            let expected = if good { (true, frame) } else { (false, [0; 8]) };
            assert_eq!(server.join().unwrap(), expected, "{name}");
            assert_eq!(answer.is_ok(), good, "{answer:?}");
        }
    }

    #[test]
    fn a_server_that_is_not_there_shows_on_reading() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        if let Ok(mut stream) = Stream::open(address, None) {
            stream.queue(&[0x40, 0, 0, 0]);
            let error = wait_for(&mut stream, &mut [0; 100]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
    }

    #[test]
    fn what_a_stuck_server_does_not_take_is_dropped() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = Stream::open(listener.local_addr().unwrap(), None).unwrap();
        let epoll = Epoll::new().unwrap();
        for _ in 0..100_000 {
            stream.queue(&[0; 1200]);
            stream.pump(&epoll, 0);
        }
        assert!(stream.output.len() <= 2 * WRITE_BUFFER && stream.output.capacity() <= 4 * WRITE_BUFFER);
    }
}
