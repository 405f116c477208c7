//! What the client's network carries, and what follows from it: the layers of automatic sinks, probes, the pace.
//!
//! There is an estimate as soon as the peer sends video. Packets are counted and never held for it, unless a plugin
//! made a sink automatic: then its layers follow the estimate, RTX padding probes for more, and packets beyond the
//! estimate wait, at most [`MAX_WAITING`] of them and none longer than [`STALE_US`].

use super::line::{Choice, Line, Shed, Sink};
use super::{Feeder, Peer, PeerCx, Ready, Resend};
use crate::clock::Clock;
use portunus_bwe::{Allocator, Controller, Costs, Layer, Pacer, START_BITRATE, Settings, Stream};
use portunus_plugin::media::{LayerCause, LayerTarget, MediaEvent};
use portunus_rtp::codec::PayloadRewrite;
use portunus_rtp::extension::{self, ExtensionKind};
use portunus_rtp::twcc::Feedback;
use portunus_rtp::write::{Rewrite, Stamp, write_padding};
use std::collections::VecDeque;
use std::time::Instant;

/// Packets of one peer that wait for their turn.
const MAX_WAITING: usize = 1024;
/// Janus drops what waited this long to be sent.
const STALE_US: u64 = 1_000_000;
/// Layers are chosen anew at most this often.
const ALLOCATE_EVERY_US: u64 = 100_000;
/// What is sent besides automatic sinks is measured over this time.
const RESERVE_EVERY_US: u64 = 500_000;
/// The estimate is told when it has changed by one part of so many, and at most once a second.
const NOTICEABLE: u32 = 10;
const TELL_EVERY_US: u64 = 1_000_000;
/// Padding packets at once, the padding in each, and about what one takes.
const MAX_PROBE_PACKETS: usize = 16;
const PROBE_PADDING: u8 = 224;
const PADDING_PACKET: usize = 270;
/// Sent packets that probes repeat, beginning with the newest.
const MAX_REPEATED: usize = 64;

/// See the module.
pub(super) struct Bandwidth {
    controller: Controller,
    pacer: Pacer,
    allocator: Allocator,
    /// For [`Allocator::allocate`]; kept for its memory.
    streams: Vec<Stream>,
    waiting: VecDeque<Waiting>,
    /// A sink is automatic.
    automatic: bool,
    due: bool,
    allocated_us: u64,
    /// Sent for sinks that are not automatic: since when, bytes, and the rate before.
    reserved: (u64, u64, u64),
    told: Option<(u32, u64)>,
    repeated: usize,
}

/// A packet that waits for its turn.
struct Waiting {
    line: usize,
    packet: Ready,
    since_us: u64,
    /// `None` for a packet that is left out: its number is taken out in its turn.
    content: Option<Content>,
}

struct Content {
    marker: bool,
    bytes: Box<[u8]>,
}

impl Bandwidth {
    fn new(settings: Settings) -> Self {
        Self {
            controller: Controller::new(settings),
            pacer: Pacer::new(START_BITRATE),
            allocator: Allocator::new(),
            streams: Vec::new(),
            waiting: VecDeque::new(),
            automatic: false,
            due: false,
            allocated_us: 0,
            reserved: (0, 0, 0),
            told: None,
            repeated: 0,
        }
    }

    /// A packet left.
    #[inline]
    pub(super) fn on_sent(&mut self, number: Option<u16>, bytes: usize, now_us: u64) {
        match number {
            Some(number) => self.controller.on_sent(number, bytes, now_us),
            None => self.controller.on_unnumbered(bytes, now_us),
        }
    }

    /// A packet left that takes from the budget; `reserved`: of what is sent besides automatic sinks.
    pub(super) fn on_spent(&mut self, bytes: usize, reserved: bool, now_us: u64) {
        self.pacer.on_sent(bytes, now_us);
        if reserved {
            self.reserved.1 += u64::try_from(bytes).unwrap_or(0);
        }
    }

    /// Whether a packet of an automatic sink has to wait.
    fn holds(&mut self, bytes: usize, now_us: u64) -> bool {
        !self.waiting.is_empty() || self.pacer.allowance(now_us) < bytes
    }

