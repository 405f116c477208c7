//! Random numbers: all from the system's generator through aws-lc, buffered, as ICE wants unguessable texts.

use aws_lc_rs::rand;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// A buffered source of random bytes.
pub(crate) struct Random {
    buffer: [u8; 256],
    used: usize,
}

impl Random {
    pub(crate) const fn new() -> Self {
        Self { buffer: [0; 256], used: 256 }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    pub(crate) fn next_u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    pub(crate) fn next_u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    fn byte(&mut self) -> u8 {
        if self.used >= self.buffer.len() {
            // Without randomness nothing here may go on: a guessable password is worse than a lost peer.
            if rand::fill(&mut self.buffer).is_err() {
                std::process::abort();
            }
            self.used = 0;
        }
        let byte = self.buffer.get_mut(self.used).map_or(0, std::mem::take);
        self.used += 1;
        byte
    }
}

/// A text of `n` letters and digits: 5.95 bits each.
pub(crate) fn text(random: &mut Random, n: usize) -> String {
    let mut text = String::with_capacity(n);
    while text.len() < n {
        // 248 is the largest multiple of 62 in a byte: no letter is likelier than another.
        let byte = random.byte();
        if byte < 248
            && let Some(c) = ALPHABET.get(usize::from(byte % 62))
        {
            text.push(char::from(*c));
        }
    }
    text
}

/// An ICE user name fragment: the worker in two base-36 digits, then 6 random characters (35 bits).
pub(crate) fn ufrag(random: &mut Random, worker: usize) -> String {
    let digit = |n: usize| DIGITS.get(n % 36).copied().map_or('0', char::from);
    let mut ufrag = String::with_capacity(8);
    ufrag.push(digit(worker / 36));
    ufrag.push(digit(worker));
    ufrag.push_str(&text(random, 6));
    ufrag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_fragment_carries_its_worker() {
        let mut r = Random::new();
        for worker in [0, 1, 35, 36, 71, 1023] {
            let u = ufrag(&mut r, worker);
            assert_eq!(u.len(), 8);
            assert_eq!(usize::from_str_radix(&u[..2], 36).unwrap(), worker);
        }
    }

    #[test]
    fn texts_differ() {
        let mut r = Random::new();
        assert_ne!(text(&mut r, 24), text(&mut r, 24));
    }
}
