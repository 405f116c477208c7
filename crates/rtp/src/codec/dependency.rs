//! The dependency descriptor header extension (AV1 RTP specification, appendix A).
//!
//! Purpose: mandatory part of every packet, the template structure (kept per source stream across packets), the
//! frame's layer, its decode target indications and chain distances: what layer choice needs.
//! Invariants: a structure replaces the kept one only if it parses wholly; a frame whose template is not in the
//! kept structure is an error, never a guess. Deliberately absent: writing (the only field that changes on the way
//! is the frame number, bytes 1 and 2 of the value, patched by the packet writer), and frame differences.

use super::SwitchUp;
use crate::error::RtpError;
use crate::num::low16;

/// Templates a structure may have (6-bit ids).
pub const MAX_TEMPLATES: usize = 64;
/// Decode targets a structure may have (5-bit count).
pub const MAX_TARGETS: usize = 32;
/// Chains a structure may have here. The format allows one a decode target; encoders make one a spatial layer (at
/// most four), and every packet's info carries them.
pub const MAX_CHAINS: usize = 8;
/// Frame differences read per frame or template before the value is refused.
const MAX_DIFFERENCES: usize = 64;
/// Spatial layers (2 bits in AV1).
const MAX_SPATIAL: u8 = 3;
/// Temporal layers (3 bits in AV1).
const MAX_TEMPORAL: u8 = 7;

/// Decode target indication: what a frame is to a decode target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indication {
    /// The target does not need the frame.
    NotPresent,
    /// Part of the target, but no later frame of the target needs it.
    Discardable,
    /// All later frames of the target can be decoded if this one can: a place to switch to the target.
    Switch,
    /// Needed.
    Required,
}

/// The 2-bit indications of one frame, packed by decode target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Indications(u64);

impl Indications {
    /// The indication for a decode target, 0..=31.
    #[must_use]
    #[inline]
    pub fn get(self, target: u8) -> Indication {
        match (self.0 >> (2 * u32::from(target & 31))) & 3 {
            0 => Indication::NotPresent,
            1 => Indication::Discardable,
            2 => Indication::Switch,
            _ => Indication::Required,
        }
    }

    fn set(&mut self, target: u8, bits: u64) {
        self.0 |= (bits & 3) << (2 * u32::from(target & 31));
    }
}

/// One frame template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Template {
    spatial: u8,
    temporal: u8,
    indications: Indications,
    chains: [u8; MAX_CHAINS],
}

/// One decode target: the layers it stands for, and the chain that protects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecodeTarget {
    /// Highest spatial layer.
    pub spatial: u8,
    /// Highest temporal layer.
    pub temporal: u8,
    /// Chain that protects the target, if the structure has chains.
    pub chain: Option<u8>,
}

/// The template structure of a coded video sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependencyStructure {
    offset: u8,
    templates: [Template; MAX_TEMPLATES],
    template_count: u8,
    targets: [DecodeTarget; MAX_TARGETS],
    target_count: u8,
    chain_count: u8,
    max_spatial: u8,
    max_temporal: u8,
    resolutions: [(u16, u16); 4],
    has_resolutions: bool,
}

impl DependencyStructure {
    /// The decode targets, in their order of the structure.
    #[must_use]
    pub fn targets(&self) -> &[DecodeTarget] {
        self.targets.get(..usize::from(self.target_count)).unwrap_or_default()
    }

    /// Number of chains.
    #[must_use]
    pub fn chain_count(&self) -> u8 {
        self.chain_count
    }

    /// Number of spatial layers.
    #[must_use]
    pub fn spatial_layers(&self) -> u8 {
        self.max_spatial + 1
    }

    /// Number of temporal layers.
    #[must_use]
    pub fn temporal_layers(&self) -> u8 {
        self.max_temporal + 1
    }

    /// Render width and height of a spatial layer, if the structure names them.
    #[must_use]
    pub fn resolution(&self, spatial: u8) -> Option<(u16, u16)> {
        if !self.has_resolutions || spatial > self.max_spatial {
            return None;
        }
        self.resolutions.get(usize::from(spatial)).copied()
    }

    /// The bit mask with every decode target set.
    #[must_use]
    pub fn all_targets(&self) -> u32 {
        u32::MAX >> (32 - u32::from(self.target_count.clamp(1, 32)))
    }

    fn template(&self, id: u8) -> Option<&Template> {
        let index = id.wrapping_sub(self.offset) & 0x3f;
        if index >= self.template_count {
            return None;
        }
        self.templates.get(usize::from(index))
    }
}

