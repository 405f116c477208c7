//! What a server owes to the system: its pid file, and a look at how many files it may open.

use anyhow::{Context, bail};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// Writes our process id to a file and keeps it locked as long as the result lives.
///
/// # Errors
/// The file cannot be written, or another process holds it.
pub(crate) fn lock_pid_file(path: Option<&Path>) -> anyhow::Result<Option<File>> {
    let Some(path) = path else { return Ok(None) };
    let name = path.display();
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .with_context(|| format!("cannot open the pid file {name}"))?;
    file.try_lock().with_context(|| format!("the pid file {name} is locked by another process"))?;
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(Some(file))
}

/// Refuses to go on when fewer open files are allowed than `wanted`.
///
/// # Errors
/// They are.
pub(crate) fn check_open_files(wanted: Option<u64>) -> anyhow::Result<()> {
    let Some(wanted) = wanted else { return Ok(()) };
    // Linux tells it without a system call of our own.
    let limits = fs::read_to_string("/proc/self/limits").context("cannot read the limits of this process")?;
    match open_files(&limits) {
        Some(allowed) if allowed < wanted => {
            bail!("only {allowed} open files are allowed, {wanted} are wanted: raise `ulimit -n`")
        }
        _ => Ok(()),
    }
}

/// The soft limit of open files; `None` without one.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_of_open_files_is_the_first_number() {
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024   524288   files\n";
        assert_eq!(open_files(limits), Some(1024));
        assert_eq!(open_files("Max open files  unlimited unlimited files\n"), None);
    }

    #[test]
    fn too_few_open_files_end_it() {
        assert!(check_open_files(None).is_ok());
        assert!(check_open_files(Some(1)).is_ok());
        assert!(check_open_files(Some(u64::MAX)).is_err());
    }

    #[test]
    fn a_pid_file_belongs_to_one_process() {
        let path = std::env::temp_dir().join(format!("portunus-test-{}.pid", std::process::id()));
        let first = lock_pid_file(Some(&path)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().trim(), std::process::id().to_string());
        assert!(lock_pid_file(Some(&path)).is_err());
        drop(first);
        assert!(lock_pid_file(Some(&path)).is_ok());
        fs::remove_file(&path).unwrap();
    }
}
