//! A message in a queue: a tree of values while it is on its way, text once it waits behind others.
//!
//! The tree of a small message takes about ten times the memory of its text, in many pieces that cost time to throw
//! away. Who keeps up is written trees, each spelt once, by the connection's own task; only the backlog of who does not
//! keep up is spelt here.

use portunus_api::{JsonFormat, Spelling, Value};

/// So many, or so many bytes, of a queue may be trees.
const TREES: usize = 4;
const TREE_BYTES: usize = 16 << 10;

/// What a message takes beside its text: its place in a queue that may be half empty, and the allocator's share.
const PLACE: usize = 104;

/// A message and about how many bytes it takes as text.
#[derive(Debug)]
pub(crate) struct Kept {
    weight: usize,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Tree(Value),
    /// In the compact spelling, shorn of spare capacity.
    Text(Box<str>),
}

impl Kept {
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// The message behind `items` others of `bytes` bytes.
    pub(super) fn behind(self, items: usize, bytes: usize) -> Self {
        let few = items < TREES && bytes.saturating_add(self.weight) <= TREE_BYTES;
        match self.form {
            Form::Tree(value) if !few => {
                // Copied, not shrunk: the buffer that grew serves the next message, and leaves no hole behind this one.
                let text: Box<str> = JsonFormat::Compact.write(&value).as_str().into();
                Self { weight: PLACE + text.len(), form: Form::Text(text) }
            }
            form => Self { form, ..self },
        }
    }

    /// The message as `spelling` has it.
    pub(crate) fn spell(&self, spelling: &Spelling) -> String {
        match &self.form {
            Form::Tree(value) => spelling.write(value),
            Form::Text(text) => spelling.respell(text),
        }
    }

    /// Several messages as one array.
    pub(crate) fn spell_all(all: &[Self], spelling: &Spelling) -> String {
        let mut list = String::from("[");
        for (n, kept) in all.iter().enumerate() {
            if n > 0 {
                list.push(',');
            }
            match &kept.form {
                Form::Tree(value) => list.push_str(&JsonFormat::Compact.write(value)),
                Form::Text(text) => list.push_str(text),
            }
        }
        list.push(']');
        spelling.respell(&list)
    }

    #[cfg(test)]
    pub(super) fn is_text(&self) -> bool {
        matches!(self.form, Form::Text(_))
    }
}

impl From<Value> for Kept {
    fn from(value: Value) -> Self {
        Self { weight: PLACE + weight(&value), form: Form::Tree(value) }
    }
}

/// About how many bytes `value` is when written: cheap, since every event is weighed on the control task.
fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 16,
        Value::String(s) => s.len() + 2,
        Value::Array(a) => 2 + a.iter().map(|v| weight(v) + 1).sum::<usize>(),
        Value::Object(o) => 2 + o.iter().map(|(k, v)| k.len() + 4 + weight(v)).sum::<usize>(),
    }
}
