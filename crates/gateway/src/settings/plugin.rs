//! `janus.plugin.echotest.jcfg`.

use portunus_jcfg::{Document, Problem, Reader};

use super::keys::ECHOTEST;

/// The echo test plugin.
#[derive(Debug, Clone)]
pub(crate) struct EchotestSettings {
    /// It is there (`plugins.disable` does not name it).
    pub(crate) enabled: bool,
    /// It tells event handlers what happens.
    pub(crate) events: bool,
}

/// Reads the document.
pub(super) fn read(document: &Document, enabled: bool, problems: &mut Vec<Problem>) -> EchotestSettings {
    let reader = Reader::new(document);
    let events = ECHOTEST.open(&reader, "general").get_bool("events", true);
    problems.extend(reader.finish());
    EchotestSettings { enabled, events }
}
