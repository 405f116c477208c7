//! Dependency descriptors, written bit by bit after appendix A of the AV1 RTP specification.

use super::BitWriter;

/// One template: how the next one differs (0 same, 1 next temporal, 2 next spatial, 3 end), indications by target
/// (`-DSR`), frame differences, chain differences.
#[derive(Debug, Clone, Default)]
pub(crate) struct Template {
    pub(crate) next: u64,
    pub(crate) indications: &'static str,
    pub(crate) differences: Vec<u64>,
    pub(crate) chains: Vec<u64>,
}

fn template(
    next: u64,
    indications: &'static str,
    differences: impl Into<Vec<u64>>,
    chains: impl Into<Vec<u64>>,
) -> Template {
    Template { next, indications, differences: differences.into(), chains: chains.into() }
}

/// The three mandatory bytes.
pub(crate) fn mandatory(start: bool, end: bool, template: u64, number: u16) -> Vec<u8> {
    let mut bits = BitWriter::default();
    bits.put(u64::from(start), 1).put(u64::from(end), 1).put(template & 63, 6).put(u64::from(number), 16);
    bits.bytes()
}

/// Value below `n` as `ns(n)`.
fn non_symmetric(bits: &mut BitWriter, value: u64, n: u64) {
    let width = 64 - n.leading_zeros();
    let short = (1 << width) - n;
    if value < short {
        bits.put(value, width - 1);
    } else {
        let v = value + short;
        bits.put(v >> 1, width - 1).put(v & 1, 1);
    }
}

/// First packet of a keyframe: mandatory part with the first template, then the structure. Targets are protected by
/// chain `target * chains / targets`; resolutions grow from 320x180.
pub(crate) fn structure(
    offset: u64,
    number: u16,
    targets: u64,
    templates: &[Template],
    chains: u64,
) -> Vec<u8> {
    let mut bits = BitWriter::default();
    bits.put(0b11, 2).put(offset & 63, 6).put(u64::from(number), 16);
    bits.put(0b10000, 5).put(offset & 63, 6).put(targets - 1, 5);
    templates.iter().for_each(|t| {
        bits.put(t.next, 2);
    });
    for c in templates.iter().flat_map(|t| t.indications.chars()) {
        bits.put("-DSR".find(c).unwrap() as u64, 2);
    }
    for t in templates {
        t.differences.iter().for_each(|d| {
            bits.put(1, 1).put(d - 1, 4);
        });
        bits.put(0, 1);
    }
    non_symmetric(&mut bits, chains, targets + 1);
    if chains > 0 {
        (0..targets).for_each(|t| non_symmetric(&mut bits, t * chains / targets, chains));
        templates.iter().flat_map(|t| &t.chains).for_each(|c| {
            bits.put(*c, 4);
        });
    }
    let spatial = templates.iter().filter(|t| t.next == 2).count() as u64 + 1;
    bits.put(1, 1);
    for layer in 0..spatial {
        bits.put((320 << layer) - 1, 16).put((180 << layer) - 1, 16);
    }
    bits.bytes()
}

/// One spatial, three temporal layers. Templates from `offset`: key, T0, T1, T2 after T0, T2 after T1.
pub(crate) fn l1t3(offset: u64, number: u16) -> Vec<u8> {
    let templates = [
        template(0, "SSS", [], [0]),
        template(1, "SSS", [4], [4]),
        template(1, "-DS", [2], [2]),
        template(0, "--D", [1], [1]),
        template(3, "--D", [1], [3]),
    ];
    structure(offset, number, 3, &templates, 1)
}

/// Two spatial layers with two temporal layers, the upper spatial one predicted from the lower only in keyframes.
/// Templates from `offset`: S0 key, S0 T0, S0 T1, S1 key, S1 T0, S1 T1.
pub(crate) fn l2t2_key(offset: u64, number: u16) -> Vec<u8> {
    let templates = [
        template(0, "SSSS", [], [0, 0]),
        template(1, "SS--", [4], [4, 3]),
        template(2, "-D--", [2], [2, 1]),
        template(0, "--SS", [1], [1, 1]),
        template(1, "--SS", [4], [1, 4]),
        template(3, "---D", [2], [3, 2]),
    ];
    structure(offset, number, 4, &templates, 2)
}

/// Two spatial layers with two temporal layers, the upper one always predicted from the lower. Same templates.
pub(crate) fn l2t2(offset: u64, number: u16) -> Vec<u8> {
    let templates = [
        template(0, "SSSS", [], [0, 0]),
        template(1, "SSRR", [4], [4, 3]),
        template(2, "-D-R", [2], [2, 1]),
        template(0, "--SS", [1], [1, 1]),
        template(1, "--SS", [4, 1], [1, 1]),
        template(3, "---D", [2, 1], [3, 2]),
    ];
    structure(offset, number, 4, &templates, 2)
}
