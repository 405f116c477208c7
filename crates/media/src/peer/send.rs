//! RTP that goes out: chosen, numbered, rewritten, sealed, remembered.

use super::bandwidth::number_of;
use super::line::{Choice, Layout, Shed, Sink};
use super::{Feeder, Peer, PeerCx, Ready, Srtp};
use crate::egress::Egress;
use portunus_plugin::media::{LayerChange, LayerTarget, MediaEvent, PlayoutDelay};
use portunus_rtp::codec::dependency::DependencyStructure;
use portunus_rtp::extension;
use portunus_rtp::layers::{LayerEvent, Verdict};
use portunus_rtp::mapping::Dropped;
use portunus_rtp::packet::RtpView;
use portunus_rtp::store::{Resend as Entry, Sent};
use portunus_rtp::write::{Rewrite, RtxTarget, SourcePacket, Stamp, write_packet, write_padding, write_rtx};
use portunus_srtp::{Error as SrtpError, PacketIndex, rtp_header_len};
use std::time::Instant;

/// A packet that a receiver asked for again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resend {
    /// What it came from, and its line.
    pub(crate) source: Feeder,
    pub(crate) source_line: usize,
    /// The line it goes to.
    pub(crate) line: usize,
    pub(crate) entry: Entry,
    /// Nobody asked for it.
    pub(crate) probe: bool,
}

impl Peer {
    /// Sends one packet of a source to the sink of `line`, if the sink wants it.
    pub(crate) fn send_rtp(
        &mut self,
        cx: &mut PeerCx<'_>,
        line: usize,
        (packet, shed): (&Ready, Shed),
        structure: Option<&DependencyStructure>,
        bytes: &[u8],
        now: Instant,
    ) {
        if self.open_path().is_none() {
            return;
        }
        let now_us = cx.clock.micros(now);
        let Ok(view) = RtpView::with_header(bytes, packet.header) else { return };
        match self.choose(cx, line, (packet, shed), structure, now_us) {
            // Padding is the publisher's probing: it stops here.
            Verdict::Forward { set_marker } if !view.payload().is_empty() => {
                let marker = packet.header.marker || set_marker;
                if self.paced {
                    self.send_waiting(cx, now);
                }
                if !self.try_hold(line, packet, Some((marker, bytes)), now_us) {
                    self.transmit(cx, line, packet, marker, bytes, (now, now_us));
                }
            }
            Verdict::Forward { .. } | Verdict::Discard => {
                if !self.try_hold(line, packet, None, now_us) {
                    self.leave_out(cx, line, packet, now_us);
                }
            }
            Verdict::Ignore => {}
        }
    }

    /// Numbers, rewrites, seals and sends a packet that was chosen.
    #[inline(always)]
    pub(super) fn transmit(
        &mut self,
        cx: &mut PeerCx<'_>,
        line: usize,
        packet: &Ready,
        marker: bool,
        bytes: &[u8],
        (now, now_us): (Instant, u64),
    ) {
        let Some(path) = self.open_path() else { return };
        let Ok(view) = RtpView::with_header(bytes, packet.header) else { return };
        let arrival = packet.arrival();
        let Some(l) = self.lines.get_mut(line) else { return };
        if !l.send {
            return;
        }
        let payload_type = if packet.main { l.payload_types.main } else { packet.header.payload_type };
        let Some(sink) = &mut l.sink else { return };
        let Some(mapped) = sink.stream.try_map(&arrival, now_us) else { return };
        let rewrite = Rewrite {
            ssrc: sink.ssrc,
            payload_type,
            sequence: mapped.sequence,
            timestamp: mapped.timestamp,
            marker,
            payload: mapped.payload,
            frame_number: mapped.frame_number,
        };
        let abs_send_time = extension::abs_send_time(now_us);
        let stamp = Stamp { transport_cc: self.transport_sequence, abs_send_time, padding: packet.padding };
        let Some(srtp) = &mut self.srtp else { return };
        let source = SourcePacket { view, extensions: packet.extensions };
        let room = cx.egress.room();
        let Ok(len) = write_packet(room, &source, &rewrite, &stamp, &sink.extensions) else {
            self.refused.no_room += 1;
            return;
        };
        let Some(sealed) = seal(srtp, sink, room, len, l.kind == portunus_sdp::MediaKind::Video) else {
            return;
        };
        cx.egress.commit(sealed, path);
        let number = number_of(sink, &mut self.transport_sequence);
        if let Some(bandwidth) = &mut self.bandwidth {
            bandwidth.on_sent(number, sealed, now_us);
            if self.paced {
                bandwidth.on_spent(sealed, !sink.target.automatic, now_us);
            }
        }
        sink.count(view.payload().len(), mapped.timestamp, now);
        if l.feedback.nack {
            if packet.info.keyframe && cx.settings.nack_optimizations {
                sink.index.clear();
            }
            let sent = Sent {
                index: mapped.index,
                source: packet.id,
                source_sequence: packet.sequence,
                rewrite: &rewrite,
                stamp: &stamp,
                revision: sink.extensions.revision(),
                len,
            };
            sink.index.record(&sent, now_us);
        }
    }

