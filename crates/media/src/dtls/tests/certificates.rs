//! Who is let in: fingerprints and certificates, in both roles.

use super::*;

fn wrong() -> Fingerprint {
    Fingerprint::of(FingerprintHash::Sha256, b"another certificate")
}

#[test]
fn a_wrong_fingerprint_ends_either_role_with_an_alert_and_no_keys() {
    for kind in [KeyKind::EcdsaP256, KeyKind::Rsa2048] {
        for suspicious in [0, 1] {
            let config = config(kind);
            let expect = |side| if side == suspicious { wrong() } else { fingerprint_of(&config) };
            let client = Dtls::new(&config, Role::Client, expect(0));
            let server = Dtls::new(&config, Role::Server, expect(1));
            let mut path = Path::new(client, server);
            path.run();
            assert_eq!(path.ends[suspicious].failed, Some(DtlsError::FingerprintMismatch));
            // bad_certificate
            assert_eq!(path.ends[1 - suspicious].failed, Some(DtlsError::PeerAlert(Some(42))));
            assert!(path.ends.iter().all(|end| end.keys.is_none() && end.data.is_empty()));
        }
    }
}

#[test]
fn every_hash_name_of_the_sdp_is_checked_in_both_roles() {
    use FingerprintHash::{Sha1, Sha256, Sha384, Sha512};
    let config = config(KeyKind::EcdsaP256);
    let leaf = config.certificate().chain()[0].to_vec();
    for hash in [Sha1, Sha256, Sha384, Sha512] {
        for wrong_side in [None, Some(0), Some(1)] {
            let expect = |side| match wrong_side {
                Some(wrong) if wrong == side => Fingerprint::of(hash, b"another certificate"),
                _ => Fingerprint::of(hash, &leaf),
            };
            let client = Dtls::new(&config, Role::Client, expect(0));
            let server = Dtls::new(&config, Role::Server, expect(1));
            let mut path = Path::new(client, server);
            path.run();
            assert_eq!(path.both_connected(), wrong_side.is_none(), "{hash:?} {wrong_side:?}");
            if let Some(side) = wrong_side {
                assert_eq!(path.ends[side].failed, Some(DtlsError::FingerprintMismatch));
                assert!(path.ends.iter().all(|end| end.keys.is_none()));
            }
        }
    }
}

#[test]
fn fingerprints_are_read_as_sdp_writes_them() {
    let sha256 = "a1:B2:".repeat(15) + "C3:d4";
    let read = Fingerprint::parse("SHA-256", &sha256).unwrap();
    assert_eq!(read.to_string(), format!("sha-256 {}", sha256.to_uppercase()));
    let sha1 = "00:".repeat(19) + "ff";
    assert!(Fingerprint::parse("sha-1", &sha1).is_ok());
    for (hash, value, error) in [
        ("sha-255", sha256.as_str(), FingerprintError::UnknownHash),
        ("md5", "00", FingerprintError::UnknownHash),
        ("", "", FingerprintError::UnknownHash),
        ("sha-256", "", FingerprintError::Malformed),
        ("sha-256", sha1.as_str(), FingerprintError::Malformed),
        ("sha-384", sha256.as_str(), FingerprintError::Malformed),
        ("sha-1", "+0:+1:+2:+3:+4:+5:+6:+7:+8:+9:+0:+1:+2:+3:+4:+5:+6:+7:+8:+9", FingerprintError::Malformed),
        ("sha-1", &sha1.replace(':', ""), FingerprintError::Malformed),
        ("sha-1", &format!("{sha1}:"), FingerprintError::Malformed),
        ("sha-1", "ää:", FingerprintError::Malformed),
    ] {
        assert_eq!(Fingerprint::parse(hash, value), Err(error), "{hash} {value}");
    }
}

/// A certificate made by hand: validity in days from now, and whether another one signs it.
fn made(from: i64, to: i64, issued: bool) -> Certificate {
    let day = |days: i64| {
        let span = Duration::from_secs(days.unsigned_abs() * 86_400);
        let now = SystemTime::now();
        if days < 0 { now - span } else { now + span }
    };
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.not_before = day(from).into();
    params.not_after = day(to).into();
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "leaf");
    let certificate = if issued {
        let issuer_key = rcgen::KeyPair::generate().unwrap();
        let issuer = rcgen::Issuer::new(rcgen::CertificateParams::default(), issuer_key);
        params.signed_by(&key, &issuer).unwrap()
    } else {
        params.self_signed(&key).unwrap()
    };
    Certificate::load(certificate.pem().as_bytes(), key.serialize_pem().as_bytes(), None).unwrap()
}

#[test]
fn expired_certificates_are_refused_in_both_roles_and_early_ones_are_not() {
    let good = config(KeyKind::EcdsaP256);
    for (from, to, verdict) in [(-9, -1, Some(DtlsError::CertificateExpired)), (1, 9, None)] {
        let other = DtlsConfig::new(&made(from, to, false), DtlsSettings::default()).unwrap();
        for (client, server, judge) in [(&good, &other, 0), (&other, &good, 1)] {
            let (client, server) = Path::pair(client, server);
            let mut path = Path::new(client, server);
            path.run();
            assert_eq!(path.ends[judge].failed, verdict);
            assert_eq!(path.both_connected(), verdict.is_none());
        }
    }
}

#[test]
fn selfsigned_certificates_can_be_refused() {
    let strict = DtlsSettings { accept_selfsigned: false, ..DtlsSettings::default() };
    let strict = DtlsConfig::new(&certificate(KeyKind::EcdsaP256), strict).unwrap();
    for (issued, verdict) in [(false, Some(DtlsError::SelfSigned)), (true, None)] {
        let other = DtlsConfig::new(&made(-1, 1, issued), DtlsSettings::default()).unwrap();
        for (client, server, judge) in [(&strict, &other, 0), (&other, &strict, 1)] {
            let (client, server) = Path::pair(client, server);
            let mut path = Path::new(client, server);
            path.run();
            assert_eq!(path.ends[judge].failed, verdict);
        }
    }
}

#[test]
fn an_association_can_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<Dtls>();
    is_send::<DtlsOutput>();
}
