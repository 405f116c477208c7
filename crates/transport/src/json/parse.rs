//! Bytes to values, as strictly as jansson reads them.
//!
//! Differences from `serde_json`, all of them jansson's: the outermost value is an object or an array; integers fit
//! 64 bits with a sign and are never turned into reals; a real beyond a double's range, `\u0000` and a lone surrogate
//! are errors; of equal keys the last one counts. Ours alone: nesting ends at [`MAX_DEPTH`] (jansson: 2,048) and a
//! text has at most [`MAX_VALUES`] values, so that a message of 1 MiB cannot grow to fifty times that in memory.

use portunus_api::{Object, Value};
use serde_json::Number;
use std::fmt;

/// Objects and arrays within each other.
pub(crate) const MAX_DEPTH: usize = 128;
/// Values of all kinds in one HTTP body or WebSocket message.
pub(crate) const MAX_VALUES: usize = 16_384;

/// Where and why a text is not JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syntax {
    /// From 1.
    pub line: usize,
    /// Characters of that line up to the fault.
    pub column: usize,
    /// What was wrong.
    pub text: String,
}

impl fmt::Display for Syntax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "on line {}: {}", self.line, self.text)
    }
}

/// Reads exactly one object or array, with white space around it.
///
/// # Errors
/// [`Syntax`] for anything else.
pub fn parse(bytes: &[u8]) -> Result<Value, Syntax> {
    let mut reader = Reader::new(bytes)?;
    let value = reader.text()?;
    reader.space();
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.near("end of file expected")),
    }
}

/// Reads objects and arrays back to back, with or without white space between them; none is fine.
///
/// # Errors
/// [`Syntax`], its position counted from the start of the faulty text.
pub fn parse_all(bytes: &[u8]) -> Result<Vec<Value>, Syntax> {
    let mut reader = Reader::new(bytes)?;
    let mut values = Vec::new();
    reader.space();
    while reader.peek().is_some() {
        values.push(reader.text()?);
        reader.space();
        reader.start = reader.at;
    }
    Ok(values)
}

