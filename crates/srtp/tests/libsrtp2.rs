//! The same packets through libsrtp2 and through us: the same bytes out, the same verdicts.
//!
//! Needs a C compiler and libsrtp2's headers. Where they cannot be had, `PORTUNUS_SKIP_LIBSRTP2=1` leaves this out.

use portunus_srtp::{Error, MAX_RTCP_OVERHEAD, MAX_RTP_OVERHEAD, MasterKey, Opener, Profile, Sealer};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Commands per profile and direction: enough for several wraps of each of the sequence numbers.
const PACKETS: usize = 80_000;
const SSRCS: [u32; 3] = [0x0000_0001, 0x8000_0000, 0xdead_beef];
/// One starts right below a wrap, one in the middle, one at zero.
const FIRST_SEQ: [u32; 3] = [65_530, 33_000, 0];

#[test]
fn gcm_128_agrees_with_libsrtp2() {
    agree(Profile::AeadAes128Gcm);
}

#[test]
fn gcm_256_agrees_with_libsrtp2() {
    agree(Profile::AeadAes256Gcm);
}

#[test]
fn cm_sha1_80_agrees_with_libsrtp2() {
    agree(Profile::Aes128CmSha1_80);
}

#[test]
fn cm_sha1_32_agrees_with_libsrtp2() {
    agree(Profile::Aes128CmSha1_32);
}

fn agree(profile: Profile) {
    let Some(driver) = driver() else { return };
    let sealed = we_seal_what_it_seals(profile, driver);
    we_open_what_it_opens(profile, driver, sealed, 1);
    we_open_what_it_opens(profile, driver, it_seals(profile, driver), 2);
}

/// Seals the same packets on both sides; they must be identical octet by octet.
fn we_seal_what_it_seals(profile: Profile, driver: &Path) -> Vec<(bool, Vec<u8>)> {
    let mut sealer = Sealer::new(key(profile)).unwrap();
    // libsrtp2's first SRTCP index is 1, ours 0 as RFC 3711, 3.4 has it.
    for ssrc in SSRCS {
        let mut spare = [0x80, 201, 0, 1, 0, 0, 0, 0].to_vec();
        spare[4..8].copy_from_slice(&ssrc.to_be_bytes());
        spare.resize(8 + MAX_RTCP_OVERHEAD, 0);
        sealer.protect_rtcp(&mut spare, 8).unwrap();
    }
    let plain = plain_packets(&mut Random(3));
    let commands = plain.iter().map(|(rtcp, p)| (if *rtcp { b'P' } else { b'p' }, p.clone())).collect();
    let theirs = run(profile, driver, commands);
    let mut sealed = Vec::new();
    for (n, ((rtcp, plain), (answer, expected))) in plain.iter().zip(theirs).enumerate() {
        assert_eq!(answer, 'k', "libsrtp2 seals packet {n}");
        let mut ours = plain.clone();
        ours.resize(plain.len() + MAX_RTP_OVERHEAD.max(MAX_RTCP_OVERHEAD), 0);
        let len = if *rtcp {
            sealer.protect_rtcp(&mut ours, plain.len())
        } else {
            sealer.protect_rtp(&mut ours, plain.len())
        };
        ours.truncate(len.unwrap());
        assert!(ours == expected, "{profile:?}, packet {n}, rtcp {rtcp}:\n{ours:02x?}\n{expected:02x?}");
        sealed.push((*rtcp, ours));
    }
    sealed
}

fn it_seals(profile: Profile, driver: &Path) -> Vec<(bool, Vec<u8>)> {
    let plain = plain_packets(&mut Random(77));
    let commands = plain.iter().map(|(rtcp, p)| (if *rtcp { b'P' } else { b'p' }, p.clone())).collect();
    let sealed = run(profile, driver, commands);
    plain.iter().zip(sealed).map(|((rtcp, _), (_, packet))| (*rtcp, packet)).collect()
}

