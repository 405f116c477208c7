//! VP9 payload descriptor (RFC 9628 section 4.2).

use super::{Descriptor, Layer, PayloadInfo, PictureId, SwitchUp, patch_picture_id};
use crate::num::{be16, low8};

/// Reference indices a flexible-mode frame may carry (RFC 9628 section 4.2: at most three).
const MAX_REFERENCES: usize = 3;

/// The parsed descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp9Descriptor {
    /// Length of the descriptor in bytes.
    pub len: u8,
    /// Picture id, if present.
    pub picture_id: Option<PictureId>,
    /// P bit: the layer frame refers to earlier pictures.
    pub inter_picture: bool,
    /// F bit: flexible mode.
    pub flexible: bool,
    /// B bit: first packet of a layer frame.
    pub frame_start: bool,
    /// E bit: last packet of a layer frame.
    pub frame_end: bool,
    /// Z bit: no upper spatial layer refers to this frame.
    pub not_upper_reference: bool,
    /// L bit: the layer indices are there; without it both are 0.
    pub has_layers: bool,
    /// SID.
    pub spatial: u8,
    /// TID.
    pub temporal: u8,
    /// U bit: later pictures of higher temporal layers need none of those from before this one.
    pub switch_up: bool,
    /// D bit: the frame refers to the lower spatial layer of the same picture.
    pub inter_layer: bool,
    /// TL0PICIDX (non-flexible mode with layer indices).
    pub tl0: Option<u8>,
    /// What the scalability structure said, if present.
    pub structure: Option<Vp9Structure>,
    tl0_at: u8,
}

/// The parts of a scalability structure a router needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp9Structure {
    /// Number of spatial layers, 1..=8.
    pub spatial_layers: u8,
    /// Pictures of the group, 0 without one.
    pub pictures: u8,
    /// Number of temporal layers in the group, at least 1.
    pub temporal_layers: u8,
    /// Width and height of the highest spatial layer, if given.
    pub resolution: Option<(u16, u16)>,
}

impl Vp9Descriptor {
    /// Reads the descriptor; `None` if it is cut or breaks a bound of the RFC.
    #[must_use]
    #[inline]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let first = *payload.first()?;
        let mut d = Self {
            len: 1,
            picture_id: None,
            inter_picture: first & 0x40 != 0,
            flexible: first & 0x10 != 0,
            frame_start: first & 0x08 != 0,
            frame_end: first & 0x04 != 0,
            not_upper_reference: first & 0x01 != 0,
            has_layers: first & 0x20 != 0,
            spatial: 0,
            temporal: 0,
            switch_up: false,
            inter_layer: false,
            tl0: None,
            structure: None,
            tl0_at: 0,
        };
        let mut at = 1;
        if first & 0x80 != 0 {
            let id = PictureId::parse(payload, at)?;
            at += id.len();
            d.picture_id = Some(id);
        }
        if d.has_layers {
            let byte = *payload.get(at)?;
            at += 1;
            d.temporal = byte >> 5;
            d.switch_up = byte & 0x10 != 0;
            d.spatial = (byte >> 1) & 0x07;
            d.inter_layer = byte & 0x01 != 0;
            if !d.flexible {
                d.tl0 = Some(*payload.get(at)?);
                d.tl0_at = low8(crate::num::wide(at));
                at += 1;
            }
        }
        if d.flexible && d.inter_picture {
            at = skip_references(payload, at)?;
        }
        if first & 0x02 != 0 {
            let (structure, end) = parse_structure(payload, at)?;
            d.structure = Some(structure);
            at = end;
        }
        d.len = u8::try_from(at).ok()?;
        Some(d)
    }

    /// Whether this packet starts a keyframe: the base spatial layer, no reference to earlier pictures.
    #[must_use]
    pub fn starts_keyframe(&self) -> bool {
        self.frame_start && !self.inter_picture && self.spatial == 0 && !self.inter_layer
    }
}

fn skip_references(payload: &[u8], mut at: usize) -> Option<usize> {
    for _ in 0..MAX_REFERENCES {
        let byte = *payload.get(at)?;
        at += 1;
        if byte & 0x01 == 0 {
            return Some(at);
        }
    }
    // The N bit of the third index is set: more than the RFC allows.
    None
}

fn parse_structure(payload: &[u8], mut at: usize) -> Option<(Vp9Structure, usize)> {
    let head = *payload.get(at)?;
    at += 1;
    let mut structure =
        Vp9Structure { spatial_layers: (head >> 5) + 1, pictures: 0, temporal_layers: 1, resolution: None };
    if head & 0x10 != 0 {
        for _ in 0..structure.spatial_layers {
            structure.resolution = Some((be16(payload, at)?, be16(payload, at + 2)?));
            at += 4;
        }
    }
    if head & 0x08 != 0 {
        structure.pictures = *payload.get(at)?;
        at += 1;
        for _ in 0..structure.pictures {
            let byte = *payload.get(at)?;
            structure.temporal_layers = structure.temporal_layers.max((byte >> 5) + 1);
            at += 1 + usize::from((byte >> 2) & 0x03);
        }
    }
    (at <= payload.len()).then_some((structure, at))
}

#[inline]
pub(super) fn inspect(payload: &[u8], info: &mut PayloadInfo) {
    let Some(d) = Vp9Descriptor::parse(payload) else { return };
    info.keyframe = d.starts_keyframe();
    info.frame_start = Some(d.frame_start);
    info.frame_end = d.frame_end;
    info.layer = d.has_layers.then_some(Layer { spatial: d.spatial, temporal: d.temporal });
    info.switch_up = if d.switch_up { SwitchUp::After(u8::MAX) } else { SwitchUp::No };
    info.descriptor = Descriptor::Vp9(d);
}

#[inline]
pub(super) fn rewrite(payload: &mut [u8], picture_id: u16, tl0: u8) {
    let Some(d) = Vp9Descriptor::parse(payload) else { return };
    if d.picture_id.is_some() {
        patch_picture_id(payload, 1, picture_id);
    }
    if d.tl0.is_some()
        && let Some(byte) = payload.get_mut(usize::from(d.tl0_at))
    {
        *byte = tl0;
    }
}