    fn measure_reserved(&mut self, now_us: u64) -> u64 {
        let (since, bytes, rate) = self.reserved;
        let elapsed = now_us.saturating_sub(since);
        if elapsed >= RESERVE_EVERY_US {
            let newest = bytes.saturating_mul(8_000_000) / elapsed.max(1);
            self.reserved = (now_us, 0, if rate == 0 { newest } else { (rate + newest) / 2 });
        }
        self.reserved.2
    }

    fn next_us(&self, now_us: u64) -> u64 {
        let controller = self.controller.next_us(now_us);
        let size = self.waiting.front().map(|w| w.content.as_ref().map_or(0, |c| c.bytes.len()));
        size.map_or(controller, |size| controller.min(self.pacer.next_us(size)))
    }
}

/// The next transport-wide number for a packet of this sink, if its m-line negotiated them.
pub(super) fn number_of(sink: &Sink, sequence: &mut u16) -> Option<u16> {
    sink.extensions.map().id(ExtensionKind::TransportCc)?;
    let number = *sequence;
    *sequence = number.wrapping_add(1);
    Some(number)
}

impl Peer {
    /// After a negotiation: what can be known of the client's network, if video is sent there.
    pub(super) fn update_bandwidth(&mut self) {
        let mut video = self.lines.iter().filter(|l| l.is_video() && l.send && l.sink.is_some()).peekable();
        if video.peek().is_none() {
            return;
        }
        let mut settings = Settings { transport_feedback: false, probing: false, ..Settings::default() };
        for line in video {
            settings.probing |= line.payload_types.rtx.is_some();
            settings.transport_feedback |=
                line.feedback.transport_cc && line.extensions.id(ExtensionKind::TransportCc).is_some();
        }
        match &mut self.bandwidth {
            Some(bandwidth) => bandwidth.controller.set_settings(settings),
            None => self.bandwidth = Some(Box::new(Bandwidth::new(settings))),
        }
    }

    // === what is heard ===

    pub(super) fn on_transport_feedback(&mut self, cx: &mut PeerCx<'_>, body: &[u8], now: Instant) {
        let Ok(feedback) = Feedback::parse(body) else {
            self.refused.malformed += 1;
            return;
        };
        let Some(bandwidth) = &mut self.bandwidth else { return };
        let now_us = cx.clock.micros(now);
        bandwidth.controller.on_feedback(feedback.results().map(|r| (r.number, r.arrival_us)), now_us);
        self.on_estimate(cx, now);
    }

    pub(super) fn on_remb(&mut self, cx: &mut PeerCx<'_>, bitrate: u64, now: Instant) {
        let Some(bandwidth) = &mut self.bandwidth else { return };
        bandwidth.controller.on_remb(bitrate, cx.clock.micros(now));
        self.on_estimate(cx, now);
    }

    pub(super) fn on_loss_report(&mut self, fraction: u8, rtt_us: Option<u64>, now_us: u64) {
        if let Some(bandwidth) = &mut self.bandwidth {
            bandwidth.controller.on_receiver_report(fraction, rtt_us, now_us);
        }
    }

    /// What the client's network is estimated to carry, once anything is known of it.
    pub(super) fn estimate(&mut self, now_us: u64) -> Option<u32> {
        let controller = &mut self.bandwidth.as_mut()?.controller;
        let estimate = u32::try_from(controller.estimate(now_us)).unwrap_or(u32::MAX);
        controller.is_informed().then_some(estimate)
    }

    fn on_estimate(&mut self, cx: &mut PeerCx<'_>, now: Instant) {
        let Some(bandwidth) = &mut self.bandwidth else { return };
        self.stirred |= bandwidth.automatic;
        let now_us = cx.clock.micros(now);
        let estimate = bandwidth.controller.estimate(now_us);
        bandwidth.pacer.set_estimate(estimate);
        bandwidth.due |=
            bandwidth.automatic && now_us.saturating_sub(bandwidth.allocated_us) >= ALLOCATE_EVERY_US;
        let estimate = u32::try_from(estimate).unwrap_or(u32::MAX);
        let noticeable = bandwidth.told.is_none_or(|(told, at)| {
            estimate.abs_diff(told) >= told / NOTICEABLE && now_us.saturating_sub(at) >= TELL_EVERY_US
        });
        if noticeable && bandwidth.controller.is_informed() {
            bandwidth.told = Some((estimate, now_us));
            cx.events.push_back((self.handle, MediaEvent::Estimate(estimate)));
        }
    }

