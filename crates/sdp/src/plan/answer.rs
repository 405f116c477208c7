//! Answers to a client's offer: one codec for each m-line, chosen as Janus chooses.

use super::{Kind, Layout, Plan, PlanMedia};
use crate::{Codec, Description, Direction, Extension, Media, MediaKind, Payload, ext};

/// What a plugin wants in an answer. The default is what echotest answers without any wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerOptions {
    /// API names of audio codecs, the best first; empty: [`Codec::AUDIO`]. Nothing of it offered: m-line rejected.
    pub audio_codecs: Vec<String>,
    /// The same for video; empty: [`Codec::VIDEO`].
    pub video_codecs: Vec<String>,
    /// `profile-level-id` an H.264 payload must have.
    pub h264_profile: Option<String>,
    /// `profile-id` a VP9 payload must have.
    pub vp9_profile: Option<String>,
    /// Keep opus' `useinbandfec=1`, `usedtx=1`, `stereo=1` if offered.
    pub opus_fec: bool,
    /// See `opus_fec`.
    pub opus_dtx: bool,
    /// See `opus_fec`; `sprop-stereo=1` counts as well.
    pub opus_stereo: bool,
    /// Accept opus/red, if offered beside opus.
    pub opus_red: bool,
    /// Accept telephone-event beside the codec.
    pub telephone_event: bool,
    /// URIs of the header extensions to accept on audio.
    pub audio_extensions: Vec<&'static str>,
    /// URIs of the header extensions to accept on video; the dependency descriptor only counts for AV1 and VP9.
    pub video_extensions: Vec<&'static str>,
    /// How directions are answered.
    pub directions: AnswerDirections,
    /// Accept the first data m-line.
    pub data: bool,
    /// The s= line; `None` copies the offer's.
    pub session_name: Option<String>,
}

/// How the directions of audio and video m-lines are answered. Data is always sendrecv.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnswerDirections {
    /// echotest: the mirror image, but an offered recvonly becomes inactive on the first audio and the first video
    /// m-line (there is nothing to send back yet).
    Echo,
    /// The mirror image.
    Mirror,
    /// Only receive (videoroom publishers).
    Receive,
}

/// Header extensions echotest accepts (1.4.2).
const ECHO_EXTENSIONS: &[&str] = &[
    ext::MID,
    ext::RID,
    ext::REPAIRED_RID,
    ext::AUDIO_LEVEL,
    ext::VIDEO_ORIENTATION,
    ext::PLAYOUT_DELAY,
    ext::TRANSPORT_WIDE_CC,
    ext::DEPENDENCY_DESCRIPTOR,
    ext::ABS_SEND_TIME,
    ext::ABS_CAPTURE_TIME,
    ext::VIDEO_LAYERS_ALLOCATION,
];

impl Default for AnswerOptions {
    fn default() -> Self {
        AnswerOptions {
            audio_codecs: Vec::new(),
            video_codecs: Vec::new(),
            h264_profile: None,
            vp9_profile: None,
            opus_fec: true,
            opus_dtx: true,
            opus_stereo: true,
            opus_red: false,
            telephone_event: false,
            audio_extensions: ECHO_EXTENSIONS.to_vec(),
            video_extensions: ECHO_EXTENSIONS.to_vec(),
            directions: AnswerDirections::Echo,
            data: true,
            session_name: None,
        }
    }
}

