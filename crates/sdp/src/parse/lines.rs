//! The text as checked lines.

use crate::Error;
use crate::limits::{MAX_BYTES, MAX_LINE_BYTES, MAX_LINES, MAX_SHOWN};

/// One line `kind=value`.
pub(super) struct Line<'a> {
    /// Its number, from 1.
    pub(super) number: usize,
    /// The letter before `=`.
    pub(super) kind: char,
    /// What follows `=`, never empty.
    pub(super) value: &'a str,
}

impl<'a> Line<'a> {
    /// Name and value of an a= line; the value is empty if there is no colon.
    pub(super) fn attribute(&self) -> Result<(&'a str, &'a str), Error> {
        match self.value.split_once(':') {
            Some((_, "")) => {
                Err(Error::Malformed { line: self.number, what: "Invalid a= line", text: shown(self.value) })
            }
            Some(pair) => Ok(pair),
            None => Ok((self.value, "")),
        }
    }

    pub(super) fn malformed(&self, what: &'static str) -> Error {
        Error::Malformed { line: self.number, what, text: shown(&format!("{}={}", self.kind, self.value)) }
    }
}

/// One word: visible ASCII characters, at least one.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Checks everything that does not need the meaning of a line.
pub(super) fn read_lines(text: &str) -> Result<Vec<Line<'_>>, Error> {
    if text.len() > MAX_BYTES {
        return Err(Error::TooLarge { what: "bytes", limit: MAX_BYTES });
    }
    if !text.starts_with("v=") {
        return Err(Error::NotSdp);
    }
    let has = |start: &str| text.split('\n').any(|line| line.starts_with(start));
    if !(has("o=") && has("s=") && has("m=")) {
        return Err(Error::MissingLines);
    }
    let mut lines = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        if index >= MAX_LINES {
            return Err(Error::TooLarge { what: "lines", limit: MAX_LINES });
        }
        // Line ends are CRLF, but LF alone is common and CR CR LF happens when texts are converted twice.
        let line = line.trim_end_matches('\r');
        if !line.is_empty() {
            lines.push(read_line(index + 1, line)?);
        }
    }
    Ok(lines)
}

fn read_line(number: usize, line: &str) -> Result<Line<'_>, Error> {
    if line.len() > MAX_LINE_BYTES {
        return Err(Error::TooLarge { what: "bytes in a line", limit: MAX_LINE_BYTES });
    }
    let malformed = |what| Error::Malformed { line: number, what, text: shown(line) };
    if line.len() < 3 {
        return Err(malformed("Invalid line (too short)"));
    }
    // A tab is white space; anything else could end a line for whoever reads our texts.
    if !is_plain(line) && line.chars().any(|c| c.is_control() && c != '\t') {
        return Err(malformed("Invalid line (control character)"));
    }
    let mut rest = line.chars();
    match (rest.next(), rest.next()) {
        (Some(kind), Some('=')) => Ok(Line { number, kind, value: rest.as_str() }),
        _ => Err(malformed("Invalid line (2nd char is not '=')")),
    }
}

/// Nothing but ASCII without control characters: all of nearly every line, found without a look at each character by itself.
fn is_plain(line: &str) -> bool {
    line.bytes().fold(true, |plain, b| plain & (0x20..0x7f).contains(&b))
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_but_tabs_are_refused_wherever_they_are() {
        for c in (0..0x180).filter_map(char::from_u32).filter(|c| !matches!(c, '\n' | '\r')) {
            let text = format!("v=0\no=-\ns=a{c}b\nm=audio");
            let fine = c == '\t' || !c.is_control();
            assert_eq!(read_lines(&text).is_ok(), fine, "{c:?}");
        }
    }
}
