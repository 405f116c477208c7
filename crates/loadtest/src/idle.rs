//! Sessions that do nothing but say that they are there.

use crate::api::{ANSWER, Failure, Session};
use crate::options::Idle;
use crate::outcome::Outcome;
use crate::process::Usage;
use crate::run::Run;
use crate::videoroom::{FAREWELL, counted};
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

pub(crate) async fn run(run: &Arc<Run>, options: &Idle) -> Result<Outcome, Failure> {
    let empty = run.server_usage();
    let pause = Duration::from_secs_f64(1.0 / options.rate);
    let mut next = Instant::now();
    let mut starting = JoinSet::new();
    for _ in 0..options.sessions {
        tokio::select! {
            () = sleep_until(next) => {}
            () = run.stop() => break,
        }
        next += pause;
        let run = Arc::clone(run);
        starting.spawn(async move { counted(&run, session(&run)).await });
    }
    let sessions: Vec<_> = starting.join_all().await.into_iter().flatten().collect();
    let mut outcome = Outcome::default();
    outcome.add(run.measure_after_warm_up("idle").await);
    let gone: Vec<Failure> = sessions.iter().filter_map(|session| session.gone()).collect();
    let mut broken = gone.len();
    gone.iter().for_each(|why| run.setup.lost(why));
    if !run.stopped() {
        // It is alive if it answers, not if nobody said that it is dead.
        let silent = silent(run, &sessions).await;
        broken += silent.len();
        silent.iter().for_each(|why| run.setup.lost(why));
    }
    let there = sessions.len();
    let mut extra = json!({"sessions": there, "alive_at_the_end": there - broken});
    let full = outcome.measured.first().and_then(|measured| measured.server).map(|(_, after)| after);
    if let (Some(empty), Some(full)) = (empty, full) {
        extra["rss_kib_before"] = json!(empty.rss_kib);
        extra["rss_kib_per_session"] = json!(per_session(empty, full, there));
        outcome.lines.push(format!(
            "idle         {there} sessions: {} MiB instead of {} MiB, {:.2} KiB each",
            full.rss_kib / 1024,
            empty.rss_kib / 1024,
            per_session(empty, full, there)
        ));
    }
    outcome.extra.insert("idle".to_owned(), extra);
    end(run, sessions).await;
    Ok(outcome)
}

/// Why sessions do not answer that should; all together have as long as one answer may take.
async fn silent(run: &Run, sessions: &[Arc<Session>]) -> Vec<Failure> {
    let asked: Vec<_> = sessions.iter().filter(|session| session.gone().is_none()).collect();
    let all = asked.len();
    let answers = stream::iter(asked).map(|session| session.keep_alive());
    let answers = answers.buffer_unordered(run.common.joins as usize);
    let answers: Vec<_> = answers.take_until(tokio::time::sleep(ANSWER)).collect().await;
    let without = all - answers.len();
    let failed = answers.into_iter().filter_map(Result::err);
    failed.chain((0..without).map(|_| Failure::plain("no answer"))).collect()
}

/// Says goodbye, until the server does not answer any more: connections are closed all the same.
async fn end(run: &Run, sessions: Vec<Arc<Session>>) {
    let answers = AtomicBool::new(true);
    stream::iter(sessions)
        .for_each_concurrent(run.common.joins as usize, |session| async {
            if answers.load(Ordering::Relaxed)
                && tokio::time::timeout(FAREWELL, session.destroy()).await.is_err()
            {
                answers.store(false, Ordering::Relaxed);
            }
            drop(session);
        })
        .await;
}

async fn session(run: &Arc<Run>) -> Result<Arc<Session>, Failure> {
    run.setup.attempted();
    let session = run.unless_stopped(Session::create(&run.server)).await?;
    run.setup.created();
    Ok(session)
}

fn per_session(empty: Usage, full: Usage, sessions: usize) -> f64 {
    let more = full.rss_kib.saturating_sub(empty.rss_kib) as f64;
    (more / sessions.max(1) as f64 * 100.0).round() / 100.0
}
