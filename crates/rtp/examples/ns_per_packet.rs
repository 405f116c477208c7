//! Times the packet path without encryption: what one received VP8 packet costs once, and what it costs for each
//! receiver. `cargo run --release -p portunus-rtp --example ns_per_packet`.

use std::hint::black_box;
use std::time::Instant;

use portunus_rtp::RtpError;
use portunus_rtp::codec::{Codec, PayloadInfo, PayloadInspector};
use portunus_rtp::extension::{ExtensionKind, ExtensionMap, IdText};
use portunus_rtp::layers::{SimulcastSelector, Verdict};
use portunus_rtp::mapping::{Arrival, SinkStream, SourceId};
use portunus_rtp::receive::{NackGenerator, ReceiverStats, SequenceUnwrapper};
use portunus_rtp::store::{RetransmitIndex, Sent, SourceStore};
use portunus_rtp::twcc::FeedbackRecorder;
use portunus_rtp::write::{Rewrite, SinkExtensions, SourcePacket, Stamp, write_packet};

/// Short rounds, many of them: the best one ran undisturbed.
const PACKETS: u32 = 20_000;
const ROUNDS: usize = 500;
const SIZE: usize = 1200;
const SOURCE: SourceId = SourceId(1);

/// A publisher's packet: mid, transport-cc and abs-send-time in the header, VP8 with all descriptor fields.
fn publisher_packet() -> Vec<u8> {
    let mut packet = vec![0x90, 96, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    packet.extend([0xbe, 0xde, 0, 3, 0x10, b'1', 0x31, 0, 0, 0x22, 0, 0, 0, 0, 0, 0]);
    packet.extend([0x90, 0xf0, 0x80, 1, 7, 0x20, 0x01]);
    packet.resize(SIZE, 0x5a);
    packet
}

fn map(ids: &[(ExtensionKind, u8)]) -> ExtensionMap {
    let mut map = ExtensionMap::new();
    for (kind, id) in ids {
        assert!(map.try_insert(*kind, *id));
    }
    map
}

fn advance(packet: &mut [u8], n: u32) {
    packet[2..4].copy_from_slice(&n.to_be_bytes()[2..]);
    packet[4..8].copy_from_slice(&(n / 5 * 3000).to_be_bytes());
    packet[30..32].copy_from_slice(&((n / 5) as u16 | 0x8000).to_be_bytes());
}

/// Parse, inspect, map, write: the shortest way through the crate.
struct Path {
    from: ExtensionMap,
    inspector: PayloadInspector,
    unwrapper: SequenceUnwrapper,
    sink: SinkStream,
    extensions: SinkExtensions,
    out: [u8; 1500],
}

impl Path {
    fn new() -> Self {
        let from =
            map(&[(ExtensionKind::Mid, 1), (ExtensionKind::AbsSendTime, 2), (ExtensionKind::TransportCc, 3)]);
        let to =
            map(&[(ExtensionKind::Mid, 4), (ExtensionKind::AbsSendTime, 2), (ExtensionKind::TransportCc, 3)]);
        Self {
            from,
            inspector: PayloadInspector::new(Codec::Vp8),
            unwrapper: SequenceUnwrapper::new(),
            // A second source went before, so that every descriptor is rewritten.
            sink: SinkStream::new(90_000, 1000, 5000),
            extensions: SinkExtensions::new(to, IdText::new("1")),
            out: [0; 1500],
        }
    }

    fn forward(&mut self, packet: &[u8], source: SourceId, n: u32) -> Result<usize, RtpError> {
        let packet = SourcePacket::parse(packet, &self.from)?;
        let sequence = self.unwrapper.unwrap(packet.view.sequence()).unwrap_or(0);
        let info = self.inspector.inspect(packet.view.payload(), packet.view.marker(), None);
        let arrival = Arrival { source, sequence, timestamp: packet.view.timestamp(), info: &info };
        let Some(mapped) = self.sink.try_map(&arrival, u64::from(n) * 1000) else { return Ok(0) };
        let rewrite = Rewrite {
            ssrc: 0x0a0b_0c0d,
            payload_type: 100,
            sequence: mapped.sequence,
            timestamp: mapped.timestamp,
            marker: packet.view.marker(),
            payload: mapped.payload,
            frame_number: mapped.frame_number,
        };
        let stamp = Stamp { transport_cc: n as u16, abs_send_time: n, padding: 0 };
        write_packet(&mut self.out, &packet, &rewrite, &stamp, &self.extensions)
    }
}

fn best(name: &str, mut round: impl FnMut()) {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        round();
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(PACKETS));
    }
    #[allow(clippy::print_stdout, reason = "this program's whole purpose is its output")]
    {
        println!("{name:<44} {best:6.1} ns");
    }
}

