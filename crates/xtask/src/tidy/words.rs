//! Words that may not stand in code, and calls that may not stand below ring 3: protocol code is told the time and
//! given its bytes, it never reaches for a clock, a file, the environment or a socket.

use super::Breach;
use super::masked::Masked;

const EVERYWHERE: &[(&str, &str)] = &[
    ("todo!", "unfinished code"),
    ("unimplemented!", "unfinished code"),
    ("dbg!", "left from debugging"),
    ("#[ignore", "a test that does not run proves nothing"),
];

const BELOW_RING_THREE: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    "std::env",
    "std::fs",
    "std::net::UdpSocket",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::thread::sleep",
];

const PURE: &[&str] = &["api", "bwe", "core", "jcfg", "mjr", "plugin", "plugins", "rtp", "sdp", "srtp"];

/// One file holds the system calls; allocators that count are what tests of allocation need.
const UNSAFE_FILES: &[&str] = &[
    "crates/media/src/socket.rs",
    "benches/tests/forwarding.rs",
    "crates/srtp/tests/no_allocation.rs",
    "crates/srtp/examples/ns_per_packet.rs",
];

pub(super) fn everywhere(path: &str, code: &Masked) -> Vec<Breach> {
    let found = EVERYWHERE.iter().flat_map(|(word, why)| {
        code.find_all(word).map(move |at| Breach::new(path, code.line(at), format!("`{word}`: {why}")))
    });
    found.collect()
}

pub(super) fn below_ring_three(path: &str, code: &Masked) -> Vec<Breach> {
    if !is_pure(path) {
        return Vec::new();
    }
    let tests = code.test_ranges();
    BELOW_RING_THREE
        .iter()
        .flat_map(|call| code.find_all(call).map(move |at| (call, at)))
        .filter(|(_, at)| !tests.iter().any(|range| range.contains(at)))
        .map(|(call, at)| {
            Breach::new(path, code.line(at), format!("`{call}` below ring 3: take it as a value"))
        })
        .collect()
}

pub(super) fn unsafe_code(path: &str, code: &Masked) -> Vec<Breach> {
    if UNSAFE_FILES.contains(&path) {
        return Vec::new();
    }
    code.find_all("unsafe")
        .map(|at| Breach::new(path, code.line(at), "`unsafe` outside the files that may hold it"))
        .collect()
}

/// Library code of a crate below ring 3; its tests, benches and examples may read and measure.
fn is_pure(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("crates/") else { return false };
    let inside =
        rest.split_once('/').is_some_and(|(name, rest)| PURE.contains(&name) && rest.contains("src/"));
    let file = rest.rsplit('/').next().unwrap_or_default();
    let for_tests = rest.contains("/tests/") || file == "tests.rs" || file.ends_with("_tests.rs");
    inside && !for_tests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_code_is_a_breach() {
        for (word, _) in EVERYWHERE {
            let text = format!("fn a() {{\n    {word}(1)\n}}");
            let found = everywhere("crates/media/src/a.rs", &Masked::new(&text));
            assert_eq!(found.len(), 1, "{word}");
            assert_eq!(found[0].line, 2);
        }
        let quoted = Masked::new("// dbg!()\nlet a = \"dbg!\";");
        assert_eq!(everywhere("a.rs", &quoted), []);
    }

    #[test]
    fn clocks_and_files_below_ring_three_are_breaches() {
        for call in BELOW_RING_THREE {
            let code = Masked::new(&format!("fn a() {{ {call}() }}"));
            assert_eq!(below_ring_three("crates/rtp/src/view.rs", &code).len(), 1, "{call}");
            assert_eq!(below_ring_three("crates/plugins/echotest/src/lib.rs", &code).len(), 1, "{call}");
            assert_eq!(below_ring_three("crates/media/src/worker.rs", &code), []);
            assert_eq!(below_ring_three("crates/rtp/tests/view.rs", &code), []);
            assert_eq!(below_ring_three("crates/rtp/src/view/tests.rs", &code), []);
        }
        let test = Masked::new("#[cfg(test)]\nmod tests { fn a() { Instant::now() } }");
        assert_eq!(below_ring_three("crates/rtp/src/view.rs", &test), []);
    }

    #[test]
    fn unsafe_has_its_files() {
        let code = Masked::new("#![forbid(unsafe_code)]\nfn a() { unsafe { b() } }");
        assert_eq!(unsafe_code("crates/media/src/worker.rs", &code).len(), 1);
        assert_eq!(unsafe_code("crates/media/src/socket.rs", &code), []);
        assert_eq!(unsafe_code("crates/media/src/worker.rs", &Masked::new("#![deny(unsafe_code)]")), []);
    }
}
