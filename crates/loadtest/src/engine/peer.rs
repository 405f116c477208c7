//! One PeerConnection of a client: what it sends and receives, and what it reports, as a browser would.

use super::receive::{Account, Happened, Receiver};
use super::send::Sender;
use super::shared::Shared;
use portunus_media::client::{Connection, Event, Outbox, PACKET_ROOM, Received, Socket};
use portunus_rtp::RtpError;
use portunus_rtp::extension::{ExtensionKind, ExtensionMap, ExtensionOffsets, parse_transport_cc};
use portunus_rtp::packet::RtpView;
use portunus_rtp::rtcp::{Compound, Rtcp, RtcpWriter, ntp_middle};
use portunus_rtp::twcc::FeedbackRecorder;
use portunus_sdp::{MediaKind, Negotiated, ext};
use std::net::SocketAddr;
use tokio::sync::mpsc::UnboundedSender;

/// As libwebrtc: reports about video once a second, transport-wide feedback some ten times a second, and a look at what is
/// missing every 20 ms.
const REPORT_NS: u64 = 1_000_000_000;
/// Rounds of video's reports for one of audio's.
const AUDIO_REPORTS: u32 = 5;
/// Who only receives has no SSRC of its own; libwebrtc says this.
const RECEIVER_SSRC: u32 = 1;
const CNAME: &str = "portunus-loadtest";
const FEEDBACK_NS: u64 = 100_000_000;
const NACK_NS: u64 = 20_000_000;
/// Media streams of a peer: more are not looked at.
const MAX_STREAMS: usize = 1024;
const MAX_NACKS: usize = 256;

/// What happened to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// ICE and DTLS were done at this time.
    Up(u64),
    /// The first packet of the first frame that could be decoded came then, or the first of audio where there is no video.
    Media(u64),
    /// No good any more, and why.
    Ended(String),
}

/// What a peer begins with.
pub(crate) struct PeerSpec {
    pub(crate) connection: Connection,
    pub(crate) socket: Socket,
    pub(crate) media: Vec<Negotiated>,
    pub(crate) sends: Vec<super::send::SendSpec>,
    /// The gateway chooses layers for it.
    pub(crate) layered: bool,
    pub(crate) told: UnboundedSender<Told>,
    /// Where in its interval the first frame lies, 0 to 1: clients do not send in step.
    pub(crate) offset: f64,
}

pub(crate) struct Peer {
    pub(crate) connection: Connection,
    pub(crate) socket: Socket,
    media: Vec<Negotiated>,
    pub(crate) senders: Vec<Sender>,
    pub(crate) receivers: Vec<Receiver>,
    last: usize,
    layered: bool,
    has_video: bool,
    media_told: bool,
    extensions: ExtensionMap,
    feedback: Option<FeedbackRecorder>,
    /// Rounds of reports.
    reports: u32,
    transport_sequence: u16,
    told: UnboundedSender<Told>,
    offset: f64,
    up: bool,
    /// Since when, even if it has ended.
    up_ns: Option<u64>,
    report_ns: u64,
    feedback_ns: u64,
    nack_ns: Option<u64>,
    /// When it wants to be called; whoever finds another time in a queue has an old entry.
    pub(crate) wake_ns: u64,
    scratch: Box<[u8]>,
}

/// What the worker lends a peer.
pub(crate) struct Cx<'a> {
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) account: Account<'a>,
}

impl Peer {
    pub(crate) fn new(spec: PeerSpec, shared: &Shared) -> Self {
        let PeerSpec { connection, socket, media, sends, layered, told, offset } = spec;
        let senders: Vec<Sender> =
            sends.into_iter().filter_map(|send| Sender::new(send, &media, shared)).collect();
        let receiving = || media.iter().filter(|line| line.receive);
        let mut extensions = ExtensionMap::new();
        for line in receiving() {
            for (id, uri) in &line.extensions {
                if let Some(kind) = ExtensionKind::from_uri(uri) {
                    extensions.try_insert(kind, *id);
                }
            }
        }
        let wide = receiving().any(|line| {
            line.extension(ext::TRANSPORT_WIDE_CC).is_some() && line.payloads.iter().any(|p| p.twcc)
        });
        let has_video = receiving().any(|line| line.kind == MediaKind::Video);
        Self {
            connection,
            socket,
            senders,
            receivers: Vec::new(),
            last: 0,
            layered,
            has_video,
            media_told: false,
            extensions,
            feedback: wide.then(FeedbackRecorder::new),
            reports: 0,
            transport_sequence: 0,
            told,
            offset,
            up: false,
            up_ns: None,
            report_ns: u64::MAX,
            feedback_ns: u64::MAX,
            nack_ns: None,
            wake_ns: 0,
            media,
            scratch: vec![0; PACKET_ROOM].into_boxed_slice(),
        }
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.up
    }

