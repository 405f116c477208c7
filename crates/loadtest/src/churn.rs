//! Subscribers that come and go at a rate: what is left behind in the server when they have gone.

use crate::api::Failure;
use crate::options::Churn;
use crate::outcome::Outcome;
use crate::process::Usage;
use crate::run::Run;
use crate::videoroom::{Rooms, counted, subscriber};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// What a server does behind those who left, it has done after this.
const SETTLE: Duration = Duration::from_secs(4);

pub(crate) async fn run(run: &Arc<Run>, options: &Churn) -> Result<Outcome, Failure> {
    let mut rooms = Rooms::make(run, &options.room()).await?;
    rooms.publish().await;
    // What grows once and stays is no leak: first as many as are ever there at the same time.
    come_and_go(run, options, &rooms, run.common.warm_up()).await;
    tokio::time::sleep(SETTLE).await;
    let before = run.server_usage();
    let joined_before = run.setup.get().succeeded;
    let begun = tokio::time::Instant::now();
    let (measured, ()) = tokio::join!(
        run.measure("churn", run.common.duration()),
        come_and_go(run, options, &rooms, run.common.duration())
    );
    // Those who had to wait came later than the measurement.
    let took = begun.elapsed();
    let joined = run.setup.get().succeeded - joined_before;
    tokio::time::sleep(SETTLE).await;
    let after = run.server_usage();
    let seconds = took.as_secs_f64().max(measured.seconds);
    let mut outcome = Outcome::of(Some(measured));
    let mut extra = json!({"joins": joined, "joins_per_second": joined as f64 / seconds});
    outcome.lines.push(format!("churn        {joined} joins, {:.1} a second", joined as f64 / seconds));
    if let Some((before, after)) = before.zip(after) {
        let cpu_ms = after.cpu_ns.saturating_sub(before.cpu_ns) as f64 / 1e6;
        extra["server_before"] = figures(before);
        extra["server_after"] = figures(after);
        // With what was forwarded to them.
        extra["server_cpu_ms_per_join"] = json!(cpu_ms / joined.max(1) as f64);
        outcome.lines.push(format!(
            "left behind  {} KiB of {}, {} threads of {}, {} descriptors of {}",
            after.rss_kib,
            before.rss_kib,
            after.threads,
            before.threads,
            after.descriptors.unwrap_or(0),
            before.descriptors.unwrap_or(0),
        ));
        outcome.wrong.extend(left_behind(before, after, options.max_growth));
    } else if run.common.pid.is_some() {
        outcome.wrong.push("the server is gone".to_owned());
    }
    outcome.extra.insert("churn".to_owned(), extra);
    rooms.end().await;
    Ok(outcome)
}

/// Somebody joins so many times a second for so long; returns when all have left.
async fn come_and_go(run: &Arc<Run>, options: &Churn, rooms: &Rooms, time: Duration) {
    let pause = Duration::from_secs_f64(1.0 / options.rate);
    let (mut next, end) = (Instant::now(), Instant::now() + time);
    let mut people = JoinSet::new();
    let mut turn = 0;
    while next < end && !run.stopped() {
        tokio::select! {
            () = sleep_until(next) => {}
            () = run.stop() => break,
        }
        next += pause;
        while people.try_join_next().is_some() {}
        let Some((room, feeds)) = rooms.rooms.get(turn % rooms.rooms.len().max(1)).cloned() else { return };
        turn += 1;
        if feeds.is_empty() {
            return;
        }
        let (run, options) = (Arc::clone(run), options.clone());
        people.spawn(async move {
            if let Some(somebody) = counted(&run, subscriber(&run, &options.room(), room, &feeds)).await {
                run.sleep(options.stay).await;
                somebody.leave().await;
            }
        });
    }
    while people.join_next().await.is_some() {}
}

fn figures(usage: Usage) -> Value {
    json!({"rss_kib": usage.rss_kib, "threads": usage.threads, "descriptors": usage.descriptors})
}

/// What there is more of than before, beyond what is allowed.
fn left_behind(before: Usage, after: Usage, percent: f64) -> Vec<String> {
    let mut wrong = Vec::new();
    let growth = after.rss_kib as f64 / before.rss_kib.max(1) as f64 * 100.0 - 100.0;
    if growth > percent {
        wrong.push(format!("memory grew by {growth:.1} %, more than {percent} %"));
    }
    if after.threads > before.threads {
        wrong.push(format!("{} threads are left behind", after.threads - before.threads));
    }
    if let Some((before, after)) = before.descriptors.zip(after.descriptors)
        && after > before
    {
        wrong.push(format!("{} descriptors are left behind", after - before));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_behind_is_told() {
        let before = Usage { cpu_ns: 0, rss_kib: 1000, threads: 4, descriptors: Some(10) };
        assert!(left_behind(before, Usage { rss_kib: 1050, ..before }, 5.0).is_empty());
        assert!(left_behind(before, Usage { threads: 3, descriptors: Some(9), ..before }, 5.0).is_empty());
        assert!(left_behind(before, Usage { descriptors: None, ..before }, 5.0).is_empty());
        for after in [
            Usage { rss_kib: 1051, ..before },
            Usage { threads: 5, ..before },
            Usage { descriptors: Some(11), ..before },
        ] {
            assert_eq!(left_behind(before, after, 5.0).len(), 1, "{after:?}");
        }
    }
}
