//! Fixtures and a transport with fixed values.
#![allow(dead_code)]

use std::path::PathBuf;

use portunus_sdp::{Candidate, Description, LocalSsrc, LocalTransport, Setup};

pub fn path(folder: &str, name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder).join(format!("{name}.sdp"))
}

/// A fixture as browsers send it: files have LF, the text CRLF.
pub fn fixture(folder: &str, name: &str) -> String {
    let path = path(folder, name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.replace('\n', "\r\n")
}

pub fn offer(name: &str) -> Description {
    Description::parse(&fixture("offers", name)).unwrap()
}

pub const OFFERS: &[&str] = &[
    "aiortc-av-data",
    "chromium-audio-red",
    "chromium-av-data",
    "chromium-av1-svc",
    "chromium-data-only",
    "chromium-recvonly",
    "chromium-renegotiation",
    "chromium-simulcast-rid",
    "firefox-av-data",
    "legacy-simulcast",
];

/// A transport with fixed values and SSRCs for `lines` m-lines.
pub fn local(setup: Setup, lines: u16) -> LocalTransport {
    let ssrc = |mindex: u16| {
        let ssrc = 1_000 + 10 * u32::from(mindex);
        LocalSsrc { mindex, ssrc, rtx: Some(ssrc + 1) }
    };
    LocalTransport {
        ufrag: "Uf2a".to_owned(),
        pwd: "pwpwpwpwpwpwpwpwpwpwpw".to_owned(),
        fingerprint: vec!["AB"; 32].join(":"),
        setup,
        lite: false,
        candidates: vec![Candidate::parse("1 1 udp 2015363327 192.0.2.2 19091 typ host").unwrap()],
        address: "192.0.2.2".parse().unwrap(),
        end_of_candidates: true,
        full_trickle: false,
        ssrcs: (0..lines).map(ssrc).collect(),
    }
}

/// The values Janus used in a description of its own, so that writing gives the same text.
pub fn local_of(janus: &str) -> LocalTransport {
    let value = |name: &str| janus.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default().to_owned();
    let mut ssrcs: Vec<LocalSsrc> = Vec::new();
    for (index, section) in janus.split("\r\nm=").skip(1).enumerate() {
        let group = section.lines().find_map(|l| l.strip_prefix("a=ssrc-group:FID "));
        let rtx = group.and_then(|g| g.split(' ').nth(1)).map(|s| s.parse().unwrap());
        let first = section.lines().find_map(|l| l.strip_prefix("a=ssrc:")).and_then(|l| l.split(' ').next());
        if let Some(ssrc) = first {
            ssrcs.push(LocalSsrc { mindex: index.try_into().unwrap(), ssrc: ssrc.parse().unwrap(), rtx });
        }
    }
    LocalTransport {
        ufrag: value("a=ice-ufrag:"),
        pwd: value("a=ice-pwd:"),
        fingerprint: value("a=fingerprint:sha-256 "),
        setup: Setup::from_name(&value("a=setup:")).unwrap(),
        lite: false,
        candidates: vec![Candidate::parse(&value("a=candidate:")).unwrap()],
        address: value("c=IN IP4 ").parse().unwrap(),
        end_of_candidates: true,
        full_trickle: false,
        ssrcs,
    }
}

/// Compares line by line, so that a difference is readable.
pub fn assert_same_lines(title: &str, ours: &str, expected: &str) {
    let (ours, expected): (Vec<&str>, Vec<&str>) = (ours.lines().collect(), expected.lines().collect());
    for (number, (a, b)) in ours.iter().zip(&expected).enumerate() {
        assert_eq!(a, b, "{title}: line {}", number + 1);
    }
    assert_eq!(ours.len(), expected.len(), "{title}: number of lines");
}
