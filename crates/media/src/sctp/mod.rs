//! Data channels of one peer: SCTP over DTLS (RFC 8261, RFC 8831, RFC 8832).
//!
//! [`Sctp`] is sans-I/O and told the time. It is made only when data channels are negotiated and DTLS is up. It wraps
//! rtc-sctp behind a narrow face; [`guard`] says what is kept from that crate.
//!
//! Who connects: browsers, usrsctp and libdatachannel always send INIT, aiortc and rtc-sctp only on one side, and
//! rtc-sctp cannot answer an INIT while its own is out. So the DTLS client connects at once and answers the peer's INIT
//! by repeating its own, which every stack must accept (RFC 9260 section 5.2.1); the DTLS server waits for an INIT,
//! connects itself after [`PATIENCE`], and gives its own attempt up if an INIT comes after all.
//!
//! Invariants
//! - Streams, channels, labels, message sizes and both buffers are bounded; what does not fit is dropped and counted.
//! - [`SctpEvent::Ready`] comes once and before any other event; after [`SctpEvent::Lost`] nothing comes.
//!
//! Deliberately absent: channels negotiated without the opening handshake, I-DATA, priorities.

mod canon;
mod channels;
mod guard;
mod packet;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc_sctp::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, EndpointEvent,
    Event, Payload, PayloadProtocolIdentifier as Protocol, ReliabilityType, ServerConfig, StreamEvent,
    TimerConfig, TransportConfig,
};
use rtc_shared::TransportProtocol;

use channels::{Channel, Channels, Dcep, MAX_LABEL, Open, Reliability};
use guard::{Guard, MAX_STREAMS, RECEIVE_WINDOW};

pub use guard::Violation;

/// Our SCTP port; it is in our SDP.
const LOCAL_PORT: u16 = 5000;
/// Largest message in either direction, in bytes.
pub(crate) const MAX_MESSAGE: usize = 256 * 1024;
/// What may wait to be sent or acknowledged, over all channels, in bytes.
pub(crate) const MAX_BUFFERED: usize = 1024 * 1024;
/// The label of the channel a message without a label goes to, as with Janus.
pub(crate) const DEFAULT_LABEL: &str = "JanusDataChannel";
/// How long a DTLS server waits for the peer's INIT.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often the time between attempts doubles when the peer refuses: up to 32 s.
const MAX_BACKOFF: u32 = 6;
/// DATA packets sent at once, and the time until the next as many: 150 Mbit/s. rtc-sctp sends all its window allows in
/// one go, which is more than the receive buffer of a browser's socket holds, and then waits a second to repair it.
const BURST: usize = 32;
const BURST_INTERVAL: Duration = Duration::from_millis(2);
/// rtc-sctp keys associations by address; there is only one.
const KEY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// Why a message was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SctpError {
    /// The association is not up.
    #[error("SCTP is not connected")]
    NotConnected,
    /// More than 256 KiB.
    #[error("data channel message too long")]
    MessageTooLong,
    /// Label or protocol of more than 1024 bytes.
    #[error("data channel label too long")]
    LabelTooLong,
    /// The peer does not read as fast as we write; the message is dropped.
    #[error("data channel buffer full")]
    BufferFull,
    /// No channel or stream is left to open.
    #[error("too many data channels")]
    TooManyChannels,
    /// rtc-sctp refused.
    #[error("SCTP: {0}")]
    Engine(String),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SctpEvent {
    /// The association is up: messages can be sent.
    Ready,
    /// The peer opened a channel, or acknowledged ours.
    Opened {
        /// The stream, in both directions.
        id: u16,
        /// The channel's label.
        label: String,
        /// The channel's sub-protocol.
        protocol: String,
        /// Whether messages keep their order.
        ordered: bool,
    },
    /// A whole message.
    Message {
        /// The channel's label.
        label: String,
        /// The channel's sub-protocol.
        protocol: String,
        /// Binary, or text.
        binary: bool,
        /// The message; text is not checked to be UTF-8.
        payload: Vec<u8>,
    },
    /// The peer closed a channel, or the association with it.
    Closed {
        /// The stream it had.
        id: u16,
        /// The channel's label.
        label: String,
    },
    /// The association is gone. The peer was cut off if there is a violation.
    Lost(Option<Violation>),
}

