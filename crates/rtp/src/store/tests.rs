use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::codec::{Codec, PayloadInspector};
use crate::extension::{ExtensionKind, ExtensionMap, IdText, PlayoutDelay};
use crate::mapping::{Arrival, Dropped, SinkStream};
use crate::testing::{Packet, map, one_byte, vp8};
use crate::write::{SinkExtensions, packet_len, write_packet};

const SECOND: u64 = 1_000_000;

fn packet(sequence: u16, payload: Vec<u8>) -> Vec<u8> {
    Packet { sequence, payload, ..Packet::default() }.bytes()
}

fn parse<'a>(bytes: &'a [u8], map: &ExtensionMap) -> SourcePacket<'a> {
    SourcePacket::parse(bytes, map).unwrap()
}

#[test]
fn stored_packets_come_back_until_overwritten_or_old() {
    let none = ExtensionMap::new();
    let mut store = SourceStore::new(1, SECOND);
    let count = STORE_PACKETS.0 as u64;
    assert_eq!(store.newest(), None);
    let first = packet(1, vec![1; 100]);
    assert_eq!(store.insert(1000, &parse(&first, &none), 0), Stored::New);
    assert_eq!(store.get(1000, SECOND).unwrap().view.bytes(), first);
    assert!(store.get(1000, SECOND + 1).is_none(), "too old");
    assert!(store.get(1001, 0).is_none());
    assert!(store.get(1000 + count, 0).is_none(), "the slot holds another number");

    let other = packet(1, vec![2; 50]);
    assert_eq!(store.insert(1000, &parse(&other, &none), 0), Stored::Duplicate);
    assert_eq!(store.get(1000, 0).unwrap().view.bytes(), first, "the first copy stays");

    assert_eq!(store.insert(1000 + count, &parse(&other, &none), 0), Stored::New);
    assert!(store.get(1000, 0).is_none(), "overwritten");
    assert_eq!(store.insert(1000, &parse(&first, &none), 0), Stored::Refused, "behind the ring");
    assert_eq!(store.insert(1001, &parse(&first, &none), 0), Stored::New, "late, but inside");
    assert_eq!(store.newest(), Some(1000 + count));
}

#[test]
fn slots_are_allocated_when_used_and_then_reused() {
    let none = ExtensionMap::new();
    let mut store = SourceStore::new(256, SECOND);
    let empty = store.allocated();
    let bytes = packet(1, vec![1; 100]);
    store.insert(1, &parse(&bytes, &none), 0);
    let one = store.allocated() - empty;
    assert!((1500..2000).contains(&one), "{one}");
    (1..2000).for_each(|n| {
        store.insert(n, &parse(&bytes, &none), 0);
    });
    assert_eq!(store.allocated() - empty, 256 * one + (256 - STORE_PACKETS.0) * size_of::<usize>());
}

#[test]
fn a_store_has_room_for_what_may_be_asked_for_and_hardly_more() {
    let none = ExtensionMap::new();
    let bytes = packet(1, vec![1; 100]);
    let mut store = SourceStore::new(512, SECOND);
    let mut now = 0;
    let mut run = |store: &mut SourceStore, from: u64, packets: u64, apart_us: u64| {
        for sequence in from..from + packets {
            now += apart_us;
            assert_eq!(store.insert(sequence, &parse(&bytes, &none), now), Stored::New);
        }
        now
    };
    // 30 packets a second, then 160, then as many as it may have.
    let mut next = 1000;
    for (packets, apart_us, slots) in
        [(300, 33_333, 32), (800, 6_250, 256), (5000, 500, 512), (300, 33_333, 512)]
    {
        let now = run(&mut store, next, packets, apart_us);
        next += packets;
        assert_eq!(store.slots.len(), slots, "{apart_us}");
        let young = (SECOND / apart_us).min(slots as u64 - 1);
        assert!((next - young..next).all(|sequence| store.get(sequence, now).is_some()), "{apart_us}");
    }
    // What comes too late for the largest ring makes none larger.
    let mut store = SourceStore::new(512, SECOND);
    store.insert(10_000, &parse(&bytes, &none), 0);
    assert_eq!(store.insert(10_000 - 512, &parse(&bytes, &none), 0), Stored::Refused);
    assert_eq!(store.slots.len(), STORE_PACKETS.0);
    // What comes late, but not too late, finds room beside newer ones.
    assert_eq!(store.insert(10_000 - 64, &parse(&bytes, &none), 0), Stored::New);
    assert!(store.get(10_000, 0).is_some() && store.get(10_000 - 64, 0).is_some());
}

