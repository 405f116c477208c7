//! The rings: which crate may use which. The table is that of the design page; a crate it does not name is a breach,
//! so a new crate begins with its line here. What no crate may use at all stands in `deny.toml`.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Breach;

/// What one crate may import.
struct Rule {
    name: &'static str,
    /// Our own crates it may use, without the prefix.
    ours: &'static [&'static str],
    others: Others,
    /// Crates that may not be anywhere below it.
    never: &'static [&'static str],
}

enum Others {
    Only(&'static [&'static str]),
    Any,
}

const RUNTIME: &[&str] = &["tokio", "mio", "hyper", "rtc-dtls", "rtc-sctp", "is"];
const WEB: &[&str] = &["hyper", "tokio-tungstenite"];

const fn pure(name: &'static str, ours: &'static [&'static str], others: &'static [&'static str]) -> Rule {
    Rule { name, ours, others: Others::Only(others), never: RUNTIME }
}

const fn free(name: &'static str, ours: &'static [&'static str], never: &'static [&'static str]) -> Rule {
    Rule { name, ours, others: Others::Any, never }
}

const RULES: &[Rule] = &[
    pure("api", &[], &["base64", "hmac", "serde", "serde_json", "sha1", "subtle", "thiserror"]),
    pure("jcfg", &[], &["serde", "thiserror", "winnow"]),
    pure("sdp", &[], &["rtc-sdp", "thiserror"]),
    pure("rtp", &[], &["bytes", "rtc-rtcp", "thiserror"]),
    pure("srtp", &[], &["aes", "aws-lc-rs", "ctr", "sha1", "thiserror", "zeroize"]),
    pure("bwe", &[], &[]),
    pure("mjr", &["rtp"], &["bytes", "serde_json", "thiserror"]),
    pure("plugin", &["api", "rtp", "sdp"], &["base64", "serde_json"]),
    pure("core", &["api", "plugin", "sdp"], &["serde_json", "thiserror", "tracing"]),
    free("media", &["bwe", "mjr", "plugin", "rtp", "sdp", "srtp"], WEB),
    free("recorder", &["mjr", "plugin", "sdp"], WEB),
    free("transport", &["api"], &["rtc-dtls", "rtc-sctp", "is"]),
    free("ice-servers", &["api"], &["rtc-dtls", "rtc-sctp", "is"]),
    free("telemetry", &["api"], &["rtc-dtls", "rtc-sctp", "is"]),
    free("postproc", &["mjr", "rtp"], &["tokio", "hyper"]),
    free("loadtest", &["media", "rtp", "sdp"], &[]),
    free("testkit", &["api", "core", "plugin", "rtp", "sdp", "srtp"], &[]),
];

const PLUGIN_PREFIX: &str = "plugin-";
const PLUGINS: Rule =
    pure("plugin-*", &["api", "plugin", "rtp", "sdp"], &["serde", "serde_json", "thiserror", "tracing"]);

/// Wiring and tools: they may use all.
const UNRULED: &[&str] = &["portunus", "portunus-benches", "xtask"];

/// Compares the rules with `cargo metadata`.
pub(crate) fn check(metadata: &Value) -> Result<Vec<Breach>> {
    let graph = Graph::new(metadata)?;
    let mut breaches = Vec::new();
    for id in &graph.members {
        let name = graph.names[id];
        let file = format!("{name} (Cargo.toml)");
        let mut say = |what: String| breaches.push(Breach::new(&file, 1, what));
        let below = graph.below(id);
        if UNRULED.contains(&name) {
            continue;
        }
        let Some(rule) = rule(name) else {
            say("no line in the table of crates (crates/xtask/src/tidy/dependencies.rs)".to_owned());
            continue;
        };
        for direct in graph.direct(id) {
            if let Some(why) = refusal(rule, direct) {
                say(format!("imports `{direct}`: {why}"));
            }
        }
        for banned in rule.never.iter().filter(|banned| below.contains(*banned)) {
            say(format!("`{banned}` is below it"));
        }
    }
    Ok(breaches)
}

fn rule(package: &str) -> Option<&'static Rule> {
    let short = package.strip_prefix("portunus-")?;
    RULES
        .iter()
        .find(|rule| rule.name == short)
        .or_else(|| short.starts_with(PLUGIN_PREFIX).then_some(&PLUGINS))
}

fn refusal(rule: &Rule, dependency: &str) -> Option<String> {
    if let Some(short) = dependency.strip_prefix("portunus-") {
        return (!rule.ours.contains(&short))
            .then(|| format!("{} may use of ours only {:?}", rule.name, rule.ours));
    }
    match rule.others {
        Others::Only(allowed) if !allowed.contains(&dependency) => {
            Some(format!("{} may use of others only {allowed:?}", rule.name))
        }
        _ => None,
    }
}

/// The resolved graph, without what only tests and build scripts need.
struct Graph<'a> {
    members: Vec<&'a str>,
    names: HashMap<&'a str, &'a str>,
    edges: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> Graph<'a> {
    fn new(metadata: &'a Value) -> Result<Self> {
        let text = |value: &'a Value| value.as_str().context("metadata: not a text");
        let list = |value: &'a Value| value.as_array().context("metadata: not a list");
        let mut names = HashMap::new();
        for package in list(&metadata["packages"])? {
            names.insert(text(&package["id"])?, text(&package["name"])?);
        }
        let mut edges = HashMap::new();
        for node in list(&metadata["resolve"]["nodes"])? {
            let mut normal = Vec::new();
            for dependency in list(&node["deps"])? {
                if list(&dependency["dep_kinds"])?.iter().any(|kind| kind["kind"].is_null()) {
                    normal.push(text(&dependency["pkg"])?);
                }
            }
            edges.insert(text(&node["id"])?, normal);
        }
        let members = list(&metadata["workspace_members"])?.iter().map(text).collect::<Result<_>>()?;
        Ok(Self { members, names, edges })
    }

    fn direct(&self, id: &str) -> impl Iterator<Item = &'a str> {
        self.edges.get(id).into_iter().flatten().filter_map(|id| self.names.get(id).copied())
    }

    /// Names of all that is below a package.
    fn below(&self, id: &'a str) -> HashSet<&'a str> {
        let mut seen = HashSet::new();
        let mut waiting = vec![id];
        while let Some(id) = waiting.pop() {
            for next in self.edges.get(id).into_iter().flatten() {
                if seen.insert(*next) {
                    waiting.push(next);
                }
            }
        }
        seen.into_iter().filter_map(|id| self.names.get(id).copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A package and what it imports; what is named `dev:x` is for tests only.
    type Package<'a> = (&'a str, &'a [&'a str]);

    fn metadata(packages: &[Package<'_>]) -> Value {
        let mut names: Vec<&str> = packages.iter().map(|(name, _)| *name).collect();
        let imported = packages.iter().flat_map(|(_, imports)| imports.iter());
        names.extend(imported.map(|name| name.trim_start_matches("dev:")));
        names.sort_unstable();
        names.dedup();
        let deps = |imports: &[&str]| -> Vec<Value> {
            imports
                .iter()
                .map(|name| match name.strip_prefix("dev:") {
                    Some(name) => json!({"pkg": name, "dep_kinds": [{"kind": "dev"}]}),
                    None => json!({"pkg": name, "dep_kinds": [{"kind": null}]}),
                })
                .collect()
        };
        let node = |name: &&str| {
            let imports = packages.iter().find(|(package, _)| package == name).map_or(&[][..], |(_, i)| *i);
            json!({"id": name, "deps": deps(imports)})
        };
        let ours =
            packages.iter().map(|(name, _)| *name).filter(|n| n.starts_with("portunus") || *n == "xtask");
        json!({
            "packages": names.iter().map(|n| json!({"id": n, "name": n})).collect::<Vec<_>>(),
            "workspace_members": ours.collect::<Vec<_>>(),
            "resolve": {"nodes": names.iter().map(node).collect::<Vec<_>>()},
        })
    }

    fn breaches(packages: &[Package<'_>]) -> Vec<String> {
        check(&metadata(packages)).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_the_table_allows_passes() {
        let fine: &[Package<'_>] = &[
            ("portunus-api", &["serde", "dev:tokio"]),
            ("portunus-plugin", &["portunus-api"]),
            ("portunus-core", &["portunus-plugin", "tracing"]),
            ("portunus-plugin-echotest", &["portunus-plugin", "serde_json"]),
            ("portunus-media", &["portunus-srtp", "rtc-dtls", "anything"]),
            ("portunus", &["portunus-core", "portunus-media", "tokio"]),
        ];
        assert_eq!(breaches(fine), [""; 0]);
    }

    #[test]
    fn what_it_does_not_is_a_breach() {
        let cases: &[(&[Package<'_>], &str)] = &[
            (&[("portunus-rtp", &["portunus-api"])], "imports `portunus-api`"),
            (&[("portunus-core", &["portunus-media"])], "imports `portunus-media`"),
            (&[("portunus-media", &["portunus-core"])], "imports `portunus-core`"),
            (&[("portunus-sdp", &["regex"])], "imports `regex`"),
            (&[("portunus-core", &["tracing"]), ("tracing", &["tokio"])], "`tokio` is below it"),
            (&[("portunus-media", &["hyper"])], "`hyper` is below it"),
            (&[("portunus-plugin-videoroom", &["portunus-core"])], "imports `portunus-core`"),
            (&[("portunus-unheard-of", &[])], "no line in the table"),
        ];
        for (packages, expected) in cases {
            let found = breaches(packages);
            assert!(found.iter().any(|breach| breach.contains(expected)), "{expected}: {found:?}");
        }
    }
}
