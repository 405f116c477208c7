//! Calls between two users: each sends, and gets what the other sends.

use crate::api::{Failure, Handle};
use crate::call::Call;
use crate::clock::now_ns;
use crate::options::Videocall;
use crate::outcome::Outcome;
use crate::run::Run;
use crate::videoroom::{Participant, counted, in_session, watch};
use futures_util::future::join_all;
use serde_json::json;
use std::sync::Arc;

const PLUGIN: &str = "janus.plugin.videocall";

type Result<T> = std::result::Result<T, Failure>;

pub(crate) async fn run(run: &Arc<Run>, options: &Videocall) -> Result<Outcome> {
    // Names are the server's, not the run's.
    let ours = run.caller.draw();
    let calls = (0..options.calls).map(|n| {
        let run = Arc::clone(run);
        async move { counted(&run, call(&run, &format!("load-{ours:x}-{n}"))).await }
    });
    let calls = join_all(calls).await;
    let measured = run.measure_after_warm_up("measurement").await;
    join_all(calls.into_iter().flatten().flatten().map(Participant::leave)).await;
    Ok(Outcome::of(measured))
}

/// Two sessions, of which one calls the other.
async fn call(run: &Arc<Run>, name: &str) -> Result<[Participant; 2]> {
    run.setup.attempted();
    run.setup.attempted();
    in_session(run, |caller| async move { in_session(run, |callee| talk(run, name, caller, callee)).await })
        .await
}

async fn talk(
    run: &Arc<Run>,
    name: &str,
    mut caller: Participant,
    mut callee: Participant,
) -> Result<[Participant; 2]> {
    let began = now_ns();
    let mut from = register(&caller, &format!("{name}-caller")).await?;
    let to_name = format!("{name}-callee");
    let mut to = register(&callee, &to_name).await?;
    let picks_up = async {
        let offer = run.caller.described_event(&mut to).await?;
        run.caller.answer(&to, &offer, json!({"request": "accept"}), true).await
    };
    let dials = run.caller.dial(&mut from, json!({"request": "call", "username": to_name}));
    let (dialled, picked_up) = tokio::try_join!(dials, picks_up)?;
    up(run, began, &mut caller, from, dialled).await?;
    up(run, began, &mut callee, to, picked_up).await?;
    Ok([caller, callee])
}

async fn register(participant: &Participant, name: &str) -> Result<Handle> {
    let handle = participant.session.attach(PLUGIN).await?;
    handle.message(json!({"request": "register", "username": name}), None).await?;
    Ok(handle)
}

/// Waits until this side of the call is up and gets something.
async fn up(
    run: &Arc<Run>,
    began: u64,
    participant: &mut Participant,
    mut handle: Handle,
    mut call: Call,
) -> Result<()> {
    let times = run.caller.established(&mut handle, &mut call, true).await?;
    let after = |at: u64| at.saturating_sub(began);
    run.setup.subscribed(after(times.up_ns), times.media_ns.map(after));
    participant.keep(watch(run, handle, call, &participant.leaving));
    Ok(())
}