/// What the descriptor of one packet says about its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DependencyFrame {
    /// First packet of the frame.
    pub start: bool,
    /// Last packet of the frame.
    pub end: bool,
    /// Frame number.
    pub number: u16,
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// What the frame is to each decode target.
    pub indications: Indications,
    /// Distance in frame numbers to the previous frame of each chain; 0 where the chain starts.
    pub chains: [u8; MAX_CHAINS],
    /// The packet carries a template structure: the frame is a keyframe of the sequence.
    pub has_structure: bool,
    /// Decode targets that are being sent, as of this packet.
    pub active_targets: u32,
}

/// Reads the descriptors of one source stream.
#[derive(Debug, Clone, Default)]
pub struct DependencyReader {
    structure: Option<Box<DependencyStructure>>,
    active_targets: u32,
}

impl DependencyReader {
    /// Before any structure came.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The structure in force.
    #[must_use]
    pub fn structure(&self) -> Option<&DependencyStructure> {
        self.structure.as_deref()
    }

    /// Up to which temporal layer, of the frame's spatial layer, its receiver may go from here on.
    #[must_use]
    pub fn switch_up(&self, frame: &DependencyFrame) -> SwitchUp {
        let targets = self.structure().map(DependencyStructure::targets).unwrap_or_default();
        (0u8..)
            .zip(targets)
            .filter(|(index, target)| {
                target.spatial == frame.spatial && frame.indications.get(*index) == Indication::Switch
            })
            .map(|(_, target)| target.temporal)
            .max()
            .map_or(SwitchUp::No, SwitchUp::After)
    }

    /// Reads one extension value.
    ///
    /// # Errors
    /// [`RtpError::Truncated`] or [`RtpError::Malformed`] for bytes that do not parse, [`RtpError::NoStructure`]
    /// when the template is not part of the structure received last.
    pub fn read(&mut self, value: &[u8]) -> Result<DependencyFrame, RtpError> {
        let mut bits = Bits { bytes: value, at: 0 };
        let (start, end) = (bits.flag()?, bits.flag()?);
        let template_id = bits.byte(6)?;
        let number = low16(bits.take(16)?);
        let mut flags = Flags::default();
        // Appendix A: exactly three bytes mean that there is no extended part.
        if value.len() > 3 {
            flags = Flags {
                structure: bits.flag()?,
                active: bits.flag()?,
                indications: bits.flag()?,
                differences: bits.flag()?,
                chains: bits.flag()?,
            };
        }
        if flags.structure {
            let structure = parse_structure(&mut bits)?;
            self.active_targets = structure.all_targets();
            match &mut self.structure {
                Some(kept) => **kept = structure,
                kept => *kept = Some(Box::new(structure)),
            }
        }
        let structure = self.structure.as_deref().ok_or(RtpError::NoStructure)?;
        if flags.active {
            self.active_targets =
                crate::num::low32(bits.take(u32::from(structure.target_count))?) & structure.all_targets();
        }
        let template = structure.template(template_id).ok_or(RtpError::NoStructure)?;
        let (indications, chains) = parse_definition(&mut bits, structure, template, &flags)?;
        Ok(DependencyFrame {
            start,
            end,
            number,
            spatial: template.spatial,
            temporal: template.temporal,
            indications,
            chains,
            has_structure: flags.structure,
            active_targets: self.active_targets,
        })
    }
}

#[derive(Default)]
struct Flags {
    structure: bool,
    active: bool,
    indications: bool,
    differences: bool,
    chains: bool,
}

fn parse_structure(bits: &mut Bits<'_>) -> Result<DependencyStructure, RtpError> {
    let mut s = DependencyStructure {
        offset: bits.byte(6)?,
        templates: [Template::default(); MAX_TEMPLATES],
        template_count: 0,
        targets: [DecodeTarget::default(); MAX_TARGETS],
        target_count: bits.byte(5)? + 1,
        chain_count: 0,
        max_spatial: 0,
        max_temporal: 0,
        resolutions: [(0, 0); 4],
        has_resolutions: false,
    };
    parse_layers(bits, &mut s)?;
    let targets = s.target_count;
    let templates = usize::from(s.template_count);
    for template in s.templates.iter_mut().take(templates) {
        for target in 0..targets {
            template.indications.set(target, bits.take(2)?);
        }
    }
    for _ in 0..templates {
        let mut count = 0;
        while bits.flag()? {
            bits.take(4)?;
            count += 1;
            if count > MAX_DIFFERENCES {
                return Err(RtpError::Malformed);
            }
        }
    }
    parse_chains(bits, &mut s)?;
    name_targets(&mut s);
    s.has_resolutions = bits.flag()?;
    if s.has_resolutions {
        for resolution in s.resolutions.iter_mut().take(usize::from(s.max_spatial) + 1) {
            let (width, height) = (low16(bits.take(16)?), low16(bits.take(16)?));
            *resolution = (width.saturating_add(1), height.saturating_add(1));
        }
    }
    Ok(s)
}

