//! Changing one group of a text and leaving the rest of it, comments and all, byte by byte.
//!
//! [`put`] replaces or appends a group at the top of a file, [`take_out`] removes one. Names are told apart by letter
//! case here. In a group that is replaced, settings whose value stays are not touched, other values are written over
//! the old ones, settings that are gone go with what stands behind them on their line, and new ones come last. Values that
//! are given mean themselves: where the old text says `${NAME}` and that stands for the value, it stays, and a `${` in a
//! new value is written so that it is no reference.
//!
//! Invariants: a text that does not parse is refused; the result has been parsed again and says what it should.

mod references;
mod spans;

use std::ops::Range;

use crate::ast::{Document, Entry, Group, Item, List, Place, Setting, Value};
use crate::error::{Error, Fault};
use crate::expand::Lookup;
use crate::parse::{IncludeRequest, IncludedFile, parse};
use crate::print::{Layout, setting_text, value_text};
use spans::{Piece, Pieces, scan};

/// Why a text was left as it is.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The text is not right; the first mistake, and how many more there are.
    #[error("the file has mistakes, the first is {first}")]
    Unreadable {
        /// The first of them.
        first: Error,
        /// How many others there are.
        more: usize,
    },
    /// The group cannot have such a name.
    #[error("{0}")]
    Name(Fault),
    /// Something of this name is there and is no group.
    #[error("{place}: `{name}` is not a group")]
    NotAGroup {
        /// The name.
        name: String,
        /// Where it stands.
        place: Place,
    },
    /// The group, or a part of it, comes from another file.
    #[error("{place}: `{name}` comes from an included file, which is not written to")]
    Included {
        /// The name.
        name: String,
        /// Where it stands.
        place: Place,
    },
    /// The result would not be what was asked for: a text with a NUL, a number that is none, too deep a group.
    #[error("`{0}` cannot be written so that it reads back the same")]
    Unwritable(String),
}

/// Gives the files of an `@include`, as for [`parse`].
pub type Resolve<'r> = dyn FnMut(&IncludeRequest<'_>) -> Result<Vec<IncludedFile>, String> + 'r;

/// The text of `file` with `group` as the group `name` at its top.
///
/// # Errors
/// See [`EditError`]; comments and includes of `group` are left out.
pub fn put(
    file: &str,
    text: &str,
    name: &str,
    group: &Group,
    resolve: &mut Resolve<'_>,
    lookup: &Lookup<'_>,
) -> Result<String, EditError> {
    Setting::new(name, Value::Bool(true), Place::of(file)).map_err(|error| EditError::Name(error.fault))?;
    let before = read(file, text, resolve)?;
    let old = exact(&before.root, name).and_then(|setting| setting.value.as_group());
    let group = references::kept(old, &bare_group(group), lookup);
    change(file, text, name, Some(&group), resolve)
}

/// The text of `file` without the group `name`; the same text if there is none.
///
/// # Errors
/// See [`EditError`].
pub fn take_out(file: &str, text: &str, name: &str, resolve: &mut Resolve<'_>) -> Result<String, EditError> {
    change(file, text, name, None, resolve)
}

fn change(
    file: &str,
    text: &str,
    name: &str,
    group: Option<&Group>,
    resolve: &mut Resolve<'_>,
) -> Result<String, EditError> {
    let before = read(file, text, resolve)?;
    let unwritable = || EditError::Unwritable(name.to_owned());
    let (mark, body) = match text.strip_prefix('\u{feff}') {
        Some(body) => ("\u{feff}", body),
        None => ("", text),
    };
    let pieces = scan(body).ok_or_else(unwritable)?;
    let style = Style::of(body);
    let edited = match (pieces.find(name), group) {
        (Some(piece), _) => {
            let old = own_group(&before, name)?;
            match group {
                Some(group) => replaced(body, piece, old, group, &style).ok_or_else(unwritable)?,
                None => apply(body, vec![top_level_removal(body, piece)]).ok_or_else(unwritable)?,
            }
        }
        (None, group) => {
            if let Some(setting) = before.root.settings().find(|setting| setting.name() == name) {
                let (name, place) = (name.to_owned(), setting.place.clone());
                return Err(EditError::Included { name, place });
            }
            match group {
                Some(group) => appended(body, name, group, &style),
                None => body.to_owned(),
            }
        }
    };
    let edited = format!("{mark}{edited}");
    let after = read(file, &edited, resolve).map_err(|_| unwritable())?;
    if says(&before, &after, name, group) { Ok(edited) } else { Err(unwritable()) }
}

