//! What every packet of ours carries at the end of its payload: who sent it, when, which of its frame it is. Gateways
//! forward payloads as they are, but for the picture id at the start of a VP8 packet.

/// Octets of a stamp.
pub(crate) const LEN: usize = 38;
const MAGIC: u32 = 0x504c_5431;
const KEYFRAME: u8 = 1;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Number of the stream that it was sent on.
    pub(crate) source: u32,
    /// Counts the packets of that stream.
    pub(crate) counter: u64,
    /// Nanoseconds of the monotonic clock when it was sent.
    pub(crate) sent_ns: u64,
    /// Counts the frames of that stream.
    pub(crate) frame: u32,
    /// Packets of that frame.
    pub(crate) packets: u16,
    /// The measurement that it counts for; 0: none.
    pub(crate) phase: u32,
    /// The frame needs no other.
    pub(crate) keyframe: bool,
}

impl Stamp {
    /// Writes it over the last octets of a payload.
    pub(crate) fn write(&self, payload: &mut [u8]) {
        let Some(room) = payload.last_chunk_mut::<LEN>() else { return };
        let flags = if self.keyframe { KEYFRAME } else { 0 };
        let bytes = MAGIC
            .to_be_bytes()
            .into_iter()
            .chain(self.source.to_be_bytes())
            .chain(self.counter.to_be_bytes())
            .chain(self.sent_ns.to_be_bytes())
            .chain(self.frame.to_be_bytes())
            .chain(self.packets.to_be_bytes())
            .chain(self.phase.to_be_bytes())
            .chain([flags, 0, 0, 0]);
        room.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    }

    /// Reads the one at the end of a payload; `None` if that has none.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let (magic, rest) = payload.last_chunk::<LEN>()?.split_first_chunk::<4>()?;
        if u32::from_be_bytes(*magic) != MAGIC {
            return None;
        }
        let (source, rest) = rest.split_first_chunk::<4>()?;
        let (counter, rest) = rest.split_first_chunk::<8>()?;
        let (sent, rest) = rest.split_first_chunk::<8>()?;
        let (frame, rest) = rest.split_first_chunk::<4>()?;
        let (packets, rest) = rest.split_first_chunk::<2>()?;
        let (phase, rest) = rest.split_first_chunk::<4>()?;
        Some(Self {
            source: u32::from_be_bytes(*source),
            counter: u64::from_be_bytes(*counter),
            sent_ns: u64::from_be_bytes(*sent),
            frame: u32::from_be_bytes(*frame),
            packets: u16::from_be_bytes(*packets),
            phase: u32::from_be_bytes(*phase),
            keyframe: rest.first()? & KEYFRAME != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let stamp = Stamp {
            source: 7,
            counter: u64::MAX - 1,
            sent_ns: 0x0102_0304_0506_0708,
            frame: 0xffff_fffe,
            packets: 513,
            phase: 0x1234_5678,
            keyframe: true,
        };
        let mut payload = [0x55; 80];
        stamp.write(&mut payload);
        assert_eq!(Stamp::read(&payload), Some(stamp));
        assert_eq!(payload[..80 - LEN], [0x55; 80 - LEN]);
        let mut whole = [0; LEN];
        Stamp { keyframe: false, ..stamp }.write(&mut whole);
        assert_eq!(Stamp::read(&whole), Some(Stamp { keyframe: false, ..stamp }));
    }

    #[test]
    fn other_payloads_have_none() {
        for len in 0..100 {
            assert_eq!(Stamp::read(&vec![0x55; len]), None, "{len}");
        }
        let mut short = [0; LEN - 1];
        Stamp::write(
            &Stamp { source: 0, counter: 0, sent_ns: 0, frame: 0, packets: 0, phase: 0, keyframe: false },
            &mut short,
        );
        assert_eq!(short, [0; LEN - 1]);
    }
}
