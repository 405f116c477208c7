//! A description passed on to another peer (videocall): the same codecs, payload types and order, our transport.

use super::{Kind, Layout, Plan, PlanMedia};
use crate::{Description, Direction, Extension, MediaKind, ext};

/// What tells the layers apart that a peer sends on an m-line (RFC 8853).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentLayers {
    /// The m-line.
    pub mid: String,
    /// Its rids, in the order of the rid lines.
    pub rids: Vec<String>,
    /// The header extensions that carry them.
    pub extensions: Vec<Extension>,
}

impl SentLayers {
    /// The m-lines of an offer or answer whose layers can be told apart.
    pub fn of(description: &Description) -> Vec<Self> {
        let video = description
            .media
            .iter()
            .filter(|m| m.kind == MediaKind::Video && m.extension(ext::RID).is_some());
        let layered = video.map(|m| Self {
            mid: m.mid.clone(),
            rids: m.send_rids().into_iter().map(str::to_owned).collect(),
            extensions: m.extensions.iter().filter(|e| tells_layers(e)).cloned().collect(),
        });
        layered.filter(|layers| !layers.rids.is_empty()).collect()
    }
}

fn tells_layers(extension: &Extension) -> bool {
    extension.uri == ext::RID || extension.uri == ext::REPAIRED_RID
}

impl Plan {
    /// Passes an offer or answer on. What belongs to the first peer's transport or simulcast is left out: candidates,
    /// credentials, SSRCs, rids and their header extensions. Retransmission payload types move behind the others.
    pub fn relay(description: &Description, kind: Kind) -> Plan {
        let mut data_taken = false;
        let mut media = Vec::with_capacity(description.media.len());
        for from in &description.media {
            let meant = match kind {
                Kind::Offer => from.is_active(),
                Kind::Answer => from.port != 0,
            };
            let accepted = meant && (from.kind.is_rtp() || (from.kind == MediaKind::Data && !data_taken));
            data_taken |= accepted && from.kind == MediaKind::Data;
            let mut to = PlanMedia::new(from.kind.clone(), from.mid.as_str(), from.protocol.as_str());
            to.sctp = from.sctp;
            to.layout = Layout::Relayed;
            if accepted {
                to.direction = if from.kind.is_rtp() { from.direction } else { Direction::SendRecv };
                to.payloads.clone_from(&from.payloads);
                to.extensions = from.extensions.clone();
                to.extensions.retain(|e| !tells_layers(e));
                to.msid.clone_from(&from.msid);
                to.bandwidth.clone_from(&from.bandwidth);
                to.attributes.clone_from(&from.unknown);
            } else {
                to.reject();
                to.stopped = !meant;
            }
            media.push(to);
        }
        Plan {
            kind,
            origin: description.origin.clone(),
            session_name: description.session_name.clone(),
            media,
            affinity: None,
        }
    }

    /// What is passed on to a peer that sends layers, which the other knows nothing of, asks for them.
    #[must_use]
    pub fn with_layers(mut self, layers: &[SentLayers]) -> Plan {
        for media in self.media.iter_mut().filter(|m| m.accepted && m.direction.receives()) {
            let Some(layers) = layers.iter().find(|l| l.mid == media.mid) else { continue };
            media.rids.clone_from(&layers.rids);
            let free = |e: &&Extension| media.extensions.iter().all(|there| there.id != e.id);
            let more: Vec<_> = layers.extensions.iter().filter(free).cloned().collect();
            media.extensions.extend(more);
        }
        self
    }
}