    /// Whether the sink takes the packet.
    fn choose(
        &mut self,
        cx: &mut PeerCx<'_>,
        line: usize,
        (packet, shed): (&Ready, Shed),
        structure: Option<&DependencyStructure>,
        now_us: u64,
    ) -> Verdict {
        let Some(sink) = self.lines.get_mut(line).and_then(|l| l.sink.as_mut()) else {
            return Verdict::Ignore;
        };
        if sink.shed != shed {
            self.wanted_keyframes.extend(sink.leave_out(shed));
        }
        let verdict = match sink.choice {
            Choice::All => Verdict::FORWARD,
            _ => sink.choice.on_packet(packet, structure, now_us),
        };
        let verdict = match verdict {
            Verdict::Forward { .. } if sink.torn && !sink.is_of_keyframe(packet) => {
                self.refused.overload += 1;
                Verdict::Discard
            }
            verdict => verdict,
        };
        if !matches!(sink.choice, Choice::All) {
            self.report_layers(cx, line, now_us);
        }
        verdict
    }

    /// A packet of the source in force that this sink does not get.
    pub(super) fn leave_out(&mut self, cx: &mut PeerCx<'_>, line: usize, packet: &Ready, now_us: u64) {
        let Some(path) = self.open_path() else { return };
        let Some(l) = self.lines.get_mut(line) else { return };
        let main = l.payload_types.main;
        let is_video = l.is_video();
        let Some(sink) = &mut l.sink else { return };
        let Dropped::Hole { index, timestamp } = sink.stream.on_drop(&packet.arrival()) else { return };
        // Later packets have left already: an empty packet spares the receiver a NACK nobody can answer.
        let Some(srtp) = &mut self.srtp else { return };
        let rewrite = Rewrite {
            ssrc: sink.ssrc,
            payload_type: main,
            sequence: PacketIndex::new(index).map_or(0, PacketIndex::seq),
            timestamp,
            marker: false,
            payload: portunus_rtp::codec::PayloadRewrite::Keep,
            frame_number: None,
        };
        let stamp = Stamp {
            transport_cc: self.transport_sequence,
            abs_send_time: extension::abs_send_time(now_us),
            padding: 1,
        };
        let room = cx.egress.room();
        if let Ok(len) = write_padding(room, &rewrite, &stamp, &sink.extensions)
            && let Some(sealed) = seal(srtp, sink, room, len, is_video)
        {
            cx.egress.commit(sealed, path);
            let number = number_of(sink, &mut self.transport_sequence);
            if let Some(bandwidth) = &mut self.bandwidth {
                bandwidth.on_sent(number, sealed, now_us);
                if self.paced {
                    bandwidth.on_spent(sealed, !sink.target.automatic, now_us);
                }
            }
        }
    }

    /// Tells what a selector decided.
    pub(super) fn report_layers(&mut self, cx: &mut PeerCx<'_>, line: usize, now_us: u64) {
        let Some(l) = self.lines.get_mut(line) else { return };
        let Some(codec) = l.codec else { return };
        let Some(sink) = &mut l.sink else { return };
        let mut svc_changed = false;
        loop {
            let event = match &mut sink.choice {
                Choice::All => None,
                Choice::Simulcast(s) => s.poll_event(),
                Choice::Svc(s) => s.poll_event(),
            };
            let simulcast = matches!(sink.choice, Choice::Simulcast(_));
            let change = match event {
                None => break,
                Some(LayerEvent::SubstreamChanged(n)) => LayerChange::Substream(n),
                Some(LayerEvent::TemporalChanged(n)) if simulcast => LayerChange::Temporal(n),
                Some(LayerEvent::SpatialChanged(_) | LayerEvent::TemporalChanged(_)) => {
                    svc_changed = true;
                    continue;
                }
                Some(LayerEvent::NeedKeyframe { substream }) => {
                    if let Some((peer, line)) = sink.from {
                        self.wanted_keyframes.push((peer, line, simulcast.then_some(substream)));
                    }
                    continue;
                }
            };
            let event = MediaEvent::Layer {
                mid: l.mid.clone(),
                codec: codec.janus_name(),
                change,
                cause: sink.cause(now_us),
            };
            cx.events.push_back((self.handle, event));
        }
        if let (true, Choice::Svc(s)) = (svc_changed, &sink.choice) {
            let (spatial, temporal) = (s.spatial().unwrap_or(0), s.temporal().unwrap_or(0));
            let change = LayerChange::Svc { spatial, temporal };
            let cause = sink.cause(now_us);
            let event = MediaEvent::Layer { mid: l.mid.clone(), codec: codec.janus_name(), change, cause };
            cx.events.push_back((self.handle, event));
        }
    }

