//! Certificate fingerprints as SDP carries them (RFC 8122 section 5).

use aws_lc_rs::digest::{self, Algorithm};

use crate::certificate::colon_hex;

/// The hash functions accepted in `a=fingerprint`. SHA-1 is there because old peers still send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FingerprintHash {
    /// `sha-1`
    Sha1,
    /// `sha-256`
    Sha256,
    /// `sha-384`
    Sha384,
    /// `sha-512`
    Sha512,
}

impl FingerprintHash {
    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }
}

/// Why a fingerprint from an SDP is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// The hash function is none of sha-1, sha-256, sha-384, sha-512.
    #[error("unsupported fingerprint hash")]
    UnknownHash,
    /// Not hexadecimal pairs with colons, or not as many as the hash yields.
    #[error("malformed fingerprint")]
    Malformed,
}

/// What the peer's leaf certificate must hash to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    hash: FingerprintHash,
    value: Vec<u8>,
}

impl Fingerprint {
    /// Reads the two words of an `a=fingerprint` line, in any letter case.
    pub fn parse(hash: &str, value: &str) -> Result<Self, FingerprintError> {
        let hash = [
            FingerprintHash::Sha256,
            FingerprintHash::Sha1,
            FingerprintHash::Sha384,
            FingerprintHash::Sha512,
        ]
        .into_iter()
        .find(|known| known.name().eq_ignore_ascii_case(hash))
        .ok_or(FingerprintError::UnknownHash)?;
        let mut bytes = Vec::with_capacity(hash.algorithm().output_len());
        for pair in value.split(':') {
            if pair.len() != 2 || !pair.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(FingerprintError::Malformed);
            }
            bytes.push(u8::from_str_radix(pair, 16).map_err(|_| FingerprintError::Malformed)?);
        }
        if bytes.len() != hash.algorithm().output_len() {
            return Err(FingerprintError::Malformed);
        }
        Ok(Self { hash, value: bytes })
    }

    /// The fingerprint of a certificate.
    pub fn of(hash: FingerprintHash, certificate_der: &[u8]) -> Self {
        Self { hash, value: digest::digest(hash.algorithm(), certificate_der).as_ref().to_vec() }
    }

    /// Whether `certificate_der` is the certificate meant.
    pub fn matches(&self, certificate_der: &[u8]) -> bool {
        Self::of(self.hash, certificate_der).value == self.value
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.hash.name(), colon_hex(&self.value))
    }
}
