//! The receiving side: finds the index, refuses replays, opens.

use crate::cipher::{Cipher, Kind};
use crate::index::{Standing, Window, estimate};
use crate::packet::{rtcp_ssrc, rtp_header_len, rtp_seq_ssrc};
use crate::{Error, MasterKey, PacketIndex, Profile};
use std::fmt;

/// Longest replay window, in packets.
pub const MAX_REPLAY_WINDOW: usize = 4096;

/// What bounds the memory of an [`Opener`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenerLimits {
    /// How many of the latest indices of an SSRC are told from replays. Rounded up to a power of two, at least
    /// 64 (RFC 3711, 3.3.2), at most [`MAX_REPLAY_WINDOW`].
    pub replay_window: usize,
    /// SSRCs tracked, RTP and RTCP each. One more pushes out the one that was silent longest, whose roll-over
    /// count and window are lost then; only the holder of the key can make that happen.
    pub max_streams: usize,
}

impl Default for OpenerLimits {
    fn default() -> Self {
        Self { replay_window: 128, max_streams: 64 }
    }
}

/// An opened RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Length of the plain packet, from the start of the buffer.
    pub len: usize,
    /// Length of the header in it, CSRCs and extension included.
    pub header_len: usize,
    /// The SSRC, now authenticated.
    pub ssrc: u32,
    /// The extended sequence number.
    pub index: PacketIndex,
}

/// Opens what we receive on one connection.
pub struct Opener {
    profile: Profile,
    rtp: Cipher,
    rtcp: Cipher,
    streams: Streams,
    reports: Streams,
}

impl Opener {
    /// From the peer's sending key, with the default limits.
    ///
    /// # Errors
    /// [`Error::KeyLength`] if the cipher does not take the key.
    pub fn new(master: &MasterKey) -> Result<Self, Error> {
        Self::with_limits(master, OpenerLimits::default())
    }

    /// As [`Self::new`].
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_limits(master: &MasterKey, limits: OpenerLimits) -> Result<Self, Error> {
        Ok(Self {
            profile: master.profile(),
            rtp: Cipher::new(master, Kind::Rtp)?,
            rtcp: Cipher::new(master, Kind::Rtcp)?,
            streams: Streams::new(limits),
            reports: Streams::new(limits),
        })
    }

    /// The profile in use.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The highest index opened of an SSRC.
    pub fn highest(&self, ssrc: u32) -> Option<PacketIndex> {
        self.streams.get(ssrc).and_then(|s| s.window.highest()).and_then(PacketIndex::new)
    }

    /// Opens an SRTP packet in place. `buf` is the whole packet; the plain one is `buf[..len]` of the result.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Replay`], [`Error::TooOld`], [`Error::Authentication`],
    /// [`Error::IndexExhausted`]. No state has changed then.
    pub fn unprotect_rtp(&mut self, buf: &mut [u8]) -> Result<Opened, Error> {
        let header_len = rtp_header_len(buf)?;
        let (seq, ssrc) = rtp_seq_ssrc(buf)?;
        let at = self.streams.find(ssrc);
        let stream = at.and_then(|at| self.streams.list.get(at));
        let highest = stream.and_then(|s| s.window.highest()).and_then(PacketIndex::new);
        let index = estimate(highest, seq).ok_or(Error::IndexExhausted)?;
        if let Some(stream) = stream {
            stream.check(index.get())?;
        }
        let len = self.rtp.open_rtp(ssrc, index, header_len, buf)?;
        self.streams.mark(at, ssrc, index.get());
        Ok(Opened { len, header_len, ssrc, index })
    }

    /// Opens an SRTCP packet in place; yields the length of the plain compound packet.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::NotEncrypted`], [`Error::Replay`], [`Error::TooOld`],
    /// [`Error::Authentication`]. No state has changed then.
    pub fn unprotect_rtcp(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let ssrc = rtcp_ssrc(buf)?;
        let index = self.rtcp.rtcp_index(buf)?;
        let at = self.reports.find(ssrc);
        if let Some(stream) = at.and_then(|at| self.reports.list.get(at)) {
            stream.check(u64::from(index))?;
        }
        let len = self.rtcp.open_rtcp(ssrc, index, buf)?;
        self.reports.mark(at, ssrc, u64::from(index));
        Ok(len)
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener")
            .field("profile", &self.profile)
            .field("streams", &self.streams.list.len())
            .finish_non_exhaustive()
    }
}

/// The replay windows of the SSRCs heard last.
struct Streams {
    list: Vec<Stream>,
    /// Where the last packet's stream is: mostly the next one's too.
    last: usize,
    /// Counts packets, to know the stream silent longest.
    clock: u64,
    limits: OpenerLimits,
}

struct Stream {
    ssrc: u32,
    heard: u64,
    window: Window,
}

impl Streams {
    fn new(limits: OpenerLimits) -> Self {
        let limits = OpenerLimits {
            replay_window: limits.replay_window.clamp(64, MAX_REPLAY_WINDOW),
            max_streams: limits.max_streams.max(1),
        };
        Self { list: Vec::new(), last: 0, clock: 0, limits }
    }

    fn get(&self, ssrc: u32) -> Option<&Stream> {
        self.find(ssrc).and_then(|at| self.list.get(at))
    }

    fn find(&self, ssrc: u32) -> Option<usize> {
        if self.list.get(self.last).is_some_and(|s| s.ssrc == ssrc) {
            return Some(self.last);
        }
        self.list.iter().position(|s| s.ssrc == ssrc)
    }

    /// Remembers an authenticated index. `at` is what [`Self::find`] said of the SSRC.
    fn mark(&mut self, at: Option<usize>, ssrc: u32, index: u64) {
        self.clock += 1;
        let at = at.unwrap_or_else(|| self.admit(ssrc));
        if let Some(stream) = self.list.get_mut(at) {
            stream.heard = self.clock;
            stream.window.mark(index);
            self.last = at;
        }
    }

    /// Makes a place for a new SSRC, at the cost of the one silent longest if all are taken.
    fn admit(&mut self, ssrc: u32) -> usize {
        if self.list.len() < self.limits.max_streams {
            self.list.push(Stream { ssrc, heard: 0, window: Window::new(self.limits.replay_window) });
            return self.list.len() - 1;
        }
        let oldest = self.list.iter().enumerate().min_by_key(|(_, s)| s.heard).map_or(0, |(at, _)| at);
        if let Some(stream) = self.list.get_mut(oldest) {
            stream.ssrc = ssrc;
            stream.window.clear();
        }
        oldest
    }
}

impl Stream {
    fn check(&self, index: u64) -> Result<(), Error> {
        match self.window.standing(index) {
            Standing::Ahead | Standing::Gap => Ok(()),
            Standing::Seen => Err(Error::Replay),
            Standing::TooOld => Err(Error::TooOld),
        }
    }
}

#[cfg(test)]
mod tests;
