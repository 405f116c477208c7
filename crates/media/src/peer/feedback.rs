//! RTCP both ways, and what is due periodically: reports, NACKs, keyframe requests, transport-wide feedback,
//! REMB, the no-media and slow-link events.

use super::line::{Line, Shed, Sink};
use super::{Peer, PeerCx, Resend, Stage};
use crate::clock::Clock;
use portunus_plugin::media::{MediaEvent, Tapped};
use portunus_rtp::receive::ReceiverStats;
use portunus_rtp::rtcp::{Compound, ReportBlock, Rtcp, RtcpWriter, SenderInfo, ntp_middle, ntp_time, rtt_us};
use portunus_srtp::MAX_RTCP_OVERHEAD;
use std::time::{Duration, Instant};

/// The first report follows the handshake closely: the peer learns its round trip from it.
pub(super) const FIRST_REPORT: Duration = Duration::from_millis(100);
const REPORT_EVERY: Duration = Duration::from_secs(1);
const SECOND: Duration = Duration::from_secs(1);
/// An RTCP packet of ours, before sealing.
const RTCP_ROOM: usize = 1200;
/// Body of one transport-wide feedback.
const FEEDBACK_ROOM: usize = 1000;
/// Report blocks in one report.
const MAX_BLOCKS: usize = 16;
/// Transport-wide feedbacks heard of one compound; browsers send one.
const MAX_FEEDBACKS: usize = 4;
/// Sender reports in one compound: more would not fit beside the blocks.
const MAX_SENDERS: usize = 24;
/// Sequence numbers asked for or answered by one RTCP packet.
const MAX_NACKS: usize = 256;
/// What Janus lets a client send when nobody caps it, bits per second.
const DEFAULT_CAP: u32 = 10_000_000;
const CNAME: &str = "janus";

impl Peer {
    // === in ===

    /// One SRTCP packet.
    pub(crate) fn handle_rtcp(&mut self, cx: &mut PeerCx<'_>, bytes: &mut [u8], now: Instant) {
        if self.stage != Stage::Up {
            self.refused.early += 1;
            return;
        }
        let Some(srtp) = &mut self.srtp else { return };
        let len = match srtp.opener.unprotect_rtcp(bytes) {
            Ok(len) => len,
            Err(portunus_srtp::Error::Replay | portunus_srtp::Error::TooOld) => {
                return self.refused.replayed += 1;
            }
            Err(portunus_srtp::Error::Malformed) => return self.refused.malformed += 1,
            Err(_) => return self.refused.forged += 1,
        };
        if let (Some(tap), Some(packet)) = (&srtp.tap, bytes.get(..len)) {
            tap.packet(true, Tapped::Rtcp(packet));
        }
        let Ok(compound) = Compound::parse(bytes.get(..len).unwrap_or_default()) else {
            self.refused.malformed += 1;
            return;
        };
        let (mut asked, mut feedbacks) = (0, 0);
        for packet in compound {
            let Ok(packet) = packet else {
                self.refused.malformed += 1;
                return;
            };
            self.on_rtcp(cx, &packet, (&mut asked, &mut feedbacks), now);
        }
    }

