//! The temporal limit: frames above it are left out, whole frames only.

use super::is_later;
use crate::codec::{PayloadInfo, SwitchUp};

/// Passes frames up to a temporal layer. Lowering takes effect with the next frame; raising with a keyframe, or at
/// a frame that says so ([`SwitchUp`]).
#[derive(Debug, Clone, Copy)]
pub(super) struct TemporalFilter {
    target: u8,
    /// In force since the frame at `since`; `None` before the first frame.
    limit: Option<u8>,
    since: u32,
    /// In force before it, for packets that come late.
    previous: u8,
    newest: u32,
    reached: Option<u8>,
}

impl TemporalFilter {
    pub(super) const fn new(target: u8) -> Self {
        Self { target, limit: None, since: 0, previous: 0, newest: 0, reached: None }
    }

    pub(super) fn target(&self) -> u8 {
        self.target
    }

    pub(super) fn set_target(&mut self, target: u8) {
        self.target = target;
    }

    /// The limit whose layer was seen last.
    pub(super) fn reached(&self) -> Option<u8> {
        self.reached
    }

    /// Another stream takes over with a keyframe.
    pub(super) fn restart(&mut self) {
        self.limit = None;
    }

    /// Whether a packet passes; the second value is a layer newly reached.
    #[inline]
    pub(super) fn admit(&mut self, timestamp: u32, info: &PayloadInfo) -> (bool, Option<u8>) {
        // Padding and unlayered payloads have no temporal id: they belong to every limit.
        let Some(layer) = info.layer else { return (true, None) };
        let limit = match self.limit {
            Some(_) if is_later(timestamp, self.newest) => {
                self.newest = timestamp;
                self.adjust(timestamp, layer.temporal, info)
            }
            Some(_) if is_later(self.since, timestamp) => self.previous,
            Some(limit) => limit,
            None => {
                (self.newest, self.since) = (timestamp, timestamp);
                self.previous = self.target;
                self.limit = Some(self.target);
                self.target
            }
        };
        if layer.temporal > limit {
            return (false, None);
        }
        let news = Some(layer.temporal).filter(|t| Some(*t) == self.limit && self.reached != Some(*t));
        if news.is_some() {
            self.reached = news;
        }
        (true, news)
    }

    /// At the first packet of a new frame.
    fn adjust(&mut self, timestamp: u32, temporal: u8, info: &PayloadInfo) -> u8 {
        let limit = self.limit.unwrap_or(self.target);
        let next = if limit > self.target || info.keyframe {
            self.target
        } else {
            match info.switch_up {
                SwitchUp::Here if temporal > limit => temporal.min(self.target),
                SwitchUp::After(top) if temporal <= limit => limit.max(top.min(self.target)),
                _ => limit,
            }
        };
        if next != limit {
            (self.previous, self.since) = (limit, timestamp);
            self.limit = Some(next);
        }
        next
    }
}
