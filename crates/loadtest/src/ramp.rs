//! More and more subscribers, until the server cannot serve them: where its knee is, and what is left beyond.

use crate::api::Failure;
use crate::options::{Ramp, Videoroom};
use crate::outcome::Outcome;
use crate::run::{Measured, Run};
use crate::videoroom::Rooms;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Newcomers' keyframes are out of the way after this.
const SETTLE: Duration = Duration::from_secs(2);

/// What a step may show at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) loss_percent: f64,
    pub(crate) p99_ms: f64,
}

/// What a step showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) wanted: u32,
    pub(crate) joined: u32,
    pub(crate) loss_percent: f64,
    pub(crate) p99_ms: Option<f64>,
    /// Streams that brought nothing.
    pub(crate) silent: u64,
}

impl Step {
    /// Why it is beyond the knee; nothing if it is not.
    pub(crate) fn beyond(&self, limits: &Limits) -> Option<String> {
        if self.joined < self.wanted {
            return Some(format!("{} of {} joined", self.joined, self.wanted));
        }
        let Some(p99) = self.p99_ms else { return Some("no media came".to_owned()) };
        if self.silent > 0 {
            return Some(format!("{} streams brought nothing", self.silent));
        }
        if self.loss_percent >= limits.loss_percent {
            return Some(format!("{:.3} % lost", self.loss_percent));
        }
        (p99 >= limits.p99_ms).then(|| format!("p99 of {p99:.1} ms"))
    }
}

/// Which step comes next: up to the first that is beyond the knee twice, so that one hiccup is no knee.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    ramp: Ramp,
    limits: Limits,
    next: Option<u32>,
    again: bool,
    /// The most subscribers that were served.
    pub(crate) knee: Option<u32>,
    /// Why the one above was not.
    pub(crate) why: Option<String>,
}

impl Plan {
    pub(crate) fn new(ramp: Ramp, limits: Limits) -> Self {
        Self { next: Some(ramp.start), ramp, limits, again: false, knee: None, why: None }
    }

    /// How many subscribers are to be there now.
    pub(crate) const fn next(&self) -> Option<u32> {
        self.next
    }

    pub(crate) fn on_step(&mut self, step: &Step) {
        let Some(why) = step.beyond(&self.limits) else {
            self.knee = Some(step.wanted);
            self.again = false;
            let last = step.wanted >= self.ramp.end;
            self.next = (!last).then(|| step.wanted.saturating_add(self.ramp.step).min(self.ramp.end));
            return;
        };
        // Who did not come in will not come in by looking twice.
        if self.again || step.joined < step.wanted {
            (self.next, self.why) = (None, Some(why));
        } else {
            self.again = true;
        }
    }
}

pub(crate) async fn run(run: &Arc<Run>, options: &Videoroom, ramp: Ramp) -> Result<Outcome, Failure> {
    let limits = Limits { loss_percent: options.knee_loss, p99_ms: options.knee_p99_ms };
    let mut plan = Plan::new(ramp, limits);
    let mut rooms = Rooms::make(run, options).await?;
    rooms.publish().await;
    let mut outcome = Outcome { media: true, ..Outcome::default() };
    let mut knee: Option<Measured> = None;
    while let Some(wanted) = plan.next() {
        let Some(measured) = step(run, &mut rooms, options, wanted).await else { break };
        let step = shown(&measured, wanted, &rooms);
        plan.on_step(&step);
        let beyond = step.beyond(&limits);
        outcome.lines.push(format!("{wanted:6} subscribers: {}", beyond.as_deref().unwrap_or("served")));
        if beyond.is_none() {
            knee = Some(measured.clone());
            outcome.judged = Some(outcome.measured.len());
        }
        outcome.measured.push(measured);
    }
    let mut found = json!({"subscribers": plan.knee, "why_not_more": plan.why});
    if let Some(knee) = &knee {
        found["goodput_packets_per_second"] = json!(goodput(knee).round());
    }
    if let (Some(percent), Some(subscribers), Some(knee)) = (options.overshoot, plan.knee, &knee) {
        let wanted = (u64::from(subscribers) * u64::from(percent)).div_ceil(100) as u32;
        if let Some(measured) = step(run, &mut rooms, options, wanted).await {
            let ratio = goodput(&measured) / goodput(knee).max(1.0);
            outcome.lines.push(format!(
                "{wanted:6} subscribers, {percent} % of the knee: {:.1} % of its goodput",
                ratio * 100.0
            ));
            found["overshoot"] = json!({
                "percent": percent,
                "subscribers": wanted,
                "joined": rooms.fewest(),
                "goodput_packets_per_second": goodput(&measured).round(),
                "goodput_ratio": (ratio * 1e4).round() / 1e4,
            });
            outcome.measured.push(measured);
        }
    }
    match plan.knee {
        Some(knee) if plan.why.is_none() => {
            outcome.lines.push(format!("knee         at {knee} subscribers or above"))
        }
        Some(knee) => outcome.lines.push(format!("knee         at {knee} subscribers")),
        None if run.stopped() => {}
        None => outcome.wrong.push(format!("not even {} subscribers were served", ramp.start)),
    }
    outcome.extra.insert("knee".to_owned(), found);
    rooms.end().await;
    Ok(outcome)
}

