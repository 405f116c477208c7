//! What the container takes for granted where neither files nor environment nor options say anything.
//!
//! That includes how media comes through: see [`choose_network`].
//!
//! It is laid under `janus.jcfg` as if it stood there: reading, checks and messages are the same, and whatever somebody
//! has written wins.

use portunus_jcfg::{Document, Place, Problem, Value};
use std::path::Path;

/// Where such a value comes from, for messages.
const ORIGIN: &str = "default in the container";

/// Section, key and value.
const TABLE: &[(&str, &str, &str)] = &[("portunus", "metrics_port", "8086")];

/// The defaults of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerDefaults(Vec<(&'static str, &'static str, String)>);

impl ContainerDefaults {
    /// With this folder of pages, if there is one.
    pub(crate) fn new(demos: Option<&Path>) -> Self {
        let fixed = TABLE.iter().map(|&(section, key, text)| (section, key, text.to_owned()));
        let demos = demos.map(|path| ("portunus", "demos_folder", path.display().to_string()));
        Self(fixed.chain(demos).collect())
    }

    /// Sets what the document of `janus.jcfg` does not.
    pub(super) fn lay_under(&self, document: &mut Document, problems: &mut Vec<Problem>) {
        for (section, key, text) in &self.0 {
            if document.section(section).is_some_and(|group| group.get(key).is_some()) {
                continue;
            }
            let value = Value::from(text.as_str());
            if let Err(error) = document.set(section, key, value, Place::of(ORIGIN)) {
                problems.push(error.into());
            }
        }
    }
}

/// How media reaches the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContainerNetwork {
    /// Somebody declared a media port: it is published.
    Published,
    /// Nobody did.
    Unpublished,
}

/// Milliseconds that candidates are held where no media port is published: what a check needs to leave.
const HOLD: &str = "100";

/// Decides how media comes through, where that is open; comes last, as all that is set counts.
///
/// One UDP port carries everything, as more cannot sensibly be published. Where it is declared as published (`PUBLIC_IP`,
/// `MEDIA_PORT`, or a mapping together with a port), the gateway is ICE-lite: it sends no checks that a NAT could trip over.
/// Otherwise it checks, and its candidates are held back until its checks have opened the way.
pub(super) fn choose_network(
    document: &mut Document,
    env: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<Problem>,
) -> ContainerNetwork {
    let variable = |name: &str| env(name).is_some_and(|text| !text.trim().is_empty());
    let set = |section: &str, key: &str| filled(document, section, key);
    let range = set("media", "rtp_port_range");
    let port = range || set("portunus", "udp_port");
    let declared = variable("PUBLIC_IP") || variable("MEDIA_PORT") || (port && set("nat", "nat_1_1_mapping"));
    let mut choice = Vec::new();
    // Port 0 stands for any, a different one for each socket.
    if !range && !is_zero(document, "udp_port") {
        choice.push(("portunus", "single_port", "true"));
    }
    let network = if declared {
        choice.push(("nat", "ice_lite", "true"));
        ContainerNetwork::Published
    } else {
        choice.push(("nat", "full_trickle", "true"));
        if switch(document, "full_trickle") != Some(false) && switch(document, "ice_lite") != Some(true) {
            choice.push(("nat", "trickle_hold_ms", HOLD));
        }
        ContainerNetwork::Unpublished
    };
    for (section, key, text) in choice {
        if filled(document, section, key) {
            continue;
        }
        if let Err(error) = document.set(section, key, Value::from(text), Place::of(ORIGIN)) {
            problems.push(error.into());
        }
    }
    network
}

/// Somebody says something there; a list has no text and counts.
fn filled(document: &Document, section: &str, key: &str) -> bool {
    let setting = document.section(section).and_then(|group| group.get(key));
    setting.is_some_and(|setting| setting.value.as_text().is_none_or(|text| !text.trim().is_empty()))
}

fn is_zero(document: &Document, key: &str) -> bool {
    let text = document.section("portunus").and_then(|group| group.get(key)?.value.as_text());
    text.is_some_and(|text| text.trim() == "0")
}

/// A switch of section `nat`, if somebody set it.
fn switch(document: &Document, key: &str) -> Option<bool> {
    filled(document, "nat", key).then(|| document.section("nat")?.get(key).map(|s| s.value.as_bool()))?
}
