//! Elements of a request's body.

use crate::error::Refusal;
use portunus_api::{Kind, Object, Value, optional, require, token};
use portunus_plugin::recording::Format;

/// An element: its name, its type, and whether it must be there.
pub(crate) type Field = (&'static str, Kind, bool);

/// Checks presence and type of each, in order.
pub(crate) fn check(o: &Object, fields: &[Field]) -> Result<(), Refusal> {
    for (name, kind, required) in fields {
        match required {
            true => require(o, name, *kind).map(|_| ())?,
            false => optional(o, name, *kind).map(|_| ())?,
        }
    }
    Ok(())
}

pub(crate) fn flag(o: &Object, name: &str) -> Option<bool> {
    o.get(name)?.as_bool()
}

/// A number; what is too large for us is as large as can be.
pub(crate) fn number(o: &Object, name: &str) -> Option<u32> {
    o.get(name)?.as_u64().map(|n| u32::try_from(n).unwrap_or(u32::MAX))
}

pub(crate) fn text(o: &Object, name: &str) -> Option<String> {
    o.get(name)?.as_str().map(str::to_owned)
}

pub(crate) fn list<'a>(o: &'a Object, name: &str) -> &'a [Value] {
    o.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Objects of a list; what is none counts as one without elements, as in Janus.
pub(crate) fn objects(o: &Object, name: &str) -> Vec<Object> {
    list(o, name).iter().map(|v| v.as_object().cloned().unwrap_or_default()).collect()
}

/// A secret, if one is needed: 429 without it, 433 if it is another one.
pub(crate) fn check_secret(o: &Object, name: &str, right: Option<&str>) -> Result<(), Refusal> {
    let Some(right) = right else { return Ok(()) };
    let given = require(o, name, Kind::String)?.as_str().unwrap_or_default();
    match token::same_secret(given, right) {
        true => Ok(()),
        false => Err(Refusal::unauthorized(&format!("wrong {name}"))),
    }
}

/// What files recordings are to be.
pub(crate) fn format(o: &Object, name: &str) -> Result<Option<Format>, Refusal> {
    let word = text(o, name).filter(|word| !word.is_empty());
    let format = word.map(|word| Format::of(&word).ok_or(()));
    format
        .transpose()
        .map_err(|()| Refusal::invalid(format!("Invalid element ({name} should be mjr, playable or both)")))
}

/// A layer: 0, 1 or 2.
pub(crate) fn layer(o: &Object, name: &str, family: &str) -> Result<Option<u8>, Refusal> {
    match number(o, name).map(u8::try_from) {
        None => Ok(None),
        Some(Ok(layer)) if layer <= 2 => Ok(Some(layer)),
        Some(_) => Err(Refusal::invalid(format!("Invalid value ({family} should be 0, 1 or 2)"))),
    }
}
