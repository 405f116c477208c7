//! The document: groups, settings, values, and the comments around them.
//!
//! Two documents are equal when they print the same: places take no part in a comparison.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Fault, Notice};

/// Where something stands. Displayed as `file:line:column`, or `file` alone when `line` is 0 (a value that
/// came from no file; `file` then names its origin, e.g. an environment variable).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// File name as the caller gave it.
    pub file: Arc<str>,
    /// Line, from 1; 0 = no line.
    pub line: u32,
    /// Column in characters, from 1; 0 = no column.
    pub column: u32,
}

impl Place {
    /// A place without a line: the origin of a value that no file holds.
    pub fn of(origin: &str) -> Self {
        Self { file: origin.into(), line: 0, column: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}", self.file),
            (line, 0) => write!(f, "{}:{line}", self.file),
            (line, column) => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// How a comment is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommentStyle {
    /// `#` to the end of the line.
    Hash,
    /// `//` to the end of the line.
    Slashes,
    /// `/* */`.
    Block,
}

/// A comment, kept word for word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    style: CommentStyle,
    text: String,
}

impl Comment {
    /// A comment of `text` (without its marks). What would end it early is mended: line ends become spaces
    /// in the one-line styles, `*/` becomes `* /` in a block.
    pub fn new(style: CommentStyle, text: &str) -> Self {
        let text = match style {
            CommentStyle::Hash | CommentStyle::Slashes => text.replace(['\r', '\n'], " ").trim_end().into(),
            CommentStyle::Block => text.replace("*/", "* /"),
        };
        Self { style, text }
    }

    /// How it is marked.
    pub fn style(&self) -> CommentStyle {
        self.style
    }

    /// What stands between the marks.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What may stand before a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trivia {
    /// One or more empty lines.
    Blank,
    /// A comment on its own line.
    Comment(Comment),
}

/// A parsed file with all it includes.
#[derive(Debug, Clone)]
pub struct Document {
    /// The file's name as the caller gave it.
    pub file: Arc<str>,
    /// The settings that stand in no group.
    pub root: Group,
    /// What was accepted but deserves a word.
    pub notices: Vec<(Place, Notice)>,
    /// What stood in the file where [`crate::expand`] has put something else, for messages.
    pub written: HashMap<Place, String>,
}

impl Document {
    /// A document without settings.
    pub fn empty(file: &str) -> Self {
        Self { file: file.into(), root: Group::default(), notices: Vec::new(), written: HashMap::new() }
    }

    /// The group `name` at the top of the file, its letter case ignored.
    pub fn section(&self, name: &str) -> Option<&Group> {
        self.root.get(name)?.value.as_group()
    }

    /// Sets `key` in the top-level group `section`; both are added where they are missing. A value that was
    /// there is replaced, its place included; a `section` that is no group stays as it is, for its reader to
    /// report. Errors: [`Fault::BadName`].
    pub fn set(&mut self, section: &str, key: &str, value: Value, place: Place) -> Result<(), Error> {
        if self.root.get(section).is_none() {
            self.root.set(section, Value::Group(Group::default()), place.clone())?;
        }
        match self.root.get_mut(section).map(|setting| &mut setting.value) {
            Some(Value::Group(group)) => group.set(key, value, place),
            _ => Ok(()),
        }
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.root == other.root
    }
}

/// What stands between `{` and `}`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Group {
    /// Comments behind the opening brace, on its line. Always empty at the top of a file.
    pub opening: Vec<Comment>,
    /// Settings and includes, in order.
    pub entries: Vec<Entry>,
    /// Comments before the closing brace or the end of the file.
    pub closing: Vec<Trivia>,
}

