//! Runs the benchmarks under callgrind and holds what it counted against the table.
//!
//! A count is a matter of the compiler, of the C library and of the instructions that valgrind has, so the table says with
//! which of them it was made. With others figures are told and not judged; without AES and AVX2 none are made.

use crate::Options;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// A count may differ so much from the table's, in percent.
const TOLERANCE: f64 = 3.0;
/// What the libraries that encrypt and copy choose their code by.
const NEEDED: [&str; 3] = ["aes", "avx2", "pclmulqdq"];

/// Names and instructions per unit of work, in the order they were run.
type Counts = Vec<(String, u64)>;

/// The table: for each profile the tools it was made with, and instructions by name.
#[derive(Default)]
struct Table {
    tools: BTreeMap<String, String>,
    counts: BTreeMap<String, BTreeMap<String, u64>>,
}

pub(crate) fn count(options: &Options) -> Result<()> {
    if !is_comparable() {
        println!("bench-instructions: counts are for x86-64 with {}; skipped", NEEDED.join(", "));
        return Ok(());
    }
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("bench-instructions: no valgrind here; skipped");
        return Ok(());
    }
    let counts = callgrind()?;
    let text = fs::read_to_string(&options.table).unwrap_or_default();
    let mut table = Table::read(&text).with_context(|| options.table.display().to_string())?;
    if options.accept {
        show(&counts, table.counts.get(&options.profile));
        table.take(&options.profile, &options.tools, &counts);
        return fs::write(&options.table, table.text(&counts)).context("writing the table");
    }
    let known = table.counts.get(&options.profile);
    let broken = show(&counts, known);
    let tools = table.tools.get(&options.profile).map_or("nothing", String::as_str);
    if tools != options.tools {
        println!("the table was made with {tools}; this with {}: told, not judged", options.tools);
        return Ok(());
    }
    ensure!(
        broken.is_empty(),
        "beyond {TOLERANCE} %, or not in both: {}. If that is meant: make bench ARGS=--accept",
        broken.join(", ")
    );
    Ok(())
}

fn is_comparable() -> bool {
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = about.lines().find_map(|l| l.strip_prefix("flags")).unwrap_or_default();
    cfg!(target_arch = "x86_64") && NEEDED.iter().all(|flag| flags.split_whitespace().any(|f| f == *flag))
}

/// Runs this program once more, and reads what callgrind wrote.
fn callgrind() -> Result<Counts> {
    let folder = std::env::temp_dir().join(format!("portunus-instructions-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let counts = callgrind_in(&folder);
    let _ = fs::remove_dir_all(&folder);
    counts
}

fn callgrind_in(folder: &Path) -> Result<Counts> {
    let out = folder.join("out");
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--toggle-collect=*measured*"])
        .arg("--dump-before=*next_measurement*")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe()?)
        .arg("--run")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("valgrind")?;
    ensure!(run.status.success(), "the benchmarks ended with {}", run.status);
    let mut counts = Counts::new();
    for (i, line) in String::from_utf8(run.stdout)?.lines().enumerate() {
        let (name, units) = line.split_once(' ').with_context(|| format!("what is {line:?}?"))?;
        let instructions = total(&folder.join(format!("out.{}", i + 1)))?;
        ensure!(instructions > 0, "{name}: callgrind counted nothing");
        counts.push((name.to_owned(), instructions / units.parse::<u64>()?.max(1)));
    }
    ensure!(!counts.is_empty(), "no benchmark was run");
    Ok(counts)
}

/// What one of callgrind's files counts in all.
fn total(file: &Path) -> Result<u64> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let total = text.lines().rev().find_map(|l| l.strip_prefix("totals:").or(l.strip_prefix("summary:")));
    Ok(total.context("no total")?.trim().parse()?)
}

