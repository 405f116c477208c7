//! The command line of `cargo xtask bill`.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail, ensure};

const USAGE: &str = "usage: cargo xtask bill METADATA FOLDER --created TIME --package NAME... \
    [--npm LOCKFILE --npm-folder FOLDER] [--debian NAME=VERSION=LICENCE=FILE]... [--text FILE]...";

#[derive(Debug, Default)]
pub(super) struct Options {
    /// What `cargo metadata` says.
    pub(super) metadata: PathBuf,
    /// The folder that gets `sbom.json` and `LICENSES.txt`.
    pub(super) out: PathBuf,
    pub(super) created: String,
    /// Whose parts are meant; the first one names the whole.
    pub(super) packages: Vec<String>,
    pub(super) npm: Option<PathBuf>,
    pub(super) npm_folder: PathBuf,
    /// Parts out of the distribution: name, version, licence, file of its text.
    pub(super) debian: Vec<[String; 4]>,
    /// Our own licences, which stand first.
    pub(super) texts: Vec<PathBuf>,
}

impl Options {
    pub(super) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut places = Vec::new();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().with_context(|| format!("{argument} needs a value; {USAGE}"));
            match argument.as_str() {
                "--created" => options.created = value()?.clone(),
                "--package" => options.packages.push(value()?.clone()),
                "--npm" => options.npm = Some(value()?.into()),
                "--npm-folder" => options.npm_folder = value()?.into(),
                "--text" => options.texts.push(value()?.into()),
                "--debian" => options.debian.push(debian(value()?)?),
                unknown if unknown.starts_with("--") => bail!("unknown option {unknown}; {USAGE}"),
                place => places.push(PathBuf::from(place)),
            }
        }
        let [metadata, out] = <[PathBuf; 2]>::try_from(places).map_err(|_| anyhow!(USAGE))?;
        ensure!(!options.packages.is_empty() && !options.created.is_empty(), USAGE);
        Ok(Self { metadata, out, ..options })
    }
}

fn debian(value: &str) -> Result<[String; 4]> {
    let parts: Vec<String> = value.splitn(4, '=').map(str::to_owned).collect();
    parts.try_into().map_err(|_| anyhow!("--debian {value}: NAME=VERSION=LICENCE=FILE is wanted"))
}