    pub(crate) fn tell(&self, told: Told) {
        let _ = self.told.send(told);
    }

    /// Takes a datagram.
    pub(crate) fn handle_datagram(
        &mut self,
        now_ns: u64,
        datagram: &mut [u8],
        from: SocketAddr,
        cx: &mut Cx<'_>,
    ) {
        let now = cx.account.shared.clock.instant(now_ns);
        let wire = datagram.len();
        match self.connection.handle_datagram(now, datagram, from, cx.outbox) {
            Received::Rtp { len } => {
                cx.account.counters.rtp_received += 1;
                cx.account.counters.octets_received += wire as u64;
                if let Some(packet) = datagram.get(..len) {
                    self.on_rtp(now_ns, packet, cx);
                }
            }
            Received::Rtcp { len } => {
                cx.account.counters.rtcp_received += 1;
                if let Some(packet) = datagram.get(..len) {
                    self.on_rtcp(now_ns, packet, cx);
                }
            }
            Received::Nothing => self.wake_ns = 0,
        }
    }

    fn on_rtp(&mut self, now_ns: u64, packet: &[u8], cx: &mut Cx<'_>) {
        let Ok(view) = RtpView::parse(packet) else { return };
        if let Some(feedback) = &mut self.feedback {
            let offsets = ExtensionOffsets::find(&view, &self.extensions);
            let number = offsets.get(ExtensionKind::TransportCc, packet).and_then(parse_transport_cc);
            if let Some(number) = number {
                feedback.on_packet(number, now_ns / 1000);
            }
        }
        let Some((at, repair)) = self.find(view.ssrc(), view.payload_type(), cx.account.shared) else {
            return;
        };
        let Some(receiver) = self.receivers.get_mut(at) else { return };
        let (mut payload, mut sequence) = (view.payload(), view.sequence());
        if repair {
            cx.account.counters.rtx_received += 1;
            // RFC 4588: the original's number, then its payload. Without either it is a probe.
            let Some((original, rest)) =
                payload.split_first_chunk::<2>().filter(|(_, rest)| !rest.is_empty())
            else {
                cx.account.counters.padding_received += 1;
                return;
            };
            (sequence, payload) = (u16::from_be_bytes(*original), rest);
        }
        let Happened { first_ns, gap } =
            receiver.on_packet(&view, payload, sequence, repair, now_ns, &mut cx.account);
        if gap && self.nack_ns.is_none() {
            self.nack_ns = Some(now_ns);
            self.wake_ns = 0;
        }
        if let Some(first) = first_ns.filter(|_| !self.media_told && (receiver.video || !self.has_video)) {
            self.media_told = true;
            self.tell(Told::Media(first));
        }
    }

    /// The stream of a packet, and whether it repairs that stream.
    fn find(&mut self, ssrc: u32, payload_type: u8, shared: &Shared) -> Option<(usize, bool)> {
        if self.receivers.get(self.last).is_some_and(|r| r.ssrc == ssrc) {
            return Some((self.last, false));
        }
        if let Some(at) = self.receivers.iter().position(|r| r.ssrc == ssrc) {
            self.last = at;
            return Some((at, false));
        }
        // Of a retransmission the description says whose it is.
        let repaired = self.media.iter().filter(|line| line.receive).find_map(|line| {
            line.remote_ssrcs.iter().find(|(_, rtx)| *rtx == Some(ssrc)).map(|(main, _)| *main)
        });
        if let Some(main) = repaired {
            return self.receivers.iter().position(|r| r.ssrc == main).map(|at| (at, true));
        }
        if self.receivers.len() >= MAX_STREAMS {
            return None;
        }
        let named = |line: &&Negotiated| line.remote_ssrcs.iter().any(|(main, _)| *main == ssrc);
        let receiving = || self.media.iter().filter(|line| line.receive);
        let line =
            receiving().find(named).or_else(|| receiving().find(|l| l.payload(payload_type).is_some()))?;
        let payload = line.payloads.iter().find(|p| p.pt == payload_type)?;
        let video = line.kind == MediaKind::Video;
        let nack = video && payload.nack && shared.settings.nack;
        self.receivers.push(Receiver::new(ssrc, video, payload.clock_rate, nack, video && self.layered));
        self.last = self.receivers.len() - 1;
        Some((self.last, false))
    }

