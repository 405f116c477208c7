//! Offer and answer, as far as a peer is concerned.

use super::line::{Line, MAX_SOURCES, Sink, Source};
use super::{ICE_LIMIT, Peer, PeerCx, Stage, Stream};
use crate::random;
use portunus_plugin::media::Negotiation;
use portunus_rtp::extension::{ExtensionKind, ExtensionMap};
use portunus_rtp::twcc::FeedbackRecorder;
use portunus_sdp::{Negotiated, Setup};
use std::time::Instant;

impl Peer {
    /// Takes one step of offer and answer.
    pub(crate) fn negotiate(&mut self, cx: &mut PeerCx<'_>, n: &Negotiation, worker: usize, now: Instant) {
        self.stirred = true;
        if let Some(remote) = &n.remote {
            let fresh = || (random::ufrag(cx.random, worker), random::text(cx.random, 24));
            self.ice.set_remote(&remote.ufrag, &remote.pwd, fresh);
            if self.dtls.is_none() {
                self.remote_fingerprint = Some(remote.fingerprint.clone());
                self.choose_setup(cx, n, remote.setup);
            }
            if let Stage::Connecting { until } = &mut self.stage {
                *until = Some(now + ICE_LIMIT);
            }
            if let Some(held) = &mut self.held {
                held.on_answer(now);
            }
        } else {
            if n.restart {
                self.ice.restart((random::ufrag(cx.random, worker), random::text(cx.random, 24)));
            }
            if self.dtls.is_none() {
                self.setup = Setup::ActPass;
            }
            self.lines.iter_mut().for_each(|line| line.renew_if_idle(cx.random));
        }
        self.update_lines(cx, &n.media, n.remote.is_some(), now);
        self.drive_ice(cx, now);
        if self.stage == Stage::Securing {
            self.start_dtls(cx, now);
        }
    }

    fn choose_setup(&mut self, cx: &PeerCx<'_>, n: &Negotiation, theirs: Option<Setup>) {
        self.setup = if n.offering {
            // We offered actpass and they chose: the other role is ours.
            if theirs == Some(Setup::Passive) { Setup::Active } else { Setup::Passive }
        } else {
            Setup::answer_to(theirs, cx.settings.dtls_answer_passive)
        };
    }

    /// `settles`: both sides have said what they want.
    fn update_lines(&mut self, cx: &mut PeerCx<'_>, media: &[Negotiated], settles: bool, now: Instant) {
        for (i, n) in media.iter().enumerate() {
            if let Some(line) = self.lines.get_mut(i) {
                // An m-line that was given up may come back as another medium (RFC 8843 section 7.5.3).
                if line.mid == n.mid && line.kind == n.kind {
                    line.update(n);
                } else {
                    *line = Line::new(n);
                }
            } else {
                self.lines.push(Line::new(n));
            }
            if n.sctp_port.is_some() && n.active {
                self.sctp_port = n.sctp_port;
            }
            self.update_streams(cx, i, n);
        }
        if settles {
            self.lines.iter_mut().for_each(|line| line.settled = true);
        }
        self.streams.retain(|s| self.lines.get(s.line).is_some_and(|l| l.sources.len() > s.source));
        self.extensions = merged_extensions(&self.lines);
        if self.twcc.is_none() && self.lines.iter().any(|l| l.receive && l.feedback.transport_cc) {
            self.twcc = Some(FeedbackRecorder::new());
            self.due.twcc = Some(now + cx.settings.twcc_period);
        }
        self.update_bandwidth();
        self.start_sctp(cx, now);
    }

    /// Sources and sink of m-line `i`.
    fn update_streams(&mut self, cx: &mut PeerCx<'_>, i: usize, n: &Negotiated) {
        let Some(line) = self.lines.get_mut(i) else { return };
        let Some(codec) = line.codec.filter(|_| line.kind.is_rtp()) else { return };
        if line.receive {
            let layers = n.rids.len().max(n.remote_ssrcs.len()).clamp(1, MAX_SOURCES);
            let same_codec = line.sources.first().is_none_or(|s| s.inspector.codec() == codec);
            if !same_codec {
                line.sources.clear();
            }
            line.sources.truncate(layers);
            while line.sources.len() < layers {
                line.sources.push(Source::new(cx.random.next_u32(), codec, cx.settings.min_nack_queue));
            }
            for (k, (ssrc, rtx)) in n.remote_ssrcs.iter().take(layers).enumerate() {
                if let Some(source) = line.sources.get_mut(k) {
                    if source.ssrc.is_some_and(|old| old != *ssrc) {
                        source.restart();
                    }
                    source.ssrc = Some(*ssrc);
                    source.rtx = *rtx;
                }
                bind(&mut self.streams, Stream { ssrc: *ssrc, line: i, source: k, rtx: false });
                if let Some(rtx) = rtx {
                    bind(&mut self.streams, Stream { ssrc: *rtx, line: i, source: k, rtx: true });
                }
            }
        } else {
            line.sources.clear();
        }
        // An SSRC is in every answer of Janus, even where nothing is sent.
        if line.active && line.sink.is_none() {
            let sink = Sink::new(line, codec, cx.random);
            line.sink = Some(sink);
        }
    }
}

/// Remembers which stream an SSRC is; the newest word counts.
pub(super) fn bind(streams: &mut Vec<Stream>, stream: Stream) {
    streams.retain(|s| s.ssrc != stream.ssrc);
    if streams.len() >= super::receive::MAX_STREAMS {
        streams.remove(0);
    }
    streams.push(stream);
}

fn merged_extensions(lines: &[Line]) -> ExtensionMap {
    let mut map = ExtensionMap::new();
    for line in lines.iter().filter(|l| l.active) {
        for &(kind, id) in line.extensions.entries() {
            if map.id(kind).is_none() {
                map.try_insert(kind, id);
            }
        }
    }
    debug_assert!(ExtensionKind::ALL.len() >= map.entries().len());
    map
}
