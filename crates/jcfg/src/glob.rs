//! Wildcards of `@include`: `*`, `?` and `[...]` inside one file name.

/// Whether `pattern` has a wildcard at all.
pub fn has_wildcard(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// Whether the file name `name` matches `pattern`. A leading dot is matched by a dot only.
pub fn matches_glob(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    walk(&pattern, &name)
}

/// Greedy with one remembered star: linear space, at most quadratic time.
fn walk(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (pattern, name);
    let mut star: Option<(&[char], &[char])> = None;
    loop {
        let step = match (p.split_first(), n.split_first()) {
            (None, None) => return true,
            (Some((&'*', rest)), _) => {
                star = Some((rest, n));
                p = rest;
                continue;
            }
            (Some((&'?', rest)), Some((_, tail))) => Some((rest, tail)),
            (Some((&'[', rest)), Some((&c, tail))) => match class(rest, c) {
                Some((true, rest)) => Some((rest, tail)),
                Some((false, _)) => None,
                None => (c == '[').then_some((rest, tail)),
            },
            (Some((a, rest)), Some((b, tail))) if a == b => Some((rest, tail)),
            _ => None,
        };
        if let Some((rest, tail)) = step {
            (p, n) = (rest, tail);
            continue;
        }
        let Some((rest, from)) = star else { return false };
        let Some((_, tail)) = from.split_first() else { return false };
        star = Some((rest, tail));
        (p, n) = (rest, tail);
    }
}

/// Matches `c` against the class whose text follows a `[`; `None` when the class never closes.
fn class(text: &[char], c: char) -> Option<(bool, &[char])> {
    let (negated, body) = match text.split_first() {
        Some((&('!' | '^'), rest)) => (true, rest),
        _ => (false, text),
    };
    let mut hit = false;
    let mut rest = body;
    let mut first = true;
    loop {
        let (&low, after) = rest.split_first()?;
        if low == ']' && !first {
            return Some((hit != negated, after));
        }
        first = false;
        rest = match after {
            ['-', high, tail @ ..] if *high != ']' => {
                hit |= (low..=*high).contains(&c);
                tail
            }
            _ => {
                hit |= low == c;
                after
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_whole_names() {
        let table = [
            ("*.jcfg", "rooms.jcfg", true),
            ("*.jcfg", "rooms.jcfg.bak", false),
            ("*.jcfg", ".hidden.jcfg", false),
            (".*", ".hidden", true),
            ("room-?.jcfg", "room-7.jcfg", true),
            ("room-?.jcfg", "room-77.jcfg", false),
            ("[0-9]*.jcfg", "10-nat.jcfg", true),
            ("[!0-9]*", "10-nat", false),
            ("[!0-9]*", "nat", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("[]x]", "]", true),
            ("[x", "[x", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a**", "a", true),
        ];
        for (pattern, name, wanted) in table {
            assert_eq!(matches_glob(pattern, name), wanted, "{pattern} on {name}");
        }
    }
}
