use super::*;

fn now() -> SystemTime {
    SystemTime::now()
}

/// A self-signed certificate with this key, and the key as PKCS#8.
fn pair(algorithm: &'static rcgen::SignatureAlgorithm) -> (String, Vec<u8>) {
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_der())
}

fn pem(label: &str, der: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64(der).as_bytes().chunks(64) {
        writeln!(text, "{}", std::str::from_utf8(line).unwrap()).unwrap();
    }
    text + &format!("-----END {label}-----\n")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let padded = [group[0], *group.get(1).unwrap_or(&0), *group.get(2).unwrap_or(&0)];
        let number = u32::from_be_bytes([0, padded[0], padded[1], padded[2]]);
        for digit in 0..4 {
            let index = usize::try_from(number >> (18 - 6 * digit) & 63).unwrap();
            text.push(if digit <= group.len() { char::from(DIGITS[index]) } else { '=' });
        }
    }
    text
}

/// The bytes inside the last OCTET STRING of a PKCS#8 key: its SEC1 or PKCS#1 form.
fn inner_key(pkcs8: &[u8]) -> Vec<u8> {
    let info = pkcs8::PrivateKeyInfo::try_from(pkcs8).unwrap();
    info.private_key.to_vec()
}

#[test]
fn generated_certificates_sign_and_are_valid_for_a_year() {
    for (kind, scheme) in [
        (KeyKind::EcdsaP256, SignatureScheme::EcdsaP256Sha256),
        (KeyKind::Rsa2048, SignatureScheme::RsaPkcs1Sha256),
    ] {
        let certificate = Certificate::generate(kind, now()).unwrap();
        let lasts = certificate.not_after().duration_since(now()).unwrap();
        assert!(lasts > Duration::from_secs(364 * 86_400) && lasts <= VALIDITY);
        assert!(!certificate.is_expired(now()) && certificate.is_expired(now() + VALIDITY + BACKDATE));
        let key = &certificate.shared.key;
        let signature = key.sign(scheme, b"message").unwrap();
        let provider = rtc_crypto::providers::AwsLcRsProvider::new();
        use rtc_crypto::RTCCryptoProvider as _;
        provider.crypto().verify_signature(scheme, key.public_key(), b"message", &signature).unwrap();
        assert!(key.sign(SignatureScheme::Ed25519, b"message").is_err());
    }
}

#[test]
fn fingerprints_are_colon_separated_upper_case_hexadecimal() {
    let certificate = Certificate::generate(KeyKind::EcdsaP256, now()).unwrap();
    let pairs: Vec<&str> = certificate.fingerprint_sha256().split(':').collect();
    assert_eq!(pairs.len(), 32);
    assert!(
        pairs.iter().all(|pair| pair.len() == 2 && pair.bytes().all(|b| b"0123456789ABCDEF".contains(&b)))
    );
    let again = Certificate::generate(KeyKind::EcdsaP256, now()).unwrap();
    assert_ne!(certificate.fingerprint_sha256(), again.fingerprint_sha256());
    assert_eq!(colon_hex(&[0, 0xab, 0x0c]), "00:AB:0C");
}

#[test]
fn keys_are_read_in_every_usual_encoding() {
    for (algorithm, old_label) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, "EC PRIVATE KEY"),
        (&rcgen::PKCS_ECDSA_P384_SHA384, "EC PRIVATE KEY"),
        (&rcgen::PKCS_RSA_SHA256, "RSA PRIVATE KEY"),
    ] {
        let (cert, key) = pair(algorithm);
        let plain = pem("PRIVATE KEY", &key);
        let loaded = Certificate::load(cert.as_bytes(), plain.as_bytes(), None).unwrap();
        let old = pem(old_label, &inner_key(&key));
        // Both files may be one, and a password that is not needed does not matter.
        let both = format!("{old}{cert}");
        let again = Certificate::load(both.as_bytes(), both.as_bytes(), Some("unused")).unwrap();
        assert_eq!(loaded.fingerprint_sha256(), again.fingerprint_sha256());
    }
}

