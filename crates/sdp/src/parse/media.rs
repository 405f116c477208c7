//! One m-line and its attributes.

use super::lines::{Line, is_word};
use super::{TransportLines, read_extension};
use crate::limits::{
    MAX_BANDWIDTHS, MAX_EXTENSIONS, MAX_FEEDBACK, MAX_FEEDBACK_BYTES, MAX_MID, MAX_PAYLOADS, MAX_RID,
    MAX_RIDS, MAX_SSRC_GROUPS, MAX_SSRCS, MAX_UNKNOWN, MAX_UNKNOWN_BYTES, MAX_WORD,
};
use crate::{
    Bandwidth, Direction, Error, Extension, Media, MediaKind, Msid, Payload, Rid, RidDirection, Sctp,
    SimulcastLine, SsrcGroup, SsrcSemantics,
};

/// Attributes that belong to one peer's transport or are written anew: never passed on to another peer.
const OWN_ATTRIBUTES: &[&str] = &[
    "crypto",
    "dtls-id",
    "identity",
    "max-message-size",
    "remote-candidates",
    "rtcp",
    "rtcp-mux-only",
    "tls-id",
];

/// Collects the lines of one m-line.
pub(super) struct MediaReader<'a> {
    media: Media,
    mid: Option<&'a str>,
    direction: Option<Direction>,
    slots: Vec<Slot<'a>>,
    any_feedback: Vec<&'a str>,
    sctp_port: Option<u16>,
    max_message_size: Option<u64>,
    pub(super) transport: TransportLines<'a>,
    pub(super) lite: bool,
}

/// One payload type of the m-line.
struct Slot<'a> {
    pt: u8,
    map: Option<(&'a str, u32, u8)>,
    fmtp: Option<&'a str>,
    feedback: Vec<&'a str>,
}

impl<'a> MediaReader<'a> {
    /// Reads the m= line itself.
    pub(super) fn new(index: usize, line: &Line<'a>) -> Result<Self, Error> {
        let bad = || line.malformed("Invalid m= line");
        let mut words = line.value.split_ascii_whitespace();
        let mut word = || words.next().ok_or_else(bad);
        let (kind, port, protocol) = (word()?, word()?, word()?);
        // "9/2" gives a number of ports (RFC 8866 section 5.14), which nobody uses with BUNDLE.
        let port = port.split('/').next().and_then(|p| p.parse::<u32>().ok()).ok_or_else(bad)?;
        let named =
            is_word(kind) && is_word(protocol) && kind.len() <= MAX_WORD && protocol.len() <= MAX_WORD;
        if !named {
            return Err(bad());
        }
        let formats: Vec<&str> = words.take(MAX_PAYLOADS).collect();
        if formats.is_empty() {
            return Err(line.malformed("Invalid m= line (no payload types/formats)"));
        }
        let kind = media_kind(kind, protocol);
        let slots = if kind.is_rtp() { slots(&formats) } else { Vec::new() };
        // The old style has the SCTP port in the place of payload types (draft-ietf-mmusic-sctp-sdp-05).
        let sctp_port = formats.first().and_then(|f| f.parse().ok()).filter(|_| kind == MediaKind::Data);
        Ok(MediaReader {
            media: Media {
                index: u16::try_from(index).unwrap_or(u16::MAX),
                kind,
                // Janus reads larger numbers modulo 65536; all that matters is whether it is 0.
                port: u16::try_from(port).unwrap_or(9),
                protocol: protocol.to_owned(),
                ..empty_media()
            },
            mid: None,
            direction: None,
            slots,
            any_feedback: Vec::new(),
            sctp_port,
            max_message_size: None,
            transport: TransportLines::default(),
            lite: false,
        })
    }

    pub(super) fn index(&self) -> u16 {
        self.media.index
    }

    pub(super) fn port(&self) -> u16 {
        self.media.port
    }