    /// `asked`, `feedbacks`: how much the compound has had of each.
    fn on_rtcp(
        &mut self,
        cx: &mut PeerCx<'_>,
        packet: &Rtcp<'_>,
        (asked, feedbacks): (&mut usize, &mut usize),
        now: Instant,
    ) {
        match packet {
            Rtcp::SenderReport { sender, blocks } => {
                let now_us = cx.clock.micros(now);
                if let Some(stats) = self.stats_of(sender.ssrc) {
                    stats.on_sender_report(ntp_middle(sender.ntp), now_us);
                }
                blocks.into_iter().for_each(|b| self.on_report_block(cx, &b, now));
            }
            Rtcp::ReceiverReport { blocks, .. } => {
                blocks.into_iter().for_each(|b| self.on_report_block(cx, &b, now));
            }
            Rtcp::Nack { media, lost, .. } => {
                for sequence in *lost {
                    *asked += 1;
                    if *asked > MAX_NACKS {
                        break;
                    }
                    self.on_nack(cx, *media, sequence, now);
                }
            }
            Rtcp::Pli { media, .. } => self.on_keyframe_wish(*media),
            Rtcp::Fir { entries, .. } => {
                for (ssrc, _) in entries.into_iter().take(super::receive::MAX_STREAMS) {
                    self.on_keyframe_wish(ssrc);
                }
            }
            Rtcp::Remb { bitrate, .. } => {
                let bitrate = u32::try_from(*bitrate).unwrap_or(u32::MAX);
                if self.peer_bitrate != bitrate {
                    self.peer_bitrate = bitrate;
                    cx.events.push_back((self.handle, MediaEvent::PeerBitrate(bitrate)));
                }
                self.on_remb(cx, u64::from(bitrate), now);
            }
            Rtcp::TransportCc { body, .. } => {
                // A few octets may be about thousands of packets.
                *feedbacks += 1;
                if *feedbacks <= MAX_FEEDBACKS {
                    self.on_transport_feedback(cx, body, now);
                }
            }
            // A BYE of the peer ends nothing: its description does.
            Rtcp::Sdes(_) | Rtcp::Bye(_) | Rtcp::Other { .. } => {}
        }
    }

    fn stats_of(&mut self, ssrc: u32) -> Option<&mut ReceiverStats> {
        let stream = self.streams.iter().find(|s| s.ssrc == ssrc && !s.rtx).copied()?;
        let source = self.lines.get_mut(stream.line)?.sources.get_mut(stream.source)?;
        Some(&mut source.stats)
    }

    fn sink_of(&mut self, ssrc: u32) -> Option<(usize, &mut Sink)> {
        let with_index = self.lines.iter_mut().enumerate();
        with_index.filter_map(|(i, l)| Some((i, l.sink.as_mut()?))).find(|(_, s)| s.ssrc == ssrc)
    }

    fn on_report_block(&mut self, cx: &PeerCx<'_>, block: &ReportBlock, now: Instant) {
        let middle = ntp_middle(ntp_time(cx.clock.unix(now)));
        let Some((line, sink)) = self.sink_of(block.ssrc) else { return };
        sink.fraction_lost = block.fraction_lost;
        sink.remote_jitter = block.jitter;
        sink.lost_now += i64::from(block.cumulative_lost) - sink.lost_before.unwrap_or(0);
        sink.lost_before = Some(i64::from(block.cumulative_lost));
        let rtt = rtt_us(middle, block.last_sr, block.delay_since_last_sr);
        if let Some(rtt) = rtt {
            sink.round_trip = Duration::from_micros(rtt);
        }
        if self.is_video(line) {
            self.on_loss_report(block.fraction_lost, rtt, cx.clock.micros(now));
        }
    }

    fn on_nack(&mut self, cx: &PeerCx<'_>, ssrc: u32, sequence: u16, now: Instant) {
        let now_us = cx.clock.micros(now);
        let Some((line, sink)) = self.sink_of(ssrc) else { return };
        sink.nacked += 1;
        let Some((source, source_line)) = sink.from else { return };
        let rtt = super::line::micros(sink.round_trip);
        let revision = sink.extensions.revision();
        if let Ok(entry) = sink.index.try_resend(sequence, rtt, revision, now_us) {
            self.resends.push(Resend { source, source_line, line, entry, probe: false });
        }
    }

    fn on_keyframe_wish(&mut self, ssrc: u32) {
        let Some((_, sink)) = self.sink_of(ssrc) else { return };
        if sink.shed == Shed::Frames {
            // There is no time for more pictures: it gets those that come anyway.
            return;
        }
        let substream = sink.substream();
        if let Some((peer, line)) = sink.from {
            self.wanted_keyframes.push((peer, line, substream));
        }
    }

