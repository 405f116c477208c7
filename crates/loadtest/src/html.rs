//! A report as one file of HTML with its charts in it: no scripts, nothing from elsewhere.

use crate::histogram::Histogram;
use crate::report::Report;
use crate::run::{Measured, Second};
use std::fmt::Write;

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 190.0;
/// Room for the numbers at the left, and for the seconds below.
const LEFT: f64 = 58.0;
const BELOW: f64 = 24.0;
const ABOVE: f64 = 10.0;
const COLOURS: [&str; 3] = ["var(--a)", "var(--b)", "var(--c)"];

/// A curve: its name, and its points.
type Curve = (&'static str, Vec<(f64, f64)>);

const STYLE: &str = "
:root { --a: #1565c0; --b: #d84315; --c: #2e7d32; --line: #8885; --fill: #1565c022; color-scheme: light dark }
@media (prefers-color-scheme: dark) { :root { --a: #64b5f6; --b: #ff8a65; --c: #81c784; --fill: #64b5f622 } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1120px; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
table { border-collapse: collapse } td, th { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid var(--line) }
td:first-child, th:first-child { text-align: left; padding-left: 0 }
code { font-size: .85rem; overflow-wrap: anywhere } .ok { color: var(--c) } .wrong { color: var(--b) }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(520px, 100%), 1fr)); gap: 1rem }
.wide { overflow-x: auto } .wide td, .wide th { padding: .2rem .45rem; font-size: .88rem; white-space: nowrap }
figure { margin: 0 } figcaption { font-weight: 600 } svg { width: 100%; height: auto; font: 11px system-ui, sans-serif }
svg text { fill: currentColor; opacity: .75 } .key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .9em }
";

/// The whole file.
pub(crate) fn write(report: &Report) -> String {
    let mut out = String::new();
    let outcome = &report.outcome;
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>portunus-loadtest: {name}</title>\n<style>{STYLE}</style>\n\
         <h1>portunus-loadtest: {name}</h1>\n<p><code>{arguments}</code></p>\n",
        name = report.scenario,
        arguments = escaped(&report.arguments.join(" ")),
    );
    if report.interrupted {
        out.push_str("<p>Interrupted: these are the figures until then.</p>\n");
    }
    if outcome.wrong.is_empty() {
        out.push_str("<p class=\"ok\">All is well.</p>\n");
    }
    for wrong in &outcome.wrong {
        let _ = writeln!(out, "<p class=\"wrong\">Not well: {}</p>", escaped(wrong));
    }
    setup(&mut out, report);
    if !outcome.measured.is_empty() {
        measurements(&mut out, &outcome.measured);
    }
    if !outcome.lines.is_empty() {
        out.push_str("<h2>Result</h2>\n<pre>");
        out.push_str(&escaped(&outcome.lines.join("\n")));
        out.push_str("</pre>\n");
    }
    charts(&mut out, report);
    out.push_str("</html>\n");
    out
}

fn setup(out: &mut String, report: &Report) {
    let joined = &report.joined;
    let _ = writeln!(
        out,
        "<h2>Joining</h2>\n<p>{} of {} got in.</p>\n<table>\n<tr><th>ms<th>p50<th>p90<th>p99<th>max",
        joined.succeeded, joined.attempted
    );
    let rows = [
        ("publishers: attach to DTLS up", &joined.publisher_up),
        ("attach to DTLS up", &joined.up),
        ("attach to first decodable frame", &joined.media),
    ];
    for (name, times) in rows.into_iter().filter(|(_, times)| times.count() > 0) {
        let _ = writeln!(out, "<tr><td>{name}{}", percentiles(times, &[50.0, 90.0, 99.0]));
    }
    out.push_str("</table>\n");
    for (what, failures) in [("did not get in", &joined.failures), ("were cut off", &joined.lost)] {
        for failed in failures.values() {
            let _ =
                writeln!(out, "<p class=\"wrong\">{} {what}: {}</p>", failed.count, escaped(&failed.example));
        }
    }
}

fn percentiles(times: &Histogram, which: &[f64]) -> String {
    let all = which.iter().map(|percent| times.percentile(*percent)).chain([times.max()]);
    all.map(|ns| ns.map_or("<td>".to_owned(), |ns| format!("<td>{:.2}", ns as f64 / 1e6))).collect()
}