    // === what plugins decide ===

    /// The sink of `line` is fed by this source from now on.
    pub(crate) fn set_source(&mut self, line: usize, from: (Feeder, usize), layout: Option<Layout>) {
        self.stirred = true;
        self.forget_waiting(line);
        if let Some(sink) = self.lines.get_mut(line).and_then(|l| l.sink.as_mut()) {
            sink.from = Some(from);
            sink.stream.pause();
            sink.set_layout(layout);
        }
        self.update_automatic();
    }

    /// Now that packets have somewhere to go, they should begin with a keyframe.
    pub(super) fn wish_keyframes(&mut self) {
        let sinks = self.lines.iter().filter(|l| l.send && l.is_video()).filter_map(|l| l.sink.as_ref());
        let wishes = sinks.filter_map(|s| s.from).map(|(feeder, line)| (feeder, line, None));
        self.wanted_keyframes.extend(wishes);
    }

    /// What feeds the sink of `line` has another layout from now on.
    pub(crate) fn set_source_layout(&mut self, line: usize, layout: Option<Layout>) {
        if let Some(sink) = self.lines.get_mut(line).and_then(|l| l.sink.as_mut()) {
            sink.set_layout(layout);
        }
    }

    /// Nothing feeds the sink of `line` any more; returns what did.
    pub(crate) fn clear_source(&mut self, line: usize) -> Option<(Feeder, usize)> {
        self.forget_waiting(line);
        let sink = self.lines.get_mut(line)?.sink.as_mut()?;
        sink.stream.pause();
        sink.from.take()
    }

    pub(crate) fn select(&mut self, cx: &mut PeerCx<'_>, line: usize, target: LayerTarget, now_us: u64) {
        self.stirred = true;
        if let Some(sink) = self.lines.get_mut(line).and_then(|l| l.sink.as_mut()) {
            sink.want(target);
        }
        self.update_automatic();
        self.report_layers(cx, line, now_us);
    }

    pub(crate) fn set_playout_delay(&mut self, line: usize, delay: Option<PlayoutDelay>) {
        if let Some(sink) = self.lines.get_mut(line).and_then(|l| l.sink.as_mut()) {
            let delay = delay.map(|d| extension::PlayoutDelay { min: d.min, max: d.max });
            sink.extensions.set_playout_delay(delay);
        }
    }

    // === retransmission ===

    /// Sends again a packet that is stored elsewhere: by another peer, or by a mirror.
    pub(crate) fn resend(
        &mut self,
        egress: &mut Egress,
        r: &Resend,
        stored: Option<SourcePacket<'_>>,
        now_us: u64,
    ) {
        if let Some(packet) = stored {
            self.write_resend(egress, r, &packet, now_us);
        }
    }

    /// Sends again a packet that came from this very peer (echo).
    pub(crate) fn resend_own(&mut self, egress: &mut Egress, r: &Resend, now_us: u64) {
        let mut copy = [0; portunus_rtp::packet::MAX_PACKET];
        let Some(packet) = self.stored(r, now_us) else { return };
        let (bytes, header, extensions) = (packet.view.bytes(), *packet.view.header(), packet.extensions);
        let Some(room) = copy.get_mut(..bytes.len()) else { return };
        room.copy_from_slice(bytes);
        if let Ok(view) = RtpView::with_header(room, header) {
            self.write_resend(egress, r, &SourcePacket { view, extensions }, now_us);
        }
    }

