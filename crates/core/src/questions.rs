//! What operators ask that the core cannot know: names, STUN servers, transports, workers, and what the media engine
//! knows of a peer. The reply waits for the answer, or for its deadline.

use crate::io::{Output, Question};
use crate::machine::{Ask, Core};
use crate::settings::limits;
use portunus_api::{ApiError, ErrorCode, HandleId, Object, SessionId, reply};
use portunus_plugin::media::MediaCommand;
use portunus_plugin::report::PeerReport;
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
    about: About,
}

/// What an open question is about.
#[derive(Debug)]
pub(crate) enum About {
    /// The world: what the client is told if there is no answer.
    World(ApiError),
    /// A peer, for `handle_info`. Without an answer the client is told the rest.
    Peer(SessionId, HandleId),
    /// A peer, for `explain_handle`.
    Explanation(SessionId, HandleId),
    /// A capture that is to begin, and what the client is told if it does not.
    Capture(SessionId, HandleId, ApiError),
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
        let Some(question) = self.open_question(ask, About::World(failure.clone())) else {
            return Err(failure);
        };
        self.outputs.push_back(Output::Ask { question, what });
        Ok(())
    }

    /// Asks for a capture's file; the reply follows with it.
    pub(crate) fn question_capture(
        &mut self,
        ask: &Ask,
        what: Question,
        handle: HandleId,
        failure: &str,
    ) -> Result<(), ApiError> {
        let failure = ApiError::new(ErrorCode::Unknown, failure);
        let Some(session) = self.handles.get(&handle).map(|h| h.session) else {
            return Err(ErrorCode::HandleNotFound.into());
        };
        let Some(question) = self.open_question(ask, About::Capture(session, handle, failure.clone())) else {
            return Err(failure);
        };
        self.outputs.push_back(Output::Ask { question, what });
        Ok(())
    }

    /// Asks the media engine about a peer; the reply to `ask` follows. `false` if too much is asked already.
    pub(crate) fn question_peer(&mut self, ask: &Ask, about: About) -> bool {
        let (About::Peer(_, handle) | About::Explanation(_, handle)) = about else { return false };
        let Some(question) = self.open_question(ask, about) else { return false };
        self.media_command(MediaCommand::Report { handle, question });
        true
    }

    fn open_question(&mut self, ask: &Ask, about: About) -> Option<u64> {
        let questions = &mut self.questions;
        if questions.open.len() >= limits::QUESTIONS {
            self.counters.refused_full += 1;
            return None;
        }
        questions.next += 1;
        let (question, transaction) = (questions.next, ask.request.transaction.clone());
        questions.open.insert(question, Asked { key: ask.key, transaction, about });
        questions.deadlines.push_back((self.now + limits::QUESTION, question));
        Some(question)
    }

    /// The media engine has told of a peer.
    pub(crate) fn on_report(&mut self, question: u64, report: &PeerReport) {
        let Some(asked) = self.close_question(question) else { return };
        self.answer(asked, None, Some(report));
    }

    /// An answer has come, in time or not.
    pub(crate) fn on_answered(&mut self, question: u64, answer: Option<Object>) {
        let Some(asked) = self.close_question(question) else {
            return self.on_late_capture(answer.as_ref());
        };
        self.answer(asked, answer, None);
    }

    fn close_question(&mut self, question: u64) -> Option<Asked> {
        let asked = self.questions.open.remove(&question)?;
        self.questions.deadlines.retain(|(_, q)| *q != question);
        Some(asked)
    }

    fn answer(&mut self, asked: Asked, answer: Option<Object>, report: Option<&PeerReport>) {
        let transaction = &asked.transaction;
        if let About::Capture(_, handle, _) = &asked.about {
            self.on_capture(*handle, answer.as_ref());
        }
        let json = match (asked.about, answer) {
            (About::Explanation(session, handle), _) => {
                self.explanation(transaction, session, handle, report)
            }
            // Without the session, as in Janus, and without the file, which `handle_info` tells.
            (About::Capture(..), Some(_)) => reply::success(0, transaction),
            (About::Capture(session, _, failure), None) => {
                reply::error(session.get(), Some(transaction), &failure)
            }
            (About::Peer(session, handle), _) => {
                self.handle_info(transaction, session, handle, report, false)
            }
            (About::World(_), Some(members)) => reply::success_with(0, transaction, members),
            (About::World(failure), None) => reply::error(0, Some(transaction), &failure),
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
