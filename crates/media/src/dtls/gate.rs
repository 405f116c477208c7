//! What stands between the network and rtc-dtls: admits, reorders and reassembles records.
//!
//! rtc-dtls 0.21.1 stops its retransmission timer when a flight arrives in part, reassembles up to 2 MB by recursion
//! over fragments, swallows a message that follows a fragment in one record, queues records of the next epoch without
//! limit and resets nothing but its patience on a repeated ClientHello. So it is given whole messages only, in order, a
//! whole flight at a time, each once.
//!
//! Invariants
//! - At most [`MAX_HANDSHAKE_BYTES`] of handshake are ever held or handed over, at most [`MAX_HELD_BYTES`] of
//!   encrypted records wait for keys.
//! - Once the handshake is over nothing of epoch 0 passes (no ClientHello resets an association, no plaintext
//!   application data or alert is believed).
//! - Deliberately absent: renegotiation, resumption, anything beyond epoch 1.

use bytes::BytesMut;

use super::Role;
use super::record::{
    ALERT, APPLICATION_DATA, CERTIFICATE, CERTIFICATE_VERIFY, CHANGE_CIPHER_SPEC, CLIENT_HELLO,
    CLIENT_KEY_EXCHANGE, Fragment, Fragments, HANDSHAKE, HELLO_VERIFY_REQUEST, Reader, Record, Records,
    SERVER_HELLO_DONE, handshake_message, write_record,
};

/// All handshake messages of one association together.
pub(super) const MAX_HANDSHAKE_BYTES: usize = 64 * 1024;
/// Encrypted records that arrive before the keys they need.
pub(super) const MAX_HELD_BYTES: usize = 16 * 1024;
/// How far ahead of the next message a fragment may be.
const MAX_AHEAD: u16 = 16;
/// Disjoint pieces of one message.
const MAX_PIECES: usize = 64;
/// A handshake record holds one whole message with its header.
const MAX_MESSAGE: usize = 65_535 - super::record::HANDSHAKE_HEADER;
/// Repeated first ClientHellos answered with another HelloVerifyRequest.
const MAX_HELLO_REPEATS: u8 = 32;
/// Encrypted handshake records let through to an established server: the client repeats its Finished if ours was lost.
const MAX_LATE_HANDSHAKES: u8 = 16;
/// Encrypted bytes let through between the last flight and the end of the handshake.
const MAX_UNCONFIRMED_BYTES: usize = 64 * 1024;

/// What one datagram came to.
#[derive(Default)]
pub(super) struct Admitted {
    /// Records for the engine; empty when there is nothing to hand over.
    pub(super) feed: BytesMut,
    /// The peer repeats a flight we have answered: it misses our answer.
    pub(super) repeat: bool,
    /// The peer's plaintext alert (level, description), before keys exist.
    pub(super) alert: Option<(u8, u8)>,
    /// Whether `feed` contains an encrypted alert.
    pub(super) encrypted_alert: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Plaintext flights are being collected.
    Flights,
    /// The peer's last flight was handed over; its Finished is not confirmed yet.
    Final,
    /// The handshake is over.
    Established,
}

struct Message {
    kind: u8,
    sequence: u16,
    body: Vec<u8>,
}

pub(super) struct Gate {
    role: Role,
    stage: Stage,
    /// The next message to become complete, and the next to be handed over.
    next_sequence: u16,
    next_fed: u16,
    partial: Vec<Partial>,
    flight: Vec<Message>,
    held: BytesMut,
    finished_held: bool,
    handshake_bytes: usize,
    unconfirmed_bytes: usize,
    /// Server: the first ClientHello's body, and how many hellos were handed over.
    first_hello: Vec<u8>,
    hellos: u8,
    hello_repeats: u8,
    late_handshakes: u8,
    /// Numbers the plaintext records we write for the engine.
    record_number: u64,
    dropped: u64,
}