    pub(super) fn mid(&self) -> Option<&'a str> {
        self.mid
    }

    /// Reads a line of this section.
    pub(super) fn read(&mut self, line: &Line<'a>) -> Result<(), Error> {
        match line.kind {
            'a' => self.read_attribute(line),
            'b' => {
                self.read_bandwidth(line.value);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn read_attribute(&mut self, line: &Line<'a>) -> Result<(), Error> {
        let (name, value) = line.attribute()?;
        if self.transport.read(name, value, line)? {
            return Ok(());
        }
        match name {
            "mid" if self.mid.is_none() => self.mid = Some(mid(value, line)?),
            "mid" => {}
            "rtpmap" => self.read_rtpmap(value),
            "fmtp" => self.read_fmtp(value),
            "rtcp-fb" => self.read_feedback(value),
            "extmap" => self.read_extmap(value),
            "ssrc" => self.read_ssrc(value),
            "ssrc-group" => self.read_ssrc_group(value),
            "msid" => self.media.msid = self.media.msid.take().or_else(|| msid(value)),
            "rid" => self.read_rid(value),
            "simulcast" => self.media.simulcast_line = simulcast_line(value),
            "rtcp-mux" => self.media.rtcp_mux = true,
            "rtcp-rsize" => self.media.rtcp_rsize = true,
            "bundle-only" => self.media.bundle_only = true,
            "ice-lite" => self.lite = true,
            "sctp-port" => self.sctp_port = value.trim().parse().ok().or(self.sctp_port),
            "sctpmap" => {
                let port = value.split_ascii_whitespace().next().and_then(|p| p.parse().ok());
                self.sctp_port = port.or(self.sctp_port);
            }
            "max-message-size" => self.max_message_size = value.trim().parse().ok(),
            _ => match Direction::from_name(name) {
                Some(direction) => self.direction = self.direction.or(Some(direction)),
                None => self.keep(name, line.value),
            },
        }
        Ok(())
    }

    fn keep(&mut self, name: &str, text: &str) {
        let own = OWN_ATTRIBUTES.contains(&name) || name.starts_with("ice-") || !is_word(name);
        // What writing leaves out must not leave an empty value behind: that would be no attribute for the next reader.
        let empty = text.trim_end().ends_with(':') || text.contains(crate::text::ends_line);
        if !own && !empty && text.len() <= MAX_UNKNOWN_BYTES && self.media.unknown.len() < MAX_UNKNOWN {
            self.media.unknown.push(text.to_owned());
        }
    }

    fn slot(&mut self, pt: &str) -> Option<&mut Slot<'a>> {
        let pt: u8 = pt.parse().ok()?;
        self.slots.iter_mut().find(|s| s.pt == pt)
    }

    fn read_rtpmap(&mut self, value: &'a str) {
        let Some((pt, map)) = value.trim().split_once(' ') else { return };
        let mut parts = map.trim().split('/');
        let name = parts.next().filter(|name| is_word(name) && name.len() <= MAX_WORD);
        let rate = parts.next().and_then(|rate| rate.parse().ok());
        let channels = parts.next().map_or(Some(1), |c| c.parse().ok());
        if let (Some(slot), Some(name), Some(rate), Some(channels)) = (self.slot(pt), name, rate, channels) {
            slot.map = slot.map.or(Some((name, rate, channels)));
        }
    }

    fn read_fmtp(&mut self, value: &'a str) {
        let Some((pt, parameters)) = value.trim().split_once(' ') else { return };
        if let Some(slot) = self.slot(pt) {
            slot.fmtp = slot.fmtp.or(Some(parameters.trim()));
        }
    }

    fn read_feedback(&mut self, value: &'a str) {
        let Some((pt, feedback)) = value.trim().split_once(' ') else { return };
        let feedback = feedback.trim();
        if feedback.len() > MAX_FEEDBACK_BYTES {
            return;
        }
        let list = match pt {
            "*" => Some(&mut self.any_feedback),
            pt => self.slot(pt).map(|slot| &mut slot.feedback),
        };
        if let Some(list) = list.filter(|l| l.len() < MAX_FEEDBACK && !l.contains(&feedback)) {
            list.push(feedback);
        }
    }

    fn read_extmap(&mut self, value: &str) {
        if let Some(extension) = read_extension(value) {
            add_extension(&mut self.media.extensions, extension);
        }
    }

    fn read_ssrc(&mut self, value: &str) {
        let (ssrc, attribute) = value.split_once(' ').unwrap_or((value, ""));
        let Ok(ssrc) = ssrc.parse::<u32>() else { return };
        let media = &mut self.media;
        if !media.ssrcs.contains(&ssrc) && media.ssrcs.len() < MAX_SSRCS {
            media.ssrcs.push(ssrc);
        }
        match attribute.trim().split_once(':') {
            Some(("cname", cname)) if is_word(cname) && cname.len() <= MAX_WORD => {
                media.cname.get_or_insert_with(|| cname.to_owned());
            }
            Some(("msid", value)) => media.msid = media.msid.take().or_else(|| msid(value)),
            _ => {}
        }
    }

    fn read_ssrc_group(&mut self, value: &str) {
        let mut words = value.split_ascii_whitespace();
        let semantics = match words.next() {
            Some("FID") => SsrcSemantics::Fid,
            Some("SIM") => SsrcSemantics::Sim,
            Some(other) if is_word(other) && other.len() <= MAX_WORD => {
                SsrcSemantics::Other(other.to_owned())
            }
            _ => return,
        };
        let ssrcs: Option<Vec<u32>> = words.take(MAX_SSRCS).map(|s| s.parse().ok()).collect();
        let Some(ssrcs) = ssrcs.filter(|s| !s.is_empty()) else { return };
        if self.media.ssrc_groups.len() < MAX_SSRC_GROUPS {
            self.media.ssrc_groups.push(SsrcGroup { semantics, ssrcs });
        }
    }

    fn read_rid(&mut self, value: &str) {
        let mut words = value.split_ascii_whitespace();
        let (Some(id), Some(direction)) = (words.next(), words.next()) else { return };
        let direction = match direction {
            "send" => RidDirection::Send,
            "recv" => RidDirection::Recv,
            _ => return,
        };
        let rids = &mut self.media.rids;
        let known = rids.iter().any(|r| r.id == id && r.direction == direction);
        if is_rid(id) && !known && rids.len() < MAX_RIDS {
            let restrictions = words.next().map(str::to_owned);
            rids.push(Rid { id: id.to_owned(), direction, restrictions });
        }
    }

    fn read_bandwidth(&mut self, value: &str) {
        let Some((kind, number)) = value.split_once(':') else { return };
        let Ok(number) = number.trim().parse() else { return };
        if is_word(kind) && kind.len() <= MAX_WORD && self.media.bandwidth.len() < MAX_BANDWIDTHS {
            self.media.bandwidth.push(Bandwidth { kind: kind.to_owned(), value: number });
        }
    }

    /// Bytes that folding in what is said once makes of it; `extensions` are those of the session's.
    pub(super) fn shared_bytes(&self, extensions: usize) -> usize {
        let feedback: usize = self.any_feedback.iter().map(|f| f.len()).sum();
        let extensions = if self.media.kind.is_rtp() { extensions } else { 0 };
        feedback.saturating_mul(self.slots.len()).saturating_add(extensions)
    }

    /// Folds the session's defaults and the payload types in.
    pub(super) fn finish(self, direction: Option<Direction>, extensions: &[Extension]) -> Media {
        let payloads = self.payloads();
        let mut media = self.media;
        media.payloads = payloads;
        media.mid = self.mid.map_or_else(|| media.index.to_string(), str::to_owned);
        media.direction = self.direction.or(direction).unwrap_or_default();
        if media.kind.is_rtp() {
            extensions.iter().for_each(|e| add_extension(&mut media.extensions, e.clone()));
        }
        if media.kind == MediaKind::Data {
            media.sctp = Some(Sctp {
                port: self.sctp_port.unwrap_or(5000),
                max_message_size: self.max_message_size,
                legacy: media.protocol.eq_ignore_ascii_case("DTLS/SCTP"),
            });
        }
        media
    }

    fn payloads(&self) -> Vec<Payload> {
        let named = |slot: &Slot<'a>| slot.map.or_else(|| static_payload(&self.media.kind, slot.pt));
        let mut payloads: Vec<Payload> = Vec::new();
        for slot in &self.slots {
            let Some((name, clock_rate, channels)) = named(slot) else { continue };
            if is_repair(&self.media.kind, name) {
                continue;
            }
            let mut feedback: Vec<String> = slot.feedback.iter().map(|f| (*f).to_owned()).collect();
            let shared = self.any_feedback.iter().filter(|f| !slot.feedback.contains(f));
            feedback.extend(shared.map(|f| (*f).to_owned()));
            let (name, fmtp) = (name.to_owned(), slot.fmtp.map(str::to_owned));
            payloads.push(Payload { pt: slot.pt, name, clock_rate, channels, fmtp, feedback, rtx: None });
        }
        for slot in &self.slots {
            let rtx = slot.map.is_some_and(|(name, ..)| name.eq_ignore_ascii_case("rtx"));
            let Some(apt) = slot.fmtp.filter(|_| rtx).and_then(apt) else { continue };
            if let Some(main) = payloads.iter_mut().find(|p| p.pt == apt && p.rtx.is_none()) {
                main.rtx = Some(slot.pt);
            }
        }
        payloads
    }
}

fn empty_media() -> Media {
    Media {
        index: 0,
        kind: MediaKind::Data,
        port: 0,
        protocol: String::new(),
        direction: Direction::default(),
        mid: String::new(),
        payloads: Vec::new(),
        extensions: Vec::new(),
        ssrcs: Vec::new(),
        ssrc_groups: Vec::new(),
        msid: None,
        cname: None,
        rids: Vec::new(),
        simulcast_line: None,
        sctp: None,
        bundle_only: false,
        bandwidth: Vec::new(),
        rtcp_mux: false,
        rtcp_rsize: false,
        unknown: Vec::new(),
        carrier: false,
    }
}

fn media_kind(name: &str, protocol: &str) -> MediaKind {
    let protocol = protocol.to_ascii_uppercase();
    let rtp = protocol.split('/').any(|part| part == "RTP");
    // TCP/DTLS/SCTP is refused as Janus refuses it.
    let sctp = matches!(protocol.as_str(), "UDP/DTLS/SCTP" | "DTLS/SCTP");
    match name.to_ascii_lowercase().as_str() {
        "audio" if rtp => MediaKind::Audio,
        "video" if rtp => MediaKind::Video,
        "application" if sctp => MediaKind::Data,
        _ => MediaKind::Other(name.to_owned()),
    }
}

fn slots<'a>(formats: &[&str]) -> Vec<Slot<'a>> {
    let mut slots: Vec<Slot<'a>> = Vec::new();
    for pt in formats.iter().filter_map(|f| f.parse::<u8>().ok()).filter(|pt| *pt < 128) {
        if !slots.iter().any(|s| s.pt == pt) {
            slots.push(Slot { pt, map: None, fmtp: None, feedback: Vec::new() });
        }
    }
    slots
}

/// Payload types of RFC 3551 that browsers offer; they need no rtpmap.
fn static_payload(kind: &MediaKind, pt: u8) -> Option<(&'static str, u32, u8)> {
    match (kind, pt) {
        (MediaKind::Audio, 0) => Some(("PCMU", 8_000, 1)),
        (MediaKind::Audio, 8) => Some(("PCMA", 8_000, 1)),
        (MediaKind::Audio, 9) => Some(("G722", 8_000, 1)),
        (MediaKind::Audio, 13) => Some(("CN", 8_000, 1)),
        _ => None,
    }
}

/// Retransmission and error correction, which we do on our own or not at all.
fn is_repair(kind: &MediaKind, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "rtx"
        || name == "ulpfec"
        || name.starts_with("flexfec")
        || (name == "red" && *kind != MediaKind::Audio)
}

fn apt(fmtp: &str) -> Option<u8> {
    fmtp.split(';').find_map(|p| p.trim().strip_prefix("apt=")).and_then(|pt| pt.trim().parse().ok())
}

fn mid<'a>(value: &'a str, line: &Line<'_>) -> Result<&'a str, Error> {
    let value = value.trim();
    if is_word(value) && value.len() <= MAX_MID { Ok(value) } else { Err(line.malformed("Invalid mid")) }
}

fn is_rid(id: &str) -> bool {
    let letters = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    letters && !id.is_empty() && id.len() <= MAX_RID
}

fn msid(value: &str) -> Option<Msid> {
    let mut words = value.split_ascii_whitespace();
    let stream = words.next()?;
    let track = words.next().unwrap_or_default();
    let readable = |w: &str| w.len() <= MAX_WORD && w.bytes().all(|b| b.is_ascii_graphic());
    (readable(stream) && readable(track)).then(|| Msid { stream: stream.to_owned(), track: track.to_owned() })
}

fn simulcast_line(value: &str) -> Option<SimulcastLine> {
    let mut line = SimulcastLine::default();
    let mut words = value.split_ascii_whitespace();
    while let (Some(direction), Some(list)) = (words.next(), words.next()) {
        match direction {
            "send" => line.send = simulcast_rids(list),
            "recv" => line.recv = simulcast_rids(list),
            _ => return None,
        }
    }
    Some(line)
}

fn simulcast_rids(list: &str) -> Vec<String> {
    // Firefox before 63 wrote "send rid=h;l"; "~" marks a paused layer, "," separates alternatives (RFC 8853).
    let list = list.strip_prefix("rid=").unwrap_or(list);
    let first = |alternatives: &str| {
        alternatives.split(',').next().unwrap_or_default().trim_start_matches('~').to_owned()
    };
    list.split(';').map(first).filter(|id| is_rid(id)).take(MAX_RIDS).collect()
}

fn add_extension(list: &mut Vec<Extension>, extension: Extension) {
    let taken = list.iter().any(|e| e.id == extension.id || e.uri == extension.uri);
    if !taken && list.len() < MAX_EXTENSIONS {
        list.push(extension);
    }
}