    // === out ===

    /// Somebody needs a keyframe of `line`: of one simulcast layer, or of all.
    pub(crate) fn request_keyframe(
        &mut self,
        cx: &mut PeerCx<'_>,
        line: usize,
        substream: Option<u8>,
        now: Instant,
    ) {
        let Some(l) = self.lines.get_mut(line) else { return };
        if !l.is_video() || !l.receive {
            return;
        }
        for (i, source) in l.sources.iter_mut().enumerate() {
            if substream.is_none_or(|s| usize::from(s) == i) {
                source.keyframes.want();
            }
        }
        self.stirred = true;
        self.send_keyframe_requests(cx, now);
    }

    fn send_keyframe_requests(&mut self, cx: &mut PeerCx<'_>, now: Instant) {
        let (round_trip, sender) = (self.round_trip(), self.feedback_ssrc);
        let mut wanted = [(0_u32, None); 8];
        let mut n = 0;
        for line in self.lines.iter_mut().filter(|l| l.receive) {
            let fir = line.feedback.fir && !line.feedback.pli;
            for source in &mut line.sources {
                let Some(ssrc) = source.ssrc else { continue };
                if let Some(slot) = wanted.get_mut(n)
                    && source.keyframes.poll(now, round_trip)
                {
                    source.fir_number = source.fir_number.wrapping_add(1);
                    *slot = (ssrc, fir.then_some(source.fir_number));
                    n += 1;
                }
            }
        }
        for (ssrc, fir) in wanted.into_iter().take(n) {
            self.send_rtcp(cx, |w| match fir {
                Some(number) => w.fir(sender, ssrc, number).is_ok(),
                None => w.pli(sender, ssrc).is_ok(),
            });
        }
    }

    fn round_trip(&self) -> Duration {
        let measured = self.lines.iter().filter_map(|l| l.sink.as_ref()).map(|s| s.round_trip).max();
        measured.filter(|r| !r.is_zero()).or_else(|| self.ice.round_trip()).unwrap_or(Duration::ZERO)
    }