/// What was dropped, for the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SctpDrops {
    /// Malformed or out of place packets from the peer.
    pub packets: u64,
    /// Messages of the peer that are too long or belong to no channel, and channels refused.
    pub received: u64,
    /// Messages of ours that found the buffer full.
    pub sent: u64,
}

enum Stage {
    /// For the peer's INIT; we connect at the given instant.
    Waiting(Instant),
    /// Our INIT is out; kept to repeat it.
    Connecting(Option<Bytes>),
    /// The peer's INIT (with this tag) is answered; the answer is kept to repeat it.
    Answering(u32, Option<Bytes>),
    Up,
    Lost,
}

/// One SCTP association with its data channels.
pub struct Sctp {
    dtls_client: bool,
    stage: Stage,
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    refusals: u32,
    guard: Guard,
    channels: Channels,
    events: VecDeque<SctpEvent>,
    /// The engine was touched and may have packets.
    stirred: bool,
    /// What must not wait, and what is sent in bursts.
    control: VecDeque<Bytes>,
    data: VecDeque<Bytes>,
    /// When the current burst began, and its packets.
    burst: (Instant, usize),
    drops: SctpDrops,
}

impl Sctp {
    /// Starts. `remote_port` is the peer's `sctp-port`.
    pub fn new(dtls_client: bool, remote_port: u16, now: Instant) -> Self {
        let server = Arc::new(ServerConfig::new(transport()));
        let endpoint =
            Endpoint::new(KEY, TransportProtocol::UDP, Arc::new(EndpointConfig::new()), Some(server));
        let mut sctp = Self {
            dtls_client,
            stage: Stage::Waiting(if dtls_client { now } else { now + PATIENCE }),
            endpoint,
            association: None,
            refusals: 0,
            guard: Guard::new(LOCAL_PORT, remote_port),
            channels: Channels::default(),
            events: VecDeque::new(),
            stirred: true,
            control: VecDeque::new(),
            data: VecDeque::new(),
            burst: (now, 0),
            drops: SctpDrops::default(),
        };
        sctp.handle_timeout(now);
        sctp
    }

