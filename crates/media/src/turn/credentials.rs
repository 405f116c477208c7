//! Long-term credentials (RFC 8489 section 9.2): what a server asks for, and how requests are signed then.
//!
//! With a server of RFC 5389 that is MD5 and HMAC-SHA1; one of RFC 8489 offers password algorithms, of which we take
//! the first we know, and signs with HMAC-SHA256. Absent on purpose: the preparation of exotic letters in names and
//! passwords (OpaqueString); they are taken byte by byte.

use super::message::{Integrity, Message, Writer, attribute};
use aws_lc_rs::digest;
use md5::{Digest, Md5};

/// RFC 8489 sections 14.9 and 14.10: 763 bytes at most; what a server says beyond that is not kept.
const LONGEST: usize = 763;
/// RFC 8489 section 9.2: how a nonce begins that says which features the server has.
const COOKIE: &[u8] = b"obMatJos2";
/// In the three bytes that follow, base64: password algorithms, and hashed user names.
const ALGORITHMS_BIT: u8 = 0x80;
const HASHED_NAMES_BIT: u8 = 0x40;
const MD5: u16 = 1;
const SHA256: u16 = 2;

/// Who we are, and what the server said about how to prove it.
pub(crate) struct Credentials {
    username: String,
    password: String,
    challenge: Option<Challenge>,
}

struct Challenge {
    realm: Vec<u8>,
    nonce: Vec<u8>,
    /// PASSWORD-ALGORITHMS as it came, and the one chosen.
    algorithms: Option<(Vec<u8>, u16)>,
    key: Vec<u8>,
}

impl Credentials {
    pub(crate) fn new(username: &str, password: &str) -> Self {
        Self { username: username.to_owned(), password: password.to_owned(), challenge: None }
    }

    /// Whether requests are signed already.
    pub(crate) const fn is_challenged(&self) -> bool {
        self.challenge.is_some()
    }

    /// Takes realm and nonce of a 401 or 438. `false`: there is nothing that could be answered.
    pub(crate) fn take_challenge(&mut self, message: &Message<'_>) -> bool {
        let (Some(nonce), realm) = (message.get(attribute::NONCE), message.get(attribute::REALM)) else {
            return false;
        };
        let kept = self.challenge.as_ref().map(|c| c.realm.as_slice());
        let Some(realm) = realm.or(kept) else { return false };
        if nonce.len() > LONGEST || realm.len() > LONGEST || self.username.is_empty() {
            return false;
        }
        let algorithms = message.get(attribute::PASSWORD_ALGORITHMS);
        // Section 9.2.5: somebody took the better algorithms out.
        if algorithms.is_none() && has_feature(nonce, ALGORITHMS_BIT) {
            return false;
        }
        let chosen = match algorithms {
            Some(list) => match first_known(list) {
                Some(algorithm) => Some((list.to_vec(), algorithm)),
                None => return false,
            },
            None => None,
        };
        let key = match &chosen {
            Some((_, SHA256)) => sha256_key(&self.username, realm, &self.password),
            _ => md5_key(&self.username, realm, &self.password),
        };
        self.challenge =
            Some(Challenge { realm: realm.to_vec(), nonce: nonce.to_vec(), algorithms: chosen, key });
        true
    }

    /// Signs a request, if the server wants that.
    pub(crate) fn sign(&self, request: &mut Writer) {
        let Some(c) = &self.challenge else { return };
        if has_feature(&c.nonce, HASHED_NAMES_BIT) {
            let hashed = [self.username.as_bytes(), b":", &c.realm].concat();
            request.put(attribute::USERHASH, digest::digest(&digest::SHA256, &hashed).as_ref());
        } else {
            request.put(attribute::USERNAME, self.username.as_bytes());
        }
        request.put(attribute::REALM, &c.realm);
        request.put(attribute::NONCE, &c.nonce);
        if let Some((list, algorithm)) = &c.algorithms {
            request.put(attribute::PASSWORD_ALGORITHMS, list);
            let [high, low] = algorithm.to_be_bytes();
            request.put(attribute::PASSWORD_ALGORITHM, &[high, low, 0, 0]);
        }
        request.sign(c.integrity(), &c.key);
    }

    /// Whether an answer is the server's. Who was asked for nothing can check nothing.
    pub(crate) fn verify(&self, message: &Message<'_>) -> bool {
        self.challenge.as_ref().is_none_or(|c| message.verify(c.integrity(), &c.key))
    }
}

impl Challenge {
    const fn integrity(&self) -> Integrity {
        if self.algorithms.is_some() { Integrity::Sha256 } else { Integrity::Sha1 }
    }
}

pub(super) fn md5_key(username: &str, realm: &[u8], password: &str) -> Vec<u8> {
    Md5::digest(joined(username, realm, password)).to_vec()
}

pub(super) fn sha256_key(username: &str, realm: &[u8], password: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, &joined(username, realm, password)).as_ref().to_vec()
}

fn joined(username: &str, realm: &[u8], password: &str) -> Vec<u8> {
    [username.as_bytes(), realm, password.as_bytes()].join(&b':')
}

/// The first of a list of algorithms with their parameters that is one of ours.
fn first_known(mut list: &[u8]) -> Option<u16> {
    while let Some((&[a0, a1, l0, l1], rest)) = list.split_first_chunk::<4>() {
        let algorithm = u16::from_be_bytes([a0, a1]);
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        if matches!(algorithm, MD5 | SHA256) {
            return Some(algorithm);
        }
        list = rest.get(len.next_multiple_of(4)..)?;
    }
    None
}

fn has_feature(nonce: &[u8], bit: u8) -> bool {
    // The first of four base64 letters has the upper six bits.
    let letter = nonce.strip_prefix(COOKIE).and_then(|features| features.first_chunk::<4>()).map(|f| f[0]);
    let value = match letter {
        Some(c @ b'A'..=b'Z') => c - b'A',
        Some(c @ b'a'..=b'z') => c - b'a' + 26,
        Some(c @ b'0'..=b'9') => c - b'0' + 52,
        Some(b'+') => 62,
        Some(b'/') => 63,
        _ => 0,
    };
    (value << 2) & bit != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nonce_tells_features() {
        for (nonce, algorithms, hashed) in [
            (&b"obMatJos2AAAC"[..], false, false),
            (b"obMatJos2gAAC", true, false),
            (b"obMatJos2QAAC", false, true),
            (b"obMatJos2wAAC", true, true),
            (b"xbMatJos2wAAC", false, false),
            (b"obMatJos2wA", false, false),
        ] {
            assert_eq!(has_feature(nonce, ALGORITHMS_BIT), algorithms);
            assert_eq!(has_feature(nonce, HASHED_NAMES_BIT), hashed);
        }
    }

    #[test]
    fn unknown_algorithms_are_stepped_over() {
        assert_eq!(first_known(&[0, 9, 0, 3, 1, 2, 3, 0, 0, 2, 0, 0, 0, 1, 0, 0]), Some(SHA256));
        assert_eq!(first_known(&[0, 9, 0, 0]), None);
        assert_eq!(first_known(&[0, 9, 0, 60, 0, 1, 0, 0]), None);
    }
}
