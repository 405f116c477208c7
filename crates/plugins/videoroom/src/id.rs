//! Ids of rooms and participants: numbers, or texts with `string_ids`.

use portunus_api::{Kind, Value};
use std::fmt;
use std::sync::Arc;

/// Longest text id, in bytes.
const MAX_TEXT: usize = 1024;

/// The id of a room or a participant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Id {
    /// Without `string_ids`.
    Number(u64),
    /// With `string_ids`.
    Text(Arc<str>),
}

/// Which of the two kinds is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdKind {
    Numbers,
    Texts,
}

impl IdKind {
    /// The JSON type of an id.
    pub(crate) const fn json(self) -> Kind {
        match self {
            Self::Numbers => Kind::PositiveInteger,
            Self::Texts => Kind::String,
        }
    }

    /// Reads an id whose type was checked before.
    pub(crate) fn read(self, value: &Value) -> Option<Id> {
        match self {
            Self::Numbers => value.as_u64().map(Id::Number),
            Self::Texts => value.as_str().filter(|t| t.len() <= MAX_TEXT).map(|t| Id::Text(t.into())),
        }
    }

    /// Reads the id in the name of a room's section.
    pub(crate) fn parse(self, text: &str) -> Option<Id> {
        match self {
            Self::Numbers => text.parse().ok().filter(|n| *n > 0).map(Id::Number),
            Self::Texts => (!text.is_empty() && text.len() <= MAX_TEXT).then(|| Id::Text(text.into())),
        }
    }

    /// A new id of 64 random bits a call: 53 bits of a number, so that JavaScript can hold it, or a UUID.
    pub(crate) fn make(self, random: &mut dyn FnMut() -> u64) -> Id {
        match self {
            Self::Numbers => Id::Number((random() >> 11).max(1)),
            Self::Texts => Id::Text(uuid(random(), random()).into()),
        }
    }
}

impl Id {
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Number(n) => (*n).into(),
            Self::Text(t) => (**t).into(),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => n.fmt(f),
            Self::Text(t) => f.write_str(t),
        }
    }
}

/// RFC 9562 section 5.4: version 4.
fn uuid(high: u64, low: u64) -> String {
    let high = (high & 0xffff_ffff_ffff_0fff) | 0x4000;
    let low = (low & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
    let text = format!("{high:016x}{low:016x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    parts.into_iter().filter_map(|part| text.get(part)).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_id_that_is_made_is_a_uuid_of_version_4() {
        let mut random = || 0xffff_ffff_ffff_ffff;
        assert_eq!(IdKind::Texts.make(&mut random).to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn a_number_that_is_made_is_safe_in_javascript_and_never_zero() {
        assert_eq!(IdKind::Numbers.make(&mut || u64::MAX), Id::Number((1 << 53) - 1));
        assert_eq!(IdKind::Numbers.make(&mut || 0), Id::Number(1));
    }
}
