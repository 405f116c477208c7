//! VP8 payload descriptor (RFC 7741 section 4.2).

use super::{Descriptor, Layer, PayloadInfo, PictureId, SwitchUp, patch_picture_id};
use crate::num::low8;

/// The parsed descriptor, with the offsets of the fields that are rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp8Descriptor {
    /// Length of the descriptor in bytes.
    pub len: u8,
    /// S bit: start of a VP8 partition.
    pub partition_start: bool,
    /// PID: partition index.
    pub partition: u8,
    /// N bit: no other frame refers to this one.
    pub non_reference: bool,
    /// Picture id, if present.
    pub picture_id: Option<PictureId>,
    /// TL0PICIDX, if present.
    pub tl0: Option<u8>,
    /// TID, if present.
    pub temporal: Option<u8>,
    /// Y bit: the frame depends only on the base layer.
    pub layer_sync: bool,
    /// KEYIDX, if present.
    pub keyidx: Option<u8>,
    /// First packet of a keyframe (P bit of the VP8 payload header, inverted).
    pub keyframe: bool,
}

/// Offsets of the optional fields.
struct Places {
    picture_id: usize,
    tl0: usize,
    tid_keyidx: usize,
}

impl Vp8Descriptor {
    /// Reads the descriptor and the first payload byte behind it; `None` if it is cut.
    #[must_use]
    #[inline]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        Self::parse_placed(payload).map(|(descriptor, _)| descriptor)
    }

    #[inline(always)]
    fn parse_placed(payload: &[u8]) -> Option<(Self, Places)> {
        let first = *payload.first()?;
        let mut places = Places { picture_id: 0, tl0: 0, tid_keyidx: 0 };
        let mut d = Self {
            len: 1,
            partition_start: first & 0x10 != 0,
            partition: first & 0x07,
            non_reference: first & 0x20 != 0,
            picture_id: None,
            tl0: None,
            temporal: None,
            layer_sync: false,
            keyidx: None,
            keyframe: false,
        };
        let mut at = 1;
        if first & 0x80 != 0 {
            let flags = *payload.get(1)?;
            at = 2;
            if flags & 0x80 != 0 {
                let id = PictureId::parse(payload, at)?;
                places.picture_id = at;
                at += id.len();
                d.picture_id = Some(id);
            }
            if flags & 0x40 != 0 {
                d.tl0 = Some(*payload.get(at)?);
                places.tl0 = at;
                at += 1;
            }
            if flags & 0x30 != 0 {
                let byte = *payload.get(at)?;
                places.tid_keyidx = at;
                at += 1;
                if flags & 0x20 != 0 {
                    d.temporal = Some(byte >> 6);
                    d.layer_sync = byte & 0x20 != 0;
                }
                if flags & 0x10 != 0 {
                    d.keyidx = Some(byte & 0x1f);
                }
            }
        }
        d.len = low8(crate::num::wide(at));
        // An empty partition behind a descriptor is void: RFC 7741 wants at least one payload byte.
        let body = *payload.get(at)?;
        d.keyframe = d.partition_start && d.partition == 0 && body & 0x01 == 0;
        Some((d, places))
    }

    /// Whether this packet starts a frame.
    #[must_use]
    pub fn starts_frame(&self) -> bool {
        self.partition_start && self.partition == 0
    }
}

#[inline(always)]
pub(super) fn inspect(payload: &[u8], info: &mut PayloadInfo) {
    let Some(d) = Vp8Descriptor::parse(payload) else { return };
    info.keyframe = d.keyframe;
    info.frame_start = Some(d.starts_frame());
    info.layer = d.temporal.map(|temporal| Layer { spatial: 0, temporal });
    info.switch_up = if d.layer_sync { SwitchUp::Here } else { SwitchUp::No };
    info.descriptor = Descriptor::Vp8(d);
}

#[inline]
pub(super) fn rewrite(payload: &mut [u8], picture_id: u16, tl0: u8, keyidx: u8) {
    // The shape browsers send: all fields, 15-bit picture id.
    if let [first, flags, id_high, id_low, tl0_field, tid_keyidx, _, ..] = payload
        && *first & 0x80 != 0
        && *flags & 0xf0 == 0xf0
        && *id_high & 0x80 != 0
    {
        let [high, low] = picture_id.to_be_bytes();
        (*id_high, *id_low, *tl0_field) = (high | 0x80, low, tl0);
        *tid_keyidx = (*tid_keyidx & 0xe0) | (keyidx & 0x1f);
        return;
    }
    let Some((d, places)) = Vp8Descriptor::parse_placed(payload) else { return };
    if d.picture_id.is_some() {
        patch_picture_id(payload, places.picture_id, picture_id);
    }
    if d.tl0.is_some()
        && let Some(byte) = payload.get_mut(places.tl0)
    {
        *byte = tl0;
    }
    if d.keyidx.is_some()
        && let Some(byte) = payload.get_mut(places.tid_keyidx)
    {
        *byte = (*byte & 0xe0) | (keyidx & 0x1f);
    }
}