impl Plan {
    /// Answers an offer: every m-line in its order, accepted or rejected; id and version of the offer.
    pub fn answer(offer: &Description, options: &AnswerOptions) -> Plan {
        let mut data_taken = false;
        let mut media = Vec::with_capacity(offer.media.len());
        for offered in &offer.media {
            let answered = match offered.kind {
                _ if !offered.is_active() => None,
                MediaKind::Audio => answer_audio(offered, options),
                MediaKind::Video => answer_video(offered, options),
                MediaKind::Data if options.data && !data_taken => {
                    data_taken = true;
                    Some(answer_data(offered))
                }
                MediaKind::Data | MediaKind::Other(_) => None,
            };
            let first = !offer.media.iter().take(usize::from(offered.index)).any(|m| m.kind == offered.kind);
            media.push(match answered {
                Some(mut answered) if offered.kind.is_rtp() => {
                    answered.direction = options.directions.answer(offered.direction, first);
                    answered
                }
                Some(answered) => answered,
                None => rejected(offered),
            });
        }
        Plan {
            kind: Kind::Answer,
            origin: offer.origin.clone(),
            session_name: options.session_name.clone().unwrap_or_else(|| offer.session_name.clone()),
            media,
            affinity: None,
        }
    }
}

impl AnswerDirections {
    fn answer(self, offered: Direction, first: bool) -> Direction {
        match (self, offered) {
            (AnswerDirections::Echo, Direction::RecvOnly) if first => Direction::Inactive,
            (AnswerDirections::Echo | AnswerDirections::Mirror, offered) => offered.mirrored(),
            (AnswerDirections::Receive, offered) => Direction::new(false, offered.sends()),
        }
    }
}

fn answer_audio(offered: &Media, options: &AnswerOptions) -> Option<PlanMedia> {
    let (codec, payload) = wanted(&options.audio_codecs, Codec::AUDIO)
        .find_map(|codec| codec.find(offered, None).map(|payload| (codec, payload)))?;
    let mut main = bare(payload);
    let mut layout = Layout::FmtpFirst;
    match codec {
        Codec::Opus => main.fmtp = opus_fmtp(payload.fmtp.as_deref().unwrap_or_default(), options),
        // Without its mapping of channels a multiopus stream cannot be decoded.
        Codec::MultiOpus => {
            main.fmtp.clone_from(&payload.fmtp);
            main.channels = payload.channels;
            layout = Layout::FmtpLast;
        }
        _ => {}
    }
    let extensions = accepted_extensions(offered, &options.audio_extensions, codec);
    if extensions.iter().any(|e| e.uri == ext::TRANSPORT_WIDE_CC) {
        main.feedback.push("transport-cc".to_owned());
    }
    let events = offered.payloads.iter().filter(|p| options.telephone_event && p.is("telephone-event"));
    let event = events.clone().find(|e| e.clock_rate == main.clock_rate).or_else(|| events.clone().next());
    let red = offered
        .codec("red")
        .filter(|red| options.opus_red && codec == Codec::Opus && red.clock_rate == main.clock_rate);
    let mut payloads = Vec::with_capacity(3);
    payloads.extend(red.map(|red| Payload { fmtp: Some(format!("{0}/{0}", main.pt)), ..bare(red) }));
    payloads.push(main);
    payloads.extend(event.map(|event| Payload { fmtp: event.fmtp.clone(), ..bare(event) }));
    Some(PlanMedia { payloads, extensions, layout, ..like(offered) })
}

