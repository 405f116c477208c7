//! From [`Plan`] and [`LocalTransport`] to text, in the shape and order of Janus' descriptions.
//!
//! Lines end with CRLF. BUNDLE and rtcp-mux are always there; the transport's lines stand in every m-line that is meant.

use std::net::IpAddr;

use crate::text::Text;
use crate::{Kind, Layout, LocalTransport, MediaKind, Payload, Plan, PlanMedia};

/// The text of an offer or answer.
pub fn write(plan: &Plan, local: &LocalTransport) -> String {
    let mut text = Text::with_capacity(512 + 1_024 * plan.media.len());
    write_session(&mut text, plan, local);
    for (index, media) in plan.media.iter().enumerate() {
        write_media(&mut text, index, media, local, plan.kind);
    }
    text.finish()
}

fn write_session(text: &mut Text, plan: &Plan, local: &LocalTransport) {
    text.line("v=0");
    text.fixed("o=").word(non_empty(&plan.origin.username)).fixed(" ");
    text.shown(plan.origin.id).fixed(" ").shown(plan.origin.version);
    write_address(text.fixed(" "), local.address);
    let unnamed = plan.session_name.chars().all(char::is_control);
    text.fixed("s=").text(if unnamed { "-" } else { &plan.session_name }).end();
    text.line("t=0 0");
    text.fixed("a=group:BUNDLE");
    for (_, media) in plan.media.iter().enumerate().filter(|(index, media)| media.has_port(*index)) {
        text.fixed(" ").word(&media.mid);
    }
    text.end();
    text.line("a=ice-options:trickle");
    text.fixed("a=fingerprint:sha-256 ").word(&local.fingerprint).end();
    text.line("a=extmap-allow-mixed");
    text.line("a=msid-semantic: WMS *");
    if local.lite {
        text.line("a=ice-lite");
    }
}

fn write_media(text: &mut Text, index: usize, media: &PlanMedia, local: &LocalTransport, kind: Kind) {
    let meant = media.has_port(index);
    text.fixed("m=").word(media.kind.as_str()).fixed(if meant { " 9 " } else { " 0 " }).word(&media.protocol);
    write_formats(text, media);
    write_address(text.fixed("c="), local.address);
    for bandwidth in media.bandwidth.iter().filter(|_| media.accepted) {
        text.fixed("b=").word(&bandwidth.kind).fixed(":").shown(bandwidth.value).end();
    }
    text.fixed("a=").fixed(if media.accepted { media.direction.as_str() } else { "inactive" }).end();
    text.fixed("a=mid:").word(&media.mid).end();
    if !meant {
        return;
    }
    if let Some(sctp) = media.sctp.filter(|_| media.kind == MediaKind::Data) {
        match sctp.legacy {
            true => text.fixed("a=sctpmap:").shown(sctp.port).fixed(" webrtc-datachannel 16").end(),
            false => text.fixed("a=sctp-port:").shown(sctp.port).end(),
        }
    }
    if media.kind != MediaKind::Data {
        text.line("a=rtcp-mux");
    }
    text.fixed("a=ice-ufrag:").word(&local.ufrag).end();
    text.fixed("a=ice-pwd:").word(&local.pwd).end();
    text.line("a=ice-options:trickle");
    text.fixed("a=setup:").fixed(local.setup.as_str()).end();
    if media.kind.is_rtp() {
        write_codecs(text, media);
        write_sources(text, index, media, local, kind);
    }
    if !local.full_trickle {
        for candidate in &local.candidates {
            text.fixed("a=").shown(candidate).end();
        }
        if local.end_of_candidates {
            text.line("a=end-of-candidates");
        }
    }
}

fn write_formats(text: &mut Text, media: &PlanMedia) {
    match media.sctp.filter(|_| media.kind == MediaKind::Data) {
        Some(sctp) if sctp.legacy => {
            text.fixed(" ").shown(sctp.port);
        }
        Some(_) => {
            text.fixed(" webrtc-datachannel");
        }
        None if !media.accepted || media.payloads.is_empty() => {
            text.fixed(" 0");
        }
        None => {
            let main = media.payloads.iter().map(|p| p.pt);
            for pt in main.chain(media.payloads.iter().filter_map(|p| p.rtx)) {
                text.fixed(" ").shown(pt);
            }
        }
    }
    text.end();
}

