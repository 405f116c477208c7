//! Writing a document back: one setting a line, two spaces a level, comments where they were.

use std::fmt::{self, Write};

use crate::ast::{Comment, CommentStyle, Document, Entry, Group, Integer, List, Radix, Trivia, Value};

impl Document {
    /// The document as libconfig text. An `@include` is written as the directive; what it brought in is not.
    /// Parsing the result (with the same included files) gives an equal document.
    pub fn print(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Printer { out: f, level: 0, layout: Layout::default() };
        out.entries(&self.root)?;
        out.trivia(&self.root.closing)
    }
}

/// How lines look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout<'l> {
    /// What every line but the first begins with.
    pub(crate) base: &'l str,
    /// What a level adds to it.
    pub(crate) unit: &'l str,
    /// What ends a line.
    pub(crate) end: &'l str,
}

impl Default for Layout<'_> {
    fn default() -> Self {
        Self { base: "", unit: "  ", end: "\n" }
    }
}

/// `name = value;` or `name: {` ... `};`, without anything before the name or behind the last mark.
pub(crate) fn setting_text(name: &str, value: &Value, layout: Layout<'_>) -> String {
    format!("{name}{}{};", mark(value), value_text(value, layout))
}

/// The value alone.
pub(crate) fn value_text(value: &Value, layout: Layout<'_>) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = Printer { out: &mut text, level: 0, layout }.value(value);
    text
}

fn mark(value: &Value) -> &'static str {
    if matches!(value, Value::Group(_)) { ": " } else { " = " }
}

struct Printer<'o> {
    out: &'o mut dyn Write,
    level: usize,
    layout: Layout<'o>,
}

impl Printer<'_> {
    fn entries(&mut self, group: &Group) -> fmt::Result {
        for entry in &group.entries {
            match entry {
                Entry::Setting(setting) => {
                    self.trivia(&setting.leading)?;
                    self.indent()?;
                    write!(self.out, "{}{}", setting.name(), mark(&setting.value))?;
                    self.value(&setting.value)?;
                    self.out.write_char(';')?;
                    self.comments(&setting.trailing)?;
                }
                Entry::Include(include) => {
                    self.trivia(&include.leading)?;
                    self.indent()?;
                    self.out.write_str("@include ")?;
                    self.text(&include.pattern)?;
                    self.comments(&include.trailing)?;
                }
            }
            self.out.write_str(self.layout.end)?;
        }
        Ok(())
    }

    fn value(&mut self, value: &Value) -> fmt::Result {
        match value {
            Value::Text(text) => self.text(text),
            Value::Integer(integer) => self.integer(*integer),
            // Debug keeps a point or an exponent, which makes it a float again.
            Value::Float(float) => write!(self.out, "{float:?}"),
            Value::Bool(flag) => write!(self.out, "{flag}"),
            Value::Group(group) => self.group(group),
            Value::List(list) => self.list(list, '(', ')'),
            Value::Array(list) => self.list(list, '[', ']'),
        }
    }

    fn integer(&mut self, integer: Integer) -> fmt::Result {
        let value = integer.value;
        match integer.radix {
            Radix::Hex if value >= 0 => write!(self.out, "{value:#x}"),
            Radix::Binary if value >= 0 => write!(self.out, "{value:#b}"),
            Radix::Octal if value >= 0 => write!(self.out, "{value:#o}"),
            _ => write!(self.out, "{value}"),
        }?;
        if integer.long { self.out.write_char('L') } else { Ok(()) }
    }

    fn group(&mut self, group: &Group) -> fmt::Result {
        self.out.write_char('{')?;
        self.comments(&group.opening)?;
        self.out.write_str(self.layout.end)?;
        self.level += 1;
        self.entries(group)?;
        self.trivia(&group.closing)?;
        self.level -= 1;
        self.indent()?;
        self.out.write_char('}')
    }

    fn list(&mut self, list: &List, open: char, close: char) -> fmt::Result {
        self.out.write_char(open)?;
        let last = list.items.len();
        if !list.multiline {
            for (at, item) in list.items.iter().enumerate() {
                self.out.write_str(if at == 0 { " " } else { ", " })?;
                self.value(&item.value)?;
            }
            self.out.write_char(' ')?;
            return self.out.write_char(close);
        }
        self.comments(&list.opening)?;
        self.out.write_str(self.layout.end)?;
        self.level += 1;
        for (at, item) in list.items.iter().enumerate() {
            self.trivia(&item.leading)?;
            self.indent()?;
            self.value(&item.value)?;
            if at + 1 < last {
                self.out.write_char(',')?;
            }
            self.comments(&item.trailing)?;
            self.out.write_str(self.layout.end)?;
        }
        self.trivia(&list.closing)?;
        self.level -= 1;
        self.indent()?;
        self.out.write_char(close)
    }

    fn text(&mut self, text: &str) -> fmt::Result {
        self.out.write_char('"')?;
        for c in text.chars() {
            match c {
                '"' => self.out.write_str("\\\"")?,
                '\\' => self.out.write_str("\\\\")?,
                '\n' => self.out.write_str("\\n")?,
                '\t' => self.out.write_str("\\t")?,
                '\r' => self.out.write_str("\\r")?,
                '\x0c' => self.out.write_str("\\f")?,
                // \a, \b and \v are left to \x: libconfig before 1.8 does not know them.
                c if c.is_ascii_control() => write!(self.out, "\\x{:02x}", u32::from(c))?,
                c => self.out.write_char(c)?,
            }
        }
        self.out.write_char('"')
    }

    fn trivia(&mut self, trivia: &[Trivia]) -> fmt::Result {
        for each in trivia {
            match each {
                Trivia::Blank => {}
                Trivia::Comment(comment) => {
                    self.indent()?;
                    self.comment(comment, comment.style())?;
                }
            }
            self.out.write_str(self.layout.end)?;
        }
        Ok(())
    }

    fn comments(&mut self, comments: &[Comment]) -> fmt::Result {
        for (at, comment) in comments.iter().enumerate() {
            self.out.write_char(' ')?;
            let last = at + 1 == comments.len();
            self.comment(comment, if last { comment.style() } else { CommentStyle::Block })?;
        }
        Ok(())
    }

    fn comment(&mut self, comment: &Comment, style: CommentStyle) -> fmt::Result {
        match style {
            CommentStyle::Hash => write!(self.out, "#{}", comment.text()),
            CommentStyle::Slashes => write!(self.out, "//{}", comment.text()),
            CommentStyle::Block if comment.style() == style => write!(self.out, "/*{}*/", comment.text()),
            CommentStyle::Block => write!(self.out, "/*{}*/", Comment::new(style, comment.text()).text()),
        }
    }

    fn indent(&mut self) -> fmt::Result {
        self.out.write_str(self.layout.base)?;
        for _ in 0..self.level {
            self.out.write_str(self.layout.unit)?;
        }
        Ok(())
    }
}