/// So many subscribers are to be in each room; measures them.
async fn step(run: &Arc<Run>, rooms: &mut Rooms, options: &Videoroom, wanted: u32) -> Option<Measured> {
    rooms.subscribe(wanted).await;
    if !run.sleep(SETTLE).await {
        return None;
    }
    let measured = run.measure(&format!("{wanted} subscribers"), options.hold).await;
    (!run.stopped()).then_some(measured)
}

fn shown(measured: &Measured, wanted: u32, rooms: &Rooms) -> Step {
    Step {
        wanted,
        joined: rooms.fewest(),
        loss_percent: measured.phase.loss() * 100.0,
        p99_ms: measured.phase.latency.percentile(99.0).map(|ns| ns as f64 / 1e6),
        silent: measured.phase.silent,
    }
}

/// Packets that came, each once, a second.
fn goodput(measured: &Measured) -> f64 {
    measured.phase.received as f64 / measured.seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { loss_percent: 0.5, p99_ms: 100.0 };
    const RAMP: Ramp = Ramp { start: 10, step: 20, end: 60 };

    fn good(wanted: u32) -> Step {
        Step { wanted, joined: wanted, loss_percent: 0.49, p99_ms: Some(99.0), silent: 0 }
    }

    #[test]
    fn a_step_is_beyond_the_knee_by_loss_latency_silence_or_absence() {
        assert_eq!(good(10).beyond(&LIMITS), None);
        for step in [
            Step { loss_percent: 0.5, ..good(10) },
            Step { p99_ms: Some(100.0), ..good(10) },
            Step { p99_ms: None, ..good(10) },
            Step { silent: 1, ..good(10) },
            Step { joined: 9, ..good(10) },
        ] {
            assert!(step.beyond(&LIMITS).is_some(), "{step:?}");
        }
    }

    #[test]
    fn steps_go_up_to_the_end_and_not_above() {
        let mut plan = Plan::new(RAMP, LIMITS);
        let mut steps = Vec::new();
        while let Some(wanted) = plan.next() {
            steps.push(wanted);
            plan.on_step(&good(wanted));
        }
        assert_eq!(steps, [10, 30, 50, 60]);
        assert_eq!((plan.knee, plan.why), (Some(60), None));
    }

    #[test]
    fn the_knee_is_the_last_step_that_was_served() {
        let mut plan = Plan::new(RAMP, LIMITS);
        plan.on_step(&good(10));
        let bad = Step { loss_percent: 3.0, ..good(30) };
        plan.on_step(&bad);
        assert_eq!(plan.next(), Some(30), "once more");
        plan.on_step(&bad);
        assert_eq!((plan.next(), plan.knee), (None, Some(10)));
        assert!(plan.why.unwrap().contains("3.000 % lost"));
    }

    #[test]
    fn one_hiccup_is_no_knee() {
        let mut plan = Plan::new(RAMP, LIMITS);
        plan.on_step(&Step { p99_ms: Some(200.0), ..good(10) });
        plan.on_step(&good(10));
        assert_eq!((plan.next(), plan.knee), (Some(30), Some(10)));
        plan.on_step(&Step { joined: 29, ..good(30) });
        assert_eq!((plan.next(), plan.knee), (None, Some(10)));
    }
}