    // === time ===

    pub(super) fn on_bandwidth_timer(&mut self, cx: &mut PeerCx<'_>, now: Instant) {
        let Some(bandwidth) = &mut self.bandwidth else { return };
        bandwidth.controller.tick(cx.clock.micros(now));
        self.on_estimate(cx, now);
        self.send_waiting(cx, now);
        self.send_probe(cx, now);
    }

    pub(super) fn next_bandwidth_timer(&self, clock: &Clock, now: Instant) -> Option<Instant> {
        let bandwidth = self.bandwidth.as_ref()?;
        Some(clock.instant(bandwidth.next_us(clock.micros(now))))
    }

    // === layers ===

    /// Whether the layers of automatic sinks are to be chosen now.
    pub(crate) fn take_allocation_due(&mut self) -> bool {
        self.bandwidth.as_mut().is_some_and(|b| std::mem::take(&mut b.due))
    }

    /// The automatic sinks and what feeds them.
    pub(crate) fn automatic_sinks(&self) -> impl Iterator<Item = (usize, (Feeder, usize))> {
        let sinks = self.lines.iter().enumerate().filter(|(_, l)| l.send);
        sinks.filter_map(|(i, l)| {
            let sink = l.sink.as_ref().filter(|s| s.target.automatic)?;
            Some((i, sink.from?))
        })
    }

    /// Chooses the layers of the automatic sinks, whose costs are given by line.
    pub(crate) fn allocate(&mut self, cx: &mut PeerCx<'_>, costs: &[(usize, Costs)], now: Instant) {
        let Some(bandwidth) = &mut self.bandwidth else { return };
        let now_us = cx.clock.micros(now);
        bandwidth.allocated_us = now_us;
        bandwidth.streams.clear();
        for (line, costs) in costs {
            let Some(sink) = self.lines.get(*line).and_then(|l| l.sink.as_ref()) else { return };
            let max = Layer { spatial: sink.target.spatial, temporal: sink.target.temporal };
            bandwidth.streams.push(Stream::new(*costs, max, sink.allowed));
        }
        let reserved = bandwidth.measure_reserved(now_us);
        let estimate = bandwidth.controller.estimate(now_us);
        let allocation = bandwidth.allocator.allocate(estimate, reserved, &mut bandwidth.streams, now_us);
        bandwidth.controller.set_wanted(if costs.is_empty() { 0 } else { allocation.wanted });
        self.stirred = true;
        let streams = std::mem::take(&mut bandwidth.streams);
        for ((line, _), stream) in costs.iter().zip(&streams) {
            let Some(sink) = self.lines.get_mut(*line).and_then(|l| l.sink.as_mut()) else { continue };
            let fresh = std::mem::take(&mut sink.fresh);
            if sink.allowed != stream.current {
                sink.moved = !fresh;
                sink.allowed = stream.current;
                sink.aim();
            }
            self.report_layers(cx, *line, now_us);
        }
        if let Some(bandwidth) = &mut self.bandwidth {
            bandwidth.streams = streams;
        }
    }

    /// After a plugin chose: whether any sink is automatic, and if so, its layers are chosen soon.
    pub(super) fn update_automatic(&mut self) {
        let automatic = self.automatic_sinks().next().is_some();
        self.paced = automatic && self.bandwidth.is_some();
        if let Some(bandwidth) = &mut self.bandwidth {
            bandwidth.automatic = automatic;
            bandwidth.due = automatic;
            if !automatic {
                bandwidth.controller.set_wanted(0);
            }
        }
    }

    // === the pace ===

