//! What is known of a peer, for operators.

use super::line::{Choice, Line, Sink, Source};
use super::{Feeder, Peer, PeerCx, Stage};
use crate::dtls::Dtls;
use crate::egress::{Link, Path};
use crate::settings::Settings;
use crate::status::MediaTotals;
use portunus_plugin::report::{
    DtlsReport, FeederReport, IceReport, LineReport, PeerReport, SelectedPair, SinkReport, SourceReport,
    Traffic,
};
use portunus_sdp::{Candidate, MediaKind, Setup};
use portunus_srtp::Profile;
use std::time::Instant;

impl Peer {
    /// What is known now; `local` are the candidates we give.
    pub(crate) fn report(&mut self, cx: &PeerCx<'_>, local: Vec<Candidate>, now: Instant) -> PeerReport {
        let estimate = self.estimate(cx.clock.micros(now));
        PeerReport {
            ice: self.ice_report(cx, local),
            dtls: self.dtls_report(),
            estimate,
            lines: self.line_reports(cx.settings),
        }
    }

    /// The m-lines as they are now.
    pub(super) fn line_reports(&self, settings: &Settings) -> Vec<LineReport> {
        let one = |(index, line): (usize, &Line)| {
            let mut report = line.report(settings, index);
            if line.kind == MediaKind::Data {
                // All channels are on the one association, which is the line's that came first.
                report.sources = vec![SourceReport { traffic: self.data_in, ..SourceReport::default() }];
                report.sink = Some(SinkReport { traffic: self.data_out, ..SinkReport::default() });
            }
            report
        };
        self.lines.iter().enumerate().map(one).collect()
    }

    /// What feeds the sink of a line, and the substream it takes.
    pub(crate) fn feeder_of(&self, line: usize) -> Option<(Feeder, usize, Option<u8>)> {
        let sink = self.lines.get(line)?.sink.as_ref()?;
        let (feeder, source_line) = sink.from?;
        Some((feeder, source_line, sink.substream()))
    }

    /// A source of ours as those see it that it feeds.
    pub(crate) fn as_feeder(&self, line: usize, substream: Option<u8>) -> Option<FeederReport> {
        let line = self.lines.get(line)?;
        let source = line.sources.get(usize::from(substream.unwrap_or(0))).or(line.sources.first())?;
        Some(FeederReport {
            handle: Some(self.handle),
            mid: line.mid.clone(),
            last_packet: source.last_packet,
            last_keyframe: source.last_keyframe,
            lost: source.stats.lost(),
        })
    }

    /// What the m-lines have counted so far.
    pub(crate) fn totals(&self) -> MediaTotals {
        let mut totals = MediaTotals { forwarded: self.forwarded, ..MediaTotals::default() };
        for line in &self.lines {
            for source in &line.sources {
                totals.received += source.stats.received();
                totals.lost += source.stats.lost();
                totals.repaired += source.stats.repaired();
                totals.nacks_sent += source.nacks_sent;
                totals.keyframe_requests += source.keyframes.sent;
            }
            if let Some(sink) = &line.sink {
                totals.sent += u64::from(sink.packets);
                totals.nacked += sink.nacked;
                totals.resent += sink.resent;
                totals.lost_by_clients += u64::try_from(sink.lost_before.unwrap_or(0)).unwrap_or(0);
            }
        }
        totals
    }

    fn ice_report(&self, cx: &PeerCx<'_>, local: Vec<Candidate>) -> IceReport {
        let selected = self.ice.selected().and_then(|path| self.selected_pair(cx, path));
        let state = match self.stage {
            Stage::Connecting { until: None } => "gathering",
            Stage::Connecting { .. } => "connecting",
            Stage::Securing => "connected",
            Stage::Up => "ready",
            Stage::Lost { .. } => "failed",
        };
        IceReport {
            state,
            controlling: self.ice.controlling(),
            connected: self.found_path,
            heard: self.ice.heard(),
            local,
            remote: self.ice.remote_lines(),
            selected,
            trickle: self.trickle_report(cx),
            remapped: self.ice.remapped().map(|r| (r.told, r.seen)),
        }
    }

    pub(super) fn selected_pair(&self, cx: &PeerCx<'_>, path: Path) -> Option<SelectedPair> {
        let (local, local_kind, transport) = match path.link {
            Link::Udp(index) => (cx.sockets.get(index)?.local(), "host", "udp"),
            Link::Tcp(index) => (cx.connections.local(index)?, "host", "tcp"),
            Link::Relay(index) => (cx.egress.relays.get(index)?.client.allocation()?.relayed, "relay", "udp"),
        };
        let remote_kind = self.ice.kind_of_remote(path.remote);
        Some(SelectedPair { local, local_kind, remote: path.remote, remote_kind, transport })
    }