    /// Writes one compound, seals and sends it, if `write` says that there is something.
    fn send_rtcp(&mut self, cx: &mut PeerCx<'_>, write: impl FnOnce(&mut RtcpWriter<'_>) -> bool) {
        let Some(path) = self.open_path() else { return };
        let Some(srtp) = &mut self.srtp else { return };
        let room = cx.egress.room();
        let Some(plain) = room.get_mut(..RTCP_ROOM) else { return };
        let mut writer = RtcpWriter::new(plain);
        let len = if write(&mut writer) { writer.len() } else { 0 };
        debug_assert!(len + MAX_RTCP_OVERHEAD <= crate::egress::PACKET_ROOM);
        if let (Some(tap), Some(packet)) = (&srtp.tap, room.get(..len).filter(|p| !p.is_empty())) {
            tap.packet(false, Tapped::Rtcp(packet));
        }
        if len > 0
            && let Ok(sealed) = srtp.sealer.protect_rtcp(room, len)
        {
            cx.egress.commit(sealed, path);
        }
    }

    pub(super) fn on_media_timers(&mut self, cx: &mut PeerCx<'_>, now: Instant) {
        let now_us = cx.clock.micros(now);
        self.send_nacks(cx, now_us);
        self.send_keyframe_requests(cx, now);
        self.on_bandwidth_timer(cx, now);
        if self.due.twcc.is_some_and(|at| at <= now) {
            self.due.twcc = Some(now + cx.settings.twcc_period);
            self.send_transport_feedback(cx);
        }
        if self.due.report <= now {
            self.due.report = now + REPORT_EVERY;
            self.send_reports(cx, now);
            self.send_remb(cx);
        }
        if self.due.second <= now {
            self.due.second = now + SECOND;
            self.check_silence(cx, now);
            self.check_slow_links(cx);
            self.end_second();
            self.tell_stats_in_time(cx);
        }
    }

    pub(super) fn next_media_timer(&self, clock: &Clock, now: Instant) -> Option<Instant> {
        let mut at = self.due.report.min(self.due.second);
        let round_trip = self.round_trip();
        let mut earlier = |t: Option<Instant>| at = t.map_or(at, |t| t.min(at));
        earlier(self.due.twcc);
        earlier(self.next_bandwidth_timer(clock, now));
        for line in &self.lines {
            for source in &line.sources {
                earlier(source.nacks.next_us().map(|us| clock.instant(us)));
                earlier(source.keyframes.next(now, round_trip).filter(|_| source.ssrc.is_some()));
            }
        }
        Some(at)
    }

    fn send_nacks(&mut self, cx: &mut PeerCx<'_>, now_us: u64) {
        let sender = self.feedback_ssrc;
        let round_trip = super::line::micros(self.round_trip());
        let mut lost = [0_u16; MAX_NACKS];
        for i in 0..self.lines.len() {
            let sources = self.lines.get(i).map_or(0, |l| l.sources.len());
            for k in 0..sources {
                let Some(source) = self.lines.get_mut(i).and_then(|l| l.sources.get_mut(k)) else { continue };
                let Some(media) = source.ssrc else { continue };
                let n = source.nacks.poll_nacks(now_us, round_trip, &mut lost);
                if source.nacks.take_given_up() {
                    // Receivers would wait for that packet for seconds before they asked.
                    source.keyframes.want();
                }
                if let Some(lost) = lost.get(..n).filter(|l| !l.is_empty()) {
                    source.nacks_sent += 1;
                    self.send_rtcp(cx, |w| w.nack(sender, media, lost).is_ok());
                }
            }
        }
    }

    fn send_transport_feedback(&mut self, cx: &mut PeerCx<'_>) {
        let sender = self.feedback_ssrc;
        let media = self.lines.iter().flat_map(|l| &l.sources).find_map(|s| s.ssrc).unwrap_or(0);
        let mut body = [0_u8; FEEDBACK_ROOM];
        while let Some(Ok(Some(n))) = self.twcc.as_mut().map(|t| t.poll_feedback(&mut body)) {
            let body = body.get(..n).unwrap_or_default();
            self.send_rtcp(cx, |w| w.transport_cc(sender, media, body).is_ok());
        }
    }

    fn send_reports(&mut self, cx: &mut PeerCx<'_>, now: Instant) {
        let now_us = cx.clock.micros(now);
        let ntp = ntp_time(cx.clock.unix(now));
        let sources = self.lines.iter_mut().filter(|l| l.receive).flat_map(|l| &mut l.sources);
        let blocks: Vec<ReportBlock> = sources.filter_map(|s| s.stats.report(s.ssrc?, now_us)).collect();
        let senders: Vec<SenderInfo> = self.lines.iter().filter_map(|l| sender_info(l, ntp, now)).collect();
        let own = senders.first().map_or(self.feedback_ssrc, |s| s.ssrc);
        if senders.is_empty() && blocks.is_empty() {
            return;
        }
        let (mut senders, mut blocks) = (senders.chunks(MAX_SENDERS), blocks.chunks(MAX_BLOCKS));
        loop {
            let (senders, blocks) = (senders.next(), blocks.next());
            if senders.is_none() && blocks.is_none() {
                return;
            }
            self.send_rtcp(cx, |w| {
                let mut first = blocks.unwrap_or_default();
                let Some(senders) = senders else {
                    return w.receiver_report(own, first).is_ok() && w.cname(own, CNAME).is_ok();
                };
                senders.iter().all(|sender| w.sender_report(sender, std::mem::take(&mut first)).is_ok())
                    && w.cname(own, CNAME).is_ok()
            });
        }
    }

    /// Limits what the client may send.
    pub(crate) fn cap(&mut self, cx: &mut PeerCx<'_>, bitrate: u32) {
        self.cap = bitrate;
        self.send_remb(cx);
    }

    pub(super) fn send_remb(&mut self, cx: &mut PeerCx<'_>) {
        let lines = self.lines.iter().filter(|l| l.receive && l.is_video() && l.feedback.remb);
        let ssrcs: Vec<u32> = lines.flat_map(|l| &l.sources).filter_map(|s| s.ssrc).take(16).collect();
        if ssrcs.is_empty() {
            return;
        }
        let bitrate = if self.cap == 0 { DEFAULT_CAP } else { self.cap };
        let sender = self.feedback_ssrc;
        // An RR goes first, as RFC 3550 wants of a compound and Janus does it.
        self.send_rtcp(cx, |w| {
            w.receiver_report(sender, &[]).is_ok() && w.remb(sender, u64::from(bitrate), &ssrcs).is_ok()
        });
    }

    /// What is told of the last second.
    fn end_second(&mut self) {
        for line in &mut self.lines {
            for source in &mut line.sources {
                let stats = &source.stats;
                source.second.end(stats.bytes(), stats.received(), stats.repaired(), stats.lost());
            }
            if let Some(sink) = &mut line.sink {
                sink.second.end(sink.bytes, u64::from(sink.packets), 0, 0);
            }
        }
    }

    // === events ===

    fn check_silence(&mut self, cx: &mut PeerCx<'_>, now: Instant) {
        let limit = cx.settings.no_media_timer;
        if limit.is_zero() {
            return;
        }
        let handle = self.handle;
        for line in &mut self.lines {
            let simulcast = line.is_simulcast();
            for (i, source) in line.sources.iter_mut().enumerate() {
                let silent = source.last_packet.is_none_or(|at| now.saturating_duration_since(at) >= limit);
                if source.receiving && silent {
                    source.receiving = false;
                    let event = MediaEvent::Receiving {
                        mid: line.mid.clone(),
                        kind: line.kind.clone(),
                        substream: simulcast.then(|| u8::try_from(i).unwrap_or(0)),
                        receiving: false,
                        seconds: limit.as_secs(),
                    };
                    cx.events.push_back((handle, event));
                }
            }
        }
    }

    /// More losses in a second than the threshold make a link slow, and one event; less than half of it, both
    /// counted with a sign, end that.
    fn check_slow_links(&mut self, cx: &mut PeerCx<'_>) {
        let threshold = i64::from(cx.settings.slow_link_threshold);
        let handle = self.handle;
        for line in &mut self.lines {
            let up: i64 =
                line.sources.iter_mut().map(|s| i64::try_from(s.stats.take_lost()).unwrap_or(i64::MAX)).sum();
            let down = line.sink.as_mut().map_or(0, |s| std::mem::take(&mut s.lost_now));
            if threshold == 0 {
                continue;
            }
            for (uplink, lost, slow) in [(true, up, &mut line.slow_up), (false, down, &mut line.slow_down)] {
                if lost > threshold && !*slow {
                    *slow = true;
                    let lost = u32::try_from(lost).unwrap_or(u32::MAX);
                    let (mid, kind) = (line.mid.clone(), line.kind.clone());
                    cx.events.push_back((handle, MediaEvent::SlowLink { mid, kind, uplink, lost }));
                } else if lost * 2 < threshold {
                    *slow = false;
                }
            }
        }
    }
}

fn sender_info(line: &Line, ntp: u64, now: Instant) -> Option<SenderInfo> {
    let sink = line.sink.as_ref()?;
    let (timestamp, at) = sink.newest?;
    let clock_rate = u64::from(line.codec?.clock_rate());
    let since = now.saturating_duration_since(at);
    let ticks = super::line::micros(since).saturating_mul(clock_rate) / 1_000_000;
    Some(SenderInfo {
        ssrc: sink.ssrc,
        ntp,
        rtp_timestamp: timestamp.wrapping_add(u32::try_from(ticks & 0xffff_ffff).unwrap_or(0)),
        packets: sink.packets,
        octets: sink.octets,
    })
}
