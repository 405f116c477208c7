//! Answers what operators ask of the world: names and STUN servers. Nobody waits for it but the operator.

use portunus_core::Question;
use portunus_plugin::{Object, Value, json};
use std::time::{Duration, Instant};
use tokio::net::lookup_host;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Answers that may wait for the control task: more than the core has open questions.
const ANSWERS: usize = 256;
/// How long a name or a STUN server may take: Janus' five seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// The number of a question and its answer, for [`portunus_core::Input::Answer`].
pub(crate) type Answer = (u64, Option<Object>);

/// Where answers go.
#[derive(Clone, Debug)]
pub(crate) struct Questions {
    answers: mpsc::Sender<Answer>,
}

impl Questions {
    /// The answers come out of the channel.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Answer>) {
        let (answers, answered) = mpsc::channel(ANSWERS);
        (Self { answers }, answered)
    }

    /// Finds it out in the background. To be called in a runtime.
    pub(crate) fn ask(&self, question: u64, what: Question) {
        let answers = self.answers.clone();
        tokio::spawn(async move {
            let answer = find_out(what).await;
            // Nobody listens any more when the process ends.
            let _ = answers.send((question, answer)).await;
        });
    }

    /// Answers at once. Without room the core gives the question up in time.
    pub(crate) fn answer(&self, question: u64, answer: Option<Object>) {
        let _ = self.answers.try_send((question, answer));
    }
}

async fn find_out(what: Question) -> Option<Object> {
    let begun = Instant::now();
    let members = match what {
        Question::Resolve { address } => {
            let found = timeout(PATIENCE, lookup_host((address.as_str(), 0))).await.ok()?.ok()?.next()?;
            vec![("ip", json!(found.ip().to_string()))]
        }
        Question::Stun { address, port, local_port } => {
            let ask = move || portunus_media::ask_stun_server(&address, port, local_port, PATIENCE);
            let mapped = spawn_blocking(ask).await.ok()?.ok()?;
            vec![("public_ip", json!(mapped.ip().to_string())), ("public_port", json!(mapped.port()))]
        }
        // Answered by who owns it.
        Question::Transport { .. }
        | Question::EventHandler { .. }
        | Question::StartCapture { .. }
        | Question::Loops => return None,
    };
    let elapsed = Value::from(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
    let members = members.into_iter().chain([("elapsed", elapsed)]);
    Some(members.map(|(name, value)| (name.to_owned(), value)).collect())
}
