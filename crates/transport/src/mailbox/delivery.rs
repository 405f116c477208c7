//! Events in the hands of a long poll.

use super::kept::Kept;
use super::{Mailbox, Mailboxes};
use portunus_api::SessionId;
use std::sync::Arc;

/// Events taken from a mailbox. They go back to its front unless [`Delivery::written`] says that they have left, so a
/// client that drops its connection while polling loses nothing (Janus writes the next event into the dead poll).
#[derive(Debug)]
pub(crate) struct Delivery {
    mailboxes: Mailboxes,
    session: SessionId,
    mailbox: Arc<Mailbox>,
    events: Vec<Kept>,
}

impl Delivery {
    pub(super) fn new(
        mailboxes: Mailboxes,
        session: SessionId,
        mailbox: Arc<Mailbox>,
        events: Vec<Kept>,
    ) -> Self {
        Self { mailboxes, session, mailbox, events }
    }

    pub(crate) fn events(&self) -> &[Kept] {
        &self.events
    }

    /// The bytes are the kernel's now.
    pub(crate) fn written(mut self) {
        self.events.clear();
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.events.is_empty() {
            let events = std::mem::take(&mut self.events);
            self.mailboxes.restore(self.session, &self.mailbox, events);
        }
    }
}
