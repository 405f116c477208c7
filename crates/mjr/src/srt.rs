//! Messages as subtitles (SubRip): each is seen until the next.

use std::fmt::Write;

/// The last message is seen for so long, in milliseconds.
const LAST_MS: u64 = 5_000;

/// The file of messages and the times they came at, in microseconds, in order. The first is at the beginning.
pub fn write(messages: &[(u64, &[u8])]) -> String {
    let mut out = String::new();
    let first = messages.first().map_or(0, |(at, _)| *at);
    let ms = |at: u64| at.saturating_sub(first) / 1000;
    let nexts = messages.iter().skip(1).map(|(at, _)| Some(ms(*at))).chain([None]);
    for (n, ((at, message), next)) in messages.iter().zip(nexts).enumerate() {
        let begin = ms(*at);
        let end = next.map_or(begin + LAST_MS, |next| next.saturating_sub(1)).max(begin);
        // An empty line would end it.
        let text = String::from_utf8_lossy(message);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let text = lines.join("\n");
        // A string takes whatever is written.
        let _ = write!(out, "{}\n{} --> {}\n{text}\n\n", n + 1, clock(begin), clock(end));
    }
    out
}

fn clock(ms: u64) -> String {
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_seen_until_the_next() {
        let got = write(&[
            (7_000_000, b"hello"),
            (8_500_000, "w\u{f6}rld\n\nline 2".as_bytes()),
            (3_671_000_000, b"last"),
        ]);
        let want = "1\n00:00:00.000 --> 00:00:01.499\nhello\n\n\
            2\n00:00:01.500 --> 01:01:03.999\nw\u{f6}rld\nline 2\n\n\
            3\n01:01:04.000 --> 01:01:09.000\nlast\n\n";
        assert_eq!(got, want);
    }

    #[test]
    fn times_that_go_back_and_bytes_that_are_no_text_do_no_harm() {
        let got = write(&[(5_000, b"a"), (4_000, &[0xff, 0xfe])]);
        assert!(got.contains("00:00:00.000 --> 00:00:00.000\na\n"), "{got}");
    }
}
