//! What the network loses comes back, by RTX or as it was.

use super::*;

/// Sends video through an echo with 5 % loss each way; returns packets sent, packets that came back, and how
/// many were lost on the way.
fn lossy(rtx: Option<u8>) -> (u16, usize, u64) {
    let mut s = Simulation::new(vec![video(0, rtx)], |_| {});
    s.connect();
    s.echo("0");
    s.feeder();
    s.feed(&rtp("0", "", VP8, 9, 0, 0, &vp8(true, 0, 600)));
    s.run(MS * 300);
    s.loss = 5;
    s.lost = [0, 0];
    let n = 3000_u16;
    for i in 1..n {
        s.feed(&rtp("0", "", VP8, 9, i, u32::from(i) * 3000, &vp8(false, i, 600)));
        s.run(MS * 5);
    }
    s.loss = 0;
    // A last packet shows the gap at the end; then the repairs have time to arrive.
    s.feed(&rtp("0", "", VP8, 9, n, u32::from(n) * 3000, &vp8(false, n, 600)));
    s.run(MS * 1500);
    let mut sequences: Vec<u16> = s.received.iter().map(|r| r.sequence).collect();
    sequences.sort_unstable();
    sequences.dedup();
    (n + 1, sequences.len(), s.lost[0] + s.lost[1])
}

#[test]
fn rtx_repairs_nearly_all_of_five_percent_loss_each_way() {
    let (sent, came_back, lost) = lossy(Some(RTX));
    assert!(lost > 250, "{lost}");
    let missing = u64::from(sent) - u64::try_from(came_back).unwrap();
    assert!(missing * 20 < lost, "{missing} of {lost} lost packets were not repaired");
}

#[test]
fn a_plain_retransmission_is_the_same_packet() {
    let (sent, came_back, lost) = lossy(None);
    let missing = u64::from(sent) - u64::try_from(came_back).unwrap();
    assert!(missing * 20 < lost, "{missing} of {lost} lost packets were not repaired");
}
