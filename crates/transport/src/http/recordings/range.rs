//! One range of the bytes of a file (RFC 9110 section 14).

/// What a request wants of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// Some bytes, at least one: the first, and how many.
    Part(u64, u64),
    /// Bytes that are not there.
    Nothing,
}

/// What a `Range` header wants of `length` bytes. Another unit, several ranges, and what is no range at all are not
/// looked at, as section 14.2 allows: then it is the whole.
pub(super) fn wanted(header: &str, length: u64) -> Wanted {
    let Some((unit, range)) = header.split_once('=') else { return Wanted::Whole };
    let Some((before, behind)) = range.trim().split_once('-') else { return Wanted::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    match (number(before), number(behind)) {
        (Some(first), Some(last)) if last < first => Wanted::Whole,
        (Some(first), last) if last.is_some() || behind.is_empty() => {
            let end = last.map_or(length, |last| length.min(last.saturating_add(1)));
            if first < end { Wanted::Part(first, end - first) } else { Wanted::Nothing }
        }
        (None, Some(last)) if before.is_empty() => match (last.min(length), length) {
            // Of nothing, the last bytes are all there is: no header could say which.
            (_, 0) if last > 0 => Wanted::Whole,
            (0, _) => Wanted::Nothing,
            (count, length) => Wanted::Part(length - count, count),
        },
        _ => Wanted::Whole,
    }
}

/// Digits and nothing else. A number too large to count with lies behind every end.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::Wanted::{Nothing, Part, Whole};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_header_asks_for_what_is_not_there(header in "(bytes=)?[0-9 ,=-]{0,45}", length: u64) {
            if let Part(first, count) = wanted(&header, length) {
                prop_assert!(count > 0 && first.checked_add(count).is_some_and(|end| end <= length));
            }
        }
    }

    #[test]
    fn a_range_is_what_the_rfc_says() {
        for (header, length, expected) in [
            ("bytes=0-", 100, Part(0, 100)),
            ("bytes=0-0", 100, Part(0, 1)),
            ("bytes=0-99", 100, Part(0, 100)),
            ("bytes=0-100", 100, Part(0, 100)),
            ("bytes=10-19", 100, Part(10, 10)),
            ("BYTES=10-19", 100, Part(10, 10)),
            ("bytes= 10-19 ", 100, Part(10, 10)),
            ("bytes=99-", 100, Part(99, 1)),
            ("bytes=99-99999999999999999999999", 100, Part(99, 1)),
            ("bytes=-1", 100, Part(99, 1)),
            ("bytes=-100", 100, Part(0, 100)),
            ("bytes=-101", 100, Part(0, 100)),
            ("bytes=-99999999999999999999999", 100, Part(0, 100)),
            ("bytes=100-", 100, Nothing),
            ("bytes=100-200", 100, Nothing),
            ("bytes=99999999999999999999999-", 100, Nothing),
            ("bytes=18446744073709551615-18446744073709551615", u64::MAX, Nothing),
            ("bytes=-0", 100, Nothing),
            ("bytes=0-", 0, Nothing),
            ("bytes=-5", 0, Whole),
            ("bytes=20-10", 100, Whole),
            ("bytes=0-1,5-6", 100, Whole),
            ("bytes=0-1,", 100, Whole),
            ("bytes=-", 100, Whole),
            ("bytes=--5", 100, Whole),
            ("bytes=a-b", 100, Whole),
            ("bytes=0x1-2", 100, Whole),
            ("bytes=+1-2", 100, Whole),
            ("bytes=1-2-3", 100, Whole),
            ("bytes=1 -2", 100, Whole),
            ("bytes=5", 100, Whole),
            ("bytes 0-5", 100, Whole),
            ("seconds=0-5", 100, Whole),
            ("", 100, Whole),
        ] {
            assert_eq!(wanted(header, length), expected, "{header} of {length}");
        }
    }
}
