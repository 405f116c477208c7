//! WAVE: samples of 16 bits.

use crate::num;

/// The bytes before the samples, of which there are so many bytes; `None` if they are too many for the format.
pub fn head(rate: u32, channels: u8, bytes: u64) -> Option<Vec<u8>> {
    let length = u32::try_from(bytes).ok()?;
    let all = length.checked_add(36)?;
    let frame = 2 * u16::from(channels);
    let mut head = b"RIFF".to_vec();
    head.extend(all.to_le_bytes());
    head.extend(b"WAVEfmt ");
    head.extend(16_u32.to_le_bytes());
    // PCM.
    head.extend(1_u16.to_le_bytes());
    head.extend(u16::from(channels).to_le_bytes());
    head.extend(rate.to_le_bytes());
    head.extend(rate.saturating_mul(frame.into()).to_le_bytes());
    head.extend(frame.to_le_bytes());
    head.extend(num::short(16).to_le_bytes());
    head.extend(b"data");
    head.extend(length.to_le_bytes());
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_tells_rate_and_length() {
        let head = head(8_000, 1, 320).unwrap();
        assert_eq!(head.len(), 44);
        assert_eq!(head[4..8], 356_u32.to_le_bytes());
        assert_eq!(head[24..32], [0x40, 0x1f, 0, 0, 0x80, 0x3e, 0, 0]);
        assert_eq!(head[40..], 320_u32.to_le_bytes());
        assert_eq!(super::head(8_000, 1, u64::from(u32::MAX)), None);
    }
}
