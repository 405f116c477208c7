//! The one error type of the crate.

/// Why bytes were refused, or could not be written. Without fields on purpose: it travels in the results of the packet
/// path, where a larger error would force the good values through memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// Fewer bytes than the header announces.
    #[error("packet is cut short")]
    Truncated,
    /// The version field is not 2.
    #[error("not RTP version 2")]
    Version,
    /// The padding count is zero or larger than the payload.
    #[error("padding does not fit the packet")]
    Padding,
    /// Larger than [`crate::packet::MAX_PACKET`].
    #[error("packet is larger than 1500 bytes")]
    TooLong,
    /// The caller's buffer cannot hold the result.
    #[error("output buffer is too small")]
    BufferTooSmall,
    /// An RTCP length field disagrees with the bytes that are there.
    #[error("RTCP length does not fit")]
    RtcpLength,
    /// A field carries a value its specification forbids.
    #[error("a field has a forbidden value")]
    Malformed,
    /// A dependency descriptor refers to a structure that was not received.
    #[error("no dependency structure for this frame")]
    NoStructure,
    /// More elements than a named limit.
    #[error("more elements than the limit")]
    TooMany,
}
