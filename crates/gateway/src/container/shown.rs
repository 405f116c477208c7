//! What the start prints of parameters and configuration files, without their secrets.
//!
//! Files are printed from what was parsed, never by their lines: comments, which may hold an old secret, are left out,
//! and so is a file that does not parse.

use super::{Env, script};
use portunus_jcfg::{Document, Entry, Group, List, Value, parse};
use std::path::Path;

/// What stands for a secret.
const MASK: &str = "********";
/// What a secret's name has in it.
const PARTS: [&str; 9] =
    ["secret", "passw", "passphrase", "pwd", "token", "key", "credential", "allowed", "crypto"];
/// Words of a name that make it a secret's; as a part they may be anything (`pingpong`).
const WORDS: [&str; 3] = ["pin", "pins", "pass"];
/// The parameters that are about the start itself.
const OWN: [&str; 3] = ["COPY_JANUS_SAMPLES", "RUN_WITH_HOST_CONFIGURATION_DIR", "CONFIG_GEN_SCRIPT"];

/// The name is that of a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part)) || name.split(['_', '-']).any(|word| WORDS.contains(&word))
}

/// A text on one line, and without the passwords and arguments of addresses: there may be a key among them.
fn plain(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut parts = line.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for rest in parts {
        let (address, behind) = rest.split_at(rest.find([' ', ',']).unwrap_or(rest.len()));
        let (address, arguments) = address.split_at(address.find('?').unwrap_or(address.len()));
        let (authority, path) = address.split_at(address.find(['/', '#']).unwrap_or(address.len()));
        shown.push_str("://");
        match authority.rfind('@') {
            Some(at) => shown.extend([MASK, authority.get(at..).unwrap_or_default()]),
            None => shown.push_str(authority),
        }
        shown.push_str(path);
        if !arguments.is_empty() {
            shown.extend(["?", MASK]);
        }
        shown.push_str(behind);
    }
    shown
}

/// The parameters of the environment: our own three, and every other that is set.
pub(super) fn parameters(env: Env<'_>) -> Vec<String> {
    let own = OWN.iter().map(|name| format!("{name}={}", plain(&env(name).unwrap_or_default())));
    let all = crate::settings::variables();
    let set = all.iter().filter_map(|name| Some((name, env(name).filter(|text| !text.trim().is_empty())?)));
    let line = |(name, text): (&String, String)| {
        let switch = ["true", "false", "yes", "no"].iter().any(|word| word.eq_ignore_ascii_case(text.trim()));
        let text = if is_secret(name) && !switch { MASK.to_owned() } else { plain(&text) };
        format!("{name}={text}")
    };
    own.chain(set.map(line)).collect()
}

/// The configuration files of a folder.
pub(super) fn folder(folder: &Path) -> Vec<String> {
    let files = match script::jcfg_files(folder) {
        Ok(files) => files,
        Err(error) => return vec![format!("{} cannot be read: {error}", folder.display())],
    };
    let mut lines = Vec::new();
    for path in files {
        lines.push(format!("# {}", path.display()));
        match std::fs::read(&path) {
            Ok(bytes) => lines.push(masked(&String::from_utf8_lossy(&bytes))),
            Err(error) => lines.push(format!("# cannot be read: {error}")),
        }
    }
    lines
}

/// The text of a file, with what looks like a secret masked. `@include` is shown and not followed.
pub(super) fn masked(text: &str) -> String {
    let Ok(mut document) = parse("", text, &mut |_| Ok(Vec::new())) else {
        return "# not shown: it has mistakes, which the start tells".to_owned();
    };
    document.root = mask_group(&document.root, false);
    Document::print(&document).trim_end().to_owned()
}

fn mask_group(group: &Group, secret: bool) -> Group {
    let entry = |entry: &Entry| match entry {
        Entry::Setting(setting) => {
            let mut setting = setting.clone();
            setting.value = mask(&setting.value, secret || is_secret(setting.name()));
            setting.leading.clear();
            setting.trailing.clear();
            Entry::Setting(setting)
        }
        Entry::Include(include) => {
            let mut include = include.clone();
            include.leading.clear();
            include.trailing.clear();
            Entry::Include(include)
        }
    };
    Group { entries: group.entries.iter().map(entry).collect(), ..Group::default() }
}

fn mask(value: &Value, secret: bool) -> Value {
    match value {
        Value::Group(group) => Value::Group(mask_group(group, secret)),
        Value::List(list) => Value::List(mask_list(list, secret)),
        Value::Array(list) => Value::Array(mask_list(list, secret)),
        Value::Bool(flag) => Value::Bool(*flag),
        // That there is none is worth seeing.
        Value::Text(text) if text.is_empty() => value.clone(),
        _ if secret => Value::from(MASK),
        Value::Text(text) => Value::from(plain(text).as_str()),
        Value::Integer(_) | Value::Float(_) => value.clone(),
    }
}

fn mask_list(list: &List, secret: bool) -> List {
    let mut masked = List { multiline: list.multiline, ..List::default() };
    for item in &list.items {
        let mut item = item.clone();
        item.value = mask(&item.value, secret);
        item.leading.clear();
        item.trailing.clear();
        masked.items.push(item);
    }
    masked.settle();
    masked
}
