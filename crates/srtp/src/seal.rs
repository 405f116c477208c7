//! The sending side: counts indices and makes sure that none seals two packets.

use crate::cipher::{Cipher, Kind};
use crate::index::{Standing, Window, estimate};
use crate::packet::{rtcp_ssrc, rtp_header_len, rtp_seq_ssrc};
use crate::{Error, MasterKey, PacketIndex, Profile};
use std::fmt;
use std::sync::Arc;

/// Most SSRCs one key sends RTP with, and most it sends RTCP with. None is ever forgotten, since a forgotten one
/// would start again at index 0; when they are used up, new ones are refused.
pub const MAX_SEND_STREAMS: usize = 4096;
/// Most sealed packets a [`SendState`] can be asked to remember.
pub const MAX_KEPT: usize = 4096;

/// The last SRTCP index (RFC 3711, 3.4: 31 bits).
const MAX_RTCP_INDEX: u32 = (1 << 31) - 1;

/// Seals what we send on one connection.
pub struct Sealer {
    profile: Profile,
    rtp: Cipher,
    rtcp: Cipher,
    /// By SSRC; `None` while the state is lent out.
    streams: Vec<(u32, Option<SendState>)>,
    /// By SSRC: the index of the next packet.
    reports: Vec<(u32, u32)>,
    /// Marks the states that are ours.
    mark: Arc<()>,
}

/// What has been sealed of one SSRC. Lent by [`Sealer::claim`], so that the owner of a stream seals without a
/// look-up; there is one per SSRC and sealer. One that is dropped instead of released leaves its SSRC unusable,
/// which is the safe side.
pub struct SendState {
    ssrc: u32,
    sealed: Window,
    /// The first octets of the tag of each packet in `sealed`, by index: the identity of what was sent.
    tags: Box<[[u8; 4]]>,
    mark: Arc<()>,
}

impl Sealer {
    /// Takes the master key of our sending direction.
    ///
    /// # Errors
    /// [`Error::KeyLength`] if the cipher does not take the key.
    pub fn new(master: MasterKey) -> Result<Self, Error> {
        Ok(Self {
            profile: master.profile(),
            rtp: Cipher::new(&master, Kind::Rtp)?,
            rtcp: Cipher::new(&master, Kind::Rtcp)?,
            streams: Vec::new(),
            reports: Vec::new(),
            mark: Arc::new(()),
        })
    }

    /// The profile in use; it says how much room the tags need.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Lends out the state of an SSRC. `keep` is how many of the latest packets can be resent by
    /// [`Self::reprotect_rtp`] or filled in by [`Self::protect_late_rtp`]: rounded up to a power of two of at
    /// least 64, at most [`MAX_KEPT`], 4.1 octets each; 0 if neither is needed.
    ///
    /// A state that was released continues where it was; if it comes back with another `keep`, earlier packets
    /// cannot be resent or filled in any more.
    ///
    /// # Errors
    /// [`Error::WrongState`] if it is lent out already, [`Error::TooManyStreams`].
    pub fn claim(&mut self, ssrc: u32, keep: usize) -> Result<SendState, Error> {
        let at = self.stream(ssrc, keep)?;
        let slot = self.streams.get_mut(at).ok_or(Error::TooManyStreams)?;
        let mut state = slot.1.take().ok_or(Error::WrongState)?;
        state.keep(keep);
        Ok(state)
    }

    /// Takes a state back; the SSRC may be claimed again later and goes on ascending.
    ///
    /// # Errors
    /// [`Error::WrongState`] if it was not lent by this sealer. The state is lost then.
    pub fn release(&mut self, state: SendState) -> Result<(), Error> {
        if !Arc::ptr_eq(&self.mark, &state.mark) {
            return Err(Error::WrongState);
        }
        let at = self.streams.binary_search_by_key(&state.ssrc, |s| s.0).map_err(|_| Error::WrongState)?;
        let slot = self.streams.get_mut(at).ok_or(Error::WrongState)?;
        slot.1 = Some(state);
        Ok(())
    }

