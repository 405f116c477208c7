//! Unix sockets of packets: `SOCK_SEQPACKET` with connections, `SOCK_DGRAM` without. One packet is one message.

use crate::unix::{self, SocketFile};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen,
    recv, recvfrom, send, sendto, socket_with, sockopt,
};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;
/// What may be under way to a client: no message can be larger. The system may allow less.
const SEND_BUFFER: usize = 4 << 20;

/// A socket that gives and takes whole messages.
#[derive(Debug)]
pub(super) struct PacketSocket(AsyncFd<OwnedFd>);

/// What came.
#[derive(Debug)]
pub(super) enum Packet {
    Message(Vec<u8>),
    /// A message of so many bytes, thrown away.
    TooLong(usize),
    /// There will be no more.
    End,
}

/// Makes a socket of a kind at a path.
///
/// # Errors
/// There is something at the path, or nothing may be made there.
pub(super) async fn open(path: &Path, datagrams: bool) -> io::Result<(PacketSocket, SocketFile)> {
    unix::make_way(path).await?;
    let kind = if datagrams { SocketType::DGRAM } else { SocketType::SEQPACKET };
    let socket = socket_with(AddressFamily::UNIX, kind, FLAGS, None)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    let file = SocketFile::guard(path)?;
    if datagrams {
        sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER)?;
    } else {
        listen(&socket, BACKLOG)?;
    }
    Ok((PacketSocket::watch(socket)?, file))
}

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

impl PacketSocket {
    #[expect(
        deprecated,
        reason = "its successor asks for unsafe code to promise what holds for every `OwnedFd`"
    )]
    fn watch(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self(AsyncFd::new(socket)?))
    }

    /// The number that event handlers are told.
    pub(super) fn number(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<Self> {
        let socket = self.0.async_io(Interest::READABLE, |fd| Ok(accept_with(fd, FLAGS)?)).await?;
        sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER)?;
        Self::watch(socket)
    }

    /// The next message of a connection. Safe to cancel.
    pub(super) async fn receive(&self, longest: usize) -> io::Result<Packet> {
        let receive = |fd: &OwnedFd| {
            // Its length first: messages are small, and the longest that is allowed is not.
            let (_, length) = recv(fd, &mut [0; 1], RecvFlags::PEEK.union(RecvFlags::TRUNC))?;
            let mut message = vec![0; length.min(longest)];
            let (_, length) = recv(fd, &mut message[..], RecvFlags::TRUNC)?;
            Ok(match length {
                0 => Packet::End,
                _ if length > longest => Packet::TooLong(length),
                _ => Packet::Message(message),
            })
        };
        self.0.async_io(Interest::READABLE, receive).await
    }

    /// The next message of anybody who can be answered. Safe to cancel.
    pub(super) async fn receive_from(&self, longest: usize) -> io::Result<(Packet, Option<SocketAddrUnix>)> {
        let receive = |fd: &OwnedFd| {
            let (_, length) = recv(fd, &mut [0; 1], RecvFlags::PEEK.union(RecvFlags::TRUNC))?;
            let mut message = vec![0; length.min(longest)];
            let (_, length, from) = recvfrom(fd, &mut message[..], RecvFlags::TRUNC)?;
            let from = from.and_then(|from| SocketAddrUnix::try_from(from).ok());
            let named = from.filter(|from| from.path_bytes().is_some() || from.abstract_name().is_some());
            let packet = if length > longest { Packet::TooLong(length) } else { Packet::Message(message) };
            Ok((packet, named))
        };
        self.0.async_io(Interest::READABLE, receive).await
    }

    /// Sends a message over a connection, when there is room.
    pub(super) async fn send(&self, message: &[u8]) -> io::Result<()> {
        let send = |fd: &OwnedFd| Ok(send(fd, message, SendFlags::NOSIGNAL)?);
        self.0.async_io(Interest::WRITABLE, send).await.map(drop)
    }

    /// Sends a message to somebody; `WouldBlock` while his queue is full, for which there is no waiting: this socket
    /// itself stays writable.
    pub(super) fn try_send_to(&self, message: &[u8], to: &SocketAddrUnix) -> io::Result<()> {
        Ok(sendto(self.0.get_ref(), message, SendFlags::NOSIGNAL, to).map(drop)?)
    }
}

/// A message that no buffer of the system takes.
pub(super) fn is_too_long(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::MSGSIZE)
}