fn parse_map_write() {
    let mut packet = publisher_packet();
    let mut path = Path::new();
    let mut n = 0;
    path.forward(&packet, SourceId(0), n).ok();
    best("parse + inspect + map + write, one receiver", || {
        for _ in 0..PACKETS {
            n += 1;
            advance(&mut packet, n);
            black_box(path.forward(black_box(&packet), SOURCE, n)).ok();
        }
    });
}

fn copy_alone() {
    let packet = publisher_packet();
    let mut out = [0u8; 1500];
    best("of it: copying 1200 bytes", || {
        for _ in 0..PACKETS {
            black_box(&mut out)[..SIZE].copy_from_slice(black_box(&packet));
        }
    });
}

fn ingress() {
    let mut packet = publisher_packet();
    let path = Path::new();
    let (mut inspector, mut unwrapper) = (path.inspector, path.unwrapper);
    let (mut stats, mut nacks) = (ReceiverStats::new(90_000), NackGenerator::new());
    let (mut twcc, mut store) = (FeedbackRecorder::new(), SourceStore::new(512, 1_000_000));
    let mut out = [0; 1200];
    let mut n = 0;
    best("ingress: parse, inspect, statistics, store", || {
        for _ in 0..PACKETS {
            n += 1;
            let now = u64::from(n) * 1000;
            advance(&mut packet, n);
            let Ok(packet) = SourcePacket::parse(black_box(&packet), &path.from) else { return };
            let Some(sequence) = unwrapper.unwrap(packet.view.sequence()) else { continue };
            stats.on_packet(sequence, packet.view.timestamp(), packet.view.payload().len(), now);
            black_box(nacks.on_packet(sequence, now));
            twcc.on_packet(n as u16, now);
            black_box(inspector.inspect(packet.view.payload(), packet.view.marker(), None));
            black_box(store.insert(sequence, &packet, now));
            if n % 200 == 0 {
                black_box(twcc.poll_feedback(&mut out)).ok();
            }
        }
    });
}

fn egress() {
    let bytes = publisher_packet();
    let mut path = Path::new();
    let Ok(packet) = SourcePacket::parse(&bytes, &path.from) else { return };
    let info = path.inspector.inspect(packet.view.payload(), false, None);
    let mut selector = SimulcastSelector::default();
    let keyframe = PayloadInfo { keyframe: true, ..info };
    selector.on_packet(2, 0, &keyframe, 0);
    let mut index = RetransmitIndex::new(1, 256);
    let mut n = 0u32;
    best("egress per receiver: choose, map, write, record", || {
        for _ in 0..PACKETS {
            n += 1;
            let now = u64::from(n) * 1000;
            if !matches!(selector.on_packet(2, n, black_box(&info), now), Verdict::Forward { .. }) {
                continue;
            }
            let sequence = u64::from(n) + 70_000;
            let arrival = Arrival { source: SOURCE, sequence, timestamp: n, info: &info };
            let Some(mapped) = path.sink.try_map(&arrival, now) else { continue };
            let rewrite = Rewrite {
                ssrc: 1,
                payload_type: 100,
                sequence: mapped.sequence,
                timestamp: mapped.timestamp,
                marker: false,
                payload: mapped.payload,
                frame_number: None,
            };
            let stamp = Stamp { transport_cc: n as u16, abs_send_time: n, padding: 1 };
            let written = write_packet(&mut path.out, black_box(&packet), &rewrite, &stamp, &path.extensions);
            let sent = Sent {
                index: mapped.index,
                source: SOURCE,
                source_sequence: sequence,
                rewrite: &rewrite,
                stamp: &stamp,
                revision: 0,
                len: written.unwrap_or(0),
            };
            index.record(&sent, now);
        }
    });
}

fn main() {
    parse_map_write();
    copy_alone();
    ingress();
    egress();
}
