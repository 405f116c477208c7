//! Every limit of this crate, by name.
//!
//! "Refused" means [`crate::Error::TooLarge`] for the whole description; "dropped" means that the items beyond
//! the limit are left out, as Janus leaves out what it does not understand.

/// Bytes of a whole description. More is refused before anything is read.
pub const MAX_BYTES: usize = 256 * 1024;
/// Lines of a whole description. More is refused.
pub const MAX_LINES: usize = 4_096;
/// Bytes of one line without its end. A longer one is refused.
pub const MAX_LINE_BYTES: usize = 8 * 1024;
/// m-lines of a description. More is refused.
pub const MAX_MEDIA: usize = 128;
/// Characters of a mid. A longer one is refused (the field of Janus' API has 16).
pub const MAX_MID: usize = 16;
/// Characters of a rid (RFC 8851 gives none, RFC 8852 one byte of length). A longer one is dropped.
pub const MAX_RID: usize = 16;
/// Candidates kept of the m-line that carries the transport. Further ones are dropped.
pub const MAX_CANDIDATES: usize = 64;
/// Payload types kept of one m-line. Further ones are dropped.
pub const MAX_PAYLOADS: usize = 64;
/// rtcp-fb values kept of one payload type. Further ones are dropped.
pub const MAX_FEEDBACK: usize = 16;
/// Bytes of one rtcp-fb value. A longer one is dropped.
pub const MAX_FEEDBACK_BYTES: usize = 64;
/// Bytes of what is said once and counts for several m-lines or payload types (extmap lines of the session, `rtcp-fb:*`), each time it
/// counts. More is refused: a description would become many times as long as it came.
pub const MAX_SHARED_BYTES: usize = 128 * 1024;
/// Header extensions kept of one m-line. Further ones are dropped.
pub const MAX_EXTENSIONS: usize = 32;
/// SSRCs kept of one m-line. Further ones are dropped.
pub const MAX_SSRCS: usize = 32;
/// ssrc-group lines kept of one m-line. Further ones are dropped.
pub const MAX_SSRC_GROUPS: usize = 16;
/// rid lines kept of one m-line. Further ones are dropped.
pub const MAX_RIDS: usize = 8;
/// Layers of one simulcast stream, as everywhere in Janus' API. Further ones are ignored.
pub const MAX_SUBSTREAMS: usize = 3;
/// b= lines kept of one m-line. Further ones are dropped.
pub const MAX_BANDWIDTHS: usize = 8;
/// Attribute lines without a meaning here that are kept of one m-line. Further ones are dropped.
pub const MAX_UNKNOWN: usize = 64;
/// Bytes of one such line. A longer one is dropped.
pub const MAX_UNKNOWN_BYTES: usize = 1_024;
/// Mids kept of the BUNDLE group.
pub const MAX_BUNDLE: usize = MAX_MEDIA;
/// Bytes of one candidate text. A longer one is no candidate.
pub const MAX_CANDIDATE_BYTES: usize = 1_024;
/// ICE username fragment and password (RFC 8839 section 5.4). A longer one is refused.
pub const MAX_ICE_CREDENTIAL: usize = 256;
/// Characters of a name that is one word (protocol, codec, msid, cname, URI). A longer one is dropped with its line.
pub const MAX_WORD: usize = 256;
/// Words after the protocol of an m-line that are kept.
pub const MAX_FORMATS: usize = MAX_PAYLOADS;
/// Bytes of an unreadable line that its error shows.
pub const MAX_SHOWN: usize = 80;
