//! DTLS 1.2 of one peer (RFC 6347, RFC 5763, RFC 5764): handshake, fingerprint check, SRTP keys, SCTP's records.
//!
//! [`Dtls`] is sans-I/O and told the time. It wraps rtc-dtls behind a narrow face, so that another stack can take its
//! place; [`gate`] explains what is kept from that crate and why. The caller feeds it only what comes from an address
//! ICE has validated.
//!
//! Invariants
//! - [`DtlsOutput::Connected`] comes at most once, before any [`DtlsOutput::Data`], and only after the peer has proven
//!   to own the certificate whose fingerprint the SDP named, whichever role we have.
//! - [`DtlsOutput::Closed`] or [`DtlsOutput::Failed`] comes at most once and is the last but for alerts to send.
//! - Nothing a network can send restarts or resets an association.
//!
//! Deliberately absent: DTLS 1.3, resumption, renegotiation, plain certificates without fingerprint.

mod config;
mod fingerprint;
mod gate;
mod hello;
mod record;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use portunus_srtp::{MasterKey, Profile};
use rtc_dtls::config::VerifyPeerCertificateFn;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error as EngineError;

pub use config::{DtlsConfig, DtlsSettings};
pub use fingerprint::Fingerprint;

use gate::{Admitted, Gate};

/// Largest plaintext of one record (RFC 5246 section 6.2.1).
const MAX_RECORD_PLAINTEXT: usize = 1 << 14;
/// rtc-dtls gives a flight up as failed when it is retransmitted more often.
const MAX_RETRANSMISSIONS: u8 = 7;
/// rtc-dtls keys associations by address; ours stays the same whatever path ICE selects.
const KEY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
const CLOSE_NOTIFY: u8 = 0;
const FATAL: u8 = 2;
const KEYING_LABEL: &str = "EXTRACTOR-dtls_srtp";

/// Which side of the handshake we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `setup:active`: we send the ClientHello.
    Client,
    /// `setup:passive`: we wait for it, and choose the SRTP profile.
    Server,
}

/// Why an association ended or could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DtlsError {
    /// Certificate and ciphers do not fit together.
    #[error("DTLS configuration: {0}")]
    Config(String),
    /// The handshake did not end in time.
    #[error("DTLS timeout")]
    Timeout,
    /// The peer's certificate is not the one its SDP announced.
    #[error("DTLS fingerprint mismatch")]
    FingerprintMismatch,
    /// The peer's certificate is out of date.
    #[error("the peer's certificate has expired")]
    CertificateExpired,
    /// The peer's certificate is self-signed and `dtls_accept_selfsigned` is off.
    #[error("the peer's certificate is self-signed")]
    SelfSigned,
    /// The peer's certificate cannot be read, or it sent none.
    #[error("no usable peer certificate")]
    BadCertificate,
    /// The peer sent a fatal alert; its number if it came in the clear.
    #[error("DTLS alert{}", .0.map(|number| format!(" {number}")).unwrap_or_default())]
    PeerAlert(Option<u8>),
    /// The handshake went wrong.
    #[error("DTLS handshake: {0}")]
    Handshake(String),
    /// There is no connection to send on.
    #[error("DTLS is not connected")]
    NotConnected,
    /// More than one record can hold.
    #[error("too long for a DTLS record")]
    TooLong,
}

/// The SRTP keys of an association.
pub struct SrtpKeys {
    /// The negotiated profile.
    pub profile: Profile,
    /// For what we send.
    pub local: MasterKey,
    /// For what we receive.
    pub remote: MasterKey,
}

/// What an association wants done.
pub enum DtlsOutput {
    /// Send this datagram to the peer.
    Transmit(BytesMut),
    /// The handshake is over and the peer is who the SDP said. `None`: the peer negotiated no SRTP (data channels only).
    Connected(Option<SrtpKeys>),
    /// Application data: one SCTP packet.
    Data(BytesMut),
    /// The peer sent close_notify.
    Closed,
    /// The association is dead.
    Failed(DtlsError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Handshaking { deadline: Instant },
    Connected,
    Ended,
}

/// When the current flight is sent again.
#[derive(Debug, Clone, Copy)]
struct Retransmission {
    sent: Instant,
    interval: Duration,
    repeats: u8,
}

/// One DTLS association.
pub struct Dtls {
    config: Arc<DtlsConfig>,
    role: Role,
    expected: Fingerprint,
    refusal: Arc<OnceLock<DtlsError>>,
    gate: Gate,
    /// Made by `start` (client) or by the first whole ClientHello (server).
    engine: Option<Endpoint>,
    state: State,
    retransmission: Option<Retransmission>,
    outputs: VecDeque<DtlsOutput>,
}

impl Dtls {
    /// An association that does nothing yet. `expected` is the fingerprint in the peer's SDP.
    pub fn new(config: &Arc<DtlsConfig>, role: Role, expected: Fingerprint) -> Self {
        Self {
            config: config.clone(),
            role,
            expected,
            refusal: Arc::new(OnceLock::new()),
            gate: Gate::new(role),
            engine: None,
            state: State::New,
            retransmission: None,
            outputs: VecDeque::new(),
        }
    }

