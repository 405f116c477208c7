//! Values to text, in the three spellings of Janus' `json` setting.

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// A level of the indented spelling.
const INDENT: &str = "   ";

/// How JSON is spelt; the names are those of the `json` setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum JsonFormat {
    /// Three spaces a level, one member a line.
    Indented,
    /// One line, a space after `,` and `:`.
    Plain,
    /// No white space: the default since 1.4.1.
    #[default]
    Compact,
}

impl JsonFormat {
    /// By its name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "indented" => Some(Self::Indented),
            "plain" => Some(Self::Plain),
            "compact" => Some(Self::Compact),
            _ => None,
        }
    }

    /// The text of `value`.
    pub fn write(self, value: &Value) -> String {
        let mut out = Vec::with_capacity(128);
        // Writing to memory cannot fail, and every key is a string.
        let _ = match self {
            Self::Indented => value.serialize(&mut Serializer::with_formatter(
                &mut out,
                PrettyFormatter::with_indent(INDENT.as_bytes()),
            )),
            Self::Plain => value.serialize(&mut Serializer::with_formatter(&mut out, Spaced)),
            Self::Compact => value.serialize(&mut Serializer::with_formatter(&mut out, CompactFormatter)),
        };
        String::from_utf8(out).unwrap_or_default()
    }

    /// The text of a value of which `compact` is the compact text.
    pub fn respell(self, compact: &str) -> String {
        if self == Self::Compact {
            return compact.to_owned();
        }
        let mut out = String::with_capacity(compact.len() * 3 / 2);
        let mut depth = 0;
        let mut chars = compact.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' => {
                    out.push(c);
                    copy_string(&mut chars, &mut out);
                }
                '{' | '[' => {
                    out.push(c);
                    if let Some(close) = chars.next_if(|c| matches!(c, '}' | ']')) {
                        out.push(close);
                    } else {
                        depth += 1;
                        self.break_line(&mut out, depth);
                    }
                }
                '}' | ']' => {
                    depth -= 1;
                    self.break_line(&mut out, depth);
                    out.push(c);
                }
                ',' if self == Self::Plain => out.push_str(", "),
                ',' => {
                    out.push(c);
                    self.break_line(&mut out, depth);
                }
                ':' => out.push_str(": "),
                _ => out.push(c),
            }
        }
        out
    }

    fn break_line(self, out: &mut String, depth: i32) {
        if self == Self::Indented {
            out.push('\n');
            (0..depth).for_each(|_| out.push_str(INDENT));
        }
    }
}

/// The rest of a string whose opening quote has been read.
fn copy_string(chars: &mut impl Iterator<Item = char>, out: &mut String) {
    while let Some(c) = chars.next() {
        out.push(c);
        match c {
            '"' => return,
            '\\' => out.extend(chars.next()),
            _ => {}
        }
    }
}

/// A spelling that can be changed while its listeners run; clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Spelling(Arc<AtomicU8>);

impl Spelling {
    /// The one in use.
    pub fn get(&self) -> JsonFormat {
        match self.0.load(Ordering::Relaxed) {
            1 => JsonFormat::Indented,
            2 => JsonFormat::Plain,
            _ => JsonFormat::Compact,
        }
    }

    /// Uses another one from now on.
    pub fn set(&self, format: JsonFormat) {
        let number = match format {
            JsonFormat::Compact => 0,
            JsonFormat::Indented => 1,
            JsonFormat::Plain => 2,
        };
        self.0.store(number, Ordering::Relaxed);
    }

    /// The text of `value` in the spelling in use.
    pub fn write(&self, value: &Value) -> String {
        self.get().write(value)
    }

    /// A compact text in the spelling in use.
    pub fn respell(&self, compact: &str) -> String {
        self.get().respell(compact)
    }
}

impl From<JsonFormat> for Spelling {
    fn from(format: JsonFormat) -> Self {
        let spelling = Self::default();
        spelling.set(format);
        spelling
    }
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_three_spellings_are_those_of_jansson() {
        let value = json!({"a": 1, "b": [true, {}], "c": [], "d": {"e": null}, "f": "x/\"\n"});
        assert_eq!(
            JsonFormat::Compact.write(&value),
            r#"{"a":1,"b":[true,{}],"c":[],"d":{"e":null},"f":"x/\"\n"}"#
        );
        assert_eq!(
            JsonFormat::Plain.write(&value),
            r#"{"a": 1, "b": [true, {}], "c": [], "d": {"e": null}, "f": "x/\"\n"}"#
        );
        let indented = [
            "{",
            "   \"a\": 1,",
            "   \"b\": [",
            "      true,",
            "      {}",
            "   ],",
            "   \"c\": [],",
            "   \"d\": {",
            "      \"e\": null",
            "   },",
            "   \"f\": \"x/\\\"\\n\"",
            "}",
        ];
        assert_eq!(JsonFormat::Indented.write(&value), indented.join("\n"));
    }

    #[test]
    fn a_compact_text_is_respelt_as_the_value_would_be() {
        let values = [
            json!({"a": 1, "b": [true, {}, [], [[]]], "c": [], "d": {"e": null}, "f": "x/\"\n"}),
            json!([{"{\"[": "]},:\\", "\\": "\\\""}, -1.5e300, u64::MAX, 0.1, "\u{1}é\u{1f600}"]),
            json!({}),
            json!([]),
            json!("[\\\"{"),
            json!(1),
        ];
        for value in values {
            let compact = JsonFormat::Compact.write(&value);
            for format in [JsonFormat::Compact, JsonFormat::Plain, JsonFormat::Indented] {
                assert_eq!(format.respell(&compact), format.write(&value));
            }
        }
    }
}
