use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().unwrap()
}

/// RFC 3711, B.3.
fn rfc3711_master(profile: Profile) -> MasterKey {
    let key = hex("E1F97A0D3E018BE0D64FA32C06DE4139");
    MasterKey::new(profile, &key, &hex("0EC675AD498AFEEBB6960B3AABE6")).unwrap()
}

#[test]
fn key_derivation_gives_the_keys_of_rfc3711_b3() {
    let master = rfc3711_master(Profile::Aes128CmSha1_80);
    let key: [u8; 16] = *master.derive(Label::RtpEncryption).unwrap();
    assert_eq!(key[..], hex("C61E7A93744F39EE10734AFE3FF7A087")[..]);
    let salt: [u8; 14] = *master.derive(Label::RtpSalt).unwrap();
    assert_eq!(salt[..], hex("30CBBC08863D8C85D49DB34A9AE1")[..]);
    let auth: [u8; 94] = *master.derive(Label::RtpAuthentication).unwrap();
    let expected = "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE
                    E049646C43D9327AD175578EF7227098 6371C10C9A369AC2F94A8C5FBCDDDC25
                    6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2";
    assert_eq!(auth[..], hex(expected)[..94]);
}

#[test]
fn key_stream_is_that_of_rfc3711_b2() {
    let salt = array("F0F1F2F3F4F5F6F7F8F9FAFBFCFD");
    let cm = Cm::new(&array("2B7E151628AED2A6ABF7158809CF4F3C"), &salt, &[0; 20], 10);
    let mut stream = vec![0u8; 1_044_512];
    cm.xor(0, 0, &mut stream);
    let blocks = [
        (0x0000, "E03EAD0935C95E80E166B16DD92B4EB4"),
        (0x0001, "D23513162B02D0F72A43A2FE4A5F97AB"),
        (0x0002, "41E95B3BB0A2E8DD477901E4FCA894C0"),
        (0xfeff, "EC8CDF7398607CB0F2D21675EA9EA1E4"),
        (0xff00, "362B7C3C6773516318A077D7FC5073AE"),
        (0xff01, "6A2CC3787889374FBEB4C81B17BA6C44"),
    ];
    for (counter, block) in blocks {
        assert_eq!(stream[16 * counter..16 * counter + 16], hex(block)[..], "counter {counter:#x}");
    }
}

#[test]
fn mac_is_that_of_rfc2202() {
    let cm = Cm::new(&[0; 16], &[0; 14], &[0x0b; 20], 10);
    assert_eq!(cm.mac(b"Hi T", b"here")[..], hex("b617318655057264e28bc0b6fb378c8ef146be00")[..]);
}

#[test]
fn aes_cm_packets_are_those_libsrtp_publishes() {
    let master = rfc3711_master(Profile::Aes128CmSha1_80);
    let plain = hex("800f1234decafbadcafebabe abababababababababababababababab");
    let sealed = hex("800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb");
    check_rtp(&Cipher::new(&master, Kind::Rtp).unwrap(), 0xcafe_babe, 0x1234, &plain, &sealed);

    let plain = hex("81c8000bcafebabe abababababababababababababababab");
    let sealed = hex("81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798");
    check_rtcp(&Cipher::new(&master, Kind::Rtcp).unwrap(), 0xcafe_babe, 1, &plain, &sealed);
}

const SALT: &str = "517569642070726f2071756f";
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn gcm(key_len: usize) -> Cipher {
    Cipher::Gcm(Gcm::new(&hex(KEY)[..key_len], array(SALT)).unwrap())
}

#[test]
fn srtp_gcm_packets_are_those_of_rfc7714_16() {
    let plain = hex("8040f17b8041f8d35501a0b2 47616c6c696120657374206f6d6e69732064
                     697669736120696e207061727465732074726573");
    let sealed_128 = hex("8040f17b8041f8d35501a0b2 f24de3a3fb34de6cacba861c9d7e4bcabe633bd5
                          0d294e6f42a5f47a51c7d19b36de3adf8833 899d7f27beb16a9152cf765ee4390cce");
    let sealed_256 = hex("8040f17b8041f8d35501a0b2 32b1de78a822fe12ef9f78fa332e33aab18012389a
                          58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13");
    check_rtp(&gcm(16), 0x5501_a0b2, 0xf17b, &plain, &sealed_128);
    check_rtp(&gcm(32), 0x5501_a0b2, 0xf17b, &plain, &sealed_256);
}

#[test]
fn srtcp_gcm_packets_are_those_of_rfc7714_17() {
    let plain = hex("81c8000d4d617273 4e5450314e545032525450200000042a0000e930
                     4c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef");
    let sealed_128 = hex("81c8000d4d617273 63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32d
                          c676a5f1730d6fda4ce09b4686303ded 0bb9275bc84aa45896cf4d2fc5abf872
                          45d9eade 800005d4");
    let sealed_256 = hex("81c8000d4d617273 d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50
                          a2eaa5c1110555be8415f658c61de047 6f1b6fad1d1eb30c4446839f57ff6f6c
                          b26ac3be 800005d4");
    check_rtcp(&gcm(16), 0x4d61_7273, 0x5d4, &plain, &sealed_128);
    check_rtcp(&gcm(32), 0x4d61_7273, 0x5d4, &plain, &sealed_256);
}

#[test]
fn unencrypted_srtcp_is_refused_though_authentic() {
    // RFC 7714, 17.3: tag only.
    let packet = hex("81c8000d4d617273 4e5450314e545032525450200000042a0000e930
                      4c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef
                      841dd9683dd78ec92ae58790125f62b3 000005d4");
    assert_eq!(gcm(16).rtcp_index(&packet), Err(Error::NotEncrypted));
}

fn check_rtp(cipher: &Cipher, ssrc: u32, index: u64, plain: &[u8], sealed: &[u8]) {
    let index = PacketIndex::new(index).unwrap();
    let mut buf = plain.to_vec();
    buf.resize(sealed.len(), 0x55);
    assert_eq!(cipher.seal_rtp(ssrc, index, 12, &mut buf, plain.len()), Ok(sealed.len()));
    assert_eq!(buf, sealed);
    assert_eq!(cipher.open_rtp(ssrc, index, 12, &mut buf), Ok(plain.len()));
    assert_eq!(&buf[..plain.len()], plain);
    let mut short = plain.to_vec();
    short.resize(sealed.len() - 1, 0);
    let refused = cipher.seal_rtp(ssrc, index, 12, &mut short, plain.len());
    assert_eq!(refused, Err(Error::BufferTooSmall));
    assert_eq!(&short[..plain.len()], plain, "nothing was written");
}

fn check_rtcp(cipher: &Cipher, ssrc: u32, index: u32, plain: &[u8], sealed: &[u8]) {
    let mut buf = plain.to_vec();
    buf.resize(sealed.len(), 0x55);
    assert_eq!(cipher.seal_rtcp(ssrc, index, &mut buf, plain.len()), Ok(sealed.len()));
    assert_eq!(buf, sealed);
    assert_eq!(cipher.rtcp_index(&buf), Ok(index));
    assert_eq!(cipher.open_rtcp(ssrc, index, &mut buf), Ok(plain.len()));
    assert_eq!(&buf[..plain.len()], plain);
    let mut short = plain.to_vec();
    short.resize(sealed.len() - 1, 0);
    assert_eq!(cipher.seal_rtcp(ssrc, index, &mut short, plain.len()), Err(Error::BufferTooSmall));
    assert_eq!(&short[..plain.len()], plain, "nothing was written");
}
