//! Elements of a request: presence and type, with the texts that Janus and its plugins use everywhere.

use crate::{ApiError, ErrorCode, Object};
use serde_json::Value;
use std::fmt;

/// The type an element must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any string.
    String,
    /// A string with at least one byte.
    NonEmptyString,
    /// Any integer.
    Integer,
    /// An integer that is not negative: Janus calls zero positive.
    PositiveInteger,
    /// `true` or `false`.
    Boolean,
    /// An object.
    Object,
    /// An array.
    Array,
    /// A number with a fraction, or an integer.
    Real,
}

impl Kind {
    /// Whether `value` is of this type.
    pub fn accepts(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::NonEmptyString => value.as_str().is_some_and(|s| !s.is_empty()),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::PositiveInteger => value.is_u64(),
            Self::Boolean => value.is_boolean(),
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::Real => value.is_number(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "a string",
            Self::NonEmptyString => "a non-empty string",
            Self::Integer => "an integer",
            Self::PositiveInteger => "a positive integer",
            Self::Boolean => "a boolean",
            Self::Object => "an object",
            Self::Array => "an array",
            Self::Real => "a real",
        })
    }
}

/// What is wrong with an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldError {
    /// It is not there.
    Missing(String),
    /// It has another type.
    Type(String, Kind),
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "Missing mandatory element ({name})"),
            Self::Type(name, kind) => write!(f, "Invalid element type ({name} should be {kind})"),
        }
    }
}

impl FieldError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Missing(_) => ErrorCode::MissingMandatoryElement,
            Self::Type(..) => ErrorCode::InvalidElementType,
        }
    }

    /// The error as it is told of a nested object: `JSEP error: missing mandatory element (type)`.
    pub(crate) fn with_prefix(&self, prefix: &str) -> ApiError {
        let text = self.to_string();
        let mut letters = text.chars();
        let first = letters.next().map(|c| c.to_ascii_lowercase());
        ApiError::new(self.code(), prefix.chars().chain(first).chain(letters).collect::<String>())
    }
}

impl From<FieldError> for ApiError {
    fn from(e: FieldError) -> Self {
        Self::new(e.code(), e.to_string())
    }
}

/// An element that must be there. `null` is a value of the wrong type, as in Janus.
///
/// # Errors
/// [`FieldError::Missing`] without it, [`FieldError::Type`] for another type.
pub fn require<'a>(object: &'a Object, name: &str, kind: Kind) -> Result<&'a Value, FieldError> {
    optional(object, name, kind)?.ok_or_else(|| FieldError::Missing(name.to_owned()))
}

/// An element that may be there. `null` is a value of the wrong type, as in Janus.
///
/// # Errors
/// [`FieldError::Type`] for another type.
pub fn optional<'a>(object: &'a Object, name: &str, kind: Kind) -> Result<Option<&'a Value>, FieldError> {
    match object.get(name) {
        None => Ok(None),
        Some(value) if kind.accepts(value) => Ok(Some(value)),
        Some(_) => Err(FieldError::Type(name.to_owned(), kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_are_those_of_janus() {
        let v = json!({"a": 1, "b": "x", "n": null, "d": -1, "e": ""});
        let o = v.as_object().unwrap();
        assert_eq!(require(o, "c", Kind::String).unwrap_err().to_string(), "Missing mandatory element (c)");
        assert_eq!(optional(o, "c", Kind::String), Ok(None));
        for (name, kind, text) in [
            ("a", Kind::String, "a string"),
            ("n", Kind::String, "a string"),
            ("e", Kind::NonEmptyString, "a non-empty string"),
            ("b", Kind::Integer, "an integer"),
            ("d", Kind::PositiveInteger, "a positive integer"),
            ("b", Kind::Boolean, "a boolean"),
            ("b", Kind::Object, "an object"),
            ("b", Kind::Array, "an array"),
            ("b", Kind::Real, "a real"),
        ] {
            let e = require(o, name, kind).unwrap_err();
            assert_eq!(e.to_string(), format!("Invalid element type ({name} should be {text})"));
            assert_eq!(ApiError::from(e).code.code(), 467);
        }
    }
}
