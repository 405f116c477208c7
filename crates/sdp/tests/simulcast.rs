//! Layers: which rids and SSRCs are which substream, and what is answered.

mod common;

use common::{local, offer};
use portunus_sdp::{AnswerOptions, Description, Plan, RidOrder, Setup, Simulcast, ext, negotiate, write};

fn video(lines: &str) -> Description {
    let fingerprint = vec!["AB"; 32].join(":");
    let text = format!(
        "v=0\r\no=- 11 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n\
         a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 {fingerprint}\r\n\
         a=rtpmap:96 VP8/90000\r\na=extmap:10 {}\r\n{lines}",
        ext::RID
    );
    Description::parse(&text).unwrap()
}

fn send(rids: &[&str]) -> String {
    rids.iter().map(|r| format!("a=rid:{r} send\r\n")).collect()
}

/// The lines of the answer that are about rids.
fn answered(d: &Description) -> Vec<String> {
    let text = write(&Plan::answer(d, &AnswerOptions::default()), &local(Setup::Active, 1));
    let rid_lines = text.lines().filter(|l| l.starts_with("a=rid") || l.starts_with("a=simulcast"));
    rid_lines.map(str::to_owned).collect()
}

fn rids(d: &Description) -> Vec<String> {
    d.simulcast(0).map(|s| s.rids).unwrap_or_default()
}

#[test]
fn rid_order_tells_which_end_is_the_best() {
    let mut d = offer("chromium-simulcast-rid");
    assert_eq!(d.simulcast(0), None);
    assert_eq!(
        d.simulcast(1),
        Some(Simulcast { rids: vec!["l".into(), "m".into(), "h".into()], ssrcs: vec![] })
    );
    d.rid_order = RidOrder::LowFirst;
    assert_eq!(d.simulcast(1).map(|s| s.rids), Some(vec!["h".into(), "m".into(), "l".into()]));
    assert_eq!(RidOrder::from_name("lmh"), Some(RidOrder::LowFirst));
    assert_eq!(RidOrder::from_name("x"), None);
}

#[test]
fn answers_repeat_the_rids_of_the_offer() {
    let cases: [(String, &[&str], &[&str]); 10] = [
        (send(&["h", "l"]) + "a=simulcast:send h;l\r\n", &["h", "l"], &["l", "h"]),
        (send(&["h", "m", "l"]) + "a=simulcast:send l;m;h\r\n", &["h", "m", "l"], &["l", "m", "h"]),
        (send(&["h", "m", "l"]) + "a=simulcast:send ~h;m,l\r\n", &["h", "m"], &["m", "h"]),
        (send(&["a", "b", "c", "d"]) + "a=simulcast:send a;b;c;d\r\n", &["a", "b", "c"], &["c", "b", "a"]),
        (send(&["a", "b"]), &["a", "b"], &["b", "a"]),
        (send(&["a"]) + "a=simulcast:send a\r\n", &["a"], &["a"]),
        (send(&["h", "l"]) + "a=simulcast: send rid=h;l\r\n", &["h", "l"], &["l", "h"]),
        ("a=simulcast:send h;l\r\n".to_owned(), &[], &[]),
        ("a=rid:h recv\r\na=simulcast:recv h\r\n".to_owned(), &[], &[]),
        (send(&["a b", "ä", "x:y", "ok"]), &["ok"], &["ok"]),
    ];
    for (lines, expected, substreams) in cases {
        let d = video(&lines);
        let mut wanted: Vec<String> = expected.iter().map(|r| format!("a=rid:{r} recv")).collect();
        if !expected.is_empty() {
            wanted.push(format!("a=simulcast:recv {}", expected.join(";")));
        }
        assert_eq!(answered(&d), wanted, "{lines}");
        assert_eq!(rids(&d), substreams, "{lines}");
    }
}

#[test]
fn without_the_header_extension_no_rids_are_answered() {
    let d = video(&send(&["h", "l"]));
    let options = AnswerOptions { video_extensions: vec![ext::MID], ..AnswerOptions::default() };
    let plan = Plan::answer(&d, &options);
    assert!(plan.media[0].rids.is_empty());
    assert!(negotiate(&d, &plan)[0].rids.is_empty());
}

#[test]
fn negotiated_layers_start_with_the_poorest() {
    let d = offer("chromium-simulcast-rid");
    let agreed = negotiate(&d, &Plan::answer(&d, &AnswerOptions::default()));
    assert_eq!(agreed[1].rids, ["l", "m", "h"]);
    assert!(agreed[1].remote_ssrcs.is_empty());
    let d = offer("legacy-simulcast");
    assert_eq!(d.simulcast(1).unwrap().layers(), 3);
    let agreed = negotiate(&d, &Plan::answer(&d, &AnswerOptions::default()));
    assert_eq!(agreed[1].remote_ssrcs, [(2001, Some(2101)), (2002, Some(2102)), (2003, Some(2103))]);
    assert!(agreed[1].rids.is_empty());
    assert!(answered(&d).is_empty());
}
