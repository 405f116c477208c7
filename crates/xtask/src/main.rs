//! Work for the project that no compiler does.
//!
//! - `cargo xtask tidy`: checks of the house. Prints every breach as `file:line: what is wrong` and ends with 1 if there is
//!   one.
//! - `cargo xtask bill`: what an image is made of, and the licences of its parts; see `bill`.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};

mod bill;
mod tidy;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first().map(|(verb, rest)| (verb.as_str(), rest)) {
        Some(("tidy", [])) => tidy_up(),
        Some(("bill", rest)) => bill::run(rest).map(|()| ExitCode::SUCCESS),
        _ => bail!("usage: cargo xtask tidy | bill ..."),
    }
}

fn tidy_up() -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("the workspace is two folders above this crate")?;
    let files = tidy::files::tracked(&output(Command::new("git").arg("-C").arg(root).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?);
    let mut breaches = Vec::new();
    for file in &files {
        // A path can be gone from the work tree, or be a link or bytes that are no text.
        let Ok(text) = std::fs::read_to_string(root.join(file)) else { continue };
        breaches.extend(tidy::file(file, &text));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let metadata = output(Command::new(cargo).current_dir(root).args([
        "metadata",
        "--format-version=1",
        "--filter-platform",
        &host()?,
    ]))?;
    breaches.extend(tidy::dependencies::check(&serde_json::from_str(&metadata)?)?);
    breaches.sort();
    for breach in &breaches {
        eprintln!("{breach}");
    }
    eprintln!("tidy: {} files, {} breaches", files.len(), breaches.len());
    Ok(if breaches.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The platform we build on: dependencies of others do not count.
fn host() -> Result<String> {
    let version = output(Command::new("rustc").arg("-vV"))?;
    let line = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.context("rustc -vV names no host")?.to_owned())
}

fn output(command: &mut Command) -> Result<String> {
    let done = command.output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8(done.stdout)?)
}