impl Group {
    /// All settings, those of included files in their place.
    pub fn settings(&self) -> Settings<'_> {
        Settings { levels: vec![self.entries.iter()] }
    }

    /// The first setting called `name`, letter case ignored (as Janus looks it up).
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.settings().find(|setting| setting.name.eq_ignore_ascii_case(name))
    }

    /// As [`Group::get`], to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Setting> {
        get_mut(&mut self.entries, name)
    }

    /// Sets `name`: replaces value and place of the setting of that name, or adds one at the end.
    /// Errors: [`Fault::BadName`], [`Fault::LongName`].
    pub fn set(&mut self, name: &str, value: Value, place: Place) -> Result<(), Error> {
        if let Some(setting) = self.get_mut(name) {
            setting.value = value;
            setting.place = place;
            return Ok(());
        }
        let setting = Setting::new(name, value, place)?;
        self.entries.push(Entry::Setting(setting));
        Ok(())
    }

    /// Takes the setting `name` out, letter case ignored; settings of included files stay.
    pub fn remove(&mut self, name: &str) -> Option<Setting> {
        let at = self
            .entries
            .iter()
            .position(|e| matches!(e, Entry::Setting(s) if s.name.eq_ignore_ascii_case(name)))?;
        match self.entries.remove(at) {
            Entry::Setting(setting) => Some(setting),
            Entry::Include(_) => None,
        }
    }
}

fn get_mut<'e>(entries: &'e mut [Entry], name: &str) -> Option<&'e mut Setting> {
    for entry in entries {
        match entry {
            Entry::Setting(setting) if setting.name.eq_ignore_ascii_case(name) => return Some(setting),
            Entry::Setting(_) => {}
            Entry::Include(include) => {
                if let Some(found) = get_mut(&mut include.entries, name) {
                    return Some(found);
                }
            }
        }
    }
    None
}

/// Iterator of [`Group::settings`].
#[derive(Debug, Clone)]
pub struct Settings<'g> {
    levels: Vec<std::slice::Iter<'g, Entry>>,
}

impl<'g> Iterator for Settings<'g> {
    type Item = &'g Setting;

    fn next(&mut self) -> Option<&'g Setting> {
        loop {
            match self.levels.last_mut()?.next() {
                Some(Entry::Setting(setting)) => return Some(setting),
                Some(Entry::Include(include)) => self.levels.push(include.entries.iter()),
                None => {
                    self.levels.pop();
                }
            }
        }
    }
}

/// One line of a group.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// `name = value`.
    Setting(Setting),
    /// `@include "pattern"`.
    Include(Include),
}

/// An `@include` and what it brought in. Printed as the directive only.
#[derive(Debug, Clone)]
pub struct Include {
    /// As written: a path, with wildcards or without.
    pub pattern: String,
    /// Where the directive stands.
    pub place: Place,
    /// What stands before it.
    pub leading: Vec<Trivia>,
    /// Comments behind it, on its line.
    pub trailing: Vec<Comment>,
    /// The settings of the included files.
    pub entries: Vec<Entry>,
}

impl PartialEq for Include {
    fn eq(&self, other: &Self) -> bool {
        (&self.pattern, &self.leading, &self.trailing, &self.entries)
            == (&other.pattern, &other.leading, &other.trailing, &other.entries)
    }
}

/// A name with its value.
#[derive(Debug, Clone)]
pub struct Setting {
    name: String,
    /// Its value.
    pub value: Value,
    /// Where its name stands.
    pub place: Place,
    /// Empty lines and comments before it.
    pub leading: Vec<Trivia>,
    /// Comments behind its value, on the same line.
    pub trailing: Vec<Comment>,
}

impl Setting {
    /// A setting without comments. Errors: [`Fault::BadName`], [`Fault::LongName`].
    pub fn new(name: &str, value: Value, place: Place) -> Result<Self, Error> {
        if name.len() > crate::MAX_NAME_BYTES {
            return Err(Error { place, fault: Fault::LongName });
        }
        if !crate::lex::is_name(name) {
            return Err(Error { place, fault: Fault::BadName(name.to_owned()) });
        }
        Ok(Self { name: name.to_owned(), value, place, leading: Vec::new(), trailing: Vec::new() })
    }

