//! The mirrors that other workers have of a peer's lines, as the peer keeps them.

use super::Peer;
use super::line::Line;
use crate::mirror::{Description, MirrorId};

/// A mirror of one line.
#[derive(Debug)]
pub(crate) struct Mirrored {
    pub(crate) line: usize,
    mid: String,
    pub(crate) to: MirrorId,
    /// The newest question it asked.
    pub(crate) ask: u64,
}

impl Peer {
    /// A line is mirrored from now on; says what the mirror must know, or `None` if there is nothing to mirror.
    pub(crate) fn add_mirror(&mut self, line: usize, to: MirrorId, ask: u64) -> Option<Description> {
        let l = self.lines.get(line)?;
        let description = l.describe()?;
        match self.mirrors.iter_mut().find(|m| m.to == to) {
            Some(known) => known.ask = ask,
            None => self.mirrors.push(Mirrored { line, mid: l.mid.clone(), to, ask }),
        }
        Some(description)
    }

    pub(crate) fn remove_mirror(&mut self, to: MirrorId) {
        self.mirrors.retain(|m| m.to != to);
    }

    pub(crate) fn mirrors(&self) -> &[Mirrored] {
        &self.mirrors
    }

    /// What each mirror must know after a negotiation; those whose line is gone are told so, and forgotten.
    pub(crate) fn describe_mirrors(&mut self) -> Vec<(MirrorId, u64, Option<Description>)> {
        let lines = &self.lines;
        let mut all = Vec::new();
        self.mirrors.retain_mut(|m| {
            let found = lines.iter().position(|l| l.mid == m.mid);
            let description = found.and_then(|i| lines.get(i)).and_then(Line::describe);
            m.line = found.unwrap_or(m.line);
            let stays = description.is_some();
            all.push((m.to, m.ask, description));
            stays
        });
        all
    }
}

#[cfg(test)]
impl Peer {
    /// Keyframe requests that were sent for all streams of a line together.
    pub(crate) fn keyframe_requests(&self, line: usize) -> u64 {
        self.lines[line].sources.iter().map(|s| s.keyframes.sent).sum()
    }
}

impl Line {
    fn describe(&self) -> Option<Description> {
        Some(Description {
            layout: self.layout()?,
            video: self.is_video(),
            sources: self.sources.iter().map(|s| s.id).collect(),
        })
    }
}