fn write_codecs(text: &mut Text, media: &PlanMedia) {
    if !media.accepted {
        return;
    }
    match media.layout {
        Layout::FmtpFirst => {
            media.payloads.iter().for_each(|p| write_rtpmap(text, p));
            media.payloads.iter().for_each(|p| write_feedback(text, p, |f| f != TRANSPORT_CC));
            media.payloads.iter().for_each(|p| write_fmtp(text, p));
            media.payloads.iter().for_each(|p| write_feedback(text, p, |f| f == TRANSPORT_CC));
            write_extensions(text, media);
            write_attributes(text, media);
        }
        Layout::FmtpLast => {
            media.payloads.iter().for_each(|p| write_rtpmap(text, p));
            media.payloads.iter().for_each(|p| write_feedback(text, p, |_| true));
            write_extensions(text, media);
            media.payloads.iter().for_each(|p| write_fmtp(text, p));
            write_attributes(text, media);
        }
        Layout::Relayed => {
            write_extensions(text, media);
            write_attributes(text, media);
            for payload in &media.payloads {
                write_rtpmap(text, payload);
                write_feedback(text, payload, |_| true);
                write_fmtp(text, payload);
            }
        }
    }
    for (payload, rtx) in media.payloads.iter().filter_map(|p| p.rtx.map(|rtx| (p, rtx))) {
        text.fixed("a=rtpmap:").shown(rtx).fixed(" rtx/").shown(payload.clock_rate).end();
        text.fixed("a=fmtp:").shown(rtx).fixed(" apt=").shown(payload.pt).end();
    }
}

const TRANSPORT_CC: &str = "transport-cc";

fn write_rtpmap(text: &mut Text, payload: &Payload) {
    text.fixed("a=rtpmap:")
        .shown(payload.pt)
        .fixed(" ")
        .word(&payload.name)
        .fixed("/")
        .shown(payload.clock_rate);
    if payload.channels > 1 {
        text.fixed("/").shown(payload.channels);
    }
    text.end();
}

fn write_feedback(text: &mut Text, payload: &Payload, wanted: impl Fn(&str) -> bool) {
    for feedback in payload.feedback.iter().filter(|f| wanted(f)) {
        text.fixed("a=rtcp-fb:").shown(payload.pt).fixed(" ").text(feedback).end();
    }
}

fn write_fmtp(text: &mut Text, payload: &Payload) {
    if let Some(fmtp) = payload.fmtp.as_deref().filter(|f| !f.is_empty()) {
        text.fixed("a=fmtp:").shown(payload.pt).fixed(" ").text(fmtp).end();
    }
}

fn write_extensions(text: &mut Text, media: &PlanMedia) {
    for extension in &media.extensions {
        text.fixed("a=extmap:").shown(extension.id);
        if let Some(direction) = extension.direction {
            text.fixed("/").fixed(direction.as_str());
        }
        text.fixed(" ").word(&extension.uri).end();
    }
}

fn write_attributes(text: &mut Text, media: &PlanMedia) {
    for attribute in &media.attributes {
        text.fixed("a=").text(attribute).end();
    }
}

fn write_sources(text: &mut Text, index: usize, media: &PlanMedia, local: &LocalTransport, kind: Kind) {
    let sends = media.accepted && media.direction.sends();
    // Answers name the SSRC whatever the direction, as with Janus; offers only where something is sent.
    let named = sends || kind == Kind::Answer;
    let ssrcs = u16::try_from(index).ok().filter(|_| named).and_then(|index| local.ssrc_of(index));
    let repairs = media.payloads.iter().any(|p| p.rtx.is_some());
    let rtx = ssrcs.and_then(|s| s.rtx).filter(|_| sends && repairs);
    if let (Some(ssrcs), Some(rtx)) = (ssrcs, rtx) {
        text.fixed("a=ssrc-group:FID ").shown(ssrcs.ssrc).fixed(" ").shown(rtx).end();
    }
    if media.accepted && (sends || media.direction.receives()) {
        match &media.msid {
            Some(msid) if msid.track.is_empty() => text.fixed("a=msid:").word(non_empty(&msid.stream)).end(),
            Some(msid) => {
                text.fixed("a=msid:").word(non_empty(&msid.stream)).fixed(" ").word(&msid.track).end()
            }
            None => text.fixed("a=msid:janus janus").word(&media.mid).end(),
        }
    }
    for ssrc in ssrcs.map(|s| s.ssrc).into_iter().chain(rtx) {
        text.fixed("a=ssrc:").shown(ssrc).fixed(" cname:janus").end();
    }
    if media.rids.is_empty() || !media.accepted {
        return;
    }
    for rid in &media.rids {
        text.fixed("a=rid:").word(rid).fixed(" recv").end();
    }
    text.fixed("a=simulcast:recv ");
    for (i, rid) in media.rids.iter().enumerate() {
        text.fixed(if i == 0 { "" } else { ";" }).word(rid);
    }
    text.end();
}

/// The end of an o= or c= line.
fn write_address(text: &mut Text, address: IpAddr) {
    let family = match address {
        IpAddr::V4(_) => "IN IP4 ",
        IpAddr::V6(_) => "IN IP6 ",
    };
    text.fixed(family).shown(address).end();
}

/// Words that must not be empty have `-` (RFC 8866 section 5).
fn non_empty(value: &str) -> &str {
    if value.chars().all(|c| c.is_control() || c.is_whitespace()) { "-" } else { value }
}
