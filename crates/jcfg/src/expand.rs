//! `${NAME}` and `${NAME:-default}` in the texts of a document that was parsed: what a value brings along is text and
//! never syntax.
//!
//! Names are those of shells; a variable that is empty counts as one that is not there. `$${` stands for a plain `${`, and
//! a `$` without a brace for itself. What stands for a variable is looked up by the caller, and is never repeated in a
//! message: [`Document::written`] keeps what the file says.
//!
//! Deliberately absent: references in names, in `@include`, in numbers without quotes, and within one another.

use crate::MAX_BYTES;
use crate::ast::{Document, Entry, Group, List, Place, Value};
use crate::error::{Error, Fault};
use std::collections::HashMap;

/// Tells what stands for a variable.
pub type Lookup<'l> = dyn Fn(&str) -> Option<String> + 'l;

/// Puts in what stands for the variables of all texts.
///
/// # Errors
/// Every reference that is malformed or to a variable that is not there; those texts stay as they are.
pub fn expand(document: &mut Document, lookup: &Lookup<'_>) -> Result<(), Vec<Error>> {
    let mut run = Run { lookup, written: HashMap::new(), errors: Vec::new(), bytes: 0 };
    run.entries(&mut document.root.entries);
    document.written.extend(run.written);
    if run.errors.is_empty() { Ok(()) } else { Err(run.errors) }
}

/// `text` so that it means itself where references are expanded.
pub fn escape(text: &str) -> String {
    text.replace("${", "$${")
}

/// What stands for `text`; `None` if it means itself.
///
/// # Errors
/// [`Fault::BadReference`], [`Fault::Unset`], [`Fault::TooLong`].
pub fn expand_text(text: &str, lookup: &Lookup<'_>) -> Result<Option<String>, Fault> {
    let Some((before, mut rest)) = text.split_once("${") else { return Ok(None) };
    let mut out = String::with_capacity(text.len());
    let mut before = before;
    loop {
        if let Some(plain) = before.strip_suffix('$') {
            out.push_str(plain);
            out.push_str("${");
        } else {
            out.push_str(before);
            let (reference, behind) = rest.split_once('}').ok_or(Fault::BadReference)?;
            out.push_str(&value_of(reference, lookup)?);
            if out.len() > MAX_BYTES {
                return Err(Fault::TooLong);
            }
            rest = behind;
        }
        match rest.split_once("${") {
            Some((plain, behind)) => (before, rest) = (plain, behind),
            None => {
                out.push_str(rest);
                return Ok(Some(out));
            }
        }
    }
}

/// What stands between the braces.
fn value_of(reference: &str, lookup: &Lookup<'_>) -> Result<String, Fault> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name =
        name.chars().all(is_part) && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !is_name || default.is_some_and(|default| default.contains("${")) {
        return Err(Fault::BadReference);
    }
    let value = lookup(name).filter(|value| !value.is_empty());
    value.or(default.map(str::to_owned)).ok_or_else(|| Fault::Unset(name.to_owned()))
}

struct Run<'l> {
    lookup: &'l Lookup<'l>,
    written: HashMap<Place, String>,
    errors: Vec<Error>,
    bytes: usize,
}

impl Run<'_> {
    fn entries(&mut self, entries: &mut [Entry]) {
        for entry in entries {
            match entry {
                Entry::Setting(setting) => {
                    let place = setting.place.clone();
                    self.value(&mut setting.value, &place);
                }
                Entry::Include(include) => self.entries(&mut include.entries),
            }
        }
    }

    fn value(&mut self, value: &mut Value, place: &Place) {
        match value {
            Value::Text(text) => self.text(text, place),
            Value::Group(Group { entries, .. }) => self.entries(entries),
            Value::List(list) | Value::Array(list) => self.list(list, place),
            Value::Integer(_) | Value::Float(_) | Value::Bool(_) => {}
        }
    }

    fn text(&mut self, text: &mut String, place: &Place) {
        let mut fail = |fault| self.errors.push(Error { place: place.clone(), fault });
        match expand_text(text, self.lookup) {
            Ok(None) => {}
            Ok(Some(expanded)) if expanded.contains('\0') => fail(Fault::BadText),
            Ok(Some(expanded)) => {
                self.bytes = self.bytes.saturating_add(expanded.len());
                if self.bytes > MAX_BYTES {
                    return fail(Fault::TooLong);
                }
                self.written.insert(place.clone(), std::mem::replace(text, expanded));
            }
            Err(fault) => fail(fault),
        }
    }

    /// Messages about a list are about its setting: its place tells what all items were.
    fn list(&mut self, list: &mut List, place: &Place) {
        let written: Vec<String> = list.items.iter().filter_map(|item| item.value.as_text()).collect();
        let before = self.written.len();
        for item in &mut list.items {
            let place = item.place.clone();
            self.value(&mut item.value, &place);
        }
        if self.written.len() > before {
            self.written.insert(place.clone(), written.join(", "));
        }
    }
}