/// Opens sealed packets on both sides, reordered, repeated, damaged and truncated.
fn we_open_what_it_opens(profile: Profile, driver: &Path, sealed: Vec<(bool, Vec<u8>)>, seed: u64) {
    let mut random = Random(seed);
    let arrivals = disturb(sealed, &mut random);
    let commands = arrivals.iter().map(|(rtcp, p)| (if *rtcp { b'U' } else { b'u' }, p.clone())).collect();
    let theirs = run(profile, driver, commands);
    let mut opener = Opener::new(&key(profile)).unwrap();
    let mut count = std::collections::BTreeMap::<char, usize>::new();
    for (n, ((rtcp, packet), (verdict, plain))) in arrivals.iter().zip(theirs).enumerate() {
        let mut ours = packet.clone();
        let opened = if *rtcp {
            opener.unprotect_rtcp(&mut ours)
        } else {
            opener.unprotect_rtp(&mut ours).map(|opened| opened.len)
        };
        // With GCM libsrtp2 takes unencrypted SRTCP and finds a damaged E flag by the tag only.
        let e_flag = opened == Err(Error::NotEncrypted) && verdict == 'a';
        assert!(
            letter(opened) == verdict || e_flag,
            "{profile:?}, packet {n}, rtcp {rtcp}: {opened:?}, {verdict}"
        );
        if let Ok(len) = opened {
            assert!(ours[..len] == plain[..], "{profile:?}, packet {n}, rtcp {rtcp}");
        }
        *count.entry(verdict).or_default() += 1;
    }
    assert!(opener.highest(SSRCS[2]).is_some_and(|index| index.roc() >= 2), "too few wraps");
    for (verdict, least) in [('k', 66_000), ('r', 3_000), ('o', 3_000), ('a', 7_000), ('x', 500)] {
        let seen = count.get(&verdict).copied().unwrap_or(0);
        assert!(seen >= least, "the packets try too little of '{verdict}': {count:?}");
    }
}

fn letter(opened: Result<usize, Error>) -> char {
    match opened {
        Ok(_) => 'k',
        Err(Error::Replay) => 'r',
        Err(Error::TooOld) => 'o',
        Err(Error::Authentication) => 'a',
        Err(_) => 'x',
    }
}

/// RTP of three SSRCs, ascending with gaps, with CSRCs and extensions; one packet in eight is RTCP.
fn plain_packets(random: &mut Random) -> Vec<(bool, Vec<u8>)> {
    let mut seqs = FIRST_SEQ;
    (0..PACKETS)
        .map(|_| {
            let stream = random.below(10).min(2);
            if random.below(8) == 0 {
                let mut p = vec![0x80 | random.below(32) as u8, 200 + random.below(7) as u8];
                let words = 1 + random.below(30);
                p.extend((words as u16).to_be_bytes());
                p.extend(SSRCS[stream].to_be_bytes());
                p.extend((1..words).flat_map(|_| random.next().to_be_bytes().into_iter().take(4)));
                return (true, p);
            }
            seqs[stream] += 1 + [0, 0, 0, 0, 0, 0, 1, random.below(40)][random.below(8)] as u32;
            (false, rtp(random, SSRCS[stream], seqs[stream] as u16))
        })
        .collect()
}

fn rtp(random: &mut Random, ssrc: u32, seq: u16) -> Vec<u8> {
    let csrcs = [0, 0, 1, 15][random.below(4)];
    let extension = [None, Some(0), Some(1), Some(5)][random.below(4)];
    let mut p = vec![0x80 | csrcs | if extension.is_some() { 0x10 } else { 0 }, random.next() as u8];
    p.extend(seq.to_be_bytes());
    p.extend((random.next() as u32).to_be_bytes());
    p.extend(ssrc.to_be_bytes());
    p.extend((0..4 * csrcs).map(|_| random.next() as u8));
    if let Some(words) = extension {
        p.extend([0xbe, 0xde, 0, words]);
        p.extend((0..4 * words).map(|_| random.next() as u8));
    }
    let payload = [random.below(4), random.below(64), random.below(256)][random.below(3)];
    p.extend((0..payload).map(|_| random.next() as u8));
    p
}

