//! Which of the latest numbers of a stream were seen.

const WINDOW: u64 = 2048;
const WORDS: usize = 32;

/// What a number is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The highest so far; so many between it and the last highest are missing.
    Ahead { skipped: u64 },
    /// Below the highest, and new.
    Late,
    /// Seen before, or so old that nobody knows.
    Again,
}

#[derive(Clone, Debug)]
pub(crate) struct Seen {
    highest: Option<u64>,
    words: [u64; WORDS],
}

impl Seen {
    pub(crate) const fn new() -> Self {
        Self { highest: None, words: [0; WORDS] }
    }

    #[inline]
    pub(crate) fn add(&mut self, number: u64) -> Order {
        let order = match self.highest {
            None => Order::Ahead { skipped: 0 },
            Some(highest) if number > highest => {
                self.clear_between(highest + 1, number);
                Order::Ahead { skipped: number - highest - 1 }
            }
            Some(highest) if highest - number >= WINDOW => return Order::Again,
            Some(_) => Order::Late,
        };
        if matches!(order, Order::Ahead { .. }) {
            self.highest = Some(number);
        }
        let (word, bit) = place(number);
        let Some(word) = self.words.get_mut(word) else { return Order::Again };
        if order == Order::Late && *word & bit != 0 {
            return Order::Again;
        }
        *word |= bit;
        order
    }

    #[inline]
    fn clear_between(&mut self, from: u64, to: u64) {
        if to - from >= WINDOW {
            self.words = [0; WORDS];
            return;
        }
        for number in from..=to {
            let (word, bit) = place(number);
            if let Some(word) = self.words.get_mut(word) {
                *word &= !bit;
            }
        }
    }
}

#[inline]
fn place(number: u64) -> (usize, u64) {
    ((number / 64) as usize % WORDS, 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_new_once() {
        let mut seen = Seen::new();
        assert_eq!(seen.add(10), Order::Ahead { skipped: 0 });
        assert_eq!(seen.add(10), Order::Again);
        assert_eq!(seen.add(13), Order::Ahead { skipped: 2 });
        assert_eq!(seen.add(11), Order::Late);
        assert_eq!(seen.add(11), Order::Again);
        // From before the first.
        assert_eq!(seen.add(9), Order::Late);
        assert_eq!(seen.highest, Some(13));
    }

    #[test]
    fn the_window_wraps_without_forgetting_or_inventing() {
        let mut seen = Seen::new();
        for n in 0..3 * WINDOW {
            if n % 3 != 1 {
                assert!(matches!(seen.add(n), Order::Ahead { .. }), "{n}");
            }
            if n > 200 && n % 3 == 0 {
                // What was left out a hundred numbers ago is late, what was there is known.
                let old = n - 101;
                let expected = if old % 3 == 1 { Order::Late } else { Order::Again };
                assert_eq!(seen.add(old), expected, "{old}");
            }
        }
        assert_eq!(seen.add(5), Order::Again, "too old to know");
        assert_eq!(seen.add(1_000_000), Order::Ahead { skipped: 1_000_000 - 3 * WINDOW });
        assert_eq!(seen.add(999_000), Order::Late);
    }
}
