//! The texts of a browser: offers with chosen m-lines, and answers that take everything.

use portunus_sdp::{Description, Direction, MediaKind};
use std::fmt::Write;

/// One m-line that a browser offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its mid.
    pub mid: String,
    /// What it carries.
    pub kind: MediaKind,
    /// It is sendonly; otherwise inactive. Data is always open.
    pub sends: bool,
    /// Three layers by rid (video only).
    pub simulcast: bool,
}

impl Line {
    /// An m-line that sends.
    pub fn new(mid: impl Into<String>, kind: MediaKind) -> Self {
        Self { mid: mid.into(), kind, sends: true, simulcast: false }
    }
}

const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
const LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

/// An offer; `name` is the ICE user name of the PeerConnection, `version` counts its descriptions.
pub fn offer(lines: &[Line], name: &str, version: u64) -> String {
    let mids: Vec<&str> = lines.iter().map(|l| l.mid.as_str()).collect();
    let mut text = head(&mids, version);
    for line in lines {
        let direction = if line.sends { "sendonly" } else { "inactive" };
        match line.kind {
            MediaKind::Audio => {
                text += "m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\n";
                transport(&mut text, name, "actpass", &line.mid, direction);
                text +=
                    "a=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n";
                let _ = write!(text, "a=rtpmap:0 PCMU/8000\r\na=extmap:1 {LEVEL}\r\na=extmap:4 {MID}\r\n");
            }
            MediaKind::Video => {
                text += "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98\r\n";
                transport(&mut text, name, "actpass", &line.mid, direction);
                text +=
                    "a=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n";
                text += "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:98 H264/90000\r\n";
                text +=
                    "a=fmtp:98 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n";
                let _ = write!(text, "a=extmap:4 {MID}\r\na=extmap:10 {RID}\r\n");
                if line.simulcast {
                    text += "a=rid:h send\r\na=rid:m send\r\na=rid:l send\r\na=simulcast:send h;m;l\r\n";
                }
            }
            _ => {
                text += "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";
                transport(&mut text, name, "actpass", &line.mid, "sendrecv");
                text += "a=sctp-port:5000\r\na=max-message-size:262144\r\n";
            }
        }
    }
    text
}

/// An answer that takes all of an offer.
pub fn answer(offer: &Description, name: &str, version: u64) -> String {
    let mids: Vec<&str> = offer.media.iter().map(|m| m.mid.as_str()).collect();
    let mut text = head(&mids, version);
    for media in &offer.media {
        if !media.kind.is_rtp() {
            text += "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";
            transport(&mut text, name, "active", &media.mid, "sendrecv");
            text += "a=sctp-port:5000\r\na=max-message-size:262144\r\n";
            continue;
        }
        let direction = match media.direction {
            Direction::SendOnly | Direction::SendRecv => "recvonly",
            _ => "inactive",
        };
        let _ = write!(text, "m={} 9 UDP/TLS/RTP/SAVPF", media.kind.as_str());
        for payload in &media.payloads {
            let _ = write!(text, " {}", payload.pt);
        }
        text += "\r\n";
        transport(&mut text, name, "active", &media.mid, direction);
        text += "a=rtcp-mux\r\n";
        for payload in &media.payloads {
            let channels =
                if payload.channels > 1 { format!("/{}", payload.channels) } else { String::new() };
            let _ =
                write!(text, "a=rtpmap:{} {}/{}{channels}\r\n", payload.pt, payload.name, payload.clock_rate);
        }
    }
    text
}

fn head(mids: &[&str], version: u64) -> String {
    format!(
        "v=0\r\no=- 4611732 {version} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\n",
        mids.join(" ")
    )
}

fn transport(text: &mut String, name: &str, setup: &str, mid: &str, direction: &str) {
    let _ = write!(text, "c=IN IP4 0.0.0.0\r\na=ice-ufrag:{name}\r\na=ice-pwd:clntclntclntclntclntclnt\r\n");
    *text += "a=ice-options:trickle\r\n";
    let _ = write!(text, "a=fingerprint:sha-256 {}\r\n", ["AB"; 32].join(":"));
    let _ = write!(text, "a=setup:{setup}\r\na=mid:{mid}\r\na={direction}\r\n");
}

/// What a PeerConnection remembers of the offers it got.
#[derive(Clone, Debug, Default)]
pub struct Offered {
    origin: Option<(u64, u64)>,
    lines: Vec<(String, MediaKind)>,
}

impl Offered {
    /// Takes the gateway's next offer.
    ///
    /// # Errors
    /// Why a browser would refuse it (RFC 9429 section 5.10): m-lines never go, and never change what they are.
    pub fn take(&mut self, offer: &Description) -> Result<(), String> {
        let origin = (offer.origin.id, offer.origin.version);
        if let Some((id, version)) = self.origin
            && (id != origin.0 || version >= origin.1)
        {
            return Err(format!("o= line went from {id} {version} to {} {}", origin.0, origin.1));
        }
        let lines: Vec<_> = offer.media.iter().map(|m| (m.mid.clone(), m.kind.clone())).collect();
        if !lines.starts_with(&self.lines) {
            return Err(format!("m-lines went from {:?} to {lines:?}", self.lines));
        }
        self.origin = Some(origin);
        self.lines = lines;
        Ok(())
    }
}
