//! The little of RTP and RTCP headers that SRTP needs: where the payload begins, sequence number and SSRC.

use crate::Error;

/// Longest packet taken, in octets. UDP has no more, and the AES-CM counter space ends at 2^16 blocks.
pub const MAX_PACKET_LEN: usize = 65_535;

const FIXED_HEADER: usize = 12;
const RTCP_HEADER: usize = 8;

/// Length of the RTP header with CSRCs and extension, which SRTP leaves in the clear.
///
/// # Errors
/// [`Error::Malformed`] if this is not RTP version 2 or the header does not end within `packet`.
pub fn rtp_header_len(packet: &[u8]) -> Result<usize, Error> {
    let first = *packet.first().ok_or(Error::Malformed)?;
    if first >> 6 != 2 || packet.len() > MAX_PACKET_LEN {
        return Err(Error::Malformed);
    }
    let mut len = FIXED_HEADER + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        // RFC 3550, 5.3.1: two octets of profile, two of length in words.
        let words = packet.get(len + 2..len + 4).ok_or(Error::Malformed)?;
        len += 4 + 4 * usize::from(be16(words)?);
    }
    if len > packet.len() { Err(Error::Malformed) } else { Ok(len) }
}

/// Sequence number and SSRC of a packet that is at least a fixed header long.
pub(crate) fn rtp_seq_ssrc(packet: &[u8]) -> Result<(u16, u32), Error> {
    let fixed = packet.first_chunk::<FIXED_HEADER>().ok_or(Error::Malformed)?;
    let [_, _, s0, s1, _, _, _, _, a, b, c, d] = *fixed;
    Ok((u16::from_be_bytes([s0, s1]), u32::from_be_bytes([a, b, c, d])))
}

/// SSRC of the sender of a compound RTCP packet.
pub(crate) fn rtcp_ssrc(packet: &[u8]) -> Result<u32, Error> {
    let [first, _, _, _, a, b, c, d] = *packet.first_chunk::<RTCP_HEADER>().ok_or(Error::Malformed)?;
    if first >> 6 != 2 || packet.len() > MAX_PACKET_LEN {
        return Err(Error::Malformed);
    }
    Ok(u32::from_be_bytes([a, b, c, d]))
}

fn be16(bytes: &[u8]) -> Result<u16, Error> {
    bytes.first_chunk().map(|b| u16::from_be_bytes(*b)).ok_or(Error::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_length_covers_csrcs_and_extension_or_is_refused() {
        let packet = |first: u8, words: u16, total: usize| {
            let mut p = vec![0u8; total];
            if let Some(f) = p.first_mut() {
                *f = first;
            }
            let at = 12 + 4 * usize::from(first & 15) + 2;
            if let Some(w) = p.get_mut(at..at + 2) {
                w.copy_from_slice(&words.to_be_bytes());
            }
            p
        };
        let cases: [(u8, u16, usize, Result<usize, Error>); 12] = [
            (0x80, 0, 0, Err(Error::Malformed)),
            (0x80, 0, 11, Err(Error::Malformed)),
            (0x80, 0, 12, Ok(12)),
            (0x40, 0, 12, Err(Error::Malformed)),
            (0xc0, 0, 12, Err(Error::Malformed)),
            (0x8f, 0, 71, Err(Error::Malformed)),
            (0x8f, 0, 72, Ok(72)),
            (0x90, 0, 15, Err(Error::Malformed)),
            (0x90, 0, 16, Ok(16)),
            (0x90, 2, 23, Err(Error::Malformed)),
            (0xb1, 2, 28, Ok(28)),
            (0x90, 0xffff, 65_535, Err(Error::Malformed)),
        ];
        for (first, words, total, expected) in cases {
            assert_eq!(rtp_header_len(&packet(first, words, total)), expected, "{first:#x} {words} {total}");
        }
        assert_eq!(rtp_header_len(&packet(0x80, 0, MAX_PACKET_LEN + 1)), Err(Error::Malformed));
    }
}