    /// A packet that came from this peer.
    pub(crate) fn stored(&self, r: &Resend, now_us: u64) -> Option<SourcePacket<'_>> {
        let line = self.lines.get(r.source_line)?;
        let source = line.sources.iter().find(|s| s.id == r.entry.source)?;
        source.store.as_ref()?.get_low(r.entry.source_sequence, now_us)
    }

    fn write_resend(&mut self, egress: &mut Egress, r: &Resend, packet: &SourcePacket<'_>, now_us: u64) {
        let Some(path) = self.open_path() else { return };
        let Some(l) = self.lines.get_mut(r.line) else { return };
        let (Some(sink), Some(srtp)) = (&mut l.sink, &mut self.srtp) else { return };
        let room = egress.room();
        if let Some(payload_type) = l.payload_types.rtx {
            let rtx = RtxTarget { ssrc: sink.rtx_ssrc, payload_type, sequence: sink.rtx_sequence };
            let abs_send_time = extension::abs_send_time(now_us);
            let stamp = Stamp { transport_cc: self.transport_sequence, abs_send_time, padding: 0 };
            let Ok(len) = write_rtx(room, packet, &r.entry.rewrite, &rtx, &stamp, &sink.extensions) else {
                return;
            };
            let Some(sealed) = seal_rtx(srtp, sink, room, len) else { return };
            sink.rtx_sequence = sink.rtx_sequence.wrapping_add(1);
            egress.commit(sealed, path);
            let number = number_of(sink, &mut self.transport_sequence);
            if let Some(bandwidth) = &mut self.bandwidth {
                bandwidth.on_sent(number, sealed, now_us);
                if self.paced {
                    bandwidth.on_spent(sealed, !r.probe && !sink.target.automatic, now_us);
                }
            }
            if r.probe {
                return;
            }
        } else {
            // The same packet, byte for byte (law 7): its stamp is the old one.
            let written = write_packet(room, packet, &r.entry.rewrite, &r.entry.stamp, &sink.extensions);
            let (Ok(len), Some(index), Some(state)) = (written, PacketIndex::new(r.entry.index), &sink.state)
            else {
                return;
            };
            let Ok(header_len) = rtp_header_len(room.get(..len).unwrap_or_default()) else { return };
            srtp.show(room, len);
            if let Ok(sealed) = srtp.sealer.reprotect_rtp(state, index, header_len, room, len) {
                egress.commit(sealed, path);
            }
        }
        sink.resent += 1;
    }
}

impl Sink {
    /// Its worker leaves out more, or less, from now on. What is wanted for that is a keyframe, perhaps.
    fn leave_out(&mut self, shed: Shed) -> Option<(Feeder, usize, Option<u8>)> {
        self.shed = shed;
        self.aim();
        if shed == Shed::Frames {
            self.torn = true;
        } else if self.torn {
            return self.from.map(|(feeder, line)| (feeder, line, self.substream()));
        }
        None
    }

    /// Of a stream with holes: whether a packet belongs to a picture that is whole.
    fn is_of_keyframe(&mut self, packet: &Ready) -> bool {
        if packet.info.keyframe {
            self.whole = Some(packet.header.timestamp);
            self.torn = self.shed == Shed::Frames;
        }
        self.whole == Some(packet.header.timestamp)
    }
}

/// Seals a media packet; one that reached us late fills the gap it left.
fn seal(srtp: &mut Srtp, sink: &mut Sink, room: &mut [u8], len: usize, is_video: bool) -> Option<usize> {
    if sink.state.is_none() {
        sink.state = srtp.sealer.claim(sink.ssrc, Sink::kept(is_video)).ok();
    }
    let state = sink.state.as_mut()?;
    let header_len = rtp_header_len(room.get(..len)?).ok()?;
    srtp.show(room, len);
    match srtp.sealer.protect_rtp_with(state, header_len, room, len) {
        Err(SrtpError::IndexNotAscending) => srtp.sealer.protect_late_rtp(state, header_len, room, len).ok(),
        other => other.ok(),
    }
}

pub(super) fn seal_rtx(srtp: &mut Srtp, sink: &mut Sink, room: &mut [u8], len: usize) -> Option<usize> {
    if sink.rtx_state.is_none() {
        sink.rtx_state = srtp.sealer.claim(sink.rtx_ssrc, 0).ok();
    }
    let state = sink.rtx_state.as_mut()?;
    let header_len = rtp_header_len(room.get(..len)?).ok()?;
    srtp.show(room, len);
    srtp.sealer.protect_rtp_with(state, header_len, room, len).ok()
}
