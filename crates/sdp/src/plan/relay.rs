//! A description passed on to another peer (videocall): the same codecs, payload types and order, our transport.

use super::{Kind, Layout, Plan, PlanMedia};
use crate::{Description, Direction, MediaKind, ext};

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
                to.extensions.retain(|e| e.uri != ext::RID && e.uri != ext::REPAIRED_RID);
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
}
