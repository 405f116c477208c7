//! Our own offers, with Janus' payload types, and their renegotiation.

use super::{Kind, Layout, Plan, PlanMedia};
use crate::codec::{RED_PAYLOAD_TYPE, TELEPHONE_EVENT_PAYLOAD_TYPE};
use crate::{Codec, Direction, Extension, MediaKind, Msid, Origin, Payload, Sctp, ext};

/// One m-line to offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferMedia {
    /// Audio, video or data.
    pub kind: MediaKind,
    /// Its mid; `None`: its index as text.
    pub mid: Option<String>,
    /// Direction as seen from us.
    pub direction: Direction,
    /// Codecs, the best first. Empty for data.
    pub codecs: Vec<OfferCodec>,
    /// Offer opus/red before opus.
    pub opus_red: bool,
    /// Offer telephone-event.
    pub telephone_event: bool,
    /// Offer retransmissions (RFC 4588) for video.
    pub rtx: bool,
    /// Header extensions. With transport-wide-cc among them, its rtcp-fb is offered too.
    pub extensions: Vec<Extension>,
    /// `a=msid`; `None` is written as `janus janus<mid>`.
    pub msid: Option<Msid>,
}

/// One codec to offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferCodec {
    /// Which.
    pub codec: Codec,
    /// Payload type; `None`: the next free one from [`Codec::payload_type`] on.
    pub pt: Option<u8>,
    /// The fmtp line; `None`: none, but [`OfferCodec::with_profile`] knows Janus' for H.264 and VP9.
    pub fmtp: Option<String>,
}

impl OfferCodec {
    /// A codec with Janus' payload type and without fmtp.
    pub fn new(codec: Codec) -> Self {
        OfferCodec { codec, pt: None, fmtp: None }
    }

    /// A codec with the fmtp Janus writes for a profile of H.264 (42e01f if none is given) or VP9.
    pub fn with_profile(codec: Codec, profile: Option<&str>) -> Self {
        let fmtp = match (codec, profile) {
            (Codec::H264, profile) => {
                Some(format!("profile-level-id={};packetization-mode=1", profile.unwrap_or("42e01f")))
            }
            (Codec::Vp9, Some(profile)) => Some(format!("profile-id={profile}")),
            _ => None,
        };
        OfferCodec { codec, pt: None, fmtp }
    }
}

impl OfferMedia {
    /// An audio or video m-line with one codec, with retransmissions for video.
    pub fn rtp(codec: OfferCodec, direction: Direction) -> Self {
        let kind = codec.codec.kind();
        let rtx = kind == MediaKind::Video;
        OfferMedia { rtx, codecs: vec![codec], direction, ..OfferMedia::empty(kind) }
    }

    /// A data m-line.
    pub fn data(direction: Direction) -> Self {
        OfferMedia { direction, ..OfferMedia::empty(MediaKind::Data) }
    }

    fn empty(kind: MediaKind) -> Self {
        OfferMedia {
            kind,
            mid: None,
            direction: Direction::Inactive,
            codecs: Vec::new(),
            opus_red: false,
            telephone_event: false,
            rtx: false,
            extensions: Vec::new(),
            msid: None,
        }
    }
}

impl Plan {
    /// An offer of ours. `origin` has an id the caller chose (Janus: microseconds) and, for a first offer, version 1.
    pub fn offer(origin: Origin, session_name: impl Into<String>, media: Vec<OfferMedia>) -> Plan {
        let session_name = session_name.into();
        let mut plan = Plan { kind: Kind::Offer, origin, session_name, media: Vec::new(), affinity: None };
        media.into_iter().for_each(|media| plan.put(media));
        plan
    }

    /// The next offer of the same session: its version is one higher; an m-line whose mid is known is replaced where it
    /// stands, one with a new mid or none is appended, all others stay as they are.
    pub fn next_offer(&self, media: Vec<OfferMedia>) -> Plan {
        let mut plan = self.clone();
        plan.kind = Kind::Offer;
        plan.origin.version = plan.origin.version.wrapping_add(1);
        media.into_iter().for_each(|media| plan.put(media));
        plan
    }