    /// Takes a packet of an automatic sink if it has to wait. `content`: its marker and bytes, unless it is only to be
    /// left out.
    pub(super) fn try_hold(
        &mut self,
        line: usize,
        packet: &Ready,
        content: Option<(bool, &[u8])>,
        now_us: u64,
    ) -> bool {
        if !self.paced {
            return false;
        }
        let Some(bandwidth) = self.bandwidth.as_mut() else { return false };
        let automatic = |l: &Line| l.sink.as_ref().is_some_and(|s| s.target.automatic);
        if !self.lines.get(line).is_some_and(automatic) {
            return false;
        }
        let bytes = content.map_or(0, |(_, bytes)| bytes.len());
        if !bandwidth.holds(bytes, now_us) {
            return false;
        }
        self.stirred |= bandwidth.waiting.is_empty();
        let content = content.map(|(marker, bytes)| Content { marker, bytes: bytes.into() });
        bandwidth.waiting.push_back(Waiting { line, packet: *packet, since_us: now_us, content });
        true
    }

    /// Sends what waited long enough, and drops what waited too long.
    pub(super) fn send_waiting(&mut self, cx: &mut PeerCx<'_>, now: Instant) {
        let now_us = cx.clock.micros(now);
        loop {
            let Some(bandwidth) = &mut self.bandwidth else { return };
            let full = bandwidth.waiting.len() > MAX_WAITING;
            let Some(first) = bandwidth.waiting.front() else { return };
            let stale = full || now_us.saturating_sub(first.since_us) > STALE_US;
            let size = first.content.as_ref().map_or(0, |c| c.bytes.len());
            if !stale && bandwidth.pacer.allowance(now_us) < size {
                return;
            }
            let Some(Waiting { line, packet, content, .. }) = bandwidth.waiting.pop_front() else { return };
            match content {
                Some(content) if !stale => {
                    self.transmit(cx, line, &packet, content.marker, &content.bytes, (now, now_us));
                }
                content => {
                    self.leave_out(cx, line, &packet, now_us);
                    if content.is_some() {
                        self.refused.stale += 1;
                        self.on_stale(line);
                    }
                }
            }
        }
    }

    /// Frames behind a dropped one cannot be decoded.
    fn on_stale(&mut self, line: usize) {
        let Some(sink) = self.lines.get(line).and_then(|l| l.sink.as_ref()) else { return };
        if let Some((source, source_line)) = sink.from {
            let wish = (source, source_line, sink.substream());
            if !self.wanted_keyframes.contains(&wish) {
                self.wanted_keyframes.push(wish);
            }
        }
    }

    /// The sink of a line has another source, or none: what waits is of the old one.
    pub(super) fn forget_waiting(&mut self, line: usize) {
        if let Some(bandwidth) = &mut self.bandwidth {
            bandwidth.waiting.retain(|w| w.line != line);
        }
    }

    // === probes ===

    /// Sends the padding that is due: sent packets once more as RTX, or RTX packets of nothing but padding.
    fn send_probe(&mut self, cx: &mut PeerCx<'_>, now: Instant) {
        let now_us = cx.clock.micros(now);
        let Some(bandwidth) = &mut self.bandwidth else { return };
        let Some(probe) = bandwidth.controller.poll_probe(now_us) else {
            bandwidth.repeated = 0;
            return;
        };
        let mut left = probe.bytes;
        let started = |l: &&Line| {
            l.is_video()
                && l.send
                && l.payload_types.rtx.is_some()
                && l.sink.as_ref().is_some_and(|s| s.newest.is_some())
        };
        let Some((line, l)) = self.lines.iter().enumerate().find(|(_, l)| started(l)) else { return };
        let repeats = l.sink.as_ref().and_then(|s| Some((s.from?, &s.index, s.extensions.revision())));
        let mut packets = 0;
        while left > 0 && packets < MAX_PROBE_PACKETS {
            packets += 1;
            let n = bandwidth.repeated % MAX_REPEATED;
            let repeated = repeats.and_then(|(from, index, revision)| {
                let (entry, len) = index.repeat(n, revision, now_us)?;
                Some((Resend { source: from.0, source_line: from.1, line, entry, probe: true }, len))
            });
            let Some((resend, len)) = repeated else { break };
            bandwidth.repeated += 1;
            self.resends.push(resend);
            left = left.saturating_sub(len);
        }
        while left > 0 && packets < MAX_PROBE_PACKETS {
            packets += 1;
            self.send_padding(cx, line, now_us);
            left = left.saturating_sub(PADDING_PACKET);
        }
    }

