//! Signed tokens, and the comparison of secrets.
//!
//! A token is `EXPIRY,REALM,DESCRIPTOR,...:SIGNATURE`; the signature is the base64 of an HMAC-SHA1 over everything
//! before the colon. The API uses the realm `janus` with plugin packages as descriptors, rooms use the
//! plugin's package as realm with `room=ID`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

/// Whether a given secret is the right one. Takes the same time wherever they differ.
pub fn same_secret(given: &str, right: &str) -> bool {
    given.as_bytes().ct_eq(right.as_bytes()).into()
}

/// A token whose signature, realm and expiry were right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedToken<'a> {
    data: &'a str,
}

impl<'a> SignedToken<'a> {
    /// Checks a token; `unix_now` in seconds. `None` if anything about it is wrong.
    pub fn verify(text: &'a str, secret: &str, realm: &str, unix_now: u64) -> Option<Self> {
        let (data, signature) = text.split_once(':')?;
        let right = signature_of(data, secret)?;
        if signature.contains(':') || !same_secret(signature, &right) {
            return None;
        }
        let mut parts = data.split(',');
        let expiry: u64 = parts.next()?.parse().ok()?;
        (parts.next()? == realm && unix_now <= expiry).then_some(Self { data })
    }

    /// Whether the token carries this descriptor.
    pub fn allows(&self, descriptor: &str) -> bool {
        self.data.split(',').skip(2).any(|d| d == descriptor)
    }
}

/// The base64 of an HMAC-SHA1, as it signs a token's data part and makes the password of a TURN user name. `None` never comes:
/// keys of every length are fine.
pub fn signature_of(data: &str, secret: &str) -> Option<String> {
    // HMAC takes keys of every length; the error type is a formality.
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(data.as_bytes());
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &str = "1700000000,janus,janus.plugin.echotest,janus.plugin.videoroom";

    fn token(data: &str, secret: &str) -> String {
        format!("{data}:{}", signature_of(data, secret).unwrap())
    }

    #[test]
    fn the_signature_is_hmac_sha1_in_base64() {
        // RFC 2202, test case 2.
        let signature = signature_of("what do ya want for nothing?", "Jefe").unwrap();
        assert_eq!(signature, "7/zfauXrL6LSdBbV8YTfnCWafHk=");
    }

    #[test]
    fn a_token_is_valid_until_its_last_second() {
        let text = token(DATA, "s");
        for (now, valid) in [(0, true), (1_700_000_000, true), (1_700_000_001, false)] {
            assert_eq!(SignedToken::verify(&text, "s", "janus", now).is_some(), valid, "{now}");
        }
    }

    #[test]
    fn anything_wrong_makes_it_invalid() {
        for (text, secret, realm) in [
            (token(DATA, "s"), "other", "janus"),
            (token(DATA, "s"), "s", "janus.plugin.videoroom"),
            (token("-1,janus", "s"), "s", "janus"),
            (token("soon,janus", "s"), "s", "janus"),
            (token("1700000000", "s"), "s", "janus"),
            (format!("{}:", token(DATA, "s")), "s", "janus"),
            (token(DATA, "s").replacen("echotest", "recorder", 1), "s", "janus"),
            (DATA.to_owned(), "s", "janus"),
            (String::new(), "s", "janus"),
        ] {
            assert_eq!(SignedToken::verify(&text, secret, realm, 5), None, "{text}");
        }
    }

    #[test]
    fn descriptors_are_whole_words_behind_the_realm() {
        let text = token(DATA, "s");
        let t = SignedToken::verify(&text, "s", "janus", 5).unwrap();
        assert!(t.allows("janus.plugin.echotest") && t.allows("janus.plugin.videoroom"));
        assert!(!t.allows("janus.plugin.echo") && !t.allows("janus") && !t.allows("1700000000"));
    }

    #[test]
    fn secrets_must_agree_wholly() {
        assert!(same_secret("abc", "abc"));
        for given in ["", "ab", "abcd", "abd"] {
            assert!(!same_secret(given, "abc"), "{given}");
        }
    }
}
