//! Reading: frame by frame, as far as the bytes go.

use crate::write::{FRAME, MAGIC};
use crate::{Header, HeaderError};

/// The magic of recordings whose frames carry no times.
const OLD_MAGIC: &[u8; 8] = b"MJR00001";

/// A recording that lies in memory.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    header: Option<Header>,
    text: &'a [u8],
    timed: bool,
    whole: usize,
    rest: &'a [u8],
}

/// Why bytes are no recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// They begin otherwise.
    #[error("this is no MJR recording")]
    Magic,
    /// What should be the header is none.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Milliseconds since the first frame; absent in recordings of old.
    pub ms: Option<u32>,
    /// An RTP packet; or, for data, eight bytes of time and a message.
    pub bytes: &'a [u8],
    /// Where it begins in the recording.
    pub at: usize,
}

impl<'a> Frame<'a> {
    /// Of a data recording: when the message came, in microseconds since 1970, and the message.
    pub fn message(&self) -> Option<(u64, &'a [u8])> {
        let (time, message) = self.bytes.split_first_chunk()?;
        Some((u64::from_be_bytes(*time), message))
    }
}

impl<'a> Reader<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// The bytes do not begin like a recording.
    pub fn new(bytes: &'a [u8]) -> Result<Self, ReadError> {
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(ReadError::Magic)?;
        if magic != MAGIC && magic != OLD_MAGIC {
            return Err(ReadError::Magic);
        }
        let mut reader = Self { header: None, text: &[], timed: magic == MAGIC, whole: bytes.len(), rest };
        // Cut off, or ended before its first frame: there is no header, and nothing else.
        if let Some((length, behind)) = rest.split_first_chunk()
            && let Some((text, frames)) = behind.split_at_checked(u16::from_be_bytes(*length).into())
        {
            reader.header = Some(Header::from_json(text)?);
            reader.text = text;
            reader.rest = frames;
        } else {
            reader.rest = &[];
        }
        Ok(reader)
    }

    /// Reads frames that stand without what comes before them in a file.
    pub const fn of_frames(bytes: &'a [u8]) -> Self {
        Self { header: None, text: &[], timed: true, whole: bytes.len(), rest: bytes }
    }

    /// What it holds; `None` if it ended before its first frame.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// The header as it stands in the recording, JSON; empty if there is none.
    pub fn header_text(&self) -> &'a [u8] {
        self.text
    }

    /// Bytes at the end that are no whole frame; once all frames were taken.
    pub fn left_over(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let at = self.whole - self.rest.len();
        let (mark, behind) = self.rest.split_first_chunk::<4>()?;
        if mark != FRAME {
            return None;
        }
        let (ms, behind) = behind.split_first_chunk()?;
        let (length, behind) = behind.split_first_chunk()?;
        let (bytes, rest) = behind.split_at_checked(u16::from_be_bytes(*length).into())?;
        self.rest = rest;
        Some(Frame { ms: self.timed.then_some(u32::from_be_bytes(*ms)), bytes, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Medium, write_data, write_frame, write_header};
    use proptest::prelude::*;

    fn recording(frames: &[(u32, Vec<u8>)]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        write_header(&mut out, &Header::new(Medium::Audio, "opus")).unwrap();
        frames.iter().for_each(|(ms, bytes)| write_frame(&mut out, *ms, bytes).unwrap());
        out
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_and_a_cut_costs_only_what_is_behind_it(
            frames in proptest::collection::vec((any::<u32>(), proptest::collection::vec(any::<u8>(), 0..300)), 0..20),
            cut in 0.0..1.0_f64,
        ) {
            let whole = recording(&frames);
            let read: Vec<_> = Reader::new(&whole).unwrap().map(|f| (f.ms.unwrap(), f.bytes.to_vec())).collect();
            prop_assert_eq!(&read, &frames);
            let cut = (whole.len() as f64 * cut) as usize;
            match Reader::new(&whole[..cut]) {
                Err(error) => prop_assert!(cut < MAGIC.len(), "{}", error),
                Ok(mut reader) => {
                    let read: Vec<_> = reader.by_ref().map(|f| (f.ms.unwrap(), f.bytes.to_vec())).collect();
                    prop_assert_eq!(&read[..], &frames[..read.len()]);
                    let used = reader.left_over() + read.iter().map(|(_, b)| b.len() + 10).sum::<usize>();
                    prop_assert!(reader.header().is_none() || used + 10 + 34 >= cut);
                }
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), real in any::<bool>()) {
            if real {
                bytes.splice(0..0, recording(&[(1, vec![1, 2, 3])]));
            }
            if let Ok(reader) = Reader::new(&bytes) {
                let frames: usize = reader.map(|f| f.bytes.len()).sum();
                prop_assert!(frames <= bytes.len());
            }
        }
    }

    #[test]
    fn a_recording_without_frames_has_no_header() {
        let mut reader = Reader::new(MAGIC).unwrap();
        assert_eq!((reader.next(), reader.left_over()), (None, 0));
        assert!(reader.header().is_none());
        assert_eq!(Reader::new(b"MJR0000").unwrap_err(), ReadError::Magic);
        assert_eq!(Reader::new(b"MEETECHO\x00\x01a").unwrap_err(), ReadError::Magic);
    }

    #[test]
    fn times_of_old_recordings_are_none() {
        let mut old = recording(&[(7, vec![1])]);
        old[..8].copy_from_slice(OLD_MAGIC);
        assert_eq!(Reader::new(&old).unwrap().next().unwrap().ms, None);
    }

    #[test]
    fn messages_have_their_time_before_them() {
        let mut out = recording(&[]);
        write_data(&mut out, 3, 1_795_239_710_484_961, "hé".as_bytes()).unwrap();
        let frame = Reader::new(&out).unwrap().next().unwrap();
        assert_eq!(frame.message(), Some((1_795_239_710_484_961, "hé".as_bytes())));
        assert_eq!(frame.at, out.len() - 10 - 8 - 3);
    }
}
