//! Redundant audio data (RFC 2198): packets that carry those before them once more.

use crate::timeline::Packet;
use std::collections::HashSet;

/// Takes the packets out of those of payload type `red`, and puts those in that were lost and came again with later
/// ones. Gives how many these are. Packets of other types stay; those of `red` that cannot be read go.
pub(crate) fn expand(packets: &mut Vec<Packet<'_>>, red: u8) -> u64 {
    let mut there: HashSet<u64> = packets.iter().map(|p| p.index).collect();
    let (mut all, mut recovered) = (Vec::with_capacity(packets.len()), 0);
    for packet in packets.drain(..) {
        if packet.payload_type != red {
            all.push(packet);
            continue;
        }
        let Some((blocks, primary)) = parse(packet.payload) else { continue };
        let count = crate::num::long(blocks.len());
        for (back, (offset, payload)) in (1..=count).rev().zip(blocks) {
            let (Some(index), Some(time)) = (packet.index.checked_sub(back), packet.time.checked_sub(offset))
            else {
                continue;
            };
            if !payload.is_empty() && there.insert(index) {
                recovered += 1;
                all.push(Packet { index, time, payload, marker: false, ..packet });
            }
        }
        all.push(Packet { payload: primary, ..packet });
    }
    all.sort_by_key(|p| p.index);
    *packets = all;
    recovered
}

/// The payload itself, without what is carried once more.
pub(crate) fn primary(payload: &[u8]) -> Option<&[u8]> {
    parse(payload).map(|(_, primary)| primary)
}

/// Blocks with how many ticks before the packet they are, the oldest first, and the primary one.
#[expect(clippy::type_complexity, reason = "it is taken apart at once")]
fn parse(payload: &[u8]) -> Option<(Vec<(u64, &[u8])>, &[u8])> {
    let (mut lengths, mut rest) = (Vec::new(), payload);
    // F, payload type, 14 bits of offset, 10 of length; the primary has the first byte only.
    while rest.first()? & 0x80 != 0 {
        let (head, behind) = rest.split_first_chunk()?;
        let head = u32::from_be_bytes(*head);
        lengths.push((u64::from(head >> 10 & 0x3fff), usize::try_from(head & 0x3ff).ok()?));
        rest = behind;
    }
    rest = rest.get(1..)?;
    let mut blocks = Vec::new();
    for (offset, length) in lengths {
        let (block, behind) = rest.split_at_checked(length)?;
        blocks.push((offset, block));
        rest = behind;
    }
    Some((blocks, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(index: u64, payload_type: u8, payload: &[u8]) -> Packet<'_> {
        Packet { index, time: index * 960, ms: 0, marker: false, payload_type, payload }
    }

    /// One block of two bytes, 960 ticks old, and a primary one.
    fn red(old: u8, new: u8) -> Vec<u8> {
        let head = 0x8000_0000_u32 | 111 << 24 | 960 << 10 | 2;
        [&head.to_be_bytes()[..], &[111, 0x78, old, 0x78, new]].concat()
    }

    #[test]
    fn a_lost_packet_is_taken_from_the_next() {
        let (second, fourth) = (red(1, 2), red(3, 4));
        let mut packets = vec![
            packet(1, 111, &[0x78, 1]),
            packet(2, 63, &second),
            packet(4, 63, &fourth),
            packet(5, 63, &[0xff]),
        ];
        assert_eq!(expand(&mut packets, 63), 1);
        let got: Vec<_> = packets.iter().map(|p| (p.index, p.time, p.payload)).collect();
        let want: [(u64, u64, &[u8]); 4] =
            [(1, 960, &[0x78, 1]), (2, 1920, &[0x78, 2]), (3, 2880, &[0x78, 3]), (4, 3840, &[0x78, 4])];
        assert_eq!(got, want);
    }

    #[test]
    fn what_is_cut_off_is_nothing() {
        let whole = red(1, 2);
        (0..6).for_each(|cut| assert!(parse(&whole[..cut]).is_none(), "{cut}"));
    }
}
