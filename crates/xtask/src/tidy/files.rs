//! Checks of every tracked text: places of one machine, and addresses a lock file should not carry.

use super::Breach;

/// Beginnings of paths that exist on one machine only. Written in two parts so that this file passes its own check.
const MACHINE: &[[&str; 2]] = &[["/wor", "k/"], ["/roo", "t/"], ["/hom", "e/"], ["/tmp/bas", "h"]];

/// Names of files from `git ls-files`.
pub(crate) fn tracked(listing: &str) -> Vec<String> {
    listing.lines().map(str::to_owned).collect()
}

pub(super) fn machine_paths(path: &str, text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for start in MACHINE.iter().map(|parts| parts.concat()) {
            if line.match_indices(&start).any(|(at, _)| begins_a_path(line, at)) {
                breaches.push(Breach::new(path, number + 1, format!("`{start}` is a path of one machine")));
            }
        }
    }
    breaches
}

/// Whether the `/` at `at` is the root, not the middle of a longer path or of an address.
fn begins_a_path(line: &str, at: usize) -> bool {
    let before = line[..at].chars().next_back();
    !before.is_some_and(|c| c.is_alphanumeric() || "._-~/*}$".contains(c))
}

pub(super) fn registry_addresses(path: &str, text: &str) -> Vec<Breach> {
    if path.rsplit('/').next() != Some("package-lock.json") {
        return Vec::new();
    }
    let lines = text.lines().enumerate().filter(|(_, line)| line.contains("\"resolved\""));
    lines.map(|(number, _)| Breach::new(path, number + 1, "`resolved` pins a registry's address")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_one_machine_are_breaches() {
        for parts in MACHINE {
            let line = format!("cd \"{}x\"", parts.concat());
            assert_eq!(machine_paths("README.md", &line).len(), 1, "{line}");
        }
        for fine in ["https://example.org/home/x", "a/work/b", "${X}/root/y", "/usr/share/janus"] {
            assert_eq!(machine_paths("README.md", fine), [], "{fine}");
        }
    }

    #[test]
    fn addresses_in_lock_files_are_breaches() {
        let line = "{\n  \"resolved\": \"https://registry.example/a.tgz\"\n}";
        let found = registry_addresses("tests/browser/package-lock.json", line);
        assert_eq!(
            found,
            [Breach::new("tests/browser/package-lock.json", 2, "`resolved` pins a registry's address")]
        );
        assert_eq!(registry_addresses("package.json", line), []);
    }

    #[test]
    fn every_line_names_a_file() {
        assert_eq!(tracked("a\nb c\n"), ["a", "b c"]);
    }
}
