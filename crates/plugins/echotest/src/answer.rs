//! The answer to an offer, and what of it can be echoed.

use crate::body::Body;
use crate::echo::{Layering, Line};
use crate::track::Track;
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

/// What can be recorded: the first m-line of each kind that the client sends on.
pub(crate) fn tracks(plan: &Plan, e2ee: bool) -> Vec<Track> {
    let mut tracks: Vec<Track> = Vec::new();
    for media in &plan.media {
        let comes = media.kind == MediaKind::Data || media.direction.receives();
        let Some(mut subject) = Subject::of(media).filter(|_| comes) else { continue };
        if tracks.iter().all(|t| t.subject.kind != subject.kind) {
            subject.encrypted = e2ee;
            tracks.push(Track { mid: media.mid.clone(), subject, file: None, withheld: false });
        }
    }
    tracks
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
