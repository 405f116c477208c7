//! Lines that are forwarded over plain UDP: RTP packets as they came, but for what a forwarder overrides, and messages
//! of data channels as datagrams.
//!
//! Copies leave with the batch they came in, as those for peers do. A forwarder knows one address for its whole life, and
//! takes nothing from the other side but wishes for keyframes.

use super::line::{Layout, Line};
use super::merged::{Merged, kept_extensions};
use super::{Peer, PeerCx, Ready};
use crate::egress::{Egress, Path};
use portunus_plugin::forward::{Forward, ForwardKey, KEY_AND_SALT, Layers};
use portunus_rtp::codec::dependency::DependencyStructure;
use portunus_rtp::packet::RtpView;
use portunus_rtp::rtcp::{Compound, Rtcp};
use portunus_rtp::write::{SinkExtensions, SourcePacket, Stamp, patch_header, write_packet};
use portunus_sdp::MediaKind;
use portunus_srtp::{Error as SrtpError, MasterKey, Opener, Profile, Sealer, SendState, rtp_header_len};
use std::time::Instant;

/// Payload-specific feedback, and the first byte of the two that ask for keyframes (RFC 4585 section 6.3.1, RFC 5104
/// section 4.3.1).
const FEEDBACK: u8 = 206;
const PLI: u8 = 0x81;
const FIR: u8 = 0x84;
/// Bytes of the shorter one.
const SHORTEST: usize = 12;
/// Packets that may come late and still be sealed.
const LATE: usize = 64;

/// One forwarder of a line.
pub(crate) struct Outlet {
    id: u32,
    path: Path,
    payload_type: Option<u8>,
    ssrc: Option<u32>,
    chosen: Chosen,
    seal: Option<Box<Seal>>,
    /// The socket on which the other side asks for keyframes.
    feedback: Option<usize>,
}

/// Which packets it takes.
enum Chosen {
    All,
    Substream(u8),
    Best(Box<Merged>),
}

struct Seal {
    sealer: Sealer,
    opener: Opener,
    /// Of the SSRC that was sent last.
    state: Option<SendState>,
}

impl Seal {
    fn new(key: &ForwardKey) -> Result<Self, SrtpError> {
        let profile = if key.short_tag { Profile::Aes128CmSha1_32 } else { Profile::Aes128CmSha1_80 };
        let (secret, salt) = key.bytes.split_at(KEY_AND_SALT.min(profile.key_len()));
        let (ours, theirs) = (MasterKey::new(profile, secret, salt)?, MasterKey::new(profile, secret, salt)?);
        Ok(Self { sealer: Sealer::new(ours)?, opener: Opener::new(&theirs)?, state: None })
    }

    /// Seals the packet `room[..len]` of `ssrc`.
    fn seal(&mut self, ssrc: u32, room: &mut [u8], len: usize) -> Option<usize> {
        if self.state.as_ref().is_none_or(|s| s.ssrc() != ssrc) {
            // A sender that began anew: the old one's indices are kept, should it come back.
            if let Some(old) = self.state.take() {
                self.sealer.release(old).ok()?;
            }
            self.state = self.sealer.claim(ssrc, LATE).ok();
        }
        let state = self.state.as_mut()?;
        let header_len = rtp_header_len(room.get(..len)?).ok()?;
        match self.sealer.protect_rtp_with(state, header_len, room, len) {
            Err(SrtpError::IndexNotAscending) => {
                self.sealer.protect_late_rtp(state, header_len, room, len).ok()
            }
            sealed => sealed.ok(),
        }
    }
}

impl Outlet {
    /// `path` is where its packets go, `feedback` the socket of its feedback port.
    ///
    /// # Errors
    /// The key is none.
    pub(crate) fn new(forward: &Forward, path: Path, feedback: Option<usize>) -> Result<Self, SrtpError> {
        let chosen = match forward.layers {
            Layers::All => Chosen::All,
            Layers::Substream(n) => Chosen::Substream(n),
            Layers::Best => Chosen::Best(Box::new(Merged::new(forward.ssrc.or(Some(forward.id))))),
        };
        let seal = forward.key.as_ref().map(|key| Seal::new(key).map(Box::new)).transpose()?;
        let Forward { id, payload_type, ssrc, .. } = *forward;
        Ok(Self { id, path, payload_type, ssrc, chosen, seal, feedback })
    }

    pub(super) fn merged(&mut self) -> Option<&mut Merged> {
        match &mut self.chosen {
            Chosen::Best(merged) => Some(merged),
            Chosen::All | Chosen::Substream(_) => None,
        }
    }

    /// Sends a packet, if it takes it: whether it did. `None`: there was no room.
    fn put(
        &mut self,
        egress: &mut Egress,
        packet: &Ready,
        bytes: &[u8],
        (layout, structure): (Option<Layout>, Option<&DependencyStructure>),
        extensions: &SinkExtensions,
        now_us: u64,
    ) -> Option<bool> {
        let mut header = packet.header;
        header.payload_type = self.payload_type.unwrap_or(header.payload_type);
        header.ssrc = self.ssrc.unwrap_or(header.ssrc);
        let room = egress.room();
        let len = match &mut self.chosen {
            Chosen::Substream(n) if usize::from(*n) != packet.source => return Some(false),
            Chosen::All | Chosen::Substream(_) => {
                let copy = room.get_mut(..bytes.len())?;
                copy.copy_from_slice(bytes);
                patch_header(copy, &header).ok()?;
                bytes.len()
            }
            Chosen::Best(merged) => {
                let view = RtpView::with_header(bytes, packet.header).ok()?;
                let Some(mut rewrite) = merged.take(packet, &view, layout, structure, now_us) else {
                    return Some(false);
                };
                rewrite.payload_type = header.payload_type;
                header.ssrc = rewrite.ssrc;
                let source = SourcePacket { view, extensions: packet.extensions };
                write_packet(room, &source, &rewrite, &Stamp::default(), extensions).ok()?
            }
        };
        let sealed = match &mut self.seal {
            Some(seal) => seal.seal(header.ssrc, room, len),
            None => Some(len),
        };
        // What cannot be sealed came far too late.
        if let Some(len) = sealed {
            egress.commit(len, self.path);
        }
        Some(sealed.is_some())
    }

