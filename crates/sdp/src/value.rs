//! The small values descriptions and plans are made of.

use std::fmt;

/// Kind of an m-line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// `m=audio`
    Audio,
    /// `m=video`
    Video,
    /// `m=application` over SCTP
    Data,
    /// Anything else, by its name: always rejected.
    Other(String),
}

impl MediaKind {
    /// The word of the m-line.
    pub fn as_str(&self) -> &str {
        match self {
            MediaKind::Audio => "audio",
            MediaKind::Video => "video",
            MediaKind::Data => "application",
            MediaKind::Other(name) => name,
        }
    }

    /// The word of Janus' API: `audio`, `video` or `data`.
    pub fn api_name(&self) -> &str {
        match self {
            MediaKind::Data => "data",
            other => other.as_str(),
        }
    }

    /// Audio or video.
    pub fn is_rtp(&self) -> bool {
        matches!(self, MediaKind::Audio | MediaKind::Video)
    }
}

/// Media direction, seen from the side that wrote the description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// Both ways; the default when no line says otherwise.
    #[default]
    SendRecv,
    /// The writer sends.
    SendOnly,
    /// The writer receives.
    RecvOnly,
    /// Nothing flows.
    Inactive,
}

impl Direction {
    /// The direction for "sends" and "receives".
    pub fn new(send: bool, recv: bool) -> Self {
        match (send, recv) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// Reads `sendrecv`, `sendonly`, `recvonly` or `inactive`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "sendrecv" => Some(Direction::SendRecv),
            "sendonly" => Some(Direction::SendOnly),
            "recvonly" => Some(Direction::RecvOnly),
            "inactive" => Some(Direction::Inactive),
            _ => None,
        }
    }

    /// The attribute's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// The writer sends.
    pub fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// The writer receives.
    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// The same flow seen from the other side.
    pub fn mirrored(self) -> Self {
        Direction::new(self.receives(), self.sends())
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// DTLS role of `a=setup` (RFC 8842).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setup {
    /// Either role.
    ActPass,
    /// DTLS client.
    Active,
    /// DTLS server.
    Passive,
}

impl Setup {
    /// Reads `actpass`, `active` or `passive`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "actpass" => Some(Setup::ActPass),
            "active" => Some(Setup::Active),
            "passive" => Some(Setup::Passive),
            _ => None,
        }
    }

    /// The attribute's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Setup::ActPass => "actpass",
            Setup::Active => "active",
            Setup::Passive => "passive",
        }
    }

    /// Our role in an answer to what was offered: active to actpass, passive and nothing, passive to
    /// active. `prefer_passive` (the `dtls_answer_role` setting) chooses passive where both are allowed.
    pub fn answer_to(offered: Option<Setup>, prefer_passive: bool) -> Setup {
        match offered {
            Some(Setup::Active) => Setup::Passive,
            Some(Setup::Passive) => Setup::Active,
            Some(Setup::ActPass) | None if prefer_passive => Setup::Passive,
            Some(Setup::ActPass) | None => Setup::Active,
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The o= line, without its address (ours is [`crate::LocalTransport::address`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// User name, `-` if there is none.
    pub username: String,
    /// Session id. Numbers above `u64::MAX` are read as `u64::MAX`.
    pub id: u64,
    /// Session version, treated likewise.
    pub version: u64,
}

impl Origin {
    /// An origin of ours: user name `-`.
    pub fn new(id: u64, version: u64) -> Self {
        Origin { username: "-".to_owned(), id, version }
    }
}

/// Hash of a certificate fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashFunction {
    /// 20 bytes; accepted as Janus accepts it, chosen last.
    Sha1,
    /// 32 bytes
    Sha256,
    /// 48 bytes
    Sha384,
    /// 64 bytes
    Sha512,
}

impl HashFunction {
    /// Reads the name of the fingerprint line, case-insensitively.
    pub fn from_name(name: &str) -> Option<Self> {
        [HashFunction::Sha1, HashFunction::Sha256, HashFunction::Sha384, HashFunction::Sha512]
            .into_iter()
            .find(|h| name.eq_ignore_ascii_case(h.as_str()))
    }

    /// Its name in SDP.
    pub fn as_str(self) -> &'static str {
        match self {
            HashFunction::Sha1 => "sha-1",
            HashFunction::Sha256 => "sha-256",
            HashFunction::Sha384 => "sha-384",
            HashFunction::Sha512 => "sha-512",
        }
    }

    /// Bytes of a hash.
    pub fn size(self) -> usize {
        match self {
            HashFunction::Sha1 => 20,
            HashFunction::Sha256 => 32,
            HashFunction::Sha384 => 48,
            HashFunction::Sha512 => 64,
        }
    }
}

/// Fingerprint of the peer's certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// How it was made.
    pub hash: HashFunction,
    /// The hash itself, [`HashFunction::size`] bytes.
    pub bytes: Vec<u8>,
}

