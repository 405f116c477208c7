//! Writing: each part is appended to a buffer.

use crate::Header;

/// The first bytes of every recording whose frames carry times.
pub const MAGIC: &[u8; 8] = b"MJR00002";
/// Before each frame.
pub(crate) const FRAME: &[u8; 4] = b"MEET";
/// Bytes of a frame at most.
pub const LONGEST_FRAME: usize = 0xffff;

/// Something does not fit into the 16 bits of its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes are too long for a recording")]
pub struct TooLong(pub usize);

/// Appends the header, which follows the [`MAGIC`].
///
/// # Errors
/// Its text is longer than 64 KiB; nothing is appended.
pub fn write_header(out: &mut Vec<u8>, header: &Header) -> Result<(), TooLong> {
    let text = header.to_json();
    let length = u16::try_from(text.len()).map_err(|_| TooLong(text.len()))?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Appends a frame: an RTP packet that came `ms` milliseconds after the first.
///
/// # Errors
/// It is longer than [`LONGEST_FRAME`]; nothing is appended.
pub fn write_frame(out: &mut Vec<u8>, ms: u32, packet: &[u8]) -> Result<(), TooLong> {
    begin(out, ms, packet.len())?;
    out.extend_from_slice(packet);
    Ok(())
}

/// Appends a frame: a message of a data channel that came at `at`, microseconds since 1970.
///
/// # Errors
/// It does not fit into a frame with its time; nothing is appended.
pub fn write_data(out: &mut Vec<u8>, ms: u32, at: u64, message: &[u8]) -> Result<(), TooLong> {
    begin(out, ms, message.len().saturating_add(size_of::<u64>()))?;
    out.extend_from_slice(&at.to_be_bytes());
    out.extend_from_slice(message);
    Ok(())
}

fn begin(out: &mut Vec<u8>, ms: u32, length: usize) -> Result<(), TooLong> {
    let short = u16::try_from(length).map_err(|_| TooLong(length))?;
    out.reserve(FRAME.len() + 6 + length);
    out.extend_from_slice(FRAME);
    out.extend_from_slice(&ms.to_be_bytes());
    out.extend_from_slice(&short.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Medium;

    #[test]
    fn bytes_stand_where_janus_has_them() {
        let mut out = MAGIC.to_vec();
        write_header(&mut out, &Header::new(Medium::Video, "vp8")).unwrap();
        let header = r#"{"t":"v","c":"vp8","s":0,"u":0}"#;
        write_frame(&mut out, 0x0102_0304, b"rtp").unwrap();
        write_data(&mut out, 5, 0x0607, b"x").unwrap();
        let mut wanted = b"MJR00002\x00\x1f".to_vec();
        wanted.extend(header.as_bytes());
        wanted.extend(
            b"MEET\x01\x02\x03\x04\x00\x03rtpMEET\x00\x00\x00\x05\x00\x09\x00\x00\x00\x00\x00\x00\x06\x07x",
        );
        assert_eq!(out, wanted);
    }

    #[test]
    fn what_is_too_long_leaves_nothing_behind() {
        let mut out = Vec::new();
        assert_eq!(write_frame(&mut out, 0, &[0; 65_536]), Err(TooLong(65_536)));
        assert_eq!(write_data(&mut out, 0, 0, &[0; 65_528]), Err(TooLong(65_536)));
        let mut long = Header::new(Medium::Data, "text");
        long.description = Some("x".repeat(70_000));
        assert!(write_header(&mut out, &long).is_err());
        assert!(out.is_empty());
        assert!(write_frame(&mut out, 0, &[0; LONGEST_FRAME]).is_ok());
    }
}