fn read(file: &str, text: &str, resolve: &mut Resolve<'_>) -> Result<Document, EditError> {
    parse(file, text, resolve).map_err(|errors| {
        let more = errors.len().saturating_sub(1);
        let unknown = || Error { place: Place::of(file), fault: Fault::TooLong };
        EditError::Unreadable { first: errors.into_iter().next().unwrap_or_else(unknown), more }
    })
}

/// The group `name`, all of which must stand in the file itself.
fn own_group<'d>(document: &'d Document, name: &str) -> Result<&'d Group, EditError> {
    let own = document.root.entries.iter().find_map(|entry| match entry {
        Entry::Setting(setting) if setting.name() == name => Some(setting),
        _ => None,
    });
    let Some(setting) = own else { return Err(EditError::Unwritable(name.to_owned())) };
    let (name, place) = (name.to_owned(), setting.place.clone());
    let Some(group) = setting.value.as_group() else { return Err(EditError::NotAGroup { name, place }) };
    if group.entries.iter().any(|entry| matches!(entry, Entry::Include(_))) {
        return Err(EditError::Included { name, place });
    }
    Ok(group)
}

/// How the file is written.
struct Style {
    end: &'static str,
    unit: &'static str,
}

impl Style {
    fn of(text: &str) -> Self {
        let first = text.find('\n').and_then(|at| text.get(..at));
        let end = if first.is_some_and(|line| line.ends_with('\r')) { "\r\n" } else { "\n" };
        let unit = if text.lines().any(|line| line.starts_with('\t')) { "\t" } else { "  " };
        Self { end, unit }
    }

    fn layout<'l>(&'l self, base: &'l str) -> Layout<'l> {
        Layout { base, unit: self.unit, end: self.end }
    }
}

fn appended(text: &str, name: &str, group: &Group, style: &Style) -> String {
    let mut out = text.to_owned();
    if !out.is_empty() {
        if !out.ends_with('\n') {
            out.push_str(style.end);
        }
        out.push_str(style.end);
    }
    out.push_str(&setting_text(name, &Value::Group(group.clone()), style.layout("")));
    out.push_str(style.end);
    out
}

/// One change: these bytes become this text.
type Change = (Range<usize>, String);

fn apply(text: &str, mut changes: Vec<Change>) -> Option<String> {
    changes.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (range, new) in changes {
        out.push_str(text.get(done..range.start)?);
        out.push_str(&new);
        done = range.end;
    }
    out.push_str(text.get(done..)?);
    Some(out)
}

fn replaced(text: &str, piece: &Piece<'_>, old: &Group, new: &Group, style: &Style) -> Option<String> {
    let inner = piece.inner.as_ref()?;
    let close = piece.value.end.checked_sub(1)?;
    let inside = text.get(piece.value.start + 1..close)?;
    if inner.all.is_empty() && inside.trim().is_empty() && !new.entries.is_empty() {
        let value = value_text(&Value::Group(new.clone()), style.layout(indent(text, piece.at.start)));
        return apply(text, vec![(piece.value.clone(), value)]);
    }
    let mut changes = Vec::new();
    for part in &inner.all {
        match (exact(new, part.name), exact(old, part.name)) {
            (None, _) => changes.push((removal(text, part, true), String::new())),
            (Some(new), Some(old)) if same(&new.value, &old.value) => {}
            (Some(new), _) => changes.push(overwritten(text, part, &new.value, style)),
        }
    }
    for (range, with) in &mut changes {
        if with.is_empty() && glues(text, range) {
            with.push(' ');
        }
    }
    changes.extend(added(text, close, inner, old, new, style));
    apply(text, changes)
}

