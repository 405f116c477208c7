//! `--check-config`: everything is read, everything wrong is listed, nothing is started.

use portunus_jcfg::{Kind, Problem, Severity};
use std::io::{self, Write};

use super::{FileSource, load};
use crate::flags::Flags;

/// Reads all settings and writes every problem, then one line with the outcome. The result is the exit code:
/// 0 if there is no error and nothing unknown, else 1.
pub(crate) fn check(
    flags: &Flags,
    env: &dyn Fn(&str) -> Option<String>,
    files: &dyn FileSource,
    out: &mut dyn Write,
) -> io::Result<i32> {
    let problems = match load(flags, env, files) {
        Ok((_, problems)) | Err(problems) => problems,
    };
    for problem in &problems {
        writeln!(out, "{problem}")?;
    }
    let count = |wanted: &dyn Fn(&Problem) -> bool| problems.iter().filter(|problem| wanted(problem)).count();
    let errors = count(&|problem| problem.severity == Severity::Error);
    let unknown = count(&|problem| problem.kind == Kind::Unknown);
    let warnings = count(&|problem| problem.severity == Severity::Warning);
    writeln!(out, "{errors} errors, {warnings} warnings ({unknown} about unknown names)")?;
    Ok(i32::from(errors + unknown > 0))
}
