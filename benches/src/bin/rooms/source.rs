//! What the publisher sends: 50 Opus packets a second of 80 octets, and 30 frames a second of five packets, together
//! about 1.5 Mbit/s. A frame is a keyframe if one was asked for since the last.

use anyhow::Context;
use portunus_media::bench::{ClientPeer, Happening};
use portunus_sdp::{MediaKind, Negotiated};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const FRAME_PACKETS: u16 = 5;
const VIDEO_PAYLOAD: usize = 1170;
const AUDIO_PAYLOAD: usize = 80;
const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 30);
const SOUND: Duration = Duration::from_millis(20);

pub(crate) struct Source {
    audio: Line,
    video: Line,
    picture: u16,
}

struct Line {
    index: usize,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    /// How far the timestamp goes from one frame to the next.
    step: u32,
}

impl Source {
    pub(crate) fn new(media: &[Negotiated]) -> anyhow::Result<Self> {
        let line = |kind: MediaKind, step| -> anyhow::Result<Line> {
            let index = media.iter().position(|n| n.kind == kind).context("a medium is missing")?;
            let payload_type = media[index].payloads.first().context("no codec")?.pt;
            Ok(Line { index, payload_type, sequence: 0, timestamp: 0, step })
        };
        Ok(Self { audio: line(MediaKind::Audio, 960)?, video: line(MediaKind::Video, 3000)?, picture: 0 })
    }

    /// Sends in real time until told to stop.
    pub(crate) fn run(&mut self, peer: &ClientPeer, quiet: &AtomicBool, stop: &AtomicBool) {
        let (mut sound, mut frame) = (Instant::now(), Instant::now());
        let mut keyframe = true;
        while !stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            std::thread::sleep(sound.min(frame).saturating_duration_since(now));
            let silent = quiet.load(Ordering::Relaxed);
            while let Some(happening) = peer.poll() {
                keyframe |= happening == Happening::Wanted;
            }
            if Instant::now() >= sound {
                sound += SOUND;
                let packet = self.audio.packet(true, &[], AUDIO_PAYLOAD);
                self.audio.timestamp = self.audio.timestamp.wrapping_add(self.audio.step);
                if !silent {
                    peer.feed(self.audio.index, vec![packet]);
                }
            }
            if Instant::now() >= frame {
                frame += FRAME;
                let packets = self.frame(keyframe);
                if !silent {
                    keyframe = false;
                    peer.feed(self.video.index, packets);
                }
            }
        }
    }

    fn frame(&mut self, keyframe: bool) -> Vec<Vec<u8>> {
        self.picture = self.picture.wrapping_add(1);
        let [high, low] = (self.picture | 0x8000).to_be_bytes();
        let packets = (0..FRAME_PACKETS).map(|i| {
            // RFC 7741: the payload descriptor with a picture id; then, at the start, the frame's own header.
            let mut start = vec![if i == 0 { 0x90 } else { 0x80 }, 0x80, high, low];
            if i == 0 {
                start.extend_from_slice(&[u8::from(!keyframe), 0, 0]);
            }
            if i == 0 && keyframe {
                start.extend_from_slice(&[0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01]);
            }
            self.video.packet(i + 1 == FRAME_PACKETS, &start, VIDEO_PAYLOAD)
        });
        let packets = packets.collect();
        self.video.timestamp = self.video.timestamp.wrapping_add(self.video.step);
        packets
    }
}

impl Line {
    fn packet(&mut self, marker: bool, start: &[u8], payload: usize) -> Vec<u8> {
        let mut packet = vec![0x80, self.payload_type | if marker { 0x80 } else { 0 }];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&self.timestamp.to_be_bytes());
        packet.extend_from_slice(&[0, 0, 0, 0]);
        packet.extend_from_slice(start);
        packet.resize(12 + payload, 0x55);
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }
}
