//! MJR, the recording format of Janus: one medium a file, its packets as they came, each with the time it came at.
//!
//! ```text
//! "MJR00002"                                   the magic
//! u16 length, JSON                             the header, written with the first frame
//! "MEET", u32 ms since the first frame,        a frame: an RTP packet, or a data channel message behind
//!   u16 length, bytes                          the time it came at (u64, microseconds since 1970)
//! ```
//! All numbers are big-endian.
//!
//! Beside the format itself there is what makes files that play of recordings: a [`timeline`] of packets, [`frames`] out of
//! them, and writers of [`webm`], [`mp4`] and [`ogg`], for whole files; and [`live`], for files that are written while they are
//! recorded.
//!
//! Invariants: what is written can be read by `janus-pp-rec`; reading never panics, whatever the bytes, and a file that was
//! cut off anywhere gives every whole frame that is in it.
//! Absent on purpose: files, clocks, decoders of pictures. Bytes go in and out.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::as_conversions
    )
)]

mod bits;
pub mod frames;
mod header;
pub mod live;
pub mod mp4;
mod num;
pub mod ogg;
pub mod opus;
pub mod pcap;
pub mod pcm;
mod read;
mod red;
pub mod srt;
pub mod timeline;
pub mod track;
pub mod wav;
pub mod webm;
mod write;

pub use header::{Header, HeaderError, Medium};
pub use read::{Frame, ReadError, Reader};
pub use write::{LONGEST_FRAME, MAGIC, TooLong, write_data, write_frame, write_header};
