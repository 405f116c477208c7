//! The certificate this process shows in every DTLS handshake.
//!
//! Either made at start (self-signed, valid one year) or read from the operator's PEM files. Peers trust it by the
//! fingerprint in the SDP alone (RFC 8827 section 6.5), so no chain is built and no name is checked.
//!
//! Invariants: the private key belongs to the first certificate of the chain; a value of this type can always sign.
//! Absent on purpose: Ed25519 (browsers do not accept it) and OpenSSL's old "Proc-Type: 4,ENCRYPTED" key format.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
    RsaKeyPair,
};
use rtc_crypto::{CryptoAlgorithm, CryptoError, PublicKey, PublicKeyEncoding, SignatureScheme, SigningKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// How long a generated certificate is valid, and how far its start lies in the past for peers with a slow clock.
const VALIDITY: Duration = Duration::from_secs(365 * 24 * 3600);
const BACKDATE: Duration = Duration::from_secs(24 * 3600);
/// Certificates read from one file at most; a chain has three or four.
const MAX_CHAIN: usize = 10;

/// Why no certificate could be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Key generation or self-signing failed.
    #[error("cannot generate a certificate: {0}")]
    Generate(String),
    /// The certificate file is not PEM or holds no certificate.
    #[error("no usable certificate in the certificate file: {0}")]
    NoCertificate(String),
    /// The key file is not PEM or holds no private key.
    #[error("no usable private key in the key file: {0}")]
    NoKey(String),
    /// The key is encrypted and no password was given.
    #[error("the private key is encrypted, but no password is set")]
    PasswordMissing,
    /// The password does not open the key, or its encryption scheme is not supported.
    #[error("cannot decrypt the private key: {0}")]
    Decrypt(String),
    /// OpenSSL's pre-PKCS#8 encryption.
    #[error(
        "the private key uses the old OpenSSL encryption (Proc-Type: 4,ENCRYPTED); convert it with `openssl pkcs8 -topk8`"
    )]
    LegacyEncryption,
    /// Neither ECDSA P-256, ECDSA P-384 nor RSA of at least 2048 bits.
    #[error("unsupported private key: ECDSA P-256, ECDSA P-384 or RSA (2048 bits or more) is needed")]
    UnsupportedKey,
    /// The key does not belong to the first certificate.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
}

/// The kinds of key a certificate can be generated with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyKind {
    /// ECDSA on P-256: small handshakes, the default.
    #[default]
    EcdsaP256,
    /// RSA with 2048 bits (`rsa_private_key`).
    Rsa2048,
}

/// A certificate chain with its private key. Cheap to clone.
#[derive(Clone)]
pub struct Certificate {
    shared: Arc<Shared>,
}

struct Shared {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<Key>,
    fingerprint: String,
    not_after: SystemTime,
}

