//! The protection profiles and their sizes.

/// Most octets protection adds to an RTP packet, over all profiles.
pub const MAX_RTP_OVERHEAD: usize = 16;
/// Most octets protection adds to an RTCP packet, over all profiles: tag and index word.
pub const MAX_RTCP_OVERHEAD: usize = 20;

/// A DTLS-SRTP protection profile (RFC 5764, section 4.1.2; RFC 7714, section 14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// AEAD_AES_128_GCM.
    AeadAes128Gcm,
    /// AEAD_AES_256_GCM.
    AeadAes256Gcm,
    /// AES128_CM_HMAC_SHA1_80.
    Aes128CmSha1_80,
    /// AES128_CM_HMAC_SHA1_32: 32-bit tags on RTP, 80-bit tags on RTCP.
    Aes128CmSha1_32,
}

impl Profile {
    /// All profiles in the order we prefer them: GCM costs a third of CM with SHA-1.
    pub const PREFERENCE: [Self; 4] =
        [Self::AeadAes128Gcm, Self::AeadAes256Gcm, Self::Aes128CmSha1_80, Self::Aes128CmSha1_32];

    /// Octets of the master key (and of the session encryption key).
    pub const fn key_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            Self::AeadAes128Gcm | Self::Aes128CmSha1_80 | Self::Aes128CmSha1_32 => 16,
        }
    }

    /// Octets of the master salt.
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
            Self::Aes128CmSha1_80 | Self::Aes128CmSha1_32 => 14,
        }
    }

    /// Octets to export from DTLS: both keys and both salts.
    pub const fn export_len(self) -> usize {
        2 * (self.key_len() + self.salt_len())
    }

    /// Octets of the tag behind an RTP packet.
    pub const fn rtp_tag_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
            Self::Aes128CmSha1_80 => 10,
            Self::Aes128CmSha1_32 => 4,
        }
    }

    /// Octets of the tag of an RTCP packet, without the index word of 4 octets.
    pub const fn rtcp_tag_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
            // RFC 3711, 5.2: the shortened tag is for RTP only.
            Self::Aes128CmSha1_80 | Self::Aes128CmSha1_32 => 10,
        }
    }

    /// The number of the profile in DTLS' `use_srtp`.
    pub const fn dtls_id(self) -> u16 {
        match self {
            Self::Aes128CmSha1_80 => 0x0001,
            Self::Aes128CmSha1_32 => 0x0002,
            Self::AeadAes128Gcm => 0x0007,
            Self::AeadAes256Gcm => 0x0008,
        }
    }

    /// The profile of a `use_srtp` number, if it is one of ours.
    pub const fn from_dtls_id(id: u16) -> Option<Self> {
        match id {
            0x0001 => Some(Self::Aes128CmSha1_80),
            0x0002 => Some(Self::Aes128CmSha1_32),
            0x0007 => Some(Self::AeadAes128Gcm),
            0x0008 => Some(Self::AeadAes256Gcm),
            _ => None,
        }
    }

    /// The IANA name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes128CmSha1_80 => "SRTP_AES128_CM_HMAC_SHA1_80",
            Self::Aes128CmSha1_32 => "SRTP_AES128_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "SRTP_AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "SRTP_AEAD_AES_256_GCM",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dtls_numbers_are_their_own_inverse() {
        for profile in Profile::PREFERENCE {
            assert_eq!(Profile::from_dtls_id(profile.dtls_id()), Some(profile));
            assert!(profile.rtp_tag_len() <= MAX_RTP_OVERHEAD);
            assert!(profile.rtcp_tag_len() + 4 <= MAX_RTCP_OVERHEAD);
        }
        assert_eq!(Profile::from_dtls_id(0x0005), None);
    }
}
