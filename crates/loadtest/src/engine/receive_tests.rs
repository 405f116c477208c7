use super::*;
use crate::engine::shared::Settings;

const MS: u64 = 1_000_000;

struct Rig {
    shared: Arc<Shared>,
    source: (u32, Arc<Source>),
    receiver: Receiver,
    counters: Counters,
    latency: Histogram,
    phase: Phase,
}

impl Rig {
    fn new(video: bool, layered: bool) -> Self {
        let shared = Shared::new(Settings { freeze_ns: 150 * MS, ..Settings::default() });
        shared.begin(1, 0);
        let source = shared.add_source();
        Self {
            shared,
            source,
            receiver: Receiver::new(1, video, 90_000, video, layered),
            counters: Counters::default(),
            latency: Histogram::default(),
            phase: Phase::new(1),
        }
    }

    /// The source sends packet `counter`.
    fn sent(&self, counter: u64) {
        self.source.1.on_sent(1, counter);
    }

    /// The packet comes, a millisecond after it was sent.
    fn comes(&mut self, counter: u64, sequence: u16, repaired: bool) -> Happened {
        let now = 1_000 * MS + counter * MS;
        let stamp = Stamp {
            source: self.source.0,
            counter,
            sent_ns: now - MS,
            frame: counter as u32,
            packets: 1,
            phase: 1,
            keyframe: counter == 0,
        };
        let mut packet = vec![0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        packet.resize(12 + 80, 0);
        stamp.write(&mut packet);
        let view = RtpView::parse(&packet).unwrap();
        let mut account = Account {
            shared: &self.shared,
            counters: &mut self.counters,
            latency: &mut self.latency,
            phase: &mut self.phase,
        };
        self.receiver.on_packet(&view, view.payload(), sequence, repaired, now, &mut account)
    }

    fn settled(&self, left: bool) -> Phase {
        let mut phase = Phase::new(1);
        self.receiver.settle(&mut phase, 0, &self.shared, left);
        phase
    }
}

#[test]
fn what_was_sent_and_did_not_come_is_lost_also_at_the_end() {
    let mut rig = Rig::new(false, false);
    for n in 0..100_u64 {
        rig.sent(n);
        // Across the wrap of sequence numbers; every tenth is lost, and the last five.
        if n % 10 != 3 && n < 95 {
            rig.comes(n, 0xffe0_u16.wrapping_add(n as u16), false);
        }
    }
    let phase = rig.settled(false);
    assert_eq!((phase.expected, phase.received, phase.streams), (100, 85, 1));
    assert_eq!((rig.counters.missing, rig.counters.found), (10, 0));
    assert_eq!(rig.phase.latency.percentile(50.0).unwrap() / 100_000, 10);
    // Who leaves early is not held to what was still under way.
    let left = rig.settled(true);
    assert_eq!((left.expected, left.received), (95, 85));
}

#[test]
fn reordered_and_duplicate_packets_are_no_loss() {
    let mut rig = Rig::new(false, false);
    for n in 0..10 {
        rig.sent(n);
    }
    for n in [0, 2, 1, 1, 3, 5, 4, 6, 6, 7, 8, 9] {
        rig.comes(n, n as u16, false);
    }
    let phase = rig.settled(false);
    assert_eq!((phase.expected, phase.received, phase.recovered), (10, 10, 0));
    assert_eq!((rig.counters.reordered, rig.counters.duplicates), (2, 2));
    assert_eq!(rig.counters.missing, rig.counters.found);
}

#[test]
fn a_subscriber_that_came_late_is_not_held_to_what_was_before() {
    let mut rig = Rig::new(false, false);
    for n in 0..100 {
        rig.sent(n);
    }
    for n in 60..100 {
        rig.comes(n, n as u16, false);
    }
    assert_eq!((rig.settled(false).expected, rig.settled(false).received), (40, 40));
}

#[test]
fn missing_packets_are_asked_for_until_they_come() {
    let mut rig = Rig::new(true, false);
    assert!(!rig.comes(0, 100, false).gap);
    assert!(rig.comes(4, 104, false).gap);
    let mut lost = [0; 10];
    let at = 1_010 * MS;
    assert_eq!(rig.receiver.poll_nacks(at, &mut lost), 3);
    assert_eq!(lost[..3], [101, 102, 103]);
    assert_eq!(rig.receiver.poll_nacks(at + MS, &mut lost), 0, "not again at once");
    for n in 0..5 {
        rig.sent(n);
    }
    rig.comes(2, 102, true);
    assert_eq!(rig.receiver.poll_nacks(at + NACK_AGAIN_NS, &mut lost), 2);
    assert_eq!(lost[..2], [101, 103]);
    assert!(rig.receiver.is_missing_any());
    assert_eq!(rig.receiver.poll_nacks(at + NACK_AGE_NS, &mut lost), 0, "given up");
    assert!(!rig.receiver.is_missing_any());
    let phase = rig.settled(false);
    assert_eq!((phase.expected, phase.received, phase.recovered), (5, 3, 1));
    assert_eq!(rig.counters.reordered, 0, "a repair is no reordering");
}

#[test]
fn where_layers_change_numbers_of_the_gateway_count() {
    let mut rig = Rig::new(true, true);
    for n in 0..100 {
        rig.sent(n);
    }
    // Every other packet belongs to a layer that the gateway leaves out.
    for n in 0..50_u64 {
        if n != 20 {
            rig.comes(n * 2, n as u16, false);
        }
    }
    let phase = rig.settled(false);
    assert_eq!((phase.expected, phase.received, phase.silent), (50, 49, 0));
}

#[test]
fn where_nobody_knows_what_should_come_a_stream_that_brings_nothing_is_silent() {
    for layered in [true, false] {
        let mut rig = Rig::new(true, layered);
        rig.sent(0);
        rig.comes(0, 0, false);
        // Another measurement, in which its source goes on and nothing comes.
        rig.source.1.on_sent(2, 1);
        let mut phase = Phase::new(2);
        rig.receiver.settle(&mut phase, 0, &rig.shared, false);
        let shown = (phase.expected, phase.received, phase.silent);
        assert_eq!(shown, if layered { (0, 0, 1) } else { (1, 0, 0) });
        let mut phase = Phase::new(2);
        rig.receiver.settle(&mut phase, 0, &rig.shared, true);
        assert_eq!(phase.silent, 0, "who leaves misses nothing");
    }
}

#[test]
fn what_has_no_stamp_is_not_ours() {
    let mut rig = Rig::new(true, false);
    let packet = [0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 5, 5, 5];
    let padding = [0xa0, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 3];
    for (sequence, packet) in [(1, packet), (2, padding)] {
        let view = RtpView::parse(&packet).unwrap();
        let mut account = Account {
            shared: &rig.shared,
            counters: &mut rig.counters,
            latency: &mut rig.latency,
            phase: &mut rig.phase,
        };
        rig.receiver.on_packet(&view, view.payload(), sequence, false, 1, &mut account);
    }
    assert_eq!((rig.counters.unstamped, rig.counters.padding_received), (1, 1));
    assert_eq!(rig.settled(false).streams, 0);
}