impl Certificate {
    /// Makes a self-signed certificate, valid one year from `now`.
    pub fn generate(kind: KeyKind, now: SystemTime) -> Result<Self, CertificateError> {
        let failed = |reason: &dyn std::fmt::Display| CertificateError::Generate(reason.to_string());
        let (pkcs8, algorithm) = match kind {
            KeyKind::EcdsaP256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|e| failed(&e))?;
                (pair.to_pkcs8v1().map_err(|e| failed(&e))?.as_ref().to_vec(), &rcgen::PKCS_ECDSA_P256_SHA256)
            }
            KeyKind::Rsa2048 => {
                let pair = signature::RsaKeyPair::generate(KeySize::Rsa2048).map_err(|e| failed(&e))?;
                let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().map_err(|e| failed(&e))?;
                (der.as_ref().to_vec(), &rcgen::PKCS_RSA_SHA256)
            }
        };
        let pair = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.as_slice().into(), algorithm)
            .map_err(|e| failed(&e))?;
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "Portunus");
        params.not_before = now.checked_sub(BACKDATE).unwrap_or(now).into();
        params.not_after = (now + VALIDITY).into();
        let certificate = params.self_signed(&pair).map_err(|e| failed(&e))?;
        let key = Key::parse(&PrivateKeyDer::Pkcs8(pkcs8.into()))?;
        Self::from_parts(vec![certificate.der().clone()], key)
    }

    /// Reads a certificate (or chain, leaf first) and its private key from PEM text.
    ///
    /// Keys may be PKCS#8, PKCS#1 (`RSA PRIVATE KEY`), SEC1 (`EC PRIVATE KEY`) or encrypted PKCS#8; both texts may be
    /// the same file. An expired certificate is accepted, because browsers do not look at the date here: see
    /// [`Certificate::is_expired`].
    pub fn load(cert_pem: &[u8], key_pem: &[u8], password: Option<&str>) -> Result<Self, CertificateError> {
        let mut chain = Vec::new();
        for item in CertificateDer::pem_slice_iter(cert_pem).take(MAX_CHAIN) {
            chain.push(item.map_err(|e| CertificateError::NoCertificate(e.to_string()))?);
        }
        let key = match find_encrypted_key(key_pem)? {
            Some(pem) => decrypt_key(pem, password.ok_or(CertificateError::PasswordMissing)?)?,
            None => {
                PrivateKeyDer::from_pem_slice(key_pem).map_err(|e| CertificateError::NoKey(e.to_string()))?
            }
        };
        Self::from_parts(chain, Key::parse(&key)?)
    }

    /// The SHA-256 fingerprint of the leaf as SDP writes it: upper-case hexadecimal pairs with colons.
    pub fn fingerprint_sha256(&self) -> &str {
        &self.shared.fingerprint
    }

    /// The last instant the leaf is valid.
    pub fn not_after(&self) -> SystemTime {
        self.shared.not_after
    }

    /// Whether the leaf's validity has ended.
    pub fn is_expired(&self, now: SystemTime) -> bool {
        now > self.shared.not_after
    }

    /// The chain, DER, leaf first.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.shared.chain
    }

    /// The form rtc-dtls signs with.
    pub(crate) fn to_dtls(&self) -> rtc_dtls::crypto::Certificate {
        let key: Arc<dyn SigningKey> = self.shared.key.clone();
        rtc_dtls::crypto::Certificate::from_signing_key(self.chain().to_vec(), key)
    }

    fn from_parts(chain: Vec<CertificateDer<'static>>, key: Key) -> Result<Self, CertificateError> {
        let leaf = chain.first().ok_or_else(|| CertificateError::NoCertificate("empty".to_owned()))?;
        let (_, parsed) = x509_parser::parse_x509_certificate(leaf)
            .map_err(|e| CertificateError::NoCertificate(e.to_string()))?;
        if parsed.public_key().subject_public_key.data.as_ref() != key.public_key {
            return Err(CertificateError::KeyMismatch);
        }
        let seconds = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
        let not_after = UNIX_EPOCH + Duration::from_secs(seconds);
        let fingerprint = colon_hex(digest(&SHA256, leaf).as_ref());
        Ok(Self { shared: Arc::new(Shared { chain, key: Arc::new(key), fingerprint, not_after }) })
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("fingerprint", &self.shared.fingerprint).finish_non_exhaustive()
    }
}

/// Bytes as `AA:BB:CC`.
pub(crate) fn colon_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 3);
    for byte in bytes {
        if !text.is_empty() {
            text.push(':');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02X}");
    }
    text
}

/// A signing key of our own: rtc-crypto's importer knows neither P-384 nor the SEC1 and PKCS#1 encodings.
struct Key {
    pair: Pair,
    public_key: Vec<u8>,
}

