//! Values that are to be written, as text in which `${` begins a reference.

use crate::ast::{Entry, Group, List, Value, text_is_true};
use crate::expand::{Lookup, escape, expand_text};

/// `new` as it is to be written over `old`: what stands for a reference of `old` stays that reference.
pub(super) fn kept(old: Option<&Group>, new: &Group, lookup: &Lookup<'_>) -> Group {
    let mut group = new.clone();
    for entry in &mut group.entries {
        let Entry::Setting(setting) = entry else { continue };
        let before = old.and_then(|old| super::exact(old, setting.name()));
        setting.value = match before {
            Some(before) if means(&before.value, &setting.value, lookup) => before.value.clone(),
            _ => escaped(&setting.value),
        };
    }
    group
}

/// Whether `old` has references and stands for `new`. A text may stand for a number, a switch, or a list of texts.
fn means(old: &Value, new: &Value, lookup: &Lookup<'_>) -> bool {
    match (old, new) {
        (Value::Text(text), _) => {
            let Ok(Some(text)) = expand_text(text, lookup) else { return false };
            match new {
                Value::Text(new) => text == *new,
                Value::Bool(flag) => text_is_true(text.trim()) == *flag,
                Value::Integer(_) | Value::Float(_) => new.as_text().is_some_and(|new| text.trim() == new),
                Value::List(list) | Value::Array(list) => {
                    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                    let items = list.items.iter().map(|item| item.value.as_text());
                    parts.map(|part| Some(part.to_owned())).eq(items)
                }
                Value::Group(_) => false,
            }
        }
        (Value::List(old) | Value::Array(old), Value::List(new) | Value::Array(new)) => {
            let stays = |old: &Value, new: &Value| super::same(old, new) || means(old, new, lookup);
            old.items.len() == new.items.len()
                && old.items.iter().zip(&new.items).all(|(old, new)| stays(&old.value, &new.value))
                && old.items.iter().zip(&new.items).any(|(old, new)| means(&old.value, &new.value, lookup))
        }
        _ => false,
    }
}

fn escaped(value: &Value) -> Value {
    let list = |list: &List| {
        let mut list = list.clone();
        list.items.iter_mut().for_each(|item| item.value = escaped(&item.value));
        list
    };
    match value {
        Value::Text(text) => Value::Text(escape(text)),
        Value::List(items) => Value::List(list(items)),
        Value::Array(items) => Value::Array(list(items)),
        Value::Group(group) => {
            let mut group = group.clone();
            for entry in &mut group.entries {
                if let Entry::Setting(setting) = entry {
                    setting.value = escaped(&setting.value);
                }
            }
            Value::Group(group)
        }
        other => other.clone(),
    }
}
