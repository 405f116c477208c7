//! Files of modules that are not built here: whoever switched one on is told.

use portunus_jcfg::{Document, Kind, Problem, Severity};
use std::path::Path;

use super::files::{FileSource, read_document};
use super::keys::BUILT;
use super::{Disabled, Events};

/// What `disable` names and what is on by its file.
pub(super) struct Modules<'s> {
    pub(super) plugins: &'s Disabled,
    pub(super) transports: &'s Disabled,
    pub(super) loggers: &'s Disabled,
    pub(super) events: &'s Events,
}

/// Looks through the folder.
pub(super) fn look(
    files: &dyn FileSource,
    env: &dyn Fn(&str) -> Option<String>,
    folder: &Path,
    modules: &Modules<'_>,
    problems: &mut Vec<Problem>,
) {
    let mut names = files.names(folder).unwrap_or_default();
    names.sort();
    let mut plugins = Vec::new();
    for file in &names {
        let Some(module) = file.strip_suffix(".jcfg") else { continue };
        if BUILT.iter().any(|table| table.file == module) {
            continue;
        }
        let mut parts = module.splitn(3, '.').skip(1);
        let (Some(kind), Some(name)) = (parts.next(), parts.next()) else { continue };
        if !module.starts_with("janus.") {
            continue;
        }
        let library = format!("libjanus_{name}.so");
        let disabled = match kind {
            "plugin" => {
                if !modules.plugins.has(&library) {
                    plugins.push(name);
                }
                continue;
            }
            "transport" => modules.transports.has(&library),
            "eventhandler" => modules.events.disable.has(&library),
            "logger" => modules.loggers.has(&library),
            _ => continue,
        };
        if !disabled {
            problems.extend(one(files, env, &folder.join(file), module));
        }
    }
    if !plugins.is_empty() {
        let message = format!("has files of plugins that are not built: {}", plugins.join(", "));
        let folder = folder.display().to_string();
        problems.push(Problem::of(&folder, Severity::Warning, Kind::NotSupported, message));
    }
}

/// A file that nobody reads here cannot stop the start: its mistakes are warnings.
fn one(
    files: &dyn FileSource,
    env: &dyn Fn(&str) -> Option<String>,
    path: &Path,
    module: &str,
) -> Vec<Problem> {
    let place = path.display().to_string();
    match read_document(files, env, path, &mut Vec::new()) {
        Ok(Some(document)) if is_on(&document) => {
            let message = format!("{module} is enabled here but is not built: nothing will be there");
            vec![Problem::of(&place, Severity::Warning, Kind::NotSupported, message)]
        }
        Ok(_) => Vec::new(),
        Err(mut mistakes) => {
            for mistake in &mut mistakes {
                mistake.severity = Severity::Warning;
            }
            mistakes
        }
    }
}

/// Every module of Janus with a switch has it under one of these names, off by default.
fn is_on(document: &Document) -> bool {
    [("general", "enabled"), ("admin", "admin_enabled")].iter().any(|(section, key)| {
        let setting = document.section(section).and_then(|section| section.get(key));
        setting.is_some_and(|setting| setting.value.as_bool())
    })
}