fn parse_layers(bits: &mut Bits<'_>, s: &mut DependencyStructure) -> Result<(), RtpError> {
    let (mut spatial, mut temporal) = (0u8, 0u8);
    loop {
        let place = s.templates.get_mut(usize::from(s.template_count)).ok_or(RtpError::Malformed)?;
        (place.spatial, place.temporal) = (spatial, temporal);
        s.template_count += 1;
        match bits.take(2)? {
            0 => {}
            1 => temporal += 1,
            2 => {
                temporal = 0;
                spatial += 1;
            }
            _ => break,
        }
        if spatial > MAX_SPATIAL || temporal > MAX_TEMPORAL {
            return Err(RtpError::Malformed);
        }
        s.max_temporal = s.max_temporal.max(temporal);
    }
    s.max_spatial = spatial;
    Ok(())
}

fn parse_chains(bits: &mut Bits<'_>, s: &mut DependencyStructure) -> Result<(), RtpError> {
    s.chain_count = bits.non_symmetric(s.target_count + 1)?;
    if usize::from(s.chain_count) > MAX_CHAINS {
        return Err(RtpError::TooMany);
    }
    if s.chain_count == 0 {
        return Ok(());
    }
    for target in s.targets.iter_mut().take(usize::from(s.target_count)) {
        target.chain = Some(bits.non_symmetric(s.chain_count)?);
    }
    for template in s.templates.iter_mut().take(usize::from(s.template_count)) {
        for chain in template.chains.iter_mut().take(usize::from(s.chain_count)) {
            *chain = bits.byte(4)?;
        }
    }
    Ok(())
}

/// Appendix A `decode_target_layers()`: a target's layers are the highest among the templates it contains.
fn name_targets(s: &mut DependencyStructure) {
    for (index, target) in (0u8..).zip(s.targets.iter_mut().take(usize::from(s.target_count))) {
        for template in s.templates.iter().take(usize::from(s.template_count)) {
            if template.indications.get(index) != Indication::NotPresent {
                target.spatial = target.spatial.max(template.spatial);
                target.temporal = target.temporal.max(template.temporal);
            }
        }
    }
}

fn parse_definition(
    bits: &mut Bits<'_>,
    structure: &DependencyStructure,
    template: &Template,
    flags: &Flags,
) -> Result<(Indications, [u8; MAX_CHAINS]), RtpError> {
    let mut indications = template.indications;
    if flags.indications {
        indications = Indications::default();
        for target in 0..structure.target_count {
            indications.set(target, bits.take(2)?);
        }
    }
    if flags.differences {
        let mut count = 0;
        loop {
            let size = bits.byte(2)?;
            if size == 0 {
                break;
            }
            bits.take(4 * u32::from(size))?;
            count += 1;
            if count > MAX_DIFFERENCES {
                return Err(RtpError::Malformed);
            }
        }
    }
    let mut chains = template.chains;
    if flags.chains {
        for chain in chains.iter_mut().take(usize::from(structure.chain_count)) {
            *chain = bits.byte(8)?;
        }
    }
    Ok((indications, chains))
}

/// Most significant bit first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn flag(&mut self) -> Result<bool, RtpError> {
        let byte = self.bytes.get(self.at / 8).ok_or(RtpError::Truncated)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(bit == 1)
    }

    /// Up to 32 bits.
    fn take(&mut self, count: u32) -> Result<u64, RtpError> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u64::from(self.flag()?);
        }
        Ok(value)
    }

    /// Up to 8 bits.
    fn byte(&mut self, count: u32) -> Result<u8, RtpError> {
        self.take(count).map(crate::num::low8)
    }

    /// `ns(n)`: a value below `n`, in one bit less where it fits (AV1 specification section 4.10.7).
    fn non_symmetric(&mut self, n: u8) -> Result<u8, RtpError> {
        let n = u32::from(n);
        let width = 32 - n.leading_zeros();
        let short = (1 << width) - n;
        let value = u32::try_from(self.take(width.saturating_sub(1))?).unwrap_or(0);
        let value = if value < short { value } else { (value << 1 | u32::from(self.flag()?)) - short };
        u8::try_from(value).map_err(|_| RtpError::Malformed)
    }
}
