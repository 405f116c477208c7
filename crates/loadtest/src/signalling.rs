//! The API alone: sessions, handles, messages, no media.

use crate::api::{Failure, Server, Session};
use crate::clock::now_ns;
use crate::histogram::Histogram;
use crate::options::Signalling;
use crate::outcome::Outcome;
use crate::report::times;
use crate::run::Run;
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How long requests took, by what was asked.
#[derive(Default)]
struct Requests(Mutex<BTreeMap<&'static str, Histogram>>);

impl Requests {
    async fn timed<T>(
        &self,
        what: &'static str,
        request: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let began = now_ns();
        let answer = request.await?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(what).or_default().add(now_ns().saturating_sub(began));
        Ok(answer)
    }
}

pub(crate) async fn run(run: &Arc<Run>, options: &Signalling) -> Result<Outcome, Failure> {
    let requests = Requests::default();
    let server = if options.shared_connections { run.server.pooled()? } else { run.server.clone() };
    let (before, began) = (run.server_usage(), now_ns());
    stream::iter(0..options.sessions)
        .take_until(run.stop())
        .for_each_concurrent(run.common.joins as usize, |_| async {
            run.setup.attempted();
            match session(&server, options, &requests).await {
                Ok(()) => run.setup.created(),
                Err(why) => run.setup.failed(&why),
            }
        })
        .await;
    let seconds = (now_ns() - began) as f64 / 1e9;
    let cpu = before.zip(run.server_usage()).map(|(b, a)| a.cpu_ns.saturating_sub(b.cpu_ns) as f64 / 1e3);
    let sessions = run.setup.get().succeeded;
    let by_verb = requests.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut all = Histogram::default();
    by_verb.values().for_each(|histogram| all.merge(histogram));
    let per_second = all.count() as f64 / seconds;
    let mut extra = json!({
        "seconds": seconds,
        "sessions": sessions,
        "requests": all.count(),
        "requests_per_second": per_second,
        "latency_ms": times(&all),
        "by_verb": by_verb.iter().map(|(verb, h)| (*verb, times(h))).collect::<BTreeMap<_, _>>(),
    });
    let mut outcome = Outcome::default();
    let ms = |percent| all.percentile(percent).unwrap_or(0) as f64 / 1e6;
    outcome.lines.push(format!(
        "signalling   {sessions} sessions, {} requests in {seconds:.2} s: {per_second:.0}/s; p50 {:.2} p99 {:.2} ms",
        all.count(),
        ms(50.0),
        ms(99.0)
    ));
    if let Some(us) = cpu {
        let (each, request) = (us / sessions.max(1) as f64, us / all.count().max(1) as f64);
        extra["server_cpu_us_per_session"] = json!(each);
        extra["server_cpu_us_per_request"] = json!(request);
        outcome.lines.push(format!("server       {each:.1} us of CPU a session, {request:.1} us a request"));
    }
    if sessions == 0 {
        outcome.wrong.push("no session came about".to_owned());
    }
    outcome.extra.insert("signalling".to_owned(), extra);
    Ok(outcome)
}

/// A session's life: made, a handle attached, messages, and all of it taken down.
async fn session(server: &Server, options: &Signalling, requests: &Requests) -> Result<(), Failure> {
    let session = Session::connect(server).await?;
    requests.timed("create", session.open()).await?;
    let handle = requests.timed("attach", session.attach("janus.plugin.videoroom")).await?;
    for _ in 0..options.requests {
        requests.timed("message", handle.message(json!({"request": "exists", "room": 1}), None)).await?;
    }
    requests.timed("detach", handle.detach()).await?;
    requests.timed("destroy", session.destroy()).await
}
