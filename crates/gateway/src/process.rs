//! What a server owes to the system: its pid file, a look at how many files it may open, and what it uses.

use anyhow::{Context, bail};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

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

/// How many files may be open; `None` for any number.
pub(crate) fn open_files_allowed() -> Option<u64> {
    open_files(&fs::read_to_string("/proc/self/limits").ok()?)
}

/// The soft limit of open files; `None` without one.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What this process uses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
    pub(crate) threads: u64,
    pub(crate) open_files: u64,
    pub(crate) max_files: Option<u64>,
    pub(crate) started: SystemTime,
}

/// What `/proc` tells of this process; `None` where there is none.
pub(crate) fn usage() -> Option<Usage> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let files = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    Some(Usage {
        cpu_seconds: cpu_seconds(&fs::read_to_string("/proc/self/stat").ok()?)?,
        resident_bytes: number("VmRSS:")? * 1024,
        threads: number("Threads:")?,
        open_files: u64::try_from(files).unwrap_or(u64::MAX),
        max_files: open_files(&fs::read_to_string("/proc/self/limits").ok()?),
        started: crate::monitor::started(),
    })
}

/// CPU time of each media worker's thread: they are named after their numbers.
pub(crate) fn worker_cpu() -> Vec<(usize, f64)> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    let one = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let worker = name.trim().strip_prefix("media-")?.parse().ok()?;
        Some((worker, cpu_seconds(&fs::read_to_string(task.path().join("stat")).ok()?)?))
    };
    let mut all: Vec<_> = tasks.flatten().filter_map(one).collect();
    all.sort_by_key(|(worker, _)| *worker);
    all
}

/// User and system time of a `stat` file, fields 14 and 15 of proc(5), in clock ticks of which Linux shows 100 a second.
fn cpu_seconds(stat: &str) -> Option<f64> {
    const TICKS: f64 = 100.0;
    // The name may hold anything but ends with the last bracket.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS)
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
    fn the_cpu_time_stands_behind_the_name_whatever_that_is() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 5 0 100 1000 10";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("7 (a"), None);
        let usage = usage().unwrap();
        assert!(usage.resident_bytes > 1 << 20 && usage.threads > 0 && usage.open_files > 2, "{usage:?}");
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
