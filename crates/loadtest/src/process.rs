//! What a process on this machine takes: CPU time, memory, threads, descriptors.

use portunus_media::client::cpu_time_of;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

/// At one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    pub(crate) cpu_ns: u64,
    pub(crate) rss_kib: u64,
    pub(crate) threads: u64,
    /// `None`: another user's, whose descriptors are not shown.
    pub(crate) descriptors: Option<u64>,
}

/// `None` when the process is gone.
pub(crate) fn usage(process: u32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    // What has ended and is waited for by nobody still has a folder, but no memory.
    let rss_kib = field(&status, "VmRSS:")?;
    let cpu = cpu_time_of(process).ok()?;
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).ok().map(|all| all.count() as u64);
    Some(Usage {
        cpu_ns: u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX),
        rss_kib,
        threads: field(&status, "Threads:")?,
        descriptors,
    })
}

/// How long each thread of a process was ready to run and had no core.
pub(crate) fn waits(process: u32) -> BTreeMap<OsString, u64> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| Some((task.file_name(), waited(&task.path().join("schedstat"))?))).collect()
}

/// The longest wait of one thread between two looks.
pub(crate) fn longest_wait(before: &BTreeMap<OsString, u64>, after: &BTreeMap<OsString, u64>) -> u64 {
    let since = |(thread, ns): (&OsString, &u64)| ns.saturating_sub(before.get(thread).copied().unwrap_or(0));
    after.iter().map(since).max().unwrap_or(0)
}

/// How long a thread was ready to run and had no core: the second number of its `schedstat`.
pub(crate) fn waited(schedstat: &Path) -> Option<u64> {
    fs::read_to_string(schedstat).ok()?.split_whitespace().nth(1)?.parse().ok()
}

/// Datagrams so far that a socket of this network namespace had no room for.
pub(crate) fn overrun() -> u64 {
    fs::read_to_string("/proc/self/net/snmp")
        .ok()
        .and_then(|text| udp_counter(&text, "RcvbufErrors"))
        .unwrap_or(0)
}

fn udp_counter(snmp: &str, name: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let at = names.split_whitespace().position(|n| n == name)?;
    values.split_whitespace().nth(at)?.parse().ok()
}

/// As many descriptors as the system allows at all: each client needs one or two.
pub(crate) fn raise_limits() {
    let limits = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, maximum: limits.maximum });
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_threads_and_descriptors() {
        let own = usage(std::process::id()).unwrap();
        assert!(own.rss_kib > 100 && own.threads >= 1 && own.descriptors.unwrap() >= 3, "{own:?}");
        let mut n = 0_u64;
        while usage(std::process::id()).unwrap().cpu_ns - own.cpu_ns < 10_000_000 {
            n = n.wrapping_mul(31).wrapping_add(7);
        }
        std::hint::black_box(n);
    }

    #[test]
    fn waits_are_told_by_thread() {
        let own = waits(std::process::id());
        assert!(!own.is_empty());
        let later =
            own.iter().map(|(thread, ns)| (thread.clone(), ns + 7)).chain([("new".into(), 3)]).collect();
        assert_eq!(longest_wait(&own, &later), 7);
        assert_eq!(longest_wait(&own, &BTreeMap::new()), 0);
    }

    #[test]
    fn counters_of_udp_are_found_by_name() {
        let snmp = "Tcp: A B\nTcp: 1 2\nUdp: InDatagrams RcvbufErrors SndbufErrors\nUdp: 7 8 9\nUdpLite: RcvbufErrors\nUdpLite: 5\n";
        assert_eq!(udp_counter(snmp, "RcvbufErrors"), Some(8));
        assert_eq!(udp_counter(snmp, "Other"), None);
        assert_eq!(udp_counter("", "RcvbufErrors"), None);
    }

    #[test]
    fn nobody_has_none() {
        assert_eq!(usage(u32::MAX >> 1), None);
    }
}