    /// Takes one packet that DTLS delivered.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        if matches!(self.stage, Stage::Lost) {
            return;
        }
        let admitted = match self.guard.admit(packet) {
            Ok(Some(admitted)) => admitted,
            Ok(None) => return,
            Err(violation) => return self.cut_off(now, violation),
        };
        if let Some(tag) = admitted.init
            && !self.on_init(tag)
        {
            return;
        }
        match self.endpoint.handle(now, KEY, None, admitted.packet) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                self.association = Some((handle, association));
                self.stage = Stage::Answering(admitted.init.unwrap_or_default(), None);
            }
            Some((handle, DatagramEvent::AssociationEvent(event))) => {
                if let Some((ours, association)) = &mut self.association
                    && *ours == handle
                {
                    association.handle_event(event);
                }
            }
            _ => self.drops.packets += 1,
        }
        self.settle(now);
    }

    /// Acts on what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Stage::Waiting(due) = self.stage
            && now >= due
        {
            self.connect(now);
        }
        if let Some((_, association)) = &mut self.association {
            association.handle_timeout(now);
            self.settle(now);
        }
    }

    /// When [`Self::handle_timeout`] wants to be called next, and [`Self::poll_transmit`] after it.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let engine = match &self.stage {
            Stage::Waiting(due) => Some(*due),
            Stage::Lost => None,
            _ => self.association.as_ref().and_then(|(_, association)| association.poll_timeout()),
        };
        let rest = (!self.data.is_empty()).then(|| self.burst.0 + BURST_INTERVAL);
        engine.into_iter().chain(rest).min()
    }

    /// The next event, until there is none.
    pub fn poll_event(&mut self) -> Option<SctpEvent> {
        self.events.pop_front()
    }

    /// The next packet for DTLS, until there is none for now.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Bytes> {
        if std::mem::take(&mut self.stirred) {
            self.collect(now);
        }
        if let Some(packet) = self.control.pop_front() {
            return Some(packet);
        }
        if now.saturating_duration_since(self.burst.0) >= BURST_INTERVAL {
            self.burst = (now, 0);
        }
        if self.burst.1 >= BURST {
            return None;
        }
        let packet = self.data.pop_front()?;
        self.burst.1 += 1;
        Some(packet)
    }

    /// Sends a message on the channel with this label, opening it if there is none. An empty label stands for
    /// [`DEFAULT_LABEL`]. A message is sent whole or not at all.
    pub fn send(
        &mut self,
        now: Instant,
        label: &str,
        protocol: &str,
        binary: bool,
        payload: &[u8],
    ) -> Result<(), SctpError> {
        if !self.is_up() {
            return Err(SctpError::NotConnected);
        }
        if payload.len() > MAX_MESSAGE {
            return Err(SctpError::MessageTooLong);
        }
        if self.buffered() + payload.len() > MAX_BUFFERED {
            self.drops.sent += 1;
            return Err(SctpError::BufferFull);
        }
        let label = if label.is_empty() { DEFAULT_LABEL } else { label };
        let stream = match self.channels.find(label) {
            Some(stream) => stream,
            None => self.open(now, label, protocol)?,
        };
        let kind = match (binary, payload.is_empty()) {
            (true, false) => Protocol::Binary,
            (true, true) => Protocol::BinaryEmpty,
            (false, false) => Protocol::String,
            (false, true) => Protocol::StringEmpty,
        };
        // SCTP has no empty messages: one byte stands for none (RFC 8831 section 6.6).
        let bytes =
            if payload.is_empty() { Bytes::from_static(&[0]) } else { Bytes::copy_from_slice(payload) };
        self.write(now, stream, &bytes, kind)
    }

    /// Whether messages can be sent.
    pub fn is_up(&self) -> bool {
        matches!(self.stage, Stage::Up)
    }

    /// Bytes that wait to be sent or acknowledged.
    pub fn buffered(&mut self) -> usize {
        let Some((_, association)) = &mut self.association else { return 0 };
        let amount =
            |stream| association.stream(stream).and_then(|stream| stream.buffered_amount()).unwrap_or(0);
        self.channels.streams().map(amount).sum()
    }

    /// What was dropped so far.
    #[allow(dead_code, reason = "for the peer's counters")]
    pub fn drops(&self) -> SctpDrops {
        SctpDrops { packets: self.drops.packets + self.guard.dropped(), ..self.drops }
    }

    fn connect(&mut self, now: Instant) {
        match self.endpoint.connect(now, ClientConfig::new(transport()), KEY) {
            Ok(association) => {
                self.association = Some(association);
                self.stage = Stage::Connecting(None);
            }
            Err(error) => {
                tracing::warn!(%error, "SCTP cannot connect");
                self.stage = Stage::Lost;
            }
        }
    }

    /// Whether an INIT of the peer goes to the engine.
    fn on_init(&mut self, tag: u32) -> bool {
        match &self.stage {
            Stage::Waiting(_) => true,
            Stage::Connecting(init) if self.dtls_client => {
                // The peer did not get ours, or both crossed; ours will do.
                self.control.extend(init.clone());
                false
            }
            Stage::Connecting(_) => {
                self.forget();
                true
            }
            Stage::Answering(known, answer) if *known == tag => {
                self.control.extend(answer.clone());
                false
            }
            Stage::Answering(..) => {
                self.forget();
                true
            }
            // A late copy; rtc-sctp would close the association.
            Stage::Up | Stage::Lost => {
                self.drops.packets += 1;
                false
            }
        }
    }

    fn forget(&mut self) {
        if let Some((handle, _)) = self.association.take() {
            self.endpoint.handle_event(handle, EndpointEvent::drained());
        }
        self.control.clear();
        self.data.clear();
    }

    /// Moves the engine's packets to the queues.
    fn collect(&mut self, now: Instant) {
        let Some((_, association)) = &mut self.association else { return };
        while let Some(transmit) = association.poll_transmit(now) {
            let Payload::RawEncode(packets) = transmit.message else { continue };
            for packet in packets {
                let packet = self.guard.on_sent(packet);
                if let Stage::Connecting(first @ None) | Stage::Answering(_, first @ None) = &mut self.stage {
                    *first = Some(packet.clone());
                }
                let queue = if packet::is_data(&packet) { &mut self.data } else { &mut self.control };
                queue.push_back(packet);
            }
        }
    }

    /// Takes in what the engine has to tell.
    fn settle(&mut self, now: Instant) {
        self.stirred = true;
        // The first packet must be known before another INIT asks for it again.
        if !self.is_up() {
            self.collect(now);
        }
        while let Some(event) = self.association.as_mut().and_then(|(_, association)| association.poll()) {
            match event {
                Event::Connected => {
                    self.guard.on_up();
                    self.stage = Stage::Up;
                    self.events.push_back(SctpEvent::Ready);
                }
                Event::Stream(StreamEvent::Opened { .. }) => {
                    // Its queue of streams to accept would grow otherwise.
                    let _ = self.association.as_mut().and_then(|(_, a)| a.accept_stream().map(|_| ()));
                }
                Event::Stream(StreamEvent::Readable { id }) => self.read(now, id),
                Event::AssociationLost { id, .. } => self.on_stream_gone(id),
                _ => {}
            }
        }
        // An association that answers counts as closed until the peer's COOKIE-ECHO.
        if self.association.as_ref().is_some_and(|(_, association)| association.is_closed()) {
            match self.stage {
                Stage::Up => {
                    self.collect(now);
                    self.lose(None);
                }
                // The peer is not ready for us yet.
                Stage::Connecting(_) => {
                    self.forget();
                    self.refusals = self.refusals.saturating_add(1);
                    self.stage = Stage::Waiting(now + PATIENCE * 2u32.pow(self.refusals.min(MAX_BACKOFF)));
                }
                Stage::Waiting(_) | Stage::Answering(..) | Stage::Lost => {}
            }
        }
    }

    fn read(&mut self, now: Instant, stream: u16) {
        loop {
            let Some((_, association)) = &mut self.association else { return };
            let Ok(Some(chunks)) = association.stream(stream).and_then(|mut stream| stream.read_sctp())
            else {
                return;
            };
            self.guard.on_delivered(chunks.chunks.len());
            let Ok(payload) = chunks.to_payload(MAX_MESSAGE) else {
                self.drops.received += 1;
                continue;
            };
            self.on_message(now, stream, chunks.ppi, payload.into());
        }
    }

    fn on_message(&mut self, now: Instant, stream: u16, kind: Protocol, payload: Vec<u8>) {
        let (binary, payload) = match kind {
            Protocol::Dcep => return self.on_dcep(now, stream, &payload),
            Protocol::String => (false, payload),
            Protocol::Binary => (true, payload),
            Protocol::StringEmpty => (false, Vec::new()),
            Protocol::BinaryEmpty => (true, Vec::new()),
            _ => return self.drops.received += 1,
        };
        let Some(Channel { label, protocol }) = self.channels.get(stream).cloned() else {
            self.drops.received += 1;
            return;
        };
        self.events.push_back(SctpEvent::Message { label, protocol, binary, payload });
    }

    fn on_dcep(&mut self, now: Instant, stream: u16, payload: &[u8]) {
        match channels::parse_dcep(payload) {
            Dcep::Open(open) if self.channels.get(stream).is_none() => self.accept(now, stream, open),
            Dcep::Ack if self.channels.get(stream).is_some() => {
                let Some(Channel { label, protocol }) = self.channels.get(stream).cloned() else { return };
                self.events.push_back(SctpEvent::Opened { id: stream, label, protocol, ordered: true });
            }
            _ => self.drops.received += 1,
        }
    }

    fn accept(&mut self, now: Instant, stream: u16, open: Open) {
        if self.channels.is_full() {
            self.drops.received += 1;
            // Refused by resetting the stream (RFC 8831 section 6.7).
            if let Some((_, association)) = &mut self.association {
                let _ = association.stream(stream).and_then(|mut stream| stream.close(now));
            }
            return;
        }
        let Open { channel, reliability } = open;
        self.configure(stream, &reliability);
        if let Some(ack) = channels::write_ack() {
            let _ = self.write(now, stream, &ack, Protocol::Dcep);
        }
        let Channel { label, protocol } = channel.clone();
        self.channels.insert(stream, channel);
        self.events.push_back(SctpEvent::Opened {
            id: stream,
            label,
            protocol,
            ordered: reliability.ordered,
        });
    }

    /// Opens a channel of ours, ordered and reliable. It can be written to at once (RFC 8832 section 6).
    fn open(&mut self, now: Instant, label: &str, protocol: &str) -> Result<u16, SctpError> {
        if label.len().max(protocol.len()) > MAX_LABEL {
            return Err(SctpError::LabelTooLong);
        }
        if self.channels.is_full() {
            return Err(SctpError::TooManyChannels);
        }
        let stream = self.free_stream().ok_or(SctpError::TooManyChannels)?;
        let channel = Channel { label: label.to_owned(), protocol: protocol.to_owned() };
        let open = channels::write_open(&channel).ok_or(SctpError::LabelTooLong)?;
        let (_, association) = self.association.as_mut().ok_or(SctpError::NotConnected)?;
        association
            .open_stream(stream, Protocol::Binary)
            .map_err(|error| SctpError::Engine(error.to_string()))?;
        self.configure(stream, &Reliability { ordered: true, kind: ReliabilityType::Reliable, value: 0 });
        self.write(now, stream, &open, Protocol::Dcep)?;
        self.channels.insert(stream, channel);
        Ok(stream)
    }

    /// The lowest free stream of our parity: even for the DTLS client (RFC 8832 section 6).
    fn free_stream(&self) -> Option<u16> {
        let (_, association) = self.association.as_ref()?;
        let limit = association.negotiated_max_streams().unwrap_or(0).min(MAX_STREAMS);
        let used = association.stream_ids();
        let first = if self.dtls_client { 0 } else { 1 };
        (first..limit)
            .step_by(2)
            .find(|stream| !used.contains(stream) && self.channels.get(*stream).is_none())
    }

    fn configure(&mut self, stream: u16, reliability: &Reliability) {
        if let Some((_, association)) = &mut self.association
            && let Ok(mut stream) = association.stream(stream)
        {
            let _ = stream.set_reliability_params(!reliability.ordered, reliability.kind, reliability.value);
        }
    }

    fn write(&mut self, now: Instant, stream: u16, bytes: &Bytes, kind: Protocol) -> Result<(), SctpError> {
        self.stirred = true;
        let (_, association) = self.association.as_mut().ok_or(SctpError::NotConnected)?;
        association
            .stream(stream)
            .and_then(|mut stream| stream.write_chunk_with_ppi(now, bytes, kind))
            .map(|_| ())
            .map_err(|error| SctpError::Engine(error.to_string()))
    }

    fn on_stream_gone(&mut self, stream: u16) {
        if let Some(Channel { label, .. }) = self.channels.remove(stream) {
            self.events.push_back(SctpEvent::Closed { id: stream, label });
        }
    }

    fn cut_off(&mut self, now: Instant, violation: Violation) {
        tracing::debug!(%violation, "SCTP peer cut off");
        if let Some((_, association)) = &mut self.association {
            let _ = association.abort();
            self.collect(now);
        }
        self.lose(Some(violation));
    }

    fn lose(&mut self, violation: Option<Violation>) {
        let streams: Vec<u16> = self.channels.streams().collect();
        for stream in streams {
            self.on_stream_gone(stream);
        }
        self.association = None;
        self.data.clear();
        self.stage = Stage::Lost;
        self.events.push_back(SctpEvent::Lost(violation));
    }
}

/// What we announce and how patient we are.
fn transport() -> TransportConfig {
    // Retransmissions never give up: whether the peer is there is for ICE to say. rtc-sctp would stop silently.
    let timers = TimerConfig {
        max_t1_init_retrans: usize::MAX,
        max_t1_cookie_retrans: usize::MAX,
        max_t3_rtx_retrans: usize::MAX,
        max_reconfig_retrans: usize::MAX,
        ..TimerConfig::default()
    };
    let message = u32::try_from(MAX_MESSAGE).unwrap_or(u32::MAX);
    TransportConfig::default()
        .with_max_receive_buffer_size(RECEIVE_WINDOW)
        .with_max_message_size(message)
        .with_max_num_inbound_streams(MAX_STREAMS)
        .with_max_num_outbound_streams(MAX_STREAMS)
        .with_timer_config(timers)
}