    fn on_rtcp(&mut self, now_ns: u64, packet: &[u8], cx: &mut Cx<'_>) {
        let Ok(compound) = Compound::parse(packet) else { return };
        let counters = &mut *cx.account.counters;
        for rtcp in compound.flatten() {
            match rtcp {
                Rtcp::SenderReport { sender, .. } => {
                    if let Some(receiver) = self.receivers.iter_mut().find(|r| r.ssrc == sender.ssrc) {
                        receiver.stats.on_sender_report(ntp_middle(sender.ntp), now_ns / 1000);
                    }
                }
                Rtcp::Pli { media, .. } => {
                    counters.plis_received += 1;
                    self.senders.iter_mut().filter(|s| s.ssrc == media).for_each(Sender::want_keyframe);
                }
                Rtcp::Fir { entries, .. } => {
                    counters.plis_received += 1;
                    for (media, _) in entries {
                        self.senders.iter_mut().filter(|s| s.ssrc == media).for_each(Sender::want_keyframe);
                    }
                }
                Rtcp::Nack { media, lost, .. } => {
                    let to = self.connection.remote();
                    let Some(sender) = self.senders.iter_mut().find(|s| s.ssrc == media) else { continue };
                    for sequence in lost {
                        counters.nacks_received += 1;
                        if !cx.outbox.has_room() {
                            cx.outbox.flush(&self.socket);
                        }
                        let (room, wide) = (cx.outbox.room(), &mut self.transport_sequence);
                        let sealed = sender
                            .repeat(room, sequence, now_ns, wide)
                            .and_then(|len| self.connection.seal_rtp(room, len));
                        if let (Some(len), Some(to)) = (sealed, to) {
                            cx.outbox.commit(len, to);
                            counters.rtx_sent += 1;
                        }
                    }
                }
                Rtcp::TransportCc { .. } | Rtcp::Remb { .. } => counters.feedback_received += 1,
                _ => {}
            }
        }
    }