#[test]
fn low_bits_find_the_packet_near_the_newest() {
    let none = ExtensionMap::new();
    let mut store = SourceStore::new(256, SECOND);
    let bytes = packet(1, vec![1]);
    for sequence in [(1 << 32) - 2, (1 << 32) - 1, 1 << 32, (1 << 32) + 1] {
        store.insert(sequence, &parse(&bytes, &none), 0);
    }
    for low in [u32::MAX - 1, u32::MAX, 0, 1] {
        assert!(store.get_low(low, 0).is_some(), "{low}");
    }
    assert!(store.get_low(2, 0).is_none());
    assert!(SourceStore::new(256, SECOND).get_low(0, 0).is_none());
}

const REWRITE: Rewrite = Rewrite {
    ssrc: 9,
    payload_type: 96,
    sequence: 0,
    timestamp: 1,
    marker: false,
    payload: PayloadRewrite::Keep,
    frame_number: None,
};

fn record(index: &mut RetransmitIndex, number: u64, now_us: u64) {
    let rewrite = Rewrite { sequence: number as u16, ..REWRITE };
    let stamp = Stamp::default();
    let sent = Sent {
        index: number,
        source: SourceId(3),
        source_sequence: number + 70_000,
        rewrite: &rewrite,
        stamp: &stamp,
        revision: 0,
        len: 1200,
    };
    index.record(&sent, now_us);
}

#[test]
fn a_nack_finds_the_entry_with_its_index() {
    let mut index = RetransmitIndex::new(9, 128);
    assert_eq!(index.try_resend(1, 0, 0, 0), Err(Refusal::Unknown));
    (65_500..65_600).for_each(|n| record(&mut index, n, 0));
    let found = index.try_resend(65_535, 0, 0, 0).unwrap();
    assert_eq!((found.index, found.source, found.source_sequence), (65_535, SourceId(3), 135_535));
    assert_eq!(found.rewrite, Rewrite { sequence: 65_535, ..REWRITE });
    let found = index.try_resend(10, 0, 0, 0).unwrap();
    assert_eq!(found.index, 65_546);
    assert_eq!(index.try_resend(64, 0, 0, 0), Err(Refusal::Unknown), "not sent yet");
    assert_eq!(index.try_resend(65_499, 0, 0, 0), Err(Refusal::Unknown), "before the first");
    (65_600..65_700).for_each(|n| record(&mut index, n, 0));
    assert_eq!(index.try_resend(65_535, 0, 0, 0), Err(Refusal::Unknown), "overwritten");
    index.clear();
    assert_eq!(index.try_resend(100, 0, 0, 0), Err(Refusal::Unknown));
}

#[test]
fn the_index_has_room_for_what_may_be_asked_for_and_no_more() {
    // (packets a second, entries)
    for (rate, room) in [(100, 128), (200, 256), (450, 512), (5_000, 512)] {
        let mut index = RetransmitIndex::new(9, 512);
        let sent = 3 * rate;
        (0..sent).for_each(|n| record(&mut index, n, n * SECOND / rate));
        assert_eq!(index.entries.len(), room, "{rate} packets a second");
        let now = (sent - 1) * SECOND / rate;
        for n in sent - rate.min(room as u64 - 1)..sent {
            index.budget = RESEND_BURST;
            let found = index.try_resend(n as u16, 0, 0, now).map(|r| (r.index, r.source_sequence));
            assert_eq!(found, Ok((n, n as u32 + 70_000)), "{rate} packets a second");
        }
    }
}

#[test]
fn resends_back_off_from_40_ms_to_one_second() {
    // (rtt, waits between successive resends)
    for (rtt, waits) in [
        (0, [40_000, 80_000, 160_000, 320_000]),
        (100_000, [100_000, 100_000, 160_000, 320_000]),
        (300_000, [300_000; 4]),
    ] {
        let mut index = RetransmitIndex::new(9, 128);
        record(&mut index, 5, 0);
        let mut now = 0;
        assert!(index.try_resend(5, rtt, 0, now).is_ok(), "the first at once");
        for wait in waits {
            if now + wait > RESEND_MAX_AGE_US {
                break;
            }
            assert_eq!(index.try_resend(5, rtt, 0, now + wait - 1000), Err(Refusal::TooSoon));
            now += wait;
            assert!(index.try_resend(5, rtt, 0, now).is_ok(), "after {wait}");
        }
        assert_eq!(index.try_resend(5, rtt, 0, RESEND_MAX_AGE_US + 1000), Err(Refusal::TooOld));
    }
}