    /// Whether what came to its feedback port asks for a keyframe.
    fn wants_keyframe(&mut self, bytes: &mut [u8]) -> bool {
        // Seen through the seal, too: the first eight bytes are in the clear (RFC 3711 section 3.4). Receivers seal with keys
        // of their own, or not at all, and anybody may ask for the keyframes of what is not sealed.
        if let [version, FEEDBACK, ..] = *bytes
            && matches!(version, PLI | FIR)
            && bytes.len() >= SHORTEST
        {
            return true;
        }
        let len = match &mut self.seal {
            Some(seal) => seal.opener.unprotect_rtcp(bytes).unwrap_or(bytes.len()),
            None => bytes.len(),
        };
        let Some(Ok(compound)) = bytes.get(..len).map(Compound::parse) else { return false };
        compound.into_iter().any(|packet| matches!(packet, Ok(Rtcp::Pli { .. } | Rtcp::Fir { .. })))
    }
}

impl Peer {
    /// Forwards what comes in on a line from now on.
    pub(crate) fn add_outlet(&mut self, cx: &mut PeerCx<'_>, line: usize, outlet: Outlet, now: Instant) {
        if let Some(l) = self.lines.get_mut(line) {
            l.outlets.push(outlet);
            self.request_keyframe(cx, line, None, now);
        }
    }

    /// Ends a forwarder; gives the socket of its feedback port, if it had one.
    pub(crate) fn remove_outlet(&mut self, line: usize, id: u32) -> Option<usize> {
        let l = self.lines.get_mut(line)?;
        let at = l.outlets.iter().position(|o| o.id == id)?;
        l.outlets.remove(at).feedback
    }

    /// Sockets of all feedback ports.
    pub(crate) fn feedback_sockets(&self) -> impl Iterator<Item = usize> {
        self.lines.iter().flat_map(|l| &l.outlets).filter_map(|o| o.feedback)
    }

    /// How many forwarders take packets of a line now.
    pub(crate) fn outlets(&self, line: usize) -> usize {
        self.lines.get(line).filter(|l| !l.withheld).map_or(0, |l| l.outlets.len())
    }

    /// All forwarders.
    pub(crate) fn count_outlets(&self) -> usize {
        self.lines.iter().map(|l| l.outlets.len()).sum()
    }

    /// Packets of a line, all of one source, for its forwarder `n`.
    pub(crate) fn send_out<'a>(
        &mut self,
        cx: &mut PeerCx<'_>,
        (line, n): (usize, usize),
        packets: impl Iterator<Item = (&'a Ready, &'a [u8])>,
        structure: Option<&DependencyStructure>,
        now: Instant,
    ) {
        let now_us = cx.clock.micros(now);
        let Some(l) = self.lines.get_mut(line) else { return };
        let layout = l.layout();
        let Some(outlet) = l.outlets.get_mut(n) else { return };
        // Others copy packets as they came.
        let extensions = match outlet.chosen {
            Chosen::Best(_) => SinkExtensions::new(kept_extensions(l.extensions), None),
            Chosen::All | Chosen::Substream(_) => SinkExtensions::default(),
        };
        for (packet, bytes) in packets {
            match outlet.put(cx.egress, packet, bytes, (layout, structure), &extensions, now_us) {
                Some(sent) => self.forwarded += u64::from(sent),
                None => self.refused.no_room += 1,
            }
        }
        let wishes = outlet.merged().map(Merged::wishes);
        for substream in wishes.into_iter().flatten() {
            self.request_keyframe(cx, line, substream, now);
        }
    }

    /// Something came to the feedback port of a forwarder.
    pub(crate) fn on_feedback(
        &mut self,
        cx: &mut PeerCx<'_>,
        (line, id): (usize, u32),
        bytes: &mut [u8],
        now: Instant,
    ) {
        let outlets = self.lines.get_mut(line).map(|l| l.outlets.as_mut_slice()).unwrap_or_default();
        let Some(outlet) = outlets.iter_mut().find(|o| o.id == id) else { return };
        if outlet.wants_keyframe(bytes) {
            let substream = match outlet.chosen {
                Chosen::Substream(n) => Some(n),
                Chosen::All | Chosen::Best(_) => None,
            };
            self.request_keyframe(cx, line, substream, now);
        }
    }
}

/// Sends a message of a data channel as a datagram to each forwarder; how many got it, and how many did not.
pub(super) fn send_message_out(lines: &[Line], egress: &mut Egress, payload: &[u8]) -> (u64, u64) {
    let data = lines.iter().filter(|l| matches!(l.kind, MediaKind::Data) && !l.withheld);
    data.flat_map(|l| &l.outlets).fold((0, 0), |(sent, refused), outlet| {
        match egress.push(payload, outlet.path) {
            true => (sent + 1, refused),
            false => (sent, refused + 1),
        }
    })
}
