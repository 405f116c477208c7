//! ICE candidates as text (RFC 8839 section 5.1, RFC 6544 for TCP).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::Error;
use crate::limits::MAX_CANDIDATE_BYTES;

/// One ICE candidate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// Foundation.
    pub foundation: String,
    /// Component, 1 for all our peers.
    pub component: u16,
    /// UDP or TCP.
    pub transport: CandidateTransport,
    /// Priority.
    pub priority: u32,
    /// Address.
    pub address: CandidateAddress,
    /// Port.
    pub port: u16,
    /// Type.
    pub kind: CandidateKind,
    /// Base of a reflexive or relayed candidate (`raddr`, `rport`).
    pub related: Option<SocketAddr>,
    /// The username fragment the candidate belongs to, if the text says so.
    pub ufrag: Option<String>,
}

/// Transport of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CandidateTransport {
    /// UDP
    Udp,
    /// TCP with its `tcptype`.
    Tcp(TcpType),
}

/// Who opens the connection of a TCP candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TcpType {
    /// Opens connections.
    Active,
    /// Accepts connections.
    Passive,
    /// Simultaneous open.
    So,
}

/// Address of a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CandidateAddress {
    /// IPv4 or IPv6.
    Ip(IpAddr),
    /// A `.local` name, lower case, to be resolved by mDNS.
    Mdns(String),
}

/// Type of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CandidateKind {
    /// Own address.
    Host,
    /// Seen by a STUN server.
    Srflx,
    /// Seen by the peer.
    Prflx,
    /// Address at a TURN server.
    Relay,
}

impl CandidateKind {
    /// The word after `typ`.
    pub fn as_str(self) -> &'static str {
        match self {
            CandidateKind::Host => "host",
            CandidateKind::Srflx => "srflx",
            CandidateKind::Prflx => "prflx",
            CandidateKind::Relay => "relay",
        }
    }
}

impl Candidate {
    /// Reads a candidate with or without the prefixes `a=` and `candidate:`.
    ///
    /// # Errors
    /// [`Error::Candidate`] for everything that cannot be used: too long, a field missing or out of range, an unknown
    /// transport or type, a host name that is not `.local`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_CANDIDATE_BYTES {
            return Err(Error::Candidate("too long"));
        }
        let text = text.trim();
        let text = text.strip_prefix("a=").unwrap_or(text);
        let text = text.strip_prefix("candidate:").unwrap_or(text);
        if text.chars().any(char::is_control) {
            return Err(Error::Candidate("control character"));
        }
        let mut words = text.split_ascii_whitespace();
        let mut word = |what| words.next().ok_or(Error::Candidate(what));
        let foundation = word("no foundation")?;
        if !foundation.bytes().all(is_ice_char) {
            return Err(Error::Candidate("foundation"));
        }
        let component = number(word("no component")?, "component")?;
        let transport = word("no transport")?;
        let priority = number(word("no priority")?, "priority")?;
        let address = address(word("no address")?)?;
        let port = number(word("no port")?, "port")?;
        if word("no typ")? != "typ" {
            return Err(Error::Candidate("no typ"));
        }
        let kind = kind(word("no type")?)?;
        let rest = Attributes::read(words);
        Ok(Candidate {
            foundation: foundation.to_owned(),
            component,
            transport: rest.transport(transport)?,
            priority,
            address,
            port,
            kind,
            related: rest.related(),
            ufrag: rest.ufrag.map(str::to_owned),
        })
    }

    /// The address to send to, unless it still has to be resolved.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match &self.address {
            CandidateAddress::Ip(ip) => Some(SocketAddr::new(*ip, self.port)),
            CandidateAddress::Mdns(_) => None,
        }
    }
}

/// The text of SDP and of trickle messages, beginning with `candidate:`, as Janus writes it.
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("candidate:")?;
        self.foundation
            .chars()
            .filter(|c| u8::try_from(*c).is_ok_and(is_ice_char))
            .try_for_each(|c| write!(f, "{c}"))?;
        let transport = match self.transport {
            CandidateTransport::Udp => "udp",
            CandidateTransport::Tcp(_) => "tcp",
        };
        write!(f, " {} {transport} {} ", self.component, self.priority)?;
        match &self.address {
            CandidateAddress::Ip(ip) => write!(f, "{ip}")?,
            CandidateAddress::Mdns(name) => {
                name.chars().filter(|c| is_host_char(*c)).try_for_each(|c| write!(f, "{c}"))?;
            }
        }
        write!(f, " {} typ {}", self.port, self.kind.as_str())?;
        if let Some(related) = self.related {
            write!(f, " raddr {} rport {}", related.ip(), related.port())?;
        }
        if let CandidateTransport::Tcp(tcp) = self.transport {
            let name = match tcp {
                TcpType::Active => "active",
                TcpType::Passive => "passive",
                TcpType::So => "so",
            };
            write!(f, " tcptype {name}")?;
        }
        if let Some(ufrag) = &self.ufrag {
            f.write_str(" ufrag ")?;
            ufrag
                .chars()
                .filter(|c| u8::try_from(*c).is_ok_and(is_ice_char))
                .try_for_each(|c| write!(f, "{c}"))?;
        }
        Ok(())
    }
}