/// Prints the counts, beside those of the table if it has any; returns the names of those that are not as they should be.
fn show(counts: &Counts, known: Option<&BTreeMap<String, u64>>) -> Vec<String> {
    let mut broken = Vec::new();
    println!("{:<20} {:>12} {:>12} {:>9}", "instructions per", "now", "table", "change");
    for (name, now) in counts {
        let Some(before) = known.and_then(|k| k.get(name)) else {
            println!("{name:<20} {now:>12} {:>12}", "-");
            broken.push(name.clone());
            continue;
        };
        let change = (*now as f64 / *before as f64 - 1.0) * 100.0;
        let far = change.abs() > TOLERANCE;
        println!("{name:<20} {now:>12} {before:>12} {change:>+8.1}%{}", if far { "  <--" } else { "" });
        if far {
            broken.push(name.clone());
        }
    }
    let gone = known.into_iter().flatten().filter(|(name, _)| counts.iter().all(|(n, _)| n != *name));
    broken.extend(gone.map(|(name, _)| name.clone()));
    broken
}

impl Table {
    fn read(text: &str) -> Result<Self> {
        let mut table = Self::default();
        let mut profiles: Vec<&str> = Vec::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] | ["#", ..] => {}
                ["tools", profile, name @ ..] => {
                    table.tools.insert((*profile).to_owned(), name.join(" "));
                }
                ["name", rest @ ..] => profiles = rest.to_vec(),
                [name, figures @ ..] if figures.len() == profiles.len() => {
                    for (profile, figure) in profiles.iter().zip(figures).filter(|(_, f)| **f != "-") {
                        let counts = table.counts.entry((*profile).to_owned()).or_default();
                        counts.insert((*name).to_owned(), figure.parse().context(line.to_owned())?);
                    }
                }
                _ => bail!("what is {line:?}?"),
            }
        }
        Ok(table)
    }

    fn take(&mut self, profile: &str, tools: &str, counts: &Counts) {
        self.tools.insert(profile.to_owned(), tools.to_owned());
        self.counts.insert(profile.to_owned(), counts.iter().cloned().collect());
    }

    fn text(&self, order: &Counts) -> String {
        let mut text = String::from(
            "# Instructions per unit of work: docs/benchmarks.md. Written by `make bench ARGS=--accept`.\n\n",
        );
        for (profile, tools) in &self.tools {
            let _ = writeln!(text, "tools {profile} {tools}");
        }
        let _ = write!(text, "\n{:<20}", "name");
        self.counts.keys().for_each(|profile| _ = write!(text, " {profile:>12}"));
        for (name, _) in order {
            let _ = write!(text, "\n{name:<20}");
            for counts in self.counts.values() {
                let figure = counts.get(name).map_or_else(|| "-".to_owned(), u64::to_string);
                let _ = write!(text, " {figure:>12}");
            }
        }
        text + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(figures: &[(&str, u64)]) -> Counts {
        figures.iter().map(|(name, figure)| ((*name).to_owned(), *figure)).collect()
    }

    #[test]
    fn the_table_keeps_the_other_profile() {
        let mut table = Table::default();
        table.take("ci", "rustc 1.95.0 (a b)", &counts(&[("b", 300), ("a", 20)]));
        table.take("release", "rustc 1.96.0", &counts(&[("b", 100), ("c", 1)]));
        let again = Table::read(&table.text(&counts(&[("b", 0), ("a", 0), ("c", 0)]))).unwrap();
        assert_eq!(again.tools, table.tools);
        assert_eq!(again.counts, table.counts);
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for text in ["name ci\na one", "name ci\na 1 2", "a 1"] {
            assert!(Table::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_has_changed_is_new_or_gone_breaks_the_rule() {
        let known: BTreeMap<_, _> =
            counts(&[("more", 1000), ("less", 1000), ("much", 1000), ("little", 1000), ("gone", 1)])
                .into_iter()
                .collect();
        let now = counts(&[("more", 1029), ("less", 971), ("much", 1031), ("little", 969), ("new", 1)]);
        assert_eq!(show(&now, Some(&known)), ["much", "little", "new", "gone"]);
    }
}
