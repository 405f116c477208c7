//! Data channels: SCTP inside DTLS, made only when an m-line asks for it.

use super::forwarded::send_message_out;
use super::recorded::put_message_on_tape;
use super::{Peer, PeerCx};
use crate::dtls::Role;
use crate::sctp::{Sctp, SctpEvent};
use portunus_plugin::media::{DataMessage, MediaEvent, Tapped};
use portunus_plugin::report::Traffic;
use std::time::Instant;

/// Events that may wait for the control task while data messages, of up to 256 KiB each, are added to them.
const MAX_WAITING: usize = 256;

impl Peer {
    /// Starts SCTP when it is negotiated and DTLS is up.
    pub(super) fn start_sctp(&mut self, cx: &mut PeerCx<'_>, now: Instant) {
        let (Some(port), None) = (self.sctp_port, &self.sctp) else { return };
        let Some(dtls) = self.dtls.as_ref().filter(|d| d.is_connected()) else { return };
        self.sctp = Some(Sctp::new(dtls.role() == Role::Client, port, now));
        self.drive_sctp(cx, now);
    }

    pub(super) fn handle_sctp(&mut self, cx: &mut PeerCx<'_>, bytes: &[u8], now: Instant) {
        let Some(sctp) = &mut self.sctp else {
            self.refused.early += 1;
            return;
        };
        sctp.handle_packet(now, bytes);
        self.drive_sctp(cx, now);
    }

    pub(super) fn drive_sctp(&mut self, cx: &mut PeerCx<'_>, now: Instant) {
        let Some(sctp) = &mut self.sctp else { return };
        self.stirred = true;
        sctp.handle_timeout(now);
        while let Some(event) = sctp.poll_event() {
            match event {
                SctpEvent::Ready => cx.events.push_back((self.handle, MediaEvent::DataReady)),
                SctpEvent::Message { label, protocol, binary, payload } => {
                    count(&mut self.data_in, &payload);
                    if let Some(tap) = &self.tap {
                        tap.packet(true, Tapped::Data(&payload));
                    }
                    put_message_on_tape(&self.lines, &payload, now);
                    let (sent, refused) = send_message_out(&self.lines, cx.egress, &payload);
                    self.forwarded += sent;
                    self.refused.no_room += refused;
                    let message = DataMessage { label, protocol, binary, payload };
                    // The control task is far behind: what is lost here is counted, not kept.
                    if cx.events.len() < MAX_WAITING {
                        cx.events.push_back((self.handle, MediaEvent::Data(message)));
                    } else {
                        self.refused.no_room += 1;
                    }
                }
                _ => {}
            }
        }
        let Some(dtls) = &mut self.dtls else { return };
        while let Some(packet) = sctp.poll_transmit(now) {
            if let Err(error) = dtls.send_data(now, &packet) {
                tracing::debug!(handle = %self.handle, %error, "SCTP packet not sent");
            }
        }
        self.drain_dtls(cx, now);
    }

    pub(crate) fn send_data(&mut self, cx: &mut PeerCx<'_>, message: &DataMessage, now: Instant) {
        let Some(sctp) = &mut self.sctp else { return };
        if let Err(error) =
            sctp.send(now, &message.label, &message.protocol, message.binary, &message.payload)
        {
            tracing::debug!(handle = %self.handle, %error, "data message not sent");
        } else {
            count(&mut self.data_out, &message.payload);
            if let Some(tap) = &self.tap {
                tap.packet(false, Tapped::Data(&message.payload));
            }
        }
        self.drive_sctp(cx, now);
    }
}

fn count(traffic: &mut Traffic, payload: &[u8]) {
    traffic.packets += 1;
    traffic.bytes += u64::try_from(payload.len()).unwrap_or(0);
}