#[test]
fn encrypted_keys_need_the_right_password() {
    let (cert, key) = pair(&rcgen::PKCS_ECDSA_P256_SHA256);
    let info = pkcs8::PrivateKeyInfo::try_from(key.as_slice()).unwrap();
    let parameters =
        pkcs8::pkcs5::pbes2::Parameters::pbkdf2_sha256_aes256cbc(2048, &[7; 16], &[9; 16]).unwrap();
    let encrypted = info.encrypt_with_params(parameters, "secret").unwrap();
    let encrypted = pem("ENCRYPTED PRIVATE KEY", encrypted.as_bytes());
    let load = |key: &str, password| Certificate::load(cert.as_bytes(), key.as_bytes(), password);
    assert!(load(&encrypted, Some("secret")).is_ok());
    assert!(load(&encrypted.replace('\n', " \r\n"), Some("secret")).is_ok());
    assert!(matches!(load(&encrypted, None), Err(CertificateError::PasswordMissing)));
    assert!(matches!(load(&encrypted, Some("wrong")), Err(CertificateError::Decrypt(_))));
    assert!(matches!(
        load(&encrypted.replace("-----END", "-----FIN"), Some("x")),
        Err(CertificateError::NoKey(_))
    ));
    let legacy =
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n";
    assert!(matches!(load(legacy, Some("x")), Err(CertificateError::LegacyEncryption)));
}

#[test]
fn a_chain_is_kept_whole_and_the_leaf_comes_first() {
    let (leaf, key) = pair(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (other, _) = pair(&rcgen::PKCS_ECDSA_P256_SHA256);
    let key = pem("PRIVATE KEY", &key);
    let chain = Certificate::load(format!("{leaf}{other}").as_bytes(), key.as_bytes(), None).unwrap();
    assert_eq!(chain.chain().len(), 2);
    assert_eq!(chain.to_dtls().certificate.len(), 2);
    let alone = Certificate::load(leaf.as_bytes(), key.as_bytes(), None).unwrap();
    assert_eq!(chain.fingerprint_sha256(), alone.fingerprint_sha256());
    let swapped = Certificate::load(format!("{other}{leaf}").as_bytes(), key.as_bytes(), None);
    assert!(matches!(swapped, Err(CertificateError::KeyMismatch)));
}

#[test]
fn files_that_are_not_what_they_should_be_are_refused_with_the_reason() {
    let (cert, key) = pair(&rcgen::PKCS_ECDSA_P256_SHA256);
    let key = pem("PRIVATE KEY", &key);
    let (_, foreign) = pair(&rcgen::PKCS_ECDSA_P256_SHA256);
    let foreign = pem("PRIVATE KEY", &foreign);
    let (_, ed25519) = pair(&rcgen::PKCS_ED25519);
    let ed25519 = pem("PRIVATE KEY", &ed25519);
    let load = |cert: &str, key: &[u8]| Certificate::load(cert.as_bytes(), key, None);
    assert!(matches!(load("", key.as_bytes()), Err(CertificateError::NoCertificate(_))));
    assert!(matches!(load(&key, key.as_bytes()), Err(CertificateError::NoCertificate(_))));
    let broken = pem("CERTIFICATE", &[0x30, 3, 1, 1, 1]);
    assert!(matches!(load(&broken, key.as_bytes()), Err(CertificateError::NoCertificate(_))));
    assert!(matches!(load(&cert, b""), Err(CertificateError::NoKey(_))));
    assert!(matches!(load(&cert, &[0xff, 0xfe]), Err(CertificateError::NoKey(_))));
    assert!(matches!(load(&cert, cert.as_bytes()), Err(CertificateError::NoKey(_))));
    assert!(matches!(load(&cert, foreign.as_bytes()), Err(CertificateError::KeyMismatch)));
    assert!(matches!(load(&cert, ed25519.as_bytes()), Err(CertificateError::UnsupportedKey)));
}

#[test]
fn an_expired_file_is_read_and_says_so() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.not_before = (now() - Duration::from_secs(10 * 86_400)).into();
    params.not_after = (now() - Duration::from_secs(86_400)).into();
    let cert = params.self_signed(&key).unwrap();
    let loaded = Certificate::load(cert.pem().as_bytes(), key.serialize_pem().as_bytes(), None).unwrap();
    assert!(loaded.is_expired(now()));
}
