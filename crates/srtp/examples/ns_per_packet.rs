//! Prints nanoseconds of CPU time per packet for each profile: copying a packet into a buffer and sealing it
//! there, and copying a sealed one and opening it. `cargo run --release --example ns_per_packet [LENGTH]`
#![allow(unsafe_code, clippy::print_stdout)]

use portunus_srtp::{MAX_RTP_OVERHEAD, MasterKey, Opener, Profile, Sealer};

const ROUNDS: usize = 101;
const PACKETS: usize = 2_000;

fn main() {
    let len: usize = std::env::args().nth(1).map_or(1200, |text| text.parse().expect("a packet length"));
    assert!((16..=1500).contains(&len), "16 to 1500 octets");
    println!("{len} octets, median of {ROUNDS} rounds, ns per packet of thread CPU time");
    println!("{:<28} {:>8} {:>10} {:>10}", "", "protect", "unprotect", "reprotect");
    for profile in Profile::PREFERENCE {
        let [protect, unprotect, reprotect] = measure(profile, len);
        println!("{:<28} {protect:>8.0} {unprotect:>10.0} {reprotect:>10.0}", profile.name());
    }
}

fn measure(profile: Profile, len: usize) -> [f64; 3] {
    let key = || {
        let (key, salt) = (&[1; 32][..profile.key_len()], &[2; 14][..profile.salt_len()]);
        MasterKey::new(profile, key, salt).expect("key lengths fit")
    };
    let mut sealer = Sealer::new(key()).expect("a key");
    let mut opener = Opener::new(&key()).expect("a key");
    let mut state = sealer.claim(1, 4096).expect("a new stream");
    let mut template = vec![0xa5; len];
    template[..12].copy_from_slice(&[0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    // One buffer for each packet, as in a send batch.
    let mut slots = vec![[0u8; 1500 + MAX_RTP_OVERHEAD]; PACKETS];
    let mut sealed_len = 0;
    let mut times = [const { Vec::new() }; 3];
    let mut seq = 0u16;
    for _ in 0..ROUNDS {
        let first = seq;
        let start = cpu_ns();
        for slot in &mut slots {
            slot[..len].copy_from_slice(&template);
            slot[2..4].copy_from_slice(&seq.to_be_bytes());
            sealed_len = sealer.protect_rtp_with(&mut state, 12, slot, len).expect("ascending");
            seq = seq.wrapping_add(1);
        }
        times[0].push(cpu_ns() - start);
        let start = cpu_ns();
        for slot in &mut slots {
            opener.unprotect_rtp(&mut slot[..sealed_len]).expect("authentic");
        }
        times[1].push(cpu_ns() - start);
        let start = cpu_ns();
        for (n, slot) in slots.iter_mut().enumerate() {
            let seq = first.wrapping_add(n as u16);
            slot[..len].copy_from_slice(&template);
            slot[2..4].copy_from_slice(&seq.to_be_bytes());
            let index = state.index_of(seq).expect("recent");
            sealer.reprotect_rtp(&state, index, 12, slot, len).expect("identical");
        }
        times[2].push(cpu_ns() - start);
    }
    times.map(|mut all| {
        all.sort_unstable();
        all[all.len() / 2] as f64 / PACKETS as f64
    })
}

/// CPU time of this thread, which neighbours on a shared machine disturb less than the wall clock.
fn cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0, "no thread CPU clock");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
