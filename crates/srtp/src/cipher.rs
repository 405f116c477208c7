//! The transforms: one session key that seals and opens RTP, or RTCP, in place.
//!
//! Nothing here knows indices beyond the one it is given: order and replay are the callers' business. AES key
//! schedules are wiped when dropped, the SHA-1 states behind the HMAC keys are not (their crate has no way to).
//! Both RustCrypto crates choose AES-NI and SHA-NI at run time, so no build flags are needed.

use crate::keys::{Label, MasterKey};
use crate::packet::MAX_PACKET_LEN;
use crate::{Error, PacketIndex, Profile};
use aes::Aes128Enc;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipherCore};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use ctr::flavors::Ctr128BE;
use sha1::{Digest, Sha1};

/// Clear octets at the head of RTCP: first header and sender's SSRC.
const RTCP_CLEAR: usize = 8;
/// The E flag of the SRTCP index word (RFC 3711, 3.4).
const ENCRYPTED: u32 = 1 << 31;
const INDEX_WORD: usize = 4;

/// Whether the keys are for RTP or RTCP: they differ in the labels and in the tag length of the `_32` profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Rtp,
    Rtcp,
}

/// The session keys of one direction and kind, ready to use.
pub(crate) enum Cipher {
    Gcm(Gcm),
    Cm(Box<Cm>),
}

impl Cipher {
    pub(crate) fn new(master: &MasterKey, kind: Kind) -> Result<Self, Error> {
        let profile = master.profile();
        let (encryption, authentication, salt, tag_len) = match kind {
            Kind::Rtp => {
                (Label::RtpEncryption, Label::RtpAuthentication, Label::RtpSalt, profile.rtp_tag_len())
            }
            Kind::Rtcp => {
                (Label::RtcpEncryption, Label::RtcpAuthentication, Label::RtcpSalt, profile.rtcp_tag_len())
            }
        };
        match profile {
            Profile::AeadAes128Gcm => {
                Gcm::new(master.derive::<16>(encryption)?.as_slice(), *master.derive(salt)?).map(Self::Gcm)
            }
            Profile::AeadAes256Gcm => {
                Gcm::new(master.derive::<32>(encryption)?.as_slice(), *master.derive(salt)?).map(Self::Gcm)
            }
            Profile::Aes128CmSha1_80 | Profile::Aes128CmSha1_32 => {
                let (key, salt) = (master.derive(encryption)?, master.derive(salt)?);
                Ok(Self::Cm(Box::new(Cm::new(&key, &salt, &*master.derive(authentication)?, tag_len))))
            }
        }
    }

    /// Seals `buf[..len]`, whose first `header_len` octets stay clear; yields the new length.
    pub(crate) fn seal_rtp(
        &self,
        ssrc: u32,
        index: PacketIndex,
        header_len: usize,
        buf: &mut [u8],
        len: usize,
    ) -> Result<usize, Error> {
        if len > MAX_PACKET_LEN {
            return Err(Error::Malformed);
        }
        let (packet, room) = buf.split_at_mut_checked(len).ok_or(Error::BufferTooSmall)?;
        match self {
            Self::Gcm(gcm) => {
                let room = room.first_chunk_mut::<MAX_TAG_LEN>().ok_or(Error::BufferTooSmall)?;
                let (header, payload) = packet.split_at_mut_checked(header_len).ok_or(Error::Malformed)?;
                gcm.seal(gcm.rtp_nonce(ssrc, index), header, payload, room)?;
                Ok(len + MAX_TAG_LEN)
            }
            Self::Cm(cm) => {
                let room = room.get_mut(..cm.tag_len).ok_or(Error::BufferTooSmall)?;
                let payload = packet.get_mut(header_len..).ok_or(Error::Malformed)?;
                cm.xor(ssrc, index.get(), payload);
                copy_prefix(room, &cm.mac(packet, &index.roc().to_be_bytes()));
                Ok(len + cm.tag_len)
            }
        }
    }

    /// Opens a packet with a clear header of `header_len` octets; yields its length without the tag.
    pub(crate) fn open_rtp(
        &self,
        ssrc: u32,
        index: PacketIndex,
        header_len: usize,
        packet: &mut [u8],
    ) -> Result<usize, Error> {
        match self {
            Self::Gcm(gcm) => {
                let (header, sealed) = packet.split_at_mut_checked(header_len).ok_or(Error::Malformed)?;
                Ok(header_len + gcm.open(gcm.rtp_nonce(ssrc, index), header, sealed)?)
            }
            Self::Cm(cm) => {
                let len = packet.len().checked_sub(cm.tag_len).ok_or(Error::Malformed)?;
                let (packet, tag) = packet.split_at_mut_checked(len).ok_or(Error::Malformed)?;
                // A header that reaches into the tag leaves no payload to cut off.
                packet.get(header_len..).ok_or(Error::Malformed)?;
                cm.verify(packet, &index.roc().to_be_bytes(), tag)?;
                cm.xor(ssrc, index.get(), packet.get_mut(header_len..).ok_or(Error::Malformed)?);
                Ok(len)
            }
        }
    }

