//! Secrets of Janus' samples: whoever has read them knows them.
//!
//! They still work, with a warning, as many systems were set up with them; only the admin secret has more to it (see
//! [`super::Settings`]).

use portunus_jcfg::{Document, Group, Kind, Problem, Severity};

/// Section, key and what the samples have there.
const OF_JANUS: &[(&str, &str, &str)] =
    &[("general", "api_secret", "janusrocks"), ("general", "token_auth_secret", "janus")];
const OF_VIDEOROOM: &[(&str, &str, &str)] = &[("general", "admin_key", "supersecret")];
const OF_ROOMS: &[(&str, &str)] = &[("secret", "adminpwd"), ("pin", "roompwd")];

/// Warns of each that is in use.
pub(super) fn look(main: &Document, videoroom: &Document, problems: &mut Vec<Problem>) {
    for (document, table) in [(main, OF_JANUS), (videoroom, OF_VIDEOROOM)] {
        for &(section, key, known) in table {
            if let Some(group) = document.section(section) {
                problems.extend(one(group, section, key, known));
            }
        }
    }
    for room in videoroom.root.settings() {
        let Some(group) = room.value.as_group() else { continue };
        problems.extend(OF_ROOMS.iter().filter_map(|&(key, known)| one(group, room.name(), key, known)));
    }
}

fn one(group: &Group, section: &str, key: &str, known: &str) -> Option<Problem> {
    let setting = group.get(key)?;
    let same = setting.value.as_text().is_some_and(|text| text.trim() == known);
    let what = if section == "general" { "secret" } else { "room secret" };
    let message = format!(
        "everybody knows this {what}, `{section}.{key}`: it is that of Janus' samples; choose your own (or \
         ALLOW_DEMO_SECRETS=true if you mean it)"
    );
    same.then(|| Problem::at(&setting.place, Severity::Warning, Kind::Advice, message))
}