    fn put(&mut self, media: OfferMedia) {
        let place = media.mid.as_ref().and_then(|mid| self.media.iter().position(|m| m.mid == *mid));
        match place.and_then(|place| self.media.get_mut(place)) {
            Some(known) => {
                let mid = std::mem::take(&mut known.mid);
                *known = plan_media(media, mid);
            }
            None => {
                let mid = media.mid.clone().unwrap_or_else(|| self.free_mid());
                self.media.push(plan_media(media, mid));
            }
        }
    }

    /// The index as text, unless somebody else already has that name.
    fn free_mid(&self) -> String {
        let taken = |mid: &str| self.media.iter().any(|m| m.mid == mid);
        let names = self.media.len()..=self.media.len().saturating_mul(2);
        names.map(|n| n.to_string()).find(|mid| !taken(mid)).unwrap_or_default()
    }
}

fn plan_media(media: OfferMedia, mid: String) -> PlanMedia {
    if media.kind == MediaKind::Data {
        return PlanMedia {
            direction: media.direction,
            sctp: Some(Sctp::default()),
            ..PlanMedia::new(media.kind, mid, "UDP/DTLS/SCTP")
        };
    }
    let payloads = payloads(&media);
    PlanMedia {
        direction: media.direction,
        payloads,
        extensions: media.extensions,
        msid: media.msid,
        layout: Layout::FmtpLast,
        ..PlanMedia::new(media.kind, mid, "UDP/TLS/RTP/SAVPF")
    }
}

fn payloads(media: &OfferMedia) -> Vec<Payload> {
    let mut taken: Vec<u8> = media.codecs.iter().filter_map(|c| c.pt).collect();
    let mut feedback: Vec<String> = Vec::new();
    if media.kind == MediaKind::Video {
        feedback.extend(["ccm fir", "nack", "nack pli", "goog-remb"].map(str::to_owned));
    }
    if media.extensions.iter().any(|e| e.uri == ext::TRANSPORT_WIDE_CC) {
        feedback.push("transport-cc".to_owned());
    }
    let mut payloads: Vec<Payload> = Vec::with_capacity(media.codecs.len() + 2);
    for wanted in &media.codecs {
        let codec = wanted.codec;
        let pt = wanted.pt.unwrap_or_else(|| free_payload_type(codec.payload_type(), &mut taken));
        payloads.push(Payload {
            pt,
            name: codec.rtp_name().to_owned(),
            clock_rate: codec.clock_rate(),
            channels: codec.channels(),
            fmtp: wanted.fmtp.clone(),
            feedback: feedback.clone(),
            rtx: None,
        });
    }
    if media.rtx && media.kind == MediaKind::Video {
        for payload in &mut payloads {
            payload.rtx = Some(free_payload_type(payload.pt.saturating_add(1), &mut taken));
        }
    }
    let opus = payloads.iter().find(|p| media.opus_red && Codec::Opus.is(p)).map(|p| p.pt);
    if let Some(opus) = opus {
        let pt = free_payload_type(RED_PAYLOAD_TYPE, &mut taken);
        payloads.insert(0, extra(pt, "red", 48_000, 2, Some(format!("{opus}/{opus}"))));
    }
    if media.telephone_event && media.kind == MediaKind::Audio {
        let pt = free_payload_type(TELEPHONE_EVENT_PAYLOAD_TYPE, &mut taken);
        payloads.push(extra(pt, "telephone-event", 8_000, 1, None));
    }
    payloads
}

fn extra(pt: u8, name: &str, clock_rate: u32, channels: u8, fmtp: Option<String>) -> Payload {
    Payload { pt, name: name.to_owned(), clock_rate, channels, fmtp, feedback: Vec::new(), rtx: None }
}

/// The wanted payload type or the next free one; above 127 it goes on with the lower dynamic range of RFC 8834.
fn free_payload_type(wanted: u8, taken: &mut Vec<u8>) -> u8 {
    let free = (wanted..=127).chain(96..=127).chain(35..=63).find(|pt| !taken.contains(pt)).unwrap_or(wanted);
    taken.push(free);
    free
}