    /// Its name, in the letter case of the file.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl PartialEq for Setting {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.value, &self.leading, &self.trailing)
            == (&other.name, &other.value, &other.leading, &other.trailing)
    }
}

/// What a setting can hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `"text"`.
    Text(String),
    /// A whole number.
    Integer(Integer),
    /// A number with a point or an exponent; always finite.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// `{ }`.
    Group(Group),
    /// `( )`: values of any kind.
    List(List),
    /// `[ ]`: scalars of one kind.
    Array(List),
}

impl Value {
    /// A scalar as text, as Janus keeps all of them; `None` for groups, lists and arrays.
    pub fn as_text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Integer(integer) => Some(integer.value.to_string()),
            Self::Float(float) => Some(float.to_string()),
            Self::Bool(flag) => Some(flag.to_string()),
            Self::Group(_) | Self::List(_) | Self::Array(_) => None,
        }
    }

    /// Janus' truth: `yes`, `true` and `1` in any letter case; everything else, groups included, is false.
    pub fn as_bool(&self) -> bool {
        self.as_text().is_some_and(|text| text_is_true(&text))
    }

    /// The group, if it is one.
    pub fn as_group(&self) -> Option<&Group> {
        match self {
            Self::Group(group) => Some(group),
            _ => None,
        }
    }

    /// The items of a list or an array.
    pub fn as_items(&self) -> Option<&[Item]> {
        match self {
            Self::List(list) | Self::Array(list) => Some(&list.items),
            _ => None,
        }
    }

    /// A word for messages: `text`, `integer`, `float`, `bool`, `group`, `list`, `array`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) => "integer",
            Self::Float(_) => "float",
            Self::Bool(_) => "bool",
            Self::Group(_) => "group",
            Self::List(_) => "list",
            Self::Array(_) => "array",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(Integer { value, radix: Radix::Decimal, long: false })
    }
}

/// Janus' truth of a text: `yes`, `true` or `1`, letter case ignored.
pub fn text_is_true(text: &str) -> bool {
    ["yes", "true", "1"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A whole number with the way it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integer {
    /// The number.
    pub value: i64,
    /// How its digits are written; negative numbers are always decimal.
    pub radix: Radix,
    /// Written with an `L` (or `LL`) behind it.
    pub long: bool,
}

/// How the digits of an integer are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Radix {
    /// `255`.
    Decimal,
    /// `0xff`.
    Hex,
    /// `0b1111`.
    Binary,
    /// `0o17`.
    Octal,
}

/// What stands between brackets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct List {
    /// Comments behind the opening bracket, on its line.
    pub opening: Vec<Comment>,
    /// The values.
    pub items: Vec<Item>,
    /// Comments before the closing bracket.
    pub closing: Vec<Trivia>,
    /// Whether each item has its own line. Groups and comments force it; see [`List::settle`].
    pub multiline: bool,
}

impl List {
    /// Sets `multiline` where the contents leave no choice, which is what printing goes by.
    pub fn settle(&mut self) {
        self.multiline |= !self.opening.is_empty()
            || !self.closing.is_empty()
            || self.items.iter().any(|item| {
                !item.leading.is_empty()
                    || !item.trailing.is_empty()
                    || match &item.value {
                        Value::Group(_) => true,
                        Value::List(list) | Value::Array(list) => list.multiline,
                        _ => false,
                    }
            });
    }
}

/// One value of a list or an array.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its value.
    pub value: Value,
    /// Where it begins.
    pub place: Place,
    /// Empty lines and comments before it.
    pub leading: Vec<Trivia>,
    /// Comments behind it, on the same line.
    pub trailing: Vec<Comment>,
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        (&self.value, &self.leading, &self.trailing) == (&other.value, &other.leading, &other.trailing)
    }
}
