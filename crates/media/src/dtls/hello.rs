//! Reading the SRTP profiles out of a ClientHello (RFC 5764 section 4.1.2).
//!
//! rtc-dtls takes the first profile of the client's list that it knows, and browsers list AES-CM with SHA-1 first, which
//! costs three times as much per packet. So the server side looks first and then offers only the winner.

use portunus_srtp::Profile;

use super::record::Reader;

const USE_SRTP: u16 = 14;

/// The first profile of `preference` that a ClientHello body offers; `None` when it offers none or cannot be read, which
/// is for the handshake to judge.
pub(super) fn best_profile(client_hello: &[u8], preference: &[Profile]) -> Option<Profile> {
    let offered = offered_profiles(client_hello)?;
    preference.iter().copied().find(|profile| offered.contains(&profile.dtls_id()))
}

fn offered_profiles(client_hello: &[u8]) -> Option<Vec<u16>> {
    let mut reader = Reader(client_hello);
    // Version and random.
    reader.take(2 + 32)?;
    let _session = reader.block8()?;
    let _cookie = reader.block8()?;
    let _suites = reader.block16()?;
    let _compression = reader.block8()?;
    let mut extensions = Reader(reader.block16()?);
    loop {
        let kind = extensions.u16()?;
        let body = extensions.block16()?;
        if kind == USE_SRTP {
            let mut profiles = Reader(Reader(body).block16()?);
            return Some(std::iter::from_fn(|| profiles.u16()).collect());
        }
    }
}