impl Gate {
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            stage: Stage::Flights,
            next_sequence: 0,
            next_fed: 0,
            partial: Vec::new(),
            flight: Vec::new(),
            held: BytesMut::new(),
            finished_held: false,
            handshake_bytes: 0,
            unconfirmed_bytes: 0,
            first_hello: Vec::new(),
            hellos: 0,
            hello_repeats: 0,
            late_handshakes: 0,
            record_number: 0,
            dropped: 0,
        }
    }

    /// Takes one datagram.
    pub(super) fn handle_datagram(&mut self, datagram: &[u8]) -> Admitted {
        let mut admitted = Admitted::default();
        let mut taken = 0;
        for record in Records(datagram) {
            taken += record.raw.len();
            self.handle_record(record, &mut admitted);
        }
        if taken != datagram.len() {
            self.dropped += 1;
        }
        self.on_collected(&mut admitted);
        admitted
    }

    /// The body of the first ClientHello, once it is whole.
    pub(super) fn first_hello(&self) -> &[u8] {
        &self.first_hello
    }

    /// Whether the engine waits for the ClientHello that returns its cookie; it has nothing to retransmit then.
    pub(super) fn awaits_cookie(&self) -> bool {
        self.role == Role::Server && self.hellos == 1
    }

    /// The engine has confirmed the peer's Finished.
    pub(super) fn on_established(&mut self) {
        self.stage = Stage::Established;
        self.partial = Vec::new();
        self.flight = Vec::new();
        self.held = BytesMut::new();
        self.first_hello = Vec::new();
    }

    /// Records and fragments refused so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn handle_record(&mut self, record: Record<'_>, admitted: &mut Admitted) {
        let admit = match (self.stage, record.epoch, record.content) {
            (Stage::Flights, 0, HANDSHAKE) => {
                for fragment in Fragments(record.body) {
                    self.handle_fragment(fragment, admitted);
                }
                return;
            }
            (Stage::Final, 0, HANDSHAKE) => {
                let mut repeats = Fragments(record.body).map(|fragment| fragment.sequence < self.next_fed);
                admitted.repeat |= repeats.any(|repeat| repeat);
                return;
            }
            (Stage::Flights, 0, ALERT) => {
                // A warning other than close_notify has no consequence, so only the last alert counts.
                admitted.alert =
                    record.body.first_chunk::<2>().map(|[level, kind]| (*level, *kind)).or(admitted.alert);
                return;
            }
            // The one byte of ChangeCipherSpec tells nothing an encrypted record does not, and it may be lost: see `feed`.
            (_, _, CHANGE_CIPHER_SPEC) => return,
            (Stage::Flights, 1, _) => return self.hold(record),
            (Stage::Final, 1, _) => {
                self.unconfirmed_bytes += record.raw.len();
                self.unconfirmed_bytes <= MAX_UNCONFIRMED_BYTES
            }
            (Stage::Established, 1, ALERT | APPLICATION_DATA) => true,
            (Stage::Established, 1, HANDSHAKE) => {
                // A client answering a repeated Finished would make both sides repeat theirs for ever.
                let late = self.role == Role::Server && self.late_handshakes < MAX_LATE_HANDSHAKES;
                self.late_handshakes = self.late_handshakes.saturating_add(1);
                late
            }
            _ => false,
        };
        if admit {
            admitted.encrypted_alert |= record.content == ALERT;
            admitted.feed.extend_from_slice(record.raw);
        } else {
            self.dropped += 1;
        }
    }

    fn handle_fragment(&mut self, fragment: Fragment<'_>, admitted: &mut Admitted) {
        if fragment.sequence < self.next_sequence {
            if fragment.sequence < self.next_fed {
                self.on_repeat(fragment, admitted);
            }
            return;
        }
        let ahead = fragment.sequence - self.next_sequence;
        let known = self.partial.iter().position(|partial| partial.sequence == fragment.sequence);
        let partial = match known.and_then(|at| self.partial.get_mut(at)) {
            Some(partial) => partial,
            None => {
                let total = self.handshake_bytes + fragment.length;
                if ahead >= MAX_AHEAD || fragment.length > MAX_MESSAGE || total > MAX_HANDSHAKE_BYTES {
                    self.dropped += 1;
                    return;
                }
                self.handshake_bytes = total;
                self.partial.push(Partial::new(&fragment));
                let Some(partial) = self.partial.last_mut() else { return };
                partial
            }
        };
        if !partial.insert(&fragment) {
            self.dropped += 1;
        }
        self.collect();
    }

    /// Moves what is whole and next in order into the flight.
    fn collect(&mut self) {
        while let Some(at) = self
            .partial
            .iter()
            .position(|partial| partial.sequence == self.next_sequence && partial.is_whole())
        {
            let Partial { kind, sequence, body, .. } = self.partial.swap_remove(at);
            if kind == CLIENT_HELLO && sequence == 0 {
                self.first_hello.clone_from(&body);
            }
            self.flight.push(Message { kind, sequence, body });
            self.next_sequence = self.next_sequence.saturating_add(1);
        }
    }

    fn on_repeat(&mut self, fragment: Fragment<'_>, admitted: &mut Admitted) {
        let first_hello = self.awaits_cookie() && fragment.sequence == 0;
        if !first_hello {
            admitted.repeat = true;
        } else if fragment.offset == 0 && self.hello_repeats < MAX_HELLO_REPEATS {
            // Only the hello itself makes the engine send its HelloVerifyRequest again.
            self.hello_repeats += 1;
            let hello = Message { kind: CLIENT_HELLO, sequence: 0, body: self.first_hello.clone() };
            self.write_message(&hello, &mut admitted.feed);
        }
    }

    fn hold(&mut self, record: Record<'_>) {
        if self.held.len() + record.raw.len() > MAX_HELD_BYTES {
            self.dropped += 1;
            if record.content != HANDSHAKE || self.finished_held {
                return;
            }
            // Early application data must not keep out the Finished everything waits for.
            self.held.clear();
        }
        self.finished_held |= record.content == HANDSHAKE;
        self.held.extend_from_slice(record.raw);
    }

    /// Hands the flight over if it is whole.
    fn on_collected(&mut self, admitted: &mut Admitted) {
        if self.stage != Stage::Flights {
            return;
        }
        let ends = match self.role {
            Role::Server => self.client_flight_end(),
            Role::Client => self.server_flight_end(),
        };
        let Some(last) = ends else { return };
        for message in std::mem::take(&mut self.flight) {
            self.hellos += u8::from(message.kind == CLIENT_HELLO);
            self.next_fed = message.sequence.saturating_add(1);
            self.write_message(&message, &mut admitted.feed);
        }
        if last {
            // The ChangeCipherSpec may have been lost on its own; the encrypted record behind it proves it was sent.
            write_record(&mut admitted.feed, CHANGE_CIPHER_SPEC, self.record_number, &[1]);
            self.record_number += 1;
            admitted.feed.extend_from_slice(&std::mem::take(&mut self.held));
            self.stage = Stage::Final;
        }
    }

    /// `Some(last flight?)` when a flight of the client is whole.
    fn client_flight_end(&self) -> Option<bool> {
        let has = |kind| self.flight.iter().find(|message| message.kind == kind);
        if self.hellos < 2 {
            return has(CLIENT_HELLO).map(|_| false);
        }
        has(CLIENT_KEY_EXCHANGE)?;
        let signed = has(CERTIFICATE).is_none_or(|message| message.body.len() <= 3)
            || has(CERTIFICATE_VERIFY).is_some();
        (signed && self.finished_held).then_some(true)
    }

    /// `Some(last flight?)` when a flight of the server is whole.
    fn server_flight_end(&self) -> Option<bool> {
        match self.flight.last() {
            Some(message) => {
                matches!(message.kind, HELLO_VERIFY_REQUEST | SERVER_HELLO_DONE).then_some(false)
            }
            None => (self.finished_held && self.next_fed > 1).then_some(true),
        }
    }

    fn write_message(&mut self, message: &Message, out: &mut BytesMut) {
        // rtc-dtls allocates what the lengths inside claim, so they are checked before.
        if message.kind == CERTIFICATE && !is_certificate_list(&message.body) {
            self.dropped += 1;
            return;
        }
        if let Some(bytes) = handshake_message(message.kind, message.sequence, &message.body) {
            write_record(out, HANDSHAKE, self.record_number, &bytes);
            self.record_number += 1;
        }
    }
}