enum Pair {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Key {
    fn parse(der: &PrivateKeyDer<'_>) -> Result<Self, CertificateError> {
        let bytes = der.secret_der();
        let ecdsa = |algorithm| EcdsaKeyPair::from_private_key_der(algorithm, bytes);
        let pair = if let Ok(pair) = ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING) {
            Pair::P256(pair)
        } else if let Ok(pair) = ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING) {
            Pair::P384(pair)
        } else {
            let pair = match der {
                PrivateKeyDer::Pkcs1(_) => RsaKeyPair::from_der(bytes),
                _ => RsaKeyPair::from_pkcs8(bytes),
            };
            // Browsers and our own verifier refuse signatures below 2048 bits.
            match pair {
                Ok(pair) if pair.public_modulus_len() >= 256 => Pair::Rsa(pair),
                _ => return Err(CertificateError::UnsupportedKey),
            }
        };
        let public_key = match &pair {
            Pair::P256(pair) | Pair::P384(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
        };
        Ok(Self { pair, public_key })
    }
}

impl SigningKey for Key {
    fn supports(&self, scheme: SignatureScheme) -> bool {
        match self.pair {
            Pair::P256(_) => scheme == SignatureScheme::EcdsaP256Sha256,
            Pair::P384(_) => scheme == SignatureScheme::EcdsaP384Sha384,
            Pair::Rsa(_) => matches!(
                scheme,
                SignatureScheme::RsaPkcs1Sha256
                    | SignatureScheme::RsaPkcs1Sha384
                    | SignatureScheme::RsaPkcs1Sha512
            ),
        }
    }

    fn public_key(&self) -> PublicKey<'_> {
        let encoding = match self.pair {
            Pair::P256(_) | Pair::P384(_) => PublicKeyEncoding::EcUncompressedPoint,
            Pair::Rsa(_) => PublicKeyEncoding::RsaPkcs1Der,
        };
        PublicKey { encoding, bytes: &self.public_key }
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let unsupported = || CryptoError::UnsupportedAlgorithm(CryptoAlgorithm::Signature(scheme));
        if !self.supports(scheme) {
            return Err(unsupported());
        }
        let random = SystemRandom::new();
        match &self.pair {
            Pair::P256(pair) | Pair::P384(pair) => pair
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| CryptoError::RandomnessFailed),
            Pair::Rsa(pair) => {
                let padding: &dyn signature::RsaEncoding = match scheme {
                    SignatureScheme::RsaPkcs1Sha256 => &signature::RSA_PKCS1_SHA256,
                    SignatureScheme::RsaPkcs1Sha384 => &signature::RSA_PKCS1_SHA384,
                    SignatureScheme::RsaPkcs1Sha512 => &signature::RSA_PKCS1_SHA512,
                    _ => return Err(unsupported()),
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature)
                    .map_err(|_| CryptoError::RandomnessFailed)?;
                Ok(signature)
            }
        }
    }
}

/// The `ENCRYPTED PRIVATE KEY` block of a PEM text, if that is what it holds.
fn find_encrypted_key(pem: &[u8]) -> Result<Option<&str>, CertificateError> {
    const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    let text = std::str::from_utf8(pem).map_err(|e| CertificateError::NoKey(e.to_string()))?;
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(CertificateError::LegacyEncryption);
    }
    let Some(start) = text.find(BEGIN) else { return Ok(None) };
    let block = text.get(start..).unwrap_or_default();
    let end = block.find(END).ok_or_else(|| CertificateError::NoKey("unterminated PEM block".to_owned()))?;
    Ok(block.get(..end + END.len()))
}

fn decrypt_key(pem: &str, password: &str) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let failed = |reason: &dyn std::fmt::Display| CertificateError::Decrypt(reason.to_string());
    // Some editors leave carriage returns or blanks at line ends, which the strict reader refuses.
    let tidy: String = pem.lines().flat_map(|line| [line.trim_end(), "\n"]).collect();
    let (_, document) = pkcs8::SecretDocument::from_pem(&tidy).map_err(|e| failed(&e))?;
    let encrypted = pkcs8::EncryptedPrivateKeyInfo::try_from(document.as_bytes()).map_err(|e| failed(&e))?;
    let plain = encrypted.decrypt(password).map_err(|_| failed(&"wrong password or unsupported scheme"))?;
    Ok(PrivateKeyDer::Pkcs8(plain.as_bytes().to_vec().into()))
}

#[cfg(test)]
mod tests;