    fn dtls_report(&self) -> DtlsReport {
        let remote = self.remote_fingerprint.as_ref().map(ToString::to_string);
        DtlsReport {
            fingerprint: self.fingerprint().to_owned(),
            remote_fingerprint: remote.and_then(|text| {
                text.split_once(' ').map(|(hash, value)| (value.to_owned(), hash.to_owned()))
            }),
            role: match self.setup {
                Setup::Active => "active",
                Setup::Passive => "passive",
                _ => "actpass",
            },
            state: self.dtls.as_ref().map_or("created", Dtls::state_name),
            retransmissions: self.dtls.as_ref().map_or(0, Dtls::retransmissions),
            profile: self.srtp.as_ref().map(|srtp| profile_name(srtp.profile)),
            started: self.found_path,
            connected: self.secured,
            sctp: self.sctp.is_some(),
        }
    }
}

impl Line {
    fn report(&self, settings: &Settings, index: usize) -> LineReport {
        let clock_rate = self.codec.map_or(1, |codec| codec.clock_rate());
        LineReport {
            mid: self.mid.clone(),
            mindex: u16::try_from(index).unwrap_or(u16::MAX),
            kind: self.kind.clone(),
            codec: self.codec.map(|codec| codec.janus_name()),
            clock_rate,
            nacks: self.feedback.nack && self.is_video(),
            nack_queue: settings.min_nack_queue,
            sources: self.sources.iter().map(|source| source.report(clock_rate, self.is_video())).collect(),
            sink: self.sink.as_ref().map(|sink| sink.report(clock_rate, self.payload_types.rtx.is_some())),
        }
    }
}

impl Source {
    fn report(&self, clock_rate: u32, is_video: bool) -> SourceReport {
        SourceReport {
            ssrc: self.ssrc,
            rtx: self.rtx,
            traffic: Traffic {
                packets: self.stats.received(),
                bytes: self.stats.bytes(),
                last_second: self.second.bytes,
            },
            lost: self.stats.lost(),
            jitter: milliseconds(self.stats.jitter(), clock_rate),
            quality: self.second.quality.unwrap_or(100),
            media_quality: self.second.media_quality.unwrap_or(100),
            nacks: self.nacks_sent,
            repaired: self.stats.repaired(),
            keyframe_requests: self.keyframes.sent,
            last_packet: self.last_packet,
            last_keyframe: self.last_keyframe.filter(|_| is_video),
        }
    }
}

impl Sink {
    fn report(&self, clock_rate: u32, with_rtx: bool) -> SinkReport {
        SinkReport {
            ssrc: self.ssrc,
            rtx: with_rtx.then_some(self.rtx_ssrc),
            traffic: Traffic {
                packets: u64::from(self.packets),
                bytes: self.bytes,
                last_second: self.second.bytes,
            },
            lost: self.lost_before.unwrap_or(0),
            jitter: milliseconds(self.remote_jitter, clock_rate),
            quality: 100 - u8::try_from(u32::from(self.fraction_lost) * 100 / 256).unwrap_or(0),
            round_trip: Some(self.round_trip).filter(|rtt| !rtt.is_zero()),
            last_sent: self.newest.map(|(_, at)| at),
            layer: match &self.choice {
                Choice::All => None,
                Choice::Simulcast(s) => s.substream().map(|spatial| (spatial, s.temporal().unwrap_or(0))),
                Choice::Svc(s) => s.spatial().map(|spatial| (spatial, s.temporal().unwrap_or(0))),
            },
            wanted: (self.target.spatial, self.target.temporal),
            automatic: self.target.automatic,
            allowed: (self.allowed.spatial, self.allowed.temporal),
            feeder: None,
            unfed: self.from.is_none(),
            nacked: self.nacked,
            resent: self.resent,
        }
    }
}

/// Units of an RTP clock in milliseconds.
fn milliseconds(units: u32, clock_rate: u32) -> u32 {
    let ms = u64::from(units) * 1000 / u64::from(clock_rate.max(1));
    u32::try_from(ms).unwrap_or(u32::MAX)
}

/// As Janus spells it.
const fn profile_name(profile: Profile) -> &'static str {
    match profile {
        Profile::AeadAes128Gcm => "SRTP_AEAD_AES_128_GCM",
        Profile::AeadAes256Gcm => "SRTP_AEAD_AES_256_GCM",
        Profile::Aes128CmSha1_80 => "SRTP_AES128_CM_SHA1_80",
        Profile::Aes128CmSha1_32 => "SRTP_AES128_CM_SHA1_32",
    }
}