    /// Starts the handshake's clock; as client, sends the ClientHello. Call it when ICE has a valid pair; again is harmless.
    pub fn start(&mut self, now: Instant) {
        if self.state != State::New {
            return;
        }
        self.state = State::Handshaking { deadline: now + self.config.settings().handshake_timeout };
        if self.role == Role::Client {
            let started = self.make_engine(&self.config.settings().profiles.clone()).and_then(
                |(mut engine, config)| {
                    let config =
                        config.ok_or_else(|| DtlsError::Config("no client configuration".to_owned()))?;
                    engine
                        .connect(now, KEY, config, None)
                        .map_err(|error| DtlsError::Handshake(error.to_string()))?;
                    Ok(engine)
                },
            );
            match started {
                Ok(engine) => self.engine = Some(engine),
                Err(error) => return self.fail(error),
            }
            self.drain(now);
        }
    }

    /// Takes one datagram from the peer (first byte 20 to 63). Whatever it holds, nothing panics and at worst the
    /// association fails.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        if self.state == State::Ended {
            return;
        }
        self.start(now);
        let admitted = self.gate.handle_datagram(packet);
        if let Some((level, description)) = admitted.alert {
            self.on_plain_alert(level, description);
        }
        if self.state == State::Ended {
            return;
        }
        if admitted.repeat {
            self.on_repeat(now);
        }
        if !admitted.feed.is_empty() {
            self.feed(now, admitted);
        }
    }

    /// Acts on what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let State::Handshaking { deadline } = self.state else { return };
        if now >= deadline {
            return self.fail(DtlsError::Timeout);
        }
        if self.next_retransmission().is_some_and(|due| now >= due) {
            self.retransmit(now);
        }
    }

    /// When [`Self::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let State::Handshaking { deadline } = self.state else { return None };
        Some(self.next_retransmission().map_or(deadline, |due| due.min(deadline)))
    }

    /// The next thing to do, until there is none.
    pub fn poll_output(&mut self) -> Option<DtlsOutput> {
        self.outputs.pop_front()
    }

    /// Sends one SCTP packet.
    pub fn send_data(&mut self, now: Instant, payload: &[u8]) -> Result<(), DtlsError> {
        if payload.len() > MAX_RECORD_PLAINTEXT {
            return Err(DtlsError::TooLong);
        }
        let engine =
            self.engine.as_mut().filter(|_| self.state == State::Connected).ok_or(DtlsError::NotConnected)?;
        engine.write(now, KEY, payload).map_err(|error| DtlsError::Handshake(error.to_string()))?;
        self.transmit();
        Ok(())
    }

    /// Ends the association with close_notify. There is no further output but the alert.
    pub fn close(&mut self, now: Instant) {
        if self.state == State::Ended {
            return;
        }
        self.state = State::Ended;
        if let Some(mut engine) = self.engine.take() {
            engine.stop(now, KEY);
            self.engine = Some(engine);
            self.transmit();
        }
        self.engine = None;
    }

    /// Our role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether the handshake is over and the association alive.
    pub fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    /// `created`, `trying`, `connected` or `failed`, as Janus says.
    pub fn state_name(&self) -> &'static str {
        match self.state {
            State::New => "created",
            State::Handshaking { .. } => "trying",
            State::Connected => "connected",
            State::Ended => "failed",
        }
    }

    /// Repeats of the flight at hand, or of the last one.
    pub fn retransmissions(&self) -> u32 {
        self.retransmission.map_or(0, |flight| flight.repeats.into())
    }

    /// Whether the association was closed, by either side, or failed.
    #[cfg(test)]
    fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Records and fragments that were refused.
    #[allow(dead_code, reason = "for the peer's counters")]
    pub fn dropped(&self) -> u64 {
        self.gate.dropped()
    }

    fn on_plain_alert(&mut self, level: u8, description: u8) {
        // Before our first flight there is nothing an alert could answer.
        if self.engine.is_none() {
            return;
        }
        if description == CLOSE_NOTIFY {
            self.end(DtlsOutput::Closed);
        } else if level == FATAL {
            self.fail(DtlsError::PeerAlert(Some(description)));
        }
    }

    /// The peer repeats its flight: ours is lost, unless the two crossed.
    fn on_repeat(&mut self, now: Instant) {
        let waited = self.retransmission.is_some_and(|flight| now >= flight.sent + flight.interval / 2);
        if matches!(self.state, State::Handshaking { .. }) && waited {
            self.retransmit(now);
        }
    }

    fn next_retransmission(&self) -> Option<Instant> {
        let flight = self.retransmission?;
        (flight.repeats < MAX_RETRANSMISSIONS).then(|| flight.sent + flight.interval)
    }

    fn retransmit(&mut self, now: Instant) {
        let (Some(flight), Some(engine)) = (&mut self.retransmission, &mut self.engine) else { return };
        if flight.repeats >= MAX_RETRANSMISSIONS {
            return;
        }
        *flight = Retransmission { sent: now, interval: flight.interval * 2, repeats: flight.repeats + 1 };
        if let Err(error) = engine.handle_timeout(KEY, now) {
            return self.fail(DtlsError::Handshake(error.to_string()));
        }
        self.transmit();
    }

    fn feed(&mut self, now: Instant, admitted: Admitted) {
        if self.engine.is_none() {
            let preference = &self.config.settings().profiles;
            let profiles = match hello::best_profile(self.gate.first_hello(), preference) {
                Some(best) => vec![best],
                None => preference.clone(),
            };
            match self.make_engine(&profiles) {
                Ok((engine, _)) => self.engine = Some(engine),
                Err(error) => return self.fail(error),
            }
        }
        let Some(engine) = &mut self.engine else { return };
        let result = engine.read(now, KEY, None, admitted.feed);
        if self.state == State::Connected {
            self.on_established_read(now, result, admitted.encrypted_alert);
        } else {
            match result {
                Ok(events) => self.on_events(now, events),
                Err(error) => {
                    self.transmit();
                    let error = match error {
                        EngineError::ErrAlertFatalOrClose => DtlsError::PeerAlert(None),
                        EngineError::ErrClientCertificateRequired => DtlsError::BadCertificate,
                        other => DtlsError::Handshake(other.to_string()),
                    };
                    return self.fail(self.refusal.get().cloned().unwrap_or(error));
                }
            }
            self.drain(now);
        }
    }

    fn on_established_read(
        &mut self,
        now: Instant,
        result: Result<Vec<EndpointEvent>, EngineError>,
        alert: bool,
    ) {
        match result {
            Ok(events) => {
                self.on_events(now, events);
                self.transmit();
            }
            Err(EngineError::ErrAlertFatalOrClose) => {
                self.transmit();
                self.fail(DtlsError::PeerAlert(None));
            }
            // rtc-dtls echoes warnings, which two such stacks would do for ever.
            Err(_) if alert => while self.engine.as_mut().and_then(Endpoint::poll_transmit).is_some() {},
            Err(_) => {
                self.transmit();
            }
        }
    }

    fn on_events(&mut self, now: Instant, events: Vec<EndpointEvent>) {
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => self.on_complete(now),
                EndpointEvent::ApplicationData(data) if self.state == State::Connected => {
                    self.outputs.push_back(DtlsOutput::Data(data));
                }
                EndpointEvent::PeerClosed if self.state != State::Ended => {
                    self.transmit();
                    self.end(DtlsOutput::Closed);
                }
                _ => {}
            }
        }
    }

    fn on_complete(&mut self, now: Instant) {
        let keys = match self.take_keys() {
            Ok(keys) => keys,
            Err(error) => {
                // Instead of our Finished, if that is what waits to be sent.
                if let Some(engine) = &mut self.engine {
                    while engine.poll_transmit().is_some() {}
                    engine.stop(now, KEY);
                }
                self.transmit();
                return self.fail(error);
            }
        };
        self.transmit();
        self.retransmission = None;
        self.gate.on_established();
        self.state = State::Connected;
        self.outputs.push_back(DtlsOutput::Connected(keys));
    }

    /// Checks the certificate once more, on the association itself, and exports the keys.
    fn take_keys(&self) -> Result<Option<SrtpKeys>, DtlsError> {
        let state = self.engine.as_ref().and_then(|engine| engine.get_connection_state(KEY));
        let state = state.ok_or(DtlsError::NotConnected)?;
        let leaf = state.peer_certificates.first().ok_or(DtlsError::BadCertificate)?;
        if !self.expected.matches(leaf) {
            return Err(DtlsError::FingerprintMismatch);
        }
        let negotiated = state.srtp_protection_profile();
        let mut known = Profile::PREFERENCE.into_iter();
        let same = |profile: &Profile| SrtpProtectionProfile::from(profile.dtls_id()) == negotiated;
        let Some(profile) = known.find(same) else { return Ok(None) };
        let failed = |reason: &dyn std::fmt::Display| DtlsError::Handshake(reason.to_string());
        let exported = state
            .export_keying_material(KEYING_LABEL, &[], profile.export_len())
            .map_err(|error| failed(&error))?;
        let (client, server) =
            MasterKey::from_dtls_export(profile, exported.as_ref()).map_err(|error| failed(&error))?;
        Ok(Some(match self.role {
            Role::Client => SrtpKeys { profile, local: client, remote: server },
            Role::Server => SrtpKeys { profile, local: server, remote: client },
        }))
    }

    fn make_engine(
        &self,
        profiles: &[Profile],
    ) -> Result<(Endpoint, Option<Arc<rtc_dtls::config::HandshakeConfig>>), DtlsError> {
        let verify =
            certificate_check(&self.expected, self.config.settings().accept_selfsigned, &self.refusal);
        let config = self.config.handshake(self.role, profiles, verify)?;
        let (server, client) = match self.role {
            Role::Server => (Some(config), None),
            Role::Client => (None, Some(config)),
        };
        Ok((Endpoint::new(KEY, TransportProtocol::UDP, server), client))
    }

    /// Collects a new flight to send and sets its timer.
    fn drain(&mut self, now: Instant) {
        let sent = self.transmit();
        if sent && matches!(self.state, State::Handshaking { .. }) {
            // A HelloVerifyRequest is never retransmitted on a timer (RFC 6347 section 4.2.1).
            let interval = self.config.settings().flight_interval;
            self.retransmission =
                (!self.gate.awaits_cookie()).then_some(Retransmission { sent: now, interval, repeats: 0 });
        }
    }

    /// Moves the engine's datagrams to the outputs; whether there were any.
    fn transmit(&mut self) -> bool {
        let before = self.outputs.len();
        while let Some(transmit) = self.engine.as_mut().and_then(Endpoint::poll_transmit) {
            self.outputs.push_back(DtlsOutput::Transmit(transmit.message));
        }
        self.outputs.len() > before
    }

    fn fail(&mut self, error: DtlsError) {
        self.end(DtlsOutput::Failed(error));
    }

    fn end(&mut self, output: DtlsOutput) {
        self.state = State::Ended;
        self.engine = None;
        self.outputs.push_back(output);
    }
}

