//! A sliding bit window over extended sequence numbers: which of the last [`WINDOW`] were seen.

/// Numbers remembered behind the highest one.
pub(crate) const WINDOW: u64 = 1024;
const WORDS: usize = 16;

/// Bits for the numbers `highest - WINDOW + 1 ..= highest`.
#[derive(Debug, Clone)]
pub(crate) struct BitWindow {
    words: [u64; WORDS],
    highest: Option<u64>,
}

impl BitWindow {
    pub(crate) const fn new() -> Self {
        Self { words: [0; WORDS], highest: None }
    }

    /// Marks a number; false if it was marked before or lies behind the window.
    #[inline]
    pub(crate) fn try_set(&mut self, number: u64) -> bool {
        match self.highest {
            Some(highest) if number <= highest => {
                if highest - number >= WINDOW {
                    return false;
                }
            }
            Some(highest) if number - highest == 1 => {
                self.clear(number);
                self.highest = Some(number);
            }
            Some(highest) => {
                self.advance(highest, number);
                self.highest = Some(number);
            }
            None => self.highest = Some(number),
        }
        let (word, bit) = place(number);
        let Some(word) = self.words.get_mut(word) else { return false };
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }

    /// Whether a number inside the window is marked.
    #[inline]
    pub(crate) fn contains(&self, number: u64) -> bool {
        let (word, bit) = place(number);
        self.highest.is_some_and(|highest| number <= highest && highest - number < WINDOW)
            && self.words.get(word).is_some_and(|w| w & bit != 0)
    }

    fn clear(&mut self, number: u64) {
        let (word, bit) = place(number);
        if let Some(word) = self.words.get_mut(word) {
            *word &= !bit;
        }
    }

    #[cold]
    fn advance(&mut self, highest: u64, number: u64) {
        if number - highest >= WINDOW {
            self.words = [0; WORDS];
        } else {
            (highest + 1..=number).for_each(|n| self.clear(n));
        }
    }
}

#[inline]
fn place(number: u64) -> (usize, u64) {
    (crate::num::narrow(number / 64 % 16), 1 << (number % 64))
}

#[cfg(test)]
mod tests;
