//! What a packet costs: in each crate by itself, and on its way through a worker, without sockets.

use crate::{bench, work};
use anyhow::{Context, Result, ensure};
use portunus_benches::{SSRC, audio, video};
use portunus_media::bench::{Checked, Forwarding};
use portunus_rtp::codec::{Codec, PayloadInspector};
use portunus_rtp::extension::{ExtensionKind, ExtensionMap, IdText};
use portunus_rtp::mapping::{Arrival, SinkStream, SourceId};
use portunus_rtp::receive::{NackGenerator, ReceiverStats, SequenceUnwrapper};
use portunus_rtp::store::SourceStore;
use portunus_rtp::write::{Rewrite, SinkExtensions, SourcePacket, Stamp, write_packet};
use portunus_srtp::{MAX_RTP_OVERHEAD, MasterKey, Opener, Profile, Sealer};
use std::hint::black_box;
use std::net::SocketAddr;

/// A packet as it leaves, sealed with AES-GCM.
const SIZE: usize = 1200;
const HEADER: usize = 12;
const TAG: usize = 16;
/// Opus at 32 kbit/s, 20 ms.
const OPUS: usize = 80;

pub(crate) fn run() -> Result<()> {
    receive()?;
    rewrite()?;
    for (profile, name) in [(Profile::AeadAes128Gcm, "gcm"), (Profile::Aes128CmSha1_80, "cm")] {
        seal(profile, name)?;
        open(profile, name)?;
    }
    for subscribers in [10, 100] {
        forward(&format!("video-5-to-{subscribers}"), Profile::AeadAes128Gcm, subscribers, true)?;
    }
    forward("video-5-to-10-cm", Profile::Aes128CmSha1_80, 10, true)?;
    forward("audio-10-to-100", Profile::AeadAes128Gcm, 100, false)?;
    answer()?;
    check()
}

fn extensions(ids: &[(ExtensionKind, u8)]) -> ExtensionMap {
    let mut map = ExtensionMap::new();
    for (kind, id) in ids {
        map.try_insert(*kind, *id);
    }
    map
}

/// A publisher's VP8 packets, five of them a frame: mid, abs-send-time and transport-cc in the header, and a descriptor
/// with all fields.
struct Publisher {
    packet: Vec<u8>,
    number: u32,
    extensions: ExtensionMap,
}

