//! What every DTLS association of this process shares: certificate, limits, ciphers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use portunus_srtp::Profile;
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_crypto::{CryptoError, RTCCrypto, RTCCryptoProvider, RTCRandom};
use rtc_dtls::cipher_suite::CipherSuiteId;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, HandshakeConfig, VerifyPeerCertificateFn};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;

use super::record::{HANDSHAKE_HEADER, RECORD_HEADER};
use super::{DtlsError, Role};
use crate::certificate::Certificate;

/// Smallest MTU that still makes sense: IPv4's minimum reassembly size.
const MIN_MTU: usize = 576;
/// Our SNI. Nobody looks at it, but rtc-dtls wants one.
const SERVER_NAME: &str = "localhost";

/// The operator's settings.
#[derive(Debug, Clone)]
pub struct DtlsSettings {
    /// Largest handshake datagram in bytes (`dtls_mtu`).
    pub mtu: usize,
    /// When a flight is sent again for the first time; doubled each time (RFC 6347 section 4.2.4.1).
    pub flight_interval: Duration,
    /// The handshake fails when it takes longer than this.
    pub handshake_timeout: Duration,
    /// Whether peers may show self-signed certificates (`dtls_accept_selfsigned`). All browsers do.
    pub accept_selfsigned: bool,
    /// OpenSSL or IANA names of cipher suites (`dtls_ciphers`); what is unknown is skipped, and if nothing is left the
    /// default applies.
    pub ciphers: Option<String>,
    /// SRTP profiles in order of preference.
    pub profiles: Vec<Profile>,
}

impl Default for DtlsSettings {
    fn default() -> Self {
        Self {
            mtu: 1200,
            // libwebrtc starts at 50 ms, too. Seven repeats at most: the last after 50 * (2^7 - 1) ms = 6.4 s.
            flight_interval: Duration::from_millis(50),
            handshake_timeout: Duration::from_secs(20),
            accept_selfsigned: true,
            ciphers: None,
            profiles: Profile::PREFERENCE.to_vec(),
        }
    }
}

/// The shared configuration; made once per process, or per certificate.
pub struct DtlsConfig {
    fingerprint: String,
    #[cfg(test)]
    certificate: Certificate,
    settings: DtlsSettings,
    builder: ConfigBuilder,
}

impl DtlsConfig {
    /// Prepares the configuration and checks that both roles can work with it.
    pub fn new(certificate: &Certificate, settings: DtlsSettings) -> Result<Arc<Self>, DtlsError> {
        let overhead = RECORD_HEADER + HANDSHAKE_HEADER;
        let builder = ConfigBuilder::default()
            .with_certificates(vec![certificate.to_dtls()])
            .with_cipher_suites(cipher_suites(settings.ciphers.as_deref()))
            // We check the certificate ourselves, against the SDP's fingerprint.
            .with_insecure_skip_verify(true)
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            // `Dtls` decides when to retransmit; the engine's own timer must merely have run out by then.
            .with_flight_interval(Duration::from_millis(1))
            .with_mtu(settings.mtu.max(MIN_MTU) - overhead)
            .with_server_name(SERVER_NAME.to_owned());
        let config = Self {
            fingerprint: certificate.fingerprint_sha256().to_owned(),
            #[cfg(test)]
            certificate: certificate.clone(),
            settings,
            builder,
        };
        for role in [Role::Client, Role::Server] {
            config.handshake(role, &config.settings.profiles, Arc::new(|_, _| Ok(())))?;
        }
        Ok(Arc::new(config))
    }

    /// Of the certificate shown to peers, SHA-256.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The same with another certificate.
    ///
    /// # Errors
    /// It cannot be used.
    pub(crate) fn with_certificate(&self, certificate: &Certificate) -> Result<Arc<Self>, DtlsError> {
        Self::new(certificate, self.settings.clone())
    }

    /// The certificate shown to peers.
    #[cfg(test)]
    pub(super) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub(super) fn settings(&self) -> &DtlsSettings {
        &self.settings
    }

    /// The engine's configuration of one association.
    pub(super) fn handshake(
        &self,
        role: Role,
        profiles: &[Profile],
        verify: VerifyPeerCertificateFn,
    ) -> Result<Arc<HandshakeConfig>, DtlsError> {
        let profiles =
            profiles.iter().map(|profile| SrtpProtectionProfile::from(profile.dtls_id())).collect();
        self.builder
            .clone()
            .with_crypto_provider(Arc::new(Provider::default()))
            .with_srtp_protection_profiles(profiles)
            .with_verify_peer_certificate(Some(verify))
            .build(role == Role::Client, None)
            .map(Arc::new)
            .map_err(|error| DtlsError::Config(error.to_string()))
    }
}

impl std::fmt::Debug for DtlsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DtlsConfig").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The suites of an OpenSSL cipher string that rtc-dtls has.
fn cipher_suites(names: Option<&str>) -> Vec<CipherSuiteId> {
    use CipherSuiteId as Id;
    const KNOWN: [(&str, &str, CipherSuiteId); 6] = [
        (
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            Id::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256,
        ),
        (
            "ECDHE-RSA-AES128-GCM-SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            Id::Tls_Ecdhe_Rsa_With_Aes_128_Gcm_Sha256,
        ),
        (
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            Id::Tls_Ecdhe_Ecdsa_With_ChaCha20_Poly1305_Sha256,
        ),
        (
            "ECDHE-RSA-CHACHA20-POLY1305",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            Id::Tls_Ecdhe_Rsa_With_ChaCha20_Poly1305_Sha256,
        ),
        (
            "ECDHE-ECDSA-AES256-SHA",
            "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
            Id::Tls_Ecdhe_Ecdsa_With_Aes_256_Cbc_Sha,
        ),
        (
            "ECDHE-RSA-AES256-SHA",
            "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
            Id::Tls_Ecdhe_Rsa_With_Aes_256_Cbc_Sha,
        ),
    ];
    // CBC suites are slower and were never free of padding trouble: only where an operator names them.
    const DEFAULT: usize = 4;
    let named: Vec<CipherSuiteId> = names
        .unwrap_or_default()
        .split([':', ',', ' '])
        .filter_map(|name| KNOWN.iter().find(|(openssl, iana, _)| name == *openssl || name == *iana))
        .map(|(_, _, id)| *id)
        .collect();
    if named.is_empty() { KNOWN.iter().take(DEFAULT).map(|(_, _, id)| *id).collect() } else { named }
}

/// aws-lc-rs, except that eight-byte requests are counted, not drawn.
///
/// The only eight bytes rtc-dtls asks for are the explicit nonces of AES-GCM records. It draws them at random, which
/// repeats one after some 2^32 records with fair probability; RFC 5288 section 3 asks for a counter. There is one
/// provider, and so one counter, per association.
#[derive(Default)]
struct Provider {
    inner: AwsLcRsProvider,
    random: NonceCounter,
}

#[derive(Default)]
struct NonceCounter {
    inner: AwsLcRsProvider,
    next: AtomicU64,
}

impl RTCCryptoProvider for Provider {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn crypto(&self) -> &dyn RTCCrypto {
        self.inner.crypto()
    }

    fn random(&self) -> &dyn RTCRandom {
        &self.random
    }
}

impl RTCRandom for NonceCounter {
    fn fill(&self, output: &mut [u8]) -> Result<(), CryptoError> {
        if let Ok(nonce) = <&mut [u8; 8]>::try_from(&mut *output) {
            *nonce = self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            return Ok(());
        }
        self.inner.random().fill(output)
    }
}
