//! Rust text without its comments and literals: every byte of them is a space, line ends stay, so that offsets and
//! line numbers are those of the file. A lexer of a page, not a parser: it knows strings, raw strings, characters,
//! lifetimes, nested comments and braces.

/// Code alone, same length as the file.
pub(super) struct Masked {
    code: Vec<u8>,
}

impl Masked {
    pub(super) fn new(text: &str) -> Self {
        let mut lexer = Lexer { text: text.as_bytes(), code: text.as_bytes().to_vec(), at: 0 };
        lexer.run();
        Self { code: lexer.code }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.code
    }

    /// Line of a byte, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.code[..at].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// Where `word` stands, not as a part of a longer name.
    pub(super) fn find_all<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let needle = word.as_bytes();
        self.code.windows(needle.len()).enumerate().filter_map(move |(at, part)| {
            let before = at.checked_sub(1).map(|i| self.code[i]);
            let after = self.code.get(at + needle.len()).copied();
            let longer = (before.is_some_and(is_name) && is_name(needle[0]))
                || (after.is_some_and(is_name) && is_name(needle[needle.len() - 1]));
            (part == needle && !longer).then_some(at)
        })
    }

    /// The `}` that closes the `{` at `open`.
    pub(super) fn closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for (offset, byte) in self.code[open..].iter().enumerate() {
            match byte {
                b'{' => depth += 1,
                b'}' => depth = depth.checked_sub(1)?,
                _ => {}
            }
            if depth == 0 {
                return Some(open + offset);
            }
        }
        None
    }

    /// Ranges of bytes that are compiled for tests only: items behind an attribute `cfg(test)`.
    pub(super) fn test_ranges(&self) -> Vec<std::ops::Range<usize>> {
        self.find_all("#[cfg(test)]")
            .filter_map(|at| {
                let after = at + "#[cfg(test)]".len();
                let open = self.code[after..].iter().position(|byte| matches!(byte, b'{' | b';'))? + after;
                let end = if self.code[open] == b'{' { self.closing(open)? } else { open };
                Some(at..end)
            })
            .collect()
    }
}

pub(super) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

struct Lexer<'a> {
    text: &'a [u8],
    code: Vec<u8>,
    at: usize,
}

impl Lexer<'_> {
    fn run(&mut self) {
        while let Some(byte) = self.peek(0) {
            match (byte, self.peek(1)) {
                (b'/', Some(b'/')) => self.mask_until(|lexer| lexer.peek(0) == Some(b'\n')),
                (b'/', Some(b'*')) => self.block_comment(),
                (b'"', _) => self.string(),
                (b'r', Some(b'"' | b'#')) if !self.after_name() => self.raw_string(1),
                (b'b' | b'c', Some(b'r')) if !self.after_name() => self.raw_string(2),
                (b'\'', _) => self.character(),
                _ => self.at += 1,
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn after_name(&self) -> bool {
        self.at.checked_sub(1).is_some_and(|i| is_name(self.text[i]))
    }

    fn mask(&mut self, count: usize) {
        for _ in 0..count {
            if let Some(byte) = self.code.get_mut(self.at)
                && *byte != b'\n'
            {
                *byte = b' ';
            }
            self.at += 1;
        }
    }

    fn mask_until(&mut self, end: impl Fn(&Self) -> bool) {
        while self.at < self.text.len() && !end(self) {
            self.mask(1);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.text.len() {
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'*')) => depth += 1,
                (Some(b'*'), Some(b'/')) => depth -= 1,
                _ => {
                    self.mask(1);
                    continue;
                }
            }
            self.mask(2);
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.mask(1);
        while let Some(byte) = self.peek(0) {
            match byte {
                b'\\' => self.mask(2),
                b'"' => return self.mask(1),
                _ => self.mask(1),
            }
        }
    }

    /// `prefix` bytes (`r`, `br`), then hashes and a quote; a raw identifier (`r#name`) is left alone.
    fn raw_string(&mut self, prefix: usize) {
        let hashes = self.text[self.at + prefix..].iter().take_while(|byte| **byte == b'#').count();
        if self.peek(prefix + hashes) != Some(b'"') {
            self.at += 1;
            return;
        }
        self.mask(prefix + hashes + 1);
        let mut end = vec![b'"'];
        end.resize(hashes + 1, b'#');
        self.mask_until(|lexer| lexer.text[lexer.at..].starts_with(&end));
        self.mask(hashes + 1);
    }

    /// A character literal, or the tick of a lifetime, which stays.
    fn character(&mut self) {
        if self.peek(1) == Some(b'\\') {
            self.mask(3);
            self.mask_until(|lexer| lexer.peek(0) == Some(b'\''));
            return self.mask(1);
        }
        let width = match self.peek(1) {
            Some(byte) if byte >= 0xf0 => 4,
            Some(byte) if byte >= 0xe0 => 3,
            Some(byte) if byte >= 0xc0 => 2,
            _ => 1,
        };
        if self.peek(1 + width) == Some(b'\'') {
            self.mask(width + 2);
        } else {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        String::from_utf8(Masked::new(text).code).unwrap()
    }

    #[test]
    fn comments_and_literals_are_blank() {
        for (text, expected) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x \" }")"#, "f(        )"),
            (r##"r#"}"#;"##, "      ;"),
            ("b\"}\" br\"}\"", "b         "),
            ("'{' 'a '\\'' '\\u{7d}' 'é'", "    'a                   "),
            ("r#type", "r#type"),
            ("\"unclosed", "         "),
        ] {
            assert_eq!(masked(text), expected, "{text}");
        }
    }

    #[test]
    fn names_are_found_whole() {
        let code = Masked::new("fn x() {} fnord(fn); // fn");
        assert_eq!(code.find_all("fn").collect::<Vec<_>>(), [0, 16]);
    }

    #[test]
    fn code_for_tests_is_known() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { c() } }\nfn d() {}";
        let code = Masked::new(text);
        let ranges = code.test_ranges();
        assert_eq!(ranges.len(), 1);
        assert!(ranges[0].contains(&text.find("c()").unwrap()));
        assert!(!ranges[0].contains(&text.find("fn d").unwrap()));
    }
}
