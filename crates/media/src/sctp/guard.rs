//! What stands between the peer and rtc-sctp: ports, limits, and chunks that crate handles badly.
//!
//! rtc-sctp 0.21.1 walks a FORWARD-TSN step by step (2^31 of them if asked), keeps any number of early reset requests
//! and of one-byte fragments, takes any stream number, accepts in-sequence data beyond its window, closes the
//! association on an ERROR chunk and discards a packet with an unknown chunk. All that is met here, from the packets
//! alone: what the peer acknowledges, reports and announces is in them.
//!
//! A peer that breaks a limit no honest sender comes near is cut off: [`Violation`].

use std::borrow::Cow;

use bytes::Bytes;

use super::canon::{Form, form};
use super::packet::{
    Chunk, Chunks, DATA, ERROR, FORWARD_TSN, Header, INIT, INIT_ACK, RE_CONFIG, RESET_REQUEST, SACK, build,
    is_after, is_intact, parse,
};

/// The port rtc-sctp believes in, on both sides.
const ENGINE_PORT: u16 = 5000;
/// Streams in each direction. An SCTP stack that has read our INIT never numbers higher.
pub(super) const MAX_STREAMS: u16 = 300;
/// The receive window, which is also what reassembly may hold.
pub(super) const RECEIVE_WINDOW: u32 = 1024 * 1024;
/// DATA chunks held back by reassembly. At full window that is 64 bytes each, where honest fragments have a thousand.
const MAX_HELD_CHUNKS: usize = 16_384;
/// Bytes a peer may send into a closed window; honest ones probe with one chunk.
const MAX_BEYOND_WINDOW: usize = 256 * 1024;
/// How far a FORWARD-TSN may skip at once.
const MAX_SKIP: u32 = 16_384;
/// How far ahead of what is acknowledged DATA may be; gap reports reach no further than twice that.
const MAX_AHEAD: u32 = 32_768;
/// Reset requests that wait for data still on the way.
const MAX_EARLY_RESETS: usize = 256;

/// Why a peer is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A stream number beyond what was negotiated.
    #[error("stream number out of range")]
    Stream,
    /// Too many fragments that never become messages.
    #[error("too many fragments")]
    Fragments,
    /// Too much data against a closed window.
    #[error("receive window ignored")]
    Window,
    /// A FORWARD-TSN far ahead of anything sent.
    #[error("FORWARD-TSN out of range")]
    Skip,
    /// Too many stream resets ahead of their data.
    #[error("too many stream resets")]
    Resets,
}

pub(super) struct Guard {
    local_port: u16,
    remote_port: u16,
    /// The highest TSN we have acknowledged cumulatively; the peer's first minus one before that.
    acknowledged: u32,
    /// The association is up: a handshake chunk is a late copy.
    up: bool,
    window: u32,
    held_chunks: usize,
    beyond_window: usize,
    early_resets: usize,
    last_early_reset: u32,
    dropped: u64,
}

/// A packet let through.
pub(super) struct Admitted {
    pub(super) packet: Bytes,
    /// The initiate tag, if this is an INIT.
    pub(super) init: Option<u32>,
}

impl Guard {
    pub(super) fn new(local_port: u16, remote_port: u16) -> Self {
        Self {
            local_port,
            remote_port,
            acknowledged: 0,
            up: false,
            window: RECEIVE_WINDOW,
            held_chunks: 0,
            beyond_window: 0,
            early_resets: 0,
            last_early_reset: 0,
            dropped: 0,
        }
    }

    /// Judges a packet from the peer; `None` drops it.
    pub(super) fn admit(&mut self, packet: &[u8]) -> Result<Option<Admitted>, Violation> {
        let Some((header, mut chunks)) = parse(packet).filter(|_| is_intact(packet)) else {
            self.dropped += 1;
            return Ok(None);
        };
        if (header.source, header.destination) != (self.remote_port, self.local_port) {
            self.dropped += 1;
            return Ok(None);
        }
        let mut kept: Vec<Cow<'_, [u8]>> = Vec::new();
        let mut init = None;
        let mut changed = (self.local_port, self.remote_port) != (ENGINE_PORT, ENGINE_PORT);
        for chunk in chunks.by_ref() {
            if chunk.kind == INIT {
                init = chunk.u32(0);
            }
            match self.judge(chunk)? {
                Fate::Keep => match form(chunk) {
                    Form::Same => {
                        kept.push(Cow::Borrowed(chunk.raw));
                        continue;
                    }
                    Form::Other(other) => kept.push(Cow::Owned(other)),
                    Form::Unreadable => {}
                },
                Fate::Change(chunk) => kept.push(Cow::Owned(chunk)),
                Fate::Leave => {}
                // RFC 9260 section 3.2: an unknown chunk without the high bit ends the packet.
                Fate::Stop => {
                    chunks = Chunks::default();
                    changed = true;
                    break;
                }
            }
            changed = true;
        }
        // An INIT stands alone (RFC 9260 section 3), and a malformed packet is no packet.
        if kept.is_empty() || chunks.rest() != 0 || init.is_some() && kept.len() != 1 {
            self.dropped += 1;
            return Ok(None);
        }
        let packet = if changed {
            let header = Header { source: ENGINE_PORT, destination: ENGINE_PORT, ..header };
            build(header, kept.iter().map(AsRef::as_ref))
        } else {
            Bytes::copy_from_slice(packet)
        };
        Ok(Some(Admitted { packet, init }))
    }

