//! AV1 payloads (AV1 RTP specification section 4): aggregation header and the OBUs a router looks at.

use super::{Layer, PayloadInfo};

const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;

/// OBU elements looked at in one packet.
const MAX_ELEMENTS: usize = 32;

/// The aggregation header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AggregationHeader {
    /// Z: the first element continues an OBU of the packet before.
    pub continued: bool,
    /// Y: the last element goes on in the next packet.
    pub continues: bool,
    /// W: number of elements, 0 when every element carries its length.
    pub elements: u8,
    /// N: first packet of a coded video sequence.
    pub new_sequence: bool,
}

impl AggregationHeader {
    /// Reads the first payload byte; `None` for the empty payload and for the forbidden pair Z and N.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let byte = *payload.first()?;
        let header = Self {
            continued: byte & 0x80 != 0,
            continues: byte & 0x40 != 0,
            elements: (byte >> 4) & 0x03,
            new_sequence: byte & 0x08 != 0,
        };
        (!(header.continued && header.new_sequence)).then_some(header)
    }
}

/// Whether a decoder can start at this payload: the N bit, or a whole or starting sequence header OBU.
#[must_use]
pub fn is_keyframe(payload: &[u8]) -> bool {
    look(payload).is_some_and(|look| look.keyframe)
}

struct Look {
    keyframe: bool,
    layer: Option<Layer>,
}

fn look(payload: &[u8]) -> Option<Look> {
    let header = AggregationHeader::parse(payload)?;
    let mut found = Look { keyframe: header.new_sequence, layer: None };
    let mut at = 1;
    for index in 0..MAX_ELEMENTS {
        if at >= payload.len() {
            break;
        }
        // With W elements the last one has no length field; with W = 0 all have one.
        let last = header.elements != 0 && index + 1 == usize::from(header.elements);
        let len = if last {
            payload.len() - at
        } else {
            let (value, size) = leb128(payload.get(at..)?)?;
            at += size;
            value
        };
        let Some(element) = payload.get(at..at.checked_add(len)?) else { break };
        at += len;
        if !(index == 0 && header.continued) {
            visit(element, &mut found);
        }
        if last {
            break;
        }
    }
    Some(found)
}

fn visit(element: &[u8], found: &mut Look) {
    let Some(head) = element.first() else { return };
    let kind = (head >> 3) & 0x0f;
    if kind == SEQUENCE_HEADER {
        found.keyframe = true;
    }
    if head & 0x04 != 0
        && kind != TEMPORAL_DELIMITER
        && let Some(extension) = element.get(1)
    {
        found.layer = Some(Layer { spatial: (extension >> 3) & 0x03, temporal: extension >> 5 });
    }
}

/// A length of at most four bytes (28 bits are plenty for a packet), with the bytes it took.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0usize;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

#[inline]
pub(super) fn inspect(payload: &[u8], info: &mut PayloadInfo) {
    if let Some(look) = look(payload) {
        info.keyframe = look.keyframe;
        info.layer = look.layer;
    }
}
