//! Protecting and unprotecting allocate nothing once a stream is known.
//!
//! Counted twice: at Rust's allocator and, where the C library lets us, at `malloc`, which the C code of the
//! AES-GCM implementation would call.
#![allow(unsafe_code)]

use portunus_srtp::{MAX_RTCP_OVERHEAD, MAX_RTP_OVERHEAD, MasterKey, Opener, Profile, Sealer};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // Fails only while the thread ends.
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
}

struct Counting;

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(at, layout, len) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod c_allocator {
    use libc::{c_void, size_t};

    unsafe extern "C" {
        fn __libc_malloc(len: size_t) -> *mut c_void;
        fn __libc_calloc(n: size_t, len: size_t) -> *mut c_void;
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn malloc(len: size_t) -> *mut c_void {
        super::count();
        unsafe { __libc_malloc(len) }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn calloc(n: size_t, len: size_t) -> *mut c_void {
        super::count();
        unsafe { __libc_calloc(n, len) }
    }
}

#[test]
fn the_counter_counts_both_allocators() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(Box::new(1u64)));
    let rust = ALLOCATIONS.get() - before;
    assert!(rust >= 1);
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let before = ALLOCATIONS.get();
        unsafe { libc::free(std::hint::black_box(libc::malloc(8))) };
        assert_eq!(ALLOCATIONS.get() - before, 1, "malloc");
        assert_eq!(rust, 2, "once at each");
    }
}

#[test]
fn no_packet_allocates_in_the_steady_state() {
    for profile in Profile::PREFERENCE {
        let key = || {
            let (key, salt) = (&[1; 32][..profile.key_len()], &[2; 14][..profile.salt_len()]);
            MasterKey::new(profile, key, salt).unwrap()
        };
        let mut sealer = Sealer::new(key()).unwrap();
        let mut opener = Opener::new(&key()).unwrap();
        let mut claimed = sealer.claim(1, 512).unwrap();
        let mut buf = [0u8; 1200 + MAX_RTP_OVERHEAD];
        let mut report = [0u8; 8 + 20 + MAX_RTCP_OVERHEAD];
        let mut round = |seq: u16| {
            let fill = |buf: &mut [u8], ssrc: u32| {
                buf.fill(seq as u8);
                buf[..2].copy_from_slice(&[0x80, 96]);
                buf[2..4].copy_from_slice(&seq.to_be_bytes());
                buf[8..12].copy_from_slice(&ssrc.to_be_bytes());
            };
            fill(&mut buf, 1);
            let len = sealer.protect_rtp_with(&mut claimed, 12, &mut buf, 1200).unwrap();
            assert!(opener.unprotect_rtp(&mut buf[..len]).is_ok());
            fill(&mut buf, 1);
            let index = claimed.highest().unwrap();
            assert_eq!(sealer.reprotect_rtp(&claimed, index, 12, &mut buf, 1200), Ok(len));
            assert!(opener.unprotect_rtp(&mut buf[..len]).is_err(), "a replay");
            fill(&mut buf, 2);
            let len = sealer.protect_rtp(&mut buf, 1200).unwrap();
            buf[600] ^= 1;
            assert!(opener.unprotect_rtp(&mut buf[..len]).is_err(), "a forgery");
            fill(&mut buf, 2);
            assert!(sealer.protect_rtp(&mut buf, 1200).is_err(), "not ascending");
            report[..8].copy_from_slice(&[0x80, 201, 0, 6, 0, 0, 0, 1]);
            let len = sealer.protect_rtcp(&mut report, 28).unwrap();
            assert!(opener.unprotect_rtcp(&mut report[..len]).is_ok());
        };
        round(65_000);
        let before = ALLOCATIONS.get();
        for n in 1..2000u16 {
            round(65_000u16.wrapping_add(n));
        }
        assert_eq!(ALLOCATIONS.get() - before, 0, "{profile:?}");
    }
}
