//! The answer to an offer, and what of it can be echoed.

use crate::body::Body;
use crate::echo::{Layering, Line};
use portunus_plugin::recording::Subject;
use portunus_plugin::{Description, Plan};
use portunus_sdp::{AnswerOptions, Codec, MediaKind};

/// Answers an offer as the request wants it.
pub(crate) fn answer(offer: &Description, body: &Body) -> Plan {
    let forced = |codec: &Option<String>| codec.iter().cloned().collect();
    let video = body.videocodec.as_deref().and_then(Codec::from_api_name);
    let profile = |of| body.videoprofile.clone().filter(|_| video == Some(of));
    let options = AnswerOptions {
        audio_codecs: forced(&body.audiocodec),
        video_codecs: forced(&body.videocodec),
        h264_profile: profile(Codec::H264),
        vp9_profile: profile(Codec::Vp9),
        opus_red: body.opusred,
        ..AnswerOptions::default()
    };
    Plan::answer(offer, &options)
}

/// What can be recorded: all m-lines that the client sends on.
pub(crate) fn subjects(plan: &Plan, e2ee: bool) -> Vec<(String, Subject)> {
    let sends = plan.media.iter().filter(|m| m.kind == MediaKind::Data || m.direction.receives());
    let subjects = sends.filter_map(|m| Some((m.mid.clone(), Subject::of(m)?)));
    subjects.map(|(mid, subject)| (mid, Subject { encrypted: e2ee, ..subject })).collect()
}

/// The audio and video m-lines that were accepted.
pub(crate) fn lines(offer: &Description, plan: &Plan) -> Vec<Line> {
    let accepted = plan.media.iter().enumerate().filter(|(_, m)| m.accepted && m.kind.is_rtp());
    accepted
        .filter_map(|(index, media)| {
            let codec = media.codec()?;
            Some(Line {
                mid: media.mid.clone(),
                video: media.kind == MediaKind::Video,
                codec: codec.api_name(),
                red: media.has_red(),
                echoes: media.direction.sends() && media.direction.receives(),
                layering: match codec {
                    _ if media.kind == MediaKind::Video && offer.simulcast(index).is_some() => {
                        Layering::Simulcast
                    }
                    Codec::Vp9 | Codec::Av1 => Layering::Svc,
                    _ => Layering::None,
                },
            })
        })
        .collect()
}