/// The engine's callback once the peer has proven to own its certificate. The reason of a refusal goes into `refusal`;
/// the engine sends bad_certificate.
fn certificate_check(
    expected: &Fingerprint,
    accept_selfsigned: bool,
    refusal: &Arc<OnceLock<DtlsError>>,
) -> VerifyPeerCertificateFn {
    let (expected, refusal) = (expected.clone(), refusal.clone());
    Arc::new(move |chain, _| {
        let verdict = match chain.first() {
            Some(leaf) => check_leaf(leaf, &expected, accept_selfsigned),
            None => Err(DtlsError::BadCertificate),
        };
        verdict.map_err(|error| {
            let reason = EngineError::Other(error.to_string());
            let _ = refusal.set(error);
            reason
        })
    })
}

fn check_leaf(leaf: &[u8], expected: &Fingerprint, accept_selfsigned: bool) -> Result<(), DtlsError> {
    if !expected.matches(leaf) {
        return Err(DtlsError::FingerprintMismatch);
    }
    let (_, certificate) =
        x509_parser::parse_x509_certificate(leaf).map_err(|_| DtlsError::BadCertificate)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // Only the end counts, as with Janus: clocks of phones are often behind.
    if i64::try_from(now).is_ok_and(|now| now > certificate.validity().not_after.timestamp()) {
        return Err(DtlsError::CertificateExpired);
    }
    if !accept_selfsigned && certificate.issuer() == certificate.subject() {
        return Err(DtlsError::SelfSigned);
    }
    Ok(())
}
