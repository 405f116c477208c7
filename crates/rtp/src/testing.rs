//! Packets for the tests of this crate.

use crate::codec::{Codec, PayloadInfo, PayloadInspector};
use crate::extension::{ExtensionKind, ExtensionMap};

/// An RTP packet in parts.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) csrcs: Vec<u32>,
    pub(crate) extension: Option<(u16, Vec<u8>)>,
    pub(crate) payload: Vec<u8>,
    pub(crate) padding: u8,
}

impl Default for Packet {
    fn default() -> Self {
        Self {
            marker: false,
            payload_type: 96,
            sequence: 1,
            timestamp: 3000,
            ssrc: 0x1122_3344,
            csrcs: vec![],
            extension: None,
            payload: vec![1, 2, 3],
            padding: 0,
        }
    }
}

impl Packet {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0x80 | self.csrcs.len() as u8, self.payload_type | u8::from(self.marker) << 7];
        out.extend(self.sequence.to_be_bytes());
        out.extend(self.timestamp.to_be_bytes());
        out.extend(self.ssrc.to_be_bytes());
        self.csrcs.iter().for_each(|csrc| out.extend(csrc.to_be_bytes()));
        if let Some((profile, block)) = &self.extension {
            assert_eq!(block.len() % 4, 0);
            out[0] |= 0x10;
            out.extend(profile.to_be_bytes());
            out.extend(((block.len() / 4) as u16).to_be_bytes());
            out.extend(block);
        }
        out.extend(&self.payload);
        if self.padding > 0 {
            out[0] |= 0x20;
            out.resize(out.len() + usize::from(self.padding) - 1, 0);
            out.push(self.padding);
        }
        out
    }
}

/// A one-byte extension block of (id, value).
pub(crate) fn one_byte(elements: &[(u8, &[u8])]) -> (u16, Vec<u8>) {
    let mut block = vec![];
    for (id, value) in elements {
        block.push(id << 4 | (value.len() as u8 - 1));
        block.extend(*value);
    }
    block.resize(block.len().next_multiple_of(4), 0);
    (0xbede, block)
}

/// A two-byte extension block of (id, value).
pub(crate) fn two_byte(elements: &[(u8, &[u8])]) -> (u16, Vec<u8>) {
    let mut block = vec![];
    for (id, value) in elements {
        block.extend([*id, value.len() as u8]);
        block.extend(*value);
    }
    block.resize(block.len().next_multiple_of(4), 0);
    (0x1000, block)
}

pub(crate) fn map(entries: &[(ExtensionKind, u8)]) -> ExtensionMap {
    let mut map = ExtensionMap::new();
    for (kind, id) in entries {
        assert!(map.try_insert(*kind, *id));
    }
    map
}

/// A VP8 payload with all descriptor fields. `start` and `key` speak of the first packet of a keyframe.
pub(crate) fn vp8(picture: u16, tl0: u8, tid: u8, sync: bool, keyidx: u8, start: bool, key: bool) -> Vec<u8> {
    let picture = (picture & 0x7fff | 0x8000).to_be_bytes();
    let first = 0x80 | if start { 0x10 } else { 0 };
    vec![
        first,
        0xf0,
        picture[0],
        picture[1],
        tl0,
        tid << 6 | u8::from(sync) << 5 | keyidx,
        u8::from(!key),
        0xaa,
        0xbb,
    ]
}

pub(crate) fn inspect(codec: Codec, payload: &[u8]) -> PayloadInfo {
    PayloadInspector::new(codec).inspect(payload, false, None)
}

/// Writes bits, most significant first.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    bits: Vec<bool>,
}

impl BitWriter {
    pub(crate) fn put(&mut self, value: u64, count: u32) -> &mut Self {
        self.bits.extend((0..count).rev().map(|i| value >> i & 1 == 1));
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bits
            .chunks(8)
            .map(|chunk| chunk.iter().enumerate().fold(0, |byte, (i, bit)| byte | u8::from(*bit) << (7 - i)))
            .collect()
    }
}

pub(crate) mod dependency;
