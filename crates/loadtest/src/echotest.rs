//! Clients of the echo test: each sends and gets back what it sent.

use crate::api::Failure;
use crate::clock::now_ns;
use crate::options::Echotest;
use crate::outcome::Outcome;
use crate::run::Run;
use crate::videoroom::{Participant, counted, in_session, watch};
use futures_util::future::join_all;
use serde_json::json;
use std::sync::Arc;

pub(crate) async fn run(run: &Arc<Run>, options: &Echotest) -> Result<Outcome, Failure> {
    let clients = (0..options.clients).map(|_| {
        let run = Arc::clone(run);
        async move { counted(&run, client(&run)).await }
    });
    let clients = join_all(clients).await;
    let measured = run.measure_after_warm_up("measurement").await;
    join_all(clients.into_iter().flatten().map(Participant::leave)).await;
    Ok(Outcome::of(measured))
}

async fn client(run: &Arc<Run>) -> Result<Participant, Failure> {
    run.setup.attempted();
    in_session(run, |participant| echo(run, participant)).await
}

async fn echo(run: &Arc<Run>, mut participant: Participant) -> Result<Participant, Failure> {
    let began = now_ns();
    let mut handle = participant.session.attach("janus.plugin.echotest").await?;
    let media = run.caller.media;
    let body = json!({"audio": media.audio, "video": media.video});
    let mut call = run.caller.publish(&handle, body, true).await?;
    let times = run.caller.established(&mut handle, &mut call, true).await?;
    let after = |at: u64| at.saturating_sub(began);
    run.setup.subscribed(after(times.up_ns), times.media_ns.map(after));
    participant.keep(watch(run, handle, call, &participant.leaving));
    Ok(participant)
}
