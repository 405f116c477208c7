//! What the network loses comes back, by RTX or as it was; and what cannot come back is not waited for long.

use super::*;
use std::collections::HashMap;

/// Longer than this a receiver's picture may not stand still for one packet.
const HOLE: Duration = Duration::from_millis(600);

/// What became of the packets of a lossy call.
struct Outcome {
    sent: usize,
    came_back: usize,
    lost: u64,
    /// What the gateway counts of the publisher's packets: lost ones, and those that a repair brought.
    told: (u64, u64),
    /// The longest time from sending a packet until it was back.
    slowest: Duration,
}

/// Sends a minute of video through an echo with 5 % loss each way.
fn lossy(rtx: Option<u8>) -> Outcome {
    let mut s = Simulation::new(vec![video(0, rtx)], |_| {});
    s.connect();
    s.echo("0");
    s.feeder();
    s.feed(&rtp("0", "", VP8, 9, 0, 0, &vp8(true, 0, 600)));
    s.run(MS * 300);
    s.received.clear();
    s.loss = 5;
    s.lost = [0, 0];
    let n = 12_000_u16;
    let (mut fed, mut back) = (HashMap::new(), HashMap::new());
    for i in 1..=n {
        if i == n {
            // A last packet shows the gap at the end; then the repairs have time to arrive.
            s.loss = 0;
        }
        fed.insert(u32::from(i) * 3000, s.now);
        s.feed(&rtp("0", "", VP8, 9, i, u32::from(i) * 3000, &vp8(false, i, 600)));
        for _ in 0..if i == n { 1500 } else { 5 } {
            s.run(MS);
            for r in s.received.drain(..) {
                back.entry(r.sequence).or_insert((s.now, r.timestamp));
            }
        }
    }
    let mut told = (0, 0);
    s.workers[SERVER].on_peer(s.handles[SERVER], s.now, |peer, _| {
        let totals = peer.totals();
        told = (totals.lost, totals.repaired);
    });
    let first = back.values().map(|(_, timestamp)| *timestamp).min().unwrap();
    let taken = |(at, timestamp): &(Instant, u32)| *at - fed[&(timestamp - first + 3000)];
    Outcome {
        sent: fed.len(),
        came_back: back.len(),
        lost: s.lost[0] + s.lost[1],
        told,
        slowest: back.values().map(taken).max().unwrap(),
    }
}

fn check(rtx: Option<u8>) -> (u64, u64) {
    let Outcome { sent, came_back, lost, told, slowest } = lossy(rtx);
    assert!(lost > 1000, "{lost}");
    assert_eq!(came_back, sent, "of {lost} lost packets so many were not repaired: {}", sent - came_back);
    assert!(slowest < HOLE, "{slowest:?}");
    told
}

#[test]
fn rtx_repairs_all_of_five_percent_loss_each_way() {
    let (lost, repaired) = check(Some(RTX));
    // The publisher is told of them all the same, or it would never send less.
    assert!(lost > 400, "{lost}");
    assert_eq!(repaired, lost);
}

#[test]
fn plain_retransmission_repairs_all_of_five_percent_loss_each_way() {
    // One that comes late in its own stream was not lost, as RFC 3550 counts.
    assert_eq!(check(None), (0, 0));
}

#[test]
fn a_packet_that_nobody_can_send_again_costs_a_keyframe_and_not_seconds() {
    let mut s = Simulation::new(vec![video(0, Some(RTX))], |_| {});
    s.connect();
    s.echo("0");
    let send = |s: &mut Simulation, sequence: u16, keyframe| {
        s.send(&rtp("0", "", VP8, 9, sequence, u32::from(sequence) * 3000, &vp8(keyframe, sequence, 600)));
        s.run(MS * 33);
    };
    let requests = |s: &mut Simulation| {
        let mut sent = 0;
        s.workers[SERVER].on_peer(s.handles[SERVER], s.now, |peer, _| sent = peer.keyframe_requests(0));
        sent
    };
    (0..10).for_each(|n| send(&mut s, n, n == 0));
    let before = requests(&mut s);
    // Number 10 never leaves; after 25 more it is not given up yet.
    (11..36).for_each(|n| send(&mut s, n, false));
    assert_eq!(requests(&mut s), before);
    (36..42).for_each(|n| send(&mut s, n, false));
    assert_eq!(requests(&mut s), before + 1);
    // It comes; another hole before the next one costs nothing.
    send(&mut s, 42, true);
    (44..57).for_each(|n| send(&mut s, n, n == 50));
    (57..90).for_each(|n| send(&mut s, n, false));
    assert_eq!(requests(&mut s), before + 1);
}
