//! Anything may come in, and nothing but what was sealed with the key opens or moves state.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portunus_srtp::{
    Error, MAX_RTCP_OVERHEAD, MAX_RTP_OVERHEAD, MasterKey, Opener, Profile, Sealer, rtp_header_len,
};

fuzz_target!(|data: &[u8]| {
    // One profile an input: making keys is most of the work.
    let profile = Profile::PREFERENCE[data.last().map_or(0, |octet| usize::from(octet % 4))];
    raw_bytes(profile, data);
    if let Some((control, body)) = data.split_first_chunk::<5>() {
        changed_rtp(profile, *control, body);
        changed_rtcp(profile, *control, body);
    }
});

fn pair(profile: Profile) -> (Sealer, Opener) {
    let key = || {
        let (key, salt) = (&[0x42; 32][..profile.key_len()], &[0x17; 14][..profile.salt_len()]);
        MasterKey::new(profile, key, salt).expect("key lengths fit")
    };
    (Sealer::new(key()).expect("a key"), Opener::new(&key()).expect("a key"))
}

/// The input as a packet, on both sides.
fn raw_bytes(profile: Profile, data: &[u8]) {
    let (mut sealer, mut opener) = pair(profile);
    assert!(opener.unprotect_rtp(&mut data.to_vec()).is_err(), "a forgery opened");
    assert!(opener.unprotect_rtcp(&mut data.to_vec()).is_err(), "a forgery opened");
    if let Some(ssrc) = data.get(8..12) {
        assert_eq!(opener.highest(u32::from_be_bytes(ssrc.try_into().expect("4 octets"))), None);
    }
    let mut buf = data.to_vec();
    buf.resize(data.len() + MAX_RTP_OVERHEAD, 0);
    if let Ok(len) = sealer.protect_rtp(&mut buf, data.len()) {
        let opened = opener.unprotect_rtp(&mut buf[..len]).expect("what was sealed opens");
        assert_eq!(&buf[..opened.len], data);
        assert_eq!(rtp_header_len(data), Ok(opened.header_len));
    }
    let mut buf = data.to_vec();
    buf.resize(data.len() + MAX_RTCP_OVERHEAD, 0);
    if let Ok(len) = sealer.protect_rtcp(&mut buf, data.len()) {
        let opened = opener.unprotect_rtcp(&mut buf[..len]).expect("what was sealed opens");
        assert_eq!(&buf[..opened], data);
    }
}

/// A sealed packet, then changed in one octet, cut or continued.
fn changed_rtp(profile: Profile, control: [u8; 5], body: &[u8]) {
    let (mut sealer, mut opener) = pair(profile);
    let [flags, s0, s1, csrcs, _] = control;
    let seq = u16::from_be_bytes([s0, s1]);
    let mut plain = vec![0x80 | csrcs & 0x0f, 96, s0, s1, 0, 0, 0, 0, 1, 2, 3, 4];
    plain.extend((0..4 * (csrcs & 0x0f)).map(|n| n ^ flags));
    if flags & 0x40 != 0 {
        plain[0] |= 0x10;
        plain.extend([0xbe, 0xde, 0, 1, 0x10, flags, 0, 0]);
    }
    plain.extend(body);
    let mut sealed = plain.clone();
    sealed.resize(plain.len() + MAX_RTP_OVERHEAD, 0);
    let len = sealer.protect_rtp(&mut sealed, plain.len()).expect("a sound packet");
    sealed.truncate(len);

    let mut changed = change(&sealed, control);
    assert!(opener.unprotect_rtp(&mut changed).is_err(), "a changed packet opened");
    assert_eq!(opener.highest(0x0102_0304), None, "a changed packet left a trace");
    let opened = opener.unprotect_rtp(&mut sealed.clone()[..]).expect("the packet itself opens");
    assert_eq!((opened.len, opened.index.seq()), (plain.len(), seq));
    let mut changed = change(&sealed, control);
    assert!(opener.unprotect_rtp(&mut changed).is_err(), "a changed packet opened");
    assert_eq!(opener.highest(0x0102_0304), Some(opened.index), "a changed packet left a trace");
    assert_eq!(opener.unprotect_rtp(&mut sealed), Err(Error::Replay));
}

fn changed_rtcp(profile: Profile, control: [u8; 5], body: &[u8]) {
    let (mut sealer, mut opener) = pair(profile);
    let mut plain = vec![0x80, 200, 0, 1, 1, 2, 3, 4];
    plain.extend(body);
    let mut sealed = plain.clone();
    sealed.resize(plain.len() + MAX_RTCP_OVERHEAD, 0);
    let len = sealer.protect_rtcp(&mut sealed, plain.len()).expect("a sound packet");
    sealed.truncate(len);
    assert!(opener.unprotect_rtcp(&mut change(&sealed, control)).is_err(), "a changed packet opened");
    assert_eq!(opener.unprotect_rtcp(&mut sealed.clone()), Ok(plain.len()));
    assert_eq!(opener.unprotect_rtcp(&mut sealed), Err(Error::Replay));
}

/// Differs from `sealed` in every case.
fn change(sealed: &[u8], [flags, s0, s1, _, how]: [u8; 5]) -> Vec<u8> {
    let at = usize::from(u16::from_be_bytes([s1, s0])) % sealed.len();
    let mut changed = sealed.to_vec();
    match flags % 4 {
        0 | 1 => changed[at] ^= how.max(1),
        2 => changed.truncate(at),
        _ => changed.push(how),
    }
    changed
}