#[test]
fn a_nack_flood_costs_at_most_the_budget() {
    let mut index = RetransmitIndex::new(9, 1024);
    let (mut sent, mut resent, mut refused) = (0u64, 0u64, 0u64);
    // Ten seconds of 200 packets/s; every packet of the last second is asked for every millisecond.
    for ms in 0..10_000u64 {
        if ms % 5 == 0 {
            record(&mut index, ms / 5, ms * 1000);
            sent += 1200;
        }
        for back in 0..200u64.min(ms / 5) {
            match index.try_resend((ms / 5 - back) as u16, 30_000, 0, ms * 1000) {
                Ok(_) => resent += 1200,
                Err(Refusal::Budget) => refused += 1,
                Err(_) => {}
            }
        }
    }
    assert!(refused > 0);
    assert!(resent * 100 <= sent * RESEND_PERCENT + RESEND_BURST * 100, "{resent} of {sent}");
    assert!(resent * 100 >= sent * 20, "honest loss is still served: {resent} of {sent}");
}

#[test]
fn another_revision_is_refused() {
    let mut index = RetransmitIndex::new(9, 128);
    record(&mut index, 5, 0);
    assert_eq!(index.try_resend(5, 0, 1, 0), Err(Refusal::Revised));
    assert!(index.try_resend(5, 0, 0, 0).is_ok());
}

#[test]
fn an_entry_is_small() {
    assert!(size_of::<Entry>() <= 48, "{}", size_of::<Entry>());
}

/// A leg that forwards from two sources, remembers what it sent as bytes, and is asked for resends.
struct Leg {
    stores: [SourceStore; 2],
    inspectors: [PayloadInspector; 2],
    sink: SinkStream,
    index: RetransmitIndex,
    extensions: SinkExtensions,
    transport_cc: u16,
    sent: HashMap<u64, Vec<u8>>,
    out: [u8; 1600],
}

impl Leg {
    fn new() -> Self {
        Self {
            stores: [SourceStore::new(256, SECOND), SourceStore::new(256, SECOND)],
            inspectors: [PayloadInspector::new(Codec::Vp8), PayloadInspector::new(Codec::Vp8)],
            sink: SinkStream::new(90_000, 65_500, 1),
            index: RetransmitIndex::new(9, 256),
            extensions: Self::negotiated(0),
            transport_cc: 65_000,
            sent: HashMap::new(),
            out: [0; 1600],
        }
    }

    fn from() -> ExtensionMap {
        map(&[(ExtensionKind::AudioLevel, 1), (ExtensionKind::VideoOrientation, 2)])
    }

    fn negotiated(shift: u8) -> SinkExtensions {
        let ids = [
            (ExtensionKind::Mid, 1 + shift),
            (ExtensionKind::TransportCc, 2 + shift),
            (ExtensionKind::AbsSendTime, 3 + shift),
            (ExtensionKind::VideoOrientation, 4 + shift),
        ];
        SinkExtensions::new(map(&ids), IdText::new("0"))
    }

