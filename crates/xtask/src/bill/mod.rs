//! What an image is made of: `cargo xtask bill`, a bill of materials (CycloneDX) and the texts of all licences.
//!
//! Crates are those that the named packages really use, by `cargo metadata`; what only builds or tests them is left out.
//! Nothing is taken from the clock or the network: equal input gives equal files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

mod options;
mod texts;

use options::Options;

/// One part of the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    /// Its identity in the bill: the package address, or the name for our own crates.
    id: String,
    name: String,
    version: String,
    licence: String,
    /// Whether `id` is a package address that others know.
    published: bool,
    /// Where the texts of its licence are: a folder to look in, or a file.
    texts: PathBuf,
}

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let options = Options::parse(arguments)?;
    let metadata: Value = read_json(&options.metadata)?;
    let crates = Crates::new(&metadata)?;
    let (mut parts, depends) = crates.used_by(&options.packages)?;
    parts.extend(npm_parts(&options)?);
    parts.extend(options.debian.iter().map(debian_part));
    let unlicensed: Vec<&str> =
        parts.iter().filter(|p| p.licence.is_empty()).map(|p| p.name.as_str()).collect();
    ensure!(unlicensed.is_empty(), "no licence is known of {}", unlicensed.join(", "));
    let version = crates.version_of(&options.packages[0])?;
    let bill = cyclone(&options, &version, &parts, &depends);
    let out = &options.out;
    write(&out.join("sbom.json"), &(serde_json::to_string_pretty(&bill)? + "\n"))?;
    write(&out.join("LICENSES.txt"), &texts::all(&parts, &options.texts)?)?;
    eprintln!("bill: {} parts", parts.len());
    Ok(())
}

/// `cargo metadata`, by the ids of packages.
struct Crates<'a> {
    packages: HashMap<&'a str, &'a Value>,
    nodes: HashMap<&'a str, &'a Value>,
}

impl<'a> Crates<'a> {
    fn new(metadata: &'a Value) -> Result<Self> {
        let by_id = |list: &'a Value| -> Result<HashMap<&'a str, &'a Value>> {
            let list = list.as_array().context("metadata without a list of packages")?;
            list.iter().map(|one| Ok((text(one, "id")?, one))).collect()
        };
        Ok(Self { packages: by_id(&metadata["packages"])?, nodes: by_id(&metadata["resolve"]["nodes"])? })
    }

    fn named(&self, name: &str) -> Result<&'a str> {
        let mut found = self.packages.iter().filter(|(_, p)| p["name"] == name && p["source"].is_null());
        Ok(found.next().with_context(|| format!("no package {name} in the workspace"))?.0)
    }

    fn version_of(&self, name: &str) -> Result<String> {
        Ok(text(self.packages[self.named(name)?], "version")?.to_owned())
    }

    /// The packages and all they are linked with, and who depends on whom.
    #[allow(clippy::type_complexity)] // two collections that belong together, used once
    fn used_by(&self, names: &[String]) -> Result<(Vec<Part>, BTreeMap<String, BTreeSet<String>>)> {
        let mut waiting = names.iter().map(|name| self.named(name)).collect::<Result<Vec<_>>>()?;
        let mut seen: BTreeSet<&str> = waiting.iter().copied().collect();
        let (mut parts, mut depends) = (Vec::new(), BTreeMap::new());
        while let Some(id) = waiting.pop() {
            let part = self.part(id)?;
            let mut below = BTreeSet::new();
            for next in self.linked(id)? {
                below.insert(self.part(next)?.id);
                if seen.insert(next) {
                    waiting.push(next);
                }
            }
            depends.insert(part.id.clone(), below);
            parts.push(part);
        }
        parts.sort();
        Ok((parts, depends))
    }

    /// What a package uses when it runs: kind `null`, as neither `build` nor `dev`.
    fn linked(&self, id: &str) -> Result<Vec<&'a str>> {
        let node = self.nodes.get(id).with_context(|| format!("{id} is not resolved"))?;
        let all = node["deps"].as_array().context("a node without deps")?;
        let normal = |dep: &&Value| {
            dep["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
        };
        all.iter().filter(normal).map(|dep| text(dep, "pkg")).collect()
    }

    fn part(&self, id: &str) -> Result<Part> {
        let package = self.packages.get(id).with_context(|| format!("{id} is no package"))?;
        let (name, version) = (text(package, "name")?.to_owned(), text(package, "version")?.to_owned());
        let published = !package["source"].is_null();
        let folder =
            Path::new(text(package, "manifest_path")?).parent().context("a manifest without a folder")?;
        // Old crates write a slash where the standard has OR.
        let licence = package["license"].as_str().unwrap_or_default().replace('/', " OR ");
        let licence = licence.split_whitespace().collect::<Vec<_>>().join(" ");
        let id = if published { format!("pkg:cargo/{name}@{version}") } else { name.clone() };
        Ok(Part { id, name, version, licence, published, texts: folder.to_owned() })
    }
}

/// The packages of the sample pages: those of the lock file.
fn npm_parts(options: &Options) -> Result<Vec<Part>> {
    let Some(lock) = &options.npm else { return Ok(Vec::new()) };
    let lock: Value = read_json(lock)?;
    let all = lock["packages"].as_object().context("a lock file without packages")?;
    let named = all.iter().filter_map(|(path, one)| Some((path.strip_prefix("node_modules/")?, one)));
    named
        .map(|(name, one)| {
            let version = text(one, "version")?.to_owned();
            Ok(Part {
                id: format!("pkg:npm/{name}@{version}"),
                name: name.to_owned(),
                version,
                licence: one["license"].as_str().unwrap_or_default().to_owned(),
                published: true,
                texts: options.npm_folder.join(name),
            })
        })
        .collect()
}

fn debian_part([name, version, licence, texts]: &[String; 4]) -> Part {
    Part {
        id: format!("pkg:deb/debian/{name}@{version}"),
        name: name.clone(),
        version: version.clone(),
        licence: licence.clone(),
        published: true,
        texts: PathBuf::from(texts),
    }
}

fn cyclone(
    options: &Options,
    version: &str,
    parts: &[Part],
    depends: &BTreeMap<String, BTreeSet<String>>,
) -> Value {
    let components: Vec<Value> = parts
        .iter()
        .map(|part| {
            let mut component = json!({
                "type": "library", "bom-ref": part.id, "name": part.name, "version": part.version,
                "licenses": [{ "expression": part.licence }],
            });
            if part.published {
                component["purl"] = json!(part.id);
            }
            component
        })
        .collect();
    let mut dependencies: Vec<Value> =
        depends.iter().map(|(id, below)| json!({ "ref": id, "dependsOn": below })).collect();
    let direct: BTreeSet<&String> = options.packages.iter().collect();
    dependencies.push(json!({ "ref": "image", "dependsOn": direct }));
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {
            "timestamp": options.created,
            "component": {
                "type": "container", "bom-ref": "image", "name": options.packages[0], "version": version,
                "licenses": [{ "expression": "MIT OR Apache-2.0" }],
            },
        },
        "components": components, "dependencies": dependencies,
    })
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("no text `{key}` in {value}"))
}

fn read_json(path: &Path) -> Result<Value> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&bytes).with_context(|| path.display().to_string())
}

fn write(path: &Path, content: &str) -> Result<()> {
    std::fs::write(path, content).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests;
