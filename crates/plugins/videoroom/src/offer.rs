//! The offer a subscriber gets: his m-lines, with payload types and extension ids of our own.

use crate::VideoRoom;
use crate::publisher::Format;
use crate::room::Room;
use crate::subscriber::{SubStream, Subscriber};
use portunus_plugin::{Cx, HandleId, JsepKind, JsepPlan, Plan, Value};
use portunus_sdp::{Codec, Direction, Extension, MediaKind, Msid, OfferCodec, OfferMedia, Origin, ext};

impl VideoRoom {
    /// Sends an event with the subscriber's next offer.
    pub(crate) fn offer(
        &mut self,
        cx: &mut Cx,
        h: HandleId,
        transaction: Option<String>,
        data: Value,
        restart: bool,
    ) {
        let Some(subscriber) = self.subscribers.get_mut(&h) else { return };
        let Some(room) = self.rooms.get(&subscriber.room) else { return };
        if subscriber.streams.is_empty() {
            // His PeerConnection has closed and nothing has come since: there is nothing to offer.
            return match transaction {
                Some(transaction) => cx.answer(h, transaction, data, None),
                None => cx.push(h, data),
            };
        }
        let lines = subscriber.streams.iter().map(|line| media(line, subscriber, room)).collect();
        let id = u64::try_from(cx.unix().as_micros()).unwrap_or(u64::MAX);
        let plan = match &subscriber.plan {
            Some(before) => before.next_offer(lines),
            None => Plan::offer(Origin::new(id, 1), format!("VideoRoom {}", room.id), lines),
        };
        subscriber.plan = Some(plan.clone());
        subscriber.pending_offer = true;
        let jsep = JsepPlan {
            kind: JsepKind::Offer,
            plan,
            e2ee: subscriber.e2ee == Some(true),
            restart,
            affinity: Some(affinity(room)),
        };
        match transaction {
            Some(transaction) => cx.answer(h, transaction, data, Some(jsep)),
            None => cx.push_jsep(h, data, jsep),
        }
    }
}

/// Who shares a worker: all of a room.
pub(crate) fn affinity(room: &Room) -> String {
    format!("videoroom {}", room.id)
}

fn media(line: &SubStream, subscriber: &Subscriber, room: &Room) -> OfferMedia {
    let active = !line.sources.is_empty();
    let direction = match line.kind {
        // A data m-line that nobody feeds stays open: closing it would end the channels.
        MediaKind::Data => Direction::SendOnly,
        _ if active => Direction::SendOnly,
        _ => Direction::Inactive,
    };
    let mut media = match line.format.codec {
        Some(codec) => OfferMedia::rtp(codec_of(codec, &line.format), direction),
        None => OfferMedia::data(direction),
    };
    if !active {
        // What the feed had brought goes with it.
        media.codecs.iter_mut().filter(|c| c.codec == Codec::Opus).for_each(|c| c.fmtp = None);
    }
    media.mid = Some(line.mid.clone());
    media.extensions = extensions(line, room);
    if let Some(source) = line.sources.first().filter(|_| subscriber.use_msid && line.kind.is_rtp()) {
        media.msid = Some(Msid { stream: source.feed.to_string(), track: line.mid.clone() });
    }
    media
}

fn codec_of(codec: Codec, format: &Format) -> OfferCodec {
    let fmtp = match codec {
        Codec::Opus => opus_fmtp(format),
        // Without its mapping of channels a multiopus stream cannot be decoded.
        Codec::MultiOpus => format.fmtp.clone(),
        Codec::H264 if format.h264_profile.is_none() && format.fmtp.is_none() => None,
        Codec::H264 => return OfferCodec::with_profile(codec, format.h264_profile.as_deref()),
        Codec::Vp9 => return OfferCodec::with_profile(codec, format.vp9_profile.as_deref()),
        _ => None,
    };
    OfferCodec { fmtp, ..OfferCodec::new(codec) }
}

fn opus_fmtp(format: &Format) -> Option<String> {
    let parts = [(format.fec, "useinbandfec=1"), (format.dtx, "usedtx=1"), (format.stereo, "stereo=1")];
    let parts: Vec<_> = parts.into_iter().filter(|(on, _)| *on).map(|(_, text)| text).collect();
    (!parts.is_empty()).then(|| parts.join(";"))
}

/// The table of ids of our own offers: Janus', and one of the free ids for the dependency descriptor.
fn extensions(line: &SubStream, room: &Room) -> Vec<Extension> {
    let video = line.kind == MediaKind::Video;
    let format = if line.sources.is_empty() { &Format::default() } else { &line.format };
    let wanted = [
        (line.kind == MediaKind::Audio && format.audio_level.is_some(), 1, ext::AUDIO_LEVEL),
        (video, 2, ext::ABS_SEND_TIME),
        (line.kind.is_rtp() && room.config.transport_wide_cc_ext, 3, ext::TRANSPORT_WIDE_CC),
        (line.kind.is_rtp(), 4, ext::MID),
        (video && format.dependency_descriptor, 8, ext::DEPENDENCY_DESCRIPTOR),
        (video && format.playout_delay.is_some(), 12, ext::PLAYOUT_DELAY),
        (video && format.video_orientation.is_some(), 13, ext::VIDEO_ORIENTATION),
    ];
    let wanted = wanted.into_iter().filter(|(on, ..)| *on);
    wanted.map(|(_, id, uri)| Extension { id, uri: uri.to_owned(), direction: None }).collect()
}
