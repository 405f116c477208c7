//! Numbers as Prometheus reads them: text format 0.0.4.

use std::fmt::Write;

/// What a number means to Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows; its name ends in `_total`.
    Counter,
    /// It is what it is now.
    Gauge,
    /// How often values were at most each of some bounds.
    Histogram,
}

/// A page of metrics. Each name is opened once, its samples follow.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// An empty page.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a metric; its samples are added to what this returns.
    pub fn metric(&mut self, name: &'static str, kind: Kind, help: &str) -> Metric<'_> {
        let word = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to memory cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {word}");
        Metric { page: self, name }
    }

    /// A counter without labels.
    pub fn counter(&mut self, name: &'static str, help: &str, value: u64) {
        self.metric(name, Kind::Counter, help).sample(&[], value);
    }

    /// A gauge without labels.
    pub fn gauge(&mut self, name: &'static str, help: &str, value: u64) {
        self.metric(name, Kind::Gauge, help).sample(&[], value);
    }

    /// The text.
    pub fn finish(self) -> String {
        self.0
    }
}

/// A metric that gets its samples.
#[derive(Debug)]
pub struct Metric<'p> {
    page: &'p mut Page,
    name: &'static str,
}

impl Metric<'_> {
    /// A whole number.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: u64) -> &mut Self {
        self.write(labels, value)
    }

    /// Seconds, and what else is no whole number.
    pub fn sample_f64(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Self {
        self.write(labels, value)
    }

    /// What makes up a histogram: for each bound how many values were not above it, then how many there were and their sum.
    pub fn histogram(
        &mut self,
        label: (&str, &str),
        buckets: &[(u64, u64)],
        count: u64,
        sum: u64,
    ) -> &mut Self {
        for (bound, values) in buckets {
            self.write_part("_bucket", &[label, ("le", &bound.to_string())], values);
        }
        self.write_part("_bucket", &[label, ("le", "+Inf")], count);
        self.write_part("_sum", &[label], sum);
        self.write_part("_count", &[label], count)
    }

    fn write(&mut self, labels: &[(&str, &str)], value: impl std::fmt::Display) -> &mut Self {
        self.write_part("", labels, value)
    }

    fn write_part(
        &mut self,
        part: &str,
        labels: &[(&str, &str)],
        value: impl std::fmt::Display,
    ) -> &mut Self {
        let text = &mut self.page.0;
        text.push_str(self.name);
        text.push_str(part);
        for (i, (name, label)) in labels.iter().enumerate() {
            text.push(if i == 0 { '{' } else { ',' });
            let _ = write!(text, "{name}=\"");
            for c in label.chars() {
                match c {
                    '\\' => text.push_str("\\\\"),
                    '"' => text.push_str("\\\""),
                    '\n' => text.push_str("\\n"),
                    c => text.push(c),
                }
            }
            text.push('"');
        }
        if !labels.is_empty() {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_prometheus() {
        let mut page = Page::new();
        page.counter("a_total", "How many.", 7);
        let labels = [("worker", "0"), ("name", "x\"\\\n")];
        page.metric("b", Kind::Gauge, "Now.").sample(&labels, 1).sample_f64(&[("worker", "1")], 0.25);
        let text = "# HELP a_total How many.\n# TYPE a_total counter\na_total 7\n\
                    # HELP b Now.\n# TYPE b gauge\nb{worker=\"0\",name=\"x\\\"\\\\\\n\"} 1\nb{worker=\"1\"} 0.25\n";
        assert_eq!(page.finish(), text);
    }

    #[test]
    fn a_histogram_ends_with_all_values_and_their_sum() {
        let mut page = Page::new();
        page.metric("c", Kind::Histogram, "Long.").histogram(("worker", "0"), &[(1, 2), (4, 3)], 3, 7);
        let text = "# HELP c Long.\n# TYPE c histogram\nc_bucket{worker=\"0\",le=\"1\"} 2\n\
                    c_bucket{worker=\"0\",le=\"4\"} 3\nc_bucket{worker=\"0\",le=\"+Inf\"} 3\n\
                    c_sum{worker=\"0\"} 7\nc_count{worker=\"0\"} 3\n";
        assert_eq!(page.finish(), text);
    }
}
