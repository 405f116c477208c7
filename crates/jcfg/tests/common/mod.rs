//! What the behaviour tests share: parsing strings and folders.
#![allow(dead_code, unreachable_pub)]

pub mod random;

use std::path::{Path, PathBuf};

use portunus_jcfg::{
    Document, IncludeRequest, IncludedFile, Parsed, Value, has_wildcard, matches_glob, parse,
    parse_without_includes,
};

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Parses a text that must be right.
pub fn ok(text: &str) -> Document {
    match parse_without_includes("test.jcfg", text) {
        Ok(document) => document,
        Err(errors) => panic!("refused: {errors:?}\n{text}"),
    }
}

/// The messages of a text that must be wrong, as `line:column: message`.
pub fn errors(text: &str) -> Vec<String> {
    let errors = parse_without_includes("test.jcfg", text).expect_err("must be refused");
    errors.iter().map(|error| error.to_string().replace("test.jcfg:", "")).collect()
}

/// The value at `path` (names joined by dots).
pub fn at(document: &Document, path: &str) -> Value {
    let mut group = &document.root;
    let mut names = path.split('.').peekable();
    while let Some(name) = names.next() {
        let setting = group.get(name).unwrap_or_else(|| panic!("no {path}"));
        if names.peek().is_none() {
            return setting.value.clone();
        }
        group = setting.value.as_group().unwrap_or_else(|| panic!("{name} is no group"));
    }
    unreachable!("an empty path")
}

pub fn text(document: &Document, path: &str) -> String {
    at(document, path).as_text().unwrap_or_else(|| panic!("{path} is no scalar"))
}

/// Parses a file of a folder, its includes resolved in the same folder.
pub fn parse_file(folder: &Path, name: &str) -> Parsed {
    parse_text(folder, name, &read(&folder.join(name)))
}

pub fn parse_text(folder: &Path, name: &str, text: &str) -> Parsed {
    parse(name, text, &mut |request: &IncludeRequest<'_>| {
        let (sub, pattern) = request.pattern.rsplit_once('/').unwrap_or((".", request.pattern));
        let dir = folder.join(sub);
        let mut names: Vec<String> = if has_wildcard(pattern) {
            let entries = std::fs::read_dir(&dir).map_err(|error| error.to_string())?;
            entries
                .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
                .filter(|name| matches_glob(pattern, name))
                .collect()
        } else {
            vec![pattern.to_owned()]
        };
        names.sort();
        names
            .into_iter()
            .map(|name| {
                let text = std::fs::read_to_string(dir.join(&name)).map_err(|error| error.to_string())?;
                Ok(IncludedFile { name: format!("{sub}/{name}"), text })
            })
            .collect()
    })
}

pub fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}
