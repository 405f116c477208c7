//! Numbers out of bits, the highest first.

/// Reads bits; `None` behind the last.
#[derive(Clone, Debug)]
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// A number of up to 32 bits.
    pub(crate) fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }

    pub(crate) fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count)?;
        (self.at <= self.bytes.len() * 8).then_some(())
    }

    /// An unsigned Exp-Golomb number (H.264 section 9.1, H.265 section 9.2), as far as it fits into 32 bits. The
    /// variable lengths of AV1 (`uvlc`) are the same.
    pub(crate) fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        (1_u32 << zeros).checked_add(self.take(zeros)?)?.checked_sub(1)
    }

    /// A signed Exp-Golomb number.
    pub(crate) fn signed_golomb(&mut self) -> Option<i32> {
        let code = i64::from(self.golomb()?);
        let half = (code + 1) / 2;
        i32::try_from(if code % 2 == 1 { half } else { -half }).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_numbers_are_read() {
        // 1, 010, 011, 00100, 00101
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!([(); 5].map(|()| bits.golomb()), [0, 1, 2, 3, 4].map(Some));
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!([(); 5].map(|()| bits.signed_golomb()), [0, 1, -1, 2, -2].map(Some));
        assert_eq!(Bits::new(&[0; 20]).golomb(), None);
        assert_eq!(Bits::new(&[0, 1]).golomb(), None);
    }

    #[test]
    fn behind_the_last_bit_is_nothing() {
        let mut bits = Bits::new(&[0xa5]);
        assert_eq!(
            (bits.take(4), bits.skip(3), bits.flag(), bits.flag()),
            (Some(10), Some(()), Some(true), None)
        );
        assert_eq!(bits.skip(1), None);
    }
}