struct Reader<'a> {
    text: &'a str,
    /// Offset of the text being read; positions in errors count from here.
    start: usize,
    at: usize,
    /// Start of the last token, for the words "near …".
    token: usize,
    depth: usize,
    values: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, Syntax> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self { text, start: 0, at: 0, token: 0, depth: 0, values: 0 }),
            Err(e) => {
                let good = bytes.get(..e.valid_up_to()).unwrap_or_default();
                let bad = bytes.get(e.valid_up_to()).copied().unwrap_or_default();
                let text = std::str::from_utf8(good).unwrap_or_default();
                let reader = Self { text, start: 0, at: text.len(), token: text.len(), depth: 0, values: 0 };
                Err(reader.error_at(text.len(), format!("unable to decode byte 0x{bad:x}")))
            }
        }
    }

    fn text(&mut self) -> Result<Value, Syntax> {
        self.space();
        match self.peek() {
            Some(b'{' | b'[') => self.value(),
            _ => Err(self.near("'[' or '{' expected")),
        }
    }

    fn value(&mut self) -> Result<Value, Syntax> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(self.error_at(self.at, "too many values"));
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b'a'..=b'z' | b'A'..=b'Z') => self.word(),
            Some(b'}' | b']' | b',' | b':') => Err(self.near("unexpected token")),
            _ => Err(self.near("invalid token")),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, Syntax>) -> Result<Value, Syntax> {
        if self.depth == MAX_DEPTH {
            return Err(self.near("maximum parsing depth reached"));
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, Syntax> {
        let mut object = Object::new();
        self.space();
        if self.eat(b'}') {
            return Ok(Value::Object(object));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.near("string or '}' expected"));
            }
            let key = self.string()?;
            self.space();
            if !self.eat(b':') {
                return Err(self.near("':' expected"));
            }
            let value = self.value()?;
            object.insert(key, value);
            self.space();
            if self.eat(b'}') {
                return Ok(Value::Object(object));
            }
            if !self.eat(b',') {
                return Err(self.near("'}' expected"));
            }
        }
    }

    fn array(&mut self) -> Result<Value, Syntax> {
        let mut array = Vec::new();
        self.space();
        if self.eat(b']') {
            return Ok(Value::Array(array));
        }
        loop {
            array.push(self.value()?);
            self.space();
            if self.eat(b']') {
                return Ok(Value::Array(array));
            }
            if !self.eat(b',') {
                return Err(self.near("']' expected"));
            }
        }
    }

    fn word(&mut self) -> Result<Value, Syntax> {
        let rest = self.rest();
        let length = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let value = match rest.get(..length) {
            Some("true") => Value::Bool(true),
            Some("false") => Value::Bool(false),
            Some("null") => Value::Null,
            _ => return Err(self.near("invalid token")),
        };
        self.at += length;
        Ok(value)
    }

    fn number(&mut self) -> Result<Number, Syntax> {
        let rest = self.rest();
        let (length, real) = number_shape(rest.as_bytes()).ok_or_else(|| self.near("invalid token"))?;
        let digits = rest.get(..length).unwrap_or_default();
        let number = if real {
            let value = digits.parse::<f64>().ok().filter(|v| v.is_finite());
            value.and_then(Number::from_f64).ok_or_else(|| self.near("real number overflow"))?
        } else {
            let too_big =
                if digits.starts_with('-') { "too big negative integer" } else { "too big integer" };
            digits.parse::<i64>().map(Number::from).map_err(|_| self.near(too_big))?
        };
        self.at += length;
        Ok(number)
    }

    fn string(&mut self) -> Result<String, Syntax> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.bytes().take_while(|b| !matches!(b, b'"' | b'\\' | 0..=0x1f)).count();
            // Stops at ASCII only, so this is a character boundary.
            out.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(b'\n') => return Err(self.near("unexpected newline")),
                Some(control) => return Err(self.near(&format!("control character 0x{control:x}"))),
                None => return Err(self.near("premature end of input")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Syntax> {
        let c = match self.rest().as_bytes().get(1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.near("invalid escape")),
        };
        self.at += 2;
        Ok(c)
    }

    fn unicode_escape(&mut self) -> Result<char, Syntax> {
        let high = self.hex()?;
        let code = match high {
            0 => return Err(self.near("\\u0000 is not allowed")),
            0xd800..=0xdbff => {
                let low = if self.rest().starts_with("\\u") { Some(self.hex()?) } else { None };
                match low {
                    Some(low @ 0xdc00..=0xdfff) => 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00),
                    _ => return Err(self.near(&format!("invalid Unicode '\\u{high:04X}'"))),
                }
            }
            code => code,
        };
        char::from_u32(code).ok_or_else(|| self.near(&format!("invalid Unicode '\\u{code:04X}'")))
    }

    /// `\uXXXX` at the cursor.
    fn hex(&mut self) -> Result<u32, Syntax> {
        let digits = self.rest().get(2..6).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|d| u32::from_str_radix(d, 16).ok());
        let code = code.ok_or_else(|| self.near("invalid escape"))?;
        self.at += 6;
        Ok(code)
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.bytes().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.token = self.at;
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
        }
        found
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// A fault at the current token, in jansson's words: the position is the token's end.
    fn near(&self, text: &str) -> Syntax {
        let rest = self.text.get(self.token..).unwrap_or_default();
        let length = token_length(rest).max(self.at.saturating_sub(self.token)).min(rest.len());
        if length == 0 {
            return self.error_at(self.token, format!("{text} near end of file"));
        }
        // Enough to find the place; the request itself may hold secrets.
        let token: String = rest.get(..length).unwrap_or_default().chars().take(20).collect();
        self.error_at(self.token + length, format!("{text} near '{token}'"))
    }

    fn error_at(&self, end: usize, text: impl Into<String>) -> Syntax {
        let before = self.text.get(self.start..end).unwrap_or_default();
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count();
        Syntax { line, column, text: text.into() }
    }
}

fn token_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    match bytes.first() {
        Some(b'"') => {
            let inside = text.get(1..).unwrap_or_default();
            let mut escaped = false;
            let end = inside.bytes().position(|b| {
                let end = b == b'"' && !escaped;
                escaped = b == b'\\' && !escaped;
                end || b < 0x20
            });
            // A quote or a control character ends the token and belongs to it; both are one byte.
            end.map_or(text.len(), |end| end + 2)
        }
        Some(b'a'..=b'z' | b'A'..=b'Z') => bytes.iter().take_while(|b| b.is_ascii_alphabetic()).count(),
        Some(b'-' | b'0'..=b'9') => number_shape(bytes).map_or(1, |(length, _)| length),
        _ => text.chars().next().map_or(0, char::len_utf8),
    }
}

/// Length of the number at the start of `bytes`, and whether it has a fraction or an exponent.
fn number_shape(bytes: &[u8]) -> Option<(usize, bool)> {
    let digits =
        |from: usize| bytes.get(from..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && bytes.get(at) == Some(&b'0')) {
        return None;
    }
    at += whole;
    let mut real = false;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
        real = true;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == 0 {
            return None;
        }
        at += 1 + sign + exponent;
        real = true;
    }
    Some((at, real))
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
