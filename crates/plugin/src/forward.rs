//! Forwarding: what comes in on a medium leaves as plain UDP, for whoever a request names.
//!
//! A plugin has the destination looked up first ([`Task::Reach`](crate::Task::Reach)): names are resolved, and the answer
//! is held against the networks that the operator allows, where nobody waits for it. What it gets back are addresses, which
//! stay what they are for as long as the forwarder lives.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// Octets of an SRTP master key and its salt, as a request gives them in Base64.
pub const KEY_AND_SALT: usize = 30;

/// Of which family the address of a name shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A host to be forwarded to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// An address or a name.
    pub host: String,
    /// Of which family; either if it is not said.
    pub family: Option<Family>,
    /// How many ports of ours shall be opened, on which it may send feedback.
    pub feedback: usize,
}

/// What became of a [`Destination`].
#[derive(Debug, PartialEq)]
pub struct Reached {
    /// Its address.
    pub address: IpAddr,
    /// The ports that were asked for.
    pub feedback: Vec<FeedbackPort>,
}

/// Why nothing can be sent to a [`Destination`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// It is no address, and no name that could be resolved in time.
    Unresolved,
    /// Its address is in none of the networks that the operator allows.
    Forbidden(IpAddr),
    /// No port could be opened for feedback.
    NoPort(String),
}

/// A UDP port of ours for feedback about a forwarded stream: open, and nobody reads it until a worker does.
#[derive(Debug)]
pub struct FeedbackPort(UdpSocket);

impl FeedbackPort {
    /// Opens one that the system chooses.
    ///
    /// # Errors
    /// Those of the system.
    pub fn open(family: Family) -> std::io::Result<Self> {
        let any = match family {
            Family::V4 => IpAddr::from([0; 4]),
            Family::V6 => IpAddr::from([0; 16]),
        };
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// Its number.
    pub fn port(&self) -> u16 {
        self.0.local_addr().map_or(0, |address| address.port())
    }

    /// For the worker that reads it.
    pub fn into_socket(self) -> UdpSocket {
        self.0
    }
}

impl PartialEq for FeedbackPort {
    fn eq(&self, other: &Self) -> bool {
        self.port() == other.port()
    }
}

/// Which packets of a medium are forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layers {
    /// All of them.
    All,
    /// Those of one simulcast substream, 0 the lowest.
    Substream(u8),
    /// Those of the best simulcast substream there is, as one stream.
    Best,
}

/// How forwarded packets are protected: AES-128 in counter mode (RFC 3711).
#[derive(Clone, PartialEq, Eq)]
pub struct ForwardKey {
    /// RTP packets have an authentication tag of 32 bits instead of 80.
    pub short_tag: bool,
    /// Master key and salt.
    pub bytes: [u8; KEY_AND_SALT],
}

impl ForwardKey {
    /// From the Base64 text of a request; `None` if it is not that of a key and a salt.
    pub fn from_base64(text: &str, short_tag: bool) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?.try_into().ok()?;
        Some(Self { short_tag, bytes })
    }
}

impl fmt::Debug for ForwardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardKey").field("short_tag", &self.short_tag).finish_non_exhaustive()
    }
}

/// A port for feedback, and where the other side expects to hear from it first.
#[derive(Debug, PartialEq)]
pub struct Feedback {
    /// Ours.
    pub port: FeedbackPort,
    /// Theirs.
    pub to: SocketAddr,
}

/// A forwarder: one copy of a medium, for one destination.
#[derive(Debug, PartialEq)]
pub struct Forward {
    /// Names it among those of its medium. The SSRC of merged layers, unless another is given.
    pub id: u32,
    /// Where packets go.
    pub to: SocketAddr,
    /// In place of the payload type that packets came with.
    pub payload_type: Option<u8>,
    /// In place of the SSRC that packets came with.
    pub ssrc: Option<u32>,
    /// Which packets.
    pub layers: Layers,
    /// They are sealed.
    pub key: Option<ForwardKey>,
    /// Keyframes may be asked for.
    pub feedback: Option<Feedback>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_thirty_octets_in_base64() {
        let text = "WbTBosdVUZqEb6Htqhn+m3z7wUh4RJVR8nE15GbN";
        assert_eq!(ForwardKey::from_base64(text, false).unwrap().bytes[..3], [0x59, 0xb4, 0xc1]);
        for wrong in
            ["", "x", &text[..36], &format!("{text}AAAA"), "?bTBosdVUZqEb6Htqhn+m3z7wUh4RJVR8nE15GbN"]
        {
            assert_eq!(ForwardKey::from_base64(wrong, false), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_does_not_show_itself() {
        let key = ForwardKey { short_tag: true, bytes: [77; KEY_AND_SALT] };
        assert_eq!(format!("{key:?}"), "ForwardKey { short_tag: true, .. }");
    }

    #[test]
    fn a_feedback_port_is_open_as_soon_as_it_has_a_number() {
        let port = FeedbackPort::open(Family::V4).unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        other.send_to(b"x", ("127.0.0.1", port.port())).unwrap();
        let socket = port.into_socket();
        socket.set_nonblocking(false).unwrap();
        assert_eq!(socket.recv(&mut [0; 8]).unwrap(), 1);
    }
}