impl Publisher {
    fn new() -> Self {
        let mut packet = vec![0x90, 96, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
        packet.extend([0xbe, 0xde, 0, 3, 0x10, b'1', 0x31, 0, 0, 0x22, 0, 0, 0, 0, 0, 0]);
        packet.extend([0x90, 0xf0, 0x80, 1, 7, 0x20, 0x01]);
        packet.resize(SIZE, 0x5a);
        let ids = [(ExtensionKind::Mid, 1), (ExtensionKind::AbsSendTime, 2), (ExtensionKind::TransportCc, 3)];
        Self { packet, number: 0, extensions: extensions(&ids) }
    }

    /// The next packet.
    fn next(&mut self) -> &[u8] {
        self.number += 1;
        let [.., high, low] = self.number.to_be_bytes();
        let frame = self.number / 5;
        self.packet[2..4].copy_from_slice(&[high, low]);
        self.packet[4..8].copy_from_slice(&(frame * 3000).to_be_bytes());
        let [.., high, low] = frame.to_be_bytes();
        self.packet[30..32].copy_from_slice(&[high | 0x80, low]);
        &self.packet
    }
}

/// Reading, counting, inspecting and keeping a packet that came.
fn receive() -> Result<()> {
    let mut publisher = Publisher::new();
    let extensions = publisher.extensions;
    let (mut unwrapper, mut stats) = (SequenceUnwrapper::new(), ReceiverStats::new(90_000));
    let (mut nacks, mut inspector) = (NackGenerator::new(), PayloadInspector::new(Codec::Vp8));
    let mut store = SourceStore::new(512, 1_000_000);
    let mut now_us = 0;
    bench("rtp-receive", 2000, |counted| {
        now_us += 1000;
        let packet = publisher.next();
        work(counted, || {
            let packet = SourcePacket::parse(black_box(packet), &extensions)?;
            let sequence = unwrapper.unwrap(packet.view.sequence()).context("a number")?;
            stats.on_packet(sequence, packet.view.timestamp(), packet.view.payload().len(), now_us);
            nacks.on_packet(sequence, now_us);
            black_box(inspector.inspect(packet.view.payload(), packet.view.marker(), None));
            black_box(store.insert(sequence, &packet, now_us));
            Ok(1)
        })
    })
}

/// Numbering and writing it for one receiver.
fn rewrite() -> Result<()> {
    let mut publisher = Publisher::new();
    let from = publisher.extensions;
    let to = [(ExtensionKind::Mid, 4), (ExtensionKind::AbsSendTime, 2), (ExtensionKind::TransportCc, 3)];
    let to = SinkExtensions::new(extensions(&to), IdText::new("1"));
    let (mut unwrapper, mut inspector) = (SequenceUnwrapper::new(), PayloadInspector::new(Codec::Vp8));
    let mut sink = SinkStream::new(90_000, 1000, 5000);
    let mut out = [0; 1500];
    bench("rtp-rewrite", 2000, |counted| {
        let number = publisher.number;
        let packet = SourcePacket::parse(publisher.next(), &from)?;
        let sequence = unwrapper.unwrap(packet.view.sequence()).context("a number")?;
        let info = inspector.inspect(packet.view.payload(), packet.view.marker(), None);
        work(counted, || {
            let timestamp = packet.view.timestamp();
            let arrival = Arrival { source: SourceId(1), sequence, timestamp, info: &info };
            let mapped = sink.try_map(&arrival, u64::from(number) * 1000).context("it is mapped")?;
            let rewrite = Rewrite {
                ssrc: 0x0a0b_0c0d,
                payload_type: 100,
                sequence: mapped.sequence,
                timestamp: mapped.timestamp,
                marker: packet.view.marker(),
                payload: mapped.payload,
                frame_number: mapped.frame_number,
            };
            let stamp = Stamp { transport_cc: mapped.sequence, abs_send_time: number, padding: 0 };
            ensure!(write_packet(black_box(&mut out), &packet, &rewrite, &stamp, &to)? > HEADER);
            Ok(1)
        })
    })
}

fn key(profile: Profile) -> Result<MasterKey> {
    Ok(MasterKey::new(profile, &vec![1; profile.key_len()], &vec![2; profile.salt_len()])?)
}

fn plain(sequence: u16) -> [u8; SIZE + MAX_RTP_OVERHEAD] {
    let mut packet = [0xa5; SIZE + MAX_RTP_OVERHEAD];
    let [high, low] = sequence.to_be_bytes();
    packet[..HEADER].copy_from_slice(&[0x80, 96, high, low, 0, 0, 0, 0, 0, 0, 0, 1]);
    packet
}

fn seal(profile: Profile, name: &str) -> Result<()> {
    let mut sealer = Sealer::new(key(profile)?)?;
    let mut state = sealer.claim(1, 1024)?;
    let mut sequence = 0;
    bench(&format!("srtp-seal-{name}"), 1000, |counted| {
        sequence += 1;
        let mut packet = plain(sequence);
        let len = SIZE - profile.rtp_tag_len();
        work(counted, || sealer.protect_rtp_with(&mut state, HEADER, black_box(&mut packet), len))?;
        Ok(1)
    })
}

fn open(profile: Profile, name: &str) -> Result<()> {
    let mut sealer = Sealer::new(key(profile)?)?;
    let mut opener = Opener::new(&key(profile)?)?;
    let mut sequence = 0;
    bench(&format!("srtp-open-{name}"), 1000, |counted| {
        sequence += 1;
        let mut packet = plain(sequence);
        let len = sealer.protect_rtp(&mut packet, SIZE - profile.rtp_tag_len())?;
        work(counted, || opener.unprotect_rtp(black_box(&mut packet[..len])).map(drop))?;
        Ok(1)
    })
}

/// Addresses of subscribers; nothing is sent there.
fn addresses(n: u16) -> Vec<SocketAddr> {
    (1..=n).map(|port| SocketAddr::from(([127, 0, 0, 1], 1000 + port))).collect()
}

/// A batch of one publisher to all its subscribers, per packet that leaves.
fn forward(name: &str, profile: Profile, subscribers: u16, is_video: bool) -> Result<()> {
    let (media, packets, payload) =
        if is_video { (video(), 5, SIZE - HEADER - TAG) } else { (audio(), 10, OPUS) };
    let mut path = Forwarding::new(&media, profile, payload, &addresses(subscribers))?;
    // The stores fill up once.
    for _ in 0..200 {
        path.prepare(SSRC, packets);
        path.forward(false);
    }
    bench(name, if subscribers > 10 { 20 } else { 100 }, |counted| {
        path.prepare(SSRC, packets);
        Ok(work(counted, || path.forward(false)))
    })
}

/// A NACK for one packet, answered by RTX.
fn answer() -> Result<()> {
    let (profile, to) = (Profile::AeadAes128Gcm, addresses(10));
    let mut path = Forwarding::new(&video(), profile, SIZE - HEADER - TAG, &to)?;
    let mut asker = path.asker(profile, 1, *to.first().context("a subscriber")?)?;
    bench("nack-to-rtx", 200, |counted| {
        path.prepare(SSRC, 5);
        path.forward_to(&mut asker);
        let left = work(counted, || path.answer(&mut asker));
        ensure!(left == 1, "{left} packets answered a NACK");
        Ok(left)
    })
}

/// A connectivity check, answered.
fn check() -> Result<()> {
    let mut peer = Checked::new(&video())?;
    bench("stun-check", 200, |counted| {
        ensure!(work(counted, || peer.answer()) > 0, "a check was not answered");
        Ok(1)
    })
}
