//! What of the lines that were made is let through.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::Context;

/// Lines of one kind in a second; further ones are counted. A gateway that starts a thousand calls a second logs none of
/// them in full.
const BURST: u32 = 200;
const SECOND: Duration = Duration::from_secs(1);
/// Where the line about lines that were left out comes from: it is let through always.
const OWN: &str = "portunus::log";

/// See the module; clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rule: RwLock<Rule>,
    /// The rule names handles: only then is it looked at for each line.
    narrow: AtomicBool,
    kinds: Mutex<HashMap<Identifier, Kind>>,
}

#[derive(Debug)]
struct Rule {
    /// For all.
    level: LevelFilter,
    /// By the handle's id, as it is written.
    handles: HashMap<String, LevelFilter>,
}

/// The lines of one place in the code.
#[derive(Debug)]
struct Kind {
    since: Instant,
    lines: u32,
}

impl Gate {
    pub(super) fn new(level: LevelFilter) -> Self {
        let rule = RwLock::new(Rule { level, handles: HashMap::new() });
        Self(Arc::new(Inner { rule, narrow: AtomicBool::new(false), kinds: Mutex::default() }))
    }

    pub(super) fn set(&self, level: LevelFilter, handles: HashMap<String, LevelFilter>) {
        self.0.narrow.store(!handles.is_empty(), Ordering::Relaxed);
        *self.0.rule.write().unwrap_or_else(PoisonError::into_inner) = Rule { level, handles };
    }

    /// Whether a line is within the level of all, or of the handle it is about.
    fn is_wanted(&self, event: &Event<'_>) -> bool {
        if !self.0.narrow.load(Ordering::Relaxed) {
            return true;
        }
        let rule = self.0.rule.read().unwrap_or_else(PoisonError::into_inner);
        if *event.metadata().level() <= rule.level {
            return true;
        }
        let mut about = About(None);
        event.record(&mut about);
        about
            .0
            .and_then(|handle| rule.handles.get(&handle))
            .is_some_and(|level| event.metadata().level() <= level)
    }

    /// Whether a line of this kind may still come in this second; if not, and how many were left out before.
    fn count(&self, kind: Identifier, now: Instant) -> (bool, u32) {
        let mut kinds = self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kinds.entry(kind).or_insert(Kind { since: now, lines: 0 });
        let mut left_out = 0;
        if now.saturating_duration_since(found.since) >= SECOND {
            left_out = found.lines.saturating_sub(BURST);
            *found = Kind { since: now, lines: 0 };
        }
        found.lines = found.lines.saturating_add(1);
        (found.lines <= BURST, left_out)
    }
}

impl<S: Subscriber> Layer<S> for Gate {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if metadata.target() == OWN {
            return true;
        }
        if !self.is_wanted(event) {
            return false;
        }
        let (pass, left_out) = self.count(metadata.callsite(), Instant::now());
        if left_out > 0 {
            let (file, line) = (metadata.file().unwrap_or_default(), metadata.line().unwrap_or_default());
            tracing::warn!(target: OWN, left_out, from = format!("{file}:{line}"), "too many lines of one kind");
        }
        pass
    }
}

/// The handle a line is about.
struct About(Option<String>);

impl Visit for About {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "handle" {
            self.0 = Some(format!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;
        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// What is logged behind a gate.
    fn logged(gate: &Gate, say: impl FnOnce()) -> String {
        let lines = Lines::default();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(lines.clone());
        let subscriber =
            tracing_subscriber::registry().with(LevelFilter::TRACE).with(gate.clone()).with(layer);
        tracing::subscriber::with_default(subscriber, say);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn more_is_told_of_the_handles_that_were_named() {
        let gate = Gate::new(LevelFilter::INFO);
        gate.set(LevelFilter::INFO, HashMap::from([("7".to_owned(), LevelFilter::DEBUG)]));
        let said = logged(&gate, || {
            for handle in [7, 8] {
                tracing::info!(handle = %handle, "of all");
                tracing::debug!(handle = %handle, "of some");
                tracing::trace!(handle = %handle, "of none");
            }
            tracing::debug!("of nobody");
        });
        let count = |text: &str| said.lines().filter(|line| line.contains(text)).count();
        assert_eq!(
            (count("of all"), count("of some"), count("of none"), count("of nobody")),
            (2, 1, 0, 0),
            "{said}"
        );
        assert!(said.contains("of some handle=7"), "{said}");
    }

    #[test]
    fn a_kind_of_line_that_comes_too_often_is_left_out_and_others_are_not() {
        let gate = Gate::new(LevelFilter::INFO);
        let said = logged(&gate, || {
            for n in 0..1000 {
                tracing::info!(n, "often");
            }
            tracing::info!("seldom");
        });
        let count = |text: &str| said.lines().filter(|line| line.contains(text)).count();
        assert!(count("often") >= 200 && count("often") < 1000 && count("seldom") == 1, "{}", count("often"));
    }

    #[test]
    fn what_was_left_out_is_told_in_the_next_second() {
        let gate = Gate::new(LevelFilter::INFO);
        let kind = tracing::callsite!(name: "x", kind: tracing::metadata::Kind::EVENT, fields: x);
        let (kind, start) = (Identifier(kind), Instant::now());
        for n in 0..300 {
            assert_eq!(gate.count(kind.clone(), start), (n < 200, 0));
        }
        assert_eq!(gate.count(kind, start + SECOND), (true, 100));
    }
}
