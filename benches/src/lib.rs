//! What the measurements share.

use portunus_sdp::{Codec, MediaKind, Negotiated, NegotiatedPayload, ext};

/// The publisher's SSRC in the m-line of [`video`].
pub const SSRC: u32 = 0x1234;

/// A VP8 m-line as a browser and we agree on it.
pub fn video() -> Negotiated {
    Negotiated {
        mindex: 0,
        mid: "0".to_owned(),
        kind: MediaKind::Video,
        active: true,
        receive: true,
        send: true,
        payloads: vec![NegotiatedPayload {
            pt: 96,
            name: "VP8".to_owned(),
            codec: Some(Codec::Vp8),
            clock_rate: 90_000,
            channels: 1,
            fmtp: None,
            rtx: Some(97),
            nack: true,
            pli: true,
            fir: true,
            remb: true,
            twcc: true,
        }],
        extensions: vec![(3, ext::TRANSPORT_WIDE_CC.to_owned()), (4, ext::MID.to_owned())],
        remote_ssrcs: vec![(SSRC, None)],
        rids: Vec::new(),
        msid: None,
        sctp_port: None,
        max_message_size: None,
    }
}

/// An Opus m-line as a browser and we agree on it.
pub fn audio() -> Negotiated {
    let mut media = video();
    media.kind = MediaKind::Audio;
    media.payloads = vec![NegotiatedPayload {
        pt: 111,
        name: "opus".to_owned(),
        codec: Some(Codec::Opus),
        clock_rate: 48_000,
        channels: 2,
        fmtp: None,
        rtx: None,
        nack: false,
        pli: false,
        fir: false,
        remb: false,
        twcc: true,
    }];
    media
}