    /// Notes what a packet of the engine tells the peer, and puts the negotiated ports in.
    pub(super) fn on_sent(&mut self, packet: Bytes) -> Bytes {
        let Some((header, chunks)) = parse(&packet) else { return packet };
        for chunk in chunks {
            if let (SACK, Some(acknowledged), Some(window)) = (chunk.kind, chunk.u32(0), chunk.u32(4)) {
                self.on_sack(acknowledged, window);
            }
        }
        if (header.source, header.destination) == (self.local_port, self.remote_port) {
            return packet;
        }
        let Some((_, chunks)) = parse(&packet) else { return packet };
        let header = Header { source: self.local_port, destination: self.remote_port, ..header };
        build(header, chunks.map(|chunk| chunk.raw))
    }

    /// The association is up.
    pub(super) fn on_up(&mut self) {
        self.up = true;
    }

    /// A message of so many chunks left reassembly.
    pub(super) fn on_delivered(&mut self, chunks: usize) {
        self.held_chunks = self.held_chunks.saturating_sub(chunks);
    }

    /// Packets refused so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn on_sack(&mut self, acknowledged: u32, window: u32) {
        self.acknowledged = acknowledged;
        self.window = window;
        // No chunk holds less than a byte, so this corrects for duplicates, which were counted twice.
        let held = usize::try_from(RECEIVE_WINDOW.saturating_sub(window)).unwrap_or(usize::MAX);
        self.held_chunks = self.held_chunks.min(held);
        if window > 0 {
            self.beyond_window = 0;
        }
        if !is_after(self.last_early_reset, acknowledged) {
            self.early_resets = 0;
        }
    }

    fn judge(&mut self, chunk: Chunk<'_>) -> Result<Fate, Violation> {
        match chunk.kind {
            DATA => self.judge_data(chunk),
            INIT | INIT_ACK if !self.up => {
                // The peer's initial TSN.
                self.acknowledged = chunk.u32(12).unwrap_or(0).wrapping_sub(1);
                Ok(Fate::Keep)
            }
            FORWARD_TSN => match chunk.u32(0) {
                Some(tsn) if is_after(tsn, self.acknowledged.wrapping_add(MAX_SKIP)) => Err(Violation::Skip),
                _ => Ok(Fate::Keep),
            },
            RE_CONFIG => self.judge_reset(chunk),
            // It reports a mistake of ours that there is nothing to be done about.
            ERROR => Ok(Fate::Leave),
            _ if chunk.is_known() => Ok(Fate::Keep),
            kind if kind & 0x80 != 0 => Ok(Fate::Leave),
            _ => Ok(Fate::Stop),
        }
    }

    fn judge_data(&mut self, chunk: Chunk<'_>) -> Result<Fate, Violation> {
        let (Some(tsn), Some(stream), Some(protocol)) = (chunk.u32(0), chunk.u16(4), chunk.u32(8)) else {
            return Ok(Fate::Leave);
        };
        if stream >= MAX_STREAMS {
            return Err(Violation::Stream);
        }
        if is_after(tsn, self.acknowledged.wrapping_add(MAX_AHEAD)) {
            return Ok(Fate::Leave);
        }
        if is_after(tsn, self.acknowledged) {
            self.held_chunks += 1;
            if self.held_chunks > MAX_HELD_CHUNKS {
                return Err(Violation::Fragments);
            }
        }
        if self.window == 0 {
            self.beyond_window += chunk.raw.len();
            if self.beyond_window > MAX_BEYOND_WINDOW {
                return Err(Violation::Window);
            }
        }
        // The deprecated partial identifiers are nothing but binary and text to Janus, and unknown to rtc-sctp.
        let known: u32 = match protocol {
            52 => 53,
            54 => 51,
            _ => return Ok(Fate::Keep),
        };
        let mut changed = chunk.raw.to_vec();
        if let Some(field) = changed.get_mut(12..16) {
            field.copy_from_slice(&known.to_be_bytes());
        }
        Ok(Fate::Change(changed))
    }

    fn judge_reset(&mut self, chunk: Chunk<'_>) -> Result<Fate, Violation> {
        // Type, length, request number, response number, last TSN.
        let (Some(RESET_REQUEST), Some(last)) = (chunk.u16(0), chunk.u32(12)) else { return Ok(Fate::Keep) };
        if is_after(last, self.acknowledged) {
            self.early_resets += 1;
            self.last_early_reset = last;
            if self.early_resets > MAX_EARLY_RESETS {
                return Err(Violation::Resets);
            }
        }
        Ok(Fate::Keep)
    }
}

enum Fate {
    Keep,
    Change(Vec<u8>),
    Leave,
    Stop,
}