fn measurements(out: &mut String, all: &[Measured]) {
    out.push_str(
        "<h2>Measured</h2>\n<div class=\"wide\"><table>\n<tr><th><th>connections<th>packets/s<th>Mbit/s<th>lost %<th>p50 ms<th>p99 ms\
         <th>p99.9 ms<th>max ms<th>frozen s<th>late sends %<th>client cores<th>server cores<th>&micro;s a packet<th>server MiB\n",
    );
    for m in all {
        let server = m.server.map(|(before, after)| {
            let cpu = after.cpu_ns.saturating_sub(before.cpu_ns) as f64 / 1e9 / m.seconds;
            let each = m.cpu_per_packet().map_or(String::new(), |us| format!("{us:.3}"));
            format!("<td>{cpu:.3}<td>{each}<td>{}", after.rss_kib / 1024)
        });
        let _ = writeln!(
            out,
            "<tr><td>{}<td>{}<td>{:.0}<td>{:.1}<td>{:.4}{}<td>{:.2}<td>{:.3}<td>{:.2}{}",
            escaped(&m.name),
            m.peers_up,
            m.counters.rtp_received as f64 / m.seconds,
            m.counters.octets_received as f64 * 8e-6 / m.seconds,
            m.phase.loss() * 100.0,
            percentiles(&m.phase.latency, &[50.0, 99.0, 99.9]),
            m.phase.frozen_ns as f64 / 1e9,
            m.late() * 100.0,
            m.own_cpu_ns as f64 / 1e9 / m.seconds,
            server.unwrap_or_else(|| "<td><td><td>".to_owned()),
        );
    }
    out.push_str("</table></div>\n");
    for m in all {
        for caution in m.cautions() {
            let _ =
                writeln!(out, "<p class=\"wrong\">Caution, {}: {}</p>", escaped(&m.name), escaped(&caution));
        }
    }
}

fn charts(out: &mut String, report: &Report) {
    let series = &report.series;
    if series.len() < 2 {
        return;
    }
    let curve = |name: &'static str, value: &dyn Fn(&Second) -> Option<f64>| -> Curve {
        (name, series.iter().filter_map(|s| Some((s.at_s, value(s)?))).collect())
    };
    let ms = |ns: Option<u64>| ns.map(|ns| ns as f64 / 1e6);
    let all: Vec<(&str, Vec<Curve>)> = vec![
        (
            "Packets a second",
            vec![curve("received", &|s| Some(s.received as f64)), curve("sent", &|s| Some(s.sent as f64))],
        ),
        ("Connections", vec![curve("up", &|s| Some(s.up as f64))]),
        ("Latency, ms", vec![curve("p50", &|s| ms(s.p50_ns)), curve("p99", &|s| ms(s.p99_ns))]),
        (
            "Packets lost and sent late, a second",
            vec![curve("lost", &|s| Some(s.lost as f64)), curve("late", &|s| Some(s.late as f64))],
        ),
        (
            "CPU, cores",
            vec![
                curve("server", &|s| s.server_cpu),
                curve("client", &|s| Some(s.own_cpu)),
                curve("client's busiest thread", &|s| Some(s.busiest_thread)),
            ],
        ),
        ("Server's memory, MiB", vec![curve("RSS", &|s| s.server.map(|u| u.rss_kib as f64 / 1024.0))]),
        (
            "Server's threads and descriptors",
            vec![
                curve("threads", &|s| s.server.map(|u| u.threads as f64)),
                curve("descriptors", &|s| s.server.and_then(|u| u.descriptors).map(|n| n as f64)),
            ],
        ),
    ];
    out.push_str("<h2>Second by second</h2>\n<p>Shaded: measured.</p>\n<div class=\"charts\">\n");
    let shaded: Vec<f64> = series.iter().filter(|s| s.phase != 0).map(|s| s.at_s).collect();
    for (title, curves) in all {
        let something = |c: &Curve| c.1.iter().any(|(_, y)| *y > 0.0);
        if curves.iter().any(something) {
            chart(out, title, &curves, &shaded);
        }
    }
    out.push_str("</div>\n");
    let judged = report.outcome.judged.and_then(|at| report.outcome.measured.get(at));
    if let Some(measured) = judged.filter(|m| m.phase.latency.count() > 0) {
        out.push_str("<h2>Latency of all packets measured</h2>\n<div class=\"charts\">\n");
        distribution(out, &measured.phase.latency);
        out.push_str("</div>\n");
    }
}

/// A chart of curves over time.
fn chart(out: &mut String, title: &str, curves: &[Curve], shaded: &[f64]) {
    let points = || curves.iter().flat_map(|(_, points)| points);
    let (from, to) = points().fold((f64::MAX, f64::MIN), |(a, b), (x, _)| (a.min(*x), b.max(*x)));
    let top = nice(points().fold(0.0, |a: f64, (_, y)| a.max(*y)));
    let x = |at: f64| LEFT + (at - from) / (to - from).max(1e-9) * (WIDTH - LEFT - 8.0);
    let y = |value: f64| HEIGHT - BELOW - value / top * (HEIGHT - BELOW - ABOVE);
    caption(out, title, curves);
    for at in shaded {
        let (a, b) = (x((at - 1.0).max(from)), x(*at));
        let height = HEIGHT - BELOW - ABOVE;
        let width = b - a;
        let _ = write!(
            out,
            "<rect x=\"{a:.1}\" y=\"{ABOVE}\" width=\"{width:.1}\" height=\"{height}\" fill=\"var(--fill)\"/>"
        );
    }
    grid(out, top, &y);
    for part in 0..=4 {
        let at = from + (to - from) * f64::from(part) / 4.0;
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{at:.0} s</text>",
            x(at).min(WIDTH - 14.0),
            HEIGHT - 8.0
        );
    }
    for ((_, points), colour) in curves.iter().zip(COLOURS) {
        let path: Vec<String> = points.iter().map(|(at, v)| format!("{:.1},{:.1}", x(*at), y(*v))).collect();
        let _ = write!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\"/>",
            path.join(" ")
        );
    }
    out.push_str("</svg></figure>\n");
}

