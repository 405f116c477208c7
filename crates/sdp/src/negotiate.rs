//! What an offer and its answer agreed on, m-line by m-line: all that a worker needs to know.

use crate::{Codec, Description, Kind, Media, MediaKind, Msid, Payload, Plan, PlanMedia};

/// The agreement about one m-line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// Index of the m-line.
    pub mindex: u16,
    /// Its mid.
    pub mid: String,
    /// Audio, video or data.
    pub kind: MediaKind,
    /// Neither side rejected it.
    pub active: bool,
    /// We get media on it.
    pub receive: bool,
    /// We may send media on it.
    pub send: bool,
    /// The payload types both sides have; empty for data.
    pub payloads: Vec<NegotiatedPayload>,
    /// Header extensions both sides have: id and URI.
    pub extensions: Vec<(u8, String)>,
    /// SSRCs of the peer with those of their retransmissions, in the order of substreams. Empty with rids.
    pub remote_ssrcs: Vec<(u32, Option<u32>)>,
    /// rids of the peer in the order of substreams: index 0 is the poorest layer.
    pub rids: Vec<String>,
    /// `a=msid` of the peer.
    pub msid: Option<Msid>,
    /// The peer's SCTP port.
    pub sctp_port: Option<u16>,
    /// Largest message the peer takes, in bytes; 0 = any; `None` = 64 KiB.
    pub max_message_size: Option<u64>,
}

impl Negotiated {
    /// The codec: of the first payload that has one.
    pub fn codec(&self) -> Option<Codec> {
        self.payloads.iter().find_map(|p| p.codec)
    }

    /// The payload with this type, its own or that of its retransmissions.
    pub fn payload(&self, pt: u8) -> Option<&NegotiatedPayload> {
        self.payloads.iter().find(|p| p.pt == pt || p.rtx == Some(pt))
    }

    /// Id of a header extension.
    pub fn extension(&self, uri: &str) -> Option<u8> {
        self.extensions.iter().find(|(_, known)| known == uri).map(|(id, _)| *id)
    }
}

/// One payload type both sides have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiatedPayload {
    /// Payload type.
    pub pt: u8,
    /// Encoding name as the peer writes it.
    pub name: String,
    /// Which codec that is; `None` for red, telephone-event and the like.
    pub codec: Option<Codec>,
    /// Clock rate in Hz.
    pub clock_rate: u32,
    /// Audio channels.
    pub channels: u8,
    /// fmtp of the answer, else of the offer.
    pub fmtp: Option<String>,
    /// Payload type of retransmissions.
    pub rtx: Option<u8>,
    /// Both sides have `nack`.
    pub nack: bool,
    /// Both sides have `nack pli`.
    pub pli: bool,
    /// Both sides have `ccm fir`.
    pub fir: bool,
    /// Both sides have `goog-remb`.
    pub remb: bool,
    /// Both sides have `transport-cc`.
    pub twcc: bool,
}

/// What the peer's description and ours agree on. One of the two is the offer, the other its answer: the plan's kind
/// tells which. One entry for each m-line of the plan, in its order.
pub fn negotiate(remote: &Description, local: &Plan) -> Vec<Negotiated> {
    let lines = local.media.iter().enumerate();
    lines.map(|(index, ours)| negotiate_media(index, remote, local.kind, ours)).collect()
}

fn negotiate_media(index: usize, remote: &Description, kind: Kind, ours: &PlanMedia) -> Negotiated {
    let theirs = remote.media.get(index).filter(|theirs| theirs.kind == ours.kind);
    let meant = |theirs: &&Media| match kind {
        Kind::Answer => theirs.is_active(),
        // In an answer port 0 is a refusal, also of the first m-line.
        Kind::Offer => theirs.port != 0,
    };
    let known = matches!(ours.kind, MediaKind::Audio | MediaKind::Video | MediaKind::Data);
    let mut agreed = Negotiated {
        mindex: u16::try_from(index).unwrap_or(u16::MAX),
        mid: ours.mid.clone(),
        kind: ours.kind.clone(),
        active: false,
        receive: false,
        send: false,
        payloads: Vec::new(),
        extensions: Vec::new(),
        remote_ssrcs: Vec::new(),
        rids: Vec::new(),
        msid: None,
        sctp_port: None,
        max_message_size: None,
    };
    let Some(theirs) = theirs.filter(meant).filter(|_| ours.accepted && known) else { return agreed };
    agreed.active = true;
    agreed.msid.clone_from(&theirs.msid);
    if let (MediaKind::Data, Some(sctp)) = (&ours.kind, theirs.sctp) {
        agreed.receive = true;
        agreed.send = true;
        agreed.sctp_port = Some(sctp.port);
        agreed.max_message_size = sctp.max_message_size;
        return agreed;
    }
    agreed.receive = ours.direction.receives() && theirs.direction.sends();
    agreed.send = ours.direction.sends() && theirs.direction.receives();
    agreed.payloads = agreed_payloads(kind, ours, theirs);
    agreed.extensions = agreed_extensions(ours, theirs);
    let simulcast = theirs.simulcast(remote.rid_order).filter(|_| !ours.rids.is_empty());
    agreed.rids = simulcast.map(|layers| layers.rids).unwrap_or_default();
    if agreed.rids.is_empty() {
        agreed.remote_ssrcs = theirs.media_ssrcs();
    }
    agreed
}

/// In the order of the answer. Payload types are those of the offer (RFC 9429 section 5.3.1 has both sides use them).
fn agreed_payloads(kind: Kind, ours: &PlanMedia, theirs: &Media) -> Vec<NegotiatedPayload> {
    let (answer, offer) = match kind {
        Kind::Answer => (&ours.payloads, &theirs.payloads),
        Kind::Offer => (&theirs.payloads, &ours.payloads),
    };
    let pairs = answer.iter().filter_map(|answered| {
        let same =
            |o: &&Payload| o.pt == answered.pt && o.is(&answered.name) && o.clock_rate == answered.clock_rate;
        offer.iter().find(same).map(|offered| (answered, offered))
    });
    let agree = |(answered, offered): (&Payload, &Payload)| {
        let both = |feedback| answered.has_feedback(feedback) && offered.has_feedback(feedback);
        NegotiatedPayload {
            pt: answered.pt,
            name: answered.name.clone(),
            codec: Codec::of(answered),
            clock_rate: answered.clock_rate,
            channels: answered.channels,
            fmtp: answered.fmtp.clone().or_else(|| offered.fmtp.clone()),
            rtx: answered.rtx.filter(|rtx| offered.rtx == Some(*rtx)),
            nack: both("nack"),
            pli: both("nack pli"),
            fir: both("ccm fir"),
            remb: both("goog-remb"),
            twcc: both("transport-cc"),
        }
    };
    pairs.map(agree).collect()
}

fn agreed_extensions(ours: &PlanMedia, theirs: &Media) -> Vec<(u8, String)> {
    let both =
        ours.extensions.iter().filter(|e| theirs.extensions.iter().any(|t| t.id == e.id && t.uri == e.uri));
    both.map(|e| (e.id, e.uri.clone())).collect()
}
