//! The texts of licences: each once, with the parts it stands in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Part;

const RULE: &str = "================================================================================\n";
const NAMES: &[&str] = &["licen", "copying", "notice", "unlicense", "copyright"];

pub(super) fn all(parts: &[Part], ours: &[PathBuf]) -> Result<String> {
    let mut page = String::from(
        "Portunus may be used under the MIT licence or the Apache License 2.0, at your choice.\n\n",
    );
    for file in ours {
        page.push_str(RULE);
        page.push_str(read(file)?.trim_end());
        page.push_str("\n\n");
    }
    page.push_str(RULE);
    page.push_str("It holds these parts of others; their texts follow, each once.\n\n");
    for part in parts.iter().filter(|part| part.published) {
        page.push_str(&format!("{} {}: {}\n", part.name, part.version, part.licence));
    }
    page.push('\n');
    for (text, holders) in by_text(parts)? {
        page.push_str(RULE);
        page.push_str(&format!("{}\n\n{text}\n\n", holders.join(", ")));
    }
    Ok(page)
}

/// Lines that end differently or are wrapped in blanks do not make another text.
fn by_text(parts: &[Part]) -> Result<BTreeMap<String, Vec<String>>> {
    let mut texts = BTreeMap::<String, Vec<String>>::new();
    for part in parts.iter().filter(|part| part.published) {
        for file in files(&part.texts)? {
            let text = read(&file)?;
            let text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned();
            let holder = format!("{} {}", part.name, part.version);
            let holders = texts.entry(text).or_default();
            if !holders.contains(&holder) {
                holders.push(holder);
            }
        }
    }
    Ok(texts)
}

/// A file itself, or those of a folder that are named like licences.
fn files(place: &Path) -> Result<Vec<PathBuf>> {
    if place.is_file() {
        return Ok(vec![place.to_owned()]);
    }
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(place) else { return Ok(found) };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        if NAMES.iter().any(|start| name.starts_with(start)) && entry.path().is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