fn is_certificate_list(body: &[u8]) -> bool {
    let mut reader = Reader(body);
    if reader.u24() != Some(reader.0.len()) {
        return false;
    }
    while !reader.0.is_empty() {
        if reader.u24().and_then(|length| reader.take(length)).is_none() {
            return false;
        }
    }
    true
}

/// A message being put together.
struct Partial {
    kind: u8,
    sequence: u16,
    body: Vec<u8>,
    /// What is there: sorted, disjoint, non-adjacent.
    pieces: Vec<(usize, usize)>,
}

impl Partial {
    fn new(fragment: &Fragment<'_>) -> Self {
        let (kind, sequence) = (fragment.kind, fragment.sequence);
        Self { kind, sequence, body: vec![0; fragment.length], pieces: Vec::new() }
    }

    /// Takes a fragment; false if it contradicts the message or scatters it too much.
    fn insert(&mut self, fragment: &Fragment<'_>) -> bool {
        if fragment.kind != self.kind || fragment.length != self.body.len() {
            return false;
        }
        let (mut start, mut end) = (fragment.offset, fragment.offset + fragment.bytes.len());
        let Some(room) = self.body.get_mut(start..end) else { return false };
        let touching = |piece: &(usize, usize)| piece.0 <= end && start <= piece.1;
        if self.pieces.len() >= MAX_PIECES && !self.pieces.iter().any(touching) {
            return false;
        }
        room.copy_from_slice(fragment.bytes);
        self.pieces.retain(|&(from, to)| {
            let apart = from > end || start > to;
            if !apart {
                start = start.min(from);
                end = end.max(to);
            }
            apart
        });
        self.pieces.push((start, end));
        true
    }

    fn is_whole(&self) -> bool {
        self.pieces.contains(&(0, self.body.len()))
    }
}