/// What a network and an attacker do to packets.
fn disturb(sealed: Vec<(bool, Vec<u8>)>, random: &mut Random) -> Vec<(bool, Vec<u8>)> {
    // Some packets come late: a few places, or more than the window has.
    let mut late: Vec<_> = sealed
        .into_iter()
        .enumerate()
        .map(|(n, packet)| {
            let reach = [1, 1, 1, 1, 1, 1, 40, 400][random.below(8)];
            (n + random.below(reach), packet)
        })
        .collect();
    late.sort_by_key(|(place, _)| *place);
    let sealed: Vec<_> = late.into_iter().map(|(_, packet)| packet).collect();
    let mut arrivals = Vec::new();
    for n in 0..sealed.len() {
        let (rtcp, packet) = &sealed[n];
        if random.below(8) == 0 {
            let mut damaged = packet.clone();
            let at = random.below(damaged.len());
            // The version is checked by us and ignored by libsrtp2.
            damaged[at] ^= 1 << random.below(if at == 0 { 6 } else { 8 });
            arrivals.push((*rtcp, damaged));
        }
        if random.below(100) == 0 {
            let len = random.below(packet.len());
            arrivals.push((*rtcp, packet[..len].to_vec()));
        }
        arrivals.push(sealed[n].clone());
        if random.below(10) == 0 {
            let reach = [2_000, 30][random.below(2)];
            let back = random.below(reach).min(n);
            arrivals.push(sealed[n - back].clone());
        }
    }
    arrivals
}

/// Feeds libsrtp2 and collects its replies.
fn run(profile: Profile, driver: &Path, commands: Vec<(u8, Vec<u8>)>) -> Vec<(char, Vec<u8>)> {
    let (key, salt) = key_parts(profile);
    let hex: String = key.iter().chain(&salt).map(|octet| format!("{octet:02x}")).collect();
    let mut child = Command::new(driver)
        .args([profile.dtls_id().to_string(), hex])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let wanted = commands.len();
    let writer = std::thread::spawn(move || {
        let mut all = Vec::new();
        for (command, packet) in commands {
            all.push(command);
            all.extend((packet.len() as u16).to_be_bytes());
            all.extend(packet);
        }
        input.write_all(&all)
    });
    let replies = (0..wanted)
        .map(|_| {
            let mut head = [0; 3];
            output.read_exact(&mut head).expect("a reply to each command");
            let mut packet = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
            output.read_exact(&mut packet).unwrap();
            (char::from(head[0]), packet)
        })
        .collect();
    writer.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    replies
}

/// Compiles the driver, once. `None` only if the environment asks to leave libsrtp2 out.
fn driver() -> Option<&'static Path> {
    static DRIVER: OnceLock<Option<PathBuf>> = OnceLock::new();
    DRIVER
        .get_or_init(|| {
            if std::env::var_os("PORTUNUS_SKIP_LIBSRTP2").is_some_and(|v| v == "1") {
                eprintln!("libsrtp2 is left out, as PORTUNUS_SKIP_LIBSRTP2 asks");
                return None;
            }
            // Test runners that take a process for each test must not write the same file.
            let binary = Path::new(env!("CARGO_TARGET_TMPDIR"))
                .join(format!("libsrtp2-driver-{}", std::process::id()));
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/libsrtp2/driver.c");
            let compiled = Command::new("cc")
                .args(["-O2", "-Wall", "-Wextra", "-o"])
                .args([&binary, &source])
                .arg("-lsrtp2")
                .status();
            let advice = "install libsrtp2-dev and a C compiler, or set PORTUNUS_SKIP_LIBSRTP2=1";
            assert!(compiled.is_ok_and(|status| status.success()), "cannot compile the driver: {advice}");
            Some(binary)
        })
        .as_deref()
}

fn key(profile: Profile) -> MasterKey {
    let (key, salt) = key_parts(profile);
    MasterKey::new(profile, &key, &salt).unwrap()
}

fn key_parts(profile: Profile) -> (Vec<u8>, Vec<u8>) {
    let mut random = Random(u64::from(profile.dtls_id()) + 1000);
    let mut octets = |len| (0..len).map(|_| random.next() as u8).collect();
    (octets(profile.key_len()), octets(profile.salt_len()))
}

/// SplitMix64: the same packets in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}
