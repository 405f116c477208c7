//! Offers and answers of clients, and plans as a line of text.

use portunus_plugin::Plan;
use portunus_sdp::{Direction, MediaKind};

const TRANSPORT: &str = "c=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n\
    a=fingerprint:sha-256 AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB\r\n\
    a=setup:actpass\r\n";
const HEAD: &str = "v=0\r\no=- 4611 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
const AUDIO: &str = "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:0 PCMU/8000\r\n\
    a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n";
const VIDEO: &str = "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
    a=rtpmap:98 VP9/90000\r\na=fmtp:98 profile-id=0\r\na=rtpmap:102 H264/90000\r\n\
    a=fmtp:102 packetization-mode=1;profile-level-id=42e01f\r\na=extmap:3 urn:3gpp:video-orientation\r\n\
    a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
    a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n";
const LAYERS: &str = "a=rid:h send\r\na=rid:m send\r\na=rid:l send\r\na=simulcast:send h;m;l\r\n";

/// An offer of these m-lines: `audio`, `video`, `simulcast`, `data`, with `-` for an inactive one.
pub(super) fn offer(lines: &str) -> String {
    let mut text = HEAD.to_owned();
    for (mid, line) in lines.split(',').enumerate() {
        let (name, direction) = match line.strip_prefix('-') {
            Some(name) => (name, "inactive"),
            None => (line, "sendonly"),
        };
        text += &match name {
            "audio" => format!(
                "m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\n{TRANSPORT}a=mid:{mid}\r\na={direction}\r\n{AUDIO}"
            ),
            "video" | "simulcast" => {
                let layers = if name == "simulcast" { LAYERS } else { "" };
                format!(
                    "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 102\r\n{TRANSPORT}a=mid:{mid}\r\na={direction}\r\n{VIDEO}{layers}"
                )
            }
            "data" => format!(
                "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n{TRANSPORT}a=mid:{mid}\r\na=sctp-port:5000\r\n"
            ),
            other => panic!("{other}"),
        };
    }
    text
}

/// An answer that takes all that a plan offers.
pub(super) fn answer(plan: &Plan) -> String {
    let mut text = HEAD.to_owned();
    for media in &plan.media {
        let direction = if media.direction == Direction::SendOnly { "recvonly" } else { "inactive" };
        if media.kind == MediaKind::Data {
            text += &format!(
                "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n{TRANSPORT}a=mid:{}\r\na=sctp-port:5000\r\n",
                media.mid
            );
            continue;
        }
        let payload = &media.payloads[0];
        text += &format!(
            "m={} 9 UDP/TLS/RTP/SAVPF {}\r\n{TRANSPORT}a=mid:{}\r\na={direction}\r\na=rtpmap:{} {}/{}\r\n",
            media.kind.as_str(),
            payload.pt,
            media.mid,
            payload.pt,
            payload.name,
            payload.clock_rate,
        );
    }
    text
}

/// What a plan says, in a line.
pub(super) fn lines(plan: &Plan) -> String {
    let line = |m: &portunus_sdp::PlanMedia| {
        let codecs: Vec<_> = m.payloads.iter().map(|p| format!("{} {}", p.pt, p.name)).collect();
        let extensions: Vec<_> = m.extensions.iter().map(|e| e.id.to_string()).collect();
        let fmtp =
            m.payloads.first().and_then(|p| p.fmtp.as_deref()).map_or(String::new(), |f| format!(" ({f})"));
        let msid = m.msid.as_ref().map_or(String::new(), |m| format!(" msid {} {}", m.stream, m.track));
        let rids = if m.rids.is_empty() { String::new() } else { format!(" rids {}", m.rids.join(",")) };
        let direction = if m.accepted { m.direction.as_str() } else { "rejected" };
        format!(
            "{}:{} {direction} {}{fmtp} ext {}{msid}{rids}",
            m.kind.api_name(),
            m.mid,
            codecs.join(","),
            extensions.join(",")
        )
    };
    let media: Vec<_> = plan.media.iter().map(line).collect();
    format!("{} {} of {}: {}", plan.kind.as_str(), plan.origin.version, plan.session_name, media.join(" | "))
}