fn overwritten(text: &str, part: &Piece<'_>, value: &Value, style: &Style) -> Change {
    let mut with = value_text(value, style.layout(indent(text, part.at.start)));
    let next = text.get(part.value.end..).and_then(|rest| rest.chars().next());
    if next.is_some_and(|c| c.is_alphanumeric() || matches!(c, '*' | '_' | '-' | '"' | '.')) {
        with.push(' ');
    }
    (part.value.clone(), with)
}

/// The settings of `new` that `old` does not have, before the closing brace at `close`.
fn added(
    text: &str,
    close: usize,
    inner: &Pieces<'_>,
    old: &Group,
    new: &Group,
    style: &Style,
) -> Vec<Change> {
    let fresh: Vec<&Setting> =
        new.settings().filter(|setting| exact(old, setting.name()).is_none()).collect();
    if fresh.is_empty() {
        return Vec::new();
    }
    let line = line_start(text, close);
    let before_brace = text.get(line..close).unwrap_or_default();
    if is_blank(before_brace) {
        let sibling = inner.all.iter().find(|part| starts_line(text, part.at.start));
        let base = match sibling {
            Some(part) => indent(text, part.at.start).to_owned(),
            None => format!("{before_brace}{}", style.unit),
        };
        let text_of = |setting: &&Setting| {
            format!(
                "{base}{}{}",
                setting_text(setting.name(), &setting.value, style.layout(&base)),
                style.end
            )
        };
        return vec![(line..line, fresh.iter().map(text_of).collect())];
    }
    let mut changes = Vec::new();
    let last = inner.all.iter().rev().find(|part| exact(new, part.name).is_some());
    if let Some(last) = last.filter(|part| !part.separated) {
        changes.push((last.value.end..last.value.end, ";".to_owned()));
    }
    let spaced = before_brace.ends_with(char::is_whitespace);
    let mut with = String::from(if spaced { "" } else { " " });
    for setting in fresh {
        with.push_str(&setting_text(setting.name(), &setting.value, style.layout(indent(text, close))));
        with.push(' ');
    }
    changes.push((close..close, with));
    changes
}

/// What goes with a setting: its lines, if nothing else stands on them (`comments`: but comments behind it).
fn removal(text: &str, part: &Piece<'_>, comments: bool) -> Range<usize> {
    let Range { start, end } = part.at;
    let rest = text.get(end..).unwrap_or_default();
    let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    if starts_line(text, start)
        && let Some(line_end) = spans::line_end(text, end, comments)
    {
        return line_start(text, start)..line_end;
    }
    let followed = !rest.get(blanks..).unwrap_or_default().starts_with(['\r', '\n']);
    start..if followed { end + blanks } else { end }
}

/// Whether what stands before and behind would read as one word without the bytes between.
fn glues(text: &str, range: &Range<usize>) -> bool {
    let before = text.get(..range.start).and_then(|t| t.chars().next_back());
    let behind = text.get(range.end..).and_then(|t| t.chars().next());
    let apart = |c: char| c.is_whitespace() || matches!(c, ';' | ',' | '{' | '}');
    !before.is_none_or(apart) && !behind.is_none_or(apart)
}