/// The extension attributes this crate understands; others are skipped pair by pair.
#[derive(Default)]
struct Attributes<'a> {
    raddr: Option<IpAddr>,
    rport: Option<u16>,
    tcptype: Option<&'a str>,
    ufrag: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    fn read(mut words: impl Iterator<Item = &'a str>) -> Self {
        let mut found = Attributes::default();
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            match name {
                "raddr" => found.raddr = value.parse().ok(),
                "rport" => found.rport = value.parse().ok(),
                "tcptype" => found.tcptype = Some(value),
                "ufrag" if value.bytes().all(is_ice_char) => found.ufrag = Some(value),
                _ => {}
            }
        }
        found
    }

    fn transport(&self, name: &str) -> Result<CandidateTransport, Error> {
        if name.eq_ignore_ascii_case("udp") {
            return Ok(CandidateTransport::Udp);
        }
        if !name.eq_ignore_ascii_case("tcp") {
            return Err(Error::Candidate("transport"));
        }
        match self.tcptype {
            Some("active") => Ok(CandidateTransport::Tcp(TcpType::Active)),
            Some("passive") => Ok(CandidateTransport::Tcp(TcpType::Passive)),
            Some("so") => Ok(CandidateTransport::Tcp(TcpType::So)),
            _ => Err(Error::Candidate("tcptype")),
        }
    }

    fn related(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.raddr?, self.rport?))
    }
}

fn number<T: std::str::FromStr>(word: &str, what: &'static str) -> Result<T, Error> {
    let digits = word.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| word.parse().ok()).flatten().ok_or(Error::Candidate(what))
}

fn kind(word: &str) -> Result<CandidateKind, Error> {
    match word {
        "host" => Ok(CandidateKind::Host),
        "srflx" => Ok(CandidateKind::Srflx),
        "prflx" => Ok(CandidateKind::Prflx),
        "relay" => Ok(CandidateKind::Relay),
        _ => Err(Error::Candidate("type")),
    }
}

fn address(word: &str) -> Result<CandidateAddress, Error> {
    if let Ok(ip) = word.parse() {
        return Ok(CandidateAddress::Ip(ip));
    }
    let name = word.to_ascii_lowercase();
    let local = name.strip_suffix(".local").is_some_and(|n| !n.is_empty());
    // RFC 1035 gives a name 253 characters; browsers use a UUID.
    if local && name.len() <= 253 && name.chars().all(is_host_char) {
        return Ok(CandidateAddress::Mdns(name));
    }
    Err(Error::Candidate("address"))
}

fn is_host_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')
}

/// ice-char of RFC 8839, with what browsers and old peers also put into foundations and fragments.
pub(crate) fn is_ice_char(b: u8) -> bool {
    b.is_ascii_graphic()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_browsers_and_janus() {
        for (text, written) in [
            (
                "candidate:1 1 udp 2015363327 192.0.2.2 19091 typ host",
                "candidate:1 1 udp 2015363327 192.0.2.2 19091 typ host",
            ),
            (
                "a=candidate:0 1 UDP 2122252543 3B8D2F7C-4F4A.local 50413 typ host",
                "candidate:0 1 udp 2122252543 3b8d2f7c-4f4a.local 50413 typ host",
            ),
            (
                "842163049 1 udp 1677729535 198.51.100.7 40678 typ srflx raddr 0.0.0.0 rport 0 generation 0 ufrag sXP5 network-cost 999",
                "candidate:842163049 1 udp 1677729535 198.51.100.7 40678 typ srflx raddr 0.0.0.0 rport 0 ufrag sXP5",
            ),
            (
                "candidate:1 1 TCP 2105524479 2001:db8::1 9 typ host tcptype active",
                "candidate:1 1 tcp 2105524479 2001:db8::1 9 typ host tcptype active",
            ),
        ] {
            assert_eq!(Candidate::parse(text).map(|c| c.to_string()).as_deref(), Ok(written));
        }
    }

    #[test]
    fn texts_that_are_none() {
        for text in [
            "",
            "candidate:",
            "candidate:1 1 udp 1 192.0.2.1 9",
            "candidate:1 1 udp 1 192.0.2.1 9 type host",
            "candidate:1 1 udp 1 192.0.2.1 9 typ foo",
            "candidate:1 1 sctp 1 192.0.2.1 9 typ host",
            "candidate:1 1 tcp 1 192.0.2.1 9 typ host",
            "candidate:1 1 udp 1 192.0.2.1 70000 typ host",
            "candidate:1 1 udp 5000000000 192.0.2.1 9 typ host",
            "candidate:1 1 udp -1 192.0.2.1 9 typ host",
            "candidate:1 +1 udp 1 192.0.2.1 9 typ host",
            "candidate:1 1 udp 1 example.org 9 typ host",
            "candidate:1 1 udp 1 .local 9 typ host",
            "candidate:1 1 udp 1 a/b.local 9 typ host",
        ] {
            assert!(matches!(Candidate::parse(text), Err(Error::Candidate(_))), "{text}");
        }
        let long = format!("candidate:1 1 udp 1 192.0.2.1 9 typ host {}", "x y ".repeat(300));
        assert_eq!(Candidate::parse(&long), Err(Error::Candidate("too long")));
    }
}
