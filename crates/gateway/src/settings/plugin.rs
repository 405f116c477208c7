//! `janus.plugin.echotest.jcfg` and `janus.plugin.videocall.jcfg`: plugins with nothing to set but whether they tell event handlers.

use portunus_jcfg::{Document, Problem, Reader};

use super::keys::Table;

/// A plugin.
#[derive(Debug, Clone)]
pub(crate) struct PluginSettings {
    /// It is there (`plugins.disable` does not name it).
    pub(crate) enabled: bool,
    /// It tells event handlers what happens.
    pub(crate) events: bool,
}

/// Reads the document.
pub(super) fn read(
    document: &Document,
    table: &Table,
    enabled: bool,
    problems: &mut Vec<Problem>,
) -> PluginSettings {
    let reader = Reader::new(document);
    let events = table.open(&reader, "general").get_bool("events", true);
    problems.extend(reader.finish());
    PluginSettings { enabled, events }
}
