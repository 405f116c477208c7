//! What the control task asks for.

use super::{Worker, WorkerMessage};
use crate::mdns::Resolver;
use crate::peer::{Peer, PeerCx};
use portunus_plugin::HandleId;
use portunus_plugin::media::MediaCommand;
use portunus_sdp::{Candidate, CandidateAddress};
use std::sync::Arc;
use std::time::Instant;

/// Messages taken before the sockets and the timers have their turn.
const MESSAGES_PER_TURN: usize = 256;

impl Worker {
    // === commands ===

    pub(super) fn take_messages(&mut self, now: Instant) {
        for n in 0.. {
            if n == MESSAGES_PER_TURN {
                self.waker.wake();
                return;
            }
            let Ok(message) = self.inbox.try_recv() else { return };
            match message {
                WorkerMessage::Command(command) => self.on_command(command, now),
                WorkerMessage::RouteFrom { worker, source, sink } => {
                    self.on_route_from(worker, source, &sink, now);
                }
                WorkerMessage::Mirror(message) => self.on_mirror_message(message, now),
                WorkerMessage::Parcel(parcel) => self.on_parcel(parcel, now),
                WorkerMessage::Datagrams(datagrams) => self.on_foreign(datagrams, now),
                WorkerMessage::StunServer(addresses) => self.stun_servers = addresses,
                WorkerMessage::SeenAt(address) => self.ways_out.learn(address, now),
                WorkerMessage::TurnServers(found) => self.on_turn_servers(&found, now),
                WorkerMessage::Resolved(handle, candidate) => {
                    self.on_candidate(handle, Some(*candidate), now)
                }
                #[cfg(feature = "bench")]
                WorkerMessage::Bench(call) => call.carry_out(self, now),
                WorkerMessage::Certificate(dtls) => self.dtls = dtls,
                WorkerMessage::Tune(tuning) => Arc::make_mut(&mut self.settings).tune(tuning),
                WorkerMessage::Stop => self.stopping = true,
            }
        }
    }

    pub(super) fn on_command(&mut self, command: MediaCommand, now: Instant) {
        match command {
            MediaCommand::Negotiate(n) => self.on_negotiate(*n, now),
            MediaCommand::Candidate { handle, candidate } => self.on_candidate(handle, candidate, now),
            MediaCommand::Route { source, sink } => self.on_route(&source, &sink, now),
            MediaCommand::Report { handle, question } => self.on_report(handle, question, now),
            MediaCommand::Capture { handle, tap } => {
                self.with_handle(handle, now, |peer, _| peer.capture(tap));
            }
            MediaCommand::Record { source, tape } => {
                if let Some((key, line)) = self.find_line(source.handle, &source.mid) {
                    self.with_peer(key, now, |peer, cx| peer.record(cx, line, tape, now));
                } else if tape.is_some() {
                    tracing::warn!(handle = %source.handle, mid = source.mid, "recording of a medium that is not there");
                }
            }
            MediaCommand::Withhold { source, withheld } => {
                if let Some((key, line)) = self.find_line(source.handle, &source.mid) {
                    self.with_peer(key, now, |peer, cx| peer.withhold(cx, line, withheld, now));
                }
            }
            MediaCommand::Forward { source, forward } => self.on_forward(&source, *forward, now),
            MediaCommand::StopForward { source, id } => self.on_stop_forward(&source, id),
            MediaCommand::Unroute { sink } => {
                if let Some(to) = self.find_line(sink.handle, &sink.mid) {
                    self.unroute(to);
                }
            }
            MediaCommand::Select { sink, target } => {
                if let Some((key, line)) = self.find_line(sink.handle, &sink.mid) {
                    let now_us = self.clock.micros(now);
                    self.with_peer(key, now, |peer, cx| peer.select(cx, line, target, now_us));
                }
            }
            MediaCommand::Keyframe { source } => {
                if let Some((key, line)) = self.find_line(source.handle, &source.mid) {
                    self.with_peer(key, now, |peer, cx| peer.request_keyframe(cx, line, None, now));
                }
            }
            MediaCommand::Cap { handle, bitrate } => {
                self.with_handle(handle, now, |peer, cx| peer.cap(cx, bitrate));
            }
            MediaCommand::PlayoutDelay { sink, delay } => {
                if let Some((key, line)) = self.find_line(sink.handle, &sink.mid) {
                    self.with_peer(key, now, |peer, _| peer.set_playout_delay(line, delay));
                }
            }
            MediaCommand::WatchAudio { source, watch } => {
                if let Some((key, line)) = self.find_line(source.handle, &source.mid) {
                    self.with_peer(key, now, |peer, _| peer.watch_audio(line, watch));
                }
            }
            MediaCommand::Data { handle, message } => {
                self.with_handle(handle, now, |peer, cx| peer.send_data(cx, &message, now));
            }
            MediaCommand::Hangup { handle, reason } => {
                if let Some(key) = self.by_handle.get(&handle).copied() {
                    self.remove(key, Some(reason), now, true);
                }
            }
            MediaCommand::Forget { handle } => {
                if let Some(key) = self.by_handle.get(&handle).copied() {
                    self.remove(key, None, now, true);
                }
            }
        }
    }

    pub(super) fn with_handle(
        &mut self,
        handle: HandleId,
        now: Instant,
        call: impl FnOnce(&mut Peer, &mut PeerCx<'_>),
    ) {
        if let Some(key) = self.by_handle.get(&handle).copied() {
            self.with_peer(key, now, call);
        }
    }

    pub(super) fn find_line(&self, handle: HandleId, mid: &str) -> Option<(usize, usize)> {
        let key = self.by_handle.get(&handle).copied()?;
        Some((key, self.peers.get(key)?.find_line(mid)?))
    }

    pub(super) fn on_candidate(&mut self, handle: HandleId, candidate: Option<Candidate>, now: Instant) {
        if let Some(c) = &candidate
            && matches!(c.address, CandidateAddress::Mdns(_))
        {
            if !self.settings.ignore_mdns {
                self.resolve(handle, c.clone());
            }
            return;
        }
        self.with_handle(handle, now, |peer, cx| peer.add_candidate(cx, candidate.as_ref(), now));
    }

    fn resolve(&mut self, handle: HandleId, candidate: Candidate) {
        let Some(mailbox) = self.others.get(self.index).cloned() else { return };
        let resolver = self.resolver.get_or_insert_with(|| {
            Resolver::start(move |handle, candidate| {
                let _ = mailbox.try_send(WorkerMessage::Resolved(handle, Box::new(candidate)));
            })
        });
        resolver.resolve(handle, candidate);
    }
}
