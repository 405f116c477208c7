//! `start_pcap` and its kin: copies of a handle's packets, unencrypted, in a file.
//!
//! One capture of either kind a handle. Whoever owns the files opens them; the handle counts as captured from the request on.

use crate::io::{Output, Question};
use crate::machine::{Ask, Core};
use portunus_api::{AdminVerb, ApiError, ErrorCode, HandleId, Kind, Object, Value, optional};

/// A capture that goes on.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    /// Hex text, not binary.
    pub(crate) text: bool,
    /// The file, once it is open.
    pub(crate) file: Option<String>,
}

impl Core {
    pub(super) fn start_capture(&mut self, ask: &Ask, id: HandleId, text: bool) -> Result<(), ApiError> {
        const FAILED: &str = "Error starting pcap dump";
        let body = &ask.request.body;
        let word = |name: &str| -> Result<Option<String>, ApiError> {
            Ok(optional(body, name, Kind::String)?.and_then(Value::as_str).map(str::to_owned))
        };
        let (folder, file) = (word("folder")?, word("filename")?);
        let truncate = optional(body, "truncate", Kind::PositiveInteger)?.and_then(Value::as_u64);
        let Some(handle) = self.handles.get_mut(&id) else { return Err(ErrorCode::HandleNotFound.into()) };
        if handle.capture.is_some() {
            // Of the kind that is asked for, whichever goes on.
            let reason = if text { "text2pcap already started" } else { "pcap already started" };
            return Err(ApiError::new(ErrorCode::Unknown, reason));
        }
        handle.capture = Some(Capture { text, file: None });
        let truncate = truncate.filter(|bytes| *bytes > 0).map(|b| usize::try_from(b).unwrap_or(usize::MAX));
        let what = Question::StartCapture { handle: id, text, folder, file, truncate };
        let outcome = self.question_capture(ask, what, id, FAILED);
        if outcome.is_err()
            && let Some(handle) = self.handles.get_mut(&id)
        {
            handle.capture = None;
        }
        outcome
    }

    /// `stop_pcap` ends either kind, and so does `stop_text2pcap`.
    pub(super) fn stop_capture(&mut self, ask: &Ask, id: HandleId) -> Result<(), ApiError> {
        let handle = self.handles.get_mut(&id);
        if handle.and_then(|handle| handle.capture.take()).is_none() {
            return Err(ApiError::new(ErrorCode::Unknown, "Capture not started"));
        }
        self.outputs.push_back(Output::StopCapture { handle: id });
        // Without the session, as in Janus.
        self.reply(ask.key, portunus_api::reply::success(0, &ask.request.transaction));
        Ok(())
    }

    /// The file is open, or could not be opened.
    pub(crate) fn on_capture(&mut self, id: HandleId, answer: Option<&Object>) {
        let Some(handle) = self.handles.get_mut(&id) else {
            // Detached while the file was being opened.
            if answer.is_some() {
                self.outputs.push_back(Output::StopCapture { handle: id });
            }
            return;
        };
        let file = answer.and_then(|a| a.get("file")).and_then(Value::as_str);
        match (file, &mut handle.capture) {
            (Some(file), Some(capture)) => capture.file = Some(file.to_owned()),
            // Stopped while the file was being opened.
            (Some(_), None) => self.outputs.push_back(Output::StopCapture { handle: id }),
            (None, capture) => *capture = None,
        }
    }

    /// The file was opened too late: whoever asked was told that it failed, and nobody would ever close it.
    pub(crate) fn on_late_capture(&mut self, answer: Option<&Object>) {
        let handle = answer.and_then(|a| a.get("handle_id")).and_then(Value::as_u64).and_then(HandleId::new);
        if let Some(handle) = handle {
            self.outputs.push_back(Output::StopCapture { handle });
        }
    }

    /// Whether a verb is about captures, and what to do then.
    pub(super) fn capture(
        &mut self,
        ask: &Ask,
        verb: AdminVerb,
        id: HandleId,
    ) -> Option<Result<(), ApiError>> {
        Some(match verb {
            AdminVerb::StartPcap => self.start_capture(ask, id, false),
            AdminVerb::StartText2pcap => self.start_capture(ask, id, true),
            AdminVerb::StopPcap | AdminVerb::StopText2pcap => self.stop_capture(ask, id),
            _ => return None,
        })
    }
}