fn answer_video(offered: &Media, options: &AnswerOptions) -> Option<PlanMedia> {
    let profile = |codec| match codec {
        Codec::H264 => options.h264_profile.as_deref(),
        Codec::Vp9 => options.vp9_profile.as_deref(),
        _ => None,
    };
    let (codec, payload) = wanted(&options.video_codecs, Codec::VIDEO)
        .find_map(|codec| codec.find(offered, profile(codec)).map(|payload| (codec, payload)))?;
    let mut main = bare(payload);
    let layout = match (codec, profile(codec)) {
        (Codec::H264, Some(profile)) => {
            main.fmtp = Some(format!("profile-level-id={profile};packetization-mode=1"));
            Layout::FmtpFirst
        }
        (Codec::Vp9, Some(profile)) => {
            main.fmtp = Some(format!("profile-id={profile}"));
            Layout::FmtpFirst
        }
        (Codec::Vp8 | Codec::Vp9 | Codec::H264, None) => {
            main.fmtp.clone_from(&payload.fmtp);
            Layout::FmtpLast
        }
        _ => Layout::FmtpFirst,
    };
    let extensions = accepted_extensions(offered, &options.video_extensions, codec);
    main.feedback = ["ccm fir", "nack", "nack pli", "goog-remb"].map(str::to_owned).to_vec();
    if extensions.iter().any(|e| e.uri == ext::TRANSPORT_WIDE_CC) {
        main.feedback.push("transport-cc".to_owned());
    }
    // Janus looks at retransmission payload types only where the offer asks for NACKs at all.
    main.rtx = payload.rtx.filter(|_| payload.feedback.iter().any(|f| f == "nack" || f.starts_with("nack ")));
    // Layers that cannot be told apart by rid are not asked for.
    let rids = if extensions.iter().any(|e| e.uri == ext::RID) { offered.send_rids() } else { Vec::new() };
    Some(PlanMedia {
        payloads: vec![main],
        extensions,
        rids: rids.into_iter().map(str::to_owned).collect(),
        layout,
        ..like(offered)
    })
}

fn answer_data(offered: &Media) -> PlanMedia {
    // Our SCTP port is 5000 whatever the peer's is (RFC 8841 section 6.2: each side names its own); the old style has
    // one number for both.
    let sctp =
        offered.sctp.map(|sctp| crate::Sctp { port: if sctp.legacy { sctp.port } else { 5000 }, ..sctp });
    PlanMedia { direction: Direction::SendRecv, sctp, ..like(offered) }
}

fn rejected(offered: &Media) -> PlanMedia {
    PlanMedia { accepted: false, sctp: offered.sctp, stopped: !offered.is_active(), ..like(offered) }
}

fn like(offered: &Media) -> PlanMedia {
    PlanMedia::new(offered.kind.clone(), offered.mid.as_str(), offered.protocol.as_str())
}

/// The codecs to look for; unknown names are skipped, but a list of only unknown names finds nothing.
fn wanted<'a>(names: &'a [String], all: &'a [Codec]) -> impl Iterator<Item = Codec> + 'a {
    let all = if names.is_empty() { all } else { &[] };
    let named = names.iter().filter_map(|name| Codec::from_api_name(name));
    named.chain(all.iter().copied())
}

/// The payload without what has to be negotiated anew.
fn bare(offered: &Payload) -> Payload {
    Payload { fmtp: None, feedback: Vec::new(), rtx: None, ..offered.clone() }
}

fn opus_fmtp(offered: &str, options: &AnswerOptions) -> Option<String> {
    let has = |wanted: &[&str]| offered.split(';').any(|p| wanted.contains(&p.trim()));
    let kept: Vec<&str> = [
        (options.opus_fec && has(&["useinbandfec=1"]), "useinbandfec=1"),
        (options.opus_dtx && has(&["usedtx=1"]), "usedtx=1"),
        (options.opus_stereo && has(&["stereo=1", "sprop-stereo=1"]), "stereo=1"),
    ]
    .into_iter()
    .filter_map(|(keep, parameter)| keep.then_some(parameter))
    .collect();
    (!kept.is_empty()).then(|| kept.join(";"))
}

fn accepted_extensions(offered: &Media, wanted: &[&str], codec: Codec) -> Vec<Extension> {
    offered
        .extensions
        .iter()
        .filter(|e| wanted.contains(&e.uri.as_str()))
        .filter(|e| e.uri != ext::DEPENDENCY_DESCRIPTOR || codec.has_dependency_descriptor())
        .map(|e| Extension {
            id: e.id,
            uri: e.uri.clone(),
            // RFC 8285 section 7: the answer's direction is seen from our side; sendrecv is the default.
            direction: e.direction.map(Direction::mirrored).filter(|d| *d != Direction::SendRecv),
        })
        .collect()
}
