//! The way to a worker: a bounded queue and something that wakes it.

use super::WorkerMessage;
use crate::mirror::Parcel;
use crate::socket::Waker;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

/// Parcels that may lie in a worker's queue. A worker that is further behind sends video that is a quarter of a second
/// old and more (ten publishers make about a thousand batches a second): what comes now is worth less than being on time.
pub(crate) const MAX_PARCELS: usize = 256;

/// See the module.
#[derive(Clone)]
pub(crate) struct Mailbox {
    inbox: SyncSender<WorkerMessage>,
    waker: Arc<Waker>,
    /// Parcels that lie in the queue.
    parcels: Arc<AtomicUsize>,
}

impl Mailbox {
    pub(crate) fn new(inbox: SyncSender<WorkerMessage>, waker: Arc<Waker>) -> Self {
        Self { inbox, waker, parcels: Arc::new(AtomicUsize::new(0)) }
    }

    /// Waits for room: not for a worker. `false` if nobody is there any more.
    pub(crate) fn send(&self, message: WorkerMessage) -> bool {
        let sent = self.inbox.send(message).is_ok();
        if sent {
            self.waker.wake();
        }
        sent
    }

    /// Gives the message back if there is no room for it. If nobody is there any more, it is dropped.
    pub(crate) fn try_send(&self, message: WorkerMessage) -> Option<WorkerMessage> {
        match self.inbox.try_send(message) {
            Ok(()) => {
                self.waker.wake();
                None
            }
            Err(TrySendError::Full(message)) => Some(message),
            Err(TrySendError::Disconnected(_)) => None,
        }
    }

    /// `false` if there was no room: the parcel is dropped.
    pub(crate) fn try_send_parcel(&self, parcel: Parcel) -> bool {
        // Counted first, so that the receiver cannot count it off before.
        if self.parcels.fetch_add(1, Ordering::Relaxed) >= MAX_PARCELS
            || self.try_send(WorkerMessage::Parcel(parcel)).is_some()
        {
            self.parcels.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// The worker took a parcel out of its queue.
    pub(crate) fn parcel_taken(&self) {
        self.parcels.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn parcels_leave_room_for_commands() {
        let (inbox, commands) = sync_channel(2 * MAX_PARCELS);
        let mailbox = Mailbox::new(inbox, Arc::new(Waker::new().unwrap()));
        for _ in 0..3 {
            for _ in 0..MAX_PARCELS {
                assert!(mailbox.try_send_parcel(Parcel::default()));
            }
            assert!(!mailbox.try_send_parcel(Parcel::default()));
            assert!(mailbox.try_send(WorkerMessage::Stop).is_none());
            let mut parcels = 0;
            while let Ok(message) = commands.try_recv() {
                if matches!(message, WorkerMessage::Parcel(_)) {
                    mailbox.parcel_taken();
                    parcels += 1;
                }
            }
            assert_eq!(parcels, MAX_PARCELS);
        }
    }
}