    /// Seals the RTCP packet `buf[..len]` under a 31-bit index; yields the new length.
    pub(crate) fn seal_rtcp(
        &self,
        ssrc: u32,
        index: u32,
        buf: &mut [u8],
        len: usize,
    ) -> Result<usize, Error> {
        let word = (index | ENCRYPTED).to_be_bytes();
        let (packet, room) = buf.split_at_mut_checked(len).ok_or(Error::BufferTooSmall)?;
        match self {
            // RFC 7714, 9.2: ciphertext, tag, index word.
            Self::Gcm(gcm) => {
                let (tag, room) = room.split_first_chunk_mut::<MAX_TAG_LEN>().ok_or(Error::BufferTooSmall)?;
                let room = room.first_chunk_mut::<INDEX_WORD>().ok_or(Error::BufferTooSmall)?;
                let (clear, payload) =
                    packet.split_first_chunk_mut::<RTCP_CLEAR>().ok_or(Error::Malformed)?;
                gcm.seal(gcm.rtcp_nonce(ssrc, index), &rtcp_aad(clear, word), payload, tag)?;
                *room = word;
                Ok(len + MAX_TAG_LEN + INDEX_WORD)
            }
            // RFC 3711, 3.4: ciphertext, index word, tag.
            Self::Cm(cm) => {
                let (room, tag) = room.split_first_chunk_mut::<INDEX_WORD>().ok_or(Error::BufferTooSmall)?;
                let tag = tag.get_mut(..cm.tag_len).ok_or(Error::BufferTooSmall)?;
                cm.xor(ssrc, u64::from(index), packet.get_mut(RTCP_CLEAR..).ok_or(Error::Malformed)?);
                copy_prefix(tag, &cm.mac(packet, &word));
                *room = word;
                Ok(len + INDEX_WORD + cm.tag_len)
            }
        }
    }

    /// The index an SRTCP packet claims.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is too short, [`Error::NotEncrypted`] if the E flag is clear.
    pub(crate) fn rtcp_index(&self, packet: &[u8]) -> Result<u32, Error> {
        let (behind, tag_len) = match self {
            Self::Gcm(_) => (0, MAX_TAG_LEN),
            Self::Cm(cm) => (cm.tag_len, cm.tag_len),
        };
        if packet.len() < RTCP_CLEAR + tag_len + INDEX_WORD {
            return Err(Error::Malformed);
        }
        let end = packet.len().checked_sub(behind).ok_or(Error::Malformed)?;
        let word = packet.get(..end).and_then(<[u8]>::last_chunk).ok_or(Error::Malformed)?;
        let word = u32::from_be_bytes(*word);
        if word & ENCRYPTED == 0 { Err(Error::NotEncrypted) } else { Ok(word & !ENCRYPTED) }
    }

    /// Opens an SRTCP packet of the given index; yields its length without tag and index word.
    pub(crate) fn open_rtcp(&self, ssrc: u32, index: u32, packet: &mut [u8]) -> Result<usize, Error> {
        let word = (index | ENCRYPTED).to_be_bytes();
        match self {
            Self::Gcm(gcm) => {
                let end = packet.len().checked_sub(INDEX_WORD).ok_or(Error::Malformed)?;
                let packet = packet.get_mut(..end).ok_or(Error::Malformed)?;
                let (clear, sealed) = packet.split_first_chunk_mut::<RTCP_CLEAR>().ok_or(Error::Malformed)?;
                Ok(RTCP_CLEAR + gcm.open(gcm.rtcp_nonce(ssrc, index), &rtcp_aad(clear, word), sealed)?)
            }
            Self::Cm(cm) => {
                let len = packet.len().checked_sub(INDEX_WORD + cm.tag_len).ok_or(Error::Malformed)?;
                let (packet, trailer) = packet.split_at_mut_checked(len).ok_or(Error::Malformed)?;
                let (_, tag) = trailer.split_at_checked(INDEX_WORD).ok_or(Error::Malformed)?;
                cm.verify(packet, &word, tag)?;
                cm.xor(ssrc, u64::from(index), packet.get_mut(RTCP_CLEAR..).ok_or(Error::Malformed)?);
                Ok(len)
            }
        }
    }
}

/// AES-GCM with the salt of RFC 7714.
pub(crate) struct Gcm {
    key: LessSafeKey,
    salt: u128,
}

