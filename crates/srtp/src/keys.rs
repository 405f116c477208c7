//! Master keys and the derivation of session keys (RFC 3711, 4.3, with a key derivation rate of 0).

use crate::{Error, Profile};
use aes::cipher::{InnerIvInit, KeyInit, StreamCipherCore};
use aes::{Aes128Enc, Aes256Enc};
use ctr::flavors::Ctr128BE;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Longest session key of any kind: AES-256 has 32 octets, HMAC-SHA1's 20.
const MAX_KEY: usize = 32;
const MAX_SALT: usize = 14;

/// Master key and salt of one direction. Not `Clone`: what was given to a [`crate::Sealer`] is gone, so that no
/// second sealer counts indices of its own under the same key. Wiped when dropped.
pub struct MasterKey {
    profile: Profile,
    key: [u8; MAX_KEY],
    /// Right-padded with zeros to 112 bits, as RFC 7714, section 11 wants it for its 96-bit salts.
    salt: [u8; MAX_SALT],
}

impl MasterKey {
    /// A master key from its two parts.
    ///
    /// # Errors
    /// [`Error::KeyLength`] unless the lengths are [`Profile::key_len`] and [`Profile::salt_len`].
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, Error> {
        let mut master = Self { profile, key: [0; MAX_KEY], salt: [0; MAX_SALT] };
        if salt.len() != profile.salt_len() || key.len() != profile.key_len() {
            return Err(Error::KeyLength);
        }
        master.key.get_mut(..key.len()).ok_or(Error::KeyLength)?.copy_from_slice(key);
        master.salt.get_mut(..salt.len()).ok_or(Error::KeyLength)?.copy_from_slice(salt);
        Ok(master)
    }

    /// The keys of both directions from what DTLS exports as `EXTRACTOR-dtls_srtp` (RFC 5764, 4.2): client key,
    /// server key, client salt, server salt. Yields what the DTLS client writes with, then the server.
    ///
    /// # Errors
    /// [`Error::KeyLength`] unless `exported` has [`Profile::export_len`] octets.
    pub fn from_dtls_export(profile: Profile, exported: &[u8]) -> Result<(Self, Self), Error> {
        if exported.len() != profile.export_len() {
            return Err(Error::KeyLength);
        }
        let split = |bytes, at| <[u8]>::split_at_checked(bytes, at).ok_or(Error::KeyLength);
        let (client_key, rest) = split(exported, profile.key_len())?;
        let (server_key, rest) = split(rest, profile.key_len())?;
        let (client_salt, server_salt) = split(rest, profile.salt_len())?;
        Ok((Self::new(profile, client_key, client_salt)?, Self::new(profile, server_key, server_salt)?))
    }

    /// The profile the key is for.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The first `N` octets of the session key of a label.
    pub(crate) fn derive<const N: usize>(&self, label: Label) -> Result<Zeroizing<[u8; N]>, Error> {
        let mut iv = [0u8; 16];
        let [x @ .., _, _] = &mut iv;
        x.copy_from_slice(&self.salt);
        // The label stands above the 48-bit index / rate, which is 0.
        if let Some(octet) = x.get_mut(7) {
            *octet ^= label.octet();
        }
        let mut out = Zeroizing::new([0u8; N]);
        let key = self.key.get(..self.profile.key_len()).ok_or(Error::KeyLength)?;
        // RFC 7714, 11: the derivation runs with AES of the master key's size.
        if key.len() == 32 {
            let aes = Aes256Enc::new_from_slice(key).map_err(|_| Error::KeyLength)?;
            let core = ctr::CtrCore::<_, Ctr128BE>::inner_iv_init(&aes, &iv.into());
            core.apply_keystream_partial(out.as_mut_slice().into());
        } else {
            let aes = Aes128Enc::new_from_slice(key).map_err(|_| Error::KeyLength)?;
            let core = ctr::CtrCore::<_, Ctr128BE>::inner_iv_init(&aes, &iv.into());
            core.apply_keystream_partial(out.as_mut_slice().into());
        }
        Ok(out)
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.key.zeroize();
        self.salt.zeroize();
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// The purposes a session key is derived for (RFC 3711, 4.3.1 and 4.3.2).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Label {
    RtpEncryption,
    RtpAuthentication,
    RtpSalt,
    RtcpEncryption,
    RtcpAuthentication,
    RtcpSalt,
}

impl Label {
    const fn octet(self) -> u8 {
        match self {
            Self::RtpEncryption => 0,
            Self::RtpAuthentication => 1,
            Self::RtpSalt => 2,
            Self::RtcpEncryption => 3,
            Self::RtcpAuthentication => 4,
            Self::RtcpSalt => 5,
        }
    }
}
