//! The known name that a mistyped one most likely means.

/// The nearest of `known` to `word` by edits (insert, remove, replace, swap of neighbours; letter case
/// ignored), if it is near enough to be worth showing: at most a third of the word, and at most 3.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word: Vec<char> = word.to_ascii_lowercase().chars().take(MAX_WORD).collect();
    let limit = (word.len() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (distance(&word, name), name))
        .filter(|&(distance, _)| distance <= limit)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}

/// Longest part of a word that is compared.
const MAX_WORD: usize = 64;

fn distance(word: &[char], name: &str) -> usize {
    let name: Vec<char> = name.to_ascii_lowercase().chars().take(MAX_WORD).collect();
    // Rows of the optimal string alignment table: the one before last, the last, the current.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=name.len()).collect();
    let mut previous: Option<char> = None;
    for (row, &a) in word.iter().enumerate() {
        let mut current = Vec::with_capacity(name.len() + 1);
        current.push(row + 1);
        for (column, &b) in name.iter().enumerate() {
            let cell = |line: &[usize], at: usize| line.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut best = (cell(&last, column) + usize::from(a != b))
                .min(cell(&last, column + 1) + 1)
                .min(cell(&current, column) + 1);
            let left = column.checked_sub(1).and_then(|at| name.get(at).copied());
            if previous == Some(b) && left == Some(a) {
                best = best.min(cell(&before, column - 1) + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut last, current);
        previous = Some(a);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_key_and_a_stranger_finds_none() {
        let known = ["session_timeout", "stun_server", "stun_port", "admin_secret", "ipv6", "ip"];
        let table = [
            ("session_timeot", Some("session_timeout")),
            ("sesion_timeuot", Some("session_timeout")),
            ("STUN-SERVER", Some("stun_server")),
            ("stun_prot", Some("stun_port")),
            ("admin_scret", Some("admin_secret")),
            ("ipv4", Some("ipv6")),
            ("colour", None),
            ("x", None),
            ("", None),
        ];
        for (word, wanted) in table {
            assert_eq!(nearest(word, known), wanted, "{word}");
        }
    }

    #[test]
    fn distances_count_single_edits() {
        let count = |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), b);
        assert_eq!(count("abc", "abc"), 0);
        assert_eq!(count("abc", "acb"), 1);
        assert_eq!(count("abc", "ab"), 1);
        assert_eq!(count("", "abc"), 3);
        assert_eq!(count("kitten", "sitting"), 3);
    }
}