fn caption(out: &mut String, title: &str, curves: &[Curve]) {
    let _ = write!(out, "<figure><figcaption>{title}");
    for ((name, _), colour) in curves.iter().zip(COLOURS).filter(|_| curves.len() > 1) {
        let _ = write!(out, "<span class=\"key\" style=\"background:{colour}\"></span>{name}");
    }
    let _ = write!(
        out,
        "</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">"
    );
}

fn grid(out: &mut String, top: f64, y: &dyn Fn(f64) -> f64) {
    for part in 0..=4 {
        let value = top * f64::from(part) / 4.0;
        let at = y(value);
        let _ = write!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"var(--line)\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - 8.0,
            LEFT - 6.0,
            at + 4.0,
            short(value)
        );
    }
}

/// How many packets took how long, on a logarithmic scale, with the share that was faster.
fn distribution(out: &mut String, latency: &Histogram) {
    let classes: Vec<(f64, f64)> =
        latency.classes().map(|(ns, n)| ((ns.max(1) as f64) / 1e6, n as f64)).collect();
    let (Some((low, _)), Some((high, _))) = (classes.first(), classes.last()) else { return };
    let (low, high) = (low.log10().floor(), high.log10().ceil().max(low.log10().floor() + 1.0));
    let most = classes.iter().fold(1.0, |a: f64, (_, n)| a.max(*n));
    let x = |ms: f64| LEFT + (ms.log10() - low) / (high - low) * (WIDTH - LEFT - 8.0);
    let y = |share: f64| HEIGHT - BELOW - share * (HEIGHT - BELOW - ABOVE);
    caption(out, "Packets by latency, and the share that was faster", &[]);
    grid(out, 100.0, &|percent| y(percent / 100.0));
    for decade in low as i32..=high as i32 {
        let ms = 10_f64.powi(decade);
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{} ms</text>",
            x(ms).min(WIDTH - 16.0),
            HEIGHT - 8.0,
            short(ms)
        );
    }
    let (mut faster, mut path) = (0.0, String::new());
    for (ms, n) in &classes {
        let (at, top) = (x(*ms), y(n / most));
        let height = HEIGHT - BELOW - top;
        let _ = write!(
            out,
            "<rect x=\"{at:.1}\" y=\"{top:.1}\" width=\"2.5\" height=\"{height:.1}\" fill=\"var(--a)\"/>"
        );
        faster += n;
        let _ = write!(path, "{at:.1},{:.1} ", y(faster / latency.count() as f64));
    }
    let _ = writeln!(
        out,
        "<polyline points=\"{path}\" fill=\"none\" stroke=\"var(--b)\" stroke-width=\"1.8\"/></svg></figure>"
    );
}

/// The next number above that reads well in quarters.
fn nice(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let decade = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 6.0, 8.0, 10.0].iter().map(|n| n * decade).find(|n| *n >= value).unwrap_or(decade * 10.0)
}

fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 1e6 => format!("{}M", trimmed(value / 1e6)),
        v if v >= 1e4 => format!("{}k", trimmed(value / 1e3)),
        _ => trimmed(value),
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Counters;
    use crate::outcome::Outcome;
    use crate::setup::Joined;

    fn report(argument: &str, series: Vec<Second>) -> Report {
        Report {
            scenario: "videoroom",
            arguments: vec![argument.to_owned()],
            interrupted: false,
            joined: Joined::default(),
            series,
            totals: Counters::default(),
            outcome: Outcome::default(),
        }
    }

    #[test]
    fn what_others_wrote_is_text() {
        let page = write(&report("<script>alert(1)</script>", Vec::new()));
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;"));
    }

    #[test]
    fn a_page_needs_nothing_from_elsewhere() {
        let second = |n: u32| Second { at_s: f64::from(n), received: 100, up: 3, ..Second::default() };
        let page = write(&report("x", (0..10).map(second).collect()));
        assert!(page.contains("<svg") && page.contains("<polyline"));
        for outside in ["http:", "https:", "<script", "<link", "src="] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    }

    #[test]
    fn scales_end_at_numbers_that_read_well() {
        for (value, top) in [(0.0, 1.0), (0.9, 1.0), (1.1, 2.0), (37.0, 40.0), (61.0, 80.0), (999.0, 1000.0)]
        {
            assert!((nice(value) - top).abs() < 1e-9, "{value}: {}", nice(value));
        }
        assert_eq!(
            [short(1_500_000.0), short(25_000.0), short(0.25), short(100.0)],
            ["1.5M", "25k", "0.25", "100"]
        );
    }
}