impl Gcm {
    pub(crate) fn new(key: &[u8], salt: [u8; 12]) -> Result<Self, Error> {
        let algorithm = if key.len() == 32 { &AES_256_GCM } else { &AES_128_GCM };
        let key = UnboundKey::new(algorithm, key).map_err(|_| Error::KeyLength)?;
        let salt = salt.iter().fold(0u128, |n, octet| n << 8 | u128::from(*octet));
        Ok(Self { key: LessSafeKey::new(key), salt })
    }

    /// RFC 7714, 8.1: two zero octets, SSRC, roll-over count, sequence number.
    fn rtp_nonce(&self, ssrc: u32, index: PacketIndex) -> Nonce {
        self.nonce(u128::from(ssrc) << 48 | u128::from(index.get()))
    }

    /// RFC 7714, 9.1: two zero octets, SSRC, two zero octets, index.
    fn rtcp_nonce(&self, ssrc: u32, index: u32) -> Nonce {
        self.nonce(u128::from(ssrc) << 48 | u128::from(index))
    }

    fn nonce(&self, value: u128) -> Nonce {
        let [_, _, _, _, nonce @ ..] = (value ^ self.salt).to_be_bytes();
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(
        &self,
        nonce: Nonce,
        aad: &[u8],
        payload: &mut [u8],
        room: &mut [u8; MAX_TAG_LEN],
    ) -> Result<(), Error> {
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(aad), payload);
        copy_prefix(room, tag.map_err(|_| Error::Malformed)?.as_ref());
        Ok(())
    }

    fn open(&self, nonce: Nonce, aad: &[u8], sealed: &mut [u8]) -> Result<usize, Error> {
        if sealed.len() < MAX_TAG_LEN {
            return Err(Error::Malformed);
        }
        let payload = self.key.open_in_place(nonce, Aad::from(aad), sealed);
        payload.map(|p| p.len()).map_err(|_| Error::Authentication)
    }
}

/// AES in counter mode with HMAC-SHA1, both with their key work done once.
pub(crate) struct Cm {
    aes: Aes128Enc,
    /// Session salt * 2^16 (RFC 3711, 4.1.1).
    salt: u128,
    /// SHA-1 after the block of the key XOR ipad.
    inner: Sha1,
    /// SHA-1 after the block of the key XOR opad.
    outer: Sha1,
    tag_len: usize,
}

impl Cm {
    pub(crate) fn new(key: &[u8; 16], salt: &[u8; 14], auth: &[u8; 20], tag_len: usize) -> Self {
        let pad = |with: u8| {
            let mut block = [with; 64];
            block.iter_mut().zip(auth).for_each(|(b, k)| *b ^= k);
            let state = Sha1::new().chain_update(block);
            zeroize::Zeroize::zeroize(&mut block);
            state
        };
        let salt = salt.iter().fold(0u128, |n, octet| n << 8 | u128::from(*octet)) << 16;
        Self { aes: Aes128Enc::new(key.into()), salt, inner: pad(0x36), outer: pad(0x5c), tag_len }
    }

    /// Adds the key stream of a packet.
    pub(crate) fn xor(&self, ssrc: u32, index: u64, payload: &mut [u8]) {
        let iv = (self.salt ^ u128::from(ssrc) << 64 ^ u128::from(index) << 16).to_be_bytes();
        let core = ctr::CtrCore::<_, Ctr128BE>::inner_iv_init(&self.aes, &iv.into());
        core.apply_keystream_partial(payload.into());
    }

    /// HMAC-SHA1 of the packet followed by what is authenticated beside it.
    fn mac(&self, packet: &[u8], beside: &[u8; 4]) -> [u8; 20] {
        let inner = self.inner.clone().chain_update(packet).chain_update(beside).finalize();
        self.outer.clone().chain_update(inner).finalize().into()
    }

    fn verify(&self, packet: &[u8], beside: &[u8; 4], tag: &[u8]) -> Result<(), Error> {
        let mac = self.mac(packet, beside);
        let expected = mac.get(..self.tag_len).ok_or(Error::Authentication)?;
        verify_slices_are_equal(expected, tag).map_err(|_| Error::Authentication)
    }
}

/// RFC 7714, 9.2: the clear octets and the index word are authenticated, in this order.
fn rtcp_aad(clear: &[u8; RTCP_CLEAR], word: [u8; INDEX_WORD]) -> [u8; RTCP_CLEAR + INDEX_WORD] {
    let [a, b, c, d, e, f, g, h] = *clear;
    let [i, j, k, l] = word;
    [a, b, c, d, e, f, g, h, i, j, k, l]
}

fn copy_prefix(to: &mut [u8], from: &[u8]) {
    to.iter_mut().zip(from).for_each(|(t, f)| *t = *f);
}

#[cfg(test)]
mod tests;
