//! The checks, each a function of text: what it reads comes from outside, so that every check has a test with a
//! sample that fails.

use std::fmt;

pub(crate) mod dependencies;
pub(crate) mod files;
mod masked;
mod size;
mod words;

/// Something that breaks a law of the house.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Breach {
    file: String,
    line: usize,
    what: String,
}

impl Breach {
    fn new(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// All checks of one file; `path` is relative to the root, with `/`.
pub(crate) fn file(path: &str, text: &str) -> Vec<Breach> {
    let mut breaches = files::machine_paths(path, text);
    breaches.extend(files::registry_addresses(path, text));
    if path.ends_with(".rs") {
        let code = masked::Masked::new(text);
        breaches.extend(size::file_length(path, text));
        breaches.extend(size::function_lengths(path, &code));
        breaches.extend(words::everywhere(path, &code));
        breaches.extend(words::below_ring_three(path, &code));
        breaches.extend(words::unsafe_code(path, &code));
    }
    breaches
}
