//! The only way bytes get into a written description.
//!
//! Every value goes through [`Text::text`] or [`Text::word`], which leave out control characters (and, for words,
//! white space): no value can end its line or its field. Nothing else appends.

use std::fmt::{Display, Write};

use crate::limits::{MAX_LINE_BYTES, MAX_WORD};

/// A description being written.
#[derive(Default)]
pub(crate) struct Text {
    out: String,
}

impl Text {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Text { out: String::with_capacity(bytes) }
    }

    /// Text of this program.
    pub(crate) fn fixed(&mut self, text: &'static str) -> &mut Self {
        self.out.push_str(text);
        self
    }

    /// A number, address, candidate: something whose text has no control characters by its type.
    pub(crate) fn shown(&mut self, value: impl Display) -> &mut Self {
        let _ = write!(Filter { out: &mut self.out, left: MAX_LINE_BYTES, spaces: true }, "{value}");
        self
    }

    /// A value that may hold spaces.
    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        let _ = Filter { out: &mut self.out, left: MAX_LINE_BYTES, spaces: true }.write_str(value);
        self
    }

    /// A value that is one word.
    pub(crate) fn word(&mut self, value: &str) -> &mut Self {
        let _ = Filter { out: &mut self.out, left: MAX_WORD, spaces: false }.write_str(value);
        self
    }

    /// Ends the line.
    pub(crate) fn end(&mut self) {
        self.out.push_str("\r\n");
    }

    /// A whole fixed line.
    pub(crate) fn line(&mut self, text: &'static str) {
        self.fixed(text).end();
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }
}

struct Filter<'a> {
    out: &'a mut String,
    left: usize,
    spaces: bool,
}

impl Write for Filter<'_> {
    fn write_str(&mut self, value: &str) -> std::fmt::Result {
        let kept = |c: &char| !ends_line(*c) && (self.spaces || !c.is_whitespace());
        for c in value.chars().filter(kept) {
            self.left = self.left.saturating_sub(c.len_utf8());
            if self.left == 0 {
                break;
            }
            self.out.push(c);
        }
        Ok(())
    }
}

/// What may end a line for a reader: control characters, and U+2028 and U+2029 (JavaScript, in the past).
pub(crate) fn ends_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}