impl Fingerprint {
    /// Reads `sha-256 AB:CD:..`; `None` for an unknown hash, a wrong length or a digit that is none.
    pub fn parse(value: &str) -> Option<Self> {
        let (name, hex) = value.trim().split_once(' ')?;
        let hash = HashFunction::from_name(name)?;
        let bytes: Option<Vec<u8>> = hex.trim().split(':').take(hash.size() + 1).map(hex_byte).collect();
        bytes.filter(|b| b.len() == hash.size()).map(|bytes| Fingerprint { hash, bytes })
    }
}

/// The line's value: name, space, upper-case hex pairs with colons.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.hash.as_str())?;
        for (i, byte) in self.bytes.iter().enumerate() {
            write!(f, "{}{byte:02X}", if i == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

fn hex_byte(pair: &str) -> Option<u8> {
    let digits = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
}

/// One codec of an m-line, with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payload {
    /// Payload type, 0 to 127.
    pub pt: u8,
    /// Encoding name as written (`opus`, `VP8`, `H264`, `red`, `telephone-event`).
    pub name: String,
    /// Clock rate in Hz.
    pub clock_rate: u32,
    /// Audio channels; 1 if the line has none.
    pub channels: u8,
    /// Value of the fmtp line, after the payload type.
    pub fmtp: Option<String>,
    /// Values of the rtcp-fb lines in their order (`nack`, `nack pli`, `ccm fir`, `goog-remb`, `transport-cc`).
    pub feedback: Vec<String>,
    /// Payload type of its retransmissions (RFC 4588).
    pub rtx: Option<u8>,
}

impl Payload {
    /// The encoding name is this one, case-insensitively.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// It has exactly this rtcp-fb value.
    pub fn has_feedback(&self, value: &str) -> bool {
        self.feedback.iter().any(|f| f == value)
    }

    /// A parameter of the fmtp line, its name compared case-insensitively.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.fmtp
            .as_deref()?
            .split(';')
            .filter_map(|p| p.trim().split_once('='))
            .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

/// One `a=extmap` line (RFC 8285).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Extension {
    /// Id in packets, 1 to 255 without 15.
    pub id: u8,
    /// What it is; see [`crate::ext`].
    pub uri: String,
    /// Direction suffix, if the line has one.
    pub direction: Option<Direction>,
}

/// Meaning of an ssrc-group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SsrcSemantics {
    /// Media and its retransmission.
    Fid,
    /// Simulcast layers, lowest first.
    Sim,
    /// Anything else.
    Other(String),
}

/// One `a=ssrc-group` line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SsrcGroup {
    /// What the SSRCs are to each other.
    pub semantics: SsrcSemantics,
    /// The SSRCs in their order.
    pub ssrcs: Vec<u32>,
}

/// `a=msid`: the stream and track an m-line belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Msid {
    /// Stream id, `-` for none.
    pub stream: String,
    /// Track id; empty if the line has none.
    pub track: String,
}

/// Direction of a rid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RidDirection {
    /// The writer sends it.
    Send,
    /// The writer receives it.
    Recv,
}

/// One `a=rid` line (RFC 8851).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rid {
    /// Its id.
    pub id: String,
    /// Who sends it.
    pub direction: RidDirection,
    /// Restrictions as written (`max-width=320;pt=96`).
    pub restrictions: Option<String>,
}

/// The `a=simulcast` line: rids in their order, of alternatives only the first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SimulcastLine {
    /// What the writer sends.
    pub send: Vec<String>,
    /// What the writer receives.
    pub recv: Vec<String>,
}

/// The jsep field `rid_order`: which end of the rid list is the best layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RidOrder {
    /// `hml`: the first rid is the best.
    #[default]
    HighFirst,
    /// `lmh`: the first rid is the poorest.
    LowFirst,
}

impl RidOrder {
    /// Reads `hml` or `lmh`; Janus takes anything else as `hml` with a warning.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "hml" => Some(RidOrder::HighFirst),
            "lmh" => Some(RidOrder::LowFirst),
            _ => None,
        }
    }
}

/// SCTP of a data m-line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sctp {
    /// SCTP port, 5000 as a rule.
    pub port: u16,
    /// Largest message the writer takes, in bytes; 0 = any size; 64 KiB if the line is missing (RFC 8841).
    pub max_message_size: Option<u64>,
    /// The old style: proto `DTLS/SCTP`, the port as format, `a=sctpmap`.
    pub legacy: bool,
}

impl Default for Sctp {
    fn default() -> Self {
        Sctp { port: 5000, max_message_size: None, legacy: false }
    }
}

/// One b= line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Bandwidth {
    /// `AS` (kbit/s), `TIAS` (bit/s), `CT`...
    pub kind: String,
    /// The number as written.
    pub value: u64,
}