    /// Does what is due at `now_ns`, but for media.
    pub(crate) fn handle_timeout(&mut self, now_ns: u64, cx: &mut Cx<'_>) {
        let now = cx.account.shared.clock.instant(now_ns);
        self.connection.handle_timeout(now, cx.outbox);
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Up => self.on_up(now_ns),
                Event::Failed(why) => self.end(why),
                Event::Closed => self.end("closed by the gateway".to_owned()),
            }
        }
        if now_ns >= self.report_ns {
            self.report_ns = now_ns + REPORT_NS;
            self.send_reports(now_ns, cx);
            self.ask_for_keyframes(now_ns, cx);
        }
        if now_ns >= self.feedback_ns {
            self.feedback_ns = now_ns + FEEDBACK_NS;
            self.send_feedback(cx);
            self.ask_for_keyframes(now_ns, cx);
        }
        if self.nack_ns.is_some_and(|due| now_ns >= due) {
            self.send_nacks(now_ns, cx);
        }
        let next = self.connection.poll_timeout().map_or(u64::MAX, |at| cx.account.shared.clock.ns(at));
        let others = [self.report_ns, self.feedback_ns, self.nack_ns.unwrap_or(u64::MAX)];
        self.wake_ns = others.into_iter().fold(next, u64::min).max(now_ns + 1);
    }

    fn on_up(&mut self, now_ns: u64) {
        self.up = true;
        self.up_ns.get_or_insert(now_ns);
        self.report_ns = now_ns + REPORT_NS;
        // Also the rhythm in which pictures that stand are noticed.
        self.feedback_ns = now_ns + FEEDBACK_NS;
        for sender in &mut self.senders {
            let interval = if sender.is_video() { 33_000_000.0 } else { 20_000_000.0 };
            sender.schedule.start(now_ns + (interval * self.offset) as u64);
        }
        self.tell(Told::Up(now_ns));
    }

    fn end(&mut self, why: String) {
        self.up = false;
        (self.report_ns, self.feedback_ns, self.nack_ns) = (u64::MAX, u64::MAX, None);
        self.tell(Told::Ended(why));
    }

    /// As libwebrtc: each stream reports by itself, video every second, audio every fifth.
    fn send_reports(&mut self, now_ns: u64, cx: &mut Cx<'_>) {
        let of_audio = self.reports.is_multiple_of(AUDIO_REPORTS);
        self.reports = self.reports.wrapping_add(1);
        for at in 0..self.senders.len() {
            let Some(sender) = self.senders.get(at).filter(|s| s.is_video() || of_audio) else { continue };
            let mut writer = RtcpWriter::new(&mut self.scratch);
            let _ = writer.sender_report(&sender.report(now_ns), &[]);
            let _ = writer.cname(sender.ssrc, CNAME);
            let len = writer.len();
            self.send_rtcp(len, cx);
        }
        for at in 0..self.receivers.len() {
            if self.receivers.get(at).is_some_and(|r| r.video || of_audio) {
                self.send_compound(at, now_ns, cx, |_, _, _| Ok(()));
            }
        }
    }

    /// A receiver report of one stream, and what is to be said with it. Nobody negotiates reduced-size RTCP (RFC 5506), and Janus
    /// finds by the report's block what a compound is about.
    fn send_compound(
        &mut self,
        at: usize,
        now_ns: u64,
        cx: &mut Cx<'_>,
        write: impl FnOnce(&mut RtcpWriter<'_>, u32, u32) -> Result<(), RtpError>,
    ) {
        let Some(receiver) = self.receivers.get_mut(at) else { return };
        let block = receiver.stats.report(receiver.ssrc, now_ns / 1000);
        let mut writer = RtcpWriter::new(&mut self.scratch);
        let reported = writer.receiver_report(RECEIVER_SSRC, block.as_slice());
        if reported.and_then(|()| write(&mut writer, RECEIVER_SSRC, receiver.ssrc)).is_ok() {
            let len = writer.len();
            self.send_rtcp(len, cx);
        }
    }

    fn send_feedback(&mut self, cx: &mut Cx<'_>) {
        let mut body = [0; 1200];
        loop {
            let Some(Ok(Some(len))) = self.feedback.as_mut().map(|f| f.poll_feedback(&mut body)) else {
                return;
            };
            let media = self.receivers.first().map_or(0, |r| r.ssrc);
            let mut writer = RtcpWriter::new(&mut self.scratch);
            let written = body.get(..len).map(|body| writer.transport_cc(RECEIVER_SSRC, media, body));
            if !matches!(written, Some(Ok(()))) {
                return;
            }
            let len = writer.len();
            self.send_rtcp(len, cx);
        }
    }

    fn send_nacks(&mut self, now_ns: u64, cx: &mut Cx<'_>) {
        let mut lost = [0; MAX_NACKS];
        self.nack_ns = None;
        for at in 0..self.receivers.len() {
            let Some(receiver) = self.receivers.get_mut(at) else { break };
            let n = receiver.poll_nacks(now_ns, &mut lost);
            if receiver.is_missing_any() {
                self.nack_ns = Some(now_ns + NACK_NS);
            }
            if n == 0 {
                continue;
            }
            cx.account.counters.nacked += n as u64;
            let lost = lost.get(..n).unwrap_or_default();
            self.send_compound(at, now_ns, cx, |writer, own, media| writer.nack(own, media, lost).map(drop));
        }
    }

    fn ask_for_keyframes(&mut self, now_ns: u64, cx: &mut Cx<'_>) {
        for at in 0..self.receivers.len() {
            let Some(receiver) = self.receivers.get_mut(at) else { break };
            if !receiver.wants_keyframe(now_ns) {
                continue;
            }
            cx.account.counters.plis_sent += 1;
            self.send_compound(at, now_ns, cx, |writer, own, media| writer.pli(own, media));
        }
    }

    /// Seals and sends the first `len` bytes of the scratch.
    fn send_rtcp(&mut self, len: usize, cx: &mut Cx<'_>) {
        let Some(to) = self.connection.remote() else { return };
        if !cx.outbox.has_room() {
            cx.outbox.flush(&self.socket);
        }
        let room = cx.outbox.room();
        let (Some(from), Some(start)) = (self.scratch.get(..len), room.get_mut(..len)) else { return };
        start.copy_from_slice(from);
        if let Some(len) = self.connection.seal_rtcp(room, len) {
            cx.outbox.commit(len, to);
            cx.account.counters.rtcp_sent += 1;
        }
    }

    /// Sends what is due of one stream; when its next packet is due.
    pub(crate) fn send_media(&mut self, stream: usize, now_ns: u64, cx: &mut Cx<'_>) -> Option<u64> {
        let to = self.connection.remote()?;
        let sender = self.senders.get_mut(stream)?;
        loop {
            if !cx.outbox.has_room() {
                cx.outbox.flush(&self.socket);
            }
            let room = cx.outbox.room();
            let Account { shared, counters, phase, .. } = &mut cx.account;
            let polled = sender.poll(room, now_ns, &mut self.transport_sequence, shared, counters);
            let Some((len, late)) = polled else { return Some(sender.schedule.due_ns()) };
            let Some(sealed) = self.connection.seal_rtp(room, len) else { continue };
            cx.outbox.commit(sealed, to);
            counters.rtp_sent += 1;
            counters.octets_sent += sealed as u64;
            if phase.number != 0 {
                phase.lateness.add(late);
            }
        }
    }

    /// What its streams amount to, since it goes now or the measurement ends.
    pub(crate) fn settle(&self, phase: &mut super::tally::Phase, now_ns: u64, shared: &Shared, left: bool) {
        for receiver in &self.receivers {
            receiver.settle(phase, now_ns, shared, left);
        }
        // Who came while it was measured has had no time to hear everybody.
        if !left && self.up_ns.is_some_and(|up| up <= shared.measured().start) {
            let lines = self.media.iter().filter(|line| line.active && line.receive).count();
            let heard = self.receivers.iter().filter(|receiver| receiver.was_heard()).count();
            phase.silent += lines.saturating_sub(heard) as u64;
        }
    }
}
