//! Times in nanoseconds by size: 32 classes for each doubling, so that a percentile is right within 3 percent whatever
//! it is. Two are merged by adding.

/// Classes for each doubling.
const SUB: u64 = 32;
const SUB_BITS: u32 = SUB.trailing_zeros();
/// Doublings: up to 2^43 ns, more than two hours.
const CLASSES: usize = (43 - 5 + 1) * 32 + 32;

#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    classes: Box<[u64]>,
    count: u64,
    sum: u128,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { classes: vec![0; CLASSES].into_boxed_slice(), count: 0, sum: 0, max: 0 }
    }
}

impl Histogram {
    #[inline]
    pub(crate) fn add(&mut self, value: u64) {
        if let Some(class) = self.classes.get_mut(class_of(value)) {
            *class += 1;
        }
        self.count += 1;
        self.sum += u128::from(value);
        self.max = self.max.max(value);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.classes.iter_mut().zip(&other.classes).for_each(|(a, b)| *a += b);
        self.count += other.count;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    pub(crate) fn clear(&mut self) {
        self.classes.fill(0);
        (self.count, self.sum, self.max) = (0, 0, 0);
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    pub(crate) const fn max(&self) -> Option<u64> {
        if self.count == 0 { None } else { Some(self.max) }
    }

    pub(crate) fn mean(&self) -> Option<u64> {
        let mean = self.sum.checked_div(u128::from(self.count))?;
        u64::try_from(mean).ok()
    }

    /// The value that this share of all is not above; in the middle of its class.
    pub(crate) fn percentile(&self, percent: f64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let wanted = ((percent / 100.0 * self.count as f64).ceil() as u64).clamp(1, self.count);
        let mut seen = 0;
        for (class, n) in self.classes.iter().enumerate() {
            seen += n;
            if seen >= wanted {
                return Some(middle_of(class).min(self.max));
            }
        }
        Some(self.max)
    }

    /// How many were above `limit`, counted by whole classes.
    pub(crate) fn above(&self, limit: u64) -> u64 {
        self.classes.iter().skip(class_of(limit) + 1).sum()
    }

    /// The classes that are not empty: their middle and how many.
    pub(crate) fn classes(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let all = self.classes.iter().enumerate().filter(|(_, n)| **n > 0);
        all.map(|(class, n)| (middle_of(class), *n))
    }
}

#[inline]
fn class_of(value: u64) -> usize {
    if value < SUB {
        return value as usize;
    }
    let exponent = 63 - value.leading_zeros();
    let sub = (value >> (exponent - SUB_BITS)) & (SUB - 1);
    let class = u64::from(exponent - SUB_BITS + 1) * SUB + sub;
    (class as usize).min(CLASSES - 1)
}

fn middle_of(class: usize) -> u64 {
    let class = class as u64;
    if class < SUB {
        return class;
    }
    let shift = class / SUB - 1;
    let low = (SUB + class % SUB) << shift;
    low + ((1_u64 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_within_three_percent() {
        let mut h = Histogram::default();
        (1..=100_000_u64).for_each(|n| h.add(n * 1000));
        for (percent, value) in [(50.0, 50e6), (90.0, 90e6), (99.0, 99e6), (99.9, 99.9e6), (100.0, 100e6)] {
            let found = h.percentile(percent).unwrap() as f64;
            assert!((found / value - 1.0).abs() < 0.03, "{percent}: {found} for {value}");
        }
        assert_eq!(h.max(), Some(100_000_000));
        assert_eq!(h.mean(), Some(50_000_500));
        let above = h.above(90_000_000);
        assert!((7_000..=10_000).contains(&above), "{above}");
    }

    #[test]
    fn an_empty_one_says_nothing() {
        let h = Histogram::default();
        assert_eq!((h.percentile(50.0), h.max(), h.mean(), h.count()), (None, None, None, 0));
    }

    #[test]
    fn merging_is_the_same_as_adding_all_to_one() {
        let (mut one, mut a, mut b) = (Histogram::default(), Histogram::default(), Histogram::default());
        for n in 0..10_000_u64 {
            let value = n * n * 37;
            one.add(value);
            if n % 3 == 0 { a.add(value) } else { b.add(value) }
        }
        a.merge(&b);
        for percent in [1.0, 50.0, 99.9] {
            assert_eq!(a.percentile(percent), one.percentile(percent));
        }
        assert_eq!((a.count(), a.max(), a.mean()), (one.count(), one.max(), one.mean()));
        a.clear();
        assert_eq!(a.percentile(50.0), None);
    }

    #[test]
    fn every_value_has_a_class_whose_middle_is_near() {
        for value in (0..64).map(|bit| 1_u64 << bit).chain([0, 31, 32, 33, 1_000_003, u64::MAX]) {
            let class = class_of(value);
            assert!(class < CLASSES);
            if value < 1 << 43 {
                let middle = middle_of(class);
                assert!(middle.abs_diff(value) <= value / 30, "{value} in a class around {middle}");
            }
        }
    }
}