    fn forward(&mut self, source: usize, sequence: u64, unwanted: bool, padding: u8, now: u64) {
        let picture = (sequence / 3) as u16;
        let payload =
            vp8(picture, (sequence / 9) as u8, u8::from(unwanted), false, source as u8, true, false);
        let bytes = Packet {
            sequence: sequence as u16,
            timestamp: (sequence / 3) as u32 * 3000,
            extension: Some(one_byte(&[(2, &[sequence as u8 & 3])])),
            payload,
            ..Packet::default()
        }
        .bytes();
        let packet = parse(&bytes, &Self::from());
        self.stores[source].insert(sequence, &packet, now);
        let info = self.inspectors[source].inspect(packet.view.payload(), packet.view.marker(), None);
        let source_id = SourceId(source as u32);
        let arrival =
            Arrival { source: source_id, sequence, timestamp: packet.view.timestamp(), info: &info };
        if unwanted {
            assert!(matches!(self.sink.on_drop(&arrival), Dropped::Removed | Dropped::Hole { .. }));
            return;
        }
        let Some(mapped) = self.sink.try_map(&arrival, now) else { return };
        self.transport_cc = self.transport_cc.wrapping_add(1);
        let rewrite = Rewrite {
            ssrc: 9,
            payload_type: 101,
            sequence: mapped.sequence,
            timestamp: mapped.timestamp,
            marker: sequence % 3 == 2,
            payload: mapped.payload,
            frame_number: mapped.frame_number,
        };
        let stamp = Stamp {
            transport_cc: self.transport_cc,
            abs_send_time: crate::extension::abs_send_time(now),
            padding,
        };
        let len = write_packet(&mut self.out, &packet, &rewrite, &stamp, &self.extensions).unwrap();
        assert_eq!(len, packet_len(&packet, &self.extensions) + usize::from(padding));
        let before = self.sent.insert(mapped.index, self.out[..len].to_vec());
        assert_eq!(before, None, "one index, one packet");
        self.index.record(
            &Sent {
                index: mapped.index,
                source: source_id,
                source_sequence: sequence,
                rewrite: &rewrite,
                stamp: &stamp,
                revision: self.extensions.revision(),
                len,
            },
            now,
        );
    }

    /// Whether the packet could be sent again; if so it must be the identical one.
    fn resend(&mut self, sequence: u16, now: u64) -> bool {
        let Ok(resend) = self.index.try_resend(sequence, 0, self.extensions.revision(), now) else {
            return false;
        };
        let store = &self.stores[resend.source.0 as usize];
        let Some(packet) = store.get_low(resend.source_sequence, now) else { return false };
        let len =
            write_packet(&mut self.out, &packet, &resend.rewrite, &resend.stamp, &self.extensions).unwrap();
        assert_eq!(self.sent.get(&resend.index).map(Vec::as_slice), Some(&self.out[..len]));
        assert_eq!(resend.index as u16, sequence);
        true
    }
}

#[derive(Debug, Clone)]
enum Step {
    Forward { count: u8, unwanted: bool, padding: u8 },
    Switch,
    Pause,
    Renegotiate(u8),
    Delay(u8),
    Resend(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1u8..12, proptest::bool::weighted(0.3), 0u8..4)
            .prop_map(|(count, unwanted, padding)| Step::Forward { count, unwanted, padding }),
        2 => Just(Step::Switch),
        1 => Just(Step::Pause),
        1 => (0u8..6).prop_map(Step::Renegotiate),
        1 => any::<u8>().prop_map(Step::Delay),
        8 => any::<u8>().prop_map(Step::Resend),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_plain_resend_is_the_identical_packet(steps in proptest::collection::vec(any_step(), 1..150)) {
        let mut leg = Leg::new();
        let (mut source, mut sequences, mut now) = (0, [70_000u64, 130_000], SECOND);
        for step in steps {
            match step {
                Step::Forward { count, unwanted, padding } => {
                    for _ in 0..count {
                        leg.forward(source, sequences[source], unwanted, padding, now);
                        sequences[source] += 1;
                        now += 1000;
                    }
                }
                Step::Switch => source = 1 - source,
                Step::Pause => leg.sink.pause(),
                Step::Renegotiate(0) => leg.extensions.set_playout_delay(Some(PlayoutDelay { min: 1, max: 2 })),
                Step::Renegotiate(shift) => {
                    let next = Leg::negotiated(shift);
                    leg.extensions.set_map(*next.map(), IdText::new("0"));
                }
                Step::Delay(ms) => now += u64::from(ms) * 2000,
                Step::Resend(back) => {
                    let newest = leg.sink.newest_index().unwrap_or(0);
                    leg.resend((newest as u16).wrapping_sub(u16::from(back)), now);
                }
            }
        }
    }
}

#[test]
fn resends_do_happen() {
    let mut leg = Leg::new();
    (70_000..70_100).for_each(|s| leg.forward(0, s, s % 5 == 0, 2, s));
    (130_000..130_100).for_each(|s| leg.forward(1, s, s % 5 == 0, 1, s));
    let newest = leg.sink.newest_index().unwrap();
    // The budget allows 40 packets of this size and more; each is one of the newest.
    let count = (0..40).filter(|back| leg.resend((newest - back) as u16, 140_000)).count();
    assert_eq!(count, 40);
    leg.extensions.set_playout_delay(Some(PlayoutDelay { min: 0, max: 0 }));
    assert!(!leg.resend((newest - 50) as u16, 140_000), "another revision");
}