    /// Seals the RTP packet `buf[..len]` in place; [`Profile::rtp_tag_len`] octets of room must follow. Yields
    /// the new length. The index follows from the sequence number (RFC 3711, 3.3.1), so one that lies 2^15 or
    /// more ahead counts as one behind, here as at every receiver.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::BufferTooSmall`], [`Error::IndexNotAscending`],
    /// [`Error::IndexExhausted`], [`Error::TooManyStreams`], [`Error::WrongState`] if the SSRC's state is lent
    /// out.
    pub fn protect_rtp(&mut self, buf: &mut [u8], len: usize) -> Result<usize, Error> {
        let packet = buf.get(..len).ok_or(Error::BufferTooSmall)?;
        let header_len = rtp_header_len(packet)?;
        let (_, ssrc) = rtp_seq_ssrc(packet)?;
        let at = self.stream(ssrc, 0)?;
        let mut state = self.streams.get_mut(at).and_then(|s| s.1.take()).ok_or(Error::WrongState)?;
        let sealed = self.protect_rtp_with(&mut state, header_len, buf, len);
        if let Some(slot) = self.streams.get_mut(at) {
            slot.1 = Some(state);
        }
        sealed
    }

    /// [`Self::protect_rtp`] for the owner of a claimed stream who knows the header length (CSRCs and extension
    /// included): no look-up, no parsing.
    ///
    /// # Errors
    /// As [`Self::protect_rtp`]; [`Error::WrongState`] if `state` is not the one of the packet's SSRC.
    pub fn protect_rtp_with(
        &self,
        state: &mut SendState,
        header_len: usize,
        buf: &mut [u8],
        len: usize,
    ) -> Result<usize, Error> {
        let seq = self.check(state, header_len, buf, len)?;
        let index = estimate(state.highest(), seq).ok_or(Error::IndexExhausted)?;
        if state.sealed.standing(index.get()) != Standing::Ahead {
            return Err(Error::IndexNotAscending);
        }
        let sealed = self.rtp.seal_rtp(state.ssrc, index, header_len, buf, len)?;
        state.remember(index, tag_head(buf, len));
        Ok(sealed)
    }

    /// Seals a packet for the first time although later ones were sealed before: one that reached us late. Its
    /// index must lie within the packets kept (see [`Self::claim`]) and never have been used.
    ///
    /// # Errors
    /// As [`Self::protect_rtp_with`], and [`Error::TooOld`].
    pub fn protect_late_rtp(
        &self,
        state: &mut SendState,
        header_len: usize,
        buf: &mut [u8],
        len: usize,
    ) -> Result<usize, Error> {
        let seq = self.check(state, header_len, buf, len)?;
        let index = estimate(state.highest(), seq).ok_or(Error::IndexExhausted)?;
        match state.sealed.standing(index.get()) {
            Standing::Ahead | Standing::Gap => {}
            Standing::Seen => return Err(Error::IndexNotAscending),
            Standing::TooOld => return Err(Error::TooOld),
        }
        let sealed = self.rtp.seal_rtp(state.ssrc, index, header_len, buf, len)?;
        state.remember(index, tag_head(buf, len));
        Ok(sealed)
    }

    /// Rebuilds a sealed packet for a plain retransmission. The caller passes the packet exactly as it was
    /// before it was sealed, and the index it was sealed under ([`SendState::highest`] right afterwards). If the
    /// result is not what was sealed then, the buffer is wiped and nothing may be sent. Never moves the state.
    ///
    /// # Errors
    /// [`Error::NotIdentical`] if the packet differs or was never sealed, [`Error::TooOld`] if it is no longer
    /// kept (see [`Self::claim`]), [`Error::WrongState`], [`Error::Malformed`], [`Error::BufferTooSmall`].
    pub fn reprotect_rtp(
        &self,
        state: &SendState,
        index: PacketIndex,
        header_len: usize,
        buf: &mut [u8],
        len: usize,
    ) -> Result<usize, Error> {
        let seq = self.check(state, header_len, buf, len)?;
        match state.sealed.standing(index.get()) {
            Standing::Seen if seq == index.seq() => {}
            Standing::TooOld => return Err(Error::TooOld),
            _ => return Err(Error::NotIdentical),
        }
        let sealed = self.rtp.seal_rtp(state.ssrc, index, header_len, buf, len)?;
        // Two ciphertexts under one nonce would reveal their plain texts: only the identical one leaves.
        if state.tag(index) != tag_head(buf, len) {
            buf.fill(0);
            return Err(Error::NotIdentical);
        }
        Ok(sealed)
    }