    fn send_padding(&mut self, cx: &mut PeerCx<'_>, line: usize, now_us: u64) {
        let Some(path) = self.open_path() else { return };
        let Some(l) = self.lines.get_mut(line) else { return };
        let (Some(payload_type), Some(sink), Some(srtp)) = (l.payload_types.rtx, &mut l.sink, &mut self.srtp)
        else {
            return;
        };
        let rewrite = Rewrite {
            ssrc: sink.rtx_ssrc,
            payload_type,
            sequence: sink.rtx_sequence,
            timestamp: sink.newest.map_or(0, |(timestamp, _)| timestamp),
            marker: false,
            payload: PayloadRewrite::Keep,
            frame_number: None,
        };
        let stamp = Stamp {
            transport_cc: self.transport_sequence,
            abs_send_time: extension::abs_send_time(now_us),
            padding: PROBE_PADDING,
        };
        let room = cx.egress.room();
        let Ok(len) = write_padding(room, &rewrite, &stamp, &sink.extensions) else { return };
        let Some(sealed) = super::send::seal_rtx(srtp, sink, room, len) else { return };
        sink.rtx_sequence = sink.rtx_sequence.wrapping_add(1);
        cx.egress.commit(sealed, path);
        let number = number_of(sink, &mut self.transport_sequence);
        if let Some(bandwidth) = &mut self.bandwidth {
            bandwidth.on_sent(number, sealed, now_us);
            bandwidth.on_spent(sealed, false, now_us);
        }
    }
}

impl Sink {
    /// The simulcast layer in force.
    pub(super) fn substream(&self) -> Option<u8> {
        match &self.choice {
            Choice::Simulcast(s) => s.substream(),
            _ => None,
        }
    }

    /// What the selector is to aim at: what is wanted, or what the network carries of it.
    pub(super) fn limit(&self) -> (u8, u8) {
        let LayerTarget { spatial, temporal, automatic, .. } = self.target;
        if self.shed != Shed::Nothing {
            (0, 0)
        } else if automatic {
            (self.allowed.spatial.min(spatial), self.allowed.temporal.min(temporal))
        } else {
            (spatial, temporal)
        }
    }

    /// Tells the selector.
    pub(super) fn aim(&mut self) {
        let (spatial, temporal) = self.limit();
        match &mut self.choice {
            Choice::All => {}
            Choice::Simulcast(s) => {
                s.set_substream(spatial);
                s.set_temporal(temporal);
            }
            Choice::Svc(s) => {
                s.set_spatial(spatial);
                s.set_temporal(temporal);
            }
        }
    }

    /// Takes what a plugin wants. A sink that becomes automatic begins with the lowest layers.
    pub(super) fn want(&mut self, target: LayerTarget) {
        if target.automatic && !self.target.automatic {
            self.allowed = Layer::default();
        }
        (self.moved, self.fresh) = (false, true);
        self.target = target;
        if let Choice::Simulcast(s) = &mut self.choice {
            s.set_fallback(super::line::micros(target.fallback));
        }
        self.aim();
    }

    /// Why the layer now reported was reached.
    pub(super) fn cause(&mut self, now_us: u64) -> LayerCause {
        let wanted = (self.target.spatial, self.target.temporal);
        let limited = self.limit() != wanted;
        let starved = match &self.choice {
            Choice::Simulcast(s) => s.is_starved(now_us),
            _ => false,
        };
        if starved && self.reported {
            self.moved = false;
            return LayerCause::Starved;
        }
        self.reported = true;
        if self.shed != Shed::Nothing {
            LayerCause::Overload
        } else if self.target.automatic && (limited || self.moved) {
            LayerCause::Bandwidth
        } else {
            LayerCause::Wanted
        }
    }
}
