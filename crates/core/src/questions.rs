//! What operators ask that the core cannot know: names, STUN servers, transports, workers. The reply waits for the
//! answer, or for its deadline.

use crate::io::{Output, Question};
use crate::machine::{Ask, Core};
use crate::settings::limits;
use portunus_api::{ApiError, ErrorCode, Object, reply};
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// The questions that are open.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    next: u64,
    open: BTreeMap<u64, Asked>,
    /// In the order they were asked, which is that of their deadlines; some may be answered.
    deadlines: VecDeque<(Instant, u64)>,
}

#[derive(Debug)]
struct Asked {
    key: u64,
    transaction: String,
    /// What the client is told if there is no answer.
    failure: ApiError,
}

impl Questions {
    pub(crate) fn first_deadline(&self) -> Option<Instant> {
        self.deadlines.front().map(|(at, _)| *at)
    }
}

impl Core {
    /// Asks; the reply to `ask` follows with the answer, or is error 490 with the text of `failure`.
    pub(crate) fn question(&mut self, ask: &Ask, what: Question, failure: &str) -> Result<(), ApiError> {
        let failure = ApiError::new(ErrorCode::Unknown, failure);
        let questions = &mut self.questions;
        if questions.open.len() >= limits::QUESTIONS {
            self.counters.refused_full += 1;
            return Err(failure);
        }
        questions.next += 1;
        let question = questions.next;
        let transaction = ask.request.transaction.clone();
        questions.open.insert(question, Asked { key: ask.key, transaction, failure });
        questions.deadlines.push_back((self.now + limits::QUESTION, question));
        self.outputs.push_back(Output::Ask { question, what });
        Ok(())
    }

    /// An answer has come, in time or not.
    pub(crate) fn on_answered(&mut self, question: u64, answer: Option<Object>) {
        let Some(asked) = self.questions.open.remove(&question) else { return };
        self.questions.deadlines.retain(|(_, q)| *q != question);
        let json = match answer {
            Some(members) => reply::success_with(0, &asked.transaction, members),
            None => reply::error(0, Some(&asked.transaction), &asked.failure),
        };
        self.reply(asked.key, json);
    }

    /// Questions that have waited too long are answered with their failure.
    pub(crate) fn give_up_questions(&mut self) {
        while let Some((_, question)) =
            self.questions.deadlines.front().copied().filter(|(at, _)| *at <= self.now)
        {
            self.on_answered(question, None);
        }
    }
}