    /// Seals the (compound) RTCP packet `buf[..len]` in place; [`Profile::rtcp_tag_len`] + 4 octets of room must
    /// follow. Yields the new length. The index is counted per SSRC of the first packet in the compound.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::BufferTooSmall`], [`Error::IndexExhausted`], [`Error::TooManyStreams`].
    pub fn protect_rtcp(&mut self, buf: &mut [u8], len: usize) -> Result<usize, Error> {
        let ssrc = rtcp_ssrc(buf.get(..len).ok_or(Error::BufferTooSmall)?)?;
        let at = match self.reports.binary_search_by_key(&ssrc, |r| r.0) {
            Ok(at) => at,
            Err(_) if self.reports.len() >= MAX_SEND_STREAMS => return Err(Error::TooManyStreams),
            Err(at) => {
                self.reports.insert(at, (ssrc, 0));
                at
            }
        };
        let (_, next) = self.reports.get_mut(at).ok_or(Error::TooManyStreams)?;
        if *next > MAX_RTCP_INDEX {
            return Err(Error::IndexExhausted);
        }
        let sealed = self.rtcp.seal_rtcp(ssrc, *next, buf, len)?;
        *next += 1;
        Ok(sealed)
    }

    /// Where the stream is in the table; made if it is new.
    fn stream(&mut self, ssrc: u32, keep: usize) -> Result<usize, Error> {
        match self.streams.binary_search_by_key(&ssrc, |s| s.0) {
            Ok(at) => Ok(at),
            Err(_) if self.streams.len() >= MAX_SEND_STREAMS => Err(Error::TooManyStreams),
            Err(at) => {
                let state = SendState::new(ssrc, keep, Arc::clone(&self.mark));
                self.streams.insert(at, (ssrc, Some(state)));
                Ok(at)
            }
        }
    }

    /// Checks that state, packet and room belong together before anything is written; yields the sequence
    /// number.
    fn check(&self, state: &SendState, header_len: usize, buf: &[u8], len: usize) -> Result<u16, Error> {
        let packet = buf.get(..len).ok_or(Error::BufferTooSmall)?;
        let (seq, ssrc) = rtp_seq_ssrc(packet)?;
        if ssrc != state.ssrc || !Arc::ptr_eq(&self.mark, &state.mark) {
            return Err(Error::WrongState);
        }
        if header_len < 12 || header_len > len {
            return Err(Error::Malformed);
        }
        Ok(seq)
    }
}

impl SendState {
    /// The SSRC it belongs to.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The highest index sealed: the one of the packet that [`Sealer::protect_rtp_with`] sealed last.
    pub fn highest(&self) -> Option<PacketIndex> {
        self.sealed.highest().and_then(PacketIndex::new)
    }

    /// The index [`Sealer::protect_rtp_with`] would use for a sequence number; `None` beyond the last.
    pub fn index_of(&self, seq: u16) -> Option<PacketIndex> {
        estimate(self.highest(), seq)
    }

    fn new(ssrc: u32, keep: usize, mark: Arc<()>) -> Self {
        let sealed = Window::new(keep.min(MAX_KEPT));
        let tags = vec![[0; 4]; sealed.len()].into_boxed_slice();
        Self { ssrc, sealed, tags, mark }
    }

    /// Changes how many packets are kept.
    fn keep(&mut self, keep: usize) {
        let sealed = Window::seen_up_to(self.sealed.highest(), keep.min(MAX_KEPT));
        if sealed.len() != self.sealed.len() {
            self.tags = vec![[0; 4]; sealed.len()].into_boxed_slice();
            self.sealed = sealed;
        }
    }

    fn remember(&mut self, index: PacketIndex, tag: Option<[u8; 4]>) {
        self.sealed.mark(index.get());
        let at = self.sealed.slot(index.get());
        if let (Some(slot), Some(tag)) = (self.tags.get_mut(at), tag) {
            *slot = tag;
        }
    }

    fn tag(&self, index: PacketIndex) -> Option<[u8; 4]> {
        self.tags.get(self.sealed.slot(index.get())).copied()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("profile", &self.profile)
            .field("streams", &self.streams.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SendState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendState")
            .field("ssrc", &self.ssrc)
            .field("highest", &self.highest())
            .field("kept", &self.tags.len())
            .finish_non_exhaustive()
    }
}

/// The first octets of the tag behind a sealed packet. Every profile has at least four.
fn tag_head(buf: &[u8], len: usize) -> Option<[u8; 4]> {
    buf.get(len..).and_then(|tag| tag.first_chunk()).copied()
}

#[cfg(test)]
mod tests;