/// As [`removal`], with the empty line before it where another one follows, or nothing.
fn top_level_removal(text: &str, piece: &Piece<'_>) -> Change {
    let mut range = removal(text, piece, false);
    let whole_lines = starts_line(text, piece.at.start) && range.start <= line_start(text, piece.at.start);
    let behind = text.get(range.end..).unwrap_or_default();
    if whole_lines && (behind.is_empty() || behind.starts_with('\n') || behind.starts_with("\r\n")) {
        let before = text.get(..range.start).unwrap_or_default();
        let shorter = before.strip_suffix("\r\n").or_else(|| before.strip_suffix('\n')).unwrap_or(before);
        if shorter.ends_with('\n') {
            range.start = shorter.len();
        }
    }
    let with = if glues(text, &range) { " " } else { "" };
    (range, with.to_owned())
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
}

fn is_blank(text: &str) -> bool {
    text.chars().all(|c| matches!(c, ' ' | '\t'))
}

fn starts_line(text: &str, at: usize) -> bool {
    text.get(line_start(text, at)..at).is_some_and(is_blank)
}

/// The blanks that the line of `at` begins with.
fn indent(text: &str, at: usize) -> &str {
    let line = text.get(line_start(text, at)..at).unwrap_or_default();
    let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
    line.get(..blanks).unwrap_or_default()
}

fn exact<'g>(group: &'g Group, name: &str) -> Option<&'g Setting> {
    group.settings().find(|setting| setting.name() == name)
}

/// Whether `after` is `before` with just this group changed. The order inside the group is free.
fn says(before: &Document, after: &Document, name: &str, group: Option<&Group>) -> bool {
    let others = |document: &Document| -> Vec<(String, Value)> {
        let rest = document.root.settings().filter(|setting| setting.name() != name);
        rest.map(|setting| (setting.name().to_owned(), setting.value.clone())).collect()
    };
    let (old, new) = (others(before), others(after));
    let rest_is_same = old.len() == new.len()
        && old.iter().zip(&new).all(|((a, left), (b, right))| a == b && same(left, right));
    let found = exact(&after.root, name).map(|setting| &setting.value);
    rest_is_same
        && match (group, found) {
            (None, None) => true,
            (Some(group), Some(Value::Group(found))) => {
                group.settings().count() == found.settings().count()
                    && group.settings().all(|wanted| {
                        exact(found, wanted.name()).is_some_and(|there| same(&there.value, &wanted.value))
                    })
            }
            _ => false,
        }
}

/// The same but for comments and the way it is written.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Text(a), Value::Text(b)) => a == b,
        (Value::Integer(a), Value::Integer(b)) => a.value == b.value,
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Group(a), Value::Group(b)) => {
            a.settings().count() == b.settings().count()
                && a.settings()
                    .zip(b.settings())
                    .all(|(a, b)| a.name() == b.name() && same(&a.value, &b.value))
        }
        (Value::List(a), Value::List(b)) | (Value::Array(a), Value::Array(b)) => {
            a.items.len() == b.items.len()
                && a.items.iter().zip(&b.items).all(|(a, b)| same(&a.value, &b.value))
        }
        _ => false,
    }
}

/// Without comments and includes.
fn bare_group(group: &Group) -> Group {
    let bare_setting = |setting: &Setting| {
        let mut setting = setting.clone();
        setting.value = bare(&setting.value);
        setting.leading.clear();
        setting.trailing.clear();
        Entry::Setting(setting)
    };
    Group { entries: group.settings().map(bare_setting).collect(), ..Group::default() }
}

fn bare(value: &Value) -> Value {
    let bare_list = |list: &List| {
        let bare_item = |item: &Item| Item {
            value: bare(&item.value),
            place: item.place.clone(),
            leading: Vec::new(),
            trailing: Vec::new(),
        };
        let mut list = List { items: list.items.iter().map(bare_item).collect(), ..List::default() };
        list.settle();
        list
    };
    match value {
        Value::Group(group) => Value::Group(bare_group(group)),
        Value::List(list) => Value::List(bare_list(list)),
        Value::Array(list) => Value::Array(bare_list(list)),
        scalar => scalar.clone(),
    }
}
