//! Forwarding a packet allocates nothing once the streams are known, neither where it comes in nor for any of its
//! receivers, sockets included; and the packets of a frame leave together.
#![allow(unsafe_code)]

use portunus_benches::{SSRC, video};
use portunus_media::bench::{Beside, Forwarding, Pace, Receivers, publish_live};
use portunus_srtp::Profile;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

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

#[test]
fn forwarding_allocates_nothing_in_the_steady_state() {
    for profile in [Profile::AeadAes128Gcm, Profile::Aes128CmSha1_80] {
        let mut receivers = Receivers::new(10).unwrap();
        let mut path = Forwarding::new(&video(), profile, 1100, &receivers.addresses()).unwrap();
        let mut rounds = |n: usize| {
            let mut allocations = 0;
            let mut packets = 0;
            for _ in 0..n {
                path.prepare(SSRC, 5);
                let before = ALLOCATIONS.get();
                packets += path.forward(true);
                allocations += ALLOCATIONS.get() - before;
                receivers.drain();
            }
            (packets, allocations)
        };
        // The stores fill up once; their slots are used again ever after.
        let (_, warming) = rounds(500);
        assert!(warming > 0, "the counter counts");
        assert_eq!(rounds(500), (25_000, 0), "{profile:?}");
    }
}

#[test]
fn a_frame_to_a_receiver_leaves_in_one_call() {
    let mut receivers = Receivers::new(10).unwrap();
    let mut path = Forwarding::new(&video(), Profile::AeadAes128Gcm, 1100, &receivers.addresses()).unwrap();
    path.prepare(SSRC, 5);
    path.forward(true);
    receivers.drain();
    let before = path.calls_saved();
    path.prepare(SSRC, 5);
    assert_eq!(path.forward(true), 50);
    // The publisher's first packet is a byte shorter than the others: without padding it would leave alone.
    assert_eq!(path.calls_saved() - before, 40);
    assert_eq!(receivers.drain(), 50);
}

/// Share of the packets to ten receivers that leave with others, of frames whose five packets come 100 µs apart.
fn together(gather: Duration) -> f64 {
    let mut receivers = Receivers::new(10).unwrap();
    let pace = Pace {
        packets: 5,
        apart: Duration::from_micros(100),
        frames: 60,
        every: Duration::from_millis(10),
        gather,
    };
    let live = publish_live(&video(), 1100, 1, &mut receivers, SSRC, pace, Beside::default()).unwrap();
    // The first packets may come before the routes, the last ones after the end.
    assert!(live[0].packets >= 55 * 5 * 10, "{}", live[0].packets);
    live[0].calls_saved as f64 / live[0].packets as f64
}

#[test]
fn a_worker_that_waits_for_the_rest_of_a_frame_sends_it_in_one_call() {
    // It may take its time: the machine may be busy. Four of five packets leave with another one then, but for RTCP.
    let waited = together(Duration::from_millis(500));
    assert!(waited > 0.75, "{waited}");
}
